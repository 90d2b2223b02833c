/* order.h: which threads touched a place since the last barrier, and whether another one may. */
#ifndef HLI_INTERP_ORDER_H
#define HLI_INTERP_ORDER_H

#include "src/ir/interp/access.h"

/* A conflict: the other thread (-1 = none), what it did. */
typedef struct hli_conflict {
  int32_t thread;
  hli_op op;
  const char *did;
} hli_conflict;

/* May the thread read (write) there now?  `differs`: it writes something else than what is there. */
hli_conflict hli_order_read(const hli_machine *m, const hli_order *o, int32_t thread);
hli_conflict hli_order_write(const hli_machine *m, const hli_order *o, int32_t thread, bool differs);
/* It has. */
void hli_order_note_read(const hli_machine *m, hli_order *o, int32_t thread, hli_op op);
void hli_order_note_write(const hli_machine *m, hli_order *o, int32_t thread, hli_op op);

/* "race: thread 3 <does> <where>, which thread 4 <did>: <the other op>" */
hl_status hli_order_fault(hli_machine *m, hli_op op, int32_t thread, const char *does, const char *where,
                          const hli_conflict *c);

/* LANE: the threads' accesses to a tensor that the kernel both reads and writes, before they are done: for a whole
 * load or store, and for one element that a thread copies. */
hl_status hli_order_access(hli_machine *m, hli_op op, const hli_reach *t);
hl_status hli_order_copy(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *index, int32_t thread);

#endif
