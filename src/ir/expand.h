/* expand.h: composite pointwise ops in terms of primitive ones.
 *
 * sigmoid(x) = 1 / (1 + exp(-x)) and its like are written once, over a table of hooks that
 * build primitives: the emitters build LLVM IR through it, the evaluator (scalar.c) computes with it.
 * Operations on integers with stated results where a machine has none (x / 0, INT_MIN / -1, shifts
 * beyond the width) are expanded here too, over the machine's raw operations.
 *
 * f16 and bf16: the composites with exp in them need the precision of f32; widen before, narrow after. */
#ifndef HLI_EXPAND_H
#define HLI_EXPAND_H

#include "src/ir/ir.h"

/* A value of whoever expands: an LLVMValueRef, a number of a temporary ... */
typedef uintptr_t hli_xvalue;

typedef struct hli_expand_ops {
  /* A primitive, i.e. a pointwise op that hli_expand returns false for; as many args as it has operands. */
  hli_xvalue (*op)(void *ctx, hli_opcode code, const hli_xvalue *args);
  /* A constant of the dtype and shape of `like`. */
  hli_xvalue (*constant)(void *ctx, hli_xvalue like, double value);
  /* The machine's TRUNCDIV, REM (sign of the dividend), SHL and SHR on integers; never called with a divisor
   * of 0, with INT_MIN / -1 or with a count outside 0 .. width - 1. */
  hli_xvalue (*raw)(void *ctx, hli_opcode code, hli_xvalue a, hli_xvalue b);
} hli_expand_ops;

/* Builds `code` on operands of `dtype` out of primitives; false (and nothing built) if it is one. */
bool hli_expand(hli_opcode code, hl_dtype dtype, const hli_expand_ops *vt, void *ctx, const hli_xvalue *args,
                hli_xvalue *out);

#endif
