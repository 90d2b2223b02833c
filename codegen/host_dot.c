/* host_dot.c: groups of elements along k and their dot products, and squares of lanes transposed.
 *
 * group_dot is one instruction per register: vdpbf16ps for pairs of bf16, vpdpbusd for quadruples of int8 of which one
 * side is unsigned, vpmaddwd and an add for pairs of i16.  Passes make it only for targets that have them
 * (hl_target.dots). */
#include "codegen/host.h"

/* Lanes [first, first + n) of two vectors behind each other. */
static LLVMValueRef lanes_of_two(hlc_emit *e, LLVMValueRef a, LLVMValueRef b, uint32_t first, uint32_t step, uint32_t n) {
  LLVMValueRef index[HLC_MAX_LANES];
  for (uint32_t i = 0; i < n; i++)
    index[i] = hlc_i32(e, (int32_t)(first + i * step));
  return LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(index, n), "");
}

/* ---- group ------------------------------------------------------------------------------------- */

static LLVMTypeRef bits_type(hlc_emit *e, hl_dtype d) { return hl_dtype_size(d) == 1 ? e->t_i8 : e->t_i16; }

/* Element i of every group from its own operand. */
static LLVMValueRef interleaved(hlc_emit *e, const hlc_regs *in, uint32_t n, uint32_t r, hl_dtype d) {
  LLVMValueRef out = NULL;
  for (uint32_t i = 0; i < n; i++) {
    LLVMValueRef x = LLVMBuildBitCast(e->b, in[i].r[r], hlc_like(bits_type(e, d), in[i].r[r]), "");
    x = LLVMBuildZExt(e->b, x, hlc_like(e->t_i32, x), "");
    if (i) x = LLVMBuildShl(e->b, x, hlc_const_like(e, LLVMTypeOf(x), 8 * hl_dtype_size(d) * i), "");
    out = out ? LLVMBuildOr(e->b, out, x, "") : x;
  }
  return out;
}

/* Registers [first, first + n) as one vector. */
static LLVMValueRef joined(hlc_emit *e, const hlc_regs *in, uint32_t first, uint32_t n) {
  if (n == 1) return in->r[first];
  LLVMValueRef low = joined(e, in, first, n / 2), high = joined(e, in, first + n / 2, n / 2);
  return lanes_of_two(e, low, high, 0, 1, 2 * hlc_lanes(low));
}

void hlc_host_group(hlc_emit *e, hli_op op) {
  const hli_value result = hli_result(e->k, op, 0);
  const uint32_t n = hli_operand_count(e->k, op);
  const hl_dtype d = hli_dtype_of(e->k, hli_operand(e->k, op, 0));
  uint32_t count = 1;
  LLVMTypeRef t = e->family->register_type(e, e->k->values.data[result].type, &count);
  hlc_regs in[4] = {{0}};
  LLVMValueRef *out = hlc_new_regs(e, count);
  for (uint32_t i = 0; i < n && i < 4; i++)
    in[i] = hlc_get(e, hli_operand(e->k, op, i));
  if (hlc_failed(e)) return;
  if (n > 1) {
    for (uint32_t r = 0; r < count; r++)
      out[r] = interleaved(e, in, n, r, d);
  } else {
    for (uint32_t r = 0, per = in[0].n / count; r < count; r++)
      out[r] = LLVMBuildBitCast(e->b, joined(e, &in[0], r * per, per), t, "");
  }
  e->values[result] = (hlc_regs){out, count};
}

/* ---- group_dot ----------------------------------------------------------------------------------- */

/* A vector register as elements of `element` bits. */
static LLVMValueRef as_elements(hlc_emit *e, LLVMValueRef x, LLVMTypeRef element, uint32_t per) {
  return LLVMBuildBitCast(e->b, x, LLVMVectorType(element, hlc_lanes(x) * per), "");
}

static const char *sized(const char *const *names, uint32_t lanes) {
  return lanes == 16 ? names[0] : lanes == 8 ? names[1] : lanes == 4 ? names[2] : NULL;
}

static LLVMValueRef dot_bf16(hlc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef acc) {
  static const char *const names[] = {"llvm.x86.avx512bf16.dpbf16ps.512", "llvm.x86.avx512bf16.dpbf16ps.256", "llvm.x86.avx512bf16.dpbf16ps.128"};
  LLVMTypeRef bf16 = LLVMBFloatTypeInContext(e->ctx);
  const char *name = sized(names, hlc_lanes(acc));
  return name ? hlc_intrinsic(e, name, NULL, 0, (LLVMValueRef[]){acc, as_elements(e, a, bf16, 2), as_elements(e, b, bf16, 2)}, 3) : NULL;
}

/* `a` unsigned, `b` signed. */
static LLVMValueRef dot_int8(hlc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef acc) {
  static const char *const names[] = {"llvm.x86.avx512.vpdpbusd.512", "llvm.x86.avx512.vpdpbusd.256", "llvm.x86.avx512.vpdpbusd.128"};
  const char *name = sized(names, hlc_lanes(acc));
  return name ? hlc_intrinsic(e, name, NULL, 0, (LLVMValueRef[]){acc, as_elements(e, a, e->t_i8, 4), as_elements(e, b, e->t_i8, 4)}, 3) : NULL;
}

