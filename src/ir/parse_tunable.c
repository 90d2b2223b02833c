/* parse_tunable.c: knobs that the user declares, and references to them.
 *
 *   tunable split = 8 power_of_two 1 64          tunable chunk = 16 integer 8 64 step 8
 *   tunable mode = 3 enum [1, 3, 7]              tunable fast = true bool
 *
 * SPDX-License-Identifier: MIT */
#include "src/ir/parse.h"

static bool number(hli_parser *p, int64_t *out) {
  return hli_parse_integer(p, "a value of the tunable", -HLI_TEXT_SIZE, HLI_TEXT_SIZE, out);
}

static bool list(hli_parser *p, hli_tunable *t) {
  if (!hli_parse_punct(p, '[', "before the values"))
    return false;
  do {
    if (t->count == HLI_TUNABLE_LIST)
      return hli_parse_fail(p, &p->tok, "a tunable lists at most %u values", HLI_TUNABLE_LIST);
    if (!number(p, &t->list[t->count++]))
      return false;
  } while (hli_parse_accept(p, ','));
  return hli_parse_punct(p, ']', "after the values");
}

static bool range(hli_parser *p, hli_tunable *t) {
  if (!number(p, &t->low) || !number(p, &t->high))
    return false;
  if (t->kind == HLI_TUNABLE_POWER)
    return true;
  if (!hli_parse_accept_word(p, "step"))
    return hli_parse_expected(p, "'step'");
  return number(p, &t->step);
}

static bool preferred(hli_parser *p, hli_tunable *t, bool *is_word) {
  *is_word = p->tok.kind == HLI_TOK_WORD;
  if (!*is_word)
    return number(p, &t->preferred);
  t->preferred = hli_parse_accept_word(p, "true");
  return t->preferred || hli_parse_accept_word(p, "false") || hli_parse_expected(p, "a number, true or false");
}

bool hli_parse_tunable(hli_parser *p) {
  hli_token name, at;
  hli_tunable t = {.kind = HLI_TUNABLE_POWER};
  bool is_word;
  if (!hli_parse_take(p, HLI_TOK_WORD, "the name of a tunable", &name) || !hli_parse_name(p, &name, "a tunable"))
    return false;
  if (name.text.len >= HLI_TUNABLE_NAME)
    return hli_parse_fail(p, &name, "the name of a tunable has at most %d characters", HLI_TUNABLE_NAME - 1);
  memcpy(t.name, name.text.ptr, name.text.len);
  for (uint32_t i = 0; i < p->k->tunables.len; i++)
    if (!strcmp(p->k->tunables.data[i].name, t.name))
      return hli_parse_fail(p, &name, "tunable '%s' is declared twice", t.name);
  if (p->k->tunables.len == HLI_TUNABLES)
    return hli_parse_fail(p, &name, "the kernel has more than %u tunables", HLI_TUNABLES);
  if (!hli_parse_punct(p, '=', "before the default") || !preferred(p, &t, &is_word))
    return false;
  at = p->tok;
  while (t.kind <= HLI_TUNABLE_BOOL && !hli_parse_accept_word(p, hli_tunable_text(t.kind)))
    t.kind++;
  if (t.kind > HLI_TUNABLE_BOOL)
    return hli_parse_expected(p, "power_of_two, integer, enum or bool");
  if (is_word != (t.kind == HLI_TUNABLE_BOOL))
    return hli_parse_fail(p, &at, "true and false are the values of a bool");
  if (t.kind <= HLI_TUNABLE_INTEGER && !range(p, &t))
    return false;
  if (t.kind == HLI_TUNABLE_ENUM && !list(p, &t))
    return false;
  const char *fault = hli_tunable_fault(&t);
  if (fault)
    return hli_parse_fail(p, &name, "tunable %s: %s", t.name, fault);
  return hli_vec_push(p->k->alloc, &p->k->tunables, t) || hli_parse_memory(p);
}

bool hli_parse_tunable_ref(hli_parser *p, uint32_t *out) {
  hli_token t;
  if (!hli_parse_take(p, HLI_TOK_WORD, "the name of a tunable", &t))
    return false;
  for (*out = 0; *out < p->k->tunables.len; ++*out)
    if (hli_str_eqz(t.text, p->k->tunables.data[*out].name))
      return true;
  return hli_parse_fail(p, &t, "unknown tunable '%.*s': declare it above with 'tunable'",
                        (int)HLI_MIN(t.text.len, (size_t)HLI_TEXT_NAME), t.text.ptr);
}
