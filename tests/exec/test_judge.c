/* The commands' own numbers and judge: conversions agree with the library's, wrong results are found, right ones
 * pass, and the judge agrees with the interpreter's comparison. */
#include <math.h>

#include "src/ir/interp/compare.h"
#include "src/ir/ir.h"
#include "tests/exec/exec.h"

static void halves(void **state) {
  (void)state;
  static const hl_dtype dtypes[] = {HL_F16, HL_BF16};
  for (int d = 0; d < 2; d++)
    for (uint32_t bits = 0; bits < 65536; bits++) {
      const uint16_t b = (uint16_t)bits;
      uint16_t back;
      double x;
      cli_to_double(dtypes[d], &b, &x, 1);
      const double want = hli_scalar_from_bits(dtypes[d], bits).f;
      if (isnan(want)) {
        assert_true(isnan(x));
        continue;
      }
      assert_true(x == want && signbit(x) == signbit(want));
      cli_from_double(dtypes[d], &x, &back, 1);
      assert_int_equal(back, b);
    }
}

/* Rounding to nearest, ties to even, between all neighbours. */
static void halves_round(void **state) {
  (void)state;
  static const hl_dtype dtypes[] = {HL_F16, HL_BF16};
  static const uint16_t infinity[] = {0x7c00, 0x7f80};
  for (int d = 0; d < 2; d++)
    for (uint16_t b = 0; b + 1 < infinity[d]; b++) {
      const uint16_t pair[2] = {b, (uint16_t)(b + 1)};
      double x[2];
      uint16_t got;
      cli_to_double(dtypes[d], pair, x, 2);
      const double middle = (x[0] + x[1]) / 2;
      cli_from_double(dtypes[d], &middle, &got, 1);
      assert_int_equal(got, b + (b & 1));
    }
}

static void integers(void **state) {
  (void)state;
  static const double x[] = {-128, -1, 0, 1, 127};
  for (int d = HL_I8; d <= HL_I64; d++)
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++) {
      int64_t raw = 0;
      double back;
      cli_from_double((hl_dtype)d, &x[i], &raw, 1);
      cli_to_double((hl_dtype)d, &raw, &back, 1);
      assert_true(back == x[i]);
    }
}

static void random_data(void **state) {
  (void)state;
  enum { N = 20000 };
  static float x[N];
  static int32_t v[N];
  const hl_arg_spec normal = {HL_DIST_NORMAL, 3, 2, false}, dice = {HL_DIST_INTEGER, 1, 6, false},
                    offsets = {HL_DIST_INTEGER, 0, 50, true};
  double sum = 0, squares = 0;
  int seen[7] = {0};
  cli_random_fill(&normal, HL_F32, 42, x, N);
  for (int i = 0; i < N; i++)
    sum += x[i], squares += (double)(x[i] - 3) * (x[i] - 3);
  assert_true(fabs(sum / N - 3) < 0.1 && fabs(squares / N - 4) < 0.2);
  cli_random_fill(&dice, HL_I32, 42, v, N);
  for (int i = 0; i < N; i++) {
    assert_in_range(v[i], 1, 6);
    seen[v[i]]++;
  }
  for (int i = 1; i <= 6; i++)
    assert_in_range(seen[i], N / 6 - 300, N / 6 + 300);
  cli_random_fill(&offsets, HL_I32, 42, v, N);
  for (int i = 1; i < N; i++)
    assert_true(v[i - 1] <= v[i]);
  assert_true(v[0] == 0 && v[N - 1] == 50);
}

/* The judge and hli_compare allow the same errors. */
static void agrees(void **state) {
  (void)state;
  enum { N = 300 };
  static const hl_dtype dtypes[] = {HL_F16, HL_BF16, HL_F32, HL_F64};
  uint64_t random = 7;
  for (int round = 0; round < 400; round++) {
    const hl_dtype dtype = dtypes[round % 4];
    double want[N], raw[N],
        scale = ldexp(1, (int)(cli_random(&random) % 12)) * (dtype == HL_F64   ? 1e-16
                                                             : dtype == HL_F32 ? 1e-8
                                                                               : 1e-4);
    unsigned char got[N * 8];
    int64_t shape = N;
    for (int i = 0; i < N; i++) {
      want[i] = cli_random_unit(&random) * 4 - 2;
      raw[i] = want[i] + scale * (cli_random_unit(&random) - 0.5);
    }
    cli_from_double(dtype, raw, got, N);
    const hl_tensor a = {.data = got, .ndim = 1, .dtype = hl_dtype_to_dl(dtype), .shape = &shape};
    const hl_tensor b = {.data = want, .ndim = 1, .dtype = hl_dtype_to_dl(HL_F64), .shape = &shape};
    const hli_tolerance tolerance = {.n = 1 + round % 50};
    hli_comparison c;
    cli_judgement j;
    assert_int_equal(hli_compare(&a, &b, &tolerance, NULL, &c), HL_OK);
    cli_judge(dtype, tolerance.n, got, want, NULL, N, &j);
    assert_int_equal(j.wrong, (size_t)c.wrong);
    assert_int_equal(j.right, c.pass);
    assert_true(fabs(j.frobenius - c.frobenius) <= 1e-9 * c.frobenius);
    if (c.wrong)
      assert_int_equal(j.first, (size_t)c.first[0]);
  }
}

