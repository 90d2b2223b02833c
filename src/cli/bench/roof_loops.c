/* roof_loops.c: the loops of the memory roofs and of the peak rate, compiled for this machine (-O3 -march=native). */
#include <stdint.h>
#include <string.h>

#include "src/cli/bench/bench.h"

static void triad(float *restrict to, const float *restrict a, const float *restrict b, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = a[i] + 3.0f * b[i];
}

/* Integers, so that the compiler may use as many accumulators as it likes. */
static uint64_t read_all(const uint64_t *a, size_t n) {
  uint64_t s[4] = {0};
  size_t i = 0;
  for (; i + 64 <= n; i += 64)
    for (size_t k = 0; k < 64; k += 4)
      for (size_t l = 0; l < 4; l++) s[l] += a[i + k + l];
  for (; i < n; i++) s[0] += a[i];
  return s[0] + s[1] + s[2] + s[3];
}

void roof_loop(roof_kind kind, void *to, const void *a, const void *b, size_t bytes, double *sum) {
  if (kind == ROOF_COPY) memcpy(to, a, bytes);
  else if (kind == ROOF_TRIAD) triad(to, a, b, bytes / sizeof(float));
  else *sum += (double)read_all(a, bytes / sizeof(uint64_t));
}
