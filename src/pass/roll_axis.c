/* roll_axis.c: rewrites the ops along one full axis into loops over chunks (see roll.c).
 *
 * A value lies *along* the axis when its shape has it.  The phase of an op is the number of loops over the axis that
 * must be complete before it can run; one loop is made per phase that has a reduction or a store (its *sinks*).
 * Reductions keep one accumulator per lane of a chunk, reduced behind the loop; dots carry theirs. */
#include "src/config/facts.h"
#include "src/pass/roll.h"

bool hli_axis_in_use(const hl_kernel *k, hli_axis a) {
  for (hli_op op = 1; op < k->ops.len; op++)
    if (!k->ops.data[op].dead && k->ops.data[op].code == HLI_OP_RANGE && hli_attr(k, op, 0, 0) == a)
      return true;
  return false;
}

/* ---- phases ---- */

static uint32_t operand_phase(const hli_roller *r, hli_op op) {
  uint32_t p = 0;
  for (uint32_t i = 0; i < hli_operand_count(r->k, op); i++) {
    const hli_value v = hli_operand(r->k, op, i);
    if (v < r->values)
      p = HLI_MAX(p, r->phase[v]);
  }
  return p;
}

/* A reduction over the axis gives its result one phase later; one that is online, as soon as what it is about is
 * known. */
static uint32_t note_sink(hli_roller *r, hli_op op, uint32_t p, uint32_t *last) {
  hli_roll_sink s = {.op = op, .phase = p};
  const bool sums = hli_is_reduce_over(r->k, op, r->axis), reduces = sums || hli_is_dot_over(r->k, op, r->axis);
  if (!hli_op_touches(r->k, op, r->axis))
    return p;
  if (sums && hli_online_match(r, op, &s))
    p = HLI_MAX(r->phase[s.about], s.phase + 1);
  else if (reduces)
    p++;
  else if (r->k->ops.data[op].code != HLI_OP_STORE)
    return p;
  *last = HLI_MAX(*last, s.phase);
  r->sink[op] = s;
  return p;
}

static uint32_t find_phases(hli_roller *r) {
  uint32_t last = 0;
  for (uint32_t i = 0; i < r->ops; i++)
    r->sink[i].phase = HLI_ROLL_NEVER;
  for (hli_op op = hli_first(r->k, r->block); op; op = hli_next(r->k, op)) {
    const uint32_t p = note_sink(r, op, operand_phase(r, op), &last);
    for (uint32_t i = 0; i < r->k->ops.data[op].result_count; i++)
      r->phase[hli_result(r->k, op, i)] = p;
  }
  return last;
}

/* A tensor stored along the axis in one phase must not be read again in a later one. */
static hl_status check_reread(const hli_roller *r) {
  hli_access a, b;
  for (hli_op s = hli_first(r->k, r->block); s; s = hli_next(r->k, s)) {
    if (r->k->ops.data[s].code != HLI_OP_STORE)
      continue;
    hli_access_get(r->k, s, &a);
    for (hli_op l = hli_first(r->k, r->block); l; l = hli_next(r->k, l)) {
      if (r->k->ops.data[l].code != HLI_OP_LOAD || !hli_op_touches(r->k, l, r->axis))
        continue;
      hli_access_get(r->k, l, &b);
      if (a.base == b.base && hli_op_touches(r->k, s, r->axis))
        return hli_fail(r->env->diag, HL_ERR_CONFIG,
                        "kernel %s: $%s cannot be walked in chunks (reduction_loops): %s is read and written along it",
                        r->k->name, r->k->axes.data[r->axis].name, r->k->values.data[a.base].name);
    }
  }
  return HL_OK;
}

/* ---- one phase ---- */

hli_type hli_roll_chunk_type(hli_roller *r, hli_type t) {
  hli_type_data d = *hli_type_get(r->k, t);
  for (uint32_t i = 0; i < d.rank; i++)
    if (d.dims[i] == r->axis && (d.kind == HLI_TYPE_VALUE || d.kind == HLI_TYPE_TILE))
      d.dims[i] = r->chunk;
  return hli_type_intern(r->k, &d);
}

