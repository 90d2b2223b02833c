/* interp_util.h: tensors in host memory and one-call runs for the interpreter's tests. */
#ifndef TESTS_INTERP_UTIL_H
#define TESTS_INTERP_UTIL_H

#include "src/ir/interp/compare.h"
#include "src/ir/interp/interp.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

/* A host tensor that owns its memory.  Strides may be given: the memory is as large as they need. */
typedef struct box {
  hl_tensor t;
  int64_t shape[HL_MAX_RANK], strides[HL_MAX_RANK];
  size_t bytes;
} box;

void box_init(box *b, hl_dtype dtype, uint32_t rank, const int64_t *shape, const int64_t *strides);
void box_free(box *b);
double box_get(const box *b, int64_t i, int64_t j); /* rank 1: j ignored, rank 2 */
void box_set(box *b, int64_t i, int64_t j, double x);
/* Reproducible numbers around 0 (floats) or in 0..7 (integers), rounded to the dtype. */
void box_fill(box *b, uint64_t seed);

#define BOX1(name, dtype, n)                                                                                           \
  box name;                                                                                                            \
  box_init(&(name), (dtype), 1, (int64_t[]){(n)}, NULL)
#define BOX2(name, dtype, n, m)                                                                                        \
  box name;                                                                                                            \
  box_init(&(name), (dtype), 2, (int64_t[]){(n), (m)}, NULL)

hl_arg arg_of(const box *b);

/* Parses and runs; the kernel must parse.  NULL options: typed mode, all checks. */
hl_status run_text(const char *text, const hl_arg *args, size_t count, const hli_interp_options *options,
                   hl_diag *diag);
/* The same, and the run must succeed. */
void run_ok(const char *text, const hl_arg *args, size_t count, const hli_interp_options *options);
/* The run must fail with this status; the message must contain the words. */
void run_fails(const char *text, const hl_arg *args, size_t count, const hli_interp_options *options, hl_status status,
               const char *words);
/* Every element within the tolerance of compare.h, n terms summed. */
void expect_close(const box *got, const box *want, int64_t n);

/* The kernels of the tests; tile: unscheduled, others as named. */
extern const char text_vector_add[], text_vector_add_scheduled[];
extern const char text_row_sum[], text_row_sum_scheduled[];
extern const char text_softmax[], text_softmax_scheduled[], text_softmax_chunks[];
extern const char text_matmul[], text_matmul_scheduled[];

#endif
