/* test_math.c: the floating functions on dense samples, against MPFR: bit patterns, numbers of everyday size,
 * neighbours of 1 and multiples of pi / 2 as near as the format has them.  The errors allowed are in units of the last
 * place.  HL_MATH_STEP=n tries 2^32 / n arguments of each (n = 262144 unless set) and prints what it measured.
 *
 * ctest-timeout: 900
 *
 * SPDX-License-Identifier: MIT */
#include "tests/codegen/host_run.h"
#include <math.h>
#include <mpfr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 4096 /* elements of a run */
#define DIGITS 160 /* bits of the references */
#define NEAREST MPFR_RNDN

typedef long double real;
typedef struct function {
  const char *text;
  int (*one)(mpfr_t y, const mpfr_t x, mpfr_rnd_t);
  int (*two)(mpfr_t y, const mpfr_t x, const mpfr_t w, mpfr_rnd_t);
  double most[2];     /* ulp: f32, f64 */
  double vanishes[2]; /* a result below this may be 0, or anything below it; f32, f64 */
  double zeros;       /* near a zero at a negative number the error is absolute */
} function;

/* ---- what MPFR does not have ------------------------------------------------------------------ */

/* y = 1 / (1 + e^-x) */
static int reference_sigmoid(mpfr_t y, const mpfr_t x, mpfr_rnd_t r) {
  mpfr_neg(y, x, r);
  mpfr_exp(y, y, r);
  mpfr_add_ui(y, y, 1, r);
  return mpfr_ui_div(y, 1, y, r);
}
/* x / (1 + e^-k) */
static int weighted(mpfr_t y, const mpfr_t x, const mpfr_t k, mpfr_rnd_t r) {
  mpfr_neg(y, k, r);
  mpfr_exp(y, y, r);
  mpfr_add_ui(y, y, 1, r);
  return mpfr_div(y, x, y, r);
}
static int reference_silu(mpfr_t y, const mpfr_t x, mpfr_rnd_t r) {
  return weighted(y, x, x, r);
}
static int reference_gelu_tanh(mpfr_t y, const mpfr_t x, mpfr_rnd_t r) {
  mpfr_t k, c;
  mpfr_inits2(DIGITS, k, c, (mpfr_ptr)0);
  mpfr_const_pi(k, r);
  mpfr_ui_div(k, 8, k, r);
  mpfr_sqrt(k, k, r); /* 2 sqrt(2 / pi) */
  mpfr_set_str(c, "0.044715", 10, r);
  mpfr_mul(c, c, x, r);
  mpfr_mul(c, c, x, r);
  mpfr_add_ui(c, c, 1, r);
  mpfr_mul(c, c, x, r);
  mpfr_mul(k, k, c, r);
  weighted(y, x, k, r);
  mpfr_clears(k, c, (mpfr_ptr)0);
  return 0;
}
static int reference_gelu_erf(mpfr_t y, const mpfr_t x, mpfr_rnd_t r) {
  mpfr_t t;
  mpfr_init2(t, DIGITS);
  mpfr_sqrt_ui(t, 2, r);
  mpfr_div(t, x, t, r);
  mpfr_neg(t, t, r);
  mpfr_erfc(t, t, r);
  mpfr_mul(t, t, x, r);
  mpfr_div_ui(y, t, 2, r);
  mpfr_clear(t);
  return 0;
}
/* max(x, 0) + log(1 + e^-|x|) */
static int reference_softplus(mpfr_t y, const mpfr_t x, mpfr_rnd_t r) {
  mpfr_abs(y, x, r);
  mpfr_neg(y, y, r);
  mpfr_exp(y, y, r);
  mpfr_log1p(y, y, r);
  return mpfr_sgn(x) > 0 ? mpfr_add(y, y, x, r) : 0;
}
/* 1 / sqrt(-0) is -inf, as 1 / -0 is. */
static int reference_rsqrt(mpfr_t y, const mpfr_t x, mpfr_rnd_t r) {
  mpfr_rec_sqrt(y, x, r);
  if (mpfr_zero_p(x))
    mpfr_set_inf(y, mpfr_signbit(x) ? -1 : 1);
  return 0;
}
static int reference_reciprocal(mpfr_t y, const mpfr_t x, mpfr_rnd_t r) {
  return mpfr_ui_div(y, 1, x, r);
}
static int reference_lgamma(mpfr_t y, const mpfr_t x, mpfr_rnd_t r) {
  int sign;
  return mpfr_lgamma(y, &sign, x, r);
}
/* Newton's steps from what asymptotics give; each doubles the digits. */
static int reference_erfinv(mpfr_t y, const mpfr_t x, mpfr_rnd_t r) {
  const double a = fabs(mpfr_get_d(x, r)), l = log1p(-a) + log1p(a), t = l / 2 + 2 / (3.14159265358979 * 0.147);
  const double guess = sqrt(-l / 0.147 / (sqrt(t * t - l / 0.147) + t));
  mpfr_t e, f;
  if (!(a < 1) || a < 1e-30) { /* sqrt(pi) / 2 x near 0 */
    mpfr_const_pi(y, r);
    mpfr_sqrt(y, y, r);
    mpfr_mul(y, y, x, r);
    mpfr_div_ui(y, y, 2, r);
    if (a == 1)
      mpfr_set_inf(y, mpfr_sgn(x));
    else if (!(a < 1))
      mpfr_set_nan(y);
    return 0;
  }
  mpfr_inits2(DIGITS, e, f, (mpfr_ptr)0);
  mpfr_set_d(y, mpfr_sgn(x) < 0 ? -guess : guess, r);
  for (int i = 0; i < 6; i++) { /* y -= (erf(y) - x) sqrt(pi) / 2 e^(y^2) */
    mpfr_erf(e, y, r);
    mpfr_sub(e, e, x, r);
    mpfr_sqr(f, y, r);
    mpfr_exp(f, f, r);
    mpfr_mul(e, e, f, r);
    mpfr_const_pi(f, r);
    mpfr_sqrt(f, f, r);
    mpfr_mul(e, e, f, r);
    mpfr_div_ui(e, e, 2, r);
    mpfr_sub(y, y, e, r);
  }
  mpfr_clears(e, f, (mpfr_ptr)0);
  return 0;
}

