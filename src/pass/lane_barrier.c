/* lane_barrier.c: inserts the barriers that shared memory needs.
 *
 * Walks the ops with the set of accesses since the last barrier.  An access that meets one of them in
 * overlapping memory, where one of the two writes, gets a barrier before it.  A loop is walked twice, the second
 * time with what its own end leaves behind, so that an iteration is safe from the one before.
 * Accesses to a ring (a buffer with several slots) within one loop body are in order already: `stage`
 * has put its barrier there. */
#include "src/pass/lane.h"

typedef struct pending {
  const hli_lane_buffer *buffer;
  hli_block block;
  bool write, ring;
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
    if (q->buffer == p.buffer && q->block == p.block && q->write == p.write) return;
  }
  if (!hli_vec_push(n->k->alloc, &s->list, p)) n->failed = true;
}

static bool conflict(const state *s, const pending *p) {
  for (uint32_t i = 0; i < s->list.len; i++) {
    const pending *q = &s->list.data[i];
    if (!q->write && !p->write) continue;
    if (q->buffer == p->buffer && p->ring && q->block == p->block) continue;
    if (q->buffer->begin < p->buffer->begin + p->buffer->size && p->buffer->begin < q->buffer->begin + q->buffer->size) return true;
  }
  return false;
}

static const hli_lane_buffer *buffer_of(const inserter *n, hli_value v) {
  for (uint32_t i = 0; i < n->m->buffers.len; i++)
    if (n->m->buffers.data[i].value == v) return &n->m->buffers.data[i];
  return NULL;
}

static void walk(inserter *n, state *s, hli_block b);

static void walk_loop(inserter *n, state *s, hli_block region) {
  state before = {0};
  for (uint32_t i = 0; i < s->list.len; i++) add(n, &before, s->list.data[i]);
  walk(n, s, region);
  for (uint32_t i = 0; i < before.list.len; i++) add(n, s, before.list.data[i]); /* the loop may not run at all */
  state again = {0};
  for (uint32_t i = 0; i < s->list.len; i++) add(n, &again, s->list.data[i]);
  walk(n, &again, region);
  for (uint32_t i = 0; i < again.list.len; i++) add(n, s, again.list.data[i]);
  hli_vec_free(n->k->alloc, &before.list);
  hli_vec_free(n->k->alloc, &again.list);
}

static void walk(inserter *n, state *s, hli_block b) {
  hl_kernel *k = n->k;
  for (hli_op op = hli_first(k, b); op && !n->failed; op = hli_next(k, op)) {
    pending p = {.block = b};
    if (k->ops.data[op].code == HLI_OP_BARRIER) s->list.len = 0;
    if (k->ops.data[op].region) walk_loop(n, s, k->ops.data[op].region);
    const hli_value v = hli_lane_touches(k, op, &p.write);
    if (!v || !(p.buffer = buffer_of(n, v))) continue;
    p.ring = hli_attr(k, k->values.data[v].def, 0, 0) > 1;
    if (conflict(s, &p)) {
      hli_cursor c = {.k = k, .block = b, .before = op, .file = k->ops.data[op].file, .line = k->ops.data[op].line};
      if (!hli_op_create(&c, &(hli_op_desc){.code = HLI_OP_BARRIER})) n->failed = true;
      s->list.len = 0;
    }
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
