/* host_x86.c: operations for which AVX-512 has an instruction that LLVM does not find on its own.
 *
 * They take registers of 512 bits, or several of them (16 lanes of f64); anything else is left to the
 * generic form. */
#include <math.h>
#include "codegen/host.h"

#define REGISTER 64 /* bytes */
#define CURRENT_ROUNDING 4

/* Lanes of one 512-bit register of x's elements, 0 if x is no such vector. */
static uint32_t lanes_of_register(hlc_emit *e, LLVMValueRef x, bool *is_double) {
  LLVMTypeRef t = LLVMTypeOf(x);
  if (e->target->vector_bytes != REGISTER || strncmp(LLVMGetTarget(e->module), "x86_64", 6) != 0) return 0;
  if (LLVMGetTypeKind(t) != LLVMVectorTypeKind) return 0;
  *is_double = LLVMGetElementType(t) == e->t_f64;
  if (!*is_double && LLVMGetElementType(t) != e->t_f32) return 0;
  uint32_t lanes = *is_double ? 8 : 16, n = LLVMGetVectorSize(t);
  return n % lanes == 0 ? lanes : 0;
}

static LLVMValueRef lanes_from(hlc_emit *e, LLVMValueRef a, LLVMValueRef b, uint32_t first, uint32_t n) {
  LLVMValueRef index[HLC_MAX_LANES];
  for (uint32_t i = 0; i < n; i++)
    index[i] = hlc_i32(e, (int32_t)(first + i));
  return LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(index, n), "");
}

/* Lanes of poison behind x. */
static LLVMValueRef lengthened(hlc_emit *e, LLVMValueRef x, uint32_t n) {
  LLVMValueRef index[HLC_MAX_LANES];
  for (uint32_t i = 0; i < n; i++)
    index[i] = i < hlc_lanes(x) ? hlc_i32(e, (int32_t)i) : LLVMGetPoison(e->t_i32);
  return LLVMBuildShuffleVector(e->b, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstVector(index, n), "");
}

typedef LLVMValueRef (*part_fn)(hlc_emit *e, LLVMValueRef a, LLVMValueRef b, bool is_double, int selector);

/* Applies `fn` to each 512-bit register of a and b. */
static LLVMValueRef by_register(hlc_emit *e, LLVMValueRef a, LLVMValueRef b, part_fn fn, int selector) {
  bool is_double = false;
  uint32_t lanes = lanes_of_register(e, a, &is_double), all = hlc_lanes(a);
  if (!lanes) return NULL;
  LLVMValueRef out = NULL;
  for (uint32_t at = 0; at < all; at += lanes) {
    LLVMValueRef x = all == lanes ? a : lanes_from(e, a, LLVMGetPoison(LLVMTypeOf(a)), at, lanes);
    LLVMValueRef y = all == lanes ? b : lanes_from(e, b, LLVMGetPoison(LLVMTypeOf(b)), at, lanes);
    LLVMValueRef z = fn(e, x, y, is_double, selector);
    if (at > lanes) z = lengthened(e, z, at); /* as long as what is there */
    out = out ? lanes_from(e, out, z, 0, at + lanes) : z;
  }
  return out;
}

static LLVMValueRef all_lanes(hlc_emit *e, bool is_double) {
  return LLVMConstInt(is_double ? e->t_i8 : e->t_i16, is_double ? 0xff : 0xffff, false);
}

static LLVMValueRef scale_register(hlc_emit *e, LLVMValueRef p, LLVMValueRef n, bool is_double, int selector) {
  (void)selector;
  LLVMValueRef args[5] = {p, n, LLVMConstNull(LLVMTypeOf(p)), all_lanes(e, is_double), hlc_i32(e, CURRENT_ROUNDING)};
  return hlc_intrinsic(e, is_double ? "llvm.x86.avx512.mask.scalef.pd.512" : "llvm.x86.avx512.mask.scalef.ps.512", NULL, 0, args, 5);
}

LLVMValueRef hlc_x86_scale(hlc_emit *e, LLVMValueRef p, LLVMValueRef n) { return by_register(e, p, n, scale_register, 0); }

/* ---- exponent and mantissa ---- */

