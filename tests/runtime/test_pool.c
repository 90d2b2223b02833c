/* The thread pool under many launching and waiting threads: each stream keeps its order, nothing is left behind, no
 * waiter sleeps on, short launches run at once and long ones do not.  The kernels are functions of this file and write
 * plain memory, so that ThreadSanitizer sees whether launches and waits order what they must.  Whatever hangs is said
 * in words by a watchdog. ctest-timeout: 300 */
#include "rt.h"
#include "runtime/pool.h"
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ROUNDS = 1500 };
#else
enum { ROUNDS = 3000 };
#endif
enum { USERS = 6, QUEUES = 3, WIDE = 64, PATIENCE = 60 /* seconds */ };

/* ---- the watchdog ---- */

typedef struct user user;

typedef struct scene {
  const char *name;
  hl_context *ctx;
  rt_heap heap;
  hlr_pool *pool;
  hlr_queue *queue[QUEUES];
  user *users;
  pthread_barrier_t meeting;
  _Atomic bool over;
  pthread_t dog;
} scene;

struct user {
  scene *scene;
  pthread_t id;
  uint32_t number;
  const char *_Atomic doing;
  _Atomic uint32_t round;
  _Atomic uint32_t wrong;        /* results that were not as they should be */
  uint64_t launched[QUEUES + 1]; /* by this user; the last one is its own queue */
  uint64_t done[QUEUES + 1];     /* written by the launches: plain memory on purpose */
  uint64_t wide[QUEUES + 1][WIDE];
  _Atomic uint64_t when;
};

/* Relaxed, so that it orders nothing. */
static void wrong(user *u, bool is_wrong) {
  (void)atomic_fetch_add_explicit(&u->wrong, is_wrong, memory_order_relaxed);
}

static void *watch(void *arg) {
  scene *s = arg;
  for (int i = 0; i < PATIENCE * 20 && !atomic_load(&s->over); i++)
    usleep(50000);
  if (atomic_load(&s->over))
    return NULL;
  fprintf(stderr, "%s: not done after %d seconds\n", s->name, PATIENCE);
  for (int i = 0; s->users && i < USERS; i++)
    fprintf(stderr, "  thread %d is in round %u of %d: %s\n", i, atomic_load(&s->users[i].round), ROUNDS,
            atomic_load(&s->users[i].doing));
  _exit(1);
}

static scene *scene_open(const char *name, int32_t threads) {
  hl_diag d;
  scene *s = calloc(1, sizeof *s);
  hl_context_options o = rt_options(&s->heap);
  o.cpu_threads = threads;
  s->name = name;
  s->ctx = rt_context(&o);
  assert_ok(hlr_pool_create(s->ctx, &d, &s->pool), d);
  s->queue[0] = hlr_pool_default_queue(s->pool);
  for (int i = 1; i < QUEUES; i++)
    assert_ok(hlr_queue_create(s->pool, &d, &s->queue[i]), d);
  assert_int_equal(pthread_create(&s->dog, NULL, watch, s), 0);
  return s;
}

static void scene_close(scene *s) {
  for (int i = 1; i < QUEUES; i++)
    hlr_queue_destroy(s->queue[i]);
  hlr_pool_destroy(s->pool);
  atomic_store(&s->over, true);
  pthread_join(s->dog, NULL);
  hl_context_destroy(s->ctx);
  assert_int_equal(atomic_load(&s->heap.live), 0);
  free(s);
}

/* ---- launches ---- */

typedef struct block {
  user *who;
  uint32_t queue;
  uint64_t number; /* of this user's launches in this queue */
} block;

/* Launches of one queue run one after another and each user's in its order: nothing here is atomic. */
static void count(const void *p, int64_t begin, int64_t end, void *scratch) {
  const block *b = p;
  (void)scratch;
  for (int64_t i = begin; i < end; i++)
    wrong(b->who, b->who->done[b->queue]++ != b->number);
}

