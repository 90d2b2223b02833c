/* space.c: which knobs a kernel has on a target, and their legal values.  Nobody writes a space down: it
 * follows from the kernel's axes (facts.h) and the target's limits. */
#include "src/config/space.h"
#include "src/config/facts.h"
#include "src/config/flatten.h"

static const hli_knob_info knobs[HLI_KNOB_COUNT] = {
#define HLI_KNOB(E, text, owner, per, families, meaning) [HLI_KNOB_##E] = {text, owner, per, families},
#include "src/config/knobs.def"
#undef HLI_KNOB
};

const hli_knob_info *hli_knob_facts(hli_knob knob) {
  return &knobs[(unsigned)knob < HLI_KNOB_COUNT ? knob : 0];
}

/* ---- building ---- */

static bool add_entry(hli_space *s, hli_knob knob, uint32_t instance, const int64_t *values, uint32_t n,
                      int64_t preferred) {
  hli_space_entry e = {.knob = knob, .instance = instance, .value_count = n, .preferred = preferred};
  e.values = hli_arena_array(&s->arena, int64_t, n);
  if (!e.values)
    return false;
  memcpy(e.values, values, n * sizeof *values);
  return hli_vec_push(s->arena.alloc, &s->entries, e);
}

/* Powers of two from lo to hi, both included; the preferred one is clamped into them. */
static bool add_powers(hli_space *s, hli_knob knob, uint32_t instance, int64_t lo, int64_t hi, int64_t preferred) {
  int64_t values[64];
  uint32_t n = 0;
  for (int64_t v = lo; v <= HLI_MAX(hi, lo); v *= 2)
    values[n++] = v;
  return add_entry(s, knob, instance, values, n, HLI_MAX(lo, HLI_MIN(preferred, values[n - 1])));
}

/* The block of a tile axis: up to the next power of two of its extent; axes of a dot not below the matrix atom. */
static bool add_block(hli_space *s, const hl_kernel *k, const hl_target *target, const hli_kernel_facts *f,
                      hli_axis a) {
  const hli_axis_data *x = &k->axes.data[a];
  const hli_axis_facts *af = &f->axes[a];
  const bool gpu = target->family != HLI_FAMILY_CPU;
  const bool dot = (af->roles & (HLI_ROLE_DOT_M | HLI_ROLE_DOT_N | HLI_ROLE_DOT_K)) != 0;
  int64_t lo = gpu && dot ? 16 : 1;
  int64_t hi = af->extent > 0 ? (int64_t)hli_next_pow2((uint64_t)af->extent) : gpu ? 4096 : 1 << 16;
  if (gpu && dot)
    hi = HLI_MAX(hi, 64); /* small operands may overshoot: they are padded with zeros */
  hi = HLI_MIN(hi, gpu ? (dot ? 256 : 16384) : 1 << 20);
  if (x->block_min && x->block_min == x->block_max)
    return add_entry(s, HLI_KNOB_BLOCK_SIZES, af->instance, &x->block_min, 1, x->block_min);
  if (af->roles & HLI_ROLE_DOT_BATCH) /* one matrix at a time */
    return add_entry(s, HLI_KNOB_BLOCK_SIZES, af->instance, (const int64_t[]){1}, 1, 1);
  if (x->block_min)
    lo = (int64_t)hli_next_pow2((uint64_t)x->block_min);
  if (x->block_max)
    hi = HLI_MIN(hi, x->block_max);
  return add_powers(s, HLI_KNOB_BLOCK_SIZES, af->instance, lo, hi, 16);
}

static bool add_orders(hli_space *s, uint32_t rank, uint32_t instance) {
  int64_t values[24] = {0}, orders = 1;
  for (uint32_t i = 2; i <= rank && i <= 4; i++)
    orders *= i;
  for (int64_t i = 0; i < orders; i++)
    values[i] = i;
  return add_entry(s, HLI_KNOB_LOOP_ORDERS, instance, values, (uint32_t)orders, 0);
}

