/* nvptx_math.c: f32 functions by the special-function unit, with the error that is promised.
 *
 *   exp(x)    2^n 2^f with n chosen by a saturating, downward-rounding fma: at most 2 ulp, subnormals kept
 *   exp2(x)   ex2.approx: 2 ulp
 *   x / y     x * (1 / y), y first scaled away from the ends of the range: at most 2 ulp.  What depends on
 *             the divisor alone is made once for all elements it divides.  Without the scaling where that is allowed
 *   rsqrt     rsqrt.approx: 2 ulp
 * Other dtypes take the generic form. */
#include "codegen/nvptx.h"

static LLVMValueRef num(hlc_emit *e, double x) {
  return LLVMConstReal(e->t_f32, x);
}

static LLVMValueRef call1(hlc_emit *e, const char *name, LLVMValueRef x) {
  return nv_call(e, name, &x, 1);
}
static LLVMValueRef ex2(hlc_emit *e, LLVMValueRef x) {
  return hlc_intrinsic(e, "llvm.nvvm.ex2.approx", &e->t_f32, 1, &x, 1);
}

/* Eight instructions.  The saturating fma brings x log2(e) / 252 + 1/2 into [0, 1], so that n is within [-126, 126]
 * whatever x is; adding 252 times that to 1.5 * 2^23 + 1 with rounding downwards leaves n + 127 in the low bits, ready
 * to become the exponent of 2^n.  f = x log2(e) - n is exact but for the two-term constant; beyond the limits of n it
 * grows, and 2^f with it, to 0 or infinity.  NaN passes through f. */
static LLVMValueRef exp_(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args) {
  (void)code;
  if (dtype != HL_F32)
    return NULL;
  const LLVMValueRef x = args[0];
  const LLVMValueRef part[3] = {x, num(e, 0x1.715476p+0 / 252), num(e, 0.5)};
  const LLVMValueRef unit[3] = {nv_call(e, "llvm.nvvm.fma.rn.sat.f", part, 3), num(e, 252), num(e, 12582913)};
  LLVMValueRef n = nv_call(e, "llvm.nvvm.fma.rm.f", unit, 3);
  LLVMValueRef whole = LLVMBuildFAdd(e->b, n, num(e, -12583039), "");
  LLVMValueRef f = hlc_fma(e, x, num(e, 0x1.715476p+0), LLVMBuildFNeg(e->b, whole, ""));
  f = hlc_fma(e, x, num(e, 0x1.4ae0cp-26), f);
  LLVMValueRef bits = LLVMBuildShl(e->b, LLVMBuildBitCast(e->b, n, e->t_i32, ""), LLVMConstInt(e->t_i32, 23, 0), "");
  return LLVMBuildFMul(e->b, hlc_intrinsic(e, "llvm.nvvm.ex2.approx.ftz", &e->t_f32, 1, &f, 1),
                       LLVMBuildBitCast(e->b, bits, e->t_f32, ""), "");
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
  if (dtype != HL_F32)
    return NULL;
  if (e->k->allow & HL_ALLOW_APPROX_DIV)
    return LLVMBuildFMul(e->b, args[0], call1(e, "llvm.nvvm.rcp.approx.ftz.f", args[1]), "");
  LLVMValueRef size = args[1];
  size = hlc_intrinsic(e, "llvm.fabs", &e->t_f32, 1, &size, 1);
  LLVMValueRef large = LLVMBuildFCmp(e->b, LLVMRealOGT, size, num(e, 0x1p126), "");
  LLVMValueRef small = LLVMBuildFCmp(e->b, LLVMRealOLT, size, num(e, 0x1p-126), "");
  LLVMValueRef scale =
      LLVMBuildSelect(e->b, large, num(e, 0x1p-24), LLVMBuildSelect(e->b, small, num(e, 0x1p24), num(e, 1), ""), "");
  LLVMValueRef inverse = call1(e, "llvm.nvvm.rcp.approx.ftz.f", LLVMBuildFMul(e->b, args[1], scale, ""));
  return LLVMBuildFMul(e->b, LLVMBuildFMul(e->b, args[0], scale, ""), inverse, "");
}

static LLVMValueRef tf32_(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args) {
  (void)code;
  (void)dtype;
  return LLVMBuildBitCast(e->b, nv_call(e, "llvm.nvvm.f2tf32.rna", args, 1), e->t_f32, "");
}

