/* math.c: exp, exp2, expm1, sinh and cosh as polynomials in IR, for f32 and f64, scalars and vectors; and the data of
 * the two formats.
 *
 * They inline and fuse, need no library, and keep infinities, NaN, signed zeros and subnormals.
 * Largest errors in ulp, measured over 10^8 (f32) and 2.5 * 10^7 (f64) arguments, half of them random bits:
 * exp 1.0, exp2 1.0 (f64 1.1), log 0.94, log2 1.8; of what is made of them: tanh 1.3, sigmoid 2.5, silu 2.4.
 * Those of all the others are stated with their tests (tests/codegen/test_pointwise.c).
 *
 * Rounding to an integer is done by adding 1.5 * 2^(mantissa bits): the integer then stands in the low bits,
 * NaN gives an arbitrary one instead of LLVM's poison. */
#include "codegen/math.h"

static const hlm_format formats[2] = {
    {12582912.0, 0x4b400000, -104.0, 89.0, -151.0, 129.0, 0x1.62e400p-1, 0x1.7f7d1cp-20, 0x1.344p-2, 0x1.3509f8p-18,
     0x1.921fb6p+1, -0x1.777a5cp-24, 0x1p-126, 0x1p23, 0x3f2aaaab, 0xff800000, 0x80000000, 23, 127},
    {6755399441055744.0, 0x4338000000000000, -746.0, 710.0, -1076.0, 1025.0, 0x1.62e42feep-1, 0x1.a39ef35793c76p-33,
     0x1.34413509f4p-2, 0x1.cff7988f8959bp-41, 0x1.921fb54442d18p+1, 0x1.1a62633145c07p-53, 0x1p-1022, 0x1p52,
     0x3fe6a09e667f3bcd, 0xfff0000000000000, 0x8000000000000000, 52, 1023},
};

math hlm_begin(hlc_emit *e, hl_dtype dtype, val x) {
  bool is_double = dtype == HL_F64;
  LLVMTypeRef it = hlc_like(is_double ? e->t_i64 : e->t_i32, x);
  return (math){e, &formats[is_double], LLVMTypeOf(x), it, is_double};
}

val hlc_fma(hlc_emit *e, val a, val b, val c) {
  LLVMTypeRef t = LLVMTypeOf(a);
  return hlc_intrinsic(e, "llvm.fma", &t, 1, (val[]){a, b, c}, 3);
}

val hlm_polynomial(const math *m, val x, const double *c, uint32_t n) {
  val p = num(m, c[0]);
  for (uint32_t i = 1; i < n; i++)
    p = mad(m, p, x, num(m, c[i]));
  return p;
}

val hlm_clamp(const math *m, val x, double low, double high) {
  x = select_if(m, LLVMRealOLT, x, low, num(m, low), x);
  return select_if(m, LLVMRealOGT, x, high, num(m, high), x);
}

/* ---- exp, exp2 -------------------------------------------------------------------- */

/* (e^r - 1 - r) / r^2 on |r| <= ln 2 / 2.  f32: minimax, the relative error of e^r is 3e-9 (0.05 ulp); f64:
 * Taylor (remainder 4e-18). */
static const double exp32[] = {0x1.6a241ap-10, 0x1.1239f2p-7, 0x1.5558f2p-5, 0x1.555492p-3, 0x1.fffffcp-2};
static const double exp64[] = {1 / 6227020800.0, 1 / 479001600.0, 1 / 39916800.0, 1 / 3628800.0,
                               1 / 362880.0,     1 / 40320.0,     1 / 5040.0,     1 / 720.0,
                               1 / 120.0,        1 / 24.0,        1 / 6.0,        0.5};

static val expm1_poly(const math *m, val r) {
  val p = m->is_double ? HLM_POLY(m, r, exp64) : HLM_POLY(m, r, exp32);
  return mad(m, p, mul(m, r, r), r);
}
static val exp_poly(const math *m, val r) {
  return add(m, expm1_poly(m, r), num(m, 1));
}

/* 2^n as a float, n within the exponent's range. */
static val power_of_two(const math *m, val n) {
  val biased = iadd(m, n, bits(m, m->f->bias));
  return as_float(m, LLVMBuildShl(m->e->b, biased, bits(m, m->f->mantissa_bits), ""));
}

/* p * 2^n, n given as a float and, plus magic_bits, in the low bits of `t`.  Two steps, of which the first is
 * exact, so that subnormal results are rounded once and 2^n never overflows. */
