/* plan_create.c: hl_plan_create: binds shapes (given, or taken from tensors), lowers, compiles, describes, loads. */
#include "runtime/internal.h"
#include "src/plan/plan.h"

typedef struct bindings {
  hl_shape_binding *data;
  uint32_t len;
} bindings;

/* ---- shapes and strides from arguments ---- */

static hl_status bind_dim(bindings *b, const hl_kernel *k, hli_dim dim, int64_t size, const char *param, uint32_t d,
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

/* The largest power of two up to 64 that the data pointer is a multiple of. */
static uint32_t pointer_align(const hl_tensor *t) {
  const uintptr_t p = (uintptr_t)t->data + t->byte_offset;
  uint32_t align = 1;
  while (align < 64 && p % (align * 2) == 0)
    align *= 2;
  return align;
}

static void adopt_strides(hli_param *param, const hl_tensor *t, bool dynamic) {
  for (uint32_t d = 0; d < (uint32_t)t->ndim; d++) {
    const int64_t s = hlr_tensor_stride(t, (int)d);
    param->strides[d] = dynamic && s != 1 ? -1 : s;
  }
}

static bool has_dynamic_dim(const hl_kernel *k, const hli_type_data *t) {
  for (uint32_t d = 0; d < t->rank; d++)
    if (k->dims.data[t->dims[d]].kind == HLI_DIM_DYNAMIC)
      return true;
  return false;
}

static hl_status bind_tensor(hl_kernel *k, uint32_t p, const hl_arg *arg, bindings *b, hl_diag *diag) {
  hli_param *param = &k->params.data[p];
  const hli_type_data t = *hli_type_of(k, param->value);
  const char *name = k->values.data[param->value].name;
  const hl_tensor *x = arg->as.tensor;
  if (arg->kind != HL_ARG_TENSOR || !x)
    return hli_fail(diag, HL_ERR_GUARD, "kernel %s: parameter %s wants a tensor", k->name, name);
  if (x->ndim != t.rank || !x->shape)
    return hli_fail(diag, HL_ERR_GUARD, "kernel %s: parameter %s has rank %u, the tensor's is %d", k->name, name,
                    t.rank, (int)x->ndim);
  if (hl_dtype_from_dl(x->dtype) != (hl_dtype)t.dtype)
    return hli_fail(diag, HL_ERR_GUARD, "kernel %s: parameter %s is of dtype %s, the tensor of %s", k->name, name,
                    hl_dtype_text((hl_dtype)t.dtype), hl_dtype_text(hl_dtype_from_dl(x->dtype)));
  for (uint32_t d = 0; d < t.rank; d++) {
    hl_status s = bind_dim(b, k, t.dims[d], x->shape[d], name, d, diag);
    if (s != HL_OK)
      return s;
    if (x->shape[d] > 1 && hlr_tensor_stride(x, (int)d) < 0)
      return hli_fail(diag, HL_ERR_GUARD, "kernel %s: dimension %u of %s has the negative stride %lld", k->name, d,
                      name, (long long)hlr_tensor_stride(x, (int)d));
  }
  adopt_strides(param, x, has_dynamic_dim(k, &t));
  if (!param->align)
    param->align = pointer_align(x);
  return HL_OK;
}

static hl_status bind_args(hl_kernel *k, const hl_plan_options *o, bindings *b, hl_diag *diag) {
  if (o->arg_count != k->params.len)
    return hli_fail(diag, HL_ERR_GUARD, "kernel %s has %u parameters, %zu arguments were given", k->name, k->params.len,
                    o->arg_count);
  b->data = hli_arena_array(&k->arena, hl_shape_binding, k->dims.len);
  if (!b->data)
    return hli_fail_memory(diag, "binding shapes");
  for (uint32_t p = 0; p < k->params.len; p++) {
    if (hli_type_of(k, k->params.data[p].value)->kind != HLI_TYPE_TENSOR)
      continue;
    hl_status s = bind_tensor(k, p, &o->args[p], b, diag);
    if (s != HL_OK)
      return s;
  }
  return HL_OK;
}

/* ---- plans ---- */

/* The target of a device's kernels; the null device takes the host's, since nothing runs there. */
static hl_status device_target(hl_device *dev, hl_diag *diag, const hl_target **out) {
  hl_device_info info = {.size = sizeof info};
  hl_status s = hl_device_get_info(dev, &info);
  if (s != HL_OK)
    return hli_fail(diag, s, "cannot ask the device for its target");
  return hl_target_find(hli_str(strcmp(info.target, "null") == 0 ? "host" : info.target), diag, out);
}

static hl_status make_plan(hl_device *dev, const hl_kernel *k, const hl_plan_options *o, const bindings *b,
                           hl_diag *diag, hl_plan **out) {
  const hl_target *target;
  hl_kernel *lowered;
  hlc_result image;
  hlr_program *program;
  hl_status s = device_target(dev, diag, &target);
  if (s != HL_OK)
    return s;
  const hli_lower_request request = {
      .kernel = k, .target = target, .shape = b->data, .shape_count = b->len, .config = o->config};
  if ((s = hli_lower(&request, diag, &lowered)) != HL_OK)
    return s;
  if ((s = hli_generate(dev->ctx, lowered, target, HL_EMIT_OBJ, diag, &image)) == HL_OK) {
    if ((s = hli_describe(lowered, target, &image, diag, &program)) == HL_OK) {
      s = hlr_plan_create(dev, program, diag, out);
      hli_program_free(lowered->alloc, program);
    }
    hl_blob_release(image.bytes);
  }
  hl_kernel_destroy(lowered);
  return s;
}

hl_status hl_plan_create(hl_device *dev, const hl_kernel *k, const hl_plan_options *o, hl_diag *diag, hl_plan **out) {
  static const hl_plan_options defaults = HL_PLAN_OPTIONS_INIT;
  if (out)
    *out = NULL;
  if (!o)
    o = &defaults;
  if (!dev || !k || !out || o->size < sizeof *o || (o->shape_count && !o->shape) || (o->arg_count && !o->args))
    return hli_fail(diag, HL_ERR_ARG,
                    "hl_plan_create: wants a device, a kernel, options with their size set and an out parameter");
  hl_kernel *copy = hli_kernel_clone(k);
  if (!copy)
    return hli_fail_memory(diag, "making a plan");
  bindings b = {.len = 0};
  hl_status s = HL_OK;
  if (o->args) {
    s = bind_args(copy, o, &b, diag);
  } else if (o->shape_count) {
    b.data = hli_arena_array(&copy->arena, hl_shape_binding, o->shape_count);
    b.len = b.data ? o->shape_count : 0;
    if (b.data)
      memcpy(b.data, o->shape, o->shape_count * sizeof *o->shape);
    else
      s = hli_fail_memory(diag, "making a plan");
  }
  if (s == HL_OK)
    s = make_plan(dev, copy, o, &b, diag, out);
  hl_kernel_destroy(copy);
  return s;
}
