/* pool.h: the threads of the CPU driver and the queues that they serve.
 *
 * A queue is a stream: tasks run in order, one at a time; a launch task is split among
 * threads.  Whoever is there does the work: an idle worker, or the thread that waits
 * for the queue.  So launch-and-wait needs no switch between threads, and a launch
 * without a wait proceeds in the background.
 * SPDX-License-Identifier: MIT */
#ifndef HLR_POOL_H
#define HLR_POOL_H

#include "runtime/internal.h"
#include "runtime/os.h"

typedef struct hlr_pool hlr_pool;
typedef struct hlr_queue hlr_queue;

typedef enum hlr_task_kind {
  HLR_TASK_LAUNCH,
  HLR_TASK_FILL,
  HLR_TASK_COPY,
  HLR_TASK_STAMP,
  HLR_TASK_AWAIT
} hlr_task_kind;

typedef struct hlr_task {
  hlr_task_kind kind;
  uint32_t grain, block_size; /* LAUNCH */
  hlr_cpu_entry entry;        /* LAUNCH */
  uint64_t programs, scratch; /* LAUNCH */
  const void *block;          /* LAUNCH: copied by push */
  _Atomic uint32_t *cost;     /* LAUNCH: what a program of this kernel takes, kept with the kernel; starts at 0 */
  union {
    struct {
      void *dst;
      const void *src;
      size_t bytes;
    };                        /* COPY */
    hl_driver_fill fill;      /* FILL */
  };
  _Atomic uint64_t *stamp;    /* STAMP: gets the time in ns when the task's turn comes */
  hlr_queue *queue;           /* AWAIT: another queue ... */
  uint64_t ticket;            /* ... and what must have passed there */
} hlr_task;

hl_status hlr_pool_create(hl_context *ctx, hl_diag *diag, hlr_pool **out);
void hlr_pool_destroy(hlr_pool *pool); /* after finishing what is queued */
int32_t hlr_pool_threads(const hlr_pool *pool);
/* Grows idle threads' scratch now, so that launches find it; HL_ERR_MEMORY if it cannot. */
hl_status hlr_pool_reserve(hlr_pool *pool, uint64_t bytes, hl_diag *diag);

hlr_queue *hlr_pool_default_queue(hlr_pool *pool);
hl_status hlr_queue_create(hlr_pool *pool, hl_diag *diag, hlr_queue **out);
void hlr_queue_destroy(hlr_queue *queue);

/* Runs a launch in the calling thread if nothing is before it in the queue and it is known to be so short that handing
 * it over would take as long; false: it was not run.  The task's block is used in place. */
bool hlr_queue_run_now(hlr_queue *queue, const hlr_task *task);
/* Appends a task and returns its ticket.  Waits only while the queue is full. */
uint64_t hlr_queue_push(hlr_queue *queue, const hlr_task *task);
bool hlr_queue_passed(const hlr_queue *queue, uint64_t ticket);
/* Returns when the task with this ticket is done; helps meanwhile. */
void hlr_queue_wait(hlr_queue *queue, uint64_t ticket);
void hlr_queue_finish(hlr_queue *queue); /* everything that was pushed so far */
void hlr_pool_finish(hlr_pool *pool);
/* True once after launches were skipped because scratch could not be had. */
bool hlr_queue_take_failure(hlr_queue *queue);

#endif
