/* emit.c: the life of one compilation, LLVM types, registers of values, constants and
 * intrinsic calls.  See emit.h. */
#include <stdio.h>
#include <llvm-c/Target.h>
#include "codegen/emit.h"

/* ---- failures ----------------------------------------------------------------------- */

hl_status hlc_fail(hlc_emit *e, hl_status status, const char *fmt, ...) {
  if (e->status != HL_OK) return e->status;
  char text[HL_DIAG_TEXT];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  e->status = hli_fail(e->diag, status, "kernel @%s for %s: %s", e->k->name, e->target->name, text);
  return e->status;
}

/* LLVM reports what a back end cannot do through this instead of printing or exiting. */
static void on_diagnostic(LLVMDiagnosticInfoRef info, void *user) {
  hlc_emit *e = user;
  if (LLVMGetDiagInfoSeverity(info) != LLVMDSError) return;
  char *text = LLVMGetDiagInfoDescription(info);
  hlc_fail(e, HL_ERR_COMPILE, "LLVM: %s", text ? text : "unknown error");
  LLVMDisposeMessage(text);
}

/* ---- life ------------------------------------------------------------------------------ */

static void make_types(hlc_emit *e) {
  e->t_void = LLVMVoidTypeInContext(e->ctx);
  e->t_i1 = LLVMInt1TypeInContext(e->ctx);
  e->t_i8 = LLVMInt8TypeInContext(e->ctx);
  e->t_i16 = LLVMInt16TypeInContext(e->ctx);
  e->t_i32 = LLVMInt32TypeInContext(e->ctx);
  e->t_i64 = LLVMInt64TypeInContext(e->ctx);
  e->t_f16 = LLVMHalfTypeInContext(e->ctx);
  e->t_bf16 = LLVMBFloatTypeInContext(e->ctx);
  e->t_f32 = LLVMFloatTypeInContext(e->ctx);
  e->t_f64 = LLVMDoubleTypeInContext(e->ctx);
  e->t_ptr = LLVMPointerTypeInContext(e->ctx, 0);
}

hl_status hlc_emit_init(hlc_emit *e, const hlc_request *request, const hl_kernel *k, const hl_target *target,
                        const hlc_family *family, hl_diag *diag) {
  *e = (hlc_emit){.alloc = request->alloc, .k = k, .target = target, .family = family, .diag = diag};
  hli_arena_init(&e->arena, e->alloc);
  e->values = hli_calloc(e->alloc, k->values.len, sizeof *e->values);
  if (!e->values) return hlc_fail(e, HL_ERR_MEMORY, "out of memory");
  e->ctx = LLVMContextCreate();
  LLVMContextSetDiagnosticHandler(e->ctx, on_diagnostic, e);
  make_types(e);
  e->module = LLVMModuleCreateWithNameInContext(k->name, e->ctx);
  e->b = LLVMCreateBuilderInContext(e->ctx);
  return hlc_machine_create(e);
}

void hlc_emit_free(hlc_emit *e) {
  if (e->b) LLVMDisposeBuilder(e->b);
  if (e->module) LLVMDisposeModule(e->module);
  if (e->machine) LLVMDisposeTargetMachine(e->machine);
  if (e->ctx) LLVMContextDispose(e->ctx);
  hli_release(e->alloc, e->values, e->k->values.len * sizeof *e->values);
  hli_arena_free(&e->arena);
}

/* ---- types ---------------------------------------------------------------------------------- */

LLVMTypeRef hlc_scalar_type(hlc_emit *e, hl_dtype dtype) {
  switch (dtype) {
  case HL_BOOL: return e->t_i1;
  case HL_I8:
  case HL_U8:
  case HL_F8E4M3: /* no LLVM type has arithmetic on these: bits, widened before use */
  case HL_F8E5M2:
  case HL_F8E4M3FNUZ:
  case HL_F8E5M2FNUZ:
  case HL_F8E8M0: return e->t_i8;
  case HL_I16:
  case HL_U16: return e->t_i16;
  case HL_I32:
  case HL_U32: return e->t_i32;
  case HL_F16: return e->t_f16;
  case HL_BF16: return e->t_bf16;
  case HL_F32: return e->t_f32;
  case HL_F64: return e->t_f64;
  default: return e->t_i64;
  }
}

