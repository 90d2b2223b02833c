/* verify_head.c: dimensions, axes, layouts, types, parameters, grid and launch facts.
 * SPDX-License-Identifier: MIT */
#include "src/ir/layout_ops.h"
#include "src/ir/verify.h"

/* ---- dimensions and axes -------------------------------------------------------------------- */

static bool size_in(int64_t x, int64_t low) { return x >= low && x <= HLI_TEXT_SIZE; }

static void check_dim(hli_verifier *v, const hli_dim_data *d) {
  bool multiple = d->multiple >= 1 && d->multiple <= (int64_t)1 << 32;
  if (!size_in(d->value, -1) || !multiple || !size_in(d->example, 0) || d->kind > HLI_DIM_DYNAMIC)
    hli_complain(v, 0, "dimension %s has impossible facts (size %lld, multiple_of %lld, example %lld)", d->name,
                 (long long)d->value, (long long)d->multiple, (long long)d->example);
  else if (d->value >= 0 && d->value % d->multiple)
    hli_complain(v, 0, "dimension %s = %lld is no multiple of %lld: correct its size or its multiple_of", d->name,
                 (long long)d->value, (long long)d->multiple);
  else if (!d->name[0] && d->value < 0)
    hli_complain(v, 0, "a dimension without a name needs a size");
  if (d->kind == HLI_DIM_STATIC && d->value < 0 && (v->k->stage != HLI_STAGE_TILE || v->k->scheduled))
    hli_complain(v, 0, "dimension %s is static but has no size: write 'dim %s static = <size>'", d->name, d->name);
}

static void check_tunable(hli_verifier *v, uint32_t index) {
  const hli_tunable *t = &v->k->tunables.data[index];
  const char *fault = hli_tunable_fault(t);
  if (!memchr(t->name, 0, sizeof t->name) || !hli_is_name(t->name))
    hli_complain(v, 0, "the name of tunable %u is not an identifier", index);
  else if (fault)
    hli_complain(v, 0, "tunable %s: %s", t->name, fault);
  for (uint32_t i = 0; i < index; i++)
    if (!strcmp(v->k->tunables.data[i].name, t->name))
      hli_complain(v, 0, "two tunables have the name %s", t->name);
}

/* Its block is what a tunable says. */
static void check_tunable_block(hli_verifier *v, const hli_axis_data *a) {
  int64_t values[HLI_TUNABLE_MOST];
  const hli_tunable *t = a->tunable <= v->k->tunables.len ? &v->k->tunables.data[a->tunable - 1] : NULL;
  const uint32_t n = t ? hli_tunable_values(t, values) : 0;
  if (a->kind != HLI_AXIS_TILE || !t || t->kind == HLI_TUNABLE_BOOL)
    hli_complain(v, 0, "axis $%s: only the block of a tile can be a tunable, which is no bool", a->name);
  else if (n && (values[0] < 1 || values[n - 1] > 1 << 20))
    hli_complain(v, 0, "axis $%s: its block would be %s, which goes from %lld to %lld: blocks lie within 1 and 2^20",
                 a->name, t->name, (long long)values[0], (long long)values[n - 1]);
  if (a->block_min || a->block_max || a->block)
    hli_complain(v, 0, "axis $%s has a tunable block: it cannot have other limits", a->name);
}

static void check_axis(hli_verifier *v, hli_axis id) {
  const hli_axis_data *a = &v->k->axes.data[id];
  if (a->tunable)
    check_tunable_block(v, a);
  if (a->kind > HLI_AXIS_FULL || a->dim >= v->k->dims.len || (a->kind == HLI_AXIS_FULL && !a->dim)) {
    hli_complain(v, 0, "axis $%s has no valid kind or dimension", a->name);
    return;
  }
  if (a->kind == HLI_AXIS_CONST && (a->block < 1 || a->block > HLI_TEXT_CONST))
    hli_complain(v, 0, "a constant axis has size %lld: it must lie between 1 and %lld", (long long)a->block,
                 (long long)HLI_TEXT_CONST);
  if (!size_in(a->block, 0) || !size_in(a->block_min, 0) || !size_in(a->block_max, 0))
    hli_complain(v, 0, "axis $%s has an impossible block", a->name);
  else if (a->block_max && a->block_min > a->block_max)
    hli_complain(v, 0, "axis $%s: min %lld exceeds max %lld", a->name, (long long)a->block_min, (long long)a->block_max);
  else if (a->kind != HLI_AXIS_CONST && a->block && a->block < a->block_min)
    hli_complain(v, 0, "axis $%s: block %lld is below min %lld", a->name, (long long)a->block, (long long)a->block_min);
  else if (a->kind != HLI_AXIS_CONST && a->block_max && a->block > a->block_max)
    hli_complain(v, 0, "axis $%s: block %lld exceeds max %lld", a->name, (long long)a->block, (long long)a->block_max);
}

