/* text.c: symbols, words and numbers of the text form.
 *
 * Numbers never pass through the locale: hexadecimal floats are written and read here digit by digit, and decimal
 * ones reach strtod without a decimal point.  SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include "src/ir/text.h"

/* ---- symbols --------------------------------------------------------------------------- */

static uint32_t slot_of(const hli_symbols *s, hl_str name) {
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < name.len; i++)
    hash = (hash ^ (unsigned char)name.ptr[i]) * 16777619u;
  uint32_t slot = hash & (s->cap - 1);
  while (s->slots[slot].name.ptr && !hli_str_eq(s->slots[slot].name, name))
    slot = (slot + 1) & (s->cap - 1);
  return slot;
}

hli_symbol *hli_symbols_find(const hli_symbols *s, hl_str name) {
  if (!s->cap)
    return NULL;
  hli_symbol *symbol = &s->slots[slot_of(s, name)];
  return symbol->name.ptr ? symbol : NULL;
}

static bool grow(hli_symbols *s) {
  hli_symbols bigger = {.alloc = s->alloc, .cap = s->cap ? s->cap * 2 : 64, .len = s->len};
  bigger.slots = hli_calloc(s->alloc, bigger.cap, sizeof *bigger.slots);
  if (!bigger.slots)
    return false;
  for (uint32_t i = 0; i < s->cap; i++)
    if (s->slots[i].name.ptr)
      bigger.slots[slot_of(&bigger, s->slots[i].name)] = s->slots[i];
  hli_release(s->alloc, s->slots, (size_t)s->cap * sizeof *s->slots);
  *s = bigger;
  return true;
}

hli_symbol *hli_symbols_add(hli_symbols *s, hl_str name, uint32_t value) {
  if (s->len >= s->cap / 2 && !grow(s))
    return NULL;
  hli_symbol *symbol = &s->slots[slot_of(s, name)];
  *symbol = (hli_symbol){.name = name, .value = value};
  s->len++;
  return symbol;
}

void hli_symbols_free(hli_symbols *s) {
  hli_release(s->alloc, s->slots, (size_t)s->cap * sizeof *s->slots);
  *s = (hli_symbols){.alloc = s->alloc};
}

/* ---- words -------------------------------------------------------------------------------- */

bool hli_is_name(const char *s) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  size_t len = strlen(s);
  return len && len < HLI_TEXT_NAME && strspn(s, letters) == len && !(s[0] >= '0' && s[0] <= '9');
}

const char *hli_stage_text(uint8_t stage) {
  return stage == HLI_STAGE_TILE ? "tile" : stage == HLI_STAGE_LOOP ? "loop" : "lane";
}

const char *hli_dist_text(hl_dist dist) {
  static const char *const texts[] = {"normal", "uniform", "integer", "constant"};
  return (unsigned)dist < HLI_COUNT(texts) ? texts[dist] : "normal";
}

hl_arg_spec hli_default_spec(hl_dtype dtype) {
  if (hli_dtype_kind(dtype) == 'f')
    return (hl_arg_spec){HL_DIST_NORMAL, 0, 1, false};
  return (hl_arg_spec){HL_DIST_INTEGER, 0, dtype == HL_BOOL ? 1 : 7, false};
}

static bool same_double(double a, double b) { return a == b ? signbit(a) == signbit(b) : isnan(a) && isnan(b); }

bool hli_spec_equal(const hl_arg_spec *a, const hl_arg_spec *b) {
  return a->dist == b->dist && same_double(a->a, b->a) && same_double(a->b, b->b) && a->sorted == b->sorted;
}

int hli_attr_by_kind(hli_opcode code, char kind) {
  hli_attr_info info;
  for (uint32_t i = 0; hli_attr_spec(code, i, &info); i++)
    if (info.kind == kind)
      return (int)i;
  return -1;
}

int hli_attr_by_name(hli_opcode code, hl_str name) {
  hli_attr_info info;
  for (uint32_t i = 0; hli_attr_spec(code, i, &info); i++)
    if (hli_str_eq(info.name, name))
      return (int)i;
  return -1;
}

bool hli_attr_is_inline(hli_opcode code, uint32_t i) {
  hli_attr_info info;
  if (!hli_attr_spec(code, i, &info))
    return false;
  return info.kind == 'x' || (hli_op_facts(code)->family == HLI_FAM_ACCESS && hli_str_eqz(info.name, "flags"));
}

/* ---- writing numbers -------------------------------------------------------------------------- */

