/* shared.c: shared memory of LANE: stores, loads, asynchronous copies, barriers, and the race check.
 *
 * All threads of a block run each op in step, but nothing orders two threads, not even of one warp, except
 * a barrier.  Each element remembers who wrote and who read it since the last barrier:
 *   read  after a write by another thread, or
 *   write after a read by another thread, or
 *   write after a different write by another thread      with no barrier between is a race.
 * An asynchronous copy writes from its start until an async_wait covers its group: whoever touches the element
 * meanwhile races; then it counts as written by the thread that issued it. SPDX-License-Identifier: MIT */
#include "src/ir/interp/access.h"
#include "src/ir/interp/place.h"

/* One thread's access to one element. */
typedef struct touch {
  hli_op op;
  const hli_imemory *memory;
  int64_t slot;
  const int64_t *coord; /* in the buffer */
  int32_t thread;
} touch;

/* ---- faults ---- */

static hl_status race(hli_machine *m, const touch *t, const char *does, const char *did, int32_t other,
                      hli_op other_op) {
  char text[256];
  hli_strbuf line;
  hli_sb_init(&line, m->alloc);
  if (other_op)
    hli_print_op(m->k, other_op, &line);
  const char *other_text = line.data && !line.failed ? line.data : "";
  while (*other_text == ' ')
    other_text++;
  hl_status s = hli_machine_fail(
      m, HL_ERR_BUILD, t->op, "race: thread %d %s element %s of slot %lld of a shared buffer, which thread %d %s%s%.*s",
      (int)t->thread, does, hli_coord_text(text, sizeof text, t->coord, t->memory->rank), (long long)t->slot,
      (int)other, did, *other_text ? ": " : "", (int)strcspn(other_text, "\n"), other_text);
  hli_sb_free(&line);
  return s;
}

static hl_status slot_of(hli_machine *m, hli_op op, const hli_imemory *b, hli_value v, int64_t *slot) {
  *slot = hli_ival_int(&m->values[v]);
  if (*slot >= 0 && *slot < b->slots)
    return HL_OK;
  return hli_machine_fail(m, HL_ERR_BUILD, op, "slot %lld of a buffer with %lld slots", (long long)*slot,
                          (long long)b->slots);
}

/* The element's place: rows may be padded, columns swizzled (layout.h). */
static hl_status cell_at(hli_machine *m, const touch *t, hli_icell **out) {
  const hli_imemory *b = t->memory;
  const uint32_t id = hli_type_of(m->k, hli_result(m->k, b->op, 0))->layout;
  const int64_t row = b->rank ? hli_row_major(t->coord, b->size, b->rank - 1) : 0;
  int64_t column = b->rank ? t->coord[b->rank - 1] : 0;
  if (id) {
    const hli_layout *l = &m->k->layouts.data[id];
    column ^= ((row >> l->sw_shift) & l->sw_mask) << l->sw_vec;
  }
  char text[256];
  if (column < 0 || column >= b->row)
    return hli_machine_fail(m, HL_ERR_BUILD, t->op, "the swizzle puts element %s in column %lld of a row of %lld",
                            hli_coord_text(text, sizeof text, t->coord, b->rank), (long long)column, (long long)b->row);
  *out = &b->cells[(t->slot * b->rows + row) * b->row + column];
  return HL_OK;
}

/* ---- one element ---- */

static bool same_bits(hl_dtype dtype, hli_scalar a, hli_scalar b) {
  return hli_scalar_to_bits(dtype, a) == hli_scalar_to_bits(dtype, b);
}

static hl_status read_cell(hli_machine *m, const touch *t, hli_scalar *out) {
  hli_icell *c;
  hl_status s = cell_at(m, t, &c);
  if (s)
    return s;
  char text[256];
  if (m->options.race_check && c->in_flight)
    return race(m, t, "reads", "is still filling asynchronously (no async_wait covers it)", c->copier, c->copy_op);
  if (!c->known)
    return hli_machine_fail(
        m, HL_ERR_BUILD, t->op, "thread %d reads element %s of slot %lld of a shared buffer, which nothing has written",
        (int)t->thread, hli_coord_text(text, sizeof text, t->coord, t->memory->rank), (long long)t->slot);
  if (m->options.race_check && c->write_epoch == m->epoch && (c->writer != t->thread || c->writer2 >= 0))
    return race(m, t, "reads", "wrote with no barrier between", c->writer != t->thread ? c->writer : c->writer2,
                c->write_op);
  if (c->read_epoch != m->epoch)
    c->reader = c->reader2 = -1;
  c->read_epoch = m->epoch;
  c->read_op = t->op;
  if (c->reader < 0)
    c->reader = t->thread;
  else if (c->reader != t->thread)
    c->reader2 = t->thread;
  *out = c->value;
  return HL_OK;
}

/* May the thread write `value` there now? */
static hl_status check_write(hli_machine *m, const touch *t, const hli_icell *c, hli_scalar value) {
  if (!m->options.race_check)
    return HL_OK;
  if (c->in_flight && !(c->copy_op == t->op && c->group == m->groups && same_bits(t->memory->dtype, c->landing, value)))
    return race(m, t, "writes", "is still filling asynchronously (no async_wait covers it)", c->copier, c->copy_op);
  if (c->read_epoch == m->epoch && (c->reader != t->thread || c->reader2 >= 0))
    return race(m, t, "writes", "read with no barrier between", c->reader != t->thread ? c->reader : c->reader2,
                c->read_op);
  if (c->write_epoch == m->epoch && (c->writer != t->thread || c->writer2 >= 0) &&
      !same_bits(t->memory->dtype, c->value, value))
    return race(m, t, "writes", "wrote differently with no barrier between",
                c->writer != t->thread ? c->writer : c->writer2, c->write_op);
  return HL_OK;
}

