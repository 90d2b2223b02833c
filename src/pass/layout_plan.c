/* layout_plan.c: chooses a layout for every class of values.
 *
 * Anchors, strongest first: the accumulator of a dot, an operand of a dot, a larger class that this one
 * is a slice of (a reduction's result, what is broadcast), the global accesses themselves (16 bytes a
 * thread along the contiguous dimension). */
#include "src/pass/layout_plan.h"

/* ---- classes ---------------------------------------------------------------------------- */

static uint32_t find(const hli_layout_plan *p, uint32_t v) {
  while (p->parent[v] != v)
    v = p->parent[v] = p->parent[p->parent[v]];
  return v;
}

static bool is_tile_value(const hl_kernel *k, hli_value v) {
  const hli_type_data *t = hli_type_of(k, v);
  return t->kind == HLI_TYPE_VALUE && t->rank > 0;
}

hli_layout_class *hli_layout_class_of(hli_layout_plan *p, hli_value v) {
  return is_tile_value(p->k, v) ? &p->cls[find(p, v)] : NULL;
}

/* A constant everywhere has whatever layout is asked for. */
static bool is_splat(const hl_kernel *k, hli_value v) {
  const hli_op op = k->values.data[v].def;
  return op && k->ops.data[op].code == HLI_OP_BROADCAST && hli_type_of(k, hli_operand(k, op, 0))->rank == 0;
}

static void join(hli_layout_plan *p, hli_value a, hli_value b) {
  if (!is_tile_value(p->k, a) || !is_tile_value(p->k, b) || is_splat(p->k, a) || is_splat(p->k, b))
    return;
  p->parent[find(p, a)] = find(p, b);
}

static void join_loop(hli_layout_plan *p, hli_op op) {
  const hl_kernel *k = p->k;
  const hli_block body = k->ops.data[op].region;
  const hli_op yield = k->blocks.data[body].last;
  const hli_region_form form = hli_region_form_of(k, op);
  for (uint32_t i = 0; i < k->ops.data[op].result_count; i++) {
    const hli_value arg = hli_block_arg(k, body, form.args + i);
    join(p, arg, hli_operand(k, op, form.operands + i));
    join(p, arg, hli_operand(k, yield, form.yields + i));
    join(p, arg, hli_result(k, op, i));
  }
}

static void join_access(hli_layout_plan *p, hli_op op) {
  hli_access a;
  hli_access_get(p->k, op, &a);
  if (a.result)
    join(p, a.result, a.value);
  if (a.expected)
    join(p, a.expected, a.value);
  if (a.mask)
    join(p, a.mask, a.value);
  if (a.other)
    join(p, a.other, a.value);
  for (uint32_t d = 0; d < a.rank; d++)
    if (a.kind[d] == 'g')
      join(p, a.index[d], a.value);
}

static void join_op(hli_layout_plan *p, hli_op op) {
  const hl_kernel *k = p->k;
  const hli_op_data *o = hli_op_get(k, op);
  switch (hli_op_facts((hli_opcode)o->code)->family) {
  case HLI_FAM_UNARY:
  case HLI_FAM_BINARY:
  case HLI_FAM_TERNARY:
  case HLI_FAM_CAST:
    for (uint32_t i = 0; i < o->operands.len; i++)
      join(p, hli_operand(k, op, i), hli_result(k, op, 0));
    break;
  case HLI_FAM_DOT:
    join(p, hli_operand(k, op, 2), hli_result(k, op, 0));
    break;
  case HLI_FAM_LOOP:
    join_loop(p, op);
    break;
  case HLI_FAM_ACCESS:
    join_access(p, op);
    break;
  default:
    break;
  }
}

/* ---- facts about classes -------------------------------------------------------------------- */

static hl_status class_shape(hli_layout_plan *p, hli_value v) {
  const hl_kernel *k = p->k;
  const hli_type_data *t = hli_type_of(k, v);
  hli_layout_class *c = hli_layout_class_of(p, v);
  if (!c || c->elements)
    return HL_OK;
  if (t->rank > HLI_LAYOUT_RANK)
    return hli_fail(p->diag, HL_ERR_UNSUPPORTED,
                    "kernel %s: a value of rank %u does not fit a GPU layout (at most %u dimensions)", k->name, t->rank,
                    HLI_LAYOUT_RANK);
  c->rank = t->rank;
  c->elements = 1;
  c->fast = -1;
  c->vec = 1;
  for (uint32_t d = 0; d < t->rank; d++) {
    c->shape[d] = hli_axis_lanes(k, t->dims[d]);
    if (c->shape[d] <= 0)
      return hli_fail(p->diag, HL_ERR_INTERNAL, "kernel %s: axis $%s reaches the layouts without a block", k->name,
                      k->axes.data[t->dims[d]].name);
    c->elements *= c->shape[d];
    if (c->elements > 1 << 20)
      return hli_fail(p->diag, HL_ERR_LIMIT,
                      "kernel %s: a value of more than 2^20 elements does not fit a block; choose smaller block sizes",
                      k->name);
  }
  return HL_OK;
}

