/* nvptx_dot.c: mma by matrix instructions, dot by multiply and add.
 *
 * Operands that come straight from shared memory are read piece by piece: for mma one step of k ahead of the
 * instructions that use them, so that the loads of a step overlap the arithmetic of the one before. */
#include "codegen/nvptx.h"

typedef struct dot {
  hli_value a, b, acc;
  nv_layout *la, *lb, *ld;
  const hli_matrix_row *row;
  LLVMValueRef *d; /* accumulator registers */
  uint32_t depth;  /* k of the tile */
  hl_precision precision;
} dot;

static bool open_dot(hlc_emit *e, hli_op op, dot *t) {
  const hl_kernel *k = e->k;
  *t = (dot){.a = hli_operand(k, op, 0), .b = hli_operand(k, op, 1), .acc = hli_operand(k, op, 2)};
  t->la = nv_layout_of(e, t->a);
  t->lb = nv_layout_of(e, t->b);
  t->ld = nv_layout_of(e, t->acc);
  t->precision = (hl_precision)hli_attr_or(k, op, 0, 0, HL_DOT_IEEE);
  t->depth = (uint32_t)hli_axis_lanes(k, hli_type_of(k, t->a)->dims[1]);
  const hlc_regs acc = hlc_get(e, t->acc);
  t->d = hlc_new_regs(e, acc.n);
  if (hlc_failed(e))
    return false;
  memcpy(t->d, acc.r, acc.n * sizeof *t->d);
  return true;
}

/* ---- matrix instructions ------------------------------------------------------------------- */

/* The row whose accumulator fragment is the atom of the layout. */
static const hli_matrix_row *row_of(hlc_emit *e, const dot *t) {
  for (uint32_t i = 0; i < e->target->matrix_count; i++) {
    const hli_matrix_row *r = &e->target->matrix[i];
    if (!(r->tf32 && t->precision == HL_DOT_IEEE) && r->in == hli_dtype_of(e->k, t->a) && r->acc == hli_dtype_of(e->k, t->acc) && r->min_arch <= e->target->arch &&
        t->depth % r->k == 0)
      return r;
  }
  hlc_fail(e, HL_ERR_INTERNAL, "no matrix instruction multiplies %s", hl_dtype_text(hli_dtype_of(e->k, t->a)));
  return NULL;
}

static LLVMValueRef tf32(hlc_emit *e, LLVMValueRef x) {
  return hlc_pointwise(e, HLI_OP_TF32, HL_F32, &x);
}

/* Operand i of the instruction as its type: pairs of 16-bit elements or single ones; for tf32 rounded, or with `rest`
 * what rounding left over, rounded. */
static LLVMValueRef fragment(hlc_emit *e, const dot *t, hli_value v, uint32_t reg, LLVMTypeRef as, bool rest) {
  if (t->row->tf32) {
    LLVMValueRef x = nv_need(e, v, reg), large = tf32(e, x);
    if (rest)
      large = tf32(e, LLVMBuildFSub(e->b, x, large, ""));
    return LLVMBuildBitCast(e->b, large, as, "");
  }
  if (hl_dtype_size(hli_dtype_of(e->k, v)) != 2)
    return nv_need(e, v, reg);
  LLVMValueRef pair = nv_need_pair(e, v, reg);
  if (!pair) {
    LLVMTypeRef two = LLVMVectorType(hlc_scalar_type(e, hli_dtype_of(e->k, v)), 2);
    pair = LLVMBuildInsertElement(e->b, LLVMGetPoison(two), nv_need(e, v, reg), hlc_i32(e, 0), "");
    pair = LLVMBuildInsertElement(e->b, pair, nv_need(e, v, reg + 1), hlc_i32(e, 1), "");
  }
  return LLVMBuildBitCast(e->b, pair, as, "");
}

/* Makes sure that all operand registers of this step of k have been read. */
static void fetch_step(hlc_emit *e, const dot *t, int32_t depth) {
  const hli_value v[2] = {t->a, t->b};
  const nv_layout *l[2] = {t->la, t->lb};
  if (depth >= (int32_t)t->depth)
    return;
  for (uint32_t i = 0; i < 2; i++)
    for (uint32_t r = 0; r < l[i]->regs && nv(e)->pieces[v[i]] && !hlc_failed(e); r++) {
      int32_t c[HLI_LAYOUT_RANK];
      nv_reg_coords(l[i], r, c);
      const int32_t at = c[1 - i];
      if (at < depth || at >= depth + t->row->k)
        continue;
      if (!nv_need_pair(e, v[i], r & ~1u))
        nv_need(e, v[i], r);
    }
}

