/* nvptx_access.c: loads and stores of global memory.
 *
 * The widest vectors that alignment and layout allow; read-only parameters go through the nc path.  Checks are
 * made once per distinct constant coordinate: "constant < end - begin - thread part".  Where the bound cuts
 * through vectors there are two versions, whole vectors for tiles that lie inside and single elements for
 * the ragged last one.  With integer tiles as indices every register has its own address and condition. */
#include "codegen/nvptx.h"

/* ---- addresses and conditions --------------------------------------------------------------- */

static const hli_param *param_of(const hlc_emit *e, hli_value base, uint32_t *index) {
  for (*index = 0; *index < e->k->params.len; ++*index)
    if (e->k->params.data[*index].value == base)
      return &e->k->params.data[*index];
  return NULL;
}

static bool never_negative(const hl_kernel *k, hli_value v, uint32_t depth) {
  const hli_value_data *d = &k->values.data[v];
  const hli_op op = d->def;
  if (depth == 0)
    return false;
  if (!op) {
    const hli_op loop = d->owner ? k->blocks.data[d->owner].parent : 0;
    return loop && k->ops.data[loop].code == HLI_OP_FOR && d->index == 0 &&
           never_negative(k, hli_operand(k, loop, 0), depth - 1);
  }
  switch (k->ops.data[op].code) {
  case HLI_OP_PROGRAM_ID:
  case HLI_OP_SIZE:
    return true;
  case HLI_OP_CONST:
    return hli_attr(k, op, 0, 0) >= 0;
  case HLI_OP_ADD:
  case HLI_OP_MUL:
  case HLI_OP_MIN:
  case HLI_OP_MAX:
  case HLI_OP_TRUNCDIV:
  case HLI_OP_REM:
    return never_negative(k, hli_operand(k, op, 0), depth - 1) && never_negative(k, hli_operand(k, op, 1), depth - 1);
  default:
    return false;
  }
}

/* A scalar index; negative ones count from the end. */
static LLVMValueRef scalar_index(hlc_emit *e, const nv_access *x, uint32_t d) {
  LLVMValueRef i = hlc_get1(e, x->a.index[d]);
  if (never_negative(e->k, x->a.index[d], 16))
    return i;
  LLVMValueRef from_end = LLVMBuildAdd(e->b, i, hlc_size(e, x->a.base, d), "");
  return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, i, hlc_i64(e, 0), ""), from_end, i, "");
}

static LLVMValueRef step(hlc_emit *e, const nv_access *x, LLVMValueRef p, uint32_t d, LLVMValueRef index) {
  LLVMValueRef offset = LLVMBuildMul(e->b, index, hlc_stride(e, x->a.base, d), "");
  return LLVMBuildGEP2(e->b, hlc_memory_type(e, x->dtype), p, &offset, 1, "");
}

/* Made in the block that is being emitted: it may change from iteration to iteration. */
static bool made_here(const hl_kernel *k, hli_op op, hli_value v) {
  const hli_value_data *d = &k->values.data[v];
  return (d->def ? k->ops.data[d->def].block : d->owner) == k->ops.data[op].block;
}

/* What does not change in a loop is added first, so that it can be moved out of it. */
static void make_pointer(hlc_emit *e, hli_op op, nv_access *x) {
  uint32_t index;
  if (!param_of(e, x->a.base, &index)) {
    hlc_fail(e, HL_ERR_INTERNAL, "an access to something that is no parameter");
    return;
  }
  LLVMValueRef p = hlc_param_pointer(e, index);
  for (uint32_t d = 0; d < x->a.rank; d++) {
    if (x->a.kind[d] != 't')
      continue;
    LLVMValueRef c = nv_thread_coord(e, x->layout, (uint32_t)x->a.value_dim[d]);
    p = step(e, x, p, d, LLVMBuildZExt(e->b, c, e->t_i64, ""));
  }
  for (uint32_t late = 0; late < 2; late++)
    for (uint32_t d = 0; d < x->a.rank; d++) {
      const bool tile = x->a.kind[d] == 't';
      if (x->a.kind[d] == 'g')
        continue; /* every register has its own */
      const hli_op range = tile ? e->k->values.data[x->a.index[d]].def : 0;
      const hli_value v = tile ? hli_operand(e->k, range, 0) : x->a.index[d];
      if (made_here(e->k, op, v) != late)
        continue;
      p = step(e, x, p, d, tile ? hlc_get1(e, v) : scalar_index(e, x, d));
    }
  x->pointer = p;
}

