/* digest_avx2.c: the digest of bytes with AVX2, for processors that have it; the same numbers.
 * SPDX-License-Identifier: MIT */
#ifdef __x86_64__
#pragma GCC target("avx2")
#include <immintrin.h>
#define XXH_VECTOR XXH_AVX2
#include "src/base/digest_body.h"

hli_digest hli_digest_bytes_avx2(const void *data, size_t len, hli_digest seed) {
  return digest_bytes(data, len, seed);
}
#endif
