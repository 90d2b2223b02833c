/* fold.c: fold and scan: the region runs once per element, in ascending (reverse: descending) order, beginning with
 * the identities.  Lanes beyond an axis' valid ones do not take part. SPDX-License-Identifier: MIT */
#include "src/ir/interp/machine.h"

typedef struct folding {
  hli_machine *m;
  hli_op op;
  uint32_t n;
  hli_scalar now[HLI_FOLD_PARTS]; /* combined so far */
} folding;

static hl_status set_argument(folding *f, uint32_t i, hli_scalar x) {
  hli_ival *v;
  hl_status s = hli_ival_prepare(f->m, f->op, hli_block_arg(f->m->k, hli_op_get(f->m->k, f->op)->region, i), &v);
  if (!s)
    v->data[0] = x;
  return s;
}

static void start(folding *f) {
  for (uint32_t i = 0; i < f->n; i++)
    f->now[i] = hli_ival_operand(f->m, f->op, f->n + i)->data[0];
}

/* now = region(now, elements at `at`) */
static hl_status step(folding *f, int64_t at) {
  const hl_kernel *k = f->m->k;
  const hli_block region = hli_op_get(k, f->op)->region;
  hl_status s = HL_OK;
  for (uint32_t i = 0; i < f->n && !s; i++) {
    s = set_argument(f, i, f->now[i]);
    if (!s)
      s = set_argument(f, f->n + i, hli_ival_operand(f->m, f->op, i)->data[at]);
  }
  if (!s)
    s = hli_exec_block(f->m, region);
  const hli_op yield = k->blocks.data[region].last;
  for (uint32_t i = 0; i < f->n && !s; i++)
    f->now[i] = hli_ival_operand(f->m, yield, i)->data[0];
  return s;
}

static hl_status exec_reduction(folding *f) {
  hli_machine *m = f->m;
  const hli_value src = hli_operand(m->k, f->op, 0);
  const hli_ival *a = &m->values[src];
  int64_t over[HL_MAX_RANK], at[HL_MAX_RANK], out[HL_MAX_RANK] = {0}, kept_size[HL_MAX_RANK];
  uint32_t gone = 0, kept = 0;
  for (uint32_t i = 0; i < hli_attr_len(m->k, f->op, 0); i++)
    gone |= 1u << hli_attr(m->k, f->op, 0, i);
  bool empty = false;
  for (uint32_t d = 0; d < a->rank; d++) {
    over[d] = gone >> d & 1 ? hli_taking_part(m, src, d) : 1;
    empty |= over[d] <= 0;
    if (!(gone >> d & 1))
      kept_size[kept++] = a->size[d];
  }
  const int64_t count = hli_ival_of(m, hli_result(m->k, f->op, 0))->count;
  hl_status s = HL_OK;
  for (int64_t e = 0; e < count && !s; e++) {
    int64_t walk[HL_MAX_RANK] = {0};
    start(f);
    do {
      for (uint32_t d = 0, next = 0; d < a->rank; d++)
        at[d] = gone >> d & 1 ? walk[d] : out[next++];
      if (!empty)
        s = step(f, hli_row_major(at, a->size, a->rank));
    } while (!s && !empty && hli_next_coord(walk, over, a->rank));
    for (uint32_t i = 0; i < f->n; i++)
      hli_ival_of(m, hli_result(m->k, f->op, i))->data[e] = f->now[i];
    (void)hli_next_coord(out, kept_size, kept);
  }
  return s;
}

static hl_status exec_scan(folding *f) {
  hli_machine *m = f->m;
  const hli_value src = hli_operand(m->k, f->op, 0);
  const hli_ival *a = &m->values[src];
  const uint32_t axis = (uint32_t)hli_attr(m->k, f->op, 0, 0);
  const bool reverse = hli_attr_or(m->k, f->op, 1, 0, 0);
  const int64_t valid = hli_taking_part(m, src, axis), size = a->size[axis];
  int64_t outer[HL_MAX_RANK], at[HL_MAX_RANK] = {0};
  hl_status s = HL_OK;
  if (!a->count)
    return s;
  memcpy(outer, a->size, sizeof outer);
  outer[axis] = 1;
  do {
    start(f);
    for (int64_t i = 0; i < size && !s; i++) {
      at[axis] = reverse ? size - 1 - i : i;
      const int64_t e = hli_row_major(at, a->size, a->rank);
      if (at[axis] < valid)
        s = step(f, e);
      for (uint32_t p = 0; p < f->n; p++)
        hli_ival_of(m, hli_result(m->k, f->op, p))->data[e] = f->now[p];
    }
    at[axis] = 0;
  } while (!s && hli_next_coord(at, outer, a->rank));
  return s;
}

hl_status hli_exec_fold(hli_machine *m, hli_op op) {
  folding f = {.m = m, .op = op, .n = hli_fold_parts(m->k, op)};
  hli_ival *r;
  for (uint32_t i = 0; i < f.n; i++) {
    hl_status s = hli_ival_prepare(m, op, hli_result(m->k, op, i), &r);
    if (s)
      return s;
  }
  return hli_op_get(m->k, op)->code == HLI_OP_SCAN ? exec_scan(&f) : exec_reduction(&f);
}
