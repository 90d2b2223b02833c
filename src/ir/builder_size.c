/* builder_size.c: hl_dim_set_size: reads what a dimension follows from out of the scalar that the caller computed.
 * SPDX-License-Identifier: MIT */
#include "src/ir/builder.h"
#include "src/ir/text.h"

static bool push(hl_builder *b, hli_size_kind kind, int64_t value) {
  if (hli_vec_push(b->alloc, &b->k->size_terms, ((hli_size_term){value, (uint8_t)kind})))
    return true;
  hli_builder_no_memory(b);
  return false;
}

static int64_t size_op(hli_opcode code) {
  int64_t op = 0;
  while (op < HL_BINARY_COUNT && !(hli_size_op_text(op) && !strcmp(hli_size_op_text(op), hli_op_facts(code)->text)))
    op++;
  return op;
}

static bool is_parameter(const hl_kernel *k, hli_value v) {
  return !k->values.data[v].def && !k->values.data[v].owner;
}

static bool refuse(hl_builder *b, const char *dim, hli_value v) {
  const hli_op def = b->k->values.data[v].def;
  const hli_opcode code = def ? (hli_opcode)b->k->ops.data[def].code : HLI_OP_NONE;
  if (code == HLI_OP_LOAD || code == HLI_OP_ATOMIC)
    hli_builder_complain(b,
                         "the size of dimension %s would depend on data (a %s), and a shape must be known before the "
                         "kernel runs: make the tensor as large as it can get and store how much of it is used, or "
                         "compute the size before and pass it as a scalar",
                         dim, hli_op_facts(code)->text);
  else if (!def)
    hli_builder_complain(b,
                         "the size of dimension %s cannot follow from something that a loop gives: use hl_size, "
                         "integer scalar parameters and constants",
                         dim);
  else
    hli_builder_complain(b,
                         "the size of dimension %s cannot follow from '%s' of %s: sizes are made of hl_size, integer "
                         "scalar parameters and constants by + - * floordiv truncdiv rem min max, all i64",
                         dim, hli_op_facts(code)->text, hl_dtype_text(hli_dtype_of(b->k, v)));
  return false;
}

/* Appends the terms of v. */
static bool take(hl_builder *b, const char *dim, hli_value v, uint32_t depth) {
  hl_kernel *k = b->k;
  const hli_type_data *t = hli_type_of(k, v);
  const char kind = hli_dtype_kind((hl_dtype)t->dtype);
  hli_scalar c;
  if (depth > HLI_SIZE_TERMS) {
    hli_builder_complain(b, "the size of dimension %s has more than %u parts", dim, HLI_SIZE_TERMS);
    return false;
  }
  if (t->kind != HLI_TYPE_VALUE || t->rank || kind == 'f')
    return refuse(b, dim, v);
  if (is_parameter(k, v))
    return push(b, HLI_SIZE_SCALAR, k->values.data[v].index);
  const hli_op def = k->values.data[v].def;
  const hli_opcode code = def ? (hli_opcode)k->ops.data[def].code : HLI_OP_NONE;
  if (def && hli_const_value(k, v, &c))
    return push(b, HLI_SIZE_CONST, c.i);
  if (code == HLI_OP_SIZE) {
    const hli_dim d = hli_type_of(k, hli_operand(k, def, 0))->dims[hli_attr(k, def, 0, 0)];
    return k->dims.data[d].name[0] ? push(b, HLI_SIZE_DIM, d) : push(b, HLI_SIZE_CONST, k->dims.data[d].value);
  }
  if (code == HLI_OP_CAST && t->dtype == HL_I64 && is_parameter(k, hli_operand(k, def, 0)))
    return take(b, dim, hli_operand(k, def, 0), depth + 1);
  const int64_t op = def ? size_op(code) : HL_BINARY_COUNT;
  if (op == HL_BINARY_COUNT || t->dtype != HL_I64)
    return refuse(b, dim, v);
  return take(b, dim, hli_operand(k, def, 0), depth + 1) && take(b, dim, hli_operand(k, def, 1), depth + 1) &&
         push(b, HLI_SIZE_BINARY, op);
}

static bool may_follow(hl_builder *b, hl_dim dim) {
  const hl_kernel *k = b->k;
  if (!dim || dim >= k->dims.len || !k->dims.data[dim].name[0] || k->dims.data[dim].value >= 0) {
    hli_builder_complain(b, "hl_dim_set_size: wants a dimension with a name and without a size");
    return false;
  }
  for (uint32_t i = 0; i < k->size_rules.len; i++)
    if (k->size_rules.data[i].dim == dim) {
      hli_builder_complain(b, "hl_dim_set_size: the size of dimension %s is given twice", k->dims.data[dim].name);
      return false;
    }
  if (k->size_rules.len < HLI_TEXT_PARAMS)
    return true;
  hli_builder_complain(b, "hl_dim_set_size: more than %u sizes follow from others", HLI_TEXT_PARAMS);
  return false;
}

void(hl_dim_set_size)(hl_builder *b, hl_dim dim, hl_value v) {
  if (!b || !hli_builder_ok(b, v) || !may_follow(b, dim))
    return;
  hl_kernel *k = b->k;
  hli_size_rule r = {.dim = dim, .first = k->size_terms.len};
  if (!take(b, k->dims.data[dim].name, v, 0))
    return;
  r.count = k->size_terms.len - r.first;
  if (r.count > HLI_SIZE_TERMS)
    hli_builder_complain(b, "the size of dimension %s has more than %u parts", k->dims.data[dim].name, HLI_SIZE_TERMS);
  else if (!hli_vec_push(b->alloc, &k->size_rules, r))
    hli_builder_no_memory(b);
}
