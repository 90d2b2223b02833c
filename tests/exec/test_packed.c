/* test_packed.c: integers of 4 bits, two in a byte, and values end to end (cat), in every place; mistakes.
 *
 * ctest-timeout: 900 */
#include "tests/exec/everywhere.h"

#define I(...) ((hl_value[]){__VA_ARGS__})

enum { M = 21, N = 38, K = 26 };

static hl_builder *begin(hl_context *ctx, const char *name) {
  hl_diag d = {0};
  hl_builder *b = NULL;
  assert_int_equal(hl_builder_create(ctx, name, &d, &b), HL_OK);
  return b;
}

static int nibble(int byte, int odd, bool is_signed) {
  const int x = odd ? byte >> 4 & 15 : byte & 15;
  return is_signed && x > 7 ? x - 16 : x;
}

/* ---- loads by position, stores of pairs ---- */

/* s[i, j] = signed x[i, j], u[i, j] = unsigned; p[i, c] = the halves of x's byte c the other way round */
static hl_kernel *build_positions(hl_context *ctx) {
  hl_builder *b = begin(ctx, "positions");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), h = hl_dim_named(b, "H");
  const hl_value x = hl_param_tensor(b, "x", HL_U8, I(m, h), 2, HL_IN);
  const hl_value s = hl_param_tensor(b, "s", HL_I8, I(m, n), 2, HL_OUT);
  const hl_value u = hl_param_tensor(b, "u", HL_I32, I(m, n), 2, HL_OUT);
  const hl_value p = hl_param_tensor(b, "p", HL_U8, I(m, h), 2, HL_OUT);
  hl_value t[2], half[2];
  hl_tile_begin(b, I(hl_size(b, s, 0), hl_size(b, s, 1)), 2, t);
  hl_store(b, s, t, 2, hl_load_int4(b, x, t, 2, true));
  hl_store(b, u, t, 2, hl_load_int4(b, x, t, 2, false));
  hl_tile_end(b, NULL, NULL);
  hl_tile_begin(b, I(hl_size(b, x, 0), hl_size(b, x, 1)), 2, t);
  hl_unpack_int4(b, hl_load(b, x, t, 2), true, half);
  hl_store(b, p, t, 2, hl_pack_int4(b, half[1], half[0]));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_positions(void **state) {
  (void)state;
  static double x[M * N / 2], s[M * N], u[M * N], p[M * N / 2];
  for (int i = 0; i < M * N / 2; i++) {
    x[i] = (i * 37 + 11) % 256;
    p[i] = ((int)x[i] & 15) << 4 | (int)x[i] >> 4;
  }
  for (int i = 0; i < M * N; i++) {
    s[i] = nibble((int)x[i / 2], i % 2, true);
    u[i] = nibble((int)x[i / 2], i % 2, false);
  }
  const every_tensor t[] = {{HL_U8, 2, {M, N / 2}, x, NULL, 0},
                            {HL_I8, 2, {M, N}, NULL, s, 0},
                            {HL_I32, 2, {M, N}, NULL, u, 0},
                            {HL_U8, 2, {M, N / 2}, NULL, p, 0}};
  everywhere(build_positions, t, 4, 0);
}

/* ---- a product with packed weights ---- */

/* y[i, j] = sum over k of x[i, 2 k] low(w[k, j]) + x[i, 2 k + 1] high(w[k, j]) */
static hl_kernel *build_product(hl_context *ctx) {
  hl_builder *b = begin(ctx, "product");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), k = hl_dim_named(b, "K"), h = hl_dim_named(b, "H");
  const hl_value x = hl_param_tensor(b, "x", HL_BF16, I(m, k), 2, HL_IN);
  const hl_value w = hl_param_tensor(b, "w", HL_I8, I(h, n), 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, I(m, n), 2, HL_OUT);
  hl_value t[2], kt, acc[1], sum[1], half[2];
  hl_tile_begin(b, I(hl_size(b, y, 0), hl_size(b, y, 1)), 2, t);
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  sum[0] = hl_zeros(b, t, 2, HL_F32);
  o.carried = sum, o.carried_count = 1, o.carried_in = acc;
  hl_tile_begin_ex(b, I(hl_size(b, w, 0)), 1, &o, &kt);
  hl_unpack_int4(b, hl_load(b, w, I(kt, t[1]), 2), true, half);
  const hl_value even = hl_mul(b, hl_tile_index(b, kt), hl_const_i(b, 2));
  const hl_value at[2] = {even, hl_add(b, even, hl_const_i(b, 1))};
  sum[0] = acc[0];
  for (int i = 0; i < 2; i++)
    sum[0] = hl_dot(b, hl_load(b, x, I(t[0], at[i]), 2), hl_cast(b, half[i], HL_BF16), sum[0]);
  hl_tile_end(b, sum, sum);
  hl_store(b, y, t, 2, sum[0]);
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_product(void **state) {
  (void)state;
  static double x[M * K], w[K / 2 * N], y[M * N];
  for (int i = 0; i < M * K; i++)
    x[i] = (i * 7 + 3) % 9 - 4;
  for (int i = 0; i < K / 2 * N; i++)
    w[i] = (i * 37 + 11) % 256 - 128;
  for (int i = 0; i < M * N; i++)
    for (int k = 0; k < K; k++)
      y[i] += x[i / N * K + k] * nibble((int)w[k / 2 * N + i % N], k % 2, true);
  const every_tensor t[] = {
      {HL_BF16, 2, {M, K}, x, NULL, 0}, {HL_I8, 2, {K / 2, N}, w, NULL, 0}, {HL_F32, 2, {M, N}, NULL, y, 0}};
  everywhere(build_product, t, 3, 0);
}

