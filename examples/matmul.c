/* matmul.c: out = x . y, accumulated in f32 (f64 for f64). */
#include "examples/product.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "matmul", diag, &b);
  if (s != HL_OK)
    return s;
  const product p = product_params(b, dtype, PRODUCT_PLAIN);
  const hl_value z = hl_param_tensor(b, "out", product_output(dtype), (hl_dim[]){p.m, p.n}, 2, HL_OUT);
  hl_value t[2];
  hl_tile_begin(b, (hl_value[]){hl_size(b, z, 0), hl_size(b, z, 1)}, 2, t);
  hl_store(b, z, t, 2, product_tile(b, &p, t, NULL));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t k = a[0].shape[1];
  product_reference(a[0].data, a[1].data, a[2].data, a[2].shape[0], k, a[2].shape[1], PRODUCT_PLAIN);
}

static void plain(void *const *args, const int64_t *size) {
  product_loop(args[0], args[1], args[2], size[0], size[1], size[2], PRODUCT_PLAIN);
}

static const hl_dtype dtypes[] = {HL_F32, HL_BF16, HL_F16, HL_F64, HL_I8, HL_U8, HL_F8E4M3, HL_DTYPE_NONE};
static const hl_example_gemm gemm = {.m = 0, .k = 1, .n = 2, .x = 0, .y = 1, .out = 2, .bare = true};

const hl_example hl_example_matmul = {.number = 27,
                                      .name = "matmul",
                                      .summary = "matrix product",
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
