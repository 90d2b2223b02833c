/* guard.c: do these arguments fit the plan?  Finds the value of every dimension and the
 * size of every grid on the way.  Only arithmetic on descriptors: no lock, no
 * allocation, and the fast path of every check is one comparison.
 *
 * Each message names the kernel, the parameter, the dimension, both values and the way
 * out, since the reader may be three layers away from this call.
 * SPDX-License-Identifier: MIT */
#include "runtime/internal.h"
#include <stdio.h>

typedef struct guard {
  const hl_plan *plan;
  const hl_arg *args;
  hl_diag *diag;
  hlr_bound *bound;
} guard;

typedef struct byte_range {
  uintptr_t lo, hi; /* [lo, hi); lo == hi: nothing */
} byte_range;

/* ---- failing ----------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static hl_status misfit(const guard *g, uint32_t p, const char *fmt, ...) {
  char text[HL_DIAG_TEXT];
  va_list args;
  va_start(args, fmt);
  (void)vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  return hli_fail(g->diag, HL_ERR_GUARD, "kernel '%s', parameter '%s': %s", g->plan->program.name,
                  g->plan->program.params[p].name, text);
}

static const char *kind_text(hl_arg_kind kind) {
  switch (kind) {
  case HL_ARG_TENSOR:
    return "a tensor";
  case HL_ARG_I64:
    return "an integer (HL_ARG_I64)";
  case HL_ARG_F64:
    return "a floating-point number (HL_ARG_F64)";
  }
  return "of no known kind";
}

static const char *device_text(int32_t type) {
  switch (type) {
  case HL_DEVICE_CPU:
    return "cpu";
  case HL_DEVICE_CUDA:
    return "cuda";
  case HL_DEVICE_HIP:
    return "hip";
  case HL_DEVICE_NULL:
    return "null";
  default:
    return "device type";
  }
}

static const char *dl_text(hl_dl_dtype dl, char *room, size_t size) {
  hl_dtype known = hl_dtype_from_dl(dl);
  if (known)
    return hl_dtype_text(known);
  (void)snprintf(room, size, "DLPack type %u with %u bits and %u lanes", dl.code, dl.bits, dl.lanes);
  return room;
}

/* ---- scalars -------------------------------------------------------------------------- */

hl_arg_kind hlr_scalar_kind(hl_dtype dtype) {
  return hli_dtype_kind(dtype) == 'f' ? HL_ARG_F64 : HL_ARG_I64;
}

/* u64 takes any bits: a value beyond INT64_MAX comes as a negative number. */
static bool fits_integer(int64_t value, hl_dtype dtype) {
  switch (dtype) {
  case HL_BOOL:
    return value == 0 || value == 1;
  case HL_I8:
    return value >= INT8_MIN && value <= INT8_MAX;
  case HL_I16:
    return value >= INT16_MIN && value <= INT16_MAX;
  case HL_I32:
    return value >= INT32_MIN && value <= INT32_MAX;
  case HL_U8:
    return value >= 0 && value <= UINT8_MAX;
  case HL_U16:
    return value >= 0 && value <= UINT16_MAX;
  case HL_U32:
    return value >= 0 && value <= UINT32_MAX;
  default:
    return true;
  }
}

static int64_t signed_of(hl_dtype dtype, uint64_t bits) {
  const uint32_t unused = 64 - hl_dtype_size(dtype) * 8;
  return hli_dtype_kind(dtype) == 'i' ? (int64_t)(bits << unused) >> unused : (int64_t)bits;
}

