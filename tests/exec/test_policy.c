/* test_policy.c: what a kernel declares about itself: what may be less exact, which sizes must fit, which tensors may
 * be the same memory. */
#include <math.h>

#include "tests/exec/exec.h"

static hl_kernel *parse(hl_context *ctx, const char *text) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  if (hl_kernel_parse(ctx, (hl_str){text, strlen(text)}, "policy.hl", &d, &k) != HL_OK)
    fail_msg("%s:%u:%u: %s", d.file, d.line, d.column, d.message);
  return k;
}

static void must(hl_status s, const hl_diag *d) {
  if (s != HL_OK)
    fail_msg("%s", d->message);
}

/* ---- what may be less exact ---- */

#define BODY                                                                                                           \
  "  body {\n"                                                                                                         \
  "    %c0 = const {value = 0} : i64\n"                                                                                \
  "    %n = size %x {dim = 0} : i64\n"                                                                                 \
  "    tile %c0, %n {axes = [$i]} (%i : tile<$i>) {\n"                                                                 \
  "      %a = load %x[%i] : f32[$i]\n"                                                                                 \
  "      %b = load %y[%i] : f32[$i]\n"                                                                                 \
  "      %p = mul %a, %b : f32[$i]\n"                                                                                  \
  "      %s = add %p, %a : f32[$i]\n"                                                                                  \
  "      %q = div %s, %b : f32[$i]\n"                                                                                  \
  "      store %z[%i], %q\n"                                                                                           \
  "      yield\n"                                                                                                      \
  "    }\n"                                                                                                            \
  "  }\n"                                                                                                              \
  "}\n"
#define HEAD                                                                                                           \
  "hl 1 tile\nkernel @k {\n  dim N = 256\n  param %x : tensor<f32[N]> in\n  param %y : tensor<f32[N]> in\n"             \
  "  param %z : tensor<f32[N]> out\n  axis $i tile over N\n"

static bool compiled_has(const char *text, const char *target, const char *words) {
  hl_context *ctx = exec_context();
  hl_kernel *k = parse(ctx, text);
  hl_diag d = {0};
  hl_blob *code = NULL;
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  o.emit = HL_EMIT_ASM;
  must(hl_compile(ctx, k, exec_target(target), &o, &d, &code), &d);
  char *copy = cli_format("%.*s", (int)hl_blob_size(code), (const char *)hl_blob_data(code));
  const bool found = strstr(copy, words) != NULL;
  free(copy);
  hl_blob_release(code);
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
  return found;
}

static void contraction(void **state) {
  (void)state;
  assert_false(compiled_has(HEAD BODY, "x86-64-v4", "vfmadd"));
  assert_true(compiled_has(HEAD "  allow contract\n" BODY, "x86-64-v4", "vfmadd"));
  assert_true(compiled_has(HEAD BODY, "nvptx:sm_90a", "add.rn.f32"));
  assert_true(compiled_has(HEAD "  allow contract\n" BODY, "nvptx:sm_90a", "fma.rn.f32"));
}

static void gpu_flush_and_division(void **state) {
  (void)state;
  assert_true(compiled_has(HEAD "  allow flush\n" BODY, "nvptx:sm_90a", "add.rn.ftz.f32"));
  assert_true(compiled_has(HEAD BODY, "nvptx:sm_90a", "selp"));                            /* scales the divisor */
  assert_false(compiled_has(HEAD "  allow approx_div\n" BODY, "nvptx:sm_90a", "selp"));
}

