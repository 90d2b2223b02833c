/* squeeze_excitation.c: channels weighed by a small network of themselves: c = relu(x . a), d = sigmoid(c . b),
 * out = x * d; c and d are written, too, as the backward pass wants them. */
#include "examples/squeeze.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "squeeze_excitation", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), k = hl_dim_named(b, "K");
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value a = hl_param_tensor(b, "a", dtype, (hl_dim[]){n, k}, 2, HL_IN);
  const hl_value w = hl_param_tensor(b, "b", dtype, (hl_dim[]){k, n}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", dtype, (hl_dim[]){m, n}, 2, HL_OUT);
  const hl_value c = hl_param_tensor(b, "c", dtype, (hl_dim[]){m, k}, 2, HL_OUT);
  const hl_value d = hl_param_tensor(b, "d", dtype, (hl_dim[]){m, n}, 2, HL_OUT);
  hl_param_set_spec(b, a, (hl_arg_spec){HL_DIST_NORMAL, 0, 0.1, false}); /* as weights are: sums stay near 1 */
  hl_param_set_spec(b, w, (hl_arg_spec){HL_DIST_NORMAL, 0, 0.1, false});
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value rows[2] = {i, HL_ALL}, whole[2] = {HL_ALL, HL_ALL};
  const hl_value xv = hl_load(b, x, rows, 2);
  const hl_value cv = hl_cast(b, hl_relu(b, hl_dot(b, xv, hl_load(b, a, whole, 2), HL_POISON)), dtype);
  const hl_value dv = hl_sigmoid(b, hl_dot(b, cv, hl_load(b, w, whole, 2), HL_POISON));
  hl_store(b, c, rows, 2, cv);
  hl_store(b, d, rows, 2, dv);
  hl_store(b, y, rows, 2, hl_mul(b, xv, dv));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *t, uint32_t count) {
  (void)count;
  const int64_t m = t[0].shape[0], n = t[0].shape[1], k = t[1].shape[1];
  product_reference(t[0].data, t[1].data, t[4].data, m, n, k, PRODUCT_PLAIN);
  for (int64_t e = 0; e < m * k; e++)
    t[4].data[e] = fmax(t[4].data[e], 0);
  product_reference(t[4].data, t[2].data, t[5].data, m, k, n, PRODUCT_PLAIN);
  for (int64_t e = 0; e < m * n; e++) {
    t[5].data[e] = 1 / (1 + exp(-t[5].data[e]));
    t[3].data[e] = t[0].data[e] * t[5].data[e];
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t m = size[0], n = size[1], k = size[2];
  const float *x = args[0];
  float *out = args[3], *c = args[4], *d = args[5];
  product_loop(x, args[1], c, m, n, k, PRODUCT_PLAIN);
  for (int64_t e = 0; e < m * k; e++)
    c[e] = fmaxf(c[e], 0);
  product_loop(c, args[2], d, m, k, n, PRODUCT_PLAIN);
  for (int64_t e = 0; e < m * n; e++) {
    d[e] = 1 / (1 + expf(-d[e]));
    out[e] = x[e] * d[e];
  }
}

const hl_example hl_example_squeeze_excitation = {.whole_rows = true,
                                                  .number = 31,
                                                  .name = "squeeze_excitation",
                                                  .summary = "x * sigmoid(relu(x . a) . b)",
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
