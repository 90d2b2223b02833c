/* pass.h: a pass rewrites a kernel.  pipeline.c lists them; run.c alone verifies, prints, times and stops.
 * A pass reads only the knobs it owns; after the last schedule pass the configuration is gone. */
#ifndef HLI_PASS_H
#define HLI_PASS_H

#include "src/config/config.h"

typedef struct hli_pass_env {
  const hl_allocator *alloc;
  const hl_target *target;
  const hl_config *config;
  const hl_shape_binding *shape; /* specialize */
  uint32_t shape_count;
  hl_diag *diag;
} hli_pass_env;

/* Replaces *k (destroying the old one) or edits it in place.  On failure *k is still a valid kernel to destroy. */
typedef hl_status (*hli_pass_fn)(hli_pass_env *env, hl_kernel **k);

typedef struct hli_pass {
  const char *name;
  hli_pass_fn run;
  uint8_t families;     /* bit per hli_target_family: where it runs */
  uint8_t stage_before, stage_after; /* HLI_STAGE_* */
  const char *needs;    /* names of passes that must have run, blank-separated */
} hli_pass;

extern const hli_pass hli_pipeline[];
extern const uint32_t hli_pipeline_length;

/* Runs the pipeline; stop_after may be NULL.  after (may be NULL) is called behind every pass. */
typedef void (*hli_after_pass_fn)(void *user, const char *pass, const hl_kernel *k);
hl_status hli_run_pipeline(hli_pass_env *env, hl_kernel **k, const char *stop_after,
                           hli_after_pass_fn after, void *user);

/* one file each */
hl_status hli_pass_tunables(hli_pass_env *env, hl_kernel **k);   /* the user's knobs become constants */
void hli_select_gathers(hl_kernel *k); /* gathers along short axes become comparisons: for GPUs (select_gather.c) */
hl_status hli_pass_specialize(hli_pass_env *env, hl_kernel **k); /* sizes and strides become constants where known */
hl_status hli_pass_flatten(hli_pass_env *env, hl_kernel **k);    /* loops over contiguous tensors: one axis */
hl_status hli_pass_simplify(hli_pass_env *env, hl_kernel **k);   /* fold, common subexpressions, dead code */
hl_status hli_pass_roll(hli_pass_env *env, hl_kernel **k);       /* full axes: at once, or in chunks */
hl_status hli_pass_tile(hli_pass_env *env, hl_kernel **k);       /* blocks, grid, loops: scheduled TILE */
hl_status hli_pass_batch(hli_pass_env *env, hl_kernel **k);      /* dots of batches -> dots of matrices */
hl_status hli_pass_mask(hli_pass_env *env, hl_kernel **k);       /* GPU: checks dropped where provable, fills before lane mixing */
hl_status hli_pass_loopnest(hli_pass_env *env, hl_kernel **k);   /* CPU: scheduled TILE -> LOOP */
hl_status hli_pass_layout(hli_pass_env *env, hl_kernel **k);     /* GPU: scheduled TILE -> LANE: layouts, converts */
hl_status hli_pass_stage(hli_pass_env *env, hl_kernel **k);      /* GPU: loads of a loop -> ring of shared buffers, async copies */
hl_status hli_pass_lane(hli_pass_env *env, hl_kernel **k);       /* GPU: cross-warp reduces and converts -> shared memory */

#endif
