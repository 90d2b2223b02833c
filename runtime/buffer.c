/* buffer.c: memory of a device.  SPDX-License-Identifier: MIT */
#include "runtime/internal.h"

struct hl_buffer {
  hl_device *dev;
  void *data;
  size_t bytes;
};

hl_status hl_buffer_create(hl_device *dev, size_t bytes, hl_diag *diag, hl_buffer **out) {
  if (!dev || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_buffer_create: device and out must be set");
  *out = NULL;
  if (!bytes)
    return hli_fail(diag, HL_ERR_ARG,
                    "hl_buffer_create: 0 bytes; an empty tensor needs no buffer, its data may be NULL");
  hl_status status = hlr_refuse_capture(dev, "allocate memory", diag);
  if (status)
    return status;
  hl_allocator *alloc = &dev->ctx->alloc;
  hl_buffer *buf = hli_alloc(alloc, sizeof *buf, 16);
  if (!buf)
    return hli_fail_memory(diag, "creating a buffer");
  *buf = (hl_buffer){.bytes = bytes};
  status = dev->driver->alloc(dev->self, bytes, diag, &buf->data);
  if (status) {
    hli_release(alloc, buf, sizeof *buf);
    return status;
  }
  buf->dev = hlr_device_retain(dev);
  *out = buf;
  return HL_OK;
}

void hl_buffer_destroy(hl_buffer *buf) {
  if (!buf)
    return;
  hl_device *dev = buf->dev;
  dev->driver->release(dev->self, buf->data, buf->bytes);
  hli_release(&dev->ctx->alloc, buf, sizeof *buf);
  hl_device_close(dev);
}

void *hl_buffer_data(const hl_buffer *buf) {
  return buf ? buf->data : NULL;
}
size_t hl_buffer_size(const hl_buffer *buf) {
  return buf ? buf->bytes : 0;
}

static hl_status check_range(const hl_buffer *buf, size_t offset, const void *host, size_t bytes, const char *what,
                             hl_diag *diag) {
  if (!buf)
    return hli_fail(diag, HL_ERR_ARG, "%s: the buffer is NULL", what);
  if (offset > buf->bytes || bytes > buf->bytes - offset)
    return hli_fail(diag, HL_ERR_ARG, "%s: %zu bytes at offset %zu do not fit a buffer of %zu bytes", what, bytes,
                    offset, buf->bytes);
  if (!host && bytes)
    return hli_fail(diag, HL_ERR_ARG, "%s: host memory is NULL", what);
  return HL_OK;
}

hl_status hl_buffer_write(hl_buffer *buf, size_t offset, const void *src, size_t bytes, hl_stream *stream,
                          hl_diag *diag) {
  void *native = NULL;
  hl_status status = check_range(buf, offset, src, bytes, "hl_buffer_write", diag);
  if (!status)
    status = hlr_stream_handle(buf->dev, stream, diag, &native);
  if (status || !bytes)
    return status;
  return buf->dev->driver->upload(buf->dev->self, native, (char *)buf->data + offset, src, bytes, diag);
}

hl_status hl_buffer_read(hl_buffer *buf, size_t offset, void *dst, size_t bytes, hl_stream *stream, hl_diag *diag) {
  void *native = NULL;
  hl_status status = check_range(buf, offset, dst, bytes, "hl_buffer_read", diag);
  if (!status)
    status = hlr_stream_handle(buf->dev, stream, diag, &native);
  if (status || !bytes)
    return status;
  return buf->dev->driver->download(buf->dev->self, native, dst, (char *)buf->data + offset, bytes, diag);
}

hl_status hl_buffer_fill(hl_buffer *buf, uint8_t value, hl_stream *stream, hl_diag *diag) {
  void *native = NULL;
  if (!buf)
    return hli_fail(diag, HL_ERR_ARG, "hl_buffer_fill: the buffer is NULL");
  hl_status status = hlr_stream_handle(buf->dev, stream, diag, &native);
  if (status)
    return status;
  const hl_driver_fill fill = {.dst = buf->data, .value = value, .element = 1, .width = buf->bytes, .height = 1};
  return buf->dev->driver->fill(buf->dev->self, native, &fill, diag);
}
