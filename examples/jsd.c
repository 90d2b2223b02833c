/* jsd.c: the Jensen-Shannon divergence of the distributions in every row, given as logarithms, and its derivative by
 * the first: with m = (p + q) / 2, out = sum of (p (log p - log m) + q (log q - log m)) / 2,
 * grad = p (log p - log m) / 2. */
#include "examples/example.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "jsd", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  const hl_value x = hl_param_tensor(b, "log_p", dtype, dims, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "log_q", dtype, dims, 2, HL_IN);
  const hl_value loss = hl_param_tensor(b, "out", work, dims, 1, HL_OUT);
  const hl_value grad = hl_param_tensor(b, "grad", dtype, dims, 2, HL_OUT);
  /* where p and q are near each other the terms cancel, and no result is right to many digits */
  hl_param_set_spec(b, x, (hl_arg_spec){HL_DIST_UNIFORM, -2, 0, false});
  hl_param_set_spec(b, y, (hl_arg_spec){HL_DIST_UNIFORM, -8, -4, false});
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value at[] = {i, HL_ALL}, half = hl_const_f(b, 0.5);
  const hl_value log_p = hl_cast(b, hl_load(b, x, at, 2), work), log_q = hl_cast(b, hl_load(b, y, at, 2), work);
  const hl_value p = hl_mul(b, hl_exp(b, log_p), half), q = hl_mul(b, hl_exp(b, log_q), half);
  const hl_value log_m = hl_log(b, hl_add(b, p, q));
  const hl_value of_p = hl_mul(b, p, hl_sub(b, log_p, log_m)), of_q = hl_mul(b, q, hl_sub(b, log_q, log_m));
  hl_store(b, loss, &i, 1, hl_reduce_sum(b, hl_add(b, of_p, of_q), 1, false));
  hl_store(b, grad, at, 2, of_p);
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t n = a[0].shape[1];
  for (int64_t i = 0; i < a[0].shape[0]; i++) {
    const double *log_p = a[0].data + i * n, *log_q = a[1].data + i * n;
    double sum = 0;
    for (int64_t j = 0; j < n; j++) {
      const double p = exp(log_p[j]) / 2, q = exp(log_q[j]) / 2, log_m = log(p + q);
      a[3].data[i * n + j] = p * (log_p[j] - log_m);
      sum += p * (log_p[j] - log_m) + q * (log_q[j] - log_m);
    }
    a[2].data[i] = sum;
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1];
  for (int64_t i = 0; i < size[0]; i++) {
    const float *log_p = (const float *)args[0] + i * n, *log_q = (const float *)args[1] + i * n;
    float *grad = (float *)args[3] + i * n, sum = 0;
    for (int64_t j = 0; j < n; j++) {
      const float p = expf(log_p[j]) / 2, q = expf(log_q[j]) / 2, log_m = logf(p + q);
      grad[j] = p * (log_p[j] - log_m);
      sum += grad[j] + q * (log_q[j] - log_m);
    }
    ((float *)args[2])[i] = sum;
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return 3.0 * (double)size[0] * (double)size[1] * element + (double)size[0] * (element == 8 ? 8 : 4);
}
static double flops(const int64_t *size) {
  return 12.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_jsd = {.number = 17,
                                   .name = "jsd",
                                   .summary = "Jensen-Shannon divergence of each row, and its gradient",
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
