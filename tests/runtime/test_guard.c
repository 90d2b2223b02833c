/* What the guards of a launch refuse, and in which words. */
#include "rt.h"

typedef struct fixture {
  hl_context *ctx;
  hl_device *dev;
  hl_plan *plan;
  rt_axpy desc;
  float x[256], y[256];
  rt_vector tx, ty;
  hl_arg args[4];
} fixture;

static fixture *make(void (*edit)(rt_axpy *)) {
  fixture *f = calloc(1, sizeof *f);
  hl_diag d;
  f->ctx = rt_context(NULL);
  assert_ok(hl_device_open(f->ctx, "null", &d, &f->dev), d);
  rt_axpy_init(&f->desc, HLR_IMAGE_NONE, NULL);
  if (edit)
    edit(&f->desc);
  assert_ok(hlr_plan_create(f->dev, &f->desc.program, &d, &f->plan), d);
  rt_tensor(&f->tx, f->dev, f->x, HL_F32, 1, 128, 0, 0);
  rt_tensor(&f->ty, f->dev, f->y, HL_F32, 1, 128, 0, 0);
  f->args[0] = rt_arg(&f->tx);
  f->args[1] = rt_arg(&f->ty);
  f->args[2] = rt_f64(2);
  f->args[3] = rt_i64(1);
  return f;
}

static hl_status go(fixture *f, hl_diag *d) {
  return hl_launch(f->plan, NULL, f->args, 4, NULL, d);
}

static size_t launches(fixture *f) {
  size_t total = 0;
  assert_int_equal(hl_null_launches(f->dev, NULL, 0, NULL, &total), HL_OK);
  return total;
}

/* `expected`: how many launches got through. */
static void drop(fixture *f, size_t expected) {
  assert_int_equal(launches(f), expected);
  hl_plan_destroy(f->plan);
  hl_device_close(f->dev);
  hl_context_destroy(f->ctx);
  free(f);
}

#define REFUSED(f, part)                                                                                               \
  do {                                                                                                                 \
    hl_diag d_;                                                                                                        \
    assert_fails(go((f), &d_), HL_ERR_GUARD, d_, (part));                                                              \
    assert_non_null(strstr(d_.message, "axpy"));                                                                       \
    assert_int_equal(go((f), NULL), HL_ERR_GUARD);                                                                     \
  } while (0)

static void test_form(void **state) {
  (void)state;
  fixture *f = make(NULL);
  hl_diag d;
  assert_ok(go(f, &d), d);
  assert_fails(hl_launch(f->plan, NULL, f->args, 3, NULL, &d), HL_ERR_GUARD, d, "takes 4 arguments (x, y, a, k), 3");
  assert_fails(hl_launch(f->plan, NULL, NULL, 4, NULL, &d), HL_ERR_ARG, d, "NULL");
  assert_fails(hl_launch(NULL, NULL, f->args, 4, NULL, &d), HL_ERR_ARG, d, "plan");

  f->args[0] = rt_i64(3);
  REFUSED(f, "parameter 'x': the argument is an integer");
  f->args[0] = (hl_arg){HL_ARG_TENSOR, {.tensor = NULL}};
  REFUSED(f, "the tensor is NULL");
  f->args[0] = (hl_arg){(hl_arg_kind)9, {.tensor = NULL}};
  REFUSED(f, "of no known kind");
  f->args[0] = rt_arg(&f->tx);
  f->args[2] = rt_i64(3);
  REFUSED(f, "parameter 'a': the argument is an integer (HL_ARG_I64), the kernel has a scalar of type f32");
  f->args[2] = rt_arg(&f->tx);
  REFUSED(f, "a tensor");
  f->args[2] = rt_f64(3);
  f->args[3] = rt_i64((int64_t)1 << 31);
  REFUSED(f, "2147483648 does not fit i32");
  f->args[3] = rt_f64(1);
  REFUSED(f, "pass an integer");
  drop(f, 1);
}

