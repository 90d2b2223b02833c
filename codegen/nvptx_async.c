/* nvptx_async.c: asynchronous copies from global to shared memory (cp.async) and what orders them.
 *
 * A copy of 16, 8 or 4 bytes per thread and instruction; bytes beyond a tile's end are not read and
 * arrive as zeros. */
#include "codegen/nvptx.h"

static const char *copy_name(uint32_t bytes, bool sized) {
  switch (bytes) {
  case 16:
    return sized ? "llvm.nvvm.cp.async.cg.shared.global.16.s" : "llvm.nvvm.cp.async.cg.shared.global.16";
  case 8:
    return sized ? "llvm.nvvm.cp.async.ca.shared.global.8.s" : "llvm.nvvm.cp.async.ca.shared.global.8";
  default:
    return sized ? "llvm.nvvm.cp.async.ca.shared.global.4.s" : "llvm.nvvm.cp.async.ca.shared.global.4";
  }
}

/* Bytes to read for the vector at `reg`; NULL: all of them. */
static LLVMValueRef source_bytes(hlc_emit *e, nv_access *x, uint32_t reg, uint32_t bytes) {
  const int u = x->unit;
  const bool cut = u >= 0 && x->left[u] && !x->by_vector[u];
  LLVMValueRef left = cut ? x->left[u] : NULL;
  int32_t c[HLI_LAYOUT_RANK];
  if (cut)
    x->left[u] = NULL; /* counted in bytes below */
  x->last_made = false;
  LLVMValueRef inside = nv_access_inside(e, x, reg);
  if (!cut)
    return inside ? LLVMBuildSelect(e->b, inside, hlc_i32(e, (int32_t)bytes), hlc_i32(e, 0), "") : NULL;
  x->left[u] = left;
  nv_reg_coords(x->layout, reg, c);
  LLVMValueRef n = LLVMBuildSub(e->b, left, hlc_i32(e, c[x->a.value_dim[u]]), "");
  n = LLVMBuildMul(e->b, n, hlc_i32(e, (int32_t)x->bytes), "");
  n = hlc_intrinsic(e, "llvm.smax", &e->t_i32, 1, (LLVMValueRef[]){n, hlc_i32(e, 0)}, 2);
  n = hlc_intrinsic(e, "llvm.smin", &e->t_i32, 1, (LLVMValueRef[]){n, hlc_i32(e, (int32_t)bytes)}, 2);
  return inside ? LLVMBuildSelect(e->b, inside, n, hlc_i32(e, 0), "") : n;
}

void nv_emit_async_copy(hlc_emit *e, hli_op op) {
  nv_layout *l = nv_layout_make(e, &e->k->layouts.data[hli_attr(e->k, op, 1, 0)]);
  const nv_if once = nv_if_begin(e, nv_first_copy(e, l));
  nv_access x;
  nv_shared s;
  nv_access_open(e, op, l, 2, &x);
  if (hlc_failed(e))
    return;
  nv_shared_open(e, x.a.buffer, x.a.slot, l, NULL, &s);
  uint32_t vec = HLI_MIN(x.vec, s.vec);
  if (vec * x.bytes < 4) {
    hlc_fail(e, HL_ERR_INTERNAL, "async_copy of %u bytes: the least is 4", vec * x.bytes);
    return;
  }
  x.vec = vec;
  for (uint32_t r = 0; r < l->regs && !hlc_failed(e); r += vec) {
    int32_t c[HLI_LAYOUT_RANK];
    nv_reg_coords(l, r, c);
    LLVMValueRef size = source_bytes(e, &x, r, vec * x.bytes);
    LLVMValueRef args[3] = {nv_shared_pointer(e, &s, c), nv_access_pointer(e, &x, r), size};
    nv_call(e, copy_name(vec * x.bytes, size != NULL), args, size ? 3 : 2);
  }
  nv_if_end(e, &once);
}

void nv_emit_async_sync(hlc_emit *e, hli_op op) {
  LLVMValueRef n;
  switch (e->k->ops.data[op].code) {
  case HLI_OP_ASYNC_COMMIT:
    nv_call(e, "llvm.nvvm.cp.async.commit.group", NULL, 0);
    return;
  case HLI_OP_ASYNC_WAIT:
    n = hlc_i32(e, (int32_t)hli_attr(e->k, op, 0, 0));
    nv_call(e, "llvm.nvvm.cp.async.wait.group", &n, 1);
    return;
  default:
    n = hlc_i32(e, 0);
    nv_call(e, "llvm.nvvm.barrier.cta.sync.aligned.all", &n, 1);
  }
}
