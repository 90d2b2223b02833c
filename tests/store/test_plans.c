/* Plans and the cache: what is compiled once is loaded afterwards, by anybody; trouble with what is stored never
 * fails a plan. */
#include "pu.h"
#include "src/plan/cache.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORBID (&(pu_options){.policy = HL_COMPILE_FORBID})

static void fill(su *t, int64_t n) {
  pu p;
  hl_diag diag = {.message = ""};
  pu_open(&p, t, NULL);
  if (pu_run(&p, n, NULL, &diag) != HL_OK)
    fail_msg("%s", diag.message);
  assert_int_equal(p.compiled, 1);
  assert_int_equal(p.warnings, 0);
  pu_close(&p);
}

static void has(const hl_diag *d, const char *words) {
  if (!strstr(d->message, words))
    fail_msg("\"%s\" does not say \"%s\"", d->message, words);
}

/* ---- hit and miss ---------------------------------------------------------------------- */

static void test_second(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  char key[HL_CACHE_KEY], path[256];
  pu p;
  fill(t, 1000);
  pu_open(&p, t, FORBID);
  if (pu_run(&p, 1000, NULL, &diag) != HL_OK)
    fail_msg("%s", diag.message);
  assert_int_equal(diag.status, HL_OK); /* untouched */
  assert_true(pu_entry(&p, HL_CACHE_CODE, 0, key, NULL, 0));
  (void)snprintf(path, sizeof path, "code/%s.so", key);
  assert_true(su_exists(t, path));
  pu_close(&p);
}

static void test_forbidden(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  pu p;
  pu_open(&p, t, FORBID);
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_ERR_FORBIDDEN);
  has(&diag, "scale");
  has(&diag, "HL_COMPILE_FORBID");
  has(&diag, t->dir);
  pu_close(&p);
  pu_open(&p, t, &(pu_options){.policy = HL_COMPILE_FORBID, .dir = ""});
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_ERR_FORBIDDEN);
  has(&diag, "there is none");
  pu_close(&p);
}

/* Anything that the code depends on makes another key. */
static void test_misses(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  pu p;
  fill(t, 1000);
  pu_open(&p, t, FORBID);
  assert_int_equal(pu_run(&p, 1001, NULL, &diag), HL_ERR_FORBIDDEN);
  assert_int_equal(pu_run(&p, 1000, "{\"block_sizes\":[32]}", &diag), HL_ERR_FORBIDDEN);
  pu_close(&p);
  pu_open(&p, t, &(pu_options){.policy = HL_COMPILE_FORBID, .factor = 3});
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_ERR_FORBIDDEN);
  pu_close(&p);
}

static void test_strides(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  pu p;
  hl_plan *plan;
  _Alignas(64) static float x[2000], y[2000];
  int64_t n = 500, one = 1, two = 2;
  pu_open(&p, t, NULL);
  hl_tensor a = {.data = x,
                 .device = {HL_DEVICE_CPU, 0},
                 .ndim = 1,
                 .dtype = hl_dtype_to_dl(HL_F32),
                 .shape = &n,
                 .strides = &one},
            b = a;
  b.data = y;
  const hl_arg args[2] = {{.kind = HL_ARG_TENSOR, .as.tensor = &a}, {.kind = HL_ARG_TENSOR, .as.tensor = &b}};
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.args = args, o.arg_count = 2;
  for (int round = 0; round < 2; round++) {
    a.strides = &one, a.data = x;
    assert_int_equal(hl_plan_create(p.dev, p.k, &o, &diag, &plan), HL_OK);
    hl_plan_destroy(plan);
    a.strides = &two;
    assert_int_equal(hl_plan_create(p.dev, p.k, &o, &diag, &plan), HL_OK);
    hl_plan_destroy(plan);
    a.strides = &one, a.data = x + 1; /* of another alignment */
    assert_int_equal(hl_plan_create(p.dev, p.k, &o, &diag, &plan), HL_OK);
    hl_plan_destroy(plan);
    assert_int_equal(p.compiled, 3);
  }
  pu_close(&p);
}

