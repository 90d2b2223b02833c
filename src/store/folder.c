/* folder.c: finding, making and examining the cache folder.
 * SPDX-License-Identifier: MIT */
#include "src/store/folder.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* ---- the path ---------------------------------------------------------------------- */

static hl_status default_path(char *out, hl_diag *diag) {
  const char *dir = getenv("HL_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  int n;
  if (dir && *dir)
    n = snprintf(out, HLI_STORE_PATH, "%s", dir);
  else if (xdg && *xdg == '/') /* the specification wants relative ones ignored */
    n = snprintf(out, HLI_STORE_PATH, "%s/hl", xdg);
  else if (home && *home == '/')
    n = snprintf(out, HLI_STORE_PATH, "%s/.cache/hl", home);
  else
    return hli_fail(diag, HL_ERR_IO, "no folder for the cache: set HL_CACHE_DIR, XDG_CACHE_HOME or HOME");
  if (n >= HLI_STORE_PATH)
    return hli_fail(diag, HL_ERR_IO, "the path of the cache is longer than %d bytes", HLI_STORE_PATH - 1);
  return HL_OK;
}

/* Makes the folder and what is missing above it, for nobody else. */
static bool make_path(const char *path) {
  char part[HLI_STORE_PATH];
  (void)snprintf(part, sizeof part, "%s", path);
  for (char *p = part + 1; *p; p++) {
    if (*p != '/')
      continue;
    *p = '\0';
    if (mkdir(part, 0700) != 0 && errno != EEXIST && access(part, F_OK) != 0)
      return false;
    *p = '/';
  }
  return mkdir(part, 0700) == 0 || errno == EEXIST;
}

/* ---- trust ------------------------------------------------------------------------------ */

static uint32_t user(const hli_store_options *o) {
  return o->seams && o->seams->uid ? o->seams->uid() : (uint32_t)geteuid();
}

/* By f_type of statfs.  FUSE and virtiofs are here because what is behind them is unknown
 * (sshfs, a cluster's file system, another machine's disk): flock and coherent maps
 * cannot be counted on. */
static const struct network {
  uint64_t type;
  const char *name;
} networks[] = {
    {0x6969, "NFS"},       {0x517B, "SMB"},        {0xFF534D42, "CIFS"}, {0xFE534D42, "SMB2"},
    {0x01021997, "9P"},    {0x5346414F, "AFS"},    {0x6B414653, "AFS"},  {0x73757245, "Coda"},
    {0x00C36400, "Ceph"},  {0x0BD00BD0, "Lustre"}, {0x47504653, "GPFS"}, {0x7461636F, "OCFS2"},
    {0x01161970, "GFS2"},  {0x19830326, "BeeGFS"}, {0x65735546, "FUSE"}, {0x20030528, "PVFS2"},
    {0xAAD7AAEA, "PanFS"}, {0x786F4256, "vboxsf"},
};

static const char *network_name(int fd, const hli_store_options *o) {
  uint64_t type;
  struct statfs fs;
  if (o->seams && o->seams->fs_type)
    type = o->seams->fs_type(fd);
  else if (fstatfs(fd, &fs) == 0)
    type = (uint64_t)fs.f_type & 0xFFFFFFFFu; /* a signed word that may have been widened */
  else
    return "unknown";
  for (size_t i = 0; i < HLI_COUNT(networks); i++)
    if (networks[i].type == type)
      return networks[i].name;
  return NULL;
}

static hl_status examine(hli_folder *f, const hli_store_options *o, hl_diag *diag) {
  struct stat st;
  const uint32_t self = user(o);
  if (fstat(f->fd, &st) != 0)
    return hli_fail(diag, HL_ERR_IO, "the cache folder %s cannot be examined", f->path);
  if (st.st_uid != self && st.st_uid != 0)
    return hli_fail(diag, HL_ERR_IO,
                    "the cache folder %s belongs to user %u, this process runs as user %u: what it holds would be "
                    "run; set HL_CACHE_DIR to a folder of your own",
                    f->path, (unsigned)st.st_uid, self);
  if (st.st_mode & 022)
    return hli_fail(diag, HL_ERR_IO,
                    "the cache folder %s may be written by others (mode %03o): what it holds would be run; "
                    "chmod go-w it",
                    f->path, (unsigned)st.st_mode & 0777u);
  const char *network = network_name(f->fd, o);
  if (network)
    return hli_fail(diag, HL_ERR_IO,
                    "the cache folder %s is on a network file system (%s), where its locks cannot be relied on; set "
                    "HL_CACHE_DIR to a folder of a local disk",
                    f->path, network);
  return HL_OK;
}

const char *hli_file_distrust(int fd, const hli_store_options *o) {
  struct stat st;
  if (fstat(fd, &st) != 0)
    return "cannot be examined";
  if (!S_ISREG(st.st_mode))
    return "is not a regular file";
  if (st.st_uid != user(o) && st.st_uid != 0)
    return "belongs to another user";
  return st.st_mode & 022 ? "may be written by others" : NULL;
}

hl_status hli_folder_open(const char *path, const hli_store_options *o, hl_diag *diag, hli_folder *out) {
  *out = (hli_folder){.fd = -1};
  if (!path) {
    hl_status s = default_path(out->path, diag);
    if (s != HL_OK)
      return s;
  } else if ((size_t)snprintf(out->path, sizeof out->path, "%s", path) >= sizeof out->path || !*path) {
    return hli_fail(diag, HL_ERR_IO, "the path of the cache is empty or longer than %d bytes", HLI_STORE_PATH - 1);
  }
  const bool made = o->read_only || make_path(out->path);
  const int why = errno;
  out->fd = open(out->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (out->fd < 0) {
    char text[128];
    return hli_fail(diag, HL_ERR_IO, "the cache folder %s cannot be %s: %s; set HL_CACHE_DIR to a folder that can",
                    out->path, made ? "opened" : "made", strerror_r(made ? errno : why, text, sizeof text));
  }
  char real[PATH_MAX]; /* the program may change its folder later */
  hl_status s = realpath(out->path, real) && strlen(real) + sizeof HLI_STORE_DATA + 1 < sizeof out->path
                    ? HL_OK
                    : hli_fail(diag, HL_ERR_IO, "the path of the cache folder %s cannot be resolved", out->path);
  if (s == HL_OK) {
    memcpy(out->path, real, strlen(real) + 1);
    s = examine(out, o, diag);
  }
  if (s != HL_OK) {
    hli_folder_close(out);
    return s;
  }
  out->writable = !o->read_only && faccessat(out->fd, ".", W_OK | X_OK, AT_EACCESS) == 0;
  return HL_OK;
}

void hli_folder_close(hli_folder *f) {
  if (f->fd >= 0)
    (void)close(f->fd);
  f->fd = -1;
}

/* ---- locks --------------------------------------------------------------------------------- */

static int64_t now_us(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Asks again and again instead of sleeping in flock: that has no deadline, and signals are the host's. */
bool hli_flock_wait(int fd, int how, uint32_t wait_ms, bool *waited) {
  const int64_t end = now_us() + (int64_t)wait_ms * 1000;
  long pause_us = 20;
  *waited = false;
  for (;;) {
    if (flock(fd, how | LOCK_NB) == 0)
      return true;
    if (errno != EWOULDBLOCK && errno != EINTR)
      return false;
    *waited = true;
    if (now_us() >= end)
      return false;
    const struct timespec nap = {.tv_nsec = pause_us * 1000};
    (void)nanosleep(&nap, NULL);
    pause_us = HLI_MIN(pause_us * 2, 2000L);
  }
}

bool hli_folder_lock(const hli_folder *f, bool exclusive, uint32_t wait_ms) {
  bool waited;
  return hli_flock_wait(f->fd, exclusive ? LOCK_EX : LOCK_SH, wait_ms, &waited);
}

void hli_folder_unlock(const hli_folder *f) {
  (void)flock(f->fd, LOCK_UN);
}

/* ---- damage ---------------------------------------------------------------------------------- */

bool hli_folder_set_aside(const hli_folder *f, char *name, size_t size) {
  struct stat st;
  /* Nine are kept; after that the last one is replaced. */
  for (int i = 1; i <= 9; i++) {
    (void)snprintf(name, size, "%s.damaged-%d", HLI_STORE_DATA, i);
    if (fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
      break;
  }
  return renameat(f->fd, HLI_STORE_DATA, f->fd, name) == 0;
}