/* Clones into the loop what `v` needs along the axis. */
hli_value hli_roll_pull(hli_roll_loop *l, hli_value v) {
  hli_roller *r = l->r;
  if (l->map[v])
    return l->map[v];
  const hli_op def = r->k->values.data[v].def;
  if (!hli_type_along(r->k, v, r->axis) || !def)
    return l->map[v] = v;
  for (uint32_t i = 0; i < hli_operand_count(r->k, def); i++)
    hli_roll_pull(l, hli_operand(r->k, def, i));
  hli_op n = hli_op_clone(&l->at, r->k, def, l->map);
  if (!n)
    return 0;
  for (uint32_t i = 0; i < r->k->ops.data[n].result_count; i++) {
    const hli_value x = hli_result(r->k, n, i);
    const hli_type t = hli_roll_chunk_type(r, r->k->values.data[x].type);
    r->k->values.data[x].type = t;
    r->k->values.data[x].name = "";
  }
  return l->map[v];
}

static bool is_sink(const hli_roller *r, hli_op op, uint32_t phase) {
  return op < r->ops && r->sink[op].phase == phase;
}

hli_value hli_roll_inside(hli_roll_loop *l, hli_value x, hli_value other) {
  hl_kernel *k = l->r->k;
  const hli_type type = k->values.data[x].type;
  const hli_type_data *t = hli_type_get(k, type);
  int64_t dim = 0;
  while (dim < t->rank && t->dims[dim] != l->r->chunk)
    dim++;
  hli_value inside = hli_make_unary(&l->at, HLI_OP_IN_BOUNDS, l->tile);
  return hli_make_where(&l->at, hli_make_broadcast(&l->at, inside, hli_type_with_dtype(k, type, HL_BOOL), &dim), x,
                        other);
}

hli_value hli_roll_argument(const hli_roll_loop *l, uint32_t slot) {
  return hli_block_arg(l->r->k, l->body, 1 + slot);
}

/* ---- the accumulators of one sink ---- */

static bool is_fold(const hl_kernel *k, hli_op op) {
  return hli_op_facts((hli_opcode)k->ops.data[op].code)->family == HLI_FAM_FOLD;
}

static bool is_dot(const hl_kernel *k, hli_op op) {
  return k->ops.data[op].code == HLI_OP_DOT;
}

static hli_opcode combine_of(const hl_kernel *k, hli_op reduce) {
  return hli_reduce_combine((hl_reduce_op)hli_attr(k, reduce, 0, 0));
}

/* The identity of part i, spread over a chunk. */
static hli_value identity(hli_roller *r, hli_cursor *c, hli_op op, uint32_t i) {
  hl_kernel *k = r->k;
  const hli_value x = hli_operand(k, op, i);
  const hli_type type = hli_roll_chunk_type(r, k->values.data[x].type);
  if (is_fold(k, op))
    return hli_make_splat(c, hli_operand(k, op, hli_fold_parts(k, op) + i), type);
  const hli_identity id = (hli_identity)hli_op_facts(combine_of(k, op))->identity;
  return hli_make_splat(c, hli_make_identity(c, hli_dtype_of(k, x), id), type);
}

static uint32_t slots_of(const hli_roller *r, const hli_roll_sink *s) {
  if (r->k->ops.data[s->op].code == HLI_OP_STORE)
    return 0;
  return s->online ? hli_online_slots(r, s) : is_fold(r->k, s->op) ? hli_fold_parts(r->k, s->op) : 1;
}

static void start_sink(hli_roller *r, hli_cursor *c, const hli_roll_sink *s, hli_value *out) {
  if (s->online)
    hli_online_start(r, c, s, out);
  if (is_dot(r->k, s->op)) {
    out[0] = hli_operand(r->k, s->op, 2);
    return;
  }
  for (uint32_t i = 0; i < s->slots && !s->online; i++)
    out[i] = identity(r, c, s->op, i);
}

/* A dot adds this chunk's products to what it has. */
static hli_value next_dot(hli_roll_loop *l, const hli_roll_sink *s) {
  const hl_kernel *k = l->r->k;
  const hli_value acc = hli_operand(k, s->op, 2), old = l->map[acc];
  for (uint32_t i = 0; i < 2; i++)
    hli_roll_pull(l, hli_operand(k, s->op, i));
  l->map[acc] = hli_roll_argument(l, s->first);
  const hli_op n = hli_op_clone(&l->at, k, s->op, l->map);
  l->map[acc] = old;
  return n ? hli_result(k, n, 0) : 0;
}

