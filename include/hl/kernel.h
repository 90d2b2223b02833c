/* libhl: kernel.h: describing a kernel: the builder, its text form and its parameters.
 * SPDX-License-Identifier: MIT
 *
 * The model is "tensors with tiles": a kernel loops over tiles of its tensors; the values
 * inside are whole tiles; out-of-range lanes are masked by the library.  How large tiles are, how
 * they map to the machine and in which order is not said here: a configuration decides (config.h).
 *
 * Errors are sticky: a wrong call records one diagnostic (with the caller's file and line) and
 * returns HL_POISON; poison in gives poison out without further complaints; hl_builder_finish
 * returns the first one.  Every call `hl_x(b, ...)` is a macro that adds the location where it
 * matters (hl_at).
 *
 * Errors: of the builder as above, HL_ERR_BUILD at the end; HL_ERR_PARSE from text.
 * Threads: a builder is used by one thread at a time; kernels are immutable and used by any.
 * Memory: arrays and names are copied; the kernel is the caller's, and must go before its context.
 * Since: 0.1. */
#ifndef HL_KERNEL_H
#define HL_KERNEL_H

#include "hl/base.h"
#include "hl/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_builder hl_builder;
typedef struct hl_kernel hl_kernel;

/* A value of the kernel under construction: a tile value, a scalar, a tensor parameter or a tile. */
typedef uint32_t hl_value;
#define HL_POISON 0u

/* A named dimension of parameters: the same name on two tensors states equality. */
typedef uint32_t hl_dim;

/* ---- builder ------------------------------------------------------------------ */

/* Begins a kernel; its name is a C identifier of at most 40 characters. */
HL_API hl_status hl_builder_create(hl_context *ctx, const char *kernel_name, hl_diag *diag, hl_builder **out);
/* Abandons a kernel; not needed after hl_builder_finish. */
HL_API void hl_builder_destroy(hl_builder *b);
/* Closes the builder (it is destroyed in any case) and hands over the immutable kernel. */
HL_API hl_status hl_builder_finish(hl_builder *b, hl_diag *diag, hl_kernel **out);

/* Sets the source location of the next calls; returns b.  The hl_* macros below do it. */
HL_API hl_builder *hl_builder_at(hl_builder *b, const char *file, uint32_t line);
#define hl_at(b) hl_builder_at((b), __FILE__, __LINE__)

/* ---- dimensions and parameters --------------------------------------------------- */

HL_API hl_dim hl_dim_named(hl_builder *b, const char *name);  /* the same name gives the same dimension */
HL_API hl_dim hl_dim_static(hl_builder *b, int64_t size);     /* a constant */
HL_API void hl_dim_set_dynamic(hl_builder *b, hl_dim dim);    /* one compiled kernel for all sizes */
/* States that every size of the dimension is a multiple of n > 0: launches guard it, code relies on it. */
HL_API void hl_dim_set_multiple_of(hl_builder *b, hl_dim dim, int64_t n);
HL_API void hl_dim_set_example(hl_builder *b, hl_dim dim, int64_t size); /* for benchmark, tuner, checks */

typedef enum hl_access { HL_IN = 1, HL_OUT = 2, HL_INOUT = 3 } hl_access;

/* How benchmark, tuner and checks fill a parameter. */
typedef enum hl_dist { HL_DIST_NORMAL, HL_DIST_UNIFORM, HL_DIST_INTEGER, HL_DIST_CONSTANT } hl_dist;
typedef struct hl_arg_spec {
  hl_dist dist;   /* NORMAL: mean a, deviation b; UNIFORM [a, b); INTEGER a..b inclusive; CONSTANT a */
  double a, b;
  bool sorted;    /* ascending, e.g. offsets */
} hl_arg_spec;

/* Default spec: NORMAL 0 1 for floats, INTEGER 0..7 for integers. */
HL_API hl_value hl_param_tensor(hl_builder *b, const char *name, hl_dtype dtype, const hl_dim *dims,
                                uint32_t rank, hl_access access);
/* A scalar argument: i64 or f64 at the launch, rounded to the dtype. */
HL_API hl_value hl_param_scalar(hl_builder *b, const char *name, hl_dtype dtype);
/* How benchmark, tuner and checks fill the parameter. */
HL_API void hl_param_set_spec(hl_builder *b, hl_value param, hl_arg_spec spec);
/* Every launch begins by giving all elements of a tensor that is written this value, whatever they held: what atomics add
 * up in needs no filling by the caller.  The value must be one of the tensor's dtype.  Not together with may_alias. */
HL_API void hl_param_set_initial(hl_builder *b, hl_value param, double value);
/* Allows p and q to overlap in memory; without it a launch refuses what is written to overlap anything else. */
HL_API void hl_param_set_may_alias(hl_builder *b, hl_value p, hl_value q);

/* ---- what may be less exact ---------------------------------------------------------- */

/* By default every operation rounds once.  A kernel may allow its compiler to do with less; what is allowed is part of
 * the kernel, its text and its digest. */
enum {
  HL_ALLOW_CONTRACT = 1,   /* a * b + c with one rounding */
  HL_ALLOW_FLUSH = 2,      /* subnormal operands and results of floats become 0 */
  HL_ALLOW_APPROX_DIV = 4, /* x / y as x * (1 / y): a few ulp, and 0 or NaN for |y| above 2^126 */
  HL_ALLOW_TF32 = 8        /* hl_dot of f32 rounds its operands to tf32 where the target gains by it */
};
HL_API void hl_allow(hl_builder *b, uint32_t what); /* of these, or-ed; adds to what was allowed */

/* ---- sizes that must fit ---------------------------------------------------------------- */

/* Refuses to run unless `a cmp c` holds; cmp is HL_EQ .. HL_GE.  Constants are hl_dim_static. */
HL_API void hl_require(hl_builder *b, hl_dim a, hl_binary_op cmp, hl_dim c);

