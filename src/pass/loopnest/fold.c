/* fold.c: regions of folds and scans on vectors, and the nest of a scan.
 *
 * A fold's partial results are combined like those of any reduction (group.c); here is what its region needs: the
 * identities, the region built on vectors, and a tree over a vector's lanes.  A scan gets a nest of its own; its
 * results go to buffers.  Where the axis is the vector, each vector is scanned in place by log2(lanes) steps:
 *
 *   %a = window %ids, %x {start = 15}      # %x moved up by one lane      1 2 3 4 5 ..
 *   %b = add %a, %x                        # sums of two                  1 3 5 7 9 ..
 *   %c = window %ids, %b {start = 14}      # moved up by two lanes
 *   %d = add %c, %b                        # sums of four                 1 3 6 10 14 ..
 *
 * and combined with what the vectors before it gave; otherwise the axis is walked element by element, on vectors along
 * another one. */
#include "src/pass/loopnest/nest.h"

/* ---- regions ------------------------------------------------------------------------------------- */

static hli_value outside(void *ctx, hli_value v) { return ln_eval(ctx, v, NULL).v; }

bool ln_combine(ln *c, hli_op op, const hli_value *args, hli_value *out) {
  if (ln_failed(c)) return false;
  if (!hli_combine_build(ln_at(c, c->top), c->src, op, args, outside, c, out)) ln_fail(c, HL_ERR_INTERNAL, "a combine region could not be built");
  return !ln_failed(c);
}

hli_value ln_fold_identity(ln *c, hli_op op, uint32_t part, int64_t lanes) {
  ln_val id = ln_eval(c, hli_operand(c->src, op, hli_fold_parts(c->src, op) + part), NULL);
  return ln_failed(c) ? 0 : ln_splat(c, id, lanes).v;
}

static hli_value window(ln *c, hli_value a, hli_value b, int64_t start, int64_t lanes) {
  hl_dtype d = hli_dtype_of(c->dst, a);
  return hli_make_window(ln_at(c, c->top), a, b, start, lanes ? hli_type_vector(c->dst, d, lanes) : hli_type_scalar(c->dst, d));
}

/* The upper half onto the lower one; three registers are filled up to four with identities. */
void ln_fold_lanes(ln *c, hli_op op, hli_value *acc, int64_t until) {
  const uint32_t n = hli_fold_parts(c->src, op);
  hli_value args[2 * HLI_FOLD_PARTS];
  int64_t lanes = ln_lanes_of(c, (ln_val){acc[0], c->top});
  const int64_t whole = (int64_t)hli_next_pow2((uint64_t)HLI_MAX(lanes, 1));
  for (uint32_t i = 0; i < n && whole > lanes && !ln_failed(c); i++) {
    const hli_value id = ln_fold_identity(c, op, i, lanes);
    if (id) acc[i] = window(c, acc[i], id, 0, whole);
  }
  for (lanes = lanes ? whole : 0; lanes > until && !ln_failed(c); lanes /= 2) {
    for (uint32_t i = 0; i < n; i++) {
      args[i] = window(c, acc[i], 0, 0, lanes > 2 ? lanes / 2 : 0);
      args[n + i] = window(c, acc[i], 0, lanes / 2, lanes > 2 ? lanes / 2 : 0);
    }
    ln_combine(c, op, args, acc);
  }
}

/* ---- scans ------------------------------------------------------------------------------------------ */

typedef struct scan {
  const ln_root *root;
  hli_block block;
  uint32_t n;                  /* values */
  uint32_t axis;               /* dimension of the root that is scanned */
  uint32_t order[HL_MAX_RANK]; /* the other dimensions, outermost first, the vector last */
  uint32_t at, outer;          /* next to be opened, how many */
  uint32_t vector;             /* dimension that is a vector; rank: none of the nest's */
  bool reverse;
  uint8_t var[HL_MAX_RANK];    /* by dimension of the root */
  hli_value carry[HLI_FOLD_PARTS];
} scan;

static void vars_of(const ln *c, const scan *t, uint8_t *at) {
  const hli_type_data *type = hli_type_of(c->src, t->root->value);
  uint32_t next = 0;
  for (uint32_t d = 0; d < type->rank; d++) {
    uint8_t shared = ln_shared_var(c, type->dims[d]);
    at[d] = shared ? shared : t->var[next++];
  }
}

