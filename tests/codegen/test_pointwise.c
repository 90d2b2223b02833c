/* test_pointwise.c: every pointwise op on every dtype, as scalars and as vectors, on numbers that hurt, against
 * scalar.c's definition: exactly for integers, casts and arithmetic, within stated ulp for exp, log and what is
 * made of them.
 * ctest-timeout: 900 */
#include "tests/codegen/host_run.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char hli_dtype_kind(hl_dtype dtype);

#define COUNT 256 /* elements of a run */

/* ---- operands ------------------------------------------------------------------------------ */

static const double hard_floats[] = {
    0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3, 1e-3, 100, -100, 1e5, 65504, 65519, 65520, 1e30, -1e30, 3.4e38, 1e-30, 1e-38, 1e-40, -1e-44,
    5.96e-8, 6e-5, 88.5, 88.8, -87.4, -103.5, -104.5, 709.5, -745, 0x1p31, 0x1p63, -0x1p63, 2147483520, 4.2e9, 0.6249, 0.6251, 9, 0x1.fffffep-1,
    0x1.000002p0, 0x1.8p-127, 1e300, -1e-310};
static const int64_t hard_ints[] = {0, 1, -1, 2, -2, 3, 7, -7, 8, 15, 16, 31, 32, 63, 64, 100, 127, 128, -128, 255, 256, 32767, -32768, 65535,
                                    INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN, 1000003};

static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 31)) * UINT64_C(0x9E3779B97F4A7C15);
  x = (x ^ (x >> 29)) * UINT64_C(0xBF58476D1CE4E5B9);
  return x ^ (x >> 32);
}

/* Operand j of element i: pairs of hard values first, then random bits, infinities and NaN among them. */
static uint64_t operand(hl_dtype d, uint32_t j, uint32_t i, uint32_t round) {
  uint64_t r = mix(i + 1000 * j + 100000 * (uint64_t)round + 7);
  hli_scalar s;
  if (hli_dtype_kind(d) == 'b') return r & 1;
  if (hli_dtype_kind(d) == 'f') {
    if (r % 16 == 0) s.f = r & 256 ? INFINITY : -INFINITY;
    else if (r % 16 == 1) s.f = NAN;
    else if (r % 16 < 9) s.f = hard_floats[(r >> 8) % HLI_COUNT(hard_floats)];
    else if (r % 16 < 13) s.f = ((double)(r >> 11) * 0x1p-53 - 0.5) * 40;
    else return hli_scalar_to_bits(d, hli_scalar_from_bits(d, r >> 3));
    return hli_scalar_to_bits(d, s);
  }
  s.i = r & 1 ? hard_ints[(r >> 8) % HLI_COUNT(hard_ints)] : (int64_t)(r >> 8);
  return hli_scalar_to_bits(d, s);
}

/* ---- one kernel: vectors of 16 and of 64, then scalars ------------------------------------------ */

typedef struct sample { hli_opcode code; hl_dtype in, out; uint32_t operands; hl_dtype types[3]; } sample;

static void body(hli_strbuf *sb, const sample *s, const char *index, int lanes, const char *tag) {
  char shape[16] = "";
  if (lanes) snprintf(shape, sizeof shape, "[%d]", lanes);
  for (uint32_t j = 0; j < s->operands; j++)
    hli_sb_printf(sb, "      %%%s%u = load %%x%u[%s] : %s%s\n", tag, j, j, index, hl_dtype_text(s->types[j]), shape);
  hli_sb_printf(sb, "      %%%sr = %s ", tag, hli_op_facts(s->code)->text);
  for (uint32_t j = 0; j < s->operands; j++)
    hli_sb_printf(sb, "%s%%%s%u", j ? ", " : "", tag, j);
  hli_sb_printf(sb, " : %s%s\n      store %%y[%s], %%%sr\n", hl_dtype_text(s->out), shape, index, tag);
}

static void write_kernel(hli_strbuf *sb, const sample *s) {
  hli_sb_puts(sb, "hl 1 loop\nkernel @k {\n  dim N = 256\n");
  for (uint32_t j = 0; j < s->operands; j++)
    hli_sb_printf(sb, "  param %%x%u : tensor<%s[N]> in strides [1]\n", j, hl_dtype_text(s->types[j]));
  hli_sb_printf(sb, "  param %%y : tensor<%s[N]> out strides [1]\n  grid [1 / 1]\n  body {\n", hl_dtype_text(s->out));
  for (int c = 0; c <= 256; c += c == 0 ? 1 : c == 1 ? 15 : c == 16 ? 48 : 64)
    hli_sb_printf(sb, "    %%n%d = const {value = %d} : i64\n", c, c);
  hli_sb_puts(sb, "    for %n0, %n64, %n16 (%i : i64) {\n");
  body(sb, s, "%i:", 16, "a");
  hli_sb_puts(sb, "      yield\n    }\n    for %n64, %n128, %n64 (%j : i64) {\n");
  body(sb, s, "%j:", 64, "b");
  hli_sb_puts(sb, "      yield\n    }\n    for %n128, %n256, %n1 (%k : i64) {\n");
  body(sb, s, "%k", 0, "c");
  hli_sb_puts(sb, "      yield\n    }\n  }\n}\n");
}

