/* mask.c: decides where out-of-range lanes must be looked at.
 *
 * Expects scheduled TILE.  Two things: accesses whose tiles provably lie inside lose their checks; and
 * where lanes are mixed (reduce, dot), lanes beyond a tile's end get the operation's identity, unless
 * they are known to hold it already (loads give 0 there, constants are what they are, pointwise ops are
 * evaluated on that).
 *
 *   %i = range %b, %c4096 {axis = $i}        # block 128, b = pid * 128
 *   %c = range %c0, %c1000 {axis = $N}       # block 1024
 *   %v = load %x[%i, %c] : f32[$i, $N]              load %x[%i, %c] {check = [0, 1]}
 *   %m = reduce %v {op = max, axes = [1]}     ->    %k = in_bounds %c;  %l = broadcast lowest
 *                                                   %w = where (broadcast %k), %v, %l
 *                                                   %m = reduce %w {op = max, axes = [1]}
 *   %s = reduce %v {op = sum, axes = [1]}           unchanged: masked lanes of %v hold 0 */
#include "src/pass/mask.h"

#define MAX_RANGES HLI_MASK_RANGES

/* What is known of the lanes of a value along one of its dimensions that lie beyond a tile's end. */
typedef struct lanes {
  uint8_t ranges; /* tiles beyond whose end lanes are masked; 0: every lane is meaningful */
  bool known;     /* masked lanes (without ranges: all lanes) hold `value` */
  bool done;      /* memo */
  bool pinned;    /* memo: an assumption that is being looked into */
  hli_value range[MAX_RANGES];
  hli_scalar value;
} lanes;

typedef struct masker {
  hl_kernel *k;
  hli_arena arena;
  lanes **memo; /* by value: HL_MAX_RANK entries */
  uint32_t memo_len;
} masker;

static lanes lanes_of(masker *m, hli_value v, uint32_t dim);

/* NULL when out of memory. */
static lanes *slot_of(masker *m, hli_value v, uint32_t dim) {
  if (!m->memo[v])
    m->memo[v] = hli_arena_array(&m->arena, lanes, HL_MAX_RANK);
  return m->memo[v] ? &m->memo[v][dim] : NULL;
}

static void forget(masker *m) {
  for (hli_value v = 0; v < m->memo_len; v++)
    for (uint32_t d = 0; m->memo[v] && d < HL_MAX_RANK; d++)
      m->memo[v][d].done = m->memo[v][d].pinned;
}

static bool outside(const masker *m, hli_value range) {
  return range && !hli_range_inside(m->k, range);
}

static void add_range(lanes *l, hli_value range) {
  for (uint32_t i = 0; i < l->ranges; i++)
    if (l->range[i] == range)
      return;
  if (l->ranges < MAX_RANGES)
    l->range[l->ranges++] = range;
  else
    l->known = false; /* cannot happen with tiles of one axis in one nest */
}

static void add_ranges(lanes *to, const lanes *from) {
  for (uint32_t i = 0; i < from->ranges; i++)
    add_range(to, from->range[i]);
}

/* ---- what lanes hold ------------------------------------------------------------------- */

static lanes of_load(masker *m, hli_op op, uint32_t dim) {
  hli_access a;
  lanes r = {.known = true};
  hli_access_get(m->k, op, &a);
  for (uint32_t d = 0; d < a.rank; d++)
    if (a.value_dim[d] == (int)dim && a.kind[d] == 't' && outside(m, a.index[d]))
      add_range(&r, a.index[d]);
  for (uint32_t d = 0; d < a.rank; d++)
    for (uint32_t i = 0; a.kind[d] == 'g' && i < hli_type_of(m->k, a.index[d])->rank; i++) {
      if (a.gather[d][i] != (int)dim)
        continue;
      const lanes index = lanes_of(m, a.index[d], i);
      add_ranges(&r, &index);
    }
  if (a.other && !hli_const_value(m->k, a.other, &r.value))
    r.known = false;
  if (r.ranges == 0)
    r.known = false;
  return r;
}

static lanes of_tile(masker *m, hli_op op, bool in_bounds) {
  lanes r = {0};
  const hli_value range = hli_operand(m->k, op, 0);
  if (outside(m, range))
    add_range(&r, range);
  r.known = in_bounds && r.ranges;
  return r;
}

