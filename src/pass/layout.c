/* layout.c: scheduled TILE -> LANE: gives every tile value a layout and inserts `convert` where an op wants
 * another one.  Owner of num_warps.
 *
 * layout_plan.c chooses; here the kernel is rewritten op by op.  `want` is the one place where layouts are
 * reconciled: cheap values (broadcasts, tile_index, in_bounds) are made again in the wanted layout, others are
 * converted, right behind their definition, once per layout.
 *
 *   %v = load %x[%i, %c] : f32[$i, $N]             %v = load %x[%i, %c] : f32[$i, $N]#1
 *   %m = reduce %v {op = max, axes = [1]}    ->    %m = reduce %v {op = max, axes = [1]} : f32[$i]#2
 *   %b = broadcast %m {dims = [0]}                 %b = broadcast %m {dims = [0]} : f32[$i, $N]#1
 *
 *   %d = dot %a, %b, %acc : f32[$i, $j]      ->    %p = convert %a : bf16[$i, $k]#4;  %q = convert %b : bf16[$k, $j]#5
 *                                                  %d = mma %p, %q, %acc : f32[$i, $j]#3 */
#include "src/pass/layout_plan.h"

typedef struct made { /* a source value in some layout */
  hli_value src, value;
  uint32_t layout;
} made;

typedef struct rewriter {
  hli_layout_plan plan;
  const hl_kernel *src;
  hl_kernel *dst;
  hli_value *map; /* source value -> its first form */
  HLI_VEC(made) made;
} rewriter;

static hli_value want(rewriter *w, hli_value v, uint32_t layout);

/* ---- building ops ------------------------------------------------------------------------ */

static uint32_t layout_id(rewriter *w, const hli_layout *l) {
  return hli_layout_intern(w->dst, l);
}

static uint32_t class_layout(rewriter *w, hli_value v) {
  const hli_layout_class *c = hli_layout_class_of(&w->plan, v);
  return c ? layout_id(w, &c->layout) : 0;
}

static const hli_layout *layout_at(const rewriter *w, uint32_t id) {
  return &w->dst->layouts.data[id];
}

static hli_type typed(rewriter *w, hli_value src, uint32_t layout) {
  return hli_type_with_layout(w->dst, w->src->values.data[src].type, layout);
}

/* A copy of source op `op` (without region) as `code` with these operands and results. */
static hli_op rebuild(rewriter *w, hli_cursor *c, hli_op op, hli_opcode code, const hli_value *operands,
                      const hli_type *results) {
  const hl_kernel *k = w->src;
  const hli_op_data *o = hli_op_get(k, op);
  int64_t ints[64];
  hli_op_desc d = {.code = code,
                   .operands = operands,
                   .operand_count = o->operands.len,
                   .results = results,
                   .result_count = o->result_count,
                   .attrs = ints};
  uint32_t n = 0;
  for (uint32_t a = 0; a < HLI_MAX_ATTRS; a++) {
    d.attr_len[a] = o->attrs[a].len;
    for (uint32_t i = 0; i < o->attrs[a].len && n < HLI_COUNT(ints); i++)
      ints[n++] = hli_attr(k, op, a, i);
  }
  const hli_op r = hli_op_create(c, &d);
  if (!r)
    w->dst->failed = true;
  for (uint32_t i = 0; r && i < o->result_count; i++) {
    const char *name = k->values.data[hli_result(k, op, i)].name;
    if (name[0])
      hli_value_set_name(w->dst, hli_result(w->dst, r, i), name);
  }
  return r;
}

static void set_first(rewriter *w, hli_value src, hli_value v) {
  w->map[src] = v;
}

static hli_value first_result(rewriter *w, hli_op r) {
  return r ? hli_result(w->dst, r, 0) : 0;
}

static hli_value convert_to(rewriter *w, hli_cursor *c, hli_value v, uint32_t layout) {
  hl_kernel *k = w->dst;
  if (!v || hli_type_of(k, v)->layout == layout)
    return v;
  const hli_type t = hli_type_with_layout(k, k->values.data[v].type, layout);
  return first_result(
      w, hli_op_create(
             c, &(hli_op_desc){
                    .code = HLI_OP_CONVERT, .operands = &v, .operand_count = 1, .results = &t, .result_count = 1}));
}

