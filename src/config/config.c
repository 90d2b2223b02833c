/* config.c: configurations as data: creation from a space, JSON in and out with exact errors. */
#include "src/config/json.h"
#include "src/config/space.h"
#include <jansson.h>

/* ---- values ---- */

int64_t hli_config_value(const hl_config *c, hli_knob knob, uint32_t instance, int64_t otherwise) {
  for (uint32_t i = 0; c && i < c->entries.len; i++)
    if (c->entries.data[i].knob == knob && c->entries.data[i].instance == instance)
      return c->entries.data[i].value;
  return otherwise;
}

hl_config *hli_config_from_space(const hli_space *s, const hl_allocator *alloc) {
  hl_config *c = hli_calloc(alloc, 1, sizeof *c);
  if (!c)
    return NULL;
  c->alloc = alloc;
  for (uint32_t i = 0; i < s->entries.len; i++) {
    const hli_space_entry *e = &s->entries.data[i];
    hli_config_entry made = {e->knob, e->instance, e->preferred, "", false};
    if (e->tunable) {
      memcpy(made.name, e->tunable->name, sizeof made.name);
      made.truth = e->tunable->kind == HLI_TUNABLE_BOOL;
    }
    if (hli_vec_push(alloc, &c->entries, made))
      continue;
    hl_config_destroy(c);
    return NULL;
  }
  return c;
}

bool hli_config_set(hl_config *c, hli_knob knob, uint32_t instance, int64_t value) {
  for (uint32_t i = 0; i < c->entries.len; i++)
    if (c->entries.data[i].knob == knob && c->entries.data[i].instance == instance) {
      c->entries.data[i].value = value;
      return true;
    }
  return false;
}

hl_config *hli_config_clone(const hl_config *c) {
  hl_config *n = hli_calloc(c->alloc, 1, sizeof *n);
  if (!n)
    return NULL;
  n->alloc = c->alloc;
  for (uint32_t i = 0; i < c->entries.len; i++) {
    if (hli_vec_push(n->alloc, &n->entries, c->entries.data[i]))
      continue;
    hl_config_destroy(n);
    return NULL;
  }
  return n;
}

void hl_config_destroy(hl_config *c) {
  if (!c)
    return;
  hli_vec_free(c->alloc, &c->entries);
  hli_release(c->alloc, c, sizeof *c);
}

/* ---- JSON out ---- */

static void print_entry(hli_strbuf *sb, const hli_config_entry *e) {
  if (e->name[0])
    hli_sb_printf(sb, "\"%s\":", e->name);
  if (e->truth)
    hli_sb_puts(sb, e->value ? "true" : "false");
  else
    hli_sb_printf(sb, "%lld", (long long)e->value);
}

/* The canonical text: knobs in the order of knobs.def, instances ascending. */
hl_status hl_config_print(const hl_config *c, hl_diag *diag, hl_blob **out) {
  hli_strbuf sb;
  if (out)
    *out = NULL;
  if (!c || !out)
    return hli_fail(diag, HL_ERR_ARG, "hl_config_print: wants a configuration and an out parameter");
  hli_sb_init(&sb, c->alloc);
  hli_sb_puts(&sb, "{");
  for (uint32_t knob = 0; knob < HLI_KNOB_COUNT; knob++) {
    const hli_knob_info *info = hli_knob_facts((hli_knob)knob);
    const bool named = knob == HLI_KNOB_TUNABLES;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->entries.len; i++) {
      if (c->entries.data[i].knob != knob)
        continue;
      if (n == 0)
        hli_sb_printf(&sb, "%s\"%s\":%s", sb.len > 1 ? "," : "", info->text,
                      named                ? "{"
                      : info->per_instance ? "["
                                           : "");
      hli_sb_puts(&sb, n++ ? "," : "");
      print_entry(&sb, &c->entries.data[i]);
    }
    if (n && info->per_instance)
      hli_sb_puts(&sb, named ? "}" : "]");
  }
  hli_sb_puts(&sb, "}");
  *out = hli_sb_to_blob(&sb);
  return *out ? HL_OK : hli_fail_memory(diag, "printing a configuration");
}

static void print_values(hli_strbuf *sb, const hli_space_entry *e) {
  hli_sb_puts(sb, "[");
  for (uint32_t i = 0; i < e->value_count; i++)
    hli_sb_printf(sb, "%s%lld", i ? "," : "", (long long)e->values[i]);
  hli_sb_puts(sb, "]");
}

hl_blob *hli_space_to_json(const hli_space *s, const hl_config *defaults) {
  hli_strbuf sb;
  hli_sb_init(&sb, s->arena.alloc);
  hli_sb_puts(&sb, "[");
  for (uint32_t i = 0; i < s->entries.len; i++) {
    const hli_space_entry *e = &s->entries.data[i];
    hli_sb_printf(&sb, "%s\n {\"knob\":\"%s\",\"instance\":%u,", i ? "," : "", hli_knob_facts(e->knob)->text,
                  e->instance);
    if (e->tunable)
      hli_sb_printf(&sb, "\"name\":\"%s\",", e->tunable->name);
    hli_sb_printf(&sb, "\"owner\":\"%s\",\"values\":", hli_knob_facts(e->knob)->owner);
    print_values(&sb, e);
    hli_sb_printf(&sb, ",\"default\":%lld}", (long long)hli_config_value(defaults, e->knob, e->instance, e->preferred));
  }
  hli_sb_puts(&sb, "\n]\n");
  return hli_sb_to_blob(&sb);
}

/* ---- JSON in ---- */

