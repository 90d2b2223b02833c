/* provenance.c: where a stored thing comes from, as one line of JSON for people and for hl cache. */
#include "src/plan/cache.h"
#include <time.h>

static void put_text(hli_strbuf *out, const char *name, const char *text) {
  hli_sb_printf(out, ",\"%s\":\"", name);
  for (const char *p = text; *p; p++) {
    if (*p == '"' || *p == '\\')
      hli_sb_printf(out, "\\%c", *p);
    else if ((unsigned char)*p < 0x20)
      hli_sb_printf(out, "\\u%04x", (unsigned char)*p);
    else
      hli_sb_put(out, p, 1);
  }
  hli_sb_puts(out, "\"");
}

void hli_provenance_write(const hli_provenance *p, hli_strbuf *out) {
  const hli_problem *q = p->problem;
  char hex[33];
  hli_digest_text(hli_kernel_digest(q->built), hex);
  hli_sb_printf(out, "{\"kernel\":\"%s\",\"digest\":\"%s\",\"shape\":{", q->built->name, hex);
  for (uint32_t i = 0; i < q->shape_count; i++)
    hli_sb_printf(out, "%s\"%s\":%lld", i ? "," : "", q->shape[i].dim, (long long)q->shape[i].size);
  hli_sb_printf(out, "},\"config\":%s,\"target\":\"%s\"", p->config, q->target->name);
  put_text(out, "device", q->device);
  hli_sb_printf(out, ",\"units\":%d,\"made\":%lld", (int)q->units, (long long)time(NULL));
  if (p->image_bytes)
    hli_sb_printf(out, ",\"lower_ms\":%.3f,\"compile_ms\":%.3f,\"image_bytes\":%zu", p->lower_ms, p->compile_ms,
                  p->image_bytes);
  if (p->measured.len)
    hli_sb_printf(out, ",\"measured\":%.*s", (int)p->measured.len, p->measured.ptr);
  if (p->report && p->report[0])
    put_text(out, "report", p->report);
  put_text(out, "libhl", hl_version());
  hli_sb_puts(out, "}");
}
