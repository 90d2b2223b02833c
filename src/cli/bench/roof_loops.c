/* roof_loops.c: the loops of the memory roofs and of the peak rate, compiled for this machine (-O3 -march=native). */
#include <stdint.h>
#include <string.h>

#include "src/cli/bench/bench.h"

static void triad(float *restrict to, const float *restrict a, const float *restrict b, size_t n) {
  for (size_t i = 0; i < n; i++)
    to[i] = a[i] + 3.0f * b[i];
}

/* Integers, so that the compiler may use as many accumulators as it likes. */
static uint64_t read_all(const uint64_t *a, size_t n) {
  uint64_t s[4] = {0};
  size_t i = 0;
  for (; i + 64 <= n; i += 64)
    for (size_t k = 0; k < 64; k += 4)
      for (size_t l = 0; l < 4; l++)
        s[l] += a[i + k + l];
  for (; i < n; i++)
    s[0] += a[i];
  return s[0] + s[1] + s[2] + s[3];
}

void roof_loop(roof_kind kind, void *to, const void *a, const void *b, size_t bytes, double *sum) {
  if (kind == ROOF_COPY)
    memcpy(to, a, bytes);
  else if (kind == ROOF_TRIAD)
    triad(to, a, b, bytes / sizeof(float));
  else
    *sum += (double)read_all(a, bytes / sizeof(uint64_t));
}

/* Independent chains of fused multiply-adds, more than latency times issue width of any processor; they converge, so
 * nothing overflows. */
#if defined(__AVX512F__)
typedef float vector __attribute__((vector_size(64)));
#else
typedef float vector __attribute__((vector_size(32)));
#endif
enum { LANES = sizeof(vector) / sizeof(float), CHAINS = 12 };

bool roof_has_fma(void) {
#if defined(__FMA__)
  return true;
#else
  return false; /* the program was not compiled for this machine */
#endif
}

float roof_fma(double operations) {
  vector x[CHAINS], scale = {0}, step = {0};
  const int64_t rounds = (int64_t)(operations / (2.0 * LANES * CHAINS)) + 1;
  volatile float half = 0.5f, one = 1.0f; /* unknown to the compiler: it folds chains that it can follow */
  float sum = 0;
  scale += half;
  step += one;
  for (int c = 0; c < CHAINS; c++)
    x[c] = scale * (float)c;
  for (int64_t i = 0; i < rounds; i++) {
    _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) x[c] = x[c] * scale + step;
  }
  for (int c = 0; c < CHAINS; c++)
    sum += x[c][0];
  return sum;
}
