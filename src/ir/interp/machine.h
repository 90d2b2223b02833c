/* machine.h: the interpreter's state.  A value is all elements of a tile (or a vector, or one scalar) as
 * hli_scalar, row-major; values live in a table by value id and are overwritten when their op runs again. */
#ifndef HLI_INTERP_MACHINE_H
#define HLI_INTERP_MACHINE_H

#include "src/ir/interp/interp.h"

#define HLI_INTERP_DEPTH        (HLI_MAX_NESTING + 2u)
#define HLI_INTERP_MAX_ELEMENTS ((int64_t)1 << 24) /* of one value */

typedef enum hli_ival_kind {
  HLI_IVAL_NONE,
  HLI_IVAL_DATA,
  HLI_IVAL_TILE,
  HLI_IVAL_TENSOR,
  HLI_IVAL_MEMORY
} hli_ival_kind;

typedef struct hli_ival {
  uint8_t kind; /* hli_ival_kind */
  uint8_t dtype;
  uint8_t rank;
  int64_t size[HL_MAX_RANK];
  int64_t count;    /* elements */
  hli_scalar *data; /* DATA: capacity elements, the first count are in use */
  int64_t capacity;
  int64_t begin, end; /* TILE: the indices begin.. of the axis' block, valid while < end */
  hli_axis axis;      /* TILE */
  uint32_t object;    /* TENSOR: parameter; MEMORY: index into machine.memory */
} hli_ival;

/* An axis' present instance: the tile or range that ran last in this region or one around it.  Without one all
 * lanes of the axis are valid: values may be carried through a loop along an axis that the loop opens. */
typedef struct hli_axis_state {
  int64_t lanes; /* -1 = no instance yet */
  int64_t valid; /* lanes 0..valid-1 lie inside */
} hli_axis_state;

/* Who touched an element of a tensor: program + 1, 0 = nobody, MANY = several. */
#define HLI_INTERP_MANY UINT32_MAX
typedef struct hli_touch {
  uint32_t writer, reader, updater; /* updater: by atomics */
} hli_touch;

/* Threads that touched a place since the last barrier: -1 = none; `2` is another one than the first. */
typedef struct hli_order {
  uint32_t write_epoch, read_epoch; /* barriers before the last write and read */
  int32_t writer, writer2;          /* threads that wrote in that epoch */
  int32_t reader, reader2;
  hli_op write_op, read_op;
} hli_order;

typedef struct hli_itensor {
  unsigned char *data;
  hl_dtype dtype; /* of the storage */
  uint32_t rank;
  int64_t size[HL_MAX_RANK], stride[HL_MAX_RANK]; /* elements */
  int64_t count;
  hli_touch *touch; /* program_check: by row-major index; else NULL */
  hli_order *order; /* LANE, race_check: of a tensor that is read and written; else NULL */
} hli_itensor;

/* One element of a LOOP buffer. */
typedef struct hli_icell {
  hli_scalar value;
  bool known;
} hli_icell;

/* One byte of a block's shared memory. */
typedef struct hli_ibyte {
  hli_scalar value;   /* of the element that begins here */
  hli_scalar landing; /* in flight: what it will be */
  uint32_t run;       /* program + 1 that wrote it last; 0 = none */
  uint32_t owner;     /* machine.memory index of the buffer that it was written as */
  hli_order order;
  bool in_flight; /* an asynchronous copy has not landed: */
  hli_op copy_op;
  int32_t copier; /* thread */
  uint32_t group;
} hli_ibyte;

/* A buffer of LOOP, with its own cells, or a shared buffer of LANE, in the block's bytes. */
typedef struct hli_imemory {
  hli_op op;
  hl_dtype dtype;
  uint32_t rank;
  int64_t size[HL_MAX_RANK];
  int64_t count;    /* elements (of one slot, with padding) */
  hli_icell *cells; /* LOOP */
  int64_t slots;    /* LANE */
  int64_t row;      /* LANE: elements per row with padding */
  int64_t first;    /* LANE: byte where it begins */
  uint32_t swizzle; /* LANE: layout id, 0 = none */
} hli_imemory;

/* An asynchronous write of one element that has not landed. */
typedef struct hli_flight {
  uint32_t memory;
  int64_t at; /* first byte */
} hli_flight;

