/* value.c: storage of the interpreter's values, coordinates, and the one way its faults are worded.
 * SPDX-License-Identifier: MIT */
#include "src/ir/interp/machine.h"
#include <stdio.h>

/* ---- faults ---- */

static hl_status fail_with(hli_machine *m, hl_status status, hli_op op, const char *words) {
  const hli_op_data *o = op ? hli_op_get(m->k, op) : NULL;
  hli_strbuf line;
  hli_sb_init(&line, m->alloc);
  if (o)
    hli_print_op(m->k, op, &line);
  const char *text = line.data && !line.failed ? line.data : "";
  while (*text == ' ')
    text++;
  if (m->program >= 0)
    hli_fail_at(m->diag, status, o ? o->file : "", o ? o->line : 0, 0, "kernel '%s', program %lld: %s%s%.*s",
                m->k->name, (long long)m->program, words, *text ? "\n  " : "", (int)strcspn(text, "\n"), text);
  else
    hli_fail_at(m->diag, status, o ? o->file : "", o ? o->line : 0, 0, "kernel '%s': %s%s%.*s", m->k->name, words,
                *text ? "\n  " : "", (int)strcspn(text, "\n"), text);
  hli_sb_free(&line);
  return status;
}

hl_status hli_machine_fail(hli_machine *m, hl_status status, hli_op op, const char *fmt, ...) {
  char words[HL_DIAG_TEXT];
  va_list args;
  va_start(args, fmt);
  vsnprintf(words, sizeof words, fmt, args);
  va_end(args);
  return fail_with(m, status, op, words);
}

hl_status hli_machine_no_memory(hli_machine *m) {
  return hli_fail_memory(m->diag, "interpreting a kernel");
}

/* ---- coordinates ---- */

bool hli_next_coord(int64_t *coord, const int64_t *size, uint32_t rank) {
  for (uint32_t d = rank; d-- > 0;) {
    if (++coord[d] < size[d])
      return true;
    coord[d] = 0;
  }
  return false;
}

int64_t hli_row_major(const int64_t *coord, const int64_t *size, uint32_t rank) {
  int64_t at = 0;
  for (uint32_t d = 0; d < rank; d++)
    at = at * size[d] + coord[d];
  return at;
}

const char *hli_coord_text(char *buffer, size_t size, const int64_t *coord, uint32_t rank) {
  size_t used = (size_t)snprintf(buffer, size, "[");
  for (uint32_t d = 0; d < rank && used < size; d++)
    used += (size_t)snprintf(buffer + used, size - used, "%s%lld", d ? ", " : "", (long long)coord[d]);
  if (used < size)
    snprintf(buffer + used, size - used, "]");
  return buffer;
}

/* ---- values ---- */

void hli_ival_free(hli_machine *m, hli_ival *v) {
  hli_release(m->alloc, v->data, (size_t)v->capacity * sizeof *v->data);
  *v = (hli_ival){0};
}

static hl_status reserve(hli_machine *m, hli_ival *v, int64_t count) {
  if (count <= v->capacity)
    return HL_OK;
  hli_release(m->alloc, v->data, (size_t)v->capacity * sizeof *v->data);
  v->capacity = 0;
  v->data = hli_alloc(m->alloc, (size_t)count * sizeof *v->data, 16);
  if (!v->data)
    return hli_machine_no_memory(m);
  v->capacity = count;
  return HL_OK;
}

/* Lanes of an axis now. */
static int64_t lanes_now(const hli_machine *m, hli_axis axis) {
  if (m->axes[axis].lanes >= 0)
    return m->axes[axis].lanes;
  const hli_axis_data *a = &m->k->axes.data[axis];
  if (a->block > 0 || a->kind == HLI_AXIS_CONST)
    return a->block;
  return a->kind == HLI_AXIS_FULL ? m->dims[a->dim] : -1;
}

hl_status hli_ival_prepare(hli_machine *m, hli_op op, hli_value id, hli_ival **out) {
  const hli_type_data *t = hli_type_of(m->k, id);
  hli_ival *v = &m->values[id];
  *out = v;
  v->kind = HLI_IVAL_DATA;
  v->dtype = t->dtype;
  v->rank = t->rank;
  v->count = 1;
  for (uint32_t d = 0; d < t->rank; d++) {
    v->size[d] = lanes_now(m, t->dims[d]);
    if (v->size[d] < 0)
      return hli_machine_fail(m, HL_ERR_BUILD, op,
                              "dimension %u of the result has no size here: no tile of axis '$%s' is open", d,
                              m->k->axes.data[t->dims[d]].name);
    if (__builtin_mul_overflow(v->count, v->size[d], &v->count) || v->count > HLI_INTERP_MAX_ELEMENTS)
      return hli_machine_fail(m, HL_ERR_LIMIT, op, "the result has more than %lld elements: choose smaller blocks",
                              (long long)HLI_INTERP_MAX_ELEMENTS);
  }
  return reserve(m, v, HLI_MAX(v->count, 1));
}

hl_status hli_ival_assign(hli_machine *m, hli_value to, hli_value from) {
  const hli_ival *src = &m->values[from];
  hli_ival *dst = &m->values[to];
  if (to == from)
    return HL_OK;
  hl_status s = src->kind == HLI_IVAL_DATA ? reserve(m, dst, HLI_MAX(src->count, 1)) : HL_OK;
  if (s)
    return s;
  hli_ival copy = *src;
  copy.data = dst->data;
  copy.capacity = dst->capacity;
  *dst = copy;
  if (src->kind == HLI_IVAL_DATA && src->count)
    memcpy(dst->data, src->data, (size_t)src->count * sizeof *src->data);
  return HL_OK;
}

hli_scalar hli_machine_round(const hli_machine *m, hl_dtype dtype, long double x) {
  const hli_scalar s = {.f = (double)x};
  return m->options.exact ? s : hli_scalar_from_bits(dtype, hli_scalar_to_bits(dtype, s));
}
