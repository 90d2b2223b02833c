/* mask_gather.c: accesses with integer tiles, in the form that a GPU wants: all indices are scalars or integer tiles of
 * the value's own shape, and the mask says which lanes exist.
 *
 *   %i = range %b, %n {axis = $i}; %g = load %ids[%i] : i64[$i]      # the last block is ragged
 *                                                                    %p = broadcast %g {dims = [0]} : i64[$i, $j]
 *   %v = load %w[%g, %j] : f32[$i, $j]                        ->     %q = broadcast (tile_index %j) {dims = [1]} :
 * i64[$i, $j] %m = broadcast (in_bounds %i) {dims = [0]} : bool[$i, $j] %v = load %w[%p, %q], mask %m {check = [1, 0]}
 * : f32[$i, $j]
 *
 * check: 1 where lanes may lie outside the tensor, 0 where they do not. */
#include "src/pass/index.h"
#include "src/pass/mask.h"

typedef struct rewrite {
  hl_kernel *k;
  hli_cursor at;
  hli_type index, truth; /* of the value's shape */
  hli_value mask;
} rewrite;

static void and_in_bounds(rewrite *r, hli_value range, uint32_t dim) {
  const int64_t at = dim;
  hli_value m = hli_make_broadcast(&r->at, hli_make_unary(&r->at, HLI_OP_IN_BOUNDS, range), r->truth, &at);
  r->mask = r->mask ? hli_make_binary(&r->at, HLI_OP_AND, r->mask, m) : m;
}

static hli_value tile_positions(rewrite *r, hli_value tile, uint32_t dim) {
  const int64_t at = dim;
  if (!hli_range_inside(r->k, tile))
    and_in_bounds(r, tile, dim);
  return hli_make_broadcast(&r->at, hli_make_unary(&r->at, HLI_OP_TILE_INDEX, tile), r->index, &at);
}

static hli_value spread(rewrite *r, const hli_access *a, uint32_t d, hli_ranges_fn ranges, void *user) {
  const hli_type_data t = *hli_type_of(r->k, a->index[d]);
  int64_t dims[HL_MAX_RANK];
  for (uint32_t i = 0; i < t.rank; i++) {
    hli_value found[HLI_MASK_RANGES];
    dims[i] = a->gather[d][i];
    const uint32_t n = ranges(user, a->index[d], i, found);
    for (uint32_t j = 0; j < n; j++)
      and_in_bounds(r, found[j], (uint32_t)dims[i]);
  }
  return hli_make_broadcast(&r->at, a->index[d], r->index, dims);
}

bool hli_mask_gather(hl_kernel *k, hli_op op, hli_ranges_fn ranges, void *user) {
  const hli_op_data o = *hli_op_get(k, op);
  hli_access a;
  hli_value index[HL_MAX_RANK] = {0};
  char kinds[HL_MAX_RANK];
  int64_t check[HL_MAX_RANK] = {0};
  hli_access_get(k, op, &a);
  const hli_type type = k->values.data[a.value].type;
  rewrite r = {.k = k,
               .at = {.k = k, .block = o.block, .before = op, .file = o.file, .line = o.line},
               .index = hli_type_with_dtype(k, type, HL_I64),
               .truth = hli_type_with_dtype(k, type, HL_BOOL),
               .mask = a.mask};
  for (uint32_t d = 0; d < a.rank; d++) {
    if (a.kind[d] == 't')
      index[d] = tile_positions(&r, a.index[d], (uint32_t)a.value_dim[d]);
    else if (a.kind[d] == 's')
      index[d] = a.index[d];
    else {
      check[d] = !hli_index_low(k, a.index[d]) || !hli_index_high(k, a.index[d], a.base, d);
      index[d] = spread(&r, &a, d, ranges, user);
    }
    kinds[d] = a.kind[d] == 's' ? 's' : 'g';
    if (!index[d])
      return false;
  }
  const hli_op n = hli_make_access(&r.at, op, kinds, index, r.mask, check);
  if (!n)
    return false;
  if (o.result_count) {
    k->values.data[hli_result(k, n, 0)].name = k->values.data[o.results].name;
    hli_replace_uses(k, o.results, hli_result(k, n, 0));
  }
  hli_op_remove(k, op);
  return true;
}
