/* rows.h: references and obvious loops over the rows of a matrix [M, N] that several kernels are compared with. */
#ifndef HL_EXAMPLE_ROWS_H
#define HL_EXAMPLE_ROWS_H

#include "examples/example.h"

/* Parameters x [M, N], out [M]: sums. */
void rows_sum_reference(const hl_example_tensor *a, uint32_t count);
extern const hl_example_plain rows_sum_loops[];
double rows_sum_bytes(const int64_t *size, uint32_t element);
double rows_sum_flops(const int64_t *size);

/* Parameters x, out [M, N]: softmax. */
void rows_softmax_reference(const hl_example_tensor *a, uint32_t count);
extern const hl_example_plain rows_softmax_loops[];
double rows_softmax_bytes(const int64_t *size, uint32_t element); /* x once and out once */

/* Of one row: the sum of exp(x - *top), *top the largest of x. */
double rows_exponentials(const double *x, int64_t n, double *top);
/* Of one row: mean and variance. */
void rows_moments(const double *x, int64_t n, double *mean, double *variance);
/* A row of `out`, and its scale: (x - mean) / sqrt(variance + 1e-5) * weight + bias; gives 1 / sqrt(variance + 1e-5).
 */
double rows_normalize(const double *x, const double *weight, const double *bias, const hl_example_tensor *out,
                      int64_t row, double *mean);

#endif
