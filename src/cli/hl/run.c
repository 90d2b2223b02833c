/* run.c: hl run: runs a kernel once on a device or in the interpreter, and checks the result. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/common/run.h"
#include "src/cli/hl/hl.h"

static const char run_help[] =
    "usage: hl run [--device D] [--check] [options] NAME|FILE.hl\n\n"
    "Fills the inputs with random data as the kernel's parameters say, runs it once and prints what the\n"
    "outputs look like.\n\n"
    "  --device D    cpu (default), cuda, cuda:1, null (nothing is computed), interp (the reference\n"
    "                interpreter; with --target the kernel is lowered for that target first)\n"
    "  --check       compare with the kernel's double-precision reference; a file's kernel is compared with\n"
    "                the interpreter.  A wrong result is exit code 1\n"
    "  --shape S     sizes of dimensions, M=1024,N=65; left out: the benchmark's, a small one for interp\n"
    "  --dtype T     dtype of a ladder kernel's inputs: f32, bf16 ...\n"
    "  --config C    default, random:SEED, a JSON object or @FILE; `hl space` lists the knobs\n"
    "  --seed N      of the inputs; left out: 1\n"
    "  --target T    with --device interp\n"
    "  -h, --help    this text\n";

typedef struct request {
  hl_job job;
  const char *device, *target_name;
  uint64_t seed;
  bool check;
} request;

static void print_output(const cli_arg *a) {
  double *x = cli_alloc(a->count, sizeof *x), least = INFINITY, most = -INFINITY, sum = 0;
  size_t nans = 0;
  cli_to_double(a->info.dtype, a->data, x, a->count);
  for (size_t i = 0; i < a->count; i++) {
    if (isnan(x[i]))
      nans++;
    else
      least = fmin(least, x[i]), most = fmax(most, x[i]), sum += x[i];
  }
  printf("%.*s: %s, %zu elements", (int)a->info.name.len, a->info.name.ptr, hl_dtype_text(a->info.dtype), a->count);
  if (a->count > nans)
    printf(", from %.6g to %.6g, sum %.9g", least, most, sum);
  if (nans)
    printf(", %zu NaN", nans);
  if (a->count)
    printf(", begins");
  for (size_t i = 0; i < a->count && i < 4; i++)
    printf(" %.6g", x[i]);
  puts("");
  free(x);
}

static int check(const request *r, cli_args *args) {
  hl_diag diag = {0};
  int64_t size[HL_EXAMPLE_DIMS], terms;
  cli_verdict v;
  if (r->job.k.example) {
    cli_shape_sizes(r->job.k.example, &r->job.shape, size);
    cli_args_reference(args, r->job.k.example, 0);
    terms = r->job.k.example->reduction(size);
  } else {
    /* The interpreter writes into the same host copies: run it on others filled alike. */
    cli_args again;
    hl_status s = cli_args_create(r->job.k.kernel, &r->job.shape, &diag, &again);
    if (s != HL_OK)
      return cli_report(r->job.who, s, &diag);
    cli_args_fill(&again, r->seed);
    s = cli_args_interpret(&again, r->job.ctx, r->job.k.kernel, &diag);
    for (uint32_t i = 0; i < args->count; i++)
      args->arg[i].want = again.arg[i].want, again.arg[i].want = NULL;
    cli_args_free(&again);
    if (s != HL_OK)
      return cli_report(r->job.who, s, &diag);
    terms = cli_args_terms(args);
  }
  cli_args_judge(args, terms, &v);
  if (!v.right)
    return cli_fail(r->job.who, "wrong: %s", v.words);
  printf("ok: relative Frobenius error %.3g; the worst element has %.3g of the error that is allowed\n", v.frobenius,
         v.worst);
  return 0;
}