static lanes of_broadcast(masker *m, hli_op op, uint32_t dim) {
  const hl_kernel *k = m->k;
  const hli_value src = hli_operand(k, op, 0);
  const hli_type_data *t = hli_type_of(k, src);
  lanes r = {0};
  for (uint32_t i = 0; i < t->rank; i++)
    if (hli_attr(k, op, 0, i) == (int64_t)dim && !hli_axis_is_one(k, t->dims[i]))
      return lanes_of(m, src, i);
  r.known = hli_const_value(k, src, &r.value);
  return r;
}

/* Does what l says of masked lanes hold for the lanes beyond so many ranges, which include its own? */
static bool covers(const lanes *l, uint32_t ranges) {
  return l->known && (l->ranges == 0 || l->ranges == ranges);
}

static lanes of_pointwise(masker *m, hli_op op, uint32_t dim) {
  const hl_kernel *k = m->k;
  const hli_op_data *o = hli_op_get(k, op);
  hli_scalar args[3] = {{0}};
  lanes a[3], r = {.known = true};
  const uint32_t n = HLI_MIN(o->operands.len, 3u);
  for (uint32_t i = 0; i < n; i++) {
    a[i] = lanes_of(m, hli_operand(k, op, i), dim);
    add_ranges(&r, &a[i]);
    args[i] = a[i].value;
  }
  for (uint32_t i = 0; i < n; i++) /* one that is masked elsewhere holds data there */
    r.known = r.known && covers(&a[i], r.ranges);
  const uint32_t typed_by = o->code == HLI_OP_WHERE ? 1 : 0;
  if (r.known)
    r.value = hli_scalar_eval((hli_opcode)o->code, hli_dtype_of(k, hli_operand(k, op, typed_by)),
                              hli_dtype_of(k, hli_result(k, op, 0)), args, true);
  return r;
}

/* where(in_bounds, x, c): what masked lanes hold is known if the condition is, whatever x holds. */
static lanes of_where(masker *m, hli_op op, uint32_t dim) {
  const hl_kernel *k = m->k;
  lanes r = of_pointwise(m, op, dim);
  const lanes cond = lanes_of(m, hli_operand(k, op, 0), dim);
  if (r.known || !cond.known)
    return r;
  const lanes picked = lanes_of(m, hli_operand(k, op, cond.value.i ? 1 : 2), dim);
  r.known = covers(&picked, r.ranges) && covers(&cond, r.ranges); /* both say what all masked lanes hold */
  r.value = picked.value;
  return r;
}

static bool holds_identity(const lanes *l, hl_dtype dtype, hli_identity id);

/* Lanes that hold the identity along the whole reduced axis give the identity. */
static lanes of_reduce(masker *m, hli_op op, uint32_t dim) {
  const hl_kernel *k = m->k;
  uint32_t at = 0, gone = 0;
  for (uint32_t i = 0; i < hli_attr_len(k, op, 1); i++)
    gone |= 1u << hli_attr(k, op, 1, i);
  for (uint32_t d = 0, kept = 0;; d++) {
    if ((gone >> d) & 1)
      continue;
    at = d;
    if (kept++ == dim)
      break;
  }
  lanes r = lanes_of(m, hli_operand(k, op, 0), at);
  const hli_opcode combine = hli_reduce_combine((hl_reduce_op)hli_attr(k, op, 0, 0));
  const hl_dtype dtype = hli_dtype_of(k, hli_operand(k, op, 0));
  r.known = r.known && r.ranges && holds_identity(&r, dtype, (hli_identity)hli_op_facts(combine)->identity);
  return r;
}

static lanes of_dot(masker *m, hli_op op, uint32_t dim) {
  lanes r = lanes_of(m, hli_operand(m->k, op, dim), dim);
  const lanes acc = lanes_of(m, hli_operand(m->k, op, 2), dim);
  add_ranges(&r, &acc);
  r.known = false;
  return r;
}

static bool encloses(const hl_kernel *k, hli_block outer, hli_block inner) {
  while (inner && inner != outer) {
    const hli_op parent = k->blocks.data[inner].parent;
    inner = parent ? k->ops.data[parent].block : 0;
  }
  return inner == outer;
}

/* Tiles of a loop's body end with it: of what leaves the loop, lanes beyond the end of a tile around it are masked
 * only. */
