/* parse_head.c: the lines before a kernel's body: dimensions, parameters, axes, layouts, grid and launch facts.
 *
 * Each line is a keyword and what it declares; lines may come in any order as long as names are declared
 * before they are used (only may_alias looks ahead).  SPDX-License-Identifier: MIT */
#include "src/ir/parse.h"

static bool declare(hli_parser *p, hli_symbols *table, const hli_token *t, const char *what, uint32_t value) {
  if (!hli_parse_name(p, t, what))
    return false;
  if (hli_symbols_find(table, t->text))
    return hli_parse_fail(p, t, "%s '%.*s' is declared twice", what, (int)t->text.len, t->text.ptr);
  return hli_symbols_add(table, t->text, value) || hli_parse_memory(p);
}

/* ---- dim M [static|dynamic] [= 4096] [multiple_of 16] [example 1024] -------------------- */

static bool dim_line(hli_parser *p) {
  hli_token name;
  if (!hli_parse_take(p, HLI_TOK_WORD, "a dimension's name", &name))
    return false;
  if (!declare(p, &p->dims, &name, "dimension", p->k->dims.len))
    return false;
  if (p->k->dims.len >= HLI_TEXT_DIMS)
    return hli_parse_fail(p, &name, "the kernel has more than %u dimensions", HLI_TEXT_DIMS);
  hli_dim id = hli_dim_named(p->k, name.text);
  hli_dim_data d = p->k->dims.data[id];
  if (hli_parse_accept_word(p, "static"))
    d.kind = HLI_DIM_STATIC;
  else if (hli_parse_accept_word(p, "dynamic"))
    d.kind = HLI_DIM_DYNAMIC;
  if (hli_parse_accept(p, '=') && !hli_parse_integer(p, "the size", 0, HLI_TEXT_SIZE, &d.value))
    return false;
  if (hli_parse_accept_word(p, "multiple_of") &&
      !hli_parse_integer(p, "multiple_of", 1, (int64_t)1 << 32, &d.multiple))
    return false;
  if (hli_parse_accept_word(p, "example") && !hli_parse_integer(p, "the example size", 0, HLI_TEXT_SIZE, &d.example))
    return false;
  p->k->dims.data[id] = d;
  return true;
}

/* ---- param %x : type in|out|inout [constexpr] [= c] [strides [..]] [fixed_strides [..]]
 *      [given type] [initial c] [align n] [may_alias [..]] [spec(..)] ---- */

static bool param_access(hli_parser *p, hli_param *param, const hli_type_data *t) {
  hli_token at = p->tok;
  bool inout = hli_parse_accept_word(p, "inout");
  param->is_output = inout || hli_parse_accept_word(p, "out");
  param->is_input = inout || (!param->is_output && hli_parse_accept_word(p, "in"));
  if (!param->is_input && !param->is_output)
    return hli_parse_expected(p, "in, out or inout");
  if (param->is_output && t->kind != HLI_TYPE_TENSOR)
    return hli_parse_fail(p, &at, "a scalar parameter is 'in': only tensors can be written");
  return true;
}

static bool constant_of(hli_parser *p, const hli_type_data *t, const char *what, uint64_t *bits) {
  const hli_token at = p->tok;
  if (at.kind != HLI_TOK_NUMBER && at.kind != HLI_TOK_WORD)
    return hli_parse_expected(p, what);
  hli_parse_advance(p);
  const char *why = hli_read_constant((hl_dtype)t->dtype, at.text, bits);
  return !why || hli_parse_fail(p, &at, "'%.*s' %s (%s)", (int)HLI_MIN(at.text.len, (size_t)40), at.text.ptr, why,
                                hl_dtype_text((hl_dtype)t->dtype));
}

static bool param_given(hli_parser *p, hli_param *param) {
  return !hli_parse_accept_word(p, "given") || hli_parse_type(p, &param->given);
}

static bool param_initial(hli_parser *p, hli_param *param, const hli_type_data *t) {
  const hli_token at = p->tok;
  param->has_initial = hli_parse_accept_word(p, "initial");
  if (!param->has_initial)
    return true;
  if (t->kind != HLI_TYPE_TENSOR || !param->is_output)
    return hli_parse_fail(p, &at, "only a tensor that is written has an initial value");
  return constant_of(p, t, "the initial value", &param->initial);
}