static void run_cpu(const char *text, const float *x, const float *y, float *z, int64_t n) {
  hl_context *ctx = exec_context();
  hl_kernel *k = parse(ctx, text);
  hl_diag d = {0};
  hl_device *dev = NULL;
  hl_plan *plan = NULL;
  hl_tensor t[3];
  hl_arg args[3];
  for (int i = 0; i < 3; i++) {
    t[i] = (hl_tensor){.data = i == 0 ? (void *)(uintptr_t)x : i == 1 ? (void *)(uintptr_t)y : z,
                       .device = {HL_DEVICE_CPU, 0},
                       .ndim = 1,
                       .dtype = hl_dtype_to_dl(HL_F32),
                       .shape = &n};
    args[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &t[i]};
  }
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.args = args, o.arg_count = 3;
  must(hl_device_open(ctx, "cpu", &d, &dev), &d);
  must(hl_plan_create(dev, k, &o, &d, &plan), &d);
  must(hl_launch(plan, NULL, args, 3, NULL, &d), &d);
  must(hl_device_synchronize(dev, &d), &d);
  hl_plan_destroy(plan);
  hl_device_close(dev);
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

/* Subnormals live unless the kernel lets them go, and the caller's own mode is not touched. */
static void cpu_flush(void **state) {
  (void)state;
  enum { N = 256 };
  static _Alignas(64) float x[N], y[N], z[N];
  for (int i = 0; i < N; i++)
    x[i] = 0x1p-130f, y[i] = 1;
  run_cpu(HEAD BODY, x, y, z, N);
  assert_true(z[0] == 0x1p-129f && z[N - 1] == 0x1p-129f);
  run_cpu(HEAD "  allow flush\n" BODY, x, y, z, N);
  volatile float tiny = 0x1p-130f;
  assert_true(tiny * 2 == 0x1p-129f);
#if defined(__x86_64__)
  assert_true(z[0] == 0 && z[N - 1] == 0);
#endif
}

static void digests(void **state) {
  (void)state;
  hl_context *ctx = exec_context();
  hl_kernel *a = parse(ctx, HEAD BODY), *b = parse(ctx, HEAD "  allow contract tf32\n" BODY);
  uint64_t x[2], y[2];
  hl_kernel_digest(a, x), hl_kernel_digest(b, y);
  assert_true(x[0] != y[0] || x[1] != y[1]);
  hl_kernel_destroy(a), hl_kernel_destroy(b);
  hl_context_destroy(ctx);
}

/* ---- built ---- */

typedef struct built {
  hl_context *ctx;
  hl_builder *b;
  hl_dim m, n;
  hl_value x, y;
} built;

static built start(bool dynamic) {
  hl_diag d = {0};
  built t = {.ctx = exec_context()};
  must(hl_builder_create(t.ctx, "k", &d, &t.b), &d);
  t.m = hl_dim_named(t.b, "M"), t.n = hl_dim_named(t.b, "N");
  if (dynamic)
    hl_dim_set_dynamic(t.b, t.m), hl_dim_set_dynamic(t.b, t.n);
  t.x = hl_param_tensor(t.b, "x", HL_F32, &t.m, 1, HL_IN);
  t.y = hl_param_tensor(t.b, "y", HL_F32, &t.n, 1, HL_OUT);
  return t;
}

static hl_kernel *finish_copy(built *t) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  hl_value i, j;
  hl_grid_begin(t->b, (hl_value[]){hl_const_i(t->b, 1)}, 1, &i);
  hl_value end = hl_min(t->b, hl_size(t->b, t->y, 0), hl_size(t->b, t->x, 0));
  hl_tile_begin(t->b, &end, 1, &j);
  hl_store(t->b, t->y, &j, 1, hl_load(t->b, t->x, &j, 1));
  hl_tile_end(t->b, NULL, NULL);
  hl_tile_end(t->b, NULL, NULL);
  must(hl_builder_finish(t->b, &d, &k), &d);
  return k;
}

static void expect(hl_status s, const hl_diag *d, const char *const *words) {
  assert_int_equal(s, HL_ERR_GUARD);
  assert_int_equal(d->status, HL_ERR_GUARD);
  for (; *words; words++)
    if (!strstr(d->message, *words))
      fail_msg("'%s' does not say '%s'", d->message, *words);
}
#define EXPECT(s, d, ...) expect((s), (d), (const char *const[]){__VA_ARGS__, NULL})

