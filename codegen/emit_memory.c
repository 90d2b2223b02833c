/* emit_memory.c: the parameter block's fields, sizes, strides and element addresses. */
#include "codegen/emit.h"

/* ---- fields --------------------------------------------------------------------------- */

static bool dim_is_field(const hl_kernel *k, hli_dim dim) {
  if (k->dims.data[dim].value >= 0) return false;
  for (uint32_t p = 0; p < k->params.len; p++) {
    const hli_type_data *t = hli_type_of(k, k->params.data[p].value);
    for (uint32_t d = 0; t->kind == HLI_TYPE_TENSOR && d < t->rank; d++)
      if (t->dims[d] == dim) return true;
  }
  return false;
}

static void push(hlc_emit *e, hlc_field f, uint32_t *end) {
  uint32_t size = f.kind == HLC_FIELD_PTR ? 8 : hl_dtype_size((hl_dtype)f.dtype);
  f.offset = (*end + size - 1) / size * size;
  *end = f.offset + size;
  e->fields[e->field_count++] = f;
}

static void collect_params(hlc_emit *e, uint32_t *end) {
  const hl_kernel *k = e->k;
  for (uint32_t p = 0; p < k->params.len; p++) {
    const hli_type_data *t = hli_type_of(k, k->params.data[p].value);
    if (t->kind == HLI_TYPE_TENSOR) push(e, (hlc_field){.kind = HLC_FIELD_PTR, .param = p}, end);
    else push(e, (hlc_field){.kind = HLC_FIELD_SCALAR, .dtype = t->dtype, .param = p}, end);
  }
}

static void collect_strides(hlc_emit *e, uint32_t *end) {
  const hl_kernel *k = e->k;
  for (uint32_t p = 0; p < k->params.len; p++) {
    const hli_type_data *t = hli_type_of(k, k->params.data[p].value);
    for (uint32_t d = 0; t->kind == HLI_TYPE_TENSOR && d < t->rank; d++)
      if (k->params.data[p].strides[d] == -1)
        push(e, (hlc_field){.kind = HLC_FIELD_STRIDE, .dtype = HL_I64, .param = p, .dim = d}, end);
  }
}

void hlc_fields_collect(hlc_emit *e) {
  const hl_kernel *k = e->k;
  uint32_t most = k->params.len * (1 + HL_MAX_RANK) + k->dims.len, end = 0;
  e->fields = hli_arena_array(&e->arena, hlc_field, most);
  e->field_count = 0;
  if (!e->fields) {
    hlc_fail(e, HL_ERR_MEMORY, "out of memory for %u parameter fields", most);
    return;
  }
  collect_params(e, &end);
  for (uint32_t d = 1; d < k->dims.len; d++)
    if (dim_is_field(k, d)) push(e, (hlc_field){.kind = HLC_FIELD_SIZE, .dtype = HL_I64, .dim = d}, &end);
  collect_strides(e, &end);
}

static LLVMValueRef field_value(hlc_emit *e, hlc_field_kind kind, uint32_t param, uint32_t dim) {
  for (uint32_t i = 0; i < e->field_count; i++) {
    const hlc_field *f = &e->fields[i];
    if (f->kind == kind && f->param == param && f->dim == dim && f->value) return f->value;
  }
  hlc_fail(e, HL_ERR_INTERNAL, "no parameter field of kind %d for parameter %u, dimension %u", (int)kind, param, dim);
  return hlc_undef(e, kind == HLC_FIELD_PTR ? e->t_ptr : e->t_i64);
}

/* ---- tensors and buffers ----------------------------------------------------------------------- */

static uint32_t param_index(const hlc_emit *e, hli_value base) {
  for (uint32_t p = 0; p < e->k->params.len; p++)
    if (e->k->params.data[p].value == base) return p;
  return 0;
}

LLVMValueRef hlc_param_pointer(hlc_emit *e, uint32_t param) { return field_value(e, HLC_FIELD_PTR, param, 0); }

int64_t hlc_known_size(hlc_emit *e, hli_value base, uint32_t dim) {
  const hli_type_data *t = hli_type_of(e->k, base);
  if (t->kind == HLI_TYPE_BUFFER) return hli_axis_lanes(e->k, t->dims[dim]);
  return e->k->dims.data[t->dims[dim]].value;
}

int64_t hlc_known_stride(hlc_emit *e, hli_value base, uint32_t dim) {
  const hli_type_data *t = hli_type_of(e->k, base);
  if (t->kind != HLI_TYPE_BUFFER) return e->k->params.data[param_index(e, base)].strides[dim];
  int64_t stride = 1; /* row-major */
  for (uint32_t d = dim + 1; d < t->rank; d++)
    stride *= hli_axis_lanes(e->k, t->dims[d]);
  return stride;
}

LLVMValueRef hlc_size(hlc_emit *e, hli_value base, uint32_t dim) {
  int64_t known = hlc_known_size(e, base, dim);
  if (known >= 0) return hlc_i64(e, known);
  return field_value(e, HLC_FIELD_SIZE, 0, hli_type_of(e->k, base)->dims[dim]);
}

LLVMValueRef hlc_stride(hlc_emit *e, hli_value base, uint32_t dim) {
  int64_t known = hlc_known_stride(e, base, dim);
  return known >= 0 ? hlc_i64(e, known) : field_value(e, HLC_FIELD_STRIDE, param_index(e, base), dim);
}

LLVMValueRef hlc_element_offset(hlc_emit *e, hli_value base, const LLVMValueRef *index) {
  const uint32_t rank = hli_type_of(e->k, base)->rank;
  LLVMValueRef sum = NULL;
  for (uint32_t d = 0; d < rank; d++) {
    if (!index[d]) continue;
    LLVMValueRef term = index[d];
    if (hlc_known_stride(e, base, d) != 1) term = LLVMBuildMul(e->b, term, hlc_stride(e, base, d), "");
    sum = sum ? LLVMBuildAdd(e->b, sum, term, "") : term;
  }
  return sum ? sum : hlc_i64(e, 0);
}

LLVMValueRef hlc_element_ptr(hlc_emit *e, LLVMValueRef pointer, hl_dtype dtype, LLVMValueRef offset) {
  return LLVMBuildGEP2(e->b, hlc_memory_type(e, dtype), pointer, &offset, 1, "");
}

LLVMValueRef hlc_from_memory(hlc_emit *e, hl_dtype dtype, LLVMValueRef x) {
  if (dtype != HL_BOOL) return x;
  return LLVMBuildICmp(e->b, LLVMIntNE, x, LLVMConstNull(LLVMTypeOf(x)), "");
}

LLVMValueRef hlc_to_memory(hlc_emit *e, hl_dtype dtype, LLVMValueRef x) {
  return dtype == HL_BOOL ? LLVMBuildZExt(e->b, x, hlc_like(e->t_i8, x), "") : x;
}
