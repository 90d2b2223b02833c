/* select_gather.c: gathers along short axes of values, in operations that GPUs have.
 *
 * A GPU has no way to index the registers of other threads.  Where both axes are short, every element is compared with
 * every index instead: the largest of the one element that is meant and of the least number elsewhere is that element.
 *
 *   %r = gather %v, %i {axis = 1}    ->    %e = eq %i over [$m, $c, $n], positions along $n
 *   : [$m, $c], %v of [$m, $n]             %s = where %e, %v over the same, lowest
 *                                          %r = where 0 <= %i < n, reduce %s {op = max, axes = [2]}, 0 */
#include "src/pass/pass.h"

/* Elements of a row times indices into it, beyond which comparing all with all is too much for registers. */
enum { MOST_PAIRS = 4096 };

/* Elements along an axis that is whole and known; 0: it is not. */
static int64_t whole_lanes(const hl_kernel *k, hli_axis a) {
  if (hli_axis_is_one(k, a))
    return 1;
  return k->axes.data[a].kind == HLI_AXIS_FULL ? HLI_MAX(k->dims.data[k->axes.data[a].dim].value, 0) : 0;
}

/* 0, 1, .. along the axis, in the shape `to`, of which it is dimension `at`. */
static hli_value positions(hli_cursor *c, hli_axis axis, hli_type to, int64_t at) {
  const hli_type type = hli_type_value(c->k, HL_I64, &axis, 1);
  if (hli_axis_is_one(c->k, axis))
    return hli_make_splat(c, hli_make_i64(c, 0), to);
  const hli_op op = hli_op_create(c, &(hli_op_desc){.code = HLI_OP_LANE_INDEX, .results = &type, .result_count = 1});
  return op ? hli_make_broadcast(c, hli_result(c->k, op, 0), to, &at) : 0;
}

/* What v holds at the index, or the least number where no position is it. */
static hli_value pick(hli_cursor *c, hli_value v, hli_value index, uint32_t axis) {
  hl_kernel *k = c->k;
  const hli_type_data from = *hli_type_of(k, v), to = *hli_type_of(k, index);
  const hl_dtype dtype = (hl_dtype)from.dtype;
  hli_axis axes[HL_MAX_RANK];
  int64_t of_index[HL_MAX_RANK], of_value[HL_MAX_RANK], last = axis + 1;
  for (uint32_t d = 0; d < to.rank; d++) {
    of_index[d] = d + (d > axis);
    of_value[d] = d + (d >= axis);
    axes[of_index[d]] = to.dims[d];
  }
  axes[last] = from.dims[axis];
  const hli_type wide = hli_type_value(k, dtype, axes, to.rank + 1u), wide_index = hli_type_with_dtype(k, wide, HL_I64);
  const hli_value at = positions(c, from.dims[axis], wide_index, last);
  const hli_value i = hli_make_broadcast(c, index, wide_index, of_index), x = hli_make_broadcast(c, v, wide, of_value);
  const hli_value here = at && i ? hli_make_binary(c, HLI_OP_EQ, i, at) : 0;
  if (!here || !x)
    return 0;
  if (dtype == HL_BOOL)
    return hli_make_reduce(c, HL_REDUCE_ANY, hli_make_binary(c, HLI_OP_AND, here, x), &last, 1);
  const hli_value least = hli_make_splat(c, hli_make_identity(c, dtype, HLI_ID_LOWEST), wide);
  return least ? hli_make_reduce(c, HL_REDUCE_MAX, hli_make_where(c, here, x, least), &last, 1) : 0;
}

static hli_value selected(hli_cursor *c, hli_value v, hli_value index, uint32_t axis, int64_t n) {
  hl_kernel *k = c->k;
  const hl_dtype dtype = hli_dtype_of(k, v);
  const hli_type shape = k->values.data[index].type;
  if (hli_dtype_is_narrow(dtype)) { /* exactly the same numbers, reduced in a format that all targets reduce */
    const hli_value wide = hli_make_cast(c, v, HL_F32), r = wide ? selected(c, wide, index, axis, n) : 0;
    return r ? hli_make_cast(c, r, dtype) : 0;
  }
  const hli_value r = pick(c, v, index, axis), zero = hli_make_splat(c, hli_make_i64(c, 0), shape),
                  end = hli_make_splat(c, hli_make_i64(c, n), shape);
  if (!r || !zero || !end)
    return 0;
  const hli_value low = hli_make_binary(c, HLI_OP_GE, index, zero), high = hli_make_binary(c, HLI_OP_LT, index, end);
  const hli_value nothing = hli_make_splat(c, hli_make_const(c, dtype, 0), hli_type_with_dtype(k, shape, dtype));
  return low && high ? hli_make_where(c, hli_make_binary(c, HLI_OP_AND, low, high), r, nothing) : 0;
}

void hli_select_gathers(hl_kernel *k) {
  const uint32_t count = k->ops.len;
  for (hli_op op = 1; op < count && !k->failed; op++) {
    const hli_op_data o = *hli_op_get(k, op);
    if (o.dead || o.code != HLI_OP_GATHER)
      continue;
    const hli_value v = hli_operand(k, op, 0), index = hli_operand(k, op, 1);
    const uint32_t axis = (uint32_t)hli_attr(k, op, 0, 0);
    const hli_type_data *from = hli_type_of(k, v), *to = hli_type_of(k, index);
    const int64_t n = whole_lanes(k, from->dims[axis]), m = whole_lanes(k, to->dims[axis]);
    if (!n || !m || n > MOST_PAIRS / m || from->rank >= HLI_LAYOUT_RANK)
      continue;
    hli_cursor at = {.k = k, .block = o.block, .before = op, .file = o.file, .line = o.line};
    const hli_value r = selected(&at, v, index, axis, n);
    if (!r) {
      k->failed = true;
      return;
    }
    hli_replace_uses(k, hli_result(k, op, 0), r);
    hli_op_remove(k, op);
  }
}
