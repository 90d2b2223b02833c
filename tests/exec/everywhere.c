/* everywhere.c: see everywhere.h. */
#include "tests/exec/everywhere.h"

#include <math.h>

#include "src/ir/ir.h"

enum { MOST = 8, GUARD = 256, POISON = 0x5b };

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

/* The bits of a number in the dtype of the store. */
static uint64_t bits_of(const store *s, hl_dtype given, double number) {
  hli_scalar x = {.i = (int64_t)number};
  if (hli_dtype_kind(s->dtype) == 'f')
    x.f = number;
  if (s->dtype != given) /* wide: what the narrow one can hold */
    x = hli_scalar_from_bits(given, hli_scalar_to_bits(given, x));
  return hli_scalar_to_bits(s->dtype, x);
}

static void fill(store *s, const every_tensor *t, bool wide, bool bits) {
  *s = (store){.count = 1, .dtype = wide && hli_dtype_kind(t->dtype) == 'f' ? HL_F64 : t->dtype};
  for (uint32_t d = 0; d < t->rank; d++)
    s->count *= t->shape[d];
  const uint32_t size = hl_dtype_size(s->dtype);
  s->size = (size_t)s->count * size;
  s->bytes = malloc(s->size + 2 * GUARD);
  assert_non_null(s->bytes);
  memset(s->bytes, POISON, s->size + 2 * GUARD);
  if (t->in && bits)
    memcpy(s->bytes + GUARD, t->in, s->size);
  for (int64_t i = 0; t->in && !bits && i < s->count; i++) {
    const uint64_t x = bits_of(s, t->dtype, ((const double *)t->in)[i]);
    memcpy(s->bytes + GUARD + (size_t)i * size, &x, size);
  }
  s->t = (hl_tensor){.data = s->bytes + GUARD,
                     .device = {HL_DEVICE_CPU, 0},
                     .ndim = (int32_t)t->rank,
                     .dtype = hl_dtype_to_dl(s->dtype),
                     .shape = (int64_t *)(uintptr_t)t->shape};
}

static double value_at(const void *elements, hl_dtype dtype, int64_t i) {
  uint64_t bits = 0;
  memcpy(&bits, (const char *)elements + (size_t)i * hl_dtype_size(dtype), hl_dtype_size(dtype));
  const hli_scalar x = hli_scalar_from_bits(dtype, bits);
  const char kind = hli_dtype_kind(dtype);
  return kind == 'f' ? x.f : kind == 'u' ? (double)x.u : (double)x.i;
}

static bool agrees(const store *s, const every_tensor *t, int64_t i, bool bits, double got, double want) {
  const size_t size = hl_dtype_size(s->dtype), at = (size_t)i * size;
  if (isnan(got) || isnan(want))
    return isnan(got) && isnan(want);
  if (bits && t->tolerance == 0) /* -0 is not 0, and doubles do not hold all integers of 64 bits */
    return memcmp(s->bytes + GUARD + at, (const char *)t->want + at, size) == 0;
  return got == want || fabs(got - want) <= t->tolerance;
}

static void judge(const store *s, const every_tensor *t, bool bits, uint32_t number, const char *where) {
  for (size_t i = 0; i < GUARD; i++)
    if (s->bytes[i] != POISON || s->bytes[GUARD + s->size + i] != POISON)
      fail_msg("%s: tensor %u: wrote outside", where, number);
  for (int64_t i = 0; t->want && i < s->count; i++) {
    const double got = value_at(s->bytes + GUARD, s->dtype, i);
    const double want = value_at(t->want, bits ? s->dtype : HL_F64, i);
    if (!agrees(s, t, i, bits, got, want))
      fail_msg("%s: tensor %u, element %lld is %g (%a), not %g (%a)", where, number, (long long)i, got, got, want,
               want);
  }
}

/* ---- places ---- */