static bool param_value(hli_parser *p, hli_param *param, const hli_type_data *t) {
  hli_token at = p->tok;
  param->is_constexpr = hli_parse_accept_word(p, "constexpr");
  param->specialized = hli_parse_accept(p, '=');
  if ((param->is_constexpr || param->specialized) && t->kind == HLI_TYPE_TENSOR)
    return hli_parse_fail(p, &at, "only a scalar parameter can be constexpr or have a value");
  return !param->specialized || constant_of(p, t, "the parameter's value", &param->constant);
}

static bool param_strides(hli_parser *p, hli_param *param, const hli_type_data *t) {
  for (uint32_t d = 0; d < HL_MAX_RANK; d++)
    param->strides[d] = -1;
  hli_token at = p->tok;
  if (!hli_parse_accept_word(p, "strides"))
    return true;
  if (t->kind != HLI_TYPE_TENSOR)
    return hli_parse_fail(p, &at, "only a tensor has strides");
  if (!hli_parse_punct(p, '[', "before the strides"))
    return false;
  for (uint32_t d = 0; d < t->rank; d++) {
    if (d && !hli_parse_punct(p, ',', "between strides (one per dimension)"))
      return false;
    if (!hli_parse_integer(p, "a stride (-1: known at run time)", -1, HLI_TEXT_SIZE, &param->strides[d]))
      return false;
  }
  return hli_parse_punct(p, ']', "after the strides (one per dimension)");
}

static bool param_fixed(hli_parser *p, hli_param *param, const hli_type_data *t) {
  hli_token at = p->tok;
  if (!hli_parse_accept_word(p, "fixed_strides"))
    return true;
  if (t->kind != HLI_TYPE_TENSOR)
    return hli_parse_fail(p, &at, "only a tensor has strides");
  if (!hli_parse_punct(p, '[', "before the dimensions whose strides are compiled in"))
    return false;
  do {
    int64_t d;
    if (!hli_parse_integer(p, "a dimension", 0, (int64_t)t->rank - 1, &d))
      return false;
    param->fixed_strides |= 1u << d;
  } while (hli_parse_accept(p, ','));
  return hli_parse_punct(p, ']', "after the dimensions");
}

static bool param_aliases(hli_parser *p) {
  if (!hli_parse_accept_word(p, "may_alias"))
    return true;
  if (!hli_parse_punct(p, '[', "after may_alias"))
    return false;
  do {
    hli_token name;
    if (!hli_parse_take(p, HLI_TOK_VALUE, "a parameter (%name)", &name))
      return false;
    if (p->aliases.len >= HLI_TEXT_PARAMS * HLI_TEXT_PARAMS)
      return hli_parse_fail(p, &name, "too many entries in may_alias lists");
    if (!hli_vec_push(p->k->alloc, &p->aliases, name) || !hli_vec_push(p->k->alloc, &p->alias_of, p->k->params.len))
      return hli_parse_memory(p);
  } while (hli_parse_accept(p, ','));
  return hli_parse_punct(p, ']', "after the list of parameters");
}

static bool take_double(hli_parser *p, double *out) {
  hli_token t = p->tok;
  bool exact;
  if (t.kind != HLI_TOK_NUMBER && t.kind != HLI_TOK_WORD)
    return hli_parse_expected(p, "a number");
  hli_parse_advance(p);
  const char *why = hli_read_double(t.text, out, &exact);
  return !why || hli_parse_fail(p, &t, "'%.*s' %s", (int)HLI_MIN(t.text.len, (size_t)40), t.text.ptr, why);
}

