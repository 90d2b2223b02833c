/* dot_pack.c: operands of a dot in the order in which the micro-kernel reads them.
 *
 *     panel[p, k, :]     = b[k, j0 + NR p ...]                        B in panels of NR columns; zeros beyond the last
 *     packed[r, k]       = a[ic + r, k]                               A by rows, or where it is contiguous along rows:
 *     packed[r / MR, k, :] = a[ic + r ..., k]
 *
 * Elements are converted here, so a pointwise prologue costs what its own nest would.  With groups the k of a panel
 * counts groups and its elements are u32.  Where B is contiguous along k, squares of it are read along k and
 * transposed in registers. */
#include "src/pass/loopnest/dot.h"

static ln_val cast_to(ln *c, ln_val x, hl_dtype dtype) {
  return (ln_val){hli_make_cast(ln_at(c, x.level), x.v, dtype), x.level};
}

/* ---- B by rows ---------------------------------------------------------------------------------- */

typedef struct packer { ln_dot_state *d; ln_val k, number; bool partial; } packer; /* of a group along k */

/* The operand at k + i; 0 beyond the end of a partial group. */
static ln_val element(ln *c, const packer *x, int64_t i, hli_value operand, uint8_t *at, uint32_t k_at, int64_t lanes, hl_dtype as) {
  ln_dot_state *d = x->d;
  ln_val k = ln_add(c, x->k, ln_i64(c, i)), last = ln_sub(c, d->bk.end, ln_i64(c, 1));
  at[k_at] = ln_push_var(c, (ln_var){.dim = d->k, .index = x->partial ? ln_least(c, k, last) : k, .begin = ln_begin_or_nothing(c, d->bk.begin)});
  ln_val v = ln_eval(c, operand, at);
  ln_pop_var(c);
  if (ln_failed(c)) return v;
  v = ln_splat(c, cast_to(c, v, as), lanes);
  if (!x->partial) return v;
  ln_val exists = ln_splat(c, ln_bin(c, HLI_OP_LT, k, d->bk.end), lanes);
  uint32_t level = HLI_MAX(v.level, exists.level);
  ln_val zero = ln_splat(c, (ln_val){hli_make_const(ln_at(c, 0), as, 0), 0}, lanes);
  return (ln_val){hli_make_where(ln_at(c, level), exists.v, v.v, zero.v), level};
}

/* Elements k, k + 1 ... of an operand, grouped. */
static ln_val group_at(ln *c, const packer *x, hli_value operand, uint8_t *at, uint32_t k_at, int64_t lanes, hl_dtype as) {
  ln_val e[4] = {{0}};
  for (int64_t i = 0; i < x->d->group && !ln_failed(c); i++)
    e[i] = element(c, x, i, operand, at, k_at, lanes, as);
  return x->d->group > 1 ? ln_make_group(c, e, (uint32_t)x->d->group) : e[0];
}

static hl_dtype packed_b(const ln *c, const ln_dot_state *d) { return d->flip ? hli_dtype_of(c->src, d->b) : d->b_as; }

static ln_val flipped(ln *c, const ln_dot_state *d, ln_val b) {
  ln_val bits = {hli_make_const(ln_at(c, 0), HL_U32, 0x80808080), 0};
  return d->flip ? ln_bin(c, HLI_OP_XOR, b, ln_splat(c, bits, ln_lanes_of(c, b))) : b;
}

/* One vector of one panel; the last one may have fewer columns. */
static void pack_vector(ln *c, void *ctx, ln_val p, bool partial) {
  const packer *x = ctx;
  ln_dot_state *d = x->d;
  ln_val j0 = ln_add(c, d->bj.begin, ln_mul_by(c, p, d->columns));
  ln_var v = {.dim = d->j, .index = j0, .begin = ln_begin_or_nothing(c, d->bj.begin), .lanes = d->columns};
  if (partial) v.mask.v = ln_lane_mask(c, ln_sub(c, d->bj.end, j0), v.lanes, &v.mask.level);
  uint8_t at[2] = {0, ln_push_var(c, v)};
  ln_val b = group_at(c, x, d->b, at, 0, d->columns, packed_b(c, d));
  if (!ln_failed(c)) {
    ln_val index[3] = {p, x->number, ln_i64(c, 0)};
    ln_raw_store(c, d->panel, index, 3, flipped(c, d, b), 0);
  }
  ln_pop_var(c);
}

