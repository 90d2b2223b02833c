/* The lowering knows widths, not processors: every kernel and dtype becomes an AArch64 object in the default
 * configuration, its first dtype also in a random one, by the same passes and emitters as on x86-64.  Assembled and
 * linked, not run.  Skipped where LLVM was built without that back end. ctest-timeout: 900 */
#include "tests/exec/exec.h"

#include <elf.h>

static hl_context *ctx;

static hl_status compile_one(const hl_example *e, const hl_kernel *k, uint64_t seed, hl_diag *diag, hl_blob **object) {
  const hl_target *target = exec_target("aarch64");
  hl_config *config = NULL;
  cli_shape shape;
  int odd = 0;
  while (e->odd[odd + 1].size[0])
    odd++; /* the last one is the largest */
  cli_shape_of_example(e, e->odd[odd].size, &shape);
  hl_status s = seed ? hl_config_random(k, shape.bind, shape.count, target, seed, diag, &config)
                     : hl_config_default(k, shape.bind, shape.count, target, diag, &config);
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  o.shape = shape.bind, o.shape_count = shape.count, o.config = config, o.emit = HL_EMIT_OBJ;
  if (s == HL_OK)
    s = hl_compile(ctx, k, target, &o, diag, object);
  hl_config_destroy(config);
  return s;
}

static void check_object(const hl_example *e, const hl_blob *object) {
  Elf64_Ehdr head;
  if (hl_blob_size(object) < sizeof head)
    fail_msg("%s: an object of %zu bytes", e->name, hl_blob_size(object));
  memcpy(&head, hl_blob_data(object), sizeof head);
  assert_memory_equal(head.e_ident, ELFMAG, SELFMAG);
  assert_int_equal(head.e_machine, EM_AARCH64);
}

static void objects(void **state) {
  (void)state;
  int wrong = 0, right = 0;
  for (uint32_t i = 0; i < hl_example_count; i++)
    for (const hl_dtype *d = hl_examples[i]->dtypes; *d != HL_DTYPE_NONE; d++)
      for (uint64_t seed = 0; seed <= (d == hl_examples[i]->dtypes); seed++) {
        hl_diag diag = {0};
        hl_kernel *k = NULL;
        hl_blob *object = NULL;
        assert_int_equal(hl_examples[i]->build(ctx, *d, &diag, &k), HL_OK);
        const hl_status s = compile_one(hl_examples[i], k, seed, &diag, &object);
        if (s == HL_ERR_UNSUPPORTED && !right)
          skip();
        if (s == HL_OK)
          check_object(hl_examples[i], object), right++;
        else
          print_error("%s %s, configuration %d: %s\n", hl_examples[i]->name, hl_dtype_text(*d), (int)seed,
                      diag.message),
              wrong++;
        hl_blob_release(object);
        hl_kernel_destroy(k);
      }
  print_message("%d objects\n", right);
  assert_int_equal(wrong, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(objects)};
  ctx = exec_context();
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  hl_context_destroy(ctx);
  return failed;
}
