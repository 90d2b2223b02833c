/* bmm.c: out[b] = x[b] . y[b]: a product for each matrix of a batch. */
#include "examples/product.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  return product_build_batch(ctx, "bmm", dtype, false, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t m = a[2].shape[1], k = a[0].shape[2], n = a[2].shape[2];
  for (int64_t b = 0; b < a[2].shape[0]; b++)
    product_reference(a[0].data + b * m * k, a[1].data + b * k * n, a[2].data + b * m * n, m, k, n, PRODUCT_PLAIN);
}

static void plain(void *const *args, const int64_t *s) {
  for (int64_t b = 0; b < s[0]; b++)
    product_loop((const float *)args[0] + b * s[1] * s[2], (const float *)args[1] + b * s[2] * s[3],
                 (float *)args[2] + b * s[1] * s[3], s[1], s[2], s[3], PRODUCT_PLAIN);
}

static double bytes(const int64_t *s, uint32_t element) {
  return (double)s[0] * product_bytes(s + 1, element);
}
static const hl_example_gemm gemm = {.batch = 1, .m = 1, .k = 2, .n = 3, .x = 0, .y = 1, .out = 2, .bare = true};

const hl_example hl_example_bmm = {.number = 29,
                                   .name = "bmm",
                                   .summary = "a matrix product per matrix of a batch",
                                   .dims = {"B", "M", "K", "N"},
                                   .dtypes = product_dtypes,
                                   .build = build,
                                   .reference = reference,
                                   .bench = {{16, 512, 512, 512}},
                                   .odd = product_batch_odd,
                                   .bytes = bytes,
                                   .flops = product_batch_flops,
                                   .reduction = product_batch_reduction,
                                   .plain = plain,
                                   .gemm = &gemm};
