/* infer_access.c: the type rules of load, store, atomic, prefetch and async_copy, and of gather. */
#include "src/ir/infer.h"

typedef struct operands {
  uint32_t next;              /* next operand to read */
  hli_axis axes[HL_MAX_RANK]; /* that g indices have contributed */
  uint32_t gathered;          /* of them */
  hli_value gather;           /* the last g index; 0: none yet */
} operands;

static const char *name_of(const infer *f) {
  return hli_op_facts(f->d->code)->text;
}

/* An integer tile contributes those of its axes that no earlier one has: axes of one name are walked together. */
static hl_status gather_index(const infer *f, hli_value v, operands *o, hli_axis *axes, uint32_t *rank) {
  const hli_type_data x = *hli_type_of(f->k, v);
  for (uint32_t i = 0; i < x.rank; i++) {
    bool known = false;
    for (uint32_t j = 0; j < o->gathered; j++)
      known |= o->axes[j] == x.dims[i];
    if (known)
      continue;
    if (*rank == HL_MAX_RANK)
      return hli_fail(f->diag, HL_ERR_BUILD, "%s: the indices select more than %d dimensions", name_of(f), HL_MAX_RANK);
    o->axes[o->gathered++] = axes[(*rank)++] = x.dims[i];
  }
  o->gather = v;
  return HL_OK;
}

/* One dimension's index: appends the axis it contributes to `axes`. */
static hl_status index_axis(const infer *f, uint32_t d, operands *o, hli_axis *axes, uint32_t *rank) {
  char a[HLI_TYPE_WORDS];
  const hli_type_data base = *hli_type_of(f->k, f->d->operands[0]);
  const char kind = (char)f->d->attrs[d];
  if (kind == ':') {
    if (base.kind != HLI_TYPE_TENSOR)
      return hli_fail(f->diag, HL_ERR_BUILD, "%s: a whole dimension can only be taken of a tensor", name_of(f));
    axes[(*rank)++] = hli_axis_full(f->k, base.dims[d]);
    return HL_OK;
  }
  if (o->next >= f->d->operand_count)
    return hli_fail(f->diag, HL_ERR_BUILD, "%s: index %u is missing", name_of(f), d + 1);
  const hli_value v = f->d->operands[o->next++];
  const hli_type_data t = *hli_type_of(f->k, v);
  if (kind == 't' && t.kind == HLI_TYPE_TILE) {
    axes[(*rank)++] = t.dims[0];
    return HL_OK;
  }
  if ((kind == 's' || kind == 'v') && t.kind == HLI_TYPE_VALUE && t.rank == 0 && t.dtype == HL_I64) {
    if (kind == 'v')
      axes[(*rank)++] = 0; /* its lanes come from the value's type */
    return HL_OK;
  }
  if (kind == 'g' && t.kind == HLI_TYPE_VALUE && t.rank > 0 && t.dtype == HL_I64)
    return gather_index(f, v, o, axes, rank);
  return hli_fail(f->diag, HL_ERR_BUILD,
                  "%s: index %u is a %s: give a tile, an i64 scalar, an i64 tile value or a whole dimension",
                  name_of(f), d + 1, hli_type_words(f->k, f->k->values.data[v].type, a));
}

/* The value type must have the axes; a 0 axis (of a v index) takes the value's own constant one. */
static bool shape_fits(const infer *f, const hli_type_data *v, const hli_axis *axes, uint32_t rank) {
  if (v->kind != HLI_TYPE_VALUE || v->rank != rank)
    return false;
  for (uint32_t i = 0; i < rank; i++)
    if (axes[i] ? v->dims[i] != axes[i] : f->k->axes.data[v->dims[i]].kind != HLI_AXIS_CONST)
      return false;
  return true;
}

static hl_status check_mask(const infer *f, operands *o, hli_type value) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  const int64_t flags = f->d->attr_len[1] ? f->d->attrs[f->d->attr_len[0]] : 0;
  const hli_type want[2] = {hli_type_with_dtype(f->k, value, HL_BOOL), value};
  static const char *const what[2] = {"mask", "other"};
  for (uint32_t i = 0; i < 2; i++) {
    if (!(flags & (1 << i)))
      continue;
    if (o->next >= f->d->operand_count)
      return hli_fail(f->diag, HL_ERR_BUILD, "%s: the %s is missing", name_of(f), what[i]);
    const hli_type t = f->k->values.data[f->d->operands[o->next++]].type;
    if (t != want[i])
      return hli_fail(f->diag, HL_ERR_BUILD, "%s: the %s is %s, it must be %s", name_of(f), what[i],
                      hli_type_words(f->k, t, a), hli_type_words(f->k, want[i], b));
  }
  return HL_OK;
}

