/* default.c: the configuration used when nothing has been measured.
 *
 * The rules, in words.  Blocks are chosen so that (1) a program moves or computes enough to hide its own
 * overhead, (2) there are enough programs to fill the machine, (3) its tile values fit registers (GPU) or
 * caches (CPU).  Numbers have their source beside them. */
#include "src/cost/cost.h"

typedef struct model {
  const hl_kernel *k;
  const hl_target *target;
  const hli_space *space;
  hl_config *c;
  hli_kernel_facts facts;
} model;

/* Sets a knob to the legal value nearest below (or the smallest above). */
static void choose(model *m, hli_knob knob, uint32_t instance, int64_t want) {
  const hli_space_entry *e = hli_space_find(m->space, knob, instance);
  if (!e || !e->value_count)
    return;
  int64_t best = e->values[0];
  for (uint32_t i = 0; i < e->value_count; i++)
    if (e->values[i] <= want)
      best = e->values[i];
  hli_config_set(m->c, knob, instance, best);
}

static void choose_block(model *m, hli_axis a, int64_t want) {
  choose(m, HLI_KNOB_BLOCK_SIZES, m->facts.axes[a].instance, want);
}

static int64_t extent_or(const model *m, hli_axis a, int64_t otherwise) {
  return m->facts.axes[a].extent >= 0 ? m->facts.axes[a].extent : otherwise;
}

static bool has_role(const model *m, hli_axis a, uint32_t role) {
  return (m->facts.axes[a].roles & role) != 0;
}

static hli_axis find_axis(const model *m, uint32_t role) {
  for (hli_axis a = 1; a < m->facts.axis_count; a++)
    if (has_role(m, a, role))
      return a;
  return 0;
}

/* Lanes of the full axes together: the row a program holds. */
static int64_t row_lanes(const model *m) {
  int64_t n = 1;
  for (hli_axis a = 1; a < m->facts.axis_count; a++)
    if (has_role(m, a, HLI_ROLE_FULL))
      n *= HLI_MAX(extent_or(m, a, 4096), 1);
  return n;
}

/* Splits `lanes` over the axes of a tile loop: the contiguous one (else the last) first, then the others. */
static void spread_over(model *m, hli_op loop, int64_t lanes) {
  const uint32_t n = hli_attr_len(m->k, loop, 0);
  hli_axis inner = 0;
  for (uint32_t d = 0; d < n; d++) {
    const hli_axis a = (hli_axis)hli_attr(m->k, loop, 0, d);
    if (has_role(m, a, HLI_ROLE_CONTIGUOUS) || !inner)
      inner = a;
  }
  const int64_t cap = (int64_t)hli_next_pow2((uint64_t)HLI_MAX(extent_or(m, inner, lanes), 1));
  const int64_t first = has_role(m, inner, HLI_ROLE_CONTIGUOUS) || n == 1 ? HLI_MIN(lanes, cap) : 1;
  choose_block(m, inner, first);
  int64_t left = HLI_MAX(lanes / first, 1);
  for (uint32_t d = n; d-- > 0;) {
    const hli_axis a = (hli_axis)hli_attr(m->k, loop, 0, d);
    if (a == inner)
      continue;
    const int64_t take = HLI_MIN(left, (int64_t)hli_next_pow2((uint64_t)HLI_MAX(extent_or(m, a, left), 1)));
    choose_block(m, a, take);
    left = HLI_MAX(left / take, 1);
  }
}

static hli_op enclosing_tile(const hl_kernel *k, hli_op op) {
  do
    op = k->blocks.data[k->ops.data[op].block].parent;
  while (op && k->ops.data[op].code != HLI_OP_TILE);
  return op;
}

static bool is_grid(const hl_kernel *k, hli_op op) {
  return k->ops.data[op].block == k->body;
}

static bool holds_tile(const hl_kernel *k, hli_op loop) {
  for (hli_op op = 1; op < k->ops.len; op++)
    if (!k->ops.data[op].dead && k->ops.data[op].code == HLI_OP_TILE && op != loop && enclosing_tile(k, op) == loop)
      return true;
  return false;
}

/* Splits `lanes` over the axes of every grid. */
static void spread_block(model *m, int64_t lanes) {
  for (hli_op op = 1; op < m->k->ops.len; op++)
    if (!m->k->ops.data[op].dead && m->k->ops.data[op].code == HLI_OP_TILE && is_grid(m->k, op))
      spread_over(m, op, lanes);
}

/* ---- CPU ---- */

/* How many products a dot with a batch axis stands for. */
static int64_t batch_extent(const model *m) {
  const hli_axis a = find_axis(m, HLI_ROLE_DOT_BATCH);
  return a ? HLI_MAX(extent_or(m, a, 1), 1) : 1;
}

