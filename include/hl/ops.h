/* libhl: ops.h: the lists of pointwise and reduction operations of the builder.
 * SPDX-License-Identifier: MIT
 *
 * One X-list per family.  From them come the enums here and the inline sugar in
 * kernel.h (hl_exp(b, x) is hl_unary(b, HL_EXP, x)), so that a new operation adds
 * a value, never an exported symbol. */
#ifndef HL_OPS_H
#define HL_OPS_H

/* X(ENUM, name)  result shape = operand shape.
 * Floating functions on integers compute in f32; on f16/bf16 in f32 and cast back. */
#define HL_UNARY_LIST(X)                                                            \
  X(NEG, neg) X(ABS, abs) X(SIGN, sign) X(RECIPROCAL, reciprocal)                   \
  X(EXP, exp) X(EXP2, exp2) X(LOG, log) X(LOG2, log2) X(SQRT, sqrt) X(RSQRT, rsqrt) \
  X(EXPM1, expm1) X(LOG10, log10) X(LOG1P, log1p)                                   \
  X(SIN, sin) X(COS, cos) X(TAN, tan) X(ASIN, asin) X(ACOS, acos) X(ATAN, atan)     \
  X(SINH, sinh) X(COSH, cosh) X(TANH, tanh) X(ERF, erf)                             \
  X(ASINH, asinh) X(ACOSH, acosh) X(ATANH, atanh)                                   \
  X(ERFC, erfc) X(ERFINV, erfinv) X(LGAMMA, lgamma) /* of the absolute value */     \
  X(SIGMOID, sigmoid) X(SILU, silu) X(GELU_TANH, gelu_tanh) X(GELU_ERF, gelu_erf)   \
  X(SOFTPLUS, softplus) X(RELU, relu)                                               \
  X(FLOOR, floor) X(CEIL, ceil) X(TRUNC, trunc) X(ROUND, round) /* half to even */  \
  X(TF32, tf32) /* f32 rounded to 10 bits of fraction: what HL_DOT_TF32 multiplies */ \
  X(ISNAN, isnan) X(ISINF, isinf) X(NOT, not) /* logical for bool, bitwise for ints */

/* Operands broadcast and promote as in PyTorch; comparisons give bool. */
#define HL_BINARY_LIST(X)                                                           \
  X(ADD, add) X(SUB, sub) X(MUL, mul) X(DIV, div) /* true division: ints give f32 */ \
  X(FLOORDIV, floordiv) X(TRUNCDIV, truncdiv) X(REM, rem) /* sign of the divisor */ \
  X(FMOD, fmod) /* sign of the dividend */ X(POW, pow) X(ATAN2, atan2) /* y, x */   \
  X(MIN, min) X(MAX, max) /* NaN propagates */                                      \
  X(AND, and) X(OR, or) X(XOR, xor) X(SHL, shl) X(SHR, shr)                         \
  X(EQ, eq) X(NE, ne) X(LT, lt) X(LE, le) X(GT, gt) X(GE, ge)

/* Reductions over axes.  f16/bf16 sums accumulate in f32. */
#define HL_REDUCE_LIST(X) X(SUM, sum) X(PROD, prod) X(MAX, max) X(MIN, min) X(ANY, any) X(ALL, all)

typedef enum hl_unary_op {
#define HL_X(E, n) HL_##E,
  HL_UNARY_LIST(HL_X)
#undef HL_X
  HL_UNARY_COUNT
} hl_unary_op;

typedef enum hl_binary_op {
#define HL_X(E, n) HL_##E,
  HL_BINARY_LIST(HL_X)
#undef HL_X
  HL_BINARY_COUNT
} hl_binary_op;

typedef enum hl_reduce_op {
#define HL_X(E, n) HL_REDUCE_##E,
  HL_REDUCE_LIST(HL_X)
#undef HL_X
  HL_REDUCE_COUNT
} hl_reduce_op;

#endif
