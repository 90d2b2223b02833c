/* memory.c: load, store and prefetch of tensors and buffers.  Every access that is not masked off is
 * checked against the base's sizes; buffers know which of their elements were ever written; tensors
 * can remember which program touched an element (options.program_check). SPDX-License-Identifier: MIT */
#include "src/ir/interp/access.h"

/* ---- where an access goes ---- */

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
  if (t->rank != t->access.rank)
    return hli_machine_fail(m, HL_ERR_INTERNAL, op, "%u indices for rank %u", t->access.rank, t->rank);
  return HL_OK;
}

/* The index along dimension d for the lane at coord; false if it is masked. */
static bool index_of(const hli_machine *m, const hli_reach *t, uint32_t d, const int64_t *coord, int64_t *out,
                     bool *unchecked) {
  const hli_access *a = &t->access;
  const int64_t lane = a->value_dim[d] >= 0 ? coord[a->value_dim[d]] : 0;
  const hli_ival *index = a->index[d] ? &m->values[a->index[d]] : NULL;
  switch (a->kind[d]) {
  case 's': /* negative counts from the end */
    *out = index->data[0].i + (index->data[0].i < 0 ? t->size[d] : 0);
    return true;
  case 'v':
    *out = (int64_t)((uint64_t)index->data[0].i + (uint64_t)lane);
    return true;
  case 't':
    *out = (int64_t)((uint64_t)index->begin + (uint64_t)lane);
    if (lane < hli_span_of(index->begin, index->end))
      return true;
    *unchecked |= !a->check[d];
    return false;
  default:
    *out = lane;
    return lane < t->size[d];
  }
}

hl_status hli_reach_locate(hli_machine *m, hli_op op, const hli_reach *t, const int64_t *coord, int64_t *index,
                           bool *inside) {
  bool unchecked = false;
  uint32_t bad = t->rank;
  *inside = true;
  for (uint32_t d = 0; d < t->rank; d++) {
    if (!index_of(m, t, d, coord, &index[d], &unchecked))
      *inside = false;
    else if (index[d] < 0 || index[d] >= t->size[d])
      bad = HLI_MIN(bad, d);
  }
  if (unchecked)
    return hli_machine_fail(m, HL_ERR_BUILD, op,
                            "a lane beyond the tile's end is not masked: its check was dropped without cause");
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
  hl_status s = hli_reach_open(m, op, &t);
  if (!s && o->code == HLI_OP_LOAD)
    s = hli_ival_prepare(m, op, t.access.value, &value);
  if (s)
    return s;
  value = &m->values[t.access.value];
  int64_t coord[HL_MAX_RANK] = {0};
  for (int64_t e = 0; e < value->count && !s; e++) {
    s = access_lane(m, op, &t, coord, e);
    (void)hli_next_coord(coord, value->size, value->rank);
  }
  return s;
}

/* ---- buffers ---- */

/* Rows of a shared buffer may be longer than its last dimension. */
static void shared_shape(hli_machine *m, hli_op op, hli_imemory *b) {
  const uint32_t id = hli_type_of(m->k, hli_result(m->k, op, 0))->layout;
  b->shared = hli_op_get(m->k, op)->code == HLI_OP_SHARED;
  b->slots = b->shared ? hli_attr_or(m->k, op, 0, 0, 1) : 1;
  b->row = b->rank ? b->size[b->rank - 1] : 1;
  b->rows = 1;
  for (uint32_t d = 0; d + 1 < b->rank; d++)
    b->rows *= b->size[d];
  if (b->shared && id)
    b->row += m->k->layouts.data[id].sw_pad;
  b->cell_count = b->row * b->rows * b->slots;
}

static hl_status new_memory(hli_machine *m, hli_op op, hli_imemory *b) {
  const hli_type_data *t = hli_type_of(m->k, hli_result(m->k, op, 0));
  *b = (hli_imemory){.op = op, .dtype = (hl_dtype)t->dtype, .rank = t->rank};
  int64_t count = 1;
  for (uint32_t d = 0; d < t->rank; d++) {
    b->size[d] = m->k->axes.data[t->dims[d]].block;
    if (b->size[d] <= 0 || __builtin_mul_overflow(count, b->size[d], &count) || count > HLI_INTERP_MAX_ELEMENTS)
      return hli_machine_fail(m, HL_ERR_LIMIT, op, "the buffer's dimension %u has size %lld", d, (long long)b->size[d]);
  }
  shared_shape(m, op, b);
  if (b->slots < 1 || b->cell_count / b->slots > HLI_INTERP_MAX_ELEMENTS / b->slots)
    return hli_machine_fail(m, HL_ERR_LIMIT, op, "the buffer has %lld slots", (long long)b->slots);
  b->cells = hli_alloc(m->alloc, (size_t)b->cell_count * sizeof *b->cells, 16);
  if (!b->cells)
    return hli_machine_no_memory(m);
  if (hli_vec_push(m->alloc, &m->memory, *b))
    return HL_OK;
  hli_release(m->alloc, b->cells, (size_t)b->cell_count * sizeof *b->cells);
  return hli_machine_no_memory(m);
}

/* buffer, shared: the same storage each time the op runs, forgotten anew. */
hl_status hli_exec_buffer(hli_machine *m, hli_op op) {
  uint32_t at = 0;
  while (at < m->memory.len && m->memory.data[at].op != op)
    at++;
  hli_imemory fresh;
  hl_status s = at == m->memory.len ? new_memory(m, op, &fresh) : HL_OK;
  if (s)
    return s;
  hli_imemory *b = &m->memory.data[at];
  for (int64_t i = 0; i < b->cell_count; i++)
    b->cells[i] = (hli_icell){.writer = -1, .writer2 = -1, .reader = -1, .reader2 = -1};
  *hli_ival_of(m, hli_result(m->k, op, 0)) =
      (hli_ival){.kind = HLI_IVAL_MEMORY, .dtype = (uint8_t)b->dtype, .object = at};
  return HL_OK;
}
