/* Bad input at the public interface: each mistake gives a status and words with the thing, the values and, where the
 * user's code is at fault, its file and line; nothing is written to outputs. */
#include "hl/hl.h"
#include "tests/exec/exec.h"

/* ---- helpers ---- */

/* The message has all of these words (a NULL-terminated list). */
static void expect_words(const hl_diag *d, const char *const *words) {
  for (; *words; words++)
    if (!strstr(d->message, *words))
      fail_msg("\"%s\" does not say \"%s\"", d->message, *words);
}
#define EXPECT_WORDS(diag, ...) expect_words((diag), (const char *const[]){__VA_ARGS__, NULL})

/* The place is in this file, at `line`. */
static void expect_place(const hl_diag *d, uint32_t line) {
  const size_t n = strlen(d->file), m = strlen("test_errors.c");
  if (n < m || strcmp(d->file + n - m, "test_errors.c") != 0)
    fail_msg("file is '%s' (%s)", d->file, d->message);
  if (d->line != line)
    fail_msg("line is %u, not %u (%s)", d->line, line, d->message);
}

typedef struct bench {
  hl_context *ctx;
  hl_builder *b;
  hl_value x, y, out, i; /* x[M, N], y[N], out[M, N]; i: a tile over M */
} bench;

/* A kernel with its grid loop open. */
static void start(bench *t) {
  hl_diag d = {0};
  t->ctx = exec_context();
  assert_int_equal(hl_builder_create(t->ctx, "k", &d, &t->b), HL_OK);
  const hl_dim m = hl_dim_named(t->b, "M"), n = hl_dim_named(t->b, "N");
  t->x = hl_param_tensor(t->b, "x", HL_F32, (hl_dim[]){m, n}, 2, HL_IN);
  t->y = hl_param_tensor(t->b, "y", HL_F32, &n, 1, HL_IN);
  t->out = hl_param_tensor(t->b, "out", HL_F32, (hl_dim[]){m, n}, 2, HL_OUT);
  hl_tile_begin(t->b, (hl_value[]){hl_size(t->b, t->x, 0)}, 1, &t->i);
}

/* Finishing gives this status; *d gets the words. */
static void finish(bench *t, hl_status want, hl_diag *d) {
  hl_kernel *k = NULL;
  *d = (hl_diag){0};
  const hl_status s = hl_builder_finish(t->b, d, &k);
  if (s != want)
    fail_msg("status %d (%s), not %d: %s", s, hl_status_text(s), want, d->message);
  assert_null(k);
  assert_int_equal(d->status, want);
  hl_context_destroy(t->ctx);
}

/* ---- building ---- */

static void broadcast_mismatch(void **state) {
  (void)state;
  bench t;
  hl_diag d;
  start(&t);
  hl_value row = hl_load(t.b, t.x, (hl_value[]){t.i, HL_ALL}, 2);                /* [i, N] */
  hl_value column = hl_load(t.b, t.x, (hl_value[]){t.i, hl_const_i(t.b, 0)}, 2); /* [i] */
  const uint32_t line = __LINE__ + 1;
  hl_value bad = hl_add(t.b, row, column);
  assert_int_equal(bad, HL_POISON);
  hl_tile_end(t.b, NULL, NULL);
  finish(&t, HL_ERR_BUILD, &d);
  expect_place(&d, line);
  EXPECT_WORDS(&d, "add", "$i", "$N");
}

static void rank_mismatch(void **state) {
  (void)state;
  bench t;
  hl_diag d;
  start(&t);
  const uint32_t line = __LINE__ + 1;
  assert_int_equal(hl_load(t.b, t.x, &t.i, 1), HL_POISON);
  hl_tile_end(t.b, NULL, NULL);
  finish(&t, HL_ERR_BUILD, &d);
  expect_place(&d, line);
  EXPECT_WORDS(&d, "load", "2", "1");
}

static void unclosed_loop(void **state) {
  (void)state;
  bench t;
  hl_diag d;
  start(&t);
  hl_store(t.b, t.out, (hl_value[]){t.i, HL_ALL}, 2, hl_load(t.b, t.x, (hl_value[]){t.i, HL_ALL}, 2));
  finish(&t, HL_ERR_BUILD, &d);
  EXPECT_WORDS(&d, "hl_tile_end");
}

