/* plan.c: the roots of a block in order, which of them share a nest, which values are worth keeping.
 *
 * Softmax's block, rows shared:   roots                         groups
 *   %m = reduce max               REDUCE over $N                1
 *   %s = reduce sum (exp ..)      REDUCE over $N, needs %m      2   (exp is wanted by two groups and costly: kept)
 *   store                         STORE, needs %s               3
 */
#include "src/pass/loopnest/nest.h"

/* A value whose pointwise ops cost this much per element is kept when two nests want it: about what a load
 * and a store of a buffer in the cache cost. */
#define KEEP_COST 8

/* An operand of a dot is kept when a vector of it takes more instructions than this. */
#define HEAVY         32
#define GATHER_WEIGHT 16

/* ---- walking lazy values ------------------------------------------------------------------ */

typedef void (*visit_fn)(ln *c, void *ctx, hli_value v);

/* Visits v and what it is evaluated from, operands first, each once per stamp.  Roots' results are visited
 * but not entered. */
static void walk(ln *c, hli_value v, visit_fn visit, void *ctx) {
  ln_state *s = &c->state[v];
  if (s->stamp == c->stamp) return;
  s->stamp = c->stamp;
  hli_op op = ln_def(c, v);
  if (op && ln_is_lazy(c, v))
    for (uint32_t i = 0; i < hli_operand_count(c->src, op); i++)
      walk(c, hli_operand(c->src, op, i), visit, ctx);
  visit(c, ctx, v);
}

static bool is_root_code(uint16_t code) {
  return code == HLI_OP_STORE || code == HLI_OP_ATOMIC || code == HLI_OP_REDUCE || code == HLI_OP_FOLD || code == HLI_OP_SCAN || code == HLI_OP_DOT || ln_is_loop(code);
}

/* All values that a root evaluates: of a dot its operands, of a `for` everything inside. */
static void walk_op(ln *c, hli_op op, visit_fn visit, void *ctx) {
  for (uint32_t i = 0; i < hli_operand_count(c->src, op); i++)
    walk(c, hli_operand(c->src, op, i), visit, ctx);
  hli_block region = c->src->ops.data[op].region;
  for (hli_op o = region ? hli_first(c->src, region) : 0; o; o = hli_next(c->src, o)) {
    uint16_t code = c->src->ops.data[o].code;
    if (is_root_code(code) || code == HLI_OP_YIELD) walk_op(c, o, visit, ctx);
  }
}

static void walk_root(ln *c, const ln_root *r, visit_fn visit, void *ctx) {
  if (r->kind == LN_YIELD || r->kind == LN_KEEP || (r->kind == LN_REDUCE && !ln_is_fold(c, r->op))) walk(c, r->value, visit, ctx);
  else walk_op(c, r->op, visit, ctx);
}

/* ---- roots ------------------------------------------------------------------------------------ */

static bool any_used(const ln *c, hli_op op) {
  bool used = false;
  for (uint32_t i = 0; i < c->src->ops.data[op].result_count; i++)
    used |= ln_is_used(c, hli_result(c->src, op, i));
  return used;
}

static void drop_shared(const ln *c, ln_root *r, const ln_dim *dims, uint32_t rank, uint32_t reduced) {
  for (uint32_t d = 0; d < rank; d++) {
    if (ln_shared_var(c, dims[d].axis)) continue;
    if (reduced >> d & 1) r->reduced |= 1u << r->rank;
    r->dims[r->rank++] = dims[d];
  }
}

static uint32_t reduced_bits(const ln *c, hli_op op) {
  uint32_t bits = 0, attr = ln_is_fold(c, op) ? 0 : 1;
  for (uint32_t i = 0; i < hli_attr_len(c->src, op, attr); i++)
    bits |= 1u << hli_attr(c->src, op, attr, i);
  return bits;
}

