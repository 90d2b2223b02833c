/* test_layout.c: the layout algebra against brute force over every register, lane and warp. */
#include "src/ir/layout_ops.h"
#include "src/target/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h> /* wants what stands above */

enum { LANES = 32 };

static uint64_t next_random(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return *state >> 33;
}

/* A blocked layout of a random shape; sizes are powers of two times 1, 3 or 5. */
static void random_layout(uint64_t *seed, hli_blocked *b, hli_layout *l) {
  static const int64_t odd[] = {1, 1, 1, 3, 5};
  *b = (hli_blocked){.rank = 1 + (uint32_t)(next_random(seed) % 3), .lanes = LANES, .shape = {1, 1, 1, 1}};
  b->warps = 1u << next_random(seed) % 4;
  b->vec = 1u << next_random(seed) % 4;
  b->reduced = (uint32_t)(next_random(seed) % 8);
  for (uint32_t d = 0; d < b->rank; d++) {
    b->shape[d] = odd[next_random(seed) % 5] << next_random(seed) % 4;
    b->order[d] = (uint8_t)((d + b->vec) % b->rank);
  }
  assert_true(hli_layout_blocked(b, l));
}

/* Calls `fn` for every place of a layout. */
typedef void (*place_fn)(void *user, const int32_t *c, uint32_t reg, uint32_t lane, uint32_t warp);
static void each_place(const hli_layout *l, place_fn fn, void *user) {
  int32_t c[HLI_LAYOUT_RANK];
  for (uint32_t w = 0; w < hli_layout_warps(l); w++)
    for (uint32_t i = 0; i < hli_layout_lanes(l); i++)
      for (uint32_t r = 0; r < hli_layout_registers(l); r++) {
        hli_layout_coords(l, r, i, w, c);
        fn(user, c, r, i, w);
      }
}

/* ---- blocked layouts ---------------------------------------------------------------------- */

typedef struct cover {
  const hli_layout *l;
  const int64_t *shape;
  unsigned char seen[1 << 16];
} cover;

static int64_t number(const int32_t *c, const int64_t *shape, uint32_t rank) {
  int64_t at = 0;
  for (uint32_t d = 0; d < rank; d++)
    at = at * shape[d] + c[d];
  return at;
}

static void mark(void *user, const int32_t *c, uint32_t reg, uint32_t lane, uint32_t warp) {
  cover *v = user;
  hli_digits digits;
  int32_t sum[HLI_LAYOUT_RANK] = {0};
  const uint32_t place[HLI_UNITS] = {reg, lane, warp};
  assert_true(hli_layout_digits(v->l, &digits));
  for (uint32_t i = 0; i < digits.n; i++)
    if (digits.d[i].dim >= 0)
      sum[digits.d[i].dim] +=
          (int32_t)(place[digits.d[i].unit] / digits.d[i].weight % digits.d[i].radix) * digits.d[i].stride;
  for (uint32_t d = 0; d < v->l->rank; d++) {
    assert_in_range(c[d], 0, v->shape[d] - 1);
    assert_int_equal(sum[d], c[d]);
  }
  if (lane == 0 && warp == 0)
    assert_int_equal(hli_layout_find(v->l, c), reg);
  v->seen[number(c, v->shape, v->l->rank)] = 1;
}

static void test_blocked(void **state) {
  (void)state;
  static cover v;
  uint64_t seed = 1;
  for (int round = 0; round < 30; round++) {
    hli_blocked b;
    hli_layout l;
    random_layout(&seed, &b, &l);
    memset(&v, 0, sizeof v);
    v.l = &l;
    v.shape = b.shape;
    assert_true(hli_layout_valid(&l, b.shape, b.rank));
    each_place(&l, mark, &v);
    int64_t elements = 1, seen = 0;
    for (uint32_t d = 0; d < b.rank; d++)
      elements *= b.shape[d];
    for (int64_t i = 0; i < elements; i++)
      seen += v.seen[i];
    assert_int_equal(seen, elements);
  }
}

