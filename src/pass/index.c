/* index.c: intervals and steps of integer tiles, read off the few ops that indices are made of.
 *
 *   %i = range %c0, %c128 {axis = $H}        low    high   step along $H
 *   %p = tile_index %i                       0      127    1
 *   %q = add (mul %p, 2), 256                256    510    2 */
#include "src/pass/index.h"

#define DEPTH 24

/* ---- intervals ---- */

static int64_t clamp(__int128 x) {
  return x < -HLI_UNBOUNDED ? -HLI_UNBOUNDED : x > HLI_UNBOUNDED ? HLI_UNBOUNDED : (int64_t)x;
}

static const hli_interval anything = {-HLI_UNBOUNDED, HLI_UNBOUNDED};

static hli_interval interval(const hl_kernel *k, hli_value v, uint32_t depth);

static hli_interval of_dtype(hl_dtype dtype) {
  const char kind = hli_dtype_kind(dtype);
  const uint32_t bits = 8 * hl_dtype_size(dtype);
  if (kind == 'b')
    return (hli_interval){0, 1};
  if (kind == 'u')
    return (hli_interval){0, bits > 32 ? HLI_UNBOUNDED : ((int64_t)1 << bits) - 1};
  if (kind == 'i' && bits <= 32)
    return (hli_interval){-((int64_t)1 << (bits - 1)), ((int64_t)1 << (bits - 1)) - 1};
  return anything;
}

/* Valid lanes of a tile: from its begin to the last one before its end. */
static hli_interval of_tile(const hl_kernel *k, hli_value tile, uint32_t depth) {
  const hli_op range = k->values.data[tile].def;
  if (!range || k->ops.data[range].code != HLI_OP_RANGE)
    return anything;
  const hli_interval begin = interval(k, hli_operand(k, range, 0), depth),
                     end = interval(k, hli_operand(k, range, 1), depth);
  return (hli_interval){begin.low, end.high == HLI_UNBOUNDED ? end.high : end.high - 1};
}

static hli_interval of_product(hli_interval a, hli_interval b) {
  const __int128 p[4] = {(__int128)a.low * b.low, (__int128)a.low * b.high, (__int128)a.high * b.low,
                         (__int128)a.high * b.high};
  __int128 low = p[0], high = p[0];
  for (uint32_t i = 1; i < 4; i++) {
    low = p[i] < low ? p[i] : low;
    high = p[i] > high ? p[i] : high;
  }
  return (hli_interval){clamp(low), clamp(high)};
}

static hli_interval of_binary(hli_opcode code, hli_interval a, hli_interval b) {
  switch (code) {
  case HLI_OP_ADD:
    return (hli_interval){clamp((__int128)a.low + b.low), clamp((__int128)a.high + b.high)};
  case HLI_OP_SUB:
    return (hli_interval){clamp((__int128)a.low - b.high), clamp((__int128)a.high - b.low)};
  case HLI_OP_MUL:
    return of_product(a, b);
  case HLI_OP_MIN:
    return (hli_interval){HLI_MIN(a.low, b.low), HLI_MIN(a.high, b.high)};
  case HLI_OP_MAX:
    return (hli_interval){HLI_MAX(a.low, b.low), HLI_MAX(a.high, b.high)};
  case HLI_OP_REM: /* has the sign of the divisor */
    return b.low > 0 && b.high < HLI_UNBOUNDED ? (hli_interval){0, b.high - 1} : anything;
  case HLI_OP_FLOORDIV:
  case HLI_OP_TRUNCDIV:
    return b.low > 0 && a.low >= 0 ? (hli_interval){0, a.high} : anything;
  default:
    return anything;
  }
}

/* The induction variable of a loop; other arguments may be anything. */
static hli_interval of_argument(const hl_kernel *k, hli_value v, uint32_t depth) {
  const hli_value_data *x = &k->values.data[v];
  const hli_op loop = x->owner ? k->blocks.data[x->owner].parent : 0;
  if (!loop || k->ops.data[loop].code != HLI_OP_FOR || x->index)
    return anything;
  const hli_interval end = interval(k, hli_operand(k, loop, 1), depth);
  return (hli_interval){interval(k, hli_operand(k, loop, 0), depth).low,
                        end.high == HLI_UNBOUNDED ? end.high : end.high - 1};
}

/* Narrow integers wrap: only what fits is known. */
static hli_interval fit(const hl_kernel *k, hli_value v, hli_interval x) {
  const hli_interval most = of_dtype(hli_dtype_of(k, v));
  return x.low < most.low || x.high > most.high ? most : x;
}

static hli_interval of_op(const hl_kernel *k, hli_op op, uint32_t depth) {
  const hli_opcode code = (hli_opcode)k->ops.data[op].code;
  switch (code) {
  case HLI_OP_BROADCAST:
  case HLI_OP_CAST:
    if (!strchr("iub", hli_dtype_kind(hli_dtype_of(k, hli_operand(k, op, 0)))))
      return anything;
    return interval(k, hli_operand(k, op, 0), depth);
  case HLI_OP_TILE_INDEX:
  case HLI_OP_TILE_BEGIN:
    return of_tile(k, hli_operand(k, op, 0), depth);
  case HLI_OP_SIZE: {
    const int64_t size = k->dims.data[hli_type_of(k, hli_operand(k, op, 0))->dims[hli_attr(k, op, 0, 0)]].value;
    return size >= 0 ? (hli_interval){size, size} : (hli_interval){0, HLI_UNBOUNDED};
  }
  case HLI_OP_PROGRAM_ID:
    return (hli_interval){0, HLI_UNBOUNDED};
  case HLI_OP_WHERE: {
    const hli_interval a = interval(k, hli_operand(k, op, 1), depth), b = interval(k, hli_operand(k, op, 2), depth);
    return (hli_interval){HLI_MIN(a.low, b.low), HLI_MAX(a.high, b.high)};
  }
  default:
    break;
  }
  if (hli_op_facts(code)->family != HLI_FAM_BINARY || hli_dtype_kind(hli_dtype_of(k, hli_operand(k, op, 0))) == 'f')
    return anything;
  return of_binary(code, interval(k, hli_operand(k, op, 0), depth), interval(k, hli_operand(k, op, 1), depth));
}