static hl_status check_scalar(const guard *g, uint32_t p) {
  hl_dtype dtype = g->plan->program.params[p].dtype;
  const hl_arg *arg = &g->args[p];
  if (arg->kind != hlr_scalar_kind(dtype))
    return misfit(g, p, "the argument is %s, the kernel has a scalar of type %s here: pass %s", kind_text(arg->kind),
                  hl_dtype_text(dtype), kind_text(hlr_scalar_kind(dtype)));
  if (arg->kind == HL_ARG_I64 && !fits_integer(arg->as.i64, dtype))
    return misfit(g, p, "the value %lld does not fit %s", (long long)arg->as.i64, hl_dtype_text(dtype));
  const hlr_param *param = &g->plan->program.params[p];
  if (!param->is_exact || hlr_scalar_bits(dtype, arg) == param->constant)
    return HL_OK;
  if (arg->kind == HL_ARG_F64)
    return misfit(g, p, "the value is %.17g, the plan was made for %.17g: make a plan for this value",
                  hli_float_widen(hli_float_format_of(dtype), hlr_scalar_bits(dtype, arg)),
                  hli_float_widen(hli_float_format_of(dtype), param->constant));
  return misfit(g, p, "the value is %lld, the plan was made for %lld: make a plan for this value",
                (long long)arg->as.i64, (long long)signed_of(dtype, param->constant));
}

/* ---- tensors --------------------------------------------------------------------------- */

int64_t hlr_tensor_stride(const hl_tensor *t, int axis) {
  if (t->strides)
    return t->strides[axis];
  int64_t stride = 1;
  for (int a = t->ndim - 1; a > axis; a--)
    if (__builtin_mul_overflow(stride, t->shape[a], &stride))
      return INT64_MAX; /* refused by range_of */
  return stride;
}

/* DLPack: 3 is page-locked host memory and 13 managed memory; CUDA uses both directly. */
static bool device_fits(hl_device_id have, hl_device_id want) {
  if (want.type == HL_DEVICE_CPU)
    return have.type == HL_DEVICE_CPU || have.type == 3;
  if (want.type == HL_DEVICE_CUDA && (have.type == 3 || have.type == 13))
    return true;
  return have.type == want.type && have.index == want.index;
}

static hl_status check_form(const guard *g, uint32_t p, const hl_tensor *t) {
  const hlr_param *param = &g->plan->program.params[p];
  hl_dl_dtype want = hl_dtype_to_dl(param->dtype);
  hl_device_id id = g->plan->dev->id;
  char room[64];
  if (t->dtype.code != want.code || t->dtype.bits != want.bits || t->dtype.lanes != 1)
    return misfit(g, p, "the tensor holds %s, the plan was made for %s: convert it or make a plan for its type",
                  dl_text(t->dtype, room, sizeof room), hl_dtype_text(param->dtype));
  if (t->ndim != param->rank)
    return misfit(g, p, "the tensor has %d dimensions, the kernel declares %d: reshape it", (int)t->ndim,
                  (int)param->rank);
  if (t->ndim && !t->shape)
    return misfit(g, p, "the tensor's shape is NULL");
  if (!device_fits(t->device, id))
    return misfit(g, p, "the tensor is on %s:%d (DLPack device %d), the plan runs on %s:%d: copy it there",
                  device_text(t->device.type), (int)t->device.index, (int)t->device.type, device_text(id.type),
                  (int)id.index);
  return HL_OK;
}

/* Does the tensor have this dimension?  At which axis? */
static bool has_dim(const hlr_param *param, uint32_t dim, uint32_t *axis) {
  for (*axis = 0; param->is_tensor && *axis < param->rank; (*axis)++)
    if (param->dims[*axis] == dim)
      return true;
  return false;
}

static hl_status size_conflict(const guard *g, uint32_t p, uint32_t axis, uint32_t dim, int64_t size) {
  const hlr_program *prog = &g->plan->program;
  int64_t value = g->bound->dims[dim];
  if (prog->dims[dim].value != HLR_DYNAMIC)
    return misfit(g, p, "dimension %u ('%s') is %lld, the plan was made for %lld: make a plan for this shape", axis,
                  prog->dims[dim].name, (long long)size, (long long)value);
  uint32_t first = 0, at; /* the parameter that gave the dimension its size */
  while (first < p && !has_dim(&prog->params[first], dim, &at))
    first++;
  (void)has_dim(&prog->params[first], dim, &at);
  return misfit(g, p,
                "dimension %u is '%s', which is %lld here but %lld in dimension %u of '%s': sizes of one name must be "
                "equal",
                axis, prog->dims[dim].name, (long long)size, (long long)value, at, prog->params[first].name);
}

