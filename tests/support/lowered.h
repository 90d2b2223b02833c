/* lowered.h: kernels from files, run on reproducible data: as written in the reference interpreter (the truth), and
 * lowered for a CPU, interpreted or compiled. */
#ifndef TESTS_LOWERED_H
#define TESTS_LOWERED_H

#include "hl/hl.h"
#include "src/ir/ir.h"

#define LOWERED_ARGS 16

/* The arguments of one run.  Floating tensors of the truth are f64. */
typedef struct lowered_data {
  uint32_t count;
  hl_tensor tensor[LOWERED_ARGS];
  int64_t shape[LOWERED_ARGS][HL_MAX_RANK];
  hl_arg arg[LOWERED_ARGS];
  bool output[LOWERED_ARGS];
} lowered_data;

/* tests/<below>; the test fails if it does not parse. */
hl_kernel *lowered_parse(hl_context *ctx, const char *below);
/* Every kernel file of a folder: calls visit(user, "folder/name.hl") in the order of their names. */
void lowered_each(const char *folder, const char *suffix, void (*visit)(void *user, const char *below), void *user);
/* A dynamic dimension has its example's size. */
void lowered_data_make(const hl_kernel *k, bool wide, lowered_data *d);
void lowered_data_free(lowered_data *d);
/* The kernel as written, in exact arithmetic: d must be wide. */
void lowered_truth(hl_context *ctx, const hl_kernel *k, lowered_data *d);
/* Scheduled and lowered to LOOP; config NULL: the default one. */
hl_kernel *lowered_loop(hl_context *ctx, const hl_kernel *k, const char *target, const char *config);
/* The same with a random configuration; its JSON goes to `json`. */
hl_kernel *lowered_loop_random(hl_context *ctx, const hl_kernel *k, const char *target, uint64_t seed, char *json, size_t size);
/* Folds and scans have no form on a GPU: the kernel has one, and is refused in words that name place and way out. */
bool lowered_refused(const hl_kernel *k, const char *target);
/* Only scheduled, in the default configuration. */
hl_kernel *lowered_tile(hl_context *ctx, const hl_kernel *k, const char *target);
/* Outputs of `got` against those of the truth. */
void lowered_compare(const hl_kernel *k, const lowered_data *got, const lowered_data *truth, const char *what);

#endif
