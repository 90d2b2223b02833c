/* Every allocation fails once: a clean status and nothing left, from the context to the launch.
 * ctest-timeout: 900 */
#include "pu.h"
#include <unistd.h>

/* Memory that runs out at the fail_at-th request. */
typedef struct meter {
  long count, fail_at, live;
} meter;

static void *meter_alloc(void *user, size_t size, size_t align) {
  meter *m = user;
  if (__atomic_fetch_add(&m->count, 1, __ATOMIC_RELAXED) == m->fail_at)
    return NULL;
  __atomic_fetch_add(&m->live, 1, __ATOMIC_RELAXED);
  return aligned_alloc(align, (size + align - 1) / align * align);
}

static void meter_release(void *user, void *ptr, size_t size) {
  (void)size;
  __atomic_fetch_sub(&((meter *)user)->live, 1, __ATOMIC_RELAXED);
  free(ptr);
}

/* What one pass came to. */
typedef struct outcome {
  hl_status status;
  hl_diag diag;
} outcome;

static hl_context *context(meter *m, const char *dir, outcome *o) {
  hl_context_options c = HL_CONTEXT_OPTIONS_INIT;
  hl_context *ctx = NULL;
  c.allocator = (hl_allocator){meter_alloc, meter_release, m};
  c.cpu_threads = 2;
  c.cache_dir = dir;
  o->status = hl_context_create(&c, &o->diag, &ctx);
  return ctx;
}

#define STEP(o, call)                                                                                                  \
  do {                                                                                                                 \
    if ((o)->status == HL_OK)                                                                                          \
      (o)->status = (call);                                                                                            \
  } while (0)

/* ---- libhl-rt: everything but plans, whose descriptors come with libhl ------------------------ */

static void pass_runtime(meter *m, outcome *o) {
  hl_device *dev = NULL, *null = NULL;
  hl_stream *stream = NULL, *wrapped = NULL;
  hl_event *event = NULL;
  hl_buffer *buffer = NULL;
  float ms;
  char bytes[64] = {0};
  hl_context *ctx = context(m, "", o);
  STEP(o, hl_device_open(ctx, "cpu", &o->diag, &dev));
  STEP(o, hl_device_open(ctx, "null", &o->diag, &null));
  STEP(o, hl_stream_create(dev, &o->diag, &stream));
  STEP(o, hl_stream_wrap(dev, hl_stream_native(stream), &o->diag, &wrapped));
  STEP(o, hl_event_create(dev, &o->diag, &event));
  STEP(o, hl_buffer_create(dev, 4096, &o->diag, &buffer));
  STEP(o, hl_buffer_fill(buffer, 1, stream, &o->diag));
  STEP(o, hl_buffer_write(buffer, 0, bytes, sizeof bytes, stream, &o->diag));
  STEP(o, hl_buffer_read(buffer, 0, bytes, sizeof bytes, wrapped, &o->diag));
  STEP(o, hl_event_record(event, stream, &o->diag));
  STEP(o, hl_stream_wait(wrapped, event, &o->diag));
  STEP(o, hl_event_synchronize(event, &o->diag));
  STEP(o, hl_event_elapsed(event, event, &o->diag, &ms));
  STEP(o, hl_device_synchronize(dev, &o->diag));
  hl_buffer_destroy(buffer);
  hl_event_destroy(event);
  hl_stream_destroy(wrapped);
  hl_stream_destroy(stream);
  hl_device_close(null);
  hl_device_close(dev);
  hl_context_destroy(ctx);
}

/* ---- a plan, made, launched, prepared, as a function ------------------------------------------------ */

static hl_kernel *kernel(hl_context *ctx, outcome *o) {
  hl_builder *b = NULL;
  hl_kernel *k = NULL;
  hl_value i;
  STEP(o, hl_builder_create(ctx, "scale", &o->diag, &b));
  if (o->status != HL_OK)
    return NULL;
  const hl_dim n = hl_dim_named(b, "N");
  hl_value x = hl_param_tensor(b, "x", HL_F32, &n, 1, HL_IN), y = hl_param_tensor(b, "y", HL_F32, &n, 1, HL_OUT);
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  hl_store(b, y, &i, 1, hl_add(b, hl_load(b, x, &i, 1), hl_const_f(b, 1)));
  hl_tile_end(b, NULL, NULL);
  o->status = hl_builder_finish(b, &o->diag, &k);
  return k;
}

static void use_plan(hl_plan *plan, outcome *o) {
  _Alignas(64) static float x[64], y[64];
  int64_t n = 64;
  hl_prepared *prepared = NULL;
  hl_function f;
  hl_tensor t[2] = {{.data = x, .device = {HL_DEVICE_CPU, 0}, .ndim = 1, .dtype = hl_dtype_to_dl(HL_F32), .shape = &n}};
  t[1] = t[0];
  t[1].data = y;
  const hl_arg args[2] = {{.kind = HL_ARG_TENSOR, .as.tensor = &t[0]}, {.kind = HL_ARG_TENSOR, .as.tensor = &t[1]}};
  STEP(o, hl_launch(plan, NULL, args, 2, NULL, &o->diag));
  STEP(o, hl_prepared_create(plan, args, 2, NULL, &o->diag, &prepared));
  STEP(o, hl_prepared_set(prepared, 0, &args[0], &o->diag));
  STEP(o, hl_prepared_launch(prepared, NULL));
  STEP(o, hl_plan_function(plan, &o->diag, &f));
  hl_prepared_destroy(prepared);
}

