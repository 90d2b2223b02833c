/* region.c: a block of the source becomes LOOP ops: first the loops that all its roots share, inside
 * them one nest per group, `for`s and dots on their own.
 *
 * An axis is *shared* when nothing mixes lanes along it and every root runs over it: softmax's rows.
 * All nests then stand inside one loop over it, and what they pass to each other is a scalar or a row. */
#include "src/pass/loopnest/nest.h"

/* ---- shared axes ----------------------------------------------------------------------------- */

static uint32_t times(const ln *c, hli_value v, hli_axis a) {
  const hli_type_data *t = hli_type_of(c->src, v);
  uint32_t n = 0;
  for (uint32_t d = 0; t->kind == HLI_TYPE_VALUE && d < t->rank; d++)
    n += t->dims[d] == a;
  return n;
}

static bool store_allows(const ln *c, hli_op op, hli_axis axis, hli_value range) {
  hli_access a;
  uint32_t n = 0;
  hli_access_get(c->src, op, &a);
  for (uint32_t d = 0; d < a.rank; d++)
    n += a.kind[d] == 't' && a.index[d] == range;
  for (uint32_t d = 0; d < a.rank && !n; d++) /* several integer tiles walk an axis together */
    n = ln_gathers_along(c, &a, d, axis);
  return n == 1 && times(c, a.value, axis) == 1;
}

static bool reduce_allows(const ln *c, hli_op op, hli_axis axis) {
  return times(c, hli_operand(c->src, op, 0), axis) == 1 && times(c, hli_result(c->src, op, 0), axis) == 1;
}

static bool scan_allows(const ln *c, hli_op op, hli_axis axis) {
  const hli_type_data *t = hli_type_of(c->src, hli_operand(c->src, op, 0));
  return times(c, hli_operand(c->src, op, 0), axis) == 1 && t->dims[hli_attr(c->src, op, 0, 0)] != axis;
}

static bool for_allows(const ln *c, hli_op op, hli_axis axis) {
  for (uint32_t i = 0; i < c->src->ops.data[op].result_count; i++) {
    hli_value r = hli_result(c->src, op, i);
    if (hli_type_of(c->src, r)->rank && times(c, r, axis) != 1) return false;
  }
  return true;
}

static bool block_allows(const ln *c, hli_block b, hli_axis axis, hli_value range) {
  for (hli_op op = hli_first(c->src, b); op; op = hli_next(c->src, op)) {
    const hli_op_data *o = &c->src->ops.data[op];
    for (uint32_t i = 0; i < o->result_count; i++)
      if (times(c, o->results + i, axis) > 1) return false;
    bool ok = true;
    switch (o->code) {
    case HLI_OP_ATOMIC:
    case HLI_OP_STORE: ok = store_allows(c, op, axis, range); break;
    case HLI_OP_GATHER: ok = times(c, hli_operand(c->src, op, 0), axis) == times(c, hli_result(c->src, op, 0), axis) && hli_type_of(c->src, hli_operand(c->src, op, 0))->dims[hli_attr(c->src, op, 0, 0)] != axis; break;
    case HLI_OP_REDUCE:
    case HLI_OP_FOLD: ok = reduce_allows(c, op, axis); break;
    case HLI_OP_SCAN: ok = scan_allows(c, op, axis); break;
    case HLI_OP_DOT: ok = false; break;
    case HLI_OP_RESHAPE: ok = !hli_reshape_changes(c->src, op, axis); break;
    case HLI_OP_FOR:
    case HLI_OP_WHILE: ok = for_allows(c, op, axis); break;
    case HLI_OP_RANGE: ok = o->results == range || hli_attr(c->src, op, 0, 0) != (int64_t)axis; break;
    default: break;
    }
    if (!ok || (o->region && !ln_is_fold(c, op) && !block_allows(c, o->region, axis, range))) return false;
  }
  return true;
}

static bool axis_elsewhere(const ln *c, hli_axis axis, hli_value range) {
  for (hli_op op = 1; op < c->src->ops.len; op++)
    if (!c->src->ops.data[op].dead && c->src->ops.data[op].code == HLI_OP_RANGE && hli_attr(c->src, op, 0, 0) == (int64_t)axis &&
        hli_result(c->src, op, 0) != range)
      return true;
  return false;
}

