/* lane_registers.c: how many registers a thread of a LANE kernel needs, and the cap that lets two blocks share a
 * multiprocessor.
 *
 * Liveness over the ops in order, in 32-bit words: a value lives from its definition to its last use, all through
 * a loop it is older than.  An op may reuse what dies in it.  Values that take no registers of their own keep their
 * operands alive instead: broadcasts and renamings, which are other names, and pointwise values with one user, which
 * the assembler computes element by element where they are used.  Operands of a dot that come from shared memory are
 * read two steps of k at a time. */
#include "src/pass/lane.h"

enum { OVERHEAD = 24 }; /* addresses, loop counters, what the assembler keeps for itself */

typedef struct life {
  uint32_t from, to, words;
} life;

typedef struct scan {
  const hl_kernel *k;
  hli_hold hold;
  life *lives; /* by value */
  uint32_t at;
} scan;

static uint32_t tile_words(const hl_kernel *k, hli_value v) {
  const hli_type_data *t = hli_type_of(k, v);
  if (t->kind != HLI_TYPE_VALUE)
    return 0;
  if (t->rank == 0)
    return 1;
  const uint32_t regs = hli_layout_registers(&k->layouts.data[t->layout]);
  if (t->dtype == HL_BOOL)
    return (regs + 7) / 8;
  return (regs * hl_dtype_size((hl_dtype)t->dtype) + 3) / 4;
}

/* Does a loop of several iterations carry the dot's sum on?  Then each iteration ends with it in registers. */
static bool is_carried(const hl_kernel *k, hli_op dot) {
  const hli_value_data *acc = &k->values.data[hli_operand(k, dot, 2)];
  const hli_op loop = acc->def || !acc->owner ? 0 : k->blocks.data[acc->owner].parent;
  hli_scalar from, to, step;
  if (!loop || k->ops.data[loop].code != HLI_OP_FOR)
    return loop != 0;
  return !hli_const_value(k, hli_operand(k, loop, 0), &from) || !hli_const_value(k, hli_operand(k, loop, 1), &to) ||
         !hli_const_value(k, hli_operand(k, loop, 2), &step) || to.i - from.i > step.i;
}

static bool holds_operands(const hl_kernel *k, hli_op dot, hli_hold hold) {
  const bool asked = hold == HLI_HOLD_ALL || (hold == HLI_HOLD_MULTIPLY_ADD && k->ops.data[dot].code == HLI_OP_DOT);
  return asked && !is_carried(k, dot);
}

/* All of a dot's operand; multiply-adds widen each element into a register of its own, at least. */
static uint32_t whole_words(const hl_kernel *k, hli_op dot, hli_value v) {
  const uint32_t regs = hli_layout_registers(&k->layouts.data[hli_type_of(k, v)->layout]);
  return k->ops.data[dot].code == HLI_OP_DOT ? HLI_MAX(regs, tile_words(k, v)) : tile_words(k, v);
}

/* Of a shared_load that feeds a dot: what is read ahead at any time. */
static uint32_t piece_words(const hl_kernel *k, hli_op op, hli_hold hold) {
  const hli_value v = hli_result(k, op, 0);
  for (hli_op o = hli_next(k, op); o; o = hli_next(k, o)) {
    const uint16_t code = k->ops.data[o].code;
    if (code != HLI_OP_MMA && code != HLI_OP_DOT)
      continue;
    for (uint32_t i = 0; i < 2; i++) {
      if (hli_operand(k, o, i) != v)
        continue;
      if (holds_operands(k, o, hold))
        return whole_words(k, o, v);
      const int64_t depth = hli_axis_lanes(k, hli_type_of(k, v)->dims[1 - i]);
      const int64_t ahead = code == HLI_OP_DOT ? 4 : 32; /* two steps of mma's 16, one vector of dot's */
      return (uint32_t)(depth > ahead ? tile_words(k, v) * ahead / depth : tile_words(k, v));
    }
  }
  return tile_words(k, v);
}

