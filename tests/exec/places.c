/* places.c: see places.h.  SPDX-License-Identifier: MIT */
#include "tests/exec/places.h"

#include <math.h>
#include <unistd.h>

#include "src/ir/ir.h"
#include "src/target/target.h"

static const char *const targets[] = {NULL, "host", "nvptx:sm_80", "nvptx:sm_90a"}; /* NULL: as built */
static const char *const devices[] = {"cpu", "cuda"};

typedef struct run {
  const char *what, *where;
  const places_arg *args;
  uint32_t count;
  const places_options *options;
  hl_context *ctx;
  hl_device *dev; /* NULL: interpreted */
  const hl_target *target;
  unsigned char *host[PLACES_ARGS];
  hl_tensor tensor[PLACES_ARGS];
  hl_buffer *buffer[PLACES_ARGS];
  hl_arg arg[PLACES_ARGS];
  hl_shape_binding bind[PLACES_ARGS * HL_MAX_RANK];
  uint32_t bound;
} run;

static size_t elements(const places_arg *a) {
  size_t n = 1;
  for (int32_t d = 0; d < a->rank; d++)
    n *= (size_t)a->shape[d];
  return n;
}

/* ---- arguments ---- */

static void make_args(run *r) {
  for (uint32_t i = 0; i < r->count; i++) {
    const places_arg *a = &r->args[i];
    const size_t bytes = elements(a) * hl_dtype_size(a->dtype);
    if (a->rank < 0) {
      r->arg[i] = a->scalar;
      continue;
    }
    r->host[i] = cli_alloc(bytes + 64, 1);
    if (a->data && !a->want)
      memcpy(r->host[i], a->data, bytes);
    else if (a->want)
      memset(r->host[i], 0xa5, bytes);
    r->tensor[i] = (hl_tensor){.data = r->host[i],
                               .device = {HL_DEVICE_CPU, 0},
                               .ndim = a->rank,
                               .dtype = hl_dtype_to_dl(a->dtype),
                               .shape = (int64_t *)(uintptr_t)a->shape};
    r->arg[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &r->tensor[i]};
  }
}

static hl_status send(run *r, hl_diag *d) {
  hl_device_info info = {.size = sizeof info};
  hl_status s = hl_device_get_info(r->dev, &info);
  for (uint32_t i = 0; i < r->count && s == HL_OK; i++) {
    const size_t bytes = r->host[i] ? elements(&r->args[i]) * hl_dtype_size(r->args[i].dtype) : 0;
    if (!r->host[i])
      continue;
    s = hl_buffer_create(r->dev, bytes + 64, d, &r->buffer[i]);
    if (s == HL_OK && bytes)
      s = hl_buffer_write(r->buffer[i], 0, r->host[i], bytes, NULL, d);
    r->tensor[i].data = s == HL_OK ? hl_buffer_data(r->buffer[i]) : NULL;
    r->tensor[i].device = info.id;
  }
  return s;
}

static hl_status fetch(run *r, hl_diag *d) {
  hl_status s = HL_OK;
  for (uint32_t i = 0; i < r->count && s == HL_OK; i++)
    if (r->args[i].want && elements(&r->args[i]))
      s = hl_buffer_read(r->buffer[i], 0, r->host[i], elements(&r->args[i]) * hl_dtype_size(r->args[i].dtype), NULL, d);
  return s == HL_OK ? hl_device_synchronize(r->dev, d) : s;
}

static void free_args(run *r) {
  for (uint32_t i = 0; i < r->count; i++) {
    hl_buffer_destroy(r->buffer[i]);
    free(r->host[i]);
    r->buffer[i] = NULL, r->host[i] = NULL;
  }
}

/* ---- judging ---- */

static uint64_t bits_at(const void *data, hl_dtype dtype, size_t i) {
  uint64_t bits = 0;
  const size_t size = hl_dtype_size(dtype);
  memcpy(&bits, (const char *)data + i * size, size); /* little-endian hosts */
  return bits;
}

