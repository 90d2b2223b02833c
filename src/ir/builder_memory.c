/* builder_memory.c: the builder's sizes, tile properties, loads and stores. */
#include "src/ir/builder.h"

hl_value(hl_size)(hl_builder *b, hl_value tensor, uint32_t dim) {
  int64_t d = dim;
  if (!b || !hli_builder_ok(b, tensor))
    return HL_POISON;
  return hli_builder_op(
      b, &(hli_op_desc){.code = HLI_OP_SIZE, .operands = &tensor, .operand_count = 1, .attrs = &d, .attr_len = {1}}, 0);
}

hl_value(hl_stride)(hl_builder *b, hl_value tensor, uint32_t dim) {
  int64_t d = dim;
  if (!b || !hli_builder_ok(b, tensor))
    return HL_POISON;
  return hli_builder_op(
      b, &(hli_op_desc){.code = HLI_OP_STRIDE, .operands = &tensor, .operand_count = 1, .attrs = &d, .attr_len = {1}},
      0);
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

/* What the user sees as one shape the access itself sees without the new axes: those are dropped again. */
static hl_value drop_fresh(hl_builder *b, const hli_indices *x, hl_value v) {
  int64_t axes[HL_MAX_RANK];
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->rank; i++)
    if (x->fresh >> i & 1)
      axes[n++] = i;
  if (!v || !n)
    return v;
  return hli_builder_op(
      b, &(hli_op_desc){.code = HLI_OP_SQUEEZE, .operands = &v, .operand_count = 1, .attrs = axes, .attr_len = {n}}, 0);
}

static hl_value fit_mask(hl_builder *b, hl_value mask, hli_type value) {
  return hli_builder_fit(b, hli_builder_truth(b, mask), hli_type_with_dtype(b->k, value, HL_BOOL));
}

static void set_cache(hl_builder *b, hli_op op, hl_evict evict) {
  const int64_t cache = evict;
  if (evict)
    hli_op_set_attr(b->k, op, HLI_ATTR_CACHE, &cache, 1);
}

static bool options_ok(hl_builder *b, const hl_access_options *given, const char *what, hl_access_options *o) {
  *o = (hl_access_options)HL_ACCESS_OPTIONS_INIT;
  if (given && !hli_struct_take(o, sizeof *o, given))
    hli_builder_complain(b, "%s: hl_access_options.size is %zu: start from HL_ACCESS_OPTIONS_INIT", what, given->size);
  else if ((unsigned)o->evict > HL_EVICT_LAST)
    hli_builder_complain(b, "%s: unknown eviction hint %d", what, (int)o->evict);
  else
    return true;
  return false;
}

hl_value(hl_load_ex)(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n,
                     const hl_access_options *options) {
  hl_access_options o;
  hli_indices x;
  hli_axis axes[HL_MAX_RANK];
  int64_t place[HL_MAX_RANK];
  if (!hli_builder_indices(b, tensor, index, n, "load", &x) || !options_ok(b, options, "load", &o))
    return HL_POISON;
  const hl_dtype dtype = hli_dtype_of(b->k, tensor);
  const uint32_t rank = hli_builder_access_axes(&x, axes, place);
  const hli_type seen = hli_type_value(b->k, dtype, x.want, x.rank);
  hl_value mask = o.mask, other = o.other;
  if ((mask && !(mask = fit_mask(b, mask, seen))) || (other && !(other = hli_builder_fit(b, other, seen))))
    return HL_POISON;
  const bool late = x.fixed && mask; /* the one element exists: it is loaded in any case and chosen behind */
  if ((mask && !late && !(mask = drop_fresh(b, &x, mask))) || (other && !late && !(other = drop_fresh(b, &x, other))))
    return HL_POISON;
  if (other && x.fixed && !late)
    return hli_builder_complain(
        b, "load: `other` does not go with a dimension of size 1 that broadcasts, unless there is a mask");
  hli_value v = hli_make_load(&b->at, tensor, x.kind, x.value, late ? 0 : mask, late ? 0 : other, 0);
  if (!v)
    return hli_builder_complain(b, "load: the indices do not fit the tensor");
  set_cache(b, b->k->values.data[v].def, o.evict);
  if (x.rank != rank)
    v = hli_make_broadcast(&b->at, v, seen, place);
  if (!v)
    return hli_builder_no_memory(b);
  return late ? (hl_where)(b, mask, v, other ? other : hli_builder_fit(b, (hl_const_i)(b, 0), seen)) : v;
}

hl_value(hl_load_masked)(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, hl_value mask,
                         hl_value other) {
  hl_access_options o = HL_ACCESS_OPTIONS_INIT;
  o.mask = mask;
  o.other = other;
  return (hl_load_ex)(b, tensor, index, n, &o);
}

hl_value(hl_load)(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n) {
  const hl_access_options o = HL_ACCESS_OPTIONS_INIT;
  return (hl_load_ex)(b, tensor, index, n, &o);
}

