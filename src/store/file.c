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
  bool ok = fd >= 0 && write_all(fd, content) && (store->options.no_sync || fsync(fd) == 0);
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

/* The content of the file if it is what the record says.  *wrong: it is not; else it only could not be read now. */
static char *read_file(hli_store *store, hli_digest key, uint64_t size, hli_digest digest, bool *wrong) {
  char name[HLI_FILE_NAME];
  struct stat st;
  hli_file_name(key, name);
  int fd = openat(store->folder.fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  *wrong = fd >= 0 || errno == ENOENT || errno == ELOOP;
  if (fd < 0)
    return NULL;
  const bool fits = !hli_file_distrust(fd, &store->options) && fstat(fd, &st) == 0 && (uint64_t)st.st_size == size;
  char *data = fits ? hli_alloc(&store->ctx->alloc, size, 16) : NULL;
  if (fits && !data)
    *wrong = false;
  size_t done = 0;
  while (data && done < size) {
    ssize_t n = read(fd, data + done, size - done);
    if (n <= 0 && !(n < 0 && errno == EINTR))
      break;
    done += n > 0 ? (size_t)n : 0;
  }
  (void)close(fd);
  if (data && done == size) {
    const hli_digest d = hli_digest_bytes(data, size, key);
    if (d.lo == digest.lo && d.hi == digest.hi)
      return data;
  }
  hli_release(&store->ctx->alloc, data, size);
  return NULL;
}

/* One blob of provenance, payload and content. */
static bool join(hli_store *store, hli_store_record *record, hl_str content) {
  hli_strbuf sb;
  hli_sb_init(&sb, &store->ctx->alloc);
  const hl_str payload = hli_file_payload(record->payload);
  const size_t head = record->provenance.len;
  hli_sb_put(&sb, record->provenance.ptr, head);
  hli_sb_put(&sb, payload.ptr, payload.len);
  hli_sb_put(&sb, content.ptr, content.len);
  hl_blob *bytes = sb.failed ? NULL : hli_sb_to_blob(&sb);
  hli_sb_free(&sb);
  if (bytes) {
    const char *p = hl_blob_data(bytes);
    const hli_store_record joined = {.bytes = bytes,
                                     .provenance = {p, head},
                                     .payload = {p + head, payload.len},
                                     .content = {p + head + payload.len, content.len}};
    hli_store_record_release(record);
    *record = joined;
  }
  return bytes != NULL;
}

bool hli_store_file_get(hli_store *store, hli_digest key, hli_store_record *out) {
  hli_record_info info;
  hli_digest digest;
  if (!hli_record_get(store, HLI_STORE_CODE, key, out, &info))
    return false;
  if (!info.file_bytes)
    return true;
  char *content = NULL;
  bool wrong = false;
  if (out->payload.len >= sizeof digest) {
    memcpy(&digest, out->payload.ptr, sizeof digest);
    content = read_file(store, key, info.file_bytes, digest, &wrong);
  }
  const bool found = content && join(store, out, (hl_str){content, (size_t)info.file_bytes});
  if (wrong && !content) /* unless somebody has just replaced both */
    (void)hli_record_drop(store, HLI_STORE_CODE, key, info.stamp);
  hli_release(&store->ctx->alloc, content, (size_t)info.file_bytes);
  if (!found)
    hli_store_record_release(out);
  return found;
}
