/* flat.c: rows that touch in memory are walked as one.
 *
 * Where a block does nothing but pointwise work on whole rows of dense tensors, and a row is no whole number of
 * vectors, a loop per row would end each in a partial vector and begin the next in the middle of a cache line:
 *
 *   for %i = %b, %e {                                    %fb = mul %b, 100; %fe = mul %e, 100
 *     %x = load %a[%i, 0:] : f32[64]                     for %f = %fb, %fe step 64 {
 *     ..                                          ->       %x = load %a[0, %f:] {check = [0, 3]} : f32[64]
 *     %y = load %a[%i, 64:], mask .. : f32[48]             ..
 *
 * `check` 3 says that a run goes on behind the end of its dimension in the rows behind it. */
#include "src/pass/loopnest/nest.h"

/* Does the loop over d walk over all of the dimension? */
static bool is_whole(const ln *c, ln_dim d, int64_t *size) {
  hli_scalar begin, end;
  const hli_op range = ln_def(c, d.range);
  if (!range || !hli_const_value(c->src, hli_operand(c->src, range, 0), &begin) || !hli_const_value(c->src, hli_operand(c->src, range, 1), &end)) return false;
  *size = end.i;
  return begin.i == 0 && end.i > 0 && ln_bound(c, d) == end.i;
}

static bool is_dense_access(const ln *c, hli_op op, const ln_dim *dims, uint32_t n, uint32_t from) {
  hli_access a;
  hli_access_get(c->src, op, &a);
  if (a.rank != n || a.mask || a.other || a.gathers || hli_attr_len(c->src, op, HLI_ATTR_CHECK)) return false;
  int64_t dense = 1;
  for (uint32_t d = n; d-- > 0;) {
    int64_t size = 0;
    if (a.kind[d] != 't' || a.index[d] != dims[d].range || a.value_dim[d] != (int)d) return false;
    if (d < from) continue;
    if (ln_param_stride(c, a.base, d) != dense || (d > from && !is_whole(c, dims[d], &size))) return false;
    if (d > from && ln_param_size(c, a.base, d) != size) return false;
    dense *= size;
  }
  return true;
}

/* Pointwise work on values of all the dimensions, or of none. */
static bool is_flat_op(const ln *c, hli_op op, const ln_dim *dims, uint32_t n, uint32_t from) {
  const hli_op_data *o = &c->src->ops.data[op];
  if (o->region || o->code == HLI_OP_ATOMIC) return false;
  if (o->code == HLI_OP_STORE) return is_dense_access(c, op, dims, n, from);
  for (uint32_t i = 0; i < o->result_count; i++) {
    const hli_type_data *t = hli_type_of(c->src, o->results + i);
    if (t->kind != HLI_TYPE_VALUE || t->rank == 0) continue;
    if (t->rank != n) return false;
    for (uint32_t d = 0; d < n; d++)
      if (t->dims[d] != dims[d].axis) return false;
    if (o->code == HLI_OP_LOAD) return is_dense_access(c, op, dims, n, from);
    if (o->code == HLI_OP_BROADCAST) return hli_type_of(c->src, hli_operand(c->src, op, 0))->rank == 0;
    return ln_is_pointwise((hli_opcode)o->code);
  }
  return true;
}

int64_t ln_flat_row(const ln *c, hli_block block, const ln_dim *dims, uint32_t n, uint32_t *from) {
  int64_t row = 1, size;
  *from = n ? n - 1 : 0;
  while (*from > 0 && is_whole(c, dims[*from], &size) && row <= INT32_MAX / size) {
    row *= size;
    --*from;
  }
  if (!n || *from == n - 1 || row % (c->width * c->unroll) == 0) return 0;
  for (hli_op op = hli_first(c->src, block); op; op = hli_next(c->src, op))
    if (!is_flat_op(c, op, dims, n, *from)) return 0;
  return row;
}
