/* session.h: a device with what is on it, and one kernel's race there. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "src/cli/bench/bench.h"
#include "src/cli/bench/cuda.h"

typedef struct session {
  const bench_options *o;
  cli_place place;
  hl_device_info info;
  bench_clock clock;
  int threads;
  bool gpu;
  blas *blas;
} session;

hl_status session_open(session *s, hl_diag *diag);
void session_close(session *s);

/* One set of buffers with a prepared launch.  Set 0 has the arguments' own buffers. */
typedef struct set {
  hl_tensor tensor[HL_EXAMPLE_ARGS];
  hl_arg arg[HL_EXAMPLE_ARGS];
  hl_buffer *buffer[HL_EXAMPLE_ARGS];
  hl_prepared *prepared;
} set;

typedef struct race {
  session *s;
  const hl_example *e;
  hl_dtype dtype;
  int64_t size[HL_EXAMPLE_DIMS];
  cli_args args;
  hl_plan *plan;
  set *sets;
  size_t set_count;
  roof *copy, *memory, *peak; /* memory: NULL where it is the copy */
  struct {
    hl_plan *plan;
    hl_prepared *prepared;
  } product; /* the matmul alone, of a kernel that does more */
  hl_buffer *copy_from, *copy_to;
  size_t copy_bytes;
  contestant c[BENCH_CONTESTANTS];
  size_t count;
} race;

/* r->plan is made and the arguments are on the device: sets up buffers and contestants and times them into `out`. */
hl_status race_run(race *r, bench_result *out, hl_diag *diag);
void race_close(race *r);

#endif