/* The same over many programs, which several threads take. */
static void count_wide(const void *p, int64_t begin, int64_t end, void *scratch) {
  const block *b = p;
  (void)scratch;
  for (int64_t i = begin; i < end; i++) {
    b->who->wide[b->queue][i]++;
    for (volatile int k = 0; k < 200; k++) {
    }
    if (i == 0)
      wrong(b->who, b->who->done[b->queue]++ != b->number);
  }
}

static void launch(hlr_queue *q, hlr_cpu_entry entry, uint64_t programs, const block *b, _Atomic uint32_t *cost) {
  const hlr_task task = {.kind = HLR_TASK_LAUNCH,
                         .grain = 1,
                         .block_size = sizeof *b,
                         .entry = entry,
                         .programs = programs,
                         .block = b,
                         .cost = cost};
  if (!hlr_queue_run_now(q, &task))
    (void)hlr_queue_push(q, &task);
}

static _Atomic uint32_t cost_of_count, cost_of_wide;

static void user_launch(user *u, uint32_t queue, hlr_queue *q, bool wide) {
  const block b = {u, queue, u->launched[queue]++};
  if (wide)
    launch(q, count_wide, WIDE, &b, &cost_of_wide);
  else
    launch(q, count, 1, &b, &cost_of_count);
}

static void user_finish(user *u, uint32_t queue, hlr_queue *q) {
  atomic_store(&u->doing, queue == QUEUES ? "waiting for its own queue" : "waiting for a common queue");
  hlr_queue_finish(q);
  wrong(u, u->done[queue] != u->launched[queue]);
}

/* Other threads' launches may be in between, so that a pushed stamp's ticket is waited for. */
static void user_await(user *u, hlr_queue *q) {
  const hlr_task stamp = {.kind = HLR_TASK_STAMP, .stamp = &u->when};
  atomic_store(&u->doing, "waiting for a time stamp");
  atomic_store(&u->when, 0);
  hlr_queue_wait(q, hlr_queue_push(q, &stamp));
  wrong(u, atomic_load(&u->when) == 0);
}

static void user_round(user *u, uint32_t r, hlr_queue *own) {
  scene *s = u->scene;
  const uint32_t common = (r + u->number) % QUEUES, pick = (r * 7 + u->number * 3) % 16;
  atomic_store(&u->round, r);
  atomic_store(&u->doing, "launching");
  user_launch(u, common, s->queue[common], pick == 5);
  user_launch(u, QUEUES, own, pick == 6);
  if (pick < 3)
    user_finish(u, common, s->queue[common]);
  if (pick % 2 == 1)
    user_finish(u, QUEUES, own);
  if (pick == 8)
    user_await(u, s->queue[common]);
  if (pick == 10) { /* the own queue goes on when the common one has come so far */
    atomic_store(&u->doing, "waiting for one queue through another");
    const hlr_task stamp = {.kind = HLR_TASK_STAMP, .stamp = &u->when};
    atomic_store(&u->when, 0);
    const hlr_task await = {
        .kind = HLR_TASK_AWAIT, .queue = s->queue[common], .ticket = hlr_queue_push(s->queue[common], &stamp)};
    hlr_queue_wait(own, hlr_queue_push(own, &await));
    wrong(u, atomic_load(&u->when) == 0);
  }
  if (pick == 12)
    usleep(r % 200); /* let others fall asleep */
}

static void *user_main(void *arg) {
  user *u = arg;
  hl_diag d;
  hlr_queue *own = NULL;
  for (uint32_t r = 0; r < ROUNDS; r++) {
    if (r % 100 == 0) { /* destroyed with work in it */
      if (own)
        hlr_queue_destroy(own);
      if (hlr_queue_create(u->scene->pool, &d, &own)) {
        wrong(u, true);
        return NULL;
      }
    }
    user_round(u, r, own);
  }
  user_finish(u, QUEUES, own);
  hlr_queue_destroy(own);
  for (uint32_t i = 0; i < QUEUES; i++)
    user_finish(u, i, u->scene->queue[i]);
  return NULL;
}

