/* report.c: the table on the standard output and the JSON file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/bench/bench.h"

/* ---- table ---- */

static const char *time_text(double seconds, char *text, size_t size) {
  if (seconds < 1e-6)
    snprintf(text, size, "%.0f ns", seconds * 1e9);
  else if (seconds < 1e-3)
    snprintf(text, size, "%.1f us", seconds * 1e6);
  else if (seconds < 1)
    snprintf(text, size, "%.2f ms", seconds * 1e3);
  else
    snprintf(text, size, "%.2f s", seconds);
  return text;
}

/* More than ten operations per byte: the arithmetic counts, not the memory. */
static bool computes(const bench_result *r) {
  return r->flops > 10 * r->bytes;
}

static const char *rate_text(const bench_result *r, char *text, size_t size) {
  const double t = r->time[0].median;
  if (computes(r) && r->flops / t >= 1e12)
    snprintf(text, size, "%.1f TFLOP/s", r->flops / t * 1e-12);
  else if (computes(r))
    snprintf(text, size, "%.1f GFLOP/s", r->flops / t * 1e-9);
  else if (r->bytes / t >= 1e12)
    snprintf(text, size, "%.2f TB/s", r->bytes / t * 1e-12);
  else
    snprintf(text, size, "%.1f GB/s", r->bytes / t * 1e-9);
  return text;
}

void report_head(void) {
  printf("%-14s %-24s %-5s %4s %10s %14s  %-7s speed relative to references, median [95%% interval]\n", "kernel",
         "shape", "dtype", "thr", "time", "rate", "verdict");
}

void report_line(const bench_result *r) {
  char time[32] = "", rate[40] = "", threads[12] = "-";
  if (r->threads)
    snprintf(threads, sizeof threads, "%d", r->threads);
  if (r->count) {
    time_text(r->time[0].median, time, sizeof time);
    rate_text(r, rate, sizeof rate);
  }
  printf("%-14s %-24s %-5s %4s %10s %14s  %-7s", r->kernel, r->shape ? r->shape : "", r->dtype, threads, time, rate,
         r->status);
  for (size_t i = 1; i < r->count; i++)
    printf("%s %s %.3fx [%.3f, %.3f]", i > 1 ? "," : "", r->name[i], r->ratio[i].median, r->ratio[i].low,
           r->ratio[i].high);
  if (strcmp(r->status, "ok") != 0)
    printf(" %s", r->words);
  printf("\n");
  fflush(stdout);
}

/* ---- JSON ---- */

static void interval_json(json *j, const char *key, const interval *x) {
  jw_open(j, key, '{');
  jw_number(j, "median", x->median);
  jw_number(j, "low", x->low);
  jw_number(j, "high", x->high);
  jw_close(j, '}');
}

void report_json(json *j, const bench_result *r) {
  jw_open(j, NULL, '{');
  jw_text(j, "kernel", r->kernel);
  jw_text(j, "shape", r->shape ? r->shape : "");
  jw_text(j, "dtype", r->dtype);
  if (r->threads)
    jw_integer(j, "threads", r->threads);
  jw_raw(j, "config", r->config[0] ? r->config : "null");
  jw_text(j, "verdict", r->status);
  if (r->words[0])
    jw_text(j, "words", r->words);
  jw_number(j, "frobenius_error", r->frobenius);
  jw_number(j, "worst_error_of_allowed", r->worst);
  jw_number(j, "checked_share_of_rows", r->checked_share);
  jw_number(j, "compile_seconds", r->compile_seconds);
  if (r->count) {
    interval_json(j, "seconds", &r->time[0]);
    jw_number(j, "bytes", r->bytes);
    jw_number(j, "flops", r->flops);
    jw_number(j, "gb_per_s", r->bytes / r->time[0].median * 1e-9);
    jw_number(j, "gflop_per_s", r->flops / r->time[0].median * 1e-9);
    jw_integer(j, "pairs", (long long)r->rounds);
    jw_integer(j, "buffer_sets", (long long)r->sets);
    jw_bool(j, "cold_cache", r->cold);
    jw_text(j, "clocks", "sustained");
    jw_text(j, "timer", r->graphs ? "events around a replayed graph" : "monotonic clock");
    jw_open(j, "references", '[');
    for (size_t i = 1; i < r->count; i++) {
      jw_open(j, NULL, '{');
      jw_text(j, "name", r->name[i]);
      interval_json(j, "seconds", &r->time[i]);
      interval_json(j, "speed_of_hl", &r->ratio[i]);
      jw_close(j, '}');
    }
    jw_close(j, ']');
  }
  jw_close(j, '}');
}

