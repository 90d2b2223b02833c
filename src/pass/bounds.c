/* bounds.c: no access leaves its tensor.
 *
 * Works on TILE with sizes bound and constants folded.  A proof is a walk over the few ops that bounds are made of:
 * constants, sizes, minima and maxima, properties of other tiles, sums and products.
 *
 *   load %x[%s], %s a scalar parameter     ->     load %x[max(min(%s + (%s < 0 ? n : 0), n - 1), 0)]
 *   tile %b, %e (..) { load %x[%i] }       ->     tile max(%b, 0), min(%e, n) (..) { load %x[%i] }
 */
#include <stdio.h>

#include "src/pass/bounds.h"

hli_value hli_tile_bound(const hl_kernel *k, bool end, hli_value tile) {
  const hli_value_data *v = &k->values.data[tile];
  if (v->def)
    return k->ops.data[v->def].code == HLI_OP_RANGE ? hli_operand(k, v->def, end) : 0;
  const hli_op loop = k->blocks.data[v->owner].parent;
  if (!loop || k->ops.data[loop].code != HLI_OP_TILE)
    return 0;
  return hli_operand(k, loop, (end ? hli_attr_len(k, loop, 0) : 0) + v->index);
}

/* ---- proofs ---- */

static bool at_least_zero(const hl_kernel *k, hli_value v) {
  hli_scalar c;
  if (hli_const_value(k, v, &c))
    return c.i >= 0;
  const hli_op def = k->values.data[v].def;
  switch (def ? k->ops.data[def].code : HLI_OP_NONE) {
  case HLI_OP_SIZE:
  case HLI_OP_BLOCK_SIZE:
    return true;
  case HLI_OP_TILE_BEGIN:
  case HLI_OP_TILE_ID:
  case HLI_OP_TILE_END: {
    const hli_value begin = hli_tile_bound(k, false, hli_operand(k, def, 0));
    return begin && at_least_zero(k, begin);
  }
  case HLI_OP_MAX:
    return at_least_zero(k, hli_operand(k, def, 0)) || at_least_zero(k, hli_operand(k, def, 1));
  case HLI_OP_MIN:
  case HLI_OP_ADD:
  case HLI_OP_MUL:
  case HLI_OP_TRUNCDIV:
  case HLI_OP_FLOORDIV:
  case HLI_OP_REM:
    return at_least_zero(k, hli_operand(k, def, 0)) && at_least_zero(k, hli_operand(k, def, 1));
  default:
    return false;
  }
}

/* Is v at most the size of the dimension? */
static bool at_most_size(const hl_kernel *k, hli_value v, hli_dim dim) {
  hli_scalar c;
  if (hli_const_value(k, v, &c))
    return k->dims.data[dim].value >= 0 && c.i <= k->dims.data[dim].value;
  const hli_op def = k->values.data[v].def;
  switch (def ? k->ops.data[def].code : HLI_OP_NONE) {
  case HLI_OP_SIZE:
    return hli_type_of(k, hli_operand(k, def, 0))->dims[hli_attr(k, def, 0, 0)] == dim;
  case HLI_OP_MIN:
    return at_most_size(k, hli_operand(k, def, 0), dim) || at_most_size(k, hli_operand(k, def, 1), dim);
  case HLI_OP_TILE_END: {
    const hli_value end = hli_tile_bound(k, true, hli_operand(k, def, 0));
    return end && at_most_size(k, end, dim);
  }
  default:
    return false;
  }
}

/* ---- tiles ---- */

static void bound_words(const hl_kernel *k, hli_value v, char buf[48]) {
  hli_scalar c;
  if (v && hli_const_value(k, v, &c))
    snprintf(buf, 48, "%lld", (long long)c.i);
  else
    snprintf(buf, 48, "a value known only at run time");
}

/* The loop of a tile inside the grid, whose bounds may be changed; 0: none. */
static hli_op inner_loop(const hl_kernel *k, hli_value tile) {
  const hli_value_data *v = &k->values.data[tile];
  const hli_op loop = v->def ? 0 : k->blocks.data[v->owner].parent;
  return loop && k->ops.data[loop].code == HLI_OP_TILE && k->ops.data[loop].block != k->body ? loop : 0;
}

