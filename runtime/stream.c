/* stream.c: streams and events: thin wrappers of the driver's handles.
 * SPDX-License-Identifier: MIT */
#include "runtime/internal.h"

struct hl_event {
  hl_device *dev;
  void *native;
};

/* ---- streams -------------------------------------------------------------------- */

static hl_status stream_new(hl_device *dev, void *native, bool owned, hl_diag *diag, hl_stream **out) {
  hl_stream *stream = hli_alloc(&dev->ctx->alloc, sizeof *stream, 16);
  if (!stream)
    return hli_fail_memory(diag, "creating a stream");
  *stream = (hl_stream){.dev = hlr_device_retain(dev), .native = native, .owned = owned};
  hli_context_lock(dev->ctx);
  stream->next = dev->streams;
  if (dev->streams)
    dev->streams->prev = stream;
  dev->streams = stream;
  hli_context_unlock(dev->ctx);
  *out = stream;
  return HL_OK;
}

hl_status hl_stream_create(hl_device *dev, hl_diag *diag, hl_stream **out) {
  if (!dev || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_stream_create: device and out must be set");
  *out = NULL;
  void *native = NULL;
  hl_status status = hlr_refuse_capture(dev, "create a stream", diag);
  if (!status)
    status = dev->driver->stream_create(dev->self, diag, &native);
  if (status)
    return status;
  status = stream_new(dev, native, true, diag, out);
  if (status)
    dev->driver->stream_destroy(dev->self, native);
  return status;
}

/* The CPU's native streams are libhl's own: anything else would be a wild pointer. */
static bool is_own_stream(hl_device *dev, const void *native) {
  bool found = native == NULL;
  hli_context_lock(dev->ctx);
  for (const hl_stream *s = dev->streams; s && !found; s = s->next)
    found = s->native == native;
  hli_context_unlock(dev->ctx);
  return found;
}

hl_status hl_stream_wrap(hl_device *dev, void *native, hl_diag *diag, hl_stream **out) {
  if (!dev || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_stream_wrap: device and out must be set");
  *out = NULL;
  if (dev->id.type == HL_DEVICE_CPU && !is_own_stream(dev, native))
    return hli_fail(
        diag, HL_ERR_ARG,
        "hl_stream_wrap: %p is no stream of this CPU device: only what hl_stream_native gives can be wrapped", native);
  return stream_new(dev, native, false, diag, out);
}

void hl_stream_destroy(hl_stream *stream) {
  if (!stream)
    return;
  hl_device *dev = stream->dev;
  hli_context_lock(dev->ctx);
  if (stream->prev)
    stream->prev->next = stream->next;
  if (stream->next)
    stream->next->prev = stream->prev;
  if (dev->streams == stream)
    dev->streams = stream->next;
  hli_context_unlock(dev->ctx);
  hlr_workspace_free(&stream->workspace, dev);
  if (stream->owned)
    dev->driver->stream_destroy(dev->self, stream->native);
  hli_release(&dev->ctx->alloc, stream, sizeof *stream);
  hl_device_close(dev);
}

void *hl_stream_native(hl_stream *stream) {
  return stream ? stream->native : NULL;
}

hl_status hl_stream_synchronize(hl_stream *stream, hl_diag *diag) {
  if (!stream)
    return hli_fail(diag, HL_ERR_ARG,
                    "hl_stream_synchronize: the stream is NULL; for the default stream use "
                    "hl_device_synchronize");
  hl_device *dev = stream->dev;
  if (dev->driver->capturing && dev->driver->capturing(dev->self, stream->native))
    return hli_fail(diag, HL_ERR_BUSY, "cannot wait for a stream that is capturing a graph: end the capture first");
  return dev->driver->stream_sync(dev->self, stream->native, diag);
}

hl_status hlr_stream_handle(const hl_device *dev, const hl_stream *stream, hl_diag *diag, void **out) {
  if (!stream) {
    *out = NULL;
    return HL_OK;
  }
  if (stream->dev != dev && stream->dev->ctx != dev->ctx)
    return hli_fail(diag, HL_ERR_ARG, "the stream belongs to a device of another context: use a stream of this one");
  if (stream->dev != dev)
    return hli_fail(diag, HL_ERR_ARG,
                    "the stream belongs to device '%s:%d', the work to '%s:%d': use a stream of that device",
                    stream->dev->driver->kind, (int)stream->dev->index, dev->driver->kind, (int)dev->index);
  *out = stream->native;
  return HL_OK;
}

/* ---- events ----------------------------------------------------------------------- */

hl_status hl_event_create(hl_device *dev, hl_diag *diag, hl_event **out) {
  if (!dev || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_event_create: device and out must be set");
  *out = NULL;
  hl_event *ev = hli_alloc(&dev->ctx->alloc, sizeof *ev, 16);
  if (!ev)
    return hli_fail_memory(diag, "creating an event");
  *ev = (hl_event){0};
  hl_status status = dev->driver->event_create(dev->self, diag, &ev->native);
  if (status) {
    hli_release(&dev->ctx->alloc, ev, sizeof *ev);
    return status;
  }
  ev->dev = hlr_device_retain(dev);
  *out = ev;
  return HL_OK;
}

void hl_event_destroy(hl_event *ev) {
  if (!ev)
    return;
  hl_device *dev = ev->dev;
  dev->driver->event_destroy(dev->self, ev->native);
  hli_release(&dev->ctx->alloc, ev, sizeof *ev);
  hl_device_close(dev);
}

hl_status hl_event_record(hl_event *ev, hl_stream *stream, hl_diag *diag) {
  if (!ev)
    return hli_fail(diag, HL_ERR_ARG, "hl_event_record: the event is NULL");
  void *native = NULL;
  hl_status status = hlr_stream_handle(ev->dev, stream, diag, &native);
  return status ? status : ev->dev->driver->event_record(ev->dev->self, ev->native, native, diag);
}

hl_status hl_stream_wait(hl_stream *stream, hl_event *ev, hl_diag *diag) {
  if (!ev)
    return hli_fail(diag, HL_ERR_ARG, "hl_stream_wait: the event is NULL");
  void *native = NULL;
  hl_status status = hlr_stream_handle(ev->dev, stream, diag, &native);
  return status ? status : ev->dev->driver->event_wait(ev->dev->self, ev->native, native, diag);
}

hl_status hl_event_synchronize(hl_event *ev, hl_diag *diag) {
  if (!ev)
    return hli_fail(diag, HL_ERR_ARG, "hl_event_synchronize: the event is NULL");
  return ev->dev->driver->event_sync(ev->dev->self, ev->native, diag);
}

hl_status hl_event_elapsed(hl_event *begin, hl_event *end, hl_diag *diag, float *ms) {
  if (!begin || !end || !ms)
    return hli_fail(diag, HL_ERR_ARG, "hl_event_elapsed: both events and the result must be set");
  *ms = 0;
  if (begin->dev != end->dev)
    return hli_fail(diag, HL_ERR_ARG, "hl_event_elapsed: the events belong to different devices");
  return begin->dev->driver->event_elapsed(begin->dev->self, begin->native, end->native, diag, ms);
}