/* At LANE every integer tile has the value's shape and lies where the value does. */
static hl_status check_gather(const infer *f, const operands *o, hli_type value) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  const hli_type want = hli_type_with_dtype(f->k, value, HL_I64);
  if (!o->gather || f->k->stage != HLI_STAGE_LANE)
    return HL_OK;
  for (uint32_t i = 1; i < o->next; i++) {
    const hli_type t = f->k->values.data[f->d->operands[i]].type;
    if (hli_type_get(f->k, t)->rank && t != want && t != value)
      return hli_fail(f->diag, HL_ERR_BUILD, "%s: the index %s must be %s at stage lane", name_of(f),
                      hli_type_words(f->k, t, a), hli_type_words(f->k, want, b));
  }
  return HL_OK;
}

static hl_status infer_load(infer *f, operands *o, const hli_axis *axes, uint32_t rank, hl_dtype dtype) {
  char a[HLI_TYPE_WORDS];
  const hli_type_data *given = hli_type_get(f->k, f->given);
  bool open = false;
  for (uint32_t i = 0; i < rank; i++)
    open |= axes[i] == 0;
  if (open || (f->given && given->layout)) {
    if (!f->given || given->dtype != dtype || !shape_fits(f, given, axes, rank))
      return hli_fail(f->diag, HL_ERR_BUILD, "load: the result %s does not follow from the indices",
                      f->given ? hli_type_words(f->k, f->given, a) : "(not given)");
    f->out[0] = f->given;
  } else {
    f->out[0] = hli_type_value(f->k, dtype, axes, rank);
  }
  hl_status s = check_gather(f, o, f->out[0]);
  return s == HL_OK ? check_mask(f, o, f->out[0]) : s;
}

static hl_status infer_store(infer *f, operands *o, const hli_axis *axes, uint32_t rank, hl_dtype dtype) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  if (o->next >= f->d->operand_count)
    return hli_fail(f->diag, HL_ERR_BUILD, "store: the value is missing");
  const hli_type t = f->k->values.data[f->d->operands[o->next++]].type;
  const hli_type_data v = *hli_type_get(f->k, t);
  if (v.dtype != dtype || !shape_fits(f, &v, axes, rank))
    return hli_fail(f->diag, HL_ERR_BUILD, "store: the value %s does not fit what the indices select of %s",
                    hli_type_words(f->k, t, a), hli_type_words(f->k, f->k->values.data[f->d->operands[0]].type, b));
  hl_status s = check_gather(f, o, t);
  return s == HL_OK ? check_mask(f, o, t) : s;
}

static hl_status infer_atomic(infer *f, operands *o, const hli_axis *axes, uint32_t rank, hl_dtype dtype) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  const uint32_t at = f->d->attr_len[0] + f->d->attr_len[1] + f->d->attr_len[2];
  const hl_atomic_op op = f->d->attr_len[3] ? (hl_atomic_op)f->d->attrs[at] : HL_ATOMIC_COUNT;
  const uint32_t values = op == HL_ATOMIC_CAS ? 2 : 1;
  const char *why = hli_atomic_refusal(op, dtype);
  if (why)
    return hli_fail(f->diag, HL_ERR_BUILD, "atomic %s of %s: %s", hli_atomic_text(op), hl_dtype_text(dtype), why);
  for (uint32_t i = 0; i < values; i++) {
    if (o->next >= f->d->operand_count)
      return hli_fail(f->diag, HL_ERR_BUILD, "atomic: %s is missing",
                      i + 1 < values ? "the expected value" : "the value");
    const hli_type t = f->k->values.data[f->d->operands[o->next++]].type;
    const hli_type_data v = *hli_type_get(f->k, t);
    if (v.dtype != dtype || !shape_fits(f, &v, axes, rank) || (i && t != f->out[0]))
      return hli_fail(f->diag, HL_ERR_BUILD, "atomic: the value %s does not fit what the indices select of %s",
                      hli_type_words(f->k, t, a), hli_type_words(f->k, f->k->values.data[f->d->operands[0]].type, b));
    f->out[0] = t;
  }
  hl_status s = check_gather(f, o, f->out[0]);
  return s == HL_OK ? check_mask(f, o, f->out[0]) : s;
}

