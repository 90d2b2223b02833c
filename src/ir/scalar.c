/* scalar.c: what a pointwise op computes on one element.
 *
 * Folding and the interpreter call this; the emitters are tested against it.  Floats travel as double,
 * integers as 64-bit.  `typed` mode rounds every result to its dtype, once: for + - * / sqrt
 * rounding the double's result again is exact for all narrower formats (53 >= 2 * 24 + 2 bits), and where it
 * would not be (fma, conversions from 64-bit integers) the intermediate result is rounded to odd first.
 * `exact` mode leaves floats in double.  NaN results are the canonical positive quiet NaN, so that
 * folding gives the same text on every machine.  SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE 1 /* lgamma_r */
#include <math.h>
#include "src/ir/expand.h"

/* ---- bits <-> scalar ------------------------------------------------------------------- */

static int64_t sign_extend(uint64_t bits, uint32_t width) { return (int64_t)(bits << (64 - width)) >> (64 - width); }

hli_scalar hli_scalar_from_bits(hl_dtype dtype, uint64_t bits) {
  uint32_t width = 8 * hl_dtype_size(dtype);
  switch (hli_dtype_kind(dtype)) {
  case 'b': return (hli_scalar){.i = (bits & 0xff) != 0};
  case 'i': return (hli_scalar){.i = sign_extend(bits, width)};
  case 'u': return (hli_scalar){.u = bits << (64 - width) >> (64 - width)};
  case 'f': return (hli_scalar){.f = hli_float_widen(hli_float_format_of(dtype), bits)};
  default: return (hli_scalar){.u = 0};
  }
}

uint64_t hli_scalar_to_bits(hl_dtype dtype, hli_scalar s) {
  uint32_t width = 8 * hl_dtype_size(dtype);
  switch (hli_dtype_kind(dtype)) {
  case 'b': return s.i != 0;
  case 'i':
  case 'u': return s.u << (64 - width) >> (64 - width);
  case 'f': return hli_float_narrow(hli_float_format_of(dtype), s.f);
  default: return 0;
  }
}

static hli_scalar rounded(hl_dtype dtype, hli_scalar s) {
  return hli_scalar_from_bits(dtype, hli_scalar_to_bits(dtype, s));
}

/* ---- rounding to odd ------------------------------------------------------------------------ */

/* The double below or above `sum` whose last bit is 1, if sum is not exact; `error` has the sign of what is
 * missing.  A later rounding to 24 bits or fewer then is the only one. */
static double to_odd(double sum, double error) {
  if (error == 0 || isnan(error) || !isfinite(sum) || (hli_double_bits(sum) & 1))
    return sum;
  return nextafter(sum, error > 0 ? INFINITY : -INFINITY);
}

/* a * b + c; a and b have at most 24 bits, so that the product is exact. */
static double fma_odd(double a, double b, double c) {
  double p = a * b, sum = p + c, part = sum - p;
  return to_odd(sum, (p - (sum - part)) + (c - part));
}

static double i64_to_double_odd(int64_t i) {
  double d = (double)i;
  if (d >= 0x1p63)
    return to_odd(d, -1); /* rounded up from below 2^63 */
  int64_t back = (int64_t)d;
  return to_odd(d, back == i ? 0 : back < i ? 1 : -1);
}
static double u64_to_double_odd(uint64_t u) {
  double d = (double)u;
  if (d >= 0x1p64)
    return to_odd(d, -1);
  uint64_t back = (uint64_t)d;
  return to_odd(d, back == u ? 0 : back < u ? 1 : -1);
}

/* ---- floats ------------------------------------------------------------------------------------ */

static double round_even(double x) {
  if (!(fabs(x) < 0x1p52))
    return x;
  double down = floor(x), rest = x - down;
  double up = down + 1;
  double r = rest < 0.5 ? down : rest > 0.5 ? up : fmod(down, 2) == 0 ? down : up;
  return copysign(r, x);
}

/* NaN propagates; -0 is below +0. */
static double min_f(double a, double b) {
  if (isnan(a) || isnan(b))
    return NAN;
  return a < b || (a == b && signbit(a)) ? a : b;
}

