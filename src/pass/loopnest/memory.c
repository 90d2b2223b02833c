/* memory.c: accesses of tensors at loop variables, and buffers that hold what must be kept. */
#include "src/pass/loopnest/nest.h"

/* The parts of a LOOP access under construction. */
typedef struct access {
  hli_access a;               /* of the source */
  char kind[HL_MAX_RANK];
  ln_val index[HL_MAX_RANK];
  uint32_t rank, level;
  int64_t lanes;              /* 0: scalar */
  ln_val mask;                /* v = 0: none */
  uint32_t runs_on;           /* bit per dimension whose run goes on in the rows behind */
  bool failed;
} access;

/* ---- indices --------------------------------------------------------------------------------- */

/* Can this LOOP index be negative?  Everything that loopnest and tile make cannot. */
static bool never_negative(const hl_kernel *k, hli_value v, int depth) {
  const hli_value_data *d = &k->values.data[v];
  if (depth == 0) return false;
  if (!d->def) {
    hli_op loop = d->owner ? k->blocks.data[d->owner].parent : 0;
    return loop && k->ops.data[loop].code == HLI_OP_FOR && d->index == 0 && never_negative(k, hli_operand(k, loop, 0), depth - 1);
  }
  uint32_t from = 0;
  switch (k->ops.data[d->def].code) {
  case HLI_OP_CONST: return hli_attr(k, d->def, 0, 0) >= 0;
  case HLI_OP_SIZE:
  case HLI_OP_PROGRAM_ID: return true;
  case HLI_OP_WHERE: from = 1; break;
  case HLI_OP_ADD:
  case HLI_OP_MUL:
  case HLI_OP_TRUNCDIV:
  case HLI_OP_REM:
  case HLI_OP_MIN: break;
  default: return false;
  }
  for (uint32_t i = from; i < hli_operand_count(k, d->def); i++)
    if (!never_negative(k, hli_operand(k, d->def, i), depth - 1)) return false;
  return true;
}

static ln_val dim_size(ln *c, hli_value base, uint32_t d) {
  const hli_type_data *t = hli_type_of(c->dst, base);
  int64_t known = c->dst->dims.data[t->dims[d]].value, dim = d;
  if (known >= 0) return ln_i64(c, known);
  hli_type i64 = hli_type_scalar(c->dst, HL_I64);
  hli_op op = hli_op_create(ln_at(c, 0), &(hli_op_desc){.code = HLI_OP_SIZE, .operands = &base, .operand_count = 1, .results = &i64, .result_count = 1, .attrs = &dim, .attr_len = {1}});
  return (ln_val){op ? hli_result(c->dst, op, 0) : 0, 0};
}

/* Negative scalar indices count from the end; LOOP indices are not negative. */
static ln_val resolve(ln *c, ln_val i, hli_value base, uint32_t d) {
  if (never_negative(c->dst, i.v, 12)) return i;
  ln_val size = dim_size(c, base, d);
  int64_t x;
  ln_val wrapped = ln_bin(c, HLI_OP_ADD, i, size);
  if (ln_const(c, i, &x)) return wrapped;
  ln_val negative = ln_bin(c, HLI_OP_LT, i, ln_i64(c, 0));
  uint32_t level = HLI_MAX(wrapped.level, negative.level);
  return (ln_val){hli_make_where(ln_at(c, level), negative.v, wrapped.v, i.v), level};
}

static void and_mask(ln *c, access *x, ln_val m) {
  if (!x->mask.v) {
    x->mask = m;
    return;
  }
  int64_t lanes = HLI_MAX(ln_lanes_of(c, x->mask), ln_lanes_of(c, m));
  x->mask = ln_bin(c, HLI_OP_AND, ln_splat(c, x->mask, lanes), ln_splat(c, m, lanes));
}

