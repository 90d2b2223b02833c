/* infer.c: result types, one rule per HLI_RULE_*.  The builder and the verifier share these, so a
 * kernel that was built and one that was parsed meet the same complaints in the same words. */
#include "src/ir/infer.h"
#include "src/ir/ir.h"

static hl_status complain(const infer *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static hl_status complain(const infer *f, const char *fmt, ...) {
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  return hli_fail(f->diag, HL_ERR_BUILD, "%s: %s", hli_op_facts(f->d->code)->text, text);
}

const char *hli_type_words(hl_kernel *k, hli_type t, char buf[HLI_TYPE_WORDS]) {
  hli_strbuf sb;
  hli_sb_init(&sb, k->alloc);
  hli_print_type(k, t, &sb);
  snprintf(buf, HLI_TYPE_WORDS, "%s", sb.failed || !sb.data ? "?" : sb.data);
  hli_sb_free(&sb);
  return buf;
}

static const hli_type_data *operand(const infer *f, uint32_t i) {
  return hli_type_of(f->k, f->d->operands[i]);
}
static hli_type operand_type(const infer *f, uint32_t i) {
  return f->k->values.data[f->d->operands[i]].type;
}
static const char *words(const infer *f, uint32_t i, char *buf) {
  return hli_type_words(f->k, operand_type(f, i), buf);
}

static bool is_scalar_of(const hli_type_data *t, hl_dtype dtype) {
  return t->kind == HLI_TYPE_VALUE && t->rank == 0 && t->dtype == dtype;
}

/* ---- pointwise ---- */

static hl_status equal_operands(const infer *f, uint32_t from) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  for (uint32_t i = from; i < f->d->operand_count; i++) {
    if (operand(f, i)->kind != HLI_TYPE_VALUE)
      return complain(f, "operand %u is a %s, not a value (load it, or take tile_index)", i + 1, words(f, i, a));
    if (operand_type(f, i) != operand_type(f, from))
      return complain(f, "operands have different types, %s and %s", words(f, from, a), words(f, i, b));
  }
  return HL_OK;
}

static hl_status rule_same(infer *f) {
  hl_status s = equal_operands(f, 0);
  f->out[0] = operand_type(f, 0);
  if (s == HL_OK && hli_op_facts(f->d->code)->rule == HLI_RULE_SAME && operand(f, 0)->dtype == HL_BOOL)
    return complain(f, "needs numbers, not bool (cast it, or use and, or, xor, not)");
  return s;
}

static hl_status rule_float(infer *f) {
  hl_status s = rule_same(f);
  if (s != HL_OK)
    return s;
  if (f->d->code == HLI_OP_TF32 && operand(f, 0)->dtype != HL_F32)
    return complain(f, "needs f32, not %s", hl_dtype_text((hl_dtype)operand(f, 0)->dtype));
  if (hli_dtype_kind((hl_dtype)operand(f, 0)->dtype) != 'f')
    return complain(f, "needs a floating-point operand, not %s (cast it)",
                    hl_dtype_text((hl_dtype)operand(f, 0)->dtype));
  return HL_OK;
}

static hl_status rule_pred(infer *f) {
  hl_status s = equal_operands(f, 0);
  if (s == HL_OK)
    f->out[0] = hli_type_with_dtype(f->k, operand_type(f, 0), HL_BOOL);
  return s;
}

static hl_status rule_bits(infer *f) {
  hl_status s = rule_same(f);
  const bool shifts = f->d->code == HLI_OP_SHL || f->d->code == HLI_OP_SHR;
  if (s != HL_OK)
    return s;
  if (shifts && operand(f, 0)->dtype == HL_BOOL)
    return complain(f, "needs integers, not bool (cast it)");
  if (hli_dtype_kind((hl_dtype)operand(f, 0)->dtype) == 'f')
    return complain(f, "needs bool or integers, not %s", hl_dtype_text((hl_dtype)operand(f, 0)->dtype));
  if (f->d->code == HLI_OP_PHILOX && operand(f, 0)->dtype != HL_U64)
    return complain(f, "needs u64 operands, not %s", hl_dtype_text((hl_dtype)operand(f, 0)->dtype));
  return HL_OK;
}