static LLVMValueRef exponent_register(hlc_emit *e, LLVMValueRef x, LLVMValueRef y, bool is_double, int selector) {
  (void)y;
  (void)selector;
  LLVMValueRef args[4] = {x, LLVMConstNull(LLVMTypeOf(x)), all_lanes(e, is_double), hlc_i32(e, CURRENT_ROUNDING)};
  return hlc_intrinsic(e, is_double ? "llvm.x86.avx512.mask.getexp.pd.512" : "llvm.x86.avx512.mask.getexp.ps.512", NULL, 0, args, 4);
}

static LLVMValueRef mantissa_register(hlc_emit *e, LLVMValueRef x, LLVMValueRef y, bool is_double, int selector) {
  (void)y;
  LLVMValueRef args[5] = {x, hlc_i32(e, selector), LLVMConstNull(LLVMTypeOf(x)), all_lanes(e, is_double), hlc_i32(e, CURRENT_ROUNDING)};
  return hlc_intrinsic(e, is_double ? "llvm.x86.avx512.mask.getmant.pd.512" : "llvm.x86.avx512.mask.getmant.ps.512", NULL, 0, args, 5);
}

bool hlc_x86_split(hlc_emit *e, LLVMValueRef x, LLVMValueRef *exponent, LLVMValueRef *mantissa) {
  enum { FROM_1_TO_2 = 0, NAN_BELOW_0 = 8, ZERO_IS_POSITIVE = 4 };
  *exponent = by_register(e, x, x, exponent_register, 0);
  if (!*exponent) return false;
  *mantissa = by_register(e, x, x, mantissa_register, FROM_1_TO_2 | NAN_BELOW_0 | ZERO_IS_POSITIVE);
  return true;
}

/* ---- minimum and maximum ---- */

/* vrange orders signed zeros as we do (-0 below +0) but drops a NaN: where one operand is NaN, so is the sum. */
static LLVMValueRef range_register(hlc_emit *e, LLVMValueRef a, LLVMValueRef b, bool is_double, int selector) {
  LLVMValueRef args[6] = {a, b, hlc_i32(e, selector), LLVMConstNull(LLVMTypeOf(a)), all_lanes(e, is_double), hlc_i32(e, CURRENT_ROUNDING)};
  LLVMValueRef r = hlc_intrinsic(e, is_double ? "llvm.x86.avx512.mask.range.pd.512" : "llvm.x86.avx512.mask.range.ps.512", NULL, 0, args, 6);
  LLVMValueRef is_nan = LLVMBuildFCmp(e->b, LLVMRealUNO, a, b, "");
  return LLVMBuildSelect(e->b, is_nan, LLVMBuildFAdd(e->b, a, b, ""), r, "");
}

/* Of a number other than 0, which x86's own instruction takes as its first operand: it gives the second one, NaN too,
 * unless the first is the smaller or larger one. */
static bool is_plain_constant(LLVMValueRef x) {
  if (!LLVMIsConstant(x)) return false;
  LLVMValueRef one = LLVMGetTypeKind(LLVMTypeOf(x)) == LLVMVectorTypeKind ? LLVMGetAggregateElement(x, 0) : x;
  LLVMBool lost;
  if (!one || !LLVMIsAConstantFP(one) || (one != x && LLVMIsAConstantVector(x))) return false;
  const double number = LLVMConstRealGetDouble(one, &lost);
  return number < 0 || number > 0;
}

LLVMValueRef hlc_x86_extremum(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args) {
  enum { RANGE_MIN = 4, RANGE_MAX = 5 }; /* the operation, and the sign of its result */
  if (dtype != HL_F32 && dtype != HL_F64) return NULL;
  for (int i = 0; i < 2; i++)
    if (is_plain_constant(args[i])) {
      LLVMValueRef first = LLVMBuildFCmp(e->b, code == HLI_OP_MAX ? LLVMRealOGT : LLVMRealOLT, args[i], args[1 - i], "");
      return LLVMBuildSelect(e->b, first, args[i], args[1 - i], "");
    }
  return by_register(e, args[0], args[1], range_register, code == HLI_OP_MAX ? RANGE_MAX : RANGE_MIN);
}

/* ---- the largest or smallest of all lanes ---- */

