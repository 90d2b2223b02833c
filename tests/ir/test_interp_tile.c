/* test_interp_tile.c: the interpreter on TILE kernels, as built and scheduled, against plain double loops
 * at odd sizes, in both modes; faults it must report. */
#include "interp_util.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const hli_interp_options exact = {.exact = true, .program_check = true};

/* ---- references ---- */

static void add_reference(const box *x, const box *y, box *want) {
  for (int64_t i = 0; i < x->shape[0]; i++)
    box_set(want, i, 0, box_get(x, i, 0) + box_get(y, i, 0));
}

static void sum_reference(const box *x, box *want) {
  for (int64_t i = 0; i < x->shape[0]; i++) {
    double s = 0;
    for (int64_t j = 0; j < x->shape[1]; j++)
      s += box_get(x, i, j) + 1;
    box_set(want, i, 0, s);
  }
}

static void softmax_reference(const box *x, box *want) {
  for (int64_t i = 0; i < x->shape[0]; i++) {
    double most = -INFINITY, s = 0;
    for (int64_t j = 0; j < x->shape[1]; j++)
      most = fmax(most, box_get(x, i, j));
    for (int64_t j = 0; j < x->shape[1]; j++)
      s += exp(box_get(x, i, j) - most);
    for (int64_t j = 0; j < x->shape[1]; j++)
      box_set(want, i, j, exp(box_get(x, i, j) - most) / s);
  }
}

static void matmul_reference(const box *x, const box *y, box *want) {
  for (int64_t i = 0; i < x->shape[0]; i++)
    for (int64_t j = 0; j < y->shape[1]; j++) {
      double s = 0;
      for (int64_t k = 0; k < x->shape[1]; k++)
        s += box_get(x, i, k) * box_get(y, k, j);
      box_set(want, i, j, s);
    }
}

/* ---- kernels ---- */

/* Exact mode writes f64 results; typed mode the kernel's dtype. */
static hl_dtype result_dtype(const hli_interp_options *o, hl_dtype typed) {
  return o && o->exact ? HL_F64 : typed;
}

static void one_add(const char *text, int64_t n, const hli_interp_options *o) {
  BOX1(x, HL_F32, n);
  BOX1(y, HL_F32, n);
  BOX1(got, result_dtype(o, HL_F32), n);
  BOX1(want, HL_F64, n);
  box_fill(&x, 1);
  box_fill(&y, 2);
  add_reference(&x, &y, &want);
  run_ok(text, (hl_arg[]){arg_of(&x), arg_of(&y), arg_of(&got)}, 3, o);
  expect_close(&got, &want, 1);
  box_free(&x), box_free(&y), box_free(&got), box_free(&want);
}

static void test_vector_add(void **state) {
  (void)state;
  const int64_t sizes[] = {1, 2, 7, 8, 9, 64, 65, 0};
  for (size_t i = 0; i < HLI_COUNT(sizes); i++) {
    one_add(text_vector_add, sizes[i], NULL);
    one_add(text_vector_add, sizes[i], &exact);
    one_add(text_vector_add_scheduled, sizes[i], NULL);
    one_add(text_vector_add_scheduled, sizes[i], &exact);
  }
}

static void one_rows(const char *text, bool softmax, int64_t m, int64_t n, const hli_interp_options *o) {
  BOX2(x, HL_F32, m, n);
  box got, want;
  const uint32_t rank = softmax ? 2 : 1;
  box_init(&got, result_dtype(o, HL_F32), rank, (int64_t[]){m, n}, NULL);
  box_init(&want, HL_F64, rank, (int64_t[]){m, n}, NULL);
  box_fill(&x, (uint64_t)(m * 100 + n));
  if (softmax)
    softmax_reference(&x, &want);
  else
    sum_reference(&x, &want);
  run_ok(text, (hl_arg[]){arg_of(&x), arg_of(&got)}, 2, o);
  expect_close(&got, &want, n);
  box_free(&x), box_free(&got), box_free(&want);
}

