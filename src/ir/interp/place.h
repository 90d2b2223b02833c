/* place.h: where the elements of a LANE value lie: the coordinate (row-major number) in each register of
 * each thread.  Built once per type and run. */
#ifndef HLI_INTERP_PLACE_H
#define HLI_INTERP_PLACE_H

#include "src/ir/interp/machine.h"
#include <stdio.h>

typedef struct hli_iplace {
  uint32_t threads, regs;
  int32_t *at; /* [thread * regs + reg]; NULL: a scalar, which every thread has */
} hli_iplace;

/* The place of a value of this shape in this layout; built on first use.  A layout that leaves its shape, that
 * misses an element or that does not fit the number of warps is a fault of op. */
hl_status hli_place_of(hli_machine *m, hli_op op, uint32_t layout, const int64_t *size, uint32_t rank,
                       const hli_iplace **out);
hl_status hli_place_of_value(hli_machine *m, hli_op op, hli_value v, const hli_iplace **out);
void hli_places_free(hli_machine *m);

/* At LANE, whether the op may be done with the data each thread (or warp) has; looked at once per op. */
hl_status hli_lane_check(hli_machine *m, hli_op op);

#endif
