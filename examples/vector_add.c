/* vector_add.c: out = x + y over one axis: the smallest kernel, bound by memory. */
#include "examples/plain.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "vector_add", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", dtype, &n, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", dtype, &n, 1, HL_IN);
  const hl_value z = hl_param_tensor(b, "out", dtype, &n, 1, HL_OUT);
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  hl_store(b, z, &i, 1, hl_add(b, hl_load(b, x, &i, 1), hl_load(b, y, &i, 1)));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  for (int64_t i = 0; i < a[0].shape[0]; i++)
    a[2].data[i] = a[0].data[i] + a[1].data[i];
}

#define LOOP(NAME, T, W, FROM, TO)                                                                                     \
  static void NAME(void *const *args, const int64_t *size) {                                                           \
    const T *x = args[0], *y = args[1];                                                                                \
    T *z = args[2];                                                                                                    \
    for (int64_t i = 0; i < size[0]; i++)                                                                              \
      z[i] = TO(FROM(x[i]) + FROM(y[i]));                                                                              \
  }
HL_PLAIN_FLOATS(LOOP, plain)
LOOP(plain_i32, int32_t, uint32_t, (uint32_t), (int32_t))
static const hl_example_plain plains[] = {HL_PLAIN_ROWS(plain), {HL_I32, plain_i32}, {HL_DTYPE_NONE, NULL}};

static double bytes(const int64_t *size, uint32_t element) {
  return 3.0 * (double)size[0] * element;
}
static double flops(const int64_t *size) {
  return (double)size[0];
}

static const hl_dtype dtypes[] = {HL_F32, HL_BF16, HL_F16, HL_F64, HL_I32, HL_DTYPE_NONE};

const hl_example hl_example_vector_add = {.number = 1,
                                          .name = "vector_add",
                                          .summary = "out = x + y",
                                          .dims = {"N"},
                                          .dtypes = dtypes,
                                          .build = build,
                                          .reference = reference,
                                          .bench = {{4096 * 4096}},
                                          .odd = example_vectors,
                                          .bytes = bytes,
                                          .flops = flops,
                                          .reduction = example_single,
                                          .plains = plains};