static hl_status rule_where(infer *f) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  hl_status s = equal_operands(f, 1);
  if (s != HL_OK)
    return s;
  if (operand_type(f, 0) != hli_type_with_dtype(f->k, operand_type(f, 1), HL_BOOL))
    return complain(f, "the condition is %s, but the choices are %s: it must be bool of the same shape", words(f, 0, a),
                    words(f, 1, b));
  f->out[0] = operand_type(f, 1);
  return HL_OK;
}

static hl_status rule_cast(infer *f) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  if (operand(f, 0)->kind != HLI_TYPE_VALUE)
    return complain(f, "the operand is a %s, not a value", words(f, 0, a));
  const hl_dtype to = (hl_dtype)hli_type_get(f->k, f->given)->dtype;
  if (!f->given || to == HL_DTYPE_NONE || hli_type_with_dtype(f->k, operand_type(f, 0), to) != f->given)
    return complain(f, "%s cannot become %s: only the dtype may change", words(f, 0, a),
                    f->given ? hli_type_words(f->k, f->given, b) : "nothing");
  f->out[0] = f->given;
  return HL_OK;
}

static hl_status rule_bitcast(infer *f) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  hl_status s = rule_cast(f);
  if (s != HL_OK)
    return s;
  const hl_dtype from = (hl_dtype)operand(f, 0)->dtype, to = (hl_dtype)hli_type_get(f->k, f->given)->dtype;
  if (hl_dtype_size(from) != hl_dtype_size(to) || from == HL_BOOL || to == HL_BOOL)
    return complain(f, "%s cannot become %s: both must have the same number of bits, and neither may be bool",
                    words(f, 0, a), hli_type_words(f->k, f->given, b));
  return HL_OK;
}

static hl_status rule_const(infer *f) {
  const hli_type_data *t = hli_type_get(f->k, f->given);
  if (!f->given || t->kind != HLI_TYPE_VALUE || t->rank != 0)
    return complain(f, "the result must be a scalar");
  f->out[0] = f->given;
  return HL_OK;
}

/* ---- shape ---- */

static hl_status rule_broadcast(infer *f) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  const hli_type_data src = *operand(f, 0), dst = *hli_type_get(f->k, f->given);
  if (src.kind != HLI_TYPE_VALUE || dst.kind != HLI_TYPE_VALUE || src.dtype != dst.dtype)
    return complain(f, "%s cannot become %s", words(f, 0, a), hli_type_words(f->k, f->given, b));
  if (f->d->attr_len[0] != src.rank)
    return complain(f, "dims names %u dimensions, the operand %s has %u", f->d->attr_len[0], words(f, 0, a), src.rank);
  for (uint32_t i = 0; i < src.rank; i++) {
    const int64_t to = f->d->attrs[i];
    if (to < 0 || to >= dst.rank || (i && to <= f->d->attrs[i - 1]))
      return complain(f, "dims must ascend and lie below the result's rank %u", dst.rank);
    if (src.dims[i] != dst.dims[to] && !hli_axis_is_one(f->k, src.dims[i]))
      return complain(f, "dimension %u of %s does not fit dimension %u of %s", i, words(f, 0, a), (unsigned)to,
                      hli_type_words(f->k, f->given, b));
  }
  f->out[0] = f->given;
  return HL_OK;
}

static hl_status rule_transpose(infer *f) {
  char a[HLI_TYPE_WORDS];
  const hli_type_data src = *operand(f, 0);
  hli_type_data t = src;
  uint32_t seen = 0;
  if (src.kind != HLI_TYPE_VALUE || f->d->attr_len[0] != src.rank)
    return complain(f, "perm has %u entries for %s", f->d->attr_len[0], words(f, 0, a));
  for (uint32_t i = 0; i < src.rank; i++) {
    const int64_t p = f->d->attrs[i];
    if (p < 0 || p >= src.rank || (seen & (1u << p)))
      return complain(f, "perm is not a permutation of %u dimensions", src.rank);
    seen |= 1u << p;
    t.dims[i] = src.dims[p];
  }
  t.layout = f->given ? hli_type_get(f->k, f->given)->layout : 0;
  f->out[0] = hli_type_intern(f->k, &t);
  return HL_OK;
}

