/* everywhere.h: one kernel on given numbers in every place that can run it: the interpreter as built (every op rounded,
 * and exactly), lowered for a CPU and for GPUs in the interpreter, compiled for the CPU, and on a GPU if there is one;
 * in the default configuration and in random ones.  Races, reads of memory that nobody wrote and writes outside the
 * tensors fail the test; so does a text form that does not read back, and PTX that does not assemble. */
#ifndef TESTS_EVERYWHERE_H
#define TESTS_EVERYWHERE_H

#include "tests/exec/exec.h"

/* One argument. */
typedef struct every_tensor {
  hl_dtype dtype;
  uint32_t rank; /* EVERY_SCALAR: a scalar, one double */
  int64_t shape[4];
  const void *in;   /* double, row-major; NULL: a poison value */
  const void *want; /* double; NULL: not looked at */
  double tolerance; /* of the largest difference; 0: exact */
} every_tensor;
#define EVERY_SCALAR UINT32_MAX

enum {
  EVERY_NO_GPU = 1,   /* the GPU pipeline says HL_ERR_UNSUPPORTED, which is checked */
  EVERY_NO_EXACT = 2, /* a result depends on rounding to the dtype */
  EVERY_BITS = 6      /* and `in` and `want` are in the dtype itself, equal in every bit; a NaN is as good as another */
};
typedef hl_kernel *(*every_build)(hl_context *ctx);
void everywhere(every_build build, const every_tensor *t, uint32_t count, uint32_t flags);

/* The same, with more to say. */
typedef struct every_kernel {
  const char *what; /* for messages */
  hl_kernel *(*build)(hl_context *ctx, const void *user);
  const void *user;
  uint32_t flags;
  uint32_t configs;    /* random configurations beside the default one */
  const char *refusal; /* with EVERY_NO_GPU: words in the diagnostic */
} every_kernel;
void everywhere_run(const every_kernel *kernel, const every_tensor *t, uint32_t count);

/* Building must fail with HL_ERR_BUILD and these words (NULL-terminated), at a line of this file. */
void build_fails(every_build build, const char *const *words);
/* Finishes a builder; fails the test with the words of a complaint, unless one is awaited by build_fails. */
hl_kernel *every_finish(hl_builder *b);

#endif
