/* plan.c: makes a plan of a descriptor: checks it, copies it, lays out the parameter
 * blocks and loads the kernels.  A descriptor may come out of a file, so everything that
 * a launch relies on is checked here, once.  SPDX-License-Identifier: MIT */
#include "runtime/internal.h"

/* ---- checking a descriptor ----------------------------------------------------------- */

static bool named(const char *name) {
  return name[0] != '\0' && memchr(name, '\0', HLR_NAME) != NULL;
}

static hl_status bad(const hlr_program *p, hl_diag *diag, const char *what, uint32_t where) {
  return hli_fail(diag, HL_ERR_ARG, "the descriptor of kernel '%.63s' is malformed: %s (number %u)", p->name, what,
                  where);
}

static hl_status check_limit(const hlr_program *p, hl_diag *diag, const char *what, uint64_t value, uint64_t limit) {
  if (value <= limit)
    return HL_OK;
  return hli_fail(diag, HL_ERR_LIMIT, "kernel '%.63s' has %llu %s; a plan takes at most %llu", p->name,
                  (unsigned long long)value, what, (unsigned long long)limit);
}

static hl_status check_param(const hlr_program *p, uint32_t i, hl_diag *diag) {
  const hlr_param *param = &p->params[i];
  if (!named(param->name))
    return bad(p, diag, "parameter without a name", i);
  if (!hl_dtype_size(param->dtype))
    return bad(p, diag, "parameter of unknown type", i);
  if (!param->is_tensor)
    return HL_OK;
  if (param->rank > HL_MAX_RANK)
    return bad(p, diag, "parameter of too many dimensions", i);
  if (!hli_is_pow2(param->align))
    return bad(p, diag, "alignment that is no power of two", i);
  for (uint32_t a = 0; a < param->rank; a++)
    if (param->dims[a] >= p->dim_count)
      return bad(p, diag, "parameter with an unknown dimension", i);
  return HL_OK;
}

static bool dim_is_bound(const hlr_program *p, uint32_t d) {
  if (p->dims[d].value != HLR_DYNAMIC)
    return true;
  for (uint32_t i = 0; i < p->param_count; i++)
    for (uint32_t a = 0; p->params[i].is_tensor && a < p->params[i].rank; a++)
      if (p->params[i].dims[a] == d)
        return true;
  return false;
}

static bool slot_is_sound(const hlr_program *p, const hlr_slot *slot) {
  const hlr_param *param = slot->param < p->param_count ? &p->params[slot->param] : NULL;
  bool integer = slot->dtype == HL_I64 || slot->dtype == HL_I32;
  switch (slot->source) {
  case HLR_PTR:
    return param && param->is_tensor;
  case HLR_SIZE:
    return slot->dim < p->dim_count && integer;
  case HLR_STRIDE:
    return param && param->is_tensor && slot->dim < param->rank && integer;
  case HLR_SCALAR:
    return param && !param->is_tensor && slot->dtype == param->dtype;
  case HLR_WORKSPACE:
    return p->workspace_bytes > 0;
  default:
    return false;
  }
}

static hl_status check_step(const hlr_program *p, uint32_t s, hl_diag *diag) {
  const hlr_step *step = &p->steps[s];
  hl_status status = check_limit(p, diag, "parameter-block fields", step->slot_count, HLR_MAX_SLOTS);
  if (status)
    return status;
  if (!named(step->entry))
    return bad(p, diag, "step without an entry", s);
  if (!step->threads || !step->cluster || !step->grain)
    return bad(p, diag, "step with 0 threads, cluster or grain", s);
  if (step->extent_count > HLR_MAX_EXTENTS)
    return bad(p, diag, "step with too many extents", s);
  for (uint32_t i = 0; i < step->extent_count; i++) {
    const hlr_extent *e = &step->extents[i];
    bool known = e->dim == HLR_DYNAMIC ? e->constant >= 0 : e->dim >= 0 && (uint32_t)e->dim < p->dim_count;
    if (!known || e->block < 1)
      return bad(p, diag, "step with an unsound extent", s);
  }
  if (step->slot_count && !step->slots)
    return bad(p, diag, "step without its fields", s);
  for (uint32_t i = 0; i < step->slot_count; i++)
    if (!slot_is_sound(p, &step->slots[i]))
      return bad(p, diag, "step with an unsound field", s);
  return HL_OK;
}

