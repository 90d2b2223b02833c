/* squeeze.h: what the two kernels of squeeze-excitation share; sizes are M, N, K. */
#ifndef HL_EXAMPLE_SQUEEZE_H
#define HL_EXAMPLE_SQUEEZE_H

#include "examples/product.h"

static const hl_example_shape squeeze_odd[] = {{{1, 1, 1}}, {{33, 40, 7}}, {{5, 65, 20}}, {{0}}};
/* f32 and f64: in 16 bits the hidden layer is rounded, and where it is nearly 0 a reference rounds the other way. */
static const hl_dtype squeeze_dtypes[] = {HL_F32, HL_F64, HL_DTYPE_NONE};

static double squeeze_bytes(const int64_t *s, uint32_t element) {
  return (3.0 * (double)s[0] * (double)s[1] + 2.0 * (double)s[1] * (double)s[2] + (double)s[0] * (double)s[2]) *
         element;
}
static double squeeze_flops(const int64_t *s) {
  return 4.0 * (double)s[0] * (double)s[1] * (double)s[2];
}
static int64_t squeeze_reduction(const int64_t *s) {
  return s[1] + s[2];
}

#endif
