/* geglu.c: a gate with gelu, out = gelu(x) * y, gelu(a) = a/2 (1 + tanh(u)), u = sqrt(2/pi) (a + 0.044715 a^3).
 * That is a times the sigmoid of 2 u, and written so: where u is far below 0, 1 + tanh(u) has no right digits. */
#include "examples/example.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "geglu", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  const hl_value x = hl_param_tensor(b, "x", dtype, dims, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", dtype, dims, 2, HL_IN);
  const hl_value z = hl_param_tensor(b, "out", dtype, dims, 2, HL_OUT);
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32; /* one rounding, at the end */
  hl_value t[2];
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0), hl_size(b, x, 1)}, 2, t);
  const hl_value a = hl_cast(b, hl_load(b, x, t, 2), work);
  const hl_value cubic = hl_mul(b, hl_mul(b, hl_mul(b, a, a), a), hl_const_f(b, 0.044715));
  const hl_value twice_u = hl_mul(b, hl_add(b, a, cubic), hl_const_f(b, 1.59576912160573071));
  const hl_value gate = hl_mul(b, a, hl_sigmoid(b, twice_u));
  hl_store(b, z, t, 2, hl_mul(b, gate, hl_load(b, y, t, 2)));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static double gelu(double a) {
  return a / (1 + exp(-1.59576912160573071 * (a + 0.044715 * a * a * a)));
}

static float geluf(float a) {
  return a / (1 + expf(-1.59576912f * (a + 0.044715f * a * a * a)));
}

static void reference(const hl_example_tensor *t, uint32_t count) {
  (void)count;
  for (int64_t i = 0; i < t[0].shape[0] * t[0].shape[1]; i++)
    t[2].data[i] = gelu(t[0].data[i]) * t[1].data[i];
}

static void plain(void *const *args, const int64_t *size) {
  const float *x = args[0], *y = args[1];
  float *z = args[2];
  for (int64_t i = 0; i < size[0] * size[1]; i++)
    z[i] = geluf(x[i]) * y[i];
}

static double bytes(const int64_t *size, uint32_t element) {
  return 3.0 * (double)size[0] * (double)size[1] * element;
}
static double flops(const int64_t *size) {
  return 9.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_geglu = {.number = 4,
                                     .name = "geglu",
                                     .summary = "out = gelu(x) * y, gelu in its tanh form",
                                     .dims = {"M", "N"},
                                     .dtypes = example_floats,
                                     .build = build,
                                     .reference = reference,
                                     .bench = {{4096, 4096}},
                                     .odd = example_planes,
                                     .bytes = bytes,
                                     .flops = flops,
                                     .reduction = example_single,
                                     .plain = plain};
