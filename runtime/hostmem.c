/* hostmem.c: host memory with the alignment of device memory.  The allocator hook
 * aligns to 64 bytes at most, so a block keeps its own start and size just below the
 * address that is handed out.  SPDX-License-Identifier: MIT */
#include "runtime/internal.h"

typedef struct block_header {
  void *start;
  size_t size;
} block_header;

hl_status hlr_host_alloc(const hl_allocator *alloc, size_t bytes, hl_diag *diag, void **out) {
  block_header header = {NULL, 0};
  if (!__builtin_add_overflow(bytes, sizeof header + HLR_DEVICE_ALIGN, &header.size))
    header.start = hli_alloc(alloc, header.size, 64);
  if (!header.start)
    return hli_fail(diag, HL_ERR_MEMORY, "out of memory while allocating a buffer of %zu bytes", bytes);
  uintptr_t first = (uintptr_t)header.start + sizeof header + HLR_DEVICE_ALIGN - 1;
  char *ptr = (char *)header.start + (first / HLR_DEVICE_ALIGN * HLR_DEVICE_ALIGN - (uintptr_t)header.start);
  memcpy(ptr - sizeof header, &header, sizeof header);
  *out = ptr;
  return HL_OK;
}

void hlr_host_release(const hl_allocator *alloc, void *ptr) {
  if (!ptr)
    return;
  block_header header;
  memcpy(&header, (char *)ptr - sizeof header, sizeof header);
  hli_release(alloc, header.start, header.size);
}

bool hlr_fill_is_bytes(const hl_driver_fill *fill, uint8_t *byte) {
  *byte = (uint8_t)fill->value;
  for (uint32_t i = 1; i < fill->element; i++)
    if ((uint8_t)(fill->value >> 8 * i) != *byte)
      return false;
  return true;
}

void hlr_host_fill(const hl_driver_fill *fill) {
  uint8_t byte;
  const bool bytes = hlr_fill_is_bytes(fill, &byte);
  for (size_t row = 0; row < fill->height; row++) {
    unsigned char *to = (unsigned char *)fill->dst + row * fill->pitch;
    if (bytes)
      memset(to, byte, fill->width * fill->element);
    for (size_t i = 0; i < fill->width && !bytes; i++)
      memcpy(to + i * fill->element, &fill->value, fill->element); /* little-endian, as are all hosts */
  }
}
