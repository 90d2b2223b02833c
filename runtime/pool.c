/* pool.c: a persistent thread pool with in-order queues.
 *
 * How it works.  A queue has a ring of tasks with many producers, and a token: the
 * thread that takes the token runs the tasks at the head until there is none.  For a
 * launch it opens the queue's gate; other threads join through it, claim runs of
 * `grain` programs from one counter, and leave; the holder closes the gate and goes on
 * when the last one has left.  Nothing here takes a lock.
 *
 * A launch that is known to be short, on a queue in which nothing is left to do, is run by the launching thread
 * (hlr_queue_run_now): it takes the token and the next ticket, runs the launch from where its block lies, and passes
 * the ticket.  To everybody else that is a task like others.
 *
 * Invariants, by which no task is left behind and no waiter sleeps on:
 *  1. Every piece of work has a ticket: `tail` counts those given out, `head` those done, and whoever waits waits for
 *     `head` to pass a ticket.
 *  2. Only the token's holder moves `head`, by one when the task of that ticket is done (advance), and then wakes those
 *     who sleep on `done`.
 *  3. A ticket is taken by adding 1 to `tail`.  Either its task is then published in the ring (`ready`), behind which
 *     the publisher announces the queue; or the taker holds the token and `tail` was equal to `head`: then nobody else
 *     can be at work, nothing is before it, and it is done before the token goes back.
 *  4. The token goes back in one place (give_token), and whoever gives it back looks at the queue again: if the task at
 *     the head is ready, some thread is told.  A publisher that saw the token taken may therefore tell nobody.
 *  5. Telling (queue_announce) means: a worker that looks around will look at this queue before it sleeps, or a
 *     sleeping one is woken, or, where there are no workers, the telling thread does the work itself.
 *  6. "Change, then look for sleepers" and "announce oneself, then look for the change" are sequentially consistent
 *     throughout (event_count.h), so one of the two sees the other; the same for `ready` and the token in 4.
 *
 * Sleeping.  A thread that finds nothing spins for SPIN_NS and then sleeps on an event count.
 *
 * Queues live in a fixed array until the pool goes: workers may look at any of them at
 * any time, and tickets keep counting when a queue is used again.
 *
 * After fork() the child has none of the threads.  The first call that it makes notices (own_process) and starts
 * anew: what was queued is dropped, since the parent does it, and new workers are started.
 * SPDX-License-Identifier: MIT */
#include "runtime/pool.h"
#include "runtime/event_count.h"
#include "runtime/fpmode.h"
#include "runtime/scratch.h"

#define SPIN_NS     80000u
#define SPIN_CHECK  64u /* pauses between two looks at the clock */
#define COURTESY    8u /* pauses before an idle worker takes up a new task, and for a token that is about to come back */
#define MAX_THREADS 256
#define MAX_QUEUES  64u
#define RING        128u /* tasks in flight in a queue; a power of two */
#define LINE        64
#define GATE_OPEN   0x80000000u /* + limit * GATE_LIMIT + threads inside */
#define GATE_LIMIT  0x10000u
#define GATE_INSIDE 0xffffu

/* ---- types -------------------------------------------------------------------- */

typedef struct ring_entry {
  _Atomic uint64_t ready; /* ticket + 1 once the task is written */
  hlr_task task;
  _Alignas(LINE) unsigned char block[HLR_MAX_BLOCK];
} ring_entry;

/* One launch while it runs: written by the token's holder while the gate is shut. */
typedef struct pool_job {
  hlr_cpu_entry entry;
  const void *block;
  int64_t programs, grain;
  int64_t least;   /* programs in a claim: fewer would cost more to hand out than to run */
  int64_t threads; /* that may take part */
  uint64_t scratch;
} pool_job;

struct hlr_queue {
  hlr_pool *pool;
  _Atomic(ring_entry *) ring; /* made at first use, kept until the pool goes */
  _Atomic bool used;
  _Atomic bool failed;
  pool_job job;
  _Alignas(LINE) _Atomic uint64_t tail; /* tickets given out */
  _Alignas(LINE) _Atomic uint64_t head; /* tickets done */
  _Atomic bool token;
  hlr_event_count done;                 /* head moved, or the last helper left */
  _Alignas(LINE) _Atomic uint32_t gate; /* see GATE_OPEN; 0: nothing runs */
  _Alignas(LINE) _Atomic int64_t next;  /* first program that nobody has claimed */
};

