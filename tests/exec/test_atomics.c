/* test_atomics.c: atomics in every place that runs kernels, on numbers whose result does not depend on the order of the
 * programs; what the interpreter says of plain accesses beside them; and mistakes.
 *
 * ctest-timeout: 900 */
#include "tests/exec/everywhere.h"

#include "src/ir/ir.h"

#define I(...) ((hl_value[]){__VA_ARGS__})

enum { M = 150, N = 9 };

static hl_builder *begin(hl_context *ctx, const char *name) {
  hl_diag d = {0};
  hl_builder *b = NULL;
  assert_int_equal(hl_builder_create(ctx, name, &d, &b), HL_OK);
  return b;
}

/* ---- one operation on one dtype: y[ids[i]] op= x[i] ---- */

static hl_atomic_op the_op;
static hl_dtype the_dtype;
static hl_memory_order the_order;

static hl_kernel *build_update(hl_context *ctx) {
  hl_builder *b = begin(ctx, "update");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value ids = hl_param_tensor(b, "ids", HL_I32, &m, 1, HL_IN);
  const hl_value x = hl_param_tensor(b, "x", the_dtype, &m, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", the_dtype, &n, 1, HL_INOUT);
  hl_value i;
  hl_atomic_options o = HL_ATOMIC_OPTIONS_INIT;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  o.order = the_order;
  (void)hl_atomic_ex(b, the_op, y, I(hl_load(b, ids, &i, 1)), 1, hl_load(b, x, &i, 1), &o);
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static double combine(hl_atomic_op op, double a, double c) {
  switch (op) {
  case HL_ATOMIC_ADD:
    return a + c;
  case HL_ATOMIC_AND:
    return (double)((int64_t)a & (int64_t)c);
  case HL_ATOMIC_OR:
    return (double)((int64_t)a | (int64_t)c);
  case HL_ATOMIC_XOR:
    return (double)((int64_t)a ^ (int64_t)c);
  case HL_ATOMIC_MAX:
    return a > c ? a : c;
  default:
    return a < c ? a : c;
  }
}

static void one_update(hl_atomic_op op, hl_dtype dtype, hl_memory_order order) {
  double ids[M], x[M], y[N], want[N];
  const bool is_unsigned = hli_dtype_kind(dtype) == 'u';
  the_op = op, the_dtype = dtype, the_order = order;
  for (int j = 0; j < N; j++)
    y[j] = want[j] = 3 + j;
  for (int i = 0; i < M; i++) {
    ids[i] = (i * 7) % (N + 3) - 1; /* -1 is the last one, N and N + 1 are outside */
    x[i] = (i * 5) % 13 - (is_unsigned ? 0 : 6);
    const int at = (int)ids[i] < 0 ? (int)ids[i] + N : (int)ids[i];
    if (at < N)
      want[at] = combine(op, want[at], x[i]);
  }
  const every_tensor t[] = {{HL_I32, 1, {M}, ids, NULL, 0}, {dtype, 1, {M}, x, NULL, 0}, {dtype, 1, {N}, y, want, 0}};
  everywhere(build_update, t, 3, 0);
}

static void test_updates(void **state) {
  static const hl_dtype dtypes[] = {HL_I32, HL_U32, HL_I64, HL_U64, HL_F16, HL_BF16, HL_F32, HL_F64};
  static const hl_atomic_op ops[] = {HL_ATOMIC_ADD, HL_ATOMIC_MAX, HL_ATOMIC_MIN,
                                     HL_ATOMIC_AND, HL_ATOMIC_OR,  HL_ATOMIC_XOR};
  (void)state;
  for (uint32_t i = 0; i < HLI_COUNT(ops); i++)
    for (uint32_t j = 0; j < HLI_COUNT(dtypes); j++)
      if (!hli_atomic_refusal(ops[i], dtypes[j]))
        one_update(ops[i], dtypes[j], (hl_memory_order)((i + j) % HL_ORDER_COUNT));
}

/* ---- previous values ---- */

/* Everybody takes a ticket: taken[ticket] = 1; n[0] counts the programs' lanes, one addition per program. */
static hl_kernel *build_tickets(hl_context *ctx) {
  hl_builder *b = begin(ctx, "tickets");
  const hl_dim m = hl_dim_named(b, "M"), one = hl_dim_static(b, 1);
  const hl_value counter = hl_param_tensor(b, "counter", HL_I32, &one, 1, HL_INOUT);
  const hl_value taken = hl_param_tensor(b, "taken", HL_I32, &m, 1, HL_OUT);
  const hl_value total = hl_param_tensor(b, "total", HL_I64, &one, 1, HL_INOUT);
  const hl_value first = hl_param_tensor(b, "first", HL_I32, &m, 1, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, taken, 0)), 1, &i);
  const hl_value zeros = hl_mul(b, hl_tile_index(b, i), hl_const_i(b, 0));
  const hl_value ticket = hl_atomic(b, HL_ATOMIC_ADD, counter, I(zeros), 1, hl_const_i(b, 1));
  hl_store(b, taken, I(ticket), 1, hl_const_i(b, 1));
  const hl_value lanes = hl_sub(b, hl_tile_last(b, i), hl_tile_first(b, i));
  const hl_value before = hl_atomic(b, HL_ATOMIC_ADD, total, I(hl_const_i(b, 0)), 1, lanes);
  hl_store(b, first, I(before), 1, hl_const_i(b, 1)); /* each program's own element */
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_tickets(void **state) {
  (void)state;
  double counter = 0, total = 0, end = M, taken[M], want[M], first[M];
  for (int i = 0; i < M; i++)
    taken[i] = 0, want[i] = 1;
  for (int i = 0; i < M; i++)
    first[i] = 0;
  const every_tensor t[] = {{HL_I32, 1, {1}, &counter, &end, 0},
                            {HL_I32, 1, {M}, taken, want, 0},
                            {HL_I64, 1, {1}, &total, &end, 0},
                            {HL_I32, 1, {M}, first, NULL, 0}};
  everywhere(build_tickets, t, 4, 0);
}

/* old[i, 0] = cas(flag[i], 0, i + 1) where i < 100; seen[i] = flag[i] behind it; swap[i] = xchg(x[i], 7) */
static hl_kernel *build_exchanges(hl_context *ctx) {
  hl_builder *b = begin(ctx, "exchanges");
  const hl_dim m = hl_dim_named(b, "M");
  const hl_value flag = hl_param_tensor(b, "flag", HL_F32, &m, 1, HL_INOUT);
  const hl_value x = hl_param_tensor(b, "x", HL_F16, &m, 1, HL_INOUT);
  const hl_value old = hl_param_tensor(b, "old", HL_F32, (hl_dim[]){m, hl_dim_static(b, 1)}, 2, HL_OUT);
  const hl_value seen = hl_param_tensor(b, "seen", HL_F32, &m, 1, HL_OUT);
  const hl_value swap = hl_param_tensor(b, "swap", HL_F16, &m, 1, HL_OUT);
  hl_value i;
  hl_atomic_options o = HL_ATOMIC_OPTIONS_INIT;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value at = hl_tile_index(b, i);
  o.mask = hl_lt(b, at, hl_const_i(b, 100));
  o.expected = hl_const_f(b, 0);
  o.order = HL_ACQ_REL;
  const hl_value was = hl_atomic_ex(b, HL_ATOMIC_CAS, flag, &i, 1, hl_add(b, at, hl_const_i(b, 1)), &o);
  hl_store(b, old, I(i, hl_const_i(b, 0)), 2, was);
  hl_store(b, seen, &i, 1, hl_load(b, flag, &i, 1));
  hl_store(b, swap, I(i, HL_NEW), 2, hl_atomic(b, HL_ATOMIC_XCHG, x, I(i, HL_NEW), 2, hl_const_i(b, 7)));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_exchanges(void **state) {
  (void)state;
  double flag[M], x[M], seen[M], old[M], sevens[M];
  for (int i = 0; i < M; i++) {
    flag[i] = i % 3 ? 0 : i + 0.5;
    x[i] = i;
    sevens[i] = 7;
    seen[i] = i < 100 && i % 3 ? i + 1 : flag[i];
    old[i] = i < 100 ? flag[i] : 0;
  }
  const every_tensor t[] = {{HL_F32, 1, {M}, flag, seen, 0},
                            {HL_F16, 1, {M}, x, sevens, 0},
                            {HL_F32, 2, {M, 1}, NULL, old, 0},
                            {HL_F32, 1, {M}, NULL, seen, 0},
                            {HL_F16, 1, {M}, NULL, x, 0}};
  everywhere(build_exchanges, t, 5, 0);
}

/* Column sums of a matrix; rows are shared among programs. */
static hl_kernel *build_columns(hl_context *ctx) {
  hl_builder *b = begin(ctx, "columns");
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", HL_BF16, &n, 1, HL_INOUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  (void)hl_atomic(b, HL_ATOMIC_ADD, y, I(HL_ALL), 1, hl_reduce_sum(b, hl_load(b, x, I(i, HL_ALL), 2), 0, false));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_columns(void **state) {
  (void)state;
  double x[M * N], y[N], want[N];
  for (int j = 0; j < N; j++)
    y[j] = want[j] = j;
  for (int i = 0; i < M * N; i++)
    x[i] = i % 3 - 1, want[i % N] += x[i]; /* small: every sum is exact in bf16 */
  const every_tensor t[] = {{HL_F32, 2, {M, N}, x, NULL, 0}, {HL_BF16, 1, {N}, y, want, 0}};
  everywhere(build_columns, t, 2, 0);
}

/* ---- races ---- */

static hl_kernel *build_race(hl_context *ctx) {
  hl_builder *b = begin(ctx, "race");
  const hl_dim m = hl_dim_named(b, "M"), one = hl_dim_static(b, 1);
  const hl_value y = hl_param_tensor(b, "y", HL_I32, &one, 1, HL_INOUT);
  const hl_value z = hl_param_tensor(b, "z", HL_I32, &m, 1, HL_OUT);
  hl_value i;
  hl_tile_begin(b, I(hl_size(b, z, 0)), 1, &i);
  (void)hl_atomic(b, HL_ATOMIC_ADD, y, I(hl_const_i(b, 0)), 1, hl_const_i(b, 1));
  hl_store(b, z, &i, 1, hl_load(b, y, I(hl_const_i(b, 0)), 1)); /* what the others have added by now is chance */
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_race(void **state) {
  (void)state;
  hl_context *ctx = exec_context();
  hl_kernel *k = build_race(ctx);
  hl_diag d = {0};
  int32_t y = 0, z[M];
  int64_t one = 1, m = M;
  hl_tensor t[2] = {
      {.data = &y, .device = {HL_DEVICE_CPU, 0}, .ndim = 1, .dtype = hl_dtype_to_dl(HL_I32), .shape = &one},
      {.data = z, .device = {HL_DEVICE_CPU, 0}, .ndim = 1, .dtype = hl_dtype_to_dl(HL_I32), .shape = &m}};
  const hl_arg args[2] = {{.kind = HL_ARG_TENSOR, .as.tensor = &t[0]}, {.kind = HL_ARG_TENSOR, .as.tensor = &t[1]}};
  assert_non_null(k);
  assert_int_equal(hl_interpret(ctx, k, args, 2, NULL, &d), HL_ERR_BUILD);
  assert_non_null(strstr(d.message, "atomic"));
  assert_non_null(strstr(d.message, "programs run in any order"));
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

/* ---- mistakes ---- */

static int which;

static hl_kernel *mistake(hl_context *ctx) {
  hl_builder *b = begin(ctx, "mistake");
  const hl_dim m = hl_dim_named(b, "M"), one = hl_dim_static(b, 1);
  const hl_value bytes = hl_param_tensor(b, "bytes", HL_I8, &m, 1, HL_INOUT);
  const hl_value x = hl_param_tensor(b, "x", HL_F32, &m, 1, HL_INOUT);
  const hl_value y = hl_param_tensor(b, "y", HL_F32, &m, 1, HL_OUT);
  const hl_value z = hl_param_tensor(b, "z", HL_F32, &one, 1, HL_INOUT);
  hl_value i;
  hl_atomic_options o = HL_ATOMIC_OPTIONS_INIT;
  hl_tile_begin(b, I(hl_size(b, x, 0)), 1, &i);
  const hl_value v = hl_load(b, x, &i, 1);
  switch (which) {
  case 0:
    (void)hl_atomic(b, HL_ATOMIC_ADD, bytes, &i, 1, hl_const_i(b, 1));
    break;
  case 1:
    (void)hl_atomic(b, HL_ATOMIC_XOR, x, &i, 1, v);
    break;
  case 2:
    (void)hl_atomic(b, HL_ATOMIC_CAS, x, &i, 1, v);
    break;
  case 3:
    o.expected = v;
    (void)hl_atomic_ex(b, HL_ATOMIC_MAX, x, &i, 1, v, &o);
    break;
  case 4:
    (void)hl_atomic(b, HL_ATOMIC_ADD, y, &i, 1, v);
    break;
  case 5:
    (void)hl_atomic(b, HL_ATOMIC_ADD, z, &i, 1, v);
    break;
  case 6:
    (void)hl_atomic(b, HL_ATOMIC_ADD, z, I(hl_const_i(b, 0)), 1, v);
    break;
  case 7:
    o.order = (hl_memory_order)9;
    (void)hl_atomic_ex(b, HL_ATOMIC_MAX, x, &i, 1, v, &o);
    break;
  default:
    (void)hl_atomic(b, (hl_atomic_op)99, x, &i, 1, v);
    break;
  }
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void test_mistakes(void **state) {
  static const char *const words[][4] = {{"atomic add into bytes of i8", "i32", "f64"},
                                         {"atomic xor into x of f32", "integers"},
                                         {"atomic cas", "expected", "missing"},
                                         {"atomic max", "only cas"},
                                         {"y must be inout", "atomic"},
                                         {"dimension of size 1 of z", "index 0"},
                                         {"does not broadcast", "f32"},
                                         {"unknown memory order 9"},
                                         {"unknown atomic operation 99"}};
  (void)state;
  for (which = 0; which < (int)HLI_COUNT(words); which++)
    build_fails(mistake, words[which]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_updates), cmocka_unit_test(test_tickets), cmocka_unit_test(test_exchanges),
      cmocka_unit_test(test_columns), cmocka_unit_test(test_race),    cmocka_unit_test(test_mistakes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
