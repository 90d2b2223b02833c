/* expand.c: the one definition of composite pointwise ops.  See expand.h.
 *
 * Every function here builds one op from its operands; `expansions` says which op has which
 * function for which kind of operand.  Operands are built in statements of their own where two of
 * them build something: the order of C's argument evaluation must not show in the emitted code.  SPDX-License-Identifier: MIT */
#include "src/ir/expand.h"

typedef struct build {
  const hli_expand_ops *vt;
  void *ctx;
  hl_dtype dtype;
} build;
typedef hli_xvalue (*expand_fn)(const build *b, const hli_xvalue *a);

static hli_xvalue op1(const build *b, hli_opcode code, hli_xvalue x) { return b->vt->op(b->ctx, code, &x); }
static hli_xvalue op2(const build *b, hli_opcode code, hli_xvalue x, hli_xvalue y) {
  hli_xvalue args[2] = {x, y};
  return b->vt->op(b->ctx, code, args);
}
static hli_xvalue op3(const build *b, hli_opcode code, hli_xvalue x, hli_xvalue y, hli_xvalue z) {
  hli_xvalue args[3] = {x, y, z};
  return b->vt->op(b->ctx, code, args);
}
static hli_xvalue num(const build *b, hli_xvalue like, double value) { return b->vt->constant(b->ctx, like, value); }
static hli_xvalue raw(const build *b, hli_opcode code, hli_xvalue x, hli_xvalue y) {
  return b->vt->raw(b->ctx, code, x, y);
}
static hli_xvalue where(const build *b, hli_xvalue cond, hli_xvalue x, hli_xvalue y) {
  return op3(b, HLI_OP_WHERE, cond, x, y);
}

/* ---- floating functions -------------------------------------------------------- */

static hli_xvalue reciprocal(const build *b, const hli_xvalue *a) { return op2(b, HLI_OP_DIV, num(b, a[0], 1), a[0]); }

static hli_xvalue rsqrt_(const build *b, const hli_xvalue *a) {
  return op2(b, HLI_OP_DIV, num(b, a[0], 1), op1(b, HLI_OP_SQRT, a[0]));
}

static hli_xvalue one_plus_exp_neg(const build *b, hli_xvalue x) {
  return op2(b, HLI_OP_ADD, num(b, x, 1), op1(b, HLI_OP_EXP, op1(b, HLI_OP_NEG, x)));
}
static hli_xvalue sigmoid(const build *b, const hli_xvalue *a) {
  return op2(b, HLI_OP_DIV, num(b, a[0], 1), one_plus_exp_neg(b, a[0]));
}
static hli_xvalue silu(const build *b, const hli_xvalue *a) {
  return op2(b, HLI_OP_DIV, a[0], one_plus_exp_neg(b, a[0]));
}

static hli_xvalue polynomial(const build *b, hli_xvalue x, const double *c, uint32_t n) {
  hli_xvalue sum = num(b, x, c[0]);
  for (uint32_t i = 1; i < n; i++)
    sum = op3(b, HLI_OP_FMA, sum, x, num(b, x, c[i]));
  return sum;
}

/* tanh: x + x^3 P(x^2) (f64: P / Q) where |x| < 0.625, else 1 - 2 / (exp(2|x|) + 1) with the sign of x;
 * the coefficients are those of the Cephes library. */
static hli_xvalue tanh_small(const build *b, hli_xvalue x) {
  static const double p32[] = {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1,
                               -3.33332819422e-1};
  static const double p64[] = {-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3};
  static const double q64[] = {1, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3};
  hli_xvalue z = op2(b, HLI_OP_MUL, x, x);
  hli_xvalue p = b->dtype == HL_F64 ? polynomial(b, z, p64, 3) : polynomial(b, z, p32, 5);
  if (b->dtype == HL_F64)
    p = op2(b, HLI_OP_DIV, p, polynomial(b, z, q64, 4));
  return op2(b, HLI_OP_MUL, x, op3(b, HLI_OP_FMA, z, p, num(b, x, 1))); /* a product: tanh(-0) is -0 */
}
static hli_xvalue tanh_(const build *b, const hli_xvalue *a) {
  hli_xvalue size = op1(b, HLI_OP_ABS, a[0]);
  hli_xvalue e = op1(b, HLI_OP_EXP, op2(b, HLI_OP_ADD, size, size));
  hli_xvalue large = op2(b, HLI_OP_SUB, num(b, size, 1),
                         op2(b, HLI_OP_DIV, num(b, size, 2), op2(b, HLI_OP_ADD, e, num(b, size, 1))));
  hli_xvalue negative = op2(b, HLI_OP_LT, a[0], num(b, a[0], 0));
  large = where(b, negative, op1(b, HLI_OP_NEG, large), large);
  hli_xvalue small = tanh_small(b, a[0]);
  /* NaN compares false here and comes out of `large`. */
  return where(b, op2(b, HLI_OP_LT, size, num(b, size, 0.625)), small, large);
}