static bool is_constant(const hl_kernel *k, hli_value v) {
  hli_scalar c;
  return hli_const_value(k, v, &c);
}

/* Bounds that are known only at run time are clamped to the tensor: begin to at least 0, end to at most the size.
 * True if that could be done. */
static bool clamp_tile(hl_kernel *k, hli_value tile, const hli_access *a, uint32_t d, bool low, bool high) {
  const hli_op loop = inner_loop(k, tile);
  const hli_value begin = hli_tile_bound(k, false, tile), end = hli_tile_bound(k, true, tile);
  if (!loop || (!low && is_constant(k, begin)) || (!high && is_constant(k, end)))
    return false;
  const uint32_t rank = hli_attr_len(k, loop, 0), i = k->values.data[tile].index;
  const hli_op_data o = *hli_op_get(k, loop);
  hli_cursor at = {.k = k, .block = o.block, .before = loop, .file = o.file, .line = o.line};
  const hli_value first = low ? begin : hli_make_binary(&at, HLI_OP_MAX, begin, hli_make_i64(&at, 0));
  const hli_value last = high ? end : hli_make_binary(&at, HLI_OP_MIN, end, hli_make_size(&at, a->base, d));
  if (!first || !last) {
    k->failed = true;
    return true;
  }
  hli_op_set_operand(k, loop, i, first);
  hli_op_set_operand(k, loop, rank + i, last);
  return true;
}

static hl_status check_tile(const hli_pass_env *env, hl_kernel *k, hli_op op, const hli_access *a, uint32_t d) {
  const hli_dim dim = hli_type_of(k, a->base)->dims[d];
  const hli_value begin = hli_tile_bound(k, false, a->index[d]), end = hli_tile_bound(k, true, a->index[d]);
  const bool low = begin && at_least_zero(k, begin), high = end && at_most_size(k, end, dim);
  char at[48], size[48];
  if ((low && high) || clamp_tile(k, a->index[d], a, d, low, high))
    return HL_OK;
  bound_words(k, low ? end : begin, at);
  if (k->dims.data[dim].value >= 0)
    snprintf(size, sizeof size, "has size %lld", (long long)k->dims.data[dim].value);
  else
    snprintf(size, sizeof size, "is dynamic");
  const hli_axis_data *axis = &k->axes.data[hli_type_of(k, a->index[d])->dims[0]];
  const char *from = axis->dim ? k->dims.data[axis->dim].name : "", *to = k->dims.data[dim].name;
  return hli_fail_at(env->diag, HL_ERR_BUILD, k->ops.data[op].file, k->ops.data[op].line, 0,
                     "kernel %s: the tile $%s%s%s %s %s, but dimension %u of %s%s%s, which it indexes, %s; bound the loop "
                     "with hl_size of that dimension, hl_min or hl_max",
                     k->name, axis->name, *from ? " over " : "", from, low ? "runs to" : "begins at", at, d,
                     k->values.data[a->base].name, *to ? ", " : "", to, size);
}

bool hli_tile_within(const hl_kernel *k, hli_value tile, hli_dim dim) {
  const hli_value begin = hli_tile_bound(k, false, tile), end = hli_tile_bound(k, true, tile);
  return begin && end && at_least_zero(k, begin) && at_most_size(k, end, dim);
}

/* ---- scalars ---- */

/* The first index of a tile that is itself in bounds. */
static bool is_inside(const hl_kernel *k, hli_value v, hli_dim dim) {
  const hli_op def = k->values.data[v].def;
  if (!def || k->ops.data[def].code != HLI_OP_TILE_BEGIN)
    return false;
  return hli_tile_within(k, hli_operand(k, def, 0), dim);
}

static hli_value clamped(hli_cursor *c, hli_value v, hli_value size) {
  hli_value zero = hli_make_i64(c, 0), last = hli_make_binary(c, HLI_OP_SUB, size, hli_make_i64(c, 1));
  hli_value from_end = hli_make_binary(c, HLI_OP_ADD, v, size);
  v = hli_make_where(c, hli_make_binary(c, HLI_OP_LT, v, zero), from_end, v);
  return hli_make_binary(c, HLI_OP_MAX, hli_make_binary(c, HLI_OP_MIN, v, last), zero);
}

