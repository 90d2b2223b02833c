/* layout.c: layouts as lists of digits, and building one layout out of another.
 *
 *   f32[4, 128] over 2 warps, 4 neighbours a thread:  put(reg, 1, 4) put(lane, 1, 32) put(warp, 0, 2) put(reg, 0, 2)
 *   digits: reg 1 -> (0,1)  reg 2 -> (0,2)  reg 4 -> (2,0)  lane 1 -> (0,4) ... lane 16 -> (0,64)  warp 1 -> (1,0) */
#include "src/ir/layout_ops.h"

/* ---- digits ------------------------------------------------------------------------ */

/* Dimension and stride of a basis vector; dim -1 for a copy.  False: more than one coordinate bit. */
static bool vec_digit(const hli_layout_vec *v, uint32_t rank, hli_digit *d) {
  d->dim = -1;
  d->stride = 0;
  for (uint32_t i = 0; i < rank; i++) {
    if (v->c[i] == 0)
      continue;
    if (d->dim >= 0 || v->c[i] < 0 || !hli_is_pow2((uint64_t)v->c[i]))
      return false;
    d->dim = (int8_t)i;
    d->stride = v->c[i];
  }
  return true;
}

static bool push_bits(const hli_layout *l, hli_unit unit, hli_digits *out) {
  const hli_layout_vec *v = unit == HLI_UNIT_REG ? l->reg : unit == HLI_UNIT_LANE ? l->lane : l->warp;
  const uint32_t n = unit == HLI_UNIT_REG ? l->reg_bits : unit == HLI_UNIT_LANE ? l->lane_bits : l->warp_bits;
  for (uint32_t b = 0; b < n; b++) {
    hli_digit d = {.unit = (uint8_t)unit, .radix = 2, .weight = 1u << b};
    if (!vec_digit(&v[b], l->rank, &d))
      return false;
    out->d[out->n++] = d;
  }
  return true;
}

/* A repeat as digits of 2 and then one odd digit. */
static bool push_repeat(const hli_layout *l, uint32_t i, hli_unit unit, uint32_t weight, int64_t stride,
                        hli_digits *out) {
  uint32_t left = l->repeat[i].count;
  const int8_t dim = l->repeat[i].dim < l->rank ? (int8_t)l->repeat[i].dim : -1;
  while (left > 1) {
    const uint32_t radix = left % 2 == 0 ? 2 : left;
    if (out->n == HLI_LAYOUT_DIGITS || stride > INT32_MAX / 2)
      return false;
    out->d[out->n++] = (hli_digit){.unit = (uint8_t)unit,
                                   .dim = dim,
                                   .radix = (uint16_t)radix,
                                   .weight = weight,
                                   .stride = dim < 0 ? 0 : (int32_t)stride};
    weight *= radix;
    stride *= radix;
    left /= radix;
  }
  return true;
}

static void atom_extent(const hli_digits *bits, int64_t extent[HLI_LAYOUT_RANK]) {
  for (uint32_t d = 0; d < HLI_LAYOUT_RANK; d++)
    extent[d] = 1;
  for (uint32_t i = 0; i < bits->n; i++)
    if (bits->d[i].dim >= 0)
      extent[bits->d[i].dim] = HLI_MAX(extent[bits->d[i].dim], 2 * (int64_t)bits->d[i].stride);
}

/* Appends the repeats over one unit; every repeat moves the extents. */
static bool push_repeats(const hli_layout *l, hli_unit unit, const int64_t atom[HLI_LAYOUT_RANK], hli_digits *out) {
  int64_t extent[HLI_LAYOUT_RANK];
  uint32_t weight = 1u << (unit == HLI_UNIT_REG ? l->reg_bits : l->warp_bits);
  memcpy(extent, atom, sizeof extent);
  for (uint32_t i = 0; i < l->repeats; i++) {
    const hli_layout_repeat *r = &l->repeat[i];
    const bool has_dim = r->dim < l->rank;
    if ((r->over_warps != 0) == (unit == HLI_UNIT_WARP)) {
      if (!push_repeat(l, i, unit, weight, has_dim ? extent[r->dim] : 0, out))
        return false;
      weight *= r->count;
    }
    if (has_dim)
      extent[r->dim] *= r->count;
  }
  return true;
}

bool hli_layout_digits(const hli_layout *l, hli_digits *out) {
  int64_t atom[HLI_LAYOUT_RANK];
  hli_digits bits = {0};
  out->n = 0;
  if (l->kind != 0)
    return false;
  for (int u = HLI_UNIT_REG; u < HLI_UNITS; u++)
    if (!push_bits(l, (hli_unit)u, &bits))
      return false;
  atom_extent(&bits, atom);
  return push_bits(l, HLI_UNIT_REG, out) && push_repeats(l, HLI_UNIT_REG, atom, out) &&
         push_bits(l, HLI_UNIT_LANE, out) && push_bits(l, HLI_UNIT_WARP, out) &&
         push_repeats(l, HLI_UNIT_WARP, atom, out);
}