static void run_users(const char *name, int32_t threads, void *(*body)(void *)) {
  scene *s = scene_open(name, threads);
  user *users = calloc(USERS, sizeof *users);
  for (uint32_t i = 0; i < USERS; i++) {
    users[i] = (user){.scene = s, .number = i};
    atomic_store(&users[i].doing, "starting");
  }
  assert_int_equal(pthread_barrier_init(&s->meeting, NULL, USERS), 0);
  s->users = users;
  for (uint32_t i = 0; i < USERS; i++)
    assert_int_equal(pthread_create(&users[i].id, NULL, body, &users[i]), 0);
  for (uint32_t i = 0; i < USERS; i++)
    pthread_join(users[i].id, NULL);
  for (uint32_t i = 0; i < USERS; i++) {
    assert_int_equal(atomic_load(&users[i].wrong), 0);
    for (uint32_t q = 0; q <= QUEUES; q++)
      for (int k = 1; k < WIDE; k++)
        assert_int_equal(users[i].wide[q][k], users[i].wide[q][0]);
  }
  pthread_barrier_destroy(&s->meeting);
  s->users = NULL;
  scene_close(s);
  free(users);
}

static void test_many_users(void **state) {
  (void)state;
  for (int32_t threads = 1; threads <= 4; threads *= 2)
    run_users("many threads launch and wait", threads, user_main);
}

/* All launch, wait, and come together: nobody's next launch helps one that was forgotten. */
static void *meeting_main(void *arg) {
  user *u = arg;
  hlr_queue *q = u->scene->queue[0];
  for (uint32_t r = 0; r < ROUNDS; r++) {
    atomic_store(&u->round, r);
    if ((r / 8 + u->number) % 7 == 0)
      usleep(r % 128);
    user_launch(u, 0, q, (r + u->number) % 97 == 0);
    if (u->number <= r % USERS) /* the others' launches must come to an end without them */
      user_finish(u, 0, q);
    atomic_store(&u->doing, "waiting for the other threads");
    pthread_barrier_wait(&u->scene->meeting);
  }
  user_finish(u, 0, q);
  return NULL;
}

static void test_meetings(void **state) {
  (void)state;
  for (int32_t threads = 1; threads <= 4; threads *= 2)
    run_users("threads launch, wait and meet", threads, meeting_main);
}

/* ---- what runs at once ---- */

typedef struct trace {
  pthread_t thread;
  uint64_t calls, order;
} trace;

static void note(const void *p, int64_t begin, int64_t end, void *scratch) {
  trace *t = *(trace *const *)p;
  (void)scratch;
  t->thread = pthread_self();
  t->calls += (uint64_t)(end - begin);
}

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void slow(const void *p, int64_t begin, int64_t end, void *scratch) {
  trace *t = *(trace *const *)p;
  (void)scratch;
  for (const uint64_t until = now() + 300000; now() < until;) {
  }
  t->calls += (uint64_t)(end - begin);
  t->order = t->order * 2 + 1;
}

static void behind(const void *p, int64_t begin, int64_t end, void *scratch) {
  (void)begin, (void)end, (void)scratch;
  trace *t = *(trace *const *)p;
  t->order *= 2;
}

static bool launch_trace(hlr_queue *q, hlr_cpu_entry entry, trace *t, _Atomic uint32_t *cost) {
  const hlr_task task = {.kind = HLR_TASK_LAUNCH,
                         .grain = 1,
                         .block_size = sizeof t,
                         .entry = entry,
                         .programs = 1,
                         .block = &t,
                         .cost = cost};
  const bool at_once = hlr_queue_run_now(q, &task);
  if (!at_once)
    (void)hlr_queue_push(q, &task);
  return at_once;
}

/* A kernel whose cost is known to be small runs in the launching thread, before the launch returns; a long one never
 * does, and what comes behind it waits for its turn. */
