/* text.h: a text that grows. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>

typedef struct cli_text {
  char *text; /* NUL-terminated; NULL while it is empty */
  size_t length, capacity;
} cli_text;

void cli_text_put(cli_text *t, const char *bytes, size_t n);
void cli_text_add(cli_text *t, const char *s);
__attribute__((format(printf, 2, 3))) void cli_text_format(cli_text *t, const char *format, ...);
void cli_text_free(cli_text *t);

#endif
