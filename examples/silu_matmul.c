/* silu_matmul.c: a matrix product with a prologue: out = silu(x) . y. */
#include "examples/product.h"
#include <math.h>

static hl_value activate(hl_builder *b, hl_value x) {
  return hl_silu(b, x);
}

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "silu_matmul", diag, &b);
  if (s != HL_OK)
    return s;
  const product p = product_params(b, dtype, PRODUCT_PLAIN);
  const hl_value z = hl_param_tensor(b, "out", dtype, (hl_dim[]){p.m, p.n}, 2, HL_OUT);
  hl_value t[2];
  hl_tile_begin(b, (hl_value[]){hl_size(b, z, 0), hl_size(b, z, 1)}, 2, t);
  hl_store(b, z, t, 2, product_tile(b, &p, t, activate));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t m = a[2].shape[0], k = a[0].shape[1], n = a[2].shape[1];
  for (int64_t i = 0; i < m; i++) {
    double *row = a[2].data + i * n;
    for (int64_t j = 0; j < n; j++)
      row[j] = 0;
    for (int64_t l = 0; l < k; l++) {
      const double x = a[0].data[i * k + l], s = x / (1 + exp(-x));
      for (int64_t j = 0; j < n; j++)
        row[j] += s * a[1].data[l * n + j];
    }
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t m = size[0], k = size[1], n = size[2];
  const float *x = args[0], *y = args[1];
  for (int64_t i = 0; i < m; i++) {
    float *row = (float *)args[2] + i * n;
    for (int64_t j = 0; j < n; j++)
      row[j] = 0;
    for (int64_t l = 0; l < k; l++) {
      const float s = x[i * k + l] / (1 + expf(-x[i * k + l]));
      for (int64_t j = 0; j < n; j++)
        row[j] += s * y[l * n + j];
    }
  }
}

/* 16 bits are rounded before they are multiplied, and the reference does not. */
static const hl_dtype dtypes[] = {HL_F32, HL_F64, HL_DTYPE_NONE};
static const hl_example_gemm gemm = {.m = 0, .k = 1, .n = 2, .x = 0, .y = 1, .out = 2};

const hl_example hl_example_silu_matmul = {.number = 28,
                                           .name = "silu_matmul",
                                           .summary = "silu(x) . y",
                                           .dims = {"M", "K", "N"},
                                           .dtypes = dtypes,
                                           .build = build,
                                           .reference = reference,
                                           .bench = {{1024, 1024, 1024}},
                                           .odd = product_odd,
                                           .bytes = product_bytes,
                                           .flops = product_flops,
                                           .reduction = product_reduction,
                                           .plain = plain,
                                           .gemm = &gemm};
