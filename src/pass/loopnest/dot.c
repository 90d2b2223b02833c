/* dot.c: a dot becomes packing, blocking and a register-blocked micro-kernel, all of it LOOP ops.
 *
 *   for k, for p:        panel[p, k, :] = b[k, j0 + 32 p ...]          B, once, in panels of NR columns
 *   for ic step MC:      [ a is not a plain load: rows = a[ic ..., :] ]
 *     for p:             one panel (KC x NR) stays in the L2 cache
 *       for r step MR:   MR x NR accumulators in registers
 *         for k:         b = panel[p, k, :]; acc_q = fma(splat a[r + q, k], b, acc_q)      (or a group of k, see dot_group.c)
 *         epilogue on the registers: the stores that want the dot, or its buffer
 *
 * MR x NR follows from the target's registers: two vectors of columns; accumulators, the two vectors and two
 * more must fit (measured: 8 x 32 on AVX-512, 6 x 16 on AVX2; A unpacked beyond 8 rows runs out of address
 * registers).  MC 96 rows of A beside a panel fill an L2 cache of 1 MiB.  Rows beyond the end are computed on
 * a clamped row and not stored; columns beyond the end are zeros in the panel and masked stores. */
#include "src/pass/loopnest/dot.h"

#define MC 96

/* begin + largest multiple of n below or at end - begin */
ln_val ln_whole(ln *c, ln_val begin, ln_val end, int64_t n) {
  ln_val length = ln_sub(c, end, begin);
  if (ln_divides(c, n, length)) return end;
  return ln_add(c, begin, ln_mul_by(c, ln_bin(c, HLI_OP_TRUNCDIV, length, ln_i64(c, n)), n));
}

/* ---- shape ------------------------------------------------------------------------------------- */

static void choose_shape(ln *c, ln_dot_state *d) {
  const hl_target *t = c->env->target;
  int64_t bound_i = ln_bound(c, d->i), bound_j = ln_bound(c, d->j), lanes = HLI_MAX(t->vector_bytes / (int64_t)hl_dtype_size(d->dtype), 1);
  d->rows = HLI_MAX(HLI_MIN(LN_DOT_ROWS, (t->vector_regs - 4) / 2), 1);
  if (bound_i > 0) d->rows = HLI_MIN(d->rows, bound_i);
  /* Few rows take more vectors of columns: an fma waits for the one before it. */
  int64_t vectors = HLI_MAX(2, HLI_MIN(8, t->vector_regs / 2 / d->rows));
  while (vectors > 1 && bound_j > 0 && bound_j <= (vectors - 1) * lanes)
    vectors--;
  d->columns = vectors * lanes;
  d->mc = (MC + d->rows - 1) / d->rows * d->rows;
}

/* Along which of its two dimensions is an operand's memory contiguous?  2: neither is known. */
uint32_t ln_contiguous_dim(ln *c, hli_value operand, ln_dim first, ln_dim second) {
  double score[HL_MAX_RANK] = {0};
  ln_root r = {.kind = LN_KEEP, .value = operand, .rank = 2, .dims = {first, second}};
  uint32_t best = ln_score(c, &r, 1, score);
  return score[best] > 0 ? best : 2;
}

/* A is read in place if it is an unmasked load of the accumulator's dtype, contiguous along k: one line of the cache
 * then serves many steps. */
static bool is_plain(ln *c, const ln_dot_state *d) {
  hli_op op = ln_def(c, d->a);
  if (!op || c->src->ops.data[op].code != HLI_OP_LOAD || ln_buffer_valid(c, d->a)) return false;
  hli_access x;
  hli_access_get(c->src, op, &x);
  if (x.mask || x.gathers || hli_dtype_of(c->src, d->a) != d->a_as) return false;
  uint32_t along = ln_contiguous_dim(c, d->a, d->i, d->k);
  if (along == 0 || (along == 2 && d->group > 1)) return false;
  for (uint32_t i = 0; i < x.rank; i++)
    if (x.kind[i] == 't' && x.index[i] != (x.value_dim[i] == 0 ? d->i.range : d->k.range)) return false;
  return true;
}

/* One group of rows uses each element of B once: packing it would not pay. */
static bool is_used_once(ln *c, const ln_dot_state *d) {
  int64_t bound = ln_bound(c, d->i);
  return bound > 0 && bound <= d->rows && ln_contiguous_dim(c, d->b, d->k, d->j) == 1;
}

static int64_t round_up(int64_t x, int64_t n) { return hli_ceil_div(x, n) * n; }