/* A tile index whose range is not the loop's: same lane, and only as far as that range goes. */
static ln_val foreign_index(ln *c, access *x, const ln_var *var, hli_value range) {
  ln_bounds b = ln_range_bounds(c, (ln_dim){hli_type_of(c->src, range)->dims[0], range});
  ln_val lane = var->begin.v ? ln_bin(c, HLI_OP_SUB, var->index, var->begin) : var->index;
  ln_val index = ln_bin(c, HLI_OP_ADD, b.begin, lane);
  ln_val left = ln_bin(c, HLI_OP_SUB, b.end, index);
  ln_val m = {0, 0};
  if (var->lanes) m.v = ln_lane_mask(c, left, var->lanes, &m.level);
  else m = ln_bin(c, HLI_OP_GT, left, ln_i64(c, 0));
  and_mask(c, x, m);
  return index;
}

static void tile_index(ln *c, access *x, uint32_t d, uint8_t at) {
  const ln_var var = c->var[at];
  x->kind[d] = var.lanes ? 'v' : 's';
  bool foreign = at && var.dim.range != x->a.index[d];
  if (!at) x->index[d] = ln_eval(c, hli_operand(c->src, ln_def(c, x->a.index[d]), 0), NULL); /* the only lane */
  else x->index[d] = foreign ? foreign_index(c, x, &var, x->a.index[d]) : var.index;
  if (!var.lanes) return;
  if (var.runs_on) x->runs_on |= 1u << d;
  if (x->lanes && !x->a.gathers) ln_fail(c, HL_ERR_INTERNAL, "a vector along two dimensions of one access");
  x->lanes = var.lanes;
  if (var.mask.v) and_mask(c, x, var.mask);
}

/* ---- integer tiles ----------------------------------------------------------------------------- */

static ln_val iota(ln *c, ln_val start, int64_t lanes) {
  hli_type t = hli_type_vector(c->dst, HL_I64, lanes);
  hli_op op = hli_op_create(ln_at(c, start.level), &(hli_op_desc){.code = HLI_OP_IOTA, .operands = &start.v, .operand_count = 1, .results = &t, .result_count = 1});
  return (ln_val){op ? hli_result(c->dst, op, 0) : 0, start.level};
}

/* A LOOP vector that counts by ones: its first element. */
static bool counts_from(ln *c, ln_val x, ln_val *start, int64_t *step, int depth) {
  hli_op op = c->dst->values.data[x.v].def;
  ln_val a, b;
  int64_t p, q;
  if (!op || depth == 0) return false;
  hli_value first = hli_operand_count(c->dst, op) ? hli_operand(c->dst, op, 0) : 0;
  hli_opcode code = (hli_opcode)c->dst->ops.data[op].code;
  if (code == HLI_OP_IOTA || (code == HLI_OP_BROADCAST && hli_type_of(c->dst, first)->rank == 0)) {
    *start = (ln_val){first, x.level};
    *step = code == HLI_OP_IOTA;
    return true;
  }
  if (code != HLI_OP_ADD && code != HLI_OP_SUB) return false;
  if (!counts_from(c, (ln_val){first, x.level}, &a, &p, depth - 1)) return false;
  if (!counts_from(c, (ln_val){hli_operand(c->dst, op, 1), x.level}, &b, &q, depth - 1)) return false;
  *start = ln_bin(c, code, a, b);
  *step = code == HLI_OP_ADD ? p + q : p - q;
  return true;
}

static ln_val not_mask(ln *c, ln_val m) { return (ln_val){hli_make_unary(ln_at(c, m.level), HLI_OP_NOT, m.v), m.level}; }

/* Lanes outside the dimension are masked: below where `low` is not known to hold, above where `high` is not. */
static void mask_outside(ln *c, access *x, uint32_t d, bool low, bool high) {
  ln_val i = x->index[d], size = dim_size(c, c->state[x->a.base].memo.v, d), m = {0, 0};
  if (x->kind[d] == 'v') {
    if (!high) {
      m.v = ln_lane_mask(c, ln_bin(c, HLI_OP_SUB, size, i), x->lanes, &m.level);
      and_mask(c, x, m);
    }
    if (!low) {
      m.v = ln_lane_mask(c, ln_bin(c, HLI_OP_SUB, ln_i64(c, 0), i), x->lanes, &m.level);
      and_mask(c, x, not_mask(c, m));
    }
    return;
  }
  int64_t lanes = ln_lanes_of(c, i);
  if (!low) and_mask(c, x, ln_bin(c, HLI_OP_GE, i, ln_splat(c, ln_i64(c, 0), lanes)));
  if (!high) and_mask(c, x, ln_bin(c, HLI_OP_LT, i, ln_splat(c, size, lanes)));
}

