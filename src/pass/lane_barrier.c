/* lane_barrier.c: inserts the barriers that memory shared by a block's threads needs: shared buffers, and tensors
 * that the kernel writes.
 *
 * Walks the ops with the set of accesses since the last barrier.  An access that meets one of them in
 * overlapping memory, where one of the two writes, gets a barrier before it.  A loop is walked twice, the second
 * time with what its own end leaves behind, so that an iteration is safe from the one before.
 * An asynchronous copy stays in the set until it has been waited for.
 * Two exceptions: accesses to a ring (a buffer with several slots) within one loop body are in order already, `stage`
 * has put its barrier there, and so are reads of what its prologue copies; and accesses of a tensor at the same indices
 * in the same layout without copies stay within each thread.
 *
 *   store %x[%i, %c], %s                       store %x[%i, %c], %s
 *   %b = load %x[%i, %c] : f32[$i, $N]#2  ->   barrier
 *                                              %b = load %x[%i, %c] : f32[$i, $N]#2 */
#include "src/pass/lane.h"

typedef struct pending {
  const hli_lane_buffer *buffer; /* shared memory; or */
  hli_value tensor;
  hli_op op;
  hli_block block;
  bool write, ring;
  bool older;  /* of an earlier iteration */
  bool flying; /* an asynchronous copy that no async_wait has covered: barriers pass it by */
} pending;

typedef struct state {
  HLI_VEC(pending) list;
} state;

typedef struct inserter {
  hl_kernel *k;
  const hli_lane_memory *m;
  bool failed;
} inserter;

static void add(inserter *n, state *s, pending p) {
  for (uint32_t i = 0; i < s->list.len; i++) {
    const pending *q = &s->list.data[i];
    if (q->op == p.op && q->older == p.older)
      return;
  }
  if (!hli_vec_push(n->k->alloc, &s->list, p))
    n->failed = true;
}

/* ---- tensors ---------------------------------------------------------------------------- */

static const hli_param *param_of(const hl_kernel *k, hli_value tensor, uint32_t *index) {
  for (*index = 0; *index < k->params.len; ++*index)
    if (k->params.data[*index].value == tensor)
      return &k->params.data[*index];
  return NULL;
}

static bool same_storage(const hl_kernel *k, hli_value a, hli_value b) {
  uint32_t i, j;
  const hli_param *p = param_of(k, a, &i), *q = param_of(k, b, &j);
  return a == b || (p && q && ((p->may_alias >> j) & 1 || (q->may_alias >> i) & 1));
}

static bool has_copies(const hl_kernel *k, hli_value v) {
  hli_digits d;
  if (hli_type_of(k, v)->rank == 0 || !hli_layout_digits(&k->layouts.data[hli_type_of(k, v)->layout], &d))
    return true;
  for (uint32_t i = 0; i < d.n; i++)
    if (d.d[i].dim < 0)
      return true;
  return false;
}

/* Does every thread touch the same elements in both accesses? */
static bool same_places(const hl_kernel *k, const pending *q, const pending *p) {
  hli_access a, b;
  hli_access_get(k, q->op, &a);
  hli_access_get(k, p->op, &b);
  if (a.base != b.base || a.rank != b.rank || a.gathers || b.gathers || hli_type_of(k, a.value)->layout != hli_type_of(k, b.value)->layout ||
      has_copies(k, a.value))
    return false;
  for (uint32_t d = 0; d < a.rank; d++) {
    if (a.kind[d] != b.kind[d] || a.index[d] != b.index[d])
      return false;
    const hli_op def = k->values.data[a.index[d]].def;
    if (q->older && (!def || k->ops.data[def].block != k->body))
      return false; /* may have moved on */
  }
  return true;
}

/* ---- conflicts -------------------------------------------------------------------------------- */

static bool meet(const hl_kernel *k, const pending *q, const pending *p) {
  if ((!q->write && !p->write) || !q->buffer != !p->buffer)
    return false;
  if (k->ops.data[q->op].code == HLI_OP_ATOMIC && k->ops.data[p->op].code == HLI_OP_ATOMIC)
    return false; /* no order between them is promised */
  if (!p->buffer)
    return same_storage(k, q->tensor, p->tensor) && !same_places(k, q, p);
  if (q->buffer == p->buffer && p->ring && (q->block == p->block || q->flying))
    return false;
  return q->buffer->begin < p->buffer->begin + p->buffer->size && p->buffer->begin < q->buffer->begin + q->buffer->size;
}

static bool conflict(const hl_kernel *k, const state *s, const pending *p) {
  for (uint32_t i = 0; i < s->list.len; i++)
    if (meet(k, &s->list.data[i], p))
      return true;
  return false;
}

