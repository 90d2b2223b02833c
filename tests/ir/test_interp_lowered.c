/* test_interp_lowered.c: hl_interpret: kernels as built and behind every pass of every target's pipeline, in
 * default and random configurations, against the kernel as built in exact mode. */
#include "interp_util.h"
#include "src/ir/interp/interp.h"
#include "src/pass/pass.h"
#include "src/plan/interpret.h"
#include <stdlib.h>
#include <string.h>

typedef struct sample {
  const char *text;
  uint32_t tensors;
  uint32_t rank[3];
  const char *dims[3]; /* letters of M K N per tensor; the last tensor is the result */
  hl_dtype dtype;
  char summed; /* the dimension that is summed over, ' ' = none */
} sample;

static const sample samples[] = {
    {text_vector_add, 3, {1, 1, 1}, {"N", "N", "N"}, HL_F32, ' '},
    {text_row_sum, 2, {2, 1}, {"MN", "M"}, HL_F32, 'N'},
    {text_softmax, 2, {2, 2}, {"MN", "MN"}, HL_F32, 'N'},
    {text_matmul, 3, {2, 2, 2}, {"MK", "KN", "MN"}, HL_BF16, 'K'},
};

typedef struct problem {
  const sample *s;
  int64_t m, k, n;
  hl_kernel *kernel;
  box in[2], want;
} problem;

static int64_t size_of(const problem *p, char dim) {
  return dim == 'M' ? p->m : dim == 'K' ? p->k : dim == 'N' ? p->n : 1;
}

static void make_box(const problem *p, uint32_t tensor, hl_dtype dtype, box *b) {
  int64_t shape[2] = {0};
  for (uint32_t d = 0; d < p->s->rank[tensor]; d++)
    shape[d] = size_of(p, p->s->dims[tensor][d]);
  box_init(b, dtype, p->s->rank[tensor], shape, NULL);
}

static void arguments(const problem *p, const box *result, hl_arg *args) {
  for (uint32_t i = 0; i + 1 < p->s->tensors; i++)
    args[i] = arg_of(&p->in[i]);
  args[p->s->tensors - 1] = arg_of(result);
}

static void problem_open(problem *p, const sample *s, int64_t m, int64_t k, int64_t n) {
  hl_diag diag;
  hl_arg args[3];
  *p = (problem){.s = s, .m = m, .k = k, .n = n};
  if (hli_parse(NULL, hli_str(s->text), "test.hl", &diag, &p->kernel) != HL_OK)
    fail_msg("%s", diag.message);
  for (uint32_t i = 0; i + 1 < s->tensors; i++) {
    make_box(p, i, s->dtype, &p->in[i]);
    box_fill(&p->in[i], i + 1);
  }
  make_box(p, s->tensors - 1, HL_F64, &p->want);
  arguments(p, &p->want, args);
  hl_interp_options o = HL_INTERP_OPTIONS_INIT;
  o.mode = HL_INTERP_EXACT;
  if (hli_interpret(NULL, p->kernel, args, s->tensors, &o, NULL, &diag) != HL_OK)
    fail_msg("%s", diag.message);
}

static void problem_close(problem *p) {
  for (uint32_t i = 0; i + 1 < p->s->tensors; i++)
    box_free(&p->in[i]);
  box_free(&p->want);
  hl_kernel_destroy(p->kernel);
}

static void explain(const problem *p, const hl_interp_options *o, const char *pass, const char *words) {
  hl_blob *json = NULL;
  if (o->config)
    (void)hl_config_print(o->config, NULL, &json);
  fail_msg("kernel '%s' at %lld %lld %lld for %s, behind pass %s, with %s: %s", p->kernel->name, (long long)p->m,
           (long long)p->k, (long long)p->n, o->target ? hl_target_name(o->target).ptr : "no target", pass,
           json ? (const char *)hl_blob_data(json) : "the default configuration", words);
}

