/* config.h (internal): the space of a kernel on a target, and a point in it.
 *
 * A knob is one row of knobs.def.  A knob has one or more *instances* (one per tile axis, per loop,
 * or one per kernel); a space lists the instances with their legal values; a config holds one value per
 * instance, in the space's order.  Only a knob's owner pass reads it, through hli_config_value. */
#ifndef HLI_CONFIG_H
#define HLI_CONFIG_H

#include "src/ir/ir.h"
#include "src/target/target.h"

typedef enum hli_knob {
#define HLI_KNOB(E, ...) HLI_KNOB_##E,
#include "src/config/knobs.def"
#undef HLI_KNOB
  HLI_KNOB_COUNT
} hli_knob;

typedef struct hli_knob_info {
  const char *text;  /* JSON name */
  const char *owner; /* the pass that reads it */
  bool per_instance; /* JSON array */
  uint8_t families;  /* bit per hli_target_family */
} hli_knob_info;
const hli_knob_info *hli_knob_facts(hli_knob knob);

/* One decision: its legal values, ascending, and the default. */
typedef struct hli_space_entry {
  hli_knob knob;
  uint32_t instance;
  int64_t *values;
  uint32_t value_count;
  int64_t preferred;
  const hli_tunable *tunable; /* what the user declared; NULL: a knob of ours */
} hli_space_entry;

typedef struct hli_space {
  hli_arena arena;
  HLI_VEC(hli_space_entry) entries;
} hli_space;

/* The kernel must be specialised for its sizes. */
hl_status hli_space_create(const hl_kernel *k, const hl_target *target, const hl_allocator *alloc, hl_diag *diag,
                           hli_space **out);
void hli_space_destroy(hli_space *s);

typedef struct hli_config_entry {
  hli_knob knob;
  uint32_t instance;
  int64_t value;
  char name[HLI_TUNABLE_NAME]; /* of the user's tunable; "": a knob of ours */
  bool truth;                  /* it is a bool */
} hli_config_entry;
struct hl_config {
  const hl_allocator *alloc;
  HLI_VEC(hli_config_entry) entries; /* in the space's order */
};
/* The value of a knob's instance, or `otherwise` if the configuration does not have it. */
int64_t hli_config_value(const hl_config *c, hli_knob knob, uint32_t instance, int64_t otherwise);
hl_config *hli_config_clone(const hl_config *c);

#endif