static void test_rows(void **state) {
  (void)state;
  const struct {
    const char *text;
    bool softmax;
  } kernels[] = {{text_row_sum, false},
                 {text_row_sum_scheduled, false},
                 {text_softmax, true},
                 {text_softmax_scheduled, true},
                 {text_softmax_chunks, true}};
  const int64_t sizes[][2] = {{1, 1}, {3, 5}, {4, 8}, {5, 17}, {7, 31}, {2, 100}};
  for (size_t k = 0; k < HLI_COUNT(kernels); k++)
    for (size_t i = 0; i < HLI_COUNT(sizes); i++) {
      one_rows(kernels[k].text, kernels[k].softmax, sizes[i][0], sizes[i][1], NULL);
      one_rows(kernels[k].text, kernels[k].softmax, sizes[i][0], sizes[i][1], &exact);
    }
}

/* An empty row sums to nothing. */
static void test_empty_rows(void **state) {
  (void)state;
  one_rows(text_row_sum, false, 3, 0, NULL);
  one_rows(text_row_sum_scheduled, false, 3, 0, NULL);
  one_rows(text_softmax, true, 3, 0, NULL);
}

static void one_matmul(const char *text, int64_t m, int64_t k, int64_t n, const hli_interp_options *o) {
  BOX2(x, HL_BF16, m, k);
  BOX2(y, HL_BF16, k, n);
  BOX2(got, result_dtype(o, HL_BF16), m, n);
  BOX2(want, HL_F64, m, n);
  box_fill(&x, 3);
  box_fill(&y, 4);
  matmul_reference(&x, &y, &want);
  run_ok(text, (hl_arg[]){arg_of(&x), arg_of(&y), arg_of(&got)}, 3, o);
  expect_close(&got, &want, k);
  box_free(&x), box_free(&y), box_free(&got), box_free(&want);
}

static void test_matmul(void **state) {
  (void)state;
  const int64_t sizes[][3] = {{1, 1, 1}, {4, 2, 8}, {5, 3, 9}, {7, 11, 13}, {8, 16, 24}};
  for (size_t i = 0; i < HLI_COUNT(sizes); i++) {
    one_matmul(text_matmul, sizes[i][0], sizes[i][1], sizes[i][2], NULL);
    one_matmul(text_matmul, sizes[i][0], sizes[i][1], sizes[i][2], &exact);
    one_matmul(text_matmul_scheduled, sizes[i][0], sizes[i][1], sizes[i][2], NULL);
    one_matmul(text_matmul_scheduled, sizes[i][0], sizes[i][1], sizes[i][2], &exact);
  }
}

/* The result does not depend on the blocks. */
static void test_blocks(void **state) {
  (void)state;
  const int64_t blocks[][4] = {{0, 1, 1, 1}, {0, 2, 7, 3}, {0, 64, 64, 64}, {0, 3, 1, 5}};
  BOX2(x, HL_BF16, 9, 14);
  BOX2(y, HL_BF16, 14, 6);
  BOX2(want, HL_F64, 9, 6);
  box_fill(&x, 5);
  box_fill(&y, 6);
  matmul_reference(&x, &y, &want);
  for (size_t i = 0; i < HLI_COUNT(blocks); i++) {
    BOX2(got, HL_BF16, 9, 6);
    const hli_interp_options o = {.blocks = blocks[i], .block_count = 4, .program_check = true};
    run_ok(text_matmul, (hl_arg[]){arg_of(&x), arg_of(&y), arg_of(&got)}, 3, &o);
    expect_close(&got, &want, 14);
    box_free(&got);
  }
  box_free(&x), box_free(&y), box_free(&want);
}

