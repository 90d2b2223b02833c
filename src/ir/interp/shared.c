/* shared.c: ops of LANE on shared memory, element by element: who holds what comes from the layouts, who may touch
 * what from race.c.  SPDX-License-Identifier: MIT */
#include "src/ir/interp/access.h"
#include "src/ir/interp/order.h"
#include "src/ir/interp/place.h"
#include "src/ir/interp/race.h"

/* ---- the buffers ---- */

/* Room behind all others where the op does not say. */
static hl_status place_shared(hli_machine *m, hli_op op, hli_imemory *b) {
  const bool placed = hli_attr_len(m->k, op, 1) > 0;
  int64_t bytes;
  b->slots = hli_attr_or(m->k, op, 0, 0, 1);
  b->first = placed ? hli_attr(m->k, op, 1, 0) : (int64_t)(m->shared.len + 15u) / 16 * 16;
  if (b->slots < 1 || __builtin_mul_overflow(b->count * (int64_t)hl_dtype_size(b->dtype), b->slots, &bytes) ||
      b->first < 0 || bytes > HLI_INTERP_MAX_ELEMENTS || b->first > HLI_INTERP_MAX_ELEMENTS)
    return hli_machine_fail(m, HL_ERR_LIMIT, op, "the buffer has %lld slots of %lld elements from byte %lld on",
                            (long long)b->slots, (long long)b->count, (long long)b->first);
  const int64_t end = b->first + bytes;
  if (placed && end > (int64_t)m->k->launch.shared_bytes)
    return hli_machine_fail(m, HL_ERR_BUILD, op,
                            "the buffer ends at byte %lld, the kernel has %u bytes of shared memory", (long long)end,
                            (unsigned)m->k->launch.shared_bytes);
  if (end <= (int64_t)m->shared.len)
    return HL_OK;
  if (!hli_vec_reserve(m->alloc, &m->shared, (uint32_t)end))
    return hli_machine_no_memory(m);
  memset(m->shared.data + m->shared.len, 0, (size_t)(end - (int64_t)m->shared.len) * sizeof *m->shared.data);
  m->shared.len = (uint32_t)end;
  return HL_OK;
}

static hl_status exec_shared(hli_machine *m, hli_op op) {
  const uint32_t at = hli_memory_find(m, op);
  hli_imemory b;
  hl_status s = HL_OK;
  if (at == m->memory.len) {
    s = hli_memory_describe(m, op, &b);
    if (!s)
      s = place_shared(m, op, &b);
    if (!s && !hli_vec_push(m->alloc, &m->memory, b))
      s = hli_machine_no_memory(m);
  }
  if (!s)
    *hli_ival_of(m, hli_result(m->k, op, 0)) =
        (hli_ival){.kind = HLI_IVAL_MEMORY, .dtype = (uint8_t)m->memory.data[at].dtype, .object = at};
  return s;
}

/* Which buffer and which slot of it. */
static hl_status open_slot(hli_machine *m, hli_value buffer, hli_value slot, hli_touched *t) {
  t->memory = m->values[buffer].object;
  t->slot = hli_ival_int(&m->values[slot]);
  if (t->slot >= 0 && t->slot < m->memory.data[t->memory].slots)
    return HL_OK;
  return hli_machine_fail(m, HL_ERR_BUILD, t->op, "slot %lld of a buffer with %lld slots", (long long)t->slot,
                          (long long)m->memory.data[t->memory].slots);
}

/* ---- whole tiles ---- */

static void coord_of(int64_t at, const int64_t *size, uint32_t rank, int64_t *c) {
  for (uint32_t d = rank; d-- > 0;) {
    c[d] = at % size[d];
    at /= size[d];
  }
}

static hl_status exec_store(hli_machine *m, hli_op op) {
  const hli_ival *v = hli_ival_operand(m, op, 2);
  const hli_iplace *p;
  int64_t coord[HL_MAX_RANK] = {0};
  hli_touched t = {.op = op, .coord = coord};
  hl_status s = open_slot(m, hli_operand(m->k, op, 0), hli_operand(m->k, op, 1), &t);
  if (!s)
    s = hli_place_of_value(m, op, hli_operand(m->k, op, 2), &p);
  for (uint32_t i = 0; !s && i < p->threads * p->regs; i++) {
    t.thread = (int32_t)(i / p->regs);
    coord_of(p->at[i], v->size, v->rank, coord);
    s = hli_shared_write(m, &t, v->data[p->at[i]]);
  }
  return s;
}

