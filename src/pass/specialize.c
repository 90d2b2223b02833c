/* specialize.c: binds sizes to dimensions and makes everything that follows from them constant.
 *
 * Expects a verified TILE kernel.  Afterwards every dimension that is not dynamic has its value, `size`
 * of it is a constant, strides that follow from sizes (row-major unless the parameter says otherwise) are
 * constants, scalars that have a value are, and constant tile bounds are known to lie inside the tensors they index.
 *
 *   dim N                                   dim N = 4096
 *   %n = size %x {dim = 1} : i64     ->     %n = const {value = 4096} : i64
 */
#include "src/ir/text.h"
#include "src/pass/bounds.h"
#include <stdio.h>

static hl_status no_dimension(const hli_pass_env *env, const hl_kernel *k, const char *name) {
  char have[256];
  size_t n = 0;
  have[0] = '\0';
  for (uint32_t i = 1; i < k->dims.len; i++)
    if (k->dims.data[i].name[0] && n < sizeof have)
      n += (size_t)snprintf(have + n, sizeof have - n, "%s%s", n ? ", " : "", k->dims.data[i].name);
  return hli_fail(env->diag, HL_ERR_ARG, "kernel %s has no dimension '%s'; it has %s", k->name, name,
                  n ? have : "none with a name");
}

/* A specialised scalar of integers takes its value by its name, as dimensions do. */
static hl_status bind_scalar(const hli_pass_env *env, hl_kernel *k, const hl_shape_binding *s) {
  for (uint32_t i = 0; i < k->params.len; i++) {
    hli_param *p = &k->params.data[i];
    const hl_dtype dtype = (hl_dtype)hli_type_of(k, p->value)->dtype;
    if (!p->is_constexpr || hli_dtype_kind(dtype) == 'f' || strcmp(k->values.data[p->value].name, s->dim) != 0)
      continue;
    const uint64_t bits = hli_scalar_to_bits(dtype, (hli_scalar){.i = s->size});
    if (hli_scalar_from_bits(dtype, bits).i != s->size)
      return hli_fail(env->diag, HL_ERR_ARG, "kernel %s: the value %lld does not fit parameter %s, which is %s",
                      k->name, (long long)s->size, s->dim, hl_dtype_text(dtype));
    if (p->specialized && p->constant != bits)
      return hli_fail_constant(env->diag, k, p, bits);
    p->specialized = true;
    p->constant = bits;
    return HL_OK;
  }
  return no_dimension(env, k, s->dim);
}

static hl_status bind_one(const hli_pass_env *env, hl_kernel *k, const hl_shape_binding *s) {
  for (uint32_t i = 1; i < k->dims.len; i++) {
    hli_dim_data *d = &k->dims.data[i];
    if (!d->name[0] || strcmp(d->name, s->dim) != 0)
      continue;
    if (s->size < 0 || s->size >= ((int64_t)1 << 48))
      return hli_fail(env->diag, HL_ERR_ARG, "kernel %s: size %lld of dimension %s is out of range (0 to 2^48)",
                      k->name, (long long)s->size, s->dim);
    if (d->value >= 0 && d->value != s->size)
      return hli_fail(env->diag, HL_ERR_ARG, "kernel %s: dimension %s is %lld and cannot also be %lld", k->name, s->dim,
                      (long long)d->value, (long long)s->size);
    if (s->size % d->multiple != 0)
      return hli_fail(env->diag, HL_ERR_ARG, "kernel %s: dimension %s must be a multiple of %lld, %lld is not", k->name,
                      s->dim, (long long)d->multiple, (long long)s->size);
    if (d->kind == HLI_DIM_DYNAMIC)
      d->example = s->size;
    else
      d->value = s->size;
    return HL_OK;
  }
  return bind_scalar(env, k, s);
}

