/* level.c: places for LOOP ops, loops, and arithmetic on indices that folds constants. */
#include "src/pass/loopnest/nest.h"

hli_cursor *ln_at(ln *c, uint32_t level) { return &c->level[level].at; }

bool ln_const(const ln *c, ln_val v, int64_t *out) {
  hli_scalar s;
  if (!v.v || !hli_const_value(c->dst, v.v, &s)) return false;
  *out = s.i;
  return true;
}

ln_val ln_i64(ln *c, int64_t x) { return (ln_val){hli_make_i64(ln_at(c, 0), x), 0}; }

int64_t ln_multiple(const ln *c, ln_val v) { return hli_multiple_of(c->dst, v.v); }

static bool fold(hli_opcode code, int64_t a, int64_t b, int64_t *out) {
  hli_scalar args[2] = {{.i = a}, {.i = b}};
  *out = hli_scalar_eval(code, HL_I64, HL_I64, args, true).i;
  return true;
}

/* x + 0, x * 1 and their like; v = 0 if none applies. */
static ln_val identity(hli_opcode code, ln_val a, bool a_known, int64_t ka, ln_val b, bool b_known, int64_t kb) {
  const ln_val none = {0, 0};
  if (code == HLI_OP_ADD) return a_known && ka == 0 ? b : b_known && kb == 0 ? a : none;
  if (code == HLI_OP_SUB) return b_known && kb == 0 ? a : none;
  if (code == HLI_OP_MUL) return a_known && ka == 1 ? b : b_known && kb == 1 ? a : none;
  if (code == HLI_OP_TRUNCDIV) return b_known && kb == 1 ? a : none;
  if (code == HLI_OP_MIN || code == HLI_OP_MAX) return a.v == b.v ? a : none;
  return none;
}

ln_val ln_bin(ln *c, hli_opcode code, ln_val a, ln_val b) {
  int64_t ka = 0, kb = 0, r;
  bool a_known = ln_const(c, a, &ka), b_known = ln_const(c, b, &kb);
  if (a_known && b_known && hli_op_facts(code)->rule != HLI_RULE_PRED && fold(code, ka, kb, &r)) return ln_i64(c, r);
  ln_val same = identity(code, a, a_known, ka, b, b_known, kb);
  if (same.v) return same;
  if (code == HLI_OP_SUB && a.v == b.v) return ln_i64(c, 0);
  uint32_t level = HLI_MAX(a.level, b.level);
  return (ln_val){hli_make_binary(ln_at(c, level), code, a.v, b.v), level};
}

void ln_put(ln *c, hli_value v, ln_val x, const uint8_t *at) {
  ln_state *s = &c->state[v];
  const hli_type_data *t = hli_type_of(c->src, v);
  s->memo = x;
  s->memo_epoch = c->level[x.level].epoch;
  for (uint32_t d = 0; t->kind == HLI_TYPE_VALUE && d < t->rank; d++)
    s->memo_at[d] = c->var[at[d]].serial;
}

/* Steps into the region of a loop that has been made at the current level. */
static void enter(ln *c, hli_op loop, uint32_t args, hli_value *carried, uint32_t n) {
  ln_level *outer = &c->level[c->top];
  const hli_block body = c->dst->ops.data[loop].region;
  outer->at.before = loop;
  c->top++;
  c->level[c->top] = (ln_level){.at = {.k = c->dst, .block = body, .file = outer->at.file, .line = outer->at.line}};
  c->level[c->top].epoch = ++c->epoch;
  for (uint32_t i = 0; i < n; i++)
    carried[i] = hli_block_arg(c->dst, body, args + i);
}

static bool too_deep(ln *c) {
  if (c->top + 1 >= LN_MAX_LEVELS) ln_fail(c, HL_ERR_LIMIT, "loops nest deeper than %d levels", LN_MAX_LEVELS);
  return c->top + 1 >= LN_MAX_LEVELS;
}

