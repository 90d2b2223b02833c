/* test_scalar.c: what pointwise ops compute, against the C compiler's own arithmetic and against the expansions that
 * the emitters use.  Formats of 16 bits and integers of 8 are tried exhaustively.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include "src/ir/expand.h"
#include "tests/ir/files.h"

#if defined(__FLT16_MANT_DIG__) && defined(__SIZEOF_FLOAT128__) && !defined(__clang__)
#define HAVE_F16 1
#endif

static uint64_t seed = 1;
static uint64_t random64(void) { /* xorshift64* */
  seed ^= seed >> 12;
  seed ^= seed << 25;
  seed ^= seed >> 27;
  return seed * 2685821657736338717ull;
}
static float float_of(uint32_t b) {
  float f;
  memcpy(&f, &b, sizeof f);
  return f;
}
static uint32_t bits_of(float f) {
  uint32_t b;
  memcpy(&b, &f, sizeof b);
  return b;
}

static hli_scalar eval(hli_opcode code, hl_dtype dtype, const hli_scalar *args) {
  return hli_scalar_eval(code, dtype, HL_DTYPE_NONE, args, true);
}
static double eval_f(hli_opcode code, hl_dtype dtype, double a, double b, double c) {
  return eval(code, dtype, (hli_scalar[]){{.f = a}, {.f = b}, {.f = c}}).f;
}
static hli_scalar cast(hl_dtype from, hl_dtype to, hli_scalar a) { return hli_scalar_eval(HLI_OP_CAST, from, to, &a, true); }

/* Equal, with NaN equal to NaN and the zeros apart. */
static void same(double have, double want, const char *what, double a, double b) {
  if (isnan(want) ? isnan(have) : have == want && signbit(have) == signbit(want)) return;
  fail_msg("%s(%a, %a) is %a, not %a", what, a, b, have, want);
}

/* ---- formats ------------------------------------------------------------------------------- */

/* Every pattern widens and narrows to itself, and doubles round to the nearest, ties to even. */
static void check_format(hl_dtype dtype, uint32_t infinity) {
  for (uint32_t b = 0; b < 0x10000; b++) {
    hli_scalar s = hli_scalar_from_bits(dtype, b);
    assert_int_equal(hli_scalar_to_bits(dtype, s), b);
    assert_int_equal(isnan(s.f) != 0, (b & 0x7fff) > infinity);
    assert_int_equal(signbit(s.f) != 0, b >> 15);
  }
  for (uint32_t b = 0; b < infinity; b++) {
    double low = hli_scalar_from_bits(dtype, b).f;
    double high = b + 1 == infinity ? 2 * low - hli_scalar_from_bits(dtype, b - 1).f : hli_scalar_from_bits(dtype, b + 1).f;
    double middle = low + (high - low) / 2;
    assert_true(low < middle && middle < high);
    for (uint32_t sign = 0; sign < 2; sign++) {
      double way = sign ? -1 : 1;
      uint32_t s = sign << 15;
      assert_int_equal(hli_scalar_to_bits(dtype, (hli_scalar){.f = way * nextafter(middle, 0)}), b | s);
      assert_int_equal(hli_scalar_to_bits(dtype, (hli_scalar){.f = way * middle}), (b + (b & 1)) | s);
      assert_int_equal(hli_scalar_to_bits(dtype, (hli_scalar){.f = way * nextafter(middle, INFINITY)}), (b + 1) | s);
    }
  }
  assert_int_equal(hli_scalar_to_bits(dtype, (hli_scalar){.f = 1e300}), infinity);
  assert_int_equal(hli_scalar_to_bits(dtype, (hli_scalar){.f = -0x1p-1074}), 0x8000);
}

static void test_formats(void **state) {
  (void)state;
  check_format(HL_F16, 0x7c00);
  check_format(HL_BF16, 0x7f80);
  for (uint32_t b = 0; b < 0x10000; b++) {
    double bf16 = hli_scalar_from_bits(HL_BF16, b).f;
    same(bf16, float_of(b << 16), "bf16", b, 0);
#ifdef HAVE_F16
    _Float16 h;
    uint16_t u = (uint16_t)b;
    memcpy(&h, &u, sizeof h);
    same(hli_scalar_from_bits(HL_F16, b).f, (double)h, "f16", b, 0);
#endif
  }
}

