/* Reductions and scans of the builder in every form and dtype, against plain loops in double precision: on the CPU,
 * and in the interpreter as built and as lowered for the CPU.
 * ctest-timeout: 600 */
#include <math.h>

#include "src/cli/common/number.h"
#include "tests/exec/exec.h"

#define MOST 3

/* One kernel: x[M, N] of a dtype; up to three outputs, each [M] or [M, N]. */
typedef struct job {
  const char *name;
  hl_dtype dtype;
  uint32_t outs;
  bool row[MOST];        /* [M, N], else [M] */
  hl_dtype result[MOST]; /* NONE: as x */
  void (*build)(hl_builder *b, hl_value v, hl_value *out);
  void (*reference)(const double *x, int64_t n, double *const *out); /* of one row */
  bool special;                                                      /* x holds NaN, infinities and equal elements */
  bool gpu;                                                          /* has a form there, whole and in chunks */
} job;

static hl_context *ctx;
static hl_device *cpu;

static int setup(void **state) {
  (void)state;
  ctx = exec_context();
  return hl_device_open(ctx, "cpu", NULL, &cpu) != HL_OK;
}

static int teardown(void **state) {
  (void)state;
  hl_device_close(cpu);
  hl_context_destroy(ctx);
  return 0;
}

static hl_dtype result_of(const job *j, uint32_t i) {
  return j->result[i] ? j->result[i] : j->dtype;
}

static hl_kernel *build(const job *j) {
  static const char *const names[MOST] = {"a", "b", "c"};
  hl_diag d = {0};
  hl_builder *b = NULL;
  hl_kernel *k = NULL;
  hl_value out[MOST], v[MOST], i;
  assert_int_equal(hl_builder_create(ctx, j->name, &d, &b), HL_OK);
  const hl_dim dims[2] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  hl_value x = hl_param_tensor(b, "x", j->dtype, dims, 2, HL_IN);
  for (uint32_t o = 0; o < j->outs; o++)
    out[o] = hl_param_tensor(b, names[o], result_of(j, o), dims, j->row[o] ? 2 : 1, HL_OUT);
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  j->build(b, hl_load(b, x, (hl_value[]){i, HL_ALL}, 2), v);
  for (uint32_t o = 0; o < j->outs; o++)
    hl_store(b, out[o], (hl_value[]){i, HL_ALL}, j->row[o] ? 2 : 1, v[o]);
  hl_tile_end(b, NULL, NULL);
  if (hl_builder_finish(b, &d, &k) != HL_OK)
    fail_msg("%s: line %u: %s", j->name, d.line, d.message);
  return k;
}

static void fill(const job *j, double *x, int64_t m, int64_t n) {
  static const double odd[] = {NAN, INFINITY, -INFINITY, 2, 2, -0.0};
  uint64_t seed = (uint64_t)(m * 1000 + n);
  for (int64_t i = 0; i < m * n; i++) {
    const double u = cli_random_unit(&seed);
    x[i] = cli_is_float(j->dtype) ? 2 * u - 1
           : j->dtype == HL_BOOL  ? u > 0.9
                                  : floor(4 * u) - (j->dtype == HL_U8 ? 0 : 2);
    if (j->special && i / n % 3 == 1 && u > 0.8)
      x[i] = odd[cli_random(&seed) % 6];
    if (j->special && i / n % 3 == 2)
      x[i] = -INFINITY;
  }
}

/* All tensors of a run; x is rounded to its dtype before the reference sees it. */
typedef struct data {
  int64_t m, n, shape[2];
  double *x, *want[MOST];
  void *raw[1 + MOST];
  hl_tensor t[1 + MOST];
  hl_arg arg[1 + MOST];
} data;

static data make(const job *j, int64_t m, int64_t n) {
  data d = {.m = m, .n = n, .x = cli_alloc((size_t)(m * n) + 1, sizeof(double))};
  const size_t all = (size_t)(m * n);
  fill(j, d.x, m, n);
  for (uint32_t i = 0; i <= j->outs; i++)
    d.raw[i] = cli_alloc(all + 64, 8);
  cli_from_double(j->dtype, d.x, d.raw[0], all);
  cli_to_double(j->dtype, d.raw[0], d.x, all);
  for (uint32_t o = 0; o < j->outs; o++)
    d.want[o] = cli_alloc(all + (size_t)m + 1, sizeof(double));
  for (int64_t r = 0; r < m; r++) {
    double *out[MOST];
    for (uint32_t o = 0; o < j->outs; o++)
      out[o] = d.want[o] + (j->row[o] ? r * n : r);
    j->reference(d.x + r * n, n, out);
  }
  return d;
}