/* The index at the loop variables: a scalar, or a vector of any elements. */
static void gather_index(ln *c, access *x, uint32_t d, const uint8_t *at) {
  uint8_t inner[HL_MAX_RANK] = {0};
  int64_t lanes = 0;
  for (uint32_t i = 0; i < hli_type_of(c->src, x->a.index[d])->rank; i++) {
    inner[i] = at[x->a.gather[d][i]];
    const ln_var *var = &c->var[inner[i]];
    if (!inner[i] || !var->lanes) continue;
    if (lanes && lanes != var->lanes) ln_fail(c, HL_ERR_INTERNAL, "an index along two vectors");
    lanes = var->lanes;
    if (var->mask.v) and_mask(c, x, var->mask);
  }
  x->index[d] = ln_eval(c, x->a.index[d], inner);
  if (ln_failed(c)) return;
  x->index[d] = ln_splat(c, x->index[d], lanes);
  x->kind[d] = lanes ? 'g' : 's';
  x->lanes = HLI_MAX(x->lanes, lanes);
}

/* One index that counts is a run of elements; beside other vectors a run becomes an integer vector, too. */
static void settle_gathers(ln *c, access *x) {
  uint32_t vectors = 0;
  int64_t step = 0;
  ln_val start = {0, 0};
  for (uint32_t d = 0; d < x->rank; d++)
    vectors += x->kind[d] != 's';
  for (uint32_t d = 0; d < x->rank && !ln_failed(c); d++) {
    bool run = vectors == 1 && x->kind[d] == 'g' && counts_from(c, x->index[d], &start, &step, 16) && step == 1;
    if (run) x->index[d] = start;
    if (run) x->kind[d] = 'v';
    if (vectors > 1 && x->kind[d] == 'v') {
      x->index[d] = iota(c, x->index[d], x->lanes);
      x->kind[d] = 'g';
    }
    if (x->a.kind[d] == 'g')
      mask_outside(c, x, d, hli_index_low(c->src, x->a.index[d]), hli_index_high(c->src, x->a.index[d], x->a.base, d));
    x->level = HLI_MAX(x->level, x->index[d].level);
  }
}

static access begin_access(ln *c, hli_op op, const uint8_t *at) {
  access x = {.level = c->branch}; /* an index may lie outside where the branch is not taken */
  hli_access_get(c->src, op, &x.a);
  hli_value base = c->state[x.a.base].memo.v;
  x.rank = x.a.rank;
  for (uint32_t d = 0; d < x.rank && !ln_failed(c); d++) {
    x.kind[d] = 's';
    if (x.a.kind[d] == 't') tile_index(c, &x, d, at[x.a.value_dim[d]]);
    else if (x.a.kind[d] == 'g') gather_index(c, &x, d, at);
    else if (x.a.kind[d] == 's') x.index[d] = resolve(c, ln_eval(c, x.a.index[d], NULL), base, d);
    else ln_fail(c, HL_ERR_INTERNAL, "a whole-dimension index is left in scheduled TILE");
    x.level = HLI_MAX(x.level, x.index[d].level);
  }
  if (x.a.gathers && !ln_failed(c)) settle_gathers(c, &x);
  if (x.a.mask && !ln_failed(c)) and_mask(c, &x, ln_eval(c, x.a.mask, at));
  return x;
}

/* A masked access of one element is a masked vector of one lane. */
static void widen_masked_scalar(ln *c, access *x) {
  if (!x->mask.v || x->lanes) return;
  if (x->rank == 0) {
    ln_fail(c, HL_ERR_UNSUPPORTED, "a masked access to a tensor without dimensions");
    return;
  }
  x->kind[x->rank - 1] = 'v';
  x->lanes = 1;
}