/* What only other machines and builds change. */
static void test_keys(void **state) {
  su *t = *state;
  pu p;
  hli_digest a, b;
  pu_open(&p, t, NULL);
  const hl_shape_binding n = {"N", 1000}, m = {"N", 1004}, far = {"N", 2000};
  hl_device_info info;
  hli_problem q = {.kernel = p.k, .built = p.k, .shape = &n, .shape_count = 1}, r;
  assert_int_equal(hli_device_target(p.dev, &info, NULL, &q), HL_OK);
  const hli_digest here = hli_machine_digest(), elsewhere = {here.lo + 1, here.hi};
  assert_true(hli_code_key(&q, here, su_str("default"), &a) && hli_code_key(&q, elsewhere, su_str("default"), &b));
  assert_true(a.lo != b.lo);
  assert_true(hli_code_key(&q, here, su_str("{}"), &b) && a.lo != b.lo);
  assert_true(hli_code_key(&q, here, su_str("default"), &b) && a.lo == b.lo && a.hi == b.hi);
  r = q, r.shape = &m; /* exact sizes */
  assert_true(hli_code_key(&r, here, su_str("default"), &b) && a.lo != b.lo);
  /* Tuning: sizes of one class share a configuration, kinds of devices do not. */
  assert_true(hli_tuning_key(&q, &a));
  r = q, r.shape = &(hl_shape_binding){"N", 1016};
  assert_true(hli_tuning_key(&r, &b) && a.lo == b.lo);
  r.shape = &far;
  assert_true(hli_tuning_key(&r, &b) && a.lo != b.lo);
  r = q, r.device = "another";
  assert_true(hli_tuning_key(&r, &b) && a.lo != b.lo);
  r = q, r.units = q.units + 1;
  assert_true(hli_tuning_key(&r, &b) && a.lo != b.lo);
  pu_close(&p);
}

/* The assembler is part of the key of code for a GPU. */
static void test_assembler(void **state) {
  su *t = *state;
  pu p;
  hli_digest a, b;
  char path[256], *old = getenv("HL_PTXAS"), saved[512] = "";
  if (old)
    (void)snprintf(saved, sizeof saved, "%s", old);
  pu_open(&p, t, NULL);
  hli_problem q = {.kernel = p.k, .built = p.k, .device = ""};
  assert_int_equal(hl_target_find(su_str("nvptx:sm_90a"), NULL, &q.target), HL_OK);
  assert_int_equal(setenv("HL_PTXAS", "/bin/sh", 1), 0);
  assert_true(hli_code_key(&q, (hli_digest){0, 0}, su_str("default"), &a));
  assert_true(hli_code_key(&q, (hli_digest){1, 1}, su_str("default"), &b) && a.lo == b.lo); /* not this processor */
  su_path(t, "ptxas", path);
  (void)mkdir(t->dir, 0700);
  (void)su_copy("/bin/true", path);
  assert_int_equal(chmod(path, 0700), 0);
  assert_int_equal(setenv("HL_PTXAS", path, 1), 0);
  assert_true(hli_code_key(&q, (hli_digest){0, 0}, su_str("default"), &b) && a.lo != b.lo);
  const struct timespec times[2] = {{1000, 0}, {1000, 0}};
  assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0); /* another one in its place */
  assert_true(hli_code_key(&q, (hli_digest){0, 0}, su_str("default"), &a) && a.lo != b.lo);
  if (saved[0])
    (void)setenv("HL_PTXAS", saved, 1);
  else
    (void)unsetenv("HL_PTXAS");
  pu_close(&p);
}

static void test_two_contexts(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  char key[HL_CACHE_KEY];
  pu a, b;
  hl_plan *x, *y;
  pu_open(&a, t, NULL);
  pu_open(&b, t, NULL);
  assert_int_equal(pu_plan(&a, 1000, NULL, &diag, &x), HL_OK);
  assert_int_equal(pu_plan(&b, 1000, NULL, &diag, &y), HL_OK);
  assert_int_equal(a.compiled + b.compiled, 1);
  assert_true(pu_entry(&b, HL_CACHE_CODE, 0, key, NULL, 0));
  assert_int_equal(hl_cache_drop(b.ctx, key, &diag), HL_OK); /* under what is loaded */
  pu_launch(&a, x, 1000);
  hl_plan_destroy(x);
  pu_launch(&b, y, 1000);
  hl_plan_destroy(y);
  assert_int_equal(pu_run(&a, 1000, NULL, &diag), HL_OK);
  assert_int_equal(a.compiled + b.compiled, 2);
  pu_close(&a);
  pu_close(&b);
}

/* ---- no cache --------------------------------------------------------------------------------- */

