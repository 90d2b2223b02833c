/* host_single.c: masked stores of one element become plain stores, after LLVM's passes and before its code
 * generator.
 *
 * LLVM 22's x86 code generator folds a truncation into a masked store and then, when a constant mask leaves one
 * element, makes it a plain store of the element as it was before the truncation: four bytes where two belong
 * (tests/exec/test_cpu.c, softmax of bf16 with N = 65, wrote beside its tensor).
 *
 *     call @llvm.masked.store(<16 x i16> %v, ptr %p, <16 x i1> <true, false ...>)
 *  -> %e = extractelement <16 x i16> %v, i64 0
 *     store i16 %e, ptr %p */
#include "codegen/host.h"

/* The only true element of a constant mask; -1: none or several, or no constant. */
static int64_t single_element(LLVMValueRef mask) {
  int64_t found = -1;
  if (!LLVMIsConstant(mask)) return -1;
  for (uint32_t i = 0; i < hlc_lanes(mask); i++) {
    LLVMValueRef bit = LLVMGetAggregateElement(mask, i);
    if (!bit || !LLVMIsAConstantInt(bit)) return -1;
    if (!LLVMConstIntGetZExtValue(bit)) continue;
    if (found >= 0) return -1;
    found = i;
  }
  return found;
}

static void make_plain(hlc_emit *e, LLVMValueRef call, int64_t element) {
  LLVMPositionBuilderBefore(e->b, call);
  LLVMValueRef value = LLVMGetOperand(call, 0), where = LLVMGetOperand(call, 1), at = hlc_i64(e, element);
  LLVMTypeRef type = LLVMGetElementType(LLVMTypeOf(value));
  LLVMValueRef one = LLVMBuildExtractElement(e->b, value, at, "");
  LLVMValueRef store = LLVMBuildStore(e->b, one, LLVMBuildGEP2(e->b, type, where, &at, 1, ""));
  LLVMSetAlignment(store, LLVMGetIntTypeWidth(type) / 8);
  LLVMInstructionEraseFromParent(call);
}

static void visit(hlc_emit *e, LLVMValueRef call) {
  LLVMValueRef fn = LLVMIsACallInst(call) ? LLVMGetCalledValue(call) : NULL;
  if (!fn || !LLVMIsAFunction(fn) || LLVMGetIntrinsicID(fn) != LLVMLookupIntrinsicID("llvm.masked.store", 17)) return;
  LLVMTypeRef type = LLVMGetElementType(LLVMTypeOf(LLVMGetOperand(call, 0)));
  const int64_t element = single_element(LLVMGetOperand(call, 2));
  if (element >= 0 && LLVMGetTypeKind(type) == LLVMIntegerTypeKind) make_plain(e, call, element);
}

void hlc_host_single_stores(hlc_emit *e) {
  if (hlc_failed(e)) return;
  for (LLVMValueRef fn = LLVMGetFirstFunction(e->module); fn; fn = LLVMGetNextFunction(fn))
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(fn); b; b = LLVMGetNextBasicBlock(b))
      for (LLVMValueRef i = LLVMGetFirstInstruction(b), next; i; i = next) {
        next = LLVMGetNextInstruction(i);
        visit(e, i);
      }
}
