/* cuda.c: NVIDIA GPUs through the driver API: device, memory, streams, events.  Kernels
 * are in cuda_kernel.c.
 *
 * The default stream is CUDA's legacy default stream, so work given to other libraries
 * on theirs keeps its order; streams made here do not wait for it (non-blocking).
 * SPDX-License-Identifier: MIT */
#include "runtime/cuda_api.h"
#include "runtime/os.h"
#include <stdio.h>

/* One driver call with the device's context current. */
#define CUDA_CALL(dev, result, call)                                                                                   \
  do {                                                                                                                 \
    cuda_scope scope_ = cuda_enter(dev);                                                                               \
    (result) = scope_.result ? scope_.result : (call);                                                                 \
    cuda_leave((dev), scope_);                                                                                         \
  } while (0)

/* ---- device ------------------------------------------------------------------------------ */

static hl_status cuda_count(hl_context *ctx, hl_diag *diag, int32_t *out) {
  (void)ctx;
  cuda_api api;
  hl_status status = hlr_cuda_api_open(&api, diag);
  if (status)
    return status;
  int count = 0;
  CUresult result = api.DeviceGetCount(&count);
  if (result)
    return hlr_cuda_fail(&api, result, "counting the GPUs", diag);
  *out = count;
  return HL_OK;
}

static int attribute(const cuda_device *dev, int which) {
  int value = 0;
  return dev->api.DeviceGetAttribute(&value, which, dev->device) ? 0 : value;
}

static void query_info(cuda_device *dev, int32_t index) {
  size_t memory = 0;
  (void)dev->api.DeviceTotalMem(&memory, dev->device);
  (void)dev->api.DriverGetVersion(&dev->version);
  dev->info = (hl_device_info){
      .size = sizeof dev->info,
      .id = {HL_DEVICE_CUDA, index},
      .units = attribute(dev, CUDA_ATTR_UNITS),
      .warp_size = attribute(dev, CUDA_ATTR_WARP_SIZE),
      .max_threads = attribute(dev, CUDA_ATTR_MAX_THREADS),
      .shared_bytes = attribute(dev, CUDA_ATTR_SHARED_OPTIN),
      .memory_bytes = (int64_t)memory,
      .l2_bytes = attribute(dev, CUDA_ATTR_L2_BYTES),
      .clock_khz = attribute(dev, CUDA_ATTR_CLOCK_KHZ),
  };
  (void)dev->api.DeviceGetName(dev->info.name, (int)sizeof dev->info.name, dev->device);
  (void)snprintf(dev->info.driver, sizeof dev->info.driver, "CUDA driver %d.%d", dev->version / 1000,
                 dev->version % 1000 / 10);
  int major = attribute(dev, CUDA_ATTR_MAJOR), minor = attribute(dev, CUDA_ATTR_MINOR);
  /* From 9.0 on a target has an architecture-specific form, which has the matrix
   * instructions; every 8.x runs what was made for 8.0. */
  if (major >= 9)
    (void)snprintf(dev->info.target, sizeof dev->info.target, "nvptx:sm_%d%da", major, minor);
  else
    (void)snprintf(dev->info.target, sizeof dev->info.target, "nvptx:sm_%d%d", major, major == 8 ? 0 : minor);
}

static hl_status open_device(cuda_device *dev, int32_t index, hl_diag *diag) {
  hl_status status = hlr_cuda_api_open(&dev->api, diag);
  if (status)
    return status;
  int count = 0;
  CUresult result = dev->api.DeviceGetCount(&count);
  if (!result && index >= count)
    return hli_fail(diag, HL_ERR_NO_DEVICE, "there is no device 'cuda:%d': the driver shows %d, numbered from 0",
                    (int)index, count);
  if (!result)
    result = dev->api.DeviceGet(&dev->device, index);
  if (!result)
    result = dev->api.DevicePrimaryCtxRetain(&dev->context, dev->device);
  if (result)
    return hlr_cuda_fail(&dev->api, result, "opening the GPU", diag);
  query_info(dev, index);
  return HL_OK;
}

static hl_status cuda_open(hl_context *ctx, int32_t index, hl_diag *diag, void **self) {
  cuda_device *dev = hli_calloc(&ctx->alloc, 1, sizeof *dev);
  if (!dev)
    return hli_fail_memory(diag, "opening a GPU");
  dev->ctx = ctx;
  dev->process = hlr_os_process();
  hl_status status = open_device(dev, index, diag);
  if (status) {
    hli_release(&ctx->alloc, dev, sizeof *dev);
    return status;
  }
  *self = dev;
  return HL_OK;
}

static void cuda_close(void *self) {
  cuda_device *dev = self;
  if (dev->process == hlr_os_process()) /* the driver's state is the parent's */
    (void)dev->api.DevicePrimaryCtxRelease(dev->device);
  hli_release(&dev->ctx->alloc, dev, sizeof *dev);
}

static void cuda_info(void *self, hl_device_info *info) {
  *info = ((const cuda_device *)self)->info;
}

