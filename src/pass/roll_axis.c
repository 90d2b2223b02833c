/* roll_axis.c: rewrites the ops along one full axis into loops over chunks (see roll.c).
 *
 * A value lies *along* the axis when its shape has it.  The phase of an op is the number of reductions over
 * the axis that must be complete before it can run; one loop is made per phase that has a reduction or a store. */
#include "src/config/facts.h"
#include "src/pass/roll.h"

typedef struct roller {
  hli_pass_env *env;
  hl_kernel *k;
  hli_axis axis, chunk;
  hli_block block; /* the straight-line block that holds all ops along the axis */
  hli_value size;  /* end of the axis' range */
  uint32_t *phase; /* per value: when it is available */
  uint32_t values; /* length of phase */
  hli_arena arena;
} roller;

bool hli_axis_in_use(const hl_kernel *k, hli_axis a) {
  for (hli_op op = 1; op < k->ops.len; op++)
    if (!k->ops.data[op].dead && k->ops.data[op].code == HLI_OP_RANGE && hli_attr(k, op, 0, 0) == a)
      return true;
  return false;
}

/* ---- phases ---- */

static uint32_t operand_phase(const roller *r, hli_op op) {
  uint32_t p = 0;
  for (uint32_t i = 0; i < hli_operand_count(r->k, op); i++) {
    const hli_value v = hli_operand(r->k, op, i);
    if (v < r->values)
      p = HLI_MAX(p, r->phase[v]);
  }
  return p;
}

static uint32_t find_phases(roller *r) {
  uint32_t last = 0;
  for (hli_op op = hli_first(r->k, r->block); op; op = hli_next(r->k, op)) {
    uint32_t p = operand_phase(r, op);
    if (hli_op_touches(r->k, op, r->axis))
      last = HLI_MAX(last, p);
    if (hli_is_reduce_over(r->k, op, r->axis))
      p++;
    for (uint32_t i = 0; i < r->k->ops.data[op].result_count; i++)
      r->phase[hli_result(r->k, op, i)] = p;
  }
  return last;
}

/* A tensor stored along the axis in one phase must not be read again in a later one. */
static hl_status check_reread(const roller *r) {
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

static hli_type chunk_type(roller *r, hli_type t) {
  hli_type_data d = *hli_type_get(r->k, t);
  for (uint32_t i = 0; i < d.rank; i++)
    if (d.dims[i] == r->axis && (d.kind == HLI_TYPE_VALUE || d.kind == HLI_TYPE_TILE))
      d.dims[i] = r->chunk;
  return hli_type_intern(r->k, &d);
}

/* Clones into the loop what `v` needs along the axis. map holds the values of this loop. */
static hli_value pull(roller *r, hli_cursor *c, hli_value v, hli_value *map) {
  if (map[v])
    return map[v];
  const hli_op def = r->k->values.data[v].def;
  if (!hli_type_along(r->k, v, r->axis) || !def)
    return map[v] = v;
  for (uint32_t i = 0; i < hli_operand_count(r->k, def); i++)
    pull(r, c, hli_operand(r->k, def, i), map);
  hli_op n = hli_op_clone(c, r->k, def, map);
  if (!n)
    return 0;
  for (uint32_t i = 0; i < r->k->ops.data[n].result_count; i++) {
    hli_value_data *x = &r->k->values.data[hli_result(r->k, n, i)];
    x->type = chunk_type(r, x->type);
    x = &r->k->values.data[hli_result(r->k, n, i)];
    x->name = "";
  }
  return map[v];
}

static bool is_sink(const roller *r, hli_op op, uint32_t phase) {
  if (!hli_op_touches(r->k, op, r->axis) || operand_phase(r, op) != phase)
    return false;
  return r->k->ops.data[op].code == HLI_OP_STORE || hli_is_reduce_over(r->k, op, r->axis);
}

/* combine(acc, x with the lanes beyond the end at the identity) */
static hli_value accumulate(roller *r, hli_cursor *c, hli_op reduce, hli_value acc, hli_value tile, hli_value *map) {
  const hli_opcode combine = hli_reduce_combine((hl_reduce_op)hli_attr(r->k, reduce, 0, 0));
  hli_value x = pull(r, c, hli_operand(r->k, reduce, 0), map);
  const hli_type type = r->k->values.data[x].type;
  int64_t dim = hli_attr(r->k, reduce, 1, 0);
  hli_value inside = hli_make_unary(c, HLI_OP_IN_BOUNDS, tile);
  hli_value mask = hli_make_broadcast(c, inside, hli_type_with_dtype(r->k, type, HL_BOOL), &dim);
  hli_value neutral = hli_make_splat(
      c, hli_make_identity(c, hli_dtype_of(r->k, x), (hli_identity)hli_op_facts(combine)->identity), type);
  return hli_make_binary(c, combine, acc, hli_make_where(c, mask, x, neutral));
}

/* Makes the loop of one phase before op `before`; replaces its reductions' results. */
static void emit_phase(roller *r, hli_op before, const hli_op *sinks, uint32_t n) {
  hl_kernel *k = r->k;
  hli_cursor c = {.k = k,
                  .block = r->block,
                  .before = before,
                  .file = k->ops.data[sinks[0]].file,
                  .line = k->ops.data[sinks[0]].line};
  hli_value operands[HLI_MAX_OPERANDS], next[HLI_MAX_OPERANDS];
  hli_type types[HLI_MAX_OPERANDS];
  uint32_t carried = 0;
  operands[0] = hli_make_i64(&c, 0);
  operands[1] = r->size;
  for (uint32_t i = 0; i < n; i++) {
    if (k->ops.data[sinks[i]].code == HLI_OP_STORE)
      continue;
    const hli_opcode combine = hli_reduce_combine((hl_reduce_op)hli_attr(k, sinks[i], 0, 0));
    const hli_value x = hli_operand(k, sinks[i], 0);
    types[carried] = chunk_type(r, k->values.data[x].type);
    hli_value id = hli_make_identity(&c, hli_dtype_of(k, x), (hli_identity)hli_op_facts(combine)->identity);
    operands[2 + carried] = hli_make_splat(&c, id, types[carried]);
    carried++;
  }
  int64_t axis = r->chunk;
  hli_op loop = hli_op_create(&c, &(hli_op_desc){.code = HLI_OP_TILE,
                                                 .operands = operands,
                                                 .operand_count = 2 + carried,
                                                 .results = types,
                                                 .result_count = carried,
                                                 .attrs = &axis,
                                                 .attr_len = {1}});
  hli_block body = loop ? hli_block_create(k, loop) : 0;
  hli_value *map = hli_arena_array(&r->arena, hli_value, 4 * k->values.len + 1024); /* room for what this loop adds */
  if (!body || !map) {
    k->failed = true;
    return;
  }
  hli_cursor in = {.k = k, .block = body, .file = c.file, .line = c.line};
  hli_value tile = hli_block_add_arg(k, body, hli_type_tile(k, r->chunk), hli_str(k->axes.data[r->chunk].name));
  for (hli_op op = 1; op < k->ops.len; op++)
    if (k->ops.data[op].code == HLI_OP_RANGE && hli_attr(k, op, 0, 0) == r->axis)
      map[hli_result(k, op, 0)] = tile;
  for (uint32_t i = 0; i < carried; i++)
    hli_block_add_arg(k, body, types[i], hli_str(""));
  uint32_t at = 0;
  for (uint32_t i = 0; i < n; i++) {
    const hli_op s = sinks[i];
    if (k->ops.data[s].code == HLI_OP_STORE) {
      for (uint32_t j = 0; j < hli_operand_count(k, s); j++)
        pull(r, &in, hli_operand(k, s, j), map);
      hli_op_clone(&in, k, s, map);
      continue;
    }
    next[at] = accumulate(r, &in, s, hli_block_arg(k, body, 1 + at), tile, map);
    at++;
  }
  hli_make_yield(&in, next, carried);
  at = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (k->ops.data[sinks[i]].code == HLI_OP_STORE)
      continue;
    int64_t dim = hli_attr(k, sinks[i], 1, 0);
    hli_value done = hli_make_reduce(&c, (hl_reduce_op)hli_attr(k, sinks[i], 0, 0), hli_result(k, loop, at++), &dim, 1);
    if (!done) {
      k->failed = true;
      return;
    }
    k->values.data[done].name = k->values.data[hli_result(k, sinks[i], 0)].name;
    hli_replace_uses(k, hli_result(k, sinks[i], 0), done);
    if (done < r->values)
      r->phase[done] = 0;
  }
}

