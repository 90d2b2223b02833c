/* test_interp_lane.c: the interpreter on LANE kernels: layouts, reductions across warps, rings of shared
 * buffers; and the race check, which must fire where a barrier or a wait is missing and nowhere else. */
#include "interp_util.h"
#include <stdio.h>
#include <string.h>

static const hli_interp_options exact = {.exact = true, .race_check = true};
static const hli_interp_options no_races = {.race_check = false};

/* ---- a vector ---- */

static const char vector_add[] =
    "hl 1 lane\n"
    "kernel @add {\n"
    "  dim N\n"
    "  param %x : tensor<f32[N]> in\n"
    "  param %y : tensor<f32[N]> in\n"
    "  param %out : tensor<f32[N]> out\n"
    "  axis $i tile block 192\n"
    "  layout #1 = {rank = 1, regs = [[1]], lanes = [[2], [4], [8], [16], [32]], warps = [], repeat = [0 x 3 warps]}\n"
    "  grid [N / 192]\n"
    "  launch warps 3\n"
    "  body {\n"
    "    %pid = program_id : i64\n"
    "    %n = size %x {dim = 0} : i64\n"
    "    %c192 = const {value = 192} : i64\n"
    "    %bi = mul %pid, %c192 : i64\n"
    "    %i = range %bi, %n {axis = $i} : tile<$i>\n"
    "    %a = load %x[%i] : f32[$i]#1\n"
    "    %b = load %y[%i] : f32[$i]#1\n"
    "    %s = add %a, %b : f32[$i]#1\n"
    "    store %out[%i], %s\n"
    "  }\n"
    "}\n";

static void test_vector_add(void **state) {
  (void)state;
  for (int64_t n = 1; n < 800; n += 191) {
    BOX1(x, HL_F32, n);
    BOX1(y, HL_F32, n);
    BOX1(out, HL_F32, n);
    box_fill(&x, 1);
    box_fill(&y, 2);
    run_ok(vector_add, (hl_arg[]){arg_of(&x), arg_of(&y), arg_of(&out)}, 3, NULL);
    for (int64_t i = 0; i < n; i++)
      assert_true(box_get(&out, i, 0) == (float)(box_get(&x, i, 0) + box_get(&y, i, 0)));
    box_free(&x), box_free(&y), box_free(&out);
  }
}

/* ---- sums of rows that two warps share ---- */

#define ROW_HEAD                                                                                                       \
  "hl 1 lane\n"                                                                                                        \
  "kernel @sum {\n"                                                                                                    \
  "  dim N = 128\n"                                                                                                    \
  "  param %x : tensor<f32[4, N]> in\n"                                                                                \
  "  param %out : tensor<f32[4]> out\n"                                                                                \
  "  axis $r tile block 4\n"                                                                                           \
  "  axis $N full N block 128\n"                                                                                       \
  "  layout #1 = {rank = 2, regs = [[0, 1], [1, 0], [2, 0]], lanes = [[0, 2], [0, 4], [0, 8], [0, 16], [0, 32]], "     \
  "warps = [[0, 64]]}\n"                                                                                               \
  "  layout #2 = {rank = 2, regs = [[1, 0], [2, 0]], lanes = [[0, 0], [0, 0], [0, 0], [0, 0], [0, 0]], warps = [[0, "  \
  "1]]}\n"                                                                                                             \
  "  layout #3 = {rank = 2, regs = [[0, 1], [1, 0], [2, 0]], lanes = [[0, 0], [0, 0], [0, 0], [0, 0], [0, 0]], warps " \
  "= [[0, 0]]}\n"                                                                                                      \
  "  layout #4 = {rank = 1, regs = [[1], [2]], lanes = [[0], [0], [0], [0], [0]], warps = [[0]]}\n"                    \
  "  layout #5 = {rank = 2, regs = [[0, 1], [1, 0], [2, 0]], lanes = [[0, 2], [0, 4], [0, 8], [0, 16], [0, 64]], "     \
  "warps = [[0, 32]]}\n"                                                                                               \
  "  layout #6 = {rank = 2, regs = [[0, 1], [2, 0], [1, 0]], lanes = [[0, 4], [0, 2], [0, 8], [0, 32], [0, 16]], "     \
  "warps = [[0, 64]]}\n"                                                                                               \
  "  grid [1 / 1]\n"                                                                                                   \
  "  launch warps 2 shared 32\n"                                                                                       \
  "  body {\n"                                                                                                         \
  "    %c0 = const {value = 0} : i64\n"                                                                                \
  "    %c4 = const {value = 4} : i64\n"                                                                                \
  "    %n = size %x {dim = 1} : i64\n"                                                                                 \
  "    %r = range %c0, %c4 {axis = $r} : tile<$r>\n"                                                                   \
  "    %c = range %c0, %n {axis = $N} : tile<$N>\n"                                                                    \
  "    %v = load %x[%r, %c] : f32[$r, $N]#1\n"

