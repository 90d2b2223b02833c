/* The base room: allocation, arenas, strings, diagnostics, types, digests, context. */
#include "src/base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include "src/base/digest_body.h"

typedef struct heap {
  long live, bytes, count, fail_at;
} heap;

static void *heap_alloc(void *user, size_t size, size_t align) {
  heap *h = user;
  if (h->count++ == h->fail_at)
    return NULL;
  h->live++;
  h->bytes += (long)size;
  return aligned_alloc(align, (size + align - 1) / align * align);
}

static void heap_release(void *user, void *ptr, size_t size) {
  heap *h = user;
  h->live--;
  h->bytes -= (long)size;
  free(ptr);
}

static hl_allocator hook(heap *h) {
  *h = (heap){.fail_at = -1};
  return (hl_allocator){heap_alloc, heap_release, h};
}

static void test_alloc(void **state) {
  (void)state;
  heap h;
  hl_allocator a = hook(&h);
  for (size_t align = 1; align <= 64; align *= 2) {
    void *p = hli_alloc(NULL, 100, align), *q = hli_alloc(&a, 0, align);
    assert_int_equal((uintptr_t)p % align, 0);
    assert_non_null(q);
    hli_release(NULL, p, 100);
    hli_release(&a, q, 0);
  }
  assert_null(hli_calloc(&a, SIZE_MAX / 2, 3));
  assert_null(hli_alloc(NULL, SIZE_MAX - 3, 64));
  char *z = hli_calloc(&a, 7, 3);
  for (int i = 0; i < 21; i++)
    assert_int_equal(z[i], 0);
  z[20] = 'e';
  z = hli_grow(&a, z, 21, 5000);
  assert_int_equal(z[20], 'e');
  h.fail_at = h.count;
  assert_null(hli_grow(&a, z, 5000, 9000));
  assert_int_equal(z[20], 'e'); /* the old block is kept */
  hli_release(&a, z, 5000);
  hli_release(&a, NULL, 5);
  assert_int_equal(h.live, 0);
  assert_int_equal(h.bytes, 0);
}

static void test_vec(void **state) {
  (void)state;
  heap h;
  hl_allocator a = hook(&h);
  HLI_VEC(uint64_t) v = {0};
  for (uint64_t i = 0; i < 1000; i++)
    assert_true(hli_vec_push(&a, &v, i * i));
  assert_int_equal(v.len, 1000);
  for (uint64_t i = 0; i < 1000; i++)
    assert_int_equal(v.data[i], i * i);
  while (v.len < v.cap)
    v.data[v.len++] = 0;
  h.fail_at = h.count;
  assert_false(hli_vec_push(&a, &v, 1));
  assert_int_equal(v.data[999], 999 * 999);
  hli_vec_free(&a, &v);
  assert_int_equal(h.live, 0);
  void *data = NULL;
  uint32_t cap = 0;
  assert_true(hli_vec_reserve_raw(&a, &data, &cap, 0, 8));
  assert_false(hli_vec_reserve_raw(&a, &data, &cap, UINT32_MAX, SIZE_MAX / 2));
  assert_null(data);
}

static void test_arena(void **state) {
  (void)state;
  heap h;
  hl_allocator a = hook(&h);
  hli_arena arena;
  hli_arena_init(&arena, &a);
  unsigned char *blocks[200];
  for (size_t i = 0; i < 200; i++) {
    blocks[i] = hli_arena_alloc(&arena, i * 37);
    assert_non_null(blocks[i]);
    assert_int_equal((uintptr_t)blocks[i] % 16, 0);
    for (size_t k = 0; k < i * 37; k++)
      assert_int_equal(blocks[i][k], 0);
    memset(blocks[i], (int)i, i * 37);
  }
  for (size_t i = 0; i < 200; i++)
    for (size_t k = 0; k < i * 37; k++)
      assert_int_equal(blocks[i][k], i & 255);
  assert_non_null(hli_arena_alloc(&arena, 3 << 20)); /* beyond a page */
  assert_string_equal(hli_arena_strdup(&arena, (hl_str){"abcdef", 3}), "abc");
  assert_string_equal(hli_arena_strdup(&arena, (hl_str){NULL, 0}), "");
  assert_false(arena.failed);
  assert_null(hli_arena_alloc(&arena, SIZE_MAX - 4));
  assert_true(arena.failed);
  hli_arena_free(&arena);
  assert_int_equal(h.live, 0);
  h.fail_at = h.count;
  assert_null(hli_arena_new(&arena, int));
  assert_true(arena.failed);
  hli_arena_free(&arena);
}

