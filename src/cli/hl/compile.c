/* compile.c: hl compile and hl opt: a kernel lowered for a target, down to a stage or through some passes. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/hl/hl.h"

static const char compile_help[] =
    "usage: hl compile --target T [--emit E] [-o FILE] [options] NAME|FILE.hl\n\n"
    "Lowers a kernel for a target and prints what comes out.\n\n"
    "  --target T       host (default), x86-64-v3, x86-64-v4, zen4, aarch64, nvptx:sm_80, nvptx:sm_90a\n"
    "  --emit E         tile   scheduled tile IR\n"
    "                   loop   loop IR (CPU targets)\n"
    "                   lane   lane IR (GPU targets)\n"
    "                   llvm   LLVM IR\n"
    "                   asm    assembly or PTX (default)\n"
    "                   obj    shared object, or cubin (PTX where no assembler is found)\n"
    "  -o FILE          write there instead of the standard output\n"
    "  --shape S        sizes of dimensions, M=1024,N=65; left out: the benchmark's\n"
    "  --dtype T        dtype of a ladder kernel's inputs: f32, bf16 ...\n"
    "  --config C       default, random:SEED, a JSON object or @FILE; `hl space` lists the knobs\n"
    "  --stop-after P   print the IR after this pass\n"
    "  -h, --help       this text\n";

static const char opt_help[] =
    "usage: hl opt --target T [--passes P,Q,R] [-o FILE] [options] NAME|FILE.hl\n\n"
    "Runs the target's pipeline on a kernel and prints the IR.\n\n"
    "  --target T       host (default), x86-64-v3, x86-64-v4, zen4, aarch64, nvptx:sm_80, nvptx:sm_90a\n"
    "  --passes P,Q,R   stop after the last of these.  The pipeline's order is fixed and every pass before it\n"
    "                   runs too, so `--passes tile` and `--passes specialize,roll,tile` are the same.\n"
    "                   Left out: all of them.\n"
    "  --print-all      print the IR after every pass, to stderr\n"
    "  -o FILE          write there instead of the standard output\n"
    "  --shape S        sizes of dimensions, M=1024,N=65; left out: the benchmark's\n"
    "  --dtype T        dtype of a ladder kernel's inputs\n"
    "  --config C       default, random:SEED, a JSON object or @FILE\n"
    "  -h, --help       this text\n\n"
    "`hl info` lists the passes of every target, in their order.\n";

typedef struct request {
  hl_job job;
  const hl_target *target;
  const char *target_name, *out, *stop;
  hl_emit emit;
  bool print_all;
} request;

static const char *const emits[] = {
    [HL_EMIT_TILE] = "tile", [HL_EMIT_LOOP] = "loop", [HL_EMIT_LANE] = "lane",
    [HL_EMIT_LLVM] = "llvm", [HL_EMIT_ASM] = "asm",   [HL_EMIT_OBJ] = "obj",
};
enum { EMITS = sizeof emits / sizeof emits[0] };

static int parse_emit(const char *who, const char *text, hl_emit *out) {
  for (int i = 0; i < EMITS; i++)
    if (!strcmp(text, emits[i])) {
      *out = (hl_emit)i;
      return 0;
    }
  const char *near = cli_nearest(text, emits, EMITS);
  return near ? cli_misuse(who, "there is nothing called '%s' to emit; did you mean '%s'?", text, near)
              : cli_misuse(who, "there is nothing called '%s' to emit; there are tile, loop, lane, llvm, asm, obj",
                           text);
}

static void log_line(void *user, hl_log_level level, hl_str text) {
  (void)user;
  (void)level;
  fprintf(stderr, "%.*s\n", (int)text.len, text.ptr);
}

/* An hl_context that logs; the job's own is silent. */
static hl_context *logging_context(void) {
  hl_context_options o = HL_CONTEXT_OPTIONS_INIT;
  hl_context *ctx = NULL;
  o.log = log_line;
  hl_context_create(&o, NULL, &ctx);
  return ctx;
}

static int compile(request *r, hl_context *ctx) {
  hl_job *job = &r->job;
  hl_diag diag = {0};
  hl_config *config = NULL;
  hl_blob *blob = NULL;
  const int bad = cli_config_open(job->who, job->config, job->k.kernel, &job->shape, r->target, &config);
  if (bad)
    return bad;
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  o.shape = job->shape.bind;
  o.shape_count = job->shape.count;
  o.config = config;
  o.emit = r->emit;
  o.stop_after = r->stop;
  o.dump = r->print_all;
  const hl_status s = hl_compile(ctx, job->k.kernel, r->target, &o, &diag, &blob);
  hl_config_destroy(config);
  if (s != HL_OK)
    return cli_report(job->who, s, &diag);
  const int code = r->emit == HL_EMIT_OBJ && !r->stop && !r->out && isatty(STDOUT_FILENO)
                       ? cli_misuse(job->who, "an object is no text: give -o FILE")
                       : cli_write_file(job->who, r->out, hl_blob_data(blob), hl_blob_size(blob));
  hl_blob_release(blob);
  return code;
}

