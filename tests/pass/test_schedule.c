/* test_schedule.c: the schedule passes (specialize, simplify, roll, tile).
 * Text goldens for what they write; the interpreter for what it means: every example, at odd shapes and random
 * configurations, computes after each pass what it computed before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "examples/example.h"
#include "src/ir/interp/interp.h"
#include "src/pass/pass.h"
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
  hl_diag d = {0};
  const hl_target *t = NULL;
  if (hl_target_find(hli_str(name), &d, &t) != HL_OK)
    fail_msg("%s", d.message);
  return t;
}

static hl_kernel *build(const hl_example *e, hl_dtype dtype) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  if (e->build(ctx, dtype, &d, &k) != HL_OK)
    fail_msg("%s:%u: %s", d.file, d.line, d.message);
  return k;
}

static uint32_t bind(const hl_example *e, const int64_t *size, hl_shape_binding *out) {
  uint32_t n = 0;
  for (; n < HL_EXAMPLE_DIMS && e->dims[n]; n++)
    out[n] = (hl_shape_binding){e->dims[n], size[n]};
  return n;
}

/* The kernel after a pass. */
static hl_kernel *after(const hl_example *e, const int64_t *size, const hl_target *t, const hl_config *c,
                        const char *pass) {
  hl_diag d = {0};
  hl_shape_binding shape[HL_EXAMPLE_DIMS];
  const uint32_t n = bind(e, size, shape);
  hl_kernel *k = build(e, HL_F32);
  hli_pass_env env = {.alloc = &ctx->alloc, .target = t, .config = c, .shape = shape, .shape_count = n, .diag = &d};
  if (hli_run_pipeline(&env, &k, pass, NULL, NULL) != HL_OK)
    fail_msg("%s: %s", e->name, d.message);
  return k;
}

static hl_config *parse_config(const hl_example *e, const int64_t *size, const hl_target *t, const char *json) {
  hl_diag d = {0};
  hl_config *c = NULL;
  hl_shape_binding shape[HL_EXAMPLE_DIMS];
  hl_kernel *k = build(e, HL_F32);
  const uint32_t n = bind(e, size, shape);
  if (hl_config_parse(k, shape, n, t, hli_str(json), &d, &c) != HL_OK)
    fail_msg("%s: %s", e->name, d.message);
  hl_kernel_destroy(k);
  return c;
}

/* ---- goldens ---- */

static void check_golden(const char *example, const int64_t *size, const char *target, const char *json,
                         const char *pass, const char *golden) {
  const hl_example *e = hl_example_find(example);
  hl_config *c = parse_config(e, size, target_of(target), json);
  hl_kernel *k = after(e, size, target_of(target), c, pass);
  hl_blob *text = NULL;
  assert_int_equal(hl_kernel_print(k, NULL, &text), HL_OK);
  golden_check(golden, hl_blob_data(text));
  hl_blob_release(text);
  hl_kernel_destroy(k);
  hl_config_destroy(c);
}

