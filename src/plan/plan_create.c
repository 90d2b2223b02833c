/* plan_create.c: hl_plan_create: from a kernel and sizes to something that can be launched.
 *
 *   bind sizes, strides, alignment -> key -> in the cache?  yes: load
 *                                                           no:  lower, compile, describe, put, load
 *
 * Of all who need the same code, in any process, one compiles (the cache's single flight); the others wait and load.
 * Whatever is wrong with the cache, the plan is made without it. */
#include "runtime/internal.h"
#include "src/plan/cache.h"
#include <stdio.h>
#include <time.h>

#define FLIGHT_MS 30000u /* how long one process waits for another's compiler before it starts its own */

/* One plan being made. */
typedef struct making {
  hl_device *dev;
  hl_context *ctx;
  hl_diag *diag;
  hl_device_info info;
  hli_problem problem;
  const hl_config *config; /* the caller's; NULL: none */
  hl_blob *text;           /* the configuration as canonical JSON: the caller's or a tuned one; NULL: default */
  bool tuned;
  hli_digest key;
} making;

static double now_ms(void) {
  struct timespec t;
  (void)timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* The configuration as text: it is part of the key, and nothing needs to be lowered for that. */
static hl_status find_config(making *m) {
  hli_store_record r;
  if (m->config)
    return hl_config_print(m->config, m->diag, &m->text);
  if (!hli_cache_config(m->ctx, &m->problem, &r))
    return HL_OK;
  m->text = hli_blob_create(&m->ctx->alloc, r.payload.ptr, r.payload.len);
  m->tuned = m->text != NULL;
  hli_store_record_release(&r);
  return HL_OK; /* out of memory: the default does it too */
}

static hl_status find_key(making *m) {
  const hl_str config = m->text ? (hl_str){hl_blob_data(m->text), hl_blob_size(m->text)} : hli_str("default");
  return hli_code_key(&m->problem, hli_cache_machine(m->ctx), config, &m->key)
             ? HL_OK
             : hli_fail_memory(m->diag, "making a plan");
}

/* ---- from the cache ---- */

/* *done: there is a plan, or a failure that compiling would meet too. */
static hl_status load(making *m, hl_plan **out, bool *done) {
  hli_cached c;
  hl_diag why;
  *done = false;
  if (!hli_cache_get(m->ctx, m->key, &c))
    return HL_OK;
  hl_status s = hlr_plan_create(m->dev, c.program, &why, out);
  hli_cached_release(m->ctx, &c);
  *done = s == HL_OK || s == HL_ERR_BUSY || s == HL_ERR_MEMORY;
  if (*done && s != HL_OK)
    *m->diag = why;
  if (*done)
    return s;
  hli_log(m->ctx, HL_LOG_WARN, "cache: the stored code of kernel %s is not usable (%s); compiling it again",
          m->problem.built->name, why.message);
  (void)hli_store_drop(hli_cache_open(m->ctx), HLI_STORE_CODE, m->key);
  return HL_OK;
}

/* ---- anew ---- */

static hl_status check_policy(const making *m) {
  const char *kernel = m->problem.built->name, *target = m->problem.target->name;
  if (m->ctx->policy == HL_COMPILE_FORBID)
    return hli_fail(
        m->diag, HL_ERR_FORBIDDEN,
        "kernel %s for these sizes, strides and this configuration on %s is not in the cache (%s), and "
        "compile_policy is HL_COMPILE_FORBID: make the plan once, with this build of libhl, where compiling "
        "is allowed",
        kernel, target, hli_cache_words(m->ctx));
  return HL_OK;
}

/* The configuration to lower with.  A tuned one that does not fit these sizes gives way to the default. */
static hl_status read_config(making *m, hl_config **out) {
  const hli_problem *p = &m->problem;
  hl_diag why = {.message = ""};
  *out = NULL;
  if (m->config || !m->tuned)
    return HL_OK;
  const hl_str json = {hl_blob_data(m->text), hl_blob_size(m->text)};
  hl_status s = hl_config_parse(p->kernel, p->shape, p->shape_count, p->target, json, &why, out);
  if (s == HL_ERR_MEMORY)
    return hli_fail_memory(m->diag, "making a plan");
  if (s != HL_OK)
    hli_log(m->ctx, HL_LOG_INFO, "kernel %s: the stored configuration does not fit and the default is used: %s",
            p->built->name, why.message);
  return HL_OK;
}

/* Failing to keep what was made is not the caller's trouble. */
static void keep(making *m, hlr_program *program, const hli_provenance *from, char *path, size_t size) {
  hli_strbuf sb;
  path[0] = '\0';
  if (!hli_store_writable(hli_cache_open(m->ctx)))
    return;
  hli_sb_init(&sb, &m->ctx->alloc);
  hli_provenance_write(from, &sb);
  if (!sb.failed)
    (void)hli_cache_put(m->ctx, m->key, (hl_str){sb.data, sb.len}, program, path, size);
  hli_sb_free(&sb);
}

static hl_status finish(making *m, const hl_kernel *lowered, const hlc_result *image, hli_provenance *from,
                        hl_plan **out) {
  hlr_program *program;
  char path[1200];
  hl_status s = hli_describe(lowered, m->problem.target, image, m->diag, &program);
  if (s != HL_OK)
    return s;
  from->report = image->report;
  from->image_bytes = hl_blob_size(image->bytes);
  keep(m, program, from, path, sizeof path);
  s = hlr_plan_create(m->dev, program, m->diag, out);
  hli_program_free(lowered->alloc, program);
  return s;
}

static hl_status compile(making *m, hl_plan **out) {
  const hli_problem *p = &m->problem;
  hl_config *stored, *chosen = NULL;
  hl_kernel *lowered = NULL;
  hl_blob *json = NULL;
  hlc_result image = {.bytes = NULL};
  hl_status s = read_config(m, &stored);
  if (s != HL_OK)
    return s;
  if (m->ctx->policy == HL_COMPILE_WARN)
    hli_log(m->ctx, HL_LOG_WARN, "compiling kernel %s for %s: it is not in the cache (%s)", p->built->name,
            p->target->name, hli_cache_words(m->ctx));
  const double begin = now_ms();
  const hli_lower_request request = {.kernel = p->kernel,
                                     .target = p->target,
                                     .shape = p->shape,
                                     .shape_count = p->shape_count,
                                     .config = m->config ? m->config : stored};
  s = hli_lower_chosen(&request, m->diag, &lowered, &chosen);
  if (s == HL_OK)
    s = hl_config_print(request.config ? request.config : chosen, m->diag, &json);
  const double lowered_at = now_ms();
  if (s == HL_OK)
    s = hli_generate(m->ctx, lowered, p->target, HL_EMIT_OBJ, m->diag, &image);
  if (s == HL_OK) {
    hli_provenance from = {.problem = p,
                           .config = hl_blob_data(json),
                           .lower_ms = lowered_at - begin,
                           .compile_ms = now_ms() - lowered_at};
    s = finish(m, lowered, &image, &from, out);
  }
  hl_blob_release(image.bytes);
  hl_blob_release(json);
  hl_kernel_destroy(lowered);
  hl_config_destroy(chosen);
  hl_config_destroy(stored);
  return s;
}

static hl_status compile_alone(making *m, hl_plan **out) {
  hli_store *store = hli_cache_open(m->ctx);
  hli_store_flight flight;
  bool done = false;
  hl_status s = hlr_refuse_capture(m->dev, "load a kernel", m->diag);
  if (s == HL_OK)
    s = check_policy(m);
  if (s != HL_OK)
    return s;
  hli_store_single_flight_begin(store, HLI_STORE_CODE, m->key, FLIGHT_MS, &flight);
  if (flight.alone) /* somebody may have been faster */
    s = load(m, out, &done);
  if (!done)
    s = compile(m, out);
  hli_store_single_flight_end(store, &flight);
  return s;
}

static hl_status make_plan(making *m, hl_plan **out) {
  bool done = false;
  hl_status s = hli_device_target(m->dev, &m->info, m->diag, &m->problem);
  if (s == HL_OK)
    s = find_config(m);
  if (s == HL_OK)
    s = find_key(m);
  if (s == HL_OK)
    s = load(m, out, &done);
  if (s == HL_OK && !done)
    s = compile_alone(m, out);
  hl_blob_release(m->text);
  return s;
}

/* ---- hl_plan_create ---- */

static hl_status check_options(const char *what, hl_device *dev, const hl_kernel *k, const hl_plan_options *o,
                               const void *out, hl_diag *diag) {
  if (!dev || !k || !out)
    return hli_fail(diag, HL_ERR_ARG, "%s: %s is NULL", what, !dev ? "the device" : !k ? "the kernel" : "out");
  if (o->shape_count && !o->shape)
    return hli_fail(diag, HL_ERR_ARG, "hl_plan_options: shape_count is %u and shape is NULL", o->shape_count);
  if (o->arg_count && !o->args)
    return hli_fail(diag, HL_ERR_ARG, "hl_plan_options: arg_count is %zu and args is NULL", o->arg_count);
  if (o->args && o->shape)
    return hli_fail(diag, HL_ERR_ARG,
                    "hl_plan_options: shape and args are both given; sizes come from one of them: args for the sizes, "
                    "strides and alignment of tensors at hand, else shape");
  return HL_OK;
}

/* The names too: they are the caller's. */
static hl_status bind_shape(hl_kernel *copy, const hl_plan_options *o, hl_diag *diag, hli_bindings *b) {
  b->data = hli_arena_array(&copy->arena, hl_shape_binding, o->shape_count);
  for (uint32_t i = 0; b->data && i < o->shape_count; i++) {
    const hl_shape_binding *from = &o->shape[i];
    b->data[i] = *from;
    b->data[i].dim = from->dim ? hli_arena_strdup(&copy->arena, hli_str(from->dim)) : NULL;
  }
  if (!b->data || copy->arena.failed)
    return hli_fail_memory(diag, "making a plan");
  b->len = o->shape_count;
  return HL_OK;
}

hl_status hli_order_open(const char *what, hl_device *dev, const hl_kernel *k, const hl_plan_options *options,
                         const void *out, hl_diag *diag, hli_order *order) {
  hl_plan_options taken = HL_PLAN_OPTIONS_INIT;
  const hl_plan_options *const o = &taken;
  *order = (hli_order){.dev = dev};
  if (options && !hli_struct_take(&taken, sizeof taken, options))
    return hli_fail(diag, HL_ERR_ARG, "hl_plan_options.size is %zu: start from HL_PLAN_OPTIONS_INIT", options->size);
  hl_status s = check_options(what, dev, k, o, out, diag);
  if (s != HL_OK)
    return s;
  order->built = hli_kernel_clone(k);
  order->bound = order->built ? hli_kernel_clone(k) : NULL;
  order->config = order->bound && o->config ? hli_config_clone(o->config) : NULL;
  if (!order->bound || (o->config && !order->config))
    s = hli_fail_memory(diag, "making a plan");
  else if (o->args)
    s = hli_bind_args(order->bound, o->args, o->arg_count, diag, &order->sizes);
  else if (o->shape_count)
    s = bind_shape(order->bound, o, diag, &order->sizes);
  if (s == HL_OK)
    s = hli_check_specialized(order->bound, order->sizes.data, order->sizes.len, diag);
  if (s != HL_OK)
    hli_order_close(order);
  return s;
}

void hli_order_close(hli_order *order) {
  hl_kernel_destroy(order->built);
  hl_kernel_destroy(order->bound);
  hl_config_destroy(order->config);
  *order = (hli_order){.dev = NULL};
}

hl_status hli_order_fill(const hli_order *order, hl_diag *diag, hl_plan **out) {
  making m = {
      .dev = order->dev,
      .ctx = order->dev->ctx,
      .diag = diag,
      .config = order->config,
      .problem = {
          .kernel = order->bound, .built = order->built, .shape = order->sizes.data, .shape_count = order->sizes.len}};
  return make_plan(&m, out);
}

hl_status hl_plan_create(hl_device *dev, const hl_kernel *k, const hl_plan_options *o, hl_diag *diag, hl_plan **out) {
  hl_diag own;
  hli_order order;
  if (out)
    *out = NULL;
  if (!diag)
    diag = &own;
  hl_status s = hli_order_open("hl_plan_create", dev, k, o, out, diag, &order);
  if (s != HL_OK)
    return s;
  s = hli_order_fill(&order, diag, out);
  hli_order_close(&order);
  return s;
}