static void add_outer_ranges(const hl_kernel *k, lanes *to, const lanes *from, hli_op loop) {
  for (uint32_t i = 0; i < from->ranges; i++) {
    const hli_op def = k->values.data[from->range[i]].def;
    if (def && encloses(k, k->ops.data[def].block, k->ops.data[loop].block))
      add_range(to, from->range[i]);
  }
}

static bool same_number(hl_dtype dtype, hli_scalar a, hli_scalar b) {
  return hli_scalar_to_bits(dtype, a) == hli_scalar_to_bits(dtype, b);
}

/* Masked lanes keep what they hold through all trips if the initial value and, given that, the next one agree.  First
 * the argument is taken to hold the initial value everywhere; as long as the body disproves that, all that was found
 * on the way is forgotten, and the argument is taken for less. */
static lanes of_carried(masker *m, hli_op loop, uint32_t index, uint32_t dim) {
  const hl_kernel *k = m->k;
  const hli_block body = k->ops.data[loop].region;
  const hli_region_form form = hli_region_form_of(k, loop);
  const hli_value arg = hli_block_arg(k, body, form.args + index);
  const hli_value next = hli_operand(k, k->blocks.data[body].last, form.yields + index);
  const hl_dtype dtype = hli_dtype_of(k, arg);
  const lanes first = lanes_of(m, hli_operand(k, loop, form.operands + index), dim);
  lanes *memo = arg < m->memo_len ? slot_of(m, arg, dim) : NULL;
  if (!memo)
    return (lanes){0};
  if (memo->done)
    return *memo;
  lanes guess = first;
  guess.done = guess.pinned = true;
  for (bool stable = false; !stable;) {
    *memo = guess;
    const lanes after = lanes_of(m, next, dim);
    lanes seen = {.known = after.known, .value = after.value}, joined = guess;
    add_outer_ranges(k, &seen, &after, loop);
    add_ranges(&joined, &seen);
    joined.known = guess.known && covers(&first, joined.ranges) && covers(&seen, joined.ranges) &&
                   (after.ranges == 0 || seen.ranges) && same_number(dtype, after.value, guess.value);
    if (after.ranges && !seen.ranges && !joined.ranges)
      joined.known = guess.known; /* only tiles of the body are masked: decided below */
    stable = joined.known == guess.known && joined.ranges == guess.ranges;
    guess = joined;
    if (!stable)
      forget(m);
  }
  if (guess.ranges == 0 && guess.known) { /* "everywhere" was an assumption */
    guess.known = false;
    forget(m);
  }
  guess.pinned = false;
  return *memo = guess;
}

static lanes of_argument(masker *m, hli_value v, uint32_t dim) {
  const hli_value_data *d = &m->k->values.data[v];
  const hli_op loop = d->owner ? m->k->blocks.data[d->owner].parent : 0;
  const uint32_t own = loop ? hli_region_form_of(m->k, loop).args : 0;
  if (!loop || d->index < own)
    return (lanes){0};
  return of_carried(m, loop, d->index - own, dim);
}

/* Dimension of the operand that is dimension `dim` of a transpose's or squeeze's result. */
static uint32_t source_dim(const hl_kernel *k, hli_op op, uint32_t dim) {
  if (k->ops.data[op].code == HLI_OP_TRANSPOSE)
    return (uint32_t)hli_attr(k, op, 0, dim);
  uint32_t gone = 0, kept = 0;
  for (uint32_t i = 0; i < hli_attr_len(k, op, 0); i++)
    gone |= 1u << hli_attr(k, op, 0, i);
  for (uint32_t d = 0;; d++)
    if (!((gone >> d) & 1) && kept++ == dim)
      return d;
}

