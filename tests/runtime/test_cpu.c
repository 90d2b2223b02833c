/* The CPU device: loading, the thread pool, streams, events, scratch, hooks.
 * ctest-timeout: 600 */
#include "rt.h"
#include "runtime/pool.h"
#include <fenv.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

typedef struct fixture {
  hl_context *ctx;
  hl_device *dev;
  rt_heap heap;
} fixture;

static fixture *open_cpu(int32_t threads, hl_parallel_for_fn hook, void *user) {
  fixture *f = calloc(1, sizeof *f);
  hl_context_options o = rt_options(&f->heap);
  o.cpu_threads = threads;
  o.parallel_for = hook;
  o.parallel_user = user;
  f->ctx = rt_context(&o);
  hl_diag d;
  assert_ok(hl_device_open(f->ctx, "cpu", &d, &f->dev), d);
  return f;
}

static void close_cpu(fixture *f) {
  hl_device_close(f->dev);
  hl_context_destroy(f->ctx);
  assert_int_equal(f->heap.live, 0);
  assert_int_equal(f->heap.bytes, 0);
  free(f);
}

/* A descriptor of a kernel that takes one i64 array, its length and one i64 scalar. */
typedef struct simple {
  hlr_program program;
  hlr_dim dim;
  hlr_param params[2];
  hlr_step step;
  hlr_slot slots[3];
} simple;

static void simple_init(simple *s, const char *entry, hl_blob *image, uint32_t grain, uint64_t scratch) {
  *s = (simple){
      .dim = {"N", HLR_DYNAMIC, 1},
      .params =
          {{.name = "out", .is_tensor = true, .written = true, .dtype = HL_I64, .rank = 1, .strides = {1}, .align = 8},
           {.name = "k", .dtype = HL_I64}},
      .slots = {{HLR_PTR, 0, 0, 0}, {HLR_SIZE, HL_I64, 0, 0}, {HLR_SCALAR, HL_I64, 1, 0}},
  };
  s->step = (hlr_step){.image_kind = HLR_IMAGE_ELF_SO,
                       .image = image,
                       .threads = 1,
                       .cluster = 1,
                       .grain = grain,
                       .scratch_bytes = scratch,
                       .extent_count = 1,
                       .extents = {{.dim = 0, .block = 1}},
                       .slot_count = 3,
                       .slots = s->slots};
  snprintf(s->step.entry, sizeof s->step.entry, "%s", entry);
  s->program = (hlr_program){.name = "simple",
                             .dim_count = 1,
                             .param_count = 2,
                             .step_count = 1,
                             .dims = &s->dim,
                             .params = s->params,
                             .steps = &s->step};
}

static const char kernels[] =
    "#include <stdint.h>\n#include <math.h>\n#include <string.h>\n"
    "struct block { int64_t *out; int64_t n; int64_t k; };\n"
    "void add(const void *b, int64_t begin, int64_t end, void *s) {\n" /* out[i] = 3 * out[i] + k: order matters */
    "  const struct block *p = b; (void)s;\n"
    "  for (int64_t i = begin; i < end; i++) p->out[i] = (int64_t)(3 * (uint64_t)p->out[i] + (uint64_t)p->k);\n"
    "}\n"
    "void slow(const void *b, int64_t begin, int64_t end, void *s) {\n"
    "  const struct block *p = b; (void)s;\n"
    "  for (int64_t i = begin; i < end; i++) {\n"
    "    volatile int64_t v = 0; for (int64_t k = 0; k < p->k; k++) v = v + 1;\n"
    "    p->out[i] += v;\n"
    "  }\n"
    "}\n"
    "void use_scratch(const void *b, int64_t begin, int64_t end, void *s) {\n"
    "  const struct block *p = b; unsigned char *t = s;\n"
    "  for (int64_t i = begin; i < end; i++) {\n"
    "    memset(t, (int)(i & 127), (size_t)p->k); int64_t sum = 0;\n"
    "    for (int64_t k = 0; k < p->k; k++) sum += t[k];\n"
    "    p->out[i] = (uintptr_t)s % 64 ? -1 : sum;\n"
    "  }\n"
    "}\n"
    "void rounding(const void *b, int64_t begin, int64_t end, void *s) {\n"
    "  const struct block *p = b; (void)s;\n"
    "  for (int64_t i = begin; i < end; i++) {\n"
    "    volatile double one = 1.0, three = 3.0, tiny = 2.2250738585072014e-308, two = 2.0;\n"
    "    double q = one / three, r = tiny / two; int64_t bits; memcpy(&bits, &q, 8);\n"
    "    p->out[i] = bits + (r == 0);\n"
    "  }\n"
    "}\n";