/* A double with the exponent of something that matters to f32, or any at all. */
static double random_double(void) {
  uint64_t r = random64();
  if (r & 1) return hli_double_of(random64());
  uint64_t exponent = 1023 - 160 + random64() % 320;
  return hli_double_of((random64() & ~(0x7ffull << 52)) | exponent << 52);
}

static void test_f32(void **state) {
  (void)state;
  for (int i = 0; i < 2000000; i++) {
    double d = random_double();
    if (isnan(d)) continue;
    uint32_t have = (uint32_t)hli_scalar_to_bits(HL_F32, (hli_scalar){.f = d});
    if (have != bits_of((float)d)) fail_msg("%a rounds to %08x, not %08x", d, have, bits_of((float)d));
    same(hli_scalar_from_bits(HL_F32, have).f, (double)(float)d, "f32", d, 0);
  }
  for (uint32_t payload = 1; payload < 1u << 23; payload = payload * 3 + 1) {
    uint32_t nan = 0xff800000u | (payload & 0x7fffffu);
    if (!(payload & 0x7fffffu)) continue;
    assert_int_equal(hli_scalar_to_bits(HL_F32, hli_scalar_from_bits(HL_F32, nan)), nan);
  }
}

/* ---- floating arithmetic ------------------------------------------------------------------------- */

static float random_float(void) {
  uint32_t r = (uint32_t)random64();
  if (random64() & 1) return float_of(r);
  return float_of((r & ~(0xffu << 23)) | (uint32_t)(127 - 12 + random64() % 24) << 23);
}

static void test_f32_arithmetic(void **state) {
  (void)state;
  for (int i = 0; i < 1000000; i++) {
    volatile float a = random_float(), b = random_float(), c = random_float();
    same(eval_f(HLI_OP_ADD, HL_F32, a, b, 0), a + b, "add", a, b);
    same(eval_f(HLI_OP_SUB, HL_F32, a, b, 0), a - b, "sub", a, b);
    same(eval_f(HLI_OP_MUL, HL_F32, a, b, 0), a * b, "mul", a, b);
    same(eval_f(HLI_OP_DIV, HL_F32, a, b, 0), a / b, "div", a, b);
    same(eval_f(HLI_OP_SQRT, HL_F32, a, 0, 0), sqrtf(a), "sqrt", a, 0);
    same(eval_f(HLI_OP_FMA, HL_F32, a, b, c), fmaf(a, b, c), "fma", a, b);
    same(eval_f(HLI_OP_FMA, HL_F32, a, b, -a * b), fmaf(a, b, -a * b), "fma", a, b);
    same(eval_f(HLI_OP_ROUND, HL_F32, a, 0, 0), rintf(a), "round", a, 0);
  }
}

#ifdef HAVE_F16
/* The exact result in 113 bits, rounded once. */
static void test_f16_fma(void **state) {
  (void)state;
  for (int i = 0; i < 1000000; i++) {
    hli_scalar a = hli_scalar_from_bits(HL_F16, random64() & 0xffff), b = hli_scalar_from_bits(HL_F16, random64() & 0xffff);
    hli_scalar c = hli_scalar_from_bits(HL_F16, random64() & 0xffff);
    _Float16 want = (_Float16)((__float128)a.f * (__float128)b.f + (__float128)c.f);
    same(eval_f(HLI_OP_FMA, HL_F16, a.f, b.f, c.f), (double)want, "fma", a.f, b.f);
  }
}
#else
static void test_f16_fma(void **state) {
  (void)state;
  skip();
}
#endif