static const char *cache_dir; /* of the passes below; "": none */

static void pass_plan(meter *m, outcome *o) {
  const hl_shape_binding shape = {"N", 64};
  hl_plan_options p = HL_PLAN_OPTIONS_INIT;
  hl_device *dev = NULL;
  hl_plan *plan = NULL;
  hl_context *ctx = context(m, cache_dir, o);
  hl_kernel *k = o->status == HL_OK ? kernel(ctx, o) : NULL;
  p.shape = &shape, p.shape_count = 1;
  STEP(o, hl_device_open(ctx, "cpu", &o->diag, &dev));
  STEP(o, hl_plan_create(dev, k, &p, &o->diag, &plan));
  if (o->status == HL_OK)
    use_plan(plan, o);
  hl_plan_destroy(plan);
  hl_device_close(dev);
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

/* A dispatch, and a plan from the background. */
static void pass_dispatch(meter *m, outcome *o) {
  _Alignas(64) static float x[64], y[64];
  int64_t n = 64;
  const hl_shape_binding shape = {"N", 64};
  hl_plan_options p = HL_PLAN_OPTIONS_INIT;
  hl_device *dev = NULL;
  hl_plan_task *task = NULL;
  hl_plan *plan = NULL;
  hl_dispatch *d = NULL;
  hl_tensor t[2] = {{.data = x, .device = {HL_DEVICE_CPU, 0}, .ndim = 1, .dtype = hl_dtype_to_dl(HL_F32), .shape = &n}};
  t[1] = t[0];
  t[1].data = y;
  const hl_arg args[2] = {{.kind = HL_ARG_TENSOR, .as.tensor = &t[0]}, {.kind = HL_ARG_TENSOR, .as.tensor = &t[1]}};
  hl_context *ctx = context(m, cache_dir, o);
  hl_kernel *k = o->status == HL_OK ? kernel(ctx, o) : NULL;
  p.shape = &shape, p.shape_count = 1;
  STEP(o, hl_device_open(ctx, "cpu", &o->diag, &dev));
  STEP(o, hl_plan_create_async(dev, k, &p, &o->diag, &task));
  STEP(o, hl_plan_task_wait(task, &o->diag, &plan));
  STEP(o, hl_dispatch_create(dev, k, NULL, &o->diag, &d));
  STEP(o, hl_dispatch_launch(d, NULL, args, 2, NULL, &o->diag));
  hl_dispatch_destroy(d);
  hl_plan_destroy(plan);
  hl_plan_task_destroy(task);
  hl_device_close(dev);
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

/* ---- the walk ----------------------------------------------------------------------------------------------- */

/* n = 0, 1, ... until a pass asks for fewer than n allocations.  At most `optional` failures only cost speed. */
static void walk(void (*pass)(meter *, outcome *), long optional) {
  long n = 0, worked = 0;
  for (;; n++) {
    meter m = {.fail_at = n};
    outcome o = {.status = HL_OK};
    pass(&m, &o);
    if (m.live)
      fail_msg("allocation %ld fails: %ld are not released", n, m.live);
    if (m.count <= n) {
      if (o.status != HL_OK)
        fail_msg("with all memory: %s", o.diag.message);
      break;
    }
    worked += o.status == HL_OK;
    if (o.status != HL_ERR_MEMORY && o.status != HL_OK)
      fail_msg("allocation %ld fails: status %d (%s), not HL_ERR_MEMORY", n, (int)o.status, o.diag.message);
    if (o.status != HL_OK && o.diag.status == HL_ERR_MEMORY && !strstr(o.diag.message, "memory"))
      fail_msg("allocation %ld fails: \"%s\" does not say so", n, o.diag.message);
  }
  print_message("%ld allocations, %ld were optional\n", n, worked);
  assert_true(n > 5 && worked <= optional);
}

static void test_runtime(void **state) {
  (void)state;
  walk(pass_runtime, 0);
}

static void test_plan(void **state) {
  (void)state;
  cache_dir = "";
  walk(pass_plan, 20); /* of simplify, which then misses a common value */
}

/* Loading from the cache: where that fails for want of memory, compiling may yet succeed. */
static void test_cached(void **state) {
  su *t = *state;
  meter m = {.fail_at = -1};
  outcome o = {.status = HL_OK};
  cache_dir = t->dir;
  pass_plan(&m, &o);
  assert_int_equal(o.status, HL_OK);
  walk(pass_plan, 60);
  walk(pass_dispatch, 100);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, su_setup, su_teardown)
  const struct CMUnitTest tests[] = {T(test_runtime), T(test_plan), T(test_cached)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
