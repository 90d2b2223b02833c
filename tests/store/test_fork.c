/* After a fork: the child uses and closes what it has inherited, whatever the parent's threads were doing. */
#include "pu.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct family {
  su *t;
  pu p;
  hl_plan *plan;
  hl_stream *stream;
  hl_buffer *buffer;
  hl_event *event;
  _Atomic bool stop;
} family;

static void family_open(family *f, su *t) {
  hl_diag diag = {.message = ""};
  memset(f, 0, sizeof *f);
  f->t = t;
  pu_open(&f->p, t, NULL);
  assert_int_equal(pu_plan(&f->p, 1000, NULL, &diag, &f->plan), HL_OK);
  assert_int_equal(hl_stream_create(f->p.dev, &diag, &f->stream), HL_OK);
  assert_int_equal(hl_buffer_create(f->p.dev, 1 << 20, &diag, &f->buffer), HL_OK);
  assert_int_equal(hl_event_create(f->p.dev, &diag, &f->event), HL_OK);
  pu_launch(&f->p, f->plan, 1000);
}

static void family_close(family *f) {
  hl_event_destroy(f->event);
  hl_buffer_destroy(f->buffer);
  hl_stream_destroy(f->stream);
  hl_plan_destroy(f->plan);
  pu_close(&f->p);
}

static int close_only(void *arg) {
  (void)alarm(60);
  family_close(arg);
  return 0;
}

/* Everything again, and new things. */
static int use_all(void *arg) {
  family *f = arg;
  hl_diag diag = {.message = ""};
  hl_stream *stream;
  (void)alarm(120);
  pu_launch(&f->p, f->plan, 1000);
  if (hl_buffer_fill(f->buffer, 7, f->stream, &diag) != HL_OK || hl_event_record(f->event, f->stream, &diag) != HL_OK ||
      hl_event_synchronize(f->event, &diag) != HL_OK || ((unsigned char *)hl_buffer_data(f->buffer))[99] != 7)
    return 2;
  if (hl_stream_create(f->p.dev, &diag, &stream) != HL_OK || hl_stream_synchronize(stream, &diag) != HL_OK)
    return 3;
  hl_stream_destroy(stream);
  if (pu_run(&f->p, 1000, NULL, &diag) != HL_OK || pu_run(&f->p, 1 + (int64_t)getpid() % 5000, NULL, &diag) != HL_OK)
    return 4;
  family_close(f);
  return 0;
}

static void child(family *f, int (*body)(void *)) {
  const int status = su_child(body, f);
  if (!su_exited(status, 0))
    fail_msg("the child ended with %#x", (unsigned)status);
}

static void test_close(void **state) {
  family f;
  family_open(&f, *state);
  child(&f, close_only);
  pu_launch(&f.p, f.plan, 1000);
  family_close(&f);
}

static void test_use(void **state) {
  family f;
  family_open(&f, *state);
  child(&f, use_all);
  pu_launch(&f.p, f.plan, 1000); /* the parent's is as it was */
  family_close(&f);
}

static void *keep_busy(void *arg) {
  family *f = arg;
  while (!atomic_load(&f->stop)) {
    for (int i = 0; i < 20; i++)
      (void)hl_buffer_fill(f->buffer, 1, f->stream, NULL);
    (void)hl_stream_synchronize(f->stream, NULL);
  }
  return NULL;
}

/* Forked while tasks are in flight, on this stream and on workers. */
static void test_busy(void **state) {
  family f;
  pthread_t id;
  family_open(&f, *state);
  assert_int_equal(pthread_create(&id, NULL, keep_busy, &f), 0);
  for (int i = 0; i < 8; i++)
    child(&f, i % 2 ? use_all : close_only);
  atomic_store(&f.stop, true);
  assert_int_equal(pthread_join(id, NULL), 0);
  family_close(&f);
}

static int give_up_task(void *arg) {
  hl_plan *plan;
  hl_diag diag = {.message = ""};
  (void)alarm(60);
  const hl_status s = hl_plan_task_wait(arg, &diag, &plan);
  if (s != HL_OK && s != HL_ERR_BUSY) /* it may have been done already */
    return 1;
  hl_plan_destroy(plan);
  hl_plan_task_destroy(arg);
  return 0;
}

/* A task that is in the making belongs to the parent. */
static void test_task(void **state) {
  su *t = *state;
  const hl_shape_binding shape = {"N", 777};
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  hl_diag diag = {.message = ""};
  hl_plan_task *task;
  hl_plan *plan;
  pu p;
  pu_open(&p, t, NULL);
  o.shape = &shape, o.shape_count = 1;
  assert_int_equal(hl_plan_create_async(p.dev, p.k, &o, &diag, &task), HL_OK);
  assert_true(su_exited(su_child(give_up_task, task), 0));
  assert_int_equal(hl_plan_task_wait(task, &diag, &plan), HL_OK);
  pu_launch(&p, plan, 777);
  hl_plan_destroy(plan);
  hl_plan_task_destroy(task);
  pu_close(&p);
}

int main(void) {
#ifdef __SANITIZE_THREAD__
  return 77; /* that sanitizer cannot start threads in a child of a process that had some */
#endif
#define T(f) cmocka_unit_test_setup_teardown(f, su_setup, su_teardown)
  const struct CMUnitTest tests[] = {T(test_close), T(test_use), T(test_busy), T(test_task)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