static void test_form_of_tensors(void **state) {
  (void)state;
  fixture *f = make(NULL);
  f->tx.tensor.dtype = hl_dtype_to_dl(HL_BF16);
  REFUSED(f, "the tensor holds bf16, the plan was made for f32");
  f->tx.tensor.dtype = (hl_dl_dtype){2, 32, 4};
  REFUSED(f, "4 lanes");
  f->tx.tensor.dtype = hl_dtype_to_dl(HL_F32);
  f->tx.tensor.ndim = 2;
  REFUSED(f, "has 2 dimensions, the kernel declares 1");
  f->tx.tensor.ndim = 1;
  f->tx.tensor.shape = NULL;
  REFUSED(f, "shape is NULL");
  f->tx.tensor.shape = f->tx.shape;
  f->tx.tensor.device = (hl_device_id){HL_DEVICE_CUDA, 1};
  REFUSED(f, "on cuda:1 (DLPack device 2), the plan runs on null:0");
  f->tx.tensor.device = f->ty.tensor.device;
  f->tx.tensor.data = NULL;
  REFUSED(f, "data is NULL");
  f->tx.tensor.data = (char *)f->x + 2;
  REFUSED(f, "not aligned to 4 bytes");
  f->tx.tensor.data = (char *)f->x;
  f->tx.tensor.byte_offset = 1;
  REFUSED(f, "not aligned");
  f->tx.tensor.byte_offset = 0;
  f->tx.shape[0] = -5;
  REFUSED(f, "dimension 0 ('N') is -5");
  f->tx.shape[0] = 100;
  REFUSED(f, "parameter 'y': dimension 0 is 'N', which is 128 here but 100 in dimension 0 of 'x'");
  f->tx.shape[0] = 128;
  f->tx.tensor.strides = f->tx.strides;
  f->tx.strides[0] = 2;
  REFUSED(f, "the stride of dimension 0 is 2 elements, the plan was made for 1");
  f->tx.strides[0] = 1;
  f->tx.shape[0] = f->ty.shape[0] = INT64_MAX;
  REFUSED(f, "exceeds the address space");
  drop(f, 0);
}

static void exact_multiple(rt_axpy *p) {
  p->dims[0].multiple = 16;
  p->params[0].align = 64;
}
static void exact_value(rt_axpy *p) {
  p->dims[0].value = 128;
}

static void test_sizes(void **state) {
  (void)state;
  fixture *f = make(exact_multiple);
  hl_diag d;
  float *base = (float *)(((uintptr_t)f->x + 63) / 64 * 64);
  f->tx.tensor.data = base;
  f->tx.shape[0] = f->ty.shape[0] = 32;
  assert_ok(go(f, &d), d);
  f->tx.shape[0] = f->ty.shape[0] = 24;
  REFUSED(f, "'N') is 24, the plan needs a multiple of 16");
  f->tx.shape[0] = f->ty.shape[0] = 32;
  f->tx.tensor.data = base + 4;
  REFUSED(f, "aligned to 64 bytes");
  drop(f, 1);

  f = make(exact_value);
  f->tx.shape[0] = 127;
  REFUSED(f, "'N') is 127, the plan was made for 128: make a plan for this shape");
  f->tx.shape[0] = 128;
  f->ty.shape[0] = 129;
  REFUSED(f, "parameter 'y': dimension 0 ('N') is 129");
  drop(f, 0);
}

/* A size-1 axis may have any stride; an empty tensor may have any data. */
static void test_degenerate(void **state) {
  (void)state;
  fixture *f = make(NULL);
  hl_diag d;
  f->tx.tensor.strides = f->tx.strides;
  f->tx.strides[0] = 1000;
  f->tx.shape[0] = f->ty.shape[0] = 1;
  assert_ok(go(f, &d), d);
  f->tx.shape[0] = f->ty.shape[0] = 0;
  f->tx.tensor.data = f->ty.tensor.data = NULL;
  assert_ok(go(f, &d), d); /* zero programs: done */
  assert_ok(hl_launch(f->plan, NULL, f->args, 4, &(hl_launch_options){sizeof(hl_launch_options), HL_CHECK_NONE, 0}, &d),
            d);
  drop(f, 1);
}

static void alias_pair(rt_axpy *p) {
  p->params[1].may_alias = 1u << 0;
}
static void two_written(rt_axpy *p) {
  p->params[0].written = true;
}
static void loose_strides(rt_axpy *p) {
  p->params[0].strides[0] = p->params[1].strides[0] = HLR_DYNAMIC;
  p->params[0].written = true;
}
static void matrices(rt_axpy *p) {
  p->program.dim_count = 2;
  for (int i = 0; i < 2; i++) {
    p->params[i].rank = 2;
    p->params[i].dims[1] = 1;
    p->params[i].strides[0] = p->params[i].strides[1] = HLR_DYNAMIC;
  }
}

