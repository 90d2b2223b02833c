/* growth.c: hl-bench growth: every kernel is built, compiled, loaded and unloaded again and again in one process, with
 * nothing stored; what is more at the end than after the first rounds has been lost. */
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/bench.h"

/* Libc's and LLVM's caches are full after some kernels; and what libc keeps in lists of free pieces counts as allocated
 * and varies a little. */
enum { ROUNDS = 50, WARM_ROUNDS = 2, WARM_KERNELS = 64, NOISE = 16384 };

typedef struct footprint {
  long bytes, files, mappings;
} footprint;

static footprint measure(void) {
  footprint f = {.bytes = (long)mallinfo2().uordblks};
  char line[512];
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps && fgets(line, sizeof line, maps))
    f.mappings += strstr(line, "hl-") && strstr(line, "memfd:"); /* of kernels: memory itself comes and goes */
  if (maps)
    fclose(maps);
  DIR *d = opendir("/proc/self/fd");
  while (d && readdir(d))
    f.files++;
  if (d)
    closedir(d);
  return f;
}

/* From nothing to a loaded kernel and back. */
static int come_and_go(const bench_options *o, const cli_place *place, const bench_job *job) {
  hl_diag diag = {0};
  hl_kernel *kernel = NULL;
  hl_config *config = NULL;
  hl_plan *plan = NULL;
  cli_shape shape;
  int code = 0;
  hl_status s = job->example->build(place->ctx, job->dtype, &diag, &kernel);
  if (s == HL_OK)
    code = bench_shape(o, job, kernel, &shape);
  if (s == HL_OK && !code)
    code = cli_config_open(o->who, o->config, kernel, &shape, place->target, &config);
  if (s == HL_OK && !code) {
    hl_plan_options p = HL_PLAN_OPTIONS_INIT;
    p.shape = shape.bind;
    p.shape_count = shape.count;
    p.config = config;
    s = hl_plan_create(place->dev, kernel, &p, &diag, &plan);
  }
  hl_plan_destroy(plan);
  hl_config_destroy(config);
  hl_kernel_destroy(kernel);
  return s == HL_OK ? code : cli_report(o->who, s, &diag);
}

static int report(const bench_options *o, const cli_place *place, size_t count, int rounds, footprint a, footprint b) {
  json j = {0};
  const long bytes = b.bytes - a.bytes, files = b.files - a.files, mappings = b.mappings - a.mappings;
  const bool grown = bytes > NOISE || files > 0 || mappings > 0;
  printf("%zu kernels, %d times: %ld bytes of %ld, files %ld, mappings %ld\n", count, rounds, bytes, a.bytes, files,
         mappings);
  if (grown)
    printf("%.1f bytes are lost with every kernel\n", (double)bytes / (double)count / rounds);
  jw_open(&j, NULL, '{');
  report_environment(&j, o, place->dev, "", "");
  jw_integer(&j, "kernels", (long long)count);
  jw_integer(&j, "rounds", rounds);
  jw_integer(&j, "bytes", bytes);
  jw_integer(&j, "files", files);
  jw_integer(&j, "mappings", mappings);
  jw_close(&j, '}');
  const int written = report_write(o, &j);
  return grown ? CLI_FAILED : written;
}

int bench_growth(const bench_options *o) {
  cli_place place = {0};
  hl_diag diag = {0};
  hl_context_options c = HL_CONTEXT_OPTIONS_INIT;
  footprint before = {0};
  size_t count;
  const int rounds = o->pairs < ROUNDS ? o->pairs : ROUNDS;
  bench_job *jobs = bench_select(o, &count);
  if (!jobs)
    return CLI_MISUSE;
  c.cache_dir = "";
  const int warm = WARM_ROUNDS + (int)(WARM_KERNELS / count);
  hl_status s = hl_context_create(&c, &diag, &place.ctx);
  if (s == HL_OK)
    s = hl_device_open(place.ctx, "cpu", &diag, &place.dev);
  if (s == HL_OK)
    s = cli_device_target(place.dev, &diag, &place.target);
  int code = s == HL_OK ? 0 : cli_report(o->who, s, &diag);
  for (int r = 0; !code && r < rounds + warm; r++) {
    bench_watch(o->timeout, "compiling");
    bench_progress("round %d of %d", r + 1, rounds + warm);
    if (r == warm)
      before = measure();
    for (size_t i = 0; !code && i < count; i++)
      code = come_and_go(o, &place, &jobs[i]);
  }
  bench_progress(" ");
  bench_watch(0, "");
  if (!code)
    code = report(o, &place, count, rounds, before, measure());
  free(jobs);
  hl_device_close(place.dev);
  hl_context_destroy(place.ctx);
  return code;
}
