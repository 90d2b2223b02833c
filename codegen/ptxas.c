/* ptxas.c: runs NVIDIA's assembler as a process: PTX in, cubin and resource report out.
 *
 * The only file of this room that talks to the operating system.  No shell; the files lie in a folder of their
 * own that is removed in any case; a deadline ends an assembler that hangs. */
#define _GNU_SOURCE
#include "codegen/nvptx.h"
#include "src/base/tool.h"
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { PATH_BYTES = 512, LOG_BYTES = 8192, DEADLINE_MS = 120000 };

typedef struct job {
  hl_diag *diag;
  const hl_allocator *alloc;
  char tool[HLI_TOOL_PATH];
  char folder[PATH_BYTES];
  char ptx[PATH_BYTES + 16], cubin[PATH_BYTES + 16], log[PATH_BYTES + 16];
} job;

/* ---- files ------------------------------------------------------------------------------------- */

static hl_status make_folder(job *j) {
  const char *tmp = getenv("TMPDIR");
  if (!tmp || !*tmp || strlen(tmp) > PATH_BYTES / 2)
    tmp = "/tmp";
  snprintf(j->folder, sizeof j->folder, "%s/hl-ptxas-XXXXXX", tmp);
  if (!mkdtemp(j->folder))
    return hli_fail(j->diag, HL_ERR_IO, "no folder for temporary files can be made in %s", tmp);
  snprintf(j->ptx, sizeof j->ptx, "%s/k.ptx", j->folder);
  snprintf(j->cubin, sizeof j->cubin, "%s/k.cubin", j->folder);
  snprintf(j->log, sizeof j->log, "%s/k.log", j->folder);
  return HL_OK;
}

static void remove_folder(const job *j) {
  unlink(j->ptx);
  unlink(j->cubin);
  unlink(j->log);
  rmdir(j->folder);
}

static hl_status write_file(const job *j, const char *path, const char *bytes, size_t size) {
  FILE *f = fopen(path, "wb");
  bool ok = f && fwrite(bytes, 1, size, f) == size;
  if (f && fclose(f) != 0)
    ok = false;
  return ok ? HL_OK : hli_fail(j->diag, HL_ERR_IO, "%s cannot be written", path);
}

/* At most size - 1 bytes, NUL-terminated; returns how many. */
static size_t read_some(const char *path, char *out, size_t size) {
  FILE *f = fopen(path, "rb");
  const size_t n = f ? fread(out, 1, size - 1, f) : 0;
  out[n] = 0;
  if (f)
    fclose(f);
  return n;
}

static hl_status read_blob(const job *j, const char *path, hl_blob **out) {
  struct stat st;
  if (stat(path, &st) != 0 || st.st_size <= 0)
    return hli_fail(j->diag, HL_ERR_COMPILE, "%s wrote no code", j->tool);
  const size_t size = (size_t)st.st_size;
  char *bytes = hli_alloc(j->alloc, size + 1, 16);
  if (!bytes)
    return hli_fail_memory(j->diag, "reading assembled code");
  const bool whole = read_some(path, bytes, size + 1) == size;
  *out = whole ? hli_blob_create(j->alloc, bytes, size) : NULL;
  hli_release(j->alloc, bytes, size + 1);
  if (!whole)
    return hli_fail(j->diag, HL_ERR_IO, "%s cannot be read", path);
  return *out ? HL_OK : hli_fail_memory(j->diag, "reading assembled code");
}

/* ---- the process ---------------------------------------------------------------------------------- */

static hl_status start(const job *j, const char *cpu, bool uncapped, pid_t *pid) {
  char arch[48];
  posix_spawn_file_actions_t files;
  snprintf(arch, sizeof arch, "-arch=%s", cpu);
  char *argv[] = {(char *)j->tool,
                  arch,
                  (char *)"-v",
                  (char *)j->ptx,
                  (char *)"-o",
                  (char *)j->cubin,
                  uncapped ? (char *)"--override-directive-values" : NULL,
                  (char *)"--maxrregcount=255",
                  NULL};
  if (posix_spawn_file_actions_init(&files) != 0)
    return hli_fail_memory(j->diag, "starting the assembler");
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, j->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  const int failed = posix_spawn(pid, j->tool, &files, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&files);
  return failed ? hli_fail(j->diag, HL_ERR_IO, "%s cannot be started: %s", j->tool, strerror(failed)) : HL_OK;
}

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* By number: this library includes nothing that could install a handler. */
static void kill_and_reap(pid_t pid) {
  enum { KILL = 9 };
  int status;
  syscall(SYS_kill, pid, KILL);
  waitpid(pid, &status, 0);
}

