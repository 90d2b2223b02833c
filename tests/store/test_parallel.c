/* Many kernels compiled, stored, loaded and launched by many threads, of one context and of several at once.  Each
 * result is checked; contexts that share a folder compile each kernel once between them. ctest-timeout: 300 */
#include "pu.h"
#include <pthread.h>

enum { CONTEXTS = 3, THREADS = 3, SIZES = 6 };

static const int64_t sizes[SIZES] = {16, 100, 1000, 1016, 4097, 30000};

typedef struct maker {
  pu *p;
  pthread_t id;
  int first;
  bool async;
  hl_diag diag;
} maker;

/* Plans of an asynchronous order are made by threads of the context. */
static hl_status run_async(pu *p, int64_t n, hl_diag *diag) {
  const hl_shape_binding shape = {"N", n};
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  hl_plan_task *task = NULL;
  hl_plan *plan = NULL;
  o.shape = &shape, o.shape_count = 1;
  hl_status s = hl_plan_create_async(p->dev, p->k, &o, diag, &task);
  if (s == HL_OK)
    s = hl_plan_task_wait(task, diag, &plan);
  hl_plan_task_destroy(task);
  if (s == HL_OK)
    pu_launch(p, plan, n);
  hl_plan_destroy(plan);
  return s;
}

static void *make(void *arg) {
  maker *m = arg;
  for (int i = 0; i < SIZES; i++) {
    const int64_t n = sizes[(m->first + i) % SIZES];
    if ((m->async ? run_async(m->p, n, &m->diag) : pu_run(m->p, n, NULL, &m->diag)) != HL_OK)
      return m;
  }
  return NULL;
}

static void make_all(pu *p, int contexts) {
  maker m[CONTEXTS * THREADS] = {0};
  void *wrong;
  for (int i = 0; i < contexts * THREADS; i++) {
    m[i] = (maker){.p = &p[i % contexts], .first = i / 2, .async = i % 4 == 3};
    assert_int_equal(pthread_create(&m[i].id, NULL, make, &m[i]), 0);
  }
  for (int i = 0; i < contexts * THREADS; i++) {
    assert_int_equal(pthread_join(m[i].id, &wrong), 0);
    if (wrong)
      fail_msg("%s", m[i].diag.message);
  }
}

static void test_one_context(void **state) {
  pu p;
  pu_open(&p, *state, NULL);
  make_all(&p, 1);
  assert_int_equal(p.compiled, SIZES); /* by whoever came first */
  assert_int_equal(pu_count(&p, HL_CACHE_CODE), SIZES);
  pu_close(&p);
}

static void test_contexts(void **state) {
  pu p[CONTEXTS];
  int compiled = 0;
  for (int i = 0; i < CONTEXTS; i++)
    pu_open(&p[i], *state, NULL);
  make_all(p, CONTEXTS);
  for (int i = 0; i < CONTEXTS; i++) {
    compiled += p[i].compiled;
    assert_int_equal(p[i].warnings, 0);
  }
  assert_int_equal(compiled, SIZES);
  for (int i = 0; i < CONTEXTS; i++)
    pu_close(&p[i]);
}

/* Without a folder nothing is shared: every plan is compiled, at the same time. */
static void test_without_cache(void **state) {
  pu p[CONTEXTS];
  int compiled = 0;
  const pu_options o = {.dir = ""};
  for (int i = 0; i < CONTEXTS; i++)
    pu_open(&p[i], *state, &o);
  make_all(p, CONTEXTS);
  for (int i = 0; i < CONTEXTS; i++) {
    compiled += p[i].compiled;
    pu_close(&p[i]);
  }
  assert_int_equal(compiled, CONTEXTS * THREADS * SIZES);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_one_context, su_setup, su_teardown),
                                     cmocka_unit_test_setup_teardown(test_contexts, su_setup, su_teardown),
                                     cmocka_unit_test_setup_teardown(test_without_cache, su_setup, su_teardown)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
