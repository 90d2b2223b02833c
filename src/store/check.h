/* check.h: is a file a sound LMDB environment?  Read with pread only: no map that a short
 * file could make fault.  SPDX-License-Identifier: MIT */
#ifndef HLI_STORE_CHECK_H
#define HLI_STORE_CHECK_H

#include "src/base/base.h"

typedef enum hli_check {
  HLI_CHECK_OK,
  HLI_CHECK_EMPTY,   /* no bytes yet: LMDB will start it */
  HLI_CHECK_DAMAGED, /* `why` says where */
  HLI_CHECK_TROUBLE  /* could not be read, or out of memory */
} hli_check;

#define HLI_CHECK_WHY 160
hli_check hli_check_file(int fd, char why[HLI_CHECK_WHY]);

#endif
