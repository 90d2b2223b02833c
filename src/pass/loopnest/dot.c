/* dot.c: a dot becomes packing, blocking and a register-blocked micro-kernel, all of it LOOP ops.
 *
 *   for k, for p:        panel[p, k, :] = b[k, j0 + 32 p ...]          B, once, in panels of NR columns
 *   for ic step MC:      [ a is not a plain load: rows = a[ic ..., :] ]
 *     for p:             one panel (KC x NR) stays in the L2 cache
 *       for r step MR:   MR x NR accumulators in registers
 *         for k:         b = panel[p, k, :]; acc_q = fma(splat a[r + q, k], b, acc_q)
 *         epilogue on the registers: the stores that want the dot, or its buffer
 *
 * MR x NR follows from the target's registers: two vectors of columns; accumulators, the two vectors and two
 * more must fit (measured: 8 x 32 on AVX-512, 6 x 16 on AVX2; A unpacked beyond 8 rows runs out of address
 * registers).  MC 96 rows of A beside a panel fill an L2 cache of 1 MiB.  Rows beyond the end are computed on
 * a clamped row and not stored; columns beyond the end are zeros in the panel and masked stores. */
#include "src/pass/loopnest/nest.h"

#define MC 96
#define MAX_ROWS 8

typedef struct dot {
  hli_op op;
  hli_block block;
  hli_value a, b, acc, result;
  ln_root *epilogue;
  uint32_t n;
  hl_dtype dtype;          /* of the accumulator, the panel and the packed rows */
  ln_dim i, j, k;
  ln_bounds bi, bj, bk;
  int64_t rows, columns, mc; /* MR, NR, MC */
  hli_value panel, packed; /* buffers; 0: B or A is read where it lies */
  bool by_rows;            /* packed is [row group, k, row of the group], for an A that is contiguous along rows */
  uint8_t vi, vj, vk;      /* variables of the micro-kernel */
  ln_val first_row;        /* of the packed block */
} dot;

static ln_val add(ln *c, ln_val a, ln_val b) { return ln_bin(c, HLI_OP_ADD, a, b); }
static ln_val sub(ln *c, ln_val a, ln_val b) { return ln_bin(c, HLI_OP_SUB, a, b); }
static ln_val mul_by(ln *c, ln_val a, int64_t x) { return ln_bin(c, HLI_OP_MUL, a, ln_i64(c, x)); }
static ln_val least(ln *c, ln_val a, ln_val b) { return ln_bin(c, HLI_OP_MIN, a, b); }

static ln_val begin_or_nothing(const ln *c, ln_val v) {
  int64_t x;
  return ln_const(c, v, &x) && x == 0 ? (ln_val){0, 0} : v;
}

static bool divides(const ln *c, int64_t n, ln_val v) { return ln_multiple(c, v) % n == 0; }

/* begin + largest multiple of n below or at end - begin */
static ln_val whole(ln *c, ln_val begin, ln_val end, int64_t n) {
  ln_val length = sub(c, end, begin);
  if (divides(c, n, length)) return end;
  return add(c, begin, mul_by(c, ln_bin(c, HLI_OP_TRUNCDIV, length, ln_i64(c, n)), n));
}

/* ---- shape ------------------------------------------------------------------------------------- */

static void choose_shape(ln *c, dot *d) {
  const hl_target *t = c->env->target;
  int64_t bound_i = ln_bound(c, d->i), bound_j = ln_bound(c, d->j), lanes = HLI_MAX(t->vector_bytes / (int64_t)hl_dtype_size(d->dtype), 1);
  d->rows = HLI_MAX(HLI_MIN(MAX_ROWS, (t->vector_regs - 4) / 2), 1);
  if (bound_i > 0) d->rows = HLI_MIN(d->rows, bound_i);
  /* Few rows take more vectors of columns: an fma waits for the one before it. */
  int64_t vectors = HLI_MAX(2, HLI_MIN(8, t->vector_regs / 2 / d->rows));
  while (vectors > 1 && bound_j > 0 && bound_j <= (vectors - 1) * lanes)
    vectors--;
  d->columns = vectors * lanes;
  d->mc = (MC + d->rows - 1) / d->rows * d->rows;
}