/* A store is done; a reduction takes in this chunk, with the lanes beyond the end at the identity. */
static void next_sink(hli_roll_loop *l, const hli_roll_sink *s, hli_value *out) {
  hl_kernel *k = l->r->k;
  hli_value args[2 * HLI_FOLD_PARTS];
  if (k->ops.data[s->op].code == HLI_OP_STORE) {
    for (uint32_t i = 0; i < hli_operand_count(k, s->op); i++)
      hli_roll_pull(l, hli_operand(k, s->op, i));
    hli_op_clone(&l->at, k, s->op, l->map);
    return;
  }
  if (s->online) {
    hli_online_next(l, s, out);
    return;
  }
  if (is_dot(k, s->op)) {
    *out = next_dot(l, s);
    return;
  }
  for (uint32_t i = 0; i < s->slots; i++) {
    const hli_value x = hli_roll_pull(l, hli_operand(k, s->op, i));
    args[i] = hli_roll_argument(l, s->first + i);
    args[s->slots + i] = hli_roll_inside(l, x, identity(l->r, &l->at, s->op, i));
  }
  if (!is_fold(k, s->op))
    *out = hli_make_binary(&l->at, combine_of(k, s->op), args[0], args[1]);
  else if (!hli_combine_build(&l->at, k, s->op, args, NULL, NULL, out))
    k->failed = true;
}

/* What online sums are about, or weighted with, may be a result that gets another number. */
static void rename_result(hli_roller *r, hli_value from, hli_value to) {
  hli_replace_uses(r->k, from, to);
  for (uint32_t i = 0; i < r->ops; i++) {
    if (r->sink[i].about == from)
      r->sink[i].about = to;
    if (r->sink[i].factor == from)
      r->sink[i].factor = to;
  }
}

/* The op again, on accumulators. */
static void finish_sink(hli_roller *r, hli_cursor *c, const hli_roll_sink *s, const hli_value *acc) {
  hl_kernel *k = r->k;
  const uint32_t n = k->ops.data[s->op].result_count;
  hli_value done[HLI_FOLD_PARTS] = {0};
  if (s->online) {
    hli_cursor here = {.k = k, .block = r->block, .before = s->op, .file = c->file, .line = c->line};
    done[0] = hli_online_finish(r, &here, s, acc);
  } else if (is_dot(k, s->op)) {
    done[0] = acc[0];
  } else {
    hli_op copy = 0;
    hli_value *map = hli_arena_array(&r->arena, hli_value, k->values.len);
    for (hli_value v = 0; map && v < k->values.len; v++)
      map[v] = v;
    for (uint32_t i = 0; map && i < n; i++)
      map[hli_operand(k, s->op, i)] = acc[i];
    if (map)
      copy = hli_op_clone(c, k, s->op, map);
    for (uint32_t i = 0; copy && i < n; i++)
      done[i] = hli_result(k, copy, i);
  }
  for (uint32_t i = 0; i < n; i++) {
    if (!done[i]) {
      k->failed = true;
      return;
    }
    k->values.data[done[i]].name = k->values.data[hli_result(k, s->op, i)].name;
    rename_result(r, hli_result(k, s->op, i), done[i]);
  }
}

/* ---- one phase ---- */

static hli_op make_loop(hli_roller *r, hli_cursor *c, hli_value *operands, uint32_t carried, hli_roll_loop *l) {
  hl_kernel *k = r->k;
  hli_type types[HLI_MAX_OPERANDS];
  int64_t axis = r->chunk;
  for (uint32_t i = 0; i < carried; i++) {
    if (!operands[2 + i])
      return 0;
    types[i] = k->values.data[operands[2 + i]].type;
  }
  hli_op loop = hli_op_create(c, &(hli_op_desc){.code = HLI_OP_TILE,
                                                .operands = operands,
                                                .operand_count = 2 + carried,
                                                .results = types,
                                                .result_count = carried,
                                                .attrs = &axis,
                                                .attr_len = {1}});
  l->body = loop ? hli_block_create(k, loop) : 0;
  l->map = hli_arena_array(&r->arena, hli_value, 4 * k->values.len + 1024); /* room for what this loop adds */
  if (!l->body || !l->map)
    return 0;
  l->at = (hli_cursor){.k = k, .block = l->body, .file = c->file, .line = c->line};
  l->tile = hli_block_add_arg(k, l->body, hli_type_tile(k, r->chunk), hli_str(k->axes.data[r->chunk].name));
  for (hli_op op = 1; op < k->ops.len; op++)
    if (k->ops.data[op].code == HLI_OP_RANGE && hli_attr(k, op, 0, 0) == r->axis)
      l->map[hli_result(k, op, 0)] = l->tile;
  for (uint32_t i = 0; i < carried; i++)
    hli_block_add_arg(k, l->body, types[i], hli_str(""));
  return loop;
}

