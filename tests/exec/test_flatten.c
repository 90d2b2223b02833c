/* test_flatten.c: tile loops of several axes that may run over the product of their extents: that they give the same
 * everywhere, flat or not, which loops qualify, and that launches still check the tensors as they were declared.
 * ctest-timeout: 600 */
#include "tests/exec/everywhere.h"

static void must(hl_status s, const hl_diag *d) {
  if (s != HL_OK)
    fail_msg("%s", d->message);
}

enum { A = 5, B = 7, C = 13, ALL = A * B * C };

/* out = x y + x, and twice x in int; the mask leaves out what is negative. */
static hl_kernel *build_3d(hl_context *ctx) {
  hl_diag d = {0};
  hl_builder *b;
  must(hl_builder_create(ctx, "planes", &d, &b), &d);
  const hl_dim dims[] = {hl_dim_named(b, "A"), hl_dim_named(b, "B"), hl_dim_named(b, "C")}, one = hl_dim_static(b, 1);
  const hl_value x = hl_param_tensor(b, "x", HL_F32, dims, 3, HL_IN),
                 y = hl_param_tensor(b, "y", HL_F16, dims, 3, HL_IN);
  const hl_value scale = hl_param_tensor(b, "scale", HL_F32, &one, 1, HL_IN);
  const hl_value out = hl_param_tensor(b, "out", HL_F32, dims, 3, HL_OUT),
                 twice = hl_param_tensor(b, "twice", HL_I32, dims, 3, HL_OUT);
  hl_value t[3];
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0), hl_size(b, x, 1), hl_size(b, x, 2)}, 3, t);
  const hl_value v = hl_load(b, x, t, 3), s = hl_load(b, scale, (hl_value[]){hl_const_i(b, 0)}, 1);
  hl_store(b, out, t, 3, hl_add(b, hl_mul(b, v, hl_cast(b, hl_load(b, y, t, 3), HL_F32)), hl_mul(b, v, s)));
  hl_store_masked(b, twice, t, 3, hl_mul(b, hl_cast(b, v, HL_I32), hl_const_i(b, 2)),
                  hl_ge(b, v, hl_const_f(b, -1000)));
  hl_tile_end(b, NULL, NULL);
  return every_finish(b);
}

static void planes(void **state) {
  (void)state;
  static double x[ALL], y[ALL], out[ALL], twice[ALL];
  static const double scale[] = {3};
  for (int i = 0; i < ALL; i++) {
    x[i] = i % 23 - 11, y[i] = (i * 7) % 5;
    out[i] = x[i] * y[i] + 3 * x[i], twice[i] = 2 * x[i];
  }
  const every_tensor t[] = {{HL_F32, 3, {A, B, C}, x, NULL, 0},
                            {HL_F16, 3, {A, B, C}, y, NULL, 0},
                            {HL_F32, 1, {1}, scale, NULL, 0},
                            {HL_F32, 3, {A, B, C}, NULL, out, 0},
                            {HL_I32, 3, {A, B, C}, NULL, twice, 0}};
  everywhere(build_3d, t, 5, 0);
}

/* ---- which loops qualify ---- */

static const char head[] =
    "hl 1 tile\nkernel @k {\n  dim M = 9\n  dim N = 21\n  param %x : tensor<f32[M, N]> in{X}\n"
    "  param %v : tensor<f32[N]> in\n  param %y : tensor<f32[M, N]> out\n  axis $i tile over M{AXIS}\n"
    "  axis $j tile over N\n  axis $N full N\n  body {\n    %z = const {value = 0} : i64\n    %o = const {value = 1} : "
    "i64\n"
    "    %m = size %x {dim = 0} : i64\n    %n = size %x {dim = 1} : i64\n"
    "    tile {BEGIN}, %z, %m, %n {axes = [$i, $j]} (%i : tile<$i>, %j : tile<$j>) {\n";

typedef struct variant {
  const char *what, *x, *axis, *begin, *body;
  bool flat;
} variant;

#define PLAIN "      %a = load %x[%i, %j] : f32[$i, $j]\n      store %y[%i, %j], %a\n"
static const variant variants[] = {
    {"a copy", "", "", "%z", PLAIN, true},
    {"row-major strides", " strides [21, 1]", "", "%z", PLAIN, true},
    {"rows with gaps", " strides [22, 1]", "", "%z", PLAIN, false},
    {"columns", " strides [1, 9]", "", "%z", PLAIN, false},
    {"a fixed block", "", " min 4 max 4", "%z", PLAIN, false},
    {"not from 0", "", "", "%o", PLAIN, false},
    {"a scalar for all", "", "", "%z",
     "      %s = load %v[%o] : f32\n      %b = broadcast %s {dims = []} : f32[$i, $j]\n      %a = load %x[%i, %j] : "
     "f32[$i, $j]\n"
     "      %c = mul %a, %b : f32[$i, $j]\n      store %y[%i, %j], %c\n",
     true},
    {"a vector for all rows", "", "", "%z",
     "      %s = load %v[%j] : f32[$j]\n      %b = broadcast %s {dims = [1]} : f32[$i, $j]\n      store %y[%i, %j], "
     "%b\n",
     false},
    {"an index", "", "", "%z",
     "      %q = tile_index %j : i64[$j]\n      %f = cast %q : f32[$j]\n      %b = broadcast %f {dims = [1]} : f32[$i, "
     "$j]\n"
     "      store %y[%i, %j], %b\n",
     false},
    {"a first index", "", "", "%z",
     "      %q = tile_begin %i : i64\n      %f = cast %q : f32\n      %b = broadcast %f {dims = []} : f32[$i, $j]\n"
     "      store %y[%i, %j], %b\n",
     false},
    {"a sum", "", "", "%z",
     "      %a = load %x[%i, %j] : f32[$i, $j]\n      %s = reduce %a {op = sum, axes = [0, 1]} : f32\n"
     "      %b = broadcast %s {dims = []} : f32[$i, $j]\n      store %y[%i, %j], %b\n",
     false},
    {"a row read again", "", "", "%z",
     PLAIN "      %r = load %x[%o, :] : f32[$N]\n      %t = reduce %r {op = max, axes = [0]} : f32\n"
           "      %b = broadcast %t {dims = []} : f32[$i, $j]\n      store %y[%i, %j], %b\n",
     false}};

