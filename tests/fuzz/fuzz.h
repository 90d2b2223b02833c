/* fuzz.h: what the fuzzers share: a seeded random source, the corpus, and the round trip every valid kernel must make.
 *
 * HL_FUZZ_SEED and HL_FUZZ_RUNS vary a run; the defaults take some ten seconds and are the same everywhere. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "src/ir/ir.h"

typedef struct fuzz_random { uint64_t state; } fuzz_random;
uint64_t fuzz_next(fuzz_random *r);
uint32_t fuzz_below(fuzz_random *r, uint32_t n); /* 0 .. n - 1; 0 for n = 0 */
uint64_t fuzz_env(const char *name, uint64_t otherwise);

/* The .hl files of a folder of tests/ir, in the order of names. */
typedef struct fuzz_corpus { char *text[512]; size_t len[512]; uint32_t count; } fuzz_corpus;
void fuzz_load(fuzz_corpus *c, const char *folder);
void fuzz_unload(fuzz_corpus *c);

/* Prints why on stderr and ends the process if the kernel's text does not parse to the same text. */
void fuzz_round_trip(const hl_kernel *k);
/* Parses any bytes; true if they are a kernel.  Ends the process if something is wrong with the status. */
bool fuzz_parse(const char *data, size_t len);

#endif
