/* json.c: a JSON writer. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/bench/json.h"

static void quote(json *j, const char *s) {
  char escape[8];
  cli_text_put(&j->out, "\"", 1);
  for (; *s; s++) {
    const unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\')
      snprintf(escape, sizeof escape, "\\%c", c);
    else if (c < ' ')
      snprintf(escape, sizeof escape, "\\u%04x", c);
    else
      snprintf(escape, sizeof escape, "%c", c);
    cli_text_add(&j->out, escape);
  }
  cli_text_put(&j->out, "\"", 1);
}

static void begin(json *j, const char *key) {
  if (j->comma)
    cli_text_add(&j->out, ",");
  if (j->out.length)
    cli_text_add(&j->out, "\n");
  if (key) {
    quote(j, key);
    cli_text_add(&j->out, ": ");
  }
  j->comma = true;
}

void jw_open(json *j, const char *key, char bracket) {
  begin(j, key);
  cli_text_put(&j->out, &bracket, 1);
  j->comma = false;
}

void jw_close(json *j, char bracket) {
  cli_text_put(&j->out, &bracket, 1);
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
  cli_text_add(&j->out, text);
}

void jw_integer(json *j, const char *key, long long value) {
  char text[40];
  snprintf(text, sizeof text, "%lld", value);
  begin(j, key);
  cli_text_add(&j->out, text);
}

void jw_bool(json *j, const char *key, bool value) {
  begin(j, key);
  cli_text_add(&j->out, value ? "true" : "false");
}

void jw_raw(json *j, const char *key, const char *value) {
  begin(j, key);
  cli_text_add(&j->out, value);
}

void jw_free(json *j) {
  cli_text_free(&j->out);
  *j = (json){0};
}
