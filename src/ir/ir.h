/* ir.h: the intermediate representation.
 *
 * One IR, three stages, one op table (ops.def).  A kernel is a handful of arrays;
 * values, ops, blocks, types and axes are 32-bit ids (0 = none), so cloning and
 * hashing are loops.  Blocks are lists of ops; an op may own one region (one block).
 *
 * Shapes are lists of *axes*.  An axis is a constant, the block of a tile loop, or a
 * full dimension of a tensor (a slice).  Two tile values fit together when their axes
 * are the same ids, whatever block sizes a configuration chooses later; choosing one is
 * writing axis.block.  Constant axes are interned, so shape equality is id equality.
 *
 * Stages
 *   TILE  whole-tile values, symbolic blocks; `tile` loops and full slices.  The schedule
 *         passes end in *scheduled* TILE: every axis has a block, the grid is explicit
 *         (`program_id`, kernel.grid), tile loops are `for` + `range`, no ':' index is left.
 *   LOOP  the CPU: scalars, vectors (rank 1, constant axis) and buffers; no tile types.
 *   LANE  the GPU: whole-tile values of a block whose types carry a layout (layout.h).
 *
 * Pointwise ops want operands of exactly equal shape, dtype (and layout): the builder makes
 * promotion and broadcasting explicit. */
#ifndef HLI_IR_H
#define HLI_IR_H

#include "hl/kernel.h"
#include "src/base/base.h"
#include "src/ir/layout.h"

#define HLI_VAR 255
#define HLI_MAX_OPERANDS 64
#define HLI_MAX_ATTRS 5
#define HLI_MAX_NESTING 64

typedef uint32_t hli_id;    /* any id; 0 = none */
typedef uint32_t hli_value; /* SSA value: op result or block argument */
typedef uint32_t hli_op;
typedef uint32_t hli_block;
typedef uint32_t hli_type;  /* interned: equal ids <=> equal types */
typedef uint32_t hli_axis;
typedef uint32_t hli_dim;

/* ---- op facts ----------------------------------------------------------------- */

typedef enum hli_opcode {
  HLI_OP_NONE = 0,
#define HLI_OP(E, ...) HLI_OP_##E,
#include "src/ir/ops.def"
#undef HLI_OP
  HLI_OP_COUNT
} hli_opcode;

typedef enum hli_family {
  HLI_FAM_UNARY, HLI_FAM_BINARY, HLI_FAM_TERNARY, HLI_FAM_CAST, HLI_FAM_CONST, HLI_FAM_SHAPE,
  HLI_FAM_SCALAR, HLI_FAM_TILE, HLI_FAM_ACCESS, HLI_FAM_REDUCE, HLI_FAM_FOLD, HLI_FAM_DOT, HLI_FAM_LOOP,
  HLI_FAM_CONTROL, HLI_FAM_BUFFER, HLI_FAM_LANE, HLI_FAM_ASYNC, HLI_FAM_GROUP, HLI_FAM_GATHER
} hli_family;

typedef enum hli_rule {
  HLI_RULE_SAME, HLI_RULE_FLOAT, HLI_RULE_PRED, HLI_RULE_BITS, HLI_RULE_WHERE, HLI_RULE_CAST, HLI_RULE_BITCAST,
  HLI_RULE_CONST, HLI_RULE_BROADCAST, HLI_RULE_TRANSPOSE, HLI_RULE_SQUEEZE, HLI_RULE_RESHAPE, HLI_RULE_SIZE,
  HLI_RULE_INDEX, HLI_RULE_RANGE, HLI_RULE_TILE_INDEX, HLI_RULE_IN_BOUNDS, HLI_RULE_LOAD,
  HLI_RULE_STORE, HLI_RULE_REDUCE, HLI_RULE_FOLD, HLI_RULE_SCAN, HLI_RULE_LANE_INDEX, HLI_RULE_WINDOW, HLI_RULE_DOT, HLI_RULE_TILE, HLI_RULE_FOR, HLI_RULE_IF, HLI_RULE_YIELD,
  HLI_RULE_BUFFER, HLI_RULE_LANE_MASK, HLI_RULE_IOTA, HLI_RULE_NOTHING, HLI_RULE_CONVERT,
  HLI_RULE_PARTIAL_REDUCE, HLI_RULE_SHARED, HLI_RULE_SHARED_STORE, HLI_RULE_SHARED_LOAD,
  HLI_RULE_ASYNC_COPY, HLI_RULE_GROUP, HLI_RULE_GROUP_DOT, HLI_RULE_TRANSPOSE_LANES, HLI_RULE_ATOMIC, HLI_RULE_GATHER,
  HLI_RULE_TUNABLE
} hli_rule;

