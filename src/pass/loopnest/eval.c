/* eval.c: a TILE value at loop variables: one scalar or one vector of LOOP ops.
 *
 *   at i (scalar), j (vector of 16):   %mb = broadcast %m {dims = [0]} : f32[$i, $N]      %s = broadcast %m_i : f32[16]
 *                                      %d = sub %v, %mb : f32[$i, $N]             ->      %v = load %x[%i, %j:] : f32[16]
 *                                                                                         %d = sub %v, %s : f32[16]
 *
 * An op goes to the outermost level that has its operands; operands that do not vary with the vector stay
 * scalars until a vector needs them. */
#include "src/pass/loopnest/nest.h"

int64_t ln_lanes_of(const ln *c, ln_val x) {
  const hli_type_data *t = hli_type_of(c->dst, x.v);
  return t->rank ? hli_axis_lanes(c->dst, t->dims[0]) : 0;
}

ln_val ln_splat(ln *c, ln_val x, int64_t lanes) {
  if (!lanes || ln_lanes_of(c, x)) return x;
  hli_type t = hli_type_vector(c->dst, hli_dtype_of(c->dst, x.v), lanes);
  return (ln_val){hli_make_splat(ln_at(c, x.level), x.v, t), x.level};
}

/* ---- leaves ----------------------------------------------------------------------------- */

static ln_val eval_const(ln *c, hli_op op) {
  hl_dtype d = hli_dtype_of(c->src, hli_result(c->src, op, 0));
  return (ln_val){hli_make_const(ln_at(c, 0), d, (uint64_t)hli_attr(c->src, op, 0, 0)), 0};
}

/* size or stride */
static ln_val eval_size(ln *c, hli_op op) {
  const hl_kernel *k = c->src;
  hli_value given = hli_operand(k, op, 0), tensor = c->state[given].memo.v;
  int64_t dim = hli_attr(k, op, 0, 0), known = k->dims.data[hli_type_of(k, given)->dims[dim]].value;
  if (k->ops.data[op].code == HLI_OP_STRIDE) known = k->params.data[k->values.data[given].index].strides[dim];
  if (known >= 0) return ln_i64(c, known);
  hli_type t = hli_type_scalar(c->dst, HL_I64);
  hli_op n = hli_op_create(ln_at(c, 0), &(hli_op_desc){.code = (hli_opcode)c->src->ops.data[op].code, .operands = &tensor, .operand_count = 1, .results = &t, .result_count = 1, .attrs = &dim, .attr_len = {1}});
  return (ln_val){n ? hli_result(c->dst, n, 0) : 0, 0};
}

static ln_val eval_program_id(ln *c) {
  hli_type t = hli_type_scalar(c->dst, HL_I64);
  hli_op n = hli_op_create(ln_at(c, 0), &(hli_op_desc){.code = HLI_OP_PROGRAM_ID, .results = &t, .result_count = 1});
  return (ln_val){n ? hli_result(c->dst, n, 0) : 0, 0};
}

/* The index of the variable in another range of the same axis: the same lane. */
static ln_val index_in(ln *c, const ln_var *var, hli_value range) {
  if (!var->dim.axis || var->dim.range == range) return var->index;
  hli_op r = ln_def(c, range);
  ln_val begin = ln_eval(c, hli_operand(c->src, r, 0), NULL);
  ln_val lane = var->begin.v ? ln_bin(c, HLI_OP_SUB, var->index, var->begin) : var->index;
  return ln_bin(c, HLI_OP_ADD, begin, lane);
}

static ln_val iota(ln *c, ln_val start, int64_t lanes) {
  hli_type t = hli_type_vector(c->dst, HL_I64, lanes);
  hli_op op = hli_op_create(ln_at(c, start.level), &(hli_op_desc){.code = HLI_OP_IOTA, .operands = &start.v, .operand_count = 1, .results = &t, .result_count = 1});
  return (ln_val){op ? hli_result(c->dst, op, 0) : 0, start.level};
}

