/* key.h: what a plan's code and its tuning results are stored under.  Neither LLVM nor the assembler is asked. */
#ifndef HLI_PLAN_KEY_H
#define HLI_PLAN_KEY_H

#include "src/plan/plan.h"

/* What the code for this processor depends on, as a digest. */
hli_digest hli_machine_digest(void);

/* Everything that decides which code a plan gets. */
typedef struct hli_problem {
  const hl_kernel *kernel; /* strides and alignment bound; sizes are in `shape` */
  const hl_kernel *built;  /* as the user built it */
  const hl_target *target;
  const hl_shape_binding *shape;
  uint32_t shape_count;
  const char *device; /* its name: tuning results are of one kind of device */
  int32_t units;
} hli_problem;

/* Fills target, device and units; `info` must live as long as the problem. */
hl_status hli_device_target(hl_device *dev, hl_device_info *info, hl_diag *diag, hli_problem *p);

/* Code: kernel, exact sizes, strides and alignment, configuration, target and its features, build of libhl (which
 * names the version of LLVM), assembler.  `config` is canonical JSON, or "default": what the cost model would choose
 * follows from the rest.  False: out of memory. */
bool hli_code_key(const hli_problem *p, hli_digest machine, hl_str config, hli_digest *out);

/* Tuning: kernel, space, class of sizes and of device.  Survives a new build of libhl. */
bool hli_tuning_key(const hli_problem *p, hli_digest *out);

#endif
