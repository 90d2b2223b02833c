/* util.c: see util.h. */
#include "util.h"
#include <ftw.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void *su_alloc(void *user, size_t size, size_t align) {
  su *t = user;
  const long n = __atomic_fetch_add(&t->count, 1, __ATOMIC_RELAXED);
  if (n == t->fail_at)
    return NULL;
  __atomic_fetch_add(&t->live, 1, __ATOMIC_RELAXED);
  return aligned_alloc(align, (size + align - 1) / align * align);
}

static void su_release(void *user, void *ptr, size_t size) {
  (void)size;
  __atomic_fetch_sub(&((su *)user)->live, 1, __ATOMIC_RELAXED);
  free(ptr);
}

static void su_log(void *user, hl_log_level level, hl_str text) {
  su *t = user;
  (void)snprintf(t->last, sizeof t->last, "%.*s", (int)text.len, text.ptr);
  t->warnings += level == HL_LOG_WARN;
  t->infos += level == HL_LOG_INFO;
}

int su_setup(void **state) {
  su *t = calloc(1, sizeof *t);
  assert_non_null(t);
  t->fail_at = -1;
  hl_context_options o = HL_CONTEXT_OPTIONS_INIT;
  o.allocator = (hl_allocator){su_alloc, su_release, t};
  o.log = su_log, o.log_user = t;
  assert_int_equal(hl_context_create(&o, NULL, &t->ctx), HL_OK);
  /* In some containers /tmp is on a file system that a store refuses. */
  char disk[] = "/tmp/hl-store-XXXXXX", memory[] = "/dev/shm/hl-store-XXXXXX";
  const char *root = mkdtemp(disk);
  hli_store *probe;
  assert_non_null(root);
  if (hli_store_open(t->ctx, root, &(hli_store_options){.read_only = true}, NULL, &probe) != HL_OK) {
    (void)rmdir(root);
    root = mkdtemp(memory);
    assert_non_null(root);
  }
  hli_store_close(probe);
  t->warnings = 0;
  (void)snprintf(t->dir, sizeof t->dir, "%s/cache", root);
  (void)snprintf(t->data, sizeof t->data, "%s/records.mdb", t->dir);
  *state = t;
  return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
  (void)st, (void)kind, (void)at;
  return remove(path);
}

int su_teardown(void **state) {
  su *t = *state;
  hl_context_destroy(t->ctx);
  const long live = t->live;
  (void)chmod(t->dir, 0700);
  *strrchr(t->dir, '/') = '\0';
  (void)nftw(t->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  free(t);
  return live ? -1 : 0;
}

hli_store *su_open(su *t, const hli_store_options *o) {
  hl_diag diag = {.message = ""};
  hli_store *s;
  if (hli_store_open(t->ctx, t->dir, o, &diag, &s) != HL_OK)
    fail_msg("%s", diag.message);
  return s;
}

hli_digest su_key(uint64_t i) {
  return hli_digest_bytes(&i, sizeof i, (hli_digest){0, 0});
}

hl_str su_str(const char *z) {
  return hli_str(z);
}

static size_t content(uint64_t i, char out[6000]) {
  const size_t n = (size_t)(100 + i % 5000);
  for (size_t k = 0; k < n; k++)
    out[k] = (char)(i * 31 + k * 7 + (k >> 8));
  return n;
}

bool su_put(hli_store *s, uint64_t i) {
  char data[6000];
  const size_t n = content(i, data);
  return hli_store_put(s, HLI_STORE_TUNING, su_key(i), su_str("{}"), (hl_str){data, n});
}

int su_has(hli_store *s, uint64_t i) {
  char data[6000];
  const size_t n = content(i, data);
  hli_store_record r;
  if (!hli_store_get(s, HLI_STORE_TUNING, su_key(i), &r))
    return 0;
  const bool right = r.payload.len == n && !memcmp(r.payload.ptr, data, n) && hli_str_eqz(r.provenance, "{}");
  hli_store_record_release(&r);
  return right ? 1 : -1;
}

pid_t su_spawn(int (*body)(void *), void *arg) {
  (void)fflush(NULL);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (!pid)
    _exit(body(arg));
  return pid;
}

int su_child(int (*body)(void *), void *arg) {
  int status;
  pid_t pid = su_spawn(body, arg);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}

bool su_exited(int status, int code) {
  return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

size_t su_copy(const char *from, const char *to) {
  char buffer[1 << 16];
  size_t n, total = 0;
  FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
  assert_true(in && out);
  while ((n = fread(buffer, 1, sizeof buffer, in)) > 0) {
    assert_int_equal(fwrite(buffer, 1, n, out), n);
    total += n;
  }
  (void)fclose(in);
  (void)fclose(out);
  assert_int_equal(chmod(to, 0600), 0);
  return total;
}

void su_path(const su *t, const char *below, char out[256]) {
  (void)snprintf(out, 256, "%s/%s", t->dir, below);
}

bool su_exists(const su *t, const char *below) {
  char path[256];
  su_path(t, below, path);
  return access(path, F_OK) == 0;
}
