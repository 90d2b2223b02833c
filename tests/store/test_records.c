/* Records and files: what is put is got, replaced, dropped, listed, evicted; two contexts share a folder. */
#include "src/store/internal.h"
#include "util.h"
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_round_trip(void **state) {
  su *t = *state;
  hli_store *s = su_open(t, NULL);
  hli_store_record r;
  assert_true(hli_store_writable(s));
  assert_string_equal(hli_store_path(s), t->dir);
  assert_false(hli_store_get(s, HLI_STORE_TUNING, su_key(1), &r));
  assert_null(r.bytes);
  assert_true(hli_store_put(s, HLI_STORE_TUNING, su_key(1), su_str("{\"by\":1}"), su_str("one")));
  assert_true(hli_store_put(s, HLI_STORE_CODE, su_key(1), su_str(""), (hl_str){"a\0b", 3}));
  hli_store_close(s);
  s = su_open(t, NULL);
  assert_true(hli_store_get(s, HLI_STORE_TUNING, su_key(1), &r));
  assert_true(hli_str_eqz(r.provenance, "{\"by\":1}") && hli_str_eqz(r.payload, "one"));
  hli_store_record_release(&r);
  assert_true(hli_store_get(s, HLI_STORE_CODE, su_key(1), &r)); /* apart from tuning */
  assert_true(r.provenance.len == 0 && r.payload.len == 3 && !memcmp(r.payload.ptr, "a\0b", 3));
  hli_store_record_release(&r);
  assert_true(hli_store_put(s, HLI_STORE_TUNING, su_key(1), su_str("{}"), su_str("two")));
  assert_true(hli_store_get(s, HLI_STORE_TUNING, su_key(1), &r));
  assert_true(hli_str_eqz(r.payload, "two"));
  hli_store_record_release(&r);
  assert_true(hli_store_drop(s, HLI_STORE_TUNING, su_key(1)));
  assert_false(hli_store_drop(s, HLI_STORE_TUNING, su_key(1)));
  assert_false(hli_store_get(s, HLI_STORE_TUNING, su_key(1), &r));
  assert_true(hli_store_get(s, HLI_STORE_CODE, su_key(1), &r));
  hli_store_record_release(&r);
  hli_store_close(s);
  assert_int_equal(t->warnings, 0);
}

/* Only configurations are waited for, at the latest when the store is closed. */
static void test_sync(void **state) {
  su *t = *state;
  hli_store *s = su_open(t, NULL);
  assert_true(hli_store_put(s, HLI_STORE_CODE, su_key(1), su_str("{}"), su_str("code")));
  assert_false(s->unsynced);
  assert_true(su_put(s, 2));
  assert_true(s->unsynced);
  assert_true(hli_store_sync(s));
  assert_false(s->unsynced);
  hli_store_close(s);
  s = su_open(t, &(hli_store_options){.read_only = true});
  assert_false(hli_store_sync(s));
  assert_int_equal(su_has(s, 2), 1);
  hli_store_close(s);
  assert_false(hli_store_sync(NULL));
  assert_int_equal(t->warnings, 0);
}

static bool count_down(void *user, hli_digest key, hl_str provenance, hl_str payload, uint64_t file_bytes) {
  int *left = user;
  assert_true(key.lo && hli_str_eqz(provenance, "{}") && payload.len >= 100 && !file_bytes);
  return --*left > 0;
}

static void test_list(void **state) {
  hli_store *s = su_open(*state, NULL);
  for (uint64_t i = 0; i < 20; i++)
    assert_true(su_put(s, i * 401));
  int left = 100;
  assert_int_equal(hli_store_list(s, HLI_STORE_TUNING, count_down, &left), 20);
  left = 5;
  assert_int_equal(hli_store_list(s, HLI_STORE_TUNING, count_down, &left), 5);
  assert_int_equal(hli_store_list(s, HLI_STORE_CODE, count_down, &left), 0);
  for (uint64_t i = 0; i < 20; i++)
    assert_int_equal(su_has(s, i * 401), 1);
  hli_store_close(s);
}

/* No store is a store that forgets. */
static void test_null(void **state) {
  (void)state;
  hli_store_record r;
  hli_store_flight f;
  int left = 1;
  assert_false(hli_store_get(NULL, HLI_STORE_CODE, su_key(1), &r));
  assert_false(hli_store_file_get(NULL, su_key(1), &r));
  assert_false(hli_store_put(NULL, HLI_STORE_CODE, su_key(1), su_str(""), su_str("x")));
  assert_false(hli_store_file_put(NULL, su_key(1), su_str(""), su_str("p"), su_str("x")));
  assert_false(hli_store_drop(NULL, HLI_STORE_CODE, su_key(1)));
  assert_int_equal(hli_store_list(NULL, HLI_STORE_CODE, count_down, &left), 0);
  hli_store_single_flight_begin(NULL, HLI_STORE_CODE, su_key(1), 10, &f);
  assert_false(f.alone);
  hli_store_single_flight_end(NULL, &f);
  assert_string_equal(hli_store_path(NULL), "");
  assert_false(hli_store_writable(NULL));
  hli_store_close(NULL);
}

