/* test_builder.c: the builder: promotion, broadcasting, literals, indices, sticky errors with locations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "hl/hl.h"
#include "src/ir/builder.h"
#include "src/ir/ir.h"

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

/* ---- a kernel under construction: x[M, N] of dtype dx, y[N] of dtype dy, out[M, N] f32; tiles i, j open ---- */

typedef struct fixture {
  hl_builder *b;
  hl_value x, y, out, t[2];
} fixture;

static fixture open_kernel(hl_dtype dx, hl_dtype dy) {
  fixture f = {0};
  assert_int_equal(hl_builder_create(ctx, "k", NULL, &f.b), HL_OK);
  const hl_dim m = hl_dim_named(f.b, "M"), n = hl_dim_named(f.b, "N");
  f.x = hl_param_tensor(f.b, "x", dx, (hl_dim[]){m, n}, 2, HL_IN);
  f.y = hl_param_tensor(f.b, "y", dy, &n, 1, HL_IN);
  f.out = hl_param_tensor(f.b, "out", HL_F32, (hl_dim[]){m, n}, 2, HL_OUT);
  hl_tile_begin(f.b, (hl_value[]){hl_size(f.b, f.x, 0), hl_size(f.b, f.x, 1)}, 2, f.t);
  return f;
}

static hl_kernel *close_kernel(fixture *f) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  hl_tile_end(f->b, NULL, NULL);
  if (hl_builder_finish(f->b, &d, &k) != HL_OK)
    fail_msg("%s", d.message);
  return k;
}

/* Finishes expecting a complaint whose text holds all the words. */
static void expect_error(fixture *f, uint32_t line, const char *a, const char *b, const char *c) {
  hl_diag d = {0};
  hl_kernel *k = (hl_kernel *)&d;
  assert_int_equal(hl_builder_finish(f->b, &d, &k), HL_ERR_BUILD);
  assert_null(k);
  if (!strstr(d.message, a) || !strstr(d.message, b) || !strstr(d.message, c))
    fail_msg("'%s' lacks '%s', '%s' or '%s'", d.message, a, b, c);
  assert_non_null(strstr(d.message, "kernel k"));
  assert_non_null(strstr(d.file, "test_builder.c"));
  if (line)
    assert_int_equal(d.line, line);
}

/* The dtype of x + y for tensors of the given dtypes. */
static hl_dtype promoted(hl_dtype a, hl_dtype b) {
  fixture f = open_kernel(a, b);
  hl_value v = hl_add(f.b, hl_load(f.b, f.x, f.t, 2), hl_load(f.b, f.y, &f.t[1], 1));
  hl_store(f.b, f.out, f.t, 2, v);
  hl_kernel *k = close_kernel(&f);
  const hl_dtype d = hli_dtype_of(k, v);
  hl_kernel_destroy(k);
  return d;
}

static void test_promotion(void **state) {
  (void)state;
  assert_int_equal(promoted(HL_F32, HL_F32), HL_F32);
  assert_int_equal(promoted(HL_F16, HL_BF16), HL_F32);
  assert_int_equal(promoted(HL_BF16, HL_F64), HL_F64);
  assert_int_equal(promoted(HL_I32, HL_BF16), HL_BF16);
  assert_int_equal(promoted(HL_I8, HL_U8), HL_I16);
  assert_int_equal(promoted(HL_U32, HL_I32), HL_I64);
  assert_int_equal(promoted(HL_U8, HL_I32), HL_I32);
  assert_int_equal(promoted(HL_BOOL, HL_I8), HL_I8);
  assert_int_equal(promoted(HL_BOOL, HL_BOOL), HL_BOOL);
}

/* Every pair of dtypes.  Rows and columns: b8 i8 i16 i32 i64 u8 u16 u32 u64 f16 bf16 f32 f64; as torch.result_type of
 * two tensors; unsigned integers wider than 8 bits, which PyTorch does not promote, give the next signed type that holds
 * both. */
