/* types.c: dimensions, axes, types and layouts of a kernel: interned tables addressed by id. */
#include "src/ir/ir.h"

const char *hli_intern(hl_kernel *k, hl_str s) {
  if (s.len == 0)
    return "";
  const char *copy = hli_arena_strdup(&k->arena, s);
  if (!copy)
    k->failed = true;
  return copy ? copy : "";
}

static uint32_t out_of_memory(hl_kernel *k) {
  k->failed = true;
  return 0;
}

/* ---- dtypes ---- */

hl_dtype hli_accumulator_dtype(hl_dtype dtype) {
  switch (hli_dtype_kind(dtype)) {
  case 'f':
    return dtype == HL_F64 ? HL_F64 : HL_F32;
  case 'i':
    return dtype == HL_I64 ? HL_I64 : HL_I32;
  case 'u':
    return dtype == HL_U64 ? HL_U64 : HL_U32;
  default:
    return HL_DTYPE_NONE;
  }
}

hl_dtype hli_dot_accumulator(hl_dtype a, hl_dtype b) {
  const bool floats = hli_dtype_kind(a) == 'f' && hli_dtype_kind(b) == 'f';
  const bool bytes = hl_dtype_size(a) == 1 && hl_dtype_size(b) == 1 && a != HL_BOOL && b != HL_BOOL;
  if (a == b)
    return hli_accumulator_dtype(a);
  if (!bytes || floats != (hli_dtype_kind(a) == 'f' || hli_dtype_kind(b) == 'f'))
    return HL_DTYPE_NONE;
  return floats ? HL_F32 : HL_I32;
}

/* ---- dimensions ---- */

hli_dim hli_dim_named(hl_kernel *k, hl_str name) {
  for (uint32_t i = 1; i < k->dims.len; i++)
    if (k->dims.data[i].name[0] && hli_str_eqz(name, k->dims.data[i].name))
      return i;
  hli_dim_data d = {.name = hli_intern(k, name), .kind = HLI_DIM_DEFAULT, .value = -1, .multiple = 1};
  return hli_vec_push(k->alloc, &k->dims, d) ? k->dims.len - 1 : out_of_memory(k);
}

hli_dim hli_dim_const(hl_kernel *k, int64_t size) {
  for (uint32_t i = 1; i < k->dims.len; i++)
    if (!k->dims.data[i].name[0] && k->dims.data[i].value == size)
      return i;
  hli_dim_data d = {.name = "", .kind = HLI_DIM_STATIC, .value = size, .multiple = 1};
  return hli_vec_push(k->alloc, &k->dims, d) ? k->dims.len - 1 : out_of_memory(k);
}

/* ---- axes ---- */

static hli_axis axis_push(hl_kernel *k, hli_axis_data a) {
  return hli_vec_push(k->alloc, &k->axes, a) ? k->axes.len - 1 : out_of_memory(k);
}

hli_axis hli_axis_const(hl_kernel *k, int64_t size) {
  for (uint32_t i = 1; i < k->axes.len; i++)
    if (k->axes.data[i].kind == HLI_AXIS_CONST && k->axes.data[i].block == size)
      return i;
  return axis_push(k, (hli_axis_data){.kind = HLI_AXIS_CONST, .name = "", .block = size});
}

static bool axis_name_taken(const hl_kernel *k, hl_str name) {
  for (uint32_t i = 1; i < k->axes.len; i++)
    if (k->axes.data[i].kind != HLI_AXIS_CONST && hli_str_eqz(name, k->axes.data[i].name))
      return true;
  return false;
}

/* The name, or the name with the first free number behind it. */
static const char *unique_axis_name(hl_kernel *k, hl_str name) {
  if (!axis_name_taken(k, name))
    return hli_intern(k, name);
  hli_strbuf sb;
  hli_sb_init(&sb, k->alloc);
  for (uint32_t n = 1;; n++) {
    sb.len = 0;
    hli_sb_put(&sb, name.ptr, name.len);
    hli_sb_printf(&sb, "_%u", n);
    if (sb.failed || !axis_name_taken(k, (hl_str){sb.data, sb.len}))
      break;
  }
  const char *result = sb.failed ? "" : hli_intern(k, (hl_str){sb.data, sb.len});
  if (sb.failed)
    k->failed = true;
  hli_sb_free(&sb);
  return result;
}

hli_axis hli_axis_tile(hl_kernel *k, hl_str name) {
  return axis_push(k, (hli_axis_data){.kind = HLI_AXIS_TILE, .name = unique_axis_name(k, name)});
}

hli_axis hli_axis_full(hl_kernel *k, hli_dim dim) {
  for (uint32_t i = 1; i < k->axes.len; i++)
    if (k->axes.data[i].kind == HLI_AXIS_FULL && k->axes.data[i].dim == dim)
      return i;
  hl_str base = hli_str(k->dims.data[dim].name);
  if (base.len == 0)
    base = hli_str("all");
  return axis_push(k, (hli_axis_data){.kind = HLI_AXIS_FULL, .name = unique_axis_name(k, base), .dim = dim});
}

