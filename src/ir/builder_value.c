/* builder_value.c: the builder's values: literals, promotion as in PyTorch, broadcasting as in NumPy,
 * pointwise operations, shapes and dots.  Promotion and broadcasting become explicit
 * cast and broadcast ops here; nothing below the builder knows of them. */
#include "src/ir/builder.h"

/* ---- literals ---- */

const hli_literal *hli_builder_literal(const hl_builder *b, hl_value v) {
  for (uint32_t i = 0; i < b->literals.len; i++)
    if (b->literals.data[i].value == v)
      return &b->literals.data[i];
  return NULL;
}

bool hli_builder_is_literal(const hl_builder *b, hl_value v) {
  return hli_builder_literal(b, v) != NULL;
}

static hl_value remember_literal(hl_builder *b, hli_literal l) {
  if (!l.value || !hli_vec_push(b->alloc, &b->literals, l))
    return hli_builder_no_memory(b);
  return l.value;
}

static hl_value literal(hl_builder *b, hl_dtype dtype, hli_scalar s) {
  if (!b || b->diag.status != HL_OK)
    return HL_POISON;
  const hli_value v = hli_make_const(&b->at, dtype, hli_scalar_to_bits(dtype, s));
  return remember_literal(b, dtype == HL_F32 ? (hli_literal){v, true, s.f} : (hli_literal){.value = v});
}

hl_value(hl_const_f)(hl_builder *b, double x) {
  return literal(b, HL_F32, (hli_scalar){.f = x});
}
hl_value(hl_const_i)(hl_builder *b, int64_t x) {
  return literal(b, HL_I64, (hli_scalar){.i = x});
}

hl_value hli_builder_cast(hl_builder *b, hl_value v, hl_dtype dtype) {
  if (!hli_builder_is_value(b, v, "cast"))
    return HL_POISON;
  if (!hli_dtype_kind(dtype))
    return hli_builder_complain(b, "cast: unknown dtype %d", (int)dtype);
  const hl_dtype from = hli_dtype_of(b->k, v);
  if (from == dtype)
    return v;
  hli_scalar s;
  const hli_literal *l = hli_builder_literal(b, v);
  if (l && (l->is_float || hli_const_value(b->k, v, &s))) { /* made anew: rounded once, from what was written */
    if (l->is_float)
      s.f = l->exact;
    const hli_scalar c = hli_scalar_eval(HLI_OP_CAST, l->is_float ? HL_F64 : from, dtype, &s, false);
    hli_value r = hli_make_const(&b->at, dtype, hli_scalar_to_bits(dtype, c));
    return r ? r : hli_builder_no_memory(b);
  }
  hli_type t = hli_type_with_dtype(b->k, b->k->values.data[v].type, dtype);
  return hli_builder_op(b, &(hli_op_desc){.code = HLI_OP_CAST, .operands = &v, .operand_count = 1}, t);
}

hl_value(hl_cast)(hl_builder *b, hl_value v, hl_dtype dtype) {
  return hli_builder_cast(b, v, dtype);
}

hl_value(hl_bitcast)(hl_builder *b, hl_value v, hl_dtype dtype) {
  if (!b || !hli_builder_is_value(b, v, "bitcast"))
    return HL_POISON;
  if (!hli_dtype_kind(dtype))
    return hli_builder_complain(b, "bitcast: unknown dtype %d", (int)dtype);
  if (hli_dtype_of(b->k, v) == dtype)
    return v;
  hli_type t = hli_type_with_dtype(b->k, b->k->values.data[v].type, dtype);
  return hli_builder_op(b, &(hli_op_desc){.code = HLI_OP_BITCAST, .operands = &v, .operand_count = 1}, t);
}

/* ---- promotion ---- */

static int category(hl_dtype d) {
  const char kind = hli_dtype_kind(d);
  return kind == 'f' ? 2 : kind == 'b' ? 0 : 1;
}

