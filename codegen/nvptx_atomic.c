/* nvptx_atomic.c: atomics of tiles, element by element.
 *
 * Only the first copy of an element acts.  If somebody wants what was there before, and there are copies, it goes round
 * through a mailbox in shared memory. */
#include "codegen/nvptx.h"

#define MAILBOX_BYTES 16384

static bool is_used(const hl_kernel *k, hli_value v) {
  for (hli_op op = 1; op < k->ops.len; op++)
    for (uint32_t i = 0; !k->ops.data[op].dead && i < hli_operand_count(k, op); i++)
      if (hli_operand(k, op, i) == v)
        return true;
  return false;
}

static void barrier(hlc_emit *e) {
  LLVMValueRef zero = hlc_i32(e, 0);
  nv_call(e, "llvm.nvvm.barrier.cta.sync.aligned.all", &zero, 1);
}

static LLVMValueRef mailbox(hlc_emit *e, LLVMTypeRef word, int64_t elements) {
  LLVMTypeRef t = LLVMArrayType2(word, (uint64_t)elements);
  LLVMValueRef g = LLVMAddGlobalInAddressSpace(e->module, t, "mailbox", 3);
  LLVMSetLinkage(g, LLVMInternalLinkage);
  LLVMSetInitializer(g, LLVMGetPoison(t));
  return g;
}

/* Place of a register's element in the tile, row-major. */
static LLVMValueRef place(hlc_emit *e, nv_layout *l, const int64_t *shape, uint32_t reg) {
  int32_t c[HLI_LAYOUT_RANK];
  LLVMValueRef sum = hlc_i32(e, 0);
  nv_reg_coords(l, reg, c);
  for (uint32_t d = 0; d < l->l.rank; d++) {
    LLVMValueRef at = LLVMBuildAdd(e->b, nv_thread_coord(e, l, d), hlc_i32(e, c[d]), "");
    sum = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, sum, hlc_i32(e, (int32_t)shape[d]), ""), at, "");
  }
  return sum;
}

/* Every holder of a copy gets what the first one has. */
static void spread(hlc_emit *e, nv_layout *l, const int64_t *shape, hl_dtype dtype, LLVMValueRef first,
                   LLVMValueRef *out) {
  int64_t elements = 1;
  for (uint32_t d = 0; d < l->l.rank; d++)
    elements *= shape[d];
  if (elements * hl_dtype_size(dtype) > MAILBOX_BYTES) {
    hlc_fail(e, HL_ERR_UNSUPPORTED,
             "atomic: the previous values of a tile of %lld elements are wanted, more than %d bytes of them do not go "
             "round; choose smaller block_sizes",
             (long long)elements, MAILBOX_BYTES);
    return;
  }
  LLVMTypeRef type = hlc_scalar_type(e, dtype);
  LLVMValueRef box = mailbox(e, type, elements);
  barrier(e); /* of the last time round */
  const nv_if f = nv_if_begin(e, first);
  for (uint32_t r = 0; r < l->regs; r++) {
    LLVMValueRef at = place(e, l, shape, r);
    LLVMBuildStore(e->b, out[r], LLVMBuildGEP2(e->b, type, box, &at, 1, ""));
  }
  nv_if_end(e, &f);
  barrier(e);
  for (uint32_t r = 0; r < l->regs; r++) {
    LLVMValueRef at = place(e, l, shape, r);
    out[r] = LLVMBuildLoad2(e->b, type, LLVMBuildGEP2(e->b, type, box, &at, 1, ""), "");
  }
}

void nv_emit_atomic(hlc_emit *e, hli_op op) {
  hli_access a;
  nv_access x;
  hli_layout everywhere = {.lane_bits = 5};
  int64_t shape[HL_MAX_RANK] = {0};
  hli_access_get(e->k, op, &a);
  while (1u << everywhere.warp_bits < e->k->launch.warps)
    everywhere.warp_bits++;
  const hli_type_data *t = hli_type_of(e->k, a.value);
  nv_layout *l = t->rank ? nv_layout_of(e, a.value) : nv_layout_make(e, &everywhere);
  LLVMValueRef first = nv_first_copy(e, l);
  nv_access_open(e, op, l, HLI_ATTR_CHECK, &x);
  if (hlc_failed(e))
    return;
  const hlc_regs value = hlc_get(e, a.value), mask = a.mask ? hlc_get(e, a.mask) : (hlc_regs){0};
  const hlc_regs expected = a.expected ? hlc_get(e, a.expected) : (hlc_regs){0};
  LLVMValueRef *out = hlc_new_regs(e, l->regs);
  for (uint32_t r = 0; out && r < l->regs && !hlc_failed(e); r++) {
    LLVMValueRef cond = nv_and(e, nv_and(e, first, nv_access_inside(e, &x, r)), mask.n ? mask.r[r] : NULL);
    const nv_if f = nv_if_begin(e, cond);
    const hlc_atomic_step step = {.op = (hl_atomic_op)hli_attr(e->k, op, HLI_ATTR_ATOMIC, 0),
                                  .order = (hl_memory_order)hli_attr_or(e->k, op, HLI_ATTR_ORDER, 0, 0),
                                  .dtype = x.dtype,
                                  .address = nv_access_pointer(e, &x, r),
                                  .value = value.r[r],
                                  .expected = expected.n ? expected.r[r] : NULL,
                                  .device = true};
    out[r] = hlc_atomic(e, &step);
    LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
    nv_if_end(e, &f);
    out[r] = nv_if_value(e, &f, from, out[r], LLVMConstNull(LLVMTypeOf(out[r])));
  }
  for (uint32_t d = 0; d < t->rank; d++)
    shape[d] = hli_axis_lanes(e->k, t->dims[d]);
  if (first && out && !hlc_failed(e) && is_used(e->k, a.result))
    spread(e, l, shape, x.dtype, first, out);
  if (!hlc_failed(e))
    hlc_bind(e, a.result, out, l->regs);
}