static void finish_mask(ln *c, access *x) {
  if (!x->mask.v) return;
  x->mask = ln_splat(c, x->mask, x->lanes);
  x->level = HLI_MAX(x->level, x->mask.level);
}

static void plain_indices(const access *x, hli_value *out) {
  for (uint32_t d = 0; d < x->rank; d++)
    out[d] = x->index[d].v;
}

static void set_runs_on(ln *c, hli_op op, const access *x) {
  int64_t check[HL_MAX_RANK];
  for (uint32_t d = 0; d < x->rank; d++)
    check[d] = x->runs_on >> d & 1 ? HLI_CHECK_RUNS_ON : 0;
  if (op && x->runs_on) hli_op_set_attr(c->dst, op, HLI_ATTR_CHECK, check, x->rank);
}

/* The element of a vector of one lane. */
static ln_val only_lane(ln *c, ln_val x) {
  int64_t axis = 0;
  hl_reduce_op op = hli_dtype_of(c->dst, x.v) == HL_BOOL ? HL_REDUCE_ANY : HL_REDUCE_SUM;
  return (ln_val){hli_make_reduce(ln_at(c, x.level), op, x.v, &axis, 1), x.level};
}

/* Inside the loops that write what is loaded: every trip looks again. */
static uint32_t level_of_writes(const ln *c, hli_op load) {
  for (uint32_t i = c->loop_count; i-- > 0;)
    if (ln_written_in(c, c->loop[i].op, load)) return c->loop[i].level;
  return 0;
}

ln_val ln_load(ln *c, hli_op op, const uint8_t *at) {
  ln_val out = {0, 0}, other = {0, 0};
  access x = begin_access(c, op, at);
  x.level = HLI_MAX(x.level, level_of_writes(c, op));
  hli_value index[HL_MAX_RANK];
  bool one = x.mask.v && !x.lanes;
  widen_masked_scalar(c, &x);
  finish_mask(c, &x);
  if (x.a.other && !ln_failed(c)) {
    other = ln_splat(c, ln_eval(c, x.a.other, at), x.lanes);
    x.level = HLI_MAX(x.level, other.level);
  }
  if (ln_failed(c)) return out;
  hl_dtype d = hli_dtype_of(c->src, x.a.value);
  plain_indices(&x, index);
  out.level = x.level;
  out.v = hli_make_load(ln_at(c, x.level), c->state[x.a.base].memo.v, x.kind, index, x.mask.v, x.mask.v ? other.v : 0,
                        x.lanes ? hli_type_vector(c->dst, d, x.lanes) : hli_type_scalar(c->dst, d));
  if (out.v) set_runs_on(c, c->dst->values.data[out.v].def, &x);
  return one && out.v ? only_lane(c, out) : out;
}

static bool wants_stream(const ln *c, hli_value base) {
  for (uint32_t p = 0; p < c->src->params.len && p < 64; p++)
    if (c->src->params.data[p].value == base) return c->stream_params >> p & 1;
  return false;
}

/* Is a vector of it consecutive elements? */
static bool is_run(const access *x) {
  for (uint32_t d = 0; d < x->rank; d++)
    if (x->kind[d] == 'g') return false;
  return x->lanes != 0;
}

void ln_store(ln *c, hli_op op, const uint8_t *at) {
  access x = begin_access(c, op, at);
  hli_value index[HL_MAX_RANK];
  if (ln_failed(c)) return;
  ln_val v = ln_eval(c, x.a.value, at);
  int64_t hint = hli_attr_or(c->src, op, HLI_ATTR_CACHE, 0, 0); /* 1 evict first, 3 evict last */
  bool stream = is_run(&x) && !x.mask.v && hint != 3 && (hint == 1 || wants_stream(c, x.a.base));
  widen_masked_scalar(c, &x);
  finish_mask(c, &x);
  if (ln_failed(c)) return;
  v = ln_splat(c, v, x.lanes);
  plain_indices(&x, index);
  hli_op s = hli_make_store(ln_at(c, c->top), c->state[x.a.base].memo.v, x.kind, index, v.v, x.mask.v);
  if (!s) ln_fail(c, HL_ERR_INTERNAL, "a store could not be built");
  set_runs_on(c, s, &x);
  if (!s || !stream) return;
  int64_t one = 1;
  hli_op_set_attr(c->dst, s, 3, &one, 1);
  c->streams = true;
}

