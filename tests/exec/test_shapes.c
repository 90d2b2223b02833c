/* Tensors and plans beyond the ladder's: strides, dynamic dimensions, sizes of 0 and 1, updates in place, scalar
 * parameters, plans as functions.  Each on the CPU, on a GPU if there is one, and in the interpreter as lowered for a
 * GPU. */
#include <math.h>
#include <sys/mman.h>

#include "tests/exec/exec.h"

/* ---- places ---- */

typedef struct place {
  const char *device, *target; /* one of them */
} place;

static const place places[] = {
    {"cpu", NULL}, {"cuda", NULL}, {NULL, "host"}, {NULL, "nvptx:sm_90a"}, {NULL, "nvptx:sm_80"}};
enum { PLACES = sizeof places / sizeof places[0] };

/* One tensor argument: `span` elements hold it. */
typedef struct view {
  float *host;
  size_t span;
  int64_t shape[2], stride[2];
  uint32_t rank;
  hl_buffer *buffer;
  hl_tensor t;
} view;

typedef struct world {
  const place *at;
  hl_context *ctx;
  hl_device *dev; /* NULL: the interpreter */
  const hl_target *target;
} world;

/* False where the device is not there. */
static bool open_world(const place *at, world *w) {
  hl_diag d = {0};
  *w = (world){.at = at, .ctx = exec_context()};
  if (at->target)
    w->target = exec_target(at->target);
  if (!at->device || hl_device_open(w->ctx, at->device, &d, &w->dev) == HL_OK)
    return true;
  assert_true(d.status == HL_ERR_NO_DRIVER || d.status == HL_ERR_NO_DEVICE);
  hl_context_destroy(w->ctx);
  return false;
}

static void close_world(world *w) {
  hl_device_close(w->dev);
  hl_context_destroy(w->ctx);
}

static view make_view(uint32_t rank, int64_t m, int64_t n, int64_t stride_m, int64_t stride_n) {
  view v = {.rank = rank, .shape = {m, n}, .stride = {stride_m, stride_n}};
  v.span = 1 + (size_t)((m > 0 ? m - 1 : 0) * stride_m + (rank > 1 && n > 0 ? (n - 1) * stride_n : 0));
  v.host = cli_alloc(v.span + 64, sizeof(float));
  for (size_t i = 0; i < v.span; i++)
    v.host[i] = (float)((i * 7919 + 13) % 1009) / 500 - 1;
  return v;
}

static float *at(const view *v, int64_t i, int64_t j) {
  return &v->host[i * v->stride[0] + j * v->stride[1]];
}

static void must(hl_status s, const hl_diag *d, const world *w) {
  if (s != HL_OK)
    fail_msg("on %s: %s", w->at->device ? w->at->device : w->at->target, d->message);
}

static void send(const world *w, view *v) {
  hl_diag d = {0};
  hl_device_info info = {.size = sizeof info};
  v->t = (hl_tensor){.data = v->host,
                     .device = {HL_DEVICE_CPU, 0},
                     .ndim = (int32_t)v->rank,
                     .dtype = hl_dtype_to_dl(HL_F32),
                     .shape = v->shape,
                     .strides = v->stride};
  if (!w->dev)
    return;
  if (!v->buffer)
    must(hl_buffer_create(w->dev, v->span * sizeof(float), &d, &v->buffer), &d, w);
  must(hl_device_get_info(w->dev, &info), &d, w);
  v->t.data = hl_buffer_data(v->buffer);
  v->t.device = info.id;
  must(hl_buffer_write(v->buffer, 0, v->host, v->span * sizeof(float), NULL, &d), &d, w);
}

static void fetch(const world *w, view *v) {
  hl_diag d = {0};
  if (!w->dev)
    return;
  must(hl_buffer_read(v->buffer, 0, v->host, v->span * sizeof(float), NULL, &d), &d, w);
  must(hl_device_synchronize(w->dev, &d), &d, w);
}

static void drop_view(view *v) {
  hl_buffer_destroy(v->buffer);
  free(v->host);
}

