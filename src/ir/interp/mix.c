/* mix.c: reduce and dot.  Floats are summed in long double, in ascending order, and rounded once at
 * the end: nearer to the truth than any back end, whatever its order.  Integers wrap in their dtype.
 * At TILE and LOOP lanes beyond an axis' valid ones do not take part. SPDX-License-Identifier: MIT */
#include "src/ir/interp/machine.h"

static bool is_float(hl_dtype dtype) {
  return hli_dtype_kind(dtype) == 'f';
}

int64_t hli_taking_part(const hli_machine *m, hli_value v, uint32_t d) {
  const hli_ival *a = &m->values[v];
  const hli_axis axis = hli_type_of(m->k, v)->dims[d];
  if (m->k->stage == HLI_STAGE_LANE || m->axes[axis].lanes != a->size[d])
    return a->size[d];
  return m->axes[axis].valid;
}

/* ---- reduce ---- */

static hli_scalar reduce_identity(hl_reduce_op op, hl_dtype dtype) {
  if (op == HL_REDUCE_ALL)
    return hli_scalar_from_bits(dtype, dtype == HL_BOOL ? 1 : UINT64_MAX);
  return hli_scalar_identity((hli_identity)hli_op_facts(hli_reduce_combine(op))->identity, dtype);
}

hli_fold hli_fold_begin(const hli_machine *m, hl_reduce_op op, hl_dtype dtype) {
  const bool wide = is_float(dtype) && (op == HL_REDUCE_SUM || op == HL_REDUCE_PROD);
  return (hli_fold){op, dtype, !m->options.exact, wide, op == HL_REDUCE_PROD ? 1.0L : 0.0L, reduce_identity(op, dtype)};
}

void hli_fold_add(hli_fold *f, hli_scalar x) {
  if (f->wide && f->op == HL_REDUCE_SUM)
    f->sum += x.f;
  else if (f->wide)
    f->sum *= x.f;
  else
    f->value = hli_scalar_eval(hli_reduce_combine(f->op), f->dtype, f->dtype, (hli_scalar[]){f->value, x}, f->typed);
}

hli_scalar hli_fold_end(const hli_machine *m, const hli_fold *f) {
  return f->wide ? hli_machine_round(m, f->dtype, f->sum) : f->value;
}

/* Folds the elements of `a` at `at` with the dimensions in `over` running over 0..limit. */
static hli_scalar fold_over(const hli_machine *m, hli_fold f, const hli_ival *a, const int64_t *at, uint32_t over,
                            const int64_t *limit) {
  int64_t c[HL_MAX_RANK], size[HL_MAX_RANK], walk[HL_MAX_RANK] = {0};
  bool empty = false;
  for (uint32_t d = 0; d < a->rank; d++) {
    size[d] = over >> d & 1 ? limit[d] : 1;
    empty |= size[d] <= 0;
  }
  if (!empty)
    do {
      for (uint32_t d = 0; d < a->rank; d++)
        c[d] = over >> d & 1 ? walk[d] : at[d];
      hli_fold_add(&f, a->data[hli_row_major(c, a->size, a->rank)]);
    } while (hli_next_coord(walk, size, a->rank));
  return hli_fold_end(m, &f);
}

hl_status hli_exec_reduce(hli_machine *m, hli_op op) {
  const hli_value src = hli_operand(m->k, op, 0);
  const hli_ival *a = &m->values[src];
  hli_ival *r;
  hl_status s = hli_ival_prepare(m, op, hli_result(m->k, op, 0), &r);
  if (s)
    return s;
  uint32_t over = 0;
  int64_t limit[HL_MAX_RANK] = {0};
  for (uint32_t i = 0; i < hli_attr_len(m->k, op, 1); i++)
    over |= 1u << hli_attr(m->k, op, 1, i);
  for (uint32_t d = 0; d < a->rank; d++)
    limit[d] = hli_taking_part(m, src, d);
  const hl_reduce_op kind = (hl_reduce_op)hli_attr(m->k, op, 0, 0);
  int64_t c[HL_MAX_RANK] = {0}, at[HL_MAX_RANK] = {0};
  for (int64_t e = 0; e < r->count; e++) {
    for (uint32_t d = 0, next = 0; d < a->rank; d++)
      at[d] = over >> d & 1 ? 0 : c[next++];
    r->data[e] = fold_over(m, hli_fold_begin(m, kind, (hl_dtype)a->dtype), a, at, over, limit);
    (void)hli_next_coord(c, r->size, r->rank);
  }
  return HL_OK;
}