static bool param_spec(hli_parser *p, hli_param *param, hl_dtype dtype) {
  hl_arg_spec *s = &param->spec;
  *s = hli_default_spec(dtype);
  if (!hli_parse_accept_word(p, "spec"))
    return true;
  if (!hli_parse_punct(p, '(', "after spec"))
    return false;
  uint32_t dist = HL_DIST_NORMAL;
  while (dist <= HL_DIST_CONSTANT && !hli_parse_accept_word(p, hli_dist_text((hl_dist)dist)))
    dist++;
  if (dist > HL_DIST_CONSTANT)
    return hli_parse_expected(p, "a distribution: normal, uniform, integer or constant");
  s->dist = (hl_dist)dist;
  s->sorted = false;
  if (!hli_parse_punct(p, ',', "in spec") || !take_double(p, &s->a) || !hli_parse_punct(p, ',', "in spec") ||
      !take_double(p, &s->b))
    return false;
  if (hli_parse_accept(p, ',')) {
    if (!hli_parse_accept_word(p, "sorted"))
      return hli_parse_expected(p, "'sorted'");
    s->sorted = true;
  }
  return hli_parse_punct(p, ')', "after spec");
}

static bool add_param(hli_parser *p, const hli_token *name, hli_type type, const hli_param *param) {
  hl_kernel *k = p->k;
  hli_value_data v = {.type = type, .name = "", .index = k->params.len};
  hli_param copy = *param;
  if (!hli_vec_push(k->alloc, &k->values, v))
    return hli_parse_memory(p);
  copy.value = k->values.len - 1;
  if (!hli_vec_push(k->alloc, &k->params, copy))
    return hli_parse_memory(p);
  return hli_parse_name(p, name, "a parameter") && hli_parse_define(p, name, copy.value);
}

static bool param_line(hli_parser *p) {
  hli_token name;
  hli_type type;
  hli_param param = {0};
  int64_t align = 0;
  if (!hli_parse_take(p, HLI_TOK_VALUE, "a parameter's name (%name)", &name) ||
      !hli_parse_punct(p, ':', "between the parameter and its type"))
    return false;
  hli_token at = p->tok;
  if (!hli_parse_type(p, &type))
    return false;
  hli_type_data t = *hli_type_get(p->k, type);
  if (t.kind != HLI_TYPE_TENSOR && (t.kind != HLI_TYPE_VALUE || t.rank))
    return hli_parse_fail(p, &at, "a parameter is a tensor<...> or a scalar");
  if (p->k->params.len >= HLI_TEXT_PARAMS)
    return hli_parse_fail(p, &name, "the kernel has more than %u parameters", HLI_TEXT_PARAMS);
  if (!param_access(p, &param, &t) || !param_value(p, &param, &t) || !param_given(p, &param) || !param_initial(p, &param, &t) || !param_strides(p, &param, &t) ||
      !param_fixed(p, &param, &t))
    return false;
  at = p->tok;
  if (hli_parse_accept_word(p, "align") && !hli_parse_integer(p, "the alignment in bytes", 1, HLI_TEXT_ALIGN, &align))
    return false;
  if (align && !hli_is_pow2((uint64_t)align))
    return hli_parse_fail(p, &at, "the alignment %lld is not a power of two", (long long)align);
  param.align = (uint32_t)align;
  return param_aliases(p) && param_spec(p, &param, (hl_dtype)t.dtype) && add_param(p, &name, type, &param);
}

/* Names of may_alias lists, once all parameters are there. */
static bool resolve_aliases(hli_parser *p) {
  for (uint32_t i = 0; i < p->aliases.len; i++) {
    const hli_token *name = &p->aliases.data[i];
    hli_symbol *s = hli_symbols_find(&p->values, name->text);
    if (!s) /* only parameters are known here */
      return hli_parse_fail(p, name, "unknown parameter %%%.*s in may_alias",
                            (int)HLI_MIN(name->text.len, (size_t)HLI_TEXT_NAME), name->text.ptr);
    p->k->params.data[p->alias_of.data[i]].may_alias |= 1u << p->k->values.data[s->value].index;
  }
  return true;
}

/* ---- axis $i tile [over M] [tunable t] [block n] [min n] [max n]  |  axis $N full N [block n] [min n] [max n] ---- */

static bool axis_sizes(hli_parser *p, hli_axis_data *a) {
  const struct {
    const char *word;
    int64_t *value;
  } sizes[] = {{"block", &a->block}, {"min", &a->block_min}, {"max", &a->block_max}};
  uint32_t tunable = 0;
  if (hli_parse_accept_word(p, "tunable")) {
    if (!hli_parse_tunable_ref(p, &tunable))
      return false;
    a->tunable = tunable + 1;
  }
  for (uint32_t i = 0; i < HLI_COUNT(sizes); i++)
    if (hli_parse_accept_word(p, sizes[i].word) &&
        !hli_parse_integer(p, sizes[i].word, 1, HLI_TEXT_SIZE, sizes[i].value))
      return false;
  return true;
}