/* tile_index: the index; in_bounds: is it below the tile's end? */
static ln_val eval_tile_index(ln *c, hli_op op, const uint8_t *at) {
  const ln_var var = c->var[at[0]];
  hli_value range = hli_operand(c->src, op, 0);
  ln_val x = index_in(c, &var, range);
  if (var.lanes) x = iota(c, x, var.lanes);
  if (c->src->ops.data[op].code == HLI_OP_TILE_INDEX || ln_failed(c)) return x;
  ln_val end = ln_eval(c, hli_operand(c->src, ln_def(c, range), 1), NULL);
  end = ln_splat(c, end, var.lanes);
  return ln_bin(c, HLI_OP_LT, x, end);
}

/* How far the variable is from the beginning of its range. */
static ln_val eval_lane_index(ln *c, const uint8_t *at) {
  const ln_var var = c->var[at[0]];
  if (!at[0]) return ln_i64(c, 0);
  ln_val lane = var.begin.v ? ln_bin(c, HLI_OP_SUB, var.index, var.begin) : var.index;
  return var.lanes && !ln_failed(c) ? iota(c, lane, var.lanes) : lane;
}

/* ---- pointwise ------------------------------------------------------------------------------ */

static hli_value build(hli_cursor *at, hli_opcode code, const hli_value *a, uint32_t n, hl_dtype dtype) {
  if (code == HLI_OP_CAST) return hli_make_cast(at, a[0], dtype);
  if (code == HLI_OP_BITCAST) return hli_make_bitcast(at, a[0], dtype);
  if (code == HLI_OP_WHERE) return hli_make_where(at, a[0], a[1], a[2]);
  if (n == 3) return hli_make_ternary(at, code, a[0], a[1], a[2]);
  return n == 2 ? hli_make_binary(at, code, a[0], a[1]) : hli_make_unary(at, code, a[0]);
}

static ln_val eval_pointwise(ln *c, hli_op op, const uint8_t *at) {
  const hl_kernel *k = c->src;
  uint32_t n = hli_operand_count(k, op);
  ln_val x[3];
  int64_t lanes = 0;
  ln_val out = {0, 0};
  for (uint32_t i = 0; i < n && i < 3; i++) {
    x[i] = ln_eval(c, hli_operand(k, op, i), at);
    if (ln_failed(c)) return out;
    lanes = HLI_MAX(lanes, ln_lanes_of(c, x[i]));
  }
  hli_value args[3];
  for (uint32_t i = 0; i < n && i < 3; i++) {
    x[i] = ln_splat(c, x[i], lanes);
    args[i] = x[i].v;
    out.level = HLI_MAX(out.level, x[i].level);
  }
  out.v = build(ln_at(c, out.level), (hli_opcode)k->ops.data[op].code, args, n, hli_dtype_of(k, hli_result(k, op, 0)));
  return out;
}

/* ---- gather --------------------------------------------------------------------------------- */

/* The value at a variable of its own, which stands where the index says. */
static ln_val eval_gather(ln *c, hli_op op, const uint8_t *at) {
  const hli_value v = hli_operand(c->src, op, 0);
  const uint32_t axis = (uint32_t)hli_attr(c->src, op, 0, 0);
  const hl_dtype dtype = hli_dtype_of(c->src, v);
  ln_dim dim = ln_value_dim(c, v, axis, c->src->ops.data[op].block);
  ln_val index = ln_eval(c, hli_operand(c->src, op, 1), at), zero = {hli_make_const(ln_at(c, 0), dtype, 0), 0};
  uint8_t inner[HL_MAX_RANK] = {0};
  if (ln_failed(c)) return zero;
  for (uint32_t d = 0; d < hli_type_of(c->src, v)->rank; d++)
    inner[d] = at[d];
  if (ln_lanes_of(c, index) || ln_bound(c, dim) < 0) ln_fail(c, HL_ERR_UNSUPPORTED, "a gather along an axis whose size is not known; give the dimension a size");
  if (ln_failed(c) || ln_bound(c, dim) == 0) return zero;
  ln_bounds b = ln_range_bounds(c, dim);
  ln_val valid = ln_bin(c, HLI_OP_AND, ln_bin(c, HLI_OP_GE, index, ln_i64(c, 0)), ln_bin(c, HLI_OP_LT, index, ln_bin(c, HLI_OP_SUB, b.end, b.begin)));
  ln_val safe = {hli_make_where(ln_at(c, valid.level), valid.v, index.v, ln_i64(c, 0).v), valid.level};
  inner[axis] = ln_push_var(c, (ln_var){.dim = dim, .index = ln_bin(c, HLI_OP_ADD, b.begin, safe), .begin = b.begin});
  ln_val x = ln_eval(c, v, inner);
  ln_pop_var(c);
  if (ln_failed(c)) return zero;
  int64_t lanes = ln_lanes_of(c, x);
  uint32_t level = HLI_MAX(x.level, valid.level);
  return (ln_val){hli_make_where(ln_at(c, level), ln_splat(c, valid, lanes).v, x.v, ln_splat(c, zero, lanes).v), level};
}

