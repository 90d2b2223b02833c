/* builder.h: the state behind hl_builder, shared by builder.c and builder_*.c. */
#ifndef HLI_BUILDER_H
#define HLI_BUILDER_H

#define HL_NO_LOCATIONS
#include "src/ir/infer.h"
#include "src/ir/ir.h"

typedef struct hli_loop { /* an open region: tile, if, while, fold, scan */
  hli_op op;
  uint32_t carried;
  bool is_else; /* the second half of an if */
  hli_cursor outer;
  uint32_t keep; /* of a fold: the axes (bits) that its results keep with size 1 */
} hli_loop;

/* A value that promotes weakly.  A float literal is an f32 among its equals, but keeps what the user wrote: next to
 * an f64 it must not have been rounded to f32 before. */
typedef struct hli_literal {
  hli_value value;
  bool is_float;
  double exact; /* of a float */
} hli_literal;

struct hl_builder {
  hl_context *ctx;
  const hl_allocator *alloc;
  hl_kernel *k;
  hli_cursor at; /* where the next op goes, and its location */
  hl_diag diag;  /* the first complaint */
  HLI_VEC(hli_loop) loops;
  HLI_VEC(hli_literal) literals;
};

/* Records the first complaint with the current location; always gives HL_POISON. */
hl_value hli_builder_complain(hl_builder *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
hl_value hli_builder_no_memory(hl_builder *b); /* the same for running out of memory */
/* False (silently) once something is poison, (with a complaint) when v is no value of this kernel. */
bool hli_builder_ok(hl_builder *b, hl_value v);
bool hli_builder_is_value(hl_builder *b, hl_value v, const char *what); /* ok, and not a tile or tensor */
/* Infers, complains or creates; `given` as in hli_infer. */
hl_value hli_builder_op(hl_builder *b, hli_op_desc *d, hli_type given);
const char *hli_builder_closer(hli_opcode code); /* the call that closes a region */
const hli_literal *hli_builder_literal(const hl_builder *b, hl_value v); /* NULL: none */
bool hli_builder_is_literal(const hl_builder *b, hl_value v);
/* Casts (a literal is re-made) and broadcasts NumPy-style, aligned at the last axis, to a type. */
hl_value hli_builder_fit(hl_builder *b, hl_value v, hli_type to);
hl_value hli_builder_truth(hl_builder *b, hl_value v); /* v as bool: v != 0 */
hl_value hli_builder_cast(hl_builder *b, hl_value v, hl_dtype dtype);
/* What floating functions of this dtype compute in: floats of 16 bits and fewer, and integers, use f32. */
hl_dtype hli_builder_compute_dtype(hl_dtype d);
hl_dtype hli_builder_promoted(hl_builder *b, const hl_value *v, uint32_t n); /* of n values; NONE after a complaint */
/* Broadcasts n values to their joint shape; dtypes stay. */
bool hli_builder_same_shape(hl_builder *b, hl_value *v, uint32_t n);
/* Is the innermost open region one of this op, and are its values given?  Else complains. */
bool hli_builder_closes(hl_builder *b, hli_opcode code, const hl_value *next, const hl_value *results);
/* Promotes (HL_DTYPE_NONE) or casts, and broadcasts n operands to one type. */
bool hli_builder_unify(hl_builder *b, hl_value *v, uint32_t n, hl_dtype dtype);

/* ---- indices (builder_index.c) ---- */

/* The indices of one access. */
typedef struct hli_indices {
  char kind[HL_MAX_RANK];        /* per dimension of the tensor: as in the IR */
  hli_value given[HL_MAX_RANK];  /* per dimension */
  hli_value value[HL_MAX_RANK];  /* of all kinds but ':', in order */
  uint32_t count;
  hli_axis want[HL_MAX_RANK];    /* the axes that the user's indices select */
  uint32_t rank;
  uint32_t fixed;                /* bit i: want[i] comes from a size-1 dimension, which broadcasts */
  uint32_t fresh;                /* bit i: want[i] is a new axis of size 1 */
} hli_indices;
bool hli_builder_indices(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, const char *what,
                         hli_indices *x);
/* The axes that the access itself has (those of size-1 dimensions and new ones are absent) and where they stand. */
uint32_t hli_builder_access_axes(const hli_indices *x, hli_axis *axes, int64_t *place);

/* The tile over all of a dimension, made once, before everything else; 0 if no tensor has the dimension (builder_index.c). */
hli_value hli_builder_whole_range(hl_builder *b, hli_dim dim);

#endif
