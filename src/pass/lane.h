/* lane.h: shared memory of a LANE kernel: where buffers lie (lane_memory.c) and the barriers between their uses
 * (lane_barrier.c). */
#ifndef HLI_LANE_H
#define HLI_LANE_H

#include "src/ir/layout_ops.h"
#include "src/pass/pass.h"

typedef struct hli_lane_buffer {
  hli_value value;
  int64_t begin, size;  /* bytes */
  uint32_t first, last; /* positions of its uses in program order, whole loops where it outlives one iteration */
} hli_lane_buffer;

typedef struct hli_lane_memory {
  HLI_VEC(hli_lane_buffer) buffers;
} hli_lane_memory;

/* Gives every buffer its offset and sets launch.shared_bytes. */
hl_status hli_lane_place(hli_pass_env *env, hl_kernel *k, hli_lane_memory *m);
/* Inserts the barriers that the uses of buffers need, given their places. */
hl_status hli_lane_barriers(hli_pass_env *env, hl_kernel *k, const hli_lane_memory *m);

/* The buffer an op reads or writes (0: none), and whether it writes. */
hli_value hli_lane_touches(const hl_kernel *k, hli_op op, bool *writes);

/* Of dots whose result no loop carries on: operands that may be held whole, because the assembler moves products towards
 * the use of their sum. */
typedef enum hli_hold {
  HLI_HOLD_AHEAD,        /* none: what is read ahead only */
  HLI_HOLD_MULTIPLY_ADD, /* those of dots without a matrix instruction */
  HLI_HOLD_ALL
} hli_hold;

/* 32-bit registers that a thread needs, roughly. */
uint32_t hli_lane_register_estimate(const hl_kernel *k, hli_hold hold);
/* launch.max_nreg: the cap that lets two blocks share a multiprocessor where that pays, else what a thread may have at
 * all, for kernels that the assembler would squeeze; 0: left to the assembler. */
uint32_t hli_lane_register_cap(const hl_kernel *k, const hl_target *t);

#endif
