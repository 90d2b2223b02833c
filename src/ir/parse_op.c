/* parse_op.c: the statements of a body: one op per line, regions nested.
 *
 *     %a, %b = op %x, %y {name = value} (%arg : type) {
 *       ...
 *     } : type, type
 *
 * What an op takes comes from ops.def; whether it fits together is the verifier's affair.
 * SPDX-License-Identifier: MIT */
#include "src/ir/parse.h"
#include <stdio.h>

typedef struct statement {
  hli_token at; /* the op's keyword */
  hli_opcode code;
  const hli_op_info *facts;
  HLI_VEC(hli_token) results;
  hli_value operands[HLI_MAX_OPERANDS];
  uint32_t operand_count;
  int64_t attr[HLI_MAX_ATTRS][HL_MAX_RANK];
  uint32_t attr_len[HLI_MAX_ATTRS];
  bool given[HLI_MAX_ATTRS];
  int constant_at;    /* attribute that waits for the result's dtype, -1 = none */
  hli_token constant;
  hli_type types[HLI_MAX_OPERANDS];
} statement;

/* ---- which op ------------------------------------------------------------------------------ */

/* Edit distance of short words, for the suggestion. */
static uint32_t distance(hl_str a, const char *b) {
  uint32_t row[32], n = (uint32_t)strlen(b);
  if (a.len > 30 || n > 30)
    return 99;
  for (uint32_t j = 0; j <= n; j++)
    row[j] = j;
  for (uint32_t i = 1; i <= a.len; i++) {
    uint32_t corner = row[0];
    row[0] = i;
    for (uint32_t j = 1; j <= n; j++) {
      uint32_t change = corner + (a.ptr[i - 1] != b[j - 1]);
      corner = row[j];
      row[j] = HLI_MIN(change, HLI_MIN(row[j], row[j - 1]) + 1);
    }
  }
  return row[n];
}

static bool unknown_op(hli_parser *p, const hli_token *t) {
  const char *best = "";
  uint32_t least = 3;
  int len = (int)HLI_MIN(t->text.len, (size_t)40);
  for (uint32_t i = 1; i < HLI_OP_COUNT; i++) {
    const char *text = hli_op_facts((hli_opcode)i)->text;
    uint32_t d = distance(t->text, text);
    if (d < least && d < t->text.len) {
      least = d;
      best = text;
    }
  }
  if (best[0])
    return hli_parse_fail(p, t, "unknown operation '%.*s': did you mean '%s'?", len, t->text.ptr, best);
  return hli_parse_fail(p, t, "unknown operation '%.*s'", len, t->text.ptr);
}

static bool results_and_op(hli_parser *p, statement *s) {
  while (p->tok.kind == HLI_TOK_VALUE) {
    if (s->results.len == HLI_MAX_OPERANDS)
      return hli_parse_fail(p, &p->tok, "more than %d results", HLI_MAX_OPERANDS);
    if (!hli_vec_push(p->k->alloc, &s->results, p->tok))
      return hli_parse_memory(p);
    hli_parse_advance(p);
    if (!hli_parse_accept(p, ','))
      break;
    if (p->tok.kind != HLI_TOK_VALUE)
      return hli_parse_expected(p, "a result's name (%name)");
  }
  if (s->results.len && !hli_parse_punct(p, '=', "behind the results"))
    return false;
  if (!hli_parse_take(p, HLI_TOK_WORD, "an operation", &s->at))
    return false;
  s->code = hli_op_by_text(s->at.text);
  if (!s->code)
    return unknown_op(p, &s->at);
  s->facts = hli_op_facts(s->code);
  if (s->facts->results != HLI_VAR && s->facts->results != s->results.len)
    return hli_parse_fail(p, &s->at, "%s has %u result%s, the text names %u", s->facts->text, s->facts->results,
                          s->facts->results == 1 ? "" : "s", s->results.len);
  return true;
}

/* ---- operands -------------------------------------------------------------------------------- */

static bool operand(hli_parser *p, statement *s) {
  hli_token t;
  if (!hli_parse_take(p, HLI_TOK_VALUE, "an operand (%name)", &t))
    return false;
  hli_symbol *symbol = hli_symbols_find(&p->values, t.text);
  if (!symbol)
    return hli_parse_fail(p, &t, "unknown value %%%.*s: a value is defined above its use",
                          (int)HLI_MIN(t.text.len, (size_t)HLI_TEXT_NAME), t.text.ptr);
  if (s->operand_count == HLI_MAX_OPERANDS)
    return hli_parse_fail(p, &t, "more than %d operands", HLI_MAX_OPERANDS);
  s->operands[s->operand_count++] = symbol->value;
  return true;
}

