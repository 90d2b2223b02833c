/* test_math.c: every floating function as a kernel, in every floating dtype: built with the builder, interpreted, on
 * the CPU and on a GPU where there is one, against the scalar definition; and for GPUs compiled, and assembled where
 * HL_PTXAS names an assembler.
 *
 * ctest-timeout: 900 */
#include "tests/exec/exec.h"

#include <math.h>
#include <unistd.h>

#include "src/ir/ir.h"

enum { N = 1000 };

typedef struct operation {
  bool two;
  int op;
} operation;

static const hl_dtype dtypes[] = {HL_F32, HL_F64, HL_F16, HL_BF16};

static const double hard[] = {0.0, -0.0, 1, -1, 0.5, 2, -3, INFINITY, -INFINITY, NAN, 1e5, -7e4, 88.8, -87.4, 1e-7, 22};

static double sample(uint32_t i, uint32_t operand) {
  const uint32_t n = (uint32_t)HLI_COUNT(hard), j = operand ? i / n : i;
  if (i < n * n)
    return hard[j % n];
  const double unit = (double)((i * 2654435761u + operand * 40503u) >> 8) * 0x1p-24;
  return i % 2 ? (unit - 0.5) * 20 : 1 + (unit - 0.5) * 0x1p-4;
}

static hl_kernel *build(hl_context *ctx, operation o, hl_dtype dtype) {
  hl_diag diag = {0};
  hl_builder *b = NULL;
  hl_kernel *k = NULL;
  hl_value i;
  assert_int_equal(hl_builder_create(ctx, "math", &diag, &b), HL_OK);
  const hl_dim n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", dtype, &n, 1, HL_IN);
  const hl_value w = hl_param_tensor(b, "w", dtype, &n, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", dtype, &n, 1, HL_OUT);
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value p = hl_load(b, x, &i, 1), q = hl_load(b, w, &i, 1);
  hl_store(b, y, &i, 1, o.two ? hl_binary(b, (hl_binary_op)o.op, p, q) : hl_unary(b, (hl_unary_op)o.op, p));
  hl_tile_end(b, NULL, NULL);
  if (hl_builder_finish(b, &diag, &k) != HL_OK)
    fail_msg("%s", diag.message);
  return k;
}

/* ---- running ------------------------------------------------------------------------------ */

typedef struct data {
  uint64_t bytes[3][N]; /* x, w, y in the dtype */
  int64_t shape, stride;
  hl_tensor tensor[3];
  hl_arg args[3];
} data;

static void fill(data *d, hl_dtype dtype) {
  const uint32_t size = hl_dtype_size(dtype);
  d->shape = N, d->stride = 1;
  for (uint32_t j = 0; j < 3; j++) {
    for (uint32_t i = 0; i < N; i++) {
      const uint64_t bits = j < 2 ? hli_scalar_to_bits(dtype, (hli_scalar){.f = sample(i, j)}) : 0;
      memcpy((char *)d->bytes[j] + (size_t)i * size, &bits, size);
    }
    d->tensor[j] = (hl_tensor){.data = d->bytes[j],
                               .device = {.type = HL_DEVICE_CPU},
                               .ndim = 1,
                               .dtype = hl_dtype_to_dl(dtype),
                               .shape = &d->shape,
                               .strides = &d->stride};
    d->args[j] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &d->tensor[j]};
  }
}

static hl_status run_device(hl_device *dev, const hl_kernel *k, data *d, hl_diag *diag) {
  hl_device_info info = {.size = sizeof info};
  hl_buffer *buffer[3] = {0};
  hl_plan *plan = NULL;
  hl_status s = hl_device_get_info(dev, &info);
  for (uint32_t j = 0; j < 3 && s == HL_OK; j++) {
    s = hl_buffer_create(dev, sizeof d->bytes[j], diag, &buffer[j]);
    if (s == HL_OK)
      s = hl_buffer_write(buffer[j], 0, d->bytes[j], sizeof d->bytes[j], NULL, diag);
    if (s == HL_OK)
      d->tensor[j].data = hl_buffer_data(buffer[j]), d->tensor[j].device = info.id;
  }
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.args = d->args, o.arg_count = 3;
  if (s == HL_OK)
    s = hl_plan_create(dev, k, &o, diag, &plan);
  if (s == HL_OK)
    s = hl_launch(plan, NULL, d->args, 3, NULL, diag);
  if (s == HL_OK)
    s = hl_buffer_read(buffer[2], 0, d->bytes[2], sizeof d->bytes[2], NULL, diag);
  if (s == HL_OK)
    s = hl_device_synchronize(dev, diag);
  hl_plan_destroy(plan);
  for (uint32_t j = 0; j < 3; j++)
    hl_buffer_destroy(buffer[j]);
  return s;
}

