/* digest_body.h: the digest of bytes, compiled once for every machine (digest.c) and once for AVX2 (digest_avx2.c).
 * xxhash is inlined, so libhl gains no dependency at run time and no exported symbol.  SPDX-License-Identifier: MIT */
#ifndef HLI_DIGEST_BODY_H
#define HLI_DIGEST_BODY_H

#define XXH_INLINE_ALL
#include "src/base/base.h"
#include <xxhash.h>

static hli_digest digest_bytes(const void *data, size_t len, hli_digest seed) {
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

hli_digest hli_digest_bytes_avx2(const void *data, size_t len, hli_digest seed);

#endif
