/* host_run.c: see host_run.h. */
#include "tests/codegen/host_run.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "src/target/target.h"

hl_status host_emit(const char *text, const char *target, hl_emit emit, hl_diag *diag, hlc_result *out) {
  const hlc_request r = {.text = hli_str(text), .target = target, .emit = emit};
  return hli_codegen_entry()->compile(&r, diag, out);
}

host_code host_load_text(const char *text, const char *target) {
  hl_diag d = {0};
  hlc_result r;
  hl_kernel *k = NULL;
  host_code c = {0};
  if (host_emit(text, target, HL_EMIT_OBJ, &d, &r) != HL_OK) fail_msg("%s:%u: %s\n%s", d.file, d.line, d.message, text);
  assert_int_equal(r.format, HLC_ELF_SO);
  char path[] = "/tmp/hl-test-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, hl_blob_data(r.bytes), hl_blob_size(r.bytes)), (ssize_t)hl_blob_size(r.bytes));
  close(fd);
  c.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  unlink(path);
  if (!c.library) fail_msg("%s", dlerror());
  *(void **)&c.entry = dlsym(c.library, r.entry);
  assert_non_null(c.entry);
  hl_blob_release(r.bytes);
  assert_int_equal(hli_parse(NULL, hli_str(text), "host", &d, &k), HL_OK);
  c.scratch = aligned_alloc(64, (k->launch.scratch_bytes + 127) / 64 * 64);
  hl_kernel_destroy(k);
  return c;
}

host_code host_load(const hl_kernel *loop, const char *target) {
  hl_blob *text = NULL;
  assert_int_equal(hl_kernel_print(loop, NULL, &text), HL_OK);
  host_code c = host_load_text(hl_blob_data(text), target);
  hl_blob_release(text);
  return c;
}

void host_unload(host_code *c) {
  dlclose(c->library);
  free(c->scratch);
}

bool host_runs(const char *target) {
  const hl_target *host, *t;
  assert_int_equal(hl_target_find(hli_str("host"), NULL, &host), HL_OK);
  assert_int_equal(hl_target_find(hli_str(target), NULL, &t), HL_OK);
#if defined(__x86_64__)
  return t->vector_bytes <= host->vector_bytes;
#else
  return t == host;
#endif
}

void host_run(const host_code *c, const hl_kernel *loop, const void *block) {
  int64_t programs = 1;
  for (uint32_t i = 0; i < loop->grid.len; i++) {
    const hli_grid_axis *g = &loop->grid.data[i];
    int64_t size = g->dim ? loop->dims.data[g->dim].value >= 0 ? loop->dims.data[g->dim].value : loop->dims.data[g->dim].example : g->constant;
    programs *= hli_ceil_div(size, g->block);
  }
  c->entry(block, 0, programs, c->scratch);
}