static void test_float_rules(void **state) {
  (void)state;
  const double inf = INFINITY;
  same(eval_f(HLI_OP_MIN, HL_F32, 1, NAN, 0), NAN, "min", 1, NAN);
  same(eval_f(HLI_OP_MAX, HL_F32, NAN, 1, 0), NAN, "max", NAN, 1);
  same(eval_f(HLI_OP_MIN, HL_F32, 0.0, -0.0, 0), -0.0, "min", 0, 0);
  same(eval_f(HLI_OP_MAX, HL_F32, -0.0, 0.0, 0), 0.0, "max", 0, 0);
  same(eval_f(HLI_OP_REM, HL_F32, -5, 3, 0), 1, "rem", -5, 3);
  same(eval_f(HLI_OP_REM, HL_F32, 5, -3, 0), -1, "rem", 5, -3);
  same(eval_f(HLI_OP_REM, HL_F32, -5, inf, 0), inf, "rem", -5, inf);
  same(eval_f(HLI_OP_REM, HL_F32, 5, 0, 0), NAN, "rem", 5, 0);
  same(eval_f(HLI_OP_FLOORDIV, HL_F32, -7, 2, 0), -4, "floordiv", -7, 2);
  same(eval_f(HLI_OP_TRUNCDIV, HL_F32, -7, 2, 0), -3, "truncdiv", -7, 2);
  same(eval_f(HLI_OP_ROUND, HL_F64, 2.5, 0, 0), 2, "round", 2.5, 0);
  same(eval_f(HLI_OP_ROUND, HL_F64, -3.5, 0, 0), -4, "round", -3.5, 0);
  same(eval_f(HLI_OP_ROUND, HL_F64, -0.25, 0, 0), -0.0, "round", -0.25, 0);
  same(eval_f(HLI_OP_ROUND, HL_F64, 0x1.fffffffffffffp-2, 0, 0), 0, "round", 0.5, 0);
  same(eval_f(HLI_OP_SIGN, HL_F32, -3, 0, 0), -1, "sign", -3, 0);
  same(eval_f(HLI_OP_SIGN, HL_F32, NAN, 0, 0), 0, "sign", NAN, 0);
  same(eval_f(HLI_OP_RELU, HL_F32, NAN, 0, 0), NAN, "relu", NAN, 0);
  same(eval_f(HLI_OP_RELU, HL_F32, -3, 0, 0), 0, "relu", -3, 0);
  same(eval_f(HLI_OP_RSQRT, HL_F32, 0.25, 0, 0), 2, "rsqrt", 0.25, 0);
  same(eval_f(HLI_OP_RECIPROCAL, HL_F32, -0.0, 0, 0), -inf, "reciprocal", -0.0, 0);
  same(eval_f(HLI_OP_SIGMOID, HL_F32, -inf, 0, 0), 0, "sigmoid", -inf, 0);
  same(eval_f(HLI_OP_SIGMOID, HL_F32, inf, 0, 0), 1, "sigmoid", inf, 0);
  same(eval_f(HLI_OP_EXP, HL_BF16, 1, 0, 0), 0x1.5cp+1, "exp", 1, 0);
  same(eval_f(HLI_OP_TF32, HL_F32, 1 + 0x1p-11, 0, 0), 1 + 0x1p-10, "tf32", 1 + 0x1p-11, 0); /* a tie: away from 0 */
  same(eval_f(HLI_OP_TF32, HL_F32, -1 - 0x1.8p-12, 0, 0), -1, "tf32", -1 - 0x1.8p-12, 0);
  same(eval_f(HLI_OP_TF32, HL_F32, 0x1.fffffep+127, 0, 0), inf, "tf32", 0x1.fffffep+127, 0);
  same(eval_f(HLI_OP_TF32, HL_F32, -inf, 0, 0), -inf, "tf32", -inf, 0);
  assert_true(isnan(eval_f(HLI_OP_TF32, HL_F32, NAN, 0, 0)));
  /* The sum of two f16 is rounded to f16, and not at all in exact mode. */
  same(eval_f(HLI_OP_ADD, HL_F16, 2048, 1, 0), 2048, "add", 2048, 1);
  same(hli_scalar_eval(HLI_OP_ADD, HL_F16, HL_DTYPE_NONE, (hli_scalar[]){{.f = 2048}, {.f = 1}}, false).f, 2049, "add", 2048, 1);
  /* A NaN that arithmetic makes is the canonical one. */
  hli_scalar nan = eval(HLI_OP_SUB, HL_F32, (hli_scalar[]){{.f = inf}, {.f = inf}});
  assert_int_equal(hli_scalar_to_bits(HL_F32, nan), 0x7fc00000);
  assert_int_equal(eval(HLI_OP_NE, HL_F32, (hli_scalar[]){{.f = NAN}, {.f = NAN}}).i, 1);
  assert_int_equal(eval(HLI_OP_LE, HL_F32, (hli_scalar[]){{.f = NAN}, {.f = 1}}).i, 0);
  assert_int_equal(eval(HLI_OP_GE, HL_F32, (hli_scalar[]){{.f = NAN}, {.f = 1}}).i, 0);
  assert_int_equal(eval(HLI_OP_ISNAN, HL_F16, (hli_scalar[]){{.f = NAN}}).i, 1);
  assert_int_equal(eval(HLI_OP_ISINF, HL_F16, (hli_scalar[]){{.f = -inf}}).i, 1);
}

