/* files.c: see files.h.  SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/ir/files.h"

const char *test_path(const char *below) {
  static char path[1024];
  const char *root = getenv("HL_SOURCE_DIR");
  (void)snprintf(path, sizeof path, "%s/tests/ir/%s", root ? root : ".", below);
  return path;
}

char *test_read(const char *path, size_t *len) {
  FILE *f = fopen(path, "rb");
  if (!f) fail_msg("cannot read %s", path);
  char *text = malloc(1 << 20);
  assert_non_null(text);
  *len = fread(text, 1, (1 << 20) - 1, f);
  text[*len] = '\0';
  (void)fclose(f);
  return text;
}

void test_write(const char *path, const char *text, size_t len) {
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(text, 1, len, f) != len) fail_msg("cannot write %s", path);
  (void)fclose(f);
}

int test_each(const char *folder, void (*f)(const char *path, const char *name)) {
  struct dirent **list;
  int n = scandir(test_path(folder), &list, NULL, alphasort), seen = 0;
  for (int i = 0; i < n; i++) {
    const char *name = list[i]->d_name;
    size_t len = strlen(name);
    if (len > 3 && !strcmp(name + len - 3, ".hl")) {
      char below[512], path[1024];
      (void)snprintf(below, sizeof below, "%s/%s", folder, name);
      (void)snprintf(path, sizeof path, "%s", test_path(below));
      f(path, name);
      seen++;
    }
    free(list[i]);
  }
  if (n >= 0) free(list);
  return seen;
}

int test_bless(void) {
  const char *bless = getenv("HL_BLESS");
  return bless && !strcmp(bless, "1");
}

hl_kernel *test_parse(const char *text, size_t len, const char *name) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  if (hli_parse(NULL, (hl_str){text, len}, name, &d, &k) != HL_OK)
    fail_msg("%s:%u:%u: %s", d.file, d.line, d.column, d.message);
  assert_non_null(k);
  return k;
}

char *test_print(const hl_kernel *k) {
  hli_strbuf sb;
  hli_sb_init(&sb, NULL);
  hli_print(k, &sb);
  assert_false(sb.failed);
  char *text = malloc(sb.len + 1);
  assert_non_null(text);
  memcpy(text, sb.data, sb.len + 1);
  hli_sb_free(&sb);
  return text;
}