static void loop_closed_twice(void **state) {
  (void)state;
  bench t;
  hl_diag d;
  start(&t);
  hl_store(t.b, t.out, (hl_value[]){t.i, HL_ALL}, 2, hl_load(t.b, t.x, (hl_value[]){t.i, HL_ALL}, 2));
  hl_tile_end(t.b, NULL, NULL);
  const uint32_t line = __LINE__ + 1;
  hl_tile_end(t.b, NULL, NULL);
  finish(&t, HL_ERR_BUILD, &d);
  expect_place(&d, line);
}

static void no_loop(void **state) {
  (void)state;
  hl_diag d = {0};
  hl_kernel *k = NULL;
  hl_builder *b = NULL;
  hl_context *ctx = exec_context();
  assert_int_equal(hl_builder_create(ctx, "empty", &d, &b), HL_OK);
  assert_int_equal(hl_builder_finish(b, &d, &k), HL_ERR_BUILD);
  EXPECT_WORDS(&d, "empty");
  assert_null(k);
  hl_context_destroy(ctx);
}

/* Only the first mistake is told; poison makes poison without a word. */
static void poison_chain(void **state) {
  (void)state;
  bench t;
  hl_diag d;
  start(&t);
  const uint32_t line = __LINE__ + 1;
  hl_value bad = hl_load(t.b, t.x, &t.i, 1);
  for (int i = 0; i < 10; i++) {
    bad = hl_exp(t.b, hl_mul(t.b, bad, bad));
    assert_int_equal(bad, HL_POISON);
  }
  assert_int_equal(hl_reduce_sum(t.b, bad, 5, false), HL_POISON); /* would be a mistake of its own */
  hl_store(t.b, t.out, (hl_value[]){t.i, HL_ALL}, 2, bad);
  hl_tile_end(t.b, NULL, NULL);
  finish(&t, HL_ERR_BUILD, &d);
  expect_place(&d, line);
}

static void reduce_axis(void **state) {
  (void)state;
  bench t;
  hl_diag d;
  start(&t);
  hl_value v = hl_load(t.b, t.x, (hl_value[]){t.i, HL_ALL}, 2);
  const uint32_t line = __LINE__ + 1;
  assert_int_equal(hl_reduce_sum(t.b, v, 2, false), HL_POISON);
  hl_tile_end(t.b, NULL, NULL);
  finish(&t, HL_ERR_BUILD, &d);
  expect_place(&d, line);
  EXPECT_WORDS(&d, "2");
}

/* What is wrong with the region of a reduction or scan. */
typedef enum mistake {
  AXIS, SCAN_AXIS, ARG_AXIS, SHAPES, IDENTITY, COMBINED, NOT_OPEN, OTHER_END, NEVER_CLOSED, MEMORY, NO_VALUES, MISTAKES
} mistake;

/* Builds it; the line of the wrong call. */
static uint32_t make_mistake(bench *t, mistake m) {
  hl_builder *b = t->b;
  hl_value v = hl_load(b, t->x, (hl_value[]){t->i, HL_ALL}, 2), column = hl_load(b, t->x, (hl_value[]){t->i, hl_const_i(b, 0)}, 2);
  hl_value zero = hl_const_f(b, 0), l[2], r[2], out[2];
  const hl_value pair[2] = {v, column}, zeros[2] = {zero, zero};
  const int32_t last = -1, far = -3;
  switch (m) {
  case AXIS: hl_reduce_begin(b, &v, &zero, 1, &far, 1, false, l, r); return __LINE__;
  case SCAN_AXIS: (void)hl_cumsum(b, v, 2, false); return __LINE__;
  case ARG_AXIS: (void)hl_argmax(b, v, (int32_t[]){1, -1}, 2, false); return __LINE__;
  case SHAPES: hl_reduce_begin(b, pair, zeros, 2, &last, 1, false, l, r); return __LINE__;
  case IDENTITY: hl_scan_begin(b, &v, &column, 1, 1, false, l, r); return __LINE__;
  case NO_VALUES: hl_reduce_begin(b, pair, zeros, 0, &last, 1, false, l, r); return __LINE__;
  case NOT_OPEN: hl_scan_end(b, &zero, out); return __LINE__;
  default: break;
  }
  hl_reduce_begin(b, &v, &zero, 1, &last, 1, false, l, r); const uint32_t begin = __LINE__;
  if (m == COMBINED) {
    out[0] = hl_gt(b, l[0], r[0]);
    hl_reduce_end(b, out, out); return __LINE__;
  }
  if (m == OTHER_END) {
    hl_tile_end(b, NULL, NULL); return __LINE__;
  }
  if (m == NEVER_CLOSED)
    return begin;
  out[0] = hl_add(b, l[0], hl_load(b, t->y, (hl_value[]){hl_const_i(b, 0)}, 1)); const uint32_t load = __LINE__;
  hl_reduce_end(b, out, out);
  hl_store(b, t->out, (hl_value[]){t->i, HL_ALL}, 2, hl_unsqueeze(b, out[0], 1));
  hl_tile_end(b, NULL, NULL);
  return load;
}

