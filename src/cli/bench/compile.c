/* compile.c: hl-bench compile: how long every kernel takes to compile, from the built kernel to the object, with
 * nothing stored; then all of them at once on several threads. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/bench/bench.h"

enum { ROUNDS = 7, MOST_THREADS = 64 };

/* A kernel that is ready to be compiled. */
typedef struct piece {
  const bench_job *job;
  hl_kernel *kernel;
  hl_config *config;
  cli_shape shape;
  size_t bytes; /* of the object */
  hl_status status;
  hl_diag diag;
} piece;

typedef struct shop {
  const bench_options *o;
  cli_place place;
  piece *pieces;
  size_t count, rounds;
  atomic_size_t next;
} shop;

/* ---- preparing ---- */

static int prepare(shop *s, piece *p) {
  int code;
  p->status = p->job->example->build(s->place.ctx, p->job->dtype, &p->diag, &p->kernel);
  if (p->status != HL_OK)
    return 0; /* said in its row */
  code = bench_shape(s->o, p->job, p->kernel, &p->shape);
  return code ? code : cli_config_open(s->o->who, s->o->config, p->kernel, &p->shape, s->place.target, &p->config);
}

static hl_status compile(const shop *s, piece *p, hl_emit emit) {
  hl_blob *blob = NULL;
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  o.shape = p->shape.bind;
  o.shape_count = p->shape.count;
  o.config = p->config;
  o.emit = emit;
  const hl_status st = hl_compile(s->place.ctx, p->kernel, s->place.target, &o, &p->diag, &blob);
  if (st == HL_OK)
    p->bytes = hl_blob_size(blob);
  hl_blob_release(blob);
  return st;
}

/* ---- alone ---- */

static void figures(json *j, const char *key, const interval *x) {
  jw_open(j, key, '{');
  jw_number(j, "median", x->median);
  jw_number(j, "low", x->low);
  jw_number(j, "high", x->high);
  jw_close(j, '}');
}

static void report_piece(json *j, const piece *p, const interval *ir, const interval *all) {
  char *shape = cli_shape_text(&p->shape);
  const bool ok = p->status == HL_OK;
  if (ok)
    printf("%-16s %-24s %-5s %9.1f %10.1f [%.1f, %.1f] %10zu\n", p->job->example->name, shape,
           hl_dtype_text(p->job->dtype), ir->median * 1e3, all->median * 1e3, all->low * 1e3, all->high * 1e3,
           p->bytes);
  else
    printf("%-16s %-24s %-5s error: %s\n", p->job->example->name, shape, hl_dtype_text(p->job->dtype),
           p->diag.message[0] ? p->diag.message : hl_status_text(p->status));
  fflush(stdout);
  jw_open(j, NULL, '{');
  jw_text(j, "kernel", p->job->example->name);
  jw_text(j, "shape", shape);
  jw_text(j, "dtype", hl_dtype_text(p->job->dtype));
  jw_text(j, "verdict", ok ? "ok" : "error");
  if (ok) {
    figures(j, "seconds", all);
    figures(j, "passes_seconds", ir);
    jw_integer(j, "object_bytes", (long long)p->bytes);
  } else {
    jw_text(j, "words", p->diag.message);
  }
  jw_close(j, '}');
  free(shape);
}

/* Seconds of all, the median of each. */
static double alone(shop *s, json *j) {
  double sum = 0, ir[ROUNDS], all[ROUNDS];
  const hl_target_info none = {.size = sizeof none};
  hl_target_info info = none;
  hl_target_get_info(s->place.target, &info);
  const hl_emit middle = info.family && strcmp(info.family, "cpu") != 0 ? HL_EMIT_LANE : HL_EMIT_LOOP;
  for (size_t i = 0; i < s->count; i++) {
    piece *p = &s->pieces[i];
    bench_progress("%s: compiling", p->job->example->name);
    if (p->status == HL_OK && i == 0)
      p->status = compile(s, p, HL_EMIT_OBJ); /* loads the compiler */
    for (size_t r = 0; p->status == HL_OK && r < s->rounds; r++) {
      const double begin = cli_now();
      p->status = compile(s, p, middle);
      ir[r] = cli_now() - begin;
      if (p->status == HL_OK)
        p->status = compile(s, p, HL_EMIT_OBJ);
      all[r] = cli_now() - begin - ir[r];
    }
    const interval a = bench_median(ir, s->rounds), b = bench_median(all, s->rounds);
    bench_progress(" ");
    report_piece(j, p, &a, &b);
    sum += p->status == HL_OK ? b.median : 0;
  }
  return sum;
}