static bool is_pointwise(const hl_kernel *k, hli_op op) {
  const uint8_t f = hli_op_facts((hli_opcode)k->ops.data[op].code)->family;
  return f == HLI_FAM_UNARY || f == HLI_FAM_BINARY || f == HLI_FAM_TERNARY || f == HLI_FAM_CAST;
}

/* One user, in the same block, that takes the elements one by one. */
static bool is_passing(const hl_kernel *k, hli_op op) {
  const hli_value v = hli_result(k, op, 0);
  hli_op user = 0;
  for (hli_op o = hli_next(k, op); o; o = hli_next(k, o)) {
    if (k->ops.data[o].region)
      return false;
    for (uint32_t i = 0; i < hli_operand_count(k, o); i++) {
      if (hli_operand(k, o, i) != v)
        continue;
      if (user && user != o)
        return false;
      user = o;
    }
  }
  const uint16_t code = user ? k->ops.data[user].code : HLI_OP_NONE;
  return user &&
         (is_pointwise(k, user) || code == HLI_OP_STORE || code == HLI_OP_REDUCE || code == HLI_OP_PARTIAL_REDUCE);
}

static uint32_t result_words(const hl_kernel *k, hli_op op, hli_value v, hli_hold hold) {
  switch (k->ops.data[op].code) {
  case HLI_OP_CONST:
  case HLI_OP_BROADCAST:
  case HLI_OP_RANGE:
  case HLI_OP_SHARED:
  case HLI_OP_TRANSPOSE:
  case HLI_OP_SQUEEZE:
    return 0;
  case HLI_OP_IN_BOUNDS:
    return 1;
  case HLI_OP_CONVERT:
    return hli_layout_convert(&k->layouts.data[hli_type_of(k, hli_operand(k, op, 0))->layout],
                              &k->layouts.data[hli_type_of(k, v)->layout], NULL) <= HLI_CONVERT_RENAME
               ? 0
               : tile_words(k, v);
  case HLI_OP_SHARED_LOAD:
    return piece_words(k, op, hold);
  default:
    return is_pointwise(k, op) && hli_type_of(k, v)->rank && is_passing(k, op) ? 0 : tile_words(k, v);
  }
}

static void use(scan *s, hli_value v, uint32_t at) {
  const bool known = s->lives[v].to >= at;
  const hli_op def = s->k->values.data[v].def;
  s->lives[v].to = HLI_MAX(s->lives[v].to, at);
  if (known || !def || s->lives[v].words || s->k->ops.data[def].region)
    return;
  for (uint32_t i = 0; i < hli_operand_count(s->k, def); i++)
    use(s, hli_operand(s->k, def, i), at);
}

static void scan_block(scan *s, hli_block b) {
  const hl_kernel *k = s->k;
  for (hli_op op = hli_first(k, b); op; op = hli_next(k, op)) {
    const hli_op_data *o = hli_op_get(k, op);
    const uint32_t at = ++s->at;
    for (uint32_t i = 0; i < o->operands.len; i++)
      use(s, hli_operand(k, op, i), at);
    if (o->region) {
      for (uint32_t i = 0; i < k->blocks.data[o->region].args.len; i++) {
        const hli_value v = hli_block_arg(k, o->region, i);
        s->lives[v] = (life){at, at, tile_words(k, v)};
      }
      scan_block(s, o->region);
      const uint32_t end = ++s->at;
      for (uint32_t v = 1; v < k->values.len; v++)
        if (s->lives[v].from && s->lives[v].from < at && s->lives[v].to > at)
          use(s, v, end);
    }
    for (uint32_t i = 0; i < o->result_count; i++)
      s->lives[hli_result(k, op, i)] = (life){s->at, s->at, result_words(k, op, hli_result(k, op, i), s->hold)};
  }
}