static void note_access(hli_layout_plan *p, hli_op op) {
  hli_access a;
  hli_access_get(p->k, op, &a);
  hli_layout_class *c = hli_layout_class_of(p, a.value);
  if (!c)
    return;
  const int unit = hli_access_unit_dim(p->k, &a);
  const uint32_t size = hl_dtype_size(hli_dtype_of(p->k, a.value));
  c->accessed = true;
  if (unit < 0)
    return;
  c->bytes[a.value_dim[unit]] += c->elements * size;
  c->vec = HLI_MAX(c->vec, hli_access_vector(p->k, &a, p->target->vector_bytes));
}

static void note_op(hli_layout_plan *p, hli_op op) {
  const hl_kernel *k = p->k;
  const uint16_t code = k->ops.data[op].code;
  if (code == HLI_OP_LOAD || code == HLI_OP_STORE || code == HLI_OP_ATOMIC)
    note_access(p, op);
  if (code == HLI_OP_REDUCE) {
    hli_layout_class *c = hli_layout_class_of(p, hli_operand(k, op, 0));
    for (uint32_t i = 0; c && i < hli_attr_len(k, op, 1); i++)
      c->reduced |= 1u << hli_attr(k, op, 1, i);
  }
  if (code != HLI_OP_DOT)
    return;
  for (uint32_t i = 0; i < 3; i++) {
    hli_layout_class *c = hli_layout_class_of(p, i == 2 ? hli_result(k, op, 0) : hli_operand(k, op, i));
    if (c && (!c->dot || (i == 2 && c->role != 2)))
      c->dot = op, c->role = (uint8_t)i;
  }
}

/* ---- assignments --------------------------------------------------------------------------------- */

static bool blocked_for(const hli_layout_plan *p, const hli_layout_class *c, int fast, uint32_t vec, hli_layout *out) {
  hli_blocked b = {
      .rank = c->rank, .lanes = p->target->warp_size, .warps = p->warps, .vec = vec, .reduced = c->reduced};
  uint32_t n = 0;
  memcpy(b.shape, c->shape, sizeof b.shape);
  if (fast >= 0)
    b.order[n++] = (uint8_t)fast;
  for (uint32_t d = c->rank; d-- > 0;)
    if ((int)d != fast)
      b.order[n++] = (uint8_t)d;
  /* All threads take part before one takes more neighbours. */
  while (b.vec > 1 && (int64_t)b.vec * b.lanes * b.warps > c->elements)
    b.vec /= 2;
  return hli_layout_blocked(&b, out);
}

static hl_status assign(hli_layout_plan *p, hli_layout_class *c, bool ok) {
  if (!ok || hli_layout_registers(&c->layout) > 1024)
    return hli_fail(p->diag, HL_ERR_LIMIT,
                    "kernel %s: a value of %lld elements over %u warps does not fit the registers; choose smaller "
                    "block sizes or more warps",
                    p->k->name, (long long)c->elements, p->warps);
  c->assigned = true;
  return HL_OK;
}

/* Takes the layout of a dot: accumulators first, then operands. */
static hl_status assign_dots(hli_layout_plan *p, bool accumulators) {
  const hl_kernel *k = p->k;
  for (uint32_t v = 1; v < k->values.len; v++) {
    hli_layout_class *c = &p->cls[v];
    if (!c->dot || c->assigned || (c->role == 2) != accumulators)
      continue;
    const hli_layout_class *acc = hli_layout_class_of(p, hli_result(k, c->dot, 0));
    hl_status s = assign(p, c,
                         accumulators ? hli_layout_of_accumulator(k, p->target, c->dot, p->warps, &c->layout)
                                      : hli_layout_of_operand(k, p->target, c->dot, &acc->layout, c->role, &c->layout));
    if (s != HL_OK)
      return s;
  }
  return HL_OK;
}

