/* stage.c: loads of a loop that feed a dot go through a ring of shared buffers, fetched ahead.
 *
 * Owner of num_stages.  With S stages the copy for iteration n + S - 1 is started in iteration n; one barrier per
 * iteration both publishes what has arrived and keeps a slot from being overwritten while it is read.
 *
 *   %r = for %b, %e, %s, %acc0 (%iv, %acc) {        %x = shared {slots = 3}
 *     %k = range %iv, %e                            async_copy %p[%i, range %b] -> %x slot 0;  async_commit
 *     %v = load %p[%i, %k]                          async_copy %p[%i, range %b + %s] -> %x slot 1;  async_commit
 *     %o = convert %v                         ->    %r = for %b, %e, %s, %acc0, 0 (%iv, %acc, %slot) {
 *     %d = mma %o, ...                                async_wait {pending = 1};  barrier
 *     yield %d                                        async_copy %p[%i, range %iv + 2 %s] -> %x slot %slot - 1
 *   }                                                 async_commit
 *                                                     %o = shared_load %x, %slot
 *                                                     %d = mma %o, ...
 *                                                     yield %d, %slot + 1
 *                                                   }
 *                                                   async_wait {pending = 0}
 *
 * Copies beyond the loop's end bring zeros and touch no memory: their ranges are empty.  Where rows are not aligned
 * for asynchronous copies (or the target has none), two slots are filled through registers: load for the next
 * iteration before the dot, shared_store behind it.  With one stage nothing is done here: `lane` makes converts into
 * round trips. */
#include "src/pass/stage.h"

typedef struct stager {
  hli_pass_env *env;
  const hl_kernel *src;
  hl_kernel *dst;
  hli_value *map;   /* source -> new */
  hli_value *ahead; /* the same for an iteration ahead; only what it needs */
  int64_t stages;
} stager;

typedef struct ring {
  const hli_stage_loop *find;
  uint32_t stages;
  hli_value buffer[HLI_STAGE_LOADS];
  hli_value begin, step;           /* new values */
  hli_value next[HLI_STAGE_LOADS]; /* loaded through registers */
} ring;

static void walk(stager *s, hli_cursor *c, hli_block from);
static void walk_one(stager *s, hli_cursor *c, hli_op op);

/* ---- small ops ----------------------------------------------------------------------------- */

static void sync_op(hli_cursor *c, hli_opcode code, int64_t pending) {
  if (!hli_op_create(c, &(hli_op_desc){.code = code, .attrs = &pending, .attr_len = {code == HLI_OP_ASYNC_WAIT}}))
    c->k->failed = true;
}

static hli_value add(hli_cursor *c, hli_value a, hli_value b) {
  return hli_make_binary(c, HLI_OP_ADD, a, b);
}
static hli_value times(hli_cursor *c, hli_value a, int64_t n) {
  return hli_make_binary(c, HLI_OP_MUL, a, hli_make_i64(c, n));
}

/* x == at ? then : x + delta */
static hli_value wrap(hli_cursor *c, hli_value x, int64_t at, int64_t then, int64_t delta) {
  const hli_value hit = hli_make_binary(c, HLI_OP_EQ, x, hli_make_i64(c, at));
  return hli_make_where(c, hit, hli_make_i64(c, then), add(c, x, hli_make_i64(c, delta)));
}

/* ---- addresses of another iteration ------------------------------------------------------------ */

/* Source value v for the iteration whose induction variable is `iv`; what the loop does not change is shared. */
static hli_value at_iteration(stager *s, hli_cursor *c, hli_op loop, hli_value v, hli_value iv) {
  const hl_kernel *k = s->src;
  if (!hli_stage_inside(k, loop, v))
    return s->map[v];
  if (v == hli_block_arg(k, k->ops.data[loop].region, 0))
    return iv;
  if (s->ahead[v])
    return s->ahead[v];
  const hli_op op = k->values.data[v].def;
  for (uint32_t i = 0; i < hli_operand_count(k, op); i++) {
    const hli_value x = hli_operand(k, op, i);
    s->ahead[x] = at_iteration(s, c, loop, x, iv);
  }
  hli_op_clone(c, k, op, s->ahead);
  return s->ahead[v];
}

