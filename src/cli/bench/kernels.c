/* kernels.c: hl-bench itself: each kernel is run once and checked, and only when it is right raced against its
 * references on the same data. */
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/bench/bench.h"
#include "src/cli/bench/cuda.h"

enum { MOST_SETS = 64, MOST_CONTESTANTS = 8 };
static const double most_reference_work = 4e9; /* floating-point operations of the double reference */

bool bench_selected(const bench_options *o, const char *name) {
  regex_t re;
  if (!o->filter || regcomp(&re, o->filter, REG_EXTENDED | REG_NOSUB))
    return true;
  const bool found = regexec(&re, name, 0, NULL, 0) == 0;
  regfree(&re);
  return found;
}

/* ---- a device and what is on it ---- */

typedef struct session {
  const bench_options *o;
  cli_place place;
  hl_device_info info;
  bench_clock clock;
  int threads;
  bool gpu;
  blas *blas;
} session;

/* One set of buffers with a prepared launch.  Set 0 has the arguments' own buffers. */
typedef struct set {
  hl_tensor tensor[HL_EXAMPLE_ARGS];
  hl_arg arg[HL_EXAMPLE_ARGS];
  hl_buffer *buffer[HL_EXAMPLE_ARGS];
  hl_prepared *prepared;
} set;

typedef struct race {
  session *s;
  const hl_example *e;
  hl_dtype dtype;
  int64_t size[HL_EXAMPLE_DIMS];
  cli_args args;
  hl_plan *plan;
  set sets[MOST_SETS];
  size_t set_count;
  struct {
    hl_plan *plan;
    hl_prepared *prepared;
  } product; /* the matmul alone, of a kernel that does more */
  roof *roof;
  hl_buffer *copy_from, *copy_to;
  size_t copy_bytes;
  contestant c[MOST_CONTESTANTS];
  size_t count;
} race;

/* ---- contestants ---- */

static hl_status run_hl(void *self, size_t i, hl_diag *diag) {
  race *r = self;
  const hl_status s = hl_prepared_launch(r->sets[i % r->set_count].prepared, r->s->clock.stream);
  if (s != HL_OK && diag) {
    *diag = (hl_diag){.status = s};
    snprintf(diag->message, sizeof diag->message, "hl_prepared_launch: %s", hl_status_text(s));
  }
  return s;
}

static hl_status run_plain(void *self, size_t i, hl_diag *diag) {
  race *r = self;
  void *data[HL_EXAMPLE_ARGS];
  (void)diag;
  for (uint32_t a = 0; a < r->args.count; a++)
    data[a] = r->sets[i % r->set_count].tensor[a].data;
  r->e->plain(data, r->size);
  return HL_OK;
}

static hl_status run_roof(void *self, size_t i, hl_diag *diag) {
  (void)i, (void)diag;
  roof_run(((race *)self)->roof);
  return HL_OK;
}

static hl_status run_copy(void *self, size_t i, hl_diag *diag) {
  race *r = self;
  const size_t at = i % r->set_count * r->copy_bytes;
  return cuda_copy(r->s->clock.cuda, (char *)hl_buffer_data(r->copy_to) + at, (char *)hl_buffer_data(r->copy_from) + at,
                   r->copy_bytes, hl_stream_native(r->s->clock.stream), diag);
}

static hl_status run_blas(void *self, size_t i, hl_diag *diag) {
  race *r = self;
  const hl_example_gemm *e = r->e->gemm;
  const hl_tensor *t = r->sets[i % r->set_count].tensor;
  const gemm g = {r->dtype, r->size[e->m], r->size[e->n], r->size[e->k], e->x_transposed, e->y_transposed};
  if (r->s->gpu)
    return cuda_blas_gemm(r->s->clock.cuda, &g, t[e->x].data, t[e->y].data, t[e->out].data,
                          hl_stream_native(r->s->clock.stream), diag);
  const int64_t count = e->batch ? r->size[e->batch - 1] : 1, size = hl_dtype_size(r->dtype);
  for (int64_t b = 0; b < count; b++)
    blas_gemm(r->s->blas, &g, (const char *)t[e->x].data + b * g.m * g.k * size,
              (const char *)t[e->y].data + (e->y_shared ? 0 : b * g.k * g.n * size),
              (char *)t[e->out].data + b * g.m * g.n * size);
  return HL_OK;
}

