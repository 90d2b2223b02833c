/* require.c: what a kernel demands of its arguments: conditions on sizes (hl_require), sizes that follow from others
 * (hl_dim_set_size) and values of specialised scalars, checked wherever they become known. */
#include "src/ir/ir.h"
#include <stdio.h>

/* "M is 5 (dimension 1 of x)"; a constant is its own name. */
static void size_words(const hl_kernel *k, hli_dim dim, int64_t size, char *out, size_t room) {
  const char *name = k->dims.data[dim].name;
  out[0] = 0;
  if (!name[0])
    return;
  for (uint32_t p = 0; p < k->params.len; p++) {
    const hli_type_data *t = hli_type_of(k, k->params.data[p].value);
    for (uint32_t d = 0; t->kind == HLI_TYPE_TENSOR && d < t->rank; d++) {
      if (t->dims[d] != dim)
        continue;
      snprintf(out, room, "%s is %lld (dimension %u of %s)", name, (long long)size, d,
               k->values.data[k->params.data[p].value].name);
      return;
    }
  }
  snprintf(out, room, "%s is %lld", name, (long long)size);
}

static void dim_words(const hl_kernel *k, hli_dim dim, char out[64]) {
  if (k->dims.data[dim].name[0])
    snprintf(out, 64, "%s", k->dims.data[dim].name);
  else
    snprintf(out, 64, "%lld", (long long)k->dims.data[dim].value);
}

hl_status hli_check_requires(const hl_kernel *k, const int64_t *sizes, hl_diag *diag) {
  for (uint32_t i = 0; i < k->requires_.len; i++) {
    const hli_require *r = &k->requires_.data[i];
    const int64_t a = sizes ? sizes[r->a] : k->dims.data[r->a].value,
                  b = sizes ? sizes[r->b] : k->dims.data[r->b].value;
    char left[64], right[64], first[160], second[160];
    if (a < 0 || b < 0 || hli_sizes_compare(r->compare, a, b))
      continue;
    dim_words(k, r->a, left);
    dim_words(k, r->b, right);
    size_words(k, r->a, a, first, sizeof first);
    size_words(k, r->b, b, second, sizeof second);
    return hli_fail(diag, HL_ERR_GUARD, "kernel %s requires %s %s %s, but %s%s%s", k->name, left,
                    hli_compare_text(r->compare), right, first, first[0] && second[0] ? " and " : "", second);
  }
  return HL_OK;
}

/* ---- sizes that follow from others ---- */

typedef struct words {
  const hl_kernel *k;
  char *out;
  size_t room;
} words;

static void put_words(void *ctx, const hli_size_term *leaf, const char *text) {
  words *w = ctx;
  char number[24];
  if (leaf && leaf->kind == HLI_SIZE_CONST) {
    snprintf(number, sizeof number, "%lld", (long long)leaf->value);
    text = number;
  } else if (leaf) {
    text = leaf->kind == HLI_SIZE_DIM ? w->k->dims.data[leaf->value].name
                                      : w->k->values.data[w->k->params.data[leaf->value].value].name;
  }
  const size_t used = strlen(w->out);
  snprintf(w->out + used, w->room - used, "%s", text);
}

static void rule_words(const hl_kernel *k, const hli_size_rule *r, char *out, size_t room) {
  words w = {k, out, room};
  out[0] = 0;
  hli_size_write(k->size_terms.data + r->first, r->count, put_words, &w);
}

bool hli_rule_words(const hl_kernel *k, hli_dim dim, char *out, size_t room) {
  for (uint32_t i = 0; i < k->size_rules.len; i++)
    if (k->size_rules.data[i].dim == dim) {
      rule_words(k, &k->size_rules.data[i], out, room);
      return true;
    }
  return false;
}

hl_status hli_follow_sizes(const hl_kernel *k, int64_t *sizes, const int64_t *scalars, uint32_t known, hl_diag *diag) {
  const hli_size_env env = {sizes, scalars, known};
  char rule[256], given[160];
  uint32_t which;
  int64_t want = 0;
  const hli_size_state s =
      hli_sizes_follow(k->size_rules.data, k->size_rules.len, k->size_terms.data, &env, sizes, &which, &want);
  if (s == HLI_SIZE_OK)
    return HL_OK;
  const hli_size_rule *r = &k->size_rules.data[which];
  rule_words(k, r, rule, sizeof rule);
  size_words(k, r->dim, sizes[r->dim], given, sizeof given);
  if (s == HLI_SIZE_DIFFERS)
    return hli_fail(diag, HL_ERR_GUARD, "kernel %s: %s, but it must be %s = %lld", k->name, given, rule,
                    (long long)want);
  return hli_fail(diag, HL_ERR_GUARD, "kernel %s: dimension %s must be %s, which %s", k->name,
                  k->dims.data[r->dim].name, rule, hli_size_trouble(s));
}

hl_status hli_fail_constant(hl_diag *diag, const hl_kernel *k, const hli_param *p, uint64_t given) {
  const hl_dtype dtype = (hl_dtype)hli_type_of(k, p->value)->dtype;
  const hli_scalar is = hli_scalar_from_bits(dtype, given), want = hli_scalar_from_bits(dtype, p->constant);
  const char *name = k->values.data[p->value].name;
  if (hli_dtype_kind(dtype) == 'f')
    return hli_fail(diag, HL_ERR_GUARD, "kernel %s: parameter %s is %.17g, the kernel was specialised for %.17g",
                    k->name, name, is.f, want.f);
  return hli_fail(diag, HL_ERR_GUARD, "kernel %s: parameter %s is %lld, the kernel was specialised for %lld", k->name,
                  name, (long long)is.i, (long long)want.i);
}