/* Says what a dimension's size follows from, so that outputs can be allocated (hl_kernel_output) and need not be given
 * where sizes are: v is made of hl_size, integer scalar parameters and constants by + - * floordiv truncdiv rem min max,
 * all i64.  Arguments that do not agree are refused (HL_ERR_GUARD) with both sizes. */
HL_API void hl_dim_set_size(hl_builder *b, hl_dim dim, hl_value v);

/* ---- knobs of your own ------------------------------------------------------------------ */

/* A number that the configuration decides, like block sizes: a constant once it is applied, so it may be the extent of a
 * loop, the block of a tile (hl_tile_options.blocks), the condition of an if.  It is in the space as "tunables", has its
 * default until somebody says otherwise ({"tunables":{"split":8}}), and is part of what a plan is cached for.  Names are
 * identifiers of at most 40 characters; at most 16 a kernel.  i64 scalars; hl_tunable_bool gives a bool. */
HL_API hl_value hl_tunable_power(hl_builder *b, const char *name, int64_t low, int64_t high, int64_t preferred); /* low, 2 low, .. high: powers of two */
HL_API hl_value hl_tunable_integer(hl_builder *b, const char *name, int64_t low, int64_t high, int64_t step,
                                   int64_t preferred); /* low, low + step, .. up to high; at most 256 */
HL_API hl_value hl_tunable_enum(hl_builder *b, const char *name, const int64_t *values, uint32_t n,
                                int64_t preferred); /* 1 to 16 values, ascending */
/* true or false. */
HL_API hl_value hl_tunable_bool(hl_builder *b, const char *name, bool preferred);

/* Makes a value a constant of the compiled code and a part of what a plan is made for; gives it back.
 *   hl_size(b, x, d)     of every size of the dimension, also where it was declared dynamic
 *   hl_stride(b, x, d)   also where the tensor has dynamic dimensions, whose strides are arguments otherwise
 *   a scalar parameter   its value, taken from the arguments that the plan is made from
 * A launch with another size, stride or value is refused (HL_ERR_GUARD) with both. */
HL_API hl_value hl_specialize(hl_builder *b, hl_value v);

/* ---- tiles ------------------------------------------------------------------------- */

/* Opens a loop over tiles of [0, extents[d]) and fills tiles[d].  The outermost one is the launch
 * grid.  Extents are integer scalars (hl_size, constants, arithmetic on them). */
HL_API void hl_tile_begin(hl_builder *b, const hl_value *extents, uint32_t rank, hl_value *tiles);
typedef struct hl_tile_options {
  size_t size;
  const hl_value *begins;    /* NULL: 0 */
  int64_t block_min[HL_MAX_RANK], block_max[HL_MAX_RANK]; /* 0: free; equal: fixed */
  const hl_value *carried;   /* initial values; NULL: none */
  uint32_t carried_count;
  hl_value *carried_in;      /* out: the values inside the loop, carried_count of them */
  const hl_value *blocks;    /* per tile HL_POISON, or a tunable (hl_tunable_power, ..): the block is its value; NULL: none */
} hl_tile_options;
#define HL_TILE_OPTIONS_INIT {sizeof(hl_tile_options), 0, {0}, {0}, 0, 0, 0, 0}
/* The same with begins, limits on block sizes, and values that go around the loop. */
HL_API void hl_tile_begin_ex(hl_builder *b, const hl_value *extents, uint32_t rank,
                             const hl_tile_options *options, hl_value *tiles);
/* Closes the innermost loop: next values in, final values out (as many as were carried). */
HL_API void hl_tile_end(hl_builder *b, const hl_value *next, hl_value *results);

/* A tile loop with blocks of 1 whose tiles are i64 scalars: index[d] runs over [0, extents[d]).  Ends with
 * hl_tile_end.  A loop that shall be unrolled when the kernel is built is a loop of the calling program. */
HL_API void hl_grid_begin(hl_builder *b, const hl_value *extents, uint32_t rank, hl_value *index);

/* if: what stands between begin and end happens only where the scalar cond is not 0.  Values computed in there leave
 * it only as carried ones: `carried` go in (and stay what they are where cond is 0), carried_in are they inside, `next`
 * what they become, `results` what they are behind it; n 0 and NULL without any.  hl_else closes the first half and
 * opens the other, in which the carried values are the original ones again, as carried_in. */
HL_API void hl_if_begin(hl_builder *b, hl_value cond, const hl_value *carried, uint32_t n, hl_value *carried_in);
HL_API void hl_else(hl_builder *b, const hl_value *next, hl_value *carried_in);
HL_API void hl_if_end(hl_builder *b, const hl_value *next, hl_value *results);
/* while (cond) { ...; cond = again }: the scalar `cond` is computed before the loop and, from the next values, at
 * its end. */
HL_API void hl_while_begin(hl_builder *b, hl_value cond, const hl_value *carried, uint32_t n, hl_value *carried_in);
HL_API void hl_while_end(hl_builder *b, hl_value again, const hl_value *next, hl_value *results);

HL_API hl_value hl_size(hl_builder *b, hl_value tensor, uint32_t dim); /* i64 scalar */
/* i64 scalar: elements between neighbours along the dimension; unspecified for a dimension of size 0 or 1. */
HL_API hl_value hl_stride(hl_builder *b, hl_value tensor, uint32_t dim);
HL_API hl_value hl_tile_index(hl_builder *b, hl_value tile);           /* i64 tile value of the indices */
HL_API hl_value hl_tile_first(hl_builder *b, hl_value tile);           /* i64 scalar: first index */
HL_API hl_value hl_tile_last(hl_builder *b, hl_value tile);            /* i64 scalar: one past the last valid index */
HL_API hl_value hl_tile_id(hl_builder *b, hl_value tile);              /* i64 scalar: first index / block size */
HL_API hl_value hl_tile_block(hl_builder *b, hl_value tile);           /* i64 scalar: block size */

/* ---- memory --------------------------------------------------------------------------- */

#define HL_ALL ((hl_value)0xFFFFFFFFu) /* as an index: the whole dimension, x[i, :] */

#define HL_NEW ((hl_value)0xFFFFFFFEu) /* as an index: a new axis of size 1, beside one index per dimension */

