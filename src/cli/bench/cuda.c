/* cuda.c: driver and cuBLAS calls of the references, through dlopen: nothing of CUDA is needed to build.
 *
 * Types and numbers are those of cuda.h and cublas_api.h, whose ABI is stable. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/cli/bench/cuda.h"
#include "src/cli/common/words.h"

typedef unsigned long long address; /* CUdeviceptr */

struct cuda_graph {
  void *graph, *exec;
};

struct cuda_kernel {
  void *module, *function;
};

struct cuda_bench {
  void *driver, *cublas, *handle;
  int device, version;
  void *stream; /* cuBLAS's */
  address workspace;
  int (*Init)(unsigned);
  int (*PrimaryCtxRetain)(void **, int);
  int (*PrimaryCtxRelease)(int);
  int (*CtxSetCurrent)(void *);
  int (*MemcpyDtoDAsync)(address, address, size_t, void *);
  int (*StreamBeginCapture)(void *, int);
  int (*StreamEndCapture)(void *, void **);
  int (*GraphInstantiate)(void **, void *, unsigned long long);
  int (*GraphLaunch)(void *, void *);
  int (*GraphExecDestroy)(void *);
  int (*GraphDestroy)(void *);
  int (*ModuleLoadData)(void **, const void *);
  int (*ModuleGetFunction)(void **, void *, const char *);
  int (*LaunchKernel)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **,
                      void **);
  int (*MemAlloc)(address *, size_t);
  int (*blas_create)(void **);
  int (*blas_set_stream)(void *, void *);
  int (*blas_set_workspace)(void *, void *, size_t);
  int (*blas_get_version)(void *, int *);
  int (*blas_gemm)(void *, int, int, int, int, int, const void *, const void *, int, int, const void *, int, int,
                   const void *, void *, int, int, int, int);
};

static hl_status fail(hl_diag *diag, hl_status s, const char *what, int code) {
  if (diag) {
    *diag = (hl_diag){.status = s, .vendor_code = code};
    snprintf(diag->message, sizeof diag->message, code ? "%s failed with code %d" : "%s", what, code);
  }
  return s;
}

static hl_status result(int code, const char *what, hl_diag *diag) {
  return code ? fail(diag, HL_ERR_DRIVER, what, code) : HL_OK;
}

/* ---- driver ---- */

typedef struct symbol {
  const char *name;
  size_t offset;
} symbol;

#define SYMBOL(name, member)                                                                                           \
  { name, offsetof(cuda_bench, member) }
static const symbol symbols[] = {
    SYMBOL("cuInit", Init),
    SYMBOL("cuDevicePrimaryCtxRetain", PrimaryCtxRetain),
    SYMBOL("cuDevicePrimaryCtxRelease_v2", PrimaryCtxRelease),
    SYMBOL("cuCtxSetCurrent", CtxSetCurrent),
    SYMBOL("cuMemcpyDtoDAsync_v2", MemcpyDtoDAsync),
    SYMBOL("cuStreamBeginCapture_v2", StreamBeginCapture),
    SYMBOL("cuStreamEndCapture", StreamEndCapture),
    SYMBOL("cuGraphInstantiateWithFlags", GraphInstantiate),
    SYMBOL("cuGraphLaunch", GraphLaunch),
    SYMBOL("cuGraphExecDestroy", GraphExecDestroy),
    SYMBOL("cuGraphDestroy", GraphDestroy),
    SYMBOL("cuModuleLoadData", ModuleLoadData),
    SYMBOL("cuModuleGetFunction", ModuleGetFunction),
    SYMBOL("cuLaunchKernel", LaunchKernel),
    SYMBOL("cuMemAlloc_v2", MemAlloc),
};
static const symbol blas_symbols[] = {
    SYMBOL("cublasCreate_v2", blas_create),
    SYMBOL("cublasSetStream_v2", blas_set_stream),
    SYMBOL("cublasSetWorkspace_v2", blas_set_workspace),
    SYMBOL("cublasGetVersion_v2", blas_get_version),
    SYMBOL("cublasGemmEx", blas_gemm),
};

static bool resolve(cuda_bench *c, void *library, const symbol *list, size_t n, hl_diag *diag) {
  for (size_t i = 0; i < n; i++) {
    void *found = dlsym(library, list[i].name);
    *(void **)((char *)c + list[i].offset) = found; /* POSIX: a function's address fits an object pointer */
    if (found)
      continue;
    char words[128];
    snprintf(words, sizeof words, "the library has no %s: it is too old", list[i].name);
    fail(diag, HL_ERR_NO_DRIVER, words, 0);
    return false;
  }
  return true;
}

