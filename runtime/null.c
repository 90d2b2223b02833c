/* null.c: a driver that runs nothing and remembers everything.  It lets launch and
 * tuner tests run anywhere, and it is the template for a new driver: every entry is
 * here, in the order of the table.  SPDX-License-Identifier: MIT */
#include "runtime/internal.h"

#define KEPT 64u

typedef struct null_device {
  hl_context *ctx;
  hl_null_cost_fn cost;
  void *cost_user;
  double clock_ns; /* moves with launches only */
  size_t total;    /* launches so far; the ring holds the last KEPT */
  hl_null_launch ring[KEPT];
} null_device;

typedef struct null_event {
  bool recorded;
  double ns;
} null_event;

typedef struct null_kernel {
  char entry[sizeof((hl_null_launch *)0)->entry];
} null_kernel;

/* ---- device ----------------------------------------------------------------------- */

static hl_status null_count(hl_context *ctx, hl_diag *diag, int32_t *out) {
  (void)ctx, (void)diag;
  *out = 1;
  return HL_OK;
}

static hl_status null_open(hl_context *ctx, int32_t index, hl_diag *diag, void **self) {
  if (index != 0)
    return hli_fail(diag, HL_ERR_NO_DEVICE, "there is no device 'null:%d', only 'null'", (int)index);
  null_device *dev = hli_calloc(&ctx->alloc, 1, sizeof *dev);
  if (!dev)
    return hli_fail_memory(diag, "opening the null device");
  dev->ctx = ctx;
  *self = dev;
  return HL_OK;
}

static void null_close(void *self) {
  null_device *dev = self;
  hli_release(&dev->ctx->alloc, dev, sizeof *dev);
}

static void null_info(void *self, hl_device_info *info) {
  (void)self;
  *info = (hl_device_info){
      .size = sizeof *info,
      .id = {HL_DEVICE_NULL, 0},
      .name = "null device",
      .target = "null",
      .driver = "libhl null driver",
      .units = 16,
      .warp_size = 32,
      .max_threads = 1024,
      .shared_bytes = 232448,
      .memory_bytes = (int64_t)1 << 32,
      .l2_bytes = (int64_t)1 << 24,
      .clock_khz = 1000000,
  };
}

/* ---- memory: the host's --------------------------------------------------------------- */

static hl_status null_alloc(void *self, size_t bytes, hl_diag *diag, void **ptr) {
  return hlr_host_alloc(&((null_device *)self)->ctx->alloc, bytes, diag, ptr);
}

static void null_release(void *self, void *ptr, size_t bytes) {
  (void)bytes;
  hlr_host_release(&((null_device *)self)->ctx->alloc, ptr);
}

static hl_status null_fill(void *self, void *stream, const hl_driver_fill *fill, hl_diag *diag) {
  (void)self, (void)stream, (void)diag;
  hlr_host_fill(fill);
  return HL_OK;
}

static hl_status null_copy(void *self, void *stream, void *dst, const void *src, size_t bytes, hl_diag *diag) {
  (void)self, (void)stream, (void)diag;
  memcpy(dst, src, bytes);
  return HL_OK;
}

/* ---- streams: everything has happened by the time it is asked for -------------------- */

static hl_status null_stream_create(void *self, hl_diag *diag, void **stream) {
  (void)diag;
  *stream = self; /* any address will do */
  return HL_OK;
}

static void null_stream_destroy(void *self, void *stream) {
  (void)self, (void)stream;
}

static hl_status null_stream_sync(void *self, void *stream, hl_diag *diag) {
  (void)self, (void)stream, (void)diag;
  return HL_OK;
}

static hl_status null_device_sync(void *self, hl_diag *diag) {
  (void)self, (void)diag;
  return HL_OK;
}

/* ---- events ------------------------------------------------------------------------------ */

static hl_status null_event_create(void *self, hl_diag *diag, void **event) {
  *event = hli_calloc(&((null_device *)self)->ctx->alloc, 1, sizeof(null_event));
  return *event ? HL_OK : hli_fail_memory(diag, "creating an event");
}

static void null_event_destroy(void *self, void *event) {
  hli_release(&((null_device *)self)->ctx->alloc, event, sizeof(null_event));
}

static hl_status null_event_record(void *self, void *event, void *stream, hl_diag *diag) {
  (void)stream, (void)diag;
  null_device *dev = self;
  hli_context_lock(dev->ctx);
  *(null_event *)event = (null_event){true, dev->clock_ns};
  hli_context_unlock(dev->ctx);
  return HL_OK;
}

static hl_status null_event_sync(void *self, void *event, hl_diag *diag) {
  (void)self, (void)event, (void)diag;
  return HL_OK;
}

static hl_status null_event_wait(void *self, void *event, void *stream, hl_diag *diag) {
  (void)self, (void)event, (void)stream, (void)diag;
  return HL_OK;
}

