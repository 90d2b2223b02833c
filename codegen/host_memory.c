/* host_memory.c: loads, stores, prefetches and buffers of CPU kernels.
 *
 * Indices at LOOP are never negative (loopnest resolves those).  A `v` index of a dimension with stride 1
 * is one vector access per register; any other stride is a gather or scatter, and so is a `g` index. */
#include "codegen/host.h"
#include "src/pass/loopnest.h"

enum { ATTR_CACHE = 3, CACHE_STREAM = 1, STREAM_ALIGN = 64, STREAM_LEAST = 64 };

/* f16 and bf16 travel as 16-bit integers: masked accesses of them exist. */
static LLVMTypeRef memory_type(hlc_emit *e, hl_dtype d) {
  return d == HL_F16 || d == HL_BF16 ? e->t_i16 : hlc_memory_type(e, d);
}
static LLVMValueRef from_memory(hlc_emit *e, hl_dtype d, LLVMValueRef x) {
  if (d == HL_F16 || d == HL_BF16) return LLVMBuildBitCast(e->b, x, hlc_like(hlc_scalar_type(e, d), x), "");
  return hlc_from_memory(e, d, x);
}
static LLVMValueRef to_memory(hlc_emit *e, hl_dtype d, LLVMValueRef x) {
  if (d == HL_F16 || d == HL_BF16) return LLVMBuildBitCast(e->b, x, hlc_like(e->t_i16, x), "");
  return hlc_to_memory(e, d, x);
}

/* An access taken apart: one base address, and how the vector dimension runs. */
typedef struct access {
  hli_access a;
  hl_dtype dtype;
  LLVMTypeRef element;
  LLVMValueRef address;  /* of lane 0 */
  LLVMValueRef stride;   /* elements between lanes */
  hlc_regs index[HL_MAX_RANK]; /* of integer vectors: what lane and register add to the address */
  bool is_vector, contiguous, gathers;
  uint32_t align;        /* of the address, known */
} access;

static LLVMValueRef base_pointer(hlc_emit *e, hli_value base) {
  if (hli_type_of(e->k, base)->kind == HLI_TYPE_BUFFER) return hlc_get1(e, base);
  for (uint32_t p = 0; p < e->k->params.len; p++)
    if (e->k->params.data[p].value == base) return hlc_param_pointer(e, p);
  hlc_fail(e, HL_ERR_INTERNAL, "access to something that is neither a tensor nor a buffer");
  return hlc_undef(e, e->t_ptr);
}

static uint32_t base_align(const hlc_emit *e, hli_value base) {
  const hli_type_data *t = hli_type_of(e->k, base);
  if (t->kind == HLI_TYPE_BUFFER) return 64;
  for (uint32_t p = 0; p < e->k->params.len; p++)
    if (e->k->params.data[p].value == base && e->k->params.data[p].align) return e->k->params.data[p].align;
  return hl_dtype_size((hl_dtype)t->dtype);
}

/* Largest power of two up to 64 that divides the offset in bytes, as far as is known. */
static uint32_t offset_align(hlc_emit *e, const hli_access *a, uint32_t size) {
  uint64_t bits = STREAM_ALIGN;
  for (uint32_t d = 0; d < a->rank; d++) {
    if (a->kind[d] == 'g') return size;
    int64_t stride = hlc_known_stride(e, a->base, d), index = hli_multiple_of(e->k, a->index[d]);
    bits |= index == 0 ? 0 : stride < 0 ? size : (uint64_t)(index * stride) * size;
  }
  return (uint32_t)(bits & -bits);
}