/* "a,b,c": every name must be a pass of the target; r->stop becomes the one that runs last. */
static int check_passes(request *r, const char *option) {
  const char *names[64], *end;
  size_t n = 0, latest = 0;
  for (const char *name; n < 64 && (name = hl_pass_name(r->target, (uint32_t)n)); n++)
    names[n] = name;
  for (const char *at = r->stop; at; at = *end ? end + 1 : NULL) {
    end = at + strcspn(at, ",");
    size_t i = 0;
    while (i < n && (strlen(names[i]) != (size_t)(end - at) || strncmp(names[i], at, (size_t)(end - at)) != 0))
      i++;
    if (i < n) {
      latest = i > latest ? i : latest;
      continue;
    }
    char list[512] = "", *word = cli_copy(at, (size_t)(end - at));
    for (i = 0; i < n; i++)
      snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
    const char *near = cli_nearest(word, names, n);
    cli_misuse(r->job.who,
               near ? "%s: target %s has no pass '%s'; did you mean '%s'?  There are %s"
                    : "%s: target %s has no pass '%s'; there are %s%s",
               option, r->target_name, word, near ? near : list, near ? list : "");
    free(word);
    return CLI_MISUSE;
  }
  r->stop = names[latest];
  return 0;
}

static int finish(request *r, const char *option, int argc, char **argv) {
  hl_job *job = &r->job;
  int code = cli_target_parse(job->who, r->target_name, &r->target);
  if (!code && r->stop)
    code = check_passes(r, option);
  if (!code)
    code = hl_job_open(job, argc, argv);
  if (!code)
    code = cli_shape_complete(job->who, &job->k, &job->given, job->k.example ? job->k.example->bench.size : NULL,
                              &job->shape);
  hl_context *log = !code && r->print_all ? logging_context() : NULL;
  if (!code)
    code = compile(r, log ? log : job->ctx);
  hl_context_destroy(log);
  hl_job_close(job);
  return code;
}

int hl_cmd_compile(int argc, char **argv) {
  static const struct option table[] = {HL_JOB_OPTIONS,
                                        {"target", required_argument, 0, 'g'},
                                        {"emit", required_argument, 0, 'e'},
                                        {"output", required_argument, 0, 'o'},
                                        {"config", required_argument, 0, 'c'},
                                        {"stop-after", required_argument, 0, 'p'},
                                        {0}};
  request r = {.job = {.who = "hl compile"}, .target_name = "host", .emit = HL_EMIT_ASM};
  for (int o; (o = cli_next_option(r.job.who, argc, argv, table)) != -1;) {
    int code = 0;
    if (o == 'g')
      r.target_name = optarg;
    else if (o == 'e')
      code = parse_emit(r.job.who, optarg, &r.emit);
    else if (o == 'o')
      r.out = optarg;
    else if (o == 'c')
      r.job.config = optarg;
    else if (o == 'p')
      r.stop = optarg;
    else
      code = hl_job_option(&r.job, o, compile_help);
    if (code)
      return code < 0 ? 0 : code;
  }
  return finish(&r, "--stop-after", argc, argv);
}

int hl_cmd_opt(int argc, char **argv) {
  static const struct option table[] = {HL_JOB_OPTIONS,
                                        {"target", required_argument, 0, 'g'},
                                        {"passes", required_argument, 0, 'p'},
                                        {"print-all", no_argument, 0, 'a'},
                                        {"output", required_argument, 0, 'o'},
                                        {"config", required_argument, 0, 'c'},
                                        {0}};
  request r = {.job = {.who = "hl opt"}, .target_name = "host"};
  for (int o; (o = cli_next_option(r.job.who, argc, argv, table)) != -1;) {
    int code = 0;
    if (o == 'g')
      r.target_name = optarg;
    else if (o == 'p')
      r.stop = optarg;
    else if (o == 'a')
      r.print_all = true;
    else if (o == 'o')
      r.out = optarg;
    else if (o == 'c')
      r.job.config = optarg;
    else
      code = hl_job_option(&r.job, o, opt_help);
    if (code)
      return code < 0 ? 0 : code;
  }
  r.emit = strncmp(r.target_name, "nvptx", 5) == 0 ? HL_EMIT_LANE : HL_EMIT_LOOP;
  return finish(&r, "--passes", argc, argv);
}
