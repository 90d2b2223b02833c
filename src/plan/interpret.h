/* interpret.h: a kernel in the reference interpreter, as it is or lowered for a target. */
#ifndef HLI_PLAN_INTERPRET_H
#define HLI_PLAN_INTERPRET_H

#include "hl/compile.h"
#include "src/base/base.h"

/* hl_interpret, stopping the lowering behind a named pass (NULL: the whole pipeline). */
hl_status hli_interpret(const hl_allocator *alloc, const hl_kernel *k, const hl_arg *args, size_t arg_count,
                        const hl_interp_options *options, const char *stop_after, hl_diag *diag);

#endif
