/* grpo_loss.c: the loss of group relative policy optimisation per token: the probability of the token that was chosen,
 * from the logits; its ratio to the old policy's, clipped; and the divergence from a reference policy.
 *
 *   logp = logits[id] - log sum exp(logits)         ratio = exp(logp - old)
 *   loss = -min(ratio A, clamp(ratio, 1 - low, 1 + high) A) + beta kl,   kl = exp(ref - logp) - (ref - logp) - 1
 *
 * One pass over the logits: the maximum, the sum of exponentials relative to it, and the chosen logit are carried.  A
 * token beyond the vocabulary has logit 0. */
#include "examples/example.h"
#include <math.h>

#define LOW  0.2
#define HIGH 0.4
#define BETA 0.04

typedef struct token { /* values along the tile of tokens */
  hl_value logp, old, ref, advantage;
} token;

static void loss_of(hl_builder *b, token t, hl_value *loss, hl_value *kl) {
  const hl_value ratio = hl_exp(b, hl_sub(b, t.logp, t.old)), gap = hl_sub(b, t.ref, t.logp);
  const hl_value clipped = hl_clamp(b, ratio, hl_const_f(b, 1 - LOW), hl_const_f(b, 1 + HIGH));
  const hl_value gain = hl_min(b, hl_mul(b, ratio, t.advantage), hl_mul(b, clipped, t.advantage));
  *kl = hl_sub(b, hl_expm1(b, gap), gap);
  *loss = hl_sub(b, hl_mul(b, *kl, hl_const_f(b, BETA)), gain);
}

/* log sum exp(logits[i, :]) and logits[i, id]: next values of the carried maximum, sum and chosen logit. */
static void step(hl_builder *b, hl_value v, hl_value is_chosen, const hl_value in[3], hl_value next[3]) {
  next[0] = hl_max(b, in[0], hl_reduce_max(b, v, 1, false));
  const hl_value e = hl_exp(b, hl_sub(b, v, hl_unsqueeze(b, next[0], 1)));
  const hl_value shrink = hl_exp(b, hl_sub(b, in[0], next[0]));
  next[1] = hl_fma(b, in[1], shrink, hl_reduce_sum(b, e, 1, false));
  next[2] = hl_add(b, in[2], hl_reduce_sum(b, hl_where(b, is_chosen, v, hl_const_f(b, 0)), 1, false));
}

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "grpo_loss", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_named(b, "V")};
  const hl_value logits = hl_param_tensor(b, "logits", dtype, dims, 2, HL_IN);
  const hl_value ids = hl_param_tensor(b, "ids", HL_I64, dims, 1, HL_IN);
  const hl_value old = hl_param_tensor(b, "old_logp", HL_F32, dims, 1, HL_IN);
  const hl_value ref = hl_param_tensor(b, "ref_logp", HL_F32, dims, 1, HL_IN);
  const hl_value advantages = hl_param_tensor(b, "advantages", HL_F32, dims, 1, HL_IN);
  const hl_value loss = hl_param_tensor(b, "loss", HL_F32, dims, 1, HL_OUT);
  const hl_value kl = hl_param_tensor(b, "kl", HL_F32, dims, 1, HL_OUT);
  hl_param_set_spec(b, ids, (hl_arg_spec){HL_DIST_INTEGER, 0, 255, false});
  hl_param_set_spec(b, old, (hl_arg_spec){HL_DIST_UNIFORM, -9, -6, false});
  hl_param_set_spec(b, ref, (hl_arg_spec){HL_DIST_UNIFORM, -9, -6, false});
  hl_value i, j, in[3], next[3], last[3];
  hl_tile_begin(b, (hl_value[]){hl_size(b, logits, 0)}, 1, &i);
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  const hl_value zeros = hl_zeros(b, &i, 1, HL_F32), initial[] = {hl_full(b, &i, 1, HL_F32, -3e38), zeros, zeros};
  const hl_value id = hl_unsqueeze(b, hl_load(b, ids, &i, 1), 1);
  o.carried = initial, o.carried_count = 3, o.carried_in = in;
  hl_tile_begin_ex(b, (hl_value[]){hl_size(b, logits, 1)}, 1, &o, &j);
  const hl_value v = hl_cast(b, hl_load(b, logits, (hl_value[]){i, j}, 2), HL_F32);
  step(b, v, hl_eq(b, hl_tile_index(b, j), id), in, next);
  hl_tile_end(b, next, last);
  token t = {.logp = hl_sub(b, hl_sub(b, last[2], last[0]), hl_log(b, last[1])), .old = hl_load(b, old, &i, 1)};
  t.ref = hl_load(b, ref, &i, 1), t.advantage = hl_load(b, advantages, &i, 1);
  hl_value l, k;
  loss_of(b, t, &l, &k);
  hl_store(b, loss, &i, 1, l);
  hl_store(b, kl, &i, 1, k);
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *t, uint32_t count) {
  (void)count;
  const int64_t n = t[0].shape[1];
  for (int64_t i = 0; i < t[0].shape[0]; i++) {
    const double *x = t[0].data + i * n;
    const int64_t id = (int64_t)t[1].data[i];
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++)
      most = fmax(most, x[j]);
    for (int64_t j = 0; j < n; j++)
      sum += exp(x[j] - most);
    const double logp = (id < n ? x[id] : 0) - most - log(sum), a = t[4].data[i];
    const double ratio = exp(logp - t[2].data[i]), gap = t[3].data[i] - logp;
    t[6].data[i] = expm1(gap) - gap;
    t[5].data[i] = BETA * t[6].data[i] - fmin(ratio * a, fmin(fmax(ratio, 1 - LOW), 1 + HIGH) * a);
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1], *ids = args[1];
  const float *old = args[2], *ref = args[3], *advantage = args[4];
  float *loss = args[5], *kl = args[6];
  for (int64_t i = 0; i < size[0]; i++) {
    const float *x = (const float *)args[0] + i * n;
    float most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++)
      most = fmaxf(most, x[j]);
    for (int64_t j = 0; j < n; j++)
      sum += expf(x[j] - most);
    const float logp = (ids[i] < n ? x[ids[i]] : 0) - most - logf(sum), a = advantage[i];
    const float ratio = expf(logp - old[i]), gap = ref[i] - logp;
    kl[i] = expm1f(gap) - gap;
    loss[i] = (float)BETA * kl[i] - fminf(ratio * a, fminf(fmaxf(ratio, (float)(1 - LOW)), (float)(1 + HIGH)) * a);
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return (double)size[0] * ((double)size[1] * element + 28);
}
static double flops(const int64_t *size) {
  return 4.0 * (double)size[0] * (double)size[1];
}

static const hl_example_shape odd[] = {{{1, 1}}, {{7, 1000}}, {{33, 300}}, {{0}}};

const hl_example hl_example_grpo_loss = {.number = 18,
                                         .name = "grpo_loss",
                                         .summary = "clipped policy loss per token, from logits",
                                         .dims = {"M", "V"},
                                         .dtypes = example_f32_and_halves,
                                         .build = build,
                                         .reference = reference,
                                         .bench = {{2048, 16384}},
                                         .odd = odd,
                                         .bytes = bytes,
                                         .flops = flops,
                                         .reduction = example_row,
                                         .plain = plain};