/* Column-major, padded and broadcast (stride 0) tensors. */
static void test_strides(void **state) {
  (void)state;
  box x, got;
  BOX2(want, HL_F64, 5, 9);
  box_init(&x, HL_F32, 2, (int64_t[]){5, 9}, (int64_t[]){1, 7});
  box_init(&got, HL_F32, 2, (int64_t[]){5, 9}, (int64_t[]){20, 2});
  box_fill(&x, 7);
  softmax_reference(&x, &want);
  run_ok(text_softmax, (hl_arg[]){arg_of(&x), arg_of(&got)}, 2, NULL);
  expect_close(&got, &want, 9);
  box_free(&x);
  box_init(&x, HL_F32, 2, (int64_t[]){5, 9}, (int64_t[]){0, 1});
  box_fill(&x, 8);
  softmax_reference(&x, &want);
  run_ok(text_softmax_chunks, (hl_arg[]){arg_of(&x), arg_of(&got)}, 2, NULL);
  expect_close(&got, &want, 9);
  box_free(&x), box_free(&got), box_free(&want);
}

/* Typed mode rounds each op: 2048 + 1 is 2048 in f16; exact mode keeps it. */
static void test_modes(void **state) {
  (void)state;
  static const char text[] =
      "hl 1 tile\nkernel @modes {\n  dim N\n  param %x : tensor<f16[N]> in\n  param %y : tensor<f16[N]> out\n  axis $i "
      "tile\n  body {\n"
      "    %n = size %x {dim = 0} : i64\n    %c0 = const {value = 0} : i64\n    %one = const {value = 0x1p+0} : f16\n"
      "    %big = const {value = 0x1p+11} : f16\n"
      "    tile %c0, %n {axes = [$i]} (%i : tile<$i>) {\n      %a = load %x[%i] : f16[$i]\n"
      "      %b = broadcast %big {dims = []} : f16[$i]\n      %c = add %a, %b : f16[$i]\n      %d = sub %c, %b : "
      "f16[$i]\n"
      "      store %y[%i], %d\n      yield\n    }\n  }\n}\n";
  BOX1(x, HL_F16, 4);
  BOX1(y, HL_F16, 4);
  for (int i = 0; i < 4; i++)
    box_set(&x, i, 0, 1);
  run_ok(text, (hl_arg[]){arg_of(&x), arg_of(&y)}, 2, NULL);
  assert_true(box_get(&y, 3, 0) == 0);
  run_ok(text, (hl_arg[]){arg_of(&x), arg_of(&y)}, 2, &exact);
  assert_true(box_get(&y, 3, 0) == 1);
  box_free(&x), box_free(&y);
}

/* tile_begin, tile_end, tile_id, block_size, tile_index, in_bounds; begin is not 0. */
static void test_tile_properties(void **state) {
  (void)state;
  static const char text[] =
      "hl 1 tile\nkernel @props {\n  dim N\n  param %out : tensor<i64[6, N]> out\n  axis $i tile block 4\n  body {\n"
      "    %n = size %out {dim = 1} : i64\n    %c0 = const {value = 0} : i64\n    %c1 = const {value = 1} : i64\n    "
      "%c2 = const {value = 2} : i64\n"
      "    %c3 = const {value = 3} : i64\n    %m2 = const {value = -2} : i64\n    %m1 = const {value = -1} : i64\n"
      "    tile %c2, %n {axes = [$i]} (%i : tile<$i>) {\n"
      "      %b = tile_begin %i : i64\n      %bb = broadcast %b {dims = []} : i64[$i]\n      store %out[%c0, %i], %bb\n"
      "      %e = tile_end %i : i64\n      %eb = broadcast %e {dims = []} : i64[$i]\n      store %out[%c1, %i], %eb\n"
      "      %d = tile_id %i : i64\n      %db = broadcast %d {dims = []} : i64[$i]\n      store %out[%c2, %i], %db\n"
      "      %s = block_size %i : i64\n      %sb = broadcast %s {dims = []} : i64[$i]\n      store %out[%c3, %i], %sb\n"
      "      %x = tile_index %i : i64[$i]\n      store %out[%m2, %i], %x\n"
      "      %in = in_bounds %i : bool[$i]\n      %inn = cast %in : i64[$i]\n      store %out[%m1, %i], %inn\n"
      "      yield\n    }\n  }\n}\n";
  BOX2(out, HL_I64, 6, 9);
  run_ok(text, (hl_arg[]){arg_of(&out)}, 1, NULL);
  for (int64_t i = 2; i < 9; i++) {
    const int64_t begin = i < 6 ? 2 : 6;
    assert_int_equal(box_get(&out, 0, i), begin);
    assert_int_equal(box_get(&out, 1, i), i < 6 ? 6 : 9);
    assert_int_equal(box_get(&out, 2, i), begin / 4);
    assert_int_equal(box_get(&out, 3, i), 4);
    assert_int_equal(box_get(&out, 4, i), i);
    assert_int_equal(box_get(&out, 5, i), 1);
  }
  box_free(&out);
}

