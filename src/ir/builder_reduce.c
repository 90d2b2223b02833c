/* builder_reduce.c: the builder's reductions and scans: single ones with a known operation, regions that combine
 * tuples of values, and what is built from both: means, variances, norms, logsumexp, positions of extrema. */
#include <math.h>
#include "src/ir/builder.h"

/* ---- axes ---- */

/* Ascending non-negative axes; false after a complaint. */
static bool normal_axes(hl_builder *b, const char *what, hl_value v, const int32_t *axes, uint32_t n, uint32_t *bits) {
  const int32_t rank = hli_type_of(b->k, v)->rank;
  *bits = 0;
  if (!axes || n == 0)
    return hli_builder_complain(b, "%s: names no axis", what), false;
  for (uint32_t i = 0; i < n; i++) {
    const int32_t a = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (a < 0 || a >= rank)
      return hli_builder_complain(b, "%s: axis %d is out of range for rank %d", what, axes[i], rank), false;
    if (*bits & (1u << a))
      return hli_builder_complain(b, "%s: axis %d is named twice", what, axes[i]), false;
    *bits |= 1u << a;
  }
  return true;
}

/* The reduced axes come back with size 1. */
static hl_value keep_axes(hl_builder *b, hl_value r, const hli_type_data *before, uint32_t bits) {
  hli_type_data t = *before;
  int64_t dims[HL_MAX_RANK];
  uint32_t n = 0;
  t.dtype = (uint8_t)hli_dtype_of(b->k, r);
  for (uint32_t d = 0; d < t.rank; d++) {
    if (bits & (1u << d))
      t.dims[d] = hli_axis_const(b->k, 1);
    else
      dims[n++] = d;
  }
  hli_value k = hli_make_broadcast(&b->at, r, hli_type_intern(b->k, &t), dims);
  return k ? k : hli_builder_no_memory(b);
}

/* The opposite: drops axes that were kept. */
static hl_value drop_axes(hl_builder *b, hl_value r, uint32_t bits) {
  int64_t ints[HL_MAX_RANK];
  uint32_t n = 0;
  for (uint32_t d = 0; d < HL_MAX_RANK; d++)
    if (bits >> d & 1)
      ints[n++] = d;
  return hli_builder_op(
      b, &(hli_op_desc){.code = HLI_OP_SQUEEZE, .operands = &r, .operand_count = 1, .attrs = ints, .attr_len = {n}}, 0);
}

/* The dtype a reduction works in: f32 for f16 and bf16, i64 for sums of integers. */
static hl_dtype reduce_dtype(hl_reduce_op op, hl_dtype d) {
  const bool sums = op == HL_REDUCE_SUM || op == HL_REDUCE_PROD;
  const char kind = hli_dtype_kind(d);
  if (kind == 'f')
    return hli_builder_compute_dtype(d);
  if (sums)
    return d == HL_U64 ? HL_U64 : HL_I64;
  return d;
}

static hl_value reduce_in(hl_builder *b, hl_reduce_op op, hl_value v, uint32_t bits, bool keep, hl_dtype work) {
  int64_t ints[1 + HL_MAX_RANK] = {(int64_t)op};
  const hli_type_data before = *hli_type_of(b->k, v);
  uint32_t n = 0;
  for (uint32_t d = 0; d < before.rank; d++)
    if (bits & (1u << d))
      ints[1 + n++] = d;
  v = op == HL_REDUCE_ANY || op == HL_REDUCE_ALL ? hli_builder_truth(b, v) : hli_builder_cast(b, v, work);
  if (!v)
    return HL_POISON;
  hl_value r = hli_builder_op(
      b, &(hli_op_desc){.code = HLI_OP_REDUCE, .operands = &v, .operand_count = 1, .attrs = ints, .attr_len = {1, n}},
      0);
  return r && keep ? keep_axes(b, r, &before, bits) : r;
}

/* The greatest and the least of truth values are truth values. */
static hl_reduce_op of_bools(hl_reduce_op op, hl_dtype d) {
  if (d != HL_BOOL)
    return op;
  return op == HL_REDUCE_MAX ? HL_REDUCE_ANY : op == HL_REDUCE_MIN ? HL_REDUCE_ALL : op;
}

