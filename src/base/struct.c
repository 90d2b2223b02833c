/* struct.c: public structs whose first member is their size.  SPDX-License-Identifier: MIT */
#include "src/base/base.h"
#include <string.h>

static size_t size_of(const void *versioned) {
  size_t size;
  memcpy(&size, versioned, sizeof size);
  return size;
}

bool hli_struct_take(void *to, size_t size, const void *given) {
  const size_t has = size_of(given);
  if (has < sizeof has)
    return false;
  memcpy((char *)to + sizeof size, (const char *)given + sizeof size, HLI_MIN(has, size) - sizeof size);
  return true;
}

bool hli_struct_give(void *to, const void *full, size_t size) {
  const size_t has = size_of(to);
  if (has < sizeof has)
    return false;
  memcpy((char *)to + sizeof size, (const char *)full + sizeof size, HLI_MIN(has, size) - sizeof size);
  return true;
}