static hl_status run_product(void *self, size_t i, hl_diag *diag) {
  (void)i;
  race *r = self;
  const hl_status s = hl_prepared_launch(r->product.prepared, r->s->clock.stream);
  if (s != HL_OK && diag)
    snprintf(diag->message, sizeof diag->message, "the product alone: %s", hl_status_text(s));
  return s;
}

static void enter(race *r, const char *name, hl_status (*run)(void *, size_t, hl_diag *)) {
  if (r->count < MOST_CONTESTANTS)
    r->c[r->count++] = (contestant){.name = name, .run = run, .self = r};
}

/* What the epilogue of a fused kernel costs: the product alone, by the plain kernel on the same tensors. */
static hl_status enter_product(race *r, hl_diag *diag) {
  const hl_example_gemm *g = r->e->gemm;
  const hl_example *e = hl_example_find("matmul");
  if (g->bare || g->x_transposed || g->y_transposed || !e)
    return HL_OK;
  const set *t = &r->sets[0];
  const hl_arg args[3] = {t->arg[g->x], t->arg[g->y], t->arg[g->out]};
  hl_kernel *k = NULL;
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.args = args, o.arg_count = 3;
  hl_status s = e->build(r->s->place.ctx, r->dtype, diag, &k);
  if (s == HL_OK)
    s = hl_plan_create(r->s->place.dev, k, &o, diag, &r->product.plan);
  if (s == HL_OK)
    s = hl_prepared_create(r->product.plan, args, 3, NULL, diag, &r->product.prepared);
  hl_kernel_destroy(k);
  if (s == HL_OK)
    enter(r, "matmul alone", run_product);
  return s;
}

static hl_status enter_gpu(race *r, hl_diag *diag) {
  const bool floats = cli_is_float(r->dtype);
  if (r->e->gemm && !r->e->gemm->batch && floats && cuda_blas_version(r->s->clock.cuda)) {
    enter(r, "cuBLAS", run_blas);
    return HL_OK;
  }
  enter(r, "copy", run_copy);
  r->copy_bytes = ((size_t)(r->e->bytes(r->size, hl_dtype_size(r->dtype)) / 2) + 255) & ~(size_t)255;
  hl_status s = hl_buffer_create(r->s->place.dev, r->copy_bytes * r->set_count, diag, &r->copy_from);
  if (s == HL_OK)
    s = hl_buffer_create(r->s->place.dev, r->copy_bytes * r->set_count, diag, &r->copy_to);
  return s == HL_OK ? hl_buffer_fill(r->copy_from, 1, NULL, diag) : s;
}

static hl_status enter_cpu(race *r, hl_diag *diag) {
  double read = 0, written = 0;
  for (uint32_t i = 0; i < r->args.count; i++) {
    if (!r->args.arg[i].info.is_tensor)
      continue;
    if (r->args.arg[i].info.access & HL_IN)
      read += (double)r->args.arg[i].bytes;
    if (r->args.arg[i].info.access & HL_OUT)
      written += (double)r->args.arg[i].bytes;
  }
  if (r->dtype == HL_F32)
    enter(r, "plain C", run_plain);
  const bool product = r->e->gemm != NULL;
  if (product && r->s->blas && (r->dtype == HL_F32 || r->dtype == HL_F64)) {
    blas_threads(r->s->blas, r->s->threads);
    enter(r, "OpenBLAS", run_blas);
  }
  const roof_kind kind = product ? roof_of_products(r->dtype) : roof_for(read, written);
  r->roof =
      roof_create(kind, product ? r->e->flops(r->size) : r->e->bytes(r->size, hl_dtype_size(r->dtype)), r->s->threads);
  if (r->roof)
    enter(r, roof_name(kind), run_roof);
  return product ? enter_product(r, diag) : HL_OK;
}

/* ---- buffers ---- */

/* So many sets that a round through them is twice the last-level cache; one on the CPU, where every contestant
 * finds the caches as the one before left them. */