/* Rows of A that are packed at a time, by rows or by groups of rows. */
static void make_packed(ln *c, ln_dot_state *d, int64_t rows, int64_t depth) {
  int64_t sizes[3] = {rows, round_up(depth, c->width), 0};
  d->by_rows = ln_contiguous_dim(c, d->a, d->i, d->k) == 0 && d->rows > 1;
  if (d->by_rows) {
    sizes[0] = hli_ceil_div(rows, d->rows);
    sizes[1] = hli_ceil_div(depth, d->group) + 2; /* a stride of no power of two: packing writes to all groups at once */
    sizes[2] = d->rows;
  }
  d->packed = ln_new_buffer(c, d->by_rows && d->group > 1 ? HL_U32 : d->a_as, sizes, d->by_rows ? 3 : 2, "rows");
}

static bool make_buffers(ln *c, ln_dot_state *d) {
  int64_t bi = ln_bound(c, d->i), bj = ln_bound(c, d->j), bk = ln_bound(c, d->k);
  if (bj < 0 || bk < 0 || bi < 0) {
    ln_fail_at(c, d->op, HL_ERR_UNSUPPORTED,
               "a dot of an axis of unknown length: give the dimension a size or loop over it with a tile");
    return false;
  }
  bk = HLI_MAX(bk, 1);
  const int64_t rows = HLI_MIN(d->mc, HLI_MAX(bi, 1)), sums = round_up(rows, d->rows);
  /* squares that are transposed may end beyond the last k */
  const int64_t depth = ln_packs_columns(c, d) ? round_up(bk, c->width * d->group) : bk;
  int64_t panel[3] = {hli_ceil_div(HLI_MAX(bj, 1), d->columns), hli_ceil_div(depth, d->group), d->columns};
  if (!d->once) d->panel = ln_new_buffer(c, d->group > 1 ? HL_U32 : d->dtype, panel, 3, "panel");
  if (d->flip) d->sums = ln_new_buffer(c, d->dtype, &sums, 1, "sums");
  if (!is_plain(c, d)) make_packed(c, d, rows, bk);
  return !ln_failed(c);
}

/* ---- panels ----------------------------------------------------------------------------------- */

void ln_for_panels(ln *c, ln_dot_state *d, bool partial, ln_panel_body body, void *ctx) {
  ln_val n = ln_sub(c, d->bj.end, d->bj.begin), columns = ln_i64(c, d->columns);
  ln_val full = ln_bin(c, HLI_OP_TRUNCDIV, n, columns), begin = partial ? full : ln_i64(c, 0), end = full;
  if (partial && ln_divides(c, d->columns, n)) return;
  if (partial) end = ln_bin(c, HLI_OP_TRUNCDIV, ln_add(c, n, ln_i64(c, d->columns - 1)), columns);
  int64_t b, e;
  if (ln_failed(c)) return;
  bool known = ln_const(c, begin, &b) && ln_const(c, end, &e);
  if (known && b >= e) return;
  if (known && e == b + 1) {
    body(c, ctx, begin, partial);
    return;
  }
  ln_val p = ln_open(c, begin, end, ln_i64(c, 1), NULL, 0, "p");
  if (!ln_failed(c)) body(c, ctx, p, partial);
  ln_close(c, NULL, 0);
}

/* ---- the micro-kernel ----------------------------------------------------------------------------------- */

typedef struct tile {
  ln_val p, row, end;    /* panel, first row, end of the rows */
  bool partial;          /* some rows or columns do not exist */
  ln_val columns_left;   /* partial */
} tile;

/* The variables stand for row q from now on. */
static void select_row(ln *c, ln_dot_state *d, const tile *t, int64_t q) {
  ln_var *i = &c->var[d->vi], *j = &c->var[d->vj];
  ln_val row = ln_add(c, t->row, ln_i64(c, q));
  i->index = row;
  i->serial = ++c->serials;
  if (!t->partial) return;
  i->index = ln_least(c, row, ln_sub(c, t->end, ln_i64(c, 1)));
  ln_val exists = ln_bin(c, HLI_OP_LT, row, t->end);
  uint32_t level = HLI_MAX(exists.level, t->columns_left.level);
  ln_val n = {hli_make_where(ln_at(c, level), exists.v, t->columns_left.v, ln_i64(c, 0).v), level};
  j->mask.v = ln_lane_mask(c, n, d->columns, &j->mask.level);
  j->serial = ++c->serials;
}

/* The tile of each store is fetched while the products are computed. */
static void prefetch_tile(ln *c, const ln_dot_state *d, const tile *t) {
  const uint8_t at[2] = {d->vi, d->vj};
  for (uint32_t e = 0; e < d->n && !t->partial; e++)
    ln_prefetch(c, d->epilogue[e].op, at);
}