ln_val ln_atomic(ln *c, hli_op op, const uint8_t *at) {
  access x = begin_access(c, op, at);
  ln_val v = ln_eval(c, x.a.value, at), expected = x.a.expected ? ln_eval(c, x.a.expected, at) : (ln_val){0, 0};
  hli_value operands[HL_MAX_RANK + 4] = {c->state[x.a.base].memo.v};
  int64_t ints[HL_MAX_RANK + 4];
  if (ln_failed(c)) return v;
  if (x.lanes || ln_lanes_of(c, v)) ln_fail(c, HL_ERR_INTERNAL, "an atomic of a vector");
  hli_op_desc d = {.code = HLI_OP_ATOMIC, .operands = operands, .operand_count = 1 + x.rank, .result_count = 1, .attrs = ints, .attr_len = {x.rank, x.mask.v != 0, 0, 1, hli_attr_len(c->src, op, HLI_ATTR_ORDER)}};
  uint32_t n = 0;
  plain_indices(&x, operands + 1);
  for (; n < x.rank; n++)
    ints[n] = 's';
  if (x.mask.v) ints[n++] = 1;
  ints[n++] = hli_attr(c->src, op, HLI_ATTR_ATOMIC, 0);
  if (d.attr_len[HLI_ATTR_ORDER]) ints[n++] = hli_attr(c->src, op, HLI_ATTR_ORDER, 0);
  if (expected.v) operands[d.operand_count++] = expected.v;
  operands[d.operand_count++] = v.v;
  if (x.mask.v) operands[d.operand_count++] = x.mask.v;
  hli_type t = c->dst->values.data[v.v].type;
  d.results = &t;
  hli_op made = hli_op_create(ln_at(c, c->top), &d);
  return (ln_val){made ? hli_result(c->dst, made, 0) : 0, c->top};
}

void ln_prefetch(ln *c, hli_op op, const uint8_t *at) {
  access x = begin_access(c, op, at);
  int64_t per_line = HLI_MAX(64 / (int64_t)hl_dtype_size(hli_dtype_of(c->src, x.a.value)), 1), kinds[HL_MAX_RANK];
  hli_value operands[HL_MAX_RANK + 1] = {c->state[x.a.base].memo.v};
  for (int64_t lane = 0; lane < HLI_MAX(x.lanes, 1) && !ln_failed(c); lane += per_line) {
    for (uint32_t d = 0; d < x.rank; d++) {
      kinds[d] = 's';
      operands[1 + d] = x.kind[d] == 'v' ? ln_bin(c, HLI_OP_ADD, x.index[d], ln_i64(c, lane)).v : x.index[d].v;
    }
    hli_op_create(ln_at(c, c->top), &(hli_op_desc){.code = HLI_OP_PREFETCH, .operands = operands, .operand_count = 1 + x.rank, .attrs = kinds, .attr_len = {x.rank}});
  }
}

/* Row i + rows, or the last one again.  The end is the tensor's, not the block's: the next program goes on there. */
void ln_prefetch_rows(ln *c, hli_op load, const uint8_t *at, int64_t rows) {
  ln_var *row = &c->var[c->shared[c->shared_count - 1]];
  const ln_var old = *row;
  ln_val end = ln_eval(c, hli_operand(c->src, ln_def(c, row->dim.range), 1), NULL);
  if (ln_failed(c)) return;
  ln_val last = ln_bin(c, HLI_OP_SUB, end, ln_i64(c, 1));
  row->index = ln_bin(c, HLI_OP_MIN, ln_bin(c, HLI_OP_ADD, old.index, ln_i64(c, rows)), last);
  row->serial = ++c->serials;
  ln_prefetch(c, load, at);
  *row = old;
}