ln_val ln_open(ln *c, ln_val begin, ln_val end, ln_val step, hli_value *carried, uint32_t n, const char *name) {
  if (too_deep(c)) return begin;
  hli_for f = hli_make_for(ln_at(c, c->top), begin.v, end.v, step.v, carried, n);
  if (!f.op || c->dst->failed) { /* out of memory: the block may lack arguments */
    ln_fail(c, HL_ERR_INTERNAL, "a loop could not be made");
    return begin;
  }
  enter(c, f.op, 1, carried, n);
  if (name && *name) hli_value_set_name(c->dst, f.iv, name);
  return (ln_val){f.iv, c->top};
}

void ln_open_while(ln *c, ln_val cond, hli_value *carried, uint32_t n) {
  hli_value operands[HLI_MAX_OPERANDS] = {cond.v};
  if (ln_failed(c) || too_deep(c)) return;
  for (uint32_t i = 0; i < n; i++)
    operands[1 + i] = carried[i];
  hli_op op = hli_make_region(ln_at(c, c->top), HLI_OP_WHILE, operands, 1 + n, n);
  if (op && !c->dst->failed) enter(c, op, 0, carried, n);
  else ln_fail(c, HL_ERR_INTERNAL, "a loop could not be made");
}

static void leave(ln *c, const hli_value *next, uint32_t count, hli_value *carried, uint32_t n) {
  if (ln_failed(c) || c->top == 0) return;
  hli_make_yield(ln_at(c, c->top), next, count);
  hli_op loop = c->dst->blocks.data[c->level[c->top].at.block].parent;
  c->top--;
  c->level[c->top].at.before = 0;
  for (uint32_t i = 0; i < n; i++)
    carried[i] = hli_result(c->dst, loop, i);
}

void ln_close(ln *c, hli_value *carried, uint32_t n) { leave(c, carried, n, carried, n); }

void ln_close_while(ln *c, ln_val again, hli_value *carried, uint32_t n) {
  hli_value next[HLI_MAX_OPERANDS] = {again.v};
  for (uint32_t i = 0; i < n; i++)
    next[1 + i] = carried[i];
  leave(c, next, 1 + n, carried, n);
}

uint8_t ln_push_var(ln *c, ln_var v) {
  if (c->var_count >= LN_MAX_VARS) {
    ln_fail(c, HL_ERR_LIMIT, "more than %d loop variables", LN_MAX_VARS);
    return 0;
  }
  v.serial = ++c->serials;
  c->var[c->var_count] = v;
  return (uint8_t)c->var_count++;
}

void ln_pop_var(ln *c) { c->var_count--; }

ln_bounds ln_range_bounds(ln *c, ln_dim d) {
  int64_t block = hli_axis_lanes(c->src, d.axis), e;
  hli_op range = d.range ? ln_def(c, d.range) : 0;
  if (!range) return (ln_bounds){ln_i64(c, 0), ln_i64(c, block)};
  ln_bounds b = {ln_eval(c, hli_operand(c->src, range, 0), NULL), ln_eval(c, hli_operand(c->src, range, 1), NULL)};
  if (ln_failed(c) || block <= 0 || (ln_const(c, b.end, &e) && e <= block)) return b; /* begin is not negative */
  b.end = ln_bin(c, HLI_OP_MIN, ln_bin(c, HLI_OP_ADD, b.begin, ln_i64(c, block)), b.end);
  return b;
}

hli_value ln_lane_mask(ln *c, ln_val n, int64_t lanes, uint32_t *level) {
  hli_type t = hli_type_vector(c->dst, HL_BOOL, lanes);
  *level = n.level;
  hli_op op = hli_op_create(ln_at(c, n.level), &(hli_op_desc){.code = HLI_OP_LANE_MASK, .operands = &n.v, .operand_count = 1, .results = &t, .result_count = 1});
  return op ? hli_result(c->dst, op, 0) : 0;
}

/* ---- loops over a dimension ------------------------------------------------------------------ */

static const char *axis_name(const ln *c, hli_axis a) {
  return c->src->axes.data[a].kind == HLI_AXIS_CONST ? "e" : c->src->axes.data[a].name;
}

