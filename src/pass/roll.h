/* roll.h: walking a full axis in chunks (roll_axis.c). */
#ifndef HLI_ROLL_H
#define HLI_ROLL_H

#include "src/pass/pass.h"

/* Is a range over this axis still there? */
bool hli_axis_in_use(const hl_kernel *k, hli_axis a);
/* Rewrites the ops along a full axis (whose accesses go through a range) into loops over chunks. */
hl_status hli_roll_axis(hli_pass_env *env, hl_kernel *k, hli_axis axis, int64_t chunk);

#endif