/* Masks and `other`; transpose; all and any; carried values that change places. */
static void test_masked_load(void **state) {
  (void)state;
  static const char text[] =
      "hl 1 tile\nkernel @masked {\n  dim M\n  dim N\n  param %x : tensor<i32[M, N]> in\n  param %y : tensor<i32[N, "
      "M]> out\n  axis $i tile\n  axis $j tile\n  body {\n"
      "    %m = size %x {dim = 0} : i64\n    %n = size %x {dim = 1} : i64\n    %c0 = const {value = 0} : i64\n    %c2 "
      "= const {value = 2} : i64\n    %nine = const {value = 9} : i32\n"
      "    tile %c0, %c0, %m, %n {axes = [$i, $j]} (%i : tile<$i>, %j : tile<$j>) {\n"
      "      %jx = tile_index %j : i64[$j]\n      %two = broadcast %c2 {dims = []} : i64[$j]\n      %lt = lt %jx, %two "
      ": bool[$j]\n"
      "      %mask = broadcast %lt {dims = [1]} : bool[$i, $j]\n      %o = broadcast %nine {dims = []} : i32[$i, $j]\n"
      "      %v = load %x[%i, %j], mask %mask, other %o : i32[$i, $j]\n"
      "      %t = transpose %v {perm = [1, 0]} : i32[$j, $i]\n      store %y[%j, %i], %t\n      yield\n    }\n  }\n}\n";
  BOX2(x, HL_I32, 4, 7);
  BOX2(y, HL_I32, 7, 4);
  box_fill(&x, 9);
  run_ok(text, (hl_arg[]){arg_of(&x), arg_of(&y)}, 2, NULL);
  for (int64_t i = 0; i < 4; i++)
    for (int64_t j = 0; j < 7; j++)
      assert_int_equal(box_get(&y, j, i), j < 2 ? box_get(&x, i, j) : 9);
  box_free(&x), box_free(&y);
}

static void test_carried_swap(void **state) {
  (void)state;
  static const char text[] =
      "hl 1 tile\nkernel @fib {\n  param %n : i64 in\n  param %out : tensor<i64[2]> out\n  grid [1 / 1]\n  body {\n"
      "    %c0 = const {value = 0} : i64\n    %c1 = const {value = 1} : i64\n"
      "    %a, %b = for %c0, %n, %c1, %c0, %c1 (%i : i64, %p : i64, %q : i64) {\n"
      "      %s = add %p, %q : i64\n      yield %q, %s\n    } : i64, i64\n"
      "    store %out[%c0], %a\n    store %out[%c1], %b\n  }\n}\n";
  BOX1(out, HL_I64, 2);
  for (int64_t n = 0; n < 12; n++) {
    int64_t a = 0, b = 1;
    for (int64_t i = 0; i < n; i++) {
      const int64_t s = a + b;
      a = b;
      b = s;
    }
    run_ok(text, (hl_arg[]){{.kind = HL_ARG_I64, .as.i64 = n}, arg_of(&out)}, 2, NULL);
    assert_int_equal(box_get(&out, 0, 0), a);
    assert_int_equal(box_get(&out, 1, 0), b);
  }
  box_free(&out);
}