/* 16 bytes a thread, lanes side by side, warps on rows before columns. */
static void test_blocked_shape(void **state) {
  (void)state;
  const hli_blocked b = {
      .rank = 2, .shape = {4, 1024}, .order = {1, 0}, .vec = 8, .lanes = LANES, .warps = 8, .reduced = 2};
  hli_layout l;
  int32_t c[HLI_LAYOUT_RANK];
  assert_true(hli_layout_blocked(&b, &l));
  assert_int_equal(hli_layout_vector(&l, 1), 8);
  assert_int_equal(hli_layout_warps_along(&l, 0), 4);
  assert_int_equal(hli_layout_warps_along(&l, 1), 2);
  hli_layout_coords(&l, 3, 5, 0, c);
  assert_int_equal(c[0], 0);
  assert_int_equal(c[1], 43);
}

/* ---- maps ------------------------------------------------------------------------------------- */

static void test_slice(void **state) {
  (void)state;
  uint64_t seed = 7;
  for (int round = 0; round < 30; round++) {
    hli_blocked b;
    hli_layout l, s;
    random_layout(&seed, &b, &l);
    const uint32_t drop = (uint32_t)(next_random(&seed) % b.rank);
    int64_t shape[HLI_LAYOUT_RANK];
    uint32_t n = 0;
    for (uint32_t d = 0; d < b.rank; d++)
      if (d != drop)
        shape[n++] = b.shape[d];
    assert_true(hli_layout_slice(&l, 1u << drop, &s));
    assert_true(hli_layout_valid(&s, shape, n));
    /* Every thread finds the slice of each of its elements in one of its own registers. */
    for (uint32_t w = 0; w < hli_layout_warps(&l); w++)
      for (uint32_t i = 0; i < LANES; i++)
        for (uint32_t r = 0; r < hli_layout_registers(&l); r++) {
          int32_t c[HLI_LAYOUT_RANK], have[HLI_LAYOUT_RANK];
          bool found = false;
          hli_layout_coords(&l, r, i, w, c);
          memmove(c + drop, c + drop + 1, (HLI_LAYOUT_RANK - 1 - drop) * sizeof *c);
          for (uint32_t q = 0; q < hli_layout_registers(&s) && !found; q++) {
            hli_layout_coords(&s, q, i, w, have);
            found = memcmp(c, have, n * sizeof *c) == 0;
          }
          assert_true(found);
        }
  }
}

/* Eight warps along columns become a dense axis of eight. */
static void test_partial(void **state) {
  (void)state;
  const hli_blocked b = {
      .rank = 2, .shape = {2, 4096}, .order = {1, 0}, .vec = 4, .lanes = LANES, .warps = 16, .reduced = 2};
  hli_layout l, p;
  assert_true(hli_layout_blocked(&b, &l));
  assert_true(hli_layout_partial(&l, 1, &p));
  assert_true(hli_layout_valid(&p, (int64_t[]){2, 8}, 2));
  assert_int_equal(hli_layout_registers(&p), 1);
}

/* ---- matrix fragments ---------------------------------------------------------------------------- */

/* The formulas of the PTX manual for mma.m16n8k16. */
static void test_fragments(void **state) {
  (void)state;
  const hli_matrix_row *row = hli_nvptx_targets[1].matrix;
  int32_t c[HLI_LAYOUT_RANK];
  for (uint32_t lane = 0; lane < LANES; lane++) {
    const int32_t group = (int32_t)lane / 4, in_group = (int32_t)lane % 4;
    for (uint32_t i = 0; i < 8; i++) {
      hli_layout_coords(&row->a, i, lane, 0, c);
      assert_int_equal(c[0], group + (i % 4 >= 2 ? 8 : 0));
      assert_int_equal(c[1], in_group * 2 + (int32_t)(i & 1) + (i >= 4 ? 8 : 0));
    }
    for (uint32_t i = 0; i < 4; i++) {
      hli_layout_coords(&row->b, i, lane, 0, c);
      assert_int_equal(c[0], in_group * 2 + (int32_t)(i & 1) + (i >= 2 ? 8 : 0));
      assert_int_equal(c[1], group);
      hli_layout_coords(&row->d, i, lane, 0, c);
      assert_int_equal(c[0], group + (i >= 2 ? 8 : 0));
      assert_int_equal(c[1], in_group * 2 + (int32_t)(i & 1));
    }
  }
}