static hl_blob *image;

static hl_plan *plan_of(fixture *f, const char *entry, uint32_t grain, uint64_t scratch) {
  simple s;
  hl_diag d;
  hl_plan *plan;
  simple_init(&s, entry, image, grain, scratch);
  assert_ok(hlr_plan_create(f->dev, &s.program, &d, &plan), d);
  return plan;
}

static hl_status start(fixture *f, hl_plan *plan, hl_stream *stream, int64_t *out, int64_t n, int64_t k, hl_diag *d) {
  rt_vector t;
  rt_tensor(&t, f->dev, out, HL_I64, 1, n, 0, 0);
  hl_arg args[] = {rt_arg(&t), rt_i64(k)};
  return hl_launch(plan, stream, args, 2, NULL, d);
}

/* ---- results do not depend on threads, grain or the size of the machine ----------------- */

static void test_threads(void **state) {
  (void)state;
  hl_diag d;
  static const int32_t threads[] = {1, 2, 3, 8, 33};
  static const uint32_t grains[] = {1, 7, 1000};
  enum { N = 1000 };
  for (size_t t = 0; t < 5; t++) {
    fixture *f = open_cpu(threads[t], NULL, NULL);
    for (size_t g = 0; g < 3; g++) {
      hl_plan *plan = plan_of(f, "add", grains[g], 0);
      static int64_t out[N], want[N];
      memset(out, 0, sizeof out);
      memset(want, 0, sizeof want);
      for (int64_t k = 0; k < 40; k++) {
        int64_t n = 1 + k * 997 % N;
        assert_ok(start(f, plan, NULL, out, n, k, &d), d);
        for (int64_t i = 0; i < n; i++)
          want[i] = (int64_t)(3 * (uint64_t)want[i] + (uint64_t)k);
        if (k % 7 == 0)
          assert_ok(hl_device_synchronize(f->dev, &d), d);
      }
      assert_ok(hl_device_synchronize(f->dev, &d), d);
      assert_memory_equal(out, want, sizeof out);
      hl_plan_destroy(plan);
    }
    close_cpu(f);
  }
}

/* More launches than a queue holds, without waiting; then the plan goes while they run. */
static void test_backlog(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = open_cpu(2, NULL, NULL);
  hl_plan *plan = plan_of(f, "slow", 2, 0);
  hl_stream *s[3];
  static int64_t out[3][16];
  memset(out, 0, sizeof out);
  for (int i = 0; i < 3; i++)
    assert_ok(hl_stream_create(f->dev, &d, &s[i]), d);
  for (int round = 0; round < 500; round++)
    for (int i = 0; i < 3; i++)
      assert_ok(start(f, plan, s[i], out[i], 16, 100, &d), d);
  hl_plan_destroy(plan);
  for (int i = 0; i < 3; i++)
    for (int k = 0; k < 16; k++)
      assert_int_equal(out[i][k], 500 * 100);
  for (int i = 0; i < 3; i++)
    hl_stream_destroy(s[i]);
  close_cpu(f);
}

/* A launch without a wait proceeds in the background, also with one thread. */
static void test_background(void **state) {
  (void)state;
  hl_diag d;
  for (int32_t threads = 1; threads <= 2; threads++) {
    fixture *f = open_cpu(threads, NULL, NULL);
    hl_plan *plan = plan_of(f, "add", 4, 0);
    hl_event *a, *b;
    float ms = 0;
    static int64_t out[16];
    memset(out, 0, sizeof out);
    assert_ok(hl_event_create(f->dev, &d, &a), d);
    assert_ok(hl_event_create(f->dev, &d, &b), d);
    usleep(3000); /* let the workers fall asleep */
    assert_ok(hl_event_record(a, NULL, &d), d);
    assert_ok(start(f, plan, NULL, out, 16, 5, &d), d);
    assert_ok(hl_event_record(b, NULL, &d), d);
    for (int i = 0; i < 5000 && hl_event_elapsed(a, b, &d, &ms) == HL_ERR_BUSY; i++)
      usleep(1000);
    assert_ok(hl_event_elapsed(a, b, &d, &ms), d);
    assert_true(ms >= 0);
    assert_int_equal(out[15], 5);
    hl_event_destroy(a);
    hl_event_destroy(b);
    hl_plan_destroy(plan);
    close_cpu(f);
  }
}

