/* tile.c: makes a TILE kernel *scheduled*: every axis gets its block, the outermost tile loop becomes the
 * grid and a program id, inner tile loops become `for` over blocks.
 *
 * Expects specialised TILE without ':' indices (roll).  Owner of block_sizes, loop_orders, l2_groupings,
 * pid_type and num_sm_multiplier.
 *
 *   tile %c0, %n {axes = [$i]} (%i : tile<$i>) {        grid [N / 128]
 *     ...                                         ->    %pid = program_id
 *   }                                                   %b = mul %pid, %c128
 *                                                       %i = range %b, %n {axis = $i}
 *
 * Several outermost loops are one launch: the programs of the second follow those of the first, and each body
 * stands in a branch on the program id (grid [N / 128] [M / 64]).  With pid_type 1 or 2 there are only as many
 * programs as the machine holds, and a loop over tiles around it all:
 *
 *   grid [132 / 1];  for %pid, %tiles, %c132 (%id : i64) { ... %i = range (mul %id, %c128), %n ... }
 */
#include "src/pass/pass.h"

typedef struct tiler {
  hli_pass_env *env;
  const hl_kernel *src;
  hl_kernel *dst;
  hli_value *map;
  hli_value pid;
  bool persistent; /* the grid is not the roots' */
  uint32_t grid_axes; /* of all roots */
  uint32_t ranked; /* grids of rank >= 2 seen so far: instance of their knobs */
} tiler;

static void clone_body(tiler *t, hli_cursor *c, hli_block from);

/* ---- blocks ---- */

/* Instance of a tile axis: its rank among the kernel's tile axes. */
static uint32_t axis_instance(const hl_kernel *k, hli_axis a) {
  uint32_t n = 0;
  for (uint32_t i = 1; i < a; i++)
    n += k->axes.data[i].kind == HLI_AXIS_TILE;
  return n;
}

static void choose_blocks(tiler *t) {
  for (uint32_t a = 1; a < t->dst->axes.len; a++) {
    hli_axis_data *x = &t->dst->axes.data[a];
    if (x->kind != HLI_AXIS_TILE || x->block)
      continue; /* roll has fixed its chunks */
    const int64_t fixed = x->block_min && x->block_min == x->block_max ? x->block_min : 0;
    x->block = fixed ? fixed : hli_config_value(t->env->config, HLI_KNOB_BLOCK_SIZES, axis_instance(t->dst, a), 16);
  }
}

static hli_value i64(hli_cursor *c, int64_t x) {
  return hli_make_i64(c, x);
}
static hli_value bin(hli_cursor *c, hli_opcode op, hli_value a, hli_value b) {
  return hli_make_binary(c, op, a, b);
}
static hli_value add(hli_cursor *c, hli_value a, hli_value b) {
  return bin(c, HLI_OP_ADD, a, b);
}
static hli_value mul(hli_cursor *c, hli_value a, hli_value b) {
  return bin(c, HLI_OP_MUL, a, b);
}
static hli_value quo(hli_cursor *c, hli_value a, hli_value b) {
  return bin(c, HLI_OP_TRUNCDIV, a, b);
}
static hli_value rem_(hli_cursor *c, hli_value a, hli_value b) {
  return bin(c, HLI_OP_REM, a, b);
}

/* ---- the grid ---- */

/* The grid axis of loop dimension d: its extent must be known to the host. */
static hl_status grid_axis(tiler *t, hli_op loop, uint32_t d, hli_grid_axis *out) {
  const hl_kernel *k = t->src;
  const uint32_t rank = hli_attr_len(k, loop, 0);
  const hli_axis a = (hli_axis)hli_attr(k, loop, 0, d);
  const hli_value begin = hli_operand(k, loop, d), end = hli_operand(k, loop, rank + d);
  const hli_op_data *o = hli_op_get(k, loop);
  hli_scalar b, e;
  *out = (hli_grid_axis){.constant = -1, .block = t->dst->axes.data[a].block};
  if (!hli_const_value(k, begin, &b) || b.i < 0)
    return hli_fail_at(t->env->diag, HL_ERR_UNSUPPORTED, o->file, o->line, 0,
                       "kernel %s: the outermost tile loop must begin at a constant of at least 0", k->name);
  const hli_op def = k->values.data[end].def;
  if (hli_const_value(k, end, &e)) {
    out->constant = HLI_MAX(e.i - b.i, 0);
  } else if (b.i == 0 && def && k->ops.data[def].code == HLI_OP_SIZE) {
    out->dim = hli_type_of(k, hli_operand(k, def, 0))->dims[hli_attr(k, def, 0, 0)];
    out->constant = 0;
  } else {
    return hli_fail_at(t->env->diag, HL_ERR_UNSUPPORTED, o->file, o->line, 0,
                       "kernel %s: the extent of the outermost tile loop must be a constant or the size of a tensor",
                       k->name);
  }
  return HL_OK;
}

