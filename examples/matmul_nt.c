/* matmul_nt.c: out = x . y^T, y is stored as [N, K]: the product of a linear layer. */
#include "examples/product.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  return product_build(ctx, "matmul_nt", dtype, PRODUCT_Y_TRANSPOSED, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t k = a[0].shape[1];
  product_reference(a[0].data, a[1].data, a[2].data, a[2].shape[0], k, a[2].shape[1], PRODUCT_Y_TRANSPOSED);
}

static void plain(void *const *args, const int64_t *size) {
  product_loop(args[0], args[1], args[2], size[0], size[1], size[2], PRODUCT_Y_TRANSPOSED);
}

static const hl_example_gemm gemm = {
    .m = 0, .k = 1, .n = 2, .x = 0, .y = 1, .out = 2, .y_transposed = true, .bare = true};

const hl_example hl_example_matmul_nt = {.number = 27,
                                         .name = "matmul_nt",
                                         .summary = "matrix product with the transposed of the second",
                                         .dims = {"M", "K", "N"},
                                         .dtypes = product_dtypes,
                                         .build = build,
                                         .reference = reference,
                                         .bench = {{1024, 1024, 1024}},
                                         .odd = product_odd,
                                         .bytes = product_bytes,
                                         .flops = product_flops,
                                         .reduction = product_reduction,
                                         .plain = plain,
                                         .gemm = &gemm};