/* The text form tells dimensions and axes apart by name, and has one full axis per dimension. */
static void check_names(hli_verifier *v) {
  const hl_kernel *k = v->k;
  if (!hli_is_name(k->name))
    hli_complain(v, 0, "the kernel's name is not an identifier");
  for (uint32_t i = 1; i < k->dims.len; i++) {
    const char *name = k->dims.data[i].name;
    if (name[0] && !hli_is_name(name))
      hli_complain(v, 0, "the name '%s' of a dimension is not an identifier", name);
    for (uint32_t j = 1; j < i && name[0]; j++)
      if (!strcmp(name, k->dims.data[j].name))
        hli_complain(v, 0, "two dimensions have the name %s", name);
  }
  for (uint32_t i = 1; i < k->axes.len; i++) {
    const hli_axis_data *a = &k->axes.data[i];
    if (a->kind != HLI_AXIS_CONST && !hli_is_name(a->name))
      hli_complain(v, 0, "the name '%s' of an axis is not an identifier", a->name);
    for (uint32_t j = 1; j < i && a->kind != HLI_AXIS_CONST; j++) {
      const hli_axis_data *b = &k->axes.data[j];
      if (b->kind != HLI_AXIS_CONST && !strcmp(a->name, b->name))
        hli_complain(v, 0, "two axes have the name $%s", a->name);
      if (a->kind == HLI_AXIS_FULL && b->kind == HLI_AXIS_FULL && a->dim == b->dim)
        hli_complain(v, 0, "$%s and $%s are full axes of one dimension", a->name, b->name);
    }
  }
}

/* ---- layouts and types -------------------------------------------------------------------------- */

static bool vectors_ok(const hli_layout_vec *v, uint32_t n, uint32_t rank) {
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t d = 0; d < rank; d++)
      if (v[i].c[d] < 0)
        return false;
  return true;
}

static void check_layout(hli_verifier *v, uint32_t id) {
  const hli_layout *l = &v->k->layouts.data[id];
  if (l->kind > 1 || l->rank > HLI_LAYOUT_RANK || l->reg_bits > HLI_LAYOUT_REG_BITS ||
      l->lane_bits > HLI_LAYOUT_LANE_BITS || l->warp_bits > HLI_LAYOUT_WARP_BITS || l->repeats > HLI_LAYOUT_REPEATS ||
      l->sw_vec > 15 || l->sw_shift > 15) {
    hli_complain(v, 0, "layout #%u is malformed", id);
    return;
  }
  if (!vectors_ok(l->reg, l->reg_bits, l->rank) || !vectors_ok(l->lane, l->lane_bits, l->rank) ||
      !vectors_ok(l->warp, l->warp_bits, l->rank))
    hli_complain(v, 0, "layout #%u has a negative coordinate", id);
  for (uint32_t i = 0; i < l->repeats && l->kind == 0; i++)
    if (l->repeat[i].dim >= l->rank || !l->repeat[i].count)
      hli_complain(v, 0, "layout #%u: repeat %u has no valid dimension or count", id, i);
  if (l->kind == 1 && l->sw_mask && l->sw_pad)
    hli_complain(v, 0, "swizzle #%u has a mask and padding: it can have one of them", id);
}

static bool type_ok(const hl_kernel *k, const hli_type_data *t) {
  uint32_t ids = t->kind == HLI_TYPE_TENSOR ? k->dims.len : k->axes.len;
  bool element = t->kind == HLI_TYPE_TILE || hli_dtype_kind((hl_dtype)t->dtype);
  if (t->kind == HLI_TYPE_NONE || t->kind > HLI_TYPE_BUFFER || t->rank > HL_MAX_RANK || !element)
    return false;
  bool placed = t->kind == HLI_TYPE_VALUE || t->kind == HLI_TYPE_BUFFER;
  if (t->layout >= k->layouts.len || (t->layout && !placed) || (t->kind == HLI_TYPE_TILE && t->rank != 1))
    return false;
  if (t->kind != HLI_TYPE_VALUE && t->rank == 0) /* a scalar in memory has the shape [1] */
    return false;
  for (uint32_t d = 0; d < t->rank; d++)
    if (!t->dims[d] || t->dims[d] >= ids ||
        (t->kind == HLI_TYPE_BUFFER && k->axes.data[t->dims[d]].kind != HLI_AXIS_CONST))
      return false;
  return true;
}

