/* words.h: what hl and hl-bench say and how they end: messages, exit codes, options, files, time. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include <stdarg.h>
#include <stddef.h>

#include "hl/hl.h"

/* Exit codes: 0 when all went well. */
#define CLI_FAILED 1 /* it was tried and did not work, or a result is wrong */
#define CLI_MISUSE 2 /* the command line is wrong; nothing was tried */

struct option;

/* Zeroed memory; when there is none the program ends with words. */
void *cli_alloc(size_t count, size_t size);
char *cli_copy(const char *text, size_t length);
__attribute__((format(printf, 1, 2))) char *cli_format(const char *format, ...);

/* Print "who: message" to stderr and return the exit code. */
__attribute__((format(printf, 2, 3))) int cli_fail(const char *who, const char *format, ...);
__attribute__((format(printf, 2, 3))) int cli_misuse(const char *who, const char *format, ...);
/* Prints a status as "file:line: message", or "who: message" where no file is known. */
int cli_report(const char *who, hl_status status, const hl_diag *diag);

/* The known word that is nearest to a mistyped one; NULL if none is near. */
const char *cli_nearest(const char *word, const char *const *known, size_t count);

/* getopt_long with words: the option's value, -1 at the end, '?' after the mistake was printed. */
int cli_next_option(const char *who, int argc, char **argv, const struct option *table);

/* The file's bytes with a NUL behind them; NULL after a message.  "-" is the standard input. */
char *cli_read_file(const char *who, const char *path, size_t *length);
/* Writes all of it or says why not; NULL or "-" is the standard output. */
int cli_write_file(const char *who, const char *path, const void *data, size_t length);

/* The exit code after everything was printed: `code`, or 1 with a message when the standard output could not be
 * written. */
int cli_finish(const char *who, int code);

double cli_now(void); /* seconds, monotonic */
unsigned long long cli_fresh_seed(void);
/* A seed from the command line: 0, or an exit code after a message. */
int cli_seed_parse(const char *who, const char *text, uint64_t *out);

#endif
