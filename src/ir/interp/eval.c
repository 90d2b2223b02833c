/* eval.c: ops that look at one element at a time: pointwise, constants, shapes, sizes and tiles.
 * SPDX-License-Identifier: MIT */
#include "src/ir/interp/machine.h"

/* Operands of a pointwise op have one shape: anything else is a defect of the pass that made it. */
static hl_status same_shape(hli_machine *m, hli_op op, const hli_ival *a, const hli_ival *b) {
  bool same = a->rank == b->rank;
  for (uint32_t d = 0; d < a->rank && same; d++)
    same = a->size[d] == b->size[d];
  return same ? HL_OK : hli_machine_fail(m, HL_ERR_INTERNAL, op, "operands have different shapes");
}

hl_status hli_exec_pointwise(hli_machine *m, hli_op op) {
  const hli_op_data *o = hli_op_get(m->k, op);
  const hli_value id = hli_result(m->k, op, 0);
  const uint32_t n = hli_operand_count(m->k, op);
  const hl_dtype dtype = hli_dtype_of(m->k, hli_operand(m->k, op, o->code == HLI_OP_WHERE ? 1 : 0));
  hli_ival *r;
  hl_status s = hli_ival_prepare(m, op, id, &r);
  for (uint32_t i = 0; i < n && !s; i++)
    s = same_shape(m, op, hli_ival_operand(m, op, i), r);
  for (int64_t e = 0; e < r->count && !s; e++) {
    hli_scalar args[3] = {{0}};
    for (uint32_t i = 0; i < n && i < 3; i++)
      args[i] = hli_ival_operand(m, op, i)->data[e];
    r->data[e] = hli_scalar_eval((hli_opcode)o->code, dtype, (hl_dtype)r->dtype, args, !m->options.exact);
  }
  return s;
}

hl_status hli_exec_const(hli_machine *m, hli_op op) {
  const hli_value id = hli_result(m->k, op, 0);
  hli_ival *r;
  hl_status s = hli_ival_prepare(m, op, id, &r);
  if (!s)
    r->data[0] = hli_scalar_from_bits((hl_dtype)r->dtype, (uint64_t)hli_attr(m->k, op, 0, 0));
  return s;
}

/* ---- shape ---- */

/* Which dimension of the result each dimension of the source becomes; -1: it disappears. */
static void source_dims(const hl_kernel *k, hli_op op, uint32_t rank, int8_t *to) {
  const uint32_t n = hli_attr_len(k, op, 0);
  int8_t next = 0;
  for (uint32_t d = 0; d < rank; d++) {
    bool dropped = false;
    switch (hli_op_get(k, op)->code) {
    case HLI_OP_BROADCAST:
      to[d] = (int8_t)hli_attr(k, op, 0, d);
      break;
    case HLI_OP_TRANSPOSE: /* result dim i is source dim perm[i] */
      for (uint32_t i = 0; i < n; i++)
        if (hli_attr(k, op, 0, i) == (int64_t)d)
          to[d] = (int8_t)i;
      break;
    default: /* squeeze */
      for (uint32_t i = 0; i < n; i++)
        dropped |= hli_attr(k, op, 0, i) == (int64_t)d;
      to[d] = dropped ? -1 : next++;
    }
  }
}

hl_status hli_exec_shape(hli_machine *m, hli_op op) {
  const hli_ival *a = hli_ival_operand(m, op, 0);
  hli_ival *r;
  hl_status s = hli_ival_prepare(m, op, hli_result(m->k, op, 0), &r);
  if (s)
    return s;
  if (hli_op_get(m->k, op)->code == HLI_OP_RESHAPE) {
    if (r->count != a->count)
      return hli_machine_fail(m, HL_ERR_INTERNAL, op, "the result has %lld elements, the operand %lld",
                              (long long)r->count, (long long)a->count);
    memcpy(r->data, a->data, (size_t)r->count * sizeof *r->data);
    return HL_OK;
  }
  int8_t to[HL_MAX_RANK] = {0};
  source_dims(m->k, op, a->rank, to);
  for (uint32_t d = 0; d < a->rank; d++)
    if (a->size[d] != 1 && (to[d] < 0 || to[d] >= r->rank || r->size[to[d]] != a->size[d]))
      return hli_machine_fail(m, HL_ERR_INTERNAL, op, "dimension %u has %lld lanes, which do not fit the result", d,
                              (long long)a->size[d]);
  int64_t c[HL_MAX_RANK] = {0}, from[HL_MAX_RANK] = {0};
  if (r->count == 0)
    return HL_OK;
  int64_t e = 0;
  do {
    for (uint32_t d = 0; d < a->rank; d++)
      from[d] = a->size[d] == 1 || to[d] < 0 ? 0 : c[to[d]];
    r->data[e++] = a->data[hli_row_major(from, a->size, a->rank)];
  } while (hli_next_coord(c, r->size, r->rank));
  return HL_OK;
}

