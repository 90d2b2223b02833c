/* test_text.c: the text form: goldens print to themselves, errors have the expected words and places, and what a
 * text may vary (order, spacing, comments, decimal numbers) does not change the kernel.
 *
 * tests/ir/roundtrip: canonical texts.  tests/ir/errors: texts with '# expect: line:column: message' as the first line
 * (column 0: the verifier's).  HL_BLESS=1 rewrites the expectations.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include "tests/ir/files.h"

/* ---- goldens --------------------------------------------------------------------------- */

static void round_trip(const char *path, const char *name) {
  size_t len;
  char *text = test_read(path, &len);
  hl_kernel *k = test_parse(text, len, name);
  char *printed = test_print(k);
  if (test_bless())
    test_write(path, printed, strlen(printed));
  else if (strcmp(text, printed) != 0)
    fail_msg("%s prints differently:\n%s", name, printed);
  hl_kernel *again = test_parse(printed, strlen(printed), name);
  char *twice = test_print(again);
  assert_string_equal(printed, twice);
  hl_kernel *clone = hli_kernel_clone(again);
  char *thrice = test_print(clone);
  assert_string_equal(printed, thrice);
  hl_kernel_destroy(clone);
  hl_kernel_destroy(again);
  hl_kernel_destroy(k);
  free(thrice);
  free(twice);
  free(printed);
  free(text);
}

static void test_round_trip(void **state) {
  (void)state;
  assert_true(test_each("roundtrip", round_trip) >= 5);
}

static void expect_error(const char *path, const char *name) {
  static const char mark[] = "# expect: ";
  size_t len;
  char *text = test_read(path, &len), want[2048], have[2048];
  hl_diag d = {0};
  hl_kernel *k = NULL;
  hl_status s = hli_parse(NULL, (hl_str){text, len}, name, &d, &k);
  if (s == HL_OK || k) fail_msg("%s parses, but should not", name);
  if (s != d.status || strcmp(d.file, name) != 0) fail_msg("%s: the diagnostic is incomplete", name);
  (void)snprintf(have, sizeof have, "%s%u:%u: %s", mark, d.line, d.column, d.message);
  const char *end = strchr(text, '\n');
  assert_non_null(end);
  (void)snprintf(want, sizeof want, "%.*s", (int)(end - text), text);
  if (test_bless()) {
    char *out = malloc(len + sizeof have);
    assert_non_null(out);
    int n = snprintf(out, len + sizeof have, "%s%s", have, end);
    test_write(path, out, (size_t)n);
    free(out);
  } else if (strcmp(want, have) != 0) {
    fail_msg("%s\nwants %s\n  has %s", name, want, have);
  }
  free(text);
}

static void test_errors(void **state) {
  (void)state;
  assert_true(test_each("errors", expect_error) >= 60);
}

/* ---- what may vary --------------------------------------------------------------------------- */

static const char canonical[] = "hl 1 tile\n"
                                "kernel @k {\n"
                                "  dim M = 16\n"
                                "  param %x : tensor<f32[M]> inout\n"
                                "  axis $i tile over M\n"
                                "  body {\n"
                                "    %0 = const {value = 0} : i64\n"
                                "    %1 = size %x {dim = 0} : i64\n"
                                "    tile %0, %1 {axes = [$i]} (%2 : tile<$i>) {\n"
                                "      %3 = load %x[%2] : f32[$i]\n"
                                "      %4 = const {value = 0x1.8p+0} : f32\n"
                                "      %5 = broadcast %4 {dims = []} : f32[$i]\n"
                                "      %6 = mul %3, %5 : f32[$i]\n"
                                "      store %x[%2], %6\n"
                                "      yield\n"
                                "    }\n"
                                "  }\n"
                                "}\n";

static void expect_canonical(const char *text) {
  hl_kernel *k = test_parse(text, strlen(text), "text");
  char *printed = test_print(k);
  assert_string_equal(printed, canonical);
  free(printed);
  hl_kernel_destroy(k);
}

static void test_variations(void **state) {
  (void)state;
  expect_canonical(canonical);
  expect_canonical("# a comment\r\n\n  # another\nhl 1 tile\r\nkernel @k {\n"
                   "dim M = 0x10\n"
                   "axis $i tile over M\n\n"
                   "param %x:tensor<f32[M]>inout\n"
                   "body {\n"
                   "%7 = const{value=0}:i64\n"
                   "  # within\n"
                   "%3=size %x{dim=0}:i64\n"
                   "\ttile %7,%3{axes=[$i]}(%2:tile<$i>){\n"
                   "%30 = load %x[%2] {check = []} : f32[$i]\n"
                   "%4 = const {value = 1.5} : f32\n"
                   "%5 = broadcast %4 {dims = []} : f32[$i]\n"
                   "%6 = mul %30, %5 : f32[$i]\n"
                   "store %x[%2], %6\nyield\n}\n}\n}");
}

