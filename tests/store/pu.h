/* pu.h: plans and their cache in tests: a kernel, a context with a cache folder and a log, a launch that is checked. */
#ifndef TESTS_STORE_PU_H
#define TESTS_STORE_PU_H

#include "hl/ext.h"
#include "hl/hl.h"
#include "util.h"

/* A context like those of programs, on the folder of `t`. */
typedef struct pu {
  hl_context *ctx;
  hl_device *dev;
  hl_kernel *k;    /* y[n] = x[n] * factor + 1 */
  int compiled;    /* kernels that were compiled: lines of HL_COMPILE_WARN */
  int warnings;    /* other warnings */
  char last[1024]; /* the last of them */
} pu;

typedef struct pu_options {
  const char *dir;          /* NULL: the folder of t */
  const char *device;       /* NULL: "cpu" */
  hl_compile_policy policy; /* ALLOW: WARN, which is counted */
  double factor;            /* 0: 2 */
  const hl_driver *driver;
} pu_options;

void pu_open(pu *p, su *t, const pu_options *o);
void pu_close(pu *p);
/* A plan for n elements, launched on fresh data and checked; what hl_plan_create said. */
hl_status pu_run(pu *p, int64_t n, const char *config, hl_diag *diag);
hl_status pu_plan(pu *p, int64_t n, const char *config, hl_diag *diag, hl_plan **out);
void pu_launch(pu *p, const hl_plan *plan, int64_t n);
/* The i-th record of a kind; false: there are not so many. */
bool pu_entry(pu *p, hl_cache_kind kind, uint32_t i, char key[HL_CACHE_KEY], char *config, size_t size);
uint32_t pu_count(pu *p, hl_cache_kind kind);

#endif
