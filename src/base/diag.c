/* diag.c: status texts and the one way to fail.  SPDX-License-Identifier: MIT */
#include "src/base/base.h"
#include <stdio.h>

const char *hl_status_text(hl_status status) {
  switch (status) {
#define STATUS_TEXT(name, value, text)                                                                                 \
  case name:                                                                                                           \
    return text;
    HL_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
  }
  return "unknown status"; /* a number from a newer library */
}

static hl_status fill(hl_diag *diag, hl_status status, const char *file, uint32_t line, uint32_t column,
                      const char *fmt, va_list args) {
  if (!diag)
    return status;
  /* The arguments may point into the diagnostic that is being replaced (a caller
   * prefixing the message of a callee), so the text is made aside. */
  char message[HL_DIAG_TEXT] = {0};
  char name[sizeof diag->file] = {0};
  (void)vsnprintf(message, sizeof message, fmt, args);
  (void)snprintf(name, sizeof name, "%s", file ? file : "");
  *diag = (hl_diag){.status = status, .line = line, .column = column};
  memcpy(diag->message, message, sizeof message);
  memcpy(diag->file, name, sizeof name);
  return status;
}

hl_status hli_fail(hl_diag *diag, hl_status status, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  hl_status result = fill(diag, status, NULL, 0, 0, fmt, args);
  va_end(args);
  return result;
}

hl_status hli_fail_at(hl_diag *diag, hl_status status, const char *file, uint32_t line, uint32_t column,
                      const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  hl_status result = fill(diag, status, file, line, column, fmt, args);
  va_end(args);
  return result;
}

hl_status hli_fail_memory(hl_diag *diag, const char *what) {
  return hli_fail(diag, HL_ERR_MEMORY, "out of memory while %s", what);
}

size_t hl_diag_text(const hl_diag *diag, char *out, size_t size) {
  char place[sizeof diag->file + 32] = "";
  if (!diag)
    return 0;
  if (diag->file[0] && diag->line && diag->column)
    (void)snprintf(place, sizeof place, "%s:%u:%u: ", diag->file, diag->line, diag->column);
  else if (diag->file[0] && diag->line)
    (void)snprintf(place, sizeof place, "%s:%u: ", diag->file, diag->line);
  else if (diag->file[0])
    (void)snprintf(place, sizeof place, "%s: ", diag->file);
  const int n = snprintf(out, out ? size : 0, "%s%s", place, diag->message);
  return n > 0 ? (size_t)n : 0;
}
