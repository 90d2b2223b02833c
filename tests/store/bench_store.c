/* bench_store.c: what the functions of the store cost, in microseconds, median of many; run by hand.  The folder lies
 * below /tmp: its file system decides what a sync costs. */
#include "util.h"
#include <time.h>

enum { ROUNDS = 2001, BYTES = 50000, KEYS = 64 };

typedef struct bench {
  su *t;
  hli_store *s;
  char content[BYTES];
} bench;

static double now_us(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int order(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void reopen(bench *b, uint64_t i) {
  (void)i;
  hli_store_close(b->s);
  b->s = su_open(b->t, NULL);
}

static void put(bench *b, hli_store_kind kind, uint64_t i) {
  b->content[0] = (char)i;
  assert_true(hli_store_put(b->s, kind, su_key(i % KEYS), su_str("{}"), (hl_str){b->content, BYTES}));
}

static void put_code(bench *b, uint64_t i) {
  put(b, HLI_STORE_CODE, i);
}

static void put_tuning(bench *b, uint64_t i) {
  assert_true(hli_store_put(b->s, HLI_STORE_TUNING, su_key(i % KEYS), su_str("{}"), su_str("{\"block_sizes\":[64]}")));
}

static void put_sync(bench *b, uint64_t i) {
  put_tuning(b, i);
  assert_true(hli_store_sync(b->s));
}

static void put_file(bench *b, uint64_t i) {
  b->content[0] = (char)i;
  assert_true(
      hli_store_file_put(b->s, su_key(1000 + i % KEYS), su_str("{}"), su_str("p"), (hl_str){b->content, BYTES}));
}

static void get(bench *b, uint64_t i) {
  hli_store_record r;
  assert_true(hli_store_get(b->s, HLI_STORE_CODE, su_key(i % KEYS), &r));
  hli_store_record_release(&r);
}

static void get_file(bench *b, uint64_t i) {
  hli_store_record r;
  assert_true(hli_store_file_get(b->s, su_key(1000 + i % KEYS), &r));
  hli_store_record_release(&r);
}

static void get_none(bench *b, uint64_t i) {
  hli_store_record r;
  assert_false(hli_store_get(b->s, HLI_STORE_CODE, su_key(5000 + i), &r));
}

static void measure(bench *b, const char *name, void (*run)(bench *, uint64_t), uint64_t rounds) {
  static double us[ROUNDS];
  for (uint64_t i = 0; i < KEYS; i++)
    run(b, i);
  for (uint64_t i = 0; i < rounds; i++) {
    const double begin = now_us();
    run(b, i);
    us[i] = now_us() - begin;
  }
  qsort(us, rounds, sizeof *us, order);
  printf("%-32s %9.2f  [%.2f, %.2f]\n", name, us[rounds / 2], us[rounds / 20], us[rounds - 1 - rounds / 20]);
}

int main(void) {
  static bench b;
  void *state;
  if (su_setup(&state))
    return 1;
  b.t = state;
  b.s = su_open(b.t, NULL);
  printf("%-32s %9s  [5 %%, 95 %%]  in %s\n", "call", "us", b.t->dir);
  measure(&b, "put 50,000 bytes of code", put_code, ROUNDS);
  measure(&b, "put 50,000 bytes in a file", put_file, ROUNDS / 4);
  measure(&b, "put a configuration", put_tuning, ROUNDS);
  measure(&b, "put a configuration and sync", put_sync, ROUNDS / 16);
  measure(&b, "get 50,000 bytes of code", get, ROUNDS);
  measure(&b, "get 50,000 bytes in a file", get_file, ROUNDS);
  measure(&b, "get what is not there", get_none, ROUNDS);
  measure(&b, "close and open", reopen, ROUNDS / 4);
  hli_store_close(b.s);
  return su_teardown(&state);
}
