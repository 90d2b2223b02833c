/* test_nvptx.c: LANE to PTX and cubins: the instructions that speed depends on are there, everything assembles, and
 * failures have words.  ctest-timeout: 900 */
#include "codegen/codegen.h"
#include "codegen/emit.h"
#include "examples/example.h"
#include "src/pass/pass.h"
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

/* ---- compiling -------------------------------------------------------------------------------- */

static const hl_target *target_of(const char *name) {
  const hl_target *t = NULL;
  assert_int_equal(hl_target_find(hli_str(name), NULL, &t), HL_OK);
  return t;
}

/* The text of a LANE kernel. */
static char *print(hl_kernel *k) {
  hl_blob *b = NULL;
  assert_int_equal(hl_kernel_print(k, NULL, &b), HL_OK);
  char *text = strdup(hl_blob_data(b));
  hl_blob_release(b);
  hl_kernel_destroy(k);
  return text;
}

static char *example_lane(const char *name, hl_dtype dtype, const int64_t *size, const char *target, const char *json) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  hl_config *c = NULL;
  hl_shape_binding shape[HL_EXAMPLE_DIMS];
  uint32_t n = 0;
  const hl_example *e = hl_example_find(name);
  for (; n < HL_EXAMPLE_DIMS && e->dims[n]; n++)
    shape[n] = (hl_shape_binding){e->dims[n], size[n]};
  hl_status s = e->build(ctx, dtype, &d, &k);
  if (s == HL_OK)
    s = hl_config_parse(k, shape, n, target_of(target), hli_str(json), &d, &c);
  hli_pass_env env = {
      .alloc = &ctx->alloc, .target = target_of(target), .config = c, .shape = shape, .shape_count = n, .diag = &d};
  if (s == HL_OK)
    s = hli_run_pipeline(&env, &k, NULL, NULL, NULL);
  if (s != HL_OK)
    fail_msg("%s: %s", name, d.message);
  hl_config_destroy(c);
  return print(k);
}

static hl_status compile(const char *lane, const char *target, hl_emit emit, const char *ptxas, hl_diag *d,
                         hlc_result *out) {
  const hlc_request r = {.text = hli_str(lane), .target = target, .emit = emit, .ptxas = ptxas};
  return hli_codegen_entry()->compile(&r, d, out);
}

/* PTX of an example; release with free. */
static char *ptx(const char *name, hl_dtype dtype, const int64_t *size, const char *target, const char *json) {
  hl_diag d = {0};
  hlc_result r = {0};
  char *lane = example_lane(name, dtype, size, target, json);
  if (compile(lane, target, HL_EMIT_ASM, NULL, &d, &r) != HL_OK)
    fail_msg("%s: %s", name, d.message);
  assert_int_equal(r.format, HLC_PTX);
  char *text = strdup(hl_blob_data(r.bytes));
  hl_blob_release(r.bytes);
  free(lane);
  return text;
}

static int count(const char *text, const char *words) {
  int n = 0;
  for (const char *p = text; (p = strstr(p, words)); p++)
    n++;
  return n;
}

#define SIZE(...) ((const int64_t[HL_EXAMPLE_DIMS]){__VA_ARGS__})

/* ---- instructions ---------------------------------------------------------------------------------- */

static void test_vector_add(void **state) {
  (void)state;
  char *t = ptx("vector_add", HL_F32, SIZE(1 << 20), "nvptx:sm_90a", "{\"block_sizes\":[2048],\"num_warps\":8}");
  assert_int_equal(count(t, "ld.global.nc.v4.b32"), 4);
  assert_int_equal(count(t, "st.global.v4.b32"), 2);
  assert_int_equal(count(t, "setp"), 0); /* everything lies inside */
  assert_int_equal(count(t, ".reqntid 256"), 1);
  free(t);
  /* A ragged end: whole vectors in one path, single elements in the other. */
  t = ptx("vector_add", HL_F32, SIZE(1000001), "nvptx:sm_90a", "{\"block_sizes\":[2048],\"num_warps\":8}");
  assert_int_equal(count(t, "ld.global.nc.v4.b32"), 4);
  assert_int_equal(count(t, "ld.global.nc.b32"), 16);
  free(t);
}

