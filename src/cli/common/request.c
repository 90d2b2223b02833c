/* request.c: from words of the command line to kernels, shapes, targets and configurations. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/common/request.h"
#include "src/cli/common/words.h"

/* ---- kernels ---- */

const hl_example *cli_example_find(const char *who, const char *name) {
  const hl_example *e = hl_example_find(name);
  const char *names[256];
  if (e)
    return e;
  for (uint32_t i = 0; i < hl_example_count && i < 256; i++)
    names[i] = hl_examples[i]->name;
  const char *near = cli_nearest(name, names, hl_example_count);
  if (near)
    cli_misuse(who, "there is no kernel '%s'; did you mean '%s'?", name, near);
  else
    cli_misuse(who, "there is no kernel '%s': `hl list` names them, and a file's name ends in .hl", name);
  return NULL;
}

int cli_dtype_parse(const char *who, const char *text, hl_dtype *out) {
  const char *names[HL_DTYPE_COUNT];
  *out = hl_dtype_parse((hl_str){text, strlen(text)});
  if (*out != HL_DTYPE_NONE)
    return 0;
  for (int d = 1; d < HL_DTYPE_COUNT; d++)
    names[d - 1] = hl_dtype_text((hl_dtype)d);
  const char *near = cli_nearest(text, names, HL_DTYPE_COUNT - 1);
  return near ? cli_misuse(who, "there is no dtype '%s'; did you mean '%s'?", text, near)
              : cli_misuse(who, "there is no dtype '%s'; there are bool, i8 ... i64, u8 ... u64, f16, bf16, f32, f64",
                           text);
}

bool cli_example_has(const hl_example *e, hl_dtype dtype) {
  for (const hl_dtype *d = e->dtypes; *d != HL_DTYPE_NONE; d++)
    if (*d == dtype)
      return true;
  return false;
}

static int open_example(const char *who, hl_context *ctx, const char *name, hl_dtype dtype, cli_kernel *out) {
  hl_diag diag = {0};
  out->example = cli_example_find(who, name);
  if (!out->example)
    return CLI_MISUSE;
  out->dtype = dtype == HL_DTYPE_NONE ? out->example->dtypes[0] : dtype;
  if (!cli_example_has(out->example, out->dtype)) {
    char list[160] = "";
    for (const hl_dtype *d = out->example->dtypes; *d != HL_DTYPE_NONE; d++) {
      const size_t used = strlen(list);
      snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", hl_dtype_text(*d));
    }
    return cli_misuse(who, "%s is not written for %s; it is for %s", name, hl_dtype_text(out->dtype), list);
  }
  const hl_status s = out->example->build(ctx, out->dtype, &diag, &out->kernel);
  return s == HL_OK ? 0 : cli_report(who, s, &diag);
}

static int open_file(const char *who, hl_context *ctx, const char *path, hl_dtype dtype, cli_kernel *out) {
  hl_diag diag = {0};
  size_t length;
  if (dtype != HL_DTYPE_NONE)
    return cli_misuse(who, "--dtype is for kernels of the ladder; %s says its dtypes itself", path);
  char *text = cli_read_file(who, path, &length);
  if (!text)
    return CLI_FAILED;
  const hl_status s = hl_kernel_parse(ctx, (hl_str){text, length}, path, &diag, &out->kernel);
  free(text);
  return s == HL_OK ? 0 : cli_report(who, s, &diag);
}

int cli_kernel_open(const char *who, hl_context *ctx, const char *what, hl_dtype dtype, cli_kernel *out) {
  const size_t n = strlen(what);
  const bool file = (n > 3 && strcmp(what + n - 3, ".hl") == 0) || strchr(what, '/') || strcmp(what, "-") == 0;
  *out = (cli_kernel){0};
  return file ? open_file(who, ctx, what, dtype, out) : open_example(who, ctx, what, dtype, out);
}

void cli_kernel_close(cli_kernel *k) {
  hl_kernel_destroy(k->kernel);
  *k = (cli_kernel){0};
}

/* ---- shapes ---- */

void cli_shape_set(cli_shape *s, const char *dim, size_t length, int64_t size) {
  uint32_t i = 0;
  while (i < s->count && (strlen(s->name[i]) != length || memcmp(s->name[i], dim, length) != 0))
    i++;
  if (i == CLI_MAX_DIMS || length >= sizeof s->name[0])
    return;
  memcpy(s->name[i], dim, length);
  s->name[i][length] = 0;
  s->bind[i] = (hl_shape_binding){s->name[i], size};
  if (i == s->count)
    s->count++;
}

int64_t cli_shape_get(const cli_shape *s, const char *dim) {
  for (uint32_t i = 0; i < s->count; i++)
    if (strcmp(s->name[i], dim) == 0)
      return s->bind[i].size;
  return -1;
}