/* Behind the end of a row lies the next one, as a rule; and what is asked for behind the last one is a hint like others. */
void ln_prefetch_along(ln *c, hli_op load, const uint8_t *at, uint8_t var, int64_t bytes) {
  ln_var *v = &c->var[var];
  const ln_var old = *v;
  v->index = ln_bin(c, HLI_OP_ADD, old.index, ln_i64(c, bytes / (int64_t)hl_dtype_size(hli_dtype_of(c->src, hli_result(c->src, load, 0)))));
  v->mask = (ln_val){0, 0};
  v->serial = ++c->serials;
  ln_prefetch(c, load, at);
  *v = old;
}

/* ---- buffers ----------------------------------------------------------------------------------- */

hli_value ln_new_buffer(ln *c, hl_dtype dtype, const int64_t *sizes, uint32_t rank, const char *name) {
  hli_type t = hli_type_buffer(c->dst, dtype, sizes, rank);
  hli_cursor top = {.k = c->dst, .block = c->dst->body, .before = c->first_buffer};
  hli_op op = hli_op_create(&top, &(hli_op_desc){.code = HLI_OP_BUFFER, .results = &t, .result_count = 1});
  if (!op) return 0;
  c->scratch += hli_buffer_bytes(c->dst, t);
  if (c->scratch > ((int64_t)1 << 30))
    ln_fail(c, HL_ERR_LIMIT, "a program needs more than 1 GiB of buffers; choose smaller block_sizes");
  if (name && *name) hli_value_set_name(c->dst, hli_result(c->dst, op, 0), name);
  return hli_result(c->dst, op, 0);
}

/* Dimensions of v's buffer: those that are not shared; and the lanes of a shared vector. */
bool ln_make_buffer(ln *c, hli_value v, hli_block where) {
  ln_state *s = &c->state[v];
  if (s->buffer) return true;
  int64_t sizes[HL_MAX_RANK + 1];
  uint32_t rank = 0;
  const hli_type_data t = *hli_type_of(c->src, v);
  for (uint32_t d = 0; d < t.rank; d++) {
    uint8_t shared = ln_shared_var(c, t.dims[d]);
    if (shared) {
      s->vector_tail |= c->var[shared].lanes > 0;
      continue;
    }
    int64_t bound = ln_bound(c, ln_value_dim(c, v, d, where));
    if (bound < 0) {
      ln_fail_at(c, ln_def(c, v), HL_ERR_UNSUPPORTED,
                 "a value along axis $%s must be kept, but the axis' size is not known; give the dimension a size or tile it",
                 c->src->axes.data[t.dims[d]].name);
      return false;
    }
    sizes[rank++] = HLI_MAX(bound, 1);
  }
  if (s->vector_tail) sizes[rank++] = c->shared_lanes;
  else if (rank > 1) sizes[rank - 1] = (sizes[rank - 1] + c->width - 1) / c->width * c->width; /* aligned rows */
  s->buffer = ln_new_buffer(c, (hl_dtype)t.dtype, sizes, rank, c->src->values.data[v].name);
  return s->buffer != 0;
}

/* Which vector of the shared vector dimension is being worked on: its instances need no loop of their own. */
static uint32_t shared_vector(const ln *c) {
  for (uint32_t i = 0; i < c->shared_count; i++)
    if (c->var[c->shared[i]].lanes) return c->var[c->shared[i]].serial;
  return 0;
}

void ln_buffer_holds(ln *c, hli_value v) {
  ln_state *s = &c->state[v];
  s->buffered = true;
  s->buffer_level = c->top;
  s->buffer_epoch = c->level[c->top].epoch;
  s->buffer_vector = shared_vector(c);
}

bool ln_buffer_valid(const ln *c, hli_value v) {
  const ln_state *s = &c->state[v];
  return s->buffered && s->buffer_level <= c->top && c->level[s->buffer_level].epoch == s->buffer_epoch &&
         (!s->vector_tail || s->buffer_vector == shared_vector(c));
}

