/* Devices by name, drivers of the host, buffers, streams, events, the null device. */
#include "rt.h"

static void test_names(void **state) {
  (void)state;
  hl_context *ctx = rt_context(NULL);
  hl_diag d;
  hl_device *dev = (hl_device *)&d, *again;
  assert_fails(hl_device_open(ctx, "tpu", &d, &dev), HL_ERR_ARG, d, "'tpu'");
  assert_null(dev);
  assert_fails(hl_device_open(ctx, "", &d, &dev), HL_ERR_ARG, d, "no driver");
  assert_fails(hl_device_open(ctx, "null:", &d, &dev), HL_ERR_ARG, d, "cuda:1");
  assert_fails(hl_device_open(ctx, "null:x", &d, &dev), HL_ERR_ARG, d, "null:x");
  assert_fails(hl_device_open(ctx, "null:99999999999999", &d, &dev), HL_ERR_ARG, d, "null:9");
  assert_fails(hl_device_open(ctx, "null:3", &d, &dev), HL_ERR_NO_DEVICE, d, "null:3");
  assert_fails(hl_device_open(ctx, "cpu:1", &d, &dev), HL_ERR_NO_DEVICE, d, "cpu:1");
  assert_fails(hl_device_open(NULL, "cpu", &d, &dev), HL_ERR_ARG, d, "context");
  assert_fails(hl_device_open(ctx, NULL, &d, &dev), HL_ERR_ARG, d, "name");
  assert_int_equal(hl_device_open(ctx, "cpu", NULL, NULL), HL_ERR_ARG);

  assert_ok(hl_device_open(ctx, "null", &d, &dev), d);
  assert_ok(hl_device_open(ctx, "null:0", &d, &again), d);
  assert_ptr_equal(dev, again);
  hl_device_close(dev);
  hl_device_info info = {.size = sizeof info};
  assert_int_equal(hl_device_get_info(again, &info), HL_OK); /* still open */
  assert_string_equal(info.target, "null");
  hl_device_close(again);
  hl_device_close(NULL);

  int32_t count = -1;
  assert_ok(hl_device_count(ctx, "cpu", &d, &count), d);
  assert_int_equal(count, 1);
  assert_fails(hl_device_count(ctx, "tpu", &d, &count), HL_ERR_ARG, d, "'tpu'");
  assert_int_equal(count, 0);
  assert_int_equal(hl_device_count(ctx, NULL, NULL, &count), HL_ERR_ARG);
  hl_context_destroy(ctx);
}

static void test_info(void **state) {
  (void)state;
  hl_context_options o = HL_CONTEXT_OPTIONS_INIT;
  o.cpu_threads = 3;
  hl_context *ctx = rt_context(&o);
  hl_diag d;
  hl_device *dev;
  assert_ok(hl_device_open(ctx, "cpu", &d, &dev), d);
  hl_device_info info = {.size = sizeof info};
  assert_int_equal(hl_device_get_info(dev, &info), HL_OK);
  assert_string_equal(info.target, "host");
  assert_int_equal(info.units, 3);
  assert_int_equal(info.id.type, HL_DEVICE_CPU);
  assert_true(info.memory_bytes > 0);
  assert_true(strlen(info.name) > 0);
  struct {
    hl_device_info info;
    char canary;
  } small = {.info = {.size = offsetof(hl_device_info, target)}};
  memset(small.info.target, 'z', sizeof small.info.target);
  assert_int_equal(hl_device_get_info(dev, &small.info), HL_OK); /* an older caller's struct */
  assert_int_equal(small.info.size, offsetof(hl_device_info, target));
  assert_int_equal(small.info.target[0], 'z');
  info.size = 0;
  assert_int_equal(hl_device_get_info(dev, &info), HL_ERR_ARG);
  assert_int_equal(hl_device_get_info(NULL, &info), HL_ERR_ARG);
  hl_device_close(dev);
  hl_context_destroy(ctx);
}

