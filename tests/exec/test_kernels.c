/* test_kernels.c: what a kernel means does not depend on where it runs.  Every text in tests/exec/kernels, with the
 * sizes of its first line ('# shapes: M=5,N=7; M=1,N=1'), in the default configuration and two random ones: as
 * built, lowered for the CPU and for GPUs in the interpreter, on the CPU and on a GPU if there is one, against the
 * interpreter's exact mode; and ptxas, where there is one, takes the code.
 * ctest-timeout: 900 */
#include <dirent.h>

#include "tests/exec/exec.h"

enum { CONFIGS = 3, MOST = 128 };

typedef struct file {
  char path[256];
  char *shapes; /* of the first line */
} file;

typedef struct spot {
  const char *name, *device, *target;
} spot;

static const spot spots[] = {{"cpu", "cpu", NULL},
                             {"cuda", "cuda", NULL},
                             {"interpreter", NULL, NULL},
                             {"interpreter, host", NULL, "host"},
                             {"interpreter, sm_90a", NULL, "nvptx:sm_90a"},
                             {"interpreter, sm_80", NULL, "nvptx:sm_80"}};

static char *first_line(const char *path) {
  static const char mark[] = "# shapes:";
  char line[512] = "";
  FILE *f = fopen(path, "r");
  if (!f || !fgets(line, sizeof line, f) || strncmp(line, mark, sizeof mark - 1) != 0)
    fail_msg("%s does not begin with '%s'", path, mark);
  fclose(f);
  line[strcspn(line, "\n")] = 0;
  return cli_format("%s", line + sizeof mark - 1);
}

/* False: the device is not there. */
static bool open_spot(const spot *s, cli_place *place) {
  hl_diag d = {0};
  *place = (cli_place){.ctx = exec_context()};
  if (s->target)
    place->target = exec_target(s->target);
  if (!s->device)
    return true;
  if (hl_device_open(place->ctx, s->device, &d, &place->dev) != HL_OK) {
    assert_true(d.status == HL_ERR_NO_DRIVER || d.status == HL_ERR_NO_DEVICE);
    hl_context_destroy(place->ctx);
    return false;
  }
  assert_int_equal(cli_device_target(place->dev, &d, &place->target), HL_OK);
  return true;
}

static hl_status make_config(const cli_place *place, const hl_kernel *k, const cli_shape *shape, uint32_t seed,
                             hl_diag *d, hl_config **out) {
  if (!place->target)
    return HL_OK;
  return seed ? hl_config_random(k, shape->bind, shape->count, place->target, seed, d, out)
              : hl_config_default(k, shape->bind, shape->count, place->target, d, out);
}

/* ptxas has nothing to say against it. */
static hl_status assemble(const cli_place *place, const hl_kernel *k, const cli_shape *shape, const hl_config *config,
                          hl_diag *d) {
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  hl_blob *code = NULL;
  o.shape = shape->bind, o.shape_count = shape->count, o.config = config, o.emit = HL_EMIT_OBJ;
  if (!place->target || place->dev || strncmp(hl_target_name(place->target).ptr, "nvptx", 5) != 0)
    return HL_OK;
  const hl_status s = hl_compile(place->ctx, k, place->target, &o, d, &code);
  hl_blob_release(code);
  return s;
}

static int run_one(const spot *at, const cli_place *place, const cli_kernel *k, const cli_shape *shape,
                   uint32_t seed) {
  hl_diag d = {0};
  hl_config *config = NULL;
  cli_args args = {0};
  cli_verdict verdict = {.right = true};
  hl_status s = cli_args_create(k->kernel, shape, &d, &args);
  if (s == HL_OK)
    s = make_config(place, k->kernel, shape, seed, &d, &config);
  if (s == HL_OK)
    s = assemble(place, k->kernel, shape, config, &d);
  if (s == HL_OK) {
    cli_args_fill(&args, 1 + seed);
    s = cli_args_interpret(&args, place->ctx, k->kernel, &d);
  }
  if (s == HL_OK) {
    cli_args_fill(&args, 1 + seed);
    s = cli_run(place, k->kernel, config, &args, &d);
  }
  if (s == HL_OK)
    cli_args_judge(&args, cli_args_terms(&args), &verdict);
  if (s != HL_OK || !verdict.right) {
    char *json = cli_config_text(config), *sizes = cli_shape_text(shape);
    print_error("%s, %s, %s: %s\n", at->name, sizes, json, s != HL_OK ? d.message : verdict.words);
    free(json);
    free(sizes);
  }
  cli_args_free(&args);
  hl_config_destroy(config);
  return s != HL_OK || !verdict.right;
}

static int run_shape(const spot *at, const cli_place *place, const cli_kernel *k, const char *text) {
  cli_shape given = {0}, shape;
  int wrong = 0;
  assert_int_equal(cli_shape_parse("test", text + strspn(text, " "), &given), 0);
  assert_int_equal(cli_shape_complete("test", k, &given, NULL, &shape), 0);
  for (uint32_t seed = 0; seed < (place->target ? CONFIGS : 1); seed++)
    wrong += run_one(at, place, k, &shape, seed);
  return wrong;
}

static int run_spot(const file *f, const spot *at) {
  cli_place place;
  cli_kernel k = {0};
  int wrong = 0;
  if (!open_spot(at, &place))
    return 0;
  if (cli_kernel_open("test", place.ctx, f->path, HL_DTYPE_NONE, &k) != 0)
    fail_msg("%s does not open", f->path);
  char *shapes = cli_format("%s", f->shapes), *rest = NULL;
  for (char *one = strtok_r(shapes, ";", &rest); one; one = strtok_r(NULL, ";", &rest))
    wrong += run_shape(at, &place, &k, one);
  free(shapes);
  cli_kernel_close(&k);
  hl_device_close(place.dev);
  hl_context_destroy(place.ctx);
  return wrong;
}

static void run_file(void **state) {
  int wrong = 0;
  for (size_t i = 0; i < sizeof spots / sizeof spots[0]; i++)
    wrong += run_spot(*state, &spots[i]);
  if (wrong)
    fail_msg("%d cases went wrong", wrong);
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const file *)a)->path, ((const file *)b)->path);
}

int main(void) {
  static file files[MOST];
  static struct CMUnitTest tests[MOST];
  const char *root = getenv("HL_SOURCE_DIR");
  char folder[200];
  size_t n = 0;
  snprintf(folder, sizeof folder, "%s/tests/exec/kernels", root ? root : ".");
  DIR *dir = opendir(folder);
  for (struct dirent *e; dir && (e = readdir(dir)) && n < MOST;)
    if (strlen(e->d_name) < 50 && strlen(e->d_name) > 3 && !strcmp(e->d_name + strlen(e->d_name) - 3, ".hl"))
      snprintf(files[n++].path, sizeof files[0].path, "%s/%.50s", folder, e->d_name);
  if (dir)
    closedir(dir);
  qsort(files, n, sizeof files[0], by_path);
  for (size_t i = 0; i < n; i++) {
    files[i].shapes = first_line(files[i].path);
    tests[i] = (struct CMUnitTest){
        .name = strrchr(files[i].path, '/') + 1, .test_func = run_file, .initial_state = &files[i]};
  }
  if (!n)
    printf("no kernels in %s\n", folder);
  const int failed = n ? _cmocka_run_group_tests("kernels", tests, n, NULL, NULL) : 1;
  for (size_t i = 0; i < n; i++)
    free(files[i].shapes);
  return failed;
}