static void check(const problem *p, const hl_interp_options *o, const char *pass) {
  hl_diag diag = {0};
  hl_arg args[3];
  box got;
  char text[512];
  make_box(p, p->s->tensors - 1, o->mode == HL_INTERP_EXACT ? HL_F64 : p->s->dtype, &got);
  arguments(p, &got, args);
  if (hli_interpret(NULL, p->kernel, args, p->s->tensors, o, pass, &diag) != HL_OK)
    explain(p, o, pass ? pass : "(all)", diag.message);
  hli_comparison c;
  const hli_tolerance t = {.n = size_of(p, p->s->summed)};
  assert_int_equal(hli_compare(&got.t, &p->want.t, &t, &diag, &c), HL_OK);
  hli_comparison_text(&c, text, sizeof text);
  if (!c.pass)
    explain(p, o, pass ? pass : "(all)", text);
  box_free(&got);
}

/* Behind every pass of the target's pipeline. */
static void check_passes(const problem *p, const hl_interp_options *o) {
  for (uint32_t i = 0; i < hli_pipeline_length; i++) {
    bool last = true; /* of its name: a repeated pass is stopped behind once */
    for (uint32_t j = 0; j < i; j++)
      last &= strcmp(hli_pipeline[i].name, hli_pipeline[j].name) != 0;
    if (last && hli_pipeline[i].families & (1u << o->target->family))
      check(p, o, hli_pipeline[i].name);
  }
  check(p, o, NULL);
}

static hl_config *random_config(const problem *p, const hl_target *target, uint64_t seed) {
  const hl_shape_binding shape[] = {{"M", p->m}, {"K", p->k}, {"N", p->n}};
  const char *const names[] = {"M", "K", "N"};
  hl_shape_binding used[3];
  uint32_t n = 0;
  hl_config *c = NULL;
  hl_diag diag;
  for (uint32_t i = 0; i < 3; i++)
    for (uint32_t d = 1; d < p->kernel->dims.len; d++)
      if (!strcmp(p->kernel->dims.data[d].name, names[i]))
        used[n++] = shape[i];
  if (hl_config_random(p->kernel, used, n, target, seed, &diag, &c) != HL_OK)
    fail_msg("%s", diag.message);
  return c;
}

static void run_target(const char *name, uint64_t seeds) {
  const int64_t sizes[][3] = {{1, 1, 1}, {5, 19, 33}, {16, 32, 64}, {3, 0, 5}, {5, 3, 0}};
  const hl_target *target;
  hl_diag diag;
  if (hl_target_find(hli_str(name), &diag, &target) != HL_OK)
    fail_msg("%s", diag.message);
  for (size_t s = 0; s < HLI_COUNT(samples); s++)
    for (size_t i = 0; i < HLI_COUNT(sizes); i++) {
      problem p;
      problem_open(&p, &samples[s], sizes[i][0], sizes[i][1], sizes[i][2]);
      hl_interp_options o = HL_INTERP_OPTIONS_INIT;
      o.target = target;
      check_passes(&p, &o);
      o.mode = HL_INTERP_EXACT;
      check(&p, &o, NULL);
      o.mode = HL_INTERP_TYPED;
      for (uint64_t seed = 1; seed <= seeds; seed++) {
        hl_config *c = random_config(&p, target, seed);
        o.config = c;
        check_passes(&p, &o);
        hl_config_destroy(c);
      }
      problem_close(&p);
    }
}

static void test_as_built(void **state) {
  (void)state;
  for (size_t s = 0; s < HLI_COUNT(samples); s++) {
    problem p;
    problem_open(&p, &samples[s], 7, 9, 11);
    hl_interp_options o = HL_INTERP_OPTIONS_INIT;
    check(&p, &o, NULL);
    problem_close(&p);
  }
}

static void test_cpu(void **state) {
  (void)state;
  run_target("x86-64-v3", 4);
  run_target("x86-64-v4", 2);
}

static void test_nvptx(void **state) {
  (void)state;
  run_target("nvptx:sm_80", 2);
}

