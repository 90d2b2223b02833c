/* device.c: the devices of a context, by name.  SPDX-License-Identifier: MIT */
#include "runtime/internal.h"

#define MAX_REGISTERED 16

/* What hangs off hl_context.runtime, guarded by the context's lock. */
typedef struct registry {
  hl_device *devices;
  uint32_t driver_count;
  const hl_driver *drivers[MAX_REGISTERED]; /* of the host; they come before ours */
} registry;

static const hl_driver *const built_in[] = {&hlr_cpu_driver, &hlr_cuda_driver, &hlr_null_driver};

/* ---- the registry ---------------------------------------------------------------- */

static void device_free(hl_device *dev) {
  hl_context *ctx = dev->ctx;
  hlr_workspace_free(&dev->workspace, dev);
  dev->driver->close(dev->self);
  hli_release(&ctx->alloc, dev, sizeof *dev);
}

static void registry_free(hl_context *ctx) {
  registry *reg = ctx->runtime;
  while (reg->devices) {
    hl_device *dev = reg->devices;
    reg->devices = dev->next;
    hli_log(ctx, HL_LOG_WARN, "context destroyed while device '%s:%d' is still in use", dev->driver->kind,
            (int)dev->index);
    device_free(dev);
  }
  hli_release(&ctx->alloc, reg, sizeof *reg);
  ctx->runtime = NULL;
}

/* Under the lock. */
static registry *registry_get(hl_context *ctx) {
  if (!ctx->runtime) {
    ctx->runtime = hli_calloc(&ctx->alloc, 1, sizeof(registry));
    if (ctx->runtime)
      ctx->runtime_free = registry_free;
  }
  return ctx->runtime;
}

static const hl_driver *find_driver(const registry *reg, hl_str kind) {
  for (uint32_t i = 0; i < reg->driver_count; i++)
    if (hli_str_eqz(kind, reg->drivers[i]->kind))
      return reg->drivers[i];
  for (size_t i = 0; i < HLI_COUNT(built_in); i++)
    if (hli_str_eqz(kind, built_in[i]->kind))
      return built_in[i];
  return NULL;
}

static hl_status fail_kind(hl_str kind, hl_diag *diag) {
  return hli_fail(diag, HL_ERR_ARG,
                  "no driver is called '%.*s': use \"cpu\", \"cuda\", \"null\" or the kind of a "
                  "registered driver",
                  (int)HLI_MIN(kind.len, (size_t)64), kind.len ? kind.ptr : "");
}

hl_status hl_driver_register(hl_context *ctx, const hl_driver *driver, hl_diag *diag) {
  if (!ctx || !driver || !driver->kind)
    return hli_fail(diag, HL_ERR_ARG, "hl_driver_register: context, driver and its kind must be set");
  if (driver->version != HL_EXT_VERSION)
    return hli_fail(diag, HL_ERR_UNSUPPORTED,
                    "driver '%s' was written for version %u of ext.h, this is version %u: rebuild it", driver->kind,
                    driver->version, HL_EXT_VERSION);
  hli_context_lock(ctx);
  registry *reg = registry_get(ctx);
  hl_status status = HL_OK;
  if (!reg)
    status = hli_fail_memory(diag, "registering a driver");
  else if (reg->driver_count == MAX_REGISTERED)
    status = hli_fail(diag, HL_ERR_LIMIT, "a context takes at most %d drivers", MAX_REGISTERED);
  else if (find_driver(reg, hli_str(driver->kind)))
    status = hli_fail(diag, HL_ERR_ARG, "a driver called '%s' is there already", driver->kind);
  else
    reg->drivers[reg->driver_count++] = driver;
  hli_context_unlock(ctx);
  return status;
}

/* ---- opening ------------------------------------------------------------------------ */

/* "cuda:1" -> "cuda", 1.  No index means 0. */
static hl_status parse_name(const char *name, hl_diag *diag, hl_str *kind, int32_t *index) {
  const char *colon = strchr(name, ':');
  *kind = (hl_str){name, colon ? (size_t)(colon - name) : strlen(name)};
  *index = 0;
  if (!colon)
    return HL_OK;
  const char *p = colon + 1;
  bool good = *p != '\0';
  for (; *p >= '0' && *p <= '9' && *index < 100000; p++)
    *index = *index * 10 + (*p - '0');
  if (good && *p == '\0')
    return HL_OK;
  return hli_fail(diag, HL_ERR_ARG, "device name '%.64s': expected a kind and maybe a number, as in \"cuda:1\"", name);
}

