/* flatten.c: may a tile loop of several axes be one loop over the product of their extents?
 *
 * Yes where nobody can tell: no index of a tile is looked at, every value along the axes has all of them in order and
 * is computed element by element, and every tensor along them is contiguous, of the loop's extents, and only ever
 * accessed as a whole by this loop.  Then elements are just numbered.  SPDX-License-Identifier: MIT */
#include "src/config/flatten.h"

typedef struct flat {
  const hl_kernel *k;
  hli_op loop;
  uint32_t rank;
  hli_axis axis[HL_MAX_RANK];
  int64_t extent[HL_MAX_RANK];
  uint32_t whole, other; /* parameters (bits) accessed along the axes, and otherwise */
} flat;

static bool touches(const flat *f, hli_value v) {
  const hli_type_data *t = hli_type_of(f->k, v);
  for (uint32_t d = 0; d < t->rank && t->kind != HLI_TYPE_TENSOR; d++)
    for (uint32_t i = 0; i < f->rank; i++)
      if (t->dims[d] == f->axis[i])
        return true;
  return false;
}

static bool is_whole(const flat *f, hli_value v) {
  const hli_type_data *t = hli_type_of(f->k, v);
  return t->kind == HLI_TYPE_VALUE && t->rank == f->rank && !memcmp(t->dims, f->axis, f->rank * sizeof *f->axis);
}

static bool describe(const hl_kernel *k, hli_op loop, flat *f) {
  const hli_op_data *o = hli_op_get(k, loop);
  hli_scalar begin, end;
  int64_t product = 1;
  *f = (flat){.k = k, .loop = loop, .rank = hli_attr_len(k, loop, 0)};
  if (f->rank < 2 || o->result_count)
    return false;
  for (uint32_t d = 0; d < f->rank; d++) {
    const hli_axis a = (hli_axis)hli_attr(k, loop, 0, d);
    const hli_axis_data *x = &k->axes.data[a];
    if (x->block || x->block_min || x->block_max || x->tunable ||
        !hli_const_value(k, hli_operand(k, loop, d), &begin) ||
        !hli_const_value(k, hli_operand(k, loop, f->rank + d), &end) || begin.i != 0 || end.i < 1 ||
        __builtin_mul_overflow(product, end.i, &product) || product > (int64_t)1 << 40)
      return false;
    f->axis[d] = a, f->extent[d] = end.i;
  }
  return true;
}

/* Row-major, without gaps, of the loop's extents. */
static bool is_contiguous(const flat *f, const hli_param *p) {
  const hli_type_data *t = hli_type_of(f->k, p->value);
  int64_t stride = 1;
  if (t->rank != f->rank)
    return false;
  for (uint32_t d = t->rank; d-- > 0;) {
    const int64_t size = f->k->dims.data[t->dims[d]].value;
    if (size != f->extent[d] || (size > 1 && p->strides[d] != stride))
      return false;
    stride *= size;
  }
  return true;
}

static bool access_fits(flat *f, hli_op op) {
  const hl_kernel *k = f->k;
  const hli_block region = k->ops.data[f->loop].region;
  hli_access a;
  hli_access_get(k, op, &a);
  const uint32_t param = k->values.data[a.base].index;
  bool along = false;
  for (uint32_t d = 0; d < a.rank; d++)
    along |= a.index[d] && touches(f, a.index[d]);
  if (!along) {
    f->other |= 1u << param;
    return !touches(f, a.value) && (!a.mask || !touches(f, a.mask));
  }
  f->whole |= 1u << param;
  for (uint32_t d = 0; d < a.rank; d++)
    if (a.rank != f->rank || a.kind[d] != 't' || a.index[d] != hli_block_arg(k, region, d))
      return false;
  return is_whole(f, a.value) && is_contiguous(f, &k->params.data[param]);
}

static bool op_fits(flat *f, hli_op op) {
  const hl_kernel *k = f->k;
  const hli_op_data *o = hli_op_get(k, op);
  const uint8_t family = hli_op_facts((hli_opcode)o->code)->family;
  bool any = false, all = true;
  if (o->region)
    return false;
  if (o->code == HLI_OP_LOAD || o->code == HLI_OP_STORE)
    return access_fits(f, op);
  for (uint32_t i = 0; i < o->operands.len; i++)
    any |= touches(f, hli_operand(k, op, i)), all &= is_whole(f, hli_operand(k, op, i));
  if (!any && (!o->result_count || !touches(f, o->results)))
    return family != HLI_FAM_ACCESS;
  if (o->code == HLI_OP_BROADCAST)
    return !any && is_whole(f, o->results) && !hli_type_of(k, hli_operand(k, op, 0))->rank;
  const bool pointwise =
      family == HLI_FAM_UNARY || family == HLI_FAM_BINARY || family == HLI_FAM_TERNARY || family == HLI_FAM_CAST;
  return pointwise && all && is_whole(f, o->results);
}

/* Are the loop's tensors accessed, or asked for their shape, anywhere else? */
static bool seen_elsewhere(const flat *f) {
  const hl_kernel *k = f->k;
  for (hli_op op = 1; op < k->ops.len; op++) {
    const hli_op_data *o = hli_op_get(k, op);
    const bool access = hli_op_facts((hli_opcode)o->code)->family == HLI_FAM_ACCESS;
    if (o->dead || (!access && o->code != HLI_OP_SIZE && o->code != HLI_OP_STRIDE))
      continue;
    if (access && o->block == k->ops.data[f->loop].region)
      continue;
    if (f->whole >> k->values.data[hli_operand(k, op, 0)].index & 1)
      return true;
  }
  return false;
}

/* Several top-level loops have grids of their own, which count the knobs of their ranks. */
static bool stands_well(const hl_kernel *k, hli_op loop) {
  uint32_t roots = 0;
  for (hli_op op = hli_first(k, k->body); op; op = hli_next(k, op))
    roots += k->ops.data[op].code == HLI_OP_TILE;
  return k->ops.data[loop].block != k->body || roots == 1;
}

static bool fits(const hl_kernel *k, hli_op loop, flat *f) {
  if (!describe(k, loop, f) || !stands_well(k, loop))
    return false;
  for (hli_op op = hli_first(k, k->ops.data[loop].region); op; op = hli_next(k, op))
    if (!op_fits(f, op))
      return false;
  return f->whole && !(f->whole & f->other) && !seen_elsewhere(f);
}

uint32_t hli_flattenable(const hl_kernel *k, hli_op loops[HLI_FLATTEN_MOST]) {
  uint32_t n = 0;
  flat f;
  for (hli_op op = 1; op < k->ops.len && n < HLI_FLATTEN_MOST; op++)
    if (!k->ops.data[op].dead && k->ops.data[op].code == HLI_OP_TILE && fits(k, op, &f))
      loops[n++] = op;
  return n;
}

uint32_t hli_flat_params(const hl_kernel *k, hli_op loop) {
  flat f;
  return fits(k, loop, &f) ? f.whole : 0;
}