enum { HLI_EFF_PURE = 1, HLI_EFF_READ = 2, HLI_EFF_WRITE = 4, HLI_EFF_SYNC = 8, HLI_EFF_TERM = 16 };
enum { HLI_ALG_COMM = 1, HLI_ALG_ASSOC = 2, HLI_ALG_IDEMP = 4 };
enum { HLI_STAGE_TILE = 1, HLI_STAGE_LOOP = 2, HLI_STAGE_LANE = 4 };
typedef enum hli_identity { HLI_ID_NONE, HLI_ID_ZERO, HLI_ID_ONE, HLI_ID_LOWEST, HLI_ID_HIGHEST } hli_identity;

typedef struct hli_op_info {
  const char *text;
  uint8_t family, in_min, in_max, results, regions, rule, effects, algebra, stages, identity, cost;
  const char *attrs; /* as in ops.def */
} hli_op_info;
const hli_op_info *hli_op_facts(hli_opcode code); /* never NULL */
hli_opcode hli_op_by_text(hl_str text);           /* HLI_OP_NONE if unknown */

/* The i-th attribute of an op's spec. */
typedef struct hli_attr_info { hl_str name; char kind; bool optional; } hli_attr_info;
bool hli_attr_spec(hli_opcode code, uint32_t i, hli_attr_info *out); /* false past the end */

/* Reductions: the pointwise op that combines, e.g. HLI_OP_ADD for sum (any = OR, all = AND on bool). */
hli_opcode hli_reduce_combine(hl_reduce_op op);
const char *hli_reduce_text(hl_reduce_op op);

/* Atomics: the pointwise op that makes the new value of old and operand; HLI_OP_NONE for xchg and cas. */
hli_opcode hli_atomic_combine(hl_atomic_op op);
const char *hli_atomic_text(hl_atomic_op op);
const char *hli_order_text(hl_memory_order order);
const char *hli_precision_text(hl_precision precision);
/* Why this dtype has no such atomic, NULL if it has. */
const char *hli_atomic_refusal(hl_atomic_op op, hl_dtype dtype);

/* ---- dimensions, axes, types ------------------------------------------------------ */

typedef enum hli_dim_kind { HLI_DIM_DEFAULT, HLI_DIM_STATIC, HLI_DIM_DYNAMIC } hli_dim_kind;
typedef struct hli_dim_data {
  const char *name;  /* "" for an anonymous constant dimension */
  uint8_t kind;      /* hli_dim_kind */
  int64_t value;     /* exact size, or -1 while unknown */
  int64_t multiple;  /* the size is a multiple of this; 1 by default */
  int64_t example;   /* size to benchmark with; 0 = none */
} hli_dim_data;

typedef enum hli_axis_kind { HLI_AXIS_CONST, HLI_AXIS_TILE, HLI_AXIS_FULL } hli_axis_kind;
typedef struct hli_axis_data {
  uint8_t kind;        /* hli_axis_kind */
  const char *name;    /* without the $; constants have none */
  int64_t block;       /* lanes along this axis; 0 = not chosen yet (CONST: the constant) */
  int64_t block_min, block_max; /* user's limits for a TILE axis; 0 = none; equal = fixed by the user */
  hli_dim dim;         /* FULL: the dimension; TILE: the dimension it runs over if its end is that size, else 0 */
  uint32_t tunable;    /* TILE: 1 + the tunable that is its block; 0: none */
} hli_axis_data;

typedef enum hli_type_kind { HLI_TYPE_NONE, HLI_TYPE_VALUE, HLI_TYPE_TENSOR, HLI_TYPE_TILE, HLI_TYPE_BUFFER } hli_type_kind;
typedef struct hli_type_data {
  uint8_t kind;
  uint8_t dtype;               /* VALUE, TENSOR, BUFFER */
  uint8_t rank;                /* TILE: 1 */
  hli_id dims[HL_MAX_RANK];    /* VALUE, TILE, BUFFER: axes; TENSOR: dims */
  uint32_t layout;             /* LANE: layout id of a VALUE; swizzle id of a shared BUFFER; else 0 */
} hli_type_data;

