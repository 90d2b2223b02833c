/* math_gamma.c: lgamma, the logarithm of the absolute value of the gamma function, in f64 (f32 is computed in it: near
 * its zeros everything else would lose what f32 can say).  See math.h.
 *
 *   a = |x|         a < 1/2              lgamma(a) = T(a) - log(a (1 + a))
 *                   1/2 <= a < 3/2       lgamma(a) = T(a - 1) - log(a)
 *                   3/2 <= a < 17/2      lgamma(a) = T(z) + log((a - 1) (a - 2) ...), a - n = 2 + z
 *                   beyond               Stirling's series
 *   x < 0           lgamma(x) = log(pi / |x sin(pi x)|) - lgamma(a)
 *
 * with T(z) = lgamma(2 + z), |z| <= 1/2.  Near the zeros at negative numbers f64 is exact to an absolute 2^-50, not to
 * units of the last place. */
#include "codegen/math.h"

/* T(z) / z: (-1)^k (zeta(k) - 1) / k, and last 1 - Euler's constant. */
static const double taylor[] = {
    0x1.24932a337434cp-33, -0x1.2f69a9fabe3e0p-32, 0x1.3b15d2b2fc10cp-31, -0x1.47b1679258d0ep-30,
    0x1.555a877ffd2c3p-29, -0x1.6434a8447aeadp-28, 0x1.7469daccfadcdp-27, -0x1.862c734df3eacp-26,
    0x1.99b93c2070b0fp-25, -0x1.af5a6cbbf8a97p-24, 0x1.c76bbb3f07a4dp-23, -0x1.e2600d93cfd2fp-22,
    0x1.0064cdeb22f0fp-20, -0x1.11b2eb7679541p-19, 0x1.2597a39f34aacp-18, -0x1.3cbc963ce2243p-17,
    0x1.580dcee66eb02p-16, -0x1.78de5bd7c81efp-15, 0x1.a127b0f17d65ap-14, -0x1.d3fd4c76d2fc8p-13,
    0x1.0b36af86396e9p-11, -0x1.38ac5c2bf8e08p-10, 0x1.7add6eadb6c30p-9, -0x1.e404fc218f5f2p-8,
    0x1.51322ac7d8483p-6, -0x1.13e001a557607p-4, 0x1.4a34cc4a60fa6p-2, 0x1.b0ee6072093cep-2};

/* Stirling: (s(a) - 1/(12 a) ...) in 1 / a^2. */
static const double stirling[] = {-3617 / 122400.0, 1 / 156.0,    -691 / 360360.0, 1 / 1188.0,
                                  -1 / 1680.0,      1 / 1260.0,   -1 / 360.0,      1 / 12.0};

/* lgamma(a), a >= 0 or NaN. */
static val positive(const math *m, val a) {
  val one = num(m, 1), z = a, product = one;
  for (uint32_t i = 0; i < 6; i++) { /* down to 3/2 .. 5/2 */
    val above = compare_num(m, LLVMRealOGE, z, 2.5);
    z = either(m, above, sub(m, z, one), z);
    product = either(m, above, mul(m, product, z), product);
  }
  val below = compare_num(m, LLVMRealOLT, a, 1.5), tiny = compare_num(m, LLVMRealOLT, a, 0.5);
  val large = compare_num(m, LLVMRealOGE, a, 8.5);
  z = sub(m, z, num(m, 2));
  z = either(m, below, either(m, tiny, a, sub(m, a, one)), z);
  val of = either(m, tiny, mad(m, a, a, a), either(m, any_of(m, below, large), a, product));
  val log = hlm_log(m, of);
  val middle = mul(m, z, HLM_POLY(m, z, taylor));
  middle = add(m, middle, either(m, below, negate(m, log), log));
  val r = quotient(m, one, a), s = mul(m, r, HLM_POLY(m, mul(m, r, r), stirling));
  val constant = add(m, s, num(m, 0x1.acfe390c97d69p-2)); /* log(2 pi) / 2 - 1/2 */
  val tail = mad(m, sub(m, a, num(m, 0.5)), sub(m, log, one), constant);
  return either(m, large, tail, middle);
}

/* |sin(pi a)|, a >= 0 */
static val sine_of_pi(const math *m, val a) {
  val r = magnitude(m, sub(m, a, call1(m, "llvm.roundeven", a)));
  val far = compare_num(m, LLVMRealOGT, r, 0.25);
  pair t = two_product(m, either(m, far, sub(m, num(m, 0.5), r), r), num(m, m->f->pi));
  t.low = mad(m, either(m, far, sub(m, num(m, 0.5), r), r), num(m, m->f->pi_low), t.low);
  return either(m, far, hlm_cosine(m, t), hlm_sine(m, t));
}

static val lgamma_(const math *m, val x) {
  val a = magnitude(m, x), y = positive(m, a), s = sine_of_pi(m, a), infinity = num(m, __builtin_inf());
  val reflected = sub(m, hlm_log(m, quotient(m, num(m, m->f->pi), mul(m, a, s))), y);
  val pole = compare_num(m, LLVMRealOEQ, s, 0);
  reflected = either(m, pole, infinity, reflected);
  /* so near to 0 both sides are alike, and the product above would vanish */
  val negative = both(m, compare_num(m, LLVMRealOLT, x, 0), compare_num(m, LLVMRealOGT, a, 0x1p-60));
  y = either(m, negative, reflected, y);
  return either(m, compare(m, LLVMRealOEQ, a, infinity), infinity, y);
}

val hlc_math_gamma(hlc_emit *e, hli_opcode code, hl_dtype dtype, const val *args) {
  (void)code;
  val x = hlc_cast(e, args[0], dtype, HL_F64);
  math m = hlm_begin(e, HL_F64, x);
  return hlc_cast(e, lgamma_(&m, x), HL_F64, dtype);
}
