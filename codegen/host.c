/* host.c: a LOOP kernel to a shared object for the CPU.
 *
 *     void NAME(const void *block, int64_t begin, int64_t end, void *scratch)
 *
 * reads the parameter block once and runs programs [begin, end): each is a call of an internal
 * function NAME.program whose tensors are `noalias` arguments.
 *
 * When some stores are to bypass the cache but their tensor's alignment is known only at run time, there are two
 * versions of that function; or, when it is a large one, which would take long to compile twice, both ways to store
 * are in it (host_memory.c). */
#include <stdio.h>
#include "codegen/host.h"

/* ---- types ------------------------------------------------------------------------------ */

static LLVMTypeRef register_type(hlc_emit *e, hli_type type, uint32_t *count) {
  const hli_type_data *t = hli_type_get(e->k, type);
  LLVMTypeRef scalar = hlc_scalar_type(e, (hl_dtype)t->dtype);
  uint32_t width = hlc_host_of(e)->lanes;
  *count = 1;
  if (t->kind != HLI_TYPE_VALUE || t->rank > 1) {
    hlc_fail(e, HL_ERR_INTERNAL, "a value is neither a scalar nor a vector");
    return scalar;
  }
  if (t->rank == 0) return scalar;
  int64_t lanes = hli_axis_lanes(e->k, t->dims[0]);
  if (lanes < 1 || lanes > HLC_MAX_LANES) {
    hlc_fail(e, HL_ERR_LIMIT, "a vector of %lld lanes; at most %d are supported", (long long)lanes, HLC_MAX_LANES);
    return scalar;
  }
  while (width > 4 && lanes % width) /* 24 lanes are three registers of 8 */
    width /= 2;
  if (lanes > width && lanes % width == 0) {
    *count = (uint32_t)lanes / width;
    lanes = width;
  }
  return LLVMVectorType(scalar, (unsigned)lanes);
}

static const hlc_op_fn host_ops[HLI_OP_COUNT] = {
    [HLI_OP_LOAD] = hlc_host_load,           [HLI_OP_STORE] = hlc_host_store, [HLI_OP_ATOMIC] = hlc_host_atomic, [HLI_OP_PREFETCH] = hlc_host_prefetch,
    [HLI_OP_BUFFER] = hlc_host_buffer,       [HLI_OP_FENCE] = hlc_host_fence, [HLI_OP_LANE_MASK] = hlc_host_lane_mask,
    [HLI_OP_IOTA] = hlc_host_iota,           [HLI_OP_REDUCE] = hlc_host_reduce,
    [HLI_OP_GROUP] = hlc_host_group,         [HLI_OP_GROUP_DOT] = hlc_host_group_dot,
    [HLI_OP_TRANSPOSE_LANES] = hlc_host_transpose_lanes,
    [HLI_OP_WINDOW] = hlc_host_window,
};

/* All of these have instructions or inline expansions on x86-64 with AVX2 and on AArch64. */
static const char *const host_intrinsics[] = {
    "llvm.fma",          "llvm.fabs",        "llvm.abs",           "llvm.sqrt",          "llvm.floor",
    "llvm.ceil",         "llvm.trunc",       "llvm.roundeven",     "llvm.maximum",       "llvm.minimum",
    "llvm.smax",         "llvm.smin",        "llvm.umax",          "llvm.umin",          "llvm.fptosi.sat",
    "llvm.fptoui.sat",   "llvm.masked.load", "llvm.masked.store",  "llvm.masked.gather", "llvm.masked.scatter",
    "llvm.prefetch",     "llvm.x86.sse.sfence", "llvm.x86.sse.stmxcsr", "llvm.x86.sse.ldmxcsr",
    "llvm.x86.avx512.mask.scalef.*", "llvm.x86.avx512.mask.range.*", "llvm.x86.avx512.mask.getexp.*",
    "llvm.x86.avx512.mask.getmant.*", "llvm.x86.avx512bf16.dpbf16ps.*", "llvm.x86.avx512.vpdpbusd.*",
    "llvm.x86.avx512.pmaddw.d.512", "llvm.x86.avx2.pmadd.wd", "llvm.x86.sse2.pmadd.wd", NULL,
};