void hli_print_double(double x, hli_strbuf *out) {
  static const char hex[] = "0123456789abcdef";
  if (isnan(x)) {
    hli_sb_puts(out, "nan");
    return;
  }
  if (signbit(x))
    hli_sb_puts(out, "-");
  x = fabs(x);
  if (isinf(x) || x == 0) {
    hli_sb_puts(out, x == 0 ? "0x0p+0" : "inf");
    return;
  }
  int exponent;
  double half = frexp(x, &exponent); /* in [1/2, 1) */
  const uint64_t mask = (1ull << 52) - 1;
  uint64_t fraction = (uint64_t)ldexp(half, 53) & mask; /* behind the leading 1 */
  hli_sb_puts(out, "0x1");
  if (fraction)
    hli_sb_puts(out, ".");
  for (; fraction; fraction = (fraction << 4) & mask)
    hli_sb_put(out, &hex[fraction >> 48], 1);
  hli_sb_printf(out, "p%+d", exponent - 1);
}

void hli_print_constant(hl_dtype dtype, uint64_t bits, hli_strbuf *out) {
  hli_scalar s = hli_scalar_from_bits(dtype, bits);
  switch (hli_dtype_kind(dtype)) {
  case 'b': hli_sb_puts(out, s.i ? "true" : "false"); return;
  case 'i': hli_sb_printf(out, "%lld", (long long)s.i); return;
  case 'u': hli_sb_printf(out, "%llu", (unsigned long long)s.u); return;
  case 'f': break;
  default: hli_sb_puts(out, "?"); return;
  }
  bits &= UINT64_MAX >> (64 - 8 * hl_dtype_size(dtype));
  if (isnan(s.f) && bits != hli_float_nan(hli_float_format_of(dtype)))
    hli_sb_printf(out, "nan(0x%llx)", (unsigned long long)bits);
  else
    hli_print_double(s.f, out);
}

/* ---- reading numbers ------------------------------------------------------------------------------ */

static int digit_of(char c, int base) {
  int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
  return d < base ? d : -1;
}

static bool take_sign(hl_str *text) {
  if (!text->len || text->ptr[0] != '-')
    return false;
  text->ptr++, text->len--;
  return true;
}

/* Decimal, or hexadecimal behind 0x. */
static const char *read_u64(hl_str text, uint64_t *out) {
  int base = 10;
  *out = 0;
  if (text.len > 2 && text.ptr[0] == '0' && text.ptr[1] == 'x') {
    base = 16;
    text.ptr += 2, text.len -= 2;
  }
  if (!text.len)
    return "is not an integer";
  for (size_t i = 0; i < text.len; i++) {
    int d = digit_of(text.ptr[i], base);
    if (d < 0)
      return "is not an integer";
    if (__builtin_mul_overflow(*out, (uint64_t)base, out) || __builtin_add_overflow(*out, (uint64_t)d, out))
      return "does not fit into 64 bits";
  }
  return NULL;
}

const char *hli_read_i64(hl_str text, int64_t *out) {
  uint64_t u;
  bool negative = take_sign(&text);
  const char *why = read_u64(text, &u);
  if (why)
    return why;
  if (u > (uint64_t)INT64_MAX + negative)
    return "does not fit into a signed 64-bit integer";
  *out = (int64_t)(negative ? 0 - u : u);
  return NULL;
}

/* The exponent behind p or e; huge ones are clamped, they over- or underflow anyway. */
static const char *read_exponent(hl_str text, int *out) {
  bool negative = false;
  if (text.len && (text.ptr[0] == '+' || text.ptr[0] == '-')) {
    negative = text.ptr[0] == '-';
    text.ptr++, text.len--;
  }
  if (!text.len)
    return "has an exponent without digits";
  int e = 0;
  for (size_t i = 0; i < text.len; i++) {
    int d = digit_of(text.ptr[i], 10);
    if (d < 0)
      return "is not a number";
    e = HLI_MIN(e * 10 + d, 100000);
  }
  *out = negative ? -e : e;
  return NULL;
}

/* Behind 0x: digits[.digits]p[+-]digits. */
static const char *read_hex(hl_str text, double *out) {
  uint64_t digits = 0;
  int scale = 0, exponent = 0;
  bool point = false, any = false;
  size_t i = 0;
  for (; i < text.len && text.ptr[i] != 'p'; i++) {
    int d = digit_of(text.ptr[i], 16);
    if (text.ptr[i] == '.' && !point) {
      point = true;
      continue;
    }
    if (d < 0)
      return "is not a hexadecimal number";
    if (digits >> 60)
      return "has more hexadecimal digits than an f64 holds";
    digits = digits << 4 | (uint64_t)d;
    scale -= point ? 4 : 0;
    any = true;
  }
  if (!any || i == text.len)
    return "is not a hexadecimal float: write 0x1.8p+1";
  const char *why = read_exponent((hl_str){text.ptr + i + 1, text.len - i - 1}, &exponent);
  if (why)
    return why;
  if (digits && digits >> 53) { /* only zeros may stick out below 53 bits */
    int zeros = __builtin_ctzll(digits);
    digits >>= zeros;
    scale += zeros;
    if (digits >> 53)
      return "has more digits than an f64 holds";
  }
  *out = ldexp((double)digits, scale + exponent);
  if (isinf(*out) || (digits && ldexp(*out, -(scale + exponent)) != (double)digits))
    return "lies outside the range of an f64";
  return NULL;
}