static hl_status bind_sizes(const guard *g, uint32_t p, const hl_tensor *t, bool *empty) {
  const hlr_program *prog = &g->plan->program;
  const hlr_param *param = &prog->params[p];
  for (uint32_t a = 0; a < param->rank; a++) {
    uint32_t d = param->dims[a];
    int64_t size = t->shape[a], *value = &g->bound->dims[d];
    if (size < 0)
      return misfit(g, p, "dimension %u ('%s') is %lld", a, prog->dims[d].name, (long long)size);
    if (*value == HLR_DYNAMIC)
      *value = size;
    if (*value != size)
      return size_conflict(g, p, a, d, size);
    if (prog->dims[d].multiple > 1 && size % prog->dims[d].multiple != 0)
      return misfit(g, p,
                    "dimension %u ('%s') is %lld, the plan needs a multiple of %lld: pad the tensor or make a plan "
                    "without that assumption",
                    a, prog->dims[d].name, (long long)size, (long long)prog->dims[d].multiple);
    if (size == 0)
      *empty = true;
  }
  return HL_OK;
}

static hl_status check_strides(const guard *g, uint32_t p, const hl_tensor *t) {
  const hlr_param *param = &g->plan->program.params[p];
  int64_t packed = 1; /* the row-major stride, for tensors without an array */
  for (int a = param->rank - 1; a >= 0; a--) {
    int64_t stride = t->strides ? t->strides[a] : packed;
    if (!t->strides && __builtin_mul_overflow(packed, t->shape[a], &packed))
      return misfit(g, p, "its size exceeds the address space");
    if (t->shape[a] == 1)
      continue;
    if (param->written && stride == 0)
      return misfit(g, p, "dimension %d has stride 0, so its elements share memory, but the kernel writes them", a);
    if (param->strides[a] == HLR_DYNAMIC || param->strides[a] == stride)
      continue;
    return misfit(g, p,
                  "the stride of dimension %d is %lld elements, the plan was made for %lld: pass a tensor of that "
                  "layout (a contiguous copy, say) or make a plan for this one",
                  a, (long long)stride, (long long)param->strides[a]);
  }
  return HL_OK;
}

/* The bytes between a tensor's first and last element; false on overflow. */
static bool range_of(const hl_tensor *t, uint32_t element, byte_range *out) {
  int64_t low = 0, high = 0, packed = 1;
  for (int a = t->ndim - 1; a >= 0; a--) {
    int64_t span, stride = t->strides ? t->strides[a] : packed;
    if (__builtin_mul_overflow(t->shape[a] - 1, stride, &span))
      return false;
    if (!t->strides && __builtin_mul_overflow(packed, t->shape[a], &packed))
      return false;
    if (__builtin_add_overflow(span < 0 ? low : high, span, span < 0 ? &low : &high))
      return false;
  }
  uintptr_t base = (uintptr_t)t->data + t->byte_offset;
  if (__builtin_add_overflow(high, 1, &high) || __builtin_mul_overflow(high, (int64_t)element, &high) ||
      __builtin_mul_overflow(low, (int64_t)element, &low))
    return false;
  *out = (byte_range){base + (uintptr_t)low, base + (uintptr_t)high};
  return out->lo <= base && out->hi > base;
}

static hl_status check_memory(const guard *g, uint32_t p, const hl_tensor *t, byte_range *range) {
  const hlr_param *param = &g->plan->program.params[p];
  uintptr_t address = (uintptr_t)t->data + t->byte_offset;
  if (!t->data)
    return misfit(g, p, "the tensor's data is NULL, but it is not empty");
  if (address & (param->align - 1)) /* a power of two */
    return misfit(g, p,
                  "its data (%#llx) is not aligned to %u bytes: use an aligned buffer or make a plan for less "
                  "alignment",
                  (unsigned long long)address, param->align);
  hl_status status = check_strides(g, p, t);
  if (status)
    return status;
  if (!range_of(t, hl_dtype_size(param->dtype), range))
    return misfit(g, p, "its size exceeds the address space");
  return HL_OK;
}