typedef struct pool_worker {
  hlr_pool *pool;
  uint32_t index;
  hlr_os_thread thread;
} pool_worker;

struct hlr_pool {
  hl_context *ctx;
  int32_t threads; /* that may run one launch together, the waiting thread included */
  uint32_t worker_count;
  pool_worker *workers;
  _Atomic bool stop;
  _Atomic uint32_t *mark;      /* 1, or 0 in a forked child until it has started anew; 2 meanwhile */
  _Atomic uint32_t queue_high; /* queues[0 .. queue_high) were used at some time */
  _Alignas(LINE) _Atomic uint32_t spinners;
  hlr_event_count idle;
  hlr_queue queues[MAX_QUEUES];
  hlr_scratch scratch;
};

/* ---- running a launch ----------------------------------------------------------------
 * How a launch is split changes its speed only: programs do not depend on each other.
 * Claims begin large and shrink towards the end, in multiples of the grain.  What a
 * program costs is remembered with the kernel, so that small launches are not spread
 * over more threads than pay. */

#define CLAIM_NS  1500u  /* of work in the smallest claim */
#define HELPER_NS 3000u  /* of work for each further thread that is at hand */
#define WAKE_NS   10000u /* of work for waking sleepers */
#define COST_UNIT 16u    /* costs are kept in 1/16 ns a program */
#define NOW_NS    2000u  /* of work that the launching thread does at once: handing it over takes as long */

static int64_t round_up(int64_t value, int64_t step) {
  return value <= step ? step : (value + step - 1) / step * step;
}

static int64_t claim_size(const hlr_queue *q) {
  const pool_job *job = &q->job;
  if (job->threads == 1)
    return job->programs;
  int64_t left = job->programs - atomic_load_explicit(&q->next, memory_order_relaxed);
  int64_t share = left / job->threads;
  return round_up(HLI_MAX(share / 4, HLI_MIN(job->least, share)), job->grain);
}

static void learn_cost(_Atomic uint32_t *cost, uint64_t ns, int64_t programs) {
  uint64_t seen = HLI_MIN(HLI_MAX(ns * COST_UNIT / (uint64_t)programs, 1u), (uint64_t)UINT32_MAX);
  uint64_t old = atomic_load_explicit(cost, memory_order_relaxed);
  if (old)
    seen = HLI_MIN(seen, 4 * old); /* a thread that was interrupted says little */
  uint64_t next = old ? (3 * old + seen + 2) / 4 : seen;
  atomic_store_explicit(cost, (uint32_t)next, memory_order_relaxed);
}

/* What a whole launch is expected to take; UINT64_MAX: nobody knows. */
static uint64_t expected_ns(_Atomic uint32_t *cost, uint64_t programs) {
  const uint64_t unit = atomic_load_explicit(cost, memory_order_relaxed);
  uint64_t total;
  return unit && !__builtin_mul_overflow(unit, programs, &total) ? total / COST_UNIT : UINT64_MAX;
}

/* `self`: the worker's index, or any number for a thread that is none of ours.  The first
 * claim is timed into `cost` unless that is NULL; later ones would add the struggle for
 * claims.  False: scratch could not be had, and nothing was claimed. */
static bool run_claimed(hlr_queue *q, uint32_t self, _Atomic uint32_t *cost) {
  const pool_job *job = &q->job;
  hlr_scratch_slot *slot = NULL;
  if (job->scratch) {
    slot = hlr_scratch_take(&q->pool->scratch, self, job->scratch);
    if (!slot)
      return false;
  }
  void *scratch = slot ? slot->ptr : NULL;
  uint64_t mode = hlr_fp_enter();
  for (;;) {
    int64_t size = claim_size(q);
    int64_t begin = atomic_fetch_add_explicit(&q->next, size, memory_order_relaxed);
    if (begin >= job->programs)
      break;
    int64_t end = HLI_MIN(begin + size, job->programs);
    uint64_t start = cost ? hlr_os_now_ns() : 0;
    job->entry(job->block, begin, end, scratch);
    if (cost)
      learn_cost(cost, hlr_os_now_ns() - start, end - begin);
    cost = NULL;
    if (end == job->programs)
      break;
  }
  hlr_fp_leave(mode);
  hlr_scratch_give(slot);
  return true;
}