static void test_promotion_table(void **state) {
  (void)state;
  static const hl_dtype order[] = {HL_BOOL, HL_I8, HL_I16, HL_I32, HL_I64, HL_U8, HL_U16, HL_U32, HL_U64, HL_F16, HL_BF16, HL_F32, HL_F64};
  static const char *const rows[] = {
      "bool i8 i16 i32 i64 u8 u16 u32 u64 f16 bf16 f32 f64", "i8 i8 i16 i32 i64 i16 i32 i64 - f16 bf16 f32 f64",
      "i16 i16 i16 i32 i64 i16 i32 i64 - f16 bf16 f32 f64",  "i32 i32 i32 i32 i64 i32 i32 i64 - f16 bf16 f32 f64",
      "i64 i64 i64 i64 i64 i64 i64 i64 - f16 bf16 f32 f64",  "u8 i16 i16 i32 i64 u8 u16 u32 u64 f16 bf16 f32 f64",
      "u16 i32 i32 i32 i64 u16 u16 u32 u64 f16 bf16 f32 f64", "u32 i64 i64 i64 i64 u32 u32 u32 u64 f16 bf16 f32 f64",
      "u64 - - - - u64 u64 u64 u64 f16 bf16 f32 f64",        "f16 f16 f16 f16 f16 f16 f16 f16 f16 f16 f32 f32 f64",
      "bf16 bf16 bf16 bf16 bf16 bf16 bf16 bf16 bf16 f32 bf16 f32 f64",
      "f32 f32 f32 f32 f32 f32 f32 f32 f32 f32 f32 f32 f64", "f64 f64 f64 f64 f64 f64 f64 f64 f64 f64 f64 f64 f64"};
  for (size_t i = 0; i < HLI_COUNT(order); i++) {
    const char *word = rows[i];
    for (size_t j = 0; j < HLI_COUNT(order); j++) {
      const size_t len = strcspn(word, " ");
      if (*word != '-') {
        const hl_dtype want = hl_dtype_parse((hl_str){word, len});
        if (promoted(order[i], order[j]) != want)
          fail_msg("%s with %s is not %s", hl_dtype_text(order[i]), hl_dtype_text(order[j]), hl_dtype_text(want));
      }
      word += len + (word[len] == ' ');
    }
    assert_int_equal(*word, 0);
  }
  static const hl_dtype tiny[] = {HL_F8E4M3, HL_F8E5M2, HL_F8E4M3FNUZ, HL_F8E5M2FNUZ, HL_F8E8M0};
  for (size_t i = 0; i < HLI_COUNT(tiny); i++) {
    assert_int_equal(promoted(tiny[i], tiny[i]), tiny[i]);
    assert_int_equal(promoted(tiny[i], HL_I32), tiny[i]);
  }
}

/* A tile with a scalar parameter, and with literals: the stronger one decides within a category. */
static void test_weak_table(void **state) {
  (void)state;
  static const struct { hl_dtype tile, scalar, sum, with_int, with_float; } row[] = {
      {HL_BOOL, HL_BOOL, HL_BOOL, HL_I64, HL_F32},   {HL_BOOL, HL_I8, HL_I8, HL_I64, HL_F32},
      {HL_I8, HL_I64, HL_I8, HL_I8, HL_F32},         {HL_U8, HL_I64, HL_U8, HL_U8, HL_F32},
      {HL_I16, HL_U64, HL_I16, HL_I16, HL_F32},      {HL_I32, HL_F16, HL_F16, HL_I32, HL_F32},
      {HL_I64, HL_F64, HL_F64, HL_I64, HL_F32},      {HL_F16, HL_F64, HL_F16, HL_F16, HL_F16},
      {HL_BF16, HL_F32, HL_BF16, HL_BF16, HL_BF16},  {HL_F32, HL_F64, HL_F32, HL_F32, HL_F32},
      {HL_F64, HL_BF16, HL_F64, HL_F64, HL_F64},     {HL_F16, HL_I64, HL_F16, HL_F16, HL_F16},
      {HL_U64, HL_I64, HL_U64, HL_U64, HL_F32},      {HL_F8E4M3, HL_F32, HL_F8E4M3, HL_F8E4M3, HL_F8E4M3}};
  for (size_t i = 0; i < HLI_COUNT(row); i++) {
    fixture f = {0};
    assert_int_equal(hl_builder_create(ctx, "k", NULL, &f.b), HL_OK);
    const hl_dim n = hl_dim_named(f.b, "N");
    f.x = hl_param_tensor(f.b, "x", row[i].tile, &n, 1, HL_IN);
    f.out = hl_param_tensor(f.b, "out", HL_F32, &n, 1, HL_OUT);
    const hl_value s = hl_param_scalar(f.b, "s", row[i].scalar);
    hl_tile_begin(f.b, (hl_value[]){hl_size(f.b, f.x, 0)}, 1, f.t);
    const hl_value v = hl_load(f.b, f.x, f.t, 1), sum = hl_add(f.b, v, s);
    const hl_value a = hl_add(f.b, v, hl_const_i(f.b, 1)), c = hl_add(f.b, v, hl_const_f(f.b, 0.5));
    hl_store(f.b, f.out, f.t, 1, hl_add(f.b, hl_cast(f.b, sum, HL_F32), hl_add(f.b, hl_cast(f.b, a, HL_F32), hl_cast(f.b, c, HL_F32))));
    hl_kernel *k = close_kernel(&f);
    if (hli_dtype_of(k, sum) != row[i].sum || hli_dtype_of(k, a) != row[i].with_int || hli_dtype_of(k, c) != row[i].with_float)
      fail_msg("%s tile with %s scalar: %s, %s, %s", hl_dtype_text(row[i].tile), hl_dtype_text(row[i].scalar), hl_dtype_text(hli_dtype_of(k, sum)),
               hl_dtype_text(hli_dtype_of(k, a)), hl_dtype_text(hli_dtype_of(k, c)));
    hl_kernel_destroy(k);
  }
}