/* On a machine without a GPU this is a sentence, not a crash. */
static void test_cuda_absent(void **state) {
  (void)state;
  hl_context *ctx = rt_context(NULL);
  hl_diag d = {.message = ""};
  hl_device *dev = NULL;
  hl_status status = hl_device_open(ctx, "cuda", &d, &dev);
  if (status == HL_OK) {
    hl_device_info info = {.size = sizeof info};
    assert_int_equal(hl_device_get_info(dev, &info), HL_OK);
    assert_int_equal(strncmp(info.target, "nvptx:sm_", 9), 0);
    hl_device_close(dev);
    assert_fails(hl_device_open(ctx, "cuda:99", &d, &dev), HL_ERR_NO_DEVICE, d, "cuda:99");
  } else {
    assert_true(status == HL_ERR_NO_DRIVER || status == HL_ERR_NO_DEVICE);
    assert_true(strlen(d.message) > 40);
    assert_non_null(strstr(d.message, "\"cpu\"")); /* the way out */
    int32_t count;
    assert_int_equal(hl_device_count(ctx, "cuda", &d, &count), status);
    assert_int_equal(hl_device_open(ctx, "cuda", NULL, &dev), status); /* without a diag too */
  }
  hl_context_destroy(ctx);
}

static void test_register(void **state) {
  (void)state;
  hl_context *ctx = rt_context(NULL);
  hl_diag d;
  hl_device *null, *mine;
  /* A host's driver may be any table; this one is the null driver's under another name. */
  assert_ok(hl_device_open(ctx, "null", &d, &null), d);
  extern const hl_driver hlr_null_driver;
  hl_driver driver = hlr_null_driver;
  assert_fails(hl_driver_register(ctx, &driver, &d), HL_ERR_ARG, d, "already");
  driver.kind = "mine";
  driver.version = 77;
  assert_fails(hl_driver_register(ctx, &driver, &d), HL_ERR_UNSUPPORTED, d, "version 77");
  driver.version = HL_EXT_VERSION;
  assert_ok(hl_driver_register(ctx, &driver, &d), d);
  assert_fails(hl_driver_register(ctx, &driver, &d), HL_ERR_ARG, d, "already");
  assert_ok(hl_device_open(ctx, "mine", &d, &mine), d);
  assert_ptr_not_equal(null, mine);
  size_t total;
  assert_fails(hl_null_launches(mine, NULL, 0, &d, &total), HL_ERR_ARG, d, "null");
  hl_device_close(mine);
  hl_device_close(null);
  static char kinds[20][16];
  static hl_driver many[20];
  hl_status status = HL_OK;
  for (int i = 0; i < 20 && !status; i++) {
    snprintf(kinds[i], sizeof kinds[i], "k%d", i);
    many[i] = driver;
    many[i].kind = kinds[i];
    status = hl_driver_register(ctx, &many[i], &d);
  }
  assert_int_equal(status, HL_ERR_LIMIT);
  assert_int_equal(hl_driver_register(NULL, &driver, NULL), HL_ERR_ARG);
  hl_context_destroy(ctx);
}

/* What one buffer of `bytes` takes and refuses; `foreign` is a stream of another device. */
static void check_buffer(hl_device *dev, size_t bytes, hl_stream *stream, hl_stream *foreign) {
  hl_diag d;
  hl_buffer *buf;
  char *in = malloc(bytes), *out = malloc(bytes);
  memset(in, 'q', bytes);
  assert_ok(hl_buffer_create(dev, bytes, &d, &buf), d);
  assert_int_equal((uintptr_t)hl_buffer_data(buf) % 256, 0);
  assert_int_equal(hl_buffer_size(buf), bytes);
  rt_check_fills(dev);
  assert_ok(hl_buffer_fill(buf, 7, NULL, &d), d);
  assert_ok(hl_buffer_read(buf, 0, out, bytes, NULL, &d), d);
  assert_ok(hl_device_synchronize(dev, &d), d);
  for (size_t i = 0; i < bytes; i++)
    assert_int_equal(out[i], 7);
  assert_ok(hl_buffer_write(buf, bytes / 2, in, bytes - bytes / 2, stream, &d), d);
  assert_ok(hl_buffer_read(buf, 0, out, bytes, stream, &d), d);
  assert_ok(hl_stream_synchronize(stream, &d), d);
  for (size_t i = 0; i < bytes; i++)
    assert_int_equal(out[i], i < bytes / 2 ? 7 : 'q');
  assert_fails(hl_buffer_write(buf, 1, in, bytes, NULL, &d), HL_ERR_ARG, d, "do not fit");
  assert_fails(hl_buffer_read(buf, SIZE_MAX, out, 2, NULL, &d), HL_ERR_ARG, d, "do not fit");
  assert_fails(hl_buffer_read(buf, 0, NULL, bytes, NULL, &d), HL_ERR_ARG, d, "NULL");
  assert_ok(hl_buffer_read(buf, bytes, NULL, 0, NULL, &d), d); /* nothing */
  assert_fails(hl_buffer_read(buf, 0, out, bytes, foreign, &d), HL_ERR_ARG, d, "the stream belongs to");
  assert_fails(hl_buffer_write(buf, 0, in, bytes, foreign, &d), HL_ERR_ARG, d, "the stream belongs to");
  assert_fails(hl_buffer_fill(buf, 0, foreign, &d), HL_ERR_ARG, d, "the stream belongs to");
  free(in);
  free(out);
  hl_buffer_destroy(buf);
}