/* ---- judging ------------------------------------------------------------------------------------ */

static double ulps(hl_dtype dtype, double have, double want) {
  static const int digits[] = {[HL_F16] = 10, [HL_BF16] = 7, [HL_F32] = 23, [HL_F64] = 52};
  static const int least[] = {[HL_F16] = -24, [HL_BF16] = -133, [HL_F32] = -149, [HL_F64] = -1074};
  if (isnan(have) || isnan(want))
    return isnan(have) && isnan(want) ? 0 : INFINITY;
  if (have == want)
    return signbit(have) == signbit(want) ? 0 : INFINITY;
  if (isinf(have) || isinf(want))
    return INFINITY;
  return fabs(have - want) / ldexp(1, want == 0 ? least[dtype] : (int)fmax(ilogb(want) - digits[dtype], least[dtype]));
}

/* 1 if an element is wrong. */
static int judge(operation o, const char *text, hl_dtype dtype, const data *d, const char *place) {
  const uint32_t size = hl_dtype_size(dtype);
  for (uint32_t i = 0; i < N; i++) {
    hli_scalar v[3];
    for (uint32_t j = 0; j < 3; j++) {
      uint64_t bits = 0;
      memcpy(&bits, (const char *)d->bytes[j] + (size_t)i * size, size);
      v[j] = hli_scalar_from_bits(dtype, bits);
    }
    const double want = hli_scalar_eval(hli_op_by_text(hli_str(text)), dtype, dtype, v, true).f;
    const double e = ulps(dtype, v[2].f, want);
    const bool zero = hli_op_by_text(hli_str(text)) == HLI_OP_LGAMMA && v[0].f < 0; /* an absolute error near its zeros */
    if (e <= (zero && dtype == HL_F64 ? 16 : 4) || (zero && fabs(v[2].f - want) < 0x1p-46))
      continue;
    print_error("%s: %s(%a, %a) of %s is %a, not %a\n", place, text, v[0].f, v[1].f, hl_dtype_text(dtype), v[2].f,
                want);
    return 1;
  }
  (void)o;
  return 0;
}

static const char *const unary_texts[] = {
#define HL_X(E, n) [HL_##E] = #n,
    HL_UNARY_LIST(HL_X)
#undef HL_X
};
static const char *const binary_texts[] = {
#define HL_X(E, n) [HL_##E] = #n,
    HL_BINARY_LIST(HL_X)
#undef HL_X
};

typedef int (*check_fn)(hl_context *ctx, hl_device *dev, operation o, const char *text, hl_dtype dtype);

static int for_all(const char *device, check_fn check) {
  hl_context *ctx = exec_context();
  hl_device *dev = NULL;
  hl_diag diag = {0};
  int bad = 0;
  if (device && hl_device_open(ctx, device, &diag, &dev) != HL_OK) {
    hl_context_destroy(ctx);
    return -1;
  }
  for (int two = 0; two < 2; two++)
    for (int op = 0; op < (two ? (int)HL_BINARY_COUNT : (int)HL_UNARY_COUNT); op++) {
      const char *text = two ? binary_texts[op] : unary_texts[op];
      const hli_opcode code = hli_op_by_text(hli_str(text));
      if (hli_op_facts(code)->rule != HLI_RULE_FLOAT || code == HLI_OP_TF32) /* that one is meant to be inexact */
        continue;
      for (uint32_t t = 0; t < HLI_COUNT(dtypes); t++)
        bad += check(ctx, dev, (operation){two != 0, op}, text, dtypes[t]);
    }
  hl_device_close(dev);
  hl_context_destroy(ctx);
  return bad;
}

static int check_run(hl_context *ctx, hl_device *dev, operation o, const char *text, hl_dtype dtype) {
  static data d;
  hl_diag diag = {0};
  hl_kernel *k = build(ctx, o, dtype);
  fill(&d, dtype);
  const hl_status s = dev ? run_device(dev, k, &d, &diag) : hl_interpret(ctx, k, d.args, 3, NULL, &diag);
  hl_kernel_destroy(k);
  if (s != HL_OK)
    print_error("%s %s: %s\n", text, hl_dtype_text(dtype), diag.message);
  return s != HL_OK || judge(o, text, dtype, &d, dev ? "device" : "interpreter");
}