static bool axis_line(hli_parser *p) {
  hli_token name;
  hli_dim dim = 0;
  hli_axis axis;
  if (!hli_parse_take(p, HLI_TOK_AXIS, "an axis ($name)", &name) || !hli_parse_name(p, &name, "an axis"))
    return false;
  hli_token at = p->tok;
  if (hli_parse_accept_word(p, "tile")) {
    if (hli_parse_accept_word(p, "over") && !hli_parse_dim(p, &dim))
      return false;
    axis = hli_axis_tile(p->k, name.text);
  } else if (hli_parse_accept_word(p, "full")) {
    uint32_t before = p->k->axes.len;
    if (!hli_parse_dim(p, &dim))
      return false;
    axis = hli_axis_full(p->k, dim);
    if (axis && p->k->axes.len == before)
      return hli_parse_fail(p, &at, "this dimension already has the full axis $%s: use that one",
                            p->k->axes.data[axis].name);
  } else {
    return hli_parse_expected(p, "'tile' or 'full <dimension>'");
  }
  if (!axis || p->k->failed)
    return hli_parse_memory(p);
  if (p->k->axes.len > HLI_TEXT_AXES)
    return hli_parse_fail(p, &name, "the kernel has more than %u axes and constant sizes", HLI_TEXT_AXES);
  hli_axis_data *a = &p->k->axes.data[axis];
  a->name = hli_intern(p->k, name.text);
  a->dim = dim;
  return declare(p, &p->axes, &name, "axis", axis) && axis_sizes(p, &p->k->axes.data[axis]);
}

/* ---- layout #1 = {...}, swizzle #2 = {...} -------------------------------------------------- */

static bool field(hli_parser *p, const char *name, bool first) {
  if (!first && !hli_parse_punct(p, ',', "between the parts of a layout"))
    return false;
  if (!hli_parse_accept_word(p, name))
    return hli_parse_expected(p, name);
  return hli_parse_punct(p, '=', "behind the part's name");
}

static bool small_field(hli_parser *p, const char *name, bool first, int64_t high, int64_t *out) {
  return field(p, name, first) && hli_parse_integer(p, name, 0, high, out);
}

static bool vectors(hli_parser *p, const char *name, uint32_t rank, uint32_t most, hli_layout_vec *v, uint8_t *count) {
  if (!field(p, name, false) || !hli_parse_punct(p, '[', "before the basis vectors"))
    return false;
  for (*count = 0; !hli_parse_is(p, ']'); ++*count) {
    if (*count && !hli_parse_punct(p, ',', "or ']' behind a basis vector"))
      return false;
    if (*count == most)
      return hli_parse_fail(p, &p->tok, "%s has more than %u basis vectors", name, most);
    if (!hli_parse_punct(p, '[', "before a basis vector"))
      return false;
    for (uint32_t d = 0; d < rank; d++) {
      int64_t c;
      if ((d && !hli_parse_punct(p, ',', "in a basis vector")) || !hli_parse_integer(p, "a coordinate", 0, INT16_MAX, &c))
        return false;
      v[*count].c[d] = (int16_t)c;
    }
    if (!hli_parse_punct(p, ']', "at the end of a basis vector (one coordinate per dimension)"))
      return false;
  }
  hli_parse_advance(p);
  return true;
}

static bool repeats(hli_parser *p, hli_layout *l) {
  if (!hli_parse_is(p, ','))
    return true;
  if (!field(p, "repeat", false) || !hli_parse_punct(p, '[', "before the repeats"))
    return false;
  do {
    int64_t dim, count;
    if (l->repeats == HLI_LAYOUT_REPEATS)
      return hli_parse_fail(p, &p->tok, "a layout has at most %d repeats", HLI_LAYOUT_REPEATS);
    if (!hli_parse_integer(p, "the repeated dimension", 0, (int64_t)l->rank - 1, &dim))
      return false;
    if (!hli_parse_accept_word(p, "x"))
      return hli_parse_expected(p, "'x' (write: 1 x 3 regs)");
    if (!hli_parse_integer(p, "the repeat count", 1, UINT16_MAX, &count))
      return false;
    bool warps = hli_parse_accept_word(p, "warps");
    if (!warps && !hli_parse_accept_word(p, "regs"))
      return hli_parse_expected(p, "'regs' or 'warps'");
    l->repeat[l->repeats++] = (hli_layout_repeat){(uint8_t)dim, warps, (uint16_t)count};
  } while (hli_parse_accept(p, ','));
  return hli_parse_punct(p, ']', "after the repeats");
}