static void test_goldens(void **state) {
  (void)state;
  const int64_t n[] = {1000}, mn[] = {100, 3000}, mkn[] = {300, 200, 500};
  check_golden("vector_add", n, "nvptx:sm_90a", "{\"block_sizes\":[256]}", "tile", "pass/schedule/vector_add.hl");
  check_golden("softmax", mn, "host", "{\"block_sizes\":[8]}", "tile", "pass/schedule/softmax_cpu.hl");
  check_golden("softmax", mn, "nvptx:sm_90a", "{\"block_sizes\":[2],\"reduction_loops\":[0],\"num_warps\":8}", "tile",
               "pass/schedule/softmax_whole.hl");
  check_golden("softmax", mn, "nvptx:sm_90a", "{\"block_sizes\":[2],\"reduction_loops\":[512]}", "roll",
               "pass/schedule/softmax_chunks.hl");
  check_golden("layer_norm", mn, "nvptx:sm_90a", "{\"block_sizes\":[2],\"reduction_loops\":[512]}", "roll",
               "pass/schedule/layer_norm_chunks.hl");
  check_golden("cross_entropy", mn, "nvptx:sm_90a", "{\"block_sizes\":[2],\"reduction_loops\":[512]}", "roll",
               "pass/schedule/cross_entropy_chunks.hl");
  check_golden("swiglu", mn, "host", "{\"block_sizes\":[4,512],\"flatten_loops\":[0]}", "flatten",
               "pass/schedule/swiglu_before.hl");
  check_golden("swiglu", mn, "host", "{\"block_sizes\":[4,512],\"flatten_loops\":[1]}", "flatten",
               "pass/schedule/swiglu_flat.hl");
  check_golden("matmul", mkn, "nvptx:sm_90a", "{\"block_sizes\":[64,64,32],\"l2_groupings\":[4]}", "tile",
               "pass/schedule/matmul_grouped.hl");
  check_golden("matmul", mkn, "nvptx:sm_90a", "{\"block_sizes\":[64,64,32],\"loop_orders\":[1],\"l2_groupings\":[1]}",
               "tile", "pass/schedule/matmul_order.hl");
  check_golden("matmul", mkn, "nvptx:sm_90a", "{\"block_sizes\":[64,64,32],\"l2_groupings\":[1],\"pid_type\":1}",
               "tile", "pass/schedule/matmul_run.hl");
  check_golden("matmul", mkn, "nvptx:sm_90a",
               "{\"block_sizes\":[16,16,32],\"l2_groupings\":[1],\"pid_type\":2,\"num_sm_multiplier\":2}", "tile",
               "pass/schedule/matmul_interleaved.hl");
}

/* ---- meaning ---- */

typedef struct data {
  hl_tensor tensor[HL_EXAMPLE_ARGS];
  hl_example_tensor ref[HL_EXAMPLE_ARGS];
  hl_arg arg[HL_EXAMPLE_ARGS];
  uint32_t count;
  bool output[HL_EXAMPLE_ARGS];
} data;

/* A value that the parameter's spec allows. */
static double sample(const hl_arg_spec *spec, int64_t i) {
  const double s = sin((double)i);
  return spec->dist == HL_DIST_NORMAL ? spec->a + spec->b * s : spec->a + (spec->b - spec->a) * (0.5 + 0.5 * s);
}

/* Floats are f64 whatever the kernel says; integers as they are. */
static hl_dtype data_dtype(const hl_param_info *info) {
  return hli_dtype_kind(info->dtype) == 'f' ? HL_F64 : info->dtype;
}

static double put(hl_dtype dtype, void *to, int64_t i, double x) {
  const hli_scalar s = dtype == HL_F64 ? (hli_scalar){.f = x} : (hli_scalar){.i = (int64_t)floor(x)};
  const uint64_t bits = hli_scalar_to_bits(dtype, s);
  memcpy((char *)to + (size_t)i * hl_dtype_size(dtype), &bits, hl_dtype_size(dtype));
  return dtype == HL_F64 ? x : floor(x);
}

static void make_data(const hl_example *e, const int64_t *size, data *x) {
  hl_kernel *k = build(e, HL_F64);
  *x = (data){.count = hl_kernel_param_count(k)};
  for (uint32_t p = 0; p < x->count; p++) {
    hl_param_info info = {.size = sizeof info};
    assert_int_equal(hl_kernel_param(k, p, &info), HL_OK);
    int64_t total = 1;
    x->ref[p].rank = info.rank;
    for (uint32_t d = 0; d < info.rank; d++) {
      x->ref[p].shape[d] = info.dim_value[d];
      for (uint32_t i = 0; i < HL_EXAMPLE_DIMS && e->dims[i]; i++)
        if (hli_str_eqz(info.dim_name[d], e->dims[i]))
          x->ref[p].shape[d] = size[i];
      total *= x->ref[p].shape[d];
    }
    double *v = malloc((size_t)total * sizeof *v);
    x->ref[p].data = malloc((size_t)total * sizeof *v);
    x->ref[p].scale = calloc((size_t)total + 1, sizeof *v);
    for (int64_t i = 0; i < total; i++)
      x->ref[p].data[i] = put(data_dtype(&info), v, i, info.access == HL_IN ? sample(&info.spec, i * 7 + p) : NAN);
    x->output[p] = info.access != HL_IN;
    x->tensor[p] = (hl_tensor){.data = v,
                               .device = {HL_DEVICE_CPU, 0},
                               .ndim = (int32_t)info.rank,
                               .dtype = hl_dtype_to_dl(data_dtype(&info)),
                               .shape = x->ref[p].shape};
    x->arg[p] = info.is_tensor ? (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &x->tensor[p]}
                : hli_dtype_kind(info.dtype) == 'f'
                    ? (hl_arg){.kind = HL_ARG_F64, .as.f64 = v[0]}
                    : (hl_arg){.kind = HL_ARG_I64, .as.i64 = (int64_t)x->ref[p].data[0]};
  }
  e->reference(x->ref, x->count);
  hl_kernel_destroy(k);
}