static void test_overlap(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = make(NULL);
  f->ty.tensor.data = f->x + 127;
  REFUSED(f, "overlap those of 'x'");
  f->ty.tensor.data = f->x + 128; /* the next element after x */
  assert_ok(go(f, &d), d);
  f->ty.tensor.data = f->x;
  f->ty.tensor.byte_offset = 4 * 64;
  REFUSED(f, "parameter 'y': it is written");
  hl_launch_options none = HL_LAUNCH_OPTIONS_INIT;
  none.check = HL_CHECK_NONE;
  assert_ok(hl_launch(f->plan, NULL, f->args, 4, &none, &d), d);
  none.check = (hl_check)8;
  assert_fails(hl_launch(f->plan, NULL, f->args, 4, &none, &d), HL_ERR_ARG, d, "HL_LAUNCH_OPTIONS_INIT");
  none.size = 0;
  assert_fails(hl_launch(f->plan, NULL, f->args, 4, &none, &d), HL_ERR_ARG, d, "HL_LAUNCH_OPTIONS_INIT");
  drop(f, 2);
}

static void test_overlap_allowed(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = make(alias_pair);
  f->ty.tensor.data = f->x;
  assert_ok(go(f, &d), d);
  drop(f, 1);
  f = make(two_written);
  f->ty.tensor.data = f->x;
  REFUSED(f, "parameter 'x': it is written");
  drop(f, 0);
}

/* The stride decides what is touched, negative ones too. */
static void test_overlap_strides(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = make(loose_strides);
  f->tx.tensor.strides = f->tx.strides;
  f->ty.tensor.strides = f->ty.strides;
  f->tx.strides[0] = -1;
  f->tx.tensor.data = f->x + 127;
  f->ty.strides[0] = 1;
  f->ty.tensor.data = f->x + 128;
  assert_ok(go(f, &d), d);
  f->ty.tensor.data = f->x + 127;
  REFUSED(f, "overlap");
  f->ty.tensor.data = f->x + 128;
  f->ty.strides[0] = -1;
  REFUSED(f, "overlap");
  f->tx.strides[0] = f->ty.strides[0] = 2; /* even and odd elements */
  f->tx.tensor.data = f->x;
  f->ty.tensor.data = f->x + 1;
  f->tx.shape[0] = f->ty.shape[0] = 64;
  assert_ok(go(f, &d), d);
  f->tx.strides[0] = 0;
  REFUSED(f, "stride 0");
  f->tx.strides[0] = INT64_MAX / 2;
  REFUSED(f, "exceeds the address space");
  drop(f, 2);
}

/* Two column blocks of one 16 x 16 matrix. */
static void test_overlap_blocks(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = make(matrices);
  rt_tensor(&f->tx, f->dev, f->x, HL_F32, 2, 16, 8, 0);
  rt_tensor(&f->ty, f->dev, f->x + 8, HL_F32, 2, 16, 8, 0);
  f->tx.tensor.strides = f->tx.strides;
  f->ty.tensor.strides = f->ty.strides;
  f->tx.strides[0] = f->ty.strides[0] = 16;
  f->tx.strides[1] = f->ty.strides[1] = 1;
  assert_ok(go(f, &d), d);
  f->ty.tensor.data = f->x + 7;
  REFUSED(f, "overlap");
  f->ty.tensor.data = f->x + 9; /* wraps into the next row's x */
  REFUSED(f, "overlap");
  f->ty.strides[0] = 15;
  f->ty.tensor.data = f->x + 8;
  REFUSED(f, "overlap");
  drop(f, 1);
}

/* The bytes of a tensor inside a small arena, one by one. */
static void mark(const rt_vector *v, const char *arena, unsigned char *bytes, unsigned char bit) {
  for (int64_t i = 0; i < v->shape[0]; i++)
    for (int64_t k = 0; k < v->shape[1]; k++) {
      const char *at = (const char *)v->tensor.data + 4 * (i * v->strides[0] + k * v->strides[1]);
      memset(bytes + (at - arena), bytes[at - arena] | bit, 4);
    }
}

/* Random views against a byte map: what is accepted never overlaps, and ranges that do not
 * cross are never refused. */
