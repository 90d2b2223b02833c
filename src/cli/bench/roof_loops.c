/* roof_loops.c: the loops of the memory roofs and of the peak rate, compiled for this machine (-O3 -march=native). */
#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

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

/* Independent chains of multiply-adds, more than latency times issue width of any processor; those of floats
 * converge, so nothing overflows.  What feeds them is unknown to the compiler: it folds chains that it can follow. */
#if defined(__AVX512F__)
#define BYTES  64
#define CHAINS 24 /* of 32 registers; 12 are too few for the latency of dpbf16ps */
#else
#define BYTES  32
#define CHAINS 12
#endif

#define FMA_LOOP(name, number)                                                                                         \
  typedef number name##_vector __attribute__((vector_size(BYTES)));                                                    \
  static float name(int64_t rounds) {                                                                                  \
    volatile number half = (number)0.5, one = 1;                                                                       \
    name##_vector x[CHAINS], scale = {0}, step = {0};                                                                  \
    number sum = 0;                                                                                                    \
    scale += half;                                                                                                     \
    step += one;                                                                                                       \
    for (int c = 0; c < CHAINS; c++)                                                                                   \
      x[c] = scale * (number)c;                                                                                        \
    for (int64_t i = 0; i < rounds; i++) {                                                                             \
      _Pragma("GCC unroll 24") for (int c = 0; c < CHAINS; c++) x[c] = x[c] * scale + step;                            \
    }                                                                                                                  \
    for (int c = 0; c < CHAINS; c++)                                                                                   \
      sum += x[c][0];                                                                                                  \
    return (float)sum;                                                                                                 \
  }
FMA_LOOP(fma32, float)
FMA_LOOP(fma64, double)

#if defined(__AVX512BF16__) && defined(__AVX512F__)
static float bf16(int64_t rounds) {
  volatile int pair = 0x3c003c00; /* two small numbers: 16 of their squares a step stay finite */
  const __m512bh a = (__m512bh)_mm512_set1_epi32(pair), b = (__m512bh)_mm512_set1_epi32(pair);
  __m512 x[CHAINS];
  for (int c = 0; c < CHAINS; c++)
    x[c] = _mm512_setzero_ps();
  for (int64_t i = 0; i < rounds; i++) {
    _Pragma("GCC unroll 24") for (int c = 0; c < CHAINS; c++) x[c] = _mm512_dpbf16_ps(x[c], a, b);
  }
  for (int c = 1; c < CHAINS; c++)
    x[0] = _mm512_add_ps(x[0], x[c]);
  return _mm512_reduce_add_ps(x[0]);
}
#define HAS_BF16 true
#else
static float bf16(int64_t rounds) {
  return (float)rounds;
}
#define HAS_BF16 false
#endif

/* With 24 chains of int8 compilers copy accumulators about, which halves the rate. */
#define INT8_CHAINS 12
#if defined(__AVX512VNNI__) && defined(__AVX512F__)
static float int8(int64_t rounds) {
  volatile int four = 0x01020304;
  const __m512i a = _mm512_set1_epi32(four), b = _mm512_set1_epi32(four);
  __m512i x[INT8_CHAINS];
  for (int c = 0; c < INT8_CHAINS; c++)
    x[c] = _mm512_set1_epi32(c);
  for (int64_t i = 0; i < rounds; i++) {
    _Pragma("GCC unroll 12") for (int c = 0; c < INT8_CHAINS; c++) x[c] = _mm512_dpbusd_epi32(x[c], a, b);
  }
  for (int c = 1; c < INT8_CHAINS; c++)
    x[0] = _mm512_xor_si512(x[0], x[c]);
  return (float)_mm512_reduce_add_epi32(x[0]);
}
#define HAS_INT8 true
#else
static float int8(int64_t rounds) {
  return (float)rounds;
}
#define HAS_INT8 false
#endif

bool roof_has(roof_kind kind) {
#if defined(__FMA__)
  const bool fma = true;
#else
  const bool fma = false; /* the program was not compiled for this machine */
#endif
  return kind == ROOF_BF16 ? HAS_BF16 : kind == ROOF_INT8 ? HAS_INT8 : kind < ROOF_FMA || fma;
}

float roof_arithmetic(roof_kind kind, double operations) {
  /* multiplications of one step of one chain: elements of a register */
  const double width = kind == ROOF_FMA64 ? BYTES / 8 : kind == ROOF_FMA ? BYTES / 4 : kind == ROOF_BF16 ? 32 : 64;
  const double chains = kind == ROOF_INT8 ? INT8_CHAINS : CHAINS;
  const int64_t rounds = (int64_t)(operations / (2 * width * chains)) + 1;
  switch (kind) {
  case ROOF_FMA64:
    return fma64(rounds);
  case ROOF_BF16:
    return bf16(rounds);
  case ROOF_INT8:
    return int8(rounds);
  default:
    return fma32(rounds);
  }
}
