/* layout_ops.h: the algebra of layouts (layout.h).
 *
 * A distribution is seen as a list of *digits*: positions of the register, lane or warp number, each of
 * which adds digit * stride to one coordinate, or selects a copy.  Digits of one dimension never
 * overlap, so coordinates are plain sums, and reductions, conversions and memory accesses are all
 * questions about where a digit of a coordinate lives. */
#ifndef HLI_LAYOUT_OPS_H
#define HLI_LAYOUT_OPS_H

#include "src/ir/layout.h"

typedef enum hli_unit { HLI_UNIT_REG, HLI_UNIT_LANE, HLI_UNIT_WARP, HLI_UNITS } hli_unit;

typedef struct hli_digit {
  uint8_t unit;    /* hli_unit */
  int8_t dim;      /* -1: selects a copy */
  uint16_t radix;  /* 2 or an odd number */
  uint32_t weight; /* in the unit's number: digit = number / weight % radix */
  int32_t stride;  /* along dim */
} hli_digit;

#define HLI_LAYOUT_DIGITS 96
typedef struct hli_digits {
  uint32_t n;
  hli_digit d[HLI_LAYOUT_DIGITS];
} hli_digits;

/* In the order register, lane, warp, least significant first.  False if a basis vector touches more than
 * one coordinate bit (no layout of ours does), or the layout is no distribution. */
bool hli_layout_digits(const hli_layout *l, hli_digits *out);
/* The digit that carries this part of a coordinate, NULL if none. */
const hli_digit *hli_digits_find(const hli_digits *l, int dim, int32_t stride, uint32_t radix);

/* ---- building ------------------------------------------------------------------------- */

void hli_layout_clear(hli_layout *l, uint32_t rank);
/* Enlarges the layout `count` times along dim over registers, lanes or warps; dim -1 adds copies (lanes,
 * warps).  Lanes only by powers of two.  False when it does not fit the representation. */
bool hli_layout_put(hli_layout *l, hli_unit unit, int dim, uint32_t count);

/* A plain distribution: `vec` neighbours along order[0] in registers, then lanes, then warps, then the
 * rest in registers.  Threads that are left over hold copies. */
typedef struct hli_blocked {
  uint32_t rank;
  int64_t shape[HLI_LAYOUT_RANK];
  uint8_t order[HLI_LAYOUT_RANK]; /* dimensions, fastest first */
  uint32_t vec, lanes, warps;
  uint32_t reduced; /* bit per dimension that is reduced: warps take these last */
} hli_blocked;
bool hli_layout_blocked(const hli_blocked *b, hli_layout *out);

/* Relabels dimensions: old dimension d becomes map[d], or is dropped (-1): its registers go, its lanes
 * and warps hold copies.  New dimensions nobody maps to have one coordinate.  Slices, transposes,
 * squeezes and the operands of broadcasts are such maps. */
bool hli_layout_map(const hli_layout *l, const int8_t *map, uint32_t new_rank, hli_layout *out);
/* The layout of a reduction's result. */
bool hli_layout_slice(const hli_layout *l, uint32_t dropped_dims, hli_layout *out);
/* The layout of partial_reduce's result: along `dim` only the warps' digits are left, densely. */
bool hli_layout_partial(const hli_layout *l, uint32_t dim, hli_layout *out);
/* Adds `count` registers, innermost, along a dimension that has one coordinate so far. */
bool hli_layout_widen(const hli_layout *l, uint32_t dim, uint32_t count, hli_layout *out);
/* Operand of a dot whose accumulator has layout acc: a [m, k] (which 0) or b [k, n] (which 1) with all of k in
 * the registers of a thread, `k` innermost for a, outermost for b. */
bool hli_layout_dot_operand(const hli_layout *acc, uint32_t which, uint32_t k, hli_layout *out);

/* ---- questions ----------------------------------------------------------------------------- */

uint32_t hli_layout_registers(const hli_layout *l); /* elements a thread holds */
uint32_t hli_layout_lanes(const hli_layout *l);
uint32_t hli_layout_warps(const hli_layout *l);
void hli_layout_extent(const hli_layout *l, int64_t out[HLI_LAYOUT_RANK]);
void hli_layout_coords(const hli_layout *l, uint32_t reg, uint32_t lane, uint32_t warp, int32_t out[HLI_LAYOUT_RANK]);
bool hli_layout_equal(const hli_layout *a, const hli_layout *b); /* the same element everywhere */
/* Every coordinate of the shape is covered and nothing lies outside; registers hold no copies. */
bool hli_layout_valid(const hli_layout *l, const int64_t *shape, uint32_t rank);
/* The register of thread 0 with these coordinates; -1 if another thread has it. */
int32_t hli_layout_find(const hli_layout *l, const int32_t *coords);
/* Neighbours along dim in the lowest registers of a thread: 1, 2, 4 ... */
uint32_t hli_layout_vector(const hli_layout *l, uint32_t dim);
/* How many warps (distinct coordinates) share dimension `dim`; 1: no data crosses warps along it. */
uint32_t hli_layout_warps_along(const hli_layout *l, uint32_t dim);

typedef enum hli_convert_kind {
  HLI_CONVERT_SAME,
  HLI_CONVERT_RENAME,  /* other register numbers in the same thread */
  HLI_CONVERT_SHUFFLE, /* selects and exchanges within a warp */
  HLI_CONVERT_SHARED   /* warps exchange data: through shared memory */
} hli_convert_kind;
/* rounds (may be NULL): shuffles or selects per result register. */
hli_convert_kind hli_layout_convert(const hli_layout *src, const hli_layout *dst, uint32_t *rounds);

/* ---- shared memory ---------------------------------------------------------------------------- */

/* Where an element of a shared buffer lies, in elements from the slot's begin. */
int64_t hli_swizzle_offset(const hli_layout *swizzle, const int64_t *shape, uint32_t rank, const int32_t *coords);
/* Elements of one slot (with padding). */
int64_t hli_swizzle_size(const hli_layout *swizzle, const int64_t *shape, uint32_t rank);
/* Fragments that ldmatrix can fetch: 16-bit elements, register bit 0 and lane bits 0, 1 along one dimension
 * (the pairs), lane bits 2 to 4 along the other; one instruction fetches `count` 8x8 matrices, told apart by the
 * register digits `digit` (their weights and coordinates). */
typedef struct hli_ldmatrix {
  uint8_t count;      /* 1, 2 or 4 */
  bool trans;         /* the pairs run down the buffer's columns */
  uint8_t row, col;   /* dimensions of the value that are the buffer's rows and columns */
  hli_digit digit[2]; /* the first count / 2 are used */
} hli_ldmatrix;
/* perm[i]: the buffer's dimension that is dimension i of the value (NULL: the same).  Rank 2 only. */
bool hli_layout_ldmatrix(const hli_layout *l, const uint8_t *perm, hli_ldmatrix *out);

/* One access pattern of a shared buffer. */
typedef struct hli_shared_use {
  const hli_layout *layout;
  const uint8_t *perm; /* as above */
  bool matrix;         /* by ldmatrix where it fits */
} hli_shared_use;
/* Wavefronts of an access by warp 0, summed over (at most 16 of) its instructions. */
uint32_t hli_swizzle_cost(const hli_layout *swizzle, const int64_t *shape, uint32_t rank, uint32_t element_bytes,
                          const hli_shared_use *use);
/* The swizzle with the fewest wavefronts for a buffer that is accessed in these ways. */
void hli_swizzle_choose(const int64_t *shape, uint32_t rank, uint32_t element_bytes, const hli_shared_use *uses,
                        uint32_t n, hli_layout *out);

#endif
