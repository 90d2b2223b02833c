/* launch.c: hl-bench launch: what hl_prepared_launch and hl_launch cost the calling thread over the bare call that
 * they end in: cuLaunchKernel of the same kernel with ready parameters on a GPU, the C function itself on the CPU.
 *
 * The kernel is vector_add on one block of elements; the host's clock runs around batches of launches that fit the
 * driver's queue, and the batches of the contestants are interleaved. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/bench.h"
#include "src/cli/bench/cuda.h"

enum { BATCH = 256, WARM = 3, ELEMENTS = 1024 };

typedef struct bare bare;
struct bare {
  hl_context *ctx;
  hl_device *dev;
  hl_stream *stream;
  const hl_target *target;
  hl_device_info info;
  hl_kernel *kernel;
  cli_args args;
  hl_plan *plan;
  hl_prepared *prepared;
  cuda_bench *cuda;
  cuda_kernel *loaded;
  unsigned threads, blocks;
  void *pointer[HL_EXAMPLE_ARGS], *param[HL_EXAMPLE_ARGS];
};

/* ---- contestants ---- */

/* What the CPU does at the least: the obvious loop, called through a pointer. */
static hl_status call_function(bare *b) {
  const int64_t size[HL_EXAMPLE_DIMS] = {ELEMENTS};
  void (*volatile plain)(void *const *, const int64_t *) = hl_example_plain_of(hl_example_find("vector_add"), HL_F32);
  plain(b->pointer, size);
  return HL_OK;
}

static hl_status call_driver(bare *b) {
  return cuda_kernel_launch(b->cuda, b->loaded, b->blocks, b->threads, hl_stream_native(b->stream), b->param, NULL);
}

static hl_status call_prepared(bare *b) {
  return hl_prepared_launch(b->prepared, b->stream);
}
static hl_status call_launch(bare *b) {
  return hl_launch(b->plan, b->stream, b->args.device, b->args.count, NULL, NULL);
}

static hl_status call_launch_unchecked(bare *b) {
  hl_launch_options o = HL_LAUNCH_OPTIONS_INIT;
  o.check = HL_CHECK_NONE;
  return hl_launch(b->plan, b->stream, b->args.device, b->args.count, &o, NULL);
}

typedef struct entry {
  const char *name;
  hl_status (*call)(bare *b);
} entry;

/* ---- set-up ---- */

/* The number behind "key": in canonical JSON; 0 if it is not there. */
static unsigned json_value(const char *text, const char *key) {
  const char *at = strstr(text, key);
  at = at ? strpbrk(at, "0123456789") : NULL;
  return at ? (unsigned)strtoul(at, NULL, 10) : 0;
}

/* The same kernel as the plan's, loaded without libhl: parameters are the tensors' pointers. */
static hl_status load_bare(bare *b, const cli_shape *shape, const hl_config *config, hl_diag *diag) {
  hl_blob *image = NULL;
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  char *text = cli_config_text(config);
  const unsigned block = json_value(text, "block_sizes"), warps = json_value(text, "num_warps");
  b->threads = 32 * (warps ? warps : 4);
  b->blocks = block ? (ELEMENTS + block - 1) / block : 1;
  free(text);
  o.shape = shape->bind;
  o.shape_count = shape->count;
  o.config = config;
  hl_status s = hl_compile(b->ctx, b->kernel, b->target, &o, diag, &image);
  if (s == HL_OK)
    s = cuda_open(b->info.id.index, diag, &b->cuda);
  if (s == HL_OK)
    s = cuda_kernel_load(b->cuda, hl_blob_data(image), "vector_add", diag, &b->loaded);
  hl_blob_release(image);
  return s;
}

static hl_status prepare(bare *b, const bench_options *o, hl_diag *diag) {
  const hl_example *e = hl_example_find("vector_add");
  const int64_t size[HL_EXAMPLE_DIMS] = {ELEMENTS};
  hl_config *config = NULL;
  cli_shape shape;
  cli_shape_of_example(e, size, &shape);
  hl_status s = e->build(b->ctx, HL_F32, diag, &b->kernel);
  if (s == HL_OK)
    s = cli_args_create(b->kernel, &shape, diag, &b->args);
  if (s == HL_OK)
    s = cli_config_make(o->config, b->kernel, &shape, b->target, diag, &config);
  if (s == HL_OK) {
    cli_args_fill(&b->args, o->seed);
    s = cli_args_send(&b->args, b->dev, diag);
  }
  hl_plan_options p = HL_PLAN_OPTIONS_INIT;
  p.config = config;
  p.args = b->args.device;
  p.arg_count = b->args.count;
  if (s == HL_OK)
    s = hl_plan_create(b->dev, b->kernel, &p, diag, &b->plan);
  if (s == HL_OK)
    s = hl_prepared_create(b->plan, b->args.device, b->args.count, NULL, diag, &b->prepared);
  for (uint32_t i = 0; s == HL_OK && i < b->args.count; i++) {
    b->pointer[i] = b->args.arg[i].device.data;
    b->param[i] = &b->pointer[i];
  }
  if (s == HL_OK && b->info.id.type == HL_DEVICE_CUDA)
    s = load_bare(b, &shape, config, diag);
  hl_config_destroy(config);
  return s;
}

