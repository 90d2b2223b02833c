/* test_interp_misc.c: the tolerance of compare.h; memory that runs out at every allocation. */
#include "interp_util.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- compare ---- */

static hli_comparison compare(const box *got, const box *want, const hli_tolerance *t) {
  hl_diag diag;
  hli_comparison c;
  if (hli_compare(&got->t, &want->t, t, &diag, &c) != HL_OK)
    fail_msg("%s", diag.message);
  return c;
}

static void test_compare_floats(void **state) {
  (void)state;
  BOX2(got, HL_F32, 3, 4);
  BOX2(want, HL_F64, 3, 4);
  for (int64_t i = 0; i < 12; i++) {
    box_set(&want, i / 4, i % 4, (double)i);
    box_set(&got, i / 4, i % 4, (double)i);
  }
  hli_comparison c = compare(&got, &want, NULL);
  assert_true(c.pass && c.count == 12 && c.max_error == 0 && c.frobenius == 0);
  box_set(&got, 1, 2, 6.0 * (1 + 0x1p-20)); /* eight steps are allowed, and 2 eps of the mean size */
  assert_true(compare(&got, &want, NULL).pass);
  box_set(&got, 1, 2, 6.0 * (1 + 0x1p-18));
  box_set(&got, 2, 3, -11);
  c = compare(&got, &want, NULL);
  assert_true(!c.pass && c.wrong == 2 && c.first[0] == 1 && c.first[1] == 2 && c.want == 6);
  assert_true(c.max_error == 22 && c.frobenius > 0.9 && c.frobenius < 1 && c.allowed > 0 && c.worst > 1);
  char text[512];
  hli_comparison_text(&c, text, sizeof text);
  assert_non_null(strstr(text, "2 of 12 elements differ; the first at [1, 2]: got 6.00002289, want 6"));
  box_set(&got, 2, 3, 11);
  assert_true(compare(&got, &want, &(hli_tolerance){.n = 10000}).pass);     /* many terms were summed */
  assert_true(compare(&got, &want, &(hli_tolerance){.acc = HL_BF16}).pass); /* in a coarse accumulator */
  assert_false(compare(&got, &want, &(hli_tolerance){.acc = HL_F64}).pass);
  assert_true(compare(&got, &want, &(hli_tolerance){.steps = 64}).pass);
  assert_true(compare(&got, &want, &(hli_tolerance){.magnitude = 1000}).pass);
  box_free(&got), box_free(&want);
}

static void test_compare_specials(void **state) {
  (void)state;
  const struct {
    double got, want;
    bool pass;
  } rows[] = {
      {NAN, NAN, true},
      {NAN, 1, false},
      {1, NAN, false},
      {INFINITY, INFINITY, true},
      {INFINITY, -INFINITY, false},
      {65504, INFINITY, false},
      {INFINITY, 1e5, true},
      {INFINITY, 6e4, false},
      {-INFINITY, 1e5, false},
      {INFINITY, 65504, true},
      {0, 0x1p-30, true},
      {0x1p-24, 0, true},
      {0x1p-10, 0, false},
  };
  BOX1(got, HL_F16, 1);
  BOX1(want, HL_F64, 1);
  for (size_t i = 0; i < HLI_COUNT(rows); i++) {
    box_set(&got, 0, 0, rows[i].got);
    box_set(&want, 0, 0, rows[i].want);
    if (compare(&got, &want, NULL).pass != rows[i].pass)
      fail_msg("row %zu", i);
  }
  box_free(&got), box_free(&want);
}

static void test_compare_discrete(void **state) {
  (void)state;
  BOX1(got, HL_I64, 4);
  BOX1(want, HL_I64, 4);
  BOX1(margin, HL_F64, 4);
  for (int64_t i = 0; i < 4; i++) {
    ((int64_t *)got.t.data)[i] = ((int64_t *)want.t.data)[i] = INT64_MAX - i;
    box_set(&margin, i, 0, (double)i);
  }
  assert_true(compare(&got, &want, NULL).pass);
  ((int64_t *)got.t.data)[1]--; /* no double tells these apart */
  assert_false(compare(&got, &want, NULL).pass);
  assert_true(compare(&got, &want, &(hli_tolerance){.margin = &margin.t, .boundary = 1}).pass);
  assert_false(compare(&got, &want, &(hli_tolerance){.margin = &margin.t, .boundary = 0.5}).pass);
  box_free(&got), box_free(&want), box_free(&margin);
}

static void test_compare_refuses(void **state) {
  (void)state;
  BOX1(a, HL_F32, 4);
  BOX1(b, HL_F32, 5);
  BOX1(f, HL_F16, 4);
  BOX2(m, HL_F32, 4, 1);
  hl_diag diag;
  hli_comparison c;
  assert_int_equal(hli_compare(&a.t, &b.t, NULL, &diag, &c), HL_ERR_ARG);
  assert_non_null(strstr(diag.message, "size 4, in the reference 5"));
  assert_int_equal(hli_compare(&a.t, &f.t, NULL, &diag, &c), HL_ERR_ARG);
  assert_int_equal(hli_compare(&a.t, &m.t, NULL, &diag, &c), HL_ERR_ARG);
  assert_int_equal(hli_compare(&a.t, NULL, NULL, &diag, &c), HL_ERR_ARG);
  box_free(&a), box_free(&b), box_free(&f), box_free(&m);
}

/* ---- memory that runs out ---- */

typedef struct meter {
  long left;  /* allocations until one fails; < 0: never */
  long alive; /* blocks */
} meter;

static void *meter_alloc(void *user, size_t size, size_t align) {
  meter *m = user;
  (void)align;
  if (m->left == 0)
    return NULL;
  m->left--;
  void *p = malloc(size);
  m->alive += p != NULL;
  return p;
}