/* Position of the range among the indices of the first store: the order of the shared loops. */
static uint32_t store_position(const ln *c, hli_block b, hli_value range) {
  for (hli_op op = hli_first(c->src, b); op; op = hli_next(c->src, op)) {
    if (c->src->ops.data[op].region) {
      uint32_t p = store_position(c, c->src->ops.data[op].region, range);
      if (p < HL_MAX_RANK) return p;
    }
    if (!ln_writes_memory(c, op)) continue;
    hli_access a;
    hli_access_get(c->src, op, &a);
    for (uint32_t d = 0; d < a.rank; d++)
      if (a.index[d] == range || ln_gathers_along(c, &a, d, hli_type_of(c->src, range)->dims[0])) return d;
  }
  return HL_MAX_RANK;
}

static uint32_t choose_shared(ln *c, hli_block block, ln_dim *out) {
  uint32_t n = 0, position[HL_MAX_RANK];
  for (hli_op op = hli_first(c->src, block); op; op = hli_next(c->src, op)) {
    if (c->src->ops.data[op].code != HLI_OP_RANGE) continue;
    hli_value range = hli_result(c->src, op, 0);
    hli_axis axis = (hli_axis)hli_attr(c->src, op, 0, 0);
    uint32_t p = store_position(c, block, range), at = n;
    if (n == HL_MAX_RANK || p == HL_MAX_RANK || axis_elsewhere(c, axis, range) || !block_allows(c, block, axis, range)) continue;
    if (!c->may_share && !ln_may_share_row(c, range)) continue;
    for (; at > 0 && position[at - 1] > p; at--) {
      position[at] = position[at - 1];
      out[at] = out[at - 1];
    }
    position[at] = p;
    out[at] = (ln_dim){axis, range};
    n++;
  }
  return n;
}

/* ---- the vector axis of shared loops ------------------------------------------------------------ */

static void score_block(const ln *c, hli_block b, double *score) {
  for (hli_op op = hli_first(c->src, b); op; op = hli_next(c->src, op)) {
    const hli_op_data *o = &c->src->ops.data[op];
    if (o->region) score_block(c, o->region, score);
    if (o->code != HLI_OP_LOAD && o->code != HLI_OP_STORE) continue;
    hli_access a;
    hli_access_get(c->src, op, &a);
    for (uint32_t d = 0; d < a.rank; d++) {
      const hli_type_data *t = hli_type_of(c->src, a.index[d]);
      for (uint32_t j = 0; a.kind[d] == 'g' && j < t->rank; j++)
        score[t->dims[j]] += ln_access_score(c, op, &a, d, t->dims[j]);
      if (a.kind[d] == 't') score[t->dims[0]] += ln_access_score(c, op, &a, d, t->dims[0]);
    }
  }
}

static bool has_singles(const ln *c, hli_block b) {
  for (hli_op op = hli_first(c->src, b); op; op = hli_next(c->src, op))
    if (c->src->ops.data[op].code == HLI_OP_ATOMIC || c->src->ops.data[op].code == HLI_OP_GATHER || (c->src->ops.data[op].region && has_singles(c, c->src->ops.data[op].region)))
      return true;
  return false;
}

/* Index into shared of the axis that is best walked by vectors; n if that is an axis of the nests inside. */
static uint32_t choose_vector(ln *c, hli_block block, const ln_dim *shared, uint32_t n) {
  double *score = hli_arena_array(&c->arena, double, c->src->axes.len);
  uint32_t best = n;
  if (!score) {
    ln_fail(c, HL_ERR_MEMORY, "out of memory");
    return n;
  }
  if (has_singles(c, block)) return n; /* they are done one by one */
  score_block(c, block, score);
  for (uint32_t i = 0; i < n; i++)
    if (score[shared[i].axis] > 0 && ln_bound(c, shared[i]) != 1 && (best == n || score[shared[i].axis] >= score[shared[best].axis])) best = i;
  for (uint32_t a = 1; a < c->src->axes.len && best < n; a++) {
    bool is_shared = false;
    for (uint32_t i = 0; i < n; i++)
      is_shared |= shared[i].axis == a;
    if (!is_shared && score[a] > score[shared[best].axis]) best = n;
  }
  return best;
}

/* Registers of a shared vector.  A single reduction of loads walks over rows that lie far apart: wide pieces of them make
 * long runs in memory, and their accumulators are all it keeps. */
