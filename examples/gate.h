/* gate.h: what the gradients of gates share: of out = f(a) * b, with [M, N] in all. */
#ifndef HL_EXAMPLE_GATE_H
#define HL_EXAMPLE_GATE_H

#include "examples/example.h"

/* Inside the loop over tiles: the tiles of the three inputs, in the dtype that is computed in. */
typedef struct gate {
  hl_builder *b;
  hl_value grad, a, c;     /* c: of b */
  hl_value grad_a, grad_b; /* parameters */
  hl_value t[2];
} gate;

/* Parameters grad, a, b, grad_a, grad_b; opens the loop. */
hl_status gate_begin(hl_context *ctx, const char *name, hl_dtype dtype, hl_diag *diag, gate *g);
/* Stores grad * b * derivative and grad * f, where f and its derivative are those of a; finishes the kernel. */
hl_status gate_end(gate *g, hl_value f, hl_value derivative, hl_diag *diag, hl_kernel **out);

double gate_bytes(const int64_t *size, uint32_t element);
int64_t gate_reduction(const int64_t *size);
extern const hl_example_shape gate_odd[];

#endif