/* ---- values on demand ------------------------------------------------------------------------ */

/* The layout in which a broadcast reads its operand when the result has layout `id`. */
static uint32_t broadcast_source(rewriter *w, hli_op op, uint32_t id) {
  const hl_kernel *k = w->src;
  const hli_type_data *t = hli_type_of(k, hli_operand(k, op, 0)), *r = hli_type_of(k, hli_result(k, op, 0));
  int8_t map[HLI_LAYOUT_RANK] = {-1, -1, -1, -1};
  hli_layout l;
  for (uint32_t i = 0; i < t->rank; i++)
    if (t->dims[i] == r->dims[hli_attr(k, op, 0, i)])
      map[hli_attr(k, op, 0, i)] = (int8_t)i;
  if (!hli_layout_map(layout_at(w, id), map, t->rank, &l))
    w->dst->failed = true;
  return layout_id(w, &l);
}

static hli_value make_broadcast(rewriter *w, hli_cursor *c, hli_op op, uint32_t id) {
  const hl_kernel *k = w->src;
  const hli_value src = hli_operand(k, op, 0);
  const hli_value operand = hli_type_of(k, src)->rank ? want(w, src, broadcast_source(w, op, id)) : w->map[src];
  const hli_type t = typed(w, hli_result(k, op, 0), id);
  return first_result(w, rebuild(w, c, op, HLI_OP_BROADCAST, &operand, &t));
}

static hli_value make_tile_vector(rewriter *w, hli_cursor *c, hli_op op, uint32_t id) {
  const hli_value operand = w->map[hli_operand(w->src, op, 0)];
  const hli_type t = typed(w, hli_result(w->src, op, 0), id);
  return first_result(w, rebuild(w, c, op, (hli_opcode)w->src->ops.data[op].code, &operand, &t));
}

/* Behind the definition of v, where everything v is made of exists. */
static hli_cursor behind(const rewriter *w, hli_value v) {
  const hli_value_data *d = &w->dst->values.data[v];
  if (!d->def)
    return (hli_cursor){.k = w->dst, .block = d->owner, .before = hli_first(w->dst, d->owner), .file = ""};
  const hli_op_data *o = hli_op_get(w->dst, d->def);
  return (hli_cursor){.k = w->dst, .block = o->block, .before = o->next, .file = o->file, .line = o->line};
}

static hli_value make_again(rewriter *w, hli_value v, uint32_t layout) {
  const hl_kernel *k = w->src;
  const hli_op def = k->values.data[v].def;
  const uint16_t code = def ? k->ops.data[def].code : HLI_OP_NONE;
  hli_cursor c = behind(w, w->map[v]);
  if (code == HLI_OP_TILE_INDEX || code == HLI_OP_IN_BOUNDS)
    return make_tile_vector(w, &c, def, layout);
  if (code == HLI_OP_BROADCAST)
    return make_broadcast(w, &c, def, layout);
  return convert_to(w, &c, w->map[v], layout);
}

/* Source value v in the given layout. */
static hli_value want(rewriter *w, hli_value v, uint32_t layout) {
  if (w->dst->failed || !w->map[v]) {
    w->dst->failed = true;
    return 0;
  }
  if (!layout || hli_type_of(w->dst, w->map[v])->layout == layout)
    return w->map[v];
  for (uint32_t i = 0; i < w->made.len; i++)
    if (w->made.data[i].src == v && w->made.data[i].layout == layout)
      return w->made.data[i].value;
  const hli_value r = make_again(w, v, layout);
  if (!r || !hli_vec_push(w->dst->alloc, &w->made, ((made){v, r, layout})))
    w->dst->failed = true;
  return r;
}

/* ---- ops ---------------------------------------------------------------------------------------- */