static void free_data(data *x) {
  for (uint32_t p = 0; p < x->count; p++)
    free(x->tensor[p].data), free(x->ref[p].data), free(x->ref[p].scale);
}

/* Runs in exact mode; every output element equals the reference but for the kernel's f32 literals. */
static void check_meaning(const hl_example *e, const int64_t *size, const hl_kernel *k, const char *what) {
  data x;
  hl_diag d = {0};
  make_data(e, size, &x);
  const hli_interp_options o = {.exact = true, .program_check = true};
  if (hli_interp_run(k, &ctx->alloc, x.arg, x.count, &o, &d) != HL_OK)
    fail_msg("%s %s: %s", e->name, what, d.message);
  for (uint32_t p = 0; p < x.count; p++) {
    int64_t total = x.output[p] ? 1 : 0;
    for (uint32_t i = 0; i < x.ref[p].rank; i++)
      total *= x.ref[p].shape[i];
    const double *got = x.tensor[p].data, *want = x.ref[p].data;
    for (int64_t i = 0; i < total; i++)
      if (!(fabs(got[i] - want[i]) <= 1e-6 * (1 + fabs(want[i]))))
        fail_msg("%s %s: element %lld of output %u is %g, not %g", e->name, what, (long long)i, p, got[i], want[i]);
  }
  free_data(&x);
}

static void check_random(const hl_example *e, const int64_t *size, const char *target) {
  hl_shape_binding shape[HL_EXAMPLE_DIMS];
  const uint32_t n = bind(e, size, shape);
  static const char *const passes[] = {"specialize", "roll", "tile"};
  hl_kernel *k = build(e, HL_F32);
  for (uint64_t seed = 0; seed < 5; seed++) {
    hl_diag d = {0};
    hl_config *c = NULL;
    if (hl_config_random(k, shape, n, target_of(target), seed, &d, &c) != HL_OK)
      fail_msg("%s: %s", e->name, d.message);
    for (uint32_t p = 0; p < 3; p++) {
      hl_kernel *lowered = after(e, size, target_of(target), c, passes[p]);
      check_meaning(e, size, lowered, passes[p]);
      hl_kernel_destroy(lowered);
    }
    hl_config_destroy(c);
  }
  hl_kernel_destroy(k);
}

static void test_meaning(void **state) {
  (void)state;
  for (uint32_t i = 0; i < hl_example_count; i++) {
    const hl_example *e = hl_examples[i];
    for (const hl_example_shape *s = e->odd; s->size[0]; s++) {
      int64_t work = 1;
      for (uint32_t d = 0; d < HL_EXAMPLE_DIMS && e->dims[d]; d++)
        work *= s->size[d];
      if (work > 40000)
        continue; /* the interpreter is slow */
      check_random(e, s->size, "host");
      check_random(e, s->size, "nvptx:sm_90a");
    }
  }
}

/* Two reductions in one phase with an op on the first between them: the loop stands before the second, the op
 * between must move behind it. */
