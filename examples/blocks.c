/* blocks.c: see blocks.h. */
#include "examples/blocks.h"

hl_value blocks_begin(hl_builder *b, hl_value x, hl_dim p, hl_value *rows) {
  const hl_value count = hl_size(b, x, 0);
  hl_value block;
  hl_tile_options fixed = HL_TILE_OPTIONS_INIT, inner = HL_TILE_OPTIONS_INIT;
  hl_dim_set_size(b, p, example_blocks(b, count, BLOCK_ROWS));
  fixed.block_min[0] = fixed.block_max[0] = BLOCK_ROWS;
  hl_tile_begin_ex(b, &count, 1, &fixed, &block);
  const hl_value first = hl_tile_first(b, block), last = hl_tile_last(b, block);
  inner.begins = &first, inner.block_min[0] = 1, inner.block_max[0] = 16;
  hl_tile_begin_ex(b, &last, 1, &inner, rows);
  return block;
}

int64_t blocks_reduction(const int64_t *size) {
  return size[1] > BLOCK_ROWS ? size[1] : BLOCK_ROWS;
}

const hl_example_shape blocks_odd[] = {{{1, 1, 1}}, {{7, 1000, 1}}, {{65, 65, 2}}, {{150, 260, 3}}, {{0}}};