/* Accesses at scalar indices (a batch's) each keep the address that these make: two words. */
static uint32_t address_words(const hl_kernel *k) {
  uint32_t words = 0;
  for (hli_op op = 1; op < k->ops.len; op++) {
    hli_access a;
    if (k->ops.data[op].dead || hli_op_facts((hli_opcode)k->ops.data[op].code)->family != HLI_FAM_ACCESS)
      continue;
    hli_access_get(k, op, &a);
    bool scalar = false;
    for (uint32_t d = 0; d < a.rank; d++)
      scalar |= a.kind[d] == 's';
    words += scalar ? 2 : 0;
  }
  return words;
}

/* pieces: words of dot operands that are read ahead, once over (may be NULL). */
static uint32_t estimate(const hl_kernel *k, hli_hold hold, uint32_t *pieces) {
  scan s = {.k = k, .hold = hold, .lives = hli_calloc(k->alloc, k->values.len, sizeof(life))};
  const uint32_t slots = k->ops.len * 2 + 2;
  int32_t *change = hli_calloc(k->alloc, slots, sizeof *change);
  int32_t now = 0, most = 0;
  if (s.lives && change) {
    scan_block(&s, k->body);
    for (uint32_t v = 1; v < k->values.len; v++) {
      if (!s.lives[v].from || s.lives[v].to >= slots)
        continue;
      change[s.lives[v].from] += (int32_t)s.lives[v].words;
      change[HLI_MAX(s.lives[v].to, s.lives[v].from + 1)] -=
          (int32_t)s.lives[v].words; /* free for what the last user makes */
    }
    for (uint32_t i = 0; i < slots; i++) {
      now += change[i];
      most = HLI_MAX(most, now);
    }
  }
  *pieces = 0;
  for (hli_op op = 1; s.lives && op < k->ops.len; op++)
    if (!k->ops.data[op].dead && k->ops.data[op].code == HLI_OP_SHARED_LOAD)
      *pieces += s.lives[hli_result(k, op, 0)].words;
  hli_release(k->alloc, s.lives, k->values.len * sizeof(life));
  hli_release(k->alloc, change, slots * sizeof *change);
  return (uint32_t)most + OVERHEAD + address_words(k);
}

uint32_t hli_lane_register_estimate(const hl_kernel *k, hli_hold hold) {
  uint32_t pieces;
  return estimate(k, hold, &pieces);
}

static bool has_mma(const hl_kernel *k) {
  for (hli_op op = 1; op < k->ops.len; op++)
    if (!k->ops.data[op].dead && k->ops.data[op].code == HLI_OP_MMA)
      return true;
  return false;
}

/* A kernel of matrix instructions whose registers leave room for one block only, but nearly for two, is held to what
 * two need: the second hides the barriers of the first.  What is given up is reading operands a whole step ahead. */
/* Left to itself the assembler aims at the occupancy that the next lower register count would give, and spills a few
 * words to get there (seen with 65 registers and more, and with
 * 40 where there are matrix instructions): such kernels are told what they may really use. */
enum { SMALL = 64 };

uint32_t hli_lane_register_cap(const hl_kernel *k, const hl_target *t) {
  uint32_t pieces;
  const uint32_t threads = k->launch.warps * t->warp_size, need = estimate(k, HLI_HOLD_AHEAD, &pieces);
  const uint32_t cap = t->regs_per_unit / (2 * threads) / 8 * 8;
  const uint32_t most = HLI_MIN((uint32_t)t->regs_per_thread, t->regs_per_unit / threads / 8 * 8);
  const bool two_fit = has_mma(k) && 2 * (k->launch.shared_bytes + 1024) <= t->shared_unit;
  /* Addresses of a batch come on top of what the estimate sees: two blocks were seen to spill a few words. */
  if (two_fit && !address_words(k) && cap < t->regs_per_thread && need > cap && need - pieces / 2 <= cap)
    return cap;
  return need > SMALL || has_mma(k) ? most : 0;
}
