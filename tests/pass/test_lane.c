/* test_lane.c: scheduled TILE -> LANE (mask, layout, stage, lane).
 * ctest-timeout: 900
 * What it means: every kernel of tests/pass/loopnest, lowered for NVIDIA GPUs in the default configuration and in
 * random ones, is interpreted with all checks (where the data lies, races, memory that nobody wrote) and compared with
 * the kernel as written.  How it looks: goldens in tests/pass/lane. */
#include "examples/example.h"
#include "src/ir/interp/interp.h"
#include "src/pass/pass.h"
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

/* ---- goldens ---------------------------------------------------------------------------------- */

/* Kernel, sizes and configuration; pass to stop after. */
typedef struct golden {
  const char *example;
  hl_dtype dtype;
  int64_t size[HL_EXAMPLE_DIMS];
  const char *config, *pass, *file;
} golden;

static const golden goldens[] = {
    {"vector_add", HL_F32, {1000}, "{\"block_sizes\":[512],\"num_warps\":4}", "mask", "vector_add.mask.hl"},
    {"vector_add", HL_F32, {1000}, "{\"block_sizes\":[512],\"num_warps\":4}", "lane", "vector_add.hl"},
    {"sum", HL_BF16, {64, 1000}, "{\"block_sizes\":[4],\"num_warps\":8}", "mask", "sum.mask.hl"},
    {"softmax", HL_BF16, {64, 4096}, "{\"block_sizes\":[1],\"num_warps\":8}", "layout", "softmax.layout.hl"},
    {"softmax", HL_BF16, {64, 4096}, "{\"block_sizes\":[1],\"num_warps\":8}", "lane", "softmax.hl"},
    {"bmm",
     HL_BF16,
     {2, 64, 96, 64},
     "{\"block_sizes\":[1,64,64,32],\"num_warps\":4,\"num_stages\":2}",
     "lane",
     "bmm.hl"},
    {"softmax", HL_F32, {33, 65}, "{\"block_sizes\":[4],\"num_warps\":4}", "mask", "softmax_odd.mask.hl"},
    {"matmul",
     HL_BF16,
     {256, 256, 256},
     "{\"block_sizes\":[128,128,32],\"num_warps\":4,\"num_stages\":1}",
     "layout",
     "matmul.layout.hl"},
    {"matmul",
     HL_BF16,
     {256, 256, 256},
     "{\"block_sizes\":[128,128,32],\"num_warps\":4,\"num_stages\":3}",
     "lane",
     "matmul.hl"},
    {"matmul",
     HL_BF16,
     {130, 97, 71},
     "{\"block_sizes\":[64,64,32],\"num_warps\":4,\"num_stages\":3}",
     "lane",
     "matmul_odd.hl"},
    {"matmul",
     HL_F32,
     {64, 64, 64},
     "{\"block_sizes\":[32,32,16],\"num_warps\":4,\"num_stages\":1}",
     "lane",
     "matmul_f32.hl"},
};

static void check_golden(const golden *g) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  hl_config *c = NULL;
  hl_blob *text = NULL;
  const hl_target *t = NULL;
  const hl_example *e = hl_example_find(g->example);
  hl_shape_binding shape[HL_EXAMPLE_DIMS];
  uint32_t n = 0;
  char file[128];
  for (; n < HL_EXAMPLE_DIMS && e->dims[n]; n++)
    shape[n] = (hl_shape_binding){e->dims[n], g->size[n]};
  hl_status s = hl_target_find(hli_str("nvptx:sm_90a"), &d, &t);
  if (s == HL_OK)
    s = e->build(ctx, g->dtype, &d, &k);
  if (s == HL_OK)
    s = hl_config_parse(k, shape, n, t, hli_str(g->config), &d, &c);
  hli_pass_env env = {.alloc = &ctx->alloc, .target = t, .config = c, .shape = shape, .shape_count = n, .diag = &d};
  if (s == HL_OK)
    s = hli_run_pipeline(&env, &k, g->pass, NULL, NULL);
  if (s == HL_OK)
    s = hl_kernel_print(k, &d, &text);
  if (s != HL_OK)
    fail_msg("%s: %s", g->file, d.message);
  snprintf(file, sizeof file, "pass/lane/%s", g->file);
  golden_check(file, hl_blob_data(text));
  hl_blob_release(text);
  hl_config_destroy(c);
  hl_kernel_destroy(k);
}

/* Sums that start at 0 and rows of 0 keep their masked lanes at 0: no fill; powers of 0 do not. */
static void check_carried(void) {
  hl_diag d = {0};
  hl_config *c = NULL;
  hl_blob *text = NULL;
  const hl_target *t = NULL;
  hl_kernel *k = lowered_parse(ctx, "pass/loopnest/carried_rows.hl");
  assert_int_equal(hl_target_find(hli_str("nvptx:sm_90a"), &d, &t), HL_OK);
  assert_int_equal(hl_config_parse(k, NULL, 0, t, hli_str("{\"block_sizes\":[4,16]}"), &d, &c), HL_OK);
  hli_pass_env env = {.alloc = &ctx->alloc, .target = t, .config = c, .diag = &d};
  if (hli_run_pipeline(&env, &k, "mask", NULL, NULL) != HL_OK)
    fail_msg("%s", d.message);
  assert_int_equal(hl_kernel_print(k, &d, &text), HL_OK);
  golden_check("pass/lane/carried_rows.mask.hl", hl_blob_data(text));
  hl_blob_release(text);
  hl_config_destroy(c);
  hl_kernel_destroy(k);
}

static void test_goldens(void **state) {
  (void)state;
  check_carried();
  for (size_t i = 0; i < HLI_COUNT(goldens); i++)
    check_golden(&goldens[i]);
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
  if (lowered_refused(k, "nvptx:sm_90a")) {
    hl_kernel_destroy(k);
    return;
  }
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

/* Programs that take several tiles, or none, fetch nothing of a batch that is not there. */
static void check_ahead(const char *path, const char *config) {
  hl_kernel *k = lowered_parse(ctx, path);
  lowered_data truth;
  lowered_data_make(k, true, &truth);
  lowered_truth(ctx, k, &truth);
  check_run(k, lowered_loop(ctx, k, "nvptx:sm_80", config), &truth, config);
  lowered_data_free(&truth);
  hl_kernel_destroy(k);
}

static void test_ahead(void **state) {
  (void)state;
  check_ahead("pass/loopnest/bmm.hl", "{\"block_sizes\":[2,16],\"pid_type\":2,\"num_sm_multiplier\":4,\"num_warps\":4,"
                                      "\"loop_orders\":[1],\"l2_groupings\":[16],\"num_stages\":2}");
  check_ahead("pass/lane/many_tiles.hl", /* 120 tiles in runs of 2, 108 programs */
              "{\"block_sizes\":[8,16],\"pid_type\":1,\"num_sm_multiplier\":1,\"num_warps\":4,\"num_stages\":3}");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_goldens), cmocka_unit_test(test_meaning),
                                     cmocka_unit_test(test_ahead)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
