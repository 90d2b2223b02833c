/* Many processes: single flight, killed writers, forked children, a stopped holder of the lock, and
 * processes whose numbers mean nothing here. */
#include "src/store/internal.h"
#include "util.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void nap_ms(long ms) {
  const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  (void)nanosleep(&t, NULL);
}

static void wait_for(const pid_t *pids, int n) {
  for (int i = 0; i < n; i++) {
    int status;
    assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
    if (!su_exited(status, 0))
      fail_msg("child %d: status %#x", i, (unsigned)status);
  }
}

/* ---- single flight ------------------------------------------------------------------ */

static const char *made_path(const su *t) {
  static char path[256];
  su_path(t, "made", path);
  return path;
}

/* What a plan does: look, queue up, look again, make, put. */
static int make_once(su *t, hli_store *s) {
  hli_store_record r;
  hli_store_flight f;
  if (hli_store_file_get(s, su_key(1), &r)) {
    hli_store_record_release(&r);
    return 0;
  }
  hli_store_single_flight_begin(s, HLI_STORE_CODE, su_key(1), 20000, &f);
  if (!f.alone)
    return 1;
  bool there = hli_store_file_get(s, su_key(1), &r);
  if (there) {
    hli_store_record_release(&r);
  } else {
    nap_ms(50); /* "compiling" */
    int fd = open(made_path(t), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0)
      return 2;
    if (!hli_store_file_put(s, su_key(1), su_str("{}"), su_str("p"), su_str("made")))
      return 3;
  }
  hli_store_single_flight_end(s, &f);
  return hli_store_file_get(s, su_key(1), &r) ? (hli_store_record_release(&r), 0) : 4;
}

static int make_in_child(void *arg) {
  hli_store *s = su_open(arg, NULL);
  int code = make_once(arg, s);
  hli_store_close(s);
  return code;
}

static long made(const su *t) {
  char buffer[64];
  int fd = open(made_path(t), O_RDONLY);
  if (fd < 0)
    return 0;
  ssize_t n = read(fd, buffer, sizeof buffer);
  (void)close(fd);
  return (long)n;
}

static void test_flight(void **state) {
  su *t = *state;
  pid_t pids[8];
  for (int i = 0; i < 8; i++)
    pids[i] = su_spawn(make_in_child, t);
  wait_for(pids, 8);
  assert_int_equal(made(t), 1);
}

typedef struct maker {
  su *t;
  hli_store *store;
  int code;
} maker;

static void *make_in_thread(void *arg) {
  maker *m = arg;
  m->code = make_once(m->t, m->store);
  return NULL;
}

static void test_flight_threads(void **state) {
  su *t = *state;
  hli_store *s = su_open(t, NULL);
  pthread_t ids[6];
  maker m[6];
  for (int i = 0; i < 6; i++) {
    m[i] = (maker){t, s, -1};
    assert_int_equal(pthread_create(&ids[i], NULL, make_in_thread, &m[i]), 0);
  }
  for (int i = 0; i < 6; i++) {
    assert_int_equal(pthread_join(ids[i], NULL), 0);
    assert_int_equal(m[i].code, 0);
  }
  assert_int_equal(made(t), 1);
  hli_store_close(s);
}

static int hold_flight(void *arg) {
  hli_store *s = su_open(arg, NULL);
  hli_store_flight f;
  hli_store_single_flight_begin(s, HLI_STORE_CODE, su_key(1), 1000, &f);
  (void)su_put(s, 1); /* says that it has it */
  nap_ms(60000);
  return 1; /* it is killed before */
}

/* A holder that takes too long is not waited for; one that dies is replaced at once. */
static void test_flight_holder(void **state) {
  su *t = *state;
  hli_store_flight f;
  int status;
  pid_t pid = su_spawn(hold_flight, t);
  hli_store *s = su_open(t, NULL);
  while (su_has(s, 1) != 1)
    nap_ms(1);
  hli_store_single_flight_begin(s, HLI_STORE_CODE, su_key(1), 30, &f);
  assert_true(!f.alone && f.waited);
  hli_store_single_flight_end(s, &f);
  hli_store_single_flight_begin(s, HLI_STORE_CODE, su_key(2), 30, &f); /* other keys are free */
  assert_true(f.alone && !f.waited);
  hli_store_single_flight_end(s, &f);
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  hli_store_single_flight_begin(s, HLI_STORE_CODE, su_key(1), 5000, &f);
  assert_true(f.alone);
  hli_store_single_flight_end(s, &f);
  hli_store_close(s);
}

