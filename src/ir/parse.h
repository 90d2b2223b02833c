/* parse.h: the parser's state, shared by parse.c (types, entry), parse_head.c and parse_op.c.
 *
 * Recursive descent over one token of look-ahead.  Every function returns false once something is wrong; the
 * first complaint is kept. */
#ifndef HLI_PARSE_H
#define HLI_PARSE_H

#include "src/ir/lexer.h"
#include "src/ir/text.h"

typedef struct hli_parser {
  hli_lexer lex;
  hli_token tok; /* the next one */
  hl_kernel *k;
  hl_diag *diag;
  hl_status status;
  const char *filename; /* as given */
  const char *file;     /* interned in the kernel */
  hli_symbols values, dims, axes;
  HLI_VEC(uint32_t) layouts;  /* #n of the text -> layout id; element 0 unused */
  HLI_VEC(hli_token) aliases; /* names in may_alias lists: they may stand before the parameter they name */
  HLI_VEC(uint32_t) alias_of; /* and the parameter whose list it is */
  uint32_t depth;
} hli_parser;

/* Records the first complaint, at a token; always false. */
bool hli_parse_fail(hli_parser *p, const hli_token *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool hli_parse_memory(hli_parser *p); /* complains about memory; always false */
/* "expected <what>, found <the next token>" */
bool hli_parse_expected(hli_parser *p, const char *what);

void hli_parse_advance(hli_parser *p);
bool hli_parse_is(const hli_parser *p, char punct);
bool hli_parse_is_word(const hli_parser *p, const char *word);
bool hli_parse_accept(hli_parser *p, char punct);           /* takes it if it is there */
bool hli_parse_accept_word(hli_parser *p, const char *word);
bool hli_parse_punct(hli_parser *p, char punct, const char *where); /* must be there */
bool hli_parse_newline(hli_parser *p, const char *after);
bool hli_parse_take(hli_parser *p, hli_token_kind kind, const char *what, hli_token *out);
/* An integer in [low, high]; `what` names it in complaints. */
bool hli_parse_integer(hli_parser *p, const char *what, int64_t low, int64_t high, int64_t *out);

bool hli_parse_name(hli_parser *p, const hli_token *t, const char *what); /* a legal name? */
bool hli_parse_dim(hli_parser *p, hli_dim *out);       /* M or 4096 */
bool hli_parse_axis_ref(hli_parser *p, hli_axis *out); /* $i */
bool hli_parse_layout_ref(hli_parser *p, uint32_t *out);
bool hli_parse_tunable_ref(hli_parser *p, uint32_t *out); /* the name of a tunable */
bool hli_parse_type(hli_parser *p, hli_type *out);
bool hli_parse_define(hli_parser *p, const hli_token *name, hli_value v); /* names a value */

bool hli_parse_tunable(hli_parser *p); /* the line behind `tunable` (parse_tunable.c) */
bool hli_parse_head(hli_parser *p);  /* everything before `body` */
bool hli_parse_block(hli_parser *p, hli_block b); /* statements up to and with the closing brace */

#endif