/* ---- conversions ------------------------------------------------------------------------------------ */

static void test_casts(void **state) {
  (void)state;
  static const struct {
    double x;
    hl_dtype to;
    int64_t want;
  } rows[] = {{300, HL_I8, 127},          {-300, HL_I8, -128},     {-1.9, HL_I32, -1},       {1e30, HL_I64, INT64_MAX},
              {-1e30, HL_I64, INT64_MIN}, {NAN, HL_I32, 0},        {-1, HL_U8, 0},           {255.9, HL_U8, 255},
              {256, HL_U8, 255},          {INFINITY, HL_U16, 65535}, {0x1p63, HL_I64, INT64_MAX}, {-0x1p63, HL_I64, INT64_MIN},
              {0.5, HL_BOOL, 1},          {NAN, HL_BOOL, 1},       {-0.0, HL_BOOL, 0},       {2147483648.0, HL_I32, INT32_MAX},
              {0x1p64, HL_U64, -1},       {0x1p63, HL_U64, INT64_MIN}};
  for (uint32_t i = 0; i < HLI_COUNT(rows); i++) {
    int64_t have = cast(HL_F64, rows[i].to, (hli_scalar){.f = rows[i].x}).i;
    if (have != rows[i].want) fail_msg("%a to %s is %lld", rows[i].x, hl_dtype_text(rows[i].to), (long long)have);
  }
  assert_int_equal(cast(HL_I32, HL_U8, (hli_scalar){.i = -1}).u, 255);
  assert_int_equal(cast(HL_U64, HL_I8, (hli_scalar){.u = 200}).i, -56);
  assert_int_equal(cast(HL_I32, HL_BOOL, (hli_scalar){.i = 256}).i, 1);
  for (int i = 0; i < 1000000; i++) { /* one rounding, also from 64 bits */
    int64_t x = (int64_t)random64() >> (random64() % 64);
    same(cast(HL_I64, HL_F32, (hli_scalar){.i = x}).f, (float)x, "i64 to f32", (double)x, 0);
    same(cast(HL_U64, HL_F32, (hli_scalar){.i = x}).f, (float)(uint64_t)x, "u64 to f32", (double)(uint64_t)x, 0);
    same(cast(HL_I64, HL_F64, (hli_scalar){.i = x}).f, (double)x, "i64 to f64", (double)x, 0);
  }
  /* Half-way between two bf16, and one beside: the double in between must not decide. */
  int64_t tie = (1ll << 62) + (1ll << 54);
  same(cast(HL_I64, HL_BF16, (hli_scalar){.i = tie}).f, 0x1p62, "tie", 0, 0);
  same(cast(HL_I64, HL_BF16, (hli_scalar){.i = tie + 1}).f, 0x1.02p62, "tie + 1", 0, 0);
  same(cast(HL_I64, HL_BF16, (hli_scalar){.i = -tie - 1}).f, -0x1.02p62, "-tie - 1", 0, 0);
  same(cast(HL_U64, HL_F32, (hli_scalar){.u = UINT64_MAX}).f, 0x1p64, "u64 max", 0, 0);
}