/* Two dtypes of one category. */
static hl_dtype promote_pair(hl_dtype a, hl_dtype b) {
  if (a == b)
    return a;
  const char ka = hli_dtype_kind(a), kb = hli_dtype_kind(b);
  const uint32_t sa = hl_dtype_size(a), sb = hl_dtype_size(b);
  if (ka == 'f' && (sa == 1 || sb == 1))
    return HL_DTYPE_NONE; /* numbers of 8 bits never change format unasked */
  if (ka == 'f')
    return sa == sb ? HL_F32 /* f16 with bf16 */ : sa > sb ? a : b;
  if (ka == kb)
    return sa > sb ? a : b;
  const hl_dtype s = ka == 'i' ? a : b, u = ka == 'i' ? b : a; /* signed with unsigned */
  const uint32_t su = hl_dtype_size(u);
  if (hl_dtype_size(s) > su)
    return s;
  return su == 1 ? HL_I16 : su == 2 ? HL_I32 : su == 4 ? HL_I64 : HL_DTYPE_NONE;
}

/* 0 literal, 1 scalar, 2 tile value: the strength with which a value takes part in promotion. */
static int strength(const hl_builder *b, hl_value v) {
  if (hli_builder_is_literal(b, v))
    return 0;
  return hli_type_of(b->k, v)->rank ? 2 : 1;
}

/* The common dtype: the highest category among all; within it only the strongest values vote. */
static hl_dtype promote(hl_builder *b, const hl_value *v, uint32_t n) {
  int top = 0, strongest = 0;
  hl_dtype d = HL_DTYPE_NONE;
  for (uint32_t i = 0; i < n; i++)
    top = HLI_MAX(top, category(hli_dtype_of(b->k, v[i])));
  for (uint32_t i = 0; i < n; i++)
    if (category(hli_dtype_of(b->k, v[i])) == top)
      strongest = HLI_MAX(strongest, strength(b, v[i]));
  for (uint32_t i = 0; i < n; i++) {
    const hl_dtype x = hli_dtype_of(b->k, v[i]);
    if (category(x) != top || strength(b, v[i]) != strongest)
      continue;
    const hl_dtype both = d ? promote_pair(d, x) : x;
    if (!both) {
      hli_builder_complain(b, "no common dtype for %s and %s; cast one of them", hl_dtype_text(d), hl_dtype_text(x));
      return HL_DTYPE_NONE;
    }
    d = both;
  }
  return d;
}

hl_dtype hli_builder_promoted(hl_builder *b, const hl_value *v, uint32_t n) {
  return promote(b, v, n);
}

/* ---- broadcasting ---- */

static const char *type_words(hl_builder *b, hl_value v, char *buf) {
  return hli_type_words(b->k, b->k->values.data[v].type, buf);
}

/* The joint shape of n values, aligned at the last axis. */
static bool joint_shape(hl_builder *b, const hl_value *v, uint32_t n, hli_axis *axes, uint32_t *rank) {
  char x[HLI_TYPE_WORDS], y[HLI_TYPE_WORDS];
  *rank = 0;
  for (uint32_t i = 0; i < n; i++)
    *rank = HLI_MAX(*rank, (uint32_t)hli_type_of(b->k, v[i])->rank);
  hli_value source[HL_MAX_RANK] = {0}; /* who gave each axis, for the message */
  for (uint32_t d = 0; d < *rank; d++)
    axes[d] = 0;
  for (uint32_t i = 0; i < n; i++) {
    const hli_type_data *t = hli_type_of(b->k, v[i]);
    const uint32_t shift = *rank - t->rank;
    for (uint32_t d = 0; d < t->rank; d++) {
      hli_axis *slot = &axes[shift + d];
      if (*slot == t->dims[d] || (*slot && hli_axis_is_one(b->k, t->dims[d])))
        continue;
      if (*slot && !hli_axis_is_one(b->k, *slot)) {
        hli_builder_complain(b,
                             "%s and %s do not broadcast: axis %u from the end differs (add an axis with hl_unsqueeze, "
                             "or loop over the same tile)",
                             type_words(b, source[shift + d], x), type_words(b, v[i], y), t->rank - d);
        return false;
      }
      *slot = t->dims[d];
      source[shift + d] = v[i];
    }
  }
  return true;
}

