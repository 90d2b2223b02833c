/* cpu.c: CPU targets.  "x86-64-v3" (AVX2, FMA), "x86-64-v4" (AVX-512) and "zen4" (with the instructions for
 * dots of bf16 and int8) and "aarch64" (NEON) are fixed and any machine can compile for them; "host" is this machine: its row is chosen by asking the processor and the
 * operating system (own cpuid, no LLVM needed), the exact CPU and feature list are filled in
 * by the code generator. */
#include "src/target/target.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* The fields that the CPU passes read: widest vector, number of vector registers, dot instructions. */
#define CPU_ROW(row_name, row_triple, row_cpu, bytes, regs, row_dots)                                    \
  {                                                                                                      \
    .name = (row_name), .family = HLI_FAMILY_CPU, .triple = (row_triple), .cpu = (row_cpu), .features = "", \
    .warp_size = 1, .vector_bytes = (bytes), .vector_regs = (regs), .dots = (row_dots), .max_threads = 1, \
    .max_warps = 1, .units = 8                                                                           \
  }

#define X86_TRIPLE "x86_64-unknown-linux-gnu"

/* An empty triple, CPU or feature list means the host's. */
static const hl_target host_rows[] = {
    CPU_ROW("host", "", "", 16, 16, 0),             /* SSE2 */
    CPU_ROW("host", "", "", 32, 16, HLI_DOTS_I16),  /* AVX2, FMA, F16C */
    CPU_ROW("host", "", "", 64, 32, HLI_DOTS_I16),  /* AVX-512 F, BW, CD, DQ, VL */
    CPU_ROW("host", "", "", 64, 32, HLI_DOTS_I16 | HLI_DOTS_I8),                 /* and VNNI */
    CPU_ROW("host", "", "", 64, 32, HLI_DOTS_I16 | HLI_DOTS_I8 | HLI_DOTS_BF16), /* and BF16 */
    CPU_ROW("host", "", "", 16, 32, 0),             /* AArch64: NEON */
};
enum { PLAIN, AVX2_LEVEL, AVX512_LEVEL, VNNI_LEVEL, BF16_LEVEL, NEON_LEVEL };

static const hl_target fixed_rows[] = {
    CPU_ROW("x86-64-v3", X86_TRIPLE, "x86-64-v3", 32, 16, HLI_DOTS_I16),
    CPU_ROW("x86-64-v4", X86_TRIPLE, "x86-64-v4", 64, 32, HLI_DOTS_I16),
    CPU_ROW("zen4", X86_TRIPLE, "znver4", 64, 32, HLI_DOTS_I16 | HLI_DOTS_I8 | HLI_DOTS_BF16),
    CPU_ROW("aarch64", "aarch64-unknown-linux-gnu", "generic", 16, 32, 0), /* NEON */
};

#if defined(__x86_64__)
/* What the operating system saves of the registers (XCR0). */
static uint64_t saved_state(void) {
  uint32_t lo, hi;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return (uint64_t)hi << 32 | lo;
}

/* VNNI and BF16 on top of AVX-512. */
static int dot_level(void) {
  enum { VNNI = 1u << 11 /* leaf 7, ecx */, BF16 = 1u << 5 /* leaf 7.1, eax */ };
  uint32_t a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(c & VNNI)) return AVX512_LEVEL;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & BF16 ? BF16_LEVEL : VNNI_LEVEL;
}

static int host_level(void) {
  enum { OSXSAVE = 1u << 27, FMA3 = 1u << 12, HALF = 1u << 29, AVX = 1u << 28 };       /* leaf 1, ecx */
  enum { AVX2 = 1u << 5, F = 1u << 16, DQ = 1u << 17, CD = 1u << 28, BW = 1u << 30 };  /* leaf 7, ebx */
  const uint32_t vl = 1u << 31;
  const uint64_t ymm_state = 0x6, zmm_state = 0xe6;
  const uint32_t need1 = OSXSAVE | FMA3 | HALF | AVX, need512 = (uint32_t)F | DQ | CD | BW | vl;
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & need1) != need1) return PLAIN;
  uint64_t saved = saved_state();
  if ((saved & ymm_state) != ymm_state) return PLAIN;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & AVX2)) return PLAIN;
  return (b & need512) == need512 && (saved & zmm_state) == zmm_state ? dot_level() : AVX2_LEVEL;
}
#elif defined(__aarch64__)
static int host_level(void) { return NEON_LEVEL; }
#else
static int host_level(void) { return PLAIN; }
#endif

const hl_target *hli_cpu_target(uint32_t i) {
  if (i == 0) return &host_rows[host_level()];
  return i - 1 < HLI_COUNT(fixed_rows) ? &fixed_rows[i - 1] : NULL;
}