/* Waits for the end; polling grows from 0.2 to 5 ms. */
static hl_status wait_for(const job *j, pid_t pid, int *status) {
  const int64_t begin = now_ms();
  struct timespec pause = {.tv_nsec = 200000};
  for (;;) {
    const pid_t r = waitpid(pid, status, WNOHANG);
    if (r == pid)
      return HL_OK;
    if (r < 0)
      return hli_fail(j->diag, HL_ERR_IO, "the assembler's end was not reported; does the program ignore SIGCHLD?");
    if (now_ms() - begin > DEADLINE_MS) {
      kill_and_reap(pid);
      return hli_fail(j->diag, HL_ERR_COMPILE, "%s did not end within %d seconds", j->tool, DEADLINE_MS / 1000);
    }
    nanosleep(&pause, NULL);
    if (pause.tv_nsec < 5000000)
      pause.tv_nsec += pause.tv_nsec / 2;
  }
}

/* ---- the report -------------------------------------------------------------------------------------- */

static long number_before(const char *log, const char *words) {
  const char *at = strstr(log, words);
  if (!at)
    return -1;
  while (at > log && at[-1] == ' ')
    at--;
  const char *begin = at;
  while (begin > log && begin[-1] >= '0' && begin[-1] <= '9')
    begin--;
  return begin < at ? strtol(begin, NULL, 10) : -1;
}

/* "registers 40, stack 0, spill stores 0, spill loads 0", then warnings and remarks with a number, one per line. */
static void make_report(const char *log, char *out, size_t size) {
  snprintf(out, size, "registers %ld, stack %ld, spill stores %ld, spill loads %ld", number_before(log, "registers"),
           number_before(log, "bytes stack frame"), number_before(log, "bytes spill stores"),
           number_before(log, "bytes spill loads"));
  for (const char *line = log; *line;) {
    const char *end = strchr(line, '\n');
    const size_t n = end ? (size_t)(end - line) : strlen(line), used = strlen(out);
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)HLI_MIN(n, sizeof text - 1), line);
    if ((strstr(text, "warning") || strstr(text, "C75")) && used + 2 < size)
      snprintf(out + used, size - used, "\n%s", text);
    line += n + (end != NULL);
  }
}

static hl_status run(const job *j, const char *cpu, bool uncapped, char *report, size_t report_size) {
  char log[LOG_BYTES];
  pid_t pid;
  int status = 0;
  hl_status s = start(j, cpu, uncapped, &pid);
  if (s == HL_OK)
    s = wait_for(j, pid, &status);
  if (s != HL_OK)
    return s;
  read_some(j->log, log, sizeof log);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return hli_fail(j->diag, HL_ERR_COMPILE, "%s for %s failed (%s %d): %.700s", j->tool, cpu,
                    WIFEXITED(status) ? "status" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
                    log);
  make_report(log, report, report_size);
  return HL_OK;
}

static bool spills(const char *report) {
  return !strstr(report, "spill stores 0, spill loads 0");
}

hl_status hlc_ptxas(const hlc_request *request, const char *cpu, const char *ptx, size_t size, bool capped,
                    hl_diag *diag, hl_blob **cubin, char *report, size_t report_size) {
  job j = {.diag = diag, .alloc = request->alloc};
  hl_status s = hli_find_ptxas(request->ptxas, diag, j.tool);
  if (s == HL_OK)
    s = make_folder(&j);
  if (s != HL_OK)
    return s;
  s = write_file(&j, j.ptx, ptx, size);
  if (s == HL_OK)
    s = run(&j, cpu, false, report, report_size);
  /* A cap on registers that made it spill was a bad guess. */
  if (s == HL_OK && capped && spills(report))
    s = run(&j, cpu, true, report, report_size);
  if (s == HL_OK)
    s = read_blob(&j, j.cubin, cubin);
  remove_folder(&j);
  return s;
}