/* Sizes that follow from those that are bound; of dynamic dimensions the examples. */
static hl_status follow(const hli_pass_env *env, hl_kernel *k) {
  if (!k->size_rules.len)
    return HL_OK;
  int64_t scalars[HLI_TEXT_PARAMS] = {0}, *sizes = hli_calloc(env->alloc, k->dims.len, sizeof *sizes);
  uint32_t known = 0;
  if (!sizes)
    return hli_fail_memory(env->diag, "specialising a kernel");
  for (uint32_t i = 1; i < k->dims.len; i++)
    sizes[i] = k->dims.data[i].value;
  for (uint32_t i = 0; i < k->params.len; i++) {
    const hli_param *p = &k->params.data[i];
    const hl_dtype dtype = (hl_dtype)hli_type_of(k, p->value)->dtype;
    if (!p->specialized || hli_dtype_kind(dtype) == 'f')
      continue;
    scalars[i] = hli_scalar_from_bits(dtype, p->constant).i;
    known |= 1u << i;
  }
  const hl_status s = hli_follow_sizes(k, sizes, scalars, known, env->diag);
  for (uint32_t i = 1; i < k->dims.len && s == HL_OK; i++)
    if (k->dims.data[i].kind != HLI_DIM_DYNAMIC)
      k->dims.data[i].value = sizes[i];
  hli_release(env->alloc, sizes, k->dims.len * sizeof *sizes);
  return s;
}

static hl_status bind_dims(const hli_pass_env *env, hl_kernel *k) {
  for (uint32_t i = 0; i < env->shape_count; i++) {
    if (!env->shape[i].dim)
      return hli_fail(env->diag, HL_ERR_ARG, "kernel %s: a size is bound to no dimension", k->name);
    hl_status s = bind_one(env, k, &env->shape[i]);
    if (s != HL_OK)
      return s;
  }
  hl_status s = follow(env, k);
  if (s != HL_OK)
    return s;
  for (uint32_t i = 1; i < k->dims.len; i++) {
    const hli_dim_data *d = &k->dims.data[i];
    if (d->kind != HLI_DIM_DYNAMIC && d->value < 0)
      return hli_fail(env->diag, HL_ERR_ARG,
                      "kernel %s: the size of dimension %s is not given; bind it or declare it dynamic", k->name,
                      d->name);
  }
  return HL_OK;
}

/* Row-major strides from the sizes, as far as they are known; given ones stay. */
static void fix_strides(hl_kernel *k) {
  for (uint32_t p = 0; p < k->params.len; p++) {
    hli_param *param = &k->params.data[p];
    const hli_type_data *t = hli_type_of(k, param->value);
    if (t->kind != HLI_TYPE_TENSOR)
      continue;
    bool given = false;
    for (uint32_t d = 0; d < t->rank; d++)
      given |= param->strides[d] >= 0;
    int64_t stride = 1;
    for (uint32_t d = t->rank; d-- > 0 && !given;) {
      param->strides[d] = stride;
      const int64_t size = k->dims.data[t->dims[d]].value;
      stride = stride < 0 || size < 0 ? -1 : stride * HLI_MAX(size, 1);
    }
    if (!param->align)
      param->align = 16;
  }
}

/* What a `size` or `stride` is; -1: anything else, or unknown. */
static int64_t known_size(const hl_kernel *k, hli_op op) {
  const uint16_t code = k->ops.data[op].code;
  if (k->ops.data[op].dead || (code != HLI_OP_SIZE && code != HLI_OP_STRIDE))
    return -1;
  const hli_value tensor = hli_operand(k, op, 0);
  const int64_t d = hli_attr(k, op, 0, 0);
  return code == HLI_OP_SIZE ? k->dims.data[hli_type_of(k, tensor)->dims[d]].value
                             : k->params.data[k->values.data[tensor].index].strides[d];
}

static void fold_scalars(hl_kernel *k) {
  hli_cursor at = {.k = k, .block = k->body, .before = hli_first(k, k->body), .file = ""};
  for (uint32_t i = 0; i < k->params.len; i++) {
    const hli_param p = k->params.data[i];
    if (p.specialized)
      hli_replace_uses(k, p.value, hli_make_const(&at, hli_dtype_of(k, p.value), p.constant));
  }
}

