/* The CUDA driver against a fake libcuda: every call succeeds, every call fails, old
 * drivers, captures.  What a real GPU does is the business of the exec tests. */
#include "rt.h"
#include "runtime/internal.h"
#include "runtime/cuda_api.h"
#include <dlfcn.h>
#include <elf.h>
#include <unistd.h>

/* As in fake/cuda.c. */
typedef struct fake_state {
  const char *fail_name;
  int fail_code;
  int capture;
  int devices, major, minor, max_threads, static_shared, memory_ordinal;
  long live_memory, live_modules, live_streams, live_events, contexts;
  long launches, launches_ex, pushes, pops, gets, attribute_sets;
  unsigned grid, threads, shared, cluster;
  void *stream;
  void *params[64];
  void *current, *made;
} fake_state;

static fake_state *fake;

typedef struct fixture {
  hl_context *ctx;
  hl_device *dev;
  rt_heap heap;
} fixture;

static fixture *open_cuda(const char *name) {
  fixture *f = calloc(1, sizeof *f);
  hl_context_options o = rt_options(&f->heap);
  f->ctx = rt_context(&o);
  hl_diag d;
  assert_ok(hl_device_open(f->ctx, name, &d, &f->dev), d);
  return f;
}

static void close_cuda(fixture *f) {
  hl_device_close(f->dev);
  hl_context_destroy(f->ctx);
  assert_int_equal(f->heap.live, 0);
  assert_int_equal(fake->live_memory, 0);
  assert_int_equal(fake->live_modules, 0);
  assert_int_equal(fake->live_streams, 0);
  assert_int_equal(fake->live_events, 0);
  assert_int_equal(fake->contexts, 0);
  assert_int_equal(fake->pushes, fake->pops); /* every scope put back what it found */
  free(f);
}

static void fail_next(const char *name, int code) {
  fake->fail_name = name;
  fake->fail_code = code;
}

static void test_open(void **state) {
  (void)state;
  hl_context *ctx = rt_context(NULL);
  hl_diag d;
  hl_device *dev;
  int32_t count;
  assert_ok(hl_device_count(ctx, "cuda", &d, &count), d);
  assert_int_equal(count, 2);
  assert_fails(hl_device_open(ctx, "cuda:2", &d, &dev), HL_ERR_NO_DEVICE, d, "'cuda:2': the driver shows 2");
  fail_next("cuInit", 100);
  assert_fails(hl_device_open(ctx, "cuda", &d, &dev), HL_ERR_NO_DEVICE, d, "finds no GPU");
  assert_fails(hl_device_count(ctx, "cuda", &d, &count), HL_ERR_NO_DEVICE, d, "finds no GPU");
  fail_next("cuInit", 803);
  assert_fails(hl_device_open(ctx, "cuda", &d, &dev), HL_ERR_NO_DRIVER, d, "CUDA error 803");
  assert_int_equal(d.vendor_code, 803);
  fail_next("cuInit", 12345);
  assert_fails(hl_device_open(ctx, "cuda", &d, &dev), HL_ERR_DRIVER, d, "unknown code");
  fail_next("cuDeviceGetCount", 999);
  assert_fails(hl_device_open(ctx, "cuda", &d, &dev), HL_ERR_DRIVER, d, "opening the GPU failed");
  assert_fails(hl_device_count(ctx, "cuda", &d, &count), HL_ERR_DRIVER, d, "counting the GPUs failed");
  fail_next("cuDeviceGet", 101);
  assert_fails(hl_device_open(ctx, "cuda", &d, &dev), HL_ERR_NO_DEVICE, d, "CUDA_VISIBLE_DEVICES");
  fail_next("cuDevicePrimaryCtxRetain", 46);
  assert_fails(hl_device_open(ctx, "cuda", &d, &dev), HL_ERR_DRIVER, d, "exclusively");
  fail_next(NULL, 0);
  hl_context_destroy(ctx);
}

