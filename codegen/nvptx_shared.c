/* nvptx_shared.c: shared buffers: addresses under a swizzle, plain and matrix loads, stores.
 *
 * With row and column split into the thread's and the register's part, an element lies at
 *   row * pitch + (column ^ swizzle(row)) = [thread: row_t * pitch + (column_t ^ swizzle(row_t))]
 *                                           with the constant column_r ^ swizzle(row_r) XORed in, + row_r * pitch
 * because both parts are made of different bits.  The XORed constant takes few values, so there are few
 * address registers; everything else is an immediate. */
#include "codegen/nvptx.h"

/* ---- addresses -------------------------------------------------------------------------------- */

/* Elements of a row of the buffer's dimension d, counted in rows. */
static int64_t rows_of(const nv_shared *s, uint32_t d) {
  int64_t n = 1;
  for (uint32_t i = d + 1; i + 1 < s->rank; i++)
    n *= s->shape[i];
  return n;
}

/* Do thread and register digits use different bits of row and column? */
static bool separate(const nv_shared *s) {
  const hli_digits *g = &s->layout->digits;
  uint64_t used[2] = {0, 0};
  for (uint32_t i = 0; i < g->n; i++) {
    if (g->d[i].dim < 0)
      continue;
    const uint32_t d = s->perm[g->d[i].dim];
    const bool column = d + 1 == s->rank;
    const uint64_t bit = (uint64_t)(g->d[i].stride * (column ? 1 : rows_of(s, d)));
    if (g->d[i].radix != 2 || !hli_is_pow2(bit) || (used[column] & bit))
      return false;
    used[column] |= bit;
  }
  return true;
}

/* Neighbours that stay neighbours in memory and may be moved by one instruction. */
static uint32_t shared_vector(const nv_shared *s) {
  uint32_t n = 1;
  for (uint32_t d = 0; d < s->layout->l.rank; d++)
    if (s->perm[d] + 1u == s->rank)
      n = hli_layout_vector(&s->layout->l, d);
  const int64_t pitch = s->shape[s->rank - 1] + s->swizzle.sw_pad;
  while (n > 1 && (n * s->bytes > 16 || pitch % n || (s->swizzle.sw_mask && n > 1u << s->swizzle.sw_vec)))
    n /= 2;
  return n;
}

static LLVMValueRef swizzle_of(hlc_emit *e, const nv_shared *s, LLVMValueRef row) {
  LLVMValueRef r = LLVMBuildLShr(e->b, row, hlc_i32(e, s->swizzle.sw_shift), "");
  r = LLVMBuildAnd(e->b, r, hlc_i32(e, s->swizzle.sw_mask), "");
  return LLVMBuildShl(e->b, r, hlc_i32(e, s->swizzle.sw_vec), "");
}

static void thread_part(hlc_emit *e, nv_shared *s) {
  for (uint32_t d = 0; d < s->layout->l.rank; d++) {
    LLVMValueRef c = nv_thread_coord(e, s->layout, d);
    if (s->perm[d] + 1u == s->rank)
      s->column = nv_add(e, s->column, c);
    else
      s->row = nv_add(e, s->row, LLVMBuildMul(e->b, c, hlc_i32(e, (int32_t)rows_of(s, s->perm[d])), ""));
  }
  if (!s->row)
    s->row = hlc_i32(e, 0);
  if (!s->column)
    s->column = hlc_i32(e, 0);
}

static LLVMValueRef offset_by(hlc_emit *e, const nv_shared *s, LLVMValueRef p, LLVMValueRef elements) {
  return LLVMBuildGEP2(e->b, hlc_memory_type(e, s->dtype), p, &elements, 1, "");
}

void nv_shared_open(hlc_emit *e, hli_value buffer, hli_value slot, nv_layout *l, const uint8_t *perm, nv_shared *s) {
  const hl_kernel *k = e->k;
  const hli_type_data *t = hli_type_of(k, buffer);
  const hli_op def = k->values.data[buffer].def;
  *s = (nv_shared){.dtype = (hl_dtype)t->dtype,
                   .bytes = hl_dtype_size((hl_dtype)t->dtype),
                   .rank = t->rank,
                   .swizzle = k->layouts.data[t->layout],
                   .layout = l};
  for (uint32_t d = 0; d < t->rank; d++) {
    s->shape[d] = hli_axis_lanes(k, t->dims[d]);
    s->perm[d] = perm ? perm[d] : (uint8_t)d;
  }
  s->additive = separate(s);
  s->vec = shared_vector(s);
  thread_part(e, s);
  LLVMValueRef at = hlc_i64(e, hli_attr_or(k, def, 1, 0, 0));
  s->base = LLVMBuildGEP2(e->b, e->t_i8, nv(e)->shared, &at, 1, "");
  const int64_t size = hli_swizzle_size(&s->swizzle, s->shape, s->rank);
  if (hli_attr(k, def, 0, 0) > 1)
    s->base = offset_by(e, s, s->base, LLVMBuildMul(e->b, hlc_get1(e, slot), hlc_i64(e, size), ""));
}