typedef struct job {
  hl_context *ctx;
  const every_kernel *how;
  const hl_kernel *k;
  const every_tensor *t;
  uint32_t count;
  store s[MOST];
  hl_arg args[MOST];
} job;

static bool in_bits(const job *j) {
  return (j->how->flags & EVERY_BITS) == EVERY_BITS;
}

static hl_arg scalar(const every_tensor *t) {
  const double x = *(const double *)t->in;
  if (hli_dtype_kind(t->dtype) == 'f')
    return (hl_arg){.kind = HL_ARG_F64, .as.f64 = x};
  return (hl_arg){.kind = HL_ARG_I64, .as.i64 = (int64_t)x};
}

static void begin(job *j, bool wide) {
  assert_true(j->count <= MOST);
  for (uint32_t i = 0; i < j->count; i++) {
    const every_tensor *t = &j->t[i];
    j->s[i] = (store){0};
    if (t->rank != EVERY_SCALAR)
      fill(&j->s[i], t, wide, in_bits(j));
    j->args[i] = t->rank == EVERY_SCALAR ? scalar(t) : (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &j->s[i].t};
  }
}

static void end(job *j, const char *where) {
  for (uint32_t i = 0; i < j->count; i++)
    if (j->s[i].bytes)
      judge(&j->s[i], &j->t[i], in_bits(j), i, where);
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

/* The sizes of named dimensions, from the arguments. */
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

/* The CPU works in place, so that the guards are its neighbours. */
static void send(job *j, hl_device *dev, hl_device_id id) {
  hl_diag d = {0};
  for (uint32_t i = 0; i < j->count && id.type != HL_DEVICE_CPU; i++) {
    store *s = &j->s[i];
    if (!s->bytes)
      continue;
    assert_int_equal(hl_buffer_create(dev, HLI_MAX(s->size, 1), &d, &s->buffer), HL_OK);
    assert_int_equal(hl_buffer_write(s->buffer, 0, s->bytes + GUARD, s->size, NULL, &d), HL_OK);
    s->t.data = hl_buffer_data(s->buffer);
    s->t.device = id;
  }
}

static void fetch(job *j, hl_device *dev) {
  hl_diag d = {0};
  for (uint32_t i = 0; i < j->count; i++) {
    store *s = &j->s[i];
    if (!s->buffer)
      continue;
    assert_int_equal(hl_buffer_read(s->buffer, 0, s->bytes + GUARD, s->size, NULL, &d), HL_OK);
    assert_int_equal(hl_device_synchronize(dev, &d), HL_OK);
    hl_buffer_destroy(s->buffer);
  }
}

static void run_on(job *j, hl_device *dev, const hl_config *config, const char *where) {
  hl_diag d = {0};
  hl_device_info info = {.size = sizeof info};
  hl_plan_options po = HL_PLAN_OPTIONS_INIT;
  hl_plan *plan = NULL;
  begin(j, false);
  assert_int_equal(hl_device_get_info(dev, &info), HL_OK);
  send(j, dev, info.id);
  po.args = j->args, po.arg_count = j->count, po.config = config;
  if (hl_plan_create(dev, j->k, &po, &d, &plan) != HL_OK ||
      hl_launch(plan, NULL, j->args, j->count, NULL, &d) != HL_OK || hl_device_synchronize(dev, &d) != HL_OK)
    fail_msg("%s: %s", where, d.message);
  fetch(j, dev);
  hl_plan_destroy(plan);
  end(j, where);
}

/* ---- compiling only ---- */

static hl_status compile(job *j, const hl_target *target, const hl_config *config, hl_emit emit, hl_diag *d) {
  shape sizes;
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  hl_blob *blob = NULL;
  shape_of(j, &sizes);
  o.shape = sizes.dim;
  o.shape_count = sizes.n;
  o.config = config;
  o.emit = emit;
  const hl_status s = hl_compile(j->ctx, j->k, target, &o, d, &blob);
  hl_blob_release(blob);
  return s;
}

static void unsupported(job *j, const hl_target *target) {
  hl_diag d = {0};
  assert_int_equal(compile(j, target, NULL, HL_EMIT_LANE, &d), HL_ERR_UNSUPPORTED);
  if (j->how->refusal && !strstr(d.message, j->how->refusal))
    fail_msg("%s: no '%s' in: %s", j->how->what, j->how->refusal, d.message);
}

/* ---- all of them ---- */

static hl_config *configuration(const job *j, const hl_target *target, uint32_t seed) {
  shape sizes;
  hl_config *config = NULL;
  hl_diag d = {0};
  shape_of(j, &sizes);
  if ((seed ? hl_config_random(j->k, sizes.dim, sizes.n, target, seed, &d, &config)
            : hl_config_default(j->k, sizes.dim, sizes.n, target, &d, &config)) != HL_OK)
    fail_msg("%s, configuration %u: %s", j->how->what, seed, d.message);
  return config;
}

static void lowered(job *j, const char *name) {
  const hl_target *target = exec_target(name);
  const bool gpu = strncmp(name, "nvptx", 5) == 0;
  hl_diag d = {0};
  if (gpu && (j->how->flags & EVERY_NO_GPU)) {
    unsupported(j, target);
    return;
  }
  for (uint32_t seed = 0; seed <= j->how->configs; seed++) {
    hl_config *config = configuration(j, target, seed);
    char where[160];
    snprintf(where, sizeof where, "%s lowered for %s, configuration %u", j->how->what, name, seed);
    interpret(j, target, config, false, where);
    if (gpu && seed < 2 && compile(j, target, config, HL_EMIT_OBJ, &d) != HL_OK)
      fail_msg("%s, compiled: %s", where, d.message);
    hl_config_destroy(config);
  }
}

static void on_device(job *j, const char *name) {
  const hl_target *target = NULL;
  hl_device *dev = NULL;
  hl_diag d = {0};
  if (hl_device_open(j->ctx, name, &d, &dev) != HL_OK) {
    if (d.status != HL_ERR_NO_DRIVER && d.status != HL_ERR_NO_DEVICE)
      fail_msg("%s", d.message);
    return;
  }
  assert_int_equal(cli_device_target(dev, &d, &target), HL_OK);
  for (uint32_t seed = 0; seed <= j->how->configs; seed++) {
    hl_config *config = configuration(j, target, seed);
    char where[160];
    snprintf(where, sizeof where, "%s on %s, configuration %u", j->how->what, name, seed);
    run_on(j, dev, config, where);
    hl_config_destroy(config);
  }
  hl_device_close(dev);
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

void everywhere_run(const every_kernel *kernel, const every_tensor *t, uint32_t count) {
  job j = {.ctx = exec_context(), .how = kernel, .t = t, .count = count};
  built = (hl_diag){0};
  hl_kernel *k = kernel->build(j.ctx, kernel->user);
  if (!k)
    fail_msg("%s: %s:%u: %s", kernel->what, built.file, built.line, built.message);
  j.k = k;
  read_back(&j);
  interpret(&j, NULL, NULL, false, "as built");
  if (!(kernel->flags & EVERY_NO_EXACT))
    interpret(&j, NULL, NULL, true, "as built, exactly");
  lowered(&j, "host");
  lowered(&j, "nvptx:sm_90a");
  lowered(&j, "nvptx:sm_80");
  on_device(&j, "cpu");
  if (!(kernel->flags & EVERY_NO_GPU))
    on_device(&j, "cuda");
  hl_kernel_destroy(k);
  hl_context_destroy(j.ctx);
}

static hl_kernel *build_plain(hl_context *ctx, const void *user) {
  return (*(const every_build *)user)(ctx);
}

void everywhere(every_build build, const every_tensor *t, uint32_t count, uint32_t flags) {
  everywhere_run(&(every_kernel){"the kernel", build_plain, &build, flags, 3, NULL}, t, count);
}