static void test_info(void **state) {
  (void)state;
  static const struct {
    int major, minor;
    const char *target;
  } kinds[] = {{9, 0, "nvptx:sm_90a"}, {8, 0, "nvptx:sm_80"},    {8, 9, "nvptx:sm_80"},
               {7, 5, "nvptx:sm_75"},  {10, 0, "nvptx:sm_100a"}, {12, 1, "nvptx:sm_121a"}};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    fake->major = kinds[i].major;
    fake->minor = kinds[i].minor;
    fixture *f = open_cuda("cuda:1");
    hl_device_info info = {.size = sizeof info};
    assert_int_equal(hl_device_get_info(f->dev, &info), HL_OK);
    assert_string_equal(info.target, kinds[i].target);
    assert_string_equal(info.name, "Fake GPU 1");
    assert_string_equal(info.driver, "CUDA driver 12.8");
    assert_int_equal(info.id.type, HL_DEVICE_CUDA);
    assert_int_equal(info.id.index, 1);
    assert_int_equal(info.units, 132);
    close_cuda(f);
  }
  fake->major = 9;
  fake->minor = 0;
}

/* ---- memory, streams, events ---------------------------------------------------------- */

static hl_status fill_rows(hl_device *dev, void *to, uint32_t element, uint64_t value, hl_diag *d) {
  const hl_driver_fill fill = {to, value, element, 1, 2, (size_t)element * 2};
  return dev->driver->fill(dev->self, NULL, &fill, d);
}

static void test_memory(void **state) {
  (void)state;
  fixture *f = open_cuda("cuda");
  hl_diag d;
  hl_buffer *buf, *none;
  hl_stream *stream, *bad;
  hl_event *a, *b, *no_event;
  char text[16] = "fifteen letters", back[16] = "";
  float ms;
  assert_ok(hl_buffer_create(f->dev, 16, &d, &buf), d);
  assert_ok(hl_stream_create(f->dev, &d, &stream), d);
  assert_ok(hl_event_create(f->dev, &d, &a), d);
  assert_ok(hl_event_create(f->dev, &d, &b), d);
  assert_fails(hl_event_elapsed(a, b, &d, &ms), HL_ERR_BUSY, d, "recorded");
  assert_ok(hl_event_record(a, stream, &d), d);
  assert_ok(hl_buffer_fill(buf, 1, stream, &d), d);
  assert_ok(hl_buffer_write(buf, 0, text, 16, stream, &d), d);
  assert_ok(hl_buffer_read(buf, 0, back, 16, NULL, &d), d);
  assert_string_equal(back, text);
  assert_ok(hl_event_record(b, NULL, &d), d);
  assert_ok(hl_event_synchronize(b, &d), d);
  assert_ok(hl_event_elapsed(a, b, &d, &ms), d);
  assert_true(ms == 1.25f);
  assert_ok(hl_stream_synchronize(stream, &d), d);
  assert_ok(hl_device_synchronize(f->dev, &d), d);

#define FAILING(name, code, call, status, part)                                                                        \
  do {                                                                                                                 \
    fail_next(name, code);                                                                                             \
    assert_fails(call, status, d, part);                                                                               \
    assert_int_equal(d.vendor_code, code);                                                                             \
    assert_int_equal(fake->pushes, fake->pops);                                                                        \
    fail_next(NULL, 0);                                                                                                \
  } while (0)
  FAILING("cuMemAlloc_v2", 2, hl_buffer_create(f->dev, 1 << 20, &d, &none), HL_ERR_MEMORY, "allocating 1048576 bytes");
  FAILING("cuMemsetD8Async", 700, hl_buffer_fill(buf, 0, NULL, &d), HL_ERR_DRIVER, "CUDA_ERROR_ILLEGAL_ADDRESS");
  FAILING("cuMemsetD2D8Async", 1, fill_rows(f->dev, hl_buffer_data(buf), 8, 0, &d), HL_ERR_DRIVER, "filling");
  FAILING("cuMemsetD2D16Async", 1, fill_rows(f->dev, hl_buffer_data(buf), 2, 1, &d), HL_ERR_DRIVER, "filling");
  FAILING("cuMemsetD2D32Async", 1, fill_rows(f->dev, hl_buffer_data(buf), 4, 1, &d), HL_ERR_DRIVER, "filling");
  FAILING("cuMemsetD2D32Async", 1, fill_rows(f->dev, hl_buffer_data(buf), 8, 1, &d), HL_ERR_DRIVER, "filling");
  rt_check_fills(f->dev);
  FAILING("cuMemcpyHtoDAsync_v2", 1, hl_buffer_write(buf, 0, text, 1, NULL, &d), HL_ERR_DRIVER, "to the GPU");
  FAILING("cuMemcpyDtoHAsync_v2", 719, hl_buffer_read(buf, 0, back, 1, NULL, &d), HL_ERR_DRIVER, "restart");
  FAILING("cuStreamCreate", 2, hl_stream_create(f->dev, &d, &bad), HL_ERR_MEMORY, "creating a stream");
  FAILING("cuStreamSynchronize", 702, hl_stream_synchronize(stream, &d), HL_ERR_DRIVER, "watchdog");
  FAILING("cuCtxSynchronize", 716, hl_device_synchronize(f->dev, &d), HL_ERR_DRIVER, "misaligned");
  FAILING("cuEventCreate", 2, hl_event_create(f->dev, &d, &no_event), HL_ERR_MEMORY, "creating an event");
  FAILING("cuEventRecord", 400, hl_event_record(a, stream, &d), HL_ERR_ARG, "not valid");
  assert_ok(hl_stream_wait(stream, b, &d), d);
  FAILING("cuStreamWaitEvent", 400, hl_stream_wait(stream, b, &d), HL_ERR_ARG, "not valid");
  FAILING("cuEventSynchronize", 3, hl_event_synchronize(a, &d), HL_ERR_DRIVER, "fork");
  FAILING("cuEventElapsedTime", 600, hl_event_elapsed(a, b, &d, &ms), HL_ERR_BUSY, "hl_event_synchronize");
  FAILING("cuStreamSynchronize", 900, hl_stream_synchronize(stream, &d), HL_ERR_BUSY, "captures");
  FAILING("cuCtxPushCurrent_v2", 201, hl_buffer_fill(buf, 0, NULL, &d), HL_ERR_DRIVER, "destroyed");
  hl_event_destroy(a);
  hl_event_destroy(b);
  hl_stream_destroy(stream);
  hl_buffer_destroy(buf);
  close_cuda(f);
}