hl_status cuda_open(int32_t device, hl_diag *diag, cuda_bench **out) {
  void *context = NULL;
  cuda_bench *c = cli_alloc(1, sizeof *c);
  c->driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  c->device = device;
  *out = NULL;
  hl_status s = HL_OK;
  if (!c->driver)
    s = fail(diag, HL_ERR_NO_DRIVER, "there is no libcuda.so.1", 0);
  else if (!resolve(c, c->driver, symbols, sizeof symbols / sizeof symbols[0], diag))
    s = HL_ERR_NO_DRIVER;
  if (s == HL_OK)
    s = result(c->Init(0), "cuInit", diag);
  if (s == HL_OK)
    s = result(c->PrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain", diag);
  if (s == HL_OK)
    s = result(c->CtxSetCurrent(context), "cuCtxSetCurrent", diag);
  if (s == HL_OK)
    *out = c;
  else
    free(c);
  return s;
}

void cuda_close(cuda_bench *c) {
  if (!c)
    return;
  c->CtxSetCurrent(NULL);
  c->PrimaryCtxRelease(c->device);
  free(c);
}

hl_status cuda_copy(cuda_bench *c, void *to, const void *from, size_t bytes, void *stream, hl_diag *diag) {
  return result(c->MemcpyDtoDAsync((address)(uintptr_t)to, (address)(uintptr_t)from, bytes, stream),
                "cuMemcpyDtoDAsync", diag);
}

/* ---- graphs ---- */

hl_status cuda_capture_begin(cuda_bench *c, void *stream, hl_diag *diag) {
  enum { RELAXED = 2 };
  return result(c->StreamBeginCapture(stream, RELAXED), "cuStreamBeginCapture", diag);
}

hl_status cuda_capture_end(cuda_bench *c, void *stream, cuda_graph **out, hl_diag *diag) {
  cuda_graph *g = cli_alloc(1, sizeof *g);
  hl_status s = result(c->StreamEndCapture(stream, &g->graph), "cuStreamEndCapture", diag);
  if (s == HL_OK)
    s = result(c->GraphInstantiate(&g->exec, g->graph, 0), "cuGraphInstantiate", diag);
  if (s == HL_OK)
    *out = g;
  else
    cuda_graph_free(c, g);
  return s;
}

hl_status cuda_graph_launch(cuda_bench *c, cuda_graph *g, void *stream, hl_diag *diag) {
  return result(c->GraphLaunch(g->exec, stream), "cuGraphLaunch", diag);
}

void cuda_graph_free(cuda_bench *c, cuda_graph *g) {
  if (!g)
    return;
  if (g->exec)
    c->GraphExecDestroy(g->exec);
  if (g->graph)
    c->GraphDestroy(g->graph);
  free(g);
}

/* ---- kernels ---- */

hl_status cuda_kernel_load(cuda_bench *c, const void *image, const char *name, hl_diag *diag, cuda_kernel **out) {
  cuda_kernel *k = cli_alloc(1, sizeof *k);
  hl_status s = result(c->ModuleLoadData(&k->module, image), "cuModuleLoadData", diag);
  if (s == HL_OK)
    s = result(c->ModuleGetFunction(&k->function, k->module, name), "cuModuleGetFunction", diag);
  if (s == HL_OK)
    *out = k;
  else
    free(k);
  return s;
}

void cuda_kernel_free(cuda_kernel *k) {
  free(k);
} /* the module goes with the context */

hl_status cuda_kernel_launch(cuda_bench *c, cuda_kernel *k, unsigned blocks, unsigned threads, void *stream,
                             void **params, hl_diag *diag) {
  return result(c->LaunchKernel(k->function, blocks, 1, 1, threads, 1, 1, 0, stream, params, NULL), "cuLaunchKernel",
                diag);
}

/* ---- cuBLAS ---- */

enum { WORKSPACE = 64 << 20 };

hl_status cuda_blas_open(cuda_bench *c, const char *file, hl_diag *diag) {
  c->cublas = dlopen(file ? file : "libcublas.so.13", RTLD_NOW | RTLD_LOCAL);
  if (!c->cublas && !file)
    c->cublas = dlopen("libcublas.so.12", RTLD_NOW | RTLD_LOCAL);
  if (!c->cublas)
    return fail(diag, HL_ERR_NO_DRIVER, "there is no libcublas.so.13 or .12: give --cublas FILE", 0);
  if (!resolve(c, c->cublas, blas_symbols, sizeof blas_symbols / sizeof blas_symbols[0], diag))
    return HL_ERR_NO_DRIVER;
  hl_status s = result(c->blas_create(&c->handle), "cublasCreate", diag);
  if (s == HL_OK)
    s = result(c->MemAlloc(&c->workspace, WORKSPACE), "cuMemAlloc", diag);
  if (s == HL_OK)
    c->blas_get_version(c->handle, &c->version);
  else
    c->handle = NULL;
  return s;
}

/* Setting the stream drops the workspace; with its own, cuBLAS would allocate while a graph is recorded. */
static int use_stream(cuda_bench *c, void *stream) {
  if (stream == c->stream)
    return 0;
  const int code = c->blas_set_stream(c->handle, stream);
  if (code)
    return code;
  c->stream = stream;
  return c->blas_set_workspace(c->handle, (void *)(uintptr_t)c->workspace, WORKSPACE);
}

int cuda_blas_version(const cuda_bench *c) {
  return c && c->handle ? c->version : 0;
}

hl_status cuda_blas_gemm(cuda_bench *c, const gemm *g, const void *x, const void *y, void *out, void *stream,
                         hl_diag *diag) {
  enum { R_32F = 0, R_64F = 1, R_16F = 2, R_16BF = 14, COMPUTE_32F = 68, COMPUTE_64F = 70, DEFAULT_ALGORITHM = -1 };
  const int type = g->dtype == HL_F64 ? R_64F : g->dtype == HL_F32 ? R_32F : g->dtype == HL_F16 ? R_16F : R_16BF;
  const double one64 = 1, zero64 = 0;
  const float one32 = 1, zero32 = 0;
  const bool wide = g->dtype == HL_F64;
  const int m = (int)g->m, n = (int)g->n, k = (int)g->k;
  int code = use_stream(c, stream);
  /* cuBLAS is column-major: the transposed product out' = y' . x' of the same bytes. */
  if (!code)
    code = c->blas_gemm(c->handle, g->y_transposed, g->x_transposed, n, m, k, wide ? (const void *)&one64 : &one32, y,
                        type, g->y_transposed ? k : n, x, type, g->x_transposed ? m : k,
                        wide ? (const void *)&zero64 : &zero32, out, type, n, wide ? COMPUTE_64F : COMPUTE_32F,
                        DEFAULT_ALGORITHM);
  return result(code, "cublasGemmEx", diag);
}