static access take_apart(hlc_emit *e, hli_op op) {
  access x = {0};
  LLVMValueRef index[HL_MAX_RANK] = {0};
  hli_access_get(e->k, op, &x.a);
  x.dtype = (hl_dtype)hli_type_of(e->k, x.a.base)->dtype;
  x.element = memory_type(e, x.dtype);
  for (uint32_t d = 0; d < x.a.rank; d++) {
    if (x.a.kind[d] == 'g') {
      x.index[d] = hlc_get(e, x.a.index[d]);
      x.is_vector = x.gathers = true;
      continue;
    }
    index[d] = hlc_get1(e, x.a.index[d]);
    if (x.a.kind[d] != 'v') continue;
    if (x.is_vector) hlc_fail(e, HL_ERR_INTERNAL, "an access with two vector dimensions");
    x.is_vector = true;
    x.contiguous = hlc_known_stride(e, x.a.base, d) == 1;
    x.stride = hlc_stride(e, x.a.base, d);
  }
  x.address = hlc_element_ptr(e, base_pointer(e, x.a.base), x.dtype, hlc_element_offset(e, x.a.base, index));
  x.align = HLI_MIN(base_align(e, x.a.base), offset_align(e, &x.a, hl_dtype_size(x.dtype)));
  return x;
}

/* Addresses of the lanes of register r: every integer vector adds its own. */
static LLVMValueRef gathered_address(hlc_emit *e, const access *x, uint32_t r) {
  LLVMValueRef sum = NULL;
  for (uint32_t d = 0; d < x->a.rank; d++) {
    if (!x->index[d].r) continue;
    LLVMValueRef term = x->index[d].r[r];
    if (hlc_known_stride(e, x->a.base, d) != 1)
      term = LLVMBuildMul(e->b, term, hlc_splat(e, hlc_stride(e, x->a.base, d), hlc_lanes(term)), "");
    sum = sum ? LLVMBuildAdd(e->b, sum, term, "") : term;
  }
  return LLVMBuildGEP2(e->b, x->element, x->address, &sum, 1, "");
}

/* Address of register r of `lanes` elements: a pointer, or a vector of pointers when strided. */
static LLVMValueRef register_address(hlc_emit *e, const access *x, uint32_t r, uint32_t lanes) {
  LLVMValueRef first = hlc_i64(e, (int64_t)r * lanes);
  if (x->gathers) return gathered_address(e, x, r);
  if (x->contiguous) return hlc_element_ptr(e, x->address, x->dtype, first);
  LLVMValueRef steps[HLC_MAX_LANES];
  for (uint32_t i = 0; i < lanes; i++)
    steps[i] = hlc_i64(e, (int64_t)r * lanes + i);
  LLVMValueRef strides = hlc_splat(e, x->stride, lanes);
  LLVMValueRef offsets = LLVMBuildMul(e->b, LLVMConstVector(steps, lanes), strides, "");
  return LLVMBuildGEP2(e->b, x->element, x->address, &offsets, 1, "");
}

static LLVMValueRef all_lanes(hlc_emit *e, uint32_t lanes) { return hlc_splat(e, LLVMConstInt(e->t_i1, 1, false), lanes); }

static bool all_true(LLVMValueRef mask) { return !mask || (LLVMIsConstant(mask) && LLVMConstAllOnes(LLVMTypeOf(mask)) == mask); }

/* ---- load -------------------------------------------------------------------------------- */

static LLVMValueRef load_register(hlc_emit *e, const access *x, LLVMTypeRef t, LLVMValueRef where, LLVMValueRef mask,
                                  LLVMValueRef other) {
  if (x->contiguous && all_true(mask)) {
    LLVMValueRef v = LLVMBuildLoad2(e->b, t, where, "");
    LLVMSetAlignment(v, x->align);
    return v;
  }
  uint32_t lanes = LLVMGetVectorSize(t);
  LLVMTypeRef types[2] = {t, LLVMTypeOf(where)};
  LLVMValueRef args[3] = {where, mask ? mask : all_lanes(e, lanes), other ? other : LLVMConstNull(t)};
  return hlc_intrinsic(e, x->contiguous ? "llvm.masked.load" : "llvm.masked.gather", types, 2, args, 3);
}

static void load_scalar(hlc_emit *e, const access *x, hli_value result) {
  LLVMValueRef v = LLVMBuildLoad2(e->b, x->element, x->address, "");
  LLVMSetAlignment(v, hl_dtype_size(x->dtype));
  hlc_bind1(e, result, from_memory(e, x->dtype, v));
  if (x->a.mask || x->a.other) hlc_fail(e, HL_ERR_INTERNAL, "a masked load of a scalar");
}

