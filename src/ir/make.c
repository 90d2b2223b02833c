/* make.c: shorthands with which passes and the builder create ops whose types are inferred. */
#include "src/ir/ir.h"

/* Infers and creates; `given` is the result type where the rule takes one, else 0. */
static hli_value make(hli_cursor *c, hli_op_desc *d, hli_type given) {
  hli_type result = given;
  for (uint32_t i = 0; i < d->operand_count; i++)
    if (!d->operands[i])
      return 0;
  d->results = &result;
  d->result_count = 1;
  if (hli_infer(c->k, d, &result, NULL) != HL_OK)
    return 0;
  hli_op op = hli_op_create(c, d);
  return op ? hli_result(c->k, op, 0) : 0;
}

hli_value hli_make_unary(hli_cursor *c, hli_opcode code, hli_value a) {
  return make(c, &(hli_op_desc){.code = code, .operands = &a, .operand_count = 1}, 0);
}

hli_value hli_make_binary(hli_cursor *c, hli_opcode code, hli_value a, hli_value b) {
  return make(c, &(hli_op_desc){.code = code, .operands = (hli_value[]){a, b}, .operand_count = 2}, 0);
}

hli_value hli_make_where(hli_cursor *c, hli_value cond, hli_value a, hli_value b) {
  return make(c, &(hli_op_desc){.code = HLI_OP_WHERE, .operands = (hli_value[]){cond, a, b}, .operand_count = 3}, 0);
}

hli_value hli_make_ternary(hli_cursor *c, hli_opcode code, hli_value x, hli_value y, hli_value z) {
  return make(c, &(hli_op_desc){.code = code, .operands = (hli_value[]){x, y, z}, .operand_count = 3}, 0);
}

hli_value hli_make_fma(hli_cursor *c, hli_value a, hli_value b, hli_value acc) {
  return hli_make_ternary(c, HLI_OP_FMA, a, b, acc);
}

hli_value hli_make_cast(hli_cursor *c, hli_value a, hl_dtype dtype) {
  if (!a || hli_dtype_of(c->k, a) == dtype)
    return a;
  hli_type t = hli_type_with_dtype(c->k, c->k->values.data[a].type, dtype);
  return make(c, &(hli_op_desc){.code = HLI_OP_CAST, .operands = &a, .operand_count = 1}, t);
}

hli_value hli_make_bitcast(hli_cursor *c, hli_value a, hl_dtype dtype) {
  if (!a || hli_dtype_of(c->k, a) == dtype)
    return a;
  hli_type t = hli_type_with_dtype(c->k, c->k->values.data[a].type, dtype);
  return make(c, &(hli_op_desc){.code = HLI_OP_BITCAST, .operands = &a, .operand_count = 1}, t);
}

hli_value hli_make_const(hli_cursor *c, hl_dtype dtype, uint64_t bits) {
  int64_t v = (int64_t)bits;
  return make(c, &(hli_op_desc){.code = HLI_OP_CONST, .attrs = &v, .attr_len = {1}}, hli_type_scalar(c->k, dtype));
}

hli_value hli_make_i64(hli_cursor *c, int64_t x) {
  return hli_make_const(c, HL_I64, (uint64_t)x);
}

hli_value hli_make_identity(hli_cursor *c, hl_dtype dtype, hli_identity id) {
  return hli_make_const(c, dtype, hli_scalar_to_bits(dtype, hli_scalar_identity(id, dtype)));
}

hli_value hli_make_broadcast(hli_cursor *c, hli_value a, hli_type to, const int64_t *dims) {
  if (!a)
    return 0;
  const uint32_t rank = hli_type_of(c->k, a)->rank;
  return make(
      c,
      &(hli_op_desc){.code = HLI_OP_BROADCAST, .operands = &a, .operand_count = 1, .attrs = dims, .attr_len = {rank}},
      to);
}