static size_t sets_wanted(const race *r, double bytes) {
  if (!r->s->gpu || r->s->info.l2_bytes <= 0 || bytes <= 0)
    return 1;
  double n = ceil(2 * (double)r->s->info.l2_bytes / bytes) + 1;
  const double memory = (double)r->s->info.memory_bytes / 8 / bytes;
  if (n > memory)
    n = memory;
  return n < 1 ? 1 : n > MOST_SETS ? MOST_SETS : (size_t)n;
}

static hl_status make_set(race *r, size_t at, hl_diag *diag) {
  set *t = &r->sets[at];
  hl_status s = HL_OK;
  for (uint32_t i = 0; s == HL_OK && i < r->args.count; i++) {
    const cli_arg *a = &r->args.arg[i];
    t->arg[i] = r->args.device[i];
    if (!a->info.is_tensor)
      continue;
    t->tensor[i] = a->device;
    t->arg[i].as.tensor = &t->tensor[i];
    if (at == 0)
      continue;
    s = hl_buffer_create(r->s->place.dev, a->bytes ? a->bytes : 1, diag, &t->buffer[i]);
    if (s != HL_OK)
      break;
    t->tensor[i].data = hl_buffer_data(t->buffer[i]);
    if (a->info.access & HL_IN && a->bytes)
      s = hl_buffer_write(t->buffer[i], 0, a->data, a->bytes, NULL, diag);
  }
  return s == HL_OK ? hl_prepared_create(r->plan, t->arg, r->args.count, NULL, diag, &t->prepared) : s;
}

static void close_race(race *r) {
  for (size_t i = 0; i < r->set_count; i++) {
    hl_prepared_destroy(r->sets[i].prepared);
    for (int k = 0; k < HL_EXAMPLE_ARGS; k++)
      hl_buffer_destroy(r->sets[i].buffer[k]);
  }
  for (size_t i = 0; i < r->count; i++)
    free(r->c[i].seconds);
  hl_buffer_destroy(r->copy_from);
  hl_buffer_destroy(r->copy_to);
  roof_destroy(r->roof);
  hl_prepared_destroy(r->product.prepared);
  hl_plan_destroy(r->product.plan);
  hl_plan_destroy(r->plan);
  cli_args_free(&r->args);
}

/* ---- one kernel ---- */

static hl_status check(race *r, const hl_kernel *k, const hl_config *config, bench_result *out, hl_diag *diag) {
  cli_verdict v;
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.config = config;
  o.args = r->args.device;
  o.arg_count = r->args.count;
  hl_status s = cli_args_send(&r->args, r->s->place.dev, diag);
  const double begin = cli_now();
  if (s == HL_OK)
    s = hl_plan_create(r->s->place.dev, k, &o, diag, &r->plan);
  out->compile_seconds = cli_now() - begin;
  if (s == HL_OK)
    s = hl_launch(r->plan, NULL, r->args.device, r->args.count, NULL, diag);
  if (s == HL_OK)
    s = hl_device_synchronize(r->s->place.dev, diag);
  if (s == HL_OK)
    s = cli_args_fetch(&r->args, r->s->place.dev, diag);
  if (s != HL_OK)
    return s;
  out->checked_share = cli_args_reference(&r->args, r->e, most_reference_work);
  cli_args_judge(&r->args, r->e->reduction(r->size), &v);
  out->right = v.right;
  out->worst = v.worst;
  out->frobenius = v.frobenius / sqrt(out->checked_share); /* what was taken over has no error */
  snprintf(out->words, sizeof out->words, "%s", v.words);
  return HL_OK;
}

static hl_status compete(race *r, bench_result *out, hl_diag *diag) {
  session *s = r->s;
  const double least = s->o->min_time > 0 ? s->o->min_time : s->gpu ? 1e-3 : 5e-3;
  hl_status st = HL_OK;
  r->set_count = sets_wanted(r, out->bytes);
  for (size_t i = 0; st == HL_OK && i < r->set_count; i++)
    st = make_set(r, i, diag);
  enter(r, "hl", run_hl);
  if (st == HL_OK && s->gpu)
    st = enter_gpu(r, diag);
  else if (st == HL_OK)
    st = enter_cpu(r, diag);
  if (st == HL_OK)
    st = hl_device_synchronize(s->place.dev, diag);
  s->clock.pause = !s->gpu && s->threads > 1 ? 0.03 : 0;
  if (st == HL_OK)
    st = bench_race(&s->clock, r->c, r->count, (size_t)s->o->pairs, least, r->set_count, diag);
  if (st != HL_OK)
    return st;
  out->count = r->count;
  out->rounds = (size_t)s->o->pairs;
  out->sets = r->set_count;
  out->graphs = s->clock.graphs;
  out->cold = s->gpu && (double)r->set_count * out->bytes > 2 * (double)s->info.l2_bytes;
  for (size_t i = 0; i < r->count; i++) {
    out->name[i] = r->c[i].name;
    out->time[i] = bench_median(r->c[i].seconds, out->rounds);
    out->ratio[i] = bench_ratio(r->c[i].seconds, r->c[0].seconds, out->rounds);
  }
  return HL_OK;
}