static int64_t shared_registers(const ln *c, hli_block block) {
  uint32_t reductions = 0;
  if (ln_draws_random(c, block)) return 1;
  for (hli_op op = hli_first(c->src, block); op; op = hli_next(c->src, op)) {
    const hli_op_data *o = &c->src->ops.data[op];
    if (o->region || o->code == HLI_OP_ATOMIC || o->code == HLI_OP_GATHER) return c->unroll;
    if (o->code != HLI_OP_REDUCE) continue;
    const hli_op from = ln_def(c, hli_operand(c->src, op, 0));
    if (!from || (c->src->ops.data[from].code != HLI_OP_LOAD && c->src->ops.data[from].code != HLI_OP_CAST)) return c->unroll;
    reductions++;
  }
  return reductions == 1 ? HLI_MAX(c->unroll, c->width >= 16 ? 16 : 8) : c->unroll;
}

/* ---- for ------------------------------------------------------------------------------------------- */

static void shared_vars(const ln *c, hli_value v, uint8_t *at) {
  const hli_type_data *t = hli_type_of(c->src, v);
  for (uint32_t d = 0; d < t->rank; d++)
    at[d] = ln_shared_var(c, t->dims[d]);
}

static bool needs_buffer(const ln *c, hli_value v) {
  const hli_type_data *t = hli_type_of(c->src, v);
  for (uint32_t d = 0; d < t->rank; d++)
    if (!ln_shared_var(c, t->dims[d])) return true;
  return false;
}

/* A carried value that stays in registers: a vector if its axes say so. */
static hli_value in_registers(ln *c, hli_value v, hli_value type_of) {
  uint8_t at[HL_MAX_RANK] = {0};
  int64_t lanes = 0;
  shared_vars(c, type_of, at);
  for (uint32_t d = 0; d < hli_type_of(c->src, type_of)->rank; d++)
    lanes = HLI_MAX(lanes, c->var[at[d]].lanes);
  ln_val x = ln_eval(c, v, at);
  return ln_failed(c) ? 0 : ln_splat(c, x, lanes).v;
}

/* Does v flow into nothing but the accumulator of this dot, element for element? */
static bool only_feeds(const ln *c, hli_value v, hli_op dot, uint32_t depth) {
  for (uint32_t i = c->use_at[v]; i < c->use_at[v + 1]; i++) {
    hli_op op = c->uses[i];
    if (op == dot && hli_operand(c->src, dot, 0) != v && hli_operand(c->src, dot, 1) != v) continue;
    if (depth == 0 || !ln_is_pointwise((hli_opcode)c->src->ops.data[op].code) || !only_feeds(c, hli_result(c->src, op, 0), dot, depth - 1)) return false;
  }
  return true;
}

/* Can the dot behind this next value write straight into the carried buffer? */
static bool dot_in_place(const ln *c, hli_block body, hli_value next, hli_value arg) {
  hli_op op = ln_def(c, next);
  return op && c->src->ops.data[op].code == HLI_OP_DOT && c->src->ops.data[op].block == body &&
         c->use_at[next + 1] - c->use_at[next] == 1 && only_feeds(c, arg, op, 16);
}

typedef struct carry {
  hli_region_form form;
  uint32_t n, registers, buffered;
  uint32_t which[HLI_MAX_OPERANDS];        /* carried number of each register */
  hli_value v[HLI_MAX_OPERANDS];           /* LOOP values of the registers */
  hli_value next[HLI_MAX_OPERANDS], target[HLI_MAX_OPERANDS]; /* of the buffers that the body must overwrite */
} carry;

static void holds(ln *c, hli_value v, hli_value buffer, bool vector_tail) {
  ln_state *s = &c->state[v];
  s->buffer = buffer;
  s->vector_tail = vector_tail;
  ln_buffer_holds(c, v);
}

/* Initial values: evaluated, or written to buffers. */
static void start_carry(ln *c, hli_block block, hli_op op, carry *k) {
  hli_block body = c->src->ops.data[op].region;
  for (uint32_t i = 0; i < k->n && !ln_failed(c); i++) {
    hli_value init = hli_operand(c->src, op, k->form.operands + i), arg = hli_block_arg(c->src, body, k->form.args + i);
    if (!needs_buffer(c, arg)) {
      k->which[k->registers] = i;
      k->v[k->registers++] = in_registers(c, init, arg);
      continue;
    }
    ln_root r = {.kind = LN_YIELD, .value = init, .target = arg};
    for (uint32_t d = 0; d < hli_type_of(c->src, arg)->rank; d++)
      if (!ln_shared_var(c, hli_type_of(c->src, arg)->dims[d])) r.dims[r.rank++] = ln_value_dim(c, arg, d, block);
    if (ln_make_buffer(c, arg, block)) ln_group(c, block, &r, 1);
  }
}