/* Permutation number `n` of 0..rank-1 in lexicographic order. */
static void permutation(uint64_t n, uint32_t rank, uint32_t *out) {
  uint32_t left[HL_MAX_RANK];
  uint64_t f = 1;
  for (uint32_t i = 0; i < rank; i++)
    left[i] = i, f *= i + 1;
  for (uint32_t i = 0; i < rank; i++) {
    f /= rank - i;
    const uint64_t pick = n / f;
    n %= f;
    out[i] = left[pick];
    for (uint32_t j = (uint32_t)pick; j + 1 < rank - i; j++)
      left[j] = left[j + 1];
  }
}

/* Number of programs along a grid axis. */
static hli_value program_count(tiler *t, hli_cursor *c, hli_op loop, uint32_t d, const hli_grid_axis *g) {
  if (!g->dim)
    return i64(c, hli_ceil_div(g->constant, g->block));
  const hli_value end = t->map[hli_operand(t->src, loop, hli_attr_len(t->src, loop, 0) + d)];
  return quo(c, add(c, end, i64(c, g->block - 1)), i64(c, g->block));
}

/* Splits the flat id into one id per axis; order[rank-1] is the fastest.  With a group G > 1 the two fastest
 * axes (m, n) are walked in bands of G rows, so that neighbours in time share operands in the L2 cache:
 *   group = G n_n; first = id / group * G; rows = min(n_m - first, G)
 *   m = first + id % group % rows; n = id % group / rows */
static void decode_ids(hli_cursor *c, hli_value pid, const hli_value *count, const uint32_t *order, uint32_t rank,
                       int64_t group, hli_value *ids) {
  for (uint32_t i = rank; i-- > 0;) {
    const uint32_t a = order[i];
    if (group > 1 && i == rank - 1 && rank >= 2) {
      const uint32_t m = order[i - 1], n = a;
      hli_value both = mul(c, count[m], count[n]);
      hli_value id = rank > 2 ? rem_(c, pid, both) : pid;
      hli_value band = mul(c, i64(c, group), count[n]);
      hli_value first = mul(c, quo(c, id, band), i64(c, group));
      hli_value rows = bin(c, HLI_OP_MIN, bin(c, HLI_OP_SUB, count[m], first), i64(c, group));
      hli_value in = rem_(c, id, band);
      ids[m] = add(c, first, rem_(c, in, rows));
      ids[n] = quo(c, in, rows);
      pid = quo(c, pid, both);
      i--;
    } else {
      ids[a] = i == 0 ? pid : rem_(c, pid, count[a]);
      if (i)
        pid = quo(c, pid, count[a]);
    }
  }
}

/* One top-level loop: its programs, and where they stand among those of the others. */
typedef struct root {
  hli_op loop;
  uint32_t rank;
  hli_grid_axis axes[HL_MAX_RANK];
  hli_value count[HL_MAX_RANK];
} root;

static hl_status describe_root(tiler *t, hli_cursor *c, hli_op loop, root *r) {
  *r = (root){.loop = loop, .rank = hli_attr_len(t->src, loop, 0)};
  if ((t->grid_axes += r->rank) > HLI_MAX_GRID_AXES)
    return hli_fail_at(t->env->diag, HL_ERR_LIMIT, c->file, c->line, 0,
                       "kernel %s: the top-level loops have more than %d tiles together; make it several kernels",
                       t->src->name, HLI_MAX_GRID_AXES);
  for (uint32_t d = 0; d < r->rank; d++) {
    hl_status s = grid_axis(t, loop, d, &r->axes[d]);
    if (s != HL_OK)
      return s;
    r->count[d] = program_count(t, c, loop, d, &r->axes[d]);
  }
  return HL_OK;
}