/* Two bools: + and max are or, * and min are and, comparisons and signs are bools; all else is refused, as in PyTorch. */
static void test_bools(void **state) {
  (void)state;
  static const struct { hl_binary_op op; hli_opcode code; } logical[] = {
      {HL_ADD, HLI_OP_OR}, {HL_MAX, HLI_OP_OR}, {HL_MUL, HLI_OP_AND}, {HL_MIN, HLI_OP_AND}, {HL_XOR, HLI_OP_XOR}};
  static const hl_binary_op refused[] = {HL_SUB, HL_FLOORDIV, HL_TRUNCDIV, HL_REM, HL_FMOD, HL_SHL, HL_SHR};
  static const hl_unary_op no_sign[] = {HL_NEG, HL_ABS, HL_RELU, HL_FLOOR, HL_CEIL, HL_TRUNC, HL_ROUND};
  for (size_t i = 0; i < HLI_COUNT(logical); i++) {
    fixture f = open_kernel(HL_BOOL, HL_BOOL);
    const hl_value v = hl_binary(f.b, logical[i].op, hl_load(f.b, f.x, f.t, 2), hl_load(f.b, f.y, &f.t[1], 1));
    hl_store(f.b, f.out, f.t, 2, v);
    hl_kernel *k = close_kernel(&f);
    assert_int_equal(k->ops.data[k->values.data[v].def].code, logical[i].code);
    assert_int_equal(hli_dtype_of(k, v), HL_BOOL);
    hl_kernel_destroy(k);
  }
  for (size_t i = 0; i < HLI_COUNT(refused); i++) {
    fixture f = open_kernel(HL_BOOL, HL_BOOL);
    const hl_value x = hl_load(f.b, f.x, f.t, 2), y = hl_load(f.b, f.y, &f.t[1], 1);
    const uint32_t line = __LINE__ + 1;
    hl_binary(f.b, refused[i], x, y);
    expect_error(&f, line, "bool", "cast", "");
  }
  for (size_t i = 0; i < HLI_COUNT(no_sign); i++) {
    fixture f = open_kernel(HL_BOOL, HL_BOOL);
    const hl_value x = hl_load(f.b, f.x, f.t, 2);
    const uint32_t line = __LINE__ + 1;
    hl_unary(f.b, no_sign[i], x);
    expect_error(&f, line, "needs numbers, not bool", "cast", "");
  }
}

static void test_no_promotion(void **state) {
  (void)state;
  static const struct { hl_dtype a, b; const char *words; } pair[] = {
      {HL_U64, HL_I32, "no common dtype for u64 and i32; cast one of them"},
      {HL_I8, HL_U64, "no common dtype for i8 and u64; cast one of them"},
      {HL_F8E4M3, HL_F32, "no common dtype for f8e4m3 and f32; cast one of them"},
      {HL_F8E4M3, HL_F8E5M2, "no common dtype for f8e4m3 and f8e5m2; cast one of them"},
      {HL_BF16, HL_F8E8M0, "no common dtype for bf16 and f8e8m0; cast one of them"}};
  for (size_t i = 0; i < HLI_COUNT(pair); i++) {
    fixture f = open_kernel(pair[i].a, pair[i].b);
    const hl_value x = hl_load(f.b, f.x, f.t, 2), y = hl_load(f.b, f.y, &f.t[1], 1);
    const uint32_t line = __LINE__ + 1;
    hl_add(f.b, x, y);
    expect_error(&f, line, pair[i].words, "", "");
  }
}

