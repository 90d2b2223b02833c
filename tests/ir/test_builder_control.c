/* test_builder_control.c: the builder's if, else, while, grids of scalar indices and several top-level loops: what
 * they build computes what the same loops in C compute, and each mistake has its words and its place. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "hl/hl.h"
#include "src/ir/interp/interp.h"
#include "src/ir/ir.h"

static hl_context *ctx;

static int setup(void **state) {
  (void)state;
  return hl_context_create(NULL, NULL, &ctx);
}

static int teardown(void **state) {
  (void)state;
  hl_context_destroy(ctx);
  return 0;
}

/* ---- what is built ---- */

typedef struct bench {
  hl_builder *b;
  hl_dim m;
  hl_value a, n, out; /* a[M], n[M], out[M] of i64 */
} bench;

static bench start(void) {
  bench t = {0};
  assert_int_equal(hl_builder_create(ctx, "k", NULL, &t.b), HL_OK);
  t.m = hl_dim_named(t.b, "M");
  t.a = hl_param_tensor(t.b, "a", HL_I64, &t.m, 1, HL_IN);
  t.n = hl_param_tensor(t.b, "n", HL_I64, &t.m, 1, HL_OUT);
  t.out = hl_param_tensor(t.b, "out", HL_I64, &t.m, 1, HL_OUT);
  return t;
}

enum { M = 23 };

static void run(bench *t, const int64_t *a, int64_t *n, int64_t *out, bool exact) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  if (hl_builder_finish(t->b, &d, &k) != HL_OK)
    fail_msg("%s:%u: %s", d.file, d.line, d.message);
  int64_t shape[1] = {M};
  hl_tensor x[3];
  hl_arg args[3];
  for (int i = 0; i < 3; i++) {
    x[i] = (hl_tensor){.data = i == 0 ? (void *)(uintptr_t)a : i == 1 ? n : out,
                       .device = {HL_DEVICE_CPU, 0},
                       .ndim = 1,
                       .dtype = hl_dtype_to_dl(HL_I64),
                       .shape = shape};
    args[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &x[i]};
  }
  const hli_interp_options o = {.exact = exact, .program_check = true};
  if (hli_interp_run(k, &ctx->alloc, args, 3, &o, &d) != HL_OK)
    fail_msg("%s", d.message);
  hl_kernel_destroy(k);
}

static void inputs(int64_t *a) {
  for (int i = 0; i < M; i++)
    a[i] = (i * 7 + 3) % 19 - 4;
}

/* One element each: a scalar branch with else, a loop while, a loop over an extent that was loaded. */
static void build_scalar(bench *t) {
  hl_builder *b = t->b;
  hl_value i, v[2], r[2], j;
  hl_grid_begin(b, (hl_value[]){hl_size(b, t->a, 0)}, 1, &i);
  hl_value x = hl_load(b, t->a, &i, 1);
  hl_if_begin(b, hl_gt(b, x, hl_const_i(b, 5)), (hl_value[]){x}, 1, v);
  hl_value next = hl_mul(b, v[0], hl_const_i(b, 3));
  hl_else(b, &next, v);
  next = hl_sub(b, v[0], hl_const_i(b, 100));
  hl_if_end(b, &next, r);
  hl_store(b, t->out, &i, 1, r[0]);
  hl_while_begin(b, hl_gt(b, x, hl_const_i(b, 0)), (hl_value[]){x, hl_cast(b, hl_const_i(b, 0), HL_I64)}, 2, v);
  hl_value rest = hl_truncdiv(b, v[0], hl_const_i(b, 2)), steps = hl_add(b, v[1], hl_const_i(b, 1));
  hl_while_end(b, hl_gt(b, rest, hl_const_i(b, 0)), (hl_value[]){rest, steps}, r);
  hl_value sum[1] = {r[1]}, inside[1];
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  o.carried = sum, o.carried_count = 1, o.carried_in = inside;
  hl_tile_begin_ex(b, &x, 1, &o, &j);
  sum[0] = hl_add(b, inside[0], hl_reduce_sum(b, hl_tile_index(b, j), 0, false));
  hl_tile_end(b, sum, sum);
  hl_store(b, t->n, &i, 1, sum[0]);
  hl_tile_end(b, NULL, NULL);
}