/* ---- kernels ----------------------------------------------------------------------------- */

static hl_blob *cubin(size_t size) {
  Elf64_Ehdr head = {
      .e_type = ET_EXEC, .e_machine = 190, .e_shoff = sizeof head, .e_shnum = 1, .e_shentsize = sizeof(Elf64_Shdr)};
  memcpy(head.e_ident, ELFMAG, SELFMAG);
  head.e_ident[EI_CLASS] = ELFCLASS64;
  Elf64_Shdr section = {.sh_type = SHT_PROGBITS, .sh_offset = 0, .sh_size = sizeof head + sizeof section};
  char bytes[sizeof head + sizeof section];
  memcpy(bytes, &head, sizeof head);
  memcpy(bytes + sizeof head, &section, sizeof section);
  return hli_blob_create(NULL, bytes, size ? size : sizeof bytes);
}

static void kernel(rt_axpy *p, hlr_image_kind kind, hl_blob *blob) {
  rt_axpy_init(p, kind, blob);
  p->steps[0].threads = 384;
  p->steps[0].shared_bytes = 200000;
}

typedef struct call {
  float *x, *y;
  rt_vector tx, ty;
  hl_arg args[4];
} call;

static void call_init(call *c, fixture *f) {
  c->x = aligned_alloc(4096, 3 * 4096);
  c->y = c->x + 2 * 1024; /* a page lies between them */
  rt_tensor(&c->tx, f->dev, c->x, HL_F32, 1, 200, 0, 0);
  rt_tensor(&c->ty, f->dev, c->y, HL_F32, 1, 200, 0, 0);
  c->args[0] = rt_arg(&c->tx);
  c->args[1] = rt_arg(&c->ty);
  c->args[2] = rt_f64(0.5);
  c->args[3] = rt_i64(-3);
}

static hl_plan *plan_axpy(fixture *f, rt_axpy *p) {
  hl_diag d;
  hl_plan *plan;
  hl_blob *blob = cubin(0);
  kernel(p, HLR_IMAGE_CUBIN, blob);
  assert_ok(hlr_plan_create(f->dev, &p->program, &d, &plan), d);
  hl_blob_release(blob);
  return plan;
}

