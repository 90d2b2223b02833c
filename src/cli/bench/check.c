/* check.c: hl-bench check: the conformance matrix on a device.  Every kernel and dtype runs in a child process of
 * its own, --jobs of them at a time, which reports case by case through a pipe: a case that hangs or crashes ends its
 * child, is recorded, and the next child goes on. */
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

static int run_cases(const bench_options *o, const hl_example *e, hl_dtype dtype, FILE *out) {
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

enum { MOST = 1 << 16 }; /* bytes of a line */

/* One kernel and dtype, and the process that runs its cases. */
typedef struct child {
  const hl_example *example;
  hl_dtype dtype;
  pid_t pid; /* 0: not started yet */
  int fd;    /* of its reports; -1: none */
  bool done;
  double heard; /* when it last said something */
  char *text;   /* said, and not yet understood: `used` bytes, and room for a NUL */
  size_t used;
  char current[160]; /* the case that runs; "" none */
  json cases;
  int ok, wrong, error, lost; /* lost: hung or crashed */
} child;

typedef struct tally {
  const bench_options *o;
  child *children;
  size_t count, next, told; /* started so far; of whose kernels the totals were printed */
  char trouble[1100];       /* the device cannot be used */
} tally;

static void take_line(tally *t, child *c, char *line) {
  if (line[0] == 's') {
    snprintf(c->current, sizeof c->current, "%.*s", (int)sizeof c->current - 1, line + 2);
    bench_progress("%s", c->current);
  } else if (line[0] == 'r') {
    char *words = strchr(line, '\t'), *text = words ? strchr(words + 1, '\t') : NULL;
    if (!text)
      return;
    *words++ = 0;
    *text++ = 0;
    const bool ok = !strcmp(line + 2, "ok"), wrong = !strcmp(line + 2, "wrong");
    c->ok += ok, c->wrong += wrong, c->error += !ok && !wrong;
    if (!ok)
      printf("%s: %s: %s\n", c->current, line + 2, words);
    jw_raw(&c->cases, NULL, text);
    c->current[0] = 0;
  } else if (line[0] == 'x') {
    snprintf(t->trouble, sizeof t->trouble, "%.*s", (int)sizeof t->trouble - 1, line + 2);
  }
}

/* Reads what is there.  False: it has ended. */
static bool listen_to(tally *t, child *c) {
  const ssize_t n = read(c->fd, c->text + c->used, MOST - c->used);
  if (n <= 0)
    return n < 0 && errno == EINTR;
  c->heard = cli_now();
  c->used += (size_t)n;
  c->text[c->used] = 0;
  char *line = c->text;
  for (char *end; (end = strchr(line, '\n')); line = end + 1) {
    *end = 0;
    take_line(t, c, line);
  }
  c->used -= (size_t)(line - c->text);
  memmove(c->text, line, c->used);
  if (c->used == MOST)
    c->used = 0; /* no such lines are written */
  return true;
}

static void record_loss(child *c, const char *how) {
  char *what =
      c->current[0] ? cli_format("%s", c->current) : cli_format("%s %s", c->example->name, hl_dtype_text(c->dtype));
  c->lost++;
  printf("%s: %s\n", what, how);
  jw_open(&c->cases, NULL, '{');
  jw_text(&c->cases, "case", what);
  jw_text(&c->cases, "verdict", "lost");
  jw_text(&c->cases, "words", how);
  jw_close(&c->cases, '}');
  free(what);
}

/* `silent`: it is ended, for it has said nothing for too long. */
static void finish(const tally *t, child *c, bool silent) {
  int status = 0;
  char *how = NULL;
  if (silent)
    kill(c->pid, SIGKILL);
  close(c->fd);
  waitpid(c->pid, &status, 0);
  if (silent)
    how =
        cli_format("no answer for %.0f seconds; its process was ended, the cases after it were not run", t->o->timeout);
  else if (WIFSIGNALED(status))
    how = cli_format("its process died of signal %d (%s); the cases after it were not run", WTERMSIG(status),
                     strsignal(WTERMSIG(status)));
  if (how)
    record_loss(c, how);
  free(how);
  free(c->text);
  c->fd = -1;
  c->done = true;
}

static void start(tally *t, child *c) {
  int fd[2];
  fflush(NULL);
  c->pid = pipe(fd) == 0 ? fork() : -1;
  if (c->pid < 0) {
    record_loss(c, "no child process could be started");
    c->done = true;
    return;
  }
  if (c->pid == 0) {
    close(fd[0]);
    FILE *out = fdopen(fd[1], "w");
    _exit(out ? run_cases(t->o, c->example, c->dtype, out) : CLI_FAILED);
  }
  close(fd[1]);
  c->fd = fd[0];
  c->text = cli_alloc(MOST + 1, 1);
  c->heard = cli_now();
}

/* Waits until one of those that run says something, ends, or has been silent for too long. */
static void attend(tally *t) {
  struct pollfd p[BENCH_JOBS];
  child *of[BENCH_JOBS];
  nfds_t n = 0;
  double first = cli_now();
  for (size_t i = 0; i < t->next; i++)
    if (!t->children[i].done) {
      of[n] = &t->children[i];
      p[n] = (struct pollfd){.fd = of[n]->fd, .events = POLLIN};
      first = of[n]->heard < first ? of[n]->heard : first;
      n++;
    }
  const double left = first + t->o->timeout - cli_now();
  const int wait = t->o->timeout <= 0 ? -1 : left > 0 ? (int)(left * 1000) + 1 : 0;
  if (poll(p, n, wait) < 0 && errno != EINTR)
    return;
  for (nfds_t i = 0; i < n; i++) {
    if (p[i].revents && !listen_to(t, of[i]))
      finish(t, of[i], false);
    else if (t->o->timeout > 0 && cli_now() - of[i]->heard > t->o->timeout)
      finish(t, of[i], true);
  }
}

/* The totals of kernels all of whose dtypes are done, in the ladder's order. */
static void tell(tally *t) {
  while (t->told < t->count) {
    const child *c = &t->children[t->told];
    size_t end = t->told;
    int ok = 0, bad = 0;
    for (; end < t->count && t->children[end].example == c->example; end++) {
      if (!t->children[end].done)
        return;
      ok += t->children[end].ok;
      bad += t->children[end].wrong + t->children[end].error + t->children[end].lost;
    }
    bench_progress(" ");
    printf("%-16s %d right, %d not\n", c->example->name, ok, bad);
    t->told = end;
  }
}

static void list_children(tally *t) {
  size_t most = 0;
  for (uint32_t i = 0; i < hl_example_count; i++)
    for (const hl_dtype *d = hl_examples[i]->dtypes; *d != HL_DTYPE_NONE; d++)
      most++;
  t->children = cli_alloc(most + 1, sizeof *t->children);
  for (uint32_t i = 0; i < hl_example_count; i++)
    for (const hl_dtype *d = hl_examples[i]->dtypes; *d != HL_DTYPE_NONE; d++)
      if (bench_selected(t->o, hl_examples[i]->name) && (t->o->dtype == HL_DTYPE_NONE || *d == t->o->dtype))
        t->children[t->count++] = (child){.example = hl_examples[i], .dtype = *d, .fd = -1};
}

static void run_all(tally *t) {
  size_t running = 0;
  while (running || (t->next < t->count && !t->trouble[0])) {
    if (running < (size_t)t->o->jobs && t->next < t->count && !t->trouble[0])
      start(t, &t->children[t->next++]);
    else
      attend(t);
    running = 0;
    for (size_t i = 0; i < t->next; i++)
      running += !t->children[i].done;
    tell(t);
  }
}

static child write_cases(tally *t, json *j) {
  child sum = {0};
  jw_open(j, "cases", '[');
  for (size_t i = 0; i < t->count; i++) {
    child *c = &t->children[i];
    if (c->cases.out.text)
      jw_raw(j, NULL, c->cases.out.text);
    jw_free(&c->cases);
    sum.ok += c->ok, sum.wrong += c->wrong, sum.error += c->error, sum.lost += c->lost;
  }
  jw_close(j, ']');
  return sum;
}

/* In a child too: a process that forks after it used CUDA has no CUDA in its children. */
int bench_check(const bench_options *o) {
  tally t = {.o = o};
  json j = {0};
  list_children(&t);
  if (!t.count) {
    free(t.children);
    return cli_misuse(o->who, "no kernel matches --filter and --dtype");
  }
  run_all(&t);
  jw_open(&j, NULL, '{');
  report_environment(&j, o, NULL, "", "");
  jw_text(&j, "checked_device", o->device);
  const child sum = write_cases(&t, &j);
  free(t.children);
  jw_integer(&j, "right", sum.ok);
  jw_integer(&j, "wrong", sum.wrong);
  jw_integer(&j, "error", sum.error);
  jw_integer(&j, "lost", sum.lost);
  if (t.trouble[0])
    jw_text(&j, "trouble", t.trouble);
  jw_close(&j, '}');
  const int code = report_write(o, &j);
  if (t.trouble[0])
    return cli_fail(o->who, "device %s: %s", o->device, t.trouble);
  printf("%s: %d right, %d wrong, %d errors, %d hung or crashed\n", o->device, sum.ok, sum.wrong, sum.error, sum.lost);
  return sum.wrong + sum.error + sum.lost ? CLI_FAILED : code;
}
