/* bind.c: sizes, strides, alignment and specialised scalars of a kernel's copy, taken from the arguments that it is
 * specialised for. */
#include "runtime/internal.h"
#include "src/plan/plan.h"

/* ---- shapes and strides from arguments ---- */

static hl_status bind_dim(hli_bindings *b, const hl_kernel *k, hli_dim dim, int64_t size, const char *param, uint32_t d,
                          hl_diag *diag) {
  const hli_dim_data *x = &k->dims.data[dim];
  if (!x->name[0])
    return x->value == size
               ? HL_OK
               : hli_fail(diag, HL_ERR_GUARD, "kernel %s: dimension %u of %s must be %lld, the tensor's is %lld",
                          k->name, d, param, (long long)x->value, (long long)size);
  for (uint32_t i = 0; i < b->len; i++) {
    if (strcmp(b->data[i].dim, x->name) != 0)
      continue;
    if (b->data[i].size == size)
      return HL_OK;
    return hli_fail(diag, HL_ERR_GUARD,
                    "kernel %s: dimension %u of %s is named %s, which is %lld elsewhere, but the tensor's is %lld",
                    k->name, d, param, x->name, (long long)b->data[i].size, (long long)size);
  }
  b->data[b->len++] = (hl_shape_binding){x->name, size};
  return HL_OK;
}

/* The alignment that the compiled code may rely on: the tensor's, up to the 16 bytes that every allocator gives.  More
 * is not assumed, so that a plan made with one buffer takes the next one too. */
static uint32_t pointer_align(const hl_tensor *t) {
  const uintptr_t p = (uintptr_t)t->data + t->byte_offset;
  uint32_t align = 1;
  while (align < 16 && p % (align * 2) == 0)
    align *= 2;
  return align;
}

static void adopt_strides(hli_param *param, const hl_tensor *t, bool dynamic) {
  for (uint32_t d = 0; d < (uint32_t)t->ndim; d++) {
    const int64_t s = hlr_tensor_stride(t, (int)d);
    param->strides[d] = dynamic && s != 1 && !(param->fixed_strides >> d & 1) ? -1 : s;
  }
}

static bool has_dynamic_dim(const hl_kernel *k, const hli_type_data *t) {
  for (uint32_t d = 0; d < t->rank; d++)
    if (k->dims.data[t->dims[d]].kind == HLI_DIM_DYNAMIC)
      return true;
  return false;
}

/* Rank, dtype and sizes of an argument. */
static hl_status bind_form(const hl_kernel *k, uint32_t p, const hl_arg *arg, hli_bindings *b, hl_diag *diag) {
  const hli_param *param = &k->params.data[p];
  const hli_type_data t = *hli_type_of(k, param->value);
  const char *name = k->values.data[param->value].name;
  const hl_tensor *x = arg->as.tensor;
  if (arg->kind != HL_ARG_TENSOR || !x)
    return hli_fail(diag, HL_ERR_GUARD, "kernel %s: parameter %s wants a tensor", k->name, name);
  if (x->ndim != t.rank || !x->shape)
    return hli_fail(diag, HL_ERR_GUARD, "kernel %s: parameter %s has rank %u, the tensor's is %d", k->name, name,
                    t.rank, (int)x->ndim);
  if (!b->any_dtype && hl_dtype_from_dl(x->dtype) != (hl_dtype)t.dtype)
    return hli_fail(diag, HL_ERR_GUARD, "kernel %s: parameter %s is of dtype %s, the tensor of %s", k->name, name,
                    hl_dtype_text((hl_dtype)t.dtype), hl_dtype_text(hl_dtype_from_dl(x->dtype)));
  for (uint32_t d = 0; d < t.rank; d++) {
    hl_status s = bind_dim(b, k, t.dims[d], x->shape[d], name, d, diag);
    if (s != HL_OK)
      return s;
  }
  return HL_OK;
}

static hl_status bind_tensor(hl_kernel *k, uint32_t p, const hl_arg *arg, hli_bindings *b, hl_diag *diag) {
  hli_param *param = &k->params.data[p];
  const hli_type_data t = *hli_type_of(k, param->value);
  const hl_tensor *x = arg->as.tensor;
  hl_status s = bind_form(k, p, arg, b, diag);
  if (s != HL_OK)
    return s;
  for (uint32_t d = 0; d < t.rank; d++)
    if (x->shape[d] > 1 && hlr_tensor_stride(x, (int)d) < 0)
      return hli_fail(diag, HL_ERR_GUARD, "kernel %s: dimension %u of %s has the negative stride %lld", k->name, d,
                      k->values.data[param->value].name, (long long)hlr_tensor_stride(x, (int)d));
  adopt_strides(param, x, has_dynamic_dim(k, &t));
  if (!param->align)
    param->align = pointer_align(x);
  return HL_OK;
}

