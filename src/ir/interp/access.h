/* access.h: where the lanes of a load, a store or an asynchronous copy go; shared by memory.c and shared.c. */
#ifndef HLI_INTERP_ACCESS_H
#define HLI_INTERP_ACCESS_H

#include "src/ir/interp/machine.h"
#include <stdio.h>

typedef struct hli_reach {
  hli_access access;
  uint32_t rank;
  const int64_t *size;
  uint32_t param;      /* of a tensor */
  hli_itensor *tensor; /* or */
  hli_imemory *memory;
  bool broadcasts; /* dimensions of size 1 broadcast along a tile: loads as the user wrote them */
} hli_reach;

hl_status hli_reach_open(hli_machine *m, hli_op op, hli_reach *t);
/* The indices of the lane at `coord` (of the accessed tile); inside is false for a lane beyond its tile.
 * A lane that is inside its tile and outside the base is a fault. */
hl_status hli_reach_locate(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *coord, int64_t *index,
                           bool *inside);
hl_status hli_reach_read(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *index, hli_scalar *out);
/* Would storing the value change the tensor's element? */
bool hli_reach_changes(const hli_reach *t, const int64_t *index, hli_scalar value);

/* Describes the buffer that a buffer or shared op makes; its place in machine.memory (.len: not there yet). */
hl_status hli_memory_describe(hli_machine *m, hli_op op, hli_imemory *b);
uint32_t hli_memory_find(const hli_machine *m, hli_op op);

#endif
