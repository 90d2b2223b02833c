/* bench.h: hl-bench's parts: options, timing, references, reports. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "src/cli/bench/json.h"
#include "src/cli/common/run.h"
#include "src/cli/common/words.h"

/* ---- options ---- */

typedef struct bench_options {
  const char *who;
  const char *device; /* "cpu", "cuda", "cuda:1" */
  const char *filter; /* regular expression on names; NULL: all */
  const char *config; /* as for hl run; NULL: default */
  const char *json;   /* file; NULL: none */
  const char *cublas; /* library file; NULL: the usual names */
  cli_shape shape;
  hl_dtype dtype;  /* NONE: each kernel's own list, see `all_dtypes` */
  bool all_dtypes; /* else the first dtype of each kernel */
  int threads;     /* CPU; 0: one, then all */
  int pairs;       /* interleaved rounds */
  double min_time; /* seconds of a sample; 0: 5 ms on the CPU, 1 ms on a GPU */
  double timeout;  /* seconds a step may take */
  uint64_t seed;
  int configs; /* check: random configurations */
  int argc;
  char **argv; /* for the report */
} bench_options;

int bench_kernels(const bench_options *o); /* hl-bench */
int bench_launch(const bench_options *o);  /* hl-bench launch */
int bench_check(const bench_options *o);   /* hl-bench check */

/* Does the name pass --filter?  The expression was checked before. */
bool bench_selected(const bench_options *o, const char *name);
/* One line on stderr that the next one overwrites; only on a terminal. */
__attribute__((format(printf, 1, 2))) void bench_progress(const char *format, ...);

/* ---- watchdog: a thread that ends the program with words ---- */

void bench_watch_start(const char *who);
/* From now on the step `what` may take so many seconds; 0: no limit. */
void bench_watch(double seconds, const char *what);

/* ---- timing ---- */

/* Something that is timed.  run(self, i) starts its i-th run; successive runs may use other buffers. */
typedef struct contestant {
  const char *name;
  hl_status (*run)(void *self, size_t i, hl_diag *diag);
  void *self;
  double *seconds; /* per run, one figure per round */
} contestant;

/* How runs are timed: the clock of the place. */
typedef struct bench_clock {
  hl_device *dev;
  hl_stream *stream;       /* GPU: what runs go to; NULL: the default one */
  struct cuda_bench *cuda; /* NULL: not a GPU */
  hl_event *begin, *end;   /* GPU */
  double pause;            /* seconds of rest between contestants: lets their spinning threads go to sleep */
  bool graphs;             /* GPU: runs are recorded once and replayed */
} bench_clock;

typedef struct interval {
  double median, low, high; /* 95 % */
} interval;
interval bench_median(const double *x, size_t n);
/* Of a[i] / b[i]. */
interval bench_ratio(const double *a, const double *b, size_t n);

/* `rounds` rounds, in each of which every contestant is sampled for at least min_time; `sets` runs at least. */
hl_status bench_race(const bench_clock *clock, contestant *c, size_t count, size_t rounds, double min_time, size_t sets,
                     hl_diag *diag);

/* ---- references on the CPU ---- */

/* Moves `work` bytes in all, in the roof's mix of reads and writes, with some threads; from ROOF_FMA on: does `work`
 * operations in registers: fused multiply-adds of f32 or f64, dot products of bf16 pairs or int8 quadruples. */
typedef enum roof_kind { ROOF_COPY, ROOF_TRIAD, ROOF_READ, ROOF_FMA, ROOF_FMA64, ROOF_BF16, ROOF_INT8 } roof_kind;
typedef struct roof roof;
roof *roof_create(roof_kind kind, double work, int threads); /* NULL: the roof is not built in */
void roof_run(roof *r);
void roof_destroy(roof *r);
const char *roof_name(roof_kind kind);
roof_kind roof_for(double read, double written);
roof_kind roof_of_products(hl_dtype dtype); /* the fastest way to multiply that this machine has for the dtype */
/* roof_loops.c, compiled for this machine */
void roof_loop(roof_kind kind, void *to, const void *a, const void *b, size_t bytes, double *sum);
bool roof_has(roof_kind kind);
float roof_arithmetic(roof_kind kind, double operations);

/* Row-major out[m, n] = x . y, operands perhaps stored transposed. */
typedef struct gemm {
  hl_dtype dtype;
  int64_t m, n, k;
  bool x_transposed, y_transposed;
} gemm;

typedef struct blas blas;
blas *blas_open(void); /* NULL: no OpenBLAS */
void blas_close(blas *b);
const char *blas_config(const blas *b);
void blas_threads(blas *b, int threads);
void blas_gemm(blas *b, const gemm *g, const void *x, const void *y, void *out); /* f32 or f64 */
/* Starts the program anew with the environment that OpenBLAS reads when it is loaded, if that is not set. */
void blas_environment(char **argv);

/* ---- report ---- */

typedef struct bench_result {
  const char *kernel, *dtype;
  char *shape, *config;
  int threads; /* CPU; 0: GPU */
  bool right;
  const char *status; /* "ok", "wrong" or "error" */
  char words[1100];   /* why not */
  double frobenius, worst, checked_share;
  double compile_seconds, bytes, flops;
  size_t sets, rounds, count; /* of contestants; [0] is hl */
  bool cold, graphs;
  interval time[8], ratio[8]; /* ratio: time of the reference / time of hl */
  const char *name[8];
} bench_result;

void report_head(void);
void report_line(const bench_result *r);
void report_json(json *j, const bench_result *r);
/* The block "environment". */
void report_environment(json *j, const bench_options *o, hl_device *dev, const char *openblas, const char *cublas);
/* Writes what there is, so that it outlives a kernel that never ends; `results` must be open. */
void report_so_far(const bench_options *o, const json *j);
int report_write(const bench_options *o, json *j);

#endif