hl_value(hl_reduce)(hl_builder *b, hl_reduce_op op, hl_value v, const int32_t *axes, uint32_t n, bool keep) {
  uint32_t bits;
  if (!b || !hli_builder_is_value(b, v, "reduce"))
    return HL_POISON;
  if ((unsigned)op >= HL_REDUCE_COUNT)
    return hli_builder_complain(b, "unknown reduction %d", (int)op);
  if (!normal_axes(b, "reduce", v, axes, n, &bits))
    return HL_POISON;
  const hl_dtype d = hli_dtype_of(b->k, v);
  op = of_bools(op, d);
  hl_value r = reduce_in(b, op, v, bits, keep, reduce_dtype(op, d));
  return r && hli_dtype_is_narrow(d) && op != HL_REDUCE_ANY && op != HL_REDUCE_ALL ? hli_builder_cast(b, r, d)
                                                                                          : r;
}

/* The tile of this axis among the open loops; 0: none. */
static hli_value open_tile(const hl_builder *b, hli_axis axis) {
  for (uint32_t i = 0; i < b->loops.len; i++) {
    const hli_block body = hli_op_get(b->k, b->loops.data[i].op)->region;
    for (uint32_t j = 0; j < b->k->blocks.data[body].args.len; j++) {
      const hli_value t = hli_block_arg(b->k, body, j);
      if (hli_type_of(b->k, t)->kind == HLI_TYPE_TILE && hli_type_of(b->k, t)->dims[0] == axis)
        return t;
    }
  }
  return 0;
}

/* The number of valid elements along an axis, as an i64 scalar. */
static hl_value axis_count(hl_builder *b, hli_axis axis) {
  const hli_axis_data *x = &b->k->axes.data[axis];
  if (x->kind == HLI_AXIS_CONST)
    return (hl_const_i)(b, x->block);
  for (uint32_t p = 0; p < b->k->params.len && x->kind == HLI_AXIS_FULL; p++) {
    const hli_value v = b->k->params.data[p].value;
    const hli_type_data *t = hli_type_of(b->k, v);
    for (uint32_t d = 0; t->kind == HLI_TYPE_TENSOR && d < t->rank; d++)
      if (t->dims[d] == x->dim)
        return (hl_size)(b, v, d);
  }
  const hli_value t = open_tile(b, axis); /* its valid lanes */
  if (t)
    return (hl_binary)(b, HL_SUB, (hl_tile_last)(b, t), (hl_tile_first)(b, t));
  return hli_builder_complain(b, "mean: the axis $%s does not belong to an open loop", x->name);
}

/* The number of valid elements that are reduced, in dtype `work`. */
static hl_value count_of(hl_builder *b, hl_value v, uint32_t bits, hl_dtype work) {
  const hli_type_data t = *hli_type_of(b->k, v);
  hl_value count = HL_POISON;
  for (uint32_t d = 0; d < t.rank; d++) {
    if (!(bits & (1u << d)))
      continue;
    hl_value c = axis_count(b, t.dims[d]);
    count = count ? (hl_binary)(b, HL_MUL, count, c) : c;
    if (!count)
      return HL_POISON;
  }
  return hli_builder_cast(b, count, work);
}

/* Is v a floating value, and what are its axes? */
static bool floating_axes(hl_builder *b, const char *what, hl_value v, const int32_t *axes, uint32_t n,
                          uint32_t *bits) {
  if (!b || !hli_builder_is_value(b, v, what) || !normal_axes(b, what, v, axes, n, bits))
    return false;
  const hl_dtype d = hli_dtype_of(b->k, v);
  if (hli_dtype_kind(d) == 'f')
    return true;
  hli_builder_complain(b, "%s: wants a floating dtype, not %s; cast it", what, hl_dtype_text(d));
  return false;
}

hl_value(hl_mean)(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, bool keep) {
  uint32_t bits;
  if (!floating_axes(b, "mean", v, axes, n, &bits))
    return HL_POISON;
  const hl_dtype d = hli_dtype_of(b->k, v), work = hli_builder_compute_dtype(d);
  hl_value count = count_of(b, v, bits, work);
  hl_value sum = count ? reduce_in(b, HL_REDUCE_SUM, v, bits, keep, work) : HL_POISON;
  hl_value mean = (hl_binary)(b, HL_DIV, sum, count);
  return mean ? hli_builder_cast(b, mean, d) : HL_POISON;
}

/* ---- what is built from them ---- */