static void test_shape_errors(void **state) {
  (void)state;
  hl_value two[2];
  fixture f = open_kernel(HL_F32, HL_I32);
  hl_arange(f.b, 0);
  expect_error(&f, __LINE__ - 1, "arange: 0 elements", "1 to 1048576", "loop over tiles");
  f = open_kernel(HL_F32, HL_I32);
  hl_arange(f.b, 1 << 21);
  expect_error(&f, __LINE__ - 1, "arange: 2097152 elements", "1 to 1048576", "");
  f = open_kernel(HL_F32, HL_I32);
  hl_split(f.b, hl_load(f.b, f.x, f.t, 2), two);
  expect_error(&f, __LINE__ - 1, "split: wants a last axis of 2", "f32[$i, $j]", "");
  f = open_kernel(HL_F32, HL_I32);
  hl_join(f.b, hl_load(f.b, f.x, f.t, 2), hl_load(f.b, f.y, &f.t[1], 1));
  expect_error(&f, __LINE__ - 1, "stack: value 0 is f32[$i, $j]", "i32[$j]", "equal");
  f = open_kernel(HL_F32, HL_I32);
  hl_select(f.b, hl_load(f.b, f.x, f.t, 2), 1, 0);
  expect_error(&f, __LINE__ - 1, "select: axis 1 of f32[$i, $j] has no constant size", "arange", "");
  f = open_kernel(HL_F32, HL_I32);
  hl_select(f.b, hl_arange(f.b, 3), 0, -4);
  expect_error(&f, __LINE__ - 1, "select: index -4 is out of range for 3 elements", "", "");
  f = open_kernel(HL_F32, HL_I32);
  hl_reshape(f.b, hl_load(f.b, f.x, f.t, 2), (int64_t[]){HL_KEEP, HL_KEEP, 2}, 3);
  expect_error(&f, __LINE__ - 1, "reshape: f32[$i, $j] cannot become f32[$i, $j, $", "same number of elements", "");
  f = open_kernel(HL_F32, HL_I32);
  hl_reshape(f.b, hl_arange(f.b, 12), (int64_t[]){5, 2}, 2);
  expect_error(&f, __LINE__ - 1, "reshape: i64[$", "cannot become", "same number of elements");
  f = open_kernel(HL_F32, HL_I32);
  hl_reshape(f.b, hl_arange(f.b, 12), (int64_t[]){HL_KEEP, 12}, 2);
  expect_error(&f, __LINE__ - 1, "HL_KEEP number 0 finds no axis of unknown size", "", "");
  f = open_kernel(HL_F32, HL_I32);
  hl_bitcast(f.b, hl_load(f.b, f.x, f.t, 2), HL_I64);
  expect_error(&f, __LINE__ - 1, "bitcast: f32[$i, $j] cannot become i64[$i, $j]", "same number of bits", "bool");
  f = open_kernel(HL_F32, HL_I32);
  hl_rand(f.b, hl_const_f(f.b, 1), hl_tile_index(f.b, f.t[0]));
  expect_error(&f, __LINE__ - 1, "rand: seed and offset are integers, not f32", "", "");
  f = open_kernel(HL_F32, HL_I32);
  hl_offset(f.b, f.x, (hl_value[]){f.t[0], HL_ALL}, 2);
  expect_error(&f, __LINE__ - 1, "offset: index 1 is a whole dimension", "loop over tiles", "");
}

/* Equal lengths share an axis. */
static void test_arange(void **state) {
  (void)state;
  fixture f = open_kernel(HL_F32, HL_I32);
  const hl_value a = hl_arange(f.b, 5), c = hl_arange(f.b, 5), d = hl_arange(f.b, 6);
  const hl_value sum = hl_reduce_sum(f.b, hl_add(f.b, a, c), 0, false), other = hl_reduce_sum(f.b, d, 0, false);
  hl_store(f.b, f.out, f.t, 2, hl_add(f.b, hl_load(f.b, f.x, f.t, 2), hl_add(f.b, sum, other)));
  hl_kernel *k = close_kernel(&f);
  assert_int_equal(hli_type_of(k, a)->dims[0], hli_type_of(k, c)->dims[0]);
  assert_int_not_equal(hli_type_of(k, a)->dims[0], hli_type_of(k, d)->dims[0]);
  assert_int_equal(k->axes.data[hli_type_of(k, a)->dims[0]].kind, HLI_AXIS_FULL);
  hl_kernel_destroy(k);
}

static void test_weak_literals(void **state) {
  (void)state;
  fixture f = open_kernel(HL_BF16, HL_I32);
  hl_value x = hl_load(f.b, f.x, f.t, 2), y = hl_load(f.b, f.y, &f.t[1], 1);
  hl_value a = hl_mul(f.b, x, hl_const_f(f.b, 0.5)), b = hl_add(f.b, y, hl_const_i(f.b, 3)),
           c = hl_add(f.b, y, hl_const_f(f.b, 0.5));
  hl_value d = hl_mul(f.b, x, hl_add(f.b, hl_const_f(f.b, 1), hl_const_i(f.b, 2))),
           e = hl_div(f.b, y, hl_const_i(f.b, 2));
  hl_value g = hl_exp(f.b, x), h = hl_lt(f.b, x, hl_const_i(f.b, 0)), s = hl_reduce_sum(f.b, y, 0, false);
  hl_store(f.b, f.out, f.t, 2,
           hl_where(f.b, h, hl_add(f.b, a, c), hl_add(f.b, hl_add(f.b, d, g), hl_add(f.b, b, hl_add(f.b, e, s)))));
  hl_kernel *k = close_kernel(&f);
  assert_int_equal(hli_dtype_of(k, a), HL_BF16);
  assert_int_equal(hli_dtype_of(k, b), HL_I32);
  assert_int_equal(hli_dtype_of(k, c), HL_F32); /* a float literal with integers: the default float */
  assert_int_equal(hli_dtype_of(k, d), HL_BF16);
  assert_int_equal(hli_dtype_of(k, e), HL_F32); /* true division */
  assert_int_equal(hli_dtype_of(k, g), HL_BF16);
  assert_int_equal(hli_dtype_of(k, h), HL_BOOL);
  assert_int_equal(hli_dtype_of(k, s), HL_I64); /* sums of integers */
  hl_kernel_destroy(k);
}