/* One index per dimension:
 *   a tile             the tile's lanes; a dimension of size 1 gives its one element to all of them
 *   an integer scalar  one element (negative counts from the end), no axis
 *   HL_ALL             the whole dimension
 *   a slice            hl_slice, hl_slice_dim
 *   a moved tile       hl_tile_index(b, t) with + - * of scalars: lanes outside the tensor, negative ones too, are
 *                      masked
 *   an integer tile    any other integer tile value: a gather or scatter.  Negative indices count from the end, lanes
 *                      outside the tensor are masked; several broadcast with each other as in NumPy.  Their axes stand
 *                      where the first one stands.  If a scatter hits an element twice, which value stays is unspecified
 * Masked lanes give 0, or `other`; they write nothing. */
HL_API hl_value hl_load(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n);
HL_API hl_value hl_load_masked(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n,
                               hl_value mask, hl_value other); /* other: HL_POISON for 0 */
/* Casts to the tensor's dtype. */
HL_API void hl_store(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, hl_value v);
/* Writes only the lanes where the mask (bool, broadcast to the indices) is true. */
HL_API void hl_store_masked(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n,
                            hl_value v, hl_value mask);

typedef enum hl_evict { HL_EVICT_NONE = 0, HL_EVICT_FIRST = 1, HL_EVICT_LAST = 3 } hl_evict;
typedef struct hl_access_options {
  size_t size;
  hl_value mask;  /* HL_POISON: none */
  hl_value other; /* of loads: what masked lanes give; HL_POISON: 0 */
  hl_evict evict; /* a hint: FIRST it is not used again soon, LAST it is; ignored where the target has no such thing */
} hl_access_options;
#define HL_ACCESS_OPTIONS_INIT {sizeof(hl_access_options), HL_POISON, HL_POISON, HL_EVICT_NONE}
/* hl_load with a mask and hints. */
HL_API hl_value hl_load_ex(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n,
                           const hl_access_options *options);
/* hl_store with a mask and hints. */
HL_API void hl_store_ex(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, hl_value v,
                        const hl_access_options *options);

/* The index x[begin:end:step] of dimension `dim`, as in Python: negative bounds count from the end, HL_SLICE_OPEN is
 * a bound left out.  How many elements that is must be known: the dimension has a size, or no bound is negative or left
 * out (lanes beyond the end are masked then).  Slices of equal length have the same axis. */
#define HL_SLICE_OPEN INT64_MIN
HL_API hl_value hl_slice(hl_builder *b, hl_value tensor, uint32_t dim, int64_t begin, int64_t end, int64_t step);
/* The index first, first + step, ..: as many as the dimension `count` has elements; a tensor must have it.  Its axis is
 * that of HL_ALL of this dimension. */
HL_API hl_value hl_slice_dim(hl_builder *b, hl_value first, hl_dim count, int64_t step);

/* ---- two integers of 4 bits in a byte -------------------------------------------------------
 * Tensors of them are tensors of i8 or u8 whose last dimension counts bytes; the number at the even position is the low
 * half.  Signed ones become i8 of -8 .. 7, unsigned ones u8 of 0 .. 15. */

/* hl_load whose last index counts integers: a tile, an integer scalar or tile value (negative: from the end). */
HL_API hl_value hl_load_int4(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, bool is_signed);
/* The low and the high half of every byte. */
HL_API void hl_unpack_int4(hl_builder *b, hl_value bytes, bool is_signed, hl_value out[2]);
/* Bytes, u8, of the low 4 bits of two integers; what to store. */
HL_API hl_value hl_pack_int4(hl_builder *b, hl_value low, hl_value high);

/* ---- atomics ---------------------------------------------------------------------------- */

typedef enum hl_atomic_op {
  HL_ATOMIC_ADD, HL_ATOMIC_AND, HL_ATOMIC_OR, HL_ATOMIC_XOR, HL_ATOMIC_XCHG, HL_ATOMIC_MAX, HL_ATOMIC_MIN,
  HL_ATOMIC_CAS, /* stores the value where what is there has the bits of `expected` */
  HL_ATOMIC_COUNT
} hl_atomic_op;
typedef enum hl_memory_order { HL_RELAXED, HL_ACQUIRE, HL_RELEASE, HL_ACQ_REL, HL_ORDER_COUNT } hl_memory_order;
typedef struct hl_atomic_options {
  size_t size;
  hl_value mask;     /* HL_POISON: none; masked lanes do nothing and give 0 */
  hl_value expected; /* of HL_ATOMIC_CAS */
  hl_memory_order order;
} hl_atomic_options;
#define HL_ATOMIC_OPTIONS_INIT {sizeof(hl_atomic_options), HL_POISON, HL_POISON, HL_RELAXED}

/* Combines v (cast to the tensor's dtype) into the elements, each in one step that no other program can come between, and
 * gives what was there before.  Indices as in hl_load.  The tensor is HL_INOUT, of 32- or 64-bit integers, f16, bf16, f32 or
 * f64 (and, or, xor: integers).  The order in which programs come is not specified. */
HL_API hl_value hl_atomic(hl_builder *b, hl_atomic_op op, hl_value tensor, const hl_value *index, uint32_t n, hl_value v);
/* The same with a mask, a memory order, and what HL_ATOMIC_CAS expects. */
HL_API hl_value hl_atomic_ex(hl_builder *b, hl_atomic_op op, hl_value tensor, const hl_value *index, uint32_t n,
                             hl_value v, const hl_atomic_options *options);

/* ---- values ------------------------------------------------------------------------------ */

