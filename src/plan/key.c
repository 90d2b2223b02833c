/* key.c: keys of what is stored: the digest of a text that names everything the stored thing depends on.
 *
 * A code key changes with anything that could change the code.  A tuning key leaves out what a configuration can be
 * carried over: the build of libhl, the exact sizes and strides.  Numbers that a kernel may compute with (its numerics)
 * are part of the kernel's text and so of both. */
#include "src/plan/key.h"
#include "src/base/tool.h"

#define SPACE_VERSION 1 /* raised when a knob's values change their meaning; new knobs change the digest anyway */

/* The null device takes the host's code, since nothing runs there. */
hl_status hli_device_target(hl_device *dev, hl_device_info *info, hl_diag *diag, hli_problem *p) {
  *info = (hl_device_info){.size = sizeof *info};
  hl_status s = hl_device_get_info(dev, info);
  if (s != HL_OK)
    return hli_fail(diag, s, "cannot ask the device for its target");
  p->device = info->name, p->units = info->units;
  return hl_target_find(hli_str(strcmp(info->target, "null") == 0 ? "host" : info->target), diag, &p->target);
}

static bool finish(hli_strbuf *sb, hli_digest *out) {
  const bool ok = !sb->failed;
  if (ok)
    *out = hli_digest_bytes(sb->data, sb->len, (hli_digest){0, 0});
  hli_sb_free(sb);
  return ok;
}

static void put_digest(hli_strbuf *sb, const char *name, hli_digest d) {
  char hex[33];
  hli_digest_text(d, hex);
  hli_sb_printf(sb, "%s %s\n", name, hex);
}

bool hli_code_key(const hli_problem *p, hli_digest machine, hl_str config, hli_digest *out) {
  hli_strbuf sb;
  hli_sb_init(&sb, p->kernel->alloc);
  hli_sb_printf(&sb, "code 1\nlibhl %s\ntarget %s\n", hl_version(), p->target->name);
  if (p->target->family == HLI_FAMILY_CPU)
    put_digest(&sb, "machine", machine);
  else
    put_digest(&sb, "assembler", hli_ptxas_identity());
  hli_sb_printf(&sb, "config %.*s\n", (int)config.len, config.ptr);
  for (uint32_t i = 0; i < p->shape_count; i++)
    hli_sb_printf(&sb, "%s=%lld\n", p->shape[i].dim, (long long)p->shape[i].size);
  hli_print(p->kernel, &sb);
  return finish(&sb, out);
}

/* Sizes of one class are tuned alike: the power of two above, and how evenly the size divides (what vectors and
 * accesses of 16 bytes ask for). */
static void put_class(hli_strbuf *sb, const hl_shape_binding *b) {
  const uint64_t size = b->size > 0 ? (uint64_t)b->size : 0;
  const uint32_t even = size ? HLI_MIN((uint32_t)__builtin_ctzll(size), 4u) : 4;
  hli_sb_printf(sb, "%s~%llu/%u\n", b->dim, (unsigned long long)hli_next_pow2(HLI_MIN(size, UINT64_C(1) << 62)), even);
}

bool hli_tuning_key(const hli_problem *p, hli_digest *out) {
  hli_strbuf sb;
  hli_sb_init(&sb, p->kernel->alloc);
  hli_sb_printf(&sb, "tuning 1\nspace %d\n", SPACE_VERSION);
  for (uint32_t i = 0; i < HLI_KNOB_COUNT; i++)
    hli_sb_printf(&sb, "%s ", hli_knob_facts((hli_knob)i)->text);
  hli_sb_printf(&sb, "\ntarget %s\ndevice %s, %d units\n", p->target->name, p->device, (int)p->units);
  for (uint32_t i = 0; i < p->shape_count; i++)
    put_class(&sb, &p->shape[i]);
  hli_print(p->built, &sb);
  return finish(&sb, out);
}