static void test_off(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  hl_cache_list *list;
  pu p;
  pu_open(&p, t, &(pu_options){.dir = ""});
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_OK);
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_OK);
  assert_int_equal(p.compiled, 2);
  assert_int_equal(p.warnings, 0);
  assert_int_equal(hl_cache_list_create(p.ctx, &diag, &list), HL_ERR_IO);
  has(&diag, "cache_dir");
  pu_close(&p);
  assert_int_not_equal(access(t->dir, F_OK), 0);
}

static void test_refused(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  hl_cache_list *list;
  pu p;
  assert_int_equal(mkdir(t->dir, 0700), 0);
  assert_int_equal(chmod(t->dir, 0777), 0);
  pu_open(&p, t, NULL);
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_OK);
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_OK);
  assert_int_equal(p.warnings, 1); /* said once */
  assert_non_null(strstr(p.last, "may be written by others"));
  assert_int_equal(hl_cache_list_create(p.ctx, &diag, &list), HL_ERR_IO);
  has(&diag, "may be written by others");
  pu_close(&p);
}

static int use_read_only(void *arg) {
  su *t = arg;
  pu p;
  hl_diag diag = {.message = ""};
  if (geteuid() == 0 && setuid(65534) != 0)
    return 1;
  pu_open(&p, t, NULL);
  const hl_status hit = pu_run(&p, 1000, NULL, &diag), miss = pu_run(&p, 2000, NULL, &diag);
  const int compiled = p.compiled;
  pu_close(&p);
  return hit == HL_OK && miss == HL_OK && compiled == 1 ? 0 : 2;
}

static void test_read_only(void **state) {
  su *t = *state;
  char path[256];
  fill(t, 1000);
  su_path(t, "code", path);
  assert_int_equal(chmod(path, 0755), 0);
  assert_int_equal(chmod(t->dir, 0555), 0);
  *strrchr(strcpy(path, t->dir), '/') = '\0';
  assert_int_equal(chmod(path, 0755), 0);
  (void)chmod(t->data, 0644);
  su_path(t, "code", path);
  char command[600];
  (void)snprintf(command, sizeof command, "chmod 644 %s/*.so", path);
  assert_int_equal(system(command), 0);
  if (geteuid() != 0)
    assert_true(su_exited(su_child(use_read_only, t), 0));
  else /* root's folder, another user's process */
    assert_true(su_exited(su_child(use_read_only, t), 0));
}

/* ---- damage -------------------------------------------------------------------------------------- */

static void damaged(su *t, void (*damage)(const char *path)) {
  hl_diag diag = {.message = ""};
  char key[HL_CACHE_KEY], below[128], path[256];
  pu p;
  fill(t, 1000);
  pu_open(&p, t, NULL);
  assert_true(pu_entry(&p, HL_CACHE_CODE, 0, key, NULL, 0));
  (void)snprintf(below, sizeof below, "code/%s.so", key);
  su_path(t, below, path);
  damage(path);
  if (pu_run(&p, 1000, NULL, &diag) != HL_OK)
    fail_msg("%s", diag.message);
  assert_int_equal(p.compiled, 1);
  pu_close(&p);
  pu_open(&p, t, FORBID); /* and it is there again */
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_OK);
  pu_close(&p);
}

static void flip(const char *path) {
  char byte;
  int fd = open(path, O_RDWR);
  assert_true(fd >= 0 && pread(fd, &byte, 1, 1000) == 1);
  byte ^= 1;
  assert_int_equal(pwrite(fd, &byte, 1, 1000), 1);
  (void)close(fd);
}

static void cut(const char *path) {
  assert_int_equal(truncate(path, 100), 0);
}

static void lose(const char *path) {
  assert_int_equal(unlink(path), 0);
}

static void test_damaged(void **state) {
  damaged(*state, flip);
}

static void test_truncated(void **state) {
  damaged(*state, cut);
}

static void test_lost(void **state) {
  damaged(*state, lose);
}