/* The row in registers: four loads before anything else, two barriers, no second pass over memory. */
static void test_softmax(void **state) {
  (void)state;
  char *t = ptx("softmax", HL_BF16, SIZE(8192, 8192), "nvptx:sm_90a",
                "{\"block_sizes\":[1],\"reduction_loops\":[0],\"num_warps\":8}");
  assert_int_equal(count(t, "ld.global.nc.v4.b32"), 4);
  assert_int_equal(count(t, "st.global.v4.b32"), 4);
  assert_int_equal(count(t, "bar.sync"), 2);
  assert_int_equal(count(t, "ex2.approx.ftz.f32"), 32);
  assert_int_equal(count(t, "cvt.rn.bf16x2.f32"), 16);
  assert_int_equal(count(t, "shfl.sync.bfly"), 10);
  assert_int_equal(count(t, "rcp.approx"), 1); /* one for the row */
  assert_int_equal(count(t, ".local"), 0);
  free(t);
}

static void test_matmul(void **state) {
  (void)state;
  static const char config[] = "{\"block_sizes\":[128,128,32],\"num_warps\":4,\"num_stages\":3}";
  static const char *const targets[] = {"nvptx:sm_80", "nvptx:sm_90a"};
  for (size_t i = 0; i < HLI_COUNT(targets); i++) {
    char *t = ptx("matmul", HL_BF16, SIZE(1024, 1024, 1024), targets[i], config);
    assert_int_equal(count(t, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"), 64);
    assert_int_equal(count(t, "ldmatrix.sync.aligned.m8n8.x4.shared.b16"), 8);
    assert_int_equal(count(t, "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16"), 8);
    assert_int_equal(count(t, "cp.async.cg.shared.global"), 3 * 8); /* two stages ahead, one in the loop */
    assert_int_equal(count(t, "cp.async.wait_group \t1"), 1);
    assert_int_equal(count(t, "st.global.v4.b32"), 16);
    assert_int_equal(count(t, "ld.global"), 0);
    free(t);
  }
  char *t = ptx("matmul", HL_F16, SIZE(256, 256, 256), "nvptx:sm_90a", config);
  assert_int_equal(count(t, "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"), 64);
  free(t);
  t = ptx("matmul", HL_F64, SIZE(256, 256, 256), "nvptx:sm_90a", "{\"block_sizes\":[32,32,16],\"num_warps\":4}");
  assert_true(count(t, "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64") > 0);
  free(t);
  t = ptx("matmul", HL_F32, SIZE(256, 256, 256), "nvptx:sm_90a", "{\"block_sizes\":[32,32,16],\"num_warps\":4}");
  assert_int_equal(count(t, "fma.rn.f32"), 32 * 32 * 16 / 128);
  assert_true(count(t, "ld.shared.v4") > 0);
  free(t);
}

/* Rows of 97 bf16 are aligned to 2 bytes: no asynchronous copies, and zeros at the edges. */
static void test_unaligned_matmul(void **state) {
  (void)state;
  char *t = ptx("matmul", HL_BF16, SIZE(130, 97, 71), "nvptx:sm_90a",
                "{\"block_sizes\":[64,64,32],\"num_warps\":4,\"num_stages\":3}");
  assert_int_equal(count(t, "cp.async.c"), 0);
  assert_true(count(t, "ld.global.nc.b16") > 0);
  assert_true(count(t, "mma.sync") > 0);
  free(t);
  t = ptx("matmul", HL_BF16, SIZE(130, 96, 72), "nvptx:sm_90a",
          "{\"block_sizes\":[64,64,32],\"num_warps\":4,\"num_stages\":3}");
  assert_true(count(t, "cp.async.cg.shared.global") > 0);
  free(t);
}

/* ---- everything assembles ----------------------------------------------------------------------------- */

static int spilled_bytes(const char *report) {
  const char *at = strstr(report, "spill stores ");
  return at ? atoi(at + strlen("spill stores ")) : -1;
}

static void check_kernel(void *user, const char *below) {
  static const char *const targets[] = {"nvptx:sm_80", "nvptx:sm_90a"};
  const bool assemble = *(const bool *)user;
  hl_kernel *k = lowered_parse(ctx, below);
  if (lowered_refused(k, targets[1])) {
    hl_kernel_destroy(k);
    return;
  }
  for (size_t i = 0; i < HLI_COUNT(targets); i++) {
    hl_diag d = {0};
    hlc_result r = {0};
    char *lane = print(lowered_loop(ctx, k, targets[i], NULL));
    if (compile(lane, targets[i], assemble ? HL_EMIT_OBJ : HL_EMIT_ASM, NULL, &d, &r) != HL_OK)
      fail_msg("%s for %s: %s", below, targets[i], d.message);
    /* The assembler parks a word or two of its own accord; spilled tiles are more. */
    if (assemble && (spilled_bytes(r.report) < 0 || spilled_bytes(r.report) > 16 || strstr(r.report, "C75")))
      fail_msg("%s for %s: %s", below, targets[i], r.report);
    hl_blob_release(r.bytes);
    free(lane);
  }
  hl_kernel_destroy(k);
}

static void test_kernels(void **state) {
  (void)state;
  bool assemble = getenv("HL_PTXAS") != NULL;
  lowered_each("pass/loopnest", ".hl", check_kernel, &assemble);
}

/* ---- failures ------------------------------------------------------------------------------------------ */

static void test_failures(void **state) {
  (void)state;
  hl_diag d = {0};
  hlc_result r = {0};
  char *lane = example_lane("vector_add", HL_F32, SIZE(1000), "nvptx:sm_90a", "{}");
  assert_int_equal(compile(lane, "nvptx:sm_90a", HL_EMIT_OBJ, "/nowhere/ptxas", &d, &r), HL_ERR_IO);
  assert_non_null(strstr(d.message, "/nowhere/ptxas"));
  assert_null(r.bytes);
  assert_int_equal(compile(lane, "nvptx:sm_90a", HL_EMIT_OBJ, "/bin/false", &d, &r), HL_ERR_COMPILE);
  assert_non_null(strstr(d.message, "/bin/false"));
  assert_null(r.bytes);
  assert_int_equal(compile(lane, "nvptx:sm_90a", HL_EMIT_OBJ, "/bin/true", &d, &r), HL_ERR_COMPILE);
  assert_null(r.bytes);
  free(lane);
  hl_kernel *k = NULL;
  assert_int_equal(hl_example_find("vector_add")->build(ctx, HL_F32, &d, &k), HL_OK);
  char *tile = print(k);
  assert_int_equal(compile(tile, "nvptx:sm_90a", HL_EMIT_ASM, NULL, &d, &r), HL_ERR_ARG);
  free(tile);
  assert_non_null(strstr(d.message, "LANE"));
}

/* The cubin is an ELF file, and the report tells its registers. */
static void test_object(void **state) {
  (void)state;
  hl_diag d = {0};
  hlc_result r = {0};
  if (!getenv("HL_PTXAS"))
    skip();
  char *lane = example_lane("vector_add", HL_F32, SIZE(1000), "nvptx:sm_90a", "{}");
  if (compile(lane, "nvptx:sm_90a", HL_EMIT_OBJ, NULL, &d, &r) != HL_OK)
    fail_msg("%s", d.message);
  assert_int_equal(r.format, HLC_CUBIN);
  assert_memory_equal(hl_blob_data(r.bytes), "\177ELF", 4);
  assert_string_equal(r.entry, "vector_add");
  int registers = 0;
  assert_int_equal(sscanf(r.report, "registers %d", &registers), 1);
  assert_in_range(registers, 8, 64);
  hl_blob_release(r.bytes);
  free(lane);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vector_add),       cmocka_unit_test(test_softmax), cmocka_unit_test(test_matmul),
      cmocka_unit_test(test_unaligned_matmul), cmocka_unit_test(test_kernels), cmocka_unit_test(test_failures),
      cmocka_unit_test(test_object),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