/* Lanes of the vector that the scan is carried along: of another dimension, 0 if there is none. */
static int64_t kept_lanes(const ln *c, const scan *t) {
  int64_t lanes = 0;
  for (uint32_t i = 0; i < c->shared_count; i++)
    lanes = HLI_MAX(lanes, c->var[c->shared[i]].lanes);
  if (t->vector < t->root->rank && t->vector != t->axis) lanes = c->var[t->var[t->vector]].lanes;
  return lanes;
}

static bool elements(ln *c, const scan *t, const uint8_t *at, int64_t lanes, hli_value *x) {
  for (uint32_t i = 0; i < t->n && !ln_failed(c); i++) {
    ln_val v = ln_eval(c, hli_operand(c->src, t->root->op, i), at);
    if (!ln_failed(c)) x[i] = ln_splat(c, v, lanes).v;
  }
  return !ln_failed(c);
}

static void store_results(ln *c, const scan *t, const hli_value *y, const uint8_t *at) {
  for (uint32_t i = 0; i < t->n && !ln_failed(c); i++)
    ln_buffer_store(c, hli_result(c->src, t->root->op, i), (ln_val){y[i], c->top}, at);
}

static void one_element(ln *c, scan *t) {
  uint8_t at[HL_MAX_RANK];
  hli_value args[2 * HLI_FOLD_PARTS];
  vars_of(c, t, at);
  memcpy(args, t->carry, t->n * sizeof *args);
  if (!elements(c, t, at, kept_lanes(c, t), args + t->n) || !ln_combine(c, t->root->op, args, t->carry)) return;
  store_results(c, t, t->carry, at);
}

static void one_vector(ln *c, scan *t) {
  const ln_var v = c->var[t->var[t->axis]];
  const int64_t lanes = v.lanes;
  const uint32_t n = t->n;
  const hli_op op = t->root->op;
  uint8_t at[HL_MAX_RANK];
  hli_value x[HLI_FOLD_PARTS], id[HLI_FOLD_PARTS], args[2 * HLI_FOLD_PARTS];
  vars_of(c, t, at);
  if (!elements(c, t, at, lanes, x)) return;
  for (uint32_t i = 0; i < n && !ln_failed(c); i++) {
    id[i] = ln_fold_identity(c, op, i, lanes);
    if (v.mask.v) x[i] = hli_make_where(ln_at(c, c->top), v.mask.v, x[i], id[i]);
  }
  for (int64_t by = 1; by < lanes && !ln_failed(c); by *= 2) {
    for (uint32_t i = 0; i < n; i++) {
      args[i] = t->reverse ? window(c, x[i], id[i], by, lanes) : window(c, id[i], x[i], lanes - by, lanes);
      args[n + i] = x[i];
    }
    ln_combine(c, op, args, x);
  }
  for (uint32_t i = 0; i < n && !ln_failed(c); i++) {
    args[i] = ln_splat(c, (ln_val){t->carry[i], c->top}, lanes).v;
    args[n + i] = x[i];
  }
  if (!ln_combine(c, op, args, x)) return;
  store_results(c, t, x, at);
  for (uint32_t i = 0; i < n; i++)
    t->carry[i] = window(c, x[i], 0, t->reverse ? 0 : lanes - 1, 0);
}

static void one_step(ln *c, void *ctx, uint8_t var) {
  scan *t = ctx;
  t->var[t->axis] = var;
  if (c->var[var].lanes && t->vector == t->axis) one_vector(c, t);
  else one_element(c, t);
}

/* Steps of `by` from the end; [begin, end) is a whole number of them. */
static void descend(ln *c, scan *t, ln_var v, ln_val begin, ln_val end, int64_t by) {
  ln_val up = ln_open(c, begin, end, ln_i64(c, by), t->carry, t->n, "back");
  ln_val last = ln_bin(c, HLI_OP_SUB, ln_bin(c, HLI_OP_ADD, begin, end), ln_i64(c, by));
  v.index = ln_bin(c, HLI_OP_SUB, last, up);
  uint8_t var = ln_push_var(c, v);
  if (!ln_failed(c)) one_step(c, t, var);
  ln_pop_var(c);
  ln_close(c, t->carry, t->n);
}

