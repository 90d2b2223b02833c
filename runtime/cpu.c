/* cpu.c: the CPU as a device: kernels are shared objects, streams are the pool's queues.
 *
 * Launches return at once and run in order; the thread that waits for a stream helps.
 * With a parallel_for hook on the context libhl starts no thread: the launching thread
 * runs the work through the hook before the launch returns.
 * SPDX-License-Identifier: MIT */
#include "runtime/elf_check.h"
#include "runtime/pool.h"
#include <elf.h>

typedef struct cpu_device {
  hl_context *ctx;
  hlr_pool *pool;
} cpu_device;

typedef struct cpu_kernel {
  hlr_cpu_entry entry;
  hlr_os_image image;
  _Atomic uint32_t cost; /* the pool's */
} cpu_kernel;

typedef struct cpu_event {
  hlr_queue *queue; /* NULL: never recorded */
  uint64_t ticket;  /* of the last record */
  _Atomic uint64_t ns;
} cpu_event;

/* ---- device --------------------------------------------------------------------------- */

static hl_status cpu_count(hl_context *ctx, hl_diag *diag, int32_t *out) {
  (void)ctx, (void)diag;
  *out = 1;
  return HL_OK;
}

static hl_status cpu_open(hl_context *ctx, int32_t index, hl_diag *diag, void **self) {
  if (index != 0)
    return hli_fail(diag, HL_ERR_NO_DEVICE, "there is no device 'cpu:%d': all CPUs are one device, 'cpu'", (int)index);
  cpu_device *dev = hli_calloc(&ctx->alloc, 1, sizeof *dev);
  if (!dev)
    return hli_fail_memory(diag, "opening the CPU");
  dev->ctx = ctx;
  hl_status status = hlr_pool_create(ctx, diag, &dev->pool);
  if (status) {
    hli_release(&ctx->alloc, dev, sizeof *dev);
    return status;
  }
  *self = dev;
  return HL_OK;
}

static void cpu_close(void *self) {
  cpu_device *dev = self;
  hlr_pool_destroy(dev->pool);
  hli_release(&dev->ctx->alloc, dev, sizeof *dev);
}

static void cpu_info(void *self, hl_device_info *info) {
  const cpu_device *dev = self;
  *info = (hl_device_info){
      .size = sizeof *info,
      .id = {HL_DEVICE_CPU, 0},
      .target = "host",
      .units = hlr_pool_threads(dev->pool),
      .warp_size = 1,
      .max_threads = 1,
      .memory_bytes = hlr_os_memory_bytes(),
      .l2_bytes = hlr_os_cache_bytes(),
      .clock_khz = hlr_os_clock_khz(),
  };
  hlr_os_cpu_name(info->name, sizeof info->name);
  hlr_os_system_name(info->driver, sizeof info->driver);
}

/* ---- memory ---------------------------------------------------------------------------- */

static hlr_queue *queue_of(void *self, void *stream) {
  return stream ? stream : hlr_pool_default_queue(((cpu_device *)self)->pool);
}

static hl_status cpu_alloc(void *self, size_t bytes, hl_diag *diag, void **ptr) {
  return hlr_host_alloc(&((cpu_device *)self)->ctx->alloc, bytes, diag, ptr);
}

static void cpu_release(void *self, void *ptr, size_t bytes) {
  (void)bytes;
  cpu_device *dev = self;
  hlr_pool_finish(dev->pool); /* something queued may still use it */
  hlr_host_release(&dev->ctx->alloc, ptr);
}

static hl_status cpu_fill(void *self, void *stream, const hl_driver_fill *fill, hl_diag *diag) {
  (void)diag;
  hlr_task task = {.kind = HLR_TASK_FILL, .fill = *fill};
  (void)hlr_queue_push(queue_of(self, stream), &task);
  return HL_OK;
}

