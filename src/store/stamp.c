/* stamp.c: remembering that the file of records was found sound, so that it need not be walked at every opening.
 *
 * The stamp names the file (device, inode, size, times of the last change) and the boot of the system.  Whatever is
 * written to the file changes its ctime, which nobody can set back; and a crash of the system, after which unsynced
 * pages may be missing, ends the boot.  Times are coarse, so a stamp is written only when the last change lies well
 * back: a later one is then sure to show.  SPDX-License-Identifier: MIT */
#include "src/store/internal.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME     "sound"
#define MAGIC    0x31535348u /* "HSS1" */
#define QUIET_NS 100000000   /* many ticks of the clock that file systems use */

typedef struct stamp {
  uint64_t magic, device, inode, size;
  int64_t changed[2], modified[2]; /* seconds, nanoseconds */
  char boot[40];
  hli_digest check;
} stamp;

/* The system's number of this boot; false: it does not say. */
static bool read_boot(char out[40]) {
  int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  const ssize_t n = fd >= 0 ? read(fd, out, 36) : -1;
  if (fd >= 0)
    (void)close(fd);
  return n == 36;
}

static bool take(int fd, stamp *s) {
  struct stat st;
  memset(s, 0, sizeof *s);
  if (fstat(fd, &st) != 0 || !read_boot(s->boot))
    return false;
  s->magic = MAGIC, s->device = (uint64_t)st.st_dev, s->inode = (uint64_t)st.st_ino, s->size = (uint64_t)st.st_size;
  s->changed[0] = st.st_ctim.tv_sec, s->changed[1] = st.st_ctim.tv_nsec;
  s->modified[0] = st.st_mtim.tv_sec, s->modified[1] = st.st_mtim.tv_nsec;
  s->check = hli_digest_bytes(s, offsetof(stamp, check), (hli_digest){0, 0});
  return true;
}

bool hli_stamp_fits(const hli_store *store, int fd) {
  stamp now, then;
  int file = openat(store->folder.fd, NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0)
    return false;
  const bool read_all =
      !hli_file_distrust(file, &store->options) && read(file, &then, sizeof then) == (ssize_t)sizeof then;
  (void)close(file);
  return read_all && take(fd, &now) && memcmp(&now, &then, sizeof now) == 0;
}

void hli_stamp_write(const hli_store *store, int fd) {
  struct timespec t;
  stamp now;
  if (!store->folder.writable || !take(fd, &now) || clock_gettime(CLOCK_REALTIME, &t) != 0)
    return;
  const int64_t since = ((int64_t)t.tv_sec - now.changed[0]) * 1000000000 + ((int64_t)t.tv_nsec - now.changed[1]);
  if (since < QUIET_NS)
    return;
  int file = openat(store->folder.fd, NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
  if (file < 0)
    return;
  const ssize_t n = write(file, &now, sizeof now);
  (void)n; /* half a stamp fits nothing */
  (void)close(file);
}
