/* layout_query.c: questions about layouts: sizes, coordinates, validity, conversions. */
#include "src/ir/layout_ops.h"

static uint32_t unit_size(const hli_layout *l, hli_unit unit) {
  uint32_t n = 1u << (unit == HLI_UNIT_REG ? l->reg_bits : unit == HLI_UNIT_LANE ? l->lane_bits : l->warp_bits);
  for (uint32_t i = 0; i < l->repeats && unit != HLI_UNIT_LANE; i++)
    if ((l->repeat[i].over_warps != 0) == (unit == HLI_UNIT_WARP))
      n *= l->repeat[i].count;
  return n;
}

uint32_t hli_layout_registers(const hli_layout *l) {
  return unit_size(l, HLI_UNIT_REG);
}
uint32_t hli_layout_lanes(const hli_layout *l) {
  return unit_size(l, HLI_UNIT_LANE);
}
uint32_t hli_layout_warps(const hli_layout *l) {
  return unit_size(l, HLI_UNIT_WARP);
}

static void or_extent(const hli_layout_vec *v, uint32_t n, uint32_t rank, int64_t *out) {
  for (uint32_t b = 0; b < n; b++)
    for (uint32_t d = 0; d < rank; d++)
      if (v[b].c[d])
        out[d] = HLI_MAX(out[d], 2 * (int64_t)v[b].c[d]);
}

void hli_layout_extent(const hli_layout *l, int64_t out[HLI_LAYOUT_RANK]) {
  for (uint32_t d = 0; d < HLI_LAYOUT_RANK; d++)
    out[d] = 1;
  or_extent(l->reg, l->reg_bits, l->rank, out);
  or_extent(l->lane, l->lane_bits, l->rank, out);
  or_extent(l->warp, l->warp_bits, l->rank, out);
  for (uint32_t i = 0; i < l->repeats; i++)
    if (l->repeat[i].dim < l->rank)
      out[l->repeat[i].dim] *= l->repeat[i].count;
}

static void xor_bits(const hli_layout_vec *v, uint32_t n, uint32_t number, uint32_t rank, int32_t *out) {
  for (uint32_t b = 0; b < n; b++)
    for (uint32_t d = 0; d < rank && ((number >> b) & 1); d++)
      out[d] ^= v[b].c[d];
}

void hli_layout_coords(const hli_layout *l, uint32_t reg, uint32_t lane, uint32_t warp, int32_t out[HLI_LAYOUT_RANK]) {
  int64_t extent[HLI_LAYOUT_RANK];
  for (uint32_t d = 0; d < HLI_LAYOUT_RANK; d++)
    out[d] = 0, extent[d] = 1;
  xor_bits(l->reg, l->reg_bits, reg, l->rank, out);
  xor_bits(l->lane, l->lane_bits, lane, l->rank, out);
  xor_bits(l->warp, l->warp_bits, warp, l->rank, out);
  or_extent(l->reg, l->reg_bits, l->rank, extent);
  or_extent(l->lane, l->lane_bits, l->rank, extent);
  or_extent(l->warp, l->warp_bits, l->rank, extent);
  uint32_t rest[2] = {reg >> l->reg_bits, warp >> l->warp_bits};
  for (uint32_t i = 0; i < l->repeats; i++) {
    const hli_layout_repeat *r = &l->repeat[i];
    uint32_t *number = &rest[r->over_warps != 0];
    if (r->dim < l->rank) {
      out[r->dim] += (int32_t)(*number % r->count * extent[r->dim]);
      extent[r->dim] *= r->count;
    }
    *number /= r->count;
  }
}

bool hli_layout_equal(const hli_layout *a, const hli_layout *b) {
  hli_digits x, y;
  if (a->kind != b->kind || a->rank != b->rank)
    return false;
  if (a->kind != 0)
    return a->sw_vec == b->sw_vec && a->sw_shift == b->sw_shift && a->sw_mask == b->sw_mask && a->sw_pad == b->sw_pad;
  if (!hli_layout_digits(a, &x) || !hli_layout_digits(b, &y) || x.n != y.n)
    return false;
  for (uint32_t i = 0; i < x.n; i++)
    if (x.d[i].unit != y.d[i].unit || x.d[i].dim != y.d[i].dim || x.d[i].radix != y.d[i].radix ||
        x.d[i].weight != y.d[i].weight || x.d[i].stride != y.d[i].stride)
      return false;
  return true;
}