/* Runs once; a plan of *plan is made if it is NULL and kept. */
static void run(const world *w, const hl_kernel *k, hl_plan **plan, const hl_arg *args, size_t n) {
  hl_diag d = {0};
  hl_interp_options io = HL_INTERP_OPTIONS_INIT;
  hl_plan_options po = HL_PLAN_OPTIONS_INIT;
  io.target = w->target;
  po.args = args, po.arg_count = n;
  if (!w->dev) {
    must(hl_interpret(w->ctx, k, args, n, &io, &d), &d, w);
    return;
  }
  if (!*plan)
    must(hl_plan_create(w->dev, k, &po, &d, plan), &d, w);
  must(hl_launch(*plan, NULL, args, n, NULL, &d), &d, w);
  must(hl_device_synchronize(w->dev, &d), &d, w);
}

static hl_arg tensor(const view *v) {
  return (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &v->t};
}

/* ---- kernels ---- */

/* out = x * s + row sum of x, s a scalar. */
static hl_kernel *build(const world *w, bool dynamic, bool in_place) {
  hl_diag d = {0};
  hl_builder *b = NULL;
  hl_kernel *k = NULL;
  must(hl_builder_create(w->ctx, "scaled", &d, &b), &d, w);
  const hl_dim dims[2] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  if (dynamic)
    hl_dim_set_dynamic(b, dims[0]), hl_dim_set_dynamic(b, dims[1]);
  hl_value x = hl_param_tensor(b, "x", HL_F32, dims, 2, in_place ? HL_INOUT : HL_IN);
  hl_value out = in_place ? x : hl_param_tensor(b, "out", HL_F32, dims, 2, HL_OUT);
  hl_value s = hl_param_scalar(b, "s", HL_F32), i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  hl_value v = hl_load(b, x, (hl_value[]){i, HL_ALL}, 2);
  hl_store(b, out, (hl_value[]){i, HL_ALL}, 2, hl_add(b, hl_mul(b, v, s), hl_reduce_sum(b, v, 1, true)));
  hl_tile_end(b, NULL, NULL);
  must(hl_builder_finish(b, &d, &k), &d, w);
  return k;
}

/* x as it was before the run. */
static void expect_scaled(const view *x, const float *before, const view *out, float s, const world *w) {
  for (int64_t i = 0; i < x->shape[0]; i++) {
    double sum = 0;
    for (int64_t j = 0; j < x->shape[1]; j++)
      sum += (double)before[at(x, i, j) - x->host];
    for (int64_t j = 0; j < x->shape[1]; j++) {
      const double want = (double)before[at(x, i, j) - x->host] * (double)s + sum, got = (double)*at(out, i, j);
      if (!(fabs(got - want) <= 1e-4))
        fail_msg("on %s at [%lld, %lld]: got %g, want %g", w->at->device ? w->at->device : w->at->target, (long long)i,
                 (long long)j, got, want);
    }
  }
}

/* Between the elements of a view nothing changes. */
static void expect_gaps(const view *v, const float *before) {
  unsigned char *used = cli_alloc(v->span, 1);
  for (int64_t i = 0; i < v->shape[0]; i++)
    for (int64_t j = 0; j < v->shape[1]; j++)
      used[at(v, i, j) - v->host] = 1;
  for (size_t i = 0; i < v->span; i++)
    assert_true(used[i] || v->host[i] == before[i]);
  free(used);
}

static void run_views(const world *w, const hl_kernel *k, hl_plan **plan, view x, view out, float s) {
  float *x0 = cli_alloc(x.span, sizeof *x0), *out0 = cli_alloc(out.span, sizeof *out0);
  memcpy(x0, x.host, x.span * sizeof *x0);
  memcpy(out0, out.host, out.span * sizeof *out0);
  send(w, &x), send(w, &out);
  const hl_arg args[3] = {tensor(&x), tensor(&out), {.kind = HL_ARG_F64, .as.f64 = (double)s}};
  run(w, k, plan, args, 3);
  fetch(w, &out);
  expect_scaled(&x, x0, &out, s, w);
  expect_gaps(&out, out0);
  free(x0), free(out0);
  drop_view(&x), drop_view(&out);
}

/* ---- tests ---- */

static void each_place(void (*test)(const world *w)) {
  int ran = 0;
  for (int i = 0; i < PLACES; i++) {
    world w;
    if (!open_world(&places[i], &w))
      continue;
    test(&w);
    close_world(&w);
    ran++;
  }
  assert_true(ran >= 4);
}

