/* ffi.c: the only file that uses libffi: parameter blocks laid out like C structs, and
 * plans as plain C functions.  SPDX-License-Identifier: MIT */
#include "runtime/internal.h"
#include <ffi.h>

/* ---- layout ----------------------------------------------------------------------------- */

static ffi_type *type_of(hl_dtype dtype) {
  switch (dtype) {
  case HL_BOOL:
  case HL_U8:
  case HL_F8E4M3:
  case HL_F8E5M2:
  case HL_F8E4M3FNUZ:
  case HL_F8E5M2FNUZ:
  case HL_F8E8M0:
    return &ffi_type_uint8;
  case HL_I8:
    return &ffi_type_sint8;
  case HL_U16:
  case HL_F16: /* libffi has no floats this small; size and alignment are the integer's */
  case HL_BF16:
    return &ffi_type_uint16;
  case HL_I16:
    return &ffi_type_sint16;
  case HL_U32:
    return &ffi_type_uint32;
  case HL_I32:
    return &ffi_type_sint32;
  case HL_U64:
    return &ffi_type_uint64;
  case HL_I64:
    return &ffi_type_sint64;
  case HL_F32:
    return &ffi_type_float;
  case HL_F64:
    return &ffi_type_double;
  default:
    return &ffi_type_pointer;
  }
}

hl_status hlr_ffi_layout(const hlr_slot *slots, uint32_t count, hl_diag *diag, uint16_t *offsets, uint32_t *size) {
  *size = 0;
  if (count == 0)
    return HL_OK; /* C has no empty struct */
  ffi_type *elements[HLR_MAX_SLOTS + 1];
  size_t wide[HLR_MAX_SLOTS];
  for (uint32_t i = 0; i < count; i++) {
    bool pointer = slots[i].source == HLR_PTR || slots[i].source == HLR_WORKSPACE;
    elements[i] = pointer ? &ffi_type_pointer : type_of((hl_dtype)slots[i].dtype);
  }
  elements[count] = NULL;
  ffi_type block = {.type = FFI_TYPE_STRUCT, .elements = elements};
  if (ffi_get_struct_offsets(FFI_DEFAULT_ABI, &block, wide) != FFI_OK)
    return hli_fail(diag, HL_ERR_INTERNAL, "libffi refused a parameter block of %u fields", count);
  for (uint32_t i = 0; i < count; i++)
    offsets[i] = (uint16_t)wide[i]; /* 256 fields of 8 bytes fit */
  *size = (uint32_t)block.size;
  return HL_OK;
}

/* ---- a plan as a C function ---------------------------------------------------------------- */

typedef struct typed_param {
  hl_arg_kind kind;
  hl_tensor tensor; /* of a static plan: all but the data pointer */
  int64_t shape[HL_MAX_RANK];
  int64_t strides[HL_MAX_RANK];
} typed_param;

struct hlr_closure {
  const hl_plan *plan;
  ffi_closure *writable;
  void *code;
  ffi_cif cif;
  ffi_type *types[1 + HLR_MAX_PARAMS];
  typed_param params[HLR_MAX_PARAMS];
};

static void call_plan(ffi_cif *cif, void *result, void **values, void *user) {
  const struct hlr_closure *c = user;
  hl_arg args[HLR_MAX_PARAMS];
  hl_tensor tensors[HLR_MAX_PARAMS];
  uint32_t count = c->plan->program.param_count;
  for (uint32_t i = 0; i < count; i++) {
    const void *value = values[i + 1];
    args[i].kind = c->params[i].kind;
    if (args[i].kind == HL_ARG_I64) {
      memcpy(&args[i].as.i64, value, sizeof(int64_t));
    } else if (args[i].kind == HL_ARG_F64) {
      memcpy(&args[i].as.f64, value, sizeof(double));
    } else if (c->plan->is_static) {
      tensors[i] = c->params[i].tensor;
      memcpy(&tensors[i].data, value, sizeof(void *));
      args[i].as.tensor = &tensors[i];
    } else {
      memcpy(&args[i].as.tensor, value, sizeof(void *));
    }
  }
  (void)cif;
  hl_stream *stream;
  memcpy(&stream, values[0], sizeof(void *));
  /* libffi wants integers that are narrower than a register widened. */
  *(ffi_arg *)result = (ffi_arg)hl_launch(c->plan, stream, args, count, NULL, NULL);
}