static char *text_of(const variant *v) {
  const char *const marks[] = {"{X}", "{AXIS}", "{BEGIN}"}, *const with[] = {v->x, v->axis, v->begin};
  char *text = cli_format("%s%s      yield\n    }\n  }\n}\n", head, v->body);
  for (int i = 0; i < 3; i++) {
    char *at = strstr(text, marks[i]),
         *next = cli_format("%.*s%s%s", (int)(at - text), text, with[i], at + strlen(marks[i]));
    free(text);
    text = next;
  }
  return text;
}

static void qualify(void **state) {
  (void)state;
  hl_context *ctx = exec_context();
  for (size_t v = 0; v < 2 * sizeof variants / sizeof *variants; v++) {
    const size_t i = v / 2;
    const bool gpu = v % 2;
    hl_diag d = {0};
    hl_kernel *k = NULL;
    hl_blob *space = NULL;
    char *text = text_of(&variants[i]);
    must(hl_kernel_parse(ctx, (hl_str){text, strlen(text)}, variants[i].what, &d, &k), &d);
    must(hl_space_print(k, NULL, 0, exec_target(gpu ? "nvptx:sm_90a" : "host"), &d, &space), &d);
    const char *at = strstr(hl_blob_data(space), "\"flatten_loops\"");
    if ((at != NULL) != variants[i].flat)
      fail_msg("%s: %s", variants[i].what, (const char *)hl_blob_data(space));
    if (at)
      assert_non_null(strstr(at, gpu ? "\"values\":[0,1],\"default\":1" : "\"values\":[0,1],\"default\":0"));
    hl_blob_release(space);
    hl_kernel_destroy(k);
    free(text);
  }
  hl_context_destroy(ctx);
}

/* ---- launches ---- */

/* The plan sees one row, its guards still the matrix. */
static void guards(void **state) {
  (void)state;
  static _Alignas(64) float x[9 * 40], y[9 * 40], v[21];
  hl_context *ctx = exec_context();
  hl_diag d = {0};
  hl_kernel *k = NULL;
  hl_device *dev = NULL;
  hl_plan *plan = NULL;
  int64_t shape[] = {9, 21}, other[] = {21, 9}, n[] = {21}, gaps[] = {40, 1};
  char *text = text_of(&variants[0]);
  must(hl_kernel_parse(ctx, (hl_str){text, strlen(text)}, "guards", &d, &k), &d);
  must(hl_device_open(ctx, "cpu", &d, &dev), &d);
  hl_tensor t[3] = {
      {.data = x, .device = {HL_DEVICE_CPU, 0}, .ndim = 2, .dtype = hl_dtype_to_dl(HL_F32), .shape = shape},
      {.data = v, .device = {HL_DEVICE_CPU, 0}, .ndim = 1, .dtype = hl_dtype_to_dl(HL_F32), .shape = n},
      {.data = y, .device = {HL_DEVICE_CPU, 0}, .ndim = 2, .dtype = hl_dtype_to_dl(HL_F32), .shape = shape}};
  hl_arg args[3];
  for (int i = 0; i < 3; i++)
    args[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &t[i]};
  for (int i = 0; i < 9 * 21; i++)
    x[i] = (float)i;
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  hl_config *flat = NULL;
  must(hl_config_parse(k, NULL, 0, exec_target("host"), (hl_str){"{\"flatten_loops\":[1]}", 21}, &d, &flat), &d);
  o.args = args, o.arg_count = 3, o.config = flat;
  must(hl_plan_create(dev, k, &o, &d, &plan), &d);
  must(hl_launch(plan, NULL, args, 3, NULL, &d), &d);
  must(hl_device_synchronize(dev, &d), &d);
  assert_memory_equal(x, y, 9 * 21 * sizeof *x);
  t[0].shape = other;
  assert_int_equal(hl_launch(plan, NULL, args, 3, NULL, &d), HL_ERR_GUARD);
  assert_non_null(strstr(d.message, "parameter 'x': dimension 0 ('M') is 21, the plan was made for 9"));
  t[0].shape = shape, t[0].strides = gaps;
  assert_int_equal(hl_launch(plan, NULL, args, 3, NULL, &d), HL_ERR_GUARD);
  assert_non_null(strstr(d.message, "the stride of dimension 0 is 40 elements, the plan was made for 21"));
  hl_plan_destroy(plan);
  must(hl_plan_create(dev, k, &o, &d, &plan), &d); /* with gaps it is no row: a plan of two axes */
  must(hl_launch(plan, NULL, args, 3, NULL, &d), &d);
  must(hl_device_synchronize(dev, &d), &d);
  assert_true(y[21] == x[40]);
  hl_plan_destroy(plan);
  hl_config_destroy(flat);
  hl_device_close(dev);
  hl_kernel_destroy(k);
  free(text);
  hl_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(planes), cmocka_unit_test(qualify), cmocka_unit_test(guards)};
  return cmocka_run_group_tests_name("flatten", tests, NULL, NULL);
}
