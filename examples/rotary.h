/* rotary.h: the rotary position embedding and its gradient, which turns the other way. */
#ifndef HL_EXAMPLE_ROTARY_H
#define HL_EXAMPLE_ROTARY_H

#include "examples/example.h"

/* The halves p, q of every head become p c - q s, q c + p s; back: p c + q s, q c - p s.  Parameters: `input` [T, H,
 * D], cos and sin [T, F] with D = 2 F, and out. */
hl_status rotary_build(hl_context *ctx, const char *name, const char *input, bool back, hl_dtype dtype, hl_diag *diag,
                       hl_kernel **out);

/* `turn` is 1, or -1 for back. */
void rotary_reference(const hl_example_tensor *a, double turn);
void rotary_loop(void *const *args, const int64_t *size, float turn);

/* For sizes T, H, D, F. */
double rotary_bytes(const int64_t *size, uint32_t element);
double rotary_flops(const int64_t *size);
int64_t rotary_reduction(const int64_t *size);
extern const hl_example_shape rotary_odd[];

#endif
