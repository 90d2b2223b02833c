/* run.h: one run of a kernel with checked results, on a device or in the interpreter: what `hl run`, the
 * conformance tests and `hl-bench check` have in common. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "src/cli/common/args.h"

typedef struct cli_place {
  hl_context *ctx;
  hl_device *dev;          /* NULL: the interpreter */
  const hl_target *target; /* of the device; the interpreter: lowered for it, NULL: the kernel as built */
} cli_place;

/* Runs once with `args` filled; outputs are in the host copies afterwards.  The configuration is NULL or made for
 * place->target. */
hl_status cli_run(const cli_place *place, const hl_kernel *k, const hl_config *config, cli_args *args, hl_diag *diag);

/* One case of the conformance matrix. */
typedef struct cli_case {
  const hl_example *example;
  hl_dtype dtype;
  const int64_t *size; /* in the order of the example's dims */
  uint32_t config;     /* 0: the default one; else random by this seed */
} cli_case;

typedef struct cli_outcome {
  hl_status status; /* HL_OK: it ran, and verdict says how right it is */
  hl_diag diag;
  cli_verdict verdict;
  char config[512]; /* JSON */
} cli_outcome;
void cli_case_run(const cli_place *place, const cli_case *c, cli_outcome *out);
bool cli_outcome_right(const cli_outcome *o);
/* "softmax bf16 M=7 N=1000 random:3" */
char *cli_case_text(const cli_case *c);
/* What went wrong, "" if nothing did. */
const char *cli_outcome_words(const cli_outcome *o);

#endif
