/* Plans made in the background, and dispatches: one kernel on many shapes, from many threads.
 * ctest-timeout: 600 */
#include "pu.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static void has(const hl_diag *d, const char *words) {
  if (!strstr(d->message, words))
    fail_msg("\"%s\" does not say \"%s\"", d->message, words);
}

/* ---- in the background ------------------------------------------------------------------ */

static hl_plan_task *begin(pu *p, int64_t n) {
  char name[2] = "N"; /* what is given is copied */
  hl_shape_binding shape = {name, n};
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  hl_diag diag = {.message = ""};
  hl_plan_task *task;
  o.shape = &shape, o.shape_count = 1;
  if (hl_plan_create_async(p->dev, p->k, &o, &diag, &task) != HL_OK)
    fail_msg("%s", diag.message);
  shape.size = -1, name[0] = 'x';
  return task;
}

static void test_async(void **state) {
  enum { N = 6 };
  su *t = *state;
  hl_diag diag = {.message = ""};
  hl_plan_task *task[N];
  hl_plan *plan, *again;
  pu p;
  pu_open(&p, t, NULL);
  for (int i = 0; i < N; i++)
    task[i] = begin(&p, 100 + i % 4);
  for (int i = 0; i < N; i++) {
    if (hl_plan_task_wait(task[i], &diag, &plan) != HL_OK)
      fail_msg("%s", diag.message);
    assert_true(hl_plan_task_done(task[i]));
    pu_launch(&p, plan, 100 + i % 4);
    assert_int_equal(hl_plan_task_wait(task[i], &diag, &again), HL_OK); /* given out once */
    assert_null(again);
    hl_plan_task_destroy(task[i]);
    hl_plan_destroy(plan);
  }
  assert_int_equal(p.compiled, 4);
  task[0] = begin(&p, 300); /* and nobody takes it */
  hl_plan_task_destroy(task[0]);
  hl_plan_task_destroy(NULL);
  pu_close(&p);
}

static void test_async_fails(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  hl_plan *plan;
  hl_plan_task *task;
  pu p;
  pu_open(&p, t, &(pu_options){.policy = HL_COMPILE_FORBID});
  task = begin(&p, 100);
  assert_int_equal(hl_plan_task_wait(task, &diag, &plan), HL_ERR_FORBIDDEN);
  assert_null(plan);
  has(&diag, "HL_COMPILE_FORBID");
  hl_plan_task_destroy(task);
  assert_int_equal(hl_plan_create_async(p.dev, NULL, NULL, &diag, &task), HL_ERR_ARG);
  has(&diag, "hl_plan_create_async: the kernel");
  assert_int_equal(hl_plan_task_wait(NULL, &diag, &plan), HL_ERR_ARG);
  pu_close(&p);
}

/* ---- dispatch ------------------------------------------------------------------------------- */

enum { MOST = 4096 };

typedef struct data {
  float *x, *y;
  int64_t n, stride;
  hl_tensor t[2];
  hl_arg args[2];
} data;

static void data_make(data *d, int64_t n, int64_t stride) {
  d->x = aligned_alloc(64, MOST * sizeof *d->x), d->y = aligned_alloc(64, MOST * sizeof *d->y);
  assert_true(d->x && d->y && n * stride <= MOST);
  d->n = n, d->stride = stride;
  d->t[0] = (hl_tensor){.data = d->x,
                        .device = {HL_DEVICE_CPU, 0},
                        .ndim = 1,
                        .dtype = hl_dtype_to_dl(HL_F32),
                        .shape = &d->n,
                        .strides = &d->stride};
  d->t[1] = d->t[0];
  d->t[1].data = d->y;
  for (int i = 0; i < 2; i++)
    d->args[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &d->t[i]};
  for (int64_t i = 0; i < MOST; i++)
    d->x[i] = (float)(i % 1000), d->y[i] = -1;
}

static void data_check(data *d) {
  for (int64_t i = 0; i < MOST; i++) {
    const bool inside = i % d->stride == 0 && i / d->stride < d->n;
    if (d->y[i] != (inside ? d->x[i] * 2 + 1 : -1))
      fail_msg("element %d of %d is %g", (int)i, (int)d->n, (double)d->y[i]);
  }
  free(d->x);
  free(d->y);
}

static void launch(pu *p, hl_dispatch *d, int64_t n, int64_t stride) {
  hl_diag diag = {.message = ""};
  hl_stream *stream;
  data a;
  data_make(&a, n, stride);
  if (hl_stream_create(p->dev, &diag, &stream) != HL_OK ||
      hl_dispatch_launch(d, stream, a.args, 2, NULL, &diag) != HL_OK || hl_stream_synchronize(stream, &diag) != HL_OK)
    fail_msg("%s", diag.message);
  hl_stream_destroy(stream);
  data_check(&a);
}

static hl_dispatch *create(pu *p, uint32_t capacity, bool background) {
  hl_dispatch_options o = HL_DISPATCH_OPTIONS_INIT;
  hl_diag diag = {.message = ""};
  hl_dispatch *d;
  o.capacity = capacity, o.background = background;
  if (hl_dispatch_create(p->dev, p->k, &o, &diag, &d) != HL_OK)
    fail_msg("%s", diag.message);
  return d;
}