static ln_root root_of(ln *c, hli_op op, hli_block block) {
  ln_root r = {.op = op};
  ln_dim dims[HL_MAX_RANK];
  uint32_t rank = 0;
  switch (c->src->ops.data[op].code) {
  case HLI_OP_ATOMIC:
  case HLI_OP_STORE: {
    hli_access a;
    hli_access_get(c->src, op, &a);
    r.kind = c->src->ops.data[op].code == HLI_OP_STORE ? LN_STORE : LN_ATOMIC;
    r.value = a.value;
    ln_store_dims(c, op, dims, &rank);
    drop_shared(c, &r, dims, rank, 0);
    break;
  }
  case HLI_OP_REDUCE:
  case HLI_OP_FOLD:
  case HLI_OP_SCAN:
    r.kind = c->src->ops.data[op].code == HLI_OP_SCAN ? LN_SCAN : LN_REDUCE;
    r.value = hli_operand(c->src, op, 0);
    ln_value_dims(c, r.value, block, dims, &rank);
    drop_shared(c, &r, dims, rank, reduced_bits(c, op));
    break;
  case HLI_OP_DOT:
    r.kind = LN_DOT;
    r.value = hli_result(c->src, op, 0);
    ln_value_dims(c, r.value, block, dims, &rank);
    drop_shared(c, &r, dims, rank, 0);
    break;
  default: r.kind = LN_FOR;
  }
  return r;
}

static ln_root root_of_value(ln *c, ln_root_kind kind, hli_value v, hli_value target, hli_block block) {
  ln_root r = {.kind = (uint8_t)kind, .value = v, .target = target};
  ln_dim dims[HL_MAX_RANK];
  uint32_t rank = 0;
  ln_value_dims(c, target ? target : v, block, dims, &rank);
  drop_shared(c, &r, dims, rank, 0);
  return r;
}

static void push(ln *c, ln_roots *roots, ln_root r) {
  if (!hli_vec_push(c->env->alloc, roots, r)) ln_fail(c, HL_ERR_MEMORY, "out of memory");
}

/* ---- memory hazards ------------------------------------------------------------------------------ */

static uint32_t alias_set(const ln *c, hli_value base) {
  const hl_kernel *k = c->src;
  for (uint32_t p = 0; p < k->params.len && p < 32; p++) {
    if (k->params.data[p].value != base) continue;
    uint32_t set = 1u << p | k->params.data[p].may_alias;
    for (uint32_t q = 0; q < k->params.len && q < 32; q++)
      if (k->params.data[q].may_alias >> p & 1) set |= 1u << q;
    return set;
  }
  return 0;
}

static bool may_overlap(const ln *c, hli_op load, hli_op store) {
  hli_value a = hli_operand(c->src, load, 0), b = hli_operand(c->src, store, 0);
  if (a != b) return alias_set(c, a) & alias_set(c, b);
  hli_access x, y;
  hli_access_get(c->src, load, &x);
  hli_access_get(c->src, store, &y);
  return !hli_index_apart(c->src, &x, &y);
}

/* Same tensor, same indices: element for element. */
static bool same_elements(const ln *c, hli_op load, hli_op store) {
  hli_access a, b;
  hli_access_get(c->src, load, &a);
  hli_access_get(c->src, store, &b);
  if (a.base != b.base || a.gathers || b.gathers) return false;
  for (uint32_t d = 0; d < a.rank; d++)
    if (a.kind[d] != b.kind[d] || a.index[d] != b.index[d]) return false;
  return true;
}

static void ignore(ln *c, void *ctx, hli_value v) {
  (void)c;
  (void)ctx;
  (void)v;
}

typedef struct reads { hli_op store; bool found; } reads;
static void find_reads(ln *c, void *ctx, hli_value v) {
  reads *r = ctx;
  hli_op op = ln_def(c, v);
  if (op && c->src->ops.data[op].code == HLI_OP_LOAD && may_overlap(c, op, r->store)) r->found = true;
}

bool ln_reads_store(ln *c, const ln_root *r, hli_op store) {
  reads x = {.store = store};
  c->stamp++;
  walk_root(c, r, find_reads, &x);
  return x.found || ((r->kind == LN_STORE || r->kind == LN_ATOMIC) && may_overlap(c, r->op, store)); /* stores keep their order, too */
}

static bool writes(const ln *c, const ln_root *r, hli_op store) {
  const hli_block inside = r->op ? c->src->ops.data[r->op].region : 0;
  return r->op == store || (inside && ln_encloses(c, inside, c->src->ops.data[store].block));
}