/* Inside the loop: arguments are bound; which buffers does the body overwrite by nests of their own? */
static void bind_carry(ln *c, hli_op op, carry *k) {
  hli_block body = c->src->ops.data[op].region;
  hli_op yield = c->src->blocks.data[body].last;
  uint8_t at[HL_MAX_RANK] = {0};
  for (uint32_t i = 0; i < k->registers; i++) {
    hli_value arg = hli_block_arg(c->src, body, k->form.args + k->which[i]);
    shared_vars(c, arg, at);
    ln_put(c, arg, (ln_val){k->v[i], c->top}, at);
  }
  for (uint32_t i = 0; i < k->n; i++) {
    hli_value arg = hli_block_arg(c->src, body, k->form.args + i), next = hli_operand(c->src, yield, k->form.yields + i);
    if (!needs_buffer(c, arg)) continue;
    const ln_state s = c->state[arg];
    holds(c, arg, s.buffer, s.vector_tail);
    if (next == arg) continue;
    if (dot_in_place(c, body, next, arg)) {
      c->state[next].buffer = s.buffer;
      c->state[next].vector_tail = s.vector_tail;
      continue;
    }
    k->next[k->buffered] = next;
    k->target[k->buffered++] = arg;
  }
}

static void finish_carry(ln *c, hli_op op, const carry *k) {
  hli_block body = c->src->ops.data[op].region;
  uint8_t at[HL_MAX_RANK] = {0};
  for (uint32_t i = 0; i < k->registers; i++) {
    hli_value result = hli_result(c->src, op, k->which[i]);
    shared_vars(c, result, at);
    ln_put(c, result, (ln_val){k->v[i], c->top}, at);
    const char *name = c->src->values.data[result].name;
    if (*name) hli_value_set_name(c->dst, k->v[i], name);
  }
  for (uint32_t i = 0; i < k->n; i++) {
    const ln_state s = c->state[hli_block_arg(c->src, body, k->form.args + i)];
    if (needs_buffer(c, hli_result(c->src, op, i))) holds(c, hli_result(c->src, op, i), s.buffer, s.vector_tail);
  }
}

/* Opens the `for` or `while`; k->v are the registers it carries. */
static void open_loop(ln *c, hli_op op, carry *k, const ln_val *bound) {
  hli_block body = c->src->ops.data[op].region;
  if (c->src->ops.data[op].code == HLI_OP_WHILE) {
    ln_open_while(c, bound[0], k->v, k->registers);
    return;
  }
  hli_value iv = hli_block_arg(c->src, body, 0);
  ln_val index = ln_open(c, bound[0], bound[1], bound[2], k->v, k->registers, c->src->values.data[iv].name);
  if (!ln_failed(c)) ln_put(c, iv, index, NULL);
}

static void emit_loop(ln *c, hli_block block, hli_op op) {
  carry k = {.form = hli_region_form_of(c->src, op), .n = c->src->ops.data[op].result_count};
  ln_val bound[3] = {{0, 0}}, again = {0, 0};
  for (uint32_t i = 0; i < k.form.operands && !ln_failed(c); i++)
    bound[i] = ln_eval(c, hli_operand(c->src, op, i), NULL);
  start_carry(c, block, op, &k);
  if (ln_failed(c)) return;
  open_loop(c, op, &k, bound);
  if (ln_failed(c)) return;
  hli_block body = c->src->ops.data[op].region;
  hli_op yield = c->src->blocks.data[body].last;
  const uint32_t outer = c->branch;
  if (hli_is_branch(c->src, op)) c->branch = c->top;
  c->loop[c->loop_count++] = (ln_loop){op, c->top};
  bind_carry(c, op, &k);
  ln_block(c, body, k.next, k.target, k.buffered);
  for (uint32_t i = 0; i < k.registers && !ln_failed(c); i++)
    k.v[i] = in_registers(c, hli_operand(c->src, yield, k.form.yields + k.which[i]), hli_block_arg(c->src, body, k.form.args + k.which[i]));
  if (k.form.yields) again = ln_eval(c, hli_operand(c->src, yield, 0), NULL);
  c->branch = outer;
  c->loop_count--;
  if (k.form.yields) ln_close_while(c, again, k.v, k.registers);
  else ln_close(c, k.v, k.registers);
  if (!ln_failed(c)) finish_carry(c, op, &k);
}

