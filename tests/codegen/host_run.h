/* host_run.h: compiles a LOOP kernel for the CPU, loads it and calls it. */
#ifndef TESTS_HOST_RUN_H
#define TESTS_HOST_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "codegen/codegen.h"
#include "runtime/program.h"
#include "src/ir/ir.h"

typedef struct host_code {
  void *library;
  hlr_cpu_entry entry;
  void *scratch;
} host_code;

/* HL_OK, or what compile said. */
hl_status host_emit(const char *text, const char *target, hl_emit emit, hl_diag *diag, hlc_result *out);
/* Compiles and loads, or fails the test. */
host_code host_load(const hl_kernel *loop, const char *target);
host_code host_load_text(const char *text, const char *target);
void host_unload(host_code *c);
/* Can this machine run code for the target? */
bool host_runs(const char *target);
/* Programs [0, product of the grid). */
void host_run(const host_code *c, const hl_kernel *loop, const void *block);

#endif
