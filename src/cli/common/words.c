/* words.c: messages, exit codes, option parsing and files of the commands. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/common/words.h"

/* ---- memory and text ---- */

void *cli_alloc(size_t count, size_t size) {
  void *p = calloc(count ? count : 1, size ? size : 1);
  if (!p) {
    fprintf(stderr, "out of memory: %zu times %zu bytes\n", count, size);
    exit(CLI_FAILED);
  }
  return p;
}

char *cli_copy(const char *text, size_t length) {
  char *p = cli_alloc(length + 1, 1);
  memcpy(p, text, length);
  return p;
}

char *cli_format(const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  const int n = vsnprintf(NULL, 0, format, args);
  char *p = cli_alloc((size_t)n + 1, 1);
  vsnprintf(p, (size_t)n + 1, format, again);
  va_end(again);
  va_end(args);
  return p;
}

/* ---- messages ---- */

static void say(const char *who, const char *format, va_list args) {
  fflush(stdout);
  fprintf(stderr, "%s: ", who);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
}

int cli_fail(const char *who, const char *format, ...) {
  va_list args;
  va_start(args, format);
  say(who, format, args);
  va_end(args);
  return CLI_FAILED;
}

int cli_misuse(const char *who, const char *format, ...) {
  va_list args;
  va_start(args, format);
  say(who, format, args);
  va_end(args);
  fprintf(stderr, "%s --help says more\n", who);
  return CLI_MISUSE;
}

int cli_report(const char *who, hl_status status, const hl_diag *diag) {
  const char *words = diag && diag->message[0] ? diag->message : hl_status_text(status);
  fflush(stdout);
  if (diag && diag->file[0] && diag->column)
    fprintf(stderr, "%s:%u:%u: %s\n", diag->file, diag->line, diag->column, words);
  else if (diag && diag->file[0])
    fprintf(stderr, "%s:%u: %s\n", diag->file, diag->line, words);
  else
    fprintf(stderr, "%s: %s\n", who, words);
  return CLI_FAILED;
}

/* ---- mistyped words ---- */

/* Levenshtein's distance; words of up to 63 characters. */
static size_t distance(const char *a, const char *b) {
  size_t row[64], n = strlen(b);
  if (n > 63 || strlen(a) > 63)
    return 64;
  for (size_t j = 0; j <= n; j++)
    row[j] = j;
  for (size_t i = 1; a[i - 1]; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= n; j++) {
      const size_t above = row[j], swap = diagonal + (a[i - 1] != b[j - 1]);
      row[j] = above < row[j - 1] ? above + 1 : row[j - 1] + 1;
      if (swap < row[j])
        row[j] = swap;
      diagonal = above;
    }
  }
  return row[n];
}

const char *cli_nearest(const char *word, const char *const *known, size_t count) {
  const char *best = NULL;
  size_t least = strlen(word) / 3 + 2; /* one slip, and another for every three letters */
  for (size_t i = 0; i < count; i++) {
    const size_t d = distance(word, known[i]);
    if (d < least)
      best = known[i], least = d;
  }
  return best;
}

static int unknown_option(const char *who, const char *word, const struct option *table) {
  const char *names[64];
  size_t n = 0;
  for (; table[n].name && n < 64; n++)
    names[n] = table[n].name;
  const char *text = word + strspn(word, "-");
  char *name = cli_copy(text, strcspn(text, "="));
  const char *near = cli_nearest(name, names, n);
  cli_misuse(who, near ? "there is no option %s; did you mean --%s?" : "there is no option %s", word, near);
  free(name);
  return '?';
}

int cli_next_option(const char *who, int argc, char **argv, const struct option *table) {
  char shorts[160] = ":";
  size_t used = 1;
  for (const struct option *o = table; o->name && used + 2 < sizeof shorts; o++) {
    if (o->val <= ' ' || o->val > '~')
      continue;
    shorts[used++] = (char)o->val;
    if (o->has_arg == required_argument)
      shorts[used++] = ':';
  }
  shorts[used] = 0;
  opterr = 0;
  const int at = optind ? optind : 1;
  const int found = getopt_long(argc, argv, shorts, table, NULL);
  if (found == ':') {
    cli_misuse(who, "%s wants a value", argv[optind - 1]);
    return '?';
  }
  if (found != '?')
    return found;
  const char *word = at < argc ? argv[at] : "";
  for (int i = at; i < argc && i <= optind; i++) /* operands before it were skipped */
    if (argv[i][0] == '-' && argv[i][1]) {
      word = argv[i];
      break;
    }
  if (optopt && word[1] != '-') {
    cli_misuse(who, "there is no option -%c", optopt);
    return '?';
  }
  return unknown_option(who, word, table);
}

/* ---- files ---- */

char *cli_read_file(const char *who, const char *path, size_t *length) {
  FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
  if (!f) {
    cli_fail(who, "cannot open %s: %s", path, strerror(errno));
    return NULL;
  }
  size_t n = 0, cap = 1 << 14;
  char *text = cli_alloc(cap, 1);
  for (size_t got; (got = fread(text + n, 1, cap - n - 1, f)) > 0;) {
    n += got;
    if (cap - n > 1)
      continue;
    char *more = cli_alloc(cap * 2, 1);
    memcpy(more, text, n);
    free(text);
    text = more;
    cap *= 2;
  }
  const int bad = ferror(f);
  if (f != stdin)
    fclose(f);
  if (bad) {
    cli_fail(who, "cannot read %s: %s", path, strerror(errno));
    free(text);
    return NULL;
  }
  text[n] = 0;
  *length = n;
  return text;
}

int cli_write_file(const char *who, const char *path, const void *data, size_t length) {
  const int standard = !path || strcmp(path, "-") == 0;
  FILE *f = standard ? stdout : fopen(path, "wb");
  if (!f)
    return cli_fail(who, "cannot write %s: %s", path, strerror(errno));
  int bad = fwrite(data, 1, length, f) != length;
  bad |= standard ? fflush(f) : fclose(f);
  return bad ? cli_fail(who, "cannot write %s: %s", standard ? "the standard output" : path, strerror(errno)) : 0;
}

int cli_finish(const char *who, int code) {
  const bool failed = ferror(stdout) != 0; /* an earlier write, whose reason is gone */
  errno = 0;
  if (fflush(stdout) == 0 && !failed)
    return code;
  return code ? code : cli_fail(who, "cannot write the standard output: %s", errno ? strerror(errno) : "write error");
}

/* ---- time ---- */

double cli_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

unsigned long long cli_fresh_seed(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (unsigned long long)t.tv_sec * 1000003u ^ (unsigned long long)t.tv_nsec << 8 ^ (unsigned long long)getpid();
}

int cli_seed_parse(const char *who, const char *text, uint64_t *out) {
  char *end;
  errno = 0;
  *out = strtoull(text, &end, 10);
  if (end != text && !*end && !errno && text[0] != '-')
    return 0;
  return cli_misuse(who, "--seed '%s': wants a number, 0 or more", text);
}