#define ROW_TAIL "    store %out[%r], %s\n  }\n}\n"

#define ROW_REDUCE(between)                                                                                            \
  ROW_HEAD                                                                                                             \
  "    %b = shared {slots = 1} : buffer<f32[4, 2]>\n"                                                                  \
  "    %p = partial_reduce %v {op = sum, axis = 1} : f32[$r, 2]#2\n"                                                   \
  "    shared_store %b, %c0, %p\n" between "    %q = shared_load %b, %c0 : f32[$r, 2]#3\n"                             \
  "    %s = reduce %q {op = sum, axes = [1]} : f32[$r]#4\n" ROW_TAIL

static void run_rows(const char *text, const char *words) {
  BOX2(x, HL_F32, 4, 128);
  BOX1(got, HL_F32, 4);
  BOX1(want, HL_F64, 4);
  box_fill(&x, 1);
  for (int64_t i = 0; i < 4; i++) {
    double s = 0;
    for (int64_t j = 0; j < 128; j++)
      s += box_get(&x, i, j);
    box_set(&want, i, 0, s);
  }
  const hl_arg args[] = {arg_of(&x), arg_of(&got)};
  if (words) {
    run_fails(text, args, 2, NULL, HL_ERR_BUILD, words);
  } else {
    run_ok(text, args, 2, NULL);
    expect_close(&got, &want, 128);
  }
  box_free(&x), box_free(&got), box_free(&want);
}

static void test_row_sum(void **state) {
  (void)state;
  run_rows(ROW_REDUCE("    barrier\n"), NULL);
  run_rows(ROW_REDUCE(""), "of slot 0 of a shared buffer, which thread 31 wrote with no barrier between: shared_store "
                           "%b, %c0, %p\n  %q = shared_load");
}

/* What needs another warp or another thread is refused. */
static void test_ownership(void **state) {
  (void)state;
  run_rows(ROW_HEAD "    %s = reduce %v {op = sum, axes = [1]} : f32[$r]#4\n" ROW_TAIL,
           "warp 0 needs element [0, 64] for its element [0]");
  run_rows(ROW_HEAD "    %w = convert %v : f32[$r, $N]#5\n    %z = const {value = 0x0p+0} : f32\n"
                    "    %s = broadcast %z {dims = []} : f32[$r]#4\n" ROW_TAIL,
           "the data is with another warp");
  /* In a warp a conversion may shuffle; a partial reduction does not care. */
  run_rows(
      ROW_HEAD
      "    %w = convert %v : f32[$r, $N]#6\n"
      "    %b = shared {slots = 1} : buffer<f32[4, 2]>\n"
      "    %p = partial_reduce %w {op = sum, axis = 1} : f32[$r, 2]#2\n"
      "    shared_store %b, %c0, %p\n    barrier\n"
      "    %q = shared_load %b, %c0 : f32[$r, 2]#3\n    %s = reduce %q {op = sum, axes = [1]} : f32[$r]#4\n" ROW_TAIL,
      NULL);
  /* The other warp's half lies under this warp's number. */
  run_rows(ROW_HEAD "    %p = partial_reduce %v {op = sum, axis = 1} : f32[$r, 2]#3\n    %s = reduce %p {op = sum, "
                    "axes = [1]} : f32[$r]#4\n" ROW_TAIL,
           "has another value than an earlier warp");
  run_rows(ROW_HEAD "    %p = partial_reduce %v {op = sum, axis = 1} : f32[$r, 2]#2\n    %s = reduce %p {op = sum, "
                    "axes = [1]} : f32[$r]#4\n" ROW_TAIL,
           "warp 0 needs element [0, 1]");
}

