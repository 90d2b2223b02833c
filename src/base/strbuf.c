/* strbuf.c: growing strings, blobs, string comparison.  SPDX-License-Identifier: MIT */
#include "src/base/base.h"
#include <stdio.h>

struct hl_blob {
  hl_allocator alloc;
  char *data;
  size_t size;
  size_t capacity; /* bytes allocated for data; > size because of the NUL */
};

void hli_sb_init(hli_strbuf *sb, const hl_allocator *alloc) {
  *sb = (hli_strbuf){.alloc = alloc};
}

void hli_sb_free(hli_strbuf *sb) {
  hli_release(sb->alloc, sb->data, sb->cap);
  hli_sb_init(sb, sb->alloc);
}

/* Room for `more` bytes and the NUL. */
static bool reserve(hli_strbuf *sb, size_t more) {
  if (sb->failed)
    return false;
  size_t need;
  if (__builtin_add_overflow(sb->len, more, &need) || need > SIZE_MAX / 4) {
    sb->failed = true;
    return false;
  }
  if (need < sb->cap)
    return true;
  size_t cap = HLI_MAX(HLI_MAX(sb->cap * 2, need + 1), (size_t)64);
  char *data = hli_grow(sb->alloc, sb->data, sb->cap, cap);
  if (!data) {
    sb->failed = true;
    return false;
  }
  data[sb->len] = '\0';
  sb->data = data;
  sb->cap = cap;
  return true;
}

void hli_sb_put(hli_strbuf *sb, const char *bytes, size_t len) {
  if (!reserve(sb, len))
    return;
  if (len)
    memcpy(sb->data + sb->len, bytes, len);
  sb->len += len;
  sb->data[sb->len] = '\0';
}

void hli_sb_puts(hli_strbuf *sb, const char *text) {
  hli_sb_put(sb, text, strlen(text));
}

void hli_sb_printf(hli_strbuf *sb, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  int len = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  if (len < 0)
    sb->failed = true;
  if (len < 0 || !reserve(sb, (size_t)len))
    return;
  va_start(args, fmt);
  (void)vsnprintf(sb->data + sb->len, (size_t)len + 1, fmt, args);
  va_end(args);
  sb->len += (size_t)len;
}

hl_blob *hli_sb_to_blob(hli_strbuf *sb) {
  hl_blob *blob = reserve(sb, 0) ? hli_alloc(sb->alloc, sizeof *blob, 16) : NULL;
  if (!blob) {
    hli_sb_free(sb);
    sb->failed = true;
    return NULL;
  }
  *blob = (hl_blob){.data = sb->data, .size = sb->len, .capacity = sb->cap};
  if (sb->alloc)
    blob->alloc = *sb->alloc;
  hli_sb_init(sb, sb->alloc);
  return blob;
}

hl_blob *hli_blob_reserve(const hl_allocator *alloc, size_t size, char **bytes) {
  *bytes = NULL;
  if (size == SIZE_MAX)
    return NULL;
  hl_blob *blob = hli_alloc(alloc, sizeof *blob, 16);
  char *data = blob ? hli_alloc(alloc, size + 1, 16) : NULL;
  if (!data) {
    hli_release(alloc, blob, sizeof *blob);
    return NULL;
  }
  data[size] = '\0';
  *blob = (hl_blob){.data = data, .size = size, .capacity = size + 1};
  if (alloc)
    blob->alloc = *alloc;
  *bytes = data;
  return blob;
}

hl_blob *hli_blob_create(const hl_allocator *alloc, const void *data, size_t size) {
  char *bytes;
  hl_blob *blob = hli_blob_reserve(alloc, size, &bytes);
  if (blob && size)
    memcpy(bytes, data, size);
  return blob;
}

const void *hl_blob_data(const hl_blob *blob) {
  return blob ? blob->data : NULL;
}
size_t hl_blob_size(const hl_blob *blob) {
  return blob ? blob->size : 0;
}

void hl_blob_release(hl_blob *blob) {
  if (!blob)
    return;
  hl_allocator alloc = blob->alloc; /* the blob itself is about to go */
  hli_release(&alloc, blob->data, blob->capacity);
  hli_release(&alloc, blob, sizeof *blob);
}

bool hli_str_eq(hl_str a, hl_str b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool hli_str_eqz(hl_str a, const char *z) {
  return hli_str_eq(a, hli_str(z));
}