static void describe_param(const hl_plan *plan, uint32_t p, typed_param *to, ffi_type **type) {
  const hlr_param *param = &plan->program.params[p];
  if (!param->is_tensor) {
    to->kind = hlr_scalar_kind(param->dtype);
    *type = to->kind == HL_ARG_F64 ? &ffi_type_double : &ffi_type_sint64;
    return;
  }
  to->kind = HL_ARG_TENSOR;
  *type = &ffi_type_pointer;
  to->tensor = (hl_tensor){
      .device = plan->dev->id,
      .ndim = param->rank,
      .dtype = hl_dtype_to_dl(param->dtype),
      .shape = to->shape,
      .strides = to->strides,
  };
  int64_t packed = 1;
  for (int a = param->rank - 1; plan->is_static && a >= 0; a--) {
    to->shape[a] = plan->program.dims[param->dims[a]].value;
    to->strides[a] = param->strides[a] == HLR_DYNAMIC ? packed : param->strides[a];
    if (__builtin_mul_overflow(packed, to->shape[a], &packed))
      packed = INT64_MAX; /* refused at launch */
  }
}

static hl_status closure_make(hl_plan *plan, hl_diag *diag, struct hlr_closure **out) {
  const hl_allocator *alloc = &plan->dev->ctx->alloc;
  struct hlr_closure *c = hli_calloc(alloc, 1, sizeof *c);
  if (!c)
    return hli_fail_memory(diag, "making a function of a plan");
  c->plan = plan;
  c->types[0] = &ffi_type_pointer;
  uint32_t count = plan->program.param_count;
  for (uint32_t i = 0; i < count; i++)
    describe_param(plan, i, &c->params[i], &c->types[i + 1]);
  c->writable = ffi_closure_alloc(sizeof *c->writable, &c->code);
  if (!c->writable) {
    hli_release(alloc, c, sizeof *c);
    return hli_fail(diag, HL_ERR_MEMORY, "libffi could not get executable memory for a function of a plan");
  }
  if (ffi_prep_cif(&c->cif, FFI_DEFAULT_ABI, count + 1, &ffi_type_sint, c->types) != FFI_OK ||
      ffi_prep_closure_loc(c->writable, &c->cif, call_plan, c, c->code) != FFI_OK) {
    hlr_ffi_closure_free(plan, c);
    return hli_fail(diag, HL_ERR_INTERNAL, "libffi refused a function of %u parameters", count + 1);
  }
  *out = c;
  return HL_OK;
}

hl_status hl_plan_function(hl_plan *plan, hl_diag *diag, hl_function *out) {
  if (!plan || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_plan_function: plan and out must be set");
  *out = NULL;
  if (plan->program.workspace_bytes)
    return hli_fail(diag, HL_ERR_UNSUPPORTED,
                    "kernel '%s' needs a workspace, which a plain function cannot take: use hl_launch",
                    plan->program.name);
  hl_context *ctx = plan->dev->ctx;
  hl_status status = HL_OK;
  hli_context_lock(ctx);
  if (!plan->closure)
    status = closure_make(plan, diag, &plan->closure);
  void *code = plan->closure ? plan->closure->code : NULL;
  hli_context_unlock(ctx);
  memcpy(out, &code, sizeof code); /* ISO C has no cast from data to function pointers */
  return status;
}

void hlr_ffi_closure_free(const hl_plan *plan, struct hlr_closure *closure) {
  if (!closure)
    return;
  ffi_closure_free(closure->writable);
  hli_release(&plan->dev->ctx->alloc, closure, sizeof *closure);
}