/* max(end - begin, 0) as i32, at most the tile's lanes. */
static LLVMValueRef lanes_inside(hlc_emit *e, hli_value tile) {
  hlc_regs r = hlc_get(e, tile);
  if (r.n < 2)
    return hlc_i32(e, 0);
  const int64_t lanes = hli_axis_lanes(e->k, hli_type_of(e->k, tile)->dims[0]);
  LLVMValueRef n = LLVMBuildSub(e->b, r.r[1], r.r[0], "");
  n = hlc_intrinsic(e, "llvm.smax", &e->t_i64, 1, (LLVMValueRef[]){n, hlc_i64(e, 0)}, 2);
  n = hlc_intrinsic(e, "llvm.smin", &e->t_i64, 1, (LLVMValueRef[]){n, hlc_i64(e, lanes)}, 2);
  return LLVMBuildTrunc(e->b, n, e->t_i32, "");
}

static bool multiple_of(const hl_kernel *k, hli_value v, uint32_t n) {
  const int64_t m = hli_known_multiple(k, v);
  return m == 0 || m % n == 0;
}

static void make_conditions(hlc_emit *e, hli_op op, uint32_t check_attr, nv_access *x) {
  for (uint32_t d = 0; d < x->a.rank; d++) {
    const int64_t check = hli_attr_or(e->k, op, check_attr, d, 1);
    if (x->a.kind[d] == 'g') {
      x->index[d] = hlc_get(e, x->a.index[d]);
      x->size[d] = check ? hlc_size(e, x->a.base, d) : NULL;
    }
    if (x->a.kind[d] != 't' || check == 0)
      continue;
    const hli_op range = e->k->values.data[x->a.index[d]].def;
    const int64_t lanes = hli_axis_lanes(e->k, hli_type_of(e->k, x->a.index[d])->dims[0]);
    LLVMValueRef inside = lanes_inside(e, x->a.index[d]);
    x->whole[d] = LLVMBuildICmp(e->b, LLVMIntEQ, inside, hlc_i32(e, (int32_t)lanes), "");
    x->whole_only[d] = check == 2;
    x->cond_at[d] = -1;
    if (check == 2)
      continue;
    x->left[d] = LLVMBuildSub(e->b, inside, nv_thread_coord(e, x->layout, (uint32_t)x->a.value_dim[d]), "");
    x->by_vector[d] = (int)d != x->unit || (multiple_of(e->k, hli_operand(e->k, range, 0), x->vec) &&
                                            multiple_of(e->k, hli_operand(e->k, range, 1), x->vec));
  }
}

void nv_access_open(hlc_emit *e, hli_op op, nv_layout *l, uint32_t check_attr, nv_access *x) {
  *x = (nv_access){.layout = l, .vec = 1};
  hli_access_get(e->k, op, &x->a);
  x->dtype = (hl_dtype)hli_type_of(e->k, x->a.base)->dtype;
  x->bytes = hl_dtype_size(x->dtype);
  x->unit = hli_access_unit_dim(e->k, &x->a);
  if (x->unit >= 0)
    x->vec = HLI_MIN(hli_access_vector(e->k, &x->a, e->target->vector_bytes),
                     hli_layout_vector(&l->l, (uint32_t)x->a.value_dim[x->unit]));
  make_pointer(e, op, x);
  if (!hlc_failed(e))
    make_conditions(e, op, check_attr, x);
}

LLVMValueRef nv_access_pointer(hlc_emit *e, const nv_access *x, uint32_t reg) {
  int32_t c[HLI_LAYOUT_RANK];
  LLVMValueRef p = x->pointer;
  int64_t known = 0;
  nv_reg_coords(x->layout, reg, c);
  for (uint32_t d = 0; d < x->a.rank; d++) {
    if (x->a.kind[d] == 'g')
      p = step(e, x, p, d, x->index[d].r[reg]);
    if (x->a.kind[d] != 't' || c[x->a.value_dim[d]] == 0)
      continue;
    const int64_t stride = hlc_known_stride(e, x->a.base, d);
    if (stride >= 0)
      known += stride * c[x->a.value_dim[d]];
    else
      p = step(e, x, p, d, hlc_i64(e, c[x->a.value_dim[d]]));
  }
  if (!known)
    return p;
  LLVMValueRef offset = hlc_i64(e, known);
  return LLVMBuildGEP2(e->b, hlc_memory_type(e, x->dtype), p, &offset, 1, "");
}

