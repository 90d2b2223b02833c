/* test_float.c: the 8-bit floating formats against their definitions: what every code means, and which one is nearest
 * to a number, by looking at all of them.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "src/base/base.h"

typedef struct format {
  hl_dtype dtype;
  int mantissa, bias;
  double largest;
  int infinity;      /* code, 0: none */
  double value[256]; /* what its codes mean, once asked for */
} format;

static format formats[] = {{HL_F8E4M3, 3, 7, 448, 0, {0}},
                           {HL_F8E5M2, 2, 15, 57344, 0x7c, {0}},
                           {HL_F8E4M3FNUZ, 3, 8, 240, 0, {0}},
                           {HL_F8E5M2FNUZ, 2, 16, 57344, 0, {0}},
                           {HL_F8E8M0, 0, 127, 0x1p127, 0, {0}}};

static bool is_nan(const format *f, int code) {
  switch (f->dtype) {
  case HL_F8E4M3:
    return (code & 0x7f) == 0x7f;
  case HL_F8E5M2:
    return (code & 0x7f) > 0x7c;
  case HL_F8E8M0:
    return code == 0xff;
  default:
    return code == 0x80;
  }
}

static double define(const format *f, int code) {
  if (is_nan(f, code))
    return NAN;
  if (f->dtype == HL_F8E8M0)
    return pow(2, code - 127);
  if (f->infinity && (code & 0x7f) == f->infinity)
    return code & 0x80 ? -INFINITY : INFINITY;
  const int units = 1 << f->mantissa, e = (code & 0x7f) / units, m = (code & 0x7f) % units;
  const double size = e ? pow(2, e - f->bias) * (units + m) / units : pow(2, 1 - f->bias) * m / units;
  return code & 0x80 ? -size : size;
}

static double meaning(const format *f, int code) {
  return f->value[code];
}

static int setup(void **state) {
  (void)state;
  for (size_t i = 0; i < HLI_COUNT(formats); i++)
    for (int code = 0; code < 256; code++)
      formats[i].value[code] = define(&formats[i], code);
  return 0;
}

/* The code nearest to x by trying all of them. */
static int nearest(const format *f, double x) {
  const bool scale = f->dtype == HL_F8E8M0;
  if (scale)
    x = fabs(x);
  if (fabs(x) > 2 * f->largest) /* differences of numbers far apart are all alike */
    x = copysign(2 * f->largest, x);
  int best = -1;
  for (int code = 0; code < 256; code++) {
    const double v = meaning(f, code);
    if (isnan(v) || isinf(v) || (!scale && (signbit(v) != 0) != (signbit(x) != 0) && !(x == 0 && v == 0)))
      continue;
    if (x == 0 && v == 0 && signbit(v) != signbit(x) && meaning(f, 0x80) == 0)
      continue;
    const double d = fabs(x - v), least = best < 0 ? INFINITY : fabs(x - meaning(f, best));
    if (best < 0 || d < least || (d == least && (scale || code % 2 == 0)))
      best = code;
  }
  if (best < 0) /* a negative number that vanishes where there is no -0 */
    best = 0;
  if (meaning(f, best) < 0 && f->bias != 127 && isnan(meaning(f, 0x80)) && fabs(x) <= fabs(meaning(f, 0x81)) / 2)
    best = 0;
  return best;
}

static uint64_t narrow(const format *f, double x) {
  return hli_float_narrow(hli_float_format_of(f->dtype), x);
}

static void check(const format *f, double x) {
  const int want = nearest(f, x);
  const uint64_t have = narrow(f, x);
  if (have != (uint64_t)want)
    fail_msg("%s: %a gives %02x, not %02x", hl_dtype_text(f->dtype), x, (unsigned)have, (unsigned)want);
}