static void regions(void **state) {
  (void)state;
  static const char *const words[MISTAKES][3] = {
      [AXIS] = {"reduce: axis -3", "rank 2", ""},
      [SCAN_AXIS] = {"scan: axis 2", "rank 2", ""},
      [ARG_AXIS] = {"argmax: axis -1 is named twice", "", ""},
      [SHAPES] = {"f32[$i, $N]", "f32[$i]", "do not broadcast"},
      [IDENTITY] = {"the identity of f32[$i, $N] must be a scalar of f32", "not f32[$i]", ""},
      [COMBINED] = {"combined value 1 is bool", "its arguments are f32", ""},
      [NOT_OPEN] = {"hl_scan_end", "hl_tile_begin", "line"},
      [OTHER_END] = {"hl_tile_end", "hl_reduce_begin", "line"},
      [NEVER_CLOSED] = {"never closed", "hl_reduce_end", ""},
      [MEMORY] = {"load cannot stand in the region of a fold", "pointwise", ""},
      [NO_VALUES] = {"1 to 8 values", "identities", ""}};
  for (mistake m = 0; m < MISTAKES; m++) {
    bench t;
    hl_diag d;
    start(&t);
    const uint32_t line = make_mistake(&t, m);
    finish(&t, HL_ERR_BUILD, &d);
    expect_place(&d, line);
    EXPECT_WORDS(&d, words[m][0], words[m][1], words[m][2]);
  }
}

static void dot_shapes(void **state) {
  (void)state;
  bench t;
  hl_diag d;
  start(&t);
  hl_value v = hl_load(t.b, t.x, (hl_value[]){t.i, HL_ALL}, 2);
  const uint32_t line = __LINE__ + 1;
  assert_int_equal(hl_dot(t.b, v, v, HL_POISON), HL_POISON); /* [i, N] . [i, N] */
  hl_tile_end(t.b, NULL, NULL);
  finish(&t, HL_ERR_BUILD, &d);
  expect_place(&d, line);
  EXPECT_WORDS(&d, "dot");
}

static void store_to_input(void **state) {
  (void)state;
  bench t;
  hl_diag d;
  start(&t);
  hl_value v = hl_load(t.b, t.x, (hl_value[]){t.i, HL_ALL}, 2);
  const uint32_t line = __LINE__ + 1;
  hl_store(t.b, t.x, (hl_value[]){t.i, HL_ALL}, 2, v);
  hl_tile_end(t.b, NULL, NULL);
  finish(&t, HL_ERR_BUILD, &d);
  expect_place(&d, line);
  EXPECT_WORDS(&d, "x");
}

static void malformed_text(void **state) {
  (void)state;
  static const char text[] = "hl 1 tile\nkernel @k {\n  dim N\n  param %x : tensor<f33[N]> in\n";
  hl_context *ctx = exec_context();
  hl_diag d = {0};
  hl_kernel *k = NULL;
  assert_int_equal(hl_kernel_parse(ctx, (hl_str){text, sizeof text - 1}, "my.hl", &d, &k), HL_ERR_PARSE);
  assert_null(k);
  assert_string_equal(d.file, "my.hl");
  assert_int_equal(d.line, 4);
  EXPECT_WORDS(&d, "f33");
  hl_context_destroy(ctx);
}

