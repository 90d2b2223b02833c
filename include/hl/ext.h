/* libhl: ext.h: interfaces for people who extend libhl: drivers (here) and search
 * strategies (later).  Versioned apart from hl.h: HL_EXT_VERSION changes whenever a
 * table below does.  SPDX-License-Identifier: MIT
 *
 * To write a driver, start from runtime/null.c: it is complete and short.
 *
 * Errors: HL_ERR_ARG for misuse, or for a device that is not the null driver's.
 * Threads: any.
 * Memory: tables and names are borrowed as long as the context lives, records are copied out.
 * Since: 0.1. */
#ifndef HL_EXT_H
#define HL_EXT_H

#include "hl/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HL_EXT_VERSION 3

typedef enum hl_image_format { HL_IMAGE_PTX = 1, HL_IMAGE_CUBIN, HL_IMAGE_ELF_SO } hl_image_format;

/* A kernel to load. */
typedef struct hl_driver_kernel {
  hl_image_format format;
  const void *image;      /* borrowed for the call; PTX is followed by a NUL */
  size_t image_size;
  const char *entry;      /* symbol in the image */
  uint32_t threads;       /* per block */
  uint32_t shared_bytes;  /* dynamic shared memory of a block */
  uint32_t cluster;       /* blocks per cluster; 1 */
  uint64_t scratch_bytes; /* CPU: per-thread scratch */
  const char *path;       /* a file with the same bytes, for loaders that want one; NULL: none */
} hl_driver_kernel;

/* One launch of a loaded kernel. */
typedef struct hl_driver_launch {
  void *function;         /* from load_kernel */
  uint64_t programs;      /* number of blocks, 1 .. max_programs */
  uint32_t threads;
  uint32_t shared_bytes;
  uint32_t cluster;
  uint32_t grain;         /* CPU: programs handed out at a time, >= 1 */
  uint64_t scratch_bytes; /* CPU */
  const void *block;      /* parameter block, borrowed for the call ... */
  size_t block_size;
  void *const *fields;    /* ... and the address of each of its fields */
} hl_driver_launch;

/* `height` rows of `width` elements next to each other, all of one value. */
typedef struct hl_driver_fill {
  void *dst;
  uint64_t value;   /* an element's bits */
  uint32_t element; /* bytes: 1, 2, 4 or 8 */
  size_t width, height;
  size_t pitch;     /* bytes from row to row, a multiple of `element`; of one row any */
} hl_driver_fill;

/* A driver.  `self` is what open returned.  Every function may be called from any
 * thread.  Streams, events, memory and functions are the driver's own handles; a NULL
 * stream is the device's default stream.  On failure a function fills diag (which may
 * be NULL).  Out parameters are written on success only. */
typedef struct hl_driver {
  uint32_t version;      /* HL_EXT_VERSION */
  const char *kind;      /* "cuda": what hl_device_open's names start with */
  uint64_t max_programs; /* the largest grid */

  hl_status (*count)(hl_context *ctx, hl_diag *diag, int32_t *out);
  hl_status (*open)(hl_context *ctx, int32_t index, hl_diag *diag, void **self);
  void (*close)(void *self);
  void (*info)(void *self, hl_device_info *info); /* `size` is set; fill the rest */

  /* Memory, aligned to at least 256 bytes.  release waits for work that uses it. */
  hl_status (*alloc)(void *self, size_t bytes, hl_diag *diag, void **ptr);
  void (*release)(void *self, void *ptr, size_t bytes);
  hl_status (*fill)(void *self, void *stream, const hl_driver_fill *fill, hl_diag *diag);
  hl_status (*upload)(void *self, void *stream, void *dst, const void *src, size_t bytes, hl_diag *diag);
  hl_status (*download)(void *self, void *stream, void *dst, const void *src, size_t bytes, hl_diag *diag);

  hl_status (*stream_create)(void *self, hl_diag *diag, void **stream);
  void (*stream_destroy)(void *self, void *stream);
  hl_status (*stream_sync)(void *self, void *stream, hl_diag *diag);
  hl_status (*device_sync)(void *self, hl_diag *diag);
  /* True while the stream records a graph instead of running: libhl then refuses what
   * would allocate, load or wait.  NULL: never. */
  bool (*capturing)(void *self, void *stream);

  hl_status (*event_create)(void *self, hl_diag *diag, void **event);
  void (*event_destroy)(void *self, void *event);
  hl_status (*event_record)(void *self, void *event, void *stream, hl_diag *diag);
  hl_status (*event_sync)(void *self, void *event, hl_diag *diag);
  /* Later work on the stream waits for the event's last record; none: nothing to wait for. */
  hl_status (*event_wait)(void *self, void *event, void *stream, hl_diag *diag);
  hl_status (*event_elapsed)(void *self, void *begin, void *end, hl_diag *diag, float *ms);

  hl_status (*load_kernel)(void *self, const hl_driver_kernel *kernel, hl_diag *diag, void **function);
  void (*unload_kernel)(void *self, void *function); /* nothing that uses it is in flight */
  hl_status (*launch)(void *self, void *stream, const hl_driver_launch *launch, hl_diag *diag);
  /* HL_CHECK_FULL: are these bytes memory that the device can use?  NULL: no check. */
  hl_status (*check_pointer)(void *self, const void *ptr, size_t bytes, hl_diag *diag);
} hl_driver;

/* Makes a driver known to a context, under its kind.  The table must outlive the context. */
HL_API hl_status hl_driver_register(hl_context *ctx, const hl_driver *driver, hl_diag *diag);

/* ---- the null driver, for tests -------------------------------------------------
 * Its memory is host memory, its kernels do nothing, and its clock is virtual: it
 * moves only when something is launched. */

#define HL_NULL_BLOCK 256

typedef struct hl_null_launch {
  char entry[64];
  uint64_t programs;
  uint32_t threads, shared_bytes, cluster;
  uint32_t block_size;                /* the whole; at most HL_NULL_BLOCK bytes are kept */
  unsigned char block[HL_NULL_BLOCK];
} hl_null_launch;

/* Copies the oldest kept launches (the last 64 are kept) to records[0 .. capacity);
 * *total is the number of launches since the device was opened or last cleared. */
HL_API hl_status hl_null_launches(hl_device *dev, hl_null_launch *records, size_t capacity,
                                  hl_diag *diag, size_t *total);
/* Forgets the launches that were kept and counted. */
HL_API hl_status hl_null_clear(hl_device *dev, hl_diag *diag);

/* How long a launch takes on the virtual clock, in nanoseconds.  Called in the launching
 * thread.  NULL: 1000 + programs. */
typedef double (*hl_null_cost_fn)(void *user, const hl_null_launch *launch);
HL_API hl_status hl_null_set_cost(hl_device *dev, hl_null_cost_fn cost, void *user, hl_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
