/* long_sum.c: the sum of every row of a matrix with few, long rows: the loop over a row and its carried sum are written
 * out, where sum.c leaves them to the library. */
#include "examples/rows.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "long_sum", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", dtype, &m, 1, HL_OUT);
  hl_value i, j, before, after, sum;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value zero = hl_zeros(b, &i, 1, dtype == HL_F64 ? HL_F64 : HL_F32);
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  o.carried = &zero, o.carried_count = 1, o.carried_in = &before;
  hl_tile_begin_ex(b, (hl_value[]){hl_size(b, x, 1)}, 1, &o, &j);
  const hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){i, j}, 2), dtype == HL_F64 ? HL_F64 : HL_F32);
  after = hl_add(b, before, hl_reduce_sum(b, v, 1, false));
  hl_tile_end(b, &after, &sum);
  hl_store(b, y, &i, 1, sum);
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static const hl_example_shape odd[] = {{{1, 1}}, {{7, 1000}}, {{3, 40001}}, {{33, 65}}, {{0}}};

const hl_example hl_example_long_sum = {.number = 6,
                                        .name = "long_sum",
                                        .summary = "sum of few long rows, in a loop over each",
                                        .dims = {"M", "N"},
                                        .dtypes = example_floats,
                                        .build = build,
                                        .reference = rows_sum_reference,
                                        .bench = {{64, 1 << 20}},
                                        .odd = odd,
                                        .bytes = rows_sum_bytes,
                                        .flops = rows_sum_flops,
                                        .reduction = example_row,
                                        .plains = rows_sum_loops};
