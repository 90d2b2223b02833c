/* host.h: the CPU family's own state and emitters. */
#ifndef HLC_HOST_H
#define HLC_HOST_H

#include "codegen/emit.h"

typedef struct hlc_host {
  uint32_t lanes;        /* elements of one register: the target's vector of 4-byte elements */
  LLVMValueRef scratch;  /* this thread's buffers */
  uint64_t scratch_used; /* by the buffers emitted so far */
  bool streaming;        /* non-temporal stores are wanted; their tensors must be 64-byte aligned */
  LLVMValueRef aligned;  /* i1: they are, else plain stores are to be done; NULL: they are known to be */
} hlc_host;

static inline hlc_host *hlc_host_of(hlc_emit *e) { return e->state; }

/* host_memory.c */
void hlc_host_load(hlc_emit *e, hli_op op);
void hlc_host_atomic(hlc_emit *e, hli_op op);
void hlc_host_store(hlc_emit *e, hli_op op);
void hlc_host_prefetch(hlc_emit *e, hli_op op);
void hlc_host_buffer(hlc_emit *e, hli_op op);
void hlc_host_fence(hlc_emit *e, hli_op op);
void hlc_host_entry_fence(hlc_emit *e); /* behind the programs of an entry that has streaming stores */
/* Is op a store marked as streaming to a tensor whose alignment is only known when it runs? */
bool hlc_host_wants_alignment(const hlc_emit *e, hli_op op);

/* host_single.c */
void hlc_host_single_stores(hlc_emit *e);

/* host_dot.c */
void hlc_host_group(hlc_emit *e, hli_op op);
void hlc_host_group_dot(hlc_emit *e, hli_op op);
void hlc_host_transpose_lanes(hlc_emit *e, hli_op op);

/* host_vector.c */
void hlc_host_lane_mask(hlc_emit *e, hli_op op);
void hlc_host_iota(hlc_emit *e, hli_op op);
void hlc_host_reduce(hlc_emit *e, hli_op op);
void hlc_host_window(hlc_emit *e, hli_op op);

/* host_x86.c: AVX-512 forms; NULL where there is none */
LLVMValueRef hlc_x86_scale(hlc_emit *e, LLVMValueRef p, LLVMValueRef n);
bool hlc_x86_split(hlc_emit *e, LLVMValueRef x, LLVMValueRef *exponent, LLVMValueRef *mantissa);
LLVMValueRef hlc_x86_extremum(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args);
/* The smallest or largest lane of n registers. */
LLVMValueRef hlc_x86_reduce_extremum(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *regs, uint32_t n);

/* host_link.c: a relocatable object to a shared object that depends on nothing. */
hl_status hlc_host_link(hlc_emit *e, const hl_blob *object, hl_blob **out);

#endif
