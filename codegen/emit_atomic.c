/* emit_atomic.c: atomics of one element.
 *
 * Integers and exchanges are one instruction, and so are sums of f32 and f64 on a GPU.  Everything else compares and
 * exchanges until nobody came between:
 *
 *   old = load p                    again:  new = combine(old, v)
 *                                           found = cmpxchg p, old, new;  if (found != old) { old = found; goto again } */
#include "codegen/emit.h"

static LLVMAtomicOrdering ordering(hl_memory_order order) {
  static const LLVMAtomicOrdering of[HL_ORDER_COUNT] = {[HL_RELAXED] = LLVMAtomicOrderingMonotonic,
                                                        [HL_ACQUIRE] = LLVMAtomicOrderingAcquire,
                                                        [HL_RELEASE] = LLVMAtomicOrderingRelease,
                                                        [HL_ACQ_REL] = LLVMAtomicOrderingAcquireRelease};
  return of[order];
}

/* When nothing is stored, nothing is released. */
static LLVMAtomicOrdering failing(hl_memory_order order) {
  return order == HL_ACQUIRE || order == HL_ACQ_REL ? LLVMAtomicOrderingAcquire : LLVMAtomicOrderingMonotonic;
}

static LLVMTypeRef word_of(hlc_emit *e, hl_dtype dtype) {
  const uint32_t size = hl_dtype_size(dtype);
  return size == 2 ? e->t_i16 : size == 4 ? e->t_i32 : e->t_i64;
}

static LLVMValueRef as(hlc_emit *e, LLVMValueRef x, LLVMTypeRef t) {
  return LLVMTypeOf(x) == t ? x : LLVMBuildBitCast(e->b, x, t, "");
}

static LLVMValueRef scoped(hlc_emit *e, const hlc_atomic_step *a, LLVMValueRef x) {
  if (a->device)
    LLVMSetAtomicSyncScopeID(x, LLVMGetSyncScopeID(e->ctx, "device", 6));
  return x;
}

static LLVMValueRef one_instruction(hlc_emit *e, const hlc_atomic_step *a, LLVMAtomicRMWBinOp op, LLVMValueRef v) {
  return scoped(e, a, LLVMBuildAtomicRMW(e->b, op, a->address, v, ordering(a->order), false));
}

/* { found, success } */
static LLVMValueRef exchange(hlc_emit *e, const hlc_atomic_step *a, LLVMValueRef expected, LLVMValueRef v) {
  return scoped(e, a, LLVMBuildAtomicCmpXchg(e->b, a->address, expected, v, ordering(a->order), failing(a->order), false));
}

static LLVMValueRef by_exchanges(hlc_emit *e, const hlc_atomic_step *a) {
  LLVMTypeRef word = word_of(e, a->dtype), type = hlc_scalar_type(e, a->dtype);
  LLVMValueRef first = LLVMBuildLoad2(e->b, word, a->address, "");
  LLVMSetOrdering(first, LLVMAtomicOrderingMonotonic);
  LLVMSetAlignment(first, hl_dtype_size(a->dtype));
  scoped(e, a, first);
  LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b), again = hlc_new_block(e, "again"), done = hlc_new_block(e, "done");
  LLVMBuildBr(e->b, again);
  LLVMPositionBuilderAtEnd(e->b, again);
  LLVMValueRef old = LLVMBuildPhi(e->b, word, "");
  LLVMValueRef args[2] = {as(e, old, type), a->value};
  LLVMValueRef next = hlc_pointwise(e, hli_atomic_combine(a->op), a->dtype, args);
  LLVMValueRef pair = exchange(e, a, old, as(e, next, word));
  LLVMValueRef found = LLVMBuildExtractValue(e->b, pair, 0, "");
  LLVMBasicBlockRef end = LLVMGetInsertBlock(e->b);
  LLVMBuildCondBr(e->b, LLVMBuildExtractValue(e->b, pair, 1, ""), done, again);
  LLVMAddIncoming(old, (LLVMValueRef[]){first, found}, (LLVMBasicBlockRef[]){before, end}, 2);
  LLVMPositionBuilderAtEnd(e->b, done);
  return as(e, found, type);
}

LLVMValueRef hlc_atomic(hlc_emit *e, const hlc_atomic_step *a) {
  const char kind = hli_dtype_kind(a->dtype);
  LLVMTypeRef word = word_of(e, a->dtype), type = hlc_scalar_type(e, a->dtype);
  switch (a->op) {
  case HL_ATOMIC_XCHG:
    return as(e, one_instruction(e, a, LLVMAtomicRMWBinOpXchg, as(e, a->value, word)), type);
  case HL_ATOMIC_CAS: {
    LLVMValueRef pair = exchange(e, a, as(e, a->expected, word), as(e, a->value, word));
    return as(e, LLVMBuildExtractValue(e->b, pair, 0, ""), type);
  }
  case HL_ATOMIC_AND:
    return one_instruction(e, a, LLVMAtomicRMWBinOpAnd, a->value);
  case HL_ATOMIC_OR:
    return one_instruction(e, a, LLVMAtomicRMWBinOpOr, a->value);
  case HL_ATOMIC_XOR:
    return one_instruction(e, a, LLVMAtomicRMWBinOpXor, a->value);
  case HL_ATOMIC_ADD:
    if (kind != 'f')
      return one_instruction(e, a, LLVMAtomicRMWBinOpAdd, a->value);
    if (a->device && hl_dtype_size(a->dtype) >= 4)
      return one_instruction(e, a, LLVMAtomicRMWBinOpFAdd, a->value);
    break;
  case HL_ATOMIC_MAX:
    if (kind != 'f')
      return one_instruction(e, a, kind == 'i' ? LLVMAtomicRMWBinOpMax : LLVMAtomicRMWBinOpUMax, a->value);
    break;
  case HL_ATOMIC_MIN:
    if (kind != 'f')
      return one_instruction(e, a, kind == 'i' ? LLVMAtomicRMWBinOpMin : LLVMAtomicRMWBinOpUMin, a->value);
    break;
  default:
    hlc_fail(e, HL_ERR_INTERNAL, "an atomic of the unknown kind %d", (int)a->op);
    return hlc_undef(e, type);
  }
  return by_exchanges(e, a);
}
