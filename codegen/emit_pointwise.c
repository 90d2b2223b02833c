/* emit_pointwise.c: one emitter per pointwise op, chosen by opcode from a table.
 *
 * hlc_pointwise tries, in order: the family's override, the f16/bf16 detour through f32, the shared
 * definition of composite ops (src/ir/expand.h: sigmoid, integer division with stated results ...), the
 * table below.  Nothing here knows whether a register is a scalar or a vector. */
#include "codegen/emit.h"
#include "src/ir/expand.h"

static bool is_float(hl_dtype d) { return hli_dtype_kind(d) == 'f'; }
static bool is_signed(hl_dtype d) { return hli_dtype_kind(d) == 'i'; }

/* An intrinsic overloaded on its operands' type. */
static LLVMValueRef call(hlc_emit *e, const char *name, const LLVMValueRef *args, uint32_t n) {
  LLVMTypeRef t = LLVMTypeOf(args[0]);
  return hlc_intrinsic(e, name, &t, 1, args, n);
}

/* Marks float arithmetic with what the kernel allows. */
static LLVMValueRef allowed(const hlc_emit *e, LLVMValueRef v) {
  unsigned flags = (e->k->allow & HL_ALLOW_CONTRACT ? LLVMFastMathAllowContract : 0u) |
                   (e->k->allow & HL_ALLOW_APPROX_DIV ? LLVMFastMathAllowReciprocal : 0u);
  if (flags && LLVMIsAInstruction(v)) LLVMSetFastMathFlags(v, flags);
  return v;
}

/* ---- unary ---------------------------------------------------------------------------- */

static LLVMValueRef emit_neg(hlc_emit *e, hli_opcode code, hl_dtype d, const LLVMValueRef *a) {
  (void)code;
  return is_float(d) ? LLVMBuildFNeg(e->b, a[0], "") : LLVMBuildNeg(e->b, a[0], "");
}
static LLVMValueRef emit_abs(hlc_emit *e, hli_opcode code, hl_dtype d, const LLVMValueRef *a) {
  (void)code;
  if (is_float(d)) return call(e, "llvm.fabs", a, 1);
  if (!is_signed(d)) return a[0];
  return call(e, "llvm.abs", (LLVMValueRef[]){a[0], LLVMConstInt(e->t_i1, 0, false)}, 2); /* INT_MIN stays */
}
static LLVMValueRef emit_not(hlc_emit *e, hli_opcode code, hl_dtype d, const LLVMValueRef *a) {
  (void)code;
  (void)d;
  return LLVMBuildNot(e->b, a[0], "");
}
static LLVMValueRef emit_rounding(hlc_emit *e, hli_opcode code, hl_dtype d, const LLVMValueRef *a) {
  (void)d;
  switch (code) {
  case HLI_OP_SQRT: return call(e, "llvm.sqrt", a, 1);
  case HLI_OP_FLOOR: return call(e, "llvm.floor", a, 1);
  case HLI_OP_CEIL: return call(e, "llvm.ceil", a, 1);
  case HLI_OP_TRUNC: return call(e, "llvm.trunc", a, 1);
  default: return call(e, "llvm.roundeven", a, 1);
  }
}
/* The carry of the addition goes on into the exponent, up to infinity; a NaN must not take part. */
static LLVMValueRef emit_tf32(hlc_emit *e, hli_opcode code, hl_dtype d, const LLVMValueRef *a) {
  (void)code;
  (void)d;
  LLVMTypeRef i32 = hlc_like(e->t_i32, a[0]);
  LLVMValueRef bits = LLVMBuildAdd(e->b, LLVMBuildBitCast(e->b, a[0], i32, ""), hlc_const_like(e, i32, 0x1000), "");
  bits = LLVMBuildAnd(e->b, bits, hlc_const_like(e, i32, 0xffffe000u), "");
  LLVMValueRef is_nan = LLVMBuildFCmp(e->b, LLVMRealUNO, a[0], a[0], "");
  return LLVMBuildSelect(e->b, is_nan, a[0], LLVMBuildBitCast(e->b, bits, LLVMTypeOf(a[0]), ""), "");
}
static LLVMValueRef emit_is(hlc_emit *e, hli_opcode code, hl_dtype d, const LLVMValueRef *a) {
  if (!is_float(d)) return LLVMConstNull(hlc_like(e->t_i1, a[0]));
  if (code == HLI_OP_ISNAN) return LLVMBuildFCmp(e->b, LLVMRealUNO, a[0], a[0], "");
  LLVMValueRef size = call(e, "llvm.fabs", a, 1);
  return LLVMBuildFCmp(e->b, LLVMRealOEQ, size, hlc_f32_like(e, size, __builtin_inf()), "");
}

