/* check.c: walks every page of an LMDB file that can be reached from its newest header.
 *
 * LMDB follows page numbers, offsets and counts of its file without looking at them
 * twice, so damage shows as a fault, an abort or an endless loop.  Here each is
 * compared with bounds first: every page carries its own number and the flags of its place, its
 * nodes tile the space that the header gives them, keys ascend through the whole tree, no page is
 * reached twice (trees and free lists together), and the counts of each tree are those that the walk
 * found.  Contents of records are not looked at: they have checksums of their own.
 *
 * Reading instead of mapping costs about 2.5 us per page (0.15 ms for a hundred records of 1 KB, 8 ms for
 * ten thousand), once per store that is opened.
 *
 * The caller keeps writers away while this runs.  The format is that of LMDB 0.9 on the
 * machine at hand (data version 1, 64-bit, native byte order).
 * SPDX-License-Identifier: MIT */
#include "src/store/check.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  PAGE_HEADER = 16,
  NODE_HEADER = 8,
  MAX_PAGE = 65536,
  MAX_DEPTH = 32, /* of LMDB's cursors */
  MAX_KEY = 511,
  P_BRANCH = 1,
  P_LEAF = 2,
  P_OVERFLOW = 4,
  P_META = 8,
  N_BIG = 1, /* the data lies on overflow pages */
  N_TREE = 2 /* the data describes a named tree */
};
#define META_MAGIC   0xBEEFC0DEu
#define META_VERSION 1u
#define FREE_FLAGS   0x4008u /* of the free list: integer keys; with it, MDB_NOSUBDIR of the environment */
#define NO_PAGE      UINT64_MAX

typedef struct page_header {
  uint64_t number;
  uint16_t pad, flags, lower, upper; /* overflow pages: lower and upper are their count, 32 bits */
} page_header;

typedef struct tree {
  uint32_t pad; /* of the free list: the page size */
  uint16_t flags, depth;
  uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
} tree;

typedef struct meta {
  uint32_t magic, version;
  uint64_t address, map_size;
  tree free_list, main;
  uint64_t last_page, transaction;
} meta;

typedef struct node {
  uint16_t low, high, flags, key_size;
} node;

_Static_assert(sizeof(page_header) == PAGE_HEADER && sizeof(tree) == 48 && sizeof(meta) == 136 &&
                   sizeof(node) == NODE_HEADER,
               "LMDB's file format");

typedef struct walk {
  int fd;
  char *why;
  uint64_t file_size;
  uint32_t page_size;
  uint64_t last_page;
  uint8_t *seen;  /* a bit per page */
  uint8_t *pages; /* MAX_DEPTH buffers, one per level */
  hli_check state;
} walk;

/* The tree that is being walked, and what it turned out to hold. */
typedef struct climb {
  tree found;
  bool is_free, is_main;
  bool first;    /* no key came by yet */
  bool at_least; /* the last key was a separator: the next may equal it */
  uint16_t last_size;
  uint8_t last[MAX_KEY];
} climb;

static bool bad(walk *w, uint64_t page, const char *what) {
  if (w->state == HLI_CHECK_OK) {
    w->state = HLI_CHECK_DAMAGED;
    (void)snprintf(w->why, HLI_CHECK_WHY, "page %llu: %s", (unsigned long long)page, what);
  }
  return false;
}

static bool trouble(walk *w, const char *what) {
  w->state = HLI_CHECK_TROUBLE;
  (void)snprintf(w->why, HLI_CHECK_WHY, "%s", what);
  return false;
}