bool ln_written_in(const ln *c, hli_op loop, hli_op load) {
  const hli_block inside = c->src->ops.data[loop].region;
  for (hli_op s = 1; s < c->src->ops.len; s++)
    if (ln_writes_memory(c, s) && ln_encloses(c, inside, c->src->ops.data[s].block) && may_overlap(c, load, s)) return true;
  return false;
}

bool ln_stays_behind(ln *c, const ln_root *later, const ln_root *earlier) {
  for (hli_op s = 1; s < c->src->ops.len; s++) {
    if (!ln_writes_memory(c, s)) continue;
    if ((writes(c, earlier, s) && ln_reads_store(c, later, s)) || (writes(c, later, s) && ln_reads_store(c, earlier, s))) return true;
  }
  return false;
}

bool ln_reads_result(ln *c, const ln_root *r, hli_value v) {
  c->stamp++;
  walk_root(c, r, ignore, NULL);
  return c->state[v].stamp == c->stamp;
}

static bool common_loop(const ln *c, hli_op a, hli_op b) {
  for (hli_op o = a; o;) {
    hli_block block = c->src->ops.data[o].block;
    o = c->src->blocks.data[block].parent;
    if (o && ln_encloses(c, block, c->src->ops.data[b].block)) return true;
  }
  return false;
}

/* Does a root behind op want v? */
static bool wanted_behind(ln *c, hli_op op, hli_value v) {
  for (hli_op o = hli_next(c->src, op); o; o = hli_next(c->src, o)) {
    if (!is_root_code(c->src->ops.data[o].code)) continue;
    c->stamp++;
    walk_op(c, o, ignore, NULL);
    if (c->state[v].stamp == c->stamp) return true;
  }
  return false;
}

/* Does anything take v's elements from other positions than its own, before a root makes something of them? */
static bool moves_elements(const ln *c, hli_value v, uint32_t depth) {
  for (uint32_t i = c->use_at[v]; i < c->use_at[v + 1]; i++) {
    const hli_op_data *o = &c->src->ops.data[c->uses[i]];
    if (is_root_code(o->code) || o->code == HLI_OP_YIELD) continue;
    const bool stays = ln_is_pointwise((hli_opcode)o->code) || o->code == HLI_OP_BROADCAST || o->code == HLI_OP_SQUEEZE;
    if (!stays || depth == 0 || moves_elements(c, o->results, depth - 1)) return true;
  }
  return false;
}

/* Must a load be kept at its place because a store may change what it reads before it is used?  Not if that
 * store touches the same elements, each is wanted where it stands, and nothing behind the store wants the load. */
static bool must_keep_load(ln *c, hli_op load, hli_block block) {
  for (hli_op s = 1; s < c->src->ops.len; s++) {
    if (!ln_writes_memory(c, s) || !may_overlap(c, load, s)) continue;
    if (c->order[s] < c->order[load] && !common_loop(c, load, s)) continue;
    if (!same_elements(c, load, s) || c->src->ops.data[s].block != block) return true;
    if (moves_elements(c, hli_result(c->src, load, 0), 24) || wanted_behind(c, s, hli_result(c->src, load, 0))) return true;
  }
  return false;
}

/* Do both stay within the row that the tile is at? */
static bool same_row(const ln *c, hli_op load, hli_op store, hli_value range) {
  hli_access a, b;
  hli_access_get(c->src, load, &a);
  hli_access_get(c->src, store, &b);
  for (uint32_t d = 0; a.base == b.base && range && d < a.rank; d++)
    if (a.kind[d] == 't' && b.kind[d] == 't' && a.index[d] == range && b.index[d] == range) return true;
  return false;
}

bool ln_may_share(ln *c) { return ln_may_share_row(c, 0); }

bool ln_may_share_row(ln *c, hli_value range) {
  for (hli_op s = 1; s < c->src->ops.len; s++) {
    if (!ln_writes_memory(c, s)) continue;
    for (hli_op o = 1; o < c->src->ops.len; o++) {
      uint16_t code = c->src->ops.data[o].code;
      if (c->src->ops.data[o].dead || o == s || (code != HLI_OP_LOAD && !ln_writes_memory(c, o))) continue;
      if (may_overlap(c, o, s) && !same_elements(c, o, s) && !same_row(c, o, s, range)) return false;
    }
  }
  return true;
}

/* ---- groups --------------------------------------------------------------------------------------- */

