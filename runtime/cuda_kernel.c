/* cuda_kernel.c: loading and launching on NVIDIA GPUs.  SPDX-License-Identifier: MIT */
#include "runtime/cuda_api.h"
#include "runtime/elf_check.h"
#include <elf.h>
#include <stdio.h>

#ifndef EM_CUDA
#define EM_CUDA 190
#endif
#define PORTABLE_CLUSTER 8u

typedef struct cuda_kernel {
  CUmodule module;
  CUfunction function;
} cuda_kernel;

/* ---- loading -------------------------------------------------------------------------------- */

static hl_status check_kernel(const cuda_device *dev, const hl_driver_kernel *k, hl_diag *diag) {
  if (k->format != HL_IMAGE_PTX && k->format != HL_IMAGE_CUBIN)
    return hli_fail(diag, HL_ERR_UNSUPPORTED, "kernel '%s' is not for an NVIDIA GPU: compile it for the target '%s'",
                    k->entry, dev->info.target);
  if (!k->image || !k->image_size)
    return hli_fail(diag, HL_ERR_ARG, "the image of kernel '%s' is empty", k->entry);
  const char *fault = k->format == HL_IMAGE_CUBIN ? hlr_elf_fault(k->image, k->image_size, EM_CUDA) : NULL;
  if (fault)
    return hli_fail(diag, HL_ERR_IO, "the cubin of kernel '%s' cannot be loaded: %s; compile it again", k->entry,
                    fault);
  if ((int64_t)k->shared_bytes > dev->info.shared_bytes)
    return hli_fail(diag, HL_ERR_LIMIT,
                    "kernel '%s' needs %u bytes of shared memory, a block on %s has %lld: choose smaller tiles or "
                    "fewer stages",
                    k->entry, k->shared_bytes, dev->info.name, (long long)dev->info.shared_bytes);
  if (k->threads > (uint32_t)dev->info.max_threads)
    return hli_fail(diag, HL_ERR_LIMIT, "kernel '%s' needs %u threads in a block, %s has at most %d", k->entry,
                    k->threads, dev->info.name, (int)dev->info.max_threads);
  if (k->cluster > 1 && !dev->api.LaunchKernelEx)
    return hli_fail(diag, HL_ERR_UNSUPPORTED,
                    "kernel '%s' uses clusters, which the driver (%s) cannot launch: update it to CUDA 11.8 or later",
                    k->entry, dev->info.driver);
  return HL_OK;
}

static hl_status load_module(const cuda_device *dev, const hl_driver_kernel *k, CUmodule *module, hl_diag *diag) {
  char log[2048] = "";
  int options[] = {CUDA_JIT_ERROR_LOG, CUDA_JIT_ERROR_LOG_SIZE};
  void *values[] = {log, (void *)(uintptr_t)(sizeof log - 1)};
  CUresult result = dev->api.ModuleLoadDataEx(module, k->image, HLI_COUNT(options), options, values);
  if (!result)
    return HL_OK;
  char doing[192];
  (void)snprintf(doing, sizeof doing, "loading kernel '%.64s' with %s", k->entry, dev->info.driver);
  hl_diag local;
  hl_status status = hlr_cuda_fail(&dev->api, result, doing, &local);
  if (log[0])
    hli_log(dev->ctx, HL_LOG_ERROR, "the driver's compiler on kernel '%s': %s", k->entry, log);
  (void)hli_fail(diag, status, "%.*s%s%.*s", HL_DIAG_TEXT / 2, local.message, log[0] ? "\n" : "", HL_DIAG_TEXT / 2 - 8,
                 log);
  if (diag)
    diag->vendor_code = result;
  return status;
}

/* Attributes that a launch relies on; the context is current. */
static CUresult set_up(const cuda_device *dev, const hl_driver_kernel *k, CUfunction f) {
  const cuda_api *api = &dev->api;
  /* Without this a lazily loading driver would load during the first launch, which may be
   * in a capture. */
  CUresult result = api->FuncLoad ? api->FuncLoad(f) : 0;
  if (!result && k->shared_bytes)
    result = api->FuncSetAttribute(f, CUDA_FUNC_DYNAMIC_SHARED, (int)k->shared_bytes);
  if (!result && k->cluster > PORTABLE_CLUSTER)
    result = api->FuncSetAttribute(f, CUDA_FUNC_LARGE_CLUSTER, 1);
  return result;
}

