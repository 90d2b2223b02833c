/* nvptx.c: a LANE kernel to LLVM IR, PTX or a cubin for NVIDIA GPUs.
 *
 * One kernel function; its parameters are the fields of the parameter block in order (emit.h).  The entry block
 * holds what depends on the thread alone: lane, warp and the coordinates of every layout. */
#include "codegen/nvptx.h"
#include <stdio.h>

#define PTX_KERNEL 71 /* LLVM's calling convention */

/* The short pipeline: as good as O3 on this code, and five times faster. */
static const char passes[] = "function(early-cse,instcombine<no-verify-fixpoint>,loop-mssa(licm),simplifycfg)";

/* ---- the family ------------------------------------------------------------------------------ */

static LLVMTypeRef register_type(hlc_emit *e, hli_type type, uint32_t *count) {
  const hli_type_data *t = hli_type_get(e->k, type);
  *count = t->kind == HLI_TYPE_VALUE && t->rank ? hli_layout_registers(&e->k->layouts.data[t->layout]) : 1;
  return hlc_scalar_type(e, (hl_dtype)t->dtype);
}

/* A range is its begin and end. */
static void emit_range(hlc_emit *e, hli_op op) {
  LLVMValueRef r[2] = {hlc_get1(e, hli_operand(e->k, op, 0)), hlc_get1(e, hli_operand(e->k, op, 1))};
  if (!hlc_failed(e))
    hlc_bind(e, hli_result(e->k, op, 0), r, 2);
}

static void emit_tile_bound(hlc_emit *e, hli_op op) {
  const hli_value tile = hli_operand(e->k, op, 0);
  const hlc_regs r = hlc_get(e, tile);
  if (r.n < 2)
    return;
  LLVMValueRef v = r.r[0];
  if (e->k->ops.data[op].code == HLI_OP_TILE_END) {
    v = LLVMBuildAdd(e->b, v, hlc_i64(e, hli_axis_lanes(e->k, hli_type_of(e->k, tile)->dims[0])), "");
    v = hlc_intrinsic(e, "llvm.smin", &e->t_i64, 1, (LLVMValueRef[]){v, r.r[1]}, 2);
  }
  hlc_bind1(e, hli_result(e->k, op, 0), v);
}

/* tile_index: begin + coordinate; in_bounds: coordinate < end - begin. */
static void emit_tile_vector(hlc_emit *e, hli_op op) {
  const hli_value v = hli_result(e->k, op, 0);
  const hlc_regs range = hlc_get(e, hli_operand(e->k, op, 0));
  nv_layout *l = nv_layout_of(e, v);
  LLVMValueRef *out = hlc_new_regs(e, l->regs);
  if (hlc_failed(e) || range.n < 2)
    return;
  const bool index = e->k->ops.data[op].code == HLI_OP_TILE_INDEX;
  LLVMValueRef thread = LLVMBuildZExt(e->b, nv_thread_coord(e, l, 0), e->t_i64, "");
  LLVMValueRef base = index ? LLVMBuildAdd(e->b, range.r[0], thread, "")
                            : LLVMBuildSub(e->b, LLVMBuildSub(e->b, range.r[1], range.r[0], ""), thread, "");
  for (uint32_t r = 0; r < l->regs; r++) {
    int32_t c[HLI_LAYOUT_RANK];
    nv_reg_coords(l, r, c);
    LLVMValueRef at = hlc_i64(e, c[0]);
    out[r] = index ? LLVMBuildAdd(e->b, base, at, "") : LLVMBuildICmp(e->b, LLVMIntSLT, at, base, "");
  }
  hlc_bind(e, v, out, l->regs);
}

static const hlc_op_fn nv_ops[HLI_OP_COUNT] = {
    [HLI_OP_RANGE] = emit_range,
    [HLI_OP_TILE_BEGIN] = emit_tile_bound,
    [HLI_OP_TILE_END] = emit_tile_bound,
    [HLI_OP_TILE_INDEX] = emit_tile_vector,
    [HLI_OP_IN_BOUNDS] = emit_tile_vector,
    [HLI_OP_LOAD] = nv_emit_load,
    [HLI_OP_STORE] = nv_emit_store,
    [HLI_OP_ATOMIC] = nv_emit_atomic,
    [HLI_OP_BROADCAST] = nv_emit_broadcast,
    [HLI_OP_TRANSPOSE] = nv_emit_move,
    [HLI_OP_SQUEEZE] = nv_emit_move,
    [HLI_OP_REDUCE] = nv_emit_reduce,
    [HLI_OP_PARTIAL_REDUCE] = nv_emit_reduce,
    [HLI_OP_CONVERT] = nv_emit_convert,
    [HLI_OP_DOT] = nv_emit_dot,
    [HLI_OP_MMA] = nv_emit_mma,
    [HLI_OP_SHARED] = nv_emit_shared,
    [HLI_OP_SHARED_STORE] = nv_emit_shared_store,
    [HLI_OP_SHARED_LOAD] = nv_emit_shared_load,
    [HLI_OP_ASYNC_COPY] = nv_emit_async_copy,
    [HLI_OP_ASYNC_COMMIT] = nv_emit_async_sync,
    [HLI_OP_ASYNC_WAIT] = nv_emit_async_sync,
    [HLI_OP_BARRIER] = nv_emit_async_sync,
};

