/* column_sum.c: the sum of every column; what weight gradients by blocks of rows end with. */
#include "examples/plain.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "column_sum", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim dims[] = {hl_dim_named(b, "P"), hl_dim_named(b, "N")};
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  const hl_value x = hl_param_tensor(b, "x", dtype, dims, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", work, dims + 1, 1, HL_OUT);
  hl_value j;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 1)}, 1, &j);
  const hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){HL_ALL, j}, 2), work);
  hl_store(b, y, &j, 1, hl_reduce_sum(b, v, 0, false));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  for (int64_t j = 0; j < a[0].shape[1]; j++) {
    a[1].data[j] = 0;
    for (int64_t i = 0; i < a[0].shape[0]; i++)
      a[1].data[j] += a[0].data[i * a[0].shape[1] + j];
  }
}

#define LOOP(NAME, T, W, FROM, TO)                                                                                     \
  static void NAME(void *const *args, const int64_t *size) {                                                           \
    const T *x = args[0];                                                                                              \
    W *y = args[1];                                                                                                    \
    for (int64_t j = 0; j < size[1]; j++)                                                                              \
      y[j] = 0;                                                                                                        \
    for (int64_t i = 0; i < size[0]; i++)                                                                              \
      for (int64_t j = 0; j < size[1]; j++)                                                                            \
        y[j] += FROM(x[i * size[1] + j]);                                                                              \
  }
HL_PLAIN_FLOATS(LOOP, plain)
static const hl_example_plain plains[] = {HL_PLAIN_ROWS(plain), {HL_DTYPE_NONE, NULL}};

static double bytes(const int64_t *size, uint32_t element) {
  return (double)size[0] * (double)size[1] * element + 4.0 * (double)size[1];
}
static double flops(const int64_t *size) {
  return (double)size[0] * (double)size[1];
}
static int64_t reduction(const int64_t *size) {
  return size[0];
}

static const hl_example_shape odd[] = {{{1, 1}}, {{7, 1000}}, {{65, 33}}, {{259, 70}}, {{0}}};

const hl_example hl_example_column_sum = {.number = 19,
                                          .name = "column_sum",
                                          .summary = "sum of each column",
                                          .dims = {"P", "N"},
                                          .dtypes = example_floats,
                                          .build = build,
                                          .reference = reference,
                                          .bench = {{512, 65536}},
                                          .odd = odd,
                                          .bytes = bytes,
                                          .flops = flops,
                                          .reduction = reduction,
                                          .plains = plains};