/* A device, a plan and arguments for it. */
typedef struct scene {
  fixture *f;
  rt_axpy p;
  hl_plan *plan;
  call c;
} scene;

static void scene_open(scene *s) {
  s->f = open_cuda("cuda");
  s->plan = plan_axpy(s->f, &s->p);
  call_init(&s->c, s->f);
}

static void scene_close(scene *s) {
  hl_plan_destroy(s->plan);
  free(s->c.x);
  close_cuda(s->f);
}

static void test_launch(void **state) {
  (void)state;
  hl_diag d;
  scene s;
  fake->attribute_sets = 0;
  scene_open(&s);
  assert_int_equal(fake->attribute_sets, 1);
  int native;
  hl_stream *stream;
  assert_ok(hl_stream_wrap(s.f->dev, &native, &d, &stream), d);
  assert_ok(hl_launch(s.plan, stream, s.c.args, 4, NULL, &d), d);
  assert_int_equal(fake->launches, 1);
  assert_int_equal(fake->grid, 4);
  assert_int_equal(fake->threads, 384);
  assert_int_equal(fake->shared, 200000);
  assert_ptr_equal(fake->stream, &native);
  s.c.tx.shape[0] = s.c.ty.shape[0] = 0; /* no program, no launch */
  assert_ok(hl_launch(s.plan, NULL, s.c.args, 4, NULL, &d), d);
  assert_int_equal(fake->launches, 1);
  hl_stream_destroy(stream);
  scene_close(&s);
}

static void test_prepared(void **state) {
  (void)state;
  hl_diag d;
  scene s;
  scene_open(&s);
  hl_prepared *prep;
  assert_ok(hl_prepared_create(s.plan, s.c.args, 4, NULL, &d, &prep), d);
  long pushes = fake->pushes;
  assert_int_equal(hl_prepared_launch(prep, NULL), HL_OK);
  assert_null(fake->stream);
  assert_ptr_equal(*(void **)fake->params[0], s.c.x);
  assert_ptr_equal(*(void **)fake->params[1], s.c.y);
  assert_int_equal(*(int64_t *)fake->params[2], 200);
  assert_true(*(float *)fake->params[3] == 0.5f);
  assert_int_equal(*(int32_t *)fake->params[4], -3);
  assert_int_equal(fake->pushes - pushes, 1);
  /* With the context current already, a launch is one question and one launch. */
  void *context = fake->made;
  fake->current = context;
  pushes = fake->pushes;
  const long gets = fake->gets;
  assert_int_equal(hl_prepared_launch(prep, NULL), HL_OK);
  assert_int_equal(fake->pushes, pushes);
  assert_int_equal(fake->gets - gets, 1);
  assert_ptr_equal(fake->current, context);
  fake->current = NULL;
  hl_prepared_destroy(prep);
  scene_close(&s);
}

static void test_failing_launch(void **state) {
  (void)state;
  hl_diag d;
  scene s;
  scene_open(&s);
  hl_prepared *prep;
  assert_ok(hl_prepared_create(s.plan, s.c.args, 4, NULL, &d, &prep), d);
  fail_next("cuLaunchKernel", 701);
  assert_fails(hl_launch(s.plan, NULL, s.c.args, 4, NULL, &d), HL_ERR_LIMIT, d, "registers");
  assert_int_equal(hl_prepared_launch(prep, NULL), HL_ERR_LIMIT);
  fail_next("cuCtxPushCurrent_v2", 3);
  assert_fails(hl_launch(s.plan, NULL, s.c.args, 4, NULL, &d), HL_ERR_DRIVER, d, "launching a kernel");
  fail_next(NULL, 0);
  hl_prepared_destroy(prep);
  scene_close(&s);
}

