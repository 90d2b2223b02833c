/* cache_list.c: looking at the cache and removing from it.
 *
 * A list is a copy made under the store's lock; what the provenance says is parsed afterwards. SPDX-License-Identifier:
 * MIT */
#include "src/plan/cache_list.h"
#include "hl/cache.h"
#include <stdlib.h>

struct hl_cache_list {
  hl_context *ctx;
  hli_arena arena;
  HLI_VEC(hl_cache_entry) entries;
  bool failed;
  hl_cache_kind kind; /* being listed */
};

/* ---- copying --------------------------------------------------------------------------- */

static hl_str keep(hl_cache_list *l, hl_str s) {
  char *copy = hli_arena_strdup(&l->arena, s);
  return copy ? (hl_str){copy, s.len} : (hl_str){"", 0};
}

static bool add(void *user, hli_digest key, hl_str provenance, hl_str payload, uint64_t file_bytes) {
  hl_cache_list *l = user;
  hl_cache_entry e = {.size = sizeof e, .kind = l->kind, .bytes = provenance.len + payload.len + file_bytes};
  hli_digest_text(key, e.key);
  e.provenance = keep(l, provenance);
  e.kernel = e.shape = e.config = e.target = e.device = (hl_str){"", 0};
  if (l->kind == HL_CACHE_TUNING)
    e.config = keep(l, payload);
  l->failed = l->arena.failed || !hli_vec_push(&l->ctx->alloc, &l->entries, e);
  return !l->failed;
}

/* ---- understanding ------------------------------------------------------------------------ */

static hl_str text_of(hl_cache_list *l, const json_t *object, const char *name) {
  const char *s = json_string_value(json_object_get(object, name));
  return s ? keep(l, hli_str(s)) : (hl_str){"", 0};
}

static hl_str shape_of(hl_cache_list *l, const json_t *object) {
  hli_strbuf sb;
  const char *name;
  json_t *size;
  hli_sb_init(&sb, &l->ctx->alloc);
  json_object_foreach(json_object_get(object, "shape"), name, size) {
    hli_sb_printf(&sb, "%s%s=%lld", sb.len ? " " : "", name, (long long)json_integer_value(size));
  }
  hl_str text = sb.data && !sb.failed ? keep(l, (hl_str){sb.data, sb.len}) : (hl_str){"", 0};
  hli_sb_free(&sb);
  return text;
}

static void understand(hl_cache_list *l, hl_cache_entry *e) {
  json_t *o = json_loadb(e->provenance.ptr, e->provenance.len, 0, NULL);
  if (!o)
    return;
  e->kernel = text_of(l, o, "kernel");
  e->target = text_of(l, o, "target");
  e->device = text_of(l, o, "device");
  e->shape = shape_of(l, o);
  e->made = (int64_t)json_integer_value(json_object_get(o, "made"));
  char *config = e->config.len ? NULL : json_dumps(json_object_get(o, "config"), JSON_COMPACT);
  if (config)
    e->config = keep(l, hli_str(config));
  free(config);
  json_decref(o);
}

static int newest_first(const void *a, const void *b) {
  const hl_cache_entry *x = a, *y = b;
  if (x->made != y->made)
    return x->made < y->made ? 1 : -1;
  return memcmp(x->key, y->key, sizeof x->key);
}

/* ---- the list --------------------------------------------------------------------------------- */