static void test_strbuf(void **state) {
  (void)state;
  heap h;
  hl_allocator a = hook(&h);
  hli_strbuf sb;
  hli_sb_init(&sb, &a);
  for (int i = 0; i < 500; i++)
    hli_sb_printf(&sb, "%d,", i);
  hli_sb_put(&sb, "a\0b", 3);
  hli_sb_puts(&sb, "end");
  size_t len = sb.len;
  hl_blob *blob = hli_sb_to_blob(&sb);
  assert_non_null(blob);
  assert_int_equal(hl_blob_size(blob), len);
  assert_memory_equal((const char *)hl_blob_data(blob) + len - 6, "a\0bend", 7);
  assert_int_equal(sb.len, 0);
  hl_blob_release(blob);

  blob = hli_sb_to_blob(&sb); /* of nothing */
  assert_string_equal(hl_blob_data(blob), "");
  hl_blob_release(blob);

  for (long at = 0; at < 2; at++) {
    h.fail_at = h.count + at;
    hli_sb_puts(&sb, "text");
    assert_null(hli_sb_to_blob(&sb));
    assert_true(sb.failed);
    hli_sb_puts(&sb, "more"); /* stays failed, stays safe */
    hli_sb_free(&sb);
    assert_false(sb.failed);
  }
  blob = hli_blob_create(&a, "xyz", 3);
  assert_string_equal(hl_blob_data(blob), "xyz");
  hl_blob_release(blob);
  for (long at = 0; at < 2; at++) {
    h.fail_at = h.count + at;
    assert_null(hli_blob_create(&a, "xyz", 3));
  }
  assert_null(hl_blob_data(NULL));
  assert_int_equal(hl_blob_size(NULL), 0);
  hl_blob_release(NULL);
  assert_int_equal(h.live, 0);
  assert_true(hli_str_eqz((hl_str){"abcd", 3}, "abc"));
  assert_false(hli_str_eqz((hl_str){"abcd", 4}, "abc"));
  assert_true(hli_str_eq(hli_str(NULL), hli_str("")));
}

static void test_diag(void **state) {
  (void)state;
  hl_diag d;
  memset(&d, 0xff, sizeof d);
  assert_int_equal(hli_fail(&d, HL_ERR_IO, "%s %d", "number", 7), HL_ERR_IO);
  assert_int_equal(d.status, HL_ERR_IO);
  assert_string_equal(d.message, "number 7");
  assert_string_equal(d.file, "");
  assert_int_equal(d.vendor_code, 0);
  assert_int_equal(hli_fail(NULL, HL_ERR_IO, "x"), HL_ERR_IO);
  /* A message may be built from the one that it replaces. */
  assert_int_equal(hli_fail_at(&d, HL_ERR_PARSE, "a.hl", 3, 9, "outer: %s", d.message), HL_ERR_PARSE);
  assert_string_equal(d.message, "outer: number 7");
  assert_string_equal(d.file, "a.hl");
  assert_int_equal(d.line, 3);
  assert_int_equal(d.column, 9);
  char large[3 * HL_DIAG_TEXT];
  memset(large, 'x', sizeof large);
  large[sizeof large - 1] = '\0';
  hli_fail_at(&d, HL_ERR_PARSE, large, 0, 0, "%s", large);
  assert_int_equal(strlen(d.message), HL_DIAG_TEXT - 1);
  assert_int_equal(strlen(d.file), sizeof d.file - 1);
  assert_int_equal(hli_fail_memory(&d, "testing"), HL_ERR_MEMORY);
  assert_string_equal(d.message, "out of memory while testing");
  assert_string_equal(hl_status_text(HL_OK), "ok");
  assert_string_equal(hl_status_text(HL_ERR_GUARD), "arguments do not fit the plan");
  assert_string_equal(hl_status_text((hl_status)999), "unknown status");
}