static void test_roll_keeps_order(void **state) {
  (void)state;
  static const char text[] =
      "hl 1 tile\nkernel @k {\n  dim M = 5\n  dim N = 70\n  param %x : tensor<f32[M, N]> in\n  param %y : "
      "tensor<f32[M]> out\n"
      "  axis $i tile over M\n  axis $N full N\n  body {\n    %m = size %x {dim = 0} : i64\n    %z = const {value = 0} "
      ": i64\n"
      "    tile %z, %m {axes = [$i]} (%i : tile<$i>) {\n      %v = load %x[%i, :] : f32[$i, $N]\n"
      "      %a = reduce %v {op = sum, axes = [1]} : f32[$i]\n      %n = neg %a : f32[$i]\n"
      "      %w = mul %v, %v : f32[$i, $N]\n      %b = reduce %w {op = sum, axes = [1]} : f32[$i]\n"
      "      %r = add %n, %b : f32[$i]\n      store %y[%i], %r\n      yield\n    }\n  }\n}\n";
  hl_diag d = {0};
  hl_kernel *k = NULL;
  if (hl_kernel_parse(ctx, hli_str(text), "order.hl", &d, &k) != HL_OK)
    fail_msg("%s", d.message);
  hl_config *c = NULL;
  const hl_target *t = target_of("nvptx:sm_90a");
  if (hl_config_parse(k, NULL, 0, t, hli_str("{\"block_sizes\":[2],\"reduction_loops\":[32]}"), &d, &c) != HL_OK)
    fail_msg("%s", d.message);
  hli_pass_env env = {.alloc = &ctx->alloc, .target = t, .config = c, .diag = &d};
  if (hli_run_pipeline(&env, &k, "tile", NULL, NULL) != HL_OK)
    fail_msg("%s", d.message);
  double x[5 * 70], y[5];
  for (int i = 0; i < 5 * 70; i++)
    x[i] = sin(i);
  hl_tensor tx = {
      .data = x, .device = {HL_DEVICE_CPU, 0}, .ndim = 2, .dtype = hl_dtype_to_dl(HL_F64), .shape = (int64_t[]){5, 70}};
  hl_tensor ty = {
      .data = y, .device = {HL_DEVICE_CPU, 0}, .ndim = 1, .dtype = hl_dtype_to_dl(HL_F64), .shape = (int64_t[]){5}};
  const hl_arg args[2] = {{HL_ARG_TENSOR, {&tx}}, {HL_ARG_TENSOR, {&ty}}};
  if (hli_interp_run(k, &ctx->alloc, args, 2, &(hli_interp_options){.exact = true}, &d) != HL_OK)
    fail_msg("%s", d.message);
  for (int i = 0; i < 5; i++) {
    double a = 0, b = 0;
    for (int j = 0; j < 70; j++)
      a += x[i * 70 + j], b += x[i * 70 + j] * x[i * 70 + j];
    assert_true(fabs(y[i] - (b - a)) < 1e-9);
  }
  hl_config_destroy(c);
  hl_kernel_destroy(k);
}

/* A tile that would run past the dimension it indexes is found before anything is compiled. */
static void test_bounds(void **state) {
  (void)state;
  hl_diag d = {0};
  hl_builder *b;
  hl_kernel *k = NULL;
  hl_value i;
  assert_int_equal(hl_builder_create(ctx, "k", &d, &b), HL_OK);
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, &m, 1, HL_IN), y = hl_param_tensor(b, "y", HL_F32, &n, 1, HL_OUT);
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  hl_store(b, y, &i, 1, hl_load(b, x, &i, 1));
  hl_tile_end(b, NULL, NULL);
  assert_int_equal(hl_builder_finish(b, &d, &k), HL_OK);
  hl_shape_binding shape[2] = {{"M", 100}, {"N", 50}};
  hl_config *c = NULL;
  assert_int_equal(hl_config_default(k, shape, 2, target_of("host"), &d, &c), HL_ERR_BUILD);
  assert_non_null(strstr(d.message, "runs to 100"));
  assert_non_null(strstr(d.message, "has size 50"));
  assert_non_null(strstr(d.file, "test_schedule.c"));
  shape[1].size = 100;
  assert_int_equal(hl_config_default(k, shape, 2, target_of("host"), &d, &c), HL_OK);
  hl_config_destroy(c);
  shape[1].dim = "Q";
  assert_int_equal(hl_config_default(k, shape, 2, target_of("host"), &d, &c), HL_ERR_ARG);
  assert_non_null(strstr(d.message, "no dimension 'Q'; it has M, N"));
  hl_kernel_destroy(k);
}