/* ---- integers: against plain C on wider types, exhaustively for 8 bits ---------------------------------- */

static int64_t wide(hli_opcode code, bool is_signed, int64_t a, int64_t b) {
  int64_t q = b ? a / b : 0, r = b ? a % b : 0;
  bool down = r != 0 && (r < 0) != (b < 0);
  switch (code) {
  case HLI_OP_ADD: return a + b;
  case HLI_OP_SUB: return a - b;
  case HLI_OP_MUL: return a * b;
  case HLI_OP_TRUNCDIV: return q;
  case HLI_OP_FLOORDIV: return q - down;
  case HLI_OP_REM: return down ? r + b : r;
  case HLI_OP_FMOD: return r;
  case HLI_OP_MIN: return a < b ? a : b;
  case HLI_OP_MAX: return a > b ? a : b;
  case HLI_OP_AND: return a & b;
  case HLI_OP_OR: return a | b;
  case HLI_OP_XOR: return a ^ b;
  case HLI_OP_SHL: return b < 0 || b > 7 ? 0 : (int64_t)((uint64_t)a << b);
  case HLI_OP_SHR: return b < 0 || b > 7 ? (is_signed && a < 0 ? -1 : 0) : a >> b;
  case HLI_OP_EQ: return a == b;
  case HLI_OP_NE: return a != b;
  case HLI_OP_LT: return a < b;
  case HLI_OP_LE: return a <= b;
  case HLI_OP_GT: return a > b;
  default: return a >= b;
  }
}

static bool is_binary_int(hli_opcode code) {
  return hli_op_facts(code)->family == HLI_FAM_BINARY && hli_op_facts(code)->rule != HLI_RULE_FLOAT;
}

static void test_bytes(void **state) {
  (void)state;
  for (hli_opcode code = HLI_OP_NONE; code < HLI_OP_COUNT; code++) {
    if (!is_binary_int(code)) continue;
    bool pred = hli_op_facts(code)->rule == HLI_RULE_PRED;
    for (uint32_t i = 0; i < 0x20000; i++) {
      bool is_signed = i >> 16;
      hl_dtype dtype = is_signed ? HL_I8 : HL_U8;
      hli_scalar a[2] = {hli_scalar_from_bits(dtype, i & 255), hli_scalar_from_bits(dtype, i >> 8 & 255)};
      int64_t want = wide(code, is_signed, a[0].i, a[1].i);
      if (!pred) want = hli_scalar_from_bits(dtype, (uint64_t)want & 255).i;
      int64_t have = eval(code, dtype, a).i;
      if (have != want)
        fail_msg("%s(%lld, %lld) of %s is %lld, not %lld", hli_op_facts(code)->text, (long long)a[0].i, (long long)a[1].i,
                 hl_dtype_text(dtype), (long long)have, (long long)want);
    }
  }
}

static void test_integer_corners(void **state) {
  (void)state;
  hli_scalar least[2] = {{.i = INT64_MIN}, {.i = -1}}, zero[2] = {{.i = 7}, {.i = 0}}, far[2] = {{.i = -8}, {.i = 64}};
  assert_true(eval(HLI_OP_TRUNCDIV, HL_I64, least).i == INT64_MIN);
  assert_true(eval(HLI_OP_FLOORDIV, HL_I64, least).i == INT64_MIN);
  assert_int_equal(eval(HLI_OP_REM, HL_I64, least).i, 0);
  assert_true(eval(HLI_OP_NEG, HL_I64, least).i == INT64_MIN);
  assert_true(eval(HLI_OP_ABS, HL_I64, least).i == INT64_MIN);
  assert_true(eval(HLI_OP_ADD, HL_I64, least).i == INT64_MAX);
  assert_int_equal(eval(HLI_OP_TRUNCDIV, HL_I64, zero).i, 0);
  assert_int_equal(eval(HLI_OP_REM, HL_U64, zero).i, 0);
  assert_int_equal(eval(HLI_OP_SHL, HL_I64, far).i, 0);
  assert_int_equal(eval(HLI_OP_SHR, HL_I64, far).i, -1);
  assert_int_equal(eval(HLI_OP_SHR, HL_U64, far).i, 0);
  assert_int_equal(eval(HLI_OP_TRUNCDIV, HL_I32, (hli_scalar[]){{.i = INT32_MIN}, {.i = -1}}).i, INT32_MIN);
  assert_int_equal(eval(HLI_OP_NOT, HL_BOOL, (hli_scalar[]){{.i = 1}}).i, 0);
  assert_int_equal(eval(HLI_OP_NOT, HL_U8, (hli_scalar[]){{.i = 1}}).i, 254);
  assert_int_equal(eval(HLI_OP_WHERE, HL_U8, (hli_scalar[]){{.i = 0}, {.u = 3}, {.u = 4}}).u, 4);
}