static void test_dispatch(void **state) {
  su *t = *state;
  pu p;
  pu_open(&p, t, NULL);
  hl_dispatch *d = create(&p, 0, false);
  for (int round = 0; round < 3; round++)
    for (int64_t n = 1; n < 6; n++)
      launch(&p, d, n * 100, 1 + n % 2);
  assert_int_equal(p.compiled, 5);
  assert_int_equal(hl_dispatch_plans(d), 5);
  hl_dispatch_destroy(d);
  hl_dispatch_destroy(NULL);
  pu_close(&p);
}

/* More shapes than places: the longest unused goes. */
static void test_bounded(void **state) {
  su *t = *state;
  pu p;
  pu_open(&p, t, NULL);
  hl_dispatch *d = create(&p, 2, false);
  for (int round = 0; round < 2; round++)
    for (int64_t n = 1; n < 6; n++) {
      launch(&p, d, n * 100, 1);
      launch(&p, d, n * 100, 1);
      assert_true(hl_dispatch_plans(d) <= 2);
    }
  assert_int_equal(p.compiled, 5); /* the second time they came out of the cache */
  hl_dispatch_destroy(d);
  pu_close(&p);
}

static void test_background(void **state) {
  su *t = *state;
  pu p;
  pu_open(&p, t, NULL);
  hl_dispatch *d = create(&p, 0, true);
  for (int64_t n = 1; n < 4; n++)
    launch(&p, d, n * 100, 1); /* right away, whatever plan it is */
  for (int i = 0; i < 10000 && hl_dispatch_plans(d) < 4; i++) {
    for (int64_t n = 1; n < 4; n++)
      launch(&p, d, n * 100, 1);
    (void)usleep(1000);
  }
  assert_int_equal(hl_dispatch_plans(d), 4); /* three, and the generic one */
  assert_int_equal(p.compiled, 4);
  launch(&p, d, 100, 2); /* strides that the generic plan does not take */
  launch(&p, d, 900, 1);
  assert_int_equal(p.warnings, 0);
  hl_dispatch_destroy(d); /* with one in the making */
  pu_close(&p);
}

static void test_dispatch_errors(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  hl_dispatch *d;
  pu p;
  data a;
  pu_open(&p, t, NULL);
  assert_int_equal(hl_dispatch_create(p.dev, p.k, &(hl_dispatch_options){.size = 1}, &diag, &d), HL_ERR_ARG);
  has(&diag, "HL_DISPATCH_OPTIONS_INIT");
  assert_int_equal(hl_dispatch_create(p.dev, NULL, NULL, &diag, &d), HL_ERR_ARG);
  hl_dispatch_options o = HL_DISPATCH_OPTIONS_INIT;
  o.capacity = 5000;
  assert_int_equal(hl_dispatch_create(p.dev, p.k, &o, &diag, &d), HL_ERR_ARG);
  has(&diag, "4096");
  d = create(&p, 0, true);
  data_make(&a, 100, 1);
  assert_int_equal(hl_dispatch_launch(NULL, NULL, a.args, 2, NULL, &diag), HL_ERR_ARG);
  assert_int_equal(hl_dispatch_launch(d, NULL, a.args, 1, NULL, &diag), HL_ERR_GUARD);
  has(&diag, "scale");
  assert_int_equal(hl_dispatch_launch(d, NULL, NULL, 2, NULL, &diag), HL_ERR_ARG);
  a.t[1].data = NULL;
  assert_int_not_equal(hl_dispatch_launch(d, NULL, a.args, 2, NULL, &diag), HL_OK);
  free(a.x);
  free(a.y);
  hl_dispatch_destroy(d);
  pu_close(&p);
}

typedef struct crowd {
  pu *p;
  hl_dispatch *d;
  _Atomic int64_t next;
} crowd;

static void *run(void *arg) {
  crowd *c = arg;
  int64_t i;
  while ((i = atomic_fetch_add(&c->next, 1)) < 400)
    launch(c->p, c->d, 50 + i % 7, 1);
  return NULL;
}

/* Many threads, more shapes than places: plans are replaced under them. */
static void crowded(su *t, bool background) {
  pthread_t id[4];
  pu p;
  pu_open(&p, t, NULL);
  crowd c = {.p = &p, .d = create(&p, 4, background)};
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&id[i], NULL, run, &c), 0);
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_join(id[i], NULL), 0);
  assert_true(hl_dispatch_plans(c.d) <= 5);
  hl_dispatch_destroy(c.d);
  pu_close(&p);
}

static void test_crowd(void **state) {
  crowded(*state, false);
}

static void test_crowd_background(void **state) {
  crowded(*state, true);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, su_setup, su_teardown)
  const struct CMUnitTest tests[] = {
      T(test_async),      T(test_async_fails),     T(test_dispatch), T(test_bounded),
      T(test_background), T(test_dispatch_errors), T(test_crowd),    T(test_crowd_background),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