/* ---- dots with their epilogues ------------------------------------------------------------------------ */

/* Is `dot` reached from v only at the variables (1, 2) of the store's two dimensions? */
static bool aligned(ln *c, hli_value v, hli_value dot, const uint8_t *at, uint32_t depth) {
  if (v == dot) return at[0] == 1 && at[1] == 2;
  hli_op op = ln_def(c, v);
  if (!op || !ln_is_lazy(c, v) || depth == 0) return depth != 0;
  uint16_t code = c->src->ops.data[op].code;
  bool shape = code == HLI_OP_BROADCAST || code == HLI_OP_TRANSPOSE || code == HLI_OP_SQUEEZE;
  if (code == HLI_OP_LOAD) {
    hli_access a;
    hli_access_get(c->src, op, &a);
    return !a.gathers; /* its index may come from the dot */
  }
  if (code == HLI_OP_RESHAPE) return false;
  if (!shape && !ln_is_pointwise((hli_opcode)code)) return true;
  for (uint32_t i = 0; i < hli_operand_count(c->src, op); i++) {
    uint8_t inner[HL_MAX_RANK] = {0};
    hli_value a = ln_source_at(c, op, i, at, inner);
    if (!aligned(c, a, dot, inner, depth - 1)) return false;
  }
  return true;
}

/* Does the dot still want what the store overwrites when its first tile is stored?  Its accumulator's elements it does
 * not: each is read before it is stored. */
static bool overwrites_operand(ln *c, hli_op dot, hli_op store) {
  for (uint32_t i = 0; i < 2; i++)
    if (ln_reads_store(c, &(ln_root){.kind = LN_KEEP, .value = hli_operand(c->src, dot, i)}, store)) return true;
  return false;
}

/* Can store s (a later root) be done on the dot's tiles while they are in registers? */
static bool can_fuse(ln *c, const ln_roots *roots, uint32_t dot, uint32_t s) {
  const ln_root *d = &roots->data[dot], *r = &roots->data[s];
  const uint8_t at[HL_MAX_RANK] = {1, 2};
  if (r->kind != LN_STORE || d->rank != 2 || r->rank != 2 || hli_type_of(c->src, r->value)->rank != 2 || !ln_same_dims(d->dims, r->dims, 2)) return false;
  if (!aligned(c, r->value, d->value, at, 64) || overwrites_operand(c, d->op, r->op)) return false;
  hli_access a;
  hli_access_get(c->src, r->op, &a);
  if (a.gathers) return false;
  if (a.mask && ln_reads_result(c, &(ln_root){.kind = LN_KEEP, .value = a.mask}, d->value)) return false;
  for (uint32_t i = dot + 1; i < s; i++) {
    const ln_root *o = &roots->data[i];
    if (o->done) continue;
    if (ln_stays_behind(c, r, o)) return false;
    for (uint32_t x = 0; o->op && x < c->src->ops.data[o->op].result_count; x++)
      if (ln_reads_result(c, r, hli_result(c->src, o->op, x))) return false;
  }
  return true;
}

static void emit_dot(ln *c, hli_block block, ln_roots *roots, uint32_t dot) {
  ln_root fused[16];
  uint32_t n = 0;
  hli_value d = roots->data[dot].value;
  bool all = !c->state[d].buffer; /* not written in place */
  for (uint32_t i = dot + 1; i < roots->len && all; i++) {
    if (!ln_reads_result(c, &roots->data[i], d)) continue;
    all = n < HLI_COUNT(fused) && can_fuse(c, roots, dot, i);
    if (all) fused[n++] = roots->data[i];
  }
  /* a `for` around this block may carry the dot out */
  hli_op last = c->src->blocks.data[block].last;
  for (uint32_t i = 0; last && c->src->ops.data[last].code == HLI_OP_YIELD && i < hli_operand_count(c->src, last); i++)
    all &= !ln_reads_result(c, &(ln_root){.kind = LN_KEEP, .value = hli_operand(c->src, last, i)}, d);
  if (!all) n = 0;
  for (uint32_t i = dot + 1; i < roots->len && n; i++)
    for (uint32_t f = 0; f < n; f++)
      if (roots->data[i].op == fused[f].op) roots->data[i].done = true;
  ln_dot(c, block, &roots->data[dot], fused, n);
}

