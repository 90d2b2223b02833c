/* arena.c: bump allocation.  Pages double from 4 KiB to 256 KiB; an allocation larger
 * than the next page gets a page of its own size.  SPDX-License-Identifier: MIT */
#include "src/base/base.h"

#define ARENA_ALIGN 16u
#define PAGE_MIN    ((size_t)4096)
#define PAGE_MAX    ((size_t)256 * 1024)

typedef struct hli_arena_page {
  struct hli_arena_page *next;
  size_t size; /* of the page with this header, as allocated */
  size_t used; /* with this header */
  size_t pad;  /* keeps the header a multiple of ARENA_ALIGN */
} hli_arena_page;

_Static_assert(sizeof(hli_arena_page) % ARENA_ALIGN == 0, "page header keeps the alignment");

void hli_arena_init(hli_arena *arena, const hl_allocator *alloc) {
  *arena = (hli_arena){.alloc = alloc};
}

static hli_arena_page *add_page(hli_arena *arena, size_t need) {
  size_t size = PAGE_MIN;
  if (arena->head)
    size = HLI_MIN(arena->head->size * 2, PAGE_MAX);
  size = HLI_MAX(size, need + sizeof(hli_arena_page));
  hli_arena_page *page = hli_alloc(arena->alloc, size, ARENA_ALIGN);
  if (!page)
    return NULL;
  *page = (hli_arena_page){arena->head, size, sizeof *page, 0};
  arena->head = page;
  return page;
}

void *hli_arena_alloc(hli_arena *arena, size_t size) {
  size_t need = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
  if (need < size || need > SIZE_MAX / 2) {
    arena->failed = true;
    return NULL;
  }
  if (!need)
    need = ARENA_ALIGN; /* distinct addresses for empty objects */
  hli_arena_page *page = arena->head;
  if (!page || page->size - page->used < need)
    page = add_page(arena, need);
  if (!page) {
    arena->failed = true;
    return NULL;
  }
  void *ptr = (char *)page + page->used;
  page->used += need;
  return memset(ptr, 0, need);
}

char *hli_arena_strdup(hli_arena *arena, hl_str s) {
  char *copy = hli_arena_alloc(arena, s.len + 1);
  if (copy && s.len)
    memcpy(copy, s.ptr, s.len);
  return copy;
}

void hli_arena_free(hli_arena *arena) {
  hli_arena_page *page = arena->head;
  while (page) {
    hli_arena_page *next = page->next;
    hli_release(arena->alloc, page, page->size);
    page = next;
  }
  hli_arena_init(arena, arena->alloc);
}
