/* compare.c: hl-bench compare: two JSON files of hl-bench, row by row: which times have become longer for sure.
 *
 * A row is slower when even the best case for the new file, its interval's low end over the old one's high end, is
 * beyond the tolerance; it is as good when even the worst case is within.  Between the two the figures are too noisy
 * to say. */
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/bench.h"

static const char help[] =
    "usage: hl-bench compare [options] OLD.json NEW.json\n\n"
    "Compares the times of two files that hl-bench --json wrote, for the kernels, shapes, dtypes and thread counts\n"
    "that both have.\n\n"
    "  --fail-on slower     exit code 1 when something is slower or no longer right, 3 when it is too noisy to say\n"
    "  --tolerance P        per cent that do not count (3)\n"
    "  --relative-to NAME   compare speeds relative to this reference (copy, OpenBLAS ...) instead of times: for "
    "files\n"
    "                       of different machines, or of one that was differently busy\n"
    "  -h, --help           this text\n\n"
    "Exit code: 0 the same or better, 1 slower, 2 a wrong command line or file, 3 too noisy to say.  Without "
    "--fail-on\n"
    "it is 0 when the files can be compared.\n";

enum { SLOWER = 1, NOISY = 3 };

typedef struct request {
  const char *who, *old, *new, *reference;
  double tolerance;
  bool fail;
} request;

typedef struct tally {
  int compared, slower, noisy, better;
} tally;

/* ---- rows ---- */

static const char *text_of(const json_t *row, const char *key) {
  const char *text = json_string_value(json_object_get(row, key));
  return text ? text : "";
}

/* What a row is about, to be freed. */
static char *name_of(const json_t *row) {
  const long long threads = json_integer_value(json_object_get(row, "threads"));
  const char *call = text_of(row, "call");
  return call[0]   ? cli_copy(call, strlen(call))
         : threads ? cli_format("%s %s %s, %lld thread%s", text_of(row, "kernel"), text_of(row, "shape"),
                                text_of(row, "dtype"), threads, threads == 1 ? "" : "s")
                   : cli_format("%s %s %s", text_of(row, "kernel"), text_of(row, "shape"), text_of(row, "dtype"));
}

static double number(const json_t *row, const char *key) {
  const json_t *x = json_object_get(row, key);
  return json_is_number(x) ? json_number_value(x) : (double)NAN;
}

static bool usable(const interval *x) {
  return isfinite(x->median) && isfinite(x->low) && isfinite(x->high) && x->low > 0 && x->low <= x->median &&
         x->median <= x->high;
}

static bool interval_of(const json_t *x, interval *out) {
  *out = (interval){number(x, "median"), number(x, "low"), number(x, "high")};
  return usable(out);
}

/* Seconds, or with --relative-to how often the reference fits: less is better. */
static bool figure_of(const request *r, const json_t *row, interval *out) {
  size_t i;
  json_t *ref;
  if (json_object_get(row, "call")) { /* hl-bench launch */
    *out = (interval){number(row, "ns"), number(row, "ns_low"), number(row, "ns_high")};
    return !r->reference && usable(out);
  }
  if (!r->reference)
    return interval_of(json_object_get(row, "seconds"), out);
  json_array_foreach(json_object_get(row, "references"), i, ref) {
    interval speed;
    if (strcmp(text_of(ref, "name"), r->reference) != 0 || !interval_of(json_object_get(ref, "speed_of_hl"), &speed))
      continue;
    *out = (interval){1 / speed.median, 1 / speed.high, 1 / speed.low};
    return true;
  }
  return false;
}

static bool right(const json_t *row) {
  const char *verdict = text_of(row, "verdict");
  return !verdict[0] || !strcmp(verdict, "ok");
}

static const json_t *rows_of(const json_t *file) {
  const json_t *rows = json_object_get(file, "results");
  return rows ? rows : json_object_get(file, "calls");
}

static const json_t *find(const json_t *file, const char *name) {
  size_t i;
  json_t *row;
  json_array_foreach(rows_of(file), i, row) {
    char *other = name_of(row);
    const bool same = strcmp(other, name) == 0;
    free(other);
    if (same)
      return row;
  }
  return NULL;
}

/* ---- comparing ---- */

static void judge(const request *r, const interval *old, const interval *new, const char *name, tally *t) {
  const double ratio = new->median / old->median, best = new->low / old->high, worst = new->high / old->low;
  const double limit = 1 + r->tolerance;
  const char *verdict = "same";
  t->compared++;
  if (best > limit) {
    verdict = "slower";
    t->slower++;
  } else if (worst > limit) {
    verdict = "too noisy to say";
    t->noisy++;
  } else if (worst < 1 / limit) {
    verdict = "faster";
    t->better++;
  }
  printf("%-56s %6.3f [%.3f, %.3f]  %s\n", name, ratio, best, worst, verdict);
}

