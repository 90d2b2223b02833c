/* random_kernel.c: see random_kernel.h.
 *
 * A term carries, beside its value, what is known of it: |v| <= bound and v * 2^frac is an integer.  A float dtype of p
 * bits holds it exactly while bound * 2^frac <= 2^p; before an operation would leave that, its operands are tamed
 * (floor, clamp).  Integers wrap, so they need a bound only where they become floats. */
#include "tests/fuzz/random_kernel.h"
#include <math.h>
#include "src/ir/builder.h"
#include "tests/fuzz/random_value.h"

const char *const fuzz_dim_names[FUZZ_DIMS] = {"A", "B", "C"};

static const hl_dtype input_dtypes[] = {HL_F32, HL_F32, HL_F32, HL_F64, HL_BF16, HL_F16, HL_I32, HL_I64,
                                        HL_I8,  HL_I16, HL_U8,  HL_U16, HL_U32,  HL_U64, HL_BOOL};

/* ---- parameters ---- */

static void add_input(fuzz_gen *g) {
  fuzz_input *p = &g->input[g->inputs];
  hl_dim dims[FUZZ_DIMS];
  uint32_t order[FUZZ_DIMS] = {0, 1, 2}, n = g->dims;
  for (uint32_t i = 0; i < n; i++) { /* shuffled, but mostly not */
    const uint32_t j = fuzz_below(&g->r, 3) ? i : fuzz_below(&g->r, n), t = order[i];
    order[i] = order[j], order[j] = t;
  }
  p->rank = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (fuzz_below(&g->r, 4) == 0 && (i + 1 < n || p->rank))
      continue; /* at least one stays */
    p->dim[p->rank] = order[i];
    p->one[p->rank] = fuzz_below(&g->r, 12) == 0;
    dims[p->rank] = p->one[p->rank] ? hl_dim_static(g->b, 1) : g->dim[order[i]];
    p->rank++;
  }
  p->dtype = input_dtypes[fuzz_below(&g->r, HLI_COUNT(input_dtypes))];
  char name[8] = {'i', 'n', (char)('0' + g->inputs)};
  p->v = hl_param_tensor(g->b, name, p->dtype, dims, p->rank, HL_IN);
  hl_param_set_spec(g->b, p->v,
                    (hl_arg_spec){HL_DIST_INTEGER, hli_dtype_kind(p->dtype) == 'u' || p->dtype == HL_BOOL ? 0 : -3,
                                  p->dtype == HL_BOOL ? 1 : 3, false});
  g->inputs++;
}

static hl_value output(fuzz_gen *g, const fuzz_space *s, uint32_t mask, bool smooth) {
  static const hl_dtype any[] = {HL_F32, HL_F32, HL_F64, HL_BF16, HL_F16, HL_I32,
                                 HL_I64, HL_I8,  HL_U8,  HL_U32,  HL_BOOL};
  static const hl_dtype floats[] = {HL_F32, HL_F32, HL_F64, HL_BF16, HL_F16};
  hl_dim dims[FUZZ_DIMS];
  uint32_t rank = 0;
  for (uint32_t a = 0; a < s->count; a++)
    if (mask >> a & 1)
      dims[rank++] = g->dim[s->dim[a]];
  char name[8] = {'o', 'u', 't', (char)('0' + g->outputs)};
  fuzz_output *o = &g->output[g->outputs++];
  o->dtype = smooth ? floats[fuzz_below(&g->r, HLI_COUNT(floats))] : any[fuzz_below(&g->r, HLI_COUNT(any))];
  o->smooth = smooth;
  o->index = g->inputs + g->outputs - 1;
  return o->v = hl_param_tensor(g->b, name, o->dtype, dims, rank, HL_OUT);
}

/* Stores a term to output `o`, whose axes are those of `mask`. */
static void store(fuzz_gen *g, const fuzz_space *s, uint32_t o, uint32_t mask, fuzz_term t) {
  hl_value index[FUZZ_DIMS];
  uint32_t n = 0;
  for (uint32_t a = 0; a < s->count; a++)
    if (mask >> a & 1)
      index[n++] = s->full[a] ? HL_ALL : s->tile[a];
  t = g->output[o].smooth ? fuzz_smooth(g, t) : fuzz_fit(g, t, g->output[o].dtype);
  t = fuzz_align(g, t, mask);
  hl_store(g->b, g->output[o].v, index, n, t.v);
}

/* ---- forms ---- */

