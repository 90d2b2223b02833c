/* describe.c: the launch descriptor (runtime/program.h) of a lowered kernel.
 *
 * The parameter block's fields, in order: a pointer per tensor and a value per scalar in parameter order; an
 * i64 per dynamic dimension that some parameter has, in the order of the dims table; an i64 per runtime stride.
 * The code generators lay their entry's parameters out the same way. */
#include "src/plan/plan.h"
#include <stdio.h>

static void copy_name(char out[HLR_NAME], const char *name) {
  size_t n = strlen(name);
  if (n > HLR_NAME - 1)
    n = HLR_NAME - 1;
  memcpy(out, name, n);
  out[n] = 0;
}

/* A constant dimension is named by its size; entry 0, which nothing refers to, by 0. */
static void describe_dim(const hli_dim_data *d, hlr_dim *out) {
  *out = (hlr_dim){.value = d->value, .multiple = HLI_MAX(d->multiple, 1)};
  copy_name(out->name, d->name);
  if (!d->name[0])
    snprintf(out->name, sizeof out->name, "%lld", (long long)d->value);
}

static void describe_param(const hl_kernel *k, uint32_t p, hlr_param *out) {
  const hli_param *param = &k->params.data[p];
  const hli_type_data *t = hli_type_of(k, param->value);
  *out = (hlr_param){.is_tensor = t->kind == HLI_TYPE_TENSOR,
                     .written = param->is_output,
                     .may_alias = param->may_alias,
                     .is_exact = param->specialized,
                     .constant = param->constant,
                     .dtype = (hl_dtype)t->dtype};
  copy_name(out->name, k->values.data[param->value].name);
  if (!out->is_tensor)
    return;
  if (param->given)
    t = hli_type_get(k, param->given);
  out->rank = t->rank;
  out->align = HLI_MAX(param->align, hl_dtype_size((hl_dtype)t->dtype));
  int64_t packed = 1;
  for (uint32_t d = t->rank; d-- > 0; packed *= HLI_MAX(k->dims.data[t->dims[d]].value, 1)) {
    out->dims[d] = (uint16_t)t->dims[d];
    out->strides[d] = param->given ? packed : param->strides[d] >= 0 ? param->strides[d] : HLR_DYNAMIC;
  }
}

static bool dim_used(const hl_kernel *k, hli_dim dim) {
  for (uint32_t p = 0; p < k->params.len; p++) {
    const hli_type_data *t = hli_type_of(k, k->params.data[p].value);
    for (uint32_t d = 0; t->kind == HLI_TYPE_TENSOR && d < t->rank; d++)
      if (t->dims[d] == dim)
        return true;
  }
  return false;
}

/* Writes the slots (or only counts them when out is NULL). */
static uint32_t describe_slots(const hl_kernel *k, hlr_slot *out) {
  uint32_t n = 0;
  for (uint32_t p = 0; p < k->params.len; p++, n++) {
    const hli_type_data *t = hli_type_of(k, k->params.data[p].value);
    if (!out)
      continue;
    out[n] = t->kind == HLI_TYPE_TENSOR ? (hlr_slot){.source = HLR_PTR, .param = (uint8_t)p}
                                        : (hlr_slot){.source = HLR_SCALAR, .dtype = t->dtype, .param = (uint8_t)p};
  }
  for (hli_dim d = 1; d < k->dims.len; d++) {
    if (k->dims.data[d].value >= 0 || !dim_used(k, d))
      continue;
    if (out)
      out[n] = (hlr_slot){.source = HLR_SIZE, .dtype = HL_I64, .dim = (uint8_t)d};
    n++;
  }
  for (uint32_t p = 0; p < k->params.len; p++) {
    const hli_type_data *t = hli_type_of(k, k->params.data[p].value);
    for (uint32_t d = 0; t->kind == HLI_TYPE_TENSOR && d < t->rank; d++) {
      if (k->params.data[p].strides[d] >= 0)
        continue;
      if (out)
        out[n] = (hlr_slot){.source = HLR_STRIDE, .dtype = HL_I64, .param = (uint8_t)p, .dim = (uint8_t)d};
      n++;
    }
  }
  return n;
}

static hlr_image_kind image_kind(hlc_format f) {
  return f == HLC_PTX ? HLR_IMAGE_PTX : f == HLC_CUBIN ? HLR_IMAGE_CUBIN : HLR_IMAGE_ELF_SO;
}

static void describe_step(const hl_kernel *k, const hl_target *target, const hlc_result *image, hlr_step *s) {
  copy_name(s->entry, image->entry);
  s->image_kind = image_kind(image->format);
  s->image = image->bytes;
  s->threads = target->family == HLI_FAMILY_CPU ? 1 : k->launch.warps * target->warp_size;
  s->shared_bytes = k->launch.shared_bytes;
  s->cluster = 1;
  s->grain = HLI_MAX(k->launch.grain, 1u);
  s->scratch_bytes = k->launch.scratch_bytes;
  s->extent_count = k->grid.len;
  for (uint32_t i = 0; i < k->grid.len && i < HLR_MAX_EXTENTS; i++) {
    const hli_grid_axis *g = &k->grid.data[i];
    s->extents[i] = (hlr_extent){
        .constant = g->constant, .dim = g->dim ? (int32_t)g->dim : HLR_DYNAMIC, .block = (int32_t)g->block, .opens = g->opens};
  }
  s->slot_count = describe_slots(k, s->slots);
}