/* An axis' instance ends with its loop: what is carried along it has all lanes outside.  Its last tile has one valid
 * lane of four; the maxima of the other lanes must still be seen. */
static void test_axis_scope(void **state) {
  (void)state;
  static const char text[] =
      "hl 1 tile\nkernel @scope {\n  dim N\n  param %x : tensor<i32[N]> in\n  param %out : tensor<i32[1]> out\n  axis "
      "$g tile\n  axis $j tile block 4\n  body {\n"
      "    %n = size %x {dim = 0} : i64\n    %c0 = const {value = 0} : i64\n    %c1 = const {value = 1} : i64\n"
      "    tile %c0, %c1 {axes = [$g]} (%g : tile<$g>) {\n      %low = const {value = -1000} : i32\n      %lows = "
      "broadcast %low {dims = []} : i32[$j]\n"
      "      %m = tile %c0, %n, %lows {axes = [$j]} (%j : tile<$j>, %a : i32[$j]) {\n        %v = load %x[%j], mask "
      "%in, other %lows : i32[$j]\n"
      "        %b = max %a, %v : i32[$j]\n        yield %b\n      } : i32[$j]\n"
      "      %r = reduce %m {op = max, axes = [0]} : i32\n      store %out[%c0], %r\n      yield\n    }\n  }\n}\n";
  char full[2048];
  const char *load = strstr(text, "        %v = load");
  snprintf(full, sizeof full, "%.*s        %%in = in_bounds %%j : bool[$j]\n%s", (int)(load - text), text, load);
  BOX1(x, HL_I32, 9);
  BOX1(out, HL_I32, 1);
  for (int64_t i = 0; i < 9; i++)
    box_set(&x, i, 0, i == 6 ? 70 : (double)i - 20);
  run_ok(full, (hl_arg[]){arg_of(&x), arg_of(&out)}, 2, NULL);
  assert_int_equal(box_get(&out, 0, 0), 70);
  box_free(&x), box_free(&out);
}

/* Bounds at the ends of i64 wrap nothing. */
static void test_extremes(void **state) {
  (void)state;
  static const char text[] =
      "hl 1 tile\nkernel @far {\n  param %b : i64 in\n  param %e : i64 in\n  param %out : tensor<i64[4]> out\n  axis "
      "$i tile block 8\n  grid [1 / 1]\n  body {\n"
      "    %c0 = const {value = 0} : i64\n    %c1 = const {value = 1} : i64\n    %c2 = const {value = 2} : i64\n    "
      "%step = const {value = 4611686018427387904} : i64\n"
      "    %i = range %b, %e {axis = $i} : tile<$i>\n    %in = in_bounds %i : bool[$i]\n    %inn = cast %in : i64[$i]\n"
      "    %s = reduce %inn {op = sum, axes = [0]} : i64\n    store %out[%c0], %s\n    %end = tile_end %i : i64\n    "
      "store %out[%c1], %end\n"
      "    %n = for %b, %e, %step, %c0 (%iv : i64, %a : i64) {\n      %next = add %a, %c1 : i64\n      yield %next\n   "
      " } : i64\n    store %out[%c2], %n\n  }\n}\n";
  const struct {
    int64_t begin, end, lanes, last, trips;
  } rows[] = {{INT64_MIN, INT64_MAX, 8, INT64_MIN + 8, 4},
              {INT64_MAX - 3, INT64_MAX, 3, INT64_MAX, 1},
              {INT64_MAX, INT64_MIN, 0, INT64_MIN, 0},
              {0, 8, 8, 8, 1}};
  BOX1(out, HL_I64, 4);
  for (size_t i = 0; i < HLI_COUNT(rows); i++) {
    const hl_arg args[] = {
        {.kind = HL_ARG_I64, .as.i64 = rows[i].begin}, {.kind = HL_ARG_I64, .as.i64 = rows[i].end}, arg_of(&out)};
    run_ok(text, args, 3, NULL);
    const int64_t *got = out.t.data;
    assert_true(got[0] == rows[i].lanes && got[1] == rows[i].last && got[2] == rows[i].trips);
  }
  box_free(&out);
}