static void test_identities(void **state) {
  (void)state;
  static const hl_dtype dtypes[] = {HL_BOOL, HL_I8, HL_I64, HL_U16, HL_U64, HL_F16, HL_F64};
  for (uint32_t d = 0; d < HLI_COUNT(dtypes); d++)
    for (hli_opcode code = HLI_OP_NONE; code < HLI_OP_COUNT; code++) {
      const hli_op_info *facts = hli_op_facts(code);
      if (facts->identity == HLI_ID_NONE || facts->family != HLI_FAM_BINARY) continue;
      if (facts->rule == HLI_RULE_BITS && hli_dtype_kind(dtypes[d]) == 'f') continue;
      if (code == HLI_OP_AND && dtypes[d] != HL_BOOL) continue; /* its identity is stated for bool only */
      for (uint64_t b = 0; b < 512; b++) {
        hli_scalar x = hli_scalar_from_bits(dtypes[d], b * 0x9e3779b97f4a7c15ull >> 3);
        hli_scalar id = hli_scalar_identity((hli_identity)facts->identity, dtypes[d]);
        hli_scalar y = eval(code, dtypes[d], (hli_scalar[]){x, id});
        if (hli_dtype_kind(dtypes[d]) == 'f') same(y.f, x.f, facts->text, x.f, id.f);
        else if (y.u != x.u) fail_msg("%s(%llx, %llx) of %s is %llx", facts->text, (unsigned long long)x.u, (unsigned long long)id.u, hl_dtype_text(dtypes[d]), (unsigned long long)y.u);
      }
    }
}

/* Powers whose value no limit gives, signalling NaN included; what gelu makes of the ends. */
static void test_edges(void **state) {
  (void)state;
  const double nan = hli_double_of(0x7ff4ull << 48);
  same(eval_f(HLI_OP_POW, HL_F64, nan, 0, 0), 1, "pow", nan, 0);
  same(eval_f(HLI_OP_POW, HL_F64, 1, nan, 0), 1, "pow", 1, nan);
  same(eval_f(HLI_OP_POW, HL_F64, -1, INFINITY, 0), 1, "pow", -1, INFINITY);
  same(eval_f(HLI_OP_POW, HL_F64, -0.0, -3, 0), -INFINITY, "pow", -0.0, -3);
  same(eval_f(HLI_OP_POW, HL_F64, -8, 1.0 / 3, 0), NAN, "pow", -8, 1.0 / 3);
  same(eval_f(HLI_OP_ATAN2, HL_F64, -0.0, -1, 0), -0x1.921fb54442d18p+1, "atan2", -0.0, -1);
  for (hli_opcode code = HLI_OP_GELU_TANH; code <= HLI_OP_GELU_ERF; code++) {
    same(eval_f(code, HL_F32, INFINITY, 0, 0), INFINITY, "gelu", INFINITY, 0);
    same(eval_f(code, HL_F32, -INFINITY, 0, 0), NAN, "gelu", -INFINITY, 0);
    same(eval_f(code, HL_F32, -0.0, 0, 0), -0.0, "gelu", -0.0, 0);
  }
}