static hl_status check_tensor(const guard *g, uint32_t p, byte_range *range) {
  const hl_arg *arg = &g->args[p];
  if (arg->kind != HL_ARG_TENSOR)
    return misfit(g, p, "the argument is %s, the kernel has a tensor here", kind_text(arg->kind));
  const hl_tensor *t = arg->as.tensor;
  if (!t)
    return misfit(g, p, "the tensor is NULL");
  bool empty = false;
  hl_status status = check_form(g, p, t);
  if (!status)
    status = bind_sizes(g, p, t, &empty);
  if (!status && !empty)
    status = check_memory(g, p, t, range);
  return status;
}

/* ---- overlap ---------------------------------------------------------------------------- */

/* Two tensors whose ranges cross may still share no byte: columns of one matrix, say.
 * This finds the common case: both are rows of equal pitch, and the rows lie side by side. */
static bool side_by_side(const hl_tensor *a, const hl_tensor *b, byte_range ra, byte_range rb, int64_t element) {
  int64_t pitch = 0, inner[2] = {0, 0};
  const hl_tensor *const both[2] = {a, b};
  for (int i = 0; i < 2; i++)
    for (int x = 0; x < both[i]->ndim; x++) {
      int64_t stride = hlr_tensor_stride(both[i], x);
      if (stride < 0)
        return false;
      if (both[i]->shape[x] > 1)
        pitch = HLI_MAX(pitch, stride);
    }
  for (int i = 0; i < 2; i++)
    for (int x = 0; x < both[i]->ndim; x++) {
      int64_t stride = hlr_tensor_stride(both[i], x);
      if (both[i]->shape[x] > 1 && stride != pitch)
        inner[i] += stride * (both[i]->shape[x] - 1);
    }
  if (pitch <= 0 || inner[0] >= pitch || inner[1] >= pitch)
    return false;
  uint64_t period = (uint64_t)(pitch * element);
  uint64_t la = (uint64_t)((inner[0] + 1) * element), lb = (uint64_t)((inner[1] + 1) * element);
  uint64_t gap = rb.lo >= ra.lo ? (rb.lo - ra.lo) % period : (period - (ra.lo - rb.lo) % period) % period;
  return gap >= la && period - gap >= lb;
}

static bool may_share(const hlr_program *prog, uint32_t a, uint32_t b) {
  return (b < 32 && (prog->params[a].may_alias >> b & 1u)) || (a < 32 && (prog->params[b].may_alias >> a & 1u));
}

static hl_status check_pair(const guard *g, uint32_t w, uint32_t q, const byte_range *ranges) {
  const hlr_program *prog = &g->plan->program;
  if (ranges[w].lo >= ranges[q].hi || ranges[q].lo >= ranges[w].hi)
    return HL_OK;
  if (may_share(prog, w, q))
    return HL_OK;
  uint32_t size = hl_dtype_size(prog->params[w].dtype);
  if (size == hl_dtype_size(prog->params[q].dtype) &&
      side_by_side(g->args[w].as.tensor, g->args[q].as.tensor, ranges[w], ranges[q], size))
    return HL_OK;
  return misfit(g, w,
                "it is written, and its bytes [%#llx, %#llx) overlap those of '%s' [%#llx, %#llx): use separate "
                "memory, or declare in the kernel that the two may alias",
                (unsigned long long)ranges[w].lo, (unsigned long long)ranges[w].hi, prog->params[q].name,
                (unsigned long long)ranges[q].lo, (unsigned long long)ranges[q].hi);
}

static hl_status check_overlap(const guard *g, const byte_range *ranges) {
  const hlr_program *prog = &g->plan->program;
  for (uint32_t w = 0; w < prog->param_count; w++) {
    if (!prog->params[w].is_tensor || !prog->params[w].written || ranges[w].lo == ranges[w].hi)
      continue;
    for (uint32_t q = 0; q < prog->param_count; q++) {
      /* Of two written ones the pair is looked at once. */
      if (q == w || ranges[q].lo == ranges[q].hi || (prog->params[q].written && q < w))
        continue;
      hl_status status = check_pair(g, w, q, ranges);
      if (status)
        return status;
    }
  }
  return HL_OK;
}