/* ---- values, ops, blocks ------------------------------------------------------------ */

typedef struct hli_value_data {
  hli_type type;
  hli_op def;       /* defining op, or 0 for a block argument or parameter */
  hli_block owner;  /* block of an argument */
  uint32_t index;   /* result or argument number */
  const char *name; /* "" = numbered */
} hli_value_data;

typedef struct hli_span { uint32_t off, len; } hli_span;

typedef struct hli_op_data {
  uint16_t code;
  bool dead;
  hli_block block;
  hli_op prev, next;
  hli_span operands;             /* in kernel.pool */
  hli_value results;             /* first id; consecutive */
  uint32_t result_count;
  hli_span attrs[HLI_MAX_ATTRS]; /* in kernel.ints, in the order of the op's spec */
  hli_block region;              /* 0 = none */
  const char *file;              /* of the user's call or of the text; "" = unknown */
  uint32_t line;
} hli_op_data;

typedef struct hli_block_data {
  hli_op parent;        /* op that owns the region; 0 for the body */
  hli_op first, last;
  hli_span args;        /* values, in kernel.pool */
} hli_block_data;

typedef struct hli_param {
  hli_value value;
  bool is_output;       /* written; a tensor may be in and out */
  bool is_input;
  bool is_constexpr;    /* scalar whose value is part of the key; `constant` holds it once specialised */
  bool specialized;
  uint64_t constant;
  uint32_t may_alias;   /* bit p */
  hli_type given;       /* the tensor's type as arguments have it, row-major, where the kernel sees it as one row; 0: the same */
  bool has_initial;     /* all elements of the tensor are `initial` (bits) before the launch, whatever it held */
  uint64_t initial;
  int64_t strides[HL_MAX_RANK]; /* element strides; -1 = runtime.  Set by specialize. */
  uint32_t fixed_strides;       /* bit d: compiled in even where sizes are dynamic */
  uint32_t align;       /* bytes, of the data pointer; 0 = the dtype's */
  hl_arg_spec spec;
} hli_param;

/* One axis of a grid: ceil(size / block) programs, size = constant or dim.  A kernel has one grid per top-level
 * loop; `opens`: the first axis of one more grid, whose programs follow those of the grids before. */
typedef struct hli_grid_axis { int64_t constant; hli_dim dim; int64_t block; bool opens; } hli_grid_axis;
#define HLI_MAX_ROOTS 16     /* top-level loops, so grids */
#define HLI_MAX_GRID_AXES 32 /* of all grids together */

typedef struct hli_launch {  /* facts of a scheduled or lowered kernel */
  uint32_t warps;            /* LANE: warps per block */
  uint32_t shared_bytes;     /* LANE */
  uint32_t grain;            /* LOOP: programs handed out at a time */
  uint32_t scratch_bytes;    /* LOOP: buffers per thread */
  uint32_t max_nreg;         /* LANE: 0 = the assembler's choice */
} hli_launch;

/* A condition on two sizes, checked when arguments are bound. */
typedef struct hli_require { hli_dim a, b; uint8_t compare; } hli_require; /* compare: HL_EQ .. HL_GE */

/* A knob that the user declared (tunable.c): the op `tunable` gives its value. */
typedef enum hli_tunable_kind { HLI_TUNABLE_POWER, HLI_TUNABLE_INTEGER, HLI_TUNABLE_ENUM, HLI_TUNABLE_BOOL } hli_tunable_kind;
#define HLI_TUNABLE_NAME 41   /* bytes of a name */
#define HLI_TUNABLE_LIST 16u  /* values of an enum */
#define HLI_TUNABLE_MOST 256u /* values of any */
#define HLI_TUNABLES 16u      /* of a kernel */
typedef struct hli_tunable {
  char name[HLI_TUNABLE_NAME];
  uint8_t kind;
  int64_t low, high, step; /* POWER, INTEGER */
  int64_t list[HLI_TUNABLE_LIST];
  uint32_t count; /* of list */
  int64_t preferred;
} hli_tunable;
const char *hli_tunable_text(uint8_t kind); /* "power_of_two", "integer", "enum", "bool"; NULL: no such kind */
uint32_t hli_tunable_values(const hli_tunable *t, int64_t out[HLI_TUNABLE_MOST]); /* the legal ones, ascending */
/* What is wrong with a declaration, NULL if nothing. */
const char *hli_tunable_fault(const hli_tunable *t);

