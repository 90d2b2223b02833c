/* Every kernel, dtype and configuration of the matrix, compiled for the GPUs: ptxas takes the PTX, does not complain
 * about the pipelining of matrix instructions (C75xx), and spills no register of a default configuration; of random
 * ones, which lie at the edge of what the register estimate allows, one in a hundred may spill.  No GPU is needed.
 * HL_PTXAS names the assembler; without one everything is compiled and counted as not assembled.
 * ctest-timeout: 1800 */
#include "tests/exec/exec.h"

#include <sys/wait.h>
#include <unistd.h>

typedef struct member {
  const hl_example *example;
  hl_dtype dtype;
  const char *target;
} member;

static int assembled, not_assembled, spilled;

/* What ptxas complained about, if anything. */
static void assemble(const char *ptx, size_t length, const char *target, bool may_spill, char *words, size_t size) {
  char file[] = "/tmp/hl_ptx_XXXXXX", command[512], line[512];
  const int fd = mkstemp(file);
  assert_true(fd >= 0 && write(fd, ptx, length) == (ssize_t)length);
  close(fd);
  snprintf(command, sizeof command, "'%s' -v -arch=%s %s -o /dev/null 2>&1", getenv("HL_PTXAS"),
           strchr(target, ':') + 1, file);
  FILE *out = popen(command, "r");
  assert_non_null(out);
  words[0] = 0;
  while (fgets(line, sizeof line, out)) {
    const char *spill = strstr(line, "bytes spill stores");
    const bool spills = spill && !strstr(line, " 0 bytes spill stores");
    spilled += spills && may_spill;
    if (!words[0] && ((spills && !may_spill) || strstr(line, "C75") || strstr(line, "error") || strstr(line, "fatal")))
      snprintf(words, size, "%.*s", (int)strcspn(line, "\n"), line);
  }
  const int status = pclose(out);
  if (!words[0] && status)
    snprintf(words, size, "ptxas ended with %d", WIFEXITED(status) ? WEXITSTATUS(status) : status);
  unlink(file);
  assembled++;
}

/* 1 if something is wrong. */
static int compile_one(hl_context *ctx, const member *m, const hl_kernel *k, const int64_t *size, uint32_t seed) {
  const hl_target *target = exec_target(m->target);
  hl_diag diag = {0};
  hl_config *config = NULL;
  hl_blob *ptx = NULL;
  cli_shape shape;
  char words[HL_DIAG_TEXT] = "";
  cli_shape_of_example(m->example, size, &shape);
  hl_status s = seed ? hl_config_random(k, shape.bind, shape.count, target, seed, &diag, &config)
                     : hl_config_default(k, shape.bind, shape.count, target, &diag, &config);
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  o.shape = shape.bind, o.shape_count = shape.count, o.config = config, o.emit = HL_EMIT_ASM;
  if (s == HL_OK)
    s = hl_compile(ctx, k, target, &o, &diag, &ptx);
  const bool too_long = s == HL_ERR_LIMIT && m->example->whole_rows && size == m->example->bench.size;
  if (s != HL_OK && !too_long)
    snprintf(words, sizeof words, "%s", diag.message);
  else if (s == HL_OK && getenv("HL_PTXAS"))
    assemble(hl_blob_data(ptx), hl_blob_size(ptx), m->target, seed != 0, words, sizeof words);
  else if (s == HL_OK)
    not_assembled++;
  if (words[0]) {
    const cli_case c = {m->example, m->dtype, size, seed};
    char *text = cli_case_text(&c), *json = cli_config_text(config);
    print_error("%s %s %s: %s\n", m->target, text, json, words);
    free(text);
    free(json);
  }
  hl_blob_release(ptx);
  hl_config_destroy(config);
  return words[0] != 0;
}

static void run_member(void **state) {
  const member *m = *state;
  hl_context *ctx = exec_context();
  hl_kernel *k = NULL;
  hl_diag diag = {0};
  int wrong = 0, odd = 0;
  assert_int_equal(m->example->build(ctx, m->dtype, &diag, &k), HL_OK);
  while (m->example->odd[odd + 1].size[0])
    odd++; /* the last one is the largest */
  const uint32_t seeds = exec_configs(m->example, 0, 5);
  for (uint32_t seed = 0; seed <= seeds; seed++)
    wrong += compile_one(ctx, m, k, m->example->bench.size, seed);
  for (uint32_t seed = 0; seed <= exec_configs(m->example, 1, 2); seed++)
    wrong += compile_one(ctx, m, k, m->example->odd[odd].size, seed);
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
  if (wrong)
    fail_msg("%d went wrong", wrong);
}

static void check_spills(void **state) {
  (void)state;
  print_message("%d of %d configurations spill registers\n", spilled, assembled);
  assert_true(spilled * 100 <= assembled);
}

int main(void) {
  enum { MOST = 512 };
  static member members[MOST];
  static struct CMUnitTest tests[MOST];
  static const char *const targets[] = {"nvptx:sm_90a", "nvptx:sm_80"};
  size_t n = 0;
  for (uint32_t i = 0; i < hl_example_count; i++)
    for (const hl_dtype *d = hl_examples[i]->dtypes; *d != HL_DTYPE_NONE; d++)
      for (size_t t = 0; t < 2 && n + 1 < MOST; t++, n++) {
        members[n] = (member){hl_examples[i], *d, targets[t]};
        tests[n] =
            (struct CMUnitTest){.name = cli_format("%s %s %s", hl_examples[i]->name, hl_dtype_text(*d), targets[t]),
                                .test_func = run_member,
                                .initial_state = &members[n]};
      }
  tests[n] = (struct CMUnitTest){.name = cli_format("spills"), .test_func = check_spills};
  n++;
  const int failed = _cmocka_run_group_tests("ptx", tests, n, NULL, NULL);
  printf("%d assembled, %d not assembled%s\n", assembled, not_assembled,
         not_assembled ? " (skipped: HL_PTXAS is not set)" : "");
  for (size_t i = 0; i < n; i++)
    free((char *)(uintptr_t)tests[i].name);
  return failed;
}