static void pack_row(ln *c, void *ctx, ln_val k, ln_val number, bool partial) {
  packer x = {ctx, k, number, partial};
  ln_for_panels(c, x.d, false, pack_vector, &x);
  ln_for_panels(c, x.d, true, pack_vector, &x);
}

/* ---- B by columns ---------------------------------------------------------------------------------- */

typedef struct square { ln_dot_state *d; ln_val p, j0, left; bool partial; } square; /* its columns j0 ...; partial: `left` exist */

/* Row of the square before it is transposed: column j0 + q along k. */
static ln_val column_vector(ln *c, const square *s, uint8_t vk, int64_t q) {
  ln_dot_state *d = s->d;
  ln_var *k = &c->var[vk];
  const ln_var whole = *k;
  ln_val j = ln_add(c, s->j0, ln_i64(c, q));
  if (s->partial) { /* of a column that does not exist nothing is read */
    ln_val exists = ln_bin(c, HLI_OP_LT, ln_i64(c, q), s->left), n = ln_sub(c, d->bk.end, k->index);
    j = ln_least(c, j, ln_sub(c, d->bj.end, ln_i64(c, 1)));
    uint32_t level = HLI_MAX(exists.level, n.level);
    n = (ln_val){hli_make_where(ln_at(c, level), exists.v, n.v, ln_i64(c, 0).v), level};
    k->mask.v = ln_lane_mask(c, n, k->lanes, &k->mask.level);
    k->serial = ++c->serials;
  }
  uint8_t at[2] = {vk, ln_push_var(c, (ln_var){.dim = d->j, .index = j, .begin = ln_begin_or_nothing(c, d->bj.begin)})};
  ln_val x = ln_eval(c, d->b, at);
  ln_pop_var(c);
  if (!ln_failed(c)) x = ln_splat(c, cast_to(c, x, packed_b(c, d)), k->lanes);
  if (!ln_failed(c) && k->mask.v) { /* whatever the prologue makes of nothing */
    uint32_t level = HLI_MAX(x.level, k->mask.level);
    ln_val zero = ln_splat(c, (ln_val){hli_make_const(ln_at(c, 0), packed_b(c, d), 0), 0}, k->lanes);
    x = (ln_val){hli_make_where(ln_at(c, level), k->mask.v, x.v, zero.v), level};
  }
  *k = whole;
  k->serial = ++c->serials;
  return !ln_failed(c) && d->group > 1 ? ln_make_group(c, &x, 1) : x;
}

static void pack_square(ln *c, void *ctx, uint8_t vk) {
  square *s = ctx;
  hli_value row[HLI_MAX_OPERANDS];
  int64_t n = c->width;
  for (int64_t q = 0; q < n && !ln_failed(c); q++)
    row[q] = column_vector(c, s, vk, q).v;
  if (ln_failed(c) || !hli_make_transpose_lanes(ln_at(c, c->top), row, (uint32_t)n)) return;
  ln_val k = ln_div_by(c, ln_sub(c, c->var[vk].index, s->d->bk.begin), s->d->group), inside = ln_sub(c, s->j0, ln_add(c, s->d->bj.begin, ln_mul_by(c, s->p, s->d->columns)));
  for (int64_t q = 0; q < n && !ln_failed(c); q++) {
    ln_val index[3] = {s->p, ln_add(c, k, ln_i64(c, q)), inside};
    ln_raw_store(c, s->d->panel, index, 3, flipped(c, s->d, (ln_val){row[q], c->top}), 0);
  }
}