static void special_values(void **state) {
  (void)state;
  cli_judgement j;
  const double want[] = {INFINITY, -INFINITY, NAN, 1};
  float got[] = {INFINITY, -INFINITY, NAN, 1};
  cli_judge(HL_F32, 1, got, want, NULL, 4, &j);
  assert_true(j.right);
  for (int i = 0; i < 4; i++) {
    float other[4];
    memcpy(other, got, sizeof got);
    other[i] = i == 2 ? 0 : NAN;
    cli_judge(HL_F32, 1, other, want, NULL, 4, &j);
    assert_int_equal(j.wrong, 1);
    assert_int_equal(j.first, i);
  }
  const double small[] = {1e-7}, terms[] = {1};
  const float cancelled[] = {5e-7f}; /* what is left of two terms that add up to 1 */
  cli_judge(HL_F32, 1, cancelled, small, NULL, 1, &j);
  assert_false(j.right);
  cli_judge(HL_F32, 1, cancelled, small, terms, 1, &j);
  assert_true(j.right);
  const int32_t counts[] = {1, 2, 4};
  const double counted[] = {1, 2, 3};
  cli_judge(HL_I32, 1, counts, counted, NULL, 3, &j);
  assert_int_equal(j.wrong, 1);
}

/* An output that was only written in part, and one wrong element of many. */
static void planted(void **state) {
  (void)state;
  hl_context *ctx = exec_context();
  hl_diag diag = {0};
  const hl_example *e = hl_example_find("sum");
  const int64_t size[HL_EXAMPLE_DIMS] = {129, 40};
  hl_kernel *k = NULL;
  cli_args args;
  cli_shape shape;
  cli_verdict v;
  cli_shape_of_example(e, size, &shape);
  assert_int_equal(e->build(ctx, HL_F32, &diag, &k), HL_OK);
  assert_int_equal(cli_args_create(k, &shape, &diag, &args), HL_OK);
  cli_args_fill(&args, 3);
  assert_int_equal(hl_interpret(ctx, k, args.host, args.count, NULL, &diag), HL_OK);
  cli_args_reference(&args, e, 0);
  cli_args_judge(&args, 40, &v);
  assert_true(v.right);
  float *out = (float *)args.arg[1].data;
  const float kept = out[77];
  out[77] = kept + 1e-3f;
  cli_args_judge(&args, 40, &v);
  assert_false(v.right);
  assert_non_null(strstr(v.words, "1 of 129"));
  assert_non_null(strstr(v.words, "[77]"));
  out[77] = NAN;
  cli_args_reference(&args, e, 1); /* samples; what nobody wrote is wrong wherever it is */
  cli_args_judge(&args, 40, &v);
  assert_false(v.right);
  cli_args_free(&args);
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

static void run_plain(hl_context *ctx, const hl_example *e, hl_dtype dtype, const int64_t *size, cli_verdict *v) {
  hl_diag diag = {0};
  hl_kernel *k = NULL;
  cli_args args;
  cli_shape shape;
  void *data[HL_EXAMPLE_ARGS];
  cli_shape_of_example(e, size, &shape);
  assert_int_equal(e->build(ctx, dtype, &diag, &k), HL_OK);
  assert_int_equal(cli_args_create(k, &shape, &diag, &args), HL_OK);
  cli_args_fill(&args, 5);
  for (uint32_t a = 0; a < args.count; a++)
    data[a] = args.arg[a].data;
  hl_example_plain_of(e, dtype)(data, size);
  cli_args_reference(&args, e, 0);
  cli_args_judge(&args, e->reduction(size), v);
  cli_args_free(&args);
  hl_kernel_destroy(k);
}

/* The C loops that kernels are timed against do the same work. */
static void plain_loops(void **state) {
  (void)state;
  hl_context *ctx = exec_context();
  for (uint32_t i = 0; i < hl_example_count; i++) {
    const hl_example *e = hl_examples[i];
    for (const hl_dtype *d = e->dtypes; *d != HL_DTYPE_NONE; d++)
      for (const hl_example_shape *s = e->odd; hl_example_plain_of(e, *d) && s->size[0]; s++) {
        cli_verdict v;
        run_plain(ctx, e, *d, s->size, &v);
        const double most = hl_dtype_size(*d) == 2 ? 1e-2 : 1e-3; /* they add up naively, and a quantum is large */
        if (!(v.frobenius < most))
          fail_msg("%s %s, shape %d: the error is %g of the norm: %s", e->name, hl_dtype_text(*d), (int)(s - e->odd),
                   v.frobenius, v.words);
      }
  }
  hl_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(halves),      cmocka_unit_test(halves_round), cmocka_unit_test(integers),
      cmocka_unit_test(random_data), cmocka_unit_test(agrees),       cmocka_unit_test(special_values),
      cmocka_unit_test(planted),     cmocka_unit_test(plain_loops),
  };
  return cmocka_run_group_tests_name("judge", tests, NULL, NULL);
}