/* ---- configurations, targets, compiling ---- */

typedef struct ready {
  hl_context *ctx;
  hl_kernel *k;
} ready;

static ready make(const char *name) {
  ready r = {.ctx = exec_context()};
  hl_diag d = {0};
  if (hl_example_find(name)->build(r.ctx, HL_F32, &d, &r.k) != HL_OK)
    fail_msg("%s", d.message);
  return r;
}

static void drop(ready *r) {
  hl_kernel_destroy(r->k);
  hl_context_destroy(r->ctx);
}

static hl_status parse_config(const ready *r, const char *json, const char *target, hl_diag *d) {
  const hl_shape_binding shape = {"N", 1000};
  hl_config *c = NULL;
  *d = (hl_diag){0};
  const hl_status s = hl_config_parse(r->k, &shape, 1, exec_target(target), (hl_str){json, strlen(json)}, d, &c);
  assert_true((s == HL_OK) == (c != NULL));
  hl_config_destroy(c);
  return s;
}

static void configurations(void **state) {
  (void)state;
  hl_diag d;
  ready r = make("vector_add");
  assert_int_equal(parse_config(&r, "{\"blok_sizes\":[64]}", "host", &d), HL_ERR_CONFIG);
  EXPECT_WORDS(&d, "blok_sizes", "block_sizes");
  assert_int_equal(parse_config(&r, "{\"block_sizes\":[77]}", "host", &d), HL_ERR_CONFIG);
  EXPECT_WORDS(&d, "block_sizes", "77", "64");
  assert_int_equal(parse_config(&r, "{\"num_warps\":3}", "nvptx:sm_90a", &d), HL_ERR_CONFIG);
  EXPECT_WORDS(&d, "num_warps", "3", "4");
  assert_int_equal(parse_config(&r, "{\"block_sizes\":[64,64]}", "host", &d), HL_ERR_CONFIG);
  EXPECT_WORDS(&d, "block_sizes", "1");
  assert_int_equal(parse_config(&r, "{\"block_sizes\":", "host", &d), HL_ERR_CONFIG);
  assert_int_equal(parse_config(&r, "[]", "host", &d), HL_ERR_CONFIG);
  assert_int_equal(parse_config(&r, "{\"num_warps\":4}", "host", &d), HL_OK); /* not the CPU's: ignored */
  drop(&r);
}

static void unknown_target(void **state) {
  (void)state;
  hl_diag d = {0};
  const hl_target *t = NULL;
  assert_int_equal(hl_target_find((hl_str){"nvptx:sm_1", 10}, &d, &t), HL_ERR_UNSUPPORTED);
  assert_null(t);
  EXPECT_WORDS(&d, "nvptx:sm_1", "nvptx:sm_90a", "host");
}

static hl_status compile(const ready *r, const char *target, hl_emit emit, const char *stop, int64_t n, hl_diag *d) {
  const hl_shape_binding shape = {"N", n};
  hl_blob *blob = NULL;
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  o.shape = &shape, o.shape_count = n >= 0, o.emit = emit, o.stop_after = stop;
  *d = (hl_diag){0};
  const hl_status s = hl_compile(r->ctx, r->k, exec_target(target), &o, d, &blob);
  assert_true((s == HL_OK) == (blob != NULL));
  hl_blob_release(blob);
  return s;
}

static void compiling(void **state) {
  (void)state;
  hl_diag d;
  ready r = make("vector_add");
  assert_int_equal(compile(&r, "host", HL_EMIT_LANE, NULL, 1000, &d), HL_ERR_UNSUPPORTED);
  EXPECT_WORDS(&d, "host", "lane", "loop");
  assert_int_equal(compile(&r, "host", HL_EMIT_LOOP, "nosuch", 1000, &d), HL_ERR_ARG);
  EXPECT_WORDS(&d, "nosuch");
  assert_int_not_equal(compile(&r, "host", HL_EMIT_LOOP, NULL, -1, &d), HL_OK);
  EXPECT_WORDS(&d, "N");
  drop(&r);
}

/* ---- launching ---- */

enum { COUNT = 1000 };