/* ---- many threads of the host, one stream and their own --------------------------------------- */

typedef struct user_thread {
  pthread_t id;
  fixture *f;
  hl_plan *plan;
  hl_stream *shared;
  int64_t own[64];
  int64_t *common; /* one element each */
  int number;
  hl_status status;
} user_thread;

enum { ROUNDS = 300 };

static void *user_main(void *arg) {
  user_thread *u = arg;
  hl_diag d;
  hl_stream *mine = NULL;
  u->status = hl_stream_create(u->f->dev, &d, &mine);
  for (int i = 0; i < ROUNDS && !u->status; i++) {
    u->status = start(u->f, u->plan, mine, u->own, 1 + i % 64, 0, &d);
    if (!u->status)
      u->status = start(u->f, u->plan, u->shared, u->common + u->number, 1, 1, &d);
    if (!u->status && i % 16 == u->number)
      u->status = hl_stream_synchronize(i & 1 ? mine : u->shared, &d);
    if (!u->status && i % 50 == 49) {
      hl_stream_destroy(mine);
      u->status = hl_stream_create(u->f->dev, &d, &mine);
    }
  }
  if (!u->status)
    u->status = hl_stream_synchronize(mine, &d);
  hl_stream_destroy(mine);
  return NULL;
}

static void test_many_users(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = open_cpu(4, NULL, NULL);
  hl_plan *plan = plan_of(f, "slow", 1, 0); /* adds k */
  hl_stream *shared;
  assert_ok(hl_stream_create(f->dev, &d, &shared), d);
  static user_thread users[12];
  static int64_t common[12];
  memset(users, 0, sizeof users);
  memset(common, 0, sizeof common);
  for (int i = 0; i < 12; i++) {
    users[i] = (user_thread){.f = f, .plan = plan, .shared = shared, .common = common, .number = i};
    assert_int_equal(pthread_create(&users[i].id, NULL, user_main, &users[i]), 0);
  }
  for (int i = 0; i < 12; i++)
    pthread_join(users[i].id, NULL);
  assert_ok(hl_stream_synchronize(shared, &d), d);
  for (int i = 0; i < 12; i++) {
    assert_int_equal(users[i].status, HL_OK);
    assert_int_equal(common[i], ROUNDS);
    for (int k = 0; k < 64; k++)
      assert_int_equal(users[i].own[k], 0);
  }
  hl_stream_destroy(shared);
  hl_plan_destroy(plan);
  close_cpu(f);
}

/* A chain over three streams: each adds its number after the one before it. */
static void test_wait(void **state) {
  (void)state;
  hl_diag d;
  for (int32_t threads = 1; threads <= 3; threads++) {
    fixture *f = open_cpu(threads, NULL, NULL);
    hl_plan *plan = plan_of(f, "add", 2, 0);
    hl_stream *s[3];
    hl_event *ev[3];
    for (int i = 0; i < 3; i++) {
      assert_ok(hl_stream_create(f->dev, &d, &s[i]), d);
      assert_ok(hl_event_create(f->dev, &d, &ev[i]), d);
      assert_ok(hl_stream_wait(s[i], ev[i], &d), d); /* never recorded: nothing */
    }
    static int64_t out[16];
    memset(out, 0, sizeof out);
    uint64_t want = 0;
    for (int64_t i = 0; i < 600; i++) {
      assert_ok(hl_stream_wait(s[i % 3], ev[(i + 2) % 3], &d), d);
      assert_ok(start(f, plan, s[i % 3], out, 16, i, &d), d);
      assert_ok(hl_event_record(ev[i % 3], s[i % 3], &d), d);
      want = 3 * want + (uint64_t)i;
    }
    assert_ok(hl_event_synchronize(ev[599 % 3], &d), d);
    for (int i = 0; i < 16; i++)
      assert_int_equal(out[i], (int64_t)want);
    for (int i = 0; i < 3; i++) {
      hl_stream_destroy(s[i]);
      hl_event_destroy(ev[i]);
    }
    hl_plan_destroy(plan);
    close_cpu(f);
  }
}

