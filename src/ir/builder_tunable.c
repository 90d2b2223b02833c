/* builder_tunable.c: knobs that a kernel declares (hl_tunable_*).  SPDX-License-Identifier: MIT */
#include "src/ir/builder.h"
#include "src/ir/text.h"

static hl_value declare(hl_builder *b, const char *name, const hli_tunable *t) {
  if (!b || b->diag.status != HL_OK)
    return HL_POISON;
  hl_kernel *k = b->k;
  hli_tunable made = *t;
  if (!name || !hli_is_name(name) || strlen(name) >= HLI_TUNABLE_NAME)
    return hli_builder_complain(b, "the name '%s' of a tunable must be an identifier of at most 40 characters",
                                name ? name : "(null)");
  for (uint32_t i = 0; i < k->tunables.len; i++)
    if (!strcmp(k->tunables.data[i].name, name))
      return hli_builder_complain(b, "there already is a tunable %s", name);
  if (k->tunables.len == HLI_TUNABLES)
    return hli_builder_complain(b, "more than %u tunables", HLI_TUNABLES);
  memcpy(made.name, name, strlen(name) + 1);
  const char *fault = hli_tunable_fault(&made);
  if (fault)
    return hli_builder_complain(b, "tunable %s: %s", name, fault);
  if (!hli_vec_push(b->alloc, &k->tunables, made))
    return hli_builder_no_memory(b);
  const int64_t index = k->tunables.len - 1;
  const hl_value v = hli_builder_op(b, &(hli_op_desc){.code = HLI_OP_TUNABLE, .attrs = &index, .attr_len = {1}}, 0);
  if (v)
    hli_value_set_name(k, v, hli_intern(k, hli_str(name)));
  return v;
}

hl_value(hl_tunable_power)(hl_builder *b, const char *name, int64_t low, int64_t high, int64_t preferred) {
  return declare(b, name, &(hli_tunable){.kind = HLI_TUNABLE_POWER, .low = low, .high = high, .preferred = preferred});
}

hl_value(hl_tunable_integer)(hl_builder *b, const char *name, int64_t low, int64_t high, int64_t step,
                             int64_t preferred) {
  return declare(
      b, name,
      &(hli_tunable){.kind = HLI_TUNABLE_INTEGER, .low = low, .high = high, .step = step, .preferred = preferred});
}

hl_value(hl_tunable_enum)(hl_builder *b, const char *name, const int64_t *values, uint32_t n, int64_t preferred) {
  hli_tunable t = {.kind = HLI_TUNABLE_ENUM, .count = n, .preferred = preferred};
  for (uint32_t i = 0; values && i < n && i < HLI_TUNABLE_LIST; i++)
    t.list[i] = values[i];
  if (!values)
    t.count = 0;
  return declare(b, name, &t);
}

hl_value(hl_tunable_bool)(hl_builder *b, const char *name, bool preferred) {
  return declare(b, name, &(hli_tunable){.kind = HLI_TUNABLE_BOOL, .preferred = preferred});
}
