/* elf_check.h: is an image safe to hand to a loader?  SPDX-License-Identifier: MIT */
#ifndef HLR_ELF_CHECK_H
#define HLR_ELF_CHECK_H

#include <stddef.h>
#include <stdint.h>

/* Loaders trust the sizes in the file and fault on a truncated one.  NULL if the headers
 * stay inside the image, else what is wrong, to follow "cannot be loaded: ". */
const char *hlr_elf_fault(const void *image, size_t size, uint16_t machine);

#endif
