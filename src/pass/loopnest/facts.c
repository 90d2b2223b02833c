/* facts.c: questions that loopnest asks about the scheduled TILE kernel. */
#include "src/ir/layout_access.h"
#include "src/pass/loopnest/nest.h"

hli_op ln_def(const ln *c, hli_value v) { return c->src->values.data[v].def; }

bool ln_is_pointwise(hli_opcode code) {
  switch (hli_op_facts(code)->family) {
  case HLI_FAM_UNARY:
  case HLI_FAM_BINARY:
  case HLI_FAM_TERNARY:
  case HLI_FAM_CAST: return true;
  default: return false;
  }
}

bool ln_writes_memory(const ln *c, hli_op op) {
  const hli_op_data *o = &c->src->ops.data[op];
  return !o->dead && (o->code == HLI_OP_STORE || o->code == HLI_OP_ATOMIC);
}

bool ln_is_loop(uint16_t code) { return code == HLI_OP_FOR || code == HLI_OP_WHILE; }

bool ln_draws_random(const ln *c, hli_block block) {
  for (hli_op op = hli_first(c->src, block); op; op = hli_next(c->src, op))
    if (c->src->ops.data[op].code == HLI_OP_PHILOX) return true;
  return false;
}

bool ln_is_used(const ln *c, hli_value v) { return c->use_at[v] != c->use_at[v + 1]; }

bool ln_encloses(const ln *c, hli_block outer, hli_block inner) {
  while (inner && inner != outer) {
    hli_op parent = c->src->blocks.data[inner].parent;
    inner = parent ? c->src->ops.data[parent].block : 0;
  }
  return inner == outer;
}

bool ln_is_zero(const ln *c, hli_value v) {
  hli_scalar s;
  return hli_const_value(c->src, v, &s) && s.u == 0;
}

bool ln_is_fold(const ln *c, hli_op op) { return op && hli_op_facts((hli_opcode)c->src->ops.data[op].code)->family == HLI_FAM_FOLD; }

uint32_t ln_parts(const ln *c, const ln_root *r) {
  return (r->kind == LN_REDUCE || r->kind == LN_SCAN) && ln_is_fold(c, r->op) ? hli_fold_parts(c->src, r->op) : 1;
}

hli_value ln_part(const ln *c, const ln_root *r, uint32_t i) { return i ? hli_operand(c->src, r->op, i) : r->value; }

bool ln_is_lazy(const ln *c, hli_value v) {
  hli_op op = ln_def(c, v);
  if (!op) return false;
  uint16_t code = c->src->ops.data[op].code;
  return !ln_is_fold(c, op) && code != HLI_OP_REDUCE && code != HLI_OP_ATOMIC && code != HLI_OP_DOT && !ln_is_loop(code);
}

uint8_t ln_shared_var(const ln *c, hli_axis axis) {
  for (uint32_t i = 0; i < c->shared_count; i++)
    if (c->var[c->shared[i]].dim.axis == axis) return c->shared[i];
  return 0;
}

/* ---- indexing of operands ---------------------------------------------------------------- */

/* Dimension d of operand 0 for shape ops; result dimension per source dimension, -1: index 0. */
static void shape_map(const ln *c, hli_op op, int8_t *to) {
  const hl_kernel *k = c->src;
  const hli_type_data *s = hli_type_of(k, hli_operand(k, op, 0)), *r = hli_type_of(k, hli_result(k, op, 0));
  uint32_t next = 0;
  for (uint32_t d = 0; d < s->rank; d++)
    to[d] = -1;
  switch (k->ops.data[op].code) {
  case HLI_OP_BROADCAST:
    for (uint32_t d = 0; d < s->rank; d++) {
      int64_t at = hli_attr(k, op, 0, d);
      if (s->dims[d] == r->dims[at]) to[d] = (int8_t)at;
    }
    return;
  case HLI_OP_TRANSPOSE:
    for (uint32_t d = 0; d < r->rank; d++)
      to[hli_attr(k, op, 0, d)] = (int8_t)d;
    return;
  case HLI_OP_SCAN:
    for (uint32_t d = 0; d < s->rank; d++)
      to[d] = (int8_t)d;
    return;
  default: /* squeeze, reduce, fold: the named axes are gone */
    for (uint32_t d = 0; d < s->rank; d++) {
      bool gone = false;
      uint32_t attr = k->ops.data[op].code == HLI_OP_REDUCE ? 1 : 0;
      for (uint32_t i = 0; i < hli_attr_len(k, op, attr); i++)
        gone |= hli_attr(k, op, attr, i) == (int64_t)d;
      if (!gone) to[d] = (int8_t)next++;
    }
  }
}

static bool is_shape_op(uint16_t code) {
  return code == HLI_OP_BROADCAST || code == HLI_OP_TRANSPOSE || code == HLI_OP_SQUEEZE;
}