static void bind(const job *j, data *d) {
  d->shape[0] = d->m, d->shape[1] = d->n;
  for (uint32_t i = 0; i <= j->outs; i++) {
    d->t[i] = (hl_tensor){.data = d->raw[i],
                          .device = {HL_DEVICE_CPU, 0},
                          .ndim = i == 0 || j->row[i - 1] ? 2 : 1,
                          .dtype = hl_dtype_to_dl(i ? result_of(j, i - 1) : j->dtype),
                          .shape = d->shape};
    d->arg[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &d->t[i]};
    if (i)
      memset(d->raw[i], 0x5a, (size_t)(d->m * d->n) * 8 + 64);
  }
}

static void judge(const job *j, const data *d, const char *where) {
  for (uint32_t o = 0; o < j->outs; o++) {
    const size_t count = (size_t)(j->row[o] ? d->m * d->n : d->m);
    cli_judgement v;
    cli_judge(result_of(j, o), 2 * d->n, d->raw[1 + o], d->want[o], NULL, count, &v);
    if (!v.right)
      fail_msg("%s of %s, %lld x %lld, %s, output %u: element %zu is %.9g, not %.9g (allowed error %g)", j->name,
               hl_dtype_text(j->dtype), (long long)d->m, (long long)d->n, where, o, v.first, v.got, v.want, v.allowed);
  }
}

/* json: NULL for the default configuration. */
static void interpret(const job *j, const hl_kernel *k, data *d, const hl_target *target, const char *json,
                      const char *where) {
  hl_diag diag = {0};
  hl_config *c = NULL;
  const hl_shape_binding shape[2] = {{"M", d->m}, {"N", d->n}};
  hl_interp_options io = HL_INTERP_OPTIONS_INIT;
  if (json && hl_config_parse(k, shape, 2, target, (hl_str){json, strlen(json)}, &diag, &c) != HL_OK)
    fail_msg("%s: %s", j->name, diag.message);
  io.target = target, io.config = c;
  bind(j, d);
  if (hl_interpret(ctx, k, d->arg, 1 + j->outs, &io, &diag) != HL_OK)
    fail_msg("%s, %s: %s", j->name, where, diag.message);
  hl_config_destroy(c);
  judge(j, d, where);
}

static void compiled(const job *j, const hl_kernel *k, data *d, uint64_t seed) {
  hl_diag diag = {0};
  hl_plan *plan = NULL;
  hl_config *c = NULL;
  const hl_shape_binding shape[2] = {{"M", d->m}, {"N", d->n}};
  hl_plan_options po = HL_PLAN_OPTIONS_INIT;
  bind(j, d);
  if (seed && hl_config_random(k, shape, 2, exec_target("host"), seed, &diag, &c) != HL_OK)
    fail_msg("%s: %s", j->name, diag.message);
  po.args = d->arg, po.arg_count = 1 + j->outs, po.config = c;
  if (hl_plan_create(cpu, k, &po, &diag, &plan) != HL_OK ||
      hl_launch(plan, NULL, d->arg, 1 + j->outs, NULL, &diag) != HL_OK || hl_device_synchronize(cpu, &diag) != HL_OK)
    fail_msg("%s of %s: %s", j->name, hl_dtype_text(j->dtype), diag.message);
  hl_plan_destroy(plan);
  hl_config_destroy(c);
  judge(j, d, seed ? "the CPU, random configuration" : "the CPU");
}

static void check(const job *j) {
  static const int64_t sizes[][2] = {{1, 1}, {5, 16}, {3, 203}, {19, 37}};
  static const char chunks[] = "{\"block_sizes\":[2],\"reduction_loops\":[32],\"num_warps\":1}";
  hl_kernel *k = build(j);
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
    data d = make(j, sizes[s][0], sizes[s][1]);
    interpret(j, k, &d, NULL, NULL, "as built");
    interpret(j, k, &d, exec_target("host"), NULL, "lowered for the CPU");
    if (j->gpu) {
      interpret(j, k, &d, exec_target("nvptx:sm_90a"), NULL, "lowered for a GPU");
      interpret(j, k, &d, exec_target("nvptx:sm_90a"), sizes[s][1] > 32 ? chunks : NULL, "in chunks on a GPU");
    }
    for (uint64_t seed = 0; seed < 2; seed++)
      compiled(j, k, &d, seed * (77 + s));
    for (uint32_t i = 0; i <= j->outs; i++)
      free(d.raw[i]);
    for (uint32_t o = 0; o < j->outs; o++)
      free(d.want[o]);
    free(d.x);
  }
  hl_kernel_destroy(k);
}

