/* random_value.h: terms of a random kernel and the operations that keep them exact; see random_kernel.c. */
#ifndef TESTS_FUZZ_RANDOM_VALUE_H
#define TESTS_FUZZ_RANDOM_VALUE_H

#include "tests/fuzz/random_kernel.h"

/* The axes in scope, in the order in which every value has them. */
typedef struct fuzz_space {
  uint32_t count;
  uint32_t dim[FUZZ_DIMS]; /* which dimension the axis runs over */
  hl_value tile[FUZZ_DIMS];
  bool full[FUZZ_DIMS]; /* a whole slice instead of a tile */
} fuzz_space;

typedef struct fuzz_term {
  hl_value v;
  uint32_t mask; /* axes of the space that it has, maybe with size 1 */
  double bound;
  int frac;
} fuzz_term;

typedef struct fuzz_input {
  hl_value v;
  hl_dtype dtype;
  uint32_t rank, dim[FUZZ_DIMS];
  bool one[FUZZ_DIMS]; /* has size 1 instead */
} fuzz_input;

typedef struct fuzz_output {
  hl_value v;
  hl_dtype dtype;
  bool smooth;
  uint32_t index; /* of the parameter */
} fuzz_output;

typedef struct fuzz_gen {
  hl_builder *b;
  fuzz_random r;
  uint32_t dims, inputs, outputs;
  hl_dim dim[FUZZ_DIMS];
  hl_value extent[FUZZ_DIMS];
  fuzz_input input[FUZZ_PARAMS];
  fuzz_output output[FUZZ_PARAMS];
} fuzz_gen;

hl_dtype fuzz_dtype(const fuzz_gen *g, hl_value v);
fuzz_term fuzz_expr(fuzz_gen *g, const fuzz_space *s, uint32_t depth);
fuzz_term fuzz_binary(fuzz_gen *g, fuzz_term a, fuzz_term c);
fuzz_term fuzz_reduce(fuzz_gen *g, const fuzz_space *s, fuzz_term t, uint32_t axis);
/* Integers of at most 2. */
fuzz_term fuzz_tame(fuzz_gen *g, fuzz_term t);
/* Exact in `to`. */
fuzz_term fuzz_fit(fuzz_gen *g, fuzz_term t, hl_dtype to);
/* With the axes of `mask` too, where it lacks them with size 1. */
fuzz_term fuzz_align(fuzz_gen *g, fuzz_term t, uint32_t mask);
/* With every axis of the space in full size. */
fuzz_term fuzz_full(fuzz_gen *g, const fuzz_space *s, fuzz_term t);
/* One transcendental function of an exact argument. */
fuzz_term fuzz_smooth(fuzz_gen *g, fuzz_term t);

#endif
