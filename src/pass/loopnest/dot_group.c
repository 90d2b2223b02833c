/* dot_group.c: dots whose instruction adds up a group of elements along k: pairs of bf16 or i16, quadruples of int8.
 *
 *     acc[j] += a[k] b[k, j] + a[k + 1] b[k + 1, j]       one u32 lane holds b[k .. k + 1, j], a scalar u32 a[k .. k + 1]
 *
 * The instruction for int8 multiplies unsigned by signed.  Of equal signedness, B is packed with its top bits flipped,
 * which makes its elements the other kind and larger (smaller) by 128; what that adds, 128 times the sum of A's row, is
 * taken off the accumulators before they start.  The last group of a K that does not divide is read with a mask: A's
 * missing elements are 0, and so are B's. */
#include "src/pass/loopnest/dot.h"

static bool is_byte(hl_dtype d) { return d == HL_I8 || d == HL_U8; }

/* bf16 holds all numbers of the 8-bit floats. */
static bool is_bf16(hl_dtype d) { return d == HL_BF16 || (hl_dtype_size(d) == 1 && hli_dtype_kind(d) == 'f'); }

void ln_choose_group(ln *c, ln_dot_state *d) {
  const hl_dtype a = hli_dtype_of(c->src, d->a), b = hli_dtype_of(c->src, d->b);
  const uint8_t has = c->env->target->dots;
  d->group = 1;
  d->a_as = d->b_as = d->dtype;
  if (d->once) return;
  if (is_bf16(a) && is_bf16(b) && has & HLI_DOTS_BF16) {
    d->group = 2;
    d->a_as = d->b_as = HL_BF16;
  } else if (is_byte(a) && is_byte(b) && has & HLI_DOTS_I8) {
    d->group = 4;
    d->a_as = a;
    d->b_as = a == HL_I8 ? HL_U8 : HL_I8;
    d->flip = b == a;
  } else if (is_byte(a) && is_byte(b) && has & HLI_DOTS_I16) {
    d->group = 2;
    d->a_as = d->b_as = HL_I16;
  }
}

/* From the n-th group on, perhaps in a loop. */
static void groups(ln *c, ln_dot_state *d, ln_val n, ln_val end, bool partial, ln_carried carried, ln_group_body body, void *ctx) {
  int64_t b, e;
  bool known = ln_const(c, n, &b) && ln_const(c, end, &e), single = known && e == b + 1;
  if (n.v == end.v || (known && b >= e)) return;
  if (!single) n = ln_open(c, n, end, ln_i64(c, 1), carried.v, carried.n, "k");
  if (!ln_failed(c)) body(c, ctx, ln_add(c, d->bk.begin, ln_mul_by(c, n, d->group)), n, partial);
  if (!single) ln_close(c, carried.v, carried.n);
}

typedef struct single_step { ln_dot_state *d; ln_group_body body; void *ctx; } single_step;
static void one_step(ln *c, void *ctx, uint8_t var) {
  single_step *s = ctx;
  ln_val k = c->var[var].index;
  s->body(c, s->ctx, k, ln_sub(c, k, s->d->bk.begin), false);
}

void ln_for_groups(ln *c, ln_dot_state *d, ln_carried carried, ln_group_body body, void *ctx) {
  if (d->group == 1) {
    ln_scalar_loop(c, d->k, carried, one_step, &(single_step){d, body, ctx});
    return;
  }
  ln_val length = ln_sub(c, d->bk.end, d->bk.begin), full = ln_div_by(c, length, d->group);
  groups(c, d, ln_i64(c, 0), full, false, carried, body, ctx);
  if (ln_divides(c, d->group, length)) return;
  groups(c, d, full, ln_div_by(c, ln_add(c, length, ln_i64(c, d->group - 1)), d->group), true, carried, body, ctx);
}

ln_val ln_make_group(ln *c, const ln_val *x, uint32_t n) {
  hli_value operands[4], out = 0;
  uint32_t level = 0;
  for (uint32_t i = 0; i < n; i++) {
    operands[i] = x[i].v;
    level = HLI_MAX(level, x[i].level);
  }
  if (!ln_failed(c)) out = hli_make_group(ln_at(c, level), operands, n);
  if (!out) ln_fail(c, HL_ERR_INTERNAL, "elements could not be grouped");
  return (ln_val){out, level};
}

hli_value ln_group_dot(ln *c, hl_dtype a_as, hl_dtype b_as, ln_val a, ln_val b, hli_value acc) {
  if (ln_failed(c)) return 0;
  a = ln_splat(c, a, ln_lanes_of(c, b));
  hli_value out = hli_make_group_dot(ln_at(c, c->top), a_as, b_as, a.v, b.v, acc);
  if (!out) ln_fail(c, HL_ERR_INTERNAL, "a dot of groups could not be built");
  return out;
}

/* ---- sums of rows ------------------------------------------------------------------------------- */

