/* watch.c: the watchdog: a thread that ends the program with words when a step takes too long, so that a kernel
 * that never ends cannot hang the program.  The driver's calls do not return then, so nothing is cleaned up. */
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/bench/bench.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double deadline; /* 0: none */
static double allowed;
static char step[256];
static char program[64];

static void *watch_main(void *arg) {
  (void)arg;
  for (;;) {
    const struct timespec quarter = {.tv_nsec = 250000000};
    nanosleep(&quarter, NULL);
    pthread_mutex_lock(&lock);
    if (deadline > 0 && cli_now() > deadline) {
      fprintf(stderr, "\n%s: %s: no end after %.0f seconds; giving up (--timeout)\n", program, step, allowed);
      fflush(NULL);
      _exit(CLI_FAILED);
    }
    pthread_mutex_unlock(&lock);
  }
  return NULL;
}

void bench_watch_start(const char *who) {
  pthread_t thread;
  snprintf(program, sizeof program, "%s", who);
  if (pthread_create(&thread, NULL, watch_main, NULL) == 0)
    pthread_detach(thread);
}

void bench_watch(double seconds, const char *what) {
  pthread_mutex_lock(&lock);
  deadline = seconds > 0 ? cli_now() + seconds : 0;
  allowed = seconds;
  snprintf(step, sizeof step, "%s", what);
  pthread_mutex_unlock(&lock);
}

void bench_progress(const char *format, ...) {
  char text[160];
  va_list args;
  if (!isatty(STDERR_FILENO))
    return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  fprintf(stderr, "\r%-78.78s\r", text);
  fflush(stderr);
}
