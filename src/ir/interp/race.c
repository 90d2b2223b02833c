/* race.c: shared memory byte by byte, and the race check.
 *
 * All threads of a block run each op in step; order.c says when two accesses race.
 * An asynchronous copy writes from its start until an async_wait covers its group: whoever touches the bytes
 * meanwhile races; then they count as written by the thread that issued it.
 *
 * Buffers may overlap (their offsets are the lane pass'): an element is known only as what it was written as, so
 * reading one buffer's bytes through another is a read of memory that nobody wrote.  The value lies with the
 * element's first byte, as a scalar and not as bytes: in exact mode it is wider than its dtype.
 * SPDX-License-Identifier: MIT */
#include "src/ir/interp/race.h"
#include "src/ir/interp/order.h"
#include <stdio.h>

/* ---- faults ---- */

static hl_status race(hli_machine *m, const hli_touched *t, const char *does, const hli_conflict *c) {
  char where[320], at[256];
  snprintf(where, sizeof where, "element %s of slot %lld of a shared buffer",
           hli_coord_text(at, sizeof at, t->coord, m->memory.data[t->memory].rank), (long long)t->slot);
  return hli_order_fault(m, t->op, t->thread, does, where, c);
}

static hli_conflict flight_of(const hli_ibyte *x) {
  return (hli_conflict){x->copier, x->copy_op, "is still filling asynchronously (no async_wait covers it)"};
}

static hl_status unknown(hli_machine *m, const hli_touched *t, const char *why) {
  char text[256];
  return hli_machine_fail(m, HL_ERR_BUILD, t->op, "thread %d reads element %s of slot %lld of a shared buffer, %s",
                          (int)t->thread, hli_coord_text(text, sizeof text, t->coord, m->memory.data[t->memory].rank),
                          (long long)t->slot, why);
}

/* ---- where an element lies ---- */

/* Its first byte: rows may be padded, columns swizzled (layout.h). */
static hl_status locate(hli_machine *m, const hli_touched *t, int64_t *at) {
  const hli_imemory *b = &m->memory.data[t->memory];
  const int64_t row = b->rank ? hli_row_major(t->coord, b->size, b->rank - 1) : 0;
  int64_t column = b->rank ? t->coord[b->rank - 1] : 0;
  if (b->swizzle) {
    const hli_layout *l = &m->k->layouts.data[b->swizzle];
    column ^= ((row >> l->sw_shift) & l->sw_mask) << l->sw_vec;
  }
  char text[256];
  if (column < 0 || column >= b->row)
    return hli_machine_fail(m, HL_ERR_BUILD, t->op, "the swizzle puts element %s in column %lld of a row of %lld",
                            hli_coord_text(text, sizeof text, t->coord, b->rank), (long long)column, (long long)b->row);
  *at = b->first + (t->slot * b->count + row * b->row + column) * (int64_t)hl_dtype_size(b->dtype);
  return HL_OK;
}

static uint32_t bytes_of(const hli_machine *m, const hli_touched *t) {
  return hl_dtype_size(m->memory.data[t->memory].dtype);
}

/* Holds the element `value` now, as this buffer's? */
static bool holds(const hli_machine *m, const hli_touched *t, const hli_ibyte *x, hli_scalar value) {
  const hl_dtype dtype = m->memory.data[t->memory].dtype;
  return x->run == (uint32_t)(m->program + 1) && x->owner == t->memory &&
         hli_scalar_to_bits(dtype, x->value) == hli_scalar_to_bits(dtype, value);
}

/* ---- reading ---- */

static hl_status may_read(hli_machine *m, const hli_touched *t, const hli_ibyte *x) {
  const hli_conflict flight = flight_of(x), order = hli_order_read(m, &x->order, t->thread);
  if (m->options.race_check && x->in_flight)
    return race(m, t, "reads", &flight);
  if (x->run != (uint32_t)(m->program + 1))
    return unknown(m, t, "which nothing has written");
  if (m->options.race_check && order.thread >= 0)
    return race(m, t, "reads", &order);
  if (x->owner != t->memory)
    return unknown(m, t, "whose bytes another buffer has overwritten");
  return HL_OK;
}

