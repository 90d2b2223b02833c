/* group.c: one nest of loops for a group of stores, reductions, kept and carried values that share their
 * iteration space.
 *
 * Kept dimensions are the outer loops, reduced ones the inner; the vector dimension (stride 1 in most
 * accesses) is the innermost of its kind.  A reduction along the vector has one wide accumulator in the main
 * loop (several registers: independent chains) and one of a single register for the rest; they are combined in
 * an order that depends on nothing but the sizes.
 *
 *   %s = reduce %e {op = sum, axes = [1]}    ->    %a = for %j = 0, 4096, 64, %zero (%p) { %q = add %p, %e_j; yield %q }
 *                                                  %s = reduce %a {op = sum, axes = [0]} */
#include "src/pass/loopnest/nest.h"

typedef struct nest {
  ln_root *root;
  uint32_t n, rank;
  hli_block block;
  uint32_t order[HL_MAX_RANK]; /* dimensions, outermost first */
  uint32_t kept;               /* how many of them are not reduced */
  uint32_t vector;             /* position in order that is a vector; rank: none */
  int64_t lanes;               /* of its main loop */
  uint8_t var[HL_MAX_RANK];    /* by dimension */
  uint32_t at;                 /* position in order being opened */
  uint32_t accs;               /* accumulators: [0, accs) wide, [accs, 2 accs) of one register */
  hli_value acc[2 * LN_MAX_ACCS];
} nest;

/* ---- shape of the nest ----------------------------------------------------------------------- */

static int64_t shared_lanes(const ln *c) {
  int64_t lanes = 0;
  for (uint32_t i = 0; i < c->shared_count; i++)
    lanes = HLI_MAX(lanes, c->var[c->shared[i]].lanes);
  return lanes;
}

static uint32_t reduced_of(const nest *t) {
  for (uint32_t i = 0; i < t->n; i++)
    if (t->root[i].reduced) return t->root[i].reduced;
  return 0;
}

static void order_dims(ln *c, nest *t) {
  double score[HL_MAX_RANK] = {0};
  const uint32_t reduced = reduced_of(t);
  uint32_t best = t->rank, next = 0;
  if (t->rank && !shared_lanes(c) && t->root[0].kind != LN_ATOMIC) {
    best = ln_score(c, t->root, t->n, score);
    if (score[best] <= LN_NEVER / 2) best = t->rank; /* one element, or twice in one access */
  }
  for (uint32_t want = 0; want < 2; want++) {
    for (uint32_t d = 0; d < t->rank; d++)
      if ((reduced >> d & 1) == want && d != best) t->order[next++] = d;
    if (best < t->rank && (reduced >> best & 1) == want) t->order[next++] = best;
    if (want == 0) t->kept = next;
  }
  t->vector = t->rank;
  for (uint32_t i = 0; i < t->rank; i++)
    if (t->order[i] == best) t->vector = i;
}

static hl_dtype widest(const ln *c, const nest *t) {
  hl_dtype w = HL_I8;
  for (uint32_t i = 0; i < t->n; i++)
    for (uint32_t p = 0; p < ln_parts(c, &t->root[i]); p++) {
      hl_dtype d = hli_dtype_of(c->src, ln_part(c, &t->root[i], p));
      if (hl_dtype_size(d) > hl_dtype_size(w)) w = d;
    }
  return w;
}

/* A sum of loads waits for its adds: twice the registers.  Anything longer has work enough. */
static bool is_light(const ln *c, const nest *t) {
  for (uint32_t i = 0; i < t->n; i++) {
    hli_op op = ln_def(c, t->root[i].value);
    if (t->root[i].kind != LN_REDUCE || ln_is_fold(c, t->root[i].op) || !op) return false;
    uint16_t code = c->src->ops.data[op].code;
    if (code != HLI_OP_LOAD && code != HLI_OP_CAST) return false;
  }
  return true;
}

/* ---- the innermost body --------------------------------------------------------------------------- */

/* Variables of the root's value, one per dimension. */
static void vars_of(const ln *c, const nest *t, hli_value shape, uint8_t *at) {
  const hli_type_data *type = hli_type_of(c->src, shape);
  uint32_t next = 0;
  for (uint32_t d = 0; d < type->rank; d++) {
    uint8_t shared = ln_shared_var(c, type->dims[d]);
    at[d] = shared ? shared : t->var[next++];
  }
}

static hl_dtype acc_dtype(hl_dtype d) { return hli_dtype_is_narrow(d) ? HL_F32 : d; }

static hli_opcode combine_of(const ln *c, const ln_root *r) {
  return hli_reduce_combine((hl_reduce_op)hli_attr(c->src, r->op, 0, 0));
}

