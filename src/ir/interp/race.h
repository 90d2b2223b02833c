/* race.h: the bytes of a block's shared memory and who may touch them. */
#ifndef HLI_INTERP_RACE_H
#define HLI_INTERP_RACE_H

#include "src/ir/interp/machine.h"

/* One thread's access to one element of a shared buffer. */
typedef struct hli_touched {
  hli_op op;
  uint32_t memory; /* index into machine.memory */
  int64_t slot;
  const int64_t *coord; /* in the buffer */
  int32_t thread;
} hli_touched;

hl_status hli_shared_read(hli_machine *m, const hli_touched *t, hli_scalar *out);
hl_status hli_shared_write(hli_machine *m, const hli_touched *t, hli_scalar value);
/* Starts an asynchronous write. */
hl_status hli_shared_launch(hli_machine *m, const hli_touched *t, hli_scalar value);
/* All groups but the `pending` newest ones land. */
void hli_shared_wait(hli_machine *m, int64_t pending);
/* A program begins: nothing is known, nothing is in flight. */
void hli_shared_begin(hli_machine *m);

#endif