/* Rows with gaps, columns first, every second column, and all of them on one side or the other. */
static void strides_at(const world *w) {
  enum { M = 13, N = 37 };
  const int64_t s[][2] = {{N, 1}, {N + 11, 1}, {1, M}, {1, M + 3}, {2 * N, 2}};
  hl_kernel *k = build(w, false, false);
  for (size_t i = 0; i < sizeof s / sizeof s[0]; i++)
    for (size_t j = 0; j < sizeof s / sizeof s[0]; j++) {
      hl_plan *plan = NULL;
      run_views(w, k, &plan, make_view(2, M, N, s[i][0], s[i][1]), make_view(2, M, N, s[j][0], s[j][1]), 3);
      hl_plan_destroy(plan);
    }
  hl_kernel_destroy(k);
}
static void strides(void **state) {
  (void)state, each_place(strides_at);
}

static void small_sizes_at(const world *w) {
  static const int64_t sizes[][2] = {{1, 1}, {0, 5}, {5, 0}, {0, 0}, {1, 300}, {300, 1}};
  hl_kernel *k = build(w, false, false);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    const int64_t m = sizes[i][0], n = sizes[i][1];
    hl_plan *plan = NULL;
    run_views(w, k, &plan, make_view(2, m, n, n ? n : 1, 1), make_view(2, m, n, n ? n : 1, 1), 2);
    hl_plan_destroy(plan);
  }
  hl_kernel_destroy(k);
}
static void small_sizes(void **state) {
  (void)state, each_place(small_sizes_at);
}

/* One plan for all sizes. */
static void dynamic_at(const world *w) {
  static const int64_t sizes[][2] = {{13, 37}, {1, 1}, {64, 64}, {3, 1000}, {129, 7}, {0, 9}, {9, 0}};
  hl_kernel *k = build(w, true, false);
  hl_plan *plan = NULL;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    const int64_t m = sizes[i][0], n = sizes[i][1];
    run_views(w, k, &plan, make_view(2, m, n, n ? n : 1, 1), make_view(2, m, n, n ? n : 1, 1), 2);
  }
  hl_plan_destroy(plan);
  hl_kernel_destroy(k);
}
static void dynamic(void **state) {
  (void)state, each_place(dynamic_at);
}

static void in_place_at(const world *w) {
  view x = make_view(2, 33, 65, 65, 1);
  float *before = cli_alloc(x.span, sizeof *before);
  hl_kernel *k = build(w, false, true);
  hl_plan *plan = NULL;
  memcpy(before, x.host, x.span * sizeof *before);
  send(w, &x);
  const hl_arg args[2] = {tensor(&x), {.kind = HL_ARG_F64, .as.f64 = 0.5}};
  run(w, k, &plan, args, 2);
  fetch(w, &x);
  expect_scaled(&x, before, &x, 0.5f, w);
  hl_plan_destroy(plan);
  hl_kernel_destroy(k);
  free(before);
  drop_view(&x);
}
static void in_place(void **state) {
  (void)state, each_place(in_place_at);
}

/* A scalar is not part of the plan. */
static void scalars_at(const world *w) {
  hl_kernel *k = build(w, false, false);
  hl_plan *plan = NULL;
  for (int i = -2; i <= 2; i++)
    run_views(w, k, &plan, make_view(2, 7, 20, 20, 1), make_view(2, 7, 20, 20, 1), (float)i / 3);
  hl_plan_destroy(plan);
  hl_kernel_destroy(k);
}
static void scalars(void **state) {
  (void)state, each_place(scalars_at);
}

/* out[i] = x[s] + z[s, i]; z[s, i] = 5 */
static hl_kernel *build_picks(const world *w, bool dynamic) {
  hl_diag d = {0};
  hl_builder *b = NULL;
  hl_kernel *k = NULL;
  must(hl_builder_create(w->ctx, "picks", &d, &b), &d, w);
  const hl_dim m = hl_dim_named(b, "M"), q = hl_dim_named(b, "Q"), n = hl_dim_named(b, "N");
  if (dynamic)
    hl_dim_set_dynamic(b, m), hl_dim_set_dynamic(b, q);
  const hl_value x = hl_param_tensor(b, "x", HL_F32, &m, 1, HL_IN);
  const hl_value z = hl_param_tensor(b, "z", HL_F32, (hl_dim[]){q, n}, 2, HL_INOUT);
  const hl_value out = hl_param_tensor(b, "out", HL_F32, &n, 1, HL_OUT), s = hl_param_scalar(b, "s", HL_I64);
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, out, 0)}, 1, &i);
  const hl_value at[2] = {s, i};
  hl_store(b, out, &i, 1, hl_add(b, hl_load(b, x, &s, 1), hl_load(b, z, at, 2)));
  hl_store(b, z, at, 2, hl_const_f(b, 5));
  hl_tile_end(b, NULL, NULL);
  must(hl_builder_finish(b, &d, &k), &d, w);
  return k;
}