static bool rule_is_sound(const hlr_program *p, const hli_size_rule *r) {
  if (!p->terms || r->dim < 1 || r->dim >= p->dim_count || r->first > p->term_count ||
      r->count > p->term_count - r->first || !hli_size_sound(p->terms + r->first, r->count, p->dim_count, p->param_count))
    return false;
  for (uint32_t i = r->first; i < r->first + r->count; i++)
    if (p->terms[i].kind == HLI_SIZE_SCALAR && p->params[p->terms[i].value].is_tensor)
      return false;
  return true;
}

static hl_status check_program(const hlr_program *p, hl_diag *diag) {
  if (!named(p->name))
    return hli_fail(diag, HL_ERR_ARG, "the descriptor has no name");
  hl_status status = check_limit(p, diag, "parameters", p->param_count, HLR_MAX_PARAMS);
  if (!status)
    status = check_limit(p, diag, "dimensions", p->dim_count, HLR_MAX_DIMS);
  if (!status)
    status = check_limit(p, diag, "steps", p->step_count, HLR_MAX_STEPS);
  if (status)
    return status;
  if ((p->param_count && !p->params) || (p->dim_count && !p->dims) || (p->step_count && !p->steps))
    return bad(p, diag, "a count without its array", 0);
  for (uint32_t i = 0; i < p->param_count && !status; i++)
    status = check_param(p, i, diag);
  for (uint32_t d = 0; d < p->dim_count && !status; d++) {
    const hlr_dim *dim = &p->dims[d];
    if (!named(dim->name) || dim->multiple < 1 || dim->value < HLR_DYNAMIC)
      status = bad(p, diag, "unsound dimension", d);
    else if (!dim_is_bound(p, d))
      status = bad(p, diag, "dimension that no tensor has", d);
  }
  for (uint32_t i = 0; i < p->require_count && !status; i++)
    if (!p->requires_ || p->requires_[i].a >= p->dim_count || p->requires_[i].b >= p->dim_count)
      status = bad(p, diag, "unsound requirement", i);
  for (uint32_t i = 0; i < p->rule_count && !status; i++)
    if (!p->rules || !rule_is_sound(p, &p->rules[i]))
      status = bad(p, diag, "unsound size", i);
  for (uint32_t i = 0; i < p->fill_count && !status; i++)
    if (!p->fills || p->fills[i].param >= p->param_count || !p->params[p->fills[i].param].is_tensor)
      status = bad(p, diag, "unsound fill", i);
  for (uint32_t s = 0; s < p->step_count && !status; s++)
    status = check_step(p, s, diag);
  return status;
}

/* ---- copying --------------------------------------------------------------------------- */

static void *copy_array(hli_arena *arena, const void *from, size_t count, size_t size) {
  void *to = hli_arena_alloc(arena, count * size);
  if (to && count)
    memcpy(to, from, count * size);
  return to;
}

/* Images are not kept: the driver has its own copy once a kernel is loaded. */
static void copy_program(hl_plan *plan, const hlr_program *from) {
  hli_arena *arena = &plan->arena;
  hlr_program *to = &plan->program;
  *to = *from;
  to->dims = copy_array(arena, from->dims, from->dim_count, sizeof *to->dims);
  to->requires_ = copy_array(arena, from->requires_, from->require_count, sizeof *to->requires_);
  to->rules = copy_array(arena, from->rules, from->rule_count, sizeof *to->rules);
  to->terms = copy_array(arena, from->terms, from->term_count, sizeof *to->terms);
  to->fills = copy_array(arena, from->fills, from->fill_count, sizeof *to->fills);
  to->params = copy_array(arena, from->params, from->param_count, sizeof *to->params);
  to->steps = copy_array(arena, from->steps, from->step_count, sizeof *to->steps);
  plan->states = hli_arena_array(arena, hlr_step_state, from->step_count);
  for (uint32_t s = 0; s < from->step_count && !arena->failed; s++) {
    hlr_step *step = &to->steps[s];
    step->image = NULL;
    step->image_path = NULL;
    step->slots = copy_array(arena, step->slots, step->slot_count, sizeof *step->slots);
    plan->states[s].offsets = hli_arena_array(arena, uint16_t, step->slot_count);
    for (uint32_t i = 0; i < step->slot_count && !arena->failed; i++)
      if (step->slots[i].dtype == HL_I32 && step->slots[i].source != HLR_SCALAR)
        plan->narrow = true;
  }
  plan->is_static = true;
  for (uint32_t d = 0; d < from->dim_count; d++)
    if (from->dims[d].value == HLR_DYNAMIC)
      plan->is_static = false;
}

