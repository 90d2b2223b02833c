/* e4m3.h: f32 to f8e4m3 as a C programmer writes it, for the plain loops of the quantising kernels. */
#ifndef HL_EXAMPLE_E4M3_H
#define HL_EXAMPLE_E4M3_H

#include <math.h>
#include <stdint.h>

#define E4M3_LARGEST 448.0

/* To nearest even, saturating; not for NaN. */
static inline uint8_t to_e4m3(float x) {
  union {
    float f;
    uint32_t u;
  } v = {x}, size = {fminf(fabsf(x), (float)E4M3_LARGEST)};
  uint32_t code = (size.u + 0x7ffff + (size.u >> 20 & 1)) >> 20;
  if (size.f < 0x1p-6f)
    code = (uint32_t)lrintf(size.f * 0x1p9f); /* subnormal: units of 2^-9 */
  else
    code -= 120 << 3;
  return (uint8_t)((v.u >> 24 & 0x80) | code);
}

#endif
