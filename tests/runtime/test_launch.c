/* Parameter blocks, prepared launches, plans as functions: on the null device, which
 * remembers what it was given. */
#include "rt.h"
#include <math.h>

typedef struct fixture {
  hl_context *ctx;
  hl_device *dev;
} fixture;

static fixture open_null(void) {
  fixture f;
  hl_diag d;
  f.ctx = rt_context(NULL);
  assert_ok(hl_device_open(f.ctx, "null", &d, &f.dev), d);
  return f;
}

static void close_null(fixture f) {
  hl_device_close(f.dev);
  hl_context_destroy(f.ctx);
}

static hl_null_launch last_launch(hl_device *dev) {
  static hl_null_launch records[64];
  size_t total = 0;
  assert_int_equal(hl_null_launches(dev, records, 64, NULL, &total), HL_OK);
  assert_true(total > 0);
  return records[total > 64 ? 63 : total - 1];
}

static size_t count(hl_device *dev) {
  size_t total = 0;
  assert_int_equal(hl_null_launches(dev, NULL, 0, NULL, &total), HL_OK);
  return total;
}

/* ---- layout: every type, in an order that needs padding -------------------------- */

typedef struct mixed {
  int8_t i8;
  void *p;
  bool b;
  int16_t i16;
  uint8_t u8;
  int32_t i32;
  uint16_t u16;
  double f64;
  uint16_t f16;
  int64_t i64;
  uint16_t bf16;
  float f32;
  uint32_t u32;
  uint8_t tail;
} mixed;

enum { MIXED = 14 };
static const hl_dtype mixed_types[MIXED] = {HL_I8,  HL_DTYPE_NONE, HL_BOOL, HL_I16,  HL_U8,  HL_I32, HL_U16,
                                            HL_F64, HL_F16,        HL_I64,  HL_BF16, HL_F32, HL_U32, HL_U8};

/* Launches a kernel of such parameters (NONE: the tensor) once and returns what the device was given. */
static hl_null_launch launch_mixed(hl_device *dev, rt_vector *t) {
  static const int64_t values[MIXED] = {-5, 0, 1, -300, 250, -70000, 65000, 0, 0, -5000000000, 0, 0, 4000000000, 9};
  hl_diag d;
  hlr_dim dim = {"N", 4, 1};
  hlr_param params[MIXED] = {0};
  hlr_slot slots[MIXED];
  hl_arg args[MIXED];
  for (int i = 0; i < MIXED; i++) {
    const hl_dtype type = mixed_types[i];
    const bool tensor = type == HL_DTYPE_NONE;
    const bool floating = type == HL_F16 || type == HL_BF16 || type == HL_F32 || type == HL_F64;
    snprintf(params[i].name, sizeof params[i].name, "p%d", i);
    params[i].is_tensor = tensor;
    params[i].rank = tensor;
    params[i].align = 1;
    params[i].strides[0] = HLR_DYNAMIC;
    params[i].dtype = tensor ? HL_I32 : type;
    slots[i] = (hlr_slot){tensor ? HLR_PTR : HLR_SCALAR, type, (uint8_t)i, 0};
    args[i] = tensor ? rt_arg(t) : floating ? rt_f64(-1.5) : rt_i64(values[i]);
  }
  hlr_step step = {.entry = "mixed",
                   .threads = 32,
                   .cluster = 2,
                   .grain = 1,
                   .shared_bytes = 512,
                   .extent_count = 1,
                   .extents = {{.dim = HLR_DYNAMIC, .constant = 7, .block = 2}},
                   .slot_count = MIXED,
                   .slots = slots};
  hlr_program prog = {.name = "mixed",
                      .dim_count = 1,
                      .param_count = MIXED,
                      .step_count = 1,
                      .dims = &dim,
                      .params = params,
                      .steps = &step};
  hl_plan *plan;
  assert_ok(hlr_plan_create(dev, &prog, &d, &plan), d);
  assert_ok(hl_launch(plan, NULL, args, MIXED, NULL, &d), d);
  hl_plan_destroy(plan);
  return last_launch(dev);
}

