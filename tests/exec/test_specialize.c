/* test_specialize.c: hl_specialize: sizes, strides and scalars that become constants of the code, and what a plan made
 * for other ones answers; hl_stride. */
#include "tests/exec/exec.h"

enum { SIDE = 12 };

typedef struct built {
  hl_context *ctx;
  hl_builder *b;
  hl_dim m, n;
  hl_value x, y, gain, shift;
} built;

static void must(hl_status s, const hl_diag *d) {
  if (s != HL_OK)
    fail_msg("%s", d->message);
}

/* y[i, j] = x[i, j] * gain + shift + stride of x's dimension 0, all sizes dynamic. */
static built start(void) {
  hl_diag d = {0};
  built t = {.ctx = exec_context()};
  must(hl_builder_create(t.ctx, "k", &d, &t.b), &d);
  t.m = hl_dim_named(t.b, "M"), t.n = hl_dim_named(t.b, "N");
  hl_dim_set_dynamic(t.b, t.m), hl_dim_set_dynamic(t.b, t.n);
  const hl_dim dims[2] = {t.m, t.n};
  t.x = hl_param_tensor(t.b, "x", HL_F32, dims, 2, HL_IN);
  t.y = hl_param_tensor(t.b, "y", HL_F32, dims, 2, HL_OUT);
  t.gain = hl_param_scalar(t.b, "gain", HL_F32);
  t.shift = hl_param_scalar(t.b, "shift", HL_I32);
  return t;
}

static hl_kernel *finish(built *t) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  hl_value i[2];
  hl_tile_begin(t->b, (hl_value[]){hl_size(t->b, t->x, 0), hl_size(t->b, t->x, 1)}, 2, i);
  hl_value v = hl_mul(t->b, hl_load(t->b, t->x, i, 2), t->gain);
  v = hl_add(t->b, v, hl_cast(t->b, t->shift, HL_F32));
  v = hl_add(t->b, v, hl_cast(t->b, hl_stride(t->b, t->x, 0), HL_F32));
  hl_store(t->b, t->y, i, 2, v);
  hl_tile_end(t->b, NULL, NULL);
  must(hl_builder_finish(t->b, &d, &k), &d);
  return k;
}

static hl_kernel *finish_specialized(built *t) {
  assert_int_equal(hl_specialize(t->b, t->gain), t->gain);
  hl_specialize(t->b, t->shift);
  hl_specialize(t->b, hl_size(t->b, t->x, 0));
  hl_specialize(t->b, hl_stride(t->b, t->x, 0));
  return finish(t);
}

/* Arguments of m rows; x's rows are `pitch` elements apart. */
typedef struct call {
  float x[SIDE * 2 * SIDE], y[SIDE * SIDE];
  int64_t shape[2], strides[2];
  hl_tensor t[2];
  hl_arg args[4];
} call;

static void fill(call *c, int64_t m, int64_t pitch, double gain, int64_t shift) {
  const hl_tensor t = {.device = {HL_DEVICE_CPU, 0}, .ndim = 2, .dtype = hl_dtype_to_dl(HL_F32), .shape = c->shape};
  for (int i = 0; i < SIDE * 2 * SIDE; i++)
    c->x[i] = (float)(i % 17);
  memset(c->y, 0, sizeof c->y);
  c->shape[0] = m, c->shape[1] = SIDE - 1;
  c->strides[0] = pitch, c->strides[1] = 1;
  c->t[0] = c->t[1] = t;
  c->t[0].data = c->x, c->t[0].strides = c->strides, c->t[1].data = c->y;
  for (int i = 0; i < 2; i++)
    c->args[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &c->t[i]};
  c->args[2] = (hl_arg){.kind = HL_ARG_F64, .as.f64 = gain};
  c->args[3] = (hl_arg){.kind = HL_ARG_I64, .as.i64 = shift};
}

static void check(const call *c) {
  const int64_t n = c->shape[1];
  for (int64_t i = 0; i < c->shape[0]; i++)
    for (int64_t j = 0; j < n; j++) {
      const float want = c->x[i * c->strides[0] + j] * (float)c->args[2].as.f64 + (float)c->args[3].as.i64;
      if (c->y[i * n + j] != want + (float)c->strides[0])
        fail_msg("y[%d, %d] is %g", (int)i, (int)j, (double)c->y[i * n + j]);
    }
}

static void says(hl_status s, hl_status want, const hl_diag *d, const char *a, const char *b) {
  if (s != want || !strstr(d->message, a) || !strstr(d->message, b))
    fail_msg("status %d, '%s' does not say '%s' and '%s'", (int)s, d->message, a, b);
}

