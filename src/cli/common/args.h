/* args.h: arguments of a launch: made from the kernel's parameters, filled by their specs, sent to a device and
 * fetched back, compared with a reference.
 *
 * Outputs are poisoned before the run: NaN, or 0xA5 bytes for integers, so that an element that was not written
 * is seen.  Around every buffer lie bytes that nobody may write. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include "src/cli/common/number.h"
#include "src/cli/common/request.h"

typedef struct cli_arg {
  hl_param_info info;
  int64_t shape[HL_MAX_RANK];
  size_t count, bytes;
  unsigned char *data; /* host copy; scalars: one element */
  hl_tensor host, device;
  hl_buffer *buffer; /* NULL: not placed */
  double *want;      /* outputs: the reference; NULL: not computed */
  double *scale;     /* and what its terms add up to, see hl_example_tensor; NULL: not said */
} cli_arg;

typedef struct cli_args {
  uint32_t count;
  cli_arg *arg;
  hl_arg *host, *device; /* for hl_interpret, for hl_launch */
} cli_args;

hl_status cli_args_create(const hl_kernel *k, const cli_shape *s, hl_diag *diag, cli_args *out);
void cli_args_free(cli_args *a);
/* Fresh inputs; outputs are poisoned. */
void cli_args_fill(cli_args *a, uint64_t seed);
void cli_args_poison(cli_args *a);
bool cli_arg_is_output(const cli_arg *a);

/* Allocates on the device once, then sends everything, poison included. */
hl_status cli_args_send(cli_args *a, hl_device *dev, hl_diag *diag);
/* Fetches outputs; HL_ERR_INTERNAL if something was written beside a buffer or into an input. */
hl_status cli_args_fetch(cli_args *a, hl_device *dev, hl_diag *diag);

/* The double reference of an example, into `want` of the outputs; inputs must still be those of the run.  Where
 * the rows of the outputs do not depend on each other, threads share the work; and when it is more than
 * `most_work` floating-point operations (0: no limit) only some blocks of rows are computed and the others taken
 * over from the result, unless they hold NaN.  Returns the share of rows that was computed. */
double cli_args_reference(cli_args *a, const hl_example *e, double most_work);
/* The interpreter's exact mode as the reference, for kernels of files. */
hl_status cli_args_interpret(cli_args *a, hl_context *ctx, const hl_kernel *k, hl_diag *diag);
/* Terms added up into one element when nobody says: the product of all sizes over the output's; a size counts as
 * often as one tensor has it. */
int64_t cli_args_terms(const cli_args *a);

typedef struct cli_verdict {
  bool right;
  double worst, frobenius; /* the worst of all outputs */
  char words[320];         /* the first mistake */
} cli_verdict;
void cli_args_judge(const cli_args *a, int64_t terms, cli_verdict *out);

#endif