static hl_value no_broadcast(hl_builder *b, hl_value v, hli_type to) {
  char x[HLI_TYPE_WORDS], y[HLI_TYPE_WORDS];
  return hli_builder_complain(b,
                              "%s does not broadcast to %s: axes are matched from the last one (add one with "
                              "hl_unsqueeze, keep it when reducing, or index with the same tiles)",
                              type_words(b, v, x), hli_type_words(b->k, to, y));
}

static hl_value broadcast(hl_builder *b, hl_value v, hli_type to) {
  if (b->k->values.data[v].type == to)
    return v;
  const hli_type_data src = *hli_type_of(b->k, v), dst = *hli_type_get(b->k, to);
  int64_t dims[HL_MAX_RANK];
  if (src.rank > dst.rank)
    return no_broadcast(b, v, to);
  for (uint32_t d = 0; d < src.rank; d++) {
    dims[d] = dst.rank - src.rank + d;
    if (src.dims[d] != dst.dims[dims[d]] && !hli_axis_is_one(b->k, src.dims[d]))
      return no_broadcast(b, v, to);
  }
  hli_value r = hli_make_broadcast(&b->at, v, to, dims);
  return r ? r : hli_builder_no_memory(b);
}

hl_value hli_builder_fit(hl_builder *b, hl_value v, hli_type to) {
  v = hli_builder_cast(b, v, (hl_dtype)hli_type_get(b->k, to)->dtype);
  return v ? broadcast(b, v, to) : HL_POISON;
}

bool hli_builder_same_shape(hl_builder *b, hl_value *v, uint32_t n) {
  hli_axis axes[HL_MAX_RANK];
  uint32_t rank;
  if (!joint_shape(b, v, n, axes, &rank))
    return false;
  for (uint32_t i = 0; i < n; i++)
    if (!(v[i] = broadcast(b, v[i], hli_type_value(b->k, hli_dtype_of(b->k, v[i]), axes, rank))))
      return false;
  return true;
}

bool hli_builder_unify(hl_builder *b, hl_value *v, uint32_t n, hl_dtype dtype) {
  hli_axis axes[HL_MAX_RANK];
  uint32_t rank;
  if (dtype == HL_DTYPE_NONE && !(dtype = promote(b, v, n)))
    return false;
  if (!joint_shape(b, v, n, axes, &rank))
    return false;
  hli_type to = hli_type_value(b->k, dtype, axes, rank);
  for (uint32_t i = 0; i < n; i++)
    if (!(v[i] = hli_builder_fit(b, v[i], to)))
      return false;
  return true;
}

/* ---- pointwise ---- */

static const uint16_t unary_codes[HL_UNARY_COUNT] = {
#define HL_X(E, n) [HL_##E] = HLI_OP_##E,
    HL_UNARY_LIST(HL_X)
#undef HL_X
};
static const uint16_t binary_codes[HL_BINARY_COUNT] = {
#define HL_X(E, n) [HL_##E] = HLI_OP_##E,
    HL_BINARY_LIST(HL_X)
#undef HL_X
};

/* What floating functions of this dtype compute in: floats of 16 bits and fewer, and integers, use f32. */
hl_dtype hli_builder_compute_dtype(hl_dtype d) {
  return d == HL_F64 ? HL_F64 : HL_F32;
}

/* The result of an operation on two literals is one too; of floats its exact value is computed in f64. */
static hl_value weak_result(hl_builder *b, hli_opcode code, hl_value a, hl_value c, hl_value r) {
  const hl_value in[2] = {a, c};
  hli_literal l = {.value = r};
  hli_scalar s[2];
  if (!r)
    return HL_POISON;
  l.is_float = hli_dtype_of(b->k, r) == HL_F32;
  for (uint32_t i = 0; l.is_float && i < 2; i++) {
    const hli_literal *from = hli_builder_literal(b, in[i]);
    const hl_dtype d = hli_dtype_of(b->k, in[i]);
    if (from->is_float)
      s[i].f = from->exact;
    else if (hli_const_value(b->k, in[i], &s[i]))
      s[i] = hli_scalar_eval(HLI_OP_CAST, d, HL_F64, &s[i], false);
    else
      l.is_float = false;
  }
  if (l.is_float)
    l.exact = hli_scalar_eval(code, HL_F64, HL_F64, s, false).f;
  return remember_literal(b, l);
}