/* Sound by its checksums and yet no code: compiled again, once, with a line in the log. */
static void test_unusable(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  char hex[HL_CACHE_KEY];
  hli_digest key;
  hli_store_record r;
  pu p;
  fill(t, 1000);
  pu_open(&p, t, NULL);
  assert_true(pu_entry(&p, HL_CACHE_CODE, 0, hex, NULL, 0) && hli_digest_parse(su_str(hex), &key));
  hli_store *s = hli_cache_open(p.ctx);
  assert_true(hli_store_file_get(s, key, &r));
  assert_true(hli_store_file_put(s, key, r.provenance, r.payload, su_str("not an object")));
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_OK);
  assert_int_equal(p.compiled, 1);
  assert_int_equal(p.warnings, 1);
  assert_non_null(strstr(p.last, "scale"));
  assert_true(hli_store_file_put(s, key, r.provenance, su_str("no descriptor"), r.content)); /* silently */
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_OK);
  assert_int_equal(p.compiled, 2);
  hli_store_record_release(&r);
  pu_close(&p);
}

/* Every length of a descriptor, and every byte of it changed: refused or read, never more than is there. */
static void test_descriptor(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  char hex[HL_CACHE_KEY];
  hli_digest key;
  hli_store_record r;
  size_t used;
  pu p;
  fill(t, 1000);
  pu_open(&p, t, NULL);
  assert_true(pu_entry(&p, HL_CACHE_CODE, 0, hex, NULL, 0) && hli_digest_parse(su_str(hex), &key));
  assert_true(hli_store_file_get(hli_cache_open(p.ctx), key, &r));
  for (size_t n = 0; n <= r.payload.len; n++) {
    char *exact = malloc(n + !n); /* so that a sanitizer sees the end */
    assert_non_null(exact);
    memcpy(exact, r.payload.ptr, n);
    hlr_program *q = hli_program_read(NULL, (hl_str){exact, n}, &used);
    assert_true((q != NULL) == (n == r.payload.len));
    hli_program_free(NULL, q);
    free(exact);
  }
  char *copy = malloc(r.payload.len);
  assert_non_null(copy);
  for (size_t n = 0; n < r.payload.len; n++) {
    hl_plan *plan = NULL;
    memcpy(copy, r.payload.ptr, r.payload.len);
    copy[n] = (char)(copy[n] ^ 0x80);
    hlr_program *q = hli_program_read(NULL, (hl_str){copy, r.payload.len}, &used);
    if (q && n % 8 == 0 && q->step_count == 1) { /* the plan's own check, with no image to load */
      hl_blob *none = hli_blob_create(NULL, "", 0);
      q->steps[0].image = none;
      assert_int_not_equal(hlr_plan_create(p.dev, q, &diag, &plan), HL_OK);
      hl_blob_release(none);
    }
    hli_program_free(NULL, q);
  }
  free(copy);
  hli_store_record_release(&r);
  pu_close(&p);
}

/* ---- many at once ---------------------------------------------------------------------------------- */

typedef struct racer {
  su *t;
  int report;
} racer;

static int race(void *arg) {
  racer *r = arg;
  pu p;
  hl_diag diag = {.message = ""};
  pu_open(&p, r->t, NULL);
  const hl_status s = pu_run(&p, 3000, NULL, &diag);
  const char c = (char)('0' + p.compiled);
  pu_close(&p);
  return s == HL_OK && write(r->report, &c, 1) == 1 ? 0 : 1;
}

/* Of many processes that want the same kernel, one compiles. */
static void test_single_flight(void **state) {
  enum { N = 6 };
  pid_t pids[N];
  int ends[2], compiled = 0;
  char c;
  assert_int_equal(pipe(ends), 0);
  racer r = {*state, ends[1]};
  for (int i = 0; i < N; i++)
    pids[i] = su_spawn(race, &r);
  (void)close(ends[1]);
  for (int i = 0; i < N; i++) {
    int status;
    assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
    assert_true(su_exited(status, 0));
  }
  while (read(ends[0], &c, 1) == 1)
    compiled += c - '0';
  (void)close(ends[0]);
  assert_int_equal(compiled, 1);
}

static void *race_thread(void *arg) {
  hl_diag diag = {.message = ""};
  return pu_run(arg, 3000, NULL, &diag) == HL_OK ? NULL : arg;
}

static void test_threads(void **state) {
  su *t = *state;
  pthread_t id[4];
  void *wrong;
  pu p;
  pu_open(&p, t, NULL);
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&id[i], NULL, race_thread, &p), 0);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(pthread_join(id[i], &wrong), 0);
    assert_null(wrong);
  }
  assert_int_equal(pu_count(&p, HL_CACHE_CODE), 1);
  pu_close(&p);
}

