/* memory.c: load, store and prefetch of tensors and buffers.  Every access that is not masked off is
 * checked against the base's sizes; buffers know which of their elements were ever written; tensors
 * can remember which program touched an element (options.program_check). SPDX-License-Identifier: MIT */
#include "src/ir/interp/access.h"
#include "src/ir/interp/order.h"

/* What an access' `check` says of a dimension (ops.def). */
enum { CHECK_NONE, CHECK_LANES, CHECK_WHOLE };

/* ---- where an access goes ---- */

/* What `check` claims of the tiles is true? */
static hl_status check_claims(hli_machine *m, hli_op op, const hli_access *a) {
  for (uint32_t d = 0; d < a->rank; d++) {
    const hli_ival *tile = a->kind[d] == 't' ? &m->values[a->index[d]] : NULL;
    const int64_t claim = hli_attr_or(m->k, op, 2, d, CHECK_LANES);
    if (!tile || claim == CHECK_LANES)
      continue;
    const int64_t inside = HLI_MIN(hli_span_of(tile->begin, tile->end), tile->size[0]);
    if (inside < tile->size[0] && (inside || claim == CHECK_NONE))
      return hli_machine_fail(
          m, HL_ERR_BUILD, op,
          "dimension %u: a check was dropped without cause: %lld of the tile's %lld lanes lie inside", d,
          (long long)inside, (long long)tile->size[0]);
  }
  return HL_OK;
}

hl_status hli_reach_open(hli_machine *m, hli_op op, hli_reach *t) {
  *t = (hli_reach){0};
  hli_access_get(m->k, op, &t->access);
  const hli_ival *base = &m->values[t->access.base];
  const bool tensor = base->kind == HLI_IVAL_TENSOR;
  if (!tensor && base->kind != HLI_IVAL_MEMORY)
    return hli_machine_fail(m, HL_ERR_INTERNAL, op, "the base is no memory");
  t->tensor = tensor ? &m->tensors[base->object] : NULL;
  t->memory = tensor ? NULL : &m->memory.data[base->object];
  t->rank = tensor ? t->tensor->rank : t->memory->rank;
  t->size = tensor ? t->tensor->size : t->memory->size;
  t->param = base->object;
  t->broadcasts = tensor && m->k->stage == HLI_STAGE_TILE && !m->k->scheduled &&
                  hli_op_get(m->k, op)->code == HLI_OP_LOAD && !t->access.mask;
  if (t->rank != t->access.rank)
    return hli_machine_fail(m, HL_ERR_INTERNAL, op, "%u indices for rank %u", t->access.rank, t->rank);
  return check_claims(m, op, &t->access);
}

/* Integer tiles: lanes outside the base are masked, and at TILE those beyond the end of a tile that the index
 * itself lies along (later stages say that with masks). */
static bool gathered(const hli_machine *m, const hli_reach *t, uint32_t d, const int64_t *coord, int64_t *out) {
  const hli_ival *index = &m->values[t->access.index[d]];
  const hli_type_data *type = hli_type_of(m->k, t->access.index[d]);
  int64_t at[HL_MAX_RANK] = {0};
  bool valid = true;
  for (uint32_t i = 0; i < index->rank; i++) {
    const hli_axis_state *axis = &m->axes[type->dims[i]];
    at[i] = coord[t->access.gather[d][i]];
    valid &= m->k->stage != HLI_STAGE_TILE || axis->lanes != index->size[i] || at[i] < axis->valid;
  }
  *out = index->data[hli_row_major(at, index->size, index->rank)].i;
  return valid && *out >= 0 && *out < t->size[d];
}

/* The index along dimension d for the lane at coord; false if it is masked. */
static bool index_of(const hli_machine *m, const hli_reach *t, uint32_t d, const int64_t *coord, int64_t *out) {
  const hli_access *a = &t->access;
  const int64_t lane = a->value_dim[d] >= 0 ? coord[a->value_dim[d]] : 0;
  const hli_ival *index = a->index[d] ? &m->values[a->index[d]] : NULL;
  switch (a->kind[d]) {
  case 's': /* negative counts from the end */
    *out = index->data[0].i + (index->data[0].i < 0 ? t->size[d] : 0);
    return true;
  case 'g':
    return gathered(m, t, d, coord, out);
  case 'v':
    *out = (int64_t)((uint64_t)index->data[0].i + (uint64_t)lane);
    return true;
  case 't':
    *out = t->broadcasts && t->size[d] == 1 ? 0 : (int64_t)((uint64_t)index->begin + (uint64_t)lane);
    return lane < hli_span_of(index->begin, index->end);
  default:
    *out = lane;
    return lane < t->size[d];
  }
}