/* Truth values have no arithmetic of their own: what PyTorch computes of them is a logical operation.  NONE: refused.
 */
static hli_opcode of_bools(hli_opcode code) {
  switch (code) {
  case HLI_OP_ADD:
  case HLI_OP_MAX:
    return HLI_OP_OR;
  case HLI_OP_MUL:
  case HLI_OP_MIN:
    return HLI_OP_AND;
  default:
    return HLI_OP_NONE;
  }
}

hl_value(hl_unary)(hl_builder *b, hl_unary_op op, hl_value a) {
  if (!b || !hli_builder_ok(b, a))
    return HL_POISON;
  if ((unsigned)op >= HL_UNARY_COUNT)
    return hli_builder_complain(b, "unknown unary operation %d", (int)op);
  const hli_opcode code = (hli_opcode)unary_codes[op];
  if (!hli_builder_is_value(b, a, hli_op_facts(code)->text))
    return HL_POISON;
  const hl_dtype d = hli_dtype_of(b->k, a);
  const bool floating = hli_op_facts(code)->rule == HLI_RULE_FLOAT;
  if (d == HL_BOOL && code == HLI_OP_SIGN)
    return a;
  if (d == HL_BOOL && (code == HLI_OP_ISNAN || code == HLI_OP_ISINF))
    a = hli_builder_cast(b, a, HL_I8);
  if (floating)
    a = hli_builder_cast(b, a, hli_builder_compute_dtype(d));
  hl_value r = a ? hli_builder_op(b, &(hli_op_desc){.code = code, .operands = &a, .operand_count = 1}, 0) : HL_POISON;
  return floating && hli_dtype_is_narrow(d) ? hli_builder_cast(b, r, d) : r;
}

hl_value(hl_binary)(hl_builder *b, hl_binary_op op, hl_value a, hl_value c) {
  if (!b || !hli_builder_ok(b, a) || !hli_builder_ok(b, c))
    return HL_POISON;
  if ((unsigned)op >= HL_BINARY_COUNT)
    return hli_builder_complain(b, "unknown binary operation %d", (int)op);
  hli_opcode code = (hli_opcode)binary_codes[op];
  const char *text = hli_op_facts(code)->text;
  hl_value v[2] = {a, c};
  if (!hli_builder_is_value(b, a, text) || !hli_builder_is_value(b, c, text))
    return HL_POISON;
  hl_dtype d = promote(b, v, 2), work = d;
  if (!d)
    return HL_POISON;
  const bool weak = hli_builder_is_literal(b, a) && hli_builder_is_literal(b, c);
  const uint8_t rule = hli_op_facts(code)->rule;
  if (rule == HLI_RULE_FLOAT)
    work = hli_builder_compute_dtype(d);
  if (d == HL_BOOL && rule == HLI_RULE_SAME && !(code = of_bools(code)))
    return hli_builder_complain(b, "%s: of two bools: use and, or, xor, or cast one of them to a number", text);
  if (!hli_builder_unify(b, v, 2, work))
    return HL_POISON;
  hl_value r = hli_builder_op(b, &(hli_op_desc){.code = code, .operands = v, .operand_count = 2}, 0);
  if (rule == HLI_RULE_FLOAT && hli_dtype_is_narrow(d))
    r = hli_builder_cast(b, r, d);
  return weak ? weak_result(b, code, a, c, r) : r;
}

hl_value(hl_fma)(hl_builder *b, hl_value a, hl_value c, hl_value d) {
  hl_value v[3] = {a, c, d};
  for (uint32_t i = 0; i < 3; i++)
    if (!b || !hli_builder_is_value(b, v[i], "fma"))
      return HL_POISON;
  hl_dtype t = promote(b, v, 3);
  if (!t || !hli_builder_unify(b, v, 3, hli_builder_compute_dtype(t)))
    return HL_POISON;
  hl_value r = hli_builder_op(b, &(hli_op_desc){.code = HLI_OP_FMA, .operands = v, .operand_count = 3}, 0);
  return hli_dtype_is_narrow(t) ? hli_builder_cast(b, r, t) : r;
}

