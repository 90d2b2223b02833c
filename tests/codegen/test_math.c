/* test_math.c: the floating functions on dense samples, against the C library's in long double: bit patterns, numbers
 * of everyday size, neighbours of 1 and multiples of pi / 2 as near as the format has them.  The errors allowed are in
 * units of the last place.  HL_MATH_STEP=n tries 2^32 / n arguments of each (n = 16384 unless set) and prints what it
 * measured.
 *
 * ctest-timeout: 900
 *
 * SPDX-License-Identifier: MIT */
#include "tests/codegen/host_run.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 4096 /* elements of a run */

typedef long double real;
typedef struct function {
  const char *text;
  real (*one)(real);
  real (*two)(real, real);
  double most[2]; /* ulp: f32, f64 */
} function;

static real reference_gelu_tanh(real x) {
  return x / (1 + expl(-1.595769121605730711759782178L * x * (1 + 0.044715L * x * x)));
}
static real reference_gelu_erf(real x) {
  return 0.5L * x * erfcl(-0.7071067811865475244008443621L * x);
}
static real reference_softplus(real x) {
  return fmaxl(x, 0) + log1pl(expl(-fabsl(x)));
}

static const function functions[] = {
    {"exp", expl, NULL, {2, 2}},
    {"exp2", exp2l, NULL, {2, 2}},
    {"expm1", expm1l, NULL, {2, 2}},
    {"log", logl, NULL, {2, 2}},
    {"log2", log2l, NULL, {2, 2}},
    {"log10", log10l, NULL, {3, 3}},
    {"log1p", log1pl, NULL, {2, 2}},
    {"sin", sinl, NULL, {2, 2}},
    {"cos", cosl, NULL, {2, 2}},
    {"tan", tanl, NULL, {3, 3}},
    {"asin", asinl, NULL, {3, 3}},
    {"acos", acosl, NULL, {3, 3}},
    {"atan", atanl, NULL, {3, 3}},
    {"sinh", sinhl, NULL, {3, 3}},
    {"cosh", coshl, NULL, {3, 3}},
    {"erf", erfl, NULL, {2, 2}},
    {"gelu_tanh", reference_gelu_tanh, NULL, {4, 4}},
    {"gelu_erf", reference_gelu_erf, NULL, {4, 4}},
    {"softplus", reference_softplus, NULL, {4, 4}},
    {"pow", NULL, powl, {2, 2}},
    {"atan2", NULL, atan2l, {3, 3}},
};

static double double_of(uint64_t bits) {
  double d;
  memcpy(&d, &bits, sizeof d);
  return d;
}
static float float_of(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 31)) * UINT64_C(0x9E3779B97F4A7C15);
  x = (x ^ (x >> 29)) * UINT64_C(0xBF58476D1CE4E5B9);
  return x ^ (x >> 32);
}

/* ---- operands ----------------------------------------------------------------------------- */

static const double hard[] = {0.0,       -0.0, 1,     -1,    INFINITY, -INFINITY, NAN,      0.5,     2,
                              3,         -2,   -3,    0.25,  1e-40,    -1e-40,    0x1p-149, 0x1p127, 1e300,
                              0x1p-1074, 2.5,  -0.5,  100,   -100,     22,        355,      0x1p24,  0x1.fffffep127,
                              88.72,     89.2, -87.3, 710.4, -745.1,   -14.1,     -38.4,    0x1p53,  0x1.921fb6p0};

/* Bit patterns; numbers between -20 and 20; near 1; multiples of pi / 2 as near as the format has them. */
static double sample(uint64_t n, bool is_double, uint32_t operand) {
  const uint64_t r = mix(2 * n + operand);
  const double unit = (double)(r >> 12) * 0x1p-52;
  if (operand == 1 ? r % 8 == 0 : n < HLI_COUNT(hard))
    return hard[(operand == 1 ? r >> 8 : n) % HLI_COUNT(hard)];
  switch (mix(n) % 8) {
  case 0:
    return (unit - 0.5) * 40;
  case 1:
    return 1 + (unit - 0.5) * 0x1p-6;
  case 2:
    return (double)(r % 100000) * 1.5707963267948966;
  case 3:
    return ldexp(unit + 0.5, (int)(r % 40) - 36) * (r & 64 ? 1 : -1);
  default:
    return is_double ? double_of(r) : (double)float_of((uint32_t)(r >> 20));
  }
}

/* ---- judging -------------------------------------------------------------------------------- */

