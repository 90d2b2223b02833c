/* flatten.h: which tile loops of several axes may run over the product of their extents instead. */
#ifndef HLI_FLATTEN_H
#define HLI_FLATTEN_H

#include "src/config/config.h"

#define HLI_FLATTEN_MOST 16

/* The loops in program order: their instances of flatten_loops.  k: specialised TILE, before roll. */
uint32_t hli_flattenable(const hl_kernel *k, hli_op loops[HLI_FLATTEN_MOST]);
/* The parameters (bits) that such a loop walks through. */
uint32_t hli_flat_params(const hl_kernel *k, hli_op loop);

#endif