HL_API hl_value hl_const_f(hl_builder *b, double x);  /* literal: promotes weakly */
HL_API hl_value hl_const_i(hl_builder *b, int64_t x); /* literal: promotes weakly */
/* A tile value of the tiles' shape, every lane x rounded to the dtype; rank 0: a scalar. */
HL_API hl_value hl_full(hl_builder *b, const hl_value *tiles, uint32_t rank, hl_dtype dtype, double x);
/* The same with the shape of v. */
HL_API hl_value hl_full_like(hl_builder *b, hl_value v, hl_dtype dtype, double x);
/* hl_full with 0. */
HL_API hl_value hl_zeros(hl_builder *b, const hl_value *tiles, uint32_t rank, hl_dtype dtype);
/* Converts: to floats rounds to nearest even, floats to integers truncate and saturate (NaN: 0), integers wrap. */
HL_API hl_value hl_cast(hl_builder *b, hl_value v, hl_dtype dtype);
HL_API hl_value hl_bitcast(hl_builder *b, hl_value v, hl_dtype dtype); /* the same bits; sizes must be equal, no bool */
/* One pointwise operation of HL_UNARY_LIST; hl_exp(b, x) is sugar for hl_unary(b, HL_EXP, x). */
HL_API hl_value hl_unary(hl_builder *b, hl_unary_op op, hl_value a);
/* One of HL_BINARY_LIST; shapes broadcast and dtypes promote as in PyTorch. */
HL_API hl_value hl_binary(hl_builder *b, hl_binary_op op, hl_value a, hl_value c);
/* a * c + d with one rounding. */
HL_API hl_value hl_fma(hl_builder *b, hl_value a, hl_value c, hl_value d);
/* a where cond (bool) is true, else c; all three broadcast. */
HL_API hl_value hl_where(hl_builder *b, hl_value cond, hl_value a, hl_value c);
/* 0 .. n - 1 as i64, along the axis of a slice of n elements; equal n give the same axis.  1 <= n <= 2^20, inside a tile loop. */
HL_API hl_value hl_arange(hl_builder *b, int64_t n);
HL_API hl_value hl_expand(hl_builder *b, hl_value v, hl_value like); /* broadcast to the shape of `like` */
/* n values of one shape along a new axis, that of hl_arange(n), before `axis`. */
HL_API hl_value hl_stack(hl_builder *b, const hl_value *v, uint32_t n, uint32_t axis);
HL_API hl_value hl_join(hl_builder *b, hl_value first, hl_value second); /* a new last axis of 2 */
HL_API void hl_split(hl_builder *b, hl_value v, hl_value out[2]);        /* the two halves of a last axis of 2 */
/* n values end to end along an axis of known sizes: all shapes are equal but for it, dtypes are promoted.  The axis of the
 * result is that of hl_arange of all their elements.  On GPUs for short axes, like hl_gather, of which it is made. */
HL_API hl_value hl_cat(hl_builder *b, const hl_value *v, uint32_t n, uint32_t axis);
/* Element `index` (negative: from the end) along an axis of known size; the axis disappears. */
HL_API hl_value hl_select(hl_builder *b, hl_value v, uint32_t axis, int64_t index);
/* The same elements in row-major order.  Axes of tiles and of dimensions without a size stay, HL_KEEP in `sizes`; those
 * between two of them must hold as many elements as before.  Not on GPUs yet. */
#define HL_KEEP (-1)
HL_API hl_value hl_reshape(hl_builder *b, hl_value v, const int64_t *sizes, uint32_t rank);
HL_API hl_value hl_unsqueeze(hl_builder *b, hl_value v, uint32_t axis); /* new axis of size 1 before `axis` */
/* Drops an axis of size 1. */
HL_API hl_value hl_squeeze(hl_builder *b, hl_value v, uint32_t axis);
/* Axis i of the result is axis perm[i] of v; one entry per axis. */
HL_API hl_value hl_transpose(hl_builder *b, hl_value v, const uint32_t *perm);

/* v[:, None, :]: HL_ALL keeps an axis, HL_NEW adds one of size 1. */
HL_API hl_value hl_subscript(hl_builder *b, hl_value v, const hl_value *index, uint32_t n);
/* Element c of the result is v's at c with c[axis] replaced by index[c]; 0 where v has no such lane, negative ones among
 * them.  The index has v's shape but for that axis.  On GPUs of axes that are whole, of known size, and no more than 4096
 * elements times indices long: others are HL_ERR_UNSUPPORTED. */
HL_API hl_value hl_gather(hl_builder *b, hl_value v, int32_t axis, hl_value index);

/* ---- random numbers ------------------------------------------------------------------------
 * Philox 4x32-10 with the seed as key and an element's offset as counter: the same seed and offset give the same number
 * in every configuration, on every machine.  Both are integers; only the seed and the offset count, so two calls with
 * the same ones give the same numbers: use another seed, or offsets that do not meet. */
/* Row-major offset in the tensor of the elements that tiles and scalars select, i64: what to count random numbers by. */
HL_API hl_value hl_offset(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n);
HL_API hl_value hl_rand(hl_builder *b, hl_value seed, hl_value offset);  /* f32, uniform in [0, 1), multiples of 2^-24 */
HL_API hl_value hl_randn(hl_builder *b, hl_value seed, hl_value offset); /* f32, normal, within +-5.8 */
/* i64, low <= r < high; high - low <= 2^32 */
HL_API hl_value hl_randint(hl_builder *b, hl_value seed, hl_value offset, hl_value low, hl_value high);

/* Reduces the given axes (negative count from the end); keep: they stay with size 1. */
HL_API hl_value hl_reduce(hl_builder *b, hl_reduce_op op, hl_value v, const int32_t *axes, uint32_t n, bool keep);
/* The sum over the axes divided by the number of their elements. */
HL_API hl_value hl_mean(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, bool keep);
/* Population (correction 0) or sample (1) variance and mean, in two passes. */
HL_API void hl_var_mean(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, double correction, bool keep,
                        hl_value *var, hl_value *mean);
/* Only the variance. */
HL_API hl_value hl_var(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, double correction, bool keep);
/* The square root of the variance. */
HL_API hl_value hl_std(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, double correction, bool keep);
/* log(sum(exp(v))), about the largest element; rows of -inf give -inf. */
HL_API hl_value hl_logsumexp(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, bool keep);
/* (sum |x|^p)^(1/p); p may be 0 (how many are not 0), INFINITY (largest) or -INFINITY (smallest size). */
HL_API hl_value hl_norm(hl_builder *b, hl_value v, double p, const int32_t *axes, uint32_t n, bool keep);
/* i64 position of the largest element along the axis, counted within the dimension or the tile; of several
 * axes row by row.  The first of equal elements wins, NaN wins over numbers; an empty axis gives 2^63 - 1. */
