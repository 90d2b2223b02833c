/* CUDA drivers that lack something: what libhl needs, or what only clusters need.  The
 * fake takes the driver's name for the whole process, hence a program of its own. */
#include "rt.h"
#include <dlfcn.h>
#include <unistd.h>

static void *load(const char *flags) {
  char path[] = "/tmp/hl-fake-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  rt_compile_file("tests/runtime/fake/cuda.c", flags, path);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  unlink(path);
  assert_non_null(library);
  return library;
}

/* Before the other test: its driver stays loaded. */
static void test_too_old(void **state) {
  (void)state;
  void *library = load("-w -Wl,-soname,libcuda.so.1 -DcuStreamWaitEvent=cuSomethingElse");
  hl_context *ctx = rt_context(NULL);
  hl_diag d;
  hl_device *dev;
  assert_fails(hl_device_open(ctx, "cuda", &d, &dev), HL_ERR_NO_DRIVER, d, "too old: it has no cuStreamWaitEvent");
  hl_context_destroy(ctx);
  assert_non_null(library);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_too_old)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
