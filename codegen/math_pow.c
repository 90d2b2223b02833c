/* math_pow.c: x^y in IR.  See math.h.
 *
 * y log2 |x| reaches 1074, so the logarithm is made as a pair of numbers, to about 14 bits more than the format has;
 * what the product's rounding loses is multiplied in behind 2^(y log2 |x|). */
#include "codegen/math.h"

/* log2(x) for positive finite x: with s = f / (2 + f), log(1 + f) = 2 (s + s^3/3 + s^5/5 + ..). */
static pair log2_pair(const math *m, val x) {
  static const double series[] = {1 / 23.0, 1 / 21.0, 1 / 19.0, 1 / 17.0, 1 / 15.0,
                                  1 / 13.0, 1 / 11.0, 1 / 9.0,  1 / 7.0,  1 / 5.0};
  const bool d = m->is_double;
  const uint32_t skip = d ? 0 : 6;
  const double third_low = d ? 0x1.5555555555555p-56 : -0x1.555556p-27;
  const double scale = d ? 0x1.71547652b82fep+1 : 0x1.715476p+1, scale_low = d ? 0x1.777d0ffda0d24p-55 : 0x1.4ae0cp-25;
  hlm_parts p = hlm_split(m, x);
  pair below = fast_two_sum(m, num(m, 2), p.f), s;
  s.high = quotient(m, p.f, below.high);
  s.low = mad(m, negate(m, s.high), below.high, p.f);
  s.low = quotient(m, mad(m, negate(m, s.high), below.low, s.low), below.high);
  pair z = two_product(m, s.high, s.high);
  z.low = mad(m, add(m, s.high, s.high), s.low, z.low);
  /* 1/3 + z/5 + .. and, times z, the factor by which s grows */
  pair q = fast_two_sum(m, num(m, 1 / 3.0),
                        mul(m, z.high, hlm_polynomial(m, z.high, series + skip, HLI_COUNT(series) - skip)));
  q.low = add(m, q.low, num(m, third_low));
  pair c = two_product(m, z.high, q.high);
  c.low = add(m, c.low, mad(m, z.high, q.low, mul(m, z.low, q.high)));
  pair t = two_product(m, s.high, c.high);
  t.low = add(m, t.low, mad(m, s.high, c.low, mul(m, s.low, c.high)));
  pair l = fast_two_sum(m, s.high, t.high);
  l.low = add(m, l.low, add(m, t.low, s.low));
  pair g = two_product(m, l.high, num(m, scale));
  g.low = add(m, g.low, mad(m, l.high, num(m, scale_low), mul(m, l.low, num(m, scale))));
  pair sum = fast_two_sum(m, p.k, g.high);
  return fast_two_sum(m, sum.high, add(m, sum.low, g.low));
}

/* |x|^y; 0, infinity and 1 too. */
static val pow_size(const math *m, val size, val y) {
  pair l = log2_pair(m, size);
  const double infinity = __builtin_inf();
  val edge = any_of(m, compare_num(m, LLVMRealOEQ, size, 0), compare_num(m, LLVMRealUEQ, size, infinity));
  val limit = select_if(m, LLVMRealOEQ, size, 0, num(m, -infinity), size);
  l.high = either(m, edge, limit, l.high);
  pair p = two_product(m, y, l.high);
  p.low = mad(m, y, l.low, p.low);
  /* Infinite factors make no sense of the low part, and out of range it does not matter. */
  val good = compare_num(m, LLVMRealOLT, magnitude(m, p.high), -m->f->exp2_low);
  val power = hlm_exp2(m, p.high, either(m, good, p.low, num(m, 0)));
  return select_if(m, LLVMRealOEQ, size, 1, num(m, 1), power);
}

val hlc_math_pow(hlc_emit *e, hli_opcode code, hl_dtype dtype, const val *a) {
  (void)code;
  math build = hlm_begin(e, dtype, a[0]), *m = &build;
  val x = a[0], y = a[1], size = magnitude(m, x), power = pow_size(m, size, y), half = mul(m, y, num(m, 0.5));
  val nan = num(m, __builtin_nan("")), one = num(m, 1);
  val whole = compare(m, LLVMRealOEQ, call1(m, "llvm.trunc", y), y);
  val odd = both(m, whole, compare(m, LLVMRealONE, call1(m, "llvm.trunc", half), half));
  power = either(m, both(m, is_negative(m, x), odd), negate(m, power), power);
  val finite = compare_num(m, LLVMRealOGT, x, -__builtin_inf());
  val real = both(m, compare_num(m, LLVMRealOLT, x, 0), both(m, finite, LLVMBuildNot(e->b, whole, "")));
  power = either(m, real, nan, power);
  power = either(m, compare(m, LLVMRealUNO, x, y), nan, power);
  power = select_if(m, LLVMRealOEQ, y, 0, one, power);
  return select_if(m, LLVMRealOEQ, x, 1, one, power);
}
