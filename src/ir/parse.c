/* parse.c: the parser's helpers, types, and the entry that reads a whole text.
 *
 * Strict: what the printer would not write (but for order, spacing and decimal floats) is a complaint with
 * file, line and column.  What is well-formed goes to the verifier, so that hli_parse gives either a valid kernel
 * or a status.  SPDX-License-Identifier: MIT */
#include "src/ir/parse.h"
#include <stdio.h>

/* ---- complaints ------------------------------------------------------------------------- */

bool hli_parse_fail(hli_parser *p, const hli_token *at, const char *fmt, ...) {
  if (p->status != HL_OK)
    return false;
  char text[HL_DIAG_TEXT];
  va_list args;
  va_start(args, fmt);
  (void)vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  p->status = hli_fail_at(p->diag, HL_ERR_PARSE, p->filename, at->line, at->column, "%s", text);
  return false;
}

bool hli_parse_memory(hli_parser *p) {
  if (p->status == HL_OK)
    p->status = hli_fail_memory(p->diag, "parsing a kernel");
  return false;
}

bool hli_parse_expected(hli_parser *p, const char *what) {
  char found[64];
  hli_token_words(&p->tok, found);
  if (p->tok.kind == HLI_TOK_BAD)
    return hli_parse_fail(p, &p->tok, "%s %s (expected %s)", found, p->tok.why, what);
  return hli_parse_fail(p, &p->tok, "expected %s, found %s", what, found);
}

/* ---- tokens -------------------------------------------------------------------------------- */

void hli_parse_advance(hli_parser *p) { p->tok = hli_lexer_next(&p->lex); }

bool hli_parse_is(const hli_parser *p, char punct) { return p->tok.kind == HLI_TOK_PUNCT && p->tok.text.ptr[0] == punct; }

bool hli_parse_is_word(const hli_parser *p, const char *word) {
  return p->tok.kind == HLI_TOK_WORD && hli_str_eqz(p->tok.text, word);
}

bool hli_parse_accept(hli_parser *p, char punct) {
  if (!hli_parse_is(p, punct))
    return false;
  hli_parse_advance(p);
  return true;
}

bool hli_parse_accept_word(hli_parser *p, const char *word) {
  if (!hli_parse_is_word(p, word))
    return false;
  hli_parse_advance(p);
  return true;
}

bool hli_parse_punct(hli_parser *p, char punct, const char *where) {
  char what[96];
  if (hli_parse_accept(p, punct))
    return true;
  (void)snprintf(what, sizeof what, "'%c' %s", punct, where);
  return hli_parse_expected(p, what);
}

bool hli_parse_newline(hli_parser *p, const char *after) {
  char what[96];
  if (p->tok.kind == HLI_TOK_NEWLINE) {
    hli_parse_advance(p);
    return true;
  }
  (void)snprintf(what, sizeof what, "the end of the line after %s", after);
  return hli_parse_expected(p, what);
}

bool hli_parse_take(hli_parser *p, hli_token_kind kind, const char *what, hli_token *out) {
  if (p->tok.kind != kind)
    return hli_parse_expected(p, what);
  *out = p->tok;
  hli_parse_advance(p);
  return true;
}

bool hli_parse_integer(hli_parser *p, const char *what, int64_t low, int64_t high, int64_t *out) {
  hli_token t;
  if (!hli_parse_take(p, HLI_TOK_NUMBER, what, &t))
    return false;
  int len = (int)HLI_MIN(t.text.len, (size_t)40);
  const char *why = hli_read_i64(t.text, out);
  if (why)
    return hli_parse_fail(p, &t, "%s: '%.*s' %s", what, len, t.text.ptr, why);
  if (*out < low || *out > high)
    return hli_parse_fail(p, &t, "%s is %lld: it must lie between %lld and %lld", what, (long long)*out, (long long)low,
                          (long long)high);
  return true;
}

/* ---- names ------------------------------------------------------------------------------------ */

static bool begins_with_digit(hl_str s) { return s.ptr[0] >= '0' && s.ptr[0] <= '9'; }

