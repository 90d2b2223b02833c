/* lock.c: a mutex that a forked child can go on using.  SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "src/base/base.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

bool hli_lock_init(hli_lock *lock, const hl_allocator *alloc) {
  pthread_mutex_t *mutex = hli_calloc(alloc, 1, sizeof *mutex);
  if (!mutex || pthread_mutex_init(mutex, NULL) != 0) {
    hli_release(alloc, mutex, sizeof *mutex);
    return false;
  }
  lock->mutex = mutex;
  atomic_store(&lock->pid, (int32_t)getpid());
  return true;
}

void hli_lock_free(hli_lock *lock, const hl_allocator *alloc) {
  if (!lock->mutex)
    return;
  if (atomic_load(&lock->pid) == (int32_t)getpid()) /* else somebody may hold it who is not there */
    (void)pthread_mutex_destroy(lock->mutex);
  hli_release(alloc, lock->mutex, sizeof(pthread_mutex_t));
  lock->mutex = NULL;
}

/* -pid while a thread of a new process makes the mutex. */
static void own_process(hli_lock *lock) {
  const int32_t self = (int32_t)getpid();
  int32_t seen = atomic_load(&lock->pid);
  while (seen != self) {
    if (seen == -self) {
      (void)sched_yield();
      seen = atomic_load(&lock->pid);
    } else if (atomic_compare_exchange_strong(&lock->pid, &seen, -self)) {
      (void)pthread_mutex_init(lock->mutex, NULL);
      atomic_store(&lock->pid, self);
      return;
    }
  }
}

void hli_lock_take(hli_lock *lock) {
  own_process(lock);
  (void)pthread_mutex_lock(lock->mutex);
}

void hli_lock_give(hli_lock *lock) {
  (void)pthread_mutex_unlock(lock->mutex);
}