static void test_buffers(void **state) {
  const char *name = *state;
  rt_heap heap = {0};
  hl_context_options o = rt_options(&heap);
  hl_context *ctx = rt_context(&o);
  hl_diag d;
  hl_device *dev, *other;
  hl_buffer *buf;
  hl_stream *stream, *foreign;
  assert_ok(hl_device_open(ctx, name, &d, &dev), d);
  assert_ok(hl_device_open(ctx, strcmp(name, "cpu") ? "cpu" : "null", &d, &other), d);
  assert_fails(hl_buffer_create(dev, 0, &d, &buf), HL_ERR_ARG, d, "0 bytes");
  assert_fails(hl_buffer_create(NULL, 8, &d, &buf), HL_ERR_ARG, d, "device");
  assert_fails(hl_buffer_create(dev, SIZE_MAX - 100, &d, &buf), HL_ERR_MEMORY, d, "buffer");
  assert_ok(hl_stream_create(dev, &d, &stream), d);
  assert_ok(hl_stream_create(other, &d, &foreign), d);
  for (size_t bytes = 1; bytes < 5000; bytes += 777)
    check_buffer(dev, bytes, stream, foreign);
  assert_int_equal(hl_buffer_fill(NULL, 0, NULL, NULL), HL_ERR_ARG);
  assert_int_equal(hl_buffer_read(NULL, 0, NULL, 0, NULL, NULL), HL_ERR_ARG);
  hl_buffer_destroy(NULL);
  assert_null(hl_buffer_data(NULL));
  assert_int_equal(hl_buffer_size(NULL), 0);

  /* Objects hold their device: any order of destruction will do. */
  assert_ok(hl_buffer_create(dev, 64, &d, &buf), d);
  hl_device_close(dev);
  hl_device_close(other);
  hl_stream_destroy(foreign);
  assert_ok(hl_buffer_fill(buf, 1, stream, &d), d);
  hl_stream_destroy(stream);
  hl_buffer_destroy(buf);
  hl_stream_destroy(NULL);
  hl_context_destroy(ctx);
  assert_int_equal(heap.live, 0);
  assert_int_equal(heap.bytes, 0);
}

