/* rows.c: see rows.h. */
#include "examples/rows.h"

#include "examples/plain.h"
#include <math.h>

/* ---- sums ---- */

void rows_sum_reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  for (int64_t i = 0; i < a[0].shape[0]; i++) {
    double sum = 0;
    for (int64_t j = 0; j < a[0].shape[1]; j++)
      sum += a[0].data[i * a[0].shape[1] + j];
    a[1].data[i] = sum;
  }
}

#define LOOP(NAME, T, W, FROM, TO)                                                                                     \
  static void NAME(void *const *args, const int64_t *size) {                                                           \
    const T *x = args[0];                                                                                              \
    T *y = args[1];                                                                                                    \
    for (int64_t i = 0; i < size[0]; i++) {                                                                            \
      W sum = 0;                                                                                                       \
      for (int64_t j = 0; j < size[1]; j++)                                                                            \
        sum += FROM(x[i * size[1] + j]);                                                                               \
      y[i] = TO(sum);                                                                                                  \
    }                                                                                                                  \
  }
HL_PLAIN_FLOATS(LOOP, sum_loop)
#undef LOOP

const hl_example_plain rows_sum_loops[] = {HL_PLAIN_ROWS(sum_loop), {HL_DTYPE_NONE, NULL}};

double rows_sum_bytes(const int64_t *size, uint32_t element) {
  return ((double)size[0] * (double)size[1] + (double)size[0]) * element;
}

double rows_sum_flops(const int64_t *size) {
  return (double)size[0] * (double)size[1];
}

/* ---- softmax ---- */

double rows_exponentials(const double *x, int64_t n, double *top) {
  double sum = 0;
  *top = -INFINITY;
  for (int64_t j = 0; j < n; j++)
    *top = fmax(*top, x[j]);
  for (int64_t j = 0; j < n; j++)
    sum += exp(x[j] - *top);
  return sum;
}

void rows_softmax_reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t n = a[0].shape[1];
  for (int64_t i = 0; i < a[0].shape[0]; i++) {
    const double *x = a[0].data + i * n;
    double top, sum = rows_exponentials(x, n, &top);
    for (int64_t j = 0; j < n; j++)
      a[1].data[i * n + j] = exp(x[j] - top) / sum;
  }
}

#define LOOP(NAME, T, W, FROM, TO)                                                                                     \
  static void NAME(void *const *args, const int64_t *size) {                                                           \
    const int64_t n = size[1];                                                                                         \
    for (int64_t i = 0; i < size[0]; i++) {                                                                            \
      const T *x = (const T *)args[0] + i * n;                                                                         \
      T *y = (T *)args[1] + i * n;                                                                                     \
      W top = -(W)INFINITY, sum = 0;                                                                                   \
      for (int64_t j = 0; j < n; j++)                                                                                  \
        top = FROM(x[j]) > top ? FROM(x[j]) : top;                                                                     \
      for (int64_t j = 0; j < n; j++) {                                                                                \
        const W e = HL_PLAIN_EXP(FROM(x[j]) - top);                                                                    \
        y[j] = TO(e);                                                                                                  \
        sum += e;                                                                                                      \
      }                                                                                                                \
      for (int64_t j = 0; j < n; j++)                                                                                  \
        y[j] = TO(FROM(y[j]) / sum);                                                                                   \
    }                                                                                                                  \
  }
HL_PLAIN_FLOATS(LOOP, softmax_loop)
#undef LOOP

const hl_example_plain rows_softmax_loops[] = {HL_PLAIN_ROWS(softmax_loop), {HL_DTYPE_NONE, NULL}};

double rows_softmax_bytes(const int64_t *size, uint32_t element) {
  return 2.0 * (double)size[0] * (double)size[1] * element;
}

/* ---- moments ---- */

void rows_moments(const double *x, int64_t n, double *mean, double *variance) {
  *mean = *variance = 0;
  for (int64_t j = 0; j < n; j++)
    *mean += x[j] / (double)n;
  for (int64_t j = 0; j < n; j++)
    *variance += (x[j] - *mean) * (x[j] - *mean) / (double)n;
}

double rows_normalize(const double *x, const double *weight, const double *bias, const hl_example_tensor *out,
                      int64_t row, double *mean) {
  const int64_t n = out->shape[1];
  double *y = out->data + row * n, *scale = out->scale + row * n;
  double variance;
  rows_moments(x, n, mean, &variance);
  const double rstd = 1 / sqrt(variance + 1e-5);
  for (int64_t j = 0; j < n; j++) {
    y[j] = (x[j] - *mean) * rstd * weight[j] + bias[j];
    scale[j] = (fabs(x[j]) + fabs(*mean)) * rstd * fabs(weight[j]) + fabs(bias[j]);
  }
  return rstd;
}