/* Axes in attribute `attr_at..`, each below rank, ascending and distinct; sets bits. */
static hl_status axis_set(const infer *f, uint32_t at, uint32_t n, uint32_t rank, uint32_t *bits) {
  *bits = 0;
  for (uint32_t i = 0; i < n; i++) {
    const int64_t x = f->d->attrs[at + i];
    if (x < 0 || x >= rank)
      return complain(f, "axis %lld is out of range for rank %u", (long long)x, rank);
    if (*bits >> x)
      return complain(f, "axes must be ascending and distinct");
    *bits |= 1u << x;
  }
  return n ? HL_OK : complain(f, "needs at least one axis");
}

static void drop_axes(hli_type_data *t, uint32_t bits) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < t->rank; i++)
    if (!(bits & (1u << i)))
      t->dims[n++] = t->dims[i];
  for (uint32_t i = n; i < t->rank; i++)
    t->dims[i] = 0;
  t->rank = (uint8_t)n;
}

static hl_status rule_reshape(infer *f) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  const hli_type_data src = *operand(f, 0), dst = *hli_type_get(f->k, f->given);
  if (src.kind != HLI_TYPE_VALUE || dst.kind != HLI_TYPE_VALUE || src.dtype != dst.dtype ||
      !hli_reshape_fits(f->k, &src, &dst))
    return complain(f, "%s cannot become %s: the same number of elements must lie between tiles, which stay as they are",
                    words(f, 0, a), hli_type_words(f->k, f->given, b));
  f->out[0] = f->given;
  return HL_OK;
}

static hl_status rule_squeeze(infer *f) {
  char a[HLI_TYPE_WORDS];
  hli_type_data t = *operand(f, 0);
  uint32_t bits;
  if (t.kind != HLI_TYPE_VALUE)
    return complain(f, "the operand is a %s, not a value", words(f, 0, a));
  hl_status s = axis_set(f, 0, f->d->attr_len[0], t.rank, &bits);
  if (s != HL_OK)
    return s;
  for (uint32_t i = 0; i < t.rank; i++)
    if ((bits & (1u << i)) && !hli_axis_is_one(f->k, t.dims[i]))
      return complain(f, "axis %u of %s does not have size 1", i, words(f, 0, a));
  drop_axes(&t, bits);
  t.layout = f->given ? hli_type_get(f->k, f->given)->layout : 0;
  f->out[0] = hli_type_intern(f->k, &t);
  return HL_OK;
}

static hl_status rule_reduce(infer *f) {
  char a[HLI_TYPE_WORDS];
  hli_type_data t = *operand(f, 0);
  uint32_t bits;
  if (t.kind != HLI_TYPE_VALUE)
    return complain(f, "the operand is a %s, not a value", words(f, 0, a));
  if (f->d->attrs[0] < 0 || f->d->attrs[0] >= HL_REDUCE_COUNT)
    return complain(f, "unknown reduction %lld", (long long)f->d->attrs[0]);
  const hl_reduce_op op = (hl_reduce_op)f->d->attrs[0];
  if ((op == HL_REDUCE_ANY || op == HL_REDUCE_ALL) != (t.dtype == HL_BOOL))
    return complain(f, "%s does not apply to %s (any and all want bool, the others numbers)", hli_reduce_text(op),
                    hl_dtype_text((hl_dtype)t.dtype));
  hl_status s = axis_set(f, 1, f->d->attr_len[1], t.rank, &bits);
  if (s != HL_OK)
    return s;
  drop_axes(&t, bits);
  t.layout = f->given && t.rank ? hli_type_get(f->k, f->given)->layout : 0;
  f->out[0] = hli_type_intern(f->k, &t);
  return HL_OK;
}

static hl_status rule_partial_reduce(infer *f) {
  char a[HLI_TYPE_WORDS];
  const hli_type_data src = *operand(f, 0), dst = *hli_type_get(f->k, f->given);
  const int64_t axis = f->d->attrs[1];
  if (src.kind != HLI_TYPE_VALUE || axis < 0 || axis >= src.rank || dst.kind != HLI_TYPE_VALUE ||
      dst.rank != src.rank || dst.dtype != src.dtype)
    return complain(f, "%s cannot be reduced along axis %lld to the given type", words(f, 0, a), (long long)axis);
  for (uint32_t i = 0; i < src.rank; i++)
    if (i == (uint32_t)axis ? f->k->axes.data[dst.dims[i]].kind != HLI_AXIS_CONST : dst.dims[i] != src.dims[i])
      return complain(f, "dimension %u of the result does not follow from %s", i, words(f, 0, a));
  f->out[0] = f->given;
  return HL_OK;
}