static void test_stream_limit(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = open_cpu(2, NULL, NULL);
  hl_stream *s[64] = {0};
  for (int i = 0; i < 63; i++)
    assert_ok(hl_stream_create(f->dev, &d, &s[i]), d);
  assert_fails(hl_stream_create(f->dev, &d, &s[63]), HL_ERR_LIMIT, d, "at most 64 streams");
  hl_stream_destroy(s[5]);
  assert_ok(hl_stream_create(f->dev, &d, &s[5]), d);
  for (int i = 0; i < 63; i++)
    hl_stream_destroy(s[i]);
  close_cpu(f);
}

/* ---- a host's own job system -------------------------------------------------------------------------- */

typedef struct hook_state {
  _Atomic int calls;
  pthread_t thread;
} hook_state;

static void backwards(void *user, int64_t count, int64_t grain, hl_job_fn job, void *job_user) {
  hook_state *h = user;
  atomic_fetch_add(&h->calls, 1);
  h->thread = pthread_self();
  for (int64_t end = count; end > 0; end -= grain)
    job(job_user, end > grain ? end - grain : 0, end);
}

static void never(const void *block, int64_t begin, int64_t end, void *scratch) {
  (void)block, (void)begin, (void)end, (void)scratch;
  abort(); /* a kernel without its scratch must not run */
}

/* ---- scratch, floating-point mode ----------------------------------------------------------------- */

static void test_scratch(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = open_cpu(4, NULL, NULL);
  static int64_t out[500];
  for (int64_t bytes = 64; bytes <= 1 << 16; bytes *= 32) {
    hl_plan *plan = plan_of(f, "use_scratch", 3, (uint64_t)bytes);
    assert_ok(start(f, plan, NULL, out, 500, bytes, &d), d);
    assert_ok(hl_device_synchronize(f->dev, &d), d);
    for (int64_t i = 0; i < 500; i++)
      assert_int_equal(out[i], (i & 127) * bytes);
    /* In the steady state a launch allocates nothing. */
    long before = atomic_load(&f->heap.count);
    for (int k = 0; k < 50; k++)
      assert_ok(start(f, plan, NULL, out, 500, bytes, &d), d);
    assert_ok(hl_device_synchronize(f->dev, &d), d);
    assert_in_range(atomic_load(&f->heap.count) - before, 0, 1); /* the caller's slot may be its first */
    hl_plan_destroy(plan);
  }
  /* Scratch that cannot be had is found when the plan is made. */
  simple s;
  hl_plan *plan;
  simple_init(&s, "use_scratch", image, 1, (uint64_t)1 << 62);
  assert_fails(hlr_plan_create(f->dev, &s.program, &d, &plan), HL_ERR_MEMORY, d, "scratch");
  close_cpu(f);
}

/* Scratch that cannot be had at run time: the launch does not happen, the wait says so, once. */
static void test_scratch_failure(void **state) {
  (void)state;
  hl_diag d;
  for (int hook = 0; hook < 2; hook++) {
    hook_state h = {0};
    fixture *f = open_cpu(2, hook ? backwards : NULL, &h);
    hl_plan *plan = plan_of(f, "use_scratch", 1, 64), *add = plan_of(f, "add", 1, 0);
    hlr_pool *pool;
    assert_ok(hlr_pool_create(f->ctx, &d, &pool), d); /* its scratch was never reserved */
    hlr_queue *q = hlr_pool_default_queue(pool);
    static int64_t out[50];
    struct {
      int64_t *out;
      int64_t n, k;
    } block = {out, 50, 0};
    _Atomic uint32_t cost = 0;
    f->heap.sticky = true;
    atomic_store(&f->heap.fail_at, atomic_load(&f->heap.count));
    hlr_task task = {.kind = HLR_TASK_LAUNCH,
                     .grain = 1,
                     .entry = never,
                     .programs = 50,
                     .scratch = 1 << 20,
                     .block = &block,
                     .block_size = sizeof block,
                     .cost = &cost};
    (void)hlr_queue_push(q, &task);
    hlr_queue_finish(q);
    assert_true(hlr_queue_take_failure(q));
    assert_false(hlr_queue_take_failure(q));
    assert_ok(start(f, add, NULL, out, 50, 1, &d), d); /* others go on */
    assert_ok(hl_device_synchronize(f->dev, &d), d);
    atomic_store(&f->heap.fail_at, -1);
    f->heap.sticky = false;
    hlr_pool_destroy(pool);
    hl_plan_destroy(plan);
    hl_plan_destroy(add);
    close_cpu(f);
  }
}