static void test_at_once(void **state) {
  (void)state;
  for (int32_t threads = 1; threads <= 3; threads++) {
    scene *s = scene_open("short launches on an idle queue", threads);
    _Atomic uint32_t cost = 0, slow_cost = 0, behind_cost = 1;
    trace t = {0};
    uint64_t at_once = 0;
    assert_false(launch_trace(s->queue[1], note, &t, &cost)); /* nobody knows how long it takes */
    hlr_queue_finish(s->queue[1]);
    usleep(3000); /* so that nobody else looks at the queue */
    for (uint64_t i = 2; i < 1000; i++) {
      const bool ran = launch_trace(s->queue[1], note, &t, &cost);
      if (ran) {
        assert_int_equal(t.calls, i);
        assert_true(pthread_equal(t.thread, pthread_self()));
      }
      at_once += ran;
      hlr_queue_finish(s->queue[1]);
      assert_int_equal(t.calls, i);
    }
    assert_true(at_once > 500); /* others came when this machine had halted a launch */
    t = (trace){0};
    assert_false(launch_trace(s->queue[1], slow, &t, &slow_cost));
    hlr_queue_finish(s->queue[1]);
    for (int i = 0; i < 10; i++) {
      t.order = 0;
      assert_false(launch_trace(s->queue[1], slow, &t, &slow_cost));
      (void)launch_trace(s->queue[1], behind, &t, &behind_cost);
      hlr_queue_finish(s->queue[1]);
      assert_int_equal(t.order, 2);
    }
    scene_close(s);
  }
}

/* One interrupted launch does not make a kernel a long one for good, and a kernel that has become long is noticed. */
static void test_learning(void **state) {
  (void)state;
  scene *s = scene_open("learning what a kernel costs", 1);
  _Atomic uint32_t cost = 16 * 100; /* 100 ns */
  trace t = {0};
  assert_true(launch_trace(s->queue[1], slow, &t, &cost));
  assert_in_range(atomic_load(&cost), 16 * 100, 16 * 200);
  int at_once = 1;
  for (int i = 0; i < 20; i++) {
    at_once += launch_trace(s->queue[1], slow, &t, &cost);
    hlr_queue_finish(s->queue[1]);
  }
  assert_in_range(at_once, 2, 12);
  bool again = false;
  for (int i = 0; i < 2000 && !again; i++) {
    again = launch_trace(s->queue[1], note, &t, &cost);
    hlr_queue_finish(s->queue[1]);
    if (i > 100)
      usleep(1000); /* until nobody else is just looking at the queue */
  }
  assert_true(again);
  scene_close(s);
}

/* A child of a process that launches at once launches too, whatever the parent's threads were at. */
static void test_fork(void **state) {
  (void)state;
#if defined(__SANITIZE_THREAD__)
  skip(); /* a child of several threads has none of ThreadSanitizer's own */
#endif
  scene *s = scene_open("a forked child launches", 2);
  _Atomic uint32_t cost = 16;
  trace t = {0};
  for (int i = 0; i < 20; i++) {
    const uint64_t before = t.calls;
    (void)launch_trace(s->queue[1], note, &t, &cost);
    const pid_t child = fork();
    if (child == 0) {
      alarm(PATIENCE);
      hlr_queue_finish(s->queue[1]);
      const uint64_t seen = t.calls; /* the parent's launch may not have come so far */
      for (int k = 0; k < 3; k++)
        (void)launch_trace(s->queue[1], note, &t, &cost);
      hlr_queue_finish(s->queue[1]);
      _exit(t.calls == seen + 3 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    hlr_queue_finish(s->queue[1]);
    assert_int_equal(t.calls, before + 1);
  }
  scene_close(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_at_once), cmocka_unit_test(test_learning),
                                     cmocka_unit_test(test_many_users), cmocka_unit_test(test_meetings),
                                     cmocka_unit_test(test_fork)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
