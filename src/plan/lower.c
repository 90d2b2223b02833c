/* lower.c: runs the pipeline on a copy of a kernel. */
#include "src/cost/cost.h"
#include "src/plan/plan.h"

static void dump(void *user, const char *pass, const hl_kernel *k) {
  hl_context *ctx = user;
  hli_strbuf sb;
  if (!ctx || !ctx->log)
    return;
  hli_sb_init(&sb, k->alloc);
  hli_sb_printf(&sb, "after %s:\n", pass);
  hli_print(k, &sb);
  if (!sb.failed)
    ctx->log(ctx->log_user, HL_LOG_DEBUG, (hl_str){sb.data, sb.len});
  hli_sb_free(&sb);
}

/* The caller's configuration, or the default one (then *owned). */
static hl_status pick_config(const hli_lower_request *r, hl_diag *diag, const hl_config **config, hl_config **owned) {
  *config = r->config;
  *owned = NULL;
  if (r->config)
    return HL_OK;
  hl_status s = hl_config_default(r->kernel, r->shape, r->shape_count, r->target, diag, owned);
  *config = *owned;
  return s;
}

hl_status hli_lower(const hli_lower_request *r, hl_diag *diag, hl_kernel **out) {
  const hl_config *config;
  hl_config *owned;
  *out = NULL;
  if (r->kernel->stage != HLI_STAGE_TILE || r->kernel->scheduled)
    return hli_fail(diag, HL_ERR_ARG, "kernel %s is already lowered; only kernels at stage tile can be compiled",
                    r->kernel->name);
  hl_status s = pick_config(r, diag, &config, &owned);
  if (s != HL_OK)
    return s;
  hl_kernel *k = hli_kernel_clone(r->kernel);
  hli_pass_env env = {.alloc = r->kernel->alloc,
                      .target = r->target,
                      .config = config,
                      .shape = r->shape,
                      .shape_count = r->shape_count,
                      .diag = diag};
  s = k ? hli_run_pipeline(&env, &k, r->stop_after, r->log ? dump : NULL, r->log)
        : hli_fail_memory(diag, "lowering a kernel");
  hl_config_destroy(owned);
  if (s == HL_OK)
    *out = k;
  else
    hl_kernel_destroy(k);
  return s;
}

hl_status hli_generate(hl_context *ctx, const hl_kernel *lowered, const hl_target *target, hl_emit emit, hl_diag *diag,
                       hlc_result *out) {
  const hlc_api *api;
  hli_strbuf sb;
  memset(out, 0, sizeof *out);
  hl_status s = hli_codegen_load(ctx, diag, &api);
  if (s != HL_OK)
    return s;
  hli_sb_init(&sb, &ctx->alloc);
  hli_print(lowered, &sb);
  const hlc_request request = {.text = {sb.data, sb.len}, .target = target->name, .emit = emit, .alloc = &ctx->alloc};
  s = sb.failed ? hli_fail_memory(diag, "compiling a kernel") : api->compile(&request, diag, out);
  hli_sb_free(&sb);
  return s;
}

/* ---- hl_compile ---- */

static const char *last_tile_pass(const hl_target *target) {
  return target->family == HLI_FAMILY_CPU ? "tile" : "mask";
}

hl_status hl_compile(hl_context *ctx, const hl_kernel *k, const hl_target *target, const hl_compile_options *o,
                     hl_diag *diag, hl_blob **out) {
  static const hl_compile_options defaults = HL_COMPILE_OPTIONS_INIT;
  hl_kernel *lowered;
  hlc_result result;
  if (out)
    *out = NULL;
  if (!o)
    o = &defaults;
  if (!ctx || !k || !target || !out || o->size < sizeof *o || (unsigned)o->emit > HL_EMIT_OBJ)
    return hli_fail(
        diag, HL_ERR_ARG,
        "hl_compile: wants a context, a kernel, a target, options with their size set and an out parameter");
  const bool cpu = target->family == HLI_FAMILY_CPU;
  if ((o->emit == HL_EMIT_LOOP && !cpu) || (o->emit == HL_EMIT_LANE && cpu))
    return hli_fail(diag, HL_ERR_UNSUPPORTED, "target %s has no stage %s; it has %s", target->name,
                    cpu ? "lane" : "loop", cpu ? "loop" : "lane");
  const char *stop = o->stop_after ? o->stop_after : o->emit == HL_EMIT_TILE ? last_tile_pass(target) : NULL;
  const hli_lower_request request = {.kernel = k,
                                     .target = target,
                                     .shape = o->shape,
                                     .shape_count = o->shape_count,
                                     .config = o->config,
                                     .stop_after = stop,
                                     .log = o->dump ? ctx : NULL};
  hl_status s = hli_lower(&request, diag, &lowered);
  if (s != HL_OK)
    return s;
  if (stop || o->emit == HL_EMIT_LOOP || o->emit == HL_EMIT_LANE) {
    s = hl_kernel_print(lowered, diag, out);
  } else if ((s = hli_generate(ctx, lowered, target, o->emit, diag, &result)) == HL_OK) {
    *out = result.bytes;
    if (result.report[0])
      hli_log(ctx, HL_LOG_INFO, "%s: %s", hl_kernel_name(k).ptr, result.report);
  }
  hl_kernel_destroy(lowered);
  return s;
}