static const char broadcast_between_threads[] =
    "hl 1 lane\nkernel @b {\n  param %out : tensor<f32[32, 2]> out\n  axis $r tile block 32\n"
    "  layout #1 = {rank = 1, regs = [], lanes = [[1], [2], [4], [8], [16]], warps = []}\n"
    "  layout #2 = {rank = 2, regs = [[0, 1]], lanes = [[1, 0], [2, 0], [4, 0], [16, 0], [8, 0]], warps = []}\n"
    "  layout #3 = {rank = 2, regs = [[0, 1]], lanes = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]], warps = []}\n"
    "  grid [1 / 1]\n  launch warps 1\n  body {\n"
    "    %c0 = const {value = 0} : i64\n    %c1 = const {value = 1} : i64\n    %c32 = const {value = 32} : i64\n    %r "
    "= range %c0, %c32 {axis = $r} : tile<$r>\n";

static void run_with(const char *lines, const char *words) {
  char text[4096];
  snprintf(text, sizeof text, "%s%s  }\n}\n", broadcast_between_threads, lines);
  BOX2(out, HL_F32, 32, 2);
  const hl_arg args[] = {arg_of(&out)};
  if (words)
    run_fails(text, args, 1, NULL, HL_ERR_BUILD, words);
  else
    run_ok(text, args, 1, NULL);
  box_free(&out);
}

static void test_broadcast(void **state) {
  (void)state;
  run_with("    %x = tile_index %r : i64[$r]#1\n    %y = broadcast %x {dims = [0]} : i64[$r, 2]#3\n", NULL);
  run_with("    %x = tile_index %r : i64[$r]#1\n    %y = broadcast %x {dims = [0]} : i64[$r, 2]#2\n",
           "thread 8 needs element [16] for its element [16, 0]");
}

/* The verifier refuses these layouts as well: they are put in behind its back. */
static void spoil_lane(hl_kernel *k) {
  k->layouts.data[1].lane[4] = k->layouts.data[1].lane[3];
}
static void spoil_regs(hl_kernel *k) {
  k->layouts.data[1].reg[k->layouts.data[1].reg_bits++].c[0] = 32;
}
static void spoil_warps(hl_kernel *k) {
  k->launch.warps = 2;
}

static void run_spoiled(void (*spoil)(hl_kernel *k), const char *words) {
  char text[4096];
  snprintf(text, sizeof text, "%s    %%x = tile_index %%r : i64[$r]#1\n  }\n}\n", broadcast_between_threads);
  hl_kernel *k = NULL;
  hl_diag diag = {0};
  BOX2(out, HL_F32, 32, 2);
  const hl_arg args[] = {arg_of(&out)};
  assert_int_equal(hli_parse(NULL, hli_str(text), "test.hl", &diag, &k), HL_OK);
  assert_int_equal(hli_interp_run(k, NULL, args, 1, NULL, &diag), HL_OK);
  spoil(k);
  assert_int_equal(hli_interp_run(k, NULL, args, 1, NULL, &diag), HL_ERR_BUILD);
  if (!strstr(diag.message, words))
    fail_msg("expected '%s', got: %s", words, diag.message);
  hl_kernel_destroy(k);
  box_free(&out);
}

static void test_bad_layouts(void **state) {
  (void)state;
  run_spoiled(spoil_lane, "layout #1 does not hold element 16");
  run_spoiled(spoil_regs, "layout #1 puts register 1 of thread 0 at [32], outside the value");
  run_spoiled(spoil_warps, "layout #1 is for 1 warps of 32 lanes, the kernel has 2");
}

/* ---- a matmul whose operands come through a ring of two slots ----
 * 16 x 16 per block, 8 of k at a time, two warps that each compute 8 rows. */