/* ---- faults ---- */

static void test_guards(void **state) {
  (void)state;
  BOX1(x, HL_F32, 5);
  BOX1(y, HL_F32, 6);
  BOX1(z, HL_F64, 5);
  BOX2(m, HL_F32, 5, 1);
  const hl_arg good = arg_of(&x), scalar = {.kind = HL_ARG_I64};
  run_fails(text_vector_add, (hl_arg[]){good, arg_of(&y), good}, 3, NULL, HL_ERR_GUARD,
            "parameter 'y': dimension 0 ('N') has size 6, but 5");
  run_fails(text_vector_add, (hl_arg[]){good, arg_of(&z), good}, 3, NULL, HL_ERR_GUARD, "f64");
  run_fails(text_vector_add, (hl_arg[]){good, arg_of(&m), good}, 3, NULL, HL_ERR_GUARD, "rank");
  run_fails(text_vector_add, (hl_arg[]){good, scalar, good}, 3, NULL, HL_ERR_ARG, "tensor");
  run_fails(text_vector_add, (hl_arg[]){good, good}, 2, NULL, HL_ERR_ARG, "3 parameters");
  x.shape[0] = -1;
  run_fails(text_vector_add, (hl_arg[]){good, good, good}, 3, NULL, HL_ERR_ARG, "negative size");
  x.shape[0] = 5;
  x.t.device.type = HL_DEVICE_CUDA;
  run_fails(text_vector_add, (hl_arg[]){good, good, good}, 3, NULL, HL_ERR_ARG, "host memory");
  box_free(&x), box_free(&y), box_free(&z), box_free(&m);
}

/* A specialised kernel holds for its strides only; of a tensor without elements they do not matter. */
static void test_stride_guard(void **state) {
  (void)state;
  static const char text[] = "hl 1 tile\nkernel @strided {\n  dim M\n  dim N\n"
                             "  param %x : tensor<f32[M, N]> in strides [6, 1]\n  param %out : tensor<f32[1]> out\n"
                             "  grid [1 / 1]\n  body {\n    %c0 = const {value = 0} : i64\n"
                             "    %z = const {value = 0x0p+0} : f32\n    store %out[%c0], %z\n  }\n}\n";
  box x;
  BOX1(out, HL_F32, 1);
  const struct {
    int64_t m, n, row;
    bool ok;
  } rows[] = {{3, 6, 6, true}, {3, 5, 6, true}, {3, 5, 5, false}, {1, 5, 5, true}, {3, 0, 0, true}};
  for (size_t i = 0; i < HLI_COUNT(rows); i++) {
    box_init(&x, HL_F32, 2, (int64_t[]){rows[i].m, rows[i].n}, (int64_t[]){rows[i].row, 1});
    if (rows[i].ok)
      run_ok(text, (hl_arg[]){arg_of(&x), arg_of(&out)}, 2, NULL);
    else
      run_fails(text, (hl_arg[]){arg_of(&x), arg_of(&out)}, 2, NULL, HL_ERR_GUARD,
                "dimension 0 has stride 5, the kernel was specialised for 6");
    box_free(&x);
  }
  box_free(&out);
}