/* Is there a constant with exactly this value among the f64 ones? */
static bool has_f64_constant(const hl_kernel *k, double x) {
  hli_scalar s;
  for (hli_value v = 1; v < k->values.len; v++)
    if (hli_dtype_of(k, v) == HL_F64 && hli_const_value(k, v, &s) && s.f == x)
      return true;
  return false;
}

/* Next to an f64, a literal is what was written, not what f32 makes of it; so are sums of literals. */
static void test_literals_in_f64(void **state) {
  (void)state;
  fixture f = open_kernel(HL_F64, HL_F64);
  const hl_value x = hl_load(f.b, f.x, f.t, 2);
  const hl_value a = hl_mul(f.b, x, hl_const_f(f.b, 0.1));
  const hl_value b = hl_mul(f.b, x, hl_add(f.b, hl_const_f(f.b, 0.3), hl_const_i(f.b, 1)));
  hl_store(f.b, f.out, f.t, 2, hl_add(f.b, a, b));
  hl_kernel *k = close_kernel(&f);
  assert_true(has_f64_constant(k, 0.1));
  assert_true(has_f64_constant(k, 1.3));
  assert_false(has_f64_constant(k, (double)0.1f));
  hl_kernel_destroy(k);
}

/* A dimension of size 1 gives its one element to every lane; a negative constant counts from the end. */
static void test_indices(void **state) {
  (void)state;
  hl_builder *b;
  hl_diag d = {0};
  hl_kernel *k = NULL;
  hl_value t[2];
  assert_int_equal(hl_builder_create(ctx, "k", NULL, &b), HL_OK);
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), one = hl_dim_static(b, 1);
  const hl_value row = hl_param_tensor(b, "row", HL_F32, (hl_dim[]){one, n}, 2, HL_IN);
  const hl_value out = hl_param_tensor(b, "out", HL_F32, (hl_dim[]){m, n}, 2, HL_OUT);
  hl_tile_begin(b, (hl_value[]){hl_size(b, out, 0), hl_size(b, out, 1)}, 2, t);
  hl_value v = hl_load(b, row, t, 2);
  hl_value last = hl_load(b, row, (hl_value[]){hl_const_i(b, -1), t[1]}, 2);
  hl_value whole = hl_load(b, row, (hl_value[]){HL_ALL, t[1]}, 2); /* has size 1 there, so it broadcasts */
  hl_store(b, out, t, 2, hl_add(b, hl_add(b, v, last), whole));
  hl_tile_end(b, NULL, NULL);
  if (hl_builder_finish(b, &d, &k) != HL_OK)
    fail_msg("%s", d.message);
  assert_int_equal(hli_type_of(k, v)->rank, 2);
  assert_int_equal(hli_type_of(k, last)->rank, 1);
  assert_int_equal(hli_type_of(k, whole)->rank, 2);
  hl_kernel_destroy(k);
}

static void test_mean_and_shapes(void **state) {
  (void)state;
  fixture f = open_kernel(HL_BF16, HL_F32);
  hl_value x = hl_load(f.b, f.x, f.t, 2);
  hl_value m = hl_mean(f.b, x, (int32_t[]){-1}, 1, true), u = hl_unsqueeze(f.b, x, 1), s = hl_squeeze(f.b, u, 1);
  hl_value tr = hl_transpose(f.b, x, (uint32_t[]){1, 0}), back = hl_transpose(f.b, tr, (uint32_t[]){1, 0});
  hl_store(f.b, f.out, f.t, 2, hl_add(f.b, hl_sub(f.b, s, m), back));
  hl_kernel *k = close_kernel(&f);
  assert_int_equal(hli_dtype_of(k, m), HL_BF16);
  assert_true(hli_axis_is_one(k, hli_type_of(k, m)->dims[1]));
  assert_int_equal(hli_type_of(k, u)->rank, 3);
  assert_int_equal(k->values.data[s].type, k->values.data[x].type);
  assert_int_equal(k->values.data[back].type, k->values.data[x].type);
  hl_kernel_destroy(k);
}

