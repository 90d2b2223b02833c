/* math_inverse.c: asinh, acosh, atanh and erfinv in IR.  See math.h. */
#include "codegen/math.h"

/* Beyond, x is all that counts beside log 2. */
#define LARGE 0x1p54

/* log(1 + t.high + t.low), + log 2 where x is large and t is x. */
static val log1p_or_log(const math *m, val large, pair t) {
  val y = hlm_log1p(m, t.high, t.low);
  return add(m, y, either(m, large, num(m, 0x1.62e42fefa39efp-1), num(m, 0)));
}

/* log(a + sqrt(a^2 + 1)) = log(1 + a + a^2 / (1 + sqrt(a^2 + 1))) */
static val asinh_(const math *m, val x) {
  val a = magnitude(m, x), one = num(m, 1), large = compare_num(m, LLVMRealOGT, a, LARGE);
  val root = call1(m, "llvm.sqrt", mad(m, a, a, one));
  pair t = fast_two_sum(m, a, mul(m, a, quotient(m, a, add(m, one, root))));
  t = (pair){either(m, large, a, t.high), either(m, large, num(m, 0), t.low)};
  return keep_zero(m, x, with_sign_of(m, log1p_or_log(m, large, t), x));
}

/* log(x + sqrt(x^2 - 1)) = log(1 + t + sqrt(t^2 + 2 t)), t = x - 1 */
static val acosh_(const math *m, val x) {
  val one = num(m, 1), t = sub(m, x, one), large = compare_num(m, LLVMRealOGT, x, LARGE);
  val root = call1(m, "llvm.sqrt", mad(m, t, t, add(m, t, t)));
  pair sum = two_sum(m, root, t);
  sum = (pair){either(m, large, x, sum.high), either(m, large, num(m, 0), sum.low)};
  val y = log1p_or_log(m, large, sum);
  return select_if(m, LLVMRealOLT, x, 1, num(m, __builtin_nan("")), y);
}

/* log(1 + 2 a / (1 - a)) / 2 */
static val atanh_(const math *m, val x) {
  val a = magnitude(m, x), one = num(m, 1), d = sub(m, one, a), lost = sub(m, sub(m, one, d), a);
  val twice = add(m, a, a), q = quotient(m, twice, d), back = negate(m, q);
  val low = quotient(m, mad(m, back, lost, mad(m, back, d, twice)), d);
  low = select_if(m, LLVMRealOEQ, d, 0, num(m, 0), low); /* |x| = 1: q is infinite */
  return keep_zero(m, x, with_sign_of(m, mul(m, num(m, 0.5), hlm_log1p(m, q, low)), x));
}

/* Winitzki's approximation, good to 2e-3, from log(1 - x^2); no cancellation near 0. */
static val erfinv_guess(const math *m, val a) {
  const double k = 0.147, pi = 3.14159265358979323846;
  val one = num(m, 1), log = hlm_log1p(m, negate(m, mul(m, a, a)), num(m, 0));
  val exact = hlm_log(m, mul(m, sub(m, one, a), add(m, one, a)));
  log = select_if(m, LLVMRealOLT, a, 0.5, log, exact);
  val t = mad(m, log, num(m, 0.5), num(m, 2 / (pi * k))), part = mul(m, log, num(m, -1 / k));
  val root = call1(m, "llvm.sqrt", mad(m, t, t, part));
  return call1(m, "llvm.sqrt", quotient(m, part, add(m, root, t)));
}

/* Halley's steps: y - u / (1 + y u), u = (erf(y) - a) sqrt(pi) / 2 e^(y^2).  Where erf is near 1, the difference is
 * that of the complements, and e^(y^2) erfc(y) is known without an exponential. */
static val erfinv_(const math *m, val x) {
  val a = magnitude(m, x), one = num(m, 1), half_root_pi = num(m, 0x1.c5bf891b4ef6bp-1);
  val y = hlm_clamp(m, erfinv_guess(m, hlm_clamp(m, a, 0, 1 - (m->is_double ? 0x1p-53 : 0x1p-24))), 0, 8);
  val center = compare_num(m, LLVMRealOLT, a, 0.7);
  for (uint32_t i = 0; i < (m->is_double ? 2 : 1); i++) {
    pair square = two_product(m, y, y);
    val growth = hlm_exp(m, square.high, square.low, 0), low = hlm_clamp(m, y, 0, 0.75);
    val u = either(m, center, mul(m, sub(m, hlm_erf_small(m, low), a), growth),
                   sub(m, mul(m, sub(m, one, a), growth), hlm_scaled_erfc(m, y)));
    u = mul(m, u, half_root_pi);
    y = sub(m, y, quotient(m, u, mad(m, y, u, one)));
  }
  y = with_sign_of(m, y, x);
  y = select_if(m, LLVMRealOEQ, a, 1, with_sign_of(m, num(m, __builtin_inf()), x), y);
  val good = compare_num(m, LLVMRealOLE, a, 1); /* NaN is not */
  return keep_zero(m, x, either(m, good, y, num(m, __builtin_nan(""))));
}

val hlc_math_inverse(hlc_emit *e, hli_opcode code, hl_dtype dtype, const val *args) {
  math m = hlm_begin(e, dtype, args[0]);
  switch (code) {
  case HLI_OP_ASINH:
    return asinh_(&m, args[0]);
  case HLI_OP_ACOSH:
    return acosh_(&m, args[0]);
  case HLI_OP_ATANH:
    return atanh_(&m, args[0]);
  default:
    return erfinv_(&m, args[0]);
  }
}