static const hl_dtype floats[] = {HL_F32, HL_F16, HL_BF16, HL_F64};
static const hl_dtype numbers[] = {HL_F32, HL_F16, HL_BF16, HL_F64, HL_I8, HL_U8, HL_I32, HL_I64};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LAST     (&(const int32_t){-1}), 1

static void check_each(job j, const hl_dtype *dtypes, size_t n) {
  for (size_t i = 0; i < n; i++) {
    j.dtype = dtypes[i];
    check(&j);
  }
}

/* ---- positions of extrema ---- */

static void build_arg(hl_builder *b, hl_value v, hl_value *out) {
  out[0] = hl_argmax(b, v, LAST, false);
  out[1] = hl_argmin(b, v, LAST, false);
}

static void reference_arg(const double *x, int64_t n, double *const *out) {
  int64_t most = 0, least = 0;
  for (int64_t i = 1; i < n; i++) {
    if (!isnan(x[most]) && (isnan(x[i]) || x[i] > x[most]))
      most = i;
    if (!isnan(x[least]) && (isnan(x[i]) || x[i] < x[least]))
      least = i;
  }
  *out[0] = (double)most, *out[1] = (double)least;
}

static void test_arg(void **state) {
  (void)state;
  const job j = {.name = "arg", .outs = 2, .result = {HL_I64, HL_I64}, .build = build_arg, .reference = reference_arg,
           .gpu = true};
  job special = j;
  special.special = true;
  check_each(j, numbers, COUNT(numbers));
  check_each(j, (const hl_dtype[]){HL_BOOL}, 1);
  check_each(special, floats, COUNT(floats));
}

/* ---- sums of tuples: Welford's variance by a region, and the built-in one ---- */

static void build_moments(hl_builder *b, hl_value v, hl_value *out) {
  hl_value mean;
  hl_var_mean(b, v, LAST, 0, false, &out[0], &mean);
  out[1] = hl_std(b, v, LAST, 1, false);
  hl_value x[3] = {hl_cast(b, v, HL_F64), hl_const_f(b, 0), hl_const_f(b, 1)}, id[3], l[3], r[3], c[3], s[3];
  x[1] = hl_cast(b, x[1], HL_F64), x[2] = hl_cast(b, x[2], HL_F64);
  for (int i = 0; i < 3; i++)
    id[i] = hl_const_f(b, 0);
  hl_reduce_begin(b, x, id, 3, LAST, false, l, r);
  c[2] = hl_add(b, l[2], r[2]);
  hl_value part = hl_div(b, r[2], hl_max(b, c[2], hl_const_f(b, 1))), d = hl_sub(b, r[0], l[0]);
  c[0] = hl_fma(b, d, part, l[0]);
  c[1] = hl_add(b, hl_add(b, l[1], r[1]), hl_mul(b, hl_mul(b, d, d), hl_mul(b, l[2], part)));
  hl_reduce_end(b, c, s);
  out[2] = hl_sub(b, hl_add(b, hl_div(b, s[1], s[2]), s[0]), hl_cast(b, mean, HL_F64));
}

static void reference_moments(const double *x, int64_t n, double *const *out) {
  double mean = 0, sum = 0;
  for (int64_t i = 0; i < n; i++)
    mean += x[i] / (double)n;
  for (int64_t i = 0; i < n; i++)
    sum += (x[i] - mean) * (x[i] - mean);
  *out[0] = sum / (double)n;
  *out[1] = sqrt(sum / (double)(n - 1));
  *out[2] = sum / (double)n;
}

static void test_moments(void **state) {
  (void)state;
  const job j = {.name = "moments", .outs = 3, .build = build_moments, .reference = reference_moments};
  check_each(j, floats, COUNT(floats));
}

static void build_variance(hl_builder *b, hl_value v, hl_value *out) {
  hl_value far = hl_add(b, v, hl_const_f(b, 4));
  hl_var_mean(b, far, LAST, 1, false, &out[0], &out[1]);
  out[2] = hl_std(b, v, LAST, 0, false);
}

static void reference_variance(const double *x, int64_t n, double *const *out) {
  reference_moments(x, n, (double *const[]){out[2], out[0], out[1]});
  double mean = 0;
  for (int64_t i = 0; i < n; i++)
    mean += (x[i] + 4) / (double)n;
  *out[2] = sqrt(*out[1]), *out[0] *= *out[0], *out[1] = mean;
}

