/* simplify.c: folds scalar constants, applies integer identities, merges equal pure ops, drops dead ones; an `if`
 * whose condition is known becomes its body or nothing.
 *
 * Runs at any stage and edits in place.  Floating-point identities are left alone unless they are exact
 * for every operand (x * 1).
 *
 *   %a = mul %pid, %c1 : i64
 *   %b = mul %pid, %c1 : i64        ->      (uses of %a, %b become %pid)
 */
#include "src/ir/layout_access.h"
#include "src/pass/pass.h"

typedef struct simplifier {
  hl_kernel *k;
  hli_arena arena;
  uint32_t *bucket; /* hash -> op, chained through `next`; ids, 0 ends */
  uint32_t bucket_mask;
  uint32_t *next;       /* per op */
  uint32_t capacity;    /* of next */
  HLI_VEC(hli_op) open; /* ops entered, innermost last: undone when their block closes */
  hli_value *forward;   /* value -> replacement, 0 = itself */
  uint32_t forward_cap;
} simplifier;

static hli_value resolve(const simplifier *s, hli_value v) {
  while (v < s->forward_cap && s->forward[v])
    v = s->forward[v];
  return v;
}

static void replace(simplifier *s, hli_op op, hli_value with) {
  s->forward[hli_result(s->k, op, 0)] = with;
  hli_op_remove(s->k, op);
}

static uint64_t op_hash(const hl_kernel *k, hli_op op) {
  const hli_op_data *o = hli_op_get(k, op);
  uint64_t h = o->code * UINT64_C(0x9E3779B97F4A7C15) ^ k->values.data[o->results].type;
  for (uint32_t i = 0; i < o->operands.len; i++)
    h = (h ^ k->pool.data[o->operands.off + i]) * UINT64_C(0xFF51AFD7ED558CCD);
  for (uint32_t a = 0; a < HLI_MAX_ATTRS; a++)
    for (uint32_t i = 0; i < o->attrs[a].len; i++)
      h = (h ^ (uint64_t)k->ints.data[o->attrs[a].off + i]) * UINT64_C(0xC4CEB9FE1A85EC53);
  return h ^ (h >> 29);
}

static bool op_equal(const hl_kernel *k, hli_op x, hli_op y) {
  const hli_op_data *a = hli_op_get(k, x), *b = hli_op_get(k, y);
  if (a->code != b->code || a->operands.len != b->operands.len ||
      k->values.data[a->results].type != k->values.data[b->results].type)
    return false;
  for (uint32_t i = 0; i < a->operands.len; i++)
    if (k->pool.data[a->operands.off + i] != k->pool.data[b->operands.off + i])
      return false;
  for (uint32_t t = 0; t < HLI_MAX_ATTRS; t++) {
    if (a->attrs[t].len != b->attrs[t].len)
      return false;
    for (uint32_t i = 0; i < a->attrs[t].len; i++)
      if (k->ints.data[a->attrs[t].off + i] != k->ints.data[b->attrs[t].off + i])
        return false;
  }
  return true;
}

/* ---- folding ---- */

static bool is_pointwise(hli_opcode code) {
  const uint8_t f = hli_op_facts(code)->family;
  return f == HLI_FAM_UNARY || f == HLI_FAM_BINARY || f == HLI_FAM_TERNARY || f == HLI_FAM_CAST;
}

/* A scalar op of constants becomes a constant. */
static hli_value fold(simplifier *s, hli_op op) {
  hl_kernel *k = s->k;
  const hli_op_data o = *hli_op_get(k, op);
  hli_scalar args[3];
  if (!is_pointwise((hli_opcode)o.code) || o.operands.len > 3 || hli_type_of(k, o.results)->rank)
    return 0;
  for (uint32_t i = 0; i < o.operands.len; i++) {
    const hli_value v = hli_operand(k, op, i);
    const hli_op def = k->values.data[v].def;
    if (!def || k->ops.data[def].code != HLI_OP_CONST || !hli_const_value(k, v, &args[i]))
      return 0;
  }
  const hl_dtype from = hli_dtype_of(k, hli_operand(k, op, o.operands.len - 1)), to = hli_dtype_of(k, o.results);
  const hli_scalar r = hli_scalar_eval((hli_opcode)o.code, from, to, args, true);
  hli_cursor at = {.k = k, .block = o.block, .before = op, .file = o.file, .line = o.line};
  return hli_make_const(&at, to, hli_scalar_to_bits(to, r));
}

static bool is_int_const(const hl_kernel *k, hli_value v, int64_t x) {
  hli_scalar c;
  const char kind = hli_dtype_kind(hli_dtype_of(k, v));
  return (kind == 'i' || kind == 'u') && hli_const_value(k, v, &c) && c.i == x;
}

