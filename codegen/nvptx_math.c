/* nvptx_math.c: f32 functions by the special-function unit, with the error that is promised.
 *
 *   exp(x)    ex2(x log2 e) with the rounding error of the product put back: at most 3 ulp
 *   exp2(x)   ex2.approx: 2 ulp
 *   x / y     x * (1 / y), y first scaled away from the ends of the range: at most 2 ulp.  What depends on
 *             the divisor alone is made once for all elements it divides.
 *   rsqrt     rsqrt.approx: 2 ulp
 * Other dtypes take the generic form. */
#include "codegen/nvptx.h"

static LLVMValueRef num(hlc_emit *e, double x) { return LLVMConstReal(e->t_f32, x); }

static LLVMValueRef call1(hlc_emit *e, const char *name, LLVMValueRef x) { return nv_call(e, name, &x, 1); }
static LLVMValueRef ex2(hlc_emit *e, LLVMValueRef x) { return hlc_intrinsic(e, "llvm.nvvm.ex2.approx", &e->t_f32, 1, &x, 1); }

static LLVMValueRef limit(hlc_emit *e, LLVMValueRef x, double low, double high) {
  LLVMValueRef a[2] = {x, num(e, low)};
  a[0] = hlc_intrinsic(e, "llvm.maximum", &e->t_f32, 1, a, 2); /* keeps NaN */
  a[1] = num(e, high);
  return hlc_intrinsic(e, "llvm.minimum", &e->t_f32, 1, a, 2);
}

/* t = x log2 e rounded; r = x log2 e - t, to first order; 2^(t + r) = 2^t (1 + r ln 2).  The limits keep
 * infinities out of r; beyond them the result is 0 or infinity anyway. */
static LLVMValueRef exp_(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args) {
  (void)code;
  if (dtype != HL_F32) return NULL;
  LLVMValueRef x = limit(e, args[0], -105.0, 89.0);
  LLVMValueRef t = LLVMBuildFMul(e->b, x, num(e, 0x1.715476p+0), "");
  LLVMValueRef r = hlc_fma(e, x, num(e, 0x1.715476p+0), LLVMBuildFNeg(e->b, t, ""));
  r = hlc_fma(e, x, num(e, 0x1.4ae0cp-26), r);
  return LLVMBuildFMul(e->b, ex2(e, t), hlc_fma(e, r, num(e, 0x1.62e43p-1), num(e, 1)), "");
}

static LLVMValueRef exp2_(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args) {
  (void)code;
  return dtype == HL_F32 ? ex2(e, args[0]) : NULL;
}

static LLVMValueRef rsqrt_(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args) {
  (void)code;
  return dtype == HL_F32 ? call1(e, "llvm.nvvm.rsqrt.approx.f", args[0]) : NULL;
}

static LLVMValueRef divide(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args) {
  (void)code;
  if (dtype != HL_F32) return NULL;
  LLVMValueRef size = args[1];
  size = hlc_intrinsic(e, "llvm.fabs", &e->t_f32, 1, &size, 1);
  LLVMValueRef large = LLVMBuildFCmp(e->b, LLVMRealOGT, size, num(e, 0x1p126), "");
  LLVMValueRef small = LLVMBuildFCmp(e->b, LLVMRealOLT, size, num(e, 0x1p-126), "");
  LLVMValueRef scale = LLVMBuildSelect(e->b, large, num(e, 0x1p-24), LLVMBuildSelect(e->b, small, num(e, 0x1p24), num(e, 1), ""), "");
  LLVMValueRef inverse = call1(e, "llvm.nvvm.rcp.approx.ftz.f", LLVMBuildFMul(e->b, args[1], scale, ""));
  return LLVMBuildFMul(e->b, LLVMBuildFMul(e->b, args[0], scale, ""), inverse, "");
}

const hlc_pointwise_fn nv_pointwise[HLI_OP_COUNT] = {
    [HLI_OP_EXP] = exp_,
    [HLI_OP_EXP2] = exp2_,
    [HLI_OP_RSQRT] = rsqrt_,
    [HLI_OP_DIV] = divide,
};
