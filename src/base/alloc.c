/* alloc.c: every allocation of the library passes through here, so that one hook on
 * the context sees all of them and a test can make each one fail.
 * SPDX-License-Identifier: MIT */
#include "src/base/base.h"
#include <stdlib.h>

#define DEFAULT_ALIGN 16u

static void *default_alloc(size_t size, size_t align) {
  if (align <= DEFAULT_ALIGN)
    return malloc(size);
  size_t rounded = (size + align - 1) & ~(align - 1); /* C11: a multiple of the alignment */
  return rounded < size ? NULL : aligned_alloc(align, rounded);
}

void *hli_alloc(const hl_allocator *a, size_t size, size_t align) {
  if (!size)
    size = 1; /* so that NULL always means failure */
  if (!a || !a->alloc)
    return default_alloc(size, align);
  return a->alloc(a->user, size, align);
}

void *hli_calloc(const hl_allocator *a, size_t count, size_t size) {
  size_t total;
  if (__builtin_mul_overflow(count, size, &total))
    return NULL;
  void *ptr = hli_alloc(a, total, DEFAULT_ALIGN);
  if (ptr)
    memset(ptr, 0, total);
  return ptr;
}

void *hli_grow(const hl_allocator *a, void *old, size_t old_size, size_t new_size) {
  void *ptr = hli_alloc(a, new_size, DEFAULT_ALIGN);
  if (!ptr)
    return NULL;
  if (old) {
    memcpy(ptr, old, HLI_MIN(old_size, new_size));
    hli_release(a, old, old_size);
  }
  return ptr;
}

void hli_release(const hl_allocator *a, void *ptr, size_t size) {
  if (!ptr)
    return;
  if (!a || !a->alloc) {
    free(ptr);
    return;
  }
  if (a->release)
    a->release(a->user, ptr, size ? size : 1);
}

bool hli_vec_reserve_raw(const hl_allocator *a, void **data, uint32_t *cap, uint32_t need, size_t elem) {
  if (need <= *cap)
    return true;
  uint32_t grown = *cap > UINT32_MAX / 2 ? UINT32_MAX : *cap * 2;
  uint32_t want = HLI_MAX(HLI_MAX(grown, need), 8u);
  size_t bytes;
  if (__builtin_mul_overflow((size_t)want, elem, &bytes))
    return false;
  void *ptr = hli_grow(a, *data, (size_t)*cap * elem, bytes);
  if (!ptr)
    return false;
  *data = ptr;
  *cap = want;
  return true;
}
