/* test_outputs.c: how an output's shape follows from the inputs: what kernels declare, what the query answers, and what
 * is refused. */
#include "tests/exec/exec.h"

static void must(hl_status s, const hl_diag *d) {
  if (s != HL_OK)
    fail_msg("%s", d->message);
}

#define EXPECT(s, want, d, ...) expect((s), (want), (d), (const char *const[]){__VA_ARGS__, NULL})
static void expect(hl_status s, hl_status want, const hl_diag *d, const char *const *words) {
  assert_int_equal(s, want);
  assert_int_equal(d->status, want);
  for (; *words; words++)
    if (!strstr(d->message, *words))
      fail_msg("'%s' does not say '%s'", d->message, *words);
}

static hl_arg tensor(hl_tensor *t, void *data, uint32_t rank, int64_t *shape) {
  *t = (hl_tensor){.data = data,
                   .device = {HL_DEVICE_CPU, 0},
                   .ndim = (int32_t)rank,
                   .dtype = hl_dtype_to_dl(HL_F32),
                   .shape = shape};
  return (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = t};
}
static const hl_arg none = {.kind = HL_ARG_TENSOR};

/* ---- every kernel of the ladder ---- */

/* Dimension d of parameter p, by the example's table of sizes. */
static int64_t size_of(const hl_example *e, const int64_t *size, const hl_param_info *p, uint32_t d) {
  if (p->dim_value[d] >= 0)
    return p->dim_value[d];
  for (uint32_t i = 0; i < sizeof e->dims / sizeof *e->dims && e->dims[i]; i++)
    if (strlen(e->dims[i]) == p->dim_name[d].len && !memcmp(e->dims[i], p->dim_name[d].ptr, p->dim_name[d].len))
      return size[i];
  return -1;
}

