/* store.c: opening and closing a store, entering and leaving it.
 *
 * Every use is enter ... leave.  enter takes the lock of the process, then the folder's, and
 * looks at the file's name once: if that is another file than the one that is open
 * (somebody set a damaged one aside) or a shorter one, it is checked and opened again.
 * SPDX-License-Identifier: MIT */
#include "src/store/check.h"
#include "src/store/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_RECORD_BYTES (UINT64_C(64) << 20)
#define DEFAULT_FILE_BYTES   (UINT64_C(1) << 30)
#define DEFAULT_WAIT_MS      5000u

void hli_store_trouble(hli_store *store, const char *fmt, ...) {
  if (atomic_exchange(&store->told, true))
    return;
  char text[HL_DIAG_TEXT];
  va_list args;
  va_start(args, fmt);
  (void)vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  if (store->opening)
    (void)hli_fail(store->opening, HL_ERR_IO, "the cache folder %s: %s", store->folder.path, text);
  else
    hli_log(store->ctx, HL_LOG_WARN, "cache %s: %s", store->folder.path, text);
}

/* ---- fork -------------------------------------------------------------------------------- */

/* In a child of the process that opened the store.  The folder's descriptor would share its
 * lock with the parent, so the child opens its own.  If a thread of the parent was inside at
 * the moment of the fork, the mutex stays locked for ever and what it guards may be half done: then both are
 * left as they are (a mapping and a descriptor are lost) and made anew. */