/* ---- all at once ---- */

static void *thread_main(void *arg) {
  shop *s = arg;
  for (size_t i; (i = atomic_fetch_add(&s->next, 1)) < s->count;)
    if (s->pieces[i].status == HL_OK)
      s->pieces[i].status = compile(s, &s->pieces[i], HL_EMIT_OBJ);
  return NULL;
}

static double together(shop *s, int threads) {
  pthread_t thread[MOST_THREADS];
  int started = 0;
  atomic_store(&s->next, 0);
  const double begin = cli_now();
  while (started + 1 < threads && pthread_create(&thread[started], NULL, thread_main, s) == 0)
    started++;
  thread_main(s);
  for (int i = 0; i < started; i++)
    pthread_join(thread[i], NULL);
  return cli_now() - begin;
}

/* ---- the command ---- */

static int open_place(const bench_options *o, cli_place *place) {
  hl_diag diag = {0};
  hl_context_options c = HL_CONTEXT_OPTIONS_INIT;
  c.cache_dir = ""; /* nothing is found that another run has made */
  hl_status s = hl_context_create(&c, &diag, &place->ctx);
  if (s == HL_OK && o->target)
    return cli_target_parse(o->who, o->target, &place->target);
  if (s == HL_OK)
    s = hl_device_open(place->ctx, o->device, &diag, &place->dev);
  if (s == HL_OK)
    s = cli_device_target(place->dev, &diag, &place->target);
  return s == HL_OK ? 0 : cli_report(o->who, s, &diag);
}

static int measure(shop *s, json *j) {
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  int threads = s->o->threads ? s->o->threads : (int)cores, wrong = 0;
  threads = threads < 1 ? 1 : threads > MOST_THREADS ? MOST_THREADS : threads;
  printf("%-16s %-24s %-5s %9s %10s %s\n", "kernel", "shape", "dtype", "passes ms", "all ms", "[95% interval]  bytes");
  jw_open(j, "results", '[');
  const double serial = alone(s, j);
  jw_close(j, ']');
  bench_progress("all at once");
  const double wall = together(s, threads);
  bench_progress(" ");
  for (size_t i = 0; i < s->count; i++)
    wrong += s->pieces[i].status != HL_OK;
  printf("%zu kernels one after another: %.0f ms; at once on %d threads: %.0f ms, %.2f times as fast\n", s->count,
         serial * 1e3, threads, wall * 1e3, serial / wall);
  jw_number(j, "serial_seconds", serial);
  jw_number(j, "parallel_seconds", wall);
  jw_integer(j, "parallel_threads", threads);
  return wrong ? CLI_FAILED : 0;
}

int bench_compile(const bench_options *o) {
  shop s = {.o = o, .rounds = o->pairs < ROUNDS ? (size_t)o->pairs : ROUNDS};
  json j = {0};
  bench_job *jobs = bench_select(o, &s.count);
  if (!jobs)
    return CLI_MISUSE;
  int code = open_place(o, &s.place);
  s.pieces = cli_alloc(s.count, sizeof *s.pieces);
  for (size_t i = 0; !code && i < s.count; i++) {
    s.pieces[i].job = &jobs[i];
    code = prepare(&s, &s.pieces[i]);
  }
  if (!code) {
    bench_watch(o->timeout, "compiling");
    jw_open(&j, NULL, '{');
    report_environment(&j, o, s.place.dev, "", "");
    code = measure(&s, &j);
    jw_close(&j, '}');
    bench_watch(0, "");
    const int written = report_write(o, &j);
    code = code ? code : written;
  }
  for (size_t i = 0; i < s.count; i++) {
    hl_config_destroy(s.pieces[i].config);
    hl_kernel_destroy(s.pieces[i].kernel);
  }
  free(s.pieces);
  free(jobs);
  hl_device_close(s.place.dev);
  hl_context_destroy(s.place.ctx);
  return code;
}
