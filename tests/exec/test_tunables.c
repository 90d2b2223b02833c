/* test_tunables.c: knobs that a kernel declares: what they decide, how configurations carry them, what is refused. */
#include "tests/exec/everywhere.h"

static void must(hl_status s, const hl_diag *d) {
  if (s != HL_OK)
    fail_msg("%s", d->message);
}

enum { N = 200 };

/* out[i] = scale(mode) (x[i] + x[i] + ..., `times` of them) + first index of the block of `block` that holds i if
 * `mark`. */
static hl_kernel *build(hl_context *ctx) {
  hl_diag d = {0};
  hl_builder *b;
  must(hl_builder_create(ctx, "tuned", &d, &b), &d);
  const hl_dim n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, &n, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", HL_F32, &n, 1, HL_OUT);
  const hl_value starts = hl_param_tensor(b, "starts", HL_I64, &n, 1, HL_OUT);
  const hl_value block = hl_tunable_power(b, "block", 8, 64, 16);
  const hl_value times = hl_tunable_integer(b, "times", 1, 7, 3, 4);
  const hl_value mode = hl_tunable_enum(b, "mode", (int64_t[]){-2, 3, 5}, 3, 3);
  const hl_value mark = hl_tunable_bool(b, "mark", false);
  hl_value i, j, zero, sum, next, end, first, marked;
  hl_tile_options o = HL_TILE_OPTIONS_INIT, p = HL_TILE_OPTIONS_INIT;
  o.blocks = &block;
  hl_tile_begin_ex(b, (hl_value[]){hl_size(b, x, 0)}, 1, &o, &i);
  const hl_value v = hl_load(b, x, &i, 1);
  zero = hl_zeros(b, &i, 1, HL_F32);
  p.carried = &zero, p.carried_count = 1, p.carried_in = &sum, p.block_min[0] = p.block_max[0] = 1;
  hl_tile_begin_ex(b, &times, 1, &p, &j);
  next = hl_add(b, sum, v);
  hl_tile_end(b, &next, &end);
  hl_store(b, y, &i, 1, hl_mul(b, end, mode));
  first = hl_const_i(b, 0);
  first = hl_cast(b, first, HL_I64);
  hl_if_begin(b, mark, &first, 1, &marked);
  next = hl_add(b, marked, hl_tile_first(b, i));
  hl_if_end(b, &next, &first);
  hl_store(b, starts, &i, 1, hl_add(b, hl_zeros(b, &i, 1, HL_I64), first));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

/* ---- everywhere ---- */

/* Where the values do not show in the results, random configurations may have any. */
static hl_kernel *build_hidden(hl_context *ctx) {
  hl_diag d = {0};
  hl_builder *b;
  must(hl_builder_create(ctx, "hidden", &d, &b), &d);
  const hl_dim n = hl_dim_named(b, "N");
  const hl_value x = hl_param_tensor(b, "x", HL_F32, &n, 1, HL_IN), y = hl_param_tensor(b, "y", HL_F32, &n, 1, HL_OUT);
  const hl_value block = hl_tunable_power(b, "block", 8, 64, 16), again = hl_tunable_bool(b, "again", true);
  const hl_value most = hl_tunable_integer(b, "most", 1, 9, 4, 5);
  hl_value i, j, in, out;
  hl_tile_options o = HL_TILE_OPTIONS_INIT, p = HL_TILE_OPTIONS_INIT;
  o.blocks = &block;
  hl_tile_begin_ex(b, (hl_value[]){hl_size(b, x, 0)}, 1, &o, &i);
  hl_value v = hl_load(b, x, &i, 1), keep;
  hl_if_begin(b, again, &v, 1, &keep);
  keep = hl_max(b, keep, hl_load(b, x, &i, 1));
  hl_if_end(b, &keep, &v);
  p.carried = &v, p.carried_count = 1, p.carried_in = &in, p.block_min[0] = p.block_max[0] = 1;
  hl_tile_begin_ex(b, &most, 1, &p, &j);
  out = hl_max(b, in, v);
  hl_tile_end(b, &out, &v);
  hl_store(b, y, &i, 1, v);
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void random_values(void **state) {
  (void)state;
  double x[N];
  for (int i = 0; i < N; i++)
    x[i] = i - 50;
  const every_tensor t[] = {{HL_F32, 1, {N}, x, NULL, 0}, {HL_F32, 1, {N}, NULL, x, 0}};
  everywhere(build_hidden, t, 2, 0);
}

/* ---- given values ---- */

typedef struct choice {
  const char *json;
  int64_t block, times, mode;
  bool mark;
} choice;

static const choice choices[] = {
    {"{}", 16, 4, 3, false},
    {"{\"tunables\":{\"mark\":true}}", 16, 4, 3, true},
    {"{\"tunables\":{\"block\":64,\"times\":7}}", 64, 7, 3, false},
    {"{\"tunables\":{\"mode\":-2,\"mark\":1,\"block\":8}}", 8, 4, -2, true},
    {"{\"tunables\":{\"times\":1,\"mode\":5,\"mark\":true,\"block\":32}}", 32, 1, 5, true}};

static hl_config *parse(const hl_kernel *k, const hl_target *target, const char *json) {
  hl_diag d = {0};
  hl_config *c = NULL;
  const hl_shape_binding n = {"N", N};
  must(hl_config_parse(k, &n, 1, target, (hl_str){json, strlen(json)}, &d, &c), &d);
  return c;
}

static void judge(const choice *c, const float *x, const float *y, const int64_t *starts) {
  for (int64_t i = 0; i < N; i++) {
    assert_true(y[i] == (float)(c->times * c->mode) * x[i]);
    assert_true(starts[i] == (c->mark ? i / c->block * c->block : 0));
  }
}

static void fill_args(hl_tensor *t, hl_arg *args, void *const *data, int64_t *n) {
  for (int i = 0; i < 3; i++) {
    t[i] = (hl_tensor){.data = data[i],
                       .device = {HL_DEVICE_CPU, 0},
                       .ndim = 1,
                       .dtype = hl_dtype_to_dl(i == 2 ? HL_I64 : HL_F32),
                       .shape = n};
    args[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &t[i]};
  }
}

static void run_interpreted(hl_context *ctx, const hl_kernel *k, const char *target, const choice *c, const float *x,
                            float *y, int64_t *starts, const hl_arg *args) {
  hl_diag d = {0};
  hl_interp_options o = HL_INTERP_OPTIONS_INIT;
  hl_config *config = parse(k, exec_target(target ? target : "host"), c->json);
  o.config = config;
  o.target = target ? exec_target(target) : NULL;
  memset(y, 0, N * sizeof *y), memset(starts, 0, N * sizeof *starts);
  must(hl_interpret(ctx, k, args, 3, &o, &d), &d);
  judge(c, x, y, starts);
  hl_config_destroy(config);
}

static void run_compiled(hl_context *ctx, const hl_kernel *k, const choice *c, const float *x, float *y,
                         int64_t *starts, const hl_arg *args) {
  hl_diag d = {0};
  hl_device *dev = NULL;
  hl_plan *plan = NULL;
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  hl_config *config = parse(k, exec_target("host"), c->json);
  o.args = args, o.arg_count = 3, o.config = config;
  memset(y, 0, N * sizeof *y), memset(starts, 0, N * sizeof *starts);
  must(hl_device_open(ctx, "cpu", &d, &dev), &d);
  must(hl_plan_create(dev, k, &o, &d, &plan), &d);
  must(hl_launch(plan, NULL, args, 3, NULL, &d), &d);
  must(hl_device_synchronize(dev, &d), &d);
  judge(c, x, y, starts);
  hl_plan_destroy(plan);
  hl_device_close(dev);
  hl_config_destroy(config);
}

static void given_values(void **state) {
  (void)state;
  static _Alignas(64) float x[N], y[N];
  static _Alignas(64) int64_t starts[N];
  int64_t n = N;
  hl_tensor t[3];
  hl_arg args[3];
  hl_context *ctx = exec_context();
  hl_kernel *k = build(ctx);
  fill_args(t, args, (void *const[]){x, y, starts}, &n);
  for (int i = 0; i < N; i++)
    x[i] = (float)(i % 17);
  for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
    run_interpreted(ctx, k, NULL, &choices[i], x, y, starts, args);
    run_interpreted(ctx, k, "host", &choices[i], x, y, starts, args);
    run_interpreted(ctx, k, "nvptx:sm_90a", &choices[i], x, y, starts, args);
    run_compiled(ctx, k, &choices[i], x, y, starts, args);
  }
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

/* ---- text, space, JSON ---- */

static char *lowered(hl_context *ctx, const hl_kernel *k, const char *target, hl_emit emit, const char *json) {
  hl_diag d = {0};
  hl_blob *text = NULL;
  const hl_shape_binding n = {"N", N};
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  hl_config *config = parse(k, exec_target(target), json);
  o.shape = &n, o.shape_count = 1, o.config = config, o.emit = emit;
  must(hl_compile(ctx, k, exec_target(target), &o, &d, &text), &d);
  char *copy = cli_format("%.*s", (int)hl_blob_size(text), (const char *)hl_blob_data(text));
  hl_blob_release(text);
  hl_config_destroy(config);
  return copy;
}

/* Values are constants of the lowered text, and a condition leaves one half. */
static void different_code(void **state) {
  (void)state;
  hl_context *ctx = exec_context();
  hl_kernel *k = build(ctx);
  for (int gpu = 0; gpu < 2; gpu++) {
    const char *target = gpu ? "nvptx:sm_90a" : "x86-64-v4";
    const hl_emit emit = gpu ? HL_EMIT_LANE : HL_EMIT_LOOP;
    char *plain = lowered(ctx, k, target, emit, "{}");
    char *tuned = lowered(ctx, k, target, emit, "{\"tunables\":{\"times\":7,\"block\":64}}");
    assert_true(strcmp(plain, tuned) != 0);
    assert_non_null(strstr(plain, " / 16]"));
    assert_non_null(strstr(tuned, " / 64]"));
    assert_non_null(strstr(tuned, "const {value = 7} : i64"));
    assert_null(strstr(plain, "= tunable {"));
    free(plain), free(tuned);
  }
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

static void spaces(void **state) {
  (void)state;
  hl_context *ctx = exec_context();
  hl_kernel *k = build(ctx);
  hl_diag d = {0};
  hl_blob *text = NULL;
  hl_config *c = NULL;
  const hl_shape_binding n = {"N", N};
  must(hl_space_print(k, &n, 1, exec_target("host"), &d, &text), &d);
  static const char *const lines[] = {
      "{\"knob\":\"tunables\",\"instance\":0,\"name\":\"block\",\"owner\":\"tunables\",\"values\":[8,16,32,64],"
      "\"default\":16}",
      "\"name\":\"times\",\"owner\":\"tunables\",\"values\":[1,4,7],\"default\":4}",
      "\"name\":\"mode\",\"owner\":\"tunables\",\"values\":[-2,3,5],\"default\":3}",
      "\"name\":\"mark\",\"owner\":\"tunables\",\"values\":[0,1],\"default\":0}"};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    if (!strstr(hl_blob_data(text), lines[i]))
      fail_msg("no %s in %s", lines[i], (const char *)hl_blob_data(text));
  hl_blob_release(text);
  c = parse(k, exec_target("host"), choices[3].json);
  must(hl_config_print(c, &d, &text), &d);
  const char *canonical = "\"tunables\":{\"block\":8,\"times\":4,\"mode\":-2,\"mark\":true}}";
  if (!strstr(hl_blob_data(text), canonical))
    fail_msg("no %s in %s", canonical, (const char *)hl_blob_data(text));
  hl_config *again = parse(k, exec_target("host"), hl_blob_data(text));
  hl_blob *same = NULL;
  must(hl_config_print(again, &d, &same), &d);
  assert_string_equal(hl_blob_data(text), hl_blob_data(same));
  hl_blob_release(text), hl_blob_release(same);
  hl_config_destroy(c), hl_config_destroy(again);
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

/* Random configurations draw them all, reproducibly. */
static void drawn(void **state) {
  (void)state;
  hl_context *ctx = exec_context();
  hl_kernel *k = build(ctx);
  hl_diag d = {0};
  const hl_shape_binding n = {"N", N};
  static const char *const words[] = {"\"block\":8,", "\"block\":64,", "\"times\":1,", "\"times\":7,",
                                      "\"mode\":-2,", "\"mode\":5,",   "\"mark\":true"};
  uint32_t seen = 0;
  for (uint64_t seed = 1; seed <= 24; seed++) {
    hl_blob *text[2];
    for (int i = 0; i < 2; i++) {
      hl_config *c = NULL;
      must(hl_config_random(k, &n, 1, exec_target("nvptx:sm_90a"), seed, &d, &c), &d);
      must(hl_config_print(c, &d, &text[i]), &d);
      hl_config_destroy(c);
    }
    assert_string_equal(hl_blob_data(text[0]), hl_blob_data(text[1]));
    for (uint32_t w = 0; w < sizeof words / sizeof *words; w++)
      seen |= strstr(hl_blob_data(text[0]), words[w]) ? 1u << w : 0;
    hl_blob_release(text[0]), hl_blob_release(text[1]);
  }
  assert_int_equal(seen, (1u << sizeof words / sizeof *words) - 1);
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

static void wrong_json(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"{\"tunables\":{\"block\":12}}", "tunables.block cannot be 12; legal values are [8,16,32,64]"},
      {"{\"tunables\":{\"times\":2}}", "tunables.times cannot be 2; legal values are [1,4,7]"},
      {"{\"tunables\":{\"mark\":2}}", "tunables.mark cannot be 2; legal values are [0,1]"},
      {"{\"tunables\":{\"mark\":\"yes\"}}", "tunables.mark must be true or false"},
      {"{\"tunables\":{\"mode\":1.5}}", "tunables.mode must be an integer"},
      {"{\"tunables\":{\"speed\":1}}", "the kernel has no tunable 'speed'; it has block, times, mode, mark"},
      {"{\"tunables\":[8]}", "tunables must be an object, such as {\"block\":16}"},
      {"{\"tunable\":8}", "there is no knob 'tunable'; knobs are"}};
  hl_context *ctx = exec_context();
  hl_kernel *k = build(ctx);
  const hl_shape_binding n = {"N", N};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    hl_diag d = {0};
    hl_config *c = NULL;
    const hl_str json = {cases[i][0], strlen(cases[i][0])};
    assert_int_equal(hl_config_parse(k, &n, 1, exec_target("host"), json, &d, &c), HL_ERR_CONFIG);
    assert_null(c);
    if (!strstr(d.message, cases[i][1]))
      fail_msg("'%s' does not say '%s'", d.message, cases[i][1]);
  }
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
}

/* ---- wrong declarations ---- */

static hl_kernel *wrong(hl_context *ctx, int which) {
  hl_diag d = {0};
  hl_builder *b;
  hl_value i;
  must(hl_builder_create(ctx, "wrong", &d, &b), &d);
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  const hl_value eight = hl_const_i(b, 8);
  hl_value block = eight;
  switch (which) {
  case 0:
    hl_tunable_power(b, "a b", 1, 2, 1);
    break;
  case 1:
    hl_tunable_power(b, "a", 3, 8, 8);
    break;
  case 2:
    hl_tunable_integer(b, "a", 1, 1000, 1, 1);
    break;
  case 3:
    hl_tunable_integer(b, "a", 1, 9, 0, 1);
    break;
  case 4:
    hl_tunable_enum(b, "a", (int64_t[]){2, 1}, 2, 1);
    break;
  case 5:
    hl_tunable_enum(b, "a", NULL, 0, 1);
    break;
  case 6:
    hl_tunable_power(b, "a", 1, 8, 16);
    break;
  case 7:
    hl_tunable_bool(b, "a", true), hl_tunable_bool(b, "a", true);
    break;
  case 8:
    o.blocks = &block, hl_tile_begin_ex(b, &eight, 1, &o, &i);
    break;
  case 9:
    block = hl_tunable_integer(b, "a", 0, 8, 4, 4), o.blocks = &block, hl_tile_begin_ex(b, &eight, 1, &o, &i);
    break;
  default:
    block = hl_tunable_power(b, "a", 1, 8, 4), o.blocks = &block, o.block_max[0] = 4,
    hl_tile_begin_ex(b, &eight, 1, &o, &i);
    break;
  }
  return every_finish(b);
}
#define WRONG(n)                                                                                                       \
  static hl_kernel *wrong_##n(hl_context *ctx) {                                                                       \
    return wrong(ctx, n);                                                                                              \
  }
WRONG(0)
WRONG(1) WRONG(2) WRONG(3) WRONG(4) WRONG(5) WRONG(6) WRONG(7) WRONG(8) WRONG(9) WRONG(10)

    static void wrong_declarations(void **state) {
  (void)state;
  static const struct {
    every_build build;
    const char *words;
  } cases[] = {{wrong_0, "the name 'a b' of a tunable must be an identifier"},
               {wrong_1, "tunable a: its smallest and largest values must be powers of two"},
               {wrong_2, "tunable a: it has more than 256 values"},
               {wrong_3, "tunable a: its step must be at least 1"},
               {wrong_4, "tunable a: its values must ascend"},
               {wrong_5, "tunable a: it must have 1 to 16 values"},
               {wrong_6, "tunable a: its default is none of its values"},
               {wrong_7, "there already is a tunable a"},
               {wrong_8, "tile 0: a block is fixed by block_min and block_max, or is what hl_tunable_power"},
               {wrong_9, "tile 0: the block a goes from 0 to 8; it must lie within 1 and 2^20"},
               {wrong_10, "tile 0: the block a goes from 1 to 8"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    build_fails(cases[i].build, (const char *const[]){cases[i].words, NULL});
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(random_values),
                                     cmocka_unit_test(given_values),
                                     cmocka_unit_test(different_code),
                                     cmocka_unit_test(spaces),
                                     cmocka_unit_test(drawn),
                                     cmocka_unit_test(wrong_json),
                                     cmocka_unit_test(wrong_declarations)};
  return cmocka_run_group_tests_name("tunables", tests, NULL, NULL);
}
