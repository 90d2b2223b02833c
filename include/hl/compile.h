/* libhl: compile.h: from a kernel to lowered text, machine code and plans; the interpreter.
 * SPDX-License-Identifier: MIT
 *
 * Errors: HL_ERR_ARG for misuse; HL_ERR_CONFIG, HL_ERR_LIMIT and HL_ERR_UNSUPPORTED for what target or configuration
 * cannot do; HL_ERR_COMPILE from LLVM or the assembler; HL_ERR_FORBIDDEN by the context's policy.
 * Threads: any, several at a time.
 * Memory: kernels, configurations, shapes and tensors are borrowed for the call; blobs and plans are the caller's.
 * Since: 0.1. */
#ifndef HL_COMPILE_H
#define HL_COMPILE_H

#include "hl/config.h"
#include "hl/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hl_emit {
  HL_EMIT_TILE, /* scheduled tile IR */
  HL_EMIT_LOOP, /* CPU targets */
  HL_EMIT_LANE, /* GPU targets */
  HL_EMIT_LLVM,
  HL_EMIT_ASM,  /* PTX or assembly */
  HL_EMIT_OBJ   /* cubin (PTX where no assembler is found) or shared object */
} hl_emit;

typedef struct hl_compile_options {
  size_t size;
  const hl_shape_binding *shape; /* sizes of dimensions; static and default ones must be given */
  uint32_t shape_count;
  const hl_config *config;       /* NULL: the default one */
  hl_emit emit;
  const char *stop_after;        /* name of a pass to stop after, NULL: run all (text stages only) */
  bool dump;                     /* log the IR after every pass at HL_LOG_DEBUG */
} hl_compile_options;
#define HL_COMPILE_OPTIONS_INIT {sizeof(hl_compile_options), 0, 0, 0, HL_EMIT_OBJ, 0, false}

/* The name of the i-th pass that kernels go through for a target, in order; NULL past the end. */
HL_API const char *hl_pass_name(const hl_target *target, uint32_t i);

/* Compiles for a target; needs libhl-codegen for everything below HL_EMIT_LANE. */
HL_API hl_status hl_compile(hl_context *ctx, const hl_kernel *k, const hl_target *target,
                            const hl_compile_options *options, hl_diag *diag, hl_blob **out);

/* ---- outputs ------------------------------------------------------------------------ */

typedef struct hl_output_info {
  size_t size;
  hl_dtype dtype;
  uint32_t rank;
  int64_t shape[HL_MAX_RANK];
  int64_t strides[HL_MAX_RANK]; /* row-major, in elements */
  size_t bytes;                 /* of all elements */
} hl_output_info;
#define HL_OUTPUT_INFO_INIT {sizeof(hl_output_info), HL_DTYPE_NONE, 0, {0}, {0}, 0}

/* What an output must be for these arguments, so that it can be allocated.  args has one per parameter; tensors of
 * outputs that are not there yet are NULL; of the others only shape and dtype are read.  Sizes are those of dimensions of
 * the same name and those that follow (hl_dim_set_size).  HL_ERR_ARG names a size that is not known, HL_ERR_GUARD two
 * that disagree. */
HL_API hl_status hl_kernel_output(const hl_kernel *k, uint32_t index, const hl_arg *args, size_t arg_count,
                                  hl_diag *diag, hl_output_info *out);

/* ---- plans ------------------------------------------------------------------------- */

typedef struct hl_plan_options {
  size_t size;
  const hl_config *config; /* NULL: default */
  /* Sizes; NULL: taken from `args` (tensors' shapes, strides and alignment, specialised scalars), which must then be given.  Code may
   * rely on data being aligned like that of `args`, to at most 16 bytes; with `shape` on 16 bytes. */
  const hl_shape_binding *shape;
  uint32_t shape_count;
  const hl_arg *args;
  size_t arg_count;
} hl_plan_options;
#define HL_PLAN_OPTIONS_INIT {sizeof(hl_plan_options), 0, 0, 0, 0, 0}

