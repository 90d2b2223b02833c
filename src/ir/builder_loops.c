/* builder_loops.c: the builder's regions: tile loops, grids of scalar indices, if with else, while.  Each is a pair of
 * calls; what is carried goes in at the first and comes out at the second. */
#include "src/ir/builder.h"

/* ---- loops ---- */

/* The tensor dimension a loop's end is the size of, 0 if it is something else. */
static hli_dim extent_dim(const hl_kernel *k, hli_value end) {
  const hli_op def = k->values.data[end].def;
  if (!def || k->ops.data[def].code != HLI_OP_SIZE)
    return 0;
  return hli_type_of(k, hli_operand(k, def, 0))->dims[hli_attr(k, def, 0, 0)];
}

/* The tunable that gives tile d its block; false: the value is none. */
static bool tunable_block(hl_builder *b, const hl_tile_options *o, uint32_t d, uint32_t *out) {
  const hl_value v = o && o->blocks ? o->blocks[d] : HL_POISON;
  *out = 0;
  if (v == HL_POISON)
    return true;
  if (!hli_builder_ok(b, v))
    return false;
  const hli_op def = b->k->values.data[v].def;
  if (!def || b->k->ops.data[def].code != HLI_OP_TUNABLE || hli_dtype_of(b->k, v) == HL_BOOL) {
    hli_builder_complain(b,
                         "tile %u: a block is fixed by block_min and block_max, or is what hl_tunable_power, "
                         "hl_tunable_integer or hl_tunable_enum gave",
                         d);
    return false;
  }
  *out = 1 + (uint32_t)hli_attr(b->k, def, 0, 0);
  int64_t values[HLI_TUNABLE_MOST];
  const hli_tunable *t = &b->k->tunables.data[*out - 1];
  const uint32_t n = hli_tunable_values(t, values);
  if (!o->block_min[d] && !o->block_max[d] && values[0] >= 1 && values[n - 1] <= 1 << 20)
    return true;
  hli_builder_complain(b,
                       "tile %u: the block %s goes from %lld to %lld; it must lie within 1 and 2^20, and block_min and "
                       "block_max be 0",
                       d, t->name, (long long)values[0], (long long)values[n - 1]);
  return false;
}

static bool loop_axes(hl_builder *b, const hl_value *extents, uint32_t rank, const hl_tile_options *o, int64_t *axes) {
  static const char names[] = "ijklmnpqrst";
  for (uint32_t d = 0; d < rank; d++) {
    uint32_t tiles = 0;
    for (uint32_t i = 1; i < b->k->axes.len; i++)
      tiles += b->k->axes.data[i].kind == HLI_AXIS_TILE;
    hli_axis a = hli_axis_tile(b->k, (hl_str){&names[HLI_MIN(tiles, sizeof names - 2)], 1});
    hli_axis_data *x = &b->k->axes.data[a];
    x->block_min = o ? o->block_min[d] : 0;
    x->block_max = o ? o->block_max[d] : 0;
    x->dim = extent_dim(b->k, extents[d]);
    if (!tunable_block(b, o, d, &b->k->axes.data[a].tunable))
      return false;
    if (x->block_min < 0 || x->block_max < 0 || (x->block_max && x->block_min > x->block_max) ||
        x->block_max > (1 << 20)) {
      hli_builder_complain(b, "tile %u: block limits %lld to %lld are not a range within 1 and 2^20", d,
                           (long long)x->block_min, (long long)x->block_max);
      return false;
    }
    if (x->block_min != x->block_max && x->block_max &&
        (int64_t)hli_next_pow2((uint64_t)HLI_MAX(x->block_min, 1)) > x->block_max) {
      hli_builder_complain(b, "tile %u: there is no power of two between the block limits %lld and %lld", d,
                           (long long)x->block_min, (long long)x->block_max);
      return false;
    }
    axes[d] = a;
  }
  return true;
}

/* An extent or begin as an i64 scalar. */
static bool bound(hl_builder *b, hl_value v, hli_value *out) {
  char words[HLI_TYPE_WORDS];
  if (!hli_builder_ok(b, v))
    return false;
  const hli_type_data *t = hli_type_of(b->k, v);
  const char kind = t->kind == HLI_TYPE_VALUE && t->rank == 0 ? hli_dtype_kind((hl_dtype)t->dtype) : 0;
  if (kind != 'i' && kind != 'u') {
    hli_builder_complain(
        b, "a tile's bounds must be integer scalars, not %s%s", hli_type_words(b->k, b->k->values.data[v].type, words),
        t->kind == HLI_TYPE_TILE ? " (a tile of a tile: loop from hl_tile_first to hl_tile_last)" : "");
    return false;
  }
  *out = hli_builder_cast(b, v, HL_I64);
  return *out != HL_POISON;
}

