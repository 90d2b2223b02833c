/* json.h: writes JSON into a growing text.  Names begin with jw_: a self-contained program has jansson in it. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>

#include "src/cli/common/text.h"

typedef struct json {
  cli_text out;
  bool comma; /* something stands before the next member */
} json;

/* `key` is NULL for members of an array and for the outermost value. */
void jw_open(json *j, const char *key, char bracket); /* '{' or '[' */
void jw_close(json *j, char bracket);                 /* '}' or ']' */
void jw_text(json *j, const char *key, const char *value);
void jw_number(json *j, const char *key, double value); /* null where it is not finite */
void jw_integer(json *j, const char *key, long long value);
void jw_bool(json *j, const char *key, bool value);
void jw_raw(json *j, const char *key, const char *value); /* already JSON */
void jw_free(json *j);

#endif