static bool describe_requires(const hl_kernel *k, hlr_program *p) {
  p->requires_ = hli_calloc(k->alloc, HLI_MAX(k->requires_.len, 1u), sizeof *p->requires_);
  for (uint32_t i = 0; p->requires_ && i < k->requires_.len; i++) {
    const hli_require *r = &k->requires_.data[i];
    p->requires_[p->require_count++] = (hlr_require){(uint16_t)r->a, (uint16_t)r->b, r->compare};
  }
  return p->requires_ != NULL;
}

static bool describe_rules(const hl_kernel *k, hlr_program *p) {
  const uint32_t rules = k->size_rules.len, terms = k->size_terms.len;
  p->rules = hli_calloc(k->alloc, HLI_MAX(rules, 1u), sizeof *p->rules);
  p->terms = hli_calloc(k->alloc, HLI_MAX(terms, 1u), sizeof *p->terms);
  p->rule_count = rules, p->term_count = terms;
  for (uint32_t i = 0; p->rules && i < rules; i++)
    p->rules[i] = k->size_rules.data[i];
  for (uint32_t i = 0; p->terms && i < terms; i++)
    p->terms[i] = k->size_terms.data[i];
  return p->rules && p->terms;
}

static bool describe_fills(const hl_kernel *k, hlr_program *p) {
  for (uint32_t i = 0; i < k->params.len; i++)
    p->fill_count += k->params.data[i].has_initial;
  p->fills = hli_calloc(k->alloc, HLI_MAX(p->fill_count, 1u), sizeof *p->fills);
  for (uint32_t i = 0, n = 0; p->fills && i < k->params.len; i++)
    if (k->params.data[i].has_initial)
      p->fills[n++] = (hlr_fill){k->params.data[i].initial, i};
  return p->fills != NULL;
}

hl_status hli_describe(const hl_kernel *k, const hl_target *target, const hlc_result *image, hl_diag *diag,
                       hlr_program **out) {
  const hl_allocator *a = k->alloc;
  hlr_program *p = hli_calloc(a, 1, sizeof *p);
  *out = NULL;
  if (!p)
    return hli_fail_memory(diag, "describing a launch");
  copy_name(p->name, k->name);
  p->dim_count = k->dims.len;
  p->param_count = k->params.len;
  p->step_count = 1;
  p->dims = hli_calloc(a, HLI_MAX(p->dim_count, 1u), sizeof *p->dims);
  p->params = hli_calloc(a, HLI_MAX(p->param_count, 1u), sizeof *p->params);
  p->steps = hli_calloc(a, 1, sizeof *p->steps);
  const uint32_t slots = describe_slots(k, NULL);
  if (p->steps) {
    p->steps->slots = hli_calloc(a, HLI_MAX(slots, 1u), sizeof *p->steps->slots);
    p->steps->slot_count = slots;
  }
  if (!describe_requires(k, p) || !describe_rules(k, p) || !describe_fills(k, p) || !p->dims || !p->params || !p->steps || !p->steps->slots) {
    hli_program_free(a, p);
    return hli_fail_memory(diag, "describing a launch");
  }
  for (hli_dim d = 0; d < k->dims.len; d++)
    describe_dim(&k->dims.data[d], &p->dims[d]);
  for (uint32_t i = 0; i < k->params.len; i++)
    describe_param(k, i, &p->params[i]);
  describe_step(k, target, image, p->steps);
  *out = p;
  return HL_OK;
}

void hli_program_free(const hl_allocator *a, hlr_program *p) {
  if (!p)
    return;
  for (uint32_t s = 0; p->steps && s < p->step_count; s++)
    hli_release(a, p->steps[s].slots, HLI_MAX(p->steps[s].slot_count, 1u) * sizeof *p->steps[s].slots);
  hli_release(a, p->steps, HLI_MAX(p->step_count, 1u) * sizeof *p->steps);
  hli_release(a, p->requires_, HLI_MAX(p->require_count, 1u) * sizeof *p->requires_);
  hli_release(a, p->rules, HLI_MAX(p->rule_count, 1u) * sizeof *p->rules);
  hli_release(a, p->fills, HLI_MAX(p->fill_count, 1u) * sizeof *p->fills);
  hli_release(a, p->terms, HLI_MAX(p->term_count, 1u) * sizeof *p->terms);
  hli_release(a, p->params, HLI_MAX(p->param_count, 1u) * sizeof *p->params);
  hli_release(a, p->dims, HLI_MAX(p->dim_count, 1u) * sizeof *p->dims);
  hli_release(a, p, sizeof *p);
}
