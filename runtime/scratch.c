/* scratch.c: per-thread working memory without thread-local state: a slot is taken for
 * the time of a launch.  SPDX-License-Identifier: MIT */
#include "runtime/scratch.h"

static bool take(hlr_scratch_slot *slot) {
  return !atomic_load_explicit(&slot->taken, memory_order_relaxed) &&
         !atomic_exchange_explicit(&slot->taken, true, memory_order_acquire);
}

void hlr_scratch_give(hlr_scratch_slot *slot) {
  if (slot)
    atomic_store_explicit(&slot->taken, false, memory_order_release);
}

static bool grow(const hl_allocator *alloc, hlr_scratch_slot *slot, uint64_t bytes) {
  if (slot->size >= bytes)
    return true;
  void *ptr = hli_alloc(alloc, bytes, HLR_SCRATCH_ALIGN);
  if (!ptr)
    return false;
  /* In this order, so that a process forked meanwhile finds a pointer that it may use and release. */
  void *old = slot->ptr;
  const uint64_t old_size = slot->size;
  slot->ptr = ptr;
  slot->size = bytes;
  hli_release(alloc, old, old_size);
  return true;
}

hlr_scratch_slot *hlr_scratch_take(hlr_scratch *scratch, uint32_t first, uint64_t bytes) {
  for (uint32_t i = 0; i < HLR_SCRATCH_SLOTS; i++) {
    hlr_scratch_slot *slot = &scratch->slots[(first + i) % HLR_SCRATCH_SLOTS];
    if (!take(slot))
      continue;
    if (grow(scratch->alloc, slot, bytes))
      return slot;
    hlr_scratch_give(slot);
    return NULL;
  }
  return NULL;
}

bool hlr_scratch_reserve(hlr_scratch *scratch, uint32_t count, uint64_t bytes) {
  bool grown = true;
  for (uint32_t i = 0; bytes && grown && i < HLI_MIN(count, HLR_SCRATCH_SLOTS); i++) {
    hlr_scratch_slot *slot = &scratch->slots[i];
    if (!take(slot))
      continue; /* at work: it grows when its thread needs it */
    grown = grow(scratch->alloc, slot, bytes);
    hlr_scratch_give(slot);
  }
  return grown;
}

void hlr_scratch_untake(hlr_scratch *scratch) {
  for (uint32_t i = 0; i < HLR_SCRATCH_SLOTS; i++)
    atomic_store(&scratch->slots[i].taken, false);
}

void hlr_scratch_free(hlr_scratch *scratch) {
  for (uint32_t i = 0; i < HLR_SCRATCH_SLOTS; i++)
    hli_release(scratch->alloc, scratch->slots[i].ptr, scratch->slots[i].size);
}