/* What a kernel from text claims is checked, not believed; each case is refused with its words. */
static void test_bounds_of_text(void **state) {
  (void)state;
  static const char *const bodies[][2] = {
      {"%e = const {value = 4000} : i64\n    tile %z, %e", "runs to 4000"},            /* although `over M` */
      {"%e = size %y {dim = 0} : i64\n    tile %z, %e", "runs to a value known only"}, /* of another tensor, dynamic */
      {"%b = const {value = -3} : i64\n    %e = size %x {dim = 0} : i64\n    tile %b, %e", "begins at -3"},
      {"%s = size %y {dim = 0} : i64\n    %m = size %x {dim = 0} : i64\n    %e = min %s, %m : i64\n    tile %z, %e",
       NULL}};
  for (uint32_t i = 0; i < 4; i++) {
    char text[1024];
    hl_diag d = {0};
    hl_kernel *k = NULL;
    hl_config *c = NULL;
    snprintf(
        text, sizeof text,
        "hl 1 tile\nkernel @k {\n  dim M = 3\n  dim P dynamic\n  param %%x : tensor<f32[M]> inout\n"
        "  param %%y : tensor<f32[P]> in\n  axis $i tile over M\n  body {\n    %%z = const {value = 0} : i64\n    %s "
        "{axes = [$i]} (%%i : tile<$i>) {\n      %%v = load %%x[%%i] : f32[$i]\n      store %%x[%%i], %%v\n      "
        "yield\n"
        "    }\n  }\n}\n",
        bodies[i][0]);
    if (hl_kernel_parse(ctx, hli_str(text), "claim.hl", &d, &k) != HL_OK)
      fail_msg("%s", d.message);
    const hl_status s = hl_config_default(k, NULL, 0, target_of("host"), &d, &c);
    if (bodies[i][1] ? s != HL_ERR_BUILD || !strstr(d.message, bodies[i][1]) : s != HL_OK && s != HL_ERR_UNSUPPORTED)
      fail_msg("case %u: status %d: %s", i, (int)s, d.message);
    hl_config_destroy(c);
    hl_kernel_destroy(k);
  }
}

/* An index that is only known at run time is clamped: whatever it is, memory outside is not touched. */
static void test_runtime_index(void **state) {
  (void)state;
  static const int64_t given[] = {1, -1, 100000000, -100000000}, meant[] = {1, 2, 2, 0};
  hl_diag d = {0};
  hl_builder *b;
  hl_kernel *k = NULL;
  hl_value i;
  assert_int_equal(hl_builder_create(ctx, "k", &d, &b), HL_OK);
  const hl_dim m = hl_dim_static(b, 3), n = hl_dim_static(b, 5);
  const hl_value x = hl_param_tensor(b, "x", HL_F32, (hl_dim[]){m, n}, 2, HL_IN),
                 y = hl_param_tensor(b, "y", HL_F32, &n, 1, HL_OUT);
  const hl_value row = hl_param_scalar(b, "row", HL_I64);
  hl_tile_begin(b, (hl_value[]){hl_size(b, y, 0)}, 1, &i);
  hl_store(b, y, &i, 1, hl_load(b, x, (hl_value[]){row, i}, 2));
  hl_tile_end(b, NULL, NULL);
  if (hl_builder_finish(b, &d, &k) != HL_OK)
    fail_msg("%s", d.message);
  hli_pass_env env = {.alloc = &ctx->alloc, .target = target_of("host"), .diag = &d};
  if (hli_run_pipeline(&env, &k, "specialize", NULL, NULL) != HL_OK)
    fail_msg("%s", d.message);
  double rows[15], out[5];
  for (int j = 0; j < 15; j++)
    rows[j] = j;
  hl_tensor tx = {.data = rows,
                  .device = {HL_DEVICE_CPU, 0},
                  .ndim = 2,
                  .dtype = hl_dtype_to_dl(HL_F64),
                  .shape = (int64_t[]){3, 5}};
  hl_tensor ty = {
      .data = out, .device = {HL_DEVICE_CPU, 0}, .ndim = 1, .dtype = hl_dtype_to_dl(HL_F64), .shape = (int64_t[]){5}};
  for (uint32_t c = 0; c < 4; c++) {
    const hl_arg args[3] = {{HL_ARG_TENSOR, {&tx}}, {HL_ARG_TENSOR, {&ty}}, {.kind = HL_ARG_I64, .as.i64 = given[c]}};
    if (hli_interp_run(k, &ctx->alloc, args, 3, &(hli_interp_options){.exact = true}, &d) != HL_OK)
      fail_msg("%s", d.message);
    for (int j = 0; j < 5; j++)
      assert_true(out[j] == rows[meant[c] * 5 + j]);
  }
  hl_kernel_destroy(k);
}

