/* test_extents.c: tiles and the dimensions that they index: one tile in two dimensions, dimensions that are too small
 * for a tile, and dimensions whose size is known at the launch only.
 *
 * ctest-timeout: 900 */
#include "tests/exec/everywhere.h"

#define I(...) ((hl_value[]){__VA_ARGS__})

enum { M = 37, N = 50, B = 16 };

static hl_builder *begin(hl_context *ctx, const char *name) {
  hl_diag d = {0};
  hl_builder *b = NULL;
  assert_int_equal(hl_builder_create(ctx, name, &d, &b), HL_OK);
  return b;
}

static void numbers(double *x, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    x[i] = (double)((i * 7919 + 13) % 127) / 64 - 1;
}

/* ---- one tile in two dimensions ---- */

/* y[i, i] = x[i, i] + x[i, i] transposed, in blocks of B; d[i] = x[i, i] one by one */
static hl_kernel *build_square(hl_context *ctx) {
  hl_builder *b = begin(ctx, "square");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, I(m, n), 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, I(m, n), 2, HL_OUT);
  const hl_value d = hl_param_tensor(b, "d", HL_F32, &m, 1, HL_OUT);
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  hl_value i;
  o.block_min[0] = o.block_max[0] = B;
  hl_tile_begin_ex(b, I(hl_size(b, x, 0)), 1, &o, &i);
  const hl_value v = hl_load(b, x, I(i, i), 2), at = hl_tile_index(b, i);
  hl_store(b, y, I(i, i), 2, hl_add(b, v, hl_transpose(b, v, (uint32_t[]){1, 0})));
  hl_store(b, d, &i, 1, hl_load(b, x, I(at, at), 2));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_square(void **state) {
  (void)state;
  static double x[M * N], y0[M * N], y[M * N], d[M];
  numbers(x, M * N);
  for (int i = 0; i < M; i++) {
    for (int j = 0; j < N; j++) {
      y0[i * N + j] = -7;
      y[i * N + j] = j < M && i / B == j / B ? x[i * N + j] + x[j * N + i] : -7;
    }
    d[i] = x[i * N + i];
  }
  const every_tensor t[] = {
      {HL_F32, 2, {M, N}, x, NULL, 0}, {HL_F32, 2, {M, N}, y0, y, 0}, {HL_F32, 1, {M}, NULL, d, 0}};
  everywhere(build_square, t, 3, 0);
}

