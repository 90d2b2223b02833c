/* sum.c: the sum of every row of a matrix. */
#include "examples/rows.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "sum", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", dtype, &m, 1, HL_OUT);
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  hl_store(b, y, &i, 1, hl_reduce_sum(b, hl_load(b, x, (hl_value[]){i, HL_ALL}, 2), 1, false));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static const hl_example_shape odd[] = {{{1, 1}}, {{7, 1000}}, {{33, 65}}, {{129, 2051}}, {{0}}};

const hl_example hl_example_sum = {.number = 5,
                                   .name = "sum",
                                   .summary = "sum of each row",
                                   .dims = {"M", "N"},
                                   .dtypes = example_floats,
                                   .build = build,
                                   .reference = rows_sum_reference,
                                   .bench = {{4096, 4096}},
                                   .odd = odd,
                                   .bytes = rows_sum_bytes,
                                   .flops = rows_sum_flops,
                                   .reduction = example_row,
                                   .plains = rows_sum_loops};
