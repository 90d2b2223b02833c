/* elf_check.c: bounds of an ELF image.  SPDX-License-Identifier: MIT */
#include "runtime/elf_check.h"
#include <elf.h>
#include <string.h>

static const char truncated[] = "it is truncated";

const char *hlr_elf_fault(const void *image, size_t size, uint16_t machine) {
  Elf64_Ehdr head;
  if (!image || size < sizeof head)
    return "it is too short";
  memcpy(&head, image, sizeof head);
  if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
    return "it is no ELF file";
  if (head.e_ident[EI_CLASS] != ELFCLASS64)
    return "it is no 64-bit ELF file";
  if (head.e_machine != machine)
    return "it is for another kind of processor";
  if (head.e_phnum && head.e_phentsize != sizeof(Elf64_Phdr))
    return "its program headers are damaged";
  if (head.e_shnum && head.e_shentsize != sizeof(Elf64_Shdr))
    return "its section headers are damaged";
  if (head.e_phoff > size || (size - head.e_phoff) / sizeof(Elf64_Phdr) < head.e_phnum)
    return truncated;
  if (head.e_shoff > size || (size - head.e_shoff) / sizeof(Elf64_Shdr) < head.e_shnum)
    return truncated;
  for (uint32_t i = 0; i < head.e_phnum; i++) {
    Elf64_Phdr part;
    memcpy(&part, (const char *)image + head.e_phoff + i * sizeof part, sizeof part);
    if (part.p_offset > size || part.p_filesz > size - part.p_offset)
      return truncated;
  }
  for (uint32_t i = 0; i < head.e_shnum; i++) {
    Elf64_Shdr section;
    memcpy(&section, (const char *)image + head.e_shoff + i * sizeof section, sizeof section);
    if (section.sh_type == SHT_NOBITS || section.sh_type == SHT_NULL)
      continue;
    if (section.sh_offset > size || section.sh_size > size - section.sh_offset)
      return truncated;
  }
  return NULL;
}