static bool distribution(hli_parser *p, hli_layout *l) {
  return vectors(p, "regs", l->rank, HLI_LAYOUT_REG_BITS, l->reg, &l->reg_bits) &&
         vectors(p, "lanes", l->rank, HLI_LAYOUT_LANE_BITS, l->lane, &l->lane_bits) &&
         vectors(p, "warps", l->rank, HLI_LAYOUT_WARP_BITS, l->warp, &l->warp_bits) && repeats(p, l);
}

static bool swizzle(hli_parser *p, hli_layout *l) {
  int64_t vec, shift, mask, pad;
  if (!small_field(p, "vec", false, 15, &vec) || !small_field(p, "shift", false, 15, &shift) ||
      !small_field(p, "mask", false, UINT16_MAX, &mask) || !small_field(p, "pad", false, UINT16_MAX, &pad))
    return false;
  l->sw_vec = (uint8_t)vec;
  l->sw_shift = (uint8_t)shift;
  l->sw_mask = (uint16_t)mask;
  l->sw_pad = (uint16_t)pad;
  return true;
}

static bool layout_line(hli_parser *p, bool is_swizzle) {
  hli_token name;
  int64_t n, rank;
  if (!hli_parse_take(p, HLI_TOK_HASH, "the layout's number (#1)", &name))
    return false;
  if (hli_read_i64(name.text, &n) || n != p->layouts.len)
    return hli_parse_fail(p, &name, "layouts are numbered from 1 without gaps: this one is #%u", p->layouts.len);
  if (n >= HLI_TEXT_LAYOUTS)
    return hli_parse_fail(p, &name, "the kernel has more than %u layouts", HLI_TEXT_LAYOUTS);
  if (!hli_parse_punct(p, '=', "behind the layout's number") || !hli_parse_punct(p, '{', "before the layout") ||
      !small_field(p, "rank", true, HLI_LAYOUT_RANK, &rank))
    return false;
  hli_layout l = {.kind = is_swizzle, .rank = (uint8_t)rank};
  if (!(is_swizzle ? swizzle(p, &l) : distribution(p, &l)) || !hli_parse_punct(p, '}', "after the layout"))
    return false;
  uint32_t id = hli_layout_intern(p->k, &l);
  return (id && hli_vec_push(p->k->alloc, &p->layouts, id)) || hli_parse_memory(p);
}

/* ---- grid [M / 4, 4096 / 128] [N / 64] -------------------------------------------------------- */

static bool grid_axis(hli_parser *p, bool opens) {
  hli_grid_axis g = {.opens = opens};
  if (p->k->grid.len == HLI_MAX_GRID_AXES)
    return hli_parse_fail(p, &p->tok, "the grids have more than %d axes", HLI_MAX_GRID_AXES);
  bool constant = p->tok.kind == HLI_TOK_NUMBER;
  if (constant ? !hli_parse_integer(p, "a grid axis' size", 0, HLI_TEXT_SIZE, &g.constant) : !hli_parse_dim(p, &g.dim))
    return false;
  if (!hli_parse_punct(p, '/', "between size and block (write M / 128)") ||
      !hli_parse_integer(p, "a grid axis' block", 1, HLI_TEXT_SIZE, &g.block))
    return false;
  return hli_vec_push(p->k->alloc, &p->k->grid, g) || hli_parse_memory(p);
}