#define RING_HEAD                                                                                                      \
  "hl 1 lane\n"                                                                                                        \
  "kernel @matmul {\n"                                                                                                 \
  "  dim M\n"                                                                                                          \
  "  dim K\n"                                                                                                          \
  "  dim N\n"                                                                                                          \
  "  param %x : tensor<f16[M, K]> in\n"                                                                                \
  "  param %y : tensor<f16[K, N]> in\n"                                                                                \
  "  param %out : tensor<f32[M, N]> out\n"                                                                             \
  "  axis $i tile block 16\n"                                                                                          \
  "  axis $j tile block 16\n"                                                                                          \
  "  axis $k tile block 8\n"                                                                                           \
  "  layout #1 = {rank = 2, regs = [[0, 1]], lanes = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warps = [[8, 0]]}\n"    \
  "  layout #2 = {rank = 2, regs = [[0, 1]], lanes = [[0, 2], [0, 4], [0, 8], [1, 0], [2, 0]], warps = [[4, 0]]}\n"    \
  "  layout #3 = {rank = 2, regs = [[0, 1], [0, 8]], lanes = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warps = [[8, "  \
  "0]]}\n"                                                                                                             \
  "  layout #4 = {rank = 2, regs = [[1, 0], [0, 8]], lanes = [[2, 0], [4, 0], [0, 1], [0, 2], [0, 4]], warps = [[0, "  \
  "0]]}\n"                                                                                                             \
  "  swizzle #5 = {rank = 2, vec = 1, shift = 1, mask = 3, pad = 0}\n"                                                 \
  "  swizzle #6 = {rank = 2, vec = 0, shift = 0, mask = 0, pad = 2}\n"                                                 \
  "  swizzle #7 = {rank = 2, vec = 1, shift = 1, mask = 7, pad = 0}\n"                                                 \
  "  grid [M / 16, N / 16]\n"                                                                                          \
  "  launch warps 2 shared 1152\n"                                                                                     \
  "  body {\n"                                                                                                         \
  "    %pid = program_id : i64\n"                                                                                      \
  "    %m = size %x {dim = 0} : i64\n"                                                                                 \
  "    %kk = size %x {dim = 1} : i64\n"                                                                                \
  "    %n = size %y {dim = 1} : i64\n"                                                                                 \
  "    %c0 = const {value = 0} : i64\n"                                                                                \
  "    %c1 = const {value = 1} : i64\n"                                                                                \
  "    %c8 = const {value = 8} : i64\n"                                                                                \
  "    %c15 = const {value = 15} : i64\n"                                                                              \
  "    %c16 = const {value = 16} : i64\n"                                                                              \
  "    %n15 = add %n, %c15 : i64\n"                                                                                    \
  "    %nj = truncdiv %n15, %c16 : i64\n"                                                                              \
  "    %pi = truncdiv %pid, %nj : i64\n"                                                                               \
  "    %pj = rem %pid, %nj : i64\n"                                                                                    \
  "    %bi = mul %pi, %c16 : i64\n"                                                                                    \
  "    %bj = mul %pj, %c16 : i64\n"                                                                                    \
  "    %i = range %bi, %m {axis = $i} : tile<$i>\n"                                                                    \
  "    %j = range %bj, %n {axis = $j} : tile<$j>\n"                                                                    \
  "    %z = const {value = 0x0p+0} : f32\n"                                                                            \
  "    %acc0 = broadcast %z {dims = []} : f32[$i, $j]#3\n"

#define RING(wait, before, swizzle)                                                                                    \
  RING_HEAD                                                                                                            \
  "    %bx = shared {slots = 2} : buffer<f16[16, 8]>" swizzle "\n"                                                     \
  "    %by = shared {slots = 2} : buffer<f16[8, 16]>#6\n"                                                              \
  "    %k0 = range %c0, %kk {axis = $k} : tile<$k>\n"                                                                  \
  "    async_copy %x[%i, %k0], %bx, %c0 {layout = #1}\n"                                                               \
  "    async_copy %y[%k0, %j], %by, %c0 {layout = #2}\n"                                                               \
  "    async_commit\n"                                                                                                 \
  "    %acc, %last = for %c0, %kk, %c8, %acc0, %c0 (%kb : i64, %a : f32[$i, $j]#3, %slot : i64) {\n"                   \
  "      %other = sub %c1, %slot : i64\n"                                                                              \
  "      %kn = add %kb, %c8 : i64\n" before "      %k = range %kn, %kk {axis = $k} : tile<$k>\n"                       \
  "      async_copy %x[%i, %k], %bx, %other {layout = #1}\n"                                                           \
  "      async_copy %y[%k, %j], %by, %other {layout = #2}\n"                                                           \
  "      async_commit\n" wait "      %xv = shared_load %bx, %slot : f16[$i, $k]#1\n"                                   \
  "      %yv = shared_load %by, %slot : f16[$k, $j]#4\n"                                                               \
  "      %d = mma %xv, %yv, %a : f32[$i, $j]#3\n"                                                                      \
  "      yield %d, %other\n"                                                                                           \
  "    } : f32[$i, $j]#3, i64\n"                                                                                       \
  "    store %out[%i, %j], %acc\n"                                                                                     \
  "  }\n"                                                                                                              \
  "}\n"

