/* qk_norm_rope.c: the heads of queries and keys, which lie side by side, are normalised by their root mean square,
 * scaled by weights of their own and turned by the rotary embedding; queries and keys come out apart.  H must be Q + K.
 */
#include "examples/example.h"
#include <math.h>

enum { F = 32, D = 2 * F }; /* of a head */
#define EPSILON 1e-6

typedef struct halves {
  hl_value low, high;
} halves;

static hl_value row(hl_builder *b, hl_value tensor, hl_value index, hl_dtype work) {
  return hl_cast(b, hl_load(b, tensor, (hl_value[]){index}, 1), work);
}

/* The weights of this head: those of queries, or those of keys. */
static hl_value weights(hl_builder *b, hl_value wq, hl_value wk, hl_value is_query, hl_value index, hl_dtype work) {
  return hl_where(b, is_query, row(b, wq, index, work), row(b, wk, index, work));
}

static void store(hl_builder *b, hl_value y, hl_value i, hl_value head, halves at, halves v) {
  hl_store(b, y, (hl_value[]){i, head, at.low}, 3, v.low);
  hl_store(b, y, (hl_value[]){i, head, at.high}, 3, v.high);
}

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "qk_norm_rope", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim t = hl_dim_named(b, "T"), h = hl_dim_named(b, "H"), q = hl_dim_named(b, "Q"), k = hl_dim_named(b, "K");
  const hl_dim d = hl_dim_static(b, D), f = hl_dim_static(b, F);
  const hl_value x = hl_param_tensor(b, "qk", dtype, (hl_dim[]){t, h, d}, 3, HL_IN);
  const hl_value wq = hl_param_tensor(b, "wq", dtype, &d, 1, HL_IN), wk = hl_param_tensor(b, "wk", dtype, &d, 1, HL_IN);
  const hl_value cosines = hl_param_tensor(b, "cos", dtype, (hl_dim[]){t, f}, 2, HL_IN);
  const hl_value sines = hl_param_tensor(b, "sin", dtype, (hl_dim[]){t, f}, 2, HL_IN);
  const hl_value yq = hl_param_tensor(b, "q", dtype, (hl_dim[]){t, q, d}, 3, HL_OUT);
  const hl_value yk = hl_param_tensor(b, "k", dtype, (hl_dim[]){t, k, d}, 3, HL_OUT);
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  hl_value i[2];
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0), hl_size(b, x, 1)}, 2, i);
  const hl_value head = hl_tile_index(b, i[1]), queries = hl_size(b, yq, 1);
  const hl_value is_query = hl_unsqueeze(b, hl_lt(b, head, queries), 1);
  const halves at = {hl_slice(b, x, 2, 0, F, 1), hl_slice(b, x, 2, F, D, 1)};
  halves v = {hl_cast(b, hl_load(b, x, (hl_value[]){i[0], i[1], at.low}, 3), work),
              hl_cast(b, hl_load(b, x, (hl_value[]){i[0], i[1], at.high}, 3), work)};
  const hl_value squares = hl_add(b, hl_mul(b, v.low, v.low), hl_mul(b, v.high, v.high));
  const hl_value mean = hl_div(b, hl_reduce_sum(b, squares, 2, true), hl_const_f(b, D));
  const hl_value scale = hl_rsqrt(b, hl_add(b, mean, hl_const_f(b, EPSILON)));
  v.low = hl_mul(b, hl_mul(b, v.low, scale), weights(b, wq, wk, is_query, at.low, work));
  v.high = hl_mul(b, hl_mul(b, v.high, scale), weights(b, wq, wk, is_query, at.high, work));
  const hl_value c = hl_cast(b, hl_load(b, cosines, (hl_value[]){i[0], HL_NEW, HL_ALL}, 3), work);
  const hl_value n = hl_cast(b, hl_load(b, sines, (hl_value[]){i[0], HL_NEW, HL_ALL}, 3), work);
  const halves turned = {hl_sub(b, hl_mul(b, v.low, c), hl_mul(b, v.high, n)),
                         hl_add(b, hl_mul(b, v.high, c), hl_mul(b, v.low, n))};
  store(b, yq, i[0], head, at, turned);                     /* keys lie behind its end, */
  store(b, yk, i[0], hl_sub(b, head, queries), at, turned); /* queries before its begin */
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t heads = a[0].shape[1], queries = a[5].shape[1], keys = a[6].shape[1];
  for (int64_t i = 0; i < a[0].shape[0]; i++)
    for (int64_t h = 0; h < heads; h++) {
      const double *x = a[0].data + (i * heads + h) * D, *w = h < queries ? a[1].data : a[2].data;
      const double *c = a[3].data + i * F, *n = a[4].data + i * F;
      double *y = h < queries ? a[5].data + (i * queries + h) * D : a[6].data + (i * keys + h - queries) * D, sum = 0;
      for (int64_t j = 0; j < D; j++)
        sum += x[j] * x[j];
      const double scale = 1 / sqrt(sum / D + EPSILON);
      for (int64_t j = 0; j < F; j++) {
        const double p = x[j] * scale * w[j], q = x[j + F] * scale * w[j + F];
        y[j] = p * c[j] - q * n[j];
        y[j + F] = q * c[j] + p * n[j];
      }
    }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t heads = size[1], queries = size[2], keys = size[3];
  for (int64_t i = 0; i < size[0]; i++)
    for (int64_t h = 0; h < heads; h++) {
      const float *x = (const float *)args[0] + (i * heads + h) * D, *w = args[h < queries ? 1 : 2];
      const float *c = (const float *)args[3] + i * F, *n = (const float *)args[4] + i * F;
      float *y =
          h < queries ? (float *)args[5] + (i * queries + h) * D : (float *)args[6] + (i * keys + h - queries) * D;
      float sum = 0;
      for (int64_t j = 0; j < D; j++)
        sum += x[j] * x[j];
      const float scale = 1 / sqrtf(sum / D + (float)EPSILON);
      for (int64_t j = 0; j < F; j++) {
        const float p = x[j] * scale * w[j], q = x[j + F] * scale * w[j + F];
        y[j] = p * c[j] - q * n[j];
        y[j + F] = q * c[j] + p * n[j];
      }
    }
}

static double bytes(const int64_t *size, uint32_t element) {
  return 2.0 * (double)size[0] * ((double)size[1] * D + F) * element;
}
static double flops(const int64_t *size) {
  return 8.0 * (double)size[0] * (double)size[1] * D;
}
static int64_t reduction(const int64_t *size) {
  (void)size;
  return D;
}

static const hl_example_shape odd[] = {{{1, 2, 1, 1}}, {{5, 7, 4, 3}}, {{17, 9, 8, 1}}, {{0}}};

const hl_example hl_example_qk_norm_rope = {.number = 26,
                                            .name = "qk_norm_rope",
                                            .summary = "normalised and rotated queries and keys",
                                            .dims = {"T", "H", "Q", "K"},
                                            .dtypes = example_floats,
                                            .build = build,
                                            .reference = reference,
                                            .bench = {{4096, 40, 32, 8}},
                                            .odd = odd,
                                            .bytes = bytes,
                                            .flops = flops,
                                            .reduction = reduction,
                                            .plain = plain};