/* v as bool: v != 0. */
hl_value hli_builder_truth(hl_builder *b, hl_value v) {
  if (!hli_builder_is_value(b, v, "condition"))
    return HL_POISON;
  if (hli_dtype_of(b->k, v) == HL_BOOL)
    return v;
  return (hl_binary)(b, HL_NE, v, (hl_const_i)(b, 0));
}

hl_value(hl_where)(hl_builder *b, hl_value cond, hl_value a, hl_value c) {
  hl_value v[3] = {cond, a, c};
  hli_axis axes[HL_MAX_RANK];
  uint32_t rank;
  for (uint32_t i = 0; i < 3; i++)
    if (!b || !hli_builder_is_value(b, v[i], "where"))
      return HL_POISON;
  hl_dtype d = promote(b, v + 1, 2);
  v[0] = d ? hli_builder_truth(b, v[0]) : HL_POISON;
  if (!v[0] || !joint_shape(b, v, 3, axes, &rank))
    return HL_POISON;
  v[0] = hli_builder_fit(b, v[0], hli_type_value(b->k, HL_BOOL, axes, rank));
  for (uint32_t i = 1; i < 3 && v[i - 1]; i++)
    v[i] = hli_builder_fit(b, v[i], hli_type_value(b->k, d, axes, rank));
  return v[2] ? hli_builder_op(b, &(hli_op_desc){.code = HLI_OP_WHERE, .operands = v, .operand_count = 3}, 0)
              : HL_POISON;
}

/* ---- dot ---- */

/* The operands of a dot in dtypes that it takes together: as they are, or promoted. */
static bool dot_dtypes(hl_builder *b, hl_value *v) {
  const hl_dtype x = hli_dtype_of(b->k, v[0]), y = hli_dtype_of(b->k, v[1]);
  if (hli_dot_accumulator(x, y))
    return true;
  const hl_dtype d = category(x) == category(y) ? promote_pair(x, y) : HL_DTYPE_NONE;
  char s[HLI_TYPE_WORDS], t[HLI_TYPE_WORDS];
  if (!d || !hli_accumulator_dtype(d)) {
    (void)hli_builder_complain(b, "dot: no common dtype for %s and %s", type_words(b, v[0], s), type_words(b, v[1], t));
    return false;
  }
  return (v[0] = hli_builder_cast(b, v[0], d)) && (v[1] = hli_builder_cast(b, v[1], d));
}

/* A matrix that is to be multiplied with a batch of them belongs to each. */
static hl_value in_batch(hl_builder *b, hl_value v, hli_axis batch) {
  const hli_type_data t = *hli_type_of(b->k, v);
  if (t.rank == 3)
    return v;
  const hli_axis axes[3] = {batch, t.dims[0], t.dims[1]};
  return hli_builder_fit(b, v, hli_type_value(b->k, (hl_dtype)t.dtype, axes, 3));
}

