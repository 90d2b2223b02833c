/* roll_online.c: sums that wait for another reduction over the same row, taken in the same loop as that one.
 *
 * Softmax's sum of exponentials is about the row's largest element, a variance's sum of squares about its mean: taken
 * at their word they read the row again.  Both can be kept about a point that moves, in every lane of a chunk, and be
 * corrected to the point that was asked for behind the loop, where that is known:
 *
 *   sum exp(a - q) f     the lane's largest a so far is m (the accumulator of the maximum), s = sum exp(a - m) f;
 *                        d = a - m, e = exp(-|d|): s' = d > 0 ? s e + f : s + e f      one exponential per element
 *                        behind: sum over lanes of s exp(m - q)
 *   sum (a - q)^2        the lane's mean u and its sum of squares s about u, after k chunks:
 *                        d = a - u, u' = u + d / k, s' = s + d (a - u')                (Welford)
 *                        behind: sum over lanes of s + n (u - q)^2, n elements in the lane
 *
 * q is anything that is known behind the loop; the first form wants a maximum of a over the row, for its scale. */
#include "src/config/facts.h"
#include "src/pass/roll.h"

/* ---- matching ---- */

static hli_op def_of(const hl_kernel *k, hli_value v, hli_opcode code) {
  const hli_op def = k->values.data[v].def;
  return def && k->ops.data[def].code == code ? def : 0;
}

static bool is_sum(const hl_kernel *k, hli_op op) {
  return k->ops.data[op].code == HLI_OP_REDUCE && hli_attr(k, op, 0, 0) == HL_REDUCE_SUM && hli_attr_len(k, op, 1) == 1 &&
         hli_dtype_kind(hli_dtype_of(k, hli_operand(k, op, 0))) == 'f';
}

/* v = a - q with a along the axis, q not; q's value before its broadcast is given. */
static bool difference(const hli_roller *r, hli_value v, hli_value *a, hli_value *q) {
  const hl_kernel *k = r->k;
  const hli_op sub = def_of(k, v, HLI_OP_SUB);
  const hli_op spread = sub ? def_of(k, hli_operand(k, sub, 1), HLI_OP_BROADCAST) : 0;
  if (!spread)
    return false;
  *a = hli_operand(k, sub, 0);
  *q = hli_operand(k, spread, 0);
  return hli_type_along(k, *a, r->axis) && !hli_type_along(k, *q, r->axis);
}

/* The reduction that finds the largest `a` over the same axis, if it runs before anything waits. */
static hli_op maximum_of(const hli_roller *r, hli_op sum, hli_value a) {
  const hl_kernel *k = r->k;
  for (hli_op op = hli_first(k, r->block); op && op != sum; op = hli_next(k, op))
    if (k->ops.data[op].code == HLI_OP_REDUCE && hli_attr(k, op, 0, 0) == HL_REDUCE_MAX &&
        hli_operand(k, op, 0) == a && hli_is_reduce_over(k, op, r->axis) && hli_attr_len(k, op, 1) == 1)
      return op;
  return 0;
}

static bool match_exp(const hli_roller *r, hli_value e, hli_roll_sink *s) {
  const hl_kernel *k = r->k;
  const hli_op exp = def_of(k, e, HLI_OP_EXP);
  if (!exp || !difference(r, hli_operand(k, exp, 0), &s->a, &s->about))
    return false;
  s->top = maximum_of(r, s->op, s->a);
  s->online = HLI_ONLINE_EXP;
  return s->top && r->sink[s->top].phase != HLI_ROLL_NEVER && !r->sink[s->top].online;
}

/* exp(a - q), or its product with something. */
static bool match_weighted(const hli_roller *r, hli_value x, hli_roll_sink *s) {
  const hl_kernel *k = r->k;
  s->factor = 0;
  if (match_exp(r, x, s))
    return true;
  const hli_op mul = def_of(k, x, HLI_OP_MUL);
  for (uint32_t i = 0; mul && i < 2; i++) {
    s->factor = hli_operand(k, mul, 1 - i);
    if (match_exp(r, hli_operand(k, mul, i), s) && r->phase[s->factor] <= r->sink[s->top].phase)
      return true;
  }
  return false;
}

bool hli_online_match(const hli_roller *r, hli_op op, hli_roll_sink *out) {
  const hl_kernel *k = r->k;
  hli_roll_sink s = *out;
  if (!is_sum(k, op))
    return false;
  const hli_value x = hli_operand(k, op, 0);
  const hli_op mul = def_of(k, x, HLI_OP_MUL);
  if (mul && hli_operand(k, mul, 0) == hli_operand(k, mul, 1) && difference(r, hli_operand(k, mul, 0), &s.a, &s.about)) {
    s.online = HLI_ONLINE_SQUARE;
    s.phase = r->phase[s.a];
  } else if (match_weighted(r, x, &s)) {
    s.phase = r->sink[s.top].phase;
  } else {
    return false;
  }
  if (s.phase >= out->phase) /* it would not run earlier */
    return false;
  *out = s;
  return true;
}

/* ---- building ---- */

static hli_value bin(hli_cursor *c, hli_opcode op, hli_value a, hli_value b) {
  return hli_make_binary(c, op, a, b);
}

static hli_value number(hli_roller *r, hli_cursor *c, hli_value like, double x) {
  const hl_dtype d = hli_dtype_of(r->k, like);
  const hli_value s = hli_make_const(c, d, hli_scalar_to_bits(d, (hli_scalar){.f = x}));
  return hli_make_splat(c, s, hli_roll_chunk_type(r, r->k->values.data[like].type));
}

/* May lanes of a chunk have seen different numbers of elements? */
static bool uneven(const hli_roller *r) {
  return r->known < 0 || r->known % r->k->axes.data[r->chunk].block != 0;
}

