/* lexer.c: cuts the text form into tokens.  SPDX-License-Identifier: MIT */
#include "src/ir/lexer.h"
#include <stdio.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_name(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

void hli_lexer_init(hli_lexer *l, hl_str text) {
  *l = (hli_lexer){.at = text.ptr, .end = text.ptr + text.len, .line_start = text.ptr, .line = 1};
}

static char peek(const hli_lexer *l, size_t ahead) { return (size_t)(l->end - l->at) > ahead ? l->at[ahead] : '\0'; }

static hli_token start(const hli_lexer *l, hli_token_kind kind) {
  return (hli_token){.kind = kind, .text = {l->at, 0}, .line = l->line, .column = (uint32_t)(l->at - l->line_start) + 1};
}
static hli_token finish(const hli_lexer *l, hli_token t) {
  t.text.len = (size_t)(l->at - t.text.ptr);
  return t;
}
static hli_token bad(hli_lexer *l, const char *why) {
  hli_token t = start(l, HLI_TOK_BAD);
  t.why = why;
  l->at = l->end; /* nothing sensible can follow */
  return t;
}

static void skip_blanks(hli_lexer *l) {
  while (l->at < l->end && (*l->at == ' ' || *l->at == '\t' || (*l->at == '\r' && peek(l, 1) == '\n')))
    l->at++;
}

/* At a line's beginning: skips lines that are empty or comments. */
static void skip_lines(hli_lexer *l) {
  for (;;) {
    skip_blanks(l);
    if (peek(l, 0) == '#')
      while (l->at < l->end && *l->at != '\n')
        l->at++;
    if (l->at == l->end || *l->at != '\n')
      return;
    l->line_start = ++l->at;
    l->line++;
  }
}

/* Digits, letters and points; + and - behind the exponent's letter. */
static hli_token number(hli_lexer *l) {
  hli_token t = start(l, HLI_TOK_NUMBER);
  if (*l->at == '-')
    l->at++;
  char exponent = peek(l, 0) == '0' && peek(l, 1) == 'x' ? 'p' : 'e';
  char last = '\0';
  while (l->at < l->end) {
    char c = *l->at;
    bool sign = (c == '+' || c == '-') && last == exponent;
    if (!is_name(c) && c != '.' && !sign)
      break;
    last = c;
    l->at++;
  }
  return finish(l, t);
}

static hli_token word(hli_lexer *l) {
  hli_token t = start(l, HLI_TOK_WORD);
  while (l->at < l->end && is_name(*l->at))
    l->at++;
  if (l->at - t.text.ptr == 3 && memcmp(t.text.ptr, "nan", 3) == 0 && peek(l, 0) == '(') {
    while (l->at < l->end && *l->at != ')' && *l->at != '\n')
      l->at++;
    if (peek(l, 0) == ')')
      l->at++;
  }
  return finish(l, t);
}

static hli_token sigil(hli_lexer *l, hli_token_kind kind) {
  hli_token t = start(l, kind);
  l->at++;
  t.text.ptr = l->at;
  while (l->at < l->end && is_name(*l->at))
    l->at++;
  t = finish(l, t);
  if (t.text.len)
    return t;
  l->at--;
  return bad(l, kind == HLI_TOK_HASH ? "needs a number behind it (a comment has a line of its own)" : "needs a name behind it");
}

hli_token hli_lexer_next(hli_lexer *l) {
  if (l->at == l->line_start) { /* at the very beginning */
    skip_lines(l);
  }
  skip_blanks(l);
  if (l->at == l->end)
    return start(l, HLI_TOK_END);
  char c = *l->at;
  if (c == '\n') {
    hli_token t = start(l, HLI_TOK_NEWLINE);
    skip_lines(l);
    return t;
  }
  switch (c) {
  case '%': return sigil(l, HLI_TOK_VALUE);
  case '$': return sigil(l, HLI_TOK_AXIS);
  case '@': return sigil(l, HLI_TOK_KERNEL);
  case '#': return sigil(l, HLI_TOK_HASH);
  default: break;
  }
  if (is_digit(c) || c == '-')
    return number(l);
  if (is_name(c))
    return word(l);
  if (!c || !strchr("{}[]()<>,:=/!", c))
    return bad(l, "is not part of the text form");
  hli_token t = start(l, HLI_TOK_PUNCT);
  l->at++;
  return finish(l, t);
}

void hli_token_words(const hli_token *t, char out[64]) {
  static const char sigils[] = {[HLI_TOK_VALUE] = '%', [HLI_TOK_AXIS] = '$', [HLI_TOK_KERNEL] = '@', [HLI_TOK_HASH] = '#'};
  int len = (int)HLI_MIN(t->text.len, (size_t)40);
  const char *dots = t->text.len > 40 ? "..." : "";
  switch (t->kind) {
  case HLI_TOK_END: (void)snprintf(out, 64, "the end of the text"); return;
  case HLI_TOK_NEWLINE: (void)snprintf(out, 64, "the end of the line"); return;
  case HLI_TOK_BAD:
    if (t->text.ptr[0] > ' ' && t->text.ptr[0] <= '~')
      (void)snprintf(out, 64, "'%c'", t->text.ptr[0]);
    else
      (void)snprintf(out, 64, "the byte 0x%02x", (unsigned char)t->text.ptr[0]);
    return;
  case HLI_TOK_VALUE:
  case HLI_TOK_AXIS:
  case HLI_TOK_KERNEL:
  case HLI_TOK_HASH: (void)snprintf(out, 64, "'%c%.*s%s'", sigils[t->kind], len, t->text.ptr, dots); return;
  default: (void)snprintf(out, 64, "'%.*s%s'", len, t->text.ptr, dots); return;
  }
}
