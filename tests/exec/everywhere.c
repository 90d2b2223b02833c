/* everywhere.c: see everywhere.h. */
#include "tests/exec/everywhere.h"

#include <math.h>

#include "src/ir/ir.h"

enum { MOST = 8, CONFIGS = 3, GUARD = 256, POISON = 0x5b };

static hl_diag built; /* of the last every_finish */

hl_kernel *every_finish(hl_builder *b) {
  hl_kernel *k = NULL;
  built = (hl_diag){0};
  (void)hl_builder_finish(b, &built, &k);
  return k;
}

void build_fails(every_build build, const char *const *words) {
  hl_context *ctx = exec_context();
  hl_kernel *k = build(ctx);
  assert_null(k);
  assert_int_equal(built.status, HL_ERR_BUILD);
  for (; *words; words++)
    if (!strstr(built.message, *words))
      fail_msg("no '%s' in: %s", *words, built.message);
  assert_true(built.line > 0);
  assert_non_null(strstr(built.file, "test_"));
  hl_context_destroy(ctx);
}

/* ---- tensors ---- */

typedef struct store {
  unsigned char *bytes; /* GUARD before and behind */
  size_t size;
  int64_t count;
  hl_dtype dtype;
  hl_tensor t;
  hl_buffer *buffer;
} store;

static void fill(store *s, const every_tensor *t, bool wide) {
  *s = (store){.count = 1, .dtype = wide && hli_dtype_kind(t->dtype) == 'f' ? HL_F64 : t->dtype};
  for (uint32_t d = 0; d < t->rank; d++)
    s->count *= t->shape[d];
  const uint32_t size = hl_dtype_size(s->dtype);
  s->size = (size_t)s->count * size;
  s->bytes = malloc(s->size + 2 * GUARD);
  assert_non_null(s->bytes);
  memset(s->bytes, POISON, s->size + 2 * GUARD);
  for (int64_t i = 0; t->in && i < s->count; i++) {
    const char kind = hli_dtype_kind(s->dtype);
    hli_scalar x = {.i = (int64_t)t->in[i]};
    if (kind == 'f')
      x.f =
          wide ? hli_scalar_from_bits(t->dtype, hli_scalar_to_bits(t->dtype, (hli_scalar){.f = t->in[i]})).f : t->in[i];
    const uint64_t bits = hli_scalar_to_bits(s->dtype, x);
    memcpy(s->bytes + GUARD + (size_t)i * size, &bits, size);
  }
  s->t = (hl_tensor){.data = s->bytes + GUARD,
                     .device = {HL_DEVICE_CPU, 0},
                     .ndim = (int32_t)t->rank,
                     .dtype = hl_dtype_to_dl(s->dtype),
                     .shape = (int64_t *)(uintptr_t)t->shape};
}

static double value_at(const store *s, int64_t i) {
  uint64_t bits = 0;
  memcpy(&bits, s->bytes + GUARD + (size_t)i * hl_dtype_size(s->dtype), hl_dtype_size(s->dtype));
  const hli_scalar x = hli_scalar_from_bits(s->dtype, bits);
  const char kind = hli_dtype_kind(s->dtype);
  return kind == 'f' ? x.f : kind == 'u' ? (double)x.u : (double)x.i;
}

static void judge(const store *s, const every_tensor *t, uint32_t number, const char *where) {
  for (size_t i = 0; i < GUARD; i++)
    if (s->bytes[i] != POISON || s->bytes[GUARD + s->size + i] != POISON)
      fail_msg("%s: tensor %u: wrote outside", where, number);
  for (int64_t i = 0; t->want && i < s->count; i++) {
    const double got = value_at(s, i), want = t->want[i];
    if (!(fabs(got - want) <= t->tolerance) && !(isnan(got) && isnan(want)))
      fail_msg("%s: tensor %u, element %lld is %g, not %g", where, number, (long long)i, got, want);
  }
}

/* ---- places ---- */

typedef struct job {
  hl_context *ctx;
  const hl_kernel *k;
  const every_tensor *t;
  uint32_t count, flags;
  store s[MOST];
  hl_arg args[MOST];
} job;