static hl_status cpu_copy(void *self, void *stream, void *dst, const void *src, size_t bytes, hl_diag *diag) {
  (void)diag;
  hlr_task task = {.kind = HLR_TASK_COPY, .dst = dst, .src = src, .bytes = bytes};
  (void)hlr_queue_push(queue_of(self, stream), &task);
  return HL_OK;
}

/* ---- streams ------------------------------------------------------------------------------ */

static hl_status cpu_stream_create(void *self, hl_diag *diag, void **stream) {
  hlr_queue *queue;
  hl_status status = hlr_queue_create(((cpu_device *)self)->pool, diag, &queue);
  if (!status)
    *stream = queue;
  return status;
}

static void cpu_stream_destroy(void *self, void *stream) {
  (void)self;
  hlr_queue_destroy(stream);
}

static hl_status cpu_stream_sync(void *self, void *stream, hl_diag *diag) {
  hlr_queue *queue = queue_of(self, stream);
  hlr_queue_finish(queue);
  if (!hlr_queue_take_failure(queue))
    return HL_OK;
  return hli_fail(diag, HL_ERR_MEMORY,
                  "a launch on this stream was not completed: out of memory for the kernel's scratch");
}

static hl_status cpu_device_sync(void *self, hl_diag *diag) {
  cpu_device *dev = self;
  hlr_pool_finish(dev->pool);
  return cpu_stream_sync(self, NULL, diag);
}

/* ---- events --------------------------------------------------------------------------------- */

static hl_status cpu_event_create(void *self, hl_diag *diag, void **event) {
  cpu_event *ev = hli_calloc(&((cpu_device *)self)->ctx->alloc, 1, sizeof *ev);
  if (!ev)
    return hli_fail_memory(diag, "creating an event");
  *event = ev;
  return HL_OK;
}

static hl_status cpu_event_sync(void *self, void *event, hl_diag *diag) {
  (void)self, (void)diag;
  const cpu_event *ev = event;
  if (ev->queue)
    hlr_queue_wait(ev->queue, ev->ticket);
  return HL_OK;
}

static void cpu_event_destroy(void *self, void *event) {
  (void)cpu_event_sync(self, event, NULL); /* the queue may be about to write the time */
  hli_release(&((cpu_device *)self)->ctx->alloc, event, sizeof(cpu_event));
}

static hl_status cpu_event_record(void *self, void *event, void *stream, hl_diag *diag) {
  cpu_event *ev = event;
  hlr_queue *queue = queue_of(self, stream);
  /* One record at a time: an older one on another stream would overwrite the time. */
  if (ev->queue && ev->queue != queue)
    (void)cpu_event_sync(self, event, diag);
  hlr_task task = {.kind = HLR_TASK_STAMP, .stamp = &ev->ns};
  ev->ticket = hlr_queue_push(queue, &task);
  ev->queue = queue;
  return HL_OK;
}

static hl_status cpu_event_wait(void *self, void *event, void *stream, hl_diag *diag) {
  (void)diag;
  const cpu_event *ev = event;
  hlr_queue *queue = queue_of(self, stream);
  if (!ev->queue || ev->queue == queue)
    return HL_OK; /* never recorded, or in order anyway */
  hlr_task task = {.kind = HLR_TASK_AWAIT, .queue = ev->queue, .ticket = ev->ticket};
  (void)hlr_queue_push(queue, &task);
  return HL_OK;
}

static hl_status cpu_event_elapsed(void *self, void *begin, void *end, hl_diag *diag, float *ms) {
  (void)self;
  cpu_event *a = begin, *b = end;
  if (!a->queue || !b->queue || !hlr_queue_passed(a->queue, a->ticket) || !hlr_queue_passed(b->queue, b->ticket))
    return hli_fail(diag, HL_ERR_BUSY,
                    "both events must be recorded and passed before their distance is known: call "
                    "hl_event_synchronize on the later one first");
  *ms = (float)((double)(int64_t)(atomic_load(&b->ns) - atomic_load(&a->ns)) * 1e-6);
  return HL_OK;
}