const hli_digit *hli_digits_find(const hli_digits *l, int dim, int32_t stride, uint32_t radix) {
  for (uint32_t i = 0; i < l->n; i++)
    if (l->d[i].dim == dim && l->d[i].stride == stride && l->d[i].radix == radix)
      return &l->d[i];
  return NULL;
}

/* ---- building ------------------------------------------------------------------------- */

void hli_layout_clear(hli_layout *l, uint32_t rank) {
  memset(l, 0, sizeof *l);
  l->rank = (uint8_t)rank;
}

static bool push_vec(hli_layout *l, hli_unit unit, const hli_layout_vec *v) {
  if (unit == HLI_UNIT_REG && l->reg_bits < HLI_LAYOUT_REG_BITS)
    return l->reg[l->reg_bits++] = *v, true;
  if (unit == HLI_UNIT_LANE && l->lane_bits < HLI_LAYOUT_LANE_BITS)
    return l->lane[l->lane_bits++] = *v, true;
  if (unit == HLI_UNIT_WARP && l->warp_bits < HLI_LAYOUT_WARP_BITS)
    return l->warp[l->warp_bits++] = *v, true;
  return false;
}

/* May a bit still be added behind the bits: repeats of this dimension or unit come after all bits. */
static bool takes_bits(const hli_layout *l, hli_unit unit, int dim) {
  for (uint32_t i = 0; i < l->repeats; i++)
    if ((dim >= 0 && l->repeat[i].dim == dim) || (l->repeat[i].over_warps != 0) == (unit == HLI_UNIT_WARP))
      return false;
  return true;
}

static bool push_count(hli_layout *l, hli_unit unit, int dim, uint32_t count) {
  if (unit == HLI_UNIT_LANE || l->repeats == HLI_LAYOUT_REPEATS || count > UINT16_MAX)
    return false;
  l->repeat[l->repeats++] = (hli_layout_repeat){
      .dim = dim < 0 ? 255 : (uint8_t)dim, .over_warps = unit == HLI_UNIT_WARP, .count = (uint16_t)count};
  return true;
}

bool hli_layout_put(hli_layout *l, hli_unit unit, int dim, uint32_t count) {
  int64_t extent[HLI_LAYOUT_RANK];
  if (unit == HLI_UNIT_REG && dim < 0)
    return count == 1;
  while (count % 2 == 0 && takes_bits(l, unit, dim)) {
    hli_layout_vec v = {{0}};
    hli_layout_extent(l, extent);
    if (dim >= 0 && extent[dim] > INT16_MAX / 2 + 1)
      break;
    if (dim >= 0)
      v.c[dim] = (int16_t)extent[dim];
    if (!push_vec(l, unit, &v))
      break;
    count /= 2;
  }
  return count <= 1 || push_count(l, unit, dim, count);
}

/* The largest power of two that divides n, at most `limit` (a power of two). */
static uint32_t pow2_part(int64_t n, uint32_t limit) {
  uint32_t p = 1;
  while (p < limit && n % (2 * (int64_t)p) == 0)
    p *= 2;
  return p;
}

/* Spreads `count` (a power of two) lanes or warps over the dimensions of `pick`, in that order. */
static bool spread(hli_layout *l, hli_unit unit, uint32_t *count, const uint8_t *pick, uint32_t n, int64_t *left) {
  for (uint32_t i = 0; i<n && * count> 1; i++) {
    const uint32_t take = pow2_part(left[pick[i]], *count);
    if (!hli_layout_put(l, unit, pick[i], take))
      return false;
    left[pick[i]] /= take;
    *count /= take;
  }
  return true;
}

bool hli_layout_blocked(const hli_blocked *b, hli_layout *out) {
  int64_t left[HLI_LAYOUT_RANK];
  uint8_t pick[HLI_LAYOUT_RANK];
  uint32_t n = 0, lanes = b->lanes, warps = b->warps;
  if (b->rank > HLI_LAYOUT_RANK || !hli_is_pow2(b->lanes) || !hli_is_pow2(b->warps))
    return false;
  hli_layout_clear(out, b->rank);
  memcpy(left, b->shape, sizeof left);
  if (b->rank) {
    const uint32_t vec = pow2_part(left[b->order[0]], b->vec);
    if (!hli_layout_put(out, HLI_UNIT_REG, b->order[0], vec))
      return false;
    left[b->order[0]] /= vec;
  }
  bool ok =
      spread(out, HLI_UNIT_LANE, &lanes, b->order, b->rank, left) && hli_layout_put(out, HLI_UNIT_LANE, -1, lanes);
  for (uint32_t pass = 0; pass < 2; pass++)
    for (uint32_t i = b->rank; i-- > 0;)
      if (((b->reduced >> b->order[i]) & 1) == pass)
        pick[n++] = b->order[i];
  ok = ok && spread(out, HLI_UNIT_WARP, &warps, pick, n, left) && hli_layout_put(out, HLI_UNIT_WARP, -1, warps);
  for (uint32_t i = 0; i < b->rank && ok; i++)
    ok = left[b->order[i]] <= UINT16_MAX && hli_layout_put(out, HLI_UNIT_REG, b->order[i], (uint32_t)left[b->order[i]]);
  return ok;
}

