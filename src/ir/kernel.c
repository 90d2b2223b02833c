/* kernel.c: the public face of a finished kernel: text, digest, parameters. */
#define HL_NO_LOCATIONS
#include "src/ir/ir.h"

hl_status hl_kernel_parse(hl_context *ctx, hl_str text, const char *filename, hl_diag *diag, hl_kernel **out) {
  if (out)
    *out = NULL;
  if (!ctx || !out || (!text.ptr && text.len))
    return hli_fail(diag, HL_ERR_ARG, "hl_kernel_parse: wants a context, a text and an out parameter");
  return hli_parse(&ctx->alloc, text, filename ? filename : "<text>", diag, out);
}

hl_status hl_kernel_print(const hl_kernel *k, hl_diag *diag, hl_blob **out) {
  hli_strbuf sb;
  if (out)
    *out = NULL;
  if (!k || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_kernel_print: wants a kernel and an out parameter");
  hli_sb_init(&sb, k->alloc);
  hli_print(k, &sb);
  *out = hli_sb_to_blob(&sb);
  return *out ? HL_OK : hli_fail_memory(diag, "printing a kernel");
}

hl_str hl_kernel_name(const hl_kernel *k) {
  return k ? hli_str(k->name) : (hl_str){"", 0};
}

void hl_kernel_digest(const hl_kernel *k, uint64_t out[2]) {
  const hli_digest d = k ? hli_kernel_digest(k) : (hli_digest){0, 0};
  out[0] = d.lo;
  out[1] = d.hi;
}

uint32_t hl_kernel_param_count(const hl_kernel *k) {
  return k ? k->params.len : 0;
}

hl_status hl_kernel_param(const hl_kernel *k, uint32_t index, hl_param_info *out) {
  if (!k || !out || index >= k->params.len)
    return HL_ERR_ARG;
  const hli_param *p = &k->params.data[index];
  const hli_type_data *t = hli_type_of(k, p->value);
  hl_param_info full = {.name = hli_str(k->values.data[p->value].name),
                        .dtype = (hl_dtype)t->dtype,
                        .is_tensor = t->kind == HLI_TYPE_TENSOR,
                        .spec = p->spec};
  full.access = (hl_access)((p->is_input ? HL_IN : 0) | (p->is_output ? HL_OUT : 0));
  full.rank = full.is_tensor ? t->rank : 0;
  for (uint32_t d = 0; d < full.rank; d++) {
    const hli_dim_data *dim = &k->dims.data[t->dims[d]];
    full.dim_name[d] = hli_str(dim->name);
    full.dim_value[d] = dim->value;
    full.dim_example[d] = dim->example;
  }
  return hli_struct_give(out, &full, sizeof full) ? HL_OK : HL_ERR_ARG;
}
