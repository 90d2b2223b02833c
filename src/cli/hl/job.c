/* job.c: options and set-up shared by the commands that work on one kernel. */
#include <getopt.h>
#include <stdio.h>

#include "src/cli/hl/hl.h"

int hl_job_option(hl_job *job, int option, const char *help) {
  switch (option) {
  case 's':
    return cli_shape_parse(job->who, optarg, &job->given);
  case 't':
    return cli_dtype_parse(job->who, optarg, &job->dtype);
  case 'h':
    fputs(help, stdout);
    return -1;
  default:
    return CLI_MISUSE; /* the mistake was printed */
  }
}

int hl_job_open(hl_job *job, int argc, char **argv) {
  hl_diag diag = {0};
  if (optind >= argc)
    return cli_misuse(job->who, "wants a kernel: a name of `hl list` or a file NAME.hl");
  if (optind + 1 < argc)
    return cli_misuse(job->who, "wants one kernel; '%s' is one too many", argv[optind + 1]);
  job->what = argv[optind];
  const hl_status s = hl_context_create(NULL, &diag, &job->ctx);
  return s == HL_OK ? cli_kernel_open(job->who, job->ctx, job->what, job->dtype, &job->k)
                    : cli_report(job->who, s, &diag);
}

void hl_job_close(hl_job *job) {
  cli_kernel_close(&job->k);
  hl_context_destroy(job->ctx);
}
