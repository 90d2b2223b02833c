/* config_api.c: the public configuration functions: they look at a specialised copy of the kernel. */
#include "src/cost/cost.h"
#include "src/pass/lane.h"
#include "src/plan/plan.h"

hl_status hli_specialized(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n, const hl_target *target,
                          const hl_config *tuned, hl_diag *diag, hl_kernel **out) {
  *out = hli_kernel_clone(k);
  if (!*out)
    return hli_fail_memory(diag, "specialising a kernel");
  hli_pass_env env = {
      .alloc = k->alloc, .target = target, .config = tuned, .shape = shape, .shape_count = n, .diag = diag};
  hl_status s = hli_pass_tunables(&env, out);
  if (s == HL_OK)
    s = hli_pass_specialize(&env, out);
  if (s == HL_OK)
    return HL_OK;
  hl_kernel_destroy(*out);
  *out = NULL;
  return s;
}

/* ---- limits that only the lowered kernel shows ---- */

/* How much of a thread's registers the estimate may take.  Beyond 7/8 the assembler was seen to spill in kernels with a
 * dot, whose accumulators are what is counted; elsewhere the temporaries of pointwise ops and masks come on top, which
 * the estimate does not see, and spills were seen from half on. */
static uint32_t usable(const hl_kernel *k, uint32_t have, bool any_shape) {
  if (!any_shape)
    return have * 7 / 8;
  for (hli_op op = 1; op < k->ops.len; op++)
    if (!k->ops.data[op].dead && hli_op_facts((hli_opcode)k->ops.data[op].code)->family == HLI_FAM_DOT)
      return have * 7 / 8;
  return have / 2;
}

/* Kernel, space and the model's configuration for a request. */
typedef struct request {
  hl_kernel *k;
  hli_space *space;
  hl_config *config;
  hl_kernel *lowered; /* for a GPU: with this configuration, once its registers were counted */
} request;

/* Lowers, and on a GPU estimates registers.  On a CPU only the scratch of a program is limited: the default one keeps
 * far below, and what a user asks for is refused by the plan. */
static hl_status check_lowered(request *r, const hl_target *target, bool any_shape, hli_hold hold, hl_diag *diag) {
  const hl_kernel *k = r->k;
  if (target->family == HLI_FAMILY_CPU && !any_shape)
    return HL_OK;
  const hli_lower_request ask = {.kernel = k, .target = target, .config = r->config};
  hl_kernel_destroy(r->lowered);
  hl_status s = hli_lower(&ask, diag, &r->lowered);
  if (s != HL_OK || target->family == HLI_FAMILY_CPU)
    return s;
  const hl_kernel *lowered = r->lowered;
  const uint32_t threads = lowered->launch.warps * target->warp_size, need = hli_lane_register_estimate(lowered, hold);
  const uint32_t have = HLI_MIN((uint32_t)target->regs_per_thread, target->regs_per_unit / threads);
  const uint32_t may = usable(lowered, have, any_shape);
  if (need <= may)
    return HL_OK;
  return hli_fail(
      diag, HL_ERR_LIMIT,
      "kernel %s: about %u registers a thread are needed and %u of %u can be used on %s with num_warps %u; choose "
      "smaller block_sizes or reduction_loops",
      k->name, need, may, have, target->name, threads / target->warp_size);
}

/* Takes whole rows where that is legal; false: all are. */
static bool whole_rows(request *r) {
  bool changed = false;
  for (uint32_t i = 0; i < r->config->entries.len; i++) {
    hli_config_entry *e = &r->config->entries.data[i];
    const hli_space_entry *se = hli_space_find(r->space, e->knob, e->instance);
    if (e->knob != HLI_KNOB_REDUCTION_LOOPS || !e->value || !se || !hli_space_allows(se, 0))
      continue;
    e->value = 0;
    changed = true;
  }
  return changed;
}

/* Makes the request's configuration legal in every respect.  The loops over chunks of dots' rows can need more registers
 * than the rows, when these are short: whole rows are the last resort. */
static hl_status settle(request *r, const hl_target *target, bool any_shape, hl_diag *diag) {
  for (bool rows = false, whole = false;;) {
    hl_status s = hli_config_repair(r->k, target, r->space, r->config, diag);
    const bool legal = s == HL_OK;
    if (legal)
      s = check_lowered(r, target, any_shape, any_shape ? HLI_HOLD_ALL : HLI_HOLD_MULTIPLY_ADD, diag);
    if (s != HL_ERR_LIMIT)
      return s;
    if (hli_config_relax(r->space, r->config, rows))
      continue;
    if (legal || any_shape) /* nothing smaller is left: this may still be within the real limit */
      s = check_lowered(r, target, false, HLI_HOLD_AHEAD, diag);
    if (s != HL_ERR_LIMIT || (rows && (whole || !whole_rows(r))))
      return s;
    whole |= rows;
    rows = !rows;
  }
}

static void close_request(request *r) {
  hl_kernel_destroy(r->k);
  hl_kernel_destroy(r->lowered);
  hli_space_destroy(r->space);
  hl_config_destroy(r->config);
}

