/* lld.h: the linker as a library, in C.  One lock guards lld (whose state is global) and LLVM's
 * registration of back ends; it is the only global of this room. */
#ifndef HLC_LLD_H
#define HLC_LLD_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

void hlc_llvm_lock(void);
void hlc_llvm_unlock(void);

/* Where the linked bytes go: piece by piece, in order. Returns 0 to give up. */
typedef int (*hlc_sink)(void *user, const char *bytes, size_t size);

/* Links one relocatable ELF object of our own into a shared object that needs no other library.
 * Returns 0, or -1 with words in `error`.  Any thread. */
int hlc_link_shared(const void *object, size_t size, hlc_sink sink, void *user, char *error, size_t error_size);

#ifdef __cplusplus
}
#endif
#endif
