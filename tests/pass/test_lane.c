/* test_lane.c: scheduled TILE -> LANE (mask, layout, stage, lane).
 * ctest-timeout: 900
 * What it means: every kernel of tests/pass/loopnest, lowered for NVIDIA GPUs in the default configuration and in
 * random ones, is interpreted with all checks (where the data lies, races, memory that nobody wrote) and compared with
 * the kernel as written.  How it looks: goldens in tests/pass/lane. */
#include "src/ir/interp/interp.h"
#include "tests/support/golden.h"
#include "tests/support/lowered.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* wants what stands above */

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

/* ---- meaning ----------------------------------------------------------------------------------- */

static void check_run(const hl_kernel *k, hl_kernel *lane, const lowered_data *truth, const char *what) {
  hl_diag diag = {0};
  lowered_data d;
  lowered_data_make(k, false, &d);
  const hli_interp_options o = {.race_check = true, .program_check = true};
  if (hli_interp_run(lane, NULL, d.arg, d.count, &o, &diag) != HL_OK)
    fail_msg("%s, %s: %s", k->name, what, diag.message);
  lowered_compare(k, &d, truth, what);
  lowered_data_free(&d);
  hl_kernel_destroy(lane);
}

static uint64_t seeds(void) {
  const char *n = getenv("HL_SEEDS");
  return n ? strtoull(n, NULL, 10) : 6;
}

static void check_meaning(void *user, const char *below) {
  (void)user;
  hl_kernel *k = lowered_parse(ctx, below);
  lowered_data truth;
  lowered_data_make(k, true, &truth);
  lowered_truth(ctx, k, &truth);
  check_run(k, lowered_loop(ctx, k, "nvptx:sm_90a", NULL), &truth, "default, sm_90a");
  check_run(k, lowered_loop(ctx, k, "nvptx:sm_80", NULL), &truth, "default, sm_80");
  for (uint64_t seed = 0; seed < seeds(); seed++) {
    char json[512];
    hl_kernel *l = lowered_loop_random(ctx, k, "nvptx:sm_90a", seed, json, sizeof json);
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
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_meaning)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