static void test_layout(void **state) {
  (void)state;
  fixture f = open_null();
  rt_vector t;
  rt_tensor(&t, f.dev, &t, HL_I32, 1, 4, 0, 0);
  const hl_null_launch record = launch_mixed(f.dev, &t);
  assert_string_equal(record.entry, "mixed");
  assert_int_equal(record.block_size, sizeof(mixed));
  assert_int_equal(record.programs, 4);
  assert_int_equal(record.threads, 32);
  assert_int_equal(record.cluster, 2);
  assert_int_equal(record.shared_bytes, 512);
  mixed m;
  memcpy(&m, record.block, sizeof m);
  assert_int_equal(m.i8, -5);
  assert_ptr_equal(m.p, &t);
  assert_int_equal(m.b, true);
  assert_int_equal(m.i16, -300);
  assert_int_equal(m.u8, 250);
  assert_int_equal(m.i32, -70000);
  assert_int_equal(m.u16, 65000);
  assert_true(m.f64 == -1.5);
  assert_int_equal(m.f16, 0xbe00);
  assert_int_equal(m.i64, -5000000000);
  assert_int_equal(m.bf16, 0xbfc0);
  assert_true(m.f32 == -1.5f);
  assert_int_equal(m.u32, 4000000000u);
  assert_int_equal(m.tail, 9);
  close_null(f);
}

/* Padding is zero: equal calls give equal bytes. */
static void test_padding(void **state) {
  (void)state;
  static const size_t offsets[MIXED] = {
      offsetof(mixed, i8),   offsetof(mixed, p),   offsetof(mixed, b),   offsetof(mixed, i16), offsetof(mixed, u8),
      offsetof(mixed, i32),  offsetof(mixed, u16), offsetof(mixed, f64), offsetof(mixed, f16), offsetof(mixed, i64),
      offsetof(mixed, bf16), offsetof(mixed, f32), offsetof(mixed, u32), offsetof(mixed, tail)};
  fixture f = open_null();
  rt_vector t;
  rt_tensor(&t, f.dev, &t, HL_I32, 1, 4, 0, 0);
  const hl_null_launch record = launch_mixed(f.dev, &t);
  unsigned char used[sizeof(mixed)] = {0};
  for (int i = 0; i < MIXED; i++)
    memset(used + offsets[i], 1, mixed_types[i] == HL_DTYPE_NONE ? sizeof(void *) : hl_dtype_size(mixed_types[i]));
  for (size_t i = 0; i < sizeof(mixed); i++)
    if (!used[i])
      assert_int_equal(record.block[i], 0);
  close_null(f);
}

/* ---- small floats --------------------------------------------------------------------- */

static uint16_t pass_half(hl_plan *plan, hl_device *dev, double value) {
  hl_arg arg = rt_f64(value);
  hl_diag d;
  assert_ok(hl_launch(plan, NULL, &arg, 1, NULL, &d), d);
  uint16_t bits;
  memcpy(&bits, last_launch(dev).block, sizeof bits);
  return bits;
}

static double half_value(uint16_t bits, int mantissa, int exponent) {
  int bias = (1 << (exponent - 1)) - 1, e = bits >> mantissa & ((1 << exponent) - 1);
  double m = bits & ((1 << mantissa) - 1), sign = bits >> 15 ? -1 : 1;
  if (e == (1 << exponent) - 1)
    return m ? NAN : sign * INFINITY;
  return sign * (e ? ldexp(1 + ldexp(m, -mantissa), e - bias) : ldexp(m, 1 - bias - mantissa));
}