static LLVMValueRef dot_int16(hlc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef acc) {
  static const char *const names[] = {"llvm.x86.avx512.pmaddw.d.512", "llvm.x86.avx2.pmadd.wd", "llvm.x86.sse2.pmadd.wd"};
  const char *name = sized(names, hlc_lanes(acc));
  if (!name) return NULL;
  LLVMValueRef sum = hlc_intrinsic(e, name, NULL, 0, (LLVMValueRef[]){as_elements(e, a, e->t_i16, 2), as_elements(e, b, e->t_i16, 2)}, 2);
  return LLVMBuildAdd(e->b, acc, sum, "");
}

static LLVMValueRef dot_register(hlc_emit *e, hl_dtype x, hl_dtype y, LLVMValueRef a, LLVMValueRef b, LLVMValueRef acc) {
  if (x == HL_BF16 && y == HL_BF16) return dot_bf16(e, a, b, acc);
  if (x == HL_I16 && y == HL_I16) return dot_int16(e, a, b, acc);
  if (x == HL_U8 && y == HL_I8) return dot_int8(e, a, b, acc);
  return x == HL_I8 && y == HL_U8 ? dot_int8(e, b, a, acc) : NULL;
}

/* The first `lanes` lanes of a vector; beyond its own they are poison. */
static LLVMValueRef with_lanes(hlc_emit *e, LLVMValueRef x, uint32_t lanes) {
  const uint32_t have = hlc_lanes(x);
  LLVMValueRef mask[16];
  for (uint32_t l = 0; l < lanes && l < HLI_COUNT(mask); l++)
    mask[l] = l < have ? hlc_i32(e, (int32_t)l) : LLVMGetPoison(e->t_i32);
  return have == lanes ? x : LLVMBuildShuffleVector(e->b, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstVector(mask, lanes), "");
}

/* The instructions have 4, 8 or 16 lanes: a register of fewer (sums of two rows, say) works in the first ones. */
static LLVMValueRef dot_lanes(hlc_emit *e, hl_dtype x, hl_dtype y, LLVMValueRef a, LLVMValueRef b, LLVMValueRef acc) {
  const uint32_t lanes = hlc_lanes(acc), wide = lanes <= 4 ? 4 : lanes <= 8 ? 8 : lanes <= 16 ? 16 : lanes;
  if (wide == lanes || wide > 16) return dot_register(e, x, y, a, b, acc);
  LLVMValueRef sum = dot_register(e, x, y, with_lanes(e, a, wide), with_lanes(e, b, wide), with_lanes(e, acc, wide));
  return sum ? with_lanes(e, sum, lanes) : NULL;
}

void hlc_host_group_dot(hlc_emit *e, hli_op op) {
  const hl_dtype x = (hl_dtype)hli_attr(e->k, op, 0, 0), y = (hl_dtype)hli_attr(e->k, op, 1, 0);
  hlc_regs in[3];
  for (uint32_t i = 0; i < 3; i++)
    in[i] = hlc_get(e, hli_operand(e->k, op, i));
  LLVMValueRef *out = hlc_new_regs(e, in[2].n);
  for (uint32_t r = 0; r < in[2].n && !hlc_failed(e); r++) {
    out[r] = dot_lanes(e, x, y, in[0].r[r], in[1].r[r], in[2].r[r]);
    if (!out[r])
      hlc_fail(e, HL_ERR_INTERNAL, "no instruction adds up groups of %s and %s in %u lanes", hl_dtype_text(x), hl_dtype_text(y), hlc_lanes(in[2].r[r]));
  }
  e->values[hli_result(e->k, op, 0)] = (hlc_regs){out, in[2].n};
}

/* ---- transpose_lanes ------------------------------------------------------------------------------- */

/* Rows i and i + half exchange: after a step of size `half` each pair holds alternate runs of both. */
static void exchange(hlc_emit *e, LLVMValueRef *row, uint32_t n, uint32_t half) {
  LLVMValueRef low[HLI_MAX_OPERANDS], high[HLI_MAX_OPERANDS];
  for (uint32_t l = 0; l < n; l++) { /* lanes of a row, then of the other: in runs of `half` */
    const uint32_t run = l / half, from = run % 2 ? n + l - half : l;
    low[l] = hlc_i32(e, (int32_t)from);
    high[l] = hlc_i32(e, (int32_t)(from + half));
  }
  for (uint32_t i = 0; i < n; i++) {
    if (i & half) continue;
    LLVMValueRef a = row[i], b = row[i + half];
    row[i] = LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(low, n), "");
    row[i + half] = LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(high, n), "");
  }
}

void hlc_host_transpose_lanes(hlc_emit *e, hli_op op) {
  const uint32_t n = hli_operand_count(e->k, op);
  LLVMValueRef row[HLI_MAX_OPERANDS];
  for (uint32_t i = 0; i < n; i++) {
    hlc_regs r = hlc_get(e, hli_operand(e->k, op, i));
    if (r.n != 1) hlc_fail(e, HL_ERR_INTERNAL, "transpose_lanes of vectors of several registers");
    row[i] = hlc_failed(e) ? NULL : r.r[0];
  }
  for (uint32_t half = n / 2; half && !hlc_failed(e); half /= 2)
    exchange(e, row, n, half);
  for (uint32_t i = 0; i < n && !hlc_failed(e); i++)
    hlc_bind1(e, hli_result(e->k, op, i), row[i]);
}
