/* lower.c: runs the pipeline on a copy of a kernel. */
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

static hl_status run_pipeline(const hli_lower_request *r, const hl_config *config, hl_diag *diag, hl_kernel **out) {
  hl_kernel *k = hli_kernel_clone(r->kernel);
  hli_pass_env env = {.alloc = r->kernel->alloc,
                      .target = r->target,
                      .config = config,
                      .shape = r->shape,
                      .shape_count = r->shape_count,
                      .diag = diag};
  hl_status s = k ? hli_run_pipeline(&env, &k, r->stop_after, r->log ? dump : NULL, r->log)
                  : hli_fail_memory(diag, "lowering a kernel");
  if (s == HL_OK)
    *out = k;
  else
    hl_kernel_destroy(k);
  return s;
}

hl_status hli_lower_chosen(const hli_lower_request *r, hl_diag *diag, hl_kernel **out, hl_config **chosen) {
  hl_status s = HL_OK;
  *out = NULL;
  *chosen = NULL;
  if (r->kernel->stage != HLI_STAGE_TILE || r->kernel->scheduled)
    return hli_fail(diag, HL_ERR_ARG, "kernel %s is already lowered; only kernels at stage tile can be compiled",
                    r->kernel->name);
  if (!r->config)
    s = hli_config_choose(r->kernel, r->shape, r->shape_count, r->target, diag, chosen, out);
  if (s != HL_OK || (*out && !r->stop_after && !r->log))
    return s; /* choosing for a GPU lowers, to count registers */
  hl_kernel_destroy(*out);
  *out = NULL;
  s = run_pipeline(r, r->config ? r->config : *chosen, diag, out);
  if (s != HL_OK) {
    hl_config_destroy(*chosen);
    *chosen = NULL;
  }
  return s;
}

hl_status hli_lower(const hli_lower_request *r, hl_diag *diag, hl_kernel **out) {
  hl_config *chosen;
  hl_status s = hli_lower_chosen(r, diag, out, &chosen);
  hl_config_destroy(chosen);
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

static hl_status check_options(const hl_context *ctx, const hl_kernel *k, const hl_target *target,
                               const hl_compile_options *o, hl_blob *const *out, hl_diag *diag) {
  if (!ctx || !k || !target || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_compile: %s is NULL",
                    !ctx      ? "the context"
                    : !k      ? "the kernel"
                    : !target ? "the target"
                              : "out");
  if ((unsigned)o->emit > HL_EMIT_OBJ)
    return hli_fail(diag, HL_ERR_ARG,
                    "hl_compile_options.emit is %d: give one of hl_emit, %d (HL_EMIT_TILE) to %d (HL_EMIT_OBJ)",
                    (int)o->emit, (int)HL_EMIT_TILE, (int)HL_EMIT_OBJ);
  if (o->shape_count && !o->shape)
    return hli_fail(diag, HL_ERR_ARG, "hl_compile_options: shape_count is %u and shape is NULL", o->shape_count);
  return HL_OK;
}

static hl_status check_policy(const hl_context *ctx, const hl_kernel *k, hl_diag *diag) {
  if (ctx->policy == HL_COMPILE_FORBID)
    return hli_fail(
        diag, HL_ERR_FORBIDDEN,
        "hl_compile: kernel %s cannot be compiled because compile_policy is HL_COMPILE_FORBID; stages above "
        "machine code (HL_EMIT_TILE, HL_EMIT_LOOP, HL_EMIT_LANE) can be had",
        k->name);
  if (ctx->policy == HL_COMPILE_WARN)
    hli_log(ctx, HL_LOG_WARN, "compiling kernel %s (compile_policy is HL_COMPILE_WARN)", k->name);
  return HL_OK;
}

hl_status hl_compile(hl_context *ctx, const hl_kernel *k, const hl_target *target, const hl_compile_options *options,
                     hl_diag *diag, hl_blob **out) {
  hl_compile_options taken = HL_COMPILE_OPTIONS_INIT;
  const hl_compile_options *const o = &taken;
  hl_kernel *lowered;
  hlc_result result;
  if (out)
    *out = NULL;
  if (options && !hli_struct_take(&taken, sizeof taken, options))
    return hli_fail(diag, HL_ERR_ARG, "hl_compile_options.size is %zu: start from HL_COMPILE_OPTIONS_INIT",
                    options->size);
  hl_status s = check_options(ctx, k, target, o, out, diag);
  if (s != HL_OK)
    return s;
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
  s = hli_check_specialized(k, o->shape, o->shape_count, diag);
  if (s == HL_OK)
    s = hli_lower(&request, diag, &lowered);
  if (s != HL_OK)
    return s;
  if (stop || o->emit == HL_EMIT_LOOP || o->emit == HL_EMIT_LANE) {
    s = hl_kernel_print(lowered, diag, out);
  } else if ((s = check_policy(ctx, lowered, diag)) == HL_OK &&
             (s = hli_generate(ctx, lowered, target, o->emit, diag, &result)) == HL_OK) {
    *out = result.bytes;
    if (result.report[0])
      hli_log(ctx, HL_LOG_INFO, "%s: %s", hl_kernel_name(k).ptr, result.report);
  }
  hl_kernel_destroy(lowered);
  return s;
}
