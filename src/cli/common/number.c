/* number.c: conversions between dtypes and doubles, random data, and the tolerance. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "src/cli/common/number.h"

/* ---- conversions ---- */

static double half_to_double(uint16_t h) {
  const double sign = h & 0x8000 ? -1 : 1;
  const int exponent = h >> 10 & 31, fraction = h & 1023;
  if (exponent == 31)
    return fraction ? (double)NAN : sign * (double)INFINITY;
  return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

static uint16_t double_to_half(double x) {
  const uint16_t sign = signbit(x) ? 0x8000 : 0;
  const double a = fabs(x);
  int e;
  if (isnan(x))
    return 0x7e00;
  if (a >= 65520)
    return sign | 0x7c00;
  if (a < 0x1p-14)
    return (uint16_t)(sign | (uint16_t)rint(a * 0x1p24));
  const double m = frexp(a, &e); /* a = m 2^e, m in [0.5, 1): a carry of the fraction moves the exponent on */
  return (uint16_t)(sign | (((e + 14) << 10) + (int)rint(ldexp(m, 11)) - 1024));
}

static double bfloat_to_double(uint16_t b) {
  const uint32_t bits = (uint32_t)b << 16;
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

static uint16_t double_to_bfloat(double x) {
  const float f = (float)x;
  uint32_t bits;
  memcpy(&bits, &f, 4);
  if (isnan(x))
    return 0x7fc0;
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* The 8-bit formats: fields, and the last code of a positive number. */
typedef struct tiny {
  int exponent, mantissa, bias, last, nan;
} tiny;

static tiny tiny_of(hl_dtype dtype) {
  switch (dtype) {
  case HL_F8E4M3:
    return (tiny){4, 3, 7, 0x7e, 0x7f};
  case HL_F8E5M2:
    return (tiny){5, 2, 15, 0x7b, 0x7f};
  case HL_F8E4M3FNUZ:
    return (tiny){4, 3, 8, 0x7f, 0x80};
  case HL_F8E5M2FNUZ:
    return (tiny){5, 2, 16, 0x7f, 0x80};
  case HL_F8E8M0:
    return (tiny){8, 0, 127, 0xfe, 0xff};
  default:
    return (tiny){0};
  }
}

bool cli_is_tiny(hl_dtype dtype) {
  return tiny_of(dtype).exponent != 0;
}

static double tiny_to_double(hl_dtype dtype, uint8_t code) {
  const tiny t = tiny_of(dtype);
  const int size = dtype == HL_F8E8M0 ? code : code & 0x7f, e = size >> t.mantissa, f = size & ((1 << t.mantissa) - 1);
  const double sign = size == code ? 1 : -1;
  if (code == 0x80 && t.nan == 0x80)
    return (double)NAN;
  if (size > t.last)
    return dtype == HL_F8E5M2 && size == 0x7c ? sign * (double)INFINITY : (double)NAN;
  if (dtype == HL_F8E8M0)
    return ldexp(1, e - t.bias);
  return sign * (e ? ldexp((1 << t.mantissa) + f, e - t.bias - t.mantissa) : ldexp(f, 1 - t.bias - t.mantissa));
}

/* The nearest one by bisection; of two equally near the even code, or the greater power of two. */
static uint8_t double_to_tiny(hl_dtype dtype, double x) {
  const tiny t = tiny_of(dtype);
  const bool scale = dtype == HL_F8E8M0;
  const double size = fabs(x);
  int low = 0, high = t.last;
  if (isnan(x))
    return (uint8_t)t.nan;
  while (low < high) { /* the greatest code whose number is at most size */
    const int middle = (low + high + 1) / 2;
    if (tiny_to_double(dtype, (uint8_t)middle) <= size)
      low = middle;
    else
      high = middle - 1;
  }
  if (low < t.last) {
    const double below = size - tiny_to_double(dtype, (uint8_t)low);
    const double above = tiny_to_double(dtype, (uint8_t)(low + 1)) - size;
    low += above < below || (above == below && (scale || low % 2 == 1));
  }
  if (isinf(x) && dtype == HL_F8E5M2)
    low = 0x7c;
  return (uint8_t)(scale || !signbit(x) || (low == 0 && t.nan == 0x80) ? low : low | 0x80);
}

bool cli_is_float(hl_dtype dtype) {
  return dtype == HL_F16 || dtype == HL_BF16 || dtype == HL_F32 || dtype == HL_F64 || cli_is_tiny(dtype);
}

#define EACH(type, expression)                                                                                         \
  for (size_t i = 0; i < count; i++) {                                                                                 \
    type v;                                                                                                            \
    memcpy(&v, p + i * sizeof v, sizeof v);                                                                            \
    to[i] = (double)(expression);                                                                                      \
  }                                                                                                                    \
  break

void cli_to_double(hl_dtype dtype, const void *from, double *to, size_t count) {
  const unsigned char *p = from;
  switch (dtype) {
  case HL_BOOL:
    EACH(uint8_t, v != 0);
  case HL_I8:
    EACH(int8_t, v);
  case HL_I16:
    EACH(int16_t, v);
  case HL_I32:
    EACH(int32_t, v);
  case HL_I64:
    EACH(int64_t, v);
  case HL_U8:
    EACH(uint8_t, v);
  case HL_U16:
    EACH(uint16_t, v);
  case HL_U32:
    EACH(uint32_t, v);
  case HL_U64:
    EACH(uint64_t, v);
  case HL_F16:
    EACH(uint16_t, half_to_double(v));
  case HL_BF16:
    EACH(uint16_t, bfloat_to_double(v));
  case HL_F32:
    EACH(float, v);
  case HL_F64:
    EACH(double, v);
  case HL_F8E4M3:
  case HL_F8E5M2:
  case HL_F8E4M3FNUZ:
  case HL_F8E5M2FNUZ:
  case HL_F8E8M0:
    EACH(uint8_t, tiny_to_double(dtype, v));
  default:
    break;
  }
}
#undef EACH

#define EACH(type, expression)                                                                                         \
  for (size_t i = 0; i < count; i++) {                                                                                 \
    const double x = from[i];                                                                                          \
    const type v = (type)(expression);                                                                                 \
    memcpy(p + i * sizeof v, &v, sizeof v);                                                                            \
  }                                                                                                                    \
  break

void cli_from_double(hl_dtype dtype, const double *from, void *to, size_t count) {
  unsigned char *p = to;
  switch (dtype) {
  case HL_BOOL:
    EACH(uint8_t, x != 0);
  case HL_I8:
    EACH(int8_t, (int64_t)x);
  case HL_I16:
    EACH(int16_t, (int64_t)x);
  case HL_I32:
    EACH(int32_t, (int64_t)x);
  case HL_I64:
    EACH(int64_t, x);
  case HL_U8:
    EACH(uint8_t, (int64_t)x);
  case HL_U16:
    EACH(uint16_t, (int64_t)x);
  case HL_U32:
    EACH(uint32_t, (int64_t)x);
  case HL_U64:
    EACH(uint64_t, x);
  case HL_F16:
    EACH(uint16_t, double_to_half(x));
  case HL_BF16:
    EACH(uint16_t, double_to_bfloat(x));
  case HL_F32:
    EACH(float, x);
  case HL_F64:
    EACH(double, x);
  case HL_F8E4M3:
  case HL_F8E5M2:
  case HL_F8E4M3FNUZ:
  case HL_F8E5M2FNUZ:
  case HL_F8E8M0:
    EACH(uint8_t, double_to_tiny(dtype, x));
  default:
    break;
  }
}
#undef EACH

/* ---- random data ---- */

uint64_t cli_random(uint64_t *state) {
  uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

double cli_random_unit(uint64_t *state) {
  return (double)(cli_random(state) >> 11) * 0x1p-53;
}

static double one(const hl_arg_spec *spec, uint64_t *state) {
  switch (spec->dist) {
  case HL_DIST_NORMAL: { /* Box and Muller; the second number is not kept */
    const double radius = sqrt(-2 * log(1 - cli_random_unit(state)));
    return spec->a + spec->b * radius * cos(2 * 3.14159265358979323846 * cli_random_unit(state));
  }
  case HL_DIST_UNIFORM:
    return spec->a + (spec->b - spec->a) * cli_random_unit(state);
  case HL_DIST_INTEGER:
    return spec->a + floor((spec->b - spec->a + 1) * cli_random_unit(state));
  default:
    return spec->a;
  }
}

/* The i-th of n ascending numbers: each step has its own part of the range, so no sorting is needed. */
static double ascending(const hl_arg_spec *spec, uint64_t *state, size_t i, size_t n) {
  const double span = spec->b - spec->a, at = ((double)i + cli_random_unit(state)) / (double)n;
  if (spec->dist == HL_DIST_INTEGER)
    return spec->a + floor((span + 1) * at);
  if (spec->dist == HL_DIST_NORMAL)
    return spec->a + spec->b * 3 * (2 * at - 1);
  return spec->dist == HL_DIST_UNIFORM ? spec->a + span * at : spec->a;
}

void cli_random_fill(const hl_arg_spec *spec, hl_dtype dtype, uint64_t seed, void *to, size_t count) {
  double block[512];
  uint64_t state = seed;
  const size_t size = hl_dtype_size(dtype);
  for (size_t at = 0; at < count; at += 512) {
    const size_t n = count - at < 512 ? count - at : 512;
    for (size_t i = 0; i < n; i++)
      block[i] = spec->sorted ? ascending(spec, &state, at + i, count) : one(spec, &state);
    cli_from_double(dtype, block, (char *)to + at * size, n);
  }
}

/* ---- the tolerance ---- */

typedef struct format {
  double eps, least, largest, steps, acc_eps;
} format;

static format format_of(hl_dtype dtype) {
  if (cli_is_tiny(dtype)) /* of what is rounded to it: computed in f32 */
    dtype = HL_F32;
  switch (dtype) {
  case HL_F16:
    return (format){0x1p-10, 0x1p-24, 65504, 2, 0x1p-23};
  case HL_BF16:
    return (format){0x1p-7, 0x1p-133, 0x1.fep127, 2, 0x1p-23};
  case HL_F32:
    return (format){0x1p-23, 0x1p-149, (double)FLT_MAX, 8, 0x1p-23};
  default:
    return (format){0x1p-52, 0x1p-1074, DBL_MAX, 32, 0x1p-52};
  }
}

static double root_mean_square(const double *x, size_t count) {
  double sum = 0;
  size_t finite = 0;
  for (size_t i = 0; i < count; i++)
    if (isfinite(x[i]))
      sum += x[i] * x[i], finite++;
  return finite ? sqrt(sum / (double)finite) : 0;
}

static bool float_right(const format *f, double absolute, double got, double want, double *error, double *allowed) {
  *error = 0;
  *allowed = f->steps * f->eps * fabs(want) + absolute;
  if (isnan(want) || isnan(got))
    return isnan(want) && isnan(got);
  if (isinf(want))
    return got == want;
  if (isinf(got))
    return fabs(want) + *allowed >= f->largest && (got > 0) == (want > 0);
  *error = fabs(got - want);
  return *error <= *allowed;
}

/* An 8-bit number is right if something that f32 arithmetic may well have given rounds to it. */
static bool tiny_right(hl_dtype dtype, const format *f, double absolute, double got, double want, double *error,
                       double *allowed) {
  uint8_t low, high;
  double a, b;
  *error = 0;
  *allowed = f->steps * f->eps * fabs(want) + absolute;
  if (isnan(want) || isnan(got))
    return isnan(want) && isnan(got);
  low = double_to_tiny(dtype, want - *allowed), high = double_to_tiny(dtype, want + *allowed);
  a = tiny_to_double(dtype, low), b = tiny_to_double(dtype, high);
  *error = got < a ? a - got : got > b ? got - b : 0;
  *allowed = 0;
  return *error == 0;
}

void cli_judge(hl_dtype dtype, int64_t terms, const void *got, const double *want, const double *scale, size_t count,
               cli_judgement *out) {
  const format f = format_of(dtype);
  const bool discrete = !cli_is_float(dtype);
  const double absolute =
      2 * f.acc_eps * sqrt((double)(terms > 1 ? terms : 1)) * root_mean_square(want, count) + f.least;
  const size_t size = hl_dtype_size(dtype);
  double error_sum = 0, want_sum = 0, block[512];
  *out = (cli_judgement){.count = count};
  for (size_t i = 0; i < count; i++) {
    double error, allowed = 0;
    if (i % 512 == 0)
      cli_to_double(dtype, (const char *)got + i * size, block, count - i < 512 ? count - i : 512);
    const double g = block[i % 512], w = want[i], slack = absolute + (scale ? 8 * f.acc_eps * scale[i] : 0);
    bool ok;
    if (discrete)
      ok = (error = fabs(g - w)) == 0;
    else if (cli_is_tiny(dtype))
      ok = tiny_right(dtype, &f, slack, g, w, &error, &allowed);
    else
      ok = float_right(&f, slack, g, w, &error, &allowed);
    error_sum += error * error;
    if (isfinite(w))
      want_sum += w * w;
    if (allowed > 0 && error / allowed > out->worst)
      out->worst = error / allowed;
    if (!ok && out->wrong++ == 0)
      out->first = i, out->got = g, out->want = w, out->allowed = allowed;
  }
  out->frobenius = error_sum > 0 ? (want_sum > 0 ? sqrt(error_sum / want_sum) : (double)INFINITY) : 0;
  out->right = out->wrong == 0;
}
