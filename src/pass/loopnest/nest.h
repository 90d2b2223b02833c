/* nest.h: what the files of loopnest share.  See loopnest.c for the idea.
 *
 * Words.  A *value* is a value of the scheduled TILE kernel (c->src), evaluated *at* loop variables, one per
 * dimension; the result is a LOOP value (c->dst).  A *level* is a place where LOOP ops can be put: level 0
 * the kernel's body, each open loop one more.  Everything is put at the outermost level that knows all its
 * operands, so that invariants end up outside the loops.  A *root* is an op that makes something
 * happen: a store, a reduction, a dot, a `for`.  A *group* is a run of roots that share one nest of loops. */
#ifndef HLI_LOOPNEST_NEST_H
#define HLI_LOOPNEST_NEST_H

#include "src/pass/index.h"
#include "src/pass/loopnest.h"
#include "src/pass/pass.h"

#define LN_MAX_VARS 48
#define LN_MAX_LEVELS 48
#define LN_MAX_ACCS 16
#define LN_MAX_ROOTS 64 /* of a nest; the plan puts half as many into one, kept values come on top */
#define LN_AHEAD 4
#define LN_STEPS 8
#define LN_NEVER (-1e30) /* score of a dimension that cannot be a vector */

/* A LOOP value and the level at which it exists. */
typedef struct ln_val { hli_value v; uint32_t level; } ln_val;

/* A dimension of an iteration space. */
typedef struct ln_dim {
  hli_axis axis;
  hli_value range; /* TILE range that says which lanes are valid; 0: all lanes of the block */
} ln_dim;

/* A loop variable.  Number 0 stands for "index 0". */
typedef struct ln_var {
  ln_dim dim;
  ln_val index;   /* absolute index; of lane 0 for a vector */
  ln_val begin;   /* of the range: index - begin is the lane; v = 0: begins at 0 */
  ln_val mask;    /* bool vector: which lanes are valid; v = 0: all */
  int64_t lanes;  /* 0: scalar */
  bool runs_on;   /* behind the end of the dimension, in the rows behind it (flat.c) */
  uint32_t serial; /* of what it stands for now; never used twice */
} ln_var;

typedef struct ln_level { hli_cursor at; uint32_t epoch; } ln_level;

typedef struct ln_loop { hli_op op; uint32_t level; } ln_loop;

/* A step that needs no loop, [begin, end) of a dimension in so many lanes: whoever takes it again finds what was computed. */
typedef struct ln_step { ln_dim dim; int64_t lanes, begin, end; uint32_t serial; } ln_step;

/* What is known about one value of the source. */
typedef struct ln_state {
  /* its LOOP value, if level's epoch is still the current one and it is asked for at the same variables */
  ln_val memo;
  uint32_t memo_epoch;
  uint32_t memo_at[HL_MAX_RANK]; /* serials */
  /* kept in memory: */
  hli_value buffer;           /* LOOP; 0: not (yet) */
  uint32_t buffer_level, buffer_epoch; /* holds the value while that level's epoch lasts */
  uint32_t buffer_vector;     /* serial of the shared vector whose lanes it holds, where it has a vector_tail */
  bool buffered;
  bool vector_tail;           /* the buffer's last dimension holds the lanes of a shared vector */
  bool keep;                  /* plan: several nests want it and it is costly: evaluate once, into a buffer */
  uint32_t wanted;            /* plan: number of nests that ask for it */
  uint32_t stamp;             /* of a walk */
  hli_value range[HL_MAX_RANK]; /* traced range per dimension */
  uint8_t traced;             /* bit per dimension */
} ln_state;

typedef enum ln_root_kind { LN_STORE, LN_ATOMIC, LN_REDUCE, LN_SCAN, LN_DOT, LN_FOR, LN_KEEP, LN_YIELD } ln_root_kind;

typedef struct ln_root {
  uint8_t kind;      /* ln_root_kind */
  hli_op op;         /* STORE, REDUCE (reduce or fold), SCAN, DOT, FOR */
  hli_value value;   /* what is evaluated: stored, reduced, kept, yielded */
  hli_value target;  /* YIELD: the region argument whose buffer is overwritten */
  uint32_t group;
  uint32_t rank;     /* of the iteration space */
  ln_dim dims[HL_MAX_RANK];
  uint32_t reduced;  /* bit per dimension; of a scan its axis */
  bool done;         /* emitted already, as the epilogue of a dot */
} ln_root;

