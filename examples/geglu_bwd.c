/* geglu_bwd.c: the gradients of geglu, out = gelu(a) * b with the tanh form of gelu.
 *
 * gelu(a) = a s with s = sigmoid(2 u), u = sqrt(2 / pi) (a + 0.044715 a^3); so gelu'(a) = s + a s (1 - s) 2 u'. */
#include "examples/gate.h"
#include <math.h>

#define ROOT 0.7978845608028654 /* sqrt(2 / pi) */
#define CUBE 0.044715

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  gate g;
  const hl_status st = gate_begin(ctx, "geglu_bwd", dtype, diag, &g);
  if (st != HL_OK)
    return st;
  hl_builder *b = g.b;
  const hl_value square = hl_mul(b, g.a, g.a);
  const hl_value slope = hl_fma(b, square, hl_const_f(b, 6 * ROOT * CUBE), hl_const_f(b, 2 * ROOT)); /* 2 u' */
  const hl_value u = hl_mul(b, g.a, hl_fma(b, square, hl_const_f(b, 2 * ROOT * CUBE), hl_const_f(b, 2 * ROOT)));
  const hl_value s = hl_sigmoid(b, u), rest = hl_sigmoid(b, hl_neg(b, u)); /* 1 - s, with all its digits */
  const hl_value gelu = hl_mul(b, g.a, s);
  return gate_end(&g, gelu, hl_fma(b, hl_mul(b, gelu, rest), slope, s), diag, out);
}

static void reference(const hl_example_tensor *t, uint32_t count) {
  (void)count;
  for (int64_t i = 0; i < t[0].shape[0] * t[0].shape[1]; i++) {
    const double g = t[0].data[i], a = t[1].data[i], u = ROOT * (a + CUBE * a * a * a);
    const double s = 1 / (1 + exp(-2 * u)), rest = 1 / (1 + exp(2 * u));
    const double rise = a * s * rest * 2 * ROOT * (1 + 3 * CUBE * a * a);
    t[3].data[i] = g * t[2].data[i] * (s + rise);
    t[3].scale[i] = fabs(g * t[2].data[i]) * (s + fabs(rise));
    t[4].data[i] = g * a * s;
  }
}

static void plain(void *const *args, const int64_t *size) {
  const float *g = args[0], *x = args[1], *y = args[2];
  float *da = args[3], *db = args[4];
  for (int64_t i = 0; i < size[0] * size[1]; i++) {
    const float a = x[i], square = a * a, u = (float)(2 * ROOT) * a * (1 + (float)CUBE * square);
    const float s = 1 / (1 + expf(-u));
    da[i] = g[i] * y[i] * (s + a * s * (1 - s) * (float)(2 * ROOT) * (1 + (float)(3 * CUBE) * square));
    db[i] = g[i] * a * s;
  }
}

static double flops(const int64_t *size) {
  return 16.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_geglu_bwd = {.number = 4,
                                         .name = "geglu_bwd",
                                         .summary = "gradients of gelu(a) * b",
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
