/* dispatch.c: one kernel, many shapes: a bounded table from arguments to plans.
 *
 * The key is the digest of what plans are specialised for: sizes, strides, alignment.  It lies in one of PROBES slots
 * behind its place.  A reader that finds its key counts itself in, looks once more whether the slot is still live and
 * the key the same, and only then uses the plan; whoever replaces a plan marks the slot dead first and waits until
 * nobody is counted in.  Both orders are sequentially consistent, so one of the two sees the other.  Slots are never
 * freed before the dispatch is, so a late reader finds memory that is there.  Launching is enqueueing, so the wait is
 * short; hl_plan_destroy waits for what was enqueued.
 *
 * A wrong plan cannot run even if digests collide: plans check their arguments.
 *
 * With `background` a slot may be pending: its plan is being made, and launches go to the generic plan, whose sizes are
 * run-time values. */
#include "runtime/internal.h"
#include "runtime/os.h"
#include "src/plan/plan.h"
#include <stdatomic.h>

#define PROBES           8u
#define DEFAULT_CAPACITY 64u
#define MAX_CAPACITY     4096u

enum { SLOT_EMPTY, SLOT_DEAD, SLOT_PENDING, SLOT_FAILED, SLOT_LIVE };

typedef struct slot {
  _Atomic uint64_t lo, hi; /* the key */
  _Atomic uint32_t state;
  _Atomic uint32_t users; /* inside right now */
  _Atomic uint64_t used;  /* d->clock at the last use */
  hl_plan *plan;          /* LIVE */
  hl_plan_task *task;     /* PENDING; under the lock */
} slot;

struct hl_dispatch {
  hl_device *dev;
  hl_kernel *kernel;
  hl_config *config;
  bool background;
  uint32_t capacity; /* a power of two */
  slot *slots;
  hli_lock lock; /* guards changes of slots, and `generic` while it is made */
  _Atomic uint64_t clock;
  _Atomic(hl_plan *) generic;
  bool no_generic;
};

/* ---- keys ------------------------------------------------------------------------------------ */

/* Up to the 16 bytes that plans may rely on. */
static uint64_t alignment(const hl_tensor *t) {
  const uintptr_t p = (uintptr_t)t->data + (uintptr_t)t->byte_offset;
  return p % 16 ? (uint64_t)(p & -p) : 16;
}

/* False: the arguments are not even tensors; no plan fits, and making one says what is wrong. */
static bool key_of(const hl_kernel *k, const hl_arg *args, size_t n, hli_digest *out) {
  uint64_t words[HLR_MAX_PARAMS * (2 + 2 * HL_MAX_RANK)];
  size_t w = 0;
  if (n > HLR_MAX_PARAMS || (n && !args))
    return false;
  for (size_t i = 0; i < n; i++) {
    const hl_tensor *t = args[i].as.tensor;
    if (args[i].kind != HL_ARG_TENSOR) {
      words[w++] = (uint64_t)args[i].kind;
      if (i < k->params.len && k->params.data[i].is_constexpr) /* -0.0 is not 0.0: the bits */
        words[w++] = (uint64_t)args[i].as.i64;
      continue;
    }
    if (!t || t->ndim < 0 || t->ndim > HL_MAX_RANK || (t->ndim && !t->shape))
      return false;
    words[w++] = (uint64_t)t->dtype.code | (uint64_t)t->dtype.bits << 8 | (uint64_t)(uint32_t)t->ndim << 32;
    words[w++] = alignment(t);
    for (int32_t d = 0; d < t->ndim; d++) {
      words[w++] = (uint64_t)t->shape[d];
      words[w++] = (uint64_t)hlr_tensor_stride(t, d);
    }
  }
  *out = hli_digest_bytes(words, w * sizeof *words, (hli_digest){0, 0});
  return true;
}

/* ---- the table ---------------------------------------------------------------------------------- */