static const hlc_pointwise_fn host_pointwise[HLI_OP_COUNT] = {
    [HLI_OP_MIN] = hlc_x86_extremum,
    [HLI_OP_MAX] = hlc_x86_extremum,
};

static const hlc_family host_family = {.name = "host",
                                       .register_type = register_type,
                                       .ops = host_ops,
                                       .pointwise = host_pointwise,
                                       .intrinsics = host_intrinsics,
                                       .scale = hlc_x86_scale,
                                       .split = hlc_x86_split};

/* ---- functions ------------------------------------------------------------------------------ */

/* Every function carries the CPU, its whole feature list and the width of vectors: without the last two
 * LLVM prefers 256-bit vectors even on CPUs with 512-bit ones. */
static void machine_attributes(hlc_emit *e, LLVMValueRef fn) {
  char *cpu = LLVMGetTargetMachineCPU(e->machine), *features = LLVMGetTargetMachineFeatureString(e->machine);
  char width[16];
  snprintf(width, sizeof width, "%u", 8u * e->target->vector_bytes);
  hlc_fn_attr(e, fn, LLVMAttributeFunctionIndex, "target-cpu", cpu);
  hlc_fn_attr(e, fn, LLVMAttributeFunctionIndex, "target-features", features);
  hlc_fn_attr(e, fn, LLVMAttributeFunctionIndex, "prefer-vector-width", width);
  hlc_fn_attr(e, fn, LLVMAttributeFunctionIndex, "min-legal-vector-width", width);
  hlc_fn_attr_enum(e, fn, LLVMAttributeFunctionIndex, "nounwind", 0);
  hlc_fn_attr_enum(e, fn, LLVMAttributeFunctionIndex, "uwtable", 2);
  if (e->k->allow & HL_ALLOW_FLUSH)
    hlc_fn_attr(e, fn, LLVMAttributeFunctionIndex, "denormal-fp-math", "preserve-sign,preserve-sign");
  LLVMDisposeMessage(cpu);
  LLVMDisposeMessage(features);
}

/* Arguments of NAME.program: the fields, the program id, the scratch memory. */
static LLVMTypeRef program_type(hlc_emit *e) {
  uint32_t n = e->field_count;
  LLVMTypeRef *t = hli_arena_array(&e->arena, LLVMTypeRef, n + 2);
  if (!t) {
    hlc_fail(e, HL_ERR_MEMORY, "out of memory");
    return LLVMFunctionType(e->t_void, NULL, 0, false);
  }
  for (uint32_t i = 0; i < n; i++)
    t[i] = e->fields[i].kind == HLC_FIELD_PTR ? e->t_ptr : hlc_scalar_type(e, (hl_dtype)e->fields[i].dtype);
  t[n] = e->t_i64;
  t[n + 1] = e->t_ptr;
  return LLVMFunctionType(e->t_void, t, n + 2, false);
}

static bool is_stored(const hl_kernel *k, hli_value tensor) {
  for (hli_op op = 1; op < k->ops.len; op++)
    if (!k->ops.data[op].dead && (k->ops.data[op].code == HLI_OP_STORE || k->ops.data[op].code == HLI_OP_ATOMIC) && hli_operand(k, op, 0) == tensor) return true;
  return false;
}

static bool may_alias(const hl_kernel *k, uint32_t p) {
  for (uint32_t q = 0; q < k->params.len; q++)
    if (q != p && (k->params.data[p].may_alias >> q & 1 || k->params.data[q].may_alias >> p & 1)) return true;
  return false;
}

static void argument_attributes(hlc_emit *e, LLVMValueRef fn) {
  for (uint32_t i = 0; i < e->field_count; i++) {
    const hlc_field *f = &e->fields[i];
    if (f->kind != HLC_FIELD_PTR) continue;
    const hli_param *p = &e->k->params.data[f->param];
    if (p->align) hlc_fn_attr_enum(e, fn, i + 1, "align", p->align);
    if (may_alias(e->k, f->param)) continue;
    hlc_fn_attr_enum(e, fn, i + 1, "noalias", 0);
    if (!is_stored(e->k, p->value)) hlc_fn_attr_enum(e, fn, i + 1, "readonly", 0);
  }
  hlc_fn_attr_enum(e, fn, e->field_count + 2, "noalias", 0);
  hlc_fn_attr_enum(e, fn, e->field_count + 2, "align", 64);
}