HL_API hl_value hl_argmax(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, bool keep);
/* The smallest one's, by the same rules. */
HL_API hl_value hl_argmin(hl_builder *b, hl_value v, const int32_t *axes, uint32_t n, bool keep);

/* i64 positions 0, 1, ... along an axis, in the shape of v. */
HL_API hl_value hl_positions(hl_builder *b, hl_value v, int32_t axis);

/* Reduces n values (at most 8, broadcast to one shape) at once by a region of the caller's.  hl_reduce_begin fills
 * left[n] and right[n] with scalars: two partial results, to be combined by pointwise operations until hl_reduce_end
 * takes the n combined ones and gives the results.  The region must be associative and commutative, and the
 * identities (scalars of the values' dtypes) must change nothing: elements are combined in any order, starting from
 * identities any number of times. */
HL_API void hl_reduce_begin(hl_builder *b, const hl_value *values, const hl_value *identities, uint32_t n,
                            const int32_t *axes, uint32_t axis_count, bool keep, hl_value *left, hl_value *right);
/* Closes the region: the n combined values, the n results. */
HL_API void hl_reduce_end(hl_builder *b, const hl_value *combined, hl_value *results);

/* Running reductions along an axis of the tile, each including its own element; reverse: from the end.  Sums and
 * products of integers are i64, f16 and bf16 accumulate in f32. */
HL_API hl_value hl_scan(hl_builder *b, hl_reduce_op op, hl_value v, int32_t axis, bool reverse);
/* The same by a region, which must be associative: left is what is combined so far, right the next element. */
HL_API void hl_scan_begin(hl_builder *b, const hl_value *values, const hl_value *identities, uint32_t n, int32_t axis,
                          bool reverse, hl_value *left, hl_value *right);
/* Closes the region: the n combined values, the n results. */
HL_API void hl_scan_end(hl_builder *b, const hl_value *combined, hl_value *results);

/* acc[m, n] + a[m, k] . c[k, n]; acc HL_POISON: zeros.  With a leading batch axis, the same on both, one such product
 * per index: acc[b, m, n] + a[b, m, k] . c[b, k, n]; an operand of rank 2 belongs to every index.  The batch axis gets
 * blocks of 1.
 * Added up in f32 (f16, bf16, f32 and 8-bit floats), f64, or i32 (integers of up to 32 bits, signed or mixed; u32 if
 * both are unsigned; 64 bits in their own).  i8 with u8 and 8-bit floats of different forms go together; other dtypes
 * are promoted.  The result has acc's dtype, without acc that in which it was added up. */
HL_API hl_value hl_dot(hl_builder *b, hl_value a, hl_value c, hl_value acc);
/* The same, cast to out_dtype. */
HL_API hl_value hl_dot_ex(hl_builder *b, hl_value a, hl_value c, hl_value acc, hl_dtype out_dtype);
/* How exactly f32 operands are multiplied.  IEEE: as they are.  TF32: rounded to 10 bits of fraction (hl_tf32), which
 * NVIDIA's matrix instructions take.  TF32X3: each split into two such numbers, three products: nearly IEEE, at a third of
 * the speed of TF32; infinities may give NaN.  Where a target has no such instructions, TF32 rounds and TF32X3 is IEEE. */
typedef enum hl_precision { HL_DOT_IEEE, HL_DOT_TF32, HL_DOT_TF32X3, HL_PRECISION_COUNT } hl_precision;
typedef struct hl_dot_options {
  size_t size;
  hl_dtype out_dtype;     /* HL_DTYPE_NONE: that of acc, without acc that in which it is added up */
  hl_precision precision; /* of f32 operands; others must have IEEE */
} hl_dot_options;
#define HL_DOT_OPTIONS_INIT {sizeof(hl_dot_options), HL_DTYPE_NONE, HL_DOT_IEEE}
/* hl_dot with a result dtype and a precision. */
HL_API hl_value hl_dot_with(hl_builder *b, hl_value a, hl_value c, hl_value acc, const hl_dot_options *options);

/* Names a value in the text form (a hint). Returns v. */
HL_API hl_value hl_name(hl_builder *b, hl_value v, const char *name);

/* Sugar: hl_exp(b, x), hl_add(b, x, y), hl_reduce_sum(b, x, axis) ... */
#define HL_X(E, n) \
  static inline hl_value hl_##n(hl_builder *b, hl_value a) { return hl_unary(b, HL_##E, a); }
HL_UNARY_LIST(HL_X)
#undef HL_X
#define HL_X(E, n) \
  static inline hl_value hl_##n(hl_builder *b, hl_value a, hl_value c) { return hl_binary(b, HL_##E, a, c); }
HL_BINARY_LIST(HL_X)
#undef HL_X
#define HL_X(E, n)                                                                       \
  static inline hl_value hl_reduce_##n(hl_builder *b, hl_value a, int32_t axis, bool keep) { \
    return hl_reduce(b, HL_REDUCE_##E, a, &axis, 1, keep);                               \
  }
