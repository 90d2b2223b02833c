/* compare.h: is a result right?  The one tolerance of tests, tuner and benchmark.
 *
 * An element `got` of a floating result is right when
 *
 *     |got - want| <= steps * eps(dtype) * |want|
 *                   + slack * eps(acc) * sqrt(n) * magnitude
 *                   + least(dtype)
 *
 * `want` comes from the interpreter in exact mode (double, sums in long double) or from a double reference.
 * eps(d) is the distance from 1 to the next number of d.  The terms:
 *   steps      roundings of the result: half a step for the last one, some for the functions behind it (exp,
 *              division ... are good to 1-4 steps of f32).  Default 2 for f16 and bf16, 8 for f32, 32 for f64
 *              (its functions are judged against a double).
 *   slack      error of adding n terms in acc: each addition errs by at most eps / 2 of the partial sum, and
 *              independent errors add up like sqrt(n).  Default 2.
 *   acc        the accumulator: f32 for f16, bf16 and f32, f64 for f64.  A kernel that rounds on the way to a
 *              narrower dtype says so here.
 *   n          terms summed per element; 1 if nothing is.
 *   magnitude  size of the partial sums; 0: the root mean square of the finite `want`.  Where the sums nearly cancel
 *              in all elements, give the sum of the absolute values.
 *   least      the smallest subnormal: results that vanish.
 * An 8-bit float is a quantised number: it must lie between what the two ends of the interval round to, where the
 * interval is that of f32 arithmetic (eps of f32, 8 steps).
 * NaN matches NaN only; an infinity matches itself, and a want beyond the largest number of the dtype.
 *
 * Discrete results (integers, bool): equal, unless the decision behind them was a close one.  `margin` says by
 * element how far the deciding quantity of the reference was from its boundary (the gap between the two
 * best candidates of an argmax, |a - b| of a comparison, the distance of a quantised value from the rounding
 * boundary); an element with margin <= boundary may differ. */
#ifndef HLI_INTERP_COMPARE_H
#define HLI_INTERP_COMPARE_H

#include "src/base/base.h"

typedef struct hli_tolerance {
  hl_dtype acc;            /* HL_DTYPE_NONE: follows from the result's dtype */
  int64_t n;               /* 0: 1 */
  double steps, slack;     /* 0: default */
  double magnitude;        /* 0: default */
  const hl_tensor *margin; /* discrete results: f64, same shape; NULL: all must be equal */
  double boundary;
} hli_tolerance;

typedef struct hli_comparison {
  bool pass;
  int64_t count, wrong;
  uint32_t rank;
  int64_t first[HL_MAX_RANK]; /* index of the first wrong element */
  double got, want, allowed;  /* there */
  double max_error;           /* largest |got - want| of finite elements */
  double frobenius;           /* ||got - want|| / ||want|| over finite elements; 0 if both are 0 */
  double worst;               /* largest error / allowed */
} hli_comparison;

/* Host tensors of one shape; `want` may be f64 (or of got's dtype).  HL_OK when they could be compared; whether they
 * agree is out->pass. */
hl_status hli_compare(const hl_tensor *got, const hl_tensor *want, const hli_tolerance *tolerance, hl_diag *diag,
                      hli_comparison *out);
/* "3 of 12 elements differ; the first at [1, 2]: got 1.5, want 1 (allowed error 1e-6); ..." */
void hli_comparison_text(const hli_comparison *c, char *buffer, size_t size);

#endif