static hl_status check_function(const cuda_device *dev, const hl_driver_kernel *k, CUfunction f, hl_diag *diag) {
  int threads = 0, fixed = 0;
  if (!dev->api.FuncGetAttribute(&threads, CUDA_FUNC_MAX_THREADS, f) && (uint32_t)threads < k->threads)
    return hli_fail(diag, HL_ERR_LIMIT,
                    "kernel '%s' is launched with %u threads in a block, but its registers allow %d: choose smaller "
                    "tiles or more warps",
                    k->entry, k->threads, threads);
  if (!dev->api.FuncGetAttribute(&fixed, CUDA_FUNC_STATIC_SHARED, f) &&
      (int64_t)fixed + k->shared_bytes > dev->info.shared_bytes)
    return hli_fail(diag, HL_ERR_LIMIT, "kernel '%s' needs %lld bytes of shared memory in all, a block on %s has %lld",
                    k->entry, (long long)fixed + k->shared_bytes, dev->info.name, (long long)dev->info.shared_bytes);
  return HL_OK;
}

static hl_status load_current(const cuda_device *dev, const hl_driver_kernel *k, cuda_kernel *out, hl_diag *diag) {
  hl_status status = load_module(dev, k, &out->module, diag);
  if (status)
    return status;
  CUresult result = dev->api.ModuleGetFunction(&out->function, out->module, k->entry);
  if (result)
    status = hlr_cuda_fail(&dev->api, result, "finding the kernel's entry in its image", diag);
  if (!status)
    status = check_function(dev, k, out->function, diag);
  if (!status && (result = set_up(dev, k, out->function)))
    status = hlr_cuda_fail(&dev->api, result, "setting the kernel's attributes", diag);
  if (status)
    (void)dev->api.ModuleUnload(out->module);
  return status;
}

hl_status hlr_cuda_load(void *self, const hl_driver_kernel *kernel, hl_diag *diag, void **function) {
  const cuda_device *dev = self;
  hl_status status = check_kernel(dev, kernel, diag);
  if (status)
    return status;
  cuda_kernel *k = hli_calloc(&dev->ctx->alloc, 1, sizeof *k);
  if (!k)
    return hli_fail_memory(diag, "loading a kernel");
  cuda_scope scope = cuda_enter(dev);
  status = scope.result ? hlr_cuda_fail(&dev->api, scope.result, "making the GPU's context current", diag)
                        : load_current(dev, kernel, k, diag);
  cuda_leave(dev, scope);
  if (status) {
    hli_release(&dev->ctx->alloc, k, sizeof *k);
    return status;
  }
  *function = k;
  return HL_OK;
}

void hlr_cuda_unload(void *self, void *function) {
  const cuda_device *dev = self;
  cuda_kernel *k = function;
  cuda_scope scope = cuda_enter(dev);
  if (!scope.result)
    (void)dev->api.ModuleUnload(k->module);
  cuda_leave(dev, scope);
  hli_release(&dev->ctx->alloc, k, sizeof *k);
}

/* ---- launching -------------------------------------------------------------------------------- */

/* The grid is rounded up to whole clusters; the kernel ignores programs beyond its own count. */
static CUresult launch_cluster(const cuda_device *dev, const cuda_kernel *k, CUstream stream,
                               const hl_driver_launch *l) {
  uint64_t grid = (l->programs + l->cluster - 1) / l->cluster * l->cluster;
  CUlaunchAttribute attr = {.id = CUDA_LAUNCH_CLUSTER, .value.cluster = {l->cluster, 1, 1}};
  CUlaunchConfig config = {
      .grid_x = (unsigned)grid,
      .grid_y = 1,
      .grid_z = 1,
      .block_x = l->threads,
      .block_y = 1,
      .block_z = 1,
      .shared_bytes = l->shared_bytes,
      .stream = stream,
      .attributes = &attr,
      .attribute_count = 1,
  };
  return dev->api.LaunchKernelEx(&config, k->function, (void **)(uintptr_t)l->fields, NULL);
}

hl_status hlr_cuda_launch(void *self, void *stream, const hl_driver_launch *l, hl_diag *diag) {
  const cuda_device *dev = self;
  const cuda_kernel *k = l->function;
  cuda_scope scope = cuda_enter(dev);
  CUresult result = scope.result;
  if (!result && l->cluster > 1)
    result = launch_cluster(dev, k, stream, l);
  else if (!result)
    result = dev->api.LaunchKernel(k->function, (unsigned)l->programs, 1, 1, l->threads, 1, 1, l->shared_bytes, stream,
                                   (void **)(uintptr_t)l->fields, NULL);
  cuda_leave(dev, scope);
  return result ? hlr_cuda_fail(&dev->api, result, "launching a kernel", diag) : HL_OK;
}
