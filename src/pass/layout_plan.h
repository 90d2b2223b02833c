/* layout_plan.h: which layout every value of a scheduled kernel shall have (layout_plan.c, layout_dot.c),
 * made before the `layout` pass rewrites anything. */
#ifndef HLI_LAYOUT_PLAN_H
#define HLI_LAYOUT_PLAN_H

#include "src/ir/layout_access.h"
#include "src/ir/layout_ops.h"
#include "src/pass/pass.h"

/* Values that must agree: operands and results of pointwise ops, what a loop carries.  They have one shape. */
typedef struct hli_layout_class {
  uint32_t rank;
  int64_t shape[HLI_LAYOUT_RANK];
  int64_t elements;
  hli_op dot;                     /* one whose accumulator or operand is in the class; 0: none */
  uint8_t role;                   /* of the class in `dot`: 0 a, 1 b, 2 accumulator */
  uint32_t reduced;               /* bit per dimension that a reduce removes */
  int8_t fast;                    /* dimension along which most of the accessed bytes are contiguous; -1 unknown */
  uint32_t vec;                   /* neighbours per memory instruction along it */
  int64_t bytes[HLI_LAYOUT_RANK]; /* accessed with this dimension contiguous */
  bool accessed, assigned;
  hli_layout layout;
} hli_layout_class;

typedef struct hli_layout_plan {
  const hl_kernel *k;
  const hl_target *target;
  hl_diag *diag;
  uint32_t warps;
  uint32_t *parent;      /* union-find over values */
  hli_layout_class *cls; /* by representative value */
} hli_layout_plan;

/* Everything is allocated in the arena. */
hl_status hli_layout_plan_make(hli_layout_plan *p, hli_arena *arena);
/* The class of a tile value; NULL for scalars. */
hli_layout_class *hli_layout_class_of(hli_layout_plan *p, hli_value v);

/* Where the operand's dimensions go in the result of a transpose or squeeze (-1: dropped). */
bool hli_layout_move_map(const hl_kernel *k, hli_op op, int8_t map[HLI_LAYOUT_RANK]);

/* ---- accesses ---- */

/* The layout in which a load or store is best done. */
bool hli_layout_of_access(const hli_layout_plan *p, hli_op op, const hli_type_data *type, hli_layout *out);
/* Does the access move whole 32-byte sectors in this layout? */
bool hli_layout_good_for(const hli_layout_plan *p, hli_op op, const hli_layout *l);

/* ---- dots (layout_dot.c) ---- */

/* The matrix instruction for a dot, NULL: multiply and add. */
const hli_matrix_row *hli_layout_matrix_row(const hl_kernel *k, const hl_target *target, hli_op dot);
bool hli_layout_of_accumulator(const hl_kernel *k, const hl_target *target, hli_op dot, uint32_t warps,
                               hli_layout *out);
bool hli_layout_of_operand(const hl_kernel *k, const hl_target *target, hli_op dot, const hli_layout *acc,
                           uint32_t which, hli_layout *out);

#endif