/* x[i, j] of a tensor that turns out to be [1, N]: the one row is broadcast over i. */
static void test_unit_dimension(void **state) {
  (void)state;
  hl_diag d = {0};
  hl_builder *b;
  hl_kernel *k = NULL;
  hl_value t[2];
  assert_int_equal(hl_builder_create(ctx, "k", &d, &b), HL_OK);
  const hl_dim r = hl_dim_named(b, "R"), m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, (hl_dim[]){r, n}, 2, HL_INOUT);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, (hl_dim[]){m, n}, 2, HL_OUT);
  hl_tile_begin(b, (hl_value[]){hl_size(b, y, 0), hl_size(b, y, 1)}, 2, t);
  hl_store(b, y, t, 2, hl_load(b, x, t, 2));
  hl_tile_end(b, NULL, NULL);
  assert_int_equal(hl_builder_finish(b, &d, &k), HL_OK);
  const hl_shape_binding shape[3] = {{"R", 1}, {"M", 5}, {"N", 7}};
  hl_config *c = NULL;
  if (hl_config_default(k, shape, 3, target_of("host"), &d, &c) != HL_OK)
    fail_msg("%s", d.message);
  hli_pass_env env = {
      .alloc = &ctx->alloc, .target = target_of("host"), .config = c, .shape = shape, .shape_count = 3, .diag = &d};
  if (hli_run_pipeline(&env, &k, "tile", NULL, NULL) != HL_OK)
    fail_msg("%s", d.message);
  double row[7] = {1, 2, 3, 4, 5, 6, 7}, out[35];
  hl_tensor tx = {.data = row,
                  .device = {HL_DEVICE_CPU, 0},
                  .ndim = 2,
                  .dtype = hl_dtype_to_dl(HL_F64),
                  .shape = (int64_t[]){1, 7}};
  hl_tensor ty = {.data = out,
                  .device = {HL_DEVICE_CPU, 0},
                  .ndim = 2,
                  .dtype = hl_dtype_to_dl(HL_F64),
                  .shape = (int64_t[]){5, 7}};
  const hl_arg args[2] = {{HL_ARG_TENSOR, {&tx}}, {HL_ARG_TENSOR, {&ty}}};
  if (hli_interp_run(k, &ctx->alloc, args, 2, &(hli_interp_options){.exact = true}, &d) != HL_OK)
    fail_msg("%s", d.message);
  for (int i = 0; i < 35; i++)
    assert_true(out[i] == row[i % 7]);
  hl_config_destroy(c);
  hl_kernel_destroy(k);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_goldens),          cmocka_unit_test(test_meaning),
                                     cmocka_unit_test(test_roll_keeps_order), cmocka_unit_test(test_bounds),
                                     cmocka_unit_test(test_bounds_of_text),   cmocka_unit_test(test_runtime_index),
                                     cmocka_unit_test(test_unit_dimension)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
