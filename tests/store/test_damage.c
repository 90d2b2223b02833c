/* The records' file: sound ones pass the check whatever was done to them; cut, damaged and foreign ones
 * are recognised before LMDB sees them, set aside, and the store starts empty.
 *
 * Each damaged copy is used in a child process: a fault or a hang there is a failure here.
 * ctest-timeout: 600 */
#include "src/store/check.h"
#include "src/store/internal.h"
#include "util.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RECORDS 300u

static hli_check check(const su *t, char why[HLI_CHECK_WHY]) {
  int fd = open(t->data, O_RDONLY);
  assert_true(fd >= 0);
  hli_check c = hli_check_file(fd, why);
  (void)close(fd);
  return c;
}

/* Some puts, replacements and drops, so that there are several levels, overflow pages and free lists. */
static void fill(su *t) {
  hli_store *s = su_open(t, NULL);
  for (uint64_t i = 0; i < RECORDS; i++)
    assert_true(su_put(s, i * 37));
  for (uint64_t i = 0; i < RECORDS; i += 3)
    assert_true(hli_store_drop(s, HLI_STORE_TUNING, su_key(i * 37)));
  for (uint64_t i = 0; i < RECORDS; i += 7)
    assert_true(su_put(s, i * 37));
  hli_store_close(s);
}

static bool expected(uint64_t i) {
  return i % 3 != 0 || i % 7 == 0;
}

/* Nothing sound is ever called damaged. */
static void test_sound(void **state) {
  su *t = *state;
  char why[HLI_CHECK_WHY];
  uint64_t x = 88172645463325252u;
  hli_store *s = su_open(t, &(hli_store_options){.record_bytes = 300000});
  for (int i = 0; i < 3000; i++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    if (x % 4)
      assert_true(su_put(s, x % 997));
    else
      (void)hli_store_drop(s, HLI_STORE_TUNING, su_key(x % 997));
    if (i % 10 == 0 && check(t, why) != HLI_CHECK_OK)
      fail_msg("after %d changes: %s", i, why);
  }
  hli_store_close(s);
  assert_int_equal(t->warnings, 0);
}

/* Everything a store does, over a file that may be damaged: right or absent, never wrong. */
static int use(void *arg) {
  su *t = arg;
  hli_store *s = su_open(t, NULL);
  (void)alarm(60);
  for (uint64_t i = 0; i < RECORDS; i++)
    if (su_has(s, i * 37) < 0)
      return 2;
  for (uint64_t i = 0; i < 60; i++)
    (void)su_put(s, i * 111);
  for (uint64_t i = 0; i < 60; i += 2)
    (void)hli_store_drop(s, HLI_STORE_TUNING, su_key(i * 111));
  int works = su_put(s, 100000) && su_has(s, 100000) == 1;
  hli_store_close(s);
  return works ? 0 : 3;
}