static void test_overlap_random(void **state) {
  (void)state;
  enum { SIZE = 4096 };
  static _Alignas(64) char arena[SIZE];
  fixture *f = make(matrices);
  uint32_t seed = 12345;
  size_t accepted = 0, accepted_crossing = 0, refused = 0;
  for (int round = 0; round < 60000; round++) {
    rt_vector *both[2] = {&f->tx, &f->ty};
    unsigned char bytes[SIZE] = {0};
    uint32_t numbers[8];
    for (int i = 0; i < 8; i++)
      numbers[i] = (seed = seed * 1664525u + 1013904223u) >> 8;
    int64_t rows = 1 + numbers[0] % 6, cols = 1 + numbers[1] % 6, pitch = 1 + numbers[2] % 16;
    for (int i = 0; i < 2; i++) {
      rt_tensor(both[i], f->dev, arena + SIZE / 2 + 4 * (numbers[3 + i] % 40), HL_F32, 2, rows, cols, 0);
      both[i]->tensor.strides = both[i]->strides;
      both[i]->strides[0] = pitch;
      both[i]->strides[1] = 1 + numbers[5] % 3;
      if (numbers[6] % 4 == 0)
        both[i]->strides[i] = -both[i]->strides[i];
      if (numbers[7] % 4 == 0)
        both[i]->strides[0] += i;
      mark(both[i], arena, bytes, (unsigned char)(1 << i));
    }
    bool overlap = false, seen[2] = {false, false}, crossing;
    int first[2] = {0, 0}, last[2] = {0, 0};
    for (int b = 0; b < SIZE; b++) {
      overlap |= bytes[b] == 3;
      for (int i = 0; i < 2; i++)
        if (bytes[b] >> i & 1) {
          if (!seen[i])
            first[i] = b;
          seen[i] = true;
          last[i] = b;
        }
    }
    crossing = first[0] <= last[1] && first[1] <= last[0];
    hl_diag d;
    hl_status status = go(f, &d);
    if (status == HL_OK) {
      assert_false(overlap);
      accepted++;
      accepted_crossing += crossing;
    } else {
      assert_int_equal(status, HL_ERR_GUARD);
      assert_true(crossing);
      refused++;
    }
  }
  assert_true(accepted > 1000 && accepted_crossing > 100 && refused > 1000);
  drop(f, accepted);
}

static void narrow(rt_axpy *p) {
  p->slots[2].dtype = HL_I32;
  p->params[0].strides[0] = p->params[1].strides[0] = HLR_DYNAMIC;
  p->slots[5] = (hlr_slot){HLR_STRIDE, HL_I32, 0, 0};
  p->steps[0].slot_count = 6;
}
static void unbounded(rt_axpy *p) {
  p->steps[0].extents[0].block = 1;
}
static void persistent(rt_axpy *p) {
  unbounded(p);
  p->steps[0].max_programs = 132;
  p->steps[0].extent_count = 2;
  p->steps[0].extents[1] = (hlr_extent){.dim = 0, .block = 1};
}

static void test_limits(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = make(narrow);
  f->tx.tensor.data = (void *)(uintptr_t)4096; /* never touched */
  f->ty.tensor.data = (void *)(uintptr_t)((uint64_t)1 << 40);
  f->tx.shape[0] = f->ty.shape[0] = ((int64_t)1 << 31) - 1;
  assert_ok(go(f, &d), d);
  f->tx.shape[0] = f->ty.shape[0] = (int64_t)1 << 31;
  REFUSED(f, "dimension 'N' is 2147483648, the plan counts it in 32 bits");
  f->tx.shape[0] = f->ty.shape[0] = 2;
  f->tx.tensor.strides = f->tx.strides;
  f->tx.strides[0] = (int64_t)1 << 32;
  REFUSED(f, "the stride of dimension 0 is 4294967296");
  drop(f, 1);

  f = make(unbounded);
  f->tx.tensor.data = (void *)(uintptr_t)4096;
  f->ty.tensor.data = (void *)(uintptr_t)((uint64_t)1 << 40);
  f->tx.shape[0] = f->ty.shape[0] = (int64_t)1 << 32;
  REFUSED(f, "more than 2147483647 programs");
  drop(f, 0);

  f = make(persistent); /* the product overflows, but the grid is bounded */
  f->tx.tensor.data = (void *)(uintptr_t)4096;
  f->ty.tensor.data = (void *)(uintptr_t)((uint64_t)1 << 40);
  f->tx.shape[0] = f->ty.shape[0] = (int64_t)1 << 36;
  assert_ok(go(f, &d), d);
  hl_null_launch record;
  assert_int_equal(hl_null_launches(f->dev, &record, 1, NULL, NULL), HL_OK);
  assert_int_equal(record.programs, 132);
  drop(f, 1);
}