static ln_val step(ln *c, const ln_dot_state *d, ln_val a, ln_val b, hli_value acc) {
  hli_cursor *at = ln_at(c, c->top);
  a = ln_splat(c, a, d->columns);
  if (d->dtype == HL_F32 || d->dtype == HL_F64) return (ln_val){hli_make_fma(at, a.v, b.v, acc), c->top};
  return (ln_val){hli_make_binary(at, HLI_OP_ADD, hli_make_binary(at, HLI_OP_MUL, a.v, b.v), acc), c->top};
}

/* Element, or group, k of row q where A is packed. */
static ln_val packed_element(ln *c, const ln_dot_state *d, const tile *t, int64_t q, ln_val number) {
  const ln_var *k = &c->var[d->vk];
  if (d->by_rows) {
    ln_val in_group[3] = {ln_row_group(c, d, t->row), number, ln_i64(c, q)};
    return ln_raw_load(c, d->packed, in_group, 3, 0, 0, c->top);
  }
  ln_val in_row[2] = {ln_sub(c, c->var[d->vi].index, d->first_row), ln_mul_by(c, number, d->group)};
  return ln_raw_load(c, d->packed, in_row, 2, k->lanes, k->mask.v, HLI_MAX(k->mask.level, c->top));
}

static ln_val a_element(ln *c, const ln_dot_state *d, const tile *t, int64_t q, ln_val number) {
  const uint8_t at[2] = {d->vi, d->vk};
  ln_val a = d->packed ? packed_element(c, d, t, q, number) : ln_eval(c, d->a, at);
  return ln_failed(c) || d->group == 1 || d->by_rows ? a : ln_make_group(c, &a, 1);
}

/* B where it lies; what is beyond the last column is not stored. */
static ln_val direct_columns(ln *c, ln_dot_state *d, const tile *t) {
  ln_var *j = &c->var[d->vj];
  if (t->partial) j->mask.v = ln_lane_mask(c, t->columns_left, d->columns, &j->mask.level);
  j->serial = ++c->serials;
  const uint8_t at[2] = {d->vk, d->vj};
  ln_val b = ln_eval(c, d->b, at);
  if (ln_failed(c)) return b;
  b.v = hli_make_cast(ln_at(c, b.level), b.v, d->dtype);
  return ln_splat(c, b, d->columns);
}

typedef struct sums { ln_dot_state *d; const tile *t; hli_value *acc; } sums;

/* One k, or one group of them. */
static void product(ln *c, void *ctx, ln_val k, ln_val number, bool partial) {
  const sums *s = ctx;
  ln_dot_state *d = s->d;
  ln_var v = {.dim = d->k, .index = k, .begin = ln_begin_or_nothing(c, d->bk.begin), .lanes = d->group > 1 ? d->group : 0};
  if (partial) v.mask.v = ln_lane_mask(c, ln_sub(c, d->bk.end, k), v.lanes, &v.mask.level);
  d->vk = ln_push_var(c, v);
  ln_val panel_at[3] = {s->t->p, number, ln_i64(c, 0)};
  ln_val b = d->panel ? ln_raw_load(c, d->panel, panel_at, 3, d->columns, 0, c->top) : direct_columns(c, d, s->t);
  for (int64_t q = 0; q < d->rows && !ln_failed(c); q++) {
    select_row(c, d, s->t, q);
    ln_val a = a_element(c, d, s->t, q, number);
    if (ln_failed(c)) break;
    s->acc[q] = d->group > 1 ? ln_group_dot(c, d->a_as, d->b_as, a, b, s->acc[q]) : step(c, d, a, b, s->acc[q]).v;
  }
  ln_pop_var(c);
}

static void epilogue(ln *c, ln_dot_state *d, hli_value acc) {
  const uint8_t at[2] = {d->vi, d->vj};
  ln_put(c, d->result, (ln_val){acc, c->top}, at);
  for (uint32_t e = 0; e < d->n && !ln_failed(c); e++)
    ln_store(c, d->epilogue[e].op, at);
  if (!d->n) ln_buffer_store(c, d->result, (ln_val){acc, c->top}, at);
}

