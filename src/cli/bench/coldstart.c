/* coldstart.c: hl-bench coldstart: from the start of a process to a kernel's first result.
 *
 * Every figure is of a process of its own, which this program starts: it is the same program, told by the variable
 * HL_BENCH_BEGIN when it was started, and it writes one line of seconds.  The first process of a pair finds an empty
 * store and compiles; the second one finds what the first left there. */
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/cli/bench/bench.h"

enum { ROUNDS = 5 };
enum { START, OPEN, BUILD, PLAN, LAUNCH, STAGES };
static const char *const stage_names[STAGES] = {"process", "open", "build", "plan", "launch"};
static const char begin_variable[] = "HL_BENCH_BEGIN";

/* ---- the process that is measured ---- */

static hl_status first_launch(const bench_options *o, const hl_example *e, double *t, hl_diag *diag) {
  cli_place place = {0};
  cli_args args = {0};
  hl_kernel *k = NULL;
  hl_plan *plan = NULL;
  cli_shape shape;
  double now = cli_now();
  hl_status s = hl_context_create(NULL, diag, &place.ctx);
  if (s == HL_OK)
    s = hl_device_open(place.ctx, o->device, diag, &place.dev);
  t[OPEN] = cli_now() - now, now += t[OPEN];
  if (s == HL_OK)
    s = e->build(place.ctx, o->dtype == HL_DTYPE_NONE ? e->dtypes[0] : o->dtype, diag, &k);
  t[BUILD] = cli_now() - now;
  cli_shape_of_example(e, e->odd[1].size[0] ? e->odd[1].size : e->odd[0].size, &shape);
  if (s == HL_OK)
    s = cli_args_create(k, &shape, diag, &args);
  if (s == HL_OK) {
    cli_args_fill(&args, 1);
    s = cli_args_send(&args, place.dev, diag);
  }
  hl_plan_options p = HL_PLAN_OPTIONS_INIT;
  p.args = args.device;
  p.arg_count = args.count;
  now = cli_now();
  if (s == HL_OK)
    s = hl_plan_create(place.dev, k, &p, diag, &plan);
  t[PLAN] = cli_now() - now, now += t[PLAN];
  if (s == HL_OK)
    s = hl_launch(plan, NULL, args.device, args.count, NULL, diag);
  if (s == HL_OK)
    s = hl_device_synchronize(place.dev, diag);
  t[LAUNCH] = cli_now() - now;
  hl_plan_destroy(plan);
  cli_args_free(&args);
  hl_kernel_destroy(k);
  hl_device_close(place.dev);
  hl_context_destroy(place.ctx);
  return s;
}

static int child_main(const bench_options *o, const char *begin) {
  double t[STAGES] = {[START] = cli_now() - strtod(begin, NULL)};
  hl_diag diag = {0};
  size_t count;
  bench_job *jobs = bench_select(o, &count);
  if (!jobs)
    return CLI_MISUSE;
  const hl_status s = first_launch(o, jobs[0].example, t, &diag);
  free(jobs);
  if (s != HL_OK)
    return cli_report(o->who, s, &diag);
  for (int i = 0; i < STAGES; i++)
    printf("%.9f%c", t[i], i + 1 < STAGES ? ' ' : '\n');
  return 0;
}

/* ---- starting it ---- */

/* The environment with two variables set; entries that are ours are at the end. */
static char **environment(const char *folder, char *begin) {
  extern char **environ;
  size_t n = 0, used = 0;
  while (environ[n])
    n++;
  char **out = cli_alloc(n + 3, sizeof *out);
  for (size_t i = 0; i < n; i++)
    if (strncmp(environ[i], "HL_CACHE_DIR=", 13) != 0)
      out[used++] = environ[i];
  out[used++] = cli_format("HL_CACHE_DIR=%s", folder);
  out[used] = begin;
  return out;
}