static hl_status infer_copy(const infer *f, operands *o, const hli_axis *axes, uint32_t rank, hl_dtype dtype) {
  if (f->d->operand_count != o->next + 2)
    return hli_fail(f->diag, HL_ERR_BUILD, "async_copy: wants a buffer and a slot behind the indices");
  const hli_type_data buf = *hli_type_of(f->k, f->d->operands[o->next]);
  const hli_type_data slot = *hli_type_of(f->k, f->d->operands[o->next + 1]);
  bool fits = buf.kind == HLI_TYPE_BUFFER && buf.dtype == dtype && buf.rank == rank;
  for (uint32_t i = 0; i < rank && fits; i++)
    fits = axes[i] && hli_axis_lanes(f->k, axes[i]) == hli_axis_lanes(f->k, buf.dims[i]);
  if (!fits)
    return hli_fail(f->diag, HL_ERR_BUILD, "async_copy: the selected tile does not fit the buffer");
  if (slot.kind != HLI_TYPE_VALUE || slot.rank || slot.dtype != HL_I64)
    return hli_fail(f->diag, HL_ERR_BUILD, "async_copy: the slot must be an i64 scalar");
  return HL_OK;
}

hl_status hli_infer_access(infer *f) {
  char a[HLI_TYPE_WORDS];
  const hli_type_data base = *hli_type_of(f->k, f->d->operands[0]);
  const uint32_t n = f->d->attr_len[0];
  hli_axis axes[HL_MAX_RANK];
  uint32_t rank = 0;
  operands o = {.next = 1};
  if (base.kind != HLI_TYPE_TENSOR && base.kind != HLI_TYPE_BUFFER)
    return hli_fail(f->diag, HL_ERR_BUILD, "%s: wants a tensor, not %s", name_of(f),
                    hli_type_words(f->k, f->k->values.data[f->d->operands[0]].type, a));
  if (n != base.rank)
    return hli_fail(f->diag, HL_ERR_BUILD, "%s: %u indices for %s of rank %u", name_of(f), n,
                    hli_type_words(f->k, f->k->values.data[f->d->operands[0]].type, a), base.rank);
  for (uint32_t d = 0; d < n; d++) {
    hl_status s = index_axis(f, d, &o, axes, &rank);
    if (s != HL_OK)
      return s;
  }
  switch (f->d->code) {
  case HLI_OP_LOAD:
    return infer_load(f, &o, axes, rank, (hl_dtype)base.dtype);
  case HLI_OP_STORE:
    return infer_store(f, &o, axes, rank, (hl_dtype)base.dtype);
  case HLI_OP_ATOMIC:
    return infer_atomic(f, &o, axes, rank, (hl_dtype)base.dtype);
  case HLI_OP_ASYNC_COPY:
    return infer_copy(f, &o, axes, rank, (hl_dtype)base.dtype);
  default:
    return HL_OK;
  }
}

hl_status hli_infer_gather(infer *f) {
  char a[HLI_TYPE_WORDS], b[HLI_TYPE_WORDS];
  const hli_type_data v = *hli_type_of(f->k, f->d->operands[0]), i = *hli_type_of(f->k, f->d->operands[1]);
  const int64_t axis = f->d->attrs[0];
  if (v.kind != HLI_TYPE_VALUE || i.kind != HLI_TYPE_VALUE || i.dtype != HL_I64)
    return hli_fail(f->diag, HL_ERR_BUILD, "gather: wants a value and an i64 tile value, not %s and %s",
                    hli_type_words(f->k, f->k->values.data[f->d->operands[0]].type, a),
                    hli_type_words(f->k, f->k->values.data[f->d->operands[1]].type, b));
  if (axis < 0 || axis >= v.rank)
    return hli_fail(f->diag, HL_ERR_BUILD, "gather: axis %lld of a value of rank %u", (long long)axis, v.rank);
  bool fits = v.rank == i.rank;
  for (uint32_t d = 0; d < v.rank && fits; d++)
    fits = d == axis || v.dims[d] == i.dims[d];
  if (!fits)
    return hli_fail(f->diag, HL_ERR_BUILD, "gather: the index %s must have the shape of %s but for axis %lld",
                    hli_type_words(f->k, f->k->values.data[f->d->operands[1]].type, a),
                    hli_type_words(f->k, f->k->values.data[f->d->operands[0]].type, b), (long long)axis);
  f->out[0] = hli_type_value(f->k, (hl_dtype)v.dtype, i.dims, i.rank);
  return HL_OK;
}
