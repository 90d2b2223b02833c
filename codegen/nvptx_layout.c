/* nvptx_layout.c: coordinates of threads and registers, shuffles, conditional code. */
#include "codegen/nvptx.h"

/* ---- layouts --------------------------------------------------------------------------- */

nv_layout *nv_layout_make(hlc_emit *e, const hli_layout *l) {
  for (nv_layout *n = nv(e)->layouts; n; n = n->next)
    if (memcmp(&n->l, l, sizeof *l) == 0)
      return n;
  nv_layout *n = hli_arena_new(&e->arena, nv_layout);
  if (!n || !hli_layout_digits(l, &n->digits)) {
    hlc_fail(e, n ? HL_ERR_INTERNAL : HL_ERR_MEMORY,
             n ? "a layout cannot be taken apart" : "out of memory for a layout");
    return n ? n : &nv(e)->none;
  }
  n->l = *l;
  n->regs = hli_layout_registers(l);
  n->next = nv(e)->layouts;
  nv(e)->layouts = n;
  return n;
}

nv_layout *nv_layout_of(hlc_emit *e, hli_value v) {
  return nv_layout_make(e, &e->k->layouts.data[hli_type_of(e->k, v)->layout]);
}

void nv_reg_coords(const nv_layout *l, uint32_t reg, int32_t out[HLI_LAYOUT_RANK]) {
  for (uint32_t d = 0; d < HLI_LAYOUT_RANK; d++)
    out[d] = 0;
  for (uint32_t i = 0; i < l->digits.n && l->digits.d[i].unit == HLI_UNIT_REG; i++) {
    const hli_digit *d = &l->digits.d[i];
    if (d->dim >= 0)
      out[d->dim] += (int32_t)(reg / d->weight % d->radix) * d->stride;
  }
}

uint32_t nv_find(const nv_layout *l, const int32_t *coords) {
  uint32_t reg = 0;
  for (uint32_t i = 0; i < l->digits.n && l->digits.d[i].unit == HLI_UNIT_REG; i++) {
    const hli_digit *d = &l->digits.d[i];
    if (d->dim >= 0)
      reg += (uint32_t)(coords[d->dim] / d->stride) % d->radix * d->weight;
  }
  return reg;
}

static LLVMValueRef i32(hlc_emit *e, uint32_t x) {
  return hlc_i32(e, (int32_t)x);
}

/* ((x >> log2(weight)) & (radix - 1)) * stride; powers of two by shifts. */
static LLVMValueRef field_of(hlc_emit *e, LLVMValueRef x, uint32_t weight, uint32_t radix, int32_t stride) {
  if (hli_is_pow2(weight))
    x = weight > 1 ? LLVMBuildLShr(e->b, x, i32(e, hli_log2(weight)), "") : x;
  else
    x = LLVMBuildUDiv(e->b, x, i32(e, weight), "");
  x = hli_is_pow2(radix) ? LLVMBuildAnd(e->b, x, i32(e, radix - 1), "") : LLVMBuildURem(e->b, x, i32(e, radix), "");
  return stride > 1 ? LLVMBuildNUWMul(e->b, x, i32(e, (uint32_t)stride), "") : x;
}

/* Neighbouring bits of a unit that stand for neighbouring bits of the coordinate become one field. */
static LLVMValueRef sum_of_digits(hlc_emit *e, const nv_layout *l, int dim) {
  LLVMValueRef sum = NULL;
  for (uint32_t i = 0; i < l->digits.n;) {
    const hli_digit *d = &l->digits.d[i];
    uint32_t radix = d->radix, j = i + 1;
    if (d->unit == HLI_UNIT_REG || d->dim != dim) {
      i++;
      continue;
    }
    while (radix % 2 == 0 && j < l->digits.n && l->digits.d[j].unit == d->unit && l->digits.d[j].dim == dim &&
           l->digits.d[j].radix == 2 && l->digits.d[j].weight == d->weight * radix &&
           l->digits.d[j].stride == d->stride * (int32_t)radix)
      radix *= 2, j++;
    sum =
        nv_add(e, sum, field_of(e, d->unit == HLI_UNIT_LANE ? nv(e)->lane : nv(e)->warp, d->weight, radix, d->stride));
    i = j;
  }
  return sum;
}

/* Runs at the end of the entry block, so that the result dominates everything. */
static LLVMBasicBlockRef enter_entry(hlc_emit *e) {
  LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
  LLVMPositionBuilderBefore(e->b, LLVMGetBasicBlockTerminator(nv(e)->entry));
  return here;
}

LLVMValueRef nv_thread_coord(hlc_emit *e, nv_layout *l, uint32_t dim) {
  if (!l->coord[dim]) {
    LLVMBasicBlockRef here = enter_entry(e);
    LLVMValueRef sum = sum_of_digits(e, l, (int)dim);
    l->coord[dim] = sum ? sum : hlc_i32(e, 0);
    LLVMPositionBuilderAtEnd(e->b, here);
  }
  return l->coord[dim];
}