static bool read_at(walk *w, uint64_t offset, void *to, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t n = pread(w->fd, (char *)to + done, size - done, (off_t)(offset + done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return trouble(w, "the file cannot be read");
    if (n == 0)
      return bad(w, w->page_size ? offset / w->page_size : 0, "behind the end of the file");
    done += (size_t)n;
  }
  return true;
}

/* Marks pages [first, first + count); each may be marked once. */
static bool claim(walk *w, uint64_t first, uint64_t count) {
  if (first < 2 || first > w->last_page || count > w->last_page - first + 1)
    return bad(w, first, "there is no such page");
  for (uint64_t p = first; p < first + count; p++) {
    if (w->seen[p / 8] & (1u << (p % 8)))
      return bad(w, p, "used twice");
    w->seen[p / 8] |= (uint8_t)(1u << (p % 8));
  }
  return true;
}

static bool load(walk *w, uint64_t number, uint32_t level, uint8_t **out) {
  *out = w->pages + (size_t)level * w->page_size;
  if (!claim(w, number, 1) || !read_at(w, number * w->page_size, *out, w->page_size))
    return false;
  page_header h;
  memcpy(&h, *out, sizeof h);
  if (h.number != number)
    return bad(w, number, "carries another number");
  if (h.flags != P_BRANCH && h.flags != P_LEAF)
    return bad(w, number, "is neither branch nor leaf");
  if (h.lower < PAGE_HEADER || h.lower % 2 || h.lower > h.upper || h.upper > w->page_size || h.upper % 2)
    return bad(w, number, "its free space has impossible bounds");
  return true;
}

static uint32_t node_count(const uint8_t *page) {
  page_header h;
  memcpy(&h, page, sizeof h);
  return (h.lower - (uint32_t)PAGE_HEADER) / 2;
}

static uint32_t node_at(const uint8_t *page, uint32_t i, node *out) {
  uint16_t offset;
  memcpy(&offset, page + PAGE_HEADER + 2 * (size_t)i, sizeof offset);
  memcpy(out, page + offset, sizeof *out);
  return offset;
}

/* The nodes lie between upper and the end of the page, side by side without gaps. */
static bool nodes_tile(walk *w, const uint8_t *page) {
  uint8_t used[MAX_PAGE / 16] = {0}; /* a bit per two bytes */
  page_header h;
  memcpy(&h, page, sizeof h);
  uint32_t total = 0;
  for (uint32_t i = 0, n = node_count(page); i < n; i++) {
    uint16_t offset;
    memcpy(&offset, page + PAGE_HEADER + 2 * (size_t)i, sizeof offset);
    if (offset % 2 || offset < h.upper || offset + (uint32_t)NODE_HEADER > w->page_size)
      return bad(w, h.number, "a node lies outside");
    node x;
    (void)node_at(page, i, &x);
    uint64_t data = h.flags == P_BRANCH ? 0 : (x.flags & N_BIG) ? 8 : (uint64_t)x.low | (uint64_t)x.high << 16;
    uint64_t size = (NODE_HEADER + x.key_size + data + 1) & ~UINT64_C(1);
    if (x.key_size > MAX_KEY || size > w->page_size - offset)
      return bad(w, h.number, "a node reaches beyond the page");
    for (uint32_t b = offset / 2u; b < (offset + (uint32_t)size) / 2; b++) {
      if (used[b / 8] & (1u << (b % 8)))
        return bad(w, h.number, "two nodes overlap");
      used[b / 8] |= (uint8_t)(1u << (b % 8));
    }
    total += (uint32_t)size;
  }
  return total == w->page_size - h.upper || bad(w, h.number, "its nodes do not fill their space");
}

/* ---- keys in order -------------------------------------------------------------- */

static int compare(const climb *c, const uint8_t *key, uint16_t size) {
  if (c->is_free) {
    uint64_t a, b;
    memcpy(&a, c->last, sizeof a);
    memcpy(&b, key, sizeof b);
    return a < b ? -1 : a > b;
  }
  int order = memcmp(c->last, key, HLI_MIN(c->last_size, size));
  return order ? order : (int)c->last_size - (int)size;
}

static bool next_key(walk *w, climb *c, uint64_t page, const uint8_t *key, uint16_t size, bool separator) {
  if (!size || (c->is_free && size != sizeof(uint64_t)))
    return bad(w, page, "a key of impossible size");
  if (!c->first) {
    int order = compare(c, key, size);
    if (order > 0 || (order == 0 && !c->at_least))
      return bad(w, page, "keys are out of order");
  }
  memcpy(c->last, key, size);
  c->last_size = size;
  c->first = false;
  c->at_least = separator;
  return true;
}

/* ---- leaves ------------------------------------------------------------------------ */

/* An entry of the free list: a count, then page numbers in descending order. */
static bool free_pages(walk *w, uint64_t page, const uint8_t *data, size_t size) {
  uint64_t count, previous = NO_PAGE;
  if (size < sizeof count)
    return bad(w, page, "a free list of impossible size");
  memcpy(&count, data, sizeof count);
  if (count > size / sizeof count - 1)
    return bad(w, page, "a free list longer than its record");
  for (uint64_t i = 1; i <= count; i++) {
    uint64_t number;
    memcpy(&number, data + i * sizeof number, sizeof number);
    if (number >= previous || !claim(w, number, 1))
      return bad(w, page, "a free list out of order");
    previous = number;
  }
  return true;
}

static bool overflow(walk *w, climb *c, uint64_t page, const uint8_t *at, uint64_t size) {
  uint64_t number;
  memcpy(&number, at, sizeof number);
  uint64_t pages = (PAGE_HEADER - 1 + size) / w->page_size + 1;
  uint64_t bytes = PAGE_HEADER + size;
  if (!claim(w, number, pages))
    return false;
  if (number * w->page_size + bytes > w->file_size)
    return bad(w, number, "behind the end of the file");
  page_header h;
  if (!read_at(w, number * w->page_size, &h, sizeof h))
    return false;
  if (h.number != number || h.flags != P_OVERFLOW || ((uint64_t)h.lower | (uint64_t)h.upper << 16) != pages)
    return bad(w, number, "is not the overflow page that it should be");
  c->found.overflow_pages += pages;
  if (!c->is_free)
    return true;
  uint8_t *list = hli_alloc(NULL, size, 16); /* size <= that of the file: just checked */
  if (!list)
    return trouble(w, "out of memory");
  bool ok = read_at(w, number * w->page_size + PAGE_HEADER, list, size) && free_pages(w, page, list, size);
  hli_release(NULL, list, size);
  return ok;
}

static bool walk_tree(walk *w, const tree *t, uint32_t level, bool is_free, bool is_main);

static bool leaf(walk *w, climb *c, const uint8_t *page, uint32_t level) {
  page_header h;
  memcpy(&h, page, sizeof h);
  const uint32_t n = node_count(page);
  for (uint32_t i = 0; i < n; i++) {
    node x;
    const uint8_t *at = page + node_at(page, i, &x) + NODE_HEADER;
    const uint64_t size = (uint64_t)x.low | (uint64_t)x.high << 16;
    if (!next_key(w, c, h.number, at, x.key_size, false))
      return false;
    at += x.key_size;
    if (x.flags == N_BIG) {
      if (!overflow(w, c, h.number, at, size))
        return false;
    } else if (x.flags == N_TREE && c->is_main) {
      tree named;
      if (size != sizeof named)
        return bad(w, h.number, "a named tree of impossible size");
      memcpy(&named, at, sizeof named);
      if (!walk_tree(w, &named, level + 1, false, false))
        return false;
    } else if (x.flags || (c->is_free && !free_pages(w, h.number, at, (size_t)size))) {
      return bad(w, h.number, "a record of unknown form");
    }
  }
  c->found.entries += n;
  c->found.leaf_pages++;
  return true;
}

/* ---- trees ----------------------------------------------------------------------------- */

static bool walk_page(walk *w, climb *c, uint64_t number, uint32_t depth, uint32_t level) {
  uint8_t *page;
  if (level >= MAX_DEPTH)
    return bad(w, number, "the trees are too deep");
  if (!load(w, number, level, &page) || !nodes_tile(w, page))
    return false;
  page_header h;
  memcpy(&h, page, sizeof h);
  const uint32_t n = node_count(page);
  if ((depth == 1) != (h.flags == P_LEAF))
    return bad(w, number, "is not at its depth");
  if (h.flags == P_LEAF)
    return n ? leaf(w, c, page, level) : bad(w, number, "an empty leaf");
  if (n < (c->is_free ? 1u : 2u))
    return bad(w, number, "a branch without branches");
  c->found.branch_pages++;
  for (uint32_t i = 0; i < n; i++) {
    node x; /* the first key of a branch page is not used */
    const uint8_t *key = page + node_at(page, i, &x) + NODE_HEADER;
    const uint64_t child = (uint64_t)x.low | (uint64_t)x.high << 16 | (uint64_t)x.flags << 32;
    if ((i && !next_key(w, c, number, key, x.key_size, true)) || !walk_page(w, c, child, depth - 1, level + 1))
      return false;
  }
  return true;
}

static bool walk_tree(walk *w, const tree *t, uint32_t level, bool is_free, bool is_main) {
  climb c = {.is_free = is_free, .is_main = is_main, .first = true};
  const uint64_t name = t->root == NO_PAGE ? 0 : t->root;
  if (t->flags != (is_free ? FREE_FLAGS : 0) || t->depth > MAX_DEPTH || (t->root == NO_PAGE) != (t->depth == 0))
    return bad(w, name, "a tree with an impossible description");
  if (t->depth && !walk_page(w, &c, t->root, t->depth, level))
    return false;
  return (c.found.branch_pages == t->branch_pages && c.found.leaf_pages == t->leaf_pages &&
          c.found.overflow_pages == t->overflow_pages && c.found.entries == t->entries) ||
         bad(w, name, "a tree that holds more or less than it says");
}

/* ---- headers ---------------------------------------------------------------------------- */

static bool read_meta(walk *w, uint64_t number, meta *out) {
  uint8_t raw[PAGE_HEADER + sizeof(meta)];
  page_header h;
  if (!read_at(w, number * w->page_size, raw, sizeof raw))
    return false;
  memcpy(&h, raw, sizeof h);
  memcpy(out, raw + PAGE_HEADER, sizeof *out);
  if (h.number != number || h.flags != P_META || out->magic != META_MAGIC || out->version != META_VERSION)
    return bad(w, number, "is not a header");
  const uint32_t size = out->free_list.pad;
  if (size < 512 || size > MAX_PAGE || !hli_is_pow2(size) || (w->page_size && size != w->page_size))
    return bad(w, number, "an impossible page size");
  if (out->last_page < 1 || out->last_page > out->map_size / size)
    return bad(w, number, "an impossible number of pages");
  w->page_size = size;
  return true;
}

static bool walk_all(walk *w) {
  meta newest, other;
  if (!read_meta(w, 0, &newest) || !read_meta(w, 1, &other))
    return false;
  if (other.transaction > newest.transaction)
    newest = other;
  w->last_page = newest.last_page;
  const size_t bits = (size_t)(w->last_page / 8 + 1), bytes = (size_t)w->page_size * MAX_DEPTH;
  /* Pages that were freed before they were ever written may lie behind the end of the file,
   * but not many: a header that claims far more than the file holds is a wrong one. */
  if (w->last_page / 2 > w->file_size / w->page_size + 512)
    return bad(w, 0, "the file is much shorter than its header says");
  w->seen = hli_calloc(NULL, bits, 1);
  w->pages = hli_alloc(NULL, bytes, 16);
  bool ok = w->seen && w->pages
                ? walk_tree(w, &newest.free_list, 0, true, false) && walk_tree(w, &newest.main, 0, false, true)
                : trouble(w, "out of memory");
  hli_release(NULL, w->seen, bits);
  hli_release(NULL, w->pages, bytes);
  return ok;
}

hli_check hli_check_file(int fd, char why[HLI_CHECK_WHY]) {
  struct stat st;
  walk w = {.fd = fd, .why = why, .state = HLI_CHECK_OK};
  why[0] = '\0';
  if (fstat(fd, &st) != 0) {
    (void)trouble(&w, "the file cannot be examined");
  } else if (st.st_size == 0) {
    w.state = HLI_CHECK_EMPTY;
  } else {
    w.file_size = (uint64_t)st.st_size;
    (void)walk_all(&w);
  }
  return w.state;
}
