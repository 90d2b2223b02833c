/* builder_index.c: what may stand between the brackets of a load, store or atomic: tiles, scalars, whole dimensions,
 * slices, new axes and integer tiles.
 *
 * An integer tile that is made of one tile's positions by +, - and * with scalars is a *moved tile*: lanes outside the
 * tensor are masked, also negative ones.  Any other one is a gather: negative indices count from the end, made
 * explicit here; what is then still outside is masked.
 *
 *   x[idx]    ->    %n = lt %idx, 0;  %w = add %idx, size;  %r = where %n, %w, %idx;  load %x[%r] */
#include "src/ir/builder.h"

/* ---- moved tiles ---- */

static bool is_scalar_value(const hl_kernel *k, hli_value v) {
  const hli_op op = k->values.data[v].def;
  if (hli_type_of(k, v)->rank == 0)
    return true;
  return op && k->ops.data[op].code == HLI_OP_BROADCAST && hli_type_of(k, hli_operand(k, op, 0))->rank == 0;
}

static bool is_position(const hl_kernel *k, hli_value v, uint32_t depth) {
  const hli_op op = k->values.data[v].def;
  if (!op || depth == 0)
    return false;
  const hli_value a = hli_operand_count(k, op) ? hli_operand(k, op, 0) : 0;
  const hli_value c = hli_operand_count(k, op) > 1 ? hli_operand(k, op, 1) : 0;
  switch (k->ops.data[op].code) {
  case HLI_OP_TILE_INDEX:
    return true;
  case HLI_OP_BROADCAST:
  case HLI_OP_CAST:
    return is_position(k, a, depth - 1);
  case HLI_OP_ADD:
  case HLI_OP_SUB:
    return (is_position(k, a, depth - 1) && (is_scalar_value(k, c) || is_position(k, c, depth - 1))) ||
           (is_scalar_value(k, a) && is_position(k, c, depth - 1));
  case HLI_OP_MUL:
    return (is_position(k, a, depth - 1) && is_scalar_value(k, c)) ||
           (is_scalar_value(k, a) && is_position(k, c, depth - 1));
  default:
    return false;
  }
}

/* ---- sizes ---- */

/* The size of a dimension: a constant, or that of the first tensor that has it. */
static hli_value dim_size(hl_builder *b, hli_cursor *at, hli_dim dim) {
  hl_kernel *k = b->k;
  for (uint32_t p = 0; p < k->params.len; p++) {
    const hli_value tensor = k->params.data[p].value;
    const hli_type_data *t = hli_type_of(k, tensor);
    for (uint32_t d = 0; t->kind == HLI_TYPE_TENSOR && d < t->rank; d++)
      if (t->dims[d] == dim)
        return hli_make_size(at, tensor, d);
  }
  return k->dims.data[dim].value >= 0 ? hli_make_i64(at, k->dims.data[dim].value) : 0;
}

/* ---- slices ---- */

hli_value hli_builder_whole_range(hl_builder *b, hli_dim dim) {
  hl_kernel *k = b->k;
  const hli_axis axis = hli_axis_full(k, dim);
  for (hli_op op = hli_first(k, k->body); op; op = hli_next(k, op))
    if (k->ops.data[op].code == HLI_OP_RANGE && hli_attr(k, op, 0, 0) == (int64_t)axis)
      return hli_result(k, op, 0);
  hli_cursor top = {.k = k, .block = k->body, .before = hli_first(k, k->body), .file = b->at.file, .line = b->at.line};
  const hli_value size = dim_size(b, &top, dim);
  return size ? hli_make_range(&top, axis, hli_make_i64(&top, 0), size) : 0;
}

