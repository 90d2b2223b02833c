/* math_arc.c: asin, acos, atan and atan2 as polynomials in IR.  See math.h.  The coefficients are Chebyshev fits. */
#include "codegen/math.h"

/* (atan(a) / a - 1) / a^2 in a^2, 0 <= a <= 1: 2^-26, 2^-55. */
static const double atan32[] = {0x1.86406cp-10, -0x1.2ba6b6p-7, 0x1.aefb2cp-6,  -0x1.9115a4p-5, 0x1.2006f8p-4,
                                -0x1.6dd8fep-4, 0x1.c62cdap-4,  -0x1.248952p-3, 0x1.999956p-3,  -0x1.555556p-2};
static const double atan64[] = {
    0x1.04a3628aee536p-17, -0x1.890e58e18ff08p-14, 0x1.19e6b726893d0p-11, -0x1.0110cfd66bd22p-9, 0x1.50ea3497605b5p-8,
    -0x1.552f78ddf9b30p-7, 0x1.198ad7e0bd0c6p-6,   -0x1.8c59dbc673323p-6, 0x1.f0f041d3e2f50p-6,  -0x1.20f157ad652dfp-5,
    0x1.42a843b89b0ebp-5,  -0x1.62c464c86804fp-5,  0x1.85c82bf04fbd6p-5,  -0x1.af1a76061e434p-5, 0x1.e1e0069edf96ep-5,
    -0x1.1110f9a06b09dp-4, 0x1.3b13af957f086p-4,   -0x1.745d1731e853fp-4, 0x1.c71c71c6882cdp-4,  -0x1.2492492491234p-3,
    0x1.999999999997dp-3,  -0x1.5555555555555p-2};

/* (asin(s) / s - 1) / s^2 in s^2, 0 <= s <= 1/2: 2^-26, 2^-55. */
static const double asin32[] = {0x1.14138cp-5, 0x1.18e1f6p-6, 0x1.fd921ap-6,
                                0x1.6d5b8ep-5, 0x1.333432p-4, 0x1.555554p-3};
static const double asin64[] = {0x1.d78189767524ep-6, -0x1.e7a24f548c99fp-7, 0x1.1d661531b222ep-6, 0x1.653a8f8cfd43cp-8,
                                0x1.524ea8b3aad31p-7, 0x1.78246f32d075cp-7,  0x1.c9cf3759fd8ffp-7, 0x1.1c4d343fa57f6p-6,
                                0x1.6e8bb1d89492bp-6, 0x1.f1c71c1d4aa0dp-6,  0x1.6db6db6e3292ep-5, 0x1.3333333332ec4p-4,
                                0x1.5555555555556p-3};

/* pi - a or, halved, pi / 2 - a. */
static val pi_less(const math *m, double part, val a) {
  return add(m, sub(m, num(m, part * m->f->pi), a), num(m, part * m->f->pi_low));
}

/* The angle of the smaller over the larger coordinate, then reflected into place. */
static val atan2_(const math *m, val y, val x) {
  val width = magnitude(m, x), height = magnitude(m, y), steep = compare(m, LLVMRealOGT, height, width);
  val large = either(m, steep, height, width), small = either(m, steep, width, height);
  val a = quotient(m, small, large);
  a = select_if(m, LLVMRealOEQ, large, 0, num(m, 0), a);
  a = select_if(m, LLVMRealOEQ, small, __builtin_inf(), num(m, 1), a);
  val z = mul(m, a, a), p = m->is_double ? HLM_POLY(m, z, atan64) : HLM_POLY(m, z, atan32);
  val r = mad(m, mul(m, p, z), a, a);
  r = either(m, steep, pi_less(m, 0.5, r), r);
  r = either(m, is_negative(m, x), pi_less(m, 1, r), r);
  return either(m, compare(m, LLVMRealUNO, x, y), num(m, __builtin_nan("")), with_sign_of(m, r, y));
}

/* Above 1/2: asin(x) = pi / 2 - 2 asin(sqrt((1 - x) / 2)). */
static val asin_acos(const math *m, val x, bool cosine) {
  val size = magnitude(m, x), big = compare_num(m, LLVMRealOGT, size, 0.5);
  val rest = mul(m, sub(m, num(m, 1), size), num(m, 0.5));
  val z = either(m, big, rest, mul(m, x, x));
  val s = either(m, big, call1(m, "llvm.sqrt", rest), size);
  val p = m->is_double ? HLM_POLY(m, z, asin64) : HLM_POLY(m, z, asin32);
  val angle = mad(m, mul(m, z, p), s, s), twice = add(m, angle, angle);
  if (!cosine)
    return either(m, compare_num(m, LLVMRealULE, size, 1),
                  with_sign_of(m, either(m, big, pi_less(m, 0.5, twice), angle), x), num(m, __builtin_nan("")));
  val negative = is_negative(m, x);
  val near = either(m, negative, negate(m, angle), angle);
  return either(m, big, either(m, negative, pi_less(m, 1, twice), twice), pi_less(m, 0.5, near));
}

val hlc_math_arc(hlc_emit *e, hli_opcode code, hl_dtype dtype, const val *a) {
  math m = hlm_begin(e, dtype, a[0]);
  switch (code) {
  case HLI_OP_ASIN:
    return asin_acos(&m, a[0], false);
  case HLI_OP_ACOS:
    return asin_acos(&m, a[0], true);
  case HLI_OP_ATAN:
    return atan2_(&m, a[0], num(&m, 1));
  default:
    return atan2_(&m, a[0], a[1]);
  }
}
