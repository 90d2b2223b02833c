/* bench.h: hl-bench's parts: options, timing, references, reports, and its commands. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "src/cli/bench/json.h"
#include "src/cli/common/run.h"
#include "src/cli/common/words.h"

/* ---- options ---- */

typedef enum bench_cache { CACHE_USUAL, CACHE_COLD, CACHE_HOT } bench_cache;

enum { BENCH_JOBS = 64 };

typedef struct bench_options {
  const char *who;
  const char *device;            /* "cpu", "cuda", "cuda:1" */
  const char *filter;            /* regular expression on names; NULL: all */
  const char *config;            /* as for hl run; NULL: default */
  const char *json, *csv, *html; /* files; NULL: none */
  const char *cublas;            /* library file; NULL: the usual names */
  cli_shape shape;
  hl_dtype dtype;    /* NONE: each kernel's own list, see `all_dtypes` */
  bool all_dtypes;   /* else the first dtype of each kernel */
  bench_cache cache; /* usual: hot on the CPU, cold on a GPU */
  int threads;       /* CPU; 0: one, then all */
  int pairs;         /* interleaved rounds, at most */
  double min_time;   /* seconds of a sample; 0: 5 ms on the CPU, 1 ms on a GPU */
  double max_noise;  /* rounds end when the intervals are this narrow: half their width over the median */
  double max_time;   /* seconds of rounds for one kernel */
  double timeout;    /* seconds a step may take */
  uint64_t seed;
  int configs;        /* check: random configurations */
  int jobs;           /* check: processes at a time, at most BENCH_JOBS */
  const char *target; /* compile: instead of the device's */
  int argc;
  char **argv; /* for the report */
} bench_options;

int bench_kernels(const bench_options *o);     /* hl-bench */
int bench_launch(const bench_options *o);      /* hl-bench launch */
int bench_check(const bench_options *o);       /* hl-bench check */
int bench_growth(const bench_options *o);      /* hl-bench growth */
int bench_compile(const bench_options *o);     /* hl-bench compile */
int bench_coldstart(const bench_options *o);   /* hl-bench coldstart */
int bench_cache_costs(const bench_options *o); /* hl-bench cache */
int bench_compare(int argc, char **argv);      /* hl-bench compare */

/* select.c: what --filter, --dtype, --shape and --config ask for. */
typedef struct bench_job {
  const hl_example *example;
  hl_dtype dtype;
} bench_job;
/* Does the name pass --filter?  The expression was checked before. */
bool bench_selected(const bench_options *o, const char *name);
/* The kernels and dtypes, to be freed; NULL after a message if there are none or --shape has a dimension of none. */
bench_job *bench_select(const bench_options *o, size_t *count);
/* The job's shape: --shape's sizes where the kernel has the dimension, else its own.  0 or an exit code. */
int bench_shape(const bench_options *o, const bench_job *job, const hl_kernel *k, cli_shape *out);
/* Can every job take --config?  0 or an exit code, after a message. */
int bench_config_fits(const bench_options *o, const cli_place *place, const bench_job *jobs, size_t count);

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
  bool machine;    /* what the machine can do, no competitor */
  bool roof;       /* ... and the limit for this kernel */
  double *seconds; /* per run, one figure per round; NAN: not sampled in this round */
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
interval bench_median(const double *x, size_t n); /* NANs are left out */
/* Of a[i] / b[i]. */
interval bench_ratio(const double *a, const double *b, size_t n);
/* Half of the interval's width over its median. */
double bench_noise(const interval *x);

typedef struct race_rules {
  size_t most;      /* rounds */
  double min_time;  /* seconds of a sample */
  double max_noise; /* stops when the time of contestant 0 and all ratios to it are as sure as this ... */
  double max_time;  /* ... or after so many seconds */
  size_t sets;      /* runs of a sample at least */
  bool warm;        /* one run before each sample that is not timed */
} race_rules;

typedef struct race_end {
  size_t rounds;
  double noise;        /* the widest of what max_noise is about */
  const char *because; /* "noise", "time" or "rounds" */
} race_end;

/* Rounds in each of which every contestant is sampled; one that is very slow only in the first few. */
hl_status bench_race(const bench_clock *clock, contestant *c, size_t count, const race_rules *rules, race_end *end,
                     hl_diag *diag);

/* ---- references on the CPU ---- */

/* Moves `work` bytes in all, in the roof's mix of reads and writes, with some threads; from ROOF_FMA on: does `work`
 * operations in registers: fused multiply-adds of f32 or f64, dot products of bf16 pairs or int8 quadruples. Successive
 * runs use `sets` places in turn. */
typedef enum roof_kind { ROOF_COPY, ROOF_TRIAD, ROOF_READ, ROOF_FMA, ROOF_FMA64, ROOF_BF16, ROOF_INT8 } roof_kind;
typedef struct roof roof;
roof *roof_create(roof_kind kind, double work, int threads, size_t sets); /* NULL: the roof is not built in */
void roof_run(roof *r, size_t i);
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

enum { BENCH_CONTESTANTS = 8 };

typedef struct bench_result {
  const char *kernel, *dtype;
  char *shape, *config;
  int threads; /* CPU; 0: GPU */
  bool right;
  const char *status; /* "ok", "wrong" or "error" */
  char words[1100];   /* why not */
  double frobenius, worst, checked_share;
  double compile_seconds, bytes, flops;
  size_t sets, count; /* of buffers; of contestants: [0] is hl */
  race_end end;
  bool cold, graphs;
  double roof; /* share of what the machine can do, measured in the same rounds; NAN: not known */
  const char *roof_name;
  interval time[BENCH_CONTESTANTS], ratio[BENCH_CONTESTANTS]; /* ratio: time of the reference / time of hl */
  const char *name[BENCH_CONTESTANTS];
  bool machine[BENCH_CONTESTANTS];
} bench_result;

/* More than ten operations per byte: the arithmetic counts, not the memory. */
bool bench_computes(const bench_result *r);

/* What was measured so far, and the files that it goes to. */
typedef struct bench_report {
  const bench_options *o;
  json j;
  bench_result *results;
  size_t count;
  char machine[256], when[32];
} bench_report;

/* Can the files be written?  Found before anything is measured: 0, or an exit code after a message. */
int report_check_files(const bench_options *o);
void report_begin(bench_report *r, const bench_options *o);
void report_head(void);
/* Takes the result over, its texts included; prints its line, and writes the files so far, so that they outlive a
 * kernel that never ends.  An exit code when they cannot be written. */
int report_add(bench_report *r, bench_result *result);
/* Writes the files.  Returns an exit code. */
int report_close(bench_report *r);
void report_free(bench_report *r);

/* The block "environment". */
void report_environment(json *j, const bench_options *o, hl_device *dev, const char *openblas, const char *cublas);
/* Writes the JSON to --json, if there is one, and frees it. */
int report_write(const bench_options *o, json *j);
/* csv.c and html.c: the whole file as a text, to be freed. */
char *report_csv(const bench_report *r);
char *report_html(const bench_report *r);
const char *report_time(double seconds, char *text, size_t size);        /* "4.53 ms" */
const char *report_rate(const bench_result *r, char *text, size_t size); /* "44.4 GB/s" */

#endif