/* Sign of the divisor. */
static double rem_f(double a, double b) {
  double r = fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* x times a probability, in long double: a double's argument is not good enough for the exponential of a very
 * negative x.  As PyTorch has it, -inf gives NaN. */
static double gelu_tanh(double x) {
  const long double k = 1.595769121605730711759782178L; /* 2 sqrt(2 / pi) */
  return (double)(x / (1 + expl(-k * x * (1 + 0.044715L * x * x))));
}
static double gelu_erf(double x) {
  return (double)(0.5L * x * erfcl(-0.7071067811865475244008443621L * x));
}

/* Halley's steps on Winitzki's approximation, in long double: two make 2e-3 into 1e-24. */
static double erfinv(double x) {
  const long double a = fabsl((long double)x), k = 0.147L, half_root_pi = 0.886226925452758013649083741670572591L;
  const long double l = log1pl(-a) + log1pl(a), t = l / 2 + 2 / (3.14159265358979323846L * k), part = -l / k;
  if (!(a < 1) || a == 0)
    return a == 0 ? x : a == 1 ? copysign(INFINITY, x) : NAN;
  long double y = sqrtl(part / (sqrtl(t * t + part) + t));
  for (int i = 0; i < 3; i++) {
    const long double off = a < 0.5L ? erfl(y) - a : (1 - a) - erfcl(y), u = off * half_root_pi * expl(y * y);
    y -= u / (1 + y * u);
  }
  return copysign((double)y, x);
}

/* lgamma() without the sign that it leaves in a global variable. */
static double log_gamma(double x) {
  int sign;
  return lgamma_r(x, &sign);
}

/* Nearest number with 10 bits of fraction, of two equally near the one further from 0; exact mode keeps all of x. */
static double tf32(double x, bool typed) {
  if (!typed || isnan(x))
    return x;
  const uint64_t bits = hli_scalar_to_bits(HL_F32, (hli_scalar){.f = x});
  return hli_scalar_from_bits(HL_F32, (bits + 0x1000) & ~(uint64_t)0x1fff).f;
}

static double eval_float(hli_opcode code, hl_dtype dtype, const hli_scalar *a, bool typed) {
  double x = a[0].f, y = 0;
  if (hli_op_facts(code)->in_min > 1)
    y = a[1].f;
  switch (code) {
  case HLI_OP_NEG: return -x;
  case HLI_OP_ABS: return fabs(x);
  case HLI_OP_EXP: return exp(x);
  case HLI_OP_EXP2: return exp2(x);
  case HLI_OP_LOG: return log(x);
  case HLI_OP_LOG2: return log2(x);
  case HLI_OP_SQRT: return sqrt(x);
  case HLI_OP_EXPM1: return expm1(x);
  case HLI_OP_LOG10: return log10(x);
  case HLI_OP_LOG1P: return log1p(x);
  case HLI_OP_SIN: return sin(x);
  case HLI_OP_COS: return cos(x);
  case HLI_OP_TAN: return tan(x);
  case HLI_OP_ASIN: return asin(x);
  case HLI_OP_ACOS: return acos(x);
  case HLI_OP_ATAN: return atan(x);
  case HLI_OP_SINH: return sinh(x);
  case HLI_OP_COSH: return cosh(x);
  case HLI_OP_TANH: return tanh(x);
  case HLI_OP_ASINH: return asinh(x);
  case HLI_OP_ACOSH: return acosh(x);
  case HLI_OP_ATANH: return atanh(x);
  case HLI_OP_ERF: return erf(x);
  case HLI_OP_ERFC: return erfc(x);
  case HLI_OP_ERFINV: return erfinv(x);
  case HLI_OP_LGAMMA: return log_gamma(x);
  case HLI_OP_GELU_TANH: return gelu_tanh(x);
  case HLI_OP_GELU_ERF: return gelu_erf(x);
  case HLI_OP_SOFTPLUS: return fmax(x, 0) + log1p(exp(-fabs(x)));
  case HLI_OP_TF32: return tf32(x, typed);
  case HLI_OP_FLOOR: return floor(x);
  case HLI_OP_CEIL: return ceil(x);
  case HLI_OP_TRUNC: return trunc(x);
  case HLI_OP_ROUND: return round_even(x);
  case HLI_OP_ADD: return x + y;
  case HLI_OP_SUB: return x - y;
  case HLI_OP_MUL: return x * y;
  case HLI_OP_DIV: return x / y;
  case HLI_OP_FLOORDIV: return floor(x / y);
  case HLI_OP_TRUNCDIV: return trunc(x / y);
  case HLI_OP_REM: return rem_f(x, y);
  case HLI_OP_FMOD: return fmod(x, y);
  case HLI_OP_POW: return y == 0 || x == 1 ? 1 : pow(x, y); /* C may give NaN for a signalling one */
  case HLI_OP_ATAN2: return atan2(x, y);
  case HLI_OP_MIN: return min_f(x, y);
  case HLI_OP_MAX: return -min_f(-x, -y);
  case HLI_OP_FMA: return typed && dtype != HL_F64 ? fma_odd(x, y, a[2].f) : fma(x, y, a[2].f);
  default: return NAN;
  }
}

/* ---- integers ------------------------------------------------------------------------------------- */

static uint64_t shifted(hli_opcode code, char kind, uint32_t width, hli_scalar a, hli_scalar b) {
  bool far = kind == 'i' ? b.i < 0 || b.i >= (int64_t)width : b.u >= width;
  if (code == HLI_OP_SHL)
    return far ? 0 : a.u << b.u;
  if (kind == 'i')
    return (uint64_t)(a.i >> (far ? 63 : b.i));
  return far ? 0 : a.u >> b.u;
}

/* Division truncates or floors; x / 0 and x rem 0 are 0; the remainder has the divisor's sign. */
static uint64_t divide_signed(hli_opcode code, int64_t a, int64_t b) {
  if (b == 0)
    return 0;
  if (b == -1) /* INT64_MIN wraps; for narrower types the caller wraps */
    return code == HLI_OP_REM ? 0 : 0 - (uint64_t)a;
  int64_t q = a / b, r = a % b;
  if (code == HLI_OP_TRUNCDIV || r == 0 || (r < 0) == (b < 0))
    return (uint64_t)(code == HLI_OP_REM ? r : q);
  return (uint64_t)(code == HLI_OP_REM ? r + b : q - 1);
}
static uint64_t divide_unsigned(hli_opcode code, uint64_t a, uint64_t b) {
  if (b == 0)
    return 0;
  return code == HLI_OP_REM ? a % b : a / b;
}

/* Philox 4x32-10 of Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011): words 0 and 1. */
static uint64_t philox(uint64_t key, uint64_t low, uint64_t high) {
  uint32_t c[4] = {(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32)};
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  for (int round = 0; round < 10; round++) {
    const uint64_t p = (uint64_t)c[0] * 0xd2511f53u, q = (uint64_t)c[2] * 0xcd9e8d57u;
    c[0] = (uint32_t)(q >> 32) ^ c[1] ^ k0;
    c[1] = (uint32_t)q;
    c[2] = (uint32_t)(p >> 32) ^ c[3] ^ k1;
    c[3] = (uint32_t)p;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return (uint64_t)c[1] << 32 | c[0];
}

static uint64_t eval_int(hli_opcode code, hl_dtype dtype, const hli_scalar *a) {
  char kind = hli_dtype_kind(dtype);
  uint32_t width = kind == 'b' ? 1 : 8 * hl_dtype_size(dtype);
  hli_scalar x = a[0], y = {.u = 0};
  if (hli_op_facts(code)->in_min > 1)
    y = a[1];
  bool less = kind == 'u' ? x.u < y.u : x.i < y.i;
  switch (code) {
  case HLI_OP_NEG: return 0 - x.u;
  case HLI_OP_ABS: return kind == 'i' && x.i < 0 ? 0 - x.u : x.u;
  case HLI_OP_NOT: return kind == 'b' ? !x.u : ~x.u;
  case HLI_OP_ADD: return x.u + y.u;
  case HLI_OP_SUB: return x.u - y.u;
  case HLI_OP_MUL: return x.u * y.u;
  case HLI_OP_FMOD: return y.u == 0 ? 0 : kind == 'u' ? x.u % y.u : y.i == -1 ? 0 : (uint64_t)(x.i % y.i);
  case HLI_OP_FLOORDIV:
  case HLI_OP_TRUNCDIV:
  case HLI_OP_REM: return kind == 'i' ? divide_signed(code, x.i, y.i) : divide_unsigned(code, x.u, y.u);
  case HLI_OP_MIN: return less ? x.u : y.u;
  case HLI_OP_MAX: return less ? y.u : x.u;
  case HLI_OP_AND: return x.u & y.u;
  case HLI_OP_OR: return x.u | y.u;
  case HLI_OP_XOR: return x.u ^ y.u;
  case HLI_OP_SHL:
  case HLI_OP_SHR: return shifted(code, kind, width, x, y);
  case HLI_OP_FMA: return x.u * y.u + a[2].u;
  case HLI_OP_PHILOX: return philox(x.u, y.u, a[2].u);
  default: return x.u; /* floor, ceil, trunc, round */
  }
}

/* ---- predicates and conversions ---------------------------------------------------------------------- */

static bool compare(hli_opcode code, char kind, hli_scalar a, hli_scalar b) {
  bool less = kind == 'f' ? a.f < b.f : kind == 'u' ? a.u < b.u : a.i < b.i;
  bool equal = kind == 'f' ? a.f == b.f : a.u == b.u;
  bool greater = kind == 'f' ? a.f > b.f : !less && !equal;
  switch (code) {
  case HLI_OP_EQ: return equal;
  case HLI_OP_NE: return !equal;
  case HLI_OP_LT: return less;
  case HLI_OP_LE: return less || equal;
  case HLI_OP_GT: return greater;
  default: return greater || equal;
  }
}

/* Saturates; NaN gives 0. */
static hli_scalar float_to_int(hl_dtype to, double x) {
  uint32_t width = 8 * hl_dtype_size(to);
  if (isnan(x))
    return (hli_scalar){.i = 0};
  x = trunc(x);
  if (hli_dtype_kind(to) == 'u') {
    if (x <= 0)
      return (hli_scalar){.u = 0};
    return (hli_scalar){.u = x >= ldexp(1, (int)width) ? UINT64_MAX >> (64 - width) : (uint64_t)x};
  }
  double limit = ldexp(1, (int)width - 1);
  if (x >= limit)
    return (hli_scalar){.i = INT64_MAX >> (64 - width)};
  return (hli_scalar){.i = x < -limit ? INT64_MIN >> (64 - width) : (int64_t)x};
}

static hli_scalar convert(hl_dtype from, hl_dtype to, hli_scalar a, bool typed) {
  char source = hli_dtype_kind(from), target = hli_dtype_kind(to);
  bool odd = typed && to != HL_F64;
  if (target == 'b')
    return (hli_scalar){.i = source == 'f' ? a.f != 0 : a.u != 0};
  if (source == 'f')
    return target == 'f' ? a : float_to_int(to, a.f);
  if (target != 'f')
    return a;
  if (source == 'u')
    return (hli_scalar){.f = odd ? u64_to_double_odd(a.u) : (double)a.u};
  return (hli_scalar){.f = odd ? i64_to_double_odd(a.i) : (double)a.i};
}

/* ---- composites: expand.c's definitions, over doubles ------------------------------------------------- */

typedef struct temporaries {
  hl_dtype dtype;
  uint32_t count;
  hli_scalar value[64];
} temporaries;

static hli_xvalue remember(temporaries *t, hli_scalar s) {
  uint32_t slot = HLI_MIN(t->count, (uint32_t)HLI_COUNT(t->value) - 1);
  t->value[slot] = s;
  t->count = slot + 1;
  return slot;
}
static hli_xvalue primitive(void *ctx, hli_opcode code, const hli_xvalue *args) {
  temporaries *t = ctx;
  hli_scalar a[3] = {{0}, {0}, {0}};
  for (uint32_t i = 0; i < hli_op_facts(code)->in_max && i < 3; i++)
    a[i] = t->value[args[i]];
  return remember(t, hli_scalar_eval(code, t->dtype, HL_DTYPE_NONE, a, false));
}
static hli_xvalue number(void *ctx, hli_xvalue like, double value) {
  temporaries *t = ctx;
  (void)like;
  if (hli_dtype_kind(t->dtype) == 'f')
    return remember(t, (hli_scalar){.f = value});
  return remember(t, (hli_scalar){.i = (int64_t)value});
}

static bool is_composite(hli_opcode code) {
  return code == HLI_OP_RECIPROCAL || code == HLI_OP_RSQRT || code == HLI_OP_SIGMOID || code == HLI_OP_SILU ||
         code == HLI_OP_RELU || code == HLI_OP_SIGN;
}

static hli_scalar eval_composite(hli_opcode code, hl_dtype dtype, hli_scalar x) {
  static const hli_expand_ops vt = {primitive, number, NULL}; /* these six have no raw operations */
  temporaries t = {.dtype = dtype};
  hli_xvalue arg = remember(&t, x), out = 0;
  return hli_expand(code, dtype, &vt, &t, &arg, &out) ? t.value[out] : x;
}

/* ---- the evaluator ---------------------------------------------------------------------------------------- */

static hli_scalar finish(hl_dtype dtype, hli_scalar s, bool typed) {
  if (hli_dtype_kind(dtype) != 'f')
    return rounded(dtype, s); /* integers wrap in both modes */
  if (isnan(s.f))
    s.f = hli_double_of(0x7ff8ull << 48);
  return typed ? rounded(dtype, s) : s;
}

hli_scalar hli_scalar_eval(hli_opcode code, hl_dtype dtype, hl_dtype to, const hli_scalar *args, bool typed) {
  char kind = hli_dtype_kind(dtype);
  const hli_op_info *facts = hli_op_facts(code);
  switch (facts->rule) {
  case HLI_RULE_WHERE: return args[0].i ? args[1] : args[2];
  case HLI_RULE_BITCAST: return hli_scalar_from_bits(to, hli_scalar_to_bits(dtype, args[0]));
  case HLI_RULE_CAST: return finish(to, convert(dtype, to, args[0], typed), typed);
  case HLI_RULE_PRED:
    if (facts->in_min == 2)
      return (hli_scalar){.i = compare(code, kind, args[0], args[1])};
    if (kind != 'f')
      return (hli_scalar){.i = 0};
    return (hli_scalar){.i = code == HLI_OP_ISNAN ? isnan(args[0].f) != 0 : isinf(args[0].f) != 0};
  default: break;
  }
  if (is_composite(code))
    return finish(dtype, eval_composite(code, dtype, args[0]), typed);
  if (kind == 'f')
    return finish(dtype, (hli_scalar){.f = eval_float(code, dtype, args, typed)}, typed);
  return finish(dtype, (hli_scalar){.u = eval_int(code, dtype, args)}, typed);
}

hli_scalar hli_scalar_identity(hli_identity id, hl_dtype dtype) {
  char kind = hli_dtype_kind(dtype);
  uint32_t width = 8 * hl_dtype_size(dtype);
  bool high = id == HLI_ID_HIGHEST;
  if (id == HLI_ID_NONE || id == HLI_ID_ZERO || !kind)
    return (hli_scalar){.u = 0};
  if (id == HLI_ID_ONE)
    return kind == 'f' ? (hli_scalar){.f = 1} : (hli_scalar){.i = 1};
  if (kind == 'f') /* nothing of f8e8m0 is below 0 */
    return (hli_scalar){.f = high ? INFINITY : dtype == HL_F8E8M0 ? 0 : -INFINITY};
  if (kind == 'i')
    return (hli_scalar){.i = (high ? INT64_MAX : INT64_MIN) >> (64 - width)};
  return (hli_scalar){.u = !high ? 0 : kind == 'b' ? 1 : UINT64_MAX >> (64 - width)};
}

bool hli_const_value(const hl_kernel *k, hli_value v, hli_scalar *out) {
  while (v) {
    hli_op op = k->values.data[v].def;
    if (!op)
      return false;
    if (k->ops.data[op].code == HLI_OP_CONST) {
      *out = hli_scalar_from_bits(hli_dtype_of(k, v), (uint64_t)hli_attr(k, op, 0, 0));
      return true;
    }
    if (k->ops.data[op].code != HLI_OP_BROADCAST)
      return false;
    v = hli_operand(k, op, 0);
  }
  return false;
}
