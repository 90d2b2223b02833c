/* libhl: runtime.h: devices, buffers, streams, events, plans and launches.
 * SPDX-License-Identifier: MIT
 *
 * Life of a launch:  device -> plan (kernel specialised for shapes, compiled,
 * loaded) -> hl_launch(plan, stream, args).  A plan is immutable and may be
 * launched from many threads; a launch takes no lock and allocates nothing.
 *
 * Every object holds its device, so objects may be destroyed in any order, but for three
 * rules: the context goes last; a prepared launch and a plan's function must not be used
 * after their plan; and a wrapped stream must live until its wrapper is destroyed.  Destroying a buffer, a plan or
 * a CPU stream waits for the work that uses it.
 *
 * After fork() the child may go on using and destroying everything that is on the CPU, or in memory: libhl notices,
 * and starts threads of its own.  Work that was enqueued and not done at the moment of the fork is done in the parent
 * only; wait for it before forking.  A GPU does not survive a fork: in the child its device can be closed, and what
 * was made from it destroyed, but every other call fails.
 *
 * Errors: HL_ERR_ARG for misuse, HL_ERR_NO_DRIVER and HL_ERR_NO_DEVICE, HL_ERR_DRIVER with the vendor's code,
 * HL_ERR_GUARD for arguments that do not fit the plan, HL_ERR_BUSY while a stream captures.
 * Threads: any, but for events and prepared launches, which are used by one at a time.
 * Memory: tensors, shapes and arguments are borrowed for the call, the data behind them until the work is done; sizes
 * are in bytes, shapes and strides in elements.
 * Since: 0.1. */
#ifndef HL_RUNTIME_H
#define HL_RUNTIME_H

#include "hl/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_device hl_device;
typedef struct hl_stream hl_stream;
typedef struct hl_event hl_event;
typedef struct hl_buffer hl_buffer;
typedef struct hl_plan hl_plan;

/* ---- devices -------------------------------------------------------------- */

/* Opens "cpu", "cuda", "cuda:1", "null" (and later "hip").  A missing driver or
 * device is HL_ERR_NO_DRIVER / HL_ERR_NO_DEVICE with words, never a crash.
 * The device is reference-counted by the context: opening a name twice gives the
 * same device.  Close every opening. */
HL_API hl_status hl_device_open(hl_context *ctx, const char *name, hl_diag *diag, hl_device **out);
HL_API void hl_device_close(hl_device *dev);

typedef struct hl_device_info {
  size_t size; /* sizeof(hl_device_info), set by the caller */
  hl_device_id id;
  char name[128];      /* "NVIDIA H200", "AMD EPYC ..." */
  char target[64];     /* the target its kernels are compiled for: "nvptx:sm_90a", "host" */
  char driver[64];     /* driver version in words */
  int32_t units;       /* multiprocessors or threads of the pool */
  int32_t warp_size;   /* 1 on the CPU */
  int32_t max_threads; /* per block */
  int64_t shared_bytes;  /* largest shared memory of a block */
  int64_t memory_bytes;  /* of the device */
  int64_t l2_bytes;      /* last-level cache, 0 if unknown */
  int32_t clock_khz;     /* 0 if unknown */
} hl_device_info;
/* Fills *info, whose size the caller has set. */
HL_API hl_status hl_device_get_info(hl_device *dev, hl_device_info *info);

/* How many devices of this kind ("cpu", "cuda", "null") can be opened. */
HL_API hl_status hl_device_count(hl_context *ctx, const char *kind, hl_diag *diag, int32_t *out);

/* ---- buffers -------------------------------------------------------------- */

/* Memory of a device, aligned to at least 256 bytes.  `bytes` > 0. */
HL_API hl_status hl_buffer_create(hl_device *dev, size_t bytes, hl_diag *diag, hl_buffer **out);
HL_API void hl_buffer_destroy(hl_buffer *buf);
HL_API void *hl_buffer_data(const hl_buffer *buf); /* device pointer */
/* Bytes, as asked for. */
HL_API size_t hl_buffer_size(const hl_buffer *buf);
/* Ordered on the stream (NULL: the device's default stream); host memory must stay
 * valid until the stream has passed the copy. */
HL_API hl_status hl_buffer_write(hl_buffer *buf, size_t offset, const void *src, size_t bytes,
                                 hl_stream *stream, hl_diag *diag);
/* The other way; the bytes are there when the stream has passed the copy. */
HL_API hl_status hl_buffer_read(hl_buffer *buf, size_t offset, void *dst, size_t bytes,
                                hl_stream *stream, hl_diag *diag);
/* Sets every byte. */
HL_API hl_status hl_buffer_fill(hl_buffer *buf, uint8_t value, hl_stream *stream, hl_diag *diag);

/* ---- streams and events ---------------------------------------------------- */

