/* reference.c: the double-precision reference of an example, in parallel and, for large shapes, of samples.
 *
 * Both need that the rows of the outputs do not depend on each other.  That holds when every output's first
 * dimension is the example's first one and no tensor has it elsewhere: then rows [b, e) of the outputs follow
 * from rows [b, e) of the inputs that have the dimension, and a call of the reference on these is a call on
 * smaller tensors. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/common/args.h"
#include "src/cli/common/words.h"

enum { SAMPLES = 16, MOST_THREADS = 64 };

typedef struct problem {
  const hl_example *example;
  uint32_t count;
  hl_example_tensor tensor[HL_EXAMPLE_ARGS];
  bool has_rows[HL_EXAMPLE_ARGS];
} problem;

typedef struct piece {
  const problem *p;
  int64_t begin, end;
} piece;

/* ---- rows ---- */

static bool named(const cli_arg *a, uint32_t d, const char *name) {
  return a->info.dim_name[d].len == strlen(name) && memcmp(a->info.dim_name[d].ptr, name, strlen(name)) == 0;
}

/* The number of independent rows; 0: they depend on each other. */
static int64_t independent_rows(const cli_args *a, const char *dim, bool *has_rows) {
  int64_t rows = 0;
  for (uint32_t i = 0; i < a->count; i++) {
    const cli_arg *x = &a->arg[i];
    has_rows[i] = x->info.is_tensor && x->info.rank && named(x, 0, dim);
    for (uint32_t d = 1; d < x->info.rank; d++)
      if (named(x, d, dim))
        return 0;
    if (cli_arg_is_output(x) && !has_rows[i])
      return 0;
    if (has_rows[i])
      rows = x->shape[0];
  }
  return rows;
}

static void run_piece(const piece *w) {
  hl_example_tensor t[HL_EXAMPLE_ARGS];
  memcpy(t, w->p->tensor, sizeof t);
  for (uint32_t i = 0; i < w->p->count; i++) {
    int64_t row = 1;
    if (!w->p->has_rows[i])
      continue;
    for (uint32_t d = 1; d < t[i].rank; d++)
      row *= t[i].shape[d];
    t[i].data += w->begin * row;
    t[i].scale += t[i].scale ? w->begin * row : 0;
    t[i].shape[0] = w->end - w->begin;
  }
  w->p->example->reference(t, w->p->count);
}

static void *thread_main(void *arg) {
  run_piece(arg);
  return NULL;
}

static void run_rows(const problem *p, int64_t begin, int64_t end) {
  piece w[MOST_THREADS];
  pthread_t thread[MOST_THREADS];
  bool started[MOST_THREADS];
  const int64_t cores = sysconf(_SC_NPROCESSORS_ONLN), rows = end - begin;
  int64_t n = cores < 1 ? 1 : cores > MOST_THREADS ? MOST_THREADS : cores;
  n = rows < n ? rows : n;
  for (int64_t i = 0; i < n; i++) {
    w[i] = (piece){p, begin + rows * i / n, begin + rows * (i + 1) / n};
    started[i] = i + 1 < n && pthread_create(&thread[i], NULL, thread_main, &w[i]) == 0;
    if (!started[i])
      run_piece(&w[i]);
  }
  for (int64_t i = 0; i < n; i++)
    if (started[i])
      pthread_join(thread[i], NULL);
}

/* Blocks of rows spread over all, with the first and the last row. */
static double run_samples(const problem *p, int64_t rows, double share) {
  int64_t each = (int64_t)((double)rows * share / SAMPLES), done = 0;
  if (each < 1)
    each = 1;
  for (int i = 0; i < SAMPLES; i++) {
    const int64_t begin = (rows - each) * i / (SAMPLES - 1);
    run_rows(p, begin, begin + each);
    done += each;
  }
  return (double)done / (double)rows;
}

/* ---- arguments ---- */

/* What the samples leave out counts as right, but an element that nobody wrote is wrong. */
static void take_over(const cli_arg *x, double *to) {
  cli_to_double(x->info.dtype, x->data, to, x->count);
  for (size_t i = 0; i < x->count; i++)
    if (isnan(to[i]))
      to[i] = 0;
}

double cli_args_reference(cli_args *a, const hl_example *e, double most_work) {
  problem p = {.example = e, .count = a->count < HL_EXAMPLE_ARGS ? a->count : HL_EXAMPLE_ARGS};
  int64_t size[HL_EXAMPLE_DIMS] = {0};
  double share = 1;
  const int64_t rows = e->by_position ? 0 : independent_rows(a, e->dims[0], p.has_rows);
  for (uint32_t i = 0; i < p.count; i++) {
    const cli_arg *x = &a->arg[i];
    for (uint32_t d = 0; d < x->info.rank; d++)
      for (int k = 0; k < HL_EXAMPLE_DIMS && e->dims[k]; k++)
        if (named(x, d, e->dims[k]))
          size[k] = x->shape[d];
  }
  const double work = e->flops(size);
  const bool sampled = most_work > 0 && work > most_work && rows > 4 * SAMPLES;
  for (uint32_t i = 0; i < p.count; i++) {
    cli_arg *x = &a->arg[i];
    p.tensor[i] = (hl_example_tensor){.data = cli_alloc(x->count, sizeof(double)), .rank = x->info.rank};
    memcpy(p.tensor[i].shape, x->shape, sizeof x->shape);
    if (cli_arg_is_output(x))
      p.tensor[i].scale = cli_alloc(x->count, sizeof(double));
    if (!cli_arg_is_output(x) || x->info.access & HL_IN)
      cli_to_double(x->info.dtype, x->data, p.tensor[i].data, x->count);
    else if (sampled)
      take_over(x, p.tensor[i].data);
  }
  if (sampled)
    share = run_samples(&p, rows, most_work / work);
  else if (rows > 1)
    run_rows(&p, 0, rows);
  else
    e->reference(p.tensor, p.count);
  for (uint32_t i = 0; i < p.count; i++) {
    if (!cli_arg_is_output(&a->arg[i])) {
      free(p.tensor[i].data);
      continue;
    }
    free(a->arg[i].want);
    free(a->arg[i].scale);
    a->arg[i].want = p.tensor[i].data;
    a->arg[i].scale = p.tensor[i].scale;
  }
  return share;
}