static void test_half(void **state) {
  (void)state;
  fixture f = open_null();
  hl_diag d;
  for (int bf = 0; bf < 2; bf++) {
    hl_dtype type = bf ? HL_BF16 : HL_F16;
    int mantissa = bf ? 7 : 10, exponent = bf ? 8 : 5;
    hlr_param param = {.name = "h", .dtype = type};
    hlr_slot slot = {HLR_SCALAR, (uint8_t)type, 0, 0};
    hlr_step step = {.entry = "half", .threads = 1, .cluster = 1, .grain = 1, .slot_count = 1, .slots = &slot};
    hlr_program prog = {.name = "half", .param_count = 1, .step_count = 1, .params = &param, .steps = &step};
    hl_plan *plan;
    assert_ok(hlr_plan_create(f.dev, &prog, &d, &plan), d);
    for (uint32_t bits = 0; bits < 65536; bits += bits % 256 < 8 ? 1 : 37) {
      double value = half_value((uint16_t)bits, mantissa, exponent);
      uint16_t got = pass_half(plan, f.dev, value);
      if (isnan(value)) {
        assert_true(isnan(half_value(got, mantissa, exponent)));
        continue;
      }
      assert_int_equal(got, bits); /* exact values survive, both zeros too */
      if (isinf(value) || (bits & 0x7fff) == 0x7fff)
        continue;
      double next = half_value((uint16_t)(bits + 1), mantissa, exponent);
      if (isinf(next) || isnan(next))
        continue;
      double middle = (value + next) / 2;
      assert_int_equal(pass_half(plan, f.dev, middle), bits & 1 ? bits + 1 : bits); /* ties to even */
      assert_int_equal(pass_half(plan, f.dev, nextafter(middle, value)), bits);
      assert_int_equal(pass_half(plan, f.dev, nextafter(middle, next)), bits + 1);
    }
    double top = half_value((uint16_t)((((1 << exponent) - 1) << mantissa) - 1), mantissa, exponent);
    double edge = top + ldexp(1, (1 << (exponent - 1)) - 2 - mantissa);
    assert_true(isinf(half_value(pass_half(plan, f.dev, edge), mantissa, exponent)));
    assert_false(isinf(half_value(pass_half(plan, f.dev, nextafter(edge, 0)), mantissa, exponent)));
    assert_true(isinf(half_value(pass_half(plan, f.dev, -1e300), mantissa, exponent)));
    assert_int_equal(pass_half(plan, f.dev, -1e-300), 0x8000);
    assert_int_equal(pass_half(plan, f.dev, 5e-324), 0);
    hl_plan_destroy(plan);
  }
  close_null(f);
}

/* ---- strides, steps, streams ---------------------------------------------------------- */

static void test_steps(void **state) {
  (void)state;
  fixture f = open_null();
  hl_diag d;
  rt_axpy p;
  rt_axpy_init(&p, HLR_IMAGE_NONE, NULL);
  hlr_slot second[] = {{HLR_STRIDE, HL_I64, 0, 0}, {HLR_STRIDE, HL_I32, 0, 1}, {HLR_STRIDE, HL_I64, 1, 0}};
  p.program.dim_count = 2;
  p.params[0].rank = 2;
  p.params[0].dims[1] = 1;
  p.params[0].strides[0] = p.params[0].strides[1] = HLR_DYNAMIC;
  p.steps[1] = p.steps[0];
  strcpy(p.steps[1].entry, "second");
  p.steps[1].slots = second;
  p.steps[1].slot_count = 3;
  p.steps[1].extent_count = 2;
  p.steps[1].extents[1] = (hlr_extent){.dim = 1, .block = 4};
  p.program.step_count = 2;
  hl_plan *plan;
  assert_ok(hlr_plan_create(f.dev, &p.program, &d, &plan), d);
  float data[1024];
  rt_vector x, y;
  rt_tensor(&x, f.dev, data, HL_F32, 2, 100, 5, 0);
  rt_tensor(&y, f.dev, data + 600, HL_F32, 1, 100, 0, 0);
  hl_arg args[] = {rt_arg(&x), rt_arg(&y), rt_f64(1), rt_i64(2)};
  hl_stream *stream;
  assert_ok(hl_stream_create(f.dev, &d, &stream), d);
  assert_ok(hl_launch(plan, stream, args, 4, NULL, &d), d);
  assert_int_equal(count(f.dev), 2);
  hl_null_launch r = last_launch(f.dev);
  struct {
    int64_t a;
    int32_t b;
    int64_t c;
  } block;
  assert_int_equal(r.block_size, sizeof block);
  memcpy(&block, r.block, sizeof block);
  assert_string_equal(r.entry, "second");
  assert_int_equal(r.programs, 2 * 2);
  assert_int_equal(block.a, 5); /* row-major of a tensor without strides */
  assert_int_equal(block.b, 1);
  assert_int_equal(block.c, 1);
  x.shape[1] = 0; /* the second step's grid is empty, the first one's is not */
  assert_ok(hl_launch(plan, stream, args, 4, NULL, &d), d);
  assert_int_equal(count(f.dev), 3);

  hl_device *cpu;
  hl_stream *foreign;
  assert_ok(hl_device_open(f.ctx, "cpu", &d, &cpu), d);
  assert_ok(hl_stream_create(cpu, &d, &foreign), d);
  assert_fails(hl_launch(plan, foreign, args, 4, NULL, &d), HL_ERR_ARG, d, "the stream belongs to device 'cpu:0'");
  assert_int_equal(count(f.dev), 3);
  hl_stream_destroy(foreign);
  hl_device_close(cpu);
  hl_stream_destroy(stream);
  hl_plan_destroy(plan);
  close_null(f);
}

