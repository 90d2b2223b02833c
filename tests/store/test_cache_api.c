/* hl/cache.h: looking at the cache, emptying it, carrying it elsewhere. */
#include "pu.h"
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static void has(const hl_diag *d, const char *words) {
  if (!strstr(d->message, words))
    fail_msg("\"%s\" does not say \"%s\"", d->message, words);
}

/* Two kernels compiled, one configuration put. */
static void filled(pu *p, su *t) {
  const hl_shape_binding shape = {"N", 1000};
  const hl_target *target;
  hl_config *c;
  hl_diag diag = {.message = ""};
  pu_open(p, t, NULL);
  assert_int_equal(pu_run(p, 1000, NULL, &diag), HL_OK);
  assert_int_equal(pu_run(p, 2000, NULL, &diag), HL_OK);
  assert_int_equal(hl_target_find(su_str("host"), NULL, &target), HL_OK);
  assert_int_equal(hl_config_parse(p->k, &shape, 1, target, su_str("{\"block_sizes\":[64]}"), &diag, &c), HL_OK);
  assert_int_equal(hl_cache_put_config(p->dev, p->k, &shape, 1, c, (hl_str){NULL, 0}, &diag), HL_OK);
  hl_config_destroy(c);
}

static bool is(hl_str s, const char *z) {
  return s.len == strlen(z) && memcmp(s.ptr, z, s.len) == 0;
}

static void test_list(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  hl_cache_list *list;
  hl_cache_entry e = {.size = sizeof e}, small;
  hl_cache_info info = {.size = sizeof info};
  uint32_t code = 0, tuning = 0;
  uint64_t bytes = 0;
  pu p;
  filled(&p, t);
  assert_int_equal(hl_cache_list_create(p.ctx, &diag, &list), HL_OK);
  assert_int_equal(hl_cache_list_count(list), 3);
  int64_t before = INT64_MAX;
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(hl_cache_list_entry(list, i, &e), HL_OK);
    assert_true(is(e.kernel, "scale") && is(e.target, "host") && e.device.len > 0 && e.config.ptr[0] == '{');
    assert_true(is(e.shape, "N=1000") || is(e.shape, "N=2000"));
    assert_true(e.made > 1700000000 && e.made <= before && e.bytes > 100 && strlen(e.key) == 32);
    code += e.kind == HL_CACHE_CODE, tuning += e.kind == HL_CACHE_TUNING;
    before = e.made;
    bytes += e.bytes;
  }
  assert_true(code == 2 && tuning == 1);
  assert_int_equal(hl_cache_list_entry(list, 3, &e), HL_ERR_ARG);
  small.size = 0;
  assert_int_equal(hl_cache_list_entry(list, 0, &small), HL_ERR_ARG);
  hl_cache_list_destroy(list);
  assert_int_equal(hl_cache_sync(p.ctx, &diag), HL_OK);
  assert_int_equal(hl_cache_get_info(p.ctx, &diag, &info), HL_OK);
  assert_true(info.code == 2 && info.tuning == 1 && info.bytes == bytes && info.writable);
  assert_string_equal(info.path, t->dir);
  pu_close(&p);
}

static void test_show_drop(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  char key[HL_CACHE_KEY];
  hl_blob *text;
  uint64_t dropped;
  pu p;
  filled(&p, t);
  assert_true(pu_entry(&p, HL_CACHE_CODE, 0, key, NULL, 0));
  key[20] = '\0'; /* a beginning will do */
  assert_int_equal(hl_cache_show(p.ctx, key, &diag, &text), HL_OK);
  for (const char *const *w =
           (const char *const[]){"\"kernel\": \"scale\"", "compile_ms", "libhl", "config", "\"N\"", NULL};
       *w; w++)
    if (!strstr(hl_blob_data(text), *w))
      fail_msg("no %s in %s", *w, (const char *)hl_blob_data(text));
  hl_blob_release(text);
  assert_int_equal(hl_cache_show(p.ctx, "xyz", &diag, &text), HL_ERR_ARG);
  has(&diag, "xyz");
  assert_null(text);
  assert_int_equal(hl_cache_show(p.ctx, "", &diag, &text), HL_ERR_ARG);
  assert_int_equal(hl_cache_drop(p.ctx, key, &diag), HL_OK);
  assert_int_equal(hl_cache_drop(p.ctx, key, &diag), HL_ERR_ARG);
  assert_int_equal(pu_count(&p, HL_CACHE_CODE), 1);
  assert_int_equal(hl_cache_clear(p.ctx, HL_CACHE_CODE, &diag, &dropped), HL_OK);
  assert_true(dropped == 1 && pu_count(&p, HL_CACHE_CODE) == 0 && pu_count(&p, HL_CACHE_TUNING) == 1);
  assert_int_equal(hl_cache_clear(p.ctx, HL_CACHE_TUNING, &diag, NULL), HL_OK);
  assert_int_equal(pu_count(&p, HL_CACHE_TUNING), 0);
  assert_int_equal(hl_cache_clear(p.ctx, (hl_cache_kind)7, &diag, NULL), HL_ERR_ARG);
  pu_close(&p);
}

