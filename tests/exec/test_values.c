/* test_values.c: rules of the language about values, each in every place (everywhere.h), bit by bit.
 *
 * ctest-timeout: 900
 *
 * SPDX-License-Identifier: MIT */
#include "tests/exec/everywhere.h"

#include <math.h>

#include "src/ir/ir.h"

static hl_builder *begin(hl_context *ctx, const char *name) {
  hl_diag d = {0};
  hl_builder *b = NULL;
  if (hl_builder_create(ctx, name, &d, &b) != HL_OK)
    fail_msg("%s", d.message);
  return b;
}

/* ---- y[i] = f(x[i]...), for f of one or two operands ---- */

typedef struct pointwise {
  hl_dtype in[3], out;
  uint32_t operands;
  hl_value (*of)(hl_builder *b, const hl_value *v, const void *user);
  const void *user;
} pointwise;

static hl_kernel *build_pointwise(hl_context *ctx, const void *user) {
  static const char *const names[] = {"x", "w", "z"};
  const pointwise *p = user;
  hl_builder *b = begin(ctx, "pointwise");
  const hl_dim n = hl_dim_named(b, "N");
  hl_value in[3], v[3], i;
  for (uint32_t j = 0; j < p->operands; j++)
    in[j] = hl_param_tensor(b, names[j], p->in[j], &n, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", p->out, &n, 1, HL_OUT);
  hl_tile_begin(b, (hl_value[]){hl_size(b, in[0], 0)}, 1, &i);
  for (uint32_t j = 0; j < p->operands; j++)
    v[j] = hl_load(b, in[j], &i, 1);
  hl_store(b, y, &i, 1, p->of(b, v, p->user));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void check_pointwise(const char *what, const pointwise *p, const void *const *in, const void *want, int64_t n) {
  every_tensor t[4];
  for (uint32_t j = 0; j < p->operands; j++)
    t[j] = (every_tensor){.dtype = p->in[j], .rank = 1, .shape = {n}, .in = in[j]};
  t[p->operands] = (every_tensor){.dtype = p->out, .rank = 1, .shape = {n}, .want = want};
  everywhere_run(&(every_kernel){what, build_pointwise, p, EVERY_BITS, 2, NULL}, t, p->operands + 1);
}

/* ---- casts of 8-bit floats ---- */

static hl_value cast_to(hl_builder *b, const hl_value *v, const void *user) {
  return hl_cast(b, v[0], *(const hl_dtype *)user);
}

static const hl_dtype tiny[] = {HL_F8E4M3, HL_F8E5M2, HL_F8E4M3FNUZ, HL_F8E5M2FNUZ, HL_F8E8M0};
static const hl_dtype wide[] = {HL_F32, HL_F16, HL_BF16, HL_F64, HL_I32};

/* All codes to `to` and back; for floats also what lies between two neighbours. */
static void check_f8(hl_dtype dtype, hl_dtype to) {
  enum { N = 777 };
  static uint8_t code[N];
  static double wide_in[N], wide_out[N]; /* room for any dtype */
  const hli_float_format f = hli_float_format_of(dtype);
  const uint32_t size = hl_dtype_size(to);
  for (uint32_t i = 0; i < N; i++) {
    code[i] = (uint8_t)i;
    const hli_scalar s = {.f = hli_float_widen(f, code[i])};
    const uint64_t out = hli_scalar_to_bits(to, hli_scalar_eval(HLI_OP_CAST, dtype, to, &s, true));
    memcpy((char *)wide_out + (size_t)i * size, &out, size);
  }
  check_pointwise("from 8 bits", &(pointwise){{dtype}, to, 1, cast_to, &to}, (const void *[]){code}, wide_out, N);
  for (uint32_t i = 0; i < N; i++) {
    hli_scalar s = {.f = hli_float_widen(f, (uint8_t)i)};
    if (i >= 256)
      s.f = (s.f + hli_float_widen(f, (uint8_t)(i + 1))) / 2;
    if (i >= 512)
      s.f *= 1 + 0x1p-9;
    if (to == HL_I32)
      s.i = (int64_t)i - 400;
    const uint64_t in = hli_scalar_to_bits(to, s);
    const hli_scalar rounded = hli_scalar_from_bits(to, in);
    memcpy((char *)wide_in + (size_t)i * size, &in, size);
    code[i] = (uint8_t)hli_float_narrow(f, to == HL_I32 ? (double)rounded.i : rounded.f);
  }
  check_pointwise("to 8 bits", &(pointwise){{to}, dtype, 1, cast_to, &dtype}, (const void *[]){wide_in}, code, N);
}

static void test_f8(void **state) {
  (void)state;
  for (size_t i = 0; i < HLI_COUNT(tiny); i++)
    for (size_t j = 0; j < HLI_COUNT(wide); j++)
      if (j == 0 || (i + j) % 2 == 0) /* the unit tests look at all pairs */
        check_f8(tiny[i], wide[j]);
}

/* ---- bools ---- */

static hl_value of_two_bools(hl_builder *b, const hl_value *v, const void *user) {
  return hl_binary(b, *(const hl_binary_op *)user, v[0], v[1]);
}

/* + and max are or, * and min are and. */
static void test_bools(void **state) {
  (void)state;
  enum { N = 100 };
  static const hl_binary_op ops[] = {HL_ADD, HL_MAX, HL_MUL, HL_MIN};
  uint8_t x[N], y[N], want[N];
  for (size_t i = 0; i < HLI_COUNT(ops); i++) {
    for (int j = 0; j < N; j++) {
      x[j] = j % 3 == 0, y[j] = j % 5 < 2;
      want[j] = i < 2 ? x[j] | y[j] : x[j] & y[j];
    }
    check_pointwise(hli_op_facts(i < 2 ? HLI_OP_OR : HLI_OP_AND)->text,
                    &(pointwise){{HL_BOOL, HL_BOOL}, HL_BOOL, 2, of_two_bools, &ops[i]}, (const void *[]){x, y}, want, N);
  }
}

/* ---- bitcast ---- */

static hl_value bitcast_to(hl_builder *b, const hl_value *v, const void *user) {
  return hl_bitcast(b, v[0], *(const hl_dtype *)user);
}

static void test_bitcast(void **state) {
  (void)state;
  static const hl_dtype pairs[][2] = {{HL_F32, HL_I32}, {HL_U32, HL_F32},    {HL_F64, HL_U64},    {HL_I64, HL_F64},
                                      {HL_F16, HL_U16}, {HL_BF16, HL_F16},   {HL_I16, HL_BF16},   {HL_U8, HL_F8E4M3},
                                      {HL_I8, HL_U8},   {HL_F8E5M2, HL_I8}, {HL_F8E8M0, HL_U8}};
  enum { N = 300 };
  static uint64_t bits[N];
  for (uint32_t i = 0; i < N; i++)
    bits[i] = (i + 1) * UINT64_C(0x9E3779B97F4A7C15) & ~UINT64_C(0x4000400040004000); /* few NaNs */
  for (size_t i = 0; i < HLI_COUNT(pairs); i++)
    check_pointwise("bitcast", &(pointwise){{pairs[i][0]}, pairs[i][1], 1, bitcast_to, &pairs[i][1]},
                    (const void *[]){bits}, bits, N);
}

/* ---- integers where C has no answer ---- */

typedef struct rule {
  hl_binary_op op;
  int32_t a, b, want;
} rule;

static const rule rules[] = {
    {HL_TRUNCDIV, 7, 0, 0},
    {HL_FLOORDIV, -7, 0, 0},
    {HL_REM, 7, 0, 0},
    {HL_FMOD, -7, 0, 0},
    {HL_TRUNCDIV, INT32_MIN, -1, INT32_MIN},
    {HL_FLOORDIV, INT32_MIN, -1, INT32_MIN},
    {HL_REM, INT32_MIN, -1, 0},
    {HL_FMOD, INT32_MIN, -1, 0},
    {HL_TRUNCDIV, -7, 2, -3},
    {HL_FLOORDIV, -7, 2, -4},
    {HL_REM, -7, 2, 1},
    {HL_FMOD, -7, 2, -1},
    {HL_SHL, 1, 31, INT32_MIN},
    {HL_SHL, 1, 32, 0},
    {HL_SHL, 1, -1, 0},
    {HL_SHR, -8, 1, -4},
    {HL_SHR, -8, 40, -1},
    {HL_SHR, 8, -3, 0},
    {HL_ADD, INT32_MAX, 1, INT32_MIN},
    {HL_MUL, INT32_MIN, -1, INT32_MIN},
};

static hl_value apply_rule(hl_builder *b, const hl_value *v, const void *user) {
  return hl_binary(b, ((const rule *)user)->op, v[0], v[1]);
}

static void test_integers(void **state) {
  (void)state;
  enum { N = 70 };
  for (size_t i = 0; i < HLI_COUNT(rules); i++) {
    int32_t a[N], c[N], want[N];
    for (uint32_t j = 0; j < N; j++)
      a[j] = rules[i].a, c[j] = rules[i].b, want[j] = rules[i].want;
    check_pointwise("a rule", &(pointwise){{HL_I32, HL_I32}, HL_I32, 2, apply_rule, &rules[i]},
                    (const void *[]){a, c}, want, N);
  }
}

static void test_to_integer(void **state) {
  (void)state;
  static const float x[] = {NAN, INFINITY, -INFINITY, 1e10f, -1e10f, 2147483648.0f, -2147483648.0f, 1.9f, -1.9f, 0.5f};
  static const int32_t i32[] = {0, INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN, 1, -1, 0};
  static const uint8_t u8[] = {0, 255, 0, 255, 0, 255, 0, 1, 0, 0};
  static const hl_dtype to[] = {HL_I32, HL_U8};
  check_pointwise("to i32", &(pointwise){{HL_F32}, HL_I32, 1, cast_to, &to[0]}, (const void *[]){x}, i32, 10);
  check_pointwise("to u8", &(pointwise){{HL_F32}, HL_U8, 1, cast_to, &to[1]}, (const void *[]){x}, u8, 10);
}

/* ---- shapes ---- */

/* y[i] = sum over stack(x, w, x + w, 1) of value * (index + 1); checks arange, stack, expand. */
static hl_value of_stack(hl_builder *b, const hl_value *v, const void *user) {
  (void)user;
  const hl_value parts[] = {v[0], v[1], hl_add(b, v[0], v[1]), hl_mul(b, v[0], v[1]), v[0]};
  const hl_value all = hl_stack(b, parts, 5, 1), weight = hl_add(b, hl_arange(b, 5), hl_const_i(b, 1));
  return hl_cast(b, hl_reduce_sum(b, hl_mul(b, all, hl_expand(b, weight, all)), 1, false), HL_I32);
}

/* Complex product of (x, w) with itself, through join and split; the axis of 2 first, then last. */
static hl_value of_join(hl_builder *b, const hl_value *v, const void *user) {
  (void)user;
  hl_value part[2], again[2];
  hl_split(b, hl_join(b, v[0], v[1]), part);
  const hl_value front = hl_stack(b, part, 2, 0);
  again[0] = hl_select(b, front, 0, 0), again[1] = hl_select(b, front, 0, -1);
  return hl_sub(b, hl_mul(b, again[0], again[0]), hl_mul(b, hl_const_i(b, 3), again[1]));
}

static void test_stack(void **state) {
  (void)state;
  enum { N = 333 };
  static int32_t x[N], w[N], stacked[N], joined[N];
  for (int32_t i = 0; i < N; i++) {
    x[i] = i * 7 % 101 - 50, w[i] = i * 13 % 89 - 40;
    stacked[i] = x[i] + 2 * w[i] + 3 * (x[i] + w[i]) + 4 * x[i] * w[i] + 5 * x[i];
    joined[i] = x[i] * x[i] - 3 * w[i];
  }
  check_pointwise("stack", &(pointwise){{HL_I32, HL_I32}, HL_I32, 2, of_stack, NULL}, (const void *[]){x, w}, stacked, N);
  check_pointwise("join", &(pointwise){{HL_I32, HL_I32}, HL_I32, 2, of_join, NULL}, (const void *[]){x, w}, joined, N);
}

/* Selection keeps every float, -0 and NaN among them. */
static hl_value of_select(hl_builder *b, const hl_value *v, const void *user) {
  (void)user;
  return hl_select(b, hl_join(b, v[1], v[0]), 1, 1);
}
static void test_select_floats(void **state) {
  (void)state;
  static const float x[] = {-0.0f, 0.0f, NAN, INFINITY, -INFINITY, 1e-45f, 3.4e38f}, w[7] = {5, 5, 5, NAN, NAN, NAN, -5};
  check_pointwise("select", &(pointwise){{HL_F32, HL_F32}, HL_F32, 2, of_select, NULL}, (const void *[]){x, w}, x, 7);
}

/* ---- reshape ---- */

typedef struct shape {
  int64_t n; /* of the rows */
  int64_t parts[4];
  uint32_t count;
} shape;

/* y[i, :] = x[i, :] in blocks, less each block's largest element, in one row again. */
static hl_kernel *build_blocks(hl_context *ctx, const void *user) {
  const shape *s = user;
  hl_builder *b = begin(ctx, "blocks");
  int64_t sizes[5] = {HL_KEEP};
  memcpy(sizes + 1, s->parts, sizeof s->parts);
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_static(b, s->n)};
  const hl_value x = hl_param_tensor(b, "x", HL_F32, dims, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, dims, 2, HL_OUT);
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value row = hl_load(b, x, (hl_value[]){i, HL_ALL}, 2), blocks = hl_reshape(b, row, sizes, s->count + 1);
  const hl_value most = hl_reduce_max(b, blocks, (int32_t)s->count, true);
  const hl_value less = hl_sub(b, blocks, most);
  hl_store(b, y, (hl_value[]){i, HL_ALL}, 2, hl_reshape(b, less, (int64_t[]){HL_KEEP, s->n}, 2));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_reshape(void **state) {
  (void)state;
  enum { M = 11 };
  static const shape shapes[] = {{1024, {8, 128}, 2}, {60, {3, 4, 5}, 3}, {60, {12, 5}, 2}, {7, {7, 1}, 2}, {35, {1, 35}, 2}};
  static float x[M * 1024], y[M * 1024];
  for (size_t k = 0; k < HLI_COUNT(shapes); k++) {
    const shape *s = &shapes[k];
    const int64_t last = s->parts[s->count - 1];
    for (int64_t j = 0; j < M * s->n; j++)
      x[j] = (float)(j * 7919 % 1009) / 8;
    for (int64_t j = 0; j < M * s->n; j += last) {
      float most = x[j];
      for (int64_t l = 1; l < last; l++)
        most = fmaxf(most, x[j + l]);
      for (int64_t l = 0; l < last; l++)
        y[j + l] = x[j + l] - most;
    }
    const every_tensor t[] = {{.dtype = HL_F32, .rank = 2, .shape = {M, s->n}, .in = x},
                              {.dtype = HL_F32, .rank = 2, .shape = {M, s->n}, .want = y}};
    everywhere_run(&(every_kernel){"reshape", build_blocks, s, EVERY_BITS | EVERY_NO_GPU, 2,
                                   "reshape is not supported on nvptx"},
                   t, 2);
  }
}

/* ---- random numbers ---- */

static hl_value of_rand(hl_builder *b, const hl_value *v, const void *user) {
  return hl_rand(b, hl_const_i(b, *(const int64_t *)user), v[0]);
}
static hl_value of_randint(hl_builder *b, const hl_value *v, const void *user) {
  return hl_randint(b, hl_const_i(b, *(const int64_t *)user), v[0], hl_const_i(b, -3), hl_const_i(b, 1000));
}
static hl_value of_randn(hl_builder *b, const hl_value *v, const void *user) {
  return hl_randn(b, hl_const_i(b, *(const int64_t *)user), v[0]);
}

/* Independent of scalar.c: straight from the paper. */
static void philox(uint64_t key, uint64_t counter, uint32_t c[4]) {
  uint32_t k[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
  c[0] = (uint32_t)counter, c[1] = (uint32_t)(counter >> 32), c[2] = c[3] = 0;
  for (int r = 0; r < 10; r++) {
    const uint64_t a = UINT64_C(0xD2511F53) * c[0], b = UINT64_C(0xCD9E8D57) * c[2];
    const uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k[1],
                              (uint32_t)a};
    memcpy(c, next, sizeof next);
    k[0] += 0x9E3779B9, k[1] += 0xBB67AE85;
  }
}

static void test_random(void **state) {
  (void)state;
  enum { N = 1000 };
  static int64_t offset[N], integer[N];
  static float uniform[N], normal[N];
  const int64_t seed = 0x123456789abcdef;
  double mean = 0, square = 0;
  for (int64_t i = 0; i < N; i++) {
    uint32_t c[4];
    offset[i] = i < 900 ? i : i << 33;
    philox((uint64_t)seed, (uint64_t)offset[i], c);
    uniform[i] = (float)(c[0] >> 8) * 0x1p-24f;
    integer[i] = -3 + (int64_t)((uint64_t)c[0] * 1003 >> 32);
    const double u = ((c[0] >> 8) + 1) * 0x1p-24, turn = (double)(float)((float)(c[1] >> 8) * 0x1p-24f * 6.2831855f);
    normal[i] = (float)(sqrt(-2 * log(u)) * cos(turn));
    mean += (double)normal[i] / N, square += (double)normal[i] * (double)normal[i] / N;
  }
  assert_true(fabs(mean) < 0.1 && fabs(square - 1) < 0.15);
  check_pointwise("rand", &(pointwise){{HL_I64}, HL_F32, 1, of_rand, &seed}, (const void *[]){offset}, uniform, N);
  check_pointwise("randint", &(pointwise){{HL_I64}, HL_I64, 1, of_randint, &seed}, (const void *[]){offset}, integer, N);
  const pointwise p = {{HL_I64}, HL_F32, 1, of_randn, &seed};
  const every_tensor t[] = {
      {.dtype = HL_I64, .rank = 1, .shape = {N}, .in = offset},
      {.dtype = HL_F32, .rank = 1, .shape = {N}, .want = normal, .tolerance = 2e-5}};
  everywhere_run(&(every_kernel){"randn", build_pointwise, &p, EVERY_BITS, 2, NULL}, t, 2);
}

/* Known answers of the paper's own library (kat_vectors of Random123), words 0 and 1. */
static void test_known_answers(void **state) {
  (void)state;
  static const struct {
    uint64_t key, low, high, want;
  } known[] = {
      {0, 0, 0, UINT64_C(0xe169c58d6627e8d5)},
      {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_C(0x41c83b0e408f276d)},
      {UINT64_C(0x299f31d0a4093822), UINT64_C(0x85a308d3243f6a88), UINT64_C(0x0370734413198a2e),
       UINT64_C(0x94fdccebd16cfe09)},
  };
  for (size_t i = 0; i < HLI_COUNT(known); i++) {
    const hli_scalar in[3] = {{.u = known[i].key}, {.u = known[i].low}, {.u = known[i].high}};
    assert_true(hli_scalar_eval(HLI_OP_PHILOX, HL_U64, HL_DTYPE_NONE, in, true).u == known[i].want);
  }
}

/* The number belongs to the element, not to the block that computes it: two dimensions, random blocks. */
static hl_kernel *build_offsets(hl_context *ctx, const void *user) {
  (void)user;
  hl_builder *b = begin(ctx, "offsets");
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  const hl_value seed = hl_param_scalar(b, "seed", HL_I64), y = hl_param_tensor(b, "y", HL_F32, dims, 2, HL_OUT);
  hl_value t[2];
  hl_tile_begin(b, (hl_value[]){hl_size(b, y, 0), hl_size(b, y, 1)}, 2, t);
  hl_store(b, y, t, 2, hl_rand(b, seed, hl_offset(b, y, t, 2)));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_offsets(void **state) {
  (void)state;
  enum { M = 13, N = 37 };
  static float want[M * N];
  for (uint32_t i = 0; i < M * N; i++) {
    uint32_t c[4];
    philox(99, i, c);
    want[i] = (float)(c[0] >> 8) * 0x1p-24f;
  }
  const every_tensor t[] = {{.dtype = HL_I64, .rank = EVERY_SCALAR, .in = (double[]){99}},
                            {.dtype = HL_F32, .rank = 2, .shape = {M, N}, .want = want}};
  everywhere_run(&(every_kernel){"offsets", build_offsets, NULL, EVERY_BITS, 5, NULL}, t, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_f8), cmocka_unit_test(test_bools),         cmocka_unit_test(test_bitcast),
                                     cmocka_unit_test(test_integers),   cmocka_unit_test(test_to_integer),
                                     cmocka_unit_test(test_stack),      cmocka_unit_test(test_select_floats),
                                     cmocka_unit_test(test_reshape),   cmocka_unit_test(test_random),     cmocka_unit_test(test_known_answers),
                                     cmocka_unit_test(test_offsets)};
  return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