static void test_rounding(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = open_cpu(2, NULL, NULL);
  hl_plan *plan = plan_of(f, "rounding", 1, 0);
  static int64_t want[64], out[64];
  assert_ok(start(f, plan, NULL, want, 64, 0, &d), d);
  assert_ok(hl_device_synchronize(f->dev, &d), d);
  fesetround(FE_UPWARD);
  assert_ok(start(f, plan, NULL, out, 64, 0, &d), d);
  assert_ok(hl_device_synchronize(f->dev, &d), d);
  int mode = fegetround();
  fesetround(FE_TONEAREST);
  assert_int_equal(mode, FE_UPWARD); /* the caller has its mode back */
  assert_memory_equal(want, out, sizeof out);
  hl_plan_destroy(plan);
  close_cpu(f);
}

static void test_hook(void **state) {
  (void)state;
  hl_diag d;
  hook_state h = {0};
  fixture *f = open_cpu(0, backwards, &h);
  hl_plan *plan = plan_of(f, "use_scratch", 7, 128), *add = plan_of(f, "add", 7, 0);
  static int64_t out[100];
  assert_ok(start(f, plan, NULL, out, 100, 128, &d), d);
  assert_int_equal(h.calls, 1); /* done by the launching thread, before the launch returned */
  assert_true(pthread_equal(h.thread, pthread_self()));
  for (int64_t i = 0; i < 100; i++)
    assert_int_equal(out[i], i * 128);
  assert_ok(start(f, add, NULL, out, 100, 1, &d), d);
  hl_event *ev;
  assert_ok(hl_event_create(f->dev, &d, &ev), d);
  assert_ok(hl_event_record(ev, NULL, &d), d);
  assert_ok(hl_event_synchronize(ev, &d), d);
  for (int64_t i = 0; i < 100; i++)
    assert_int_equal(out[i], 3 * i * 128 + 1);
  hl_event_destroy(ev);
  hl_plan_destroy(plan);
  hl_plan_destroy(add);
  close_cpu(f);
}

/* ---- images --------------------------------------------------------------------------------------------- */

static void refuse(fixture *f, const char *entry, hlr_image_kind kind, const void *bytes, size_t size, hl_status want,
                   const char *part) {
  simple s;
  hl_diag d;
  hl_plan *plan;
  hl_blob *blob = bytes ? hli_blob_create(NULL, bytes, size) : NULL;
  simple_init(&s, entry, blob, 1, 0);
  s.step.image_kind = kind;
  assert_fails(hlr_plan_create(f->dev, &s.program, &d, &plan), want, d, part);
  hl_blob_release(blob);
}

static void test_images(void **state) {
  (void)state;
  fixture *f = open_cpu(1, NULL, NULL);
  const char *good = hl_blob_data(image);
  size_t size = hl_blob_size(image);
  refuse(f, "nothing", HLR_IMAGE_ELF_SO, good, size, HL_ERR_IO, "no function 'nothing'");
  refuse(f, "add", HLR_IMAGE_PTX, good, size, HL_ERR_UNSUPPORTED, "\"host\"");
  refuse(f, "add", HLR_IMAGE_NONE, good, size, HL_ERR_UNSUPPORTED, "not a shared object");
  refuse(f, "add", HLR_IMAGE_ELF_SO, NULL, 0, HL_ERR_IO, "too short");
  refuse(f, "add", HLR_IMAGE_ELF_SO, good, 20, HL_ERR_IO, "too short");
  refuse(f, "add", HLR_IMAGE_ELF_SO, good + 1, size - 1, HL_ERR_IO, "no ELF file");
  for (size_t cut = 64; cut < size; cut += 97)
    refuse(f, "add", HLR_IMAGE_ELF_SO, good, cut, HL_ERR_IO, "truncated");
  char *bad = malloc(size);
  memcpy(bad, good, size);
  bad[4] = 1;
  refuse(f, "add", HLR_IMAGE_ELF_SO, bad, size, HL_ERR_IO, "64-bit");
  bad[4] = 2;
  bad[18] = 77;
  refuse(f, "add", HLR_IMAGE_ELF_SO, bad, size, HL_ERR_IO, "another kind of processor");
  free(bad);
  hl_blob *needy =
      rt_compile("extern void nowhere(void); void add(const void *b, long x, long y, void *s) { nowhere(); }");
  refuse(f, "add", HLR_IMAGE_ELF_SO, hl_blob_data(needy), hl_blob_size(needy), HL_ERR_IO, "cannot load");
  hl_blob_release(needy);
  close_cpu(f);
}