static hli_value program_id(tiler *t, hli_cursor *c) {
  if (t->pid)
    return t->pid;
  hli_op pid = hli_op_create(c, &(hli_op_desc){.code = HLI_OP_PROGRAM_ID,
                                               .results = (hli_type[]){hli_type_scalar(c->k, HL_I64)},
                                               .result_count = 1});
  if (!pid)
    return 0; /* out of memory: reported at the end */
  hli_value_set_name(c->k, hli_result(c->k, pid, 0), "pid");
  return t->pid = hli_result(c->k, pid, 0);
}

/* Puts the loop's tiles and body at the cursor; `id` counts the root's own programs. */
static void open_root(tiler *t, hli_cursor *c, const root *r, hli_value id) {
  const hl_kernel *k = t->src;
  const hli_block region = k->ops.data[r->loop].region;
  const uint32_t knobs = r->rank > 1 ? t->ranked++ : HLI_MAX_ROOTS; /* a grid of one axis has none */
  hli_value ids[HL_MAX_RANK] = {0};
  uint32_t order[HL_MAX_RANK];
  permutation((uint64_t)hli_config_value(t->env->config, HLI_KNOB_LOOP_ORDERS, knobs, 0), r->rank, order);
  const bool later = t->dst->grid.len > 0;
  for (uint32_t d = 0; d < r->rank && !t->persistent; d++) {
    hli_grid_axis axis = r->axes[order[d]];
    axis.opens = later && d == 0;
    if (!hli_vec_push(t->dst->alloc, &t->dst->grid, axis))
      t->dst->failed = true;
  }
  decode_ids(c, id, r->count, order, r->rank, hli_config_value(t->env->config, HLI_KNOB_L2_GROUPINGS, knobs, 1), ids);
  for (uint32_t d = 0; d < r->rank; d++) {
    hli_value begin = add(c, mul(c, ids[d], i64(c, r->axes[d].block)), t->map[hli_operand(k, r->loop, d)]);
    hli_value end = t->map[hli_operand(k, r->loop, r->rank + d)];
    hli_value tile = hli_make_range(c, (hli_axis)hli_attr(k, r->loop, 0, d), begin, end);
    hli_value_set_name(c->k, tile, k->values.data[hli_block_arg(k, region, d)].name);
    t->map[hli_block_arg(k, region, d)] = tile;
  }
  clone_body(t, c, region);
}

/* a op b, a constant if both are. */
static hli_value folded(hli_cursor *c, hli_opcode op, hli_value a, hli_value b) {
  hli_scalar args[2];
  if (hli_const_value(c->k, a, &args[0]) && hli_const_value(c->k, b, &args[1]))
    return i64(c, hli_scalar_eval(op, HL_I64, HL_I64, args, true).i);
  return bin(c, op, a, b);
}

/* All programs of the first `n` roots. */
static hli_value total_of(hli_cursor *c, const root *roots, uint32_t n) {
  hli_value sum = 0;
  for (uint32_t i = 0; i < n; i++) {
    hli_value all = roots[i].count[0];
    for (uint32_t d = 1; d < roots[i].rank; d++)
      all = folded(c, HLI_OP_MUL, all, roots[i].count[d]);
    sum = sum ? folded(c, HLI_OP_ADD, sum, all) : all;
  }
  return sum ? sum : i64(c, 0);
}

