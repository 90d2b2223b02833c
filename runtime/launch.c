/* launch.c: from arguments to the driver: parameter blocks, launches, prepared launches.
 * SPDX-License-Identifier: MIT */
#include "runtime/internal.h"

/* ---- parameter blocks ------------------------------------------------------------------ */

/* Floats are rounded once; integers keep their low bytes. */
uint64_t hlr_scalar_bits(hl_dtype dtype, const hl_arg *arg) {
  const uint32_t bits = hl_dtype_size(dtype) * 8;
  if (hli_dtype_kind(dtype) == 'f')
    return hli_float_narrow(hli_float_format_of(dtype), arg->as.f64);
  return (uint64_t)arg->as.i64 & (bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX);
}

/* The low bytes, wherever the machine puts them. */
static void put_scalar(unsigned char *to, hl_dtype dtype, const hl_arg *arg) {
  uint64_t wide = hlr_scalar_bits(dtype, arg);
  uint32_t size = hl_dtype_size(dtype);
  uint32_t w4 = (uint32_t)wide;
  uint16_t w2 = (uint16_t)wide;
  uint8_t w1 = (uint8_t)wide;
  memcpy(to, size == 8 ? (void *)&wide : size == 4 ? (void *)&w4 : size == 2 ? (void *)&w2 : (void *)&w1, size);
}

static void put_integer(unsigned char *to, uint8_t dtype, int64_t value) {
  int32_t narrow = (int32_t)value;
  if (dtype == HL_I32)
    memcpy(to, &narrow, sizeof narrow);
  else
    memcpy(to, &value, sizeof value);
}

void hlr_fill_block(const hl_plan *plan, uint32_t s, const hl_arg *args, const hlr_bound *bound, unsigned char *block,
                    void **fields) {
  const hlr_step *step = &plan->program.steps[s];
  const hlr_step_state *state = &plan->states[s];
  memset(block, 0, state->block_size); /* padding too: equal calls give equal bytes */
  for (uint32_t i = 0; i < step->slot_count; i++) {
    const hlr_slot *slot = &step->slots[i];
    unsigned char *to = block + state->offsets[i];
    fields[i] = to;
    switch ((hlr_source)slot->source) {
    case HLR_PTR: {
      const hl_tensor *t = args[slot->param].as.tensor;
      uintptr_t address = (uintptr_t)t->data + t->byte_offset;
      memcpy(to, &address, sizeof address);
      break;
    }
    case HLR_SIZE:
      put_integer(to, slot->dtype, bound->dims[slot->dim]);
      break;
    case HLR_STRIDE:
      put_integer(to, slot->dtype, hlr_tensor_stride(args[slot->param].as.tensor, slot->dim));
      break;
    case HLR_SCALAR:
      put_scalar(to, (hl_dtype)slot->dtype, &args[slot->param]);
      break;
    case HLR_WORKSPACE:
      memcpy(to, &bound->workspace, sizeof bound->workspace);
      break;
    }
  }
}

hl_driver_launch hlr_step_launch(const hl_plan *plan, uint32_t s, uint64_t programs, const unsigned char *block,
                                 void **fields) {
  const hlr_step *step = &plan->program.steps[s];
  return (hl_driver_launch){
      .function = plan->states[s].function,
      .programs = programs,
      .threads = step->threads,
      .shared_bytes = step->shared_bytes,
      .cluster = step->cluster,
      .grain = step->grain,
      .scratch_bytes = step->scratch_bytes,
      .block = block,
      .block_size = plan->states[s].block_size,
      .fields = fields,
  };
}

/* ---- launching ---------------------------------------------------------------------------- */

/* The stream's own workspace for a caller that brings none; *options then is `with`. */
static hl_status give_workspace(const hl_plan *plan, hl_stream *stream, const hl_launch_options **options,
                                hl_launch_options *with, hl_diag *diag) {
  *with = (hl_launch_options)HL_LAUNCH_OPTIONS_INIT;
  if ((*options && !hli_struct_take(with, sizeof *with, *options)) || with->workspace)
    return HL_OK; /* what is wrong with the options is said where they are read */
  *options = with;
  return hlr_workspace_get(stream ? &stream->workspace : &plan->dev->workspace, plan->dev,
                           plan->program.workspace_bytes, plan->program.name, diag, &with->workspace);
}