/* ---- everything -------------------------------------------------------------------------------- */

static ln_val not_ready(ln *c, hli_value v) {
  hli_op op = ln_def(c, v);
  ln_fail(c, HL_ERR_INTERNAL, "loopnest wants the value of %s before it is computed",
          op ? hli_op_facts((hli_opcode)c->src->ops.data[op].code)->text : "an argument");
  return (ln_val){0, 0};
}

static ln_val eval_op(ln *c, hli_value v, const uint8_t *at) {
  hli_op op = ln_def(c, v);
  if (!op) return not_ready(c, v);
  uint8_t inner[HL_MAX_RANK] = {0};
  switch (c->src->ops.data[op].code) {
  case HLI_OP_CONST: return eval_const(c, op);
  case HLI_OP_SIZE:
  case HLI_OP_STRIDE: return eval_size(c, op);
  case HLI_OP_PROGRAM_ID: return eval_program_id(c);
  case HLI_OP_TILE_BEGIN: return ln_eval(c, hli_operand(c->src, ln_def(c, hli_operand(c->src, op, 0)), 0), NULL);
  case HLI_OP_TILE_END: {
    hli_value range = hli_operand(c->src, op, 0);
    return ln_range_bounds(c, (ln_dim){hli_type_of(c->src, range)->dims[0], range}).end;
  }
  case HLI_OP_LANE_INDEX: return eval_lane_index(c, at);
  case HLI_OP_TILE_INDEX:
  case HLI_OP_IN_BOUNDS: return eval_tile_index(c, op, at);
  case HLI_OP_GATHER: return eval_gather(c, op, at);
  case HLI_OP_LOAD: return ln_load(c, op, at);
  case HLI_OP_BROADCAST:
  case HLI_OP_TRANSPOSE:
  case HLI_OP_SQUEEZE: return ln_eval(c, ln_source_at(c, op, 0, at, inner), inner);
  case HLI_OP_RESHAPE: return ln_reshape(c, op, at);
  default: break;
  }
  if (ln_is_pointwise((hli_opcode)c->src->ops.data[op].code)) return eval_pointwise(c, op, at);
  return not_ready(c, v);
}

static bool remembered(const ln *c, hli_value v, const uint8_t *at) {
  const ln_state *s = &c->state[v];
  const hli_type_data *t = hli_type_of(c->src, v);
  if (!s->memo.v || s->memo.level > c->top || c->level[s->memo.level].epoch != s->memo_epoch) return false;
  for (uint32_t d = 0; t->kind == HLI_TYPE_VALUE && d < t->rank; d++)
    if (s->memo_at[d] != c->var[at[d]].serial) return false;
  return true;
}

ln_val ln_eval(ln *c, hli_value v, const uint8_t *at) {
  if (ln_failed(c)) return (ln_val){0, 0};
  if (remembered(c, v, at)) return c->state[v].memo;
  ln_val x = ln_buffer_valid(c, v) ? ln_buffer_load(c, v, at) : eval_op(c, v, at);
  if (ln_failed(c)) return x;
  if (!x.v) {
    ln_fail(c, HL_ERR_INTERNAL, "loopnest could not build the LOOP form of a value");
    return x;
  }
  const char *name = c->src->values.data[v].name;
  if (*name && !*c->dst->values.data[x.v].name) hli_value_set_name(c->dst, x.v, name);
  ln_put(c, v, x, at);
  return x;
}
