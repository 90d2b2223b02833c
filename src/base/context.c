/* context.c: the context: hooks, limits and four slots that other rooms fill.
 * SPDX-License-Identifier: MIT */
#include "src/base/base.h"
#include <stdio.h>

#ifndef HL_BUILD_ID
#define HL_BUILD_ID           "local" /* the build system gives a digest of the sources */
#define HL_BUILD_LLVM_VERSION "unknown"
#endif

#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

const char *hl_version(void) {
  return TEXT_OF(HL_VERSION_MAJOR) "." TEXT_OF(HL_VERSION_MINOR) "." TEXT_OF(HL_VERSION_PATCH) "+" HL_BUILD_ID;
}

const char *hl_llvm_version(void) {
  return HL_BUILD_LLVM_VERSION;
}

static hl_status check_options(const hl_context_options *o, hl_diag *diag) {
  if (!o->allocator.alloc != !o->allocator.release)
    return hli_fail(diag, HL_ERR_ARG, "allocator: set both alloc and release, or neither for malloc/free");
  if (o->cpu_threads < 0)
    return hli_fail(diag, HL_ERR_ARG,
                    "cpu_threads is %d: give a positive number, or 0 for all that the affinity "
                    "mask allows",
                    (int)o->cpu_threads);
  if ((unsigned)o->compile_policy > HL_COMPILE_FORBID)
    return hli_fail(diag, HL_ERR_ARG, "compile_policy is %d: not one of hl_compile_policy", (int)o->compile_policy);
  return HL_OK;
}

hl_status hl_context_create(const hl_context_options *options, hl_diag *diag, hl_context **out) {
  if (!out)
    return hli_fail(diag, HL_ERR_ARG, "hl_context_create: out is NULL");
  *out = NULL;
  hl_context_options o = HL_CONTEXT_OPTIONS_INIT;
  if (options && !hli_struct_take(&o, sizeof o, options))
    return hli_fail(diag, HL_ERR_ARG, "hl_context_options.size is %zu: start from HL_CONTEXT_OPTIONS_INIT",
                    options->size);
  hl_status status = check_options(&o, diag);
  if (status)
    return status;

  hl_context *ctx = hli_calloc(&o.allocator, 1, sizeof *ctx);
  char *dir = ctx && o.cache_dir ? hli_alloc(&o.allocator, strlen(o.cache_dir) + 1, 1) : NULL;
  if (!ctx || (o.cache_dir && !dir) || !hli_lock_init(&ctx->lock, &o.allocator)) {
    hli_release(&o.allocator, dir, o.cache_dir ? strlen(o.cache_dir) + 1 : 0);
    hli_release(&o.allocator, ctx, sizeof *ctx);
    return hli_fail_memory(diag, "creating a context");
  }
  if (dir)
    memcpy(dir, o.cache_dir, strlen(o.cache_dir) + 1);
  ctx->alloc = o.allocator;
  ctx->log = o.log, ctx->log_user = o.log_user;
  ctx->parallel_for = o.parallel_for, ctx->parallel_user = o.parallel_user;
  ctx->cpu_threads = o.cpu_threads;
  ctx->policy = o.compile_policy;
  ctx->cache_dir = dir;
  *out = ctx;
  return HL_OK;
}

void hl_context_destroy(hl_context *ctx) {
  if (!ctx)
    return;
  if (ctx->background_free)
    ctx->background_free(ctx);
  /* Devices first: nothing that runs may outlive the library that compiled it. */
  if (ctx->runtime_free)
    ctx->runtime_free(ctx);
  if (ctx->store_free)
    ctx->store_free(ctx);
  if (ctx->codegen_free)
    ctx->codegen_free(ctx);
  hl_allocator alloc = ctx->alloc;
  hli_lock_free(&ctx->lock, &alloc);
  hli_release(&alloc, ctx->cache_dir, ctx->cache_dir ? strlen(ctx->cache_dir) + 1 : 0);
  hli_release(&alloc, ctx, sizeof *ctx);
}

void hli_context_lock(hl_context *ctx) {
  hli_lock_take(&ctx->lock);
}
void hli_context_unlock(hl_context *ctx) {
  hli_lock_give(&ctx->lock);
}

void hli_log(const hl_context *ctx, hl_log_level level, const char *fmt, ...) {
  if (!ctx || !ctx->log)
    return;
  char text[HL_DIAG_TEXT];
  va_list args;
  va_start(args, fmt);
  int len = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  if (len < 0)
    return;
  ctx->log(ctx->log_user, level, (hl_str){text, HLI_MIN((size_t)len, sizeof text - 1)});
}