/* Makes the loop of one phase before op `before`; replaces its reductions' results. */
static void emit_phase(hli_roller *r, hli_op before, const hli_op *sinks, uint32_t n) {
  hl_kernel *k = r->k;
  hli_cursor c = {.k = k,
                  .block = r->block,
                  .before = before,
                  .file = k->ops.data[sinks[0]].file,
                  .line = k->ops.data[sinks[0]].line};
  hli_value operands[HLI_MAX_OPERANDS + HLI_ROLL_SLOTS], next[HLI_MAX_OPERANDS + HLI_ROLL_SLOTS];
  uint32_t carried = 0;
  hli_roll_loop l = {.r = r};
  operands[0] = hli_make_i64(&c, 0);
  operands[1] = r->size;
  for (uint32_t i = 0; i < n; i++) {
    hli_roll_sink *s = &r->sink[sinks[i]];
    s->first = carried;
    s->slots = slots_of(r, s);
    start_sink(r, &c, s, operands + 2 + carried);
    carried += s->slots;
  }
  const hli_op loop = make_loop(r, &c, operands, carried, &l);
  for (uint32_t i = 0; i < n && loop && !k->failed; i++)
    next_sink(&l, &r->sink[sinks[i]], next + r->sink[sinks[i]].first);
  bool complete = loop != 0;
  for (uint32_t i = 0; i < carried && complete; i++)
    complete = next[i] != 0;
  if (!complete || k->failed) {
    k->failed = true;
    return;
  }
  hli_make_yield(&l.at, next, carried);
  for (uint32_t i = 0; i < n && !k->failed; i++) {
    const hli_roll_sink *s = &r->sink[sinks[i]];
    hli_value acc[HLI_ROLL_SLOTS];
    for (uint32_t j = 0; j < s->slots; j++)
      acc[j] = hli_result(k, loop, s->first + j);
    if (s->slots)
      finish_sink(r, &c, s, acc);
  }
}

/* Where the loop goes: at its first reduction, so that stores of what follows from that stay behind it (what the loop
 * needs from further down is brought up when the block is sorted); a loop that only stores, at its last store. */
static hli_op place_of_loop(const hl_kernel *k, const hli_op *sinks, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (k->ops.data[sinks[i]].code != HLI_OP_STORE)
      return sinks[i];
  return sinks[n - 1];
}

static hl_status roll_phase(hli_roller *r, uint32_t phase) {
  hli_op sinks[HLI_MAX_OPERANDS];
  uint32_t n = 0, slots = 2;
  for (hli_op op = hli_first(r->k, r->block); op; op = hli_next(r->k, op)) {
    if (!is_sink(r, op, phase))
      continue;
    slots += slots_of(r, &r->sink[op]);
    if (n == HLI_COUNT(sinks) || slots > HLI_MAX_OPERANDS)
      return hli_fail(r->env->diag, HL_ERR_LIMIT, "kernel %s: too many reductions along $%s", r->k->name,
                      r->k->axes.data[r->axis].name);
    sinks[n++] = op;
  }
  if (!n)
    return HL_OK;
  emit_phase(r, place_of_loop(r->k, sinks, n), sinks, n);
  for (uint32_t i = 0; i < n && !r->k->failed; i++)
    hli_op_remove(r->k, sinks[i]);
  return HL_OK;
}

/* ---- order ---- */

/* A phase's loop stands before its first reduction, so that what its other sinks need may now stand too late: the block
 * is sorted again, stably, by dependence; ops that touch memory keep their order where dependence allows it. */
typedef struct sorter {
  hl_kernel *k;
  hli_block block;
  uint8_t *placed; /* per op */
  HLI_VEC(hli_op) order;
  HLI_VEC(hli_op) memory; /* ops with effects, in the original order */
} sorter;

static void place(sorter *s, hli_op op);