static void test_interpreter(void **state) {
  (void)state;
  assert_int_equal(for_all(NULL, check_run), 0);
}
static void test_cpu(void **state) {
  (void)state;
  assert_int_equal(for_all("cpu", check_run), 0);
}
static void test_cuda(void **state) {
  (void)state;
  const int bad = for_all("cuda", check_run);
  if (bad < 0)
    skip();
  assert_int_equal(bad, 0);
}

/* ---- sugar ----------------------------------------------------------------------------------------- */

/* y = clamp(x, w, 2) or lerp(x, 3, w) */
static void interpret_sugar(hl_context *ctx, bool clamp, hl_dtype dtype, data *d) {
  hl_diag diag = {0};
  hl_builder *b = NULL;
  hl_kernel *k = NULL;
  hl_value i;
  assert_int_equal(hl_builder_create(ctx, "sugar", &diag, &b), HL_OK);
  const hl_dim n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", dtype, &n, 1, HL_IN);
  const hl_value w = hl_param_tensor(b, "w", dtype, &n, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", dtype, &n, 1, HL_OUT);
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value p = hl_load(b, x, &i, 1), q = hl_load(b, w, &i, 1);
  hl_store(b, y, &i, 1, clamp ? hl_clamp(b, p, q, hl_const_f(b, 2)) : hl_lerp(b, p, hl_const_f(b, 3), q));
  hl_tile_end(b, NULL, NULL);
  if (hl_builder_finish(b, &diag, &k) != HL_OK || hl_interpret(ctx, k, d->args, 3, NULL, &diag) != HL_OK)
    fail_msg("%s", diag.message);
  hl_kernel_destroy(k);
}

static double larger(double a, double b) {
  return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

static void test_sugar(void **state) {
  (void)state;
  static data d;
  hl_context *ctx = exec_context();
  for (int clamp = 0; clamp < 2; clamp++) {
    fill(&d, HL_F64);
    interpret_sugar(ctx, clamp != 0, HL_F64, &d);
    for (uint32_t i = 0; i < N; i++) {
      const double x = sample(i, 0), w = sample(i, 1), part = w * (3 - x);
      const double near = fabs(w) < 0.5 ? x + part : 3 - (3 - x) * (1 - w);
      const double want = clamp ? -larger(-larger(x, w), -2) : near;
      double have;
      memcpy(&have, &d.bytes[2][i], sizeof have);
      if (!(have == want || (isnan(have) && isnan(want))))
        fail_msg("%s of %a and %a is %a, not %a", clamp ? "clamp" : "lerp", x, w, have, want);
    }
  }
  hl_context_destroy(ctx);
}

/* ---- assembling --------------------------------------------------------------------------------- */

static bool assembles(const hl_blob *ptx, const char *arch) {
  char file[] = "/tmp/hl_math_XXXXXX", command[512];
  const int fd = mkstemp(file);
  assert_true(fd >= 0 && write(fd, hl_blob_data(ptx), hl_blob_size(ptx)) == (ssize_t)hl_blob_size(ptx));
  close(fd);
  snprintf(command, sizeof command, "'%s' -O1 -arch=%s %s -o /dev/null", getenv("HL_PTXAS"), arch, file);
  const bool good = system(command) == 0;
  unlink(file);
  return good;
}

static int check_ptx(hl_context *ctx, hl_device *dev, operation o, const char *text, hl_dtype dtype) {
  hl_diag diag = {0};
  hl_blob *ptx = NULL;
  hl_kernel *k = build(ctx, o, dtype);
  const hl_shape_binding shape = {.dim = "N", .size = N};
  hl_compile_options options = HL_COMPILE_OPTIONS_INIT;
  options.shape = &shape, options.shape_count = 1, options.emit = HL_EMIT_ASM;
  const hl_status s = hl_compile(ctx, k, exec_target("nvptx:sm_80"), &options, &diag, &ptx);
  const bool good = s == HL_OK && (!getenv("HL_PTXAS") || dtype == HL_BF16 || assembles(ptx, "sm_80"));
  if (!good)
    print_error("%s %s: %s\n", text, hl_dtype_text(dtype), diag.message);
  hl_blob_release(ptx);
  hl_kernel_destroy(k);
  (void)dev;
  return !good;
}
static void test_ptx(void **state) {
  (void)state;
  assert_int_equal(for_all(NULL, check_ptx), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_interpreter), cmocka_unit_test(test_sugar),
                                     cmocka_unit_test(test_cpu), cmocka_unit_test(test_ptx),
                                     cmocka_unit_test(test_cuda)};
  return cmocka_run_group_tests_name("math", tests, NULL, NULL);
}