static void test_codes(void **state) {
  (void)state;
  for (size_t i = 0; i < HLI_COUNT(formats); i++) {
    const format *f = &formats[i];
    for (int code = 0; code < 256; code++) {
      const double want = meaning(f, code), have = hli_float_widen(hli_float_format_of(f->dtype), (uint64_t)code);
      assert_true(isnan(want) ? isnan(have) : have == want && signbit(have) == signbit(want));
      assert_int_equal(narrow(f, have), code); /* NaNs keep what they have room for */
    }
    assert_true(hli_float_widen(hli_float_format_of(f->dtype), hli_float_largest(hli_float_format_of(f->dtype))) ==
                f->largest);
  }
}

static void test_rounding(void **state) {
  (void)state;
  for (size_t i = 0; i < HLI_COUNT(formats); i++) {
    const format *f = &formats[i];
    for (int code = 0; code < 255; code++) {
      const double a = meaning(f, code), b = meaning(f, code + 1);
      if (isnan(a) || isnan(b) || isinf(a) || isinf(b))
        continue;
      const double middle = (a + b) / 2;
      const double x[] = {a, middle, nextafter(middle, a), nextafter(middle, b), nextafter(a, b), nextafter(b, a)};
      for (size_t j = 0; j < HLI_COUNT(x); j++)
        check(f, x[j]);
    }
    for (uint32_t n = 0; n < 20000; n++) { /* all exponents of f32 */
      const uint32_t bits = n * 214748u + n % 7;
      float x;
      memcpy(&x, &bits, 4);
      if (isfinite(x))
        check(f, (double)x);
    }
    check(f, f->largest * 1.01);
    check(f, -f->largest * 1e30);
    check(f, 1e300);
    check(f, 0x1p-1074);
    check(f, -0x1p-1074);
    check(f, -0.0);
  }
}

static void test_specials(void **state) {
  (void)state;
  static const struct {
    hl_dtype dtype;
    int infinity, minus, nan;
  } want[] = {{HL_F8E4M3, 0x7e, 0xfe, 0x7f},     {HL_F8E5M2, 0x7c, 0xfc, 0x7e},     {HL_F8E4M3FNUZ, 0x7f, 0xff, 0x80},
              {HL_F8E5M2FNUZ, 0x7f, 0xff, 0x80}, {HL_F8E8M0, 0xfe, 0xfe, 0xff}};
  for (size_t i = 0; i < HLI_COUNT(want); i++) {
    const hli_float_format f = hli_float_format_of(want[i].dtype);
    assert_int_equal(hli_float_narrow(f, INFINITY), want[i].infinity);
    assert_int_equal(hli_float_narrow(f, -INFINITY), want[i].minus);
    assert_int_equal(hli_float_narrow(f, fabs((double)NAN)), want[i].nan);
  }
}

static void test_dlpack(void **state) {
  (void)state;
  static const struct {
    hl_dtype dtype;
    const char *text;
    int code;
  } want[] = {{HL_F8E4M3, "f8e4m3", 10},
              {HL_F8E4M3FNUZ, "f8e4m3fnuz", 11},
              {HL_F8E5M2, "f8e5m2", 12},
              {HL_F8E5M2FNUZ, "f8e5m2fnuz", 13},
              {HL_F8E8M0, "f8e8m0", 14}};
  for (size_t i = 0; i < HLI_COUNT(want); i++) {
    assert_int_equal(hl_dtype_to_dl(want[i].dtype).code, want[i].code);
    assert_int_equal(hl_dtype_to_dl(want[i].dtype).bits, 8);
    assert_int_equal(hl_dtype_from_dl((hl_dl_dtype){(uint8_t)want[i].code, 8, 1}), want[i].dtype);
    assert_int_equal(hl_dtype_parse(hli_str(want[i].text)), want[i].dtype);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_codes), cmocka_unit_test(test_rounding),
                                     cmocka_unit_test(test_specials), cmocka_unit_test(test_dlpack)};
  return cmocka_run_group_tests(tests, setup, NULL);
}