static const hli_lane_buffer *buffer_of(const inserter *n, hli_value v) {
  for (uint32_t i = 0; i < n->m->buffers.len; i++)
    if (n->m->buffers.data[i].value == v)
      return &n->m->buffers.data[i];
  return NULL;
}

/* After a barrier. */
static void clear(state *s) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < s->list.len; i++)
    if (s->list.data[i].flying)
      s->list.data[kept++] = s->list.data[i];
  s->list.len = kept;
}

/* After an async_wait for everything. */
static void land(state *s) {
  for (uint32_t i = 0; i < s->list.len; i++)
    s->list.data[i].flying = false;
}

static void walk(inserter *n, state *s, hli_block b);

static void walk_loop(inserter *n, state *s, hli_block region) {
  state before = {0};
  for (uint32_t i = 0; i < s->list.len; i++)
    add(n, &before, s->list.data[i]);
  walk(n, s, region);
  for (uint32_t i = 0; i < before.list.len; i++)
    add(n, s, before.list.data[i]); /* the loop may not run at all */
  state again = {0};
  for (uint32_t i = 0; i < s->list.len; i++) {
    pending p = s->list.data[i];
    p.older = true;
    add(n, &again, p);
  }
  walk(n, &again, region);
  for (uint32_t i = 0; i < again.list.len; i++)
    add(n, s, again.list.data[i]);
  hli_vec_free(n->k->alloc, &before.list);
  hli_vec_free(n->k->alloc, &again.list);
}

/* The access that the op is, if it is one that may need a barrier. */
static bool access_of(const inserter *n, hli_op op, pending *p) {
  const hl_kernel *k = n->k;
  const uint16_t code = k->ops.data[op].code;
  uint32_t index;
  *p = (pending){.op = op, .block = k->ops.data[op].block};
  const hli_value v = hli_lane_touches(k, op, &p->write);
  if (v) {
    p->buffer = buffer_of(n, v);
    p->ring = hli_attr(k, k->values.data[v].def, 0, 0) > 1;
    p->flying = code == HLI_OP_ASYNC_COPY;
    return p->buffer != NULL;
  }
  if (code != HLI_OP_LOAD && code != HLI_OP_STORE && code != HLI_OP_ATOMIC)
    return false;
  p->write = code != HLI_OP_LOAD;
  p->tensor = hli_operand(k, op, 0);
  const hli_param *param = param_of(k, p->tensor, &index);
  return param && ((param->is_output && param->is_input) || param->may_alias || p->write);
}

/* A barrier before op; reads of shared memory just before it come behind the barrier too.  So the operands of a dot stay
 * next to it, and the assembler need not keep the first of them in registers while it waits:
 *
 *   %a = shared_load %x, %z                barrier
 *   %b = shared_load %y, %z      ->        %a = shared_load %x, %z
 *   %d = dot %a, %b, %c                    %b = shared_load %y, %z
 *                                          %d = dot %a, %b, %c */
static void insert(inserter *n, state *s, hli_block b, hli_op op) {
  hl_kernel *k = n->k;
  hli_op at = op;
  if (k->ops.data[op].code == HLI_OP_SHARED_LOAD)
    while (k->ops.data[at].prev && k->ops.data[k->ops.data[at].prev].code == HLI_OP_SHARED_LOAD)
      at = k->ops.data[at].prev;
  hli_cursor c = {.k = k, .block = b, .before = at, .file = k->ops.data[op].file, .line = k->ops.data[op].line};
  if (!hli_op_create(&c, &(hli_op_desc){.code = HLI_OP_BARRIER}))
    n->failed = true;
  clear(s);
  pending p;
  for (; at != op; at = hli_next(k, at))
    if (access_of(n, at, &p))
      add(n, s, p);
}

static void walk(inserter *n, state *s, hli_block b) {
  hl_kernel *k = n->k;
  for (hli_op op = hli_first(k, b); op && !n->failed; op = hli_next(k, op)) {
    pending p;
    if (k->ops.data[op].code == HLI_OP_BARRIER)
      clear(s);
    if (k->ops.data[op].code == HLI_OP_ASYNC_WAIT && hli_attr(k, op, 0, 0) == 0)
      land(s);
    if (k->ops.data[op].region)
      walk_loop(n, s, k->ops.data[op].region);
    if (!access_of(n, op, &p))
      continue;
    if (conflict(k, s, &p))
      insert(n, s, b, op);
    add(n, s, p);
  }
}

hl_status hli_lane_barriers(hli_pass_env *env, hl_kernel *k, const hli_lane_memory *m) {
  inserter n = {.k = k, .m = m};
  state s = {0};
  walk(&n, &s, k->body);
  hli_vec_free(k->alloc, &s.list);
  return n.failed || k->failed ? hli_fail_memory(env->diag, "placing barriers") : HL_OK;
}