/* ---- the null device's memory and clock ------------------------------------------------- */

static double cost(void *user, const hl_null_launch *launch) {
  return *(double *)user * (double)launch->programs;
}

static void test_null(void **state) {
  (void)state;
  fixture f = open_null();
  hl_diag d;
  rt_axpy p;
  rt_axpy_init(&p, HLR_IMAGE_NONE, NULL);
  hl_plan *plan;
  assert_ok(hlr_plan_create(f.dev, &p.program, &d, &plan), d);
  static float data[20000];
  rt_vector x, y;
  rt_tensor(&x, f.dev, data, HL_F32, 1, 0, 0, 0);
  rt_tensor(&y, f.dev, data + 10000, HL_F32, 1, 0, 0, 0);
  hl_arg args[] = {rt_arg(&x), rt_arg(&y), rt_f64(1), rt_i64(2)};
  hl_event *a, *b;
  assert_ok(hl_event_create(f.dev, &d, &a), d);
  assert_ok(hl_event_create(f.dev, &d, &b), d);
  double unit = 1e6;
  assert_ok(hl_null_set_cost(f.dev, cost, &unit, &d), d);
  assert_ok(hl_event_record(a, NULL, &d), d);
  for (int64_t i = 1; i <= 100; i++) {
    x.shape[0] = y.shape[0] = 64 * i;
    assert_ok(hl_launch(plan, NULL, args, 4, NULL, &d), d);
  }
  assert_ok(hl_event_record(b, NULL, &d), d);
  float ms;
  assert_ok(hl_event_elapsed(a, b, &d, &ms), d);
  assert_true(ms == 5050.0f);
  hl_null_launch kept[80];
  size_t total;
  assert_ok(hl_null_launches(f.dev, kept, 80, &d, &total), d);
  assert_int_equal(total, 100);
  for (uint64_t i = 0; i < 64; i++)
    assert_int_equal(kept[i].programs, 37 + i); /* the last 64, in order */
  assert_ok(hl_null_clear(f.dev, &d), d);
  assert_int_equal(count(f.dev), 0);
  assert_int_equal(hl_null_clear(NULL, NULL), HL_ERR_ARG);
  assert_int_equal(hl_null_set_cost(NULL, NULL, NULL, NULL), HL_ERR_ARG);
  hl_event_destroy(a);
  hl_event_destroy(b);
  hl_plan_destroy(plan);
  close_null(f);
}

/* ---- prepared launches --------------------------------------------------------------------- */

typedef struct axpy_block {
  const float *x;
  float *y;
  int64_t n;
  float a;
  int32_t k;
} axpy_block;

static axpy_block block_of(hl_device *dev) {
  axpy_block b;
  hl_null_launch r = last_launch(dev);
  assert_int_equal(r.block_size, sizeof b);
  memcpy(&b, r.block, sizeof b);
  return b;
}

/* A prepared launch of axpy on 200 elements of `data` and the 200 behind them; the tensors stay for its changes. */
typedef struct prepared_axpy {
  rt_axpy p;
  hl_plan *plan;
  float data[1000];
  rt_vector x, y;
  hl_arg args[4];
  hl_prepared *prep;
} prepared_axpy;

static void prepare(prepared_axpy *a, hl_device *dev) {
  hl_diag d;
  rt_axpy_init(&a->p, HLR_IMAGE_NONE, NULL);
  assert_ok(hlr_plan_create(dev, &a->p.program, &d, &a->plan), d);
  rt_tensor(&a->x, dev, a->data, HL_F32, 1, 200, 0, 0);
  rt_tensor(&a->y, dev, a->data + 200, HL_F32, 1, 200, 0, 0);
  a->y.tensor.strides = a->y.strides;
  a->y.strides[0] = 1;
  const hl_arg args[4] = {rt_arg(&a->x), rt_arg(&a->y), rt_f64(1.5), rt_i64(2)};
  memcpy(a->args, args, sizeof args);
  assert_ok(hl_prepared_create(a->plan, a->args, 4, NULL, &d, &a->prep), d);
}

