/* nvptx_mix.c: ops that move data between lanes or registers: reductions within a warp, broadcasts,
 * transposes, converts.  (What crosses warps went through shared memory before.) */
#include "codegen/nvptx.h"

/* ---- reductions -------------------------------------------------------------------------- */

/* A balanced tree: short dependences, and errors that grow with the logarithm. */
static LLVMValueRef tree(hlc_emit *e, hli_opcode combine, hl_dtype dtype, LLVMValueRef *x, uint32_t n) {
  while (n > 1) {
    const uint32_t half = (n + 1) / 2;
    for (uint32_t i = 0; i + half < n; i++) {
      LLVMValueRef both[2] = {x[i], x[i + half]};
      x[i] = hlc_pointwise(e, combine, dtype, both);
    }
    n = half;
  }
  return x[0];
}

/* Every lane gets the result over the lanes whose digits are along the reduced dimensions. */
static LLVMValueRef across_lanes(hlc_emit *e, hli_opcode combine, hl_dtype dtype, const nv_layout *l, uint32_t gone,
                                 LLVMValueRef x) {
  for (uint32_t i = l->digits.n; i-- > 0;) {
    const hli_digit *d = &l->digits.d[i];
    if (d->unit != HLI_UNIT_LANE || d->dim < 0 || !((gone >> d->dim) & 1))
      continue;
    LLVMValueRef both[2] = {x, nv_shuffle_xor(e, x, d->weight)};
    x = hlc_pointwise(e, combine, dtype, both);
  }
  return x;
}

void nv_emit_reduce(hlc_emit *e, hli_op op) {
  const hl_kernel *k = e->k;
  const hli_value v = hli_operand(k, op, 0), result = hli_result(k, op, 0);
  const bool part = k->ops.data[op].code == HLI_OP_PARTIAL_REDUCE, scalar = hli_type_of(k, result)->rank == 0;
  const hli_opcode combine = hli_reduce_combine((hl_reduce_op)hli_attr(k, op, 0, 0));
  const hl_dtype dtype = hli_dtype_of(k, v);
  nv_layout *in = nv_layout_of(e, v), *out = scalar ? NULL : nv_layout_of(e, result);
  const hlc_regs x = hlc_get(e, v);
  const uint32_t n = scalar ? 1 : out->regs;
  LLVMValueRef *r = hlc_new_regs(e, n), *list = hlc_new_regs(e, x.n);
  uint32_t gone = 0;
  for (uint32_t i = 0; i < hli_attr_len(k, op, 1); i++)
    gone |= 1u << hli_attr(k, op, 1, i);
  if (hlc_failed(e))
    return;
  for (uint32_t to = 0; to < n && !hlc_failed(e); to++) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < x.n; i++) {
      int32_t c[HLI_LAYOUT_RANK], kept[HLI_LAYOUT_RANK] = {0};
      uint32_t at = 0;
      nv_reg_coords(in, i, c);
      for (uint32_t d = 0; d < in->l.rank; d++) {
        if (part)
          kept[d] = (gone >> d) & 1 ? 0 : c[d];
        else if (!((gone >> d) & 1))
          kept[at++] = c[d];
      }
      if (scalar || nv_find(out, kept) == to)
        list[count++] = x.r[i];
    }
    if (!count) {
      hlc_fail(e, HL_ERR_INTERNAL, "a reduction's result has a register that nothing is reduced into");
      return;
    }
    r[to] = across_lanes(e, combine, dtype, in, gone, tree(e, combine, dtype, list, count));
  }
  if (!hlc_failed(e))
    hlc_bind(e, result, r, n);
}

/* ---- the same data, other shape ------------------------------------------------------------------- */

/* Register `to` of the result takes the operand's register with coordinates map(coordinates). */
static void take(hlc_emit *e, hli_op op, const int8_t *source_dim) {
  const hl_kernel *k = e->k;
  const hli_value v = hli_operand(k, op, 0), result = hli_result(k, op, 0);
  const hli_type_data *t = hli_type_of(k, v);
  const hlc_regs in = hlc_get(e, v);
  nv_layout *from = t->rank ? nv_layout_of(e, v) : NULL, *to = nv_layout_of(e, result);
  LLVMValueRef *r = hlc_new_regs(e, to->regs);
  for (uint32_t i = 0; r && i < to->regs && !hlc_failed(e); i++) {
    int32_t c[HLI_LAYOUT_RANK], s[HLI_LAYOUT_RANK] = {0};
    nv_reg_coords(to, i, c);
    for (uint32_t d = 0; d < t->rank; d++)
      if (source_dim[d] >= 0 && !hli_axis_is_one(k, t->dims[d]))
        s[d] = c[source_dim[d]];
    const uint32_t reg = from ? nv_find(from, s) : 0;
    r[i] = reg < in.n ? in.r[reg] : hlc_undef(e, hlc_scalar_type(e, (hl_dtype)t->dtype));
  }
  if (r && !hlc_failed(e))
    hlc_bind(e, result, r, to->regs);
}

void nv_emit_broadcast(hlc_emit *e, hli_op op) {
  int8_t dims[HL_MAX_RANK];
  for (uint32_t i = 0; i < HL_MAX_RANK; i++)
    dims[i] = (int8_t)hli_attr_or(e->k, op, 0, i, -1);
  take(e, op, dims);
}