/* The general form, where parts carry into each other. */
static LLVMValueRef full_pointer(hlc_emit *e, const nv_shared *s, int32_t row, int32_t column) {
  const int64_t pitch = s->shape[s->rank - 1] + s->swizzle.sw_pad;
  LLVMValueRef r = LLVMBuildAdd(e->b, s->row, hlc_i32(e, row), ""),
               c = LLVMBuildAdd(e->b, s->column, hlc_i32(e, column), "");
  if (s->swizzle.sw_mask)
    c = LLVMBuildXor(e->b, c, swizzle_of(e, s, r), "");
  LLVMValueRef at = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, r, hlc_i32(e, (int32_t)pitch), ""), c, "");
  return offset_by(e, s, s->base, LLVMBuildZExt(e->b, at, e->t_i64, ""));
}

/* The thread's pointer with `flip` XORed into its column. */
static LLVMValueRef thread_pointer(hlc_emit *e, nv_shared *s, uint32_t flip) {
  LLVMValueRef *slot = &s->moved[(flip >> s->swizzle.sw_vec) % HLI_COUNT(s->moved)];
  if (*slot)
    return *slot;
  const int64_t pitch = s->shape[s->rank - 1] + s->swizzle.sw_pad;
  LLVMValueRef c = s->column;
  if (s->swizzle.sw_mask)
    c = LLVMBuildXor(e->b, LLVMBuildXor(e->b, c, swizzle_of(e, s, s->row), ""), hlc_i32(e, (int32_t)flip), "");
  LLVMValueRef at = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, s->row, hlc_i32(e, (int32_t)pitch), ""), c, "");
  return *slot = offset_by(e, s, s->base, LLVMBuildZExt(e->b, at, e->t_i64, ""));
}

LLVMValueRef nv_shared_pointer(hlc_emit *e, nv_shared *s, const int32_t *coords) {
  const int64_t pitch = s->shape[s->rank - 1] + s->swizzle.sw_pad;
  int64_t row = 0, column = 0;
  for (uint32_t d = 0; d < s->layout->l.rank; d++) {
    if (s->perm[d] + 1u == s->rank)
      column += coords[d];
    else
      row += coords[d] * rows_of(s, s->perm[d]);
  }
  if (!s->additive)
    return full_pointer(e, s, (int32_t)row, (int32_t)column);
  const uint32_t field = (uint32_t)s->swizzle.sw_mask << s->swizzle.sw_vec;
  const uint32_t constant =
      (uint32_t)column ^ ((uint32_t)((row >> s->swizzle.sw_shift) & s->swizzle.sw_mask) << s->swizzle.sw_vec);
  LLVMValueRef p = thread_pointer(e, s, constant & field);
  const int64_t rest = row * pitch + (constant & ~field);
  return rest ? offset_by(e, s, p, hlc_i64(e, rest)) : p;
}

/* ---- ops ------------------------------------------------------------------------------------------ */

void nv_emit_shared(hlc_emit *e, hli_op op) {
  hlc_bind1(e, hli_result(e->k, op, 0), hlc_i32(e, 0)); /* addressed by its op */
}

void nv_emit_shared_store(hlc_emit *e, hli_op op) {
  const hli_value v = hli_operand(e->k, op, 2);
  nv_layout *l = nv_layout_of(e, v);
  const hlc_regs in = hlc_get(e, v);
  const nv_if once = nv_if_begin(e, nv_first_copy(e, l));
  nv_shared s;
  nv_shared_open(e, hli_operand(e->k, op, 0), hli_operand(e->k, op, 1), l, NULL, &s);
  LLVMTypeRef t = hlc_memory_type(e, s.dtype);
  for (uint32_t r = 0; r < in.n && !hlc_failed(e); r += s.vec) {
    int32_t c[HLI_LAYOUT_RANK];
    LLVMValueRef x = s.vec > 1 ? LLVMGetPoison(LLVMVectorType(t, s.vec)) : NULL;
    nv_reg_coords(l, r, c);
    for (uint32_t i = 0; i < s.vec; i++) {
      LLVMValueRef one = hlc_to_memory(e, s.dtype, in.r[r + i]);
      x = s.vec > 1 ? LLVMBuildInsertElement(e->b, x, one, hlc_i32(e, (int32_t)i), "") : one;
    }
    LLVMSetAlignment(LLVMBuildStore(e->b, x, nv_shared_pointer(e, &s, c)), s.vec * s.bytes);
  }
  nv_if_end(e, &once);
}

