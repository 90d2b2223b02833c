/* math_trig.c: sin, cos and tan in IR, for arguments of any size.  See math.h.
 *
 * An angle is reduced to turns: frac(x / (2 pi)) is the sum of the fractions of x times pieces of 1 / (2 pi), each
 * piece short enough for its product with x to be exact; whole turns of a product fall away without any rounding.  f32
 * does that in f64 with pieces of 29 bits that serve every x.  f64 has exact products as pairs; which six pieces of 53
 * bits matter is chosen by the size of x, and x and pieces are scaled by a power of two against each other.  The sum is
 * kept as a pair, to 2^-106 of a turn: where x is within 2^-50 of a multiple of pi / 2, which random numbers never are,
 * sin (or cos) loses bits. */
#include "codegen/math.h"

/* The remainder of x, |r| <= pi / 4 or a little more, as a pair, and of which quarter of the circle: 0 .. 3, as
 * floats. */
typedef struct angle {
  pair r;
  val quarter;
} angle;

static val fraction(const math *m, val x) {
  return sub(m, x, call1(m, "llvm.roundeven", x));
}

/* ---- f32 ---------------------------------------------------------------------------------- */

static const double inverse29[] = {0x1.45f306dp-3,   0x1.9391054p-32, 0x1.4fe13abp-61, 0x1.d1f534dp-90,
                                   0x1.b81b6c5p-119, 0x1.5993c4p-150, 0x1.c820ff2p-177};

static angle reduce32(const math *m, val x) {
  math wide = hlm_begin(m->e, HL_F64, x);
  const math *w = &wide;
  wide.t = hlc_like(m->e->t_f64, x);
  val a = hlc_cast(m->e, x, HL_F32, HL_F64), turns = fraction(w, mul(w, a, num(w, inverse29[0])));
  for (uint32_t i = 1; i < HLI_COUNT(inverse29); i++)
    turns = add(w, turns, fraction(w, mul(w, a, num(w, inverse29[i]))));
  val quarter = call1(w, "llvm.roundeven", mul(w, turns, num(w, 4)));
  val r = mul(w, mad(w, quarter, num(w, -0.25), turns), num(w, 2 * w->f->pi));
  pair out = {.high = hlc_cast(m->e, r, HL_F64, HL_F32)};
  out.low = hlc_cast(m->e, sub(w, r, hlc_cast(m->e, out.high, HL_F32, HL_F64)), HL_F64, HL_F32);
  return (angle){out, hlc_cast(m->e, quarter, HL_F64, HL_F32)};
}

/* ---- f64 ---------------------------------------------------------------------------------- */

#define WINDOW  128 /* binary orders of magnitude of x that share pieces */
#define WINDOWS 8
#define PIECES  6

/* Row i, for 2^(128 i) <= |x| < 2^(128 (i + 1)): bits of 1 / (2 pi), from where they do not give whole turns only,
 * times 2^(128 i). */
static const double inverse53[WINDOWS][PIECES] = {
    {0x1.45f306dc9c882p-3, 0x1.4a7f09d5f47d4p-56, 0x1.a6ee06db14accp-109, 0x1.3c439041fe516p-162,
     0x1.d5ef5de2b0db8p-217, 0x1.2371d2126e970p-269},
    {0x1.3abe8fa9a6ee0p+51, 0x1.b6c52b3278872p-3, 0x1.07f9458eaf7a0p-60, 0x1.de2b0db92371cp-109, 0x1.2126e97003249p-161,
     0x1.dd413a32439fcp-215},
    {0x1.163abdebbc560p+50, 0x1.b7246e3a424ddp-2, 0x1.700324977504cp-57, 0x1.464873f877ac7p-108, 0x1.62534e7dd1044p-163,
     0x1.5f52ebb4484e9p-214},
    {0x1.25dd413a32438p+49, 0x1.fc3bd63962534p-3, 0x1.cfba208d7d4bap-56, 0x1.da24274ce3812p-109, 0x1.5a2fbf209cc8ep-161,
     0x1.639835339f49cp-214},
    {0x1.1afa975da2420p+47, 0x1.d338e04d68beep-3, 0x1.c827323ac7306p-55, 0x1.4ce7d272117e2p-108, 0x1.defc941d8ffc4p-161,
     0x1.7ffde05980fefp-214},
    {0x1.1d639835339f4p+50, 0x1.3908bf177bf24p-3, 0x1.0763ff12fffbcp-55, 0x1.6603fbcbc4620p-112, 0x1.ad05368fb69b3p-161,
     0x1.ecf27cb09b74fp-214},
    {0x1.c4bffef02cc07p+51, 0x1.ef2f118b5a0a6p-2, 0x1.a3eda6cfd9e4fp-55, 0x1.2c26dd3d18fd9p-108, 0x1.4f2ff516ba93dp-161,
     0x1.ac7ebe5f17b3dp-214},
    {0x1.b3f6793e584dbp+51, 0x1.4f463f669e5fep-2, 0x1.45aea4f758fd7p-55, 0x1.97c5ecf41ce7dp-108, 0x1.c529497535fdap-161,
     0x1.fb11f8d5d0856p-214},
};

typedef struct window {
  val beyond[WINDOWS]; /* |x| >= 2^(128 i) */
} window;