/* The error in units of the last place of the true value; infinite where one is NaN, infinite or of the other sign. */
static double error_of(double have, real want, bool is_double) {
  const double rounded = is_double ? (double)want : (double)(float)want;
  if (isnan(rounded) || isnan(have))
    return isnan(rounded) && isnan(have) ? 0 : INFINITY;
  if (have == rounded)
    return signbit(have) == signbit(rounded) ? 0 : INFINITY;
  if (isinf(have) || isinf(rounded)) { /* the last finite number is one step from infinity */
    const double last = is_double ? 0x1.ffffffffffffcp1023 : 0x1.fffff8p127;
    return fabs(have) >= last && fabs(rounded) >= last && signbit(have) == signbit(rounded) ? 1 : INFINITY;
  }
  const int least = is_double ? -1074 : -149, digits = is_double ? 52 : 23;
  const int exponent = rounded == 0 ? least : (int)fmax(ilogb(rounded) - digits, least);
  return (double)(fabsl((real)have - want) / ldexpl(1, exponent));
}

static void write_kernel(hli_strbuf *sb, const function *f, const char *dtype) {
  const char *operands = f->two ? "%a, %b" : "%a";
  hli_sb_printf(sb, "hl 1 loop\nkernel @k {\n  dim N = %d\n", COUNT);
  hli_sb_printf(sb, "  param %%x : tensor<%s[N]> in strides [1]\n  param %%w : tensor<%s[N]> in strides [1]\n", dtype,
                dtype);
  hli_sb_printf(sb, "  param %%y : tensor<%s[N]> out strides [1]\n  grid [1 / 1]\n  body {\n", dtype);
  hli_sb_printf(sb, "    %%n0 = const {value = 0} : i64\n    %%n16 = const {value = 16} : i64\n");
  hli_sb_printf(sb, "    %%n = const {value = %d} : i64\n    for %%n0, %%n, %%n16 (%%i : i64) {\n", COUNT);
  hli_sb_printf(sb, "      %%a = load %%x[%%i:] : %s[16]\n      %%b = load %%w[%%i:] : %s[16]\n", dtype, dtype);
  hli_sb_printf(sb, "      %%r = %s %s : %s[16]\n      store %%y[%%i:], %%r\n      yield\n    }\n  }\n}\n", f->text,
                operands, dtype);
}

static _Alignas(64) double x64[COUNT], w64[COUNT], y64[COUNT];
static _Alignas(64) float x32[COUNT], w32[COUNT], y32[COUNT];

/* The largest error of one run; *at is its element. */
static double run(const host_code *c, const function *f, bool is_double, uint64_t first, uint32_t *at) {
  const void *block[] = {is_double ? (void *)x64 : x32, is_double ? (void *)w64 : w32, is_double ? (void *)y64 : y32};
  double worst = 0;
  for (uint32_t i = 0; i < COUNT; i++) {
    const double x = sample(first + i, is_double, 0), w = sample(first + i, is_double, 1);
    x32[i] = (float)x, w32[i] = (float)w;
    x64[i] = is_double ? x : (double)x32[i], w64[i] = is_double ? w : (double)w32[i];
  }
  c->entry(block, 0, 1, c->scratch);
  for (uint32_t i = 0; i < COUNT; i++) {
    const real want = f->one ? f->one(x64[i]) : f->two(x64[i], w64[i]);
    const double e = error_of(is_double ? y64[i] : (double)y32[i], want, is_double);
    if (e > worst || (isnan(e) && !isnan(worst)))
      worst = e, *at = i;
  }
  return worst;
}

static int check(const function *f, bool is_double, const char *target, uint32_t runs) {
  hli_strbuf sb;
  double worst = 0;
  uint32_t at = 0;
  int bad = 0;
  hli_sb_init(&sb, NULL);
  write_kernel(&sb, f, is_double ? "f64" : "f32");
  host_code c = host_load_text(sb.data, target);
  for (uint32_t r = 0; r < runs && !bad; r++) {
    const double e = run(&c, f, is_double, (uint64_t)r * COUNT, &at);
    worst = fmax(worst, e);
    bad = !(e <= f->most[is_double]);
    if (bad)
      print_error("%s(%a, %a) of %s is %a: %g ulp\n", f->text, x64[at], w64[at], is_double ? "f64" : "f32",
                  is_double ? y64[at] : (double)y32[at], e);
  }
  if (getenv("HL_MATH_STEP"))
    printf("%-10s %s %.2f ulp\n", f->text, is_double ? "f64" : "f32", worst);
  host_unload(&c);
  hli_sb_free(&sb);
  return bad;
}

static void test_dense(void **state) {
  const char *target = *state, *step = getenv("HL_MATH_STEP");
  const uint32_t runs = (uint32_t)(0x100000000u / (COUNT * (uint64_t)(step && atoi(step) > 0 ? atoi(step) : 16384)));
  int bad = 0;
  if (!host_runs(target))
    skip();
  for (uint32_t i = 0; i < HLI_COUNT(functions); i++)
    for (int is_double = 0; is_double < 2; is_double++)
      bad += check(&functions[i], is_double, target, runs);
  assert_int_equal(bad, 0);
}

int main(void) {
  static char wide[] = "x86-64-v4", narrow[] = "x86-64-v3";
  const struct CMUnitTest tests[] = {{"avx512", test_dense, NULL, NULL, wide},
                                     {"avx2", test_dense, NULL, NULL, narrow}};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