/* Root r of several: its body stands in a branch on the id. */
static void open_branch(tiler *t, hli_cursor *c, const root *roots, uint32_t n, uint32_t r, hli_value id) {
  if (r)
    id = bin(c, HLI_OP_SUB, id, total_of(c, roots, r));
  hli_value mine = r + 1 < n ? bin(c, HLI_OP_LT, id, total_of(c, &roots[r], 1)) : bin(c, HLI_OP_GE, id, i64(c, 0));
  if (r && r + 1 < n)
    mine = bin(c, HLI_OP_AND, bin(c, HLI_OP_GE, id, i64(c, 0)), mine);
  hli_for f = hli_make_branch(c, mine, NULL, 0);
  if (!f.op)
    return;
  hli_cursor in = {.k = c->k, .block = f.body, .file = c->file, .line = c->line};
  open_root(t, &in, &roots[r], id);
  hli_make_yield(&in, NULL, 0);
}

static void open_roots(tiler *t, hli_cursor *c, const root *roots, uint32_t n, hli_value id) {
  if (n == 1)
    open_root(t, c, &roots[0], id);
  for (uint32_t r = 0; r < n && n > 1; r++)
    open_branch(t, c, roots, n, r, id);
}

/* As many programs as the machine holds at once, each with a loop over tiles: a run of neighbours, or every so
 * many-th. */
static void open_persistent(tiler *t, hli_cursor *c, const root *roots, uint32_t n, bool run) {
  hli_scalar known;
  const hli_value total = total_of(c, roots, n);
  int64_t programs = hli_config_value(t->env->config, HLI_KNOB_NUM_SM_MULTIPLIER, 0, 1) * t->env->target->units;
  if (hli_const_value(c->k, total, &known))
    programs = HLI_MIN(programs, HLI_MAX(known.i, 0));
  if (!hli_vec_push(t->dst->alloc, &t->dst->grid, ((hli_grid_axis){.constant = programs, .block = 1})))
    t->dst->failed = true;
  const hli_value pid = program_id(t, c), all = i64(c, HLI_MAX(programs, 1)), one = i64(c, 1);
  hli_value begin = pid, end = total;
  if (run) {
    const hli_value length = quo(c, add(c, total, bin(c, HLI_OP_SUB, all, one)), all);
    begin = mul(c, pid, length);
    end = bin(c, HLI_OP_MIN, add(c, begin, length), total);
  }
  hli_for f = hli_make_for(c, begin, end, run ? one : all, NULL, 0);
  if (!f.op)
    return;
  hli_value_set_name(c->k, f.iv, "id");
  hli_cursor in = {.k = c->k, .block = f.body, .file = c->file, .line = c->line};
  t->persistent = true;
  open_roots(t, &in, roots, n, f.iv);
  hli_make_yield(&in, NULL, 0);
}

/* ---- inner loops ---- */

/* A tile loop of rank r becomes r nested `for`s; carried values go through all of them. */
static void open_inner(tiler *t, hli_cursor *c, hli_op loop, uint32_t d, const hli_value *carried, hli_value *results) {
  const hl_kernel *k = t->src;
  const uint32_t rank = hli_attr_len(k, loop, 0), n = k->ops.data[loop].result_count;
  const hli_block region = k->ops.data[loop].region;
  const hli_axis axis = (hli_axis)hli_attr(k, loop, 0, d);
  const hli_value begin = t->map[hli_operand(k, loop, d)], end = t->map[hli_operand(k, loop, rank + d)];
  hli_for f = hli_make_for(c, begin, end, i64(c, t->dst->axes.data[axis].block), carried, n);
  if (!f.op)
    return;
  hli_cursor in = {.k = c->k, .block = f.body, .file = c->file, .line = c->line};
  hli_value inner[HLI_MAX_OPERANDS] = {0}, next[HLI_MAX_OPERANDS] = {0};
  for (uint32_t i = 0; i < n; i++)
    inner[i] = hli_block_arg(c->k, f.body, 1 + i);
  t->map[hli_block_arg(k, region, d)] = hli_make_range(&in, axis, f.iv, end);
  hli_value_set_name(c->k, t->map[hli_block_arg(k, region, d)], k->values.data[hli_block_arg(k, region, d)].name);
  if (d + 1 < rank) {
    open_inner(t, &in, loop, d + 1, inner, next);
  } else {
    for (uint32_t i = 0; i < n; i++)
      t->map[hli_block_arg(k, region, rank + i)] = inner[i];
    clone_body(t, &in, region);
    hli_op last = k->blocks.data[region].last; /* the yield */
    for (uint32_t i = 0; i < n; i++)
      next[i] = t->map[hli_operand(k, last, i)];
  }
  hli_make_yield(&in, next, n);
  for (uint32_t i = 0; i < n; i++)
    results[i] = hli_result(c->k, f.op, i);
}