static void fold_sizes(hl_kernel *k) {
  const uint32_t count = k->ops.len;
  for (hli_op op = 1; op < count; op++) {
    const int64_t size = known_size(k, op);
    if (size < 0)
      continue;
    hli_cursor at = {.k = k,
                     .block = k->ops.data[op].block,
                     .before = op,
                     .file = k->ops.data[op].file,
                     .line = k->ops.data[op].line};
    hli_value c = hli_make_i64(&at, size);
    if (!c)
      return;
    const char *name = k->values.data[hli_result(k, op, 0)].name;
    if (name[0])
      k->values.data[c].name = name;
    hli_replace_uses(k, hli_result(k, op, 0), c);
    hli_op_remove(k, op);
  }
}

/* ---- dimensions of size 1 broadcast ---- */

/* Does dimension d of the access have size 1 while its tile runs over more? */
static bool is_unit(const hl_kernel *k, const hli_access *a, uint32_t d) {
  const hli_type_data *t = hli_type_of(k, a->base);
  hli_scalar end;
  if (t->kind != HLI_TYPE_TENSOR || a->kind[d] != 't' || k->dims.data[t->dims[d]].value != 1)
    return false;
  const hli_value e = hli_tile_bound(k, true, a->index[d]);
  return e && !(hli_const_value(k, e, &end) && end.i <= 1) && !hli_tile_within(k, a->index[d], t->dims[d]);
}

/* Does another access walk along the tile, or something look at its lanes?  Then its end stays known. */
static bool is_walked(const hl_kernel *k, hli_value tile) {
  for (hli_op op = 1; op < k->ops.len; op++) {
    const hli_op_data *o = hli_op_get(k, op);
    if (o->dead)
      continue;
    if ((o->code == HLI_OP_TILE_INDEX || o->code == HLI_OP_IN_BOUNDS) && hli_operand(k, op, 0) == tile)
      return true;
    if (o->code != HLI_OP_LOAD && o->code != HLI_OP_STORE)
      continue;
    hli_access a;
    hli_access_get(k, op, &a);
    for (uint32_t d = 0; d < a.rank; d++)
      if (a.index[d] == tile && !is_unit(k, &a, d))
        return true;
  }
  return false;
}

/* Lanes beyond the end of a tile that nothing else walks along: 0 there, as a load gives. */
static hli_value keep_end(hli_cursor *c, hli_value v, hli_value tile, uint32_t dim) {
  const hli_type type = c->k->values.data[v].type;
  const int64_t at = dim;
  const hli_value inside =
      hli_make_broadcast(c, hli_make_unary(c, HLI_OP_IN_BOUNDS, tile), hli_type_with_dtype(c->k, type, HL_BOOL), &at);
  const hli_value zero = hli_make_const(c, (hl_dtype)hli_type_get(c->k, type)->dtype, 0);
  return hli_make_where(c, inside, v, zero ? hli_make_splat(c, zero, type) : 0);
}

/* load %x[%i, %j] of a tensor of size [1, n]: the one row is loaded and broadcast over $i. */
static void broadcast_units(hl_kernel *k, hli_op op) {
  hli_access a;
  hli_access_get(k, op, &a);
  const hli_type full = k->values.data[a.value].type;
  hli_cursor at = {
      .k = k, .block = k->ops.data[op].block, .before = op, .file = k->ops.data[op].file, .line = k->ops.data[op].line};
  char kinds[HL_MAX_RANK];
  hli_value index[HL_MAX_RANK];
  int64_t dims[HL_MAX_RANK];
  uint32_t n = 0, rank = 0, units = 0;
  for (uint32_t d = 0; d < a.rank; d++) {
    const bool unit = is_unit(k, &a, d);
    units += unit;
    kinds[d] = unit ? 's' : a.kind[d];
    if (a.value_dim[d] >= 0 && !unit)
      dims[rank++] = a.value_dim[d];
    if (a.kind[d] != ':')
      index[n++] = unit ? hli_make_i64(&at, 0) : a.index[d];
  }
  if (units == 0 || a.mask || a.gathers) /* these keep their shape; the bounds check below complains */
    return;
  hli_value v = hli_make_broadcast(&at, hli_make_load(&at, a.base, kinds, index, 0, 0, 0), full, dims);
  for (uint32_t d = 0; d < a.rank && v; d++)
    if (is_unit(k, &a, d) && !is_walked(k, a.index[d]))
      v = keep_end(&at, v, a.index[d], (uint32_t)a.value_dim[d]);
  if (!v) {
    k->failed = true;
    return;
  }
  hli_replace_uses(k, a.value, v);
  hli_op_remove(k, op);
}