/* A run that goes on behind the end of its dimension: where rows touch, that is in the next ones. */
static void run_on(const hli_machine *m, hli_op op, const hli_reach *t, int64_t *index) {
  if (!t->tensor || hli_attr_len(m->k, op, HLI_ATTR_CHECK) != t->rank)
    return;
  for (uint32_t d = t->rank; d-- > 1;) {
    if (hli_attr(m->k, op, HLI_ATTR_CHECK, t->rank - 1) != HLI_CHECK_RUNS_ON || index[d] < t->size[d] || !t->size[d] ||
        t->tensor->stride[d - 1] != t->tensor->stride[d] * t->size[d])
      return;
    index[d - 1] += index[d] / t->size[d];
    index[d] %= t->size[d];
  }
}

hl_status hli_reach_locate(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *coord, int64_t *index,
                           bool *inside) {
  uint32_t bad = t->rank;
  *inside = true;
  for (uint32_t d = 0; d < t->rank; d++)
    if (!index_of(m, t, d, coord, &index[d]))
      *inside = false;
  if (*inside && hli_op_get(m->k, op)->code != HLI_OP_ATOMIC)
    run_on(m, op, t, index);
  for (uint32_t d = 0; *inside && d < t->rank; d++) {
    if (index[d] < 0 || index[d] >= t->size[d])
      bad = HLI_MIN(bad, d);
  }
  if (!*inside || bad == t->rank)
    return HL_OK;
  char text[256];
  return hli_machine_fail(m, HL_ERR_BUILD, op, "index %s is out of range: dimension %u has size %lld",
                          hli_coord_text(text, sizeof text, index, t->rank), bad, (long long)t->size[bad]);
}

/* ---- tensors ---- */

static unsigned char *element(const hli_itensor *t, const int64_t *index) {
  int64_t at = 0;
  for (uint32_t d = 0; d < t->rank; d++)
    at += index[d] * t->stride[d];
  return t->data + at * (int64_t)hl_dtype_size(t->dtype);
}

static uint64_t read_bits(const unsigned char *p, hl_dtype dtype) {
  uint64_t bits = 0;
  uint8_t b8;
  uint16_t b16;
  uint32_t b32;
  switch (hl_dtype_size(dtype)) {
  case 1:
    memcpy(&b8, p, 1);
    return b8;
  case 2:
    memcpy(&b16, p, 2);
    return b16;
  case 4:
    memcpy(&b32, p, 4);
    return b32;
  default:
    memcpy(&bits, p, 8);
    return bits;
  }
}

static void write_bits(unsigned char *p, hl_dtype dtype, uint64_t bits) {
  const uint8_t b8 = (uint8_t)bits;
  const uint16_t b16 = (uint16_t)bits;
  const uint32_t b32 = (uint32_t)bits;
  switch (hl_dtype_size(dtype)) {
  case 1:
    memcpy(p, &b8, 1);
    return;
  case 2:
    memcpy(p, &b16, 2);
    return;
  case 4:
    memcpy(p, &b32, 4);
    return;
  default:
    memcpy(p, &bits, 8);
  }
}

static hl_status touched(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *index, const char *words,
                         uint32_t other) {
  char text[256], who[40] = "another program";
  if (other != HLI_INTERP_MANY)
    snprintf(who, sizeof who, "program %u", other - 1);
  return hli_machine_fail(m, HL_ERR_BUILD, op, "%s %s, which %s; programs run in any order", words,
                          hli_coord_text(text, sizeof text, index, t->rank), who);
}

static hl_status note_touch(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *index, bool writes,
                            bool changes) {
  if (!t->tensor->touch)
    return HL_OK;
  const uint32_t me = (uint32_t)(m->program + 1);
  hli_touch *x = &t->tensor->touch[hli_row_major(index, t->size, t->rank)];
  if (x->updater && x->updater != me)
    return touched(m, op, t, index, "touches an element that another program changes by an atomic:", x->updater);
  if (!writes) {
    if (x->writer && x->writer != me)
      return touched(m, op, t, index, "reads an element written by another program:", x->writer);
    x->reader = !x->reader || x->reader == me ? me : HLI_INTERP_MANY;
    return HL_OK;
  }
  if (x->reader && x->reader != me)
    return touched(m, op, t, index, "writes an element read by another program:", x->reader);
  if (changes && x->writer && x->writer != me)
    return touched(m, op, t, index, "writes an element that another program wrote differently:", x->writer);
  x->writer = !x->writer || x->writer == me ? me : HLI_INTERP_MANY;
  return HL_OK;
}