/* A group of ones, of the dtype that multiplies A's. */
static ln_val ones(ln *c) { return (ln_val){hli_make_const(ln_at(c, 0), HL_U32, 0x01010101), 0}; }

typedef struct summer { ln_dot_state *d; ln_val row; uint8_t i; hli_value *acc; int64_t lanes; } summer;

/* Adds the elements [k, k + lanes) of a row. */
static void sum_vector(ln *c, void *ctx, uint8_t var) {
  summer *s = ctx;
  const ln_dot_state *d = s->d;
  const ln_var v = c->var[var];
  const uint8_t at[2] = {s->i, var};
  ln_val index[2] = {ln_sub(c, s->row, d->first_row), ln_sub(c, v.index, d->bk.begin)};
  ln_val x = d->packed ? ln_raw_load(c, d->packed, index, 2, v.lanes, v.mask.v, HLI_MAX(v.mask.level, c->top)) : ln_eval(c, d->a, at);
  if (ln_failed(c)) return;
  x = ln_make_group(c, &x, 1);
  hli_value *acc = &s->acc[v.lanes > c->width];
  *acc = ln_group_dot(c, d->b_as, d->a_as, ones(c), x, *acc);
}

static hli_value zeros(ln *c, hl_dtype dtype, int64_t lanes) {
  return ln_splat(c, (ln_val){hli_make_const(ln_at(c, 0), dtype, 0), 0}, lanes).v;
}

static void sum_row(ln *c, ln_dot_state *d, ln_val row) {
  int64_t lanes = c->width * d->group, axis = 0;
  hli_value acc[2] = {zeros(c, d->dtype, c->width / d->group), zeros(c, d->dtype, c->width)};
  summer s = {.d = d, .row = row, .acc = acc};
  s.i = ln_push_var(c, (ln_var){.dim = d->i, .index = row, .begin = ln_begin_or_nothing(c, d->bi.begin)});
  ln_vector_loops(c, d->k, lanes, (ln_carried){&acc[1], 1}, (ln_carried){&acc[0], 1}, sum_vector, &s);
  ln_pop_var(c);
  if (ln_failed(c)) return;
  hli_cursor *at = ln_at(c, c->top);
  hli_value sum = hli_make_binary(at, HLI_OP_ADD, hli_make_reduce(at, HL_REDUCE_SUM, acc[0], &axis, 1), hli_make_reduce(at, HL_REDUCE_SUM, acc[1], &axis, 1));
  ln_val index[1] = {ln_sub(c, row, d->first_row)};
  ln_raw_store(c, d->sums, index, 1, (ln_val){sum, c->top}, 0);
}

typedef struct group_summer { ln_dot_state *d; ln_val group; hli_value acc; } group_summer;

static void sum_group(ln *c, void *ctx, ln_val k, ln_val number, bool partial) {
  group_summer *s = ctx;
  (void)k;
  (void)partial; /* missing elements are packed as 0 */
  ln_val index[3] = {s->group, number, ln_i64(c, 0)};
  ln_val x = ln_raw_load(c, s->d->packed, index, 3, s->d->rows, 0, c->top);
  s->acc = ln_group_dot(c, s->d->b_as, s->d->a_as, ones(c), x, s->acc);
}

/* Rows in vectors, as they were packed. */
static void sum_rows(ln *c, ln_dot_state *d, ln_val row) {
  group_summer s = {d, ln_row_group(c, d, row), zeros(c, d->dtype, d->rows)};
  ln_for_groups(c, d, (ln_carried){&s.acc, 1}, sum_group, &s);
  ln_val index[1] = {ln_sub(c, row, d->first_row)};
  if (!ln_failed(c)) ln_raw_store(c, d->sums, index, 1, (ln_val){s.acc, c->top}, 0);
}

void ln_row_sums(ln *c, ln_dot_state *d, ln_val begin, ln_val end) {
  ln_val row = ln_open(c, begin, end, ln_i64(c, d->by_rows ? d->rows : 1), NULL, 0, "r");
  if (!ln_failed(c)) (d->by_rows ? sum_rows : sum_row)(c, d, row);
  ln_close(c, NULL, 0);
}

hli_value ln_unflip(ln *c, const ln_dot_state *d, ln_val row, hli_value acc) {
  ln_val index[1] = {ln_sub(c, row, d->first_row)};
  ln_val sum = ln_raw_load(c, d->sums, index, 1, 0, 0, c->top);
  hli_cursor *at = ln_at(c, c->top);
  int64_t by = d->b_as == HL_U8 ? -128 : 128;
  ln_val off = {hli_make_binary(at, HLI_OP_MUL, sum.v, hli_make_const(ln_at(c, 0), d->dtype, (uint32_t)by)), c->top};
  return hli_make_binary(at, HLI_OP_ADD, acc, ln_splat(c, off, d->columns).v);
}