static bool is_number(hl_str s) {
  for (size_t i = 0; i < s.len; i++)
    if (s.ptr[i] < '0' || s.ptr[i] > '9')
      return false;
  return true;
}

bool hli_parse_name(hli_parser *p, const hli_token *t, const char *what) {
  if (t->text.len >= HLI_TEXT_NAME)
    return hli_parse_fail(p, t, "the name of %s has %zu characters, at most %d are allowed: shorten it", what, t->text.len,
                          HLI_TEXT_NAME - 1);
  if (begins_with_digit(t->text))
    return hli_parse_fail(p, t, "the name '%.*s' of %s begins with a digit: begin it with a letter or _", (int)t->text.len,
                          t->text.ptr, what);
  return true;
}

bool hli_parse_define(hli_parser *p, const hli_token *name, hli_value v) {
  int len = (int)HLI_MIN(name->text.len, (size_t)HLI_TEXT_NAME);
  bool numbered = is_number(name->text);
  if (numbered && name->text.len > 9)
    return hli_parse_fail(p, name, "the number of value %%%.*s is too long: use at most 9 digits", len, name->text.ptr);
  if (!numbered && !hli_parse_name(p, name, "a value"))
    return false;
  if (hli_symbols_find(&p->values, name->text))
    return hli_parse_fail(p, name, "%%%.*s is defined twice: every value of a kernel has a name of its own", len,
                          name->text.ptr);
  if (!hli_symbols_add(&p->values, name->text, v))
    return hli_parse_memory(p);
  if (!numbered)
    p->k->values.data[v].name = hli_intern(p->k, name->text);
  return true;
}

bool hli_parse_dim(hli_parser *p, hli_dim *out) {
  if (p->tok.kind == HLI_TOK_NUMBER) {
    int64_t size;
    if (!hli_parse_integer(p, "a dimension's size", 0, HLI_TEXT_SIZE, &size))
      return false;
    *out = hli_dim_const(p->k, size);
    return p->k->dims.len <= HLI_TEXT_DIMS ||
           hli_parse_fail(p, &p->tok, "the kernel has more than %u dimensions", HLI_TEXT_DIMS);
  }
  hli_token t;
  if (!hli_parse_take(p, HLI_TOK_WORD, "a dimension (a name or a size)", &t))
    return false;
  hli_symbol *s = hli_symbols_find(&p->dims, t.text);
  if (!s)
    return hli_parse_fail(p, &t, "unknown dimension '%.*s': declare it above with 'dim %.*s'",
                          (int)HLI_MIN(t.text.len, (size_t)HLI_TEXT_NAME), t.text.ptr,
                          (int)HLI_MIN(t.text.len, (size_t)HLI_TEXT_NAME), t.text.ptr);
  *out = s->value;
  return true;
}

bool hli_parse_axis_ref(hli_parser *p, hli_axis *out) {
  hli_token t;
  if (!hli_parse_take(p, HLI_TOK_AXIS, "an axis ($name)", &t))
    return false;
  int len = (int)HLI_MIN(t.text.len, (size_t)HLI_TEXT_NAME);
  hli_symbol *s = hli_symbols_find(&p->axes, t.text);
  if (!s)
    return hli_parse_fail(p, &t, "unknown axis $%.*s: declare it above with 'axis $%.*s tile' or 'axis $%.*s full <dim>'",
                          len, t.text.ptr, len, t.text.ptr, len, t.text.ptr);
  *out = s->value;
  return true;
}

bool hli_parse_layout_ref(hli_parser *p, uint32_t *out) {
  hli_token t;
  int64_t n = 0;
  if (!hli_parse_take(p, HLI_TOK_HASH, "a layout (#number)", &t))
    return false;
  if (hli_read_i64(t.text, &n) || n < 1 || n >= p->layouts.len)
    return hli_parse_fail(p, &t, "unknown layout #%.*s: declare it above with 'layout' or 'swizzle'",
                          (int)HLI_MIN(t.text.len, (size_t)20), t.text.ptr);
  *out = p->layouts.data[n];
  return true;
}

