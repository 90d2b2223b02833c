/* math.h: what the files of floating functions (math*.c) share: a format as data, and short names for building
 * arithmetic on f32 and f64 registers, scalars or vectors.
 *
 * Every function is straight-line code over multiplications, additions, selections and bit operations.  f16 and bf16
 * never get here: hlc_pointwise widens them to f32. */
#ifndef HLC_MATH_H
#define HLC_MATH_H

#include "codegen/emit.h"

typedef struct hlm_format {
  double magic; /* 1.5 * 2^mantissa */
  uint64_t magic_bits;
  double exp_low, exp_high; /* beyond: 0 and infinity */
  double exp2_low, exp2_high;
  double ln2_high, ln2_low; /* ln 2 = high + low; n * high is exact */
  double log10_2_high, log10_2_low;
  double pi, pi_low;              /* pi = pi rounded to the format + low */
  double least_normal, to_normal; /* to_normal: 2^mantissa_bits */
  uint64_t two_thirds;            /* bits of 2/3 (f32) or sqrt(1/2) (f64): where the mantissa's range begins */
  uint64_t exponent_mask;         /* sign and exponent */
  uint64_t sign_mask;
  uint32_t mantissa_bits, bias;
} hlm_format;

typedef struct math {
  hlc_emit *e;
  const hlm_format *f;
  LLVMTypeRef t, it; /* of x; integers of the same width and lanes */
  bool is_double;
} math;

typedef LLVMValueRef val;

/* x as high + low, |low| at most half a unit in the last place of high. */
typedef struct pair {
  val high, low;
} pair;

/* ---- building ------------------------------------------------------------------------ */

static inline val num(const math *m, double x) {
  return hlc_f32_like(m->e, LLVMGetPoison(m->t), x);
}
static inline val bits(const math *m, uint64_t x) {
  return hlc_const_like(m->e, m->it, x);
}
static inline val as_int(const math *m, val x) {
  return LLVMBuildBitCast(m->e->b, x, m->it, "");
}
static inline val as_float(const math *m, val x) {
  return LLVMBuildBitCast(m->e->b, x, m->t, "");
}
static inline val add(const math *m, val a, val b) {
  return LLVMBuildFAdd(m->e->b, a, b, "");
}
static inline val sub(const math *m, val a, val b) {
  return LLVMBuildFSub(m->e->b, a, b, "");
}
static inline val mul(const math *m, val a, val b) {
  return LLVMBuildFMul(m->e->b, a, b, "");
}
static inline val quotient(const math *m, val a, val b) {
  return LLVMBuildFDiv(m->e->b, a, b, "");
}
static inline val negate(const math *m, val a) {
  return LLVMBuildFNeg(m->e->b, a, "");
}
static inline val mad(const math *m, val a, val b, val c) {
  return hlc_fma(m->e, a, b, c);
}
static inline val iadd(const math *m, val a, val b) {
  return LLVMBuildAdd(m->e->b, a, b, "");
}
static inline val isub(const math *m, val a, val b) {
  return LLVMBuildSub(m->e->b, a, b, "");
}
static inline val either(const math *m, val cond, val then, val otherwise) {
  return LLVMBuildSelect(m->e->b, cond, then, otherwise, "");
}
static inline val compare(const math *m, LLVMRealPredicate p, val x, val y) {
  return LLVMBuildFCmp(m->e->b, p, x, y, "");
}
static inline val compare_num(const math *m, LLVMRealPredicate p, val x, double y) {
  return compare(m, p, x, num(m, y));
}
static inline val select_if(const math *m, LLVMRealPredicate p, val x, double limit, val then, val otherwise) {
  return either(m, compare_num(m, p, x, limit), then, otherwise);
}
static inline val both(const math *m, val a, val b) {
  return LLVMBuildAnd(m->e->b, a, b, "");
}
static inline val any_of(const math *m, val a, val b) {
  return LLVMBuildOr(m->e->b, a, b, "");
}
/* An intrinsic of one operand, overloaded on its type. */
static inline val call1(const math *m, const char *name, val x) {
  return hlc_intrinsic(m->e, name, &m->t, 1, &x, 1);
}
static inline val magnitude(const math *m, val x) {
  return call1(m, "llvm.fabs", x);
}
/* x >= 0 (or +0) with the sign of y. */
static inline val with_sign_of(const math *m, val x, val y) {
  return as_float(m, any_of(m, as_int(m, x), both(m, as_int(m, y), bits(m, m->f->sign_mask))));
}
/* Is the sign bit set?  Of -0 it is. */
static inline val is_negative(const math *m, val x) {
  return LLVMBuildICmp(m->e->b, LLVMIntSLT, as_int(m, x), bits(m, 0), "");
}
/* x = 0 keeps its sign, where y lost it. */
static inline val keep_zero(const math *m, val x, val y) {
  return select_if(m, LLVMRealOEQ, x, 0, x, y);
}

/* a + b exactly, for |a| >= |b| or a = 0; for any a and b; a * b exactly. */
static inline pair fast_two_sum(const math *m, val a, val b) {
  val s = add(m, a, b);
  return (pair){s, add(m, sub(m, a, s), b)};
}
static inline pair two_sum(const math *m, val a, val b) {
  val s = add(m, a, b), part = sub(m, s, a);
  val lost = sub(m, a, sub(m, s, part));
  return (pair){s, add(m, lost, sub(m, b, part))};
}
static inline pair two_product(const math *m, val a, val b) {
  val p = mul(m, a, b);
  return (pair){p, mad(m, a, b, negate(m, p))};
}

/* ---- math.c, math_log.c ------------------------------------------------------------------ */

math hlm_begin(hlc_emit *e, hl_dtype dtype, val x);
/* c[0] x^(n-1) + ... + c[n-1] */
val hlm_polynomial(const math *m, val x, const double *c, uint32_t n);
/* low <= x <= high; NaN passes. */
val hlm_clamp(const math *m, val x, double low, double high);
/* e^(x + low) 2^shift, rounded once; low is tiny (NULL: 0), |shift| <= 24. */
val hlm_exp(const math *m, val x, val low, int shift);
/* 2^(x + low) */
val hlm_exp2(const math *m, val x, val low);

/* log(x); log(1 + x + low), low is tiny (math_log.c). */
val hlm_log(const math *m, val x);
val hlm_log1p(const math *m, val x, val low);
/* erf(x), |x| < 1; e^(x^2) erfc(x), 0 <= x < infinity (math_error.c). */
val hlm_erf_small(const math *m, val x);
val hlm_scaled_erfc(const math *m, val x);
/* Of an angle between -pi / 4 and pi / 4 (math_trig.c). */
val hlm_sine(const math *m, pair x);
val hlm_cosine(const math *m, pair x);

/* x = 2^k * (1 + f), f within about -1/3 .. 1/3; x is positive and finite. */
typedef struct hlm_parts {
  val k, f;
} hlm_parts;
hlm_parts hlm_split(const math *m, val x);

#define HLM_POLY(m, x, c) hlm_polynomial(m, x, c, HLI_COUNT(c))

#endif
