/* facts.h: what the search space, the cost model and the passes ask about a kernel: how its axes are used and
 * what a choice of blocks costs.  Everything is derived from the IR; nothing is stored in it. */
#ifndef HLI_FACTS_H
#define HLI_FACTS_H

#include "src/config/config.h"

/* Roles of an axis, or-ed. */
enum {
  HLI_ROLE_GRID = 1,
  HLI_ROLE_INNER = 2,
  HLI_ROLE_FULL = 4,
  HLI_ROLE_DOT_M = 8,
  HLI_ROLE_DOT_N = 16,
  HLI_ROLE_DOT_K = 32,
  HLI_ROLE_REDUCED = 64,
  HLI_ROLE_CONTIGUOUS = 128,
  HLI_ROLE_DOT_BATCH = 256
};

typedef struct hli_axis_facts {
  uint32_t roles;
  int64_t extent;    /* largest number of indices it runs over; -1 unknown */
  uint32_t instance; /* of its knob: among tile axes or among full axes */
  uint32_t root;     /* which top-level loop it belongs to, for GRID */
} hli_axis_facts;

typedef struct hli_kernel_facts {
  hli_axis_facts *axes; /* by axis id; HLI_VEC-less: axes.len of the kernel */
  uint32_t axis_count;
  uint32_t roots;                    /* top-level loops: one grid each */
  uint32_t root_rank[HLI_MAX_ROOTS]; /* tiles of each */
  bool has_dot, has_reduce;
  hl_dtype dot_dtype; /* of the operands of the (last) dot */
  hl_precision dot_precision;
  uint32_t widest;    /* bytes of the widest tensor element */
  uint32_t narrowest; /* bytes of the narrowest tensor element that is loaded or stored */
} hli_kernel_facts;

/* k: specialised TILE, before roll.  False when out of memory. */
bool hli_kernel_facts_get(const hl_kernel *k, hli_arena *arena, hli_kernel_facts *out);

/* ---- walking an axis in chunks (used by the roll pass and by the space) ---- */

bool hli_type_along(const hl_kernel *k, hli_value v, hli_axis axis); /* has v's shape the axis? */
bool hli_op_touches(const hl_kernel *k, hli_op op, hli_axis axis);
/* Does the dot sum over the axis (and give nothing along it)? */
bool hli_is_dot_over(const hl_kernel *k, hli_op op, hli_axis axis);
bool hli_is_reduce_over(const hl_kernel *k, hli_op op, hli_axis axis);
/* The straight-line block that holds every op along the axis, if it can be walked in chunks; else 0 and why. */
hli_block hli_chunk_block(const hl_kernel *k, hli_axis axis, const char **why);

/* ---- what blocks cost on a GPU ---- */

typedef struct hli_cost_facts {
  int64_t largest_value; /* lanes of the largest tile value */
  int64_t live_bytes;    /* most bytes of tile values alive at one point of a block */
  int64_t stage_bytes;   /* shared bytes of one slot of the operand ring */
  int64_t accumulators;  /* bytes of dot accumulators */
} hli_cost_facts;
/* lanes(user, axis) gives the block of an axis. */
typedef int64_t (*hli_lanes_fn)(const void *user, const hl_kernel *k, hli_axis axis);
hli_cost_facts hli_cost_of(const hl_kernel *k, hli_lanes_fn lanes, const void *user);

/* Lanes of a full dimension of this size that a GPU block holds at once: a power of two up to 1024, above that a
 * multiple of an eighth of one: at most an eighth is padding, and layouts have a power of two to divide among threads.
 */
int64_t hli_whole_row_block(int64_t size);

/* The block a configuration gives an axis on a target. */
typedef struct hli_block_choice {
  const hl_config *config;
  const hli_kernel_facts *facts;
  uint8_t family;
} hli_block_choice;
int64_t hli_config_lanes(const void *choice, const hl_kernel *k, hli_axis axis);

#endif
