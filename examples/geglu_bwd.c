/* geglu_bwd.c: the gradients of geglu, out = gelu(a) * b with the tanh form of gelu.
 *
 * gelu(a) = a s with s = sigmoid(2 u), u = sqrt(2 / pi) (a + 0.044715 a^3); so gelu'(a) = s + a s (1 - s) 2 u'. */
#include "examples/example.h"
#include <math.h>

#define ROOT 0.7978845608028654 /* sqrt(2 / pi) */
#define CUBE 0.044715

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status st = hl_builder_create(ctx, "geglu_bwd", diag, &b);
  if (st != HL_OK)
    return st;
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  const hl_value g = hl_param_tensor(b, "grad", dtype, dims, 2, HL_IN);
  const hl_value pa = hl_param_tensor(b, "a", dtype, dims, 2, HL_IN),
                 pb = hl_param_tensor(b, "b", dtype, dims, 2, HL_IN);
  const hl_value da = hl_param_tensor(b, "grad_a", dtype, dims, 2, HL_OUT);
  const hl_value db = hl_param_tensor(b, "grad_b", dtype, dims, 2, HL_OUT);
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32; /* one rounding, at the end */
  hl_value t[2];
  hl_tile_begin(b, (hl_value[]){hl_size(b, g, 0), hl_size(b, g, 1)}, 2, t);
  const hl_value grad = hl_cast(b, hl_load(b, g, t, 2), work), a = hl_cast(b, hl_load(b, pa, t, 2), work);
  const hl_value c = hl_cast(b, hl_load(b, pb, t, 2), work), square = hl_mul(b, a, a);
  const hl_value slope = hl_fma(b, square, hl_const_f(b, 6 * ROOT * CUBE), hl_const_f(b, 2 * ROOT)); /* 2 u' */
  const hl_value u = hl_mul(b, a, hl_fma(b, square, hl_const_f(b, 2 * ROOT * CUBE), hl_const_f(b, 2 * ROOT)));
  const hl_value s = hl_sigmoid(b, u), rest = hl_sigmoid(b, hl_neg(b, u)); /* 1 - s, with all its digits */
  const hl_value gelu = hl_mul(b, a, s);
  const hl_value derivative = hl_fma(b, hl_mul(b, gelu, rest), slope, s);
  hl_store(b, da, t, 2, hl_mul(b, hl_mul(b, grad, c), derivative));
  hl_store(b, db, t, 2, hl_mul(b, grad, gelu));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
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

static double bytes(const int64_t *size, uint32_t element) {
  return 5.0 * (double)size[0] * (double)size[1] * element;
}
static double flops(const int64_t *size) {
  return 16.0 * (double)size[0] * (double)size[1];
}
/* The summands of grad_a's derivative cancel near its zero: an error is relative to them, whose largest among millions
 * are some times their usual size. */
static int64_t reduction(const int64_t *size) {
  (void)size;
  return 64;
}

static const hl_dtype dtypes[] = {HL_F32, HL_BF16, HL_F16, HL_F64, HL_DTYPE_NONE};
static const hl_example_shape odd[] = {{{1, 1}}, {{7, 1000}}, {{33, 65}}, {{0}}};

const hl_example hl_example_geglu_bwd = {.number = 4,
                                         .name = "geglu_bwd",
                                         .summary = "gradients of gelu(a) * b",
                                         .dims = {"M", "N"},
                                         .dtypes = dtypes,
                                         .build = build,
                                         .reference = reference,
                                         .bench = {{4096, 4096}},
                                         .odd = odd,
                                         .bytes = bytes,
                                         .flops = flops,
                                         .reduction = reduction,
                                         .plain = plain};
