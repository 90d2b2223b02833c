/* require.c: what a kernel demands of its arguments: conditions on sizes (hl_require) and values of
 * specialised scalars, checked wherever they become known. */
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