static void begin(job *j, bool wide) {
  assert_true(j->count <= MOST);
  for (uint32_t i = 0; i < j->count; i++) {
    fill(&j->s[i], &j->t[i], wide);
    j->args[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &j->s[i].t};
  }
}

static void end(job *j, const char *where) {
  for (uint32_t i = 0; i < j->count; i++)
    judge(&j->s[i], &j->t[i], i, where);
  for (uint32_t i = 0; i < j->count; i++)
    free(j->s[i].bytes);
}

static void interpret(job *j, const hl_target *target, const hl_config *config, bool exact, const char *where) {
  hl_interp_options o = HL_INTERP_OPTIONS_INIT;
  hl_diag d = {0};
  o.mode = exact ? HL_INTERP_EXACT : HL_INTERP_TYPED;
  o.target = target;
  o.config = config;
  begin(j, exact);
  if (hl_interpret(j->ctx, j->k, j->args, j->count, &o, &d) != HL_OK)
    fail_msg("%s: %s", where, d.message);
  end(j, where);
}

typedef struct shape {
  hl_shape_binding dim[16];
  char name[16][64];
  uint32_t n;
} shape;

static void shape_of(const job *j, shape *out) {
  out->n = 0;
  for (uint32_t i = 0; i < hl_kernel_param_count(j->k); i++) {
    hl_param_info p = {.size = sizeof p};
    assert_int_equal(hl_kernel_param(j->k, i, &p), HL_OK);
    for (uint32_t d = 0; p.is_tensor && d < p.rank; d++) {
      char name[64];
      bool known = p.dim_name[d].len == 0;
      snprintf(name, sizeof name, "%.*s", (int)p.dim_name[d].len, p.dim_name[d].ptr);
      for (uint32_t e = 0; e < out->n; e++)
        known |= strcmp(out->name[e], name) == 0;
      if (known || out->n == 16)
        continue;
      memcpy(out->name[out->n], name, sizeof name);
      out->dim[out->n] = (hl_shape_binding){.dim = out->name[out->n], .size = j->t[i].shape[d]};
      out->n++;
    }
  }
}

static void run_on(job *j, hl_device *dev, const hl_config *config, const char *where) {
  hl_diag d = {0};
  hl_device_info info = {.size = sizeof info};
  hl_plan_options po = HL_PLAN_OPTIONS_INIT;
  hl_plan *plan = NULL;
  begin(j, false);
  assert_int_equal(hl_device_get_info(dev, &info), HL_OK);
  void *host[MOST];
  for (uint32_t i = 0; i < j->count; i++) { /* the CPU works in place, so that the guards are its neighbours */
    host[i] = j->s[i].t.data;
    if (info.id.type == HL_DEVICE_CPU)
      continue;
    assert_int_equal(hl_buffer_create(dev, HLI_MAX(j->s[i].size, 1), &d, &j->s[i].buffer), HL_OK);
    assert_int_equal(hl_buffer_write(j->s[i].buffer, 0, host[i], j->s[i].size, NULL, &d), HL_OK);
    j->s[i].t.data = hl_buffer_data(j->s[i].buffer);
    j->s[i].t.device = info.id;
  }
  po.args = j->args, po.arg_count = j->count, po.config = config;
  if (hl_plan_create(dev, j->k, &po, &d, &plan) != HL_OK ||
      hl_launch(plan, NULL, j->args, j->count, NULL, &d) != HL_OK || hl_device_synchronize(dev, &d) != HL_OK)
    fail_msg("%s: %s", where, d.message);
  for (uint32_t i = 0; i < j->count && info.id.type != HL_DEVICE_CPU; i++) {
    assert_int_equal(hl_buffer_read(j->s[i].buffer, 0, host[i], j->s[i].size, NULL, &d), HL_OK);
    assert_int_equal(hl_device_synchronize(dev, &d), HL_OK);
    hl_buffer_destroy(j->s[i].buffer);
  }
  hl_plan_destroy(plan);
  end(j, where);
}

/* ---- compiling only ---- */