hl_value(hl_slice_dim)(hl_builder *b, hl_value first, hl_dim count, int64_t step) {
  if (!b || !hli_builder_ok(b, first))
    return HL_POISON;
  if (count == 0 || count >= b->k->dims.len)
    return hli_builder_complain(b, "slice: %u is no dimension of this builder", count);
  const hli_type_data *t = hli_type_of(b->k, first);
  if (t->kind != HLI_TYPE_VALUE || t->rank || !strchr("iu", hli_dtype_kind((hl_dtype)t->dtype)))
    return hli_builder_complain(b, "slice: the first position must be an integer scalar");
  if (step == 0)
    return hli_builder_complain(b, "slice: the step is 0: give a positive or negative one");
  const hli_value range = hli_builder_whole_range(b, count);
  if (!range)
    return hli_builder_complain(b, "slice: no tensor declared so far has the dimension %s",
                                b->k->dims.data[count].name);
  hl_value v = (hl_tile_index)(b, range);
  if (step != 1)
    v = (hl_binary)(b, HL_MUL, v, (hl_const_i)(b, step));
  return (hl_binary)(b, HL_ADD, v, hli_builder_cast(b, first, HL_I64));
}

/* A bound of x[begin:end:step], as Python reads it: negative ones count from the end, and both are clamped. */
static int64_t slice_bound(int64_t x, int64_t size, int64_t step, bool is_end) {
  if (x == HL_SLICE_OPEN)
    return is_end ? (step > 0 ? size : -1) : (step > 0 ? 0 : size - 1);
  x += x < 0 ? size : 0;
  return step > 0 ? HLI_MIN(HLI_MAX(x, 0), size) : HLI_MIN(HLI_MAX(x, -1), size - 1);
}

hl_value(hl_slice)(hl_builder *b, hl_value tensor, uint32_t dim, int64_t begin, int64_t end, int64_t step) {
  if (!b || !hli_builder_ok(b, tensor))
    return HL_POISON;
  const hli_type_data t = *hli_type_of(b->k, tensor);
  const char *name = b->k->values.data[tensor].name;
  if (t.kind != HLI_TYPE_TENSOR || dim >= t.rank)
    return hli_builder_complain(b, "slice: %s has no dimension %u", t.kind == HLI_TYPE_TENSOR ? name : "a value", dim);
  if (step == 0)
    return hli_builder_complain(b, "slice: the step is 0: give a positive or negative one");
  const int64_t size = b->k->dims.data[t.dims[dim]].value;
  const bool absolute = begin != HL_SLICE_OPEN && begin >= 0 && end != HL_SLICE_OPEN && end >= 0;
  if (size < 0 && !absolute)
    return hli_builder_complain(b,
                                "slice: how many elements it has depends on the size of dimension %s of %s: give that "
                                "dimension a size, bounds that are not negative, or use hl_slice_dim",
                                b->k->dims.data[t.dims[dim]].name, name);
  if (size >= 0) {
    begin = slice_bound(begin, size, step, false);
    end = slice_bound(end, size, step, true);
  }
  const int64_t span = step > 0 ? end - begin : begin - end, pace = step > 0 ? step : -step;
  if (span <= 0)
    return hli_builder_complain(b, "slice: %lld:%lld:%lld of dimension %u of %s is empty", (long long)begin,
                                (long long)end, (long long)step, dim, name);
  return (hl_slice_dim)(b, (hl_const_i)(b, begin), hli_dim_const(b->k, hli_ceil_div(span, pace)), step);
}

/* ---- one index ---- */

static hl_value complain_index(hl_builder *b, hl_value tensor, uint32_t d, hl_value v) {
  char words[HLI_TYPE_WORDS];
  return hli_builder_complain(
      b, "index %u of %s is a %s: give a tile, an integer scalar or tile value, a slice or HL_ALL", d + 1,
      b->k->values.data[tensor].name, hli_type_words(b->k, b->k->values.data[v].type, words));
}

static bool is_integer(const hli_type_data *t) {
  const char kind = hli_dtype_kind((hl_dtype)t->dtype);
  return t->kind == HLI_TYPE_VALUE && (kind == 'i' || kind == 'u');
}