static void clone_inner(tiler *t, hli_cursor *c, hli_op loop) {
  const hl_kernel *k = t->src;
  const uint32_t rank = hli_attr_len(k, loop, 0), n = k->ops.data[loop].result_count;
  hli_value carried[HLI_MAX_OPERANDS] = {0}, results[HLI_MAX_OPERANDS] = {0};
  for (uint32_t i = 0; i < n; i++)
    carried[i] = t->map[hli_operand(k, loop, 2 * rank + i)];
  open_inner(t, c, loop, 0, carried, results);
  for (uint32_t i = 0; i < n; i++) {
    t->map[hli_result(k, loop, i)] = results[i];
    const char *name = k->values.data[hli_result(k, loop, i)].name;
    if (results[i] && name[0])
      hli_value_set_name(c->k, results[i], name);
  }
}

/* ---- for, if, while ---- */

/* A constant condition has been folded: what is left becomes a `for` of at most one trip. */
static hli_op open_if(tiler *t, hli_cursor *c, hli_op op, const hli_value *operands) {
  const uint32_t n = t->src->ops.data[op].result_count;
  return hli_make_branch(c, operands[0], operands + 1, n).op;
}

static hli_op open_for(tiler *t, hli_cursor *c, hli_op op, const hli_value *operands) {
  const hl_kernel *k = t->src;
  const hli_for f =
      hli_make_for(c, operands[0], operands[1], operands[2], operands + 3, k->ops.data[op].result_count);
  if (f.op && hli_attr_len(k, op, 0))
    hli_op_set_attr(c->k, f.op, 0, (int64_t[]){hli_attr(k, op, 0, 0)}, 1);
  return f.op;
}

static void clone_control(tiler *t, hli_cursor *c, hli_op op) {
  const hl_kernel *k = t->src;
  const hli_op_data *o = hli_op_get(k, op);
  const hli_region_form form = hli_region_form_of(k, op);
  const uint32_t count = hli_operand_count(k, op), n = o->result_count;
  hli_value operands[HLI_MAX_OPERANDS], next[HLI_MAX_OPERANDS];
  for (uint32_t i = 0; i < count; i++)
    operands[i] = t->map[hli_operand(k, op, i)];
  const hli_op made = o->code == HLI_OP_IF    ? open_if(t, c, op, operands)
                      : o->code == HLI_OP_FOR ? open_for(t, c, op, operands)
                                              : hli_make_region(c, HLI_OP_WHILE, operands, count, n);
  if (!made)
    return;
  const hli_block body = c->k->ops.data[made].region;
  const uint32_t own = hli_region_form_of(c->k, made).args;
  for (uint32_t i = 0; i < form.args; i++) /* the index of a for */
    t->map[hli_block_arg(k, o->region, i)] = hli_block_arg(c->k, body, i);
  for (uint32_t i = 0; i < n; i++)
    t->map[hli_block_arg(k, o->region, form.args + i)] = hli_block_arg(c->k, body, own + i);
  hli_cursor in = {.k = c->k, .block = body, .file = c->file, .line = c->line};
  clone_body(t, &in, o->region);
  const hli_op yield = k->blocks.data[o->region].last;
  for (uint32_t i = 0; i < form.yields + n; i++)
    next[i] = t->map[hli_operand(k, yield, i)];
  hli_make_yield(&in, next, form.yields + n);
  for (uint32_t i = 0; i < n; i++) {
    t->map[hli_result(k, op, i)] = hli_result(c->k, made, i);
    hli_value_set_name(c->k, hli_result(c->k, made, i), k->values.data[hli_result(k, op, i)].name);
  }
}

/* ---- everything else ---- */