static hl_arg tensor(hl_tensor *t, float *data, int64_t *size) {
  *t = (hl_tensor){
      .data = data, .device = {HL_DEVICE_CPU, 0}, .ndim = 1, .dtype = hl_dtype_to_dl(HL_F32), .shape = size};
  return (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = t};
}

/* Checked where the plan is made, where a plan for all sizes is launched, and by the interpreter. */
static void required_sizes(void **state) {
  (void)state;
  static _Alignas(64) float x[64], y[64];
  int64_t m = 5, n = 7;
  hl_tensor t[2];
  hl_diag d = {0};
  hl_device *dev = NULL;
  for (int dynamic = 0; dynamic < 2; dynamic++) {
    built b = start(dynamic);
    hl_require(b.b, b.m, HL_EQ, b.n);
    hl_require(b.b, b.m, HL_LE, hl_dim_static(b.b, 9));
    hl_kernel *k = finish_copy(&b);
    hl_plan *plan = NULL;
    hl_plan_options o = HL_PLAN_OPTIONS_INIT;
    m = 5, n = 7;
    const hl_arg args[2] = {tensor(&t[0], x, &m), tensor(&t[1], y, &n)};
    o.args = args, o.arg_count = 2;
    must(hl_device_open(b.ctx, "cpu", &d, &dev), &d);
    hl_status s = hl_interpret(b.ctx, k, args, 2, NULL, &d);
    EXPECT(s, &d, "M == N", "M is 5 (dimension 0 of x)", "N is 7 (dimension 0 of y)");
    if (dynamic)
      n = 5;
    s = hl_plan_create(dev, k, &o, &d, &plan);
    if (dynamic) {
      must(s, &d);
      n = 7;
      s = hl_launch(plan, NULL, args, 2, NULL, &d);
      EXPECT(s, &d, "M == N", "'M' is 5 (dimension 0 of 'x')", "'N' is 7 (dimension 0 of 'y')");
      m = n = 10;
      s = hl_launch(plan, NULL, args, 2, NULL, &d);
      EXPECT(s, &d, "M <= 9", "'M' is 10", "the limit is 9");
      m = n = 9;
      must(hl_launch(plan, NULL, args, 2, NULL, &d), &d);
    } else {
      EXPECT(s, &d, "kernel k requires M == N", "M is 5 (dimension 0 of x)", "N is 7 (dimension 0 of y)");
      m = n = 10;
      s = hl_plan_create(dev, k, &o, &d, &plan);
      EXPECT(s, &d, "M <= 9", "M is 10");
    }
    hl_plan_destroy(plan);
    hl_device_close(dev);
    hl_kernel_destroy(k);
    hl_context_destroy(b.ctx);
  }
}

static void refused(built *t, uint32_t line, const char *words) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  assert_int_equal(hl_builder_finish(t->b, &d, &k), HL_ERR_BUILD);
  assert_null(k);
  if (!strstr(d.message, words))
    fail_msg("'%s' does not say '%s'", d.message, words);
  assert_int_equal(d.line, line);
  hl_context_destroy(t->ctx);
}

static void wrong_calls(void **state) {
  (void)state;
  built t = start(false);
  hl_require(t.b, t.m, HL_ADD, t.n);
  refused(&t, __LINE__ - 1, "hl_require: wants two dimensions of this builder and a comparison");
  t = start(false);
  hl_require(t.b, 77, HL_EQ, t.n);
  refused(&t, __LINE__ - 1, "hl_require: wants two dimensions");
  t = start(false);
  hl_allow(t.b, 64);
  refused(&t, __LINE__ - 1, "hl_allow: 0x40 names nothing");
}

/* ---- the same memory ---- */

