/* math_error.c: erf, erfc and the two forms of gelu as polynomials in IR.  See math.h.
 *
 * Behind all that vanishes is h(t) = e^(t^2) erfc(t), smooth and without cancellation: as (1 + 2t) h(t), which stays
 * between 1 and 1.3, it is a polynomial in (t - K) / (t + K) on the whole half-line.  The coefficients of this file are
 * Chebyshev fits; their errors stand beside them. */
#include "codegen/math.h"

/* erf(x) / x - 1 in x^2, |x| < 1: 2^-27, 2^-56. */
static const double erf32[] = {0x1.4a569p-14, -0x1.a45088p-11, 0x1.54127p-8, -0x1.b7fabap-6,
                               0x1.ce2d1p-4,  -0x1.81273ep-2,  0x1.06eba8p-3};
static const double erf64[] = {-0x1.29b9f1b3df556p-38, 0x1.7f072188e194dp-34,  -0x1.4e607b41a6416p-30,
                               0x1.fc4356498c2d9p-27,  -0x1.5f6d925a0bc7ap-23, 0x1.b9e6509b9867dp-20,
                               -0x1.f4d2561aeafd4p-17, 0x1.f9a326c233146p-14,  -0x1.c02db3feeb579p-11,
                               0x1.565bcd0e6502dp-8,   -0x1.b82ce312889bap-6,  0x1.ce2f21a042bdep-4,
                               -0x1.812746b0379e7p-2,  0x1.06eba8214db69p-3};

/* (1 + 2t) h(t) less its value at t = K, rounded; K = 3 (f32) and 4 (f64): 2^-27, 2^-56. */
static const double tail32[] = {0x1.052bc8p-18, 0x1.43d15p-14,  -0x1.b522a4p-14, -0x1.7cb7a8p-11, 0x1.eefc02p-10,
                                0x1.478692p-9,  -0x1.85743cp-6, 0x1.17d34p-4,    -0x1.e88b84p-4,  0x1.0982d8p-3,
                                -0x1.85a15cp-5, -0x1.15c08p-3,  0x1.afc93p-25};
static const double tail64[] = {
    -0x1.3ab58f87cf88bp-33, -0x1.24000f0a15df0p-32, 0x1.f5d7df6dfd8bfp-30,  0x1.b34e17ed4fee8p-29,
    -0x1.fcc3a526864aap-27, -0x1.611fc8f45b4d6p-26, 0x1.d98825ca9de9ap-24,  0x1.4cb0ece366227p-24,
    -0x1.baf5e74545cbfp-21, 0x1.398374178fe91p-22,  0x1.7f2545048fbf3p-18,  -0x1.78862b6b1e3abp-17,
    -0x1.9958e21c32f5cp-16, 0x1.3be04c486a75ep-13,  -0x1.a1df289a58f28p-13, -0x1.8d4a9b0690e08p-11,
    0x1.49c6728a1a0f0p-8,   -0x1.096238838fb04p-6,  0x1.3079edf67777bp-5,   -0x1.0fb06dfe52605p-4,
    0x1.7fee004e1295bp-4,   -0x1.9ddb23c3e89f3p-4,  0x1.16ecefcfa5383p-4,   0x1.f7f5df66fd6bap-7,
    -0x1.1df1ad154a28ep-3,  -0x1.9e3cc2b030e9ep-55};

/* e^(t^2) erfc(t), 0 <= t < infinity. */
static pair scaled_erfc(const math *m, pair t) {
  val k = num(m, m->is_double ? 4 : 3), w = quotient(m, sub(m, t.high, k), add(m, t.high, k));
  val p = m->is_double ? HLM_POLY(m, w, tail64) : HLM_POLY(m, w, tail32), two = num(m, 2);
  pair above = fast_two_sum(m, num(m, m->is_double ? 0x1.3ba5916e9fd7fp+0 : 0x1.40c522p+0), p);
  pair below = two_sum(m, num(m, 1), mul(m, two, t.high));
  below.low = mad(m, two, t.low, below.low);
  val q = quotient(m, above.high, below.high), back = negate(m, q);
  val lost = mad(m, back, below.low, add(m, mad(m, back, below.high, above.high), above.low));
  return (pair){q, quotient(m, lost, below.high)};
}

/* |x| < 1 */
val hlm_erf_small(const math *m, val x) {
  val z = mul(m, x, x), p = m->is_double ? HLM_POLY(m, z, erf64) : HLM_POLY(m, z, erf32);
  return mad(m, p, x, x);
}

static val erf_(const math *m, val x) {
  val size = magnitude(m, x), t = hlm_clamp(m, size, 1, 16), small = hlm_erf_small(m, x);
  val rest = mul(m, hlm_exp(m, negate(m, mul(m, t, t)), NULL, 0), scaled_erfc(m, (pair){t, num(m, 0)}).high);
  val large = with_sign_of(m, sub(m, num(m, 1), rest), x);
  return select_if(m, LLVMRealOLT, size, 1, small, large); /* NaN passes the clamp */
}

/* e^-(high + low) 2^SHIFT: the exponentials are made 2^24 too large, and corrected by what the rounding of their
 * arguments lost, so that a result that nearly vanishes is as good as any. */