/* strtod sees "15e-4" for 1.5e-3, so that the locale's decimal point does not matter. */
static const char *read_decimal(hl_str text, double *out) {
  char buffer[64];
  size_t n = 0, i = 0;
  int exponent = 0, fraction = 0;
  bool point = false;
  for (; i < text.len && text.ptr[i] != 'e' && text.ptr[i] != 'E'; i++) {
    if (text.ptr[i] == '.' && !point) {
      point = true;
      continue;
    }
    if (digit_of(text.ptr[i], 10) < 0)
      return "is not a number";
    if (n >= 40)
      return "has more than 40 digits: write it as a hexadecimal float";
    buffer[n++] = text.ptr[i];
    fraction += point;
  }
  if (!n)
    return "is not a number";
  const char *why = i < text.len ? read_exponent((hl_str){text.ptr + i + 1, text.len - i - 1}, &exponent) : NULL;
  if (why)
    return why;
  exponent -= fraction;
  buffer[n++] = 'e';
  if (exponent < 0)
    buffer[n++] = '-';
  char reversed[12];
  size_t m = 0;
  for (unsigned e = (unsigned)abs(exponent); e || !m; e /= 10)
    reversed[m++] = (char)('0' + e % 10);
  while (m)
    buffer[n++] = reversed[--m];
  buffer[n] = '\0';
  *out = strtod(buffer, NULL);
  return isinf(*out) ? "lies outside the range of an f64" : NULL;
}

const char *hli_read_double(hl_str text, double *out, bool *exact) {
  bool negative = take_sign(&text);
  const char *why = NULL;
  *exact = true;
  if (hli_str_eqz(text, "inf")) {
    *out = INFINITY;
  } else if (hli_str_eqz(text, "nan") && !negative) {
    *out = NAN;
  } else if (text.len > 2 && text.ptr[0] == '0' && text.ptr[1] == 'x') {
    why = read_hex((hl_str){text.ptr + 2, text.len - 2}, out);
  } else {
    *exact = false;
    why = read_decimal(text, out);
  }
  if (!why && negative)
    *out = -*out;
  return why;
}

static const char *read_nan(hl_dtype dtype, hl_str text, uint64_t *bits) {
  uint64_t u;
  if (text.len < 6 || text.ptr[text.len - 1] != ')' || read_u64((hl_str){text.ptr + 4, text.len - 5}, &u))
    return "is not a NaN: write nan or nan(0x7fc00001), the raw bits";
  hli_scalar s = hli_scalar_from_bits(dtype, u);
  uint32_t width = 8 * hl_dtype_size(dtype);
  if ((width < 64 && u >> width) || !isnan(s.f))
    return "does not hold the raw bits of a NaN of this type";
  *bits = u;
  return NULL;
}

static const char *read_float(hl_dtype dtype, hl_str text, uint64_t *bits) {
  hli_scalar s = {.f = 0};
  bool exact;
  if (text.len > 4 && memcmp(text.ptr, "nan(", 4) == 0)
    return read_nan(dtype, text, bits);
  const char *why = hli_read_double(text, &s.f, &exact);
  if (why)
    return why;
  if (isnan(s.f)) {
    *bits = hli_float_nan(hli_float_format_of(dtype));
    return NULL;
  }
  *bits = hli_scalar_to_bits(dtype, s);
  double back = hli_scalar_from_bits(dtype, *bits).f;
  if (exact && !same_double(back, s.f))
    return "cannot be represented exactly in this type: hexadecimal floats are exact, decimal ones are rounded";
  const hli_float_format f = hli_float_format_of(dtype);
  const bool saturates = f.special != HLI_FLOAT_IEEE && fabs(s.f) > hli_float_widen(f, hli_float_largest(f));
  const bool lost_sign = f.special == HLI_FLOAT_SCALE && signbit(s.f);
  return ((isinf(back) || saturates) && !isinf(s.f)) || lost_sign ? "lies outside the range of this type" : NULL;
}

const char *hli_read_constant(hl_dtype dtype, hl_str text, uint64_t *bits) {
  char kind = hli_dtype_kind(dtype);
  if (kind == 'f')
    return read_float(dtype, text, bits);
  if (kind == 'b') {
    *bits = hli_str_eqz(text, "true");
    return *bits || hli_str_eqz(text, "false") ? NULL : "is neither true nor false";
  }
  hli_scalar s = {.u = 0};
  const char *why = kind == 'u' ? read_u64(text, &s.u) : hli_read_i64(text, &s.i);
  if (why)
    return kind == 'u' && text.len && text.ptr[0] == '-' ? "is negative, but the type is unsigned" : why;
  *bits = hli_scalar_to_bits(dtype, s);
  hli_scalar back = hli_scalar_from_bits(dtype, *bits);
  return back.u == s.u ? NULL : "lies outside the range of this type";
}