#define WAIT    "      async_wait {pending = 1}\n"
#define BARRIER "      barrier\n"

static void run_matmul(const char *text, int64_t m, int64_t k, int64_t n, const hli_interp_options *o,
                       const char *words) {
  BOX2(x, HL_F16, m, k);
  BOX2(y, HL_F16, k, n);
  BOX2(got, o && o->exact ? HL_F64 : HL_F32, m, n);
  BOX2(want, HL_F64, m, n);
  box_fill(&x, 1);
  box_fill(&y, 2);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double s = 0;
      for (int64_t l = 0; l < k; l++)
        s += box_get(&x, i, l) * box_get(&y, l, j);
      box_set(&want, i, j, s);
    }
  const hl_arg args[] = {arg_of(&x), arg_of(&y), arg_of(&got)};
  if (words) {
    run_fails(text, args, 3, o, HL_ERR_BUILD, words);
  } else {
    run_ok(text, args, 3, o);
    expect_close(&got, &want, k);
  }
  box_free(&x), box_free(&y), box_free(&got), box_free(&want);
}

static void test_ring(void **state) {
  (void)state;
  static const char text[] = RING(WAIT BARRIER, BARRIER, "#5");
  run_matmul(text, 16, 8, 16, NULL, NULL);
  run_matmul(text, 16, 32, 16, NULL, NULL);
  run_matmul(text, 33, 19, 21, NULL, NULL);
  run_matmul(text, 33, 19, 21, &exact, NULL);
  run_matmul(RING(WAIT BARRIER, BARRIER, "#6"), 17, 24, 15, NULL, NULL);
  run_matmul(RING(WAIT BARRIER, BARRIER, ""), 17, 24, 15, NULL, NULL);
  run_matmul(RING("      async_wait {pending = 0}\n" BARRIER, BARRIER, ""), 17, 24, 15, NULL, NULL);
}

static void test_ring_races(void **state) {
  (void)state;
  /* No wait: the copy is still on its way. */
  run_matmul(RING(BARRIER, BARRIER, "#5"), 16, 32, 16, NULL,
             "is still filling asynchronously (no async_wait covers it): async_copy %x");
  /* A wait that leaves one group too many. */
  run_matmul(RING("      async_wait {pending = 2}\n" BARRIER, BARRIER, "#5"), 16, 32, 16, NULL,
             "is still filling asynchronously");
  /* No barrier behind the wait: only the thread that copied has its data. */
  run_matmul(RING(WAIT, BARRIER, "#5"), 16, 32, 16, NULL, "wrote with no barrier between: async_copy");
  /* No barrier before the slot is filled again: somebody may still read it. */
  run_matmul(RING(WAIT BARRIER, "", "#5"), 16, 32, 16, NULL, "read with no barrier between: %");
  /* With one step there is nothing to overtake. */
  run_matmul(RING(WAIT BARRIER, "", "#5"), 16, 8, 16, NULL, NULL);
  run_matmul(RING(WAIT, BARRIER, "#5"), 16, 32, 16, &no_races, NULL);
  run_matmul(RING(WAIT BARRIER, BARRIER, "#7"), 16, 32, 16, NULL, "the swizzle puts element");
}

/* ---- single faults of shared memory ---- */

#define SHARED(lines)                                                                                                  \
  "    %b = shared {slots = 2} : buffer<i64[32]>\n    %x = tile_index %r : i64[$r]#1\n    %o = broadcast %c1 {dims = " \
  "[]} : i64[$r]#1\n" lines

static void test_shared(void **state) {
  (void)state;
  run_with(SHARED("    shared_store %b, %c0, %x\n    %v = shared_load %b, %c0 : i64[$r]#1\n"),
           NULL); /* each thread its own */
  run_with(SHARED("    shared_store %b, %c0, %x\n    barrier\n    %v = shared_load %b, %c0 : i64[$r]#1\n    "
                  "shared_store %b, %c0, %o\n"),
           NULL);
  run_with(SHARED("    %v = shared_load %b, %c0 : i64[$r]#1\n"),
           "reads element [0] of slot 0 of a shared buffer, which nothing has written");
  run_with(SHARED("    shared_store %b, %c0, %x\n    barrier\n    %v = shared_load %b, %c1 : i64[$r]#1\n"),
           "slot 1 of a shared buffer, which nothing");
  run_with(SHARED("    shared_store %b, %c32, %x\n"), "slot 32 of a buffer with 2 slots");
}

