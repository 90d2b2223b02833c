/* place.c: layouts to places.  Written from the description in layout.h and from nothing else, so that it
 * judges the layout arithmetic of the passes instead of sharing it. SPDX-License-Identifier: MIT */
#include "src/ir/interp/place.h"

struct hli_place_entry {
  struct hli_place_entry *next;
  uint32_t layout, rank;
  int64_t size[HL_MAX_RANK];
  hli_iplace place;
};

static uint32_t add_bits(int64_t *c, const hli_layout *l, const hli_layout_vec *basis, uint32_t bits, uint32_t number) {
  for (uint32_t b = 0; b < bits; b++)
    for (uint32_t d = 0; d < l->rank && (number >> b & 1); d++)
      c[d] ^= basis[b].c[d];
  return number >> bits;
}

/* The atom's size along each dimension: it fills a power of two. */
static void atom_size(const hli_layout *l, int64_t *extent) {
  int64_t all[HLI_LAYOUT_RANK] = {0};
  for (uint32_t d = 0; d < l->rank; d++) {
    for (uint32_t b = 0; b < l->reg_bits; b++)
      all[d] |= l->reg[b].c[d];
    for (uint32_t b = 0; b < l->lane_bits; b++)
      all[d] |= l->lane[b].c[d];
    for (uint32_t b = 0; b < l->warp_bits; b++)
      all[d] |= l->warp[b].c[d];
    extent[d] = all[d] + 1;
  }
}

static void coordinate(const hli_layout *l, uint32_t warp, uint32_t lane, uint32_t reg, int64_t *c) {
  int64_t extent[HLI_LAYOUT_RANK] = {0};
  memset(c, 0, HL_MAX_RANK * sizeof *c);
  (void)add_bits(c, l, l->lane, l->lane_bits, lane);
  uint32_t reg_digits = add_bits(c, l, l->reg, l->reg_bits, reg);
  uint32_t warp_digits = add_bits(c, l, l->warp, l->warp_bits, warp);
  atom_size(l, extent);
  for (uint32_t i = 0; i < l->repeats; i++) {
    const hli_layout_repeat *r = &l->repeat[i];
    uint32_t *digits = r->over_warps ? &warp_digits : &reg_digits;
    if (r->dim < l->rank) { /* else it counts copies */
      c[r->dim] += (int64_t)(*digits % r->count) * extent[r->dim];
      extent[r->dim] *= r->count;
    }
    *digits /= r->count;
  }
}

static hl_status layout_counts(hli_machine *m, hli_op op, uint32_t id, const hli_layout *l, uint32_t rank,
                               uint32_t *regs) {
  uint32_t warps = 1u << l->warp_bits;
  *regs = 1u << l->reg_bits;
  bool sane = l->kind == 0 && l->rank == rank && l->rank <= HLI_LAYOUT_RANK && l->reg_bits <= HLI_LAYOUT_REG_BITS &&
              l->lane_bits <= HLI_LAYOUT_LANE_BITS && l->warp_bits <= HLI_LAYOUT_WARP_BITS &&
              l->repeats <= HLI_LAYOUT_REPEATS;
  for (uint32_t i = 0; sane && i < l->repeats; i++) {
    sane = l->repeat[i].count > 0 && *regs < 1u << 16 && warps < 1u << 16;
    *(l->repeat[i].over_warps ? &warps : regs) *= l->repeat[i].count;
  }
  if (!sane)
    return hli_machine_fail(m, HL_ERR_BUILD, op, "layout #%u is no distribution of a value of rank %u", id, rank);
  if (warps != m->threads / m->warp_size || 1u << l->lane_bits != m->warp_size)
    return hli_machine_fail(m, HL_ERR_BUILD, op,
                            "layout #%u is for %u warps of %u lanes, the kernel has %u warps of %u", id, warps,
                            1u << l->lane_bits, m->threads / m->warp_size, m->warp_size);
  return HL_OK;
}

static hl_status fill(hli_machine *m, hli_op op, const struct hli_place_entry *e, const hli_layout *l,
                      unsigned char *seen, int64_t count) {
  int64_t c[HL_MAX_RANK];
  char text[256];
  for (uint32_t t = 0; t < e->place.threads; t++)
    for (uint32_t r = 0; r < e->place.regs; r++) {
      coordinate(l, t / m->warp_size, t % m->warp_size, r, c);
      for (uint32_t d = 0; d < e->rank; d++)
        if (c[d] < 0 || c[d] >= e->size[d])
          return hli_machine_fail(m, HL_ERR_BUILD, op,
                                  "layout #%u puts register %u of thread %u at %s, outside the value", e->layout, r, t,
                                  hli_coord_text(text, sizeof text, c, e->rank));
      const int64_t at = hli_row_major(c, e->size, e->rank);
      e->place.at[(size_t)t * e->place.regs + r] = (int32_t)at;
      seen[at] = 1;
    }
  for (int64_t i = 0; i < count; i++)
    if (!seen[i])
      return hli_machine_fail(m, HL_ERR_BUILD, op, "layout #%u does not hold element %lld (row-major)", e->layout,
                              (long long)i);
  return HL_OK;
}

static hl_status build(hli_machine *m, hli_op op, struct hli_place_entry *e) {
  const hli_layout *l = &m->k->layouts.data[e->layout];
  int64_t count = 1;
  for (uint32_t d = 0; d < e->rank; d++)
    count *= e->size[d];
  hl_status s = layout_counts(m, op, e->layout, l, e->rank, &e->place.regs);
  if (s)
    return s;
  e->place.threads = m->threads;
  e->place.at = hli_calloc(m->alloc, (size_t)m->threads * e->place.regs, sizeof *e->place.at);
  unsigned char *seen = hli_calloc(m->alloc, (size_t)count, 1);
  s = e->place.at && seen ? fill(m, op, e, l, seen, count) : hli_machine_no_memory(m);
  hli_release(m->alloc, seen, (size_t)count);
  return s;
}

hl_status hli_place_of(hli_machine *m, hli_op op, uint32_t layout, const int64_t *size, uint32_t rank,
                       const hli_iplace **out) {
  if (!layout || layout >= m->k->layouts.len)
    return hli_machine_fail(m, HL_ERR_BUILD, op, "a value with a shape has no layout");
  for (struct hli_place_entry *e = m->places; e; e = e->next)
    if (e->layout == layout && e->rank == rank && !memcmp(e->size, size, rank * sizeof *size)) {
      *out = &e->place;
      return HL_OK;
    }
  struct hli_place_entry *e = hli_calloc(m->alloc, 1, sizeof *e);
  if (!e)
    return hli_machine_no_memory(m);
  e->layout = layout;
  e->rank = rank;
  memcpy(e->size, size, rank * sizeof *size);
  e->next = m->places;
  m->places = e;
  *out = &e->place;
  return build(m, op, e); /* after a failure the run ends */
}

hl_status hli_place_of_value(hli_machine *m, hli_op op, hli_value v, const hli_iplace **out) {
  static const hli_iplace scalar = {0};
  const hli_ival *x = &m->values[v];
  *out = &scalar;
  return x->rank ? hli_place_of(m, op, hli_type_of(m->k, v)->layout, x->size, x->rank, out) : HL_OK;
}

void hli_places_free(hli_machine *m) {
  while (m->places) {
    struct hli_place_entry *e = m->places;
    m->places = e->next;
    hli_release(m->alloc, e->place.at, (size_t)e->place.threads * e->place.regs * sizeof *e->place.at);
    hli_release(m->alloc, e, sizeof *e);
  }
}