/* ---- conversions ------------------------------------------------------------------------------------- */

/* The most distant place from which a thread needs data: 0 itself, 1 its warp, 2 another warp. */
static int distance(const hli_layout *src, const hli_layout *dst, uint32_t rank) {
  int worst = 0;
  for (uint32_t w = 0; w < hli_layout_warps(dst); w++)
    for (uint32_t i = 0; i < LANES; i++)
      for (uint32_t r = 0; r < hli_layout_registers(dst); r++) {
        int32_t want[HLI_LAYOUT_RANK], c[HLI_LAYOUT_RANK];
        int best = 2;
        hli_layout_coords(dst, r, i, w, want);
        for (uint32_t j = 0; j < LANES && best > 0; j++)
          for (uint32_t q = 0; q < hli_layout_registers(src); q++) {
            hli_layout_coords(src, q, j, w, c);
            if (memcmp(c, want, rank * sizeof *c) == 0)
              best = HLI_MIN(best, i == j ? 0 : 1);
          }
        worst = HLI_MAX(worst, best);
      }
  return worst;
}

static void test_convert(void **state) {
  (void)state;
  uint64_t seed = 3;
  int kinds[4] = {0};
  for (int round = 0; round < 40; round++) {
    hli_blocked b;
    hli_layout src, dst;
    random_layout(&seed, &b, &src);
    b.vec = 1u << next_random(&seed) % 4;
    b.reduced = (uint32_t)(next_random(&seed) % 8);
    b.order[0] = (uint8_t)(next_random(&seed) % b.rank);
    for (uint32_t d = 1; d < b.rank; d++)
      b.order[d] = (uint8_t)((b.order[0] + d) % b.rank);
    assert_true(hli_layout_blocked(&b, &dst));
    const hli_convert_kind kind = hli_layout_convert(&src, &dst, NULL);
    const int far = distance(&src, &dst, b.rank);
    kinds[kind]++;
    if (kind == HLI_CONVERT_SAME || kind == HLI_CONVERT_RENAME)
      assert_int_equal(far, 0);
    if (kind == HLI_CONVERT_SHUFFLE)
      assert_true(far <= 1);
  }
  assert_true(kinds[HLI_CONVERT_SAME] && kinds[HLI_CONVERT_SHARED]);
}

/* The accumulator of one product is the left operand of the next: same threads, other register numbers. */
static void test_accumulator_as_operand(void **state) {
  (void)state;
  const hli_matrix_row *row = hli_nvptx_targets[1].matrix;
  hli_layout d = row->d, a = row->a;
  uint32_t rounds;
  assert_true(hli_layout_put(&d, HLI_UNIT_REG, 1, 2)); /* 16 x 16 */
  assert_int_equal(hli_layout_convert(&d, &a, &rounds), HLI_CONVERT_SAME);
  assert_true(hli_layout_put(&d, HLI_UNIT_WARP, 0, 2));
  assert_true(hli_layout_put(&a, HLI_UNIT_WARP, -1, 2));
  assert_int_equal(hli_layout_convert(&d, &a, &rounds), HLI_CONVERT_SHARED);
}

/* ---- shared memory -------------------------------------------------------------------------------------- */

static void operand_uses(const hli_layout *store, const hli_layout *load, const uint8_t *perm, hli_shared_use use[2]) {
  use[0] = (hli_shared_use){.layout = store};
  use[1] = (hli_shared_use){.layout = load, .perm = perm, .matrix = true};
}

/* Tiles of bf16 as a matmul stages them: copies of 16 bytes and ldmatrix, both without conflicts: 4 wavefronts per copy
 * of a warp, one per 8x8 matrix. */