static hli_xvalue floordiv_f(const build *b, const hli_xvalue *a) {
  return op1(b, HLI_OP_FLOOR, op2(b, HLI_OP_DIV, a[0], a[1]));
}
static hli_xvalue truncdiv_f(const build *b, const hli_xvalue *a) {
  return op1(b, HLI_OP_TRUNC, op2(b, HLI_OP_DIV, a[0], a[1]));
}

/* The remainder with the divisor's sign, exact while |a / b| < 2^24 (f32) or 2^53: the rounded quotient is
 * never too small there, and where it is one too large the sign says so and b is added back.
 * A quotient of 0 needs its own branch because 0 * inf is NaN. */
static hli_xvalue rem_f(const build *b, const hli_xvalue *a) {
  hli_xvalue q = truncdiv_f(b, a), zero = num(b, q, 0);
  hli_xvalue r = op3(b, HLI_OP_FMA, op1(b, HLI_OP_NEG, q), a[1], a[0]);
  r = where(b, op2(b, HLI_OP_EQ, q, zero), a[0], r);
  hli_xvalue r_negative = op2(b, HLI_OP_LT, r, zero), b_negative = op2(b, HLI_OP_LT, a[1], zero);
  hli_xvalue differ = op2(b, HLI_OP_NE, r_negative, b_negative);
  hli_xvalue fix = op2(b, HLI_OP_AND, differ, op2(b, HLI_OP_NE, r, zero));
  return where(b, fix, op2(b, HLI_OP_ADD, r, a[1]), r);
}

/* The remainder with the dividend's sign, zero too; exact as far as the other one. */
static hli_xvalue fmod_f(const build *b, const hli_xvalue *a) {
  hli_xvalue q = truncdiv_f(b, a), zero = num(b, q, 0), size = op1(b, HLI_OP_ABS, a[1]);
  hli_xvalue r = op3(b, HLI_OP_FMA, op1(b, HLI_OP_NEG, q), a[1], a[0]);
  hli_xvalue a_negative = op2(b, HLI_OP_LT, a[0], zero), r_negative = op2(b, HLI_OP_LT, r, zero);
  hli_xvalue differ = op2(b, HLI_OP_NE, a_negative, r_negative);
  hli_xvalue back = where(b, a_negative, op1(b, HLI_OP_NEG, size), size);
  hli_xvalue fixed = where(b, differ, op2(b, HLI_OP_ADD, r, back), r);
  fixed = where(b, op2(b, HLI_OP_EQ, r, zero), op2(b, HLI_OP_MUL, a[0], zero), fixed);
  return where(b, op2(b, HLI_OP_EQ, q, zero), a[0], fixed);
}

/* ---- any number ------------------------------------------------------------------- */

static hli_xvalue relu(const build *b, const hli_xvalue *a) { return op2(b, HLI_OP_MAX, a[0], num(b, a[0], 0)); }

/* NaN has no sign: 0. */
static hli_xvalue sign(const build *b, const hli_xvalue *a) {
  hli_xvalue zero = num(b, a[0], 0), one = num(b, a[0], 1);
  hli_xvalue below = zero;
  if (hli_dtype_kind(b->dtype) != 'u')
    below = where(b, op2(b, HLI_OP_LT, a[0], zero), num(b, a[0], -1), zero);
  return where(b, op2(b, HLI_OP_GT, a[0], zero), one, below);
}