static void adopt(hli_store *store) {
  const bool idle = pthread_mutex_trylock(&store->lock) == 0;
  if (idle) {
    hli_mdb_close(store->mdb);
    (void)pthread_mutex_unlock(&store->lock);
  }
  (void)pthread_mutex_init(&store->lock, NULL);
  store->mdb = NULL;
  store->unsynced = false; /* that is the parent's to do */
  int fd = openat(store->folder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  (void)close(store->folder.fd);
  store->folder.fd = fd;
  if (fd < 0)
    store->off = true;
}

/* The first thread of a child that comes here adopts; -pid while it does. */
static void own_process(hli_store *store) {
  const int32_t self = (int32_t)getpid();
  int32_t seen = atomic_load(&store->pid);
  while (seen != self) {
    if (seen == -self) {
      (void)sched_yield();
      seen = atomic_load(&store->pid);
    } else if (atomic_compare_exchange_strong(&store->pid, &seen, -self)) {
      adopt(store);
      atomic_store(&store->pid, self);
      return;
    }
  }
}

/* ---- the file ------------------------------------------------------------------------------ */

static bool give_up(hli_store *store) {
  store->off = true;
  return false;
}

static bool set_aside(hli_store *store, const char *why) {
  char name[64];
  if (!store->folder.writable) {
    hli_store_trouble(store, "%s is damaged (%s) and the folder cannot be written; working without", HLI_STORE_DATA,
                      why);
    return give_up(store);
  }
  if (!hli_folder_set_aside(&store->folder, name, sizeof name)) {
    hli_store_trouble(store, "%s is damaged (%s) and cannot be renamed; working without", HLI_STORE_DATA, why);
    return give_up(store);
  }
  hli_log(store->ctx, HL_LOG_WARN, "cache %s: %s is damaged (%s); set aside as %s, starting empty", store->folder.path,
          HLI_STORE_DATA, why, name);
  return true;
}

/* True if there is nothing, or something sound, under the file's name; *found says which. */
static bool sound(hli_store *store, bool *found) {
  char why[HLI_CHECK_WHY];
  *found = false;
  /* Not blocking: something may have put a pipe there. */
  int fd = openat(store->folder.fd, HLI_STORE_DATA, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT)
    return true;
  const char *distrust = fd < 0 ? "cannot be opened" : hli_file_distrust(fd, &store->options);
  if (distrust) {
    if (fd >= 0)
      (void)close(fd);
    hli_store_trouble(store, "%s %s; working without", HLI_STORE_DATA, distrust);
    return give_up(store);
  }
  const bool known = hli_stamp_fits(store, fd);
  hli_check check = known ? HLI_CHECK_OK : hli_check_file(fd, why);
  if (!known && check == HLI_CHECK_OK)
    hli_stamp_write(store, fd);
  (void)close(fd);
  if (check == HLI_CHECK_DAMAGED)
    return set_aside(store, why);
  if (check == HLI_CHECK_TROUBLE) {
    hli_store_trouble(store, "%s: %s; working without", HLI_STORE_DATA, why);
    return give_up(store);
  }
  *found = check == HLI_CHECK_OK;
  return true;
}

/* Under the exclusive lock, or the shared one where nothing can be written. */
static bool attach(hli_store *store) {
  char path[HLI_STORE_PATH + 16];
  struct stat st;
  bool found;
  hli_mdb_close(store->mdb);
  store->mdb = NULL;
  if (!sound(store, &found))
    return false;
  if (!found && !store->folder.writable)
    return true; /* nothing to read */
  (void)snprintf(path, sizeof path, "%s/%s", store->folder.path, HLI_STORE_DATA);
  /* Twice the limit: pages that are rewritten are free only after the next commit, and large
   * records need neighbours. */
  const size_t map = (size_t)(store->options.record_bytes * 2 + (1u << 20));
  int code = hli_mdb_open(path, map, !store->folder.writable, &store->mdb);
  if (!code && fstat(hli_mdb_fd(store->mdb), &st) != 0)
    code = errno;
  if (code) {
    hli_store_trouble(store, "%s cannot be opened: %s; working without", HLI_STORE_DATA, hli_mdb_text(code));
    hli_mdb_close(store->mdb);
    store->mdb = NULL;
    return give_up(store);
  }
  store->device = (uint64_t)st.st_dev, store->inode = (uint64_t)st.st_ino, store->size = (uint64_t)st.st_size;
  return true;
}

/* Is the file that is open still the one with the name, and not shorter than it was? */
static bool attached(hli_store *store) {
  struct stat st;
  if (!store->mdb || fstatat(store->folder.fd, HLI_STORE_DATA, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
      (uint64_t)st.st_dev != store->device || (uint64_t)st.st_ino != store->inode || (uint64_t)st.st_size < store->size)
    return false;
  store->size = (uint64_t)st.st_size;
  return true;
}

void hli_store_suspect(hli_store *store) {
  store->size = UINT64_MAX;
}

/* ---- enter and leave -------------------------------------------------------------------------- */

static bool take(hli_store *store, bool exclusive) {
  if (hli_folder_lock(&store->folder, exclusive, store->options.wait_ms))
    return true;
  hli_store_trouble(store, "its lock was not free within %u ms; working without this time", store->options.wait_ms);
  return false;
}

static bool ready(hli_store *store, bool write) {
  if (!take(store, write))
    return false;
  bool ok = attached(store);
  if (!ok && store->folder.writable && !write) {
    hli_folder_unlock(&store->folder);
    if (!take(store, true))
      return false;
    ok = attached(store);
  }
  ok = ok || attach(store);
  if (!ok)
    hli_folder_unlock(&store->folder);
  return ok;
}

bool hli_store_enter(hli_store *store, bool write) {
  if (!store)
    return false;
  own_process(store);
  (void)pthread_mutex_lock(&store->lock);
  if (!store->off && (store->folder.writable || !write) && ready(store, write))
    return true;
  (void)pthread_mutex_unlock(&store->lock);
  return false;
}

void hli_store_leave(hli_store *store) {
  hli_folder_unlock(&store->folder);
  (void)pthread_mutex_unlock(&store->lock);
}

/* ---- open and close ------------------------------------------------------------------------------ */

/* `diag` is not NULL. */
static hl_status open_in(hl_context *ctx, const char *path, const hli_store_options *options, hl_diag *diag,
                         hli_store **out) {
  hli_folder folder;
  hl_status s = hli_folder_open(path, options, diag, &folder);
  if (s != HL_OK)
    return s;
  hli_store *store = hli_calloc(&ctx->alloc, 1, sizeof *store);
  if (!store || pthread_mutex_init(&store->lock, NULL) != 0) {
    hli_release(&ctx->alloc, store, sizeof *store);
    hli_folder_close(&folder);
    return hli_fail_memory(diag, "opening the cache");
  }
  store->ctx = ctx, store->options = *options, store->folder = folder;
  atomic_store(&store->pid, (int32_t)getpid());
  store->opening = diag;
  if (hli_store_enter(store, false)) /* damage shows now, not at the first kernel */
    hli_store_leave(store);
  store->opening = NULL;
  if (store->off) {
    hli_store_close(store);
    return HL_ERR_IO;
  }
  if (atomic_exchange(&store->told, false)) /* only its lock was taken: it will be free again */
    hli_log(ctx, HL_LOG_WARN, "%s", diag->message);
  *out = store;
  return HL_OK;
}

hl_status hli_store_open(hl_context *ctx, const char *path, const hli_store_options *options, hl_diag *diag,
                         hli_store **out) {
  hl_diag own = {.status = HL_OK};
  hli_store_options o = {0};
  *out = NULL;
  if (options)
    o = *options;
  o.record_bytes = o.record_bytes ? o.record_bytes : DEFAULT_RECORD_BYTES;
  o.file_bytes = o.file_bytes ? o.file_bytes : DEFAULT_FILE_BYTES;
  o.wait_ms = o.wait_ms ? o.wait_ms : DEFAULT_WAIT_MS;
  hl_status s = open_in(ctx, path, &o, &own, out);
  if (s != HL_OK) {
    hli_log(ctx, HL_LOG_WARN, "working without a cache: %s", own.message);
    if (diag)
      *diag = own;
  }
  return s;
}

void hli_store_close(hli_store *store) {
  if (!store)
    return;
  own_process(store); /* a child must not touch the parent's map and lock either */
  hl_context *ctx = store->ctx;
  if (store->unsynced && store->mdb && hli_mdb_sync(store->mdb) != 0)
    hli_store_trouble(store, "writing to the disk failed");
  hli_mdb_close(store->mdb);
  hli_folder_close(&store->folder);
  (void)pthread_mutex_destroy(&store->lock);
  hli_release(&ctx->alloc, store, sizeof *store);
}

const char *hli_store_path(const hli_store *store) {
  return store ? store->folder.path : "";
}

bool hli_store_writable(const hli_store *store) {
  return store && store->folder.writable && !store->off;
}