static bool grid_line(hli_parser *p) {
  if (p->k->scheduled)
    return hli_parse_fail(p, &p->tok, "the kernel has two grids");
  p->k->scheduled = true;
  if (!hli_parse_punct(p, '[', "before the grid"))
    return false;
  do {
    for (uint32_t n = 0; !hli_parse_is(p, ']') || (n == 0 && p->k->grid.len); n++) {
      if (n && !hli_parse_punct(p, ',', "or ']' in the grid"))
        return false;
      if (n == HL_MAX_RANK)
        return hli_parse_fail(p, &p->tok, "the grid has more than %d axes", HL_MAX_RANK);
      if (!grid_axis(p, n == 0 && p->k->grid.len))
        return false;
    }
    hli_parse_advance(p);
  } while (hli_parse_accept(p, '['));
  return true;
}

/* ---- launch warps 8 shared 4096 grain 4 scratch 128 max_nreg 128 ------------------------------- */

static bool launch_line(hli_parser *p) {
  hli_launch *l = &p->k->launch;
  const struct {
    const char *word;
    uint32_t *value;
  } facts[] = {{"warps", &l->warps},
               {"shared", &l->shared_bytes},
               {"grain", &l->grain},
               {"scratch", &l->scratch_bytes},
               {"max_nreg", &l->max_nreg}};
  bool any = false;
  for (uint32_t i = 0; i < HLI_COUNT(facts); i++) {
    int64_t value;
    if (!hli_parse_accept_word(p, facts[i].word))
      continue;
    if (*facts[i].value)
      return hli_parse_fail(p, &p->tok, "the launch fact '%s' is given twice", facts[i].word);
    if (!hli_parse_integer(p, facts[i].word, 1, INT32_MAX, &value))
      return false;
    *facts[i].value = (uint32_t)value;
    any = true;
  }
  return any || hli_parse_expected(p, "a launch fact: warps, shared, grain, scratch, max_nreg (in this order)");
}

/* ---- allow contract flush approx_div tf32; require M <= 4096 -------------------------------------- */

static bool allow_line(hli_parser *p) {
  if (p->k->allow)
    return hli_parse_fail(p, &p->tok, "the kernel has two allow lines");
  for (uint32_t bit = 1; bit <= HLI_ALLOW_ALL; bit <<= 1)
    if (hli_parse_accept_word(p, hli_allow_text(bit)))
      p->k->allow |= (uint8_t)bit;
  return p->k->allow || hli_parse_expected(p, "what is allowed: contract, flush, approx_div, tf32 (in this order)");
}

/* == != < <= > >= */
static bool compare_sign(hli_parser *p, uint8_t *out) {
  static const char signs[] = "=!<>";
  char sign = 0;
  for (const char *s = signs; *s && !sign; s++)
    if (hli_parse_accept(p, *s))
      sign = *s;
  const bool equal = sign && hli_parse_accept(p, '=');
  if (!sign || ((sign == '=' || sign == '!') && !equal))
    return hli_parse_expected(p, "a comparison: ==, !=, <, <=, > or >=");
  *out = sign == '=' ? HL_EQ : sign == '!' ? HL_NE : sign == '<' ? (equal ? HL_LE : HL_LT) : equal ? HL_GE : HL_GT;
  return true;
}

static bool require_line(hli_parser *p) {
  hli_require r = {0};
  if (p->k->requires_.len == HLI_TEXT_PARAMS)
    return hli_parse_fail(p, &p->tok, "more than %u requirements", HLI_TEXT_PARAMS);
  if (!hli_parse_dim(p, &r.a) || !compare_sign(p, &r.compare) || !hli_parse_dim(p, &r.b))
    return false;
  return hli_vec_push(p->k->alloc, &p->k->requires_, r) || hli_parse_memory(p);
}

/* ---- size T = add(N, mul(P, 2)): names of dimensions, integers, %scalars ------------------------------ */

static bool push_term(hli_parser *p, hli_size_kind kind, int64_t value) {
  return hli_vec_push(p->k->alloc, &p->k->size_terms, ((hli_size_term){value, (uint8_t)kind})) || hli_parse_memory(p);
}

static bool size_scalar(hli_parser *p) {
  hli_token t;
  if (!hli_parse_take(p, HLI_TOK_VALUE, "a scalar parameter", &t))
    return false;
  const hli_symbol *s = hli_symbols_find(&p->values, t.text); /* only parameters are known here */
  if (!s)
    return hli_parse_fail(p, &t, "unknown parameter %%%.*s: declare it above",
                          (int)HLI_MIN(t.text.len, (size_t)HLI_TEXT_NAME), t.text.ptr);
  return push_term(p, HLI_SIZE_SCALAR, p->k->values.data[s->value].index);
}

