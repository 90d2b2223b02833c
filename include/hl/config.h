/* libhl: config.h: the search space of a kernel on a target, and one point in it.
 * SPDX-License-Identifier: MIT
 *
 * Errors: HL_ERR_ARG for misuse, HL_ERR_CONFIG with the legal values, HL_ERR_UNSUPPORTED with what there is.
 * Threads: any; one configuration is used by one at a time.
 * Memory: targets are never freed; configurations and blobs are the caller's.
 * Since: 0.1. */
#ifndef HL_CONFIG_H
#define HL_CONFIG_H

#include "hl/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- targets ---------------------------------------------------------------- */

/* A constant description of a machine; never freed. */
typedef struct hl_target hl_target;
/* "host", "x86-64-v3", "x86-64-v4", "zen4", "aarch64", "nvptx:sm_80", "nvptx:sm_90a".  HL_ERR_UNSUPPORTED names what there is. */
HL_API hl_status hl_target_find(hl_str name, hl_diag *diag, const hl_target **out);
/* "host"; lives as long as the program. */
HL_API hl_str hl_target_name(const hl_target *target);
/* The i-th known target, NULL past the end. */
HL_API const hl_target *hl_target_at(uint32_t i);

/* Facts about a target, constant and never freed. */
typedef struct hl_target_info {
  size_t size;            /* sizeof(hl_target_info), set by the caller */
  const char *family;     /* "cpu", "nvptx" or "amdgpu" */
  const char *triple;     /* LLVM's names; "" for cpu and features: the host's own */
  const char *cpu;
  const char *features;
  uint32_t vector_bytes;  /* CPU: widest vector; GPU: widest access of a thread */
  uint32_t warp_size;     /* 1 on the CPU */
  uint32_t max_threads;   /* of a block */
  uint32_t registers;     /* CPU: vector registers; GPU: 32-bit registers of a thread, at most */
  uint32_t shared_bytes;  /* largest shared memory of a block; 0 on the CPU */
} hl_target_info;
/* Fills *info, whose size the caller has set. */
HL_API hl_status hl_target_get_info(const hl_target *target, hl_target_info *info);

/* ---- shapes ------------------------------------------------------------------- */

/* Sizes for named dimensions of a kernel, and values for its specialised integer scalars (hl_specialize), which may be
 * negative.  Dimensions left out take their static value or are an error where one is needed. */
typedef struct hl_shape_binding {
  const char *dim;
  int64_t size; /* of a dimension: >= 0 */
} hl_shape_binding;

/* ---- configurations --------------------------------------------------------------- */

typedef struct hl_config hl_config; /* values of knobs; one thread at a time */

/* The configuration chosen by the cost model for this kernel, these sizes and this target: always legal. */
HL_API hl_status hl_config_default(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n,
                                   const hl_target *target, hl_diag *diag, hl_config **out);
/* A random legal configuration, reproducible by seed. */
HL_API hl_status hl_config_random(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n,
                                  const hl_target *target, uint64_t seed, hl_diag *diag, hl_config **out);
/* From JSON, e.g. {"block_sizes":[64,64,32],"num_warps":4}.  Knobs left out get their default.  An unknown
 * knob or an illegal value is HL_ERR_CONFIG naming knob, value and the legal values; a knob that this
 * target does not have is ignored. */
HL_API hl_status hl_config_parse(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n,
                                 const hl_target *target, hl_str json, hl_diag *diag, hl_config **out);
/* Canonical JSON: knobs in a fixed order, no spaces. */
HL_API hl_status hl_config_print(const hl_config *c, hl_diag *diag, hl_blob **out);
HL_API void hl_config_destroy(hl_config *c);
/* The whole space as JSON: every knob with its legal values and its default. */
HL_API hl_status hl_space_print(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n,
                                const hl_target *target, hl_diag *diag, hl_blob **out);

#ifdef __cplusplus
}
#endif
#endif