static hl_status open_bare(bare *b, const bench_options *o, hl_diag *diag) {
  hl_context_options c = HL_CONTEXT_OPTIONS_INIT;
  c.cpu_threads = o->threads;
  hl_status s = hl_context_create(&c, diag, &b->ctx);
  if (s == HL_OK)
    s = hl_device_open(b->ctx, o->device, diag, &b->dev);
  if (s == HL_OK)
    s = cli_device_target(b->dev, diag, &b->target);
  b->info.size = sizeof b->info;
  if (s == HL_OK)
    s = hl_device_get_info(b->dev, &b->info);
  if (s == HL_OK)
    s = hl_stream_create(b->dev, diag, &b->stream);
  return s == HL_OK ? prepare(b, o, diag) : s;
}

static void close_bare(bare *b) {
  hl_prepared_destroy(b->prepared);
  hl_plan_destroy(b->plan);
  cli_args_free(&b->args);
  hl_kernel_destroy(b->kernel);
  hl_stream_destroy(b->stream);
  cuda_kernel_free(b->loaded);
  cuda_close(b->cuda);
  hl_device_close(b->dev);
  hl_context_destroy(b->ctx);
}

/* ---- timing ---- */

/* Nanoseconds of the calling thread per call; the queue is empty before and after. */
static hl_status batch(bare *b, const entry *e, double *ns, hl_diag *diag) {
  hl_status s = HL_OK;
  const double begin = cli_now();
  for (int i = 0; s == HL_OK && i < BATCH; i++)
    s = e->call(b);
  *ns = (cli_now() - begin) / BATCH * 1e9;
  if (s != HL_OK) {
    snprintf(diag->message, sizeof diag->message, "%s: %s", e->name, hl_status_text(s));
    return s;
  }
  return hl_stream_synchronize(b->stream, diag);
}

static void report(const bench_options *o, json *j, const entry *e, size_t n, double *const *ns, size_t rounds) {
  printf("%-28s %10s  %s\n", "call", "ns", "over the bare call, ns, median [95% interval]");
  jw_open(j, "calls", '[');
  for (size_t i = 0; i < n; i++) {
    const interval t = bench_median(ns[i], rounds);
    double *over = cli_alloc(rounds, sizeof *over);
    for (size_t r = 0; r < rounds; r++)
      over[r] = ns[i][r] - ns[0][r];
    const interval more = bench_median(over, rounds);
    free(over);
    printf("%-28s %10.0f", e[i].name, t.median);
    if (i)
      printf("  %+.0f [%+.0f, %+.0f]", more.median, more.low, more.high);
    puts("");
    jw_open(j, NULL, '{');
    jw_text(j, "call", e[i].name);
    jw_number(j, "ns", t.median);
    jw_number(j, "ns_low", t.low);
    jw_number(j, "ns_high", t.high);
    jw_number(j, "ns_over_bare", more.median);
    jw_close(j, '}');
  }
  jw_close(j, ']');
  (void)o;
}

static hl_status race_calls(bare *b, const bench_options *o, json *j, hl_diag *diag) {
  const bool gpu = b->info.id.type == HL_DEVICE_CUDA;
  const entry e[] = {{gpu ? "cuLaunchKernel" : "function call", gpu ? call_driver : call_function},
                     {"hl_prepared_launch", call_prepared},
                     {"hl_launch", call_launch},
                     {"hl_launch, HL_CHECK_NONE", call_launch_unchecked}};
  enum { N = sizeof e / sizeof e[0] };
  const size_t rounds = (size_t)o->pairs;
  double *ns[N], ignored;
  hl_status s = HL_OK;
  for (size_t i = 0; i < N; i++)
    ns[i] = cli_alloc(rounds, sizeof **ns);
  for (size_t r = 0; s == HL_OK && r < rounds + WARM; r++)
    for (size_t i = 0; s == HL_OK && i < N; i++)
      s = batch(b, &e[(i + r) % N], r < WARM ? &ignored : &ns[(i + r) % N][r - WARM], diag);
  if (s == HL_OK)
    report(o, j, e, N, ns, rounds);
  for (size_t i = 0; i < N; i++)
    free(ns[i]);
  return s;
}

int bench_launch(const bench_options *o) {
  bare b = {0};
  hl_diag diag = {0};
  json j = {0};
  bench_watch(o->timeout, "launching");
  hl_status s = open_bare(&b, o, &diag);
  jw_open(&j, NULL, '{');
  report_environment(&j, o, b.dev, "", "");
  if (s == HL_OK)
    s = race_calls(&b, o, &j, &diag);
  jw_close(&j, '}');
  close_bare(&b);
  bench_watch(0, "");
  if (s == HL_OK)
    return report_write(o, &j);
  jw_free(&j);
  return cli_report(o->who, s, &diag);
}
