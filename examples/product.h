/* product.h: what the examples with a matrix product share: the loop over K, the reference, the plain C loop. */
#ifndef HL_EXAMPLE_PRODUCT_H
#define HL_EXAMPLE_PRODUCT_H

#include "examples/example.h"

/* How the operands are stored. */
enum {
  PRODUCT_PLAIN = 0,
  PRODUCT_X_TRANSPOSED = 1, /* x as [K, M] */
  PRODUCT_Y_TRANSPOSED = 2  /* y as [N, K] */
};

/* The dtype in which products of this dtype are added up. */
hl_dtype product_accumulator(hl_dtype dtype);

/* Parameters x, y and their dimensions M, K, N. */
typedef struct product {
  hl_dim m, k, n;
  hl_value x, y;
  hl_dtype dtype;
  int stored;
} product;
product product_params(hl_builder *b, hl_dtype dtype, int stored);
/* What the loop over K calls for a tile of x before it is multiplied; NULL: nothing. */
typedef hl_value (*product_prologue)(hl_builder *b, hl_value x);
/* The tile t[0], t[1] of x . y. */
hl_value product_tile(hl_builder *b, const product *p, const hl_value *t, product_prologue prologue);

/* out = x . y */
hl_status product_build(hl_context *ctx, const char *name, hl_dtype dtype, int stored, hl_diag *diag, hl_kernel **out);

/* out[b] = x[b] . y[b] or, shared, y; parameters x[B, M, K], y[B, K, N] or [K, N], out. */
hl_status product_build_batch(hl_context *ctx, const char *name, hl_dtype dtype, bool shared, hl_diag *diag,
                              hl_kernel **out);

/* out[m, n] = x . y */
void product_reference(const double *x, const double *y, double *out, int64_t m, int64_t k, int64_t n, int stored);
void product_loop(const float *x, const float *y, float *out, int64_t m, int64_t k, int64_t n, int stored);

/* For sizes M, K, N. */
double product_bytes(const int64_t *size, uint32_t element);
double product_flops(const int64_t *size);
int64_t product_reduction(const int64_t *size);
extern const hl_example_shape product_odd[];
extern const hl_dtype product_dtypes[]; /* floats and i8, whose products are i32 */
hl_dtype product_output(hl_dtype dtype);

/* For sizes B, M, K, N. */
double product_batch_flops(const int64_t *size);
int64_t product_batch_reduction(const int64_t *size);
extern const hl_example_shape product_batch_odd[];

#endif