static void test_variance(void **state) {
  (void)state;
  const job j = {.name = "variance", .outs = 3, .build = build_variance, .reference = reference_variance, .gpu = true};
  check_each(j, (const hl_dtype[]){HL_F64}, 1);
  job single = j;
  single.result[0] = single.result[1] = single.result[2] = HL_F32;
  check_each(single, (const hl_dtype[]){HL_F32}, 1);
}

/* ---- logsumexp and norms ---- */

static void build_logsumexp(hl_builder *b, hl_value v, hl_value *out) {
  out[0] = hl_logsumexp(b, v, LAST, false);
  out[1] = hl_squeeze(b, hl_logsumexp(b, hl_mul(b, v, hl_const_f(b, 40)), LAST, true), 1);
}

static double logsumexp(const double *x, int64_t n, double scale) {
  double top = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; i++)
    top = isnan(x[i]) || isnan(top) ? NAN : fmax(top, scale * x[i]);
  if (isinf(top) || isnan(top))
    return top;
  for (int64_t i = 0; i < n; i++)
    sum += exp(scale * x[i] - top);
  return top + log(sum);
}

static void reference_logsumexp(const double *x, int64_t n, double *const *out) {
  *out[0] = logsumexp(x, n, 1), *out[1] = logsumexp(x, n, 40);
}

static void test_logsumexp(void **state) {
  (void)state;
  job j = {.name = "logsumexp", .outs = 2, .build = build_logsumexp, .reference = reference_logsumexp, .gpu = true};
  j.result[0] = j.result[1] = HL_F32;
  check_each(j, (const hl_dtype[]){HL_F32, HL_F64}, 2);
  j.special = true;
  check_each(j, (const hl_dtype[]){HL_F32}, 1);
}

static void build_norms(hl_builder *b, hl_value v, hl_value *out) {
  out[0] = hl_add(b, hl_norm(b, v, 2, LAST, false), hl_norm(b, v, 0, LAST, false));
  out[1] = hl_add(b, hl_norm(b, v, 1, LAST, false), hl_norm(b, v, (double)INFINITY, LAST, false));
  out[2] = hl_add(b, hl_norm(b, v, 3, LAST, false), hl_norm(b, v, -(double)INFINITY, LAST, false));
}

static void reference_norms(const double *x, int64_t n, double *const *out) {
  double one = 0, two = 0, three = 0, most = 0, least = INFINITY, some = 0;
  for (int64_t i = 0; i < n; i++) {
    const double a = fabs(x[i]);
    one += a, two += a * a, three += a * a * a, some += a != 0;
    most = fmax(most, a), least = fmin(least, a);
  }
  *out[0] = sqrt(two) + some, *out[1] = one + most, *out[2] = cbrt(three) + least;
}

static void test_norms(void **state) {
  (void)state;
  const job j = {.name = "norms", .outs = 3, .build = build_norms, .reference = reference_norms, .gpu = true};
  check_each(j, floats, COUNT(floats));
}

/* Rows of -inf, rows with infinities and NaN: what a softmax gives must not depend on how its sum is found. */
static void build_softmax(hl_builder *b, hl_value v, hl_value *out) {
  hl_value e = hl_exp(b, hl_sub(b, v, hl_reduce_max(b, v, 1, true)));
  out[0] = hl_div(b, e, hl_reduce_sum(b, e, 1, true));
  out[1] = hl_div(b, hl_reduce_sum(b, hl_mul(b, e, v), 1, false), hl_reduce_sum(b, e, 1, false));
}

static void reference_softmax(const double *x, int64_t n, double *const *out) {
  double top = -INFINITY, sum = 0, dot = 0;
  for (int64_t i = 0; i < n; i++)
    top = isnan(x[i]) || isnan(top) ? NAN : fmax(top, x[i]);
  for (int64_t i = 0; i < n; i++) {
    sum += out[0][i] = exp(x[i] - top);
    dot += exp(x[i] - top) * x[i];
  }
  for (int64_t i = 0; i < n; i++)
    out[0][i] /= sum;
  *out[1] = dot / sum;
}

static void test_softmax(void **state) {
  (void)state;
  job j = {.name = "softmax_mean",
           .outs = 2,
           .row = {true, false},
           .build = build_softmax,
           .reference = reference_softmax,
           .gpu = true};
  check_each(j, (const hl_dtype[]){HL_F32, HL_F64}, 2);
  j.special = true;
  check_each(j, (const hl_dtype[]){HL_F32}, 1);
}

