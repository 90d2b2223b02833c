/* swiglu_bwd.c: the gradients of swiglu, out = silu(a) * b: silu'(a) = s (1 + a (1 - s)) with s = sigmoid(a). */
#include "examples/example.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status st = hl_builder_create(ctx, "swiglu_bwd", diag, &b);
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
  const hl_value c = hl_cast(b, hl_load(b, pb, t, 2), work);
  const hl_value s = hl_sigmoid(b, a), rest = hl_sigmoid(b, hl_neg(b, a)); /* 1 - s, with all its digits */
  const hl_value silu = hl_mul(b, a, s);
  hl_store(b, da, t, 2, hl_mul(b, hl_mul(b, grad, c), hl_fma(b, silu, rest, s)));
  hl_store(b, db, t, 2, hl_mul(b, grad, silu));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
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

static double bytes(const int64_t *size, uint32_t element) {
  return 5.0 * (double)size[0] * (double)size[1] * element;
}
static double flops(const int64_t *size) {
  return 10.0 * (double)size[0] * (double)size[1];
}
/* The summands of grad_a's derivative cancel near its zero: an error is relative to them, whose largest among millions
 * are some times their usual size. */
static int64_t reduction(const int64_t *size) {
  (void)size;
  return 64;
}

static const hl_dtype dtypes[] = {HL_F32, HL_BF16, HL_F16, HL_F64, HL_DTYPE_NONE};
static const hl_example_shape odd[] = {{{1, 1}}, {{7, 1000}}, {{33, 65}}, {{0}}};

const hl_example hl_example_swiglu_bwd = {.number = 3,
                                          .name = "swiglu_bwd",
                                          .summary = "gradients of silu(a) * b",
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
