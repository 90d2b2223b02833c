/* cache.c: the store as plans use it.
 *
 * The context's slot holds the open store (or the fact that there is none, which is said once in the log) and the
 * digest of the processor.  A record of code is a launch descriptor; its image is a file beside the records when it is
 * a shared object, so that the loader, debuggers and profilers find it under a name, and part of the record else. */
#include "src/plan/cache.h"
#include <stdio.h>

typedef struct slot {
  hli_store *store;
  hl_diag why; /* there is none */
  hli_digest machine;
} slot;

static void slot_free(hl_context *ctx) {
  slot *s = ctx->store;
  hli_store_close(s->store);
  hli_release(&ctx->alloc, s, sizeof *s);
  ctx->store = NULL;
}

/* NULL: out of memory. */
static slot *slot_get(hl_context *ctx) {
  hli_context_lock(ctx);
  slot *s = ctx->store;
  if (!s && (s = hli_calloc(&ctx->alloc, 1, sizeof *s))) {
    s->machine = hli_machine_digest();
    if (ctx->cache_dir && !ctx->cache_dir[0])
      (void)hli_fail(&s->why, HL_ERR_IO, "it is turned off by hl_context_options.cache_dir");
    else
      (void)hli_store_open(ctx, ctx->cache_dir, NULL, &s->why, &s->store);
    ctx->store = s;
    ctx->store_free = slot_free;
  }
  hli_context_unlock(ctx);
  return s;
}

hli_store *hli_cache_open(hl_context *ctx) {
  const slot *s = slot_get(ctx);
  return s ? s->store : NULL;
}

hli_digest hli_cache_machine(hl_context *ctx) {
  const slot *s = slot_get(ctx);
  return s ? s->machine : hli_machine_digest();
}

const char *hli_cache_words(hl_context *ctx) {
  hli_store *store = hli_cache_open(ctx);
  return store ? hli_store_path(store) : "there is none";
}

hl_status hli_cache_need(hl_context *ctx, const char *what, hl_diag *diag, hli_store **out) {
  const slot *s = slot_get(ctx);
  *out = s ? s->store : NULL;
  if (*out)
    return HL_OK;
  return s ? hli_fail(diag, HL_ERR_IO, "%s: there is no cache: %s", what, s->why.message) : hli_fail_memory(diag, what);
}

/* ---- code ------------------------------------------------------------------------------- */

void hli_cached_release(hl_context *ctx, hli_cached *c) {
  hli_program_free(&ctx->alloc, c->program);
  hl_blob_release(c->image);
  hli_store_record_release(&c->record);
  *c = (hli_cached){.program = NULL};
}

static bool decode(hl_context *ctx, hli_store *store, hli_digest key, hli_cached *out) {
  size_t used = 0;
  hl_str image = out->record.content;
  out->program = hli_program_read(&ctx->alloc, out->record.payload, &used);
  if (!out->program)
    return false;
  if (!image.len)
    image = (hl_str){out->record.payload.ptr + used, out->record.payload.len - used};
  else if (!hli_store_file_path(store, key, out->path, sizeof out->path))
    out->path[0] = '\0';
  out->image = hli_blob_create(&ctx->alloc, image.ptr, image.len);
  for (uint32_t s = 0; s < out->program->step_count; s++) {
    out->program->steps[s].image = out->image;
    out->program->steps[s].image_path = out->path[0] ? out->path : NULL;
  }
  return out->image != NULL;
}

bool hli_cache_get(hl_context *ctx, hli_digest key, hli_cached *out) {
  hli_store *store = hli_cache_open(ctx);
  *out = (hli_cached){.program = NULL};
  if (!hli_store_file_get(store, key, &out->record))
    return false;
  if (decode(ctx, store, key, out))
    return true;
  hli_cached_release(ctx, out);
  return false;
}

bool hli_cache_put(hl_context *ctx, hli_digest key, hl_str provenance, hlr_program *program, char *path, size_t size) {
  hli_store *store = hli_cache_open(ctx);
  hli_strbuf sb;
  path[0] = '\0';
  if (!hli_store_writable(store) || !program->step_count)
    return false;
  const hl_blob *image = program->steps[0].image;
  const hl_str bytes = {hl_blob_data(image), hl_blob_size(image)};
  const bool file = program->steps[0].image_kind == HLR_IMAGE_ELF_SO;
  hli_sb_init(&sb, &ctx->alloc);
  bool kept = hli_program_write(program, &sb);
  if (kept && !file)
    hli_sb_put(&sb, bytes.ptr, bytes.len);
  const hl_str payload = {sb.data, sb.len};
  if (kept && !sb.failed)
    kept = file ? hli_store_file_put(store, key, provenance, payload, bytes)
                : hli_store_put(store, HLI_STORE_CODE, key, provenance, payload);
  hli_sb_free(&sb);
  if (!kept || !file || !hli_store_file_path(store, key, path, size))
    return kept;
  for (uint32_t s = 0; s < program->step_count; s++)
    program->steps[s].image_path = path;
  return true;
}

/* ---- tuning ---------------------------------------------------------------------------------- */

bool hli_cache_config(hl_context *ctx, const hli_problem *p, hli_store_record *out) {
  hli_digest key;
  hli_store *store = hli_cache_open(ctx);
  return store && hli_tuning_key(p, &key) && hli_store_get(store, HLI_STORE_TUNING, key, out);
}
