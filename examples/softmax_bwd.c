/* softmax_bwd.c: the gradient of softmax of every row, out = y * (grad - sum(grad * y)), y the softmax. */
#include "examples/example.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "softmax_bwd", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  const hl_value y = hl_param_tensor(b, "y", dtype, dims, 2, HL_IN);
  const hl_value grad = hl_param_tensor(b, "grad", dtype, dims, 2, HL_IN);
  const hl_value out_x = hl_param_tensor(b, "out", dtype, dims, 2, HL_OUT);
  hl_param_set_spec(b, y, (hl_arg_spec){HL_DIST_UNIFORM, 0, 1, false});
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, y, 0)}, 1, &i);
  const hl_value at[] = {i, HL_ALL};
  const hl_value v = hl_cast(b, hl_load(b, y, at, 2), work), g = hl_cast(b, hl_load(b, grad, at, 2), work);
  const hl_value dot = hl_reduce_sum(b, hl_mul(b, g, v), 1, true);
  hl_store(b, out_x, at, 2, hl_mul(b, v, hl_sub(b, g, dot)));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t n = a[0].shape[1];
  for (int64_t i = 0; i < a[0].shape[0]; i++) {
    const double *y = a[0].data + i * n, *grad = a[1].data + i * n;
    double dot = 0;
    for (int64_t j = 0; j < n; j++)
      dot += grad[j] * y[j];
    for (int64_t j = 0; j < n; j++)
      a[2].data[i * n + j] = y[j] * (grad[j] - dot);
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1];
  for (int64_t i = 0; i < size[0]; i++) {
    const float *y = (const float *)args[0] + i * n, *grad = (const float *)args[1] + i * n;
    float *out = (float *)args[2] + i * n, dot = 0;
    for (int64_t j = 0; j < n; j++)
      dot += grad[j] * y[j];
    for (int64_t j = 0; j < n; j++)
      out[j] = y[j] * (grad[j] - dot);
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return 3.0 * (double)size[0] * (double)size[1] * element;
}
static double flops(const int64_t *size) {
  return 4.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_softmax_bwd = {.number = 12,
                                           .name = "softmax_bwd",
                                           .summary = "gradient of softmax: y * (grad - sum(grad * y))",
                                           .dims = {"M", "N"},
                                           .dtypes = example_floats,
                                           .build = build,
                                           .reference = reference,
                                           .bench = {{4096, 4096}},
                                           .odd = example_rows,
                                           .bytes = bytes,
                                           .flops = flops,
                                           .reduction = example_row,
                                           .plain = plain};
