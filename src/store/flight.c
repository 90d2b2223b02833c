/* flight.c: one maker per key at a time, among threads and processes.
 *
 * A key is a file in flight/, locked with flock and removed by its owner.  Whoever waited
 * may hold the lock of a file that was removed meanwhile; then it tries again with the new one.
 * SPDX-License-Identifier: MIT */
#include "src/store/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool still_named(const hli_store *store, int fd, const char *name) {
  struct stat mine, named;
  return fstat(fd, &mine) == 0 && fstatat(store->folder.fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
}

void hli_store_single_flight_begin(hli_store *store, hli_store_kind kind, hli_digest key, uint32_t wait_ms,
                                   hli_store_flight *out) {
  char hex[33];
  *out = (hli_store_flight){.fd = -1};
  if (!hli_store_writable(store))
    return;
  hli_digest_text(key, hex);
  (void)snprintf(out->name, sizeof out->name, "%s/%c%s", HLI_STORE_WAIT_, kind == HLI_STORE_CODE ? 'c' : 't', hex);
  (void)mkdirat(store->folder.fd, HLI_STORE_WAIT_, 0700);
  for (;;) {
    bool waited = false;
    int fd = openat(store->folder.fd, out->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
      return;
    const bool locked = hli_flock_wait(fd, LOCK_EX, wait_ms, &waited);
    out->waited |= waited;
    if (locked && still_named(store, fd, out->name)) {
      out->fd = fd;
      out->alone = true;
      return;
    }
    (void)close(fd);
    if (!locked)
      return;
    out->waited = true; /* its owner has removed it: somebody was at it */
  }
}

void hli_store_single_flight_end(hli_store *store, hli_store_flight *flight) {
  if (flight->fd < 0)
    return;
  (void)unlinkat(store->folder.fd, flight->name, 0); /* before the lock goes: nobody else's */
  (void)flock(flight->fd, LOCK_UN);                  /* a child forked meanwhile has the descriptor too */
  (void)close(flight->fd);
  *flight = (hli_store_flight){.fd = -1};
}
