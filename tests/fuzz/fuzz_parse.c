/* fuzz_parse.c: whatever bytes the parser gets, it returns a status with words, and what it accepts prints and parses
 * to the same text.  Random bytes, and mutations of the golden texts.
 *
 * With -DHL_LIBFUZZER this is a libFuzzer target instead of a test:
 *   clang -fsanitize=fuzzer,address,undefined -DHL_LIBFUZZER -I. -Iinclude -D_GNU_SOURCE \
 *     tests/fuzz/fuzz_parse.c tests/fuzz/fuzz.c src/base/[a-z]*.c src/ir/[a-z]*.c -lm -lpthread
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include "tests/fuzz/fuzz.h"

#ifdef HL_LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  (void)fuzz_parse((const char *)data, size);
  return 0;
}

#else

#define MOST ((size_t)(1 << 17))

typedef struct text { char *at; size_t len; } text;

/* ---- edits ------------------------------------------------------------------------------- */

/* Replaces `cut` bytes at `from` by `n` bytes, which may lie in t itself. */
static void splice(text *t, size_t from, size_t cut, const char *bytes, size_t n) {
  static char copy[MOST];
  if (t->len - cut + n > MOST || n > MOST) return;
  if (n) memcpy(copy, bytes, n);
  memmove(t->at + from + n, t->at + from + cut, t->len - from - cut);
  if (n) memcpy(t->at + from, copy, n);
  t->len += n - cut;
}

static bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

/* A token: a run of word characters with its sigil, or one other byte. */
static void token_at(const text *t, size_t at, size_t *from, size_t *len) {
  size_t a = at, b = at;
  while (a > 0 && is_word(t->at[at]) && is_word(t->at[a - 1])) a--;
  while (b < t->len && is_word(t->at[at]) && is_word(t->at[b])) b++;
  if (a > 0 && strchr("%$@#", t->at[a - 1])) a--;
  *from = a;
  *len = b > a ? b - a : 1;
}

static void random_token(const text *t, fuzz_random *r, size_t *from, size_t *len) {
  size_t at = fuzz_below(r, (uint32_t)t->len);
  for (int i = 0; i < 20 && (t->at[at] == ' ' || t->at[at] == '\n'); i++) at = fuzz_below(r, (uint32_t)t->len);
  token_at(t, at, from, len);
}

static void random_line(const text *t, fuzz_random *r, size_t *from, size_t *len) {
  size_t a = fuzz_below(r, (uint32_t)t->len), b;
  while (a > 0 && t->at[a - 1] != '\n') a--;
  for (b = a; b < t->len && t->at[b] != '\n';) b++;
  *from = a;
  *len = b < t->len ? b + 1 - a : b - a;
}

/* ---- mutations: each is one small damage ----------------------------------------------------- */

static void mutate_bytes(text *t, fuzz_random *r) {
  size_t at = fuzz_below(r, (uint32_t)t->len);
  size_t cut = fuzz_below(r, 40);
  char byte = (char)fuzz_next(r);
  switch (fuzz_below(r, 4)) {
  case 0: t->at[at] = (char)(t->at[at] ^ 1 << fuzz_below(r, 8)); break;
  case 1: t->at[at] = byte; break;
  case 2: splice(t, at, 0, &byte, 1); break;
  default: splice(t, at, HLI_MIN(t->len - at, cut), NULL, 0); break;
  }
}

static void mutate_lines(text *t, fuzz_random *r) {
  size_t from, len, other, other_len;
  random_line(t, r, &from, &len);
  random_line(t, r, &other, &other_len);
  switch (fuzz_below(r, 3)) {
  case 0: splice(t, from, len, NULL, 0); break;
  case 1: splice(t, from, 0, t->at + other, other_len); break;
  default: splice(t, from, len, t->at + other, other_len); break;
  }
}

static void mutate_tokens(text *t, fuzz_random *r) {
  size_t from, len, other, other_len;
  random_token(t, r, &from, &len);
  random_token(t, r, &other, &other_len);
  switch (fuzz_below(r, 4)) {
  case 0: splice(t, from, len, NULL, 0); break;
  case 1: splice(t, from, 0, t->at + other, other_len); break;
  default: splice(t, from, len, t->at + other, other_len); break;
  }
}