/* Properties of a tile are arithmetic on its range from now on. */
static bool clone_property(tiler *t, hli_cursor *c, hli_op op) {
  const hl_kernel *k = t->src;
  const uint16_t code = k->ops.data[op].code;
  if (code != HLI_OP_TILE_BEGIN && code != HLI_OP_TILE_END && code != HLI_OP_TILE_ID && code != HLI_OP_BLOCK_SIZE)
    return false;
  const hli_value tile = t->map[hli_operand(k, op, 0)];
  const int64_t block = hli_axis_lanes(c->k, hli_type_of(c->k, tile)->dims[0]);
  const hli_op range = c->k->values.data[tile].def;
  const hli_value begin = hli_operand(c->k, range, 0), end = hli_operand(c->k, range, 1);
  hli_value v = begin;
  if (code == HLI_OP_TILE_END)
    v = bin(c, HLI_OP_MIN, add(c, begin, i64(c, block)), end);
  if (code == HLI_OP_TILE_ID)
    v = quo(c, begin, i64(c, block));
  if (code == HLI_OP_BLOCK_SIZE)
    v = i64(c, block);
  t->map[hli_result(k, op, 0)] = v;
  return true;
}

static void clone_body(tiler *t, hli_cursor *c, hli_block from) {
  const hl_kernel *k = t->src;
  for (hli_op op = hli_first(k, from); op && !c->k->failed; op = hli_next(k, op)) {
    const uint16_t code = k->ops.data[op].code;
    c->file = hli_intern(c->k, hli_str(k->ops.data[op].file));
    c->line = k->ops.data[op].line;
    if (code == HLI_OP_YIELD)
      continue;
    if (code == HLI_OP_TILE)
      clone_inner(t, c, op);
    else if (code == HLI_OP_FOR || code == HLI_OP_IF || code == HLI_OP_WHILE)
      clone_control(t, c, op);
    else if (!clone_property(t, c, op))
      hli_op_clone(c, k, op, t->map);
  }
}

/* What stands between the roots comes first: it is pure, and they give nothing back. */
static hl_status clone_top(tiler *t, hli_cursor *c) {
  const hl_kernel *k = t->src;
  root roots[HLI_MAX_ROOTS];
  uint32_t n = 0;
  for (hli_op op = hli_first(k, k->body); op && !c->k->failed; op = hli_next(k, op)) {
    c->file = hli_intern(c->k, hli_str(k->ops.data[op].file));
    c->line = k->ops.data[op].line;
    if (k->ops.data[op].code != HLI_OP_TILE) {
      hli_op_clone(c, k, op, t->map);
      continue;
    }
    hl_status s = n < HLI_MAX_ROOTS ? describe_root(t, c, op, &roots[n++]) : HL_ERR_INTERNAL;
    if (s != HL_OK)
      return s;
  }
  const int64_t type = hli_config_value(t->env->config, HLI_KNOB_PID_TYPE, 0, 0);
  if (type)
    open_persistent(t, c, roots, n, type == 1);
  else
    open_roots(t, c, roots, n, program_id(t, c));
  return HL_OK;
}

hl_status hli_pass_tile(hli_pass_env *env, hl_kernel **pk) {
  const hl_kernel *k = *pk;
  tiler t = {.env = env, .src = k, .dst = hli_kernel_clone_header(k, HLI_STAGE_TILE)};
  t.map = hli_calloc(k->alloc, k->values.len, sizeof *t.map);
  hl_status s = HL_OK;
  if (t.dst && t.map) {
    for (uint32_t p = 0; p < k->params.len; p++)
      t.map[k->params.data[p].value] = t.dst->params.data[p].value;
    choose_blocks(&t);
    hli_cursor c = {.k = t.dst, .block = t.dst->body, .file = ""};
    s = clone_top(&t, &c);
    t.dst->scheduled = true;
  }
  if (s == HL_OK && (!t.dst || !t.map || t.dst->failed))
    s = hli_fail_memory(env->diag, "tiling a kernel");
  hli_release(k->alloc, t.map, k->values.len * sizeof *t.map);
  if (s != HL_OK) {
    hl_kernel_destroy(t.dst);
    return s;
  }
  hl_kernel_destroy(*pk);
  *pk = t.dst;
  return hli_pass_simplify(env, pk);
}
