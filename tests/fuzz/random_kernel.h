/* random_kernel.h: random valid kernels for differential tests: what a kernel computes is *exact* in every dtype on the
 * way (small numbers of few bits), so that no order of evaluation, block size or fusion may change a bit of the result.
 * Only outputs marked smooth end in one transcendental function and are compared with a tolerance.
 *
 * Dimensions are named A, B, C; a kernel is right for any sizes 1 .. FUZZ_SIZE of them. */
#ifndef TESTS_FUZZ_RANDOM_KERNEL_H
#define TESTS_FUZZ_RANDOM_KERNEL_H

#include "hl/hl.h"
#include "tests/fuzz/fuzz.h"

enum { FUZZ_DIMS = 3, FUZZ_PARAMS = 12, FUZZ_SIZE = 96 };

typedef struct fuzz_kernel {
  hl_kernel *kernel;
  bool dynamic[FUZZ_DIMS];
  bool smooth[FUZZ_PARAMS]; /* by parameter */
} fuzz_kernel;

extern const char *const fuzz_dim_names[FUZZ_DIMS];
hl_status fuzz_kernel_make(hl_context *ctx, uint64_t seed, hl_diag *diag, fuzz_kernel *out);

#endif