#define SHIFT   24
#define UNSHIFT 0x1p-24
static val exp_of(const math *m, pair a) {
  return hlm_exp(m, negate(m, a.high), negate(m, a.low), SHIFT);
}

/* e^(-t^2) h(t), from 2 where x is negative; 1 - erf(x) near 0. */
static val erfc_(const math *m, val x) {
  val t = hlm_clamp(m, magnitude(m, x), 0, m->is_double ? 40 : 20), one = num(m, 1);
  pair h = scaled_erfc(m, (pair){t, num(m, 0)});
  val tail = exp_of(m, two_product(m, t, t)), unit = num(m, UNSHIFT);
  val positive = mul(m, mad(m, tail, h.high, mul(m, tail, h.low)), unit);
  val large = select_if(m, LLVMRealOLT, x, 0, sub(m, num(m, 2), positive), positive);
  return select_if(m, LLVMRealOLT, t, 0.5, sub(m, one, hlm_erf_small(m, x)), large);
}

val hlm_scaled_erfc(const math *m, val x) {
  return scaled_erfc(m, (pair){x, num(m, 0)}).high;
}

/* ---- gelu: x times a probability ------------------------------------------------------------ */

/* x Phi(x); Phi(-a) = e^(-a^2 / 2) h(a / sqrt 2) / 2, and near 0 Phi(x) = 1/2 + erf(x / sqrt 2) / 2. */
static val gelu_erf(const math *m, val x) {
  const double root_low = m->is_double ? -0x1.bdd3413b26456p-55 : 0x1.9fcef4p-27;
  val a = hlm_clamp(m, magnitude(m, x), 0, m->is_double ? 40 : 20);
  val half = num(m, 0.5), root = num(m, m->is_double ? 0x1.6a09e667f3bcdp-1 : 0x1.6a09e6p-1);
  val small = mul(m, x, mad(m, hlm_erf_small(m, mul(m, x, root)), half, half));
  val tail = mul(m, exp_of(m, two_product(m, a, mul(m, a, half))), half);
  pair t = two_product(m, a, root);
  t.low = mad(m, a, num(m, root_low), t.low);
  pair h = scaled_erfc(m, t), weight = two_product(m, x, h.high);
  weight.low = mad(m, x, h.low, weight.low);
  val product = mad(m, tail, weight.high, mul(m, tail, weight.low));
  val negative = negate(m, magnitude(m, mul(m, product, num(m, UNSHIFT)))); /* -0 where nothing is left */
  val positive = mul(m, x, sub(m, num(m, 1), mul(m, mul(m, tail, h.high), num(m, UNSHIFT))));
  val large = select_if(m, LLVMRealOLT, x, 0, negative, positive);
  return select_if(m, LLVMRealOLT, a, 0.75, small, large);
}

/* 2 sqrt(2 / pi) (a + 0.044715 a^3) as a pair, 0 <= a <= 32. */
static pair gelu_argument(const math *m, val a) {
  const double c = m->is_double ? 0x1.6e4e26d4801f7p-5 : 0x1.6e4e26p-5,
               c_low = m->is_double ? 0x1.441355475a31ap-59 : 0x1.a9003ep-30;
  const double k = m->is_double ? 0x1.9884533d43651p+0 : 0x1.988454p+0,
               k_low = m->is_double ? -0x1.cbc0d30ebfd15p-54 : -0x1.857936p-25;
  pair square = two_product(m, a, a), cubic = two_product(m, num(m, c), square.high);
  val low = mad(m, num(m, c), square.low, mul(m, num(m, c_low), square.high));
  pair factor = two_sum(m, num(m, 1), cubic.high);
  factor.low = add(m, factor.low, add(m, cubic.low, low));
  pair linear = two_product(m, num(m, k), a);
  linear.low = mad(m, num(m, k_low), a, linear.low);
  pair u = two_product(m, linear.high, factor.high);
  low = mad(m, linear.high, factor.low, mul(m, linear.low, factor.high));
  return (pair){u.high, add(m, u.low, low)};
}

/* x (1 + tanh(u / 2)) / 2 = x / (1 + e^-u) */
static val gelu_tanh(const math *m, val x) {
  val a = hlm_clamp(m, magnitude(m, x), 0, m->is_double ? 32 : 16), one = num(m, 1);
  val tail = exp_of(m, gelu_argument(m, a)), below = mad(m, tail, num(m, UNSHIFT), one);
  val q = quotient(m, select_if(m, LLVMRealOLT, x, 0, mul(m, x, tail), x), below); /* one division is enough */
  return select_if(m, LLVMRealOLT, x, 0, mul(m, q, num(m, UNSHIFT)), q);
}

val hlc_math_error(hlc_emit *e, hli_opcode code, hl_dtype dtype, const val *a) {
  math m = hlm_begin(e, dtype, a[0]);
  switch (code) {
  case HLI_OP_ERF:
    return erf_(&m, a[0]);
  case HLI_OP_ERFC:
    return erfc_(&m, a[0]);
  case HLI_OP_GELU_ERF:
    return gelu_erf(&m, a[0]);
  default:
    return gelu_tanh(&m, a[0]);
  }
}