static val chosen(const math *m, const window *w, const double *values, uint32_t stride) {
  val v = num(m, values[0]);
  for (uint32_t i = 1; i < WINDOWS; i++)
    v = either(m, w->beyond[i], num(m, values[i * stride]), v);
  return v;
}

static void accumulate(const math *m, pair *sum, val x) {
  pair s = two_sum(m, sum->high, x);
  *sum = (pair){s.high, add(m, sum->low, s.low)};
}

static angle reduce64(const math *m, val x) {
  double down[WINDOWS];
  window w;
  for (uint32_t i = 0; i < WINDOWS; i++) {
    down[i] = __builtin_ldexp(1, -WINDOW * (int)i);
    w.beyond[i] = compare_num(m, LLVMRealOGE, magnitude(m, x), 1 / down[i]);
  }
  val a = mul(m, x, chosen(m, &w, down, 1));
  pair turns = {num(m, 0), num(m, 0)};
  for (uint32_t i = 0; i < PIECES; i++) {
    pair p = two_product(m, a, chosen(m, &w, &inverse53[0][i], PIECES));
    accumulate(m, &turns, fraction(m, p.high));
    accumulate(m, &turns, fraction(m, p.low));
  }
  val quarter = call1(m, "llvm.roundeven", mul(m, add(m, turns.high, turns.low), num(m, 4)));
  pair r = two_sum(m, mad(m, quarter, num(m, -0.25), turns.high), turns.low);
  val two_pi = num(m, 2 * m->f->pi);
  pair out = two_product(m, r.high, two_pi);
  out.low = add(m, out.low, mad(m, r.high, num(m, 2 * m->f->pi_low), mul(m, r.low, two_pi)));
  return (angle){out, quarter};
}

/* ---- the functions -------------------------------------------------------------------------- */

/* (sin(r) / r - 1) / r^2 and (cos(r) - 1 + r^2 / 2) / r^4 in r^2, |r| <= pi / 4: 2^-25, 2^-28, 2^-56, 2^-58. */
static const double sin32[] = {-0x1.9abc2cp-13, 0x1.110c1p-7, -0x1.555552p-3};
static const double cos32[] = {0x1.9bcdc6p-16, -0x1.6c12bep-10, 0x1.555554p-5};
static const double sin64[] = {-0x1.ab0f25d21fd92p-41, 0x1.6121703ee57b1p-33,  -0x1.ae64540000f84p-26,
                               0x1.71de3a5455b9ap-19,  -0x1.a01a01a0198dep-13, 0x1.1111111111110p-7,
                               -0x1.5555555555555p-3};
static const double cos64[] = {-0x1.9075bb669682cp-37, 0x1.1eeb5de1e2b95p-29,  -0x1.27e4fa0d3726cp-22,
                               0x1.a01a019f4671dp-16,  -0x1.6c16c16c16944p-10, 0x1.5555555555555p-5};

static val sine(const math *m, pair r, val z) {
  val p = m->is_double ? HLM_POLY(m, z, sin64) : HLM_POLY(m, z, sin32);
  val low = mad(m, mul(m, z, num(m, -0.5)), r.low, r.low); /* r.low cos(r) */
  return add(m, r.high, mad(m, mul(m, p, z), r.high, low));
}

/* 1 - z/2 with what it loses, then the rest. */
static val cosine(const math *m, pair r, val z) {
  val p = m->is_double ? HLM_POLY(m, z, cos64) : HLM_POLY(m, z, cos32);
  val half = mul(m, z, num(m, 0.5)), one = num(m, 1), w = sub(m, one, half);
  val lost = sub(m, sub(m, one, w), half);
  return add(m, w, mad(m, mul(m, z, z), p, mad(m, negate(m, r.high), r.low, lost)));
}

val hlm_sine(const math *m, pair x) {
  return sine(m, x, mul(m, x.high, x.high));
}
val hlm_cosine(const math *m, pair x) {
  return cosine(m, x, mul(m, x.high, x.high));
}

val hlc_math_trig(hlc_emit *e, hli_opcode code, hl_dtype dtype, const val *args) {
  math build = hlm_begin(e, dtype, args[0]), *m = &build;
  val x = args[0];
  angle a = m->is_double ? reduce64(m, x) : reduce32(m, x);
  val z = mul(m, a.r.high, a.r.high), s = sine(m, a.r, z), c = cosine(m, a.r, z);
  /* quarter mod 4 is 0, 1, 2 or 3: sin is s, c, -s, -c; cos is c, -s, -c, s */
  val half = mul(m, a.quarter, num(m, 0.5)), odd = compare_num(m, LLVMRealONE, fraction(m, half), 0);
  val turned = add(m, a.quarter, num(m, code == HLI_OP_COS ? 1 : 0));
  val quarter = mul(m, turned, num(m, 0.25)), back = sub(m, quarter, call1(m, "llvm.floor", quarter));
  val minus = compare_num(m, LLVMRealOGE, back, 0.5);
  val tiny = compare_num(m, LLVMRealOLT, magnitude(m, x), 0x1p-30); /* products of tinier ones are not exact */
  if (code == HLI_OP_TAN) {
    val above = either(m, odd, negate(m, c), s), below = either(m, odd, s, c);
    return either(m, tiny, x, quotient(m, above, below));
  }
  val y = code == HLI_OP_COS ? either(m, odd, s, c) : either(m, odd, c, s);
  y = either(m, minus, negate(m, y), y);
  return code == HLI_OP_COS ? y : either(m, tiny, x, y);
}