static void test_scalar(void **state) {
  (void)state;
  for (int exact = 0; exact < 2; exact++) {
    int64_t a[M], n[M], out[M];
    bench t = start();
    inputs(a);
    build_scalar(&t);
    run(&t, a, n, out, exact);
    for (int i = 0; i < M; i++) {
      int64_t want = 0;
      for (int64_t x = a[i]; x > 0; x /= 2)
        want++;
      for (int64_t j = 0; j < a[i]; j++)
        want += j;
      assert_int_equal(n[i], want);
      assert_int_equal(out[i], a[i] > 5 ? a[i] * 3 : a[i] - 100);
    }
  }
}

/* Two loops of different extents, one launch; an if without else around a store. */
static void test_roots(void **state) {
  (void)state;
  int64_t a[M], n[M] = {0}, out[M] = {0};
  bench t = start();
  hl_builder *b = t.b;
  hl_value i, j;
  inputs(a);
  hl_tile_begin(b, (hl_value[]){hl_size(b, t.a, 0)}, 1, &i);
  hl_store(b, t.out, &i, 1, hl_neg(b, hl_load(b, t.a, &i, 1)));
  hl_tile_end(b, NULL, NULL);
  hl_grid_begin(b, (hl_value[]){hl_const_i(b, 9)}, 1, &j);
  hl_value x = hl_load(b, t.a, &j, 1);
  hl_if_begin(b, hl_gt(b, x, hl_const_i(b, 0)), NULL, 0, NULL);
  hl_store(b, t.n, &j, 1, hl_add(b, x, x));
  hl_if_end(b, NULL, NULL);
  hl_tile_end(b, NULL, NULL);
  run(&t, a, n, out, false);
  for (int m = 0; m < M; m++) {
    assert_int_equal(out[m], -a[m]);
    assert_int_equal(n[m], m < 9 && a[m] > 0 ? 2 * a[m] : 0);
  }
}

/* ---- mistakes ---- */

static void expect(bench *t, uint32_t line, const char *one, const char *two) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  assert_int_equal(hl_builder_finish(t->b, &d, &k), HL_ERR_BUILD);
  assert_null(k);
  if (!strstr(d.message, one) || !strstr(d.message, two) || !strstr(d.message, "kernel k"))
    fail_msg("'%s' lacks '%s' or '%s'", d.message, one, two);
  assert_non_null(strstr(d.file, "test_builder_control.c"));
  assert_int_equal(d.line, line);
}

static hl_value tile(bench *t) {
  hl_value i;
  hl_tile_begin(t->b, (hl_value[]){hl_size(t->b, t->a, 0)}, 1, &i);
  return i;
}

static void test_conditions(void **state) {
  (void)state;
  bench t = start();
  hl_value i = tile(&t), x = hl_load(t.b, t.a, &i, 1);
  hl_if_begin(t.b, hl_gt(t.b, x, x), NULL, 0, NULL);
  expect(&t, __LINE__ - 1, "hl_if_begin: the condition must be a scalar, not bool[$i]", "hl_where");
  t = start(), i = tile(&t);
  hl_while_begin(t.b, i, NULL, 0, NULL);
  expect(&t, __LINE__ - 1, "hl_while_begin: the condition must be a scalar, not tile<$i>", "");
  t = start(), i = tile(&t), x = hl_load(t.b, t.a, &i, 1);
  hl_while_begin(t.b, hl_const_i(t.b, 1), NULL, 0, NULL);
  hl_while_end(t.b, hl_gt(t.b, x, x), NULL, NULL);
  expect(&t, __LINE__ - 1, "hl_while_end: the condition must be a scalar", "bool[$i]");
}

