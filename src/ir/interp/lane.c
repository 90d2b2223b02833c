/* lane.c: what LANE adds to ordinary values: every op is looked at once for whether its data is where it is
 * needed (a broadcast in the same thread; a convert, transpose across lanes or a reduce in the same warp), and
 * partial_reduce and convert are done. SPDX-License-Identifier: MIT */
#include "src/ir/interp/place.h"

/* ---- who needs what ----
 * For a group of threads (one thread, or a warp): `have` marks the source elements the group holds. */

typedef struct owner {
  hli_machine *m;
  hli_op op;
  const hli_iplace *from, *to;
  const hli_ival *a, *r;
  int8_t source_dim[HL_MAX_RANK]; /* of each source dimension: the result's dimension, -1: all of it is needed */
  uint32_t *have;                 /* by source element: group number + 1 */
  uint32_t group_size;            /* threads */
} owner;

static void mark_group(const owner *w, uint32_t group) {
  for (uint32_t t = group * w->group_size; t < (group + 1) * w->group_size; t++)
    for (uint32_t r = 0; r < w->from->regs; r++)
      w->have[w->from->at[(size_t)t * w->from->regs + r]] = group + 1;
}

static void coord_of(int64_t at, const hli_ival *v, int64_t *c) {
  for (uint32_t d = v->rank; d-- > 0;) {
    c[d] = at % v->size[d];
    at /= v->size[d];
  }
}

/* All source elements that result element `at` is made from are with the group? */
static hl_status needs_of(const owner *w, uint32_t group, int64_t at) {
  int64_t out[HL_MAX_RANK], c[HL_MAX_RANK] = {0}, walk[HL_MAX_RANK] = {0}, size[HL_MAX_RANK];
  char text[2][256];
  coord_of(at, w->r, out);
  for (uint32_t d = 0; d < w->a->rank; d++)
    size[d] = w->source_dim[d] < 0 ? w->a->size[d] : 1;
  do {
    for (uint32_t d = 0; d < w->a->rank; d++)
      c[d] = w->source_dim[d] < 0 ? walk[d] : w->a->size[d] == 1 ? 0 : out[w->source_dim[d]];
    if (w->have[hli_row_major(c, w->a->size, w->a->rank)] != group + 1)
      return hli_machine_fail(
          w->m, HL_ERR_BUILD, w->op,
          "%s %u needs element %s for its element %s, but holds none of it: the data is with another %s",
          w->group_size == 1 ? "thread" : "warp", group, hli_coord_text(text[0], sizeof text[0], c, w->a->rank),
          hli_coord_text(text[1], sizeof text[1], out, w->r->rank), w->group_size == 1 ? "thread" : "warp");
  } while (hli_next_coord(walk, size, w->a->rank));
  return HL_OK;
}

static hl_status check_group(const owner *w, uint32_t group) {
  mark_group(w, group);
  if (!w->to->at)
    return needs_of(w, group, 0); /* a scalar: every thread has it */
  hl_status s = HL_OK;
  for (uint32_t t = group * w->group_size; t < (group + 1) * w->group_size && !s; t++)
    for (uint32_t r = 0; r < w->to->regs && !s; r++)
      s = needs_of(w, group, w->to->at[(size_t)t * w->to->regs + r]);
  return s;
}

static hl_status check_owner(owner *w) {
  hli_machine *m = w->m;
  hl_status s = hli_place_of_value(m, w->op, hli_operand(m->k, w->op, 0), &w->from);
  if (!s)
    s = hli_place_of_value(m, w->op, hli_result(m->k, w->op, 0), &w->to);
  if (s || !w->from->at || !w->a->count || !w->r->count)
    return s;
  w->have = hli_calloc(m->alloc, (size_t)w->a->count, sizeof *w->have);
  if (!w->have)
    return hli_machine_no_memory(m);
  for (uint32_t g = 0; g < m->threads / w->group_size && !s; g++)
    s = check_group(w, g);
  hli_release(m->alloc, w->have, (size_t)w->a->count * sizeof *w->have);
  return s;
}

static void source_dims(const hl_kernel *k, owner *w) {
  const hli_opcode code = (hli_opcode)hli_op_get(k, w->op)->code;
  uint32_t gone = 0;
  int8_t next = 0;
  if (code == HLI_OP_REDUCE || code == HLI_OP_SQUEEZE) {
    const uint32_t attr = code == HLI_OP_REDUCE ? 1 : 0;
    for (uint32_t i = 0; i < hli_attr_len(k, w->op, attr); i++)
      gone |= 1u << hli_attr(k, w->op, attr, i);
  }
  for (uint32_t d = 0; d < w->a->rank; d++)
    w->source_dim[d] = gone >> d & 1 ? -1 : next++;
  if (code == HLI_OP_BROADCAST)
    for (uint32_t d = 0; d < w->a->rank; d++)
      w->source_dim[d] = (int8_t)hli_attr(k, w->op, 0, d);
  if (code == HLI_OP_TRANSPOSE)
    for (uint32_t d = 0; d < w->r->rank; d++)
      w->source_dim[hli_attr(k, w->op, 0, d)] = (int8_t)d;
}