static bool size_expression(hli_parser *p, uint32_t depth) {
  if (depth > HLI_SIZE_TERMS)
    return hli_parse_fail(p, &p->tok, "the size is nested more than %u deep", HLI_SIZE_TERMS);
  if (p->tok.kind == HLI_TOK_NUMBER) {
    int64_t n;
    return hli_parse_integer(p, "a number in a size", -HLI_TEXT_SIZE, HLI_TEXT_SIZE, &n) &&
           push_term(p, HLI_SIZE_CONST, n);
  }
  if (p->tok.kind == HLI_TOK_VALUE)
    return size_scalar(p);
  hli_token at;
  if (!hli_parse_take(p, HLI_TOK_WORD, "a dimension, an integer, a %scalar or an operation such as add(N, 1)", &at))
    return false;
  if (!hli_parse_accept(p, '(')) {
    const hli_symbol *s = hli_symbols_find(&p->dims, at.text);
    return s ? push_term(p, HLI_SIZE_DIM, s->value)
             : hli_parse_fail(p, &at, "unknown dimension '%.*s': declare it above with 'dim'",
                              (int)HLI_MIN(at.text.len, (size_t)HLI_TEXT_NAME), at.text.ptr);
  }
  int64_t op = 0;
  while (op < HL_BINARY_COUNT && !(hli_size_op_text(op) && hli_str_eqz(at.text, hli_size_op_text(op))))
    op++;
  if (op == HL_BINARY_COUNT)
    return hli_parse_fail(p, &at, "sizes know add, sub, mul, floordiv, truncdiv, rem, min and max, not '%.*s'",
                          (int)HLI_MIN(at.text.len, (size_t)HLI_TEXT_NAME), at.text.ptr);
  return size_expression(p, depth + 1) && hli_parse_punct(p, ',', "between the two operands") &&
         size_expression(p, depth + 1) && hli_parse_punct(p, ')', "after the operands") &&
         push_term(p, HLI_SIZE_BINARY, op);
}

static bool size_line(hli_parser *p) {
  hli_size_rule r = {.first = p->k->size_terms.len};
  const hli_token at = p->tok;
  if (p->k->size_rules.len == HLI_TEXT_PARAMS)
    return hli_parse_fail(p, &at, "more than %u sizes follow from others", HLI_TEXT_PARAMS);
  if (!hli_parse_dim(p, &r.dim) || !hli_parse_punct(p, '=', "behind the dimension") || !size_expression(p, 0))
    return false;
  r.count = p->k->size_terms.len - r.first;
  if (r.count > HLI_SIZE_TERMS)
    return hli_parse_fail(p, &at, "the size has %u parts: at most %u are allowed", r.count, HLI_SIZE_TERMS);
  return hli_vec_push(p->k->alloc, &p->k->size_rules, r) || hli_parse_memory(p);
}

/* ---- all lines -------------------------------------------------------------------------------------- */

static bool layout_keyword(hli_parser *p) { return layout_line(p, false); }
static bool swizzle_keyword(hli_parser *p) { return layout_line(p, true); }

bool hli_parse_head(hli_parser *p) {
  static const struct {
    const char *word;
    bool (*line)(hli_parser *);
  } lines[] = {{"dim", dim_line},           {"param", param_line},           {"axis", axis_line},
               {"layout", layout_keyword},  {"swizzle", swizzle_keyword},    {"grid", grid_line},
               {"launch", launch_line},     {"allow", allow_line},           {"require", require_line},
               {"size", size_line},         {"tunable", hli_parse_tunable}};
  while (!hli_parse_accept_word(p, "body")) {
    uint32_t i = 0;
    while (i < HLI_COUNT(lines) && !hli_parse_accept_word(p, lines[i].word))
      i++;
    if (i == HLI_COUNT(lines))
      return hli_parse_expected(p, "dim, param, axis, layout, swizzle, grid, launch, size, tunable, allow, require or body");
    if (!lines[i].line(p) || !hli_parse_newline(p, "the declaration"))
      return false;
  }
  return resolve_aliases(p);
}
