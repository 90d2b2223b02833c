/* fuzz.c: see fuzz.h.  SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t fuzz_next(fuzz_random *r) { /* splitmix64 */
  uint64_t z = r->state += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}
uint32_t fuzz_below(fuzz_random *r, uint32_t n) { return n ? (uint32_t)(fuzz_next(r) % n) : 0; }

uint64_t fuzz_env(const char *name, uint64_t otherwise) {
  const char *s = getenv(name);
  return s && s[0] ? strtoull(s, NULL, 0) : otherwise;
}

static void die(const char *what, const char *text) {
  (void)fprintf(stderr, "fuzz: %s\n%s\n", what, text ? text : "");
  abort();
}

void fuzz_load(fuzz_corpus *c, const char *folder) {
  const char *root = getenv("HL_SOURCE_DIR");
  char path[1024];
  struct dirent **list;
  (void)snprintf(path, sizeof path, "%s/tests/ir/%s", root ? root : ".", folder);
  int n = scandir(path, &list, NULL, alphasort);
  if (n < 0) die("no such folder", path);
  for (int i = 0; i < n; i++) {
    size_t len = strlen(list[i]->d_name);
    if (len > 3 && !strcmp(list[i]->d_name + len - 3, ".hl") && c->count < HLI_COUNT(c->text)) {
      char file[1400];
      (void)snprintf(file, sizeof file, "%s/%s", path, list[i]->d_name);
      FILE *f = fopen(file, "rb");
      char *text = malloc(1 << 16);
      if (!f || !text) die("cannot read", file);
      c->len[c->count] = fread(text, 1, 1 << 16, f);
      c->text[c->count++] = text;
      (void)fclose(f);
    }
    free(list[i]);
  }
  free(list);
}

void fuzz_unload(fuzz_corpus *c) {
  for (uint32_t i = 0; i < c->count; i++) free(c->text[i]);
  c->count = 0;
}

void fuzz_round_trip(const hl_kernel *k) {
  hli_strbuf first, second;
  hl_kernel *again = NULL;
  hl_diag d = {0};
  hli_sb_init(&first, NULL);
  hli_sb_init(&second, NULL);
  hli_print(k, &first);
  if (hli_parse(NULL, (hl_str){first.data, first.len}, "printed", &d, &again) != HL_OK) {
    (void)fprintf(stderr, "%u:%u: %s\n", d.line, d.column, d.message);
    die("a printed kernel does not parse:", first.data);
  }
  hli_print(again, &second);
  if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0) die("the text does not round-trip:", first.data);
  hl_kernel_destroy(again);
  hli_sb_free(&first);
  hli_sb_free(&second);
}

bool fuzz_parse(const char *data, size_t len) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  char *exact = malloc(len ? len : 1); /* of its own, so that a read behind the end is seen */
  if (!exact) return false;
  if (len) memcpy(exact, data, len);
  hl_status s = hli_parse(NULL, (hl_str){exact, len}, "fuzz", &d, &k);
  free(exact);
  if ((s == HL_OK) != (k != NULL)) die("status and kernel disagree", d.message);
  if (s != HL_OK && (d.status != s || !d.message[0] || strcmp(d.file, "fuzz") != 0)) die("an error without words or place", d.message);
  if (s != HL_OK && s != HL_ERR_PARSE && s != HL_ERR_BUILD && s != HL_ERR_LIMIT) die("an unexpected status", d.message);
  if (!k) return false;
  fuzz_round_trip(k);
  hl_kernel_destroy(k);
  return true;
}
