/* roll.h: walking a full axis in chunks (roll_axis.c, roll_online.c). */
#ifndef HLI_ROLL_H
#define HLI_ROLL_H

#include "src/pass/pass.h"

/* How a sink is accumulated. */
typedef enum hli_online { HLI_ONLINE_NONE, HLI_ONLINE_EXP, HLI_ONLINE_SQUARE } hli_online;

/* What ends a phase's loop: a store, a reduction over the axis, or a sum that runs in an earlier loop than its operands
 * would allow (online). */
typedef struct hli_roll_sink {
  hli_op op;
  uint32_t phase;     /* of the loop that it runs in; HLI_ROLL_NEVER: no sink */
  uint8_t online;     /* hli_online */
  hli_op top;         /* EXP: the reduction that finds the largest `a` */
  hli_value a, about; /* EXP: sum of exp(a - about) * factor; SQUARE: of (a - about)^2 */
  hli_value factor;   /* 0: 1 */
  uint32_t first, slots; /* accumulators among the carried values of its loop */
} hli_roll_sink;
#define HLI_ROLL_NEVER UINT32_MAX
#define HLI_ROLL_SLOTS 8 /* of one sink at most */

typedef struct hli_roller {
  hli_pass_env *env;
  hl_kernel *k;
  hli_axis axis, chunk;
  hli_block block;     /* the straight-line block that holds all ops along the axis */
  hli_value size;      /* end of the axis' range */
  int64_t known;       /* the same as a number, -1 if it is not known */
  uint32_t *phase;     /* per value: when it is available */
  uint32_t values;     /* length of phase */
  hli_roll_sink *sink; /* per op */
  uint32_t ops;        /* length of sink */
  hli_arena arena;
} hli_roller;

/* Inside the loop of a phase. */
typedef struct hli_roll_loop {
  hli_roller *r;
  hli_cursor at;    /* in the loop */
  hli_value tile;
  hli_value *map;   /* values outside -> values of a chunk */
  hli_block body;
} hli_roll_loop;

/* Is a range over this axis still there? */
bool hli_axis_in_use(const hl_kernel *k, hli_axis a);
/* Rewrites the ops along a full axis (whose accesses go through a range) into loops over chunks, and sets *rolled.  Where
 * it was set before, the loops of another axis may stand in the way (both belong to one dot): then nothing is done. */
hl_status hli_roll_axis(hli_pass_env *env, hl_kernel *k, hli_axis axis, int64_t chunk, bool *rolled);

hli_type hli_roll_chunk_type(hli_roller *r, hli_type t);
hli_value hli_roll_pull(hli_roll_loop *l, hli_value v); /* v in this chunk */
/* where(inside the row, x, other) for values of chunk type. */
hli_value hli_roll_inside(hli_roll_loop *l, hli_value x, hli_value other);
hli_value hli_roll_argument(const hli_roll_loop *l, uint32_t slot); /* accumulator before this chunk */

/* ---- roll_online.c */
/* Is this sum, whose operand waits for a reduction, one that needs not wait? */
bool hli_online_match(const hli_roller *r, hli_op op, hli_roll_sink *out);
uint32_t hli_online_slots(const hli_roller *r, const hli_roll_sink *s);
/* The accumulators' initial values at the cursor, their next values, and the result behind the loop. */
void hli_online_start(hli_roller *r, hli_cursor *c, const hli_roll_sink *s, hli_value *out);
void hli_online_next(hli_roll_loop *l, const hli_roll_sink *s, hli_value *out);
hli_value hli_online_finish(hli_roller *r, hli_cursor *c, const hli_roll_sink *s, const hli_value *acc);

#endif