/* What this back end can select; llvm.exp, log, pow and the like are not here because they abort the process. */
static const char *const nv_intrinsics[] = {
    "llvm.fma",
    "llvm.fabs",
    "llvm.abs",
    "llvm.sqrt",
    "llvm.floor",
    "llvm.ceil",
    "llvm.trunc",
    "llvm.roundeven",
    "llvm.maximum",
    "llvm.minimum",
    "llvm.smax",
    "llvm.smin",
    "llvm.umax",
    "llvm.umin",
    "llvm.fptosi.sat",
    "llvm.fptoui.sat",
    "llvm.nvvm.read.ptx.sreg.tid.x",
    "llvm.nvvm.read.ptx.sreg.ctaid.x",
    "llvm.nvvm.shfl.sync.*",
    "llvm.nvvm.barrier.cta.sync.aligned.all",
    "llvm.nvvm.ex2.approx",
    "llvm.nvvm.ex2.approx.ftz",
    "llvm.nvvm.fma.rn.sat.f",
    "llvm.nvvm.fma.rm.f",
    "llvm.nvvm.ff2bf16x2.rn",
    "llvm.nvvm.ff.to.e4m3x2.rn",
    "llvm.nvvm.ff.to.e5m2x2.rn",
    "llvm.nvvm.e4m3x2.to.f16x2.rn",
    "llvm.nvvm.e5m2x2.to.f16x2.rn",
    "llvm.nvvm.ff2f16x2.rn",
    "llvm.nvvm.rcp.approx.ftz.f",
    "llvm.nvvm.rsqrt.approx.f",
    "llvm.nvvm.mma.m16n8k16.*",
    "llvm.nvvm.mma.m8n8k4.*",
    "llvm.nvvm.mma.m16n8k8.*",
    "llvm.nvvm.f2tf32.rna",
    "llvm.nvvm.ldmatrix.sync.aligned.m8n8.*",
    "llvm.nvvm.cp.async.*",
    NULL,
};

static const hlc_family nv_family = {.name = "nvptx",
                                     .register_type = register_type,
                                     .ops = nv_ops,
                                     .pointwise = nv_pointwise,
                                     .cast = nv_cast,
                                     .intrinsics = nv_intrinsics};

/* ---- the function -------------------------------------------------------------------------------- */

static bool may_alias(const hl_kernel *k, uint32_t p) {
  for (uint32_t q = 0; q < k->params.len; q++)
    if (q != p && ((k->params.data[p].may_alias >> q) & 1 || (k->params.data[q].may_alias >> p) & 1))
      return true;
  return false;
}

static LLVMTypeRef field_type(hlc_emit *e, const hlc_field *f) {
  if (f->kind == HLC_FIELD_PTR)
    return LLVMPointerTypeInContext(e->ctx, 1);
  return hlc_memory_type(e, (hl_dtype)f->dtype);
}

static void pointer_attributes(hlc_emit *e, uint32_t i) {
  const hlc_field *f = &e->fields[i];
  const hli_param *p = &e->k->params.data[f->param];
  const uint32_t align = HLI_MAX(p->align, hl_dtype_size((hl_dtype)hli_type_of(e->k, p->value)->dtype));
  hlc_fn_attr_enum(e, e->fn, i + 1, "align", align);
  if (may_alias(e->k, f->param))
    return;
  hlc_fn_attr_enum(e, e->fn, i + 1, "noalias", 0);
  if (!p->is_output)
    hlc_fn_attr_enum(e, e->fn, i + 1, "readonly", 0);
}

