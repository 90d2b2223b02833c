/* What plan and compile options say when they are wrong: which field, its value, the way out. */
#include "pu.h"

static void has(const hl_diag *d, const char *words) {
  if (!strstr(d->message, words))
    fail_msg("\"%s\" does not say \"%s\"", d->message, words);
}

static void test_plan_options(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  hl_plan *plan;
  pu p;
  pu_open(&p, t, NULL);
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  assert_int_equal(hl_plan_create(NULL, p.k, &o, &diag, &plan), HL_ERR_ARG);
  has(&diag, "hl_plan_create: the device is NULL");
  assert_int_equal(hl_plan_create(p.dev, NULL, &o, &diag, &plan), HL_ERR_ARG);
  has(&diag, "the kernel is NULL");
  assert_int_equal(hl_plan_create(p.dev, p.k, &o, &diag, NULL), HL_ERR_ARG);
  has(&diag, "out is NULL");
  o.size = 3;
  assert_int_equal(hl_plan_create(p.dev, p.k, &o, &diag, &plan), HL_ERR_ARG);
  has(&diag, "hl_plan_options.size is 3: start from HL_PLAN_OPTIONS_INIT");
  o = (hl_plan_options)HL_PLAN_OPTIONS_INIT;
  o.shape_count = 3;
  assert_int_equal(hl_plan_create(p.dev, p.k, &o, &diag, &plan), HL_ERR_ARG);
  has(&diag, "shape_count is 3 and shape is NULL");
  o.shape_count = 0, o.arg_count = 2;
  assert_int_equal(hl_plan_create(p.dev, p.k, &o, &diag, &plan), HL_ERR_ARG);
  has(&diag, "arg_count is 2 and args is NULL");
  const hl_shape_binding shape = {"N", 5};
  const hl_arg args[2] = {{.kind = HL_ARG_I64}, {.kind = HL_ARG_I64}};
  o.shape = &shape, o.shape_count = 1, o.args = args;
  assert_int_equal(hl_plan_create(p.dev, p.k, &o, &diag, &plan), HL_ERR_ARG);
  has(&diag, "shape and args are both given");
  assert_null(plan);
  pu_close(&p);
}

static void test_compile_options(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  hl_blob *out;
  const hl_target *target;
  pu p;
  pu_open(&p, t, &(pu_options){.policy = HL_COMPILE_FORBID});
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  assert_int_equal(hl_target_find(su_str("host"), NULL, &target), HL_OK);
  assert_int_equal(hl_compile(p.ctx, p.k, NULL, &o, &diag, &out), HL_ERR_ARG);
  has(&diag, "hl_compile: the target is NULL");
  o.emit = (hl_emit)99;
  assert_int_equal(hl_compile(p.ctx, p.k, target, &o, &diag, &out), HL_ERR_ARG);
  has(&diag, "hl_compile_options.emit is 99");
  o.emit = HL_EMIT_OBJ, o.shape_count = 1;
  assert_int_equal(hl_compile(p.ctx, p.k, target, &o, &diag, &out), HL_ERR_ARG);
  has(&diag, "shape_count is 1 and shape is NULL");
  const hl_shape_binding shape = {"N", 500};
  o.shape = &shape;
  assert_int_equal(hl_compile(p.ctx, p.k, target, &o, &diag, &out), HL_ERR_FORBIDDEN);
  has(&diag, "scale");
  has(&diag, "HL_COMPILE_FORBID");
  assert_null(out);
  o.emit = HL_EMIT_LOOP; /* no machine code */
  assert_int_equal(hl_compile(p.ctx, p.k, target, &o, &diag, &out), HL_OK);
  hl_blob_release(out);
  pu_close(&p);
}

/* A default configuration for a GPU is chosen by lowering: the plan uses that kernel, and it is the same one. */
static void test_lowered_once(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  hl_blob *with, *without;
  hl_config *c;
  const hl_target *target;
  const hl_shape_binding shape = {"N", 5000};
  pu p;
  pu_open(&p, t, NULL);
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  assert_int_equal(hl_target_find(su_str("nvptx:sm_80"), NULL, &target), HL_OK);
  o.emit = HL_EMIT_LANE, o.shape = &shape, o.shape_count = 1;
  assert_int_equal(hl_compile(p.ctx, p.k, target, &o, &diag, &without), HL_OK);
  assert_int_equal(hl_config_default(p.k, &shape, 1, target, &diag, &c), HL_OK);
  o.config = c;
  assert_int_equal(hl_compile(p.ctx, p.k, target, &o, &diag, &with), HL_OK);
  assert_string_equal(hl_blob_data(with), hl_blob_data(without));
  hl_blob_release(with);
  hl_blob_release(without);
  hl_config_destroy(c);
  pu_close(&p);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, su_setup, su_teardown)
  const struct CMUnitTest tests[] = {T(test_plan_options), T(test_compile_options), T(test_lowered_once)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
