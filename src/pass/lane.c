/* lane.c: what crosses warps goes through shared memory: reductions over several warps, converts between them.
 * Then buffers get their places and uses of them their barriers.
 *
 *   %m = reduce %v {op = max, axes = [1]}          %p = partial_reduce %v {op = max, axis = 1} : f32[$i, 8]
 *        : f32[$i]#2          # 8 warps    ->      %s = shared {slots = 1} : buffer<f32[1, 8]>
 *                                                  shared_store %s, %c0, %p;  barrier
 *                                                  %q = shared_load %s, %c0 : f32[$i, 8]#5
 *                                                  %m = reduce %q {op = max, axes = [1]} : f32[$i]#2
 *
 *   %c = convert %v : bf16[$i, $j]#7       ->      %s = shared ...;  shared_store %s, %c0, %v;  barrier
 *        # between warps                           %c = shared_load %s, %c0 : bf16[$i, $j]#7 */
#include "src/pass/lane.h"

typedef struct lowering {
  hli_pass_env *env;
  hl_kernel *k;
} lowering;

static hli_cursor before(hl_kernel *k, hli_op op) {
  return (hli_cursor){
      .k = k, .block = k->ops.data[op].block, .before = op, .file = k->ops.data[op].file, .line = k->ops.data[op].line};
}

static const hli_layout *layout_of(const hl_kernel *k, hli_value v) {
  return &k->layouts.data[hli_type_of(k, v)->layout];
}

static hli_value one_result(hl_kernel *k, hli_op op) {
  if (!op)
    k->failed = true;
  return op ? hli_result(k, op, 0) : 0;
}

/* ---- round trips --------------------------------------------------------------------------- */

/* Stores v at c and loads it back at `back` as `type`: the same shape up to what axes are called. */
static hli_value round_trip(lowering *w, hli_cursor *c, hli_cursor *back, hli_value v, hli_type type) {
  hl_kernel *k = w->k;
  const hli_type_data t = *hli_type_of(k, v);
  int64_t shape[HL_MAX_RANK], slots = 1;
  hli_layout swizzle;
  for (uint32_t d = 0; d < t.rank; d++)
    shape[d] = hli_axis_lanes(k, t.dims[d]);
  const hli_shared_use use[2] = {{.layout = layout_of(k, v)},
                                 {.layout = &k->layouts.data[hli_type_get(k, type)->layout], .matrix = true}};
  hli_swizzle_choose(shape, t.rank, hl_dtype_size((hl_dtype)t.dtype), use, 2, &swizzle);
  const hli_type bt =
      hli_type_with_layout(k, hli_type_buffer(k, (hl_dtype)t.dtype, shape, t.rank), hli_layout_intern(k, &swizzle));
  const hli_value buffer = one_result(
      k, hli_op_create(
             c, &(hli_op_desc){
                    .code = HLI_OP_SHARED, .results = &bt, .result_count = 1, .attrs = &slots, .attr_len = {1}}));
  const hli_value zero = hli_make_i64(c, 0);
  hli_value operands[3] = {buffer, zero, v};
  if (!buffer ||
      !hli_op_create(c, &(hli_op_desc){.code = HLI_OP_SHARED_STORE, .operands = operands, .operand_count = 3}))
    k->failed = true;
  return one_result(k, hli_op_create(back, &(hli_op_desc){.code = HLI_OP_SHARED_LOAD,
                                                          .operands = operands,
                                                          .operand_count = 2,
                                                          .results = &type,
                                                          .result_count = 1}));
}

/* Exchanges within a warp pay while they are few: two instructions per shuffle against a store, a barrier and a load.
 */
static bool through_shared(const hl_kernel *k, hli_op op) {
  uint32_t rounds;
  const hli_convert_kind kind =
      hli_layout_convert(layout_of(k, hli_operand(k, op, 0)), layout_of(k, hli_result(k, op, 0)), &rounds);
  return kind == HLI_CONVERT_SHARED || (kind == HLI_CONVERT_SHUFFLE && rounds > 2);
}

