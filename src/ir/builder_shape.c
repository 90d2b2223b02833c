/* builder_shape.c: the builder's shapes: new, dropped, permuted and broadcast axes; arange, and what is made of it:
 * values stacked along a new axis, and one element taken out of an axis.  Random numbers by element.
 *
 * An axis of n elements is that of a whole dimension of this size, as slices have it: what lies beyond n in a block is
 * masked, and nothing below the builder needs to know of sizes that are no powers of two. */
#include "src/ir/builder.h"

#define MOST_ARANGE (1 << 20)

/* ---- axes of size 1, permutations ---- */

hl_value(hl_unsqueeze)(hl_builder *b, hl_value v, uint32_t axis) {
  if (!b || !hli_builder_is_value(b, v, "unsqueeze"))
    return HL_POISON;
  hli_type_data t = *hli_type_of(b->k, v);
  int64_t dims[HL_MAX_RANK];
  if (axis > t.rank || t.rank == HL_MAX_RANK)
    return hli_builder_complain(b, "unsqueeze: axis %u is out of range for rank %u", axis, t.rank);
  for (uint32_t d = t.rank; d > axis; d--)
    t.dims[d] = t.dims[d - 1];
  for (uint32_t d = 0; d < t.rank; d++)
    dims[d] = d < axis ? d : d + 1;
  t.dims[axis] = hli_axis_const(b->k, 1);
  t.rank++;
  hli_value r = hli_make_broadcast(&b->at, v, hli_type_intern(b->k, &t), dims);
  return r ? r : hli_builder_no_memory(b);
}

hl_value(hl_squeeze)(hl_builder *b, hl_value v, uint32_t axis) {
  int64_t a = axis;
  if (!b || !hli_builder_is_value(b, v, "squeeze"))
    return HL_POISON;
  return hli_builder_op(
      b, &(hli_op_desc){.code = HLI_OP_SQUEEZE, .operands = &v, .operand_count = 1, .attrs = &a, .attr_len = {1}}, 0);
}

hl_value(hl_transpose)(hl_builder *b, hl_value v, const uint32_t *perm) {
  int64_t p[HL_MAX_RANK];
  if (!b || !hli_builder_is_value(b, v, "transpose"))
    return HL_POISON;
  if (!perm)
    return hli_builder_complain(b, "transpose: wants a permutation");
  const uint32_t rank = hli_type_of(b->k, v)->rank;
  for (uint32_t i = 0; i < rank; i++)
    p[i] = perm[i];
  return hli_builder_op(
      b, &(hli_op_desc){.code = HLI_OP_TRANSPOSE, .operands = &v, .operand_count = 1, .attrs = p, .attr_len = {rank}},
      0);
}

/* ---- reshape ---- */

/* The axes of the result: those of unknown size in their order where sizes says HL_KEEP. */
static bool new_axes(hl_builder *b, const hli_type_data *t, const int64_t *sizes, uint32_t rank, hli_axis *axes) {
  uint32_t next = 0;
  for (uint32_t d = 0; d < rank; d++) {
    if (sizes[d] != HL_KEEP && (sizes[d] < 1 || sizes[d] > MOST_ARANGE)) {
      hli_builder_complain(b, "reshape: size %u is %lld; it is 1 to %d, or HL_KEEP for a tile", d, (long long)sizes[d],
                           MOST_ARANGE);
      return false;
    }
    if (sizes[d] == HL_KEEP) {
      while (next < t->rank && hli_axis_size(b->k, t->dims[next]))
        next++;
      if (next == t->rank) {
        hli_builder_complain(b, "reshape: HL_KEEP number %u finds no axis of unknown size", d);
        return false;
      }
      axes[d] = t->dims[next++];
    } else if (sizes[d] == 1) {
      axes[d] = hli_axis_const(b->k, 1);
    } else { /* made like those of arange */
      const hli_dim dim = hli_dim_const(b->k, sizes[d]);
      axes[d] = hli_axis_full(b->k, dim);
      (void)hli_builder_whole_range(b, dim);
    }
  }
  return true;
}

