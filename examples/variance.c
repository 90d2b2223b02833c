/* variance.c: mean and variance of every row; the mean is subtracted before the squares are added up, so that a large
 * mean does not swallow the variance. */
#include "examples/rows.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "variance", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  const hl_value x = hl_param_tensor(b, "x", dtype, dims, 2, HL_IN);
  const hl_value means = hl_param_tensor(b, "mean", work, dims, 1, HL_OUT);
  const hl_value variances = hl_param_tensor(b, "out", work, dims, 1, HL_OUT);
  hl_param_set_spec(b, x, (hl_arg_spec){HL_DIST_NORMAL, 16, 1, false});
  const int32_t last = -1;
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){i, HL_ALL}, 2), work);
  const hl_value mean = hl_mean(b, v, &last, 1, true);
  const hl_value d = hl_sub(b, v, mean);
  hl_store(b, means, &i, 1, hl_squeeze(b, mean, 1));
  hl_store(b, variances, &i, 1, hl_mean(b, hl_mul(b, d, d), &last, 1, false));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t n = a[0].shape[1];
  for (int64_t i = 0; i < a[0].shape[0]; i++)
    rows_moments(a[0].data + i * n, n, &a[1].data[i], &a[2].data[i]);
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1];
  for (int64_t i = 0; i < size[0]; i++) {
    const float *x = (const float *)args[0] + i * n;
    float sum = 0, square = 0;
    for (int64_t j = 0; j < n; j++)
      sum += x[j];
    const float mean = sum / (float)n;
    for (int64_t j = 0; j < n; j++)
      square += (x[j] - mean) * (x[j] - mean);
    ((float *)args[1])[i] = mean;
    ((float *)args[2])[i] = square / (float)n;
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return (double)size[0] * (double)size[1] * element + 2.0 * (double)size[0] * (element == 8 ? 8 : 4);
}
static double flops(const int64_t *size) {
  return 4.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_variance = {.number = 21,
                                        .name = "variance",
                                        .summary = "mean and variance of each row",
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
