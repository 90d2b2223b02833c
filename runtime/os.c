/* os.c: every call to the operating system (Linux).  SPDX-License-Identifier: MIT */
#include "runtime/os.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif

/* ---- dynamic libraries ------------------------------------------------------- */

void *hlr_os_library(const char *name, char *why, size_t why_size) {
  void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library && why_size) {
    const char *text = dlerror();
    (void)snprintf(why, why_size, "%s", text ? text : "no reason given");
  }
  return library;
}

void *hlr_os_symbol(void *library, const char *name) {
  return dlsym(library, name);
}

/* A sealed anonymous file with these bytes; -1 and errno on failure. */
static int memory_file(const void *bytes, size_t size) {
  int fd = memfd_create("hl-kernel", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  if (fd < 0 && errno == EINVAL)
    fd = memfd_create("hl-kernel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    return -1;
  size_t done = 0;
  while (done < size) {
    ssize_t n = write(fd, (const char *)bytes + done, size - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      int saved = n < 0 ? errno : ENOSPC;
      (void)close(fd);
      errno = saved;
      return -1;
    }
    done += (size_t)n;
  }
  /* Code that runs must not change under us; a kernel without seals still works. */
  (void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  return fd;
}

static const char *descriptor_hint(int code) {
  return code == EMFILE || code == ENFILE
             ? "; each loaded CPU kernel needs one file descriptor: destroy plans that are "
               "not in use or raise the limit (ulimit -n)"
             : "";
}

hl_status hlr_os_image_load(const void *bytes, size_t size, hl_diag *diag, hlr_os_image *out) {
  int fd = memory_file(bytes, size);
  if (fd < 0) {
    int code = errno;
    char text[128];
    return hli_fail(diag, HL_ERR_IO, "cannot hold a kernel of %zu bytes in a memory file: %s%s", size,
                    strerror_r(code, text, sizeof text), descriptor_hint(code));
  }
  /* dlopen takes a path that it has seen for the object that it has loaded.  So the
   * descriptor stays open as long as the object: no other kernel can get its number.
   * The process id instead of "self" lets debuggers open the file too. */
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)getpid(), fd);
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *why = dlerror();
    int spare = dup(fd), code = spare < 0 ? errno : 0; /* dlopen needs a descriptor too, and keeps errno to itself */
    if (spare >= 0)
      (void)close(spare);
    hl_status status = hli_fail(diag, HL_ERR_IO, "cannot load a compiled kernel: %s%s",
                                why ? why : "dlopen gave no reason", descriptor_hint(code));
    (void)close(fd);
    return status;
  }
  *out = (hlr_os_image){handle, fd};
  return HL_OK;
}

bool hlr_os_image_open(const char *path, hlr_os_image *out) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return false;
  *out = (hlr_os_image){handle, -1};
  return true;
}

void hlr_os_image_unload(hlr_os_image *image) {
  if (!image->handle)
    return;
  (void)dlclose(image->handle);
  if (image->fd >= 0)
    (void)close(image->fd);
  *image = (hlr_os_image){NULL, -1};
}

/* ---- threads and waiting ------------------------------------------------------- */

bool hlr_os_thread_start(hlr_os_thread *thread, void *(*run)(void *), void *arg) {
  sigset_t all, saved;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &saved);
  pthread_t id;
  int failed = pthread_create(&id, NULL, run, arg);
  (void)pthread_sigmask(SIG_SETMASK, &saved, NULL);
  if (failed)
    return false;
  (void)pthread_setname_np(id, "hl-worker");
  thread->id = (unsigned long)id;
  return true;
}

void hlr_os_thread_join(hlr_os_thread thread) {
  (void)pthread_join((pthread_t)thread.id, NULL);
}

_Atomic uint32_t *hlr_os_fork_mark(void) {
  const size_t size = (size_t)sysconf(_SC_PAGESIZE);
  void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED)
    return NULL;
  if (madvise(page, size, MADV_WIPEONFORK) != 0) { /* Linux 4.14 */
    (void)munmap(page, size);
    return NULL;
  }
  _Atomic uint32_t *mark = page;
  atomic_init(mark, 1);
  return mark;
}

void hlr_os_fork_mark_free(_Atomic uint32_t *mark) {
  if (mark)
    (void)munmap((void *)(uintptr_t)mark, (size_t)sysconf(_SC_PAGESIZE));
}

void hlr_os_wait(_Atomic uint32_t *word, uint32_t expected) {
  (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void hlr_os_wake(_Atomic uint32_t *word, uint32_t count) {
  uint32_t limit = HLI_MIN(count, (uint32_t)INT_MAX);
  (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, limit, NULL, NULL, 0);
}

uint64_t hlr_os_now_ns(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int32_t hlr_os_process(void) {
  return (int32_t)getpid();
}

/* ---- the machine ---------------------------------------------------------------- */

int32_t hlr_os_cpu_count(void) {
  /* The mask of a machine with more CPUs than cpu_set_t holds needs more room. */
  for (int cpus = CPU_SETSIZE; cpus <= 1 << 16; cpus *= 2) {
    cpu_set_t *set = CPU_ALLOC((size_t)cpus);
    if (!set)
      return 1;
    size_t bytes = CPU_ALLOC_SIZE((size_t)cpus);
    int rc = sched_getaffinity(0, bytes, set);
    int count = rc == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (rc == 0)
      return HLI_MAX(count, 1);
    if (errno != EINVAL)
      break;
  }
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (int32_t)online : 1;
}

/* The text after "key ... : " in /proc/cpuinfo; "" if it is not there. */
static void cpuinfo_field(const char *key, char *out, size_t size) {
  out[0] = '\0';
  int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return;
  char text[4097]; /* the first CPU's entry is enough */
  ssize_t len = read(fd, text, sizeof text - 1);
  (void)close(fd);
  text[HLI_MAX(len, 0)] = '\0';
  const char *hit = strstr(text, key);
  const char *value = hit ? strchr(hit, ':') : NULL;
  if (!value)
    return;
  value += 1 + strspn(value + 1, " \t");
  (void)snprintf(out, size, "%.*s", (int)strcspn(value, "\n"), value);
}

void hlr_os_system_name(char *out, size_t size) {
  struct utsname u;
  out[0] = '\0';
  if (uname(&u) == 0)
    (void)snprintf(out, size, "%.24s %.36s", u.sysname, u.release);
}

void hlr_os_cpu_name(char *out, size_t size) {
  cpuinfo_field("model name", out, size);
  struct utsname u;
  if (!out[0] && uname(&u) == 0)
    (void)snprintf(out, size, "%s", u.machine);
}

int64_t hlr_os_memory_bytes(void) {
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? (int64_t)pages * page : 0;
}

int64_t hlr_os_cache_bytes(void) {
  long l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
  long l2 = l3 > 0 ? l3 : sysconf(_SC_LEVEL2_CACHE_SIZE);
  return HLI_MAX(l2, 0);
}

int32_t hlr_os_clock_khz(void) {
  char mhz[32];
  cpuinfo_field("cpu MHz", mhz, sizeof mhz);
  long value = strtol(mhz, NULL, 10); /* whole MHz: the point depends on the locale */
  return value > 0 && value < 1000000 ? (int32_t)value * 1000 : 0;
}
