/* program_bytes.c: a launch descriptor as bytes, and back.
 *
 *   head    magic, sizes of the structs, counts
 *   program, dims, params, requirements, rules, terms, fills, steps (as in memory; pointers are zero), then each step's slots
 *
 * The same build of libhl reads what it wrote: the key of a record names the build, its checksum covers the bytes,
 * and the sizes in the head are compared.  hlr_plan_create checks what the descriptor says. */
#include "src/plan/cache.h"

#define MAGIC 0x50524C48u /* "HLRP" */

typedef struct head {
  uint32_t magic, program, dim, param, step, slot, slots, require, rule, term, fill;
} head;

static const head expected = {.magic = MAGIC,
                              .program = sizeof(hlr_program),
                              .dim = sizeof(hlr_dim),
                              .param = sizeof(hlr_param),
                              .step = sizeof(hlr_step),
                              .slot = sizeof(hlr_slot),
                              .require = sizeof(hlr_require),
                              .rule = sizeof(hli_size_rule),
                              .term = sizeof(hli_size_term),
                              .fill = sizeof(hlr_fill)};

static void put(hli_strbuf *out, const void *p, size_t size) {
  hli_sb_put(out, p, size);
}

bool hli_program_write(const hlr_program *p, hli_strbuf *out) {
  head h = expected;
  for (uint32_t s = 0; s < p->step_count; s++) {
    h.slots += p->steps[s].slot_count;
    if (p->steps[s].image != p->steps[0].image)
      return false; /* one image per record */
  }
  hlr_program flat = *p;
  flat.dims = NULL, flat.params = NULL, flat.steps = NULL, flat.requires_ = NULL;
  flat.rules = NULL, flat.terms = NULL, flat.fills = NULL;
  put(out, &h, sizeof h);
  put(out, &flat, sizeof flat);
  put(out, p->dims, p->dim_count * sizeof *p->dims);
  put(out, p->params, p->param_count * sizeof *p->params);
  put(out, p->requires_, p->require_count * sizeof *p->requires_);
  put(out, p->rules, p->rule_count * sizeof *p->rules);
  put(out, p->terms, p->term_count * sizeof *p->terms);
  put(out, p->fills, p->fill_count * sizeof *p->fills);
  for (uint32_t s = 0; s < p->step_count; s++) {
    hlr_step step = p->steps[s];
    step.image = NULL, step.image_path = NULL, step.slots = NULL;
    put(out, &step, sizeof step);
  }
  for (uint32_t s = 0; s < p->step_count; s++)
    put(out, p->steps[s].slots, p->steps[s].slot_count * sizeof *p->steps[s].slots);
  return !out->failed;
}

/* Bytes yet to be read; sticky. */
typedef struct reader {
  const char *at;
  size_t left;
  bool failed;
} reader;

static void take(reader *r, void *to, size_t count, size_t size) {
  size_t bytes;
  if (r->failed || !to || __builtin_mul_overflow(count, size, &bytes) || bytes > r->left) {
    r->failed = true;
    return;
  }
  memcpy(to, r->at, bytes);
  r->at += bytes;
  r->left -= bytes;
}

/* A truth value of another number than 0 and 1 must not even be looked at. */
static bool truths_are_sound(const hlr_program *p) {
  for (uint32_t i = 0; i < p->param_count; i++) {
    const unsigned char *raw = (const unsigned char *)&p->params[i];
    if (raw[offsetof(hlr_param, is_tensor)] > 1 || raw[offsetof(hlr_param, written)] > 1 ||
        raw[offsetof(hlr_param, is_exact)] > 1)
      return false;
  }
  for (uint32_t s = 0; s < p->step_count; s++)
    for (uint32_t i = 0; i < HLR_MAX_EXTENTS; i++)
      if (((const unsigned char *)&p->steps[s].extents[i])[offsetof(hlr_extent, opens)] > 1)
        return false;
  return true;
}

static void read_steps(const hl_allocator *a, reader *r, hlr_program *p, uint32_t slots) {
  take(r, p->steps, p->step_count, sizeof *p->steps);
  for (uint32_t s = 0; s < p->step_count; s++) {
    hlr_step *step = &p->steps[s];
    step->image = NULL, step->image_path = NULL, step->slots = NULL;
    if (r->failed || step->slot_count > slots) {
      step->slot_count = 0;
      r->failed = true;
    }
    slots -= step->slot_count;
    step->slots = hli_calloc(a, HLI_MAX(step->slot_count, 1u), sizeof *step->slots);
    r->failed |= !step->slots;
  }
  for (uint32_t s = 0; s < p->step_count; s++)
    take(r, p->steps[s].slots, p->steps[s].slot_count, sizeof *p->steps[s].slots);
}

hlr_program *hli_program_read(const hl_allocator *a, hl_str bytes, size_t *used) {
  reader r = {.at = bytes.ptr, .left = bytes.len};
  head h;
  take(&r, &h, 1, sizeof h);
  head same = expected;
  same.slots = r.failed ? 0 : h.slots;
  hlr_program *p = !r.failed && memcmp(&h, &same, sizeof h) == 0 ? hli_calloc(a, 1, sizeof *p) : NULL;
  if (!p)
    return NULL;
  take(&r, p, 1, sizeof *p);
  p->dims = NULL, p->params = NULL, p->steps = NULL, p->requires_ = NULL, p->rules = NULL, p->terms = NULL;
  p->fills = NULL;
  /* No count can exceed the bytes that are there. */
  if (r.failed || p->dim_count > r.left || p->param_count > r.left || p->step_count > r.left || h.slots > r.left ||
      p->require_count > r.left || p->rule_count > r.left || p->term_count > r.left ||
      p->fill_count > r.left) {
    p->dim_count = p->param_count = p->step_count = p->require_count = p->rule_count = p->term_count = 0;
    p->fill_count = 0;
    r.failed = true;
  }
  p->dims = hli_calloc(a, HLI_MAX(p->dim_count, 1u), sizeof *p->dims);
  p->params = hli_calloc(a, HLI_MAX(p->param_count, 1u), sizeof *p->params);
  p->requires_ = hli_calloc(a, HLI_MAX(p->require_count, 1u), sizeof *p->requires_);
  p->rules = hli_calloc(a, HLI_MAX(p->rule_count, 1u), sizeof *p->rules);
  p->terms = hli_calloc(a, HLI_MAX(p->term_count, 1u), sizeof *p->terms);
  p->fills = hli_calloc(a, HLI_MAX(p->fill_count, 1u), sizeof *p->fills);
  p->steps = hli_calloc(a, HLI_MAX(p->step_count, 1u), sizeof *p->steps);
  take(&r, p->dims, p->dim_count, sizeof *p->dims);
  take(&r, p->params, p->param_count, sizeof *p->params);
  take(&r, p->requires_, p->require_count, sizeof *p->requires_);
  take(&r, p->rules, p->rule_count, sizeof *p->rules);
  take(&r, p->terms, p->term_count, sizeof *p->terms);
  take(&r, p->fills, p->fill_count, sizeof *p->fills);
  if (p->steps)
    read_steps(a, &r, p, h.slots);
  else
    r.failed = true;
  if (r.failed || !truths_are_sound(p)) {
    hli_program_free(a, p);
    return NULL;
  }
  *used = bytes.len - r.left;
  return p;
}