/* The new stream is ordered with no other, the default stream included: see hl_stream_wait. */
HL_API hl_status hl_stream_create(hl_device *dev, hl_diag *diag, hl_stream **out);
/* Wraps the caller's own stream (CUstream); it is not destroyed with the wrapper. */
HL_API hl_status hl_stream_wrap(hl_device *dev, void *native, hl_diag *diag, hl_stream **out);
HL_API void hl_stream_destroy(hl_stream *stream);
/* The driver's own stream (CUstream); NULL on the CPU. */
HL_API void *hl_stream_native(hl_stream *stream);
/* Waits for everything submitted to the stream, and returns the first error of that. */
HL_API hl_status hl_stream_synchronize(hl_stream *stream, hl_diag *diag);
/* Waits for everything submitted to the device. */
HL_API hl_status hl_device_synchronize(hl_device *dev, hl_diag *diag);

/* An event is recorded and asked by one thread at a time. */
HL_API hl_status hl_event_create(hl_device *dev, hl_diag *diag, hl_event **out);
HL_API void hl_event_destroy(hl_event *ev);
/* The event happens when the stream (NULL: the default one) has done what was submitted so far. */
HL_API hl_status hl_event_record(hl_event *ev, hl_stream *stream, hl_diag *diag);
/* Lets what comes later on the stream (NULL: the default one) wait for the event's last
 * record, without stopping the caller. */
HL_API hl_status hl_stream_wait(hl_stream *stream, hl_event *ev, hl_diag *diag);
/* Waits until the event has happened. */
HL_API hl_status hl_event_synchronize(hl_event *ev, hl_diag *diag);
/* Milliseconds between two completed events of one device; HL_ERR_BUSY before that. */
HL_API hl_status hl_event_elapsed(hl_event *begin, hl_event *end, hl_diag *diag, float *ms);

/* ---- launches -------------------------------------------------------------- */

typedef enum hl_arg_kind { HL_ARG_TENSOR, HL_ARG_I64, HL_ARG_F64 } hl_arg_kind;

/* One argument per kernel parameter, in the kernel's order. */
typedef struct hl_arg {
  hl_arg_kind kind;
  union {
    const hl_tensor *tensor;
    int64_t i64; /* integer and bool scalars */
    double f64;  /* floating scalars */
  } as;
} hl_arg;

typedef enum hl_check {
  HL_CHECK_DEFAULT, /* descriptors: dtype, rank, sizes, strides, alignment, null, device, overlap */
  HL_CHECK_FULL,    /* also asks the driver about every pointer */
  HL_CHECK_NONE     /* the caller vouches */
} hl_check;

typedef struct hl_launch_options {
  size_t size;
  hl_check check;
  void *workspace; /* hl_plan_workspace_size bytes of device memory, aligned to 256.  NULL: hl_launch uses memory
                    * that the stream keeps for that, allocating it at the first launch (so not while capturing);
                    * a prepared launch must be given its own.  Launches that may run at the same time need one each */
} hl_launch_options;
#define HL_LAUNCH_OPTIONS_INIT {sizeof(hl_launch_options), HL_CHECK_DEFAULT, 0}

/* Enqueues the plan on the stream (NULL: the device's default stream) and returns
 * without waiting.  On any error nothing was written. */
HL_API hl_status hl_launch(const hl_plan *plan, hl_stream *stream, const hl_arg *args,
                           size_t arg_count, const hl_launch_options *options, hl_diag *diag);

/* A prepared launch: the parameter block is laid out once; hl_prepared_launch only
 * calls the driver (or the CPU entry).  Pointers and sizes are those of `args`
 * until hl_prepared_set changes one.  One thread at a time. */
typedef struct hl_prepared hl_prepared;
/* Checks the arguments and lays out the block.  The plan must outlive it; so must the tensors' memory. */
HL_API hl_status hl_prepared_create(const hl_plan *plan, const hl_arg *args, size_t arg_count,
                                    const hl_launch_options *options, hl_diag *diag,
                                    hl_prepared **out);
/* Replaces one argument; all are checked again.  On failure nothing has changed. */
HL_API hl_status hl_prepared_set(hl_prepared *p, size_t index, const hl_arg *arg, hl_diag *diag);
/* Enqueues it (stream NULL: the default one).  No check, no lock, no allocation. */
HL_API hl_status hl_prepared_launch(hl_prepared *p, hl_stream *stream);
HL_API void hl_prepared_destroy(hl_prepared *p);

/* The plan as a plain C function, made with libffi:
 *     hl_status f(void *stream, T0 a0, T1 a1, ...)
 * one parameter per kernel parameter: the data pointer of a tensor when the plan's
 * shapes are static, `const hl_tensor *` otherwise; int64_t or double for scalars.
 * `stream` is a hl_stream * or NULL.  Checks are HL_CHECK_DEFAULT's on pointers.
 * The function is valid until the plan is destroyed. */
typedef void (*hl_function)(void);
HL_API hl_status hl_plan_function(hl_plan *plan, hl_diag *diag, hl_function *out);

/* Bytes of device memory that a launch needs (hl_launch_options.workspace); 0: none. */
HL_API size_t hl_plan_workspace_size(const hl_plan *plan);
HL_API void hl_plan_destroy(hl_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