/* vector_add on three aligned arrays; `out` must stay as it is. */
typedef struct launch {
  ready r;
  hl_device *dev;
  hl_plan *plan;
  float *x, *y, *out;
  int64_t shape[2], stride[2];
  hl_tensor t[3];
  hl_arg arg[3];
} launch;

static float *array(float value) {
  float *p = aligned_alloc(256, 2 * 4096);
  assert_non_null(p);
  for (int i = 0; i < 2048; i++)
    p[i] = value;
  return p;
}

static void open_launch(launch *l) {
  hl_diag d = {0};
  *l = (launch){.r = make("vector_add"), .shape = {COUNT, 1}, .stride = {1, 1}};
  l->x = array(1), l->y = array(2), l->out = array(-7);
  float *data[3] = {l->x, l->y, l->out};
  for (int i = 0; i < 3; i++) {
    l->t[i] = (hl_tensor){
        .data = data[i], .device = {HL_DEVICE_CPU, 0}, .ndim = 1, .dtype = hl_dtype_to_dl(HL_F32), .shape = l->shape};
    l->arg[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &l->t[i]};
  }
  if (hl_device_open(l->r.ctx, "cpu", &d, &l->dev) != HL_OK)
    fail_msg("%s", d.message);
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.args = l->arg, o.arg_count = 3;
  if (hl_plan_create(l->dev, l->r.k, &o, &d, &l->plan) != HL_OK)
    fail_msg("%s", d.message);
}

static void close_launch(launch *l) {
  hl_plan_destroy(l->plan);
  hl_device_close(l->dev);
  drop(&l->r);
  free(l->x), free(l->y), free(l->out);
}

/* The launch is refused with these words, by all three ways to launch, and writes nothing. */
static void refused(launch *l, size_t count, const char *const *words) {
  hl_diag d = {0};
  hl_prepared *p = NULL;
  hl_status s = hl_launch(l->plan, NULL, l->arg, count, NULL, &d);
  if (s != HL_ERR_GUARD && s != HL_ERR_ARG)
    fail_msg("hl_launch gave %d (%s) %s", s, hl_status_text(s), d.message);
  expect_words(&d, words);
  d = (hl_diag){0};
  s = hl_prepared_create(l->plan, l->arg, count, NULL, &d, &p);
  assert_true(s == HL_ERR_GUARD || s == HL_ERR_ARG);
  assert_null(p);
  expect_words(&d, words);
  assert_int_equal(hl_device_synchronize(l->dev, &d), HL_OK);
  for (int i = 0; i < 2048; i++)
    assert_true(l->out[i] == -7);
}
#define REFUSED(l, count, ...) refused((l), (count), (const char *const[]){__VA_ARGS__, NULL})

static void good_launch(void **state) {
  (void)state;
  launch l;
  hl_diag d = {0};
  open_launch(&l);
  assert_int_equal(hl_launch(l.plan, NULL, l.arg, 3, NULL, &d), HL_OK);
  assert_int_equal(hl_device_synchronize(l.dev, &d), HL_OK);
  for (int i = 0; i < COUNT; i++)
    assert_true(l.out[i] == 3);
  for (int i = COUNT; i < 2048; i++)
    assert_true(l.out[i] == -7);
  close_launch(&l);
}

static void wrong_tensors(void **state) {
  (void)state;
  launch l;
  open_launch(&l);
  const hl_tensor good = l.t[1];
  int64_t other[2] = {COUNT + 1, 1}, strides[1] = {2};
  l.t[1].dtype = hl_dtype_to_dl(HL_F16);
  REFUSED(&l, 3, "y", "f32", "f16");
  l.t[1] = good;
  l.t[1].ndim = 2;
  REFUSED(&l, 3, "y", "dimension", "2", "1");
  l.t[1] = good;
  l.t[1].shape = other;
  REFUSED(&l, 3, "y", "1001", "1000");
  l.t[1] = good;
  l.t[1].strides = strides;
  REFUSED(&l, 3, "y", "stride", "2", "1");
  l.t[1] = good;
  l.t[1].data = (char *)l.y + 4;
  REFUSED(&l, 3, "y", "align");
  l.t[1] = good;
  l.t[1].byte_offset = 4;
  REFUSED(&l, 3, "y", "align");
  l.t[1] = good;
  l.t[1].data = NULL;
  REFUSED(&l, 3, "y", "NULL");
  l.t[1] = good;
  l.t[1].device.type = HL_DEVICE_CUDA;
  REFUSED(&l, 3, "y");
  close_launch(&l);
}