/* ---- the expansions, computed with the evaluator's primitives, against the evaluator itself --------------- */

typedef struct machine {
  hl_dtype dtype;
  uint32_t n;
  hli_scalar value[128];
  bool is_bool[128];
} machine;

static hli_xvalue push(machine *m, hli_scalar s, bool is_bool) {
  assert_true(m->n < HLI_COUNT(m->value));
  m->value[m->n] = s;
  m->is_bool[m->n] = is_bool;
  return m->n++;
}
static hli_xvalue machine_op(void *ctx, hli_opcode code, const hli_xvalue *args) {
  machine *m = ctx;
  const hli_op_info *facts = hli_op_facts(code);
  hli_scalar a[3];
  hli_xvalue unused;
  for (uint32_t i = 0; i < facts->in_max; i++) a[i] = m->value[args[i]];
  bool bools = code != HLI_OP_WHERE && m->is_bool[args[0]];
  hl_dtype dtype = bools ? HL_BOOL : m->dtype;
  assert_false(hli_expand(code, dtype, NULL, NULL, NULL, &unused)); /* only primitives are asked for */
  return push(m, eval(code, dtype, a), bools || facts->rule == HLI_RULE_PRED);
}
static hli_xvalue machine_constant(void *ctx, hli_xvalue like, double value) {
  machine *m = ctx;
  assert_false(m->is_bool[like]);
  return push(m, hli_scalar_from_bits(m->dtype, hli_scalar_to_bits(m->dtype, hli_dtype_kind(m->dtype) == 'f' ? (hli_scalar){.f = value} : (hli_scalar){.i = (int64_t)value})), false);
}
static hli_xvalue machine_raw(void *ctx, hli_opcode code, hli_xvalue a, hli_xvalue b) {
  machine *m = ctx;
  int64_t x = m->value[a].i, y = m->value[b].i, width = 8 * hl_dtype_size(m->dtype), r;
  if (code == HLI_OP_SHL || code == HLI_OP_SHR) {
    assert_true(y >= 0 && y < width);
    r = code == HLI_OP_SHR ? x >> y : (int64_t)((uint64_t)x << y);
  } else {
    bool is_signed = hli_dtype_kind(m->dtype) == 'i';
    assert_true(y != 0 && !(is_signed && y == -1 && x == hli_scalar_identity(HLI_ID_LOWEST, m->dtype).i));
    r = code == HLI_OP_REM ? x % y : x / y;
  }
  return push(m, hli_scalar_from_bits(m->dtype, (uint64_t)r), false);
}
static const hli_expand_ops machine_ops = {machine_op, machine_constant, machine_raw};

static bool expand(hli_opcode code, hl_dtype dtype, const hli_scalar *args, hli_scalar *out) {
  machine m = {.dtype = dtype};
  hli_xvalue in[3], x;
  for (uint32_t i = 0; i < hli_op_facts(code)->in_max; i++) in[i] = push(&m, args[i], false);
  if (!hli_expand(code, dtype, &machine_ops, &m, in, &x)) return false;
  *out = m.value[x];
  return true;
}

static void test_expansions_of_bytes(void **state) {
  (void)state;
  int expanded = 0;
  for (hli_opcode code = HLI_OP_NONE; code < HLI_OP_COUNT; code++) {
    const hli_op_info *facts = hli_op_facts(code);
    if (facts->family != HLI_FAM_BINARY && facts->family != HLI_FAM_UNARY) continue;
    for (uint32_t i = 0; i < 0x20000; i++) {
      hl_dtype dtype = i >> 16 ? HL_I8 : HL_U8;
      hli_scalar a[2] = {hli_scalar_from_bits(dtype, i & 255), hli_scalar_from_bits(dtype, i >> 8 & 255)}, have;
      if (!expand(code, dtype, a, &have)) continue;
      expanded++;
      if (have.i != eval(code, dtype, a).i)
        fail_msg("%s(%lld, %lld) of %s expands to %lld", facts->text, (long long)a[0].i, (long long)a[1].i,
                 hl_dtype_text(dtype), (long long)have.i);
    }
  }
  assert_true(expanded > 10 * 0x10000);
}