/* The kernel's name as PTX allows it. */
static void entry_name(const hl_kernel *k, char *out, size_t size) {
  size_t n = 0;
  for (const char *s = k->name; *s && n + 1 < size; s++) {
    const bool plain =
        (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9' && n) || *s == '_';
    out[n++] = plain ? *s : '_';
  }
  out[n] = 0;
}

static void number_attribute(hlc_emit *e, const char *name, uint32_t value) {
  char text[16];
  snprintf(text, sizeof text, "%u", value);
  hlc_fn_attr(e, e->fn, LLVMAttributeFunctionIndex, name, text);
}

static void declare_kernel(hlc_emit *e, const char *name) {
  LLVMTypeRef *types = hli_arena_array(&e->arena, LLVMTypeRef, e->field_count + 1);
  if (!types) {
    hlc_fail(e, HL_ERR_MEMORY, "out of memory");
    return;
  }
  for (uint32_t i = 0; i < e->field_count; i++)
    types[i] = field_type(e, &e->fields[i]);
  e->fn = LLVMAddFunction(e->module, name, LLVMFunctionType(e->t_void, types, e->field_count, false));
  LLVMSetFunctionCallConv(e->fn, PTX_KERNEL);
  number_attribute(e, "nvvm.reqntid", 32 * e->k->launch.warps);
  if (e->k->launch.max_nreg)
    number_attribute(e, "nvvm.maxnreg", e->k->launch.max_nreg);
  hlc_fn_attr(e, e->fn, LLVMAttributeFunctionIndex, "target-cpu", e->target->cpu);
  if (e->k->allow & HL_ALLOW_FLUSH)
    hlc_fn_attr(e, e->fn, LLVMAttributeFunctionIndex, "denormal-fp-math-f32", "preserve-sign,preserve-sign");
  hlc_fn_attr_enum(e, e->fn, LLVMAttributeFunctionIndex, "nounwind", 0);
  for (uint32_t i = 0; i < e->field_count; i++)
    if (e->fields[i].kind == HLC_FIELD_PTR)
      pointer_attributes(e, i);
}

static void bind_fields(hlc_emit *e) {
  for (uint32_t i = 0; i < e->field_count; i++) {
    hlc_field *f = &e->fields[i];
    f->value = LLVMGetParam(e->fn, i);
    if (f->kind != HLC_FIELD_SCALAR)
      continue;
    f->value = hlc_from_memory(e, (hl_dtype)f->dtype, f->value);
    hlc_bind1(e, e->k->params.data[f->param].value, f->value);
  }
}

static void declare_shared(hlc_emit *e) {
  nv(e)->shared = LLVMAddGlobalInAddressSpace(e->module, LLVMArrayType2(e->t_i8, 0), "shared_memory", 3);
  LLVMSetLinkage(nv(e)->shared, LLVMExternalLinkage);
  LLVMSetAlignment(nv(e)->shared, 1024);
}

static void emit_function(hlc_emit *e, const char *name) {
  nv_state *s = nv(e);
  hlc_fields_collect(e);
  if (!hlc_failed(e))
    declare_kernel(e, name);
  if (hlc_failed(e))
    return;
  if (e->k->launch.shared_bytes)
    declare_shared(e);
  s->entry = hlc_new_block(e, "entry");
  LLVMBasicBlockRef body = hlc_new_block(e, "body");
  LLVMPositionBuilderAtEnd(e->b, s->entry);
  bind_fields(e);
  s->tid = nv_call(e, "llvm.nvvm.read.ptx.sreg.tid.x", NULL, 0);
  s->lane = LLVMBuildAnd(e->b, s->tid, hlc_i32(e, 31), "lane");
  s->warp = LLVMBuildLShr(e->b, s->tid, hlc_i32(e, 5), "warp");
  e->program_id = LLVMBuildZExt(e->b, nv_call(e, "llvm.nvvm.read.ptx.sreg.ctaid.x", NULL, 0), e->t_i64, "program");
  LLVMBuildBr(e->b, body);
  LLVMPositionBuilderAtEnd(e->b, body);
  hlc_emit_block(e, e->k->body);
  if (!hlc_failed(e))
    LLVMBuildRetVoid(e->b);
}

/* ---- entry ------------------------------------------------------------------------------------------ */

static hl_status finish(hlc_emit *e, const hlc_request *request, hlc_result *out) {
  hl_status s = hlc_module_verify(e);
  if (s == HL_OK)
    s = hlc_module_run_passes(e, passes);
  if (s != HL_OK)
    return s;
  out->format = HLC_TEXT;
  if (request->emit == HL_EMIT_LLVM)
    return hlc_module_text(e, &out->bytes);
  out->format = HLC_PTX;
  s = hlc_module_emit(e, LLVMAssemblyFile, &out->bytes);
  if (s != HL_OK || request->emit == HL_EMIT_ASM)
    return s;
  hl_blob *cubin = NULL;
  s = hlc_ptxas(request, e->target->cpu, hl_blob_data(out->bytes), hl_blob_size(out->bytes), e->k->launch.max_nreg != 0,
                e->diag, &cubin, out->report, sizeof out->report);
  if (s == HL_ERR_NO_DRIVER)
    return HL_OK; /* no assembler: the driver assembles the PTX */
  hl_blob_release(out->bytes);
  out->bytes = cubin;
  out->format = HLC_CUBIN;
  return s;
}

hl_status hlc_nvptx_compile(const hlc_request *request, const hl_kernel *k, const hl_target *target, hl_diag *diag,
                            hlc_result *out) {
  hlc_emit e;
  nv_state state = {.none = {.regs = 1}};
  if (k->stage != HLI_STAGE_LANE || k->launch.warps == 0)
    return hli_fail(diag, HL_ERR_ARG, "kernel %s is not at the LANE stage: run the passes for %s first", k->name,
                    target->name);
  hl_status s = hlc_emit_init(&e, request, k, target, &nv_family, diag);
  if (s == HL_OK) {
    e.state = &state;
    state.pieces = hli_arena_array(&e.arena, nv_pieces *, k->values.len);
    entry_name(k, out->entry, sizeof out->entry);
    if (state.pieces)
      emit_function(&e, out->entry);
    else
      hlc_fail(&e, HL_ERR_MEMORY, "out of memory");
    s = hlc_failed(&e) ? e.status : finish(&e, request, out);
  }
  hlc_emit_free(&e);
  return s;
}
