/* test_initial.c: tensors that every launch gives an initial value: what atomics add up in, gaps between elements,
 * prepared launches, and mistakes. */
#include <math.h>

#include "tests/exec/everywhere.h"

static void must(hl_status s, const hl_diag *d) {
  if (s != HL_OK)
    fail_msg("%s", d->message);
}

enum { M = 150, N = 9 };

/* ---- histogram: y[ids[i]] op= x[i], into a tensor that nobody has filled ---- */

static hl_atomic_op the_op;
static hl_dtype the_dtype;
static double the_value;

static hl_kernel *build(hl_context *ctx) {
  hl_diag d = {0};
  hl_builder *b;
  must(hl_builder_create(ctx, "gathered", &d, &b), &d);
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value ids = hl_param_tensor(b, "ids", HL_I32, &m, 1, HL_IN);
  const hl_value x = hl_param_tensor(b, "x", the_dtype, &m, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", the_dtype, &n, 1, HL_INOUT);
  hl_value i;
  hl_param_set_initial(b, y, the_value);
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value at = hl_load(b, ids, &i, 1);
  (void)hl_atomic(b, the_op, y, &at, 1, hl_load(b, x, &i, 1));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void one(hl_atomic_op op, hl_dtype dtype, double value) {
  double ids[M], x[M], want[N];
  the_op = op, the_dtype = dtype, the_value = value;
  for (int j = 0; j < N; j++)
    want[j] = value;
  for (int i = 0; i < M; i++) {
    ids[i] = (i * 7) % (N - 1); /* the last one stays what it was given */
    x[i] = (i * 5) % 13;
    double *w = &want[(int)ids[i]];
    *w = op == HL_ATOMIC_ADD ? *w + x[i] : x[i] > *w ? x[i] : *w;
  }
  const every_tensor t[] = {
      {HL_I32, 1, {M}, ids, NULL, 0}, {dtype, 1, {M}, x, NULL, 0}, {dtype, 1, {N}, NULL, want, 0}};
  everywhere(build, t, 3, 0);
}

static void atomics(void **state) {
  (void)state;
  one(HL_ATOMIC_ADD, HL_F32, 0);
  one(HL_ATOMIC_ADD, HL_I64, -5);
  one(HL_ATOMIC_ADD, HL_F16, 0.25);
  one(HL_ATOMIC_MAX, HL_F64, -INFINITY);
  one(HL_ATOMIC_MAX, HL_U32, 7);
}

/* ---- memory with gaps ---- */

typedef struct strided {
  uint32_t rank;
  int64_t shape[4], strides[4];
} strided;

static const strided layouts[] = {
    {1, {7}, {3}},        {2, {5, 7}, {7, 1}},         {2, {5, 7}, {11, 1}},        {2, {7, 5}, {1, 7}},
    {2, {7, 5}, {2, 20}}, {3, {2, 3, 4}, {40, 12, 1}}, {3, {2, 3, 4}, {50, 12, 2}}, {4, {2, 1, 3, 4}, {61, 5, 20, 4}}};

/* Adds x[0], which is 1, to element 0 of y, whose other elements keep what they were given. */
static hl_kernel *touch_one(hl_context *ctx, hl_dtype dtype, uint32_t rank, double value) {
  hl_diag d = {0};
  hl_builder *b;
  hl_kernel *k = NULL;
  hl_dim dims[4];
  hl_value index[4], i;
  char name[2] = "A";
  must(hl_builder_create(ctx, "touch", &d, &b), &d);
  const hl_dim one = hl_dim_named(b, "ONE");
  for (uint32_t r = 0; r < rank; r++, name[0]++)
    dims[r] = hl_dim_named(b, name);
  const hl_value x = hl_param_tensor(b, "x", dtype, &one, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", dtype, dims, rank, HL_INOUT);
  hl_param_set_initial(b, y, value);
  hl_grid_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  for (uint32_t r = 0; r < rank; r++)
    index[r] = hl_const_i(b, 0);
  hl_store(b, y, index, rank, hl_add(b, hl_load(b, y, index, rank), hl_load(b, x, &i, 1)));
  hl_tile_end(b, NULL, NULL);
  must(hl_builder_finish(b, &d, &k), &d);
  return k;
}

enum { ROOM = 200 };

/* Elements that belong to the tensor are the value, the first one 1 more; those between keep 9. */
static void judge(const strided *l, const double *data, double value) {
  bool inside[ROOM] = {false};
  for (int64_t a = 0; a < l->shape[0]; a++)
    for (int64_t b = 0; b < (l->rank > 1 ? l->shape[1] : 1); b++)
      for (int64_t c = 0; c < (l->rank > 2 ? l->shape[2] : 1); c++)
        for (int64_t e = 0; e < (l->rank > 3 ? l->shape[3] : 1); e++)
          inside[a * l->strides[0] + b * l->strides[1] + c * l->strides[2] + e * l->strides[3]] = true;
  for (int i = 0; i < ROOM; i++)
    assert_true(data[i] == (!inside[i] ? 9 : i ? value : value + 1));
}

static void run_layout(hl_context *ctx, hl_device *dev, const strided *l, double value) {
  static _Alignas(64) double data[ROOM], x[1];
  hl_diag d = {0};
  hl_plan *plan = NULL;
  hl_prepared *prepared = NULL;
  int64_t one = 1;
  hl_kernel *k = touch_one(ctx, HL_F64, l->rank, value);
  hl_tensor t[2] = {
      {.data = x, .device = {HL_DEVICE_CPU, 0}, .ndim = 1, .dtype = hl_dtype_to_dl(HL_F64), .shape = &one},
      {.data = data,
       .device = {HL_DEVICE_CPU, 0},
       .ndim = (int32_t)l->rank,
       .dtype = hl_dtype_to_dl(HL_F64),
       .shape = (int64_t *)(uintptr_t)l->shape,
       .strides = (int64_t *)(uintptr_t)l->strides}};
  const hl_arg args[2] = {{.kind = HL_ARG_TENSOR, .as.tensor = &t[0]}, {.kind = HL_ARG_TENSOR, .as.tensor = &t[1]}};
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.args = args, o.arg_count = 2;
  x[0] = 1;
  must(hl_plan_create(dev, k, &o, &d, &plan), &d);
  must(hl_prepared_create(plan, args, 2, NULL, &d, &prepared), &d);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < ROOM; i++)
      data[i] = 9;
    must(round == 0   ? hl_launch(plan, NULL, args, 2, NULL, &d)
         : round == 1 ? hl_prepared_launch(prepared, NULL)
                      : hl_interpret(ctx, k, args, 2, NULL, &d),
         &d);
    must(hl_device_synchronize(dev, &d), &d);
    judge(l, data, value);
  }
  hl_prepared_destroy(prepared);
  hl_plan_destroy(plan);
  hl_kernel_destroy(k);
}

static void gaps(void **state) {
  (void)state;
  static const double values[] = {0, 2.5, -1};
  hl_context *ctx = exec_context();
  hl_diag d = {0};
  hl_device *dev = NULL;
  must(hl_device_open(ctx, "cpu", &d, &dev), &d);
  for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
    run_layout(ctx, dev, &layouts[i], values[i % 3]);
  hl_device_close(dev);
  hl_context_destroy(ctx);
}

/* ---- text and mistakes ---- */

static void text(void **state) {
  (void)state;
  hl_context *ctx = exec_context();
  hl_diag d = {0};
  hl_blob *printed = NULL;
  hl_kernel *k = touch_one(ctx, HL_BF16, 1, 1.5), *again = NULL;
  must(hl_kernel_print(k, &d, &printed), &d);
  assert_non_null(strstr(hl_blob_data(printed), "param %y : tensor<bf16[A]> inout initial 0x1.8p+0\n"));
  must(hl_kernel_parse(ctx, (hl_str){hl_blob_data(printed), hl_blob_size(printed)}, "again", &d, &again), &d);
  uint64_t a[2], b[2];
  hl_kernel_digest(k, a), hl_kernel_digest(again, b);
  assert_true(a[0] == b[0] && a[1] == b[1]);
  hl_blob_release(printed);
  hl_kernel_destroy(k), hl_kernel_destroy(again);
  hl_context_destroy(ctx);
}

static hl_kernel *wrong(hl_context *ctx, int which) {
  hl_diag d = {0};
  hl_builder *b;
  hl_value i;
  must(hl_builder_create(ctx, "wrong", &d, &b), &d);
  const hl_dim n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, &n, 1, HL_IN), s = hl_param_scalar(b, "s", HL_F32);
  const hl_value y = hl_param_tensor(b, "y", HL_I8, &n, 1, HL_INOUT);
  switch (which) {
  case 0:
    hl_param_set_initial(b, x, 0);
    break;
  case 1:
    hl_param_set_initial(b, s, 0);
    break;
  case 2:
    hl_param_set_initial(b, y, 128);
    break;
  default:
    hl_param_set_initial(b, y, 0.5);
    break;
  }
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  hl_store(b, y, &i, 1, hl_cast(b, hl_load(b, x, &i, 1), HL_I8));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}
#define WRONG(n)                                                                                                       \
  static hl_kernel *wrong_##n(hl_context *ctx) {                                                                       \
    return wrong(ctx, n);                                                                                              \
  }
WRONG(0)
WRONG(1) WRONG(2) WRONG(3)

    static void mistakes(void **state) {
  (void)state;
  build_fails(wrong_0, (const char *const[]){"hl_param_set_initial: x is no tensor that is written", NULL});
  build_fails(wrong_1, (const char *const[]){"hl_param_set_initial: s is no tensor that is written", NULL});
  build_fails(wrong_2, (const char *const[]){"i8 has no number 128 for y", NULL});
  build_fails(wrong_3, (const char *const[]){"i8 has no number 0.5 for y", NULL});
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(atomics), cmocka_unit_test(gaps),
                                     cmocka_unit_test(text), cmocka_unit_test(mistakes)};
  return cmocka_run_group_tests_name("initial", tests, NULL, NULL);
}
