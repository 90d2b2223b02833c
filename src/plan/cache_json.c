/* cache_json.c: the cache as JSON, out and in, and putting a configuration.
 *
 *   {"hl_cache": 1, "libhl": "0.1.0+...",
 *    "configurations": [{"key": "32 digits", "config": {...}, "provenance": {...}}],
 *    "code":           [{"key": "32 digits", "payload": "base64", "content": "base64", "provenance": {...}}]}
 *
 * A key names everything that its record depends on, so a record from elsewhere is used exactly where it fits.  All of
 * a text is looked at before anything of it is put.  SPDX-License-Identifier: MIT */
#include "runtime/internal.h"
#include "src/plan/cache_list.h"
#include <stdlib.h>

#define FORMAT 1

/* ---- base64 (RFC 4648) ------------------------------------------------------------------ */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static json_t *to_base64(const hl_allocator *a, hl_str s) {
  hli_strbuf sb;
  hli_sb_init(&sb, a);
  for (size_t i = 0; i < s.len; i += 3) {
    const size_t n = HLI_MIN(s.len - i, (size_t)3);
    uint32_t w = 0;
    for (size_t k = 0; k < 3; k++)
      w = w << 8 | (k < n ? (uint8_t)s.ptr[i + k] : 0u);
    char out[4];
    for (size_t k = 0; k < 4; k++)
      out[k] = k <= n ? letters[w >> (18 - 6 * k) & 63] : '=';
    hli_sb_put(&sb, out, 4);
  }
  json_t *text = sb.failed ? NULL : json_stringn(sb.data ? sb.data : "", sb.len);
  hli_sb_free(&sb);
  return text;
}

/* NULL: not base64, or out of memory. */
static hl_blob *from_base64(const hl_allocator *a, const json_t *text) {
  const char *s = json_string_value(text);
  const size_t len = s ? json_string_length(text) : 0;
  if (!s || len % 4)
    return NULL;
  hli_strbuf sb;
  hli_sb_init(&sb, a);
  bool ok = true;
  for (size_t i = 0; i < len && ok; i += 4) {
    uint32_t w = 0, n = 3;
    for (size_t k = 0; k < 4; k++) {
      const bool pad = s[i + k] == '=' && i + 4 == len && k >= 2;
      const char *at = pad ? letters : memchr(letters, s[i + k], sizeof letters - 1);
      ok &= at != NULL && (pad || n == 3);
      n -= pad;
      w = w << 6 | (at ? (uint32_t)(at - letters) : 0u);
    }
    const char bytes[3] = {(char)(w >> 16), (char)(w >> 8), (char)w};
    hli_sb_put(&sb, bytes, n);
  }
  hl_blob *blob = ok ? hli_sb_to_blob(&sb) : NULL;
  hli_sb_free(&sb);
  return blob;
}

static hl_str blob_str(const hl_blob *b) {
  return (hl_str){hl_blob_data(b), hl_blob_size(b)};
}

/* ---- out ----------------------------------------------------------------------------------- */

static json_t *parsed(hl_str s) {
  json_t *o = json_loadb(s.ptr ? s.ptr : "", s.len, 0, NULL);
  return o ? o : json_object();
}

static void export_code(hl_context *ctx, const hl_cache_entry *e, json_t *list) {
  hli_digest key;
  hli_store_record r;
  if (!hli_digest_parse(hli_str(e->key), &key))
    return;
  hli_store *store = hli_cache_open(ctx);
  if (!hli_store_file_get(store, key, &r))
    return; /* gone meanwhile */
  json_t *o = json_object();
  (void)json_object_set_new(o, "key", json_string(e->key));
  (void)json_object_set_new(o, "payload", to_base64(&ctx->alloc, r.payload));
  (void)json_object_set_new(o, "content", to_base64(&ctx->alloc, r.content));
  (void)json_object_set_new(o, "provenance", parsed(r.provenance));
  (void)json_array_append_new(list, o);
  hli_store_record_release(&r);
}

static void export_config(const hl_cache_entry *e, json_t *list) {
  json_t *o = json_object();
  (void)json_object_set_new(o, "key", json_string(e->key));
  (void)json_object_set_new(o, "config", parsed(e->config));
  (void)json_object_set_new(o, "provenance", parsed(e->provenance));
  (void)json_array_append_new(list, o);
}