static hli_xvalue same(const build *b, const hli_xvalue *a) {
  (void)b;
  return a[0];
}

/* ---- integers: division and shifts with stated results --------------------------------- */

typedef struct division { hli_xvalue by_zero, by_minus_one, divisor; } division;

/* A divisor that the machine can take, and where it is not the given one.  by_minus_one: signed only. */
static division guard(const build *b, const hli_xvalue *a) {
  hli_xvalue one = num(b, a[1], 1);
  division d = {.by_zero = op2(b, HLI_OP_EQ, a[1], num(b, a[1], 0))};
  hli_xvalue unsafe = d.by_zero;
  if (hli_dtype_kind(b->dtype) == 'i') {
    d.by_minus_one = op2(b, HLI_OP_EQ, a[1], num(b, a[1], -1));
    unsafe = op2(b, HLI_OP_OR, unsafe, d.by_minus_one);
  }
  d.divisor = where(b, unsafe, one, a[1]);
  return d;
}

static hli_xvalue truncdiv_i(const build *b, const hli_xvalue *a) {
  division d = guard(b, a);
  hli_xvalue q = raw(b, HLI_OP_TRUNCDIV, a[0], d.divisor);
  if (hli_dtype_kind(b->dtype) == 'i')
    q = where(b, d.by_minus_one, op1(b, HLI_OP_NEG, a[0]), q); /* INT_MIN wraps to itself */
  return where(b, d.by_zero, num(b, q, 0), q);
}

/* The machine's remainder is not 0 and has the other sign than the divisor. */
static hli_xvalue rounds_up(const build *b, hli_xvalue r, hli_xvalue divisor) {
  hli_xvalue zero = num(b, r, 0);
  hli_xvalue differ = op2(b, HLI_OP_LT, op2(b, HLI_OP_XOR, r, divisor), zero);
  return op2(b, HLI_OP_AND, differ, op2(b, HLI_OP_NE, r, zero));
}

static hli_xvalue floordiv_i(const build *b, const hli_xvalue *a) {
  if (hli_dtype_kind(b->dtype) != 'i')
    return truncdiv_i(b, a);
  division d = guard(b, a);
  hli_xvalue q = raw(b, HLI_OP_TRUNCDIV, a[0], d.divisor);
  hli_xvalue r = raw(b, HLI_OP_REM, a[0], d.divisor);
  q = where(b, rounds_up(b, r, d.divisor), op2(b, HLI_OP_SUB, q, num(b, q, 1)), q);
  q = where(b, d.by_minus_one, op1(b, HLI_OP_NEG, a[0]), q);
  return where(b, d.by_zero, num(b, q, 0), q);
}

static hli_xvalue rem_i(const build *b, const hli_xvalue *a) {
  division d = guard(b, a); /* by 0 and by -1: the guard's divisor is 1, the remainder 0 */
  hli_xvalue r = raw(b, HLI_OP_REM, a[0], d.divisor);
  if (hli_dtype_kind(b->dtype) != 'i')
    return r;
  return where(b, rounds_up(b, r, d.divisor), op2(b, HLI_OP_ADD, r, d.divisor), r);
}

static hli_xvalue fmod_i(const build *b, const hli_xvalue *a) {
  division d = guard(b, a);
  return raw(b, HLI_OP_REM, a[0], d.divisor);
}

/* A count outside 0 .. width - 1 (negative ones are) shifts everything out. */
static hli_xvalue shift(const build *b, hli_opcode code, const hli_xvalue *a) {
  double width = 8.0 * hl_dtype_size(b->dtype);
  bool is_signed = hli_dtype_kind(b->dtype) == 'i';
  hli_xvalue zero = num(b, a[1], 0);
  hli_xvalue good = op2(b, HLI_OP_LT, a[1], num(b, a[1], width));
  if (is_signed)
    good = op2(b, HLI_OP_AND, good, op2(b, HLI_OP_GE, a[1], zero));
  if (code == HLI_OP_SHR && is_signed) /* the sign: what a shift by width - 1 leaves */
    return raw(b, code, a[0], where(b, good, a[1], num(b, a[1], width - 1)));
  return where(b, good, raw(b, code, a[0], where(b, good, a[1], zero)), num(b, a[0], 0));
}
static hli_xvalue shl(const build *b, const hli_xvalue *a) { return shift(b, HLI_OP_SHL, a); }
static hli_xvalue shr(const build *b, const hli_xvalue *a) { return shift(b, HLI_OP_SHR, a); }