/* One plan, launched with what it was made for and with what it was not. */
static void plans(void **state) {
  (void)state;
  static _Alignas(64) call c;
  hl_diag d = {0};
  hl_device *dev = NULL;
  hl_plan *plan = NULL;
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  built t = start();
  hl_kernel *k = finish_specialized(&t);
  o.args = c.args, o.arg_count = 4;
  fill(&c, 5, 16, 0.5, -3);
  must(hl_device_open(t.ctx, "cpu", &d, &dev), &d);
  must(hl_plan_create(dev, k, &o, &d, &plan), &d);
  must(hl_launch(plan, NULL, c.args, 4, NULL, &d), &d);
  must(hl_device_synchronize(dev, &d), &d);
  check(&c);
  c.shape[1] = 7; /* still dynamic */
  must(hl_launch(plan, NULL, c.args, 4, NULL, &d), &d);
  must(hl_device_synchronize(dev, &d), &d);
  check(&c);
  fill(&c, 5, 16, 0.25, -3);
  says(hl_launch(plan, NULL, c.args, 4, NULL, &d), HL_ERR_GUARD, &d, "'gain'", "0.25, the plan was made for 0.5");
  fill(&c, 5, 16, 0.5, 4);
  says(hl_launch(plan, NULL, c.args, 4, NULL, &d), HL_ERR_GUARD, &d, "'shift'", "4, the plan was made for -3");
  fill(&c, 6, 16, 0.5, -3);
  says(hl_launch(plan, NULL, c.args, 4, NULL, &d), HL_ERR_GUARD, &d, "'M'", "6, the plan was made for 5");
  fill(&c, 5, 18, 0.5, -3);
  says(hl_launch(plan, NULL, c.args, 4, NULL, &d), HL_ERR_GUARD, &d, "stride of dimension 0",
       "18 elements, the plan was made for 16");
  fill(&c, 5, 16, 0.5, INT64_C(1) << 40);
  hl_plan *other = NULL;
  says(hl_plan_create(dev, k, &o, &d, &other), HL_ERR_GUARD, &d, "shift is i32", "1099511627776");
  c.args[3] = c.args[2];
  says(hl_plan_create(dev, k, &o, &d, &other), HL_ERR_GUARD, &d, "shift", "wants an integer");
  hl_plan_destroy(plan);
  hl_device_close(dev);
  hl_kernel_destroy(k);
  hl_context_destroy(t.ctx);
}

/* The same in the interpreter: as built and lowered for a CPU and a GPU, with run-time values and with constants. */
static void interpreted(void **state) {
  (void)state;
  static _Alignas(64) call c;
  static const char *const targets[] = {NULL, "x86-64-v3", "nvptx:sm_90a"};
  hl_diag d = {0};
  for (int special = 0; special < 2; special++)
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
      built t = start();
      hl_kernel *k = special ? finish_specialized(&t) : finish(&t);
      hl_interp_options o = HL_INTERP_OPTIONS_INIT;
      o.target = targets[i] ? exec_target(targets[i]) : NULL;
      fill(&c, 5, 16, 0.5, -3);
      must(hl_interpret(t.ctx, k, c.args, 4, &o, &d), &d);
      check(&c);
      hl_kernel_destroy(k);
      hl_context_destroy(t.ctx);
    }
}

static hl_status compile(const built *t, const hl_kernel *k, const char *target, const hl_shape_binding *shape,
                         uint32_t n, hl_emit emit, hl_diag *d, char **text) {
  hl_blob *blob = NULL;
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  o.shape = shape, o.shape_count = n, o.emit = emit;
  const hl_status s = hl_compile(t->ctx, k, exec_target(target), &o, d, &blob);
  *text = s == HL_OK ? cli_format("%.*s", (int)hl_blob_size(blob), (const char *)hl_blob_data(blob)) : NULL;
  hl_blob_release(blob);
  return s;
}