static hl_status illegal(const hli_space_entry *e, int64_t value, hl_diag *diag) {
  hli_strbuf sb;
  hli_sb_init(&sb, NULL);
  print_values(&sb, e);
  char which[64] = "";
  if (e->tunable)
    snprintf(which, sizeof which, ".%s", e->tunable->name);
  else if (hli_knob_facts(e->knob)->per_instance)
    snprintf(which, sizeof which, "[%u]", e->instance);
  hl_status s = hli_fail(diag, HL_ERR_CONFIG, "configuration: %s%s cannot be %lld; legal values are %s",
                         hli_knob_facts(e->knob)->text, which, (long long)value, sb.failed ? "?" : sb.data);
  hli_sb_free(&sb);
  return s;
}

static hl_status set_one(const hli_space *s, hl_config *c, hli_knob knob, uint32_t instance, const json_t *v,
                         hl_diag *diag) {
  const hli_space_entry *e = hli_space_find(s, knob, instance);
  if (!json_is_integer(v))
    return hli_fail(diag, HL_ERR_CONFIG, "configuration: %s must be made of integers", hli_knob_facts(knob)->text);
  const int64_t value = (int64_t)json_integer_value(v);
  if (!hli_space_allows(e, value))
    return illegal(e, value, diag);
  hli_config_set(c, knob, instance, value);
  return HL_OK;
}

/* {"split":8,"fast":true} */
static hl_status set_tunables(const hli_space *s, hl_config *c, const json_t *object, hl_diag *diag) {
  const char *key;
  json_t *v;
  if (!json_is_object(object))
    return hli_fail(diag, HL_ERR_CONFIG, "configuration: tunables must be an object, such as {\"%s\":%lld}",
                    hli_space_find(s, HLI_KNOB_TUNABLES, 0)->tunable->name,
                    (long long)hli_space_find(s, HLI_KNOB_TUNABLES, 0)->preferred);
  json_object_foreach((json_t *)(uintptr_t)object, key, v) {
    const hli_space_entry *e;
    char list[HLI_TUNABLES * (HLI_TUNABLE_NAME + 2)] = "";
    uint32_t i = 0;
    while ((e = hli_space_find(s, HLI_KNOB_TUNABLES, i)) && strcmp(e->tunable->name, key) != 0)
      snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i++ ? ", " : "", e->tunable->name);
    if (!e)
      return hli_fail(diag, HL_ERR_CONFIG, "configuration: the kernel has no tunable '%.64s'; it has %s", key, list);
    if (e->tunable->kind == HLI_TUNABLE_BOOL && json_is_boolean(v)) {
      hli_config_set(c, HLI_KNOB_TUNABLES, i, json_is_true(v));
      continue;
    }
    if (!json_is_integer(v))
      return hli_fail(diag, HL_ERR_CONFIG, "configuration: tunables.%s must be %s", key,
                      e->tunable->kind == HLI_TUNABLE_BOOL ? "true or false" : "an integer");
    if (!hli_space_allows(e, (int64_t)json_integer_value(v)))
      return illegal(e, (int64_t)json_integer_value(v), diag);
    hli_config_set(c, HLI_KNOB_TUNABLES, i, (int64_t)json_integer_value(v));
  }
  return HL_OK;
}

static uint32_t instances(const hli_space *s, hli_knob knob) {
  uint32_t n = 0;
  while (hli_space_find(s, knob, n))
    n++;
  return n;
}

static hl_status set_knob(const hli_space *s, hl_config *c, const hl_target *target, const char *key, const json_t *v,
                          hl_diag *diag) {
  hli_knob knob = 0;
  while (knob < HLI_KNOB_COUNT && strcmp(hli_knob_facts(knob)->text, key) != 0)
    knob++;
  if (knob == HLI_KNOB_COUNT) {
    char list[512] = "";
    for (uint32_t i = 0; i < HLI_KNOB_COUNT; i++)
      snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "",
               hli_knob_facts((hli_knob)i)->text);
    return hli_fail(diag, HL_ERR_CONFIG, "configuration: there is no knob '%s'; knobs are %s", key, list);
  }
  const uint32_t n = instances(s, knob);
  if (n == 0 || !(hli_knob_facts(knob)->families & (1u << target->family)))
    return HL_OK; /* not of this kernel or target: ignored */
  if (knob == HLI_KNOB_TUNABLES)
    return set_tunables(s, c, v, diag);
  if (!hli_knob_facts(knob)->per_instance)
    return set_one(s, c, knob, 0, v, diag);
  if (!json_is_array(v) || json_array_size(v) != n)
    return hli_fail(diag, HL_ERR_CONFIG, "configuration: %s must be an array of %u integer%s for this kernel", key, n,
                    n > 1 ? "s" : "");
  for (uint32_t i = 0; i < n; i++) {
    hl_status st = set_one(s, c, knob, i, json_array_get(v, i), diag);
    if (st != HL_OK)
      return st;
  }
  return HL_OK;
}

hl_status hli_config_read(const hli_space *s, hl_config *c, const hl_target *target, hl_str json, bool tunables,
                          hl_diag *diag) {
  json_error_t e;
  json_t *root = json_loadb(json.ptr ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, &e);
  if (!root)
    return hli_fail_at(diag, HL_ERR_CONFIG, "", (uint32_t)HLI_MAX(e.line, 0), (uint32_t)HLI_MAX(e.column, 0),
                       "configuration: line %d, column %d: %s", e.line, e.column, e.text);
  hl_status st =
      json_is_object(root) ? HL_OK : hli_fail(diag, HL_ERR_CONFIG, "configuration: wants a JSON object of knobs");
  const char *key;
  json_t *v;
  if (st == HL_OK)
    json_object_foreach(root, key, v) {
      if (tunables != !strcmp(key, hli_knob_facts(HLI_KNOB_TUNABLES)->text))
        continue;
      if ((st = set_knob(s, c, target, key, v, diag)) != HL_OK)
        break;
    }
  json_decref(root);
  return st;
}