static hli_value identity(ln *c, const ln_root *r, uint32_t part, int64_t lanes) {
  if (ln_is_fold(c, r->op)) return ln_fold_identity(c, r->op, part, lanes);
  hl_dtype d = acc_dtype(hli_dtype_of(c->src, r->value));
  hli_opcode code = combine_of(c, r);
  hli_value one = code == HLI_OP_AND ? hli_make_const(ln_at(c, 0), d, 1) /* of bools */
                                     : hli_make_identity(ln_at(c, 0), d, (hli_identity)hli_op_facts(code)->identity);
  return ln_splat(c, (ln_val){one, 0}, lanes).v;
}

/* Is the vector along a reduced dimension? */
static bool vector_reduced(const nest *t) { return t->vector < t->rank && t->vector >= t->kept; }

static int64_t vector_lanes(const ln *c, const nest *t) {
  if (t->vector < t->rank) return c->var[t->var[t->order[t->vector]]].lanes;
  return shared_lanes(c);
}

/* One step of a root's accumulators; x: its parts. */
static void accumulate(ln *c, nest *t, const ln_root *r, uint32_t number, const ln_val *x) {
  int64_t lanes = vector_lanes(c, t);
  const uint32_t n = ln_parts(c, r);
  bool wide = !vector_reduced(t) || lanes > c->width;
  hli_value *acc = &t->acc[wide ? number : t->accs + number], args[2 * HLI_FOLD_PARTS];
  const ln_var *v = vector_reduced(t) ? &c->var[t->var[t->order[t->vector]]] : NULL;
  for (uint32_t i = 0; i < n && !ln_failed(c); i++) {
    ln_val y = x[i];
    if (!ln_is_fold(c, r->op)) y.v = hli_make_cast(ln_at(c, y.level), y.v, acc_dtype(hli_dtype_of(c->src, r->value)));
    y = ln_splat(c, y, lanes);
    if (v && v->mask.v) { /* lanes beyond the end must not be seen */
      hli_value fill = identity(c, r, i, lanes);
      uint32_t level = HLI_MAX(y.level, v->mask.level);
      if (ln_is_fold(c, r->op)) level = c->top; /* where its identity is, too */
      y = (ln_val){hli_make_where(ln_at(c, level), v->mask.v, y.v, fill), level};
    }
    args[i] = acc[i];
    args[n + i] = y.v;
  }
  if (ln_failed(c)) return;
  if (ln_is_fold(c, r->op)) ln_combine(c, r->op, args, acc);
  else *acc = hli_make_binary(ln_at(c, c->top), combine_of(c, r), args[0], args[1]);
  if (!*acc) ln_fail(c, HL_ERR_INTERNAL, "a reduction step could not be built");
}

/* What a later step will wait for comes from memory while this one computes.  The last, partial vector of a longer row is not
 * worth it. */
static void fetch_ahead(ln *c, const nest *t) {
  uint8_t at[HL_MAX_RANK];
  if (!c->ahead_count) return;
  const uint8_t var = t->rank ? t->vector < t->rank ? t->var[t->order[t->vector]] : 0 : c->shared[c->shared_count - 1];
  if (!var) return;
  const int64_t bound = ln_bound(c, c->var[var].dim);
  if (c->var[var].mask.v && (bound < 0 || bound > c->var[var].lanes)) return;
  for (uint32_t i = 0; i < c->ahead_count && !ln_failed(c); i++) {
    vars_of(c, t, hli_result(c->src, c->ahead[i], 0), at);
    if (c->ahead_rows) ln_prefetch_rows(c, c->ahead[i], at, c->ahead_rows);
    else ln_prefetch_along(c, c->ahead[i], at, var, c->ahead_bytes);
  }
}

/* What an atomic found goes where its users look for it. */
static void keep_previous(ln *c, const nest *t, hli_op op, ln_val x, const uint8_t *at) {
  hli_value result = hli_result(c->src, op, 0);
  if (ln_failed(c) || !ln_is_used(c, result)) return;
  if (t->rank) ln_buffer_store(c, result, x, at);
  else ln_put(c, result, x, at);
}

static bool is_kept_atomic(const ln *c, const nest *t, const ln_root *r) {
  return r->kind == LN_ATOMIC && t->rank && ln_is_used(c, hli_result(c->src, r->op, 0));
}