hl_status hl_cache_export(hl_context *ctx, bool code, hl_diag *diag, hl_blob **out) {
  hl_cache_list *list;
  if (out)
    *out = NULL;
  if (!out)
    return hli_fail(diag, HL_ERR_ARG, "hl_cache_export: out is NULL");
  hl_status s = hl_cache_list_create(ctx, diag, &list);
  if (s != HL_OK)
    return s;
  json_t *root = json_object(), *configs = json_array(), *codes = json_array();
  for (uint32_t i = 0; i < hl_cache_list_count(list); i++) {
    hl_cache_entry e = {.size = sizeof e};
    (void)hl_cache_list_entry(list, i, &e);
    if (e.kind == HL_CACHE_TUNING)
      export_config(&e, configs);
    else if (code)
      export_code(ctx, &e, codes);
  }
  (void)json_object_set_new(root, "hl_cache", json_integer(FORMAT));
  (void)json_object_set_new(root, "libhl", json_string(hl_version()));
  (void)json_object_set_new(root, "configurations", configs);
  if (code)
    (void)json_object_set_new(root, "code", codes);
  else
    json_decref(codes);
  char *text = json_dumps(root, JSON_INDENT(1));
  json_decref(root);
  if (text)
    *out = hli_blob_create(&ctx->alloc, text, strlen(text));
  free(text);
  hl_cache_list_destroy(list);
  return *out ? HL_OK : hli_fail_memory(diag, "exporting the cache");
}

/* ---- in -------------------------------------------------------------------------------------- */

typedef struct import {
  hl_context *ctx;
  hli_store *store;
  hl_diag *diag;
  bool put;     /* the second time through: everything is sound */
  bool refused; /* the store did not keep something */
  uint64_t count;
} import;

static hl_status bad(const import *m, const char *list, size_t i, const char *what) {
  return hli_fail(m->diag, HL_ERR_PARSE, "hl_cache_import: %s[%zu]: %s; nothing was imported", list, i, what);
}

static void keep(import *m, bool kept) {
  m->count += kept;
  m->refused |= !kept;
}

/* Knobs are integers or arrays of them; which of them are legal is found out when a plan uses them. */
static bool is_config(json_t *config) {
  const char *name;
  json_t *v, *item;
  size_t i;
  if (!json_is_object(config))
    return false;
  json_object_foreach(config, name, v) {
    if (!json_is_array(v) && !json_is_integer(v))
      return false;
    json_array_foreach(v, i, item) {
      if (!json_is_integer(item))
        return false;
    }
  }
  return true;
}

static hl_status import_config(import *m, json_t *o, size_t i) {
  hli_digest key;
  const char *hex = json_string_value(json_object_get(o, "key"));
  json_t *config = json_object_get(o, "config"), *provenance = json_object_get(o, "provenance");
  if (!hex || !hli_digest_parse(hli_str(hex), &key))
    return bad(m, "configurations", i, "\"key\" is not 32 hexadecimal digits");
  if (!is_config(config))
    return bad(m, "configurations", i, "\"config\" is not an object of integers and arrays of integers");
  if (!m->put)
    return HL_OK;
  char *text = json_dumps(config, JSON_COMPACT),
       *from = json_is_object(provenance) ? json_dumps(provenance, JSON_COMPACT) : NULL;
  keep(m, text && hli_store_put(m->store, HLI_STORE_TUNING, key, hli_str(from ? from : "{}"), hli_str(text)));
  free(text);
  free(from);
  return HL_OK;
}

static hl_status import_code(import *m, json_t *o, size_t i) {
  hli_digest key;
  const char *hex = json_string_value(json_object_get(o, "key"));
  json_t *provenance = json_object_get(o, "provenance");
  if (!hex || !hli_digest_parse(hli_str(hex), &key))
    return bad(m, "code", i, "\"key\" is not 32 hexadecimal digits");
  hl_blob *payload = from_base64(&m->ctx->alloc, json_object_get(o, "payload"));
  hl_blob *content = from_base64(&m->ctx->alloc, json_object_get(o, "content"));
  hl_status s = payload && content ? HL_OK : bad(m, "code", i, "\"payload\" and \"content\" are not both base64");
  if (s == HL_OK && m->put) {
    char *from = json_is_object(provenance) ? json_dumps(provenance, JSON_COMPACT) : NULL;
    const hl_str origin = hli_str(from ? from : "{}");
    keep(m, hl_blob_size(content) ? hli_store_file_put(m->store, key, origin, blob_str(payload), blob_str(content))
                                  : hli_store_put(m->store, HLI_STORE_CODE, key, origin, blob_str(payload)));
    free(from);
  }
  hl_blob_release(payload);
  hl_blob_release(content);
  return s;
}

