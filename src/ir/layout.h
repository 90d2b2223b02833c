/* layout.h: which thread and register of a block holds which element of a tile value.
 *
 * A layout is an *atom* tensored with integer repeats.  The atom is an F2-linear map: bit b
 * of the register, lane or warp number adds (XOR) the vector basis[b] to the coordinates;
 * a zero vector means that bit selects a copy (replication).  Repeats enlarge the atom by integer
 * counts, along one dimension each, over registers or warps, in order: the digits of the register
 * number above the atom's bits, least significant first.
 * The representation of "Linear Layouts" (arXiv 2505.23819), with integer repeats because good tile
 * sizes (192, 112, 72) are no powers of two.
 *
 * In a valid layout every coordinate of the shape is covered; registers never replicate
 * (no zero register vector, unless the shape is a scalar). */
#ifndef HLI_LAYOUT_H
#define HLI_LAYOUT_H

#include "src/base/base.h"

#define HLI_LAYOUT_REG_BITS 10
#define HLI_LAYOUT_LANE_BITS 6
#define HLI_LAYOUT_WARP_BITS 5
#define HLI_LAYOUT_REPEATS 8
#define HLI_LAYOUT_RANK 4

typedef struct hli_layout_vec { int16_t c[HLI_LAYOUT_RANK]; } hli_layout_vec;
typedef struct hli_layout_repeat { uint8_t dim; uint8_t over_warps; uint16_t count; } hli_layout_repeat;

typedef struct hli_layout {
  uint8_t kind;    /* 0: distribution of a value; 1: swizzle of a shared buffer (below) */
  uint8_t rank;
  uint8_t reg_bits, lane_bits, warp_bits, repeats;
  hli_layout_vec reg[HLI_LAYOUT_REG_BITS];
  hli_layout_vec lane[HLI_LAYOUT_LANE_BITS];
  hli_layout_vec warp[HLI_LAYOUT_WARP_BITS];
  hli_layout_repeat repeat[HLI_LAYOUT_REPEATS];
  /* kind 1: element (.., r, c) of a row-major buffer lies in row r at column
   * c ^ (((r >> shift) & mask) << vec), all powers of two; mask 0 = no swizzle.
   * pad: elements added to each row instead. */
  uint8_t sw_vec, sw_shift;
  uint16_t sw_mask, sw_pad;
} hli_layout;

#endif