/* By the constants alone: a prologue runs even where the loop does not. */
static bool certainly_inside(const hl_kernel *k, hli_value tile) {
  const hli_op op = k->values.data[tile].def;
  hli_scalar b, e;
  if (!op || k->ops.data[op].code != HLI_OP_RANGE)
    return false;
  return hli_const_value(k, hli_operand(k, op, 0), &b) && hli_const_value(k, hli_operand(k, op, 1), &e) &&
         e.i - b.i >= hli_axis_lanes(k, hli_type_of(k, tile)->dims[0]);
}

/* Per dimension of the access: 0 inside for certain, 1 check every element, 2 wholly inside or wholly outside. */
static void checks(const stager *s, hli_op load, const hli_access *a, const hli_value *index, int64_t *check) {
  for (uint32_t d = 0; d < a->rank; d++) {
    check[d] = a->kind[d] == 't' && a->check[d];
    if (a->kind[d] != 't' || check[d] || index[d] == s->map[a->index[d]] || certainly_inside(s->dst, index[d]))
      continue;
    check[d] = hli_attr_or(s->src, load, 2, d, 1) == 0 ? 2 : 1;
  }
}

typedef struct fetch {
  hli_access a;
  hli_value operands[HLI_MAX_OPERANDS];
  uint32_t n; /* operands: base and indices */
  int64_t check[HL_MAX_RANK];
} fetch;

static void fetch_at(stager *s, hli_cursor *c, const ring *r, uint32_t i, hli_value iv, fetch *f) {
  const hli_op load = r->find->load[i].load;
  hli_value index[HL_MAX_RANK] = {0};
  hli_access_get(s->src, load, &f->a);
  f->n = 0;
  f->operands[f->n++] = s->map[f->a.base];
  for (uint32_t d = 0; d < f->a.rank; d++)
    f->operands[f->n++] = index[d] = at_iteration(s, c, r->find->loop, f->a.index[d], iv);
  checks(s, load, &f->a, index, f->check);
}

static void forget_ahead(stager *s) {
  memset(s->ahead, 0, s->src->values.len * sizeof *s->ahead);
}

static void copy_async(stager *s, hli_cursor *c, const ring *r, uint32_t i, hli_value iv, hli_value slot) {
  fetch f;
  int64_t ints[2 * HL_MAX_RANK + 1];
  fetch_at(s, c, r, i, iv, &f);
  const uint32_t rank = f.a.rank;
  f.operands[f.n++] = r->buffer[i];
  f.operands[f.n++] = slot;
  for (uint32_t d = 0; d < rank; d++) {
    ints[d] = f.a.kind[d];
    ints[rank + 1 + d] = f.check[d];
  }
  ints[rank] = hli_type_of(s->src, f.a.value)->layout;
  if (!hli_op_create(c, &(hli_op_desc){.code = HLI_OP_ASYNC_COPY,
                                       .operands = f.operands,
                                       .operand_count = f.n,
                                       .attrs = ints,
                                       .attr_len = {rank, 1, rank}}))
    c->k->failed = true;
}

static hli_value load_plain(stager *s, hli_cursor *c, const ring *r, uint32_t i, hli_value iv) {
  fetch f;
  int64_t ints[2 * HL_MAX_RANK];
  fetch_at(s, c, r, i, iv, &f);
  const uint32_t rank = f.a.rank;
  for (uint32_t d = 0; d < rank; d++) {
    ints[d] = f.a.kind[d];
    ints[rank + d] = f.check[d];
  }
  const hli_type t = s->src->values.data[f.a.value].type;
  const hli_op op = hli_op_create(c, &(hli_op_desc){.code = HLI_OP_LOAD,
                                                    .operands = f.operands,
                                                    .operand_count = f.n,
                                                    .results = &t,
                                                    .result_count = 1,
                                                    .attrs = ints,
                                                    .attr_len = {rank, 0, rank}});
  if (!op)
    c->k->failed = true;
  return op ? hli_result(c->k, op, 0) : 0;
}

static void store_shared(hli_cursor *c, hli_value buffer, hli_value slot, hli_value v) {
  const hli_value operands[3] = {buffer, slot, v};
  if (!v || !hli_op_create(c, &(hli_op_desc){.code = HLI_OP_SHARED_STORE, .operands = operands, .operand_count = 3}))
    c->k->failed = true;
}

/* ---- the ring ------------------------------------------------------------------------------------ */

