/* layout_dot.c: layouts of the accumulator and the operands of a dot.
 *
 * Warps share the accumulator as a grid that is as square as possible, so that a warp reads as little
 * of both operands as possible.  With a matrix instruction a warp's part is made of its fragments, otherwise
 * of 4-wide pieces per thread, 8 threads along n. */
#include "src/pass/layout_plan.h"

static int64_t lanes_at(const hl_kernel *k, hli_value v, uint32_t d) {
  return hli_axis_lanes(k, hli_type_of(k, v)->dims[d]);
}

const hli_matrix_row *hli_layout_matrix_row(const hl_kernel *k, const hl_target *target, hli_op dot) {
  const hli_value a = hli_operand(k, dot, 0), b = hli_operand(k, dot, 1), acc = hli_operand(k, dot, 2);
  const int64_t m = lanes_at(k, acc, 0), n = lanes_at(k, acc, 1), depth = lanes_at(k, a, 1);
  const bool exact = hli_attr_or(k, dot, 0, 0, HL_DOT_IEEE) == HL_DOT_IEEE;
  for (uint32_t i = 0; i < target->matrix_count; i++) {
    const hli_matrix_row *r = &target->matrix[i];
    if (!(r->tf32 && exact) && r->in == hli_dtype_of(k, a) && r->in == hli_dtype_of(k, b) && r->acc == hli_dtype_of(k, acc) &&
        r->min_arch <= target->arch && m % r->m == 0 && n % r->n == 0 && depth % r->k == 0)
      return r;
  }
  return NULL;
}

/* Splits `warps` into rows x columns over a grid of m x n atoms: least operand data per warp; atoms that
 * do not divide leave warps over (copies). */
static void warp_grid(int64_t m, int64_t n, int64_t atom_m, int64_t atom_n, uint32_t warps, uint32_t *rows,
                      uint32_t *columns) {
  for (uint32_t used = warps; used >= 1; used /= 2) {
    int64_t best = INT64_MAX;
    for (uint32_t r = 1; r <= used; r *= 2) {
      const uint32_t c = used / r;
      if (m % r || n % c)
        continue;
      const int64_t cost = m / r * atom_m + n / c * atom_n;
      if (cost <= best)
        best = cost, *rows = r, *columns = c;
    }
    if (best != INT64_MAX)
      return;
  }
}

/* Registers and warps behind the atom: columns first. */
static bool put_grid(hli_layout *l, int64_t m, int64_t n, uint32_t rows, uint32_t columns, uint32_t warps) {
  return hli_layout_put(l, HLI_UNIT_REG, 1, (uint32_t)(n / columns)) &&
         hli_layout_put(l, HLI_UNIT_REG, 0, (uint32_t)(m / rows)) && hli_layout_put(l, HLI_UNIT_WARP, 1, columns) &&
         hli_layout_put(l, HLI_UNIT_WARP, 0, rows) && hli_layout_put(l, HLI_UNIT_WARP, -1, warps / (rows * columns));
}

static uint32_t pow2_part(int64_t n, uint32_t limit) {
  uint32_t p = 1;
  while (p < limit && n % (2 * (int64_t)p) == 0)
    p *= 2;
  return p;
}

/* One thread: 4 neighbours along n; a warp: 8 x 4 threads where the shape has them. */
static bool plain_accumulator(int64_t m, int64_t n, uint32_t lanes, uint32_t warps, hli_layout *out) {
  uint32_t rows = 1, columns = 1;
  hli_layout_clear(out, 2);
  const uint32_t vec = pow2_part(n, 4);
  n /= vec;
  uint32_t along_n = pow2_part(n, 8), along_m = pow2_part(m, lanes / along_n);
  while (along_n * along_m < lanes && n % (2 * (int64_t)along_n) == 0)
    along_n *= 2;
  n /= along_n;
  m /= along_m;
  warp_grid(m, n, along_m, (int64_t)vec * along_n, warps, &rows, &columns);
  return hli_layout_put(out, HLI_UNIT_REG, 1, vec) && hli_layout_put(out, HLI_UNIT_LANE, 1, along_n) &&
         hli_layout_put(out, HLI_UNIT_LANE, 0, along_m) &&
         hli_layout_put(out, HLI_UNIT_LANE, -1, lanes / (along_n * along_m)) &&
         put_grid(out, m, n, rows, columns, warps);
}

bool hli_layout_of_accumulator(const hl_kernel *k, const hl_target *target, hli_op dot, uint32_t warps,
                               hli_layout *out) {
  const hli_value acc = hli_operand(k, dot, 2);
  const int64_t m = lanes_at(k, acc, 0), n = lanes_at(k, acc, 1);
  const hli_matrix_row *row = hli_layout_matrix_row(k, target, dot);
  uint32_t rows = 1, columns = 1;
  if (!row)
    return plain_accumulator(m, n, target->warp_size, warps, out);
  warp_grid(m / row->m, n / row->n, row->m, row->n, warps, &rows, &columns);
  *out = row->d;
  return put_grid(out, m / row->m, n / row->n, rows, columns, warps);
}

/* The operand's fragments follow the accumulator's along m (or n); copies where warps differ along the other. */
static bool matrix_operand(const hli_matrix_row *row, const hli_layout *acc, uint32_t which, int64_t depth,
                           hli_layout *out) {
  const int keep = which == 0 ? 0 : 1, kdim = 1 - keep;
  const uint32_t atom_regs = row->d.reg_bits;
  hli_digits digits;
  if (!hli_layout_digits(acc, &digits))
    return false;
  *out = which == 0 ? row->a : row->b;
  if (!hli_layout_put(out, HLI_UNIT_REG, kdim, (uint32_t)(depth / row->k)))
    return false;
  for (uint32_t i = 0; i < digits.n; i++) {
    const hli_digit *d = &digits.d[i];
    if (d->unit == HLI_UNIT_REG && d->dim == keep && d->weight >= 1u << atom_regs &&
        !hli_layout_put(out, HLI_UNIT_REG, keep, d->radix))
      return false;
    if (d->unit == HLI_UNIT_WARP && !hli_layout_put(out, HLI_UNIT_WARP, d->dim == keep ? keep : -1, d->radix))
      return false;
  }
  return true;
}

bool hli_layout_of_operand(const hl_kernel *k, const hl_target *target, hli_op dot, const hli_layout *acc,
                           uint32_t which, hli_layout *out) {
  const int64_t depth = lanes_at(k, hli_operand(k, dot, 0), 1);
  const hli_matrix_row *row = hli_layout_matrix_row(k, target, dot);
  if (row)
    return matrix_operand(row, acc, which, depth, out);
  return depth <= UINT16_MAX && hli_layout_dot_operand(acc, which, (uint32_t)depth, out);
}