/* EXP: s.  SQUARE: u, s, and the number of elements where it is not the same everywhere. */
uint32_t hli_online_slots(const hli_roller *r, const hli_roll_sink *s) {
  return s->online == HLI_ONLINE_EXP ? 1 : uneven(r) ? 3 : 2;
}

void hli_online_start(hli_roller *r, hli_cursor *c, const hli_roll_sink *s, hli_value *out) {
  for (uint32_t i = 0; i < s->slots; i++)
    out[i] = number(r, c, s->a, 0);
}

static hli_value next_exp(hli_roll_loop *l, const hli_roll_sink *s) {
  hli_roller *r = l->r;
  hli_cursor *c = &l->at;
  const hli_value sum = hli_roll_argument(l, s->first), m = hli_roll_argument(l, r->sink[s->top].first);
  const hli_value a = hli_roll_pull(l, s->a), f = s->factor ? hli_roll_pull(l, s->factor) : number(r, c, s->a, 1);
  const bool plain = s->factor == 0;
  /* -inf next to -inf, or inf next to inf, is no distance */
  const hli_value d = hli_make_where(c, bin(c, HLI_OP_EQ, a, m), number(r, c, s->a, 0), bin(c, HLI_OP_SUB, a, m));
  const hli_value e = hli_make_unary(c, HLI_OP_EXP, hli_make_unary(c, HLI_OP_NEG, hli_make_unary(c, HLI_OP_ABS, d)));
  const hli_value up = hli_make_fma(c, sum, e, f);
  const hli_value on = plain ? bin(c, HLI_OP_ADD, sum, e) : hli_make_fma(c, e, f, sum);
  const hli_value grows = bin(c, HLI_OP_GT, d, number(r, c, s->a, 0));
  return hli_roll_inside(l, hli_make_where(c, grows, up, on), sum);
}

static void next_square(hli_roll_loop *l, const hli_roll_sink *s, hli_value *out) {
  hli_roller *r = l->r;
  hli_cursor *c = &l->at;
  const hl_dtype dtype = hli_dtype_of(r->k, s->a);
  const hli_value u = hli_roll_argument(l, s->first), sum = hli_roll_argument(l, s->first + 1);
  const hli_value a = hli_roll_pull(l, s->a);
  const hli_type type = r->k->values.data[a].type;
  const hli_value chunks = bin(c, HLI_OP_ADD, hli_make_unary(c, HLI_OP_TILE_ID, l->tile), hli_make_i64(c, 1));
  const hli_value k = hli_make_cast(c, chunks, dtype);
  const hli_value one = hli_make_const(c, dtype, hli_scalar_to_bits(dtype, (hli_scalar){.f = 1}));
  const hli_value part = hli_make_splat(c, bin(c, HLI_OP_DIV, one, k), type);
  const hli_value d = bin(c, HLI_OP_SUB, a, u), moved = hli_make_fma(c, d, part, u);
  out[0] = hli_roll_inside(l, moved, u);
  out[1] = hli_roll_inside(l, hli_make_fma(c, d, bin(c, HLI_OP_SUB, a, moved), sum), sum);
  if (s->slots > 2)
    out[2] = hli_roll_inside(l, hli_make_splat(c, k, type), hli_roll_argument(l, s->first + 2));
}

void hli_online_next(hli_roll_loop *l, const hli_roll_sink *s, hli_value *out) {
  if (s->online == HLI_ONLINE_EXP)
    *out = next_exp(l, s);
  else
    next_square(l, s, out);
}

/* q, spread over a chunk as it was over the row. */
static hli_value about(hli_roller *r, hli_cursor *c, const hli_roll_sink *s) {
  hl_kernel *k = r->k;
  const hli_type type = hli_roll_chunk_type(r, k->values.data[s->a].type);
  for (hli_op op = 1; op < r->ops; op++) {
    if (k->ops.data[op].code != HLI_OP_BROADCAST || hli_operand(k, op, 0) != s->about ||
        hli_roll_chunk_type(r, k->values.data[hli_result(k, op, 0)].type) != type)
      continue;
    int64_t dims[HL_MAX_RANK];
    for (uint32_t i = 0; i < hli_attr_len(k, op, 0); i++)
      dims[i] = hli_attr(k, op, 0, i);
    return hli_make_broadcast(c, s->about, type, dims);
  }
  return 0;
}

hli_value hli_online_finish(hli_roller *r, hli_cursor *c, const hli_roll_sink *s, const hli_value *acc) {
  hl_kernel *k = r->k;
  const hli_value q = about(r, c, s);
  const int64_t dim = hli_attr(k, s->op, 1, 0);
  hli_value x;
  if (s->online == HLI_ONLINE_EXP) {
    const hli_op loop = k->values.data[acc[0]].def;
    const hli_value m = hli_result(k, loop, r->sink[s->top].first);
    x = bin(c, HLI_OP_MUL, acc[0], hli_make_unary(c, HLI_OP_EXP, bin(c, HLI_OP_SUB, m, q)));
  } else {
    const double even = r->known < 0 ? 0 : (double)(r->known / k->axes.data[r->chunk].block);
    const hli_value n = s->slots > 2 ? acc[2] : number(r, c, s->a, even);
    const hli_value d = bin(c, HLI_OP_SUB, acc[0], q);
    x = hli_make_fma(c, n, bin(c, HLI_OP_MUL, d, d), acc[1]);
    if (s->slots > 2) /* a lane without elements */
      x = hli_make_where(c, bin(c, HLI_OP_EQ, n, number(r, c, s->a, 0)), n, x);
  }
  return x ? hli_make_reduce(c, HL_REDUCE_SUM, x, &dim, 1) : 0;
}
