/* files.h: golden files of the tests in this folder. */
#ifndef TESTS_IR_FILES_H
#define TESTS_IR_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "src/ir/ir.h"

/* "tests/ir/" below the source folder, then the given path; the result is overwritten by the next call. */
const char *test_path(const char *below);
/* The whole file, NUL-terminated; fails the test if it cannot be read.  Release with free. */
char *test_read(const char *path, size_t *len);
void test_write(const char *path, const char *text, size_t len);
/* Calls f for every .hl file of tests/ir/<folder> in the order of names; returns how many there are. */
int test_each(const char *folder, void (*f)(const char *path, const char *name));
/* HL_BLESS=1: goldens are rewritten instead of compared. */
int test_bless(void);
/* Parses; fails the test with the diagnostic if that fails. */
hl_kernel *test_parse(const char *text, size_t len, const char *name);
/* As printed; release with free. */
char *test_print(const hl_kernel *k);

#endif
