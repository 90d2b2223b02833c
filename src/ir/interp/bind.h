/* bind.h: gives the machine its arguments. */
#ifndef HLI_INTERP_BIND_H
#define HLI_INTERP_BIND_H

#include "src/ir/interp/machine.h"
#include <stdio.h>

void hli_fill_initial(hli_machine *m); /* tensors get their initial values; after hli_bind */
hl_status hli_bind(hli_machine *m, const hl_arg *args, size_t count);

#endif