/* Two passes, so that nothing cancels: the mean, then the squares of the distances from it. */
void(hl_var_mean)(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, double correction, bool keep,
                  hl_value *var, hl_value *mean) {
  uint32_t bits;
  *var = *mean = HL_POISON;
  if (!floating_axes(b, "var", v, axes, n, &bits))
    return;
  const hl_dtype d = hli_dtype_of(b->k, v), work = hli_builder_compute_dtype(d);
  const hli_type_data shape = *hli_type_of(b->k, v);
  hl_value x = hli_builder_cast(b, v, work), count = count_of(b, v, bits, work);
  hl_value m = (hl_binary)(b, HL_DIV, reduce_in(b, HL_REDUCE_SUM, x, bits, false, work), count);
  hl_value far = (hl_binary)(b, HL_SUB, x, m ? keep_axes(b, m, &shape, bits) : HL_POISON);
  hl_value sum = far ? reduce_in(b, HL_REDUCE_SUM, (hl_binary)(b, HL_MUL, far, far), bits, false, work) : HL_POISON;
  hl_value free =
      (hl_binary)(b, HL_MAX, (hl_binary)(b, HL_SUB, count, (hl_const_f)(b, correction)), (hl_const_f)(b, 0));
  hl_value s = (hl_binary)(b, HL_DIV, sum, free);
  if (!s)
    return;
  *var = hli_builder_cast(b, keep ? keep_axes(b, s, &shape, bits) : s, d);
  *mean = hli_builder_cast(b, keep ? keep_axes(b, m, &shape, bits) : m, d);
}

hl_value(hl_var)(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, double correction, bool keep) {
  hl_value var, mean;
  (hl_var_mean)(b, v, axes, n, correction, keep, &var, &mean);
  return var;
}

hl_value(hl_std)(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, double correction, bool keep) {
  if (!b || !hli_builder_is_value(b, v, "std"))
    return HL_POISON;
  const hl_dtype d = hli_dtype_of(b->k, v);
  hl_value x = hli_dtype_kind(d) == 'f' ? hli_builder_cast(b, v, hli_builder_compute_dtype(d)) : v;
  hl_value s = (hl_var)(b, x, axes, n, correction, keep);
  return s ? hli_builder_cast(b, (hl_unary)(b, HL_SQRT, s), d) : HL_POISON;
}

/* log(sum(exp(x))) about the largest element; where that is infinite (or nothing is there) about 0. */
hl_value(hl_logsumexp)(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, bool keep) {
  uint32_t bits;
  if (!floating_axes(b, "logsumexp", v, axes, n, &bits))
    return HL_POISON;
  const hl_dtype d = hli_dtype_of(b->k, v), work = hli_builder_compute_dtype(d);
  hl_value x = hli_builder_cast(b, v, work), zero = (hl_const_f)(b, 0);
  hl_value top = reduce_in(b, HL_REDUCE_MAX, x, bits, true, work);
  top = (hl_where)(b, (hl_unary)(b, HL_ISINF, top), zero, top);
  hl_value e = (hl_unary)(b, HL_EXP, (hl_binary)(b, HL_SUB, x, top));
  hl_value sum = e ? reduce_in(b, HL_REDUCE_SUM, e, bits, true, work) : HL_POISON;
  hl_value r = (hl_binary)(b, HL_ADD, (hl_unary)(b, HL_LOG, sum), top);
  if (!r)
    return HL_POISON;
  if (!keep)
    r = drop_axes(b, r, bits);
  return hli_builder_cast(b, r, d);
}

hl_value(hl_norm)(hl_builder *b, hl_value v, double p, const int32_t *axes, uint32_t n, bool keep) {
  uint32_t bits;
  if (!floating_axes(b, "norm", v, axes, n, &bits))
    return HL_POISON;
  if (isnan(p))
    return hli_builder_complain(b, "norm: the order is NaN");
  const hl_dtype d = hli_dtype_of(b->k, v), work = hli_builder_compute_dtype(d);
  hl_value x = hli_builder_cast(b, v, work), r;
  hl_value size = p == 2 ? HL_POISON : (hl_unary)(b, HL_ABS, x);
  if (isinf(p))
    r = reduce_in(b, p > 0 ? HL_REDUCE_MAX : HL_REDUCE_MIN, size, bits, keep, work);
  else if (p == 2)
    r = (hl_unary)(b, HL_SQRT, reduce_in(b, HL_REDUCE_SUM, (hl_binary)(b, HL_MUL, x, x), bits, keep, work));
  else if (p == 1)
    r = reduce_in(b, HL_REDUCE_SUM, size, bits, keep, work);
  else if (p == 0)
    r = reduce_in(b, HL_REDUCE_SUM, (hl_binary)(b, HL_NE, x, (hl_const_f)(b, 0)), bits, keep, work);
  else {
    r = reduce_in(b, HL_REDUCE_SUM, (hl_binary)(b, HL_POW, size, (hl_const_f)(b, p)), bits, keep, work);
    r = (hl_binary)(b, HL_POW, r, (hl_const_f)(b, 1 / p));
  }
  return r ? hli_builder_cast(b, r, d) : HL_POISON;
}