static void emit_pointwise(rewriter *w, hli_cursor *c, hli_op op) {
  const hl_kernel *k = w->src;
  hli_value operands[4] = {0};
  const hli_value result = hli_result(k, op, 0);
  const uint32_t layout = class_layout(w, result);
  for (uint32_t i = 0; i < hli_operand_count(k, op) && i < 4; i++)
    operands[i] = want(w, hli_operand(k, op, i), layout);
  const hli_type t = typed(w, result, layout);
  set_first(w, result, first_result(w, rebuild(w, c, op, (hli_opcode)k->ops.data[op].code, operands, &t)));
}

static bool is_dot_operand(const rewriter *w, hli_value v) {
  const hli_layout_class *c = hli_layout_class_of((hli_layout_plan *)&w->plan, v);
  return c && c->dot && c->role != 2;
}

/* The layout a load or store is done in: its class's, or a better one with a convert.  Operands of a dot always
 * come in by whole rows: their fragments repeat in several warps. */
static uint32_t access_layout(rewriter *w, hli_op op, hli_value v) {
  const hli_layout_class *c = hli_layout_class_of(&w->plan, v);
  hli_layout best;
  if (!c)
    return 0;
  const bool whole_rows = w->src->ops.data[op].code == HLI_OP_LOAD && is_dot_operand(w, v);
  if (!whole_rows && hli_layout_good_for(&w->plan, op, &c->layout))
    return layout_id(w, &c->layout);
  if (!hli_layout_of_access(&w->plan, op, hli_type_of(w->src, v), &best))
    return layout_id(w, &c->layout);
  return layout_id(w, &best);
}

static void emit_access(rewriter *w, hli_cursor *c, hli_op op) {
  const hl_kernel *k = w->src;
  hli_access a;
  hli_value operands[HLI_MAX_OPERANDS]; /* the value stored, mask, other, integer tiles: all in one layout */
  hli_access_get(k, op, &a);
  const uint32_t layout = access_layout(w, op, a.value);
  for (uint32_t i = 0; i < hli_operand_count(k, op); i++) {
    const hli_value v = hli_operand(k, op, i);
    operands[i] = hli_layout_class_of(&w->plan, v) ? want(w, v, layout) : w->map[v];
  }
  if (k->ops.data[op].code == HLI_OP_STORE) {
    rebuild(w, c, op, HLI_OP_STORE, operands, NULL);
    return;
  }
  const hli_value result = hli_result(k, op, 0);
  const hli_type t = typed(w, result, layout);
  const hli_value found = first_result(w, rebuild(w, c, op, (hli_opcode)k->ops.data[op].code, operands, &t));
  set_first(w, result, convert_to(w, c, found, class_layout(w, result)));
}

static void emit_reduce(rewriter *w, hli_cursor *c, hli_op op) {
  const hl_kernel *k = w->src;
  const hli_value v = hli_operand(k, op, 0), result = hli_result(k, op, 0);
  const uint32_t layout = class_layout(w, v);
  const hli_value operand = want(w, v, layout);
  uint32_t gone = 0, id = 0;
  hli_layout l;
  for (uint32_t i = 0; i < hli_attr_len(k, op, 1); i++)
    gone |= 1u << hli_attr(k, op, 1, i);
  if (hli_type_of(k, result)->rank && hli_layout_slice(layout_at(w, layout), gone, &l))
    id = layout_id(w, &l);
  const hli_type t = typed(w, result, id);
  set_first(w, result, first_result(w, rebuild(w, c, op, HLI_OP_REDUCE, &operand, &t)));
}

/* transpose, squeeze: the data stays where it is. */
static void emit_move(rewriter *w, hli_cursor *c, hli_op op) {
  const hl_kernel *k = w->src;
  const hli_value v = hli_operand(k, op, 0), result = hli_result(k, op, 0);
  const hli_value operand = want(w, v, class_layout(w, v));
  int8_t map[HLI_LAYOUT_RANK];
  hli_layout l;
  uint32_t id = 0;
  if (hli_type_of(k, result)->rank && operand && hli_layout_move_map(k, op, map) &&
      hli_layout_map(layout_at(w, hli_type_of(w->dst, operand)->layout), map, hli_type_of(k, result)->rank, &l))
    id = layout_id(w, &l);
  const hli_type t = typed(w, result, id);
  set_first(w, result, first_result(w, rebuild(w, c, op, (hli_opcode)k->ops.data[op].code, &operand, &t)));
}