/* transpose, squeeze */
void nv_emit_move(hlc_emit *e, hli_op op) {
  const hl_kernel *k = e->k;
  const uint32_t rank = hli_type_of(k, hli_operand(k, op, 0))->rank;
  int8_t to[HL_MAX_RANK];
  uint32_t gone = 0;
  int8_t next = 0;
  if (hli_type_of(k, hli_result(k, op, 0))->rank == 0) {
    hlc_bind1(e, hli_result(k, op, 0), hlc_get(e, hli_operand(k, op, 0)).r[0]);
    return;
  }
  for (uint32_t i = 0; i < hli_attr_len(k, op, 0); i++) {
    if (k->ops.data[op].code == HLI_OP_TRANSPOSE)
      to[hli_attr(k, op, 0, i)] = (int8_t)i;
    else
      gone |= 1u << hli_attr(k, op, 0, i);
  }
  for (uint32_t d = 0; d < rank && k->ops.data[op].code == HLI_OP_SQUEEZE; d++)
    to[d] = (gone >> d) & 1 ? -1 : next++;
  take(e, op, to);
}

/* ---- converts ---------------------------------------------------------------------------------------- */

/* A digit of the source register's number that depends on the thread: chosen among `radix` candidates. */
typedef struct choice {
  uint32_t weight;
  LLVMValueRef digit;
} choice;

/* Where the elements of one result register come from. */
typedef struct route {
  uint32_t reg; /* constant part */
  choice pick[8];
  uint32_t picks;
  LLVMValueRef lane; /* i32: source lane, without `fixed_lane` */
  uint32_t fixed_lane;
  bool moves;
} route;

static LLVMValueRef thread_digit(hlc_emit *e, const hli_digit *d) {
  LLVMValueRef x = d->unit == HLI_UNIT_LANE ? nv(e)->lane : nv(e)->warp;
  x = LLVMBuildLShr(e->b, x, hlc_i32(e, (int32_t)hli_log2(d->weight)), "");
  return LLVMBuildAnd(e->b, x, hlc_i32(e, 1), "");
}

static bool find_route(hlc_emit *e, const nv_layout *src, const nv_layout *dst, uint32_t reg, route *r) {
  uint32_t kept = 0; /* lane bits that stay as they are */
  *r = (route){0};
  for (uint32_t i = 0; i < src->digits.n; i++) {
    const hli_digit *d = &src->digits.d[i];
    if (d->unit == HLI_UNIT_LANE && d->dim < 0)
      kept |= d->weight;
    if (d->dim < 0 || d->unit == HLI_UNIT_WARP)
      continue;
    const hli_digit *to = hli_digits_find(&dst->digits, d->dim, d->stride, d->radix);
    if (!to)
      return false;
    const uint32_t constant = to->unit == HLI_UNIT_REG ? reg / to->weight % to->radix : 0;
    if (d->unit == HLI_UNIT_REG) {
      r->reg += constant * d->weight;
      if (to->unit == HLI_UNIT_REG)
        continue;
      if (r->picks == HLI_COUNT(r->pick) || !hli_is_pow2(to->weight))
        return false;
      r->pick[r->picks++] = (choice){d->weight, thread_digit(e, to)};
    } else if (to->unit == HLI_UNIT_LANE && to->weight == d->weight) {
      kept |= d->weight;
    } else {
      r->moves = true;
      r->fixed_lane += constant * d->weight;
      if (to->unit != HLI_UNIT_REG)
        r->lane = nv_add(e, r->lane, LLVMBuildMul(e->b, thread_digit(e, to), hlc_i32(e, (int32_t)d->weight), ""));
    }
  }
  if (r->moves) {
    r->lane = nv_add(e, r->lane, LLVMBuildAnd(e->b, nv(e)->lane, hlc_i32(e, (int32_t)kept), ""));
    r->lane = LLVMBuildAdd(e->b, r->lane, hlc_i32(e, (int32_t)r->fixed_lane), "");
  }
  return true;
}

/* One of 2^n candidates, each brought from its lane; `n` choices are left. */
static LLVMValueRef follow(hlc_emit *e, const route *r, const hlc_regs *in, uint32_t reg, uint32_t n) {
  if (n == 0) {
    LLVMValueRef x = in->r[reg % in->n];
    return r->moves ? nv_shuffle_from(e, x, r->lane) : x;
  }
  const choice *c = &r->pick[n - 1];
  LLVMValueRef zero = follow(e, r, in, reg, n - 1), one = follow(e, r, in, reg + c->weight, n - 1);
  return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntNE, c->digit, hlc_i32(e, 0), ""), one, zero, "");
}

void nv_emit_convert(hlc_emit *e, hli_op op) {
  const hli_value v = hli_operand(e->k, op, 0), result = hli_result(e->k, op, 0);
  nv_layout *src = nv_layout_of(e, v), *dst = nv_layout_of(e, result);
  const hlc_regs in = hlc_get(e, v);
  LLVMValueRef *out = hlc_new_regs(e, dst->regs);
  for (uint32_t i = 0; out && i < dst->regs && !hlc_failed(e); i++) {
    route r;
    if (!find_route(e, src, dst, i, &r)) {
      hlc_fail(e, HL_ERR_INTERNAL, "a convert between layouts that do not share their digits");
      return;
    }
    out[i] = follow(e, &r, &in, r.reg, r.picks);
  }
  if (out && !hlc_failed(e))
    hlc_bind(e, result, out, dst->regs);
}
