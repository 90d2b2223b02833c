/* index.h: what is known of integer tiles that index a tensor. */
#ifndef HLI_INDEX_H
#define HLI_INDEX_H

#include "src/pass/pass.h"

/* Bounds of all valid lanes of an integer value of scheduled TILE, both inclusive; HLI_UNBOUNDED: none is known. */
#define HLI_UNBOUNDED ((int64_t)1 << 60)
typedef struct hli_interval {
  int64_t low, high;
} hli_interval;
hli_interval hli_index_interval(const hl_kernel *k, hli_value v);

/* Does the integer tile lie inside dimension d of the tensor, below its end, above its begin? */
bool hli_index_low(const hl_kernel *k, hli_value v);
bool hli_index_high(const hl_kernel *k, hli_value v, hli_value tensor, uint32_t d);

/* By how much the index grows from lane to lane along the axis; false: not by a constant. */
bool hli_index_step(const hl_kernel *k, hli_value v, hli_axis axis, int64_t *step);

/* Do the two accesses touch different elements, because one dimension is indexed by slices that do not meet? */
bool hli_index_apart(const hl_kernel *k, const hli_access *a, const hli_access *b);

#endif
