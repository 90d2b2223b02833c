/* math.c: exp, exp2, log and log2 as polynomials in IR, for f32 and f64, scalars and vectors.
 *
 * They inline and fuse, need no library, and keep infinities, NaN, signed zeros and subnormals.
 * Largest errors in ulp, measured over 10^8 (f32) and 2.5 * 10^7 (f64) arguments, half of them random bits:
 * exp 1.0, exp2 1.0 (f64 1.1), log 0.94, log2 1.8; of what is made of them: tanh 1.3, sigmoid 2.5, silu 2.4.
 *
 * Rounding to an integer is done by adding 1.5 * 2^(mantissa bits): the integer then stands in the low bits,
 * NaN gives an arbitrary one instead of LLVM's poison. */
#include "codegen/emit.h"

/* The two formats as data. */
typedef struct format {
  double magic;                /* 1.5 * 2^mantissa */
  uint64_t magic_bits;
  double exp_low, exp_high;    /* beyond: 0 and infinity */
  double exp2_low, exp2_high;
  double ln2_high, ln2_low;    /* ln 2 = high + low; n * high is exact */
  double least_normal, to_normal; /* to_normal: 2^mantissa_bits */
  uint64_t two_thirds;         /* bits of 2/3 (f32) or sqrt(1/2) (f64): where the mantissa's range begins */
  uint64_t exponent_mask;      /* sign and exponent */
  uint32_t mantissa_bits, bias;
} format;

static const format formats[2] = {
    {12582912.0, 0x4b400000, -104.0, 89.0, -151.0, 129.0, 0x1.62e400p-1, 0x1.7f7d1cp-20, 0x1p-126, 0x1p23, 0x3f2aaaab,
     0xff800000, 23, 127},
    {6755399441055744.0, 0x4338000000000000, -746.0, 710.0, -1076.0, 1025.0, 0x1.62e42feep-1, 0x1.a39ef35793c76p-33,
     0x1p-1022, 0x1p52, 0x3fe6a09e667f3bcd, 0xfff0000000000000, 52, 1023},
};

typedef struct math {
  hlc_emit *e;
  const format *f;
  LLVMTypeRef t, it; /* of x; integers of the same width and lanes */
  bool is_double;
} math;

static math begin(hlc_emit *e, hl_dtype dtype, LLVMValueRef x) {
  bool is_double = dtype == HL_F64;
  LLVMTypeRef it = hlc_like(is_double ? e->t_i64 : e->t_i32, x);
  return (math){e, &formats[is_double], LLVMTypeOf(x), it, is_double};
}

static LLVMValueRef num(const math *m, double x) {
  return hlc_f32_like(m->e, LLVMGetPoison(m->t), x);
}
static LLVMValueRef bits(const math *m, uint64_t x) { return hlc_const_like(m->e, m->it, x); }
static LLVMValueRef as_int(const math *m, LLVMValueRef x) { return LLVMBuildBitCast(m->e->b, x, m->it, ""); }
static LLVMValueRef as_float(const math *m, LLVMValueRef x) { return LLVMBuildBitCast(m->e->b, x, m->t, ""); }
static LLVMValueRef add(const math *m, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFAdd(m->e->b, a, b, ""); }
static LLVMValueRef sub(const math *m, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFSub(m->e->b, a, b, ""); }
static LLVMValueRef mul(const math *m, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFMul(m->e->b, a, b, ""); }
static LLVMValueRef mad(const math *m, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) { return hlc_fma(m->e, a, b, c); }
static LLVMValueRef iadd(const math *m, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildAdd(m->e->b, a, b, ""); }
static LLVMValueRef isub(const math *m, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildSub(m->e->b, a, b, ""); }
static LLVMValueRef select_if(const math *m, LLVMRealPredicate p, LLVMValueRef x, double limit, LLVMValueRef then,
                              LLVMValueRef otherwise) {
  return LLVMBuildSelect(m->e->b, LLVMBuildFCmp(m->e->b, p, x, num(m, limit), ""), then, otherwise, "");
}

LLVMValueRef hlc_fma(hlc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
  LLVMTypeRef t = LLVMTypeOf(a);
  return hlc_intrinsic(e, "llvm.fma", &t, 1, (LLVMValueRef[]){a, b, c}, 3);
}

