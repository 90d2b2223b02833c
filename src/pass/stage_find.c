/* stage_find.c: which loads of a loop are worth and able to be fetched ahead. */
#include "src/pass/stage.h"

enum { ADDRESS_DEPTH = 24 }; /* ops that lead to an address */

bool hli_stage_inside(const hl_kernel *k, hli_op loop, hli_value v) {
  const hli_value_data *d = &k->values.data[v];
  hli_block b = d->def ? k->ops.data[d->def].block : d->owner;
  for (uint32_t depth = 0; b && depth < HLI_MAX_NESTING; depth++) {
    if (b == k->ops.data[loop].region)
      return true;
    const hli_op parent = k->blocks.data[b].parent;
    b = parent ? k->ops.data[parent].block : 0;
  }
  return false;
}

static bool uses(const hl_kernel *k, hli_op op, hli_value v) {
  for (uint32_t i = 0; i < hli_operand_count(k, op); i++)
    if (hli_operand(k, op, i) == v)
      return true;
  return false;
}

/* Does v reach an operand of a dot within the block, through ops that keep it a tile? */
static bool feeds_dot(const hl_kernel *k, hli_value v, uint32_t depth) {
  const hli_op def = k->values.data[v].def;
  if (depth == 0)
    return false;
  for (hli_op op = hli_next(k, def); op; op = hli_next(k, op)) {
    if (!uses(k, op, v))
      continue;
    const hli_op_data *o = hli_op_get(k, op);
    if (o->code == HLI_OP_DOT || o->code == HLI_OP_MMA)
      return true;
    const uint8_t f = hli_op_facts((hli_opcode)o->code)->family;
    const bool passes = f == HLI_FAM_UNARY || f == HLI_FAM_BINARY || f == HLI_FAM_TERNARY || f == HLI_FAM_CAST ||
                        o->code == HLI_OP_CONVERT || o->code == HLI_OP_TRANSPOSE;
    if (passes && feeds_dot(k, o->results, depth - 1))
      return true;
  }
  return false;
}

/* Can the scalar or range be computed for another iteration: pure ops on the induction variable and on what
 * the loop does not change? */
static bool follows_iv(const hl_kernel *k, hli_op loop, hli_value v, uint32_t depth) {
  if (!hli_stage_inside(k, loop, v))
    return true;
  const hli_op op = k->values.data[v].def;
  if (!op)
    return v == hli_block_arg(k, k->ops.data[loop].region, 0);
  if (depth == 0 || hli_op_facts((hli_opcode)k->ops.data[op].code)->effects != HLI_EFF_PURE || k->ops.data[op].region)
    return false;
  for (uint32_t i = 0; i < hli_operand_count(k, op); i++)
    if (!follows_iv(k, loop, hli_operand(k, op, i), depth - 1))
      return false;
  return true;
}

/* Does the loop change v?  What stands in it may be the same in every trip: the begin of a tile around it. */
static bool varies(const hl_kernel *k, hli_op loop, hli_value v, uint32_t depth) {
  const hli_op op = k->values.data[v].def;
  if (!hli_stage_inside(k, loop, v))
    return false;
  if (!op || depth == 0 || hli_op_facts((hli_opcode)k->ops.data[op].code)->effects != HLI_EFF_PURE ||
      k->ops.data[op].region)
    return true;
  for (uint32_t i = 0; i < hli_operand_count(k, op); i++)
    if (varies(k, loop, hli_operand(k, op, i), depth - 1))
      return true;
  return false;
}

static const hli_param *param_of(const hl_kernel *k, hli_value base) {
  for (uint32_t i = 0; i < k->params.len; i++)
    if (k->params.data[i].value == base)
      return &k->params.data[i];
  return NULL;
}

/* Nothing that the kernel writes may change what was fetched ahead. */
static bool is_constant(const hl_kernel *k, const hli_param *p) {
  if (!p || p->is_output)
    return false;
  for (uint32_t i = 0; i < k->params.len; i++)
    if (&k->params.data[i] != p && k->params.data[i].is_output && (p->may_alias >> i) & 1)
      return false;
  return true;
}