static bool is_simple(const ln_root *r) { return r->kind != LN_DOT && r->kind != LN_FOR && r->kind != LN_SCAN; }

typedef struct needs { const ln_roots *roots; uint32_t group; bool found; } needs;
static void find_needs(ln *c, void *ctx, hli_value v) {
  needs *n = ctx;
  hli_op op = ln_def(c, v);
  for (uint32_t i = 0; op && i < n->roots->len; i++) {
    const ln_root *r = &n->roots->data[i];
    n->found |= r->group == n->group && ((r->op == op && r->kind != LN_STORE) || (r->kind == LN_KEEP && r->value == v));
  }
}

/* Does root r read something that group g makes (results or stored elements)? */
static bool depends(ln *c, const ln_roots *roots, uint32_t group, const ln_root *r) {
  needs n = {roots, group, false};
  c->stamp++;
  walk_root(c, r, find_needs, &n);
  for (uint32_t i = 0; i < roots->len && !n.found; i++) {
    const ln_root *s = &roots->data[i];
    if (s->group != group || (s->kind != LN_STORE && s->kind != LN_ATOMIC)) continue;
    n.found |= ln_reads_store(c, r, s->op);
  }
  return n.found;
}

static bool can_join(ln *c, const ln_roots *roots, const ln_root *last, const ln_root *r) {
  if (!is_simple(last) || !is_simple(r) || last->rank != r->rank || !ln_same_dims(last->dims, r->dims, r->rank)) return false;
  if ((last->kind == LN_YIELD) != (r->kind == LN_YIELD)) return false;
  if ((last->kind == LN_ATOMIC) != (r->kind == LN_ATOMIC)) return false; /* a nest of scalars */
  uint32_t reduced = last->reduced, members = 1, accs = r->kind == LN_REDUCE ? ln_parts(c, r) : 0;
  for (uint32_t i = 0; i < roots->len; i++) {
    const ln_root *s = &roots->data[i];
    if (s->group != last->group) continue;
    members++;
    if (s->kind == LN_REDUCE) accs += ln_parts(c, s);
    if (s->reduced) reduced = s->reduced;
    if (s->kind == LN_KEEP && r->kind == LN_STORE && ln_reads_store(c, s, r->op)) return false; /* it is kept from that store */
  }
  if ((reduced && r->reduced && reduced != r->reduced) || members > LN_MAX_ROOTS / 2 || accs > LN_MAX_ACCS) return false;
  return !depends(c, roots, last->group, r);
}

/* May r move before s, that stands before it?  Not if one makes or overwrites what the other wants. */
static bool can_pass(ln *c, const ln_roots *roots, const ln_root *s, const ln_root *r) {
  if (!is_simple(s) || s->kind == LN_YIELD || depends(c, roots, s->group, r)) return false;
  return r->kind != LN_STORE || !ln_reads_store(c, s, r->op);
}

/* The last root of the group that r joins: the last group, or an earlier one when r can pass those behind it
 * (jsd stores the derivative behind the store of the sum: one walk over the rows does both); NULL: none. */
static const ln_root *group_for(ln *c, const ln_roots *roots, const ln_root *r) {
  for (uint32_t i = roots->len; i-- > 0;) {
    const ln_root *s = &roots->data[i];
    if (i + 1 == roots->len || roots->data[i + 1].group != s->group)
      if (can_join(c, roots, s, r)) return s;
    if ((r->kind != LN_STORE && r->kind != LN_REDUCE) || !can_pass(c, roots, s, r)) return NULL;
  }
  return NULL;
}

static void add_root(ln *c, ln_roots *roots, ln_root r) {
  const ln_root *join = group_for(c, roots, &r);
  const uint32_t at = join ? (uint32_t)(join - roots->data) + 1 : roots->len;
  r.group = join ? join->group : roots->len ? roots->data[roots->len - 1].group + 1 : 1;
  push(c, roots, r);
  if (ln_failed(c)) return;
  for (uint32_t i = roots->len - 1; i > at; i--)
    roots->data[i] = roots->data[i - 1];
  roots->data[at] = r;
}

/* ---- what is kept ------------------------------------------------------------------------------------ */

