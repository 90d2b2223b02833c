/* run.c: the interpreter's entry: sets the machine up, runs all programs, executes blocks and loops.
 *
 * An unscheduled kernel runs its body once; each top-level `tile` then starts one program per tile.
 * Any other kernel runs its body once per program of kernel.grid. SPDX-License-Identifier: MIT */
#include "src/ir/interp/bind.h"
#include "src/ir/interp/place.h"
#include "src/ir/interp/race.h"

/* One pass through a loop's region: instances of axes that it opens end with it. */
static hl_status exec_region(hli_machine *m, hli_op op) {
  const size_t n = m->k->axes.len;
  if (m->depth >= HLI_INTERP_DEPTH)
    return hli_machine_fail(m, HL_ERR_LIMIT, op, "more than %u nested loops", HLI_INTERP_DEPTH);
  hli_axis_state *outer = m->outer + m->depth++ * n;
  memcpy(outer, m->axes, n * sizeof *outer);
  const hl_status s = hli_exec_block(m, hli_op_get(m->k, op)->region);
  memcpy(m->axes, outer, n * sizeof *outer);
  m->depth--;
  return s;
}

/* ---- loops ---- */

/* Carried values: operands of the loop from `first` on -> region arguments from `arg` on. */
static hl_status enter_carried(hli_machine *m, hli_op op, uint32_t first, uint32_t arg) {
  const hli_block b = hli_op_get(m->k, op)->region;
  for (uint32_t i = first; i < hli_operand_count(m->k, op); i++) {
    hl_status s = hli_ival_assign(m, hli_block_arg(m->k, b, arg + i - first), hli_operand(m->k, op, i));
    if (s)
      return s;
  }
  return HL_OK;
}

/* The yielded values become the region's arguments.  Through the loop's results, which nobody reads
 * before the loop ends: a yield may permute its own arguments. */
static hl_status next_carried(hli_machine *m, hli_op op, uint32_t arg) {
  const hli_block b = hli_op_get(m->k, op)->region;
  const hli_op yield = m->k->blocks.data[b].last;
  const uint32_t n = hli_op_get(m->k, op)->result_count, own = hli_region_form_of(m->k, op).yields;
  if (n && (!yield || hli_op_get(m->k, yield)->code != HLI_OP_YIELD || hli_operand_count(m->k, yield) != own + n))
    return hli_machine_fail(m, HL_ERR_INTERNAL, op, "the loop's region does not yield its %u carried values", n);
  hl_status s = HL_OK;
  for (uint32_t i = 0; i < n && !s; i++)
    s = hli_ival_assign(m, hli_result(m->k, op, i), hli_operand(m->k, yield, own + i));
  for (uint32_t i = 0; i < n && !s; i++)
    s = hli_ival_assign(m, hli_block_arg(m->k, b, arg + i), hli_result(m->k, op, i));
  return s;
}

static hl_status leave_carried(hli_machine *m, hli_op op, uint32_t arg) {
  const hli_block b = hli_op_get(m->k, op)->region;
  hl_status s = HL_OK;
  for (uint32_t i = 0; i < hli_op_get(m->k, op)->result_count && !s; i++)
    s = hli_ival_assign(m, hli_result(m->k, op, i), hli_block_arg(m->k, b, arg + i));
  return s;
}

static hl_status exec_for(hli_machine *m, hli_op op) {
  const int64_t begin = hli_ival_int(hli_ival_operand(m, op, 0)), end = hli_ival_int(hli_ival_operand(m, op, 1));
  const int64_t step = hli_ival_int(hli_ival_operand(m, op, 2));
  const hli_block b = hli_op_get(m->k, op)->region;
  if (step <= 0)
    return hli_machine_fail(m, HL_ERR_BUILD, op, "the step is %lld, it must be positive", (long long)step);
  hl_status s = enter_carried(m, op, 3, 1);
  for (int64_t i = begin; i < end && !s; i += step) {
    hli_ival *iv;
    s = hli_ival_prepare(m, op, hli_block_arg(m->k, b, 0), &iv);
    if (!s)
      iv->data[0].i = i;
    if (!s)
      s = exec_region(m, op);
    if (!s)
      s = next_carried(m, op, 1);
    if (hli_span_of(i, end) <= step)
      break; /* i + step may not fit */
  }
  return s ? s : leave_carried(m, op, 1);
}