/* What arguments look like: as many elements of the same dtype, sizes known. */
static bool given_fits(const hl_kernel *k, const hli_param *p, const hli_type_data *t) {
  if (p->given >= k->types.len)
    return false;
  const hli_type_data *g = hli_type_get(k, p->given);
  int64_t count = 1;
  for (uint32_t d = 0; d < g->rank && g->kind == HLI_TYPE_TENSOR; d++) {
    const int64_t size = k->dims.data[g->dims[d]].value;
    if (size < 0 || __builtin_mul_overflow(count, size, &count))
      return false;
  }
  return g->kind == HLI_TYPE_TENSOR && g->dtype == t->dtype && t->kind == HLI_TYPE_TENSOR && t->rank == 1 &&
         p->strides[0] == 1 && k->dims.data[t->dims[0]].value == count;
}

/* ---- parameters ------------------------------------------------------------------------------------- */

static void check_param(hli_verifier *v, uint32_t index) {
  const hl_kernel *k = v->k;
  const hli_param *p = &k->params.data[index];
  if (!p->value || p->value >= k->values.len || k->values.data[p->value].def || k->values.data[p->value].owner) {
    hli_complain(v, 0, "parameter %u has no value of its own", index);
    return;
  }
  const char *name = hli_verify_name(v, p->value);
  const hli_type_data *t = hli_type_of(k, p->value);
  bool tensor = t->kind == HLI_TYPE_TENSOR;
  if (!tensor && (t->kind != HLI_TYPE_VALUE || t->rank))
    hli_complain(v, 0, "parameter %s is neither a tensor nor a scalar", name);
  if (!p->is_input && !p->is_output)
    hli_complain(v, 0, "parameter %s is neither in nor out", name);
  if (tensor && (p->is_constexpr || p->specialized))
    hli_complain(v, 0, "parameter %s is a tensor: it cannot be constexpr or have a value", name);
  if (p->fixed_strides && (!tensor || p->fixed_strides >> t->rank))
    hli_complain(v, 0, "parameter %s: fixed_strides names dimensions that it does not have", name);
  if (p->is_output && !tensor)
    hli_complain(v, 0, "parameter %s is a scalar and cannot be out", name);
  if (p->given && !given_fits(k, p, t))
    hli_complain(v, 0, "parameter %s: what is given is no tensor of known sizes with as many elements", name);
  if (p->has_initial && (!tensor || !p->is_output))
    hli_complain(v, 0, "parameter %s has an initial value: only a tensor that is written can", name);
  if (p->has_initial && p->may_alias)
    hli_complain(v, 0, "parameter %s has an initial value, which would overwrite what may be the same memory", name);
  if ((p->align & (p->align - 1)) || p->align > HLI_TEXT_ALIGN)
    hli_complain(v, 0, "parameter %s: the alignment %u is no power of two up to %u", name, p->align, HLI_TEXT_ALIGN);
  if (p->may_alias >> index & 1 || (k->params.len < 32 && p->may_alias >> k->params.len))
    hli_complain(v, 0, "parameter %s: may_alias names itself or no parameter", name);
  for (uint32_t d = 0; d < t->rank && tensor; d++)
    if (!size_in(p->strides[d], -1))
      hli_complain(v, 0, "parameter %s: stride %lld is out of range (-1: known at run time)", name,
                   (long long)p->strides[d]);
}

/* ---- grid, launch -------------------------------------------------------------------------------------- */

