/* test_f8.c: the CPU's conversions of 8-bit floats: all codes to f32, and to all codes from f32 at and around every
 * rounding boundary, over all exponents and for what is no number, against the definition in src/base/float.c (which
 * the unit tests hold against the formats).  By vectors of 16 and as scalars.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/codegen/host_run.h"

#define COUNT 4096

static const hl_dtype formats[] = {HL_F8E4M3, HL_F8E5M2, HL_F8E4M3FNUZ, HL_F8E5M2FNUZ, HL_F8E8M0};

static void write_kernel(hli_strbuf *sb, const char *from, const char *to) {
  hli_sb_printf(sb, "hl 1 loop\nkernel @k {\n  dim N = %d\n", COUNT);
  hli_sb_printf(sb, "  param %%x : tensor<%s[N]> in strides [1]\n  param %%y : tensor<%s[N]> out strides [1]\n", from,
                to);
  hli_sb_printf(sb, "  param %%z : tensor<%s[N]> out strides [1]\n  grid [1 / 1]\n  body {\n", to);
  hli_sb_printf(sb, "    %%n0 = const {value = 0} : i64\n    %%n1 = const {value = 1} : i64\n");
  hli_sb_printf(sb, "    %%n16 = const {value = 16} : i64\n    %%n = const {value = %d} : i64\n", COUNT);
  hli_sb_printf(sb, "    for %%n0, %%n, %%n16 (%%i : i64) {\n      %%a = load %%x[%%i:] : %s[16]\n", from);
  hli_sb_printf(sb, "      %%b = cast %%a : %s[16]\n      store %%y[%%i:], %%b\n      yield\n    }\n", to);
  hli_sb_printf(sb, "    for %%n0, %%n, %%n1 (%%j : i64) {\n      %%c = load %%x[%%j] : %s\n", from);
  hli_sb_printf(sb, "      %%d = cast %%c : %s\n      store %%z[%%j], %%d\n      yield\n    }\n  }\n}\n", to);
}

static void to_f32(hl_dtype dtype, const char *target) {
  static _Alignas(64) uint8_t x[COUNT];
  static _Alignas(64) float y[COUNT], z[COUNT];
  const void *block[] = {x, y, z};
  hli_strbuf sb;
  hli_sb_init(&sb, NULL);
  write_kernel(&sb, hl_dtype_text(dtype), "f32");
  host_code c = host_load_text(sb.data, target);
  for (uint32_t i = 0; i < COUNT; i++)
    x[i] = (uint8_t)i;
  c.entry(block, 0, 1, c.scratch);
  for (uint32_t i = 0; i < COUNT; i++) {
    const double want = hli_float_widen(hli_float_format_of(dtype), x[i]);
    for (int j = 0; j < 2; j++) {
      const double have = (double)(j ? z : y)[i];
      if (isnan(want) ? !isnan(have) : have != want || signbit(have) != signbit(want))
        fail_msg("%s %02x is %a, not %a", hl_dtype_text(dtype), x[i], have, want);
    }
  }
  host_unload(&c);
  hli_sb_free(&sb);
}

/* Number n of the arguments: around the boundaries, then patterns with all upper halves. */
static float argument(hl_dtype dtype, uint32_t n) {
  const hli_float_format f = hli_float_format_of(dtype);
  if (n < 256 * 8) {
    const double a = hli_float_widen(f, n / 8), b = hli_float_widen(f, (n / 8 + 1) & 255);
    const float middle = (float)(a / 2 + b / 2);
    const float x[8] = {(float)a, middle, nextafterf(middle, -INFINITY), nextafterf(middle, INFINITY),
                        nextafterf((float)a, INFINITY), nextafterf((float)a, -INFINITY), INFINITY, -INFINITY};
    return x[n % 8];
  }
  const uint32_t m = n - 256 * 8, low[] = {0, 1, 0x8000, 0xffff}, bits = m / 4 << 16 | low[m % 4];
  float r;
  memcpy(&r, &bits, 4);
  return r;
}

static void from_f32(hl_dtype dtype, const char *target) {
  static _Alignas(64) float x[COUNT];
  static _Alignas(64) uint8_t y[COUNT], z[COUNT];
  const void *block[] = {x, y, z};
  const hli_float_format f = hli_float_format_of(dtype);
  hli_strbuf sb;
  hli_sb_init(&sb, NULL);
  write_kernel(&sb, "f32", hl_dtype_text(dtype));
  host_code c = host_load_text(sb.data, target);
  for (uint32_t first = 0; first < 256 * 8 + (4u << 16); first += COUNT) {
    for (uint32_t i = 0; i < COUNT; i++)
      x[i] = argument(dtype, first + i);
    c.entry(block, 0, 1, c.scratch);
    for (uint32_t i = 0; i < COUNT; i++) {
      const uint64_t want = isnan(x[i]) ? hli_float_nan(f) : hli_float_narrow(f, (double)x[i]);
      if (y[i] != want || z[i] != want)
        fail_msg("%a as %s is %02x and %02x, not %02x", (double)x[i], hl_dtype_text(dtype), y[i], z[i], (unsigned)want);
    }
  }
  host_unload(&c);
  hli_sb_free(&sb);
}

static void test_all(void **state) {
  if (!host_runs(*state))
    skip();
  for (size_t i = 0; i < HLI_COUNT(formats); i++) {
    to_f32(formats[i], *state);
    from_f32(formats[i], *state);
  }
}

int main(void) {
  static char wide[] = "x86-64-v4", narrow[] = "x86-64-v3";
  const struct CMUnitTest tests[] = {{"avx512", test_all, NULL, NULL, wide}, {"avx2", test_all, NULL, NULL, narrow}};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
