/* lowered.c: see lowered.h. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "src/ir/interp/compare.h"
#include "src/ir/interp/interp.h"
#include "src/pass/pass.h"
#include "tests/support/lowered.h"

/* ---- files ------------------------------------------------------------------------------ */

static void path_of(const char *below, char *out, size_t size) {
  const char *dir = getenv("HL_SOURCE_DIR");
  snprintf(out, size, "%s/tests/%s", dir ? dir : ".", below);
}

hl_kernel *lowered_parse(hl_context *ctx, const char *below) {
  char path[1024], *text = NULL;
  path_of(below, path, sizeof path);
  FILE *f = fopen(path, "rb");
  if (!f) fail_msg("cannot open %s", path);
  fseek(f, 0, SEEK_END);
  size_t size = (size_t)ftell(f);
  rewind(f);
  text = malloc(size + 1);
  if (!text || fread(text, 1, size, f) != size) fail_msg("cannot read %s", path);
  fclose(f);
  hl_diag d = {0};
  hl_kernel *k = NULL;
  if (hl_kernel_parse(ctx, (hl_str){text, size}, below, &d, &k) != HL_OK) fail_msg("%s:%u: %s", d.file, d.line, d.message);
  free(text);
  return k;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void lowered_each(const char *folder, const char *suffix, void (*visit)(void *user, const char *below), void *user) {
  char path[1024], *names[256];
  size_t n = 0;
  path_of(folder, path, sizeof path);
  DIR *dir = opendir(path);
  if (!dir) fail_msg("cannot open %s", path);
  for (struct dirent *e; (e = readdir(dir)) && n < 256;) {
    size_t len = strlen(e->d_name), s = strlen(suffix);
    if (len > s && strcmp(e->d_name + len - s, suffix) == 0) names[n++] = strdup(e->d_name);
  }
  closedir(dir);
  assert_true(n > 0);
  qsort(names, n, sizeof *names, by_name);
  for (size_t i = 0; i < n; i++) {
    char below[512];
    snprintf(below, sizeof below, "%s/%s", folder, names[i]);
    visit(user, below);
    free(names[i]);
  }
}

/* ---- data --------------------------------------------------------------------------------- */

char hli_dtype_kind(hl_dtype dtype);

static int64_t size_of_dim(const hl_kernel *k, hli_dim d) {
  const hli_dim_data *x = &k->dims.data[d];
  return x->value >= 0 ? x->value : x->example;
}

/* Numbers between -1 and 1, or -3 and 8, that every float format holds exactly. */
static double number(char kind, uint32_t param, int64_t i) {
  uint32_t h = (uint32_t)(i * 2654435761u) ^ param * 0x9e3779b9u;
  h ^= h >> 15;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  if (kind == 'f') return (double)(int32_t)(h % 257) / 128.0 - 1.0;
  return kind == 'b' ? h & 1 : (double)(h % 12) - (kind == 'i' ? 3 : 0);
}

static void put(void *data, hl_dtype dtype, int64_t i, double x) {
  hli_scalar s = {.i = (int64_t)x};
  if (hli_dtype_kind(dtype) == 'f') s.f = x;
  uint64_t bits = hli_scalar_to_bits(dtype, s);
  memcpy((char *)data + i * hl_dtype_size(dtype), &bits, hl_dtype_size(dtype));
}

static void make_tensor(const hl_kernel *k, uint32_t p, bool wide, lowered_data *d) {
  const hli_type_data *t = hli_type_of(k, k->params.data[p].value);
  char kind = hli_dtype_kind((hl_dtype)t->dtype);
  hl_dtype dtype = wide && kind == 'f' ? HL_F64 : (hl_dtype)t->dtype;
  int64_t n = 1;
  for (uint32_t i = 0; i < t->rank; i++)
    n *= d->shape[p][i] = size_of_dim(k, t->dims[i]);
  size_t bytes = (size_t)n * hl_dtype_size(dtype);
  void *data = aligned_alloc(64, (bytes + 127) / 64 * 64);
  assert_non_null(data);
  memset(data, 0, (bytes + 127) / 64 * 64);
  for (int64_t i = 0; i < n; i++)
    put(data, dtype, i, number(kind, p, i));
  d->tensor[p] = (hl_tensor){.data = data, .device = {HL_DEVICE_CPU, 0}, .ndim = t->rank, .dtype = hl_dtype_to_dl(dtype), .shape = d->shape[p]};
  d->arg[p] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &d->tensor[p]};
}