static hl_status bench_one(race *r, const hl_kernel *k, const cli_shape *shape, bench_result *out, hl_diag *diag) {
  hl_config *config = NULL;
  const session *s = r->s;
  hl_status st = cli_args_create(k, shape, diag, &r->args);
  if (st == HL_OK && r->args.count > HL_EXAMPLE_ARGS)
    st = HL_ERR_LIMIT;
  if (st == HL_OK)
    st = cli_config_make(s->o->config, k, shape, s->place.target, diag, &config);
  if (st == HL_OK) {
    free(out->config);
    out->config = cli_config_text(config);
    cli_args_fill(&r->args, s->o->seed);
    bench_progress("%s %s: checking", r->e->name, out->dtype);
    st = check(r, k, config, out, diag);
  }
  if (st == HL_OK && out->right) {
    bench_progress("%s %s: timing", r->e->name, out->dtype);
    st = compete(r, out, diag);
  }
  hl_config_destroy(config);
  return st;
}

/* 1 if it went wrong. */
static int bench_kernel(session *s, const hl_example *e, hl_dtype dtype, json *j) {
  hl_diag diag = {0};
  cli_kernel k = {.example = e, .dtype = dtype};
  cli_shape shape, given = {0};
  race *r = cli_alloc(1, sizeof *r);
  bench_result out = {
      .kernel = e->name, .dtype = hl_dtype_text(dtype), .threads = s->threads, .config = cli_copy("", 0)};
  char *step = cli_format("%s %s", e->name, out.dtype);
  *r = (race){.s = s, .e = e, .dtype = dtype};
  bench_watch(s->o->timeout, step);
  hl_status st = e->build(s->place.ctx, dtype, &diag, &k.kernel);
  for (int i = 0; i < HL_EXAMPLE_DIMS && e->dims[i]; i++) { /* of --shape what this kernel has */
    const int64_t size = cli_shape_get(&s->o->shape, e->dims[i]);
    if (size >= 0)
      cli_shape_set(&given, e->dims[i], strlen(e->dims[i]), size);
  }
  if (st == HL_OK && cli_shape_complete(s->o->who, &k, &given, e->bench.size, &shape))
    st = HL_ERR_ARG;
  if (st == HL_OK) {
    cli_shape_sizes(e, &shape, r->size);
    out.shape = cli_shape_text(&shape);
    out.bytes = e->bytes(r->size, hl_dtype_size(dtype));
    out.flops = e->flops(r->size);
    st = bench_one(r, k.kernel, &shape, &out, &diag);
  }
  bench_progress(" ");
  out.status = st != HL_OK ? "error" : out.right ? "ok" : "wrong";
  if (st != HL_OK)
    snprintf(out.words, sizeof out.words, "%s", diag.message[0] ? diag.message : hl_status_text(st));
  report_line(&out);
  report_json(j, &out);
  report_so_far(s->o, j);
  close_race(r);
  hl_kernel_destroy(k.kernel);
  bench_watch(0, "");
  free(out.shape);
  free(out.config);
  free(step);
  free(r);
  return st != HL_OK || !out.right;
}

/* ---- sessions ---- */