#define HLI_ALLOW_ALL 15u
const char *hli_allow_text(uint32_t bit);      /* of HL_ALLOW_CONTRACT ..; NULL: no such bit */
const char *hli_compare_text(uint8_t compare); /* "==" of HL_EQ ..; NULL: no comparison */

struct hl_kernel {
  const hl_allocator *alloc;
  hli_arena arena;           /* names */
  const char *name;
  uint8_t stage;             /* HLI_STAGE_* */
  bool scheduled;            /* TILE with blocks chosen and an explicit grid */
  bool failed;               /* out of memory somewhere */
  uint8_t allow;             /* HL_ALLOW_* */
  HLI_VEC(hli_dim_data) dims;
  HLI_VEC(hli_axis_data) axes;
  HLI_VEC(hli_type_data) types;
  HLI_VEC(hli_value_data) values;
  HLI_VEC(hli_op_data) ops;
  HLI_VEC(hli_block_data) blocks;
  HLI_VEC(hli_layout) layouts;
  HLI_VEC(hli_id) pool;
  HLI_VEC(int64_t) ints;
  HLI_VEC(hli_param) params;
  HLI_VEC(hli_grid_axis) grid;
  HLI_VEC(hli_require) requires_;
  HLI_VEC(hli_tunable) tunables;
  HLI_VEC(hli_size_rule) size_rules; /* dimensions that follow from others */
  HLI_VEC(hli_size_term) size_terms;
  hli_block body;
  hli_launch launch;
};                           /* element 0 of dims..layouts is a dummy */

/* ---- kernel construction (build.c) ---------------------------------------------------- */

hl_kernel *hli_kernel_create(const hl_allocator *alloc, hl_str name, uint8_t stage); /* NULL when out of memory */
hl_kernel *hli_kernel_clone(const hl_kernel *k);
bool hli_kernel_writes(const hl_kernel *k); /* has it a store? */
/* An empty-bodied kernel with k's name, dims, axes, types, layouts, params (same ids). */
hl_kernel *hli_kernel_clone_header(const hl_kernel *k, uint8_t stage);

const char *hli_intern(hl_kernel *k, hl_str s);
hli_dim hli_dim_named(hl_kernel *k, hl_str name);      /* finds or adds */
hli_dim hli_dim_const(hl_kernel *k, int64_t size);     /* anonymous, interned */
hli_axis hli_axis_const(hl_kernel *k, int64_t size);   /* interned */
hli_axis hli_axis_tile(hl_kernel *k, hl_str name);     /* new; name made unique */
hli_axis hli_axis_full(hl_kernel *k, hli_dim dim);     /* interned per dim */
/* Elements along an axis, 0 if that is not known while the kernel is built (reshape.c). */
int64_t hli_axis_size(const hl_kernel *k, hli_axis axis);
/* Dimensions from .. from_end of a reshape's operand hold what to .. to_end of its result do; one group after the
 * other, beginning with {0}.  False at the end, or where they do not correspond. */
typedef struct hli_reshape { uint32_t from, from_end, to, to_end; bool changes; } hli_reshape;
bool hli_reshape_next(const hl_kernel *k, const hli_type_data *from, const hli_type_data *to, hli_reshape *g);
bool hli_reshape_fits(const hl_kernel *k, const hli_type_data *from, const hli_type_data *to);
bool hli_reshape_changes(const hl_kernel *k, hli_op op, hli_axis axis); /* is the axis in a group of others? */
/* Lanes along an axis: its block; for CONST the constant; a FULL axis of known size without a block: the size; 0 unknown. */
int64_t hli_axis_lanes(const hl_kernel *k, hli_axis a);
bool hli_axis_is_one(const hl_kernel *k, hli_axis a);  /* constant of size 1 */