static slot *at(const hl_dispatch *d, hli_digest key, uint32_t probe) {
  return &d->slots[((uint32_t)key.lo + probe) & (d->capacity - 1)];
}

static bool same_key(const slot *s, hli_digest key) {
  return atomic_load(&s->lo) == key.lo && atomic_load(&s->hi) == key.hi;
}

static slot *find(const hl_dispatch *d, hli_digest key) {
  for (uint32_t i = 0; i < HLI_MIN(PROBES, d->capacity); i++) {
    slot *s = at(d, key, i);
    if (same_key(s, key) && atomic_load(&s->state) > SLOT_DEAD)
      return s;
  }
  return NULL;
}

/* The live slot of a key, counted in. */
static slot *enter(hl_dispatch *d, hli_digest key) {
  slot *s = find(d, key);
  if (!s || atomic_load(&s->state) != SLOT_LIVE)
    return NULL;
  (void)atomic_fetch_add(&s->users, 1);
  if (atomic_load(&s->state) == SLOT_LIVE && same_key(s, key)) {
    atomic_store_explicit(&s->used, atomic_load_explicit(&d->clock, memory_order_relaxed), memory_order_relaxed);
    return s;
  }
  (void)atomic_fetch_sub(&s->users, 1);
  return NULL;
}

static void leave(slot *s) {
  (void)atomic_fetch_sub(&s->users, 1);
}

/* Under the lock: makes a slot empty. */
static void vacate(slot *s) {
  atomic_store(&s->state, SLOT_DEAD);
  while (atomic_load(&s->users))
    hlr_os_pause();
  hl_plan_destroy(s->plan);
  hl_plan_task_destroy(s->task);
  s->plan = NULL, s->task = NULL;
  atomic_store(&s->state, SLOT_EMPTY);
}

/* Under the lock: the best place for a new key: empty, else the longest unused that nothing is being made for. */
static slot *make_place(hl_dispatch *d, hli_digest key) {
  slot *best = NULL;
  for (uint32_t i = 0; i < HLI_MIN(PROBES, d->capacity); i++) {
    slot *s = at(d, key, i);
    const uint32_t state = atomic_load(&s->state);
    if (state == SLOT_EMPTY)
      return s;
    if (state == SLOT_PENDING && !hl_plan_task_done(s->task))
      continue;
    if (!best || atomic_load(&s->used) < atomic_load(&best->used))
      best = s;
  }
  if (best)
    vacate(best);
  return best;
}

/* Under the lock. */
static void publish(hl_dispatch *d, slot *s, hli_digest key, uint32_t state) {
  atomic_store(&s->lo, key.lo);
  atomic_store(&s->hi, key.hi);
  atomic_store(&s->used, atomic_fetch_add(&d->clock, 1) + 1);
  atomic_store(&s->state, state);
}

/* Gives the table a plan.  If another thread was faster, or nothing can make way, *plan stays the caller's. */
static void keep(hl_dispatch *d, hli_digest key, hl_plan **plan) {
  hli_lock_take(&d->lock);
  slot *s = find(d, key);
  if (s && atomic_load(&s->state) != SLOT_LIVE)
    vacate(s);
  if (!s || atomic_load(&s->state) == SLOT_EMPTY) {
    s = make_place(d, key);
    if (s) {
      s->plan = *plan;
      *plan = NULL;
      publish(d, s, key, SLOT_LIVE);
    }
  }
  hli_lock_give(&d->lock);
}

/* ---- making plans ------------------------------------------------------------------------------------ */

static hl_plan_options options_of(const hl_dispatch *d, const hl_arg *args, size_t n) {
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  o.config = d->config, o.args = args, o.arg_count = n;
  return o;
}

