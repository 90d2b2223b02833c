/* rms_norm_block_quant.c: rms_norm, then every 128 elements of a row in 8 bits with a scale of their own. */
#include "examples/e4m3.h"
#include "examples/example.h"
#include <math.h>

#define BLOCK       128
#define LARGEST     E4M3_LARGEST
#define LEAST_SCALE (1 / (LARGEST * 512))
#define EPS         1e-6

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "rms_norm_block_quant", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), blocks = hl_dim_named(b, "B");
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value weight = hl_param_tensor(b, "weight", dtype, &n, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", HL_F8E4M3, (hl_dim[]){m, n}, 2, HL_OUT);
  const hl_value scales = hl_param_tensor(b, "scales", HL_F32, (hl_dim[]){m, blocks}, 2, HL_OUT);
  hl_dim_set_size(b, blocks, example_blocks(b, hl_size(b, x, 1), BLOCK));
  hl_tile_options fixed = HL_TILE_OPTIONS_INIT;
  fixed.block_min[0] = fixed.block_max[0] = BLOCK;
  hl_value i, j;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value row = hl_cast(b, hl_load(b, x, (hl_value[]){i, HL_ALL}, 2), HL_F32);
  const hl_value square = hl_mean(b, hl_mul(b, row, row), (int32_t[]){1}, 1, true);
  const hl_value r = hl_rsqrt(b, hl_add(b, square, hl_const_f(b, EPS)));
  hl_tile_begin_ex(b, (hl_value[]){hl_size(b, x, 1)}, 1, &fixed, &j);
  const hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){i, j}, 2), HL_F32);
  const hl_value w = hl_cast(b, hl_load(b, weight, &j, 1), HL_F32), norm = hl_mul(b, hl_mul(b, v, r), w);
  const hl_value most = hl_reduce_max(b, hl_abs(b, norm), 1, false);
  const hl_value scale = hl_max(b, hl_mul(b, most, hl_const_f(b, 1 / LARGEST)), hl_const_f(b, LEAST_SCALE));
  hl_store(b, y, (hl_value[]){i, j}, 2, hl_div(b, norm, hl_unsqueeze(b, scale, 1)));
  hl_store(b, scales, (hl_value[]){i, hl_tile_id(b, j)}, 2, scale);
  hl_tile_end(b, NULL, NULL);
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *t, uint32_t count) {
  (void)count;
  const int64_t n = t[0].shape[1], blocks = t[3].shape[1];
  for (int64_t i = 0; i < t[0].shape[0]; i++) {
    const double *x = t[0].data + i * n;
    double square = 0;
    for (int64_t j = 0; j < n; j++)
      square += x[j] * x[j];
    const double r = 1 / sqrt(square / (double)n + EPS);
    for (int64_t k = 0; k < blocks; k++) {
      const int64_t end = (k + 1) * BLOCK < n ? (k + 1) * BLOCK : n;
      double most = 0;
      for (int64_t j = k * BLOCK; j < end; j++)
        most = fmax(most, fabs(x[j] * r * t[1].data[j]));
      const double scale = fmax(most / LARGEST, LEAST_SCALE);
      for (int64_t j = k * BLOCK; j < end; j++)
        t[2].data[i * n + j] = x[j] * r * t[1].data[j] / scale;
      t[3].data[i * blocks + k] = scale;
    }
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1], blocks = size[2];
  const float *w = args[1];
  for (int64_t i = 0; i < size[0]; i++) {
    const float *x = (const float *)args[0] + i * n;
    uint8_t *y = (uint8_t *)args[2] + i * n;
    float square = 0;
    for (int64_t j = 0; j < n; j++)
      square += x[j] * x[j];
    const float r = 1 / sqrtf(square / (float)n + (float)EPS);
    for (int64_t k = 0; k < blocks; k++) {
      const int64_t end = (k + 1) * BLOCK < n ? (k + 1) * BLOCK : n;
      float most = 0;
      for (int64_t j = k * BLOCK; j < end; j++)
        most = fmaxf(most, fabsf(x[j] * r * w[j]));
      const float scale = fmaxf(most * (float)(1 / LARGEST), (float)LEAST_SCALE), inverse = 1 / scale;
      for (int64_t j = k * BLOCK; j < end; j++)
        y[j] = to_e4m3(x[j] * r * w[j] * inverse);
      ((float *)args[3])[i * blocks + k] = scale;
    }
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return (double)size[0] * ((double)size[1] * (element + 1) + 4.0 * (double)size[2]) + (double)size[1] * element;
}
static double flops(const int64_t *size) {
  return 7.0 * (double)size[0] * (double)size[1];
}

static const hl_example_shape odd[] = {{{1, 1, 1}}, {{7, 1000, 8}}, {{33, 65, 1}}, {{5, 384, 3}}, {{0}}};

const hl_example hl_example_rms_norm_block_quant = {.number = 25,
                                                    .name = "rms_norm_block_quant",
                                                    .summary = "rms_norm in f8e4m3 with a scale per 128 elements",
                                                    .dims = {"M", "N", "B"},
                                                    .dtypes = example_f32_and_halves,
                                                    .build = build,
                                                    .reference = reference,
                                                    .bench = {{4096, 4096, 32}},
                                                    .odd = odd,
                                                    .bytes = bytes,
                                                    .flops = flops,
                                                    .reduction = example_row,
                                                    .plain = plain};
