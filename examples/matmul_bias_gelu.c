/* matmul_bias_gelu.c: a linear layer with its activation: out = gelu(x . y + bias), gelu by tanh. */
#include "examples/product.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "matmul_bias_gelu", diag, &b);
  if (s != HL_OK)
    return s;
  const product p = product_params(b, dtype, PRODUCT_PLAIN);
  const hl_value bias = hl_param_tensor(b, "bias", dtype, &p.n, 1, HL_IN);
  const hl_value z = hl_param_tensor(b, "out", dtype, (hl_dim[]){p.m, p.n}, 2, HL_OUT);
  hl_value t[2];
  hl_tile_begin(b, (hl_value[]){hl_size(b, z, 0), hl_size(b, z, 1)}, 2, t);
  const hl_value sum = product_tile(b, &p, t, NULL);
  hl_store(b, z, t, 2, hl_gelu_tanh(b, hl_add(b, sum, hl_load(b, bias, &t[1], 1))));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const hl_example_tensor *z = &a[3];
  const int64_t m = z->shape[0], n = z->shape[1];
  product_reference(a[0].data, a[1].data, z->data, m, a[0].shape[1], n, PRODUCT_PLAIN);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      const double v = z->data[i * n + j] + a[2].data[j];
      z->data[i * n + j] = 0.5 * v * (1 + tanh(0.7978845608028654 * (v + 0.044715 * v * v * v)));
    }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t m = size[0], n = size[2];
  const float *bias = args[2];
  float *z = args[3];
  product_loop(args[0], args[1], z, m, size[1], n, PRODUCT_PLAIN);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      const float v = z[i * n + j] + bias[j];
      z[i * n + j] = 0.5f * v * (1 + tanhf(0.79788456f * (v + 0.044715f * v * v * v)));
    }
}

static const hl_example_gemm gemm = {.m = 0, .k = 1, .n = 2, .x = 0, .y = 1, .out = 3};

const hl_example hl_example_matmul_bias_gelu = {.number = 28,
                                                .name = "matmul_bias_gelu",
                                                .summary = "gelu(x . y + bias)",
                                                .dims = {"M", "K", "N"},
                                                .dtypes = example_floats,
                                                .build = build,
                                                .reference = reference,
                                                .bench = {{1024, 1024, 1024}},
                                                .odd = product_odd,
                                                .bytes = product_bytes,
                                                .flops = product_flops,
                                                .reduction = product_reduction,
                                                .plain = plain,
                                                .gemm = &gemm};