static hl_status exec_while(hli_machine *m, hli_op op) {
  const hli_block b = hli_op_get(m->k, op)->region;
  bool again = hli_ival_int(hli_ival_operand(m, op, 0)) != 0;
  hl_status s = enter_carried(m, op, 1, 0);
  while (again && !s) {
    s = exec_region(m, op);
    if (!s && hli_op_get(m->k, op)->code == HLI_OP_WHILE) /* before the carried values change under it */
      again = hli_ival_int(hli_ival_operand(m, m->k->blocks.data[b].last, 0)) != 0;
    else
      again = false;
    if (!s)
      s = next_carried(m, op, 0);
  }
  return s ? s : leave_carried(m, op, 0);
}

/* Lanes of a tile loop's axis: the axis' own, the caller's, or a small uneven number. */
static int64_t choose_block(const hli_machine *m, hli_axis axis) {
  const hli_axis_data *a = &m->k->axes.data[axis];
  static const int64_t small[] = {3, 5, 4, 2};
  if (a->block > 0)
    return a->block;
  if (a->tunable)
    return m->k->tunables.data[a->tunable - 1].preferred;
  if (axis < m->options.block_count && m->options.blocks && m->options.blocks[axis] > 0)
    return m->options.blocks[axis];
  int64_t block = small[axis % HLI_COUNT(small)];
  if (a->block_max > 0)
    block = HLI_MIN(block, a->block_max);
  return HLI_MAX(block, HLI_MAX(a->block_min, 1));
}

static void open_tile(hli_machine *m, hli_value v, hli_axis axis, int64_t begin, int64_t end, int64_t block) {
  m->axes[axis] = (hli_axis_state){block, HLI_MIN(block, hli_span_of(begin, end))};
  *hli_ival_of(m, v) =
      (hli_ival){.kind = HLI_IVAL_TILE, .rank = 1, .size = {block}, .begin = begin, .end = end, .axis = axis};
}

static hl_status exec_tile(hli_machine *m, hli_op op) {
  const uint32_t rank = hli_attr_len(m->k, op, 0);
  const hli_op_data *o = hli_op_get(m->k, op);
  const bool grid = o->block == m->k->body;
  int64_t begin[HL_MAX_RANK], end[HL_MAX_RANK], block[HL_MAX_RANK], tiles[HL_MAX_RANK], at[HL_MAX_RANK] = {0};
  hli_axis axis[HL_MAX_RANK];
  bool any = true;
  for (uint32_t d = 0; d < rank; d++) {
    axis[d] = (hli_axis)hli_attr(m->k, op, 0, d);
    begin[d] = hli_ival_int(hli_ival_operand(m, op, d));
    end[d] = hli_ival_int(hli_ival_operand(m, op, rank + d));
    block[d] = choose_block(m, axis[d]);
    tiles[d] = end[d] > begin[d] ? (hli_span_of(begin[d], end[d]) - 1) / block[d] + 1 : 0;
    any &= tiles[d] > 0;
  }
  hli_axis_state before[HL_MAX_RANK];
  for (uint32_t d = 0; d < rank; d++)
    before[d] = m->axes[axis[d]];
  hl_status s = enter_carried(m, op, 2 * rank, rank);
  while (any && !s) {
    if (grid)
      m->program++;
    for (uint32_t d = 0; d < rank; d++)
      open_tile(m, hli_block_arg(m->k, o->region, d), axis[d], begin[d] + at[d] * block[d], end[d], block[d]);
    s = exec_region(m, op);
    if (!s)
      s = next_carried(m, op, rank);
    any = hli_next_coord(at, tiles, rank);
  }
  for (uint32_t d = 0; d < rank; d++)
    m->axes[axis[d]] = before[d];
  return s ? s : leave_carried(m, op, rank);
}

