/* roll.c: decides how full dimensions (x[i, :]) are walked: the whole row at once, or in chunks.
 *
 * Expects specialised TILE; afterwards no ':' index is left.  Owner of reduction_loops.
 * At once: the axis becomes one range whose block covers the dimension (on a GPU padded so that it divides among
 *   threads: hli_whole_row_block).
 *   %v = load %x[%i, :]    ->    %a = range %c0, %n {axis = $N};  %v = load %x[%i, %a]
 * In chunks: the ops along the axis are sorted into phases by the reductions they wait for; each phase is a
 * `tile` loop over chunks that recomputes what it needs and carries one accumulator per reduction.
 *   %m = reduce %v {op = max}       %acc = tile %c0, %n, %lowest {axes = [$N_1]} (%a, %p) {
 *                             ->      %q = max %p, where(in_bounds %a, load %x[%i, %a], lowest); yield %q }
 *                                   %m = reduce %acc {op = max}
 */
#include "src/pass/roll.h"
#include "src/config/facts.h"

/* ---- ':' becomes a range ---- */

static bool has_full_index(const hl_kernel *k, hli_op op) {
  const uint16_t code = k->ops.data[op].code;
  if (k->ops.data[op].dead || (code != HLI_OP_LOAD && code != HLI_OP_STORE && code != HLI_OP_ATOMIC))
    return false;
  for (uint32_t d = 0; d < hli_attr_len(k, op, 0); d++)
    if (hli_attr(k, op, 0, d) == ':')
      return true;
  return false;
}

/* Re-creates an access with tiles in place of ':'. `ranges` is indexed by axis. */
static void replace_access(hl_kernel *k, hli_op op, hli_value *ranges, hli_op first) {
  hli_access a;
  hli_access_get(k, op, &a);
  char kinds[HL_MAX_RANK];
  hli_cursor top = {
      .k = k, .block = k->body, .before = first, .file = k->ops.data[op].file, .line = k->ops.data[op].line};
  for (uint32_t d = 0; d < a.rank; d++) {
    kinds[d] = a.kind[d] == ':' ? 't' : a.kind[d];
    if (a.kind[d] == ':') {
      const hli_axis axis = hli_axis_full(k, hli_type_of(k, a.base)->dims[d]);
      if (!ranges[axis])
        ranges[axis] = hli_make_range(&top, axis, hli_make_i64(&top, 0), hli_make_size(&top, a.base, d));
      a.index[d] = ranges[axis];
    }
  }
  hli_cursor at = {.k = k, .block = k->ops.data[op].block, .before = op, .file = top.file, .line = top.line};
  const hli_op made = hli_make_access(&at, op, kinds, a.index, a.mask, NULL);
  if (!made) {
    k->failed = true;
    return;
  }
  for (uint32_t i = 0; i < k->ops.data[op].result_count; i++) {
    const hli_value old = hli_result(k, op, i), v = hli_result(k, made, i);
    k->values.data[v].name = k->values.data[old].name;
    hli_replace_uses(k, old, v);
  }
  hli_op_remove(k, op);
}

/* lane_index along a full axis becomes the index in its range. */
static void replace_lane_index(hl_kernel *k, hli_op op, hli_value *ranges, hli_op first) {
  const hli_axis axis = hli_type_of(k, hli_result(k, op, 0))->dims[0];
  hli_cursor top = {.k = k, .block = k->body, .before = first}, at = {.k = k, .block = k->ops.data[op].block, .before = op};
  for (uint32_t p = 0; p < k->params.len && !ranges[axis]; p++) {
    const hli_value tensor = k->params.data[p].value;
    const hli_type_data t = *hli_type_of(k, tensor);
    for (uint32_t d = 0; d < t.rank && t.kind == HLI_TYPE_TENSOR && !ranges[axis]; d++)
      if (t.dims[d] == k->axes.data[axis].dim)
        ranges[axis] = hli_make_range(&top, axis, hli_make_i64(&top, 0), hli_make_size(&top, tensor, d));
  }
  const hli_value v = hli_make_unary(&at, HLI_OP_TILE_INDEX, ranges[axis]);
  if (!v) {
    k->failed = true;
    return;
  }
  k->values.data[v].name = k->values.data[hli_result(k, op, 0)].name;
  hli_replace_uses(k, hli_result(k, op, 0), v);
  hli_op_remove(k, op);
}

static bool is_full_lane_index(const hl_kernel *k, hli_op op) {
  return !k->ops.data[op].dead && k->ops.data[op].code == HLI_OP_LANE_INDEX &&
         k->axes.data[hli_type_of(k, hli_result(k, op, 0))->dims[0]].kind == HLI_AXIS_FULL;
}