bool hli_layout_valid(const hli_layout *l, const int64_t *shape, uint32_t rank) {
  hli_digits all;
  int64_t covered[HLI_LAYOUT_RANK] = {1, 1, 1, 1};
  if (l->rank != rank || !hli_layout_digits(l, &all))
    return false;
  /* Digits of a dimension, by ascending stride, must be a mixed-radix number that counts to the size. */
  for (uint32_t placed = 0; placed < all.n;) {
    const uint32_t before = placed;
    for (uint32_t i = 0; i < all.n; i++) {
      hli_digit *d = &all.d[i];
      if (d->radix == 0)
        continue;
      if (d->dim < 0 ? d->unit == HLI_UNIT_REG : d->stride != covered[d->dim]) {
        if (d->dim < 0)
          return false;
        continue;
      }
      if (d->dim >= 0)
        covered[d->dim] *= d->radix;
      d->radix = 0;
      placed++;
    }
    if (placed == before)
      return false;
  }
  for (uint32_t d = 0; d < rank; d++)
    if (covered[d] != shape[d])
      return false;
  return true;
}

int32_t hli_layout_find(const hli_layout *l, const int32_t *coords) {
  hli_digits all;
  uint32_t reg = 0;
  if (!hli_layout_digits(l, &all))
    return -1;
  for (uint32_t i = 0; i < all.n; i++) {
    const hli_digit *d = &all.d[i];
    if (d->dim < 0)
      continue;
    const uint32_t digit = (uint32_t)(coords[d->dim] / d->stride) % d->radix;
    if (d->unit == HLI_UNIT_REG)
      reg += digit * d->weight;
    else if (digit)
      return -1;
  }
  return (int32_t)reg;
}

uint32_t hli_layout_vector(const hli_layout *l, uint32_t dim) {
  hli_digits all;
  uint32_t n = 1;
  if (!hli_layout_digits(l, &all))
    return 1;
  for (uint32_t i = 0; i < all.n; i++) {
    const hli_digit *d = &all.d[i];
    if (d->unit != HLI_UNIT_REG || d->dim != (int)dim || d->stride != (int32_t)n || d->radix != 2 || d->weight != n)
      break;
    n *= 2;
  }
  return n;
}

uint32_t hli_layout_warps_along(const hli_layout *l, uint32_t dim) {
  hli_digits all;
  uint32_t n = 1;
  if (!hli_layout_digits(l, &all))
    return 1;
  for (uint32_t i = 0; i < all.n; i++)
    if (all.d[i].unit == HLI_UNIT_WARP && all.d[i].dim == (int)dim)
      n *= all.d[i].radix;
  return n;
}

hli_convert_kind hli_layout_convert(const hli_layout *src, const hli_layout *dst, uint32_t *rounds) {
  hli_digits s, d;
  uint32_t n = 1;
  bool renamed = false, moved = false;
  if (rounds)
    *rounds = 0;
  if (hli_layout_equal(src, dst))
    return HLI_CONVERT_SAME;
  if (!hli_layout_digits(src, &s) || !hli_layout_digits(dst, &d) || hli_layout_warps(src) != hli_layout_warps(dst))
    return HLI_CONVERT_SHARED;
  for (uint32_t i = 0; i < s.n; i++) {
    if (s.d[i].dim < 0)
      continue;
    const hli_digit *to = hli_digits_find(&d, s.d[i].dim, s.d[i].stride, s.d[i].radix);
    if (!to)
      return HLI_CONVERT_SHARED;
    const bool same = to->unit == s.d[i].unit && to->weight == s.d[i].weight;
    if (s.d[i].unit == HLI_UNIT_WARP && !same)
      return HLI_CONVERT_SHARED;
    if (s.d[i].unit == HLI_UNIT_LANE && !same)
      moved = true;
    if (s.d[i].unit == HLI_UNIT_REG && to->unit != HLI_UNIT_REG)
      moved = true, n *= s.d[i].radix;
    renamed |= !same;
  }
  if (rounds)
    *rounds = moved ? n : 0;
  return moved ? HLI_CONVERT_SHUFFLE : renamed ? HLI_CONVERT_RENAME : HLI_CONVERT_SAME;
}