/* The same elements, held by other threads the second time. */
static void test_shared_races(void **state) {
  (void)state;
#define TEXT(lines)                                                                                                    \
  "hl 1 lane\nkernel @w {\n  param %out : tensor<f32[1]> out\n  axis $r tile block 32\n"                               \
  "  layout #1 = {rank = 1, regs = [], lanes = [[1], [2], [4], [8], [16]], warps = []}\n"                              \
  "  layout #2 = {rank = 1, regs = [], lanes = [[2], [1], [4], [8], [16]], warps = []}\n"                              \
  "  grid [1 / 1]\n  launch warps 1\n  body {\n    %c0 = const {value = 0} : i64\n    %c32 = const {value = 32} : "    \
  "i64\n"                                                                                                              \
  "    %r = range %c0, %c32 {axis = $r} : tile<$r>\n    %b = shared {slots = 1} : buffer<i64[32]>\n    %x = "          \
  "tile_index %r : i64[$r]#1\n"                                                                                        \
  "    %y = tile_index %r : i64[$r]#2\n    %z = add %y, %y : i64[$r]#2\n    shared_store %b, %c0, %x\n" lines          \
  "  }\n}\n"
  BOX1(out, HL_F32, 1);
  const hl_arg args[] = {arg_of(&out)};
  run_ok(TEXT("    shared_store %b, %c0, %y\n"), args, 1, NULL); /* the same values */
  run_ok(TEXT("    barrier\n    shared_store %b, %c0, %z\n"), args, 1, NULL);
  run_fails(TEXT("    shared_store %b, %c0, %z\n"), args, 1, NULL, HL_ERR_BUILD,
            "race: thread 1 writes element [2] of slot 0 of a shared buffer, which thread 2 wrote differently with no "
            "barrier between");
  run_fails(TEXT("    %v = shared_load %b, %c0 : i64[$r]#2\n"), args, 1, NULL, HL_ERR_BUILD,
            "thread 1 reads element [2]");
  run_fails(TEXT("    barrier\n    %v = shared_load %b, %c0 : i64[$r]#1\n    shared_store %b, %c0, %z\n"), args, 1,
            NULL, HL_ERR_BUILD,
            "thread 1 writes element [2] of slot 0 of a shared buffer, which thread 2 read with no barrier between");
  run_ok(TEXT("    barrier\n    %v = shared_load %b, %c0 : i64[$r]#1\n    barrier\n    shared_store %b, %c0, %z\n"),
         args, 1, NULL);
  box_free(&out);
}

/* Buffers that share bytes: fine one after the other, and no way to see one through the other. */
static void test_overlap(void **state) {
  (void)state;
#define OVERLAP(lines)                                                                                                 \
  "hl 1 lane\nkernel @o {\n  param %out : tensor<f32[1]> out\n  axis $r tile block 32\n"                               \
  "  layout #1 = {rank = 1, regs = [], lanes = [[1], [2], [4], [8], [16]], warps = []}\n"                              \
  "  grid [1 / 1]\n  launch warps 1 shared 256\n  body {\n    %c0 = const {value = 0} : i64\n"                         \
  "    %c32 = const {value = 32} : i64\n    %r = range %c0, %c32 {axis = $r} : tile<$r>\n"                             \
  "    %a = shared {slots = 1, offset = 0} : buffer<i64[32]>\n"                                                        \
  "    %b = shared {slots = 1, offset = 64} : buffer<i32[32]>\n    %x = tile_index %r : i64[$r]#1\n"                   \
  "    %y = cast %x : i32[$r]#1\n" lines "  }\n}\n"
#define PUT_A "    shared_store %a, %c0, %x\n"
#define PUT_B "    shared_store %b, %c0, %y\n"
#define GET_A "    %u = shared_load %a, %c0 : i64[$r]#1\n"
#define GET_B "    %v = shared_load %b, %c0 : i32[$r]#1\n"
#define SYNC  "    barrier\n"
  BOX1(out, HL_F32, 1);
  const hl_arg args[] = {arg_of(&out)};
  run_ok(OVERLAP(PUT_A SYNC GET_A SYNC PUT_B SYNC GET_B), args, 1, NULL);
  run_fails(OVERLAP(PUT_A SYNC GET_A PUT_B SYNC GET_B), args, 1, NULL, HL_ERR_BUILD,
            "race: thread 0 writes element [0] of slot 0 of a shared buffer, which thread 8 read with no barrier");
  run_fails(OVERLAP(PUT_A PUT_B), args, 1, NULL, HL_ERR_BUILD,
            "which thread 8 wrote differently with no barrier between");
  run_fails(OVERLAP(PUT_A SYNC PUT_B SYNC GET_A), args, 1, NULL, HL_ERR_BUILD,
            "thread 8 reads element [8] of slot 0 of a shared buffer, whose bytes another buffer has overwritten");
  run_fails(OVERLAP(PUT_A SYNC GET_B), args, 1, NULL, HL_ERR_BUILD, "whose bytes another buffer has overwritten");
  run_fails(OVERLAP("    %c = shared {slots = 1, offset = 200} : buffer<i16[32]>\n"), args, 1, NULL, HL_ERR_BUILD,
            "the buffer ends at byte 264, the kernel has 256");
  box_free(&out);
}