static hl_status bind_scalar(hl_kernel *k, uint32_t p, const hl_arg *arg, hl_diag *diag) {
  hli_param *param = &k->params.data[p];
  if (!param->is_constexpr && !param->specialized)
    return HL_OK;
  const hl_dtype dtype = hli_dtype_of(k, param->value);
  const char *name = k->values.data[param->value].name;
  const bool is_float = hli_dtype_kind(dtype) == 'f';
  if (arg->kind != hlr_scalar_kind(dtype))
    return hli_fail(diag, HL_ERR_GUARD, "kernel %s: parameter %s wants %s (HL_ARG_%s)", k->name, name,
                    is_float ? "a float" : "an integer", is_float ? "F64" : "I64");
  const uint64_t bits = hlr_scalar_bits(dtype, arg);
  if (!is_float && hli_scalar_from_bits(dtype, bits).i != arg->as.i64)
    return hli_fail(diag, HL_ERR_GUARD, "kernel %s: parameter %s is %s, which the value %lld does not fit", k->name,
                    name, hl_dtype_text(dtype), (long long)arg->as.i64);
  if (param->specialized && param->constant != bits)
    return hli_fail_constant(diag, k, param, bits);
  param->specialized = true;
  param->constant = bits;
  return HL_OK;
}

/* ---- what must be known ---- */

static bool is_bound(const char *name, const hl_shape_binding *shape, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (shape[i].dim && !strcmp(shape[i].dim, name))
      return true;
  return false;
}

/* Row-major strides follow from the sizes of the dimensions behind. */
static bool stride_follows(const hl_kernel *k, const hli_type_data *t, uint32_t d) {
  while (++d < t->rank)
    if (k->dims.data[t->dims[d]].kind == HLI_DIM_DYNAMIC && k->dims.data[t->dims[d]].value < 0)
      return false;
  return true;
}

hl_status hli_check_specialized(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n, hl_diag *diag) {
  for (uint32_t i = 0; i < k->params.len; i++) {
    const hli_param *p = &k->params.data[i];
    const hli_type_data *t = hli_type_of(k, p->value);
    const char *name = k->values.data[p->value].name;
    if (p->is_constexpr && !p->specialized && !is_bound(name, shape, n))
      return hli_fail(
          diag, HL_ERR_ARG,
          "kernel %s: parameter %s is specialised and its value is not given: make the plan from arguments, "
          "or bind an integer by its name like a size",
          k->name, name);
    for (uint32_t d = 0; d < t->rank; d++)
      if (p->fixed_strides >> d & 1 && p->strides[d] < 0 && !stride_follows(k, t, d))
        return hli_fail(diag, HL_ERR_ARG,
                        "kernel %s: the stride of dimension %u of %s is specialised and not known: make the plan from "
                        "arguments",
                        k->name, d, name);
  }
  return HL_OK;
}

/* ---- sizes that follow from others ---- */

/* The sizes by dimension, those that follow included; *out is in the arena of `arena`. */
static hl_status all_sizes(const hl_kernel *k, const hl_arg *args, const hli_bindings *b, hli_arena *arena,
                           hl_diag *diag, int64_t **out) {
  int64_t scalars[HLR_MAX_PARAMS] = {0}, *sizes = hli_arena_array(arena, int64_t, k->dims.len);
  uint32_t known = 0;
  if (!sizes)
    return hli_fail_memory(diag, "binding shapes");
  for (uint32_t i = 0; i < k->dims.len; i++) {
    sizes[i] = k->dims.data[i].value;
    for (uint32_t j = 0; j < b->len && k->dims.data[i].name[0]; j++)
      if (!strcmp(b->data[j].dim, k->dims.data[i].name))
        sizes[i] = b->data[j].size;
  }
  for (uint32_t p = 0; p < k->params.len && p < 32; p++)
    if (hli_type_of(k, k->params.data[p].value)->kind == HLI_TYPE_VALUE && args[p].kind == HL_ARG_I64)
      scalars[p] = args[p].as.i64, known |= 1u << p;
  *out = sizes;
  return hli_follow_sizes(k, sizes, scalars, known, diag);
}

hl_status hli_bind_args(hl_kernel *k, const hl_arg *args, size_t count, hl_diag *diag, hli_bindings *b) {
  if (count != k->params.len)
    return hli_fail(diag, HL_ERR_GUARD, "kernel %s has %u parameters, %zu arguments were given", k->name, k->params.len,
                    count);
  b->data = hli_arena_array(&k->arena, hl_shape_binding, k->dims.len);
  if (!b->data)
    return hli_fail_memory(diag, "binding shapes");
  for (uint32_t p = 0; p < k->params.len; p++) {
    const bool tensor = hli_type_of(k, k->params.data[p].value)->kind == HLI_TYPE_TENSOR;
    hl_status s = tensor ? bind_tensor(k, p, &args[p], b, diag) : bind_scalar(k, p, &args[p], diag);
    if (s != HL_OK)
      return s;
  }
  int64_t *sizes;
  return k->size_rules.len ? all_sizes(k, args, b, &k->arena, diag, &sizes) : HL_OK;
}