/* First everything is evaluated, then stored: a store may overwrite what another value reads. */
static void innermost(ln *c, nest *t) {
  uint8_t at[HL_MAX_RANK];
  ln_val x[LN_MAX_ROOTS + LN_MAX_ACCS];
  uint32_t number = 0, next = 0;
  fetch_ahead(c, t);
  for (uint32_t i = 0; i < t->n && !ln_failed(c); i++) {
    vars_of(c, t, t->root[i].value, at);
    for (uint32_t p = 0; p < ln_parts(c, &t->root[i]) && !ln_failed(c); p++)
      x[next++] = ln_eval(c, ln_part(c, &t->root[i], p), at);
  }
  next = 0;
  for (uint32_t i = 0; i < t->n && !ln_failed(c); i++) {
    const ln_root *r = &t->root[i];
    const ln_val *part = &x[next];
    next += ln_parts(c, r);
    vars_of(c, t, r->value, at);
    switch (r->kind) {
    case LN_STORE: ln_store(c, r->op, at); break;
    case LN_ATOMIC: keep_previous(c, t, r->op, ln_atomic(c, r->op, at), at); break;
    case LN_KEEP: ln_buffer_store(c, r->value, *part, at); break;
    case LN_YIELD: ln_buffer_store(c, r->target, *part, at); break;
    default:
      accumulate(c, t, r, number, part);
      number += ln_parts(c, r);
    }
  }
}

/* ---- loops ---------------------------------------------------------------------------------------------- */

static void open_next(ln *c, nest *t);

static void loop_body(ln *c, void *ctx, uint8_t var) {
  nest *t = ctx;
  t->var[t->order[t->at]] = var;
  t->at++;
  open_next(c, t);
  t->at--;
}

static void start_accumulators(ln *c, nest *t) {
  int64_t lanes = vector_lanes(c, t), number = 0;
  for (uint32_t i = 0; i < t->n; i++) {
    if (t->root[i].kind != LN_REDUCE) continue;
    for (uint32_t p = 0; p < ln_parts(c, &t->root[i]); p++, number++) {
      t->acc[number] = identity(c, &t->root[i], p, vector_reduced(t) ? t->lanes : lanes);
      t->acc[t->accs + number] = vector_reduced(t) ? identity(c, &t->root[i], p, c->width) : 0;
    }
  }
}

static bool is_untouched(const ln *c, hli_value acc) {
  hli_op def = c->dst->values.data[acc].def;
  return def && c->dst->ops.data[def].code == HLI_OP_BROADCAST;
}

/* Wide and single-register accumulators of a fold to one scalar each. */
static void fold_horizontal(ln *c, const nest *t, const ln_root *r, uint32_t number, hli_value *out) {
  const uint32_t n = ln_parts(c, r);
  hli_value args[2 * HLI_FOLD_PARTS];
  bool untouched[2] = {true, true};
  for (uint32_t i = 0; i < 2; i++)
    for (uint32_t p = 0; p < n; p++)
      untouched[i] &= is_untouched(c, t->acc[i * t->accs + number + p]);
  memcpy(args, &t->acc[number], n * sizeof *args);
  memcpy(args + n, &t->acc[t->accs + number], n * sizeof *args);
  ln_fold_lanes(c, r->op, args, c->width);
  if (!untouched[0] && !untouched[1]) ln_combine(c, r->op, args, out);
  else memcpy(out, args + (untouched[0] ? n : 0), n * sizeof *out);
  ln_fold_lanes(c, r->op, out, 1);
}

/* Wide and single-register accumulators to one scalar. */
static ln_val horizontal(ln *c, const nest *t, const ln_root *r, uint32_t number) {
  int64_t axis = 0;
  hli_cursor *at = ln_at(c, c->top);
  hl_reduce_op op = (hl_reduce_op)hli_attr(c->src, r->op, 0, 0);
  hli_value sum = 0;
  for (uint32_t i = 0; i < 2; i++) {
    hli_value a = t->acc[i * t->accs + number];
    if (is_untouched(c, a) && !(i == 1 && !sum)) continue;
    hli_value s = hli_make_reduce(at, op, a, &axis, 1);
    sum = sum ? hli_make_binary(at, combine_of(c, r), sum, s) : s;
  }
  return (ln_val){sum, c->top};
}

/* A result goes where its kept dimensions say: a buffer, or the value itself. */
static void finish_result(ln *c, const nest *t, const ln_root *r, hli_value result, ln_val x) {
  uint8_t at[HL_MAX_RANK], from[HL_MAX_RANK];
  const hli_type_data *type = hli_type_of(c->src, r->value);
  const uint32_t attr = ln_is_fold(c, r->op) ? 0 : 1;
  x.v = hli_make_cast(ln_at(c, c->top), x.v, hli_dtype_of(c->src, result));
  vars_of(c, t, r->value, from);
  for (uint32_t d = 0, next = 0; d < type->rank; d++) {
    bool gone = false;
    for (uint32_t a = 0; a < hli_attr_len(c->src, r->op, attr); a++)
      gone |= hli_attr(c->src, r->op, attr, a) == (int64_t)d;
    if (!gone) at[next++] = from[d];
  }
  const char *name = c->src->values.data[result].name;
  if (x.v && *name && !*c->dst->values.data[x.v].name) hli_value_set_name(c->dst, x.v, name);
  if (t->kept) ln_buffer_store(c, result, x, at);
  else ln_put(c, result, x, at);
}