/* ---- memory -------------------------------------------------------------------------------- */

static CUdeviceptr address_of(const void *ptr) {
  return (CUdeviceptr)(uintptr_t)ptr;
}

static hl_status cuda_alloc(void *self, size_t bytes, hl_diag *diag, void **ptr) {
  const cuda_device *dev = self;
  CUdeviceptr address = 0;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.MemAlloc(&address, bytes));
  if (result) {
    char doing[96];
    (void)snprintf(doing, sizeof doing, "allocating %zu bytes on the GPU", bytes);
    return hlr_cuda_fail(&dev->api, result, doing, diag);
  }
  *ptr = (void *)(uintptr_t)address;
  return HL_OK;
}

static void cuda_release(void *self, void *ptr, size_t bytes) {
  const cuda_device *dev = self;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.MemFree(address_of(ptr)));
  if (result)
    hli_log(dev->ctx, HL_LOG_WARN, "%zu bytes on the GPU could not be freed: CUDA error %d", bytes, result);
}

/* A row of 8-byte elements whose halves differ: the halves one after the other, each as a column of 4-byte elements. */
static CUresult fill_halves(const cuda_device *dev, void *stream, const hl_driver_fill *f) {
  CUresult result = 0;
  for (size_t row = 0; row < f->height && !result; row++)
    for (int half = 0; half < 2 && !result; half++) {
      char *to = (char *)f->dst + row * f->pitch + (size_t)half * 4;
      CUDA_CALL(dev, result,
                dev->api.MemsetD2D32Async(address_of(to), 8, (unsigned)(f->value >> 32 * half), 1, f->width, stream));
    }
  return result;
}

static hl_status cuda_fill(void *self, void *stream, const hl_driver_fill *f, hl_diag *diag) {
  const cuda_device *dev = self;
  const CUdeviceptr dst = address_of(f->dst);
  const size_t pitch = f->height > 1 ? f->pitch : f->width * f->element;
  uint8_t byte;
  CUresult result;
  if (hlr_fill_is_bytes(f, &byte) && pitch == f->width * f->element)
    CUDA_CALL(dev, result, dev->api.MemsetD8Async(dst, byte, pitch * f->height, stream));
  else if (hlr_fill_is_bytes(f, &byte))
    CUDA_CALL(dev, result, dev->api.MemsetD2D8Async(dst, pitch, byte, f->width * f->element, f->height, stream));
  else if (f->element == 2)
    CUDA_CALL(dev, result,
              dev->api.MemsetD2D16Async(dst, pitch, (unsigned short)f->value, f->width, f->height, stream));
  else if (f->element == 4)
    CUDA_CALL(dev, result, dev->api.MemsetD2D32Async(dst, pitch, (unsigned)f->value, f->width, f->height, stream));
  else
    result = fill_halves(dev, stream, f);
  return result ? hlr_cuda_fail(&dev->api, result, "filling a buffer", diag) : HL_OK;
}

static hl_status cuda_upload(void *self, void *stream, void *dst, const void *src, size_t bytes, hl_diag *diag) {
  const cuda_device *dev = self;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.MemcpyHtoDAsync(address_of(dst), src, bytes, stream));
  return result ? hlr_cuda_fail(&dev->api, result, "copying to the GPU", diag) : HL_OK;
}

static hl_status cuda_download(void *self, void *stream, void *dst, const void *src, size_t bytes, hl_diag *diag) {
  const cuda_device *dev = self;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.MemcpyDtoHAsync(dst, address_of(src), bytes, stream));
  return result ? hlr_cuda_fail(&dev->api, result, "copying from the GPU", diag) : HL_OK;
}

static hl_status cuda_check_pointer(void *self, const void *ptr, size_t bytes, hl_diag *diag) {
  const cuda_device *dev = self;
  const cuda_api *api = &dev->api;
  int ordinal = -1;
  unsigned type = 0;
  CUdeviceptr start = 0;
  size_t size = 0;
  CUresult result;
  CUDA_CALL(dev, result, api->PointerGetAttribute(&type, CUDA_PTR_MEMORY_TYPE, address_of(ptr)));
  if (result)
    return hli_fail(diag, HL_ERR_GUARD,
                    "%p is not memory that CUDA knows: allocate it with hl_buffer_create or cudaMalloc", ptr);
  CUDA_CALL(dev, result, api->PointerGetAttribute(&ordinal, CUDA_PTR_ORDINAL, address_of(ptr)));
  if (!result && type == 2 && ordinal != dev->info.id.index)
    return hli_fail(diag, HL_ERR_GUARD, "%p is memory of GPU %d, the plan runs on GPU %d: copy it there", ptr, ordinal,
                    (int)dev->info.id.index);
  CUDA_CALL(dev, result, api->PointerGetAttribute(&start, CUDA_PTR_RANGE_START, address_of(ptr)));
  if (!result)
    CUDA_CALL(dev, result, api->PointerGetAttribute(&size, CUDA_PTR_RANGE_SIZE, address_of(ptr)));
  if (result)
    return HL_OK; /* memory of a kind that has no range, mapped by hand perhaps */
  if (address_of(ptr) + bytes > start + size)
    return hli_fail(diag, HL_ERR_GUARD,
                    "%zu bytes at %p go %llu bytes beyond the end of their allocation: the shape, "
                    "strides or offset are wrong",
                    bytes, ptr, (unsigned long long)(address_of(ptr) + bytes - (start + size)));
  return HL_OK;
}