hl_status hli_lane_check(hli_machine *m, hli_op op) {
  const hli_op_data *o = hli_op_get(m->k, op);
  if (m->k->stage != HLI_STAGE_LANE || m->op_checked[op] || o->result_count == 0 || o->region)
    return HL_OK;
  m->op_checked[op] = true;
  const hli_iplace *place;
  owner w = {.m = m, .op = op, .r = hli_ival_of(m, hli_result(m->k, op, 0)), .group_size = 1};
  switch (o->code) {
  case HLI_OP_BROADCAST:
  case HLI_OP_TRANSPOSE:
  case HLI_OP_SQUEEZE:
    break;
  case HLI_OP_REDUCE:
  case HLI_OP_CONVERT:
    w.group_size = m->warp_size;
    break;
  default:
    return w.r->kind == HLI_IVAL_DATA ? hli_place_of_value(m, op, hli_result(m->k, op, 0), &place) : HL_OK;
  }
  w.a = hli_ival_operand(m, op, 0);
  if (w.group_size > 1 && m->options.half_lowered)
    return HL_OK;
  source_dims(m->k, &w);
  return check_owner(&w);
}

/* ---- partial_reduce ----
 * Element w of the new axis is the reduction of what one warp holds; copies of it in several warps must be
 * reductions of the same elements. */

typedef struct partial {
  const hli_iplace *from, *to;
  const hli_ival *a;
  hli_ival *r;
  uint32_t axis;
  uint32_t *have; /* by source element: warp + 1 */
  bool *done;     /* by result element */
} partial;

/* The reduction, over the axis, of the elements along it that the warp holds. */
static hli_scalar reduce_held(hli_machine *m, hli_op op, const partial *p, uint32_t warp, const int64_t *out,
                              uint32_t *held) {
  int64_t c[HL_MAX_RANK];
  memcpy(c, out, sizeof c);
  hli_fold f = hli_fold_begin(m, (hl_reduce_op)hli_attr(m->k, op, 0, 0), (hl_dtype)p->a->dtype);
  *held = 0;
  for (c[p->axis] = 0; c[p->axis] < p->a->size[p->axis]; c[p->axis]++) {
    const int64_t at = hli_row_major(c, p->a->size, p->a->rank);
    if (p->have[at] != warp + 1)
      continue;
    hli_fold_add(&f, p->a->data[at]);
    ++*held;
  }
  return hli_fold_end(m, &f);
}

static hl_status partial_of_warp(hli_machine *m, hli_op op, const partial *p, uint32_t warp) {
  char text[256];
  for (uint32_t t = warp * m->warp_size; t < (warp + 1) * m->warp_size; t++) {
    for (uint32_t r = 0; r < p->from->regs; r++)
      p->have[p->from->at[(size_t)t * p->from->regs + r]] = warp + 1;
  }
  for (uint32_t i = 0; i < m->warp_size * p->to->regs; i++) {
    const int64_t at = p->to->at[(size_t)warp * m->warp_size * p->to->regs + i];
    int64_t out[HL_MAX_RANK] = {0};
    uint32_t held;
    coord_of(at, p->r, out);
    const hli_scalar x = reduce_held(m, op, p, warp, out, &held);
    if (!held || (p->done[at] && hli_scalar_to_bits((hl_dtype)p->r->dtype, x) !=
                                     hli_scalar_to_bits((hl_dtype)p->r->dtype, p->r->data[at])))
      return hli_machine_fail(m, HL_ERR_BUILD, op, "warp %u %s element %s of the result", warp,
                              held ? "has another value than an earlier warp for" : "holds no data for",
                              hli_coord_text(text, sizeof text, out, p->r->rank));
    p->r->data[at] = x;
    p->done[at] = true;
  }
  return HL_OK;
}

static hl_status exec_partial_reduce(hli_machine *m, hli_op op) {
  partial p = {.a = hli_ival_operand(m, op, 0), .axis = (uint32_t)hli_attr(m->k, op, 1, 0)};
  hl_status s = hli_ival_prepare(m, op, hli_result(m->k, op, 0), &p.r);
  if (!s)
    s = hli_place_of_value(m, op, hli_operand(m->k, op, 0), &p.from);
  if (!s)
    s = hli_place_of_value(m, op, hli_result(m->k, op, 0), &p.to);
  if (s)
    return s;
  p.have = hli_calloc(m->alloc, (size_t)p.a->count, sizeof *p.have);
  p.done = hli_calloc(m->alloc, (size_t)p.r->count, sizeof *p.done);
  if (!p.have || !p.done)
    s = hli_machine_no_memory(m);
  for (uint32_t w = 0; w < m->threads / m->warp_size && !s; w++)
    s = partial_of_warp(m, op, &p, w);
  hli_release(m->alloc, p.have, (size_t)p.a->count * sizeof *p.have);
  hli_release(m->alloc, p.done, (size_t)p.r->count * sizeof *p.done);
  return s;
}

hl_status hli_exec_lane(hli_machine *m, hli_op op) {
  if (hli_op_get(m->k, op)->code == HLI_OP_PARTIAL_REDUCE)
    return exec_partial_reduce(m, op);
  return hli_ival_assign(m, hli_result(m->k, op, 0), hli_operand(m->k, op, 0)); /* convert: hli_lane_check judges it */
}
