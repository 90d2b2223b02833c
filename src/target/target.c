/* target.c: finding a target by name, and listing them: CPU rows first, then the GPUs'. */
#include "src/target/target.h"

const hl_target *hl_target_at(uint32_t i) {
  uint32_t cpus = 0;
  while (hli_cpu_target(cpus))
    cpus++;
  if (i < cpus)
    return hli_cpu_target(i);
  return i - cpus < hli_nvptx_target_count ? &hli_nvptx_targets[i - cpus] : NULL;
}

hl_str hl_target_name(const hl_target *target) {
  return hli_str(target ? target->name : "");
}

hl_status hl_target_find(hl_str name, hl_diag *diag, const hl_target **out) {
  if (!out)
    return hli_fail(diag, HL_ERR_ARG, "hl_target_find: out is NULL");
  *out = NULL;
  char known[256] = "";
  size_t used = 0;
  const hl_target *t;
  for (uint32_t i = 0; (t = hl_target_at(i)); i++) {
    if (hli_str_eqz(name, t->name)) {
      *out = t;
      return HL_OK;
    }
    size_t len = strlen(t->name);
    if (used + len + 3 > sizeof known)
      continue;
    if (used) {
      memcpy(known + used, ", ", 2);
      used += 2;
    }
    memcpy(known + used, t->name, len + 1);
    used += len;
  }
  return hli_fail(diag, HL_ERR_UNSUPPORTED, "there is no target \"%.*s\"; known targets: %s", (int)name.len,
                  name.ptr ? name.ptr : "", known);
}

hl_status hl_target_get_info(const hl_target *t, hl_target_info *info) {
  static const char *const families[] = {"cpu", "nvptx", "amdgpu"};
  if (!t || !info)
    return HL_ERR_ARG;
  const bool cpu = t->family == HLI_FAMILY_CPU;
  const hl_target_info full = {.family = families[t->family],
                               .triple = t->triple,
                               .cpu = t->cpu,
                               .features = t->features,
                               .vector_bytes = t->vector_bytes,
                               .warp_size = t->warp_size,
                               .max_threads = cpu ? 1 : t->max_threads,
                               .registers = cpu ? t->vector_regs : t->regs_per_thread,
                               .shared_bytes = cpu ? 0 : t->shared_bytes};
  return hli_struct_give(info, &full, sizeof full) ? HL_OK : HL_ERR_ARG;
}