/* Puts any keyword or op of the format where some word is. */
static void mutate_words(text *t, fuzz_random *r) {
  static const char *const words[] = {
      "tile", "loop", "lane", "dim", "param", "axis", "layout", "swizzle", "grid", "launch", "body", "in", "out", "inout",
      "full", "over", "block", "min", "max", "static", "dynamic", "constexpr", "fixed_strides", "mask", "other", "nan", "inf", "-inf", "true",
      "tensor<f32[4]>", "buffer<f32[4]>", "tile<$i>", "f32", "i64", "bool", "bf16", "f32[$i]#1", "i64[4]", "[]", "{}", "#1",
      "yield", ":", "=", ",", "x", "sum", "{axes = [0]}", "\n", "0x1p+0", "nan(0x7fc00001)"};
  size_t from, len;
  random_token(t, r, &from, &len);
  const char *word = words[fuzz_below(r, HLI_COUNT(words))];
  if (fuzz_below(r, 2)) word = hli_op_facts((hli_opcode)(1 + fuzz_below(r, HLI_OP_COUNT - 1)))->text;
  splice(t, from, len, word, strlen(word));
}

static void mutate_numbers(text *t, fuzz_random *r) {
  static const char *const numbers[] = {"0", "-1", "1", "2", "7", "255", "65536", "2147483648", "9223372036854775807",
                                        "-9223372036854775808", "18446744073709551616", "1e400", "0x1p-1080", "1048577",
                                        "281474976710656", "281474976710657", "3", "64", "1000000007"};
  for (int i = 0; i < 50; i++) {
    size_t from, len;
    random_token(t, r, &from, &len);
    if (t->at[from] < '0' || t->at[from] > '9') continue;
    const char *n = numbers[fuzz_below(r, HLI_COUNT(numbers))];
    splice(t, from, len, n, strlen(n));
    return;
  }
}

/* Many copies of a piece: nesting and lists beyond the limits. */
static void mutate_blow_up(text *t, fuzz_random *r) {
  size_t from, len;
  if (fuzz_below(r, 2)) random_line(t, r, &from, &len);
  else random_token(t, r, &from, &len);
  for (uint32_t n = fuzz_below(r, 200); n && t->len < MOST / 2; n--) splice(t, from, 0, t->at + from, len);
}

static void mutate(text *t, const fuzz_corpus *c, fuzz_random *r) {
  if (!t->len) splice(t, 0, 0, "hl 1 tile\n", 10);
  switch (fuzz_below(r, 12)) {
  case 0:
  case 1: mutate_bytes(t, r); break;
  case 2:
  case 3: mutate_lines(t, r); break;
  case 4:
  case 5:
  case 6: mutate_tokens(t, r); break;
  case 7:
  case 8: mutate_words(t, r); break;
  case 9: mutate_numbers(t, r); break;
  case 10:
    if (fuzz_below(r, 20) == 0) mutate_blow_up(t, r);
    else mutate_numbers(t, r);
    break;
  default: { /* a line of another text */
    uint32_t other = fuzz_below(r, c->count);
    text o = {c->text[other], c->len[other]};
    size_t from, len, at, unused;
    if (!o.len) return;
    random_line(&o, r, &from, &len);
    random_line(t, r, &at, &unused);
    splice(t, at, 0, o.at + from, len);
  }
  }
}

/* ---- the test ------------------------------------------------------------------------------------- */

static void random_bytes(text *t, fuzz_random *r) {
  t->len = fuzz_below(r, 300);
  for (size_t i = 0; i < t->len; i++) t->at[i] = (char)fuzz_next(r);
  if (fuzz_below(r, 2)) splice(t, 0, 0, "hl 1 tile\nkernel @k {\n", 22);
}

int main(void) {
  fuzz_random r = {fuzz_env("HL_FUZZ_SEED", 1)};
  uint64_t runs = fuzz_env("HL_FUZZ_RUNS", 200000), valid = 0;
  static fuzz_corpus corpus;
  text t = {malloc(MOST + 1), 0};
  fuzz_load(&corpus, "roundtrip");
  uint32_t good = corpus.count;
  fuzz_load(&corpus, "errors");
  for (uint64_t i = 0; t.at && i < runs; i++) {
    uint32_t from = fuzz_below(&r, fuzz_below(&r, 4) ? good : corpus.count);
    if (i % 50 == 0) {
      random_bytes(&t, &r);
    } else {
      memcpy(t.at, corpus.text[from], corpus.len[from]);
      t.len = corpus.len[from];
      for (uint32_t n = 1 + fuzz_below(&r, 3); n; n--) mutate(&t, &corpus, &r);
    }
    valid += fuzz_parse(t.at, t.len);
  }
  (void)printf("%llu texts, %llu of them valid\n", (unsigned long long)runs, (unsigned long long)valid);
  fuzz_unload(&corpus);
  free(t.at);
  return valid > runs / 100 ? 0 : 1; /* otherwise the mutations only test the first complaint */
}

#endif
