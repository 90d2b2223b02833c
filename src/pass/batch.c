/* batch.c: dots of batches become dots of matrices.
 *
 * Expects scheduled TILE.  Along the batch axis of a dot a block has one lane, so the axis leaves all types, and tiles
 * that index with it become scalar indices: behind this pass dots have rank 2.
 *
 *   %x = load %a[%b, %i, %k] : bf16[$b, $i, $k]             %s = tile_begin %b
 *   %y = load %w[%b, %k, %j] : bf16[$b, $k, $j]       ->    %x = load %a[%s, %i, %k] : bf16[$i, $k]
 *   %d = dot %x, %y, %acc : f32[$b, $i, $j]                 %y = load %w[%s, %k, %j] : bf16[$k, $j]
 *                                                           %d = dot %x, %y, %acc : f32[$i, $j]
 */
#include "src/pass/pass.h"

typedef struct dropper {
  hli_pass_env *env;
  hl_kernel *k;
  hli_axis axis;
} dropper;

static hli_cursor before(const dropper *x, hli_op op) {
  const hli_op_data *o = hli_op_get(x->k, op);
  return (hli_cursor){x->k, o->block, op, o->file, o->line};
}

static bool is_along(const dropper *x, hli_value v, uint32_t d) {
  const hli_type_data *t = hli_type_of(x->k, v);
  return t->kind != HLI_TYPE_TENSOR && d < t->rank && t->dims[d] == x->axis; /* a tensor's are dimensions, not axes */
}

/* Dimensions of v before d that stay. */
static int64_t new_dim(const dropper *x, hli_value v, uint32_t d) {
  int64_t n = 0;
  for (uint32_t i = 0; i < d; i++)
    n += !is_along(x, v, i);
  return n;
}

static hli_value tile_begin(const dropper *x, hli_op op, hli_value range) {
  hli_cursor c = before(x, op);
  const hli_type t = hli_type_scalar(x->k, HL_I64);
  const hli_op begin = hli_op_create(
      &c, &(hli_op_desc){
              .code = HLI_OP_TILE_BEGIN, .operands = &range, .operand_count = 1, .results = &t, .result_count = 1});
  return begin ? hli_result(x->k, begin, 0) : 0;
}

static void drop_index(const dropper *x, hli_op op) {
  hli_access a;
  int64_t kinds[HL_MAX_RANK];
  hli_access_get(x->k, op, &a);
  uint32_t operand = 1;
  for (uint32_t d = 0; d < a.rank; d++) {
    kinds[d] = a.kind[d];
    if (a.kind[d] == ':')
      continue;
    if (a.kind[d] == 't' && is_along(x, a.index[d], 0)) {
      kinds[d] = 's';
      hli_op_set_operand(x->k, op, operand, tile_begin(x, op, a.index[d]));
    }
    operand++;
  }
  hli_op_set_attr(x->k, op, 0, kinds, a.rank);
}

/* A source of size 1 along the result's batch axis loses that dimension first. */
static void drop_broadcast(const dropper *x, hli_op op) {
  const hli_value result = hli_result(x->k, op, 0), source = hli_operand(x->k, op, 0);
  const uint32_t rank = hli_type_of(x->k, source)->rank;
  int64_t dims[HL_MAX_RANK], gone[HL_MAX_RANK];
  uint32_t n = 0, m = 0;
  for (uint32_t s = 0; s < rank; s++) {
    const int64_t to = hli_attr(x->k, op, 0, s);
    if (!is_along(x, result, (uint32_t)to))
      dims[n++] = new_dim(x, result, (uint32_t)to);
    else if (!is_along(x, source, s))
      gone[m++] = new_dim(x, source, s);
  }
  if (m) {
    hli_cursor c = before(x, op);
    hli_type_data t = *hli_type_of(x->k, source), kept = t;
    kept.rank = 0;
    for (uint32_t s = 0; s < rank; s++)
      if (!is_along(x, result, (uint32_t)hli_attr(x->k, op, 0, s)))
        kept.dims[kept.rank++] = t.dims[s];
    const hli_type type = hli_type_intern(x->k, &kept);
    const hli_op squeeze = hli_op_create(&c, &(hli_op_desc){.code = HLI_OP_SQUEEZE,
                                                            .operands = &source,
                                                            .operand_count = 1,
                                                            .results = &type,
                                                            .result_count = 1,
                                                            .attrs = gone,
                                                            .attr_len = {m}});
    hli_op_set_operand(x->k, op, 0, squeeze ? hli_result(x->k, squeeze, 0) : source);
  }
  hli_op_set_attr(x->k, op, 0, dims, n);
}