static void micro_kernel(ln *c, ln_dot_state *d, const tile *t) {
  hli_value acc[LN_DOT_ROWS];
  ln_val j0 = ln_add(c, d->bj.begin, ln_mul_by(c, t->p, d->columns));
  d->vj = ln_push_var(c, (ln_var){.dim = d->j, .index = j0, .begin = ln_begin_or_nothing(c, d->bj.begin), .lanes = d->columns});
  d->vi = ln_push_var(c, (ln_var){.dim = d->i, .begin = ln_begin_or_nothing(c, d->bi.begin)});
  for (int64_t q = 0; q < d->rows && !ln_failed(c); q++) {
    const uint8_t at[2] = {d->vi, d->vj};
    select_row(c, d, t, q);
    acc[q] = ln_splat(c, ln_eval(c, d->acc, at), d->columns).v;
    if (d->flip) acc[q] = ln_unflip(c, d, c->var[d->vi].index, acc[q]);
    prefetch_tile(c, d, t);
  }
  if (!ln_failed(c)) ln_for_groups(c, d, (ln_carried){acc, (uint32_t)d->rows}, product, &(sums){d, t, acc});
  for (int64_t q = 0; q < d->rows && !ln_failed(c); q++) {
    select_row(c, d, t, q);
    epilogue(c, d, acc[q]);
  }
  ln_pop_var(c);
  ln_pop_var(c);
}

/* ---- blocking ----------------------------------------------------------------------------------------------- */

typedef struct block { ln_dot_state *d; ln_val begin, end; } block;

/* Rows [begin, end) of one panel. */
static void row_loop(ln *c, const block *x, ln_val begin, ln_val end, ln_val p, bool partial) {
  int64_t b, e;
  if (ln_failed(c) || begin.v == end.v) return;
  if (ln_const(c, begin, &b) && ln_const(c, end, &e) && b >= e) return;
  tile t = {.p = p, .end = x->end, .partial = partial};
  ln_val j0 = ln_add(c, x->d->bj.begin, ln_mul_by(c, p, x->d->columns));
  if (partial) t.columns_left = ln_sub(c, x->d->bj.end, j0); /* more than NR: all */
  t.row = ln_open(c, begin, end, ln_i64(c, x->d->rows), NULL, 0, "r");
  if (!ln_failed(c)) micro_kernel(c, x->d, &t);
  ln_close(c, NULL, 0);
}

static void panel_body(ln *c, void *ctx, ln_val p, bool partial) {
  const block *x = ctx;
  ln_val full = partial ? x->begin : ln_whole(c, x->begin, x->end, x->d->rows);
  if (!partial) row_loop(c, x, x->begin, full, p, false);
  row_loop(c, x, full, x->end, p, true);
}

static void row_block(ln *c, ln_dot_state *d, ln_val begin, ln_val end) {
  block x = {d, begin, end};
  d->first_row = begin;
  if (d->packed) ln_pack_a(c, d, begin, end);
  if (d->flip) ln_row_sums(c, d, begin, end);
  ln_for_panels(c, d, false, panel_body, &x);
  ln_for_panels(c, d, true, panel_body, &x);
}

static void all_rows(ln *c, ln_dot_state *d) {
  int64_t bound = ln_bound(c, d->i);
  if (bound <= d->mc) {
    row_block(c, d, d->bi.begin, d->bi.end);
    return;
  }
  ln_val ic = ln_open(c, d->bi.begin, d->bi.end, ln_i64(c, d->mc), NULL, 0, "ic");
  if (!ln_failed(c)) row_block(c, d, ic, ln_least(c, ln_add(c, ic, ln_i64(c, d->mc)), d->bi.end));
  ln_close(c, NULL, 0);
}

void ln_dot(ln *c, hli_block where, ln_root *root, ln_root *epilogue_roots, uint32_t n) {
  const hl_kernel *k = c->src;
  ln_dot_state d = {.op = root->op, .block = where, .epilogue = epilogue_roots, .n = n};
  d.a = hli_operand(k, d.op, 0);
  d.b = hli_operand(k, d.op, 1);
  d.acc = hli_operand(k, d.op, 2);
  d.result = root->value;
  d.dtype = hli_dtype_of(k, d.result);
  d.i = root->dims[0];
  d.j = root->dims[1];
  d.k = ln_value_dim(c, d.a, 1, where);
  choose_shape(c, &d);
  d.once = is_used_once(c, &d);
  ln_choose_group(c, &d);
  if (!make_buffers(c, &d)) return;
  if (!n && !ln_make_buffer(c, d.result, where)) return;
  d.bi = ln_range_bounds(c, d.i);
  d.bj = ln_range_bounds(c, d.j);
  d.bk = ln_range_bounds(c, d.k);
  if (ln_failed(c)) return;
  if (d.panel) ln_pack_b(c, &d);
  all_rows(c, &d);
  if (n || ln_failed(c)) return;
  ln_buffer_holds(c, d.result);
}