/* ---- outputs that are not there yet ---- */

static hl_status unknown_size(const hl_kernel *k, const hli_type_data *t, const char *output, uint32_t d,
                              hl_diag *diag) {
  char rule[256];
  const char *name = k->dims.data[t->dims[d]].name;
  if (hli_rule_words(k, t->dims[d], rule, sizeof rule))
    return hli_fail(diag, HL_ERR_ARG,
                    "kernel %s: dimension %u of %s is %s = %s, and not all of that is known: give the tensors and "
                    "scalars that it follows from",
                    k->name, d, output, name, rule);
  return hli_fail(diag, HL_ERR_ARG,
                  "kernel %s: dimension %u of %s is %s, which no given tensor has: give one that does, or declare in "
                  "the kernel what it follows from (hl_dim_set_size)",
                  k->name, d, output, name);
}

static hl_status fill_output(const hl_kernel *k, uint32_t index, const int64_t *sizes, hl_diag *diag,
                             hl_output_info *out) {
  const hli_type_data *t = hli_type_of(k, k->params.data[index].value);
  const char *name = k->values.data[k->params.data[index].value].name;
  int64_t bytes = hl_dtype_size((hl_dtype)t->dtype);
  hl_output_info info = {.dtype = (hl_dtype)t->dtype, .rank = t->rank};
  int64_t stride = 1;
  for (uint32_t d = t->rank; d-- > 0;) {
    const int64_t size = sizes[t->dims[d]], multiple = k->dims.data[t->dims[d]].multiple;
    if (size < 0)
      return unknown_size(k, t, name, d, diag);
    if (multiple > 1 && size % multiple)
      return hli_fail(diag, HL_ERR_GUARD, "kernel %s: dimension %u of %s is %lld, which is no multiple of %lld",
                      k->name, d, name, (long long)size, (long long)multiple);
    info.shape[d] = size;
    info.strides[d] = stride;
    if (__builtin_mul_overflow(stride, HLI_MAX(size, 1), &stride) || __builtin_mul_overflow(bytes, size, &bytes))
      return hli_fail(diag, HL_ERR_GUARD, "kernel %s: the sizes of %s multiply beyond 64 bits", k->name, name);
  }
  info.bytes = (size_t)bytes;
  (void)hli_struct_give(out, &info, sizeof info);
  return HL_OK;
}

static hl_status bind_given(const hl_kernel *k, const hl_arg *args, hli_bindings *b, hl_diag *diag) {
  for (uint32_t p = 0; p < k->params.len; p++) {
    const bool is_tensor = hli_type_of(k, k->params.data[p].value)->kind == HLI_TYPE_TENSOR;
    const bool missing = args[p].kind == HL_ARG_TENSOR && !args[p].as.tensor;
    if (missing && is_tensor && !k->params.data[p].is_output)
      return hli_fail(diag, HL_ERR_ARG, "kernel %s: %s is an input and its tensor is NULL", k->name,
                      k->values.data[k->params.data[p].value].name);
    hl_status s = is_tensor && !missing ? bind_form(k, p, &args[p], b, diag) : HL_OK;
    if (s != HL_OK)
      return s;
  }
  return HL_OK;
}

hl_status hl_kernel_output(const hl_kernel *k, uint32_t index, const hl_arg *args, size_t arg_count, hl_diag *diag,
                           hl_output_info *out) {
  if (!k || !out || (arg_count && !args))
    return hli_fail(diag, HL_ERR_ARG, "hl_kernel_output: %s is NULL", !k ? "the kernel" : !out ? "out" : "args");
  if (out->size < sizeof out->size)
    return hli_fail(diag, HL_ERR_ARG, "hl_output_info.size is %zu: start from HL_OUTPUT_INFO_INIT", out->size);
  if (arg_count != k->params.len)
    return hli_fail(diag, HL_ERR_ARG, "kernel %s has %u parameters, %zu arguments were given", k->name, k->params.len,
                    arg_count);
  if (index >= k->params.len || !k->params.data[index].is_output)
    return hli_fail(diag, HL_ERR_ARG, "hl_kernel_output: parameter %u of kernel %s is no output", index, k->name);
  hli_arena arena;
  int64_t *sizes;
  hli_arena_init(&arena, k->alloc);
  hli_bindings b = {.data = hli_arena_array(&arena, hl_shape_binding, k->dims.len)};
  hl_status s = b.data ? bind_given(k, args, &b, diag) : hli_fail_memory(diag, "binding shapes");
  if (s == HL_OK)
    s = all_sizes(k, args, &b, &arena, diag, &sizes);
  if (s == HL_OK)
    s = fill_output(k, index, sizes, diag, out);
  hli_arena_free(&arena);
  return s;
}