static hl_status open_gpu(session *s, hl_diag *diag) {
  hl_status st = hl_stream_create(s->place.dev, diag, &s->clock.stream);
  if (st == HL_OK)
    st = hl_event_create(s->place.dev, diag, &s->clock.begin);
  if (st == HL_OK)
    st = hl_event_create(s->place.dev, diag, &s->clock.end);
  if (st == HL_OK)
    st = cuda_open(s->info.id.index, diag, &s->clock.cuda);
  s->clock.graphs = true;
  hl_diag none = {0};
  if (st == HL_OK && cuda_blas_open(s->clock.cuda, s->o->cublas, &none) != HL_OK)
    fprintf(stderr, "%s: no cuBLAS to compare with: %s\n", s->o->who, none.message);
  return st;
}

static hl_status open_session(session *s, hl_diag *diag) {
  hl_context_options c = HL_CONTEXT_OPTIONS_INIT;
  c.cpu_threads = s->threads;
  hl_status st = hl_context_create(&c, diag, &s->place.ctx);
  if (st == HL_OK)
    st = hl_device_open(s->place.ctx, s->o->device, diag, &s->place.dev);
  if (st == HL_OK)
    st = cli_device_target(s->place.dev, diag, &s->place.target);
  s->info.size = sizeof s->info;
  if (st == HL_OK)
    st = hl_device_get_info(s->place.dev, &s->info);
  s->clock.dev = s->place.dev;
  s->gpu = st == HL_OK && s->info.id.type == HL_DEVICE_CUDA;
  return st == HL_OK && s->gpu ? open_gpu(s, diag) : st;
}

static void close_session(session *s) {
  hl_event_destroy(s->clock.begin);
  hl_event_destroy(s->clock.end);
  hl_stream_destroy(s->clock.stream);
  cuda_close(s->clock.cuda);
  hl_device_close(s->place.dev);
  hl_context_destroy(s->place.ctx);
}

static int bench_all(session *s, json *j, int *matched) {
  int wrong = 0;
  for (uint32_t i = 0; i < hl_example_count; i++) {
    const hl_example *e = hl_examples[i];
    if (!bench_selected(s->o, e->name))
      continue;
    for (const hl_dtype *d = e->dtypes; *d != HL_DTYPE_NONE; d++) {
      if (s->o->dtype != HL_DTYPE_NONE ? *d != s->o->dtype : !s->o->all_dtypes && d != e->dtypes)
        continue;
      wrong += bench_kernel(s, e, *d, j);
      ++*matched;
    }
  }
  return wrong;
}

/* One session per number of CPU threads; on a GPU one. */
static int bench_sessions(const bench_options *o, blas *b, const int *threads, json *j, int *matched) {
  int wrong = 0;
  for (int i = 0; i < 2 && (i == 0 || threads[i]); i++) {
    session s = {.o = o, .threads = threads[i], .blas = b};
    hl_diag diag = {0};
    bench_watch(o->timeout, "opening the device");
    const hl_status st = open_session(&s, &diag);
    if (st != HL_OK) {
      close_session(&s);
      cli_report(o->who, st, &diag);
      return -1;
    }
    if (i == 0) {
      char version[32];
      const int v = cuda_blas_version(s.clock.cuda);
      snprintf(version, sizeof version, v ? "%d" : "", v);
      report_environment(j, o, s.place.dev, blas_config(b), version);
      jw_open(j, "results", '[');
      report_head();
    }
    wrong += bench_all(&s, j, matched);
    close_session(&s);
  }
  jw_close(j, ']');
  return wrong;
}

int bench_kernels(const bench_options *o) {
  const bool cpu = strcmp(o->device, "cpu") == 0;
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  const int threads[2] = {cpu ? (o->threads ? o->threads : 1) : 0, cpu && !o->threads && cores > 1 ? (int)cores : 0};
  json j = {0};
  int matched = 0;
  blas *b = cpu ? blas_open() : NULL;
  if (cpu && !b)
    fprintf(stderr, "%s: no OpenBLAS (libopenblas.so.0) to compare with\n", o->who);
  jw_open(&j, NULL, '{');
  const int wrong = bench_sessions(o, b, threads, &j, &matched);
  jw_close(&j, '}');
  blas_close(b);
  if (wrong < 0 || !matched) {
    jw_free(&j);
    return wrong < 0 ? CLI_FAILED : cli_misuse(o->who, "no kernel matches --filter and --dtype; `hl list` names them");
  }
  const int code = report_write(o, &j);
  return wrong ? CLI_FAILED : code;
}