static bool has_effects(const hl_kernel *k, hli_op op) {
  return k->ops.data[op].region || hli_op_facts((hli_opcode)k->ops.data[op].code)->effects != HLI_EFF_PURE;
}

static void place_uses(sorter *s, hli_op op) {
  const hl_kernel *k = s->k;
  for (uint32_t i = 0; i < hli_operand_count(k, op); i++) {
    const hli_op def = k->values.data[hli_operand(k, op, i)].def;
    if (def && k->ops.data[def].block == s->block)
      place(s, def);
  }
  const hli_block region = k->ops.data[op].region;
  for (hli_op in = region ? hli_first(k, region) : 0; in; in = hli_next(k, in))
    place_uses(s, in);
}

static void place(sorter *s, hli_op op) {
  if (s->placed[op])
    return;
  s->placed[op] = 1;
  if (has_effects(s->k, op))
    for (uint32_t i = 0; i < s->memory.len && s->memory.data[i] != op; i++)
      place(s, s->memory.data[i]);
  place_uses(s, op);
  if (!hli_vec_push(s->k->alloc, &s->order, op))
    s->k->failed = true;
}

static void sort_block(hli_roller *r) {
  hl_kernel *k = r->k;
  sorter s = {.k = k, .block = r->block, .placed = hli_arena_alloc(&r->arena, k->ops.len)};
  if (!s.placed)
    return;
  for (hli_op op = hli_first(k, r->block); op; op = hli_next(k, op))
    if (has_effects(k, op) && !hli_vec_push(k->alloc, &s.memory, op))
      k->failed = true;
  for (hli_op op = hli_first(k, r->block); op && !k->failed; op = hli_next(k, op))
    place(&s, op);
  for (uint32_t i = 0; i < s.order.len && !k->failed; i++) {
    hli_op_data *o = hli_op_get(k, s.order.data[i]);
    o->prev = i ? s.order.data[i - 1] : 0;
    o->next = i + 1 < s.order.len ? s.order.data[i + 1] : 0;
  }
  if (s.order.len && !k->failed) {
    k->blocks.data[r->block].first = s.order.data[0];
    k->blocks.data[r->block].last = s.order.data[s.order.len - 1];
  }
  hli_vec_free(k->alloc, &s.order);
  hli_vec_free(k->alloc, &s.memory);
}

hl_status hli_roll_axis(hli_pass_env *env, hl_kernel *k, hli_axis axis, int64_t chunk, bool *rolled) {
  const char *why = "";
  hli_roller r = {.env = env, .k = k, .axis = axis, .block = hli_chunk_block(k, axis, &why), .known = -1};
  hli_scalar size;
  if (!r.block)
    return hli_axis_in_use(k, axis) && !*rolled
               ? hli_fail(env->diag, HL_ERR_CONFIG, "kernel %s: $%s cannot be walked in chunks (reduction_loops): %s",
                          k->name, k->axes.data[axis].name, why)
               : HL_OK;
  for (hli_op op = 1; op < k->ops.len; op++)
    if (!k->ops.data[op].dead && k->ops.data[op].code == HLI_OP_RANGE && hli_attr(k, op, 0, 0) == axis)
      r.size = hli_operand(k, op, 1);
  if (hli_const_value(k, r.size, &size))
    r.known = size.i;
  hl_status s = check_reread(&r);
  if (s != HL_OK)
    return s;
  hli_arena_init(&r.arena, k->alloc);
  r.values = 8 * k->values.len + 4096; /* values of later phases are looked up by id */
  r.ops = k->ops.len;
  r.phase = hli_arena_array(&r.arena, uint32_t, r.values);
  r.sink = hli_arena_array(&r.arena, hli_roll_sink, r.ops);
  r.chunk = hli_axis_tile(k, hli_str(k->axes.data[axis].name));
  if (!r.phase || !r.sink || !r.chunk)
    s = hli_fail_memory(env->diag, "rolling a kernel");
  else {
    k->axes.data[r.chunk].block = chunk;
    k->axes.data[r.chunk].dim = k->axes.data[axis].dim;
    const uint32_t last = find_phases(&r);
    for (uint32_t p = 0; p <= last && s == HL_OK && !k->failed; p++)
      s = roll_phase(&r, p);
    if (s == HL_OK && !k->failed)
      sort_block(&r);
    *rolled = true;
  }
  hli_arena_free(&r.arena);
  return s;
}
