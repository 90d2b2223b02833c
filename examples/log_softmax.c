/* log_softmax.c: every row minus the logarithm of the sum of its exponentials. */
#include "examples/rows.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "log_softmax", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", dtype, (hl_dim[]){m, n}, 2, HL_OUT);
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){i, HL_ALL}, 2), dtype == HL_F64 ? HL_F64 : HL_F32);
  hl_store(b, y, (hl_value[]){i, HL_ALL}, 2, hl_sub(b, v, hl_logsumexp(b, v, (int32_t[]){1}, 1, true)));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t n = a[0].shape[1];
  for (int64_t i = 0; i < a[0].shape[0]; i++) {
    const double *x = a[0].data + i * n;
    double top, sum = rows_exponentials(x, n, &top);
    for (int64_t j = 0; j < n; j++)
      a[1].data[i * n + j] = x[j] - top - log(sum);
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1];
  for (int64_t i = 0; i < size[0]; i++) {
    const float *x = (const float *)args[0] + i * n;
    float *y = (float *)args[1] + i * n, top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++)
      top = x[j] > top ? x[j] : top;
    for (int64_t j = 0; j < n; j++)
      sum += expf(x[j] - top);
    sum = logf(sum) + top;
    for (int64_t j = 0; j < n; j++)
      y[j] = x[j] - sum;
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return 2.0 * (double)size[0] * (double)size[1] * element;
}
static double flops(const int64_t *size) {
  return 5.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_log_softmax = {.number = 10,
                                           .name = "log_softmax",
                                           .summary = "logarithm of the softmax of each row",
                                           .dims = {"M", "N"},
                                           .dtypes = example_floats,
                                           .build = build,
                                           .reference = reference,
                                           .bench = {{4096, 4096}},
                                           .odd = example_few_rows,
                                           .bytes = bytes,
                                           .flops = flops,
                                           .reduction = example_row,
                                           .plain = plain};