static void check_grid(hli_verifier *v) {
  const hl_kernel *k = v->k;
  if (k->stage != HLI_STAGE_TILE && !k->scheduled)
    hli_complain(v, 0, "a kernel at stage %s needs a grid line", hli_stage_text(k->stage));
  if (k->params.len > HLI_TEXT_PARAMS || k->grid.len > HLI_MAX_GRID_AXES)
    hli_complain(v, 0, "the kernel has %u parameters and %u grid axes: at most %u and %u are allowed", k->params.len,
                 k->grid.len, HLI_TEXT_PARAMS, HLI_MAX_GRID_AXES);
  if (k->scheduled && !k->grid.len)
    hli_complain(v, 0, "the grid has no axis: write grid [1 / 1] for a single program");
  for (uint32_t i = 0; i < k->grid.len; i++) {
    const hli_grid_axis *g = &k->grid.data[i];
    if (!size_in(g->block, 1) || g->dim >= k->dims.len || (!g->dim && !size_in(g->constant, 0)))
      hli_complain(v, 0, "grid axis %u has no valid size or block", i);
    if (i == 0 && g->opens)
      hli_complain(v, 0, "the first axis of the first grid opens no other one");
  }
  if (k->stage == HLI_STAGE_LANE && (k->launch.warps < 1 || k->launch.warps > 64))
    hli_complain(v, 0, "a kernel at stage lane needs 'launch warps n' with n from 1 to 64, not %u", k->launch.warps);
}

/* Does the rule use a dimension that this or a later rule gives? */
static hli_dim used_too_early(const hl_kernel *k, uint32_t rule) {
  const hli_size_rule *r = &k->size_rules.data[rule];
  for (uint32_t i = 0; i < r->count; i++) {
    const hli_size_term *t = &k->size_terms.data[r->first + i];
    for (uint32_t later = rule; t->kind == HLI_SIZE_DIM && later < k->size_rules.len; later++)
      if (k->size_rules.data[later].dim == (hli_dim)t->value)
        return (hli_dim)t->value;
  }
  return 0;
}

static void check_rule(hli_verifier *v, uint32_t index) {
  const hl_kernel *k = v->k;
  const hli_size_rule *r = &k->size_rules.data[index];
  const hli_size_term *t = k->size_terms.data + r->first;
  if (!r->dim || r->dim >= k->dims.len || r->first > k->size_terms.len || r->count > k->size_terms.len - r->first ||
      !hli_size_sound(t, r->count, k->dims.len, k->params.len)) {
    hli_complain(v, 0, "size rule %u is malformed", index);
    return;
  }
  const char *name = k->dims.data[r->dim].name;
  if (!name[0])
    hli_complain(v, 0, "the constant %lld cannot follow from other sizes: give the dimension a name",
                 (long long)k->dims.data[r->dim].value);
  for (uint32_t i = 0; i < index; i++)
    if (k->size_rules.data[i].dim == r->dim)
      hli_complain(v, 0, "the size of dimension %s is given twice", name);
  for (uint32_t i = 0; i < r->count; i++) {
    const hli_type_data *type =
        t[i].kind == HLI_SIZE_SCALAR ? hli_type_of(k, k->params.data[t[i].value].value) : NULL;
    if (type && (type->kind != HLI_TYPE_VALUE || hli_dtype_kind((hl_dtype)type->dtype) == 'f'))
      hli_complain(v, 0, "the size of dimension %s follows from %s, which is no integer scalar", name,
                   hli_verify_name(v, k->params.data[t[i].value].value));
  }
  const hli_dim early = used_too_early(k, index);
  if (early)
    hli_complain(v, 0, "the size of dimension %s follows from %s, whose own size is not given before it", name,
                 k->dims.data[early].name);
}

bool hli_verify_head(hli_verifier *v) {
  const hl_kernel *k = v->k;
  if (k->stage != HLI_STAGE_TILE && k->stage != HLI_STAGE_LOOP && k->stage != HLI_STAGE_LANE)
    hli_complain(v, 0, "the kernel has no valid stage");
  for (uint32_t i = 1; i < k->dims.len; i++)
    check_dim(v, &k->dims.data[i]);
  for (uint32_t i = 0; i < k->tunables.len; i++)
    check_tunable(v, i);
  for (uint32_t i = 1; i < k->axes.len; i++)
    check_axis(v, i);
  check_names(v);
  for (uint32_t i = 1; i < k->layouts.len; i++)
    check_layout(v, i);
  for (uint32_t i = 1; i < k->types.len; i++)
    if (!type_ok(k, &k->types.data[i]))
      hli_complain(v, 0, "type %u of the kernel is malformed", i);
  for (uint32_t i = 1; i < k->values.len; i++) {
    const hli_value_data *x = &k->values.data[i];
    if (!x->type || x->type >= k->types.len || x->def >= k->ops.len || x->owner >= k->blocks.len)
      hli_complain(v, 0, "value %s has no type or no origin", hli_verify_name(v, i));
  }
  if (v->complaints.len == 0)
    for (uint32_t i = 0; i < k->params.len; i++)
      check_param(v, i);
  for (uint32_t i = 0; i < k->size_rules.len && v->complaints.len == 0; i++)
    check_rule(v, i);
  for (uint32_t i = 0; i < k->requires_.len; i++) {
    const hli_require *r = &k->requires_.data[i];
    if (!r->a || r->a >= k->dims.len || !r->b || r->b >= k->dims.len || !hli_compare_text(r->compare))
      hli_complain(v, 0, "requirement %u names no two dimensions or no comparison", i);
  }
  if (k->allow > HLI_ALLOW_ALL)
    hli_complain(v, 0, "the kernel allows something that does not exist (%u)", k->allow);
  check_grid(v);
  return v->complaints.len == 0;
}