static hli_value make_buffer(stager *s, hli_cursor *c, const hli_stage_load *l, uint32_t stages) {
  hl_kernel *k = s->dst;
  const hli_type_data t = *hli_type_of(s->src, hli_result(s->src, l->load, 0));
  hli_shared_use use[1 + HLI_STAGE_READS];
  int64_t shape[HLI_LAYOUT_RANK], slots = stages;
  hli_layout swizzle;
  for (uint32_t d = 0; d < t.rank; d++)
    shape[d] = hli_axis_lanes(s->src, t.dims[d]);
  use[0] = (hli_shared_use){.layout = &s->src->layouts.data[t.layout]};
  for (uint32_t i = 0; i < l->reads; i++)
    use[1 + i] = (hli_shared_use){.layout = &s->src->layouts.data[hli_type_of(s->src, l->read[i].value)->layout],
                                  .perm = l->read[i].permuted ? l->read[i].perm : NULL,
                                  .matrix = true};
  hli_swizzle_choose(shape, t.rank, hl_dtype_size((hl_dtype)t.dtype), use, 1 + l->reads, &swizzle);
  const hli_type type =
      hli_type_with_layout(k, hli_type_buffer(k, (hl_dtype)t.dtype, shape, t.rank), hli_layout_intern(k, &swizzle));
  const hli_op op = hli_op_create(
      c, &(hli_op_desc){.code = HLI_OP_SHARED, .results = &type, .result_count = 1, .attrs = &slots, .attr_len = {1}});
  if (!op)
    k->failed = true;
  return op ? hli_result(k, op, 0) : 0;
}

static hli_value read_shared(stager *s, hli_cursor *c, hli_value buffer, hli_value slot, const hli_stage_read *read) {
  const hli_type t = s->src->values.data[read->value].type;
  int64_t perm[HLI_LAYOUT_RANK];
  for (uint32_t i = 0; i < HLI_LAYOUT_RANK; i++)
    perm[i] = read->perm[i];
  const hli_value operands[2] = {buffer, slot};
  const hli_op op = hli_op_create(c, &(hli_op_desc){.code = HLI_OP_SHARED_LOAD,
                                                    .operands = operands,
                                                    .operand_count = 2,
                                                    .results = &t,
                                                    .result_count = 1,
                                                    .attrs = perm,
                                                    .attr_len = {read->permuted ? hli_type_get(s->src, t)->rank : 0}});
  if (!op)
    c->k->failed = true;
  return op ? hli_result(c->k, op, 0) : 0;
}

static void fetch_stage(stager *s, hli_cursor *c, ring *r, hli_value iv, hli_value slot) {
  forget_ahead(s);
  for (uint32_t i = 0; i < r->find->loads; i++) {
    if (r->find->async)
      copy_async(s, c, r, i, iv, slot);
    else
      r->next[i] = load_plain(s, c, r, i, iv);
  }
  if (r->find->async)
    sync_op(c, HLI_OP_ASYNC_COMMIT, 0);
}

static void store_stage(hli_cursor *c, const ring *r, hli_value slot) {
  for (uint32_t i = 0; i < r->find->loads; i++)
    store_shared(c, r->buffer[i], slot, r->next[i]);
}

/* begin + n step, folded where it is constant: checks are dropped by it. */
static hli_value ahead_of(hli_cursor *c, hli_value begin, hli_value step, int64_t n) {
  hli_scalar b, d;
  if (hli_const_value(c->k, begin, &b) && hli_const_value(c->k, step, &d))
    return hli_make_i64(c, b.i + n * d.i);
  return n ? add(c, begin, times(c, step, n)) : begin;
}

static void prologue(stager *s, hli_cursor *c, ring *r) {
  for (uint32_t i = 0; i < r->find->loads; i++)
    r->buffer[i] = make_buffer(s, c, &r->find->load[i], r->stages);
  for (uint32_t n = 0; n + 1 < r->stages; n++)
    fetch_stage(s, c, r, ahead_of(c, r->begin, r->step, n), hli_make_i64(c, n));
  if (!r->find->async)
    store_stage(c, r, hli_make_i64(c, 0));
}

/* The staged load or the convert of it that `op` is; NULL: an ordinary op. */
static const hli_stage_read *staged(const ring *r, const hl_kernel *k, hli_op op, uint32_t *which, bool *skip) {
  *skip = false;
  for (uint32_t i = 0; i < r->find->loads; i++) {
    const hli_stage_load *l = &r->find->load[i];
    *which = i;
    if (l->load == op)
      *skip = true;
    for (uint32_t j = 0; j < l->reads; j++) {
      if (l->read[j].skip == op)
        *skip = true;
      if (k->values.data[l->read[j].value].def == op)
        return &l->read[j];
    }
    if (*skip)
      return NULL;
  }
  return NULL;
}

