/* random_value.c: see random_value.h. */
#include "tests/fuzz/random_value.h"
#include <math.h>
#include "src/ir/builder.h"

hl_dtype fuzz_dtype(const fuzz_gen *g, hl_value v) {
  return v ? (hl_dtype)hli_type_of(g->b->k, v)->dtype : HL_F32;
}

static char kind_of(const fuzz_gen *g, fuzz_term t) {
  return hli_dtype_kind(fuzz_dtype(g, t.v));
}

static int bits_of(hl_dtype d) {
  return d == HL_F16 ? 11 : d == HL_BF16 ? 8 : d == HL_F32 ? 24 : 53;
}

static bool exact_in(double bound, int frac, hl_dtype d) {
  return hli_dtype_kind(d) != 'f' || ldexp(bound, frac) <= ldexp(1, bits_of(d));
}

static double range_of(hl_dtype d) {
  return d == HL_BOOL ? 1 : ldexp(1, 8 * (int)hl_dtype_size(d));
}

static uint32_t rank_of(uint32_t mask) {
  return (uint32_t)__builtin_popcount(mask);
}

/* ---- shapes ---- */

fuzz_term fuzz_align(fuzz_gen *g, fuzz_term t, uint32_t mask) {
  for (uint32_t a = 0; a < FUZZ_DIMS; a++) {
    if (t.mask >> a & 1 || !(mask >> a & 1))
      continue;
    t.v = hl_unsqueeze(g->b, t.v, rank_of(t.mask & ((1u << a) - 1)));
    t.mask |= 1u << a;
  }
  return t;
}

fuzz_term fuzz_full(fuzz_gen *g, const fuzz_space *s, fuzz_term t) {
  t = fuzz_align(g, t, (1u << s->count) - 1);
  const hl_dtype d = fuzz_dtype(g, t.v);
  t.v = hl_add(g->b, t.v, hl_full(g->b, s->tile, s->count, d == HL_BOOL ? HL_I32 : d, 0));
  return t;
}

/* ---- leaves ---- */

/* An index along axis a: the tile itself, moved, or elements that its positions pick. */
static hl_value index_along(fuzz_gen *g, const fuzz_space *s, uint32_t a, bool *gathered) {
  const uint32_t what = s->full[a] ? 8 : fuzz_below(&g->r, 12);
  if (what > 3)
    return s->full[a] ? HL_ALL : s->tile[a];
  hl_value i = hl_tile_index(g->b, s->tile[a]);
  const hl_value c = hl_const_i(g->b, (int64_t)fuzz_below(&g->r, 9) - 4);
  if (what > 1 || *gathered)
    return hl_add(g->b, i, c);
  *gathered = true; /* one a load: several would share their axes */
  i = what ? hl_mul(g->b, i, hl_const_i(g->b, 5)) : hl_sub(g->b, hl_const_i(g->b, 6), i);
  return hl_and(g->b, i, hl_const_i(g->b, 15));
}

/* Loads, at times only where a position of one of its axes is small. */
static hl_value load_masked(fuzz_gen *g, const fuzz_space *s, const fuzz_input *p, const hl_value *index,
                            const uint32_t *axis, uint32_t n) {
  const uint32_t at = fuzz_below(&g->r, n ? n : 1);
  if (!n || fuzz_below(&g->r, 10) || s->full[axis[at]])
    return hl_load(g->b, p->v, index, p->rank);
  hl_value mask = hl_tile_index(g->b, s->tile[axis[at]]);
  mask = hl_lt(g->b, hl_and(g->b, mask, hl_const_i(g->b, 7)), hl_const_i(g->b, 1 + fuzz_below(&g->r, 7)));
  for (uint32_t i = 0; i < n; i++)
    if (i != at)
      mask = hl_unsqueeze(g->b, mask, i);
  return hl_load_masked(g->b, p->v, index, p->rank, mask, fuzz_below(&g->r, 2) ? hl_const_i(g->b, 1) : HL_POISON);
}