static void open_tiles(fuzz_gen *g, fuzz_space *s, uint32_t n) {
  hl_value extent[FUZZ_DIMS];
  for (uint32_t a = 0; a < n; a++)
    extent[a] = g->extent[s->dim[a]];
  hl_tile_begin(g->b, extent, n, s->tile);
  s->count = n;
}

/* All axes are tiles of the grid; pointwise. */
static void form_pointwise(fuzz_gen *g) {
  fuzz_space s = {.dim = {0, 1, 2}, .count = g->dims};
  const uint32_t outs = 1 + fuzz_below(&g->r, 2), all = (1u << g->dims) - 1;
  for (uint32_t o = 0; o < outs; o++)
    output(g, &s, all, fuzz_below(&g->r, 4) == 0);
  open_tiles(g, &s, g->dims);
  for (uint32_t o = 0; o < outs; o++)
    store(g, &s, o, all, fuzz_expr(g, &s, 1 + fuzz_below(&g->r, 4)));
  hl_tile_end(g->b, NULL, NULL);
}

/* The last axis is a full slice; reductions along it, and what follows from them. */
static void form_rows(fuzz_gen *g) {
  fuzz_space s = {.dim = {0, 1, 2}, .count = g->dims};
  const uint32_t last = g->dims - 1, all = (1u << g->dims) - 1, rows = all >> 1;
  const bool wide = fuzz_below(&g->r, 2), narrow = !wide || fuzz_below(&g->r, 2);
  if (wide)
    output(g, &s, all, fuzz_below(&g->r, 4) == 0);
  if (narrow)
    output(g, &s, rows, fuzz_below(&g->r, 4) == 0);
  open_tiles(g, &s, last);
  s.count = g->dims;
  s.full[last] = true;
  fuzz_term t = fuzz_expr(g, &s, 1 + fuzz_below(&g->r, 3));
  fuzz_term r = fuzz_reduce(g, &s, t, last);
  if (fuzz_below(&g->r, 2)) {
    t = fuzz_binary(g, t, r);
    r = fuzz_reduce(g, &s, t, last);
  }
  if (wide)
    store(g, &s, 0, all, fuzz_binary(g, fuzz_expr(g, &s, 1), r));
  if (narrow)
    store(g, &s, wide ? 1 : 0, rows, r);
  hl_tile_end(g->b, NULL, NULL);
}

/* The last axis is an inner tile loop that carries sums or extremes. */
static void form_loop(fuzz_gen *g) {
  fuzz_space outer = {.dim = {0, 1, 2}}, s;
  const uint32_t last = g->dims - 1, rows = (1u << last) - 1, all = (1u << g->dims) - 1;
  const bool wide = fuzz_below(&g->r, 3) == 0;
  outer.count = last;
  output(g, &outer, rows, fuzz_below(&g->r, 4) == 0);
  outer.count = g->dims;
  if (wide)
    output(g, &outer, all, false);
  open_tiles(g, &outer, last);
  const hl_dtype acc = fuzz_below(&g->r, 3) ? HL_F32 : fuzz_below(&g->r, 2) ? HL_I32 : HL_F64;
  hl_value first = hl_full(g->b, outer.tile, last, acc, 0), in, out;
  s = outer;
  s.count = g->dims;
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  o.carried = &first, o.carried_count = 1, o.carried_in = &in;
  hl_tile_begin_ex(g->b, &g->extent[s.dim[last]], 1, &o, &s.tile[last]);
  fuzz_term t = fuzz_expr(g, &s, 1 + fuzz_below(&g->r, 3));
  fuzz_term part = fuzz_tame(g, fuzz_full(g, &s, t)); /* sums of what has size 1 would count the tiles */
  const bool sums = fuzz_below(&g->r, 2);
  const int32_t axis = (int32_t)last;
  hl_value r = hl_reduce(g->b, sums ? HL_REDUCE_SUM : HL_REDUCE_MAX, hl_cast(g->b, part.v, acc), &axis, 1, false);
  hl_value next = hl_cast(g->b, hl_binary(g->b, sums ? HL_ADD : HL_MAX, in, r), acc); /* sums of i32 are i64 */
  if (wide)
    store(g, &s, 1, all, t);
  hl_tile_end(g->b, &next, &out);
  const fuzz_term sum = {.v = out, .mask = rows, .bound = part.bound * FUZZ_SIZE};
  fuzz_term again = {0};
  outer.count = last;
  again = fuzz_below(&g->r, 2) ? fuzz_binary(g, sum, fuzz_expr(g, &outer, 1)) : sum;
  store(g, &outer, 0, rows, again);
  hl_tile_end(g->b, NULL, NULL);
}