int cli_shape_parse(const char *who, const char *text, cli_shape *out) {
  for (const char *p = text; *p;) {
    const char *equal = p + strcspn(p, "=,");
    char *end;
    errno = 0;
    const long long size = *equal == '=' ? strtoll(equal + 1, &end, 10) : 0;
    if (*equal != '=' || equal == p || end == equal + 1 || errno || size < 0 || (*end && *end != ','))
      return cli_misuse(who, "--shape '%s': wants sizes like M=1024,N=65, each 0 or more", text);
    if (out->count == CLI_MAX_DIMS || equal - p > 63)
      return cli_misuse(who, "--shape '%s': too many or too long names", text);
    cli_shape_set(out, p, (size_t)(equal - p), size);
    p = *end ? end + 1 : end;
  }
  return 0;
}

static const char *known_dim(const cli_shape *all, const char *name) {
  const char *names[CLI_MAX_DIMS];
  for (uint32_t i = 0; i < all->count; i++)
    names[i] = all->name[i];
  return cli_nearest(name, names, all->count);
}

/* Dimension d of a parameter: its name's size goes into `out`, -1 if nobody says it. */
static void add_dim(const cli_kernel *k, const hl_param_info *p, uint32_t d, const cli_shape *given,
                    const int64_t *usual, cli_shape *out) {
  char name[64];
  if (!p->dim_name[d].len || p->dim_name[d].len >= sizeof name)
    return;
  memcpy(name, p->dim_name[d].ptr, p->dim_name[d].len);
  name[p->dim_name[d].len] = 0;
  int64_t size = cli_shape_get(given, name);
  if (size < 0 && usual && k->example)
    for (int i = 0; i < HL_EXAMPLE_DIMS && k->example->dims[i]; i++)
      if (strcmp(k->example->dims[i], name) == 0)
        size = usual[i];
  if (size < 0 && p->dim_value[d] >= 0)
    size = p->dim_value[d];
  if (size < 0 && p->dim_example[d] > 0)
    size = p->dim_example[d];
  cli_shape_set(out, name, strlen(name), size);
}

int cli_shape_complete(const char *who, const cli_kernel *k, const cli_shape *given, const int64_t *usual,
                       cli_shape *out) {
  *out = (cli_shape){0};
  for (uint32_t i = 0; i < hl_kernel_param_count(k->kernel); i++) {
    hl_param_info p = {.size = sizeof p};
    if (hl_kernel_param(k->kernel, i, &p) != HL_OK || !p.is_tensor)
      continue;
    for (uint32_t d = 0; d < p.rank; d++)
      add_dim(k, &p, d, given, usual, out);
  }
  const hl_str name = hl_kernel_name(k->kernel);
  for (uint32_t i = 0; i < given->count; i++) {
    if (cli_shape_get(out, given->name[i]) >= 0)
      continue;
    const char *near = known_dim(out, given->name[i]);
    char *all = cli_shape_text(out);
    const int code = near ? cli_misuse(who, "kernel %.*s has no dimension '%s'; did you mean '%s'?", (int)name.len,
                                       name.ptr, given->name[i], near)
                          : cli_misuse(who, "kernel %.*s has no dimension '%s'; it has %s", (int)name.len, name.ptr,
                                       given->name[i], all);
    free(all);
    return code;
  }
  for (uint32_t i = 0; i < out->count; i++)
    if (out->bind[i].size < 0)
      return cli_misuse(who, "kernel %.*s: how large is %s? give --shape %s=SIZE", (int)name.len, name.ptr,
                        out->name[i], out->name[i]);
  return 0;
}

void cli_shape_of_example(const hl_example *e, const int64_t *size, cli_shape *out) {
  *out = (cli_shape){0};
  for (int i = 0; i < HL_EXAMPLE_DIMS && e->dims[i]; i++)
    cli_shape_set(out, e->dims[i], strlen(e->dims[i]), size[i]);
}

void cli_shape_sizes(const hl_example *e, const cli_shape *s, int64_t *size) {
  for (int i = 0; i < HL_EXAMPLE_DIMS; i++)
    size[i] = e->dims[i] ? cli_shape_get(s, e->dims[i]) : 0;
}

char *cli_shape_text(const cli_shape *s) {
  char text[CLI_MAX_DIMS * 96] = "";
  size_t used = 0;
  for (uint32_t i = 0; i < s->count; i++)
    used += (size_t)snprintf(text + used, sizeof text - used, s->bind[i].size < 0 ? "%s%s" : "%s%s=%lld", i ? " " : "",
                             s->name[i], (long long)s->bind[i].size);
  return cli_copy(text, used);
}

/* ---- targets and configurations ---- */

