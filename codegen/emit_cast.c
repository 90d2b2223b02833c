/* emit_cast.c: conversions between dtypes, register by register.
 *
 * float -> int saturates and gives 0 for NaN.  f32 -> bf16 is integer arithmetic: x86's instruction flushes
 * subnormals, and without it LLVM calls a library.  f64 -> f16/bf16 goes through f32 rounded to odd, so that
 * only one rounding counts. */
#include "codegen/emit.h"
#include "src/ir/expand.h"

static LLVMValueRef widen_bf16(hlc_emit *e, LLVMValueRef x) {
  LLVMTypeRef i16 = hlc_like(e->t_i16, x), i32 = hlc_like(e->t_i32, x);
  LLVMValueRef raw = LLVMBuildBitCast(e->b, x, i16, "");
  LLVMValueRef wide = LLVMBuildShl(e->b, LLVMBuildZExt(e->b, raw, i32, ""), hlc_const_like(e, i32, 16), "");
  return LLVMBuildBitCast(e->b, wide, hlc_like(e->t_f32, x), "");
}

/* Round to nearest even: add half a unit less one, plus the last kept bit.  NaN keeps its upper bits, quiet. */
static LLVMValueRef narrow_bf16(hlc_emit *e, LLVMValueRef x) {
  LLVMTypeRef i16 = hlc_like(e->t_i16, x), i32 = hlc_like(e->t_i32, x);
  LLVMValueRef is_nan = LLVMBuildFCmp(e->b, LLVMRealUNO, x, x, "");
  LLVMValueRef raw = LLVMBuildBitCast(e->b, x, i32, "");
  LLVMValueRef upper = LLVMBuildLShr(e->b, raw, hlc_const_like(e, i32, 16), "");
  LLVMValueRef odd = LLVMBuildAnd(e->b, upper, hlc_const_like(e, i32, 1), "");
  LLVMValueRef bias = LLVMBuildAdd(e->b, odd, hlc_const_like(e, i32, 0x7fff), "");
  LLVMValueRef rounded = LLVMBuildLShr(e->b, LLVMBuildAdd(e->b, raw, bias, ""), hlc_const_like(e, i32, 16), "");
  LLVMValueRef quiet = LLVMBuildOr(e->b, upper, hlc_const_like(e, i32, 0x40), "");
  LLVMValueRef y = LLVMBuildSelect(e->b, is_nan, quiet, rounded, "");
  return LLVMBuildBitCast(e->b, LLVMBuildTrunc(e->b, y, i16, ""), hlc_like(e->t_bf16, x), "");
}

/* f64 -> f32 rounded to odd. */
static LLVMValueRef narrow_odd(hlc_emit *e, LLVMValueRef x) {
  LLVMTypeRef i32 = hlc_like(e->t_i32, x), f32 = hlc_like(e->t_f32, x), f64 = LLVMTypeOf(x);
  LLVMValueRef near = LLVMBuildFPTrunc(e->b, x, f32, "");
  LLVMValueRef back = LLVMBuildFPExt(e->b, near, f64, "");
  LLVMValueRef exact = LLVMBuildFCmp(e->b, LLVMRealUEQ, back, x, ""); /* or NaN */
  LLVMValueRef above = LLVMBuildFCmp(e->b, LLVMRealOGT, hlc_intrinsic(e, "llvm.fabs", &f64, 1, &back, 1),
                                     hlc_intrinsic(e, "llvm.fabs", &f64, 1, &x, 1), "");
  LLVMValueRef raw = LLVMBuildBitCast(e->b, near, i32, "");
  LLVMValueRef below = LLVMBuildSub(e->b, raw, LLVMBuildZExt(e->b, above, i32, ""), "");
  LLVMValueRef odd = LLVMBuildOr(e->b, below, hlc_const_like(e, i32, 1), "");
  return LLVMBuildBitCast(e->b, LLVMBuildSelect(e->b, exact, raw, odd, ""), f32, "");
}

static bool is_f8(hl_dtype d) { return hli_dtype_kind(d) == 'f' && hl_dtype_size(d) == 1; }

static LLVMValueRef float_to_float(hlc_emit *e, LLVMValueRef x, hl_dtype from, hl_dtype to) {
  LLVMTypeRef t = hlc_like(hlc_scalar_type(e, to), x);
  if (is_f8(from)) return hlc_cast(e, hlc_f8_widen(e, x, from), HL_F32, to);
  if (is_f8(to)) return hlc_f8_narrow(e, from == HL_F64 ? narrow_odd(e, x) : hlc_cast(e, x, from, HL_F32), to);
  if (from == HL_BF16) {
    LLVMValueRef wide = widen_bf16(e, x);
    return to == HL_F32 ? wide : float_to_float(e, wide, HL_F32, to);
  }
  if (from == HL_F64 && to != HL_F32) {
    LLVMValueRef odd = narrow_odd(e, x);
    return to == HL_BF16 ? narrow_bf16(e, odd) : LLVMBuildFPTrunc(e->b, odd, t, "");
  }
  if (to == HL_BF16) return narrow_bf16(e, from == HL_F16 ? LLVMBuildFPExt(e->b, x, hlc_like(e->t_f32, x), "") : x);
  if (to == HL_F64 && from == HL_F16) /* in two steps: one has an instruction each */
    return LLVMBuildFPExt(e->b, LLVMBuildFPExt(e->b, x, hlc_like(e->t_f32, x), ""), t, "");
  return hl_dtype_size(from) < hl_dtype_size(to) ? LLVMBuildFPExt(e->b, x, t, "") : LLVMBuildFPTrunc(e->b, x, t, "");
}

