/* order.c: nothing orders two threads of a block, not even of one warp, except a barrier.  A place (a byte of shared
 * memory, an element of a tensor that is read and written) remembers who wrote and who read it since the last one:
 *   read  after a write by another thread, or
 *   write after a read by another thread, or
 *   write after a different write by another thread      with no barrier between is a race.
 * SPDX-License-Identifier: MIT */
#include "src/ir/interp/order.h"
#include "src/ir/interp/place.h"
#include <stdio.h>

/* ---- one place ---- */

static int32_t another(int32_t first, int32_t second, int32_t me) {
  return first != me ? first : second;
}

hli_conflict hli_order_read(const hli_machine *m, const hli_order *o, int32_t thread) {
  const bool written = o->write_epoch == m->epoch;
  return (hli_conflict){written ? another(o->writer, o->writer2, thread) : -1, o->write_op,
                        "wrote with no barrier between"};
}

hli_conflict hli_order_write(const hli_machine *m, const hli_order *o, int32_t thread, bool differs) {
  const bool read = o->read_epoch == m->epoch, written = o->write_epoch == m->epoch && differs;
  const int32_t reader = read ? another(o->reader, o->reader2, thread) : -1;
  if (reader >= 0)
    return (hli_conflict){reader, o->read_op, "read with no barrier between"};
  return (hli_conflict){written ? another(o->writer, o->writer2, thread) : -1, o->write_op,
                        "wrote differently with no barrier between"};
}

static void note(uint32_t *when, int32_t *first, int32_t *second, uint32_t epoch, int32_t thread) {
  if (*when != epoch)
    *first = *second = -1;
  *when = epoch;
  if (*first < 0)
    *first = thread;
  else if (*first != thread)
    *second = thread;
}

void hli_order_note_read(const hli_machine *m, hli_order *o, int32_t thread, hli_op op) {
  note(&o->read_epoch, &o->reader, &o->reader2, m->epoch, thread);
  o->read_op = op;
}

void hli_order_note_write(const hli_machine *m, hli_order *o, int32_t thread, hli_op op) {
  note(&o->write_epoch, &o->writer, &o->writer2, m->epoch, thread);
  o->write_op = op;
}

hl_status hli_order_fault(hli_machine *m, hli_op op, int32_t thread, const char *does, const char *where,
                          const hli_conflict *c) {
  hli_strbuf line;
  hli_sb_init(&line, m->alloc);
  if (c->op)
    hli_print_op(m->k, c->op, &line);
  const char *text = line.data && !line.failed ? line.data : "";
  while (*text == ' ')
    text++;
  const hl_status s =
      hli_machine_fail(m, HL_ERR_BUILD, op, "race: thread %d %s %s, which thread %d %s%s%.*s", (int)thread, does, where,
                       (int)c->thread, c->did, *text ? ": " : "", (int)strcspn(text, "\n"), text);
  hli_sb_free(&line);
  return s;
}

/* ---- tensors ---- */

static hl_status tensor_touch(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *index, int32_t thread,
                              bool writes, bool differs) {
  hli_order *o = &t->tensor->order[hli_row_major(index, t->size, t->rank)];
  const bool atomic = hli_op_get(m->k, op)->code == HLI_OP_ATOMIC;
  hli_conflict c = writes ? hli_order_write(m, o, thread, differs) : hli_order_read(m, o, thread);
  if (writes && c.thread >= 0 && o->write_epoch == m->epoch && o->write_op == op && o->read_epoch != m->epoch)
    c.thread = -1; /* copies of one value: `differs` is asked before any of them is stored */
  if (atomic && c.op && hli_op_get(m->k, c.op)->code == HLI_OP_ATOMIC)
    c.thread = -1; /* each is one step */
  char where[300], at[256];
  if (c.thread >= 0) {
    snprintf(where, sizeof where, "element %s of a tensor", hli_coord_text(at, sizeof at, index, t->rank));
    return hli_order_fault(m, op, thread, writes ? "writes" : "reads", where, &c);
  }
  if (writes)
    hli_order_note_write(m, o, thread, op);
  else
    hli_order_note_read(m, o, thread, op);
  return HL_OK;
}

hl_status hli_order_copy(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *index, int32_t thread) {
  return t->tensor && t->tensor->order ? tensor_touch(m, op, t, index, thread, false, false) : HL_OK;
}

/* The access of one register. */
static hl_status register_touch(hli_machine *m, hli_op op, const hli_reach *t, const hli_ival *v, int64_t e,
                                int32_t thread, bool stores) {
  const hli_ival *mask = t->access.mask ? &m->values[t->access.mask] : NULL;
  int64_t coord[HL_MAX_RANK] = {0}, index[HL_MAX_RANK] = {0}, rest = e;
  bool inside = !mask || mask->data[mask->count == 1 ? 0 : e].i != 0;
  for (uint32_t d = v->rank; d-- > 0; rest /= v->size[d])
    coord[d] = rest % v->size[d];
  hl_status s = inside ? hli_reach_locate(m, op, t, coord, index, &inside) : HL_OK;
  if (s || !inside)
    return s;
  const bool atomic = hli_op_get(m->k, op)->code == HLI_OP_ATOMIC;
  return tensor_touch(m, op, t, index, thread, stores, atomic || (stores && hli_reach_changes(t, index, v->data[e])));
}

hl_status hli_order_access(hli_machine *m, hli_op op, const hli_reach *t) {
  if (!t->tensor || !t->tensor->order)
    return HL_OK;
  const bool stores = hli_op_get(m->k, op)->code == HLI_OP_ATOMIC || hli_op_get(m->k, op)->code == HLI_OP_STORE;
  const hli_ival *v = &m->values[t->access.value];
  const hli_iplace *p;
  hl_status s = hli_place_of_value(m, op, t->access.value, &p);
  /* Every thread loads a scalar for itself; one stores it. */
  for (uint32_t i = 0; !s && !p->at && i < (stores ? 1 : m->threads); i++)
    s = register_touch(m, op, t, v, 0, (int32_t)i, stores);
  for (uint32_t i = 0; !s && i < p->threads * p->regs; i++)
    s = register_touch(m, op, t, v, p->at[i], (int32_t)(i / p->regs), stores);
  return s;
}