static void name_argument(hlc_emit *e, LLVMValueRef arg, const hlc_field *f) {
  const hl_kernel *k = e->k;
  char name[96];
  const char *owner = f->kind == HLC_FIELD_SIZE ? k->dims.data[f->dim].name : k->values.data[k->params.data[f->param].value].name;
  if (f->kind == HLC_FIELD_STRIDE) snprintf(name, sizeof name, "%s.stride%u", owner, f->dim);
  else snprintf(name, sizeof name, "%s", owner);
  LLVMSetValueName2(arg, name, strlen(name));
}

/* i1: every tensor with streaming stores is 64-byte aligned; NULL if that is known anyway. */
static LLVMValueRef alignment_test(hlc_emit *e, const LLVMValueRef *fields) {
  LLVMValueRef all = NULL;
  for (uint32_t i = 0; i < e->field_count; i++) {
    bool wanted = false;
    for (hli_op op = 1; e->fields[i].kind == HLC_FIELD_PTR && op < e->k->ops.len && !wanted; op++)
      wanted = !e->k->ops.data[op].dead && hlc_host_wants_alignment(e, op) &&
               hli_operand(e->k, op, 0) == e->k->params.data[e->fields[i].param].value;
    if (!wanted) continue;
    LLVMValueRef address = LLVMBuildPtrToInt(e->b, fields[i], e->t_i64, "");
    all = all ? LLVMBuildOr(e->b, all, address, "") : address;
  }
  if (!all) return NULL;
  LLVMValueRef low = LLVMBuildAnd(e->b, all, hlc_i64(e, 63), "");
  return LLVMBuildICmp(e->b, LLVMIntEQ, low, hlc_i64(e, 0), "aligned");
}

/* The pointers among the arguments, by field, where the test of their alignment looks for them. */
static LLVMValueRef alignment_of_arguments(hlc_emit *e) {
  LLVMValueRef *v = hlc_new_regs(e, e->field_count);
  for (uint32_t i = 0; v && i < e->field_count; i++)
    v[i] = e->fields[i].value;
  return v ? alignment_test(e, v) : NULL;
}

typedef enum stores { STORES_PLAIN, STORES_STREAMING, STORES_BOTH } stores;

static LLVMValueRef emit_program(hlc_emit *e, LLVMTypeRef type, stores kind) {
  char name[160];
  hlc_host *h = hlc_host_of(e);
  snprintf(name, sizeof name, "%.128s.program%s", e->k->name, kind == STORES_STREAMING ? ".streaming" : "");
  LLVMValueRef fn = LLVMAddFunction(e->module, name, type);
  LLVMSetLinkage(fn, LLVMInternalLinkage);
  machine_attributes(e, fn);
  argument_attributes(e, fn);
  e->fn = fn;
  for (uint32_t i = 0; i < e->field_count; i++) {
    e->fields[i].value = LLVMGetParam(fn, i);
    name_argument(e, e->fields[i].value, &e->fields[i]);
    if (e->fields[i].kind == HLC_FIELD_SCALAR) hlc_bind1(e, e->k->params.data[e->fields[i].param].value, e->fields[i].value);
  }
  e->program_id = LLVMGetParam(fn, e->field_count);
  h->scratch = LLVMGetParam(fn, e->field_count + 1);
  h->scratch_used = 0;
  h->streaming = kind != STORES_PLAIN;
  LLVMPositionBuilderAtEnd(e->b, hlc_new_block(e, "entry"));
  h->aligned = kind == STORES_BOTH ? alignment_of_arguments(e) : NULL;
  hlc_emit_block(e, e->k->body);
  LLVMBuildRetVoid(e->b);
  return fn;
}

/* ---- entry ------------------------------------------------------------------------------------- */

