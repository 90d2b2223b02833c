/* os.h: the operating system, as far as libhl uses it.  os.c is the only file with
 * system calls (Linux).  SPDX-License-Identifier: MIT */
#ifndef HLR_OS_H
#define HLR_OS_H

#include "src/base/base.h"
#include <stdatomic.h>

/* ---- dynamic libraries ------------------------------------------------------- */

/* Opens a shared library for good (it is never unloaded: GPU drivers do not survive
 * that).  NULL if it is not there; `why` then holds the loader's words. */
void *hlr_os_library(const char *name, char *why, size_t why_size);
void *hlr_os_symbol(void *library, const char *name);

/* A shared object that was loaded from memory. */
typedef struct hlr_os_image {
  void *handle;
  int fd; /* held until the object is unloaded, see os.c; < 0: none */
} hlr_os_image;
hl_status hlr_os_image_load(const void *bytes, size_t size, hl_diag *diag, hlr_os_image *out);
/* The same from a file, under whose name debuggers and profilers know it; false: it cannot be (a file system
 * without execution, say), and the bytes can still be loaded. */
bool hlr_os_image_open(const char *path, hlr_os_image *out);
void hlr_os_image_unload(hlr_os_image *image);

/* ---- threads and waiting ------------------------------------------------------- */

typedef struct hlr_os_thread {
  unsigned long id;
} hlr_os_thread;
/* Signals are blocked in the new thread: the host's handlers never run there. */
bool hlr_os_thread_start(hlr_os_thread *thread, void *(*run)(void *), void *arg);
void hlr_os_thread_join(hlr_os_thread thread);

/* A word that is 1 in the process that made it and 0 in its forked children: to notice a fork without asking the
 * system.  NULL: it cannot be had. */
_Atomic uint32_t *hlr_os_fork_mark(void);
void hlr_os_fork_mark_free(_Atomic uint32_t *mark);

/* Sleeps while *word == expected (or not: spurious returns are allowed). */
void hlr_os_wait(_Atomic uint32_t *word, uint32_t expected);
void hlr_os_wake(_Atomic uint32_t *word, uint32_t count);
uint64_t hlr_os_now_ns(void); /* monotonic */
int32_t hlr_os_process(void); /* its number */

static inline void hlr_os_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* ---- the machine ---------------------------------------------------------------- */

int32_t hlr_os_cpu_count(void); /* that the affinity mask allows, >= 1 */
void hlr_os_cpu_name(char *out, size_t size);
void hlr_os_system_name(char *out, size_t size);
int64_t hlr_os_memory_bytes(void);
int64_t hlr_os_cache_bytes(void); /* last level; 0 if unknown */
int32_t hlr_os_clock_khz(void);   /* 0 if unknown */

#endif