static void pick(const world *w, const hl_kernel *k, hl_plan **plan, int64_t m, int64_t q, void *nowhere) {
  enum { N = 70 };
  view x = make_view(1, m, 1, 1, 1), z = make_view(2, q, N, N, 1), out = make_view(1, N, 1, 1, 1);
  const float x0 = m ? x.host[m - 1] : 0;
  const float *z0 = cli_alloc(z.span, sizeof *z0);
  memcpy((void *)z0, z.host, z.span * sizeof *z0);
  send(w, &x), send(w, &z), send(w, &out);
  const bool host = !w->dev || w->at->device[1] == 'p'; /* the CPU: whoever touches what is not there stops here */
  if (host && !m)
    x.t.data = nowhere;
  if (host && !q)
    z.t.data = nowhere;
  const hl_arg args[4] = {tensor(&x), tensor(&z), tensor(&out), {.kind = HL_ARG_I64, .as.i64 = m + q}}; /* clamped */
  run(w, k, plan, args, 4);
  fetch(w, &out), fetch(w, &z);
  for (int64_t i = 0; i < N; i++) {
    assert_float_equal(*at(&out, i, 0), x0 + (q ? z0[(q - 1) * N + i] : 0), 0);
    for (int64_t r = 0; r < q; r++)
      assert_float_equal(*at(&z, r, i), r == q - 1 ? 5 : z0[r * N + i], 0);
  }
  free((void *)z0);
  drop_view(&x), drop_view(&z), drop_view(&out);
}

/* An index that is known at run time only touches nothing of a tensor without elements. */
static void empty_at(const world *w) {
  static const int64_t sizes[][2] = {{3, 2}, {0, 2}, {3, 0}, {0, 0}};
  void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(nowhere != MAP_FAILED);
  for (int dyn = 0; dyn < 2; dyn++) {
    hl_kernel *k = build_picks(w, dyn);
    hl_plan *plan = NULL;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
      pick(w, k, &plan, sizes[i][0], sizes[i][1], nowhere);
      if (!dyn)
        hl_plan_destroy(plan), plan = NULL;
    }
    hl_plan_destroy(plan);
    hl_kernel_destroy(k);
  }
  munmap(nowhere, 4096);
}
static void empty_tensors(void **state) {
  (void)state, each_place(empty_at);
}

static void function(void **state) {
  (void)state;
  world w;
  hl_diag d = {0};
  hl_plan *plan = NULL;
  hl_function raw = NULL;
  assert_true(open_world(&places[0], &w));
  hl_kernel *k = build(&w, false, false);
  view x = make_view(2, 12, 16, 16, 1), out = make_view(2, 12, 16, 16, 1);
  send(&w, &x), send(&w, &out);
  const hl_arg args[3] = {tensor(&x), tensor(&out), {.kind = HL_ARG_F64, .as.f64 = 0}};
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.args = args, o.arg_count = 3;
  must(hl_plan_create(w.dev, k, &o, &d, &plan), &d, &w);
  must(hl_plan_function(plan, &d, &raw), &d, &w);
  hl_status (*f)(void *, void *, void *, double) = (hl_status(*)(void *, void *, void *, double))raw;
  assert_int_equal(f(NULL, x.t.data, out.t.data, 4), HL_OK);
  must(hl_device_synchronize(w.dev, &d), &d, &w);
  fetch(&w, &out);
  expect_scaled(&x, x.host, &out, 4, &w);
  assert_int_not_equal(f(NULL, NULL, out.t.data, 4), HL_OK);
  hl_plan_destroy(plan);
  hl_kernel_destroy(k);
  drop_view(&x), drop_view(&out);
  close_world(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(strides),  cmocka_unit_test(small_sizes), cmocka_unit_test(dynamic),
      cmocka_unit_test(in_place), cmocka_unit_test(scalars),     cmocka_unit_test(function),
      cmocka_unit_test(empty_tensors),
  };
  return cmocka_run_group_tests_name("shapes", tests, NULL, NULL);
}
