/* emit.h: what every LLVM back end shares: one compilation (hlc_emit), values as
 * lists of LLVM registers, pointwise operations, control flow, constants, casts,
 * addresses, parameters, and turning a module into text, assembly or an object.
 *
 * An IR value is a list of LLVM values ("registers") of one LLVM type.  Which type and
 * how many is the family's decision (register_type): on the CPU a scalar is one register
 * and a vector is as many registers of the target's width as it needs; on a GPU a
 * whole-tile value is one register per element that a thread holds.  Pointwise ops, `for`,
 * `yield`, constants and casts are emitted once, here, register by register.
 *
 * Errors are sticky: hlc_failed(e) after a call, emission continues harmlessly with poison.
 * Nothing here is global: each compilation has its own LLVM context. */
#ifndef HLC_EMIT_H
#define HLC_EMIT_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include "codegen/codegen.h"
#include "src/ir/ir.h"
#include "src/target/target.h"

#define HLC_MAX_LANES 1024 /* of one register */

typedef struct hlc_emit hlc_emit;

/* Emits one op (scalar, structural, memory ...): binds its results with hlc_bind. */
typedef void (*hlc_op_fn)(hlc_emit *e, hli_op op);
/* Emits a pointwise op on registers of operand dtype `dtype` (scalars or vectors). */
typedef LLVMValueRef (*hlc_pointwise_fn)(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args);

/* A family is data and a few hooks. */
typedef struct hlc_family {
  const char *name;
  /* LLVM type of one register of a value of this IR type, and how many it has. */
  LLVMTypeRef (*register_type)(hlc_emit *e, hli_type type, uint32_t *count);
  /* Emitters by opcode, HLI_OP_COUNT entries; NULL entry: the generic one (hlc_generic_ops). */
  const hlc_op_fn *ops;
  /* Overrides of pointwise emitters by opcode, HLI_OP_COUNT entries; the table or an entry may be NULL. */
  const hlc_pointwise_fn *pointwise;
  /* Cast override; returns NULL to fall back on the generic form. NULL: none. */
  LLVMValueRef (*cast)(hlc_emit *e, LLVMValueRef x, hl_dtype from, hl_dtype to);
  /* Names (or prefixes ending in '*') of the intrinsics this back end can select; NULL-terminated.
   * Anything else is refused with HL_ERR_INTERNAL: LLVM aborts the process on what it cannot select. */
  const char *const *intrinsics;
  /* p * 2^n, rounded once, for an n that is a whole number in p's type; NULL (or returns NULL): integer
   * arithmetic on the exponent. */
  LLVMValueRef (*scale)(hlc_emit *e, LLVMValueRef p, LLVMValueRef n);
  /* x = 2^exponent * mantissa with a mantissa in [1, 2), for subnormals too; 0 is 2^-inf, infinity 2^inf, and the mantissa
   * of NaN and of what is below 0 is NaN.  NULL (or returns false): integer arithmetic and comparisons. */
  bool (*split)(hlc_emit *e, LLVMValueRef x, LLVMValueRef *exponent, LLVMValueRef *mantissa);
} hlc_family;

/* The registers of one IR value. */
typedef struct hlc_regs {
  LLVMValueRef *r;
  uint32_t n;
} hlc_regs;

/* One field of the parameter block (CPU) or one kernel parameter (GPU), in the order of the contract:
 * per parameter a pointer or a scalar, then dynamic dimensions, then runtime strides. */
typedef enum hlc_field_kind { HLC_FIELD_PTR, HLC_FIELD_SCALAR, HLC_FIELD_SIZE, HLC_FIELD_STRIDE } hlc_field_kind;
typedef struct hlc_field {
  uint8_t kind;       /* hlc_field_kind */
  uint8_t dtype;      /* HL_I64 for sizes and strides; HL_DTYPE_NONE for pointers */
  uint32_t param;     /* index into kernel.params (PTR, SCALAR, STRIDE) */
  uint32_t dim;       /* STRIDE: the tensor's dimension; SIZE: the hli_dim */
  uint32_t offset;    /* bytes, natural C struct layout */
  LLVMValueRef value; /* set by the family before the body is emitted; bool as i1 */
} hlc_field;

