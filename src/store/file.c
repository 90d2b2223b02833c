/* file.c: objects too large for a record, one file each.
 *
 * A file is written under a name of its own, then renamed inside the transaction that
 * writes its record.  So a reader sees the old or the new file, and whichever it
 * sees is compared with the record's size and digest before anybody loads it.
 * SPDX-License-Identifier: MIT */
#include "src/store/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void hli_file_name(hli_digest key, char *out) {
  char hex[33];
  hli_digest_text(key, hex);
  (void)snprintf(out, HLI_FILE_NAME, "%s/%s.so", HLI_STORE_CODE_, hex);
}

void hli_file_remove(hli_store *store, hli_digest key) {
  char name[HLI_FILE_NAME];
  hli_file_name(key, name);
  (void)unlinkat(store->folder.fd, name, 0);
}

static bool write_all(int fd, hl_str s) {
  while (s.len) {
    ssize_t n = write(fd, s.ptr, s.len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    s.ptr += n, s.len -= (size_t)n;
  }
  return true;
}

static bool write_aside(hli_store *store, hli_digest key, hl_str content, char *name) {
  char hex[33], text[128];
  hli_digest_text(key, hex);
  (void)snprintf(name, HLI_FILE_NAME, "%s/.%s.%ld.%u", HLI_STORE_CODE_, hex, (long)getpid(),
                 (unsigned)atomic_fetch_add(&store->serial, 1));
  (void)mkdirat(store->folder.fd, HLI_STORE_CODE_, 0700);
  (void)unlinkat(store->folder.fd, name, 0); /* of a dead process with our number */
  int fd = openat(store->folder.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  bool ok = fd >= 0 && write_all(fd, content);
  const int why = errno;
  if (fd >= 0 && close(fd) != 0)
    ok = false;
  if (ok)
    return true;
  if (fd >= 0)
    (void)unlinkat(store->folder.fd, name, 0);
  hli_store_trouble(store, "a file of %zu bytes cannot be written: %s", content.len,
                    strerror_r(why, text, sizeof text));
  return false;
}

/* The record's payload: digest of the file, then the caller's. */
static char *with_digest(hli_store *store, hli_digest key, hl_str payload, hl_str content) {
  const hli_digest digest = hli_digest_bytes(content.ptr, content.len, key);
  char *whole = hli_alloc(&store->ctx->alloc, sizeof digest + payload.len, 16);
  if (!whole)
    return NULL;
  memcpy(whole, &digest, sizeof digest);
  if (payload.len)
    memcpy(whole + sizeof digest, payload.ptr, payload.len);
  return whole;
}

hl_str hli_file_payload(hl_str payload) {
  const size_t skip = HLI_MIN(payload.len, sizeof(hli_digest));
  return (hl_str){payload.ptr + skip, payload.len - skip};
}

bool hli_store_file_put(hli_store *store, hli_digest key, hl_str provenance, hl_str payload, hl_str content) {
  char aside[HLI_FILE_NAME];
  if (!hli_store_writable(store) || !content.len)
    return false;
  char *whole = with_digest(store, key, payload, content);
  if (!whole || !write_aside(store, key, content, aside)) {
    hli_release(&store->ctx->alloc, whole, sizeof(hli_digest) + payload.len);
    return false;
  }
  const hli_record_put put = {.kind = HLI_STORE_CODE,
                              .key = key,
                              .provenance = provenance,
                              .payload = {whole, sizeof(hli_digest) + payload.len},
                              .file_bytes = content.len,
                              .aside = aside};
  const bool kept = hli_record_put_new(store, &put);
  hli_release(&store->ctx->alloc, whole, sizeof(hli_digest) + payload.len);
  if (!kept)
    (void)unlinkat(store->folder.fd, aside, 0);
  return kept;
}

bool hli_store_file_path(const hli_store *store, hli_digest key, char *out, size_t size) {
  char name[HLI_FILE_NAME];
  hli_file_name(key, name);
  const int n = store ? snprintf(out, size, "%s/%s", store->folder.path, name) : -1;
  return n > 0 && (size_t)n < size;
}

/* Reads the file into data[size]: true if it is what the record says.  *wrong: it is not; else it only could not be
 * read now. */
static bool read_file(hli_store *store, hli_digest key, hli_digest digest, char *data, size_t size, bool *wrong) {
  char name[HLI_FILE_NAME];
  struct stat st;
  hli_file_name(key, name);
  int fd = openat(store->folder.fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  *wrong = fd >= 0 || errno == ENOENT || errno == ELOOP;
  if (fd < 0)
    return false;
  const bool fits = !hli_file_distrust(fd, &store->options) && fstat(fd, &st) == 0 && (uint64_t)st.st_size == size;
  size_t done = 0;
  while (fits && done < size) {
    ssize_t n = read(fd, data + done, size - done);
    if (n <= 0 && !(n < 0 && errno == EINTR))
      break;
    done += n > 0 ? (size_t)n : 0;
  }
  (void)close(fd);
  if (!fits || done < size)
    return false;
  const hli_digest d = hli_digest_bytes(data, size, key);
  return d.lo == digest.lo && d.hi == digest.hi;
}

/* One blob of provenance, payload and content, which is read to where it stays. */
static bool with_content(hli_store *store, hli_digest key, uint64_t file_bytes, hli_store_record *record, bool *wrong) {
  hli_digest digest;
  char *p;
  *wrong = false;
  if (record->payload.len < sizeof digest || file_bytes > SIZE_MAX / 2)
    return false;
  memcpy(&digest, record->payload.ptr, sizeof digest);
  const hl_str payload = hli_file_payload(record->payload);
  const size_t head = record->provenance.len, size = (size_t)file_bytes;
  hl_blob *bytes = hli_blob_reserve(&store->ctx->alloc, head + payload.len + size, &p);
  if (!bytes)
    return false;
  memcpy(p, record->provenance.ptr, head);
  memcpy(p + head, payload.ptr, payload.len);
  if (!read_file(store, key, digest, p + head + payload.len, size, wrong)) {
    hl_blob_release(bytes);
    return false;
  }
  const hli_store_record whole = {.bytes = bytes,
                                  .provenance = {p, head},
                                  .payload = {p + head, payload.len},
                                  .content = {p + head + payload.len, size}};
  hli_store_record_release(record);
  *record = whole;
  return true;
}

bool hli_store_file_get(hli_store *store, hli_digest key, hli_store_record *out) {
  hli_record_info info;
  bool wrong;
  if (!hli_record_get(store, HLI_STORE_CODE, key, out, &info))
    return false;
  if (!info.file_bytes || with_content(store, key, info.file_bytes, out, &wrong))
    return true;
  if (wrong) /* unless somebody has just replaced both */
    (void)hli_record_drop(store, HLI_STORE_CODE, key, info.stamp);
  hli_store_record_release(out);
  return false;
}