static void so_path(const su *t, uint64_t key, char out[256]) {
  char hex[33], name[64];
  hli_digest_text(su_key(key), hex);
  (void)snprintf(name, sizeof name, "code/%s.so", hex);
  su_path(t, name, out);
}

static void test_file(void **state) {
  su *t = *state;
  hli_store *s = su_open(t, NULL);
  hli_store_record r;
  char path[256];
  static char big[300000];
  for (size_t i = 0; i < sizeof big; i++)
    big[i] = (char)(i * i >> 7);
  assert_false(hli_store_file_get(s, su_key(1), &r));
  assert_true(hli_store_file_put(s, su_key(1), su_str("{\"k\":2}"), su_str("p"), (hl_str){big, sizeof big}));
  const long before = t->count;
  assert_true(hli_store_file_get(s, su_key(1), &r));
  assert_int_equal(t->count - before, 4); /* a blob of the record and one of all: the file is read to where it stays */
  assert_true(hli_str_eqz(r.provenance, "{\"k\":2}"));
  assert_true(hli_str_eqz(r.payload, "p"));
  assert_int_equal(r.content.len, sizeof big);
  assert_memory_equal(r.content.ptr, big, sizeof big);
  hli_store_record_release(&r);
  assert_true(hli_store_get(s, HLI_STORE_CODE, su_key(1), &r)); /* the record alone */
  assert_true(hli_str_eqz(r.payload, "p") && !r.content.len);
  hli_store_record_release(&r);
  assert_true(hli_store_file_put(s, su_key(1), su_str("{}"), su_str("p"), su_str("new"))); /* replaced */
  assert_true(hli_store_file_get(s, su_key(1), &r));
  assert_true(hli_str_eqz(r.content, "new"));
  hli_store_record_release(&r);
  so_path(t, 1, path);
  assert_int_equal(access(path, F_OK), 0);
  assert_true(hli_store_drop(s, HLI_STORE_CODE, su_key(1)));
  assert_int_not_equal(access(path, F_OK), 0);
  assert_false(hli_store_file_get(s, su_key(1), &r));
  hli_store_close(s);
}

/* A file that is changed, cut, gone or open to others is never handed out, and its record goes. */
static void test_file_damage(void **state) {
  su *t = *state;
  hli_store *s = su_open(t, NULL);
  hli_store_record r;
  char path[256];
  for (int how = 0; how < 5; how++) {
    assert_true(hli_store_file_put(s, su_key(7), su_str("{}"), su_str("p"), su_str("the code of a kernel")));
    so_path(t, 7, path);
    if (how == 0) {
      FILE *f = fopen(path, "r+b");
      assert_non_null(f);
      (void)fseek(f, 4, SEEK_SET);
      (void)fputc('X', f);
      (void)fclose(f);
    } else if (how == 1) {
      assert_int_equal(truncate(path, 5), 0);
    } else if (how == 2) {
      assert_int_equal(unlink(path), 0);
    } else if (how == 3) {
      assert_int_equal(chmod(path, 0666), 0);
    } else {
      assert_int_equal(unlink(path), 0);
      assert_int_equal(symlink("/bin/sh", path), 0);
    }
    assert_false(hli_store_file_get(s, su_key(7), &r));
    assert_null(r.bytes);
    assert_false(hli_store_get(s, HLI_STORE_CODE, su_key(7), &r));
  }
  hli_store_close(s);
}

/* The oldest go, the newest stay, and the log says so. */
static void test_full(void **state) {
  su *t = *state;
  hli_store *s = su_open(t, &(hli_store_options){.record_bytes = 1 << 20});
  for (uint64_t i = 0; i < 2000; i++)
    assert_true(su_put(s, i));
  assert_true(t->infos > 0);
  assert_non_null(strstr(t->last, "oldest records were removed"));
  uint64_t first = 0;
  while (first < 2000 && su_has(s, first) == 0)
    first++;
  assert_in_range(first, 1000, 1900); /* of about 1100 bytes on average, in a MiB */
  for (uint64_t i = first; i < 2000; i++)
    assert_int_equal(su_has(s, i), 1); /* by age: no gaps */
  static char huge[1 << 20];
  assert_false(hli_store_put(s, HLI_STORE_TUNING, su_key(9), su_str(""), (hl_str){huge, sizeof huge}));
  assert_int_equal(t->warnings, 1);
  assert_int_equal(su_has(s, 1999), 1);
  struct stat st;
  assert_int_equal(stat(t->data, &st), 0);
  assert_true(st.st_size <= 3 << 20);
  hli_store_close(s);
}