static lanes compute(masker *m, hli_value v, uint32_t dim) {
  const hli_op op = m->k->values.data[v].def;
  if (!op)
    return of_argument(m, v, dim);
  switch (m->k->ops.data[op].code) {
  case HLI_OP_LOAD:
    return of_load(m, op, dim);
  case HLI_OP_TILE_INDEX:
    return of_tile(m, op, false);
  case HLI_OP_IN_BOUNDS:
    return of_tile(m, op, true);
  case HLI_OP_BROADCAST:
    return of_broadcast(m, op, dim);
  case HLI_OP_TRANSPOSE:
  case HLI_OP_SQUEEZE:
    return lanes_of(m, hli_operand(m->k, op, 0), source_dim(m->k, op, dim));
  case HLI_OP_REDUCE:
    return of_reduce(m, op, dim);
  case HLI_OP_DOT:
    return of_dot(m, op, dim);
  case HLI_OP_FOR:
  case HLI_OP_WHILE:
    return of_carried(m, op, m->k->values.data[v].index, dim);
  case HLI_OP_WHERE:
    return of_where(m, op, dim);
  default:
    break;
  }
  switch (hli_op_facts((hli_opcode)m->k->ops.data[op].code)->family) {
  case HLI_FAM_UNARY:
  case HLI_FAM_BINARY:
  case HLI_FAM_TERNARY:
  case HLI_FAM_CAST:
    return of_pointwise(m, op, dim);
  default:
    return (lanes){0};
  }
}

static lanes lanes_of(masker *m, hli_value v, uint32_t dim) {
  if (v >= m->memo_len)
    return compute(m, v, dim); /* made by this pass */
  lanes *memo = slot_of(m, v, dim);
  if (!memo)
    return (lanes){0};
  if (!memo->done) {
    const lanes r = compute(m, v, dim);
    if (memo->done)
      return *memo; /* a carried value has written its own */
    *memo = r;
    memo->done = true;
  }
  return *memo;
}

/* ---- filling ------------------------------------------------------------------------------- */

/* where(index < end along dim, v, identity) */
static hli_value fill(masker *m, hli_cursor *c, hli_value v, uint32_t dim, const lanes *l, hli_identity id) {
  hl_kernel *k = m->k;
  const hli_type type = k->values.data[v].type;
  const hli_type mask_type = hli_type_with_dtype(k, type, HL_BOOL);
  hli_value mask = 0;
  for (uint32_t i = 0; i < l->ranges; i++) {
    const int64_t at = dim;
    const hli_value one = hli_make_broadcast(c, hli_make_unary(c, HLI_OP_IN_BOUNDS, l->range[i]), mask_type, &at);
    mask = mask ? hli_make_binary(c, HLI_OP_AND, mask, one) : one;
  }
  const hli_value identity = hli_make_splat(c, hli_make_identity(c, (hl_dtype)hli_type_get(k, type)->dtype, id), type);
  const hli_value r = hli_make_where(c, mask, v, identity);
  if (!r)
    k->failed = true;
  return r ? r : v;
}

static bool holds_identity(const lanes *l, hl_dtype dtype, hli_identity id) {
  const char kind = hli_dtype_kind(dtype);
  const hli_scalar want = hli_scalar_identity(id, dtype);
  if (l->ranges == 0)
    return true;
  if (!l->known)
    return false;
  return kind == 'f' ? l->value.f == want.f : l->value.u == want.u;
}

/* What the lanes hold that an op is about to mix.  Wherever a value comes from (a constant, a broadcast along the tile,
 * a loop that carried it), it is meaningful only where the tile is that the op stands in. */
static lanes lanes_mixed(masker *m, hli_op op, hli_value v, uint32_t dim) {
  lanes l = lanes_of(m, v, dim);
  const bool constant = l.known && l.ranges == 0;
  const uint32_t before = l.ranges;
  const hli_value range = hli_range_around(m->k, hli_type_of(m->k, v)->dims[dim], m->k->ops.data[op].block);
  if (outside(m, range))
    add_range(&l, range);
  l.known = l.known && (constant || l.ranges == before);
  return l;
}

static hli_cursor before(hl_kernel *k, hli_op op) {
  return (hli_cursor){
      .k = k, .block = k->ops.data[op].block, .before = op, .file = k->ops.data[op].file, .line = k->ops.data[op].line};
}

static void fill_reduce(masker *m, hli_op op) {
  hl_kernel *k = m->k;
  const hli_value v = hli_operand(k, op, 0);
  const hli_identity id = (hli_identity)hli_op_facts(hli_reduce_combine((hl_reduce_op)hli_attr(k, op, 0, 0)))->identity;
  const bool all = hli_attr(k, op, 0, 0) == HL_REDUCE_ALL;
  hli_cursor c = before(k, op);
  hli_value filled = v;
  for (uint32_t i = 0; i < hli_attr_len(k, op, 1); i++) {
    const uint32_t dim = (uint32_t)hli_attr(k, op, 1, i);
    const lanes l = lanes_mixed(m, op, v, dim);
    const hli_identity want = all ? HLI_ID_ONE : id; /* AND of bools: true */
    if (!holds_identity(&l, hli_dtype_of(k, v), want))
      filled = fill(m, &c, filled, dim, &l, want);
  }
  if (filled != v)
    hli_op_set_operand(k, op, 0, filled);
}