hli_value ln_source_at(const ln *c, hli_op op, uint32_t operand, const uint8_t *at, uint8_t *out) {
  const hl_kernel *k = c->src;
  hli_value v = hli_operand(k, op, operand);
  const hli_type_data *t = hli_type_of(k, v);
  if (!is_shape_op(k->ops.data[op].code)) {
    for (uint32_t d = 0; t->kind == HLI_TYPE_VALUE && d < t->rank; d++)
      out[d] = at[d];
    return v;
  }
  int8_t to[HL_MAX_RANK];
  shape_map(c, op, to);
  for (uint32_t d = 0; d < t->rank; d++)
    out[d] = to[d] < 0 ? 0 : at[to[d]];
  return v;
}

/* ---- which lanes are valid ------------------------------------------------------------------- */

static hli_value trace(ln *c, hli_value v, uint32_t d, uint32_t depth);

static hli_value trace_access(ln *c, hli_op op, uint32_t d, uint32_t depth) {
  hli_access a;
  hli_access_get(c->src, op, &a);
  for (uint32_t i = 0; i < a.rank; i++)
    if (a.value_dim[i] == (int)d && a.kind[i] == 't') return a.index[i];
  hli_value r = 0;
  for (uint32_t i = 0; i < a.rank && !r; i++)
    for (uint32_t j = 0; a.kind[i] == 'g' && !r && j < hli_type_of(c->src, a.index[i])->rank; j++)
      if (a.gather[i][j] == (int)d) r = trace(c, a.index[i], j, depth);
  return r;
}

static hli_value trace_shape(ln *c, hli_op op, uint32_t d, uint32_t depth) {
  int8_t to[HL_MAX_RANK];
  shape_map(c, op, to);
  hli_value source = hli_operand(c->src, op, 0);
  for (uint32_t s = 0; s < hli_type_of(c->src, source)->rank; s++)
    if (to[s] == (int)d) return trace(c, source, s, depth);
  return 0;
}

static hli_value trace_reshape(ln *c, hli_op op, uint32_t d, uint32_t depth) {
  const hli_value source = hli_operand(c->src, op, 0);
  hli_reshape g = {0};
  while (hli_reshape_next(c->src, hli_type_of(c->src, source), hli_type_of(c->src, hli_result(c->src, op, 0)), &g))
    if (!g.changes && g.to == d) return trace(c, source, g.from, depth);
  return 0;
}

static hli_value trace_op(ln *c, hli_op op, uint32_t d, uint32_t depth) {
  const hl_kernel *k = c->src;
  uint16_t code = k->ops.data[op].code;
  switch (code) {
  case HLI_OP_ATOMIC:
  case HLI_OP_LOAD: return trace_access(c, op, d, depth);
  case HLI_OP_TILE_INDEX:
  case HLI_OP_IN_BOUNDS: return hli_operand(k, op, 0);
  case HLI_OP_GATHER: return trace(c, hli_operand(k, op, 1), d, depth);
  case HLI_OP_DOT: return trace(c, hli_operand(k, op, d == 0 ? 0 : 1), d == 0 ? 0 : 1, depth);
  case HLI_OP_RESHAPE: return trace_reshape(c, op, d, depth);
  case HLI_OP_BROADCAST:
  case HLI_OP_TRANSPOSE:
  case HLI_OP_SQUEEZE:
  case HLI_OP_FOLD:
  case HLI_OP_SCAN:
  case HLI_OP_REDUCE: return trace_shape(c, op, d, depth);
  default: break;
  }
  hli_value r = 0;
  for (uint32_t i = 0; ln_is_pointwise((hli_opcode)code) && !r && i < hli_operand_count(k, op); i++)
    r = trace(c, hli_operand(k, op, i), d, depth);
  return r;
}

/* A carried value: what its initial value or its next one says. */
static hli_value trace_carried(ln *c, hli_op loop, uint32_t i, uint32_t d, uint32_t depth) {
  const hl_kernel *k = c->src;
  const hli_region_form form = hli_region_form_of(k, loop);
  hli_value r = trace(c, hli_operand(k, loop, form.operands + i), d, depth);
  return r ? r : trace(c, hli_operand(k, k->blocks.data[k->ops.data[loop].region].last, form.yields + i), d, depth);
}

static hli_value trace(ln *c, hli_value v, uint32_t d, uint32_t depth) {
  ln_state *s = &c->state[v];
  if (s->traced >> d & 1) return s->range[d];
  if (depth > 200) return 0;
  s->traced |= (uint8_t)(1u << d); /* a cycle through a loop finds 0 here */
  const hli_value_data *x = &c->src->values.data[v];
  hli_op loop = x->def ? x->def : x->owner ? c->src->blocks.data[x->owner].parent : 0;
  hli_value r = 0;
  if (loop && ln_is_loop(c->src->ops.data[loop].code)) {
    const uint32_t own = x->def ? 0 : hli_region_form_of(c->src, loop).args;
    r = x->index < own ? 0 : trace_carried(c, loop, x->index - own, d, depth + 1);
  } else if (x->def) r = trace_op(c, x->def, d, depth + 1);
  return c->state[v].range[d] = r;
}