static LLVMValueRef *load_fields(hlc_emit *e, LLVMValueRef block) {
  LLVMValueRef *v = hlc_new_regs(e, e->field_count + 2);
  for (uint32_t i = 0; v && i < e->field_count; i++) {
    const hlc_field *f = &e->fields[i];
    LLVMValueRef at = hlc_i64(e, f->offset);
    LLVMValueRef p = LLVMBuildGEP2(e->b, e->t_i8, block, &at, 1, "");
    LLVMTypeRef t = f->kind == HLC_FIELD_PTR ? e->t_ptr : hlc_memory_type(e, (hl_dtype)f->dtype);
    v[i] = LLVMBuildLoad2(e->b, t, p, "");
    if (f->kind == HLC_FIELD_SCALAR) v[i] = hlc_from_memory(e, (hl_dtype)f->dtype, v[i]);
  }
  return v;
}

/* for (pid = begin; pid < end; pid++) program(fields..., pid, scratch); */
static void emit_program_loop(hlc_emit *e, LLVMTypeRef type, LLVMValueRef program, LLVMValueRef *args) {
  LLVMValueRef begin = LLVMGetParam(e->fn, 1), end = LLVMGetParam(e->fn, 2);
  LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b), loop = hlc_new_block(e, "programs"), after = hlc_new_block(e, "done");
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, begin, end, ""), loop, after);
  LLVMPositionBuilderAtEnd(e->b, loop);
  LLVMValueRef pid = LLVMBuildPhi(e->b, e->t_i64, "pid");
  args[e->field_count] = pid;
  args[e->field_count + 1] = LLVMGetParam(e->fn, 3);
  LLVMBuildCall2(e->b, type, program, args, e->field_count + 2, "");
  LLVMValueRef next = LLVMBuildNSWAdd(e->b, pid, hlc_i64(e, 1), "");
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, next, end, ""), loop, after);
  LLVMAddIncoming(pid, (LLVMValueRef[]){begin, next}, (LLVMBasicBlockRef[]){before, loop}, 2);
  LLVMPositionBuilderAtEnd(e->b, after);
}

/* Where subnormals may be flushed the entry switches that on around its programs, which are a function of their own:
 * no arithmetic moves across.  Returns where the caller's mode is kept, NULL where there is nothing to do. */
static LLVMValueRef enter_flush(hlc_emit *e) {
  enum { FLUSH = 0x8040 }; /* results, operands */
  if (!(e->k->allow & HL_ALLOW_FLUSH) || strncmp(LLVMGetTarget(e->module), "x86_64", 6) != 0) return NULL;
  LLVMValueRef saved = LLVMBuildAlloca(e->b, e->t_i32, "saved_mode"), mode = LLVMBuildAlloca(e->b, e->t_i32, "mode");
  hlc_intrinsic(e, "llvm.x86.sse.stmxcsr", NULL, 0, &saved, 1);
  LLVMValueRef bits = LLVMBuildOr(e->b, LLVMBuildLoad2(e->b, e->t_i32, saved, ""), hlc_i32(e, FLUSH), "");
  LLVMBuildStore(e->b, bits, mode);
  hlc_intrinsic(e, "llvm.x86.sse.ldmxcsr", NULL, 0, &mode, 1);
  return saved;
}

static void leave(hlc_emit *e, LLVMValueRef saved) {
  if (saved) hlc_intrinsic(e, "llvm.x86.sse.ldmxcsr", NULL, 0, &saved, 1);
  LLVMBuildRetVoid(e->b);
}

static bool has_streaming_stores(hlc_emit *e) {
  for (hli_op op = 1; op < e->k->ops.len; op++)
    if (!e->k->ops.data[op].dead && e->k->ops.data[op].code == HLI_OP_FENCE) return true;
  return false;
}

/* Where two versions take long to compile: about as many instructions in one. */
static bool is_large(hlc_emit *e) {
  enum { LARGE = 150 };
  uint64_t instructions = 0;
  for (hli_op op = 1; op < e->k->ops.len; op++) {
    const hli_op_data *d = &e->k->ops.data[op];
    uint32_t registers = 1;
    if (d->dead) continue;
    const hli_value result = d->result_count ? hli_result(e->k, op, 0) : 0;
    if (result && hli_type_get(e->k, e->k->values.data[result].type)->kind == HLI_TYPE_VALUE)
      register_type(e, e->k->values.data[result].type, &registers);
    instructions += (uint64_t)registers * hli_op_facts((hli_opcode)d->code)->cost;
  }
  return instructions > LARGE;
}