static void leave_gate(hlr_queue *q) {
  if (atomic_fetch_sub(&q->gate, 1) == 1)
    hlr_event_notify(&q->done, UINT32_MAX);
}

static bool gate_admits(uint32_t gate) {
  return (gate & GATE_OPEN) && (gate & GATE_INSIDE) < (gate & ~GATE_OPEN) / GATE_LIMIT;
}

/* Joins the launch that the queue's holder runs now, if there is room. */
static bool join_job(hlr_queue *q, uint32_t self) {
  uint32_t gate = atomic_load_explicit(&q->gate, memory_order_relaxed);
  while (gate_admits(gate)) {
    if (!atomic_compare_exchange_weak(&q->gate, &gate, gate + 1))
      continue;
    bool ran = run_claimed(q, self, NULL);
    /* Everything is claimed: shut the gate, or idle threads would come and go here. */
    if (ran)
      (void)atomic_fetch_and(&q->gate, GATE_INSIDE);
    leave_gate(q);
    return ran;
  }
  return false;
}

static void await_helpers(hlr_queue *q) {
  uint64_t deadline = 0;
  for (uint32_t spins = 0; atomic_load(&q->gate) != 0; spins++) {
    hlr_os_pause();
    if (spins % SPIN_CHECK != SPIN_CHECK - 1)
      continue;
    uint64_t now = hlr_os_now_ns();
    if (!deadline)
      deadline = now + SPIN_NS;
    if (now < deadline)
      continue;
    uint32_t epoch = hlr_event_announce(&q->done);
    if (atomic_load(&q->gate) != 0)
      hlr_os_wait(&q->done.epoch, epoch);
    hlr_event_withdraw(&q->done);
  }
}

typedef struct hook_call {
  hlr_queue *queue;
  _Atomic bool failed;
} hook_call;

static void hook_job(void *user, int64_t begin, int64_t end) {
  hook_call *call = user;
  const pool_job *job = &call->queue->job;
  hlr_scratch_slot *slot = NULL;
  if (job->scratch) {
    slot = hlr_scratch_take(&call->queue->pool->scratch, 0, job->scratch);
    if (!slot) {
      atomic_store(&call->failed, true);
      return;
    }
  }
  uint64_t mode = hlr_fp_enter();
  job->entry(job->block, begin, end, slot ? slot->ptr : NULL);
  hlr_fp_leave(mode);
  hlr_scratch_give(slot);
}

static bool run_by_host(hlr_queue *q) {
  const hl_context *ctx = q->pool->ctx;
  hook_call call = {.queue = q};
  ctx->parallel_for(ctx->parallel_user, q->job.programs, q->job.grain, hook_job, &call);
  return !atomic_load(&call.failed);
}

/* Opens the launch to other threads, takes part, and returns when all have left. */
static bool run_shared(hlr_queue *q, uint32_t self, uint64_t expected, _Atomic uint32_t *cost) {
  hlr_pool *pool = q->pool;
  uint32_t threads = (uint32_t)q->job.threads;
  atomic_store(&q->gate, GATE_OPEN | threads * GATE_LIMIT | 1u);
  uint32_t spinning = atomic_load(&pool->spinners);
  if (threads - 1 > spinning && expected >= WAKE_NS)
    hlr_event_notify(&pool->idle, threads - 1 - spinning);
  bool ran = run_claimed(q, self, cost);
  (void)atomic_fetch_and(&q->gate, GATE_INSIDE);
  (void)atomic_fetch_sub(&q->gate, 1);
  await_helpers(q);
  /* Without scratch of its own the holder claims nothing, but helpers may have done it all. */
  return ran || atomic_load_explicit(&q->next, memory_order_relaxed) >= q->job.programs;
}

static bool run_by_pool(hlr_queue *q, _Atomic uint32_t *cost, uint32_t self) {
  pool_job *job = &q->job;
  job->threads = 1;
  if (q->pool->threads == 1)
    return run_claimed(q, self, cost);
  const uint64_t unit = atomic_load_explicit(cost, memory_order_relaxed);
  const uint64_t expected = expected_ns(cost, (uint64_t)job->programs);
  job->least = unit ? (int64_t)(CLAIM_NS * COST_UNIT / unit) : 1;
  int64_t chunks = (job->programs - 1) / job->grain + 1;
  int64_t paying = (int64_t)HLI_MIN(expected / HELPER_NS + 1, (uint64_t)q->pool->threads);
  job->threads = HLI_MIN(paying, chunks);
  return job->threads > 1 ? run_shared(q, self, expected, cost) : run_claimed(q, self, cost);
}