/* ---- judging ---------------------------------------------------------------------------------------- */

/* Distance in steps of the format; 0 for equal bits and NaN against NaN; a zero of the wrong sign is far off. */
static double ulps(hl_dtype d, uint64_t got, uint64_t want) {
  double a = hli_scalar_from_bits(d, got).f, b = hli_scalar_from_bits(d, want).f;
  if (isnan(a) || isnan(b)) return isnan(a) && isnan(b) ? 0 : INFINITY;
  if (got == want) return 0;
  if (a == b) return a == 0 ? 1000 : 0; /* the sign of a zero */
  uint64_t sign = UINT64_C(1) << (8 * hl_dtype_size(d) - 1);
  int64_t x = got & sign ? -(int64_t)(got & ~sign) : (int64_t)got, y = want & sign ? -(int64_t)(want & ~sign) : (int64_t)want;
  return fabs((double)(x - y));
}

/* Largest error in steps.  f16 and bf16 round an f32 result: half a step and a hair. */
static double allowed(const sample *s) {
  bool narrow = hli_dtype_is_narrow(s->in);
  switch (s->code) {
  case HLI_OP_EXP:
  case HLI_OP_EXP2:
  case HLI_OP_LOG:
  case HLI_OP_LOG2: return narrow ? 1 : 2;
  case HLI_OP_TANH:
  case HLI_OP_SIGMOID:
  case HLI_OP_SILU: return narrow ? 1 : 4;
  case HLI_OP_RSQRT: return 2;
  case HLI_OP_EXPM1:
  case HLI_OP_LOG10:
  case HLI_OP_LOG1P:
  case HLI_OP_SIN:
  case HLI_OP_COS:
  case HLI_OP_TAN:
  case HLI_OP_ASIN:
  case HLI_OP_ACOS:
  case HLI_OP_ATAN:
  case HLI_OP_SINH:
  case HLI_OP_COSH:
  case HLI_OP_ASINH:
  case HLI_OP_ACOSH:
  case HLI_OP_ATANH:
  case HLI_OP_ERFC:
  case HLI_OP_ERFINV:
  case HLI_OP_ERF:
  case HLI_OP_GELU_TANH:
  case HLI_OP_GELU_ERF:
  case HLI_OP_SOFTPLUS:
  case HLI_OP_POW:
  case HLI_OP_ATAN2: return narrow ? 1 : 4;
  case HLI_OP_LGAMMA: return narrow ? 1 : s->in == HL_F64 ? 4096 : 4; /* f64: near its zeros; MPFR judges the rest */
  case HLI_OP_FMA: return narrow ? 1 : 0; /* one more rounding, in f32 */
  default: return 0;
  }
}

/* 1 + exp(-x) overflows in f32 before its reciprocal leaves the subnormal numbers: 0 is near enough there. */
static bool vanishes(const sample *s, uint64_t got, uint64_t want) {
  if (s->code != HLI_OP_SIGMOID && s->code != HLI_OP_SILU) return false;
  double least = s->out == HL_F64 ? 0x1p-1000 : 0x1p-118;
  return fabs(hli_scalar_from_bits(s->out, got).f) < least && fabs(hli_scalar_from_bits(s->out, want).f) < least;
}

/* Where the definition itself is loose: the float remainder of huge quotients. */
static bool judged(const sample *s, const uint64_t *in) {
  if (hli_dtype_kind(s->in) != 'f') return true;
  if (s->code == HLI_OP_REM || s->code == HLI_OP_FMOD || s->code == HLI_OP_FLOORDIV || s->code == HLI_OP_TRUNCDIV) {
    double a = hli_scalar_from_bits(s->in, in[0]).f, b = hli_scalar_from_bits(s->in, in[1]).f, q = fabs(a / b);
    return q < 1000 && q > 1e-3 && fabs(q - round(q)) > 1e-2 && fabs(b) > 1e-2 && fabs(a) < 1e4;
  }
  return true;
}