static void test_dtype(void **state) {
  (void)state;
  for (int i = 1; i < HL_DTYPE_COUNT; i++) {
    hl_dtype d = (hl_dtype)i;
    assert_int_equal(hl_dtype_parse(hli_str(hl_dtype_text(d))), d);
    assert_int_equal(hl_dtype_from_dl(hl_dtype_to_dl(d)), d);
    assert_int_equal(hl_dtype_size(d) * 8, hl_dtype_to_dl(d).bits);
  }
  assert_int_equal(hl_dtype_size(HL_BF16), 2);
  assert_int_equal(hl_dtype_size(HL_DTYPE_NONE), 0);
  assert_int_equal(hl_dtype_size((hl_dtype)77), 0);
  assert_string_equal(hl_dtype_text((hl_dtype)-3), "none");
  assert_int_equal(hl_dtype_parse(hli_str("f31")), HL_DTYPE_NONE);
  assert_int_equal(hl_dtype_from_dl((hl_dl_dtype){2, 32, 4}), HL_DTYPE_NONE);
  assert_int_equal(hl_dtype_from_dl((hl_dl_dtype){5, 64, 1}), HL_DTYPE_NONE);
}

/* Whatever instructions the processor has, the digests are those of the plain code. */
static void test_digest_everywhere(void **state) {
  (void)state;
  static unsigned char bytes[5000];
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (unsigned char)(i * 131 + i / 7);
  for (size_t n = 0; n <= sizeof bytes; n += n < 600 ? 1 : 733) {
    const hli_digest seed = {n, n % 3};
    const hli_digest got = hli_digest_bytes(bytes, n, seed), want = digest_bytes(bytes, n, seed);
    assert_true(got.lo == want.lo && got.hi == want.hi);
  }
}

static void test_digest(void **state) {
  (void)state;
  hli_digest zero = {0, 0};
  hli_digest a = hli_digest_bytes("libhl", 5, zero), b = hli_digest_bytes("libhl", 5, zero);
  assert_memory_equal(&a, &b, sizeof a);
  hli_digest seeds[] = {{1, 0}, {0, 1}, {1, 1}};
  for (size_t i = 0; i < HLI_COUNT(seeds); i++) {
    b = hli_digest_bytes("libhl", 5, seeds[i]);
    assert_memory_not_equal(&a, &b, sizeof a);
    for (size_t k = 0; k < i; k++) {
      hli_digest c = hli_digest_bytes("libhl", 5, seeds[k]);
      assert_memory_not_equal(&c, &b, sizeof a);
    }
  }
  /* Digests are keys in files: these values may never change. */
  char text[33];
  hli_digest_text(hli_digest_bytes(NULL, 0, zero), text);
  assert_string_equal(text, "7f498d4624c30160d8984701d306aa99"); /* XXH3-128 of nothing, low half first */
  hli_digest_text((hli_digest){0x0102030405060708u, 0xf0}, text);
  assert_string_equal(text, "0807060504030201f000000000000000");
}

static void test_integers(void **state) {
  (void)state;
  assert_int_equal(hli_ceil_div(0, 4), 0);
  assert_int_equal(hli_ceil_div(9, 4), 3);
  assert_true(hli_is_pow2(1) && hli_is_pow2(64) && !hli_is_pow2(0) && !hli_is_pow2(6));
  assert_int_equal(hli_next_pow2(0), 1);
  assert_int_equal(hli_next_pow2(65), 128);
  assert_int_equal(hli_log2(1024), 10);
}

typedef struct log_line {
  hl_log_level level;
  char text[64];
} log_line;

static void keep_log(void *user, hl_log_level level, hl_str text) {
  log_line *line = user;
  line->level = level;
  snprintf(line->text, sizeof line->text, "%.*s", (int)text.len, text.ptr);
}

