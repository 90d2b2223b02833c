/* rt.h: what the runtime's tests share: a counting, failing allocator, kernels compiled
 * with the system's C compiler, and a small descriptor to launch. */
#ifndef TESTS_RUNTIME_RT_H
#define TESTS_RUNTIME_RT_H

#include "hl/ext.h"
#include "hl/runtime.h"
#include "runtime/program.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- allocator ------------------------------------------------------------- */

typedef struct rt_heap {
  _Atomic long live;    /* blocks */
  _Atomic long bytes;   /* live */
  _Atomic long count;   /* allocations so far */
  _Atomic long fail_at; /* this one (from 0) and, if `sticky`, all later ones fail; -1: none */
  bool sticky;
} rt_heap;

hl_context_options rt_options(rt_heap *heap);
hl_context *rt_context(const hl_context_options *options);

/* ---- kernels ------------------------------------------------------------------ */

/* Compiles C source to a shared object; fails the test if that does not work. */
hl_blob *rt_compile(const char *source);
/* Compiles a file of the source tree into a shared object at `path`. */
void rt_compile_file(const char *file, const char *flags, const char *path);
const char *rt_source_dir(void);

/* ---- the descriptor of y[n] = a * x[n] + y0, in blocks of 64 ----------------------- */

typedef struct rt_axpy {
  hlr_program program;
  hlr_dim dims[2];
  hlr_param params[4]; /* x, y, a, k */
  hlr_step steps[2];
  hlr_slot slots[8];
} rt_axpy;
/* The block is struct { const float *x; float *y; int64_t n; float a; int32_t k; }. */
void rt_axpy_init(rt_axpy *p, hlr_image_kind kind, hl_blob *image);
extern const char rt_axpy_source[];

typedef struct rt_vector {
  hl_tensor tensor;
  int64_t shape[HL_MAX_RANK];
  int64_t strides[HL_MAX_RANK];
} rt_vector;
/* A row-major tensor over `data`, rank <= 3; strides are NULL. */
void rt_tensor(rt_vector *v, hl_device *dev, void *data, hl_dtype dtype, int rank, int64_t d0, int64_t d1, int64_t d2);
hl_arg rt_arg(const rt_vector *v);
hl_arg rt_f64(double value);
hl_arg rt_i64(int64_t value);

#define assert_ok(status, diag) assert_string_equal((status) == HL_OK ? "" : (diag).message, "")
/* The failure has this status and its words contain `part`. */
#define assert_fails(call, want, diag, part)                                                                           \
  do {                                                                                                                 \
    memset(&(diag), 0, sizeof(diag));                                                                                  \
    assert_int_equal((call), (want));                                                                                  \
    assert_int_equal((diag).status, (want));                                                                           \
    if (!strstr((diag).message, (part)))                                                                               \
      fail_msg("'%s' is not in: %s", (part), (diag).message);                                                          \
  } while (0)

/* The driver's fill on elements of every size, of bytes that are alike and bytes that are not, in one row and in rows with
 * gaps between. */
void rt_check_fills(hl_device *dev);

#endif