static void emit_dot(rewriter *w, hli_cursor *c, hli_op op) {
  const hl_kernel *k = w->src;
  const hli_value result = hli_result(k, op, 0);
  const uint32_t acc = class_layout(w, result);
  hli_value operands[3];
  for (uint32_t i = 0; i < 2; i++) {
    hli_layout l;
    if (!hli_layout_of_operand(k, w->plan.target, op, layout_at(w, acc), i, &l))
      w->dst->failed = true;
    operands[i] = want(w, hli_operand(k, op, i), layout_id(w, &l));
  }
  operands[2] = want(w, hli_operand(k, op, 2), acc);
  const hli_type t = typed(w, result, acc);
  const hli_opcode code = hli_layout_matrix_row(k, w->plan.target, op) ? HLI_OP_MMA : HLI_OP_DOT;
  set_first(w, result, first_result(w, rebuild(w, c, op, code, operands, &t)));
}

static void emit_block(rewriter *w, hli_cursor *c, hli_block b);

static void emit_loop(rewriter *w, hli_cursor *c, hli_op op) {
  const hl_kernel *k = w->src;
  const hli_op_data *o = hli_op_get(k, op);
  const hli_block body = o->region;
  const hli_region_form form = hli_region_form_of(k, op);
  hli_value operands[HLI_MAX_OPERANDS];
  hli_type types[HLI_MAX_OPERANDS];
  for (uint32_t i = 0; i < form.operands; i++)
    operands[i] = w->map[hli_operand(k, op, i)];
  for (uint32_t i = 0; i < o->result_count; i++) {
    const uint32_t layout = class_layout(w, hli_result(k, op, i));
    operands[form.operands + i] = want(w, hli_operand(k, op, form.operands + i), layout);
    types[i] = typed(w, hli_result(k, op, i), layout);
  }
  const hli_op r = rebuild(w, c, op, (hli_opcode)o->code, operands, types);
  const hli_block inner = r ? hli_block_create(w->dst, r) : 0;
  if (!inner)
    return;
  for (uint32_t i = 0; i < k->blocks.data[body].args.len; i++) {
    const hli_value arg = hli_block_arg(k, body, i);
    const hli_type t = i >= form.args ? types[i - form.args] : k->values.data[arg].type;
    set_first(w, arg, hli_block_add_arg(w->dst, inner, t, hli_str(k->values.data[arg].name)));
  }
  hli_cursor in = {.k = w->dst, .block = inner, .file = ""};
  emit_block(w, &in, body);
  for (uint32_t i = 0; i < o->result_count; i++)
    set_first(w, hli_result(k, op, i), hli_result(w->dst, r, i));
}

static void emit_yield(rewriter *w, hli_cursor *c, hli_op op) {
  const hl_kernel *k = w->src;
  const hli_op loop = k->blocks.data[k->ops.data[op].block].parent;
  const uint32_t own = loop ? hli_region_form_of(k, loop).yields : 0;
  hli_value operands[HLI_MAX_OPERANDS];
  for (uint32_t i = 0; i < hli_operand_count(k, op); i++)
    operands[i] = want(w, hli_operand(k, op, i), loop && i >= own ? class_layout(w, hli_result(k, loop, i - own)) : 0);
  rebuild(w, c, op, HLI_OP_YIELD, operands, NULL);
}