static void finish_accumulators(ln *c, nest *t) {
  uint32_t number = 0;
  for (uint32_t i = 0; i < t->n && !ln_failed(c); i++) {
    const ln_root *r = &t->root[i];
    const uint32_t n = ln_parts(c, r);
    hli_value x[HLI_FOLD_PARTS];
    if (r->kind != LN_REDUCE) continue;
    memcpy(x, &t->acc[number], n * sizeof *x);
    if (vector_reduced(t) && ln_is_fold(c, r->op)) fold_horizontal(c, t, r, number, x);
    else if (vector_reduced(t)) *x = horizontal(c, t, r, number).v;
    for (uint32_t p = 0; p < n && !ln_failed(c); p++)
      finish_result(c, t, r, hli_result(c->src, r->op, p), (ln_val){x[p], c->top});
    number += n;
  }
}

static void open_next(ln *c, nest *t) {
  const bool begins = t->at == t->kept && t->accs;
  if (ln_failed(c)) return;
  if (begins) start_accumulators(c, t);
  if (t->at == t->rank) {
    innermost(c, t);
  } else {
    ln_dim d = t->root[0].dims[t->order[t->at]];
    bool inside = t->at >= t->kept && t->accs;
    uint32_t both = !inside ? 0 : vector_reduced(t) ? 2 * t->accs : t->accs;
    ln_carried all = {t->acc, both}, wide = {t->acc, inside ? t->accs : 0}, rest = {t->acc + t->accs, inside ? t->accs : 0};
    if (t->at != t->vector) ln_scalar_loop(c, d, all, loop_body, t);
    else if (inside) ln_vector_loops(c, d, t->lanes, wide, rest, loop_body, t);
    else ln_vector_loops(c, d, t->lanes, (ln_carried){0}, (ln_carried){0}, loop_body, t);
  }
  if (begins) finish_accumulators(c, t);
}

/* ---- the group --------------------------------------------------------------------------------------------- */

static void prepare(ln *c, nest *t) {
  for (uint32_t i = 0; i < t->n && !ln_failed(c); i++) {
    const ln_root *r = &t->root[i];
    if (r->kind == LN_REDUCE) t->accs += ln_parts(c, r);
    for (uint32_t p = 0; r->kind == LN_REDUCE && t->kept && p < ln_parts(c, r); p++)
      ln_make_buffer(c, hli_result(c->src, r->op, p), t->block);
    if (r->kind == LN_KEEP) ln_make_buffer(c, r->value, t->block);
    if (is_kept_atomic(c, t, r)) ln_make_buffer(c, hli_result(c->src, r->op, 0), t->block);
  }
  if (t->accs > LN_MAX_ACCS) ln_fail(c, HL_ERR_LIMIT, "more than %d reductions in one nest", LN_MAX_ACCS);
}

void ln_group(ln *c, hli_block block, ln_root *roots, uint32_t n) {
  nest t = {.root = roots, .n = n, .rank = roots[0].rank, .block = block};
  if (n > LN_MAX_ROOTS) {
    ln_fail(c, HL_ERR_LIMIT, "more than %d stores, reductions and values that they share in one nest", LN_MAX_ROOTS);
    return;
  }
  order_dims(c, &t);
  prepare(c, &t);
  if (ln_failed(c)) return;
  const int64_t registers = ln_draws_random(c, block) ? 1 : c->unroll * (is_light(c, &t) ? 2 : 1);
  if (t.vector < t.rank) {
    const ln_dim d = roots[0].dims[t.order[t.vector]];
    t.lanes = ln_whole_lanes(c, d, ln_main_lanes(c, d, registers, widest(c, &t)), widest(c, &t));
  }
  open_next(c, &t);
  for (uint32_t i = 0; i < n; i++) {
    if (roots[i].kind == LN_KEEP) ln_buffer_holds(c, roots[i].value);
    if (is_kept_atomic(c, &t, &roots[i])) ln_buffer_holds(c, hli_result(c->src, roots[i].op, 0));
    for (uint32_t p = 0; roots[i].kind == LN_REDUCE && t.kept && p < ln_parts(c, &roots[i]); p++)
      ln_buffer_holds(c, hli_result(c->src, roots[i].op, p));
  }
}
