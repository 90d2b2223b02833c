/* emit_module.c: target machines, and from a finished module to text, assembly or an object. */
#include <stdio.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include "codegen/emit.h"
#include "codegen/lld.h"

static void initialize_target(const hl_target *t) {
  if (t->family == HLI_FAMILY_NVPTX) {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return;
  }
  LLVMInitializeAArch64TargetInfo();
  LLVMInitializeAArch64Target();
  LLVMInitializeAArch64TargetMC();
  LLVMInitializeAArch64AsmPrinter();
  LLVMInitializeAArch64AsmParser();
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeX86AsmParser();
}

/* "" in a target means the host's; LLVM's answer is then to be disposed of. */
typedef struct machine_text {
  const char *triple, *cpu, *features;
  char *host_triple, *host_cpu, *host_features;
} machine_text;

static machine_text machine_text_of(const hl_target *t) {
  machine_text m = {.triple = t->triple, .cpu = t->cpu, .features = t->features};
  if (!*t->triple) m.triple = m.host_triple = LLVMGetDefaultTargetTriple();
  if (!*t->cpu) {
    m.cpu = m.host_cpu = LLVMGetHostCPUName();
    m.features = m.host_features = LLVMGetHostCPUFeatures();
  }
  return m;
}

static void machine_text_free(machine_text *m) {
  LLVMDisposeMessage(m->host_triple);
  LLVMDisposeMessage(m->host_cpu);
  LLVMDisposeMessage(m->host_features);
}

/* The level of code generation: O1 to O3 gain nothing on what we emit.  The code model is Small with PIC:
 * JITDefault would silently become the large one. */
hl_status hlc_machine_create(hlc_emit *e) {
  hlc_llvm_lock(); /* registering twice is harmless, at the same time is not */
  initialize_target(e->target);
  hlc_llvm_unlock();
  machine_text m = machine_text_of(e->target);
  LLVMTargetRef t = NULL;
  char *error = NULL;
  if (LLVMGetTargetFromTriple(m.triple, &t, &error)) {
    hlc_fail(e, HL_ERR_UNSUPPORTED, "this LLVM has no back end for %s: %s", m.triple, error ? error : "");
    LLVMDisposeMessage(error);
  } else {
    LLVMCodeModel model = e->target->family == HLI_FAMILY_CPU ? LLVMCodeModelSmall : LLVMCodeModelDefault;
    e->machine = LLVMCreateTargetMachine(t, m.triple, m.cpu, m.features, LLVMCodeGenLevelDefault, LLVMRelocPIC, model);
    if (!e->machine) hlc_fail(e, HL_ERR_UNSUPPORTED, "LLVM makes no code for %s, cpu %s", m.triple, m.cpu);
  }
  if (e->machine) {
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(e->machine);
    LLVMSetModuleDataLayout(e->module, layout);
    LLVMDisposeTargetData(layout);
    LLVMSetTarget(e->module, m.triple);
  }
  machine_text_free(&m);
  return e->status;
}

hl_status hlc_module_verify(hlc_emit *e) {
  if (hlc_failed(e)) return e->status;
  char *error = NULL;
  if (LLVMVerifyModule(e->module, LLVMReturnStatusAction, &error))
    hlc_fail(e, HL_ERR_INTERNAL, "the emitted LLVM IR is invalid: %s", error ? error : "");
  LLVMDisposeMessage(error);
  return e->status;
}

hl_status hlc_module_text(hlc_emit *e, hl_blob **out) {
  if (hlc_failed(e)) return e->status;
  char *text = LLVMPrintModuleToString(e->module);
  *out = hli_blob_create(e->alloc, text, strlen(text));
  LLVMDisposeMessage(text);
  return *out ? HL_OK : hlc_fail(e, HL_ERR_MEMORY, "out of memory for the module's text");
}

hl_status hlc_module_run_passes(hlc_emit *e, const char *passes) {
  if (hlc_failed(e) || !passes || !*passes) return e->status;
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(e->module, passes, e->machine, options);
  LLVMDisposePassBuilderOptions(options);
  if (error) {
    char *text = LLVMGetErrorMessage(error);
    hlc_fail(e, HL_ERR_INTERNAL, "LLVM passes \"%s\": %s", passes, text);
    LLVMDisposeErrorMessage(text);
  }
  return e->status;
}

hl_status hlc_module_emit(hlc_emit *e, LLVMCodeGenFileType kind, hl_blob **out) {
  if (hlc_failed(e)) return e->status;
  char *error = NULL;
  LLVMMemoryBufferRef buffer = NULL;
  if (LLVMTargetMachineEmitToMemoryBuffer(e->machine, e->module, kind, &error, &buffer)) {
    hlc_fail(e, HL_ERR_COMPILE, "LLVM: %s", error ? error : "no code");
    LLVMDisposeMessage(error);
    return e->status;
  }
  /* An unsupported operation is a diagnostic, and emission still reports success. */
  if (!hlc_failed(e)) {
    *out = hli_blob_create(e->alloc, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
    if (!*out) hlc_fail(e, HL_ERR_MEMORY, "out of memory for the object");
  }
  LLVMDisposeMemoryBuffer(buffer);
  return e->status;
}
