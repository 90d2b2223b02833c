/* target.h: a target is data: limits, features, matrix instructions.  One data file per family. */
#ifndef HLI_TARGET_H
#define HLI_TARGET_H

#include "hl/config.h"
#include "src/base/base.h"
#include "src/ir/layout.h"

typedef enum hli_target_family { HLI_FAMILY_CPU, HLI_FAMILY_NVPTX, HLI_FAMILY_AMDGPU } hli_target_family;

/* Groups of elements along k that one CPU instruction multiplies and adds up: pairs of bf16, quadruples of unsigned and
 * signed int8, pairs of i16. */
enum { HLI_DOTS_BF16 = 1, HLI_DOTS_I8 = 2, HLI_DOTS_I16 = 4 };

/* A matrix instruction: D[m,n] += A[m,k] B[k,n].  Layouts say which lane and register of one warp holds
 * which element. */
typedef struct hli_matrix_row {
  const char *name;    /* "mma.m16n8k16.bf16" */
  uint8_t m, n, k;
  uint8_t in, acc;     /* hl_dtype */
  uint16_t min_arch;   /* 80 = sm_80 */
  bool tf32;           /* looks at the tf32 part of f32 operands only */
  hli_layout a, b, d;  /* of one instruction, one warp */
  const char *intrinsic;
} hli_matrix_row;

struct hl_target {
  const char *name;        /* "nvptx:sm_90a" */
  uint8_t family;          /* hli_target_family */
  const char *triple;
  const char *cpu;         /* LLVM's name; "" = the host's */
  const char *features;    /* LLVM's features; "" = the host's */
  uint16_t arch;           /* 80, 90 */
  uint16_t warp_size;      /* 1 on the CPU */
  uint16_t vector_bytes;   /* CPU: widest vector; GPU: widest access of a thread (16) */
  uint16_t vector_regs;    /* CPU: vector registers */
  uint8_t dots;            /* CPU: HLI_DOTS_*, or-ed */
  uint32_t max_threads;    /* per block */
  uint32_t max_warps;      /* that we use */
  uint32_t regs_per_thread;
  uint32_t regs_per_unit;  /* 32-bit registers of a multiprocessor */
  uint32_t shared_bytes;   /* largest shared memory of a block */
  uint32_t shared_unit;    /* shared memory of a multiprocessor */
  uint32_t units;          /* typical number of multiprocessors: the cost model's, not a limit */
  bool async_copy;         /* cp.async */
  const hli_matrix_row *matrix;
  uint32_t matrix_count;
};

/* The families' tables (one data file each).  On the CPU the i-th row; the host's row is chosen by cpuid. */
const hl_target *hli_cpu_target(uint32_t i);
extern const hl_target hli_nvptx_targets[];
extern const uint32_t hli_nvptx_target_count;

#endif
