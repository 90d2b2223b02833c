/* test_loopnest.c: scheduled TILE -> LOOP.
 * ctest-timeout: 600
 * Each file of tests/pass/loopnest is a kernel; loops/NAME.hl beside it is what it becomes for x86-64-v4 (zen4_NAME: for
 * zen4) in the default configuration (HL_BLESS=1 rewrites).  What it means is checked by interpreting that LOOP form, and those of random
 * configurations and of a narrower target, against the kernel as written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/ir/interp/interp.h"
#include "src/pass/pass.h"
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

static const char *wide_target(const char *below) { return strstr(below, "zen4_") ? "zen4" : "x86-64-v4"; }

static void check_golden(void *user, const char *below) {
  char golden[512];
  (void)user;
  hl_kernel *k = lowered_parse(ctx, below), *l = lowered_loop(ctx, k, wide_target(below), NULL);
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
  check_run(k, lowered_loop(ctx, k, wide_target(below), NULL), &truth, "default, wide");
  check_run(k, lowered_loop(ctx, k, "x86-64-v3", NULL), &truth, "default, x86-64-v3");
  for (uint64_t seed = 0; seed < 6; seed++) {
    char json[512];
    hl_kernel *l = lowered_loop_random(ctx, k, seed & 1 ? "x86-64-v3" : wide_target(below), seed, json, sizeof json);
    check_run(k, l, &truth, json);
  }
  lowered_data_free(&truth);
  hl_kernel_destroy(k);
}

static void test_meaning(void **state) {
  (void)state;
  lowered_each("pass/loopnest", ".hl", check_meaning, NULL);
}

/* ---- memory ------------------------------------------------------------------------------------- */

static long left; /* allocations until one fails */

static void *failing_alloc(void *user, size_t size, size_t align) {
  (void)user;
  return left-- > 0 ? aligned_alloc(align < 16 ? 16 : align, (size + 63) / 64 * 64) : NULL;
}

static void failing_release(void *user, void *ptr, size_t size) {
  (void)user;
  (void)size;
  free(ptr);
}

/* Whichever allocation fails, the pass says so and leaves nothing behind (the sanitizers look). */
static void check_starved(void *user, const char *below) {
  const hl_allocator failing = {failing_alloc, failing_release, NULL};
  const hl_target *t = NULL;
  hl_status s = HL_ERR_MEMORY;
  (void)user;
  assert_int_equal(hl_target_find(hli_str("x86-64-v4"), NULL, &t), HL_OK);
  hl_kernel *k = lowered_parse(ctx, below), *scheduled = lowered_tile(ctx, k, "x86-64-v4");
  hl_blob *text = NULL;
  assert_int_equal(hl_kernel_print(scheduled, NULL, &text), HL_OK);
  for (long n = 0; s != HL_OK; n += n < 40 ? 1 : 17) {
    hl_kernel *copy = NULL;
    hl_diag d = {0};
    left = LONG_MAX;
    assert_int_equal(hli_parse(&failing, hli_str(hl_blob_data(text)), below, &d, &copy), HL_OK);
    hli_pass_env env = {.alloc = &failing, .target = t, .diag = &d};
    left = n;
    s = hli_pass_loopnest(&env, &copy);
    if (s != HL_OK && s != HL_ERR_MEMORY) fail_msg("%s: allocation %ld: %s", below, n, d.message);
    left = LONG_MAX;
    hl_kernel_destroy(copy);
  }
  hl_blob_release(text);
  hl_kernel_destroy(scheduled);
  hl_kernel_destroy(k);
}

static void test_starved(void **state) {
  (void)state;
  check_starved(NULL, "pass/loopnest/softmax_online.hl");
  check_starved(NULL, "pass/loopnest/attention_bf16.hl");
  check_starved(NULL, "pass/loopnest/matmul_tn.hl");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_goldens), cmocka_unit_test(test_meaning), cmocka_unit_test(test_starved)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
