/* machine.c: which machine code is made for, without asking LLVM.
 *
 * Code for the target "host" depends on what the processor can do and, through LLVM's tables of costs, on which
 * processor it is.  Both come from the processor itself; what differs from core to core (the number of a core) is
 * left out, so that a process gets the same answer wherever it runs. */
#include "src/plan/key.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* What the operating system saves of the registers (XCR0); 0 where the instruction is not allowed. */
static uint64_t saved_state(uint32_t leaf1_ecx) {
  uint32_t lo, hi;
  if (!(leaf1_ecx & 1u << 27))
    return 0;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return (uint64_t)hi << 32 | lo;
}

hli_digest hli_machine_digest(void) {
  /* leaf, subleaf, which of eax ebx ecx edx */
  static const struct {
    uint32_t leaf, subleaf;
    bool use[4];
  } asked[] = {
      {0, 0, {0, 1, 1, 1}},          /* vendor */
      {1, 0, {1, 0, 1, 1}},          /* family, model, stepping, features; ebx has the core's number */
      {7, 0, {0, 1, 1, 1}},          /* features */
      {7, 1, {1, 1, 1, 1}},          /* features */
      {0xd, 1, {1, 0, 0, 0}},        /* xsaveopt, xsavec */
      {0x19, 0, {0, 1, 0, 0}},       /* key locker */
      {0x24, 0, {0, 1, 0, 0}},       /* AVX10 */
      {0x80000001, 0, {0, 0, 1, 1}}, /* features */
      {0x80000008, 0, {0, 1, 0, 0}}, /* features */
  };
  struct {
    uint32_t word[HLI_COUNT(asked)][4];
    uint64_t state;
  } found;
  memset(&found, 0, sizeof found);
  for (size_t i = 0; i < HLI_COUNT(asked); i++) {
    uint32_t r[4] = {0, 0, 0, 0};
    if (!__get_cpuid_count(asked[i].leaf, asked[i].subleaf, &r[0], &r[1], &r[2], &r[3]))
      continue;
    for (int k = 0; k < 4; k++)
      found.word[i][k] = asked[i].use[k] ? r[k] : 0;
  }
  found.state = saved_state(found.word[1][2]);
  return hli_digest_bytes(&found, sizeof found, (hli_digest){0, 0});
}

#elif defined(__aarch64__)
#include <sys/auxv.h>

hli_digest hli_machine_digest(void) {
  uint64_t found[3] = {getauxval(AT_HWCAP), getauxval(AT_HWCAP2), 0};
  if (found[0] & HWCAP_CPUID) /* the kernel answers for the core; implementer and part, not the revision */
    __asm__("mrs %0, midr_el1" : "=r"(found[2]));
  found[2] &= 0xff00fff0u;
  return hli_digest_bytes(found, sizeof found, (hli_digest){0, 0});
}

#else
hli_digest hli_machine_digest(void) {
  return (hli_digest){0, 0};
}
#endif