static bool check_round(const host_code *c, const sample *s, uint32_t round) {
  static _Alignas(64) unsigned char x[3][COUNT * 8], y[COUNT * 8];
  const void *block[4];
  uint32_t out_size = hl_dtype_size(s->out);
  for (uint32_t j = 0; j < s->operands; j++) {
    block[j] = x[j];
    for (uint32_t i = 0; i < COUNT; i++) {
      uint64_t bits = operand(s->types[j], j, i, round);
      memcpy(x[j] + i * hl_dtype_size(s->types[j]), &bits, hl_dtype_size(s->types[j]));
    }
  }
  block[s->operands] = y;
  memset(y, 0xaa, sizeof y);
  c->entry(block, 0, 1, c->scratch);
  for (uint32_t i = 0; i < COUNT; i++) {
    uint64_t in[3] = {0}, got = 0;
    hli_scalar args[3] = {{0}, {0}, {0}};
    for (uint32_t j = 0; j < s->operands; j++) {
      in[j] = operand(s->types[j], j, i, round);
      args[j] = hli_scalar_from_bits(s->types[j], in[j]);
    }
    memcpy(&got, y + i * out_size, out_size);
    if (!judged(s, in)) continue;
    uint64_t want = hli_scalar_to_bits(s->out, hli_scalar_eval(s->code, s->in, s->out, args, true));
    double e = hli_dtype_kind(s->out) == 'f' ? ulps(s->out, got, want) : got == want ? 0 : INFINITY;
    if (vanishes(s, got, want)) continue;
    if (e > allowed(s)) {
      print_error("%s on %s to %s, element %u (operands %llx %llx %llx): got %llx, want %llx, %g steps\n", hli_op_facts(s->code)->text,
               hl_dtype_text(s->in), hl_dtype_text(s->out), i, (unsigned long long)in[0], (unsigned long long)in[1], (unsigned long long)in[2],
               (unsigned long long)got, (unsigned long long)want, e);
      return false;
    }
  }
  return true;
}

/* Number of failures: 0 or 1. */
static int check_sample(const sample *s, const char *target) {
  hli_strbuf sb;
  hli_sb_init(&sb, NULL);
  write_kernel(&sb, s);
  host_code c = host_load_text(sb.data, target);
  bool ok = true;
  for (uint32_t round = 0; round < 40 && ok; round++)
    ok = check_round(&c, s, round);
  host_unload(&c);
  hli_sb_free(&sb);
  return !ok;
}

/* Is the op defined on operands of this dtype? */
static bool applies(hli_opcode code, hl_dtype d) {
  const hli_op_info *f = hli_op_facts(code);
  char kind = hli_dtype_kind(d);
  if (code == HLI_OP_TF32) return d == HL_F32;
  if (f->rule == HLI_RULE_FLOAT) return kind == 'f';
  if (code == HLI_OP_PHILOX) return d == HL_U64;
  if (f->rule == HLI_RULE_BITS) return kind != 'f' && !(kind == 'b' && (code == HLI_OP_SHL || code == HLI_OP_SHR));
  if (f->rule == HLI_RULE_SAME) return kind != 'b' && !(kind == 'u' && code == HLI_OP_NEG);
  if (code == HLI_OP_ISNAN || code == HLI_OP_ISINF) return kind == 'f';
  return f->rule == HLI_RULE_PRED || f->rule == HLI_RULE_WHERE;
}

static int check_ops(const char *target) {
  int bad = 0;
  for (hli_opcode code = 1; code < HLI_OP_COUNT; code++) {
    const hli_op_info *f = hli_op_facts(code);
    if (f->family != HLI_FAM_UNARY && f->family != HLI_FAM_BINARY && f->family != HLI_FAM_TERNARY) continue;
    for (hl_dtype d = 1; d < HL_DTYPE_COUNT; d++) {
      if (!applies(code, d)) continue;
      sample s = {.code = code, .in = d, .out = f->rule == HLI_RULE_PRED ? HL_BOOL : d, .operands = f->in_min, .types = {d, d, d}};
      if (code == HLI_OP_WHERE) s.types[0] = HL_BOOL;
      bad += check_sample(&s, target);
    }
  }
  return bad;
}

static int check_casts(const char *target) {
  int bad = 0;
  for (hl_dtype from = 1; from < HL_DTYPE_COUNT; from++)
    for (hl_dtype to = 1; to < HL_DTYPE_COUNT; to++) {
      if (from == to) continue;
      bad += check_sample(&(sample){.code = HLI_OP_CAST, .in = from, .out = to, .operands = 1, .types = {from}}, target);
    }
  return bad;
}

static void test_avx512(void **state) {
  (void)state;
  if (!host_runs("x86-64-v4")) skip();
  assert_int_equal(check_ops("x86-64-v4") + check_casts("x86-64-v4"), 0);
}

static void test_avx2(void **state) {
  (void)state;
  if (!host_runs("x86-64-v3")) skip();
  assert_int_equal(check_ops("x86-64-v3") + check_casts("x86-64-v3"), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_avx512), cmocka_unit_test(test_avx2)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