/* ---- values end to end ---- */

/* y[i, :] = x[i, 0:5], w[i, :], 7 and x[i, 3:6], as f32; z[:, i] = the same along the first axis */
static hl_kernel *build_cat(hl_context *ctx) {
  hl_builder *b = begin(ctx, "cat");
  const hl_dim m = hl_dim_named(b, "M"), c = hl_dim_static(b, 11), all = hl_dim_static(b, 20);
  const hl_value x = hl_param_tensor(b, "x", HL_F32, I(m, c), 2, HL_IN);
  const hl_value w = hl_param_tensor(b, "w", HL_I32, I(m, c), 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, I(m, all), 2, HL_OUT);
  const hl_value z = hl_param_tensor(b, "z", HL_F32, I(all, m), 2, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value a = hl_load(b, x, I(i, hl_slice(b, x, 1, 0, 5, 1)), 2), d = hl_load(b, w, I(i, HL_ALL), 2);
  const hl_value seven = hl_full_like(b, hl_load(b, x, I(i, hl_slice(b, x, 1, 0, 1, 1)), 2), HL_F32, 7);
  const hl_value e = hl_load(b, x, I(i, hl_slice(b, x, 1, 3, 6, 1)), 2);
  const hl_value r = hl_cat(b, I(a, d, seven, e), 4, 1);
  hl_store(b, y, I(i, HL_ALL), 2, r);
  const uint32_t swap[2] = {1, 0};
  const hl_value parts[4] = {hl_transpose(b, a, swap), hl_transpose(b, d, swap), hl_transpose(b, seven, swap),
                             hl_transpose(b, e, swap)};
  hl_store(b, z, I(HL_ALL, i), 2, hl_cat(b, parts, 4, 0));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_cat(void **state) {
  (void)state;
  static double x[M * 11], w[M * 11], y[M * 20], z[M * 20];
  for (int i = 0; i < M * 11; i++)
    x[i] = i * 0.5, w[i] = -i;
  for (int i = 0; i < M; i++)
    for (int j = 0; j < 20; j++)
      z[j * M + i] = y[i * 20 + j] = j < 5    ? x[i * 11 + j]
                                     : j < 16 ? w[i * 11 + j - 5]
                                     : j < 17 ? 7
                                              : x[i * 11 + 3 + j - 17];
  const every_tensor t[] = {{HL_F32, 2, {M, 11}, x, NULL, 0},
                            {HL_I32, 2, {M, 11}, w, NULL, 0},
                            {HL_F32, 2, {M, 20}, NULL, y, 0},
                            {HL_F32, 2, {20, M}, NULL, z, 0}};
  everywhere(build_cat, t, 4, 0);
}

/* ---- mistakes ---- */

static hl_kernel *mistake(hl_context *ctx, int which) {
  hl_builder *b = begin(ctx, "mistake");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_static(b, 4);
  const hl_value x = hl_param_tensor(b, "x", HL_F32, I(m, n), 2, HL_IN);
  hl_value i, half[2];
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value v = hl_load(b, x, I(i, HL_ALL), 2);
  if (which == 0)
    (void)hl_load_int4(b, x, I(i, i), 2, true);
  else if (which == 1)
    (void)hl_load_int4(b, x, I(i, HL_ALL), 2, true);
  else if (which == 2)
    hl_unpack_int4(b, v, true, half);
  else if (which == 3)
    (void)hl_pack_int4(b, v, v);
  else if (which == 4)
    (void)hl_cat(b, I(v, v), 2, 0);
  else if (which == 5)
    (void)hl_cat(b, I(v, hl_reduce_sum(b, v, 1, false)), 2, 1);
  else
    (void)hl_cat(b, &v, 65, 1);
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

#define MISTAKE(n)                                                                                                     \
  static hl_kernel *mistake_##n(hl_context *ctx) {                                                                     \
    return mistake(ctx, n);                                                                                            \
  }
MISTAKE(0)
MISTAKE(1)
MISTAKE(2)
MISTAKE(3)
MISTAKE(4)
MISTAKE(5)
MISTAKE(6)

static void test_mistakes(void **state) {
  (void)state;
  build_fails(mistake_0, (const char *[]){"load_int4", "i8 or u8, not in f32", NULL});
  build_fails(mistake_1, (const char *[]){"load_int4", "last index counts integers", NULL});
  build_fails(mistake_2, (const char *[]){"unpack_int4", "i8 or u8, not in f32", NULL});
  build_fails(mistake_3, (const char *[]){"pack_int4", "operand 1 is f32", "integers", NULL});
  build_fails(mistake_4, (const char *[]){"cat: axis 0 of f32[$i", "no constant size", NULL});
  build_fails(mistake_5, (const char *[]){"cat: f32[$i, ", "f32[$i]", "but for axis 1", NULL});
  build_fails(mistake_6, (const char *[]){"cat: wants 1 to 64 values, not 65", NULL});
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_positions), cmocka_unit_test(test_product),
                                     cmocka_unit_test(test_cat), cmocka_unit_test(test_mistakes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
