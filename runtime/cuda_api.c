/* cuda_api.c: finds the CUDA driver and explains its errors.  SPDX-License-Identifier: MIT */
#include "runtime/cuda_api.h"
#include "runtime/os.h"

typedef struct symbol_row {
  const char *name;
  size_t offset; /* of the member in cuda_api */
  bool needed;
} symbol_row;

static const symbol_row symbols[] = {
#define CUDA_SYM(member, name, params) {name, offsetof(cuda_api, member), true},
#define CUDA_OPT(member, name, params) {name, offsetof(cuda_api, member), false},
#include "runtime/cuda_syms.def"
#undef CUDA_SYM
#undef CUDA_OPT
};

hl_status hlr_cuda_api_open(cuda_api *api, hl_diag *diag) {
  char why[256] = "";
  void *library = hlr_os_library("libcuda.so.1", why, sizeof why);
  if (!library)
    return hli_fail(diag, HL_ERR_NO_DRIVER,
                    "there is no CUDA driver (%s): install NVIDIA's driver, or start the container with access to "
                    "the GPU; without a GPU use the device \"cpu\"",
                    why);
  for (size_t i = 0; i < HLI_COUNT(symbols); i++) {
    void *symbol = hlr_os_symbol(library, symbols[i].name);
    if (!symbol && symbols[i].needed)
      return hli_fail(diag, HL_ERR_NO_DRIVER,
                      "the CUDA driver is too old: it has no %s; libhl needs a driver for CUDA 11.4 or later",
                      symbols[i].name);
    memcpy((char *)api + symbols[i].offset, &symbol, sizeof symbol);
  }
  CUresult result = api->Init(0);
  if (result == CUDA_NO_DEVICE)
    return hli_fail(diag, HL_ERR_NO_DEVICE,
                    "the CUDA driver finds no GPU: check nvidia-smi and CUDA_VISIBLE_DEVICES, or use \"cpu\"");
  return result ? hlr_cuda_fail(api, result, "initialising CUDA", diag) : HL_OK;
}

/* ---- errors ----------------------------------------------------------------------------- */

typedef struct error_row {
  CUresult code;
  hl_status status;
  const char *advice;
} error_row;

static const error_row errors[] = {
    {1, HL_ERR_DRIVER,
     "the driver found a parameter out of range: this is a defect of libhl unless the stream or a "
     "pointer is no longer valid"},
    {2, HL_ERR_MEMORY, "free device memory, or use smaller tensors"},
    {3, HL_ERR_DRIVER, "the driver is not initialised in this process: CUDA cannot be used after fork()"},
    {4, HL_ERR_DRIVER, "the process is shutting down: close devices before exit handlers run"},
    {46, HL_ERR_DRIVER, "another process uses the GPU exclusively, or its compute mode forbids use: see nvidia-smi"},
    {100, HL_ERR_NO_DEVICE, "check nvidia-smi and CUDA_VISIBLE_DEVICES"},
    {101, HL_ERR_NO_DEVICE, "check nvidia-smi and CUDA_VISIBLE_DEVICES"},
    {200, HL_ERR_DRIVER, "the image of the kernel is damaged: compile it again"},
    {201, HL_ERR_DRIVER,
     "the device's context was destroyed, by cuDevicePrimaryCtxReset perhaps: open the device again"},
    {209, HL_ERR_UNSUPPORTED, "the kernel was compiled for another GPU: compile it for this device's target"},
    {214, HL_ERR_DRIVER, "the GPU reported a memory fault: see the system log"},
    {218, HL_ERR_COMPILE, "the driver's compiler refused the PTX, see its words"},
    {221, HL_ERR_UNSUPPORTED,
     "this installation has no PTX compiler (libnvidia-ptxjitcompiler): install it, or "
     "compile to a cubin with ptxas"},
    {222, HL_ERR_UNSUPPORTED,
     "the driver is older than the PTX version of the kernel: update the driver, or compile "
     "to a cubin or for an older PTX version"},
    {301, HL_ERR_DRIVER, "the image of the kernel is damaged: compile it again"},
    {400, HL_ERR_ARG, "the stream or event is not valid: was it destroyed, or made on another device?"},
    {500, HL_ERR_DRIVER, "the image has no such function: compile it again"},
    {600, HL_ERR_BUSY, "call hl_event_synchronize first"},
    {700, HL_ERR_DRIVER,
     "a kernel touched memory it must not: check pointers and sizes (HL_CHECK_FULL), run under "
     "compute-sanitizer; the process must restart to use the GPU again"},
    {701, HL_ERR_LIMIT,
     "the kernel needs more registers or threads than a block can have: choose another configuration"},
    {702, HL_ERR_DRIVER,
     "the kernel ran too long for the system's watchdog; the process must restart to use the GPU again"},
    {715, HL_ERR_DRIVER, "the GPU met an illegal instruction; the process must restart to use the GPU again"},
    {716, HL_ERR_DRIVER,
     "a kernel made a misaligned access: check the alignment of the tensors; the process must "
     "restart to use the GPU again"},
    {719, HL_ERR_DRIVER, "a kernel failed; the process must restart to use the GPU again"},
    {803, HL_ERR_NO_DRIVER,
     "the driver's library and kernel module differ in version: reboot, or reinstall the driver"},
    {804, HL_ERR_NO_DRIVER, "the driver's compatibility library does not know this GPU: update the driver"},
    {912, HL_ERR_LIMIT, "so many blocks of a cluster do not fit on the GPU together: choose a smaller cluster"},
};

hl_status hlr_cuda_fail(const cuda_api *api, CUresult result, const char *doing, hl_diag *diag) {
  const char *name = NULL, *text = NULL, *advice = "see the driver's documentation of this code";
  if (api->GetErrorName(result, &name) || !name)
    name = "unknown code";
  if (api->GetErrorString(result, &text) || !text)
    text = "no description";
  hl_status status = HL_ERR_DRIVER;
  for (size_t i = 0; i < HLI_COUNT(errors); i++)
    if (errors[i].code == result) {
      status = errors[i].status;
      advice = errors[i].advice;
    }
  if (result >= CUDA_CAPTURE_FIRST && result <= CUDA_CAPTURE_LAST) {
    status = HL_ERR_BUSY;
    advice = "this cannot be done while a stream captures a graph: do it before the capture or after it";
  }
  status = hli_fail(diag, status, "%s failed: %s (CUDA error %d, %s): %s", doing, text, result, name, advice);
  if (diag)
    diag->vendor_code = result;
  return status;
}