/* ---- maps ------------------------------------------------------------------------------- */

static hli_layout_vec map_vec(const hli_layout_vec *v, const int8_t *map, uint32_t rank, bool *zero) {
  hli_layout_vec r = {{0}};
  *zero = true;
  for (uint32_t d = 0; d < rank; d++)
    if (v->c[d] && map[d] >= 0)
      r.c[map[d]] = v->c[d], *zero = false;
  return r;
}

bool hli_layout_map(const hli_layout *l, const int8_t *map, uint32_t new_rank, hli_layout *out) {
  hli_layout r;
  bool zero;
  if (new_rank > HLI_LAYOUT_RANK || l->kind != 0)
    return false;
  hli_layout_clear(&r, new_rank);
  for (uint32_t b = 0; b < l->reg_bits; b++) {
    hli_layout_vec v = map_vec(&l->reg[b], map, l->rank, &zero);
    if (!zero)
      r.reg[r.reg_bits++] = v;
  }
  r.lane_bits = l->lane_bits;
  for (uint32_t b = 0; b < l->lane_bits; b++)
    r.lane[b] = map_vec(&l->lane[b], map, l->rank, &zero);
  r.warp_bits = l->warp_bits;
  for (uint32_t b = 0; b < l->warp_bits; b++)
    r.warp[b] = map_vec(&l->warp[b], map, l->rank, &zero);
  for (uint32_t i = 0; i < l->repeats; i++) {
    const hli_layout_repeat *rep = &l->repeat[i];
    const int to = rep->dim < l->rank ? map[rep->dim] : -1;
    if (to >= 0 || rep->over_warps)
      r.repeat[r.repeats++] = (hli_layout_repeat){to < 0 ? 255 : (uint8_t)to, rep->over_warps, rep->count};
  }
  *out = r;
  return true;
}

bool hli_layout_slice(const hli_layout *l, uint32_t dropped_dims, hli_layout *out) {
  int8_t map[HLI_LAYOUT_RANK];
  uint32_t n = 0;
  for (uint32_t d = 0; d < l->rank; d++)
    map[d] = (dropped_dims >> d) & 1 ? -1 : (int8_t)n++;
  return hli_layout_map(l, map, n, out);
}

bool hli_layout_partial(const hli_layout *l, uint32_t dim, hli_layout *out) {
  hli_digits all;
  int8_t map[HLI_LAYOUT_RANK];
  if (!hli_layout_digits(l, &all))
    return false;
  for (uint32_t d = 0; d < l->rank; d++)
    map[d] = d == dim ? -1 : (int8_t)d;
  if (!hli_layout_map(l, map, l->rank, out))
    return false;
  /* The warps' bits along dim come back with strides 1, 2, 4 ... in the order of their strides. */
  int32_t next = 1, last = 0;
  for (;;) {
    const hli_digit *best = NULL;
    for (uint32_t i = 0; i < all.n; i++)
      if (all.d[i].unit == HLI_UNIT_WARP && all.d[i].dim == (int)dim && all.d[i].stride > last &&
          (!best || all.d[i].stride < best->stride))
        best = &all.d[i];
    if (!best)
      return true;
    if (best->radix != 2 || best->weight >= 1u << l->warp_bits)
      return false;
    out->warp[hli_log2(best->weight)].c[dim] = (int16_t)next;
    next *= 2;
    last = best->stride;
  }
}

bool hli_layout_widen(const hli_layout *l, uint32_t dim, uint32_t count, hli_layout *out) {
  hli_layout r;
  hli_layout_clear(&r, l->rank);
  if (!hli_layout_put(&r, HLI_UNIT_REG, (int)dim, count))
    return false;
  if (r.reg_bits + l->reg_bits > HLI_LAYOUT_REG_BITS || r.repeats + l->repeats > HLI_LAYOUT_REPEATS)
    return false;
  memcpy(&r.reg[r.reg_bits], l->reg, l->reg_bits * sizeof l->reg[0]);
  r.reg_bits = (uint8_t)(r.reg_bits + l->reg_bits);
  memcpy(r.lane, l->lane, sizeof r.lane);
  memcpy(r.warp, l->warp, sizeof r.warp);
  r.lane_bits = l->lane_bits;
  r.warp_bits = l->warp_bits;
  for (uint32_t i = 0; i < l->repeats; i++)
    r.repeat[r.repeats++] = l->repeat[i];
  *out = r;
  return true;
}

bool hli_layout_dot_operand(const hli_layout *acc, uint32_t which, uint32_t k, hli_layout *out) {
  const int8_t map[2] = {which == 0 ? 0 : -1, which == 0 ? -1 : 1};
  hli_layout m;
  if (acc->rank != 2 || !hli_layout_map(acc, map, 2, &m))
    return false;
  if (which == 0)
    return hli_layout_widen(&m, 1, k, out);
  *out = m;
  return hli_layout_put(out, HLI_UNIT_REG, 0, k);
}
