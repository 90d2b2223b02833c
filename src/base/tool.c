/* tool.c: finding NVIDIA's assembler.  The compiler library runs it; keys of stored code name it, and those are made
 * without the compiler library, so the search lies here, once.  SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "src/base/tool.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool usable(const char *path) {
  return path && *path && access(path, X_OK) == 0;
}

static bool find_in_path(char *out) {
  const char *p = getenv("PATH");
  while (p && *p) {
    const char *end = strchr(p, ':');
    const size_t n = end ? (size_t)(end - p) : strlen(p);
    if (n > 0 && n + 8 < HLI_TOOL_PATH) {
      (void)snprintf(out, HLI_TOOL_PATH, "%.*s/ptxas", (int)n, p);
      if (usable(out))
        return true;
    }
    p = end ? end + 1 : NULL;
  }
  return false;
}

hl_status hli_find_ptxas(const char *given, hl_diag *diag, char out[HLI_TOOL_PATH]) {
  static const char usual[] = "/usr/local/cuda/bin/ptxas";
  const char *named = given ? given : getenv("HL_PTXAS");
  if (named && *named) {
    if (!usable(named) || strlen(named) >= HLI_TOOL_PATH)
      return hli_fail(diag, HL_ERR_IO, "the assembler %s (%s) cannot be run", named,
                      given ? "given by the caller" : "from HL_PTXAS");
    (void)snprintf(out, HLI_TOOL_PATH, "%s", named);
    return HL_OK;
  }
  if (find_in_path(out))
    return HL_OK;
  (void)snprintf(out, HLI_TOOL_PATH, "%s", usual);
  return usable(usual) ? HL_OK : HL_ERR_NO_DRIVER;
}

hli_digest hli_ptxas_identity(void) {
  struct {
    uint64_t size, seconds, nanoseconds, inode;
    char path[HLI_TOOL_PATH];
  } id;
  struct stat st;
  memset(&id, 0, sizeof id);
  if (hli_find_ptxas(NULL, NULL, id.path) != HL_OK || stat(id.path, &st) != 0)
    return (hli_digest){0, 0};
  memset(id.path + strlen(id.path), 0, sizeof id.path - strlen(id.path)); /* what the search left behind */
  id.size = (uint64_t)st.st_size, id.inode = (uint64_t)st.st_ino;
  id.seconds = (uint64_t)st.st_mtim.tv_sec, id.nanoseconds = (uint64_t)st.st_mtim.tv_nsec;
  return hli_digest_bytes(&id, sizeof id, (hli_digest){0, 0});
}
