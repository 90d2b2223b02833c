/* facts.c: roles and extents of axes, live sizes, chunkability.  See facts.h. */
#include "src/config/facts.h"

/* ---- roles ---- */

static int64_t known_extent(const hl_kernel *k, hli_value begin, hli_value end) {
  hli_scalar b, e;
  if (!hli_const_value(k, end, &e))
    return -1;
  return hli_const_value(k, begin, &b) ? HLI_MAX(e.i - b.i, 0) : e.i;
}

static void loop_facts(const hl_kernel *k, hli_op op, hli_kernel_facts *f) {
  const uint32_t rank = hli_attr_len(k, op, 0);
  const bool grid = k->ops.data[op].block == k->body;
  const uint32_t root = f->roots;
  if (grid && root < HLI_MAX_ROOTS)
    f->root_rank[f->roots++] = rank;
  for (uint32_t d = 0; d < rank; d++) {
    hli_axis_facts *a = &f->axes[hli_attr(k, op, 0, d)];
    a->roles |= grid ? HLI_ROLE_GRID : HLI_ROLE_INNER;
    a->root = root;
    a->extent = known_extent(k, hli_operand(k, op, d), hli_operand(k, op, rank + d));
  }
}

/* The axis along which neighbouring lanes of an access are neighbours in memory. */
static void access_facts(const hl_kernel *k, hli_op op, hli_kernel_facts *f) {
  hli_access a;
  hli_access_get(k, op, &a);
  const hli_type_data *t = hli_type_of(k, a.base), *v = hli_type_of(k, a.value);
  const uint32_t size = hl_dtype_size((hl_dtype)t->dtype);
  f->widest = HLI_MAX(f->widest, size);
  f->narrowest = f->narrowest ? HLI_MIN(f->narrowest, size) : size;
  for (uint32_t p = 0; p < k->params.len; p++) {
    if (k->params.data[p].value != a.base)
      continue;
    for (uint32_t d = 0; d < a.rank; d++)
      if (a.value_dim[d] >= 0 && a.value_dim[d] < v->rank && k->params.data[p].strides[d] == 1)
        f->axes[v->dims[a.value_dim[d]]].roles |= HLI_ROLE_CONTIGUOUS;
  }
}

static void op_facts(const hl_kernel *k, hli_op op, hli_kernel_facts *f) {
  const uint16_t code = k->ops.data[op].code;
  if (code == HLI_OP_TILE)
    loop_facts(k, op, f);
  if (code == HLI_OP_LOAD || code == HLI_OP_STORE || code == HLI_OP_ATOMIC)
    access_facts(k, op, f);
  if (code == HLI_OP_REDUCE) {
    f->has_reduce = true;
    const hli_type_data *t = hli_type_of(k, hli_operand(k, op, 0));
    for (uint32_t i = 0; i < hli_attr_len(k, op, 1); i++)
      f->axes[t->dims[hli_attr(k, op, 1, i)]].roles |= HLI_ROLE_REDUCED;
  }
  if (code == HLI_OP_FOLD) {
    f->has_reduce = true;
    const hli_type_data *t = hli_type_of(k, hli_operand(k, op, 0));
    for (uint32_t i = 0; i < hli_attr_len(k, op, 0); i++)
      f->axes[t->dims[hli_attr(k, op, 0, i)]].roles |= HLI_ROLE_REDUCED;
  }
  if (code == HLI_OP_DOT) {
    f->has_dot = true;
    const hli_type_data *a = hli_type_of(k, hli_operand(k, op, 0)), *b = hli_type_of(k, hli_operand(k, op, 1));
    f->dot_dtype = (hl_dtype)a->dtype;
    f->dot_precision = (hl_precision)hli_attr_or(k, op, 0, 0, HL_DOT_IEEE);
    const uint32_t first = a->rank - 2; /* behind the batch */
    if (first)
      f->axes[a->dims[0]].roles |= HLI_ROLE_DOT_BATCH;
    f->axes[a->dims[first]].roles |= HLI_ROLE_DOT_M;
    f->axes[a->dims[first + 1]].roles |= HLI_ROLE_DOT_K;
    f->axes[b->dims[first + 1]].roles |= HLI_ROLE_DOT_N;
  }
}