static hl_status launch_new(hl_dispatch *d, const hli_digest *key, hl_stream *stream, const hl_arg *args, size_t n,
                            const hl_launch_options *options, hl_diag *diag) {
  hl_plan *plan;
  const hl_plan_options o = options_of(d, args, n);
  hl_status s = hl_plan_create(d->dev, d->kernel, &o, diag, &plan);
  if (s == HL_OK && key) {
    keep(d, *key, &plan);
    if (!plan) {
      slot *at_key = enter(d, *key);
      if (!at_key) /* replaced already: the table is very small for this many shapes */
        return launch_new(d, NULL, stream, args, n, options, diag);
      s = hl_launch(at_key->plan, stream, args, n, options, diag);
      leave(at_key);
      return s;
    }
  }
  if (s == HL_OK)
    s = hl_launch(plan, stream, args, n, options, diag);
  hl_plan_destroy(plan);
  return s;
}

/* The plan for all sizes, made once, with the strides of the arguments that come first.  NULL: there can be none. */
static hl_plan *generic_plan(hl_dispatch *d, const hl_arg *args, size_t n) {
  hl_plan *plan = atomic_load(&d->generic);
  hl_diag why;
  if (plan)
    return plan;
  hli_lock_take(&d->lock);
  plan = atomic_load(&d->generic);
  hl_kernel *k = plan || d->no_generic ? NULL : hli_kernel_clone(d->kernel);
  if (k) {
    for (uint32_t i = 1; i < k->dims.len; i++)
      if (k->dims.data[i].name[0] && k->dims.data[i].kind == HLI_DIM_DEFAULT && k->dims.data[i].value < 0)
        k->dims.data[i].kind = HLI_DIM_DYNAMIC;
    const hl_plan_options o = options_of(d, args, n);
    const hl_status s = hl_plan_create(d->dev, k, &o, &why, &plan);
    if (s == HL_OK)
      atomic_store(&d->generic, plan);
    else if (s != HL_ERR_GUARD && s != HL_ERR_ARG && s != HL_ERR_MEMORY && s != HL_ERR_BUSY) {
      hli_log(d->dev->ctx, HL_LOG_INFO, "kernel %s has no plan for all sizes: %s", d->kernel->name, why.message);
      d->no_generic = true; /* other arguments would not change that */
    }
  }
  hl_kernel_destroy(k);
  hli_lock_give(&d->lock);
  return plan;
}

/* Under the lock: takes the plan of a task that is done. */
static void settle(hl_dispatch *d, slot *s) {
  hl_diag why;
  if (!hl_plan_task_done(s->task))
    return;
  const hl_status status = hl_plan_task_wait(s->task, &why, &s->plan);
  hl_plan_task_destroy(s->task);
  s->task = NULL;
  if (status != HL_OK)
    hli_log(d->dev->ctx, HL_LOG_WARN, "kernel %s: no plan could be made in the background: %s", d->kernel->name,
            why.message);
  atomic_store(&s->state, status == HL_OK ? SLOT_LIVE : SLOT_FAILED);
}

/* A plan for these arguments is being made, or there, when this returns; if that cannot be, the generic one serves on.
 */
static void order(hl_dispatch *d, hli_digest key, const hl_arg *args, size_t n) {
  const hl_plan_options o = options_of(d, args, n);
  hl_plan_task *task;
  hli_lock_take(&d->lock);
  slot *s = find(d, key);
  if (s && atomic_load(&s->state) == SLOT_PENDING)
    settle(d, s);
  else if (!s && hl_plan_create_async(d->dev, d->kernel, &o, NULL, &task) == HL_OK) {
    s = make_place(d, key);
    if (s) {
      s->task = task;
      publish(d, s, key, SLOT_PENDING);
    } else {
      hl_plan_task_destroy(task); /* waits, and the cache has it then */
    }
  }
  hli_lock_give(&d->lock);
}

/* ---- launching ------------------------------------------------------------------------------------------ */

