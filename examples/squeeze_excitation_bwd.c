/* squeeze_excitation_bwd.c: the gradient of squeeze_excitation with respect to x and to the hidden layer:
 * s = g x d (1 - d), gc = (s . b^T) where c > 0, gx = g d + gc . a^T.  The gradients of a and b are the products x^T .
 * gc and c^T . s, matmul_tn's. */
#include "examples/squeeze.h"

enum { G, X, A, B, C, D, GX, GC };

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "squeeze_excitation_bwd", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), k = hl_dim_named(b, "K");
  const hl_value g = hl_param_tensor(b, "g", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value a = hl_param_tensor(b, "a", dtype, (hl_dim[]){n, k}, 2, HL_IN);
  const hl_value w = hl_param_tensor(b, "b", dtype, (hl_dim[]){k, n}, 2, HL_IN);
  const hl_value c = hl_param_tensor(b, "c", dtype, (hl_dim[]){m, k}, 2, HL_IN);
  const hl_value d = hl_param_tensor(b, "d", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value gx = hl_param_tensor(b, "gx", dtype, (hl_dim[]){m, n}, 2, HL_OUT);
  const hl_value gc = hl_param_tensor(b, "gc", dtype, (hl_dim[]){m, k}, 2, HL_OUT);
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value rows[2] = {i, HL_ALL}, whole[2] = {HL_ALL, HL_ALL};
  const uint32_t swap[2] = {1, 0};
  const hl_value gv = hl_load(b, g, rows, 2), dv = hl_load(b, d, rows, 2);
  const hl_value gd = hl_mul(b, gv, dv);
  const hl_value sv = hl_mul(b, hl_mul(b, gd, hl_load(b, x, rows, 2)), hl_sub(b, hl_const_f(b, 1), dv));
  const hl_value hidden = hl_dot(b, sv, hl_transpose(b, hl_load(b, w, whole, 2), swap), HL_POISON);
  const hl_value alive = hl_gt(b, hl_load(b, c, rows, 2), hl_const_f(b, 0));
  const hl_value gcv = hl_cast(b, hl_where(b, alive, hidden, hl_const_f(b, 0)), dtype);
  hl_store(b, gc, rows, 2, gcv);
  hl_store(b, gx, rows, 2, hl_dot(b, gcv, hl_transpose(b, hl_load(b, a, whole, 2), swap), gd));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

#define GRADIENT(multiply)                                                                                             \
  for (int64_t e = 0; e < m * n; e++)                                                                                  \
    gx[e] = g[e] * x[e] * d[e] * (1 - d[e]);                                                                           \
  multiply(gx, b, gc, m, n, k, PRODUCT_Y_TRANSPOSED);                                                                  \
  for (int64_t e = 0; e < m * k; e++)                                                                                  \
    gc[e] = c[e] > 0 ? gc[e] : 0;                                                                                      \
  multiply(gc, a, gx, m, k, n, PRODUCT_Y_TRANSPOSED);                                                                  \
  for (int64_t e = 0; e < m * n; e++)                                                                                  \
    gx[e] += g[e] * d[e];

static void reference(const hl_example_tensor *t, uint32_t count) {
  (void)count;
  const int64_t m = t[X].shape[0], n = t[X].shape[1], k = t[A].shape[1];
  const double *g = t[G].data, *x = t[X].data, *a = t[A].data, *b = t[B].data, *c = t[C].data, *d = t[D].data;
  double *gx = t[GX].data, *gc = t[GC].data;
  GRADIENT(product_reference)
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t m = size[0], n = size[1], k = size[2];
  const float *g = args[G], *x = args[X], *a = args[A], *b = args[B], *c = args[C], *d = args[D];
  float *gx = args[GX], *gc = args[GC];
  GRADIENT(product_loop)
}

const hl_example hl_example_squeeze_excitation_bwd = {.whole_rows = true,
                                                      .number = 31,
                                                      .name = "squeeze_excitation_bwd",
                                                      .summary =
                                                          "gradient of squeeze_excitation for x and the hidden layer",
                                                      .dims = {"M", "N", "K"},
                                                      .dtypes = squeeze_dtypes,
                                                      .build = build,
                                                      .reference = reference,
                                                      .bench = {{4096, 512, 64}},
                                                      .odd = squeeze_odd,
                                                      .bytes = squeeze_bytes,
                                                      .flops = squeeze_flops,
                                                      .reduction = squeeze_reduction,
                                                      .plain = plain};