/* Multiplies the fragments, or what is left over of one of them (1: of A, 2: of B), into the accumulator. */
static void one_mma(hlc_emit *e, dot *t, uint32_t acc, const int32_t *mn, int32_t depth, uint32_t rest) {
  LLVMValueRef args[32];
  LLVMTypeRef types[32];
  uint32_t n = 0;
  const uint32_t per = hl_dtype_size((hl_dtype)t->row->in) == 2 ? 2 : 1;
  const unsigned id = LLVMLookupIntrinsicID(t->row->intrinsic, strlen(t->row->intrinsic));
  LLVMValueRef fn = LLVMGetIntrinsicDeclaration(e->module, id, NULL, 0);
  LLVMTypeRef type = LLVMGlobalGetValueType(fn);
  if (LLVMCountParamTypes(type) > HLI_COUNT(types))
    return;
  LLVMGetParamTypes(type, types);
  const uint32_t base[2] = {nv_find(t->la, (int32_t[HLI_LAYOUT_RANK]){mn[0], depth}),
                            nv_find(t->lb, (int32_t[HLI_LAYOUT_RANK]){depth, mn[1]})};
  for (uint32_t r = 0; r < 1u << t->row->a.reg_bits; r += per, n++)
    args[n] = fragment(e, t, t->a, base[0] + r, types[n], rest == 1);
  for (uint32_t r = 0; r < 1u << t->row->b.reg_bits; r += per, n++)
    args[n] = fragment(e, t, t->b, base[1] + r, types[n], rest == 2);
  const uint32_t regs = 1u << t->row->d.reg_bits;
  for (uint32_t r = 0; r < regs; r++)
    args[n++] = t->d[acc + r];
  if (hlc_failed(e))
    return;
  LLVMValueRef out = nv_call(e, t->row->intrinsic, args, n);
  for (uint32_t r = 0; r < regs && !hlc_failed(e); r++)
    t->d[acc + r] = LLVMBuildExtractValue(e->b, out, r, "");
}

void nv_emit_mma(hlc_emit *e, hli_op op) {
  dot t;
  if (!open_dot(e, op, &t) || !(t.row = row_of(e, &t)))
    return;
  const uint32_t atom = 1u << t.row->d.reg_bits;
  fetch_step(e, &t, 0);
  for (int32_t depth = 0; depth < (int32_t)t.depth && !hlc_failed(e); depth += t.row->k) {
    fetch_step(e, &t, depth + t.row->k);
    for (uint32_t r = 0; r < t.ld->regs && !hlc_failed(e); r += atom) {
      int32_t mn[HLI_LAYOUT_RANK];
      nv_reg_coords(t.ld, r, mn);
      if (t.precision == HL_DOT_TF32X3) { /* small products first */
        one_mma(e, &t, r, mn, depth, 1);
        one_mma(e, &t, r, mn, depth, 2);
      }
      one_mma(e, &t, r, mn, depth, 0);
    }
  }
  if (!hlc_failed(e))
    hlc_bind(e, hli_result(e->k, op, 0), t.d, t.ld->regs);
}

/* ---- multiply and add --------------------------------------------------------------------------- */

/* An operand register in the accumulator's dtype, converted once. */
static LLVMValueRef widened(hlc_emit *e, const dot *t, hli_value v, uint32_t reg, hl_dtype to, LLVMValueRef *cache) {
  if (!cache[reg]) {
    cache[reg] = hlc_cast(e, nv_need(e, v, reg), hli_dtype_of(e->k, v), to);
    if (t->precision == HL_DOT_TF32)
      cache[reg] = tf32(e, cache[reg]);
  }
  return cache[reg];
}

void nv_emit_dot(hlc_emit *e, hli_op op) {
  dot t;
  if (!open_dot(e, op, &t))
    return;
  const hl_dtype dtype = hli_dtype_of(e->k, t.acc);
  LLVMValueRef *wide[2] = {hlc_new_regs(e, t.la->regs), hlc_new_regs(e, t.lb->regs)};
  if (hlc_failed(e))
    return;
  for (uint32_t i = 0; i < t.la->regs; i++)
    wide[0][i] = NULL;
  for (uint32_t i = 0; i < t.lb->regs; i++)
    wide[1][i] = NULL;
  for (int32_t depth = 0; depth < (int32_t)t.depth; depth++)
    for (uint32_t r = 0; r < t.ld->regs && !hlc_failed(e); r++) {
      int32_t mn[HLI_LAYOUT_RANK];
      nv_reg_coords(t.ld, r, mn);
      const uint32_t ra = nv_find(t.la, (int32_t[HLI_LAYOUT_RANK]){mn[0], depth}),
                     rb = nv_find(t.lb, (int32_t[HLI_LAYOUT_RANK]){depth, mn[1]});
      LLVMValueRef args[3] = {widened(e, &t, t.a, ra, dtype, wide[0]), widened(e, &t, t.b, rb, dtype, wide[1]), t.d[r]};
      if (hli_dtype_kind(dtype) == 'f')
        t.d[r] = hlc_fma(e, args[0], args[1], args[2]);
      else
        t.d[r] = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, args[0], args[1], ""), args[2], "");
    }
  if (!hlc_failed(e))
    hlc_bind(e, hli_result(e->k, op, 0), t.d, t.ld->regs);
}
