/* libhl: ext.h: interfaces for people who extend libhl: drivers (here) and search
 * strategies (later).  Versioned apart from hl.h: HL_EXT_VERSION changes whenever a
 * table below does.  SPDX-License-Identifier: MIT */
#ifndef HL_EXT_H
#define HL_EXT_H

#include "hl/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HL_EXT_VERSION 1

typedef enum hl_image_format { HL_IMAGE_PTX = 1, HL_IMAGE_CUBIN, HL_IMAGE_ELF_SO } hl_image_format;

/* What a driver needs to know of one kernel launch. */
typedef struct hl_driver_launch {
  void *function;          /* from load_kernel */
  uint64_t programs;       /* number of blocks, > 0 */
  uint32_t threads;
  uint32_t shared_bytes;
  uint32_t cluster;
  uint32_t grain;          /* CPU */
  uint64_t scratch_bytes;  /* CPU */
  const void *block;       /* parameter block ... */
  size_t block_size;
  void *const *fields;     /* ... and the address of each of its fields */
} hl_driver_launch;

typedef struct hl_driver_kernel {
  hl_image_format format;
  const void *image;
  size_t image_size;
  const char *entry;
  uint32_t threads;
  uint32_t shared_bytes;
} hl_driver_kernel;

/* A driver.  All functions are thread-safe; `self` is what open returned.  Streams,
 * events and memory are the driver's own handles.  On failure a function fills diag. */
typedef struct hl_driver {
  uint32_t version; /* HL_EXT_VERSION */
  const char *kind; /* "cuda" */
  hl_status (*count)(hl_context *ctx, hl_diag *diag, int32_t *out);
  hl_status (*open)(hl_context *ctx, int32_t index, hl_diag *diag, void **self);
  void (*close)(void *self);
  hl_status (*info)(void *self, hl_device_info *info);
  hl_status (*alloc)(void *self, size_t bytes, hl_diag *diag, void **ptr);
  void (*release)(void *self, void *ptr, size_t bytes);
  /* stream == NULL: the default stream. kind: 0 fill with value, 1 host to device, 2 device to host */
  hl_status (*copy)(void *self, void *stream, int kind, void *dst, const void *src, uint8_t value,
                    size_t bytes, hl_diag *diag);
  hl_status (*stream_create)(void *self, hl_diag *diag, void **stream);
  void (*stream_destroy)(void *self, void *stream);
  hl_status (*stream_sync)(void *self, void *stream, bool whole_device, hl_diag *diag);
  hl_status (*event)(void *self, int op, void **event, void *stream, hl_diag *diag); /* op: 0 create, 1 destroy, 2 record, 3 synchronize */
  hl_status (*event_elapsed)(void *self, void *begin, void *end, hl_diag *diag, float *ms);
  hl_status (*load_kernel)(void *self, const hl_driver_kernel *kernel, hl_diag *diag, void **function);
  void (*unload_kernel)(void *self, void *function);
  hl_status (*launch)(void *self, void *stream, const hl_driver_launch *launch);
  hl_status (*check_pointer)(void *self, const void *ptr, size_t bytes, hl_diag *diag); /* HL_CHECK_FULL */
} hl_driver;

#ifdef __cplusplus
}
#endif
#endif
