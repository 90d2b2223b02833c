/* test_interp_loop.c: the interpreter on LOOP kernels: vectors, buffers, masks; out-of-range and
 * uninitialised accesses. */
#include "interp_util.h"
#include <math.h>

static const hli_interp_options exact = {.exact = true, .program_check = true};

/* Eight lanes at a time; the last ones under a mask. */
static const char vector_add[] = "hl 1 loop\n"
                                 "kernel @add {\n"
                                 "  dim N\n"
                                 "  param %x : tensor<f32[N]> in\n"
                                 "  param %y : tensor<f32[N]> in\n"
                                 "  param %out : tensor<f32[N]> out\n"
                                 "  grid [N / 16]\n"
                                 "  body {\n"
                                 "    %pid = program_id : i64\n"
                                 "    %n = size %x {dim = 0} : i64\n"
                                 "    %c8 = const {value = 8} : i64\n"
                                 "    %c16 = const {value = 16} : i64\n"
                                 "    %begin = mul %pid, %c16 : i64\n"
                                 "    %stop = add %begin, %c16 : i64\n"
                                 "    %end = min %stop, %n : i64\n"
                                 "    for %begin, %end, %c8 {unroll = 2} (%i : i64) {\n"
                                 "      %left = sub %end, %i : i64\n"
                                 "      %m = lane_mask %left : bool[8]\n"
                                 "      %a = load %x[%i:], mask %m : f32[8]\n"
                                 "      %b = load %y[%i:], mask %m : f32[8]\n"
                                 "      %s = add %a, %b : f32[8]\n"
                                 "      store %out[%i:], %s, mask %m\n"
                                 "      yield\n"
                                 "    }\n"
                                 "    fence\n"
                                 "  }\n"
                                 "}\n";

static void test_vector_add(void **state) {
  (void)state;
  for (int64_t n = 0; n < 50; n += 7) {
    BOX1(x, HL_F32, n);
    BOX1(y, HL_F32, n);
    BOX1(out, HL_F32, n);
    box_fill(&x, 1);
    box_fill(&y, 2);
    run_ok(vector_add, (hl_arg[]){arg_of(&x), arg_of(&y), arg_of(&out)}, 3, NULL);
    for (int64_t i = 0; i < n; i++)
      assert_true(box_get(&out, i, 0) == (float)(box_get(&x, i, 0) + box_get(&y, i, 0)));
    box_free(&x), box_free(&y), box_free(&out);
  }
}

/* One row per program; the exponentials wait in a buffer; `other` keeps masked lanes out of the maximum. */
static const char softmax[] = "hl 1 loop\n"
                              "kernel @softmax {\n"
                              "  dim M\n"
                              "  dim N\n"
                              "  param %x : tensor<f32[M, N]> in\n"
                              "  param %y : tensor<f32[M, N]> out\n"
                              "  grid [M / 1]\n"
                              "  launch grain 4\n"
                              "  body {\n"
                              "    %r = program_id : i64\n"
                              "    %n = size %x {dim = 1} : i64\n"
                              "    %c0 = const {value = 0} : i64\n"
                              "    %c4 = const {value = 4} : i64\n"
                              "    %low = const {value = -inf} : f32\n"
                              "    %z = const {value = 0x0p+0} : f32\n"
                              "    %lows = broadcast %low {dims = []} : f32[4]\n"
                              "    %zs = broadcast %z {dims = []} : f32[4]\n"
                              "    %buf = buffer : buffer<f32[64]>\n"
                              "    %mv = for %c0, %n, %c4, %lows (%i : i64, %a : f32[4]) {\n"
                              "      %left = sub %n, %i : i64\n"
                              "      %m = lane_mask %left : bool[4]\n"
                              "      %v = load %x[%r, %i:], mask %m, other %lows : f32[4]\n"
                              "      %t = max %a, %v : f32[4]\n"
                              "      yield %t\n"
                              "    } : f32[4]\n"
                              "    %mx = reduce %mv {op = max, axes = [0]} : f32\n"
                              "    %mb = broadcast %mx {dims = []} : f32[4]\n"
                              "    %sv = for %c0, %n, %c4, %zs (%i1 : i64, %a1 : f32[4]) {\n"
                              "      %left1 = sub %n, %i1 : i64\n"
                              "      %m1 = lane_mask %left1 : bool[4]\n"
                              "      %v1 = load %x[%r, %i1:], mask %m1, other %lows : f32[4]\n"
                              "      %d1 = sub %v1, %mb : f32[4]\n"
                              "      %e1 = exp %d1 : f32[4]\n"
                              "      store %buf[%i1:], %e1\n"
                              "      %t1 = add %a1, %e1 : f32[4]\n"
                              "      yield %t1\n"
                              "    } : f32[4]\n"
                              "    %s = reduce %sv {op = sum, axes = [0]} : f32\n"
                              "    for %c0, %n, %c4 (%i2 : i64) {\n"
                              "      %left2 = sub %n, %i2 : i64\n"
                              "      %m2 = lane_mask %left2 : bool[4]\n"
                              "      %e2 = load %buf[%i2:] : f32[4]\n"
                              "      %sb = broadcast %s {dims = []} : f32[4]\n"
                              "      %q = div %e2, %sb : f32[4]\n"
                              "      store %y[%r, %i2:], %q, mask %m2\n"
                              "      yield\n"
                              "    }\n"
                              "  }\n"
                              "}\n";

