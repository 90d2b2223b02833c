/* test_memory.c: what may stand between the brackets of a load or store: moved tiles, slices, new axes, gathers and
 * scatters, masks, in every place that runs kernels; and what the builder says of mistakes.
 *
 * ctest-timeout: 900 */
#include "tests/exec/everywhere.h"

#include <math.h>

#define I(...)   ((hl_value[]){__VA_ARGS__})
#define COUNT(a) (uint32_t)(sizeof(a) / sizeof(a)[0])

enum { M = 37, N = 50, V = 11 };

static hl_builder *begin(hl_context *ctx, const char *name) {
  hl_diag d = {0};
  hl_builder *b = NULL;
  assert_int_equal(hl_builder_create(ctx, name, &d, &b), HL_OK);
  return b;
}

static double number(int64_t i) {
  return (double)((i * 7919 + 13) % 1009) / 512 - 1;
}

static void numbers(double *x, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    x[i] = (double)(float)number(i);
}

/* ---- moved tiles ---- */

/* y[i] = x[i - 2] + 10 x[i + 3] + 100 x[2 i - 9], with 0 outside of x */
static hl_kernel *build_moved(hl_context *ctx) {
  hl_builder *b = begin(ctx, "moved");
  const hl_dim m = hl_dim_named(b, "M");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, &m, 1, HL_IN), y = hl_param_tensor(b, "y", HL_F32, &m, 1, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value at = hl_tile_index(b, i);
  hl_value v = hl_load(b, x, I(hl_sub(b, at, hl_const_i(b, 2))), 1);
  v = hl_add(b, v, hl_mul(b, hl_load(b, x, I(hl_add(b, at, hl_const_i(b, 3))), 1), hl_const_f(b, 10)));
  const hl_value twice = hl_sub(b, hl_mul(b, at, hl_const_i(b, 2)), hl_const_i(b, 9));
  v = hl_add(b, v, hl_mul(b, hl_load(b, x, &twice, 1), hl_const_f(b, 100)));
  hl_store(b, y, &i, 1, v);
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static double inside(const double *x, int64_t n, int64_t i) {
  return i >= 0 && i < n ? x[i] : 0;
}

static void test_moved(void **state) {
  (void)state;
  static const int64_t sizes[] = {1, 2, 37, 300};
  for (uint32_t s = 0; s < COUNT(sizes); s++) {
    double x[300], want[300];
    const int64_t n = sizes[s];
    numbers(x, n);
    for (int64_t i = 0; i < n; i++)
      want[i] = inside(x, n, i - 2) + 10 * inside(x, n, i + 3) + 100 * inside(x, n, 2 * i - 9);
    const every_tensor t[] = {{HL_F32, 1, {n}, x, NULL, 0}, {HL_F32, 1, {n}, NULL, want, 1e-4}};
    everywhere(build_moved, t, 2, 0);
  }
}

/* y[i + 1] = x[i], y[0] stays; the last one falls off the end */
static hl_kernel *build_moved_store(hl_context *ctx) {
  hl_builder *b = begin(ctx, "moved_store");
  const hl_dim m = hl_dim_named(b, "M");
  const hl_value x = hl_param_tensor(b, "x", HL_BF16, &m, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_BF16, &m, 1, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  hl_store(b, y, I(hl_add(b, hl_tile_index(b, i), hl_const_i(b, 1))), 1, hl_load(b, x, &i, 1));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_moved_store(void **state) {
  (void)state;
  double x[M], y[M], want[M];
  for (int i = 0; i < M; i++)
    x[i] = i, y[i] = -5, want[i] = i ? i - 1 : -5;
  const every_tensor t[] = {{HL_BF16, 1, {M}, x, NULL, 0}, {HL_BF16, 1, {M}, y, want, 0}};
  everywhere(build_moved_store, t, 2, 0);
}

/* ---- gathers ---- */

/* y[i, :] = w[ids[i], :] */
static hl_kernel *build_rows(hl_context *ctx) {
  hl_builder *b = begin(ctx, "rows");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), v = hl_dim_named(b, "V");
  const hl_value ids = hl_param_tensor(b, "ids", HL_I32, &m, 1, HL_IN);
  const hl_value w = hl_param_tensor(b, "w", HL_F32, (hl_dim[]){v, n}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, (hl_dim[]){m, n}, 2, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, ids, 0)), 1, &i);
  hl_store(b, y, I(i, HL_ALL), 2, hl_load(b, w, I(hl_load(b, ids, &i, 1), HL_ALL), 2));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

/* Negative indices count from the end; what is outside then is masked. */
static int64_t from_end(int64_t i, int64_t n) {
  i += i < 0 ? n : 0;
  return i < 0 || i >= n ? -1 : i;
}

static const double wild[] = {0, 10, -1, -11, -12, 11, 1e9, -1e9, 3, 5};

static void test_rows(void **state) {
  (void)state;
  static double ids[M], w[V * N], want[M * N];
  numbers(w, V * N);
  for (int i = 0; i < M; i++) {
    ids[i] = wild[i % COUNT(wild)];
    const int64_t row = from_end((int64_t)ids[i], V);
    for (int j = 0; j < N; j++)
      want[i * N + j] = row < 0 ? 0 : w[row * N + j];
  }
  const every_tensor t[] = {
      {HL_I32, 1, {M}, ids, NULL, 0}, {HL_F32, 2, {V, N}, w, NULL, 0}, {HL_F32, 2, {M, N}, NULL, want, 0}};
  everywhere(build_rows, t, 3, 0);
}

/* out[i] = sum over j of x[i, idx[i, j]] + x[u[j], i]: the gathers' lanes beyond the end do not take part */
static hl_kernel *build_pairs(hl_context *ctx) {
  hl_builder *b = begin(ctx, "pairs");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), v = hl_dim_named(b, "V");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value idx = hl_param_tensor(b, "idx", HL_I16, (hl_dim[]){m, v}, 2, HL_IN);
  const hl_value u = hl_param_tensor(b, "u", HL_U8, &v, 1, HL_IN);
  const hl_value out = hl_param_tensor(b, "out", HL_F32, &m, 1, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value row = hl_unsqueeze(b, hl_tile_index(b, i), 1); /* [$i, 1] against [$i, $V]: as in NumPy */
  const hl_value a = hl_load(b, x, I(row, hl_load(b, idx, I(i, HL_ALL), 2)), 2);
  const hl_value c = hl_load(b, x, I(hl_unsqueeze(b, hl_load(b, u, I(HL_ALL), 1), 0), row), 2);
  hl_store(b, out, &i, 1, hl_reduce_sum(b, hl_add(b, hl_add(b, a, c), hl_const_f(b, 1)), 1, false));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_pairs(void **state) {
  (void)state;
  static double x[M * N], idx[M * V], u[V], want[M];
  numbers(x, M * N);
  for (int j = 0; j < V; j++)
    u[j] = j * 5;
  for (int i = 0; i < M; i++) {
    want[i] = V;
    for (int j = 0; j < V; j++) {
      idx[i * V + j] = (i * 3 + j * 17) % (3 * N) - N;
      const int64_t at = from_end((int64_t)idx[i * V + j], N);
      want[i] += (at < 0 ? 0 : x[i * N + at]) + (u[j] < M ? x[(int)u[j] * N + i] : 0);
    }
  }
  const every_tensor t[] = {{HL_F32, 2, {M, N}, x, NULL, 0},
                            {HL_I16, 2, {M, V}, idx, NULL, 0},
                            {HL_U8, 1, {V}, u, NULL, 0},
                            {HL_F32, 1, {M}, NULL, want, 1e-4}};
  everywhere(build_pairs, t, 4, 0);
}

/* y[perm[i], j] = x[i, j]; indices outside write nothing */
static hl_kernel *build_scatter(hl_context *ctx) {
  hl_builder *b = begin(ctx, "scatter");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value perm = hl_param_tensor(b, "perm", HL_I64, &m, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, (hl_dim[]){m, n}, 2, HL_OUT);
  hl_value t[2];
  hl_tile_begin(b, I(hl_size(b, x, 0), hl_size(b, x, 1)), 2, t);
  hl_store(b, y, I(hl_load(b, perm, t, 1), t[1]), 2, hl_load(b, x, t, 2));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_scatter(void **state) {
  (void)state;
  static double x[M * N], perm[M], y[M * N], want[M * N];
  numbers(x, M * N);
  for (int i = 0; i < M * N; i++)
    y[i] = want[i] = -7;
  for (int i = 0; i < M; i++) {
    perm[i] = (i * 5) % M - (i % 3 == 0 ? M : 0) + (i % 7 == 6 ? 1000 : 0);
    const int64_t row = from_end((int64_t)perm[i], M);
    for (int j = 0; j < N && row >= 0; j++)
      want[row * N + j] = x[i * N + j];
  }
  const every_tensor t[] = {
      {HL_F32, 2, {M, N}, x, NULL, 0}, {HL_I64, 1, {M}, perm, NULL, 0}, {HL_F32, 2, {M, N}, y, want, 0}};
  everywhere(build_scatter, t, 3, 0);
}

/* ---- slices ---- */

/* The two halves of a row change places; every third element of the first half is negated on the way, counted from its
 * end. */
static hl_kernel *build_halves(hl_context *ctx) {
  hl_builder *b = begin(ctx, "halves");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_static(b, N);
  const hl_value x = hl_param_tensor(b, "x", HL_F32, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, (hl_dim[]){m, n}, 2, HL_OUT);
  const hl_value z = hl_param_tensor(b, "z", HL_F32, (hl_dim[]){m, hl_dim_static(b, 9)}, 2, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value low = hl_slice(b, x, 1, HL_SLICE_OPEN, N / 2, 1), high = hl_slice(b, x, 1, -N / 2, HL_SLICE_OPEN, 1);
  const hl_value a = hl_load(b, x, I(i, low), 2), c = hl_load(b, x, I(i, high), 2);
  hl_store(b, y, I(i, low), 2, c);
  hl_store(b, y, I(i, high), 2, hl_add(b, a, hl_reduce_sum(b, c, 1, true)));
  hl_store(b, z, I(i, HL_ALL), 2, hl_neg(b, hl_load(b, x, I(i, hl_slice(b, x, 1, 24, HL_SLICE_OPEN, -3)), 2)));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_halves(void **state) {
  (void)state;
  static double x[M * N], y[M * N], z[M * 9];
  numbers(x, M * N);
  for (int i = 0; i < M; i++) {
    double sum = 0;
    for (int j = N / 2; j < N; j++)
      sum += x[i * N + j];
    for (int j = 0; j < N; j++)
      y[i * N + j] = j < N / 2 ? x[i * N + j + N / 2] : x[i * N + j - N / 2] + sum;
    for (int j = 0; j < 9; j++)
      z[i * 9 + j] = -x[i * N + 24 - 3 * j];
  }
  const every_tensor t[] = {
      {HL_F32, 2, {M, N}, x, NULL, 0}, {HL_F32, 2, {M, N}, NULL, y, 1e-4}, {HL_F32, 2, {M, 9}, NULL, z, 0}};
  everywhere(build_halves, t, 3, 0);
}

/* Interleaved pairs (a, c) become (a - c, a + c), in place; H is a named dimension. */
static hl_kernel *build_interleaved(hl_context *ctx) {
  hl_builder *b = begin(ctx, "interleaved");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), h = hl_dim_named(b, "H");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, (hl_dim[]){m, n}, 2, HL_INOUT);
  const hl_value w = hl_param_tensor(b, "w", HL_F32, &h, 1, HL_IN);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value even = hl_slice_dim(b, hl_const_i(b, 0), h, 2), odd = hl_slice_dim(b, hl_const_i(b, 1), h, 2);
  const hl_value a = hl_mul(b, hl_load(b, x, I(i, even), 2), hl_load(b, w, I(HL_ALL), 1));
  const hl_value c = hl_load(b, x, I(i, odd), 2);
  hl_store(b, x, I(i, even), 2, hl_sub(b, a, c));
  hl_store(b, x, I(i, odd), 2, hl_add(b, a, c));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_interleaved(void **state) {
  (void)state;
  static double x[M * N], w[N / 2], want[M * N];
  numbers(x, M * N);
  for (int j = 0; j < N / 2; j++)
    w[j] = 1 + j % 3;
  for (int i = 0; i < M * N; i += 2) {
    const double a = x[i] * w[i % N / 2], c = x[i + 1];
    want[i] = a - c;
    want[i + 1] = a + c;
  }
  const every_tensor t[] = {{HL_F32, 2, {M, N}, x, want, 1e-5}, {HL_F32, 1, {N / 2}, w, NULL, 0}};
  everywhere(build_interleaved, t, 2, 0);
}

/* ---- new axes, dimensions of size 1, masks ---- */

/* out[i, j] = a[i] * c[0, j] (mask: j even, other 3), and d[i] = c[0, 0] everywhere but where i is a multiple of 3 */
static hl_kernel *build_axes(hl_context *ctx) {
  hl_builder *b = begin(ctx, "axes");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), one = hl_dim_static(b, 1);
  const hl_value a = hl_param_tensor(b, "a", HL_F32, &m, 1, HL_IN);
  const hl_value c = hl_param_tensor(b, "c", HL_F32, (hl_dim[]){one, n}, 2, HL_IN);
  const hl_value out = hl_param_tensor(b, "out", HL_F32, (hl_dim[]){m, n}, 2, HL_OUT);
  const hl_value d = hl_param_tensor(b, "d", HL_F32, &m, 1, HL_OUT);
  hl_value t[2];
  hl_tile_begin(b, I(hl_size(b, a, 0), hl_size(b, c, 1)), 2, t);
  const hl_value two = hl_const_i(b, 2), zero = hl_const_i(b, 0);
  const hl_value even = hl_eq(b, hl_rem(b, hl_tile_index(b, t[1]), two), zero);
  hl_access_options o = HL_ACCESS_OPTIONS_INIT;
  o.mask = even;
  o.other = hl_const_f(b, 3);
  o.evict = HL_EVICT_FIRST;
  const hl_value x = hl_load(b, a, I(t[0], HL_NEW), 2), y = hl_load_ex(b, c, t, 2, &o);
  o = (hl_access_options)HL_ACCESS_OPTIONS_INIT;
  o.evict = HL_EVICT_LAST;
  hl_store_ex(b, out, I(t[0], HL_NEW, t[1]), 3, hl_unsqueeze(b, hl_mul(b, x, y), 1), &o);
  const hl_value third = hl_ne(b, hl_rem(b, hl_tile_index(b, t[0]), hl_const_i(b, 3)), zero);
  hl_store_masked(b, d, I(HL_NEW, t[0]), 2, hl_load(b, c, I(t[0], zero), 2), third);
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_axes(void **state) {
  (void)state;
  static double a[M], c[N], out[M * N], d[M], want[M];
  numbers(a, M);
  numbers(c, N);
  for (int i = 0; i < M; i++) {
    d[i] = 9;
    want[i] = i % 3 ? c[0] : 9;
    for (int j = 0; j < N; j++)
      out[i * N + j] = a[i] * (j % 2 ? 3 : c[j]);
  }
  const every_tensor t[] = {{HL_F32, 1, {M}, a, NULL, 0},
                            {HL_F32, 2, {1, N}, c, NULL, 0},
                            {HL_F32, 2, {M, N}, NULL, out, 1e-6},
                            {HL_F32, 1, {M}, d, want, 0}};
  everywhere(build_axes, t, 4, 0);
}

/* A masked gather with `other`, a masked scatter: y[i] = ids[i] < 0 ? -1 : w[ids[i]]; z[ids[i]] = i where i < 20 */
static hl_kernel *build_masked_gather(hl_context *ctx) {
  hl_builder *b = begin(ctx, "masked_gather");
  const hl_dim m = hl_dim_named(b, "M"), v = hl_dim_named(b, "V");
  const hl_value ids = hl_param_tensor(b, "ids", HL_I64, &m, 1, HL_IN);
  const hl_value w = hl_param_tensor(b, "w", HL_F16, &v, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F16, &m, 1, HL_OUT);
  const hl_value z = hl_param_tensor(b, "z", HL_I32, &m, 1, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, ids, 0)), 1, &i);
  const hl_value id = hl_load(b, ids, &i, 1), at = hl_tile_index(b, i);
  hl_store(b, y, &i, 1, hl_load_masked(b, w, &id, 1, hl_ge(b, id, hl_const_i(b, 0)), hl_const_f(b, -1)));
  hl_store_masked(b, z, &id, 1, at, hl_lt(b, at, hl_const_i(b, 20)));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_masked_gather(void **state) {
  (void)state;
  static double ids[M], w[V], y[M], z[M], want[M];
  numbers(w, V);
  for (int j = 0; j < V; j++)
    w[j] = j;
  for (int i = 0; i < M; i++)
    z[i] = want[i] = -3;
  for (int i = 0; i < M; i++) {
    ids[i] = (i * 2) % M - 5;
    y[i] = ids[i] < 0 || ids[i] >= V ? -1 : w[(int)ids[i]];
    if (i < 20)
      want[from_end((int64_t)ids[i], M)] = i;
  }
  const every_tensor t[] = {{HL_I64, 1, {M}, ids, NULL, 0},
                            {HL_F16, 1, {V}, w, NULL, 0},
                            {HL_F16, 1, {M}, NULL, y, 0},
                            {HL_I32, 1, {M}, z, want, 0}};
  everywhere(build_masked_gather, t, 4, 0);
}

/* ---- one program sees its own stores ---- */

/* y = x, reversed through y itself: y[i, :] = x[i, :]; y[i, :] = y[i, N - 1 - j] + 1 */
static hl_kernel *build_own_stores(hl_context *ctx) {
  hl_builder *b = begin(ctx, "own_stores");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, (hl_dim[]){m, n}, 2, HL_INOUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  hl_store(b, y, I(i, HL_ALL), 2, hl_load(b, x, I(i, HL_ALL), 2));
  const hl_value last = hl_sub(b, hl_size(b, x, 1), hl_const_i(b, 1));
  const hl_value back = hl_load(b, y, I(i, hl_slice_dim(b, last, n, -1)), 2);
  hl_store(b, y, I(i, HL_ALL), 2, hl_add(b, back, hl_const_f(b, 1)));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_own_stores(void **state) {
  (void)state;
  static double x[M * N], y[M * N], want[M * N];
  numbers(x, M * N);
  for (int i = 0; i < M * N; i++)
    y[i] = 0, want[i] = (double)((float)x[i / N * N + N - 1 - i % N] + 1.0f);
  const every_tensor t[] = {{HL_F32, 2, {M, N}, x, NULL, 0}, {HL_F32, 2, {M, N}, y, want, 1e-6}};
  everywhere(build_own_stores, t, 2, 0);
}

/* ---- more of them than one nest of loops takes ---- */

enum { MANY = 80 };

/* out[r, i, :] = x[i, :] * r; of every 16th r sums[r / 16, i] = sum of x[i, :] * r */
static hl_kernel *build_many(hl_context *ctx) {
  hl_builder *b = begin(ctx, "many");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), r = hl_dim_static(b, MANY);
  const hl_value x = hl_param_tensor(b, "x", HL_F32, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value out = hl_param_tensor(b, "out", HL_F32, (hl_dim[]){r, m, n}, 3, HL_OUT);
  const hl_value sums = hl_param_tensor(b, "sums", HL_F32, (hl_dim[]){hl_dim_static(b, MANY / 16), m}, 2, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value v = hl_load(b, x, I(i, HL_ALL), 2);
  for (int64_t k = 0; k < MANY; k++) {
    const hl_value y = hl_mul(b, v, hl_const_f(b, (double)k));
    hl_store(b, out, I(hl_const_i(b, k), i, HL_ALL), 3, y);
    if (k % 16 == 0)
      hl_store(b, sums, I(hl_const_i(b, k / 16), i), 2, hl_reduce_sum(b, y, 1, false));
  }
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_many(void **state) {
  (void)state;
  static double x[5 * V], out[MANY * 5 * V], sums[MANY / 16 * 5];
  numbers(x, 5 * V);
  for (int k = 0; k < MANY; k++)
    for (int i = 0; i < 5; i++)
      for (int j = 0; j < V; j++) {
        out[(k * 5 + i) * V + j] = x[i * V + j] * k;
        sums[k / 16 * 5 + i] += k % 16 ? 0 : x[i * V + j] * k;
      }
  const every_tensor t[] = {{HL_F32, 2, {5, V}, x, NULL, 0},
                            {HL_F32, 3, {MANY, 5, V}, NULL, out, 1e-4},
                            {HL_F32, 2, {MANY / 16, 5}, NULL, sums, 1e-3}};
  everywhere(build_many, t, 3, 0);
}

/* ---- gathers of values ---- */

/* y[i, k] = e[i, idx[i, k]] / sum of e[i, :], e = exp(x); columns first, too: z[i] = x[V - 1 - i], of a whole tile */
static hl_kernel *build_value_gather(hl_context *ctx) {
  hl_builder *b = begin(ctx, "value_gather");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), v = hl_dim_named(b, "V");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value idx = hl_param_tensor(b, "idx", HL_I32, (hl_dim[]){m, v}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, (hl_dim[]){m, v}, 2, HL_OUT);
  const hl_value z = hl_param_tensor(b, "z", HL_F32, (hl_dim[]){m, n}, 2, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value e = hl_exp(b, hl_load(b, x, I(i, HL_ALL), 2)), sum = hl_reduce_sum(b, e, 1, false);
  const hl_value picked = hl_gather(b, e, -1, hl_load(b, idx, I(i, HL_ALL), 2));
  hl_store(b, y, I(i, HL_ALL), 2, hl_div(b, picked, hl_subscript(b, sum, I(HL_ALL, HL_NEW), 2)));
  const hl_value last = hl_sub(b, hl_size(b, x, 1), hl_const_i(b, 1));
  const hl_value columns = hl_tile_index(b, i); /* any index will do: the row's own number, counted from the end */
  const hl_value back = hl_subscript(b, hl_sub(b, last, columns), I(HL_ALL, HL_NEW), 2);
  const hl_value spread = hl_add(b, back, hl_cast(b, hl_mul(b, e, hl_const_f(b, 0)), HL_I64)); /* [$i, $N] */
  hl_store(b, z, I(i, HL_ALL), 2, hl_gather(b, hl_load(b, x, I(i, HL_ALL), 2), 1, spread));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_value_gather(void **state) {
  (void)state;
  static double x[M * N], idx[M * V], y[M * V], z[M * N];
  numbers(x, M * N);
  for (int i = 0; i < M; i++) {
    double sum = 0;
    for (int j = 0; j < N; j++)
      sum += exp(x[i * N + j]);
    for (int j = 0; j < N; j++)
      z[i * N + j] = x[i * N + N - 1 - i];
    for (int j = 0; j < V; j++) {
      const int at = (i * 3 + j * 17) % (N + 20) - 10;
      idx[i * V + j] = at;
      y[i * V + j] = at < 0 || at >= N ? 0 : exp(x[i * N + at]) / sum;
    }
  }
  const every_tensor t[] = {{HL_F32, 2, {M, N}, x, NULL, 0},
                            {HL_I32, 2, {M, V}, idx, NULL, 0},
                            {HL_F32, 2, {M, V}, NULL, y, 1e-5},
                            {HL_F32, 2, {M, N}, NULL, z, 0}};
  everywhere(build_value_gather, t, 4, 0);
}

/* y[i, :] = x[i, reversed], rows of W: more than a GPU compares with one another */
enum { W = 80 };
static hl_kernel *build_long_gather(hl_context *ctx) {
  hl_builder *b = begin(ctx, "long_gather");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", HL_BF16, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_BF16, (hl_dim[]){m, n}, 2, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value v = hl_load(b, x, I(i, HL_ALL), 2), last = hl_sub(b, hl_size(b, x, 1), hl_const_i(b, 1));
  hl_store(b, y, I(i, HL_ALL), 2, hl_gather(b, v, 1, hl_sub(b, last, hl_positions(b, v, 1))));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_long_gather(void **state) {
  (void)state;
  static double x[M * W], y[M * W];
  for (int i = 0; i < M * W; i++)
    x[i] = i % 251, y[i] = (i / W * W + W - 1 - i % W) % 251;
  const every_tensor t[] = {{HL_BF16, 2, {M, W}, x, NULL, 0}, {HL_BF16, 2, {M, W}, NULL, y, 0}};
  everywhere(build_long_gather, t, 2, EVERY_NO_GPU);
}

/* ---- mistakes ---- */

typedef struct tensors {
  hl_dim k;                   /* 8 */
  hl_value x, w, ids, one, v; /* [M, N], [8, 8], [M] integers, [1, N]; x[t] */
} tensors;

static int which;

static void wrong_slice(hl_builder *b, const tensors *p) {
  switch (which) {
  case 2:
    (void)hl_slice(b, p->w, 0, 0, HL_SLICE_OPEN, 0);
    break;
  case 3:
    (void)hl_slice(b, p->w, 2, 0, HL_SLICE_OPEN, 1);
    break;
  case 4:
    (void)hl_slice(b, p->x, 1, 0, -1, 1);
    break;
  case 5:
    (void)hl_slice(b, p->w, 0, 5, 3, 1);
    break;
  case 6:
    (void)hl_load(b, p->w, I(hl_slice(b, p->w, 0, 0, 4, 1), hl_slice(b, p->w, 0, 4, 8, 1)), 2);
    break;
  case 12:
    (void)hl_slice_dim(b, hl_const_i(b, 0), hl_dim_named(b, "Z"), 1);
    break;
  default:
    (void)hl_slice_dim(b, p->v, p->k, 1);
    break;
  }
}

static void wrong_access(hl_builder *b, const tensors *p, const hl_value *t) {
  const hl_value id = hl_load(b, p->ids, t, 1);
  hl_access_options o = HL_ACCESS_OPTIONS_INIT;
  switch (which) {
  case 0:
    (void)hl_load(b, p->x, I(p->v, t[1]), 2);
    break;
  case 1:
    (void)hl_load(b, p->x, I(t[0], HL_NEW), 2);
    break;
  case 7:
    (void)hl_load(b, p->x, I(id, hl_load(b, p->w, I(HL_ALL, hl_const_i(b, 0)), 2)), 2);
    break;
  case 8:
    (void)hl_load(b, p->x, I(id, hl_cast(b, hl_load(b, p->w, I(HL_ALL, hl_const_i(b, 0)), 2), HL_I32)), 2);
    break;
  case 9:
    hl_store(b, p->one, t, 2, p->v);
    break;
  case 10:
    o.other = p->v;
    hl_store_ex(b, p->one, I(hl_const_i(b, 0), t[1]), 2, p->v, &o);
    break;
  case 11:
    o.evict = (hl_evict)77;
    (void)hl_load_ex(b, p->x, t, 2, &o);
    break;
  case 14:
    (void)hl_gather(b, p->v, 2, id);
    break;
  case 15:
    (void)hl_gather(b, p->v, 1, id);
    break;
  case 16:
    (void)hl_gather(b, p->v, 1, p->v);
    break;
  case 17:
    (void)hl_subscript(b, p->v, I(HL_ALL, HL_NEW), 2);
    break;
  default:
    (void)hl_subscript(b, p->v, I(HL_ALL, id), 2);
    break;
  }
}

static hl_kernel *mistake(hl_context *ctx) {
  hl_builder *b = begin(ctx, "mistake");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  tensors p = {.k = hl_dim_static(b, 8)};
  p.x = hl_param_tensor(b, "x", HL_F32, (hl_dim[]){m, n}, 2, HL_IN);
  p.w = hl_param_tensor(b, "w", HL_F32, (hl_dim[]){p.k, p.k}, 2, HL_IN);
  p.ids = hl_param_tensor(b, "ids", HL_I32, &m, 1, HL_IN);
  p.one = hl_param_tensor(b, "one", HL_F32, (hl_dim[]){hl_dim_static(b, 1), n}, 2, HL_INOUT);
  hl_value t[2];
  hl_tile_begin(b, I(hl_size(b, p.x, 0), hl_size(b, p.x, 1)), 2, t);
  p.v = hl_load(b, p.x, t, 2);
  if ((which >= 2 && which <= 6) || which == 12 || which == 13)
    wrong_slice(b, &p);
  else
    wrong_access(b, &p, t);
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_mistakes(void **state) {
  static const char *const words[][4] = {{"index 1 of x", "f32", "integer"},
                                         {"2 indices", "rank 2"},
                                         {"step is 0"},
                                         {"w has no dimension 2"},
                                         {"depends on the size of dimension N of x", "hl_slice_dim"},
                                         {"5:3:1", "dimension 0 of w", "empty"},
                                         {"indices 1 and 2 of w", "slices of one length", "tile"},
                                         {"index 2 of x", "f32"},
                                         {"do not broadcast"},
                                         {"store", "dimension of size 1 of one", "index 0"},
                                         {"store", "other", "loads"},
                                         {"eviction hint 77"},
                                         {"no tensor", "dimension Z"},
                                         {"first position", "integer scalar"},
                                         {"gather: axis 2", "rank 2"},
                                         {"gather", "shape", "but for axis 1"},
                                         {"gather", "f32", "integers"},
                                         {"1 times HL_ALL", "rank 2"},
                                         {"HL_ALL and HL_NEW", "hl_gather"}};
  (void)state;
  for (which = 0; which < (int)COUNT(words); which++)
    build_fails(mistake, words[which]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_moved),       cmocka_unit_test(test_moved_store), cmocka_unit_test(test_rows),
      cmocka_unit_test(test_pairs),       cmocka_unit_test(test_scatter),     cmocka_unit_test(test_halves),
      cmocka_unit_test(test_interleaved), cmocka_unit_test(test_axes),        cmocka_unit_test(test_masked_gather),
      cmocka_unit_test(test_own_stores),  cmocka_unit_test(test_many),        cmocka_unit_test(test_value_gather),
      cmocka_unit_test(test_long_gather), cmocka_unit_test(test_mistakes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