/* Out of one folder, into another: the configurations always, the code only if asked. */
static void test_carry(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  char other[160];
  hl_blob *text;
  uint64_t n;
  pu p, q;
  filled(&p, t);
  (void)snprintf(other, sizeof other, "%s-other", t->dir);
  assert_int_equal(hl_cache_export(p.ctx, true, &diag, &text), HL_OK);
  const hl_str json = {hl_blob_data(text), hl_blob_size(text)};
  pu_open(&q, t, &(pu_options){.dir = other});
  assert_int_equal(hl_cache_import(q.ctx, json, false, &diag, &n), HL_OK);
  assert_true(n == 1 && pu_count(&q, HL_CACHE_TUNING) == 1 && pu_count(&q, HL_CACHE_CODE) == 0);
  assert_int_equal(hl_cache_import(q.ctx, json, true, &diag, &n), HL_OK);
  assert_true(n == 3 && pu_count(&q, HL_CACHE_CODE) == 2);
  assert_int_equal(pu_run(&q, 2000, NULL, &diag), HL_OK); /* it is the same machine and build */
  assert_int_equal(q.compiled, 0);
  pu_close(&q);
  hl_blob_release(text);
  assert_int_equal(hl_cache_export(p.ctx, false, &diag, &text), HL_OK);
  assert_null(strstr(hl_blob_data(text), "\"code\""));
  assert_non_null(strstr(hl_blob_data(text), "block_sizes"));
  hl_blob_release(text);
  pu_close(&p);
}

static void test_import_errors(void **state) {
  su *t = *state;
  static const struct {
    const char *json, *words;
  } wrong[] = {
      {"", "line 1"},
      {"{\"hl_cache\":1,", "line 1"},
      {"{}", "no export"},
      {"[]", "no export"},
      {"{\"hl_cache\":2}", "no export"},
      {"{\"hl_cache\":1,\"configurations\":[{\"key\":\"12\",\"config\":{}}]}", "configurations[0]"},
      {"{\"hl_cache\":1,\"configurations\":[{\"key\":\"0123456789abcdef0123456789abcdef\",\"config\":{}},{\"key\":"
       "\"0123456789abcdef0123456789abcdef\",\"config\":{\"a\":\"b\"}}]}",
       "configurations[1]"},
      {"{\"hl_cache\":1,\"code\":[{\"key\":\"0123456789abcdef0123456789abcdef\",\"payload\":\"A\",\"content\":\"\"}]}",
       "code[0]"},
      {"{\"hl_cache\":1,\"code\":[{\"key\":\"0123456789abcdef0123456789abcdef\",\"payload\":\"AA=A\",\"content\":\"\"}]"
       "}",
       "code[0]"},
      {"{\"hl_cache\":1,\"code\":[7]}", "code[0]"},
  };
  pu p;
  pu_open(&p, t, NULL);
  for (size_t i = 0; i < HLI_COUNT(wrong); i++) {
    hl_diag diag = {.message = ""};
    uint64_t n = 9;
    if (hl_cache_import(p.ctx, su_str(wrong[i].json), true, &diag, &n) != HL_ERR_PARSE)
      fail_msg("%s is taken", wrong[i].json);
    has(&diag, wrong[i].words);
    assert_int_equal(n, 0);
  }
  assert_int_equal(pu_count(&p, HL_CACHE_TUNING) + pu_count(&p, HL_CACHE_CODE), 0);
  pu_close(&p);
}

static void test_nulls(void **state) {
  su *t = *state;
  hl_diag diag = {.message = ""};
  hl_cache_list *list;
  hl_blob *text;
  pu p;
  pu_open(&p, t, NULL);
  assert_int_equal(hl_cache_list_create(NULL, &diag, &list), HL_ERR_ARG);
  assert_int_equal(hl_cache_list_create(p.ctx, &diag, NULL), HL_ERR_ARG);
  assert_int_equal(hl_cache_show(NULL, "1", &diag, &text), HL_ERR_ARG);
  assert_int_equal(hl_cache_show(p.ctx, NULL, &diag, &text), HL_ERR_ARG);
  assert_int_equal(hl_cache_drop(p.ctx, NULL, &diag), HL_ERR_ARG);
  assert_int_equal(hl_cache_export(NULL, false, &diag, &text), HL_ERR_ARG);
  assert_int_equal(hl_cache_export(p.ctx, false, &diag, NULL), HL_ERR_ARG);
  assert_int_equal(hl_cache_import(NULL, su_str("{}"), false, &diag, NULL), HL_ERR_ARG);
  assert_int_equal(hl_cache_import(p.ctx, (hl_str){NULL, 3}, false, &diag, NULL), HL_ERR_ARG);
  assert_int_equal(hl_cache_put_config(p.dev, p.k, NULL, 0, NULL, su_str(""), &diag), HL_ERR_ARG);
  has(&diag, "configuration");
  assert_int_equal(hl_cache_get_info(p.ctx, &diag, NULL), HL_ERR_ARG);
  assert_int_equal(hl_cache_sync(NULL, &diag), HL_ERR_ARG);
  assert_int_equal(hl_cache_list_count(NULL), 0);
  hl_cache_list_destroy(NULL);
  pu_close(&p);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, su_setup, su_teardown)
  const struct CMUnitTest tests[] = {T(test_list), T(test_show_drop), T(test_carry), T(test_import_errors),
                                     T(test_nulls)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