/* [%i, %c:, :] behind the base. */
static bool indices(hli_parser *p, statement *s, uint32_t attr) {
  if (!hli_parse_punct(p, '[', "before the indices"))
    return false;
  while (!hli_parse_is(p, ']')) {
    uint32_t n = s->attr_len[attr];
    if (n && !hli_parse_punct(p, ',', "or ']' behind an index"))
      return false;
    if (n == HL_MAX_RANK)
      return hli_parse_fail(p, &p->tok, "more than %d indices", HL_MAX_RANK);
    int64_t kind = ':';
    if (!hli_parse_accept(p, ':')) {
      if (p->tok.kind != HLI_TOK_VALUE)
        return hli_parse_expected(p, "an index: a tile, a scalar, a scalar with ':' or ':'");
      if (!operand(p, s))
        return false;
      hli_value v = s->operands[s->operand_count - 1];
      const hli_type_data *t = hli_type_of(p->k, v);
      kind = t->kind == HLI_TYPE_TILE ? 't' : t->kind == HLI_TYPE_VALUE && t->rank ? 'g' : 's';
      if (hli_parse_accept(p, ':'))
        kind = 'v';
    }
    s->attr[attr][s->attr_len[attr]++] = kind;
  }
  hli_parse_advance(p);
  return true;
}

/* Behind the comma: `mask %m`, `other %o`, or one more operand. */
static bool access_operand(hli_parser *p, statement *s, int flags) {
  hli_token at = p->tok;
  int64_t bit = hli_parse_accept_word(p, "mask") ? 1 : hli_parse_accept_word(p, "other") ? 2 : 0;
  int64_t have = flags >= 0 && s->attr_len[flags] ? s->attr[flags][0] : 0;
  if (bit && flags < 0)
    return hli_parse_fail(p, &at, "%s takes neither mask nor other", s->facts->text);
  if (bit <= have && have)
    return hli_parse_fail(p, &at, "mask and other are the last operands, once each, mask first");
  if (bit) {
    s->attr[flags][0] = have | bit;
    s->attr_len[flags] = 1;
  }
  return operand(p, s);
}

static bool operands(hli_parser *p, statement *s) {
  int kinds = hli_attr_by_kind(s->code, 'x'), flags = hli_attr_by_name(s->code, hli_str("flags"));
  if (kinds < 0 && p->tok.kind != HLI_TOK_VALUE)
    return true;
  if (!operand(p, s) || (kinds >= 0 && !indices(p, s, (uint32_t)kinds)))
    return false;
  while (hli_parse_accept(p, ','))
    if (kinds >= 0 ? !access_operand(p, s, flags) : !operand(p, s))
      return false;
  return true;
}

/* ---- attributes --------------------------------------------------------------------------------- */

static bool reduce_op(hli_parser *p, int64_t *out) {
  for (*out = 0; *out < HL_REDUCE_COUNT; ++*out)
    if (hli_parse_accept_word(p, hli_reduce_text((hl_reduce_op)*out)))
      return true;
  return hli_parse_expected(p, "a reduction: sum, prod, max, min, any or all");
}

static bool atomic_op(hli_parser *p, int64_t *out) {
  for (*out = 0; *out < HL_ATOMIC_COUNT; ++*out)
    if (hli_parse_accept_word(p, hli_atomic_text((hl_atomic_op)*out)))
      return true;
  return hli_parse_expected(p, "an atomic operation: add, and, or, xor, xchg, max, min or cas");
}

static bool memory_order(hli_parser *p, int64_t *out) {
  for (*out = 0; *out < HL_ORDER_COUNT; ++*out)
    if (hli_parse_accept_word(p, hli_order_text((hl_memory_order)*out)))
      return true;
  return hli_parse_expected(p, "a memory order: relaxed, acquire, release or acq_rel");
}

static bool precision(hli_parser *p, int64_t *out) {
  for (*out = 0; *out < HL_PRECISION_COUNT; ++*out)
    if (hli_parse_accept_word(p, hli_precision_text((hl_precision)*out)))
      return true;
  return hli_parse_expected(p, "a precision: ieee, tf32 or tf32x3");
}

static bool dtype_word(hli_parser *p, int64_t *out) {
  *out = p->tok.kind == HLI_TOK_WORD ? hl_dtype_parse(p->tok.text) : HL_DTYPE_NONE;
  if (*out == HL_DTYPE_NONE)
    return hli_parse_expected(p, "a dtype");
  hli_parse_advance(p);
  return true;
}

static bool constant(hli_parser *p, statement *s, uint32_t i) {
  if (p->tok.kind != HLI_TOK_NUMBER && p->tok.kind != HLI_TOK_WORD)
    return hli_parse_expected(p, "a constant");
  s->constant_at = (int)i;
  s->constant = p->tok;
  hli_parse_advance(p);
  return true;
}