HL_REDUCE_LIST(HL_X)
#undef HL_X
static inline hl_value hl_cumsum(hl_builder *b, hl_value v, int32_t axis, bool reverse) {
  return hl_scan(b, HL_REDUCE_SUM, v, axis, reverse);
}
static inline hl_value hl_cumprod(hl_builder *b, hl_value v, int32_t axis, bool reverse) {
  return hl_scan(b, HL_REDUCE_PROD, v, axis, reverse);
}
/* min(max(x, low), high): NaN stays, and where low > high the result is high. */
static inline hl_value hl_clamp(hl_builder *b, hl_value x, hl_value low, hl_value high) {
  return hl_binary(b, HL_MIN, hl_binary(b, HL_MAX, x, low), high);
}
/* a + w (c - a), from whichever end is nearer: exactly a at w = 0 and c at w = 1. */
static inline hl_value hl_lerp(hl_builder *b, hl_value a, hl_value c, hl_value w) {
  hl_value d = hl_binary(b, HL_SUB, c, a);
  hl_value rest = hl_binary(b, HL_SUB, hl_const_f(b, 1), w);
  hl_value up = hl_binary(b, HL_ADD, a, hl_binary(b, HL_MUL, w, d));
  hl_value down = hl_binary(b, HL_SUB, c, hl_binary(b, HL_MUL, d, rest));
  return hl_where(b, hl_binary(b, HL_LT, hl_unary(b, HL_ABS, w), hl_const_f(b, 0.5)), up, down);
}
/* x + k y z, e.g. with k = hl_const_f(b, 1) */
static inline hl_value hl_addcmul(hl_builder *b, hl_value x, hl_value y, hl_value z, hl_value k) {
  return hl_binary(b, HL_ADD, x, hl_binary(b, HL_MUL, k, hl_binary(b, HL_MUL, y, z)));
}

/* ---- kernels ------------------------------------------------------------------------------- */

HL_API void hl_kernel_destroy(hl_kernel *k);
/* Reads a kernel from text; `filename` (may be NULL) is for messages.  HL_ERR_PARSE and HL_ERR_BUILD have a line
 * and column. */
HL_API hl_status hl_kernel_parse(hl_context *ctx, hl_str text, const char *filename, hl_diag *diag, hl_kernel **out);
/* The text that parses to the same kernel. */
HL_API hl_status hl_kernel_print(const hl_kernel *k, hl_diag *diag, hl_blob **out);
/* Lives as long as the kernel. */
HL_API hl_str hl_kernel_name(const hl_kernel *k);
/* 128-bit digest of the text form; equal on every machine. */
HL_API void hl_kernel_digest(const hl_kernel *k, uint64_t out[2]);

typedef struct hl_param_info {
  size_t size;
  hl_str name;
  hl_dtype dtype;
  bool is_tensor;
  uint32_t rank;
  hl_access access;
  hl_arg_spec spec;
  hl_str dim_name[HL_MAX_RANK];     /* empty for constants */
  int64_t dim_value[HL_MAX_RANK];   /* constant size, or -1 */
  int64_t dim_example[HL_MAX_RANK]; /* 0: none */
} hl_param_info;
/* Parameters in the order of a launch's arguments. */
HL_API uint32_t hl_kernel_param_count(const hl_kernel *k);
/* Describes the index-th parameter; out->size is set by the caller.  HL_ERR_ARG past the end.  Strings live as long
 * as the kernel. */
HL_API hl_status hl_kernel_param(const hl_kernel *k, uint32_t index, hl_param_info *out);

