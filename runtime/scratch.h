/* scratch.h: working memory of kernels on the CPU, one block per running thread, kept
 * between launches.  SPDX-License-Identifier: MIT */
#ifndef HLR_SCRATCH_H
#define HLR_SCRATCH_H

#include "src/base/base.h"
#include <stdatomic.h>

#define HLR_SCRATCH_SLOTS 512u /* threads that can run programs at a time: workers and helpers */
#define HLR_SCRATCH_ALIGN 64

typedef struct hlr_scratch_slot {
  _Alignas(HLR_SCRATCH_ALIGN) _Atomic bool taken;
  void *ptr;
  uint64_t size;
} hlr_scratch_slot;

typedef struct hlr_scratch {
  const hl_allocator *alloc;
  hlr_scratch_slot slots[HLR_SCRATCH_SLOTS];
} hlr_scratch; /* starts zeroed but for `alloc` */

/* A slot with at least `bytes`, the search begins at `first` (where a thread that always
 * gives the same number finds what it had before); NULL: out of memory. */
hlr_scratch_slot *hlr_scratch_take(hlr_scratch *scratch, uint32_t first, uint64_t bytes);
void hlr_scratch_give(hlr_scratch_slot *slot); /* NULL is allowed */
/* Grows the first `count` slots that are not taken; false: out of memory. */
bool hlr_scratch_reserve(hlr_scratch *scratch, uint32_t count, uint64_t bytes);
/* In a forked child: no thread of the parent holds any. */
void hlr_scratch_untake(hlr_scratch *scratch);
void hlr_scratch_free(hlr_scratch *scratch);

#endif