static hl_status walk(import *m, json_t *root, bool code) {
  json_t *o;
  size_t i;
  hl_status s = HL_OK;
  json_array_foreach(json_object_get(root, "configurations"), i, o) {
    if (s == HL_OK)
      s = import_config(m, o, i);
  }
  if (!code)
    return s;
  json_array_foreach(json_object_get(root, "code"), i, o) {
    if (s == HL_OK)
      s = import_code(m, o, i);
  }
  return s;
}

hl_status hl_cache_import(hl_context *ctx, hl_str json, bool code, hl_diag *diag, uint64_t *count) {
  json_error_t e;
import m = {.ctx = ctx, .diag = diag };
  if (count)
    *count = 0;
  if (!ctx || (!json.ptr && json.len))
    return hli_fail(diag, HL_ERR_ARG, "hl_cache_import: %s is NULL", ctx ? "the text" : "the context");
  hl_status s = hli_cache_need(ctx, "hl_cache_import", diag, &m.store);
  if (s != HL_OK)
    return s;
  json_t *root = json_loadb(json.ptr ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, &e);
  if (!root)
    return hli_fail_at(diag, HL_ERR_PARSE, "", (uint32_t)HLI_MAX(e.line, 0), (uint32_t)HLI_MAX(e.column, 0),
                       "hl_cache_import: line %d, column %d: %s", e.line, e.column, e.text);
  if (json_integer_value(json_object_get(root, "hl_cache")) != FORMAT)
    s = hli_fail(diag, HL_ERR_PARSE, "hl_cache_import: this is no export of a cache: \"hl_cache\" is not %d", FORMAT);
  if (s == HL_OK)
    s = walk(&m, root, code);
  m.put = true;
  if (s == HL_OK)
    s = walk(&m, root, code);
  json_decref(root);
  if (count)
    *count = m.count;
  if (s == HL_OK && m.refused)
    s = hli_fail(diag, HL_ERR_IO, "hl_cache_import: the cache %s kept only %llu records", hli_store_path(m.store),
                 (unsigned long long)m.count);
  return s;
}

/* ---- one configuration -------------------------------------------------------------------------- */

static hl_status put_config(const hli_problem *p, hl_context *ctx, const hl_config *config, hl_str measured,
                            hl_diag *diag) {
  hli_store *store;
  hli_digest key;
  hli_strbuf from;
  hl_blob *json;
  hl_status s = hli_cache_need(ctx, "hl_cache_put_config", diag, &store);
  if (s == HL_OK)
    s = hl_config_print(config, diag, &json);
  if (s != HL_OK)
    return s;
  hli_sb_init(&from, &ctx->alloc);
  const hli_provenance provenance = {.problem = p, .config = hl_blob_data(json), .measured = measured};
  hli_provenance_write(&provenance, &from);
  if (from.failed || !hli_tuning_key(p, &key))
    s = hli_fail_memory(diag, "putting a configuration");
  else if (!hli_store_put(store, HLI_STORE_TUNING, key, (hl_str){from.data, from.len}, blob_str(json)))
    s = hli_fail(diag, HL_ERR_IO, "hl_cache_put_config: the cache %s %s", hli_store_path(store),
                 hli_store_writable(store) ? "did not keep it: its log line says why" : "cannot be written");
  hli_sb_free(&from);
  hl_blob_release(json);
  return s;
}

hl_status hl_cache_put_config(hl_device *dev, const hl_kernel *k, const hl_shape_binding *shape, uint32_t n,
                              const hl_config *config, hl_str measured, hl_diag *diag) {
  hl_device_info info = {.size = sizeof info};
  if (!dev || !k || !config || (n && !shape))
    return hli_fail(diag, HL_ERR_ARG, "hl_cache_put_config: %s is NULL",
                    !dev      ? "the device"
                    : !k      ? "the kernel"
                    : !config ? "the configuration"
                              : "shape");
  if (measured.len) {
    json_t *o = json_loadb(measured.ptr, measured.len, 0, NULL);
    const bool object = json_is_object(o);
    json_decref(o);
    if (!object)
      return hli_fail(diag, HL_ERR_ARG, "hl_cache_put_config: measured is not a JSON object");
  }
  hli_problem p = {.kernel = k, .built = k, .shape = shape, .shape_count = n};
  hl_status s = hli_device_target(dev, &info, diag, &p);
  return s == HL_OK ? put_config(&p, dev->ctx, config, measured, diag) : s;
}