#ifdef __cplusplus
}
#endif
/* With locations: define HL_NO_LOCATIONS before including to call the plain functions. */
#ifndef HL_NO_LOCATIONS
#define hl_param_tensor(b, ...) (hl_param_tensor)(hl_at(b), __VA_ARGS__)
#define hl_param_scalar(b, ...) (hl_param_scalar)(hl_at(b), __VA_ARGS__)
#define hl_tile_begin(b, ...) (hl_tile_begin)(hl_at(b), __VA_ARGS__)
#define hl_tile_begin_ex(b, ...) (hl_tile_begin_ex)(hl_at(b), __VA_ARGS__)
#define hl_tile_end(b, ...) (hl_tile_end)(hl_at(b), __VA_ARGS__)
#define hl_allow(b, what) (hl_allow)(hl_at(b), what)
#define hl_tunable_power(b, ...) (hl_tunable_power)(hl_at(b), __VA_ARGS__)
#define hl_tunable_integer(b, ...) (hl_tunable_integer)(hl_at(b), __VA_ARGS__)
#define hl_tunable_enum(b, ...) (hl_tunable_enum)(hl_at(b), __VA_ARGS__)
#define hl_tunable_bool(b, ...) (hl_tunable_bool)(hl_at(b), __VA_ARGS__)
#define hl_dim_set_size(b, ...) (hl_dim_set_size)(hl_at(b), __VA_ARGS__)
#define hl_param_set_initial(b, ...) (hl_param_set_initial)(hl_at(b), __VA_ARGS__)
#define hl_require(b, ...) (hl_require)(hl_at(b), __VA_ARGS__)
#define hl_grid_begin(b, ...) (hl_grid_begin)(hl_at(b), __VA_ARGS__)
#define hl_if_begin(b, ...) (hl_if_begin)(hl_at(b), __VA_ARGS__)
#define hl_else(b, ...) (hl_else)(hl_at(b), __VA_ARGS__)
#define hl_if_end(b, ...) (hl_if_end)(hl_at(b), __VA_ARGS__)
#define hl_while_begin(b, ...) (hl_while_begin)(hl_at(b), __VA_ARGS__)
#define hl_while_end(b, ...) (hl_while_end)(hl_at(b), __VA_ARGS__)
#define hl_size(b, ...) (hl_size)(hl_at(b), __VA_ARGS__)
#define hl_stride(b, ...) (hl_stride)(hl_at(b), __VA_ARGS__)
#define hl_specialize(b, v) (hl_specialize)(hl_at(b), v)
#define hl_tile_index(b, t) (hl_tile_index)(hl_at(b), t)
#define hl_load(b, ...) (hl_load)(hl_at(b), __VA_ARGS__)
#define hl_load_masked(b, ...) (hl_load_masked)(hl_at(b), __VA_ARGS__)
#define hl_load_ex(b, ...) (hl_load_ex)(hl_at(b), __VA_ARGS__)
#define hl_store_ex(b, ...) (hl_store_ex)(hl_at(b), __VA_ARGS__)
#define hl_load_int4(b, ...) (hl_load_int4)(hl_at(b), __VA_ARGS__)
#define hl_unpack_int4(b, ...) (hl_unpack_int4)(hl_at(b), __VA_ARGS__)
#define hl_pack_int4(b, ...) (hl_pack_int4)(hl_at(b), __VA_ARGS__)
#define hl_slice(b, ...) (hl_slice)(hl_at(b), __VA_ARGS__)
#define hl_slice_dim(b, ...) (hl_slice_dim)(hl_at(b), __VA_ARGS__)
#define hl_atomic(b, ...) (hl_atomic)(hl_at(b), __VA_ARGS__)
#define hl_atomic_ex(b, ...) (hl_atomic_ex)(hl_at(b), __VA_ARGS__)
#define hl_subscript(b, ...) (hl_subscript)(hl_at(b), __VA_ARGS__)
#define hl_gather(b, ...) (hl_gather)(hl_at(b), __VA_ARGS__)
#define hl_store(b, ...) (hl_store)(hl_at(b), __VA_ARGS__)
#define hl_store_masked(b, ...) (hl_store_masked)(hl_at(b), __VA_ARGS__)
#define hl_const_f(b, x) (hl_const_f)(hl_at(b), x)
#define hl_const_i(b, x) (hl_const_i)(hl_at(b), x)
#define hl_full(b, ...) (hl_full)(hl_at(b), __VA_ARGS__)
#define hl_full_like(b, ...) (hl_full_like)(hl_at(b), __VA_ARGS__)
#define hl_zeros(b, ...) (hl_zeros)(hl_at(b), __VA_ARGS__)
#define hl_cast(b, ...) (hl_cast)(hl_at(b), __VA_ARGS__)
#define hl_bitcast(b, ...) (hl_bitcast)(hl_at(b), __VA_ARGS__)
#define hl_unary(b, ...) (hl_unary)(hl_at(b), __VA_ARGS__)
#define hl_binary(b, ...) (hl_binary)(hl_at(b), __VA_ARGS__)
#define hl_fma(b, ...) (hl_fma)(hl_at(b), __VA_ARGS__)
#define hl_where(b, ...) (hl_where)(hl_at(b), __VA_ARGS__)
#define hl_unsqueeze(b, ...) (hl_unsqueeze)(hl_at(b), __VA_ARGS__)
#define hl_reshape(b, ...) (hl_reshape)(hl_at(b), __VA_ARGS__)
#define hl_arange(b, ...) (hl_arange)(hl_at(b), __VA_ARGS__)
#define hl_expand(b, ...) (hl_expand)(hl_at(b), __VA_ARGS__)
#define hl_stack(b, ...) (hl_stack)(hl_at(b), __VA_ARGS__)
#define hl_cat(b, ...) (hl_cat)(hl_at(b), __VA_ARGS__)
#define hl_join(b, ...) (hl_join)(hl_at(b), __VA_ARGS__)
#define hl_split(b, ...) (hl_split)(hl_at(b), __VA_ARGS__)
#define hl_select(b, ...) (hl_select)(hl_at(b), __VA_ARGS__)
#define hl_offset(b, ...) (hl_offset)(hl_at(b), __VA_ARGS__)
#define hl_rand(b, ...) (hl_rand)(hl_at(b), __VA_ARGS__)
#define hl_randn(b, ...) (hl_randn)(hl_at(b), __VA_ARGS__)
#define hl_randint(b, ...) (hl_randint)(hl_at(b), __VA_ARGS__)
#define hl_squeeze(b, ...) (hl_squeeze)(hl_at(b), __VA_ARGS__)
#define hl_transpose(b, ...) (hl_transpose)(hl_at(b), __VA_ARGS__)
#define hl_reduce(b, ...) (hl_reduce)(hl_at(b), __VA_ARGS__)
#define hl_mean(b, ...) (hl_mean)(hl_at(b), __VA_ARGS__)
#define hl_var_mean(b, ...) (hl_var_mean)(hl_at(b), __VA_ARGS__)
#define hl_var(b, ...) (hl_var)(hl_at(b), __VA_ARGS__)
#define hl_std(b, ...) (hl_std)(hl_at(b), __VA_ARGS__)
#define hl_logsumexp(b, ...) (hl_logsumexp)(hl_at(b), __VA_ARGS__)
#define hl_norm(b, ...) (hl_norm)(hl_at(b), __VA_ARGS__)
#define hl_argmax(b, ...) (hl_argmax)(hl_at(b), __VA_ARGS__)
#define hl_positions(b, ...) (hl_positions)(hl_at(b), __VA_ARGS__)
#define hl_argmin(b, ...) (hl_argmin)(hl_at(b), __VA_ARGS__)
#define hl_reduce_begin(b, ...) (hl_reduce_begin)(hl_at(b), __VA_ARGS__)
#define hl_reduce_end(b, ...) (hl_reduce_end)(hl_at(b), __VA_ARGS__)
#define hl_scan(b, ...) (hl_scan)(hl_at(b), __VA_ARGS__)
#define hl_scan_begin(b, ...) (hl_scan_begin)(hl_at(b), __VA_ARGS__)
#define hl_scan_end(b, ...) (hl_scan_end)(hl_at(b), __VA_ARGS__)
#define hl_cumsum(b, ...) (hl_cumsum)(hl_at(b), __VA_ARGS__)
#define hl_cumprod(b, ...) (hl_cumprod)(hl_at(b), __VA_ARGS__)
#define hl_dot(b, ...) (hl_dot)(hl_at(b), __VA_ARGS__)
#define hl_dot_ex(b, ...) (hl_dot_ex)(hl_at(b), __VA_ARGS__)
#define hl_dot_with(b, ...) (hl_dot_with)(hl_at(b), __VA_ARGS__)
#define hl_neg(b, x) (hl_neg)(hl_at(b), x)
#define hl_abs(b, x) (hl_abs)(hl_at(b), x)
#define hl_sign(b, x) (hl_sign)(hl_at(b), x)
#define hl_reciprocal(b, x) (hl_reciprocal)(hl_at(b), x)
#define hl_exp(b, x) (hl_exp)(hl_at(b), x)
#define hl_exp2(b, x) (hl_exp2)(hl_at(b), x)
#define hl_log(b, x) (hl_log)(hl_at(b), x)
#define hl_log2(b, x) (hl_log2)(hl_at(b), x)
#define hl_sqrt(b, x) (hl_sqrt)(hl_at(b), x)
#define hl_rsqrt(b, x) (hl_rsqrt)(hl_at(b), x)
#define hl_tanh(b, x) (hl_tanh)(hl_at(b), x)
#define hl_expm1(b, x) (hl_expm1)(hl_at(b), x)
#define hl_log10(b, x) (hl_log10)(hl_at(b), x)
#define hl_log1p(b, x) (hl_log1p)(hl_at(b), x)
#define hl_sin(b, x) (hl_sin)(hl_at(b), x)
#define hl_cos(b, x) (hl_cos)(hl_at(b), x)
#define hl_tan(b, x) (hl_tan)(hl_at(b), x)
#define hl_asin(b, x) (hl_asin)(hl_at(b), x)
#define hl_acos(b, x) (hl_acos)(hl_at(b), x)
#define hl_atan(b, x) (hl_atan)(hl_at(b), x)
#define hl_sinh(b, x) (hl_sinh)(hl_at(b), x)
#define hl_cosh(b, x) (hl_cosh)(hl_at(b), x)
#define hl_asinh(b, x) (hl_asinh)(hl_at(b), x)
#define hl_acosh(b, x) (hl_acosh)(hl_at(b), x)
#define hl_atanh(b, x) (hl_atanh)(hl_at(b), x)
#define hl_erfc(b, x) (hl_erfc)(hl_at(b), x)
#define hl_erfinv(b, x) (hl_erfinv)(hl_at(b), x)
#define hl_lgamma(b, x) (hl_lgamma)(hl_at(b), x)
#define hl_erf(b, x) (hl_erf)(hl_at(b), x)
#define hl_gelu_tanh(b, x) (hl_gelu_tanh)(hl_at(b), x)
#define hl_gelu_erf(b, x) (hl_gelu_erf)(hl_at(b), x)
#define hl_softplus(b, x) (hl_softplus)(hl_at(b), x)
#define hl_sigmoid(b, x) (hl_sigmoid)(hl_at(b), x)
#define hl_silu(b, x) (hl_silu)(hl_at(b), x)
#define hl_relu(b, x) (hl_relu)(hl_at(b), x)
#define hl_floor(b, x) (hl_floor)(hl_at(b), x)
#define hl_ceil(b, x) (hl_ceil)(hl_at(b), x)
#define hl_trunc(b, x) (hl_trunc)(hl_at(b), x)
#define hl_round(b, x) (hl_round)(hl_at(b), x)
#define hl_tf32(b, x) (hl_tf32)(hl_at(b), x)
#define hl_isnan(b, x) (hl_isnan)(hl_at(b), x)
#define hl_isinf(b, x) (hl_isinf)(hl_at(b), x)
#define hl_not(b, x) (hl_not)(hl_at(b), x)
#define hl_add(b, x, y) (hl_add)(hl_at(b), x, y)
#define hl_sub(b, x, y) (hl_sub)(hl_at(b), x, y)
#define hl_mul(b, x, y) (hl_mul)(hl_at(b), x, y)
#define hl_div(b, x, y) (hl_div)(hl_at(b), x, y)
#define hl_floordiv(b, x, y) (hl_floordiv)(hl_at(b), x, y)
#define hl_truncdiv(b, x, y) (hl_truncdiv)(hl_at(b), x, y)
#define hl_rem(b, x, y) (hl_rem)(hl_at(b), x, y)
#define hl_fmod(b, x, y) (hl_fmod)(hl_at(b), x, y)
#define hl_pow(b, x, y) (hl_pow)(hl_at(b), x, y)
#define hl_atan2(b, x, y) (hl_atan2)(hl_at(b), x, y)
#define hl_min(b, x, y) (hl_min)(hl_at(b), x, y)
#define hl_max(b, x, y) (hl_max)(hl_at(b), x, y)
#define hl_and(b, x, y) (hl_and)(hl_at(b), x, y)
#define hl_or(b, x, y) (hl_or)(hl_at(b), x, y)
#define hl_xor(b, x, y) (hl_xor)(hl_at(b), x, y)
#define hl_shl(b, x, y) (hl_shl)(hl_at(b), x, y)
#define hl_shr(b, x, y) (hl_shr)(hl_at(b), x, y)
#define hl_eq(b, x, y) (hl_eq)(hl_at(b), x, y)
#define hl_ne(b, x, y) (hl_ne)(hl_at(b), x, y)
#define hl_lt(b, x, y) (hl_lt)(hl_at(b), x, y)
#define hl_le(b, x, y) (hl_le)(hl_at(b), x, y)
#define hl_gt(b, x, y) (hl_gt)(hl_at(b), x, y)
#define hl_ge(b, x, y) (hl_ge)(hl_at(b), x, y)
#define hl_clamp(b, x, low, high) (hl_clamp)(hl_at(b), x, low, high)
#define hl_addcmul(b, x, y, z, k) (hl_addcmul)(hl_at(b), x, y, z, k)
#define hl_lerp(b, x, y, w) (hl_lerp)(hl_at(b), x, y, w)
#define hl_reduce_sum(b, ...) (hl_reduce_sum)(hl_at(b), __VA_ARGS__)
#define hl_reduce_prod(b, ...) (hl_reduce_prod)(hl_at(b), __VA_ARGS__)
#define hl_reduce_max(b, ...) (hl_reduce_max)(hl_at(b), __VA_ARGS__)
#define hl_reduce_min(b, ...) (hl_reduce_min)(hl_at(b), __VA_ARGS__)
#define hl_reduce_any(b, ...) (hl_reduce_any)(hl_at(b), __VA_ARGS__)
#define hl_reduce_all(b, ...) (hl_reduce_all)(hl_at(b), __VA_ARGS__)
#endif
#endif