static hl_status check_workspace(const guard *g, void *workspace, const byte_range *ranges) {
  const hlr_program *prog = &g->plan->program;
  if (!prog->workspace_bytes)
    return HL_OK;
  if (!workspace)
    return hli_fail(g->diag, HL_ERR_GUARD,
                    "kernel '%s' needs a workspace of %llu bytes of device memory: set hl_launch_options.workspace "
                    "(see hl_plan_workspace_size)",
                    prog->name, (unsigned long long)prog->workspace_bytes);
  uintptr_t lo = (uintptr_t)workspace, hi = lo + prog->workspace_bytes;
  if (lo % HLR_DEVICE_ALIGN)
    return hli_fail(g->diag, HL_ERR_GUARD,
                    "kernel '%s': the workspace (%p) is not aligned to %u bytes, as memory of a hl_buffer is",
                    prog->name, workspace, HLR_DEVICE_ALIGN);
  for (uint32_t p = 0; p < prog->param_count; p++)
    if (ranges[p].lo != ranges[p].hi && ranges[p].lo < hi && lo < ranges[p].hi)
      return misfit(g, p, "it overlaps the workspace [%#llx, %#llx): use separate memory", (unsigned long long)lo,
                    (unsigned long long)hi);
  return HL_OK;
}

/* HL_CHECK_FULL. */
static hl_status ask_driver(const guard *g, const byte_range *ranges) {
  const hl_device *dev = g->plan->dev;
  if (!dev->driver->check_pointer)
    return HL_OK;
  for (uint32_t p = 0; p < g->plan->program.param_count; p++) {
    if (ranges[p].lo == ranges[p].hi)
      continue;
    hl_diag inner = {.message = "the driver refused the pointer"};
    hl_status status =
        dev->driver->check_pointer(dev->self, (const void *)ranges[p].lo, ranges[p].hi - ranges[p].lo, &inner);
    if (status)
      return misfit(g, p, "%s", inner.message);
  }
  return HL_OK;
}

/* ---- grids --------------------------------------------------------------------------------- */

static uint64_t blocks_of(uint64_t size, uint32_t block) {
  if (size <= UINT32_MAX) { /* the usual case; 64-bit division is slow on many processors */
    uint32_t narrow = (uint32_t)size;
    return narrow / block + (narrow % block != 0);
  }
  return size / block + (size % block != 0);
}

/* Programs of the grid whose extents begin at *at; moves *at behind them. */
static uint64_t one_grid(const guard *g, const hlr_step *step, uint32_t *at, bool *overflow) {
  uint64_t programs = 1;
  bool over = false, empty = false;
  const uint32_t first = *at;
  for (; *at < step->extent_count && (*at == first || !step->extents[*at].opens); ++*at) {
    const hlr_extent *e = &step->extents[*at];
    int64_t size = e->dim == HLR_DYNAMIC ? e->constant : g->bound->dims[e->dim];
    uint64_t blocks = blocks_of((uint64_t)size, (uint32_t)e->block);
    empty |= blocks == 0; /* whatever the other extents make of it */
    over |= __builtin_mul_overflow(programs, blocks, &programs);
  }
  *overflow |= over && !empty;
  return empty ? 0 : programs;
}

static hl_status bind_grids(const guard *g) {
  const hlr_program *prog = &g->plan->program;
  uint64_t limit = g->plan->dev->driver->max_programs;
  for (uint32_t s = 0; s < prog->step_count; s++) {
    const hlr_step *step = &prog->steps[s];
    uint64_t programs = 0;
    bool overflow = false;
    uint32_t at = 0;
    do
      overflow |= __builtin_add_overflow(programs, one_grid(g, step, &at, &overflow), &programs);
    while (at < step->extent_count);
    if (step->max_programs && (overflow || programs > step->max_programs))
      programs = step->max_programs, overflow = false;
    if (overflow || programs > limit)
      return hli_fail(g->diag, HL_ERR_GUARD,
                      "kernel '%s' would run more than %llu programs, the largest grid of the device: use larger "
                      "blocks or split the call",
                      prog->name, (unsigned long long)limit);
    g->bound->programs[s] = programs;
  }
  return HL_OK;
}