static void compare_row(const request *r, const json_t *row, const json_t *new_file, tally *t) {
  char *name = name_of(row);
  const json_t *other = find(new_file, name);
  interval old, new;
  if (!other) {
    printf("%-56s only in %s\n", name, r->old);
  } else if (right(row) && !right(other)) {
    printf("%-56s no longer right: %s: %s\n", name, text_of(other, "verdict"), text_of(other, "words"));
    t->compared++;
    t->slower++;
  } else if (!figure_of(r, row, &old) || !figure_of(r, other, &new)) {
    printf("%-56s no figures to compare\n", name);
  } else {
    judge(r, &old, &new, name, t);
  }
  free(name);
}

static void warn_of(const request *r, const json_t *a, const json_t *b, const char *key) {
  const char *x = text_of(json_object_get(a, "environment"), key);
  const char *y = text_of(json_object_get(b, "environment"), key);
  if (strcmp(x, y) != 0 && !r->reference)
    fprintf(stderr, "%s: the %s differs ('%s', '%s'); --relative-to compares speeds instead of times\n", r->who, key, x,
            y);
}

static int compare(const request *r, const json_t *a, const json_t *b) {
  tally t = {0};
  size_t i;
  json_t *row;
  warn_of(r, a, b, "cpu");
  warn_of(r, a, b, "device");
  printf("%-56s %s\n", "",
         r->reference ? "old speed over new, with the intervals' extremes"
                      : "new time over old, with the intervals' extremes");
  json_array_foreach(rows_of(a), i, row) compare_row(r, row, b, &t);
  json_array_foreach(rows_of(b), i, row) {
    char *name = name_of(row);
    if (!find(a, name))
      printf("%-56s only in %s\n", name, r->new);
    free(name);
  }
  printf("%d compared: %d slower, %d faster, %d too noisy to say\n", t.compared, t.slower, t.better, t.noisy);
  if (!t.compared)
    return cli_misuse(r->who, "%s and %s have nothing in common that could be compared", r->old, r->new);
  if (!r->fail)
    return 0;
  return t.slower ? SLOWER : t.noisy ? NOISY : 0;
}

static json_t *load(const char *who, const char *path) {
  json_error_t error;
  size_t length;
  char *text = cli_read_file(who, path, &length);
  json_t *file = text ? json_loadb(text, length, 0, &error) : NULL;
  if (text && !file)
    cli_misuse(who, "%s:%d:%d: no JSON: %s", path, error.line, error.column, error.text);
  else if (file && !json_is_array(rows_of(file))) {
    cli_misuse(who, "%s is not of hl-bench: it has neither \"results\" nor \"calls\"", path);
    json_decref(file);
    file = NULL;
  }
  free(text);
  return file;
}

/* ---- command line ---- */

static int take(request *r, int option) {
  char *end;
  switch (option) {
  case 1:
    r->fail = strcmp(optarg, "slower") == 0;
    return r->fail ? 0 : cli_misuse(r->who, "--fail-on '%s': there is only slower", optarg);
  case 2:
    r->tolerance = strtod(optarg, &end) / 100;
    return end != optarg && !*end && r->tolerance >= 0 && r->tolerance < 10
               ? 0
               : cli_misuse(r->who, "--tolerance '%s': wants per cent, from 0 to 1000", optarg);
  case 3:
    r->reference = optarg;
    return 0;
  case 'h':
    fputs(help, stdout);
    return -1;
  default:
    return CLI_MISUSE;
  }
}

int bench_compare(int argc, char **argv) {
  static const struct option table[] = {{"fail-on", required_argument, 0, 1},
                                        {"tolerance", required_argument, 0, 2},
                                        {"relative-to", required_argument, 0, 3},
                                        {"help", no_argument, 0, 'h'},
                                        {0}};
  request r = {.who = "hl-bench compare", .tolerance = 0.03};
  for (int option; (option = cli_next_option(r.who, argc, argv, table)) != -1;) {
    const int code = take(&r, option);
    if (code)
      return code < 0 ? 0 : code;
  }
  if (argc - optind != 2)
    return cli_misuse(r.who, "wants two files, OLD.json and NEW.json");
  r.old = argv[optind];
  r.new = argv[optind + 1];
  json_t *a = load(r.who, r.old), *b = a ? load(r.who, r.new) : NULL;
  const int code = a && b ? compare(&r, a, b) : CLI_MISUSE;
  json_decref(a);
  json_decref(b);
  return code;
}
