/* test_config.c: spaces and configurations: canonical JSON, exact errors, legality of defaults and random choices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "examples/example.h"
#include "src/config/space.h"
#include "src/plan/plan.h"
#include "tests/support/golden.h"

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

static const hl_target *target_of(const char *name) {
  const hl_target *t = NULL;
  assert_int_equal(hl_target_find(hli_str(name), NULL, &t), HL_OK);
  return t;
}

static hl_kernel *matmul(void) {
  hl_kernel *k = NULL;
  assert_int_equal(hl_example_find("matmul")->build(ctx, HL_BF16, NULL, &k), HL_OK);
  return k;
}

static const hl_shape_binding shape[3] = {{"M", 1000}, {"K", 520}, {"N", 1096}};

static void expect_parse_error(const char *json, const char *a, const char *b) {
  hl_kernel *k = matmul();
  hl_diag d = {0};
  hl_config *c = (hl_config *)&d;
  hl_status s = hl_config_parse(k, shape, 3, target_of("nvptx:sm_90a"), hli_str(json), &d, &c);
  assert_true(s == HL_ERR_CONFIG || s == HL_ERR_LIMIT);
  assert_null(c);
  if (!strstr(d.message, a) || !strstr(d.message, b))
    fail_msg("%s: '%s' lacks '%s' or '%s'", json, d.message, a, b);
  hl_kernel_destroy(k);
}

static void test_errors(void **state) {
  (void)state;
  expect_parse_error("{\"blok_sizes\":[1]}", "no knob 'blok_sizes'", "block_sizes");
  expect_parse_error("{\"block_sizes\":[64,64]}", "array of 3", "block_sizes");
  expect_parse_error("{\"block_sizes\":[64,64,33]}", "block_sizes[2] cannot be 33", "[16,32");
  expect_parse_error("{\"num_warps\":5}", "num_warps cannot be 5", "[1,2,4,8");
  expect_parse_error("{\"num_warps\":\"many\"}", "num_warps", "integers");
  expect_parse_error("{\"num_warps\":4", "line 1", "column");
  expect_parse_error("{\"num_warps\":4,\"num_warps\":4}", "line 1", "num_warps");
  expect_parse_error("[1]", "JSON object", "");
  expect_parse_error("{\"block_sizes\":[256,256,64],\"num_warps\":1}", "registers", "num_warps 1");
  expect_parse_error("{\"block_sizes\":[64,64,256],\"num_warps\":16,\"num_stages\":6}", "bytes of shared memory",
                     "exceed");
}

/* A knob that only another target has is ignored; the text is canonical and reads back to itself. */
static void test_canonical(void **state) {
  (void)state;
  hl_kernel *k = matmul();
  hl_config *c = NULL, *again = NULL;
  hl_blob *a = NULL, *b = NULL;
  const char *json = "{ \"num_stages\": 3, \"unroll\": 4,\n \"num_warps\" : 8, \"block_sizes\" : [64, 128, 32] }";
  assert_int_equal(hl_config_parse(k, shape, 3, target_of("nvptx:sm_90a"), hli_str(json), NULL, &c), HL_OK);
  assert_int_equal(hl_config_print(c, NULL, &a), HL_OK);
  assert_string_equal(
      hl_blob_data(a),
      "{\"block_sizes\":[64,128,32],\"loop_orders\":[0],\"l2_groupings\":[8],\"pid_type\":0,\"num_sm_multiplier\":1,"
      "\"num_warps\":8,\"num_stages\":3}");
  assert_int_equal(hl_config_parse(k, shape, 3, target_of("nvptx:sm_90a"), hli_str(hl_blob_data(a)), NULL, &again),
                   HL_OK);
  assert_int_equal(hl_config_print(again, NULL, &b), HL_OK);
  assert_string_equal(hl_blob_data(a), hl_blob_data(b));
  hl_blob_release(a);
  hl_blob_release(b);
  hl_config_destroy(c);
  hl_config_destroy(again);
  hl_kernel_destroy(k);
}

/* A dot along a whole dimension leaves no smaller block to choose: on a GPU such a kernel has a largest shape. */
static bool has_largest_shape(const hl_kernel *k, const hl_target *t) {
  for (hli_op op = 1; op < k->ops.len && t->family != HLI_FAMILY_CPU; op++) {
    if (k->ops.data[op].dead || k->ops.data[op].code != HLI_OP_DOT)
      continue;
    for (uint32_t i = 0; i < 2; i++)
      for (uint32_t d = 0; d < 2; d++)
        if (k->axes.data[hli_type_of(k, hli_operand(k, op, i))->dims[d]].kind == HLI_AXIS_FULL)
          return true;
  }
  return false;
}

static bool follows(const hl_kernel *k, const char *dim) {
  for (uint32_t i = 0; i < k->size_rules.len; i++)
    if (!strcmp(k->dims.data[k->size_rules.data[i].dim].name, dim))
      return true;
  return false;
}

