/* race.c: one kernel beside its references, on the same data: who they are, the buffers, and the timing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/session.h"

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
    data[a] = r->args.arg[a].info.is_tensor ? r->sets[i % r->set_count].tensor[a].data : r->args.arg[a].data;
  hl_example_plain_of(r->e, r->dtype)(data, r->size);
  return HL_OK;
}

static hl_status run_cpu_copy(void *self, size_t i, hl_diag *diag) {
  (void)diag;
  roof_run(((race *)self)->copy, i);
  return HL_OK;
}

static hl_status run_memory(void *self, size_t i, hl_diag *diag) {
  (void)diag;
  roof_run(((race *)self)->memory, i);
  return HL_OK;
}

static hl_status run_peak(void *self, size_t i, hl_diag *diag) {
  (void)diag;
  roof_run(((race *)self)->peak, i);
  return HL_OK;
}

static hl_status run_gpu_copy(void *self, size_t i, hl_diag *diag) {
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

static contestant *enter(race *r, const char *name, hl_status (*run)(void *, size_t, hl_diag *)) {
  if (r->count == BENCH_CONTESTANTS)
    return &r->c[r->count - 1];
  r->c[r->count] = (contestant){.name = name, .run = run, .self = r};
  return &r->c[r->count++];
}

/* A limit of the machine; does it count as the kernel's roof? */
static void enter_limit(race *r, const char *name, hl_status (*run)(void *, size_t, hl_diag *), bool is_roof) {
  contestant *c = enter(r, name, run);
  c->machine = true;
  c->roof = is_roof;
}