hl_value(hl_dot_with)(hl_builder *b, hl_value a, hl_value c, hl_value acc, const hl_dot_options *options) {
  hl_dot_options o = HL_DOT_OPTIONS_INIT;
  hl_value v[3] = {a, c, acc};
  if (!b || !hli_builder_is_value(b, a, "dot") || !hli_builder_is_value(b, c, "dot") ||
      (acc != HL_POISON && !hli_builder_is_value(b, acc, "dot")))
    return HL_POISON;
  if (options && !hli_struct_take(&o, sizeof o, options))
    return hli_builder_complain(b, "dot: hl_dot_options.size is %zu: start from HL_DOT_OPTIONS_INIT", options->size);
  if ((unsigned)o.precision >= HL_PRECISION_COUNT)
    return hli_builder_complain(b, "dot: unknown precision %d", (int)o.precision);
  const uint32_t rank = HLI_MAX(hli_type_of(b->k, a)->rank, hli_type_of(b->k, c)->rank);
  char s[HLI_TYPE_WORDS], t[HLI_TYPE_WORDS];
  if (rank > 3 || hli_type_of(b->k, a)->rank < 2 || hli_type_of(b->k, c)->rank < 2)
    return hli_builder_complain(b, "dot: wants two values of rank 2, or of rank 3 with a batch, got %s and %s",
                                type_words(b, a, s), type_words(b, c, t));
  if (!dot_dtypes(b, v))
    return HL_POISON;
  for (uint32_t i = 0; i < 2 && rank == 3; i++)
    if (!(v[i] = in_batch(b, v[i], hli_type_of(b->k, hli_type_of(b->k, a)->rank == 3 ? a : c)->dims[0])))
      return HL_POISON;
  const hli_type_data x = *hli_type_of(b->k, v[0]), y = *hli_type_of(b->k, v[1]);
  const hl_dtype d = hli_dot_accumulator((hl_dtype)x.dtype, (hl_dtype)y.dtype);
  hli_axis axes[3] = {x.dims[0], x.dims[1], y.dims[2]};
  if (rank == 2)
    axes[1] = y.dims[1];
  v[2] = acc == HL_POISON ? hli_builder_fit(b, (hl_const_i)(b, 0), hli_type_value(b->k, d, axes, rank))
                          : hli_builder_cast(b, acc, d);
  if (!v[2])
    return HL_POISON;
  const hl_dtype out = o.out_dtype != HL_DTYPE_NONE ? o.out_dtype : acc != HL_POISON ? hli_dtype_of(b->k, acc) : d;
  const int64_t precision = o.precision;
  const hl_value r = hli_builder_op(b,
                                    &(hli_op_desc){.code = HLI_OP_DOT,
                                                   .operands = v,
                                                   .operand_count = 3,
                                                   .attrs = &precision,
                                                   .attr_len = {precision != HL_DOT_IEEE}},
                                    0);
  return r ? hli_builder_cast(b, r, out) : HL_POISON;
}

hl_value(hl_dot_ex)(hl_builder *b, hl_value a, hl_value c, hl_value acc, hl_dtype out_dtype) {
  hl_dot_options o = HL_DOT_OPTIONS_INIT;
  o.out_dtype = out_dtype;
  return (hl_dot_with)(b, a, c, acc, &o);
}

hl_value(hl_dot)(hl_builder *b, hl_value a, hl_value c, hl_value acc) {
  return (hl_dot_ex)(b, a, c, acc, HL_DTYPE_NONE);
}

hl_value(hl_gather)(hl_builder *b, hl_value v, int32_t axis, hl_value index) {
  if (!hli_builder_is_value(b, v, "gather") || !hli_builder_is_value(b, index, "gather"))
    return HL_POISON;
  const char kind = hli_dtype_kind(hli_dtype_of(b->k, index));
  const int64_t at = axis + (axis < 0 ? (int64_t)hli_type_of(b->k, v)->rank : 0);
  if (kind != 'i' && kind != 'u')
    return hli_builder_complain(b, "gather: the index is %s: it must be of integers",
                                hl_dtype_text(hli_dtype_of(b->k, index)));
  const hl_value operands[2] = {v, hli_builder_cast(b, index, HL_I64)};
  return hli_builder_op(
      b, &(hli_op_desc){.code = HLI_OP_GATHER, .operands = operands, .operand_count = 2, .attrs = &at, .attr_len = {1}},
      0);
}

hl_value(hl_subscript)(hl_builder *b, hl_value v, const hl_value *index, uint32_t n) {
  uint32_t kept = 0;
  if (!hli_builder_is_value(b, v, "subscript"))
    return HL_POISON;
  const uint32_t rank = hli_type_of(b->k, v)->rank;
  for (uint32_t i = 0; index && i < n; i++) {
    kept += index[i] == HL_ALL;
    if (index[i] != HL_ALL && index[i] != HL_NEW)
      return hli_builder_complain(
          b, "subscript: a value in a kernel takes HL_ALL and HL_NEW; use hl_gather along an axis");
  }
  if (!index || kept != rank)
    return hli_builder_complain(b, "subscript: %u times HL_ALL for a value of rank %u", kept, rank);
  for (uint32_t i = 0; i < n && v; i++)
    if (index[i] == HL_NEW)
      v = (hl_unsqueeze)(b, v, i);
  return v;
}

hl_value hl_name(hl_builder *b, hl_value v, const char *name) {
  if (hli_builder_ok(b, v) && name)
    hli_value_set_name(b->k, v, name);
  return v;
}