LLVMTypeRef hlc_memory_type(hlc_emit *e, hl_dtype dtype) {
  return dtype == HL_BOOL ? e->t_i8 : hlc_scalar_type(e, dtype);
}

uint32_t hlc_lanes(LLVMValueRef x) {
  LLVMTypeRef t = LLVMTypeOf(x);
  return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetVectorSize(t) : 1;
}

static LLVMTypeRef vector_of(LLVMTypeRef scalar, uint32_t lanes) {
  return lanes > 1 ? LLVMVectorType(scalar, lanes) : scalar;
}

/* A vector of one lane stays a vector. */
LLVMTypeRef hlc_like(LLVMTypeRef scalar, LLVMValueRef x) {
  LLVMTypeRef t = LLVMTypeOf(x);
  return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMVectorType(scalar, LLVMGetVectorSize(t)) : scalar;
}

LLVMValueRef hlc_undef(hlc_emit *e, LLVMTypeRef t) {
  (void)e;
  return LLVMGetPoison(t);
}

/* ---- registers of values ------------------------------------------------------------------------ */

LLVMValueRef *hlc_new_regs(hlc_emit *e, uint32_t n) {
  LLVMValueRef *r = hli_arena_array(&e->arena, LLVMValueRef, n ? n : 1);
  if (r) return r;
  hlc_fail(e, HL_ERR_MEMORY, "out of memory for %u registers", n);
  return NULL;
}

void hlc_bind(hlc_emit *e, hli_value v, const LLVMValueRef *regs, uint32_t n) {
  LLVMValueRef *r = hlc_new_regs(e, n);
  if (!r) return;
  memcpy(r, regs, n * sizeof *r);
  e->values[v] = (hlc_regs){r, n};
}

void hlc_bind1(hlc_emit *e, hli_value v, LLVMValueRef r) { hlc_bind(e, v, &r, 1); }

hlc_regs hlc_get(hlc_emit *e, hli_value v) {
  if (!e->values[v].r) hlc_fail(e, HL_ERR_INTERNAL, "value %u is used before it is emitted", v);
  return e->values[v];
}

LLVMValueRef hlc_get1(hlc_emit *e, hli_value v) {
  hlc_regs r = hlc_get(e, v);
  if (r.n == 1) return r.r[0];
  hlc_fail(e, HL_ERR_INTERNAL, "value %u has %u registers where one is needed", v, r.n);
  return hlc_undef(e, hlc_scalar_type(e, hli_dtype_of(e->k, v)));
}

/* ---- constants ------------------------------------------------------------------------------------ */

LLVMValueRef hlc_i64(hlc_emit *e, int64_t x) { return LLVMConstInt(e->t_i64, (unsigned long long)x, true); }
LLVMValueRef hlc_i32(hlc_emit *e, int32_t x) {
  return LLVMConstInt(e->t_i32, (unsigned long long)(int64_t)x, true);
}

static LLVMTypeRef int_of_width(hlc_emit *e, LLVMTypeRef scalar) {
  switch (LLVMGetTypeKind(scalar)) {
  case LLVMHalfTypeKind:
  case LLVMBFloatTypeKind: return e->t_i16;
  case LLVMFloatTypeKind: return e->t_i32;
  case LLVMDoubleTypeKind: return e->t_i64;
  default: return scalar;
  }
}

static LLVMValueRef splat_const(LLVMValueRef c, uint32_t lanes) {
  LLVMValueRef elems[HLC_MAX_LANES];
  for (uint32_t i = 0; i < lanes; i++)
    elems[i] = c;
  return LLVMConstVector(elems, lanes);
}

