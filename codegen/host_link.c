/* host_link.c: from the relocatable object to the shared object that is loaded with dlopen. */
#include "codegen/host.h"
#include "codegen/lld.h"

static int append(void *user, const char *bytes, size_t size) {
  hli_strbuf *sb = user;
  hli_sb_put(sb, bytes, size);
  return !sb->failed;
}

hl_status hlc_host_link(hlc_emit *e, const hl_blob *object, hl_blob **out) {
  if (hlc_failed(e)) return e->status;
  hli_strbuf so;
  char error[512] = "";
  hli_sb_init(&so, e->alloc);
  if (hlc_link_shared(hl_blob_data(object), hl_blob_size(object), append, &so, error, sizeof error)) {
    const bool full = so.failed;
    hli_sb_free(&so);
    if (full) return hlc_fail(e, HL_ERR_MEMORY, "out of memory for the shared object");
    return hlc_fail(e, HL_ERR_COMPILE,
                    "linking failed: %s; a missing symbol means that this CPU has no instruction for an operation of "
                    "the kernel (AVX2, FMA and F16C are needed at least)",
                    error);
  }
  *out = hli_sb_to_blob(&so);
  return *out ? HL_OK : hlc_fail(e, HL_ERR_MEMORY, "out of memory for the shared object");
}