void lowered_data_make(const hl_kernel *k, bool wide, lowered_data *d) {
  memset(d, 0, sizeof *d);
  d->count = k->params.len;
  assert_true(d->count <= LOWERED_ARGS);
  for (uint32_t p = 0; p < d->count; p++) {
    d->output[p] = k->params.data[p].is_output;
    const hli_type_data *t = hli_type_of(k, k->params.data[p].value);
    if (t->kind == HLI_TYPE_TENSOR) {
      make_tensor(k, p, wide, d);
    } else if (hli_dtype_kind((hl_dtype)t->dtype) == 'f') {
      d->arg[p] = (hl_arg){.kind = HL_ARG_F64, .as.f64 = 0.5};
    } else {
      d->arg[p] = (hl_arg){.kind = HL_ARG_I64, .as.i64 = 3};
    }
  }
}

void lowered_data_free(lowered_data *d) {
  for (uint32_t p = 0; p < d->count; p++)
    free(d->tensor[p].data);
}

void lowered_truth(hl_context *ctx, const hl_kernel *k, lowered_data *d) {
  hl_diag diag = {0};
  (void)ctx;
  int64_t blocks[64] = {0};
  for (uint32_t a = 1; a < k->axes.len && a < 64; a++)
    blocks[a] = k->axes.data[a].kind == HLI_AXIS_TILE ? 16 : 0;
  const hli_interp_options o = {.exact = true, .program_check = true, .blocks = blocks, .block_count = HLI_MIN(k->axes.len, 64)};
  if (hli_interp_run(k, NULL, d->arg, d->count, &o, &diag) != HL_OK) fail_msg("%s as written: %s", k->name, diag.message);
}

/* ---- lowering -------------------------------------------------------------------------------- */

static uint32_t bindings(const hl_kernel *k, hl_shape_binding *out) {
  uint32_t n = 0;
  for (uint32_t d = 1; d < k->dims.len; d++)
    if (k->dims.data[d].name[0]) out[n++] = (hl_shape_binding){k->dims.data[d].name, size_of_dim(k, d)};
  return n;
}

static hl_kernel *lower(const hl_kernel *k, const hl_target *t, const hl_config *c, const char *stop_after) {
  hl_diag d = {0};
  hl_shape_binding shape[16];
  uint32_t n = bindings(k, shape);
  hl_kernel *l = hli_kernel_clone(k);
  hli_pass_env env = {.alloc = k->alloc, .target = t, .config = c, .shape = shape, .shape_count = n, .diag = &d};
  if (!l || hli_run_pipeline(&env, &l, stop_after, NULL, NULL) != HL_OK) fail_msg("%s: %s", k->name, d.message);
  return l;
}

static const hl_target *target_of(const char *name) {
  hl_diag d = {0};
  const hl_target *t = NULL;
  if (hl_target_find(hli_str(name), &d, &t) != HL_OK) fail_msg("%s", d.message);
  return t;
}

hl_kernel *lowered_loop(hl_context *ctx, const hl_kernel *k, const char *target, const char *config) {
  hl_diag d = {0};
  hl_config *c = NULL;
  hl_shape_binding shape[16];
  uint32_t n = bindings(k, shape);
  (void)ctx;
  hl_status s = config ? hl_config_parse(k, shape, n, target_of(target), hli_str(config), &d, &c)
                       : hl_config_default(k, shape, n, target_of(target), &d, &c);
  if (s != HL_OK) fail_msg("%s: %s", k->name, d.message);
  hl_kernel *l = lower(k, target_of(target), c, NULL);
  hl_config_destroy(c);
  return l;
}

