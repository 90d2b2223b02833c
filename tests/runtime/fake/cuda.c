/* A CUDA driver that is not there: enough of libcuda.so.1 to run the CUDA driver of
 * libhl on any machine.  Memory is host memory, kernels are recorded, and any call can
 * be told to fail.  Compiled by test_cuda.c into a shared object of that name. */
#include "runtime/cuda_api.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* What the test sets and reads through dlsym. */
typedef struct fake_state {
  const char *fail_name; /* the call with this name ... */
  int fail_code;         /* ... returns this code */
  int capture;           /* of every stream but the default one */
  int devices, major, minor, max_threads, static_shared, memory_ordinal;
  long live_memory, live_modules, live_streams, live_events, contexts;
  long launches, launches_ex, pushes, pops, gets, attribute_sets;
  unsigned grid, threads, shared, cluster;
  void *stream;
  void *params[64];
  CUcontext current, made; /* the context that is current, and the last one made */
} fake_state;

EXPORT fake_state fake = {.devices = 2, .major = 9, .minor = 0, .max_threads = 1024};

static int fails(const char *name) {
  return fake.fail_name && !strcmp(fake.fail_name, name) ? fake.fail_code : 0;
}
#define ENTER(name)                                                                                                    \
  do {                                                                                                                 \
    int code_ = fails(name);                                                                                           \
    if (code_)                                                                                                         \
      return code_;                                                                                                    \
  } while (0)
/* Calls that need a current context. */
#define ENTER_CTX(name)                                                                                                \
  do {                                                                                                                 \
    ENTER(name);                                                                                                       \
    if (!fake.current)                                                                                                 \
      return 201;                                                                                                      \
  } while (0)

static int dummies[8];
#define DUMMY(i) ((void *)&dummies[i])