static LLVMValueRef dim_inside(hlc_emit *e, nv_access *x, uint32_t d, int32_t at) {
  if (x->whole_only[d])
    return x->whole[d];
  if (!x->left[d])
    return NULL;
  if (x->cond_at[d] != at) {
    x->cond[d] = LLVMBuildICmp(e->b, LLVMIntSLT, hlc_i32(e, at), x->left[d], "");
    x->cond_at[d] = at;
  }
  return x->cond[d];
}

LLVMValueRef nv_access_inside(hlc_emit *e, nv_access *x, uint32_t reg) {
  int32_t c[HLI_LAYOUT_RANK];
  bool same = x->last_made;
  nv_reg_coords(x->layout, reg, c);
  for (uint32_t d = 0; d < x->a.rank; d++) {
    LLVMValueRef one = x->a.kind[d] == 't' ? dim_inside(e, x, d, c[x->a.value_dim[d]]) : NULL;
    if (x->size[d]) /* negative ones are large */
      one = LLVMBuildICmp(e->b, LLVMIntULT, x->index[d].r[reg], x->size[d], "");
    same = same && one == x->last_dim[d];
    x->last_dim[d] = one;
  }
  if (same)
    return x->last;
  x->last = NULL;
  x->last_made = true;
  for (uint32_t d = 0; d < x->a.rank; d++)
    x->last = nv_and(e, x->last, x->last_dim[d]);
  return x->last;
}

/* The tile lies inside as a whole. */
static LLVMValueRef all_inside(hlc_emit *e, const nv_access *x) {
  LLVMValueRef cond = NULL;
  for (uint32_t d = 0; d < x->a.rank; d++)
    cond = nv_and(e, cond, x->whole[d]);
  return cond;
}

static bool cuts_vectors(const nv_access *x) {
  return x->vec > 1 && x->unit >= 0 && x->left[x->unit] && !x->by_vector[x->unit];
}

/* Every register's conditions change where a path is left: nothing cached there may be used elsewhere. */
static void forget(nv_access *x) {
  for (uint32_t d = 0; d < x->a.rank; d++)
    x->cond_at[d] = -1;
  x->last_made = false;
}

/* ---- loads ------------------------------------------------------------------------------------ */

typedef struct load {
  nv_access x;
  hlc_regs mask, other;
  bool read_only;
} load;

static LLVMValueRef other_of(hlc_emit *e, const load *l, uint32_t reg) {
  return l->other.n ? l->other.r[reg] : LLVMConstNull(hlc_scalar_type(e, l->x.dtype));
}

/* bf16 comes two to a register, taken apart by shifts that widening to f32 swallows.  `other` has no such form. */
static bool in_words(const load *l, uint32_t vec) {
  return l->x.dtype == HL_BF16 && vec > 1 && !l->other.n;
}

/* Registers reg .. reg + vec - 1; in words: the words, in the first half of them. */
static void load_vector(hlc_emit *e, const load *l, uint32_t reg, uint32_t vec, LLVMValueRef *out) {
  const bool words = in_words(l, vec);
  LLVMTypeRef t = words ? e->t_i32 : hlc_memory_type(e, l->x.dtype);
  const uint32_t n = words ? vec / 2 : vec;
  LLVMValueRef v = LLVMBuildLoad2(e->b, n > 1 ? LLVMVectorType(t, n) : t, nv_access_pointer(e, &l->x, reg), "");
  LLVMSetAlignment(v, vec * l->x.bytes);
  if (l->read_only) {
    LLVMValueRef none = LLVMMetadataAsValue(e->ctx, LLVMMDNodeInContext2(e->ctx, NULL, 0));
    LLVMSetMetadata(v, LLVMGetMDKindIDInContext(e->ctx, "invariant.load", 14), none);
  }
  for (uint32_t i = 0; i < n; i++) {
    LLVMValueRef x = n > 1 ? LLVMBuildExtractElement(e->b, v, hlc_i32(e, (int32_t)i), "") : v;
    out[i] = words ? x : hlc_from_memory(e, l->x.dtype, x);
  }
}

