/* verify.h: the verifier's state, shared by verify.c (walk, listing), verify_head.c, verify_op.c and
 * verify_loops.c. */
#ifndef HLI_VERIFY_H
#define HLI_VERIFY_H

#include "src/ir/text.h"

#define HLI_VERIFY_MOST 16 /* complaints that are kept */

typedef struct hli_complaint { hli_op op; const char *text; } hli_complaint;

typedef struct hli_verifier {
  hl_kernel *k;        /* a copy of ours: inference interns types */
  hli_arena arena;
  hli_naming names;
  HLI_VEC(hli_complaint) complaints;
  uint8_t *state;      /* per value: 0 not defined yet, 1 visible, 2 its region is over */
  HLI_VEC(hli_value) visible;
  hli_op loops[HLI_MAX_NESTING + 2]; /* enclosing ops with regions, outermost first */
  uint32_t depth;
  uint32_t visited;    /* ops seen; more than there are means a cycle */
} hli_verifier;

/* op 0: about the kernel as a whole. */
void hli_complain(hli_verifier *v, hli_op op, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
const char *hli_verify_name(const hli_verifier *v, hli_value value); /* "%x" */
const char *hli_verify_type(hli_verifier *v, hli_type type);         /* as printed */

/* Dimensions, axes, layouts, types, parameters, grid.  False if the body cannot be looked at. */
bool hli_verify_head(hli_verifier *v);
/* A type that stands in the body: fits the stage, has its layout. */
void hli_verify_value_type(hli_verifier *v, hli_op op, hli_value value);
/* One op, not its region's contents: ids, attributes, operands, types, arguments of the region.  False if its
 * structure is broken: its region cannot be looked at then. */
bool hli_verify_op(hli_verifier *v, hli_op op);
/* The body of an unscheduled TILE kernel: loops only, no hazards between them. */
void hli_verify_loops(hli_verifier *v);

#endif