/* ---- random numbers ------------------------------------------------------------------- */

/* Ten rounds on 32-bit words that live in u64 registers, where a product of two is whole.  What gathers above the
 * lower 32 bits is cut off only where it would matter: before a product, and at the end. */
static hli_xvalue philox(const build *b, const hli_xvalue *a) {
  hli_xvalue mask = num(b, a[0], 4294967295.0), half = num(b, a[0], 32);
  hli_xvalue k0 = a[0], k1 = raw(b, HLI_OP_SHR, a[0], half), c0 = a[1], c1 = raw(b, HLI_OP_SHR, a[1], half);
  hli_xvalue c2 = a[2], c3 = raw(b, HLI_OP_SHR, a[2], half);
  for (int round = 0; round < 10; round++) {
    hli_xvalue p = op2(b, HLI_OP_MUL, op2(b, HLI_OP_AND, c0, mask), num(b, c0, 0xd2511f53u));
    hli_xvalue q = op2(b, HLI_OP_MUL, op2(b, HLI_OP_AND, c2, mask), num(b, c2, 0xcd9e8d57u));
    c0 = op2(b, HLI_OP_XOR, op2(b, HLI_OP_XOR, raw(b, HLI_OP_SHR, q, half), c1), k0);
    c1 = q;
    c2 = op2(b, HLI_OP_XOR, op2(b, HLI_OP_XOR, raw(b, HLI_OP_SHR, p, half), c3), k1);
    c3 = p;
    k0 = op2(b, HLI_OP_ADD, k0, num(b, k0, 0x9e3779b9u));
    k1 = op2(b, HLI_OP_ADD, k1, num(b, k1, 0xbb67ae85u));
  }
  return op2(b, HLI_OP_OR, raw(b, HLI_OP_SHL, c1, half), op2(b, HLI_OP_AND, c0, mask));
}

/* ---- the table ------------------------------------------------------------------------ */

static const struct {
  uint16_t code;
  const char *kinds; /* of operand dtypes */
  expand_fn fn;
} expansions[] = {
    {HLI_OP_RECIPROCAL, "f", reciprocal}, {HLI_OP_RSQRT, "f", rsqrt_},          {HLI_OP_SIGMOID, "f", sigmoid},
    {HLI_OP_SILU, "f", silu},             {HLI_OP_TANH, "f", tanh_},            {HLI_OP_RELU, "fiu", relu},
    {HLI_OP_SIGN, "fiu", sign},           {HLI_OP_FLOORDIV, "f", floordiv_f},   {HLI_OP_TRUNCDIV, "f", truncdiv_f},
    {HLI_OP_FMOD, "f", fmod_f},           {HLI_OP_FMOD, "iu", fmod_i},
    {HLI_OP_REM, "f", rem_f},             {HLI_OP_FLOORDIV, "iu", floordiv_i},  {HLI_OP_TRUNCDIV, "iu", truncdiv_i},
    {HLI_OP_REM, "iu", rem_i},            {HLI_OP_SHL, "iu", shl},              {HLI_OP_SHR, "iu", shr},
    {HLI_OP_FLOOR, "iu", same},           {HLI_OP_CEIL, "iu", same},            {HLI_OP_TRUNC, "iu", same},
    {HLI_OP_PHILOX, "u", philox},         {HLI_OP_ROUND, "iu", same},           {HLI_OP_ABS, "u", same},
};

bool hli_expand(hli_opcode code, hl_dtype dtype, const hli_expand_ops *vt, void *ctx, const hli_xvalue *args,
                hli_xvalue *out) {
  char kind = hli_dtype_kind(dtype);
  build b = {vt, ctx, dtype};
  for (uint32_t i = 0; i < HLI_COUNT(expansions); i++) {
    if (expansions[i].code != code || !kind || !strchr(expansions[i].kinds, kind))
      continue;
    *out = expansions[i].fn(&b, args);
    return true;
  }
  return false;
}
