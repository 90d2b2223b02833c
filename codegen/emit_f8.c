/* emit_f8.c: the 8-bit floating formats to and from f32, any number of lanes at once, by integer arithmetic on the
 * bits.  What every number becomes is said in src/base/float.c.
 *
 * Nothing here multiplies or divides by a power of two where a subnormal f32 could come in: CPUs take a hundred
 * cycles for those. */
#include "codegen/emit.h"

typedef struct f8 {
  hlc_emit *e;
  hli_float_format f;
  LLVMTypeRef i32, f32; /* with as many lanes as the value */
} f8;

static f8 begin(hlc_emit *e, LLVMValueRef x, hl_dtype dtype) {
  return (f8){e, hli_float_format_of(dtype), hlc_like(e->t_i32, x), hlc_like(e->t_f32, x)};
}
static LLVMValueRef bits(const f8 *c, uint32_t x) { return hlc_const_like(c->e, c->i32, x); }
static LLVMValueRef number(const f8 *c, double x) { return hlc_f32_like(c->e, LLVMGetPoison(c->f32), x); }
static LLVMValueRef as_float(const f8 *c, LLVMValueRef x) { return LLVMBuildBitCast(c->e->b, x, c->f32, ""); }
static LLVMValueRef as_bits(const f8 *c, LLVMValueRef x) { return LLVMBuildBitCast(c->e->b, x, c->i32, ""); }
static LLVMValueRef is(const f8 *c, LLVMIntPredicate p, LLVMValueRef x, uint32_t y) {
  return LLVMBuildICmp(c->e->b, p, x, bits(c, y), "");
}
static LLVMValueRef select(const f8 *c, LLVMValueRef cond, LLVMValueRef x, LLVMValueRef y) {
  return LLVMBuildSelect(c->e->b, cond, x, y, "");
}
/* 2^n as the bits of an f32, for a normal one. */
static uint32_t power_bits(int n) { return (uint32_t)(n + 127) << 23; }

/* ---- to f32 ------------------------------------------------------------------------------- */

/* The exponent moves up; the least one below 2^-126 is subnormal. */
static LLVMValueRef widen_scale(const f8 *c, LLVMValueRef code) {
  LLVMBuilderRef b = c->e->b;
  LLVMValueRef y = LLVMBuildShl(b, code, bits(c, 23), "");
  y = select(c, is(c, LLVMIntEQ, code, 0), bits(c, 0x00400000), y);
  return as_float(c, select(c, is(c, LLVMIntEQ, code, 0xff), bits(c, 0x7fc00000), y));
}

/* e5m2 is the upper half of an f16. */
static LLVMValueRef widen_half(const f8 *c, LLVMValueRef x) {
  LLVMBuilderRef b = c->e->b;
  LLVMTypeRef i16 = hlc_like(c->e->t_i16, x);
  LLVMValueRef wide = LLVMBuildShl(b, LLVMBuildZExt(b, x, i16, ""), hlc_const_like(c->e, i16, 8), "");
  return LLVMBuildFPExt(b, LLVMBuildBitCast(b, wide, hlc_like(c->e->t_f16, x), ""), c->f32, "");
}

LLVMValueRef hlc_f8_widen(hlc_emit *e, LLVMValueRef x, hl_dtype from) {
  const f8 c = begin(e, x, from);
  LLVMBuilderRef b = e->b;
  if (c.f.special == HLI_FLOAT_SATURATING) return widen_half(&c, x);
  LLVMValueRef code = LLVMBuildZExt(b, x, c.i32, "");
  if (c.f.special == HLI_FLOAT_SCALE) return widen_scale(&c, code);
  /* Normal numbers: the bits move up and the exponent gets the other bias.  Subnormal ones: behind the leading 1 of
   * the least normal number, which is subtracted again. */
  const uint32_t up = 23u - c.f.mantissa;
  LLVMValueRef size = LLVMBuildShl(b, LLVMBuildAnd(b, code, bits(&c, 0x7f), ""), bits(&c, up), "");
  LLVMValueRef normal = LLVMBuildAdd(b, size, bits(&c, (127u - (uint32_t)c.f.bias) << 23), "");
  LLVMValueRef above = as_float(&c, LLVMBuildAdd(b, normal, bits(&c, 1u << 23), ""));
  LLVMValueRef small = LLVMBuildFSub(b, above, number(&c, 1.0 / (double)(1u << (c.f.bias - 1))), "");
  LLVMValueRef y = select(&c, is(&c, LLVMIntULT, size, 1u << 23), as_bits(&c, small), normal);
  LLVMValueRef sign = LLVMBuildShl(b, LLVMBuildAnd(b, code, bits(&c, 0x80), ""), bits(&c, 24), "");
  const bool fnuz = c.f.special == HLI_FLOAT_UNSIGNED_ZERO;
  LLVMValueRef nan = fnuz ? is(&c, LLVMIntEQ, code, 0x80) : is(&c, LLVMIntEQ, size, 0x7fu << up);
  return as_float(&c, select(&c, nan, bits(&c, 0x7fc00000), LLVMBuildOr(b, y, sign, "")));
}

