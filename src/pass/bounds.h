/* bounds.h: may an access leave its tensor?  Asked once, by specialize. */
#ifndef HLI_BOUNDS_H
#define HLI_BOUNDS_H

#include "src/pass/pass.h"

/* The begin or end of a tile value: of its loop, or of its range; 0 if it is neither. */
hli_value hli_tile_bound(const hl_kernel *k, bool end, hli_value tile);

/* Do begin and end of the tile provably lie within the dimension? */
bool hli_tile_within(const hl_kernel *k, hli_value tile, hli_dim dim);

/* Every tile that indexes a tensor must provably begin at 0 or above and end within the dimension: HL_ERR_BUILD
 * names access, dimension and values.  Bounds of inner loops and scalar indices that are only known at run time are clamped into the dimension, so
 * that no argument makes a kernel touch memory outside its tensors. */
hl_status hli_check_bounds(hli_pass_env *env, hl_kernel *k);

#endif