/* ---- types ---------------------------------------------------------------------------------------- */

static bool shape_entry(hli_parser *p, hli_type_data *t) {
  hli_id *dim = &t->dims[t->rank];
  if (t->kind == HLI_TYPE_TENSOR)
    return hli_parse_dim(p, dim);
  if (p->tok.kind == HLI_TOK_AXIS)
    return hli_parse_axis_ref(p, dim);
  int64_t size;
  if (p->tok.kind != HLI_TOK_NUMBER)
    return hli_parse_expected(p, "an axis ($name or a constant)");
  if (!hli_parse_integer(p, "a constant axis", 1, HLI_TEXT_CONST, &size))
    return false;
  *dim = hli_axis_const(p->k, size);
  return p->k->axes.len <= HLI_TEXT_AXES ||
         hli_parse_fail(p, &p->tok, "the kernel has more than %u axes and constant sizes", HLI_TEXT_AXES);
}

static bool shape(hli_parser *p, hli_type_data *t) {
  if (!hli_parse_punct(p, '[', "before the shape"))
    return false;
  while (!hli_parse_is(p, ']')) {
    if (t->rank && !hli_parse_punct(p, ',', "or ']' in the shape"))
      return false;
    if (t->rank == HL_MAX_RANK)
      return hli_parse_fail(p, &p->tok, "the shape has more than %d dimensions", HL_MAX_RANK);
    if (!shape_entry(p, t))
      return false;
    t->rank++;
  }
  hli_parse_advance(p);
  return true;
}

static bool element_dtype(hli_parser *p, hli_type_data *t) {
  hli_token word;
  if (!hli_parse_take(p, HLI_TOK_WORD, "a type", &word))
    return false;
  t->dtype = (uint8_t)hl_dtype_parse(word.text);
  if (t->dtype != HL_DTYPE_NONE)
    return true;
  return hli_parse_fail(p, &word, "unknown type '%.*s': write a dtype such as f32, tile<$i>, tensor<...> or buffer<...>",
                        (int)HLI_MIN(word.text.len, (size_t)40), word.text.ptr);
}

bool hli_parse_type(hli_parser *p, hli_type *out) {
  hli_type_data t = {.kind = HLI_TYPE_VALUE};
  const char *words[] = {[HLI_TYPE_TENSOR] = "tensor", [HLI_TYPE_TILE] = "tile", [HLI_TYPE_BUFFER] = "buffer"};
  for (uint8_t kind = HLI_TYPE_TENSOR; kind <= HLI_TYPE_BUFFER && t.kind == HLI_TYPE_VALUE; kind++)
    if (hli_parse_accept_word(p, words[kind]))
      t.kind = kind;
  if (t.kind != HLI_TYPE_VALUE && !hli_parse_punct(p, '<', "in the type"))
    return false;
  bool ok;
  if (t.kind == HLI_TYPE_TILE)
    ok = hli_parse_axis_ref(p, &t.dims[t.rank++]);
  else
    ok = element_dtype(p, &t) && ((t.kind == HLI_TYPE_VALUE && !hli_parse_is(p, '[')) || shape(p, &t));
  if (!ok || (t.kind != HLI_TYPE_VALUE && !hli_parse_punct(p, '>', "at the end of the type")))
    return false;
  if (t.kind != HLI_TYPE_TENSOR && t.kind != HLI_TYPE_TILE && p->tok.kind == HLI_TOK_HASH &&
      !hli_parse_layout_ref(p, &t.layout))
    return false;
  *out = hli_type_intern(p->k, &t);
  if (p->k->types.len > HLI_TEXT_TYPES)
    return hli_parse_fail(p, &p->tok, "the kernel has more than %u different types", HLI_TEXT_TYPES);
  return *out != 0 || hli_parse_memory(p);
}

/* ---- the whole text ----------------------------------------------------------------------------------- */

