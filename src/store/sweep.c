/* sweep.c: what killed processes leave behind: half-written objects, objects whose record was never committed, files
 * of flights that nobody flies any more.
 *
 * Done by the first put of a store, under its exclusive lock, and at most once an hour for a folder: the time of the
 * file `swept` says when.  Nothing young is touched: it may be in the making.  SPDX-License-Identifier: MIT */
#include "src/store/internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MARK        "swept"
#define PERIOD_S    3600
#define YOUNG_S     600 /* far beyond the deadline for the folder's lock, which is the longest a writer waits */
#define OBJECT_NAME 35  /* 32 digits and ".so" */

/* Seconds since it was changed; negative for a clock that was set back. */
static int64_t age_of(int folder, const char *name) {
  struct stat st;
  return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (int64_t)time(NULL) - (int64_t)st.st_mtim.tv_sec : 0;
}

static bool is_due(const hli_store *store) {
  struct stat st;
  if (fstatat(store->folder.fd, MARK, &st, AT_SYMLINK_NOFOLLOW) == 0) {
    const int64_t age = (int64_t)time(NULL) - (int64_t)st.st_mtim.tv_sec;
    if (age >= 0 && age < PERIOD_S)
      return false;
  }
  int fd = openat(store->folder.fd, MARK, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
  if (fd < 0)
    return false;
  (void)futimens(fd, NULL);
  (void)close(fd);
  return true;
}

static DIR *open_below(const hli_store *store, const char *name) {
  int fd = openat(store->folder.fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
  if (fd >= 0 && !dir)
    (void)close(fd);
  return dir;
}

static bool has_record(hli_store *store, hli_mdb_txn *txn, hli_digest key) {
  hl_str data;
  /* Trouble is no reason to remove anything. */
  return hli_mdb_get(store->mdb, txn, HLI_MDB_CODE, (hl_str){(const char *)&key, sizeof key}, &data) != 0 || data.ptr;
}

/* True: nobody will ever want it. */
static bool is_left_over(hli_store *store, hli_mdb_txn *txn, const char *name) {
  hli_digest key;
  if (name[0] == '.')
    return name[1] != '\0' && name[1] != '.';
  return strlen(name) == OBJECT_NAME && strcmp(name + 32, ".so") == 0 && hli_digest_parse((hl_str){name, 32}, &key) &&
         !has_record(store, txn, key);
}

static uint32_t sweep_objects(hli_store *store) {
  hli_mdb_txn *txn;
  uint32_t removed = 0;
  DIR *dir = open_below(store, HLI_STORE_CODE_);
  if (!dir)
    return 0;
  if (hli_mdb_begin(store->mdb, false, &txn) == 0) {
    for (const struct dirent *e; (e = readdir(dir));)
      if (is_left_over(store, txn, e->d_name) && age_of(dirfd(dir), e->d_name) > YOUNG_S)
        removed += unlinkat(dirfd(dir), e->d_name, 0) == 0;
    hli_mdb_abort(txn);
  }
  (void)closedir(dir);
  return removed;
}

/* A flight whose lock is free has no pilot. */
static uint32_t sweep_flights(hli_store *store) {
  uint32_t removed = 0;
  DIR *dir = open_below(store, HLI_STORE_WAIT_);
  for (const struct dirent *e; dir && (e = readdir(dir));) {
    if (e->d_name[0] == '.' || age_of(dirfd(dir), e->d_name) <= YOUNG_S)
      continue;
    int fd = openat(dirfd(dir), e->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
      continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
      removed += unlinkat(dirfd(dir), e->d_name, 0) == 0;
    (void)close(fd);
  }
  if (dir)
    (void)closedir(dir);
  return removed;
}

void hli_store_sweep(hli_store *store) {
  if (store->swept || !store->mdb)
    return;
  store->swept = true;
  if (!is_due(store))
    return;
  const uint32_t removed = sweep_objects(store) + sweep_flights(store);
  if (removed)
    hli_log(store->ctx, HL_LOG_INFO, "cache %s: %u files that ended processes had left were removed",
            store->folder.path, removed);
}