struct hlc_emit {
  const hl_allocator *alloc;
  const hl_kernel *k;
  const hl_target *target;
  const hlc_family *family;
  void *state;             /* the family's own */
  hl_diag *diag;
  hl_status status;
  hli_arena arena;         /* lives as long as the compilation */
  LLVMContextRef ctx;
  LLVMModuleRef module;
  LLVMTargetMachineRef machine;
  LLVMBuilderRef b;
  LLVMValueRef fn;         /* the function being built */
  LLVMTypeRef t_void, t_i1, t_i8, t_i16, t_i32, t_i64, t_f16, t_bf16, t_f32, t_f64, t_ptr;
  hlc_regs *values;        /* by hli_value */
  hlc_field *fields;
  uint32_t field_count;
  LLVMValueRef program_id; /* i64 */
};

/* ---- life (emit.c) ------------------------------------------------------------------ */

/* Makes context, module, builder, target machine.  `e` is zeroed by this. */
hl_status hlc_emit_init(hlc_emit *e, const hlc_request *request, const hl_kernel *k, const hl_target *target,
                        const hlc_family *family, hl_diag *diag);
void hlc_emit_free(hlc_emit *e);
/* Records the first failure. Returns the status so that `return hlc_fail(...)` works. */
hl_status hlc_fail(hlc_emit *e, hl_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static inline bool hlc_failed(const hlc_emit *e) { return e->status != HL_OK; }

/* ---- types and values (emit.c) ---------------------------------------------------------- */

LLVMTypeRef hlc_scalar_type(hlc_emit *e, hl_dtype dtype);  /* in registers: bool is i1 */
LLVMTypeRef hlc_memory_type(hlc_emit *e, hl_dtype dtype);  /* in memory: bool is i8 */
uint32_t hlc_lanes(LLVMValueRef x);                        /* 1 for a scalar */
LLVMTypeRef hlc_like(LLVMTypeRef scalar, LLVMValueRef x);  /* `scalar` with as many lanes as x */
LLVMValueRef hlc_undef(hlc_emit *e, LLVMTypeRef t);        /* poison, after a failure */
/* Registers of an IR value; fails (and gives poison) if nothing was bound. */
hlc_regs hlc_get(hlc_emit *e, hli_value v);
LLVMValueRef hlc_get1(hlc_emit *e, hli_value v);           /* the only register, e.g. of a scalar */
LLVMValueRef *hlc_new_regs(hlc_emit *e, uint32_t n);       /* from the arena; NULL (and failed) out of memory */
void hlc_bind(hlc_emit *e, hli_value v, const LLVMValueRef *regs, uint32_t n);
void hlc_bind1(hlc_emit *e, hli_value v, LLVMValueRef r);

LLVMValueRef hlc_i64(hlc_emit *e, int64_t x);
LLVMValueRef hlc_i32(hlc_emit *e, int32_t x);
LLVMValueRef hlc_bits(hlc_emit *e, hl_dtype dtype, uint64_t bits); /* scalar constant from raw bits */
LLVMValueRef hlc_splat(hlc_emit *e, LLVMValueRef scalar, uint32_t lanes); /* lanes 1: scalar itself */
LLVMValueRef hlc_const_like(hlc_emit *e, LLVMTypeRef scalar_or_vector, uint64_t bits); /* integer types: value; float types: raw bits */
LLVMValueRef hlc_f32_like(hlc_emit *e, LLVMValueRef x, double value); /* f32/f64 constant of x's type */

/* Calls an intrinsic of the family's whitelist, overloaded on `types`. */
LLVMValueRef hlc_intrinsic(hlc_emit *e, const char *name, const LLVMTypeRef *types, uint32_t type_count,
                           const LLVMValueRef *args, uint32_t arg_count);
void hlc_fn_attr(hlc_emit *e, LLVMValueRef fn, unsigned where, const char *name, const char *value); /* string attribute */
void hlc_fn_attr_enum(hlc_emit *e, LLVMValueRef fn, unsigned where, const char *name, uint64_t value);

/* ---- pointwise (emit_pointwise.c, emit_int.c, emit_cast.c, math.c) ---------------------------- */

/* One register of a pointwise op: family override, else generic.  Floats of 16 and 8 bits are computed in f32. */
LLVMValueRef hlc_pointwise(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args);
LLVMValueRef hlc_cast(hlc_emit *e, LLVMValueRef x, hl_dtype from, hl_dtype to);
/* Between f32 and the 8-bit formats, in integer arithmetic (emit_f8.c). */
LLVMValueRef hlc_f8_widen(hlc_emit *e, LLVMValueRef x, hl_dtype from);
LLVMValueRef hlc_f8_narrow(hlc_emit *e, LLVMValueRef x, hl_dtype to);
/* The generic table, by opcode (NULL: not pointwise). */
extern const hlc_pointwise_fn hlc_pointwise_table[HLI_OP_COUNT];

/* f32 or f64 functions in IR, scalar or vector, by family (math*.c). */
LLVMValueRef hlc_math_exponential(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args);
LLVMValueRef hlc_math_logarithm(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args);
LLVMValueRef hlc_math_trig(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args);
LLVMValueRef hlc_math_arc(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args);
LLVMValueRef hlc_math_error(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args);
LLVMValueRef hlc_math_pow(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args);
LLVMValueRef hlc_math_inverse(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args);
LLVMValueRef hlc_math_gamma(hlc_emit *e, hli_opcode code, hl_dtype dtype, const LLVMValueRef *args);
LLVMValueRef hlc_fma(hlc_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);

/* ---- parameters and addresses (emit_memory.c) ---------------------------------------------------- */

/* Fills e->fields (values still NULL). */
void hlc_fields_collect(hlc_emit *e);
LLVMValueRef hlc_param_pointer(hlc_emit *e, uint32_t param);
/* Size / element stride of a tensor or buffer dimension: a constant where known, else a field. */
LLVMValueRef hlc_size(hlc_emit *e, hli_value base, uint32_t dim);
LLVMValueRef hlc_stride(hlc_emit *e, hli_value base, uint32_t dim);
int64_t hlc_known_size(hlc_emit *e, hli_value base, uint32_t dim);   /* -1: unknown */
int64_t hlc_known_stride(hlc_emit *e, hli_value base, uint32_t dim); /* -1: unknown */
/* sum(index[d] * stride[d]) in elements, i64; NULL entries count as 0. */
LLVMValueRef hlc_element_offset(hlc_emit *e, hli_value base, const LLVMValueRef *index);
LLVMValueRef hlc_element_ptr(hlc_emit *e, LLVMValueRef pointer, hl_dtype dtype, LLVMValueRef offset);
/* Between memory form and register form of bool (i8 / i1); other dtypes are unchanged. */
LLVMValueRef hlc_from_memory(hlc_emit *e, hl_dtype dtype, LLVMValueRef x);
LLVMValueRef hlc_to_memory(hlc_emit *e, hl_dtype dtype, LLVMValueRef x);

/* ---- atomics (emit_atomic.c) ------------------------------------------------------------------------ */

/* One element read, combined and written in one step; scalars. */
typedef struct hlc_atomic_step {
  hl_atomic_op op;
  hl_memory_order order;
  hl_dtype dtype;
  LLVMValueRef address, value, expected; /* expected: of cas, else NULL */
  bool device;                           /* of a GPU: seen by its own threads only; adds floats itself */
} hlc_atomic_step;
LLVMValueRef hlc_atomic(hlc_emit *e, const hlc_atomic_step *a); /* what was there before */

/* ---- ops and regions (emit_ops.c) ------------------------------------------------------------------ */

/* Emits all ops of a block in order through family->ops / hlc_generic_ops. */
void hlc_emit_block(hlc_emit *e, hli_block block);
/* const, pointwise families, cast, broadcast of a scalar, size, program_id, for, yield. */
extern const hlc_op_fn hlc_generic_ops[HLI_OP_COUNT];
LLVMBasicBlockRef hlc_new_block(hlc_emit *e, const char *name); /* appended to e->fn */

/* ---- module to bytes (emit_module.c) ------------------------------------------------------------------ */

/* e->machine from the target's triple, cpu and features ("" = the host's); sets the module's triple and layout. */
hl_status hlc_machine_create(hlc_emit *e);
hl_status hlc_module_verify(hlc_emit *e); /* a complaint is a defect of ours: HL_ERR_INTERNAL */
hl_status hlc_module_text(hlc_emit *e, hl_blob **out);
hl_status hlc_module_run_passes(hlc_emit *e, const char *passes); /* e.g. "function(early-cse)" */
hl_status hlc_module_emit(hlc_emit *e, LLVMCodeGenFileType kind, hl_blob **out); /* assembly or relocatable object */

/* ---- families ----------------------------------------------------------------------------------------- */

/* Compile an already parsed kernel. */
hl_status hlc_host_compile(const hlc_request *request, const hl_kernel *k, const hl_target *target, hl_diag *diag,
                           hlc_result *out);
hl_status hlc_nvptx_compile(const hlc_request *request, const hl_kernel *k, const hl_target *target, hl_diag *diag,
                            hlc_result *out);

#endif
