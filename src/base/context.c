/* context.c: the context: hooks, limits and three slots that other rooms fill.
 * SPDX-License-Identifier: MIT */
#include "src/base/base.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

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
  if (options) {
    if (options->size < sizeof options->size)
      return hli_fail(diag, HL_ERR_ARG, "hl_context_options.size is %zu: start from HL_CONTEXT_OPTIONS_INIT",
                      options->size);
    memcpy(&o, options, HLI_MIN(options->size, sizeof o)); /* an older or newer caller */
  }
  hl_status status = check_options(&o, diag);
  if (status)
    return status;

  hl_context *ctx = hli_calloc(&o.allocator, 1, sizeof *ctx);
  pthread_mutex_t *lock = ctx ? hli_calloc(&o.allocator, 1, sizeof *lock) : NULL;
  char *dir = lock && o.cache_dir ? hli_alloc(&o.allocator, strlen(o.cache_dir) + 1, 1) : NULL;
  if (!lock || (o.cache_dir && !dir) || pthread_mutex_init(lock, NULL) != 0) {
    hli_release(&o.allocator, dir, o.cache_dir ? strlen(o.cache_dir) + 1 : 0);
    hli_release(&o.allocator, lock, sizeof *lock);
    hli_release(&o.allocator, ctx, sizeof *ctx);
    return hli_fail_memory(diag, "creating a context");
  }
  if (dir)
    memcpy(dir, o.cache_dir, strlen(o.cache_dir) + 1);
  *ctx = (hl_context){
      .alloc = o.allocator,
      .log = o.log,
      .log_user = o.log_user,
      .parallel_for = o.parallel_for,
      .parallel_user = o.parallel_user,
      .cpu_threads = o.cpu_threads,
      .policy = o.compile_policy,
      .cache_dir = dir,
      .lock = lock,
      .pid = (int32_t)getpid(),
  };
  *out = ctx;
  return HL_OK;
}

void hl_context_destroy(hl_context *ctx) {
  if (!ctx)
    return;
  /* Devices first: nothing that runs may outlive the library that compiled it. */
  if (ctx->runtime_free)
    ctx->runtime_free(ctx);
  if (ctx->store_free)
    ctx->store_free(ctx);
  if (ctx->codegen_free)
    ctx->codegen_free(ctx);
  hl_allocator alloc = ctx->alloc;
  (void)pthread_mutex_destroy(ctx->lock);
  hli_release(&alloc, ctx->lock, sizeof(pthread_mutex_t));
  hli_release(&alloc, ctx->cache_dir, ctx->cache_dir ? strlen(ctx->cache_dir) + 1 : 0);
  hli_release(&alloc, ctx, sizeof *ctx);
}

/* In a forked child the lock may be held by a thread that is not there: the first who comes makes it anew (-pid
 * while at it). */
static void own_process(hl_context *ctx) {
  const int32_t self = (int32_t)getpid();
  int32_t seen = atomic_load(&ctx->pid);
  while (seen != self) {
    if (seen == -self) {
      (void)sched_yield();
      seen = atomic_load(&ctx->pid);
    } else if (atomic_compare_exchange_strong(&ctx->pid, &seen, -self)) {
      (void)pthread_mutex_init(ctx->lock, NULL);
      atomic_store(&ctx->pid, self);
      return;
    }
  }
}

void hli_context_lock(hl_context *ctx) {
  own_process(ctx);
  (void)pthread_mutex_lock(ctx->lock);
}
void hli_context_unlock(hl_context *ctx) {
  (void)pthread_mutex_unlock(ctx->lock);
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
