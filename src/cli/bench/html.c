/* html.c: the results as one page that needs nothing else: no script, no font, no picture from anywhere.
 *
 * For every number of threads a roofline (what a kernel reaches over how many operations it has per byte, below what
 * the machine can do) and a table with bars: the share of the roof, and the speed relative to each reference on a
 * logarithmic scale around 1. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/bench.h"
#include "src/cli/common/text.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>hl-bench</title>\n<style>\n"
    ":root{color-scheme:light dark;--page:#fbfbfa;--ink:#1d1f21;--soft:#5f666d;--line:#d9dbdd;--hl:#1f6fb2;"
    "--good:#2e8540;--bad:#b5492c;--track:#e9ebed}\n"
    "@media(prefers-color-scheme:dark){:root{--page:#16181a;--ink:#e6e7e8;--soft:#9aa2a9;--line:#363b40;--hl:#5aa9e6;"
    "--good:#5cb870;--bad:#e0805f;--track:#2a2e32}}\n"
    "body{margin:0 auto;max-width:76rem;padding:1.5rem;background:var(--page);color:var(--ink);"
    "font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}\n"
    "p{margin:.3rem 0;color:var(--soft)}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\n"
    "th,td{text-align:left;padding:.35rem .7rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:middle;"
    "white-space:nowrap}th{color:var(--soft);font-weight:500;font-size:.85rem}td.n{text-align:right}"
    "th.n{text-align:right}td small{color:var(--soft)}td.words{white-space:normal;color:var(--bad)}\n"
    "svg{display:block}svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .soft{fill:var(--soft)}\n"
    "svg .grid{stroke:var(--line)}svg .roof{stroke:var(--soft);stroke-width:2;fill:none}svg .dot{fill:var(--hl)}\n"
    "svg .lead{stroke:var(--soft);stroke-width:.7}svg .track{fill:var(--track)}svg .good{fill:var(--good)}\n"
    "svg .bad{fill:var(--bad)}svg .mute{fill:var(--soft)}svg .hl{fill:var(--hl)}svg "
    ".err{stroke:var(--ink);stroke-width:1}\n"
    "</style>\n</head>\n<body>\n";

static void words(cli_text *t, const char *s) {
  for (; *s; s++) {
    const char *escape = *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '&' ? "&amp;" : *s == '"' ? "&quot;" : NULL;
    if (escape)
      cli_text_add(t, escape);
    else
      cli_text_put(t, s, 1);
  }
}

/* ---- roofline ---- */

enum { WIDTH = 860, LEAST_HEIGHT = 420, LEFT = 62, RIGHT = 170, TOP = 16, BOTTOM = 44, MOST_POINTS = 256 };

typedef struct plot {
  double x0, x1, y0, y1; /* decades */
  double memory, peak;   /* bytes and operations per second; 0: not measured */
  int height;            /* of the picture: every kernel has a line of words */
} plot;

static double place_x(const plot *p, double intensity) {
  return LEFT + (log10(intensity) - p->x0) / (p->x1 - p->x0) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const plot *p, double rate) {
  return p->height - BOTTOM - (log10(rate) - p->y0) / (p->y1 - p->y0) * (p->height - TOP - BOTTOM);
}

static bool has_point(const bench_result *r, int threads) {
  return r->threads == threads && r->count && r->flops > 0 && r->bytes > 0;
}

