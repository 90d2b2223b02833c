/* lane_memory.c: places shared buffers.
 *
 * Buffers of at least SHARE bytes whose uses do not overlap in time may share memory (the ring of a
 * matmul and the tile its epilogue turns around); small ones get room of their own, because sharing would cost a
 * barrier and save nothing. */
#include "src/pass/lane.h"

enum { ALIGN = 128, SHARE = 4096 };

typedef struct scan {
  hl_kernel *k;
  hli_lane_memory *m;
  uint32_t at; /* position */
  bool failed;
} scan;

hli_value hli_lane_touches(const hl_kernel *k, hli_op op, bool *writes) {
  hli_access a;
  *writes = k->ops.data[op].code != HLI_OP_SHARED_LOAD;
  switch (k->ops.data[op].code) {
  case HLI_OP_SHARED_STORE:
  case HLI_OP_SHARED_LOAD:
    return hli_operand(k, op, 0);
  case HLI_OP_ASYNC_COPY:
    hli_access_get(k, op, &a);
    return a.buffer;
  default:
    return 0;
  }
}

static int64_t slot_bytes(const hl_kernel *k, hli_value buffer) {
  const hli_type_data *t = hli_type_of(k, buffer);
  int64_t shape[HL_MAX_RANK];
  for (uint32_t d = 0; d < t->rank; d++)
    shape[d] = hli_axis_lanes(k, t->dims[d]);
  return hli_swizzle_size(&k->layouts.data[t->layout], shape, t->rank) * hl_dtype_size((hl_dtype)t->dtype);
}

static hli_lane_buffer *buffer_of(const hli_lane_memory *m, hli_value v) {
  for (uint32_t i = 0; i < m->buffers.len; i++)
    if (m->buffers.data[i].value == v)
      return &m->buffers.data[i];
  return NULL;
}

static void touch(scan *s, hli_value v, uint32_t at) {
  hli_lane_buffer *b = buffer_of(s->m, v);
  if (!b)
    return;
  if (b->first == 0)
    b->first = at;
  b->first = HLI_MIN(b->first, at);
  b->last = HLI_MAX(b->last, at);
}

static bool defined_in(const hl_kernel *k, hli_value v, hli_block block) {
  for (hli_block b = k->ops.data[k->values.data[v].def].block; b;) {
    if (b == block)
      return true;
    const hli_op parent = k->blocks.data[b].parent;
    b = parent ? k->ops.data[parent].block : 0;
  }
  return false;
}

static void scan_block(scan *s, hli_block b) {
  hl_kernel *k = s->k;
  for (hli_op op = hli_first(k, b); op; op = hli_next(k, op)) {
    bool writes;
    const uint32_t at = ++s->at;
    if (k->ops.data[op].code == HLI_OP_SHARED) {
      hli_lane_buffer n = {.value = hli_result(k, op, 0),
                           .size = slot_bytes(k, hli_result(k, op, 0)) * hli_attr(k, op, 0, 0)};
      if (!hli_vec_push(k->alloc, &s->m->buffers, n))
        s->failed = true;
    }
    const hli_value v = hli_lane_touches(k, op, &writes);
    if (v)
      touch(s, v, at);
    if (!k->ops.data[op].region)
      continue;
    const hli_block region = k->ops.data[op].region;
    const uint32_t known = s->m->buffers.len;
    scan_block(s, region);
    /* What was there before the loop and is used in it lives through all of it. */
    for (uint32_t i = 0; i < known; i++) {
      hli_lane_buffer *buf = &s->m->buffers.data[i];
      if (buf->last < at || defined_in(k, buf->value, region))
        continue;
      touch(s, buf->value, at);
      touch(s, buf->value, ++s->at);
    }
  }
}

static bool overlap(const hli_lane_buffer *a, const hli_lane_buffer *b) {
  if (a->size < SHARE || b->size < SHARE)
    return true;
  return a->first <= b->last && b->first <= a->last;
}

/* The lowest place where b is clear of all that are placed and live with it. */
static int64_t lowest(const hli_lane_memory *m, uint32_t i) {
  const hli_lane_buffer *b = &m->buffers.data[i];
  int64_t at = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (uint32_t j = 0; j < m->buffers.len; j++) {
      const hli_lane_buffer *o = &m->buffers.data[j];
      if (j == i || o->begin < 0 || !overlap(b, o) || at >= o->begin + o->size || o->begin >= at + b->size)
        continue;
      at = (o->begin + o->size + ALIGN - 1) / ALIGN * ALIGN;
      moved = true;
    }
  }
  return at;
}

hl_status hli_lane_place(hli_pass_env *env, hl_kernel *k, hli_lane_memory *m) {
  scan s = {.k = k, .m = m};
  int64_t total = 0;
  scan_block(&s, k->body);
  if (s.failed)
    return hli_fail_memory(env->diag, "placing shared memory");
  for (uint32_t i = 0; i < m->buffers.len; i++)
    m->buffers.data[i].begin = -1;
  for (;;) { /* largest first */
    uint32_t next = UINT32_MAX;
    for (uint32_t i = 0; i < m->buffers.len; i++)
      if (m->buffers.data[i].begin < 0 && (next == UINT32_MAX || m->buffers.data[i].size > m->buffers.data[next].size))
        next = i;
    if (next == UINT32_MAX)
      break;
    hli_lane_buffer *b = &m->buffers.data[next];
    b->begin = lowest(m, next);
    total = HLI_MAX(total, b->begin + b->size);
    hli_op_set_attr(k, k->values.data[b->value].def, 1, &b->begin, 1);
  }
  if (total > env->target->shared_bytes)
    return hli_fail(
        env->diag, HL_ERR_LIMIT,
        "kernel %s needs %lld bytes of shared memory, a block of %s has %u: choose smaller block sizes or fewer stages",
        k->name, (long long)total, env->target->name, env->target->shared_bytes);
  k->launch.shared_bytes = (uint32_t)total;
  return HL_OK;
}
