/* check.c: hl-bench check: the conformance matrix on a device.  Every kernel and dtype runs in a child process of
 * its own, which reports case by case through a pipe: a case that hangs or crashes ends its child, is recorded, and
 * the next child goes on. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/cli/bench/bench.h"

/* Lines of the pipe: "s <case>" a case starts; "r <ok|wrong|error>\t<words>\t<JSON>" its result; "x <words>" the
 * device cannot be used. */

/* ---- child ---- */

static void report_case(FILE *out, const cli_case *c, const cli_outcome *o) {
  char *text = cli_case_text(c);
  json j = {0};
  const char *verdict = o->status != HL_OK ? "error" : o->verdict.right ? "ok" : "wrong";
  jw_open(&j, NULL, '{');
  jw_text(&j, "case", text);
  jw_raw(&j, "config", o->config[0] ? o->config : "null");
  jw_text(&j, "verdict", verdict);
  if (!cli_outcome_right(o))
    jw_text(&j, "words", cli_outcome_words(o));
  if (o->status == HL_OK) {
    jw_number(&j, "frobenius_error", o->verdict.frobenius);
    jw_number(&j, "worst_error_of_allowed", o->verdict.worst);
  }
  jw_close(&j, '}');
  char *line = cli_format("r %s\t%s\t%s", verdict, cli_outcome_right(o) ? "" : cli_outcome_words(o), j.out.text);
  for (char *p = line; *p; p++)
    if (*p == '\n')
      *p = ' ';
  fprintf(out, "%s\n", line);
  fflush(out);
  free(line);
  jw_free(&j);
  free(text);
}

static int child_main(const bench_options *o, const hl_example *e, hl_dtype dtype, FILE *out) {
  cli_place place = {0};
  hl_diag diag = {0};
  hl_status s = hl_context_create(NULL, &diag, &place.ctx);
  if (s == HL_OK)
    s = hl_device_open(place.ctx, o->device, &diag, &place.dev);
  if (s == HL_OK)
    s = cli_device_target(place.dev, &diag, &place.target);
  if (s != HL_OK) {
    fprintf(out, "x %s\n", diag.message);
    fflush(out);
    return CLI_FAILED;
  }
  for (const hl_example_shape *shape = e->odd; shape->size[0]; shape++)
    for (int config = 0; config <= o->configs; config++) {
      const cli_case c = {.example = e, .dtype = dtype, .size = shape->size, .config = (uint32_t)config};
      cli_outcome outcome;
      char *text = cli_case_text(&c);
      fprintf(out, "s %s\n", text);
      fflush(out);
      free(text);
      cli_case_run(&place, &c, &outcome);
      report_case(out, &c, &outcome);
    }
  hl_device_close(place.dev);
  hl_context_destroy(place.ctx);
  return 0;
}

/* ---- parent ---- */

typedef struct tally {
  const bench_options *o;
  json j;
  int ok, wrong, error, lost; /* lost: hung or crashed */
  char current[160];          /* the case that runs; "" none */
  char trouble[1100];         /* the device cannot be used */
} tally;

static void take_line(tally *t, char *line) {
  if (line[0] == 's') {
    snprintf(t->current, sizeof t->current, "%.*s", (int)sizeof t->current - 1, line + 2);
    bench_progress("%s", t->current);
  } else if (line[0] == 'r') {
    char *words = strchr(line, '\t'), *text = words ? strchr(words + 1, '\t') : NULL;
    if (!text)
      return;
    *words++ = 0;
    *text++ = 0;
    const bool ok = !strcmp(line + 2, "ok"), wrong = !strcmp(line + 2, "wrong");
    t->ok += ok, t->wrong += wrong, t->error += !ok && !wrong;
    if (!ok)
      printf("%s: %s: %s\n", t->current, line + 2, words);
    jw_raw(&t->j, NULL, text);
    t->current[0] = 0;
  } else if (line[0] == 'x') {
    snprintf(t->trouble, sizeof t->trouble, "%.*s", (int)sizeof t->trouble - 1, line + 2);
  }
}