/* Compiles, loads and describes a kernel for a device. */
HL_API hl_status hl_plan_create(hl_device *dev, const hl_kernel *k, const hl_plan_options *options,
                                hl_diag *diag, hl_plan **out);

/* The same in a thread of libhl's own: the call returns at once, and what it was given is copied.  The kernel may be
 * destroyed; the device must stay open until the task is destroyed.  A few are made at a time, the others wait. */
typedef struct hl_plan_task hl_plan_task;
HL_API hl_status hl_plan_create_async(hl_device *dev, const hl_kernel *k, const hl_plan_options *options,
                                      hl_diag *diag, hl_plan_task **out);
HL_API bool hl_plan_task_done(const hl_plan_task *task); /* does not wait */
/* Waits for the end and says how it went, as hl_plan_create would have.  The plan is the caller's from then on: it is
 * given out once, later calls give NULL. */
HL_API hl_status hl_plan_task_wait(hl_plan_task *task, hl_diag *diag, hl_plan **out);
HL_API void hl_plan_task_destroy(hl_plan_task *task); /* waits; destroys a plan that nobody took */

/* ---- many shapes ---------------------------------------------------------------------
 * A dispatch launches one kernel on arguments of any sizes: it keeps a plan for every set of sizes, strides, specialised scalars and
 * alignments that it has met, as many as fit, and makes those that it has not.  Finding a plan takes no lock.  Any
 * thread may launch. */
typedef struct hl_dispatch hl_dispatch;

typedef struct hl_dispatch_options {
  size_t size;
  const hl_config *config; /* of all plans; NULL: each its own.  Copied */
  uint32_t capacity;       /* plans kept, at most 4096; beyond it the longest unused goes.  0: 64 */
  bool background;         /* new sizes are launched with a plan for all sizes while theirs is made in the background;
                            * false, and where there can be no such plan: the launch waits for its plan */
} hl_dispatch_options;
#define HL_DISPATCH_OPTIONS_INIT {sizeof(hl_dispatch_options), 0, 0, false}

/* Makes an empty table of plans for a kernel on a device; it compiles when a launch needs it. */
HL_API hl_status hl_dispatch_create(hl_device *dev, const hl_kernel *k, const hl_dispatch_options *options,
                                    hl_diag *diag, hl_dispatch **out);
/* hl_launch with the plan for these arguments.  Where a plan must be made first this can take long, and fails while a
 * stream of the device is capturing. */
HL_API hl_status hl_dispatch_launch(hl_dispatch *d, hl_stream *stream, const hl_arg *args, size_t arg_count,
                                    const hl_launch_options *options, hl_diag *diag);
/* How many plans it holds now. */
HL_API uint32_t hl_dispatch_plans(const hl_dispatch *d);
/* Waits for what was launched and for what is being made. */
HL_API void hl_dispatch_destroy(hl_dispatch *d);

/* ---- interpreter ---------------------------------------------------------------------- */

typedef enum hl_interp_mode {
  HL_INTERP_TYPED, /* every op rounded to its dtype */
  HL_INTERP_EXACT  /* floats in double, integers exactly */
} hl_interp_mode;

typedef struct hl_interp_options {
  size_t size;
  hl_interp_mode mode;
  const hl_config *config; /* block sizes; NULL: small ones chosen by the interpreter */
  const hl_target *target; /* with it, the kernel is lowered for the target (LOOP or LANE) and that is run */
  bool race_check;         /* LANE: report conflicting shared-memory accesses as HL_ERR_BUILD */
  uint64_t max_steps;      /* 0: no limit; else HL_ERR_LIMIT after so many ops */
} hl_interp_options;
#define HL_INTERP_OPTIONS_INIT {sizeof(hl_interp_options), HL_INTERP_TYPED, 0, 0, true, 0}

/* Runs a kernel on host tensors in the reference interpreter: slow, obvious, the judge of every
 * back end. */
HL_API hl_status hl_interpret(hl_context *ctx, const hl_kernel *k, const hl_arg *args, size_t arg_count,
                              const hl_interp_options *options, hl_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