/* ---- binary ----------------------------------------------------------------------------- */

static LLVMValueRef emit_arithmetic(hlc_emit *e, hli_opcode code, hl_dtype d, const LLVMValueRef *a) {
  bool f = is_float(d);
  switch (code) {
  case HLI_OP_ADD: return f ? allowed(e, LLVMBuildFAdd(e->b, a[0], a[1], "")) : LLVMBuildAdd(e->b, a[0], a[1], "");
  case HLI_OP_SUB: return f ? allowed(e, LLVMBuildFSub(e->b, a[0], a[1], "")) : LLVMBuildSub(e->b, a[0], a[1], "");
  case HLI_OP_MUL: return f ? allowed(e, LLVMBuildFMul(e->b, a[0], a[1], "")) : LLVMBuildMul(e->b, a[0], a[1], "");
  default: return allowed(e, LLVMBuildFDiv(e->b, a[0], a[1], ""));
  }
}
/* NaN propagates, -0 is below +0. */
static LLVMValueRef emit_extremum(hlc_emit *e, hli_opcode code, hl_dtype d, const LLVMValueRef *a) {
  bool max = code == HLI_OP_MAX;
  if (is_float(d)) return call(e, max ? "llvm.maximum" : "llvm.minimum", a, 2);
  if (d == HL_BOOL) return max ? LLVMBuildOr(e->b, a[0], a[1], "") : LLVMBuildAnd(e->b, a[0], a[1], "");
  if (is_signed(d)) return call(e, max ? "llvm.smax" : "llvm.smin", a, 2);
  return call(e, max ? "llvm.umax" : "llvm.umin", a, 2);
}
static LLVMValueRef emit_bits(hlc_emit *e, hli_opcode code, hl_dtype d, const LLVMValueRef *a) {
  (void)d;
  if (code == HLI_OP_AND) return LLVMBuildAnd(e->b, a[0], a[1], "");
  return code == HLI_OP_OR ? LLVMBuildOr(e->b, a[0], a[1], "") : LLVMBuildXor(e->b, a[0], a[1], "");
}

typedef struct predicate { uint16_t code; LLVMRealPredicate real; LLVMIntPredicate with_sign, without; } predicate;
static const predicate predicates[] = {
    {HLI_OP_EQ, LLVMRealOEQ, LLVMIntEQ, LLVMIntEQ},   {HLI_OP_NE, LLVMRealUNE, LLVMIntNE, LLVMIntNE},
    {HLI_OP_LT, LLVMRealOLT, LLVMIntSLT, LLVMIntULT}, {HLI_OP_LE, LLVMRealOLE, LLVMIntSLE, LLVMIntULE},
    {HLI_OP_GT, LLVMRealOGT, LLVMIntSGT, LLVMIntUGT}, {HLI_OP_GE, LLVMRealOGE, LLVMIntSGE, LLVMIntUGE},
};
static LLVMValueRef emit_compare(hlc_emit *e, hli_opcode code, hl_dtype d, const LLVMValueRef *a) {
  const predicate *p = predicates;
  while (p->code != code)
    p++;
  if (is_float(d)) return LLVMBuildFCmp(e->b, p->real, a[0], a[1], "");
  return LLVMBuildICmp(e->b, is_signed(d) ? p->with_sign : p->without, a[0], a[1], "");
}

/* ---- ternary ------------------------------------------------------------------------------ */