/* Along which of its two dimensions is an operand's memory contiguous?  2: neither is known. */
static uint32_t contiguous_dim(ln *c, hli_value operand, ln_dim first, ln_dim second) {
  double score[HL_MAX_RANK] = {0};
  ln_root r = {.kind = LN_KEEP, .value = operand, .rank = 2, .dims = {first, second}};
  uint32_t best = ln_score(c, &r, 1, score);
  return score[best] > 0 ? best : 2;
}

/* A is read in place if it is an unmasked load of the accumulator's dtype, contiguous along k: one line of the cache
 * then serves many steps. */
static bool is_plain(ln *c, const dot *d) {
  hli_op op = ln_def(c, d->a);
  if (!op || c->src->ops.data[op].code != HLI_OP_LOAD || ln_buffer_valid(c, d->a)) return false;
  hli_access x;
  hli_access_get(c->src, op, &x);
  if (x.mask || x.gathers || hli_dtype_of(c->src, d->a) != d->dtype || contiguous_dim(c, d->a, d->i, d->k) == 0) return false;
  for (uint32_t i = 0; i < x.rank; i++)
    if (x.kind[i] == 't' && x.index[i] != (x.value_dim[i] == 0 ? d->i.range : d->k.range)) return false;
  return true;
}

/* One group of rows uses each element of B once: packing it would not pay. */
static bool is_used_once(ln *c, const dot *d) {
  int64_t bound = ln_bound(c, d->i);
  return bound > 0 && bound <= d->rows && contiguous_dim(c, d->b, d->k, d->j) == 1;
}

static bool make_buffers(ln *c, dot *d) {
  int64_t bi = ln_bound(c, d->i), bj = ln_bound(c, d->j), bk = ln_bound(c, d->k);
  if (bj < 0 || bk < 0 || bi < 0) {
    ln_fail(c, HL_ERR_UNSUPPORTED, "a dot along an axis of unknown length; loop over it with a tile");
    return false;
  }
  bk = HLI_MAX(bk, 1);
  int64_t panel[3] = {hli_ceil_div(HLI_MAX(bj, 1), d->columns), bk, d->columns};
  if (!is_used_once(c, d) && !(d->panel = ln_new_buffer(c, d->dtype, panel, 3, "panel"))) return false;
  if (is_plain(c, d)) return true;
  int64_t rows = HLI_MIN(d->mc, HLI_MAX(bi, 1)), packed[3] = {rows, (bk + c->width - 1) / c->width * c->width, 0};
  d->by_rows = contiguous_dim(c, d->a, d->i, d->k) == 0 && d->rows > 1;
  if (d->by_rows) {
    packed[0] = hli_ceil_div(rows, d->rows);
    packed[1] = bk;
    packed[2] = d->rows;
  }
  d->packed = ln_new_buffer(c, d->dtype, packed, d->by_rows ? 3 : 2, "rows");
  return d->packed != 0;
}

/* ---- packing B ------------------------------------------------------------------------------------ */

typedef struct packer { dot *d; uint8_t k; } packer;

/* One vector of one panel; `left` columns are valid if it is the last. */
static void pack_vector(ln *c, const packer *x, ln_val p, bool partial) {
  dot *d = x->d;
  ln_val j0 = add(c, d->bj.begin, mul_by(c, p, d->columns));
  ln_var v = {.dim = d->j, .index = j0, .begin = begin_or_nothing(c, d->bj.begin), .lanes = d->columns};
  if (partial) v.mask.v = ln_lane_mask(c, sub(c, d->bj.end, j0), v.lanes, &v.mask.level);
  uint8_t at[2] = {x->k, ln_push_var(c, v)};
  ln_val b = ln_eval(c, d->b, at);
  if (!ln_failed(c)) {
    b.v = hli_make_cast(ln_at(c, b.level), b.v, d->dtype);
    b = ln_splat(c, b, d->columns);
    ln_val index[3] = {p, sub(c, c->var[x->k].index, d->bk.begin), ln_i64(c, 0)};
    ln_raw_store(c, d->panel, index, 3, b, 0);
  }
  ln_pop_var(c);
}