static hl_status open_new(hl_context *ctx, registry *reg, const hl_driver *driver, int32_t index, hl_diag *diag,
                          hl_device **out) {
  hl_device *dev = hli_calloc(&ctx->alloc, 1, sizeof *dev);
  if (!dev)
    return hli_fail_memory(diag, "opening a device");
  *dev = (hl_device){.ctx = ctx, .driver = driver, .index = index, .refs = 1, .next = reg->devices};
  hl_status status = driver->open(ctx, index, diag, &dev->self);
  if (status) {
    hli_release(&ctx->alloc, dev, sizeof *dev);
    return status;
  }
  dev->info.size = sizeof dev->info;
  driver->info(dev->self, &dev->info);
  dev->id = dev->info.id;
  reg->devices = dev;
  *out = dev;
  return HL_OK;
}

hl_status hl_device_open(hl_context *ctx, const char *name, hl_diag *diag, hl_device **out) {
  if (!ctx || !name || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_device_open: context, name and out must be set");
  *out = NULL;
  hl_str kind;
  int32_t index;
  hl_status status = parse_name(name, diag, &kind, &index);
  if (status)
    return status;

  hli_context_lock(ctx); /* opening takes long: a second thread waits for the same device */
  registry *reg = registry_get(ctx);
  const hl_driver *driver = reg ? find_driver(reg, kind) : NULL;
  hl_device *dev = reg ? reg->devices : NULL;
  while (dev && (dev->driver != driver || dev->index != index))
    dev = dev->next;
  if (!reg)
    status = hli_fail_memory(diag, "opening a device");
  else if (!driver)
    status = fail_kind(kind, diag);
  else if (dev)
    dev->refs++;
  else
    status = open_new(ctx, reg, driver, index, diag, &dev);
  hli_context_unlock(ctx);
  *out = status ? NULL : dev;
  return status;
}

hl_device *hlr_device_retain(hl_device *dev) {
  hli_context_lock(dev->ctx);
  dev->refs++;
  hli_context_unlock(dev->ctx);
  return dev;
}

void hl_device_close(hl_device *dev) {
  if (!dev)
    return;
  hl_context *ctx = dev->ctx;
  hli_context_lock(ctx);
  bool last = --dev->refs == 0;
  if (last) {
    registry *reg = ctx->runtime;
    hl_device **link = &reg->devices;
    while (*link != dev)
      link = &(*link)->next;
    *link = dev->next;
  }
  hli_context_unlock(ctx);
  if (last)
    device_free(dev); /* outside the lock: it waits for threads */
}

/* ---- questions ------------------------------------------------------------------------ */

hl_status hl_device_get_info(hl_device *dev, hl_device_info *info) {
  return dev && info && hli_struct_give(info, &dev->info, sizeof dev->info) ? HL_OK : HL_ERR_ARG;
}

hl_status hl_device_count(hl_context *ctx, const char *kind, hl_diag *diag, int32_t *out) {
  if (!ctx || !kind || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_device_count: context, kind and out must be set");
  *out = 0;
  hli_context_lock(ctx);
  registry *reg = registry_get(ctx);
  const hl_driver *driver = reg ? find_driver(reg, hli_str(kind)) : NULL;
  hli_context_unlock(ctx);
  if (!reg)
    return hli_fail_memory(diag, "counting devices");
  if (!driver)
    return fail_kind(hli_str(kind), diag);
  return driver->count(ctx, diag, out);
}

hl_status hl_device_synchronize(hl_device *dev, hl_diag *diag) {
  if (!dev)
    return hli_fail(diag, HL_ERR_ARG, "hl_device_synchronize: device is NULL");
  hl_status status = hlr_refuse_capture(dev, "wait for the device", diag);
  return status ? status : dev->driver->device_sync(dev->self, diag);
}

hl_status hlr_refuse_capture(hl_device *dev, const char *doing, hl_diag *diag) {
  if (!dev->driver->capturing)
    return HL_OK;
  hli_context_lock(dev->ctx);
  bool busy = dev->driver->capturing(dev->self, NULL);
  for (hl_stream *s = dev->streams; s && !busy; s = s->next)
    busy = dev->driver->capturing(dev->self, s->native);
  hli_context_unlock(dev->ctx);
  if (!busy)
    return HL_OK;
  return hli_fail(diag, HL_ERR_BUSY,
                  "cannot %s while a stream of the device is capturing a graph: do it before the "
                  "capture begins or after it ends",
                  doing);
}
