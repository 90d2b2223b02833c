/* layout_shared.c: where the elements of a shared buffer lie, and the swizzle that keeps the 32 banks
 * of 4 bytes free of conflicts.
 *
 * A swizzle is judged by counting: a warp's access is done in phases (16-byte accesses 8 lanes at a
 * time, 8-byte ones 16, narrower ones all 32), and a phase costs as many wavefronts as the busiest bank
 * has different words. */
#include "src/ir/layout_ops.h"

int64_t hli_swizzle_offset(const hli_layout *sw, const int64_t *shape, uint32_t rank, const int32_t *coords) {
  int64_t row = 0;
  if (rank == 0)
    return 0;
  for (uint32_t d = 0; d + 1 < rank; d++)
    row = row * shape[d] + coords[d];
  int64_t col = coords[rank - 1];
  col ^= ((row >> sw->sw_shift) & sw->sw_mask) << sw->sw_vec;
  return row * (shape[rank - 1] + sw->sw_pad) + col;
}

int64_t hli_swizzle_size(const hli_layout *sw, const int64_t *shape, uint32_t rank) {
  int64_t rows = 1;
  if (rank == 0)
    return 1;
  for (uint32_t d = 0; d + 1 < rank; d++)
    rows *= shape[d];
  return rows * (shape[rank - 1] + sw->sw_pad);
}

static bool digit_is(const hli_digits *all, hli_unit unit, uint32_t weight, int dim, int32_t stride) {
  for (uint32_t i = 0; i < all->n; i++)
    if (all->d[i].unit == unit && all->d[i].weight == weight)
      return all->d[i].dim == dim && all->d[i].stride == stride && all->d[i].radix == 2;
  return false;
}

bool hli_layout_ldmatrix(const hli_layout *l, const uint8_t *perm, hli_ldmatrix *out) {
  hli_digits all;
  if (l->rank != 2 || l->lane_bits != 5 || !hli_layout_digits(l, &all) || all.n == 0)
    return false;
  const int pair = all.d[0].dim, other = 1 - pair;
  if (pair < 0 || !digit_is(&all, HLI_UNIT_REG, 1, pair, 1))
    return false;
  for (uint32_t b = 0; b < 2; b++)
    if (!digit_is(&all, HLI_UNIT_LANE, 1u << b, pair, 2 << b))
      return false;
  for (uint32_t b = 2; b < 5; b++)
    if (!digit_is(&all, HLI_UNIT_LANE, 1u << b, other, 1 << (b - 2)))
      return false;
  const bool pair_is_column = (perm ? perm[pair] : (uint32_t)pair) == 1;
  *out = (hli_ldmatrix){.count = 1, .trans = !pair_is_column};
  out->row = (uint8_t)(pair_is_column ? other : pair);
  out->col = (uint8_t)(pair_is_column ? pair : other);
  for (uint32_t i = 1; i < all.n && out->count < 4; i++) {
    if (all.d[i].unit != HLI_UNIT_REG || all.d[i].radix != 2)
      break;
    out->digit[out->count / 2] = all.d[i];
    out->count *= 2;
  }
  return true;
}

/* ---- counting wavefronts ------------------------------------------------------------ */

#define SAMPLES 16 /* instructions looked at */

/* The buffer coordinates of every address of an access. */
typedef struct pattern {
  uint32_t instructions, lanes, bytes; /* addresses per instruction; bytes of one */
  int32_t at[SAMPLES][32][HLI_LAYOUT_RANK];
} pattern;

static void to_buffer(const int32_t *value, const uint8_t *perm, uint32_t rank, int32_t *buffer) {
  for (uint32_t d = 0; d < rank; d++)
    buffer[perm ? perm[d] : d] = value[d];
}

static void matrix_pattern(const hli_ldmatrix *m, const hli_shared_use *use, pattern *p) {
  const uint32_t regs = hli_layout_registers(use->layout);
  int32_t base[HLI_LAYOUT_RANK];
  p->bytes = 16;
  p->lanes = 8;
  for (uint32_t r = 0; r < regs && p->instructions < SAMPLES; r += 2) {
    hli_layout_coords(use->layout, r, 0, 0, base);
    for (uint32_t i = 0; i < 8; i++) {
      int32_t c[HLI_LAYOUT_RANK] = {base[0], base[1]};
      c[m->row] += (int32_t)i;
      to_buffer(c, use->perm, 2, p->at[p->instructions][i]);
    }
    p->instructions++;
  }
}

static void plain_pattern(const hli_shared_use *use, uint32_t rank, uint32_t element_bytes, pattern *p) {
  const uint32_t regs = hli_layout_registers(use->layout), lanes = HLI_MIN(hli_layout_lanes(use->layout), 32u);
  uint32_t last = 0;
  for (uint32_t d = 0; d < rank; d++)
    if ((use->perm ? use->perm[d] : d) == rank - 1)
      last = d;
  uint32_t vec = rank ? hli_layout_vector(use->layout, last) : 1;
  while (vec > 1 && vec * element_bytes > 16)
    vec /= 2;
  p->bytes = vec * element_bytes;
  p->lanes = lanes;
  for (uint32_t r = 0; r < regs && p->instructions < SAMPLES; r += vec) {
    for (uint32_t i = 0; i < lanes; i++) {
      int32_t c[HLI_LAYOUT_RANK];
      hli_layout_coords(use->layout, r, i, 0, c);
      to_buffer(c, use->perm, rank, p->at[p->instructions][i]);
    }
    p->instructions++;
  }
}

