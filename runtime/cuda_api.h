/* cuda_api.h: the CUDA driver's types, as far as libhl needs them, and its functions as
 * a table that is filled at run time.  Written after the public driver API; no CUDA
 * header or library is needed to build libhl.  SPDX-License-Identifier: MIT */
#ifndef HLR_CUDA_API_H
#define HLR_CUDA_API_H

#include "runtime/internal.h"

typedef int CUresult; /* 0: success */
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;

typedef struct CUlaunchAttribute {
  int id;
  char pad[8 - sizeof(int)];
  union {
    char bytes[64];
    struct {
      unsigned x, y, z;
    } cluster;
  } value;
} CUlaunchAttribute;

typedef struct CUlaunchConfig {
  unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
  CUstream stream;
  CUlaunchAttribute *attributes;
  unsigned attribute_count;
} CUlaunchConfig;

enum {
  CUDA_OUT_OF_MEMORY = 2,
  CUDA_NO_DEVICE = 100,
  CUDA_INVALID_DEVICE = 101,
  CUDA_NO_BINARY = 209,
  CUDA_INVALID_PTX = 218,
  CUDA_NO_JIT = 221,
  CUDA_PTX_VERSION = 222,
  CUDA_NOT_READY = 600,
  CUDA_CAPTURE_FIRST = 900, /* 900 .. 908: not while a stream captures */
  CUDA_CAPTURE_IMPLICIT = 906,
  CUDA_CAPTURE_LAST = 908,
};

enum { /* CUdevice_attribute */
       CUDA_ATTR_MAX_THREADS = 1,
       CUDA_ATTR_WARP_SIZE = 10,
       CUDA_ATTR_CLOCK_KHZ = 13,
       CUDA_ATTR_UNITS = 16,
       CUDA_ATTR_L2_BYTES = 38,
       CUDA_ATTR_MAJOR = 75,
       CUDA_ATTR_MINOR = 76,
       CUDA_ATTR_SHARED_OPTIN = 97,
};

enum { /* CUfunction_attribute */
       CUDA_FUNC_MAX_THREADS = 0,
       CUDA_FUNC_STATIC_SHARED = 1,
       CUDA_FUNC_DYNAMIC_SHARED = 8,
       CUDA_FUNC_LARGE_CLUSTER = 14,
};

enum { CUDA_JIT_ERROR_LOG = 5, CUDA_JIT_ERROR_LOG_SIZE = 6 };
enum { CUDA_PTR_MEMORY_TYPE = 2, CUDA_PTR_ORDINAL = 9, CUDA_PTR_RANGE_START = 11, CUDA_PTR_RANGE_SIZE = 12 };
enum { CUDA_STREAM_NON_BLOCKING = 1, CUDA_LAUNCH_CLUSTER = 4 };

typedef struct cuda_api {
#define CUDA_SYM(member, name, params) CUresult(*member) params;
#define CUDA_OPT(member, name, params) CUresult(*member) params;
#include "runtime/cuda_syms.def"
#undef CUDA_SYM
#undef CUDA_OPT
} cuda_api;

typedef struct cuda_device {
  cuda_api api;
  hl_context *ctx;
  CUdevice device;
  CUcontext context; /* the device's primary one, shared with the CUDA runtime */
  int32_t process;   /* that opened it */
  int version;       /* of the driver: 12080 for 12.8 */
  hl_device_info info;
} cuda_device;

/* Loads the driver, fills the table and initialises CUDA. */
hl_status hlr_cuda_api_open(cuda_api *api, hl_diag *diag);

/* Words for a failed call: what was done, the driver's name for it, and the way out. */
hl_status hlr_cuda_fail(const cuda_api *api, CUresult result, const char *doing, hl_diag *diag);

/* Makes the device's context current for a scope; cheap if it is already. */
typedef struct cuda_scope {
  CUresult result;
  bool pushed;
} cuda_scope;
static inline cuda_scope cuda_enter(const cuda_device *dev) {
  CUcontext current = NULL;
  CUresult result = dev->api.CtxGetCurrent(&current);
  if (!result && current == dev->context)
    return (cuda_scope){0, false};
  result = dev->api.CtxPushCurrent(dev->context);
  return (cuda_scope){result, result == 0};
}
static inline void cuda_leave(const cuda_device *dev, cuda_scope scope) {
  CUcontext popped;
  if (scope.pushed)
    (void)dev->api.CtxPopCurrent(&popped);
}

/* cuda_kernel.c */
hl_status hlr_cuda_load(void *self, const hl_driver_kernel *kernel, hl_diag *diag, void **function);
void hlr_cuda_unload(void *self, void *function);
hl_status hlr_cuda_launch(void *self, void *stream, const hl_driver_launch *launch, hl_diag *diag);

#endif