/* ---- roots in order --------------------------------------------------------------------------------------- */

/* Kept values that the group wants: those of its own shape are filled in passing, others get a nest first. */
static void emit_group(ln *c, hli_block block, ln_roots *group) {
  ln_roots kept = {0};
  const uint32_t n = group->len;
  for (uint32_t i = 0; i < n; i++)
    ln_wanted_kept(c, &group->data[i], block, &kept);
  for (uint32_t i = 0; i < kept.len && !ln_failed(c); i++) {
    ln_root *k = &kept.data[i];
    bool known = ln_buffer_valid(c, k->value);
    for (uint32_t j = n; j < group->len; j++)
      known |= group->data[j].value == k->value;
    if (known) continue;
    if (k->rank == group->data[0].rank && ln_same_dims(k->dims, group->data[0].dims, k->rank)) {
      if (!hli_vec_push(c->env->alloc, group, *k)) ln_fail(c, HL_ERR_MEMORY, "out of memory");
    } else {
      ln_group(c, block, k, 1);
    }
  }
  if (!ln_failed(c)) ln_group(c, block, group->data, group->len);
  hli_vec_free(c->env->alloc, &kept);
}

static void keep_first(ln *c, hli_block block, const ln_root *r) {
  ln_roots kept = {0};
  ln_wanted_kept(c, r, block, &kept);
  for (uint32_t i = 0; i < kept.len && !ln_failed(c); i++)
    if (!ln_buffer_valid(c, kept.data[i].value)) ln_group(c, block, &kept.data[i], 1);
  hli_vec_free(c->env->alloc, &kept);
}

/* A carried buffer that a later nest of the same body still reads must not be overwritten yet. */
static void check_yield_order(ln *c, const ln_roots *roots) {
  for (uint32_t i = 0; i < roots->len; i++)
    for (uint32_t j = i + 1; j < roots->len && roots->data[i].kind == LN_YIELD; j++)
      if (roots->data[j].group != roots->data[i].group && ln_reads_result(c, &roots->data[j], roots->data[i].target))
        ln_fail(c, HL_ERR_UNSUPPORTED, "carried tiles of different shapes that depend on each other's old values");
}

/* Does the group walk over the same elements as the first one did? */
static bool walks_again(const ln_roots *first, const ln_roots *group) {
  return first->len && first->data[0].rank == group->data[0].rank &&
         ln_same_dims(first->data[0].dims, group->data[0].dims, group->data[0].rank);
}

/* Does a later nest walk over the elements of this one, the first? */
static bool is_walked_later(const ln_roots *roots, uint32_t next, const ln_roots *first) {
  for (uint32_t i = next; i < roots->len; i++) {
    const ln_root *r = &roots->data[i];
    if (r->kind == LN_FOR || r->kind == LN_DOT || r->kind == LN_SCAN) return true; /* it may */
    if (!r->done && r->rank == first->data[0].rank && ln_same_dims(r->dims, first->data[0].dims, r->rank)) return true;
  }
  return false;
}