/* The attribute names dimensions of the operand. */
static void drop_dims(const dropper *x, hli_op op, uint32_t attr) {
  const hli_value source = hli_operand(x->k, op, 0);
  int64_t dims[HL_MAX_RANK];
  uint32_t n = 0;
  for (uint32_t i = 0; i < hli_attr_len(x->k, op, attr); i++) {
    const uint32_t d = (uint32_t)hli_attr(x->k, op, attr, i);
    if (!is_along(x, source, d))
      dims[n++] = new_dim(x, source, d);
  }
  hli_op_set_attr(x->k, op, attr, dims, n);
  if (x->k->ops.data[op].code == HLI_OP_REDUCE && n == 0) { /* of one element */
    hli_replace_uses(x->k, hli_result(x->k, op, 0), source);
    hli_op_remove(x->k, op);
  }
}

/* The only index, or that it exists. */
static void drop_index_value(const dropper *x, hli_op op) {
  hli_cursor c = before(x, op);
  const bool index = x->k->ops.data[op].code == HLI_OP_TILE_INDEX;
  const hli_value v = index ? tile_begin(x, op, hli_operand(x->k, op, 0)) : hli_make_const(&c, HL_BOOL, 1);
  hli_replace_uses(x->k, hli_result(x->k, op, 0), v);
  hli_op_remove(x->k, op);
}

static bool touches(const dropper *x, hli_op op) {
  const hl_kernel *k = x->k;
  for (uint32_t i = 0; i < hli_operand_count(k, op); i++)
    for (uint32_t d = 0; d < hli_type_of(k, hli_operand(k, op, i))->rank; d++)
      if (is_along(x, hli_operand(k, op, i), d))
        return true;
  for (uint32_t i = 0; i < k->ops.data[op].result_count; i++)
    for (uint32_t d = 0; d < hli_type_of(k, hli_result(k, op, i))->rank; d++)
      if (is_along(x, hli_result(k, op, i), d))
        return true;
  return false;
}

/* Does a gather index vary along the batch? */
static bool gathers_batch(const dropper *x, hli_op op) {
  hli_access a;
  hli_access_get(x->k, op, &a);
  for (uint32_t d = 0; d < a.rank; d++)
    for (uint32_t i = 0; a.kind[d] == 'g' && i < hli_type_of(x->k, a.index[d])->rank; i++)
      if (is_along(x, a.index[d], i))
        return true;
  return false;
}

/* Is the axis the batch of this dot, and not its rows or columns too? */
static bool batches(const dropper *x, hli_op dot) {
  for (uint32_t i = 0; i < 3; i++) {
    const hli_value v = hli_operand(x->k, dot, i);
    if (hli_type_of(x->k, v)->rank != 3 || !is_along(x, v, 0) || is_along(x, v, 1) || is_along(x, v, 2))
      return false;
  }
  return true;
}

