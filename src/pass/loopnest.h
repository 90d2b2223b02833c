/* loopnest.h: facts about LOOP kernels that the CPU's emitter shares with the pass that makes them. */
#ifndef HLI_LOOPNEST_H
#define HLI_LOOPNEST_H

#include "src/ir/ir.h"

/* A number > 0 that the i64 scalar v is known to be a multiple of; 0 for the constant 0 (a multiple of
 * everything), 1 if nothing is known.  Works on scheduled TILE and on LOOP. */
int64_t hli_multiple_of(const hl_kernel *k, hli_value v);

/* Bytes of a buffer, rounded up to 64: buffers lie one behind the other in the scratch memory in the order
 * of their ops, and launch.scratch_bytes is the sum. */
int64_t hli_buffer_bytes(const hl_kernel *k, hli_type buffer);

#endif
