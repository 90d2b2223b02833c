/* places.h: runs a small kernel in every place and compares what it wrote: the interpreter (as built), the
 * interpreter on what it is lowered to for a CPU and for two GPUs, the CPU and, if there is one, a GPU; in the default
 * configuration and in random ones.  For GPUs it is also compiled, and assembled where HL_PTXAS names an assembler. */
#ifndef TESTS_PLACES_H
#define TESTS_PLACES_H

#include "tests/exec/exec.h"

#define PLACES_ARGS 8

/* One argument.  A tensor: row-major data in its dtype; `want` makes it an output.  rank -1: a scalar. */
typedef struct places_arg {
  hl_dtype dtype;
  int32_t rank;
  int64_t shape[HL_MAX_RANK];
  const void *data; /* inputs; NULL: zeros */
  const void *want; /* outputs: compared byte by byte, floats with NaN equal to NaN; NULL: an input */
  double ulps;       /* of a float output; 0: equal */
  double least;      /* with ulps: an absolute error that is allowed */
  hl_arg scalar;
} places_arg;

typedef struct places_options {
  uint32_t configs;    /* random configurations beside the default one */
  bool no_gpu;         /* the GPU pipeline answers HL_ERR_UNSUPPORTED, with these words: */
  const char *words;
} places_options;

/* Builds with `build(ctx, user)` once; the test fails at the first place that differs. */
typedef hl_kernel *(*places_build)(hl_context *ctx, const void *user);
void places_check(const char *what, places_build build, const void *user, const places_arg *args, uint32_t count,
                  const places_options *options);

#endif
