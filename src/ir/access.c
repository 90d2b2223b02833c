/* access.c: the one decoding of accesses (load, store, async_copy, prefetch) into their parts. */
#include "src/ir/ir.h"

/* A g index contributes those of its axes that no earlier g index has. */
static void read_gather(const hl_kernel *k, hli_access *a, uint32_t d, int8_t *dim) {
  const hli_type_data *t = hli_type_of(k, a->index[d]);
  for (uint32_t i = 0; i < t->rank; i++) {
    int8_t at = -1;
    for (uint32_t e = 0; e < d && at < 0; e++)
      for (uint32_t j = 0; a->kind[e] == 'g' && a->index[e] && j < hli_type_of(k, a->index[e])->rank; j++)
        if (hli_type_of(k, a->index[e])->dims[j] == t->dims[i])
          at = a->gather[e][j];
    a->gather[d][i] = at >= 0 ? at : (*dim)++;
  }
  a->gathers = true;
}

static void read_indices(const hl_kernel *k, hli_op op, hli_access *a, uint32_t *next) {
  int8_t dim = 0;
  a->rank = HLI_MIN(hli_attr_len(k, op, HLI_ATTR_INDEX), HL_MAX_RANK);
  for (uint32_t d = 0; d < a->rank; d++) {
    a->kind[d] = (char)hli_attr(k, op, HLI_ATTR_INDEX, d);
    a->value_dim[d] = a->kind[d] == 's' || a->kind[d] == 'g' ? -1 : dim++;
    a->check[d] = hli_attr_or(k, op, HLI_ATTR_CHECK, d, 1) != 0;
    if (a->kind[d] != ':' && *next < hli_operand_count(k, op))
      a->index[d] = hli_operand(k, op, (*next)++);
    if (a->kind[d] == 'g' && a->index[d])
      read_gather(k, a, d, &dim);
  }
}

void hli_access_get(const hl_kernel *k, hli_op op, hli_access *out) {
  memset(out, 0, sizeof *out);
  const hli_opcode code = (hli_opcode)k->ops.data[op].code;
  const uint32_t count = hli_operand_count(k, op);
  uint32_t next = 1;
  out->base = count ? hli_operand(k, op, 0) : 0;
  read_indices(k, op, out, &next);
  if (code == HLI_OP_ASYNC_COPY) {
    if (next < count)
      out->buffer = hli_operand(k, op, next++);
    if (next < count)
      out->slot = hli_operand(k, op, next);
    return;
  }
  if (code == HLI_OP_PREFETCH)
    return;
  const int64_t flags = hli_attr_or(k, op, HLI_ATTR_FLAGS, 0, 0);
  if (code == HLI_OP_ATOMIC) {
    out->result = hli_result(k, op, 0);
    if (hli_attr_or(k, op, HLI_ATTR_ATOMIC, 0, 0) == HL_ATOMIC_CAS && next < count)
      out->expected = hli_operand(k, op, next++);
  }
  if ((code == HLI_OP_STORE || code == HLI_OP_ATOMIC) && next < count)
    out->value = hli_operand(k, op, next++);
  if (code == HLI_OP_LOAD)
    out->value = hli_result(k, op, 0);
  if ((flags & 1) && next < count)
    out->mask = hli_operand(k, op, next++);
  if ((flags & 2) && next < count)
    out->other = hli_operand(k, op, next);
}