static void emit_roots(ln *c, hli_block block, const hli_value *yields, const hli_value *targets, uint32_t n) {
  ln_roots roots = {0}, group = {0}, first_group = {0};
  bool again = false;
  ln_plan(c, block, yields, targets, n, &roots);
  check_yield_order(c, &roots);
  for (uint32_t i = 0; i < roots.len && !ln_failed(c);) {
    const uint32_t number = roots.data[i].group;
    const ln_root first = roots.data[i];
    if (first.kind == LN_FOR || first.kind == LN_DOT || first.kind == LN_SCAN) {
      keep_first(c, block, &first);
      if (first.kind == LN_SCAN) ln_scan(c, block, &first);
      else if (first.kind == LN_FOR) emit_loop(c, block, first.op);
      else emit_dot(c, block, &roots, i);
      i++;
      continue;
    }
    group.len = 0;
    for (; i < roots.len && roots.data[i].group == number; i++)
      if (!roots.data[i].done && !hli_vec_push(c->env->alloc, &group, roots.data[i])) ln_fail(c, HL_ERR_MEMORY, "out of memory");
    if (!group.len) continue;
    const bool second = !again && walks_again(&first_group, &group);
    again |= second;
    if (second) ln_loads_from_memory(c, &first_group, true);
    else if (!first_group.len && !is_walked_later(&roots, i, &group)) ln_loads_from_memory(c, &group, false);
    emit_group(c, block, &group);
    c->ahead_count = 0;
    if (first_group.len || !group.data[0].rank) continue;
    for (uint32_t j = 0; j < group.len; j++)
      if (!hli_vec_push(c->env->alloc, &first_group, group.data[j])) ln_fail(c, HL_ERR_MEMORY, "out of memory");
  }
  hli_vec_free(c->env->alloc, &first_group);
  hli_vec_free(c->env->alloc, &roots);
  hli_vec_free(c->env->alloc, &group);
}

/* ---- blocks --------------------------------------------------------------------------------------------------- */

typedef struct region {
  hli_block block;
  ln_dim dims[HL_MAX_RANK]; /* shared, outermost first, the vector one innermost */
  uint32_t n, at;
  bool vector;
  uint32_t flat_from;       /* the dimension whose rows are walked as one, if flat_row says how long they are */
  int64_t flat_row;
} region;

static void open_shared(ln *c, region *r);
static void shared_body(ln *c, void *ctx, uint8_t var) {
  region *r = ctx;
  c->shared[c->shared_count++] = var;
  r->at++;
  open_shared(c, r);
  r->at--;
  c->shared_count--;
}

/* All rows of a dense block as one: the dimensions in front of the vector stand at 0. */
static void open_flat(ln *c, region *r) {
  const uint32_t fixed = r->n - 1 - r->flat_from;
  for (uint32_t i = 0; i < fixed; i++) {
    const uint8_t var = ln_push_var(c, (ln_var){.dim = r->dims[r->flat_from + i], .index = ln_i64(c, 0)});
    c->shared[c->shared_count++] = var;
  }
  r->at = r->n - 1;
  c->shared_lanes = c->width * c->unroll;
  ln_flat_loops(c, r->dims[r->flat_from], r->flat_row, r->dims[r->n - 1], c->shared_lanes, shared_body, r);
  for (uint32_t i = 0; i < fixed; i++) {
    ln_pop_var(c);
    c->shared_count--;
  }
  r->at = r->flat_from;
}

static void open_shared(ln *c, region *r) {
  const ln_carried none = {0};
  if (ln_failed(c)) return;
  if (r->at == r->n) emit_roots(c, r->block, NULL, NULL, 0);
  else if (r->flat_row && r->at == r->flat_from) open_flat(c, r);
  else if (r->vector && r->at + 1 == r->n) {
    c->shared_lanes = ln_main_lanes(c, r->dims[r->at], shared_registers(c, r->block), HL_F32);
    ln_vector_loops(c, r->dims[r->at], c->shared_lanes, none, none, shared_body, r);
  }
  else ln_scalar_loop(c, r->dims[r->at], none, shared_body, r);
}

void ln_block(ln *c, hli_block block, const hli_value *yields, const hli_value *targets, uint32_t n) {
  region r = {.block = block};
  /* What a `for` carries in memory is overwritten once per trip, not once per shared index. */
  r.n = n || c->shared_count >= HL_MAX_RANK / 2 ? 0 : choose_shared(c, block, r.dims);
  if (!r.n) {
    emit_roots(c, block, yields, targets, n);
    return;
  }
  bool outer_vector = false;
  for (uint32_t i = 0; i < c->shared_count; i++)
    outer_vector |= c->var[c->shared[i]].lanes > 0;
  uint32_t v = outer_vector ? r.n : choose_vector(c, block, r.dims, r.n);
  r.vector = v < r.n;
  if (r.vector) {
    ln_dim d = r.dims[v];
    for (uint32_t i = v; i + 1 < r.n; i++)
      r.dims[i] = r.dims[i + 1];
    r.dims[r.n - 1] = d;
    r.flat_row = ln_flat_row(c, block, r.dims, r.n, &r.flat_from);
  }
  open_shared(c, &r);
}
