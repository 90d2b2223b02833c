/* program.h: the descriptor of something that can be launched.  One form is shared
 * by plan (which makes it), store and packs (which will keep it) and the drivers
 * (which run it).  It knows nothing of IR: parameters, guards, parameter-block slots
 * and grids are plain data, evaluated over the arguments of a launch. */
#ifndef HLR_PROGRAM_H
#define HLR_PROGRAM_H

#include "src/base/base.h"
#include "hl/runtime.h"

#define HLR_NAME 64
#define HLR_DYNAMIC (-1)

/* A named dimension: equal sizes wherever the same index is used. */
typedef struct hlr_dim {
  char name[HLR_NAME];
  int64_t value;    /* exact size, or HLR_DYNAMIC */
  int64_t multiple; /* the size is a multiple of this (>= 1) */
} hlr_dim;

/* Two sizes must compare so (hl_binary_op, HL_EQ .. HL_GE). */
typedef struct hlr_require {
  uint16_t a, b; /* index into hlr_program.dims */
  uint8_t compare;
} hlr_require;

typedef struct hlr_param {
  char name[HLR_NAME];
  bool is_tensor;
  bool written;              /* must not overlap another parameter unless may_alias */
  uint32_t may_alias;        /* bit p: may overlap parameter p (parameters < 32) */
  bool is_exact;             /* a scalar that the code was compiled for: `constant` */
  uint64_t constant;         /* its bits */
  hl_dtype dtype;
  uint8_t rank;
  uint16_t dims[HL_MAX_RANK];    /* index into hlr_program.dims */
  int64_t strides[HL_MAX_RANK];  /* exact element stride, or HLR_DYNAMIC; axes of size 1 are not checked */
  uint32_t align;                /* bytes the data pointer must be aligned to */
} hlr_param;

typedef enum hlr_source { HLR_PTR, HLR_SIZE, HLR_STRIDE, HLR_SCALAR, HLR_WORKSPACE } hlr_source;

/* One field of the parameter block, in order.  Sizes and strides are i64 or i32. */
typedef struct hlr_slot {
  uint8_t source;  /* hlr_source */
  uint8_t dtype;   /* hl_dtype of the field; HL_DTYPE_NONE for pointers */
  uint8_t param;   /* HLR_SIZE uses `dim` as an index into dims and ignores this */
  uint8_t dim;
} hlr_slot;

/* ceil(size / block), size = constant or dims[dim]. */
typedef struct hlr_extent {
  int64_t constant; /* used when dim == HLR_DYNAMIC */
  int32_t dim;
  int32_t block;
  bool opens;       /* begins one more grid: its programs are added to those before */
} hlr_extent;
#define HLR_MAX_EXTENTS 32

typedef enum hlr_image_kind { HLR_IMAGE_NONE, HLR_IMAGE_PTX, HLR_IMAGE_CUBIN, HLR_IMAGE_ELF_SO } hlr_image_kind;

/* One kernel launch.  programs = sum over grids of the product over their extents (all grids are
 * flat: the kernel decodes its program id itself), divided into at most `max_programs` if that is > 0
 * (persistent kernels).  On the CPU [0, programs) is split among threads. */
typedef struct hlr_step {
  char entry[HLR_NAME];
  hlr_image_kind image_kind;
  hl_blob *image;          /* shared with the descriptor's owner; referenced, not copied */
  const char *image_path;  /* a file with the same bytes, borrowed for hlr_plan_create; NULL: none */
  uint32_t threads;        /* per block; 1 on the CPU */
  uint32_t shared_bytes;   /* dynamic shared memory */
  uint32_t cluster;        /* blocks per cluster; 1.  Grids are rounded up to whole clusters: the
                            * kernel must ignore programs beyond its own count */
  uint32_t grain;          /* CPU: programs handed out at a time; >= 1 */
  uint64_t scratch_bytes;  /* CPU: per-thread scratch */
  uint64_t max_programs;
  uint32_t extent_count;
  hlr_extent extents[HLR_MAX_EXTENTS];
  uint32_t slot_count;
  hlr_slot *slots;
} hlr_step;

/* Before the first step all elements of a tensor become `value`. */
typedef struct hlr_fill {
  uint64_t value; /* an element's bits */
  uint32_t param;
} hlr_fill;

typedef struct hlr_program {
  char name[HLR_NAME];
  uint32_t dim_count, param_count, step_count, require_count;
  hlr_require *requires_;
  uint32_t rule_count, term_count; /* dimensions that follow from others and from scalars (hli_size_rule) */
  hli_size_rule *rules;
  hli_size_term *terms;
  hlr_dim *dims;
  hlr_param *params;
  hlr_step *steps;
  uint32_t fill_count;
  hlr_fill *fills;
  uint64_t workspace_bytes;
} hlr_program;

/* Makes a plan of a descriptor on a device: loads the images, lays the parameter
 * blocks out with libffi.  Copies what it keeps, and keeps no image: the driver has its own copy.  Used by src/plan. */
HL_API hl_status hlr_plan_create(hl_device *dev, const hlr_program *program, hl_diag *diag, hl_plan **out);

/* The CPU entry of a compiled kernel: runs programs [begin, end).  `block` is the
 * parameter block, `scratch` is 64-byte aligned, scratch_bytes long, private to the thread. */
typedef void (*hlr_cpu_entry)(const void *block, int64_t begin, int64_t end, void *scratch);

#endif