static hli_op only_use(const hl_kernel *k, hli_op def, hli_value v) {
  hli_op found = 0;
  for (hli_op op = hli_next(k, def); op; op = hli_next(k, op)) {
    if (k->ops.data[op].region || (uses(k, op, v) && found))
      return 0;
    if (uses(k, op, v))
      found = op;
  }
  return found;
}

static bool add_read(hli_stage_load *l, hli_stage_read r) {
  if (l->reads == HLI_STAGE_READS)
    return false;
  l->read[l->reads++] = r;
  return true;
}

/* Lists the forms in which the loaded value is wanted: converts, transposes with one convert, itself. */
static bool list_reads(const hl_kernel *k, hli_stage_load *l) {
  const hli_value v = hli_result(k, l->load, 0);
  bool itself = false;
  for (hli_op op = hli_next(k, l->load); op; op = hli_next(k, op)) {
    if (k->ops.data[op].region)
      itself = true; /* may be used in there */
    if (!uses(k, op, v))
      continue;
    const hli_op_data *o = hli_op_get(k, op);
    hli_stage_read r = {.value = o->results};
    const hli_op next = o->code == HLI_OP_TRANSPOSE ? only_use(k, op, o->results) : 0;
    if (next && k->ops.data[next].code == HLI_OP_CONVERT) {
      r = (hli_stage_read){.value = hli_result(k, next, 0), .skip = op, .permuted = true};
      for (uint32_t i = 0; i < hli_attr_len(k, op, 0) && i < HLI_LAYOUT_RANK; i++)
        r.perm[i] = (uint8_t)hli_attr(k, op, 0, i);
    }
    if (next || o->code == HLI_OP_CONVERT) {
      if (!add_read(l, r))
        return false;
    } else {
      itself = true;
    }
  }
  return !itself || add_read(l, (hli_stage_read){.value = v});
}

static bool stageable(const hl_kernel *k, hli_op loop, hli_stage_load *l) {
  hli_access a;
  hli_access_get(k, l->load, &a);
  const hli_type_data *t = hli_type_of(k, a.value);
  if (a.mask || a.other || a.gathers || t->rank != 2 || !is_constant(k, param_of(k, a.base)) ||
      !feeds_dot(k, a.value, 16))
    return false;
  bool moves = false;
  for (uint32_t d = 0; d < a.rank; d++) {
    const bool changes = varies(k, loop, a.index[d], ADDRESS_DEPTH);
    if (!follows_iv(k, loop, a.index[d], ADDRESS_DEPTH) || (changes && a.kind[d] == 's'))
      return false; /* nothing masks a scalar: of a trip that does not come, the first one too, it may lie outside */
    moves |= changes;
  }
  l->bytes = hl_dtype_size((hl_dtype)t->dtype);
  for (uint32_t d = 0; d < t->rank; d++)
    l->bytes *= hli_axis_lanes(k, t->dims[d]);
  return moves && list_reads(k, l);
}

/* Bytes that one asynchronous copy of a thread moves. */
static uint32_t copy_bytes(const hl_kernel *k, const hli_stage_load *l, uint32_t limit) {
  hli_access a;
  hli_access_get(k, l->load, &a);
  const int unit = hli_access_unit_dim(k, &a);
  const hli_type_data *t = hli_type_of(k, a.value);
  const uint32_t size = hl_dtype_size((hl_dtype)t->dtype);
  if (unit < 0)
    return size;
  return size * HLI_MIN(hli_access_vector(k, &a, limit),
                        hli_layout_vector(&k->layouts.data[t->layout], (uint32_t)a.value_dim[unit]));
}

void hli_stage_find(const hl_kernel *k, const hl_target *target, hli_op loop, hli_stage_loop *out) {
  *out = (hli_stage_loop){.loop = loop, .async = target->async_copy};
  if (hli_is_branch(k, loop))
    return; /* one trip at most: there is no next one to fetch for */
  for (hli_op op = hli_first(k, k->ops.data[loop].region); op && out->loads < HLI_STAGE_LOADS; op = hli_next(k, op)) {
    hli_stage_load *l = &out->load[out->loads];
    *l = (hli_stage_load){.load = op};
    if (k->ops.data[op].code != HLI_OP_LOAD || !stageable(k, loop, l))
      continue;
    if (copy_bytes(k, l, target->vector_bytes) < 4)
      out->async = false;
    out->loads++;
  }
}