static void test_prepared(void **state) {
  (void)state;
  fixture f = open_null();
  prepared_axpy a;
  prepare(&a, f.dev);
  assert_int_equal(count(f.dev), 0);
  memset(&a.args, 0, sizeof a.args); /* everything was copied */
  a.y.strides[0] = 77;
  assert_int_equal(hl_prepared_launch(a.prep, NULL), HL_OK);
  const axpy_block b = block_of(f.dev);
  assert_ptr_equal(b.x, a.data);
  assert_int_equal(b.n, 200);
  assert_true(b.a == 1.5f);
  assert_int_equal(b.k, 2);
  hl_plan_destroy(a.plan);
  hl_prepared_destroy(a.prep); /* after its plan: allowed */
  hl_prepared_destroy(NULL);
  close_null(f);
}

static void test_prepared_set(void **state) {
  (void)state;
  fixture f = open_null();
  prepared_axpy a;
  hl_diag d;
  prepare(&a, f.dev);
  hl_arg arg = rt_f64(2.5);
  assert_ok(hl_prepared_set(a.prep, 2, &arg, &d), d);
  assert_int_equal(hl_prepared_launch(a.prep, NULL), HL_OK);
  assert_true(block_of(f.dev).a == 2.5f);
  arg = rt_i64(1);
  assert_fails(hl_prepared_set(a.prep, 2, &arg, &d), HL_ERR_GUARD, d, "'a'");
  assert_fails(hl_prepared_set(a.prep, 4, &arg, &d), HL_ERR_ARG, d, "takes 4");
  assert_int_equal(hl_prepared_set(NULL, 0, &arg, NULL), HL_ERR_ARG);
  a.x.shape[0] = 150;
  arg = rt_arg(&a.x);
  assert_fails(hl_prepared_set(a.prep, 0, &arg, &d), HL_ERR_GUARD, d, "200 here but 150");
  a.x.shape[0] = 200;
  a.x.tensor.data = a.data + 200;
  assert_fails(hl_prepared_set(a.prep, 0, &arg, &d), HL_ERR_GUARD, d, "overlap");
  assert_int_equal(hl_prepared_launch(a.prep, NULL), HL_OK); /* as before */
  assert_ptr_equal(block_of(f.dev).x, a.data);
  a.x.tensor.data = a.data + 400;
  assert_ok(hl_prepared_set(a.prep, 0, &arg, &d), d);
  assert_int_equal(hl_prepared_launch(a.prep, NULL), HL_OK);
  assert_ptr_equal(block_of(f.dev).x, a.data + 400);
  assert_int_equal(count(f.dev), 3);
  hl_prepared_destroy(a.prep);
  hl_plan_destroy(a.plan);
  close_null(f);
}

static void test_prepared_errors(void **state) {
  (void)state;
  fixture f = open_null();
  prepared_axpy a;
  hl_diag d;
  prepare(&a, f.dev);
  memset(&a.args, 0, sizeof a.args);
  hl_prepared *none;
  assert_fails(hl_prepared_create(a.plan, a.args, 4, NULL, &d, &none), HL_ERR_GUARD, d, "'x'");
  assert_null(none);
  assert_int_equal(hl_prepared_create(NULL, a.args, 4, NULL, NULL, &none), HL_ERR_ARG);
  assert_int_equal(hl_prepared_launch(NULL, NULL), HL_ERR_ARG);
  hl_device *cpu;
  hl_stream *foreign;
  assert_ok(hl_device_open(f.ctx, "cpu", &d, &cpu), d);
  assert_ok(hl_stream_create(cpu, &d, &foreign), d);
  assert_int_equal(hl_prepared_launch(a.prep, foreign), HL_ERR_ARG);
  hl_stream_destroy(foreign);
  hl_device_close(cpu);
  hl_prepared_destroy(a.prep);
  hl_plan_destroy(a.plan);
  close_null(f);
}