/* ---- configurations ------------------------------------------------------------------------------------ */

static void put_config(pu *p, int64_t n, const char *json) {
  const hl_shape_binding shape = {"N", n};
  const hl_target *target;
  hl_config *c;
  hl_diag diag = {.message = ""};
  assert_int_equal(hl_target_find(su_str("host"), NULL, &target), HL_OK);
  assert_int_equal(hl_config_parse(p->k, &shape, 1, target, su_str(json), &diag, &c), HL_OK);
  if (hl_cache_put_config(p->dev, p->k, &shape, 1, c, su_str("{\"ms\":0.5}"), &diag) != HL_OK)
    fail_msg("%s", diag.message);
  hl_config_destroy(c);
}

static void test_tuned(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  char key[HL_CACHE_KEY], config[256];
  hl_blob *text;
  pu p;
  pu_open(&p, t, NULL);
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_OK);
  put_config(&p, 1000, "{\"block_sizes\":[32],\"unroll\":2}");
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_OK); /* other code now */
  assert_int_equal(p.compiled, 2);
  assert_int_equal(pu_run(&p, 1016, NULL, &diag), HL_OK); /* of the same class */
  bool used = false;
  for (uint32_t i = 0; pu_entry(&p, HL_CACHE_CODE, i, key, config, sizeof config); i++)
    used |= strstr(config, "\"block_sizes\":[32]") != NULL;
  assert_true(used);
  assert_true(pu_entry(&p, HL_CACHE_TUNING, 0, key, config, sizeof config));
  assert_int_equal(hl_cache_show(p.ctx, key, &diag, &text), HL_OK);
  assert_non_null(strstr(hl_blob_data(text), "\"ms\": 0.5"));
  assert_non_null(strstr(hl_blob_data(text), "block_sizes"));
  hl_blob_release(text);
  pu_close(&p);
}

/* One that no longer fits gives way to the default. */
static void test_tuned_illegal(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  char hex[HL_CACHE_KEY];
  hli_digest key;
  pu p;
  pu_open(&p, t, NULL);
  put_config(&p, 1000, "{\"block_sizes\":[32]}");
  assert_true(pu_entry(&p, HL_CACHE_TUNING, 0, hex, NULL, 0) && hli_digest_parse(su_str(hex), &key));
  hli_store *s = hli_cache_open(p.ctx);
  assert_true(hli_store_put(s, HLI_STORE_TUNING, key, su_str("{}"), su_str("{\"block_sizes\":[33]}")));
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_OK);
  assert_true(hli_store_put(s, HLI_STORE_TUNING, key, su_str("{}"), su_str("nonsense")));
  assert_int_equal(pu_run(&p, 1000, NULL, &diag), HL_OK);
  assert_int_equal(p.warnings, 0);
  pu_close(&p);
}

/* ---- images in records ------------------------------------------------------------------------------- */

extern const hl_driver hlr_null_driver;

static void gpu_info(void *self, hl_device_info *info) {
  hlr_null_driver.info(self, info);
  (void)snprintf(info->target, sizeof info->target, "nvptx:sm_80");
}

/* Code for a GPU is in the record, and what loads it gets the same bytes back. */
static void test_gpu_code(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  hl_driver gpu = hlr_null_driver;
  hl_plan *plan;
  pu p;
  gpu.kind = "gpu", gpu.info = gpu_info;
  for (int round = 0; round < 2; round++) {
    pu_open(&p, t,
            &(pu_options){.device = "gpu", .driver = &gpu, .policy = round ? HL_COMPILE_FORBID : HL_COMPILE_WARN});
    if (pu_plan(&p, 1000, NULL, &diag, &plan) != HL_OK)
      fail_msg("%s", diag.message);
    hl_plan_destroy(plan);
    assert_int_equal(p.compiled, !round);
    pu_close(&p);
  }
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, su_setup, su_teardown)
  const struct CMUnitTest tests[] = {
      T(test_second),        T(test_forbidden),    T(test_misses), T(test_strides),       T(test_keys),
      T(test_assembler),     T(test_two_contexts), T(test_off),    T(test_refused),       T(test_read_only),
      T(test_damaged),       T(test_truncated),    T(test_lost),   T(test_unusable),      T(test_descriptor),
      T(test_single_flight), T(test_threads),      T(test_tuned),  T(test_tuned_illegal), T(test_gpu_code),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