static void test_swizzle(void **state) {
  (void)state;
  const hli_matrix_row *row = hli_nvptx_targets[1].matrix;
  static const int64_t shapes[][2] = {{128, 16}, {128, 32}, {64, 64}, {32, 128}, {64, 256}};
  for (uint32_t i = 0; i < HLI_COUNT(shapes); i++)
    for (uint32_t right = 0; right < 2; right++) {
      const int64_t *shape = shapes[i];
      hli_blocked b = {.rank = 2, .shape = {shape[0], shape[1]}, .order = {1, 0}, .vec = 8, .lanes = LANES, .warps = 4};
      hli_layout store, load = right ? row->b : row->a, swizzle;
      hli_shared_use use[2];
      assert_true(hli_layout_blocked(&b, &store));
      const uint32_t rows = right ? 16 : 16, columns = right ? 8 : 16;
      assert_true(hli_layout_put(&load, HLI_UNIT_REG, 1, (uint32_t)shape[1] / columns));
      assert_true(hli_layout_put(&load, HLI_UNIT_REG, 0, (uint32_t)shape[0] / rows));
      operand_uses(&store, &load, NULL, use);
      hli_swizzle_choose(shape, 2, 2, use, 2, &swizzle);
      const uint32_t copies = HLI_MIN(hli_layout_registers(&store) / 8, 16u);
      const uint32_t matrices = HLI_MIN(hli_layout_registers(&load) / 2, 16u);
      assert_int_equal(hli_swizzle_cost(&swizzle, shape, 2, 2, &use[0]), 4 * copies);
      assert_int_equal(hli_swizzle_cost(&swizzle, shape, 2, 2, &use[1]), matrices);
    }
}

/* A swizzle moves elements within their row and loses none. */
static void test_swizzle_is_a_permutation(void **state) {
  (void)state;
  const hli_layout swizzles[] = {{.kind = 1, .rank = 2, .sw_vec = 3, .sw_shift = 1, .sw_mask = 3},
                                 {.kind = 1, .rank = 2, .sw_vec = 2, .sw_mask = 7},
                                 {.kind = 1, .rank = 2, .sw_pad = 8}};
  const int64_t shape[2] = {16, 32};
  for (uint32_t i = 0; i < HLI_COUNT(swizzles); i++) {
    unsigned char seen[16 * 64] = {0};
    assert_true(hli_swizzle_size(&swizzles[i], shape, 2) <= (int64_t)sizeof seen);
    for (int32_t r = 0; r < 16; r++)
      for (int32_t c = 0; c < 32; c++) {
        const int64_t at = hli_swizzle_offset(&swizzles[i], shape, 2, (int32_t[]){r, c});
        assert_in_range(at, 0, hli_swizzle_size(&swizzles[i], shape, 2) - 1);
        assert_int_equal(seen[at]++, 0);
        assert_int_equal(at / (32 + swizzles[i].sw_pad), r);
      }
  }
}

static void test_ldmatrix(void **state) {
  (void)state;
  const hli_matrix_row *row = hli_nvptx_targets[1].matrix;
  const uint8_t swapped[2] = {1, 0};
  hli_ldmatrix m;
  assert_true(hli_layout_ldmatrix(&row->a, NULL, &m)); /* rows of the buffer run along k */
  assert_int_equal(m.count, 4);
  assert_false(m.trans);
  assert_true(hli_layout_ldmatrix(&row->b, NULL, &m)); /* k x n, rows along n */
  assert_int_equal(m.count, 2);
  assert_true(m.trans);
  assert_true(hli_layout_ldmatrix(&row->b, swapped, &m)); /* n x k */
  assert_false(m.trans);
  const hli_blocked b = {.rank = 2, .shape = {64, 64}, .order = {1, 0}, .vec = 8, .lanes = LANES, .warps = 4};
  hli_layout plain;
  assert_true(hli_layout_blocked(&b, &plain));
  assert_false(hli_layout_ldmatrix(&plain, NULL, &m));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_blocked),
      cmocka_unit_test(test_blocked_shape),
      cmocka_unit_test(test_slice),
      cmocka_unit_test(test_partial),
      cmocka_unit_test(test_fragments),
      cmocka_unit_test(test_convert),
      cmocka_unit_test(test_accumulator_as_operand),
      cmocka_unit_test(test_swizzle),
      cmocka_unit_test(test_swizzle_is_a_permutation),
      cmocka_unit_test(test_ldmatrix),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
