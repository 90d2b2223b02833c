/* build.c: creating, linking, editing and cloning kernels, blocks and ops. */
#include "src/ir/ir.h"

/* ---- kernels ---- */

static bool push_dummies(hl_kernel *k) {
  const hl_allocator *a = k->alloc;
  return hli_vec_push(a, &k->dims, (hli_dim_data){.name = ""}) &&
         hli_vec_push(a, &k->axes, (hli_axis_data){.name = ""}) && hli_vec_push(a, &k->types, (hli_type_data){0}) &&
         hli_vec_push(a, &k->values, (hli_value_data){.name = ""}) &&
         hli_vec_push(a, &k->ops, (hli_op_data){.file = ""}) && hli_vec_push(a, &k->blocks, (hli_block_data){0}) &&
         hli_vec_push(a, &k->layouts, (hli_layout){0});
}

static hl_kernel *kernel_alloc(const hl_allocator *alloc) {
  hl_kernel *k = hli_calloc(alloc, 1, sizeof *k);
  if (!k)
    return NULL;
  k->alloc = alloc;
  k->name = "";
  hli_arena_init(&k->arena, alloc);
  return k;
}

hl_kernel *hli_kernel_create(const hl_allocator *alloc, hl_str name, uint8_t stage) {
  hl_kernel *k = kernel_alloc(alloc);
  if (!k)
    return NULL;
  k->stage = stage;
  k->name = hli_intern(k, name);
  if (!push_dummies(k) || !(k->body = hli_block_create(k, 0)) || k->failed) {
    hl_kernel_destroy(k);
    return NULL;
  }
  return k;
}

void hl_kernel_destroy(hl_kernel *k) {
  if (!k)
    return;
  const hl_allocator *a = k->alloc;
  hli_vec_free(a, &k->dims);
  hli_vec_free(a, &k->axes);
  hli_vec_free(a, &k->types);
  hli_vec_free(a, &k->values);
  hli_vec_free(a, &k->ops);
  hli_vec_free(a, &k->blocks);
  hli_vec_free(a, &k->layouts);
  hli_vec_free(a, &k->pool);
  hli_vec_free(a, &k->ints);
  hli_vec_free(a, &k->params);
  hli_vec_free(a, &k->grid);
  hli_vec_free(a, &k->requires_);
  hli_vec_free(a, &k->tunables);
  hli_vec_free(a, &k->size_rules);
  hli_vec_free(a, &k->size_terms);
  hli_arena_free(&k->arena);
  hli_release(a, k, sizeof *k);
}

#define COPY_VEC(field)                                                                                                \
  (hli_vec_reserve(n->alloc, &n->field, k->field.len)                                                                  \
       ? (k->field.len ? (void)memcpy(n->field.data, k->field.data, k->field.len * sizeof *k->field.data) : (void)0,   \
          n->field.len = k->field.len, true)                                                                           \
       : false)

/* Names lie in the source's arena: copy every one that the new kernel keeps. */
static void adopt_names(hl_kernel *n) {
  n->name = hli_intern(n, hli_str(n->name));
  for (uint32_t i = 0; i < n->dims.len; i++)
    n->dims.data[i].name = hli_intern(n, hli_str(n->dims.data[i].name));
  for (uint32_t i = 0; i < n->axes.len; i++)
    n->axes.data[i].name = hli_intern(n, hli_str(n->axes.data[i].name));
  for (uint32_t i = 0; i < n->values.len; i++)
    n->values.data[i].name = hli_intern(n, hli_str(n->values.data[i].name));
  const char *last_old = NULL, *last_new = ""; /* neighbours mostly share one file name */
  for (uint32_t i = 0; i < n->ops.len; i++) {
    if (n->ops.data[i].file != last_old) {
      last_old = n->ops.data[i].file;
      last_new = hli_intern(n, hli_str(last_old));
    }
    n->ops.data[i].file = last_new;
  }
}

static bool copy_header(hl_kernel *n, const hl_kernel *k) {
  n->name = k->name;
  n->stage = k->stage;
  n->scheduled = k->scheduled;
  n->launch = k->launch;
  n->allow = k->allow;
  return COPY_VEC(requires_) && COPY_VEC(tunables) && COPY_VEC(size_rules) && COPY_VEC(size_terms) && COPY_VEC(dims) && COPY_VEC(axes) && COPY_VEC(types) && COPY_VEC(layouts) && COPY_VEC(params) && COPY_VEC(grid);
}

hl_kernel *hli_kernel_clone(const hl_kernel *k) {
  hl_kernel *n = kernel_alloc(k->alloc);
  if (!n)
    return NULL;
  bool ok =
      copy_header(n, k) && COPY_VEC(values) && COPY_VEC(ops) && COPY_VEC(blocks) && COPY_VEC(pool) && COPY_VEC(ints);
  n->body = k->body;
  if (ok)
    adopt_names(n);
  if (ok && !n->failed)
    return n;
  /* names may still point into the source: harmless, destroy does not read them */
  hl_kernel_destroy(n);
  return NULL;
}