/* ---- scans ---- */

static void build_cumsum(hl_builder *b, hl_value v, hl_value *out) {
  out[0] = hl_cumsum(b, v, -1, false);
  out[1] = hl_cumsum(b, v, 1, true);
  out[2] = hl_scan(b, HL_REDUCE_MAX, v, -1, false);
}

static void reference_cumsum(const double *x, int64_t n, double *const *out) {
  double up = 0, down = 0, top = -INFINITY;
  for (int64_t i = 0; i < n; i++) {
    out[0][i] = up += x[i];
    out[1][n - 1 - i] = down += x[n - 1 - i];
    out[2][i] = top = fmax(top, x[i]);
  }
}

static void test_cumsum(void **state) {
  (void)state;
  job j = {
      .name = "cumsum", .outs = 3, .row = {true, true, true}, .build = build_cumsum, .reference = reference_cumsum};
  check_each(j, floats, COUNT(floats));
  j.result[0] = j.result[1] = HL_I64;
  check_each(j, numbers + 4, COUNT(numbers) - 4);
}

/* h[t] = a[t] h[t - 1] + b[t] as a scan of pairs; products; any. */
static void build_recurrence(hl_builder *b, hl_value v, hl_value *out) {
  hl_value x[2] = {hl_mul(b, v, hl_const_f(b, 0.5)), v}, l[2], r[2], c[2];
  const hl_value id[2] = {hl_const_f(b, 1), hl_const_f(b, 0)};
  hl_scan_begin(b, x, id, 2, -1, false, l, r);
  c[0] = hl_mul(b, l[0], r[0]);
  c[1] = hl_fma(b, l[1], r[0], r[1]);
  hl_scan_end(b, c, x);
  out[0] = x[1];
  out[1] = hl_cumprod(b, v, -1, true);
  out[2] = hl_scan(b, HL_REDUCE_ANY, hl_gt(b, v, hl_const_f(b, 0.9)), -1, false);
}

static void reference_recurrence(const double *x, int64_t n, double *const *out) {
  double h = 0, p = 1, any = 0;
  for (int64_t i = 0; i < n; i++) {
    out[0][i] = h = h * x[i] / 2 + x[i];
    out[1][n - 1 - i] = p *= x[n - 1 - i];
    out[2][i] = any = any != 0 || x[i] > 0.9;
  }
}

static void test_recurrence(void **state) {
  (void)state;
  job j = {.name = "recurrence",
           .outs = 3,
           .row = {true, true, true},
           .result = {HL_DTYPE_NONE, HL_DTYPE_NONE, HL_BOOL},
           .build = build_recurrence,
           .reference = reference_recurrence};
  check_each(j, (const hl_dtype[]){HL_F32, HL_F64}, 2);
}

/* ---- reductions with a known operation, in every dtype ---- */

static void build_plain(hl_builder *b, hl_value v, hl_value *out) {
  out[0] = hl_add(b, hl_reduce_sum(b, v, 1, false), hl_reduce_max(b, v, 1, false));
  out[1] = hl_reduce_prod(b, v, 1, false);
  out[2] = hl_and(b, hl_reduce_any(b, v, 1, false), hl_not(b, hl_reduce_all(b, v, 1, false)));
}

static void reference_plain(const double *x, int64_t n, double *const *out) {
  double sum = 0, top = -INFINITY, prod = 1;
  bool any = false, all = true;
  for (int64_t i = 0; i < n; i++) {
    sum += x[i], top = fmax(top, x[i]), prod *= x[i];
    any |= x[i] != 0, all &= x[i] != 0;
  }
  *out[0] = sum + top, *out[1] = prod, *out[2] = any && !all;
}

static void test_plain(void **state) {
  (void)state;
  job j = {.name = "plain", .outs = 3, .build = build_plain, .reference = reference_plain, .gpu = true};
  j.result[2] = HL_BOOL;
  check_each(j, floats, COUNT(floats));
  j.result[0] = j.result[1] = HL_I64;
  check_each(j, numbers + 4, COUNT(numbers) - 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_arg),   cmocka_unit_test(test_moments),  cmocka_unit_test(test_logsumexp),
      cmocka_unit_test(test_norms), cmocka_unit_test(test_cumsum),   cmocka_unit_test(test_recurrence),
      cmocka_unit_test(test_plain), cmocka_unit_test(test_variance), cmocka_unit_test(test_softmax),
  };
  return cmocka_run_group_tests_name("mixing", tests, setup, teardown);
}