static void test_full_files(void **state) {
  su *t = *state;
  hli_store *s = su_open(t, &(hli_store_options){.file_bytes = 10000});
  hli_store_record r;
  char path[256];
  static const char kb[1000];
  for (uint64_t i = 0; i < 15; i++)
    assert_true(hli_store_file_put(s, su_key(i), su_str(""), su_str("p"), (hl_str){kb, sizeof kb}));
  assert_false(hli_store_file_get(s, su_key(0), &r));
  so_path(t, 0, path);
  assert_int_not_equal(access(path, F_OK), 0);
  assert_true(hli_store_file_get(s, su_key(14), &r));
  hli_store_record_release(&r);
  assert_true(hli_store_file_get(s, su_key(8), &r));
  hli_store_record_release(&r);
  hli_store_close(s);
}

/* A put again is the newest again. */
static void test_age(void **state) {
  hli_store *s = su_open(*state, &(hli_store_options){.record_bytes = 1 << 18});
  assert_true(su_put(s, 0));
  for (uint64_t i = 1; i < 400; i++) {
    assert_true(su_put(s, i));
    if (i % 20 == 0)
      assert_true(su_put(s, 0));
  }
  assert_int_equal(su_has(s, 0), 1);
  assert_int_equal(su_has(s, 1), 0);
  hli_store_close(s);
}

typedef struct worker {
  hli_store *store;
  uint64_t base;
  int wrong;
} worker;

static void *work(void *arg) {
  worker *w = arg;
  for (uint64_t i = 0; i < 100; i++) {
    w->wrong += !su_put(w->store, w->base + i);
    w->wrong += su_has(w->store, w->base + i / 2) != 1;
    w->wrong += su_has(w->store, i) < 0;
  }
  return NULL;
}

/* Two contexts of one process, two threads each, one folder. */
static void test_two_contexts(void **state) {
  su *t = *state;
  su *other;
  assert_int_equal(su_setup((void **)&other), 0);
  hli_store *a = su_open(t, NULL), *b;
  assert_int_equal(hli_store_open(other->ctx, t->dir, NULL, NULL, &b), HL_OK);
  worker w[4] = {{a, 0, 0}, {a, 1000, 0}, {b, 2000, 0}, {b, 3000, 0}};
  pthread_t id[4];
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&id[i], NULL, work, &w[i]), 0);
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_join(id[i], NULL), 0);
  for (int i = 0; i < 4; i++)
    assert_int_equal(w[i].wrong, 0);
  hli_store_close(a);
  for (uint64_t i = 0; i < 100; i++) /* b lives on */
    assert_int_equal(su_has(b, 1000 + i), 1);
  hli_store_close(b);
  assert_int_equal(su_teardown((void **)&other), 0);
  assert_int_equal(t->warnings, 0);
}

/* Each allocation fails once: nothing breaks, nothing leaks, nothing wrong is found. */
static void test_allocation(void **state) {
  su *t = *state;
  hli_store *s = su_open(t, NULL);
  assert_true(su_put(s, 1));
  assert_true(hli_store_file_put(s, su_key(2), su_str("{}"), su_str("p"), su_str("code")));
  hli_store_close(s);
  const long live = t->live;
  long start = t->count, total = 100;
  for (long n = 0; n < total; n++) {
    hli_store_record r;
    start = t->count;
    t->fail_at = start + n;
    (void)hli_store_open(t->ctx, t->dir, NULL, NULL, &s);
    assert_true(su_has(s, 1) >= 0);
    if (hli_store_file_get(s, su_key(2), &r)) {
      assert_true(hli_str_eqz(r.content, "code"));
      hli_store_record_release(&r);
    }
    (void)su_put(s, 3);
    (void)hli_store_file_put(s, su_key(2), su_str("{}"), su_str("p"), su_str("code"));
    hli_store_close(s);
    if (t->count <= t->fail_at)
      total = n; /* it was not reached: all have failed once */
    t->fail_at = -1;
    assert_int_equal(t->live, live);
  }
  assert_in_range(total, 4, 99);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, su_setup, su_teardown)
  const struct CMUnitTest tests[] = {
      T(test_round_trip), T(test_sync),         T(test_list),       T(test_null),
      T(test_file),       T(test_file_damage),  T(test_full),       T(test_full_files),
      T(test_age),        T(test_two_contexts), T(test_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