static void test_clusters(void **state) {
  (void)state;
  fixture *f = open_cuda("cuda");
  hl_diag d;
  rt_axpy p;
  hl_blob *blob = cubin(0);
  hl_plan *plan;
  call c;
  call_init(&c, f);
  kernel(&p, HLR_IMAGE_CUBIN, blob);
  p.steps[0].cluster = 3; /* grids are whole clusters */
  assert_ok(hlr_plan_create(f->dev, &p.program, &d, &plan), d);
  assert_ok(hl_launch(plan, NULL, c.args, 4, NULL, &d), d);
  assert_int_equal(fake->launches_ex, 1);
  assert_int_equal(fake->grid, 6);
  assert_int_equal(fake->cluster, 3);
  fail_next("cuLaunchKernelEx", 912);
  assert_fails(hl_launch(plan, NULL, c.args, 4, NULL, &d), HL_ERR_LIMIT, d, "cluster");
  fail_next(NULL, 0);
  hl_plan_destroy(plan);

  p.steps[0].cluster = 16;
  fake->attribute_sets = 0;
  assert_ok(hlr_plan_create(f->dev, &p.program, &d, &plan), d);
  assert_int_equal(fake->attribute_sets, 2);
  hl_plan_destroy(plan);
  hl_blob_release(blob);
  free(c.x);
  close_cuda(f);
}

static char log_text[512];

static void keep_log(void *user, hl_log_level level, hl_str text) {
  (void)user;
  if (level == HL_LOG_ERROR)
    snprintf(log_text, sizeof log_text, "%.*s", (int)text.len, text.ptr);
}

#define REFUSED(status, part)                                                                                          \
  do {                                                                                                                 \
    assert_fails(hlr_plan_create(f->dev, &p.program, &d, &plan), status, d, part);                                     \
    assert_int_equal(fake->live_modules, 0);                                                                           \
    assert_int_equal(fake->pushes, fake->pops);                                                                        \
  } while (0)

static void test_images(void **state) {
  (void)state;
  fixture *f = open_cuda("cuda");
  hl_diag d;
  hl_plan *plan;
  rt_axpy p;
  hl_blob *ptx = hli_blob_create(NULL, ".version 9.9", 12), *good = cubin(0), *cut = cubin(100), *empty = cubin(1);
  kernel(&p, HLR_IMAGE_ELF_SO, good);
  REFUSED(HL_ERR_UNSUPPORTED, "compile it for the target 'nvptx:sm_90a'");
  kernel(&p, HLR_IMAGE_PTX, NULL);
  REFUSED(HL_ERR_ARG, "empty");
  kernel(&p, HLR_IMAGE_CUBIN, cut);
  REFUSED(HL_ERR_IO, "truncated");
  kernel(&p, HLR_IMAGE_CUBIN, empty);
  REFUSED(HL_ERR_IO, "too short");
  kernel(&p, HLR_IMAGE_CUBIN, ptx);
  REFUSED(HL_ERR_IO, "too short");
  hl_blob_release(ptx);
  hl_blob_release(good);
  hl_blob_release(cut);
  hl_blob_release(empty);
  close_cuda(f);
}

static void test_block_limits(void **state) {
  (void)state;
  fixture *f = open_cuda("cuda");
  hl_diag d;
  hl_plan *plan;
  rt_axpy p;
  hl_blob *ptx = hli_blob_create(NULL, ".version 9.9", 12);
  kernel(&p, HLR_IMAGE_PTX, ptx);
  p.steps[0].shared_bytes = 232449;
  REFUSED(HL_ERR_LIMIT, "needs 232449 bytes of shared memory, a block on Fake GPU 0 has 232448");
  p.steps[0].shared_bytes = 232448;
  fake->static_shared = 1;
  REFUSED(HL_ERR_LIMIT, "232449 bytes of shared memory in all");
  fake->static_shared = 0;
  p.steps[0].threads = 1025;
  REFUSED(HL_ERR_LIMIT, "1025 threads");
  p.steps[0].threads = 384;
  fake->max_threads = 256;
  REFUSED(HL_ERR_LIMIT, "its registers allow 256");
  fake->max_threads = 1024;
  hl_blob_release(ptx);
  close_cuda(f);
}