hl_kernel *lowered_loop_random(hl_context *ctx, const hl_kernel *k, const char *target, uint64_t seed, char *json, size_t size) {
  hl_diag d = {0};
  hl_config *c = NULL;
  hl_blob *text = NULL;
  hl_shape_binding shape[16];
  uint32_t n = bindings(k, shape);
  (void)ctx;
  if (hl_config_random(k, shape, n, target_of(target), seed, &d, &c) != HL_OK) fail_msg("%s: %s", k->name, d.message);
  assert_int_equal(hl_config_print(c, &d, &text), HL_OK);
  snprintf(json, size, "%s", (const char *)hl_blob_data(text));
  hl_blob_release(text);
  hl_kernel *l = lower(k, target_of(target), c, NULL);
  hl_config_destroy(c);
  return l;
}

hl_kernel *lowered_tile(hl_context *ctx, const hl_kernel *k, const char *target) {
  hl_diag d = {0};
  hl_config *c = NULL;
  hl_shape_binding shape[16];
  uint32_t n = bindings(k, shape);
  (void)ctx;
  if (hl_config_default(k, shape, n, target_of(target), &d, &c) != HL_OK) fail_msg("%s: %s", k->name, d.message);
  hl_kernel *l = lower(k, target_of(target), c, "tile");
  hl_config_destroy(c);
  return l;
}

/* ---- comparison --------------------------------------------------------------------------------- */

/* Values are about 1 and a few hundred of them are added; a kernel with a narrow float rounds in it on the way. */
static hli_tolerance tolerance_of(const hl_kernel *k) {
  hli_tolerance t = {.n = 1000, .slack = 8, .acc = HL_F32};
  for (uint32_t p = 0; p < k->params.len; p++) {
    hl_dtype d = (hl_dtype)hli_type_of(k, k->params.data[p].value)->dtype;
    if (d == HL_BF16) t = (hli_tolerance){.n = 4, .acc = HL_BF16};
    if (d == HL_F64) t.acc = HL_F64;
  }
  t.magnitude = 1;
  return t;
}

void lowered_compare(const hl_kernel *k, const lowered_data *got, const lowered_data *truth, const char *what) {
  const hli_tolerance t = tolerance_of(k);
  for (uint32_t p = 0; p < got->count; p++) {
    hli_comparison c;
    hl_diag d = {0};
    char words[512];
    if (!got->output[p]) continue;
    if (hli_compare(&got->tensor[p], &truth->tensor[p], &t, &d, &c) != HL_OK) fail_msg("%s, %s: %s", k->name, what, d.message);
    hli_comparison_text(&c, words, sizeof words);
    if (!c.pass) fail_msg("%s, %s, parameter %u: %s", k->name, what, p, words);
  }
}

bool lowered_refused(const hl_kernel *k, const char *target) {
  bool folds = false;
  for (hli_op op = 1; op < k->ops.len; op++)
    folds |= hli_op_facts((hli_opcode)hli_op_get(k, op)->code)->family == HLI_FAM_FOLD;
  if (!folds) return false;
  hl_diag d = {0};
  hl_kernel *lane = hli_kernel_clone(k);
  hli_pass_env env = {.alloc = k->alloc, .target = target_of(target), .diag = &d};
  assert_int_equal(hli_run_pipeline(&env, &lane, NULL, NULL, NULL), HL_ERR_UNSUPPORTED);
  if (!strstr(d.message, target) || !strstr(d.message, "on the CPU") || !d.line) fail_msg("%s:%u: %s", d.file, d.line, d.message);
  hl_kernel_destroy(lane);
  return true;
}