static bool first_line(hli_parser *p, uint8_t *stage) {
  int64_t version;
  if (!hli_parse_accept_word(p, "hl"))
    return hli_parse_expected(p, "'hl 1 tile', 'hl 1 loop' or 'hl 1 lane' as the first line");
  hli_token at = p->tok;
  if (!hli_parse_integer(p, "the version of the text form", 0, INT32_MAX, &version))
    return false;
  if (version != HLI_TEXT_VERSION)
    return hli_parse_fail(p, &at, "the text has version %lld, this library reads version %d", (long long)version,
                          HLI_TEXT_VERSION);
  for (*stage = HLI_STAGE_TILE; *stage <= HLI_STAGE_LANE; *stage = (uint8_t)(*stage << 1))
    if (hli_parse_accept_word(p, hli_stage_text(*stage)))
      return hli_parse_newline(p, "the stage");
  return hli_parse_expected(p, "the stage: tile, loop or lane");
}

static bool body(hli_parser *p) {
  return hli_parse_punct(p, '{', "after 'body'") && hli_parse_newline(p, "'{'") && hli_parse_block(p, p->k->body) &&
         hli_parse_newline(p, "the body's '}'") && hli_parse_punct(p, '}', "at the end of the kernel");
}

static bool whole(hli_parser *p, const hl_allocator *alloc) {
  uint8_t stage = HLI_STAGE_TILE;
  hli_token name;
  if (!first_line(p, &stage))
    return false;
  if (!hli_parse_accept_word(p, "kernel"))
    return hli_parse_expected(p, "'kernel @name {'");
  if (!hli_parse_take(p, HLI_TOK_KERNEL, "the kernel's name (@name)", &name) || !hli_parse_name(p, &name, "the kernel"))
    return false;
  p->k = hli_kernel_create(alloc, name.text, stage);
  if (!p->k)
    return hli_parse_memory(p);
  p->file = hli_intern(p->k, hli_str(p->filename));
  if (!hli_parse_punct(p, '{', "after the kernel's name") || !hli_parse_newline(p, "'{'"))
    return false;
  if (!hli_parse_head(p) || !body(p))
    return false;
  if (p->tok.kind == HLI_TOK_NEWLINE)
    hli_parse_advance(p);
  return p->tok.kind == HLI_TOK_END || hli_parse_expected(p, "the end of the text after the kernel");
}

/* A complaint about the kernel as a whole has no line, but it has a file. */
static hl_status verified(hli_parser *p) {
  hl_diag inner = {0};
  hl_status s = hli_verify(p->k, &inner, NULL);
  if (s == HL_OK || s == HL_ERR_MEMORY)
    return s == HL_OK ? s : hli_fail_memory(p->diag, "verifying a kernel");
  return hli_fail_at(p->diag, s, p->filename, inner.line, inner.column, "%s", inner.message);
}

hl_status hli_parse(const hl_allocator *alloc, hl_str text, const char *filename, hl_diag *diag, hl_kernel **out) {
  *out = NULL;
  hli_parser p = {.diag = diag, .filename = filename ? filename : ""};
  p.values.alloc = p.dims.alloc = p.axes.alloc = alloc;
  if (text.len > HLI_TEXT_BYTES)
    return hli_fail_at(diag, HL_ERR_LIMIT, p.filename, 0, 0, "the text has %zu bytes, at most %u are allowed", text.len,
                       HLI_TEXT_BYTES);
  if (text.len == 0)
    text.ptr = "";
  hli_lexer_init(&p.lex, text);
  hli_parse_advance(&p);
  if (!hli_vec_push(alloc, &p.layouts, 0u))
    (void)hli_parse_memory(&p);
  else
    (void)whole(&p, alloc);
  if (p.k && p.k->failed)
    (void)hli_parse_memory(&p);
  hli_symbols_free(&p.values);
  hli_symbols_free(&p.dims);
  hli_symbols_free(&p.axes);
  hli_vec_free(alloc, &p.layouts);
  hli_vec_free(alloc, &p.aliases);
  hli_vec_free(alloc, &p.alias_of);
  if (p.status == HL_OK)
    p.status = verified(&p);
  if (p.status == HL_OK)
    *out = p.k;
  else
    hl_kernel_destroy(p.k);
  return p.status;
}
