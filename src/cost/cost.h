/* cost.h: a first analytic cost model: which configuration to use when nothing has been measured. */
#ifndef HLI_COST_H
#define HLI_COST_H

#include "src/config/facts.h"
#include "src/config/json.h"
#include "src/config/space.h"

/* Writes the model's choice over a configuration made from the space; the result is legal (hli_config_check). */
hl_status hli_cost_default(const hl_kernel *k, const hl_target *target, const hli_space *s, hl_config *c,
                           hl_diag *diag);
/* One step towards fewer registers and less shared memory: more warps up to 8, then smaller blocks; false: none is left.
 * Kernels with dots take their rows apart into chunks only with `rows`: it costs them loops and computing anew. */
bool hli_config_relax(const hli_space *s, hl_config *c, bool rows);
/* Shrinks the choice until it is legal; HL_ERR_LIMIT if even the smallest is not. */
hl_status hli_config_repair(const hl_kernel *k, const hl_target *target, const hli_space *s, hl_config *c,
                            hl_diag *diag);

#endif