/* Atomics of several programs go together, atomics with plain accesses of another program do not. */
static hl_status note_update(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *index) {
  if (!t->tensor->touch)
    return HL_OK;
  const uint32_t me = (uint32_t)(m->program + 1);
  hli_touch *x = &t->tensor->touch[hli_row_major(index, t->size, t->rank)];
  if (x->writer && x->writer != me)
    return touched(m, op, t, index, "changes by an atomic an element written by another program:", x->writer);
  if (x->reader && x->reader != me)
    return touched(m, op, t, index, "changes by an atomic an element read by another program:", x->reader);
  x->updater = !x->updater || x->updater == me ? me : HLI_INTERP_MANY;
  return HL_OK;
}

hl_status hli_reach_read(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *index, hli_scalar *out) {
  if (t->tensor) {
    *out = hli_scalar_from_bits(t->tensor->dtype, read_bits(element(t->tensor, index), t->tensor->dtype));
    return note_touch(m, op, t, index, false, false);
  }
  const hli_icell *cell = &t->memory->cells[hli_row_major(index, t->size, t->rank)];
  char text[256];
  if (!cell->known)
    return hli_machine_fail(m, HL_ERR_BUILD, op, "reads element %s of a buffer, which nothing has written",
                            hli_coord_text(text, sizeof text, index, t->rank));
  *out = cell->value;
  return HL_OK;
}

bool hli_reach_changes(const hli_reach *t, const int64_t *index, hli_scalar value) {
  const unsigned char *p = element(t->tensor, index);
  unsigned char now[8] = {0};
  write_bits(now, t->tensor->dtype, hli_scalar_to_bits(t->tensor->dtype, value));
  return memcmp(now, p, hl_dtype_size(t->tensor->dtype)) != 0;
}

static hl_status write_one(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *index, hli_scalar value) {
  if (t->tensor) {
    unsigned char *p = element(t->tensor, index);
    const uint64_t old = read_bits(p, t->tensor->dtype);
    write_bits(p, t->tensor->dtype, hli_scalar_to_bits(t->tensor->dtype, value));
    return note_touch(m, op, t, index, true, read_bits(p, t->tensor->dtype) != old);
  }
  hli_icell *cell = &t->memory->cells[hli_row_major(index, t->size, t->rank)];
  cell->value = value;
  cell->known = true;
  return HL_OK;
}

/* ---- atomics ---- */

static hli_scalar combined(const hli_machine *m, hli_op op, const hli_reach *t, hli_scalar old, int64_t e) {
  const hl_atomic_op kind = (hl_atomic_op)hli_attr(m->k, op, HLI_ATTR_ATOMIC, 0);
  const hli_scalar v = m->values[t->access.value].data[e];
  const hl_dtype dtype = (hl_dtype)m->values[t->access.value].dtype, stored = t->tensor->dtype;
  if (kind == HL_ATOMIC_XCHG)
    return v;
  if (kind == HL_ATOMIC_CAS) {
    const hli_scalar expected = m->values[t->access.expected].data[e];
    return hli_scalar_to_bits(stored, old) == hli_scalar_to_bits(stored, expected) ? v : old;
  }
  return hli_scalar_eval(hli_atomic_combine(kind), dtype, dtype, (hli_scalar[]){old, v}, !m->options.exact);
}

static hl_status atomic_lane(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *coord, int64_t e) {
  const hli_ival *mask = t->access.mask ? &m->values[t->access.mask] : NULL;
  hli_ival *result = &m->values[t->access.result];
  int64_t index[HL_MAX_RANK] = {0};
  bool inside = !mask || mask->data[e].i != 0;
  hl_status s = inside ? hli_reach_locate(m, op, t, coord, index, &inside) : HL_OK;
  result->data[e] = hli_scalar_from_bits((hl_dtype)result->dtype, 0);
  if (s || !inside)
    return s;
  unsigned char *p = element(t->tensor, index);
  const hli_scalar old = hli_scalar_from_bits(t->tensor->dtype, read_bits(p, t->tensor->dtype));
  write_bits(p, t->tensor->dtype, hli_scalar_to_bits(t->tensor->dtype, combined(m, op, t, old, e)));
  result->data[e] = old;
  return note_update(m, op, t, index);
}

/* ---- load, store ---- */

