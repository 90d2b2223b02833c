/* space.h: looking into a space, and the limits that several knobs share. */
#ifndef HLI_SPACE_H
#define HLI_SPACE_H

#include "src/config/config.h"

const hli_space_entry *hli_space_find(const hli_space *s, hli_knob knob, uint32_t instance); /* NULL: not offered */
bool hli_space_allows(const hli_space_entry *e, int64_t value);
/* Registers, shared memory, value sizes: HL_ERR_LIMIT with the number and the limit. k: specialised TILE. */
hl_status hli_config_check(const hl_kernel *k, const hl_target *target, const hl_config *c, hl_diag *diag);

#endif