/* ---- loads, whole or piece by piece ------------------------------------------------------------------ */

static void read_vector(hlc_emit *e, nv_pieces *p, uint32_t reg) {
  nv_shared *s = p->at;
  int32_t c[HLI_LAYOUT_RANK];
  LLVMTypeRef t = hlc_memory_type(e, s->dtype);
  reg -= reg % s->vec;
  nv_reg_coords(s->layout, reg, c);
  LLVMValueRef x = LLVMBuildLoad2(e->b, s->vec > 1 ? LLVMVectorType(t, s->vec) : t, nv_shared_pointer(e, s, c), "");
  LLVMSetAlignment(x, s->vec * s->bytes);
  for (uint32_t i = 0; i < s->vec; i++)
    p->reg[reg + i] =
        hlc_from_memory(e, s->dtype, s->vec > 1 ? LLVMBuildExtractElement(e->b, x, hlc_i32(e, (int32_t)i), "") : x);
}

/* The layout of ldmatrix addresses: lanes 0 to 7 name the rows of the first matrix, 8 to 15 of the second ... */
static void address_layout(const hli_layout *l, const hli_ldmatrix *m, hli_layout *out) {
  hli_layout_clear(out, 2);
  for (uint32_t b = 0; b < 3; b++)
    out->lane[b].c[m->row] = (int16_t)(1 << b);
  for (uint32_t i = 0; 1u << i < m->count; i++)
    out->lane[3 + i].c[m->digit[i].dim] = (int16_t)m->digit[i].stride;
  out->lane_bits = 5;
  out->warp_bits = l->warp_bits;
  memcpy(out->warp, l->warp, sizeof out->warp);
}

static void read_matrices(hlc_emit *e, nv_pieces *p, const hli_ldmatrix *m, const nv_layout *value, uint32_t reg) {
  static const char *const names[2][3] = {
      {"llvm.nvvm.ldmatrix.sync.aligned.m8n8.x1.b16", "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x2.b16",
       "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16"},
      {"llvm.nvvm.ldmatrix.sync.aligned.m8n8.x1.trans.b16", "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x2.trans.b16",
       "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16"}};
  int32_t c[HLI_LAYOUT_RANK];
  reg &= ~1u;
  for (uint32_t i = 0; 1u << i < m->count; i++)
    reg -= reg / m->digit[i].weight % 2 * m->digit[i].weight;
  nv_reg_coords(value, reg, c);
  LLVMTypeRef pointer = LLVMPointerTypeInContext(e->ctx, 3);
  LLVMValueRef at = nv_shared_pointer(e, p->at, c);
  LLVMValueRef r = hlc_intrinsic(e, names[m->trans][hli_log2(m->count)], &pointer, 1, &at, 1);
  for (uint32_t i = 0; i < m->count && !hlc_failed(e); i++) {
    uint32_t to = reg;
    for (uint32_t j = 0; 1u << j < m->count; j++)
      to += ((i >> j) & 1) * m->digit[j].weight;
    p->pair[to / 2] = m->count > 1 ? LLVMBuildExtractValue(e->b, r, i, "") : r;
  }
}

typedef struct pieces { /* with the matrix form, NULL: plain */
  nv_pieces p;
  nv_shared at;
  hli_ldmatrix matrix;
  nv_layout *value;
  bool by_matrix;
} pieces;

/* ldmatrix moves rows of 16 bytes: they must stay whole. */
static bool fits_matrix(const nv_shared *s, const hli_layout *l, const uint8_t *perm, hli_ldmatrix *m) {
  const int64_t pitch = s->shape[s->rank - 1] + s->swizzle.sw_pad;
  return s->bytes == 2 && s->rank == 2 && s->dtype != HL_BOOL && hli_layout_ldmatrix(l, perm, m) && pitch % 8 == 0 &&
         (!s->swizzle.sw_mask || s->swizzle.sw_vec >= 3) && l->repeats == 0;
}