/* The 2 n operands of a fold or scan: n values of one shape, then their identities. */
static hl_status fold_operands(const infer *f, uint32_t *n) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  *n = f->d->operand_count / 2;
  if (f->d->operand_count % 2 || *n > HLI_FOLD_PARTS)
    return complain(f, "wants 1 to %d values and as many identities, got %u operands", HLI_FOLD_PARTS,
                    f->d->operand_count);
  for (uint32_t i = 0; i < *n; i++) {
    if (operand(f, i)->kind != HLI_TYPE_VALUE)
      return complain(f, "operand %u is a %s, not a value", i + 1, words(f, i, a));
    const hl_dtype dtype = (hl_dtype)operand(f, i)->dtype;
    if (operand_type(f, i) != hli_type_with_dtype(f->k, operand_type(f, 0), dtype))
      return complain(f, "values have different shapes, %s and %s", words(f, 0, a), words(f, i, b));
    if (!is_scalar_of(operand(f, *n + i), dtype))
      return complain(f, "the identity of %s must be a scalar of %s, not %s", words(f, i, a), hl_dtype_text(dtype),
                      words(f, *n + i, b));
  }
  return HL_OK;
}

static hl_status rule_fold(infer *f) {
  uint32_t n, bits;
  hl_status s = fold_operands(f, &n);
  if (s == HL_OK)
    s = axis_set(f, 0, f->d->attr_len[0], operand(f, 0)->rank, &bits);
  for (uint32_t i = 0; i < n && s == HL_OK; i++) {
    hli_type_data t = *operand(f, i);
    drop_axes(&t, bits);
    f->out[i] = hli_type_intern(f->k, &t);
  }
  return s;
}

static hl_status rule_scan(infer *f) {
  uint32_t n, bits;
  hl_status s = fold_operands(f, &n);
  if (s == HL_OK)
    s = axis_set(f, 0, 1, operand(f, 0)->rank, &bits);
  for (uint32_t i = 0; i < n && s == HL_OK; i++)
    f->out[i] = operand_type(f, i);
  return s;
}

/* a[m, k] . b[k, n], or one such product per index of a leading batch axis. */
static hl_status rule_dot(infer *f) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS], c[HLI_TYPE_WORDS];
  const hli_type_data x = *operand(f, 0), y = *operand(f, 1), z = *operand(f, 2);
  const bool values = x.kind == HLI_TYPE_VALUE && y.kind == HLI_TYPE_VALUE && z.kind == HLI_TYPE_VALUE;
  if (!values || x.rank < 2 || x.rank > 3 || y.rank != x.rank || z.rank != x.rank)
    return complain(f, "wants three values of rank 2, or of rank 3 with a batch, got %s, %s and %s", words(f, 0, a),
                    words(f, 1, b), words(f, 2, c));
  const uint32_t m = x.rank - 2, n = m + 1; /* positions */
  if (m && (x.dims[0] != y.dims[0] || x.dims[0] != z.dims[0]))
    return complain(f, "the batch axes of %s, %s and %s differ", words(f, 0, a), words(f, 1, b), words(f, 2, c));
  if (x.dims[n] != y.dims[m])
    return complain(f, "the inner axes of %s and %s differ", words(f, 0, a), words(f, 1, b));
  if (z.dims[m] != x.dims[m] || z.dims[n] != y.dims[n])
    return complain(f, "%s and %s do not add up to the accumulator %s", words(f, 0, a), words(f, 1, b), words(f, 2, c));
  if (!hli_dot_accumulator((hl_dtype)x.dtype, (hl_dtype)y.dtype))
    return complain(f, "operands have different dtypes, %s and %s", words(f, 0, a), words(f, 1, b));
  if (hli_dot_accumulator((hl_dtype)x.dtype, (hl_dtype)y.dtype) != z.dtype)
    return complain(f, "products of %s and %s accumulate in %s, not in %s", hl_dtype_text((hl_dtype)x.dtype),
                    hl_dtype_text((hl_dtype)y.dtype),
                    hl_dtype_text(hli_dot_accumulator((hl_dtype)x.dtype, (hl_dtype)y.dtype)), words(f, 2, c));
  if (f->d->attr_len[0] && f->d->attrs[0] != HL_DOT_IEEE && (x.dtype != HL_F32 || y.dtype != HL_F32))
    return complain(f, "the precision %s is one of f32 operands, not of %s and %s",
                    hli_precision_text((hl_precision)f->d->attrs[0]), words(f, 0, a), words(f, 1, b));
  f->out[0] = operand_type(f, 2);
  return HL_OK;
}