/* The last op of the phase's sinks: everything the loop needs stands before it. */
static hl_status roll_phase(roller *r, uint32_t phase) {
  hli_op sinks[HLI_MAX_OPERANDS];
  uint32_t n = 0;
  for (hli_op op = hli_first(r->k, r->block); op; op = hli_next(r->k, op)) {
    if (!is_sink(r, op, phase))
      continue;
    if (n == HLI_COUNT(sinks) - 4)
      return hli_fail(r->env->diag, HL_ERR_LIMIT, "kernel %s: too many reductions along $%s", r->k->name,
                      r->k->axes.data[r->axis].name);
    sinks[n++] = op;
  }
  if (!n)
    return HL_OK;
  emit_phase(r, sinks[n - 1], sinks, n);
  for (uint32_t i = 0; i < n; i++)
    hli_op_remove(r->k, sinks[i]);
  return HL_OK;
}

/* ---- order ---- */

/* A phase's loop stands before its last sink, so that users of its first results may now stand too early:
 * the block is sorted again, stably, by dependence; ops that touch memory keep their order. */
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

static void sort_block(roller *r) {
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

hl_status hli_roll_axis(hli_pass_env *env, hl_kernel *k, hli_axis axis, int64_t chunk) {
  const char *why = "";
  roller r = {.env = env, .k = k, .axis = axis, .block = hli_chunk_block(k, axis, &why)};
  if (!r.block)
    return hli_axis_in_use(k, axis)
               ? hli_fail(env->diag, HL_ERR_CONFIG, "kernel %s: $%s cannot be walked in chunks (reduction_loops): %s",
                          k->name, k->axes.data[axis].name, why)
               : HL_OK;
  for (hli_op op = 1; op < k->ops.len; op++)
    if (!k->ops.data[op].dead && k->ops.data[op].code == HLI_OP_RANGE && hli_attr(k, op, 0, 0) == axis)
      r.size = hli_operand(k, op, 1);
  hl_status s = check_reread(&r);
  if (s != HL_OK)
    return s;
  hli_arena_init(&r.arena, k->alloc);
  r.values = 8 * k->values.len + 4096; /* values of later phases are looked up by id */
  r.phase = hli_arena_array(&r.arena, uint32_t, r.values);
  r.chunk = hli_axis_tile(k, hli_str(k->axes.data[axis].name));
  if (!r.phase || !r.chunk)
    s = hli_fail_memory(env->diag, "rolling a kernel");
  else {
    k->axes.data[r.chunk].block = chunk;
    k->axes.data[r.chunk].dim = k->axes.data[axis].dim;
    const uint32_t last = find_phases(&r);
    for (uint32_t p = 0; p <= last && s == HL_OK && !k->failed; p++)
      s = roll_phase(&r, p);
    if (s == HL_OK && !k->failed)
      sort_block(&r);
  }
  hli_arena_free(&r.arena);
  return s;
}