static bool is_one(const hl_kernel *k, hli_value v) {
  hli_scalar c;
  if (hli_dtype_kind(hli_dtype_of(k, v)) == 'f')
    return hli_const_value(k, v, &c) && c.f == 1.0;
  return is_int_const(k, v, 1);
}

/* Identities that hold for every operand; 0 if none applies. */
static hli_value identity(simplifier *s, hli_op op) {
  hl_kernel *k = s->k;
  const hli_op_data *o = hli_op_get(k, op);
  if (o->code == HLI_OP_BROADCAST || o->code == HLI_OP_CAST || o->code == HLI_OP_CONVERT) {
    const hli_value a = hli_operand(k, op, 0);
    return k->values.data[a].type == k->values.data[o->results].type ? a : 0;
  }
  if (o->operands.len != 2 || o->result_count != 1)
    return 0;
  const hli_value a = hli_operand(k, op, 0), b = hli_operand(k, op, 1);
  switch (o->code) {
  case HLI_OP_ADD:
    return is_int_const(k, b, 0) ? a : is_int_const(k, a, 0) ? b : 0;
  case HLI_OP_SUB:
    return is_int_const(k, b, 0) ? a : 0;
  case HLI_OP_MUL:
    if (is_one(k, b) || is_int_const(k, a, 0))
      return a;
    return is_one(k, a) || is_int_const(k, b, 0) ? b : 0;
  case HLI_OP_TRUNCDIV:
  case HLI_OP_FLOORDIV:
    return is_int_const(k, b, 1) || is_int_const(k, a, 0) ? a : 0;
  case HLI_OP_DIV:
    return is_one(k, b) ? a : 0;
  case HLI_OP_REM: {
    if (is_int_const(k, a, 0))
      return a;
    if (!is_int_const(k, b, 1) || hli_type_of(k, a)->rank)
      return 0;
    hli_cursor at = {.k = k, .block = o->block, .before = op, .file = o->file, .line = o->line};
    return hli_make_const(&at, hli_dtype_of(k, a), 0);
  }
  case HLI_OP_MIN:
  case HLI_OP_MAX:
    return a == b ? a : 0;
  default:
    return 0;
  }
}

/* where with a known condition; in_bounds of a tile that provably lies inside. */
static hli_value known_choice(simplifier *s, hli_op op) {
  hl_kernel *k = s->k;
  const hli_op_data o = *hli_op_get(k, op);
  hli_scalar c;
  if (o.code == HLI_OP_WHERE && hli_const_value(k, hli_operand(k, op, 0), &c))
    return hli_operand(k, op, c.i ? 1 : 2);
  if (o.code != HLI_OP_IN_BOUNDS || !k->scheduled || k->stage != HLI_STAGE_TILE ||
      !hli_range_inside(k, hli_operand(k, op, 0)))
    return 0;
  hli_cursor at = {.k = k, .block = o.block, .before = op, .file = o.file, .line = o.line};
  return hli_make_splat(&at, hli_make_const(&at, HL_BOOL, 1), k->values.data[o.results].type);
}

/* A broadcast of a broadcast is one broadcast. */
static hli_value merge_broadcasts(simplifier *s, hli_op op) {
  hl_kernel *k = s->k;
  const hli_op_data o = *hli_op_get(k, op);
  int64_t dims[HL_MAX_RANK];
  if (o.code != HLI_OP_BROADCAST)
    return 0;
  const hli_op inner = k->values.data[hli_operand(k, op, 0)].def;
  if (!inner || k->ops.data[inner].code != HLI_OP_BROADCAST)
    return 0;
  for (uint32_t i = 0; i < hli_attr_len(k, inner, 0); i++)
    dims[i] = hli_attr(k, op, 0, (uint32_t)hli_attr(k, inner, 0, i));
  hli_cursor at = {.k = k, .block = o.block, .before = op, .file = o.file, .line = o.line};
  return hli_make_broadcast(&at, hli_operand(k, inner, 0), k->values.data[o.results].type, dims);
}

/* ---- walking ---- */

static bool is_mergeable(const hl_kernel *k, hli_op op) {
  const hli_op_data *o = hli_op_get(k, op);
  const hli_op_info *f = hli_op_facts((hli_opcode)o->code);
  return f->effects == HLI_EFF_PURE && f->regions == 0 && f->family != HLI_FAM_BUFFER && o->result_count == 1;
}

