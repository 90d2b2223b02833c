/* fpmode.h: the floating-point mode of kernels.  They are compiled for rounding to
 * nearest with denormals; the caller may have set something else, and gets it back.
 * SPDX-License-Identifier: MIT */
#ifndef HLR_FPMODE_H
#define HLR_FPMODE_H

#include <stdint.h>

static inline uint64_t hlr_fp_enter(void) {
#if defined(__x86_64__)
  uint32_t saved = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(0x1F80u); /* all exceptions masked */
  return saved;
#elif defined(__aarch64__)
  uint64_t saved, standard = 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
  __asm__ volatile("msr fpcr, %0" : : "r"(standard));
  return saved;
#else
  return 0;
#endif
}

static inline void hlr_fp_leave(uint64_t saved) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr((uint32_t)saved);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(saved));
#else
  (void)saved;
#endif
}

#endif