typedef HLI_VEC(ln_root) ln_roots;

typedef struct ln {
  hli_pass_env *env;
  hl_kernel *src, *dst;
  hli_arena arena;
  hl_status status;
  int64_t width;              /* lanes of one register: 4-byte elements of the target's vector */
  int64_t unroll;             /* registers a vector of a main loop has */
  ln_state *state;            /* by source value */
  uint32_t *use_at;           /* by source value: first entry in uses; use_at[values] ends */
  hli_op *uses;
  uint32_t *order;            /* by op: position in the program */
  uint32_t stamp, epoch, serials;
  ln_level level[LN_MAX_LEVELS];
  uint32_t top;               /* innermost open level */
  ln_loop loop[LN_MAX_LEVELS]; /* open loops of the source */
  uint32_t loop_count;
  uint32_t branch;            /* level of the innermost open branch: accesses stay inside; 0: none */
  ln_var var[LN_MAX_VARS];
  uint32_t var_count;         /* 1 + open ones */
  uint8_t shared[HL_MAX_RANK]; /* variables of shared loops, outermost first */
  uint32_t shared_count;
  int64_t shared_lanes;       /* most lanes of the shared vector, if there is one */
  ln_step step[LN_STEPS];     /* the latest ones */
  uint32_t step_count;
  bool may_share;             /* no memory hazard forbids shared loops */
  hli_op first_buffer;        /* buffers stand before this op of the body */
  int64_t scratch;            /* bytes */
  bool streams;               /* some store bypasses the cache */
  hli_op ahead[LN_AHEAD];     /* loads for which the group being emitted asks the memory ahead of time: */
  uint32_t ahead_count;
  int64_t ahead_rows;         /* so many of the innermost shared rows, or */
  int64_t ahead_bytes;        /* so many bytes along the vector */
  uint64_t stream_params;     /* bit per parameter whose stores should */
} ln;

