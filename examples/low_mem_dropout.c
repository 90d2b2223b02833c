/* low_mem_dropout.c: dropout that keeps no mask: whether an element stays follows from the seed and its position, so
 * the backward pass finds it again. */
#include "examples/example.h"

#define P 0.25 /* of being dropped */

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "low_mem_dropout", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", dtype, &n, 1, HL_IN);
  const hl_value seed = hl_param_scalar(b, "seed", HL_I64);
  const hl_value y = hl_param_tensor(b, "out", dtype, &n, 1, HL_OUT);
  hl_param_set_spec(b, seed, (hl_arg_spec){HL_DIST_INTEGER, 0, 1 << 30, false});
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value keep = hl_ge(b, hl_rand(b, seed, hl_offset(b, x, &i, 1)), hl_const_f(b, P));
  const hl_value v = hl_mul(b, hl_load(b, x, &i, 1), hl_const_f(b, 1 / (1 - P)));
  hl_store(b, y, &i, 1, hl_where(b, keep, v, hl_const_f(b, 0)));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

/* The first word of Philox 4x32-10. */
static uint32_t philox(uint64_t key, uint64_t counter) {
  uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32), c2 = 0, c3 = 0;
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  for (int r = 0; r < 10; r++) {
    const uint64_t p = UINT64_C(0xD2511F53) * c0, q = UINT64_C(0xCD9E8D57) * c2;
    c0 = (uint32_t)(q >> 32) ^ c1 ^ k0, c1 = (uint32_t)q;
    c2 = (uint32_t)(p >> 32) ^ c3 ^ k1, c3 = (uint32_t)p;
    k0 += 0x9E3779B9, k1 += 0xBB67AE85;
  }
  return c0;
}

static bool keeps(uint64_t seed, int64_t i) {
  return (double)(philox(seed, (uint64_t)i) >> 8) * 0x1p-24 >= P;
}

static void reference(const hl_example_tensor *t, uint32_t count) {
  (void)count;
  for (int64_t i = 0; i < t[0].shape[0]; i++)
    t[2].data[i] = keeps((uint64_t)t[1].data[0], i) ? t[0].data[i] / (1 - P) : 0;
}

static void plain(void *const *args, const int64_t *size) {
  const float *x = args[0];
  const uint64_t seed = *(const uint64_t *)args[1];
  float *y = args[2];
  for (int64_t i = 0; i < size[0]; i++)
    y[i] = keeps(seed, i) ? x[i] * (float)(1 / (1 - P)) : 0;
}

static double bytes(const int64_t *size, uint32_t element) {
  return 2.0 * (double)size[0] * element;
}
static double flops(const int64_t *size) {
  return (double)size[0];
}

static const hl_example_shape odd[] = {{{1}}, {{1000}}, {{4097}}, {{0}}};

const hl_example hl_example_low_mem_dropout = {.number = 9,
                                               .name = "low_mem_dropout",
                                               .summary = "x / (1 - p) or 0, by a random number per element",
                                               .dims = {"N"},
                                               .dtypes = example_floats,
                                               .build = build,
                                               .reference = reference,
                                               .by_position = true,
                                               .bench = {{1 << 24}},
                                               .odd = odd,
                                               .bytes = bytes,
                                               .flops = flops,
                                               .reduction = example_single,
                                               .plain = plain};
