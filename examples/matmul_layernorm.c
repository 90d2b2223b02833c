/* matmul_layernorm.c: rows of a product, shifted to mean 0 and scaled to variance 1, times a weight plus a bias,
 * without the product ever being in memory. */
#include "examples/product.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "matmul_layernorm", diag, &b);
  if (s != HL_OK)
    return s;
  const product p = product_params(b, dtype, PRODUCT_PLAIN);
  const hl_value weight = hl_param_tensor(b, "weight", dtype, &p.n, 1, HL_IN);
  const hl_value bias = hl_param_tensor(b, "bias", dtype, &p.n, 1, HL_IN);
  const hl_value z = hl_param_tensor(b, "out", dtype, (hl_dim[]){p.m, p.n}, 2, HL_OUT);
  const hl_value all = HL_ALL;
  const int32_t last = -1;
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, z, 0)}, 1, &i);
  const hl_value x = hl_load(b, p.x, (hl_value[]){i, all}, 2), y = hl_load(b, p.y, (hl_value[]){all, all}, 2);
  const hl_value v = hl_dot(b, x, y, HL_POISON), d = hl_sub(b, v, hl_mean(b, v, &last, 1, true));
  const hl_value rstd = hl_rsqrt(b, hl_add(b, hl_mean(b, hl_mul(b, d, d), &last, 1, true), hl_const_f(b, 1e-5)));
  const hl_value scaled = hl_mul(b, hl_mul(b, d, rstd), hl_load(b, weight, &all, 1));
  hl_store(b, z, (hl_value[]){i, all}, 2, hl_add(b, scaled, hl_load(b, bias, &all, 1)));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

#define NORMALISE(row, weight, bias, number, root)                                                                     \
  do {                                                                                                                 \
    number mean = 0, square = 0;                                                                                       \
    for (int64_t j = 0; j < n; j++)                                                                                    \
      mean += (row)[j];                                                                                                \
    mean /= (number)n;                                                                                                 \
    for (int64_t j = 0; j < n; j++)                                                                                    \
      square += ((row)[j] - mean) * ((row)[j] - mean);                                                                 \
    const number rstd = 1 / root(square / (number)n + (number)1e-5);                                                   \
    for (int64_t j = 0; j < n; j++)                                                                                    \
      (row)[j] = ((row)[j] - mean) * rstd * (weight)[j] + (bias)[j];                                                   \
  } while (0)

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t m = a[4].shape[0], n = a[4].shape[1];
  product_reference(a[0].data, a[1].data, a[4].data, m, a[0].shape[1], n, PRODUCT_PLAIN);
  for (int64_t i = 0; i < m; i++)
    NORMALISE(a[4].data + i * n, a[2].data, a[3].data, double, sqrt);
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[2];
  const float *weight = args[2], *bias = args[3];
  float *out = args[4];
  product_loop(args[0], args[1], out, size[0], size[1], n, PRODUCT_PLAIN);
  for (int64_t i = 0; i < size[0]; i++)
    NORMALISE(out + i * n, weight, bias, float, sqrtf);
}

static int64_t reduction(const int64_t *size) {
  return size[1] + size[2];
}

static const hl_example_shape odd[] = {{{1, 1, 1}}, {{33, 17, 65}}, {{7, 60, 40}}, {{0}}};
static const hl_example_gemm gemm = {.m = 0, .k = 1, .n = 2, .x = 0, .y = 1, .out = 4};

const hl_example hl_example_matmul_layernorm = {.whole_rows = true,
                                                .number = 30,
                                                .name = "matmul_layernorm",
                                                .summary = "layer norm of the rows of a matrix product",
                                                .dims = {"M", "K", "N"},
                                                .dtypes = example_floats,
                                                .build = build,
                                                .reference = reference,
                                                .bench = {{2048, 512, 512}},
                                                .odd = odd,
                                                .bytes = product_bytes,
                                                .flops = product_flops,
                                                .reduction = reduction,
                                                .plain = plain,
                                                .gemm = &gemm};