void(hl_store_ex)(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, hl_value v,
                  const hl_access_options *options) {
  hl_access_options o;
  hli_indices x;
  if (!hli_builder_indices(b, tensor, index, n, "store", &x) || !hli_builder_is_value(b, v, "store") ||
      !options_ok(b, options, "store", &o))
    return;
  if (x.fixed) {
    hli_builder_complain(b, "store: a tile indexes a dimension of size 1 of %s; use the index 0",
                         b->k->values.data[tensor].name);
    return;
  }
  if (o.other) {
    hli_builder_complain(b, "store: `other` belongs to loads; masked lanes of a store write nothing");
    return;
  }
  const hli_type type = hli_type_value(b->k, hli_dtype_of(b->k, tensor), x.want, x.rank);
  hl_value mask = o.mask;
  v = drop_fresh(b, &x, hli_builder_fit(b, v, type));
  if (mask)
    mask = drop_fresh(b, &x, fit_mask(b, mask, type));
  if (!v || (o.mask && !mask))
    return;
  const hli_op op = hli_make_store(&b->at, tensor, x.kind, x.value, v, mask);
  if (!op)
    hli_builder_complain(b, "store: the indices do not fit the tensor");
  else
    set_cache(b, op, o.evict);
}

void(hl_store)(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, hl_value v) {
  const hl_access_options o = HL_ACCESS_OPTIONS_INIT;
  (hl_store_ex)(b, tensor, index, n, v, &o);
}

void(hl_store_masked)(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, hl_value v, hl_value mask) {
  hl_access_options o = HL_ACCESS_OPTIONS_INIT;
  o.mask = mask;
  if (b && !mask) {
    (void)hli_builder_ok(b, mask); /* poison: complains if nothing did before */
    return;
  }
  (hl_store_ex)(b, tensor, index, n, v, &o);
}

/* ---- atomics ---- */

static bool atomic_ok(hl_builder *b, hl_atomic_op op, hl_value tensor, const hl_atomic_options *given,
                      hl_atomic_options *o) {
  *o = (hl_atomic_options)HL_ATOMIC_OPTIONS_INIT;
  if ((unsigned)op >= HL_ATOMIC_COUNT)
    hli_builder_complain(b, "unknown atomic operation %d", (int)op);
  else if (given && !hli_struct_take(o, sizeof *o, given))
    hli_builder_complain(b, "atomic: hl_atomic_options.size is %zu: start from HL_ATOMIC_OPTIONS_INIT", given->size);
  else if ((unsigned)o->order >= HL_ORDER_COUNT)
    hli_builder_complain(b, "atomic: unknown memory order %d", (int)o->order);
  else if ((op == HL_ATOMIC_CAS) != (o->expected != HL_POISON))
    hli_builder_complain(b,
                         op == HL_ATOMIC_CAS
                             ? "atomic cas: the expected value is missing: set hl_atomic_options.expected"
                             : "atomic %s: only cas takes an expected value",
                         hli_atomic_text(op));
  else if (hli_type_of(b->k, tensor)->kind == HLI_TYPE_TENSOR) {
    const char *why = hli_atomic_refusal(op, hli_dtype_of(b->k, tensor));
    if (!why)
      return true;
    hli_builder_complain(b, "atomic %s into %s of %s: %s", hli_atomic_text(op), b->k->values.data[tensor].name,
                         hl_dtype_text(hli_dtype_of(b->k, tensor)), why);
  }
  return false;
}

hl_value(hl_atomic_ex)(hl_builder *b, hl_atomic_op op, hl_value tensor, const hl_value *index, uint32_t n, hl_value v,
                       const hl_atomic_options *options) {
  hl_atomic_options o;
  hli_indices x;
  hli_axis axes[HL_MAX_RANK];
  int64_t place[HL_MAX_RANK], ints[HL_MAX_RANK + 4];
  hli_value operands[HL_MAX_RANK + 4];
  if (!hli_builder_indices(b, tensor, index, n, "atomic", &x) || !hli_builder_is_value(b, v, "atomic") ||
      !atomic_ok(b, op, tensor, options, &o))
    return HL_POISON;
  if (x.fixed)
    return hli_builder_complain(b, "atomic: a tile indexes a dimension of size 1 of %s; use the index 0",
                                b->k->values.data[tensor].name);
  const hli_type seen = hli_type_value(b->k, hli_dtype_of(b->k, tensor), x.want, x.rank);
  const uint32_t dims = hli_type_of(b->k, tensor)->rank;
  hli_op_desc d = {
      .code = HLI_OP_ATOMIC, .operands = operands, .attrs = ints, .attr_len = {dims, o.mask != 0, 0, 1, o.order != 0}};
  operands[d.operand_count++] = tensor;
  for (uint32_t i = 0; i < x.count; i++)
    operands[d.operand_count++] = x.value[i];
  if (o.expected)
    operands[d.operand_count++] = drop_fresh(b, &x, hli_builder_fit(b, o.expected, seen));
  operands[d.operand_count++] = drop_fresh(b, &x, hli_builder_fit(b, v, seen));
  if (o.mask)
    operands[d.operand_count++] = drop_fresh(b, &x, fit_mask(b, o.mask, seen));
  for (uint32_t i = 0; i < d.operand_count; i++)
    if (!operands[i])
      return HL_POISON;
  uint32_t at = 0;
  for (; at < dims; at++)
    ints[at] = x.kind[at];
  if (o.mask)
    ints[at++] = 1;
  ints[at++] = op;
  ints[at++] = o.order;
  const hl_value old = hli_builder_op(b, &d, 0);
  if (!old || hli_builder_access_axes(&x, axes, place) == x.rank)
    return old;
  const hl_value r = hli_make_broadcast(&b->at, old, seen, place);
  return r ? r : hli_builder_no_memory(b);
}

hl_value(hl_atomic)(hl_builder *b, hl_atomic_op op, hl_value tensor, const hl_value *index, uint32_t n, hl_value v) {
  const hl_atomic_options o = HL_ATOMIC_OPTIONS_INIT;
  return (hl_atomic_ex)(b, op, tensor, index, n, v, &o);
}