static void test_prepared_empty(void **state) {
  (void)state;
  fixture f = open_null();
  hl_diag d;
  rt_axpy p;
  rt_axpy_init(&p, HLR_IMAGE_NONE, NULL);
  hl_plan *plan;
  assert_ok(hlr_plan_create(f.dev, &p.program, &d, &plan), d);
  rt_vector x, y;
  rt_tensor(&x, f.dev, NULL, HL_F32, 1, 0, 0, 0);
  rt_tensor(&y, f.dev, NULL, HL_F32, 1, 0, 0, 0);
  hl_arg args[] = {rt_arg(&x), rt_arg(&y), rt_f64(1.5), rt_i64(2)};
  hl_prepared *prep;
  assert_ok(hl_prepared_create(plan, args, 4, NULL, &d, &prep), d);
  assert_int_equal(hl_prepared_launch(prep, NULL), HL_OK);
  assert_int_equal(count(f.dev), 0);
  hl_prepared_destroy(prep);
  hl_plan_destroy(plan);
  close_null(f);
}

/* ---- functions ------------------------------------------------------------------------------- */

static void test_function(void **state) {
  (void)state;
  fixture f = open_null();
  hl_diag d;
  rt_axpy p;
  rt_axpy_init(&p, HLR_IMAGE_NONE, NULL);
  hl_plan *dynamic, *fixed;
  assert_ok(hlr_plan_create(f.dev, &p.program, &d, &dynamic), d);
  p.dims[0].value = 200;
  assert_ok(hlr_plan_create(f.dev, &p.program, &d, &fixed), d);
  float data[1000];
  rt_vector x, y;
  rt_tensor(&x, f.dev, data, HL_F32, 1, 100, 0, 0);
  rt_tensor(&y, f.dev, data + 400, HL_F32, 1, 100, 0, 0);

  hl_function fn, again;
  assert_ok(hl_plan_function(dynamic, &d, &fn), d);
  assert_ok(hl_plan_function(dynamic, &d, &again), d);
  assert_true(fn == again);
  typedef hl_status (*with_tensors)(void *, const hl_tensor *, const hl_tensor *, double, int64_t);
  assert_int_equal(((with_tensors)fn)(NULL, &x.tensor, &y.tensor, 0.25, -9), HL_OK);
  axpy_block b = block_of(f.dev);
  assert_ptr_equal(b.y, data + 400);
  assert_int_equal(b.n, 100);
  assert_true(b.a == 0.25f);
  assert_int_equal(b.k, -9);
  assert_int_equal(((with_tensors)fn)(NULL, &x.tensor, NULL, 0.25, -9), HL_ERR_GUARD);

  assert_ok(hl_plan_function(fixed, &d, &fn), d);
  typedef hl_status (*with_pointers)(void *, void *, void *, double, int64_t);
  hl_stream *stream;
  assert_ok(hl_stream_create(f.dev, &d, &stream), d);
  assert_int_equal(((with_pointers)fn)(stream, data, data + 200, 4, 5), HL_OK);
  b = block_of(f.dev);
  assert_ptr_equal(b.x, data);
  assert_ptr_equal(b.y, data + 200);
  assert_int_equal(b.n, 200);
  assert_true(b.a == 4);
  assert_int_equal(((with_pointers)fn)(stream, data, data + 199, 4, 5), HL_ERR_GUARD); /* they overlap */
  assert_int_equal(((with_pointers)fn)(stream, NULL, data + 200, 4, 5), HL_ERR_GUARD);
  assert_int_equal(((with_pointers)fn)(stream, (char *)data + 1, data + 400, 4, 5), HL_ERR_GUARD);
  assert_int_equal(((with_pointers)fn)(stream, data, data + 200, 4, (int64_t)1 << 40), HL_ERR_GUARD);
  assert_int_equal(count(f.dev), 2);
  assert_int_equal(hl_plan_function(NULL, NULL, &fn), HL_ERR_ARG);
  hl_stream_destroy(stream);
  hl_plan_destroy(fixed);
  hl_plan_destroy(dynamic);
  close_null(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_layout),         cmocka_unit_test(test_padding),
      cmocka_unit_test(test_half),           cmocka_unit_test(test_steps),
      cmocka_unit_test(test_null),           cmocka_unit_test(test_prepared),
      cmocka_unit_test(test_prepared_set),   cmocka_unit_test(test_prepared_errors),
      cmocka_unit_test(test_prepared_empty), cmocka_unit_test(test_function),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
