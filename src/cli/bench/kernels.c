/* kernels.c: hl-bench itself: each kernel is run once and checked, and only when it is right raced against its
 * references. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/bench/session.h"

static const double most_reference_work = 4e9; /* floating-point operations of the double reference */

static hl_status check(race *r, const hl_kernel *k, const hl_config *config, bench_result *out, hl_diag *diag) {
  cli_verdict v;
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.config = config;
  o.args = r->args.device;
  o.arg_count = r->args.count;
  hl_status s = cli_args_send(&r->args, r->s->place.dev, diag);
  const double begin = cli_now();
  if (s == HL_OK)
    s = hl_plan_create(r->s->place.dev, k, &o, diag, &r->plan);
  out->compile_seconds = cli_now() - begin;
  if (s == HL_OK)
    s = hl_launch(r->plan, NULL, r->args.device, r->args.count, NULL, diag);
  if (s == HL_OK)
    s = hl_device_synchronize(r->s->place.dev, diag);
  if (s == HL_OK)
    s = cli_args_fetch(&r->args, r->s->place.dev, diag);
  if (s != HL_OK)
    return s;
  out->checked_share = cli_args_reference(&r->args, r->e, most_reference_work);
  cli_args_judge(&r->args, r->e->reduction(r->size), &v);
  out->right = v.right;
  out->worst = v.worst;
  out->frobenius = v.frobenius / sqrt(out->checked_share); /* what was taken over has no error */
  snprintf(out->words, sizeof out->words, "%s", v.words);
  return HL_OK;
}

static hl_status measure(race *r, const hl_kernel *k, const cli_shape *shape, bench_result *out, hl_diag *diag) {
  hl_config *config = NULL;
  const session *s = r->s;
  hl_status st = cli_args_create(k, shape, diag, &r->args);
  if (st == HL_OK && r->args.count > HL_EXAMPLE_ARGS)
    st = HL_ERR_LIMIT;
  if (st == HL_OK)
    st = cli_config_make(s->o->config, k, shape, s->place.target, diag, &config);
  if (st == HL_OK) {
    free(out->config);
    out->config = cli_config_text(config);
    cli_args_fill(&r->args, s->o->seed);
    bench_progress("%s %s: checking", r->e->name, out->dtype);
    st = check(r, k, config, out, diag);
  }
  if (st == HL_OK && out->right) {
    bench_progress("%s %s: timing", r->e->name, out->dtype);
    st = race_run(r, out, diag);
  }
  hl_config_destroy(config);
  return st;
}

/* An exit code; *wrong if the kernel is, or failed. */
static int bench_kernel(session *s, const bench_job *job, bench_report *report, bool *wrong) {
  const hl_example *e = job->example;
  hl_diag diag = {0};
  hl_kernel *k = NULL;
  cli_shape shape;
  race *r = cli_alloc(1, sizeof *r);
  bench_result out = {.kernel = e->name,
                      .dtype = hl_dtype_text(job->dtype),
                      .threads = s->threads,
                      .config = cli_copy("", 0),
                      .roof = NAN};
  char *step = cli_format("%s %s", e->name, out.dtype);
  *r = (race){.s = s, .e = e, .dtype = job->dtype};
  bench_watch(s->o->timeout, step);
  hl_status st = e->build(s->place.ctx, job->dtype, &diag, &k);
  if (st == HL_OK && bench_shape(s->o, job, k, &shape))
    st = HL_ERR_ARG;
  if (st == HL_OK) {
    cli_shape_sizes(e, &shape, r->size);
    out.shape = cli_shape_text(&shape);
    out.bytes = e->bytes(r->size, hl_dtype_size(job->dtype));
    out.flops = e->flops(r->size);
    st = measure(r, k, &shape, &out, &diag);
  }
  bench_progress(" ");
  out.status = st != HL_OK ? "error" : out.right ? "ok" : "wrong";
  if (st != HL_OK)
    snprintf(out.words, sizeof out.words, "%s", diag.message[0] ? diag.message : hl_status_text(st));
  *wrong |= st != HL_OK || !out.right;
  const int code = report_add(report, &out);
  race_close(r);
  hl_kernel_destroy(k);
  bench_watch(0, "");
  free(step);
  free(r);
  return code;
}

/* ---- sessions ---- */

static void begin_report(bench_report *report, const session *s) {
  char version[32];
  const int v = cuda_blas_version(s->clock.cuda);
  snprintf(version, sizeof version, v ? "%d" : "", v);
  snprintf(report->machine, sizeof report->machine, "%s", s->info.name);
  report_environment(&report->j, s->o, s->place.dev, blas_config(s->blas), version);
  jw_open(&report->j, "results", '[');
  report_head();
}

/* One session per number of CPU threads; on a GPU one.  An exit code. */
static int bench_sessions(bench_report *report, blas *b, const int *threads, const bench_job *jobs, size_t count) {
  const bench_options *o = report->o;
  bool wrong = false;
  for (int i = 0; i < 2 && (i == 0 || threads[i]); i++) {
    session s = {.o = o, .threads = threads[i], .blas = b};
    hl_diag diag = {0};
    bench_watch(o->timeout, "opening the device");
    const hl_status st = session_open(&s, &diag);
    int bad = st == HL_OK ? 0 : cli_report(o->who, st, &diag);
    if (!bad && i == 0)
      bad = bench_config_fits(o, &s.place, jobs, count);
    if (!bad && i == 0)
      begin_report(report, &s);
    for (size_t k = 0; !bad && k < count; k++)
      bad = bench_kernel(&s, &jobs[k], report, &wrong);
    session_close(&s);
    if (bad)
      return bad;
  }
  return wrong ? CLI_FAILED : 0;
}

int bench_kernels(const bench_options *o) {
  const bool cpu = strcmp(o->device, "cpu") == 0;
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  const int threads[2] = {cpu ? (o->threads ? o->threads : 1) : 0, cpu && !o->threads && cores > 1 ? (int)cores : 0};
  bench_report report;
  size_t count = 0;
  bench_job *jobs = bench_select(o, &count);
  if (!jobs)
    return CLI_MISUSE;
  report_begin(&report, o);
  blas *b = cpu ? blas_open() : NULL;
  if (cpu && !b)
    fprintf(stderr, "%s: no OpenBLAS (libopenblas.so.0) to compare with\n", o->who);
  jw_open(&report.j, NULL, '{');
  int code = bench_sessions(&report, b, threads, jobs, count);
  blas_close(b);
  if (report.count && (!code || code == CLI_FAILED)) {
    const int written = report_close(&report);
    code = code ? code : written;
  }
  report_free(&report);
  free(jobs);
  return code;
}