/* ---- regions ---- */

/* Opens the region of a fold or scan: its 2 n arguments go to left and right. */
static void open_combine(hl_builder *b, hli_op_desc *d, uint32_t keep, hl_value *left, hl_value *right) {
  hl_kernel *k = b->k;
  hli_type types[HLI_MAX_OPERANDS] = {0};
  hl_diag diag = {0};
  const uint32_t n = d->operand_count / 2;
  d->results = types;
  d->result_count = n;
  if (hli_infer(k, d, types, &diag) != HL_OK) {
    hli_builder_complain(b, "%s", diag.message);
    return;
  }
  hli_op op = hli_op_create(&b->at, d);
  hli_block body = op ? hli_block_create(k, op) : 0;
  for (uint32_t i = 0; i < 2 * n && body; i++)
    (i < n ? left : right)[i % n] =
        hli_block_add_arg(k, body, hli_type_scalar(k, hli_dtype_of(k, d->operands[i % n])), hli_str(""));
  const hli_loop loop = {.op = op, .carried = n, .outer = b->at, .keep = keep};
  if (!body || k->failed || !hli_vec_push(b->alloc, &b->loops, loop)) {
    hli_builder_no_memory(b);
    return;
  }
  b->at.block = body;
  b->at.before = 0;
}

/* Values of one shape and their identities; false after a complaint. */
static bool combine_operands(hl_builder *b, const char *what, const hl_value *values, const hl_value *identities,
                             uint32_t n, hl_value *left, hl_value *right, hli_value *out) {
  if (!b || b->diag.status != HL_OK)
    return false;
  for (uint32_t i = 0; left && right && i < n && i < HLI_FOLD_PARTS; i++)
    left[i] = right[i] = HL_POISON;
  if (!values || !identities || !left || !right || n < 1 || n > HLI_FOLD_PARTS) {
    hli_builder_complain(b, "%s: wants 1 to %d values, as many identities and room for both arguments of each", what,
                         HLI_FOLD_PARTS);
    return false;
  }
  if (b->loops.len >= HLI_MAX_NESTING) {
    hli_builder_complain(b, "loops are nested deeper than %d", HLI_MAX_NESTING);
    return false;
  }
  for (uint32_t i = 0; i < n; i++) {
    if (!hli_builder_is_value(b, values[i], what) || !hli_builder_is_value(b, identities[i], what))
      return false;
    out[i] = values[i];
    if (hli_builder_is_literal(b, values[i]) &&
        !(out[i] = hli_builder_cast(b, values[i], hli_dtype_of(b->k, values[i]))))
      return false;
  }
  if (!hli_builder_same_shape(b, out, n))
    return false;
  for (uint32_t i = 0; i < n; i++) {
    const hl_dtype d = hli_dtype_of(b->k, out[i]);
    out[n + i] = hli_builder_is_literal(b, identities[i]) ? hli_builder_cast(b, identities[i], d) : identities[i];
    if (!out[n + i])
      return false;
  }
  return true;
}

void(hl_reduce_begin)(hl_builder *b, const hl_value *values, const hl_value *identities, uint32_t n,
                      const int32_t *axes, uint32_t axis_count, bool keep, hl_value *left, hl_value *right) {
  hli_value operands[2 * HLI_FOLD_PARTS];
  int64_t ints[HL_MAX_RANK];
  uint32_t bits, m = 0;
  if (!combine_operands(b, "reduce", values, identities, n, left, right, operands) ||
      !normal_axes(b, "reduce", operands[0], axes, axis_count, &bits))
    return;
  for (uint32_t d = 0; d < HL_MAX_RANK; d++)
    if (bits >> d & 1)
      ints[m++] = d;
  hli_op_desc d = {.code = HLI_OP_FOLD, .operands = operands, .operand_count = 2 * n, .attrs = ints, .attr_len = {m}};
  open_combine(b, &d, keep ? bits : 0, left, right);
}