static LLVMValueRef emit_fma(hlc_emit *e, hli_opcode code, hl_dtype d, const LLVMValueRef *a) {
  (void)code;
  if (is_float(d)) return hlc_fma(e, a[0], a[1], a[2]);
  return LLVMBuildAdd(e->b, LLVMBuildMul(e->b, a[0], a[1], ""), a[2], "");
}
static LLVMValueRef emit_where(hlc_emit *e, hli_opcode code, hl_dtype d, const LLVMValueRef *a) {
  (void)code;
  (void)d;
  return LLVMBuildSelect(e->b, a[0], a[1], a[2], "");
}

const hlc_pointwise_fn hlc_pointwise_table[HLI_OP_COUNT] = {
    [HLI_OP_NEG] = emit_neg,           [HLI_OP_ABS] = emit_abs,           [HLI_OP_EXP] = hlc_math_exponential,
    [HLI_OP_EXP2] = hlc_math_exponential,  [HLI_OP_LOG] = hlc_math_logarithm,   [HLI_OP_LOG2] = hlc_math_logarithm,
    [HLI_OP_SQRT] = emit_rounding,     [HLI_OP_FLOOR] = emit_rounding,    [HLI_OP_CEIL] = emit_rounding,
    [HLI_OP_TRUNC] = emit_rounding,    [HLI_OP_ROUND] = emit_rounding,    [HLI_OP_ISNAN] = emit_is,
    [HLI_OP_ISINF] = emit_is,          [HLI_OP_NOT] = emit_not,           [HLI_OP_ADD] = emit_arithmetic,
    [HLI_OP_SUB] = emit_arithmetic,    [HLI_OP_MUL] = emit_arithmetic,    [HLI_OP_DIV] = emit_arithmetic,
    [HLI_OP_MIN] = emit_extremum,      [HLI_OP_MAX] = emit_extremum,      [HLI_OP_AND] = emit_bits,
    [HLI_OP_OR] = emit_bits,           [HLI_OP_XOR] = emit_bits,          [HLI_OP_EQ] = emit_compare,
    [HLI_OP_NE] = emit_compare,        [HLI_OP_LT] = emit_compare,        [HLI_OP_LE] = emit_compare,
    [HLI_OP_GT] = emit_compare,        [HLI_OP_GE] = emit_compare,        [HLI_OP_FMA] = emit_fma,
    [HLI_OP_WHERE] = emit_where,       [HLI_OP_TF32] = emit_tf32,
    [HLI_OP_EXPM1] = hlc_math_exponential, [HLI_OP_SINH] = hlc_math_exponential, [HLI_OP_COSH] = hlc_math_exponential, [HLI_OP_LOG10] = hlc_math_logarithm, [HLI_OP_LOG1P] = hlc_math_logarithm, [HLI_OP_SOFTPLUS] = hlc_math_logarithm, [HLI_OP_SIN] = hlc_math_trig, [HLI_OP_COS] = hlc_math_trig, [HLI_OP_TAN] = hlc_math_trig, [HLI_OP_ASIN] = hlc_math_arc, [HLI_OP_ACOS] = hlc_math_arc, [HLI_OP_ATAN] = hlc_math_arc, [HLI_OP_ATAN2] = hlc_math_arc, [HLI_OP_ERF] = hlc_math_error, [HLI_OP_GELU_ERF] = hlc_math_error, [HLI_OP_GELU_TANH] = hlc_math_error, [HLI_OP_POW] = hlc_math_pow,
    [HLI_OP_ASINH] = hlc_math_inverse, [HLI_OP_ACOSH] = hlc_math_inverse, [HLI_OP_ATANH] = hlc_math_inverse,
    [HLI_OP_ERFINV] = hlc_math_inverse, [HLI_OP_ERFC] = hlc_math_error, [HLI_OP_LGAMMA] = hlc_math_gamma,
};

/* ---- composites over LLVM values ---------------------------------------------------------------- */

typedef struct expansion { hlc_emit *e; hl_dtype dtype; } expansion;

