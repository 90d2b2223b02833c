/* csv.c: the results as comma-separated values: one row per contestant of every kernel. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/bench/bench.h"
#include "src/cli/common/text.h"

/* Quoted: configurations have commas and quotes. */
static void cell(cli_text *t, const char *s) {
  char one[3] = "";
  cli_text_add(t, "\"");
  for (; *s; s++) {
    snprintf(one, sizeof one, *s == '"' ? "\"\"" : "%c", *s);
    cli_text_add(t, *s == '\n' ? " " : one);
  }
  cli_text_add(t, "\",");
}

static void number(cli_text *t, double x, const char *end) {
  char s[48] = "";
  if (!isnan(x))
    snprintf(s, sizeof s, "%.9g", x);
  cli_text_add(t, s);
  cli_text_add(t, end);
}

static void row(cli_text *t, const bench_result *r, size_t i) {
  const bool timed = i < r->count;
  const double seconds = timed ? r->time[i].median : (double)NAN;
  cell(t, r->kernel);
  cell(t, r->shape ? r->shape : "");
  cell(t, r->dtype);
  number(t, r->threads, ",");
  cell(t, r->config);
  cell(t, r->status);
  cell(t, timed ? r->name[i] : "hl");
  number(t, seconds, ",");
  number(t, timed ? r->time[i].low : (double)NAN, ",");
  number(t, timed ? r->time[i].high : (double)NAN, ",");
  number(t, i || isnan(seconds) ? (double)NAN : r->bytes / seconds * 1e-9, ",");
  number(t, i || isnan(seconds) ? (double)NAN : r->flops / seconds * 1e-9, ",");
  number(t, i || !timed ? (double)NAN : 100 * r->roof, ",");
  number(t, timed ? r->ratio[i].median : (double)NAN, ",");
  number(t, timed ? r->ratio[i].low : (double)NAN, ",");
  number(t, timed ? r->ratio[i].high : (double)NAN, ",");
  number(t, (double)r->end.rounds, "\n");
}

char *report_csv(const bench_report *r) {
  cli_text t = {0};
  cli_text_add(
      &t, "kernel,shape,dtype,threads,config,verdict,contestant,seconds,seconds_low,seconds_high,gb_per_s,gflop_per_s,"
          "percent_of_roof,speed_of_hl,speed_of_hl_low,speed_of_hl_high,pairs\n");
  for (size_t k = 0; k < r->count; k++)
    for (size_t i = 0; i < (r->results[k].count ? r->results[k].count : 1); i++)
      row(&t, &r->results[k], i);
  return t.text;
}
