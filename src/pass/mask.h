/* mask.h: shared by mask.c and mask_gather.c. */
#ifndef HLI_MASK_H
#define HLI_MASK_H

#include "src/ir/layout_access.h"
#include "src/pass/pass.h"

#define HLI_MASK_RANGES 4

/* The tiles beyond whose end lanes of v along dimension dim do not exist: how many, and which. */
typedef uint32_t (*hli_ranges_fn)(void *user, hli_value v, uint32_t dim, hli_value out[HLI_MASK_RANGES]);

/* Replaces an access with integer tiles; false when out of memory. */
bool hli_mask_gather(hl_kernel *k, hli_op op, hli_ranges_fn ranges, void *user);

#endif
