/* hl.h: the subcommands of hl.  Each gets its own arguments (argv[0] is its name) and returns an exit code. */
#ifndef CLI_HL_H
#define CLI_HL_H

#include "src/cli/common/request.h"
#include "src/cli/common/words.h"

int hl_cmd_list(int argc, char **argv);
int hl_cmd_show(int argc, char **argv);
int hl_cmd_space(int argc, char **argv);
int hl_cmd_compile(int argc, char **argv);
int hl_cmd_opt(int argc, char **argv);
int hl_cmd_run(int argc, char **argv);
int hl_cmd_info(int argc, char **argv);
int hl_cmd_cache(int argc, char **argv);

/* What show, space, compile, opt and run have in common: a context, one kernel and its options. */
typedef struct hl_job {
  const char *who;
  hl_context *ctx;
  cli_kernel k;
  cli_shape given, shape;
  const char *config; /* as on the command line; NULL: default */
  const char *what;   /* the operand */
  hl_dtype dtype;
} hl_job;

/* Options that these commands share; case labels for `hl_job_option`. */
#define HL_JOB_OPTIONS                                                                                                 \
  {"shape", required_argument, 0, 's'}, {"dtype", required_argument, 0, 't'}, {                                        \
    "help", no_argument, 0, 'h'                                                                                        \
  }
int hl_job_option(hl_job *job, int option, const char *help); /* 0; an exit code; -1: help was printed */
/* Takes the one operand left by getopt and opens context and kernel. */
int hl_job_open(hl_job *job, int argc, char **argv);
void hl_job_close(hl_job *job);

#endif