hli_value hli_make_splat(hli_cursor *c, hli_value scalar, hli_type to) {
  return hli_type_get(c->k, to)->rank ? hli_make_broadcast(c, scalar, to, NULL) : scalar;
}

hli_value hli_make_reduce(hli_cursor *c, hl_reduce_op op, hli_value a, const int64_t *axes, uint32_t n) {
  int64_t ints[1 + HL_MAX_RANK] = {(int64_t)op};
  if (n > HL_MAX_RANK)
    return 0;
  for (uint32_t i = 0; i < n; i++)
    ints[1 + i] = axes[i];
  return make(
      c, &(hli_op_desc){.code = HLI_OP_REDUCE, .operands = &a, .operand_count = 1, .attrs = ints, .attr_len = {1, n}},
      0);
}

hli_value hli_make_group(hli_cursor *c, const hli_value *elements, uint32_t n) {
  return make(c, &(hli_op_desc){.code = HLI_OP_GROUP, .operands = elements, .operand_count = n}, 0);
}

hli_value hli_make_group_dot(hli_cursor *c, hl_dtype a_as, hl_dtype b_as, hli_value a, hli_value b, hli_value acc) {
  const int64_t dtypes[2] = {a_as, b_as};
  const hli_value operands[3] = {a, b, acc};
  return make(c,
              &(hli_op_desc){.code = HLI_OP_GROUP_DOT,
                             .operands = operands,
                             .operand_count = 3,
                             .attrs = dtypes,
                             .attr_len = {1, 1}},
              0);
}

bool hli_make_transpose_lanes(hli_cursor *c, hli_value *rows, uint32_t n) {
  hli_type types[HLI_MAX_OPERANDS] = {0};
  hli_op_desc d = {
      .code = HLI_OP_TRANSPOSE_LANES, .operands = rows, .operand_count = n, .results = types, .result_count = n};
  for (uint32_t i = 0; i < n; i++)
    if (!rows[i])
      return false;
  if (hli_infer(c->k, &d, types, NULL) != HL_OK)
    return false;
  const hli_op op = hli_op_create(c, &d);
  for (uint32_t i = 0; op && i < n; i++)
    rows[i] = hli_result(c->k, op, i);
  return op != 0;
}

hli_value hli_make_window(hli_cursor *c, hli_value a, hli_value b, int64_t start, hli_type type) {
  return make(c,
              &(hli_op_desc){.code = HLI_OP_WINDOW,
                             .operands = (hli_value[]){a, b},
                             .operand_count = b ? 2 : 1,
                             .attrs = &start,
                             .attr_len = {1}},
              type);
}

hli_value hli_make_size(hli_cursor *c, hli_value tensor, uint32_t d) {
  const int64_t size = c->k->dims.data[hli_type_of(c->k, tensor)->dims[d]].value, attr = d;
  if (size >= 0)
    return hli_make_i64(c, size);
  return make(c,
              &(hli_op_desc){.code = HLI_OP_SIZE,
                             .operands = &tensor,
                             .operand_count = 1,
                             .attrs = &attr,
                             .attr_len = {1}},
              0);
}

hli_value hli_make_range(hli_cursor *c, hli_axis axis, hli_value begin, hli_value end) {
  int64_t a = axis;
  return make(c,
              &(hli_op_desc){.code = HLI_OP_RANGE,
                             .operands = (hli_value[]){begin, end},
                             .operand_count = 2,
                             .attrs = &a,
                             .attr_len = {1}},
              0);
}

/* Operands and attributes of an access; returns false when something is missing. */
typedef struct access_parts {
  hli_value operands[HL_MAX_RANK + 4];
  int64_t ints[HL_MAX_RANK + 1];
  hli_op_desc desc;
} access_parts;

