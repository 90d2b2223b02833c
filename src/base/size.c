/* size.c: sizes that follow from other sizes and from integer scalars.
 *
 * A rule says that a dimension is an expression.  Expressions are lists of terms in postfix order, plain data that
 * kernels and launch descriptors share:   T = add(N, mul(P, 2))   is   N P 2 mul add.
 * SPDX-License-Identifier: MIT */
#include "src/base/base.h"

const char *hli_size_op_text(int64_t op) {
  switch (op) {
#define HL_X(E, n)                                                                                                     \
  case HL_##E:                                                                                                         \
    return #n;
    HLI_SIZE_OP_LIST(HL_X)
#undef HL_X
  default:
    return NULL;
  }
}

bool hli_size_sound(const hli_size_term *t, uint32_t n, uint32_t dims, uint32_t params) {
  uint32_t depth = 0;
  for (uint32_t i = 0; i < n; i++) {
    const bool binary = t[i].kind == HLI_SIZE_BINARY;
    if (t[i].kind > HLI_SIZE_BINARY || (binary && (depth < 2 || !hli_size_op_text(t[i].value))))
      return false;
    if (t[i].kind == HLI_SIZE_DIM && (t[i].value < 1 || t[i].value >= dims))
      return false;
    if (t[i].kind == HLI_SIZE_SCALAR && (t[i].value < 0 || t[i].value >= params))
      return false;
    depth = binary ? depth - 1 : depth + 1;
    if (depth > HLI_SIZE_TERMS)
      return false;
  }
  return depth == 1 && n <= HLI_SIZE_TERMS;
}

/* Rounds the quotient down. */
static int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static hli_size_state combine(int64_t op, int64_t a, int64_t b, int64_t *out) {
  const bool divides = op == HL_FLOORDIV || op == HL_TRUNCDIV || op == HL_REM;
  if (divides && b == 0)
    return HLI_SIZE_BY_ZERO;
  if (divides && b == -1)
    return op == HL_REM ? (*out = 0, HLI_SIZE_OK)
                        : (__builtin_sub_overflow((int64_t)0, a, out) ? HLI_SIZE_TOO_LARGE : HLI_SIZE_OK);
  switch (op) {
  case HL_ADD:
    return __builtin_add_overflow(a, b, out) ? HLI_SIZE_TOO_LARGE : HLI_SIZE_OK;
  case HL_SUB:
    return __builtin_sub_overflow(a, b, out) ? HLI_SIZE_TOO_LARGE : HLI_SIZE_OK;
  case HL_MUL:
    return __builtin_mul_overflow(a, b, out) ? HLI_SIZE_TOO_LARGE : HLI_SIZE_OK;
  case HL_FLOORDIV:
    *out = floor_div(a, b);
    break;
  case HL_TRUNCDIV:
    *out = a / b;
    break;
  case HL_REM:
    *out = a - floor_div(a, b) * b;
    break;
  case HL_MIN:
    *out = HLI_MIN(a, b);
    break;
  default:
    *out = HLI_MAX(a, b);
    break;
  }
  return HLI_SIZE_OK;
}

hli_size_state hli_size_eval(const hli_size_term *t, uint32_t n, const hli_size_env *env, int64_t *out) {
  int64_t stack[HLI_SIZE_TERMS + 1];
  uint32_t depth = 0;
  for (uint32_t i = 0; i < n; i++) {
    hli_size_state s = HLI_SIZE_OK;
    switch (t[i].kind) {
    case HLI_SIZE_CONST:
      stack[depth++] = t[i].value;
      break;
    case HLI_SIZE_DIM:
      if (env->dims[t[i].value] < 0)
        return HLI_SIZE_UNKNOWN;
      stack[depth++] = env->dims[t[i].value];
      break;
    case HLI_SIZE_SCALAR:
      if (!(env->known >> t[i].value & 1))
        return HLI_SIZE_UNKNOWN;
      stack[depth++] = env->scalars[t[i].value];
      break;
    default:
      depth--;
      s = combine(t[i].value, stack[depth - 1], stack[depth], &stack[depth - 1]);
    }
    if (s != HLI_SIZE_OK)
      return s;
  }
  *out = stack[0];
  return *out < 0 ? HLI_SIZE_NEGATIVE : *out > (int64_t)1 << 48 ? HLI_SIZE_TOO_LARGE : HLI_SIZE_OK;
}

const char *hli_size_trouble(hli_size_state s) {
  return s == HLI_SIZE_BY_ZERO ? "divides by 0" : s == HLI_SIZE_NEGATIVE ? "is negative" : "is beyond 2^48";
}

hli_size_state hli_sizes_follow(const hli_size_rule *rules, uint32_t count, const hli_size_term *terms,
                                const hli_size_env *env, int64_t *dims, uint32_t *which, int64_t *want) {
  for (*which = 0; *which < count; ++*which) {
    const hli_size_rule *r = &rules[*which];
    const hli_size_state s = hli_size_eval(terms + r->first, r->count, env, want);
    if (s == HLI_SIZE_UNKNOWN)
      continue;
    if (s != HLI_SIZE_OK)
      return s;
    if (dims[r->dim] < 0)
      dims[r->dim] = *want;
    else if (dims[r->dim] != *want)
      return HLI_SIZE_DIFFERS;
  }
  return HLI_SIZE_OK;
}

/* Writes the expression that ends with terms[end - 1]; returns where it begins. */
static uint32_t begin_of(const hli_size_term *t, uint32_t end) {
  uint32_t need = 1;
  while (end > 0 && need > 0)
    need = t[--end].kind == HLI_SIZE_BINARY ? need + 1 : need - 1;
  return end;
}

static void write_at(const hli_size_term *t, uint32_t end, hli_size_put put, void *ctx) {
  const hli_size_term *last = &t[end - 1];
  if (last->kind != HLI_SIZE_BINARY) {
    put(ctx, last, NULL);
    return;
  }
  const char *op = hli_size_op_text(last->value);
  put(ctx, NULL, op ? op : "?");
  put(ctx, NULL, "(");
  write_at(t, begin_of(t, end - 1), put, ctx);
  put(ctx, NULL, ", ");
  write_at(t, end - 1, put, ctx);
  put(ctx, NULL, ")");
}

void hli_size_write(const hli_size_term *t, uint32_t n, hli_size_put put, void *ctx) {
  if (n)
    write_at(t, n, put, ctx);
}
