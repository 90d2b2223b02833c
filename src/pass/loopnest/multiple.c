/* multiple.c: what an index is known to be a multiple of.  Alignment of vectors and the absence of
 * partial ones follow from it. */
#include "src/pass/loopnest.h"

#define DEPTH 12 /* of the operand chain looked at */

static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t r = a % b;
    a = b;
    b = r;
  }
  return a < 0 ? -a : a;
}

static int64_t multiple_at(const hl_kernel *k, hli_value v, int depth);

static int64_t of_size(const hl_kernel *k, hli_op op) {
  const hli_type_data *t = hli_type_of(k, hli_operand(k, op, 0));
  const hli_dim_data *d = &k->dims.data[t->dims[hli_attr(k, op, 0, 0)]];
  return d->value >= 0 ? d->value : HLI_MAX(d->multiple, 1);
}

/* a * b without overflow; anything that large is reported as its first factor. */
static int64_t product(int64_t a, int64_t b) {
  const int64_t limit = (int64_t)1 << 40;
  return a > limit || b > limit || a < -limit || b < -limit || (b && a > limit / HLI_MAX(b, 1)) ? a : a * b;
}

static int64_t of_op(const hl_kernel *k, hli_op op, int depth) {
  hli_value a = hli_operand_count(k, op) > 0 ? hli_operand(k, op, 0) : 0;
  hli_value b = hli_operand_count(k, op) > 1 ? hli_operand(k, op, 1) : 0;
  switch (k->ops.data[op].code) {
  case HLI_OP_CONST: return gcd(hli_attr(k, op, 0, 0), 0);
  case HLI_OP_SIZE: return of_size(k, op);
  case HLI_OP_ADD:
  case HLI_OP_SUB:
  case HLI_OP_MIN:
  case HLI_OP_MAX: return gcd(multiple_at(k, a, depth), multiple_at(k, b, depth));
  case HLI_OP_WHERE: return gcd(multiple_at(k, b, depth), multiple_at(k, hli_operand(k, op, 2), depth));
  case HLI_OP_MUL: return product(multiple_at(k, a, depth), multiple_at(k, b, depth));
  case HLI_OP_AND: /* x & -2^n */
    if (k->ops.data[k->values.data[b].def].code == HLI_OP_CONST) {
      int64_t mask = hli_attr(k, k->values.data[b].def, 0, 0);
      return mask ? mask & -mask : 0;
    }
    return 1;
  default: return 1;
  }
}

static int64_t multiple_at(const hl_kernel *k, hli_value v, int depth) {
  const hli_value_data *d = &k->values.data[v];
  if (depth == 0) return 1;
  if (d->def) return of_op(k, d->def, depth - 1);
  hli_op loop = d->owner ? k->blocks.data[d->owner].parent : 0;
  if (loop && k->ops.data[loop].code == HLI_OP_FOR && d->index == 0) /* begin + n * step */
    return gcd(multiple_at(k, hli_operand(k, loop, 0), depth - 1), multiple_at(k, hli_operand(k, loop, 2), depth - 1));
  return 1;
}

int64_t hli_multiple_of(const hl_kernel *k, hli_value v) {
  const hli_type_data *t = hli_type_of(k, v);
  return t->kind == HLI_TYPE_VALUE && t->rank == 0 && t->dtype == HL_I64 ? multiple_at(k, v, DEPTH) : 1;
}

int64_t hli_buffer_bytes(const hl_kernel *k, hli_type buffer) {
  const hli_type_data *t = hli_type_get(k, buffer);
  int64_t n = hl_dtype_size((hl_dtype)t->dtype);
  for (uint32_t d = 0; d < t->rank; d++)
    n *= hli_axis_lanes(k, t->dims[d]);
  return (n + 63) / 64 * 64;
}