hli_type hli_type_intern(hl_kernel *k, const hli_type_data *t);
hli_type hli_type_scalar(hl_kernel *k, hl_dtype dtype);
hli_type hli_type_value(hl_kernel *k, hl_dtype dtype, const hli_axis *axes, uint32_t rank);
hli_type hli_type_vector(hl_kernel *k, hl_dtype dtype, int64_t lanes); /* rank 1, constant axis */
hli_type hli_type_tile(hl_kernel *k, hli_axis axis);
hli_type hli_type_buffer(hl_kernel *k, hl_dtype dtype, const int64_t *sizes, uint32_t rank);
hli_type hli_type_with_dtype(hl_kernel *k, hli_type t, hl_dtype dtype);
hli_type hli_type_with_layout(hl_kernel *k, hli_type t, uint32_t layout);
uint32_t hli_layout_intern(hl_kernel *k, const hli_layout *layout); /* id > 0 */

static inline const hli_type_data *hli_type_get(const hl_kernel *k, hli_type t) { return &k->types.data[t]; }
static inline const hli_type_data *hli_type_of(const hl_kernel *k, hli_value v) { return &k->types.data[k->values.data[v].type]; }
static inline hl_dtype hli_dtype_of(const hl_kernel *k, hli_value v) { return (hl_dtype)hli_type_of(k, v)->dtype; }
static inline hli_op_data *hli_op_get(const hl_kernel *k, hli_op op) { return &k->ops.data[op]; }
static inline hli_value hli_operand(const hl_kernel *k, hli_op op, uint32_t i) { return k->pool.data[k->ops.data[op].operands.off + i]; }
static inline uint32_t hli_operand_count(const hl_kernel *k, hli_op op) { return k->ops.data[op].operands.len; }
static inline hli_value hli_result(const hl_kernel *k, hli_op op, uint32_t i) { return k->ops.data[op].results + i; }
static inline hli_value hli_block_arg(const hl_kernel *k, hli_block b, uint32_t i) { return k->pool.data[k->blocks.data[b].args.off + i]; }
static inline uint32_t hli_attr_len(const hl_kernel *k, hli_op op, uint32_t a) { return k->ops.data[op].attrs[a].len; }
static inline int64_t hli_attr(const hl_kernel *k, hli_op op, uint32_t a, uint32_t i) { return k->ints.data[k->ops.data[op].attrs[a].off + i]; }
/* Attribute a's element i, or `otherwise` if it has no such element. */
static inline int64_t hli_attr_or(const hl_kernel *k, hli_op op, uint32_t a, uint32_t i, int64_t otherwise) {
  return i < hli_attr_len(k, op, a) ? hli_attr(k, op, a, i) : otherwise;
}
/* Ops of a block in order: for (hli_op op = hli_first(k, b); op; op = hli_next(k, op)) */
static inline hli_op hli_first(const hl_kernel *k, hli_block b) { return k->blocks.data[b].first; }
static inline hli_op hli_next(const hl_kernel *k, hli_op op) { return k->ops.data[op].next; }

/* Where new ops go: before `before` in `block`, or at its end when `before` is 0. */
typedef struct hli_cursor {
  hl_kernel *k;
  hli_block block;
  hli_op before;
  const char *file;
  uint32_t line;
} hli_cursor;

/* The general form: creates an op with given result types.  attr_len[i] ints of attribute i follow
 * each other in `attrs`.  Returns 0 when out of memory (k->failed is set). */
typedef struct hli_op_desc {
  hli_opcode code;
  const hli_value *operands;
  uint32_t operand_count;
  const hli_type *results;
  uint32_t result_count;
  const int64_t *attrs;
  uint32_t attr_len[HLI_MAX_ATTRS];
} hli_op_desc;
hli_op hli_op_create(hli_cursor *c, const hli_op_desc *desc);

hli_block hli_block_create(hl_kernel *k, hli_op parent); /* and attaches it as parent's region */
hli_value hli_block_add_arg(hl_kernel *k, hli_block b, hli_type type, hl_str name);
void hli_op_set_operand(hl_kernel *k, hli_op op, uint32_t i, hli_value v);
void hli_op_set_attr(hl_kernel *k, hli_op op, uint32_t a, const int64_t *ints, uint32_t len);
void hli_op_remove(hl_kernel *k, hli_op op);             /* unlinks; its results must be unused */
void hli_replace_uses(hl_kernel *k, hli_value from, hli_value to); /* everywhere */
void hli_value_set_name(hl_kernel *k, hli_value v, const char *name); /* interned name; uniqueness is the printer's affair */
/* Copies an op (with its region) from src to the cursor; operands, results and region arguments go
 * through map (indexed by src value id; map[v] = value in c->k).  src and c->k share types and axes ids
 * (clone_header).  Returns the new op. */
