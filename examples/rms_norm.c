/* rms_norm.c: every row divided by the root of the mean of its squares, times a weight; the inverse root is written
 * too, as the backward pass wants it. */
#include "examples/plain.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "rms_norm", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value weight = hl_param_tensor(b, "weight", dtype, &n, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", dtype, (hl_dim[]){m, n}, 2, HL_OUT);
  const hl_value inverse = hl_param_tensor(b, "inv_rms", work, &m, 1, HL_OUT);
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){i, HL_ALL}, 2), work);
  const hl_value square = hl_mean(b, hl_mul(b, v, v), (int32_t[]){1}, 1, false);
  const hl_value r = hl_rsqrt(b, hl_add(b, square, hl_const_f(b, 1e-5)));
  const hl_value w = hl_load(b, weight, (hl_value[]){HL_ALL}, 1);
  hl_store(b, y, (hl_value[]){i, HL_ALL}, 2, hl_mul(b, hl_mul(b, v, hl_unsqueeze(b, r, 1)), w));
  hl_store(b, inverse, &i, 1, r);
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t n = a[0].shape[1];
  for (int64_t i = 0; i < a[0].shape[0]; i++) {
    const double *x = a[0].data + i * n;
    double square = 0;
    for (int64_t j = 0; j < n; j++)
      square += x[j] * x[j];
    const double r = 1 / sqrt(square / (double)n + 1e-5);
    for (int64_t j = 0; j < n; j++)
      a[2].data[i * n + j] = x[j] * r * a[1].data[j];
    a[3].data[i] = r;
  }
}

#define LOOP(NAME, T, W, FROM, TO)                                                                                     \
  static void NAME(void *const *args, const int64_t *size) {                                                           \
    const int64_t n = size[1];                                                                                         \
    const T *weight = args[1];                                                                                         \
    for (int64_t i = 0; i < size[0]; i++) {                                                                            \
      const T *x = (const T *)args[0] + i * n;                                                                         \
      T *out = (T *)args[2] + i * n;                                                                                   \
      W square = 0;                                                                                                    \
      for (int64_t j = 0; j < n; j++)                                                                                  \
        square += FROM(x[j]) * FROM(x[j]);                                                                             \
      const W r = 1 / HL_PLAIN_SQRT(square / (W)n + (W)1e-5);                                                          \
      for (int64_t j = 0; j < n; j++)                                                                                  \
        out[j] = TO(FROM(x[j]) * r * FROM(weight[j]));                                                                 \
      ((W *)args[3])[i] = r;                                                                                           \
    }                                                                                                                  \
  }
HL_PLAIN_FLOATS(LOOP, plain)
static const hl_example_plain plains[] = {HL_PLAIN_ROWS(plain), {HL_DTYPE_NONE, NULL}};

static double bytes(const int64_t *size, uint32_t element) {
  return (2.0 * (double)size[0] * (double)size[1] + (double)size[1]) * element +
         (double)size[0] * (element == 8 ? 8 : 4);
}
static double flops(const int64_t *size) {
  return 4.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_rms_norm = {.number = 13,
                                        .name = "rms_norm",
                                        .summary = "x / sqrt(mean(x^2) + eps) * weight, and the inverse root",
                                        .dims = {"M", "N"},
                                        .dtypes = example_floats,
                                        .build = build,
                                        .reference = reference,
                                        .bench = {{4096, 4096}},
                                        .odd = example_rows,
                                        .bytes = bytes,
                                        .flops = flops,
                                        .reduction = example_row,
                                        .plains = plains};
