/* Every allocation fails once: each time a clean status, nothing written, no leak. */
#include "rt.h"

static hl_blob *image;

/* Remembers the first failure; later steps are skipped. */
typedef struct run {
  hl_status status;
  hl_diag diag;
} run;

#define STEP(r, call)                                                                                                  \
  do {                                                                                                                 \
    if (!(r)->status)                                                                                                  \
      (r)->status = (call);                                                                                            \
  } while (0)

static void work(run *r, const char *device, rt_heap *heap, long fail_at) {
  hl_context_options o = rt_options(heap);
  o.cpu_threads = 2;
  atomic_store(&heap->count, 0);
  atomic_store(&heap->fail_at, fail_at);
  bool cpu = !strcmp(device, "cpu");
  hl_context *ctx = NULL;
  hl_device *dev = NULL;
  hl_buffer *x = NULL, *y = NULL;
  hl_stream *stream = NULL;
  hl_event *ev = NULL;
  hl_plan *plan = NULL;
  hl_prepared *prep = NULL;
  hl_function fn = NULL;
  static const hl_driver extra = {.version = HL_EXT_VERSION, .kind = "extra"};
  rt_axpy p;
  rt_axpy_init(&p, cpu ? HLR_IMAGE_ELF_SO : HLR_IMAGE_NONE, image);
  p.steps[0].scratch_bytes = 100;
  STEP(r, hl_context_create(&o, &r->diag, &ctx));
  STEP(r, hl_driver_register(ctx, &extra, &r->diag));
  STEP(r, hl_device_open(ctx, device, &r->diag, &dev));
  STEP(r, hl_stream_create(dev, &r->diag, &stream));
  STEP(r, hl_event_create(dev, &r->diag, &ev));
  STEP(r, hl_buffer_create(dev, 400, &r->diag, &x));
  STEP(r, hl_buffer_create(dev, 400, &r->diag, &y));
  STEP(r, hlr_plan_create(dev, &p.program, &r->diag, &plan));
  if (!r->status) {
    rt_vector tx, ty;
    rt_tensor(&tx, dev, hl_buffer_data(x), HL_F32, 1, 100, 0, 0);
    rt_tensor(&ty, dev, hl_buffer_data(y), HL_F32, 1, 100, 0, 0);
    hl_arg args[] = {rt_arg(&tx), rt_arg(&ty), rt_f64(2), rt_i64(1)};
    STEP(r, hl_buffer_fill(x, 0, stream, &r->diag));
    STEP(r, hl_buffer_fill(y, 0, stream, &r->diag));
    STEP(r, hl_launch(plan, stream, args, 4, NULL, &r->diag));
    STEP(r, hl_prepared_create(plan, args, 4, NULL, &r->diag, &prep));
    STEP(r, hl_prepared_set(prep, 3, &args[3], &r->diag));
    STEP(r, hl_prepared_launch(prep, stream));
    STEP(r, hl_plan_function(plan, &r->diag, &fn));
    STEP(r, hl_event_record(ev, stream, &r->diag));
    STEP(r, hl_event_synchronize(ev, &r->diag));
    float out[100];
    STEP(r, hl_buffer_read(y, 0, out, sizeof out, stream, &r->diag));
    STEP(r, hl_stream_synchronize(stream, &r->diag));
    if (!r->status && cpu)
      assert_true(out[99] == 2.0f);
  }
  hl_prepared_destroy(prep);
  hl_plan_destroy(plan);
  hl_buffer_destroy(x);
  hl_buffer_destroy(y);
  hl_event_destroy(ev);
  hl_stream_destroy(stream);
  hl_device_close(dev);
  hl_context_destroy(ctx);
}

static void test_each(void **state) {
  const char *device = *state;
  static rt_heap heap;
  run good = {HL_OK, {.message = ""}};
  work(&good, device, &heap, -1);
  assert_ok(good.status, good.diag);
  assert_int_equal(heap.live, 0);
  long total = heap.count;
  assert_true(total > 12);
  long failed = 0;
  for (int sticky = 0; sticky < 2; sticky++)
    for (long at = 0; at < total; at++) {
      run r = {HL_OK, {.message = ""}};
      heap.sticky = sticky;
      work(&r, device, &heap, at);
      assert_int_equal(heap.live, 0);
      assert_int_equal(heap.bytes, 0);
      if (r.status) {
        failed++;
        assert_int_equal(r.status, HL_ERR_MEMORY);
        assert_int_equal(r.diag.status, HL_ERR_MEMORY);
        assert_non_null(strstr(r.diag.message, "out of memory"));
      }
    }
  heap.sticky = false;
  /* All but at most one (a helper's scratch, which the launch can do without) are reported. */
  assert_in_range(failed, 2 * total - 4, 2 * total);
}

static int compile(void **state) {
  (void)state;
  image = rt_compile(rt_axpy_source);
  return image ? 0 : -1;
}

static int drop(void **state) {
  (void)state;
  hl_blob_release(image);
  return 0;
}

int main(void) {
  char null[] = "null", cpu[] = "cpu";
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_prestate(test_each, null),
      cmocka_unit_test_prestate(test_each, cpu),
  };
  return cmocka_run_group_tests(tests, compile, drop);
}