/* Reads the child's lines to their end.  False: it was silent for too long. */
static bool follow(tally *t, int fd) {
  enum { MOST = 1 << 16 };
  char *text = cli_alloc(MOST + 1, 1);
  size_t used = 0;
  struct pollfd p = {.fd = fd, .events = POLLIN};
  bool alive = true;
  for (;;) {
    const int ready = poll(&p, 1, t->o->timeout > 0 ? (int)(t->o->timeout * 1000) : -1);
    if (ready < 0 && errno == EINTR)
      continue;
    if (ready <= 0) {
      alive = false;
      break;
    }
    const ssize_t n = read(fd, text + used, MOST - used);
    if (n <= 0)
      break;
    used += (size_t)n;
    text[used] = 0;
    char *line = text;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
      *end = 0;
      take_line(t, line);
    }
    used -= (size_t)(line - text);
    memmove(text, line, used);
    if (used == MOST)
      used = 0; /* no such lines are written */
  }
  free(text);
  return alive;
}

static void record_loss(tally *t, const char *what, const char *how) {
  t->lost++;
  printf("%s: %s\n", t->current[0] ? t->current : what, how);
  jw_open(&t->j, NULL, '{');
  jw_text(&t->j, "case", t->current[0] ? t->current : what);
  jw_text(&t->j, "verdict", "lost");
  jw_text(&t->j, "words", how);
  jw_close(&t->j, '}');
  t->current[0] = 0;
}

static void check_one(tally *t, const hl_example *e, hl_dtype dtype) {
  int fd[2], status = 0;
  char *what = cli_format("%s %s", e->name, hl_dtype_text(dtype));
  fflush(NULL);
  const pid_t pid = pipe(fd) == 0 ? fork() : -1;
  if (pid < 0) {
    record_loss(t, what, "no child process could be started");
    free(what);
    return;
  }
  if (pid == 0) {
    close(fd[0]);
    FILE *out = fdopen(fd[1], "w");
    _exit(out ? child_main(t->o, e, dtype, out) : CLI_FAILED);
  }
  close(fd[1]);
  const bool alive = follow(t, fd[0]);
  if (!alive)
    kill(pid, SIGKILL);
  close(fd[0]);
  waitpid(pid, &status, 0);
  if (!alive) {
    char *how =
        cli_format("no answer for %.0f seconds; its process was ended, the cases after it were not run", t->o->timeout);
    record_loss(t, what, how);
    free(how);
  } else if (WIFSIGNALED(status)) {
    char *how = cli_format("its process died of signal %d (%s); the cases after it were not run", WTERMSIG(status),
                           strsignal(WTERMSIG(status)));
    record_loss(t, what, how);
    free(how);
  }
  free(what);
}

static void check_examples(tally *t) {
  jw_open(&t->j, "cases", '[');
  for (uint32_t i = 0; i < hl_example_count && !t->trouble[0]; i++) {
    const hl_example *e = hl_examples[i];
    const int before = t->ok, bad = t->wrong + t->error + t->lost;
    if (!bench_selected(t->o, e->name))
      continue;
    for (const hl_dtype *d = e->dtypes; *d != HL_DTYPE_NONE && !t->trouble[0]; d++)
      if (t->o->dtype == HL_DTYPE_NONE || *d == t->o->dtype)
        check_one(t, e, *d);
    bench_progress(" ");
    if (!t->trouble[0])
      printf("%-16s %d right, %d not\n", e->name, t->ok - before, t->wrong + t->error + t->lost - bad);
  }
  jw_close(&t->j, ']');
}

/* In a child too: a process that forks after it used CUDA has no CUDA in its children. */
int bench_check(const bench_options *o) {
  tally t = {.o = o};
  jw_open(&t.j, NULL, '{');
  report_environment(&t.j, o, NULL, "", "");
  jw_text(&t.j, "checked_device", o->device);
  check_examples(&t);
  jw_integer(&t.j, "right", t.ok);
  jw_integer(&t.j, "wrong", t.wrong);
  jw_integer(&t.j, "error", t.error);
  jw_integer(&t.j, "lost", t.lost);
  if (t.trouble[0])
    jw_text(&t.j, "trouble", t.trouble);
  jw_close(&t.j, '}');
  const int code = report_write(o, &t.j);
  if (t.trouble[0])
    return cli_fail(o->who, "device %s: %s", o->device, t.trouble);
  if (t.ok + t.wrong + t.error + t.lost == 0)
    return cli_misuse(o->who, "no kernel matches --filter and --dtype");
  printf("%s: %d right, %d wrong, %d errors, %d hung or crashed\n", o->device, t.ok, t.wrong, t.error, t.lost);
  return t.wrong + t.error + t.lost ? CLI_FAILED : code;
}