bool hli_kernel_facts_get(const hl_kernel *k, hli_arena *arena, hli_kernel_facts *out) {
  uint32_t tiles = 0, fulls = 0;
  memset(out, 0, sizeof *out);
  out->axis_count = k->axes.len;
  out->axes = hli_arena_array(arena, hli_axis_facts, k->axes.len);
  if (!out->axes)
    return false;
  for (hli_axis a = 1; a < k->axes.len; a++) {
    const hli_axis_data *x = &k->axes.data[a];
    hli_axis_facts *f = &out->axes[a];
    f->extent = x->kind == HLI_AXIS_CONST ? x->block : x->kind == HLI_AXIS_FULL ? k->dims.data[x->dim].value : -1;
    f->instance = x->kind == HLI_AXIS_TILE ? tiles++ : x->kind == HLI_AXIS_FULL ? fulls++ : 0;
    if (x->kind == HLI_AXIS_FULL)
      f->roles |= HLI_ROLE_FULL;
  }
  for (hli_op op = 1; op < k->ops.len; op++)
    if (!k->ops.data[op].dead)
      op_facts(k, op, out);
  return true;
}

/* ---- chunks ---- */

bool hli_type_along(const hl_kernel *k, hli_value v, hli_axis axis) {
  const hli_type_data *t = hli_type_of(k, v);
  if (t->kind != HLI_TYPE_VALUE && t->kind != HLI_TYPE_TILE)
    return false;
  for (uint32_t d = 0; d < t->rank; d++)
    if (t->dims[d] == axis)
      return true;
  return false;
}

bool hli_op_touches(const hl_kernel *k, hli_op op, hli_axis axis) {
  for (uint32_t i = 0; i < hli_operand_count(k, op); i++)
    if (hli_type_along(k, hli_operand(k, op, i), axis))
      return true;
  for (uint32_t i = 0; i < k->ops.data[op].result_count; i++)
    if (hli_type_along(k, hli_result(k, op, i), axis))
      return true;
  return false;
}

bool hli_is_reduce_over(const hl_kernel *k, hli_op op, hli_axis axis) {
  const uint16_t code = k->ops.data[op].code;
  return (code == HLI_OP_REDUCE || code == HLI_OP_FOLD) && hli_op_touches(k, op, axis) &&
         !hli_type_along(k, hli_result(k, op, 0), axis);
}

bool hli_is_dot_over(const hl_kernel *k, hli_op op, hli_axis axis) {
  if (k->ops.data[op].code != HLI_OP_DOT)
    return false;
  const hli_type_data *a = hli_type_of(k, hli_operand(k, op, 0));
  return a->dims[a->rank - 1] == axis && !hli_type_along(k, hli_result(k, op, 0), axis);
}

/* A dot sums over the axis, or makes rows or columns along it. */
static bool can_chunk_dot(const hl_kernel *k, hli_op op, hli_axis axis) {
  const hli_type_data *a = hli_type_of(k, hli_operand(k, op, 0));
  return hli_is_dot_over(k, op, axis) || (a->dims[a->rank - 1] != axis && !(a->rank == 3 && a->dims[0] == axis));
}

/* Ops that a chunk loop may contain. */
static bool can_chunk(const hl_kernel *k, hli_op op, hli_axis axis) {
  const uint16_t code = k->ops.data[op].code;
  const uint8_t family = hli_op_facts((hli_opcode)code)->family;
  if (code == HLI_OP_REDUCE || code == HLI_OP_FOLD)
    return true;
  if (code == HLI_OP_RESHAPE)
    return !hli_reshape_changes(k, op, axis);
  if (code == HLI_OP_DOT)
    return can_chunk_dot(k, op, axis);
  if (code == HLI_OP_IN_BOUNDS || code == HLI_OP_TILE_INDEX || code == HLI_OP_LANE_INDEX || code == HLI_OP_LOAD || code == HLI_OP_STORE)
    return true;
  return family == HLI_FAM_UNARY || family == HLI_FAM_BINARY || family == HLI_FAM_TERNARY || family == HLI_FAM_CAST ||
         family == HLI_FAM_SHAPE;
}

