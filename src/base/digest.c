/* digest.c: 128-bit digests.  xxhash is inlined, so libhl gains no dependency at run
 * time and no exported symbol.  SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "src/base/base.h"
#include <xxhash.h>

hli_digest hli_digest_bytes(const void *data, size_t len, hli_digest seed) {
  /* xxhash takes 64 bits of seed; the other half is hashed in front of the data. */
  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  (void)XXH3_128bits_reset_withSeed(&state, seed.lo);
  if (seed.hi)
    (void)XXH3_128bits_update(&state, &seed.hi, sizeof seed.hi);
  if (len)
    (void)XXH3_128bits_update(&state, data, len);
  XXH128_hash_t h = XXH3_128bits_digest(&state);
  return (hli_digest){h.low64, h.high64};
}

void hli_digest_text(hli_digest d, char out[33]) {
  static const char hex[] = "0123456789abcdef";
  for (int i = 0; i < 16; i++) {
    unsigned byte = (unsigned)((i < 8 ? d.lo : d.hi) >> (8 * (i % 8))) & 0xffu;
    out[2 * i] = hex[byte >> 4];
    out[2 * i + 1] = hex[byte & 15u];
  }
  out[32] = '\0';
}

static int digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hli_digest_parse(hl_str text, hli_digest *out) {
  hli_digest d = {0, 0};
  if (text.len != 32)
    return false;
  for (int i = 0; i < 16; i++) {
    const int high = digit(text.ptr[2 * i]), low = digit(text.ptr[2 * i + 1]);
    if (high < 0 || low < 0)
      return false;
    *(i < 8 ? &d.lo : &d.hi) |= (uint64_t)(high * 16 + low) << (8 * (i % 8));
  }
  *out = d;
  return true;
}
