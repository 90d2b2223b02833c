/* tunable.c: knobs that the user declares: their legal values, and what a declaration may say.
 * SPDX-License-Identifier: MIT */
#include "src/ir/text.h"

const char *hli_tunable_text(uint8_t kind) {
  static const char *const text[] = {"power_of_two", "integer", "enum", "bool"};
  return kind < HLI_COUNT(text) ? text[kind] : NULL;
}

uint32_t hli_tunable_values(const hli_tunable *t, int64_t out[HLI_TUNABLE_MOST]) {
  uint32_t n = 0;
  if (t->kind == HLI_TUNABLE_POWER)
    for (int64_t v = t->low; v <= t->high && n < HLI_TUNABLE_MOST; v *= 2)
      out[n++] = v;
  if (t->kind == HLI_TUNABLE_INTEGER)
    for (int64_t v = t->low; v <= t->high && n < HLI_TUNABLE_MOST; v += t->step)
      out[n++] = v;
  if (t->kind == HLI_TUNABLE_ENUM)
    for (uint32_t i = 0; i < t->count && i < HLI_TUNABLE_LIST; i++)
      out[n++] = t->list[i];
  if (t->kind == HLI_TUNABLE_BOOL)
    out[n++] = 0, out[n++] = 1;
  return n;
}

static const char *range_fault(const hli_tunable *t) {
  if (t->low > t->high || t->low < -HLI_TEXT_SIZE || t->high > HLI_TEXT_SIZE)
    return "its smallest value must not exceed its largest, and both lie within 2^48";
  if (t->kind == HLI_TUNABLE_POWER)
    return t->low > 0 && hli_is_pow2((uint64_t)t->low) && hli_is_pow2((uint64_t)t->high)
               ? NULL
               : "its smallest and largest values must be powers of two";
  if (t->step < 1)
    return "its step must be at least 1";
  return (t->high - t->low) / t->step < HLI_TUNABLE_MOST ? NULL : "it has more than 256 values: take a larger step";
}

static const char *list_fault(const hli_tunable *t) {
  if (t->count < 1 || t->count > HLI_TUNABLE_LIST)
    return "it must have 1 to 16 values";
  for (uint32_t i = 1; i < t->count; i++)
    if (t->list[i] <= t->list[i - 1])
      return "its values must ascend";
  return NULL;
}

const char *hli_tunable_fault(const hli_tunable *t) {
  int64_t values[HLI_TUNABLE_MOST];
  const char *fault = t->kind <= HLI_TUNABLE_INTEGER ? range_fault(t)
                      : t->kind == HLI_TUNABLE_ENUM  ? list_fault(t)
                      : t->kind == HLI_TUNABLE_BOOL  ? NULL
                                                     : "it has no valid kind";
  if (fault)
    return fault;
  for (uint32_t n = hli_tunable_values(t, values); n-- > 0;)
    if (values[n] == t->preferred)
      return NULL;
  return "its default is none of its values";
}