/* y[i, :] = x[i, :] + the column sums of a square s, whose two dimensions have one name */
static hl_kernel *build_columns(hl_context *ctx) {
  hl_builder *b = begin(ctx, "columns");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, I(m, n), 2, HL_IN);
  const hl_value s = hl_param_tensor(b, "s", HL_F32, I(n, n), 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, I(m, n), 2, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value sum = hl_reduce_sum(b, hl_load(b, s, I(HL_ALL, HL_ALL), 2), 0, false);
  hl_store(b, y, I(i, HL_ALL), 2, hl_add(b, hl_load(b, x, I(i, HL_ALL), 2), sum));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_columns(void **state) {
  (void)state;
  static double x[M * N], s[N * N], y[M * N];
  numbers(x, M * N), numbers(s, N * N);
  for (int i = 0; i < M * N; i++) {
    y[i] = x[i];
    for (int k = 0; k < N; k++)
      y[i] += s[k * N + i % N];
  }
  const every_tensor t[] = {
      {HL_F32, 2, {M, N}, x, NULL, 0}, {HL_F32, 2, {N, N}, s, NULL, 0}, {HL_F32, 2, {M, N}, NULL, y, 1e-5}};
  everywhere(build_columns, t, 3, 0);
}

/* Plans of tensors that are too narrow for the tile are refused: both dimensions are named. */
static void refused(hl_kernel *k, int64_t m, int64_t n, const char *const *words) {
  hl_shape_binding shape[2] = {{"M", m}, {"N", n}};
  hl_config *c = NULL;
  const hl_target *targets[2] = {exec_target("host"), exec_target("nvptx:sm_90a")};
  for (int i = 0; i < 2; i++) {
    hl_diag d = {0};
    assert_int_equal(hl_config_default(k, shape, 2, targets[i], &d, &c), HL_ERR_BUILD);
    for (const char *const *w = words; *w; w++)
      if (!strstr(d.message, *w))
        fail_msg("'%s' lacks '%s'", d.message, *w);
    assert_non_null(strstr(d.file, "test_extents.c"));
  }
}

static void test_too_narrow(void **state) {
  (void)state;
  hl_context *ctx = exec_context();
  hl_kernel *k = build_square(ctx);
  refused(k, 30, 29, (const char *[]){"tile $i over M runs to 30", "dimension 1 of x, N", "size 29", "hl_min", NULL});
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

/* ---- sizes that are known at the launch ---- */

/* y[b] = x[b] . w[b], every size dynamic */
static hl_kernel *build_batch(hl_context *ctx) {
  static const char *const names[] = {"P", "M", "K", "N"};
  hl_builder *b = begin(ctx, "batch");
  hl_dim d[4];
  hl_value t[3], k, acc[1], sum[1];
  for (int i = 0; i < 4; i++)
    hl_dim_set_dynamic(b, d[i] = hl_dim_named(b, names[i]));
  const hl_value x = hl_param_tensor(b, "x", HL_F32, I(d[0], d[1], d[2]), 3, HL_IN);
  const hl_value w = hl_param_tensor(b, "w", HL_F32, I(d[0], d[2], d[3]), 3, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, I(d[0], d[1], d[3]), 3, HL_OUT);
  hl_tile_begin(b, I(hl_size(b, y, 0), hl_size(b, y, 1), hl_size(b, y, 2)), 3, t);
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  sum[0] = hl_zeros(b, t, 3, HL_F32);
  o.carried = sum, o.carried_count = 1, o.carried_in = acc;
  hl_tile_begin_ex(b, I(hl_size(b, x, 2)), 1, &o, &k);
  sum[0] = hl_dot(b, hl_load(b, x, I(t[0], t[1], k), 3), hl_load(b, w, I(t[0], k, t[2]), 3), acc[0]);
  hl_tile_end(b, sum, sum);
  hl_store(b, y, t, 3, sum[0]);
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_dynamic_batch(void **state) {
  (void)state;
  enum { P = 3, R = 19, K = 21, C = 35 };
  static double x[P * R * K], w[P * K * C], y[P * R * C];
  numbers(x, P * R * K), numbers(w, P * K * C);
  for (int i = 0; i < P * R * C; i++)
    for (int k = 0; k < K; k++)
      y[i] += x[i / C * K + k] * w[(i / (R * C) * K + k) * C + i % C];
  const every_tensor t[] = {
      {HL_F32, 3, {P, R, K}, x, NULL, 0}, {HL_F32, 3, {P, K, C}, w, NULL, 0}, {HL_F32, 3, {P, R, C}, NULL, y, 1e-5}};
  everywhere(build_batch, t, 3, 0);
}

/* y[i, :] = x[i, :] - its mean; columns may be many */
static hl_kernel *build_centred(hl_context *ctx) {
  hl_builder *b = begin(ctx, "centred");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  hl_dim_set_dynamic(b, m), hl_dim_set_dynamic(b, n);
  const hl_value x = hl_param_tensor(b, "x", HL_F32, I(m, n), 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, I(m, n), 2, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value v = hl_load(b, x, I(i, HL_ALL), 2);
  hl_store(b, y, I(i, HL_ALL), 2, hl_sub(b, v, hl_mean(b, v, (int32_t[]){1}, 1, true)));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

/* The default configuration of dynamic sizes is legal for all of them. */
static void test_huge_rows(void **state) {
  (void)state;
  enum { R = 2, C = 1 << 21 };
  static const int64_t shape[2] = {R, C};
  hl_context *ctx = exec_context();
  hl_kernel *k = build_centred(ctx);
  hl_diag d = {0};
  hl_device *dev = NULL;
  hl_plan *plan = NULL;
  float *x = malloc(R * C * sizeof *x), *y = malloc(R * C * sizeof *y);
  assert_true(x && y);
  for (int64_t i = 0; i < R * C; i++)
    x[i] = (float)(i % 2) + (float)(i / C), y[i] = -9;
  hl_tensor t[2];
  hl_arg args[2];
  for (int i = 0; i < 2; i++) {
    t[i] = (hl_tensor){.data = i ? y : x, .device = {HL_DEVICE_CPU, 0}, .ndim = 2, .dtype = hl_dtype_to_dl(HL_F32)};
    t[i].shape = (int64_t *)shape;
    args[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &t[i]};
  }
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.args = args, o.arg_count = 2;
  assert_int_equal(hl_device_open(ctx, "cpu", &d, &dev), HL_OK);
  if (hl_plan_create(dev, k, &o, &d, &plan) != HL_OK || hl_launch(plan, NULL, args, 2, NULL, &d) != HL_OK)
    fail_msg("%s", d.message);
  assert_int_equal(hl_device_synchronize(dev, &d), HL_OK);
  for (int64_t i = 0; i < R * C; i++)
    assert_float_equal(y[i], (float)(i % 2) - 0.5, 1e-4);
  hl_plan_destroy(plan);
  hl_device_close(dev);
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
  free(x), free(y);
}

/* y = x . transposed x . x, with rows of unknown length that a dot sums over, and that another one makes columns along
 */
static hl_kernel *build_gram(hl_context *ctx) {
  hl_builder *b = begin(ctx, "gram");
  const hl_dim m = hl_dim_static(b, 21), n = hl_dim_named(b, "N");
  hl_dim_set_dynamic(b, n);
  const hl_value x = hl_param_tensor(b, "x", HL_F32, I(m, n), 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, I(m, n), 2, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value v = hl_load(b, x, I(i, HL_ALL), 2), all = hl_load(b, x, I(HL_ALL, HL_ALL), 2);
  const hl_value g = hl_dot(b, v, hl_transpose(b, all, (uint32_t[]){1, 0}), HL_POISON);
  hl_store(b, y, I(i, HL_ALL), 2, hl_dot(b, g, all, HL_POISON));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_dynamic_dots(void **state) {
  (void)state;
  enum { R = 21, C = 300 };
  static double x[R * C], g[R * R], y[R * C];
  numbers(x, R * C);
  for (int i = 0; i < R * R; i++)
    for (int k = 0; k < C; k++)
      g[i] += x[i / R * C + k] * x[i % R * C + k];
  for (int i = 0; i < R * C; i++)
    for (int k = 0; k < R; k++)
      y[i] += g[i / C * R + k] * x[k * C + i % C];
  const every_tensor t[] = {{HL_F32, 2, {R, C}, x, NULL, 0}, {HL_F32, 2, {R, C}, NULL, y, 2e-3}};
  everywhere(build_gram, t, 2, 0);
}

/* What cannot be done without knowing a size says so, with the line and a way out. */
static hl_kernel *build_unknown(hl_context *ctx) {
  hl_builder *b = begin(ctx, "unknown");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  hl_dim_set_dynamic(b, n);
  const hl_value x = hl_param_tensor(b, "x", HL_F32, I(m, n), 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, I(m, n), 2, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value v = hl_cumsum(b, hl_load(b, x, I(i, HL_ALL), 2), 1, false);
  hl_store(b, y, I(i, HL_ALL), 2, hl_cumsum(b, v, 1, true));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_unknown_length(void **state) {
  (void)state;
  hl_context *ctx = exec_context();
  hl_kernel *k = build_unknown(ctx);
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  const hl_shape_binding shape[2] = {{"M", 20}, {"N", 30}};
  hl_diag d = {0};
  hl_blob *out = NULL;
  o.shape = shape, o.shape_count = 2, o.emit = HL_EMIT_LOOP;
  assert_int_equal(hl_compile(ctx, k, exec_target("host"), &o, &d, &out), HL_ERR_UNSUPPORTED);
  if (!strstr(d.message, "kernel unknown") || !strstr(d.message, "axis $N") || !strstr(d.message, "tile it"))
    fail_msg("'%s'", d.message);
  assert_non_null(strstr(d.file, "test_extents.c"));
  assert_true(d.line > 0);
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_square),        cmocka_unit_test(test_columns),
                                     cmocka_unit_test(test_too_narrow),    cmocka_unit_test(test_dynamic_batch),
                                     cmocka_unit_test(test_huge_rows),     cmocka_unit_test(test_dynamic_dots),
                                     cmocka_unit_test(test_unknown_length)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