void hlc_host_load(hlc_emit *e, hli_op op) {
  access x = take_apart(e, op);
  hli_value result = hli_result(e->k, op, 0);
  uint32_t count = 1;
  LLVMTypeRef t = e->family->register_type(e, e->k->values.data[result].type, &count);
  if (hlc_failed(e)) return;
  if (!x.is_vector) {
    load_scalar(e, &x, result);
    return;
  }
  uint32_t lanes = LLVMGetVectorSize(t);
  hlc_regs mask = x.a.mask ? hlc_get(e, x.a.mask) : (hlc_regs){0}, other = x.a.other ? hlc_get(e, x.a.other) : (hlc_regs){0};
  LLVMValueRef *regs = hlc_new_regs(e, count);
  for (uint32_t r = 0; !hlc_failed(e) && r < count; r++) {
    LLVMValueRef fill = other.r ? to_memory(e, x.dtype, other.r[r]) : NULL;
    LLVMValueRef v = load_register(e, &x, LLVMVectorType(x.element, lanes), register_address(e, &x, r, lanes),
                                   mask.r ? mask.r[r] : NULL, fill);
    regs[r] = from_memory(e, x.dtype, v);
  }
  e->values[result] = (hlc_regs){regs, count};
}

/* ---- store --------------------------------------------------------------------------------- */

static bool is_streaming(const hlc_emit *e, hli_op op) {
  return e->k->ops.data[op].code == HLI_OP_STORE && hli_attr_or(e->k, op, ATTR_CACHE, 0, 0) == CACHE_STREAM;
}

bool hlc_host_wants_alignment(const hlc_emit *e, hli_op op) {
  return is_streaming(e, op) && base_align(e, hli_operand(e->k, op, 0)) < STREAM_ALIGN;
}

static void mark_nontemporal(hlc_emit *e, LLVMValueRef store) {
  LLVMMetadataRef one = LLVMValueAsMetadata(hlc_i32(e, 1));
  LLVMMetadataRef node = LLVMMDNodeInContext2(e->ctx, &one, 1);
  unsigned kind = LLVMGetMDKindIDInContext(e->ctx, "nontemporal", 11);
  LLVMSetMetadata(store, kind, LLVMMetadataAsValue(e->ctx, node));
}

/* Leading true lanes of a constant mask that has no others; -1 if the mask is no such thing. */
static int known_prefix(LLVMValueRef mask, uint32_t lanes) {
  if (!mask || !LLVMIsConstant(mask)) return -1;
  int n = 0;
  for (uint32_t i = 0; i < lanes; i++) {
    LLVMValueRef bit = LLVMGetAggregateElement(mask, i);
    if (!bit || !LLVMIsAConstantInt(bit)) return -1;
    if (!LLVMConstIntGetZExtValue(bit)) continue;
    if (n != (int)i) return -1;
    n++;
  }
  return n;
}

/* The first n lanes, without a mask: LLVM 22 turns a masked store of a truncated vector whose constant mask
 * has one lane into a store of the untruncated element. */
static void store_prefix(hlc_emit *e, const access *x, LLVMValueRef value, LLVMValueRef where, int n) {
  LLVMValueRef index[HLC_MAX_LANES];
  for (int i = 0; i < n; i++)
    index[i] = hlc_i32(e, i);
  if (n == 0) return;
  LLVMValueRef part = n == 1 ? LLVMBuildExtractElement(e->b, value, hlc_i32(e, 0), "")
                             : LLVMBuildShuffleVector(e->b, value, LLVMGetPoison(LLVMTypeOf(value)), LLVMConstVector(index, (unsigned)n), "");
  LLVMSetAlignment(LLVMBuildStore(e->b, part, where), hl_dtype_size(x->dtype));
}

static void store_register(hlc_emit *e, const access *x, LLVMValueRef value, LLVMValueRef where, LLVMValueRef mask,
                           uint32_t stream_align) {
  if (x->contiguous && all_true(mask)) {
    LLVMValueRef s = LLVMBuildStore(e->b, value, where);
    LLVMSetAlignment(s, HLI_MAX(x->align, stream_align));
    if (stream_align) mark_nontemporal(e, s);
    return;
  }
  int known = x->contiguous ? known_prefix(mask, hlc_lanes(value)) : -1;
  if (known >= 0) {
    store_prefix(e, x, value, where, known);
    return;
  }
  LLVMTypeRef types[2] = {LLVMTypeOf(value), LLVMTypeOf(where)};
  LLVMValueRef args[3] = {value, where, mask ? mask : all_lanes(e, hlc_lanes(value))};
  hlc_intrinsic(e, x->contiguous ? "llvm.masked.store" : "llvm.masked.scatter", types, 2, args, 3);
}