/* Instances count the grids of two axes and more: the others have one order. */
static bool add_grid_knobs(hli_space *s, const hli_kernel_facts *f) {
  uint32_t instance = 0;
  for (uint32_t r = 0; r < f->roots; r++) {
    if (f->root_rank[r] < 2)
      continue;
    if (!add_orders(s, f->root_rank[r], instance) || !add_powers(s, HLI_KNOB_L2_GROUPINGS, instance, 1, 32, 1))
      return false;
    instance++;
  }
  return true;
}

/* A full axis: 0 (the whole row at once) where its size is known, and chunks where its ops allow them. */
static bool add_reduction(hli_space *s, const hl_kernel *k, const hli_kernel_facts *f, hli_axis a) {
  const char *why;
  int64_t values[16];
  uint32_t n = 0;
  const int64_t extent = f->axes[a].extent;
  if (extent >= 0)
    values[n++] = 0;
  if (hli_chunk_block(k, a, &why))
    for (int64_t c = 32; c <= 16384 && (extent < 0 || c < extent); c *= 2)
      values[n++] = c;
  return n == 0 || add_entry(s, HLI_KNOB_REDUCTION_LOOPS, f->axes[a].instance, values, n, values[0]);
}

static bool add_axes(hli_space *s, const hl_kernel *k, const hl_target *target, const hli_kernel_facts *f, int kind) {
  for (hli_axis a = 1; a < k->axes.len; a++) {
    if (k->axes.data[a].kind != kind)
      continue;
    if (!(kind == HLI_AXIS_TILE ? add_block(s, k, target, f, a) : add_reduction(s, k, f, a)))
      return false;
  }
  return true;
}

static bool add_tunables(hli_space *s, const hl_kernel *k) {
  int64_t values[HLI_TUNABLE_MOST];
  for (uint32_t i = 0; i < k->tunables.len; i++) {
    hli_tunable *t = hli_arena_new(&s->arena, hli_tunable);
    if (!t)
      return false;
    *t = k->tunables.data[i];
    if (!add_entry(s, HLI_KNOB_TUNABLES, i, values, hli_tunable_values(t, values), t->preferred))
      return false;
    s->entries.data[s->entries.len - 1].tunable = t;
  }
  return true;
}

static bool add_flatten(hli_space *s, const hl_kernel *k) {
  hli_op loops[HLI_FLATTEN_MOST];
  for (uint32_t i = 0, n = hli_flattenable(k, loops); i < n; i++)
    if (!add_entry(s, HLI_KNOB_FLATTEN_LOOPS, i, (const int64_t[]){0, 1}, 2, 0))
      return false;
  return true;
}

static bool fill_target(hli_space *s, const hl_kernel *k, const hl_target *target, const hli_kernel_facts *f) {
  if (!add_tunables(s, k) || !add_axes(s, k, target, f, HLI_AXIS_TILE) || !add_grid_knobs(s, f))
    return false;
  if (target->family == HLI_FAMILY_CPU)
    return add_powers(s, HLI_KNOB_UNROLL, 0, 1, 8, 4) && add_powers(s, HLI_KNOB_PARALLEL_GRAIN, 0, 1, 16, 1);
  const int64_t stages[] = {1, 2, 3, 4, 5, 6};
  if (!add_axes(s, k, target, f, HLI_AXIS_FULL) || !add_powers(s, HLI_KNOB_NUM_WARPS, 0, 1, target->max_warps, 4))
    return false;
  const int64_t types[] = {0, 1, 2};
  if (!add_entry(s, HLI_KNOB_PID_TYPE, 0, types, HLI_COUNT(types), 0) ||
      !add_powers(s, HLI_KNOB_NUM_SM_MULTIPLIER, 0, 1, 8, 1))
    return false;
  return !f->has_dot || add_entry(s, HLI_KNOB_NUM_STAGES, 0, stages, HLI_COUNT(stages), 3);
}