/* Two grid axes and a dot along an inner tile loop. */
static void form_dot(fuzz_gen *g) {
  static const hl_dtype dtypes[] = {HL_F32, HL_F32, HL_BF16, HL_F16, HL_F64, HL_I8, HL_U8};
  fuzz_space grid = {.dim = {0, 1}}, left = {.dim = {0, 2}, .count = 2}, right = {.dim = {2, 1}, .count = 2};
  grid.count = 2;
  output(g, &grid, 3, fuzz_below(&g->r, 4) == 0);
  open_tiles(g, &grid, 2);
  const hl_dtype d = dtypes[fuzz_below(&g->r, HLI_COUNT(dtypes))], acc = d == HL_F64                ? HL_F64
                                                                         : hli_dtype_kind(d) == 'f' ? HL_F32
                                                                         : d == HL_U8               ? HL_U32
                                                                                                    : HL_I32;
  hl_value first = hl_zeros(g->b, grid.tile, 2, acc), in, out, k;
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  o.carried = &first, o.carried_count = 1, o.carried_in = &in;
  hl_tile_begin_ex(g->b, &g->extent[2], 1, &o, &k);
  left.tile[0] = grid.tile[0], left.tile[1] = k;
  right.tile[0] = k, right.tile[1] = grid.tile[1];
  fuzz_term a = fuzz_full(g, &left, fuzz_tame(g, fuzz_expr(g, &left, fuzz_below(&g->r, 3))));
  fuzz_term c = fuzz_full(g, &right, fuzz_tame(g, fuzz_expr(g, &right, fuzz_below(&g->r, 3))));
  hl_value next = hl_dot(g->b, hl_cast(g->b, a.v, d), hl_cast(g->b, c.v, d), in);
  hl_tile_end(g->b, &next, &out);
  fuzz_term t = {.v = out, .mask = 3, .bound = a.bound * c.bound * FUZZ_SIZE, .frac = a.frac + c.frac};
  for (uint32_t i = fuzz_below(&g->r, 3); i > 0; i--)
    t = fuzz_binary(g, t, fuzz_expr(g, &grid, 1));
  store(g, &grid, 0, 3, t);
  hl_tile_end(g->b, NULL, NULL);
}

/* ---- whole ---- */

static void make(fuzz_gen *g, fuzz_kernel *out) {
  const uint32_t form = fuzz_below(&g->r, 4);
  g->dims = form == 3 ? 3 : (form == 0 ? 1 : 2) + fuzz_below(&g->r, form == 0 ? 3 : 2);
  for (uint32_t d = 0; d < g->dims; d++) {
    g->dim[d] = hl_dim_named(g->b, fuzz_dim_names[d]);
    out->dynamic[d] = fuzz_below(&g->r, 3) == 0;
    if (out->dynamic[d])
      hl_dim_set_dynamic(g->b, g->dim[d]);
  }
  for (uint32_t n = 2 + fuzz_below(&g->r, 3); n > 0; n--)
    add_input(g);
  /* Sizes come from a tensor that has all dimensions. */
  const hl_value sizes = hl_param_tensor(g->b, "sizes", HL_U8, g->dim, g->dims, HL_IN);
  g->input[g->inputs++] = (fuzz_input){.v = sizes, .dtype = HL_U8, .rank = g->dims, .dim = {0, 1, 2}};
  hl_param_set_spec(g->b, sizes, (hl_arg_spec){HL_DIST_INTEGER, 0, 3, false});
  for (uint32_t d = 0; d < g->dims; d++)
    g->extent[d] = hl_size(g->b, sizes, d);
  switch (form) {
  case 0:
    form_pointwise(g);
    break;
  case 1:
    form_rows(g);
    break;
  case 2:
    form_loop(g);
    break;
  default:
    form_dot(g);
  }
}

hl_status fuzz_kernel_make(hl_context *ctx, uint64_t seed, hl_diag *diag, fuzz_kernel *out) {
  fuzz_gen g = {.r = {seed}};
  *out = (fuzz_kernel){0};
  hl_status s = hl_builder_create(ctx, "random", diag, &g.b);
  if (s != HL_OK)
    return s;
  make(&g, out);
  for (uint32_t o = 0; o < g.outputs; o++)
    out->smooth[g.output[o].index] = g.output[o].smooth;
  return hl_builder_finish(g.b, diag, &out->kernel);
}