static void clone_staged(stager *s, hli_cursor *c, ring *r, hli_value slot) {
  const hl_kernel *k = s->src;
  for (hli_op op = hli_first(k, k->ops.data[r->find->loop].region); op && !s->dst->failed; op = hli_next(k, op)) {
    uint32_t which;
    bool skip;
    if (k->ops.data[op].code == HLI_OP_YIELD)
      continue;
    const hli_stage_read *read = staged(r, k, op, &which, &skip);
    if (read)
      s->map[read->value] = read_shared(s, c, r->buffer[which], slot, read);
    else if (!skip)
      walk_one(s, c, op);
  }
}

static void body(stager *s, hli_cursor *c, ring *r, hli_value iv, hli_value slot) {
  const int64_t last = (int64_t)r->stages - 1;
  if (r->find->async)
    sync_op(c, HLI_OP_ASYNC_WAIT, last - 1);
  sync_op(c, HLI_OP_BARRIER, 0);
  const hli_value free_slot = wrap(c, slot, 0, last, -1);
  fetch_stage(s, c, r, add(c, iv, times(c, r->step, last)), free_slot);
  clone_staged(s, c, r, slot);
  if (!r->find->async)
    store_stage(c, r, free_slot);
}

static void clone_ring(stager *s, hli_cursor *c, ring *r) {
  const hl_kernel *k = s->src;
  const hli_op loop = r->find->loop;
  const hli_block from = k->ops.data[loop].region;
  const uint32_t n = k->ops.data[loop].result_count;
  hli_value carried[HLI_MAX_OPERANDS], next[HLI_MAX_OPERANDS];
  r->begin = s->map[hli_operand(k, loop, 0)];
  r->step = s->map[hli_operand(k, loop, 2)];
  prologue(s, c, r);
  for (uint32_t i = 0; i < n; i++)
    carried[i] = s->map[hli_operand(k, loop, 3 + i)];
  carried[n] = hli_make_i64(c, 0);
  const hli_for f = hli_make_for(c, r->begin, s->map[hli_operand(k, loop, 1)], r->step, carried, n + 1);
  if (!f.op) {
    s->dst->failed = true;
    return;
  }
  hli_cursor in = {.k = s->dst, .block = f.body, .file = c->file, .line = c->line};
  s->map[hli_block_arg(k, from, 0)] = f.iv;
  for (uint32_t i = 0; i < n; i++)
    s->map[hli_block_arg(k, from, 1 + i)] = hli_block_arg(s->dst, f.body, 1 + i);
  const hli_value slot = hli_block_arg(s->dst, f.body, 1 + n);
  hli_value_set_name(s->dst, slot, "slot");
  body(s, &in, r, f.iv, slot);
  const hli_op yield = k->blocks.data[from].last;
  for (uint32_t i = 0; i < n; i++)
    next[i] = s->map[hli_operand(k, yield, i)];
  next[n] = wrap(&in, slot, (int64_t)r->stages - 1, 0, 1);
  hli_make_yield(&in, next, n + 1);
  for (uint32_t i = 0; i < n; i++)
    s->map[hli_result(k, loop, i)] = hli_result(s->dst, f.op, i);
  if (r->find->async)
    sync_op(c, HLI_OP_ASYNC_WAIT, 0);
}

/* ---- the walk -------------------------------------------------------------------------------------- */

/* Stages that fit: the knob, the shared memory, and no more than there are iterations. */
static uint32_t stage_count(const stager *s, const hli_stage_loop *find) {
  const hl_kernel *k = s->src;
  hli_scalar b, e, step;
  int64_t bytes = 0, n = s->stages;
  for (uint32_t i = 0; i < find->loads; i++)
    bytes += find->load[i].bytes;
  if (bytes == 0)
    return 0;
  n = HLI_MIN(n, (int64_t)s->env->target->shared_bytes / bytes);
  if (hli_const_value(k, hli_operand(k, find->loop, 0), &b) && hli_const_value(k, hli_operand(k, find->loop, 1), &e) &&
      hli_const_value(k, hli_operand(k, find->loop, 2), &step) && step.i > 0)
    n = HLI_MIN(n, e.i > b.i ? hli_ceil_div(e.i - b.i, step.i) : 0);
  return (uint32_t)(find->async ? n : HLI_MIN(n, 2));
}

