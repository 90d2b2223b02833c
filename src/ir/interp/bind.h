/* bind.h: gives the machine its arguments. */
#ifndef HLI_INTERP_BIND_H
#define HLI_INTERP_BIND_H

#include "src/ir/interp/machine.h"
#include <stdio.h>

hl_status hli_bind(hli_machine *m, const hl_arg *args, size_t count);

#endif
