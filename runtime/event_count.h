/* event_count.h: sleeping until something may have changed.
 *
 *     waiter                                    notifier
 *     epoch = hlr_event_announce(e)             change what is waited for
 *     if (nothing has changed)                  hlr_event_notify(e, n)
 *       hlr_os_wait(&e->epoch, epoch)
 *     hlr_event_withdraw(e)
 *
 * Announcing, looking, changing and notifying are sequentially consistent: either the waiter sees the change, or the
 * notifier sees the waiter and moves the epoch, on which the waiter then does not sleep.
 * SPDX-License-Identifier: MIT */
#ifndef HLR_EVENT_COUNT_H
#define HLR_EVENT_COUNT_H

#include "runtime/os.h"

typedef struct hlr_event_count {
  _Atomic uint32_t epoch;
  _Atomic uint32_t waiters;
} hlr_event_count;

static inline uint32_t hlr_event_announce(hlr_event_count *e) {
  (void)atomic_fetch_add(&e->waiters, 1);
  return atomic_load(&e->epoch);
}

static inline void hlr_event_withdraw(hlr_event_count *e) {
  (void)atomic_fetch_sub(&e->waiters, 1);
}

static inline void hlr_event_notify(hlr_event_count *e, uint32_t count) {
  if (atomic_load(&e->waiters) == 0)
    return;
  (void)atomic_fetch_add(&e->epoch, 1);
  hlr_os_wake(&e->epoch, count);
}

#endif
