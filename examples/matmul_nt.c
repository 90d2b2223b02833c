/* matmul_nt.c: out = x . y^T, y is stored as [N, K]: the product of a linear layer. */
#include "examples/example.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "matmul_nt", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), k = hl_dim_named(b, "K"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, k}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", dtype, (hl_dim[]){n, k}, 2, HL_IN);
  const hl_value z = hl_param_tensor(b, "out", dtype, (hl_dim[]){m, n}, 2, HL_OUT);
  hl_value t[2], acc, kt, next, sum;
  hl_tile_begin(b, (hl_value[]){hl_size(b, z, 0), hl_size(b, z, 1)}, 2, t);
  const hl_value zero = hl_zeros(b, t, 2, dtype == HL_F64 ? HL_F64 : HL_F32);
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  o.carried = &zero, o.carried_count = 1, o.carried_in = &acc;
  hl_tile_begin_ex(b, (hl_value[]){hl_size(b, x, 1)}, 1, &o, &kt);
  const hl_value xv = hl_load(b, x, (hl_value[]){t[0], kt}, 2);
  const hl_value yv = hl_transpose(b, hl_load(b, y, (hl_value[]){t[1], kt}, 2), (uint32_t[]){1, 0});
  next = hl_dot(b, xv, yv, acc);
  hl_tile_end(b, &next, &sum);
  hl_store(b, z, t, 2, sum);
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const hl_example_tensor *z = &a[2];
  const int64_t m = z->shape[0], n = z->shape[1], k = a[0].shape[1];
  for (int64_t i = 0; i < m; i++) {
    double *row = z->data + i * n;
    for (int64_t j = 0; j < n; j++) {
      double sum = 0;
      for (int64_t l = 0; l < k; l++)
        sum += a[0].data[i * k + l] * a[1].data[j * k + l];
      row[j] = sum;
    }
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t m = size[0], k = size[1], n = size[2];
  const float *x = args[0], *y = args[1];
  for (int64_t i = 0; i < m; i++) {
    float *row = (float *)args[2] + i * n;
    for (int64_t j = 0; j < n; j++) {
      float sum = 0;
      for (int64_t l = 0; l < k; l++)
        sum += x[i * k + l] * y[j * k + l];
      row[j] = sum;
    }
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return ((double)size[0] * (double)size[1] + (double)size[1] * (double)size[2] + (double)size[0] * (double)size[2]) *
         element;
}
static double flops(const int64_t *size) {
  return 2.0 * (double)size[0] * (double)size[1] * (double)size[2];
}
static int64_t reduction(const int64_t *size) {
  return size[1];
}

static const hl_dtype dtypes[] = {HL_F32, HL_BF16, HL_F16, HL_F64, HL_DTYPE_NONE};
static const hl_example_shape odd[] = {{{1, 1, 1}}, {{33, 17, 65}}, {{7, 300, 129}}, {{130, 96, 72}}, {{0}}};

const hl_example hl_example_matmul_nt = {.number = 27,
                                         .name = "matmul_nt",
                                         .summary = "matrix product with the transposed of the second",
                                         .dims = {"M", "K", "N"},
                                         .dtypes = dtypes,
                                         .build = build,
                                         .reference = reference,
                                         .bench = {{1024, 1024, 1024}},
                                         .odd = odd,
                                         .bytes = bytes,
                                         .flops = flops,
                                         .reduction = reduction,
                                         .plain = plain};