/* ---- groups ---- */

/* Lanes of a vector with a constant axis, 1 of a scalar, 0 of anything else. */
static int64_t lanes_of(const infer *f, uint32_t i) {
  const hli_type_data *t = operand(f, i);
  if (t->kind != HLI_TYPE_VALUE || t->rank > 1)
    return 0;
  return t->rank == 0 ? 1 : f->k->axes.data[t->dims[0]].kind == HLI_AXIS_CONST ? hli_axis_lanes(f->k, t->dims[0]) : 0;
}

static hl_status rule_group(infer *f) {
  char a[HLI_TYPE_WORDS];
  const uint32_t size = hl_dtype_size((hl_dtype)operand(f, 0)->dtype), n = f->d->operand_count;
  const int64_t lanes = lanes_of(f, 0), per = size == 1 || size == 2 ? 4 / size : 0;
  const hl_status s = equal_operands(f, 0);
  if (s != HL_OK)
    return s;
  if (!lanes || !per || (n > 1 && n != per) || (n == 1 && lanes % per))
    return complain(f, "%u operands of %s do not make whole groups of 4 bytes", n, words(f, 0, a));
  if (n > 1)
    f->out[0] = hli_type_with_dtype(f->k, operand_type(f, 0), HL_U32);
  else
    f->out[0] = lanes == per ? hli_type_scalar(f->k, HL_U32) : hli_type_vector(f->k, HL_U32, lanes / per);
  return HL_OK;
}

static hl_status rule_group_dot(infer *f) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS], c[HLI_TYPE_WORDS];
  const hl_dtype x = (hl_dtype)f->d->attrs[0], y = (hl_dtype)f->d->attrs[1];
  const bool floats = hli_dtype_kind(x) == 'f';
  const hli_type_data *acc = operand(f, 2);
  if (hl_dtype_size(x) != hl_dtype_size(y) || floats != (hli_dtype_kind(y) == 'f') || !hl_dtype_size(x) ||
      hl_dtype_size(x) > 2)
    return complain(f, "there are no groups of %s and %s", hl_dtype_text(x), hl_dtype_text(y));
  if (!lanes_of(f, 0) || operand(f, 0)->dtype != HL_U32 || operand_type(f, 0) != operand_type(f, 1))
    return complain(f, "wants two values of u32 of the same shape, got %s and %s", words(f, 0, a), words(f, 1, b));
  if (hli_type_with_dtype(f->k, operand_type(f, 2), HL_U32) != operand_type(f, 0) ||
      (floats ? acc->dtype != HL_F32 : acc->dtype != HL_I32 && acc->dtype != HL_U32))
    return complain(f, "products of %s and %s are not added to %s", hl_dtype_text(x), hl_dtype_text(y), words(f, 2, c));
  f->out[0] = operand_type(f, 2);
  return HL_OK;
}

static hl_status rule_transpose_lanes(infer *f) {
  char a[HLI_TYPE_WORDS];
  const hl_status s = equal_operands(f, 0);
  const uint32_t n = f->d->operand_count;
  if (s != HL_OK)
    return s;
  if (lanes_of(f, 0) != n || n & (n - 1))
    return complain(f, "wants as many operands as lanes, a power of two; got %u of %s", n, words(f, 0, a));
  for (uint32_t i = 0; i < n; i++)
    f->out[i] = operand_type(f, i);
  return HL_OK;
}

/* ---- sizes and tiles ---- */

static hl_status rule_size(infer *f) {
  char a[HLI_TYPE_WORDS];
  const hli_type_data *t = operand(f, 0);
  if (t->kind != HLI_TYPE_TENSOR)
    return complain(f, "wants a tensor, not %s", words(f, 0, a));
  if (f->d->attrs[0] < 0 || f->d->attrs[0] >= t->rank)
    return complain(f, "dimension %lld is out of range for %s", (long long)f->d->attrs[0], words(f, 0, a));
  f->out[0] = hli_type_scalar(f->k, HL_I64);
  return HL_OK;
}