/* The partial vector, if there is one, comes first. */
static void reverse_loops(ln *c, scan *t, ln_dim d) {
  ln_bounds b = ln_range_bounds(c, d);
  int64_t zero;
  if (ln_failed(c)) return;
  ln_var v = {.dim = d};
  if (!ln_const(c, b.begin, &zero) || zero) v.begin = b.begin;
  if (t->vector != t->axis) {
    descend(c, t, v, b.begin, b.end, 1);
    return;
  }
  v.lanes = c->width;
  ln_val whole = ln_bin(c, HLI_OP_AND, ln_bin(c, HLI_OP_SUB, b.end, b.begin), ln_i64(c, -c->width));
  whole = ln_bin(c, HLI_OP_ADD, b.begin, whole);
  v.index = ln_open(c, whole, b.end, ln_i64(c, c->width), t->carry, t->n, "tail");
  if (ln_failed(c)) return;
  v.mask.v = ln_lane_mask(c, ln_bin(c, HLI_OP_SUB, b.end, v.index), v.lanes, &v.mask.level);
  uint8_t var = ln_push_var(c, v);
  if (!ln_failed(c)) one_step(c, t, var);
  ln_pop_var(c);
  ln_close(c, t->carry, t->n);
  v.mask = (ln_val){0, 0};
  if (!ln_failed(c)) descend(c, t, v, b.begin, whole, c->width);
}

static void along_axis(ln *c, scan *t) {
  const ln_dim d = t->root->dims[t->axis];
  const ln_carried carried = {t->carry, t->n}, none = {0};
  const bool prefix = t->vector == t->axis;
  for (uint32_t i = 0; i < t->n && !ln_failed(c); i++)
    t->carry[i] = ln_fold_identity(c, t->root->op, i, prefix ? 0 : kept_lanes(c, t));
  if (ln_failed(c)) return;
  if (t->reverse) reverse_loops(c, t, d);
  else if (prefix) ln_vector_loops(c, d, c->width, none, carried, one_step, t);
  else ln_scalar_loop(c, d, carried, one_step, t);
}

static void open_outer(ln *c, scan *t);
static void outer_body(ln *c, void *ctx, uint8_t var) {
  scan *t = ctx;
  t->var[t->order[t->at]] = var;
  t->at++;
  open_outer(c, t);
  t->at--;
}

static void open_outer(ln *c, scan *t) {
  const ln_carried none = {0};
  if (ln_failed(c)) return;
  if (t->at == t->outer) {
    along_axis(c, t);
    return;
  }
  const uint32_t d = t->order[t->at];
  if (d == t->vector) ln_vector_loops(c, t->root->dims[d], c->width, none, none, outer_body, t);
  else ln_scalar_loop(c, t->root->dims[d], none, outer_body, t);
}

void ln_scan(ln *c, hli_block block, const ln_root *root) {
  scan t = {.root = root, .block = block, .n = hli_fold_parts(c->src, root->op), .vector = root->rank};
  double score[HL_MAX_RANK] = {0};
  bool vectors = true;
  t.reverse = hli_attr_or(c->src, root->op, 1, 0, 0);
  while (t.axis < root->rank && !(root->reduced >> t.axis & 1))
    t.axis++;
  for (uint32_t i = 0; i < c->shared_count; i++)
    vectors &= !c->var[c->shared[i]].lanes;
  if (vectors) {
    t.vector = ln_score(c, root, 1, score);
    if (score[t.vector] <= LN_NEVER / 2) t.vector = root->rank;
  }
  for (uint32_t d = 0; d < root->rank; d++)
    if (d != t.axis && d != t.vector) t.order[t.outer++] = d;
  if (t.vector < root->rank && t.vector != t.axis) t.order[t.outer++] = t.vector;
  for (uint32_t i = 0; i < t.n && !ln_failed(c); i++)
    ln_make_buffer(c, hli_result(c->src, root->op, i), block);
  open_outer(c, &t);
  for (uint32_t i = 0; i < t.n && !ln_failed(c); i++)
    ln_buffer_holds(c, hli_result(c->src, root->op, i));
}