/* y[i] = x[i] + sum of its tile's x: right only if all of x's tile is read before y is written. */
static const char alias_text[] = "hl 1 tile\nkernel @k {\n  dim N\n  param %x : tensor<f32[N]> in{ALIAS}\n"
                                 "  param %y : tensor<f32[N]> out\n  axis $i tile over N min 8 max 8\n"
                                 "  body {\n"
                                 "    %c0 = const {value = 0} : i64\n"
                                 "    %n = size %x {dim = 0} : i64\n"
                                 "    tile %c0, %n {axes = [$i]} (%i : tile<$i>) {\n"
                                 "      %a = load %x[%i] : f32[$i]\n"
                                 "      %s = reduce %a {op = sum, axes = [0]} : f32\n"
                                 "      %b = broadcast %s {dims = []} : f32[$i]\n"
                                 "      %c = add %a, %b : f32[$i]\n"
                                 "      store %y[%i], %c\n"
                                 "      %l = load %x[%i] : f32[$i]\n"
                                 "      %m = add %l, %c : f32[$i]\n"
                                 "      store %y[%i], %m\n"
                                 "      yield\n    }\n  }\n}\n";

static char *with_alias(const char *words) {
  const char *at = strstr(alias_text, "{ALIAS}");
  return cli_format("%.*s%s%s", (int)(at - alias_text), alias_text, words, at + 7);
}

static void aliases(void **state) {
  (void)state;
  enum { N = 20 };
  static _Alignas(64) float data[N + 16];
  int64_t n = N;
  hl_tensor t[2];
  hl_diag d = {0};
  for (int may = 0; may < 2; may++) {
    hl_context *ctx = exec_context();
    char *text = with_alias(may ? " may_alias [%y]" : "");
    hl_kernel *k = parse(ctx, text);
    hl_device *dev = NULL;
    hl_plan *plan = NULL;
    hl_plan_options o = HL_PLAN_OPTIONS_INIT;
    const hl_arg args[2] = {tensor(&t[0], data, &n), tensor(&t[1], data, &n)};
    o.args = args, o.arg_count = 2;
    for (int i = 0; i < N; i++)
      data[i] = (float)i;
    must(hl_device_open(ctx, "cpu", &d, &dev), &d);
    must(hl_plan_create(dev, k, &o, &d, &plan), &d);
    hl_status s = hl_launch(plan, NULL, args, 2, NULL, &d);
    if (!may) {
      EXPECT(s, &d, "parameter 'y'", "it is written", "overlap those of 'x'", "may alias");
    } else {
      must(s, &d);
      must(hl_device_synchronize(dev, &d), &d);
      for (int i = 0; i < N; i++) {
        float sum = 0;
        for (int j = i / 8 * 8; j < i / 8 * 8 + 8 && j < N; j++)
          sum += (float)j;
        assert_true(data[i] == 2 * ((float)i + sum));
      }
    }
    hl_plan_destroy(plan);
    hl_device_close(dev);
    hl_kernel_destroy(k);
    free(text);
    hl_context_destroy(ctx);
  }
}

/* The GPU's read-only path is only for what nothing else may write. */
static void read_only_path(void **state) {
  (void)state;
  for (int may = 0; may < 2; may++) {
    char *text = with_alias(may ? " may_alias [%y]" : ""), *at = strstr(text, "dim N");
    char *sized = cli_format("%.*sdim N = 64%s", (int)(at - text), text, at + 5);
    assert_int_equal(compiled_has(sized, "nvptx:sm_90a", "ld.global.nc"), !may);
    free(sized);
    free(text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(contraction), cmocka_unit_test(gpu_flush_and_division), cmocka_unit_test(cpu_flush),
      cmocka_unit_test(digests),     cmocka_unit_test(required_sizes),         cmocka_unit_test(wrong_calls),
      cmocka_unit_test(aliases),     cmocka_unit_test(read_only_path),
  };
  return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
