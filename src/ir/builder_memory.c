/* builder_memory.c: the builder's sizes, tile properties, loads and stores. */
#include "src/ir/builder.h"

hl_value(hl_size)(hl_builder *b, hl_value tensor, uint32_t dim) {
  int64_t d = dim;
  if (!b || !hli_builder_ok(b, tensor))
    return HL_POISON;
  return hli_builder_op(
      b, &(hli_op_desc){.code = HLI_OP_SIZE, .operands = &tensor, .operand_count = 1, .attrs = &d, .attr_len = {1}}, 0);
}

static hl_value tile_property(hl_builder *b, hli_opcode code, hl_value tile) {
  if (!b || !hli_builder_ok(b, tile))
    return HL_POISON;
  return hli_builder_op(b, &(hli_op_desc){.code = code, .operands = &tile, .operand_count = 1}, 0);
}

hl_value(hl_tile_index)(hl_builder *b, hl_value tile) {
  return tile_property(b, HLI_OP_TILE_INDEX, tile);
}
hl_value hl_tile_first(hl_builder *b, hl_value tile) {
  return tile_property(b, HLI_OP_TILE_BEGIN, tile);
}
hl_value hl_tile_last(hl_builder *b, hl_value tile) {
  return tile_property(b, HLI_OP_TILE_END, tile);
}
hl_value hl_tile_id(hl_builder *b, hl_value tile) {
  return tile_property(b, HLI_OP_TILE_ID, tile);
}
hl_value hl_tile_block(hl_builder *b, hl_value tile) {
  return tile_property(b, HLI_OP_BLOCK_SIZE, tile);
}

/* ---- accesses ---- */

typedef struct indices {
  char kind[HL_MAX_RANK];
  hli_value value[HL_MAX_RANK]; /* of the t and s kinds, in order */
  uint32_t count;
  hli_axis want[HL_MAX_RANK]; /* the axes the user's indices select, one per non-scalar index */
  uint32_t rank;
  uint32_t fixed; /* bit i: want[i] comes from a size-1 dimension, which broadcasts */
} indices;

static bool one_index(hl_builder *b, hl_value tensor, uint32_t d, hl_value v, indices *x) {
  const hli_dim dim = hli_type_of(b->k, tensor)->dims[d];
  if (v == HL_ALL) {
    x->kind[d] = ':';
    x->want[x->rank++] = hli_axis_full(b->k, dim);
    return true;
  }
  if (!hli_builder_ok(b, v))
    return false;
  const hli_type_data t = *hli_type_of(b->k, v);
  if (t.kind == HLI_TYPE_TILE && b->k->dims.data[dim].value != 1) {
    x->kind[d] = 't';
    x->value[x->count++] = v;
    x->want[x->rank++] = t.dims[0];
    return true;
  }
  if (t.kind == HLI_TYPE_TILE) { /* a size-1 dimension gives its one element to every lane */
    x->fixed |= 1u << x->rank;
    x->want[x->rank++] = t.dims[0];
    v = (hl_const_i)(b, 0);
  } else if (t.kind != HLI_TYPE_VALUE || t.rank ||
             (hli_dtype_kind((hl_dtype)t.dtype) != 'i' && hli_dtype_kind((hl_dtype)t.dtype) != 'u')) {
    char words[HLI_TYPE_WORDS];
    hli_builder_complain(b, "index %u of %s is a %s: give a tile, an integer scalar or HL_ALL", d + 1,
                         b->k->values.data[tensor].name, hli_type_words(b->k, b->k->values.data[v].type, words));
    return false;
  }
  x->kind[d] = 's';
  x->value[x->count] = hli_builder_cast(b, v, HL_I64);
  return x->value[x->count++] != HL_POISON;
}

static bool read_indices(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, const char *what,
                         indices *x) {
  char words[HLI_TYPE_WORDS];
  memset(x, 0, sizeof *x);
  if (!b || !hli_builder_ok(b, tensor))
    return false;
  const hli_type_data *t = hli_type_of(b->k, tensor);
  if (t->kind != HLI_TYPE_TENSOR) {
    hli_builder_complain(b, "%s: %s is not a tensor", what,
                         hli_type_words(b->k, b->k->values.data[tensor].type, words));
    return false;
  }
  if (!index || n != t->rank) {
    hli_builder_complain(b, "%s: %u indices for %s of rank %u", what, n,
                         hli_type_words(b->k, b->k->values.data[tensor].type, words), t->rank);
    return false;
  }
  for (uint32_t d = 0; d < n; d++)
    if (!one_index(b, tensor, d, index[d], x))
      return false;
  return true;
}

/* The axes that the access itself has: those of size-1 dimensions are absent. */
static uint32_t access_axes(const indices *x, hli_axis *axes, int64_t *place) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->rank; i++) {
    if (x->fixed & (1u << i))
      continue;
    place[n] = i;
    axes[n++] = x->want[i];
  }
  return n;
}

hl_value(hl_load_masked)(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, hl_value mask,
                         hl_value other) {
  indices x;
  hli_axis axes[HL_MAX_RANK];
  int64_t place[HL_MAX_RANK];
  if (!read_indices(b, tensor, index, n, "load", &x))
    return HL_POISON;
  const hl_dtype dtype = hli_dtype_of(b->k, tensor);
  const uint32_t rank = access_axes(&x, axes, place);
  const hli_type type = hli_type_value(b->k, dtype, axes, rank);
  if (mask &&
      (x.fixed || !(mask = hli_builder_fit(b, hli_builder_truth(b, mask), hli_type_with_dtype(b->k, type, HL_BOOL)))))
    return hli_builder_complain(b, "load: a mask does not go with a dimension of size 1 that broadcasts");
  if (other && !(other = hli_builder_fit(b, other, type)))
    return HL_POISON;
  hli_value v = hli_make_load(&b->at, tensor, x.kind, x.value, mask, other, 0);
  if (!v)
    return hli_builder_complain(b, "load: the indices do not fit the tensor");
  if (!x.fixed)
    return v;
  v = hli_make_broadcast(&b->at, v, hli_type_value(b->k, dtype, x.want, x.rank), place);
  return v ? v : hli_builder_no_memory(b);
}

hl_value(hl_load)(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n) {
  return (hl_load_masked)(b, tensor, index, n, HL_POISON, HL_POISON);
}

static void store(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, hl_value v, hl_value mask,
                  bool masked) {
  indices x;
  if (!read_indices(b, tensor, index, n, "store", &x) || !hli_builder_is_value(b, v, "store") || (masked && !mask))
    return;
  if (x.fixed) {
    hli_builder_complain(b, "store: a tile indexes a dimension of size 1 of %s; use the index 0",
                         b->k->values.data[tensor].name);
    return;
  }
  const hli_type type = hli_type_value(b->k, hli_dtype_of(b->k, tensor), x.want, x.rank);
  v = hli_builder_fit(b, v, type);
  if (mask)
    mask = hli_builder_fit(b, hli_builder_truth(b, mask), hli_type_with_dtype(b->k, type, HL_BOOL));
  if (!v || (masked && !mask))
    return;
  if (!hli_make_store(&b->at, tensor, x.kind, x.value, v, mask))
    hli_builder_complain(b, "store: the indices do not fit the tensor");
}

void(hl_store)(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, hl_value v) {
  store(b, tensor, index, n, v, HL_POISON, false);
}

void(hl_store_masked)(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, hl_value v, hl_value mask) {
  store(b, tensor, index, n, v, mask, true);
}
