/* util.h: what the store's tests share: a folder that goes away with the test, a context that
 * counts what is logged, children that report through their exit status. */
#ifndef TESTS_STORE_UTIL_H
#define TESTS_STORE_UTIL_H

#include "src/store/store.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

typedef struct su {
  hl_context *ctx;
  char dir[128];   /* the store's folder; not made yet */
  char data[160];  /* its records */
  char last[1024]; /* what was logged last */
  int warnings, infos;
  long live, count, fail_at; /* allocations; fail_at < 0: none */
} su;

int su_setup(void **state);    /* *state is a su */
int su_teardown(void **state); /* also: no allocation is left */

hli_store *su_open(su *t, const hli_store_options *o); /* fails the test if that does not work */
hli_digest su_key(uint64_t i);
hl_str su_str(const char *z);

/* Record i, of about 100 + i % 5000 bytes. */
bool su_put(hli_store *s, uint64_t i);
/* 1: there and right, 0: not there, -1: wrong. */
int su_has(hli_store *s, uint64_t i);

/* Runs `body` in a child and returns its wait status. */
int su_child(int (*body)(void *), void *arg);
pid_t su_spawn(int (*body)(void *), void *arg);
bool su_exited(int status, int code);

/* Copies a file; returns its size. */
size_t su_copy(const char *from, const char *to);
bool su_exists(const su *t, const char *below);
void su_path(const su *t, const char *below, char out[256]);

#endif
