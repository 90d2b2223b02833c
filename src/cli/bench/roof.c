/* roof.c: what the CPU can do: copy, triad or read of as many bytes as a kernel moves, or as many fused
 * multiply-adds as it needs, by as many threads.  The threads live as long as the roof and wait on a barrier, asleep.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/bench.h"

enum { MOST = 256 };

typedef struct worker {
  struct roof *roof;
  pthread_t thread;
  size_t begin, end; /* bytes of each array; operations */
  double sum;
} worker;

struct roof {
  roof_kind kind;
  size_t bytes;    /* of one array; operations */
  size_t sets, at; /* arrays hold as many places; where the current run is, in bytes */
  char *to, *a, *b;
  int threads; /* the first worker is the caller */
  worker w[MOST];
  pthread_mutex_t lock;
  pthread_cond_t start, done;
  unsigned long round;
  int left;
  bool stop;
};

const char *roof_name(roof_kind kind) {
  static const char *const names[] = {"copy",     "triad",         "read",         "FMA peak",
                                      "FMA peak", "dpbf16ps peak", "vpdpbusd peak"};
  return names[kind];
}

/* The roof whose share of writes is nearest: read 0, triad 1/3, copy 1/2. */
roof_kind roof_for(double read, double written) {
  const double share = written / (read + written);
  return share < 1.0 / 6 ? ROOF_READ : share < 5.0 / 12 ? ROOF_TRIAD : ROOF_COPY;
}

/* Where there is no instruction for pairs and quadruples, elements are converted and multiplied as f32. */
roof_kind roof_of_products(hl_dtype dtype) {
  const roof_kind best = dtype == HL_BF16                   ? ROOF_BF16
                         : dtype == HL_I8 || dtype == HL_U8 ? ROOF_INT8
                         : dtype == HL_F64                  ? ROOF_FMA64
                                                            : ROOF_FMA;
  return roof_has(best) ? best : ROOF_FMA;
}

static void do_part(worker *w) {
  const roof *r = w->roof;
  if (r->kind >= ROOF_FMA) {
    w->sum += (double)roof_arithmetic(r->kind, (double)(w->end - w->begin)); /* operations here */
    return;
  }
  const size_t at = r->at + w->begin;
  roof_loop(r->kind, r->to + at, r->a + at, r->b + at, w->end - w->begin, &w->sum);
}

static void *worker_main(void *arg) {
  worker *w = arg;
  roof *r = w->roof;
  for (unsigned long seen = 0;;) {
    pthread_mutex_lock(&r->lock);
    while (r->round == seen && !r->stop)
      pthread_cond_wait(&r->start, &r->lock);
    seen = r->round;
    const bool stop = r->stop;
    pthread_mutex_unlock(&r->lock);
    if (stop)
      return NULL;
    do_part(w);
    pthread_mutex_lock(&r->lock);
    if (--r->left == 0)
      pthread_cond_signal(&r->done);
    pthread_mutex_unlock(&r->lock);
  }
}

static char *array(size_t bytes) {
  char *p = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
  if (!p)
    p = cli_alloc(bytes, 1); /* ends with words */
  memset(p, 0, bytes);
  return p;
}

roof *roof_create(roof_kind kind, double work, int threads, size_t sets) {
  if (kind >= ROOF_FMA && !roof_has(kind))
    return NULL;
  roof *r = cli_alloc(1, sizeof *r);
  const double arrays = kind == ROOF_COPY ? 2 : kind == ROOF_TRIAD ? 3 : 1;
  const bool memory = kind < ROOF_FMA;
  r->kind = kind;
  r->bytes = ((size_t)(work / arrays) + 63) & ~(size_t)63;
  r->sets = memory && sets ? sets : 1;
  r->a = array(memory ? r->bytes * r->sets : 64);
  r->to = kind == ROOF_COPY || kind == ROOF_TRIAD ? array(r->bytes * r->sets) : r->a;
  r->b = kind == ROOF_TRIAD ? array(r->bytes * r->sets) : r->a;
  r->threads = threads < 1 ? 1 : threads > MOST ? MOST : threads;
  pthread_mutex_init(&r->lock, NULL);
  pthread_cond_init(&r->start, NULL);
  pthread_cond_init(&r->done, NULL);
  const size_t lines = r->bytes / 64;
  for (int i = 0; i < r->threads; i++) {
    r->w[i] = (worker){.roof = r,
                       .begin = lines * (size_t)i / (size_t)r->threads * 64,
                       .end = lines * (size_t)(i + 1) / (size_t)r->threads * 64};
    if (i && pthread_create(&r->w[i].thread, NULL, worker_main, &r->w[i]) != 0) {
      r->w[i - 1].end = r->bytes; /* fewer threads: the last one takes the rest */
      r->threads = i;
    }
  }
  return r;
}

void roof_run(roof *r, size_t i) {
  pthread_mutex_lock(&r->lock);
  r->at = i % r->sets * r->bytes;
  r->round++;
  r->left = r->threads - 1;
  if (r->left)
    pthread_cond_broadcast(&r->start);
  pthread_mutex_unlock(&r->lock);
  do_part(&r->w[0]);
  pthread_mutex_lock(&r->lock);
  while (r->left)
    pthread_cond_wait(&r->done, &r->lock);
  pthread_mutex_unlock(&r->lock);
}

void roof_destroy(roof *r) {
  if (!r)
    return;
  pthread_mutex_lock(&r->lock);
  r->stop = true;
  pthread_cond_broadcast(&r->start);
  pthread_mutex_unlock(&r->lock);
  for (int i = 1; i < r->threads; i++)
    pthread_join(r->w[i].thread, NULL);
  if (r->to != r->a)
    free(r->to);
  if (r->b != r->a)
    free(r->b);
  free(r->a);
  pthread_cond_destroy(&r->start);
  pthread_cond_destroy(&r->done);
  pthread_mutex_destroy(&r->lock);
  free(r);
}