/* Defaults and random choices are legal for every example, target and shape, the extreme ones too. */
static void test_always_legal(void **state) {
  (void)state;
  static const int64_t sizes[][3] = {{1, 1, 1},       {7, 1000, 3},          {4096, 4096, 4096},
                                     {1, 1 << 20, 1}, {1 << 20, 1, 1 << 20}, {0, 5, 5}};
  for (uint32_t i = 0; i < hl_example_count; i++)
    for (uint32_t t = 0; hl_target_at(t); t++)
      for (uint32_t s = 0; s < 6; s++) {
        const hl_example *e = hl_examples[i];
        hl_shape_binding bound[HL_EXAMPLE_DIMS];
        uint32_t n = 0;
        hl_kernel *k = NULL, *special = NULL;
        hl_diag d = {0};
        assert_int_equal(e->build(ctx, HL_F32, &d, &k), HL_OK);
        for (uint32_t dim = 0; dim < HL_EXAMPLE_DIMS && e->dims[dim]; dim++)
          if (!follows(k, e->dims[dim]))
            bound[n++] = (hl_shape_binding){e->dims[dim], sizes[s][dim % 3]};
        assert_int_equal(hli_specialized(k, bound, n, hl_target_at(t), NULL, &d, &special), HL_OK);
        for (uint64_t seed = 0; seed < 8; seed++) {
          hl_config *c = NULL;
          hl_status st = seed == 0 ? hl_config_default(k, bound, n, hl_target_at(t), &d, &c)
                                   : hl_config_random(k, bound, n, hl_target_at(t), seed, &d, &c);
          if (st == HL_ERR_LIMIT && has_largest_shape(special, hl_target_at(t)))
            continue;
          if (st != HL_OK)
            fail_msg("%s on %s: %s", e->name, hl_target_name(hl_target_at(t)).ptr, d.message);
          if (hli_config_check(special, hl_target_at(t), c, &d) != HL_OK)
            fail_msg("%s: %s", e->name, d.message);
          hl_config_destroy(c);
        }
        hl_kernel_destroy(special);
        hl_kernel_destroy(k);
      }
}

static void check_default(hl_kernel *k, const hl_shape_binding *bound, uint32_t n, const char *want) {
  hl_config *c = NULL;
  hl_blob *text = NULL;
  hl_diag d = {0};
  assert_non_null(k);
  if (hl_config_default(k, bound, n, target_of("x86-64-v4"), &d, &c) != HL_OK)
    fail_msg("%s", d.message);
  assert_int_equal(hl_config_print(c, NULL, &text), HL_OK);
  assert_string_equal(hl_blob_data(text), want);
  hl_blob_release(text);
  hl_config_destroy(c);
  hl_kernel_destroy(k);
}

/* On a CPU programs that lie side by side take whole cache lines, a loop inside takes about a row a trip, and few long
 * rows are still many programs. */
static void test_cpu_blocks(void **state) {
  (void)state;
  static const char columns[] =
      "hl 1 tile\nkernel @k {\n  dim M\n  dim N\n  param %x : tensor<f32[M, N]> in\n"
      "  param %y : tensor<f32[M, N]> out\n  axis $i tile over N\n  axis $M full M\n  body {\n"
      "    %n = size %x {dim = 1} : i64\n    %z = const {value = 0} : i64\n"
      "    tile %z, %n {axes = [$i]} (%i : tile<$i>) {\n"
      "      %v = load %x[:, %i] : f32[$M, $i]\n      %e = exp %v : f32[$M, $i]\n"
      "      store %y[:, %i], %e\n      yield\n    }\n  }\n}\n";
  hl_kernel *k = NULL;
  hl_diag d = {0};
  if (hl_kernel_parse(ctx, (hl_str){columns, sizeof columns - 1}, "columns", &d, &k) != HL_OK)
    fail_msg("%s", d.message);
  check_default(k, (hl_shape_binding[]){{"M", 4096}, {"N", 4096}}, 2,
                "{\"block_sizes\":[256],\"unroll\":4,\"parallel_grain\":1}");
  k = NULL;
  assert_int_equal(hl_example_find("long_sum")->build(ctx, HL_F32, &d, &k), HL_OK);
  check_default(k, (hl_shape_binding[]){{"M", 64}, {"N", 1 << 20}}, 2,
                "{\"block_sizes\":[1,4096],\"unroll\":4,\"parallel_grain\":1}");
  k = NULL;
  assert_int_equal(hl_example_find("sum")->build(ctx, HL_F32, &d, &k), HL_OK);
  check_default(k, (hl_shape_binding[]){{"M", 4096}, {"N", 4096}}, 2,
                "{\"block_sizes\":[16],\"unroll\":4,\"parallel_grain\":1}");
}

static void test_random_is_reproducible(void **state) {
  (void)state;
  hl_kernel *k = matmul();
  hl_blob *text[3];
  for (int i = 0; i < 3; i++) {
    hl_config *c = NULL;
    assert_int_equal(hl_config_random(k, shape, 3, target_of("nvptx:sm_90a"), i < 2 ? 42 : 43, NULL, &c), HL_OK);
    assert_int_equal(hl_config_print(c, NULL, &text[i]), HL_OK);
    hl_config_destroy(c);
  }
  assert_string_equal(hl_blob_data(text[0]), hl_blob_data(text[1]));
  assert_string_not_equal(hl_blob_data(text[0]), hl_blob_data(text[2]));
  for (int i = 0; i < 3; i++)
    hl_blob_release(text[i]);
  hl_kernel_destroy(k);
}

static void test_space(void **state) {
  (void)state;
  hl_kernel *k = matmul();
  hl_blob *text = NULL;
  assert_int_equal(hl_space_print(k, shape, 3, target_of("nvptx:sm_90a"), NULL, &text), HL_OK);
  golden_check("unit/space_matmul.json", hl_blob_data(text));
  hl_blob_release(text);
  hl_kernel_destroy(k);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_errors),
                                     cmocka_unit_test(test_canonical),
                                     cmocka_unit_test(test_always_legal),
                                     cmocka_unit_test(test_cpu_blocks),
                                     cmocka_unit_test(test_random_is_reproducible),
                                     cmocka_unit_test(test_space)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