/* vrange of a whole vector of 16 bytes or more.  A NaN is dropped here. */
static LLVMValueRef ordered(hlc_emit *e, LLVMValueRef a, LLVMValueRef b, bool is_double, int selector) {
  const uint32_t bytes = hlc_lanes(a) * (is_double ? 8 : 4);
  const bool half = bytes == REGISTER / 2;
  const char *name = is_double ? half ? "llvm.x86.avx512.mask.range.pd.256" : "llvm.x86.avx512.mask.range.pd.128"
                               : half ? "llvm.x86.avx512.mask.range.ps.256" : "llvm.x86.avx512.mask.range.ps.128";
  LLVMValueRef args[6] = {a, b, hlc_i32(e, selector), LLVMConstNull(LLVMTypeOf(a)), LLVMConstInt(e->t_i8, 0xff, false), hlc_i32(e, CURRENT_ROUNDING)};
  if (bytes < REGISTER) return hlc_intrinsic(e, name, NULL, 0, args, 5);
  if (bytes > REGISTER) /* 16 lanes of f64 */
    return lanes_from(e, ordered(e, lanes_from(e, a, a, 0, 8), lanes_from(e, b, b, 0, 8), true, selector),
                      ordered(e, lanes_from(e, a, a, 8, 8), lanes_from(e, b, b, 8, 8), true, selector), 0, 16);
  const char *whole = is_double ? "llvm.x86.avx512.mask.range.pd.512" : "llvm.x86.avx512.mask.range.ps.512";
  args[4] = all_lanes(e, is_double);
  return hlc_intrinsic(e, whole, NULL, 0, args, 6);
}

/* Lane 0 of what is left of x when its upper half has been combined with the lower one until one element remains. */
static LLVMValueRef to_one_lane(hlc_emit *e, LLVMValueRef x, bool is_double, int selector) {
  const uint32_t least = is_double ? 2 : 4; /* lanes of 16 bytes */
  for (uint32_t lanes = hlc_lanes(x); lanes > least; lanes /= 2)
    x = ordered(e, lanes_from(e, x, x, 0, lanes / 2), lanes_from(e, x, x, lanes / 2, lanes / 2), is_double, selector);
  for (uint32_t lanes = least; lanes > 1; lanes /= 2)
    x = ordered(e, x, lengthened(e, lanes_from(e, x, x, lanes / 2, lanes / 2), least), is_double, selector);
  return LLVMBuildExtractElement(e->b, x, hlc_i32(e, 0), "");
}

/* NaN is looked for in all registers at once, beside the tree: the tree's steps are one instruction each then. */
LLVMValueRef hlc_x86_reduce_extremum(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *regs, uint32_t n) {
  enum { RANGE_MIN = 4, RANGE_MAX = 5, MOST = 64 };
  const int selector = code == HLI_OP_MAX ? RANGE_MAX : RANGE_MIN;
  bool is_double = false;
  LLVMValueRef r[MOST], nan = NULL;
  if ((code != HLI_OP_MAX && code != HLI_OP_MIN) || (dtype != HL_F32 && dtype != HL_F64) || n > MOST) return NULL;
  if (!lanes_of_register(e, regs[0], &is_double)) return NULL;
  const uint32_t lanes = hlc_lanes(regs[0]);
  if (lanes & (lanes - 1)) return NULL;
  for (uint32_t i = 0; i < n; i += 2) {
    LLVMValueRef either = LLVMBuildFCmp(e->b, LLVMRealUNO, regs[i], regs[i + 1 < n ? i + 1 : i], "");
    nan = nan ? LLVMBuildOr(e->b, nan, either, "") : either;
  }
  memcpy(r, regs, n * sizeof *r);
  for (; n > 1; n = (n + 1) / 2)
    for (uint32_t i = 0, half = (n + 1) / 2; i + half < n; i++)
      r[i] = ordered(e, r[i], r[i + half], is_double, selector);
  LLVMTypeRef bits = LLVMIntTypeInContext(e->ctx, lanes);
  LLVMValueRef any = LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildBitCast(e->b, nan, bits, ""), LLVMConstNull(bits), "");
  LLVMTypeRef t = is_double ? e->t_f64 : e->t_f32;
  return LLVMBuildSelect(e->b, any, LLVMConstReal(t, (double)NAN), to_one_lane(e, r[0], is_double, selector), "");
}
