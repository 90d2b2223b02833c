/* number.h: elements of every dtype as doubles, and random numbers.
 *
 * Inputs are stored in their dtype first and read back as doubles for the reference, so how storing rounds
 * does not matter for the comparison. */
#ifndef CLI_NUMBER_H
#define CLI_NUMBER_H

#include "hl/hl.h"

bool cli_is_float(hl_dtype dtype);
bool cli_is_tiny(hl_dtype dtype); /* a float of 8 bits */
void cli_to_double(hl_dtype dtype, const void *from, double *to, size_t count);
void cli_from_double(hl_dtype dtype, const double *from, void *to, size_t count);

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014). */
uint64_t cli_random(uint64_t *state);
double cli_random_unit(uint64_t *state); /* [0, 1) */
/* Fills by distribution, rounded to the dtype. */
void cli_random_fill(const hl_arg_spec *spec, hl_dtype dtype, uint64_t seed, void *to, size_t count);

/* Is a result right?
 *
 *     |got - want| <= steps * eps(dtype) * |want| + 2 * eps(acc) * sqrt(terms) * rms(want) + least(dtype)
 *                     + 8 * eps(acc) * scale
 *
 * eps: the distance from 1 to the next number; acc is f32 for f16, bf16 and f32; steps: 2 for f16 and bf16, 8
 * for f32, 32 for f64; terms: how many are added up into one element (independent errors grow like its root);
 * least: the smallest subnormal; scale, of each element (NULL: 0): the sum of its terms' sizes, where they may cancel.
 * NaN matches NaN only; an infinity matches itself and what the dtype cannot hold.  Integers and bools must be equal.
 * A float of 8 bits must lie between what the two ends of the interval that f32 would be allowed round to: quantised
 * numbers may differ where the exact one lies near a rounding boundary. */
typedef struct cli_judgement {
  bool right;
  size_t count, wrong, first; /* elements; the first wrong one */
  double got, want, allowed;  /* there */
  double worst;               /* largest error as a share of what is allowed */
  double frobenius;           /* ||got - want|| / ||want|| over finite elements */
} cli_judgement;
void cli_judge(hl_dtype dtype, int64_t terms, const void *got, const double *want, const double *scale, size_t count,
               cli_judgement *out);

#endif