/* ---- kernels ---------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define THIS_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define THIS_MACHINE EM_AARCH64
#else
#define THIS_MACHINE EM_NONE
#endif

static hl_status cpu_load(void *self, const hl_driver_kernel *kernel, hl_diag *diag, void **function) {
  cpu_device *dev = self;
  if (kernel->format != HL_IMAGE_ELF_SO)
    return hli_fail(diag, HL_ERR_UNSUPPORTED,
                    "kernel '%s' is not a shared object: compile it for this device's target, \"host\"", kernel->entry);
  const char *fault = hlr_elf_fault(kernel->image, kernel->image_size, THIS_MACHINE);
  if (fault)
    return hli_fail(diag, HL_ERR_IO, "the image of kernel '%s' cannot be loaded: %s; compile it again", kernel->entry,
                    fault);
  hl_status status = hlr_pool_reserve(dev->pool, kernel->scratch_bytes, diag);
  if (status)
    return status;
  cpu_kernel *k = hli_calloc(&dev->ctx->alloc, 1, sizeof *k);
  if (!k)
    return hli_fail_memory(diag, "loading a kernel");
  if (!kernel->path || !hlr_os_image_open(kernel->path, &k->image))
    status = hlr_os_image_load(kernel->image, kernel->image_size, diag, &k->image);
  if (!status) {
    void *symbol = hlr_os_symbol(k->image.handle, kernel->entry);
    memcpy(&k->entry, &symbol, sizeof symbol); /* ISO C has no cast from data to function pointers */
    if (!symbol)
      status = hli_fail(diag, HL_ERR_IO, "the image has no function '%s'", kernel->entry);
  }
  if (status) {
    hlr_os_image_unload(&k->image);
    hli_release(&dev->ctx->alloc, k, sizeof *k);
    return status;
  }
  *function = k;
  return HL_OK;
}

static void cpu_unload(void *self, void *function) {
  cpu_kernel *k = function;
  hlr_os_image_unload(&k->image);
  hli_release(&((cpu_device *)self)->ctx->alloc, k, sizeof *k);
}

static hl_status cpu_launch(void *self, void *stream, const hl_driver_launch *launch, hl_diag *diag) {
  (void)diag;
  cpu_kernel *k = launch->function;
  hlr_task task = {
      .kind = HLR_TASK_LAUNCH,
      .grain = launch->grain,
      .block_size = (uint32_t)launch->block_size,
      .entry = k->entry,
      .programs = launch->programs,
      .scratch = launch->scratch_bytes,
      .block = launch->block,
      .cost = &k->cost,
  };
  hlr_queue *queue = queue_of(self, stream);
  if (!hlr_queue_run_now(queue, &task))
    (void)hlr_queue_push(queue, &task);
  return HL_OK;
}

const hl_driver hlr_cpu_driver = {
    .version = HL_EXT_VERSION,
    .kind = "cpu",
    .max_programs = INT64_MAX / 2, /* the claim counter may run past the end */
    .count = cpu_count,
    .open = cpu_open,
    .close = cpu_close,
    .info = cpu_info,
    .alloc = cpu_alloc,
    .release = cpu_release,
    .fill = cpu_fill,
    .upload = cpu_copy,
    .download = cpu_copy,
    .stream_create = cpu_stream_create,
    .stream_destroy = cpu_stream_destroy,
    .stream_sync = cpu_stream_sync,
    .device_sync = cpu_device_sync,
    .capturing = NULL,
    .event_create = cpu_event_create,
    .event_destroy = cpu_event_destroy,
    .event_record = cpu_event_record,
    .event_sync = cpu_event_sync,
    .event_wait = cpu_event_wait,
    .event_elapsed = cpu_event_elapsed,
    .load_kernel = cpu_load,
    .unload_kernel = cpu_unload,
    .launch = cpu_launch,
    .check_pointer = NULL, /* a process cannot ask about its own memory cheaply */
};
