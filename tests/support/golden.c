/* golden.c: see golden.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/support/golden.h"

static const char *path_of(const char *below) {
  static char path[4096];
  const char *dir = getenv("HL_SOURCE_DIR");
  snprintf(path, sizeof path, "%s/tests/%s", dir ? dir : ".", below);
  return path;
}

static char *read_all(const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f)
    return NULL;
  size_t len = 0, cap = 1 << 16;
  char *text = malloc(cap + 1);
  for (size_t n; text && (n = fread(text + len, 1, cap - len, f)) > 0;) {
    len += n;
    if (len == cap)
      text = realloc(text, (cap *= 2) + 1);
  }
  fclose(f);
  if (text)
    text[len] = 0;
  return text;
}

/* Shows the first line in which the two differ. */
static void show_difference(const char *path, const char *want, const char *got) {
  unsigned line = 1;
  const char *w = want, *g = got;
  for (;;) {
    const size_t nw = strcspn(w, "\n"), ng = strcspn(g, "\n");
    if (nw != ng || memcmp(w, g, nw) != 0) {
      fail_msg("%s:%u:\n  golden: %.*s\n  now:    %.*s\n(HL_BLESS=1 rewrites it)", path, line, (int)nw, w, (int)ng, g);
    }
    if (!w[nw] || !g[ng])
      break;
    w += nw + 1, g += ng + 1, line++;
  }
  fail_msg("%s: one text is longer than the other after line %u (HL_BLESS=1 rewrites it)", path, line);
}

void golden_check(const char *below, const char *text) {
  const char *path = path_of(below), *bless = getenv("HL_BLESS");
  if (bless && strcmp(bless, "1") == 0) {
    FILE *f = fopen(path, "wb");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
      fail_msg("cannot write %s", path);
    return;
  }
  char *want = read_all(path);
  if (!want)
    fail_msg("there is no golden %s (HL_BLESS=1 writes it)", path);
  if (want && strcmp(want, text) != 0)
    show_difference(path, want, text);
  free(want);
}