static void enter(simplifier *s, hli_op op) {
  const uint32_t h = (uint32_t)op_hash(s->k, op) & s->bucket_mask;
  for (hli_op o = s->bucket[h]; o; o = s->next[o]) {
    if (o == op)
      return;
    if (op_equal(s->k, o, op)) {
      const hli_value keep = hli_result(s->k, o, 0), drop = hli_result(s->k, op, 0);
      if (!s->k->values.data[keep].name[0])
        s->k->values.data[keep].name = s->k->values.data[drop].name;
      replace(s, op, keep);
      return;
    }
  }
  if (op >= s->capacity || !hli_vec_push(s->k->alloc, &s->open, op))
    return;
  s->next[op] = s->bucket[h];
  s->bucket[h] = op;
}

static void leave(simplifier *s, uint32_t mark) {
  while (s->open.len > mark) {
    const hli_op op = s->open.data[--s->open.len];
    uint32_t *link = &s->bucket[(uint32_t)op_hash(s->k, op) & s->bucket_mask];
    while (*link && *link != op)
      link = &s->next[*link];
    if (*link)
      *link = s->next[op];
  }
}

static void simplify_block(simplifier *s, hli_block b);

static void simplify_op(simplifier *s, hli_op op) {
  hl_kernel *k = s->k;
  for (uint32_t i = 0; i < hli_operand_count(k, op); i++)
    hli_op_set_operand(k, op, i, resolve(s, hli_operand(k, op, i)));
  if (k->ops.data[op].region)
    simplify_block(s, k->ops.data[op].region);
  if (!is_mergeable(k, op))
    return;
  hli_value r = fold(s, op);
  if (!r)
    r = identity(s, op);
  if (!r)
    r = merge_broadcasts(s, op);
  if (!r)
    r = known_choice(s, op);
  if (!r) {
    enter(s, op);
    return;
  }
  const hli_value old = hli_result(k, op, 0);
  if (!k->values.data[r].name[0])
    k->values.data[r].name = k->values.data[old].name;
  replace(s, op, r);
  const hli_op made = k->values.data[r].def;
  if (made && (k->ops.data[made].code == HLI_OP_CONST || k->ops.data[made].code == HLI_OP_BROADCAST))
    enter(s, made);
}

static void simplify_block(simplifier *s, hli_block b) {
  const uint32_t mark = s->open.len;
  for (hli_op op = hli_first(s->k, b), next; op && !s->k->failed; op = next) {
    next = hli_next(s->k, op);
    simplify_op(s, op);
  }
  leave(s, mark);
}

/* ---- dead code ---- */

static void drop_dead_in(hl_kernel *k, hli_block b, const uint32_t *uses, const bool *axes, bool *changed) {
  for (hli_op op = k->blocks.data[b].last, prev; op; op = prev) {
    prev = k->ops.data[op].prev;
    if (k->ops.data[op].region)
      drop_dead_in(k, k->ops.data[op].region, uses, axes, changed);
    const hli_op_data *o = hli_op_get(k, op);
    const uint8_t eff = hli_op_facts((hli_opcode)o->code)->effects;
    const bool fold = hli_op_facts((hli_opcode)o->code)->family == HLI_FAM_FOLD; /* its region has no effects */
    if ((eff != HLI_EFF_PURE && eff != HLI_EFF_READ) || (o->region && !fold) || o->result_count == 0)
      continue;
    if (o->code == HLI_OP_RANGE && k->stage == HLI_STAGE_TILE && axes[hli_attr(k, op, 0, 0)])
      continue; /* says which lanes of its axis are valid, also for values that no load made */
    bool used = false;
    for (uint32_t i = 0; i < o->result_count; i++)
      used |= uses[o->results + i] != 0;
    if (used)
      continue;
    for (hli_op in = fold ? hli_first(k, o->region) : 0, next; in; in = next) {
      next = hli_next(k, in);
      hli_op_remove(k, in);
    }
    hli_op_remove(k, op);
    *changed = true;
  }
}

/* Which axes the live values of a kernel have, ranges aside. */
static void note_axes(const hl_kernel *k, hli_value v, bool *axes) {
  const hli_type_data *t = hli_type_of(k, v);
  for (uint32_t d = 0; t->kind == HLI_TYPE_VALUE && d < t->rank; d++)
    axes[t->dims[d]] = true;
}

static void count_axes(const hl_kernel *k, hli_block b, bool *axes) {
  for (hli_op op = hli_first(k, b); op; op = hli_next(k, op)) {
    const hli_op_data *o = hli_op_get(k, op);
    for (uint32_t i = 0; i < o->result_count; i++)
      note_axes(k, o->results + i, axes);
    if (!o->region)
      continue;
    for (uint32_t i = 0; i < k->blocks.data[o->region].args.len; i++)
      note_axes(k, hli_block_arg(k, o->region, i), axes);
    count_axes(k, o->region, axes);
  }
}

