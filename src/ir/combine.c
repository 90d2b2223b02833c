/* combine.c: the region of a fold or scan on whole values: scalars of the region become tile values or vectors of
 * one shape, constants and what comes from outside are spread over it.
 *
 *   (%a : f32, %b : f32) { %c = max %a, %b; yield %c }   on   %x, %y : f32[16]   ->   %c = max %x, %y : f32[16] */
#include "src/ir/ir.h"

typedef struct combiner {
  hli_cursor *c;
  const hl_kernel *src;
  hli_type shape; /* of the first argument: any dtype */
  hli_value *map; /* by value of src */
  hli_outside_fn outside;
  void *ctx;
} combiner;

/* A region value, or one from outside, spread over the shape. */
static hli_value get(combiner *w, hli_value v) {
  if (w->map[v])
    return w->map[v];
  hl_kernel *k = w->c->k;
  hli_value x = w->outside ? w->outside(w->ctx, v) : v;
  if (!x || hli_type_of(k, x)->rank)
    return w->map[v] = x;
  return w->map[v] = hli_make_splat(w->c, x, hli_type_with_dtype(k, w->shape, hli_dtype_of(k, x)));
}

static hli_value constant(combiner *w, hli_op op) {
  const hl_dtype d = hli_dtype_of(w->src, hli_result(w->src, op, 0));
  const hli_value x = hli_make_const(w->c, d, (uint64_t)hli_attr(w->src, op, 0, 0));
  return hli_make_splat(w->c, x, hli_type_with_dtype(w->c->k, w->shape, d));
}

static hli_value build_op(combiner *w, hli_op op) {
  const hli_opcode code = (hli_opcode)w->src->ops.data[op].code;
  hli_value a[3] = {0};
  if (code == HLI_OP_CONST)
    return constant(w, op);
  const uint32_t n = hli_operand_count(w->src, op);
  for (uint32_t i = 0; i < n && i < 3; i++)
    if (!(a[i] = get(w, hli_operand(w->src, op, i))))
      return 0;
  switch (code) {
  case HLI_OP_CAST:
    return hli_make_cast(w->c, a[0], hli_dtype_of(w->src, hli_result(w->src, op, 0)));
  case HLI_OP_WHERE:
    return hli_make_where(w->c, a[0], a[1], a[2]);
  case HLI_OP_FMA:
    return hli_make_fma(w->c, a[0], a[1], a[2]);
  default:
    return n == 2 ? hli_make_binary(w->c, code, a[0], a[1]) : hli_make_unary(w->c, code, a[0]);
  }
}

bool hli_combine_build(hli_cursor *c, const hl_kernel *src, hli_op op, const hli_value *args, hli_outside_fn outside,
                       void *ctx, hli_value *out) {
  const hli_block region = src->ops.data[op].region;
  const uint32_t n = hli_fold_parts(src, op), values = src->values.len;
  hli_value result[HLI_FOLD_PARTS] = {0}; /* out may be args */
  combiner w = {.c = c, .src = src, .outside = outside, .ctx = ctx};
  w.shape = c->k->values.data[args[0]].type;
  w.map = hli_calloc(c->k->alloc, values, sizeof *w.map);
  if (!w.map) {
    c->k->failed = true;
    return false;
  }
  bool ok = true;
  for (uint32_t i = 0; i < 2 * n; i++)
    w.map[hli_block_arg(src, region, i)] = args[i];
  for (hli_op o = hli_first(src, region); o && ok; o = hli_next(src, o)) {
    if (src->ops.data[o].code == HLI_OP_YIELD) {
      for (uint32_t i = 0; i < n && ok; i++)
        ok = (result[i] = get(&w, hli_operand(src, o, i))) != 0;
    } else {
      ok = (w.map[hli_result(src, o, 0)] = build_op(&w, o)) != 0;
    }
  }
  hli_release(c->k->alloc, w.map, values * sizeof *w.map);
  memcpy(out, result, n * sizeof *out);
  return ok;
}