hli_op hli_op_clone(hli_cursor *c, const hl_kernel *src, hli_op op, hli_value *map);

/* Shorthands for passes.  Each infers its result type; 0 on failure (a defect of the pass). */
hli_value hli_make_unary(hli_cursor *c, hli_opcode code, hli_value a);
hli_value hli_make_binary(hli_cursor *c, hli_opcode code, hli_value a, hli_value b);
hli_value hli_make_where(hli_cursor *c, hli_value cond, hli_value a, hli_value b);
hli_value hli_make_ternary(hli_cursor *c, hli_opcode code, hli_value x, hli_value y, hli_value z); /* operands of equal type */
hli_value hli_make_fma(hli_cursor *c, hli_value a, hli_value b, hli_value acc);
hli_value hli_make_cast(hli_cursor *c, hli_value a, hl_dtype dtype);
hli_value hli_make_i64(hli_cursor *c, int64_t x);
hli_value hli_make_bitcast(hli_cursor *c, hli_value a, hl_dtype dtype);
hli_value hli_make_const(hli_cursor *c, hl_dtype dtype, uint64_t bits);
hli_value hli_make_identity(hli_cursor *c, hl_dtype dtype, hli_identity id);
hli_value hli_make_broadcast(hli_cursor *c, hli_value a, hli_type to, const int64_t *dims); /* dims: one per source dim */
hli_value hli_make_splat(hli_cursor *c, hli_value scalar, hli_type to);
hli_value hli_make_reduce(hli_cursor *c, hl_reduce_op op, hli_value a, const int64_t *axes, uint32_t n);
hli_value hli_make_window(hli_cursor *c, hli_value a, hli_value b, int64_t start, hli_type type); /* b may be 0 */
hli_value hli_make_size(hli_cursor *c, hli_value tensor, uint32_t d); /* of dimension d: a constant if that is known */
hli_value hli_make_range(hli_cursor *c, hli_axis axis, hli_value begin, hli_value end);
hli_value hli_make_group(hli_cursor *c, const hli_value *elements, uint32_t n);
hli_value hli_make_group_dot(hli_cursor *c, hl_dtype a_as, hl_dtype b_as, hli_value a, hli_value b, hli_value acc);
bool hli_make_transpose_lanes(hli_cursor *c, hli_value *rows, uint32_t n); /* replaces them */
/* kinds[r]: index kind per dimension; index: one value per t/s/v kind; mask/other may be 0. `result` 0 = infer. */
hli_value hli_make_load(hli_cursor *c, hli_value base, const char *kinds, const hli_value *index,
                        hli_value mask, hli_value other, hli_type result);
hli_op hli_make_store(hli_cursor *c, hli_value base, const char *kinds, const hli_value *index,
                      hli_value value, hli_value mask);
/* A load, store or atomic like another one, with other indices (per dimension; 0 for ':'), mask and, if not NULL, checks. */
hli_op hli_make_access(hli_cursor *c, hli_op like, const char *kinds, const hli_value *index, hli_value mask,
                       const int64_t *check);
/* Creates a `for` with its region (iv and carried arguments); fill hli_for.body through a cursor at its
 * end, finish with hli_make_yield there. */
typedef struct hli_for { hli_op op; hli_block body; hli_value iv; } hli_for;
hli_for hli_make_for(hli_cursor *c, hli_value begin, hli_value end, hli_value step, const hli_value *carried, uint32_t n);
void hli_make_yield(hli_cursor *c, const hli_value *values, uint32_t n);
/* Creates an op with a region (tile, for, if, while) whose first operands are `operands`, the last `n` of them carried;
 * adds the region's arguments for the carried values, not the loop's own. */
hli_op hli_make_region(hli_cursor *c, hli_opcode code, const hli_value *operands, uint32_t count, uint32_t n);

/* The parts of an op with a region: operands before the carried values, the region's own arguments before them, and
 * what its yield says before the next values. */