/* The first op of the block behind `op` that uses its result, or holds a region that may; 0: none. */
static hli_op first_use(const hl_kernel *k, hli_op op) {
  const hli_value v = hli_result(k, op, 0);
  for (hli_op o = hli_next(k, op); o; o = hli_next(k, o)) {
    if (k->ops.data[o].region)
      return o;
    for (uint32_t i = 0; i < hli_operand_count(k, o); i++)
      if (hli_operand(k, o, i) == v)
        return o;
  }
  return 0;
}

/* Loaded back where it is used: stores of several operands then share one barrier. */
static void lower_convert(lowering *w, hli_op op) {
  hl_kernel *k = w->k;
  if (!through_shared(k, op))
    return;
  const hli_op use = first_use(k, op);
  hli_cursor c = before(k, op), back = before(k, use ? use : op);
  const hli_value r = round_trip(w, &c, &back, hli_operand(k, op, 0), k->values.data[hli_result(k, op, 0)].type);
  if (!r)
    return;
  k->values.data[r].name = k->values.data[hli_result(k, op, 0)].name;
  hli_replace_uses(k, hli_result(k, op, 0), r);
  hli_op_remove(k, op);
}

/* ---- reductions --------------------------------------------------------------------------------- */

static hli_value reduce_axes(hl_kernel *k, hli_cursor *c, int64_t code, hli_value v, uint32_t axes) {
  hli_type_data t = *hli_type_of(k, v);
  int64_t ints[1 + HL_MAX_RANK] = {code};
  uint32_t n = 0, kept = 0;
  hli_layout l;
  if (!hli_layout_slice(layout_of(k, v), axes, &l))
    k->failed = true;
  for (uint32_t d = 0; d < t.rank; d++) {
    if ((axes >> d) & 1)
      ints[1 + n++] = d;
    else
      t.dims[kept++] = t.dims[d];
  }
  for (uint32_t d = kept; d < t.rank; d++)
    t.dims[d] = 0;
  t.rank = (uint8_t)kept;
  t.layout = kept ? hli_layout_intern(k, &l) : 0;
  const hli_type type = hli_type_intern(k, &t);
  return one_result(k, hli_op_create(c, &(hli_op_desc){.code = HLI_OP_REDUCE,
                                                       .operands = &v,
                                                       .operand_count = 1,
                                                       .results = &type,
                                                       .result_count = 1,
                                                       .attrs = ints,
                                                       .attr_len = {1, n}}));
}

static hli_value partial(hl_kernel *k, hli_cursor *c, int64_t code, hli_value v, uint32_t axis) {
  hli_type_data t = *hli_type_of(k, v);
  const int64_t ints[2] = {code, axis};
  hli_layout l;
  if (!hli_layout_partial(layout_of(k, v), axis, &l))
    k->failed = true;
  t.dims[axis] = hli_axis_const(k, hli_layout_warps_along(layout_of(k, v), axis));
  t.layout = hli_layout_intern(k, &l);
  const hli_type type = hli_type_intern(k, &t);
  return one_result(k, hli_op_create(c, &(hli_op_desc){.code = HLI_OP_PARTIAL_REDUCE,
                                                       .operands = &v,
                                                       .operand_count = 1,
                                                       .results = &type,
                                                       .result_count = 1,
                                                       .attrs = ints,
                                                       .attr_len = {1, 1}}));
}