/* The region has been made: what follows goes into it. */
static void enter(hl_builder *b, hli_op op, uint32_t carried, hl_value *carried_in) {
  hl_kernel *k = b->k;
  const hli_block body = op ? k->ops.data[op].region : 0;
  const hli_loop loop = {.op = op, .carried = carried, .outer = b->at};
  const uint32_t own = op ? hli_region_form_of(k, op).args : 0;
  for (uint32_t i = 0; i < carried && body; i++)
    carried_in[i] = hli_block_arg(k, body, own + i);
  if (!body || k->failed || !hli_vec_push(b->alloc, &b->loops, loop)) {
    hli_builder_no_memory(b);
    return;
  }
  b->at.block = body;
  b->at.before = 0;
}

static void open_region(hl_builder *b, hli_op op, const int64_t *axes, uint32_t rank, const hl_tile_options *o,
                        hl_value *tiles) {
  hl_kernel *k = b->k;
  hli_block body = hli_block_create(k, op);
  const uint32_t carried = o ? o->carried_count : 0;
  for (uint32_t d = 0; d < rank && body; d++)
    tiles[d] = hli_block_add_arg(k, body, hli_type_tile(k, (hli_axis)axes[d]), hli_str(k->axes.data[axes[d]].name));
  for (uint32_t i = 0; i < carried && body; i++)
    hli_block_add_arg(k, body, k->values.data[hli_result(k, op, i)].type, hli_str(""));
  enter(b, op, carried, o ? o->carried_in : NULL);
}

static bool room_for_region(hl_builder *b) {
  if (b->loops.len < HLI_MAX_NESTING)
    return true;
  hli_builder_complain(b, "loops are nested deeper than %d", HLI_MAX_NESTING);
  return false;
}

void(hl_tile_begin_ex)(hl_builder *b, const hl_value *extents, uint32_t rank, const hl_tile_options *options,
                       hl_value *tiles) {
  hl_tile_options own = HL_TILE_OPTIONS_INIT;
  const hl_tile_options *o = options ? &own : NULL;
  hli_value operands[HLI_MAX_OPERANDS] = {0};
  hli_type types[HLI_MAX_OPERANDS];
  int64_t axes[HL_MAX_RANK];
  if (!b || b->diag.status != HL_OK)
    return;
  for (uint32_t d = 0; tiles && d < rank && d < HL_MAX_RANK; d++)
    tiles[d] = HL_POISON;
  if (options && !hli_struct_take(&own, sizeof own, options)) {
    hli_builder_complain(b, "hl_tile_options.size is %zu: start from HL_TILE_OPTIONS_INIT", options->size);
    return;
  }
  if (!extents || !tiles) {
    hli_builder_complain(b, "hl_tile_begin: %s is NULL", extents ? "tiles" : "extents");
    return;
  }
  const uint32_t carried = o ? o->carried_count : 0;
  if (rank < 1 || rank > HL_MAX_RANK || (carried && (!o->carried || !o->carried_in)) ||
      carried > HLI_MAX_OPERANDS - 2 * HL_MAX_RANK) {
    hli_builder_complain(b, "hl_tile_begin: wants 1 to %d extents and as many tiles, and at most %d carried values",
                         HL_MAX_RANK, HLI_MAX_OPERANDS - 2 * HL_MAX_RANK);
    return;
  }
  if (!room_for_region(b))
    return;
  for (uint32_t d = 0; d < rank; d++) {
    const hl_value begin = o && o->begins ? o->begins[d] : (hl_const_i)(b, 0);
    if (!bound(b, begin, &operands[d]) || !bound(b, extents[d], &operands[rank + d]))
      return;
  }
  for (uint32_t i = 0; i < carried; i++) {
    if (!hli_builder_is_value(b, o->carried[i], "carried value"))
      return;
    operands[2 * rank + i] = o->carried[i];
  }
  if (!loop_axes(b, extents, rank, o, axes))
    return;
  hli_op_desc d = {.code = HLI_OP_TILE,
                   .operands = operands,
                   .operand_count = 2 * rank + carried,
                   .results = types,
                   .result_count = carried,
                   .attrs = axes,
                   .attr_len = {rank}};
  hl_diag diag = {0};
  if (hli_infer(b->k, &d, types, &diag) != HL_OK) {
    hli_builder_complain(b, "%s", diag.message);
    return;
  }
  hli_op op = hli_op_create(&b->at, &d);
  if (op)
    open_region(b, op, axes, rank, o, tiles);
  else
    hli_builder_no_memory(b);
}