static void emit_op(rewriter *w, hli_cursor *c, hli_op op) {
  const hl_kernel *k = w->src;
  const hli_op_data *o = hli_op_get(k, op);
  const bool tile_result = o->result_count == 1 && hli_layout_class_of(&w->plan, o->results);
  switch (o->code) {
  case HLI_OP_LOAD:
  case HLI_OP_STORE:
  case HLI_OP_ATOMIC:
    emit_access(w, c, op);
    return;
  case HLI_OP_REDUCE:
    emit_reduce(w, c, op);
    return;
  case HLI_OP_TRANSPOSE:
  case HLI_OP_SQUEEZE:
    emit_move(w, c, op);
    return;
  case HLI_OP_DOT:
    emit_dot(w, c, op);
    return;
  case HLI_OP_FOR:
  case HLI_OP_WHILE:
    emit_loop(w, c, op);
    return;
  case HLI_OP_YIELD:
    emit_yield(w, c, op);
    return;
  case HLI_OP_BROADCAST:
    if (tile_result)
      set_first(w, o->results, make_broadcast(w, c, op, class_layout(w, o->results)));
    return;
  case HLI_OP_TILE_INDEX:
  case HLI_OP_IN_BOUNDS:
    set_first(w, o->results, make_tile_vector(w, c, op, class_layout(w, o->results)));
    return;
  default:
    break;
  }
  if (tile_result)
    emit_pointwise(w, c, op);
  else
    hli_op_clone(c, k, op, w->map);
}

static void emit_block(rewriter *w, hli_cursor *c, hli_block b) {
  for (hli_op op = hli_first(w->src, b); op && !w->dst->failed; op = hli_next(w->src, op)) {
    c->file = hli_intern(w->dst, hli_str(w->src->ops.data[op].file));
    c->line = w->src->ops.data[op].line;
    emit_op(w, c, op);
  }
}

static hl_status rewrite(rewriter *w, hli_pass_env *env) {
  const hl_kernel *k = w->src;
  hli_arena arena;
  hli_arena_init(&arena, env->alloc);
  w->map = hli_arena_array(&arena, hli_value, k->values.len);
  hl_status s = w->map ? hli_layout_plan_make(&w->plan, &arena) : hli_fail_memory(env->diag, "laying out a kernel");
  if (s == HL_OK) {
    hli_cursor c = {.k = w->dst, .block = w->dst->body, .file = ""};
    for (uint32_t i = 0; i < k->params.len; i++)
      w->map[k->params.data[i].value] = w->dst->params.data[i].value;
    emit_block(w, &c, k->body);
    if (w->dst->failed)
      s = hli_fail_memory(env->diag, "laying out a kernel");
  }
  hli_vec_free(k->alloc, &w->made);
  hli_arena_free(&arena);
  return s;
}

/* What has no form in LANE. */
static hl_status refuse(const hli_pass_env *env, const hl_kernel *k) {
  for (hli_op op = 1; op < k->ops.len; op++) {
    const hli_op_data *o = hli_op_get(k, op);
    const hli_op_info *facts = hli_op_facts((hli_opcode)o->code);
    if (!o->dead && (facts->family == HLI_FAM_FOLD || o->code == HLI_OP_LANE_INDEX))
      return hli_fail_at(env->diag, HL_ERR_UNSUPPORTED, o->file, o->line, 0,
                         "kernel %s: %s is not available on %s; use reductions with a known operation there, or run "
                         "the kernel on the CPU",
                         k->name, facts->text, env->target->name);
  }
  return HL_OK;
}

hl_status hli_pass_layout(hli_pass_env *env, hl_kernel **pk) {
  const hl_status legal = refuse(env, *pk);
  if (legal != HL_OK)
    return legal;
  rewriter w = {.src = *pk, .plan = {.k = *pk, .target = env->target, .diag = env->diag}};
  w.plan.warps = (uint32_t)hli_config_value(env->config, HLI_KNOB_NUM_WARPS, 0, 4);
  if (!hli_is_pow2(w.plan.warps) || w.plan.warps > env->target->max_warps)
    return hli_fail(env->diag, HL_ERR_CONFIG, "num_warps is %u: it must be a power of two, at most %u", w.plan.warps,
                    env->target->max_warps);
  w.dst = hli_kernel_clone_header(*pk, HLI_STAGE_LANE);
  if (!w.dst)
    return hli_fail_memory(env->diag, "laying out a kernel");
  w.dst->launch.warps = w.plan.warps;
  hl_status s = rewrite(&w, env);
  if (s != HL_OK) {
    hl_kernel_destroy(w.dst);
    return s;
  }
  hl_kernel_destroy(*pk);
  *pk = w.dst;
  return hli_pass_simplify(env, pk);
}
