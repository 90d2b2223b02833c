/* codegen.h: everything that touches LLVM, behind one function: bytes in, bytes out.
 * libhl opens the library that holds it only when something must be compiled. */
#ifndef HLC_CODEGEN_H
#define HLC_CODEGEN_H

#include "hl/compile.h"

#define HLC_ABI 1

typedef struct hlc_request {
  hl_str text;          /* a kernel at LOOP (CPU) or LANE (GPU) stage */
  const char *target;   /* name of the target */
  hl_emit emit;         /* HL_EMIT_LLVM, HL_EMIT_ASM or HL_EMIT_OBJ */
  const char *ptxas;    /* path of an assembler, NULL: search HL_PTXAS, PATH, /usr/local/cuda; none: PTX is the object */
  const hl_allocator *alloc;
} hlc_request;

typedef enum hlc_format { HLC_TEXT, HLC_PTX, HLC_CUBIN, HLC_ELF_SO } hlc_format;

typedef struct hlc_result {
  hl_blob *bytes;
  hlc_format format;
  char entry[64];       /* symbol of the kernel */
  char report[512];     /* the assembler's resource report (registers, spills), "" if none */
} hlc_result;

typedef struct hlc_api {
  uint32_t abi;
  const char *build_id;
  hl_status (*compile)(const hlc_request *request, hl_diag *diag, hlc_result *out);
} hlc_api;

HL_API const hlc_api *hli_codegen_entry(void);

#endif
