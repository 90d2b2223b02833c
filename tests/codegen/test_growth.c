/* test_growth.c: compiling, linking, loading and unloading all kernels again and again leaves nothing of ours behind:
 * no memory, no open file, no mapping.  And what is loaded has names: debuggers and profilers see kernels, not
 * addresses. ctest-timeout: 600 */
#include <dirent.h>
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/codegen/host_run.h"
#include "tests/support/lowered.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ROUNDS = 1, SANITIZED = 1 }; /* slow, and what is freed stays for a while */
#else
enum { ROUNDS = 10, SANITIZED = 0 };
#endif

static hl_context *ctx;

static int setup(void **state) {
  (void)state;
  return hl_context_create(NULL, NULL, &ctx);
}

static int teardown(void **state) {
  (void)state;
  hl_context_destroy(ctx);
  return 0;
}

/* ---- growth ---- */

typedef struct footprint {
  size_t bytes; /* that are allocated */
  long files, mappings;
} footprint;

static footprint measure(void) {
  footprint f = {0};
  char line[512];
  FILE *maps = fopen("/proc/self/maps", "r");
  assert_non_null(maps);
  f.bytes = mallinfo2().uordblks;
  while (fgets(line, sizeof line, maps))
    f.mappings += strstr(line, "hl-") != NULL; /* of kernels: memory itself comes and goes */
  fclose(maps);
  DIR *d = opendir("/proc/self/fd");
  assert_non_null(d);
  while (readdir(d))
    f.files++;
  closedir(d);
  return f;
}

typedef struct texts {
  hl_blob *text[128];
  uint32_t n;
} texts;

static void collect(void *user, const char *below) {
  texts *t = user;
  hl_kernel *k = lowered_parse(ctx, below), *l = lowered_loop(ctx, k, "host", NULL);
  assert_true(t->n < 128);
  assert_int_equal(hl_kernel_print(l, NULL, &t->text[t->n++]), HL_OK);
  hl_kernel_destroy(l);
  hl_kernel_destroy(k);
}

static void compile_all(const texts *t) {
  for (uint32_t i = 0; i < t->n; i++) {
    host_code c = host_load_text(hl_blob_data(t->text[i]), "host");
    host_unload(&c);
  }
}

static void test_nothing_grows(void **state) {
  (void)state;
  texts t = {0};
  lowered_each("pass/loopnest", ".hl", collect, &t);
  compile_all(&t);
  compile_all(&t); /* LLVM's and libc's own caches are warm */
  const footprint before = measure();
  for (int round = 0; round < ROUNDS; round++)
    compile_all(&t);
  const footprint after = measure();
  assert_int_equal(after.files, before.files);
  assert_int_equal(after.mappings, before.mappings);
  /* A few hundred bytes come and go with the order in which libc's free lists fill; a forgotten vector of lld in every
   * link, of which there are some hundred, would be far more. */
  const size_t lost = after.bytes > before.bytes ? after.bytes - before.bytes : 0;
  if (!SANITIZED && lost > 4096)
    fail_msg("%u kernels, %d rounds: %zu bytes are lost, %zu with every kernel", t.n, ROUNDS, lost,
             lost / ((size_t)ROUNDS * t.n));
  for (uint32_t i = 0; i < t.n; i++)
    hl_blob_release(t.text[i]);
}

/* ---- names ---- */

static bool holds(const hl_blob *b, const char *word) {
  return memmem(hl_blob_data(b), hl_blob_size(b), word, strlen(word) + 1) != NULL;
}

/* The entry is an exported symbol; the function that does the work is in the symbol table, unwind tables are there. */
static void test_names(void **state) {
  (void)state;
  texts t = {0};
  collect(&t, "pass/loopnest/softmax_columns.hl");
  hl_diag d = {0};
  hlc_result r;
  assert_int_equal(host_emit(hl_blob_data(t.text[0]), "host", HL_EMIT_OBJ, &d, &r), HL_OK);
  assert_true(holds(r.bytes, ".symtab") && holds(r.bytes, ".eh_frame"));
  assert_true(holds(r.bytes, "softmax_columns") && holds(r.bytes, "softmax_columns.program"));
  hl_blob_release(r.bytes);
  host_code c = host_load_text(hl_blob_data(t.text[0]), "host");
  Dl_info info;
  void *entry = *(void **)&c.entry;
  assert_true(dladdr(entry, &info) != 0);
  assert_string_equal(info.dli_sname, "softmax_columns");
  host_unload(&c);
  hl_blob_release(t.text[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_grows), cmocka_unit_test(test_names)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