static void test_failing_load(void **state) {
  (void)state;
  fixture *f = open_cuda("cuda");
  f->ctx->log = keep_log;
  hl_diag d;
  hl_plan *plan;
  rt_axpy p;
  hl_blob *ptx = hli_blob_create(NULL, ".version 9.9", 12);
  kernel(&p, HLR_IMAGE_PTX, ptx);
  strcpy(p.steps[0].entry, "missing");
  REFUSED(HL_ERR_DRIVER, "no such function");
  strcpy(p.steps[0].entry, "axpy");
  fail_next("cuModuleLoadDataEx", 222);
  REFUSED(HL_ERR_UNSUPPORTED, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION");
  assert_non_null(strstr(d.message, "loading kernel 'axpy' with CUDA driver 12.8"));
  assert_non_null(strstr(d.message, "update the driver"));
  assert_non_null(strstr(d.message, "Unresolved extern function 'nowhere'")); /* the compiler's own words */
  assert_int_equal(d.vendor_code, 222);
  assert_non_null(strstr(log_text, "ptxas fatal"));
  assert_int_equal(hlr_plan_create(f->dev, &p.program, NULL, &plan), HL_ERR_UNSUPPORTED);
  fail_next("cuModuleLoadDataEx", 218);
  REFUSED(HL_ERR_COMPILE, "refused the PTX");
  fail_next("cuModuleLoadDataEx", 209);
  REFUSED(HL_ERR_UNSUPPORTED, "another GPU");
  fail_next("cuModuleLoadDataEx", 221);
  REFUSED(HL_ERR_UNSUPPORTED, "ptxas");
  fail_next("cuFuncSetAttribute", 1);
  REFUSED(HL_ERR_DRIVER, "attributes");
  fail_next("cuFuncLoad", 2);
  REFUSED(HL_ERR_MEMORY, "attributes");
  fail_next("cuCtxPushCurrent_v2", 201);
  REFUSED(HL_ERR_DRIVER, "current");
  fail_next(NULL, 0);
  hl_blob_release(ptx);
  close_cuda(f);
}

/* A driver without cuLaunchKernelEx: only clusters need it. */
static void test_no_clusters(void **state) {
  (void)state;
  fixture *f = open_cuda("cuda");
  hl_diag d;
  hl_plan *plan;
  rt_axpy p;
  hl_blob *blob = cubin(0);
  cuda_api *api = &((cuda_device *)f->dev->self)->api;
  api->LaunchKernelEx = NULL;
  api->FuncLoad = NULL;
  kernel(&p, HLR_IMAGE_CUBIN, blob);
  assert_ok(hlr_plan_create(f->dev, &p.program, &d, &plan), d);
  hl_plan_destroy(plan);
  p.steps[0].cluster = 2;
  REFUSED(HL_ERR_UNSUPPORTED, "CUDA 11.8");
  hl_blob_release(blob);
  close_cuda(f);
}

/* ---- captures, pointers --------------------------------------------------------------------- */

static void test_capture(void **state) {
  (void)state;
  fixture *f = open_cuda("cuda");
  hl_diag d;
  rt_axpy p;
  hl_blob *blob = cubin(0);
  kernel(&p, HLR_IMAGE_CUBIN, blob);
  hl_plan *plan, *other;
  hl_stream *stream, *second;
  hl_buffer *buf;
  call c;
  call_init(&c, f);
  assert_ok(hlr_plan_create(f->dev, &p.program, &d, &plan), d);
  fake->capture = 1; /* nobody asks while there is no stream */
  assert_ok(hl_stream_wrap(f->dev, &c, &d, &stream), d);
  assert_ok(hl_launch(plan, stream, c.args, 4, NULL, &d), d); /* launches are what a graph is made of */
  assert_fails(hlr_plan_create(f->dev, &p.program, &d, &other), HL_ERR_BUSY, d, "cannot load a kernel while a stream");
  assert_fails(hl_buffer_create(f->dev, 64, &d, &buf), HL_ERR_BUSY, d, "cannot allocate memory");
  assert_fails(hl_stream_create(f->dev, &d, &second), HL_ERR_BUSY, d, "cannot create a stream");
  assert_fails(hl_stream_synchronize(stream, &d), HL_ERR_BUSY, d, "end the capture");
  assert_fails(hl_device_synchronize(f->dev, &d), HL_ERR_BUSY, d, "cannot wait for the device");
  fake->capture = 0;
  fail_next("cuStreamIsCapturing", 906); /* the default stream's way to say it */
  assert_fails(hl_buffer_create(f->dev, 64, &d, &buf), HL_ERR_BUSY, d, "capturing");
  fail_next(NULL, 0);
  assert_ok(hl_stream_synchronize(stream, &d), d);
  hl_stream_destroy(stream);
  hl_plan_destroy(plan);
  hl_blob_release(blob);
  free(c.x);
  close_cuda(f);
}

static void test_pointers(void **state) {
  (void)state;
  hl_diag d;
  scene s;
  scene_open(&s);
  hl_launch_options full = HL_LAUNCH_OPTIONS_INIT;
  full.check = HL_CHECK_FULL;
  assert_ok(hl_launch(s.plan, NULL, s.c.args, 4, &full, &d), d);
  s.c.tx.tensor.data = (char *)s.c.x + 4096 - 400;
  assert_fails(hl_launch(s.plan, NULL, s.c.args, 4, &full, &d), HL_ERR_GUARD, d, "400 bytes beyond the end");
  assert_non_null(strstr(d.message, "parameter 'x'"));
  s.c.tx.tensor.data = (void *)(uintptr_t)4096;
  assert_fails(hl_launch(s.plan, NULL, s.c.args, 4, &full, &d), HL_ERR_GUARD, d, "not memory that CUDA knows");
  assert_ok(hl_launch(s.plan, NULL, s.c.args, 4, NULL, &d), d); /* the default check asks nobody */
  s.c.tx.tensor.data = s.c.x;
  fake->memory_ordinal = 1;
  assert_fails(hl_launch(s.plan, NULL, s.c.args, 4, &full, &d), HL_ERR_GUARD, d,
               "memory of GPU 1, the plan runs on GPU 0");
  fake->memory_ordinal = 0;
  s.c.tx.tensor.device.type = 13; /* managed memory may be used anywhere */
  s.c.tx.tensor.device.index = 0;
  assert_ok(hl_launch(s.plan, NULL, s.c.args, 4, &full, &d), d);
  scene_close(&s);
}

static void test_out_of_memory(void **state) {
  (void)state;
  hl_blob *blob = cubin(0);
  bool done = false;
  for (long at = 0; !done; at++) {
    rt_heap heap = {0};
    hl_context_options o = rt_options(&heap);
    hl_context *ctx = rt_context(&o);
    atomic_store(&heap.fail_at, atomic_load(&heap.count) + at);
    hl_diag d;
    hl_device *dev = NULL;
    hl_plan *plan = NULL;
    rt_axpy p;
    kernel(&p, HLR_IMAGE_CUBIN, blob);
    hl_status status = hl_device_open(ctx, "cuda", &d, &dev);
    if (!status)
      status = hlr_plan_create(dev, &p.program, &d, &plan);
    done = !status;
    if (status)
      assert_int_equal(status, HL_ERR_MEMORY);
    hl_plan_destroy(plan);
    hl_device_close(dev);
    hl_context_destroy(ctx);
    assert_int_equal(heap.live, 0);
    assert_int_equal(fake->live_modules, 0);
    assert_int_equal(fake->contexts, 0);
  }
  hl_blob_release(blob);
}

/* The fake is loaded under the driver's name, and so is found before the real one. */
static int load_fake(void **state) {
  (void)state;
  char path[] = "/tmp/hl-fake-XXXXXX";
  int fd = mkstemp(path);
  if (fd < 0)
    return -1;
  close(fd);
  rt_compile_file("tests/runtime/fake/cuda.c", "-w -Wl,-soname,libcuda.so.1", path);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  unlink(path);
  fake = library ? dlsym(library, "fake") : NULL;
  return fake ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_open),         cmocka_unit_test(test_info),          cmocka_unit_test(test_memory),
      cmocka_unit_test(test_launch),       cmocka_unit_test(test_prepared),      cmocka_unit_test(test_failing_launch),
      cmocka_unit_test(test_clusters),     cmocka_unit_test(test_images),        cmocka_unit_test(test_block_limits),
      cmocka_unit_test(test_failing_load), cmocka_unit_test(test_no_clusters),   cmocka_unit_test(test_capture),
      cmocka_unit_test(test_pointers),     cmocka_unit_test(test_out_of_memory),
  };
  return cmocka_run_group_tests(tests, load_fake, NULL);
}