static void run_launch(hlr_queue *q, const hlr_task *task, const void *block, uint32_t self) {
  q->job = (pool_job){
      .entry = task->entry,
      .block = block,
      .programs = (int64_t)task->programs,
      .grain = HLI_MAX(task->grain, 1u),
      .scratch = task->scratch,
  };
  atomic_store_explicit(&q->next, 0, memory_order_relaxed);
  bool ran = q->pool->ctx->parallel_for ? run_by_host(q) : run_by_pool(q, task->cost, self);
  if (!ran)
    atomic_store(&q->failed, true);
}

/* ---- fork --------------------------------------------------------------------------------- */

static void *worker_main(void *arg);

/* One less than the launch may use, since the waiting thread is the last one; but one
 * at least, or nothing would run in the background.  A host's job system has its own. */
static void start_workers(hlr_pool *pool) {
  uint32_t wanted = pool->ctx->parallel_for ? 0 : (uint32_t)HLI_MAX(pool->threads - 1, 1);
  while (pool->worker_count < wanted) {
    pool_worker *worker = &pool->workers[pool->worker_count];
    *worker = (pool_worker){.pool = pool, .index = pool->worker_count};
    if (!hlr_os_thread_start(&worker->thread, worker_main, worker))
      break;
    pool->worker_count++;
  }
}

static void start_anew(hlr_pool *pool, bool workers) {
  for (uint32_t i = 0; i < MAX_QUEUES; i++) {
    hlr_queue *q = &pool->queues[i];
    atomic_store(&q->head, atomic_load(&q->tail));
    atomic_store(&q->token, false);
    atomic_store(&q->gate, 0);
    atomic_store(&q->done.waiters, 0);
  }
  atomic_store(&pool->idle.waiters, 0);
  atomic_store(&pool->spinners, 0);
  hlr_scratch_untake(&pool->scratch);
  pool->worker_count = 0;
  if (workers)
    start_workers(pool);
}

/* In a forked child, once: forgets the threads and tasks of the parent. */
static void own_process(hlr_pool *pool, bool workers) {
  _Atomic uint32_t *mark = pool->mark;
  if (!mark || atomic_load_explicit(mark, memory_order_acquire) == 1)
    return;
  uint32_t seen = 0;
  if (atomic_compare_exchange_strong(mark, &seen, 2)) {
    start_anew(pool, workers);
    atomic_store_explicit(mark, 1, memory_order_release);
  }
  while (atomic_load_explicit(mark, memory_order_acquire) != 1)
    hlr_os_pause();
}

/* ---- queues ------------------------------------------------------------------------------ */

static bool queue_ready(const hlr_queue *q) {
  ring_entry *ring = atomic_load(&q->ring);
  if (!ring)
    return false;
  uint64_t head = atomic_load(&q->head);
  return atomic_load(&ring[head % RING].ready) == head + 1;
}

static bool queue_take_token(hlr_queue *q) {
  return !atomic_load_explicit(&q->token, memory_order_relaxed) && !atomic_exchange(&q->token, true);
}

static void run_task(hlr_queue *q, const ring_entry *entry, uint32_t self) {
  const hlr_task *task = &entry->task;
  switch (task->kind) {
  case HLR_TASK_LAUNCH:
    run_launch(q, task, entry->block, self);
    break;
  case HLR_TASK_FILL:
    hlr_host_fill(&task->fill);
    break;
  case HLR_TASK_COPY:
    memcpy(task->dst, task->src, task->bytes);
    break;
  case HLR_TASK_STAMP:
    atomic_store(task->stamp, hlr_os_now_ns());
    break;
  case HLR_TASK_AWAIT:
    /* It was pushed before this task, so no two queues can wait for each other. */
    hlr_queue_wait(task->queue, task->ticket);
    break;
  }
}