/* A tensor that is stored and loaded along the axis: a later chunk loop would load what an earlier one stored. */
static bool reread(const hl_kernel *k, hli_op op, hli_axis axis) {
  for (hli_op s = 1; s < k->ops.len && k->ops.data[op].code == HLI_OP_LOAD; s++)
    if (!k->ops.data[s].dead && k->ops.data[s].code == HLI_OP_STORE && hli_operand(k, s, 0) == hli_operand(k, op, 0) &&
        hli_op_touches(k, s, axis))
      return true;
  return false;
}

/* Has a value of the op the axis twice?  A chunk of it would be a block of the diagonal. */
static bool is_square(const hl_kernel *k, hli_op op, hli_axis axis) {
  for (uint32_t r = 0; r < k->ops.data[op].result_count; r++) {
    const hli_type_data *t = hli_type_of(k, hli_result(k, op, r));
    uint32_t n = 0;
    for (uint32_t d = 0; t->kind == HLI_TYPE_VALUE && d < t->rank; d++)
      n += t->dims[d] == axis;
    if (n > 1)
      return true;
  }
  return false;
}

hli_block hli_chunk_block(const hl_kernel *k, hli_axis axis, const char **why) {
  hli_block block = 0;
  for (hli_op op = 1; op < k->ops.len; op++) {
    const hli_op_data *o = hli_op_get(k, op);
    if (o->dead || o->code == HLI_OP_RANGE || !hli_op_touches(k, op, axis))
      continue;
    if (block && o->block != block) {
      *why = "its values cross a loop";
      return 0;
    }
    block = o->block;
    if (!can_chunk(k, op, axis)) {
      *why = hli_op_facts((hli_opcode)o->code)->text;
      return 0;
    }
    if (is_square(k, op, axis)) {
      *why = "a value has it twice";
      return 0;
    }
    if (reread(k, op, axis)) {
      *why = "a tensor is read and written along it";
      return 0;
    }
  }
  if (!block)
    *why = "nothing lies along it";
  return block;
}

/* ---- costs ---- */

static int64_t value_lanes(const hl_kernel *k, hli_value v, hli_lanes_fn lanes, const void *user) {
  const hli_type_data *t = hli_type_of(k, v);
  int64_t n = 1;
  if (t->kind != HLI_TYPE_VALUE)
    return 0;
  for (uint32_t d = 0; d < t->rank; d++)
    n *= HLI_MAX(lanes(user, k, t->dims[d]), 1);
  return t->rank ? n : 0;
}

/* Constants and broadcasts cost nothing: they are recomputed or shared. */
static bool is_free(const hl_kernel *k, hli_value v) {
  const hli_op def = k->values.data[v].def;
  const uint16_t code = def ? k->ops.data[def].code : HLI_OP_NONE;
  return code == HLI_OP_BROADCAST || code == HLI_OP_CONST || code == HLI_OP_TILE_INDEX || code == HLI_OP_IN_BOUNDS;
}

static int64_t value_bytes(const hl_kernel *k, hli_value v, hli_lanes_fn lanes, const void *user) {
  if (is_free(k, v))
    return 0;
  return value_lanes(k, v, lanes, user) * HLI_MAX(hl_dtype_size(hli_dtype_of(k, v)), 1u);
}

/* The last op of the block (or in a region below it) that uses v. */
static hli_op last_use(const hl_kernel *k, hli_block b, hli_value v);

static bool uses_inside(const hl_kernel *k, hli_op op, hli_value v) {
  for (uint32_t i = 0; i < hli_operand_count(k, op); i++)
    if (hli_operand(k, op, i) == v)
      return true;
  return k->ops.data[op].region && last_use(k, k->ops.data[op].region, v) != 0;
}

static hli_op last_use(const hl_kernel *k, hli_block b, hli_value v) {
  for (hli_op op = k->blocks.data[b].last; op; op = k->ops.data[op].prev)
    if (uses_inside(k, op, v))
      return op;
  return 0;
}