static void *passed_workspace(const fixture *f) {
  hl_null_launch record;
  void *passed;
  assert_int_equal(hl_null_launches(f->dev, &record, 1, NULL, NULL), HL_OK);
  memcpy(&passed, record.block + 32, sizeof passed);
  assert_int_equal(hl_null_clear(f->dev, NULL), HL_OK);
  return passed;
}

static void workspace(rt_axpy *p) {
  p->program.workspace_bytes = 1000;
  p->slots[5] = (hlr_slot){HLR_WORKSPACE, HL_DTYPE_NONE, 0, 0};
  p->steps[0].slot_count = 6;
}

/* A caller that brings none gets the stream's: the same one on the same stream. */
static void test_stream_workspace(void **state) {
  (void)state;
  hl_diag d;
  hl_stream *stream;
  hl_launch_options o = HL_LAUNCH_OPTIONS_INIT;
  fixture *f = make(workspace);
  assert_ok(go(f, &d), d);
  void *own = passed_workspace(f);
  assert_true(own && (uintptr_t)own % 256 == 0);
  memset(own, 1, 1000);
  assert_ok(hl_launch(f->plan, NULL, f->args, 4, &o, &d), d);
  assert_ptr_equal(passed_workspace(f), own);
  assert_ok(hl_stream_create(f->dev, &d, &stream), d);
  assert_ok(hl_launch(f->plan, stream, f->args, 4, NULL, &d), d);
  void *other = passed_workspace(f);
  assert_true(other && other != own);
  hl_stream_destroy(stream);
  o.size = 1;
  assert_fails(hl_launch(f->plan, NULL, f->args, 4, &o, &d), HL_ERR_ARG, d, "HL_LAUNCH_OPTIONS_INIT");
  drop(f, 0);
}

static void test_workspace(void **state) {
  (void)state;
  hl_diag d;
  fixture *f = make(workspace);
  assert_int_equal(hl_plan_workspace_size(f->plan), 1000);
  assert_int_equal(hl_plan_workspace_size(NULL), 0);
  hl_prepared *prepared; /* has no stream yet */
  assert_fails(hl_prepared_create(f->plan, f->args, 4, NULL, &d, &prepared), HL_ERR_GUARD, d,
               "needs a workspace of 1000 bytes");
  hl_buffer *buf;
  assert_ok(hl_buffer_create(f->dev, 2000, &d, &buf), d);
  hl_launch_options o = HL_LAUNCH_OPTIONS_INIT;
  o.workspace = hl_buffer_data(buf);
  assert_ok(hl_launch(f->plan, NULL, f->args, 4, &o, &d), d);
  hl_null_launch record;
  assert_int_equal(hl_null_launches(f->dev, &record, 1, NULL, NULL), HL_OK);
  void *passed;
  memcpy(&passed, record.block + 32, sizeof passed);
  assert_ptr_equal(passed, o.workspace);
  o.workspace = (char *)o.workspace + 8;
  assert_fails(hl_launch(f->plan, NULL, f->args, 4, &o, &d), HL_ERR_GUARD, d, "not aligned to 256");
  o.workspace = hl_buffer_data(buf);
  f->tx.tensor.data = (char *)o.workspace + 900;
  assert_fails(hl_launch(f->plan, NULL, f->args, 4, &o, &d), HL_ERR_GUARD, d, "overlaps the workspace");
  hl_function fn;
  assert_fails(hl_plan_function(f->plan, &d, &fn), HL_ERR_UNSUPPORTED, d, "workspace");
  hl_buffer_destroy(buf);
  drop(f, 1);
}

/* ---- descriptors -------------------------------------------------------------- */

static void refuse_plan(hl_device *dev, const rt_axpy *p, hl_status want, const char *part) {
  hl_diag d;
  hl_plan *plan = (hl_plan *)&d;
  assert_fails(hlr_plan_create(dev, &p->program, &d, &plan), want, d, part);
  assert_null(plan);
}

#define MALFORMED(edit, status, part)                                                                                  \
  do {                                                                                                                 \
    rt_axpy p;                                                                                                         \
    rt_axpy_init(&p, HLR_IMAGE_NONE, NULL);                                                                            \
    edit;                                                                                                              \
    refuse_plan(dev, &p, (status), (part));                                                                            \
  } while (0)

