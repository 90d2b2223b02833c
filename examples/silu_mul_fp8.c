/* silu_mul_fp8.c: the gate of a quantised model: out = silu(x) * y / scale in 8 bits. */
#include "examples/e4m3.h"
#include "examples/example.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "silu_mul_fp8", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")}, one = hl_dim_static(b, 1);
  const hl_value x = hl_param_tensor(b, "x", dtype, dims, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", dtype, dims, 2, HL_IN);
  const hl_value scale = hl_param_tensor(b, "scale", HL_F32, &one, 1, HL_IN);
  const hl_value z = hl_param_tensor(b, "out", HL_F8E4M3, dims, 2, HL_OUT);
  hl_param_set_spec(b, scale, (hl_arg_spec){HL_DIST_UNIFORM, 0.01, 0.05, false});
  hl_value t[2];
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0), hl_size(b, x, 1)}, 2, t);
  const hl_value inverse = hl_reciprocal(b, hl_load(b, scale, (hl_value[]){hl_const_i(b, 0)}, 1));
  const hl_value a = hl_cast(b, hl_load(b, x, t, 2), HL_F32), c = hl_cast(b, hl_load(b, y, t, 2), HL_F32);
  hl_store(b, z, t, 2, hl_mul(b, hl_mul(b, hl_silu(b, a), c), inverse));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *t, uint32_t count) {
  (void)count;
  for (int64_t i = 0; i < t[0].shape[0] * t[0].shape[1]; i++)
    t[3].data[i] = t[0].data[i] / (1 + exp(-t[0].data[i])) * t[1].data[i] / t[2].data[0];
}

static void plain(void *const *args, const int64_t *size) {
  const float *x = args[0], *y = args[1], inverse = 1 / *(const float *)args[2];
  uint8_t *z = args[3];
  for (int64_t i = 0; i < size[0] * size[1]; i++)
    z[i] = to_e4m3(x[i] / (1 + expf(-x[i])) * y[i] * inverse);
}

static double bytes(const int64_t *size, uint32_t element) {
  return (double)size[0] * (double)size[1] * (2.0 * element + 1);
}
static double flops(const int64_t *size) {
  return 6.0 * (double)size[0] * (double)size[1];
}

static const hl_example_shape odd[] = {{{1, 1}}, {{7, 1000}}, {{33, 65}}, {{0}}};

const hl_example hl_example_silu_mul_fp8 = {.number = 23,
                                            .name = "silu_mul_fp8",
                                            .summary = "out = silu(x) * y / scale in f8e4m3",
                                            .dims = {"M", "N"},
                                            .dtypes = example_f32_and_halves,
                                            .build = build,
                                            .reference = reference,
                                            .bench = {{4096, 4096}},
                                            .odd = odd,
                                            .bytes = bytes,
                                            .flops = flops,
                                            .reduction = example_single,
                                            .plain = plain};
