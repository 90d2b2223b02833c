/* workspace.c: a stream's own working memory for plans that need some.
 *
 * Reading takes no lock.  A block that is too small is replaced by one of twice the size or more, and stays until the
 * stream is destroyed, so all blocks together take at most twice the largest.  SPDX-License-Identifier: MIT */
#include "runtime/internal.h"
#include <stdatomic.h>

typedef struct hlr_workspace_block {
  struct hlr_workspace_block *older;
  void *memory;
  uint64_t bytes;
} block;

hl_status hlr_workspace_get(hlr_workspace *w, hl_device *dev, uint64_t bytes, const char *kernel, hl_diag *diag,
                            void **out) {
  const hl_allocator *alloc = &dev->ctx->alloc;
  block *seen = atomic_load(&w->block);
  if (seen && seen->bytes >= bytes) {
    *out = seen->memory;
    return HL_OK;
  }
  hl_status status = hlr_refuse_capture(dev, "allocate a workspace", diag);
  if (status)
    return status;
  block *fresh = hli_calloc(alloc, 1, sizeof *fresh);
  if (!fresh)
    return hli_fail_memory(diag, "allocating a workspace");
  fresh->bytes = HLI_MAX(bytes, seen ? seen->bytes * 2 : 0);
  status = dev->driver->alloc(dev->self, fresh->bytes, diag, &fresh->memory);
  if (status) {
    hli_release(alloc, fresh, sizeof *fresh);
    return status == HL_ERR_MEMORY
               ? hli_fail(diag, status, "no memory for the workspace of %llu bytes that kernel '%s' needs",
                          (unsigned long long)bytes, kernel)
               : status;
  }
  do {
    fresh->older = seen;
    if (seen && seen->bytes >= bytes) { /* another thread was faster */
      dev->driver->release(dev->self, fresh->memory, fresh->bytes);
      hli_release(alloc, fresh, sizeof *fresh);
      *out = seen->memory;
      return HL_OK;
    }
  } while (!atomic_compare_exchange_weak(&w->block, &seen, fresh));
  *out = fresh->memory;
  return HL_OK;
}

void hlr_workspace_free(hlr_workspace *w, hl_device *dev) {
  block *b = atomic_exchange(&w->block, NULL);
  while (b) {
    block *older = b->older;
    dev->driver->release(dev->self, b->memory, b->bytes);
    hli_release(&dev->ctx->alloc, b, sizeof *b);
    b = older;
  }
}