/* Sizes and strides that the kernel takes as 32-bit numbers must be such numbers. */
static hl_status check_narrow(const guard *g) {
  const hlr_program *prog = &g->plan->program;
  for (uint32_t s = 0; s < prog->step_count; s++)
    for (uint32_t i = 0; i < prog->steps[s].slot_count; i++) {
      const hlr_slot *slot = &prog->steps[s].slots[i];
      if (slot->dtype != HL_I32 || slot->source == HLR_SCALAR)
        continue;
      bool is_size = slot->source == HLR_SIZE;
      int64_t value =
          is_size ? g->bound->dims[slot->dim] : hlr_tensor_stride(g->args[slot->param].as.tensor, slot->dim);
      if (value == (int32_t)value)
        continue;
      if (is_size)
        return hli_fail(g->diag, HL_ERR_GUARD,
                        "kernel '%s': dimension '%s' is %lld, the plan counts it in 32 bits: make a plan with 64-bit "
                        "indices",
                        prog->name, prog->dims[slot->dim].name, (long long)value);
      return misfit(
          g, slot->param,
          "the stride of dimension %d is %lld, the plan counts it in 32 bits: make a plan with 64-bit indices",
          (int)slot->dim, (long long)value);
    }
  return HL_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static hl_status wrong_count(const hl_plan *plan, size_t count, hl_diag *diag) {
  const hlr_program *prog = &plan->program;
  char names[256] = "";
  size_t used = 0;
  for (uint32_t p = 0; p < prog->param_count && used < sizeof names; p++)
    used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", p ? ", " : "", prog->params[p].name);
  return hli_fail(diag, HL_ERR_GUARD, "kernel '%s' takes %u arguments (%s), %zu were given", prog->name,
                  prog->param_count, names, count);
}

/* "'M' is 5 (dimension 1 of 'x')" */
static void size_words(const guard *g, uint32_t dim, char *out, size_t room) {
  const hlr_program *prog = &g->plan->program;
  uint32_t p = 0, axis = 0;
  while (p < prog->param_count && !has_dim(&prog->params[p], dim, &axis))
    p++;
  if (p < prog->param_count)
    (void)snprintf(out, room, "'%s' is %lld (dimension %u of '%s')", prog->dims[dim].name,
                   (long long)g->bound->dims[dim], axis, prog->params[p].name);
  else
    (void)snprintf(out, room, "the limit is %lld", (long long)g->bound->dims[dim]);
}

static hl_status check_requires(const guard *g) {
  static const char *const text[] = {"==", "!=", "<", "<=", ">", ">="};
  const hlr_program *prog = &g->plan->program;
  for (uint32_t i = 0; i < prog->require_count; i++) {
    const hlr_require *r = &prog->requires_[i];
    if (hli_sizes_compare(r->compare, g->bound->dims[r->a], g->bound->dims[r->b]))
      continue;
    char first[192], second[192];
    size_words(g, r->a, first, sizeof first);
    size_words(g, r->b, second, sizeof second);
    return hli_fail(g->diag, HL_ERR_GUARD, "kernel '%s' requires %s %s %s, but %s and %s", prog->name,
                    prog->dims[r->a].name, text[r->compare >= HL_EQ && r->compare <= HL_GE ? r->compare - HL_EQ : 0],
                    prog->dims[r->b].name, first, second);
  }
  return HL_OK;
}

typedef struct rule_words {
  const hlr_program *prog;
  char text[256];
} rule_words;

static void put_term(void *ctx, const hli_size_term *leaf, const char *text) {
  rule_words *w = ctx;
  const size_t used = strlen(w->text), room = sizeof w->text - used;
  if (!leaf)
    (void)snprintf(w->text + used, room, "%s", text);
  else if (leaf->kind == HLI_SIZE_CONST)
    (void)snprintf(w->text + used, room, "%lld", (long long)leaf->value);
  else
    (void)snprintf(w->text + used, room, "%s",
                   leaf->kind == HLI_SIZE_DIM ? w->prog->dims[leaf->value].name : w->prog->params[leaf->value].name);
}

/* Dimensions that follow from others and from scalars. */
static hl_status check_rules(const guard *g) {
  const hlr_program *prog = &g->plan->program;
  int64_t scalars[HLR_MAX_PARAMS] = {0}, want;
  hli_size_env env = {g->bound->dims, scalars, 0};
  uint32_t which;
  if (!prog->rule_count)
    return HL_OK;
  for (uint32_t p = 0; p < prog->param_count; p++)
    if (!prog->params[p].is_tensor && g->args[p].kind == HL_ARG_I64)
      scalars[p] = g->args[p].as.i64, env.known |= 1u << p;
  const hli_size_state s =
      hli_sizes_follow(prog->rules, prog->rule_count, prog->terms, &env, g->bound->dims, &which, &want);
  if (s == HLI_SIZE_OK)
    return HL_OK;
  const hli_size_rule *r = &prog->rules[which];
  char given[128];
  rule_words words = {.prog = prog};
  hli_size_write(prog->terms + r->first, r->count, put_term, &words);
  if (s != HLI_SIZE_DIFFERS)
    return hli_fail(g->diag, HL_ERR_GUARD, "kernel '%s': dimension '%s' must be %s, which %s", prog->name,
                    prog->dims[r->dim].name, words.text, hli_size_trouble(s));
  size_words(g, r->dim, given, sizeof given);
  return hli_fail(g->diag, HL_ERR_GUARD, "kernel '%s': %s, but it must be %s = %lld", prog->name, given, words.text,
                  (long long)want);
}

/* HL_CHECK_NONE: the caller vouches for everything that is not needed to go on. */
static void trust_sizes(const guard *g) {
  const hlr_program *prog = &g->plan->program;
  for (uint32_t p = 0; p < prog->param_count; p++)
    for (uint32_t a = 0; prog->params[p].is_tensor && a < prog->params[p].rank; a++)
      g->bound->dims[prog->params[p].dims[a]] = g->args[p].as.tensor->shape[a];
}

static hl_status check_all(const guard *g, hl_check check) {
  const hlr_program *prog = &g->plan->program;
  byte_range ranges[HLR_MAX_PARAMS];
  for (uint32_t p = 0; p < prog->param_count; p++) {
    ranges[p] = (byte_range){0, 0};
    hl_status status = prog->params[p].is_tensor ? check_tensor(g, p, &ranges[p]) : check_scalar(g, p);
    if (status)
      return status;
  }
  hl_status status = check_rules(g);
  if (!status)
    status = check_requires(g);
  if (!status)
    status = check_overlap(g, ranges);
  if (!status)
    status = check_workspace(g, g->bound->workspace, ranges);
  if (!status && g->plan->narrow)
    status = check_narrow(g);
  if (!status && check == HL_CHECK_FULL)
    status = ask_driver(g, ranges);
  return status;
}

hl_status hlr_bind(const hl_plan *plan, const hl_arg *args, size_t arg_count, const hl_launch_options *options,
                   hl_diag *diag, hlr_bound *out) {
  const hlr_program *prog = &plan->program;
  hl_launch_options o = HL_LAUNCH_OPTIONS_INIT;
  if ((options && !hli_struct_take(&o, sizeof o, options)) || (unsigned)o.check > HL_CHECK_NONE)
    return hli_fail(diag, HL_ERR_ARG, "the launch options are not set up: start from HL_LAUNCH_OPTIONS_INIT");
  if (arg_count != prog->param_count)
    return wrong_count(plan, arg_count, diag);
  if (arg_count && !args)
    return hli_fail(diag, HL_ERR_ARG, "kernel '%s': the arguments are NULL", prog->name);

  guard g = {plan, args, diag, out};
  out->workspace = o.workspace;
  for (uint32_t d = 0; d < prog->dim_count; d++)
    out->dims[d] = prog->dims[d].value;
  hl_status status = HL_OK;
  if (o.check == HL_CHECK_NONE)
    trust_sizes(&g);
  else
    status = check_all(&g, o.check);
  return status ? status : bind_grids(&g);
}