int64_t hli_axis_lanes(const hl_kernel *k, hli_axis a) {
  const hli_axis_data *x = &k->axes.data[a];
  if (x->block || x->kind == HLI_AXIS_CONST)
    return x->block;
  if (x->kind == HLI_AXIS_FULL && k->dims.data[x->dim].value > 0)
    return k->dims.data[x->dim].value;
  return 0;
}

bool hli_axis_is_one(const hl_kernel *k, hli_axis a) {
  return k->axes.data[a].kind == HLI_AXIS_CONST && k->axes.data[a].block == 1;
}

/* ---- types ---- */

hli_type hli_type_intern(hl_kernel *k, const hli_type_data *t) {
  for (uint32_t i = 1; i < k->types.len; i++) {
    const hli_type_data *o = &k->types.data[i];
    if (o->kind == t->kind && o->dtype == t->dtype && o->rank == t->rank && o->layout == t->layout &&
        memcmp(o->dims, t->dims, t->rank * sizeof t->dims[0]) == 0)
      return i;
  }
  return hli_vec_push(k->alloc, &k->types, *t) ? k->types.len - 1 : out_of_memory(k);
}

hli_type hli_type_scalar(hl_kernel *k, hl_dtype dtype) {
  return hli_type_value(k, dtype, NULL, 0);
}

hli_type hli_type_value(hl_kernel *k, hl_dtype dtype, const hli_axis *axes, uint32_t rank) {
  hli_type_data t = {.kind = HLI_TYPE_VALUE, .dtype = (uint8_t)dtype, .rank = (uint8_t)rank};
  for (uint32_t i = 0; i < rank; i++)
    t.dims[i] = axes[i];
  return hli_type_intern(k, &t);
}

hli_type hli_type_vector(hl_kernel *k, hl_dtype dtype, int64_t lanes) {
  hli_axis a = hli_axis_const(k, lanes);
  return hli_type_value(k, dtype, &a, 1);
}

hli_type hli_type_tile(hl_kernel *k, hli_axis axis) {
  hli_type_data t = {.kind = HLI_TYPE_TILE, .rank = 1, .dims = {axis}};
  return hli_type_intern(k, &t);
}

hli_type hli_type_buffer(hl_kernel *k, hl_dtype dtype, const int64_t *sizes, uint32_t rank) {
  hli_type_data t = {.kind = HLI_TYPE_BUFFER, .dtype = (uint8_t)dtype, .rank = (uint8_t)rank};
  for (uint32_t i = 0; i < rank; i++)
    t.dims[i] = hli_axis_const(k, sizes[i]);
  return hli_type_intern(k, &t);
}

hli_type hli_type_with_dtype(hl_kernel *k, hli_type t, hl_dtype dtype) {
  hli_type_data copy = k->types.data[t];
  copy.dtype = (uint8_t)dtype;
  return hli_type_intern(k, &copy);
}

hli_type hli_type_with_layout(hl_kernel *k, hli_type t, uint32_t layout) {
  hli_type_data copy = k->types.data[t];
  copy.layout = layout;
  return hli_type_intern(k, &copy);
}

/* ---- layouts ---- */

/* Layouts are compared as bytes: unused entries must be zero, which this makes so. */
static hli_layout normal_layout(const hli_layout *l) {
  hli_layout n;
  memset(&n, 0, sizeof n);
  n.kind = l->kind, n.rank = l->rank;
  n.reg_bits = l->reg_bits, n.lane_bits = l->lane_bits, n.warp_bits = l->warp_bits, n.repeats = l->repeats;
  for (uint32_t d = 0; d < l->rank && d < HLI_LAYOUT_RANK; d++) {
    for (uint32_t i = 0; i < l->reg_bits; i++)
      n.reg[i].c[d] = l->reg[i].c[d];
    for (uint32_t i = 0; i < l->lane_bits; i++)
      n.lane[i].c[d] = l->lane[i].c[d];
    for (uint32_t i = 0; i < l->warp_bits; i++)
      n.warp[i].c[d] = l->warp[i].c[d];
  }
  for (uint32_t i = 0; i < l->repeats; i++) {
    n.repeat[i].dim = l->repeat[i].dim;
    n.repeat[i].over_warps = l->repeat[i].over_warps;
    n.repeat[i].count = l->repeat[i].count;
  }
  n.sw_vec = l->sw_vec, n.sw_shift = l->sw_shift, n.sw_mask = l->sw_mask, n.sw_pad = l->sw_pad;
  return n;
}

uint32_t hli_layout_intern(hl_kernel *k, const hli_layout *layout) {
  hli_layout n = normal_layout(layout);
  for (uint32_t i = 1; i < k->layouts.len; i++)
    if (memcmp(&k->layouts.data[i], &n, sizeof n) == 0)
      return i;
  return hli_vec_push(k->alloc, &k->layouts, n) ? k->layouts.len - 1 : out_of_memory(k);
}
