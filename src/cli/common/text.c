/* text.c: a text that grows. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/common/text.h"
#include "src/cli/common/words.h"

static void reserve(cli_text *t, size_t n) {
  if (t->length + n + 1 <= t->capacity)
    return;
  const size_t capacity = (t->length + n + 1) * 2;
  char *more = cli_alloc(capacity, 1);
  if (t->length)
    memcpy(more, t->text, t->length);
  free(t->text);
  t->text = more;
  t->capacity = capacity;
}

void cli_text_put(cli_text *t, const char *bytes, size_t n) {
  reserve(t, n);
  memcpy(t->text + t->length, bytes, n);
  t->length += n;
  t->text[t->length] = 0;
}

void cli_text_add(cli_text *t, const char *s) {
  cli_text_put(t, s, strlen(s));
}

void cli_text_format(cli_text *t, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  const int n = vsnprintf(NULL, 0, format, args);
  reserve(t, (size_t)n);
  vsnprintf(t->text + t->length, (size_t)n + 1, format, again);
  t->length += (size_t)n;
  va_end(again);
  va_end(args);
}

void cli_text_free(cli_text *t) {
  free(t->text);
  *t = (cli_text){0};
}