/* Both operands: 0 times whatever the other one holds is not 0 for infinities. */
static void fill_dot(masker *m, hli_op op) {
  hl_kernel *k = m->k;
  hli_cursor c = before(k, op);
  for (uint32_t i = 0; i < 2; i++) {
    const hli_value v = hli_operand(k, op, i);
    const lanes l = lanes_mixed(m, op, v, 1 - i);
    if (!holds_identity(&l, hli_dtype_of(k, v), HLI_ID_ZERO))
      hli_op_set_operand(k, op, i, fill(m, &c, v, 1 - i, &l, HLI_ID_ZERO));
  }
}

/* ---- checks ----------------------------------------------------------------------------------- */

static void drop_checks(hl_kernel *k, hli_op op) {
  hli_access a;
  int64_t check[HL_MAX_RANK];
  bool any = false;
  hli_access_get(k, op, &a);
  for (uint32_t d = 0; d < a.rank; d++) {
    check[d] = a.check[d] && a.kind[d] == 't' && !hli_range_inside(k, a.index[d]);
    any |= !check[d];
  }
  if (any)
    hli_op_set_attr(k, op, 2, check, a.rank);
}

typedef struct accessing {
  masker *m;
  hli_op op;
} accessing;

static uint32_t ranges_along(void *user, hli_value v, uint32_t dim, hli_value out[HLI_MASK_RANGES]) {
  const accessing *a = user;
  const lanes l = lanes_mixed(a->m, a->op, v, dim);
  memcpy(out, l.range, sizeof l.range);
  return l.ranges;
}

/* Atomics of tiles go element by element, too. */
static bool gathers(const hl_kernel *k, hli_op op) {
  hli_access a;
  const uint16_t code = k->ops.data[op].code;
  if (code != HLI_OP_LOAD && code != HLI_OP_STORE && code != HLI_OP_ATOMIC)
    return false;
  hli_access_get(k, op, &a);
  return a.gathers || (code == HLI_OP_ATOMIC && hli_type_of(k, a.value)->rank);
}

static void walk(masker *m, hli_block b) {
  hl_kernel *k = m->k;
  for (hli_op op = hli_first(k, b), next; op && !k->failed; op = next) {
    const uint16_t code = k->ops.data[op].code;
    next = hli_next(k, op);
    if (gathers(k, op)) {
      if (!hli_mask_gather(k, op, ranges_along, &(accessing){m, op}))
        k->failed = true;
      continue;
    }
    if (code == HLI_OP_LOAD || code == HLI_OP_STORE)
      drop_checks(k, op);
    if (code == HLI_OP_REDUCE)
      fill_reduce(m, op);
    if (code == HLI_OP_DOT)
      fill_dot(m, op);
    if (k->ops.data[op].region)
      walk(m, k->ops.data[op].region);
  }
}

hl_status hli_pass_mask(hli_pass_env *env, hl_kernel **pk) {
  for (hli_op op = 1; op < (*pk)->ops.len; op++)
    if (!(*pk)->ops.data[op].dead && (*pk)->ops.data[op].code == HLI_OP_RESHAPE)
      return hli_fail_at(env->diag, HL_ERR_UNSUPPORTED, (*pk)->ops.data[op].file, (*pk)->ops.data[op].line, 0,
                         "kernel %s: reshape is not supported on %s; walk the dimension by tiles of the inner size",
                         (*pk)->name, env->target->name);
  masker m = {.k = *pk, .memo_len = (*pk)->values.len};
  hli_arena_init(&m.arena, env->alloc);
  m.memo = hli_arena_array(&m.arena, lanes *, m.memo_len);
  if (m.memo)
    walk(&m, m.k->body);
  const bool failed = m.arena.failed || m.k->failed;
  hli_arena_free(&m.arena);
  if (failed)
    return hli_fail_memory(env->diag, "masking a kernel");
  return hli_pass_simplify(env, pk);
}
