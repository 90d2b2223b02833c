/* group.c: groups of small elements in one lane, their dot products, squares of lanes transposed.
 * Like a dot, a group is added up in long double and rounded once. SPDX-License-Identifier: MIT */
#include "src/ir/interp/machine.h"

static uint64_t mask_of(hl_dtype d) {
  return hl_dtype_size(d) == 1 ? 0xff : 0xffff;
}

static hl_status exec_group(hli_machine *m, hli_op op) {
  const uint32_t n = hli_operand_count(m->k, op);
  const hl_dtype d = hli_dtype_of(m->k, hli_operand(m->k, op, 0));
  const uint32_t size = hl_dtype_size(d), per = 4 / size;
  hli_ival *r;
  hl_status s = hli_ival_prepare(m, op, hli_result(m->k, op, 0), &r);
  for (int64_t l = 0; !s && l < r->count; l++) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < per; i++) {
      const hli_scalar x =
          n == 1 ? hli_ival_operand(m, op, 0)->data[l * per + i] : hli_ival_operand(m, op, i)->data[l];
      bits |= (hli_scalar_to_bits(d, x) & mask_of(d)) << 8 * size * i;
    }
    r->data[l].u = bits;
  }
  return s;
}

static hli_scalar element(hl_dtype d, hli_scalar group, uint32_t i) {
  return hli_scalar_from_bits(d, group.u >> 8 * hl_dtype_size(d) * i & mask_of(d));
}

static hl_status exec_group_dot(hli_machine *m, hli_op op) {
  const hl_dtype x = (hl_dtype)hli_attr(m->k, op, 0, 0), y = (hl_dtype)hli_attr(m->k, op, 1, 0);
  hli_ival *r;
  hl_status s = hli_ival_prepare(m, op, hli_result(m->k, op, 0), &r);
  const hli_ival *a = hli_ival_operand(m, op, 0), *b = hli_ival_operand(m, op, 1), *acc = hli_ival_operand(m, op, 2);
  for (int64_t l = 0; !s && l < r->count; l++) {
    long double sum = acc->data[l].f;
    uint64_t whole = acc->data[l].u;
    for (uint32_t i = 0; i < 4 / hl_dtype_size(x); i++) {
      const hli_scalar p = element(x, a->data[l], i), q = element(y, b->data[l], i);
      if (hli_dtype_kind(x) == 'f')
        sum += (long double)p.f * (long double)q.f;
      else
        whole += p.u * q.u;
    }
    r->data[l] = hli_dtype_kind(x) == 'f' ? hli_machine_round(m, (hl_dtype)r->dtype, sum)
                                          : hli_scalar_from_bits((hl_dtype)r->dtype, whole);
  }
  return s;
}

static hl_status exec_transpose_lanes(hli_machine *m, hli_op op) {
  const uint32_t n = hli_operand_count(m->k, op);
  for (uint32_t i = 0; i < n; i++) {
    hli_ival *r;
    const hl_status s = hli_ival_prepare(m, op, hli_result(m->k, op, i), &r);
    if (s)
      return s;
    for (uint32_t j = 0; j < n; j++)
      r->data[j] = hli_ival_operand(m, op, j)->data[i];
  }
  return HL_OK;
}

hl_status hli_exec_group(hli_machine *m, hli_op op) {
  switch (hli_op_get(m->k, op)->code) {
  case HLI_OP_GROUP:
    return exec_group(m, op);
  case HLI_OP_GROUP_DOT:
    return exec_group_dot(m, op);
  default:
    return exec_transpose_lanes(m, op);
  }
}