static hl_status rule_index(infer *f) {
  char a[HLI_TYPE_WORDS];
  if (f->d->operand_count && operand(f, 0)->kind != HLI_TYPE_TILE)
    return complain(f, "wants a tile, not %s", words(f, 0, a));
  f->out[0] = hli_type_scalar(f->k, HL_I64);
  return HL_OK;
}

static hl_status rule_tunable(infer *f) {
  const int64_t i = f->d->attrs[0];
  if (i < 0 || i >= f->k->tunables.len)
    return complain(f, "unknown tunable %lld", (long long)i);
  f->out[0] = hli_type_scalar(f->k, f->k->tunables.data[i].kind == HLI_TUNABLE_BOOL ? HL_BOOL : HL_I64);
  return HL_OK;
}

static hl_status want_i64(const infer *f, uint32_t from, uint32_t to) {
  char a[HLI_TYPE_WORDS];
  for (uint32_t i = from; i < to; i++)
    if (!is_scalar_of(operand(f, i), HL_I64))
      return complain(f, "operand %u must be an i64 scalar, not %s", i + 1, words(f, i, a));
  return HL_OK;
}

static hl_status rule_range(infer *f) {
  const int64_t axis = f->d->attrs[0];
  if (axis <= 0 || axis >= f->k->axes.len)
    return complain(f, "unknown axis %lld", (long long)axis);
  f->out[0] = hli_type_tile(f->k, (hli_axis)axis);
  return want_i64(f, 0, 2);
}

static hl_status tile_vector(infer *f, hl_dtype dtype) {
  char a[HLI_TYPE_WORDS];
  const hli_type_data *t = operand(f, 0);
  if (t->kind != HLI_TYPE_TILE)
    return complain(f, "wants a tile, not %s", words(f, 0, a));
  hli_axis axis = t->dims[0];
  hli_type r = hli_type_value(f->k, dtype, &axis, 1);
  f->out[0] = f->given ? hli_type_with_layout(f->k, r, hli_type_get(f->k, f->given)->layout) : r;
  return HL_OK;
}

static hl_status rule_tile_index(infer *f) {
  return tile_vector(f, HL_I64);
}
static hl_status rule_in_bounds(infer *f) {
  return tile_vector(f, HL_BOOL);
}

static hl_status rule_given_vector(infer *f, hl_dtype dtype) {
  const hli_type_data *t = hli_type_get(f->k, f->given);
  if (!f->given || t->kind != HLI_TYPE_VALUE || t->rank != 1 || t->dtype != dtype ||
      f->k->axes.data[t->dims[0]].kind != HLI_AXIS_CONST)
    return complain(f, "the result must be a vector of %s with a constant number of lanes", hl_dtype_text(dtype));
  f->out[0] = f->given;
  return want_i64(f, 0, 1);
}

static hl_status rule_lane_mask(infer *f) {
  return rule_given_vector(f, HL_BOOL);
}
static hl_status rule_iota(infer *f) {
  return rule_given_vector(f, HL_I64);
}

static hl_status rule_lane_index(infer *f) {
  const hli_type_data *t = hli_type_get(f->k, f->given);
  if (!f->given || t->kind != HLI_TYPE_VALUE || t->rank != 1 || t->dtype != HL_I64)
    return complain(f, "the result must be an i64 value along one axis");
  f->out[0] = f->given;
  return HL_OK;
}

/* Lanes of a vector with a constant number of them; 1 for a scalar, 0 for anything else. */
static int64_t vector_lanes(const infer *f, const hli_type_data *t) {
  if (t->kind != HLI_TYPE_VALUE || t->rank > 1)
    return 0;
  return t->rank == 0 ? 1 : f->k->axes.data[t->dims[0]].kind == HLI_AXIS_CONST ? f->k->axes.data[t->dims[0]].block : 0;
}

static hl_status rule_window(infer *f) {
  char a[HLI_TYPE_WORDS];
  const int64_t n = vector_lanes(f, operand(f, 0)), want = f->given ? vector_lanes(f, hli_type_get(f->k, f->given)) : 0;
  const int64_t all = n * f->d->operand_count, start = f->d->attrs[0];
  if (!n || !want || operand(f, 0)->dtype != hli_type_get(f->k, f->given)->dtype)
    return complain(f, "wants vectors of one dtype and a vector or scalar of it as result");
  hl_status s = equal_operands(f, 0);
  if (s != HL_OK)
    return s;
  if (start < 0 || want > all || start > all - want)
    return complain(f, "%lld lanes from lane %lld on do not lie within %u times %s", (long long)want, (long long)start,
                    f->d->operand_count, words(f, 0, a));
  f->out[0] = f->given;
  return HL_OK;
}

