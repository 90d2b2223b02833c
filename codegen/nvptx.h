/* nvptx.h: LANE to LLVM for NVIDIA GPUs: what the files nvptx*.c share.
 *
 * A value is one LLVM register per element that a thread holds.  Coordinates are sums: a part that depends
 * on the thread (computed once per layout in the entry block) and a constant per register; so is every address
 * and every bounds check. */
#ifndef HLC_NVPTX_H
#define HLC_NVPTX_H

#include "codegen/emit.h"
#include "src/ir/layout_access.h"
#include "src/ir/layout_ops.h"

/* A layout as emission needs it. */
typedef struct nv_layout {
  struct nv_layout *next;
  hli_layout l;
  hli_digits digits;
  uint32_t regs;
  LLVMValueRef coord[HLI_LAYOUT_RANK]; /* i32, the thread's part; NULL: 0 */
  LLVMValueRef first_copy;             /* i1: this thread holds the first copy; NULL: there are no others */
  bool first_copy_made;
} nv_layout;

/* A value that is read from shared memory piece by piece where it is needed. */
typedef struct nv_pieces {
  hli_op op; /* the shared_load */
  struct nv_shared *at;
  LLVMValueRef *reg;  /* NULL: not read yet */
  LLVMValueRef *pair; /* i32 of registers 2i, 2i + 1 as ldmatrix delivers them */
  uint32_t n;
} nv_pieces;

typedef struct nv_state {
  LLVMBasicBlockRef entry;
  LLVMValueRef tid, lane, warp; /* i32 */
  LLVMValueRef shared;          /* [0 x i8] in address space 3 */
  nv_layout *layouts;
  nv_layout none;     /* after a failure */
  nv_pieces **pieces; /* by value; NULL: an ordinary value */
} nv_state;

static inline nv_state *nv(hlc_emit *e) {
  return (nv_state *)e->state;
}

/* ---- layouts (nvptx_layout.c) ------------------------------------------------------- */

nv_layout *nv_layout_make(hlc_emit *e, const hli_layout *l);
nv_layout *nv_layout_of(hlc_emit *e, hli_value v); /* of a tile value */
/* The constant part of a register's coordinates. */
void nv_reg_coords(const nv_layout *l, uint32_t reg, int32_t out[HLI_LAYOUT_RANK]);
/* The register with these coordinates, thread parts aside. */
uint32_t nv_find(const nv_layout *l, const int32_t *coords);
/* The thread's coordinate along dim, never NULL. */
LLVMValueRef nv_thread_coord(hlc_emit *e, nv_layout *l, uint32_t dim);
/* i1: this thread holds the first copy of its elements; NULL: always. */
LLVMValueRef nv_first_copy(hlc_emit *e, nv_layout *l);

/* ---- small things -------------------------------------------------------------------- */

LLVMValueRef nv_add(hlc_emit *e, LLVMValueRef a, LLVMValueRef b); /* NULL is 0 */
LLVMValueRef nv_and(hlc_emit *e, LLVMValueRef a, LLVMValueRef b); /* i1; NULL is true */
LLVMValueRef nv_shuffle_xor(hlc_emit *e, LLVMValueRef x, uint32_t mask);
LLVMValueRef nv_shuffle_from(hlc_emit *e, LLVMValueRef x, LLVMValueRef lane);
/* Runs `then` under cond (NULL: always): between begin and end; end leaves the builder behind it. */
typedef struct nv_if {
  LLVMBasicBlockRef before, inside, after;
} nv_if;
nv_if nv_if_begin(hlc_emit *e, LLVMValueRef cond);
void nv_if_end(hlc_emit *e, const nv_if *f);
/* x inside, `otherwise` where the condition was false. */
LLVMValueRef nv_if_value(hlc_emit *e, const nv_if *f, LLVMBasicBlockRef from, LLVMValueRef x, LLVMValueRef otherwise);
LLVMValueRef nv_call(hlc_emit *e, const char *name, const LLVMValueRef *args, uint32_t n); /* not overloaded */

/* ---- global memory (nvptx_access.c) ------------------------------------------------------ */