static bool access_begin(hli_cursor *c, access_parts *p, hli_opcode code, hli_value base, const char *kinds,
                         const hli_value *index) {
  memset(p, 0, sizeof *p);
  if (!base)
    return false;
  const uint32_t rank = hli_type_of(c->k, base)->rank;
  uint32_t n = 0, at = 0;
  p->operands[n++] = base;
  for (uint32_t d = 0; d < rank; d++) {
    p->ints[d] = kinds[d];
    if (kinds[d] == ':')
      continue;
    if (!index[at])
      return false;
    p->operands[n++] = index[at++];
  }
  p->desc =
      (hli_op_desc){.code = code, .operands = p->operands, .operand_count = n, .attrs = p->ints, .attr_len = {rank}};
  return true;
}

static void access_flags(access_parts *p, hli_value mask, hli_value other) {
  if (mask)
    p->operands[p->desc.operand_count++] = mask;
  if (other)
    p->operands[p->desc.operand_count++] = other;
  if (!mask && !other)
    return;
  p->ints[p->desc.attr_len[0]] = (mask ? 1 : 0) | (other ? 2 : 0);
  p->desc.attr_len[1] = 1;
}

hli_value hli_make_load(hli_cursor *c, hli_value base, const char *kinds, const hli_value *index, hli_value mask,
                        hli_value other, hli_type result) {
  access_parts p;
  if (!access_begin(c, &p, HLI_OP_LOAD, base, kinds, index))
    return 0;
  access_flags(&p, mask, other);
  return make(c, &p.desc, result);
}

hli_op hli_make_store(hli_cursor *c, hli_value base, const char *kinds, const hli_value *index, hli_value value,
                      hli_value mask) {
  access_parts p;
  if (!value || !access_begin(c, &p, HLI_OP_STORE, base, kinds, index))
    return 0;
  p.operands[p.desc.operand_count++] = value;
  access_flags(&p, mask, 0);
  if (hli_infer(c->k, &p.desc, NULL, NULL) != HL_OK)
    return 0;
  return hli_op_create(c, &p.desc);
}

hli_op hli_make_access(hli_cursor *c, hli_op like, const char *kinds, const hli_value *index, hli_value mask,
                       const int64_t *check) {
  hl_kernel *k = c->k;
  const hli_op_data o = *hli_op_get(k, like);
  hli_access a;
  hli_value operands[2 * HL_MAX_RANK + 8];
  int64_t ints[HLI_MAX_ATTRS * HL_MAX_RANK];
  hli_type type = 0;
  hli_access_get(k, like, &a);
  hli_op_desc d = {.code = (hli_opcode)o.code, .operands = operands, .attrs = ints, .results = &type};
  uint32_t at = 0;
  operands[d.operand_count++] = a.base;
  for (uint32_t i = 0; i < a.rank; i++)
    if (kinds[i] != ':')
      operands[d.operand_count++] = index[i];
  const hli_value data[4] = {a.expected, o.code == HLI_OP_LOAD ? 0 : a.value, mask, a.other};
  for (uint32_t i = 0; i < HLI_COUNT(data); i++)
    if (data[i])
      operands[d.operand_count++] = data[i];
  for (uint32_t i = 0; i < HLI_MAX_ATTRS; i++) {
    d.attr_len[i] = i == HLI_ATTR_FLAGS ? mask || a.other : hli_attr_len(k, like, i);
    if (i == HLI_ATTR_CHECK && check)
      d.attr_len[i] = a.rank;
    for (uint32_t j = 0; j < d.attr_len[i]; j++)
      ints[at++] = i == HLI_ATTR_INDEX            ? kinds[j]
                   : i == HLI_ATTR_FLAGS          ? (mask ? 1 : 0) | (a.other ? 2 : 0)
                   : i == HLI_ATTR_CHECK && check ? check[j]
                                                  : hli_attr(k, like, i, j);
  }
  for (uint32_t i = 0; i < d.operand_count; i++)
    if (!operands[i])
      return 0;
  if (hli_infer(k, &d, &type, NULL) != HL_OK)
    return 0;
  d.result_count = o.result_count;
  return hli_op_create(c, &d);
}