void(hl_tile_begin)(hl_builder *b, const hl_value *extents, uint32_t rank, hl_value *tiles) {
  (hl_tile_begin_ex)(b, extents, rank, NULL, tiles);
}

/* Next values must have the carried types exactly; casts would hide a loss of precision in the loop. */
static bool check_next(hl_builder *b, const hli_loop *loop, const hl_value *next) {
  char x[HLI_TYPE_WORDS], y[HLI_TYPE_WORDS];
  for (uint32_t i = 0; i < loop->carried; i++) {
    if (!hli_builder_is_value(b, next[i], "carried value"))
      return false;
    const hli_type want = b->k->values.data[hli_result(b->k, loop->op, i)].type, got = b->k->values.data[next[i]].type;
    if (want == got)
      continue;
    hli_builder_complain(b, "carried value %u starts as %s but its next value is %s", i + 1,
                         hli_type_words(b->k, want, x), hli_type_words(b->k, got, y));
    return false;
  }
  return true;
}

static const char *const brackets[][2] = {{"hl_tile_begin", "hl_tile_end"},
                                          {"hl_if_begin", "hl_if_end"},
                                          {"hl_while_begin", "hl_while_end"},
                                          {"hl_reduce_begin", "hl_reduce_end"},
                                          {"hl_scan_begin", "hl_scan_end"}};

static const char *bracket(hli_opcode code, uint32_t side) {
  const hli_opcode codes[] = {HLI_OP_TILE, HLI_OP_IF, HLI_OP_WHILE, HLI_OP_FOLD, HLI_OP_SCAN};
  uint32_t i = HLI_COUNT(codes);
  while (i > 1 && codes[i - 1] != code)
    i--;
  return brackets[i - 1][side];
}

static const char *opener(hli_opcode code) {
  return bracket(code, 0);
}

const char *hli_builder_closer(hli_opcode code) {
  return bracket(code, 1);
}

/* The innermost open region, which `who` closes or splits; NULL after a complaint. */
static const hli_loop *innermost(hl_builder *b, hli_opcode code, const char *who, const hl_value *next,
                                 const hl_value *results) {
  const hli_loop *loop = b->loops.len ? &b->loops.data[b->loops.len - 1] : NULL;
  const hli_opcode open = loop ? (hli_opcode)b->k->ops.data[loop->op].code : HLI_OP_NONE;
  if (!loop)
    hli_builder_complain(b, "%s without an open %s", who, code == HLI_OP_TILE ? "loop" : hli_op_facts(code)->text);
  else if (open != code)
    hli_builder_complain(b, "%s stands where %s of line %u is open: close that first with %s", who, opener(open),
                         b->k->ops.data[loop->op].line, hli_builder_closer(open));
  else if (loop->carried && (!next || !results))
    hli_builder_complain(b, "%s: the loop carries %u values: give their next values and room for the results", who,
                         loop->carried);
  else
    return loop;
  return NULL;
}

bool hli_builder_closes(hl_builder *b, hli_opcode code, const hl_value *next, const hl_value *results) {
  return innermost(b, code, hli_builder_closer(code), next, results) != NULL;
}

/* Ends the region: its next values, before them `own` (the next condition; 0: none). */
static void close_region(hl_builder *b, hli_loop loop, hl_value own, const hl_value *next, hl_value *results) {
  hli_value values[HLI_MAX_OPERANDS] = {own};
  const uint32_t first = own != HL_POISON;
  for (uint32_t i = 0; i < loop.carried; i++)
    values[first + i] = next[i];
  hli_make_yield(&b->at, values, first + loop.carried);
  for (uint32_t i = 0; i < loop.carried; i++)
    results[i] = hli_result(b->k, loop.op, i);
  b->at.block = loop.outer.block;
  b->at.before = loop.outer.before;
  b->loops.len--;
}

void(hl_tile_end)(hl_builder *b, const hl_value *next, hl_value *results) {
  if (!b || b->diag.status != HL_OK)
    return;
  const hli_loop *loop = innermost(b, HLI_OP_TILE, "hl_tile_end", next, results);
  if (!loop)
    return;
  if (hli_first(b->k, b->at.block) == 0) {
    hli_builder_complain(b, "the tile loop is empty");
    return;
  }
  if (check_next(b, loop, next))
    close_region(b, *loop, HL_POISON, next, results);
}

