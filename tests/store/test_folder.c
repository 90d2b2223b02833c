/* Folders that are used, and folders that are refused in words. */
#include "util.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Refused: a status, NULL, one warning, and all the words in it. */
static void refused(su *t, const char *path, const hli_store_options *o, const char *const *words) {
  hl_diag diag = {.message = ""};
  hli_store *s = (hli_store *)t;
  t->warnings = 0;
  assert_int_equal(hli_store_open(t->ctx, path, o, &diag, &s), HL_ERR_IO);
  assert_null(s);
  assert_int_equal(t->warnings, 1);
  for (; *words; words++)
    if (!strstr(diag.message, *words))
      fail_msg("no '%s' in: %s", *words, diag.message);
  assert_non_null(strstr(t->last, diag.message));
}

#define WORDS(...)                                                                                                     \
  (const char *const[]) {                                                                                              \
    __VA_ARGS__, NULL                                                                                                  \
  }

static uint32_t another_user(void) {
  return (uint32_t)geteuid() + 1000;
}

static uint64_t nfs(int fd) {
  (void)fd;
  return 0x6969;
}

static uint64_t fuse(int fd) {
  (void)fd;
  return 0x65735546;
}

static uint64_t ext4(int fd) {
  (void)fd;
  return 0xEF53;
}

static void test_network(void **state) {
  su *t = *state;
  hli_store_seams seams = {.fs_type = nfs};
  refused(t, t->dir, &(hli_store_options){.seams = &seams}, WORDS(t->dir, "network", "NFS", "HL_CACHE_DIR"));
  seams.fs_type = fuse;
  refused(t, t->dir, &(hli_store_options){.seams = &seams}, WORDS("FUSE"));
  assert_false(su_exists(t, "records.mdb")); /* not touched */
  seams.fs_type = ext4;
  hli_store *s = su_open(t, &(hli_store_options){.seams = &seams});
  assert_true(su_put(s, 1));
  hli_store_close(s);
}

/* The folder of somebody else; root's own is trusted by all. */
static void test_owner(void **state) {
  su *t = *state;
  const hli_store_seams seams = {.uid = another_user};
  hli_store_close(su_open(t, NULL));
  if (geteuid() == 0)
    assert_int_equal(chown(t->dir, 54321, (gid_t)-1), 0);
  refused(t, t->dir, &(hli_store_options){.seams = &seams}, WORDS("belongs to user", "HL_CACHE_DIR"));
  if (geteuid() == 0)
    assert_int_equal(chown(t->dir, 0, (gid_t)-1), 0);
}