static fuzz_term load(fuzz_gen *g, const fuzz_space *s) {
  const fuzz_input *p = &g->input[fuzz_below(&g->r, g->inputs)];
  hl_value index[FUZZ_DIMS];
  uint32_t axis[FUZZ_DIMS], perm[FUZZ_DIMS], n = 0;
  fuzz_term t = {.bound = p->dtype == HL_BOOL ? 1 : 3};
  bool gathered = false;
  for (uint32_t d = 0; d < p->rank; d++) {
    uint32_t a = 0;
    while (a < s->count && s->dim[a] != p->dim[d])
      a++;
    if (a == s->count) {
      index[d] = hl_const_i(g->b, fuzz_below(&g->r, 2) ? 0 : -1);
      continue;
    }
    index[d] = p->one[d] ? s->full[a] ? HL_ALL : s->tile[a] : index_along(g, s, a, &gathered);
    axis[n++] = a;
    t.mask |= 1u << a;
  }
  t.v = load_masked(g, s, p, index, axis, n);
  bool moved = false;
  for (uint32_t i = 0; i < n; i++) { /* perm[j]: where the j-th axis of the space comes from */
    uint32_t to = 0;
    for (uint32_t j = 0; j < n; j++)
      to += axis[j] < axis[i];
    perm[to] = i;
    moved |= to != i;
  }
  if (moved)
    t.v = hl_transpose(g->b, t.v, perm);
  return t;
}

static fuzz_term leaf(fuzz_gen *g, const fuzz_space *s) {
  const uint32_t a = fuzz_below(&g->r, s->count);
  if (fuzz_below(&g->r, 8) || s->full[a])
    return load(g, s);
  if (fuzz_below(&g->r, 2)) { /* an index, made small */
    fuzz_term t = {.v = hl_tile_index(g->b, s->tile[a]), .mask = 1u << a, .bound = 3};
    t.v = hl_and(g->b, t.v, hl_const_i(g->b, 3));
    return t;
  }
  const double x = (double)fuzz_below(&g->r, 7) / 2 - 1.5;
  return (fuzz_term){.v = hl_full(g->b, &s->tile[a], 1, HL_F32, x), .mask = 1u << a, .bound = 1.5, .frac = 1};
}

/* ---- keeping exact ---- */

fuzz_term fuzz_tame(fuzz_gen *g, fuzz_term t) {
  const hl_dtype d = fuzz_dtype(g, t.v);
  const char kind = hli_dtype_kind(d);
  if (d == HL_BOOL)
    return t;
  if (kind == 'f' && t.frac > 0)
    t.v = hl_floor(g->b, t.v);
  t.v = hl_min(g->b, t.v, hl_const_i(g->b, 2));
  if (kind != 'u')
    t.v = hl_max(g->b, t.v, hl_const_i(g->b, -2));
  t.bound = 2;
  t.frac = 0;
  return t;
}

fuzz_term fuzz_fit(fuzz_gen *g, fuzz_term t, hl_dtype to) {
  return exact_in(t.bound, t.frac, to) ? t : fuzz_tame(g, t);
}

/* The bound of an integer that may have wrapped. */
static fuzz_term wrapped(const fuzz_gen *g, fuzz_term t) {
  const hl_dtype d = fuzz_dtype(g, t.v);
  if (hli_dtype_kind(d) != 'f' && (hli_dtype_kind(d) == 'u' || t.bound > range_of(d) / 2 - 1))
    t.bound = range_of(d);
  return t;
}

/* ---- operations ---- */

static fuzz_term float_unary(fuzz_gen *g, fuzz_term t) {
  static const hl_unary_op ops[] = {HL_NEG, HL_ABS, HL_RELU, HL_SIGN, HL_FLOOR, HL_CEIL, HL_TRUNC, HL_ROUND};
  const uint32_t i = fuzz_below(&g->r, HLI_COUNT(ops) + 3);
  if (i < HLI_COUNT(ops)) {
    t.v = hl_unary(g->b, ops[i], t.v);
    if (i >= 4)
      t.frac = 0, t.bound = ceil(t.bound);
    if (ops[i] == HL_SIGN)
      t.frac = 0, t.bound = 1;
    return fuzz_fit(g, t, fuzz_dtype(g, t.v));
  }
  const double c[] = {0.5, 2, 0.25};
  if (t.frac > 3)
    t = fuzz_tame(g, t);
  t.v = fuzz_below(&g->r, 2) ? hl_mul(g->b, t.v, hl_const_f(g->b, c[i - HLI_COUNT(ops)]))
                             : hl_div(g->b, t.v, hl_const_f(g->b, 1 / c[i - HLI_COUNT(ops)]));
  t.bound *= c[i - HLI_COUNT(ops)];
  t.frac += c[i - HLI_COUNT(ops)] == 0.5 ? 1 : c[i - HLI_COUNT(ops)] == 0.25 ? 2 : 0;
  t.bound = t.bound < 1 ? 1 : t.bound;
  return fuzz_fit(g, t, fuzz_dtype(g, t.v));
}

