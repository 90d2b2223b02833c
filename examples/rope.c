/* rope.c: rotary position embedding: the two halves of every head turn by an angle per position and frequency.
 * D must be 2 F. */
#include "examples/example.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "rope", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim t = hl_dim_named(b, "T"), h = hl_dim_named(b, "H"), d = hl_dim_named(b, "D"), f = hl_dim_named(b, "F");
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){t, h, d}, 3, HL_IN);
  const hl_value cosines = hl_param_tensor(b, "cos", dtype, (hl_dim[]){t, f}, 2, HL_IN);
  const hl_value sines = hl_param_tensor(b, "sin", dtype, (hl_dim[]){t, f}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", dtype, (hl_dim[]){t, h, d}, 3, HL_OUT);
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  hl_value i[2];
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0), hl_size(b, x, 1)}, 2, i);
  const hl_value low = hl_slice_dim(b, hl_const_i(b, 0), f, 1), high = hl_slice_dim(b, hl_size(b, cosines, 1), f, 1);
  const hl_value p = hl_cast(b, hl_load(b, x, (hl_value[]){i[0], i[1], low}, 3), work);
  const hl_value q = hl_cast(b, hl_load(b, x, (hl_value[]){i[0], i[1], high}, 3), work);
  const hl_value c = hl_cast(b, hl_load(b, cosines, (hl_value[]){i[0], HL_NEW, HL_ALL}, 3), work);
  const hl_value n = hl_cast(b, hl_load(b, sines, (hl_value[]){i[0], HL_NEW, HL_ALL}, 3), work);
  hl_store(b, y, (hl_value[]){i[0], i[1], low}, 3, hl_sub(b, hl_mul(b, p, c), hl_mul(b, q, n)));
  hl_store(b, y, (hl_value[]){i[0], i[1], high}, 3, hl_add(b, hl_mul(b, q, c), hl_mul(b, p, n)));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t heads = a[0].shape[1], d = a[0].shape[2], f = d / 2;
  for (int64_t row = 0; row < a[0].shape[0] * heads; row++) {
    const double *x = a[0].data + row * d, *c = a[1].data + row / heads * f, *n = a[2].data + row / heads * f;
    double *y = a[3].data + row * d;
    for (int64_t j = 0; j < f; j++) {
      y[j] = x[j] * c[j] - x[j + f] * n[j];
      y[j + f] = x[j + f] * c[j] + x[j] * n[j];
    }
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t heads = size[1], d = size[2], f = size[3];
  for (int64_t row = 0; row < size[0] * heads; row++) {
    const float *x = (const float *)args[0] + row * d, *c = (const float *)args[1] + row / heads * f,
                *n = (const float *)args[2] + row / heads * f;
    float *y = (float *)args[3] + row * d;
    for (int64_t j = 0; j < f; j++) {
      y[j] = x[j] * c[j] - x[j + f] * n[j];
      y[j + f] = x[j + f] * c[j] + x[j] * n[j];
    }
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return 2.0 * (double)size[0] * ((double)size[1] * (double)size[2] + (double)size[3]) * element;
}
static double flops(const int64_t *size) {
  return 3.0 * (double)size[0] * (double)size[1] * (double)size[2];
}
static int64_t reduction(const int64_t *size) {
  (void)size;
  return 2;
}

static const hl_dtype dtypes[] = {HL_F32, HL_BF16, HL_F16, HL_F64, HL_DTYPE_NONE};
static const hl_example_shape odd[] = {{{1, 1, 2, 1}}, {{5, 3, 64, 32}}, {{7, 9, 130, 65}}, {{0}}};

const hl_example hl_example_rope = {.number = 22,
                                    .name = "rope",
                                    .summary = "rotary position embedding",
                                    .dims = {"T", "H", "D", "F"},
                                    .dtypes = dtypes,
                                    .build = build,
                                    .reference = reference,
                                    .bench = {{2048, 32, 128, 64}},
                                    .odd = odd,
                                    .bytes = bytes,
                                    .flops = flops,
                                    .reduction = reduction,
                                    .plain = plain};