static hli_interval interval(const hl_kernel *k, hli_value v, uint32_t depth) {
  const hli_op op = k->values.data[v].def;
  hli_scalar c;
  if (depth == 0)
    return fit(k, v, anything);
  if (hli_const_value(k, v, &c))
    return fit(k, v, (hli_interval){clamp(c.i), clamp(c.i)});
  return fit(k, v, op ? of_op(k, op, depth - 1) : of_argument(k, v, depth - 1));
}

hli_interval hli_index_interval(const hl_kernel *k, hli_value v) {
  return interval(k, v, DEPTH);
}

bool hli_index_low(const hl_kernel *k, hli_value v) {
  return hli_index_interval(k, v).low >= 0;
}

bool hli_index_high(const hl_kernel *k, hli_value v, hli_value tensor, uint32_t d) {
  const int64_t size = k->dims.data[hli_type_of(k, tensor)->dims[d]].value;
  return size >= 0 && hli_index_interval(k, v).high < size;
}

/* ---- steps ---- */

static bool step_of(const hl_kernel *k, hli_value v, hli_axis axis, uint32_t depth, int64_t *step) {
  const hli_op op = k->values.data[v].def;
  const hli_type_data *t = hli_type_of(k, v);
  bool along = false;
  int64_t a = 0, b = 0;
  hli_scalar c;
  for (uint32_t d = 0; t->kind == HLI_TYPE_VALUE && d < t->rank; d++)
    along |= t->dims[d] == axis;
  *step = 0;
  if (!along || hli_const_value(k, v, &c))
    return true;
  if (!op || depth == 0)
    return false;
  const hli_opcode code = (hli_opcode)k->ops.data[op].code;
  const hli_value x = hli_operand_count(k, op) ? hli_operand(k, op, 0) : 0,
                  y = hli_operand_count(k, op) > 1 ? hli_operand(k, op, 1) : 0;
  if (code == HLI_OP_TILE_INDEX)
    return *step = 1, true;
  if (code == HLI_OP_BROADCAST)
    return step_of(k, x, axis, depth - 1, step);
  if (code == HLI_OP_MUL && hli_const_value(k, x, &c))
    return step_of(k, y, axis, depth - 1, &b) && !__builtin_mul_overflow(b, c.i, step);
  if (code == HLI_OP_MUL && hli_const_value(k, y, &c))
    return step_of(k, x, axis, depth - 1, &a) && !__builtin_mul_overflow(a, c.i, step);
  if ((code != HLI_OP_ADD && code != HLI_OP_SUB) || !step_of(k, x, axis, depth - 1, &a) ||
      !step_of(k, y, axis, depth - 1, &b))
    return false;
  return !(code == HLI_OP_ADD ? __builtin_add_overflow(a, b, step) : __builtin_sub_overflow(a, b, step));
}

bool hli_index_step(const hl_kernel *k, hli_value v, hli_axis axis, int64_t *step) {
  return step_of(k, v, axis, DEPTH, step);
}

/* ---- accesses that do not meet ---- */

/* Of a slice: its interval and its step; of a whole tile that of its positions. */
static bool slice_of(const hl_kernel *k, const hli_access *a, uint32_t d, hli_interval *out, int64_t *step) {
  *step = 1;
  if (a->kind[d] == 't') {
    *out = of_tile(k, a->index[d], DEPTH);
    return true;
  }
  if (a->kind[d] == 's') {
    *out = hli_index_interval(k, a->index[d]);
    return out->low >= 0;
  }
  if (a->kind[d] != 'g' || hli_type_of(k, a->index[d])->rank != 1)
    return false;
  *out = hli_index_interval(k, a->index[d]);
  return hli_index_step(k, a->index[d], hli_type_of(k, a->index[d])->dims[0], step);
}

/* Is the interval the slice's own, first and last element, and not just a bound? */
static bool exact(const hl_kernel *k, const hli_access *a, uint32_t d, hli_interval x, int64_t step) {
  const hli_axis_data *axis = &k->axes.data[hli_type_of(k, a->index[d])->dims[0]];
  const int64_t n = axis->kind == HLI_AXIS_FULL ? k->dims.data[axis->dim].value : -1;
  return n > 0 && x.high - x.low == step * (n - 1);
}

bool hli_index_apart(const hl_kernel *k, const hli_access *a, const hli_access *b) {
  for (uint32_t d = 0; a->base == b->base && d < a->rank; d++) {
    hli_interval x, y;
    int64_t p, q;
    if (!slice_of(k, a, d, &x, &p) || !slice_of(k, b, d, &y, &q))
      continue;
    if (x.high < y.low || y.high < x.low)
      return true;
    if (p == q && p > 1 && exact(k, a, d, x, p) && exact(k, b, d, y, p) && (x.low - y.low) % p != 0)
      return true; /* interleaved: x[0::2] and x[1::2] */
  }
  return false;
}