void(hl_scan_begin)(hl_builder *b, const hl_value *values, const hl_value *identities, uint32_t n, int32_t axis,
                    bool reverse, hl_value *left, hl_value *right) {
  hli_value operands[2 * HLI_FOLD_PARTS];
  uint32_t bits;
  if (!combine_operands(b, "scan", values, identities, n, left, right, operands) ||
      !normal_axes(b, "scan", operands[0], &axis, 1, &bits))
    return;
  const int64_t ints[2] = {(int64_t)hli_log2(bits), 1};
  hli_op_desc d = {.code = HLI_OP_SCAN,
                   .operands = operands,
                   .operand_count = 2 * n,
                   .attrs = ints,
                   .attr_len = {1, reverse ? 1 : 0}};
  open_combine(b, &d, 0, left, right);
}

/* What the region yields must have the dtypes of its arguments; literals take them. */
static bool check_combined(hl_builder *b, const hli_loop *loop, const char *what, const hl_value *combined,
                           hli_value *out) {
  char x[HLI_TYPE_WORDS], y[HLI_TYPE_WORDS];
  for (uint32_t i = 0; i < loop->carried; i++) {
    if (!hli_builder_is_value(b, combined[i], what))
      return false;
    const hli_type want = b->k->values.data[hli_operand(b->k, loop->op, loop->carried + i)].type;
    out[i] = hli_builder_is_literal(b, combined[i])
                 ? hli_builder_cast(b, combined[i], (hl_dtype)hli_type_get(b->k, want)->dtype)
                 : combined[i];
    if (!out[i])
      return false;
    const hli_type got = b->k->values.data[out[i]].type;
    if (got == want)
      continue;
    hli_builder_complain(b, "%s: combined value %u is %s, but its arguments are %s", what, i + 1,
                         hli_type_words(b->k, got, x), hli_type_words(b->k, want, y));
    return false;
  }
  return true;
}

static void close_combine(hl_builder *b, hli_opcode code, const char *what, const hl_value *combined,
                          hl_value *results) {
  hli_value next[HLI_FOLD_PARTS];
  if (!b || b->diag.status != HL_OK || !hli_builder_closes(b, code, combined, results))
    return;
  const hli_loop loop = b->loops.data[b->loops.len - 1];
  const bool fits = check_combined(b, &loop, what, combined, next);
  for (uint32_t i = 0; i < loop.carried; i++)
    results[i] = HL_POISON; /* may be the same array as combined */
  if (!fits)
    return;
  hli_make_yield(&b->at, next, loop.carried);
  b->at.block = loop.outer.block;
  b->at.before = loop.outer.before;
  b->loops.len--;
  const hli_type_data shape = *hli_type_of(b->k, hli_operand(b->k, loop.op, 0));
  for (uint32_t i = 0; i < loop.carried; i++) {
    const hli_value r = hli_result(b->k, loop.op, i);
    results[i] = loop.keep ? keep_axes(b, r, &shape, loop.keep) : r;
  }
}

void(hl_reduce_end)(hl_builder *b, const hl_value *combined, hl_value *results) {
  close_combine(b, HLI_OP_FOLD, "reduce", combined, results);
}

void(hl_scan_end)(hl_builder *b, const hl_value *combined, hl_value *results) {
  close_combine(b, HLI_OP_SCAN, "scan", combined, results);
}

/* ---- built with regions ---- */

hl_value(hl_scan)(hl_builder *b, hl_reduce_op op, hl_value v, int32_t axis, bool reverse) {
  if (!b || !hli_builder_is_value(b, v, "scan"))
    return HL_POISON;
  if ((unsigned)op >= HL_REDUCE_COUNT)
    return hli_builder_complain(b, "unknown reduction %d", (int)op);
  op = of_bools(op, hli_dtype_of(b->k, v));
  const hli_opcode code = hli_reduce_combine(op);
  const bool truth = op == HL_REDUCE_ANY || op == HL_REDUCE_ALL;
  const hl_dtype d = hli_dtype_of(b->k, v), work = truth ? HL_BOOL : reduce_dtype(op, d);
  hl_value x = truth ? hli_builder_truth(b, v) : hli_builder_cast(b, v, work);
  hl_value id = hli_make_identity(&b->at, work, (hli_identity)hli_op_facts(code)->identity), pair[2], r;
  (hl_scan_begin)(b, &x, &id, 1, axis, reverse, &pair[0], &pair[1]);
  if (b->diag.status != HL_OK)
    return HL_POISON;
  hl_value both = hli_builder_op(b, &(hli_op_desc){.code = code, .operands = pair, .operand_count = 2}, 0);
  (hl_scan_end)(b, &both, &r);
  return hli_dtype_is_narrow(d) && !truth ? hli_builder_cast(b, r, d) : r;
}