static bool fill(hli_space *s, const hl_kernel *k, const hl_target *target, const hli_kernel_facts *f) {
  return fill_target(s, k, target, f) && add_flatten(s, k);
}

hl_status hli_space_create(const hl_kernel *k, const hl_target *target, const hl_allocator *alloc, hl_diag *diag,
                           hli_space **out) {
  hli_kernel_facts facts;
  hli_space *s = hli_calloc(alloc, 1, sizeof *s);
  *out = NULL;
  if (!s)
    return hli_fail_memory(diag, "deriving a search space");
  hli_arena_init(&s->arena, alloc);
  if (hli_kernel_facts_get(k, &s->arena, &facts) && fill(s, k, target, &facts)) {
    *out = s;
    return HL_OK;
  }
  hli_space_destroy(s);
  return hli_fail_memory(diag, "deriving a search space");
}

void hli_space_destroy(hli_space *s) {
  if (!s)
    return;
  const hl_allocator *alloc = s->arena.alloc;
  hli_vec_free(alloc, &s->entries);
  hli_arena_free(&s->arena);
  hli_release(alloc, s, sizeof *s);
}

const hli_space_entry *hli_space_find(const hli_space *s, hli_knob knob, uint32_t instance) {
  for (uint32_t i = 0; i < s->entries.len; i++)
    if (s->entries.data[i].knob == knob && s->entries.data[i].instance == instance)
      return &s->entries.data[i];
  return NULL;
}

bool hli_space_allows(const hli_space_entry *e, int64_t value) {
  for (uint32_t i = 0; i < e->value_count; i++)
    if (e->values[i] == value)
      return true;
  return false;
}

/* ---- joint limits ---- */

hl_status hli_config_check(const hl_kernel *k, const hl_target *target, const hl_config *c, hl_diag *diag) {
  hli_arena arena;
  hli_kernel_facts facts;
  hli_arena_init(&arena, k->alloc);
  if (!hli_kernel_facts_get(k, &arena, &facts)) {
    hli_arena_free(&arena);
    return hli_fail_memory(diag, "checking a configuration");
  }
  const hli_block_choice choice = {c, &facts, target->family};
  const hli_cost_facts cost = hli_cost_of(k, hli_config_lanes, &choice);
  hli_arena_free(&arena);
  if (target->family == HLI_FAMILY_CPU)
    return HL_OK; /* values are evaluated in pieces: nothing to exceed */
  const int64_t warps = hli_config_value(c, HLI_KNOB_NUM_WARPS, 0, 4), threads = warps * target->warp_size;
  const int64_t stages = hli_config_value(c, HLI_KNOB_NUM_STAGES, 0, 1);
  const int64_t limit = 1 << 20, need = hli_ceil_div(cost.live_bytes, 4 * threads);
  /* addresses, masks and loop counters of a block take about 40 registers; dots hold one more set of operand fragments
   */
  const int64_t have = HLI_MIN((int64_t)target->regs_per_thread, target->regs_per_unit / threads) - 40;
  const int64_t shared = cost.stage_bytes * stages;
  if (cost.largest_value > limit)
    return hli_fail(diag, HL_ERR_LIMIT,
                    "kernel %s: a tile value of %lld elements exceeds the limit of %lld; choose smaller block_sizes or "
                    "reduction_loops",
                    k->name, (long long)cost.largest_value, (long long)limit);
  if (need > have)
    return hli_fail(diag, HL_ERR_LIMIT,
                    "kernel %s: about %lld registers a thread are needed for tile values and %lld are free on %s with "
                    "num_warps %lld; choose smaller block_sizes or reduction_loops, or more num_warps",
                    k->name, (long long)need, (long long)have, target->name, (long long)warps);
  if (shared > target->shared_bytes)
    return hli_fail(
        diag, HL_ERR_LIMIT,
        "kernel %s: %lld bytes of shared memory exceed the %u of %s; choose smaller block_sizes or num_stages", k->name,
        (long long)shared, target->shared_bytes, target->name);
  return HL_OK;
}
