/* interp.h: the reference interpreter: runs a kernel of any stage on host tensors, slowly and
 * obviously.  It is the judge of every back end, so it prefers the plainest code to the fast one.
 *
 *   TILE  as the builder made it: tile loops run over all their tiles, in blocks of the given sizes
 *   TILE  scheduled, LOOP, LANE: every program of kernel.grid, one after the other
 *
 * Lanes beyond a tile's end are masked: loads give 0 (or `other`), stores write nothing, and at TILE
 * reduce and dot do not see them.  At LANE reduce and mma take what the lanes hold, as the machine
 * does: a missing fill shows as a wrong result.
 *
 * Faults of the kernel (an index out of range, a race, a read of memory that nobody wrote) are
 * HL_ERR_BUILD; the message names the op, its values and the program.  Tensors may have been written
 * partly by then. */
#ifndef HLI_INTERP_H
#define HLI_INTERP_H

#include "hl/runtime.h"
#include "src/ir/ir.h"

typedef struct hli_interp_options {
  bool exact;            /* floats stay in double from op to op (sums and dots in long double); else every op's
                            result is rounded to its dtype.  A floating tensor may then be given as f64
                            whatever the kernel declares, so that results are not rounded either. */
  bool race_check;       /* LANE: shared memory accessed by two threads with no barrier between */
  bool half_lowered;     /* LANE before the pass `lane`: reduce and convert may still cross warps */
  bool program_check;    /* an element of a tensor written by one program and read, or written
                            differently, by another */
  uint64_t max_steps;    /* ops; 0 = no limit; beyond it HL_ERR_LIMIT */
  const int64_t *blocks; /* unscheduled TILE: by axis id, 0 = not given; may be NULL */
  uint32_t block_count;
} hli_interp_options;

/* One argument per parameter.  Tensors lie in host memory; sizes of dimensions are taken from them
 * (dimensions that no tensor has must be static). */
hl_status hli_interp_run(const hl_kernel *k, const hl_allocator *alloc, const hl_arg *args, size_t arg_count,
                         const hli_interp_options *options, hl_diag *diag);

/* Only the arguments: would hli_interp_run take them? */
hl_status hli_interp_check(const hl_kernel *k, const hl_allocator *alloc, const hl_arg *args, size_t arg_count,
                           const hli_interp_options *options, hl_diag *diag);

#endif