static void assemble(job *j, const hl_target *target, const hl_config *config, const char *where) {
  shape sizes;
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  hl_diag d = {0};
  hl_blob *blob = NULL;
  shape_of(j, &sizes);
  o.shape = sizes.dim;
  o.shape_count = sizes.n;
  o.config = config;
  o.emit = HL_EMIT_OBJ;
  if (hl_compile(j->ctx, j->k, target, &o, &d, &blob) != HL_OK)
    fail_msg("%s, compiled: %s", where, d.message);
  hl_blob_release(blob);
}

static void unsupported(job *j, const hl_target *target) {
  shape sizes;
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  hl_diag d = {0};
  hl_blob *blob = NULL;
  shape_of(j, &sizes);
  o.shape = sizes.dim;
  o.shape_count = sizes.n;
  o.emit = HL_EMIT_LANE;
  assert_int_equal(hl_compile(j->ctx, j->k, target, &o, &d, &blob), HL_ERR_UNSUPPORTED);
  assert_null(blob);
}

static void lowered(job *j, const char *name) {
  const hl_target *target = exec_target(name);
  const bool gpu = strncmp(name, "nvptx", 5) == 0;
  shape sizes;
  shape_of(j, &sizes);
  if (gpu && (j->flags & EVERY_NO_GPU)) {
    unsupported(j, target);
    return;
  }
  for (uint32_t seed = 0; seed <= CONFIGS; seed++) {
    hl_config *config = NULL;
    hl_diag d = {0};
    char where[160];
    if ((seed ? hl_config_random(j->k, sizes.dim, sizes.n, target, seed, &d, &config)
              : hl_config_default(j->k, sizes.dim, sizes.n, target, &d, &config)) != HL_OK)
      fail_msg("%s: %s", name, d.message);
    snprintf(where, sizeof where, "lowered for %s, configuration %u", name, seed);
    interpret(j, target, config, false, where);
    if (gpu && seed < 2)
      assemble(j, target, config, where);
    if (!gpu) {
      hl_device *cpu = NULL;
      assert_int_equal(hl_device_open(j->ctx, "cpu", &d, &cpu), HL_OK);
      snprintf(where, sizeof where, "on the CPU, configuration %u", seed);
      run_on(j, cpu, config, where);
      hl_device_close(cpu);
    }
    hl_config_destroy(config);
  }
}

static void read_back(job *j) {
  hl_diag d = {0};
  hl_blob *text = NULL, *again = NULL;
  hl_kernel *k = NULL;
  assert_int_equal(hl_kernel_print(j->k, &d, &text), HL_OK);
  const hl_str s = {(const char *)hl_blob_data(text), hl_blob_size(text)};
  if (hl_kernel_parse(j->ctx, s, "printed.hl", &d, &k) != HL_OK)
    fail_msg("the printed kernel does not parse: %s\n%.*s", d.message, (int)s.len, s.ptr);
  assert_int_equal(hl_kernel_print(k, &d, &again), HL_OK);
  assert_int_equal(hl_blob_size(text), hl_blob_size(again));
  assert_memory_equal(hl_blob_data(text), hl_blob_data(again), hl_blob_size(text));
  hl_kernel_destroy(k);
  hl_blob_release(text);
  hl_blob_release(again);
}

void everywhere(every_build build, const every_tensor *t, uint32_t count, uint32_t flags) {
  hl_diag d = {0};
  hl_device *cuda = NULL;
  job j = {.ctx = exec_context(), .t = t, .count = count, .flags = flags};
  hl_kernel *k = build(j.ctx);
  if (!k)
    fail_msg("%s:%u: %s", built.file, built.line, built.message);
  j.k = k;
  read_back(&j);
  interpret(&j, NULL, NULL, false, "as built");
  if (!(flags & EVERY_NO_EXACT))
    interpret(&j, NULL, NULL, true, "as built, exactly");
  lowered(&j, "host");
  lowered(&j, "nvptx:sm_90a");
  lowered(&j, "nvptx:sm_80");
  if (!(flags & EVERY_NO_GPU) && hl_device_open(j.ctx, "cuda", &d, &cuda) == HL_OK) {
    run_on(&j, cuda, NULL, "on the GPU");
    hl_device_close(cuda);
  }
  hl_kernel_destroy(k);
  hl_context_destroy(j.ctx);
}
