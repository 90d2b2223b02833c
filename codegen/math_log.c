/* math_log.c: log, log2, log10, log1p and softplus as polynomials in IR.  See math.h. */
#include "codegen/math.h"

/* ---- log, log2, log10 ----------------------------------------------------------------------- */

hlm_parts hlm_split(const math *m, val x) {
  val small = LLVMBuildFCmp(m->e->b, LLVMRealOLT, x, num(m, m->f->least_normal), "");
  x = LLVMBuildSelect(m->e->b, small, mul(m, x, num(m, m->f->to_normal)), x, "");
  val shift = LLVMBuildSelect(m->e->b, small, num(m, -(double)m->f->mantissa_bits), num(m, 0), "");
  val exponent =
      LLVMBuildAnd(m->e->b, isub(m, as_int(m, x), bits(m, m->f->two_thirds)), bits(m, m->f->exponent_mask), "");
  val mantissa = as_float(m, isub(m, as_int(m, x), exponent));
  val n = LLVMBuildAShr(m->e->b, exponent, bits(m, m->f->mantissa_bits), "");
  val k = add(m, LLVMBuildSIToFP(m->e->b, n, m->t, ""), shift);
  return (hlm_parts){k, sub(m, mantissa, num(m, 1))};
}

/* log(1 + f) - f, f32; a minimax polynomial evaluated in two interleaved chains. */
static val log1p_tail32(const math *m, val f) {
  static const double even[] = {-0x1.0ae000p-3, -0x1.f198b2p-4, -0x1.55b36cp-3, -0x1.fffe02p-3};
  static const double odd[] = {0x1.208000p-3, 0x1.1e5740p-3, 0x1.99d8b2p-3};
  val s = mul(m, f, f);
  val r = hlm_polynomial(m, s, even, 4), t = hlm_polynomial(m, s, odd, 3);
  r = mad(m, t, f, r);
  r = mad(m, r, f, num(m, 0x1.5554fap-2));
  r = mad(m, r, f, num(m, -0.5));
  return mul(m, r, s);
}

/* The same for f64: with s = f / (2 + f), log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)) (fdlibm). */
static val log1p_tail64(const math *m, val f) {
  static const double lg[] = {1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
                              2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
                              6.666666666666735130e-01};
  val s = quotient(m, f, add(m, num(m, 2), f));
  val z = mul(m, s, s), half = mul(m, num(m, 0.5), mul(m, f, f));
  val r = mul(m, hlm_polynomial(m, z, lg, HLI_COUNT(lg)), z);
  return sub(m, mul(m, s, add(m, half, r)), half);
}

static val log1p_tail(const math *m, val f) {
  return m->is_double ? log1p_tail64(m, f) : log1p_tail32(m, f);
}

/* 0 gives -inf, negatives NaN, +inf and NaN themselves. */
static val log_edges(const math *m, val x, val y) {
  y = select_if(m, LLVMRealOLT, x, 0, num(m, __builtin_nan("")), y);
  y = select_if(m, LLVMRealOEQ, x, 0, num(m, -__builtin_inf()), y);
  val is_inf = LLVMBuildFCmp(m->e->b, LLVMRealOEQ, x, num(m, __builtin_inf()), "");
  val is_nan = LLVMBuildFCmp(m->e->b, LLVMRealUNO, x, x, "");
  return LLVMBuildSelect(m->e->b, LLVMBuildOr(m->e->b, is_inf, is_nan, ""), x, y, "");
}

/* Any x as 2^k (1 + f).  `done`: where the logarithm is infinite, so is k, and where there is none, f is NaN; else the
 * edges are still to do. */
static hlm_parts split_any(const math *m, val x, bool *done) {
  val k, mantissa;
  *done = m->e->family->split && m->e->family->split(m->e, x, &k, &mantissa);
  if (!*done)
    return hlm_split(m, x);
  /* from [1, 2) to the range of the polynomial, which begins at 2/3 or sqrt(1/2) */
  val begin = LLVMBuildBitCast(m->e->b, bits(m, m->f->two_thirds), m->t, "");
  val upper = compare(m, LLVMRealOGE, mantissa, add(m, begin, begin));
  k = either(m, upper, add(m, k, num(m, 1)), k);
  mantissa = either(m, upper, mul(m, mantissa, num(m, 0.5)), mantissa);
  return (hlm_parts){k, sub(m, mantissa, num(m, 1))};
}

static val finish_log(const math *m, val x, val y, bool done) {
  return done ? y : log_edges(m, x, y);
}

val hlm_log(const math *m, val x) {
  bool done;
  hlm_parts p = split_any(m, x, &done);
  val low = mad(m, p.k, num(m, m->f->ln2_low), log1p_tail(m, p.f));
  return finish_log(m, x, mad(m, p.k, num(m, m->f->ln2_high), add(m, p.f, low)), done);
}

static val log2_(const math *m, val x) {
  bool done;
  hlm_parts p = split_any(m, x, &done);
  val y = add(m, p.f, log1p_tail(m, p.f));
  return finish_log(m, x, mad(m, y, num(m, 0x1.71547652b82fep+0), p.k), done);
}

static val log10_(const math *m, val x) {
  bool done;
  hlm_parts p = split_any(m, x, &done);
  val y = add(m, p.f, log1p_tail(m, p.f)), low = mul(m, p.k, num(m, m->f->log10_2_low));
  y = mad(m, y, num(m, 0x1.bcb7b1526e50ep-2), low);
  return finish_log(m, x, mad(m, p.k, num(m, m->f->log10_2_high), y), done);
}

/* ---- log1p, softplus --------------------------------------------------------------------- */

/* log(u) with u = 1 + x rounded, plus what the rounding lost, and `low`, over u; near 0 f is x itself. */
val hlm_log1p(const math *m, val x, val low) {
  val one = num(m, 1), u = add(m, one, x);
  val large = compare(m, LLVMRealOGT, x, one);
  val lost = either(m, large, sub(m, one, sub(m, u, x)), sub(m, x, sub(m, u, one)));
  val near = compare_num(m, LLVMRealOLT, magnitude(m, x), 0.25);
  hlm_parts p = hlm_split(m, u);
  p.f = either(m, near, x, p.f);
  lost = quotient(m, add(m, either(m, near, num(m, 0), lost), low), u);
  val rest = mad(m, p.k, num(m, m->f->ln2_low), add(m, lost, log1p_tail(m, p.f)));
  val y = mad(m, p.k, num(m, m->f->ln2_high), add(m, p.f, rest));
  return keep_zero(m, x, log_edges(m, u, y));
}

/* log(1 + e^x) = max(x, 0) + log(1 + e^-|x|) */
static val softplus(const math *m, val x) {
  val rest = hlm_log1p(m, hlm_exp(m, negate(m, magnitude(m, x)), NULL, 0), num(m, 0));
  return add(m, select_if(m, LLVMRealOLT, x, 0, num(m, 0), x), rest);
}

val hlc_math_logarithm(hlc_emit *e, hli_opcode code, hl_dtype dtype, const val *a) {
  math m = hlm_begin(e, dtype, a[0]);
  switch (code) {
  case HLI_OP_LOG:
    return hlm_log(&m, a[0]);
  case HLI_OP_LOG2:
    return log2_(&m, a[0]);
  case HLI_OP_LOG10:
    return log10_(&m, a[0]);
  case HLI_OP_LOG1P:
    return hlm_log1p(&m, a[0], num(&m, 0));
  default:
    return softplus(&m, a[0]);
  }
}