static void test_modes(void **state) {
  su *t = *state;
  hli_store_close(su_open(t, NULL));
  struct stat st;
  assert_int_equal(stat(t->dir, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0700); /* made for nobody else */
  assert_int_equal(stat(t->data, &st), 0);
  assert_int_equal(st.st_mode & 077, 0);
  assert_int_equal(chmod(t->dir, 0777), 0);
  refused(t, t->dir, NULL, WORDS("written by others", "777", "chmod"));
  assert_int_equal(chmod(t->dir, 0770), 0);
  refused(t, t->dir, NULL, WORDS("written by others", "770"));
  assert_int_equal(chmod(t->dir, 0755), 0);
  assert_int_equal(chmod(t->data, 0666), 0);
  refused(t, t->dir, NULL, WORDS("records.mdb may be written by others", "working without"));
  assert_int_equal(chmod(t->data, 0600), 0);
  hli_store *s = su_open(t, NULL);
  assert_true(su_put(s, 1));
  hli_store_close(s);
}

/* Where the records should be there is something else. */
static void test_not_a_file(void **state) {
  su *t = *state;
  hli_store_close(su_open(t, NULL));
  assert_int_equal(unlink(t->data), 0);
  assert_int_equal(mkfifo(t->data, 0600), 0); /* opening it must not wait for a writer */
  hli_store *s;
  assert_int_equal(hli_store_open(t->ctx, t->dir, NULL, NULL, &s), HL_ERR_IO);
  assert_int_equal(unlink(t->data), 0);
  assert_int_equal(symlink("/etc/passwd", t->data), 0);
  assert_int_equal(hli_store_open(t->ctx, t->dir, NULL, NULL, &s), HL_ERR_IO);
  assert_int_equal(unlink(t->data), 0);
  assert_int_equal(mkdir(t->data, 0700), 0);
  assert_int_equal(hli_store_open(t->ctx, t->dir, NULL, NULL, &s), HL_ERR_IO);
}

static void test_no_folder(void **state) {
  su *t = *state;
  char path[256], longer[3000];
  hli_store_close(su_open(t, NULL));
  (void)snprintf(path, sizeof path, "%s/records.mdb", t->dir);
  refused(t, path, NULL, WORDS("records.mdb", "Not a directory"));
  (void)snprintf(path, sizeof path, "%s/records.mdb/below", t->dir);
  refused(t, path, NULL, WORDS("cannot be made"));
  refused(t, "", NULL, WORDS("empty"));
  memset(longer, 'a', sizeof longer);
  longer[sizeof longer - 1] = '\0';
  refused(t, longer, NULL, WORDS("longer than"));
  (void)snprintf(path, sizeof path, "%s/none", t->dir);
  refused(t, path, &(hli_store_options){.read_only = true}, WORDS("No such file"));
}

/* HL_CACHE_DIR, XDG_CACHE_HOME/hl, HOME/.cache/hl; in a child, for the environment's sake. */
static int defaults(void *arg) {
  su *t = arg;
  char a[256], b[256], c[256], want[300];
  hli_store *s;
  su_path(t, "a/b", a), su_path(t, "xdg", b), su_path(t, "home", c);
  setenv("HL_CACHE_DIR", a, 1), setenv("XDG_CACHE_HOME", b, 1), setenv("HOME", c, 1);
  for (int i = 0; i < 3; i++) {
    if (i == 0)
      (void)snprintf(want, sizeof want, "%s", a);
    else if (i == 1)
      (void)snprintf(want, sizeof want, "%s/hl", b), setenv("HL_CACHE_DIR", "", 1);
    else
      (void)snprintf(want, sizeof want, "%s/.cache/hl", c), setenv("XDG_CACHE_HOME", "relative", 1);
    if (hli_store_open(t->ctx, NULL, NULL, NULL, &s) != HL_OK || strcmp(hli_store_path(s), want) != 0)
      return 1 + i;
    hli_store_close(s);
  }
  unsetenv("HOME");
  return hli_store_open(t->ctx, NULL, NULL, NULL, &s) == HL_ERR_IO && !s && strstr(t->last, "HL_CACHE_DIR") ? 0 : 9;
}

static void test_defaults(void **state) {
  int status = su_child(defaults, *state);
  assert_true(su_exited(status, 0));
}

/* A relative path stays what it was. */
static int relative(void *arg) {
  su *t = arg;
  hli_store *s;
  hli_store_close(su_open(t, NULL));
  if (chdir(t->dir) != 0 || hli_store_open(t->ctx, "here", NULL, NULL, &s) != HL_OK || chdir("/") != 0)
    return 1;
  int bad = !su_put(s, 1) || su_has(s, 1) != 1 || !su_exists(t, "here/records.mdb");
  hli_store_close(s);
  return bad;
}

static void test_relative(void **state) {
  assert_true(su_exited(su_child(relative, *state), 0));
}

/* As a user who may not write there. */
static int only_read(void *arg) {
  su *t = arg;
  hli_store_record r;
  hli_store_flight f;
  if (geteuid() == 0 && setuid(65534) != 0)
    return 1;
  hli_store *s = su_open(t, NULL);
  if (hli_store_writable(s) || su_has(s, 1) != 1 || su_has(s, 2) != 0)
    return 2;
  if (su_put(s, 2) || hli_store_drop(s, HLI_STORE_TUNING, su_key(1)) ||
      hli_store_file_put(s, su_key(4), su_str(""), su_str("p"), su_str("x")))
    return 3;
  if (!hli_store_file_get(s, su_key(3), &r) || !hli_str_eqz(r.content, "code"))
    return 4;
  hli_store_record_release(&r);
  hli_store_single_flight_begin(s, HLI_STORE_CODE, su_key(1), 10, &f);
  if (f.alone)
    return 5;
  hli_store_single_flight_end(s, &f);
  hli_store_close(s);
  return t->warnings ? 6 : 0;
}

/* Damaged, and nothing can be set aside. */
static int only_read_damaged(void *arg) {
  su *t = arg;
  hli_store *s;
  if (geteuid() == 0 && setuid(65534) != 0)
    return 1;
  return hli_store_open(t->ctx, t->dir, NULL, NULL, &s) == HL_ERR_IO ? 0 : 2;
}

static void test_read_only(void **state) {
  su *t = *state;
  char path[256], name[64], hex[33];
  hli_store *s = su_open(t, NULL);
  assert_true(su_put(s, 1));
  assert_true(hli_store_file_put(s, su_key(3), su_str(""), su_str("p"), su_str("code")));
  hli_store_close(s);
  *strrchr(t->dir, '/') = '\0'; /* the folder above, made for us alone */
  assert_int_equal(chmod(t->dir, 0755), 0);
  t->dir[strlen(t->dir)] = '/';
  su_path(t, "code", path);
  assert_int_equal(chmod(path, 0555), 0);
  hli_digest_text(su_key(3), hex);
  (void)snprintf(name, sizeof name, "code/%s.so", hex);
  su_path(t, name, path);
  assert_int_equal(chmod(path, 0444), 0);
  assert_int_equal(chmod(t->data, 0444), 0);
  assert_int_equal(chmod(t->dir, 0555), 0);
  int status = su_child(only_read, t);
  if (!su_exited(status, 0))
    fail_msg("status %#x", (unsigned)status);
  assert_int_equal(chmod(t->data, 0644), 0);
  assert_int_equal(truncate(t->data, 5000), 0);
  assert_true(su_exited(su_child(only_read_damaged, t), 0));
  su_path(t, "code", path);
  assert_int_equal(chmod(path, 0700), 0);
}

/* Asked to only read: nothing is made, not even where there is nothing. */
static void test_asked_to_read(void **state) {
  su *t = *state;
  assert_int_equal(mkdir(t->dir, 0700), 0);
  hli_store *s = su_open(t, &(hli_store_options){.read_only = true});
  assert_false(hli_store_writable(s));
  assert_int_equal(su_has(s, 1), 0);
  assert_false(su_put(s, 1));
  assert_false(su_exists(t, "records.mdb"));
  hli_store *w = su_open(t, NULL); /* appears later */
  assert_true(su_put(w, 1));
  assert_int_equal(su_has(s, 1), 1);
  hli_store_close(w);
  hli_store_close(s);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, su_setup, su_teardown)
  const struct CMUnitTest tests[] = {
      T(test_network),  T(test_owner),    T(test_modes),     T(test_not_a_file),    T(test_no_folder),
      T(test_defaults), T(test_relative), T(test_read_only), T(test_asked_to_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