/* ---- errors ---- */

static void test_broadcast_mismatch(void **state) {
  (void)state;
  fixture f = open_kernel(HL_F32, HL_F32);
  hl_value x = hl_load(f.b, f.x, f.t, 2), whole = hl_load(f.b, f.x, (hl_value[]){f.t[0], HL_ALL}, 2);
  const uint32_t line = __LINE__ + 1;
  hl_value bad = hl_add(f.b, x, whole);
  assert_int_equal(bad, HL_POISON);
  assert_int_equal(hl_exp(f.b, bad), HL_POISON); /* poison in, poison out: the first complaint stays */
  hl_store(f.b, f.out, f.t, 7, bad);
  expect_error(&f, line, "do not broadcast", "f32[$i, $j]", "f32[$i, $N]");
}

static void test_index_errors(void **state) {
  (void)state;
  fixture f = open_kernel(HL_F32, HL_F32);
  hl_load(f.b, f.x, f.t, 1);
  expect_error(&f, __LINE__ - 1, "1 indices", "tensor<f32[M, N]>", "rank 2");
  f = open_kernel(HL_F32, HL_F32);
  hl_load(f.b, f.x, (hl_value[]){f.t[0], f.x}, 2);
  expect_error(&f, __LINE__ - 1, "index 2 of x", "tensor", "give a tile");
  f = open_kernel(HL_F32, HL_F32);
  hl_reduce_sum(f.b, hl_load(f.b, f.x, f.t, 2), 2, false);
  expect_error(&f, __LINE__ - 1, "axis 2", "out of range", "rank 2");
  f = open_kernel(HL_F32, HL_F32);
  hl_store(f.b, f.out, f.t, 2, hl_load(f.b, f.x, (hl_value[]){f.t[0], HL_ALL}, 2));
  expect_error(&f, __LINE__ - 1, "does not broadcast", "f32[$i, $N]", "to f32[$i, $j]: axes are matched from the last one");
  f = open_kernel(HL_F32, HL_F32);
  hl_exp(f.b, f.x);
  expect_error(&f, __LINE__ - 1, "exp", "not a value", "load");
  f = open_kernel(HL_F32, HL_F32);
  hl_exp(f.b, 9999);
  expect_error(&f, __LINE__ - 1, "9999", "does not belong", "");
}

static void test_loop_errors(void **state) {
  (void)state;
  hl_value tile;
  fixture f = open_kernel(HL_F32, HL_F32);
  expect_error(&f, 0, "1 tile loop is never closed", "hl_tile_end", "");
  f = open_kernel(HL_F32, HL_F32);
  hl_tile_end(f.b, NULL, NULL);
  expect_error(&f, __LINE__ - 1, "tile loop is empty", "", "");
  f = open_kernel(HL_F32, HL_F32);
  hl_tile_begin(f.b, (hl_value[]){f.t[0]}, 1, &tile);
  expect_error(&f, __LINE__ - 1, "integer scalars", "tile of a tile", "hl_tile_first");
  f = open_kernel(HL_F32, HL_F32);
  hl_value carried_in, next, result, zero = hl_zeros(f.b, f.t, 2, HL_F32);
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  o.carried = &zero, o.carried_count = 1, o.carried_in = &carried_in;
  hl_tile_begin_ex(f.b, (hl_value[]){hl_size(f.b, f.x, 0)}, 1, &o, &tile);
  next = hl_cast(f.b, carried_in, HL_F64);
  hl_tile_end(f.b, &next, &result);
  expect_error(&f, __LINE__ - 1, "carried value 1", "f32[$i, $j]", "f64[$i, $j]");
}

static void test_type_errors(void **state) {
  (void)state;
  fixture f = open_kernel(HL_F32, HL_F32);
  hl_and(f.b, hl_load(f.b, f.x, f.t, 2), hl_const_i(f.b, 1));
  expect_error(&f, __LINE__ - 1, "and", "bool or integers", "f32");
  f = open_kernel(HL_U64, HL_I64);
  hl_add(f.b, hl_load(f.b, f.x, f.t, 2), hl_load(f.b, f.y, &f.t[1], 1));
  expect_error(&f, __LINE__ - 1, "no common dtype", "u64", "cast");
  f = open_kernel(HL_F32, HL_F32);
  hl_value x = hl_load(f.b, f.x, f.t, 2);
  hl_dot(f.b, x, x, HL_POISON);
  expect_error(&f, __LINE__ - 1, "dot", "inner axes", "f32[$i, $j]");
}