static hl_status drop_op(const dropper *x, hli_op op) {
  const hli_op_data *o = hli_op_get(x->k, op);
  switch (o->code) {
  case HLI_OP_LOAD:
  case HLI_OP_STORE:
    if (gathers_batch(x, op))
      break;
    drop_index(x, op);
    return HL_OK;
  case HLI_OP_BROADCAST:
    drop_broadcast(x, op);
    return HL_OK;
  case HLI_OP_TRANSPOSE:
  case HLI_OP_SQUEEZE:
    drop_dims(x, op, 0);
    return HL_OK;
  case HLI_OP_REDUCE:
    drop_dims(x, op, 1);
    return HL_OK;
  case HLI_OP_TILE_INDEX:
  case HLI_OP_IN_BOUNDS:
    drop_index_value(x, op);
    return HL_OK;
  case HLI_OP_RANGE:
  case HLI_OP_TILE_BEGIN:
  case HLI_OP_TILE_END:
  case HLI_OP_FOR:
  case HLI_OP_YIELD:
    return HL_OK;
  case HLI_OP_DOT:
    if (!batches(x, op))
      break;
    return HL_OK;
  default:
    break;
  }
  const uint8_t family = hli_op_facts((hli_opcode)o->code)->family;
  if (family == HLI_FAM_UNARY || family == HLI_FAM_BINARY || family == HLI_FAM_TERNARY || family == HLI_FAM_CAST)
    return HL_OK;
  return hli_fail_at(x->env->diag, HL_ERR_UNSUPPORTED, o->file, o->line, 0,
                     "kernel %s: %s along $%s, the batch axis of a dot; do it in a loop of its own", x->k->name,
                     hli_op_facts((hli_opcode)o->code)->text, x->k->axes.data[x->axis].name);
}

static void drop_types(const dropper *x) {
  hl_kernel *k = x->k;
  for (hli_value v = 1; v < k->values.len; v++) {
    hli_type_data t = *hli_type_of(k, v), kept = t;
    if (t.kind != HLI_TYPE_VALUE)
      continue;
    kept.rank = 0;
    memset(kept.dims, 0, sizeof kept.dims);
    for (uint32_t d = 0; d < t.rank; d++)
      if (t.dims[d] != x->axis)
        kept.dims[kept.rank++] = t.dims[d];
    if (kept.rank != t.rank)
      k->values.data[v].type = hli_type_intern(k, &kept);
  }
}

static hl_status drop_axis(const dropper *x) {
  const uint32_t count = x->k->ops.len;
  for (hli_op op = 1; op < count && !x->k->failed; op++) {
    if (x->k->ops.data[op].dead || !touches(x, op))
      continue;
    const hl_status s = drop_op(x, op);
    if (s != HL_OK)
      return s;
  }
  drop_types(x);
  return HL_OK;
}

static hl_status drop_batch(hli_pass_env *env, hl_kernel *k, hli_op dot) {
  const dropper x = {env, k, hli_type_of(k, hli_operand(k, dot, 2))->dims[0]};
  const hli_axis_data *a = &k->axes.data[x.axis];
  const hli_op_data *o = hli_op_get(k, dot);
  if (a->kind == HLI_AXIS_TILE && hli_axis_lanes(k, x.axis) == 1)
    return drop_axis(&x);
  if (a->kind == HLI_AXIS_TILE)
    return hli_fail_at(env->diag, HL_ERR_UNSUPPORTED, o->file, o->line, 0,
                       "kernel %s: the batch axis $%s of a dot has blocks of %lld; a dot takes one matrix at a time, "
                       "give the axis a block of 1",
                       k->name, a->name, (long long)hli_axis_lanes(k, x.axis));
  return hli_fail_at(env->diag, HL_ERR_UNSUPPORTED, o->file, o->line, 0,
                     "kernel %s: the batch axis of a dot is not a tile's; loop over the batch with a tile", k->name);
}

hl_status hli_pass_batch(hli_pass_env *env, hl_kernel **pk) {
  hl_kernel *k = *pk;
  bool any = false;
  for (hli_op op = 1; op < k->ops.len && !k->failed; op++) {
    if (k->ops.data[op].dead || k->ops.data[op].code != HLI_OP_DOT || hli_type_of(k, hli_result(k, op, 0))->rank != 3)
      continue;
    const hl_status s = drop_batch(env, k, op);
    if (s != HL_OK)
      return s;
    any = true;
  }
  if (k->failed)
    return hli_fail_memory(env->diag, "taking batches apart");
  return any ? hli_pass_simplify(env, pk) : HL_OK;
}