static void meter_release(void *user, void *ptr, size_t size) {
  (void)size;
  ((meter *)user)->alive--;
  free(ptr);
}

/* Fails the first, second ... allocation until one run gets through. */
static void starve(const char *text, const hl_arg *args, size_t count) {
  const hli_interp_options o = {.race_check = true, .program_check = true};
  hl_kernel *k = NULL;
  hl_diag diag = {0};
  assert_int_equal(hli_parse(NULL, hli_str(text), "test.hl", &diag, &k), HL_OK);
  for (long n = 0;; n++) {
    meter m = {.left = n};
    const hl_allocator a = {meter_alloc, meter_release, &m};
    const hl_status s = hli_interp_run(k, &a, args, count, &o, &diag);
    assert_int_equal(m.alive, 0);
    if (s == HL_OK) {
      assert_true(n > 3);
      break;
    }
    assert_int_equal(s, HL_ERR_MEMORY);
    assert_non_null(strstr(diag.message, "out of memory"));
  }
  hl_kernel_destroy(k);
}

static void test_no_memory(void **state) {
  (void)state;
  BOX2(x, HL_F32, 4, 20);
  BOX2(y, HL_F32, 4, 20);
  BOX1(v, HL_F32, 20);
  box_fill(&x, 1);
  box_fill(&v, 1);
  starve(text_softmax, (hl_arg[]){arg_of(&x), arg_of(&y)}, 2);
  starve(text_softmax_chunks, (hl_arg[]){arg_of(&x), arg_of(&y)}, 2);
  starve(text_vector_add, (hl_arg[]){arg_of(&v), arg_of(&v), arg_of(&v)}, 3);
  box_free(&x), box_free(&y), box_free(&v);
}

/* Buffers, layouts, shared memory, copies in flight; a fault whose words need memory too. */
static const char lane_text[] =
    "hl 1 lane\nkernel @lane {\n  param %x : tensor<f32[64]> in\n  param %out : tensor<f32[64]> out\n  axis $i tile "
    "block 64\n"
    "  layout #1 = {rank = 1, regs = [], lanes = [[1], [2], [4], [8], [16]], warps = [[32]]}\n"
    "  layout #2 = {rank = 1, regs = [], lanes = [[0], [0], [0], [0], [0]], warps = [[1]]}\n"
    "  layout #3 = {rank = 1, regs = [[1]], lanes = [[0], [0], [0], [0], [0]], warps = [[0]]}\n"
    "  grid [1 / 1]\n  launch warps 2\n  body {\n"
    "    %c0 = const {value = 0} : i64\n    %c64 = const {value = 64} : i64\n    %i = range %c0, %c64 {axis = $i} : "
    "tile<$i>\n"
    "    %b = shared {slots = 1} : buffer<f32[64]>\n    %r = shared {slots = 1} : buffer<f32[2]>\n"
    "    async_copy %x[%i], %b, %c0 {layout = #1}\n    async_commit\n    async_wait {pending = 0}\n    barrier\n"
    "    %v = shared_load %b, %c0 : f32[$i]#1\n    %p = partial_reduce %v {op = sum, axis = 0} : f32[2]#2\n"
    "    shared_store %r, %c0, %p\n    barrier\n    %q = shared_load %r, %c0 : f32[2]#3\n    %s = reduce %q {op = sum, "
    "axes = [0]} : f32\n"
    "    %sb = broadcast %s {dims = []} : f32[$i]#1\n    store %out[%i], %sb\n  }\n}\n";

static void test_no_memory_lane(void **state) {
  (void)state;
  BOX1(x, HL_F32, 64);
  BOX1(out, HL_F32, 64);
  for (int64_t i = 0; i < 64; i++)
    box_set(&x, i, 0, (double)i);
  starve(lane_text, (hl_arg[]){arg_of(&x), arg_of(&out)}, 2);
  assert_true(box_get(&out, 63, 0) == 63 * 32);
  box_free(&x), box_free(&out);
}

static void test_no_memory_for_words(void **state) {
  (void)state;
  static const char text[] = "hl 1 loop\nkernel @faulty {\n  param %x : tensor<f32[4]> inout\n  grid [1 / 1]\n  body "
                             "{\n    %c9 = const {value = 9} : i64\n"
                             "    %v = load %x[%c9] : f32\n  }\n}\n";
  hl_kernel *k = NULL;
  hl_diag diag = {0};
  BOX1(x, HL_F32, 4);
  const hl_arg args[] = {arg_of(&x)};
  assert_int_equal(hli_parse(NULL, hli_str(text), "test.hl", &diag, &k), HL_OK);
  bool worded = false;
  for (long n = 0; n < 40; n++) {
    meter m = {.left = n};
    const hl_allocator a = {meter_alloc, meter_release, &m};
    const hl_status s = hli_interp_run(k, &a, args, 1, NULL, &diag);
    assert_int_equal(m.alive, 0);
    assert_true(s == HL_ERR_MEMORY || (s == HL_ERR_BUILD && strstr(diag.message, "index [9] is out of range")));
    worded |= s == HL_ERR_BUILD && strstr(diag.message, "%v = load %x[%c9]");
  }
  assert_true(worded);
  hl_kernel_destroy(k);
  box_free(&x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_compare_floats),      cmocka_unit_test(test_compare_specials),
      cmocka_unit_test(test_compare_discrete),    cmocka_unit_test(test_compare_refuses),
      cmocka_unit_test(test_no_memory),           cmocka_unit_test(test_no_memory_lane),
      cmocka_unit_test(test_no_memory_for_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