static hl_status rule_buffer(infer *f) {
  if (!f->given || hli_type_get(f->k, f->given)->kind != HLI_TYPE_BUFFER)
    return complain(f, "the result must be a buffer");
  f->out[0] = f->given;
  return HL_OK;
}

static hl_status rule_nothing(infer *f) {
  (void)f;
  return HL_OK;
}

/* ---- LANE ---- */

static hl_status rule_convert(infer *f) {
  char a[HLI_TYPE_WORDS];
  if (!f->given || hli_type_with_layout(f->k, f->given, 0) != hli_type_with_layout(f->k, operand_type(f, 0), 0))
    return complain(f, "only the layout of %s may change", words(f, 0, a));
  f->out[0] = f->given;
  return HL_OK;
}

/* Does a value's shape fit a buffer's, dimension perm[i] of the buffer being dimension i of the value? */
static bool fits_buffer(const infer *f, const hli_type_data *v, const hli_type_data *buf, const int64_t *perm,
                        uint32_t n) {
  if (v->kind != HLI_TYPE_VALUE || buf->kind != HLI_TYPE_BUFFER || v->rank != buf->rank || v->dtype != buf->dtype)
    return false;
  for (uint32_t i = 0; i < v->rank; i++) {
    const uint32_t d = n ? (uint32_t)perm[i] : i;
    if (d >= buf->rank || hli_axis_lanes(f->k, v->dims[i]) != hli_axis_lanes(f->k, buf->dims[d]))
      return false;
  }
  return true;
}

static hl_status rule_shared_store(infer *f) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  if (!fits_buffer(f, operand(f, 2), operand(f, 0), NULL, 0))
    return complain(f, "%s does not fit %s", words(f, 2, a), words(f, 0, b));
  return want_i64(f, 1, 2);
}

static hl_status rule_shared_load(infer *f) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  if (!f->given || !fits_buffer(f, hli_type_get(f->k, f->given), operand(f, 0), f->d->attrs, f->d->attr_len[0]))
    return complain(f, "%s cannot be read from %s", f->given ? hli_type_words(f->k, f->given, a) : "nothing",
                    words(f, 0, b));
  f->out[0] = f->given;
  return want_i64(f, 1, 2);
}

/* ---- control ---- */

static hl_status carried_types(infer *f, uint32_t from) {
  char a[HLI_TYPE_WORDS];
  for (uint32_t i = from; i < f->d->operand_count; i++) {
    if (operand(f, i)->kind != HLI_TYPE_VALUE)
      return complain(f, "carried value %u is a %s, not a value", i - from + 1, words(f, i, a));
    f->out[i - from] = operand_type(f, i);
  }
  return HL_OK;
}

static hl_status rule_tile(infer *f) {
  const uint32_t n = f->d->attr_len[0];
  if (n == 0 || n > HL_MAX_RANK || f->d->operand_count < 2 * n)
    return complain(f, "wants a begin and an end for each of %u axes", n);
  for (uint32_t i = 0; i < n; i++)
    if (f->d->attrs[i] <= 0 || f->d->attrs[i] >= f->k->axes.len)
      return complain(f, "unknown axis");
  hl_status s = want_i64(f, 0, 2 * n);
  return s == HL_OK ? carried_types(f, 2 * n) : s;
}

static hl_status rule_for(infer *f) {
  hl_status s = want_i64(f, 0, 3);
  return s == HL_OK ? carried_types(f, 3) : s;
}

static hl_status rule_if(infer *f) {
  char a[HLI_TYPE_WORDS];
  if (!is_scalar_of(operand(f, 0), HL_BOOL))
    return complain(f, "the condition must be a bool scalar, not %s (of tile values choose elements with where)",
                    words(f, 0, a));
  return carried_types(f, 1);
}

