/* plain.h: the obvious C loop of an example in every dtype that C has, from one text.  The text is a macro
 *
 *     LOOP(name, T, W, from, to)
 *
 * that defines the function `name` on elements of type T, computing in W; from(x) and to(y) convert between them. */
#ifndef HL_EXAMPLE_PLAIN_H
#define HL_EXAMPLE_PLAIN_H

#include <math.h>
#include <string.h>

#include "examples/example.h"

/* bf16 is the upper half of a float; to nearest, ties to even. */
static inline float hl_plain_from_bf16(uint16_t x) {
  const uint32_t bits = (uint32_t)x << 16;
  float y;
  memcpy(&y, &bits, sizeof y);
  return y;
}
static inline uint16_t hl_plain_to_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (uint16_t)(x != x ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#define HL_PLAIN_SAME(x) (x)
#ifdef __FLT16_MAX__
__extension__ typedef _Float16 hl_plain_f16;
#define HL_PLAIN_FROM_F16(x)     ((float)(x))
#define HL_PLAIN_TO_F16(x)       ((hl_plain_f16)(x))
#define HL_PLAIN_F16(LOOP, NAME) LOOP(NAME##_f16, hl_plain_f16, float, HL_PLAIN_FROM_F16, HL_PLAIN_TO_F16)
#define HL_PLAIN_F16_ROW(NAME)   {HL_F16, NAME##_f16},
#else
#define HL_PLAIN_F16(LOOP, NAME)
#define HL_PLAIN_F16_ROW(NAME)
#endif

/* The functions, and their rows in a table of loops. */
#define HL_PLAIN_FLOATS(LOOP, NAME)                                                                                    \
  LOOP(NAME##_f32, float, float, HL_PLAIN_SAME, HL_PLAIN_SAME)                                                         \
  LOOP(NAME##_f64, double, double, HL_PLAIN_SAME, HL_PLAIN_SAME)                                                       \
  LOOP(NAME##_bf16, uint16_t, float, hl_plain_from_bf16, hl_plain_to_bf16)                                             \
  HL_PLAIN_F16(LOOP, NAME)
#define HL_PLAIN_ROWS(NAME)                                                                                            \
  {HL_F32, NAME##_f32}, {HL_F64, NAME##_f64}, HL_PLAIN_F16_ROW(NAME) {                                                 \
    HL_BF16, NAME##_bf16                                                                                               \
  }

#define HL_PLAIN_EXP(x)  _Generic((x), double : exp, default : expf)(x)
#define HL_PLAIN_SQRT(x) _Generic((x), double : sqrt, default : sqrtf)(x)

#endif