static void one_softmax(int64_t m, int64_t n, const hli_interp_options *o) {
  BOX2(x, HL_F32, m, n);
  BOX2(got, o ? HL_F64 : HL_F32, m, n);
  BOX2(want, HL_F64, m, n);
  box_fill(&x, 3);
  for (int64_t i = 0; i < m; i++) {
    double most = -INFINITY, s = 0;
    for (int64_t j = 0; j < n; j++)
      most = fmax(most, box_get(&x, i, j));
    for (int64_t j = 0; j < n; j++)
      s += exp(box_get(&x, i, j) - most);
    for (int64_t j = 0; j < n; j++)
      box_set(&want, i, j, exp(box_get(&x, i, j) - most) / s);
  }
  run_ok(softmax, (hl_arg[]){arg_of(&x), arg_of(&got)}, 2, o);
  expect_close(&got, &want, n);
  box_free(&x), box_free(&got), box_free(&want);
}

static void test_softmax(void **state) {
  (void)state;
  one_softmax(1, 1, NULL);
  one_softmax(5, 17, NULL);
  one_softmax(3, 64, NULL);
  one_softmax(5, 17, &exact);
}

/* A matmul over scalars: the innermost product accumulates in a buffer. */
static const char matmul[] = "hl 1 loop\n"
                             "kernel @matmul {\n"
                             "  dim M\n"
                             "  dim K\n"
                             "  dim N\n"
                             "  param %x : tensor<f32[M, K]> in\n"
                             "  param %y : tensor<f32[K, N]> in\n"
                             "  param %out : tensor<f32[M, N]> out\n"
                             "  grid [M / 2]\n"
                             "  body {\n"
                             "    %pid = program_id : i64\n"
                             "    %m = size %x {dim = 0} : i64\n"
                             "    %kk = size %x {dim = 1} : i64\n"
                             "    %n = size %y {dim = 1} : i64\n"
                             "    %c0 = const {value = 0} : i64\n"
                             "    %c1 = const {value = 1} : i64\n"
                             "    %c2 = const {value = 2} : i64\n"
                             "    %z = const {value = 0x0p+0} : f32\n"
                             "    %b = mul %pid, %c2 : i64\n"
                             "    %e2 = add %b, %c2 : i64\n"
                             "    %e = min %e2, %m : i64\n"
                             "    %buf = buffer : buffer<f32[2, 16]>\n"
                             "    for %b, %e, %c1 (%i : i64) {\n"
                             "      %bi = sub %i, %b : i64\n"
                             "      for %c0, %n, %c1 (%j0 : i64) {\n"
                             "        store %buf[%bi, %j0], %z\n"
                             "        yield\n"
                             "      }\n"
                             "      for %c0, %kk, %c1 (%k : i64) {\n"
                             "        %a = load %x[%i, %k] : f32\n"
                             "        for %c0, %n, %c1 (%j : i64) {\n"
                             "          %w = load %y[%k, %j] : f32\n"
                             "          %old = load %buf[%bi, %j] : f32\n"
                             "          %new = fma %a, %w, %old : f32\n"
                             "          store %buf[%bi, %j], %new\n"
                             "          yield\n"
                             "        }\n"
                             "        yield\n"
                             "      }\n"
                             "      for %c0, %n, %c1 (%j2 : i64) {\n"
                             "        %r = load %buf[%bi, %j2] : f32\n"
                             "        store %out[%i, %j2], %r\n"
                             "        yield\n"
                             "      }\n"
                             "      yield\n"
                             "    }\n"
                             "  }\n"
                             "}\n";

static void test_matmul(void **state) {
  (void)state;
  BOX2(x, HL_F32, 5, 7);
  BOX2(y, HL_F32, 7, 11);
  BOX2(got, HL_F32, 5, 11);
  BOX2(want, HL_F64, 5, 11);
  box_fill(&x, 1);
  box_fill(&y, 2);
  for (int64_t i = 0; i < 5; i++)
    for (int64_t j = 0; j < 11; j++) {
      double s = 0;
      for (int64_t k = 0; k < 7; k++)
        s += box_get(&x, i, k) * box_get(&y, k, j);
      box_set(&want, i, j, s);
    }
  run_ok(matmul, (hl_arg[]){arg_of(&x), arg_of(&y), arg_of(&got)}, 3, NULL);
  expect_close(&got, &want, 7);
  box_free(&x), box_free(&y), box_free(&got), box_free(&want);
}