static bool is_bool_register(hlc_emit *e, LLVMValueRef x) {
  LLVMTypeRef t = LLVMTypeOf(x);
  return (LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t) == e->t_i1;
}
static hli_xvalue expand_op(void *ctx, hli_opcode code, const hli_xvalue *args) {
  expansion *x = ctx;
  LLVMValueRef a[3] = {0};
  for (uint32_t i = 0; i < hli_op_facts(code)->in_min; i++)
    a[i] = (LLVMValueRef)args[i];
  hl_dtype d = is_bool_register(x->e, a[0]) ? HL_BOOL : x->dtype;
  return (hli_xvalue)hlc_pointwise(x->e, code, code == HLI_OP_WHERE ? x->dtype : d, a);
}
static hli_xvalue expand_constant(void *ctx, hli_xvalue like, double value) {
  expansion *x = ctx;
  LLVMValueRef v = (LLVMValueRef)like;
  if (is_float(x->dtype)) return (hli_xvalue)hlc_f32_like(x->e, v, value);
  uint32_t width = 8 * hl_dtype_size(x->dtype);
  uint64_t bits = (uint64_t)(int64_t)value << (64 - width) >> (64 - width);
  return (hli_xvalue)hlc_const_like(x->e, LLVMTypeOf(v), bits);
}
static hli_xvalue expand_raw(void *ctx, hli_opcode code, hli_xvalue a, hli_xvalue b) {
  expansion *x = ctx;
  LLVMBuilderRef ir = x->e->b;
  LLVMValueRef p = (LLVMValueRef)a, q = (LLVMValueRef)b;
  bool s = is_signed(x->dtype);
  switch (code) {
  case HLI_OP_TRUNCDIV: return (hli_xvalue)(s ? LLVMBuildSDiv(ir, p, q, "") : LLVMBuildUDiv(ir, p, q, ""));
  case HLI_OP_REM: return (hli_xvalue)(s ? LLVMBuildSRem(ir, p, q, "") : LLVMBuildURem(ir, p, q, ""));
  case HLI_OP_SHL: return (hli_xvalue)LLVMBuildShl(ir, p, q, "");
  default: return (hli_xvalue)(s ? LLVMBuildAShr(ir, p, q, "") : LLVMBuildLShr(ir, p, q, ""));
  }
}

/* ---- entry ------------------------------------------------------------------------------------------ */

/* Ops that must not leave the narrow format: they move bits. */
static bool keeps_format(hli_opcode code) { return code == HLI_OP_WHERE; }

/* f16, bf16 and smaller: + - * / sqrt and the exact ones round correctly through f32 (24 >= 2 * 11 + 2 bits). */
static LLVMValueRef through_f32(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args) {
  const hli_op_info *facts = hli_op_facts(code);
  LLVMValueRef wide[3] = {0};
  for (uint32_t i = 0; i < facts->in_min; i++)
    wide[i] = hlc_cast(e, args[i], dtype, HL_F32);
  LLVMValueRef y = hlc_pointwise(e, code, HL_F32, wide);
  return facts->rule == HLI_RULE_PRED ? y : hlc_cast(e, y, HL_F32, dtype);
}

LLVMValueRef hlc_pointwise(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args) {
  const hlc_family *family = e->family;
  if (family->pointwise && family->pointwise[code]) {
    LLVMValueRef own = family->pointwise[code](e, code, dtype, args);
    if (own) return own;
  }
  if (hli_dtype_is_narrow(dtype) && !keeps_format(code)) return through_f32(e, code, dtype, args);
  static const hli_expand_ops hooks = {expand_op, expand_constant, expand_raw};
  expansion x = {e, dtype};
  hli_xvalue in[3] = {0}, out = 0;
  for (uint32_t i = 0; i < hli_op_facts(code)->in_min && i < 3; i++)
    in[i] = (hli_xvalue)args[i];
  if (hli_expand(code, dtype, &hooks, &x, in, &out)) return (LLVMValueRef)out;
  hlc_pointwise_fn fn = hlc_pointwise_table[code];
  if (fn) return fn(e, code, dtype, args);
  hlc_fail(e, HL_ERR_INTERNAL, "no emitter for %s on %s", hli_op_facts(code)->text, hl_dtype_text(dtype));
  return hlc_undef(e, LLVMTypeOf(args[0]));
}
