/* product.c: see product.h. */
#include "examples/product.h"

const hl_example_shape product_odd[] = {{{1, 1, 1}}, {{33, 17, 65}}, {{7, 300, 129}}, {{130, 96, 72}}, {{0}}};
const hl_dtype product_dtypes[] = {HL_F32, HL_BF16, HL_F16, HL_F64, HL_I8, HL_DTYPE_NONE};

hl_dtype product_accumulator(hl_dtype dtype) {
  return dtype == HL_F64 ? HL_F64 : dtype == HL_I8 ? HL_I32 : dtype == HL_U8 ? HL_U32 : HL_F32;
}

hl_dtype product_output(hl_dtype dtype) {
  return hl_dtype_size(dtype) == 1 ? product_accumulator(dtype) : dtype;
}

product product_params(hl_builder *b, hl_dtype dtype, int stored) {
  product p = {.m = hl_dim_named(b, "M"), .k = hl_dim_named(b, "K"), .n = hl_dim_named(b, "N")};
  p.dtype = dtype, p.stored = stored;
  const hl_dim x[2][2] = {{p.m, p.k}, {p.k, p.m}}, y[2][2] = {{p.k, p.n}, {p.n, p.k}};
  p.x = hl_param_tensor(b, "x", dtype, x[stored & PRODUCT_X_TRANSPOSED ? 1 : 0], 2, HL_IN);
  p.y = hl_param_tensor(b, "y", dtype, y[stored & PRODUCT_Y_TRANSPOSED ? 1 : 0], 2, HL_IN);
  return p;
}

static hl_value load(hl_builder *b, hl_value tensor, hl_value row, hl_value column, bool transposed) {
  if (!transposed)
    return hl_load(b, tensor, (hl_value[]){row, column}, 2);
  return hl_transpose(b, hl_load(b, tensor, (hl_value[]){column, row}, 2), (uint32_t[]){1, 0});
}

hl_value product_tile(hl_builder *b, const product *p, const hl_value *t, product_prologue prologue) {
  const bool xt = p->stored & PRODUCT_X_TRANSPOSED, yt = p->stored & PRODUCT_Y_TRANSPOSED;
  hl_value acc, kt, next, sum;
  const hl_value zero = hl_zeros(b, t, 2, product_accumulator(p->dtype));
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  o.carried = &zero, o.carried_count = 1, o.carried_in = &acc;
  hl_tile_begin_ex(b, (hl_value[]){hl_size(b, p->x, xt ? 0 : 1)}, 1, &o, &kt);
  hl_value x = load(b, p->x, t[0], kt, xt);
  if (prologue)
    x = prologue(b, x);
  next = hl_dot(b, x, load(b, p->y, kt, t[1], yt), acc);
  hl_tile_end(b, &next, &sum);
  return sum;
}

hl_status product_build(hl_context *ctx, const char *name, hl_dtype dtype, int stored, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, name, diag, &b);
  if (s != HL_OK)
    return s;
  const product p = product_params(b, dtype, stored);
  const hl_value z = hl_param_tensor(b, "out", product_output(dtype), (hl_dim[]){p.m, p.n}, 2, HL_OUT);
  hl_value t[2];
  hl_tile_begin(b, (hl_value[]){hl_size(b, z, 0), hl_size(b, z, 1)}, 2, t);
  hl_store(b, z, t, 2, product_tile(b, &p, t, NULL));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

hl_status product_build_batch(hl_context *ctx, const char *name, hl_dtype dtype, bool shared, hl_diag *diag,
                              hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, name, diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim dims[4] = {hl_dim_named(b, "B"), hl_dim_named(b, "M"), hl_dim_named(b, "K"), hl_dim_named(b, "N")};
  const hl_value x = hl_param_tensor(b, "x", dtype, dims, 3, HL_IN);
  const hl_value y = shared ? hl_param_tensor(b, "y", dtype, &dims[2], 2, HL_IN)
                            : hl_param_tensor(b, "y", dtype, (hl_dim[]){dims[0], dims[2], dims[3]}, 3, HL_IN);
  const hl_value z = hl_param_tensor(b, "out", product_output(dtype), (hl_dim[]){dims[0], dims[1], dims[3]}, 3, HL_OUT);
  hl_value t[3], acc, kt, next, sum;
  hl_tile_begin(b, (hl_value[]){hl_size(b, z, 0), hl_size(b, z, 1), hl_size(b, z, 2)}, 3, t);
  const hl_value zero = hl_zeros(b, t, 3, product_accumulator(dtype));
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  o.carried = &zero, o.carried_count = 1, o.carried_in = &acc;
  hl_tile_begin_ex(b, (hl_value[]){hl_size(b, x, 2)}, 1, &o, &kt);
  const hl_value xv = hl_load(b, x, (hl_value[]){t[0], t[1], kt}, 3);
  const hl_value yv =
      shared ? hl_load(b, y, (hl_value[]){kt, t[2]}, 2) : hl_load(b, y, (hl_value[]){t[0], kt, t[2]}, 3);
  next = hl_dot(b, xv, yv, acc);
  hl_tile_end(b, &next, &sum);
  hl_store(b, z, t, 3, sum);
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

/* Both loops are the obvious ones; rows of y are walked along unless it is transposed. */
#define PRODUCT(x, y, out, number)                                                                                     \
  for (int64_t i = 0; i < m; i++) {                                                                                    \
    number *row = (out) + i * n;                                                                                       \
    for (int64_t j = 0; j < n; j++) {                                                                                  \
      number sum = 0;                                                                                                  \
      for (int64_t l = 0; l < k && stored & PRODUCT_Y_TRANSPOSED; l++)                                                 \
        sum += (x)[stored & PRODUCT_X_TRANSPOSED ? l * m + i : i * k + l] * (y)[j * k + l];                            \
      row[j] = sum;                                                                                                    \
    }                                                                                                                  \
    for (int64_t l = 0; l < k && !(stored & PRODUCT_Y_TRANSPOSED); l++) {                                              \
      const number a = (x)[stored & PRODUCT_X_TRANSPOSED ? l * m + i : i * k + l];                                     \
      for (int64_t j = 0; j < n; j++)                                                                                  \
        row[j] += a * (y)[l * n + j];                                                                                  \
    }                                                                                                                  \
  }

void product_reference(const double *x, const double *y, double *out, int64_t m, int64_t k, int64_t n, int stored) {
  PRODUCT(x, y, out, double)
}

void product_loop(const float *x, const float *y, float *out, int64_t m, int64_t k, int64_t n, int stored) {
  PRODUCT(x, y, out, float)
}

double product_bytes(const int64_t *s, uint32_t element) {
  return ((double)s[0] * (double)s[1] + (double)s[1] * (double)s[2] + (double)s[0] * (double)s[2]) * element;
}

double product_flops(const int64_t *s) {
  return 2.0 * (double)s[0] * (double)s[1] * (double)s[2];
}

int64_t product_reduction(const int64_t *s) {
  return s[1];
}

double product_batch_flops(const int64_t *s) {
  return (double)s[0] * product_flops(s + 1);
}

int64_t product_batch_reduction(const int64_t *s) {
  return product_reduction(s + 1);
}

const hl_example_shape product_batch_odd[] = {{{1, 1, 1, 1}}, {{3, 33, 17, 65}}, {{2, 7, 130, 40}}, {{0}}};
