/* token_quant_fp8.c: dynamic quantisation per token: every row in 8 bits, scaled so that its largest element becomes
 * the format's largest number. */
#include "examples/e4m3.h"
#include "examples/example.h"
#include <math.h>

#define LARGEST     E4M3_LARGEST
#define LEAST_SCALE (1 / (LARGEST * 512))

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "token_quant_fp8", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  const hl_value x = hl_param_tensor(b, "x", dtype, dims, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", HL_F8E4M3, dims, 2, HL_OUT);
  const hl_value scales = hl_param_tensor(b, "scales", HL_F32, dims, 1, HL_OUT);
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value v = hl_cast(b, hl_load(b, x, (hl_value[]){i, HL_ALL}, 2), HL_F32);
  const hl_value most = hl_reduce_max(b, hl_abs(b, v), 1, false);
  const hl_value scale = hl_max(b, hl_mul(b, most, hl_const_f(b, 1 / LARGEST)), hl_const_f(b, LEAST_SCALE));
  hl_store(b, y, (hl_value[]){i, HL_ALL}, 2, hl_div(b, v, hl_unsqueeze(b, scale, 1)));
  hl_store(b, scales, &i, 1, scale);
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *t, uint32_t count) {
  (void)count;
  const int64_t n = t[0].shape[1];
  for (int64_t i = 0; i < t[0].shape[0]; i++) {
    double most = 0;
    for (int64_t j = 0; j < n; j++)
      most = fmax(most, fabs(t[0].data[i * n + j]));
    const double scale = fmax(most / LARGEST, LEAST_SCALE);
    for (int64_t j = 0; j < n; j++)
      t[1].data[i * n + j] = t[0].data[i * n + j] / scale;
    t[2].data[i] = scale;
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1];
  for (int64_t i = 0; i < size[0]; i++) {
    const float *x = (const float *)args[0] + i * n;
    uint8_t *y = (uint8_t *)args[1] + i * n;
    float most = 0;
    for (int64_t j = 0; j < n; j++)
      most = fmaxf(most, fabsf(x[j]));
    const float scale = fmaxf(most * (float)(1 / LARGEST), (float)LEAST_SCALE), inverse = 1 / scale;
    for (int64_t j = 0; j < n; j++)
      y[j] = to_e4m3(x[j] * inverse);
    ((float *)args[2])[i] = scale;
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return (double)size[0] * ((double)size[1] * (element + 1) + 4);
}
static double flops(const int64_t *size) {
  return 3.0 * (double)size[0] * (double)size[1];
}

static const hl_example_shape odd[] = {{{1, 1}}, {{7, 1000}}, {{33, 65}}, {{0}}};

const hl_example hl_example_token_quant_fp8 = {.number = 24,
                                               .name = "token_quant_fp8",
                                               .summary = "rows in f8e4m3, each with its scale",
                                               .dims = {"M", "N"},
                                               .dtypes = example_f32_and_halves,
                                               .build = build,
                                               .reference = reference,
                                               .bench = {{4096, 4096}},
                                               .odd = odd,
                                               .bytes = bytes,
                                               .flops = flops,
                                               .reduction = example_single,
                                               .plain = plain};
