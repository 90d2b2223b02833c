/* rms_norm_bwd.c: gradients of rms_norm: of its input, and of its weight, summed over blocks of 64 rows; column_sum
 * adds the blocks up. */
#include "examples/blocks.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "rms_norm_bwd", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), p = hl_dim_named(b, "P");
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  const hl_value dy = hl_param_tensor(b, "dy", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value weight = hl_param_tensor(b, "weight", dtype, &n, 1, HL_IN);
  const hl_value inverse = hl_param_tensor(b, "inv_rms", work, &m, 1, HL_IN);
  const hl_value dx = hl_param_tensor(b, "dx", dtype, (hl_dim[]){m, n}, 2, HL_OUT);
  const hl_value dw = hl_param_tensor(b, "dweight", work, (hl_dim[]){p, n}, 2, HL_OUT);
  hl_param_set_spec(b, inverse, (hl_arg_spec){HL_DIST_UNIFORM, 0.5, 1.5, false});
  const hl_value all = HL_ALL;
  hl_value i, j;
  const hl_value block = blocks_begin(b, x, p, &i);
  const hl_value g = hl_cast(b, hl_load(b, dy, (hl_value[]){i, all}, 2), work);
  const hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){i, all}, 2), work);
  const hl_value r = hl_unsqueeze(b, hl_load(b, inverse, &i, 1), 1);
  const hl_value gw = hl_mul(b, g, hl_load(b, weight, &all, 1)), vr = hl_mul(b, v, r);
  const hl_value mean = hl_mean(b, hl_mul(b, gw, vr), (int32_t[]){1}, 1, true);
  hl_store(b, dx, (hl_value[]){i, all}, 2, hl_mul(b, r, hl_sub(b, gw, hl_mul(b, vr, mean))));
  hl_tile_end(b, NULL, NULL);
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 1)}, 1, &j); /* the block's rows again, out of the cache */
  const hl_value at[2] = {block, j};
  const hl_value h = hl_mul(b, hl_cast(b, hl_load(b, dy, at, 2), work), hl_load(b, x, at, 2));
  const hl_value scaled = hl_mul(b, h, hl_unsqueeze(b, hl_load(b, inverse, &block, 1), 1));
  hl_store(b, dw, (hl_value[]){hl_tile_id(b, block), j}, 2, hl_reduce_sum(b, scaled, 0, false));
  hl_tile_end(b, NULL, NULL);
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t m = a[0].shape[0], n = a[0].shape[1];
  for (int64_t i = 0; i < a[5].shape[0] * n; i++)
    a[5].data[i] = 0;
  for (int64_t i = 0; i < m; i++) {
    const double *g = a[0].data + i * n, *x = a[1].data + i * n, *w = a[2].data, r = a[3].data[i];
    double mean = 0;
    for (int64_t j = 0; j < n; j++)
      mean += g[j] * w[j] * x[j] * r / (double)n;
    for (int64_t j = 0; j < n; j++) {
      a[4].data[i * n + j] = r * (g[j] * w[j] - x[j] * r * mean);
      a[5].data[i / BLOCK_ROWS * n + j] += g[j] * x[j] * r;
    }
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1];
  const float *w = args[2], *inverse = args[3];
  for (int64_t i = 0; i < size[2] * n; i++)
    ((float *)args[5])[i] = 0;
  for (int64_t i = 0; i < size[0]; i++) {
    const float *g = (const float *)args[0] + i * n, *x = (const float *)args[1] + i * n, r = inverse[i];
    float *dx = (float *)args[4] + i * n, *dw = (float *)args[5] + i / BLOCK_ROWS * n, mean = 0;
    for (int64_t j = 0; j < n; j++)
      mean += g[j] * w[j] * x[j];
    mean *= r / (float)n;
    for (int64_t j = 0; j < n; j++) {
      dx[j] = r * (g[j] * w[j] - x[j] * r * mean);
      dw[j] += g[j] * x[j] * r;
    }
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return 3.0 * (double)size[0] * (double)size[1] * element + 4.0 * (double)size[2] * (double)size[1];
}
static double flops(const int64_t *size) {
  return 9.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_rms_norm_bwd = {.number = 19,
                                            .name = "rms_norm_bwd",
                                            .summary = "gradients of rms_norm, the weight's by blocks of 64 rows",
                                            .dims = {"M", "N", "P"},
                                            .dtypes = example_floats,
                                            .build = build,
                                            .reference = reference,
                                            .bench = {{4096, 4096, 64}},
                                            .odd = blocks_odd,
                                            .bytes = bytes,
                                            .flops = flops,
                                            .reduction = blocks_reduction,
                                            .plain = plain};