/* ---- dot ---- */

static hli_scalar dot_int(hl_dtype dtype, const hli_scalar *a, const hli_scalar *b, int64_t step, int64_t n,
                          hli_scalar acc) {
  uint64_t sum = acc.u;
  for (int64_t i = 0; i < n; i++)
    sum += a[i].u * b[i * step].u;
  return hli_scalar_from_bits(dtype, sum); /* keeps the low bits: wraps */
}

static hli_scalar dot_float(const hli_machine *m, hl_dtype dtype, const hli_scalar *a, const hli_scalar *b,
                            int64_t step, int64_t n, hli_scalar acc, bool tf32) {
  long double sum = acc.f;
  for (int64_t i = 0; i < n; i++) {
    hli_scalar x = a[i], y = b[i * step];
    if (tf32) {
      x = hli_scalar_eval(HLI_OP_TF32, HL_F32, HL_F32, &x, true);
      y = hli_scalar_eval(HLI_OP_TF32, HL_F32, HL_F32, &y, true);
    }
    sum += (long double)x.f * (long double)y.f;
  }
  return hli_machine_round(m, dtype, sum);
}

hl_status hli_exec_dot(hli_machine *m, hli_op op) {
  const hli_value left = hli_operand(m->k, op, 0);
  const hli_ival *a = &m->values[left], *b = hli_ival_operand(m, op, 1), *acc = hli_ival_operand(m, op, 2);
  hli_ival *r;
  hl_status s = hli_ival_prepare(m, op, hli_result(m->k, op, 0), &r);
  if (s)
    return s;
  const uint32_t first = a->rank == 3 ? 1 : 0; /* behind the batch */
  const int64_t batch = first ? a->size[0] : 1, rows = a->size[first], inner = a->size[first + 1],
                columns = b->size[first + 1];
  if (a->rank - first != 2 || b->rank != a->rank || b->size[first] != inner || r->count != batch * rows * columns)
    return hli_machine_fail(m, HL_ERR_INTERNAL, op, "shapes do not fit");
  const int64_t n = hli_taking_part(m, left, first + 1);
  const hl_dtype dtype = (hl_dtype)r->dtype;
  const bool tf32 = hli_attr_or(m->k, op, 0, 0, HL_DOT_IEEE) == HL_DOT_TF32 && !m->options.exact;
  for (int64_t e = 0; e < r->count; e++) {
    const int64_t j = e % columns, i = e / columns; /* i: over all batches */
    const hli_scalar *x = a->data + i * inner, *y = b->data + i / rows * inner * columns + j;
    r->data[e] = is_float(dtype) ? dot_float(m, dtype, x, y, columns, n, acc->data[e], tf32)
                                 : dot_int(dtype, x, y, columns, n, acc->data[e]);
  }
  return HL_OK;
}

/* ---- gather ---- */

hl_status hli_exec_gather(hli_machine *m, hli_op op) {
  const hli_value src = hli_operand(m->k, op, 0);
  const hli_ival *v = &m->values[src], *index = hli_ival_operand(m, op, 1);
  const uint32_t axis = (uint32_t)hli_attr(m->k, op, 0, 0);
  hli_ival *r;
  hl_status s = hli_ival_prepare(m, op, hli_result(m->k, op, 0), &r);
  if (s)
    return s;
  const int64_t valid = hli_taking_part(m, src, axis);
  int64_t c[HL_MAX_RANK] = {0}, at[HL_MAX_RANK];
  for (int64_t e = 0; e < r->count; e++) {
    memcpy(at, c, sizeof at);
    at[axis] = index->data[e].i;
    r->data[e] = at[axis] >= 0 && at[axis] < valid ? v->data[hli_row_major(at, v->size, v->rank)]
                                                   : hli_scalar_from_bits((hl_dtype)r->dtype, 0);
    (void)hli_next_coord(c, r->size, r->rank);
  }
  return HL_OK;
}
