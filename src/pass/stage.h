/* stage.h: which loads of a loop can go through a ring of shared buffers (stage_find.c). */
#ifndef HLI_STAGE_H
#define HLI_STAGE_H

#include "src/ir/layout_access.h"
#include "src/ir/layout_ops.h"
#include "src/pass/pass.h"

#define HLI_STAGE_LOADS 8
#define HLI_STAGE_READS 4

/* A form in which the loaded tile is wanted: read from the buffer in this form. */
typedef struct hli_stage_read {
  hli_value value; /* what shared_load replaces */
  hli_op skip;     /* a transpose between load and convert, 0: none */
  uint8_t perm[HLI_LAYOUT_RANK];
  bool permuted;
} hli_stage_read;

typedef struct hli_stage_load {
  hli_op load;
  hli_stage_read read[HLI_STAGE_READS];
  uint32_t reads;
  int64_t bytes; /* of the tile */
} hli_stage_load;

typedef struct hli_stage_loop {
  hli_op loop;
  hli_stage_load load[HLI_STAGE_LOADS];
  uint32_t loads;
  bool async; /* all of them can be copied asynchronously */
} hli_stage_loop;

/* Loads of the loop's own block that feed a dot and whose addresses follow from the induction variable alone. */
void hli_stage_find(const hl_kernel *k, const hl_target *target, hli_op loop, hli_stage_loop *out);
/* Is v computed inside the loop (the induction variable and carried values included)? */
bool hli_stage_inside(const hl_kernel *k, hli_op loop, hli_value v);

#endif
