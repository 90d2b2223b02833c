/* host_vector.c: masks, index vectors and horizontal reductions of CPU vectors. */
#include "codegen/host.h"

/* start, start + 1, ... */
static LLVMValueRef counting(hlc_emit *e, LLVMTypeRef element, uint32_t lanes, uint64_t start) {
  LLVMValueRef c[HLC_MAX_LANES];
  for (uint32_t i = 0; i < lanes; i++)
    c[i] = LLVMConstInt(element, start + i, false);
  (void)e;
  return LLVMConstVector(c, lanes);
}

static uint32_t shape_of(hlc_emit *e, hli_op op, uint32_t *count) {
  LLVMTypeRef t = e->family->register_type(e, e->k->values.data[hli_result(e->k, op, 0)].type, count);
  return LLVMGetVectorSize(t);
}

/* lane < n, compared in 32 bits: n is clamped first, it may be anything. */
void hlc_host_lane_mask(hlc_emit *e, hli_op op) {
  uint32_t count = 1, lanes = shape_of(e, op, &count);
  LLVMValueRef n = hlc_get1(e, hli_operand(e->k, op, 0)), *regs = hlc_new_regs(e, count);
  LLVMValueRef most = hlc_i64(e, (int64_t)lanes * count);
  if (LLVMIsAConstantInt(n)) n = LLVMConstIntGetSExtValue(n) < LLVMConstIntGetSExtValue(most) ? n : most;
  else n = hlc_intrinsic(e, "llvm.smin", &e->t_i64, 1, (LLVMValueRef[]){n, most}, 2);
  LLVMValueRef least = LLVMBuildICmp(e->b, LLVMIntSLT, n, hlc_i64(e, 0), ""); /* below -2^31 would wrap */
  n = LLVMBuildSelect(e->b, least, hlc_i64(e, 0), n, "");
  LLVMValueRef limit = hlc_splat(e, LLVMBuildTrunc(e->b, n, e->t_i32, ""), lanes);
  if (lanes == 1) limit = LLVMBuildInsertElement(e->b, LLVMGetPoison(LLVMVectorType(e->t_i32, 1)), limit, hlc_i32(e, 0), "");
  for (uint32_t r = 0; regs && r < count; r++)
    regs[r] = LLVMBuildICmp(e->b, LLVMIntSLT, counting(e, e->t_i32, lanes, (uint64_t)r * lanes), limit, "");
  e->values[hli_result(e->k, op, 0)] = (hlc_regs){regs, count};
}

void hlc_host_iota(hlc_emit *e, hli_op op) {
  uint32_t count = 1, lanes = shape_of(e, op, &count);
  LLVMValueRef start = hlc_splat(e, hlc_get1(e, hli_operand(e->k, op, 0)), lanes), *regs = hlc_new_regs(e, count);
  if (lanes == 1) start = LLVMBuildInsertElement(e->b, LLVMGetPoison(LLVMVectorType(e->t_i64, 1)), start, hlc_i32(e, 0), "");
  for (uint32_t r = 0; regs && r < count; r++)
    regs[r] = LLVMBuildAdd(e->b, start, counting(e, e->t_i64, lanes, (uint64_t)r * lanes), "");
  e->values[hli_result(e->k, op, 0)] = (hlc_regs){regs, count};
}

/* The elements from `first` on, `n` of them. */
static LLVMValueRef part(hlc_emit *e, LLVMValueRef v, uint32_t first, uint32_t n) {
  return LLVMBuildShuffleVector(e->b, v, LLVMGetPoison(LLVMTypeOf(v)), counting(e, e->t_i32, n, first), "");
}

/* A fixed tree: registers pairwise, then the upper half of the vector onto the lower one.  The order does
 * not depend on anything but the type. */