/* Behind the branch: 0 (or `other`) where the load was skipped; words become elements. */
static void merge_vector(hlc_emit *e, const load *l, const nv_if *f, LLVMBasicBlockRef from, uint32_t reg, uint32_t vec,
                         LLVMValueRef *out) {
  const bool words = in_words(l, vec);
  for (uint32_t i = 0; i < (words ? vec / 2 : vec); i++)
    out[i] = nv_if_value(e, f, from, out[i], words ? hlc_i32(e, 0) : other_of(e, l, reg + i));
}

static void split_words(hlc_emit *e, uint32_t vec, LLVMValueRef *out) {
  for (uint32_t i = vec / 2; i-- > 0;) {
    LLVMValueRef w = out[i], high = LLVMBuildLShr(e->b, w, hlc_i32(e, 16), "");
    out[2 * i] = LLVMBuildBitCast(e->b, LLVMBuildTrunc(e->b, w, e->t_i16, ""), e->t_bf16, "");
    out[2 * i + 1] = LLVMBuildBitCast(e->b, LLVMBuildTrunc(e->b, high, e->t_i16, ""), e->t_bf16, "");
  }
}

/* Loads registers one after the other, `vec` at a time; neighbours under one condition share a branch. */
static void load_path(hlc_emit *e, load *l, uint32_t vec, bool checked, LLVMValueRef *out) {
  const uint32_t n = l->x.layout->regs;
  for (uint32_t first = 0; first < n && !hlc_failed(e);) {
    LLVMValueRef cond = checked ? nv_access_inside(e, &l->x, first) : NULL;
    if (l->mask.n)
      cond = nv_and(e, cond, l->mask.r[first]);
    uint32_t end = first + vec;
    while (end < n && !l->mask.n && (!checked || nv_access_inside(e, &l->x, end) == cond))
      end += vec;
    const nv_if f = nv_if_begin(e, cond);
    for (uint32_t r = first; r < end; r += vec)
      load_vector(e, l, r, vec, out + r);
    LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
    nv_if_end(e, &f);
    for (uint32_t r = first; r < end; r += vec) /* all phis come first in their block */
      merge_vector(e, l, &f, from, r, vec, out + r);
    for (uint32_t r = first; r < end && in_words(l, vec); r += vec)
      split_words(e, vec, out + r);
    first = end;
  }
}

void nv_emit_load(hlc_emit *e, hli_op op) {
  const hli_value v = hli_result(e->k, op, 0);
  const bool scalar = hli_type_of(e->k, v)->rank == 0;
  load l = {0};
  uint32_t index = 0;
  hli_layout nothing;
  hli_layout_clear(&nothing, 0);
  nv_access_open(e, op, scalar ? nv_layout_make(e, &nothing) : nv_layout_of(e, v), 2, &l.x);
  const hli_param *p = param_of(e, l.x.a.base, &index);
  if (hlc_failed(e) || !p)
    return;
  l.read_only = !p->is_output && p->may_alias == 0;
  if (l.x.a.mask)
    l.mask = hlc_get(e, l.x.a.mask);
  if (l.x.a.other)
    l.other = hlc_get(e, l.x.a.other);
  LLVMValueRef *out = hlc_new_regs(e, l.x.layout->regs);
  if (hlc_failed(e))
    return;
  if (l.mask.n || !cuts_vectors(&l.x)) {
    load_path(e, &l, l.mask.n ? 1 : l.x.vec, true, out);
  } else {
    LLVMValueRef *slow = hlc_new_regs(e, l.x.layout->regs);
    if (!slow)
      return;
    LLVMBasicBlockRef whole = hlc_new_block(e, "whole"), ragged = hlc_new_block(e, "ragged"),
                      after = hlc_new_block(e, "loaded");
    LLVMBuildCondBr(e->b, all_inside(e, &l.x), whole, ragged);
    LLVMPositionBuilderAtEnd(e->b, whole);
    load_path(e, &l, l.x.vec, false, out);
    LLVMBasicBlockRef from_whole = LLVMGetInsertBlock(e->b);
    LLVMBuildBr(e->b, after);
    LLVMPositionBuilderAtEnd(e->b, ragged);
    forget(&l.x);
    load_path(e, &l, 1, true, slow);
    LLVMBasicBlockRef from_ragged = LLVMGetInsertBlock(e->b);
    LLVMBuildBr(e->b, after);
    LLVMPositionBuilderAtEnd(e->b, after);
    for (uint32_t r = 0; r < l.x.layout->regs && !hlc_failed(e); r++) {
      LLVMValueRef phi = LLVMBuildPhi(e->b, LLVMTypeOf(out[r]), "");
      LLVMAddIncoming(phi, (LLVMValueRef[]){out[r], slow[r]}, (LLVMBasicBlockRef[]){from_whole, from_ragged}, 2);
      out[r] = phi;
    }
  }
  if (!hlc_failed(e))
    hlc_bind(e, v, out, l.x.layout->regs);
}