/* Negative indices count from the end. */
static hl_value from_end(hl_builder *b, hl_value v, hli_dim dim) {
  const bool is_unsigned = hli_dtype_kind(hli_dtype_of(b->k, v)) == 'u';
  const bool moved = is_position(b->k, v, 16);
  v = hli_builder_cast(b, v, HL_I64);
  if (!v || is_unsigned || moved)
    return v;
  const hli_value size = dim_size(b, &b->at, dim);
  const hl_value negative = (hl_binary)(b, HL_LT, v, (hl_const_i)(b, 0));
  return (hl_where)(b, negative, (hl_binary)(b, HL_ADD, v, size), v);
}

static bool index_one(hl_builder *b, hl_value tensor, uint32_t d, hl_value v, hli_indices *x) {
  const hli_dim dim = hli_type_of(b->k, tensor)->dims[d];
  x->kind[d] = ':';
  x->given[d] = 0;
  if (v == HL_ALL)
    return true;
  if (!hli_builder_ok(b, v))
    return false;
  const hli_type_data t = *hli_type_of(b->k, v);
  x->given[d] = v;
  if (t.kind == HLI_TYPE_TILE) {
    /* a size-1 dimension gives its one element to every lane */
    x->kind[d] = b->k->dims.data[dim].value == 1 ? '1' : 't';
    return true;
  }
  if (!is_integer(&t)) {
    complain_index(b, tensor, d, v);
    return false;
  }
  x->kind[d] = t.rank ? 'g' : 's';
  x->given[d] = t.rank ? from_end(b, v, dim) : hli_builder_cast(b, v, HL_I64);
  return x->given[d] != HL_POISON;
}

/* ---- several integer tiles ---- */

/* Gathers broadcast with each other as in NumPy; a moved tile (of one axis) goes its own way, as the tile does. */
static bool join_gathers(hl_builder *b, hl_value tensor, hli_indices *x, uint32_t rank) {
  hl_value v[HL_MAX_RANK];
  uint32_t at[HL_MAX_RANK], n = 0;
  for (uint32_t d = 0; d < rank; d++) {
    if (x->kind[d] != 'g')
      continue;
    if (hli_type_of(b->k, x->given[d])->rank == 1 && is_position(b->k, x->given[d], 16)) {
      const hli_axis axis = hli_type_of(b->k, x->given[d])->dims[0];
      for (uint32_t e = 0; e < d; e++)
        if (x->kind[e] == 'g' && b->k->axes.data[axis].kind == HLI_AXIS_FULL &&
            hli_type_of(b->k, x->given[e])->rank == 1 && hli_type_of(b->k, x->given[e])->dims[0] == axis) {
          hli_builder_complain(b,
                               "indices %u and %u of %s are slices of one length: walk one of the two dimensions with "
                               "a tile",
                               e + 1, d + 1, b->k->values.data[tensor].name);
          return false;
        }
      continue;
    }
    at[n] = d;
    v[n++] = x->given[d];
  }
  if (n > 1 && !hli_builder_unify(b, v, n, HL_I64))
    return false;
  for (uint32_t i = 0; i < n; i++)
    x->given[at[i]] = v[i];
  return true;
}

/* ---- all of them ---- */

/* Appends the axes that index d contributes, once per axis of integer tiles. */
static bool want_axes(hl_builder *b, hl_value tensor, uint32_t d, hli_indices *x, hli_axis *gathered, uint32_t *count) {
  const hli_dim dim = hli_type_of(b->k, tensor)->dims[d];
  const hli_value v = x->given[d];
  const hli_type_data t = v ? *hli_type_of(b->k, v) : (hli_type_data){0};
  hli_axis axes[HL_MAX_RANK];
  uint32_t n = 0;
  switch (x->kind[d]) {
  case ':':
    axes[n++] = hli_axis_full(b->k, dim);
    break;
  case '1':
    x->fixed |= 1u << x->rank;
    axes[n++] = t.dims[0];
    break;
  case 't':
    axes[n++] = t.dims[0];
    break;
  case 'g':
    for (uint32_t i = 0; i < t.rank; i++) {
      bool known = false;
      for (uint32_t j = 0; j < *count; j++)
        known |= gathered[j] == t.dims[i];
      if (!known && *count < HL_MAX_RANK)
        gathered[(*count)++] = axes[n++] = t.dims[i];
    }
    break;
  default:
    break;
  }
  if (x->rank + n > HL_MAX_RANK) {
    hli_builder_complain(b, "the indices of %s select more than %d dimensions", b->k->values.data[tensor].name,
                         HL_MAX_RANK);
    return false;
  }
  for (uint32_t i = 0; i < n; i++)
    x->want[x->rank++] = axes[i];
  return true;
}