static void test_out_of_range(void **state) {
  (void)state;
  static const char text[] = "hl 1 tile\nkernel @beyond {\n  dim N\n  dim M\n  param %x : tensor<f32[N]> in\n  param "
                             "%out : tensor<f32[M]> out\n  axis $i tile block 4\n  body {\n"
                             "    %n = size %x {dim = 0} : i64\n    %c0 = const {value = 0} : i64\n"
                             "    tile %c0, %n {axes = [$i]} (%i : tile<$i>) {\n      %a = load %x[%i] : f32[$i]\n     "
                             " store %out[%i], %a\n      yield\n    }\n  }\n}\n";
  BOX1(x, HL_F32, 10);
  BOX1(out, HL_F32, 9);
  BOX1(wide, HL_F32, 10);
  box_fill(&x, 1);
  run_ok(text, (hl_arg[]){arg_of(&x), arg_of(&wide)}, 2, NULL);
  run_fails(text, (hl_arg[]){arg_of(&x), arg_of(&out)}, 2, NULL, HL_ERR_BUILD,
            "program 2: index [9] is out of range: dimension 0 has size 9\n  store %out");
  box_free(&x), box_free(&out), box_free(&wide);
}

static void test_dropped_check(void **state) {
  (void)state;
  static const char text[] = "hl 1 tile\nkernel @unchecked {\n  dim N\n  param %x : tensor<f32[N]> in\n  param %out : "
                             "tensor<f32[N]> out\n  axis $i tile block 4\n  grid [N / 4]\n  body {\n"
                             "    %pid = program_id : i64\n    %n = size %x {dim = 0} : i64\n    %c4 = const {value = "
                             "4} : i64\n    %b = mul %pid, %c4 : i64\n"
                             "    %i = range %b, %n {axis = $i} : tile<$i>\n    %a = load %x[%i] {check = [0]} : "
                             "f32[$i]\n    store %out[%i], %a {check = [0]}\n  }\n}\n";
  BOX1(x, HL_F32, 8);
  BOX1(y, HL_F32, 9);
  box_fill(&x, 1);
  box_fill(&y, 1);
  run_ok(text, (hl_arg[]){arg_of(&x), arg_of(&x)}, 2, NULL);
  run_fails(text, (hl_arg[]){arg_of(&y), arg_of(&y)}, 2, NULL, HL_ERR_BUILD, "check was dropped");
  box_free(&x), box_free(&y);
}

/* check = 2: a tile inside or outside as a whole; outside it loads 0. */
static void test_whole_check(void **state) {
  (void)state;
  static const char text[] = "hl 1 tile\nkernel @whole {\n  dim N\n  param %x : tensor<i32[N]> in\n"
                             "  param %out : tensor<i32[1]> out\n  axis $i tile block 4\n  grid [1 / 1]\n  body {\n"
                             "    %n = size %x {dim = 0} : i64\n    %c0 = const {value = 0} : i64\n"
                             "    %c4 = const {value = 4} : i64\n    %c12 = const {value = 12} : i64\n"
                             "    %z = const {value = 0} : i32\n"
                             "    %s = for %c0, %c12, %c4, %z (%b : i64, %a : i32) {\n"
                             "      %i = range %b, %n {axis = $i} : tile<$i>\n"
                             "      %v = load %x[%i] {check = [2]} : i32[$i]\n"
                             "      %r = reduce %v {op = sum, axes = [0]} : i32\n      %t = add %a, %r : i32\n"
                             "      yield %t\n    } : i32\n    store %out[%c0], %s\n  }\n}\n";
  BOX1(x, HL_I32, 8);
  BOX1(y, HL_I32, 9);
  BOX1(out, HL_I32, 1);
  for (int i = 0; i < 8; i++)
    box_set(&x, i, 0, i);
  box_fill(&y, 1);
  run_ok(text, (hl_arg[]){arg_of(&x), arg_of(&out)}, 2, NULL);
  assert_int_equal(box_get(&out, 0, 0), 28);
  run_fails(text, (hl_arg[]){arg_of(&y), arg_of(&out)}, 2, NULL, HL_ERR_BUILD, "1 of the tile's 4 lanes lie inside");
  box_free(&x), box_free(&y), box_free(&out);
}