/* Whole cache lines only; that the base is aligned to 64 is known, or tested where the store is.  Smaller pieces would
 * be stored one by one, and a line that is written in part past the cache and in part through it costs more than both. */
static uint32_t streaming_align(hlc_emit *e, hli_op op, const access *x) {
  if (!hlc_host_of(e)->streaming || !is_streaming(e, op) || !x->contiguous) return 0;
  uint32_t align = offset_align(e, &x->a, hl_dtype_size(x->dtype));
  return align >= STREAM_LEAST ? align : 0;
}

/* Elements of several registers in one. */
static LLVMValueRef joined(hlc_emit *e, const LLVMValueRef *regs, uint32_t n) {
  if (n == 1) return regs[0];
  LLVMValueRef a = joined(e, regs, n / 2), b = joined(e, regs + n / 2, n / 2), index[HLC_MAX_LANES];
  const uint32_t lanes = 2 * hlc_lanes(a);
  for (uint32_t i = 0; i < lanes; i++)
    index[i] = hlc_i32(e, (int32_t)i);
  return LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(index, lanes), "");
}

/* How many registers go into one store that bypasses the cache.  Those of narrow elements fill a part of a register;
 * a store of such a part would be merged with the instruction that narrows, and no longer bypass anything. */
static uint32_t joined_count(const hlc_emit *e, const access *x, hlc_regs value, uint32_t stream) {
  uint32_t n = 1;
  const uint32_t bytes = hlc_lanes(value.r[0]) * hl_dtype_size(x->dtype);
  while (stream && value.n % (2 * n) == 0 && 2 * n * bytes <= e->target->vector_bytes)
    n *= 2;
  return n;
}

static void store_registers(hlc_emit *e, const access *x, hlc_regs value, hlc_regs mask, uint32_t stream) {
  const uint32_t lanes = hlc_lanes(value.r[0]), group = mask.r ? 1 : joined_count(e, x, value, stream);
  for (uint32_t r = 0; r < value.n; r += group)
    store_register(e, x, joined(e, value.r + r, group), register_address(e, x, r, lanes), mask.r ? mask.r[r] : NULL, stream);
}

/* Where the alignment is known only when the kernel runs, both ways to store are there:
 *
 *     if (aligned) { past the cache } else { through it }
 *
 * One branch for all registers of a store.  They are stored one after the other then, not each when it is there, which
 * small kernels feel; the rest of the program is there once. */
static void store_if_aligned(hlc_emit *e, const access *x, hlc_regs value, hlc_regs mask, uint32_t stream) {
  LLVMBasicBlockRef past = hlc_new_block(e, "streaming"), through = hlc_new_block(e, "plain"), after = hlc_new_block(e, "stored");
  LLVMBuildCondBr(e->b, hlc_host_of(e)->aligned, past, through);
  LLVMPositionBuilderAtEnd(e->b, past);
  store_registers(e, x, value, mask, stream);
  LLVMBuildBr(e->b, after);
  LLVMPositionBuilderAtEnd(e->b, through);
  store_registers(e, x, value, mask, 0);
  LLVMBuildBr(e->b, after);
  LLVMPositionBuilderAtEnd(e->b, after);
}

