/* welford.c: layer_norm whose mean and variance are found in one pass over chunks of the row: count, mean and sum of
 * squared distances of what was seen are merged with those of the next chunk (Chan's form of Welford's update). */
#include "examples/rows.h"
#include <math.h>

static hl_value mean_and_rest(hl_builder *b, hl_value x, hl_value i, hl_value width, hl_dtype work, hl_value *rest) {
  hl_value j, in[2], seen[2];
  const hl_value start[2] = {hl_zeros(b, &i, 1, work), hl_zeros(b, &i, 1, work)};
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  o.carried = start, o.carried_count = 2, o.carried_in = in;
  hl_tile_begin_ex(b, &width, 1, &o, &j);
  const hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){i, j}, 2), work);
  const hl_value before = hl_cast(b, hl_tile_first(b, j), work), after = hl_cast(b, hl_tile_last(b, j), work);
  const hl_value n = hl_sub(b, after, before), mean = hl_div(b, hl_reduce_sum(b, v, 1, false), n);
  const hl_value far = hl_sub(b, v, hl_unsqueeze(b, mean, 1));
  const hl_value squares = hl_reduce_sum(b, hl_mul(b, far, far), 1, false);
  const hl_value d = hl_sub(b, mean, in[0]), share = hl_div(b, n, after);
  const hl_value next[2] = {hl_fma(b, d, share, in[0]),
                            hl_add(b, hl_add(b, in[1], squares), hl_mul(b, hl_mul(b, d, d), hl_mul(b, before, share)))};
  hl_tile_end(b, next, seen);
  *rest = seen[1];
  return seen[0];
}

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "welford", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value weight = hl_param_tensor(b, "weight", dtype, &n, 1, HL_IN);
  const hl_value bias = hl_param_tensor(b, "bias", dtype, &n, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", dtype, (hl_dim[]){m, n}, 2, HL_OUT);
  hl_param_set_spec(b, x, (hl_arg_spec){HL_DIST_NORMAL, 4, 1, false});
  hl_value i, j, rest;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value width = hl_size(b, x, 1);
  const hl_value mean = mean_and_rest(b, x, i, width, work, &rest);
  const hl_value variance = hl_div(b, rest, hl_cast(b, width, work));
  const hl_value rstd = hl_rsqrt(b, hl_add(b, variance, hl_const_f(b, 1e-5)));
  hl_tile_begin(b, &width, 1, &j);
  const hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){i, j}, 2), work);
  const hl_value hat = hl_mul(b, hl_sub(b, v, hl_unsqueeze(b, mean, 1)), hl_unsqueeze(b, rstd, 1));
  hl_store(b, y, (hl_value[]){i, j}, 2, hl_fma(b, hat, hl_load(b, weight, &j, 1), hl_load(b, bias, &j, 1)));
  hl_tile_end(b, NULL, NULL);
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t n = a[0].shape[1];
  double mean;
  for (int64_t i = 0; i < a[0].shape[0]; i++)
    rows_normalize(a[0].data + i * n, a[1].data, a[2].data, &a[3], i, &mean);
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1];
  const float *weight = args[1], *bias = args[2];
  for (int64_t i = 0; i < size[0]; i++) {
    const float *x = (const float *)args[0] + i * n;
    float *out = (float *)args[3] + i * n, mean = 0, square = 0;
    for (int64_t j = 0; j < n; j++) {
      const float d = x[j] - mean;
      mean += d / (float)(j + 1);
      square += d * (x[j] - mean);
    }
    const float rstd = 1 / sqrtf(square / (float)n + 1e-5f);
    for (int64_t j = 0; j < n; j++)
      out[j] = (x[j] - mean) * rstd * weight[j] + bias[j];
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return 2.0 * (double)size[0] * (double)size[1] * element;
}
static double flops(const int64_t *size) {
  return 8.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_welford = {.number = 21,
                                       .name = "welford",
                                       .summary = "layer_norm with Welford's one-pass mean and variance",
                                       .dims = {"M", "N"},
                                       .dtypes = example_floats,
                                       .build = build,
                                       .reference = reference,
                                       .bench = {{4096, 4096}},
                                       .odd = example_few_rows,
                                       .bytes = bytes,
                                       .flops = flops,
                                       .reduction = example_row,
                                       .plain = plain};
