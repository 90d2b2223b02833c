/* swiglu_bwd.c: the gradients of swiglu, out = silu(a) * b: silu'(a) = s (1 + a (1 - s)) with s = sigmoid(a). */
#include "examples/gate.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  gate g;
  const hl_status st = gate_begin(ctx, "swiglu_bwd", dtype, diag, &g);
  if (st != HL_OK)
    return st;
  hl_builder *b = g.b;
  const hl_value s = hl_sigmoid(b, g.a), rest = hl_sigmoid(b, hl_neg(b, g.a)); /* 1 - s, with all its digits */
  const hl_value silu = hl_mul(b, g.a, s);
  return gate_end(&g, silu, hl_fma(b, silu, rest, s), diag, out);
}

static void reference(const hl_example_tensor *t, uint32_t count) {
  (void)count;
  for (int64_t i = 0; i < t[0].shape[0] * t[0].shape[1]; i++) {
    const double g = t[0].data[i], a = t[1].data[i], s = 1 / (1 + exp(-a)), rest = 1 / (1 + exp(a));
    t[3].data[i] = g * t[2].data[i] * (s + a * s * rest);
    t[3].scale[i] = fabs(g * t[2].data[i]) * (s + fabs(a * s * rest));
    t[4].data[i] = g * a * s;
  }
}

static void plain(void *const *args, const int64_t *size) {
  const float *g = args[0], *x = args[1], *y = args[2];
  float *da = args[3], *db = args[4];
  for (int64_t i = 0; i < size[0] * size[1]; i++) {
    const float a = x[i], s = 1 / (1 + expf(-a));
    da[i] = g[i] * y[i] * (s + a * s * (1 - s));
    db[i] = g[i] * a * s;
  }
}

static double flops(const int64_t *size) {
  return 10.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_swiglu_bwd = {.number = 3,
                                          .name = "swiglu_bwd",
                                          .summary = "gradients of silu(a) * b",
                                          .dims = {"M", "N"},
                                          .dtypes = example_floats,
                                          .build = build,
                                          .reference = reference,
                                          .bench = {{4096, 4096}},
                                          .odd = gate_odd,
                                          .bytes = gate_bytes,
                                          .flops = flops,
                                          .reduction = gate_reduction,
                                          .plain = plain};
