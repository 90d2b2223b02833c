/* example.h: what one kernel of the ladder provides.  One file = one kernel: builder code, a reference in
 * double precision, argument specs and shapes.  `hl list`, `hl show`, hl-bench and the conformance tests
 * run over the table in registry.c. */
#ifndef HL_EXAMPLE_H
#define HL_EXAMPLE_H

#include "hl/hl.h"

#define HL_EXAMPLE_DIMS 4
#define HL_EXAMPLE_ARGS 8

/* One shape: sizes of the kernel's dimensions in the order of `dims`. */
typedef struct hl_example_shape {
  int64_t size[HL_EXAMPLE_DIMS];
} hl_example_shape;

/* Tensors of a reference: data as double, row-major, sizes as in the kernel's parameters. */
typedef struct hl_example_tensor {
  double *data;
  double
      *scale; /* outputs: zeros; where an element is a sum whose terms may cancel, the reference adds up their sizes */
  uint32_t rank;
  int64_t shape[HL_MAX_RANK];
} hl_example_tensor;

/* The matrix product in an example, out[m, n] of x[m, k] . y[k, n]: what libraries can do of it. */
typedef struct hl_example_gemm {
  uint8_t m, k, n;                 /* which of the sizes */
  uint8_t x, y, out;               /* which arguments */
  bool x_transposed, y_transposed; /* stored the other way round */
  uint8_t batch;                   /* 0: one product; else 1 + which size says how many, one behind the other */
  bool y_shared;                   /* by all of the batch */
  bool bare;                       /* the example does nothing else */
} hl_example_gemm;

/* The loop on one dtype of the inputs. */
typedef struct hl_example_plain {
  hl_dtype dtype;
  void (*run)(void *const *args, const int64_t *size);
} hl_example_plain;

typedef struct hl_example {
  int number; /* rung of the ladder */
  const char *name;
  const char *summary;
  const char *dims[HL_EXAMPLE_DIMS]; /* names, NULL-terminated if fewer */
  const hl_dtype *dtypes;            /* HL_DTYPE_NONE-terminated; the first is the default */
  /* Builds the kernel for a dtype of its inputs. */
  hl_status (*build)(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out);
  /* Fills the outputs among args (parameter order) from the inputs. */
  void (*reference)(const hl_example_tensor *args, uint32_t count);
  bool by_position;       /* the reference depends on where an element stands: it is not called for parts of the rows */
  hl_example_shape bench; /* measured by default */
  const hl_example_shape *odd; /* checked in tests; ends with a shape whose first size is 0 */
  /* Least bytes moved and floating-point operations of one run; element sizes from the dtype. */
  double (*bytes)(const int64_t *size, uint32_t element);
  double (*flops)(const int64_t *size);
  /* Terms that are added up into one output element: the reduction length of the tolerance. */
  int64_t (*reduction)(const int64_t *size);
  /* The obvious C loop on f32 (timed by hl-bench as a reference), in the kernel's parameter order. */
  void (*plain)(void *const *args, const int64_t *size);
  const hl_example_plain *plains; /* or on f32 and other dtypes, ends with HL_DTYPE_NONE */
  const hl_example_gemm *gemm;    /* NULL: no matrix product */
  bool whole_rows;                /* a program holds whole rows of a product: a GPU takes them up to some length */
} hl_example;

/* How many blocks of `block` elements cover a size: what an output of one element per block has. */
static inline hl_value example_blocks(hl_builder *b, hl_value size, int64_t block) {
  return hl_floordiv(b, hl_add(b, size, hl_const_i(b, block - 1)), hl_const_i(b, block));
}

/* What many of them share (common.c). */
extern const hl_dtype example_floats[];         /* f32, bf16, f16, f64 */
extern const hl_dtype example_f32_and_halves[]; /* f32, bf16, f16 */
extern const hl_example_shape example_vectors[], example_planes[], example_rows[], example_few_rows[];
int64_t example_single(const int64_t *size); /* nothing is added up */
int64_t example_row(const int64_t *size);    /* the N elements of a row of [M, N] */

extern const hl_example *const hl_examples[];
extern const uint32_t hl_example_count;
/* The C loop for a dtype of the inputs; NULL: there is none. */
void (*hl_example_plain_of(const hl_example *e, hl_dtype dtype))(void *const *args, const int64_t *size);
const hl_example *hl_example_find(const char *name); /* NULL if unknown */

#endif