static int64_t pow2_within(int64_t x, int64_t lo, int64_t hi) {
  return HLI_MAX(lo, HLI_MIN(hi, (int64_t)hli_next_pow2((uint64_t)HLI_MAX(x, 1))));
}

/* Is the first operand of a dot packed: computed, or contiguous along its rows? */
static bool packs_rows(const model *m, hli_axis am) {
  const hl_kernel *k = m->k;
  for (hli_op op = 1; op < k->ops.len; op++) {
    if (k->ops.data[op].dead || k->ops.data[op].code != HLI_OP_DOT)
      continue;
    const hli_op def = k->values.data[hli_operand(k, op, 0)].def;
    if (!def || k->ops.data[def].code != HLI_OP_LOAD)
      return true;
  }
  return has_role(m, am, HLI_ROLE_CONTIGUOUS);
}

/* A dot on the CPU packs its B operand per program, so programs are as tall as the matrix; the width is what
 * keeps every thread busy (two programs each) with a packed panel of at most 512 columns in the L2 cache.  Where A is
 * packed, too, programs are squares: each operand is packed once per program across.  K in one trip up to 1024
 * (measured best: KC 1024). */
static void cpu_dot(model *m) {
  const hli_axis am = find_axis(m, HLI_ROLE_DOT_M), an = find_axis(m, HLI_ROLE_DOT_N),
                 ak = find_axis(m, HLI_ROLE_DOT_K);
  const int64_t programs = HLI_MAX(2 * (int64_t)m->target->units / batch_extent(m), 1), rows = extent_or(m, am, 1024),
                columns = extent_or(m, an, 1024);
  int64_t width = pow2_within(hli_ceil_div(columns, programs), 32, 512), height = 4096;
  const bool square = packs_rows(m, am);
  while (square && height > 2 * width && height > 64) {
    height /= 2;
    if (hli_ceil_div(rows, height) * hli_ceil_div(columns, width) > programs && width < 512)
      width *= 2;
  }
  choose_block(m, am, height);
  choose_block(m, an, width);
  choose_block(m, ak, 1024);
  choose(m, HLI_KNOB_LOOP_ORDERS, 0, 0);
}

/* The axis along which the accesses of the most dimensions walk through memory; 0: none.  What such a kernel reads
 * once per row or writes once per row does not count. */
static hli_axis streamed_axis(const model *m) {
  hli_axis found = 0;
  uint32_t most = 0;
  for (hli_op op = 1; op < m->k->ops.len; op++) {
    const uint16_t code = m->k->ops.data[op].code;
    if (m->k->ops.data[op].dead || (code != HLI_OP_LOAD && code != HLI_OP_STORE))
      continue;
    hli_access a;
    hli_access_get(m->k, op, &a);
    const hli_type_data *v = hli_type_of(m->k, a.value);
    if (v->rank <= most)
      continue;
    for (uint32_t p = 0; p < m->k->params.len; p++)
      for (uint32_t d = 0; m->k->params.data[p].value == a.base && d < a.rank; d++)
        if (a.value_dim[d] >= 0 && a.value_dim[d] < v->rank && m->k->params.data[p].strides[d] == 1)
          found = v->dims[a.value_dim[d]], most = v->rank;
  }
  return found;
}

/* Lanes of a value's full axes, of the value that has most. */
static int64_t widest_row(const model *m) {
  int64_t most = 1;
  for (hli_value v = 1; v < m->k->values.len; v++) {
    const hli_type_data *t = hli_type_of(m->k, v);
    int64_t n = 1;
    for (uint32_t d = 0; t->kind == HLI_TYPE_VALUE && d < t->rank; d++)
      if (has_role(m, t->dims[d], HLI_ROLE_FULL))
        n *= HLI_MAX(extent_or(m, t->dims[d], 4096), 1);
    most = HLI_MAX(most, n);
  }
  return most;
}

/* Memory-bound: about 64 Ki elements a program: far beyond the cost of handing one out (a few hundred
 * nanoseconds), small enough for many programs a thread.  Where programs lie side by side in memory, each takes 256
 * lanes (1 KiB of f32) of a row, however many rows it walks over: with 16, column softmax takes three times as long,
 * and with 64 column sums twice.  A loop inside takes 4 Ki elements a trip (one around another loop 16): a row is as good as never
 * cut, and what is kept of a trip (16 KiB of f32) stays in the L1 cache. */