typedef hl_status (*rule_fn)(infer *);
static const rule_fn rules[] = {
    [HLI_RULE_SAME] = rule_same,
    [HLI_RULE_FLOAT] = rule_float,
    [HLI_RULE_PRED] = rule_pred,
    [HLI_RULE_BITS] = rule_bits,
    [HLI_RULE_WHERE] = rule_where,
    [HLI_RULE_CAST] = rule_cast,
    [HLI_RULE_BITCAST] = rule_bitcast,
    [HLI_RULE_CONST] = rule_const,
    [HLI_RULE_BROADCAST] = rule_broadcast,
    [HLI_RULE_TRANSPOSE] = rule_transpose,
    [HLI_RULE_SQUEEZE] = rule_squeeze,
    [HLI_RULE_RESHAPE] = rule_reshape,
    [HLI_RULE_SIZE] = rule_size,
    [HLI_RULE_INDEX] = rule_index,
    [HLI_RULE_TUNABLE] = rule_tunable,
    [HLI_RULE_RANGE] = rule_range,
    [HLI_RULE_TILE_INDEX] = rule_tile_index,
    [HLI_RULE_IN_BOUNDS] = rule_in_bounds,
    [HLI_RULE_LOAD] = hli_infer_access,
    [HLI_RULE_STORE] = hli_infer_access,
    [HLI_RULE_GATHER] = hli_infer_gather,
    [HLI_RULE_ATOMIC] = hli_infer_access,
    [HLI_RULE_REDUCE] = rule_reduce,
    [HLI_RULE_FOLD] = rule_fold,
    [HLI_RULE_SCAN] = rule_scan,
    [HLI_RULE_LANE_INDEX] = rule_lane_index,
    [HLI_RULE_WINDOW] = rule_window,
    [HLI_RULE_DOT] = rule_dot,
    [HLI_RULE_TILE] = rule_tile,
    [HLI_RULE_FOR] = rule_for,
    [HLI_RULE_IF] = rule_if,
    [HLI_RULE_YIELD] = rule_nothing,
    [HLI_RULE_BUFFER] = rule_buffer,
    [HLI_RULE_LANE_MASK] = rule_lane_mask,
    [HLI_RULE_IOTA] = rule_iota,
    [HLI_RULE_NOTHING] = rule_nothing,
    [HLI_RULE_CONVERT] = rule_convert,
    [HLI_RULE_PARTIAL_REDUCE] = rule_partial_reduce,
    [HLI_RULE_SHARED] = rule_buffer,
    [HLI_RULE_SHARED_STORE] = rule_shared_store,
    [HLI_RULE_SHARED_LOAD] = rule_shared_load,
    [HLI_RULE_ASYNC_COPY] = hli_infer_access,
    [HLI_RULE_GROUP] = rule_group,
    [HLI_RULE_GROUP_DOT] = rule_group_dot,
    [HLI_RULE_TRANSPOSE_LANES] = rule_transpose_lanes,
};

/* Required attributes are present (optional ones may be empty). */
static hl_status check_attrs(const infer *f) {
  hli_attr_info a;
  for (uint32_t i = 0; hli_attr_spec(f->d->code, i, &a); i++) {
    const bool one = strchr("ibdcaryp", a.kind) != NULL;
    if (one && !(a.optional && f->d->attr_len[i] == 0) && f->d->attr_len[i] != 1)
      return complain(f, "attribute %.*s wants one value", (int)a.name.len, a.name.ptr);
  }
  return HL_OK;
}

hl_status hli_infer(hl_kernel *k, const hli_op_desc *d, hli_type *results, hl_diag *diag) {
  const hli_op_info *facts = hli_op_facts(d->code);
  infer f = {.k = k, .d = d, .diag = diag, .given = results && d->result_count ? results[0] : 0};
  if (d->operand_count < facts->in_min || (facts->in_max != HLI_VAR && d->operand_count > facts->in_max) ||
      d->operand_count > HLI_MAX_OPERANDS)
    return complain(&f, "wants %u operands, got %u", facts->in_min, d->operand_count);
  for (uint32_t i = 0; i < d->operand_count; i++)
    if (!d->operands[i] || d->operands[i] >= k->values.len)
      return complain(&f, "operand %u is missing", i + 1);
  hl_status s = check_attrs(&f);
  if (s == HL_OK)
    s = rules[facts->rule](&f);
  if (k->failed)
    return hli_fail_memory(diag, "inferring types");
  const uint32_t n = facts->results == HLI_VAR ? d->operand_count : facts->results;
  for (uint32_t i = 0; s == HL_OK && results && i < n && f.out[i]; i++)
    results[i] = f.out[i];
  return s;
}