/* Whole squares, the last one of k masked: panels have room for it. */
static void pack_columns(ln *c, void *ctx, ln_val p, bool partial) {
  ln_dot_state *d = ctx;
  const int64_t lanes = c->width * d->group;
  for (int64_t at = 0; at < d->columns && !ln_failed(c); at += c->width) {
    square s = {.d = d, .p = p, .partial = partial};
    s.j0 = ln_add(c, ln_add(c, d->bj.begin, ln_mul_by(c, p, d->columns)), ln_i64(c, at));
    s.left = ln_sub(c, d->bj.end, s.j0);
    ln_whole_vectors(c, d->k, lanes, pack_square, &s);
  }
}

bool ln_packs_columns(ln *c, const ln_dot_state *d) {
  return !d->once && d->columns % c->width == 0 && ln_contiguous_dim(c, d->b, d->k, d->j) == 0;
}

void ln_pack_b(ln *c, ln_dot_state *d) {
  if (ln_packs_columns(c, d)) {
    ln_for_panels(c, d, false, pack_columns, d);
    ln_for_panels(c, d, true, pack_columns, d);
  } else {
    ln_for_groups(c, d, (ln_carried){0}, pack_row, d);
  }
}

/* ---- A by rows ------------------------------------------------------------------------------------------- */

typedef struct row_packer { ln_dot_state *d; ln_val row; uint8_t i; } row_packer;

static void pack_a_vector(ln *c, void *ctx, uint8_t var) {
  row_packer *x = ctx;
  uint8_t at[2] = {x->i, var};
  ln_val a = ln_eval(c, x->d->a, at);
  if (ln_failed(c)) return;
  a = ln_splat(c, cast_to(c, a, x->d->a_as), c->var[var].lanes);
  ln_val index[2] = {ln_sub(c, x->row, x->d->first_row), ln_sub(c, c->var[var].index, x->d->bk.begin)};
  ln_raw_store(c, x->d->packed, index, 2, a, c->var[var].mask.v);
}

/* ---- A by groups of rows ------------------------------------------------------------------------------------ */

typedef struct rows_packer { ln_dot_state *d; ln_val begin, end; } rows_packer;

ln_val ln_row_group(ln *c, const ln_dot_state *d, ln_val row) { return ln_div_by(c, ln_sub(c, row, d->first_row), d->rows); }

/* One k: vectors of a row group each. */
static void pack_a_rows(ln *c, void *ctx, ln_val k, ln_val number, bool partial) {
  rows_packer *x = ctx;
  ln_dot_state *d = x->d;
  const packer at_k = {d, k, number, partial};
  ln_val r = ln_open(c, x->begin, x->end, ln_i64(c, d->rows), NULL, 0, "r");
  ln_var v = {.dim = d->i, .index = r, .begin = ln_begin_or_nothing(c, d->bi.begin), .lanes = d->rows};
  if (!ln_failed(c) && !ln_divides(c, d->rows, ln_sub(c, x->end, x->begin)))
    v.mask.v = ln_lane_mask(c, ln_sub(c, x->end, r), v.lanes, &v.mask.level);
  uint8_t at[2] = {ln_push_var(c, v), 0};
  ln_val a = group_at(c, &at_k, d->a, at, 1, d->rows, d->a_as);
  if (!ln_failed(c)) {
    ln_val index[3] = {ln_row_group(c, d, r), number, ln_i64(c, 0)};
    ln_raw_store(c, d->packed, index, 3, a, 0);
  }
  ln_pop_var(c);
  ln_close(c, NULL, 0);
}

void ln_pack_a(ln *c, ln_dot_state *d, ln_val begin, ln_val end) {
  const ln_carried none = {0};
  if (d->by_rows) {
    ln_for_groups(c, d, none, pack_a_rows, &(rows_packer){d, begin, end});
    return;
  }
  row_packer x = {.d = d};
  x.row = ln_open(c, begin, end, ln_i64(c, 1), NULL, 0, "r");
  x.i = ln_push_var(c, (ln_var){.dim = d->i, .index = x.row, .begin = ln_begin_or_nothing(c, d->bi.begin)});
  ln_vector_loops(c, d->k, ln_main_lanes(c, d->k, c->unroll, d->dtype), none, none, pack_a_vector, &x);
  ln_pop_var(c);
  ln_close(c, NULL, 0);
}