static fuzz_term int_unary(fuzz_gen *g, fuzz_term t) {
  const int64_t c = (int64_t)fuzz_below(&g->r, 9) - 2;
  switch (fuzz_below(&g->r, 8)) {
  case 0:
    t.v = hl_neg(g->b, t.v);
    return wrapped(g, t);
  case 1:
    t.v = hl_not(g->b, t.v);
    t.bound += 1;
    return wrapped(g, t);
  case 2:
    t.v = hl_shl(g->b, t.v, hl_const_i(g->b, fuzz_below(&g->r, 40)));
    t.bound = range_of(fuzz_dtype(g, t.v));
    return t;
  case 3:
    t.v = hl_shr(g->b, t.v, hl_const_i(g->b, fuzz_below(&g->r, 40)));
    return t;
  case 4:
    t.v = hl_floordiv(g->b, t.v, hl_const_i(g->b, kind_of(g, t) == 'u' && c < 0 ? 3 : c));
    t.bound += 1;
    return wrapped(g, t);
  case 5:
    t.v = hl_truncdiv(g->b, t.v, hl_const_i(g->b, kind_of(g, t) == 'u' && c < 0 ? 5 : c));
    return wrapped(g, t);
  case 6:
    t.v = hl_rem(g->b, t.v, hl_const_i(g->b, kind_of(g, t) == 'u' && c < 0 ? 4 : c));
    t.bound = 8;
    return t;
  default:
    t.v = hl_and(g->b, t.v, hl_const_i(g->b, 7));
    t.bound = 7;
    return t;
  }
}

static fuzz_term cast(fuzz_gen *g, fuzz_term t) {
  static const hl_dtype to[] = {HL_F32, HL_F64, HL_BF16, HL_F16, HL_I32, HL_I64, HL_I8, HL_U8, HL_U32, HL_I16, HL_U64};
  const hl_dtype d = to[fuzz_below(&g->r, HLI_COUNT(to))];
  t = fuzz_fit(g, t, d);
  t.v = hl_cast(g->b, t.v, d);
  if (hli_dtype_kind(d) != 'f')
    t.frac = 0;
  return wrapped(g, t);
}

static fuzz_term unary(fuzz_gen *g, fuzz_term t) {
  const char kind = kind_of(g, t);
  if (fuzz_below(&g->r, 6) == 0)
    return cast(g, t);
  if (fuzz_dtype(g, t.v) == HL_BOOL)
    return (fuzz_term){hl_not(g->b, t.v), t.mask, 1, 0};
  return kind == 'f' ? float_unary(g, t) : int_unary(g, t);
}

/* Both operands as a common dtype holds them exactly. */
static void prepare(fuzz_gen *g, fuzz_term *a, fuzz_term *c) {
  const char ka = kind_of(g, *a), kc = kind_of(g, *c);
  if (ka == 'f' || kc == 'f') { /* the narrowest they can promote to */
    const hl_dtype da = fuzz_dtype(g, a->v), dc = fuzz_dtype(g, c->v);
    const hl_dtype d = ka != 'f' ? dc : kc != 'f' || bits_of(da) > bits_of(dc) ? da : dc;
    *a = fuzz_fit(g, *a, d);
    *c = fuzz_fit(g, *c, d);
  }
  if (kc == 'i' && fuzz_dtype(g, a->v) == HL_U64) /* these two do not promote */
    a->v = hl_cast(g->b, a->v, HL_I64);
  if (ka == 'i' && fuzz_dtype(g, c->v) == HL_U64)
    c->v = hl_cast(g->b, c->v, HL_I64);
  const uint32_t mask = a->mask | c->mask;
  *a = fuzz_align(g, *a, mask);
  *c = fuzz_align(g, *c, mask);
}