static ln_val or_nothing(const ln *c, ln_val begin) {
  int64_t x;
  return ln_const(c, begin, &x) && x == 0 ? (ln_val){0, 0} : begin;
}

static uint32_t step_serial(ln *c, const ln_var *v, int64_t begin, int64_t end) {
  for (uint32_t i = 0; i < HLI_MIN(c->step_count, LN_STEPS); i++) {
    const ln_step *s = &c->step[i];
    if (s->dim.axis == v->dim.axis && s->dim.range == v->dim.range && s->lanes == v->lanes && s->begin == begin && s->end == end)
      return s->serial;
  }
  c->step[c->step_count++ % LN_STEPS] = (ln_step){v->dim, v->lanes, begin, end, ++c->serials};
  return c->serials;
}

/* One loop in steps of `step`; at most one known trip needs none. */
static void one_loop(ln *c, ln_var v, ln_val begin, ln_val end, int64_t step, ln_carried carried, ln_body body, void *ctx) {
  int64_t b, e;
  if (ln_failed(c)) return;
  bool known = ln_const(c, begin, &b) && ln_const(c, end, &e), single = known && b < e && e - b <= step;
  if (known && b >= e) return;
  v.index = begin;
  if (!single) v.index = ln_open(c, begin, end, ln_i64(c, step), carried.v, carried.n, axis_name(c, v.dim.axis));
  uint8_t id = ln_push_var(c, v);
  if (single) c->var[id].serial = step_serial(c, &v, b, e);
  if (!ln_failed(c)) body(c, ctx, id);
  ln_pop_var(c);
  if (!single) ln_close(c, carried.v, carried.n);
}

void ln_scalar_loop(ln *c, ln_dim d, ln_carried carried, ln_body body, void *ctx) {
  ln_bounds b = ln_range_bounds(c, d);
  if (ln_failed(c)) return;
  one_loop(c, (ln_var){.dim = d, .begin = or_nothing(c, b.begin)}, b.begin, b.end, 1, carried, body, ctx);
}

/* end of the part of [begin, end) that is a whole number of steps */
static ln_val whole_end(ln *c, ln_val begin, ln_val end, int64_t step) {
  ln_val n = ln_bin(c, HLI_OP_SUB, end, begin);
  int64_t known, multiple = ln_multiple(c, n);
  if (multiple % step == 0) return end;
  if (ln_const(c, n, &known)) return ln_bin(c, HLI_OP_ADD, begin, ln_i64(c, known / step * step));
  return ln_bin(c, HLI_OP_ADD, begin, ln_bin(c, HLI_OP_AND, n, ln_i64(c, -step)));
}

/* The partial vector: one trip at most, masked. */
typedef struct partial { ln_body body; void *ctx; ln_val end; } partial;
static void masked_body(ln *c, void *ctx, uint8_t var) {
  partial *p = ctx;
  ln_var *v = &c->var[var];
  v->mask.v = ln_lane_mask(c, ln_bin(c, HLI_OP_SUB, p->end, v->index), v->lanes, &v->mask.level);
  p->body(c, p->ctx, var);
}

/* What is left of a known size behind the main loop: one vector, masked where it is not full.  With carried values it has
 * the lanes of the main loop, whose accumulators it goes on with: one horizontal reduction, not two. */
static void known_rest(ln *c, ln_var v, ln_val at, ln_val end, ln_carried main, ln_body body, void *ctx) {
  int64_t b = 0, e = 0;
  ln_const(c, at, &b);
  ln_const(c, end, &e);
  if (b >= e) return;
  if (!main.n) v.lanes = (e - b + c->width - 1) / c->width * c->width;
  partial p = {body, ctx, end};
  one_loop(c, v, at, end, v.lanes, main, e - b == v.lanes ? body : masked_body, e - b == v.lanes ? ctx : &p);
}

