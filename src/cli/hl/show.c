/* show.c: hl list, hl show and hl space: looking without running anything. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/hl/hl.h"

/* ---- list ---- */

static void list_one(const hl_example *e) {
  cli_shape shape;
  char dtypes[160] = "";
  for (const hl_dtype *d = e->dtypes; *d != HL_DTYPE_NONE; d++) {
    const size_t used = strlen(dtypes);
    snprintf(dtypes + used, sizeof dtypes - used, "%s%s", used ? " " : "", hl_dtype_text(*d));
  }
  cli_shape_of_example(e, e->bench.size, &shape);
  char *text = cli_shape_text(&shape);
  printf("%3d  %-16s %-24s %-24s %s\n", e->number, e->name, text, dtypes, e->summary);
  free(text);
}

int hl_cmd_list(int argc, char **argv) {
  static const struct option table[] = {{"help", no_argument, 0, 'h'}, {0}};
  for (int o; (o = cli_next_option("hl list", argc, argv, table)) != -1;) {
    if (o != 'h')
      return CLI_MISUSE;
    puts("usage: hl list\n\nPrints the kernels of the ladder: number, name, benchmark shape, dtypes, what they "
         "compute.\n\n  -h, --help    this text");
    return 0;
  }
  if (optind < argc)
    return cli_misuse("hl list", "takes no operand; '%s' is one too many", argv[optind]);
  for (uint32_t i = 0; i < hl_example_count; i++)
    list_one(hl_examples[i]);
  return 0;
}

/* ---- show ---- */

static const char show_help[] = "usage: hl show [--dtype T] NAME|FILE.hl\n\n"
                                "Prints a kernel as text, as it was built.\n\n"
                                "  --dtype T     dtype of a ladder kernel's inputs\n"
                                "  -h, --help    this text\n";

static int print_blob(const char *who, hl_status s, const hl_diag *diag, hl_blob *blob) {
  if (s != HL_OK)
    return cli_report(who, s, diag);
  const int code = cli_write_file(who, NULL, hl_blob_data(blob), hl_blob_size(blob));
  hl_blob_release(blob);
  return code;
}

int hl_cmd_show(int argc, char **argv) {
  static const struct option table[] = {{"dtype", required_argument, 0, 't'}, {"help", no_argument, 0, 'h'}, {0}};
  hl_job job = {.who = "hl show"};
  for (int o; (o = cli_next_option(job.who, argc, argv, table)) != -1;) {
    const int code = hl_job_option(&job, o, show_help);
    if (code)
      return code < 0 ? 0 : code;
  }
  int code = hl_job_open(&job, argc, argv);
  if (!code) {
    hl_diag diag = {0};
    hl_blob *text = NULL;
    const hl_status s = hl_kernel_print(job.k.kernel, &diag, &text);
    code = print_blob(job.who, s, &diag, text);
  }
  hl_job_close(&job);
  return code;
}

/* ---- space ---- */

static const char space_help[] =
    "usage: hl space --target T [--shape M=..,N=..] [--dtype T] NAME|FILE.hl\n\n"
    "Prints every knob of the kernel on a target with its legal values and its default, as JSON.\n\n"
    "  --target T    host (default), x86-64-v3, x86-64-v4, zen4, aarch64, nvptx:sm_80, nvptx:sm_90a\n"
    "  --shape S     sizes of dimensions; left out: the benchmark's\n"
    "  --dtype T     dtype of a ladder kernel's inputs\n"
    "  -h, --help    this text\n";

int hl_cmd_space(int argc, char **argv) {
  static const struct option table[] = {HL_JOB_OPTIONS, {"target", required_argument, 0, 'g'}, {0}};
  hl_job job = {.who = "hl space"};
  const char *name = "host";
  const hl_target *target = NULL;
  for (int o; (o = cli_next_option(job.who, argc, argv, table)) != -1;) {
    if (o == 'g') {
      name = optarg;
      continue;
    }
    const int code = hl_job_option(&job, o, space_help);
    if (code)
      return code < 0 ? 0 : code;
  }
  int code = cli_target_parse(job.who, name, &target);
  if (!code)
    code = hl_job_open(&job, argc, argv);
  if (!code)
    code =
        cli_shape_complete(job.who, &job.k, &job.given, job.k.example ? job.k.example->bench.size : NULL, &job.shape);
  if (!code) {
    hl_diag diag = {0};
    hl_blob *text = NULL;
    const hl_status s = hl_space_print(job.k.kernel, job.shape.bind, job.shape.count, target, &diag, &text);
    code = print_blob(job.who, s, &diag, text);
  }
  hl_job_close(&job);
  return code;
}
