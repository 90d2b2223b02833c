/* kl_div.c: the Kullback-Leibler divergence of every row: sum of y * (log(y) - x), where x are logarithms of the
 * predicted probabilities and y the true ones. */
#include "examples/example.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "kl_div", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  const hl_value x = hl_param_tensor(b, "x", dtype, dims, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", dtype, dims, 2, HL_IN);
  const hl_value loss = hl_param_tensor(b, "out", work, dims, 1, HL_OUT);
  hl_param_set_spec(b, x, (hl_arg_spec){HL_DIST_UNIFORM, -8, 0, false});
  hl_param_set_spec(b, y, (hl_arg_spec){HL_DIST_UNIFORM, 0, 1, false});
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value at[] = {i, HL_ALL};
  const hl_value p = hl_cast(b, hl_load(b, y, at, 2), work);
  const hl_value least = hl_max(b, p, hl_const_f(b, 1e-10)); /* 0 * log(0) is 0 */
  const hl_value term = hl_mul(b, p, hl_sub(b, hl_log(b, least), hl_load(b, x, at, 2)));
  hl_store(b, loss, &i, 1, hl_reduce_sum(b, term, 1, false));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t n = a[0].shape[1];
  for (int64_t i = 0; i < a[0].shape[0]; i++) {
    const double *x = a[0].data + i * n, *y = a[1].data + i * n;
    double sum = 0;
    for (int64_t j = 0; j < n; j++)
      sum += y[j] * (log(fmax(y[j], 1e-10)) - x[j]);
    a[2].data[i] = sum;
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1];
  for (int64_t i = 0; i < size[0]; i++) {
    const float *x = (const float *)args[0] + i * n, *y = (const float *)args[1] + i * n;
    float sum = 0;
    for (int64_t j = 0; j < n; j++)
      sum += y[j] * (logf(y[j] > 1e-10f ? y[j] : 1e-10f) - x[j]);
    ((float *)args[2])[i] = sum;
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return 2.0 * (double)size[0] * (double)size[1] * element + (double)size[0] * (element == 8 ? 8 : 4);
}
static double flops(const int64_t *size) {
  return 5.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_kl_div = {.number = 16,
                                      .name = "kl_div",
                                      .summary = "sum of y * (log(y) - x) of each row",
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