/* The race check sees what a lowered kernel needs: without any one of its waits and barriers it is caught. */
static void test_mutations(void **state) {
  (void)state;
  static const char json[] = "{\"block_sizes\":[32,32,32],\"num_warps\":4,\"num_stages\":3}";
  const hl_shape_binding shape[] = {{"M", 64}, {"K", 160}, {"N", 64}};
  const hli_interp_options races = {.race_check = true};
  const hl_target *target;
  hl_config *config = NULL;
  hl_diag diag;
  hl_arg args[3];
  problem p;
  box got;
  uint32_t barriers = 0, waits = 0;
  problem_open(&p, &samples[3], 64, 160, 64);
  make_box(&p, 2, HL_BF16, &got);
  arguments(&p, &got, args);
  assert_int_equal(hl_target_find(hli_str("nvptx:sm_80"), &diag, &target), HL_OK);
  if (hl_config_parse(p.kernel, shape, 3, target, hli_str(json), &diag, &config) != HL_OK)
    fail_msg("%s", diag.message);
  hli_pass_env env = {.target = target, .config = config, .shape = shape, .shape_count = 3, .diag = &diag};
  if (hli_run_pipeline(&env, &p.kernel, NULL, NULL, NULL) != HL_OK)
    fail_msg("%s", diag.message);
  if (hli_interp_run(p.kernel, NULL, args, 3, &races, &diag) != HL_OK)
    fail_msg("%s", diag.message);
  for (hli_op op = 1; op < p.kernel->ops.len; op++) {
    const hli_op_data *o = hli_op_get(p.kernel, op);
    if (o->dead || (o->code != HLI_OP_BARRIER && o->code != HLI_OP_ASYNC_WAIT))
      continue;
    if (o->code == HLI_OP_ASYNC_WAIT && o->block == p.kernel->body)
      continue; /* behind the loop: for later buffers in the ring's place, and here there are none */
    *(o->code == HLI_OP_BARRIER ? &barriers : &waits) += 1;
    hl_kernel *k = hli_kernel_clone(p.kernel);
    assert_non_null(k);
    hli_op_remove(k, op);
    if (hli_interp_run(k, NULL, args, 3, &races, &diag) != HL_ERR_BUILD || !strstr(diag.message, "race: thread"))
      fail_msg("%s number %u is not missed", hli_op_facts((hli_opcode)o->code)->text, op);
    hl_kernel_destroy(k);
  }
  assert_true(barriers > 0 && waits > 0);
  hl_config_destroy(config);
  box_free(&got);
  problem_close(&p);
}

static void test_api(void **state) {
  (void)state;
  hl_context *ctx = NULL;
  hl_diag diag;
  hl_interp_options o = HL_INTERP_OPTIONS_INIT;
  problem p;
  hl_arg args[3];
  problem_open(&p, &samples[0], 1, 1, 10);
  BOX1(got, HL_F32, 10);
  arguments(&p, &got, args);
  assert_int_equal(hl_context_create(NULL, &diag, &ctx), HL_OK);
  assert_int_equal(hl_interpret(ctx, p.kernel, args, 3, NULL, &diag), HL_OK);
  expect_close(&got, &p.want, 1);
  assert_int_equal(hl_interpret(NULL, p.kernel, args, 3, NULL, &diag), HL_ERR_ARG);
  assert_int_equal(hl_interpret(ctx, NULL, args, 3, NULL, &diag), HL_ERR_ARG);
  assert_int_equal(hl_interpret(ctx, p.kernel, args, 2, NULL, &diag), HL_ERR_ARG);
  o.max_steps = 3;
  assert_int_equal(hl_interpret(ctx, p.kernel, args, 3, &o, &diag), HL_ERR_LIMIT);
  o.size = 1;
  assert_int_equal(hl_interpret(ctx, p.kernel, args, 3, &o, &diag), HL_ERR_ARG);
  o = (hl_interp_options)HL_INTERP_OPTIONS_INIT;
  o.mode = (hl_interp_mode)7;
  assert_int_equal(hl_interpret(ctx, p.kernel, args, 3, &o, &diag), HL_ERR_ARG);
  hl_context_destroy(ctx);
  problem_close(&p);
  box_free(&got);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_as_built), cmocka_unit_test(test_api),       cmocka_unit_test(test_cpu),
      cmocka_unit_test(test_nvptx),    cmocka_unit_test(test_mutations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