/* The best that a reference did in this run. */
static void measure(const bench_report *r, int threads, plot *p) {
  double low = INFINITY, high = 0, least = INFINITY, most = 0;
  int n = 0;
  *p = (plot){0};
  for (size_t k = 0; k < r->count; k++) {
    const bench_result *x = &r->results[k];
    if (!has_point(x, threads))
      continue;
    for (size_t i = 1; i < x->count; i++) {
      if (!strcmp(x->name[i], "copy") && !bench_computes(x)) /* a product's operands fit caches */
        p->memory = fmax(p->memory, x->bytes / x->time[i].median);
      if (strstr(x->name[i], "peak"))
        p->peak = fmax(p->peak, x->flops / x->time[i].median);
    }
    n++;
    low = fmin(low, x->flops / x->bytes);
    high = fmax(high, x->flops / x->bytes);
    least = fmin(least, x->flops / x->time[0].median);
    most = fmax(most, x->flops / x->time[0].median);
  }
  if (high <= 0)
    return;
  p->height = TOP + BOTTOM + 14 * n > LEAST_HEIGHT ? TOP + BOTTOM + 14 * n : LEAST_HEIGHT;
  if (p->memory > 0 && p->peak > 0) {
    high = fmax(high, 4 * p->peak / p->memory);
    most = fmax(most, p->peak);
  }
  if (p->memory > 0)
    least = fmin(least, p->memory * low);
  p->x0 = floor(log10(low / 1.5));
  p->x1 = ceil(log10(high * 1.5));
  p->y0 = floor(log10(least / 1.5));
  p->y1 = ceil(log10(most * 1.2));
}

static void decade(char *text, size_t size, double exponent) {
  const int e = (int)exponent;
  if (e >= 12)
    snprintf(text, size, "%gT", pow(10, e - 12));
  else if (e >= 9)
    snprintf(text, size, "%gG", pow(10, e - 9));
  else if (e >= 6)
    snprintf(text, size, "%gM", pow(10, e - 6));
  else
    snprintf(text, size, "%g", pow(10, e));
}

static void axes(cli_text *t, const plot *p) {
  char text[32];
  for (double d = p->x0; d <= p->x1; d++) {
    const double x = place_x(p, pow(10, d));
    decade(text, sizeof text, d);
    cli_text_format(t, "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>", x, TOP, x,
                    p->height - BOTTOM);
    cli_text_format(t, "<text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x,
                    p->height - BOTTOM + 17, text);
  }
  for (double d = p->y0; d <= p->y1; d++) {
    const double y = place_y(p, pow(10, d));
    decade(text, sizeof text, d);
    cli_text_format(t, "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>", LEFT, y, WIDTH - RIGHT, y);
    cli_text_format(t, "<text class=\"soft\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 8, y + 4,
                    text);
  }
  cli_text_format(t, "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">operations per byte moved</text>\n",
                  (LEFT + WIDTH - RIGHT) / 2, p->height - 8);
  cli_text_format(t,
                  "<text class=\"soft\" transform=\"translate(13 %d) rotate(-90)\" text-anchor=\"middle\">operations "
                  "per second</text>\n",
                  (TOP + p->height - BOTTOM) / 2);
}

static void roofs(cli_text *t, const plot *p) {
  if (p->memory <= 0)
    return;
  const double left = pow(10, p->x0), right = pow(10, p->x1);
  double knee = p->peak > 0 ? p->peak / p->memory : right;
  knee = fmin(fmax(knee, left), right);
  const double top = fmin(p->memory * knee, pow(10, p->y1));
  knee = top / p->memory;
  cli_text_format(t, "<path class=\"roof\" d=\"M%.1f %.1fL%.1f %.1f", place_x(p, left),
                  fmin(place_y(p, p->memory * left), p->height - BOTTOM), place_x(p, knee), place_y(p, top));
  if (p->peak > 0 && knee < right)
    cli_text_format(t, "H%d", WIDTH - RIGHT);
  cli_text_add(t, "\"/>\n");
  cli_text_format(t, "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">copy %.0f GB/s</text>\n",
                  (place_x(p, left) + place_x(p, knee)) / 2 - 8,
                  (place_y(p, p->memory * left) + place_y(p, top)) / 2 - 8, p->memory * 1e-9);
  if (p->peak > 0)
    cli_text_format(t, "<text class=\"soft\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">peak %.0f GFLOP/s</text>\n",
                    WIDTH - RIGHT - 6, place_y(p, p->peak) - 7, p->peak * 1e-9);
}