/* An access prepared for emission: address parts and conditions. */
typedef struct nv_access {
  hli_access a;
  nv_layout *layout;
  hl_dtype dtype;
  uint32_t bytes;                  /* of an element */
  int unit;                        /* tensor dimension with stride 1, -1 none */
  uint32_t vec;                    /* elements per instruction */
  LLVMValueRef pointer;            /* of the thread's register 0 */
  hlc_regs index[HL_MAX_RANK];     /* of integer tiles: one per register */
  LLVMValueRef size[HL_MAX_RANK];  /* of their dimensions; NULL: known to lie inside */
  LLVMValueRef left[HL_MAX_RANK];  /* i32: end - begin - the thread's coordinate; NULL: not checked */
  LLVMValueRef whole[HL_MAX_RANK]; /* i1: the tile lies inside (checks 1 and 2) */
  bool whole_only[HL_MAX_RANK];    /* check 2 */
  bool by_vector[HL_MAX_RANK];     /* vectors lie wholly inside or outside along this dimension */
  LLVMValueRef cond[HL_MAX_RANK];  /* the last condition made, at constant coordinate cond_at */
  int32_t cond_at[HL_MAX_RANK];
  LLVMValueRef last_dim[HL_MAX_RANK]; /* the last conjunction and what it is made of */
  LLVMValueRef last;
  bool last_made;
} nv_access;

void nv_access_open(hlc_emit *e, hli_op op, nv_layout *l, uint32_t check_attr, nv_access *out);
LLVMValueRef nv_access_pointer(hlc_emit *e, const nv_access *x, uint32_t reg);
/* All conditions on one register (vector along the unit dimension); NULL: none. */
LLVMValueRef nv_access_inside(hlc_emit *e, nv_access *x, uint32_t reg);
void nv_emit_atomic(hlc_emit *e, hli_op op); /* nvptx_atomic.c */
void nv_emit_load(hlc_emit *e, hli_op op);
void nv_emit_store(hlc_emit *e, hli_op op);

/* ---- shared memory (nvptx_shared.c, nvptx_async.c) ------------------------------------------- */

/* Addresses of a tile in a shared buffer. */
typedef struct nv_shared {
  hl_dtype dtype;
  uint32_t bytes;
  uint32_t rank;
  int64_t shape[HL_MAX_RANK];
  hli_layout swizzle;
  uint8_t perm[HL_MAX_RANK]; /* value's dimension -> buffer's */
  nv_layout *layout;         /* of the addresses */
  uint32_t vec;              /* neighbours in memory per instruction */
  LLVMValueRef base;         /* pointer to the slot */
  LLVMValueRef row, column;  /* i32, the thread's part; column swizzled by row */
  bool additive;             /* thread and register parts never carry into each other */
  LLVMValueRef moved[64];    /* pointer with the swizzled part c of the column, by c >> vec */
} nv_shared;

void nv_shared_open(hlc_emit *e, hli_value buffer, hli_value slot, nv_layout *l, const uint8_t *perm, nv_shared *out);
/* Address of the element with these constant coordinates (of the value). */
LLVMValueRef nv_shared_pointer(hlc_emit *e, nv_shared *s, const int32_t *coords);
void nv_emit_shared(hlc_emit *e, hli_op op);
void nv_emit_shared_store(hlc_emit *e, hli_op op);
void nv_emit_shared_load(hlc_emit *e, hli_op op);
/* Registers of a value: first makes sure that a register (a pair) of a piecewise value has been read. */
LLVMValueRef nv_need(hlc_emit *e, hli_value v, uint32_t reg);
LLVMValueRef nv_need_pair(hlc_emit *e, hli_value v, uint32_t reg); /* reg even; i32 or NULL: take the registers */
void nv_emit_async_copy(hlc_emit *e, hli_op op);
void nv_emit_async_sync(hlc_emit *e, hli_op op);

/* ---- other ops ---------------------------------------------------------------------------------- */

void nv_emit_mma(hlc_emit *e, hli_op op); /* nvptx_dot.c */
void nv_emit_dot(hlc_emit *e, hli_op op);
void nv_emit_reduce(hlc_emit *e, hli_op op); /* nvptx_mix.c: also partial_reduce */
void nv_emit_broadcast(hlc_emit *e, hli_op op);
void nv_emit_move(hlc_emit *e, hli_op op);
void nv_emit_convert(hlc_emit *e, hli_op op);
extern const hlc_pointwise_fn nv_pointwise[HLI_OP_COUNT]; /* nvptx_math.c */
LLVMValueRef nv_cast(hlc_emit *e, LLVMValueRef x, hl_dtype from, hl_dtype to);

/* ---- the assembler (ptxas.c) ---------------------------------------------------------------------- */

/* Assembles PTX for `cpu`; a capped kernel (nvvm.maxnreg) that spills is assembled again without the cap.
 * HL_ERR_NO_DRIVER where there is no assembler; fills report. */
hl_status hlc_ptxas(const hlc_request *request, const char *cpu, const char *ptx, size_t size, bool capped,
                    hl_diag *diag, hl_blob **cubin, char *report, size_t report_size);

#endif
