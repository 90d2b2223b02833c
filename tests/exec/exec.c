/* exec.c: runs the conformance matrix of exec.h. */
#include "tests/exec/exec.h"

typedef struct member {
  const exec_options *options;
  const cli_place *place;
  const hl_example *example;
  hl_dtype dtype;
} member;

/* These tests are about compiling: nothing comes out of the cache. */
static const hl_context_options uncached = {.size = sizeof uncached, .cache_dir = ""};

hl_context *exec_context(void) {
  hl_diag diag = {0};
  hl_context *ctx = NULL;
  if (hl_context_create(&uncached, &diag, &ctx) != HL_OK)
    fail_msg("no context: %s", diag.message);
  return ctx;
}

const hl_target *exec_target(const char *name) {
  hl_diag diag = {0};
  const hl_target *target = NULL;
  if (hl_target_find((hl_str){name, strlen(name)}, &diag, &target) != HL_OK)
    fail_msg("%s", diag.message);
  return target;
}

uint32_t exec_configs(const hl_example *e, uint32_t shape, uint32_t most) {
  static const char *const base[] = {"vector_add", "sum", "softmax", "matmul"};
  for (size_t i = 0; i < sizeof base / sizeof *base; i++)
    if (strcmp(e->name, base[i]) == 0)
      return most;
  return shape ? 0 : most < 2 ? most : 2;
}

/* 1 if the case went wrong, after saying how. */
static int run_case(const member *m, const int64_t *size, uint32_t config) {
  const cli_case c = {.example = m->example, .dtype = m->dtype, .size = size, .config = config};
  cli_outcome o;
  cli_case_run(m->place, &c, &o);
  if (cli_outcome_right(&o))
    return 0;
  char *text = cli_case_text(&c);
  print_error("%s %s: %s\n", text, o.config, cli_outcome_words(&o));
  free(text);
  return 1;
}

static void run_member(void **state) {
  const member *m = *state;
  int wrong = 0, count = 0;
  for (const hl_example_shape *s = m->example->odd; s->size[0]; s++) {
    if (m->options->most_work > 0 && m->example->flops(s->size) > m->options->most_work)
      continue;
    const uint32_t configs = exec_configs(m->example, (uint32_t)(s - m->example->odd), m->options->configs);
    for (uint32_t config = 0; config <= configs; config++, count++)
      wrong += run_case(m, s->size, config);
  }
  assert_true(count > 0);
  if (wrong)
    fail_msg("%d of %d cases went wrong", wrong, count);
}

static int run_members(const char *name, const exec_options *options, const cli_place *place) {
  enum { MOST = 512 };
  static member members[MOST];
  static struct CMUnitTest tests[MOST];
  size_t n = 0;
  for (uint32_t i = 0; i < hl_example_count; i++)
    for (const hl_dtype *d = hl_examples[i]->dtypes; *d != HL_DTYPE_NONE && n < MOST; d++, n++) {
      members[n] = (member){options, place, hl_examples[i], *d};
      tests[n] = (struct CMUnitTest){.name = cli_format("%s %s", hl_examples[i]->name, hl_dtype_text(*d)),
                                     .test_func = run_member,
                                     .initial_state = &members[n]};
    }
  const int failed = _cmocka_run_group_tests(name, tests, n, NULL, NULL);
  for (size_t i = 0; i < n; i++)
    free((char *)(uintptr_t)tests[i].name);
  return failed;
}

static int open_place(const exec_options *o, cli_place *place) {
  hl_diag diag = {0};
  hl_status s = hl_context_create(&uncached, &diag, &place->ctx);
  if (s == HL_OK && o->device)
    s = hl_device_open(place->ctx, o->device, &diag, &place->dev);
  if (s == HL_OK && place->dev)
    s = cli_device_target(place->dev, &diag, &place->target);
  if (s == HL_OK && o->target)
    s = hl_target_find((hl_str){o->target, strlen(o->target)}, &diag, &place->target);
  if (s == HL_OK)
    return 0;
  const bool absent = s == HL_ERR_NO_DRIVER || s == HL_ERR_NO_DEVICE;
  printf("%s: %s\n", absent ? "skipped" : "failed", diag.message);
  hl_context_destroy(place->ctx);
  return absent ? 77 : 1;
}

int check_matrix(const char *name, const exec_options *options) {
  cli_place place = {0};
  int code = open_place(options, &place);
  if (code)
    return code;
  code = run_members(name, options, &place);
  hl_device_close(place.dev);
  hl_context_destroy(place.ctx);
  return code;
}