/* The type in which every thread reads all warps' parts for its own elements of the result. */
static hli_type gathered(hl_kernel *k, hli_value parts, uint32_t crossing) {
  hli_type_data t = *hli_type_of(k, parts);
  hli_layout l = *layout_of(k, parts);
  int8_t map[HLI_LAYOUT_RANK];
  for (uint32_t d = 0; d < t.rank; d++)
    map[d] = (crossing >> d) & 1 ? -1 : (int8_t)d;
  if (!hli_layout_map(&l, map, t.rank, &l))
    k->failed = true;
  for (uint32_t d = 0; d < t.rank; d++)
    if ((crossing >> d) & 1 && !hli_layout_widen(&l, d, (uint32_t)hli_axis_lanes(k, t.dims[d]), &l))
      k->failed = true;
  t.layout = hli_layout_intern(k, &l);
  return hli_type_intern(k, &t);
}

static void lower_reduce(lowering *w, hli_op op) {
  hl_kernel *k = w->k;
  hli_value v = hli_operand(k, op, 0);
  const int64_t code = hli_attr(k, op, 0, 0);
  uint32_t gone = 0, crossing = 0, inside = 0;
  for (uint32_t i = 0; i < hli_attr_len(k, op, 1); i++)
    gone |= 1u << hli_attr(k, op, 1, i);
  for (uint32_t d = 0; d < hli_type_of(k, v)->rank; d++) {
    if (!((gone >> d) & 1))
      continue;
    if (hli_layout_warps_along(layout_of(k, v), d) > 1)
      crossing |= 1u << d;
    else
      inside |= 1u << d;
  }
  if (!crossing)
    return;
  hli_cursor c = before(k, op);
  if (inside)
    v = reduce_axes(k, &c, code, v, inside);
  uint32_t now = 0, at = 0; /* the crossing dimensions after the others have gone */
  for (uint32_t d = 0; d < HL_MAX_RANK; d++) {
    if ((inside >> d) & 1)
      continue;
    now |= ((crossing >> d) & 1) << at++;
  }
  for (uint32_t d = 0; d < HL_MAX_RANK && v; d++)
    if ((now >> d) & 1)
      v = partial(k, &c, code, v, d);
  if (v)
    v = round_trip(w, &c, &c, v, gathered(k, v, now));
  if (v)
    v = reduce_axes(k, &c, code, v, now);
  if (!v)
    return;
  /* The result's layout is the slice that `layout` gave it, up to the order of registers. */
  const hli_value result = hli_result(k, op, 0);
  if (k->values.data[v].type != k->values.data[result].type) {
    const hli_type t = k->values.data[result].type;
    v = one_result(
        k, hli_op_create(
               &c, &(hli_op_desc){
                       .code = HLI_OP_CONVERT, .operands = &v, .operand_count = 1, .results = &t, .result_count = 1}));
  }
  k->values.data[v].name = k->values.data[result].name;
  hli_replace_uses(k, result, v);
  hli_op_remove(k, op);
}

static void walk(lowering *w, hli_block b) {
  hl_kernel *k = w->k;
  for (hli_op op = hli_first(k, b), next; op && !k->failed; op = next) {
    next = hli_next(k, op);
    if (k->ops.data[op].region)
      walk(w, k->ops.data[op].region);
    else if (k->ops.data[op].code == HLI_OP_CONVERT)
      lower_convert(w, op);
    else if (k->ops.data[op].code == HLI_OP_REDUCE)
      lower_reduce(w, op);
  }
}

hl_status hli_pass_lane(hli_pass_env *env, hl_kernel **pk) {
  lowering w = {.env = env, .k = *pk};
  hli_lane_memory m = {0};
  walk(&w, w.k->body);
  if (w.k->failed)
    return hli_fail_memory(env->diag, "lowering what crosses warps");
  hl_status s = hli_pass_simplify(env, pk);
  if (s == HL_OK)
    s = hli_lane_place(env, *pk, &m);
  if (s == HL_OK)
    s = hli_lane_barriers(env, *pk, &m);
  if (s == HL_OK)
    (*pk)->launch.max_nreg = hli_lane_register_cap(*pk, env->target);
  hli_vec_free((*pk)->alloc, &m.buffers);
  return s;
}