hl_value(hl_reshape)(hl_builder *b, hl_value v, const int64_t *sizes, uint32_t rank) {
  hli_axis axes[HL_MAX_RANK];
  if (!b || !hli_builder_is_value(b, v, "reshape"))
    return HL_POISON;
  if (!sizes || rank < 1 || rank > HL_MAX_RANK)
    return hli_builder_complain(b, "reshape: wants 1 to %d sizes", HL_MAX_RANK);
  const hli_type_data t = *hli_type_of(b->k, v);
  if (!new_axes(b, &t, sizes, rank, axes))
    return HL_POISON;
  const hli_type to = hli_type_value(b->k, (hl_dtype)t.dtype, axes, rank);
  if (to == b->k->values.data[v].type)
    return v;
  return hli_builder_op(b, &(hli_op_desc){.code = HLI_OP_RESHAPE, .operands = &v, .operand_count = 1}, to);
}

/* ---- given shapes ---- */

hl_value(hl_expand)(hl_builder *b, hl_value v, hl_value like) {
  if (!b || !hli_builder_is_value(b, v, "expand") || !hli_builder_is_value(b, like, "expand"))
    return HL_POISON;
  return hli_builder_fit(b, v, hli_type_with_dtype(b->k, b->k->values.data[like].type, hli_dtype_of(b->k, v)));
}

hl_value(hl_full)(hl_builder *b, const hl_value *tiles, uint32_t rank, hl_dtype dtype, double x) {
  hli_axis axes[HL_MAX_RANK];
  if (!b || b->diag.status != HL_OK)
    return HL_POISON;
  if (!tiles || rank < 1 || rank > HL_MAX_RANK || !hli_dtype_kind(dtype))
    return hli_builder_complain(b, "full: wants 1 to %d tiles and a dtype", HL_MAX_RANK);
  for (uint32_t i = 0; i < rank; i++) {
    if (!hli_builder_ok(b, tiles[i]))
      return HL_POISON;
    const hli_type_data *t = hli_type_of(b->k, tiles[i]);
    if (t->kind != HLI_TYPE_TILE)
      return hli_builder_complain(b, "full: dimension %u must be a tile", i);
    axes[i] = t->dims[0];
  }
  return hli_builder_fit(b, (hl_const_f)(b, x), hli_type_value(b->k, dtype, axes, rank));
}

hl_value(hl_full_like)(hl_builder *b, hl_value v, hl_dtype dtype, double x) {
  if (!b || !hli_builder_is_value(b, v, "full_like"))
    return HL_POISON;
  if (!hli_dtype_kind(dtype))
    return hli_builder_complain(b, "full_like: unknown dtype %d", (int)dtype);
  return hli_builder_fit(b, (hl_const_f)(b, x), hli_type_with_dtype(b->k, b->k->values.data[v].type, dtype));
}

hl_value(hl_zeros)(hl_builder *b, const hl_value *tiles, uint32_t rank, hl_dtype dtype) {
  return (hl_full)(b, tiles, rank, dtype, 0.0);
}

/* ---- arange ---- */

hl_value(hl_arange)(hl_builder *b, int64_t n) {
  if (!b || b->diag.status != HL_OK)
    return HL_POISON;
  if (n < 1 || n > MOST_ARANGE)
    return hli_builder_complain(b, "arange: %lld elements; it takes 1 to %d (loop over tiles for more)", (long long)n,
                                MOST_ARANGE);
  if (!b->loops.len)
    return hli_builder_complain(b, "arange: stands inside a tile loop");
  const hli_value tile = hli_builder_whole_range(b, hli_dim_const(b->k, n));
  return tile ? hli_builder_op(b, &(hli_op_desc){.code = HLI_OP_TILE_INDEX, .operands = &tile, .operand_count = 1}, 0)
              : HL_POISON;
}

/* 0 .. n along `axis` of a value of that rank: with axes of size 1 behind it. */
static hl_value along(hl_builder *b, uint32_t rank, uint32_t axis, int64_t n) {
  hl_value r = (hl_arange)(b, n);
  for (uint32_t d = axis + 1; d < rank && r; d++)
    r = (hl_unsqueeze)(b, r, hli_type_of(b->k, r)->rank);
  return r;
}

static bool same_shape(hl_builder *b, const hl_value *v, uint32_t i) {
  char x[HLI_TYPE_WORDS], y[HLI_TYPE_WORDS];
  const hli_type first = b->k->values.data[v[0]].type, here = b->k->values.data[v[i]].type;
  if (hli_type_with_dtype(b->k, first, HL_BOOL) == hli_type_with_dtype(b->k, here, HL_BOOL))
    return true;
  hli_builder_complain(b, "stack: value 0 is %s, value %u is %s; the shapes must be equal",
                       hli_type_words(b->k, first, x), i, hli_type_words(b->k, here, y));
  return false;
}