static void make_pattern(const hli_shared_use *use, uint32_t rank, uint32_t element_bytes, pattern *p) {
  hli_ldmatrix m;
  p->instructions = 0;
  if (use->matrix && element_bytes == 2 && rank == 2 && hli_layout_ldmatrix(use->layout, use->perm, &m))
    matrix_pattern(&m, use, p);
  else
    plain_pattern(use, rank, element_bytes, p);
}

/* Different words in the busiest bank. */
static uint32_t phase_cost(const int64_t *word, uint32_t n, uint32_t words_each) {
  int64_t seen[32][32];
  uint32_t count[32] = {0}, worst = 1;
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t w = 0; w < words_each; w++) {
      const int64_t at = word[i] + w;
      const uint32_t bank = (uint32_t)(at % 32);
      bool known = false;
      for (uint32_t j = 0; j < count[bank] && !known; j++)
        known = seen[bank][j] == at;
      if (!known && count[bank] < 32)
        seen[bank][count[bank]++] = at;
      worst = HLI_MAX(worst, count[bank]);
    }
  return worst;
}

static uint32_t pattern_cost(const hli_layout *sw, const int64_t *shape, uint32_t rank, uint32_t element_bytes,
                             const pattern *p) {
  /* A swizzle or row pitch that breaks an access into pieces makes it narrower. */
  uint32_t bytes = p->bytes, split = 1;
  const uint32_t whole = sw->sw_mask ? element_bytes << sw->sw_vec : 16;
  const int64_t pitch = (rank ? shape[rank - 1] + sw->sw_pad : 1) * (int64_t)element_bytes;
  while (bytes > element_bytes && (bytes > whole || (rank > 1 && pitch % bytes)))
    bytes /= 2, split *= 2;
  const uint32_t group = bytes >= 16 ? 8 : bytes == 8 ? 16 : 32, words = HLI_MAX(bytes / 4, 1u);
  uint32_t cost = 0;
  for (uint32_t i = 0; i < p->instructions; i++)
    for (uint32_t first = 0; first < p->lanes; first += group) {
      int64_t word[32];
      uint32_t n = 0;
      for (uint32_t lane = first; lane < first + group && lane < p->lanes; lane++)
        word[n++] = hli_swizzle_offset(sw, shape, rank, p->at[i][lane]) * element_bytes / 4;
      cost += split * phase_cost(word, n, words);
    }
  return cost;
}

uint32_t hli_swizzle_cost(const hli_layout *swizzle, const int64_t *shape, uint32_t rank, uint32_t element_bytes,
                          const hli_shared_use *use) {
  pattern p;
  make_pattern(use, rank, element_bytes, &p);
  return pattern_cost(swizzle, shape, rank, element_bytes, &p);
}

/* ---- choosing --------------------------------------------------------------------------- */

static uint32_t total_cost(const hli_layout *sw, const int64_t *shape, uint32_t rank, uint32_t element_bytes,
                           const pattern *p, uint32_t n) {
  uint32_t cost = 0;
  for (uint32_t i = 0; i < n; i++)
    cost += pattern_cost(sw, shape, rank, element_bytes, &p[i]);
  return cost;
}

/* The XOR swizzle under which 8 rows of 16-byte pieces fill the 8 groups of banks: rows shorter than
 * 128 bytes share a line of banks, so only every (128 / row bytes)-th row moves the pieces. */
static bool piece_swizzle(int64_t columns, uint32_t element_bytes, uint32_t piece_bytes, hli_layout *out) {
  const uint32_t piece = piece_bytes / element_bytes, line = 128 / piece_bytes;
  if (piece == 0 || columns % piece)
    return false;
  const uint64_t pieces = (uint64_t)columns / piece;
  const uint32_t mask = pieces % line == 0 ? line - 1 : (uint32_t)(pieces & -pieces) - 1;
  if (mask == 0)
    return false;
  *out = (hli_layout){.kind = 1,
                      .sw_vec = (uint8_t)hli_log2(piece),
                      .sw_mask = (uint16_t)mask,
                      .sw_shift = (uint8_t)hli_log2(line / (mask + 1))};
  return true;
}

#define MAX_USES 4
void hli_swizzle_choose(const int64_t *shape, uint32_t rank, uint32_t element_bytes, const hli_shared_use *uses,
                        uint32_t n, hli_layout *out) {
  pattern p[MAX_USES];
  hli_layout candidate;
  n = HLI_MIN(n, MAX_USES);
  *out = (hli_layout){.kind = 1, .rank = (uint8_t)rank};
  if (rank < 2)
    return;
  for (uint32_t i = 0; i < n; i++)
    make_pattern(&uses[i], rank, element_bytes, &p[i]);
  uint32_t best = total_cost(out, shape, rank, element_bytes, p, n);
  for (uint32_t bytes = 16; bytes >= 4; bytes = bytes == 16 ? 32 : bytes == 32 ? 8 : bytes / 2) {
    if (!piece_swizzle(shape[rank - 1], element_bytes, bytes, &candidate))
      continue;
    candidate.rank = (uint8_t)rank;
    const uint32_t cost = total_cost(&candidate, shape, rank, element_bytes, p, n);
    if (cost < best)
      best = cost, *out = candidate;
  }
  for (uint32_t bytes = 4; bytes <= 16; bytes *= 2) {
    candidate = (hli_layout){.kind = 1, .rank = (uint8_t)rank, .sw_pad = (uint16_t)HLI_MAX(bytes / element_bytes, 1u)};
    const uint32_t cost = total_cost(&candidate, shape, rank, element_bytes, p, n);
    if (cost < best)
      best = cost, *out = candidate;
  }
}