void(hl_grid_begin)(hl_builder *b, const hl_value *extents, uint32_t rank, hl_value *index) {
  hl_tile_options o = HL_TILE_OPTIONS_INIT;
  hl_value tiles[HL_MAX_RANK] = {0};
  if (!b || b->diag.status != HL_OK)
    return;
  if (!index || rank > HL_MAX_RANK) {
    hli_builder_complain(b, "hl_grid_begin: wants 1 to %d extents and as many indices", HL_MAX_RANK);
    return;
  }
  for (uint32_t d = 0; d < rank; d++)
    o.block_min[d] = o.block_max[d] = 1, index[d] = HL_POISON;
  (hl_tile_begin_ex)(b, extents, rank, &o, tiles);
  for (uint32_t d = 0; d < rank && b->diag.status == HL_OK; d++)
    index[d] = hl_tile_first(b, tiles[d]);
}

/* ---- if, while ---- */

/* A condition as a bool scalar. */
static hl_value condition(hl_builder *b, hl_value cond, const char *who) {
  char words[HLI_TYPE_WORDS];
  if (!hli_builder_ok(b, cond))
    return HL_POISON;
  const hli_type_data *t = hli_type_of(b->k, cond);
  if (t->kind == HLI_TYPE_VALUE && t->rank == 0)
    return hli_builder_truth(b, cond);
  return hli_builder_complain(
      b, "%s: the condition must be a scalar, not %s (of tile values choose elements with hl_where, or reduce them)",
      who, hli_type_words(b->k, b->k->values.data[cond].type, words));
}

static void open_control(hl_builder *b, hli_opcode code, hl_value cond, const hl_value *carried, uint32_t n,
                         hl_value *carried_in) {
  hli_value operands[HLI_MAX_OPERANDS];
  if (!b || b->diag.status != HL_OK)
    return;
  if (n > HLI_MAX_OPERANDS - 2 || (n && (!carried || !carried_in))) {
    hli_builder_complain(b, "%s: wants at most %d carried values and room for as many inside", opener(code),
                         HLI_MAX_OPERANDS - 2);
    return;
  }
  operands[0] = condition(b, cond, opener(code));
  if (operands[0] == HL_POISON || !room_for_region(b))
    return;
  for (uint32_t i = 0; i < n; i++) {
    if (!hli_builder_is_value(b, carried[i], "carried value"))
      return;
    operands[1 + i] = carried[i];
  }
  enter(b, hli_make_region(&b->at, code, operands, 1 + n, n), n, carried_in);
}

void(hl_if_begin)(hl_builder *b, hl_value cond, const hl_value *carried, uint32_t n, hl_value *carried_in) {
  open_control(b, HLI_OP_IF, cond, carried, n, carried_in);
}

void(hl_else)(hl_builder *b, const hl_value *next, hl_value *carried_in) {
  hl_value results[HLI_MAX_OPERANDS] = {0};
  if (!b || b->diag.status != HL_OK)
    return;
  const hli_loop *loop = innermost(b, HLI_OP_IF, "hl_else", next, carried_in);
  if (!loop || !check_next(b, loop, next))
    return;
  if (loop->is_else) {
    hli_builder_complain(b, "hl_else: this if has its else already");
    return;
  }
  const hl_value cond = hli_operand(b->k, loop->op, 0);
  const uint32_t n = loop->carried;
  close_region(b, *loop, HL_POISON, next, results);
  open_control(b, HLI_OP_IF, hl_unary(b, HL_NOT, cond), results, n, carried_in);
  if (b->diag.status == HL_OK)
    b->loops.data[b->loops.len - 1].is_else = true;
}

void(hl_if_end)(hl_builder *b, const hl_value *next, hl_value *results) {
  if (!b || b->diag.status != HL_OK)
    return;
  const hli_loop *loop = innermost(b, HLI_OP_IF, "hl_if_end", next, results);
  if (loop && check_next(b, loop, next))
    close_region(b, *loop, HL_POISON, next, results);
}

void(hl_while_begin)(hl_builder *b, hl_value cond, const hl_value *carried, uint32_t n, hl_value *carried_in) {
  open_control(b, HLI_OP_WHILE, cond, carried, n, carried_in);
}

void(hl_while_end)(hl_builder *b, hl_value again, const hl_value *next, hl_value *results) {
  if (!b || b->diag.status != HL_OK)
    return;
  const hli_loop *loop = innermost(b, HLI_OP_WHILE, "hl_while_end", next, results);
  if (!loop || !check_next(b, loop, next))
    return;
  const hl_value cond = condition(b, again, "hl_while_end");
  if (cond != HL_POISON)
    close_region(b, b->loops.data[b->loops.len - 1], cond, next, results);
}