static void cpu_stream(model *m) {
  const hl_kernel *k = m->k;
  int64_t row = 1;
  for (hli_op op = 1; op < k->ops.len; op++) {
    if (k->ops.data[op].dead || k->ops.data[op].code != HLI_OP_TILE || is_grid(k, op))
      continue;
    int64_t walked = 1;
    for (hli_op o = op; o && !is_grid(k, o); o = enclosing_tile(k, o)) {
      for (uint32_t d = 0; d < hli_attr_len(k, o, 0); d++)
        walked *= HLI_MAX(extent_or(m, (hli_axis)hli_attr(k, o, 0, d), 4096), 1);
      spread_over(m, o, o == op && !holds_tile(k, o) ? 4096 : 16);
    }
    row = HLI_MAX(row, walked);
  }
  const hli_axis along = streamed_axis(m);
  const int64_t least = along && has_role(m, along, HLI_ROLE_GRID) ? 256 : 1;
  spread_block(m, HLI_MAX(65536 / HLI_MAX(row * widest_row(m), 1), least));
}

/* ---- GPU ---- */

/* Warps for `lanes` elements: 24 to 48 each thread (at least three 16-byte accesses of 8 elements in flight), 1 to 16
 * warps.  Measured on an H200, softmax of bf16 rows of 8192: 4 or 8 warps 4.0 TB/s, 16 warps 3.6. */
static int64_t warps_for(int64_t lanes) {
  int64_t w = 1;
  while (w < 16 && 2 * w * 32 * 24 <= lanes)
    w *= 2;
  return w;
}

static void gpu_stream(model *m) {
  /* four 16-byte accesses a thread in flight, 256 threads */
  const int64_t lanes = 256 * HLI_MAX(4 * 16 / HLI_MAX((int64_t)m->facts.widest, 1) / 2, 4);
  choose(m, HLI_KNOB_NUM_WARPS, 0, 8);
  spread_block(m, lanes);
}

static void gpu_rows(model *m) {
  const int64_t row = row_lanes(m);
  const int64_t padded = hli_whole_row_block(HLI_MAX(row, 1));
  const int64_t rows = HLI_MAX(1, 1024 / padded); /* short rows share a block */
  choose(m, HLI_KNOB_NUM_WARPS, 0, HLI_MAX(warps_for(padded * rows), rows > 1 ? 4 : 1));
  spread_block(m, rows);
  for (hli_axis a = 1; a < m->facts.axis_count; a++)
    if (has_role(m, a, HLI_ROLE_FULL)) /* beyond 32 Ki lanes a row no longer fits the registers of a block */
      choose(m, HLI_KNOB_REDUCTION_LOOPS, m->facts.axes[a].instance,
             m->facts.axes[a].extent >= 0 && padded <= 32768 ? 0 : 4096);
}

/* Do instructions multiply whole tiles of the dot's narrow operands?  Multiply-adds widen each element into a register
 * of its own, so long blocks of k would fill the registers and bring nothing. */
static bool has_matrix_row(const model *m) {
  const bool exact = m->facts.dot_precision == HL_DOT_IEEE;
  for (uint32_t i = 0; i < m->target->matrix_count; i++) {
    const hli_matrix_row *r = &m->target->matrix[i];
    if (!(r->tf32 && exact) && r->in == m->facts.dot_dtype && r->min_arch <= m->target->arch)
      return hl_dtype_size(m->facts.dot_dtype) <= 4;
  }
  return false;
}

/* Tiles for the multiprocessors: the largest of a list that still gives about one program each. */
static void gpu_dot(model *m) {
  static const int64_t tiles[][3] = {{128, 128, 4}, {128, 64, 4}, {64, 64, 4}, {32, 64, 4}, {32, 32, 4}, {16, 32, 2}};
  const hli_axis am = find_axis(m, HLI_ROLE_DOT_M), an = find_axis(m, HLI_ROLE_DOT_N),
                 ak = find_axis(m, HLI_ROLE_DOT_K);
  const bool matrix = has_matrix_row(m);
  uint32_t pick = HLI_COUNT(tiles) - 1;
  for (uint32_t i = HLI_COUNT(tiles); i-- > 0;) {
    const int64_t programs = hli_ceil_div(extent_or(m, am, 4096), tiles[i][0]) *
                             hli_ceil_div(extent_or(m, an, 4096), tiles[i][1]) * batch_extent(m);
    if (programs >= (int64_t)m->target->units * 3 / 4)
      pick = i;
  }
  if (!matrix && pick < 2)
    pick = 2;
  while (pick > 0 && (extent_or(m, am, 4096) <= tiles[pick][0] / 2 || extent_or(m, an, 4096) <= tiles[pick][1] / 2) &&
         pick + 1 < HLI_COUNT(tiles))
    pick++;
  choose_block(m, am, tiles[pick][0]);
  choose_block(m, an, tiles[pick][1]);
  for (hli_axis a = 1; a < m->facts.axis_count; a++)
    if (m->facts.axes[a].roles & HLI_ROLE_FULL && m->facts.axes[a].roles & HLI_ROLE_DOT_K &&
        !(m->facts.axes[a].roles & (HLI_ROLE_DOT_M | HLI_ROLE_DOT_N)) && extent_or(m, a, 4096) > 64)
      choose(m, HLI_KNOB_REDUCTION_LOOPS, m->facts.axes[a].instance, 64);
  choose_block(m, ak, matrix ? 128 / hl_dtype_size(m->facts.dot_dtype) : 16); /* rows of 128 bytes */
  choose(m, HLI_KNOB_NUM_WARPS, 0, tiles[pick][2]);
  choose(m, HLI_KNOB_NUM_STAGES, 0, matrix ? 3 : 2);
  choose(m, HLI_KNOB_L2_GROUPINGS, 0, 8);
}

