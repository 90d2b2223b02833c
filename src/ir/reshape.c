/* reshape.c: how the axes of a reshape's operand and result correspond: groups of neighbours that hold the same number
 * of elements.
 *
 *     f32[$i, 8, 16] -> f32[$i, 128]        groups {$i | $i}  {8, 16 | 128}
 *
 * An axis whose size is not known while the kernel is built, a tile's, stays as it is. */
#include "src/ir/ir.h"

/* Elements along an axis, 0 if that is not known. */
int64_t hli_axis_size(const hl_kernel *k, hli_axis axis) {
  const hli_axis_data *a = &k->axes.data[axis];
  if (a->kind == HLI_AXIS_FULL)
    return HLI_MAX(k->dims.data[a->dim].value, 0);
  return a->kind == HLI_AXIS_CONST ? a->block : 0;
}

bool hli_reshape_next(const hl_kernel *k, const hli_type_data *from, const hli_type_data *to, hli_reshape *g) {
  const uint32_t s = g->from_end, d = g->to_end;
  int64_t a = 1, b = 1;
  g->from = s, g->to = d;
  g->changes = true;
  if (s < from->rank && d < to->rank && from->dims[s] == to->dims[d]) {
    g->from_end++, g->to_end++;
    g->changes = false;
    return true;
  }
  while (a != b || (g->from_end == s && g->to_end == d)) {
    const bool left = a <= b ? g->from_end < from->rank : g->to_end == to->rank;
    if (left ? g->from_end == from->rank : g->to_end == to->rank)
      return false; /* the end of both, or one side has too few elements */
    const int64_t n = hli_axis_size(k, left ? from->dims[g->from_end++] : to->dims[g->to_end++]);
    if (n == 0 || __builtin_mul_overflow(left ? a : b, n, left ? &a : &b))
      return false;
  }
  return true;
}

bool hli_reshape_fits(const hl_kernel *k, const hli_type_data *from, const hli_type_data *to) {
  hli_reshape g = {0};
  while (g.from_end < from->rank || g.to_end < to->rank)
    if (!hli_reshape_next(k, from, to, &g))
      return false;
  return true;
}

bool hli_reshape_changes(const hl_kernel *k, hli_op op, hli_axis axis) {
  const hli_type_data *from = hli_type_of(k, hli_operand(k, op, 0)), *to = hli_type_of(k, hli_result(k, op, 0));
  hli_reshape g = {0};
  while (hli_reshape_next(k, from, to, &g)) {
    for (uint32_t d = g.from; g.changes && d < g.from_end; d++)
      if (from->dims[d] == axis)
        return true;
    for (uint32_t d = g.to; g.changes && d < g.to_end; d++)
      if (to->dims[d] == axis)
        return true;
  }
  return false;
}