static void land(const hli_machine *m, hli_icell *c, int32_t thread, hli_op op, hli_scalar value) {
  if (c->write_epoch != m->epoch)
    c->writer = c->writer2 = -1;
  c->write_epoch = m->epoch;
  c->write_op = op;
  if (c->writer < 0)
    c->writer = thread;
  else if (c->writer != thread)
    c->writer2 = thread;
  c->value = value;
  c->known = true;
}

static hl_status write_cell(hli_machine *m, const touch *t, hli_scalar value) {
  hli_icell *c;
  hl_status s = cell_at(m, t, &c);
  if (!s)
    s = check_write(m, t, c, value);
  if (!s)
    land(m, c, t->thread, t->op, value);
  return s;
}

/* Starts an asynchronous write. */
static hl_status launch_cell(hli_machine *m, const touch *t, hli_scalar value) {
  hli_icell *c;
  hl_status s = cell_at(m, t, &c);
  if (!s)
    s = check_write(m, t, c, value);
  if (s)
    return s;
  c->in_flight = true;
  c->landing = value;
  c->copier = t->thread;
  c->copy_op = t->op;
  c->group = m->groups;
  return hli_vec_push(m->alloc, &m->flights, c) ? HL_OK : hli_machine_no_memory(m);
}

/* ---- whole tiles ---- */

static void coord_of(int64_t at, const int64_t *size, uint32_t rank, int64_t *c) {
  for (uint32_t d = rank; d-- > 0;) {
    c[d] = at % size[d];
    at /= size[d];
  }
}

static hl_status exec_store(hli_machine *m, hli_op op) {
  const hli_imemory *b = &m->memory.data[hli_ival_operand(m, op, 0)->object];
  const hli_ival *v = hli_ival_operand(m, op, 2);
  const hli_iplace *p;
  int64_t coord[HL_MAX_RANK] = {0};
  touch t = {.op = op, .memory = b, .coord = coord};
  hl_status s = slot_of(m, op, b, hli_operand(m->k, op, 1), &t.slot);
  if (!s)
    s = hli_place_of_value(m, op, hli_operand(m->k, op, 2), &p);
  for (uint32_t i = 0; !s && i < p->threads * p->regs; i++) {
    t.thread = (int32_t)(i / p->regs);
    coord_of(p->at[i], v->size, v->rank, coord);
    s = write_cell(m, &t, v->data[p->at[i]]);
  }
  return s;
}

static hl_status exec_load(hli_machine *m, hli_op op) {
  const hli_imemory *b = &m->memory.data[hli_ival_operand(m, op, 0)->object];
  const hli_iplace *p;
  hli_ival *r;
  int64_t c[HL_MAX_RANK] = {0}, coord[HL_MAX_RANK] = {0};
  touch t = {.op = op, .memory = b, .coord = coord};
  hl_status s = slot_of(m, op, b, hli_operand(m->k, op, 1), &t.slot);
  if (!s)
    s = hli_ival_prepare(m, op, hli_result(m->k, op, 0), &r);
  if (!s)
    s = hli_place_of_value(m, op, hli_result(m->k, op, 0), &p);
  for (uint32_t i = 0; !s && i < p->threads * p->regs; i++) {
    t.thread = (int32_t)(i / p->regs);
    coord_of(p->at[i], r->size, r->rank, c);
    for (uint32_t d = 0; d < r->rank; d++)
      coord[hli_attr_or(m->k, op, 0, d, d)] = c[d];
    s = read_cell(m, &t, &r->data[p->at[i]]);
  }
  return s;
}

static hl_status copy_one(hli_machine *m, const touch *t, const hli_reach *from) {
  int64_t index[HL_MAX_RANK] = {0};
  bool inside;
  hli_scalar value = hli_scalar_from_bits(t->memory->dtype, 0);
  hl_status s = hli_reach_locate(m, t->op, from, t->coord, index, &inside);
  if (!s && inside)
    s = hli_reach_read(m, t->op, from, index, &value);
  return s ? s : launch_cell(m, t, value);
}

static hl_status exec_copy(hli_machine *m, hli_op op) {
  hli_reach from;
  hl_status s = hli_reach_open(m, op, &from);
  if (s)
    return s;
  const hli_imemory *b = &m->memory.data[m->values[from.access.buffer].object];
  const hli_iplace *p;
  int64_t coord[HL_MAX_RANK] = {0};
  touch t = {.op = op, .memory = b, .coord = coord};
  s = slot_of(m, op, b, from.access.slot, &t.slot);
  if (!s)
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

/* All groups but the `pending` newest ones land. */
static void wait_for(hli_machine *m, int64_t pending) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < m->flights.len; i++) {
    hli_icell *c = m->flights.data[i];
    if (!c->in_flight)
      continue; /* a copy of it landed already */
    if ((int64_t)c->group + pending < (int64_t)m->groups) {
      c->in_flight = false;
      land(m, c, c->copier, c->copy_op, c->landing);
    } else {
      m->flights.data[kept++] = c;
    }
  }
  m->flights.len = kept;
}

hl_status hli_exec_sync(hli_machine *m, hli_op op) {
  switch (hli_op_get(m->k, op)->code) {
  case HLI_OP_ASYNC_COMMIT:
    m->groups++;
    return HL_OK;
  case HLI_OP_ASYNC_WAIT:
    wait_for(m, hli_attr_or(m->k, op, 0, 0, 0));
    return HL_OK;
  case HLI_OP_BARRIER:
    m->epoch++;
    return HL_OK;
  default:
    return HL_OK; /* fence: nothing is out of order here; yield: the loop's affair */
  }
}