const hlc_pointwise_fn nv_pointwise[HLI_OP_COUNT] = {
    [HLI_OP_EXP] = exp_,
    [HLI_OP_EXP2] = exp2_,
    [HLI_OP_RSQRT] = rsqrt_,
    [HLI_OP_DIV] = divide,
    [HLI_OP_TF32] = tf32_,
};

/* ---- casts ------------------------------------------------------------------------------------------- */

static LLVMValueRef made_by(LLVMValueRef x, LLVMOpcode opcode) {
  return x && LLVMIsAInstruction(x) && LLVMGetInstructionOpcode(x) == opcode ? LLVMGetOperand(x, 0) : NULL;
}

/* bf16 to f32 is a shift; of half a 32-bit register, as loads deliver it, one instruction.  (Left alone, LLVM would go
 * through 16-bit registers.) */
static LLVMValueRef widen_half(hlc_emit *e, LLVMValueRef x) {
  LLVMValueRef low = made_by(made_by(x, LLVMBitCast), LLVMTrunc), bits = NULL;
  if (!low || LLVMTypeOf(low) != e->t_i32)
    return NULL;
  LLVMValueRef word = made_by(low, LLVMLShr);
  if (!word)
    bits = LLVMBuildShl(e->b, low, hlc_i32(e, 16), "");
  else if (LLVMIsAConstantInt(LLVMGetOperand(low, 1)) && LLVMConstIntGetZExtValue(LLVMGetOperand(low, 1)) == 16)
    bits = LLVMBuildAnd(e->b, word, hlc_i32(e, (int32_t)0xffff0000u), "");
  return bits ? LLVMBuildBitCast(e->b, bits, e->t_f32, "") : NULL;
}

/* From sm_89 on there are conversions of pairs; elsewhere, and for the other formats, integer arithmetic does it.  An
 * infinity must stay one in f8e5m2, which the instruction makes the largest number. */
static LLVMValueRef narrow_f8(hlc_emit *e, LLVMValueRef x, hl_dtype to) {
  if (e->target->arch < 89)
    return NULL;
  const bool e4m3 = to == HL_F8E4M3;
  const LLVMValueRef pair[2] = {LLVMConstNull(e->t_f32), x};
  LLVMValueRef two = nv_call(e, e4m3 ? "llvm.nvvm.ff.to.e4m3x2.rn" : "llvm.nvvm.ff.to.e5m2x2.rn", pair, 2);
  LLVMValueRef code = LLVMBuildTrunc(e->b, two, e->t_i8, "");
  if (e4m3)
    return code;
  LLVMValueRef up = LLVMBuildFCmp(e->b, LLVMRealOEQ, x, num(e, __builtin_inf()), "");
  LLVMValueRef down = LLVMBuildFCmp(e->b, LLVMRealOEQ, x, num(e, -__builtin_inf()), "");
  code = LLVMBuildSelect(e->b, up, LLVMConstInt(e->t_i8, 0x7c, 0), code, "");
  return LLVMBuildSelect(e->b, down, LLVMConstInt(e->t_i8, 0xfc, 0), code, "");
}

static LLVMValueRef widen_f8(hlc_emit *e, LLVMValueRef x, hl_dtype from) {
  if (e->target->arch < 89)
    return NULL;
  LLVMValueRef pair = LLVMBuildZExt(e->b, x, e->t_i16, "");
  const char *name = from == HL_F8E4M3 ? "llvm.nvvm.e4m3x2.to.f16x2.rn" : "llvm.nvvm.e5m2x2.to.f16x2.rn";
  LLVMValueRef half = LLVMBuildExtractElement(e->b, nv_call(e, name, &pair, 1), hlc_i32(e, 0), "");
  return LLVMBuildFPExt(e->b, half, e->t_f32, "");
}

/* To bf16 by the machine's rounding; LLVM makes one instruction of two that land in one register. */
LLVMValueRef nv_cast(hlc_emit *e, LLVMValueRef x, hl_dtype from, hl_dtype to) {
  if (from == HL_BF16 && to == HL_F32)
    return widen_half(e, x);
  if (from == HL_F32 && (to == HL_F8E4M3 || to == HL_F8E5M2))
    return narrow_f8(e, x, to);
  if (to == HL_F32 && (from == HL_F8E4M3 || from == HL_F8E5M2))
    return widen_f8(e, x, from);
  if (to != HL_BF16 || (from != HL_F32 && from != HL_F16))
    return NULL;
  if (from == HL_F16)
    x = LLVMBuildFPExt(e->b, x, e->t_f32, "");
  return LLVMBuildFPTrunc(e->b, x, e->t_bf16, "");
}