void hlc_host_store(hlc_emit *e, hli_op op) {
  access x = take_apart(e, op);
  hlc_regs value = hlc_get(e, x.a.value), mask = x.a.mask ? hlc_get(e, x.a.mask) : (hlc_regs){0};
  if (hlc_failed(e)) return;
  if (!x.is_vector) {
    LLVMValueRef s = LLVMBuildStore(e->b, to_memory(e, x.dtype, value.r[0]), x.address);
    LLVMSetAlignment(s, hl_dtype_size(x.dtype));
    if (mask.r) hlc_fail(e, HL_ERR_INTERNAL, "a masked store of a scalar");
    return;
  }
  hlc_regs stored = {hlc_new_regs(e, value.n), value.n};
  if (!stored.r) return;
  for (uint32_t r = 0; r < value.n; r++)
    stored.r[r] = to_memory(e, x.dtype, value.r[r]);
  const uint32_t stream = streaming_align(e, op, &x);
  if (stream && hlc_host_of(e)->aligned && hlc_host_wants_alignment(e, op)) store_if_aligned(e, &x, stored, mask, stream);
  else store_registers(e, &x, stored, mask, stream);
}

/* One element, where the mask allows it. */
void hlc_host_atomic(hlc_emit *e, hli_op op) {
  access x = take_apart(e, op);
  if (hlc_failed(e)) return;
  LLVMValueRef value = hlc_get1(e, x.a.value), expected = x.a.expected ? hlc_get1(e, x.a.expected) : NULL;
  const hlc_atomic_step step = {.op = (hl_atomic_op)hli_attr(e->k, op, HLI_ATTR_ATOMIC, 0),
                                .order = (hl_memory_order)hli_attr_or(e->k, op, HLI_ATTR_ORDER, 0, 0),
                                .dtype = x.dtype, .address = x.address, .value = value, .expected = expected};
  if (!x.a.mask) {
    hlc_bind1(e, x.a.result, hlc_atomic(e, &step));
    return;
  }
  LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b), inside = hlc_new_block(e, "atomic"), after = hlc_new_block(e, "after");
  LLVMBuildCondBr(e->b, hlc_get1(e, x.a.mask), inside, after);
  LLVMPositionBuilderAtEnd(e->b, inside);
  LLVMValueRef old = hlc_atomic(e, &step);
  LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
  LLVMBuildBr(e->b, after);
  LLVMPositionBuilderAtEnd(e->b, after);
  LLVMValueRef phi = LLVMBuildPhi(e->b, LLVMTypeOf(old), "");
  LLVMAddIncoming(phi, (LLVMValueRef[]){old, LLVMConstNull(LLVMTypeOf(old))}, (LLVMBasicBlockRef[]){from, before}, 2);
  hlc_bind1(e, x.a.result, phi);
}

/* ---- prefetch, buffer, fence ------------------------------------------------------------------ */

void hlc_host_prefetch(hlc_emit *e, hli_op op) {
  access x = take_apart(e, op);
  LLVMTypeRef t = e->t_ptr;
  LLVMValueRef args[4] = {x.address, hlc_i32(e, 0), hlc_i32(e, 3), hlc_i32(e, 1)}; /* read, keep, data */
  hlc_intrinsic(e, "llvm.prefetch", &t, 1, args, 4);
}

void hlc_host_buffer(hlc_emit *e, hli_op op) {
  hlc_host *h = hlc_host_of(e);
  hli_value v = hli_result(e->k, op, 0);
  LLVMValueRef at = hlc_i64(e, (int64_t)h->scratch_used);
  hlc_bind1(e, v, LLVMBuildGEP2(e->b, e->t_i8, h->scratch, &at, 1, "buffer"));
  h->scratch_used += (uint64_t)hli_buffer_bytes(e->k, e->k->values.data[v].type);
  if (h->scratch_used > e->k->launch.scratch_bytes)
    hlc_fail(e, HL_ERR_INTERNAL, "buffers need %llu bytes, but launch.scratch_bytes is %u",
             (unsigned long long)h->scratch_used, e->k->launch.scratch_bytes);
}

/* Non-temporal stores are ordered by sfence on x86; other stores need nothing.  The entry waits for those of all its
 * programs at once: a fence stands still until the last of them has reached the memory. */
void hlc_host_fence(hlc_emit *e, hli_op op) {
  (void)e;
  (void)op;
}

void hlc_host_entry_fence(hlc_emit *e) {
  if (strncmp(LLVMGetTarget(e->module), "x86_64", 6) == 0)
    hlc_intrinsic(e, "llvm.x86.sse.sfence", NULL, 0, NULL, 0);
}
