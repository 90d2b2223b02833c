/* cache.c: hl-bench cache: what the cache of compiled kernels and configurations costs: opening it, putting and finding
 * records in it, and making a plan that it has.  It works in a new folder that it removes. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/bench.h"

enum { ROUNDS = 31, WARM = 1 };

typedef struct desk {
  const bench_options *o;
  const char *folder;
  hl_context *ctx;
  hl_device *dev;
  const hl_target *target;
  hl_kernel *kernel;
  const hl_example *example;
} desk;

static void leave(desk *d) {
  hl_kernel_destroy(d->kernel);
  hl_device_close(d->dev);
  hl_context_destroy(d->ctx);
  d->kernel = NULL;
  d->dev = NULL;
  d->ctx = NULL;
}

static hl_status enter(desk *d, hl_diag *diag) {
  hl_context_options c = HL_CONTEXT_OPTIONS_INIT;
  c.cache_dir = d->folder;
  hl_status s = hl_context_create(&c, diag, &d->ctx);
  if (s == HL_OK)
    s = hl_device_open(d->ctx, d->o->device, diag, &d->dev);
  if (s == HL_OK)
    s = cli_device_target(d->dev, diag, &d->target);
  return s == HL_OK ? d->example->build(d->ctx, HL_F32, diag, &d->kernel) : s;
}

/* ---- what is timed: seconds of the i-th time ---- */

typedef hl_status (*timed)(desk *d, int64_t i, double *seconds, hl_diag *diag);

static hl_status time_open(desk *d, int64_t i, double *seconds, hl_diag *diag) {
  (void)i;
  hl_cache_info info = {.size = sizeof info};
  leave(d);
  hl_status s = enter(d, diag);
  const double begin = cli_now();
  if (s == HL_OK)
    s = hl_cache_get_info(d->ctx, diag, &info);
  *seconds = cli_now() - begin;
  return s;
}

static hl_status time_put(desk *d, int64_t i, double *seconds, hl_diag *diag) {
  const hl_shape_binding shape = {"N", 4096 + i * 1024};
  const hl_str measured = {"{\"ms\":0.12}", 11};
  hl_config *config = NULL;
  hl_status s = hl_config_default(d->kernel, &shape, 1, d->target, diag, &config);
  const double begin = cli_now();
  if (s == HL_OK)
    s = hl_cache_put_config(d->dev, d->kernel, &shape, 1, config, measured, diag);
  *seconds = cli_now() - begin;
  hl_config_destroy(config);
  return s;
}

static hl_status time_sync(desk *d, int64_t i, double *seconds, hl_diag *diag) {
  double ignored;
  hl_status s = time_put(d, i, &ignored, diag);
  const double begin = cli_now();
  if (s == HL_OK)
    s = hl_cache_sync(d->ctx, diag);
  *seconds = cli_now() - begin;
  return s;
}

static hl_status plan(desk *d, int64_t n, double *seconds, hl_diag *diag) {
  const hl_shape_binding shape = {"N", n};
  hl_plan *made = NULL;
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.shape = &shape;
  o.shape_count = 1;
  const double begin = cli_now();
  const hl_status s = hl_plan_create(d->dev, d->kernel, &o, diag, &made);
  *seconds = cli_now() - begin;
  hl_plan_destroy(made);
  return s;
}

static hl_status time_compile(desk *d, int64_t i, double *seconds, hl_diag *diag) {
  return plan(d, 100000 + i, seconds, diag); /* sizes that nobody had yet */
}

static hl_status time_find(desk *d, int64_t i, double *seconds, hl_diag *diag) {
  return plan(d, 100000 + i, seconds, diag); /* those of time_compile */
}

static hl_status time_list(desk *d, int64_t i, double *seconds, hl_diag *diag) {
  (void)i;
  hl_cache_list *list = NULL;
  const double begin = cli_now();
  const hl_status s = hl_cache_list_create(d->ctx, diag, &list);
  *seconds = cli_now() - begin;
  hl_cache_list_destroy(list);
  return s;
}

typedef struct entry {
  const char *name;
  timed run;
} entry;

static const entry entries[] = {
    {"plan, compiled and kept", time_compile}, {"plan, found", time_find}, {"put a configuration", time_put},
    {"sync after a put", time_sync},           {"list", time_list},        {"open", time_open}};
enum { ENTRIES = sizeof entries / sizeof entries[0] };

/* ---- the command ---- */

static hl_status measure(desk *d, const entry *e, size_t rounds, json *j, hl_diag *diag) {
  double seconds[ROUNDS], ignored;
  hl_status s = HL_OK;
  for (size_t r = 0; s == HL_OK && r < rounds + WARM; r++)
    s = e->run(d, (int64_t)r, r < WARM ? &ignored : &seconds[r - WARM], diag);
  if (s != HL_OK)
    return s;
  const interval t = bench_median(seconds, rounds);
  printf("%-28s %10.1f  [%.1f, %.1f]\n", e->name, t.median * 1e6, t.low * 1e6, t.high * 1e6);
  fflush(stdout);
  jw_open(j, NULL, '{');
  jw_text(j, "call", e->name);
  jw_number(j, "ns", t.median * 1e9);
  jw_number(j, "ns_low", t.low * 1e9);
  jw_number(j, "ns_high", t.high * 1e9);
  jw_close(j, '}');
  return HL_OK;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where) {
  (void)st, (void)kind, (void)where;
  return remove(path);
}

int bench_cache_costs(const bench_options *o) {
  char folder[] = "/tmp/hl-bench-XXXXXX";
  desk d = {.o = o, .folder = folder, .example = hl_example_find("vector_add")};
  const size_t rounds = o->pairs < ROUNDS ? (size_t)o->pairs : ROUNDS;
  hl_diag diag = {0};
  json j = {0};
  if (!mkdtemp(folder))
    return cli_fail(o->who, "cannot make a folder below /tmp");
  bench_watch(o->timeout, "the cache");
  hl_status s = enter(&d, &diag);
  jw_open(&j, NULL, '{');
  report_environment(&j, o, d.dev, "", "");
  jw_open(&j, "calls", '[');
  printf("%-28s %10s  [95%% interval]\n", "call", "us");
  for (int i = 0; s == HL_OK && i < ENTRIES; i++)
    s = measure(&d, &entries[i], rounds, &j, &diag);
  jw_close(&j, ']');
  jw_close(&j, '}');
  leave(&d);
  nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  bench_watch(0, "");
  if (s == HL_OK)
    return report_write(o, &j);
  jw_free(&j);
  return cli_report(o->who, s, &diag);
}
