/* rope.c: rotary position embedding: the two halves of every head turn by an angle per position and frequency.
 * D must be 2 F. */
#include "examples/rotary.h"

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  return rotary_build(ctx, "rope", "x", false, dtype, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  rotary_reference(a, 1);
}

static void plain(void *const *args, const int64_t *size) {
  rotary_loop(args, size, 1);
}

const hl_example hl_example_rope = {.number = 22,
                                    .name = "rope",
                                    .summary = "rotary position embedding",
                                    .dims = {"T", "H", "D", "F"},
                                    .dtypes = example_floats,
                                    .build = build,
                                    .reference = reference,
                                    .bench = {{2048, 32, 128, 64}},
                                    .odd = rotary_odd,
                                    .bytes = rotary_bytes,
                                    .flops = rotary_flops,
                                    .reduction = rotary_reduction,
                                    .plain = plain};
