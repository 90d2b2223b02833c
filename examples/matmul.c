/* matmul.c: out = x . y, accumulated in f32 (f64 for f64). */
#include "examples/product.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "matmul", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), k = hl_dim_named(b, "K"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, k}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", dtype, (hl_dim[]){k, n}, 2, HL_IN);
  const hl_value z = hl_param_tensor(b, "out", product_output(dtype), (hl_dim[]){m, n}, 2, HL_OUT);
  hl_value t[2], l, acc, sum;
  hl_tile_begin(b, (hl_value[]){hl_size(b, z, 0), hl_size(b, z, 1)}, 2, t); /* a tile of the result per program */
  const hl_value zero = hl_zeros(b, t, 2, product_accumulator(dtype));
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  o.carried = &zero, o.carried_count = 1, o.carried_in = &acc;
  hl_tile_begin_ex(b, (hl_value[]){hl_size(b, x, 1)}, 1, &o, &l); /* along K, some at a time: acc becomes next */
  const hl_value xv = hl_load(b, x, (hl_value[]){t[0], l}, 2), yv = hl_load(b, y, (hl_value[]){l, t[1]}, 2);
  const hl_value next = hl_dot(b, xv, yv, acc);
  hl_tile_end(b, &next, &sum);
  hl_store(b, z, t, 2, sum);
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