/* Waits a moment for the token to be taken, or to come back. */
static void courtesy(const hlr_queue *q, bool taken) {
  for (uint32_t i = 0; i < COURTESY && atomic_load_explicit(&q->token, memory_order_relaxed) != taken; i++)
    hlr_os_pause();
}

/* The token's holder has done the task at the head. */
static void advance(hlr_queue *q, uint64_t done) {
  atomic_store(&q->head, done + 1);
  hlr_event_notify(&q->done, UINT32_MAX);
}

/* The token's holder runs tasks until there is none or `until` is reached; false: there was none. */
static bool run_ready(hlr_queue *q, uint64_t until, uint32_t self) {
  const uint64_t first = atomic_load(&q->head);
  uint64_t head = first;
  ring_entry *ring = atomic_load(&q->ring);
  for (; head < until && atomic_load(&ring[head % RING].ready) == head + 1; head++) {
    run_task(q, &ring[head % RING], self);
    advance(q, head);
  }
  return head != first;
}

/* Some worker will look at the queue: one that spins does so before it sleeps, and whoever holds the token when it
 * gives it back. */
static void tell_worker(hlr_queue *q) {
  hlr_pool *pool = q->pool;
  if (!atomic_load(&q->token) && atomic_load(&pool->spinners) == 0)
    hlr_event_notify(&pool->idle, 1);
}

/* The only way out of holding the token.  What came up meanwhile was perhaps announced to nobody because of us: it is
 * run if it is before `until`, else others are told, those who sleep because they did not get the token among them. */
static void give_token(hlr_queue *q, uint64_t until, uint32_t self) {
  for (;;) {
    atomic_store(&q->token, false);
    if (!queue_ready(q))
      return;
    if (q->pool->worker_count > 0 && atomic_load(&q->head) >= until) {
      tell_worker(q);
      hlr_event_notify(&q->done, UINT32_MAX);
      return;
    }
    if (!queue_take_token(q))
      return; /* whoever has it gives it back here */
    (void)run_ready(q, q->pool->worker_count > 0 ? until : UINT64_MAX, self);
  }
}

/* Runs what is ready before `until`; false: there was nothing, or another thread is at it. */
static bool queue_drain(hlr_queue *q, uint64_t until, uint32_t self) {
  if (!queue_ready(q) || atomic_load(&q->head) >= until || !queue_take_token(q))
    return false;
  const bool worked = run_ready(q, until, self);
  give_token(q, until, self);
  return worked;
}

/* The queue has a task more: some thread must look at it. */
static void queue_announce(hlr_queue *q) {
  if (q->pool->worker_count > 0)
    tell_worker(q);
  else
    (void)queue_drain(q, UINT64_MAX, 0);
}

bool hlr_queue_run_now(hlr_queue *q, const hlr_task *task) {
  if (q->pool->ctx->parallel_for || expected_ns(task->cost, task->programs) > NOW_NS)
    return false;
  own_process(q->pool, true);
  if (atomic_load(&q->head) != atomic_load(&q->tail))
    return false;
  courtesy(q, false); /* who has just done the last task is about to give the token back */
  if (!queue_take_token(q))
    return false;
  const uint32_t self = q->pool->worker_count;
  const uint64_t ticket = atomic_load(&q->head); /* stands while we have the token */
  uint64_t tail = ticket;
  const bool ours = atomic_compare_exchange_strong(&q->tail, &tail, ticket + 1);
  if (ours) {
    run_launch(q, task, task->block, self);
    advance(q, ticket);
  }
  give_token(q, 0, self);
  return ours;
}

uint64_t hlr_queue_push(hlr_queue *q, const hlr_task *task) {
  own_process(q->pool, true);
  uint64_t ticket = atomic_load(&q->tail);
  for (;;) {
    /* Signed: the head may have overtaken a ticket that was read a moment ago. */
    if ((int64_t)(ticket - atomic_load(&q->head)) >= (int64_t)RING) {
      hlr_queue_wait(q, ticket - RING);
      ticket = atomic_load(&q->tail);
    } else if (atomic_compare_exchange_weak(&q->tail, &ticket, ticket + 1)) {
      break;
    }
  }
  ring_entry *entry = &atomic_load_explicit(&q->ring, memory_order_relaxed)[ticket % RING];
  entry->task = *task;
  if (task->block_size)
    memcpy(entry->block, task->block, task->block_size);
  atomic_store(&entry->ready, ticket + 1);
  queue_announce(q);
  return ticket;
}