static val scale(const math *m, val p, val n, val t) {
  val own = m->e->family->scale ? m->e->family->scale(m->e, p, n) : NULL;
  if (own)
    return own;
  val whole = isub(m, as_int(m, t), bits(m, m->f->magic_bits));
  val half = LLVMBuildAShr(m->e->b, whole, bits(m, 1), "");
  val rest = isub(m, whole, half);
  return mul(m, mul(m, p, power_of_two(m, half)), power_of_two(m, rest));
}

/* x = n ln 2 + r; n also plus magic, as t. */
typedef struct reduced {
  val t, n, r;
} reduced;

static reduced reduce(const math *m, val x) {
  val t = mad(m, x, num(m, 0x1.71547652b82fep+0), num(m, m->f->magic));
  val n = sub(m, t, num(m, m->f->magic));
  val r = mad(m, n, num(m, -m->f->ln2_high), x);
  return (reduced){t, n, mad(m, n, num(m, -m->f->ln2_low), r)};
}

/* The results that matter end where 2^shift e^x does. */
val hlm_exp(const math *m, val x, val low, int shift) {
  const double below = shift > 0 ? -20 : 0, above = shift < 0 ? 20 : 0;
  reduced a = reduce(m, hlm_clamp(m, x, m->f->exp_low + below, m->f->exp_high + above));
  if (low)
    a.r = add(m, a.r, low);
  if (shift)
    a.n = add(m, a.n, num(m, shift)), a.t = add(m, a.t, num(m, shift));
  return scale(m, exp_poly(m, a.r), a.n, a.t);
}

val hlm_exp2(const math *m, val x, val low) {
  x = hlm_clamp(m, x, m->f->exp2_low, m->f->exp2_high);
  val t = add(m, x, num(m, m->f->magic));
  val n = sub(m, t, num(m, m->f->magic)), r = sub(m, x, n);
  if (low)
    r = add(m, r, low);
  r = mul(m, r, num(m, 0x1.62e42fefa39efp-1));
  return scale(m, exp_poly(m, r), n, t);
}

/* ---- expm1, sinh, cosh ------------------------------------------------------------------ */

/* 2^n (e^r - 1) + (2^n - 1), at half of its size so that n = 128 does not overflow; -1 far below. */
static val expm1_(const math *m, val x) {
  reduced a = reduce(m, hlm_clamp(m, x, m->is_double ? -40 : -20, m->f->exp_high));
  val p = expm1_poly(m, a.r), n = isub(m, as_int(m, a.t), bits(m, m->f->magic_bits));
  val half = power_of_two(m, isub(m, n, bits(m, 1)));
  val y = mad(m, half, p, sub(m, half, num(m, 0.5)));
  return keep_zero(m, x, select_if(m, LLVMRealOEQ, a.n, 0, p, add(m, y, y)));
}

/* e^|x| / 2 -+ e^-|x| / 2; sinh below 1 is its Taylor series. */
static val sinh_(const math *m, val x) {
  static const double series[] = {1 / 121645100408832000.0,
                                  1 / 355687428096000.0,
                                  1 / 1307674368000.0,
                                  1 / 6227020800.0,
                                  1 / 39916800.0,
                                  1 / 362880.0,
                                  1 / 5040.0,
                                  1 / 120.0,
                                  1 / 6.0};
  const uint32_t skip = m->is_double ? 0 : 4;
  val size = magnitude(m, x), z = mul(m, x, x), half = hlm_exp(m, size, NULL, -1);
  val small = mul(m, z, hlm_polynomial(m, z, series + skip, HLI_COUNT(series) - skip));
  small = mul(m, x, add(m, small, num(m, 1)));
  val large = with_sign_of(m, sub(m, half, quotient(m, num(m, 0.25), half)), x);
  return select_if(m, LLVMRealOLT, size, 1, small, large); /* NaN comes out of `large` */
}

static val cosh_(const math *m, val x) {
  val half = hlm_exp(m, magnitude(m, x), NULL, -1);
  return add(m, half, quotient(m, num(m, 0.25), half));
}

val hlc_math_exponential(hlc_emit *e, hli_opcode code, hl_dtype dtype, const val *a) {
  math m = hlm_begin(e, dtype, a[0]);
  switch (code) {
  case HLI_OP_EXP:
    return hlm_exp(&m, a[0], NULL, 0);
  case HLI_OP_EXP2:
    return hlm_exp2(&m, a[0], NULL);
  case HLI_OP_EXPM1:
    return expm1_(&m, a[0]);
  case HLI_OP_SINH:
    return sinh_(&m, a[0]);
  default:
    return cosh_(&m, a[0]);
  }
}