/* A tensor that is written and read again by other threads of the block. */
static void test_tensor_races(void **state) {
  (void)state;
#define REREAD(lines)                                                                                                  \
  "hl 1 lane\nkernel @t {\n  param %x : tensor<i64[32]> inout\n  axis $r tile block 32\n"                              \
  "  layout #1 = {rank = 1, regs = [], lanes = [[1], [2], [4], [8], [16]], warps = []}\n"                              \
  "  layout #2 = {rank = 1, regs = [], lanes = [[2], [1], [4], [8], [16]], warps = []}\n"                              \
  "  swizzle #3 = {rank = 1, vec = 0, shift = 0, mask = 0, pad = 0}\n"                                                 \
  "  grid [1 / 1]\n  launch warps 1\n  body {\n    %c0 = const {value = 0} : i64\n"                                    \
  "    %c30 = const {value = 30} : i64\n    %r = range %c0, %c30 {axis = $r} : tile<$r>\n"                             \
  "    %i = tile_index %r : i64[$r]#1\n    %j = tile_index %r : i64[$r]#2\n    %jj = add %j, %j : i64[$r]#2\n"         \
  "    store %x[%r], %i\n" lines "  }\n}\n"
  BOX1(x, HL_I64, 32);
  box_fill(&x, 1);
  const hl_arg args[] = {arg_of(&x)};
  run_ok(REREAD("    %v = load %x[%r] : i64[$r]#1\n    store %x[%r], %v\n"), args, 1, NULL);
  run_ok(REREAD("    barrier\n    %v = load %x[%r] : i64[$r]#2\n    barrier\n    store %x[%r], %i\n"), args, 1, NULL);
  run_fails(REREAD("    %v = load %x[%r] : i64[$r]#2\n"), args, 1, NULL, HL_ERR_BUILD,
            "race: thread 1 reads element [2] of a tensor, which thread 2 wrote with no barrier between: store %x");
  run_fails(REREAD("    barrier\n    %v = load %x[%r] : i64[$r]#1\n    store %x[%r], %jj\n"), args, 1, NULL,
            HL_ERR_BUILD, "race: thread 1 writes element [2] of a tensor, which thread 2 read with no barrier between");
  run_fails(REREAD("    store %x[%r], %jj\n"), args, 1, NULL, HL_ERR_BUILD, "which thread 2 wrote differently");
  run_fails(REREAD("    %v = load %x[%c0] : i64\n"), args, 1, NULL, HL_ERR_BUILD,
            "race: thread 1 reads element [0] of a tensor, which thread 0 wrote");
  run_fails(REREAD("    %b = shared {slots = 1} : buffer<i64[32]>#3\n    async_copy %x[%r], %b, %c0 {layout = #2}\n"),
            args, 1, NULL, HL_ERR_BUILD, "race: thread 1 reads element [2] of a tensor, which thread 2 wrote");
  run_ok(REREAD("    %v = load %x[%r] : i64[$r]#2\n"), args, 1, &no_races);
  box_free(&x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vector_add), cmocka_unit_test(test_row_sum),      cmocka_unit_test(test_ownership),
      cmocka_unit_test(test_broadcast),  cmocka_unit_test(test_bad_layouts),  cmocka_unit_test(test_ring),
      cmocka_unit_test(test_ring_races), cmocka_unit_test(test_shared),       cmocka_unit_test(test_shared_races),
      cmocka_unit_test(test_overlap),    cmocka_unit_test(test_tensor_races),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