bool hlr_queue_passed(const hlr_queue *q, uint64_t ticket) {
  return atomic_load(&q->head) > ticket;
}

void hlr_queue_wait(hlr_queue *q, uint64_t ticket) {
  own_process(q->pool, true);
  uint32_t self = q->pool->worker_count; /* where helpers look for scratch first */
  uint64_t deadline = 0;
  for (uint32_t spins = 0; !hlr_queue_passed(q, ticket); spins++) {
    if (queue_drain(q, ticket + 1, self) || join_job(q, self)) {
      deadline = 0;
      continue;
    }
    hlr_os_pause();
    if (spins % SPIN_CHECK != SPIN_CHECK - 1)
      continue;
    uint64_t now = hlr_os_now_ns();
    if (!deadline)
      deadline = now + SPIN_NS;
    if (now < deadline)
      continue;
    uint32_t epoch = hlr_event_announce(&q->done);
    if (!hlr_queue_passed(q, ticket))
      hlr_os_wait(&q->done.epoch, epoch);
    hlr_event_withdraw(&q->done);
  }
}

void hlr_queue_finish(hlr_queue *q) {
  own_process(q->pool, true);
  uint64_t tail = atomic_load(&q->tail);
  if (tail)
    hlr_queue_wait(q, tail - 1);
}

void hlr_pool_finish(hlr_pool *pool) {
  uint32_t count = atomic_load(&pool->queue_high);
  for (uint32_t i = 0; i < count; i++)
    hlr_queue_finish(&pool->queues[i]);
}

bool hlr_queue_take_failure(hlr_queue *q) {
  return atomic_load(&q->failed) && atomic_exchange(&q->failed, false);
}

hlr_queue *hlr_pool_default_queue(hlr_pool *pool) {
  return &pool->queues[0];
}

hl_status hlr_queue_create(hlr_pool *pool, hl_diag *diag, hlr_queue **out) {
  own_process(pool, true);
  uint32_t i = 0;
  while (i < MAX_QUEUES && atomic_exchange(&pool->queues[i].used, true))
    i++;
  if (i == MAX_QUEUES)
    return hli_fail(diag, HL_ERR_LIMIT, "a CPU device has at most %u streams, one of them the default: destroy some",
                    MAX_QUEUES);
  hlr_queue *q = &pool->queues[i];
  if (!atomic_load(&q->ring)) {
    ring_entry *ring = hli_alloc(&pool->ctx->alloc, sizeof(ring_entry) * RING, LINE);
    if (!ring) {
      atomic_store(&q->used, false);
      return hli_fail_memory(diag, "creating a CPU stream");
    }
    for (uint32_t k = 0; k < RING; k++)
      atomic_init(&ring[k].ready, 0);
    atomic_store(&q->ring, ring);
  }
  atomic_store(&q->failed, false);
  uint32_t high = atomic_load(&pool->queue_high);
  while (high < i + 1 && !atomic_compare_exchange_weak(&pool->queue_high, &high, i + 1)) {
  }
  *out = q;
  return HL_OK;
}

void hlr_queue_destroy(hlr_queue *q) {
  hlr_queue_finish(q);
  atomic_store(&q->used, false);
}

/* ---- workers ------------------------------------------------------------------------------- */

static hlr_queue *find_work(hlr_pool *pool) {
  uint32_t count = atomic_load(&pool->queue_high);
  for (uint32_t i = 0; i < count; i++) {
    hlr_queue *q = &pool->queues[i];
    if (gate_admits(atomic_load(&q->gate)))
      return q;
    if (!atomic_load(&q->token) && queue_ready(q))
      return q;
  }
  return NULL;
}

