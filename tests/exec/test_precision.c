/* test_precision.c: how exactly dots of f32 multiply: tf32, tf32x3 and ieee, in every place; what the GPU makes of
 * them; mistakes.
 *
 * ctest-timeout: 900 */
#include "tests/exec/everywhere.h"

#include "src/ir/ir.h"

#define I(...) ((hl_value[]){__VA_ARGS__})

enum { M = 37, N = 50, K = 45 };

static hl_builder *begin(hl_context *ctx) {
  hl_diag d = {0};
  hl_builder *b = NULL;
  assert_int_equal(hl_builder_create(ctx, "product", &d, &b), HL_OK);
  return b;
}

/* y = x . w */
static hl_kernel *build(hl_context *ctx, hl_dtype dtype, const hl_dot_options *o, uint32_t allow) {
  hl_builder *b = begin(ctx);
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), k = hl_dim_named(b, "K");
  const hl_value x = hl_param_tensor(b, "x", dtype, I(m, k), 2, HL_IN);
  const hl_value w = hl_param_tensor(b, "w", dtype, I(k, n), 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, I(m, n), 2, HL_OUT);
  hl_value t[2], kt, acc[1], sum[1];
  if (allow)
    hl_allow(b, allow);
  hl_tile_begin(b, I(hl_size(b, y, 0), hl_size(b, y, 1)), 2, t);
  hl_tile_options to = HL_TILE_OPTIONS_INIT;
  sum[0] = hl_zeros(b, t, 2, HL_F32);
  to.carried = sum, to.carried_count = 1, to.carried_in = acc;
  hl_tile_begin_ex(b, I(hl_size(b, x, 1)), 1, &to, &kt);
  sum[0] = hl_dot_with(b, hl_load(b, x, I(t[0], kt), 2), hl_load(b, w, I(kt, t[1]), 2), acc[0], o);
  hl_tile_end(b, sum, sum);
  hl_store(b, y, t, 2, sum[0]);
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static hl_kernel *build_with(hl_context *ctx, hl_precision precision) {
  hl_dot_options o = HL_DOT_OPTIONS_INIT;
  o.precision = precision;
  return build(ctx, HL_F32, &o, 0);
}
static hl_kernel *build_tf32(hl_context *ctx) {
  return build_with(ctx, HL_DOT_TF32);
}
static hl_kernel *build_tf32x3(hl_context *ctx) {
  return build_with(ctx, HL_DOT_TF32X3);
}

static double x[M * K], w[K * N], y[M * N];

static double rounded(double v) {
  return hli_scalar_eval(HLI_OP_TF32, HL_F32, HL_F32, &(hli_scalar){.f = v}, true).f;
}

static void fill(bool tf32) {
  for (int i = 0; i < M * K; i++)
    x[i] = (double)(float)(((i * 7919 + 13) % 1009) / 1009.0 + 0.5);
  for (int i = 0; i < K * N; i++)
    w[i] = (double)(float)(((i * 6133 + 7) % 997) / 997.0 - 0.5);
  for (int i = 0; i < M * N; i++) {
    y[i] = 0;
    for (int k = 0; k < K; k++) {
      const double a = x[i / N * K + k], b = w[k * N + i % N];
      y[i] += tf32 ? rounded(a) * rounded(b) : a * b;
    }
  }
}

/* Both are judged so closely that the other one would fail. */
static void test_tf32(void **state) {
  (void)state;
  fill(true);
  const every_tensor t[] = {
      {HL_F32, 2, {M, K}, x, NULL, 0}, {HL_F32, 2, {K, N}, w, NULL, 0}, {HL_F32, 2, {M, N}, NULL, y, 1e-5}};
  everywhere(build_tf32, t, 3, EVERY_NO_EXACT);
}

static void test_tf32x3(void **state) {
  (void)state;
  fill(false);
  const every_tensor t[] = {
      {HL_F32, 2, {M, K}, x, NULL, 0}, {HL_F32, 2, {K, N}, w, NULL, 0}, {HL_F32, 2, {M, N}, NULL, y, 1e-5}};
  everywhere(build_tf32x3, t, 3, 0);
}

/* How often an instruction stands in the PTX of a kernel. */
static uint32_t count_in_ptx(hl_context *ctx, const hl_kernel *k, const char *what) {
  const hl_shape_binding shape[] = {{"M", 512}, {"N", 512}, {"K", 512}};
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  hl_diag d = {0};
  hl_blob *blob = NULL;
  uint32_t n = 0;
  o.shape = shape, o.shape_count = 3, o.emit = HL_EMIT_ASM;
  if (hl_compile(ctx, k, exec_target("nvptx:sm_90a"), &o, &d, &blob) != HL_OK)
    fail_msg("%s", d.message);
  for (const char *p = hl_blob_data(blob); (p = strstr(p, what)); p++)
    n++;
  hl_blob_release(blob);
  return n;
}

static void test_instructions(void **state) {
  (void)state;
  static const char mma[] = "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32";
  hl_context *ctx = exec_context();
  hl_dot_options o = HL_DOT_OPTIONS_INIT;
  hl_kernel *k[4] = {build_tf32(ctx), build_tf32x3(ctx), build(ctx, HL_F32, &o, 0),
                     build(ctx, HL_F32, &o, HL_ALLOW_TF32)};
  uint32_t n[4];
  for (int i = 0; i < 4; i++)
    n[i] = count_in_ptx(ctx, k[i], mma);
  assert_true(n[0] > 0);
  assert_int_equal(n[1], 3 * n[0]);
  assert_int_equal(n[2], 0);
  assert_int_equal(n[3], n[0]); /* allowed for every dot */
  for (int i = 0; i < 4; i++)
    hl_kernel_destroy(k[i]);
  hl_context_destroy(ctx);
}

/* ---- mistakes ---- */

static hl_kernel *of_bf16(hl_context *ctx) {
  hl_dot_options o = HL_DOT_OPTIONS_INIT;
  o.precision = HL_DOT_TF32;
  return build(ctx, HL_BF16, &o, 0);
}
static hl_kernel *unknown(hl_context *ctx) {
  return build_with(ctx, (hl_precision)7);
}
static hl_kernel *old_options(hl_context *ctx) {
  hl_dot_options o = HL_DOT_OPTIONS_INIT;
  o.size = 3;
  return build(ctx, HL_F32, &o, 0);
}

static void test_mistakes(void **state) {
  (void)state;
  build_fails(of_bf16, (const char *[]){"precision tf32", "f32 operands", "bf16[", NULL});
  build_fails(unknown, (const char *[]){"unknown precision 7", NULL});
  build_fails(old_options, (const char *[]){"hl_dot_options.size is 3", "HL_DOT_OPTIONS_INIT", NULL});
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_tf32), cmocka_unit_test(test_tf32x3),
                                     cmocka_unit_test(test_instructions), cmocka_unit_test(test_mistakes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