static void use_copy(su *t, const char *what, long at) {
  int status = su_child(use, t);
  if (!su_exited(status, 0))
    fail_msg("%s at %ld: %s %d", what, at, WIFSIGNALED(status) ? "signal" : "exit",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void clean(su *t) {
  for (int i = 0; i <= 9; i++) {
    char name[300], path[256];
    (void)snprintf(name, sizeof name, "records.mdb.damaged-%d", i);
    su_path(t, name, path);
    (void)unlink(path);
  }
}

static void test_truncated(void **state) {
  su *t = *state;
  char copy[256], why[HLI_CHECK_WHY];
  fill(t);
  su_path(t, "copy", copy);
  const long size = (long)su_copy(t->data, copy);
  int found = 0, pages = 0;
  for (long at = 1; at < size; at += 4096 * 5 + 1000, pages++) {
    (void)su_copy(copy, t->data);
    assert_int_equal(truncate(t->data, at), 0);
    const bool damaged = check(t, why) == HLI_CHECK_DAMAGED;
    found += damaged;
    use_copy(t, "cut", at);
    assert_int_equal(su_exists(t, "records.mdb.damaged-1"), damaged);
    clean(t);
  }
  assert_true(found >= pages - 1); /* the last page may be free */
  (void)unlink(copy);
}

/* Random bytes and words at random places: nothing breaks, whether it is found or not. */
static void test_random(void **state) {
  su *t = *state;
  char copy[256], why[HLI_CHECK_WHY];
  fill(t);
  su_path(t, "copy", copy);
  const size_t size = su_copy(t->data, copy);
  uint64_t x = 1442695040888963407u;
  int found = 0;
  for (int n = 0; n < 80; n++) {
    (void)su_copy(copy, t->data);
    int fd = open(t->data, O_RDWR);
    assert_true(fd >= 0);
    for (int k = 0; k < 1 + n % 40; k++) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      /* Half of them in the first bytes of a page, where it hurts. */
      size_t at = k % 2 ? x % size : x % (size / 4096) * 4096 + (x >> 40) % 64;
      uint64_t junk = n % 3 ? x * 6364136223846793005u : (x >> 20) % 200;
      assert_true(pwrite(fd, &junk, n % 2 ? 2 : 8, (off_t)at) > 0);
    }
    (void)close(fd);
    found += check(t, why) == HLI_CHECK_DAMAGED;
    use_copy(t, "random", n);
    clean(t);
  }
  assert_true(found > 40);
  (void)unlink(copy);
}

/* Each field of the headers and of one page of each kind, set to 0, 1 and all ones. */
static void test_fields(void **state) {
  su *t = *state;
  char copy[256];
  fill(t);
  su_path(t, "copy", copy);
  const size_t size = su_copy(t->data, copy);
  static const uint16_t values[] = {0, 1, 0xFFFF};
  bool seen[16] = {false};
  for (size_t page = 0; page < size / 4096; page++) {
    uint16_t flags;
    int fd = open(copy, O_RDONLY);
    assert_true(fd >= 0 && pread(fd, &flags, 2, (off_t)(page * 4096 + 10)) == 2);
    (void)close(fd);
    if (flags > 8 || (page > 1 && seen[flags]))
      continue;
    seen[flags] = true;
    for (long field = 0; field < (flags == 8 ? 152 : 40); field += flags == 8 ? 4 : 2)
      for (size_t v = 0; v < 3; v++) {
        (void)su_copy(copy, t->data);
        fd = open(t->data, O_RDWR);
        assert_true(fd >= 0 && pwrite(fd, &values[v], 2, (off_t)(page * 4096) + field) == 2);
        (void)close(fd);
        use_copy(t, "field", (long)(page * 4096) + field);
        clean(t);
      }
  }
  assert_true(seen[1] && seen[2] && seen[4] && seen[8]);
  (void)unlink(copy);
}

static void test_garbage(void **state) {
  su *t = *state;
  for (int n = 0; n < 4; n++) {
    hli_store_close(su_open(t, NULL)); /* makes the folder */
    FILE *f = fopen(t->data, "wb");
    assert_non_null(f);
    for (int i = 0; i < (n == 0 ? 10 : 5000 * n); i++)
      (void)fputc(n == 1 ? 0 : i * 37 + n, f);
    (void)fclose(f);
    use_copy(t, "garbage", n);
    assert_true(su_exists(t, "records.mdb.damaged-1"));
    clean(t);
  }
}

/* The tenth damaged file replaces the ninth: a failing disk does not fill itself. */
static void test_many(void **state) {
  su *t = *state;
  for (int n = 0; n < 12; n++) {
    hli_store_close(su_open(t, NULL));
    assert_int_equal(truncate(t->data, 3), 0);
  }
  assert_true(su_exists(t, "records.mdb.damaged-9"));
  assert_false(su_exists(t, "records.mdb.damaged-10"));
  assert_int_equal(t->warnings, 11);
  assert_non_null(strstr(t->last, "set aside as records.mdb.damaged-9, starting empty"));
}

static void test_intact(void **state) {
  su *t = *state;
  fill(t);
  hli_store *s = su_open(t, NULL);
  for (uint64_t i = 0; i < RECORDS; i++)
    assert_int_equal(su_has(s, i * 37), expected(i));
  hli_store_close(s);
}

/* While it is open: cut, and replaced as another process does that sets it aside. */
static void test_while_open(void **state) {
  su *t = *state;
  char other[256];
  fill(t);
  hli_store *s = su_open(t, NULL);
  assert_int_equal(su_has(s, 37), 1);
  assert_int_equal(truncate(t->data, 4096), 0);
  assert_int_equal(su_has(s, 37), 0);
  assert_true(su_exists(t, "records.mdb.damaged-1"));
  assert_true(su_put(s, 5) && su_has(s, 5) == 1);
  su_path(t, "moved", other);
  assert_int_equal(rename(t->data, other), 0);
  assert_int_equal(su_has(s, 5), 0);
  assert_true(su_put(s, 6));
  assert_true(su_exists(t, "records.mdb"));
  assert_int_equal(su_has(s, 6), 1);
  hli_store_close(s);
}

/* A byte of a record's content: the tree is sound, the record is not. */
static void test_content(void **state) {
  su *t = *state;
  hli_store *s = su_open(t, NULL);
  hli_store_record r;
  assert_true(hli_store_put(s, HLI_STORE_CODE, su_key(1), su_str("{}"), su_str("find-me-in-the-file")));
  assert_true(su_put(s, 2));
  hli_store_close(s);
  char data[1 << 16];
  FILE *f = fopen(t->data, "r+b");
  assert_non_null(f);
  const size_t n = fread(data, 1, sizeof data, f);
  int hits = 0;
  for (size_t i = 0; i + 7 < n; i++)
    if (!memcmp(data + i, "find-me", 7)) { /* older versions of the page too */
      (void)fseek(f, (long)i, SEEK_SET);
      (void)fputc('F', f);
      hits++;
    }
  (void)fclose(f);
  assert_true(hits > 0);
  s = su_open(t, NULL);
  assert_false(hli_store_get(s, HLI_STORE_CODE, su_key(1), &r));
  assert_int_equal(t->warnings, 1);
  assert_non_null(strstr(t->last, "checksum"));
  assert_false(hli_store_get(s, HLI_STORE_CODE, su_key(1), &r));
  assert_int_equal(t->warnings, 1); /* told once */
  assert_int_equal(su_has(s, 2), 1);
  assert_true(hli_store_put(s, HLI_STORE_CODE, su_key(1), su_str("{}"), su_str("again")));
  assert_true(hli_store_get(s, HLI_STORE_CODE, su_key(1), &r));
  hli_store_record_release(&r);
  hli_store_close(s);
}

/* The age entry of a record that turned unsound stays behind when it is put again; its turn to be
 * evicted must not take the new record. */
static void test_content_age(void **state) {
  su *t = *state;
  static char file[1 << 20];
  hli_store *s = su_open(t, &(hli_store_options){.record_bytes = 1 << 18});
  hli_store_record r;
  assert_true(hli_store_put(s, HLI_STORE_CODE, su_key(1), su_str(""), su_str("find-me-in-the-file")));
  uint64_t i = 0;
  for (; i < 100; i++)
    assert_true(su_put(s, i));
  int fd = open(t->data, O_RDWR);
  const ssize_t n = pread(fd, file, sizeof file, 0);
  for (ssize_t k = 0; k + 7 < n; k++)
    if (!memcmp(file + k, "find-me", 7))
      assert_int_equal(pwrite(fd, "F", 1, k), 1);
  (void)close(fd);
  assert_false(hli_store_get(s, HLI_STORE_CODE, su_key(1), &r));
  assert_true(hli_store_put(s, HLI_STORE_CODE, su_key(1), su_str(""), su_str("again")));
  for (; !t->infos; i++)
    assert_true(su_put(s, i));
  assert_int_equal(su_has(s, 0), 0);
  assert_true(hli_store_get(s, HLI_STORE_CODE, su_key(1), &r));
  hli_store_record_release(&r);
  hli_store_close(s);
}

/* A page that is in a free list and in use would be handed out to the next writer: nothing would
 * crash, and records would be overwritten. */
static void test_free_list(void **state) {
  su *t = *state;
  uint8_t page[4096];
  char why[HLI_CHECK_WHY];
  uint64_t transaction[2], root, last, id;
  uint16_t at, key_size;
  fill(t);
  int fd = open(t->data, O_RDWR);
  assert_true(fd >= 0);
  for (int m = 0; m < 2; m++)
    assert_int_equal(pread(fd, &transaction[m], 8, m * 4096 + 144), 8);
  const off_t meta = transaction[1] > transaction[0] ? 4096 : 0;
  assert_true(pread(fd, &root, 8, meta + 80) == 8 && pread(fd, &last, 8, meta + 136) == 8);
  assert_int_equal(pread(fd, page, sizeof page, (off_t)(root * 4096)), sizeof page);
  assert_int_equal(page[10], 2);     /* a leaf */
  memcpy(&at, page + 16, sizeof at); /* its first node: header, key, count, ids from the largest */
  memcpy(&key_size, page + at + 6, sizeof key_size);
  const off_t largest = (off_t)(root * 4096) + at + 8 + key_size + 8;
  assert_int_equal(pread(fd, &id, 8, largest), 8);
  assert_in_range(id, 2, last);
  assert_int_equal(check(t, why), HLI_CHECK_OK);
  const uint64_t changed[] = {root, last + 1, 1, 0, id - 1};
  for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
    assert_int_equal(pwrite(fd, &changed[i], 8, largest), 8);
    assert_int_equal(check(t, why), HLI_CHECK_DAMAGED);
  }
  (void)close(fd);
}