/* Where v's element lies in its buffer. */
static access buffer_access(ln *c, hli_value v, const uint8_t *at) {
  access x = {0};
  const ln_state *s = &c->state[v];
  const hli_type_data *t = hli_type_of(c->src, v);
  for (uint32_t d = 0; d < t->rank; d++) {
    const ln_var *var = &c->var[at[d]];
    if (ln_shared_var(c, t->dims[d])) continue;
    ln_val index = at[d] ? var->index : ln_i64(c, 0);
    x.kind[x.rank] = at[d] && var->lanes ? 'v' : 's';
    x.index[x.rank] = at[d] && var->begin.v ? ln_bin(c, HLI_OP_SUB, index, var->begin) : index;
    if (at[d] && var->lanes) x.lanes = var->lanes;
    if (at[d] && var->mask.v) and_mask(c, &x, var->mask);
    x.level = HLI_MAX(x.level, x.index[x.rank].level);
    x.rank++;
  }
  if (s->vector_tail) {
    for (uint32_t i = 0; i < c->shared_count; i++)
      x.lanes = HLI_MAX(x.lanes, c->var[c->shared[i]].lanes);
    x.kind[x.rank] = 'v';
    x.index[x.rank++] = ln_i64(c, 0);
  }
  if (x.mask.v) x.level = HLI_MAX(x.level, x.mask.level);
  return x;
}

ln_val ln_buffer_load(ln *c, hli_value v, const uint8_t *at) {
  access x = buffer_access(c, v, at);
  hli_value index[HL_MAX_RANK + 1];
  hl_dtype d = hli_dtype_of(c->src, v);
  plain_indices(&x, index);
  ln_val out = {0, HLI_MAX(x.level, c->state[v].buffer_level)};
  out.v = hli_make_load(ln_at(c, out.level), c->state[v].buffer, x.kind, index, x.mask.v, 0,
                        x.lanes ? hli_type_vector(c->dst, d, x.lanes) : hli_type_scalar(c->dst, d));
  return out;
}

void ln_buffer_store(ln *c, hli_value v, ln_val value, const uint8_t *at) {
  access x = buffer_access(c, v, at);
  hli_value index[HL_MAX_RANK + 1];
  value = ln_splat(c, value, x.lanes);
  plain_indices(&x, index);
  if (!ln_failed(c) && !hli_make_store(ln_at(c, c->top), c->state[v].buffer, x.kind, index, value.v, x.mask.v))
    ln_fail(c, HL_ERR_INTERNAL, "a store to a buffer could not be built");
}

/* ---- raw accesses (of panels) ---------------------------------------------------------------------- */

static void raw_parts(const ln_val *index, uint32_t rank, int64_t lanes, char *kinds, hli_value *plain, uint32_t *level) {
  for (uint32_t d = 0; d < rank; d++) {
    kinds[d] = lanes && d + 1 == rank ? 'v' : 's';
    plain[d] = index[d].v;
    *level = HLI_MAX(*level, index[d].level);
  }
}

ln_val ln_raw_load(ln *c, hli_value buffer, const ln_val *index, uint32_t rank, int64_t lanes, hli_value mask, uint32_t level) {
  char kinds[HL_MAX_RANK];
  hli_value plain[HL_MAX_RANK];
  raw_parts(index, rank, lanes, kinds, plain, &level);
  hl_dtype d = (hl_dtype)hli_type_of(c->dst, buffer)->dtype;
  hli_type t = lanes ? hli_type_vector(c->dst, d, lanes) : hli_type_scalar(c->dst, d);
  return (ln_val){hli_make_load(ln_at(c, level), buffer, kinds, plain, mask, 0, t), level};
}

void ln_raw_store(ln *c, hli_value buffer, const ln_val *index, uint32_t rank, ln_val x, hli_value mask) {
  char kinds[HL_MAX_RANK];
  hli_value plain[HL_MAX_RANK];
  uint32_t level = 0;
  raw_parts(index, rank, ln_lanes_of(c, x), kinds, plain, &level);
  if (!hli_make_store(ln_at(c, c->top), buffer, kinds, plain, x.v, mask)) ln_fail(c, HL_ERR_INTERNAL, "a store to a panel could not be built");
}