static void for_panels(ln *c, dot *d, bool partial, void (*body)(ln *c, void *ctx, ln_val p, bool partial), void *ctx) {
  ln_val n = sub(c, d->bj.end, d->bj.begin), columns = ln_i64(c, d->columns);
  ln_val full = ln_bin(c, HLI_OP_TRUNCDIV, n, columns), begin = partial ? full : ln_i64(c, 0), end = full;
  if (partial && divides(c, d->columns, n)) return;
  if (partial) end = ln_bin(c, HLI_OP_TRUNCDIV, add(c, n, ln_i64(c, d->columns - 1)), columns);
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

static void pack_body(ln *c, void *ctx, ln_val p, bool partial) { pack_vector(c, ctx, p, partial); }

static void pack_row(ln *c, void *ctx, uint8_t var) {
  packer x = {ctx, var};
  for_panels(c, x.d, false, pack_body, &x);
  for_panels(c, x.d, true, pack_body, &x);
}

/* ---- packing A --------------------------------------------------------------------------------------- */

typedef struct row_packer { dot *d; ln_val row; uint8_t i; } row_packer;

static void pack_a_vector(ln *c, void *ctx, uint8_t var) {
  row_packer *x = ctx;
  uint8_t at[2] = {x->i, var};
  ln_val a = ln_eval(c, x->d->a, at);
  if (ln_failed(c)) return;
  a.v = hli_make_cast(ln_at(c, a.level), a.v, x->d->dtype);
  a = ln_splat(c, a, c->var[var].lanes);
  ln_val index[2] = {sub(c, x->row, x->d->first_row), sub(c, c->var[var].index, x->d->bk.begin)};
  ln_raw_store(c, x->d->packed, index, 2, a, c->var[var].mask.v);
}

/* One k: vectors of a row group each. */
typedef struct group_packer { dot *d; ln_val begin, end; } group_packer;

static ln_val group_of(ln *c, const dot *d, ln_val row) {
  return ln_bin(c, HLI_OP_TRUNCDIV, sub(c, row, d->first_row), ln_i64(c, d->rows));
}

static void pack_a_groups(ln *c, void *ctx, uint8_t k) {
  group_packer *x = ctx;
  dot *d = x->d;
  ln_val r = ln_open(c, x->begin, x->end, ln_i64(c, d->rows), NULL, 0, "r");
  ln_var v = {.dim = d->i, .index = r, .begin = begin_or_nothing(c, d->bi.begin), .lanes = d->rows};
  if (!ln_failed(c) && !divides(c, d->rows, sub(c, x->end, x->begin)))
    v.mask.v = ln_lane_mask(c, sub(c, x->end, r), v.lanes, &v.mask.level);
  uint8_t at[2] = {ln_push_var(c, v), k};
  ln_val a = ln_eval(c, d->a, at);
  if (!ln_failed(c)) {
    a.v = hli_make_cast(ln_at(c, a.level), a.v, d->dtype);
    ln_val index[3] = {group_of(c, d, r), sub(c, c->var[k].index, d->bk.begin), ln_i64(c, 0)};
    ln_raw_store(c, d->packed, index, 3, ln_splat(c, a, d->rows), 0);
  }
  ln_pop_var(c);
  ln_close(c, NULL, 0);
}

static void pack_a(ln *c, dot *d, ln_val begin, ln_val end) {
  const ln_carried none = {0};
  if (d->by_rows) {
    ln_scalar_loop(c, d->k, none, pack_a_groups, &(group_packer){d, begin, end});
    return;
  }
  row_packer x = {.d = d};
  x.row = ln_open(c, begin, end, ln_i64(c, 1), NULL, 0, "r");
  x.i = ln_push_var(c, (ln_var){.dim = d->i, .index = x.row, .begin = begin_or_nothing(c, d->bi.begin)});
  ln_vector_loops(c, d->k, ln_main_lanes(c, d->k, c->unroll, d->dtype), none, none, pack_a_vector, &x);
  ln_pop_var(c);
  ln_close(c, NULL, 0);
}

/* ---- the micro-kernel ----------------------------------------------------------------------------------- */

typedef struct tile {
  ln_val p, row, end;    /* panel, first row, end of the rows */
  bool partial;          /* some rows or columns do not exist */
  ln_val columns_left;   /* partial */
} tile;

/* The variables stand for row q from now on. */
static void select_row(ln *c, dot *d, const tile *t, int64_t q) {
  ln_var *i = &c->var[d->vi], *j = &c->var[d->vj];
  ln_val row = add(c, t->row, ln_i64(c, q));
  i->index = row;
  i->serial = ++c->serials;
  if (!t->partial) return;
  i->index = least(c, row, sub(c, t->end, ln_i64(c, 1)));
  ln_val exists = ln_bin(c, HLI_OP_LT, row, t->end);
  uint32_t level = HLI_MAX(exists.level, t->columns_left.level);
  ln_val n = {hli_make_where(ln_at(c, level), exists.v, t->columns_left.v, ln_i64(c, 0).v), level};
  j->mask.v = ln_lane_mask(c, n, d->columns, &j->mask.level);
  j->serial = ++c->serials;
}

/* The tile of each store is fetched while the products are computed (measured: 11 % at 2048^3). */
static void prefetch_tile(ln *c, const dot *d, const tile *t) {
  const uint8_t at[2] = {d->vi, d->vj};
  for (uint32_t e = 0; e < d->n && !t->partial; e++)
    ln_prefetch(c, d->epilogue[e].op, at);
}

static ln_val step(ln *c, const dot *d, ln_val a, ln_val b, hli_value acc) {
  hli_cursor *at = ln_at(c, c->top);
  a = ln_splat(c, a, d->columns);
  if (d->dtype == HL_F32 || d->dtype == HL_F64) return (ln_val){hli_make_fma(at, a.v, b.v, acc), c->top};
  return (ln_val){hli_make_binary(at, HLI_OP_ADD, hli_make_binary(at, HLI_OP_MUL, a.v, b.v), acc), c->top};
}

static ln_val packed_element(ln *c, const dot *d, const tile *t, int64_t q, ln_val k) {
  ln_val in_group[3] = {d->by_rows ? group_of(c, d, t->row) : k, k, ln_i64(c, q)};
  if (d->by_rows) return ln_raw_load(c, d->packed, in_group, 3, 0, 0, c->top);
  ln_val in_row[2] = {sub(c, c->var[d->vi].index, d->first_row), k};
  return ln_raw_load(c, d->packed, in_row, 2, 0, 0, c->top);
}

/* B where it lies; what is beyond the last column is not stored. */
static ln_val direct_columns(ln *c, dot *d, const tile *t) {
  ln_var *j = &c->var[d->vj];
  if (t->partial) j->mask.v = ln_lane_mask(c, t->columns_left, d->columns, &j->mask.level);
  j->serial = ++c->serials;
  const uint8_t at[2] = {d->vk, d->vj};
  ln_val b = ln_eval(c, d->b, at);
  if (ln_failed(c)) return b;
  b.v = hli_make_cast(ln_at(c, b.level), b.v, d->dtype);
  return ln_splat(c, b, d->columns);
}

static void products(ln *c, dot *d, const tile *t, hli_value *acc) {
  ln_val k = ln_open(c, d->bk.begin, d->bk.end, ln_i64(c, 1), acc, (uint32_t)d->rows, "k");
  d->vk = ln_push_var(c, (ln_var){.dim = d->k, .index = k, .begin = begin_or_nothing(c, d->bk.begin)});
  ln_val at_k = sub(c, k, d->bk.begin), panel_at[3] = {t->p, at_k, ln_i64(c, 0)};
  ln_val b = d->panel ? ln_raw_load(c, d->panel, panel_at, 3, d->columns, 0, c->top) : direct_columns(c, d, t);
  for (int64_t q = 0; q < d->rows && !ln_failed(c); q++) {
    const uint8_t at[2] = {d->vi, d->vk};
    select_row(c, d, t, q);
    ln_val a = d->packed ? packed_element(c, d, t, q, at_k) : ln_eval(c, d->a, at);
    if (!ln_failed(c)) acc[q] = step(c, d, a, b, acc[q]).v;
  }
  ln_pop_var(c);
  ln_close(c, acc, (uint32_t)d->rows);
}

static void epilogue(ln *c, dot *d, hli_value acc) {
  const uint8_t at[2] = {d->vi, d->vj};
  ln_put(c, d->result, (ln_val){acc, c->top}, at);
  for (uint32_t e = 0; e < d->n && !ln_failed(c); e++)
    ln_store(c, d->epilogue[e].op, at);
  if (!d->n) ln_buffer_store(c, d->result, (ln_val){acc, c->top}, at);
}

static void micro_kernel(ln *c, dot *d, const tile *t) {
  hli_value acc[MAX_ROWS];
  ln_val j0 = add(c, d->bj.begin, mul_by(c, t->p, d->columns));
  d->vj = ln_push_var(c, (ln_var){.dim = d->j, .index = j0, .begin = begin_or_nothing(c, d->bj.begin), .lanes = d->columns});
  d->vi = ln_push_var(c, (ln_var){.dim = d->i, .begin = begin_or_nothing(c, d->bi.begin)});
  for (int64_t q = 0; q < d->rows && !ln_failed(c); q++) {
    const uint8_t at[2] = {d->vi, d->vj};
    select_row(c, d, t, q);
    acc[q] = ln_splat(c, ln_eval(c, d->acc, at), d->columns).v;
    prefetch_tile(c, d, t);
  }
  if (!ln_failed(c)) products(c, d, t, acc);
  for (int64_t q = 0; q < d->rows && !ln_failed(c); q++) {
    select_row(c, d, t, q);
    epilogue(c, d, acc[q]);
  }
  ln_pop_var(c);
  ln_pop_var(c);
}

/* ---- blocking ----------------------------------------------------------------------------------------------- */

typedef struct block { dot *d; ln_val begin, end; } block;

/* Rows [begin, end) of one panel. */
static void row_loop(ln *c, const block *x, ln_val begin, ln_val end, ln_val p, bool partial) {
  int64_t b, e;
  if (ln_failed(c) || begin.v == end.v) return;
  if (ln_const(c, begin, &b) && ln_const(c, end, &e) && b >= e) return;
  tile t = {.p = p, .end = x->end, .partial = partial};
  ln_val j0 = add(c, x->d->bj.begin, mul_by(c, p, x->d->columns));
  if (partial) t.columns_left = sub(c, x->d->bj.end, j0); /* more than NR: all */
  t.row = ln_open(c, begin, end, ln_i64(c, x->d->rows), NULL, 0, "r");
  if (!ln_failed(c)) micro_kernel(c, x->d, &t);
  ln_close(c, NULL, 0);
}

static void panel_body(ln *c, void *ctx, ln_val p, bool partial) {
  const block *x = ctx;
  ln_val full = partial ? x->begin : whole(c, x->begin, x->end, x->d->rows);
  if (!partial) row_loop(c, x, x->begin, full, p, false);
  row_loop(c, x, full, x->end, p, true);
}

static void row_block(ln *c, dot *d, ln_val begin, ln_val end) {
  block x = {d, begin, end};
  d->first_row = begin;
  if (d->packed) pack_a(c, d, begin, end);
  for_panels(c, d, false, panel_body, &x);
  for_panels(c, d, true, panel_body, &x);
}

static void all_rows(ln *c, dot *d) {
  int64_t bound = ln_bound(c, d->i);
  if (bound <= d->mc) {
    row_block(c, d, d->bi.begin, d->bi.end);
    return;
  }
  ln_val ic = ln_open(c, d->bi.begin, d->bi.end, ln_i64(c, d->mc), NULL, 0, "ic");
  if (!ln_failed(c)) row_block(c, d, ic, least(c, add(c, ic, ln_i64(c, d->mc)), d->bi.end));
  ln_close(c, NULL, 0);
}

void ln_dot(ln *c, hli_block where, ln_root *root, ln_root *epilogue_roots, uint32_t n) {
  const hl_kernel *k = c->src;
  dot d = {.op = root->op, .block = where, .epilogue = epilogue_roots, .n = n};
  d.a = hli_operand(k, d.op, 0);
  d.b = hli_operand(k, d.op, 1);
  d.acc = hli_operand(k, d.op, 2);
  d.result = root->value;
  d.dtype = hli_dtype_of(k, d.result);
  d.i = root->dims[0];
  d.j = root->dims[1];
  d.k = ln_value_dim(c, d.a, 1, where);
  choose_shape(c, &d);
  if (!make_buffers(c, &d)) return;
  if (!n && !ln_make_buffer(c, d.result, where)) return;
  d.bi = ln_range_bounds(c, d.i);
  d.bj = ln_range_bounds(c, d.j);
  d.bk = ln_range_bounds(c, d.k);
  if (ln_failed(c)) return;
  if (d.panel) ln_scalar_loop(c, d.k, (ln_carried){0}, pack_row, &d);
  all_rows(c, &d);
  if (n || ln_failed(c)) return;
  ln_buffer_holds(c, d.result);
}
