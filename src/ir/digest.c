/* digest.c: the identity of a kernel: the 128-bit digest of its text, which is the same on every machine.
 * Source locations are not printed, so they do not matter.  SPDX-License-Identifier: MIT */
#include "src/ir/ir.h"

hli_digest hli_kernel_digest(const hl_kernel *k) {
  hli_strbuf text;
  hli_sb_init(&text, k->alloc);
  hli_print(k, &text);
  hli_digest d = {0, 0}; /* out of memory: the digest of no kernel */
  if (!text.failed)
    d = hli_digest_bytes(text.data, text.len, (hli_digest){0, 0});
  hli_sb_free(&text);
  return d;
}
