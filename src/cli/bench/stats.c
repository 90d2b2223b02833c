/* stats.c: medians with distribution-free 95 % intervals, and the interleaved race. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/cli/bench/bench.h"
#include "src/cli/bench/cuda.h"

/* ---- statistics ---- */

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The interval is between two order statistics: the number of samples below the true median is binomial. */
interval bench_median(const double *x, size_t all) {
  interval out = {NAN, NAN, NAN};
  double *sorted = cli_alloc(all, sizeof *sorted);
  size_t n = 0;
  for (size_t i = 0; i < all; i++)
    if (!isnan(x[i]))
      sorted[n++] = x[i];
  if (!n) {
    free(sorted);
    return out;
  }
  qsort(sorted, n, sizeof *sorted, ascending);
  const double half = 1.96 * sqrt((double)n) / 2;
  const double low = floor((double)n / 2 - half), high = ceil((double)n / 2 + half);
  out.median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
  out.low = sorted[low < 1 ? 0 : (size_t)low - 1];
  out.high = sorted[high > (double)n - 1 ? n - 1 : (size_t)high];
  free(sorted);
  return out;
}

interval bench_ratio(const double *a, const double *b, size_t n) {
  double *r = cli_alloc(n, sizeof *r);
  for (size_t i = 0; i < n; i++)
    r[i] = a[i] / b[i];
  const interval out = bench_median(r, n);
  free(r);
  return out;
}

double bench_noise(const interval *x) {
  return x->median > 0 ? (x->high - x->low) / 2 / x->median : 0;
}

/* ---- the race ---- */

/* What one sample of a contestant runs. */
typedef struct load {
  contestant *c;
  size_t runs, next; /* runs per sample; the next run's number */
  double least;      /* seconds of a sample, as calibrated */
  bool slow;         /* takes so long that a few samples must do */
  cuda_graph *graph; /* recorded runs */
} load;

static hl_status start_runs(load *l, size_t n, hl_diag *diag) {
  hl_status s = HL_OK;
  for (size_t i = 0; s == HL_OK && i < n; i++)
    s = l->c->run(l->c->self, l->next++, diag);
  return s;
}

static hl_status wait(const bench_clock *clock, hl_diag *diag) {
  return clock->stream ? hl_stream_synchronize(clock->stream, diag) : hl_device_synchronize(clock->dev, diag);
}

static hl_status record(const bench_clock *clock, load *l, hl_diag *diag) {
  hl_status s = cuda_capture_begin(clock->cuda, hl_stream_native(clock->stream), diag);
  if (s != HL_OK)
    return s;
  s = start_runs(l, l->runs, diag);
  const hl_status ended =
      cuda_capture_end(clock->cuda, hl_stream_native(clock->stream), &l->graph, s == HL_OK ? diag : NULL);
  return s == HL_OK ? ended : s;
}

/* Seconds of l->runs runs. */
static hl_status sample(const bench_clock *clock, load *l, hl_diag *diag, double *seconds) {
  float ms = 0;
  hl_status s;
  if (!clock->cuda) {
    const double begin = cli_now();
    s = start_runs(l, l->runs, diag);
    if (s == HL_OK)
      s = wait(clock, diag);
    *seconds = cli_now() - begin;
    return s;
  }
  s = hl_event_record(clock->begin, clock->stream, diag);
  if (s == HL_OK)
    s = l->graph ? cuda_graph_launch(clock->cuda, l->graph, hl_stream_native(clock->stream), diag)
                 : start_runs(l, l->runs, diag);
  if (s == HL_OK)
    s = hl_event_record(clock->end, clock->stream, diag);
  if (s == HL_OK)
    s = hl_event_synchronize(clock->end, diag);
  if (s == HL_OK)
    s = hl_event_elapsed(clock->begin, clock->end, diag, &ms);
  *seconds = 1e-3 * (double)ms;
  return s;
}

static void rest(const bench_clock *clock) {
  const struct timespec t = {.tv_nsec = (long)(clock->pause * 1e9)};
  if (clock->pause > 0)
    nanosleep(&t, NULL);
}