/* iota, lane_mask and the integer reductions of a vector. */
static void test_vectors(void **state) {
  (void)state;
  static const char text[] =
      "hl 1 loop\nkernel @vectors {\n  param %n : i64 in\n  param %out : tensor<i64[6]> out\n  grid [1 / 1]\n  body {\n"
      "    %c0 = const {value = 0} : i64\n    %c1 = const {value = 1} : i64\n    %c2 = const {value = 2} : i64\n    "
      "%c3 = const {value = 3} : i64\n"
      "    %c4 = const {value = 4} : i64\n    %c5 = const {value = 5} : i64\n"
      "    %v = iota %n : i64[4]\n    %m = lane_mask %c3 : bool[4]\n    %z = broadcast %c0 {dims = []} : i64[4]\n    "
      "%w = where %m, %v, %z : i64[4]\n"
      "    %sum = reduce %w {op = sum, axes = [0]} : i64\n    store %out[%c0], %sum\n"
      "    %max = reduce %v {op = max, axes = [0]} : i64\n    store %out[%c1], %max\n"
      "    %min = reduce %v {op = min, axes = [0]} : i64\n    store %out[%c2], %min\n"
      "    %any = reduce %m {op = any, axes = [0]} : bool\n    %a = cast %any : i64\n    store %out[%c3], %a\n"
      "    %all = reduce %m {op = all, axes = [0]} : bool\n    %b = cast %all : i64\n    store %out[%c4], %b\n"
      "    %prod = reduce %v {op = prod, axes = [0]} : i64\n    store %out[%c5], %prod\n  }\n}\n";
  BOX1(out, HL_I64, 6);
  run_ok(text, (hl_arg[]){{.kind = HL_ARG_I64, .as.i64 = 10}, arg_of(&out)}, 2, NULL);
  const int64_t want[] = {33, 13, 10, 1, 0, 17160};
  for (int i = 0; i < 6; i++)
    assert_int_equal(box_get(&out, i, 0), want[i]);
  box_free(&out);
}

/* ---- faults ---- */

#define PROGRAM(lines)                                                                                                 \
  "hl 1 loop\nkernel @faulty {\n  dim N\n  param %x : tensor<f32[N]> inout\n  grid [2 / 1]\n  body {\n    %pid = "     \
  "program_id : i64\n"                                                                                                 \
  "    %n = size %x {dim = 0} : i64\n    %c0 = const {value = 0} : i64\n    %c3 = const {value = 3} : i64\n"           \
  "    %z = const {value = 0x0p+0} : f32\n" lines "  }\n}\n"

static void test_faults(void **state) {
  (void)state;
  BOX1(x, HL_F32, 8);
  box_fill(&x, 1);
  const hl_arg args[] = {arg_of(&x)};
  run_fails(PROGRAM("    %b = buffer : buffer<f32[4]>\n    %v = load %b[%c3] : f32\n"), args, 1, NULL, HL_ERR_BUILD,
            "reads element [3] of a buffer, which nothing has written\n  %v = load %b");
  run_fails(PROGRAM("    %b = buffer : buffer<f32[4]>\n    store %b[%n], %z\n"), args, 1, NULL, HL_ERR_BUILD,
            "index [8] is out of range");
  run_fails(PROGRAM("    %b = buffer : buffer<f32[8]>\n    %v = load %x[%c3:] : f32[8]\n"), args, 1, NULL, HL_ERR_BUILD,
            "index [8] is out of range");
  run_ok(PROGRAM("    %m = lane_mask %c3 : bool[8]\n    %v = load %x[%c3:], mask %m : f32[8]\n"), args, 1, NULL);
  run_ok(PROGRAM("    %m = lane_mask %c0 : bool[8]\n    %v = load %x[%n:], mask %m : f32[8]\n"), args, 1, NULL);
  /* What the program before left in the buffer is not there any more. */
  run_fails(PROGRAM("    %b = buffer : buffer<f32[2, 2]>\n    for %c0, %pid, %c3 (%i : i64) {\n      %v = load %b[%c0, "
                    "%c0] : f32\n      yield\n    }\n"
                    "    store %b[%c0, %c0], %z\n"),
            args, 1, NULL, HL_ERR_BUILD, "program 1: reads element [0, 0] of a buffer");
  /* A masked store does not count as written. */
  run_fails(PROGRAM("    %b = buffer : buffer<f32[4]>\n    %m = lane_mask %c3 : bool[4]\n    %zs = broadcast %z {dims "
                    "= []} : f32[4]\n"
                    "    store %b[%c0:], %zs, mask %m\n    %v = load %b[%c0:] : f32[4]\n"),
            args, 1, NULL, HL_ERR_BUILD, "reads element [3] of a buffer");
  run_ok(PROGRAM("    prefetch %x[%n]\n"), args, 1, NULL);
  box_free(&x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vector_add), cmocka_unit_test(test_softmax), cmocka_unit_test(test_matmul),
      cmocka_unit_test(test_vectors),    cmocka_unit_test(test_faults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
