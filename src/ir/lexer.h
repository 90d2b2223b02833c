/* lexer.h: tokens of the text form.  Line ends are tokens, because they end statements. */
#ifndef HLI_LEXER_H
#define HLI_LEXER_H

#include "src/base/base.h"

typedef enum hli_token_kind {
  HLI_TOK_END,     /* of the text */
  HLI_TOK_NEWLINE, /* one or more line ends, with blank and comment lines between them */
  HLI_TOK_WORD,    /* softmax, f32, nan(0x7fc1) */
  HLI_TOK_VALUE,   /* %x */
  HLI_TOK_AXIS,    /* $i */
  HLI_TOK_KERNEL,  /* @softmax */
  HLI_TOK_HASH,    /* #1 */
  HLI_TOK_NUMBER,  /* 42, -1, 0x1.8p+3, -inf, 1.5e-3 */
  HLI_TOK_PUNCT,   /* one of {}[]()<>,:=/ */
  HLI_TOK_BAD
} hli_token_kind;

typedef struct hli_token {
  hli_token_kind kind;
  hl_str text;  /* without the sigil of VALUE, AXIS, KERNEL and HASH */
  uint32_t line, column;
  const char *why; /* BAD: what is wrong */
} hli_token;

typedef struct hli_lexer {
  const char *at, *end, *line_start;
  uint32_t line;
} hli_lexer;

void hli_lexer_init(hli_lexer *l, hl_str text);
hli_token hli_lexer_next(hli_lexer *l);
/* A token for a message: 'x', end of line, end of text. */
void hli_token_words(const hli_token *t, char out[64]);

#endif
