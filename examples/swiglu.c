/* swiglu.c: the gate of many language models, out = silu(x) * y. */
#include "examples/plain.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "swiglu", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  const hl_value x = hl_param_tensor(b, "x", dtype, dims, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", dtype, dims, 2, HL_IN);
  const hl_value z = hl_param_tensor(b, "out", dtype, dims, 2, HL_OUT);
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32; /* one rounding, at the end */
  hl_value t[2];
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0), hl_size(b, x, 1)}, 2, t);
  const hl_value a = hl_cast(b, hl_load(b, x, t, 2), work);
  hl_store(b, z, t, 2, hl_mul(b, hl_silu(b, a), hl_load(b, y, t, 2)));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *t, uint32_t count) {
  (void)count;
  for (int64_t i = 0; i < t[0].shape[0] * t[0].shape[1]; i++)
    t[2].data[i] = t[0].data[i] / (1 + exp(-t[0].data[i])) * t[1].data[i];
}

#define LOOP(NAME, T, W, FROM, TO)                                                                                     \
  static void NAME(void *const *args, const int64_t *size) {                                                           \
    const T *x = args[0], *y = args[1];                                                                                \
    T *z = args[2];                                                                                                    \
    for (int64_t i = 0; i < size[0] * size[1]; i++)                                                                    \
      z[i] = TO(FROM(x[i]) / (1 + HL_PLAIN_EXP(-FROM(x[i]))) * FROM(y[i]));                                            \
  }
HL_PLAIN_FLOATS(LOOP, plain)
static const hl_example_plain plains[] = {HL_PLAIN_ROWS(plain), {HL_DTYPE_NONE, NULL}};

static double bytes(const int64_t *size, uint32_t element) {
  return 3.0 * (double)size[0] * (double)size[1] * element;
}
static double flops(const int64_t *size) {
  return 5.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_swiglu = {.number = 3,
                                      .name = "swiglu",
                                      .summary = "out = silu(x) * y",
                                      .dims = {"M", "N"},
                                      .dtypes = example_floats,
                                      .build = build,
                                      .reference = reference,
                                      .bench = {{4096, 4096}},
                                      .odd = example_planes,
                                      .bytes = bytes,
                                      .flops = flops,
                                      .reduction = example_single,
                                      .plains = plains};