/* ---- ops and blocks ---- */

static hl_status exec_op(hli_machine *m, hli_op op) {
  const hli_opcode code = (hli_opcode)hli_op_get(m->k, op)->code;
  const hli_op_info *facts = hli_op_facts(code);
  switch (facts->family) {
  case HLI_FAM_UNARY:
  case HLI_FAM_BINARY:
  case HLI_FAM_TERNARY:
  case HLI_FAM_CAST:
    return hli_exec_pointwise(m, op);
  case HLI_FAM_CONST:
    return hli_exec_const(m, op);
  case HLI_FAM_SHAPE:
    return hli_exec_shape(m, op);
  case HLI_FAM_SCALAR:
    return hli_exec_scalar(m, op);
  case HLI_FAM_TILE:
    return hli_exec_tile_op(m, op);
  case HLI_FAM_GATHER:
    return hli_exec_gather(m, op);
  case HLI_FAM_ACCESS:
    return hli_exec_access(m, op);
  case HLI_FAM_REDUCE:
    return code == HLI_OP_REDUCE ? hli_exec_reduce(m, op) : hli_exec_lane(m, op);
  case HLI_FAM_FOLD:
    return hli_exec_fold(m, op);
  case HLI_FAM_DOT:
    return hli_exec_dot(m, op);
  case HLI_FAM_LOOP:
    return code == HLI_OP_TILE ? exec_tile(m, op) : code == HLI_OP_FOR ? exec_for(m, op) : exec_while(m, op);
  case HLI_FAM_BUFFER:
    return hli_exec_buffer(m, op);
  case HLI_FAM_LANE:
    return code == HLI_OP_CONVERT ? hli_exec_lane(m, op) : hli_exec_shared(m, op);
  case HLI_FAM_ASYNC:
    return hli_exec_shared(m, op);
  case HLI_FAM_CONTROL:
    return hli_exec_sync(m, op);
  case HLI_FAM_GROUP:
    return hli_exec_group(m, op);
  default:
    return hli_machine_fail(m, HL_ERR_INTERNAL, op, "the interpreter does not know '%s'", facts->text);
  }
}

hl_status hli_exec_block(hli_machine *m, hli_block b) {
  for (hli_op op = hli_first(m->k, b); op; op = hli_next(m->k, op)) {
    if (m->options.max_steps && m->steps >= m->options.max_steps)
      return hli_machine_fail(m, HL_ERR_LIMIT, op, "more than %llu ops: raise max_steps or make the problem smaller",
                              (unsigned long long)m->options.max_steps);
    m->steps++;
    hl_status s = exec_op(m, op);
    if (!s)
      s = hli_lane_check(m, op);
    if (s)
      return s;
  }
  return HL_OK;
}

/* ---- programs ---- */

/* The programs of all grids: each has the product of its axes. */
static hl_status count_programs(hli_machine *m, int64_t *out) {
  int64_t before = 0, grid = 1;
  for (uint32_t i = 0; i < m->k->grid.len; i++) {
    const hli_grid_axis *g = &m->k->grid.data[i];
    const int64_t size = g->dim ? m->dims[g->dim] : g->constant;
    if (g->opens)
      before += grid, grid = 1;
    if (size < 0 || g->block <= 0 || __builtin_mul_overflow(grid, size ? (size - 1) / g->block + 1 : 0, &grid) ||
        grid > INT64_MAX / 2 - before)
      return hli_fail(m->diag, HL_ERR_BUILD, "kernel '%s': grid axis %u has size %lld and block %lld", m->k->name,
                      (unsigned)i, (long long)size, (long long)g->block);
  }
  *out = before + grid;
  return HL_OK;
}

static hl_status run_programs(hli_machine *m) {
  if (m->k->stage == HLI_STAGE_TILE && !m->k->scheduled) {
    m->program = -1; /* outside all tile loops */
    return hli_exec_block(m, m->k->body);
  }
  int64_t programs = 0;
  hl_status s = count_programs(m, &programs);
  for (m->program = 0; m->program < programs && !s;) {
    hli_shared_begin(m);
    for (uint32_t i = 0; i < m->k->axes.len; i++)
      m->axes[i].lanes = -1;
    s = hli_exec_block(m, m->k->body);
    m->program += !s;
  }
  return s;
}