EXPORT CUresult cuInit(unsigned flags) {
  (void)flags;
  ENTER("cuInit");
  return 0;
}
EXPORT CUresult cuDriverGetVersion(int *version) {
  *version = 12080;
  return fails("cuDriverGetVersion");
}
EXPORT CUresult cuGetErrorName(CUresult r, const char **text) {
  *text = r == 222 ? "CUDA_ERROR_UNSUPPORTED_PTX_VERSION" : r == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : NULL;
  return *text ? 0 : 1;
}
EXPORT CUresult cuGetErrorString(CUresult r, const char **text) {
  *text = r == 222 ? "the provided PTX was compiled with an unsupported toolchain." : NULL;
  return *text ? 0 : 1;
}
EXPORT CUresult cuDeviceGetCount(int *count) {
  ENTER("cuDeviceGetCount");
  *count = fake.devices;
  return 0;
}
EXPORT CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  ENTER("cuDeviceGet");
  *device = ordinal;
  return 0;
}
EXPORT CUresult cuDeviceGetName(char *name, int size, CUdevice device) {
  snprintf(name, (size_t)size, "Fake GPU %d", device);
  return 0;
}
EXPORT CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
  (void)device;
  *value = attribute == CUDA_ATTR_MAJOR          ? fake.major
           : attribute == CUDA_ATTR_MINOR        ? fake.minor
           : attribute == CUDA_ATTR_SHARED_OPTIN ? 232448
           : attribute == CUDA_ATTR_MAX_THREADS  ? 1024
           : attribute == CUDA_ATTR_UNITS        ? 132
           : attribute == CUDA_ATTR_WARP_SIZE    ? 32
                                                 : 7;
  return 0;
}
EXPORT CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  (void)device;
  *bytes = (size_t)1 << 37;
  return 0;
}
EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice device) {
  ENTER("cuDevicePrimaryCtxRetain");
  fake.contexts++;
  *ctx = fake.made = DUMMY(device);
  return 0;
}
EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  (void)device;
  fake.contexts--;
  return 0;
}
EXPORT CUresult cuCtxGetCurrent(CUcontext *ctx) {
  fake.gets++;
  *ctx = fake.current;
  return fails("cuCtxGetCurrent");
}
EXPORT CUresult cuCtxPushCurrent_v2(CUcontext ctx) {
  ENTER("cuCtxPushCurrent_v2");
  fake.pushes++;
  fake.current = ctx;
  return 0;
}
EXPORT CUresult cuCtxPopCurrent_v2(CUcontext *ctx) {
  fake.pops++;
  *ctx = fake.current;
  fake.current = NULL;
  return 0;
}
EXPORT CUresult cuCtxSynchronize(void) {
  ENTER_CTX("cuCtxSynchronize");
  return 0;
}
EXPORT CUresult cuMemAlloc_v2(CUdeviceptr *ptr, size_t bytes) {
  ENTER_CTX("cuMemAlloc_v2");
  *ptr = (CUdeviceptr)(uintptr_t)aligned_alloc(512, (bytes + 511) / 512 * 512);
  fake.live_memory++;
  return 0;
}
EXPORT CUresult cuMemFree_v2(CUdeviceptr ptr) {
  ENTER_CTX("cuMemFree_v2");
  free((void *)(uintptr_t)ptr);
  fake.live_memory--;
  return 0;
}
EXPORT CUresult cuMemsetD8Async(CUdeviceptr dst, unsigned char value, size_t bytes, CUstream stream) {
  ENTER_CTX("cuMemsetD8Async");
  (void)stream;
  memset((void *)(uintptr_t)dst, value, bytes);
  return 0;
}
static void fill_rows(CUdeviceptr dst, size_t pitch, const void *value, size_t size, size_t width, size_t height) {
  for (size_t row = 0; row < height; row++)
    for (size_t i = 0; i < width; i++)
      memcpy((char *)(uintptr_t)dst + row * pitch + i * size, value, size);
}
EXPORT CUresult cuMemsetD2D8Async(CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height,
                                  CUstream stream) {
  ENTER_CTX("cuMemsetD2D8Async");
  (void)stream;
  fill_rows(dst, pitch, &value, 1, width, height);
  return 0;
}
EXPORT CUresult cuMemsetD2D16Async(CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height,
                                   CUstream stream) {
  ENTER_CTX("cuMemsetD2D16Async");
  (void)stream;
  if (dst % 2 || pitch % 2)
    return 1;
  fill_rows(dst, pitch, &value, 2, width, height);
  return 0;
}
EXPORT CUresult cuMemsetD2D32Async(CUdeviceptr dst, size_t pitch, unsigned value, size_t width, size_t height,
                                   CUstream stream) {
  ENTER_CTX("cuMemsetD2D32Async");
  (void)stream;
  if (dst % 4 || pitch % 4)
    return 1;
  fill_rows(dst, pitch, &value, 4, width, height);
  return 0;
}
EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t bytes, CUstream stream) {
  ENTER_CTX("cuMemcpyHtoDAsync_v2");
  (void)stream;
  memcpy((void *)(uintptr_t)dst, src, bytes);
  return 0;
}
EXPORT CUresult cuMemcpyDtoHAsync_v2(void *dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  ENTER_CTX("cuMemcpyDtoHAsync_v2");
  (void)stream;
  memcpy(dst, (const void *)(uintptr_t)src, bytes);
  return 0;
}
/* All memory is one allocation of 4096 bytes at the page of the pointer; small addresses are none. */
EXPORT CUresult cuPointerGetAttribute(void *value, int attribute, CUdeviceptr ptr) {
  ENTER_CTX("cuPointerGetAttribute");
  if (ptr < 65536)
    return 1;
  CUdeviceptr start = ptr / 4096 * 4096;
  size_t size = 4096;
  unsigned type = 2;
  switch (attribute) {
  case CUDA_PTR_MEMORY_TYPE:
    memcpy(value, &type, sizeof type);
    break;
  case CUDA_PTR_ORDINAL:
    memcpy(value, &fake.memory_ordinal, sizeof(int));
    break;
  case CUDA_PTR_RANGE_START:
    memcpy(value, &start, sizeof start);
    break;
  case CUDA_PTR_RANGE_SIZE:
    memcpy(value, &size, sizeof size);
    break;
  default:
    return 1;
  }
  return 0;
}
EXPORT CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
  ENTER_CTX("cuStreamCreate");
  if (flags != CUDA_STREAM_NON_BLOCKING)
    return 1;
  *stream = malloc(8);
  fake.live_streams++;
  return 0;
}
EXPORT CUresult cuStreamDestroy_v2(CUstream stream) {
  ENTER_CTX("cuStreamDestroy_v2");
  free(stream);
  fake.live_streams--;
  return 0;
}
EXPORT CUresult cuStreamSynchronize(CUstream stream) {
  (void)stream;
  ENTER_CTX("cuStreamSynchronize");
  return 0;
}
EXPORT CUresult cuStreamIsCapturing(CUstream stream, int *status) {
  ENTER_CTX("cuStreamIsCapturing");
  *status = stream ? fake.capture : 0;
  return 0;
}
EXPORT CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
  (void)stream, (void)event;
  ENTER_CTX("cuStreamWaitEvent");
  return flags ? 1 : 0;
}
EXPORT CUresult cuEventCreate(CUevent *event, unsigned flags) {
  (void)flags;
  ENTER_CTX("cuEventCreate");
  *event = calloc(1, 8);
  fake.live_events++;
  return 0;
}
EXPORT CUresult cuEventDestroy_v2(CUevent event) {
  ENTER_CTX("cuEventDestroy_v2");
  free(event);
  fake.live_events--;
  return 0;
}
EXPORT CUresult cuEventRecord(CUevent event, CUstream stream) {
  (void)stream;
  ENTER_CTX("cuEventRecord");
  *(int *)(void *)event = 1;
  return 0;
}
EXPORT CUresult cuEventSynchronize(CUevent event) {
  (void)event;
  ENTER_CTX("cuEventSynchronize");
  return 0;
}
EXPORT CUresult cuEventElapsedTime(float *ms, CUevent begin, CUevent end) {
  ENTER_CTX("cuEventElapsedTime");
  if (!*(int *)(void *)begin || !*(int *)(void *)end)
    return 400;
  *ms = 1.25f;
  return 0;
}
EXPORT CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, int *options, void **values) {
  (void)image;
  int code = fails("cuModuleLoadDataEx");
  for (unsigned i = 0; code && i < count; i++)
    if (options[i] == CUDA_JIT_ERROR_LOG)
      strcpy(values[i], "ptxas fatal : Unresolved extern function 'nowhere'");
  if (code)
    return code;
  if (!fake.current)
    return 201;
  fake.live_modules++;
  *module = DUMMY(3);
  return 0;
}
EXPORT CUresult cuModuleUnload(CUmodule module) {
  (void)module;
  fake.live_modules--;
  return 0;
}
EXPORT CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  (void)module;
  ENTER_CTX("cuModuleGetFunction");
  if (!strcmp(name, "missing"))
    return 500;
  *function = DUMMY(4);
  return 0;
}
EXPORT CUresult cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
  (void)function;
  ENTER_CTX("cuFuncGetAttribute");
  *value = attribute == CUDA_FUNC_MAX_THREADS ? fake.max_threads : fake.static_shared;
  return 0;
}
EXPORT CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  (void)function, (void)attribute, (void)value;
  ENTER_CTX("cuFuncSetAttribute");
  fake.attribute_sets++;
  return 0;
}
static void keep(unsigned grid, unsigned threads, unsigned shared, unsigned cluster, void *stream, void **params) {
  fake.grid = grid;
  fake.threads = threads;
  fake.shared = shared;
  fake.cluster = cluster;
  fake.stream = stream;
  memcpy(fake.params, params, 5 * sizeof(void *)); /* the test's kernel has five */
}
EXPORT CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                               unsigned bz, unsigned shared, CUstream stream, void **params, void **extra) {
  ENTER_CTX("cuLaunchKernel");
  if (f != DUMMY(4) || gy != 1 || gz != 1 || by != 1 || bz != 1 || extra)
    return 1;
  fake.launches++;
  keep(gx, bx, shared, 1, stream, params);
  return 0;
}
#ifndef FAKE_OLD
EXPORT CUresult cuLaunchKernelEx(const CUlaunchConfig *c, CUfunction f, void **params, void **extra) {
  ENTER_CTX("cuLaunchKernelEx");
  if (f != DUMMY(4) || extra || c->attribute_count != 1 || c->attributes[0].id != CUDA_LAUNCH_CLUSTER)
    return 1;
  fake.launches_ex++;
  keep(c->grid_x, c->block_x, c->shared_bytes, c->attributes[0].value.cluster.x, c->stream, params);
  return 0;
}
EXPORT CUresult cuFuncLoad(CUfunction function) {
  (void)function;
  ENTER_CTX("cuFuncLoad");
  return 0;
}
#endif