/* ---- types in the body ------------------------------------------------------------------------------------ */

/* What is wrong with the layout of a shaped value, or NULL. */
static const char *distribution_fault(const hl_kernel *k, const hli_type_data *t) {
  const hli_layout *l = &k->layouts.data[t->layout];
  int64_t shape[HLI_LAYOUT_RANK];
  if (!t->layout)
    return "has no layout: at stage lane every value with a shape has one";
  if (l->kind != 0)
    return "has a swizzle, which is for shared buffers: give it a layout";
  if (l->rank != t->rank)
    return "has a layout of another rank";
  for (uint32_t d = 0; d < t->rank; d++) {
    shape[d] = hli_axis_lanes(k, t->dims[d]);
    if (shape[d] < 1)
      return "has an axis without a block";
  }
  if (!hli_layout_valid(l, shape, t->rank))
    return "has a layout that does not cover the shape exactly";
  return hli_layout_warps(l) != k->launch.warps ? "has a layout for another number of warps than the launch" : NULL;
}

static void check_distribution(hli_verifier *v, hli_op op, hli_value value, const hli_type_data *t) {
  const char *fault = distribution_fault(v->k, t);
  if (fault)
    hli_complain(v, op, "%s : %s %s", hli_verify_name(v, value), hli_verify_type(v, v->k->values.data[value].type), fault);
}

static void check_lane_type(hli_verifier *v, hli_op op, hli_value value, const hli_type_data *t) {
  const hli_layout *l = &v->k->layouts.data[t->layout];
  if (t->kind == HLI_TYPE_BUFFER && t->layout && (l->kind != 1 || l->rank != t->rank))
    hli_complain(v, op, "%s: a shared buffer's #%u must be a swizzle of rank %u", hli_verify_name(v, value), t->layout,
                 t->rank);
  if (t->kind != HLI_TYPE_VALUE)
    return;
  if (t->rank)
    check_distribution(v, op, value, t);
  else if (t->layout)
    hli_complain(v, op, "%s is a scalar: it has no layout", hli_verify_name(v, value));
}

static void check_loop_type(hli_verifier *v, hli_op op, hli_value value, const hli_type_data *t) {
  bool vector = t->kind == HLI_TYPE_VALUE && t->rank == 1 && v->k->axes.data[t->dims[0]].kind == HLI_AXIS_CONST;
  bool scalar = t->kind == HLI_TYPE_VALUE && t->rank == 0;
  if (!vector && !scalar && t->kind != HLI_TYPE_BUFFER)
    hli_complain(v, op, "%s : %s: at stage loop there are scalars, vectors of constant size and buffers",
                 hli_verify_name(v, value), hli_verify_type(v, v->k->values.data[value].type));
  else if (t->layout)
    hli_complain(v, op, "%s has a layout: only stage lane has them", hli_verify_name(v, value));
}

void hli_verify_value_type(hli_verifier *v, hli_op op, hli_value value) {
  if (!value || value >= v->k->values.len)
    return;
  const hli_type_data t = *hli_type_of(v->k, value);
  if (t.kind == HLI_TYPE_TENSOR)
    hli_complain(v, op, "%s is a tensor: only parameters are", hli_verify_name(v, value));
  else if (v->k->stage == HLI_STAGE_LANE)
    check_lane_type(v, op, value, &t);
  else if (v->k->stage == HLI_STAGE_LOOP)
    check_loop_type(v, op, value, &t);
  else if (t.kind == HLI_TYPE_BUFFER || t.layout)
    hli_complain(v, op, "%s : %s: stage tile has neither buffers nor layouts", hli_verify_name(v, value),
                 hli_verify_type(v, v->k->values.data[value].type));
}