/* What the epilogue of a fused kernel costs: the product alone, by the plain kernel on the same tensors. */
static hl_status enter_product(race *r, hl_diag *diag) {
  const hl_example_gemm *g = r->e->gemm;
  const hl_example *e = hl_example_find("matmul");
  if (!g || g->bare || g->x_transposed || g->y_transposed || !e)
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

/* The copy reads and writes half of the kernel's bytes each. */
static hl_status enter_gpu(race *r, const bench_result *out, hl_diag *diag) {
  if (r->e->gemm && !r->e->gemm->batch && cli_is_float(r->dtype) && cuda_blas_version(r->s->clock.cuda))
    enter(r, "cuBLAS", run_blas);
  enter_limit(r, "copy", run_gpu_copy, !bench_computes(out));
  r->copy_bytes = ((size_t)(out->bytes / 2) + 255) & ~(size_t)255;
  hl_status s = hl_buffer_create(r->s->place.dev, r->copy_bytes * r->set_count, diag, &r->copy_from);
  if (s == HL_OK)
    s = hl_buffer_create(r->s->place.dev, r->copy_bytes * r->set_count, diag, &r->copy_to);
  return s == HL_OK ? hl_buffer_fill(r->copy_from, 1, NULL, diag) : s;
}

static roof_kind mix_of(const race *r) {
  double read = 0, written = 0;
  for (uint32_t i = 0; i < r->args.count; i++) {
    if (!r->args.arg[i].info.is_tensor)
      continue;
    if (r->args.arg[i].info.access & HL_IN)
      read += (double)r->args.arg[i].bytes;
    if (r->args.arg[i].info.access & HL_OUT)
      written += (double)r->args.arg[i].bytes;
  }
  return roof_for(read, written);
}

static hl_status enter_cpu(race *r, const bench_result *out, hl_diag *diag) {
  const int threads = r->s->threads;
  const bool computes = bench_computes(out), products = r->e->gemm != NULL;
  if (hl_example_plain_of(r->e, r->dtype))
    enter(r, "plain C", run_plain);
  if (products && r->s->blas && (r->dtype == HL_F32 || r->dtype == HL_F64)) {
    blas_threads(r->s->blas, threads);
    enter(r, "OpenBLAS", run_blas);
  }
  const roof_kind mix = mix_of(r), peak = products ? roof_of_products(r->dtype) : ROOF_FMA;
  r->copy = roof_create(ROOF_COPY, out->bytes, threads, r->set_count);
  enter_limit(r, roof_name(ROOF_COPY), run_cpu_copy, !computes);
  if (products || (computes && r->dtype == HL_F32))
    r->peak = roof_create(peak, out->flops, threads, 1);
  if (r->peak)
    enter_limit(r, roof_name(peak), run_peak, computes);
  if (!computes && mix != ROOF_COPY) {
    r->memory = roof_create(mix, out->bytes, threads, r->set_count);
    enter_limit(r, roof_name(mix), run_memory, true);
  }
  return enter_product(r, diag);
}

/* ---- buffers ---- */

/* Cold: so many sets that a round through them is twice the last-level cache, within an eighth of the memory. */
static size_t sets_wanted(const race *r, double bytes) {
  enum { MOST_SETS = 4096, MOST_RECORDED = 64 };
  const bench_cache cache = r->s->o->cache;
  if (cache == CACHE_USUAL ? !r->s->gpu : cache == CACHE_HOT)
    return 1;
  if (r->s->info.l2_bytes <= 0 || bytes <= 0)
    return 1;
  double n = ceil(2 * (double)r->s->info.l2_bytes / bytes) + 1;
  const double memory = (double)r->s->info.memory_bytes / 8 / bytes, most = r->s->gpu ? MOST_RECORDED : MOST_SETS;
  n = fmin(fmin(n, memory), most);
  return n < 1 ? 1 : (size_t)n;
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

void race_close(race *r) {
  for (size_t i = 0; i < r->set_count; i++) {
    hl_prepared_destroy(r->sets[i].prepared);
    for (int k = 0; k < HL_EXAMPLE_ARGS; k++)
      hl_buffer_destroy(r->sets[i].buffer[k]);
  }
  free(r->sets);
  for (size_t i = 0; i < r->count; i++)
    free(r->c[i].seconds);
  hl_buffer_destroy(r->copy_from);
  hl_buffer_destroy(r->copy_to);
  roof_destroy(r->copy);
  roof_destroy(r->memory);
  roof_destroy(r->peak);
  hl_prepared_destroy(r->product.prepared);
  hl_plan_destroy(r->product.plan);
  hl_plan_destroy(r->plan);
  cli_args_free(&r->args);
}

/* ---- the race ---- */

static void results(const race *r, bench_result *out) {
  const session *s = r->s;
  out->count = r->count;
  out->sets = r->set_count;
  out->graphs = s->clock.graphs;
  out->cold = r->set_count > 1 && (double)r->set_count * out->bytes > 2 * (double)s->info.l2_bytes;
  out->roof = NAN;
  for (size_t i = 0; i < r->count; i++) {
    out->name[i] = r->c[i].name;
    out->machine[i] = r->c[i].machine;
    out->time[i] = bench_median(r->c[i].seconds, out->end.rounds);
    out->ratio[i] = bench_ratio(r->c[i].seconds, r->c[0].seconds, out->end.rounds);
    if (r->c[i].roof && !(out->ratio[i].median > out->roof)) { /* the fastest of them */
      out->roof = out->ratio[i].median;
      out->roof_name = r->c[i].name;
    }
  }
}

hl_status race_run(race *r, bench_result *out, hl_diag *diag) {
  session *s = r->s;
  hl_status st = HL_OK;
  r->set_count = sets_wanted(r, out->bytes);
  r->sets = cli_alloc(r->set_count, sizeof *r->sets);
  for (size_t i = 0; st == HL_OK && i < r->set_count; i++)
    st = make_set(r, i, diag);
  enter(r, "hl", run_hl);
  if (st == HL_OK && s->gpu)
    st = enter_gpu(r, out, diag);
  else if (st == HL_OK)
    st = enter_cpu(r, out, diag);
  if (st == HL_OK)
    st = hl_device_synchronize(s->place.dev, diag);
  s->clock.pause = !s->gpu && s->threads > 1 ? 0.03 : 0;
  const race_rules rules = {.most = (size_t)s->o->pairs,
                            .min_time = s->o->min_time > 0 ? s->o->min_time
                                        : s->gpu           ? 1e-3
                                                           : 5e-3,
                            .max_noise = s->o->max_noise,
                            .max_time = s->o->max_time,
                            .sets = r->set_count,
                            .warm = !s->gpu};
  if (st == HL_OK)
    st = bench_race(&s->clock, r->c, r->count, &rules, &out->end, diag);
  if (st == HL_OK)
    results(r, out);
  return st;
}