/* Axes in the order of the user's indices; new ones stand where HL_NEW does. */
static bool place_axes(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, hli_indices *x) {
  hli_axis gathered[HL_MAX_RANK];
  uint32_t count = 0, d = 0;
  for (uint32_t i = 0; i < n; i++) {
    /* the whole of a dimension of size 1 is its one element along an axis of size 1, which broadcasts */
    const bool single = index[i] == HL_ALL && b->k->dims.data[hli_type_of(b->k, tensor)->dims[d]].value == 1;
    if (single) {
      x->kind[d] = 's';
      x->value[x->count++] = x->given[d] = (hl_const_i)(b, 0);
      d++;
    } else if (index[i] != HL_NEW) {
      if (!want_axes(b, tensor, d, x, gathered, &count))
        return false;
      if (x->kind[d] == '1')
        x->given[d] = (hl_const_i)(b, 0);
      if (x->kind[d] == '1')
        x->kind[d] = 's';
      if (x->kind[d] != ':')
        x->value[x->count++] = x->given[d];
      d++;
      continue;
    }
    if (x->rank == HL_MAX_RANK) {
      hli_builder_complain(b, "the indices of %s select more than %d dimensions", b->k->values.data[tensor].name,
                           HL_MAX_RANK);
      return false;
    }
    x->fresh |= 1u << x->rank;
    x->want[x->rank++] = hli_axis_const(b->k, 1);
  }
  return true;
}

bool hli_builder_indices(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, const char *what,
                         hli_indices *x) {
  char words[HLI_TYPE_WORDS];
  uint32_t given = 0;
  memset(x, 0, sizeof *x);
  if (!b || !hli_builder_ok(b, tensor))
    return false;
  const hli_type_data t = *hli_type_of(b->k, tensor);
  if (t.kind != HLI_TYPE_TENSOR) {
    hli_builder_complain(b, "%s: %s is not a tensor", what,
                         hli_type_words(b->k, b->k->values.data[tensor].type, words));
    return false;
  }
  for (uint32_t i = 0; index && i < n && n <= 2 * HL_MAX_RANK; i++)
    given += index[i] != HL_NEW;
  if (!index && n) {
    hli_builder_complain(b, "%s: index is NULL; %s of rank %u wants as many indices: tiles, integer scalars or HL_ALL",
                         what, b->k->values.data[tensor].name, t.rank);
    return false;
  }
  if (given != t.rank) {
    hli_builder_complain(b, "%s: %u indices for %s of rank %u", what, n,
                         hli_type_words(b->k, b->k->values.data[tensor].type, words), t.rank);
    return false;
  }
  for (uint32_t i = 0, d = 0; i < n; i++)
    if (index[i] != HL_NEW && !index_one(b, tensor, d++, index[i], x))
      return false;
  return join_gathers(b, tensor, x, t.rank) && place_axes(b, tensor, index, n, x);
}

uint32_t hli_builder_access_axes(const hli_indices *x, hli_axis *axes, int64_t *place) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->rank; i++) {
    if ((x->fixed | x->fresh) >> i & 1)
      continue;
    place[n] = i;
    axes[n++] = x->want[i];
  }
  return n;
}