hl_kernel *hli_kernel_clone_header(const hl_kernel *k, uint8_t stage) {
  hl_kernel *n = kernel_alloc(k->alloc);
  if (!n)
    return NULL;
  bool ok = copy_header(n, k) && hli_vec_push(n->alloc, &n->values, (hli_value_data){.name = ""}) &&
            hli_vec_push(n->alloc, &n->ops, (hli_op_data){.file = ""}) &&
            hli_vec_push(n->alloc, &n->blocks, (hli_block_data){0});
  n->stage = stage;
  for (uint32_t i = 0; ok && i < n->params.len; i++) {
    hli_value_data v = k->values.data[k->params.data[i].value];
    ok = hli_vec_push(n->alloc, &n->values, v);
    n->params.data[i].value = n->values.len - 1;
  }
  if (ok)
    adopt_names(n);
  if (ok && (n->body = hli_block_create(n, 0)) && !n->failed)
    return n;
  hl_kernel_destroy(n);
  return NULL;
}

bool hli_kernel_writes(const hl_kernel *k) {
  for (hli_op op = 1; op < k->ops.len; op++)
    if (!k->ops.data[op].dead && (k->ops.data[op].code == HLI_OP_STORE || k->ops.data[op].code == HLI_OP_ATOMIC))
      return true;
  return false;
}

/* ---- blocks ---- */

hli_block hli_block_create(hl_kernel *k, hli_op parent) {
  if (!hli_vec_push(k->alloc, &k->blocks, (hli_block_data){.parent = parent})) {
    k->failed = true;
    return 0;
  }
  if (parent)
    k->ops.data[parent].region = k->blocks.len - 1;
  return k->blocks.len - 1;
}

static hli_value value_push(hl_kernel *k, hli_value_data v) {
  if (hli_vec_push(k->alloc, &k->values, v))
    return k->values.len - 1;
  k->failed = true;
  return 0;
}

hli_value hli_block_add_arg(hl_kernel *k, hli_block b, hli_type type, hl_str name) {
  hli_block_data *blk = &k->blocks.data[b];
  hli_value v =
      value_push(k, (hli_value_data){.type = type, .owner = b, .index = blk->args.len, .name = hli_intern(k, name)});
  if (!v)
    return 0;
  const uint32_t end = blk->args.off + blk->args.len;
  if (blk->args.len == 0 || end != k->pool.len) { /* arguments are contiguous: move them to the end */
    const uint32_t off = k->pool.len;
    for (uint32_t i = 0; i < blk->args.len; i++) {
      hli_id old = k->pool.data[blk->args.off + i];
      if (!hli_vec_push(k->alloc, &k->pool, old))
        k->failed = true;
    }
    blk->args.off = off;
  }
  if (k->failed || !hli_vec_push(k->alloc, &k->pool, v)) {
    k->failed = true;
    return 0;
  }
  blk->args.len++;
  return v;
}

/* ---- ops ---- */

static void link_op(hl_kernel *k, hli_op op, hli_block block, hli_op before) {
  hli_op_data *o = &k->ops.data[op];
  hli_block_data *b = &k->blocks.data[block];
  o->block = block;
  o->next = before;
  o->prev = before ? k->ops.data[before].prev : b->last;
  if (o->prev)
    k->ops.data[o->prev].next = op;
  else
    b->first = op;
  if (before)
    k->ops.data[before].prev = op;
  else
    b->last = op;
}

static bool push_span(hl_kernel *k, const hli_value *v, uint32_t n, hli_span *out) {
  *out = (hli_span){k->pool.len, n};
  if (n == 0)
    return true; /* v may point into the pool itself: copy before a growing push moves it */
  hli_value tmp[HLI_MAX_OPERANDS];
  if (n > HLI_MAX_OPERANDS)
    return false;
  memcpy(tmp, v, n * sizeof *v);
  for (uint32_t i = 0; i < n; i++)
    if (!hli_vec_push(k->alloc, &k->pool, tmp[i]))
      return false;
  return true;
}

static bool push_ints(hl_kernel *k, const int64_t *ints, uint32_t n, hli_span *out) {
  *out = (hli_span){k->ints.len, n};
  const bool inside = k->ints.data && ints >= k->ints.data && ints < k->ints.data + k->ints.len;
  const size_t at = inside ? (size_t)(ints - k->ints.data) : 0;
  if (!hli_vec_reserve(k->alloc, &k->ints, k->ints.len + n))
    return false;
  if (inside)
    ints = k->ints.data + at;
  for (uint32_t i = 0; i < n; i++)
    k->ints.data[k->ints.len++] = ints[i];
  return true;
}