/* ---- making it legal ---- */

/* Halves the largest block that can be halved; false when none can.  `rows`: whole rows become chunks, too. */
static bool shrink(const hli_space *s, hl_config *c, bool rows) {
  hli_config_entry *big = NULL;
  int64_t next = 0;
  for (uint32_t i = 0; i < c->entries.len; i++) {
    hli_config_entry *e = &c->entries.data[i];
    const hli_space_entry *se = hli_space_find(s, e->knob, e->instance);
    const bool block = e->knob == HLI_KNOB_BLOCK_SIZES || e->knob == HLI_KNOB_NUM_STAGES;
    const bool chunk = e->knob == HLI_KNOB_REDUCTION_LOOPS;
    if (!se || (!block && !chunk) || (chunk && e->value == 0 && !rows))
      continue;
    int64_t lower = -1; /* the next smaller legal value; of chunks, "the whole row" (0) counts as the largest */
    for (uint32_t v = 0; v < se->value_count; v++)
      if (se->values[v] > 0 && (se->values[v] < e->value || (chunk && e->value == 0)))
        lower = se->values[v];
    const int64_t weight = chunk && e->value == 0 ? INT64_MAX : e->value;
    if (lower < 0 || (big && weight <= (big->value == 0 ? INT64_MAX : big->value)))
      continue;
    big = e;
    next = lower;
  }
  if (!big)
    return false;
  big->value = next;
  return true;
}

bool hli_config_relax(const hli_space *s, hl_config *c, bool rows) {
  const hli_space_entry *warps = hli_space_find(s, HLI_KNOB_NUM_WARPS, 0);
  const int64_t w = hli_config_value(c, HLI_KNOB_NUM_WARPS, 0, 0);
  if (warps && w > 0 && w < 8 && hli_space_allows(warps, 2 * w))
    return hli_config_set(c, HLI_KNOB_NUM_WARPS, 0, 2 * w);
  const bool dots = hli_space_find(s, HLI_KNOB_NUM_STAGES, 0) != NULL;
  if (shrink(s, c, rows || !dots))
    return true;
  /* beyond 8 warps a thread has fewer registers than it could use */
  return warps && w > 8 && hli_space_allows(warps, w / 2) && hli_config_set(c, HLI_KNOB_NUM_WARPS, 0, w / 2);
}

hl_status hli_config_repair(const hl_kernel *k, const hl_target *target, const hli_space *s, hl_config *c,
                            hl_diag *diag) {
  for (;;) {
    hl_status st = hli_config_check(k, target, c, diag);
    if (st != HL_ERR_LIMIT || !(hli_config_relax(s, c, false) || hli_config_relax(s, c, true)))
      return st;
  }
}

/* Rows of 100 or 4093 end in part of a block each, one long row in one.  A CPU's loops walk over rows that touch as over one
 * anyway, a program at a time (loopnest). */
static void flatten_loops(model *m) {
  if (m->target->family == HLI_FAMILY_CPU)
    return;
  for (uint32_t i = 0; i < m->space->entries.len; i++)
    if (m->space->entries.data[i].knob == HLI_KNOB_FLATTEN_LOOPS)
      choose(m, HLI_KNOB_FLATTEN_LOOPS, m->space->entries.data[i].instance, 1);
}

hl_status hli_cost_default(const hl_kernel *k, const hl_target *target, const hli_space *s, hl_config *c,
                           hl_diag *diag) {
  model m = {.k = k, .target = target, .space = s, .c = c};
  hli_arena arena;
  hli_arena_init(&arena, k->alloc);
  const bool ok = hli_kernel_facts_get(k, &arena, &m.facts);
  if (ok) {
    flatten_loops(&m);
    const bool cpu = target->family == HLI_FAMILY_CPU, rows = find_axis(&m, HLI_ROLE_FULL) != 0;
    if (m.facts.has_dot)
      (cpu ? cpu_dot : gpu_dot)(&m);
    else if (cpu)
      cpu_stream(&m);
    else
      (rows ? gpu_rows : gpu_stream)(&m);
  }
  hli_arena_free(&arena);
  return ok ? hli_config_repair(k, target, s, c, diag) : hli_fail_memory(diag, "choosing a configuration");
}