static hl_status replace_full(hli_pass_env *env, hl_kernel *k) {
  const uint32_t axes = k->axes.len + k->dims.len;
  hli_value *ranges = hli_calloc(k->alloc, axes, sizeof *ranges);
  const hli_op first = hli_first(k, k->body);
  const uint32_t count = k->ops.len;
  for (hli_op op = first; ranges && op; op = hli_next(k, op)) /* of slices: one tile per whole dimension is enough */
    if (k->ops.data[op].code == HLI_OP_RANGE)
      ranges[hli_attr(k, op, 0, 0)] = hli_result(k, op, 0);
  for (hli_op op = 1; ranges && op < count && !k->failed; op++)
    if (has_full_index(k, op))
      replace_access(k, op, ranges, first);
    else if (is_full_lane_index(k, op))
      replace_lane_index(k, op, ranges, first);
  const bool failed = !ranges || k->failed;
  hli_release(k->alloc, ranges, axes * sizeof *ranges);
  return failed ? hli_fail_memory(env->diag, "rolling a kernel") : HL_OK;
}

/* ---- the pass ---- */

/* A CPU packs the operands of a dot as deep as its blocks are: a depth that is not known is walked by this many. */
enum { OPEN_CHUNK = 256 };

/* A dimension of unknown size that a dot sums over, and that allows chunks. */
static bool is_open_dot(const hl_kernel *k, hli_axis axis) {
  const char *why;
  bool dot = false;
  for (hli_op op = 1; op < k->ops.len; op++)
    dot |= !k->ops.data[op].dead && hli_is_dot_over(k, op, axis);
  return dot && k->dims.data[k->axes.data[axis].dim].value < 0 && hli_chunk_block(k, axis, &why);
}

/* The first op that makes a value along the axis, for a message. */
static hli_op first_along(const hl_kernel *k, hli_axis axis) {
  for (hli_op op = 1; op < k->ops.len; op++)
    for (uint32_t r = 0; !k->ops.data[op].dead && r < k->ops.data[op].result_count; r++) {
      const hli_type_data *t = hli_type_of(k, hli_result(k, op, r));
      for (uint32_t d = 0; t->kind == HLI_TYPE_VALUE && d < t->rank; d++)
        if (t->dims[d] == axis)
          return op;
    }
  return 0;
}

static hl_status set_blocks(hli_pass_env *env, hl_kernel *k) {
  for (uint32_t a = 1; a < k->axes.len; a++) {
    hli_axis_data *x = &k->axes.data[a];
    if (x->kind != HLI_AXIS_FULL || x->block || !hli_axis_in_use(k, a))
      continue;
    const int64_t size = k->dims.data[x->dim].value;
    if (env->target->family == HLI_FAMILY_CPU) {
      x->block = HLI_MAX(size, 0);
    } else if (size < 0) {
      const hli_op_data *o = hli_op_get(k, first_along(k, a));
      return hli_fail_at(env->diag, HL_ERR_UNSUPPORTED, o->file ? o->file : "", o->line, 0,
                         "kernel %s: dimension %s is dynamic and is taken whole on %s: give it a size, loop over it with "
                         "a tile, or, where nothing but reductions use it, give reduction_loops a chunk",
                         k->name, k->dims.data[x->dim].name, env->target->name);
    } else {
      x->block = hli_whole_row_block(size);
    }
  }
  return HL_OK;
}

hl_status hli_pass_roll(hli_pass_env *env, hl_kernel **pk) {
  hl_kernel *k = *pk;
  hl_status s = replace_full(env, k);
  if (s != HL_OK)
    return s;
  const uint32_t axes = k->axes.len;
  uint32_t instance = 0;
  bool rolled = false;
  for (hli_axis a = 1; a < axes && s == HL_OK; a++) {
    if (k->axes.data[a].kind != HLI_AXIS_FULL)
      continue;
    const int64_t chunk = hli_config_value(env->config, HLI_KNOB_REDUCTION_LOOPS, instance++, 0);
    if (env->target->family == HLI_FAMILY_CPU ? is_open_dot(k, a) : chunk > 0)
      s = hli_roll_axis(env, k, a, chunk > 0 ? chunk : OPEN_CHUNK, &rolled);
  }
  if (s == HL_OK)
    s = hli_pass_simplify(env, pk);
  return s == HL_OK ? set_blocks(env, *pk) : s;
}