hli_for hli_make_for(hli_cursor *c, hli_value begin, hli_value end, hli_value step, const hli_value *carried,
                     uint32_t n) {
  hli_value operands[HLI_MAX_OPERANDS] = {begin, end, step};
  hli_type types[HLI_MAX_OPERANDS];
  hli_for f = {0};
  if (n > HLI_MAX_OPERANDS - 3 || !begin || !end || !step)
    return f;
  for (uint32_t i = 0; i < n; i++) {
    if (!carried[i])
      return f;
    operands[3 + i] = carried[i];
    types[i] = c->k->values.data[carried[i]].type;
  }
  hli_op_desc d = {
      .code = HLI_OP_FOR, .operands = operands, .operand_count = 3 + n, .results = types, .result_count = n};
  hli_op op = hli_op_create(c, &d);
  if (!op)
    return f;
  hli_block body = hli_block_create(c->k, op);
  if (!body)
    return f;
  f.iv = hli_block_add_arg(c->k, body, hli_type_scalar(c->k, HL_I64), hli_str("iv"));
  for (uint32_t i = 0; i < n; i++)
    hli_block_add_arg(c->k, body, types[i], hli_str(""));
  f.op = op;
  f.body = body;
  return f;
}

hli_region_form hli_region_form_of(const hl_kernel *k, hli_op op) {
  switch (k->ops.data[op].code) {
  case HLI_OP_TILE:
    return (hli_region_form){2 * hli_attr_len(k, op, 0), hli_attr_len(k, op, 0), 0};
  case HLI_OP_FOR:
    return (hli_region_form){3, 1, 0};
  case HLI_OP_IF:
    return (hli_region_form){1, 0, 0};
  case HLI_OP_WHILE:
    return (hli_region_form){1, 0, 1};
  case HLI_OP_FOLD:
  case HLI_OP_SCAN: /* "carried": the identities; own arguments: what is combined so far */
    return (hli_region_form){hli_fold_parts(k, op), hli_fold_parts(k, op), 0};
  default:
    return (hli_region_form){0};
  }
}

hli_op hli_make_region(hli_cursor *c, hli_opcode code, const hli_value *operands, uint32_t count, uint32_t n) {
  hli_type types[HLI_MAX_OPERANDS];
  if (count > HLI_MAX_OPERANDS || n > count)
    return 0;
  for (uint32_t i = 0; i < count; i++)
    if (!operands[i])
      return 0;
  for (uint32_t i = 0; i < n; i++)
    types[i] = c->k->values.data[operands[count - n + i]].type;
  hli_op op = hli_op_create(
      c, &(hli_op_desc){
             .code = code, .operands = operands, .operand_count = count, .results = types, .result_count = n});
  hli_block body = op ? hli_block_create(c->k, op) : 0;
  for (uint32_t i = 0; body && i < n; i++)
    hli_block_add_arg(c->k, body, types[i], hli_str(""));
  return body ? op : 0;
}

hli_for hli_make_branch(hli_cursor *c, hli_value cond, const hli_value *carried, uint32_t n) {
  return hli_make_for(c, hli_make_i64(c, 0), hli_make_cast(c, cond, HL_I64), hli_make_i64(c, 1), carried, n);
}

bool hli_is_branch(const hl_kernel *k, hli_op op) {
  hli_scalar begin, step;
  if (k->ops.data[op].code != HLI_OP_FOR || !hli_const_value(k, hli_operand(k, op, 0), &begin) || begin.i != 0 ||
      !hli_const_value(k, hli_operand(k, op, 2), &step) || step.i < 1)
    return false;
  const hli_op def = k->values.data[hli_operand(k, op, 1)].def;
  return def && k->ops.data[def].code == HLI_OP_CAST && hli_dtype_of(k, hli_operand(k, def, 0)) == HL_BOOL;
}

void hli_make_yield(hli_cursor *c, const hli_value *values, uint32_t n) {
  hli_op_create(c, &(hli_op_desc){.code = HLI_OP_YIELD, .operands = values, .operand_count = n});
}
