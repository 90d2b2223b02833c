/* layer_norm_bwd.c: gradients of layer_norm: of its input, and of weight and bias, summed over blocks of 64 rows;
 * column_sum adds the blocks up. */
#include "examples/blocks.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "layer_norm_bwd", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), p = hl_dim_named(b, "P");
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  const hl_value dy = hl_param_tensor(b, "dy", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value weight = hl_param_tensor(b, "weight", dtype, &n, 1, HL_IN);
  const hl_value mean = hl_param_tensor(b, "mean", work, &m, 1, HL_IN);
  const hl_value rstd = hl_param_tensor(b, "rstd", work, &m, 1, HL_IN);
  const hl_value dx = hl_param_tensor(b, "dx", dtype, (hl_dim[]){m, n}, 2, HL_OUT);
  const hl_value dw = hl_param_tensor(b, "dweight", work, (hl_dim[]){p, n}, 2, HL_OUT);
  const hl_value db = hl_param_tensor(b, "dbias", work, (hl_dim[]){p, n}, 2, HL_OUT);
  hl_param_set_spec(b, rstd, (hl_arg_spec){HL_DIST_UNIFORM, 0.5, 1.5, false});
  const hl_value all = HL_ALL;
  const int32_t along[] = {1};
  hl_value i, j;
  const hl_value block = blocks_begin(b, x, p, &i);
  const hl_value g = hl_cast(b, hl_load(b, dy, (hl_value[]){i, all}, 2), work);
  const hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){i, all}, 2), work);
  const hl_value r = hl_unsqueeze(b, hl_load(b, rstd, &i, 1), 1);
  const hl_value hat = hl_mul(b, hl_sub(b, v, hl_unsqueeze(b, hl_load(b, mean, &i, 1), 1)), r);
  const hl_value gw = hl_mul(b, g, hl_load(b, weight, &all, 1));
  const hl_value c1 = hl_mean(b, hl_mul(b, gw, hat), along, 1, true), c2 = hl_mean(b, gw, along, 1, true);
  const hl_value d = hl_sub(b, hl_sub(b, gw, c2), hl_mul(b, hat, c1));
  hl_store(b, dx, (hl_value[]){i, all}, 2, hl_mul(b, d, r));
  hl_tile_end(b, NULL, NULL);
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 1)}, 1, &j); /* the block's rows again, out of the cache */
  const hl_value at[2] = {block, j}, to[2] = {hl_tile_id(b, block), j};
  const hl_value h = hl_cast(b, hl_load(b, dy, at, 2), work);
  const hl_value u = hl_sub(b, hl_cast(b, hl_load(b, x, at, 2), work), hl_unsqueeze(b, hl_load(b, mean, &block, 1), 1));
  const hl_value scaled = hl_mul(b, hl_mul(b, h, u), hl_unsqueeze(b, hl_load(b, rstd, &block, 1), 1));
  hl_store(b, dw, to, 2, hl_reduce_sum(b, scaled, 0, false));
  hl_store(b, db, to, 2, hl_reduce_sum(b, h, 0, false));
  hl_tile_end(b, NULL, NULL);
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t m = a[0].shape[0], n = a[0].shape[1];
  for (int64_t i = 0; i < a[6].shape[0] * n; i++)
    a[6].data[i] = a[7].data[i] = 0;
  for (int64_t i = 0; i < m; i++) {
    const double *g = a[0].data + i * n, *x = a[1].data + i * n, *w = a[2].data, mean = a[3].data[i], r = a[4].data[i];
    double c1 = 0, c2 = 0;
    for (int64_t j = 0; j < n; j++) {
      c1 += g[j] * w[j] * (x[j] - mean) * r / (double)n;
      c2 += g[j] * w[j] / (double)n;
    }
    for (int64_t j = 0; j < n; j++) {
      const double hat = (x[j] - mean) * r;
      a[5].data[i * n + j] = r * (g[j] * w[j] - c2 - hat * c1);
      a[6].data[i / BLOCK_ROWS * n + j] += g[j] * hat;
      a[7].data[i / BLOCK_ROWS * n + j] += g[j];
    }
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1];
  const float *w = args[2], *means = args[3], *rstds = args[4];
  for (int64_t i = 0; i < size[2] * n; i++)
    ((float *)args[6])[i] = ((float *)args[7])[i] = 0;
  for (int64_t i = 0; i < size[0]; i++) {
    const float *g = (const float *)args[0] + i * n, *x = (const float *)args[1] + i * n, mean = means[i], r = rstds[i];
    float *dx = (float *)args[5] + i * n, *dw = (float *)args[6] + i / BLOCK_ROWS * n,
          *db = (float *)args[7] + i / BLOCK_ROWS * n;
    float c1 = 0, c2 = 0;
    for (int64_t j = 0; j < n; j++) {
      c1 += g[j] * w[j] * (x[j] - mean);
      c2 += g[j] * w[j];
    }
    c1 *= r / (float)n;
    c2 /= (float)n;
    for (int64_t j = 0; j < n; j++) {
      const float hat = (x[j] - mean) * r;
      dx[j] = r * (g[j] * w[j] - c2 - hat * c1);
      dw[j] += g[j] * hat;
      db[j] += g[j];
    }
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return 3.0 * (double)size[0] * (double)size[1] * element + 8.0 * (double)size[2] * (double)size[1];
}
static double flops(const int64_t *size) {
  return 13.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_layer_norm_bwd = {.number = 20,
                                              .name = "layer_norm_bwd",
                                              .summary =
                                                  "gradients of layer_norm, weight and bias by blocks of 64 rows",
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
