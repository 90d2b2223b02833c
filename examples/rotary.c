/* rotary.c: see rotary.h. */
#include "examples/rotary.h"

hl_status rotary_build(hl_context *ctx, const char *name, const char *input, bool back, hl_dtype dtype, hl_diag *diag,
                       hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, name, diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim t = hl_dim_named(b, "T"), h = hl_dim_named(b, "H"), d = hl_dim_named(b, "D"), f = hl_dim_named(b, "F");
  const hl_value x = hl_param_tensor(b, input, dtype, (hl_dim[]){t, h, d}, 3, HL_IN);
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
  const hl_value pc = hl_mul(b, p, c), qn = hl_mul(b, q, n);
  hl_store(b, y, (hl_value[]){i[0], i[1], low}, 3, back ? hl_add(b, pc, qn) : hl_sub(b, pc, qn));
  const hl_value qc = hl_mul(b, q, c), pn = hl_mul(b, p, n);
  hl_store(b, y, (hl_value[]){i[0], i[1], high}, 3, back ? hl_sub(b, qc, pn) : hl_add(b, qc, pn));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

void rotary_reference(const hl_example_tensor *a, double turn) {
  const int64_t heads = a[0].shape[1], d = a[0].shape[2], f = d / 2;
  for (int64_t row = 0; row < a[0].shape[0] * heads; row++) {
    const double *x = a[0].data + row * d, *c = a[1].data + row / heads * f, *n = a[2].data + row / heads * f;
    double *y = a[3].data + row * d;
    for (int64_t j = 0; j < f; j++) {
      y[j] = x[j] * c[j] - x[j + f] * n[j] * turn;
      y[j + f] = x[j + f] * c[j] + x[j] * n[j] * turn;
    }
  }
}

void rotary_loop(void *const *args, const int64_t *size, float turn) {
  const int64_t heads = size[1], d = size[2], f = size[3];
  for (int64_t row = 0; row < size[0] * heads; row++) {
    const float *x = (const float *)args[0] + row * d, *c = (const float *)args[1] + row / heads * f,
                *n = (const float *)args[2] + row / heads * f;
    float *y = (float *)args[3] + row * d;
    for (int64_t j = 0; j < f; j++) {
      y[j] = x[j] * c[j] - x[j + f] * n[j] * turn;
      y[j + f] = x[j + f] * c[j] + x[j] * n[j] * turn;
    }
  }
}

double rotary_bytes(const int64_t *size, uint32_t element) {
  return 2.0 * (double)size[0] * ((double)size[1] * (double)size[2] + (double)size[3]) * element;
}

double rotary_flops(const int64_t *size) {
  return 3.0 * (double)size[0] * (double)size[1] * (double)size[2];
}

int64_t rotary_reduction(const int64_t *size) {
  (void)size;
  return 2;
}

const hl_example_shape rotary_odd[] = {{{1, 1, 2, 1}}, {{5, 3, 64, 32}}, {{7, 9, 130, 65}}, {{0}}};