/* The distance in units of the last place of the wanted value. */
static double ulps(hl_dtype dtype, double have, double want) {
  if (isnan(want) || isnan(have)) return isnan(want) && isnan(have) ? 0 : INFINITY;
  if (have == want) return 0;
  double least = dtype == HL_F64 ? 0x1p-1074 : 0x1p-149;
  double unit = isinf(want) ? least : ldexp(1, ilogb(want == 0 ? least : want) - (dtype == HL_F64 ? 52 : 23));
  return fabs(have - want) / fmax(unit, least);
}

static void test_expansions_of_floats(void **state) {
  (void)state;
  static const struct {
    hli_opcode code;
    double most, low, high; /* ulp between these exponents */
  } rows[] = {{HLI_OP_TANH, 2, -40, 40},      {HLI_OP_SIGMOID, 3, -40, 6}, {HLI_OP_SILU, 4, -40, 6}, {HLI_OP_RSQRT, 1.5, -40, 40},
              {HLI_OP_RECIPROCAL, 0.5, -40, 40}, {HLI_OP_RELU, 0, -40, 40},  {HLI_OP_SIGN, 0, -40, 40}};
  for (uint32_t r = 0; r < HLI_COUNT(rows); r++)
    for (int i = 0; i < 200000; i++) {
      hl_dtype dtype = i & 1 ? HL_F64 : HL_F32;
      double mantissa = 1 + (double)(random64() >> 12) * 0x1p-52;
      double x = ldexp(mantissa, (int)rows[r].low + (int)(random64() % (uint64_t)(rows[r].high - rows[r].low)));
      if (random64() & 1) x = -x;
      if (i < 6) x = (const double[]){0.0, -0.0, INFINITY, -INFINITY, NAN, 0.625}[i];
      hli_scalar a = {.f = dtype == HL_F32 ? (double)(float)x : x}, have;
      if (rows[r].code == HLI_OP_RSQRT && a.f < 0) continue;
      assert_true(expand(rows[r].code, dtype, &a, &have));
      double want = eval(rows[r].code, dtype, &a).f, error = ulps(dtype, have.f, want);
      if (error > rows[r].most) fail_msg("%s(%a) of %s: %a, not %a (%g ulp)", hli_op_facts(rows[r].code)->text, a.f, hl_dtype_text(dtype), have.f, want, error);
    }
}

static void test_expanded_remainder(void **state) {
  (void)state;
  for (int i = 0; i < 500000; i++) {
    float x = random_float(), y = random_float();
    if (i < 64) x = (const float[]){0, -0.0f, 5, -5, INFINITY, -INFINITY, NAN, 1}[i & 7], y = (const float[]){0, -0.0f, 3, -3, INFINITY, -INFINITY, NAN, 1}[i >> 3];
    if (fabs((double)x / y) >= 0x1p23) continue;
    hli_scalar a[2] = {{.f = x}, {.f = y}}, have;
    assert_true(expand(HLI_OP_REM, HL_F32, a, &have));
    double want = eval(HLI_OP_REM, HL_F32, a).f;
    if (isnan(want) ? !isnan(have.f) : have.f != want) fail_msg("rem(%a, %a) expands to %a, not %a", (double)x, (double)y, have.f, want);
    assert_true(expand(HLI_OP_FMOD, HL_F32, a, &have));
    same(have.f, fmod(x, y), "expanded fmod", x, y);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_formats),         cmocka_unit_test(test_f32),
      cmocka_unit_test(test_f32_arithmetic),  cmocka_unit_test(test_f16_fma),
      cmocka_unit_test(test_float_rules),     cmocka_unit_test(test_casts),
      cmocka_unit_test(test_bytes),           cmocka_unit_test(test_integer_corners),
      cmocka_unit_test(test_identities),      cmocka_unit_test(test_expansions_of_bytes),
      cmocka_unit_test(test_edges),
      cmocka_unit_test(test_expansions_of_floats), cmocka_unit_test(test_expanded_remainder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