static uint32_t own_cost(const ln *c, hli_value v) {
  hli_op op = ln_def(c, v);
  return op && ln_is_pointwise((hli_opcode)c->src->ops.data[op].code) ? hli_op_facts((hli_opcode)c->src->ops.data[op].code)->cost : 0;
}

static uint32_t cost_of(const ln *c, hli_value v, uint32_t depth) {
  hli_op op = ln_def(c, v);
  uint32_t sum = own_cost(c, v);
  if (!op || !ln_is_lazy(c, v) || depth == 0) return sum;
  for (uint32_t i = 0; i < hli_operand_count(c->src, op) && sum < KEEP_COST; i++) {
    hli_value a = hli_operand(c->src, op, i);
    if (hli_type_of(c->src, a)->rank && !c->state[a].keep) sum += cost_of(c, a, depth - 1);
  }
  return sum;
}

static bool has_own_dims(ln *c, hli_value v, hli_block block) {
  const hli_type_data *t = hli_type_of(c->src, v);
  bool own = false;
  for (uint32_t d = 0; t->kind == HLI_TYPE_VALUE && d < t->rank; d++) {
    if (ln_shared_var(c, t->dims[d])) continue;
    if (ln_bound(c, ln_value_dim(c, v, d, block)) < 0) return false;
    own = true;
  }
  return own;
}

/* Roughly the instructions that a vector of v takes; gathered elements come one by one. */
static void add_weight(ln *c, void *ctx, hli_value v) {
  uint32_t *sum = ctx;
  hli_op op = ln_def(c, v);
  hli_access a;
  const hli_type_data *t = hli_type_of(c->src, v);
  if (!op || !ln_is_lazy(c, v) || t->kind != HLI_TYPE_VALUE || !t->rank) return;
  if (c->src->ops.data[op].code == HLI_OP_LOAD) {
    hli_access_get(c->src, op, &a);
    *sum += a.gathers ? GATHER_WEIGHT : 1;
  } else {
    *sum += HLI_MAX(own_cost(c, v), 1);
  }
}

/* Operands of a dot that are heavy to evaluate: packing them writes their expression out many times over. */
static void keep_heavy_operands(ln *c, hli_op dot, hli_block block) {
  for (uint32_t i = 0; i < 2; i++) {
    const hli_value v = hli_operand(c->src, dot, i);
    const hli_op op = ln_def(c, v);
    uint32_t weight = 0;
    if (!op || c->src->ops.data[op].block != block || !ln_is_lazy(c, v) || !has_own_dims(c, v, block)) continue;
    c->stamp++;
    walk(c, v, add_weight, &weight);
    if (weight > HEAVY) c->state[v].keep = true;
  }
}

typedef struct demand { hli_block block; uint32_t weight; } demand;
static void count_demand(ln *c, void *ctx, hli_value v) {
  const demand *d = ctx;
  hli_op op = ln_def(c, v);
  if (op && c->src->ops.data[op].block == d->block) c->state[v].wanted += d->weight;
}

/* Do all nests take v's elements in one and the same step?  Then they find it in registers. */
static bool is_one_step(ln *c, hli_value v, hli_block block) {
  const hli_type_data *t = hli_type_of(c->src, v);
  uint32_t own = 0;
  bool whole = true;
  for (uint32_t d = 0; d < t->rank; d++) {
    const uint8_t shared = ln_shared_var(c, t->dims[d]);
    if (shared) {
      whole &= !c->var[shared].lanes;
      continue;
    }
    whole &= ln_whole_lanes(c, ln_value_dim(c, v, d, block), 0, HL_F64) > 0;
    own++;
  }
  return whole && own == 1;
}