static hl_status access_lane(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *coord, int64_t e) {
  const hli_access *a = &t->access;
  const hli_ival *mask = a->mask ? &m->values[a->mask] : NULL;
  hli_ival *value = &m->values[a->value];
  const bool loads = hli_op_get(m->k, op)->code == HLI_OP_LOAD;
  int64_t index[HL_MAX_RANK] = {0};
  bool inside = !mask || mask->data[mask->count == 1 ? 0 : e].i != 0;
  hl_status s = inside ? hli_reach_locate(m, op, t, coord, index, &inside) : HL_OK;
  if (s)
    return s;
  if (!inside && !loads)
    return HL_OK;
  if (!inside) {
    const hli_ival *other = a->other ? &m->values[a->other] : NULL;
    value->data[e] = other ? other->data[other->count == 1 ? 0 : e] : hli_scalar_from_bits((hl_dtype)value->dtype, 0);
    return HL_OK;
  }
  return loads ? hli_reach_read(m, op, t, index, &value->data[e]) : write_one(m, op, t, index, value->data[e]);
}

hl_status hli_exec_access(hli_machine *m, hli_op op) {
  const hli_op_data *o = hli_op_get(m->k, op);
  if (o->code == HLI_OP_PREFETCH)
    return HL_OK; /* a hint: any address will do */
  hli_reach t;
  hli_ival *value;
  const bool atomic = o->code == HLI_OP_ATOMIC;
  hl_status s = hli_reach_open(m, op, &t);
  if (!s && atomic && !t.tensor)
    s = hli_machine_fail(m, HL_ERR_BUILD, op, "atomics are of tensors");
  if (!s && (atomic || o->code == HLI_OP_LOAD))
    s = hli_ival_prepare(m, op, hli_result(m->k, op, 0), &value);
  if (s)
    return s;
  s = hli_order_access(m, op, &t);
  value = &m->values[t.access.value];
  int64_t coord[HL_MAX_RANK] = {0};
  for (int64_t e = 0; e < value->count && !s; e++) {
    s = atomic ? atomic_lane(m, op, &t, coord, e) : access_lane(m, op, &t, coord, e);
    (void)hli_next_coord(coord, value->size, value->rank);
  }
  return s;
}

/* ---- buffers ---- */

/* Rank, sizes and their product from the op's type; rows of a shared buffer may be longer than its last dimension. */
hl_status hli_memory_describe(hli_machine *m, hli_op op, hli_imemory *b) {
  const hli_type_data *t = hli_type_of(m->k, hli_result(m->k, op, 0));
  *b = (hli_imemory){.op = op, .dtype = (hl_dtype)t->dtype, .rank = t->rank, .count = 1, .swizzle = t->layout};
  b->row = b->swizzle ? m->k->layouts.data[b->swizzle].sw_pad : 0;
  b->row += t->rank ? m->k->axes.data[t->dims[t->rank - 1]].block : 1;
  for (uint32_t d = 0; d < t->rank; d++) {
    b->size[d] = m->k->axes.data[t->dims[d]].block;
    const int64_t factor = d + 1 < t->rank ? b->size[d] : b->row;
    if (b->size[d] <= 0 || __builtin_mul_overflow(b->count, factor, &b->count) || b->count > HLI_INTERP_MAX_ELEMENTS)
      return hli_machine_fail(m, HL_ERR_LIMIT, op,
                              "the buffer's dimension %u has size %lld: a buffer may have %lld elements", d,
                              (long long)b->size[d], (long long)HLI_INTERP_MAX_ELEMENTS);
  }
  return HL_OK;
}

static hl_status new_buffer(hli_machine *m, hli_op op) {
  hli_imemory b;
  hl_status s = hli_memory_describe(m, op, &b);
  if (s)
    return s;
  b.cells = hli_calloc(m->alloc, (size_t)b.count, sizeof *b.cells);
  if (b.cells && hli_vec_push(m->alloc, &m->memory, b))
    return HL_OK;
  hli_release(m->alloc, b.cells, (size_t)b.count * sizeof *b.cells);
  return hli_machine_no_memory(m);
}

uint32_t hli_memory_find(const hli_machine *m, hli_op op) {
  uint32_t at = 0;
  while (at < m->memory.len && m->memory.data[at].op != op)
    at++;
  return at;
}

/* buffer: the same storage each time the op runs, forgotten anew. */
hl_status hli_exec_buffer(hli_machine *m, hli_op op) {
  if (hli_op_get(m->k, op)->code == HLI_OP_SHARED)
    return hli_exec_shared(m, op);
  const uint32_t at = hli_memory_find(m, op);
  hl_status s = at == m->memory.len ? new_buffer(m, op) : HL_OK;
  if (s)
    return s;
  hli_imemory *b = &m->memory.data[at];
  for (int64_t i = 0; i < b->count; i++)
    b->cells[i].known = false;
  *hli_ival_of(m, hli_result(m->k, op, 0)) =
      (hli_ival){.kind = HLI_IVAL_MEMORY, .dtype = (uint8_t)b->dtype, .object = at};
  return HL_OK;
}