static double constant_of(const char *number, const char *dtype) {
  char text[512];
  (void)snprintf(text, sizeof text,
                 "hl 1 loop\nkernel @k {\n  grid [1 / 1]\n  body {\n    %%c = const {value = %s} : %s\n  }\n}\n", number,
                 dtype);
  hl_kernel *k = test_parse(text, strlen(text), "constant");
  hli_scalar s = {.f = 0};
  assert_true(hli_const_value(k, hli_result(k, hli_first(k, k->body), 0), &s));
  char *printed = test_print(k);
  hl_kernel *again = test_parse(printed, strlen(printed), "constant");
  hli_scalar t = {.f = 0};
  assert_true(hli_const_value(again, hli_result(again, hli_first(again, again->body), 0), &t));
  assert_memory_equal(&s, &t, sizeof s);
  free(printed);
  hl_kernel_destroy(again);
  hl_kernel_destroy(k);
  return s.f;
}

static void test_numbers(void **state) {
  (void)state;
  assert_true(constant_of("1.5", "f64") == 1.5);
  assert_true(constant_of("1e-5", "f64") == 1e-5);
  assert_true(constant_of("-12.25e+2", "f64") == -1225.0);
  assert_true(constant_of("4.9e-324", "f64") == 4.9e-324);
  assert_true(constant_of("1.7976931348623157e308", "f64") == 1.7976931348623157e308);
  assert_true(constant_of("0.1", "f32") == (double)0.1f);
  assert_true(constant_of("65504", "f16") == 65504.0);
  assert_true(constant_of("0x.8p1", "f64") == 1.0);
  assert_true(constant_of("0x1p-1074", "f64") == 0x1p-1074);
  assert_true(constant_of("0x0.0000000000001p-1022", "f64") == 0x1p-1074);
}

/* ---- names -------------------------------------------------------------------------------------- */

/* Names that collide or are no names become unique ones, and stay what they are from then on. */
static void test_names(void **state) {
  (void)state;
  static const char *const given[] = {"x", "x", "x_1", "x", "5", "a b", "", "", "a%b", "a_b"};
  static const char *const want[] = {"x", "x_1", "x_1_1", "x_2", "_5", "a_b", "0", "1", "a_b_1", "a_b_2"};
  hl_kernel *k = hli_kernel_create(NULL, hli_str("names"), HLI_STAGE_LOOP);
  assert_non_null(k);
  k->scheduled = true;
  assert_true(hli_vec_push(k->alloc, &k->grid, ((hli_grid_axis){.constant = 1, .block = 1})));
  hli_cursor c = {.k = k, .block = k->body};
  for (uint32_t i = 0; i < HLI_COUNT(given); i++) hli_value_set_name(k, hli_make_i64(&c, i), given[i]);
  char *text = test_print(k);
  const char *at = text;
  for (uint32_t i = 0; i < HLI_COUNT(want); i++) {
    char line[64];
    (void)snprintf(line, sizeof line, "    %%%s = const {value = %u}", want[i], i);
    at = strstr(at, line);
    if (!at) fail_msg("'%s' is not in\n%s", line, text);
  }
  hl_kernel *again = test_parse(text, strlen(text), "names");
  char *twice = test_print(again);
  assert_string_equal(text, twice);
  free(twice);
  free(text);
  hl_kernel_destroy(again);
  hl_kernel_destroy(k);
}

/* ---- the verifier's listing ------------------------------------------------------------------------ */