/* ---- streams --------------------------------------------------------------------------------- */

static hl_status cuda_stream_create(void *self, hl_diag *diag, void **stream) {
  const cuda_device *dev = self;
  CUstream made = NULL;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.StreamCreate(&made, CUDA_STREAM_NON_BLOCKING));
  if (result)
    return hlr_cuda_fail(&dev->api, result, "creating a stream", diag);
  *stream = made;
  return HL_OK;
}

static void cuda_stream_destroy(void *self, void *stream) {
  const cuda_device *dev = self;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.StreamDestroy(stream));
  (void)result;
}

static hl_status cuda_stream_sync(void *self, void *stream, hl_diag *diag) {
  const cuda_device *dev = self;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.StreamSynchronize(stream));
  return result ? hlr_cuda_fail(&dev->api, result, "waiting for a stream", diag) : HL_OK;
}

static hl_status cuda_device_sync(void *self, hl_diag *diag) {
  const cuda_device *dev = self;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.CtxSynchronize());
  return result ? hlr_cuda_fail(&dev->api, result, "waiting for the GPU", diag) : HL_OK;
}

static bool cuda_capturing(void *self, void *stream) {
  const cuda_device *dev = self;
  int capture = 0;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.StreamIsCapturing(stream, &capture));
  /* The default stream answers so while a stream that waits for it is captured. */
  return result == CUDA_CAPTURE_IMPLICIT || (!result && capture != 0);
}

/* ---- events ------------------------------------------------------------------------------------ */

static hl_status cuda_event_create(void *self, hl_diag *diag, void **event) {
  const cuda_device *dev = self;
  CUevent made = NULL;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.EventCreate(&made, 0));
  if (result)
    return hlr_cuda_fail(&dev->api, result, "creating an event", diag);
  *event = made;
  return HL_OK;
}

static void cuda_event_destroy(void *self, void *event) {
  const cuda_device *dev = self;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.EventDestroy(event));
  (void)result;
}

static hl_status cuda_event_record(void *self, void *event, void *stream, hl_diag *diag) {
  const cuda_device *dev = self;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.EventRecord(event, stream));
  return result ? hlr_cuda_fail(&dev->api, result, "recording an event", diag) : HL_OK;
}

static hl_status cuda_event_sync(void *self, void *event, hl_diag *diag) {
  const cuda_device *dev = self;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.EventSynchronize(event));
  return result ? hlr_cuda_fail(&dev->api, result, "waiting for an event", diag) : HL_OK;
}

static hl_status cuda_event_wait(void *self, void *event, void *stream, hl_diag *diag) {
  const cuda_device *dev = self;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.StreamWaitEvent(stream, event, 0));
  return result ? hlr_cuda_fail(&dev->api, result, "letting a stream wait", diag) : HL_OK;
}

static hl_status cuda_event_elapsed(void *self, void *begin, void *end, hl_diag *diag, float *ms) {
  const cuda_device *dev = self;
  CUresult result;
  CUDA_CALL(dev, result, dev->api.EventElapsedTime(ms, begin, end));
  if (!result)
    return HL_OK;
  if (result == 400) /* CUDA's word for "never recorded" */
    return hli_fail(diag, HL_ERR_BUSY, "both events must be recorded before their distance is known");
  return hlr_cuda_fail(&dev->api, result, "measuring between two events", diag);
}

const hl_driver hlr_cuda_driver = {
    .version = HL_EXT_VERSION,
    .kind = "cuda",
    .max_programs = INT32_MAX,
    .count = cuda_count,
    .open = cuda_open,
    .close = cuda_close,
    .info = cuda_info,
    .alloc = cuda_alloc,
    .release = cuda_release,
    .fill = cuda_fill,
    .upload = cuda_upload,
    .download = cuda_download,
    .stream_create = cuda_stream_create,
    .stream_destroy = cuda_stream_destroy,
    .stream_sync = cuda_stream_sync,
    .device_sync = cuda_device_sync,
    .capturing = cuda_capturing,
    .event_create = cuda_event_create,
    .event_destroy = cuda_event_destroy,
    .event_record = cuda_event_record,
    .event_sync = cuda_event_sync,
    .event_wait = cuda_event_wait,
    .event_elapsed = cuda_event_elapsed,
    .load_kernel = hlr_cuda_load,
    .unload_kernel = hlr_cuda_unload,
    .launch = hlr_cuda_launch,
    .check_pointer = cuda_check_pointer,
};