static void test_malformed(void **state) {
  (void)state;
  hl_context *ctx = rt_context(NULL);
  hl_diag d;
  hl_device *dev;
  assert_ok(hl_device_open(ctx, "null", &d, &dev), d);
  MALFORMED(p.program.name[0] = '\0', HL_ERR_ARG, "no name");
  MALFORMED(memset(p.program.name, 'x', HLR_NAME), HL_ERR_ARG, "no name");
  MALFORMED(p.program.param_count = 65, HL_ERR_LIMIT, "65 parameters; a plan takes at most 64");
  MALFORMED(p.program.dim_count = 1000, HL_ERR_LIMIT, "1000 dimensions");
  MALFORMED(p.program.step_count = 17, HL_ERR_LIMIT, "17 steps");
  MALFORMED(p.steps[0].slot_count = 5000, HL_ERR_LIMIT, "fields");
  MALFORMED(p.program.params = NULL, HL_ERR_ARG, "without its array");
  MALFORMED(p.steps[0].slots = NULL, HL_ERR_ARG, "without its fields");
  MALFORMED(p.params[1].name[0] = '\0', HL_ERR_ARG, "parameter without a name (number 1)");
  MALFORMED(p.params[1].dtype = HL_DTYPE_NONE, HL_ERR_ARG, "unknown type");
  MALFORMED(p.params[1].rank = 9, HL_ERR_ARG, "too many dimensions");
  MALFORMED(p.params[1].align = 3, HL_ERR_ARG, "power of two");
  MALFORMED(p.params[1].align = 0, HL_ERR_ARG, "power of two");
  MALFORMED(p.params[1].dims[0] = 7, HL_ERR_ARG, "unknown dimension");
  MALFORMED(p.program.dim_count = 2, HL_ERR_ARG, "dimension that no tensor has (number 1)");
  MALFORMED(p.dims[0].multiple = 0, HL_ERR_ARG, "unsound dimension");
  MALFORMED(p.dims[0].value = -2, HL_ERR_ARG, "unsound dimension");
  MALFORMED(p.steps[0].entry[0] = '\0', HL_ERR_ARG, "without an entry");
  MALFORMED(p.steps[0].threads = 0, HL_ERR_ARG, "0 threads");
  MALFORMED(p.steps[0].grain = 0, HL_ERR_ARG, "0 threads");
  MALFORMED(p.steps[0].extent_count = HLR_MAX_EXTENTS + 1, HL_ERR_ARG, "too many extents");
  MALFORMED(p.steps[0].extents[0].block = 0, HL_ERR_ARG, "unsound extent");
  MALFORMED(p.steps[0].extents[0].dim = 4, HL_ERR_ARG, "unsound extent");
  MALFORMED(p.steps[0].extents[0].dim = -7, HL_ERR_ARG, "unsound extent");
  MALFORMED((p.steps[0].extents[0].dim = -1, p.steps[0].extents[0].constant = -1), HL_ERR_ARG, "unsound extent");
  MALFORMED(p.slots[0].param = 2, HL_ERR_ARG, "unsound field"); /* a scalar's pointer */
  MALFORMED(p.slots[0].param = 200, HL_ERR_ARG, "unsound field");
  MALFORMED(p.slots[0].source = 99, HL_ERR_ARG, "unsound field");
  MALFORMED(p.slots[2].dim = 1, HL_ERR_ARG, "unsound field");
  MALFORMED(p.slots[2].dtype = HL_F32, HL_ERR_ARG, "unsound field");
  MALFORMED(p.slots[3].dtype = HL_F64, HL_ERR_ARG, "unsound field"); /* not the parameter's type */
  MALFORMED(p.slots[3].param = 0, HL_ERR_ARG, "unsound field");      /* a tensor's value */
  MALFORMED((p.slots[2] = (hlr_slot){HLR_STRIDE, HL_I64, 0, 1}), HL_ERR_ARG, "unsound field");
  MALFORMED(p.slots[2].source = HLR_WORKSPACE, HL_ERR_ARG, "unsound field"); /* none is asked for */
  hl_plan *plan;
  assert_int_equal(hlr_plan_create(NULL, NULL, NULL, &plan), HL_ERR_ARG);
  hl_plan_destroy(NULL);
  hl_device_close(dev);
  hl_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_form),
      cmocka_unit_test(test_form_of_tensors),
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_degenerate),
      cmocka_unit_test(test_overlap),
      cmocka_unit_test(test_overlap_allowed),
      cmocka_unit_test(test_overlap_strides),
      cmocka_unit_test(test_overlap_blocks),
      cmocka_unit_test(test_overlap_random),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_workspace),
      cmocka_unit_test(test_stream_workspace),
      cmocka_unit_test(test_malformed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