hli_op hli_op_create(hli_cursor *c, const hli_op_desc *desc) {
  hl_kernel *k = c->k;
  hli_op_data o = {.code = (uint16_t)desc->code, .file = c->file ? c->file : "", .line = c->line};
  bool ok = push_span(k, desc->operands, desc->operand_count, &o.operands);
  uint32_t at = 0;
  for (uint32_t a = 0; a < HLI_MAX_ATTRS && ok; a++) {
    ok = push_ints(k, desc->attrs + at, desc->attr_len[a], &o.attrs[a]);
    at += desc->attr_len[a];
  }
  o.results = k->values.len;
  o.result_count = desc->result_count;
  const hli_op id = k->ops.len;
  for (uint32_t i = 0; i < desc->result_count && ok; i++)
    ok = value_push(k, (hli_value_data){.type = desc->results[i], .def = id, .index = i, .name = ""}) != 0;
  if (!ok || !hli_vec_push(k->alloc, &k->ops, o)) {
    k->failed = true;
    return 0;
  }
  link_op(k, id, c->block, c->before);
  return id;
}

void hli_op_set_operand(hl_kernel *k, hli_op op, uint32_t i, hli_value v) {
  k->pool.data[k->ops.data[op].operands.off + i] = v;
}

void hli_op_set_attr(hl_kernel *k, hli_op op, uint32_t a, const int64_t *ints, uint32_t len) {
  hli_span s;
  if (!push_ints(k, ints, len, &s))
    k->failed = true;
  else
    k->ops.data[op].attrs[a] = s;
}

void hli_op_remove(hl_kernel *k, hli_op op) {
  hli_op_data *o = &k->ops.data[op];
  hli_block_data *b = &k->blocks.data[o->block];
  if (o->prev)
    k->ops.data[o->prev].next = o->next;
  else
    b->first = o->next;
  if (o->next)
    k->ops.data[o->next].prev = o->prev;
  else
    b->last = o->prev;
  o->dead = true;
}

void hli_replace_uses(hl_kernel *k, hli_value from, hli_value to) {
  for (uint32_t i = 1; i < k->ops.len; i++) {
    if (k->ops.data[i].dead)
      continue;
    hli_span s = k->ops.data[i].operands;
    for (uint32_t j = 0; j < s.len; j++)
      if (k->pool.data[s.off + j] == from)
        k->pool.data[s.off + j] = to;
  }
}

void hli_value_set_name(hl_kernel *k, hli_value v, const char *name) {
  k->values.data[v].name = hli_intern(k, hli_str(name));
}

static void clone_region(hli_cursor *c, const hl_kernel *src, hli_block from, hli_op parent, hli_value *map) {
  hl_kernel *k = c->k;
  hli_block to = hli_block_create(k, parent);
  if (!to)
    return;
  for (uint32_t i = 0; i < src->blocks.data[from].args.len; i++) {
    hli_value v = hli_block_arg(src, from, i);
    map[v] = hli_block_add_arg(k, to, src->values.data[v].type, hli_str(src->values.data[v].name));
  }
  hli_cursor inner = {.k = k, .block = to};
  for (hli_op op = hli_first(src, from); op && !k->failed; op = hli_next(src, op))
    hli_op_clone(&inner, src, op, map);
}

hli_op hli_op_clone(hli_cursor *c, const hl_kernel *src, hli_op op, hli_value *map) {
  const hli_op_data o = src->ops.data[op]; /* a copy: src may be c->k, whose arrays move */
  hli_value operands[HLI_MAX_OPERANDS];
  hli_type types[HLI_MAX_OPERANDS];
  int64_t ints[256];
  hli_op_desc d = {.code = (hli_opcode)o.code,
                   .operands = operands,
                   .operand_count = o.operands.len,
                   .results = types,
                   .result_count = o.result_count,
                   .attrs = ints};
  uint32_t at = 0;
  for (uint32_t i = 0; i < o.operands.len; i++)
    operands[i] = map[src->pool.data[o.operands.off + i]];
  for (uint32_t i = 0; i < o.result_count; i++)
    types[i] = src->values.data[o.results + i].type;
  for (uint32_t a = 0; a < HLI_MAX_ATTRS; a++) {
    d.attr_len[a] = o.attrs[a].len;
    for (uint32_t i = 0; i < o.attrs[a].len && at < HLI_COUNT(ints); i++)
      ints[at++] = src->ints.data[o.attrs[a].off + i];
  }
  hli_cursor at_op = *c;
  at_op.file = src == c->k ? o.file : hli_intern(c->k, hli_str(o.file));
  at_op.line = o.line;
  hli_op n = hli_op_create(&at_op, &d);
  if (!n)
    return 0;
  for (uint32_t i = 0; i < o.result_count; i++) {
    map[o.results + i] = hli_result(c->k, n, i);
    if (src->values.data[o.results + i].name[0])
      hli_value_set_name(c->k, hli_result(c->k, n, i), src->values.data[o.results + i].name);
  }
  if (o.region)
    clone_region(c, src, o.region, n, map);
  return n;
}
