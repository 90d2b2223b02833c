/* infer.h: shared by infer.c and infer_access.c. */
#ifndef HLI_INFER_H
#define HLI_INFER_H

#include "src/ir/ir.h"
#include <stdio.h>

typedef struct infer {
  hl_kernel *k;
  const hli_op_desc *d;
  hl_diag *diag;
  hli_type given; /* the caller's result type, 0 if none */
  hli_type out[HLI_MAX_OPERANDS];
} infer;

#define HLI_TYPE_WORDS 160
const char *hli_type_words(hl_kernel *k, hli_type t, char buf[HLI_TYPE_WORDS]);
hl_status hli_infer_access(infer *f);
hl_status hli_infer_gather(infer *f);

#endif
