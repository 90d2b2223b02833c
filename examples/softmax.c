/* softmax.c: softmax of every row in one pass over memory; the largest element is subtracted first, so that
 * the exponentials cannot overflow. */
#include "examples/rows.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "softmax", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", dtype, (hl_dim[]){m, n}, 2, HL_OUT);
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32; /* keep the row in f32 until the end */
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){i, HL_ALL}, 2), work);
  hl_value e = hl_exp(b, hl_sub(b, v, hl_reduce_max(b, v, 1, true)));
  hl_store(b, y, (hl_value[]){i, HL_ALL}, 2, hl_div(b, e, hl_reduce_sum(b, e, 1, true)));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static double flops(const int64_t *size) {
  return 5.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_softmax = {.number = 10,
                                       .name = "softmax",
                                       .summary = "softmax of each row",
                                       .dims = {"M", "N"},
                                       .dtypes = example_floats,
                                       .build = build,
                                       .reference = rows_softmax_reference,
                                       .bench = {{4096, 4096}},
                                       .odd = example_rows,
                                       .bytes = rows_softmax_bytes,
                                       .flops = flops,
                                       .reduction = example_row,
                                       .plains = rows_softmax_loops};
