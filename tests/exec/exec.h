/* exec.h: the conformance matrix: every kernel of the ladder, in each of its dtypes, on shapes that divide by
 * nothing, in the default configuration and in random ones, on one place: a device or the interpreter. */
#ifndef TESTS_EXEC_H
#define TESTS_EXEC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cli/common/run.h"
#include "src/cli/common/words.h"

typedef struct exec_options {
  const char *device; /* "cpu", "cuda"; NULL: the interpreter */
  const char *target; /* the interpreter's; NULL: kernels as built */
  uint32_t configs;   /* random ones, beside the default one */
  double most_work;   /* shapes with more floating-point operations are left out; 0: none */
} exec_options;

/* Runs the matrix, one cmocka test per kernel and dtype; 77 with words when the device is not there. */
int check_matrix(const char *name, const exec_options *options);

/* A context, or the test fails. */
hl_context *exec_context(void);
const hl_target *exec_target(const char *name);

/* How many random configurations of an example run at its `shape`-th shape: `most` of the four kernels that everything
 * else builds on; two of the others, at their first shape only, or the whole suite would take an hour. */
uint32_t exec_configs(const hl_example *e, uint32_t shape, uint32_t most);

#endif