/* ---- loading ----------------------------------------------------------------------------- */

static hl_status load_step(hl_plan *plan, const hlr_step *step, hlr_step_state *state, hl_diag *diag) {
  hl_device *dev = plan->dev;
  hl_status status = hlr_ffi_layout(step->slots, step->slot_count, diag, state->offsets, &state->block_size);
  if (!status)
    status = check_limit(&plan->program, diag, "bytes of parameters", state->block_size, HLR_MAX_BLOCK);
  if (status)
    return status;
  hl_driver_kernel kernel = {
      .format = (hl_image_format)step->image_kind, /* the same numbers, see below */
      .image = hl_blob_data(step->image),
      .image_size = hl_blob_size(step->image),
      .entry = step->entry,
      .threads = step->threads,
      .shared_bytes = step->shared_bytes,
      .cluster = step->cluster,
      .scratch_bytes = step->scratch_bytes,
      .path = step->image_path,
  };
  return dev->driver->load_kernel(dev->self, &kernel, diag, &state->function);
}

_Static_assert((int)HLR_IMAGE_PTX == (int)HL_IMAGE_PTX && (int)HLR_IMAGE_CUBIN == (int)HL_IMAGE_CUBIN &&
                   (int)HLR_IMAGE_ELF_SO == (int)HL_IMAGE_ELF_SO,
               "descriptor and driver name image formats alike");

hl_status hlr_plan_create(hl_device *dev, const hlr_program *program, hl_diag *diag, hl_plan **out) {
  if (!dev || !program || !out)
    return hli_fail(diag, HL_ERR_ARG, "hlr_plan_create: device, descriptor and out must be set");
  *out = NULL;
  hl_status status = check_program(program, diag);
  if (!status)
    status = hlr_refuse_capture(dev, "load a kernel", diag);
  if (status)
    return status;

  hl_plan *plan = hli_calloc(&dev->ctx->alloc, 1, sizeof *plan);
  if (!plan)
    return hli_fail_memory(diag, "making a plan");
  plan->dev = hlr_device_retain(dev);
  hli_arena_init(&plan->arena, &dev->ctx->alloc);
  copy_program(plan, program);
  if (plan->arena.failed)
    status = hli_fail_memory(diag, "making a plan");
  for (uint32_t s = 0; s < program->step_count && !status; s++)
    status = load_step(plan, &program->steps[s], &plan->states[s], diag);
  if (status) {
    hl_plan_destroy(plan);
    return status;
  }
  *out = plan;
  return HL_OK;
}

void hl_plan_destroy(hl_plan *plan) {
  if (!plan)
    return;
  hl_device *dev = plan->dev;
  /* Launches in flight still need the code. */
  if (!hlr_refuse_capture(dev, "unload a kernel", NULL))
    (void)dev->driver->device_sync(dev->self, NULL);
  for (uint32_t s = 0; plan->states && s < plan->program.step_count; s++)
    if (plan->states[s].function)
      dev->driver->unload_kernel(dev->self, plan->states[s].function);
  hlr_ffi_closure_free(plan, plan->closure);
  hli_arena_free(&plan->arena);
  hli_release(&dev->ctx->alloc, plan, sizeof *plan);
  hl_device_close(dev);
}

size_t hl_plan_workspace_size(const hl_plan *plan) {
  return plan ? plan->program.workspace_bytes : 0;
}