/* ---- sizes and indices ---- */

hl_status hli_exec_scalar(hli_machine *m, hli_op op) {
  hli_ival *r;
  hl_status s = hli_ival_prepare(m, op, hli_result(m->k, op, 0), &r);
  if (s)
    return s;
  switch (hli_op_get(m->k, op)->code) {
  case HLI_OP_SIZE: {
    const hli_itensor *t = &m->tensors[hli_ival_operand(m, op, 0)->object];
    r->data[0].i = t->size[hli_attr(m->k, op, 0, 0)];
    return HL_OK;
  }
  case HLI_OP_STRIDE: {
    const hli_itensor *t = &m->tensors[hli_ival_operand(m, op, 0)->object];
    r->data[0].i = t->stride[hli_attr(m->k, op, 0, 0)];
    return HL_OK;
  }
  case HLI_OP_TUNABLE:
    r->data[0].i = m->k->tunables.data[hli_attr(m->k, op, 0, 0)].preferred;
    return HL_OK;
  case HLI_OP_PROGRAM_ID:
    r->data[0].i = m->program;
    return HL_OK;
  case HLI_OP_LANE_MASK:
    for (int64_t e = 0; e < r->count; e++)
      r->data[e].i = e < hli_ival_int(hli_ival_operand(m, op, 0));
    return HL_OK;
  case HLI_OP_WINDOW: {
    const hli_ival *a = hli_ival_operand(m, op, 0);
    for (int64_t e = 0, from = hli_attr(m->k, op, 0, 0); e < r->count; e++, from++)
      r->data[e] = from < a->count ? a->data[from] : hli_ival_operand(m, op, 1)->data[from - a->count];
    return HL_OK;
  }
  default: /* iota */
    for (int64_t e = 0; e < r->count; e++)
      r->data[e].i = (int64_t)((uint64_t)hli_ival_int(hli_ival_operand(m, op, 0)) + (uint64_t)e);
    return HL_OK;
  }
}

/* range: an instance of the axis.  An axis without a block takes all of begin..end at once. */
static hl_status exec_range(hli_machine *m, hli_op op) {
  const hli_axis axis = (hli_axis)hli_attr(m->k, op, 0, 0);
  const int64_t begin = hli_ival_int(hli_ival_operand(m, op, 0)), end = hli_ival_int(hli_ival_operand(m, op, 1));
  const int64_t inside = hli_span_of(begin, end);
  const int64_t block = m->k->axes.data[axis].block;
  m->axes[axis].lanes = block ? block : inside;
  m->axes[axis].valid = HLI_MIN(inside, m->axes[axis].lanes);
  hli_ival *r = hli_ival_of(m, hli_result(m->k, op, 0));
  *r = (hli_ival){
      .kind = HLI_IVAL_TILE, .rank = 1, .begin = begin, .end = end, .axis = axis, .size = {m->axes[axis].lanes}};
  return HL_OK;
}

static int64_t floor_div(int64_t a, int64_t b) {
  const int64_t q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0));
}

hl_status hli_exec_tile_op(hli_machine *m, hli_op op) {
  const hli_opcode code = (hli_opcode)hli_op_get(m->k, op)->code;
  if (code == HLI_OP_RANGE)
    return exec_range(m, op);
  hli_ival *r;
  hl_status s = hli_ival_prepare(m, op, hli_result(m->k, op, 0), &r);
  if (s)
    return s;
  if (code == HLI_OP_LANE_INDEX) {
    for (int64_t e = 0; e < r->count; e++)
      r->data[e].i = e;
    return HL_OK;
  }
  const hli_ival *t = hli_ival_operand(m, op, 0);
  const int64_t block = t->size[0];
  switch (code) {
  case HLI_OP_TILE_BEGIN:
    r->data[0].i = t->begin;
    return HL_OK;
  case HLI_OP_TILE_END:
    r->data[0].i = hli_span_of(t->begin, t->end) < block ? t->end : t->begin + block;
    return HL_OK;
  case HLI_OP_TILE_ID:
    r->data[0].i = block ? floor_div(t->begin, block) : 0;
    return HL_OK;
  case HLI_OP_BLOCK_SIZE:
    r->data[0].i = block;
    return HL_OK;
  case HLI_OP_TILE_INDEX:
    for (int64_t e = 0; e < r->count; e++)
      r->data[e].i = (int64_t)((uint64_t)t->begin + (uint64_t)e);
    return HL_OK;
  default: /* in_bounds */
    for (int64_t e = 0; e < r->count; e++)
      r->data[e].i = e < hli_span_of(t->begin, t->end);
    return HL_OK;
  }
}