static void test_context(void **state) {
  (void)state;
  heap h;
  hl_diag d;
  log_line line = {0};
  hl_context *ctx = NULL;
  hl_context_options o = HL_CONTEXT_OPTIONS_INIT;
  o.allocator = hook(&h);
  o.log = keep_log;
  o.log_user = &line;
  assert_int_equal(hl_context_create(&o, &d, &ctx), HL_OK);
  hli_log(ctx, HL_LOG_WARN, "%d apples", 3);
  assert_int_equal(line.level, HL_LOG_WARN);
  assert_string_equal(line.text, "3 apples");
  hli_log(NULL, HL_LOG_WARN, "nowhere");
  hl_context_destroy(ctx);
  assert_int_equal(h.live, 0);
  for (long at = 0; at < 2; at++) {
    h.fail_at = h.count + at;
    assert_int_equal(hl_context_create(&o, &d, &ctx), HL_ERR_MEMORY);
    assert_null(ctx);
  }
  assert_int_equal(h.live, 0);

  assert_int_equal(hl_context_create(NULL, NULL, &ctx), HL_OK);
  hl_context_destroy(ctx);
  hl_context_destroy(NULL);
  assert_int_equal(hl_context_create(NULL, &d, NULL), HL_ERR_ARG);
  o.size = 0;
  assert_int_equal(hl_context_create(&o, &d, &ctx), HL_ERR_ARG);
  assert_non_null(strstr(d.message, "HL_CONTEXT_OPTIONS_INIT"));
  o.size = offsetof(hl_context_options, cpu_threads); /* an older caller */
  o.cpu_threads = -1;                                 /* not part of its struct */
  assert_int_equal(hl_context_create(&o, &d, &ctx), HL_OK);
  hl_context_destroy(ctx);
  o.size = sizeof o;
  assert_int_equal(hl_context_create(&o, &d, &ctx), HL_ERR_ARG);
  o.cpu_threads = 0;
  o.compile_policy = (hl_compile_policy)9;
  assert_int_equal(hl_context_create(&o, &d, &ctx), HL_ERR_ARG);
  o.compile_policy = HL_COMPILE_WARN;
  o.allocator.release = NULL;
  assert_int_equal(hl_context_create(&o, &d, &ctx), HL_ERR_ARG);
  assert_int_equal(strncmp(hl_version(), "0.1.0+", 6), 0);
}

/* No place, no colons. */
static void test_diag_text(void **state) {
  (void)state;
  char text[64], little[5];
  hl_diag d = {.message = "wrong"};
  assert_int_equal(hl_diag_text(&d, text, sizeof text), 5);
  assert_string_equal(text, "wrong");
  (void)strcpy(d.file, "a.c");
  (void)hl_diag_text(&d, text, sizeof text);
  assert_string_equal(text, "a.c: wrong");
  d.line = 7;
  (void)hl_diag_text(&d, text, sizeof text);
  assert_string_equal(text, "a.c:7: wrong");
  d.column = 3;
  assert_int_equal(hl_diag_text(&d, text, sizeof text), 14);
  assert_string_equal(text, "a.c:7:3: wrong");
  assert_int_equal(hl_diag_text(&d, little, sizeof little), 14);
  assert_string_equal(little, "a.c:");
  assert_int_equal(hl_diag_text(&d, NULL, 0), 14);
  assert_int_equal(hl_diag_text(NULL, text, sizeof text), 0);
}

/* A program of yesterday knows fewer members than the library, one of tomorrow more. */
static void test_struct(void **state) {
  (void)state;
  typedef struct now {
    size_t size;
    int a, b;
  } now;
  typedef struct later {
    now first;
    int c;
  } later;
  struct {
    size_t size;
    int a, guard;
  } before = {offsetof(now, b), 5, 77};
  now own = {sizeof own, 1, 2};
  later new = {{sizeof new, 8, 9}, 10};
  assert_true(hli_struct_take(&own, sizeof own, &before));
  assert_true(own.size == sizeof own && own.a == 5 && own.b == 2);
  assert_true(hli_struct_take(&own, sizeof own, &new));
  assert_true(own.size == sizeof own && own.a == 8 && own.b == 9);
  own.a = 4;
  assert_true(hli_struct_give(&before, &own, sizeof own));
  assert_true(before.size == offsetof(now, b) && before.a == 4 && before.guard == 77);
  assert_true(hli_struct_give(&new, &own, sizeof own));
  assert_true(new.first.size == sizeof new && new.first.a == 4 && new.c == 10);
  before.size = 0;
  assert_false(hli_struct_take(&own, sizeof own, &before));
  assert_false(hli_struct_give(&before, &own, sizeof own));
  assert_true(own.a == 4 && before.a == 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alloc),  cmocka_unit_test(test_vec),      cmocka_unit_test(test_arena),
      cmocka_unit_test(test_strbuf), cmocka_unit_test(test_diag),     cmocka_unit_test(test_dtype),
      cmocka_unit_test(test_digest), cmocka_unit_test(test_digest_everywhere), cmocka_unit_test(test_integers), cmocka_unit_test(test_context),  cmocka_unit_test(test_diag_text), cmocka_unit_test(test_struct),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
