/* entry.c: the one function that libhl calls in this library: bytes in, bytes out. */
#include "codegen/codegen.h"
#include "codegen/emit.h"
#include "hl_build_id.h"

typedef hl_status (*compile_fn)(const hlc_request *request, const hl_kernel *k, const hl_target *target, hl_diag *diag,
                                hlc_result *out);
static const compile_fn families[] = {
    [HLI_FAMILY_CPU] = hlc_host_compile,
    [HLI_FAMILY_NVPTX] = hlc_nvptx_compile,
};

static hl_status check_request(const hlc_request *r, hl_diag *diag) {
  if (!r->target) return hli_fail(diag, HL_ERR_ARG, "compile: no target is named");
  if (r->emit != HL_EMIT_LLVM && r->emit != HL_EMIT_ASM && r->emit != HL_EMIT_OBJ)
    return hli_fail(diag, HL_ERR_ARG, "compile: emit is %d; code generation makes LLVM, ASM or OBJ", (int)r->emit);
  return HL_OK;
}

static hl_status compile(const hlc_request *request, hl_diag *diag, hlc_result *out) {
  const hl_target *target = NULL;
  hl_kernel *k = NULL;
  memset(out, 0, sizeof *out);
  hl_status s = check_request(request, diag);
  if (s == HL_OK) s = hl_target_find(hli_str(request->target), diag, &target);
  if (s != HL_OK) return s;
  if (target->family >= HLI_COUNT(families) || !families[target->family])
    return hli_fail(diag, HL_ERR_UNSUPPORTED, "there is no code generator for target %s", target->name);
  s = hli_parse(request->alloc, request->text, "<request>", diag, &k);
  if (s == HL_OK) s = hli_verify(k, diag, NULL);
  if (s == HL_OK) s = families[target->family](request, k, target, diag, out);
  hl_kernel_destroy(k);
  return s;
}

/* The same text as hl_version() of the libhl that was built together with this. */
const hlc_api *hli_codegen_entry(void) {
  static const hlc_api api = {HLC_ABI, HL_BUILD_VERSION "+" HL_BUILD_ID, compile};
  return &api;
}