hl_status hl_dispatch_launch(hl_dispatch *d, hl_stream *stream, const hl_arg *args, size_t n,
                             const hl_launch_options *options, hl_diag *diag) {
  hli_digest key;
  if (!d)
    return hli_fail(diag, HL_ERR_ARG, "hl_dispatch_launch: the dispatch is NULL");
  if (!key_of(d->kernel, args, n, &key))
    return launch_new(d, NULL, stream, args, n, options, diag);
  slot *s = enter(d, key);
  if (!s && d->background) {
    hl_plan *generic = generic_plan(d, args, n);
    if (generic)
      order(d, key, args, n);
    s = enter(d, key);
    if (!s && generic) {
      const hl_status status = hl_launch(generic, stream, args, n, options, diag);
      if (status != HL_ERR_GUARD) /* other strides, say */
        return status;
    }
  }
  if (!s)
    return launch_new(d, &key, stream, args, n, options, diag);
  const hl_status status = hl_launch(s->plan, stream, args, n, options, diag);
  leave(s);
  return status;
}

uint32_t hl_dispatch_plans(const hl_dispatch *d) {
  uint32_t n = d && atomic_load(&d->generic) ? 1 : 0;
  for (uint32_t i = 0; d && i < d->capacity; i++)
    n += atomic_load(&d->slots[i].state) == SLOT_LIVE;
  return n;
}

/* ---- create and destroy -------------------------------------------------------------------------------------- */

static hl_status check(hl_device *dev, const hl_kernel *k, const hl_dispatch_options *o, hl_dispatch *const *out,
                       hl_diag *diag) {
  if (!dev || !k || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_dispatch_create: %s is NULL",
                    !dev ? "the device"
                    : !k ? "the kernel"
                         : "out");
  if (o->capacity > MAX_CAPACITY)
    return hli_fail(diag, HL_ERR_ARG, "hl_dispatch_options.capacity is %u: at most %u", o->capacity, MAX_CAPACITY);
  return HL_OK;
}

hl_status hl_dispatch_create(hl_device *dev, const hl_kernel *k, const hl_dispatch_options *options, hl_diag *diag,
                             hl_dispatch **out) {
  hl_dispatch_options taken = HL_DISPATCH_OPTIONS_INIT;
  const hl_dispatch_options *const o = &taken;
  if (out)
    *out = NULL;
  if (options && !hli_struct_take(&taken, sizeof taken, options))
    return hli_fail(diag, HL_ERR_ARG, "hl_dispatch_options.size is %zu: start from HL_DISPATCH_OPTIONS_INIT",
                    options->size);
  hl_status s = check(dev, k, o, out, diag);
  if (s != HL_OK)
    return s;
  const hl_allocator *alloc = &dev->ctx->alloc;
  hl_dispatch *d = hli_calloc(alloc, 1, sizeof *d);
  if (!d)
    return hli_fail_memory(diag, "creating a dispatch");
  d->dev = hlr_device_retain(dev);
  d->background = o->background;
  d->capacity = (uint32_t)hli_next_pow2(o->capacity ? o->capacity : DEFAULT_CAPACITY);
  d->slots = hli_calloc(alloc, d->capacity, sizeof *d->slots);
  d->kernel = hli_kernel_clone(k);
  d->config = o->config ? hli_config_clone(o->config) : NULL;
  if (!hli_lock_init(&d->lock, alloc) || !d->slots || !d->kernel || (o->config && !d->config)) {
    hl_dispatch_destroy(d);
    return hli_fail_memory(diag, "creating a dispatch");
  }
  *out = d;
  return HL_OK;
}

void hl_dispatch_destroy(hl_dispatch *d) {
  if (!d)
    return;
  hl_device *dev = d->dev;
  const hl_allocator alloc = dev->ctx->alloc;
  for (uint32_t i = 0; d->slots && i < d->capacity; i++)
    vacate(&d->slots[i]);
  hl_plan_destroy(atomic_load(&d->generic));
  hl_kernel_destroy(d->kernel);
  hl_config_destroy(d->config);
  hli_release(&alloc, d->slots, d->capacity * sizeof *d->slots);
  hli_lock_free(&d->lock, &alloc);
  hli_release(&alloc, d, sizeof *d);
  hl_device_close(dev);
}