static LLVMValueRef float_to_int(hlc_emit *e, LLVMValueRef x, hl_dtype from, hl_dtype to) {
  if (hli_dtype_is_narrow(from)) return float_to_int(e, hlc_cast(e, x, from, HL_F32), HL_F32, to);
  LLVMTypeRef types[2] = {hlc_like(hlc_scalar_type(e, to), x), LLVMTypeOf(x)};
  return hlc_intrinsic(e, hli_dtype_kind(to) == 'i' ? "llvm.fptosi.sat" : "llvm.fptoui.sat", types, 2, &x, 1);
}

/* A 64-bit integer beyond 2^53 with 12 bits fewer, rounded to odd: f64 holds it exactly, and a later rounding to 24
 * bits or fewer is the only one. */
static LLVMValueRef sticky(hlc_emit *e, LLVMValueRef x) {
  LLVMTypeRef t = LLVMTypeOf(x);
  LLVMValueRef low = LLVMBuildAnd(e->b, x, hlc_const_like(e, t, 0xfff), "");
  LLVMValueRef lost = LLVMBuildICmp(e->b, LLVMIntNE, low, LLVMConstNull(t), "");
  LLVMValueRef odd = LLVMBuildShl(e->b, LLVMBuildZExt(e->b, lost, t, ""), hlc_const_like(e, t, 12), "");
  LLVMValueRef kept = LLVMBuildOr(e->b, LLVMBuildSub(e->b, x, low, ""), odd, "");
  LLVMValueRef up = LLVMBuildAdd(e->b, x, hlc_const_like(e, t, 1ull << 53), ""); /* 0 .. 2^54 for what is small */
  LLVMValueRef small = LLVMBuildICmp(e->b, LLVMIntULE, up, hlc_const_like(e, t, 1ull << 54), "");
  return LLVMBuildSelect(e->b, small, x, kept, "");
}

static LLVMValueRef int_to_float(hlc_emit *e, LLVMValueRef x, hl_dtype from, hl_dtype to) {
  bool with_sign = hli_dtype_kind(from) == 'i';
  if (hli_dtype_is_narrow(to)) { /* f64 holds 32-bit integers exactly: one rounding */
    hl_dtype via = hl_dtype_size(from) <= 2 ? HL_F32 : HL_F64;
    if (hl_dtype_size(from) == 8) x = sticky(e, x);
    return hlc_cast(e, int_to_float(e, x, from, via), via, to);
  }
  LLVMTypeRef t = hlc_like(hlc_scalar_type(e, to), x);
  return with_sign ? LLVMBuildSIToFP(e->b, x, t, "") : LLVMBuildUIToFP(e->b, x, t, "");
}

static LLVMValueRef to_bool(hlc_emit *e, LLVMValueRef x, hl_dtype from) {
  LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(x));
  if (hli_dtype_is_narrow(from)) return to_bool(e, hlc_cast(e, x, from, HL_F32), HL_F32);
  return hli_dtype_kind(from) == 'f' ? LLVMBuildFCmp(e->b, LLVMRealUNE, x, zero, "")
                                     : LLVMBuildICmp(e->b, LLVMIntNE, x, zero, "");
}

static LLVMValueRef int_to_int(hlc_emit *e, LLVMValueRef x, hl_dtype from, hl_dtype to) {
  LLVMTypeRef t = hlc_like(hlc_scalar_type(e, to), x);
  if (from == HL_BOOL || hl_dtype_size(from) < hl_dtype_size(to))
    return hli_dtype_kind(from) == 'i' ? LLVMBuildSExt(e->b, x, t, "") : LLVMBuildZExt(e->b, x, t, "");
  return hl_dtype_size(from) > hl_dtype_size(to) ? LLVMBuildTrunc(e->b, x, t, "") : x;
}

LLVMValueRef hlc_cast(hlc_emit *e, LLVMValueRef x, hl_dtype from, hl_dtype to) {
  if (from == to) return x;
  if (e->family->cast) {
    LLVMValueRef own = e->family->cast(e, x, from, to);
    if (own) return own;
  }
  if (to == HL_BOOL) return to_bool(e, x, from);
  bool f = hli_dtype_kind(from) == 'f', g = hli_dtype_kind(to) == 'f';
  if (f) return g ? float_to_float(e, x, from, to) : float_to_int(e, x, from, to);
  return g ? int_to_float(e, x, from, to) : int_to_int(e, x, from, to);
}