static void count_uses(const hl_kernel *k, hli_block b, uint32_t *uses) {
  for (hli_op op = hli_first(k, b); op; op = hli_next(k, op)) {
    for (uint32_t i = 0; i < hli_operand_count(k, op); i++)
      uses[hli_operand(k, op, i)]++;
    if (k->ops.data[op].region)
      count_uses(k, k->ops.data[op].region, uses);
  }
}

static void drop_dead(hl_kernel *k, hli_arena *arena) {
  uint32_t *uses = hli_arena_array(arena, uint32_t, k->values.len);
  bool *axes = hli_arena_array(arena, bool, k->axes.len + 1);
  for (bool changed = true; changed && uses && axes;) {
    changed = false;
    memset(uses, 0, sizeof *uses * k->values.len);
    memset(axes, 0, k->axes.len);
    count_uses(k, k->body, uses);
    count_axes(k, k->body, axes);
    drop_dead_in(k, k->body, uses, axes, &changed);
  }
}

/* ---- known conditions ---- */

/* Puts the region's ops before the `if` (taken) or nothing, and forwards its results. */
static void splice(hl_kernel *k, hli_op op, bool taken, hli_value *map) {
  const hli_block body = k->ops.data[op].region;
  const hli_op yield = k->blocks.data[body].last;
  const uint32_t n = k->ops.data[op].result_count, values = k->values.len;
  for (hli_value v = 0; v < values; v++)
    map[v] = v;
  for (uint32_t i = 0; i < n; i++)
    map[hli_block_arg(k, body, i)] = hli_operand(k, op, 1 + i);
  hli_cursor at = {.k = k, .block = k->ops.data[op].block, .before = op, .file = ""};
  for (hli_op o = hli_first(k, body); taken && o != yield && !k->failed; o = hli_next(k, o)) {
    at.file = k->ops.data[o].file, at.line = k->ops.data[o].line;
    hli_op_clone(&at, k, o, map);
  }
  for (uint32_t i = 0; i < n && !k->failed; i++)
    hli_replace_uses(k, hli_result(k, op, i), taken ? map[hli_operand(k, yield, i)] : hli_operand(k, op, 1 + i));
}

static void bury(hl_kernel *k, hli_block b) {
  for (hli_op op = hli_first(k, b); op; op = hli_next(k, op)) {
    k->ops.data[op].dead = true;
    if (k->ops.data[op].region)
      bury(k, k->ops.data[op].region);
  }
}

/* The outermost `if`s with constant conditions; what they held is looked at in the next round. */
static bool fold_ifs(hl_kernel *k, hli_block b) {
  bool any = false;
  for (hli_op op = hli_first(k, b), next; op && !k->failed; op = next) {
    hli_scalar cond;
    next = hli_next(k, op);
    if (k->ops.data[op].code != HLI_OP_IF || !hli_const_value(k, hli_operand(k, op, 0), &cond)) {
      any |= k->ops.data[op].region && fold_ifs(k, k->ops.data[op].region);
      continue;
    }
    const uint32_t values = k->values.len;
    hli_value *map = hli_calloc(k->alloc, values, sizeof *map);
    if (!map) {
      k->failed = true;
      return false;
    }
    splice(k, op, cond.i != 0, map);
    hli_release(k->alloc, map, values * sizeof *map);
    bury(k, k->ops.data[op].region);
    hli_op_remove(k, op);
    any = true;
  }
  return any;
}

hl_status hli_pass_simplify(hli_pass_env *env, hl_kernel **pk) {
  hl_kernel *k = *pk;
  simplifier s = {.k = k, .bucket_mask = 1023};
  hli_arena_init(&s.arena, k->alloc);
  s.capacity = 2 * k->ops.len + 64; /* folding adds at most one op for each */
  s.forward_cap = 2 * k->values.len + 64;
  s.bucket = hli_arena_array(&s.arena, uint32_t, s.bucket_mask + 1);
  s.next = hli_arena_array(&s.arena, uint32_t, s.capacity);
  s.forward = hli_arena_array(&s.arena, hli_value, s.forward_cap);
  if (!s.arena.failed) {
    simplify_block(&s, k->body);
    drop_dead(k, &s.arena);
  }
  const bool failed = s.arena.failed || k->failed;
  hli_arena_free(&s.arena);
  hli_vec_free(k->alloc, &s.open);
  if (!failed && k->stage == HLI_STAGE_TILE && !k->scheduled && fold_ifs(k, k->body))
    return hli_pass_simplify(env, pk);
  return failed || k->failed ? hli_fail_memory(env->diag, "simplifying a kernel") : HL_OK;
}
