/* async.c: plans made in the background.
 *
 * A context has up to WORKERS threads for this.  They start when there is a task and end when there is none; a slot is
 * joined before it is used again and when the context goes, so no thread outlives what it uses.  Everything but a
 * task's own fields is guarded by the context's lock.
 *
 * After a fork the child has no such threads: a task that was not done then never is there, and says so. */
#include "runtime/internal.h"
#include "runtime/os.h"
#include "src/plan/plan.h"
#include <stdatomic.h>

#define WORKERS 4

struct hl_plan_task {
  hl_context *ctx;
  hli_order order;
  int32_t process;
  hl_plan_task *next; /* waiting */
  hl_plan *plan;
  hl_status status;
  hl_diag diag;
  _Atomic uint32_t done;
};

typedef enum worker_state { WORKER_NONE, WORKER_RUNS, WORKER_ENDED } worker_state;

typedef struct worker {
  hl_context *ctx;
  worker_state state;
  hlr_os_thread thread;
} worker;

typedef struct background {
  int32_t process;
  hl_plan_task *first, *last;
  worker workers[WORKERS];
} background;

/* ---- the threads -------------------------------------------------------------------------- */

/* The next task, or NULL, and then the worker has ended. */
static hl_plan_task *take(worker *w) {
  background *b = w->ctx->background;
  hli_context_lock(w->ctx);
  hl_plan_task *task = b->first;
  if (task) {
    b->first = task->next;
    if (!b->first)
      b->last = NULL;
  } else {
    w->state = WORKER_ENDED;
  }
  hli_context_unlock(w->ctx);
  return task;
}

static void *work(void *arg) {
  worker *w = arg;
  for (hl_plan_task *task; (task = take(w));) {
    task->status = hli_order_fill(&task->order, &task->diag, &task->plan);
    atomic_store(&task->done, 1);
    hlr_os_wake(&task->done, UINT32_MAX);
  }
  return NULL;
}

static void background_free(hl_context *ctx) {
  background *b = ctx->background;
  for (uint32_t i = 0; i < WORKERS && b->process == hlr_os_process(); i++) {
    hli_context_lock(ctx);
    const bool started = b->workers[i].state != WORKER_NONE;
    hli_context_unlock(ctx);
    if (started)
      hlr_os_thread_join(b->workers[i].thread);
  }
  hli_release(&ctx->alloc, b, sizeof *b);
  ctx->background = NULL;
}

/* Under the lock.  NULL: out of memory. */
static background *background_get(hl_context *ctx) {
  background *b = ctx->background;
  if (!b && (b = hli_calloc(&ctx->alloc, 1, sizeof *b))) {
    b->process = hlr_os_process();
    ctx->background = b;
    ctx->background_free = background_free;
  }
  if (b && b->process != hlr_os_process())
    *b = (background){.process = hlr_os_process()};
  return b;
}

/* Under the lock.  One more thread, if there may be one; false: there is none at all. */
static bool start_worker(hl_context *ctx, background *b) {
  bool any = false;
  for (uint32_t i = 0; i < WORKERS; i++) {
    worker *w = &b->workers[i];
    any |= w->state == WORKER_RUNS;
    if (w->state == WORKER_RUNS)
      continue;
    if (w->state == WORKER_ENDED)
      hlr_os_thread_join(w->thread);
    *w = (worker){.ctx = ctx, .state = WORKER_RUNS};
    if (hlr_os_thread_start(&w->thread, work, w))
      return true;
    w->state = WORKER_NONE;
    break;
  }
  return any;
}

/* ---- tasks ------------------------------------------------------------------------------------ */

static hl_status enqueue(hl_plan_task *task, hl_diag *diag) {
  hl_context *ctx = task->ctx;
  hl_status s = HL_OK;
  hli_context_lock(ctx);
  background *b = background_get(ctx);
  hl_plan_task *before = b ? b->last : NULL;
  if (!b)
    s = hli_fail_memory(diag, "making a plan in the background");
  else if (before)
    before->next = task;
  else
    b->first = task;
  if (b)
    b->last = task;
  if (b && !start_worker(ctx, b)) { /* nobody will come: as if it had not been put */
    b->last = before;
    if (before)
      before->next = NULL;
    else
      b->first = NULL;
    s = hli_fail(diag, HL_ERR_LIMIT, "no thread can be started to make a plan in the background");
  }
  hli_context_unlock(ctx);
  return s;
}

static void task_free(hl_plan_task *task) {
  hl_context *ctx = task->ctx;
  hl_device *dev = task->order.dev;
  hli_order_close(&task->order);
  hli_release(&ctx->alloc, task, sizeof *task);
  hl_device_close(dev);
}

hl_status hl_plan_create_async(hl_device *dev, const hl_kernel *k, const hl_plan_options *options, hl_diag *diag,
                               hl_plan_task **out) {
  hli_order order;
  if (out)
    *out = NULL;
  hl_status s = hli_order_open("hl_plan_create_async", dev, k, options, out, diag, &order);
  if (s != HL_OK)
    return s;
  hl_plan_task *task = hli_calloc(&dev->ctx->alloc, 1, sizeof *task);
  if (!task) {
    hli_order_close(&order);
    return hli_fail_memory(diag, "making a plan in the background");
  }
  task->ctx = dev->ctx, task->order = order, task->process = hlr_os_process();
  (void)hlr_device_retain(dev);
  s = enqueue(task, diag);
  if (s == HL_OK)
    *out = task;
  else
    task_free(task);
  return s;
}

bool hl_plan_task_done(const hl_plan_task *task) {
  return task && (atomic_load(&task->done) || task->process != hlr_os_process());
}

hl_status hl_plan_task_wait(hl_plan_task *task, hl_diag *diag, hl_plan **out) {
  if (out)
    *out = NULL;
  if (!task || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_plan_task_wait: %s is NULL", task ? "out" : "the task");
  while (!hl_plan_task_done(task))
    hlr_os_wait(&task->done, 0);
  if (!atomic_load(&task->done))
    return hli_fail(diag, HL_ERR_BUSY, "hl_plan_task_wait: the plan is being made in the process that forked this one");
  if (task->status != HL_OK && diag)
    *diag = task->diag;
  *out = task->plan;
  task->plan = NULL;
  return task->status;
}

void hl_plan_task_destroy(hl_plan_task *task) {
  if (!task)
    return;
  while (!hl_plan_task_done(task))
    hlr_os_wait(&task->done, 0);
  hl_plan_destroy(task->plan);
  task_free(task);
}