static void wrong_arguments(void **state) {
  (void)state;
  launch l;
  open_launch(&l);
  REFUSED(&l, 2, "3", "2");
  l.arg[1] = (hl_arg){.kind = HL_ARG_I64, .as.i64 = 4};
  REFUSED(&l, 3, "y");
  l.arg[1] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = NULL};
  REFUSED(&l, 3, "y");
  close_launch(&l);
}

static void overlap(void **state) {
  (void)state;
  launch l;
  open_launch(&l);
  l.t[1].data = l.out + 64;
  REFUSED(&l, 3, "y", "out", "overlap");
  close_launch(&l);
}

/* A failing hl_prepared_set changes nothing: the next launch writes what the old arguments say. */
static void prepared_keeps(void **state) {
  (void)state;
  launch l;
  hl_diag d = {0};
  hl_prepared *p = NULL;
  open_launch(&l);
  assert_int_equal(hl_prepared_create(l.plan, l.arg, 3, NULL, &d, &p), HL_OK);
  hl_tensor bad = l.t[0];
  bad.data = NULL;
  const hl_arg arg = {.kind = HL_ARG_TENSOR, .as.tensor = &bad};
  assert_int_not_equal(hl_prepared_set(p, 0, &arg, &d), HL_OK);
  EXPECT_WORDS(&d, "x");
  assert_int_equal(hl_prepared_launch(p, NULL), HL_OK);
  assert_int_equal(hl_device_synchronize(l.dev, &d), HL_OK);
  for (int i = 0; i < COUNT; i++)
    assert_true(l.out[i] == 3);
  hl_prepared_destroy(p);
  close_launch(&l);
}

/* Making a plan from arguments that disagree with each other or with the kernel. */
static void plan_refuses(void **state) {
  (void)state;
  launch l;
  hl_diag d = {0};
  hl_plan *plan = NULL;
  open_launch(&l);
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.args = l.arg, o.arg_count = 3;
  int64_t other[1] = {999};
  l.t[1].shape = other;
  assert_int_equal(hl_plan_create(l.dev, l.r.k, &o, &d, &plan), HL_ERR_GUARD);
  EXPECT_WORDS(&d, "y", "N", "999", "1000");
  l.t[1].shape = l.shape;
  l.t[1].dtype = hl_dtype_to_dl(HL_I32);
  assert_int_equal(hl_plan_create(l.dev, l.r.k, &o, &d, &plan), HL_ERR_GUARD);
  EXPECT_WORDS(&d, "y", "f32", "i32");
  assert_null(plan);
  close_launch(&l);
}

static void devices(void **state) {
  (void)state;
  hl_diag d = {0};
  hl_device *dev = NULL;
  hl_context *ctx = exec_context();
  assert_int_not_equal(hl_device_open(ctx, "gpuu", &d, &dev), HL_OK);
  EXPECT_WORDS(&d, "gpuu");
  assert_null(dev);
  assert_int_not_equal(hl_device_open(ctx, "cpu:3", &d, &dev), HL_OK);
  EXPECT_WORDS(&d, "cpu:3");
  hl_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(broadcast_mismatch), cmocka_unit_test(rank_mismatch),  cmocka_unit_test(unclosed_loop),
      cmocka_unit_test(loop_closed_twice),  cmocka_unit_test(no_loop),        cmocka_unit_test(poison_chain),
      cmocka_unit_test(reduce_axis), cmocka_unit_test(regions),        cmocka_unit_test(dot_shapes),     cmocka_unit_test(store_to_input),
      cmocka_unit_test(malformed_text),     cmocka_unit_test(configurations), cmocka_unit_test(unknown_target),
      cmocka_unit_test(compiling),          cmocka_unit_test(good_launch),    cmocka_unit_test(wrong_tensors),
      cmocka_unit_test(wrong_arguments),    cmocka_unit_test(overlap),        cmocka_unit_test(prepared_keeps),
      cmocka_unit_test(plan_refuses),       cmocka_unit_test(devices),
  };
  return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