static void test_steps(void **state) {
  (void)state;
  BOX1(x, HL_F32, 40);
  box_fill(&x, 1);
  const hli_interp_options few = {.max_steps = 20}, many = {.max_steps = 1000};
  run_fails(text_vector_add, (hl_arg[]){arg_of(&x), arg_of(&x), arg_of(&x)}, 3, &few, HL_ERR_LIMIT, "more than 20 ops");
  run_ok(text_vector_add, (hl_arg[]){arg_of(&x), arg_of(&x), arg_of(&x)}, 3, &many);
  box_free(&x);
}

/* Every program writes element 0: the same value is fine, its own id is not; nor may it read what another wrote. */
static void test_program_check(void **state) {
  (void)state;
#define PROGRAMS(lines)                                                                                                \
  "hl 1 tile\nkernel @collide {\n  param %out : tensor<i64[8]> inout\n  grid [4 / 1]\n  body {\n    %pid = "           \
  "program_id : i64\n"                                                                                                 \
  "    %c0 = const {value = 0} : i64\n    %c1 = const {value = 1} : i64\n" lines "  }\n}\n"
  static const char same[] = PROGRAMS("    store %out[%c0], %c1\n"), differ[] = PROGRAMS("    store %out[%c0], %pid\n");
  static const char reads[] =
      PROGRAMS("    %p = add %pid, %c1 : i64\n    store %out[%p], %c1\n    %v = load %out[%pid] : i64\n");
  static const char overwrites[] =
      PROGRAMS("    %p = add %pid, %c1 : i64\n    %v = load %out[%p] : i64\n    store %out[%pid], %v\n");
  const hli_interp_options off = {0};
  BOX1(out, HL_I64, 8);
  box_fill(&out, 1);
  const hl_arg args[] = {arg_of(&out)};
  run_ok(same, args, 1, NULL);
  run_fails(differ, args, 1, NULL, HL_ERR_BUILD, "another program wrote differently: [0], which program 0");
  run_ok(differ, args, 1, &off);
  run_fails(reads, args, 1, NULL, HL_ERR_BUILD, "reads an element written by another program");
  run_fails(overwrites, args, 1, NULL, HL_ERR_BUILD, "writes an element read by another program");
  box_free(&out);
}

static void test_bad_step(void **state) {
  (void)state;
  static const char text[] = "hl 1 tile\nkernel @stuck {\n  param %s : i64 in\n  grid [1 / 1]\n  body {\n    %c0 = "
                             "const {value = 0} : i64\n    %c9 = const {value = 9} : i64\n"
                             "    for %c0, %c9, %s (%i : i64) {\n      yield\n    }\n  }\n}\n";
  run_fails(text, (hl_arg[]){{.kind = HL_ARG_I64, .as.i64 = 0}}, 1, NULL, HL_ERR_BUILD, "step is 0");
  run_ok(text, (hl_arg[]){{.kind = HL_ARG_I64, .as.i64 = INT64_MAX}}, 1, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vector_add),   cmocka_unit_test(test_rows),
      cmocka_unit_test(test_empty_rows),   cmocka_unit_test(test_matmul),
      cmocka_unit_test(test_blocks),       cmocka_unit_test(test_strides),
      cmocka_unit_test(test_modes),        cmocka_unit_test(test_tile_properties),
      cmocka_unit_test(test_masked_load),  cmocka_unit_test(test_carried_swap),
      cmocka_unit_test(test_guards),       cmocka_unit_test(test_out_of_range),
      cmocka_unit_test(test_stride_guard), cmocka_unit_test(test_dropped_check),
      cmocka_unit_test(test_steps),        cmocka_unit_test(test_program_check),
      cmocka_unit_test(test_bad_step),     cmocka_unit_test(test_axis_scope),
      cmocka_unit_test(test_extremes),     cmocka_unit_test(test_whole_check),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