static void emit_entry(hlc_emit *e) {
  LLVMTypeRef type = program_type(e);
  const bool streams = has_streaming_stores(e), both = streams && is_large(e);
  LLVMValueRef program = emit_program(e, type, both ? STORES_BOTH : streams ? STORES_STREAMING : STORES_PLAIN);
  LLVMTypeRef params[4] = {e->t_ptr, e->t_i64, e->t_i64, e->t_ptr};
  LLVMValueRef fn = LLVMAddFunction(e->module, e->k->name, LLVMFunctionType(e->t_void, params, 4, false));
  machine_attributes(e, fn);
  LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(e->ctx, fn, "entry");
  LLVMPositionBuilderAtEnd(e->b, entry);
  LLVMValueRef *fields = load_fields(e, LLVMGetParam(fn, 0));
  if (hlc_failed(e)) return;
  LLVMValueRef saved = enter_flush(e);
  LLVMValueRef aligned = streams && !both ? alignment_test(e, fields) : NULL;
  e->fn = fn;
  if (aligned) {
    LLVMBasicBlockRef fast = hlc_new_block(e, "streaming"), plain = hlc_new_block(e, "plain");
    LLVMBuildCondBr(e->b, aligned, fast, plain);
    LLVMPositionBuilderAtEnd(e->b, plain);
    LLVMValueRef other = emit_program(e, type, STORES_PLAIN);
    e->fn = fn;
    LLVMPositionBuilderAtEnd(e->b, plain);
    emit_program_loop(e, type, other, fields);
    leave(e, saved);
    LLVMPositionBuilderAtEnd(e->b, fast);
  }
  emit_program_loop(e, type, program, fields);
  if (streams) hlc_host_entry_fence(e);
  leave(e, saved);
}

/* ---- compile -------------------------------------------------------------------------------------- */

/* Short on purpose: the LOOP form is already what the machine should do. */
static const char passes[] = "function(early-cse,instcombine<no-verify-fixpoint>,loop-mssa(licm),simplifycfg)";

static hl_status produce(hlc_emit *e, hl_emit what, hlc_result *out) {
  hlc_module_verify(e);
  hlc_module_run_passes(e, passes);
  hlc_host_single_stores(e);
  if (what == HL_EMIT_LLVM) return hlc_module_text(e, &out->bytes);
  if (what == HL_EMIT_ASM) return hlc_module_emit(e, LLVMAssemblyFile, &out->bytes);
  hl_blob *object = NULL;
  hlc_module_emit(e, LLVMObjectFile, &object);
  hlc_host_link(e, object, &out->bytes);
  hl_blob_release(object);
  out->format = HLC_ELF_SO;
  return e->status;
}

hl_status hlc_host_compile(const hlc_request *request, const hl_kernel *k, const hl_target *target, hl_diag *diag,
                           hlc_result *out) {
  if (k->stage != HLI_STAGE_LOOP)
    return hli_fail(diag, HL_ERR_ARG, "kernel @%s: CPU code is made from the loop stage", k->name);
  if (strlen(k->name) >= sizeof out->entry)
    return hli_fail(diag, HL_ERR_LIMIT, "kernel @%s: the name is longer than %zu characters", k->name, sizeof out->entry - 1);
  hlc_emit e;
  hlc_host host = {.lanes = target->vector_bytes / 4u};
  out->format = HLC_TEXT;
  hlc_emit_init(&e, request, k, target, &host_family, diag);
  e.state = &host;
  e.t_bf16 = e.t_i16; /* LLVM moves a bfloat into a vector through a library call where AVX512-BF16 is missing */
  if (!hlc_failed(&e)) hlc_fields_collect(&e);
  if (!hlc_failed(&e)) emit_entry(&e);
  if (!hlc_failed(&e)) produce(&e, request->emit, out);
  memcpy(out->entry, k->name, strlen(k->name) + 1);
  hlc_emit_free(&e);
  return e.status;
}