/* How many runs fill min_time: doubled until they do. */
static hl_status calibrate(const bench_clock *clock, load *l, double min_time, size_t sets, hl_diag *diag) {
  enum { MOST = 1 << 20, MOST_RECORDED = 2048 };
  double seconds = 0;
  l->runs = sets > 1 ? sets : 1;
  hl_status s = start_runs(l, 2, diag); /* first runs load code and touch pages */
  if (s == HL_OK)
    s = wait(clock, diag);
  const size_t most = clock->graphs ? MOST_RECORDED : MOST;
  while (s == HL_OK && l->runs < most) {
    s = sample(clock, l, diag, &seconds);
    l->least = seconds;
    if (seconds >= min_time)
      break;
    const double more = seconds > 0 ? 1.2 * min_time / seconds : 10;
    l->runs = (size_t)((double)l->runs * (more > 10 ? 10 : more < 1.1 ? 1.1 : more)) + 1;
  }
  if (l->runs > most)
    l->runs = most;
  if (s != HL_OK || !clock->graphs)
    return s;
  s = record(clock, l, diag);
  return s == HL_OK ? sample(clock, l, diag, &seconds) : s;
}

/* A slow contestant's few samples are not waited for. */
static double widest(const load *l, size_t count, size_t rounds) {
  const interval own = bench_median(l[0].c->seconds, rounds);
  double most = bench_noise(&own);
  for (size_t i = 1; i < count; i++) {
    const interval ratio = bench_ratio(l[i].c->seconds, l[0].c->seconds, rounds);
    if (l[i].slow)
      continue;
    most = fmax(most, bench_noise(&ratio));
  }
  return most;
}

enum { LEAST = 11, LEAST_IN_TIME = 3, SLOW_ROUNDS = 5, SLOW_SHARE = 40 };

/* Is it over after `rounds` rounds?  Noise is looked at now and then: it sorts all figures. */
static bool over(const race_rules *rules, const load *l, size_t count, size_t rounds, double begin, race_end *end) {
  end->rounds = rounds;
  end->because = rounds >= rules->most ? "rounds" : NULL;
  if (!end->because && rounds >= LEAST_IN_TIME && cli_now() - begin > rules->max_time)
    end->because = "time";
  if (!end->because && (rounds < LEAST || (rounds - LEAST) % 4 != 0))
    return false;
  end->noise = widest(l, count, rounds);
  if (rounds >= LEAST && end->noise <= rules->max_noise)
    end->because = "noise";
  return end->because != NULL;
}

static hl_status one_sample(const bench_clock *clock, const race_rules *rules, load *l, size_t round, hl_diag *diag) {
  double seconds = 0;
  hl_status s = HL_OK;
  l->c->seconds[round] = NAN;
  if (l->slow && round >= SLOW_ROUNDS)
    return HL_OK;
  rest(clock);
  if (rules->warm && !l->slow) {
    s = start_runs(l, 1, diag); /* warms caches and threads after the others */
    if (s == HL_OK)
      s = wait(clock, diag);
  }
  if (s == HL_OK)
    s = sample(clock, l, diag, &seconds);
  l->c->seconds[round] = seconds / (double)l->runs;
  return s;
}

hl_status bench_race(const bench_clock *clock, contestant *c, size_t count, const race_rules *rules, race_end *end,
                     hl_diag *diag) {
  load *loads = cli_alloc(count, sizeof *loads);
  hl_status s = HL_OK;
  for (size_t i = 0; s == HL_OK && i < count; i++) {
    loads[i].c = &c[i];
    c[i].seconds = cli_alloc(rules->most, sizeof *c[i].seconds);
    rest(clock);
    s = calibrate(clock, &loads[i], rules->min_time, rules->sets, diag);
    loads[i].slow = i && loads[i].least > rules->max_time / SLOW_SHARE;
  }
  const double begin = cli_now();
  *end = (race_end){0};
  for (size_t r = 0; s == HL_OK && !over(rules, loads, count, r, begin, end); r++)
    for (size_t i = 0; s == HL_OK && i < count; i++)
      s = one_sample(clock, rules, &loads[(i + r) % count], r, diag); /* nobody always comes first */
  for (size_t i = 0; i < count; i++)
    cuda_graph_free(clock->cuda, loads[i].graph);
  free(loads);
  return s;
}