static void test_events(void **state) {
  const char *name = *state;
  hl_context *ctx = rt_context(NULL);
  hl_diag d;
  hl_device *dev, *other;
  hl_stream *stream, *wrapped;
  hl_event *a, *b, *foreign;
  float ms = -1;
  assert_ok(hl_device_open(ctx, name, &d, &dev), d);
  assert_ok(hl_device_open(ctx, strcmp(name, "cpu") ? "cpu" : "null", &d, &other), d);
  assert_ok(hl_stream_create(dev, &d, &stream), d);
  assert_ok(hl_stream_wrap(dev, hl_stream_native(stream), &d, &wrapped), d);
  assert_ptr_equal(hl_stream_native(wrapped), hl_stream_native(stream));
  assert_null(hl_stream_native(NULL));
  assert_ok(hl_event_create(dev, &d, &a), d);
  assert_ok(hl_event_create(dev, &d, &b), d);
  assert_ok(hl_event_create(other, &d, &foreign), d);
  assert_ok(hl_event_synchronize(a, &d), d); /* never recorded: nothing to wait for */
  assert_fails(hl_event_elapsed(a, b, &d, &ms), HL_ERR_BUSY, d, "recorded");
  assert_ok(hl_event_record(a, stream, &d), d);
  assert_ok(hl_event_record(b, wrapped, &d), d);
  assert_ok(hl_event_synchronize(b, &d), d);
  assert_ok(hl_event_elapsed(a, b, &d, &ms), d);
  assert_true(ms >= 0);
  assert_ok(hl_event_record(a, NULL, &d), d); /* again, elsewhere */
  assert_ok(hl_event_synchronize(a, &d), d);
  assert_ok(hl_event_elapsed(b, a, &d, &ms), d);
  assert_true(ms >= 0);
  assert_ok(hl_stream_wait(stream, a, &d), d);
  assert_ok(hl_stream_wait(NULL, b, &d), d);
  assert_ok(hl_device_synchronize(dev, &d), d);
  assert_fails(hl_stream_wait(stream, NULL, &d), HL_ERR_ARG, d, "NULL");
  assert_fails(hl_stream_wait(stream, foreign, &d), HL_ERR_ARG, d, "the stream belongs to");
  assert_fails(hl_event_elapsed(a, foreign, &d, &ms), HL_ERR_ARG, d, "different devices");
  assert_fails(hl_event_record(foreign, stream, &d), HL_ERR_ARG, d, "the stream belongs to");
  assert_fails(hl_event_record(NULL, stream, &d), HL_ERR_ARG, d, "NULL");
  assert_fails(hl_event_synchronize(NULL, &d), HL_ERR_ARG, d, "NULL");
  assert_fails(hl_stream_synchronize(NULL, &d), HL_ERR_ARG, d, "hl_device_synchronize");
  assert_fails(hl_device_synchronize(NULL, &d), HL_ERR_ARG, d, "NULL");
  assert_int_equal(hl_event_elapsed(a, b, NULL, NULL), HL_ERR_ARG);
  hl_event *no_event;
  hl_stream *no_stream;
  assert_int_equal(hl_event_create(NULL, NULL, &no_event), HL_ERR_ARG);
  assert_int_equal(hl_stream_create(NULL, NULL, &no_stream), HL_ERR_ARG);
  assert_int_equal(hl_stream_wrap(NULL, NULL, NULL, &no_stream), HL_ERR_ARG);
  hl_event_destroy(a);
  hl_event_destroy(b);
  hl_event_destroy(NULL);
  hl_event_destroy(foreign);
  hl_stream_destroy(wrapped);
  hl_stream_destroy(stream);
  hl_device_close(dev);
  hl_device_close(other);
  hl_context_destroy(ctx);
}

static void count_warning(void *user, hl_log_level level, hl_str text) {
  (void)text;
  *(int *)user += level == HL_LOG_WARN;
}

/* A device that nobody closed goes with its context, with a word. */
static void test_left_open(void **state) {
  const char *name = *state;
  rt_heap heap = {0};
  int warnings = 0;
  hl_context_options o = rt_options(&heap);
  o.log = count_warning;
  o.log_user = &warnings;
  hl_context *ctx = rt_context(&o);
  hl_diag d;
  hl_device *dev;
  int32_t count;
  assert_ok(hl_device_open(ctx, name, &d, &dev), d);
  assert_ok(hl_device_count(ctx, name, &d, &count), d);
  assert_int_equal(count, 1);
  hl_context_destroy(ctx);
  assert_int_equal(warnings, 1);
  assert_int_equal(heap.live, 0);
}

static void test_order(void **state) {
  const char *name = *state;
  hl_context *ctx = rt_context(NULL);
  hl_diag d;
  hl_device *dev;
  hl_stream *s[3];
  assert_ok(hl_device_open(ctx, name, &d, &dev), d);
  for (int i = 0; i < 3; i++)
    assert_ok(hl_stream_create(dev, &d, &s[i]), d);
  hl_stream_destroy(s[1]);
  hl_stream_destroy(s[0]);
  hl_stream_destroy(s[2]);
  hl_device_close(dev);
  hl_context_destroy(ctx);
}

int main(void) {
  char null[] = "null", cpu[] = "cpu";
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_info),
      cmocka_unit_test(test_cuda_absent),
      cmocka_unit_test(test_register),
      cmocka_unit_test_prestate(test_buffers, null),
      cmocka_unit_test_prestate(test_buffers, cpu),
      cmocka_unit_test_prestate(test_events, null),
      cmocka_unit_test_prestate(test_events, cpu),
      cmocka_unit_test_prestate(test_left_open, null),
      cmocka_unit_test_prestate(test_left_open, cpu),
      cmocka_unit_test_prestate(test_order, null),
      cmocka_unit_test_prestate(test_order, cpu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
