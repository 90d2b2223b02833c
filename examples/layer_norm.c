/* layer_norm.c: every row shifted to mean 0 and scaled to variance 1, times a weight plus a bias; mean and inverse
 * deviation are written too, as the backward pass wants them. */
#include "examples/rows.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "layer_norm", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value weight = hl_param_tensor(b, "weight", dtype, &n, 1, HL_IN);
  const hl_value bias = hl_param_tensor(b, "bias", dtype, &n, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", dtype, (hl_dim[]){m, n}, 2, HL_OUT);
  const hl_value means = hl_param_tensor(b, "mean", work, &m, 1, HL_OUT);
  const hl_value rstds = hl_param_tensor(b, "rstd", work, &m, 1, HL_OUT);
  const hl_value all = HL_ALL;
  const int32_t last = -1;
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){i, all}, 2), work);
  const hl_value mean = hl_mean(b, v, &last, 1, true);
  const hl_value d = hl_sub(b, v, mean);
  const hl_value rstd = hl_rsqrt(b, hl_add(b, hl_mean(b, hl_mul(b, d, d), &last, 1, true), hl_const_f(b, 1e-5)));
  const hl_value scaled = hl_mul(b, hl_mul(b, d, rstd), hl_load(b, weight, &all, 1));
  hl_store(b, y, (hl_value[]){i, all}, 2, hl_add(b, scaled, hl_load(b, bias, &all, 1)));
  hl_store(b, means, &i, 1, hl_squeeze(b, mean, 1));
  hl_store(b, rstds, &i, 1, hl_squeeze(b, rstd, 1));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t n = a[0].shape[1];
  for (int64_t i = 0; i < a[0].shape[0]; i++) {
    double mean;
    a[5].data[i] = rows_normalize(a[0].data + i * n, a[1].data, a[2].data, &a[3], i, &mean);
    a[4].data[i] = mean;
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1];
  const float *weight = args[1], *bias = args[2];
  for (int64_t i = 0; i < size[0]; i++) {
    const float *x = (const float *)args[0] + i * n;
    float *out = (float *)args[3] + i * n, sum = 0, square = 0;
    for (int64_t j = 0; j < n; j++)
      sum += x[j];
    const float mean = sum / (float)n;
    for (int64_t j = 0; j < n; j++)
      square += (x[j] - mean) * (x[j] - mean);
    const float rstd = 1 / sqrtf(square / (float)n + 1e-5f);
    for (int64_t j = 0; j < n; j++)
      out[j] = (x[j] - mean) * rstd * weight[j] + bias[j];
    ((float *)args[4])[i] = mean;
    ((float *)args[5])[i] = rstd;
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return 2.0 * ((double)size[0] * (double)size[1] + (double)size[1]) * element +
         2.0 * (double)size[0] * (element == 8 ? 8 : 4);
}
static double flops(const int64_t *size) {
  return 7.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_layer_norm = {.number = 14,
                                          .name = "layer_norm",
                                          .summary = "(x - mean) * rstd * weight + bias, and mean and rstd",
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