hl_value(hl_stack)(hl_builder *b, const hl_value *v, uint32_t n, uint32_t axis) {
  if (!b || b->diag.status != HL_OK)
    return HL_POISON;
  if (!v || n < 1 || n > 64)
    return hli_builder_complain(b, "stack: wants 1 to 64 values, not %u", n);
  for (uint32_t i = 0; i < n; i++)
    if (!hli_builder_is_value(b, v[i], "stack") || !same_shape(b, v, i))
      return HL_POISON;
  const uint32_t rank = hli_type_of(b->k, v[0])->rank;
  hl_value r = (hl_unsqueeze)(b, v[n - 1], axis);
  hl_value index = r ? along(b, rank + 1, axis, n) : HL_POISON;
  for (uint32_t i = n - 1; i-- > 0 && r && index;) {
    const hl_value here = (hl_binary)(b, i ? HL_EQ : HL_LT, index, (hl_const_i)(b, i ? i : 1));
    r = (hl_where)(b, here, (hl_unsqueeze)(b, v[i], axis), r);
  }
  if (n == 1 && r && index) /* an axis of an arange, not one of size 1 that would broadcast */
    r = (hl_where)(b, (hl_binary)(b, HL_GE, index, (hl_const_i)(b, 0)), r, r);
  return index ? r : HL_POISON;
}

/* Value i of a concatenation: its length along the axis, checked against the first one's shape. */
static int64_t cat_length(hl_builder *b, const hl_value *v, uint32_t i, uint32_t axis) {
  char x[HLI_TYPE_WORDS], y[HLI_TYPE_WORDS];
  const hli_type_data t = *hli_type_of(b->k, v[i]), first = *hli_type_of(b->k, v[0]);
  bool fits = t.rank == first.rank && axis < t.rank;
  for (uint32_t d = 0; d < t.rank && fits; d++)
    fits = d == axis || t.dims[d] == first.dims[d];
  const int64_t n = fits ? hli_axis_size(b->k, t.dims[axis]) : 0;
  if (n > 0)
    return n;
  hli_type_words(b->k, b->k->values.data[v[i]].type, x);
  hli_type_words(b->k, b->k->values.data[v[0]].type, y);
  if (fits)
    hli_builder_complain(b, "cat: axis %u of %s has no constant size; it takes those of slices, arange and dimensions of "
                            "static size", axis, x);
  else
    hli_builder_complain(b, "cat: %s and %s: the shapes must be equal but for axis %u", y, x, axis);
  return 0;
}

/* v's element at `position`, which has v's shape but for the axis; 0 where v has none. */
static hl_value part_of(hl_builder *b, hl_value v, uint32_t axis, hl_value position, hl_dtype dtype) {
  hli_type_data t = *hli_type_of(b->k, v);
  t.dims[axis] = hli_type_of(b->k, position)->dims[0];
  t.dtype = HL_I64;
  for (uint32_t d = axis + 1; d < t.rank && position; d++)
    position = (hl_unsqueeze)(b, position, hli_type_of(b->k, position)->rank);
  const hl_value index = position ? hli_builder_fit(b, position, hli_type_intern(b->k, &t)) : HL_POISON;
  return index ? hli_builder_cast(b, (hl_gather)(b, v, (int32_t)axis, index), dtype) : HL_POISON;
}

/* cat(a, c)[i] = i < length of a ? a[i] : c[i - length of a] */
hl_value(hl_cat)(hl_builder *b, const hl_value *v, uint32_t n, uint32_t axis) {
  int64_t begin[64], total = 0;
  hl_value r = HL_POISON;
  if (!b || b->diag.status != HL_OK)
    return HL_POISON;
  if (!v || n < 1 || n > HLI_COUNT(begin))
    return hli_builder_complain(b, "cat: wants 1 to %zu values, not %u", HLI_COUNT(begin), n);
  for (uint32_t i = 0; i < n; i++) {
    if (!hli_builder_is_value(b, v[i], "cat"))
      return HL_POISON;
    const int64_t length = cat_length(b, v, i, axis);
    if (!length)
      return HL_POISON;
    begin[i] = total;
    total += length;
  }
  const hl_dtype dtype = hli_builder_promoted(b, v, n);
  const hl_value at = dtype ? (hl_arange)(b, total) : HL_POISON;
  if (!at)
    return HL_POISON;
  for (uint32_t i = n; i-- > 0;) {
    const hl_value own = part_of(b, v[i], axis, (hl_binary)(b, HL_SUB, at, (hl_const_i)(b, begin[i])), dtype);
    hl_value before = own && r ? (hl_binary)(b, HL_LT, at, (hl_const_i)(b, begin[i + 1])) : HL_POISON;
    for (uint32_t d = axis + 1u; before && d < hli_type_of(b->k, own)->rank; d++)
      before = (hl_unsqueeze)(b, before, hli_type_of(b->k, before)->rank);
    r = before ? (hl_where)(b, before, own, r) : own;
    if (!r)
      return HL_POISON;
  }
  return r;
}