static hli_block block_of(const ln *c, hli_value range) { return c->src->ops.data[ln_def(c, range)].block; }

ln_dim ln_value_dim(ln *c, hli_value v, uint32_t d, hli_block where) {
  ln_dim x = {hli_type_of(c->src, v)->dims[d], trace(c, v, d, 0)};
  if (x.range && !ln_encloses(c, block_of(c, x.range), where)) x.range = 0;
  if (!x.range) x.range = hli_range_around(c->src, x.axis, where); /* no access made it: the tile it stands in */
  return x;
}

void ln_value_dims(ln *c, hli_value v, hli_block where, ln_dim *dims, uint32_t *rank) {
  *rank = hli_type_of(c->src, v)->rank;
  for (uint32_t d = 0; d < *rank; d++)
    dims[d] = ln_value_dim(c, v, d, where);
}

void ln_store_dims(ln *c, hli_op op, ln_dim *dims, uint32_t *rank) {
  hli_access a;
  hli_access_get(c->src, op, &a);
  *rank = hli_type_of(c->src, a.value)->rank;
  for (uint32_t i = 0; i < a.rank; i++)
    if (a.kind[i] == 't') dims[a.value_dim[i]] = (ln_dim){hli_type_of(c->src, a.index[i])->dims[0], a.index[i]};
  for (uint32_t i = 0; i < a.rank; i++)
    for (uint32_t j = 0; a.kind[i] == 'g' && j < hli_type_of(c->src, a.index[i])->rank; j++)
      dims[a.gather[i][j]] = ln_value_dim(c, a.index[i], j, c->src->ops.data[op].block);
}

/* Is the access an integer tile's along this axis? */
bool ln_gathers_along(const ln *c, const hli_access *a, uint32_t d, hli_axis axis) {
  const hli_type_data *t = a->kind[d] == 'g' ? hli_type_of(c->src, a->index[d]) : NULL;
  for (uint32_t j = 0; t && j < t->rank; j++)
    if (t->dims[j] == axis) return true;
  return false;
}

int64_t ln_bound(const ln *c, ln_dim d) {
  int64_t bound = hli_axis_lanes(c->src, d.axis);
  if (bound <= 0) bound = -1;
  hli_scalar b = {.i = 0}, e;
  hli_op range = d.range ? ln_def(c, d.range) : 0;
  if (range && hli_const_value(c->src, hli_operand(c->src, range, 1), &e)) {
    if (!hli_const_value(c->src, hli_operand(c->src, range, 0), &b)) b.i = 0;
    int64_t most = HLI_MAX(e.i - HLI_MAX(b.i, 0), 0);
    bound = bound < 0 ? most : HLI_MIN(bound, most);
  }
  return bound;
}

bool ln_same_dims(const ln_dim *a, const ln_dim *b, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (a[i].axis != b[i].axis || a[i].range != b[i].range) return false;
  return true;
}

int64_t ln_param_stride(const ln *c, hli_value base, uint32_t d) {
  for (uint32_t p = 0; p < c->src->params.len; p++)
    if (c->src->params.data[p].value == base) return c->src->params.data[p].strides[d];
  return -1;
}

int64_t ln_param_size(const ln *c, hli_value base, uint32_t d) {
  return c->src->dims.data[hli_type_of(c->src, base)->dims[d]].value;
}

bool ln_crosses_lines(const ln *c, hli_op op) {
  hli_access a;
  hli_access_get(c->src, op, &a);
  for (uint32_t d = 0; d < a.rank; d++) {
    const int64_t stride = ln_param_stride(c, a.base, d);
    if (stride > 1 && stride * (int64_t)hl_dtype_size(hli_dtype_of(c->src, a.value)) % 64) return true;
  }
  return false;
}

double ln_access_score(const ln *c, hli_op op, const hli_access *a, uint32_t d, hli_axis axis) {
  double elements = ln_writes_memory(c, op) ? 2 : 1; /* a scatter is worse than a gather */
  for (uint32_t i = 0; i < a->rank; i++) {
    if (a->kind[i] == 'g') elements *= (double)HLI_MAX(hli_axis_lanes(c->src, hli_type_of(c->src, a->index[i])->dims[0]), 1);
    if (a->kind[i] != 't') continue;
    int64_t bound = ln_bound(c, (ln_dim){hli_type_of(c->src, a->index[i])->dims[0], a->index[i]});
    elements *= bound < 0 ? 256 : (double)HLI_MAX(bound, 1);
  }
  int64_t step = 1;
  if (a->kind[d] == 'g' && !hli_index_step(c->src, a->index[d], axis, &step)) return -elements;
  return step == 0 ? 0 : step == 1 && ln_param_stride(c, a->base, d) == 1 ? 2 * elements : -elements;
}
