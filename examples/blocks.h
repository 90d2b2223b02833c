/* blocks.h: what the gradients of norms share.  A weight's gradient is a sum over all rows; each program sums a block
 * of rows, and column_sum adds the blocks up.  Sizes are M, N and P, the number of blocks. */
#ifndef HL_EXAMPLE_BLOCKS_H
#define HL_EXAMPLE_BLOCKS_H

#include "examples/example.h"

enum { BLOCK_ROWS = 64 };

/* Opens a loop over the blocks of x's rows and in it one over a block's rows, some at a time: returns the tile of the
 * first, *rows is that of the second.  Says that p is the number of blocks. */
hl_value blocks_begin(hl_builder *b, hl_value x, hl_dim p, hl_value *rows);

int64_t blocks_reduction(const int64_t *size);
extern const hl_example_shape blocks_odd[];

#endif