/* Which operand of the access is the index of dimension d: behind the base, ':' takes none. */
static uint32_t operand_of(const hli_access *a, uint32_t d) {
  uint32_t n = 1;
  for (uint32_t i = 0; i < d; i++)
    n += a->kind[i] != ':';
  return n;
}

/* Clamps the index of dimension d.  What cannot be clamped into an empty dimension is masked: *exists becomes whether
 * all dimensions that were clamped so far have elements, 0 while all surely have. */
static hl_status check_scalar(const hli_pass_env *env, hl_kernel *k, hli_op op, const hli_access *a, uint32_t d,
                              hli_value *exists) {
  const hli_dim dim = hli_type_of(k, a->base)->dims[d];
  const int64_t size = k->dims.data[dim].value;
  const hli_op_data o = *hli_op_get(k, op);
  hli_scalar c;
  if (is_inside(k, a->index[d], dim))
    return HL_OK;
  if (hli_const_value(k, a->index[d], &c) && size >= 0) {
    if (c.i < size && c.i >= -size)
      return HL_OK;
    return hli_fail_at(env->diag, HL_ERR_BUILD, o.file, o.line, 0,
                       "kernel %s: index %lld is outside dimension %u of %s, which has size %lld", k->name,
                       (long long)c.i, d, k->values.data[a->base].name, (long long)size);
  }
  hli_cursor at = {.k = k, .block = o.block, .before = op, .file = o.file, .line = o.line};
  const hli_value n = hli_make_size(&at, a->base, d);
  const hli_value v = clamped(&at, a->index[d], n);
  if (v)
    hli_op_set_operand(k, op, operand_of(a, d), v);
  if (v && size <= 0) {
    const hli_value some = hli_make_binary(&at, HLI_OP_GT, n, hli_make_i64(&at, 0));
    *exists = *exists ? hli_make_binary(&at, HLI_OP_AND, *exists, some) : some;
  }
  k->failed |= !v || (size <= 0 && !*exists);
  return HL_OK;
}

/* The access happens only where the scalar is true.
 *   load %x[%s]    ->    %some = gt %n, 0;  load %x[%s], mask %some */
static void only_where(hl_kernel *k, hli_op op, hli_value exists) {
  const hli_op_data o = *hli_op_get(k, op);
  hli_cursor at = {.k = k, .block = o.block, .before = op, .file = o.file, .line = o.line};
  hli_access a;
  char kinds[HL_MAX_RANK];
  hli_access_get(k, op, &a);
  for (uint32_t d = 0; d < a.rank; d++)
    kinds[d] = a.kind[d];
  hli_value mask = hli_make_splat(&at, exists, hli_type_with_dtype(k, k->values.data[a.value].type, HL_BOOL));
  if (a.mask && mask)
    mask = hli_make_binary(&at, HLI_OP_AND, a.mask, mask);
  const hli_op masked = mask ? hli_make_access(&at, op, kinds, a.index, mask, NULL) : 0;
  if (!masked) {
    k->failed = true;
    return;
  }
  if (o.result_count)
    hli_replace_uses(k, hli_result(k, op, 0), hli_result(k, masked, 0));
  hli_op_remove(k, op);
}

hl_status hli_check_bounds(hli_pass_env *env, hl_kernel *k) {
  const uint32_t count = k->ops.len;
  hl_status s = HL_OK;
  for (hli_op op = 1; op < count && s == HL_OK && !k->failed; op++) {
    const uint16_t code = k->ops.data[op].code;
    hli_access a;
    if (k->ops.data[op].dead || (code != HLI_OP_LOAD && code != HLI_OP_STORE && code != HLI_OP_ATOMIC))
      continue;
    hli_access_get(k, op, &a);
    if (hli_type_of(k, a.base)->kind != HLI_TYPE_TENSOR)
      continue;
    hli_value exists = 0;
    for (uint32_t d = 0; d < a.rank && s == HL_OK; d++) {
      if (a.kind[d] == 't')
        s = check_tile(env, k, op, &a, d);
      else if (a.kind[d] == 's')
        s = check_scalar(env, k, op, &a, d, &exists);
    }
    if (exists && s == HL_OK && !k->failed)
      only_where(k, op, exists);
  }
  return s;
}