/* c[0] x^(n-1) + ... + c[n-1] */
static LLVMValueRef polynomial(const math *m, LLVMValueRef x, const double *c, uint32_t n) {
  LLVMValueRef p = num(m, c[0]);
  for (uint32_t i = 1; i < n; i++)
    p = mad(m, p, x, num(m, c[i]));
  return p;
}

/* ---- exp, exp2 -------------------------------------------------------------------- */

/* (e^r - 1 - r) / r^2 on |r| <= ln 2 / 2.  f32: minimax, the relative error of e^r is 3e-9 (0.05 ulp); f64:
 * Taylor (remainder 4e-18). */
static const double exp32[] = {0x1.6a241ap-10, 0x1.1239f2p-7, 0x1.5558f2p-5, 0x1.555492p-3, 0x1.fffffcp-2};
static const double exp64[] = {1 / 6227020800.0, 1 / 479001600.0, 1 / 39916800.0, 1 / 3628800.0, 1 / 362880.0,
                               1 / 40320.0,      1 / 5040.0,      1 / 720.0,      1 / 120.0,     1 / 24.0,
                               1 / 6.0,          0.5};

static LLVMValueRef exp_poly(const math *m, LLVMValueRef r) {
  LLVMValueRef p = m->is_double ? polynomial(m, r, exp64, HLI_COUNT(exp64)) : polynomial(m, r, exp32, HLI_COUNT(exp32));
  return add(m, mad(m, p, mul(m, r, r), r), num(m, 1));
}

/* 2^n as a float, n within the exponent's range. */
static LLVMValueRef power_of_two(const math *m, LLVMValueRef n) {
  LLVMValueRef biased = iadd(m, n, bits(m, m->f->bias));
  return as_float(m, LLVMBuildShl(m->e->b, biased, bits(m, m->f->mantissa_bits), ""));
}

/* p * 2^n, n given as a float and, plus magic_bits, in the low bits of `t`.  Two steps, of which the first is
 * exact, so that subnormal results are rounded once and 2^n never overflows. */
static LLVMValueRef scale(const math *m, LLVMValueRef p, LLVMValueRef n, LLVMValueRef t) {
  LLVMValueRef own = m->e->family->scale ? m->e->family->scale(m->e, p, n) : NULL;
  if (own) return own;
  LLVMValueRef whole = isub(m, as_int(m, t), bits(m, m->f->magic_bits));
  LLVMValueRef half = LLVMBuildAShr(m->e->b, whole, bits(m, 1), "");
  LLVMValueRef rest = isub(m, whole, half);
  return mul(m, mul(m, p, power_of_two(m, half)), power_of_two(m, rest));
}

static LLVMValueRef clamp(const math *m, LLVMValueRef x, double low, double high) {
  x = select_if(m, LLVMRealOLT, x, low, num(m, low), x); /* NaN passes */
  return select_if(m, LLVMRealOGT, x, high, num(m, high), x);
}

LLVMValueRef hlc_math_exp(hlc_emit *e, hl_dtype dtype, LLVMValueRef x) {
  math m = begin(e, dtype, x);
  x = clamp(&m, x, m.f->exp_low, m.f->exp_high);
  LLVMValueRef t = mad(&m, x, num(&m, 0x1.71547652b82fep+0), num(&m, m.f->magic));
  LLVMValueRef n = sub(&m, t, num(&m, m.f->magic));
  LLVMValueRef r = mad(&m, n, num(&m, -m.f->ln2_high), x);
  r = mad(&m, n, num(&m, -m.f->ln2_low), r);
  return scale(&m, exp_poly(&m, r), n, t);
}

LLVMValueRef hlc_math_exp2(hlc_emit *e, hl_dtype dtype, LLVMValueRef x) {
  math m = begin(e, dtype, x);
  x = clamp(&m, x, m.f->exp2_low, m.f->exp2_high);
  LLVMValueRef t = add(&m, x, num(&m, m.f->magic));
  LLVMValueRef n = sub(&m, t, num(&m, m.f->magic)), r = sub(&m, x, n);
  r = mul(&m, r, num(&m, 0x1.62e42fefa39efp-1));
  return scale(&m, exp_poly(&m, r), n, t);
}

/* ---- log, log2 ----------------------------------------------------------------------- */

/* x = 2^k * (1 + f), f within about -1/3 .. 1/3. */
typedef struct parts { LLVMValueRef k, f; } parts;

