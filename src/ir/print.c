/* print.c: kernels as text, at every stage, from ops.def's facts alone.
 *
 * The text is a function of the kernel's structure: names are made unique, values without a name are numbered in
 * print order, numbers are exact, and everything that the parser would fill in by itself is left out.  So
 * printing a parsed text again gives the same bytes, and the digest of a kernel is the digest of its text.
 * A kernel with ids that lead nowhere prints too (with ? for what is missing): the verifier shows its complaints beside it.
 * docs/text-format.md describes the format.  SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include "src/ir/text.h"

typedef struct printer {
  const hl_kernel *k;
  const hli_naming *names; /* NULL: types only */
  hli_strbuf *out;
  hli_remark_fn remark;
  void *remark_ctx;
} printer;

static void puts_(const printer *p, const char *s) { hli_sb_puts(p->out, s); }
static void comma(const printer *p, uint32_t i) {
  if (i)
    puts_(p, ", ");
}
static void indent(const printer *p, uint32_t depth) {
  for (uint32_t i = 0; i < depth; i++)
    puts_(p, "  ");
}

/* ---- names ----------------------------------------------------------------------------- */

static bool letter_ok(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* A name as the text form allows it: letters, digits and _, not beginning with a digit, bounded. */
static char *clean(hli_arena *arena, const char *name) {
  size_t len = HLI_MIN(strlen(name), (size_t)(HLI_TEXT_NAME - 24)); /* room for a suffix */
  bool digit = len && name[0] >= '0' && name[0] <= '9';
  char *s = hli_arena_alloc(arena, len + 2);
  if (!s)
    return NULL;
  s[0] = '_';
  for (size_t i = 0; i < len; i++)
    s[i + digit] = letter_ok(name[i]) ? name[i] : '_';
  return s;
}

typedef struct namer {
  const hl_kernel *k;
  hli_naming *n;
  hli_symbols taken;
  uint32_t number;
  bool failed;
} namer;

static char *suffixed(hli_arena *arena, const char *base, uint32_t number) {
  size_t len = strlen(base) + 16;
  char *s = hli_arena_alloc(arena, len);
  if (s && base[0])
    (void)snprintf(s, len, "%s_%u", base, number);
  else if (s)
    (void)snprintf(s, len, "%u", number);
  return s;
}

static void name_value(namer *w, hli_value v) {
  if (v >= w->n->count || w->n->of[v])
    return;
  const char *given = w->k->values.data[v].name;
  hli_arena *arena = &w->n->arena;
  if (!given || !given[0]) {
    w->n->of[v] = suffixed(arena, "", w->number++);
    return;
  }
  char *name = clean(arena, given);
  hli_symbol *taken = name ? hli_symbols_find(&w->taken, hli_str(name)) : NULL;
  while (taken && name) { /* the base remembers how far its suffixes have come */
    char *base = clean(arena, given);
    taken = hli_symbols_find(&w->taken, hli_str(base ? base : name));
    name = base && taken ? suffixed(arena, base, ++taken->next) : NULL;
    taken = name ? hli_symbols_find(&w->taken, hli_str(name)) : NULL;
  }
  if (!name || !hli_symbols_add(&w->taken, hli_str(name), v))
    w->failed = true;
  w->n->of[v] = name;
}

static void name_block(namer *w, hli_block b, uint32_t depth) {
  const hl_kernel *k = w->k;
  if (b >= k->blocks.len || depth > HLI_MAX_NESTING)
    return;
  for (hli_op op = hli_first(k, b); op; op = hli_next(k, op)) {
    const hli_op_data *o = hli_op_get(k, op);
    for (uint32_t i = 0; i < o->result_count; i++)
      name_value(w, o->results + i);
    hli_block region = hli_own_region(k, op);
    for (uint32_t i = 0; region && i < k->blocks.data[region].args.len; i++)
      name_value(w, hli_block_arg(k, region, i));
    if (region)
      name_block(w, region, depth + 1);
  }
}

bool hli_naming_init(hli_naming *n, const hl_kernel *k) {
  hli_arena_init(&n->arena, k->alloc);
  n->count = k->values.len;
  n->of = hli_arena_array(&n->arena, const char *, k->values.len);
  namer w = {.k = k, .n = n, .taken = {.alloc = k->alloc}, .failed = !n->of};
  if (!w.failed) {
    for (uint32_t i = 0; i < k->params.len; i++)
      name_value(&w, k->params.data[i].value);
    name_block(&w, k->body, 0);
  }
  hli_symbols_free(&w.taken);
  if (!w.failed && !n->arena.failed)
    return true;
  hli_naming_free(n);
  return false;
}

void hli_naming_free(hli_naming *n) { hli_arena_free(&n->arena); }

static void put_clean(const printer *p, const char *name) {
  if (!name[0] || (name[0] >= '0' && name[0] <= '9'))
    puts_(p, "_");
  for (size_t i = 0; name[i] && i < HLI_TEXT_NAME - 1; i++)
    hli_sb_put(p->out, letter_ok(name[i]) ? &name[i] : "_", 1);
}

/* The type of a value that may have no type, or may not exist. */
static const hli_type_data *type_of(const printer *p, hli_value v) {
  hli_type t = v < p->k->values.len ? p->k->values.data[v].type : 0;
  return &p->k->types.data[t < p->k->types.len ? t : 0];
}
static hli_type type_id(const printer *p, hli_value v) { return v < p->k->values.len ? p->k->values.data[v].type : 0; }

static void put_value(const printer *p, hli_value v) {
  const char *name = p->names && v < p->names->count ? p->names->of[v] : NULL;
  hli_sb_printf(p->out, "%%%s", name ? name : "?");
}

/* ---- dimensions, axes, types -------------------------------------------------------------- */

static void put_dim(const printer *p, hli_dim d) {
  if (d == 0 || d >= p->k->dims.len)
    puts_(p, "?");
  else if (p->k->dims.data[d].name[0])
    put_clean(p, p->k->dims.data[d].name);
  else
    hli_sb_printf(p->out, "%" PRId64, p->k->dims.data[d].value);
}

static void put_axis(const printer *p, int64_t a) {
  if (a <= 0 || a >= p->k->axes.len) {
    puts_(p, "$?");
    return;
  }
  const hli_axis_data *x = &p->k->axes.data[a];
  if (x->kind == HLI_AXIS_CONST) {
    hli_sb_printf(p->out, "%" PRId64, x->block);
    return;
  }
  puts_(p, "$");
  put_clean(p, x->name);
}

static void put_shape(const printer *p, const hli_type_data *t) {
  puts_(p, "[");
  for (uint32_t i = 0; i < t->rank && i < HL_MAX_RANK; i++) {
    comma(p, i);
    if (t->kind == HLI_TYPE_TENSOR)
      put_dim(p, t->dims[i]);
    else
      put_axis(p, t->dims[i]);
  }
  puts_(p, "]");
}

static void put_type(const printer *p, hli_type id) {
  if (id == 0 || id >= p->k->types.len) {
    puts_(p, "?");
    return;
  }
  const hli_type_data *t = &p->k->types.data[id];
  switch (t->kind) {
  case HLI_TYPE_TILE:
    puts_(p, "tile<");
    put_axis(p, t->dims[0]);
    puts_(p, ">");
    return;
  case HLI_TYPE_VALUE:
    puts_(p, hl_dtype_text((hl_dtype)t->dtype));
    if (t->rank)
      put_shape(p, t);
    break;
  case HLI_TYPE_TENSOR:
  case HLI_TYPE_BUFFER:
    puts_(p, t->kind == HLI_TYPE_TENSOR ? "tensor<" : "buffer<");
    puts_(p, hl_dtype_text((hl_dtype)t->dtype));
    put_shape(p, t);
    puts_(p, ">");
    break;
  default: puts_(p, "?"); break;
  }
  if (t->layout)
    hli_sb_printf(p->out, "#%u", t->layout);
}

/* ---- layouts ---------------------------------------------------------------------------------- */

static void put_vectors(hli_strbuf *out, const char *label, const hli_layout_vec *v, uint32_t n, uint32_t rank) {
  hli_sb_printf(out, ", %s = [", label);
  for (uint32_t i = 0; i < n; i++) {
    hli_sb_puts(out, i ? ", [" : "[");
    for (uint32_t d = 0; d < rank; d++)
      hli_sb_printf(out, "%s%d", d ? ", " : "", v[i].c[d]);
    hli_sb_puts(out, "]");
  }
  hli_sb_puts(out, "]");
}

void hli_print_layout(const hli_layout *l, hli_strbuf *out) {
  uint32_t rank = HLI_MIN(l->rank, HLI_LAYOUT_RANK);
  hli_sb_printf(out, "{rank = %u", l->rank);
  if (l->kind) {
    hli_sb_printf(out, ", vec = %u, shift = %u, mask = %u, pad = %u}", l->sw_vec, l->sw_shift, l->sw_mask, l->sw_pad);
    return;
  }
  put_vectors(out, "regs", l->reg, HLI_MIN(l->reg_bits, HLI_LAYOUT_REG_BITS), rank);
  put_vectors(out, "lanes", l->lane, HLI_MIN(l->lane_bits, HLI_LAYOUT_LANE_BITS), rank);
  put_vectors(out, "warps", l->warp, HLI_MIN(l->warp_bits, HLI_LAYOUT_WARP_BITS), rank);
  if (l->repeats) {
    hli_sb_puts(out, ", repeat = [");
    for (uint32_t i = 0; i < HLI_MIN(l->repeats, HLI_LAYOUT_REPEATS); i++)
      hli_sb_printf(out, "%s%u x %u %s", i ? ", " : "", l->repeat[i].dim, l->repeat[i].count,
                    l->repeat[i].over_warps ? "warps" : "regs");
    hli_sb_puts(out, "]");
  }
  hli_sb_puts(out, "}");
}

/* ---- attributes ---------------------------------------------------------------------------------- */

static void put_attr_one(const printer *p, hli_op op, char kind, int64_t x) {
  const hli_op_data *o = hli_op_get(p->k, op);
  hl_dtype dtype = o->result_count ? (hl_dtype)type_of(p, o->results)->dtype : HL_DTYPE_NONE;
  switch (kind) {
  case 'a':
  case 'A': put_axis(p, x); break;
  case 'b': puts_(p, x ? "true" : "false"); break;
  case 'c': hli_print_constant(dtype, (uint64_t)x, p->out); break;
  case 'd': puts_(p, hl_dtype_text((hl_dtype)x)); break;
  case 'r': puts_(p, hli_reduce_text((hl_reduce_op)x)); break;
  case 'm': puts_(p, hli_atomic_text((hl_atomic_op)x)); break;
  case 'n': puts_(p, hli_order_text((hl_memory_order)x)); break;
  case 'p': puts_(p, hli_precision_text((hl_precision)x)); break;
  case 'u': puts_(p, x >= 0 && x < p->k->tunables.len ? p->k->tunables.data[x].name : "?"); break;
  case 'y': hli_sb_printf(p->out, "#%" PRId64, x); break;
  default: hli_sb_printf(p->out, "%" PRId64, x); break;
  }
}

static void put_attrs(const printer *p, hli_op op) {
  hli_opcode code = (hli_opcode)hli_op_get(p->k, op)->code;
  hli_attr_info info;
  bool any = false;
  for (uint32_t i = 0; i < HLI_MAX_ATTRS && hli_attr_spec(code, i, &info); i++) {
    uint32_t len = hli_attr_len(p->k, op, i);
    if (hli_attr_is_inline(code, i) || (info.optional && !len))
      continue;
    hli_sb_printf(p->out, "%s%.*s = ", any ? ", " : " {", (int)info.name.len, info.name.ptr);
    any = true;
    bool list = info.kind == 'l' || info.kind == 'A';
    if (list)
      puts_(p, "[");
    for (uint32_t j = 0; j < len; j++) {
      comma(p, j);
      put_attr_one(p, op, info.kind, hli_attr(p->k, op, i, j));
    }
    if (list)
      puts_(p, "]");
  }
  if (any)
    puts_(p, "}");
}

/* ---- ops ---------------------------------------------------------------------------------------------- */

/* base[index...], then the remaining operands; the last ones are the mask and `other`, by flags. */
static void put_access(const printer *p, hli_op op, uint32_t kinds) {
  const hl_kernel *k = p->k;
  uint32_t count = hli_operand_count(k, op), next = 0;
  int flags_at = hli_attr_by_name((hli_opcode)hli_op_get(k, op)->code, hli_str("flags"));
  int64_t flags = flags_at < 0 ? 0 : hli_attr_or(k, op, (uint32_t)flags_at, 0, 0);
  put_value(p, count ? hli_operand(k, op, next++) : 0);
  puts_(p, "[");
  for (uint32_t d = 0; d < hli_attr_len(k, op, kinds); d++) {
    int64_t kind = hli_attr(k, op, kinds, d);
    comma(p, d);
    if (kind != ':')
      put_value(p, next < count ? hli_operand(k, op, next) : 0), next++;
    if (kind == ':' || kind == 'v')
      puts_(p, ":");
  }
  puts_(p, "]");
  uint32_t tail = (uint32_t)(flags & 1) + (uint32_t)((flags >> 1) & 1);
  for (; next + tail < count; next++) {
    puts_(p, ", ");
    put_value(p, hli_operand(k, op, next));
  }
  for (uint32_t bit = 0; bit < 2; bit++) {
    if (!(flags & (1 << bit)))
      continue;
    puts_(p, bit ? ", other " : ", mask ");
    put_value(p, next < count ? hli_operand(k, op, next) : 0), next++;
  }
}

static void put_operands(const printer *p, hli_op op) {
  int kinds = hli_attr_by_kind((hli_opcode)hli_op_get(p->k, op)->code, 'x');
  if (kinds >= 0) {
    puts_(p, " ");
    put_access(p, op, (uint32_t)kinds);
    return;
  }
  for (uint32_t i = 0; i < hli_operand_count(p->k, op); i++) {
    puts_(p, i ? ", " : " ");
    put_value(p, hli_operand(p->k, op, i));
  }
}

static void put_region_args(const printer *p, hli_block b) {
  puts_(p, " (");
  for (uint32_t i = 0; i < p->k->blocks.data[b].args.len; i++) {
    hli_value v = hli_block_arg(p->k, b, i);
    comma(p, i);
    put_value(p, v);
    puts_(p, " : ");
    put_type(p, type_id(p, v));
  }
  puts_(p, ")");
}

static void put_op_head(const printer *p, hli_op op) {
  const hli_op_data *o = hli_op_get(p->k, op);
  for (uint32_t i = 0; i < o->result_count; i++) {
    comma(p, i);
    put_value(p, o->results + i);
  }
  if (o->result_count)
    puts_(p, " = ");
  puts_(p, hli_op_facts((hli_opcode)o->code)->text);
  put_operands(p, op);
  put_attrs(p, op);
  if (hli_own_region(p->k, op))
    put_region_args(p, o->region);
}

static void put_op_types(const printer *p, hli_op op) {
  const hli_op_data *o = hli_op_get(p->k, op);
  for (uint32_t i = 0; i < o->result_count; i++) {
    puts_(p, i ? ", " : " : ");
    put_type(p, type_id(p, o->results + i));
  }
}

static void put_block(const printer *p, hli_block b, uint32_t depth) {
  if (depth > HLI_MAX_NESTING + 2)
    return;
  for (hli_op op = hli_first(p->k, b); op; op = hli_next(p->k, op)) {
    hli_block region = hli_own_region(p->k, op);
    indent(p, depth);
    put_op_head(p, op);
    if (region) {
      puts_(p, " {\n");
      put_block(p, region, depth + 1);
      indent(p, depth);
      puts_(p, "}");
    }
    put_op_types(p, op);
    puts_(p, "\n");
    if (p->remark)
      p->remark(p->remark_ctx, op, depth, p->out);
  }
}

/* ---- the kernel's head ------------------------------------------------------------------------------------ */

static void put_dim_line(const printer *p, const hli_dim_data *d) {
  puts_(p, "  dim ");
  put_clean(p, d->name);
  if (d->kind != HLI_DIM_DEFAULT)
    puts_(p, d->kind == HLI_DIM_DYNAMIC ? " dynamic" : " static");
  if (d->value >= 0)
    hli_sb_printf(p->out, " = %" PRId64, d->value);
  if (d->multiple > 1)
    hli_sb_printf(p->out, " multiple_of %" PRId64, d->multiple);
  if (d->example)
    hli_sb_printf(p->out, " example %" PRId64, d->example);
  puts_(p, "\n");
}

static void put_spec(const printer *p, const hl_arg_spec *s) {
  hli_sb_printf(p->out, " spec(%s, ", hli_dist_text(s->dist));
  hli_print_double(s->a, p->out);
  puts_(p, ", ");
  hli_print_double(s->b, p->out);
  puts_(p, s->sorted ? ", sorted)" : ")");
}

static void put_aliases(const printer *p, uint32_t mask) {
  bool any = false;
  for (uint32_t i = 0; i < p->k->params.len && i < 32; i++) {
    if (!(mask >> i & 1))
      continue;
    puts_(p, any ? ", " : " may_alias [");
    put_value(p, p->k->params.data[i].value);
    any = true;
  }
  if (any)
    puts_(p, "]");
}

static void put_param(const printer *p, const hli_param *param) {
  const hli_type_data *t = type_of(p, param->value);
  hl_arg_spec usual = hli_default_spec((hl_dtype)t->dtype);
  bool strides = false;
  puts_(p, "  param ");
  put_value(p, param->value);
  puts_(p, " : ");
  put_type(p, type_id(p, param->value));
  puts_(p, param->is_output ? param->is_input ? " inout" : " out" : " in");
  if (param->is_constexpr)
    puts_(p, " constexpr");
  if (param->specialized) {
    puts_(p, " = ");
    hli_print_constant((hl_dtype)t->dtype, param->constant, p->out);
  }
  if (param->given) {
    puts_(p, " given ");
    put_type(p, param->given < p->k->types.len ? param->given : 0);
  }
  if (param->has_initial) {
    puts_(p, " initial ");
    hli_print_constant((hl_dtype)t->dtype, param->initial, p->out);
  }
  for (uint32_t d = 0; d < t->rank && d < HL_MAX_RANK && t->kind == HLI_TYPE_TENSOR; d++)
    strides |= param->strides[d] != -1;
  for (uint32_t d = 0; d < t->rank && d < HL_MAX_RANK && strides; d++)
    hli_sb_printf(p->out, "%s%" PRId64 "%s", d ? ", " : " strides [", param->strides[d], d + 1 < t->rank ? "" : "]");
  for (uint32_t d = 0, any = 0; d < HL_MAX_RANK; d++)
    if (param->fixed_strides >> d & 1)
      hli_sb_printf(p->out, "%s%u%s", any++ ? ", " : " fixed_strides [", d, param->fixed_strides >> d == 1 ? "]" : "");
  if (param->align)
    hli_sb_printf(p->out, " align %u", param->align);
  put_aliases(p, param->may_alias);
  if (!hli_spec_equal(&param->spec, &usual))
    put_spec(p, &param->spec);
  puts_(p, "\n");
}

static void put_tunable_number(const printer *p, const hli_tunable *t, int64_t x) {
  if (t->kind == HLI_TUNABLE_BOOL)
    puts_(p, x ? "true" : "false");
  else
    hli_sb_printf(p->out, "%" PRId64, x);
}

static void put_tunable(const printer *p, const hli_tunable *t) {
  const char *kind = hli_tunable_text(t->kind);
  hli_sb_printf(p->out, "  tunable %s = ", t->name);
  put_tunable_number(p, t, t->preferred);
  hli_sb_printf(p->out, " %s", kind ? kind : "?");
  if (t->kind == HLI_TUNABLE_POWER || t->kind == HLI_TUNABLE_INTEGER)
    hli_sb_printf(p->out, " %" PRId64 " %" PRId64, t->low, t->high);
  if (t->kind == HLI_TUNABLE_INTEGER)
    hli_sb_printf(p->out, " step %" PRId64, t->step);
  for (uint32_t i = 0; t->kind == HLI_TUNABLE_ENUM && i < t->count && i < HLI_TUNABLE_LIST; i++)
    hli_sb_printf(p->out, "%s%" PRId64, i ? ", " : " [", t->list[i]);
  puts_(p, t->kind == HLI_TUNABLE_ENUM ? "]\n" : "\n");
}

static void put_axis_line(const printer *p, hli_axis a) {
  const hli_axis_data *x = &p->k->axes.data[a];
  puts_(p, "  axis ");
  put_axis(p, a);
  puts_(p, x->kind == HLI_AXIS_FULL ? " full " : " tile");
  if (x->kind == HLI_AXIS_FULL) {
    put_dim(p, x->dim);
  } else if (x->dim) {
    puts_(p, " over ");
    put_dim(p, x->dim);
  }
  if (x->tunable)
    hli_sb_printf(p->out, " tunable %s", x->tunable <= p->k->tunables.len ? p->k->tunables.data[x->tunable - 1].name : "?");
  if (x->block)
    hli_sb_printf(p->out, " block %" PRId64, x->block);
  if (x->block_min)
    hli_sb_printf(p->out, " min %" PRId64, x->block_min);
  if (x->block_max)
    hli_sb_printf(p->out, " max %" PRId64, x->block_max);
  puts_(p, "\n");
}

static void put_grid(const printer *p) {
  puts_(p, "  grid [");
  for (uint32_t i = 0; i < p->k->grid.len; i++) {
    const hli_grid_axis *g = &p->k->grid.data[i];
    if (g->opens)
      puts_(p, "] [");
    comma(p, i && !g->opens);
    if (g->dim)
      put_dim(p, g->dim);
    else
      hli_sb_printf(p->out, "%" PRId64, g->constant);
    hli_sb_printf(p->out, " / %" PRId64, g->block);
  }
  puts_(p, "]\n");
}

static void put_launch(const printer *p) {
  const hli_launch *l = &p->k->launch;
  const struct {
    const char *text;
    uint32_t value;
  } facts[] = {{"warps", l->warps},
               {"shared", l->shared_bytes},
               {"grain", l->grain},
               {"scratch", l->scratch_bytes},
               {"max_nreg", l->max_nreg}};
  bool any = false;
  for (uint32_t i = 0; i < HLI_COUNT(facts); i++) {
    if (!facts[i].value)
      continue;
    hli_sb_printf(p->out, "%s %s %u", any ? "" : "  launch", facts[i].text, facts[i].value);
    any = true;
  }
  if (any)
    puts_(p, "\n");
}

static void put_allow(const printer *p) {
  if (!p->k->allow)
    return;
  puts_(p, "  allow");
  for (uint32_t bit = 1; bit <= HLI_ALLOW_ALL; bit <<= 1)
    if (p->k->allow & bit)
      hli_sb_printf(p->out, " %s", hli_allow_text(bit));
  puts_(p, "\n");
}

static void put_requires(const printer *p) {
  for (uint32_t i = 0; i < p->k->requires_.len; i++) {
    const hli_require *r = &p->k->requires_.data[i];
    puts_(p, "  require ");
    put_dim(p, r->a);
    hli_sb_printf(p->out, " %s ", hli_compare_text(r->compare));
    put_dim(p, r->b);
    puts_(p, "\n");
  }
}

static void put_term(void *ctx, const hli_size_term *leaf, const char *text) {
  const printer *p = ctx;
  if (!leaf)
    puts_(p, text);
  else if (leaf->kind == HLI_SIZE_CONST)
    hli_sb_printf(p->out, "%" PRId64, leaf->value);
  else if (leaf->kind == HLI_SIZE_DIM)
    put_dim(p, (hli_dim)leaf->value);
  else
    put_value(p, leaf->value < p->k->params.len ? p->k->params.data[leaf->value].value : 0);
}

static void put_rules(const printer *p) {
  for (uint32_t i = 0; i < p->k->size_rules.len; i++) {
    const hli_size_rule *r = &p->k->size_rules.data[i];
    printer copy = *p;
    puts_(p, "  size ");
    put_dim(p, r->dim);
    puts_(p, " = ");
    if (r->first <= p->k->size_terms.len && r->count <= p->k->size_terms.len - r->first &&
        hli_size_sound(p->k->size_terms.data + r->first, r->count, p->k->dims.len, p->k->params.len))
      hli_size_write(p->k->size_terms.data + r->first, r->count, put_term, &copy);
    else
      puts_(p, "?");
    puts_(p, "\n");
  }
}

static void put_head(const printer *p) {
  const hl_kernel *k = p->k;
  hli_sb_printf(p->out, "hl %d %s\nkernel @", HLI_TEXT_VERSION, hli_stage_text(k->stage));
  put_clean(p, k->name);
  puts_(p, " {\n");
  for (uint32_t i = 1; i < k->dims.len; i++)
    if (k->dims.data[i].name[0])
      put_dim_line(p, &k->dims.data[i]);
  for (uint32_t i = 0; i < k->params.len; i++)
    put_param(p, &k->params.data[i]);
  for (uint32_t i = 0; i < k->tunables.len; i++)
    put_tunable(p, &k->tunables.data[i]);
  for (uint32_t i = 1; i < k->axes.len; i++)
    if (k->axes.data[i].kind != HLI_AXIS_CONST)
      put_axis_line(p, i);
  for (uint32_t i = 1; i < k->layouts.len; i++) {
    hli_sb_printf(p->out, "  %s #%u = ", k->layouts.data[i].kind ? "swizzle" : "layout", i);
    hli_print_layout(&k->layouts.data[i], p->out);
    puts_(p, "\n");
  }
  put_rules(p);
  put_requires(p);
  put_allow(p);
  if (k->scheduled)
    put_grid(p);
  put_launch(p);
}

/* ---- entry points --------------------------------------------------------------------------------------------- */

void hli_print_remarked(const hl_kernel *k, hli_strbuf *out, hli_remark_fn remark, void *ctx) {
  hli_naming names;
  if (!hli_naming_init(&names, k)) {
    out->failed = true;
    return;
  }
  printer p = {k, &names, out, remark, ctx};
  put_head(&p);
  puts_(&p, "  body {\n");
  put_block(&p, k->body, 2);
  puts_(&p, "  }\n}\n");
  hli_naming_free(&names);
}

void hli_print(const hl_kernel *k, hli_strbuf *out) { hli_print_remarked(k, out, NULL, NULL); }

void hli_print_op_named(const hl_kernel *k, const hli_naming *n, hli_op op, hli_strbuf *out) {
  printer p = {.k = k, .names = n, .out = out};
  put_op_head(&p, op);
  put_op_types(&p, op);
}

void hli_print_op(const hl_kernel *k, hli_op op, hli_strbuf *out) {
  hli_naming names;
  if (!hli_naming_init(&names, k)) {
    out->failed = true;
    return;
  }
  hli_print_op_named(k, &names, op, out);
  hli_naming_free(&names);
}

void hli_print_type(const hl_kernel *k, hli_type t, hli_strbuf *out) {
  printer p = {.k = k, .out = out};
  put_type(&p, t);
}