/* Does `op` use v for the last time in block b? */
static bool dies_at(const hl_kernel *k, hli_block b, hli_op op, hli_value v) {
  return uses_inside(k, op, v) && last_use(k, b, v) == op;
}

/* Bytes of the block's own values that `op` uses for the last time: registers its results may take over. */
static int64_t dying_bytes(const hl_kernel *k, hli_block b, hli_op op, hli_lanes_fn lanes, const void *user) {
  int64_t bytes = 0;
  for (uint32_t i = 0; i < k->blocks.data[b].args.len; i++)
    if (dies_at(k, b, op, hli_block_arg(k, b, i)))
      bytes += value_bytes(k, hli_block_arg(k, b, i), lanes, user);
  for (hli_op p = hli_first(k, b); p != op; p = hli_next(k, p))
    for (uint32_t i = 0; i < k->ops.data[p].result_count; i++)
      if (dies_at(k, b, op, hli_result(k, p, i)))
        bytes += value_bytes(k, hli_result(k, p, i), lanes, user);
  return bytes;
}

static void dot_facts(const hl_kernel *k, hli_op op, hli_lanes_fn lanes, const void *user, hli_cost_facts *out) {
  out->stage_bytes +=
      value_bytes(k, hli_operand(k, op, 0), lanes, user) + value_bytes(k, hli_operand(k, op, 1), lanes, user);
  out->accumulators = HLI_MAX(out->accumulators, value_bytes(k, hli_result(k, op, 0), lanes, user));
}

/* Most bytes alive at one point of the block, besides `base` that live through it. */
static int64_t live_in(const hl_kernel *k, hli_block b, int64_t base, hli_lanes_fn lanes, const void *user,
                       hli_cost_facts *out) {
  int64_t live = base, most = base;
  for (uint32_t i = 0; i < k->blocks.data[b].args.len; i++)
    live += value_bytes(k, hli_block_arg(k, b, i), lanes, user);
  for (hli_op op = hli_first(k, b); op; op = hli_next(k, op)) {
    const hli_op_data *o = hli_op_get(k, op);
    const int64_t inner = o->region ? live_in(k, o->region, live, lanes, user, out) : live;
    most = HLI_MAX(most, inner);
    live -= dying_bytes(k, b, op, lanes, user);
    for (uint32_t i = 0; i < o->result_count; i++) {
      out->largest_value = HLI_MAX(out->largest_value, value_lanes(k, hli_result(k, op, i), lanes, user));
      live += value_bytes(k, hli_result(k, op, i), lanes, user);
    }
    if (o->code == HLI_OP_DOT)
      dot_facts(k, op, lanes, user, out);
    most = HLI_MAX(most, live);
  }
  return most;
}

hli_cost_facts hli_cost_of(const hl_kernel *k, hli_lanes_fn lanes, const void *user) {
  hli_cost_facts out = {0};
  out.live_bytes = live_in(k, k->body, 0, lanes, user, &out);
  return out;
}

int64_t hli_whole_row_block(int64_t size) {
  const int64_t pow2 = (int64_t)hli_next_pow2((uint64_t)HLI_MAX(size, 1)), step = pow2 / 8;
  return pow2 <= 1024 ? pow2 : hli_ceil_div(size, step) * step;
}

int64_t hli_config_lanes(const void *choice, const hl_kernel *k, hli_axis axis) {
  const hli_block_choice *c = choice;
  const hli_axis_data *x = &k->axes.data[axis];
  const hli_axis_facts *f = axis < c->facts->axis_count ? &c->facts->axes[axis] : NULL;
  if (x->kind == HLI_AXIS_CONST || !f)
    return x->block;
  if (x->kind == HLI_AXIS_TILE) {
    if (x->block_min && x->block_min == x->block_max)
      return x->block_min;
    return hli_config_value(c->config, HLI_KNOB_BLOCK_SIZES, f->instance, 1);
  }
  const int64_t chunk = hli_config_value(c->config, HLI_KNOB_REDUCTION_LOOPS, f->instance, 0);
  if (chunk && c->family != HLI_FAMILY_CPU)
    return chunk;
  return f->extent > 0 ? hli_whole_row_block(f->extent) : 1;
}