typedef struct hli_region_form { uint32_t operands, args, yields; } hli_region_form;
hli_region_form hli_region_form_of(const hl_kernel *k, hli_op op);
/* A branch is a `for` from 0 to cast(cond) in steps of 1: its region runs once or not at all. */
hli_for hli_make_branch(hli_cursor *c, hli_value cond, const hli_value *carried, uint32_t n);
bool hli_is_branch(const hl_kernel *k, hli_op op);

/* ---- fold and scan (combine.c) ---------------------------------------------------------------
 * Both have n = hli_fold_parts values: operands 0..n-1, identities n..2n-1, results 0..n-1; the region's arguments are
 * n values combined so far, then n next ones. */
#define HLI_FOLD_PARTS 8
static inline uint32_t hli_fold_parts(const hl_kernel *k, hli_op op) { return k->ops.data[op].operands.len / 2; }
/* Builds the region of src's fold or scan at the cursor on whole values: args are the 2 n arguments, all of one shape
 * (and layout); scalars that the region takes from outside come from outside(ctx, value), as values of c->k.  False when
 * something could not be built. */
typedef hli_value (*hli_outside_fn)(void *ctx, hli_value v);
bool hli_combine_build(hli_cursor *c, const hl_kernel *src, hli_op op, const hli_value *args, hli_outside_fn outside,
                       void *ctx, hli_value *out);

/* ---- access ops: one decoding of load / store / async_copy / prefetch (access.c) -------- */
typedef struct hli_access {
  hli_value base;
  uint32_t rank;                 /* of the base */
  char kind[HL_MAX_RANK];        /* t s g : v per dimension */
  hli_value index[HL_MAX_RANK];  /* per dimension; 0 for ':' */
  int8_t value_dim[HL_MAX_RANK]; /* per dimension of the base: which dim of the value it contributes, -1 = none (s, g) */
  int8_t gather[HL_MAX_RANK][HL_MAX_RANK]; /* per g index and dimension of it: which dim of the value */
  bool gathers;                  /* some index is a g */
  bool check[HL_MAX_RANK];       /* must be bounds-checked (only meaningful for t, g and :) */
  hli_value value;               /* store, atomic: the value; load: the result */
  hli_value expected, result;    /* atomic: cas compares with; what was there before */
  hli_value mask, other;         /* 0 = none */
  hli_value buffer, slot;        /* async_copy */
} hli_access;
enum { HLI_ATTR_ATOMIC = 3, HLI_ATTR_ORDER = 4 }; /* of atomic, behind index, flags and check */
enum { HLI_ATTR_INDEX = 0, HLI_ATTR_FLAGS = 1, HLI_ATTR_CHECK = 2, HLI_ATTR_CACHE = 3 }; /* of load and store */
enum { HLI_CHECK_RUNS_ON = 3 }; /* of a dimension whose run goes on behind its end (ops.def) */
void hli_access_get(const hl_kernel *k, hli_op op, hli_access *out);

/* ---- inference and checks ------------------------------------------------------------------ */
/* Computes the result types of `desc`; BROADCAST, CAST, CONST, BUFFER, SHARED,
 * LANE_MASK, IOTA, LANE_INDEX, WINDOW, CONVERT, PARTIAL_REDUCE, SHARED_LOAD and loads with v indices or a layout take the
 * given one (results[0] with desc->result_count > 0) and check it.  On complaint fills diag. */
hl_status hli_infer(hl_kernel *k, const hli_op_desc *desc, hli_type *results, hl_diag *diag);

/* Verifies structure, types and stages.  On failure the message shows the op's printed line and what is wrong;
 * `listing` (may be NULL) gets the whole printed kernel with the complaints below their lines. */
hl_status hli_verify(const hl_kernel *k, hl_diag *diag, hli_strbuf *listing);

/* Do the sizes (by dimension, -1 unknown; NULL: those of k's dims) meet what the kernel requires? */
hl_status hli_check_requires(const hl_kernel *k, const int64_t *sizes, hl_diag *diag);

/* Fills in the sizes (by dimension, -1 unknown) that follow from others and from the scalars whose bit is set in `known`,
 * and compares those that are there.  HL_ERR_GUARD with both. */
hl_status hli_follow_sizes(const hl_kernel *k, int64_t *sizes, const int64_t *scalars, uint32_t known, hl_diag *diag);
/* "add(N, P)": what the dimension follows from; false: from nothing. */
bool hli_rule_words(const hl_kernel *k, hli_dim dim, char *out, size_t room);