int cli_device_check(const char *who, const char *name, bool interp) {
  static const char *const kinds[] = {"cpu", "cuda", "null", "interp"};
  const size_t count = interp ? 4 : 3, n = strcspn(name, ":");
  const char *number = name[n] ? name + n + 1 : "0";
  if (!strncmp(name, "hip", 3))
    return cli_fail(who, "device '%s': AMD GPUs (HIP) are not built in yet", name);
  for (size_t i = 0; i < count; i++)
    if (strlen(kinds[i]) == n && !strncmp(kinds[i], name, n) && number[0] &&
        strspn(number, "0123456789") == strlen(number))
      return 0;
  const char *near = cli_nearest(name, kinds, count);
  return near ? cli_misuse(who, "there is no device '%s'; did you mean '%s'?", name, near)
              : cli_misuse(who, "there is no device '%s'; there are cpu, cuda, cuda:1 ..., null%s", name,
                           interp ? " and interp" : "");
}

int cli_target_parse(const char *who, const char *text, const hl_target **out) {
  hl_diag diag = {0};
  const char *names[64];
  size_t n = 0;
  if (!strncmp(text, "hip", 3) || !strncmp(text, "amdgpu", 6) || !strncmp(text, "gfx", 3))
    return cli_fail(
        who, "target '%s': AMD GPUs (HIP) are not built in yet; there are host, x86-64-v3, x86-64-v4 and nvptx:*",
        text);
  if (hl_target_find((hl_str){text, strlen(text)}, &diag, out) == HL_OK)
    return 0;
  for (const hl_target *t; n < 64 && (t = hl_target_at((uint32_t)n)); n++)
    names[n] = hl_target_name(t).ptr;
  const char *near = cli_nearest(text, names, n);
  return near ? cli_misuse(who, "%s; did you mean '%s'?", diag.message, near) : cli_misuse(who, "%s", diag.message);
}

static hl_status config_words(hl_diag *diag, hl_status s, const char *format, const char *text) {
  diag->status = s;
  diag->file[0] = 0;
  snprintf(diag->message, sizeof diag->message, format, text);
  return s;
}

hl_status cli_config_make(const char *text, const hl_kernel *k, const cli_shape *s, const hl_target *target,
                          hl_diag *diag, hl_config **out) {
  static const char random_word[] = "random:";
  *out = NULL;
  if (!text || strcmp(text, "default") == 0)
    return hl_config_default(k, s->bind, s->count, target, diag, out);
  if (!strncmp(text, random_word, sizeof random_word - 1)) {
    char *end;
    const char *digits = text + sizeof random_word - 1;
    const unsigned long long seed = strtoull(digits, &end, 10);
    if (end == digits || *end)
      return config_words(diag, HL_ERR_CONFIG, "--config %s: wants random:SEED, SEED being a number", text);
    return hl_config_random(k, s->bind, s->count, target, seed, diag, out);
  }
  if (text[0] == '@') {
    size_t length;
    char *json = cli_read_file("--config", text + 1, &length);
    if (!json)
      return config_words(diag, HL_ERR_IO, "--config %s: the file could not be read", text);
    const hl_status st = hl_config_parse(k, s->bind, s->count, target, (hl_str){json, length}, diag, out);
    free(json);
    return st;
  }
  if (text[0] != '{')
    return config_words(diag, HL_ERR_CONFIG, "--config %s: wants default, random:SEED, a JSON object or @FILE", text);
  return hl_config_parse(k, s->bind, s->count, target, (hl_str){text, strlen(text)}, diag, out);
}

int cli_config_open(const char *who, const char *text, const hl_kernel *k, const cli_shape *s, const hl_target *target,
                    hl_config **out) {
  hl_diag diag = {0};
  const hl_status st = cli_config_make(text, k, s, target, &diag, out);
  if (st == HL_OK)
    return 0;
  return st == HL_ERR_CONFIG && text ? cli_misuse(who, "%s", diag.message) : cli_report(who, st, &diag);
}

char *cli_config_text(const hl_config *c) {
  hl_blob *blob = NULL;
  if (!c || hl_config_print(c, NULL, &blob) != HL_OK)
    return cli_copy("", 0);
  char *text = cli_copy(hl_blob_data(blob), hl_blob_size(blob));
  hl_blob_release(blob);
  return text;
}

hl_status cli_device_target(hl_device *dev, hl_diag *diag, const hl_target **out) {
  hl_device_info info = {.size = sizeof info};
  hl_status s = hl_device_get_info(dev, &info);
  if (s != HL_OK)
    return s;
  const char *name = strcmp(info.target, "null") == 0 ? "host" : info.target; /* nothing runs there */
  return hl_target_find((hl_str){name, strlen(name)}, diag, out);
}
