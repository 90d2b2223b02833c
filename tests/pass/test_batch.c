/* test_batch.c: dots of batches become dots of matrices, and what is said where they cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hl/hl.h"
#include "src/pass/pass.h"

/* A kernel with a dot of [$b, $M, $K] and [$b, $K, $N]; `axis` is the batch axis, `rest` follows the dot %d. */
static const char frame[] = "hl 1 tile\n"
                            "kernel @batch {\n"
                            "  dim B = 6\n"
                            "  dim M = 16\n"
                            "  dim K = 32\n"
                            "  dim N = 8\n"
                            "  param %%x : tensor<f32[B, M, K]> in\n"
                            "  param %%y : tensor<f32[B, K, N]> in\n"
                            "  param %%u : tensor<f32[B, K]> in\n"
                            "  param %%out : tensor<f32[B, M, N]> out\n"
                            "  param %%sum : tensor<f32[M, N]> inout\n"
                            "  param %%row : tensor<f32[B, N]> out\n"
                            "  axis $b tile over B block %s\n"
                            "  axis $M full M\n"
                            "  axis $N full N\n"
                            "  axis $K full K\n"
                            "  body {\n"
                            "    %%n = const {value = 6} : i64\n"
                            "    %%z = const {value = 0} : i64\n"
                            "    tile %%z, %%n {axes = [$b]} (%%b : tile<$b>) {\n"
                            "      %%v = load %%x[%%b, :, :] : f32[$b, $M, $K]\n"
                            "      %%w = load %%y[%%b, :, :] : f32[$b, $K, $N]\n"
                            "      %%zero = const {value = 0x0p+0} : f32\n"
                            "      %%a = broadcast %%zero {dims = []} : f32[$b, $M, $N]\n"
                            "      %%d = dot %%v, %%w, %%a : f32[$b, $M, $N]\n"
                            "      %s\n"
                            "      yield\n"
                            "    }\n"
                            "  }\n"
                            "}\n";

/* Lowered as far as the pass: the text, or NULL and what was said. */
static hl_blob *lower(const char *target, const char *block, const char *rest, hl_diag *d) {
  char text[4096];
  hl_context *ctx = NULL;
  hl_kernel *k = NULL;
  hl_config *c = NULL;
  hl_blob *out = NULL;
  hli_pass_env env = {.diag = d};
  *d = (hl_diag){0};
  snprintf(text, sizeof text, frame, block, rest);
  assert_int_equal(hl_context_create(NULL, d, &ctx), HL_OK);
  if (hl_kernel_parse(ctx, hli_str(text), "batch.hl", d, &k) != HL_OK)
    fail_msg("%u: %s", d->line, d->message);
  assert_int_equal(hl_target_find(hli_str(target), d, &env.target), HL_OK);
  if (hl_config_default(k, NULL, 0, env.target, d, &c) == HL_OK) {
    env.alloc = &ctx->alloc, env.config = c;
    if (hli_run_pipeline(&env, &k, "batch", NULL, NULL) == HL_OK)
      assert_int_equal(hl_kernel_print(k, d, &out), HL_OK);
  }
  hl_config_destroy(c);
  hl_kernel_destroy(k);
  hl_context_destroy(ctx);
  return out;
}

static const char *const targets[] = {"x86-64-v4", "nvptx:sm_90a"};

static void check_refused(const char *block, const char *rest, const char *const words[2]) {
  for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
    hl_diag d;
    assert_null(lower(targets[i], block, rest, &d));
    assert_int_equal(d.status, HL_ERR_UNSUPPORTED);
    for (size_t w = 0; w < 2; w++)
      if (!strstr(d.message, words[w]))
        fail_msg("no '%s' in: %s", words[w], d.message);
    assert_true(d.line > 0);
  }
}

/* The batch leaves pointwise ops, broadcasts, reductions of it and indices. */
static void test_dropped(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
    hl_diag d;
    hl_blob *text = lower(targets[i], "1",
                          "%i = tile_index %b : i64[$b]\n"
                          "%f = cast %i : f32[$b]\n"
                          "%g = broadcast %f {dims = [0]} : f32[$b, $M, $N]\n"
                          "%e = mul %d, %g : f32[$b, $M, $N]\n"
                          "%s = reduce %e {op = sum, axes = [0]} : f32[$M, $N]\n"
                          "%t = broadcast %s {dims = [1, 2]} : f32[$b, $M, $N]\n"
                          "store %out[%b, :, :], %t",
                          &d);
    if (!text)
      fail_msg("%s", d.message);
    const char *const gone[] = {"[$b,", "[$b]", "reduce"};
    const hl_str s = {(const char *)hl_blob_data(text), hl_blob_size(text)};
    for (size_t w = 0; w < 3; w++)
      if (memmem(s.ptr, s.len, gone[w], strlen(gone[w])))
        fail_msg("'%s' in\n%.*s", gone[w], (int)s.len, s.ptr);
    assert_non_null(memmem(s.ptr, s.len, "f32[$M, $N]", 11));
    hl_blob_release(text);
  }
}

static void test_refused(void **state) {
  (void)state;
  static const char store[] = "store %out[%b, :, :], %d";
  check_refused("2", store, (const char *const[]){"the batch axis $b of a dot has blocks of 2", "a block of 1"});
  check_refused("1",
                "%q = load %u[%b, :] : f32[$b, $K]\n"
                "%p = load %y[%z, :, :] : f32[$K, $N]\n"
                "%c = broadcast %zero {dims = []} : f32[$b, $N]\n"
                "%r = dot %q, %p, %c : f32[$b, $N]\n"
                "store %row[%b, :], %r\n"
                "store %out[%b, :, :], %d",
                (const char *const[]){"dot along $b, the batch axis of a dot", "a loop of its own"});
  check_refused("1",
                "%q = scan %d, %zero {axis = 0} (%l : f32, %h : f32) {\n"
                "  %lh = add %l, %h : f32\n"
                "  yield %lh\n"
                "} : f32[$b, $M, $N]\n"
                "store %out[%b, :, :], %q",
                (const char *const[]){"scan along $b, the batch axis of a dot", "a loop of its own"});
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_dropped), cmocka_unit_test(test_refused)};
  return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