/* Which dtype a dot of two has, with an accumulator and an output of their own. */
static hl_dtype dot_dtype(hl_dtype dx, hl_dtype dy, hl_dtype acc, hl_dtype out) {
  fixture f = open_kernel(dx, dy);
  const hl_value x = hl_load(f.b, f.x, f.t, 2), y = hl_unsqueeze(f.b, hl_load(f.b, f.y, &f.t[1], 1), 1);
  const hl_value a = acc ? hl_cast(f.b, hl_dot(f.b, x, y, HL_POISON), acc) : HL_POISON;
  const hl_value d = hl_dot_ex(f.b, x, y, a, out);
  const hl_dtype dtype = d ? hli_dtype_of(f.b->k, d) : HL_DTYPE_NONE;
  hl_builder_destroy(f.b);
  return dtype;
}

static void test_dot_dtypes(void **state) {
  (void)state;
  assert_int_equal(dot_dtype(HL_BF16, HL_BF16, 0, 0), HL_F32);
  assert_int_equal(dot_dtype(HL_F64, HL_F32, 0, 0), HL_F64);
  assert_int_equal(dot_dtype(HL_I8, HL_I8, 0, 0), HL_I32);
  assert_int_equal(dot_dtype(HL_U8, HL_I8, 0, 0), HL_I32);
  assert_int_equal(dot_dtype(HL_U8, HL_U8, 0, 0), HL_U32);
  assert_int_equal(dot_dtype(HL_I64, HL_I32, 0, 0), HL_I64);
  assert_int_equal(dot_dtype(HL_F8E4M3, HL_F8E5M2, 0, 0), HL_F32);
  assert_int_equal(dot_dtype(HL_F16, HL_F16, HL_F16, 0), HL_F16);
  assert_int_equal(dot_dtype(HL_F16, HL_F16, HL_F16, HL_BF16), HL_BF16);
  assert_int_equal(dot_dtype(HL_F16, HL_F16, 0, HL_F64), HL_F64);
}

/* Batches: an operand of rank 2 belongs to all; anything else that does not fit is said. */
static void test_dot_batches(void **state) {
  (void)state;
  fixture f = open_kernel(HL_F32, HL_F32);
  const hl_value x = hl_load(f.b, f.x, f.t, 2), y = hl_unsqueeze(f.b, hl_load(f.b, f.y, &f.t[1], 1), 1);
  const hl_value d = hl_dot(f.b, hl_unsqueeze(f.b, x, 0), y, HL_POISON);
  assert_int_equal(hli_type_of(f.b->k, d)->rank, 3);
  hl_dot(f.b, hl_load(f.b, f.y, &f.t[1], 1), y, HL_POISON);
  expect_error(&f, __LINE__ - 1, "dot", "rank 3 with a batch", "f32[$j]");
  f = open_kernel(HL_I32, HL_F32);
  hl_dot(f.b, hl_load(f.b, f.x, f.t, 2), hl_unsqueeze(f.b, hl_load(f.b, f.y, &f.t[1], 1), 1), HL_POISON);
  expect_error(&f, __LINE__ - 1, "dot", "no common dtype", "i32[$i, $j]");
}

static void test_null_errors(void **state) {
  (void)state;
  hl_value tile;
  fixture f = open_kernel(HL_F32, HL_F32);
  hl_load(f.b, f.x, NULL, 2);
  expect_error(&f, __LINE__ - 1, "index is NULL", "HL_ALL", "rank 2");
  f = open_kernel(HL_F32, HL_F32);
  hl_param_tensor(f.b, "z", HL_F32, NULL, 2, HL_IN);
  expect_error(&f, __LINE__ - 1, "parameter z", "dims is NULL", "");
  f = open_kernel(HL_F32, HL_F32);
  hl_tile_begin(f.b, NULL, 1, &tile);
  expect_error(&f, __LINE__ - 1, "extents is NULL", "", "");
  f = open_kernel(HL_F32, HL_F32);
  hl_tile_begin(f.b, (hl_value[]){hl_size(f.b, f.x, 0)}, 1, NULL);
  expect_error(&f, __LINE__ - 1, "tiles is NULL", "", "");
  f = open_kernel(HL_F32, HL_F32);
  hl_tile_begin_ex(f.b, (hl_value[]){hl_size(f.b, f.x, 0)}, 1, &(hl_tile_options){.size = 0}, &tile);
  expect_error(&f, __LINE__ - 1, "hl_tile_options.size is 0", "HL_TILE_OPTIONS_INIT", "");
}

/* An hl_value that was never given one is the first complaint itself. */
static void test_uninitialised(void **state) {
  (void)state;
  hl_value never = HL_POISON;
  fixture f = open_kernel(HL_F32, HL_F32);
  hl_store(f.b, f.out, f.t, 2, never);
  expect_error(&f, __LINE__ - 1, "HL_POISON", "uninitialised", "");
  f = open_kernel(HL_F32, HL_F32);
  hl_tile_begin(f.b, &never, 1, &f.t[0]);
  expect_error(&f, __LINE__ - 1, "HL_POISON", "uninitialised", "");
}