static hl_status machine_open(hli_machine *m) {
  const hl_kernel *k = m->k;
  m->values = hli_calloc(m->alloc, k->values.len, sizeof *m->values);
  m->axes = hli_calloc(m->alloc, k->axes.len, sizeof *m->axes);
  m->outer = hli_calloc(m->alloc, (size_t)k->axes.len * HLI_INTERP_DEPTH, sizeof *m->outer);
  m->dims = hli_calloc(m->alloc, k->dims.len, sizeof *m->dims);
  m->tensors = hli_calloc(m->alloc, k->params.len, sizeof *m->tensors);
  m->op_checked = hli_calloc(m->alloc, k->ops.len, sizeof *m->op_checked);
  if (!m->values || !m->axes || !m->outer || !m->dims || !m->tensors || !m->op_checked)
    return hli_machine_no_memory(m);
  for (uint32_t i = 0; i < k->axes.len; i++)
    m->axes[i].lanes = -1;
  m->warp_size = 32;
  m->threads = m->warp_size * HLI_MAX(k->launch.warps, 1u);
  return HL_OK;
}

static void machine_close(hli_machine *m) {
  const hl_kernel *k = m->k;
  for (uint32_t i = 0; m->values && i < k->values.len; i++)
    hli_ival_free(m, &m->values[i]);
  for (uint32_t i = 0; m->tensors && i < k->params.len; i++) {
    hli_release(m->alloc, m->tensors[i].touch, (size_t)m->tensors[i].count * sizeof(hli_touch));
    hli_release(m->alloc, m->tensors[i].order, (size_t)m->tensors[i].count * sizeof(hli_order));
  }
  for (uint32_t i = 0; i < m->memory.len; i++)
    hli_release(m->alloc, m->memory.data[i].cells, (size_t)m->memory.data[i].count * sizeof(hli_icell));
  hli_vec_free(m->alloc, &m->memory);
  hli_vec_free(m->alloc, &m->shared);
  hli_vec_free(m->alloc, &m->flights);
  hli_places_free(m);
  hli_release(m->alloc, m->values, k->values.len * sizeof *m->values);
  hli_release(m->alloc, m->axes, k->axes.len * sizeof *m->axes);
  hli_release(m->alloc, m->outer, (size_t)k->axes.len * HLI_INTERP_DEPTH * sizeof *m->outer);
  hli_release(m->alloc, m->dims, k->dims.len * sizeof *m->dims);
  hli_release(m->alloc, m->tensors, k->params.len * sizeof *m->tensors);
  hli_release(m->alloc, m->op_checked, k->ops.len * sizeof *m->op_checked);
}

static hl_status open_and_run(const hl_kernel *k, const hl_allocator *alloc, const hl_arg *args, size_t count,
                              const hli_interp_options *options, bool run, hl_diag *diag) {
  hli_machine m = {.k = k, .alloc = alloc, .diag = diag, .program = -1};
  if (options)
    m.options = *options;
  hl_status s = machine_open(&m);
  if (!s)
    s = hli_bind(&m, args, count);
  if (!s && run) {
    hli_fill_initial(&m);
    s = run_programs(&m);
  }
  machine_close(&m);
  return s;
}

hl_status hli_interp_run(const hl_kernel *k, const hl_allocator *alloc, const hl_arg *args, size_t arg_count,
                         const hli_interp_options *options, hl_diag *diag) {
  return open_and_run(k, alloc, args, arg_count, options, true, diag);
}

hl_status hli_interp_check(const hl_kernel *k, const hl_allocator *alloc, const hl_arg *args, size_t arg_count,
                           const hli_interp_options *options, hl_diag *diag) {
  return open_and_run(k, alloc, args, arg_count, options, false, diag);
}