/* ---- from f32 ------------------------------------------------------------------------------- */

/* The nearest power of two, the greater of two: half of the greater one is added to the mantissa. */
static LLVMValueRef narrow_scale(const f8 *c, LLVMValueRef size) {
  LLVMBuilderRef b = c->e->b;
  LLVMValueRef subnormal = is(c, LLVMIntULT, size, 0x00800000);
  LLVMValueRef half = select(c, subnormal, bits(c, 0x00200000), bits(c, 0x00400000));
  return LLVMBuildLShr(b, LLVMBuildAdd(b, size, half, ""), bits(c, 23), "");
}

/* size: the bits of |x|, at most the largest number. */
static LLVMValueRef narrow_size(const f8 *c, LLVMValueRef size) {
  LLVMBuilderRef b = c->e->b;
  const uint32_t down = 23u - c->f.mantissa;
  /* Round to nearest even: add half a unit less one, plus the last kept bit. */
  LLVMValueRef odd = LLVMBuildAnd(b, LLVMBuildLShr(b, size, bits(c, down), ""), bits(c, 1), "");
  LLVMValueRef up = LLVMBuildAdd(b, LLVMBuildAdd(b, size, odd, ""), bits(c, (1u << (down - 1)) - 1), "");
  LLVMValueRef normal = LLVMBuildLShr(b, up, bits(c, down), "");
  normal = LLVMBuildSub(b, normal, bits(c, (127u - (uint32_t)c->f.bias) << c->f.mantissa), "");
  /* Subnormal numbers: an addition that leaves the wanted units in the last bits does the rounding. */
  const uint32_t magic = power_bits(1 - c->f.bias - c->f.mantissa + 23);
  LLVMValueRef sum = LLVMBuildFAdd(b, as_float(c, size), as_float(c, bits(c, magic)), "");
  LLVMValueRef small = LLVMBuildSub(b, as_bits(c, sum), bits(c, magic), "");
  return select(c, is(c, LLVMIntULT, size, power_bits(1 - c->f.bias)), small, normal);
}

LLVMValueRef hlc_f8_narrow(hlc_emit *e, LLVMValueRef x, hl_dtype to) {
  const f8 c = begin(e, x, to);
  LLVMBuilderRef b = e->b;
  const float largest = (float)hli_float_widen(c.f, hli_float_largest(c.f));
  uint32_t largest_bits;
  memcpy(&largest_bits, &largest, 4);
  LLVMValueRef raw = as_bits(&c, x), given = LLVMBuildAnd(b, raw, bits(&c, 0x7fffffff), "");
  LLVMValueRef size = hlc_intrinsic(e, "llvm.umin", &c.i32, 1, (LLVMValueRef[]){given, bits(&c, largest_bits)}, 2);
  const bool scale = c.f.special == HLI_FLOAT_SCALE;
  LLVMValueRef code = scale ? narrow_scale(&c, size) : narrow_size(&c, size);
  if (c.f.special == HLI_FLOAT_SATURATING)
    code = select(&c, is(&c, LLVMIntEQ, given, 0x7f800000), bits(&c, 0x7c), code);
  if (!scale) {
    LLVMValueRef sign = LLVMBuildAnd(b, LLVMBuildLShr(b, raw, bits(&c, 24), ""), bits(&c, 0x80), "");
    if (c.f.special == HLI_FLOAT_UNSIGNED_ZERO) sign = select(&c, is(&c, LLVMIntEQ, code, 0), code, sign);
    code = LLVMBuildOr(b, code, sign, "");
  }
  LLVMValueRef nan = is(&c, LLVMIntUGT, given, 0x7f800000);
  code = select(&c, nan, bits(&c, (uint32_t)hli_float_nan(c.f)), code);
  return LLVMBuildTrunc(b, code, hlc_like(e->t_i8, x), "");
}
