/* json.h: configurations made from a space and from text (config.c). */
#ifndef HLI_CONFIG_JSON_H
#define HLI_CONFIG_JSON_H

#include "src/config/config.h"
#include <stdio.h>

hl_config *hli_config_from_space(const hli_space *s,
                                 const hl_allocator *alloc); /* preferred values; NULL: out of memory */
bool hli_config_set(hl_config *c, hli_knob knob, uint32_t instance, int64_t value); /* false: no such entry */
/* Overwrites what the JSON object names; HL_ERR_CONFIG for unknown knobs and illegal values.  tunables: only those;
 * else all others, whose legal values may depend on them. */
hl_status hli_config_read(const hli_space *s, hl_config *c, const hl_target *target, hl_str json, bool tunables,
                          hl_diag *diag);
hl_blob *hli_space_to_json(const hli_space *s, const hl_config *defaults);

#endif