/* ---- the stamp ------------------------------------------------------------------------- */

static bool stamped(hli_store *s) {
  int fd = openat(s->folder.fd, "records.mdb", O_RDONLY);
  assert_true(fd >= 0);
  const bool fits = hli_stamp_fits(s, fd);
  (void)close(fd);
  return fits;
}

/* Sound and left alone: known from then on, until anything happens to it. */
static void test_stamp(void **state) {
  su *t = *state;
  char path[256], byte;
  const struct timespec nap = {.tv_nsec = 200000000};
  hli_store *s = su_open(t, NULL);
  assert_true(su_put(s, 1));
  hli_store_close(s);
  s = su_open(t, NULL);
  assert_false(stamped(s)); /* just written: another write might not show */
  hli_store_close(s);
  (void)nanosleep(&nap, NULL);
  s = su_open(t, NULL);
  assert_true(stamped(s));
  assert_int_equal(su_has(s, 1), 1);
  hli_store_close(s);
  s = su_open(t, NULL); /* not walked this time */
  assert_true(stamped(s) && su_has(s, 1) == 1);
  int fd = open(t->data, O_RDWR); /* a byte is written, even the same one */
  struct stat st;
  assert_true(fd >= 0 && fstat(fd, &st) == 0 && pread(fd, &byte, 1, st.st_size - 1) == 1);
  assert_int_equal(pwrite(fd, &byte, 1, st.st_size - 1), 1);
  const struct timespec old[2] = {st.st_atim, st.st_mtim};
  assert_int_equal(futimens(fd, old), 0); /* and its time set back */
  (void)close(fd);
  assert_false(stamped(s));
  hli_store_close(s);
  s = su_open(t, NULL);
  hli_store_close(s);
  (void)nanosleep(&nap, NULL);
  s = su_open(t, NULL);
  assert_true(stamped(s));
  su_path(t, "sound", path);
  fd = open(path, O_RDWR); /* of another boot */
  assert_true(fd >= 0 && pread(fd, &byte, 1, 70) == 1);
  byte ^= 1;
  assert_int_equal(pwrite(fd, &byte, 1, 70), 1);
  (void)close(fd);
  assert_false(stamped(s));
  assert_int_equal(t->warnings, 0);
  hli_store_close(s);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, su_setup, su_teardown)
  const struct CMUnitTest tests[] = {
      T(test_sound),   T(test_intact),  T(test_truncated),   T(test_random),    T(test_fields),     T(test_many),
      T(test_garbage), T(test_content), T(test_content_age), T(test_free_list), T(test_while_open), T(test_stamp),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