/* How dimensions of a slice lie in the whole: reduce (slice is the result), broadcast (slice is the operand). */
static bool slice_map(const hl_kernel *k, hli_op op, int8_t map[HLI_LAYOUT_RANK]) {
  uint32_t gone = 0, n = 0;
  for (uint32_t d = 0; d < HLI_LAYOUT_RANK; d++)
    map[d] = -1;
  if (k->ops.data[op].code == HLI_OP_BROADCAST) {
    const hli_type_data *t = hli_type_of(k, hli_operand(k, op, 0)), *r = hli_type_of(k, hli_result(k, op, 0));
    for (uint32_t i = 0; i < t->rank; i++)
      if (t->dims[i] == r->dims[hli_attr(k, op, 0, i)])
        map[hli_attr(k, op, 0, i)] = (int8_t)i;
    return true;
  }
  if (k->ops.data[op].code != HLI_OP_REDUCE)
    return false;
  for (uint32_t i = 0; i < hli_attr_len(k, op, 1); i++)
    gone |= 1u << hli_attr(k, op, 1, i);
  for (uint32_t d = 0; d < hli_type_of(k, hli_operand(k, op, 0))->rank; d++)
    if (!((gone >> d) & 1))
      map[d] = (int8_t)n++;
  return true;
}

/* The largest class with a layout that this one is a slice of. */
static bool assign_slice(hli_layout_plan *p, hli_layout_class *c) {
  const hl_kernel *k = p->k;
  int64_t best = c->elements;
  bool found = false;
  for (hli_op op = 1; op < k->ops.len; op++) {
    int8_t map[HLI_LAYOUT_RANK];
    if (k->ops.data[op].dead || !slice_map(k, op, map))
      continue;
    const bool reduce = k->ops.data[op].code == HLI_OP_REDUCE;
    const hli_value whole = reduce ? hli_operand(k, op, 0) : hli_result(k, op, 0),
                    part = reduce ? hli_result(k, op, 0) : hli_operand(k, op, 0);
    const hli_layout_class *w = hli_layout_class_of(p, whole);
    if (hli_layout_class_of(p, part) != c || !w || !w->assigned || w->elements <= best)
      continue;
    if (!hli_layout_map(&w->layout, map, c->rank, &c->layout))
      continue;
    best = w->elements;
    found = true;
  }
  return found;
}

bool hli_layout_move_map(const hl_kernel *k, hli_op op, int8_t map[HLI_LAYOUT_RANK]) {
  const uint32_t rank = hli_type_of(k, hli_operand(k, op, 0))->rank;
  uint32_t gone = 0, n = 0;
  if (rank > HLI_LAYOUT_RANK)
    return false;
  if (k->ops.data[op].code == HLI_OP_TRANSPOSE) {
    for (uint32_t i = 0; i < rank; i++)
      map[hli_attr(k, op, 0, i)] = (int8_t)i;
    return true;
  }
  for (uint32_t i = 0; i < hli_attr_len(k, op, 0); i++)
    gone |= 1u << hli_attr(k, op, 0, i);
  for (uint32_t d = 0; d < rank; d++)
    map[d] = (gone >> d) & 1 ? -1 : (int8_t)n++;
  return true;
}

/* A transpose or squeeze of a class with a layout, where nothing else speaks for this one. */
static bool assign_moved(hli_layout_plan *p, hli_layout_class *c) {
  const hl_kernel *k = p->k;
  for (hli_op op = 1; op < k->ops.len; op++) {
    const uint16_t code = k->ops.data[op].code;
    if (k->ops.data[op].dead || (code != HLI_OP_TRANSPOSE && code != HLI_OP_SQUEEZE) ||
        hli_layout_class_of(p, hli_result(k, op, 0)) != c)
      continue;
    const hli_layout_class *w = hli_layout_class_of(p, hli_operand(k, op, 0));
    int8_t map[HLI_LAYOUT_RANK];
    if (!w || !w->assigned || !hli_layout_move_map(k, op, map))
      continue;
    return hli_layout_map(&w->layout, map, c->rank, &c->layout);
  }
  return false;
}

static hl_status assign_class(hli_layout_plan *p, hli_layout_class *c) {
  if (assign_slice(p, c))
    return assign(p, c, true);
  if (!c->accessed && assign_moved(p, c))
    return assign(p, c, true);
  int64_t most = 0;
  for (uint32_t d = 0; d < c->rank; d++)
    if (c->bytes[d] > most)
      most = c->bytes[d], c->fast = (int8_t)d;
  return assign(p, c, blocked_for(p, c, c->fast, c->vec, &c->layout));
}

