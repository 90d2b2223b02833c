/* softmax_online.c: softmax of every row in two passes over memory, by hand: one loop over chunks of the row carries
 * the largest element and the sum of exponentials about it, a second one writes. */
#include "examples/rows.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "softmax_online", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", dtype, (hl_dim[]){m, n}, 2, HL_OUT);
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  hl_value i, j, in[2], now[2];
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value start[2] = {hl_full(b, &i, 1, work, -INFINITY), hl_zeros(b, &i, 1, work)};
  const hl_value width = hl_size(b, x, 1);
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  o.carried = start, o.carried_count = 2, o.carried_in = in;
  hl_tile_begin_ex(b, &width, 1, &o, &j);
  hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){i, j}, 2), work);
  hl_value top = hl_max(b, in[0], hl_reduce_max(b, v, 1, false));
  hl_value e = hl_reduce_sum(b, hl_exp(b, hl_sub(b, v, hl_unsqueeze(b, top, 1))), 1, false);
  hl_value sum = hl_fma(b, in[1], hl_exp(b, hl_sub(b, in[0], top)), e);
  hl_tile_end(b, (hl_value[]){top, sum}, now);
  hl_tile_begin(b, &width, 1, &j);
  v = hl_cast(b, hl_load(b, x, (hl_value[]){i, j}, 2), work);
  v = hl_exp(b, hl_sub(b, v, hl_unsqueeze(b, now[0], 1)));
  hl_store(b, y, (hl_value[]){i, j}, 2, hl_div(b, v, hl_unsqueeze(b, now[1], 1)));
  hl_tile_end(b, NULL, NULL);
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static double flops(const int64_t *size) {
  return 6.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_softmax_online = {.number = 11,
                                              .name = "softmax_online",
                                              .summary = "softmax of each row, two passes over chunks",
                                              .dims = {"M", "N"},
                                              .dtypes = example_floats,
                                              .build = build,
                                              .reference = rows_softmax_reference,
                                              .bench = {{4096, 4096}},
                                              .odd = example_few_rows,
                                              .bytes = rows_softmax_bytes,
                                              .flops = flops,
                                              .reduction = example_row,
                                              .plains = rows_softmax_loops};