hl_value(hl_join)(hl_builder *b, hl_value first, hl_value second) {
  if (!b || !hli_builder_is_value(b, first, "join") || !hli_builder_is_value(b, second, "join"))
    return HL_POISON;
  return (hl_stack)(b, (hl_value[]){first, second}, 2, hli_type_of(b->k, first)->rank);
}

/* The maximum over the axis of what is there and the least number elsewhere: exact for every number. */
hl_value(hl_select)(hl_builder *b, hl_value v, uint32_t axis, int64_t index) {
  char words[HLI_TYPE_WORDS];
  if (!b || !hli_builder_is_value(b, v, "select"))
    return HL_POISON;
  const hli_type_data t = *hli_type_of(b->k, v);
  if (axis >= t.rank)
    return hli_builder_complain(b, "select: axis %u is out of range for rank %u", axis, t.rank);
  const int64_t n = hli_axis_size(b->k, t.dims[axis]), at = index < 0 ? index + n : index;
  if (n == 0)
    return hli_builder_complain(b, "select: axis %u of %s has no constant size; it takes those of arange, join, stack and dimensions of static size",
                                axis, hli_type_words(b->k, b->k->values.data[v].type, words));
  if (at < 0 || at >= n)
    return hli_builder_complain(b, "select: index %lld is out of range for %lld elements", (long long)index,
                                (long long)n);
  if (n == 1 && hli_axis_is_one(b->k, t.dims[axis]))
    return (hl_squeeze)(b, v, axis);
  const hl_value here = (hl_binary)(b, HL_EQ, along(b, t.rank, axis, n), (hl_const_i)(b, at));
  if (t.dtype == HL_BOOL)
    return (hl_reduce)(b, HL_REDUCE_ANY, (hl_binary)(b, HL_AND, v, here), (int32_t[]){(int32_t)axis}, 1, false);
  const hl_dtype dtype = (hl_dtype)t.dtype;
  const hli_value least = hli_make_identity(&b->at, dtype, HLI_ID_LOWEST);
  return (hl_reduce)(b, HL_REDUCE_MAX, (hl_where)(b, here, v, least), (int32_t[]){(int32_t)axis}, 1, false);
}

void(hl_split)(hl_builder *b, hl_value v, hl_value out[2]) {
  char words[HLI_TYPE_WORDS];
  out[0] = out[1] = HL_POISON;
  if (!b || !hli_builder_is_value(b, v, "split"))
    return;
  const hli_type_data *t = hli_type_of(b->k, v);
  if (t->rank == 0 || hli_axis_size(b->k, t->dims[t->rank - 1]) != 2) {
    hli_builder_complain(b, "split: wants a last axis of 2, not %s",
                         hli_type_words(b->k, b->k->values.data[v].type, words));
    return;
  }
  const uint32_t last = t->rank - 1u;
  out[0] = (hl_select)(b, v, last, 0);
  out[1] = (hl_select)(b, v, last, 1);
}

/* ---- random numbers ---- */

hl_value(hl_offset)(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n) {
  hl_value sum = HL_POISON;
  if (!b || !hli_builder_ok(b, tensor))
    return HL_POISON;
  const hli_type_data t = *hli_type_of(b->k, tensor);
  if (t.kind != HLI_TYPE_TENSOR || !index || n != t.rank || !n)
    return hli_builder_complain(b, "offset: wants a tensor and one index per dimension");
  for (uint32_t d = 0; d < n; d++) {
    if (index[d] == HL_ALL)
      return hli_builder_complain(b, "offset: index %u is a whole dimension; loop over tiles of it", d);
    if (!hli_builder_ok(b, index[d]))
      return HL_POISON;
    const bool tile = hli_type_of(b->k, index[d])->kind == HLI_TYPE_TILE;
    hl_value i = tile ? (hl_tile_index)(b, index[d]) : index[d];
    if (sum)
      sum = (hl_binary)(b, HL_MUL, sum, (hl_size)(b, tensor, d));
    if (sum && tile) /* a new last axis */
      sum = hli_type_of(b->k, sum)->rank ? (hl_unsqueeze)(b, sum, hli_type_of(b->k, sum)->rank) : sum;
    sum = sum ? (hl_binary)(b, HL_ADD, sum, i) : i;
    if (!sum)
      return HL_POISON;
  }
  return sum;
}