static hl_status exec_load(hli_machine *m, hli_op op) {
  const hli_iplace *p;
  hli_ival *r;
  int64_t c[HL_MAX_RANK] = {0}, coord[HL_MAX_RANK] = {0};
  hli_touched t = {.op = op, .coord = coord};
  hl_status s = open_slot(m, hli_operand(m->k, op, 0), hli_operand(m->k, op, 1), &t);
  if (!s)
    s = hli_ival_prepare(m, op, hli_result(m->k, op, 0), &r);
  if (!s)
    s = hli_place_of_value(m, op, hli_result(m->k, op, 0), &p);
  for (uint32_t i = 0; !s && i < p->threads * p->regs; i++) {
    t.thread = (int32_t)(i / p->regs);
    coord_of(p->at[i], r->size, r->rank, c);
    for (uint32_t d = 0; d < r->rank; d++)
      coord[hli_attr_or(m->k, op, 0, d, d)] = c[d];
    s = hli_shared_read(m, &t, &r->data[p->at[i]]);
  }
  return s;
}

static hl_status copy_one(hli_machine *m, const hli_touched *t, const hli_reach *from) {
  int64_t index[HL_MAX_RANK] = {0};
  bool inside;
  hli_scalar value = hli_scalar_from_bits(m->memory.data[t->memory].dtype, 0);
  hl_status s = hli_reach_locate(m, t->op, from, t->coord, index, &inside);
  if (!s && inside)
    s = hli_order_copy(m, t->op, from, index, t->thread);
  if (!s && inside)
    s = hli_reach_read(m, t->op, from, index, &value);
  return s ? s : hli_shared_launch(m, t, value);
}

static hl_status exec_copy(hli_machine *m, hli_op op) {
  hli_reach from;
  hl_status s = hli_reach_open(m, op, &from);
  if (s)
    return s;
  const hli_iplace *p;
  int64_t coord[HL_MAX_RANK] = {0};
  hli_touched t = {.op = op, .coord = coord};
  s = open_slot(m, from.access.buffer, from.access.slot, &t);
  if (s)
    return s;
  const hli_imemory *b = &m->memory.data[t.memory];
  s = hli_place_of(m, op, (uint32_t)hli_attr(m->k, op, 1, 0), b->size, b->rank, &p);
  for (uint32_t i = 0; !s && i < p->threads * p->regs; i++) {
    t.thread = (int32_t)(i / p->regs);
    coord_of(p->at[i], b->size, b->rank, coord);
    s = copy_one(m, &t, &from);
  }
  return s;
}

hl_status hli_exec_shared(hli_machine *m, hli_op op) {
  switch (hli_op_get(m->k, op)->code) {
  case HLI_OP_SHARED:
    return exec_shared(m, op);
  case HLI_OP_SHARED_STORE:
    return exec_store(m, op);
  case HLI_OP_SHARED_LOAD:
    return exec_load(m, op);
  case HLI_OP_ASYNC_COPY:
    return exec_copy(m, op);
  default:
    return hli_machine_fail(m, HL_ERR_INTERNAL, op, "the interpreter does not know this op");
  }
}

/* ---- ordering ---- */

hl_status hli_exec_sync(hli_machine *m, hli_op op) {
  switch (hli_op_get(m->k, op)->code) {
  case HLI_OP_ASYNC_COMMIT:
    m->groups++;
    return HL_OK;
  case HLI_OP_ASYNC_WAIT:
    hli_shared_wait(m, hli_attr_or(m->k, op, 0, 0, 0));
    return HL_OK;
  case HLI_OP_BARRIER:
    m->epoch++;
    return HL_OK;
  default:
    return HL_OK; /* fence: nothing is out of order here; yield: the loop's affair */
  }
}