hl_status hl_launch(const hl_plan *plan, hl_stream *stream, const hl_arg *args, size_t arg_count,
                    const hl_launch_options *options, hl_diag *diag) {
  if (!plan)
    return hli_fail(diag, HL_ERR_ARG, "hl_launch: the plan is NULL");
  hl_device *dev = plan->dev;
  void *native;
  hlr_bound bound;
  hl_launch_options with;
  hl_status status = hlr_stream_handle(dev, stream, diag, &native);
  if (!status && plan->program.workspace_bytes)
    status = give_workspace(plan, stream, &options, &with, diag);
  if (!status)
    status = hlr_bind(plan, args, arg_count, options, diag, &bound);
  if (!status && plan->program.fill_count)
    status = hlr_fill_tensors(plan, args, native, diag);
  for (uint32_t s = 0; s < plan->program.step_count && !status; s++) {
    if (!bound.programs[s])
      continue; /* an empty tensor: nothing to do */
    _Alignas(64) unsigned char block[HLR_MAX_BLOCK];
    void *fields[HLR_MAX_SLOTS];
    hlr_fill_block(plan, s, args, &bound, block, fields);
    hl_driver_launch launch = hlr_step_launch(plan, s, bound.programs[s], block, fields);
    status = dev->driver->launch(dev->self, native, &launch, diag);
  }
  return status;
}

/* ---- prepared launches ---------------------------------------------------------------------- */

/* One argument with everything that it points to. */
typedef struct kept_arg {
  hl_tensor tensor;
  int64_t shape[HL_MAX_RANK];
  int64_t strides[HL_MAX_RANK];
} kept_arg;

struct hl_prepared {
  hl_device *dev;
  hl_status (*launch)(void *self, void *stream, const hl_driver_launch *launch, hl_diag *diag);
  void *self;
  uint32_t count; /* of launches: steps with an empty grid have none */
  hl_driver_launch *launches;
  /* For hl_prepared_set: */
  const hl_plan *plan;
  hl_launch_options options;
  hl_arg *args;
  kept_arg *kept;
  unsigned char **blocks; /* of each step */
  void ***fields;
  hli_arena arena;
};

/* Copies the arrays too; a tensor that the guards would refuse is kept as it is. */
static void keep_arg(const hl_arg *from, kept_arg *kept, hl_arg *to) {
  *to = *from;
  if (from->kind != HL_ARG_TENSOR || !from->as.tensor)
    return;
  kept->tensor = *from->as.tensor;
  hl_tensor *t = &kept->tensor;
  to->as.tensor = t;
  if (t->ndim < 0 || t->ndim > HL_MAX_RANK)
    return; /* never read: the rank is checked first */
  size_t bytes = sizeof(int64_t) * (size_t)t->ndim;
  if (t->shape)
    t->shape = bytes ? memcpy(kept->shape, t->shape, bytes) : kept->shape;
  if (t->strides)
    t->strides = bytes ? memcpy(kept->strides, t->strides, bytes) : kept->strides;
}

static hl_status prepare_blocks(hl_prepared *p, hl_diag *diag) {
  hlr_bound bound;
  hl_status status = hlr_bind(p->plan, p->args, p->plan->program.param_count, &p->options, diag, &bound);
  if (status)
    return status;
  p->count = 0;
  for (uint32_t s = 0; s < p->plan->program.step_count; s++) {
    if (!bound.programs[s])
      continue;
    hlr_fill_block(p->plan, s, p->args, &bound, p->blocks[s], p->fields[s]);
    p->launches[p->count++] = hlr_step_launch(p->plan, s, bound.programs[s], p->blocks[s], p->fields[s]);
  }
  return HL_OK;
}

