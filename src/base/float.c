/* float.c: floating formats as data, and numbers to and from them.
 *
 *   format      bits       largest     beyond it     infinity    NaN
 *   f16, bf16   as IEEE    65504 ..    infinity      infinity    many
 *   f8e4m3      1 4 3      448         448           448         0x7f, 0xff
 *   f8e5m2      1 5 2      57344       57344         infinity    many
 *   f8e4m3fnuz  1 4 3      240         240           240         0x80 (there is no -0)
 *   f8e5m2fnuz  1 5 2      57344       57344         57344       0x80 (there is no -0)
 *   f8e8m0      0 8 0      2^127       2^127         2^127       0xff (powers of two, no zero, no sign)
 *
 * Rounding is to nearest, ties to even; f8e8m0 takes the nearest power of two, the greater one of two equally near,
 * ignores the sign, and its least number stands for all smaller ones.  The 8-bit formats saturate, as the GPUs'
 * conversions do.  SPDX-License-Identifier: MIT */
#include <math.h>
#include "src/base/base.h"

hli_float_format hli_float_format_of(hl_dtype dtype) {
  switch (dtype) {
  case HL_F16:
    return (hli_float_format){5, 10, 15, HLI_FLOAT_IEEE};
  case HL_BF16:
    return (hli_float_format){8, 7, 127, HLI_FLOAT_IEEE};
  case HL_F32:
    return (hli_float_format){8, 23, 127, HLI_FLOAT_IEEE};
  case HL_F8E4M3:
    return (hli_float_format){4, 3, 7, HLI_FLOAT_FINITE};
  case HL_F8E5M2:
    return (hli_float_format){5, 2, 15, HLI_FLOAT_SATURATING};
  case HL_F8E4M3FNUZ:
    return (hli_float_format){4, 3, 8, HLI_FLOAT_UNSIGNED_ZERO};
  case HL_F8E5M2FNUZ:
    return (hli_float_format){5, 2, 16, HLI_FLOAT_UNSIGNED_ZERO};
  case HL_F8E8M0:
    return (hli_float_format){8, 0, 127, HLI_FLOAT_SCALE};
  default:
    return (hli_float_format){11, 52, 1023, HLI_FLOAT_IEEE};
  }
}

uint64_t hli_float_largest(hli_float_format f) {
  const uint64_t codes = 1ull << (f.exponent + f.mantissa);
  switch (f.special) {
  case HLI_FLOAT_FINITE: /* the last one is NaN */
  case HLI_FLOAT_SCALE:
    return codes - 2;
  case HLI_FLOAT_UNSIGNED_ZERO:
    return codes - 1;
  default: /* below infinity */
    return codes - (1ull << f.mantissa) - 1;
  }
}

uint64_t hli_float_nan(hli_float_format f) {
  const uint64_t codes = 1ull << (f.exponent + f.mantissa);
  switch (f.special) {
  case HLI_FLOAT_FINITE:
  case HLI_FLOAT_SCALE:
  case HLI_FLOAT_SATURATING:
    return codes - 1;
  case HLI_FLOAT_UNSIGNED_ZERO:
    return codes; /* what would be -0 */
  default:
    return codes - (1ull << (f.mantissa - 1));
  }
}

/* ---- to double ---------------------------------------------------------------------------- */

static bool is_special(hli_float_format f, uint64_t bits) {
  const uint64_t size = bits & ((1ull << (f.exponent + f.mantissa)) - 1);
  return f.special == HLI_FLOAT_UNSIGNED_ZERO ? bits == hli_float_nan(f) : size > hli_float_largest(f);
}

double hli_float_widen(hli_float_format f, uint64_t bits) {
  const uint64_t sign = f.special == HLI_FLOAT_SCALE ? 0 : (bits >> (f.exponent + f.mantissa)) & 1;
  const int exponent = (int)(bits >> f.mantissa) & ((1 << f.exponent) - 1);
  const uint64_t fraction = bits & ((1ull << f.mantissa) - 1);
  if (f.mantissa == 52)
    return hli_double_of(bits);
  if (f.special == HLI_FLOAT_SCALE)
    return is_special(f, bits) ? (double)NAN : ldexp(1, exponent - f.bias);
  if (is_special(f, bits)) {
    const bool many = f.special == HLI_FLOAT_IEEE || f.special == HLI_FLOAT_SATURATING;
    return hli_double_of(sign << 63 | 0x7ffull << 52 | (many ? fraction << (52 - f.mantissa) : 1ull << 51));
  }
  if (exponent == 0) { /* zero or subnormal: exact */
    const double d = ldexp((double)fraction, 1 - f.bias - f.mantissa);
    return sign ? -d : d;
  }
  return hli_double_of(sign << 63 | (uint64_t)(exponent - f.bias + 1023) << 52 | fraction << (52 - f.mantissa));
}

/* ---- from double ---------------------------------------------------------------------------- */

/* A NaN keeps its sign, and the upper bits of its payload where the format has room. */
static uint64_t narrow_nan(hli_float_format f, uint64_t sign, uint64_t fraction) {
  if (f.special == HLI_FLOAT_UNSIGNED_ZERO || f.special == HLI_FLOAT_SCALE)
    return hli_float_nan(f);
  if (f.special == HLI_FLOAT_FINITE)
    return sign | hli_float_nan(f);
  uint64_t payload = fraction >> (52 - f.mantissa);
  if (!payload)
    payload = 1ull << (f.mantissa - 1);
  return sign | (hli_float_largest(f) + 1) | payload;
}

static uint64_t narrow_scale(hli_float_format f, double d) {
  int exponent;
  const double half = frexp(fabs(d), &exponent); /* in [1/2, 1) */
  if (isinf(d))
    return hli_float_largest(f);
  exponent += f.bias - 1 + (half >= 0.75);
  return d == 0 || exponent < 0 ? 0 : HLI_MIN((uint64_t)exponent, hli_float_largest(f));
}

uint64_t hli_float_narrow(hli_float_format f, double d) {
  const uint64_t b = hli_double_bits(d), fraction = b & ((1ull << 52) - 1), sign = (b >> 63) << (f.exponent + f.mantissa);
  const uint64_t largest = hli_float_largest(f), beyond = largest + (f.special == HLI_FLOAT_IEEE);
  const int e = ((int)(b >> 52) & 0x7ff) - 1023, low = 1 - f.bias;
  if (f.mantissa == 52)
    return b;
  if (isnan(d))
    return narrow_nan(f, sign, fraction);
  if (f.special == HLI_FLOAT_SCALE)
    return narrow_scale(f, d);
  uint64_t kept = 0;
  const int shift = 52 - f.mantissa + (e < low ? low - e : 0);
  if (isinf(d)) {
    kept = largest + (f.special == HLI_FLOAT_IEEE || f.special == HLI_FLOAT_SATURATING);
  } else if (e > -1023 && shift <= 54) { /* a subnormal double is far below half of any format's least number */
    const uint64_t significand = fraction | 1ull << 52;
    const uint64_t lost = significand & ((1ull << shift) - 1), half = 1ull << (shift - 1);
    kept = significand >> shift;
    if (lost > half || (lost == half && (kept & 1)))
      kept++;
    /* The carry of rounding moves on into the exponent, up to infinity. */
    if (e >= low)
      kept += (uint64_t)(e + f.bias - 1) << f.mantissa;
    kept = HLI_MIN(kept, beyond);
  }
  return kept == 0 && f.special == HLI_FLOAT_UNSIGNED_ZERO ? 0 : sign | kept;
}
