/* bind.c: arguments to parameters: tensors' memory, sizes of dimensions, scalars. SPDX-License-Identifier: MIT */
#include "src/ir/interp/bind.h"
#include "src/ir/text.h"

static hl_status bad(hli_machine *m, hl_status status, const hli_param *p, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static hl_status bad(hli_machine *m, hl_status status, const hli_param *p, const char *fmt, ...) {
  char words[HL_DIAG_TEXT];
  va_list args;
  va_start(args, fmt);
  vsnprintf(words, sizeof words, fmt, args);
  va_end(args);
  return hli_fail(m->diag, status, "kernel '%s', parameter '%s': %s", m->k->name, m->k->values.data[p->value].name,
                  words);
}

/* A dimension's size: the first tensor that has it decides, all others must agree. */
static hl_status bind_dim(hli_machine *m, const hli_param *p, hli_dim id, uint32_t d, int64_t size) {
  const hli_dim_data *dim = &m->k->dims.data[id];
  if (size < 0)
    return bad(m, HL_ERR_ARG, p, "dimension %u has the negative size %lld", d, (long long)size);
  if (m->dims[id] >= 0 && m->dims[id] != size)
    return bad(m, HL_ERR_GUARD, p, "dimension %u ('%s') has size %lld, but %lld %s", d, dim->name, (long long)size,
               (long long)m->dims[id], dim->value >= 0 ? "is the kernel's" : "on an earlier tensor");
  if (dim->multiple > 1 && size % dim->multiple)
    return bad(m, HL_ERR_GUARD, p, "dimension %u ('%s') has size %lld, which is no multiple of %lld", d, dim->name,
               (long long)size, (long long)dim->multiple);
  m->dims[id] = size;
  return HL_OK;
}

static bool is_float(hl_dtype dtype) {
  return hli_dtype_kind(dtype) == 'f';
}

static hl_status bind_tensor(hli_machine *m, const hli_param *p, const hl_tensor *a, hli_itensor *t) {
  const hli_type_data *type = p->given ? hli_type_get(m->k, p->given) : hli_type_of(m->k, p->value);
  const hl_dtype want = (hl_dtype)type->dtype;
  if (!a)
    return bad(m, HL_ERR_ARG, p, "the tensor is NULL");
  t->dtype = hl_dtype_from_dl(a->dtype);
  t->rank = type->rank;
  t->count = 1;
  if (t->dtype != want && !(m->options.exact && t->dtype == HL_F64 && is_float(want)))
    return bad(m, HL_ERR_GUARD, p, "the tensor is %s, the kernel wants %s", hl_dtype_text(t->dtype),
               hl_dtype_text(want));
  if (a->ndim != (int32_t)type->rank || (type->rank && !a->shape))
    return bad(m, HL_ERR_GUARD, p, "the tensor has rank %d, the kernel wants %u", (int)a->ndim, (unsigned)type->rank);
  if (a->device.type != HL_DEVICE_CPU)
    return bad(m, HL_ERR_ARG, p, "the tensor must lie in host memory, not on device type %d", (int)a->device.type);
  for (uint32_t d = t->rank; d-- > 0;) {
    hl_status s = bind_dim(m, p, type->dims[d], d, a->shape[d]);
    if (s)
      return s;
    t->size[d] = a->shape[d];
    t->stride[d] = a->strides ? a->strides[d] : t->count;
    if (__builtin_mul_overflow(t->count, t->size[d], &t->count))
      return bad(m, HL_ERR_ARG, p, "the tensor's sizes multiply beyond 64 bits");
  }
  if (!a->data && t->count)
    return bad(m, HL_ERR_ARG, p, "the tensor's data is NULL");
  t->data = a->data ? (unsigned char *)a->data + a->byte_offset : NULL;
  if (!t->count)
    return HL_OK;
  if (p->given) { /* seen as one row */
    int64_t packed = 1;
    for (uint32_t d = t->rank; d-- > 0; packed *= t->size[d])
      if (t->size[d] > 1 && t->stride[d] != packed)
        return bad(m, HL_ERR_GUARD, p, "dimension %u has stride %lld, the kernel was specialised for %lld", d,
                   (long long)t->stride[d], (long long)packed);
    t->rank = 1, t->size[0] = t->count, t->stride[0] = 1;
  }
  for (uint32_t d = 0; d < t->rank; d++)
    if (p->strides[d] >= 0 && t->size[d] > 1 && t->stride[d] != p->strides[d])
      return bad(m, HL_ERR_GUARD, p, "dimension %u has stride %lld, the kernel was specialised for %lld", d,
                 (long long)t->stride[d], (long long)p->strides[d]);
  const bool ordered = m->options.race_check && m->k->stage == HLI_STAGE_LANE && p->is_input && p->is_output;
  t->touch = m->options.program_check ? hli_calloc(m->alloc, (size_t)t->count, sizeof *t->touch) : NULL;
  t->order = ordered ? hli_calloc(m->alloc, (size_t)t->count, sizeof *t->order) : NULL;
  const bool enough = (t->touch || !m->options.program_check) && (t->order || !ordered);
  return enough ? HL_OK : hli_machine_no_memory(m);
}

static hl_status bind_scalar(hli_machine *m, const hli_param *p, const hl_arg *a) {
  const hl_dtype dtype = (hl_dtype)hli_type_of(m->k, p->value)->dtype;
  hli_ival *v;
  hl_status s = hli_ival_prepare(m, 0, p->value, &v);
  if (s)
    return s;
  const uint64_t given = hli_scalar_to_bits(dtype, is_float(dtype) ? (hli_scalar){.f = a->as.f64}
                                                                   : hli_scalar_from_bits(dtype, (uint64_t)a->as.i64));
  if (p->specialized && given != p->constant)
    return hli_fail_constant(m->diag, m->k, p, given);
  if (p->specialized)
    v->data[0] = hli_scalar_from_bits(dtype, p->constant);
  else if (is_float(dtype))
    v->data[0] = hli_machine_round(m, dtype, a->as.f64);
  else
    v->data[0] = hli_scalar_from_bits(dtype, (uint64_t)a->as.i64);
  return HL_OK;
}

static hl_status bind_one(hli_machine *m, uint32_t i, const hl_arg *a) {
  const hli_param *p = &m->k->params.data[i];
  const hli_type_data *t = hli_type_of(m->k, p->value);
  const bool tensor = t->kind == HLI_TYPE_TENSOR;
  const hl_arg_kind want = tensor ? HL_ARG_TENSOR : is_float((hl_dtype)t->dtype) ? HL_ARG_F64 : HL_ARG_I64;
  static const char *const words[] = {"a tensor", "an integer (HL_ARG_I64)", "a float (HL_ARG_F64)"};
  if ((unsigned)a->kind > HL_ARG_F64 || a->kind != want)
    return bad(m, HL_ERR_ARG, p, "the argument is %s, the kernel wants %s",
               (unsigned)a->kind > HL_ARG_F64 ? "of no known kind" : words[a->kind], words[want]);
  if (!tensor)
    return bind_scalar(m, p, a);
  hli_ival *v = hli_ival_of(m, p->value);
  v->kind = HLI_IVAL_TENSOR;
  v->dtype = t->dtype;
  v->object = i;
  return bind_tensor(m, p, a->as.tensor, &m->tensors[i]);
}

void hli_fill_initial(hli_machine *m) {
  for (uint32_t i = 0; i < m->k->params.len; i++) {
    const hli_param *p = &m->k->params.data[i];
    const hli_itensor *t = &m->tensors[i];
    if (!p->has_initial || !t->count)
      continue;
    const hl_dtype want = (hl_dtype)hli_type_of(m->k, p->value)->dtype;
    const uint64_t bits = hli_scalar_to_bits(t->dtype, hli_scalar_from_bits(want, p->initial));
    int64_t at[HL_MAX_RANK] = {0};
    do {
      int64_t offset = 0;
      for (uint32_t d = 0; d < t->rank; d++)
        offset += at[d] * t->stride[d];
      memcpy(t->data + offset * (int64_t)hl_dtype_size(t->dtype), &bits, hl_dtype_size(t->dtype));
    } while (hli_next_coord(at, t->size, t->rank));
  }
}

hl_status hli_bind(hli_machine *m, const hl_arg *args, size_t count) {
  if (count != m->k->params.len || (count && !args))
    return hli_fail(m->diag, HL_ERR_ARG, "kernel '%s' has %u parameters, %zu arguments are given", m->k->name,
                    (unsigned)m->k->params.len, count);
  for (uint32_t i = 1; i < m->k->dims.len; i++)
    m->dims[i] = m->k->dims.data[i].value;
  for (uint32_t i = 0; i < count; i++) {
    hl_status s = bind_one(m, i, &args[i]);
    if (s)
      return s;
  }
  int64_t scalars[HLI_TEXT_PARAMS] = {0};
  uint32_t known = 0;
  for (uint32_t i = 0; i < count && i < HLI_TEXT_PARAMS; i++)
    if (args[i].kind == HL_ARG_I64)
      scalars[i] = args[i].as.i64, known |= 1u << i;
  hl_status s = hli_follow_sizes(m->k, m->dims, scalars, known, m->diag);
  return s ? s : hli_check_requires(m->k, m->dims, m->diag);
}