static void check_example(const hl_example *e, const int64_t *size) {
  enum { MOST = 32 };
  hl_context *ctx = exec_context();
  hl_diag d = {0};
  hl_kernel *k = NULL;
  hl_tensor t[MOST];
  hl_arg args[MOST];
  hl_param_info info[MOST];
  int64_t shape[MOST][HL_MAX_RANK];
  must(e->build(ctx, e->dtypes[0], &d, &k), &d);
  const uint32_t n = hl_kernel_param_count(k);
  for (uint32_t i = 0; i < n; i++) {
    info[i].size = sizeof info[i];
    must(hl_kernel_param(k, i, &info[i]), &d);
    for (uint32_t a = 0; a < info[i].rank; a++)
      shape[i][a] = size_of(e, size, &info[i], a);
    args[i] = info[i].is_tensor ? tensor(&t[i], NULL, info[i].rank, shape[i]) : (hl_arg){.kind = HL_ARG_I64};
    t[i].dtype = hl_dtype_to_dl(info[i].dtype);
    if (info[i].is_tensor && info[i].access == HL_OUT)
      args[i] = none;
  }
  for (uint32_t i = 0; i < n; i++) {
    hl_output_info out = HL_OUTPUT_INFO_INIT;
    if (!(info[i].access & HL_OUT) || !info[i].is_tensor)
      continue;
    hl_status s = hl_kernel_output(k, i, args, n, &d, &out);
    if (s != HL_OK)
      print_error("%s\n", d.message);
    assert_int_equal(s, HL_OK);
    assert_int_equal(out.dtype, info[i].dtype);
    assert_int_equal(out.rank, info[i].rank);
    int64_t stride = 1;
    for (uint32_t a = out.rank; a-- > 0; stride *= out.shape[a]) {
      assert_int_equal(out.shape[a], shape[i][a]);
      assert_int_equal(out.strides[a], stride);
    }
    assert_int_equal(out.bytes, (size_t)stride * hl_dtype_size(out.dtype));
  }
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

static void ladder(void **state) {
  (void)state;
  for (uint32_t i = 0; i < hl_example_count; i++)
    if (strcmp(hl_examples[i]->name, "qk_norm_rope") != 0) /* how many heads are queries: its outputs alone say it */
      check_example(hl_examples[i],
                    hl_examples[i]->odd[1].size[0] ? hl_examples[i]->odd[1].size : hl_examples[i]->odd[0].size);
}

/* ---- a rule with everything in it ---- */

typedef struct built {
  hl_context *ctx;
  hl_builder *b;
  hl_dim n, p, t;
  hl_value x, y, out, s;
} built;

static built start(bool dynamic) {
  hl_diag d = {0};
  built r = {.ctx = exec_context()};
  must(hl_builder_create(r.ctx, "k", &d, &r.b), &d);
  r.n = hl_dim_named(r.b, "N"), r.p = hl_dim_named(r.b, "P"), r.t = hl_dim_named(r.b, "T");
  if (dynamic)
    hl_dim_set_dynamic(r.b, r.n), hl_dim_set_dynamic(r.b, r.p), hl_dim_set_dynamic(r.b, r.t);
  r.x = hl_param_tensor(r.b, "x", HL_F32, &r.n, 1, HL_IN);
  r.y = hl_param_tensor(r.b, "y", HL_F32, &r.p, 1, HL_IN);
  r.out = hl_param_tensor(r.b, "out", HL_F32, &r.t, 1, HL_OUT);
  r.s = hl_param_scalar(r.b, "s", HL_I32);
  return r;
}

/* out[i] = x[i] + y[i], 0 where they have nothing. */
static hl_status finish(built *r, hl_diag *d, hl_kernel **k) {
  hl_value i, size = hl_size(r->b, r->out, 0);
  hl_tile_begin(r->b, &size, 1, &i);
  const hl_value at = hl_add(r->b, hl_tile_index(r->b, i), hl_const_i(r->b, 0));
  hl_store(r->b, r->out, &i, 1, hl_add(r->b, hl_load(r->b, r->x, &at, 1), hl_load(r->b, r->y, &at, 1)));
  hl_tile_end(r->b, NULL, NULL);
  return hl_builder_finish(r->b, d, k);
}

/* max(N, (P + 1) // 2) - s rem 3 */
static void give_size(built *r) {
  hl_builder *b = r->b;
  const hl_value half = hl_floordiv(b, hl_add(b, hl_size(b, r->y, 0), hl_const_i(b, 1)), hl_const_i(b, 2));
  const hl_value most = hl_max(b, hl_size(b, r->x, 0), half);
  hl_dim_set_size(b, r->t, hl_sub(b, most, hl_rem(b, hl_cast(b, r->s, HL_I64), hl_const_i(b, 3))));
}

static hl_kernel *whole(hl_context **ctx, bool dynamic) {
  built r = start(dynamic);
  hl_diag d = {0};
  hl_kernel *k = NULL;
  give_size(&r);
  must(finish(&r, &d, &k), &d);
  *ctx = r.ctx;
  return k;
}

static void query(void **state) {
  (void)state;
  hl_context *ctx;
  hl_kernel *k = whole(&ctx, false);
  hl_diag d = {0};
  hl_output_info out = HL_OUTPUT_INFO_INIT;
  hl_tensor t[2];
  int64_t n = 5, p = 20;
  hl_arg args[4] = {tensor(&t[0], NULL, 1, &n), tensor(&t[1], NULL, 1, &p), none, {.kind = HL_ARG_I64, .as.i64 = 7}};
  must(hl_kernel_output(k, 2, args, 4, &d, &out), &d);
  assert_true(out.shape[0] == 9 && out.rank == 1 && out.strides[0] == 1 && out.bytes == 36);
  n = 12, args[3].as.i64 = -1; /* -1 rem 3 is 2 */
  must(hl_kernel_output(k, 2, args, 4, &d, &out), &d);
  assert_true(out.shape[0] == 10);
  n = p = 1, args[3].as.i64 = 2;
  EXPECT(hl_kernel_output(k, 2, args, 4, &d, &out), HL_ERR_GUARD, &d, "dimension T must be sub(max(N,",
         "floordiv(add(P, 1), 2)", "rem(s, 3)", "is negative");
  args[3] = (hl_arg){.kind = HL_ARG_F64};
  EXPECT(hl_kernel_output(k, 2, args, 4, &d, &out), HL_ERR_ARG, &d, "dimension 0 of out is T = sub(max(N",
         "not all of that is known");
  args[1] = none;
  EXPECT(hl_kernel_output(k, 2, args, 4, &d, &out), HL_ERR_ARG, &d, "y is an input and its tensor is NULL");
  EXPECT(hl_kernel_output(k, 1, args, 4, &d, &out), HL_ERR_ARG, &d, "parameter 1 of kernel k is no output");
  EXPECT(hl_kernel_output(k, 2, args, 3, &d, &out), HL_ERR_ARG, &d, "4 parameters, 3 arguments");
  out.size = 3;
  EXPECT(hl_kernel_output(k, 2, args, 4, &d, &out), HL_ERR_ARG, &d, "hl_output_info.size is 3");
  EXPECT(hl_kernel_output(k, 2, args, 4, &d, NULL), HL_ERR_ARG, &d, "out is NULL");
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

/* A dimension that nothing gives is named. */
static void unknown(void **state) {
  (void)state;
  built r = start(false);
  hl_diag d = {0};
  hl_kernel *k = NULL;
  hl_output_info out = HL_OUTPUT_INFO_INIT;
  hl_tensor t[3];
  int64_t n = 5, p = 20, q = 4;
  must(finish(&r, &d, &k), &d);
  hl_arg args[4] = {tensor(&t[0], NULL, 1, &n), tensor(&t[1], NULL, 1, &p), none, {.kind = HL_ARG_I64}};
  EXPECT(hl_kernel_output(k, 2, args, 4, &d, &out), HL_ERR_ARG, &d,
         "dimension 0 of out is T, which no given tensor has", "hl_dim_set_size");
  args[2] = tensor(&t[2], NULL, 1, &q); /* whoever has it already may ask, too */
  must(hl_kernel_output(k, 2, args, 4, &d, &out), &d);
  assert_true(out.shape[0] == 4);
  hl_kernel_destroy(k);
  hl_context_destroy(r.ctx);
}

/* ---- arguments that do not agree ---- */

static void launches(void **state) {
  (void)state;
  static _Alignas(64) float x[32], y[32], z[32];
  for (int i = 0; i < 32; i++)
    x[i] = (float)i, y[i] = 100;
  for (int dynamic = 0; dynamic < 2; dynamic++) {
    hl_context *ctx;
    hl_kernel *k = whole(&ctx, dynamic);
    hl_diag d = {0};
    hl_device *dev = NULL;
    hl_plan *plan = NULL;
    hl_plan_options o = HL_PLAN_OPTIONS_INIT;
    hl_tensor t[3];
    int64_t n = 5, p = 20, m = 10;
    hl_arg args[4] = {tensor(&t[0], x, 1, &n), tensor(&t[1], y, 1, &p), tensor(&t[2], z, 1, &m), {.kind = HL_ARG_I64}};
    o.args = args, o.arg_count = 4;
    must(hl_device_open(ctx, "cpu", &d, &dev), &d);
    must(hl_plan_create(dev, k, &o, &d, &plan), &d);
    must(hl_launch(plan, NULL, args, 4, NULL, &d), &d);
    must(hl_device_synchronize(dev, &d), &d);
    assert_true(z[4] == 104 && z[5] == 100 && z[9] == 100 && z[10] == 0);
    must(hl_interpret(ctx, k, args, 4, NULL, &d), &d);
    args[3].as.i64 = 1; /* now 9 are wanted */
    EXPECT(hl_launch(plan, NULL, args, 4, NULL, &d), HL_ERR_GUARD, &d, "'T' is 10 (dimension 0 of 'out')",
           "it must be sub(max(N,", "rem(s, 3)) = 9");
    EXPECT(hl_interpret(ctx, k, args, 4, NULL, &d), HL_ERR_GUARD, &d, "T is 10 (dimension 0 of out)", "= 9");
    hl_plan_destroy(plan);
    EXPECT(hl_plan_create(dev, k, &o, &d, &plan), HL_ERR_GUARD, &d, "T is 10 (dimension 0 of out)", "= 9");
    hl_device_close(dev);
    hl_kernel_destroy(k);
    hl_context_destroy(ctx);
  }
}

/* Where sizes are given by name, those that follow may be left out; given ones are compared. */
static void by_name(void **state) {
  (void)state;
  hl_context *ctx = exec_context();
  hl_diag d = {0};
  hl_kernel *k = NULL;
  hl_blob *text = NULL;
  const hl_example *e = hl_example_find("concatenate");
  must(e->build(ctx, HL_F32, &d, &k), &d);
  hl_shape_binding sizes[4] = {{"M", 3}, {"N", 10}, {"P", 20}, {"T", 31}};
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  o.shape = sizes, o.shape_count = 3, o.emit = HL_EMIT_LOOP;
  must(hl_compile(ctx, k, exec_target("x86-64-v4"), &o, &d, &text), &d);
  assert_non_null(strstr(hl_blob_data(text), "dim T = 30\n"));
  assert_non_null(strstr(hl_blob_data(text), "size T = add(N, P)\n"));
  hl_blob_release(text);
  o.shape_count = 4;
  EXPECT(hl_compile(ctx, k, exec_target("x86-64-v4"), &o, &d, &text), HL_ERR_GUARD, &d, "T is 31", "add(N, P) = 30");
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

/* ---- what cannot be declared ---- */

static void refused(built *r, uint32_t line, const char *words) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  EXPECT(hl_builder_finish(r->b, &d, &k), HL_ERR_BUILD, &d, words);
  assert_null(k);
  assert_int_equal(d.line, line);
  hl_context_destroy(r->ctx);
}

static void wrong_calls(void **state) {
  (void)state;
  hl_value i, size;
  built r = start(false);
  size = hl_size(r.b, r.x, 0);
  hl_grid_begin(r.b, &size, 1, &i);
  hl_dim_set_size(r.b, r.t, hl_cast(r.b, hl_load(r.b, r.x, &i, 1), HL_I64));
  refused(&r, __LINE__ - 1, "'cast' of i64");
  r = start(false);
  hl_grid_begin(r.b, (hl_value[]){hl_size(r.b, r.x, 0)}, 1, &i);
  hl_dim_set_size(r.b, r.t, hl_bitcast(r.b, hl_load(r.b, r.x, &i, 1), HL_I32));
  refused(&r, __LINE__ - 1, "'bitcast' of i32");
  r = start(false);
  const hl_value counts = hl_param_tensor(r.b, "counts", HL_I64, &r.n, 1, HL_IN);
  hl_grid_begin(r.b, (hl_value[]){hl_size(r.b, r.x, 0)}, 1, &i);
  hl_dim_set_size(r.b, r.t, hl_add(r.b, hl_load(r.b, counts, &i, 1), hl_const_i(r.b, 1)));
  refused(&r, __LINE__ - 1, "the size of dimension T would depend on data (a load)");
  r = start(false);
  hl_grid_begin(r.b, (hl_value[]){hl_size(r.b, r.x, 0)}, 1, &i);
  hl_dim_set_size(r.b, r.t, i);
  refused(&r, __LINE__ - 1, "of dimension T cannot follow from");
  r = start(false);
  hl_dim_set_size(r.b, r.t, hl_const_f(r.b, 2.5));
  refused(&r, __LINE__ - 1, "cannot follow from 'const' of f32");
  r = start(false);
  hl_dim_set_size(r.b, hl_dim_static(r.b, 4), hl_const_i(r.b, 4));
  refused(&r, __LINE__ - 1, "wants a dimension with a name and without a size");
  r = start(false);
  hl_dim_set_size(r.b, r.t, hl_size(r.b, r.x, 0));
  hl_dim_set_size(r.b, r.t, hl_size(r.b, r.y, 0));
  refused(&r, __LINE__ - 1, "the size of dimension T is given twice");
  r = start(false);
  hl_dim_set_size(r.b, r.t, hl_size(r.b, r.out, 0));
  hl_diag d = {0};
  hl_kernel *k = NULL;
  EXPECT(finish(&r, &d, &k), HL_ERR_BUILD, &d, "the size of dimension T follows from T, whose own size");
  hl_context_destroy(r.ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(ladder),  cmocka_unit_test(query),
                                     cmocka_unit_test(unknown), cmocka_unit_test(launches),
                                     cmocka_unit_test(by_name), cmocka_unit_test(wrong_calls)};
  return cmocka_run_group_tests_name("outputs", tests, NULL, NULL);
}
