/* pu.c: see pu.h. */
#include "pu.h"

enum { MOST = 1 << 16 };

static void pu_log(void *user, hl_log_level level, hl_str text) {
  pu *p = user;
  char line[1024];
  if (level != HL_LOG_WARN)
    return;
  (void)snprintf(line, sizeof line, "%.*s", (int)text.len, text.ptr);
  if (!strncmp(line, "compiling kernel", 16)) {
    __atomic_fetch_add(&p->compiled, 1, __ATOMIC_RELAXED);
    return;
  }
  p->warnings++;
  memcpy(p->last, line, sizeof line);
}

static hl_kernel *make_kernel(hl_context *ctx, double factor) {
  hl_diag diag = {0};
  hl_builder *b;
  hl_kernel *k = NULL;
  hl_value i;
  assert_int_equal(hl_builder_create(ctx, "scale", &diag, &b), HL_OK);
  const hl_dim n = hl_dim_named(b, "N");
  hl_value x = hl_param_tensor(b, "x", HL_F32, &n, 1, HL_IN), y = hl_param_tensor(b, "y", HL_F32, &n, 1, HL_OUT);
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  hl_value v = hl_mul(b, hl_load(b, x, &i, 1), hl_const_f(b, factor));
  hl_store(b, y, &i, 1, hl_add(b, v, hl_const_f(b, 1)));
  hl_tile_end(b, NULL, NULL);
  if (hl_builder_finish(b, &diag, &k) != HL_OK)
    fail_msg("%s", diag.message);
  return k;
}

static double factor_of(const pu_options *o) {
  return o && o->factor != 0 ? o->factor : 2;
}

void pu_open(pu *p, su *t, const pu_options *o) {
  hl_diag diag = {.message = ""};
  hl_context_options c = HL_CONTEXT_OPTIONS_INIT;
  memset(p, 0, sizeof *p);
  c.log = pu_log, c.log_user = p;
  c.cpu_threads = 1;
  c.cache_dir = o && o->dir ? o->dir : t->dir;
  c.compile_policy = o && o->policy != HL_COMPILE_ALLOW ? o->policy : HL_COMPILE_WARN;
  assert_int_equal(hl_context_create(&c, NULL, &p->ctx), HL_OK);
  if (o && o->driver)
    assert_int_equal(hl_driver_register(p->ctx, o->driver, NULL), HL_OK);
  if (hl_device_open(p->ctx, o && o->device ? o->device : "cpu", &diag, &p->dev) != HL_OK)
    fail_msg("%s", diag.message);
  p->k = make_kernel(p->ctx, factor_of(o));
}

void pu_close(pu *p) {
  hl_kernel_destroy(p->k);
  hl_device_close(p->dev);
  hl_context_destroy(p->ctx);
}

static void tensors(float *x, float *y, int64_t *n, hl_tensor t[2], hl_arg args[2]) {
  t[0] = (hl_tensor){.data = x, .device = {HL_DEVICE_CPU, 0}, .ndim = 1, .dtype = hl_dtype_to_dl(HL_F32), .shape = n};
  t[1] = t[0];
  t[1].data = y;
  for (int i = 0; i < 2; i++)
    args[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &t[i]};
}

hl_status pu_plan(pu *p, int64_t n, const char *config, hl_diag *diag, hl_plan **out) {
  const hl_shape_binding shape = {"N", n};
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  hl_config *c = NULL;
  const hl_target *target;
  hl_device_info info = {.size = sizeof info};
  assert_int_equal(hl_device_get_info(p->dev, &info), HL_OK);
  if (config) {
    assert_int_equal(hl_target_find(hli_str(strcmp(info.target, "null") ? info.target : "host"), NULL, &target), HL_OK);
    if (hl_config_parse(p->k, &shape, 1, target, hli_str(config), diag, &c) != HL_OK)
      fail_msg("%s", diag->message);
  }
  o.shape = &shape, o.shape_count = 1, o.config = c;
  const hl_status s = hl_plan_create(p->dev, p->k, &o, diag, out);
  hl_config_destroy(c);
  return s;
}

void pu_launch(pu *p, const hl_plan *plan, int64_t n) {
  hl_tensor t[2];
  hl_arg args[2];
  hl_diag diag = {.message = ""};
  float *x = aligned_alloc(64, MOST * sizeof *x), *y = aligned_alloc(64, MOST * sizeof *y);
  assert_true(x && y && n <= MOST);
  for (int64_t i = 0; i < n; i++)
    x[i] = (float)(i % 1000), y[i] = -1;
  tensors(x, y, &n, t, args);
  if (hl_launch(plan, NULL, args, 2, NULL, &diag) != HL_OK || hl_device_synchronize(p->dev, &diag) != HL_OK)
    fail_msg("%s", diag.message);
  for (int64_t i = 0; i < n; i++)
    if (y[i] != x[i] * 2 + 1)
      fail_msg("element %d is %g", (int)i, (double)y[i]);
  free(x);
  free(y);
}

hl_status pu_run(pu *p, int64_t n, const char *config, hl_diag *diag) {
  hl_plan *plan;
  const hl_status s = pu_plan(p, n, config, diag, &plan);
  if (s != HL_OK)
    return s;
  pu_launch(p, plan, n);
  hl_plan_destroy(plan);
  return HL_OK;
}

bool pu_entry(pu *p, hl_cache_kind kind, uint32_t i, char key[HL_CACHE_KEY], char *config, size_t size) {
  hl_cache_list *list;
  hl_diag diag = {.message = ""};
  bool found = false;
  if (hl_cache_list_create(p->ctx, &diag, &list) != HL_OK)
    fail_msg("%s", diag.message);
  for (uint32_t n = 0; n < hl_cache_list_count(list) && !found; n++) {
    hl_cache_entry e = {.size = sizeof e};
    assert_int_equal(hl_cache_list_entry(list, n, &e), HL_OK);
    if (e.kind != kind || i--)
      continue;
    found = true;
    memcpy(key, e.key, HL_CACHE_KEY);
    if (config)
      (void)snprintf(config, size, "%.*s", (int)e.config.len, e.config.ptr);
  }
  hl_cache_list_destroy(list);
  return found;
}

uint32_t pu_count(pu *p, hl_cache_kind kind) {
  char key[HL_CACHE_KEY];
  uint32_t n = 0;
  while (pu_entry(p, kind, n, key, NULL, 0))
    n++;
  return n;
}
