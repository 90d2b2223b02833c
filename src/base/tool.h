/* tool.h: NVIDIA's assembler as a program on this machine.  SPDX-License-Identifier: MIT */
#ifndef HLI_TOOL_H
#define HLI_TOOL_H

#include "src/base/base.h"

#define HLI_TOOL_PATH 512

/* The path of ptxas: `given`, else HL_PTXAS, else in PATH, else the usual folder.  HL_ERR_NO_DRIVER (with nothing in
 * diag) if there is none, HL_ERR_IO in words if the one that was named cannot be run. */
hl_status hli_find_ptxas(const char *given, hl_diag *diag, char out[HLI_TOOL_PATH]);

/* Which program that is, without running it: a digest of its path, size and time of change; {0, 0}: there is none. */
hli_digest hli_ptxas_identity(void);

#endif
