/* plan_create.c: hl_plan_create: binds shapes (given, or taken from tensors), lowers, compiles, describes, loads. */
#include "runtime/internal.h"
#include "src/plan/plan.h"

/* ---- plans ---- */

/* The target of a device's kernels; the null device takes the host's, since nothing runs there. */
static hl_status device_target(hl_device *dev, hl_diag *diag, const hl_target **out) {
  hl_device_info info = {.size = sizeof info};
  hl_status s = hl_device_get_info(dev, &info);
  if (s != HL_OK)
    return hli_fail(diag, s, "cannot ask the device for its target");
  return hl_target_find(hli_str(strcmp(info.target, "null") == 0 ? "host" : info.target), diag, out);
}

static hl_status make_plan(hl_device *dev, const hl_kernel *k, const hl_plan_options *o, const hli_bindings *b,
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
  hli_bindings b = {.len = 0};
  hl_status s = HL_OK;
  if (o->args) {
    s = hli_bind_args(copy, o->args, o->arg_count, diag, &b);
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
