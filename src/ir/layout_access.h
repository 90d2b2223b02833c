/* layout_access.h: facts about indices and addresses that layouts and emission share. */
#ifndef HLI_LAYOUT_ACCESS_H
#define HLI_LAYOUT_ACCESS_H

#include "src/ir/ir.h"

/* A number that the i64 scalar is certainly a multiple of; 0 if it is certainly 0. */
int64_t hli_known_multiple(const hl_kernel *k, hli_value v);
bool hli_depends_on_program(const hl_kernel *k, hli_value v);
/* Is no lane of the tile (a `range`) beyond its end?  Relies on the schedule's contract: grid tiles and
 * induction variables exist only below their end. */
bool hli_range_inside(const hl_kernel *k, hli_value tile);
/* Scheduled kernels: the range of this axis in the innermost block around (or equal to) `where`; 0: none. */
hli_value hli_range_around(const hl_kernel *k, hli_axis axis, hli_block where);

/* The tensor dimension with stride 1 that contributes a dimension of the value; -1: none. */
int hli_access_unit_dim(const hl_kernel *k, const hli_access *a);
/* How many neighbours along that dimension one instruction of at most limit_bytes may move: a power of two by
 * which every address of the access is aligned when its lanes start at a multiple of it. */
uint32_t hli_access_vector(const hl_kernel *k, const hli_access *a, uint32_t limit_bytes);

#endif
