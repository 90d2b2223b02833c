/* everywhere.h: one kernel on given numbers in every place that can run it: the interpreter as built (every op rounded,
 * and exactly), lowered for a CPU and for GPUs in the interpreter, compiled for the CPU, and on a GPU if there is one;
 * in the default configuration and in random ones.  Races, reads of memory that nobody wrote and writes outside the
 * tensors fail the test; so does a text form that does not read back, and PTX that does not assemble. */
#ifndef TESTS_EVERYWHERE_H
#define TESTS_EVERYWHERE_H

#include "tests/exec/exec.h"

typedef struct every_tensor {
  hl_dtype dtype;
  uint32_t rank;
  int64_t shape[4];
  const double *in;   /* row-major; NULL: a poison value */
  const double *want; /* NULL: not looked at */
  double tolerance;   /* of the largest difference; 0: exact */
} every_tensor;

typedef hl_kernel *(*every_build)(hl_context *ctx);

enum {
  EVERY_RACY = 1,    /* programs touch the same elements by design (atomics): several orders are right */
  EVERY_NO_GPU = 2,  /* the GPU pipeline says HL_ERR_UNSUPPORTED, which is checked */
  EVERY_NO_EXACT = 4 /* a result depends on rounding to the dtype */
};
void everywhere(every_build build, const every_tensor *t, uint32_t count, uint32_t flags);

/* Building must fail with HL_ERR_BUILD and these words (NULL-terminated), at a line of this file. */
void build_fails(every_build build, const char *const *words);
/* Finishes a builder; fails the test with the words of a complaint, unless one is awaited by build_fails. */
hl_kernel *every_finish(hl_builder *b);

#endif