static hl_status null_event_elapsed(void *self, void *begin, void *end, hl_diag *diag, float *ms) {
  (void)self;
  const null_event *a = begin, *b = end;
  if (!a->recorded || !b->recorded)
    return hli_fail(diag, HL_ERR_BUSY, "both events must be recorded before their distance is known");
  *ms = (float)((b->ns - a->ns) * 1e-6);
  return HL_OK;
}

/* ---- kernels ------------------------------------------------------------------------------- */

static hl_status null_load(void *self, const hl_driver_kernel *kernel, hl_diag *diag, void **function) {
  null_kernel *k = hli_calloc(&((null_device *)self)->ctx->alloc, 1, sizeof *k);
  if (!k)
    return hli_fail_memory(diag, "loading a kernel");
  size_t len = strlen(kernel->entry);
  memcpy(k->entry, kernel->entry, HLI_MIN(len, sizeof k->entry - 1));
  *function = k;
  return HL_OK;
}

static void null_unload(void *self, void *function) {
  hli_release(&((null_device *)self)->ctx->alloc, function, sizeof(null_kernel));
}

static hl_status null_launch(void *self, void *stream, const hl_driver_launch *launch, hl_diag *diag) {
  (void)stream, (void)diag;
  null_device *dev = self;
  const null_kernel *kernel = launch->function;
  hl_null_launch record = {.programs = launch->programs,
                           .threads = launch->threads,
                           .shared_bytes = launch->shared_bytes,
                           .cluster = launch->cluster,
                           .block_size = (uint32_t)launch->block_size};
  memcpy(record.entry, kernel->entry, sizeof record.entry);
  memcpy(record.block, launch->block, HLI_MIN(launch->block_size, sizeof record.block));

  hli_context_lock(dev->ctx);
  hl_null_cost_fn cost = dev->cost;
  void *user = dev->cost_user;
  hli_context_unlock(dev->ctx);
  double ns = cost ? cost(user, &record) : 1000.0 + (double)launch->programs;

  hli_context_lock(dev->ctx);
  dev->clock_ns += ns;
  dev->ring[dev->total++ % KEPT] = record;
  hli_context_unlock(dev->ctx);
  return HL_OK;
}

const hl_driver hlr_null_driver = {
    .version = HL_EXT_VERSION,
    .kind = "null",
    .max_programs = INT32_MAX,
    .count = null_count,
    .open = null_open,
    .close = null_close,
    .info = null_info,
    .alloc = null_alloc,
    .release = null_release,
    .fill = null_fill,
    .upload = null_copy,
    .download = null_copy,
    .stream_create = null_stream_create,
    .stream_destroy = null_stream_destroy,
    .stream_sync = null_stream_sync,
    .device_sync = null_device_sync,
    .capturing = NULL,
    .event_create = null_event_create,
    .event_destroy = null_event_destroy,
    .event_record = null_event_record,
    .event_sync = null_event_sync,
    .event_wait = null_event_wait,
    .event_elapsed = null_event_elapsed,
    .load_kernel = null_load,
    .unload_kernel = null_unload,
    .launch = null_launch,
    .check_pointer = NULL,
};

/* ---- what tests ask ---------------------------------------------------------------------------- */

static null_device *null_of(hl_device *dev, hl_diag *diag) {
  if (dev && dev->driver == &hlr_null_driver)
    return dev->self;
  (void)hli_fail(diag, HL_ERR_ARG, "the device is not a null device: open it as \"null\"");
  return NULL;
}

hl_status hl_null_launches(hl_device *dev, hl_null_launch *records, size_t capacity, hl_diag *diag, size_t *total) {
  null_device *null = null_of(dev, diag);
  if (!null)
    return HL_ERR_ARG;
  hli_context_lock(null->ctx);
  size_t kept = HLI_MIN(null->total, (size_t)KEPT);
  for (size_t i = 0; i < HLI_MIN(kept, capacity); i++)
    records[i] = null->ring[(null->total - kept + i) % KEPT];
  if (total)
    *total = null->total;
  hli_context_unlock(null->ctx);
  return HL_OK;
}

hl_status hl_null_clear(hl_device *dev, hl_diag *diag) {
  null_device *null = null_of(dev, diag);
  if (!null)
    return HL_ERR_ARG;
  hli_context_lock(null->ctx);
  null->total = 0;
  hli_context_unlock(null->ctx);
  return HL_OK;
}

hl_status hl_null_set_cost(hl_device *dev, hl_null_cost_fn cost, void *user, hl_diag *diag) {
  null_device *null = null_of(dev, diag);
  if (!null)
    return HL_ERR_ARG;
  hli_context_lock(null->ctx);
  null->cost = cost;
  null->cost_user = user;
  hli_context_unlock(null->ctx);
  return HL_OK;
}