typedef struct point {
  const bench_result *r;
  double x, y, label; /* label: where its words go */
} point;

static int by_height(const void *a, const void *b) {
  const point *p = a, *q = b;
  return (p->y > q->y) - (p->y < q->y);
}

/* Words stand right of the plot, in the order of the points, 14 apart, with a line to each point. */
static void points(cli_text *t, const bench_report *r, int threads, const plot *p) {
  point list[MOST_POINTS];
  size_t n = 0;
  for (size_t k = 0; k < r->count && n < MOST_POINTS; k++) {
    const bench_result *x = &r->results[k];
    if (has_point(x, threads))
      list[n++] = (point){x, place_x(p, x->flops / x->bytes), place_y(p, x->flops / x->time[0].median), 0};
  }
  qsort(list, n, sizeof *list, by_height);
  const double step = fmin(14, (double)(p->height - TOP - BOTTOM) / (double)(n ? n : 1));
  for (size_t i = 0; i < n; i++)
    list[i].label = fmax(list[i].y, i ? list[i - 1].label + step : TOP + 22);
  double limit = p->height - BOTTOM;
  for (size_t i = n; i-- > 0; limit = list[i].label - step)
    list[i].label = fmin(list[i].label, limit);
  for (size_t i = 0; i < n; i++) {
    const point *q = &list[i];
    cli_text_format(t, "<path class=\"lead\" fill=\"none\" d=\"M%.1f %.1fL%d %.1f\"/>", q->x, q->y, WIDTH - RIGHT + 2,
                    q->label);
    cli_text_format(t, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>", q->x, q->y);
    words(t, q->r->kernel);
    cli_text_format(t, ": %.3g operations per byte, %.1f GFLOP/s, %.1f GB/s</title></circle>",
                    q->r->flops / q->r->bytes, q->r->flops / q->r->time[0].median * 1e-9,
                    q->r->bytes / q->r->time[0].median * 1e-9);
    cli_text_format(t, "<text x=\"%d\" y=\"%.1f\">", WIDTH - RIGHT + 6, q->label + 4);
    words(t, q->r->kernel);
    cli_text_format(t, " <tspan class=\"soft\">%s</tspan></text>\n", q->r->dtype);
  }
}

static void roofline(cli_text *t, const bench_report *r, int threads) {
  plot p;
  measure(r, threads, &p);
  if (p.x1 <= p.x0)
    return;
  cli_text_format(t,
                  "<div class=\"scroll\"><svg viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" "
                  "aria-label=\"Roofline\">\n",
                  WIDTH, p.height, WIDTH, p.height);
  axes(t, &p);
  roofs(t, &p);
  points(t, r, threads, &p);
  cli_text_add(t, "</svg></div>\n");
}

/* ---- table ---- */

static void roof_cell(cli_text *t, const bench_result *r) {
  if (isnan(r->roof)) {
    cli_text_add(t, "<td></td>");
    return;
  }
  const double width = 90 * fmin(r->roof, 1);
  cli_text_format(
      t,
      "<td><svg width=\"215\" height=\"16\" role=\"img\"><rect class=\"track\" y=\"3\" width=\"90\" "
      "height=\"10\"/><rect class=\"hl\" y=\"3\" width=\"%.1f\" height=\"10\"/><text x=\"96\" y=\"12\">%.0f%% "
      "<tspan class=\"soft\">%s</tspan></text></svg></td>",
      width, 100 * r->roof, r->roof_name);
}

/* log2 of the ratio, three doublings each way: the bar leaves the middle to the right when hl is faster. */
static double along(double ratio) {
  return 60 + 60 * fmax(fmin(log2(ratio) / 3, 1), -1);
}

static void reference_bar(cli_text *t, const bench_result *r, size_t i, size_t line) {
  const interval *q = &r->ratio[i];
  const double y = (double)line * 17, from = fmin(60, along(q->median)), to = fmax(60, along(q->median));
  cli_text_format(t, "<rect class=\"track\" y=\"%.0f\" width=\"120\" height=\"10\"/>", y + 3);
  cli_text_format(t, "<rect class=\"%s\" x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"10\"/>",
                  r->machine[i]    ? "mute"
                  : q->median >= 1 ? "good"
                                   : "bad",
                  from, y + 3, fmax(to - from, 1));
  cli_text_format(t, "<line class=\"err\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\"/>", along(q->low),
                  along(q->high), y + 8, y + 8);
  cli_text_format(t, "<text x=\"128\" y=\"%.0f\">%.2fx <tspan class=\"soft\">%s</tspan></text>", y + 12, q->median,
                  r->name[i]);
}

static void row(cli_text *t, const bench_result *r) {
  char time[32] = "", rate[40] = "";
  cli_text_add(t, "<tr><td><b>");
  words(t, r->kernel);
  cli_text_add(t, "</b> <small>");
  words(t, r->shape ? r->shape : "");
  cli_text_format(t, "</small></td><td>%s</td>", r->dtype);
  if (!r->count) {
    cli_text_format(t, "<td colspan=\"4\" class=\"words\">%s: ", r->status);
    words(t, r->words);
    cli_text_add(t, "</td></tr>\n");
    return;
  }
  report_time(r->time[0].median, time, sizeof time);
  report_rate(r, rate, sizeof rate);
  cli_text_format(t, "<td class=\"n\">%s <small>&plusmn;%.1f%%</small></td><td class=\"n\">%s</td>", time,
                  100 * bench_noise(&r->time[0]), rate);
  roof_cell(t, r);
  cli_text_format(t, "<td><svg width=\"290\" height=\"%zu\" role=\"img\">", 17 * (r->count > 1 ? r->count - 1 : 1));
  for (size_t i = 1; i < r->count; i++)
    reference_bar(t, r, i, i - 1);
  cli_text_add(t, "</svg></td></tr>\n");
}

static void table(cli_text *t, const bench_report *r, int threads) {
  cli_text_add(t, "<div class=\"scroll\"><table>\n<tr><th>kernel</th><th>dtype</th><th class=\"n\">time</th>"
                  "<th class=\"n\">rate</th><th>share of the roof</th><th>speed relative to references (bar: 1/8x "
                  "to 8x)</th></tr>\n");
  for (size_t k = 0; k < r->count; k++)
    if (r->results[k].threads == threads)
      row(t, &r->results[k]);
  cli_text_add(t, "</table></div>\n");
}

char *report_html(const bench_report *r) {
  cli_text t = {0};
  int done[8], n = 0;
  cli_text_add(&t, head);
  cli_text_add(&t, "<h1>hl-bench</h1>\n<p>");
  words(&t, r->machine);
  cli_text_format(&t, " &middot; libhl %s &middot; %s", hl_version(), r->when);
  cli_text_add(&t, "</p>\n<p>Medians of interleaved rounds; the lines in the bars are 95 % intervals. Bars to the "
                   "right: libhl is faster; grey ones stand beside what the machine can do. The roof of a kernel is "
                   "what a copy, triad or read of as many bytes takes, or its "
                   "operations in registers, measured in the same rounds.</p>\n");
  for (size_t k = 0; k < r->count; k++) {
    const int threads = r->results[k].threads;
    int i = 0;
    while (i < n && done[i] != threads)
      i++;
    if (i < n || n == 8)
      continue;
    done[n++] = threads;
    if (threads)
      cli_text_format(&t, "<h2>%d thread%s</h2>\n", threads, threads == 1 ? "" : "s");
    else
      cli_text_add(&t, "<h2>GPU</h2>\n");
    roofline(&t, r, threads);
    table(&t, r, threads);
  }
  cli_text_add(&t, "</body>\n</html>\n");
  return t.text;
}