static void broadcast_all_units(hl_kernel *k) {
  const uint32_t count = k->ops.len;
  for (hli_op op = 1; op < count && !k->failed; op++)
    if (!k->ops.data[op].dead && k->ops.data[op].code == HLI_OP_LOAD)
      broadcast_units(k, op);
}

/* CPUs multiply f32 exactly: what the dot's precision rounds is rounded before it.  GPUs have instructions for tf32,
 * which a kernel may ask for by a dot's precision or allow for all of them.
 *   dot %a, %b, %c {precision = tf32}   ->   %x = tf32 %a;  %y = tf32 %b;  dot %x, %y, %c */
static void settle_precision(const hli_pass_env *env, hl_kernel *k, hli_op op) {
  const hli_op_data o = *hli_op_get(k, op);
  const int64_t precision = hli_attr_or(k, op, 0, 0, HL_DOT_IEEE), wanted = HL_DOT_TF32;
  hli_cursor at = {.k = k, .block = o.block, .before = op, .file = o.file, .line = o.line};
  if (env->target->family != HLI_FAMILY_CPU) {
    if (precision == HL_DOT_IEEE && k->allow & HL_ALLOW_TF32 && hli_dtype_of(k, hli_operand(k, op, 0)) == HL_F32)
      hli_op_set_attr(k, op, 0, &wanted, 1);
    return;
  }
  for (uint32_t i = 0; i < 2 && precision == HL_DOT_TF32; i++) {
    const hli_value v = hli_make_unary(&at, HLI_OP_TF32, hli_operand(k, op, i));
    if (v)
      hli_op_set_operand(k, op, i, v);
    k->failed |= !v;
  }
  if (precision != HL_DOT_IEEE)
    hli_op_set_attr(k, op, 0, NULL, 0);
}

static void settle_precisions(const hli_pass_env *env, hl_kernel *k) {
  const uint32_t count = k->ops.len;
  for (hli_op op = 1; op < count && !k->failed; op++)
    if (!k->ops.data[op].dead && k->ops.data[op].code == HLI_OP_DOT)
      settle_precision(env, k, op);
}

hl_status hli_pass_specialize(hli_pass_env *env, hl_kernel **pk) {
  hl_kernel *k = *pk;
  if (!hli_kernel_writes(k))
    return hli_fail(env->diag, HL_ERR_BUILD, "kernel %s stores nothing, so it computes nothing", k->name);
  hl_status s = bind_dims(env, k);
  if (s != HL_OK)
    return s;
  if ((s = hli_check_requires(k, NULL, env->diag)) != HL_OK)
    return s;
  fix_strides(k);
  fold_sizes(k);
  fold_scalars(k);
  if ((s = hli_pass_simplify(env, pk)) != HL_OK)
    return s; /* so that bounds computed from sizes are constants */
  k = *pk;
  broadcast_all_units(k);
  settle_precisions(env, k);
  if (env->target->family != HLI_FAMILY_CPU)
    hli_select_gathers(k);
  if ((s = hli_check_bounds(env, k)) != HL_OK)
    return s;
  return k->failed ? hli_fail_memory(env->diag, "specialising a kernel") : HL_OK;
}