/* Values of this block that several groups want and that are costly. A `for` wants a value in every trip. */
static void decide_kept(ln *c, hli_block block, ln_roots *roots) {
  for (hli_op op = hli_first(c->src, block); op; op = hli_next(c->src, op))
    for (uint32_t i = 0; i < c->src->ops.data[op].result_count; i++)
      c->state[hli_result(c->src, op, i)].wanted = 0, c->state[hli_result(c->src, op, i)].keep = false;
  bool simple = true; /* a `for` or a dot takes steps of its own */
  for (uint32_t i = 0; i < roots->len; i++)
    simple &= is_simple(&roots->data[i]);
  for (uint32_t i = 0; i < roots->len;) {
    demand d = {block, roots->data[i].kind == LN_FOR ? 2 : 1};
    uint32_t group = roots->data[i].group;
    c->stamp++;
    for (; i < roots->len && roots->data[i].group == group; i++)
      walk_root(c, &roots->data[i], count_demand, &d);
  }
  for (hli_op op = hli_first(c->src, block); op; op = hli_next(c->src, op)) {
    if (c->src->ops.data[op].result_count != 1) continue;
    hli_value v = hli_result(c->src, op, 0);
    ln_state *s = &c->state[v];
    /* Only ops that cost something themselves: a broadcast of a kept value is free. */
    s->keep = s->wanted >= 2 && own_cost(c, v) && cost_of(c, v, 24) >= KEEP_COST && has_own_dims(c, v, block);
    if (s->keep && simple && is_one_step(c, v, block)) s->keep = false;
  }
  for (uint32_t i = 0; i < roots->len; i++)
    if (roots->data[i].kind == LN_DOT) keep_heavy_operands(c, roots->data[i].op, block);
}

typedef struct collect { hli_block block; ln_roots *out; } collect;
static void collect_kept(ln *c, void *ctx, hli_value v) {
  collect *x = ctx;
  if (c->state[v].keep && !ln_buffer_valid(c, v) && c->src->ops.data[ln_def(c, v)].block == x->block)
    push(c, x->out, root_of_value(c, LN_KEEP, v, 0, x->block));
}

void ln_wanted_kept(ln *c, const ln_root *r, hli_block block, ln_roots *out) {
  collect x = {block, out};
  c->stamp++;
  walk_root(c, r, collect_kept, &x);
}

/* ---- loads worth fetching ahead ------------------------------------------------------------------------- */

/* Smaller tensors are in the L2 cache anyway. */
#define AHEAD_BYTES ((int64_t)1 << 20)

static bool is_large(const ln *c, hli_value tensor) {
  const hli_type_data *t = hli_type_of(c->src, tensor);
  int64_t n = hl_dtype_size((hl_dtype)t->dtype);
  for (uint32_t d = 0; d < t->rank; d++) {
    int64_t size = c->src->dims.data[t->dims[d]].value;
    if (size < 0 || size > AHEAD_BYTES) return true;
    if ((n *= size) > AHEAD_BYTES) return true;
  }
  return false;
}

/* How far ahead of a walk its memory is asked for, for all of its loads together and for each: far enough to hide the
 * memory's latency where vectors cross cache lines and the hardware's own prefetching falls behind; near enough to be
 * still in the L1 cache when its turn comes. */
enum { AHEAD_TOGETHER = 16384, AHEAD_LEAST = 2048, AHEAD_MOST = 8192 };

typedef struct walked { const ln_roots *group; hli_value row; const ln_var *vector; } walked;

/* Walks along a row: an index is a dimension of the nest, or the shared vector, with stride 1; and another one the shared row,
 * where there is one. */
static void note_load(ln *c, void *ctx, hli_value v) {
  const walked *w = ctx;
  const ln_root *r = &w->group->data[0];
  hli_op op = ln_def(c, v);
  if (!op || c->src->ops.data[op].code != HLI_OP_LOAD || c->ahead_count == LN_AHEAD) return;
  hli_access a;
  hli_access_get(c->src, op, &a);
  bool by_row = !w->row, along = false;
  if (a.gathers) return;
  for (uint32_t d = 0; d < a.rank; d++) {
    if (a.kind[d] != 't') continue;
    by_row |= a.index[d] == w->row;
    along |= w->vector && a.index[d] == w->vector->dim.range && ln_access_score(c, op, &a, d, w->vector->dim.axis) > 0;
    for (uint32_t i = 0; i < r->rank; i++)
      along |= a.index[d] == r->dims[i].range && ln_access_score(c, op, &a, d, r->dims[i].axis) > 0;
  }
  if (hli_type_of(c->src, v)->rank < hli_type_of(c->src, r->value)->rank) return; /* used again and again */
  if (by_row && along && !a.mask && is_large(c, a.base)) c->ahead[c->ahead_count++] = op;
}