static bool allocate_prepared(hl_prepared *p, const hl_plan *plan) {
  const hlr_program *prog = &plan->program;
  hli_arena *arena = &p->arena;
  p->launches = hli_arena_array(arena, hl_driver_launch, prog->step_count);
  p->args = hli_arena_array(arena, hl_arg, prog->param_count);
  p->kept = hli_arena_array(arena, kept_arg, prog->param_count);
  p->blocks = hli_arena_array(arena, unsigned char *, prog->step_count);
  p->fields = hli_arena_array(arena, void **, prog->step_count);
  for (uint32_t s = 0; s < prog->step_count && !arena->failed; s++) {
    p->blocks[s] = hli_arena_alloc(arena, plan->states[s].block_size);
    p->fields[s] = hli_arena_array(arena, void *, prog->steps[s].slot_count);
  }
  return !arena->failed;
}

hl_status hl_prepared_create(const hl_plan *plan, const hl_arg *args, size_t arg_count,
                             const hl_launch_options *options, hl_diag *diag, hl_prepared **out) {
  if (!plan || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_prepared_create: plan and out must be set");
  *out = NULL;
  hlr_bound bound; /* the caller's arguments are checked before anything is copied of them */
  hl_status status = hlr_bind(plan, args, arg_count, options, diag, &bound);
  if (status)
    return status;
  hl_device *dev = plan->dev;
  hl_prepared *p = hli_calloc(&dev->ctx->alloc, 1, sizeof *p);
  if (!p)
    return hli_fail_memory(diag, "preparing a launch");
  *p = (hl_prepared){.dev = dev, .launch = dev->driver->launch, .self = dev->self, .plan = plan};
  p->options = (hl_launch_options)HL_LAUNCH_OPTIONS_INIT;
  if (options)
    memcpy(&p->options, options, HLI_MIN(options->size, sizeof p->options));
  p->options.size = sizeof p->options;
  hli_arena_init(&p->arena, &dev->ctx->alloc);
  (void)hlr_device_retain(dev);
  if (!allocate_prepared(p, plan)) {
    hl_prepared_destroy(p);
    return hli_fail_memory(diag, "preparing a launch");
  }
  for (size_t i = 0; i < arg_count; i++)
    keep_arg(&args[i], &p->kept[i], &p->args[i]);
  status = prepare_blocks(p, diag);
  if (status) {
    hl_prepared_destroy(p);
    return status;
  }
  *out = p;
  return HL_OK;
}

hl_status hl_prepared_set(hl_prepared *p, size_t index, const hl_arg *arg, hl_diag *diag) {
  if (!p || !arg)
    return hli_fail(diag, HL_ERR_ARG, "hl_prepared_set: the prepared launch and the argument must be set");
  if (index >= p->plan->program.param_count)
    return hli_fail(diag, HL_ERR_ARG, "hl_prepared_set: kernel '%s' has no argument %zu, it takes %u",
                    p->plan->program.name, index, p->plan->program.param_count);
  kept_arg fresh = {0};
  hl_arg old = p->args[index], copy;
  keep_arg(arg, &fresh, &copy);
  p->args[index] = copy;
  hl_status status = prepare_blocks(p, diag); /* changes nothing unless all arguments fit */
  if (status) {
    p->args[index] = old;
    return status;
  }
  keep_arg(arg, &p->kept[index], &p->args[index]);
  return HL_OK;
}

hl_status hl_prepared_launch(hl_prepared *p, hl_stream *stream) {
  if (!p || (stream && stream->dev != p->dev))
    return HL_ERR_ARG;
  void *native = stream ? stream->native : NULL;
  if (p->plan->program.fill_count) {
    hl_status status = hlr_fill_tensors(p->plan, p->args, native, NULL);
    if (status)
      return status;
  }
  for (uint32_t i = 0; i < p->count; i++) {
    hl_status status = p->launch(p->self, native, &p->launches[i], NULL);
    if (status)
      return status;
  }
  return HL_OK;
}

void hl_prepared_destroy(hl_prepared *p) {
  if (!p)
    return;
  hl_device *dev = p->dev; /* the plan may be gone */
  hli_arena_free(&p->arena);
  hli_release(&dev->ctx->alloc, p, sizeof *p);
  hl_device_close(dev);
}