static void clone_loop(stager *s, hli_cursor *c, hli_op op) {
  const hl_kernel *k = s->src;
  const hli_op_data *o = hli_op_get(k, op);
  const hli_region_form form = hli_region_form_of(k, op);
  const uint32_t count = hli_operand_count(k, op), n = o->result_count;
  hli_value operands[HLI_MAX_OPERANDS], next[HLI_MAX_OPERANDS];
  for (uint32_t i = 0; i < count; i++)
    operands[i] = s->map[hli_operand(k, op, i)];
  const bool counts = o->code == HLI_OP_FOR;
  const hli_op made = counts ? hli_make_for(c, operands[0], operands[1], operands[2], operands + 3, n).op
                             : hli_make_region(c, (hli_opcode)o->code, operands, count, n);
  if (!made) {
    s->dst->failed = true;
    return;
  }
  if (counts && hli_attr_len(k, op, 0))
    hli_op_set_attr(s->dst, made, 0, (int64_t[]){hli_attr(k, op, 0, 0)}, 1);
  const hli_block body = s->dst->ops.data[made].region;
  hli_cursor in = {.k = s->dst, .block = body, .file = c->file, .line = c->line};
  for (uint32_t i = 0; i < form.args + n; i++)
    s->map[hli_block_arg(k, o->region, i)] = hli_block_arg(s->dst, body, i);
  walk(s, &in, o->region);
  const hli_op yield = k->blocks.data[o->region].last;
  for (uint32_t i = 0; i < form.yields + n; i++)
    next[i] = s->map[hli_operand(k, yield, i)];
  hli_make_yield(&in, next, form.yields + n);
  for (uint32_t i = 0; i < n; i++)
    s->map[hli_result(k, op, i)] = hli_result(s->dst, made, i);
}

static void walk_one(stager *s, hli_cursor *c, hli_op op) {
  hli_stage_loop find;
  if (s->src->ops.data[op].code == HLI_OP_WHILE) {
    clone_loop(s, c, op);
    return;
  }
  if (s->src->ops.data[op].code != HLI_OP_FOR) {
    hli_op_clone(c, s->src, op, s->map);
    return;
  }
  hli_stage_find(s->src, s->env->target, op, &find);
  ring r = {.find = &find, .stages = stage_count(s, &find)};
  if (r.stages >= 2)
    clone_ring(s, c, &r);
  else
    clone_loop(s, c, op);
}

static void walk(stager *s, hli_cursor *c, hli_block from) {
  for (hli_op op = hli_first(s->src, from); op && !s->dst->failed; op = hli_next(s->src, op)) {
    c->file = hli_intern(s->dst, hli_str(s->src->ops.data[op].file));
    c->line = s->src->ops.data[op].line;
    if (s->src->ops.data[op].code != HLI_OP_YIELD)
      walk_one(s, c, op);
  }
}

hl_status hli_pass_stage(hli_pass_env *env, hl_kernel **pk) {
  const hl_kernel *k = *pk;
  stager s = {.env = env, .src = k, .stages = hli_config_value(env->config, HLI_KNOB_NUM_STAGES, 0, 3)};
  hli_arena arena;
  hli_arena_init(&arena, env->alloc);
  s.map = hli_arena_array(&arena, hli_value, k->values.len);
  s.ahead = hli_arena_array(&arena, hli_value, k->values.len);
  s.dst = hli_kernel_clone_header(k, HLI_STAGE_LANE);
  if (s.dst && s.map && s.ahead) {
    hli_cursor c = {.k = s.dst, .block = s.dst->body, .file = ""};
    for (uint32_t i = 0; i < k->params.len; i++)
      s.map[k->params.data[i].value] = s.dst->params.data[i].value;
    walk(&s, &c, k->body);
  }
  const bool failed = !s.dst || arena.failed || s.dst->failed;
  hli_arena_free(&arena);
  if (failed) {
    hl_kernel_destroy(s.dst);
    return hli_fail_memory(env->diag, "staging a kernel");
  }
  hl_kernel_destroy(*pk);
  *pk = s.dst;
  return hli_pass_simplify(env, pk);
}