hl_status hl_cache_list_create(hl_context *ctx, hl_diag *diag, hl_cache_list **out) {
  hli_store *store;
  if (out)
    *out = NULL;
  if (!ctx || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_cache_list_create: %s is NULL", ctx ? "out" : "the context");
  hl_status s = hli_cache_need(ctx, "hl_cache_list_create", diag, &store);
  if (s != HL_OK)
    return s;
  hl_cache_list *l = hli_calloc(&ctx->alloc, 1, sizeof *l);
  if (!l)
    return hli_fail_memory(diag, "listing the cache");
  l->ctx = ctx;
  hli_arena_init(&l->arena, &ctx->alloc);
  l->kind = HL_CACHE_TUNING;
  (void)hli_store_list(store, HLI_STORE_TUNING, add, l);
  l->kind = HL_CACHE_CODE;
  if (!l->failed)
    (void)hli_store_list(store, HLI_STORE_CODE, add, l);
  for (uint32_t i = 0; i < l->entries.len; i++)
    understand(l, &l->entries.data[i]);
  if (l->failed || l->arena.failed) {
    hl_cache_list_destroy(l);
    return hli_fail_memory(diag, "listing the cache");
  }
  if (l->entries.len)
    qsort(l->entries.data, l->entries.len, sizeof *l->entries.data, newest_first);
  *out = l;
  return HL_OK;
}

uint32_t hl_cache_list_count(const hl_cache_list *list) {
  return list ? list->entries.len : 0;
}

hl_status hl_cache_list_entry(const hl_cache_list *list, uint32_t index, hl_cache_entry *out) {
  const bool there = list && out && index < list->entries.len;
  return there && hli_struct_give(out, &list->entries.data[index], sizeof *out) ? HL_OK : HL_ERR_ARG;
}

void hl_cache_list_destroy(hl_cache_list *list) {
  if (!list)
    return;
  hl_context *ctx = list->ctx;
  hli_vec_free(&ctx->alloc, &list->entries);
  hli_arena_free(&list->arena);
  hli_release(&ctx->alloc, list, sizeof *list);
}

hl_status hl_cache_get_info(hl_context *ctx, hl_diag *diag, hl_cache_info *info) {
  hl_cache_info full = {.size = sizeof full};
  hli_store *store;
  hl_cache_list *l;
  if (!ctx || !info || info->size < sizeof info->size)
    return hli_fail(diag, HL_ERR_ARG, "hl_cache_get_info: wants a context and an info with its size set");
  hl_status s = hli_cache_need(ctx, "hl_cache_get_info", diag, &store);
  if (s == HL_OK)
    s = hl_cache_list_create(ctx, diag, &l);
  if (s != HL_OK)
    return s;
  const char *path = hli_store_path(store);
  memcpy(full.path, path, HLI_MIN(strlen(path) + 1, sizeof full.path));
  full.path[sizeof full.path - 1] = '\0';
  full.writable = hli_store_writable(store);
  for (uint32_t i = 0; i < l->entries.len; i++) {
    const hl_cache_entry *e = &l->entries.data[i];
    full.tuning += e->kind == HL_CACHE_TUNING;
    full.code += e->kind == HL_CACHE_CODE;
    full.bytes += e->bytes;
  }
  hl_cache_list_destroy(l);
  (void)hli_struct_give(info, &full, sizeof full);
  return HL_OK;
}

/* ---- one record ----------------------------------------------------------------------------------- */

static hli_digest digest_of(const char *hex) {
  hli_digest d = {0, 0};
  (void)hli_digest_parse((hl_str){hex, 32}, &d);
  return d;
}

/* The one record whose key begins with these digits. */
static hl_status find(hl_context *ctx, const char *what, const char *key, hl_diag *diag, hl_cache_list **list,
                      const hl_cache_entry **out) {
  *list = NULL;
  if (!ctx || !key || !*key)
    return hli_fail(diag, HL_ERR_ARG, "%s: %s", what, ctx ? "the key is empty" : "the context is NULL");
  hl_status s = hl_cache_list_create(ctx, diag, list);
  if (s != HL_OK)
    return s;
  uint32_t hits = 0;
  for (uint32_t i = 0; i < (*list)->entries.len; i++)
    if (strncmp((*list)->entries.data[i].key, key, strlen(key)) == 0) {
      *out = &(*list)->entries.data[i];
      hits++;
    }
  if (hits == 1)
    return HL_OK;
  hl_cache_list_destroy(*list);
  *list = NULL;
  return hits ? hli_fail(diag, HL_ERR_ARG, "%s: %u keys begin with '%.32s': give more digits", what, hits, key)
              : hli_fail(diag, HL_ERR_ARG, "%s: no key in the cache begins with '%.32s'", what, key);
}

hl_status hl_cache_show(hl_context *ctx, const char *key, hl_diag *diag, hl_blob **out) {
  hl_cache_list *list;
  const hl_cache_entry *e;
  if (out)
    *out = NULL;
  if (!out)
    return hli_fail(diag, HL_ERR_ARG, "hl_cache_show: out is NULL");
  hl_status s = find(ctx, "hl_cache_show", key, diag, &list, &e);
  if (s != HL_OK)
    return s;
  json_t *o = json_loadb(e->provenance.ptr, e->provenance.len, 0, NULL);
  if (!o)
    o = json_object();
  (void)json_object_set_new(o, "key", json_string(e->key));
  (void)json_object_set_new(o, "kind", json_string(e->kind == HL_CACHE_CODE ? "code" : "tuning"));
  (void)json_object_set_new(o, "bytes", json_integer((json_int_t)e->bytes));
  if (e->kind == HL_CACHE_TUNING)
    (void)json_object_set_new(o, "config", json_loadb(e->config.ptr, e->config.len, 0, NULL));
  char *text = json_dumps(o, JSON_INDENT(2));
  json_decref(o);
  if (text)
    *out = hli_blob_create(&ctx->alloc, text, strlen(text));
  free(text);
  hl_cache_list_destroy(list);
  return *out ? HL_OK : hli_fail_memory(diag, "showing a record");
}

static hl_status not_written(hli_store *store, hl_diag *diag, const char *what) {
  return hli_fail(diag, HL_ERR_IO, "%s: the cache %s %s", what, hli_store_path(store),
                  hli_store_writable(store) ? "could not be written: its log line says why" : "cannot be written");
}

hl_status hl_cache_drop(hl_context *ctx, const char *key, hl_diag *diag) {
  hl_cache_list *list;
  const hl_cache_entry *e;
  hl_status s = find(ctx, "hl_cache_drop", key, diag, &list, &e);
  if (s != HL_OK)
    return s;
  hli_store *store = hli_cache_open(ctx);
  const hli_store_kind kind = e->kind == HL_CACHE_CODE ? HLI_STORE_CODE : HLI_STORE_TUNING;
  if (!hli_store_drop(store, kind, digest_of(e->key)) && !hli_store_writable(store))
    s = not_written(store, diag, "hl_cache_drop");
  hl_cache_list_destroy(list);
  return s;
}

hl_status hl_cache_sync(hl_context *ctx, hl_diag *diag) {
  hli_store *store;
  if (!ctx)
    return hli_fail(diag, HL_ERR_ARG, "hl_cache_sync: the context is NULL");
  hl_status s = hli_cache_need(ctx, "hl_cache_sync", diag, &store);
  if (s == HL_OK && !hli_store_sync(store))
    s = not_written(store, diag, "hl_cache_sync");
  return s;
}

hl_status hl_cache_clear(hl_context *ctx, hl_cache_kind kind, hl_diag *diag, uint64_t *dropped) {
  hl_cache_list *list;
  uint64_t n = 0, all = 0;
  if (dropped)
    *dropped = 0;
  if (!ctx || (kind != HL_CACHE_TUNING && kind != HL_CACHE_CODE))
    return hli_fail(diag, HL_ERR_ARG, "hl_cache_clear: wants a context and a hl_cache_kind, not %d", (int)kind);
  hl_status s = hl_cache_list_create(ctx, diag, &list);
  if (s != HL_OK)
    return s;
  hli_store *store = hli_cache_open(ctx);
  for (uint32_t i = 0; i < list->entries.len; i++) {
    const hl_cache_entry *e = &list->entries.data[i];
    if (e->kind != kind)
      continue;
    all++;
    n += hli_store_drop(store, kind == HL_CACHE_CODE ? HLI_STORE_CODE : HLI_STORE_TUNING, digest_of(e->key));
  }
  hl_cache_list_destroy(list);
  if (all && !n && !hli_store_writable(store))
    return not_written(store, diag, "hl_cache_clear");
  if (dropped)
    *dropped = n;
  return HL_OK;
}