static bool same(const places_arg *a, uint64_t have, uint64_t want) {
  if (have == want)
    return true;
  if (hli_dtype_kind(a->dtype) != 'f')
    return false;
  const double x = hli_scalar_from_bits(a->dtype, have).f, y = hli_scalar_from_bits(a->dtype, want).f;
  if (isnan(x) || isnan(y))
    return isnan(x) && isnan(y);
  if (a->ulps <= 0 || isinf(x) || isinf(y))
    return false;
  const double unit = ldexp(1, -hli_float_format_of(a->dtype).mantissa) * fmax(fabs(y), 0x1p-126);
  return fabs(x - y) <= fmax(a->ulps * unit, a->least);
}

static void judge(const run *r, const char *config) {
  for (uint32_t i = 0; i < r->count; i++) {
    const places_arg *a = &r->args[i];
    for (size_t e = 0; a->want && e < elements(a); e++) {
      const uint64_t have = bits_at(r->host[i], a->dtype, e), want = bits_at(a->want, a->dtype, e);
      if (!same(a, have, want))
        fail_msg("%s, %s, %s: argument %u, element %zu is %llx, not %llx (%s)", r->what, r->where, config, i, e,
                 (unsigned long long)have, (unsigned long long)want, hl_dtype_text(a->dtype));
    }
  }
}

/* ---- running ---- */

static hl_status run_once(run *r, const hl_kernel *k, const hl_config *config, hl_diag *d) {
  if (!r->dev) {
    hl_interp_options o = HL_INTERP_OPTIONS_INIT;
    o.target = r->target;
    o.config = r->target ? config : NULL;
    return hl_interpret(r->ctx, k, r->arg, r->count, &o, d);
  }
  hl_plan *plan = NULL;
  hl_plan_options o = HL_PLAN_OPTIONS_INIT;
  hl_status s = send(r, d);
  o.args = r->arg, o.arg_count = r->count, o.config = config;
  if (s == HL_OK)
    s = hl_plan_create(r->dev, k, &o, d, &plan);
  if (s == HL_OK)
    s = hl_launch(plan, NULL, r->arg, r->count, NULL, d);
  if (s == HL_OK)
    s = fetch(r, d);
  hl_plan_destroy(plan);
  return s;
}

/* The sizes of named dimensions, from the arguments. */
static void bind_shape(run *r, const hl_kernel *k) {
  r->bound = 0;
  for (uint32_t i = 0; i < hl_kernel_param_count(k) && i < r->count; i++) {
    hl_param_info info = {.size = sizeof info};
    assert_int_equal(hl_kernel_param(k, i, &info), HL_OK);
    for (uint32_t d = 0; info.is_tensor && d < info.rank; d++) {
      bool known = info.dim_name[d].len == 0;
      for (uint32_t j = 0; j < r->bound; j++)
        known |= strlen(r->bind[j].dim) == info.dim_name[d].len &&
                 memcmp(r->bind[j].dim, info.dim_name[d].ptr, info.dim_name[d].len) == 0;
      if (!known)
        r->bind[r->bound++] = (hl_shape_binding){.dim = cli_format("%.*s", (int)info.dim_name[d].len, info.dim_name[d].ptr),
                                                 .size = r->args[i].shape[d]};
    }
  }
}

static bool refused(const run *r, hl_status s, const hl_diag *d) {
  const bool gpu = (r->target && strncmp(r->target->name, "nvptx", 5) == 0);
  if (!gpu || !r->options->no_gpu)
    return false;
  if (s != HL_ERR_UNSUPPORTED || !strstr(d->message, r->options->words))
    fail_msg("%s on %s: status %d, '%s' lacks '%s'", r->what, r->where, (int)s, d->message, r->options->words);
  return true;
}