static void vector_loops(ln *c, ln_var v, ln_bounds b, ln_carried main, ln_carried rest, ln_body body, void *ctx) {
  const int64_t lanes = v.lanes;
  ln_val at = b.begin;
  if (ln_failed(c)) return;
  if (lanes > c->width) {
    int64_t known;
    ln_val end = whole_end(c, at, b.end, lanes);
    one_loop(c, v, at, end, lanes, main, body, ctx);
    at = end;
    if (ln_const(c, at, &known) && ln_const(c, b.end, &known)) {
      known_rest(c, v, at, b.end, main, body, ctx);
      return;
    }
  }
  v.lanes = c->width;
  if (at.v != b.end.v) {
    ln_val end = whole_end(c, at, b.end, c->width);
    one_loop(c, v, at, end, c->width, rest, body, ctx);
    at = end;
  }
  if (at.v == b.end.v) return;
  partial p = {body, ctx, b.end};
  one_loop(c, v, at, b.end, c->width, rest, masked_body, &p);
}

void ln_vector_loops(ln *c, ln_dim d, int64_t lanes, ln_carried main, ln_carried rest, ln_body body, void *ctx) {
  ln_bounds b = ln_range_bounds(c, d);
  if (!ln_failed(c)) vector_loops(c, (ln_var){.dim = d, .begin = or_nothing(c, b.begin), .lanes = lanes}, b, main, rest, body, ctx);
}

void ln_flat_loops(ln *c, ln_dim rows, int64_t row, ln_dim d, int64_t lanes, ln_body body, void *ctx) {
  const ln_carried none = {0};
  ln_bounds b = ln_range_bounds(c, rows);
  if (ln_failed(c)) return;
  b = (ln_bounds){ln_bin(c, HLI_OP_MUL, b.begin, ln_i64(c, row)), ln_bin(c, HLI_OP_MUL, b.end, ln_i64(c, row))};
  vector_loops(c, (ln_var){.dim = d, .begin = or_nothing(c, b.begin), .lanes = lanes, .runs_on = true}, b, none, none, body, ctx);
}

void ln_whole_vectors(ln *c, ln_dim d, int64_t lanes, ln_body body, void *ctx) {
  const ln_carried none = {0};
  ln_bounds b = ln_range_bounds(c, d);
  if (ln_failed(c)) return;
  ln_var v = {.dim = d, .begin = or_nothing(c, b.begin), .lanes = lanes};
  ln_val end = whole_end(c, b.begin, b.end, lanes);
  partial p = {body, ctx, b.end};
  one_loop(c, v, b.begin, end, lanes, none, body, ctx);
  if (end.v != b.end.v) one_loop(c, v, end, b.end, lanes, none, masked_body, &p);
}

/* Registers of a row that is walked over in one step. */
#define WHOLE_REGISTERS 8

int64_t ln_whole_lanes(const ln *c, ln_dim d, int64_t lanes, hl_dtype widest) {
  const int64_t most = c->width * (hl_dtype_size(widest) == 8 ? WHOLE_REGISTERS / 2 : WHOLE_REGISTERS);
  const hli_op range = d.range ? ln_def(c, d.range) : 0;
  hli_scalar begin, end;
  if (range && (!hli_const_value(c->src, hli_operand(c->src, range, 0), &begin) || !hli_const_value(c->src, hli_operand(c->src, range, 1), &end)))
    return lanes;
  const int64_t size = ln_bound(c, d);
  return size > 0 && size <= most ? (size + c->width - 1) / c->width * c->width : lanes;
}

/* Lanes of a main loop of so many registers; not more than the dimension has, and registers of
 * 8-byte elements count twice. */
int64_t ln_main_lanes(const ln *c, ln_dim d, int64_t registers, hl_dtype widest) {
  int64_t lanes = c->width * registers, bound = ln_bound(c, d);
  if (hl_dtype_size(widest) == 8) lanes /= 2;
  while (lanes > c->width && bound >= 0 && lanes > bound)
    lanes /= 2;
  return HLI_MAX(lanes, c->width);
}
