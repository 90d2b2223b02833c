/* codegen_load.c: finds the compiler library.  Linked in (HL_STATIC_CODEGEN), it is a function; otherwise it is
 * opened beside libhl with RTLD_LOCAL, so that its LLVM meets no other LLVM of the process, and kept by the
 * context until that is destroyed. */
#include "src/plan/plan.h"

static hl_status check_api(const hlc_api *api, hl_diag *diag) {
  if (api && api->abi == HLC_ABI && strcmp(api->build_id, hl_version()) == 0)
    return HL_OK;
  return hli_fail(diag, HL_ERR_UNSUPPORTED,
                  "libhl-codegen is of build '%s', libhl of '%s': install both from one build",
                  api ? api->build_id : "?", hl_version());
}

#ifdef HL_STATIC_CODEGEN

hl_status hli_codegen_load(hl_context *ctx, hl_diag *diag, const hlc_api **out) {
  (void)ctx;
  *out = hli_codegen_entry();
  return check_api(*out, diag);
}

#else
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

typedef struct loaded {
  void *library;
  const hlc_api *api;
} loaded;

static void unload(hl_context *ctx) {
  loaded *l = ctx->codegen;
  if (!l)
    return;
  /* LLVM's static destructors and command-line registry do not survive being unloaded and loaded again: the
   * library stays mapped, only our handle goes (RTLD_NODELETE). */
  dlclose(l->library);
  hli_release(&ctx->alloc, l, sizeof *l);
  ctx->codegen = NULL;
}

/* <folder of libhl>/libhl-codegen.so */
static bool library_path(char *path, size_t size) {
  Dl_info info;
  if (!dladdr((void *)(uintptr_t)hli_codegen_load, &info) || !info.dli_fname)
    return false;
  const char *slash = strrchr(info.dli_fname, '/');
  const int dir = slash ? (int)(slash - info.dli_fname) : 1;
  const int n = snprintf(path, size, "%.*s/libhl-codegen.so", dir, slash ? info.dli_fname : ".");
  return n > 0 && (size_t)n < size;
}

/* Missing, or there and not loadable (damaged, or a library that it needs is missing): different ways out. */
static hl_status fail_open(const char *path, hl_diag *diag) {
  const char *why = dlerror();
  if (!why)
    why = "no reason given";
  if (access(path, F_OK) != 0)
    return hli_fail(diag, HL_ERR_UNSUPPORTED, "no compiler: there is no %s; install libhl-codegen beside libhl", path);
  return hli_fail(diag, HL_ERR_UNSUPPORTED,
                  "no compiler: %s is there but cannot be loaded: %s; install libhl again, with the LLVM that it was "
                  "built for",
                  path, why);
}

static hl_status open_library(hl_context *ctx, hl_diag *diag) {
  char path[4096];
  if (!library_path(path, sizeof path))
    return hli_fail(diag, HL_ERR_UNSUPPORTED, "cannot tell where libhl lies, so libhl-codegen cannot be found");
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library)
    return fail_open(path, diag);
  union {
    void *object;
    const hlc_api *(*function)(void);
  } entry = {dlsym(library, "hli_codegen_entry")};
  loaded *l = entry.object ? hli_calloc(&ctx->alloc, 1, sizeof *l) : NULL;
  hl_status s = !entry.object ? hli_fail(diag, HL_ERR_UNSUPPORTED,
                                         "no compiler: %s is not libhl-codegen; install libhl again", path)
                : l           ? HL_OK
                              : hli_fail_memory(diag, "loading the compiler");
  if (s == HL_OK)
    s = check_api(entry.function(), diag);
  if (s != HL_OK) {
    hli_release(&ctx->alloc, l, sizeof *l);
    dlclose(library);
    return s;
  }
  *l = (loaded){library, entry.function()};
  ctx->codegen = l;
  ctx->codegen_free = unload;
  return HL_OK;
}

hl_status hli_codegen_load(hl_context *ctx, hl_diag *diag, const hlc_api **out) {
  hl_status s = HL_OK;
  *out = NULL;
  hli_context_lock(ctx);
  if (!ctx->codegen)
    s = open_library(ctx, diag);
  if (s == HL_OK)
    *out = ((loaded *)ctx->codegen)->api;
  hli_context_unlock(ctx);
  return s;
}
#endif