/* The two words of Philox 4x32-10 as one u64, the first one low. */
static hl_value random_words(hl_builder *b, hl_value seed, hl_value offset, const char *what) {
  const hl_value in[2] = {seed, offset};
  if (!b)
    return HL_POISON;
  for (uint32_t i = 0; i < 2; i++) {
    if (!hli_builder_is_value(b, in[i], what))
      return HL_POISON;
    const char kind = hli_dtype_kind(hli_dtype_of(b->k, in[i]));
    if (kind != 'i' && kind != 'u')
      return hli_builder_complain(b, "%s: seed and offset are integers, not %s", what,
                                  hl_dtype_text(hli_dtype_of(b->k, in[i])));
  }
  hl_value v[3] = {hli_builder_cast(b, seed, HL_U64), hli_builder_cast(b, offset, HL_U64), HL_POISON};
  const hli_type t = hli_type_with_dtype(b->k, b->k->values.data[offset].type, HL_U64);
  v[0] = hli_builder_fit(b, v[0], t);
  v[2] = hli_builder_fit(b, (hl_const_i)(b, 0), t);
  if (!v[0] || !v[1] || !v[2])
    return HL_POISON;
  return hli_builder_op(b, &(hli_op_desc){.code = HLI_OP_PHILOX, .operands = v, .operand_count = 3}, 0);
}

/* 24 bits of a word, from bit `from` on, as an f32 in [0, 1). */
static hl_value unit(hl_builder *b, hl_value words, int64_t from) {
  const hl_value high = (hl_binary)(b, HL_SHR, words, (hl_const_i)(b, from));
  const hl_value part = (hl_binary)(b, HL_AND, high, (hl_const_i)(b, 0xffffff));
  const hl_value whole = hli_builder_cast(b, hli_builder_cast(b, part, HL_I32), HL_F32);
  return (hl_binary)(b, HL_MUL, whole, (hl_const_f)(b, 0x1p-24));
}

hl_value(hl_rand)(hl_builder *b, hl_value seed, hl_value offset) {
  const hl_value words = random_words(b, seed, offset, "rand");
  return words ? unit(b, words, 8) : HL_POISON;
}

/* Box and Muller; the logarithm's argument is in (0, 1]. */
hl_value(hl_randn)(hl_builder *b, hl_value seed, hl_value offset) {
  const hl_value words = random_words(b, seed, offset, "randn");
  if (!words)
    return HL_POISON;
  const hl_value u = (hl_binary)(b, HL_ADD, unit(b, words, 8), (hl_const_f)(b, 0x1p-24));
  const hl_value turn = (hl_binary)(b, HL_MUL, unit(b, words, 40), (hl_const_f)(b, 6.283185307179586));
  const hl_value square = (hl_binary)(b, HL_MUL, (hl_unary)(b, HL_LOG, u), (hl_const_f)(b, -2));
  return (hl_binary)(b, HL_MUL, (hl_unary)(b, HL_SQRT, square), (hl_unary)(b, HL_COS, turn));
}

hl_value(hl_randint)(hl_builder *b, hl_value seed, hl_value offset, hl_value low, hl_value high) {
  const hl_value words = random_words(b, seed, offset, "randint");
  if (!words || !hli_builder_is_value(b, low, "randint") || !hli_builder_is_value(b, high, "randint"))
    return HL_POISON;
  const hl_value span = hli_builder_cast(b, (hl_binary)(b, HL_SUB, high, low), HL_U64);
  const hl_value word = (hl_binary)(b, HL_AND, words, (hl_const_i)(b, 0xffffffff));
  const hl_value scaled = (hl_binary)(b, HL_SHR, (hl_binary)(b, HL_MUL, word, span), (hl_const_i)(b, 32));
  return (hl_binary)(b, HL_ADD, hli_builder_cast(b, scaled, HL_I64), hli_builder_cast(b, low, HL_I64));
}