static pieces *open_load(hlc_emit *e, hli_op op) {
  const hli_value v = hli_result(e->k, op, 0), buffer = hli_operand(e->k, op, 0), slot = hli_operand(e->k, op, 1);
  pieces *p = hli_arena_new(&e->arena, pieces);
  uint8_t perm[HL_MAX_RANK];
  const bool permuted = hli_attr_len(e->k, op, 0) > 0;
  if (!p) {
    hlc_fail(e, HL_ERR_MEMORY, "out of memory for a shared load");
    return NULL;
  }
  for (uint32_t i = 0; i < HL_MAX_RANK; i++)
    perm[i] = (uint8_t)hli_attr_or(e->k, op, 0, i, i);
  p->value = nv_layout_of(e, v);
  nv_shared_open(e, buffer, slot, p->value, permuted ? perm : NULL, &p->at);
  if (fits_matrix(&p->at, &p->value->l, permuted ? perm : NULL, &p->matrix)) {
    hli_layout addresses;
    address_layout(&p->value->l, &p->matrix, &addresses);
    nv_layout *l = nv_layout_make(e, &addresses);
    nv_shared_open(e, buffer, slot, l, permuted ? perm : NULL, &p->at);
    p->at.additive = true; /* single bits all, register digits included: no repeats */
    p->by_matrix = true;
  }
  p->p = (nv_pieces){.op = op, .at = &p->at, .n = p->value->regs};
  p->p.reg = hlc_new_regs(e, p->value->regs);
  p->p.pair = hlc_new_regs(e, p->value->regs / 2 + 1);
  for (uint32_t i = 0; p->p.reg && i < p->value->regs; i++)
    p->p.reg[i] = NULL;
  for (uint32_t i = 0; p->p.pair && i < p->value->regs / 2 + 1; i++)
    p->p.pair[i] = NULL;
  return hlc_failed(e) ? NULL : p;
}

static pieces *pieces_of(hlc_emit *e, hli_value v) {
  return nv(e)->pieces[v] ? (pieces *)nv(e)->pieces[v] : NULL;
}

static void read_register(hlc_emit *e, pieces *p, uint32_t reg) {
  if (!p->by_matrix) {
    if (!p->p.reg[reg])
      read_vector(e, &p->p, reg);
    return;
  }
  if (!p->p.pair[reg / 2])
    read_matrices(e, &p->p, &p->matrix, p->value, reg);
  if (p->p.reg[reg] || hlc_failed(e))
    return;
  LLVMTypeRef two = LLVMVectorType(hlc_scalar_type(e, p->at.dtype), 2);
  LLVMValueRef x = LLVMBuildBitCast(e->b, p->p.pair[reg / 2], two, "");
  for (uint32_t i = 0; i < 2; i++)
    p->p.reg[reg / 2 * 2 + i] = LLVMBuildExtractElement(e->b, x, hlc_i32(e, (int32_t)i), "");
}

LLVMValueRef nv_need(hlc_emit *e, hli_value v, uint32_t reg) {
  pieces *p = pieces_of(e, v);
  if (!p) {
    const hlc_regs r = hlc_get(e, v);
    return reg < r.n ? r.r[reg] : hlc_undef(e, hlc_scalar_type(e, hli_dtype_of(e->k, v)));
  }
  read_register(e, p, reg);
  return hlc_failed(e) ? hlc_undef(e, hlc_scalar_type(e, p->at.dtype)) : p->p.reg[reg];
}

LLVMValueRef nv_need_pair(hlc_emit *e, hli_value v, uint32_t reg) {
  pieces *p = pieces_of(e, v);
  if (!p || !p->by_matrix)
    return NULL;
  if (!p->p.pair[reg / 2])
    read_matrices(e, &p->p, &p->matrix, p->value, reg);
  return hlc_failed(e) ? NULL : p->p.pair[reg / 2];
}

/* Is the value an operand of one dot further down in the block, and nothing before that changes shared memory?
 * Asynchronous copies do not count: they go to other slots. */
static bool feeds_one_dot(const hl_kernel *k, hli_op op) {
  const hli_value v = hli_result(k, op, 0);
  bool changed = false, found = false;
  for (hli_op o = hli_next(k, op); o; o = hli_next(k, o)) {
    const hli_op_data *d = hli_op_get(k, o);
    for (uint32_t i = 0; i < d->operands.len; i++) {
      if (hli_operand(k, o, i) != v)
        continue;
      if ((d->code != HLI_OP_MMA && d->code != HLI_OP_DOT) || i == 2 || changed || found)
        return false;
      found = true;
    }
    if (d->region)
      return false;
    changed |= d->code == HLI_OP_BARRIER || d->code == HLI_OP_SHARED_STORE || d->code == HLI_OP_ASYNC_WAIT;
  }
  return found;
}

void nv_emit_shared_load(hlc_emit *e, hli_op op) {
  const hli_value v = hli_result(e->k, op, 0);
  nv(e)->pieces[v] = NULL;
  pieces *p = open_load(e, op);
  if (!p)
    return;
  if (feeds_one_dot(e->k, op)) {
    nv(e)->pieces[v] = &p->p;
    return;
  }
  for (uint32_t r = 0; r < p->value->regs && !hlc_failed(e); r++)
    read_register(e, p, r);
  if (!hlc_failed(e))
    hlc_bind(e, v, p->p.reg, p->value->regs);
}