static void test_block_limits_and_stores(void **state) {
  (void)state;
  hl_value t;
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  fixture f = open_kernel(HL_F32, HL_F32);
  o.block_min[0] = 5, o.block_max[0] = 6;
  hl_tile_begin_ex(f.b, (hl_value[]){hl_size(f.b, f.x, 0)}, 1, &o, &t);
  expect_error(&f, __LINE__ - 1, "no power of two", "5", "6");
  f = open_kernel(HL_F32, HL_F32);
  hl_load(f.b, f.x, f.t, 2);
  hl_tile_end(f.b, NULL, NULL);
  expect_error(&f, 0, "stores nothing", "hl_store", "");
}

static void test_misuse(void **state) {
  (void)state;
  hl_builder *b = NULL;
  hl_diag d = {0};
  assert_int_equal(hl_builder_create(NULL, "k", &d, &b), HL_ERR_ARG);
  assert_int_equal(hl_builder_create(ctx, "9 lives", &d, &b), HL_ERR_ARG);
  assert_non_null(strstr(d.message, "9 lives"));
  assert_null(b);
  assert_int_equal(hl_builder_finish(NULL, &d, NULL), HL_ERR_ARG);
  assert_int_equal((hl_exp)(NULL, 1), HL_POISON);
  assert_int_equal(hl_builder_create(ctx, "k", &d, &b), HL_OK);
  hl_kernel *k;
  assert_int_equal(hl_builder_finish(b, &d, &k), HL_ERR_BUILD); /* no loop at all */
  assert_non_null(strstr(d.message, "loop"));
}

/* ---- failing allocations: a status, no leak (checked by the leak detector) ---- */

typedef struct countdown {
  int left;
} countdown;

static void *failing_alloc(void *user, size_t size, size_t align) {
  countdown *c = user;
  (void)align;
  return c->left-- > 0 ? aligned_alloc(64, (size + 63) / 64 * 64) : NULL;
}

static void failing_release(void *user, void *ptr, size_t size) {
  (void)user, (void)size;
  free(ptr);
}

static hl_status build_something(hl_context *c) {
  hl_builder *b;
  hl_kernel *k = NULL;
  hl_value i;
  hl_status s = hl_builder_create(c, "k", NULL, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", HL_BF16, (hl_dim[]){m, n}, 2, HL_IN),
                 y = hl_param_tensor(b, "y", HL_F32, &m, 1, HL_OUT);
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  hl_store(b, y, &i, 1, hl_mean(b, hl_exp(b, hl_load(b, x, (hl_value[]){i, HL_ALL}, 2)), (int32_t[]){1}, 1, false));
  hl_tile_end(b, NULL, NULL);
  s = hl_builder_finish(b, NULL, &k);
  hl_kernel_destroy(k);
  return s;
}

static void test_failing_allocations(void **state) {
  (void)state;
  int n = 0;
  for (hl_status s = HL_ERR_MEMORY; s != HL_OK; n++) {
    countdown c = {n};
    hl_context_options o = HL_CONTEXT_OPTIONS_INIT;
    o.allocator = (hl_allocator){failing_alloc, failing_release, &c};
    hl_context *local = NULL;
    s = hl_context_create(&o, NULL, &local);
    if (s == HL_OK) {
      s = build_something(local);
      c.left = 1000; /* destruction may not need memory, but must not be starved by the test either */
      hl_context_destroy(local);
    }
    assert_true(s == HL_OK || s == HL_ERR_MEMORY);
    assert_true(n < 100000);
  }
  assert_true(n > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_promotion), cmocka_unit_test(test_promotion_table),
                                     cmocka_unit_test(test_bools),
      cmocka_unit_test(test_no_promotion), cmocka_unit_test(test_weak_table), cmocka_unit_test(test_shape_errors), cmocka_unit_test(test_arange),
                                     cmocka_unit_test(test_weak_literals),
                                     cmocka_unit_test(test_literals_in_f64),
                                     cmocka_unit_test(test_indices),
                                     cmocka_unit_test(test_mean_and_shapes),
                                     cmocka_unit_test(test_broadcast_mismatch),
                                     cmocka_unit_test(test_index_errors),
                                     cmocka_unit_test(test_loop_errors),
                                     cmocka_unit_test(test_null_errors),
                                     cmocka_unit_test(test_type_errors),
                                     cmocka_unit_test(test_dot_dtypes),
                                     cmocka_unit_test(test_dot_batches),
                                     cmocka_unit_test(test_uninitialised),
                                     cmocka_unit_test(test_block_limits_and_stores),
                                     cmocka_unit_test(test_misuse),
                                     cmocka_unit_test(test_failing_allocations)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