/* ---- status (loopnest.c) */
hl_status ln_fail(ln *c, hl_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same with the place in the user's program where the op comes from; 0: unknown. */
hl_status ln_fail_at(ln *c, hli_op op, hl_status status, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static inline bool ln_failed(const ln *c) { return c->status != HL_OK || c->dst->failed; }

/* ---- inline.c: `for`s with at most one trip become straight code, in place */
void ln_inline_single_trips(hl_kernel *k);

/* ---- facts.c: questions about the source */
hli_op ln_def(const ln *c, hli_value v);                       /* 0: argument or parameter */
bool ln_is_pointwise(hli_opcode code);
bool ln_is_loop(uint16_t code);                                /* for, while */
bool ln_encloses(const ln *c, hli_block outer, hli_block inner); /* or equal */
ln_dim ln_value_dim(ln *c, hli_value v, uint32_t d, hli_block where);
void ln_value_dims(ln *c, hli_value v, hli_block where, ln_dim *dims, uint32_t *rank);
void ln_store_dims(ln *c, hli_op op, ln_dim *dims, uint32_t *rank);
int64_t ln_bound(const ln *c, ln_dim d);                       /* most lanes, -1 unknown */
bool ln_same_dims(const ln_dim *a, const ln_dim *b, uint32_t n);
hli_value ln_source_at(const ln *c, hli_op op, uint32_t operand, const uint8_t *at, uint8_t *out); /* how an op's operand is indexed */
bool ln_is_zero(const ln *c, hli_value v);
bool ln_is_fold(const ln *c, hli_op op);                       /* fold or scan */
uint32_t ln_parts(const ln *c, const ln_root *r);              /* values that a root evaluates together */
hli_value ln_part(const ln *c, const ln_root *r, uint32_t i);
bool ln_is_lazy(const ln *c, hli_value v);                     /* evaluated where it is wanted */
uint8_t ln_shared_var(const ln *c, hli_axis axis);             /* 0: none */
/* What walking dimension d of a tensor by vectors saves (stride 1) or costs (gathers), by elements moved. */
int64_t ln_param_stride(const ln *c, hli_value base, uint32_t d); /* -1: not known, or no parameter's */
int64_t ln_param_size(const ln *c, hli_value base, uint32_t d);
bool ln_crosses_lines(const ln *c, hli_op access); /* are its rows known to begin in the middle of cache lines? */
double ln_access_score(const ln *c, hli_op op, const hli_access *a, uint32_t d, hli_axis axis);
bool ln_gathers_along(const ln *c, const hli_access *a, uint32_t d, hli_axis axis); /* is index d an integer tile along the axis? */

/* ---- reshape.c */
ln_val ln_reshape(ln *c, hli_op op, const uint8_t *at);
/* Where the operand stands as far as vectors are concerned; barred: dimensions of the result that take none. */
void ln_reshape_at(const ln *c, hli_op op, const uint8_t *at, uint8_t *inner, uint32_t *barred);

/* ---- level.c: levels, loops, arithmetic on indices */
hli_cursor *ln_at(ln *c, uint32_t level);
ln_val ln_i64(ln *c, int64_t x);
ln_val ln_bin(ln *c, hli_opcode code, ln_val a, ln_val b);     /* folded, at the level of its operands */
bool ln_const(const ln *c, ln_val v, int64_t *out);
int64_t ln_multiple(const ln *c, ln_val v);
void ln_put(ln *c, hli_value v, ln_val x, const uint8_t *at);  /* memo */
/* Opens `for` with carried values (replaced by its arguments); returns the induction variable. */
ln_val ln_open(ln *c, ln_val begin, ln_val end, ln_val step, hli_value *carried, uint32_t n, const char *name);
/* Closes it: `carried` are the next values, replaced by the loop's results. */
void ln_close(ln *c, hli_value *carried, uint32_t n);
/* The same for `while`: `again` is the next condition. */
void ln_open_while(ln *c, ln_val cond, hli_value *carried, uint32_t n);
void ln_close_while(ln *c, ln_val again, hli_value *carried, uint32_t n);
uint8_t ln_push_var(ln *c, ln_var v);
void ln_pop_var(ln *c);
/* Runs `body` in a loop over the dimension, once per instance (main, rest, partial vector) of vector loops. */
typedef void (*ln_body)(ln *c, void *ctx, uint8_t var);
typedef struct ln_carried { hli_value *v; uint32_t n; } ln_carried;
void ln_scalar_loop(ln *c, ln_dim d, ln_carried carried, ln_body body, void *ctx);
/* `lanes` in the main loop, which carries `main`; then c->width lanes, carrying `rest`.  Of a known size all that is left is
 * one vector of up to `lanes`, carrying `main`. */
void ln_vector_loops(ln *c, ln_dim d, int64_t lanes, ln_carried main, ln_carried rest, ln_body body, void *ctx);
/* `lanes` in all of them, the last one masked. */
void ln_whole_vectors(ln *c, ln_dim d, int64_t lanes, ln_body body, void *ctx);
int64_t ln_main_lanes(const ln *c, ln_dim d, int64_t registers, hl_dtype widest);
/* The whole dimension in one step, where its size is known and small; else `lanes`. */
int64_t ln_whole_lanes(const ln *c, ln_dim d, int64_t lanes, hl_dtype widest);
typedef struct ln_bounds { ln_val begin, end; } ln_bounds;
ln_bounds ln_range_bounds(ln *c, ln_dim d);                    /* end is clamped to the block */
hli_value ln_lane_mask(ln *c, ln_val n, int64_t lanes, uint32_t *level);

/* Vectors over the elements of all rows of `rows`, of so many elements each, laid end to end; `d` is what they run along. */
void ln_flat_loops(ln *c, ln_dim rows, int64_t row, ln_dim d, int64_t lanes, ln_body body, void *ctx);

/* ---- flat.c */
/* How many elements a row of the dimensions behind `from` has, if the block's rows can be walked as one; 0: they cannot. */
int64_t ln_flat_row(const ln *c, hli_block block, const ln_dim *dims, uint32_t n, uint32_t *from);

/* ---- eval.c */
ln_val ln_eval(ln *c, hli_value v, const uint8_t *at);
ln_val ln_splat(ln *c, ln_val x, int64_t lanes);               /* lanes 0: unchanged */
int64_t ln_lanes_of(const ln *c, ln_val x);                    /* 0: scalar */

/* ---- memory.c: accesses of LOOP */
ln_val ln_load(ln *c, hli_op op, const uint8_t *at);
void ln_store(ln *c, hli_op op, const uint8_t *at);
ln_val ln_atomic(ln *c, hli_op op, const uint8_t *at);          /* scalars only; what was there before */
bool ln_writes_memory(const ln *c, hli_op op);                  /* store or atomic */
bool ln_is_used(const ln *c, hli_value v);
/* Are random numbers made in this block?  A register of them is 160 instructions, of which four at a time do not wait for
 * each other: vectors of more registers would be spilled, not run faster. */
bool ln_draws_random(const ln *c, hli_block block);
void ln_prefetch(ln *c, hli_op access, const uint8_t *at);      /* every cache line that it will touch */
void ln_prefetch_rows(ln *c, hli_op load, const uint8_t *at, int64_t rows); /* the same, so many of the innermost shared rows later */
void ln_prefetch_along(ln *c, hli_op load, const uint8_t *at, uint8_t var, int64_t bytes); /* the same, so far along the variable */
hli_value ln_new_buffer(ln *c, hl_dtype dtype, const int64_t *sizes, uint32_t rank, const char *name);
bool ln_make_buffer(ln *c, hli_value v, hli_block where);      /* for a value's dimensions that are not shared */
ln_val ln_buffer_load(ln *c, hli_value v, const uint8_t *at);
void ln_buffer_store(ln *c, hli_value v, ln_val x, const uint8_t *at);
void ln_buffer_holds(ln *c, hli_value v);                      /* its buffer does, from now on */
bool ln_buffer_valid(const ln *c, hli_value v);
/* Raw vector or scalar access of a buffer. lanes 0: scalar. */
ln_val ln_raw_load(ln *c, hli_value buffer, const ln_val *index, uint32_t rank, int64_t lanes, hli_value mask, uint32_t level);
void ln_raw_store(ln *c, hli_value buffer, const ln_val *index, uint32_t rank, ln_val x, hli_value mask);

/* ---- plan.c: memory hazards, roots of a block, their groups, what is kept */
bool ln_may_share(ln *c);                                      /* no load or store sees another row's stores, on any axis */
bool ln_may_share_row(ln *c, hli_value range);                 /* the same for the rows of one axis */
bool ln_reads_result(ln *c, const ln_root *r, hli_value v);    /* is v among what the root evaluates? */
/* Loads of whole rows of large tensors that the group makes: they come from memory. */
void ln_loads_from_memory(ln *c, const ln_roots *group, bool walked_again);
bool ln_reads_store(ln *c, const ln_root *r, hli_op store);
bool ln_written_in(const ln *c, hli_op loop, hli_op load);     /* may the loop write what it loads? */
bool ln_stays_behind(ln *c, const ln_root *later, const ln_root *earlier); /* for what they do to memory */
/* Values that are to be kept and that the root wants but are not there yet. */
void ln_wanted_kept(ln *c, const ln_root *r, hli_block block, ln_roots *out);
void ln_plan(ln *c, hli_block block, const hli_value *yields, const hli_value *targets, uint32_t n, ln_roots *roots);
uint32_t ln_score(ln *c, const ln_root *roots, uint32_t n, double *score); /* per dimension; returns the best */

/* ---- region.c */
void ln_block(ln *c, hli_block block, const hli_value *yields, const hli_value *targets, uint32_t n);

/* ---- group.c: one nest for a group of stores, reductions and kept values */
void ln_group(ln *c, hli_block block, ln_root *roots, uint32_t n);

/* ---- fold.c: args and out as hli_combine_build, in LOOP; all are made at the innermost level */
bool ln_combine(ln *c, hli_op op, const hli_value *args, hli_value *out);
hli_value ln_fold_identity(ln *c, hli_op op, uint32_t part, int64_t lanes);
void ln_fold_lanes(ln *c, hli_op op, hli_value *acc, int64_t until); /* until so many lanes are left; 1: scalars */
void ln_scan(ln *c, hli_block block, const ln_root *root);

/* ---- dot.c */
void ln_dot(ln *c, hli_block block, ln_root *dot, ln_root *epilogue, uint32_t n);

#endif