/* Sizes alone: an integer is bound by its name, what else is missing is said. */
static void by_name(void **state) {
  (void)state;
  const hl_shape_binding shape[] = {{"M", 5}, {"shift", -7}};
  const hl_shape_binding wide[] = {{"M", 5}, {"shift", INT64_C(1) << 31}};
  hl_diag d = {0};
  char *text = NULL;
  built t = start();
  hl_specialize(t.b, t.shift);
  hl_specialize(t.b, hl_size(t.b, t.x, 0));
  hl_kernel *k = finish(&t);
  must(compile(&t, k, "x86-64-v3", shape, 2, HL_EMIT_LOOP, &d, &text), &d);
  assert_non_null(strstr(text, "param %shift : i32 in constexpr = -7\n"));
  assert_non_null(strstr(text, "-0x1.cp+2")); /* cast and folded */
  free(text);
  says(compile(&t, k, "x86-64-v3", shape, 1, HL_EMIT_LOOP, &d, &text), HL_ERR_ARG, &d, "shift is specialised",
       "from arguments");
  says(compile(&t, k, "x86-64-v3", wide, 2, HL_EMIT_LOOP, &d, &text), HL_ERR_ARG, &d, "2147483648",
       "shift, which is i32");
  says(compile(&t, k, "x86-64-v3", shape + 1, 1, HL_EMIT_LOOP, &d, &text), HL_ERR_ARG, &d, "dimension M", "not given");
  hl_kernel_destroy(k);
  hl_context_destroy(t.ctx);
  t = start();
  hl_specialize(t.b, hl_stride(t.b, t.x, 0));
  k = finish(&t);
  says(compile(&t, k, "x86-64-v3", NULL, 0, HL_EMIT_LOOP, &d, &text), HL_ERR_ARG, &d, "stride of dimension 0 of x",
       "from arguments");
  hl_kernel_destroy(k);
  hl_context_destroy(t.ctx);
  t = start();
  k = finish(&t);
  must(compile(&t, k, "nvptx:sm_90a", NULL, 0, HL_EMIT_ASM, &d, &text), &d); /* the stride comes as an argument */
  free(text);
  hl_kernel_destroy(k);
  hl_context_destroy(t.ctx);
}

/* A dispatch keeps a plan per value. */
static void dispatched(void **state) {
  (void)state;
  static _Alignas(64) call c;
  hl_diag d = {0};
  hl_device *dev = NULL;
  hl_dispatch *dispatch = NULL;
  built t = start();
  hl_kernel *k = finish_specialized(&t);
  must(hl_device_open(t.ctx, "cpu", &d, &dev), &d);
  must(hl_dispatch_create(dev, k, NULL, &d, &dispatch), &d);
  for (int round = 0; round < 2; round++)
    for (int64_t shift = 0; shift < 2; shift++) {
      fill(&c, 5, 16, 0.5, shift);
      must(hl_dispatch_launch(dispatch, NULL, c.args, 4, NULL, &d), &d);
      must(hl_device_synchronize(dev, &d), &d);
      check(&c);
    }
  assert_int_equal(hl_dispatch_plans(dispatch), 2);
  hl_dispatch_destroy(dispatch);
  hl_device_close(dev);
  hl_kernel_destroy(k);
  hl_context_destroy(t.ctx);
}

/* It is part of the text, which reads back, and so of the digest. */
static void texts(void **state) {
  (void)state;
  hl_diag d = {0};
  uint64_t x[2], y[2], z[2];
  hl_blob *blob = NULL;
  hl_kernel *again = NULL;
  built t = start(), u = start();
  hl_kernel *plain = finish(&u), *k = finish_specialized(&t);
  must(hl_kernel_print(k, &d, &blob), &d);
  const hl_str text = {hl_blob_data(blob), hl_blob_size(blob)};
  must(hl_kernel_parse(t.ctx, text, "k.hl", &d, &again), &d);
  hl_kernel_digest(k, x), hl_kernel_digest(again, y), hl_kernel_digest(plain, z);
  assert_memory_equal(x, y, sizeof x);
  assert_memory_not_equal(x, z, sizeof x);
  hl_blob_release(blob);
  hl_kernel_destroy(again), hl_kernel_destroy(k), hl_kernel_destroy(plain);
  hl_context_destroy(t.ctx), hl_context_destroy(u.ctx);
}

static void refused(built *t, uint32_t line, const char *words) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  says(hl_builder_finish(t->b, &d, &k), HL_ERR_BUILD, &d, words, "");
  assert_null(k);
  assert_int_equal(d.line, line);
  hl_context_destroy(t->ctx);
}

static void wrong_calls(void **state) {
  (void)state;
  built t = start();
  hl_specialize(t.b, t.x);
  refused(&t, __LINE__ - 1, "hl_specialize: wants what hl_size or hl_stride gives, or a scalar parameter");
  t = start();
  hl_specialize(t.b, hl_add(t.b, t.shift, t.shift));
  refused(&t, __LINE__ - 1, "hl_specialize: wants what hl_size");
  t = start();
  hl_stride(t.b, t.x, 2);
  refused(&t, __LINE__ - 1, "dimension 2 is out of range");
  t = start();
  hl_specialize(t.b, hl_size(t.b, t.x, 0));
  hl_dim_set_dynamic(t.b, t.m);
  refused(&t, __LINE__ - 2, "dimension M is specialised");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plans),      cmocka_unit_test(interpreted), cmocka_unit_test(by_name),
      cmocka_unit_test(dispatched), cmocka_unit_test(texts),       cmocka_unit_test(wrong_calls),
  };
  return cmocka_run_group_tests_name("specialize", tests, NULL, NULL);
}