/* Bytes of the longest row among the loads; 0: not known. */
static int64_t row_bytes(ln *c, const ln_roots *group) {
  int64_t most = 0, lanes = 1;
  for (uint32_t i = 0; i < group->data[0].rank; i++)
    lanes = lanes < 0 ? -1 : HLI_MAX(ln_bound(c, group->data[0].dims[i]), -1) * lanes;
  for (uint32_t i = 0; i < c->ahead_count; i++)
    most = HLI_MAX(most, lanes * (int64_t)hl_dtype_size(hli_dtype_of(c->src, hli_result(c->src, c->ahead[i], 0))));
  return HLI_MAX(most, 0);
}

/* A walk that stores what it loads and hardly computes is as fast as the memory already, unless its vectors cross lines. */
static bool gains(const ln *c, const ln_roots *group) {
  for (uint32_t i = 0; i < group->len; i++)
    if (cost_of(c, group->data[i].value, 24) >= KEEP_COST) return true;
  for (uint32_t i = 0; i < c->ahead_count; i++)
    if (ln_crosses_lines(c, c->ahead[i])) return true;
  return false;
}

void ln_loads_from_memory(ln *c, const ln_roots *group, bool walked_again) {
  walked w = {group, 0, NULL};
  const ln_var *inner = c->shared_count ? &c->var[c->shared[c->shared_count - 1]] : NULL;
  c->ahead_count = 0;
  if (inner && inner->lanes) w.vector = inner;
  else if (inner) w.row = inner->dim.range;
  if ((inner && !inner->dim.range) || (walked_again && !w.row) || (w.vector && group->data[0].rank)) return;
  c->stamp++;
  for (uint32_t i = 0; i < group->len; i++)
    walk_root(c, &group->data[i], note_load, &w);
  if (w.vector && !gains(c, group)) c->ahead_count = 0;
  if (!c->ahead_count) return;
  const int64_t row = row_bytes(c, group);
  int64_t bytes = AHEAD_TOGETHER / c->ahead_count;
  bytes = HLI_MAX(AHEAD_LEAST, HLI_MIN(bytes, AHEAD_MOST));
  c->ahead_rows = w.row && row > 0 ? (bytes + row - 1) / row : walked_again;
  c->ahead_bytes = 0;
  if (!walked_again && (!w.row || row == 0 || row >= bytes)) c->ahead_rows = 0, c->ahead_bytes = bytes;
}

/* ---- the plan ------------------------------------------------------------------------------------------ */

void ln_plan(ln *c, hli_block block, const hli_value *yields, const hli_value *targets, uint32_t n, ln_roots *roots) {
  for (hli_op op = hli_first(c->src, block); op && !ln_failed(c); op = hli_next(c->src, op)) {
    const hli_op_data o = c->src->ops.data[op];
    bool root = is_root_code(o.code) && (ln_writes_memory(c, op) || ln_is_loop(o.code) || any_used(c, op));
    if (root) add_root(c, roots, root_of(c, op, block));
    else if (o.code == HLI_OP_LOAD && ln_is_used(c, o.results) && must_keep_load(c, op, block))
      add_root(c, roots, root_of_value(c, LN_KEEP, o.results, 0, block));
  }
  for (uint32_t i = 0; i < n; i++)
    add_root(c, roots, root_of_value(c, LN_YIELD, yields[i], targets[i], block));
  decide_kept(c, block, roots);
}

/* ---- which dimension becomes the vector --------------------------------------------------------------- */

typedef struct scorer { double *score; uint32_t rank; } scorer;

/* Stride 1 is good; any other stride needs a gather; twice in one access cannot be a vector. */
static void score_access(ln *c, const scorer *s, hli_op op, const uint8_t *at) {
  hli_access a;
  uint32_t seen = 0;
  hli_access_get(c->src, op, &a);
  for (uint32_t d = 0; d < a.rank; d++) {
    if (a.kind[d] != 't') continue;
    uint32_t id = at[a.value_dim[d]];
    if (!id || id > s->rank) continue;
    s->score[id - 1] += seen >> id & 1 ? LN_NEVER : ln_access_score(c, op, &a, d, hli_type_of(c->src, a.index[d])->dims[0]);
    seen |= 1u << id;
  }
  for (uint32_t d = 0; d < a.rank; d++) {
    const hli_type_data *t = hli_type_of(c->src, a.index[d]);
    for (uint32_t j = 0; a.kind[d] == 'g' && j < t->rank; j++) {
      uint32_t id = at[a.gather[d][j]];
      if (id && id <= s->rank) s->score[id - 1] += ln_access_score(c, op, &a, d, t->dims[j]);
    }
  }
}