static void test_carried(void **state) {
  (void)state;
  bench t = start();
  hl_value i = tile(&t), x = hl_load(t.b, t.a, &i, 1), v, s = hl_cast(t.b, hl_const_i(t.b, 0), HL_I64);
  hl_if_begin(t.b, hl_const_i(t.b, 1), &x, 1, &v);
  hl_if_end(t.b, &s, &v);
  expect(&t, __LINE__ - 1, "carried value 1 starts as i64[$i] but its next value is i64", "");
  t = start(), i = tile(&t), x = hl_load(t.b, t.a, &i, 1);
  hl_if_begin(t.b, hl_const_i(t.b, 1), &x, 1, &v);
  hl_else(t.b, NULL, &v);
  expect(&t, __LINE__ - 1, "hl_else: the loop carries 1 values", "next values");
  t = start(), i = tile(&t), x = hl_load(t.b, t.a, &i, 1);
  hl_while_begin(t.b, hl_const_i(t.b, 1), &x, 1, NULL);
  expect(&t, __LINE__ - 1, "hl_while_begin: wants at most", "room");
}

static void test_order(void **state) {
  (void)state;
  bench t = start();
  hl_else(t.b, NULL, NULL);
  expect(&t, __LINE__ - 1, "hl_else without an open if", "");
  t = start(), tile(&t);
  const uint32_t line = __LINE__ + 1;
  hl_if_begin(t.b, hl_const_i(t.b, 1), NULL, 0, NULL);
  hl_tile_end(t.b, NULL, NULL);
  char words[80];
  snprintf(words, sizeof words, "hl_tile_end stands where hl_if_begin of line %u is open", line);
  expect(&t, line + 1, words, "close that first with hl_if_end");
  t = start(), tile(&t);
  hl_while_end(t.b, hl_const_i(t.b, 1), NULL, NULL);
  expect(&t, __LINE__ - 1, "hl_while_end stands where hl_tile_begin", "hl_tile_end");
  t = start(), tile(&t);
  hl_if_begin(t.b, hl_const_i(t.b, 1), NULL, 0, NULL);
  hl_else(t.b, NULL, NULL);
  hl_else(t.b, NULL, NULL);
  expect(&t, __LINE__ - 1, "hl_else: this if has its else already", "");
  t = start(), tile(&t);
  hl_if_begin(t.b, hl_const_i(t.b, 1), NULL, 0, NULL);
  expect(&t, __LINE__ - 1, "2 ifs are never closed; call hl_if_end", "");
}

static void test_hazard(void **state) {
  (void)state;
  bench t = start();
  hl_value i = tile(&t);
  const uint32_t first = __LINE__ + 3;
  hl_store(t.b, t.out, &i, 1, hl_load(t.b, t.a, &i, 1));
  hl_tile_end(t.b, NULL, NULL);
  hl_grid_begin(t.b, (hl_value[]){hl_size(t.b, t.a, 0)}, 1, &i);
  hl_store(t.b, t.out, &i, 1, hl_const_i(t.b, 0));
  hl_tile_end(t.b, NULL, NULL);
  expect(&t, first, "this loop touches %out, which the top-level loop at line", "barrier");
}

static void test_limits(void **state) {
  (void)state;
  bench t = start();
  hl_value i = tile(&t), x = hl_load(t.b, t.a, &i, 1);
  for (int n = 0; n < 200000; n++)
    x = hl_add(t.b, x, x);
  expect(&t, __LINE__ - 1, "more than 100000 operations", "tile loop");
  t = start(), i = tile(&t);
  for (int n = 0; n < 100; n++)
    hl_if_begin(t.b, hl_const_i(t.b, 1), NULL, 0, NULL);
  expect(&t, __LINE__ - 1, "nested deeper than 64", "");
  t = start();
  hl_value index[1];
  hl_grid_begin(t.b, (hl_value[]){hl_size(t.b, t.a, 0)}, HL_MAX_RANK + 1, index);
  expect(&t, __LINE__ - 1, "hl_grid_begin: wants 1 to 8 extents", "");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_scalar),     cmocka_unit_test(test_roots),
                                     cmocka_unit_test(test_conditions), cmocka_unit_test(test_carried),
                                     cmocka_unit_test(test_order),      cmocka_unit_test(test_hazard),
                                     cmocka_unit_test(test_limits)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
