/* test_loopnest.c: scheduled TILE -> LOOP.
 * ctest-timeout: 600
 * Each file of tests/pass/loopnest is a kernel; loops/NAME.hl beside it is what it becomes for x86-64-v4 in the default
 * configuration (HL_BLESS=1 rewrites).  What it means is checked by interpreting that LOOP form, and those of random
 * configurations and of a narrower target, against the kernel as written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "src/ir/interp/interp.h"
#include "src/pass/loopnest.h"
#include "tests/support/golden.h"
#include "tests/support/lowered.h"

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

/* ---- goldens -------------------------------------------------------------------------------- */

static void check_golden(void *user, const char *below) {
  char golden[512];
  (void)user;
  hl_kernel *k = lowered_parse(ctx, below), *l = lowered_loop(ctx, k, "x86-64-v4", NULL);
  snprintf(golden, sizeof golden, "pass/loopnest/loops/%s", strrchr(below, '/') + 1);
  hl_blob *text = NULL;
  assert_int_equal(hl_kernel_print(l, NULL, &text), HL_OK);
  golden_check(golden, hl_blob_data(text));
  hl_blob_release(text);
  hl_kernel_destroy(l);
  hl_kernel_destroy(k);
}

static void test_goldens(void **state) {
  (void)state;
  lowered_each("pass/loopnest", ".hl", check_golden, NULL);
}

/* ---- meaning ----------------------------------------------------------------------------------- */

static void check_run(const hl_kernel *k, hl_kernel *loop, const lowered_data *truth, const char *what) {
  hl_diag diag = {0};
  lowered_data d;
  lowered_data_make(k, false, &d);
  const hli_interp_options o = {.program_check = true};
  if (hli_interp_run(loop, NULL, d.arg, d.count, &o, &diag) != HL_OK) fail_msg("%s, %s: %s", k->name, what, diag.message);
  lowered_compare(k, &d, truth, what);
  lowered_data_free(&d);
  hl_kernel_destroy(loop);
}

static void check_meaning(void *user, const char *below) {
  (void)user;
  hl_kernel *k = lowered_parse(ctx, below);
  lowered_data truth;
  lowered_data_make(k, true, &truth);
  lowered_truth(ctx, k, &truth);
  check_run(k, lowered_loop(ctx, k, "x86-64-v4", NULL), &truth, "default, x86-64-v4");
  check_run(k, lowered_loop(ctx, k, "x86-64-v3", NULL), &truth, "default, x86-64-v3");
  for (uint64_t seed = 0; seed < 6; seed++) {
    char json[512];
    hl_kernel *l = lowered_loop_random(ctx, k, seed & 1 ? "x86-64-v3" : "x86-64-v4", seed, json, sizeof json);
    check_run(k, l, &truth, json);
  }
  lowered_data_free(&truth);
  hl_kernel_destroy(k);
}

static void test_meaning(void **state) {
  (void)state;
  lowered_each("pass/loopnest", ".hl", check_meaning, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_goldens), cmocka_unit_test(test_meaning)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