static void cpu_name(char *text, size_t size) {
  char line[256];
  FILE *f = fopen("/proc/cpuinfo", "r");
  snprintf(text, size, "unknown");
  while (f && fgets(line, sizeof line, f)) {
    const char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || !colon)
      continue;
    snprintf(text, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    break;
  }
  if (f)
    fclose(f);
}

/* The first line of a file, without its newline; "" if there is none. */
static void first_line(const char *path, char *text, size_t size) {
  FILE *f = fopen(path, "r");
  text[0] = 0;
  if (f && fgets(text, (int)size, f))
    text[strcspn(text, "\n")] = 0;
  if (f)
    fclose(f);
}

static void command_line(json *j, const bench_options *o) {
  jw_open(j, "command", '[');
  for (int i = 0; i < o->argc; i++)
    jw_text(j, NULL, o->argv[i]);
  jw_close(j, ']');
}

void report_environment(json *j, const bench_options *o, hl_device *dev, const char *openblas, const char *cublas) {
  char text[256];
  struct utsname u;
  hl_device_info info = {.size = sizeof info};
  const time_t now = time(NULL);
  struct tm utc;
  jw_open(j, "environment", '{');
  jw_text(j, "libhl", hl_version());
  if (getenv("HL_COMMIT")) /* the checkout it was built from, if the caller says so */
    jw_text(j, "commit", getenv("HL_COMMIT"));
  jw_text(j, "compiler", __VERSION__);
  command_line(j, o);
  if (gmtime_r(&now, &utc) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc))
    jw_text(j, "date", text);
  if (uname(&u) == 0) {
    snprintf(text, sizeof text, "%s %s %s", u.sysname, u.release, u.machine);
    jw_text(j, "system", text);
  }
  cpu_name(text, sizeof text);
  jw_text(j, "cpu", text);
  jw_integer(j, "processors", sysconf(_SC_NPROCESSORS_ONLN));
  if (dev && hl_device_get_info(dev, &info) == HL_OK) {
    jw_text(j, "device", info.name);
    jw_text(j, "target", info.target);
    jw_text(j, "driver", info.driver);
    first_line("/proc/driver/nvidia/version", text, sizeof text);
    if (info.id.type == HL_DEVICE_CUDA && text[0])
      jw_text(j, "kernel_driver", text);
    jw_integer(j, "units", info.units);
    jw_integer(j, "last_level_cache_bytes", info.l2_bytes);
    jw_integer(j, "memory_bytes", info.memory_bytes);
  }
  if (openblas[0])
    jw_text(j, "openblas", openblas);
  if (cublas[0])
    jw_text(j, "cublas", cublas);
  snprintf(text, sizeof text, "%llu", (unsigned long long)o->seed);
  jw_text(j, "seed", text);
  jw_close(j, '}');
}

void report_so_far(const bench_options *o, const json *j) {
  if (!o->json || !strcmp(o->json, "-"))
    return;
  char *all = cli_format("%s]}\n", j->text);
  cli_write_file(o->who, o->json, all, strlen(all));
  free(all);
}

int report_write(const bench_options *o, json *j) {
  const char newline = '\n';
  int code = 0;
  if (o->json) {
    char *all = cli_format("%s%c", j->text, newline);
    code = cli_write_file(o->who, o->json, all, j->length + 1);
    free(all);
  }
  jw_free(j);
  return code;
}