LLVMValueRef hlc_const_like(hlc_emit *e, LLVMTypeRef t, uint64_t bits) {
  bool is_vector = LLVMGetTypeKind(t) == LLVMVectorTypeKind;
  LLVMTypeRef scalar = is_vector ? LLVMGetElementType(t) : t;
  LLVMTypeRef raw = int_of_width(e, scalar);
  LLVMValueRef c = LLVMConstInt(raw, bits, false);
  if (raw != scalar) c = LLVMConstBitCast(c, scalar);
  return is_vector ? splat_const(c, LLVMGetVectorSize(t)) : c;
}

LLVMValueRef hlc_bits(hlc_emit *e, hl_dtype dtype, uint64_t bits) {
  return hlc_const_like(e, hlc_scalar_type(e, dtype), dtype == HL_BOOL ? bits & 1 : bits);
}

LLVMValueRef hlc_f32_like(hlc_emit *e, LLVMValueRef x, double value) {
  LLVMTypeRef t = LLVMTypeOf(x);
  bool is_vector = LLVMGetTypeKind(t) == LLVMVectorTypeKind;
  LLVMValueRef c = LLVMConstReal(is_vector ? LLVMGetElementType(t) : t, value);
  (void)e;
  return is_vector ? splat_const(c, LLVMGetVectorSize(t)) : c;
}

LLVMValueRef hlc_splat(hlc_emit *e, LLVMValueRef scalar, uint32_t lanes) {
  if (lanes <= 1) return scalar;
  if (LLVMIsConstant(scalar) && !LLVMIsPoison(scalar)) return splat_const(scalar, lanes);
  LLVMTypeRef t = vector_of(LLVMTypeOf(scalar), lanes);
  LLVMValueRef v = LLVMBuildInsertElement(e->b, LLVMGetPoison(t), scalar, hlc_i32(e, 0), "");
  LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(e->t_i32, lanes));
  return LLVMBuildShuffleVector(e->b, v, LLVMGetPoison(t), zeros, "splat");
}

/* ---- intrinsics and attributes ------------------------------------------------------------------------ */

static bool is_allowed(const hlc_emit *e, const char *name) {
  for (const char *const *p = e->family->intrinsics; p && *p; p++) {
    size_t len = strlen(*p);
    if (len && (*p)[len - 1] == '*' ? strncmp(name, *p, len - 1) == 0 : strcmp(name, *p) == 0) return true;
  }
  return false;
}

LLVMValueRef hlc_intrinsic(hlc_emit *e, const char *name, const LLVMTypeRef *types, uint32_t type_count,
                           const LLVMValueRef *args, uint32_t arg_count) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  if (!id || !is_allowed(e, name)) {
    hlc_fail(e, HL_ERR_INTERNAL, "intrinsic %s is not on the list of this back end", name);
    return hlc_undef(e, type_count ? types[0] : e->t_i32);
  }
  LLVMValueRef fn = LLVMGetIntrinsicDeclaration(e->module, id, (LLVMTypeRef *)types, type_count);
  LLVMTypeRef t = LLVMGlobalGetValueType(fn);
  return LLVMBuildCall2(e->b, t, fn, (LLVMValueRef *)args, arg_count, "");
}

void hlc_fn_attr(hlc_emit *e, LLVMValueRef fn, unsigned where, const char *name, const char *value) {
  LLVMAttributeRef a =
      LLVMCreateStringAttribute(e->ctx, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(fn, where, a);
}

void hlc_fn_attr_enum(hlc_emit *e, LLVMValueRef fn, unsigned where, const char *name, uint64_t value) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  if (kind) LLVMAddAttributeAtIndex(fn, where, LLVMCreateEnumAttribute(e->ctx, kind, value));
  else hlc_fail(e, HL_ERR_INTERNAL, "LLVM has no attribute %s", name);
}