#define F32_VANISHES 0x1p-118
#define F64_VANISHES 0x1p-1000

static const function functions[] = {
    {.text = "exp", .one = mpfr_exp, .most = {2, 2}},
    {.text = "exp2", .one = mpfr_exp2, .most = {2, 2}},
    {.text = "expm1", .one = mpfr_expm1, .most = {2, 2}},
    {.text = "log", .one = mpfr_log, .most = {2, 2}},
    {.text = "log2", .one = mpfr_log2, .most = {2, 2}},
    {.text = "log10", .one = mpfr_log10, .most = {3, 3}},
    {.text = "log1p", .one = mpfr_log1p, .most = {2, 2}},
    {.text = "sqrt", .one = mpfr_sqrt, .most = {0.5, 0.5}},
    {.text = "rsqrt", .one = reference_rsqrt, .most = {2, 2}},
    {.text = "reciprocal", .one = reference_reciprocal, .most = {0.5, 0.5}},
    {.text = "sin", .one = mpfr_sin, .most = {2, 2}},
    {.text = "cos", .one = mpfr_cos, .most = {2, 2}},
    {.text = "tan", .one = mpfr_tan, .most = {3, 3}},
    {.text = "asin", .one = mpfr_asin, .most = {3, 3}},
    {.text = "acos", .one = mpfr_acos, .most = {3, 3}},
    {.text = "atan", .one = mpfr_atan, .most = {3, 3}},
    {.text = "sinh", .one = mpfr_sinh, .most = {3, 3}},
    {.text = "cosh", .one = mpfr_cosh, .most = {3, 3}},
    {.text = "tanh", .one = mpfr_tanh, .most = {3, 3}},
    {.text = "asinh", .one = mpfr_asinh, .most = {3, 3}},
    {.text = "acosh", .one = mpfr_acosh, .most = {3, 3}},
    {.text = "atanh", .one = mpfr_atanh, .most = {3, 3}},
    {.text = "erf", .one = mpfr_erf, .most = {2, 2}},
    {.text = "erfc", .one = mpfr_erfc, .most = {4, 4}},
    {.text = "erfinv", .one = reference_erfinv, .most = {4, 4}},
    {.text = "lgamma", .one = reference_lgamma, .most = {1, 8}, .zeros = 0x1p-46},
    {.text = "sigmoid", .one = reference_sigmoid, .most = {4, 4}, .vanishes = {F32_VANISHES, F64_VANISHES}},
    {.text = "silu", .one = reference_silu, .most = {4, 4}, .vanishes = {F32_VANISHES, F64_VANISHES}},
    {.text = "gelu_tanh", .one = reference_gelu_tanh, .most = {4, 4}},
    {.text = "gelu_erf", .one = reference_gelu_erf, .most = {4, 4}},
    {.text = "softplus", .one = reference_softplus, .most = {4, 4}},
    {.text = "pow", .two = mpfr_pow, .most = {2, 2}},
    {.text = "atan2", .two = mpfr_atan2, .most = {3, 3}},
};

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
    return is_double ? hli_double_of(r) : (double)float_of((uint32_t)(r >> 20));
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

static double judge(const function *f, double have, double x, double w, bool is_double) {
  mpfr_t y, a, b;
  mpfr_inits2(DIGITS, y, a, b, (mpfr_ptr)0);
  mpfr_set_d(a, x, NEAREST);
  mpfr_set_d(b, w, NEAREST);
  if (f->one)
    f->one(y, a, NEAREST);
  else
    f->two(y, a, b, NEAREST);
  const real want = mpfr_get_ld(y, NEAREST);
  mpfr_clears(y, a, b, (mpfr_ptr)0);
  if (fabs(have) < f->vanishes[is_double] && fabsl(want) < (real)f->vanishes[is_double])
    return 0;
  if (f->zeros > 0 && x < 0 && fabsl((real)have - want) < (real)f->zeros)
    return 0;
  return error_of(have, want, is_double);
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
    const double e = judge(f, is_double ? y64[i] : (double)y32[i], x64[i], w64[i], is_double);
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
  const uint32_t runs = (uint32_t)(0x100000000u / (COUNT * (uint64_t)(step && atoi(step) > 0 ? atoi(step) : 262144)));
  int bad = 0;
  if (!host_runs(target))
    skip();
  for (uint32_t i = 0; i < HLI_COUNT(functions); i++)
    for (int is_double = 0; is_double < 2; is_double++)
      bad += check(&functions[i], is_double, target, runs);
  mpfr_free_cache();
  assert_int_equal(bad, 0);
}

int main(void) {
  static char wide[] = "x86-64-v4", narrow[] = "x86-64-v3";
  const struct CMUnitTest tests[] = {{"avx512", test_dense, NULL, NULL, wide},
                                     {"avx2", test_dense, NULL, NULL, narrow}};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