void hlc_host_reduce(hlc_emit *e, hli_op op) {
  hli_value source = hli_operand(e->k, op, 0);
  hl_dtype dtype = hli_dtype_of(e->k, source);
  hli_opcode code = hli_reduce_combine((hl_reduce_op)hli_attr(e->k, op, 0, 0));
  hlc_regs in = hlc_get(e, source);
  LLVMValueRef *r = hlc_new_regs(e, in.n);
  if (hlc_failed(e)) return;
  LLVMValueRef own = hlc_x86_reduce_extremum(e, code, dtype, in.r, in.n);
  if (own) {
    hlc_bind1(e, hli_result(e->k, op, 0), own);
    return;
  }
  memcpy(r, in.r, in.n * sizeof *r);
  for (uint32_t n = in.n; n > 1; n = (n + 1) / 2)
    for (uint32_t i = 0, half = (n + 1) / 2; i + half < n; i++)
      r[i] = hlc_pointwise(e, code, dtype, (LLVMValueRef[]){r[i], r[i + half]});
  LLVMValueRef v = r[0];
  uint32_t lanes = hlc_lanes(v);
  for (; lanes > 2 && lanes % 2 == 0; lanes /= 2)
    v = hlc_pointwise(e, code, dtype, (LLVMValueRef[]){part(e, v, 0, lanes / 2), part(e, v, lanes / 2, lanes / 2)});
  LLVMValueRef sum = LLVMBuildExtractElement(e->b, v, hlc_i32(e, 0), "");
  for (uint32_t i = 1; i < lanes; i++)
    sum = hlc_pointwise(e, code, dtype, (LLVMValueRef[]){sum, LLVMBuildExtractElement(e->b, v, hlc_i32(e, (int32_t)i), "")});
  hlc_bind1(e, hli_result(e->k, op, 0), sum);
}

/* ---- windows ---------------------------------------------------------------------------------------- */

/* `lanes` elements from lane `start` on of registers laid end to end. */
static LLVMValueRef lanes_from(hlc_emit *e, const LLVMValueRef *regs, uint32_t start, uint32_t lanes) {
  const uint32_t width = hlc_lanes(regs[0]), first = start / width, last = (start + lanes - 1) / width;
  if (first == last && start % width == 0 && lanes == width) return regs[first];
  if (last - first < 2) {
    LLVMValueRef mask = counting(e, e->t_i32, lanes, start % width);
    return LLVMBuildShuffleVector(e->b, regs[first], last > first ? regs[last] : LLVMGetPoison(LLVMTypeOf(regs[first])), mask, "");
  }
  LLVMValueRef v = LLVMGetPoison(LLVMVectorType(LLVMGetElementType(LLVMTypeOf(regs[0])), lanes));
  for (uint32_t i = 0; i < lanes; i++) {
    LLVMValueRef x = LLVMBuildExtractElement(e->b, regs[(start + i) / width], hlc_i32(e, (int32_t)((start + i) % width)), "");
    v = LLVMBuildInsertElement(e->b, v, x, hlc_i32(e, (int32_t)i), "");
  }
  return v;
}

void hlc_host_window(hlc_emit *e, hli_op op) {
  const hli_value result = hli_result(e->k, op, 0);
  uint32_t start = (uint32_t)hli_attr(e->k, op, 0, 0), all = 0, count = 1;
  LLVMValueRef *in = hlc_new_regs(e, 2 * hlc_get(e, hli_operand(e->k, op, 0)).n);
  for (uint32_t i = 0; i < hli_operand_count(e->k, op) && in; i++) {
    hlc_regs x = hlc_get(e, hli_operand(e->k, op, i));
    memcpy(in + all, x.r, x.n * sizeof *in);
    all += x.n;
  }
  if (hlc_failed(e)) return;
  if (hli_type_of(e->k, hli_operand(e->k, op, 0))->rank == 0) {
    hlc_fail(e, HL_ERR_INTERNAL, "a window of scalars");
    return;
  }
  const uint32_t width = hlc_lanes(in[0]);
  if (hli_type_of(e->k, result)->rank == 0) {
    hlc_bind1(e, result, LLVMBuildExtractElement(e->b, in[start / width], hlc_i32(e, (int32_t)(start % width)), ""));
    return;
  }
  const uint32_t lanes = LLVMGetVectorSize(e->family->register_type(e, e->k->values.data[result].type, &count));
  LLVMValueRef *out = hlc_new_regs(e, count);
  for (uint32_t r = 0; out && r < count; r++)
    out[r] = lanes_from(e, in, start + r * lanes, lanes);
  if (out) e->values[result] = (hlc_regs){out, count};
}