/* Largest first, so that slices find what they are a slice of. */
static hl_status assign_rest(hli_layout_plan *p) {
  for (;;) {
    hli_layout_class *next = NULL;
    for (uint32_t v = 1; v < p->k->values.len; v++) {
      hli_layout_class *c = &p->cls[v];
      if (c->elements && !c->assigned && (!next || c->elements > next->elements))
        next = c;
    }
    if (!next)
      return HL_OK;
    hl_status s = assign_class(p, next);
    if (s != HL_OK)
      return s;
  }
}

/* Every live op, in program order. */
static void each_op(hli_layout_plan *p, hli_block b, void (*fn)(hli_layout_plan *, hli_op)) {
  for (hli_op op = hli_first(p->k, b); op; op = hli_next(p->k, op)) {
    if (p->k->ops.data[op].region)
      each_op(p, p->k->ops.data[op].region, fn);
    fn(p, op);
  }
}

static hl_status live_shapes(hli_layout_plan *p, hli_block b) {
  const hl_kernel *k = p->k;
  hl_status s = HL_OK;
  for (uint32_t i = 0; i < k->blocks.data[b].args.len && s == HL_OK; i++)
    s = class_shape(p, hli_block_arg(k, b, i));
  for (hli_op op = hli_first(k, b); op && s == HL_OK; op = hli_next(k, op)) {
    for (uint32_t i = 0; i < k->ops.data[op].result_count && s == HL_OK; i++)
      s = class_shape(p, hli_result(k, op, i));
    if (s == HL_OK && k->ops.data[op].region)
      s = live_shapes(p, k->ops.data[op].region);
  }
  return s;
}

hl_status hli_layout_plan_make(hli_layout_plan *p, hli_arena *arena) {
  const hl_kernel *k = p->k;
  p->parent = hli_arena_array(arena, uint32_t, k->values.len);
  p->cls = hli_arena_array(arena, hli_layout_class, k->values.len);
  if (!p->parent || !p->cls)
    return hli_fail_memory(p->diag, "choosing layouts");
  for (uint32_t v = 0; v < k->values.len; v++)
    p->parent[v] = v;
  for (hli_op op = 1; op < k->ops.len; op++)
    if (!k->ops.data[op].dead && k->ops.data[op].code == HLI_OP_GATHER)
      return hli_fail_at(p->diag, HL_ERR_UNSUPPORTED, k->ops.data[op].file, k->ops.data[op].line, 0,
                         "kernel %s: gather along an axis of a value is not supported on %s but for whole short axes of known "
                         "size; load with the index instead (hl_load of a tensor takes integer tiles), or run it on a CPU",
                         k->name, p->target->name);
  each_op(p, k->body, join_op);
  hl_status s = live_shapes(p, k->body);
  if (s != HL_OK)
    return s;
  each_op(p, k->body, note_op);
  s = assign_dots(p, true);
  if (s == HL_OK)
    s = assign_dots(p, false);
  return s == HL_OK ? assign_rest(p) : s;
}

/* ---- accesses -------------------------------------------------------------------------------------- */

bool hli_layout_of_access(const hli_layout_plan *p, hli_op op, const hli_type_data *type, hli_layout *out) {
  hli_access a;
  hli_layout_class c = {.rank = type->rank, .elements = 1};
  hli_access_get(p->k, op, &a);
  for (uint32_t d = 0; d < type->rank; d++) {
    c.shape[d] = hli_axis_lanes(p->k, type->dims[d]);
    c.elements *= c.shape[d];
  }
  const int unit = hli_access_unit_dim(p->k, &a);
  return blocked_for(p, &c, unit < 0 ? -1 : a.value_dim[unit], hli_access_vector(p->k, &a, p->target->vector_bytes),
                     out);
}

bool hli_layout_good_for(const hli_layout_plan *p, hli_op op, const hli_layout *l) {
  hli_access a;
  hli_digits digits;
  int64_t extent[HLI_LAYOUT_RANK];
  hli_access_get(p->k, op, &a);
  const int unit = hli_access_unit_dim(p->k, &a);
  if (unit < 0 || l->rank < 2 || !hli_layout_digits(l, &digits))
    return true;
  const uint32_t dim = (uint32_t)a.value_dim[unit], size = hl_dtype_size(hli_dtype_of(p->k, a.value));
  hli_layout_extent(l, extent);
  int64_t run = HLI_MIN(hli_layout_vector(l, dim), hli_access_vector(p->k, &a, p->target->vector_bytes));
  for (uint32_t i = 0; i < digits.n; i++)
    if (digits.d[i].unit == HLI_UNIT_LANE && digits.d[i].dim == (int)dim && digits.d[i].stride == run)
      run *= digits.d[i].radix;
  return run * size >= 32 || run >= extent[dim];
}