static parts split(const math *m, LLVMValueRef x) {
  LLVMValueRef small = LLVMBuildFCmp(m->e->b, LLVMRealOLT, x, num(m, m->f->least_normal), "");
  x = LLVMBuildSelect(m->e->b, small, mul(m, x, num(m, m->f->to_normal)), x, "");
  LLVMValueRef shift = LLVMBuildSelect(m->e->b, small, num(m, -(double)m->f->mantissa_bits), num(m, 0), "");
  LLVMValueRef exponent = LLVMBuildAnd(m->e->b, isub(m, as_int(m, x), bits(m, m->f->two_thirds)),
                                       bits(m, m->f->exponent_mask), "");
  LLVMValueRef mantissa = as_float(m, isub(m, as_int(m, x), exponent));
  LLVMValueRef n = LLVMBuildAShr(m->e->b, exponent, bits(m, m->f->mantissa_bits), "");
  LLVMValueRef k = add(m, LLVMBuildSIToFP(m->e->b, n, m->t, ""), shift);
  return (parts){k, sub(m, mantissa, num(m, 1))};
}

/* log(1 + f) - f, f32; a minimax polynomial evaluated in two interleaved chains. */
static LLVMValueRef log1p_tail32(const math *m, LLVMValueRef f) {
  static const double even[] = {-0x1.0ae000p-3, -0x1.f198b2p-4, -0x1.55b36cp-3, -0x1.fffe02p-3};
  static const double odd[] = {0x1.208000p-3, 0x1.1e5740p-3, 0x1.99d8b2p-3};
  LLVMValueRef s = mul(m, f, f);
  LLVMValueRef r = polynomial(m, s, even, 4), t = polynomial(m, s, odd, 3);
  r = mad(m, t, f, r);
  r = mad(m, r, f, num(m, 0x1.5554fap-2));
  r = mad(m, r, f, num(m, -0.5));
  return mul(m, r, s);
}

/* The same for f64: with s = f / (2 + f), log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)) (fdlibm). */
static LLVMValueRef log1p_tail64(const math *m, LLVMValueRef f) {
  static const double lg[] = {1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
                              2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
                              6.666666666666735130e-01};
  LLVMValueRef s = LLVMBuildFDiv(m->e->b, f, add(m, num(m, 2), f), "");
  LLVMValueRef z = mul(m, s, s), half = mul(m, num(m, 0.5), mul(m, f, f));
  LLVMValueRef r = mul(m, polynomial(m, z, lg, HLI_COUNT(lg)), z);
  return sub(m, mul(m, s, add(m, half, r)), half);
}

static LLVMValueRef log1p_tail(const math *m, LLVMValueRef f) {
  return m->is_double ? log1p_tail64(m, f) : log1p_tail32(m, f);
}

/* 0 gives -inf, negatives NaN, +inf and NaN themselves. */
static LLVMValueRef log_edges(const math *m, LLVMValueRef x, LLVMValueRef y) {
  y = select_if(m, LLVMRealOLT, x, 0, num(m, __builtin_nan("")), y);
  y = select_if(m, LLVMRealOEQ, x, 0, num(m, -__builtin_inf()), y);
  LLVMValueRef is_inf = LLVMBuildFCmp(m->e->b, LLVMRealOEQ, x, num(m, __builtin_inf()), "");
  LLVMValueRef is_nan = LLVMBuildFCmp(m->e->b, LLVMRealUNO, x, x, "");
  return LLVMBuildSelect(m->e->b, LLVMBuildOr(m->e->b, is_inf, is_nan, ""), x, y, "");
}

LLVMValueRef hlc_math_log(hlc_emit *e, hl_dtype dtype, LLVMValueRef x) {
  math m = begin(e, dtype, x);
  parts p = split(&m, x);
  LLVMValueRef low = mad(&m, p.k, num(&m, m.f->ln2_low), log1p_tail(&m, p.f));
  LLVMValueRef y = mad(&m, p.k, num(&m, m.f->ln2_high), add(&m, p.f, low));
  return log_edges(&m, x, y);
}

LLVMValueRef hlc_math_log2(hlc_emit *e, hl_dtype dtype, LLVMValueRef x) {
  math m = begin(e, dtype, x);
  parts p = split(&m, x);
  LLVMValueRef y = add(&m, p.f, log1p_tail(&m, p.f));
  return log_edges(&m, x, mad(&m, y, num(&m, 0x1.71547652b82fep+0), p.k));
}