static void score_value(ln *c, const scorer *s, hli_value v, const uint8_t *at, uint32_t depth);

/* Integer tiles are loaded themselves. */
static void score_indices(ln *c, const scorer *s, hli_op op, const uint8_t *at, uint32_t depth) {
  hli_access a;
  hli_access_get(c->src, op, &a);
  for (uint32_t d = 0; d < a.rank; d++) {
    uint8_t inner[HL_MAX_RANK] = {0};
    if (a.kind[d] != 'g') continue;
    for (uint32_t j = 0; j < hli_type_of(c->src, a.index[d])->rank; j++)
      inner[j] = at[a.gather[d][j]];
    score_value(c, s, a.index[d], inner, depth - 1);
  }
}

static void score_value(ln *c, const scorer *s, hli_value v, const uint8_t *at, uint32_t depth) {
  hli_op op = ln_def(c, v);
  if (!op || depth == 0 || c->state[v].stamp == c->stamp) return;
  c->state[v].stamp = c->stamp;
  const hli_type_data *t = hli_type_of(c->src, v);
  if (!ln_is_lazy(c, v) || ln_buffer_valid(c, v)) { /* its buffer is row-major */
    for (uint32_t d = 0; d < t->rank; d++)
      if (at[d] && at[d] <= s->rank) s->score[at[d] - 1] += d + 1 == t->rank ? 1 : 0;
    return;
  }
  uint16_t code = c->src->ops.data[op].code;
  for (uint32_t d = 0; code == HLI_OP_GATHER && d < t->rank; d++) /* one by one */
    if (at[d] && at[d] <= s->rank) s->score[at[d] - 1] += LN_NEVER;
  if (code == HLI_OP_LOAD) {
    score_access(c, s, op, at);
    score_indices(c, s, op, at, depth);
  }
  if (code == HLI_OP_RESHAPE) {
    uint8_t inner[HL_MAX_RANK] = {0};
    uint32_t barred;
    ln_reshape_at(c, op, at, inner, &barred);
    for (uint32_t d = 0; d < t->rank; d++)
      if (barred >> d & 1 && at[d] && at[d] <= s->rank) s->score[at[d] - 1] += LN_NEVER;
    score_value(c, s, hli_operand(c->src, op, 0), inner, depth - 1);
  }
  bool shape = code == HLI_OP_BROADCAST || code == HLI_OP_TRANSPOSE || code == HLI_OP_SQUEEZE;
  for (uint32_t i = 0; (shape || ln_is_pointwise((hli_opcode)code)) && i < hli_operand_count(c->src, op); i++) {
    uint8_t inner[HL_MAX_RANK] = {0};
    hli_value a = ln_source_at(c, op, i, at, inner);
    score_value(c, s, a, inner, depth - 1);
  }
}

uint32_t ln_score(ln *c, const ln_root *roots, uint32_t n, double *score) {
  scorer s = {score, roots[0].rank};
  for (uint32_t d = 0; d < s.rank; d++) {
    int64_t bound = ln_bound(c, roots[0].dims[d]);
    score[d] = bound == 1 ? LN_NEVER : 0;
  }
  for (uint32_t i = 0; i < n; i++) {
    uint8_t at[HL_MAX_RANK] = {0};
    uint32_t next = 1;
    const ln_root *r = &roots[i];
    hli_value shape = r->target ? r->target : r->value;
    for (uint32_t d = 0; d < hli_type_of(c->src, shape)->rank; d++)
      at[d] = ln_shared_var(c, hli_type_of(c->src, shape)->dims[d]) ? 0 : (uint8_t)next++;
    c->stamp++;
    if (r->kind == LN_STORE) score_access(c, &s, r->op, at);
    for (uint32_t p = 0; p < ln_parts(c, r); p++)
      score_value(c, &s, ln_part(c, r, p), at, 64);
  }
  uint32_t best = 0;
  for (uint32_t d = 1; d < s.rank; d++)
    if (score[d] >= score[best]) best = d;
  return best;
}