typedef struct queuer {
  hli_store *store;
  _Atomic bool held;
  bool alone, overlap;
} queuer;

static void *queue_up(void *arg) {
  queuer *q = arg;
  hli_store_flight f;
  hli_store_single_flight_begin(q->store, HLI_STORE_CODE, su_key(1), 10000, &f);
  q->alone = f.alone;
  q->overlap = atomic_load(&q->held);
  hli_store_single_flight_end(q->store, &f);
  return NULL;
}

/* The holder ends and somebody begins at once: a new file.  Who waited for the old one waits on. */
static void test_flight_handover(void **state) {
  queuer q = {.store = su_open(*state, NULL), .held = true};
  hli_store_flight f;
  pthread_t id;
  hli_store_single_flight_begin(q.store, HLI_STORE_CODE, su_key(1), 1000, &f);
  assert_true(f.alone);
  assert_int_equal(pthread_create(&id, NULL, queue_up, &q), 0);
  nap_ms(30);
  hli_store_single_flight_end(q.store, &f);
  hli_store_single_flight_begin(q.store, HLI_STORE_CODE, su_key(1), 1000, &f);
  if (f.alone && !f.waited) { /* else the other was faster, which is right too */
    nap_ms(50);
    atomic_store(&q.held, false);
    hli_store_single_flight_end(q.store, &f);
    assert_int_equal(pthread_join(id, NULL), 0);
    assert_true(q.alone && !q.overlap);
  } else {
    hli_store_single_flight_end(q.store, &f);
    assert_int_equal(pthread_join(id, NULL), 0);
  }
  hli_store_close(q.store);
}

/* ---- killed while writing ------------------------------------------------------------- */

typedef struct victim {
  su *t;
  int report;
  uint64_t base;
  bool own_pids; /* in a pid namespace of its own, as in a container */
} victim;

static int write_on(const victim *v) {
  hli_store *s = su_open(v->t, NULL);
  for (uint64_t i = v->base;; i++)
    if (!su_put(s, i) || write(v->report, &i, sizeof i) != sizeof i)
      return 1;
}

static int write_for_ever(void *arg) {
  const victim *v = arg;
  if (!v->own_pids)
    return write_on(v);
#ifdef CLONE_NEWPID
  if (unshare(CLONE_NEWPID) != 0)
    return 77;
#endif
  pid_t inner = fork(); /* number 1 over there */
  if (inner == 0)
    _exit(write_on(v));
  nap_ms(40 + (long)(v->base / 100000) * 3);
  (void)kill(inner, SIGKILL);
  (void)waitpid(inner, NULL, 0);
  return 0;
}

