/* dot.h: what the files of a dot share: its shape, its operands' memory, the micro-kernel's variables. */
#ifndef HLI_LOOPNEST_DOT_H
#define HLI_LOOPNEST_DOT_H

#include "src/pass/loopnest/nest.h"

#define LN_DOT_ROWS 8 /* most of a micro-kernel */

typedef struct ln_dot_state {
  hli_op op;
  hli_block block;
  hli_value a, b, acc, result;
  ln_root *epilogue;
  uint32_t n;
  hl_dtype dtype;            /* of the accumulator */
  hl_dtype a_as, b_as;       /* of packed elements and of what is multiplied */
  int64_t group;             /* elements along k that one instruction adds up; 1: multiply and add in `dtype` */
  bool flip;                 /* packed elements of B have their top bit flipped: they are too large (or small) by 128 */
  ln_dim i, j, k;
  ln_bounds bi, bj, bk;
  int64_t rows, columns, mc; /* MR, NR, MC */
  bool once;                 /* each element of B is used once: it is not packed */
  hli_value panel, packed;   /* buffers; 0: B or A is read where it lies */
  hli_value sums;            /* flip: sum of each row of A along k */
  bool by_rows;              /* packed is [row group, k, row of the group], for an A that is contiguous along rows */
  uint8_t vi, vj, vk;        /* variables of the micro-kernel */
  ln_val first_row;          /* of the packed block */
} ln_dot_state;

static inline ln_val ln_add(ln *c, ln_val a, ln_val b) { return ln_bin(c, HLI_OP_ADD, a, b); }
static inline ln_val ln_sub(ln *c, ln_val a, ln_val b) { return ln_bin(c, HLI_OP_SUB, a, b); }
static inline ln_val ln_mul_by(ln *c, ln_val a, int64_t x) { return ln_bin(c, HLI_OP_MUL, a, ln_i64(c, x)); }
static inline ln_val ln_div_by(ln *c, ln_val a, int64_t x) { return ln_bin(c, HLI_OP_TRUNCDIV, a, ln_i64(c, x)); }
static inline ln_val ln_least(ln *c, ln_val a, ln_val b) { return ln_bin(c, HLI_OP_MIN, a, b); }
static inline bool ln_divides(const ln *c, int64_t n, ln_val v) { return ln_multiple(c, v) % n == 0; }
/* v = 0 if the range begins at 0, as variables want it. */
static inline ln_val ln_begin_or_nothing(const ln *c, ln_val v) {
  int64_t x;
  return ln_const(c, v, &x) && x == 0 ? (ln_val){0, 0} : v;
}

/* ---- dot.c */
/* begin + largest multiple of n below or at end - begin */
ln_val ln_whole(ln *c, ln_val begin, ln_val end, int64_t n);
typedef void (*ln_panel_body)(ln *c, void *ctx, ln_val p, bool partial);
void ln_for_panels(ln *c, ln_dot_state *d, bool partial, ln_panel_body body, void *ctx);
/* Along which of its two dimensions is an operand's memory contiguous?  2: neither is known. */
uint32_t ln_contiguous_dim(ln *c, hli_value operand, ln_dim first, ln_dim second);

/* ---- dot_group.c: elements by groups */
void ln_choose_group(ln *c, ln_dot_state *d);
/* Runs body for each group along k: index of its first element, its number; partial: the last one, of fewer elements. */
typedef void (*ln_group_body)(ln *c, void *ctx, ln_val k, ln_val number, bool partial);
void ln_for_groups(ln *c, ln_dot_state *d, ln_carried carried, ln_group_body body, void *ctx);
/* One u32 per lane: operand i holds element i of each group; or one operand whose neighbours make a group. */
ln_val ln_make_group(ln *c, const ln_val *x, uint32_t n);
/* acc + the products of a (one group, or one per lane) and b */
hli_value ln_group_dot(ln *c, hl_dtype a_as, hl_dtype b_as, ln_val a, ln_val b, hli_value acc);
/* The sums that undo `flip`: of the rows [begin, end) of A. */
void ln_row_sums(ln *c, ln_dot_state *d, ln_val begin, ln_val end);
/* acc less what the flip adds to row q of the block */
hli_value ln_unflip(ln *c, const ln_dot_state *d, ln_val row, hli_value acc);

/* ---- dot_pack.c */
void ln_pack_b(ln *c, ln_dot_state *d);
void ln_pack_a(ln *c, ln_dot_state *d, ln_val begin, ln_val end);
ln_val ln_row_group(ln *c, const ln_dot_state *d, ln_val row); /* by_rows: number of the group */
bool ln_packs_columns(ln *c, const ln_dot_state *d);

#endif
