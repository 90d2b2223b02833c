/* report.c: the table on the standard output, the JSON file, and the files' opening and writing. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/bench/bench.h"

/* ---- figures as text ---- */

const char *report_time(double seconds, char *text, size_t size) {
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

bool bench_computes(const bench_result *r) {
  return r->flops > 10 * r->bytes;
}

const char *report_rate(const bench_result *r, char *text, size_t size) {
  const double t = r->time[0].median;
  if (bench_computes(r) && r->flops / t >= 1e12)
    snprintf(text, size, "%.1f TFLOP/s", r->flops / t * 1e-12);
  else if (bench_computes(r))
    snprintf(text, size, "%.1f GFLOP/s", r->flops / t * 1e-9);
  else if (r->bytes / t >= 1e12)
    snprintf(text, size, "%.2f TB/s", r->bytes / t * 1e-12);
  else
    snprintf(text, size, "%.1f GB/s", r->bytes / t * 1e-9);
  return text;
}

/* ---- table ---- */

void report_head(void) {
  printf("%-14s %-24s %-5s %4s %10s %7s %14s %6s  %-7s speed relative to references, median [95%% interval]\n",
         "kernel", "shape", "dtype", "thr", "time", "+-", "rate", "roof", "verdict");
}

static void report_line(const bench_result *r) {
  char time[32] = "", rate[40] = "", threads[12] = "-", noise[16] = "", share[16] = "";
  if (r->threads)
    snprintf(threads, sizeof threads, "%d", r->threads);
  if (r->count) {
    report_time(r->time[0].median, time, sizeof time);
    report_rate(r, rate, sizeof rate);
    snprintf(noise, sizeof noise, "%.1f%%", 100 * bench_noise(&r->time[0]));
    if (!isnan(r->roof))
      snprintf(share, sizeof share, "%.0f%%", 100 * r->roof);
  }
  printf("%-14s %-24s %-5s %4s %10s %7s %14s %6s  %-7s", r->kernel, r->shape ? r->shape : "", r->dtype, threads, time,
         noise, rate, share, r->status);
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

static void figures_json(json *j, const bench_result *r) {
  interval_json(j, "seconds", &r->time[0]);
  jw_number(j, "bytes", r->bytes);
  jw_number(j, "flops", r->flops);
  jw_number(j, "gb_per_s", r->bytes / r->time[0].median * 1e-9);
  jw_number(j, "gflop_per_s", r->flops / r->time[0].median * 1e-9);
  if (!isnan(r->roof)) {
    jw_number(j, "percent_of_roof", 100 * r->roof);
    jw_text(j, "roof", r->roof_name);
  }
  jw_number(j, "compile_seconds", r->compile_seconds);
  jw_integer(j, "pairs", (long long)r->end.rounds);
  jw_number(j, "noise", r->end.noise);
  jw_text(j, "ended_by", r->end.because);
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

static void report_json(json *j, const bench_result *r) {
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
  if (r->count)
    figures_json(j, r);
  jw_close(j, '}');
}

/* ---- files ---- */

/* Creates the file and leaves what is in it: a run that fails early must not cost the last one's results. */
static int can_write(const bench_options *o, const char *option, const char *path) {
  if (!path || !strcmp(path, "-"))
    return 0;
  const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0)
    return cli_fail(o->who, "--%s: cannot write %s: %s", option, path, strerror(errno));
  close(fd);
  return 0;
}

int report_check_files(const bench_options *o) {
  int code = can_write(o, "json", o->json);
  if (!code)
    code = can_write(o, "csv", o->csv);
  return code ? code : can_write(o, "html", o->html);
}

void report_begin(bench_report *r, const bench_options *o) {
  const time_t now = time(NULL);
  struct tm utc;
  *r = (bench_report){.o = o};
  if (gmtime_r(&now, &utc))
    strftime(r->when, sizeof r->when, "%Y-%m-%d %H:%M UTC", &utc);
}

static int write_text(const bench_options *o, const char *path, char *text) {
  const int code = cli_write_file(o->who, path, text, strlen(text));
  free(text);
  return code;
}

/* `end` closes what is open in the JSON. */
static int write_files(const bench_report *r, const char *end) {
  const bench_options *o = r->o;
  int code = o->json ? write_text(o, o->json, cli_format("%s%s\n", r->j.out.text, end)) : 0;
  if (o->csv && !code)
    code = write_text(o, o->csv, report_csv(r));
  if (o->html && !code)
    code = write_text(o, o->html, report_html(r));
  return code;
}

static bool to_standard_output(const bench_options *o) {
  return (o->json && !strcmp(o->json, "-")) || (o->csv && !strcmp(o->csv, "-")) || (o->html && !strcmp(o->html, "-"));
}

int report_add(bench_report *r, bench_result *result) {
  bench_result *more = cli_alloc(r->count + 1, sizeof *more);
  if (r->count)
    memcpy(more, r->results, r->count * sizeof *more);
  free(r->results);
  r->results = more;
  r->results[r->count++] = *result;
  report_line(result);
  report_json(&r->j, result);
  return to_standard_output(r->o) ? 0 : write_files(r, "]}");
}

int report_close(bench_report *r) {
  jw_close(&r->j, ']');
  jw_close(&r->j, '}');
  return write_files(r, "");
}

void report_free(bench_report *r) {
  for (size_t i = 0; i < r->count; i++) {
    free(r->results[i].shape);
    free(r->results[i].config);
  }
  free(r->results);
  jw_free(&r->j);
}

int report_write(const bench_options *o, json *j) {
  int code = 0;
  if (o->json) {
    cli_text_add(&j->out, "\n");
    code = cli_write_file(o->who, o->json, j->out.text, j->out.length);
  }
  jw_free(j);
  return code;
}