hl_status hli_shared_read(hli_machine *m, const hli_touched *t, hli_scalar *out) {
  int64_t at;
  hl_status s = locate(m, t, &at);
  for (uint32_t i = 0; i < bytes_of(m, t) && !s; i++) {
    hli_ibyte *x = &m->shared.data[at + i];
    s = may_read(m, t, x);
    hli_order_note_read(m, &x->order, t->thread, t->op);
  }
  if (!s)
    *out = m->shared.data[at].value;
  return s;
}

/* ---- writing ---- */

/* Copies of one element by several threads of one copy are one write. */
static bool same_copy(const hli_machine *m, const hli_touched *t, const hli_ibyte *x, const hli_ibyte *first,
                      hli_scalar value) {
  const hl_dtype dtype = m->memory.data[t->memory].dtype;
  return x->copy_op == t->op && x->group == m->groups && first->in_flight && first->copy_op == t->op &&
         hli_scalar_to_bits(dtype, first->landing) == hli_scalar_to_bits(dtype, value);
}

static hl_status may_write(hli_machine *m, const hli_touched *t, int64_t at, hli_scalar value) {
  const hli_ibyte *first = &m->shared.data[at];
  const bool differs = !holds(m, t, first, value);
  for (uint32_t i = 0; i < bytes_of(m, t) && m->options.race_check; i++) {
    const hli_ibyte *x = first + i;
    const hli_conflict flight = flight_of(x), order = hli_order_write(m, &x->order, t->thread, differs);
    if (x->in_flight && !same_copy(m, t, x, first, value))
      return race(m, t, "writes", &flight);
    if (order.thread >= 0)
      return race(m, t, "writes", &order);
  }
  return HL_OK;
}

static void land(hli_machine *m, uint32_t memory, int64_t at, int32_t thread, hli_op op, hli_scalar value) {
  for (uint32_t i = 0; i < hl_dtype_size(m->memory.data[memory].dtype); i++) {
    hli_ibyte *x = &m->shared.data[at + i];
    hli_order_note_write(m, &x->order, thread, op);
    x->run = (uint32_t)(m->program + 1);
    x->owner = memory;
    x->in_flight = false;
  }
  m->shared.data[at].value = value;
}

hl_status hli_shared_write(hli_machine *m, const hli_touched *t, hli_scalar value) {
  int64_t at;
  hl_status s = locate(m, t, &at);
  if (!s)
    s = may_write(m, t, at, value);
  if (!s)
    land(m, t->memory, at, t->thread, t->op, value);
  return s;
}

hl_status hli_shared_launch(hli_machine *m, const hli_touched *t, hli_scalar value) {
  int64_t at;
  hl_status s = locate(m, t, &at);
  if (!s)
    s = may_write(m, t, at, value);
  if (s)
    return s;
  for (uint32_t i = 0; i < bytes_of(m, t); i++) {
    hli_ibyte *x = &m->shared.data[at + i];
    x->in_flight = true;
    x->copier = t->thread;
    x->copy_op = t->op;
    x->group = m->groups;
  }
  m->shared.data[at].landing = value;
  const hli_flight f = {t->memory, at};
  return hli_vec_push(m->alloc, &m->flights, f) ? HL_OK : hli_machine_no_memory(m);
}

void hli_shared_wait(hli_machine *m, int64_t pending) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < m->flights.len; i++) {
    const hli_flight f = m->flights.data[i];
    const hli_ibyte *x = &m->shared.data[f.at];
    if (!x->in_flight)
      continue; /* another thread's copy of it landed */
    if ((int64_t)x->group + pending < (int64_t)m->groups)
      land(m, f.memory, f.at, x->copier, x->copy_op, x->landing);
    else
      m->flights.data[kept++] = f;
  }
  m->flights.len = kept;
}

void hli_shared_begin(hli_machine *m) {
  for (uint32_t i = 0; i < m->flights.len; i++)
    for (uint32_t b = 0; b < hl_dtype_size(m->memory.data[m->flights.data[i].memory].dtype); b++)
      m->shared.data[m->flights.data[i].at + b].in_flight = false;
  m->flights.len = 0;
  m->groups = 0;
  m->epoch++;
}