/* HL_ERR_GUARD: a specialised scalar has another value than the kernel's constant. */
hl_status hli_fail_constant(hl_diag *diag, const hl_kernel *k, const hli_param *p, uint64_t given);

/* ---- text ------------------------------------------------------------------------------------
 * print.c / parse.c.  parse(print(k)) prints the same bytes, at every stage.
 *
 *   hl 1 tile
 *   kernel @softmax {
 *     dim M = 4096
 *     dim N dynamic
 *     dim K multiple_of 16 example 1024
 *     param %x : tensor<f32[M, N]> in spec(normal, 0x0p+0, 0x1p+0)
 *     param %y : tensor<f32[M, N]> out strides [-1, 1] align 16
 *     param %s : f32 in
 *     axis $i tile
 *     axis $k tile block 64 min 16 max 128
 *     axis $N full N
 *     layout #1 = {...}
 *     grid [M / 4, 4096 / 128] [N / 64]
 *     launch warps 8 shared 4096
 *     body {
 *       %m = size %x {dim = 0} : i64
 *       %c0 = const {value = 0} : i64
 *       tile %c0, %m {axes = [$i]} (%i : tile<$i>) {
 *         %v = load %x[%i, :] : f32[$i, $N]
 *         %mx = reduce %v {op = max, axes = [1]} : f32[$i]
 *         %b = broadcast %mx {dims = [0]} : f32[$i, $N]
 *         %d = sub %v, %b : f32[$i, $N]
 *         store %y[%i, :], %d
 *         yield
 *       }
 *     }
 *   }
 *
 * Types: f32 | f32[$i, 4] | f32[$i, 4]#1 (layout) | tile<$i> | buffer<f32[8, 32]> | buffer<bf16[128, 32]>#2 |
 * tensor<f32[M, 16]>.  An access prints its indices in brackets after the base; v and s kinds
 * differ by a trailing ':' of v, e.g. %x[%r, %c:].  `mask %m` and `other %o` follow the remaining operands.
 * Floats print exactly (hex, nan, inf, -inf), unnamed values are numbered in print order, # starts
 * a comment only at the beginning of a line. */
void hli_print(const hl_kernel *k, hli_strbuf *out);
void hli_print_op(const hl_kernel *k, hli_op op, hli_strbuf *out); /* one line, without its region */
void hli_print_type(const hl_kernel *k, hli_type t, hli_strbuf *out);
hl_status hli_parse(const hl_allocator *alloc, hl_str text, const char *filename, hl_diag *diag, hl_kernel **out);
/* 128-bit digest of the printed form: equal on every machine. */
hli_digest hli_kernel_digest(const hl_kernel *k);

/* What sums and dots of this dtype accumulate in: f32 for f16, bf16 and f32, f64, i32 or i64 for integers. */
hl_dtype hli_accumulator_dtype(hl_dtype dtype);
/* In which products of two dtypes are added up; NONE: a dot does not take them together.  Mixed are only integers of one
 * byte, signed and unsigned, and the 8-bit floats. */
hl_dtype hli_dot_accumulator(hl_dtype a, hl_dtype b);

/* ---- constants and scalar evaluation (scalar.c) ------------------------------------------------
 * The one definition of what a pointwise op computes on one element, used by folding, the
 * interpreter and as the reference of the emitters.  Values travel as raw bits of their dtype. */
typedef union hli_scalar { double f; int64_t i; uint64_t u; } hli_scalar; /* f for floats, i for bool and signed, u for unsigned */
hli_scalar hli_scalar_from_bits(hl_dtype dtype, uint64_t bits);
uint64_t hli_scalar_to_bits(hl_dtype dtype, hli_scalar s);        /* rounds to nearest even, saturates nothing */
/* Evaluates in `typed` mode (result rounded to the dtype) or exactly in double / wrapped integers.
 * dtype is the operands' (for CAST `to` is the result's). */
hli_scalar hli_scalar_eval(hli_opcode code, hl_dtype dtype, hl_dtype to, const hli_scalar *args, bool typed);
hli_scalar hli_scalar_identity(hli_identity id, hl_dtype dtype);
/* True with the constant if v is `const`, or a broadcast of one. */
bool hli_const_value(const hl_kernel *k, hli_value v, hli_scalar *out);

#endif
