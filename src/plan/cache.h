/* cache.h: the store as plans use it: launch descriptors with their code, and configurations. */
#ifndef HLI_PLAN_CACHE_H
#define HLI_PLAN_CACHE_H

#include "src/plan/key.h"
#include "src/store/store.h"

/* The context's cache, opened on first use; NULL: works without. */
hli_store *hli_cache_open(hl_context *ctx);
/* Of the processor; asked once per context. */
hli_digest hli_cache_machine(hl_context *ctx);
/* The same for functions that are about the cache: HL_ERR_IO in words if there is none. */
hl_status hli_cache_need(hl_context *ctx, const char *what, hl_diag *diag, hli_store **out);
/* In words, for messages: the folder, or that there is none. */
const char *hli_cache_words(hl_context *ctx);

/* The launch descriptor under a key, with its image; `bytes` holds what it points to.  False: not there. */
typedef struct hli_cached {
  hli_store_record record;
  hlr_program *program;
  hl_blob *image;
  char path[1200]; /* of the image as a file; "": none */
} hli_cached;
bool hli_cache_get(hl_context *ctx, hli_digest key, hli_cached *out);
void hli_cached_release(hl_context *ctx, hli_cached *c);
/* Puts a descriptor and its image.  If the image became a file, the steps' image_path is `path`. */
bool hli_cache_put(hl_context *ctx, hli_digest key, hl_str provenance, hlr_program *program, char *path, size_t size);

/* program_bytes.c: a descriptor as bytes, and back.  The bytes mean something to the same build of libhl only. */
bool hli_program_write(const hlr_program *p, hli_strbuf *out);
hlr_program *hli_program_read(const hl_allocator *a, hl_str bytes, size_t *used);

/* The configuration that tuning has found for a problem, as canonical JSON; false: none. */
bool hli_cache_config(hl_context *ctx, const hli_problem *p, hli_store_record *out);

/* Who made it, from what, how long that took: JSON. */
typedef struct hli_provenance {
  const hli_problem *problem;
  const char *config; /* canonical JSON */
  const char *report; /* the assembler's */
  double lower_ms, compile_ms;
  size_t image_bytes; /* 0: there is no code */
  hl_str measured;    /* a JSON object, or nothing */
} hli_provenance;
void hli_provenance_write(const hli_provenance *p, hli_strbuf *out);

#endif