/* Positions 0, 1, ... along an axis: within the tile, or within the whole dimension. */
static hl_value positions(hl_builder *b, hli_axis axis) {
  if (b->k->axes.data[axis].kind == HLI_AXIS_TILE) {
    const hli_value t = open_tile(b, axis);
    if (!t)
      return hli_builder_complain(b, "the axis $%s does not belong to an open loop", b->k->axes.data[axis].name);
    return (hl_binary)(b, HL_SUB, (hl_tile_index)(b, t), (hl_tile_first)(b, t));
  }
  return hli_builder_op(b, &(hli_op_desc){.code = HLI_OP_LANE_INDEX}, hli_type_value(b->k, HL_I64, &axis, 1));
}

/* The position of every element among the reduced ones, row by row, in the shape of v. */
static hl_value flat_positions(hl_builder *b, hl_value v, uint32_t bits) {
  const hli_type_data t = *hli_type_of(b->k, v);
  const hli_type to = hli_type_value(b->k, HL_I64, t.dims, t.rank);
  hl_value at = HL_POISON;
  for (uint32_t d = 0; d < t.rank; d++) {
    int64_t dim = d;
    if (!(bits >> d & 1))
      continue;
    hl_value p = positions(b, t.dims[d]);
    if (!p || !(p = hli_make_broadcast(&b->at, p, to, &dim)))
      return HL_POISON;
    at = at ? (hl_binary)(b, HL_ADD, (hl_binary)(b, HL_MUL, at, axis_count(b, t.dims[d])), p) : p;
  }
  return at;
}

hl_value(hl_positions)(hl_builder *b, hl_value v, int32_t axis) {
  uint32_t bits;
  if (!b || !hli_builder_is_value(b, v, "positions") || !normal_axes(b, "positions", v, &axis, 1, &bits))
    return HL_POISON;
  return flat_positions(b, v, bits);
}

/* The least position among the elements that are the extremum: the first of equal ones wins.  An extremum is NaN where
 * there is one, and then the NaN are looked for. */
static hl_value arg_extremum(hl_builder *b, hl_reduce_op op, hl_value v, const int32_t *axes, uint32_t n, bool keep) {
  const char *what = op == HL_REDUCE_MAX ? "argmax" : "argmin";
  uint32_t bits;
  if (!b || !hli_builder_is_value(b, v, what) || !normal_axes(b, what, v, axes, n, &bits))
    return HL_POISON;
  const hl_dtype d = hli_dtype_of(b->k, v);
  const bool floating = hli_dtype_kind(d) == 'f';
  const hl_value x = hli_builder_cast(b, v, floating ? hli_builder_compute_dtype(d) : d == HL_BOOL ? HL_U8 : d);
  const hl_value at = x ? flat_positions(b, v, bits) : HL_POISON;
  const hl_value best = at ? (hl_reduce)(b, op, x, axes, n, true) : HL_POISON;
  hl_value here = best ? (hl_binary)(b, HL_EQ, x, best) : HL_POISON;
  if (floating && here)
    here = (hl_binary)(b, HL_OR, here, (hl_unary)(b, HL_ISNAN, x));
  const hl_value found = here ? (hl_where)(b, here, at, (hl_const_i)(b, INT64_MAX)) : HL_POISON;
  return found ? (hl_reduce)(b, HL_REDUCE_MIN, found, axes, n, keep) : HL_POISON;
}

hl_value(hl_argmax)(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, bool keep) {
  return arg_extremum(b, HL_REDUCE_MAX, v, axes, n, keep);
}

hl_value(hl_argmin)(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, bool keep) {
  return arg_extremum(b, HL_REDUCE_MIN, v, axes, n, keep);
}