static bool attr_value(hli_parser *p, statement *s, uint32_t i, char kind) {
  int64_t *out = &s->attr[i][s->attr_len[i]];
  uint32_t id = 0;
  bool ok;
  if (s->attr_len[i] == HL_MAX_RANK)
    return hli_parse_fail(p, &p->tok, "the list has more than %d entries", HL_MAX_RANK);
  switch (kind) {
  case 'a':
  case 'A':
    ok = hli_parse_axis_ref(p, &id);
    *out = id;
    break;
  case 'y':
    ok = hli_parse_layout_ref(p, &id);
    *out = id;
    break;
  case 'b':
    *out = hli_parse_accept_word(p, "true");
    ok = *out || hli_parse_accept_word(p, "false") || hli_parse_expected(p, "true or false");
    break;
  case 'c': ok = constant(p, s, i); break;
  case 'u':
    ok = hli_parse_tunable_ref(p, &id);
    *out = id;
    break;
  case 'd': ok = dtype_word(p, out); break;
  case 'r': ok = reduce_op(p, out); break;
  case 'm': ok = atomic_op(p, out); break;
  case 'n': ok = memory_order(p, out); break;
  case 'p': ok = precision(p, out); break;
  default: ok = hli_parse_integer(p, "the attribute", INT64_MIN, INT64_MAX, out); break;
  }
  s->attr_len[i]++;
  return ok;
}

static bool unknown_attr(hli_parser *p, const statement *s, const hli_token *name) {
  char known[128] = "";
  size_t n = 0;
  hli_attr_info info;
  for (uint32_t i = 0; hli_attr_spec(s->code, i, &info); i++)
    if (!hli_attr_is_inline(s->code, i) && n < sizeof known)
      n += (size_t)snprintf(known + n, sizeof known - n, "%s%.*s", n ? ", " : "", (int)info.name.len, info.name.ptr);
  return hli_parse_fail(p, name, "%s has no attribute '%.*s': it has %s", s->facts->text,
                        (int)HLI_MIN(name->text.len, (size_t)40), name->text.ptr, n ? known : "none");
}

static bool attr(hli_parser *p, statement *s) {
  hli_token name;
  hli_attr_info info;
  if (!hli_parse_take(p, HLI_TOK_WORD, "an attribute's name", &name))
    return false;
  int i = hli_attr_by_name(s->code, name.text);
  if (i < 0 || hli_attr_is_inline(s->code, (uint32_t)i))
    return unknown_attr(p, s, &name);
  if (s->given[i])
    return hli_parse_fail(p, &name, "the attribute '%.*s' is given twice", (int)name.text.len, name.text.ptr);
  s->given[i] = true;
  (void)hli_attr_spec(s->code, (uint32_t)i, &info);
  if (!hli_parse_punct(p, '=', "behind the attribute's name"))
    return false;
  if (info.kind != 'l' && info.kind != 'A')
    return attr_value(p, s, (uint32_t)i, info.kind);
  if (!hli_parse_punct(p, '[', "before the list"))
    return false;
  while (!hli_parse_is(p, ']'))
    if ((s->attr_len[i] && !hli_parse_punct(p, ',', "or ']' in the list")) || !attr_value(p, s, (uint32_t)i, info.kind))
      return false;
  hli_parse_advance(p);
  return true;
}

static bool attributes(hli_parser *p, statement *s) {
  hli_attr_info info;
  if (hli_parse_accept(p, '{')) {
    do {
      if (!attr(p, s))
        return false;
    } while (hli_parse_accept(p, ','));
    if (!hli_parse_punct(p, '}', "after the attributes"))
      return false;
  }
  for (uint32_t i = 0; hli_attr_spec(s->code, i, &info); i++)
    if (!info.optional && !s->given[i] && !hli_attr_is_inline(s->code, i))
      return hli_parse_fail(p, &s->at, "%s needs the attribute '%.*s'", s->facts->text, (int)info.name.len,
                            info.name.ptr);
  return true;
}

/* ---- types, creation ------------------------------------------------------------------------------- */

static bool result_types(hli_parser *p, statement *s) {
  if (s->results.len && !hli_parse_punct(p, ':', "and the results' types"))
    return false;
  for (uint32_t i = 0; i < s->results.len; i++) {
    if (i && !hli_parse_punct(p, ',', "and one more type: each result has one"))
      return false;
    if (!hli_parse_type(p, &s->types[i]))
      return false;
  }
  return true;
}