/* One process; false when it failed, which it said itself. */
static bool run_child(const bench_options *o, const bench_job *job, const char *folder, double *t) {
  int fd[2], status = 1;
  pid_t pid;
  char line[256] = "", *name = cli_format("^%s$", job->example->name);
  char *argv[] = {"hl-bench", "coldstart",
                  "--filter", name,
                  "--dtype",  (char *)(uintptr_t)hl_dtype_text(job->dtype),
                  "--device", (char *)(uintptr_t)o->device,
                  NULL};
  char *begin = cli_format("%s=%.9f", begin_variable, cli_now());
  char **env = environment(folder, begin);
  posix_spawn_file_actions_t actions;
  bool ok = pipe2(fd, O_CLOEXEC) == 0;
  if (ok) {
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd[1], STDOUT_FILENO);
    ok = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, env) == 0;
    posix_spawn_file_actions_destroy(&actions);
    close(fd[1]);
    FILE *f = ok ? fdopen(fd[0], "r") : NULL;
    if (f && !fgets(line, sizeof line, f))
      line[0] = 0;
    f ? fclose(f) : close(fd[0]);
    if (ok)
      waitpid(pid, &status, 0);
  }
  ok = ok && status == 0 &&
       sscanf(line, "%lf %lf %lf %lf %lf", &t[START], &t[OPEN], &t[BUILD], &t[PLAN], &t[LAUNCH]) == STAGES;
  for (size_t i = 0; env[i]; i++)
    if (!strncmp(env[i], "HL_CACHE_DIR=", 13))
      free(env[i]);
  free(env);
  free(begin);
  free(name);
  return ok;
}

/* ---- a pair of processes ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where) {
  (void)st, (void)kind, (void)where;
  return remove(path);
}

typedef struct figures {
  double t[STAGES][ROUNDS], sum[ROUNDS];
} figures;

static bool one_pair(const bench_options *o, const bench_job *job, size_t round, figures *empty, figures *stored) {
  char folder[] = "/tmp/hl-bench-XXXXXX";
  figures *const both[] = {empty, stored};
  bool ok = mkdtemp(folder) != NULL;
  for (int i = 0; ok && i < 2; i++) {
    double t[STAGES];
    ok = run_child(o, job, folder, t);
    both[i]->sum[round] = 0;
    for (int k = 0; ok && k < STAGES; k++) {
      both[i]->t[k][round] = t[k];
      both[i]->sum[round] += t[k];
    }
  }
  nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return ok;
}

static void report_figures(json *j, const bench_job *job, const char *store, const figures *f, size_t rounds) {
  const interval all = bench_median(f->sum, rounds);
  printf("%-16s %-5s %-6s %8.1f [%.1f, %.1f]", job->example->name, hl_dtype_text(job->dtype), store, all.median * 1e3,
         all.low * 1e3, all.high * 1e3);
  jw_open(j, NULL, '{');
  jw_text(j, "kernel", job->example->name);
  jw_text(j, "shape", store);
  jw_text(j, "dtype", hl_dtype_text(job->dtype));
  jw_text(j, "verdict", "ok");
  jw_open(j, "seconds", '{');
  jw_number(j, "median", all.median);
  jw_number(j, "low", all.low);
  jw_number(j, "high", all.high);
  jw_close(j, '}');
  for (int k = 0; k < STAGES; k++) {
    const interval one = bench_median(f->t[k], rounds);
    printf("  %s %.1f", stage_names[k], one.median * 1e3);
    jw_number(j, stage_names[k], one.median);
  }
  jw_close(j, '}');
  puts("");
  fflush(stdout);
}

static int measure(const bench_options *o, const bench_job *jobs, size_t count, json *j) {
  const size_t rounds = o->pairs < ROUNDS ? (size_t)o->pairs : ROUNDS;
  int code = 0;
  printf("%-16s %-5s %-6s %8s %s\n", "kernel", "dtype", "store", "ms", "[95% interval]  of which, ms");
  jw_open(j, "results", '[');
  for (size_t i = 0; i < count; i++) {
    figures empty = {0}, stored = {0};
    bool ok = true;
    bench_progress("%s", jobs[i].example->name);
    for (size_t r = 0; ok && r < rounds; r++)
      ok = one_pair(o, &jobs[i], r, &empty, &stored);
    bench_progress(" ");
    if (!ok) {
      printf("%-16s %-5s error\n", jobs[i].example->name, hl_dtype_text(jobs[i].dtype));
      code = CLI_FAILED;
      continue;
    }
    report_figures(j, &jobs[i], "empty", &empty, rounds);
    report_figures(j, &jobs[i], "filled", &stored, rounds);
  }
  jw_close(j, ']');
  return code;
}

int bench_coldstart(const bench_options *o) {
  const char *begin = getenv(begin_variable);
  if (begin)
    return child_main(o, begin);
  json j = {0};
  size_t count = 0;
  bench_job *jobs = bench_select(o, &count);
  if (!jobs)
    return CLI_MISUSE;
  jw_open(&j, NULL, '{');
  report_environment(&j, o, NULL, "", "");
  int code = measure(o, jobs, count, &j);
  jw_close(&j, '}');
  const int written = report_write(o, &j);
  code = code ? code : written;
  free(jobs);
  return code;
}
