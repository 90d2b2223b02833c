/* reshape.c: a reshaped value at loop variables: the operand at the positions with the same number in row-major order.
 *
 *   at i, a, b (vector):   %r = reshape %v : f32[$i, 8, 128]     ->     %v at i, a * 128 + b
 *   at i, j:               %r = reshape %v : f32[$i, 1024]       ->     %v at i, j / 128, j % 128
 *
 * A vector must stay inside a row of the operand; elsewhere the plan walks the dimension by scalars. */
#include "src/pass/loopnest/nest.h"

/* The last dimension of a group's side with more than one element; -1: there is none. */
static int last_dim(const ln *c, const hli_type_data *t, uint32_t begin, uint32_t end) {
  for (uint32_t d = end; d-- > begin;)
    if (hli_axis_size(c->src, t->dims[d]) != 1) return (int)d;
  return -1;
}

/* A row of the result lies inside a row of the operand. */
static int vector_dim(const ln *c, const hli_type_data *from, const hli_type_data *to, const hli_reshape *g) {
  const int s = last_dim(c, from, g->from, g->from_end), d = last_dim(c, to, g->to, g->to_end);
  if (s < 0 || d < 0 || hli_axis_size(c->src, from->dims[s]) % hli_axis_size(c->src, to->dims[d])) return -1;
  return d;
}

void ln_reshape_at(const ln *c, hli_op op, const uint8_t *at, uint8_t *inner, uint32_t *barred) {
  const hli_type_data *from = hli_type_of(c->src, hli_operand(c->src, op, 0)), *to = hli_type_of(c->src, hli_result(c->src, op, 0));
  hli_reshape g = {0};
  *barred = 0;
  while (hli_reshape_next(c->src, from, to, &g)) {
    const int v = g.changes ? vector_dim(c, from, to, &g) : -1;
    if (!g.changes) inner[g.from] = at[g.to];
    else if (v >= 0) inner[last_dim(c, from, g.from, g.from_end)] = at[v];
    for (uint32_t d = g.to; g.changes && d < g.to_end; d++)
      if ((int)d != v) *barred |= 1u << d;
  }
}

/* Lane of a variable along its axis. */
static ln_val lane_of(ln *c, uint8_t at) {
  const ln_var *var = &c->var[at];
  if (!at) return ln_i64(c, 0);
  return var->begin.v ? ln_bin(c, HLI_OP_SUB, var->index, var->begin) : var->index;
}

/* Opens variables for the operand's dimensions of a group; returns how many. */
static uint32_t open_group(ln *c, hli_op op, const hli_reshape *g, const uint8_t *at, uint8_t *inner) {
  const hli_type_data from = *hli_type_of(c->src, hli_operand(c->src, op, 0)), to = *hli_type_of(c->src, hli_result(c->src, op, 0));
  const int v = vector_dim(c, &from, &to, g), last = last_dim(c, &from, g->from, g->from_end);
  ln_val flat = ln_i64(c, 0);
  for (uint32_t d = g->to; d < g->to_end && !ln_failed(c); d++) {
    if (c->var[at[d]].lanes && at[d] && (int)d != v) ln_fail(c, HL_ERR_INTERNAL, "a reshape is walked by vectors across rows");
    flat = ln_bin(c, HLI_OP_ADD, ln_bin(c, HLI_OP_MUL, flat, ln_i64(c, hli_axis_size(c->src, to.dims[d]))), lane_of(c, at[d]));
  }
  uint32_t opened = 0;
  for (uint32_t d = g->from_end; d-- > g->from && !ln_failed(c);) {
    const int64_t size = hli_axis_size(c->src, from.dims[d]);
    const bool first = d == g->from;
    ln_var x = {.dim = ln_value_dim(c, hli_operand(c->src, op, 0), d, c->src->ops.data[op].block)};
    x.index = first ? flat : ln_bin(c, HLI_OP_REM, flat, ln_i64(c, size));
    if ((int)d == last && v >= 0 && at[v] && c->var[at[v]].lanes) {
      x.lanes = c->var[at[v]].lanes;
      x.mask = c->var[at[v]].mask;
    }
    if (!first) flat = ln_bin(c, HLI_OP_TRUNCDIV, flat, ln_i64(c, size));
    inner[d] = size == 1 ? 0 : ln_push_var(c, x);
    opened += inner[d] != 0;
  }
  return opened;
}

ln_val ln_reshape(ln *c, hli_op op, const uint8_t *at) {
  const hli_type_data from = *hli_type_of(c->src, hli_operand(c->src, op, 0)), to = *hli_type_of(c->src, hli_result(c->src, op, 0));
  uint8_t inner[HL_MAX_RANK] = {0};
  uint32_t opened = 0;
  hli_reshape g = {0};
  while (hli_reshape_next(c->src, &from, &to, &g) && !ln_failed(c)) {
    if (g.changes) opened += open_group(c, op, &g, at, inner);
    else inner[g.from] = at[g.to];
  }
  const ln_val x = ln_failed(c) ? (ln_val){0, 0} : ln_eval(c, hli_operand(c->src, op, 0), inner);
  while (opened-- > 0)
    ln_pop_var(c);
  return x;
}