/* ---- stores ---------------------------------------------------------------------------------------- */

typedef struct store {
  nv_access x;
  hlc_regs value, mask;
} store;

/* The registers of one instruction. */
static LLVMValueRef store_operand(hlc_emit *e, const store *s, uint32_t reg, uint32_t vec) {
  LLVMValueRef v = vec > 1 ? LLVMGetPoison(LLVMVectorType(hlc_memory_type(e, s->x.dtype), vec)) : NULL;
  for (uint32_t i = 0; i < vec; i++) {
    LLVMValueRef x = hlc_to_memory(e, s->x.dtype, s->value.r[reg + i]);
    v = vec > 1 ? LLVMBuildInsertElement(e->b, v, x, hlc_i32(e, (int32_t)i), "") : x;
  }
  return v;
}

/* What is stored is put together before the branch: conversions and packing meet in one block and become one
 * instruction. */
static void store_path(hlc_emit *e, store *s, uint32_t vec, bool checked) {
  const uint32_t n = s->x.layout->regs;
  LLVMValueRef *packed = hlc_new_regs(e, n);
  for (uint32_t r = 0; packed && r < n; r += vec)
    packed[r] = store_operand(e, s, r, vec);
  for (uint32_t first = 0; packed && first < n && !hlc_failed(e);) {
    LLVMValueRef cond = checked ? nv_access_inside(e, &s->x, first) : NULL;
    if (s->mask.n)
      cond = nv_and(e, cond, s->mask.r[first]);
    uint32_t end = first + vec;
    while (end < n && !s->mask.n && (!checked || nv_access_inside(e, &s->x, end) == cond))
      end += vec;
    const nv_if f = nv_if_begin(e, cond);
    for (uint32_t r = first; r < end; r += vec)
      LLVMSetAlignment(LLVMBuildStore(e->b, packed[r], nv_access_pointer(e, &s->x, r)), vec * s->x.bytes);
    nv_if_end(e, &f);
    first = end;
  }
}

void nv_emit_store(hlc_emit *e, hli_op op) {
  hli_access a;
  store s = {0};
  hli_layout everywhere = {.lane_bits = 5};
  hli_access_get(e->k, op, &a);
  while (1u << everywhere.warp_bits < e->k->launch.warps)
    everywhere.warp_bits++;
  const bool scalar = hli_type_of(e->k, a.value)->rank == 0;
  nv_layout *l = scalar ? nv_layout_make(e, &everywhere) : nv_layout_of(e, a.value);
  const nv_if once = nv_if_begin(e, nv_first_copy(e, l));
  nv_access_open(e, op, l, 2, &s.x);
  if (hlc_failed(e))
    return;
  s.value = hlc_get(e, s.x.a.value);
  if (s.x.a.mask)
    s.mask = hlc_get(e, s.x.a.mask);
  if (hlc_failed(e))
    return;
  if (s.mask.n || !cuts_vectors(&s.x)) {
    store_path(e, &s, s.mask.n ? 1 : s.x.vec, true);
  } else {
    LLVMBasicBlockRef whole = hlc_new_block(e, "whole"), ragged = hlc_new_block(e, "ragged"),
                      after = hlc_new_block(e, "stored");
    LLVMBuildCondBr(e->b, all_inside(e, &s.x), whole, ragged);
    LLVMPositionBuilderAtEnd(e->b, whole);
    store_path(e, &s, s.x.vec, false);
    LLVMBuildBr(e->b, after);
    LLVMPositionBuilderAtEnd(e->b, ragged);
    forget(&s.x);
    store_path(e, &s, 1, true);
    LLVMBuildBr(e->b, after);
    LLVMPositionBuilderAtEnd(e->b, after);
  }
  nv_if_end(e, &once);
}