LLVMValueRef nv_first_copy(hlc_emit *e, nv_layout *l) {
  if (l->first_copy_made)
    return l->first_copy;
  LLVMBasicBlockRef here = enter_entry(e);
  uint32_t mask[2] = {0, 0};
  for (uint32_t i = 0; i < l->digits.n; i++) {
    const hli_digit *d = &l->digits.d[i];
    if (d->dim < 0 && d->radix == 2)
      mask[d->unit == HLI_UNIT_WARP] |= d->weight;
  }
  for (uint32_t u = 0; u < 2; u++) {
    if (!mask[u])
      continue;
    LLVMValueRef bits = LLVMBuildAnd(e->b, u ? nv(e)->warp : nv(e)->lane, i32(e, mask[u]), "");
    l->first_copy = nv_and(e, l->first_copy, LLVMBuildICmp(e->b, LLVMIntEQ, bits, hlc_i32(e, 0), ""));
  }
  l->first_copy_made = true;
  LLVMPositionBuilderAtEnd(e->b, here);
  return l->first_copy;
}

/* ---- small things ------------------------------------------------------------------------ */

LLVMValueRef nv_add(hlc_emit *e, LLVMValueRef a, LLVMValueRef b) {
  return !a ? b : !b ? a : LLVMBuildAdd(e->b, a, b, "");
}
LLVMValueRef nv_and(hlc_emit *e, LLVMValueRef a, LLVMValueRef b) {
  return !a ? b : !b || a == b ? a : LLVMBuildAnd(e->b, a, b, "");
}

LLVMValueRef nv_call(hlc_emit *e, const char *name, const LLVMValueRef *args, uint32_t n) {
  return hlc_intrinsic(e, name, NULL, 0, args, n);
}

/* One 32-bit shuffle; `how` is the intrinsic. */
static LLVMValueRef shuffle32(hlc_emit *e, const char *how, LLVMValueRef x, LLVMValueRef with) {
  return nv_call(e, how, (LLVMValueRef[]){hlc_i32(e, -1), x, with, hlc_i32(e, 31)}, 4);
}

/* Any register through 32-bit shuffles. */
static LLVMValueRef shuffle(hlc_emit *e, const char *how, LLVMValueRef x, LLVMValueRef with) {
  LLVMTypeRef t = LLVMTypeOf(x);
  const bool integer = LLVMGetTypeKind(t) == LLVMIntegerTypeKind;
  const uint32_t bits = integer ? LLVMGetIntTypeWidth(t) : t == e->t_f64 ? 64 : t == e->t_f32 ? 32 : 16;
  LLVMTypeRef as = LLVMIntTypeInContext(e->ctx, bits);
  if (!integer)
    x = LLVMBuildBitCast(e->b, x, as, "");
  if (bits <= 32) {
    x = shuffle32(e, how, LLVMBuildZExtOrBitCast(e->b, x, e->t_i32, ""), with);
    x = LLVMBuildTruncOrBitCast(e->b, x, as, "");
  } else {
    LLVMValueRef lo = shuffle32(e, how, LLVMBuildTrunc(e->b, x, e->t_i32, ""), with);
    LLVMValueRef hi =
        shuffle32(e, how, LLVMBuildTrunc(e->b, LLVMBuildLShr(e->b, x, hlc_i64(e, 32), ""), e->t_i32, ""), with);
    hi = LLVMBuildShl(e->b, LLVMBuildZExt(e->b, hi, e->t_i64, ""), hlc_i64(e, 32), "");
    x = LLVMBuildOr(e->b, hi, LLVMBuildZExt(e->b, lo, e->t_i64, ""), "");
  }
  return integer ? x : LLVMBuildBitCast(e->b, x, t, "");
}

LLVMValueRef nv_shuffle_xor(hlc_emit *e, LLVMValueRef x, uint32_t mask) {
  return shuffle(e, "llvm.nvvm.shfl.sync.bfly.i32", x, i32(e, mask));
}
LLVMValueRef nv_shuffle_from(hlc_emit *e, LLVMValueRef x, LLVMValueRef lane) {
  return shuffle(e, "llvm.nvvm.shfl.sync.idx.i32", x, lane);
}

nv_if nv_if_begin(hlc_emit *e, LLVMValueRef cond) {
  nv_if f = {.before = LLVMGetInsertBlock(e->b)};
  if (!cond)
    return f;
  f.inside = hlc_new_block(e, "in");
  f.after = hlc_new_block(e, "out");
  LLVMBuildCondBr(e->b, cond, f.inside, f.after);
  LLVMPositionBuilderAtEnd(e->b, f.inside);
  return f;
}

void nv_if_end(hlc_emit *e, const nv_if *f) {
  if (!f->inside)
    return;
  LLVMBuildBr(e->b, f->after);
  LLVMPositionBuilderAtEnd(e->b, f->after);
}

LLVMValueRef nv_if_value(hlc_emit *e, const nv_if *f, LLVMBasicBlockRef from, LLVMValueRef x, LLVMValueRef otherwise) {
  if (!f->inside)
    return x;
  LLVMValueRef phi = LLVMBuildPhi(e->b, LLVMTypeOf(x), "");
  LLVMAddIncoming(phi, (LLVMValueRef[]){otherwise, x}, (LLVMBasicBlockRef[]){f->before, from}, 2);
  return phi;
}