fuzz_term fuzz_binary(fuzz_gen *g, fuzz_term a, fuzz_term c) {
  static const hl_binary_op ops[] = {HL_ADD, HL_SUB, HL_MUL, HL_MIN, HL_MAX}, cmp[] = {HL_EQ, HL_NE, HL_LT, HL_GE};
  const hl_binary_op op = ops[fuzz_below(&g->r, HLI_COUNT(ops))];
  prepare(g, &a, &c);
  fuzz_term t = {.mask = a.mask, .frac = HLI_MAX(a.frac, c.frac), .bound = HLI_MAX(a.bound, c.bound)};
  if (fuzz_below(&g->r, 8) == 0) {
    t.v = hl_binary(g->b, cmp[fuzz_below(&g->r, HLI_COUNT(cmp))], a.v, c.v);
    t.frac = 0, t.bound = 1;
    return t;
  }
  if (fuzz_dtype(g, a.v) == HL_BOOL && fuzz_dtype(g, c.v) == HL_BOOL) {
    static const hl_binary_op logic[] = {HL_AND, HL_OR, HL_XOR};
    t.v = hl_binary(g->b, logic[fuzz_below(&g->r, 3)], a.v, c.v);
    return t;
  }
  if (op == HL_MUL && (a.bound * c.bound > 200 || a.frac + c.frac > 4)) {
    a = fuzz_tame(g, a);
    c = fuzz_tame(g, c);
  }
  if (op == HL_MUL)
    t.frac = a.frac + c.frac, t.bound = a.bound * c.bound;
  else if (op == HL_ADD || op == HL_SUB)
    t.bound = a.bound + c.bound;
  const bool is_float = kind_of(g, a) == 'f' || kind_of(g, c) == 'f';
  if (is_float && !exact_in(t.bound, t.frac, HL_BF16)) {
    a = fuzz_tame(g, a);
    c = fuzz_tame(g, c);
    t.frac = 0, t.bound = 4;
  }
  t.v = hl_binary(g->b, op, a.v, c.v);
  return wrapped(g, t);
}

static fuzz_term choose(fuzz_gen *g, const fuzz_space *s, uint32_t depth) {
  fuzz_term a = fuzz_expr(g, s, depth - 1), c = fuzz_expr(g, s, depth - 1), p = fuzz_expr(g, s, depth - 1);
  prepare(g, &a, &c);
  if (fuzz_dtype(g, p.v) != HL_BOOL)
    p.v = hl_gt(g->b, p.v, hl_const_i(g->b, 0));
  const uint32_t mask = a.mask | p.mask;
  a = fuzz_align(g, a, mask), c = fuzz_align(g, c, mask), p = fuzz_align(g, p, mask);
  const fuzz_term t = {hl_where(g->b, p.v, a.v, c.v), mask, HLI_MAX(a.bound, c.bound), HLI_MAX(a.frac, c.frac)};
  return wrapped(g, fuzz_fit(g, t, fuzz_dtype(g, t.v)));
}

fuzz_term fuzz_expr(fuzz_gen *g, const fuzz_space *s, uint32_t depth) {
  if (depth == 0)
    return leaf(g, s);
  const uint32_t what = fuzz_below(&g->r, 8);
  if (what < 3)
    return unary(g, fuzz_expr(g, s, depth - 1));
  if (what < 7) {
    const fuzz_term a = fuzz_expr(g, s, depth - 1);
    return fuzz_binary(g, a, fuzz_expr(g, s, depth - 1));
  }
  return choose(g, s, depth);
}

fuzz_term fuzz_reduce(fuzz_gen *g, const fuzz_space *s, fuzz_term t, uint32_t axis) {
  const int32_t at = (int32_t)rank_of(t.mask & ((1u << axis) - 1));
  (void)s;
  if (!(t.mask >> axis & 1))
    return t;
  t.mask &= ~(1u << axis);
  if (fuzz_dtype(g, t.v) == HL_BOOL) {
    t.v = hl_reduce(g->b, fuzz_below(&g->r, 2) ? HL_REDUCE_ANY : HL_REDUCE_ALL, t.v, &at, 1, false);
    return t;
  }
  const uint32_t op = fuzz_below(&g->r, 4);
  if (op < 2) {
    t.v = hl_reduce(g->b, op ? HL_REDUCE_MAX : HL_REDUCE_MIN, t.v, &at, 1, false);
    return t;
  }
  t = fuzz_tame(g, t);
  t.v = hl_reduce(g->b, HL_REDUCE_SUM, t.v, &at, 1, false);
  t.bound *= FUZZ_SIZE;
  return wrapped(g, fuzz_fit(g, t, fuzz_dtype(g, t.v)));
}

fuzz_term fuzz_smooth(fuzz_gen *g, fuzz_term t) {
  static const hl_unary_op ops[] = {HL_EXP, HL_EXP2, HL_TANH, HL_SIGMOID,  HL_SILU, HL_GELU_TANH, HL_GELU_ERF,
                                    HL_SIN, HL_COS,  HL_ERF,  HL_SOFTPLUS, HL_ATAN, HL_EXPM1,     HL_COSH};
  t = fuzz_tame(g, t);
  t.v = hl_unary(g->b, ops[fuzz_below(&g->r, HLI_COUNT(ops))],
                 hl_cast(g->b, t.v, fuzz_below(&g->r, 4) ? HL_F32 : HL_F64));
  return t;
}
