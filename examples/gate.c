/* gate.c: see gate.h. */
#include "examples/gate.h"

hl_status gate_begin(hl_context *ctx, const char *name, hl_dtype dtype, hl_diag *diag, gate *g) {
  hl_builder *b;
  const hl_status s = hl_builder_create(ctx, name, diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  const hl_value grad = hl_param_tensor(b, "grad", dtype, dims, 2, HL_IN);
  const hl_value pa = hl_param_tensor(b, "a", dtype, dims, 2, HL_IN);
  const hl_value pb = hl_param_tensor(b, "b", dtype, dims, 2, HL_IN);
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32; /* one rounding, at the end */
  g->b = b;
  g->grad_a = hl_param_tensor(b, "grad_a", dtype, dims, 2, HL_OUT);
  g->grad_b = hl_param_tensor(b, "grad_b", dtype, dims, 2, HL_OUT);
  hl_tile_begin(b, (hl_value[]){hl_size(b, grad, 0), hl_size(b, grad, 1)}, 2, g->t);
  g->grad = hl_cast(b, hl_load(b, grad, g->t, 2), work);
  g->a = hl_cast(b, hl_load(b, pa, g->t, 2), work);
  g->c = hl_cast(b, hl_load(b, pb, g->t, 2), work);
  return HL_OK;
}

hl_status gate_end(gate *g, hl_value f, hl_value derivative, hl_diag *diag, hl_kernel **out) {
  hl_store(g->b, g->grad_a, g->t, 2, hl_mul(g->b, hl_mul(g->b, g->grad, g->c), derivative));
  hl_store(g->b, g->grad_b, g->t, 2, hl_mul(g->b, g->grad, f));
  hl_tile_end(g->b, NULL, NULL);
  return hl_builder_finish(g->b, diag, out);
}

double gate_bytes(const int64_t *size, uint32_t element) {
  return 5.0 * (double)size[0] * (double)size[1] * element;
}

/* The summands of grad_a's derivative cancel near its zero: an error is relative to them, whose largest among millions
 * are some times their usual size. */
int64_t gate_reduction(const int64_t *size) {
  (void)size;
  return 64;
}

const hl_example_shape gate_odd[] = {{{1, 1}}, {{7, 1000}}, {{33, 65}}, {{0}}};
