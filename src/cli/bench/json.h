/* json.h: writes JSON into a growing text. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>

typedef struct json {
  char *text;
  size_t length, capacity;
  bool comma; /* something stands before the next member */
} json;

/* `key` is NULL for members of an array and for the outermost value. */
void json_open(json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(json *j, char bracket);                 /* '}' or ']' */
void json_text(json *j, const char *key, const char *value);
void json_number(json *j, const char *key, double value); /* null where it is not finite */
void json_integer(json *j, const char *key, long long value);
void json_bool(json *j, const char *key, bool value);
void json_raw(json *j, const char *key, const char *value); /* already JSON */
void json_free(json *j);

#endif