static void test_listing(void **state) {
  (void)state;
  hl_kernel *k = test_parse(canonical, strlen(canonical), "text");
  hli_op loop = hli_first(k, k->body);
  while (hli_op_get(k, loop)->code != HLI_OP_TILE) loop = hli_next(k, loop);
  hli_op mul = 0;
  for (hli_op op = hli_first(k, hli_op_get(k, loop)->region); op; op = hli_next(k, op))
    if (hli_op_get(k, op)->code == HLI_OP_MUL) mul = op;
  hli_op_set_operand(k, mul, 1, hli_operand(k, hli_op_get(k, mul)->prev, 0)); /* the constant before broadcast */
  hl_diag d = {0};
  hli_strbuf listing;
  hli_sb_init(&listing, NULL);
  assert_int_equal(hli_verify(k, &d, &listing), HL_ERR_BUILD);
  assert_string_equal(d.message, "kernel k: mul: operands have different types, f32[$i] and f32, in "
                                 "'%6 = mul %3, %4 : f32[$i]'");
  assert_int_equal(d.line, 13);
  assert_string_equal(d.file, "text");
  assert_non_null(strstr(listing.data, "      %6 = mul %3, %4 : f32[$i]\n"
                                       "      ^ mul: operands have different types, f32[$i] and f32\n"
                                       "      store %x[%2], %6\n"));
  hli_sb_free(&listing);
  hl_kernel_destroy(k);
}

/* ---- the digest -------------------------------------------------------------------------------------- */

/* The same on every machine and in every later version of the text form with the same number. */
static void test_digest(void **state) {
  (void)state;
  char hex[33];
  hl_kernel *k = test_parse(canonical, strlen(canonical), "here");
  hl_kernel *other = test_parse(canonical, strlen(canonical), "elsewhere");
  hli_digest d = hli_kernel_digest(k), e = hli_kernel_digest(other);
  hli_digest_text(d, hex);
  assert_true(d.lo == e.lo && d.hi == e.hi);
  assert_string_equal(hex, "6d3c3e7894bc2f5e46d3386812aa00ff");
  hli_value_set_name(other, other->params.data[0].value, "z");
  e = hli_kernel_digest(other);
  assert_false(d.lo == e.lo && d.hi == e.hi);
  hl_kernel_destroy(other);
  hl_kernel_destroy(k);
}

/* ---- the user's page -------------------------------------------------------------------------------------- */

/* docs/text-format.md names every operation, and its examples are canonical texts. */
static void test_page(void **state) {
  (void)state;
  size_t len;
  int examples = 0;
  char *page = test_read(test_path("../../docs/text-format.md"), &len), word[64];
  for (uint32_t i = 1; i < HLI_OP_COUNT; i++) {
    const char *text = hli_op_facts((hli_opcode)i)->text;
    (void)snprintf(word, sizeof word, "`%s", text);
    const char *at = strstr(page, word);
    while (at && strchr("` ", at[strlen(word)]) == NULL) at = strstr(at + 1, word);
    if (!at) fail_msg("docs/text-format.md does not name the operation %s", text);
  }
  for (char *at = strstr(page, "```hl\n"); at; at = strstr(at, "```hl\n"), examples++) {
    char *text = at + 6, *end = strstr(text, "```");
    assert_non_null(end);
    *end = '\0';
    hl_kernel *k = test_parse(text, strlen(text), "docs/text-format.md");
    char *printed = test_print(k);
    assert_string_equal(text, printed);
    free(printed);
    hl_kernel_destroy(k);
    at = end + 1;
  }
  assert_true(examples >= 1);
  free(page);
}

/* ---- out of memory ----------------------------------------------------------------------------------------- */

typedef struct budget { long left; } budget;
static void *limited_alloc(void *user, size_t size, size_t align) {
  budget *b = user;
  (void)align;
  return b->left-- > 0 ? malloc(size) : NULL;
}
static void limited_release(void *user, void *ptr, size_t size) {
  (void)user;
  (void)size;
  free(ptr);
}

/* Every allocation of parse, verify and print fails once. */
static void test_memory(void **state) {
  (void)state;
  bool done = false;
  for (long n = 0; !done && n < 5000; n++) {
    budget b = {n};
    hl_allocator alloc = {limited_alloc, limited_release, &b};
    hl_diag d = {0};
    hl_kernel *k = NULL;
    hl_status s = hli_parse(&alloc, hli_str(canonical), "text", &d, &k);
    assert_true(s == HL_ERR_MEMORY ? k == NULL && d.message[0] : s == HL_OK);
    if (s != HL_OK) continue;
    hli_strbuf sb;
    hli_sb_init(&sb, &alloc);
    hli_print(k, &sb);
    done = !sb.failed;
    hli_sb_free(&sb);
    hl_kernel_destroy(k);
  }
  assert_true(done);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip), cmocka_unit_test(test_errors),  cmocka_unit_test(test_variations),
      cmocka_unit_test(test_numbers),    cmocka_unit_test(test_names),   cmocka_unit_test(test_listing),
      cmocka_unit_test(test_digest),     cmocka_unit_test(test_page),    cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
