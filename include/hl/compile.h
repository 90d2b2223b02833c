/* libhl: compile.h: from a kernel to lowered text, machine code and plans; the interpreter.
 * SPDX-License-Identifier: MIT */
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

/* ---- plans ------------------------------------------------------------------------- */

typedef struct hl_plan_options {
  size_t size;
  const hl_config *config; /* NULL: default */
  /* Sizes; NULL: taken from `args` (tensors' shapes, strides and alignment), which must then be given.  Code may
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
