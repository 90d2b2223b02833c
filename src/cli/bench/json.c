/* json.c: a JSON writer. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/json.h"
#include "src/cli/common/words.h"

static void put(json *j, const char *text, size_t n) {
  if (j->length + n + 1 > j->capacity) {
    const size_t cap = (j->length + n + 1) * 2;
    char *more = cli_alloc(cap, 1);
    if (j->length)
      memcpy(more, j->text, j->length);
    free(j->text);
    j->text = more;
    j->capacity = cap;
  }
  memcpy(j->text + j->length, text, n);
  j->length += n;
  j->text[j->length] = 0;
}

static void puts_(json *j, const char *text) {
  put(j, text, strlen(text));
}

static void quote(json *j, const char *s) {
  char escape[8];
  put(j, "\"", 1);
  for (; *s; s++) {
    const unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\')
      snprintf(escape, sizeof escape, "\\%c", c);
    else if (c < ' ')
      snprintf(escape, sizeof escape, "\\u%04x", c);
    else
      snprintf(escape, sizeof escape, "%c", c);
    puts_(j, escape);
  }
  put(j, "\"", 1);
}

static void begin(json *j, const char *key) {
  if (j->comma)
    puts_(j, ",");
  if (j->length)
    puts_(j, "\n");
  if (key) {
    quote(j, key);
    puts_(j, ": ");
  }
  j->comma = true;
}

void jw_open(json *j, const char *key, char bracket) {
  begin(j, key);
  put(j, &bracket, 1);
  j->comma = false;
}

void jw_close(json *j, char bracket) {
  put(j, &bracket, 1);
  j->comma = true;
}

void jw_text(json *j, const char *key, const char *value) {
  begin(j, key);
  quote(j, value);
}

void jw_number(json *j, const char *key, double value) {
  char text[40];
  snprintf(text, sizeof text, isfinite(value) ? "%.9g" : "null", value);
  begin(j, key);
  puts_(j, text);
}

void jw_integer(json *j, const char *key, long long value) {
  char text[40];
  snprintf(text, sizeof text, "%lld", value);
  begin(j, key);
  puts_(j, text);
}

void jw_bool(json *j, const char *key, bool value) {
  begin(j, key);
  puts_(j, value ? "true" : "false");
}

void jw_raw(json *j, const char *key, const char *value) {
  begin(j, key);
  puts_(j, value);
}

void jw_free(json *j) {
  free(j->text);
  *j = (json){0};
}