/* Spins, then sleeps, until some queue has work; NULL when the pool stops. */
static hlr_queue *await_work(hlr_pool *pool) {
  hlr_queue *q = NULL;
  uint64_t deadline = 0;
  (void)atomic_fetch_add(&pool->spinners, 1);
  for (uint32_t spins = 0; !(q = find_work(pool)) && !atomic_load(&pool->stop); spins++) {
    hlr_os_pause();
    if (spins % SPIN_CHECK != SPIN_CHECK - 1)
      continue;
    uint64_t now = hlr_os_now_ns();
    if (!deadline)
      deadline = now + SPIN_NS;
    if (now < deadline)
      continue;
    uint32_t epoch = hlr_event_announce(&pool->idle);
    (void)atomic_fetch_sub(&pool->spinners, 1);
    if (!find_work(pool) && !atomic_load(&pool->stop))
      hlr_os_wait(&pool->idle.epoch, epoch);
    (void)atomic_fetch_add(&pool->spinners, 1);
    hlr_event_withdraw(&pool->idle);
    deadline = 0;
  }
  (void)atomic_fetch_sub(&pool->spinners, 1);
  return q;
}

static void *worker_main(void *arg) {
  pool_worker *worker = arg;
  hlr_pool *pool = worker->pool;
  for (hlr_queue *q; (q = await_work(pool));) {
    /* A producer that saw this thread spin woke nobody: pass a second queue's work on. */
    if (atomic_load(&pool->queue_high) > 1 && atomic_load(&pool->spinners) == 0)
      hlr_event_notify(&pool->idle, 1);
    if (join_job(q, worker->index))
      continue;
    /* The launching thread may be about to wait, and then runs a small task itself at once:
     * without this courtesy the two fight over it. */
    courtesy(q, true);
    (void)queue_drain(q, UINT64_MAX, worker->index);
  }
  return NULL;
}

/* ---- the pool ------------------------------------------------------------------------------- */

static void pool_free(hlr_pool *pool) {
  hl_context *ctx = pool->ctx;
  for (uint32_t i = 0; i < MAX_QUEUES; i++)
    hli_release(&ctx->alloc, atomic_load(&pool->queues[i].ring), sizeof(ring_entry) * RING);
  hlr_scratch_free(&pool->scratch);
  hlr_os_fork_mark_free(pool->mark);
  hli_release(&ctx->alloc, pool->workers, sizeof *pool->workers * (size_t)pool->threads);
  hli_release(&ctx->alloc, pool, sizeof *pool);
}

hl_status hlr_pool_create(hl_context *ctx, hl_diag *diag, hlr_pool **out) {
  int32_t threads = ctx->cpu_threads > 0 ? ctx->cpu_threads : hlr_os_cpu_count();
  hlr_pool *pool = hli_alloc(&ctx->alloc, sizeof *pool, LINE);
  if (!pool)
    return hli_fail_memory(diag, "creating the thread pool");
  memset(pool, 0, sizeof *pool);
  pool->ctx = ctx;
  pool->scratch.alloc = &ctx->alloc;
  pool->threads = HLI_MIN(threads, MAX_THREADS);
  pool->mark = hlr_os_fork_mark();
  for (uint32_t i = 0; i < MAX_QUEUES; i++)
    pool->queues[i].pool = pool;
  pool->workers = hli_calloc(&ctx->alloc, (size_t)pool->threads, sizeof *pool->workers);
  hlr_queue *first;
  hl_status status =
      pool->workers ? hlr_queue_create(pool, diag, &first) : hli_fail_memory(diag, "creating the thread pool");
  if (status) {
    pool_free(pool);
    return status;
  }
  start_workers(pool);
  *out = pool;
  return HL_OK;
}

void hlr_pool_destroy(hlr_pool *pool) {
  if (!pool)
    return;
  own_process(pool, false);
  hlr_pool_finish(pool);
  atomic_store(&pool->stop, true);
  (void)atomic_fetch_add(&pool->idle.epoch, 1);
  hlr_os_wake(&pool->idle.epoch, UINT32_MAX);
  for (uint32_t i = 0; i < pool->worker_count; i++)
    hlr_os_thread_join(pool->workers[i].thread);
  pool_free(pool);
}

hl_status hlr_pool_reserve(hlr_pool *pool, uint64_t bytes, hl_diag *diag) {
  own_process(pool, true);
  if (hlr_scratch_reserve(&pool->scratch, (uint32_t)pool->threads, bytes))
    return HL_OK;
  return hli_fail(diag, HL_ERR_MEMORY, "out of memory while reserving %llu bytes of scratch for each of %d threads",
                  (unsigned long long)bytes, (int)pool->threads);
}

int32_t hlr_pool_threads(const hlr_pool *pool) {
  return pool->threads;
}