static bool finish_constant(hli_parser *p, statement *s) {
  if (s->constant_at < 0)
    return true;
  uint64_t bits = 0;
  const hli_type_data *t = hli_type_get(p->k, s->types[0]);
  hl_dtype dtype = t->kind == HLI_TYPE_VALUE ? (hl_dtype)t->dtype : HL_DTYPE_NONE;
  if (dtype == HL_DTYPE_NONE)
    return hli_parse_fail(p, &s->at, "the result of %s must be a scalar", s->facts->text);
  const char *why = hli_read_constant(dtype, s->constant.text, &bits);
  if (why)
    return hli_parse_fail(p, &s->constant, "'%.*s' %s (%s)", (int)HLI_MIN(s->constant.text.len, (size_t)40),
                          s->constant.text.ptr, why, hl_dtype_text(dtype));
  s->attr[s->constant_at][0] = (int64_t)bits;
  return true;
}

static hli_op create(hli_parser *p, statement *s, hli_block b) {
  int64_t ints[HLI_MAX_ATTRS * HL_MAX_RANK];
  hli_op_desc d = {.code = s->code,
                   .operands = s->operands,
                   .operand_count = s->operand_count,
                   .results = s->types,
                   .result_count = s->results.len,
                   .attrs = ints};
  uint32_t n = 0;
  if (p->k->ops.len > HLI_TEXT_OPS) {
    (void)hli_parse_fail(p, &s->at, "the kernel has more than %u operations", HLI_TEXT_OPS);
    return 0;
  }
  for (uint32_t i = 0; i < HLI_MAX_ATTRS; i++) {
    d.attr_len[i] = s->attr_len[i];
    for (uint32_t j = 0; j < s->attr_len[i]; j++)
      ints[n++] = s->attr[i][j];
  }
  hli_cursor c = {.k = p->k, .block = b, .file = p->file, .line = s->at.line};
  hli_op op = hli_op_create(&c, &d);
  if (!op)
    (void)hli_parse_memory(p);
  return op;
}

/* ---- regions ------------------------------------------------------------------------------------------ */

static bool region_args(hli_parser *p, hli_block b) {
  if (!hli_parse_punct(p, '(', "before the region's arguments"))
    return false;
  for (uint32_t n = 0; !hli_parse_is(p, ')'); n++) {
    hli_token name;
    hli_type type;
    if (n && !hli_parse_punct(p, ',', "or ')' behind an argument"))
      return false;
    if (n == 2 * HLI_MAX_OPERANDS)
      return hli_parse_fail(p, &p->tok, "the region has more than %d arguments", 2 * HLI_MAX_OPERANDS);
    if (!hli_parse_take(p, HLI_TOK_VALUE, "an argument (%name)", &name) ||
        !hli_parse_punct(p, ':', "between the argument and its type") || !hli_parse_type(p, &type))
      return false;
    hli_value v = hli_block_add_arg(p->k, b, type, (hl_str){"", 0});
    if (!v)
      return hli_parse_memory(p);
    if (!hli_parse_define(p, &name, v))
      return false;
  }
  hli_parse_advance(p);
  return true;
}

static bool region(hli_parser *p, statement *s, hli_op op) {
  hli_block b = hli_block_create(p->k, op);
  if (!b)
    return hli_parse_memory(p);
  if (p->depth == HLI_MAX_NESTING)
    return hli_parse_fail(p, &s->at, "loops are nested more than %d deep", HLI_MAX_NESTING);
  p->depth++;
  bool ok = region_args(p, b) && hli_parse_punct(p, '{', "before the region") && hli_parse_newline(p, "'{'") &&
            hli_parse_block(p, b);
  p->depth--;
  return ok;
}

/* ---- statements ----------------------------------------------------------------------------------------- */

static bool statement_parts(hli_parser *p, statement *s, hli_block b) {
  hli_op op = 0;
  if (!results_and_op(p, s) || !operands(p, s) || !attributes(p, s))
    return false;
  /* An op with a region exists before its region; its result types come behind. */
  if (s->facts->regions && (!(op = create(p, s, b)) || !region(p, s, op)))
    return false;
  if (!result_types(p, s) || !finish_constant(p, s))
    return false;
  if (!op && !(op = create(p, s, b)))
    return false;
  for (uint32_t i = 0; i < s->results.len; i++) {
    hli_value v = hli_result(p->k, op, i);
    p->k->values.data[v].type = s->types[i];
    if (!hli_parse_define(p, &s->results.data[i], v))
      return false;
  }
  return hli_parse_newline(p, "the operation");
}

bool hli_parse_block(hli_parser *p, hli_block b) {
  while (!hli_parse_accept(p, '}')) {
    statement s = {.constant_at = -1};
    if (p->tok.kind == HLI_TOK_END)
      return hli_parse_expected(p, "an operation or '}'");
    bool ok = statement_parts(p, &s, b);
    hli_vec_free(p->k->alloc, &s.results);
    if (!ok)
      return false;
  }
  return true;
}