/* tuned: a configuration with values of the kernel's own tunables; NULL: their defaults. */
static hl_status open_tuned(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n, const hl_target *target,
                            const hl_config *tuned, hl_diag *diag, const void *out, request *r) {
  *r = (request){0};
  if (!k || !target || !out || (n && !shape))
    return hli_fail(diag, HL_ERR_ARG, "wants a kernel, its sizes, a target and an out parameter");
  if (k->stage != HLI_STAGE_TILE || k->scheduled)
    return hli_fail(diag, HL_ERR_ARG, "kernel %s is already scheduled: it has no configuration left", k->name);
  hl_status s = hli_specialized(k, shape, n, target, tuned, diag, &r->k);
  if (s == HL_OK)
    s = hli_space_create(r->k, target, k->alloc, diag, &r->space);
  if (s == HL_OK && !(r->config = hli_config_from_space(r->space, k->alloc)))
    s = hli_fail_memory(diag, "choosing a configuration");
  if (s == HL_OK)
    s = hli_cost_default(r->k, target, r->space, r->config, diag);
  if (s == HL_OK)
    s = settle(r, target, false, diag);
  if (s != HL_OK)
    close_request(r);
  return s;
}

static hl_status open_request(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n, const hl_target *target,
                              hl_diag *diag, const void *out, request *r) {
  return open_tuned(k, shape, n, target, NULL, diag, out, r);
}

/* The same request with the tunables as they are in its configuration now: they decide what else there is. */
static hl_status reopen(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n, const hl_target *target,
                        hl_diag *diag, request *r) {
  hl_config *tuned = r->config;
  r->config = NULL;
  close_request(r);
  const hl_status s = open_tuned(k, shape, n, target, tuned, diag, r, r);
  hl_config_destroy(tuned);
  return s;
}

static hl_config *take_config(request *r) {
  hl_config *c = r->config;
  r->config = NULL;
  close_request(r);
  return c;
}

hl_status hli_config_choose(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n, const hl_target *target,
                            hl_diag *diag, hl_config **out, hl_kernel **lowered) {
  request r;
  hl_status s = open_request(k, shape, n, target, diag, out, &r);
  if (s != HL_OK)
    return s;
  *lowered = r.lowered;
  r.lowered = NULL;
  *out = take_config(&r);
  return HL_OK;
}

hl_status hl_config_default(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n, const hl_target *target,
                            hl_diag *diag, hl_config **out) {
  request r;
  if (out)
    *out = NULL;
  hl_status s = open_request(k, shape, n, target, diag, out, &r);
  if (s == HL_OK)
    *out = take_config(&r);
  return s;
}

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014). */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

/* Random values of the kernel's own tunables, or of all others. */
static void draw(request *r, bool tunables, uint64_t *seed) {
  for (uint32_t i = 0; i < r->space->entries.len; i++) {
    const hli_space_entry *e = &r->space->entries.data[i];
    if (tunables == (e->knob == HLI_KNOB_TUNABLES))
      hli_config_set(r->config, e->knob, e->instance, e->values[next_random(seed) % e->value_count]);
  }
}

hl_status hl_config_random(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n, const hl_target *target,
                           uint64_t seed, hl_diag *diag, hl_config **out) {
  request r;
  if (out)
    *out = NULL;
  hl_status s = open_request(k, shape, n, target, diag, out, &r);
  if (s != HL_OK)
    return s;
  draw(&r, true, &seed);
  if (k->tunables.len && (s = reopen(k, shape, n, target, diag, &r)) == HL_ERR_LIMIT)
    s = open_request(k, shape, n, target, diag, out, &r); /* not with these: their defaults */
  if (s != HL_OK)
    return s;
  draw(&r, false, &seed);
  s = settle(&r, target, true, diag);
  if (s == HL_OK)
    *out = take_config(&r);
  else
    close_request(&r);
  return s;
}

hl_status hl_config_parse(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n, const hl_target *target,
                          hl_str json, hl_diag *diag, hl_config **out) {
  request r;
  if (out)
    *out = NULL;
  hl_status s = open_request(k, shape, n, target, diag, out, &r);
  if (s != HL_OK)
    return s;
  s = hli_config_read(r.space, r.config, target, json, true, diag);
  if (s == HL_OK && k->tunables.len && (s = reopen(k, shape, n, target, diag, &r)) != HL_OK)
    return s;
  if (s == HL_OK)
    s = hli_config_read(r.space, r.config, target, json, false, diag);
  if (s == HL_OK)
    s = hli_config_check(r.k, target, r.config, diag);
  if (s == HL_OK)
    s = check_lowered(&r, target, false, HLI_HOLD_AHEAD, diag);
  if (s == HL_OK)
    *out = take_config(&r);
  else
    close_request(&r);
  return s;
}

hl_status hl_space_print(const hl_kernel *k, const hl_shape_binding *shape, uint32_t n, const hl_target *target,
                         hl_diag *diag, hl_blob **out) {
  request r;
  if (out)
    *out = NULL;
  hl_status s = open_request(k, shape, n, target, diag, out, &r);
  if (s != HL_OK)
    return s;
  *out = hli_space_to_json(r.space, r.config);
  close_request(&r);
  return *out ? HL_OK : hli_fail_memory(diag, "printing a search space");
}