/* Each loaded kernel holds a descriptor: running out of them is said, not suffered. */
static void test_descriptor_limit(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = open_cpu(1, NULL, NULL);
  struct rlimit old, few;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
  few = (struct rlimit){40, old.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
  hl_plan *plans[40];
  simple s;
  simple_init(&s, "add", image, 1, 0);
  int count = 0;
  hl_status status = HL_OK;
  while (count < 40 && !(status = hlr_plan_create(f->dev, &s.program, &d, &plans[count])))
    count++;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
  assert_int_equal(status, HL_ERR_IO);
  if (!strstr(d.message, "ulimit -n"))
    fail_msg("%s", d.message);
  while (count > 0)
    hl_plan_destroy(plans[--count]);
  close_cpu(f);
}

static int descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 256; fd++)
    count += lseek(fd, 0, SEEK_CUR) >= 0 || access("/dev/null", F_OK) != 0;
  return count;
}

/* Descriptor numbers are used again, and still each plan runs its own code. */
static void test_reload(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = open_cpu(2, NULL, NULL);
  int before = descriptors();
  for (int round = 0; round < 20; round++) {
    hl_plan *plans[3];
    for (int i = 0; i < 3; i++) {
      char source[256];
      snprintf(source, sizeof source,
               "struct b { long *out; }; void add(const void *b, long x, long y, void *s) {"
               " for (; x < y; x++) ((const struct b *)b)->out[x] = %d; }",
               round * 3 + i);
      hl_blob *blob = round < 3 ? rt_compile(source) : hli_blob_create(NULL, hl_blob_data(image), hl_blob_size(image));
      simple s;
      simple_init(&s, "add", blob, 1, 0);
      assert_ok(hlr_plan_create(f->dev, &s.program, &d, &plans[i]), d);
      hl_blob_release(blob); /* the plan keeps what it needs */
    }
    for (int i = 0; i < 3; i++) {
      int64_t out[4] = {0};
      assert_ok(start(f, plans[i], NULL, out, 4, 11, &d), d);
      assert_ok(hl_device_synchronize(f->dev, &d), d);
      assert_int_equal(out[3], round < 3 ? round * 3 + i : 11);
    }
    for (int i = 0; i < 3; i++)
      hl_plan_destroy(plans[i]);
  }
  assert_int_equal(descriptors(), before);
  close_cpu(f);
}

static void test_prepared(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = open_cpu(2, NULL, NULL);
  hl_plan *plan = plan_of(f, "slow", 4, 0);
  static int64_t out[64];
  memset(out, 0, sizeof out);
  rt_vector t;
  rt_tensor(&t, f->dev, out, HL_I64, 1, 64, 0, 0);
  hl_arg args[] = {rt_arg(&t), rt_i64(3)};
  hl_prepared *p;
  assert_ok(hl_prepared_create(plan, args, 2, NULL, &d, &p), d);
  for (int i = 0; i < 1000; i++)
    assert_int_equal(hl_prepared_launch(p, NULL), HL_OK);
  hl_prepared_destroy(p); /* queued launches have their own copy of the block */
  assert_ok(hl_device_synchronize(f->dev, &d), d);
  for (int i = 0; i < 64; i++)
    assert_int_equal(out[i], 3000);
  hl_function fn;
  assert_ok(hl_plan_function(plan, &d, &fn), d);
  assert_int_equal(((hl_status(*)(void *, const hl_tensor *, int64_t))fn)(NULL, &t.tensor, 1), HL_OK);
  assert_ok(hl_device_synchronize(f->dev, &d), d);
  assert_int_equal(out[63], 3001);
  hl_plan_destroy(plan);
  close_cpu(f);
}

static int compile_kernels(void **state) {
  (void)state;
  image = rt_compile(kernels);
  return image ? 0 : -1;
}

static int drop_kernels(void **state) {
  (void)state;
  hl_blob_release(image);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_backlog),
      cmocka_unit_test(test_background),
      cmocka_unit_test(test_many_users),
      cmocka_unit_test(test_wait),
      cmocka_unit_test(test_stream_limit),
      cmocka_unit_test(test_scratch),
      cmocka_unit_test(test_scratch_failure),
      cmocka_unit_test(test_rounding),
      cmocka_unit_test(test_hook),
      cmocka_unit_test(test_images),
      cmocka_unit_test(test_reload),
      cmocka_unit_test(test_descriptor_limit),
      cmocka_unit_test(test_prepared),
  };
  return cmocka_run_group_tests(tests, compile_kernels, drop_kernels);
}