/* Every record that was reported is there and right, and the store goes on working. */
static void killed(su *t, bool own_pids) {
  uint64_t done[200] = {0};
  int pipes[200][2], rounds = own_pids ? 6 : 200;
  for (int i = 0; i < rounds; i++) {
    int status;
    assert_int_equal(pipe(pipes[i]), 0);
    victim v = {t, pipes[i][1], (uint64_t)(i + 1) * 100000, own_pids};
    pid_t pid = su_spawn(write_for_ever, &v);
    (void)close(pipes[i][1]);
    if (!own_pids) {
      nap_ms(3 + i * 7 % 31);
      assert_int_equal(kill(pid, SIGKILL), 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (own_pids && su_exited(status, 77)) {
      (void)close(pipes[i][0]);
      skip();
    }
    uint64_t key;
    while (read(pipes[i][0], &key, sizeof key) == sizeof key)
      done[i] = key + 1;
    (void)close(pipes[i][0]);
  }
  hli_store *s = su_open(t, NULL);
  uint64_t total = 0;
  for (int i = 0; i < rounds; i++)
    for (uint64_t k = (uint64_t)(i + 1) * 100000; k < done[i]; k++, total++)
      assert_int_equal(su_has(s, k), 1);
  assert_true(total > 0);
  assert_true(su_put(s, 1) && su_has(s, 1) == 1);
  assert_int_equal(t->warnings, 0); /* and nothing looked damaged */
  hli_store_close(s);
}

static void test_killed(void **state) {
  killed(*state, false);
}

static void test_container(void **state) {
  killed(*state, true);
}

/* ---- many writers ------------------------------------------------------------------------ */

static int write_some(void *arg) {
  victim *v = arg;
  hli_store *s = su_open(v->t, NULL);
  uint64_t put = 0;
  for (uint64_t i = 0; i < 1000; i++) {
    const uint64_t own = v->base + i / 5, other = (v->base + 1000) % 8000 + i / 7;
    hli_store_record r;
    bool ok = true;
    switch (i % 5) {
    case 0:
      ok = su_put(s, own);
      put++;
      break;
    case 1:
      ok = su_has(s, own) == 1;
      break;
    case 2: /* another process's: there and right, or not there yet */
      ok = su_has(s, other) >= 0;
      break;
    case 3: /* all write the same object */
      ok = hli_store_file_put(s, su_key(9999), su_str("{}"), su_str("p"), su_str("an object"));
      break;
    default:
      if (hli_store_file_get(s, su_key(9999), &r)) {
        ok = hli_str_eqz(r.content, "an object");
        hli_store_record_release(&r);
      }
      break;
    }
    if (!ok)
      return 1 + (int)(i % 5);
  }
  hli_store_close(s);
  return put == 200 ? v->t->warnings : 9;
}

static void test_many(void **state) {
  enum { N = 8 };
  su *t = *state;
  pid_t pids[N];
  for (int i = 0; i < N; i++) {
    victim v = {.t = t, .base = (uint64_t)i * 1000};
    pids[i] = su_spawn(write_some, &v);
  }
  wait_for(pids, N);
  hli_store *s = su_open(t, NULL);
  for (uint64_t i = 0; i < N; i++)
    for (uint64_t k = 0; k < 200; k++)
      assert_int_equal(su_has(s, i * 1000 + k), 1);
  hli_store_close(s);
}

/* ---- leftovers ------------------------------------------------------------------------------ */

static void leave(const su *t, const char *below, int64_t age_s) {
  char path[256];
  su_path(t, below, path);
  int fd = open(path, O_WRONLY | O_CREAT, 0600);
  assert_true(fd >= 0 && write(fd, "x", 1) == 1);
  (void)close(fd);
  const time_t then = time(NULL) - age_s;
  const struct timespec times[2] = {{then, 0}, {then, 0}};
  assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void test_sweep(void **state) {
  su *t = *state;
  char mark[256], path[256];
  hli_store_flight f;
  hli_store *s = su_open(t, NULL);
  assert_true(hli_store_file_put(s, su_key(1), su_str("{}"), su_str("p"), su_str("kept")));
  hli_store_single_flight_begin(s, HLI_STORE_CODE, su_key(2), 1000, &f);
  assert_true(f.alone);
  su_path(t, f.name, path);
  const struct timespec old[2] = {{1000, 0}, {1000, 0}};
  assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0); /* a long flight, and it still flies */
  leave(t, "code/.0123.7.0", 5000);
  leave(t, "code/.0123.8.0", 5);
  leave(t, "code/00000000000000000000000000000001.so", 5000);
  leave(t, "code/00000000000000000000000000000002.so", 5);
  leave(t, "code/readme", 5000);
  leave(t, "flight/c0123", 5000);
  hli_store *again = su_open(t, NULL);
  assert_true(su_put(again, 5)); /* the folder was swept a moment ago */
  assert_true(su_exists(t, "code/.0123.7.0"));
  hli_store_close(again);
  su_path(t, "swept", mark);
  assert_int_equal(utimensat(AT_FDCWD, mark, old, 0), 0);
  again = su_open(t, NULL);
  assert_true(su_put(again, 6));
  assert_false(su_exists(t, "code/.0123.7.0"));
  assert_true(su_exists(t, "code/.0123.8.0"));
  assert_false(su_exists(t, "code/00000000000000000000000000000001.so"));
  assert_true(su_exists(t, "code/00000000000000000000000000000002.so"));
  assert_true(su_exists(t, "code/readme"));
  assert_false(su_exists(t, "flight/c0123"));
  assert_int_equal(access(path, F_OK), 0);
  assert_int_equal(t->warnings, 0);
  hli_store_single_flight_end(s, &f);
  hli_store_record r;
  assert_true(hli_store_file_get(again, su_key(1), &r));
  hli_store_record_release(&r);
  hli_store_close(again);
  hli_store_close(s);
}

/* Two sizes of map on one file: the smaller one follows. */
static void test_sizes(void **state) {
  su *t = *state;
  hli_store *small = su_open(t, &(hli_store_options){.record_bytes = 1 << 18});
  assert_true(su_put(small, 0));
  hli_store *large = su_open(t, NULL);
  for (uint64_t i = 1; i < 3000; i++)
    assert_true(su_put(large, i));
  assert_int_equal(su_has(small, 2999), 1);
  assert_true(su_put(small, 5000)); /* and evicts down to its own limit */
  assert_int_equal(su_has(large, 5000), 1);
  assert_int_equal(su_has(large, 1), 0);
  hli_store_close(small);
  hli_store_close(large);
}

/* ---- fork ----------------------------------------------------------------------------------- */

typedef struct family {
  su *t;
  hli_store *store;
  bool write;
  pthread_barrier_t inside, leave;
} family;

static int inherit(void *arg) {
  family *f = arg;
  (void)alarm(60);
  if (su_has(f->store, 1) != 1 || !su_put(f->store, 2) || su_has(f->store, 2) != 1)
    return 1;
  hli_store_flight flight;
  hli_store_single_flight_begin(f->store, HLI_STORE_CODE, su_key(2), 1000, &flight);
  if (!flight.alone)
    return 2;
  hli_store_single_flight_end(f->store, &flight);
  hli_store_close(f->store);
  return 0;
}

static void test_fork(void **state) {
  family f = {.t = *state};
  f.store = su_open(f.t, NULL);
  assert_true(su_put(f.store, 1));
  assert_true(su_exited(su_child(inherit, &f), 0));
  assert_int_equal(su_has(f.store, 2), 1); /* the parent's is as it was */
  assert_true(su_put(f.store, 3));
  hli_store_close(f.store);
}

/* Stands still with both locks taken and a transaction begun, and only there: under AddressSanitizer a thread
 * that allocates while another forks leaves the child an allocator that is locked for ever (the C library's is
 * made whole). */
static void *stay_inside(void *arg) {
  family *f = arg;
  hli_mdb_txn *txn;
  assert_true(hli_store_enter(f->store, f->write));
  assert_int_equal(hli_mdb_begin(f->store->mdb, f->write, &txn), 0);
  (void)pthread_barrier_wait(&f->inside);
  (void)pthread_barrier_wait(&f->leave);
  hli_mdb_abort(txn);
  hli_store_leave(f->store);
  return NULL;
}

/* Forked while another thread is inside, with all locks taken. */
static void test_fork_busy(void **state) {
  family f = {.t = *state};
  f.store = su_open(f.t, NULL);
  assert_true(su_put(f.store, 1));
  assert_int_equal(pthread_barrier_init(&f.inside, NULL, 2), 0);
  assert_int_equal(pthread_barrier_init(&f.leave, NULL, 2), 0);
  for (int i = 0; i < 20; i++) {
    pthread_t id;
    int status;
    f.write = i & 1;
    assert_int_equal(pthread_create(&id, NULL, stay_inside, &f), 0);
    (void)pthread_barrier_wait(&f.inside);
    pid_t pid = su_spawn(inherit, &f);
    (void)pthread_barrier_wait(&f.leave);
    assert_int_equal(pthread_join(id, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!su_exited(status, 0))
      fail_msg("round %d: status %#x", i, (unsigned)status);
  }
  (void)pthread_barrier_destroy(&f.inside);
  (void)pthread_barrier_destroy(&f.leave);
  assert_int_equal(f.t->warnings, 0);
  hli_store_close(f.store);
}

/* ---- a lock that is never given back ----------------------------------------------------------- */

static void test_stopped_holder(void **state) {
  su *t = *state;
  hli_store *s = su_open(t, &(hli_store_options){.wait_ms = 20});
  assert_true(su_put(s, 1));
  int fd = open(t->dir, O_RDONLY | O_DIRECTORY); /* as if in another process */
  assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
  assert_int_equal(su_has(s, 1), 0); /* works without, this time */
  assert_false(su_put(s, 2));
  assert_int_equal(t->warnings, 1);
  assert_non_null(strstr(t->last, "lock"));
  assert_int_equal(flock(fd, LOCK_SH), 0); /* a stopped reader: others may read */
  assert_int_equal(su_has(s, 1), 1);
  assert_false(su_put(s, 2));
  (void)close(fd);
  assert_true(su_put(s, 2));
  assert_int_equal(t->warnings, 1);
  hli_store_close(s);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, su_setup, su_teardown)
  const struct CMUnitTest tests[] = {
      T(test_flight), T(test_flight_threads), T(test_flight_holder),  T(test_flight_handover),
      T(test_killed), T(test_container),      T(test_many),           T(test_sizes),
      T(test_fork),   T(test_fork_busy),      T(test_stopped_holder), T(test_sweep),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
