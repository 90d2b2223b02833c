/* flatten.c: a tile loop of several axes over contiguous tensors becomes one over the product of their extents, where
 * the configuration says so: rows that are no multiple of a vector then cost nothing.
 *
 * Expects specialised TILE; config/flatten.h says which loops qualify.  Owner of flatten_loops.  A block has as many
 * lanes as those of the axes together.  Tensors are seen as one row; `given` keeps what arguments look like.
 *
 *   param %x : tensor<f32[100, 30]> in ..        param %x : tensor<f32[3000]> in given tensor<f32[100, 30]> ..
 *   tile %c0, %c0, %c100, %c30           ->      tile %c0, %c3000 {axes = [$f]} (%f : tile<$f>) {
 *       {axes = [$i, $j]} (%i, %j) {               %v = load %x[%f] : f32[$f]
 *     %v = load %x[%i, %j] : f32[$i, $j]
 *
 * SPDX-License-Identifier: MIT */
#include "src/config/flatten.h"
#include "src/pass/pass.h"

static int64_t block_of(const hli_pass_env *env, const hl_kernel *k, hli_axis axis) {
  uint32_t instance = 0;
  for (hli_axis a = 1; a < axis; a++)
    instance += k->axes.data[a].kind == HLI_AXIS_TILE;
  return hli_config_value(env->config, HLI_KNOB_BLOCK_SIZES, instance, 16);
}

static hli_axis join_axes(const hli_pass_env *env, hl_kernel *k, hli_op loop) {
  int64_t block = 1;
  for (uint32_t d = 0; d < hli_attr_len(k, loop, 0); d++)
    block = HLI_MIN(block * block_of(env, k, (hli_axis)hli_attr(k, loop, 0, d)), (int64_t)1 << 20);
  const hli_axis flat = hli_axis_tile(k, hli_str("f"));
  if (flat)
    k->axes.data[flat].block_min = k->axes.data[flat].block_max = block;
  return flat;
}

static void flatten_params(hl_kernel *k, uint32_t params, int64_t product) {
  const hli_dim dim = hli_dim_const(k, product);
  for (uint32_t p = 0; p < k->params.len; p++) {
    hli_param *param = &k->params.data[p];
    if (!(params >> p & 1))
      continue;
    hli_type_data t = *hli_type_of(k, param->value);
    param->given = k->values.data[param->value].type;
    t.rank = 1;
    memset(t.dims, 0, sizeof t.dims);
    t.dims[0] = dim;
    for (uint32_t d = 0; d < HL_MAX_RANK; d++)
      param->strides[d] = d == 0 ? 1 : -1;
    k->values.data[param->value].type = hli_type_intern(k, &t);
  }
}

/* base[%i, %j], rest -> base[%f], rest */
static void flatten_access(hl_kernel *k, hli_op op, uint32_t rank, hli_value tile) {
  hli_op_data *o = hli_op_get(k, op);
  hli_value *operands = &k->pool.data[o->operands.off];
  operands[1] = tile;
  for (uint32_t i = 1 + rank; i < o->operands.len; i++)
    operands[i - rank + 1] = operands[i];
  o->operands.len -= rank - 1;
  o->attrs[HLI_ATTR_INDEX].len = 1;
  o->attrs[HLI_ATTR_CHECK].len = 0;
}

static void flatten_region(hl_kernel *k, hli_op loop, uint32_t rank, hli_axis flat, uint32_t params) {
  const hli_block region = k->ops.data[loop].region;
  const hli_axis first = hli_type_of(k, hli_block_arg(k, region, 0))->dims[0];
  const hli_value tile = hli_block_arg(k, region, 0);
  k->values.data[tile].type = hli_type_tile(k, flat);
  k->blocks.data[region].args.len = 1;
  for (hli_op op = hli_first(k, region); op; op = hli_next(k, op)) {
    const hli_op_data o = *hli_op_get(k, op);
    if ((o.code == HLI_OP_LOAD || o.code == HLI_OP_STORE) && params >> k->values.data[hli_operand(k, op, 0)].index & 1)
      flatten_access(k, op, rank, tile);
    const hli_type_data *t = o.result_count ? hli_type_of(k, o.results) : NULL;
    if (t && t->kind == HLI_TYPE_VALUE && t->rank == rank && t->dims[0] == first)
      k->values.data[o.results].type = hli_type_value(k, (hl_dtype)t->dtype, &flat, 1);
  }
}

static void flatten_loop(const hli_pass_env *env, hl_kernel *k, hli_op loop) {
  const uint32_t rank = hli_attr_len(k, loop, 0), params = hli_flat_params(k, loop);
  const hli_op_data o = *hli_op_get(k, loop);
  hli_cursor at = {.k = k, .block = o.block, .before = loop, .file = o.file, .line = o.line};
  int64_t product = 1;
  hli_scalar end;
  for (uint32_t d = 0; d < rank; d++)
    product *= hli_const_value(k, hli_operand(k, loop, rank + d), &end) ? end.i : 1;
  const hli_axis flat = join_axes(env, k, loop);
  const hli_value all = hli_make_i64(&at, product);
  if (!flat || !all)
    return; /* out of memory: k->failed */
  flatten_params(k, params, product);
  flatten_region(k, loop, rank, flat, params);
  hli_op_set_operand(k, loop, 1, all);
  k->ops.data[loop].operands.len = 2;
  hli_op_set_attr(k, loop, 0, (int64_t[]){flat}, 1);
}

hl_status hli_pass_flatten(hli_pass_env *env, hl_kernel **pk) {
  hl_kernel *k = *pk;
  hli_op loops[HLI_FLATTEN_MOST];
  const uint32_t n = hli_flattenable(k, loops);
  for (uint32_t i = 0; i < n && !k->failed; i++)
    if (hli_config_value(env->config, HLI_KNOB_FLATTEN_LOOPS, i, 0))
      flatten_loop(env, k, loops[i]);
  return k->failed ? hli_fail_memory(env->diag, "flattening loops") : HL_OK;
}