typedef struct hli_machine {
  const hl_kernel *k;
  const hl_allocator *alloc;
  hli_interp_options options;
  hl_diag *diag;
  hli_ival *values;      /* by value id */
  hli_axis_state *axes;  /* by axis id */
  hli_axis_state *outer; /* the axes before each open region: HLI_INTERP_DEPTH times `axes` */
  uint32_t depth;        /* open regions */
  int64_t *dims;         /* by dim id; -1 = unknown */
  hli_itensor *tensors;  /* by parameter */
  HLI_VEC(hli_imemory) memory;
  bool *op_checked;               /* LANE: by op: its layouts have been looked at */
  struct hli_place_entry *places; /* LANE: see place.h */
  int64_t program;                /* running number */
  uint64_t steps;
  /* LANE */
  uint32_t threads, warp_size;
  uint32_t epoch;  /* barriers and programs so far */
  uint32_t groups; /* committed so far: copies now belong to group number `groups` */
  HLI_VEC(hli_ibyte) shared;
  HLI_VEC(hli_flight) flights;
} hli_machine;

/* ---- value.c ------------------------------------------------------------------------ */

static inline hli_ival *hli_ival_of(hli_machine *m, hli_value v) {
  return &m->values[v];
}
static inline hli_ival *hli_ival_operand(hli_machine *m, hli_op op, uint32_t i) {
  return &m->values[hli_operand(m->k, op, i)];
}
/* Numbers from begin to end: 0 if there are none, bounded by 2^63 - 1. */
static inline int64_t hli_span_of(int64_t begin, int64_t end) {
  const uint64_t n = end > begin ? (uint64_t)end - (uint64_t)begin : 0;
  return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}
/* The first element: for scalars. */
static inline int64_t hli_ival_int(const hli_ival *v) {
  return v->data[0].i;
}

/* "kernel 'k', program p: <words>\n  <the op's line>"; returns status. */
hl_status hli_machine_fail(hli_machine *m, hl_status status, hli_op op, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
hl_status hli_machine_no_memory(hli_machine *m);
/* Makes v's storage ready for the shape of its type; elements are unset. */
hl_status hli_ival_prepare(hli_machine *m, hli_op op, hli_value v, hli_ival **out);
hl_status hli_ival_assign(hli_machine *m, hli_value to, hli_value from); /* copies */
void hli_ival_free(hli_machine *m, hli_ival *v);
/* A result rounded to its dtype, unless in exact mode. */
hli_scalar hli_machine_round(const hli_machine *m, hl_dtype dtype, long double x);
/* Row-major walk: coord starts at zeros; false after the last one. */
bool hli_next_coord(int64_t *coord, const int64_t *size, uint32_t rank);
int64_t hli_row_major(const int64_t *coord, const int64_t *size, uint32_t rank);
/* "[1, 2]" */
const char *hli_coord_text(char *buffer, size_t size, const int64_t *coord, uint32_t rank);

/* All ops of a block, in order (run.c). */
hl_status hli_exec_block(hli_machine *m, hli_block b);

/* ---- one function per family ----------------------------------------------------------- */

hl_status hli_exec_pointwise(hli_machine *m, hli_op op); /* eval.c */
hl_status hli_exec_const(hli_machine *m, hli_op op);
hl_status hli_exec_shape(hli_machine *m, hli_op op);
hl_status hli_exec_scalar(hli_machine *m, hli_op op);
hl_status hli_exec_tile_op(hli_machine *m, hli_op op);
hl_status hli_exec_reduce(hli_machine *m, hli_op op); /* mix.c */
hl_status hli_exec_dot(hli_machine *m, hli_op op);
hl_status hli_exec_gather(hli_machine *m, hli_op op);
int64_t hli_taking_part(const hli_machine *m, hli_value v, uint32_t d); /* lanes of dimension d that are mixed */
hl_status hli_exec_fold(hli_machine *m, hli_op op);                     /* fold.c: fold, scan */
/* One reduction over elements that come one by one. */
typedef struct hli_fold {
  hl_reduce_op op;
  hl_dtype dtype;
  bool typed;
  bool wide; /* in long double */
  long double sum;
  hli_scalar value;
} hli_fold;
hli_fold hli_fold_begin(const hli_machine *m, hl_reduce_op op, hl_dtype dtype);
void hli_fold_add(hli_fold *f, hli_scalar x);
hli_scalar hli_fold_end(const hli_machine *m, const hli_fold *f);
hl_status hli_exec_access(hli_machine *m, hli_op op); /* memory.c */
hl_status hli_exec_buffer(hli_machine *m, hli_op op);
hl_status hli_exec_lane(hli_machine *m, hli_op op);   /* lane.c: convert, partial_reduce */
hl_status hli_exec_shared(hli_machine *m, hli_op op); /* shared.c */
hl_status hli_exec_sync(hli_machine *m, hli_op op);
hl_status hli_exec_group(hli_machine *m, hli_op op); /* group.c */

#endif