static void run_place(run *r, const hl_kernel *k) {
  for (uint32_t c = 0; c <= r->options->configs; c++) {
    hl_diag d = {0};
    hl_config *config = NULL;
    char *json = NULL;
    hl_status s = HL_OK;
    if (r->target)
      s = c ? hl_config_random(k, r->bind, r->bound, r->target, c, &d, &config)
            : hl_config_default(k, r->bind, r->bound, r->target, &d, &config);
    if (s == HL_OK) {
      json = config ? cli_config_text(config) : cli_format("as built");
      make_args(r);
      s = run_once(r, k, config, &d);
      if (s == HL_OK)
        judge(r, json);
      free_args(r);
    }
    const bool expected = refused(r, s, &d);
    if (s != HL_OK && !expected)
      fail_msg("%s on %s, %s: %s", r->what, r->where, json ? json : "", d.message);
    free(json);
    hl_config_destroy(config);
    if (!r->target || expected)
      return;
  }
}

/* ---- assembling ---- */

static bool assembles(const hl_blob *ptx, const char *arch) {
  char file[] = "/tmp/hl_place_XXXXXX", command[512];
  const int fd = mkstemp(file);
  assert_true(fd >= 0 && write(fd, hl_blob_data(ptx), hl_blob_size(ptx)) == (ssize_t)hl_blob_size(ptx));
  close(fd);
  snprintf(command, sizeof command, "'%s' -O1 -arch=%s %s -o /dev/null", getenv("HL_PTXAS"), arch, file);
  const bool good = system(command) == 0;
  unlink(file);
  return good;
}

static void compile_gpu(run *r, const hl_kernel *k) {
  hl_compile_options o = HL_COMPILE_OPTIONS_INIT;
  hl_diag d = {0};
  hl_blob *ptx = NULL;
  o.shape = r->bind, o.shape_count = r->bound, o.emit = HL_EMIT_ASM;
  const hl_status s = hl_compile(r->ctx, k, r->target, &o, &d, &ptx);
  if (!refused(r, s, &d)) {
    if (s != HL_OK)
      fail_msg("%s for %s: %s", r->what, r->where, d.message);
    if (getenv("HL_PTXAS") && !assembles(ptx, r->target->cpu))
      fail_msg("%s for %s does not assemble", r->what, r->where);
  }
  hl_blob_release(ptx);
}

/* ---- entry ---- */

void places_check(const char *what, places_build build, const void *user, const places_arg *args, uint32_t count,
                  const places_options *options) {
  static const places_options none = {0};
  run r = {.what = what, .args = args, .count = count, .options = options ? options : &none, .ctx = exec_context()};
  hl_diag d = {0};
  hl_kernel *k = build(r.ctx, user);
  assert_true(count <= PLACES_ARGS);
  bind_shape(&r, k);
  for (size_t i = 0; i < HLI_COUNT(targets); i++) {
    r.where = targets[i] ? targets[i] : "the interpreter";
    r.target = targets[i] ? exec_target(targets[i]) : NULL;
    run_place(&r, k);
    if (targets[i] && strncmp(targets[i], "nvptx", 5) == 0)
      compile_gpu(&r, k);
  }
  for (size_t i = 0; i < HLI_COUNT(devices); i++) {
    r.where = devices[i];
    if (hl_device_open(r.ctx, devices[i], &d, &r.dev) != HL_OK) {
      assert_true(d.status == HL_ERR_NO_DRIVER || d.status == HL_ERR_NO_DEVICE);
      continue;
    }
    assert_int_equal(cli_device_target(r.dev, &d, &r.target), HL_OK);
    run_place(&r, k);
    hl_device_close(r.dev);
    r.dev = NULL;
  }
  for (uint32_t i = 0; i < r.bound; i++)
    free((char *)(uintptr_t)r.bind[i].dim);
  hl_kernel_destroy(k);
  hl_context_destroy(r.ctx);
}
