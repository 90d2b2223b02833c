/* internal.h: what the files of the runtime share.  Every object made from a device
 * holds a reference to it, so the order of destruction is free.
 * SPDX-License-Identifier: MIT */
#ifndef HLR_INTERNAL_H
#define HLR_INTERNAL_H

#include "hl/ext.h"
#include "runtime/program.h"

/* Limits of a plan; launches use stack arrays of these sizes. */
#define HLR_MAX_PARAMS   64u
#define HLR_MAX_DIMS     128u
#define HLR_MAX_STEPS    16u
#define HLR_MAX_SLOTS    256u  /* of one step */
#define HLR_MAX_BLOCK    2048u /* bytes of one step's parameter block */
#define HLR_DEVICE_ALIGN 256u  /* of buffers and workspaces */

/* ---- workspaces (workspace.c) ------------------------------------------------- */

/* Device memory that launches on one stream share, one after the other.  It only grows: what is given up may be in use
 * by a thread that has not launched yet, and goes with the stream. */
typedef struct hlr_workspace {
  _Atomic(struct hlr_workspace_block *) block;
} hlr_workspace;
hl_status hlr_workspace_get(hlr_workspace *w, hl_device *dev, uint64_t bytes, const char *kernel, hl_diag *diag,
                            void **out);
void hlr_workspace_free(hlr_workspace *w, hl_device *dev);

/* ---- devices (device.c) ------------------------------------------------------ */

struct hl_device {
  hl_context *ctx;
  const hl_driver *driver;
  void *self; /* the driver's */
  hl_device_id id;
  hl_device_info info; /* as it was when the device was opened: asking the system takes long */
  int32_t index;      /* in the name it was opened by */
  uint32_t refs;      /* guarded by the context's lock */
  hl_stream *streams; /* all live ones, guarded by the context's lock */
  hlr_workspace workspace; /* of the default stream */
  hl_device *next;
};

struct hl_stream {
  hl_device *dev;
  void *native;
  bool owned; /* made by us, not wrapped */
  hlr_workspace workspace;
  hl_stream *prev, *next;
};

extern const hl_driver hlr_null_driver;
extern const hl_driver hlr_cpu_driver;
extern const hl_driver hlr_cuda_driver;

hl_device *hlr_device_retain(hl_device *dev);
/* HL_ERR_BUSY if a stream of the device is being captured; `doing` completes "cannot ...". */
hl_status hlr_refuse_capture(hl_device *dev, const char *doing, hl_diag *diag);
/* The driver's handle of a stream, after checking that it belongs to the device. */
hl_status hlr_stream_handle(const hl_device *dev, const hl_stream *stream, hl_diag *diag, void **out);

/* Host memory for drivers whose device memory it is (hostmem.c). */
hl_status hlr_host_alloc(const hl_allocator *alloc, size_t bytes, hl_diag *diag, void **out);
void hlr_host_release(const hl_allocator *alloc, void *ptr);
void hlr_host_fill(const hl_driver_fill *fill);
/* Are all bytes of the value the same one? */
bool hlr_fill_is_bytes(const hl_driver_fill *fill, uint8_t *byte);

/* ---- plans (plan.c, guard.c, launch.c, ffi.c) ----------------------------------- */

typedef struct hlr_step_state {
  void *function;
  uint32_t block_size;
  uint16_t *offsets; /* of each slot in the block */
} hlr_step_state;

struct hl_plan {
  hl_device *dev;
  hli_arena arena;     /* everything below */
  hlr_program program; /* a copy, without images */
  hlr_step_state *states;
  bool is_static;              /* every dimension is exact */
  bool narrow;                 /* some size or stride is passed as i32 and must be checked */
  struct hlr_closure *closure; /* hl_plan_function's, guarded by the context's lock */
};

/* What the guards found out about a call. */
typedef struct hlr_bound {
  int64_t dims[HLR_MAX_DIMS];
  uint64_t programs[HLR_MAX_STEPS];
  void *workspace;
} hlr_bound;

/* Checks the arguments and binds dimensions and grids.  Launches nothing. */
hl_status hlr_bind(const hl_plan *plan, const hl_arg *args, size_t arg_count, const hl_launch_options *options,
                   hl_diag *diag, hlr_bound *out);
/* Writes the parameter block of step `s`; fields[i] becomes the address of slot i. */
void hlr_fill_block(const hl_plan *plan, uint32_t s, const hl_arg *args, const hlr_bound *bound, unsigned char *block,
                    void **fields);
hl_driver_launch hlr_step_launch(const hl_plan *plan, uint32_t s, uint64_t programs, const unsigned char *block,
                                 void **fields);

/* Gives the tensors that the plan says their initial values, in stream order (fill.c). */
hl_status hlr_fill_tensors(const hl_plan *plan, const hl_arg *args, void *native, hl_diag *diag);

/* How a scalar parameter of this type is passed. */
hl_arg_kind hlr_scalar_kind(hl_dtype dtype);
uint64_t hlr_scalar_bits(hl_dtype dtype, const hl_arg *arg); /* as the parameter block has them */

/* The element stride of `axis`, also of a tensor without a stride array. */
int64_t hlr_tensor_stride(const hl_tensor *t, int axis);

/* Byte offsets of fields in a C struct with those fields, by libffi. */
hl_status hlr_ffi_layout(const hlr_slot *slots, uint32_t count, hl_diag *diag, uint16_t *offsets, uint32_t *size);
void hlr_ffi_closure_free(const hl_plan *plan, struct hlr_closure *closure);

#endif