static int run(request *r, const cli_place *place) {
  hl_job *job = &r->job;
  hl_diag diag = {0};
  hl_config *config = NULL;
  cli_args args = {0};
  hl_status s = cli_args_create(job->k.kernel, &job->shape, &diag, &args);
  int code = s == HL_OK ? 0 : cli_report(job->who, s, &diag);
  if (!code && place->target)
    code = cli_config_open(job->who, job->config, job->k.kernel, &job->shape, place->target, &config);
  if (!code) {
    cli_args_fill(&args, r->seed);
    s = cli_run(place, job->k.kernel, config, &args, &diag);
    code = s == HL_OK ? 0 : cli_report(job->who, s, &diag);
  }
  if (!code) {
    char *json = cli_config_text(config), *shape = cli_shape_text(&job->shape);
    printf("%s on %s, %s%s%s\n", job->what, r->device, shape, config ? ", configuration " : "", json);
    for (uint32_t i = 0; i < args.count; i++)
      if (cli_arg_is_output(&args.arg[i]))
        print_output(&args.arg[i]);
    free(json);
    free(shape);
    if (r->check && strcmp(r->device, "null") == 0)
      puts("not checked: the null device computes nothing");
    else if (r->check)
      code = check(r, &args);
  }
  hl_config_destroy(config);
  cli_args_free(&args);
  return code;
}

static const int64_t *usual_sizes(const request *r) {
  const hl_example *e = r->job.k.example;
  if (!e)
    return NULL;
  if (strcmp(r->device, "interp") != 0)
    return e->bench.size;
  return e->odd[1].size[0] ? e->odd[1].size : e->odd[0].size;
}

static int open_place(const request *r, cli_place *place) {
  hl_diag diag = {0};
  hl_status s = HL_OK;
  const int bad = cli_device_check(r->job.who, r->device, true);
  *place = (cli_place){.ctx = r->job.ctx};
  if (bad)
    return bad;
  if (!strcmp(r->device, "interp"))
    return r->target_name ? cli_target_parse(r->job.who, r->target_name, &place->target) : 0;
  if (r->target_name)
    return cli_misuse(r->job.who, "--target goes with --device interp; a device has its own target");
  s = hl_device_open(r->job.ctx, r->device, &diag, &place->dev);
  if (s == HL_OK)
    s = cli_device_target(place->dev, &diag, &place->target);
  return s == HL_OK ? 0 : cli_report(r->job.who, s, &diag);
}

static int parse(request *r, int argc, char **argv) {
  static const struct option table[] = {HL_JOB_OPTIONS,
                                        {"device", required_argument, 0, 'd'},
                                        {"check", no_argument, 0, 'k'},
                                        {"config", required_argument, 0, 'c'},
                                        {"seed", required_argument, 0, 'n'},
                                        {"target", required_argument, 0, 'g'},
                                        {0}};
  for (int o; (o = cli_next_option(r->job.who, argc, argv, table)) != -1;) {
    int code = 0;
    if (o == 'd')
      r->device = optarg;
    else if (o == 'k')
      r->check = true;
    else if (o == 'c')
      r->job.config = optarg;
    else if (o == 'n')
      code = cli_seed_parse(r->job.who, optarg, &r->seed);
    else if (o == 'g')
      r->target_name = optarg;
    else
      code = hl_job_option(&r->job, o, run_help);
    if (code)
      return code;
  }
  return 0;
}

int hl_cmd_run(int argc, char **argv) {
  request r = {.job = {.who = "hl run"}, .device = "cpu", .seed = 1};
  cli_place place = {0};
  int code = parse(&r, argc, argv);
  if (code)
    return code < 0 ? 0 : code;
  code = hl_job_open(&r.job, argc, argv);
  if (!code)
    code = open_place(&r, &place);
  if (!code)
    code = cli_shape_complete(r.job.who, &r.job.k, &r.job.given, usual_sizes(&r), &r.job.shape);
  if (!code && r.job.config && !place.target)
    code = cli_misuse(r.job.who, "--config wants a target: give --target with --device interp");
  if (!code)
    code = run(&r, &place);
  hl_device_close(place.dev);
  hl_job_close(&r.job);
  return code;
}
