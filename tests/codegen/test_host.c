/* test_host.c: CPU code: kernels compiled for each x86 level against the interpreter's truth, what compile refuses,
 * what the object may depend on, and many threads compiling at once.
 * ctest-timeout: 900 */
#include "tests/codegen/host_run.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/support/lowered.h"

static hl_context *ctx;

static int setup(void **state) {
  (void)state;
  return hl_context_create(NULL, NULL, &ctx);
}

static int teardown(void **state) {
  (void)state;
  hl_context_destroy(ctx);
  return 0;
}

/* ---- kernels ------------------------------------------------------------------------------- */

typedef struct block { char bytes[1024]; size_t end; } block;

static void field(block *b, const void *value, size_t size) {
  b->end = (b->end + size - 1) / size * size;
  memcpy(b->bytes + b->end, value, size);
  b->end += size;
}

/* As the contract says: parameters, dynamic dimensions that a parameter has, runtime strides. */
static void lay_out(const hl_kernel *k, const lowered_data *d, block *b) {
  memset(b, 0, sizeof *b);
  for (uint32_t p = 0; p < k->params.len; p++) {
    float f = (float)d->arg[p].as.f64;
    if (d->arg[p].kind == HL_ARG_TENSOR) field(b, &d->tensor[p].data, sizeof(void *));
    else if (hli_dtype_of(k, k->params.data[p].value) == HL_F32) field(b, &f, sizeof f);
    else field(b, &d->arg[p].as.i64, sizeof(int64_t));
  }
  for (uint32_t i = 1; i < k->dims.len; i++)
    if (k->dims.data[i].value < 0) field(b, &k->dims.data[i].example, sizeof(int64_t));
  for (uint32_t p = 0; p < k->params.len; p++)
    for (uint32_t i = 0; d->arg[p].kind == HL_ARG_TENSOR && i < (uint32_t)d->tensor[p].ndim; i++) {
      if (k->params.data[p].strides[i] != -1) continue;
      int64_t stride = 1;
      for (uint32_t j = i + 1; j < (uint32_t)d->tensor[p].ndim; j++)
        stride *= d->tensor[p].shape[j];
      field(b, &stride, sizeof stride);
    }
}

static void check_run(const hl_kernel *k, hl_kernel *loop, const char *target, const lowered_data *truth, const char *what) {
  lowered_data d;
  block b;
  lowered_data_make(k, false, &d);
  lay_out(loop, &d, &b);
  host_code c = host_load(loop, target);
  host_run(&c, loop, b.bytes);
  host_unload(&c);
  lowered_compare(k, &d, truth, what);
  lowered_data_free(&d);
  hl_kernel_destroy(loop);
}

static void check_kernel(void *user, const char *below) {
  static const char *const targets[] = {"x86-64-v3", "x86-64-v4", "host"};
  (void)user;
  hl_kernel *k = lowered_parse(ctx, below);
  lowered_data truth;
  lowered_data_make(k, true, &truth);
  lowered_truth(ctx, k, &truth);
  for (uint32_t t = 0; t < HLI_COUNT(targets); t++) {
    if (!host_runs(targets[t])) continue;
    char json[512];
    check_run(k, lowered_loop(ctx, k, targets[t], NULL), targets[t], &truth, targets[t]);
    check_run(k, lowered_loop_random(ctx, k, targets[t], 11 + t, json, sizeof json), targets[t], &truth, json);
  }
  lowered_data_free(&truth);
  hl_kernel_destroy(k);
}

static void test_kernels(void **state) {
  (void)state;
  lowered_each("pass/loopnest", ".hl", check_kernel, NULL);
}

/* ---- small LOOP kernels ------------------------------------------------------------------------ */

#define HEAD "hl 1 loop\nkernel @k {\n  dim N = 64\n"
#define TAIL "  }\n}\n"

/* Only the tail of a vector is stored, also where the mask is a constant: one lane of a narrowed vector once
 * wrote four bytes instead of two. */
static void test_masked_store_stays_inside(void **state) {
  (void)state;
  static const char text[] = HEAD
      "  param %x : tensor<f32[N]> in strides [1]\n  param %y : tensor<bf16[N]> out strides [1]\n  grid [1 / 1]\n  body {\n"
      "    %z = const {value = 0} : i64\n    %one = const {value = 1} : i64\n    %m = lane_mask %one : bool[16]\n"
      "    %v = load %x[%z:] : f32[16]\n    %h = cast %v : bf16[16]\n    store %y[%z:], %h, mask %m\n" TAIL;
  _Alignas(64) float x[64];
  _Alignas(64) uint16_t y[64];
  for (int i = 0; i < 64; i++) x[i] = 1, y[i] = 0x1234;
  host_code c = host_load_text(text, "host");
  c.entry((const void *[]){x, y}, 0, 1, c.scratch);
  host_unload(&c);
  assert_int_equal(y[0], 0x3f80);
  for (int i = 1; i < 64; i++) assert_int_equal(y[i], 0x1234);
}

static bool assembly_has(const char *text, const char *words) {
  hl_diag d = {0};
  hlc_result r;
  assert_int_equal(host_emit(text, "x86-64-v4", HL_EMIT_ASM, &d, &r), HL_OK);
  const bool has = strstr(hl_blob_data(r.bytes), words) != NULL;
  hl_blob_release(r.bytes);
  return has;
}

/* A kernel of 64 elements that stores its input past the cache, after 2 * `steps` additions and subtractions. */
static void streaming_text(char *text, size_t size, int steps) {
  size_t n = (size_t)snprintf(text, size,
                              HEAD "  param %%x : tensor<f32[N]> in strides [1]\n  param %%y : tensor<f32[N]> out strides [1]\n"
                                   "  grid [1 / 1]\n  body {\n    %%z = const {value = 0} : i64\n    %%v0 = load %%x[%%z:] : f32[64]\n");
  for (int i = 0; i < steps; i++)
    n += (size_t)snprintf(text + n, size - n, "    %%t%d = add %%v%d, %%v%d : f32[64]\n    %%v%d = sub %%t%d, %%v0 : f32[64]\n", i, i, i,
                          i + 1, i);
  snprintf(text + n, size - n, "    store %%y[%%z:], %%v%d {cache = 1}\n    fence\n" TAIL, steps);
}

/* Streaming stores: the same result when the tensor is aligned, aligned to 16 and not at all; from two versions of a
 * small program, and from a large one with both kinds of store. */
static void test_streaming(void **state) {
  (void)state;
  static char text[8192];
  _Alignas(64) float x[64], y[96];
  for (int i = 0; i < 64; i++) x[i] = (float)i;
  for (int steps = 0; steps < 50; steps += 40) {
    streaming_text(text, sizeof text, steps);
    host_code c = host_load_text(text, "host");
    for (int off = 0; off < 18; off++) {
      memset(y, 0, sizeof y);
      c.entry((const void *[]){x, y + off}, 0, 1, c.scratch);
      for (int i = 0; i < 64; i++) assert_true(y[off + i] == x[i]);
      assert_true(y[off + 64] == 0 && (!off || y[off - 1] == 0));
    }
    host_unload(&c);
    assert_true(assembly_has(text, "vmovntps\t%zmm"));
    assert_true(assembly_has(text, "sfence"));
    assert_true(assembly_has(text, "k.program.streaming:") == (steps == 0));
    assert_true(assembly_has(text, "k.program:"));
  }
}

/* Elements narrower than the registers they come from: the stores still bypass the cache, and hold everything. */
static void test_streaming_narrow(void **state) {
  (void)state;
  static const char *const dtypes[] = {"bf16", "f16", "i8"};
  static const uint32_t sizes[] = {2, 2, 1};
  _Alignas(64) float x[64];
  _Alignas(64) uint8_t y[192];
  for (int i = 0; i < 64; i++)
    x[i] = (float)(i - 20);
  for (int t = 0; t < 3; t++) {
    char text[1024];
    snprintf(text, sizeof text,
             HEAD "  param %%x : tensor<f32[N]> in strides [1]\n  param %%y : tensor<%s[N]> out strides [1]\n  grid [1 / 1]\n  body {\n"
                  "    %%z = const {value = 0} : i64\n    %%v = load %%x[%%z:] : f32[64]\n    %%h = cast %%v : %s[64]\n"
                  "    store %%y[%%z:], %%h {cache = 1}\n    fence\n" TAIL,
             dtypes[t], dtypes[t]);
    host_code c = host_load_text(text, "host");
    for (uint32_t off = 0; off < 64; off += 2 * sizes[t]) {
      memset(y, 0xa5, sizeof y);
      c.entry((const void *[]){x, y + off}, 0, 1, c.scratch);
      for (uint32_t i = 0; i < 64; i++) {
        const hli_scalar want = t == 2 ? (hli_scalar){.i = (int64_t)x[i]} : (hli_scalar){.f = x[i]};
        const uint64_t bits = hli_scalar_to_bits(t == 0 ? HL_BF16 : t == 1 ? HL_F16 : HL_I8, want);
        assert_memory_equal(y + off + i * sizes[t], &bits, sizes[t]);
      }
      assert_int_equal(y[off + 64 * sizes[t]], 0xa5);
    }
    host_unload(&c);
    assert_true(assembly_has(text, "vmovnt"));
  }
}

/* `unroll` on a loop whose trips do not divide. */
static void test_unroll(void **state) {
  (void)state;
  static const char text[] = HEAD
      "  param %x : tensor<i32[N]> in strides [1]\n  param %n : i64 in\n  param %y : tensor<i32[N]> out strides [1]\n  grid [1 / 1]\n  body {\n"
      "    %z = const {value = 0} : i64\n    %one = const {value = 1} : i64\n    %c = const {value = 0} : i32\n"
      "    %s = for %z, %n, %one, %c {unroll = 4} (%i : i64, %a : i32) {\n      %v = load %x[%i] : i32\n      %t = add %a, %v : i32\n      yield %t\n    } : i32\n"
      "    store %y[%z], %s\n" TAIL;
  int32_t x[64], y[64];
  host_code c = host_load_text(text, "host");
  for (int i = 0; i < 64; i++) x[i] = i * i;
  for (int64_t n = -1; n < 23; n++) {
    struct { const void *x; int64_t n; void *y; } args = {x, n, y};
    int32_t want = 0;
    for (int i = 0; i < n; i++) want += x[i];
    c.entry(&args, 0, 1, c.scratch);
    assert_int_equal(y[0], want);
  }
  host_unload(&c);
}

/* ---- what is refused ------------------------------------------------------------------------------ */

static void refused(const char *text, const char *target, hl_emit emit, hl_status status, const char *words) {
  hl_diag d = {0};
  hlc_result r;
  hl_status s = host_emit(text, target, emit, &d, &r);
  if (s != status || !strstr(d.message, words)) fail_msg("status %d, message '%s'; wanted %d with '%s'", (int)s, d.message, (int)status, words);
}

static void test_refusals(void **state) {
  (void)state;
  static const char empty[] = HEAD "  grid [1 / 1]\n  body {\n" TAIL;
  static const char tile[] = "hl 1 tile\nkernel @k {\n  dim N = 8\n  param %x : tensor<f32[N]> inout\n  axis $i tile over N\n  body {\n"
                             "    %z = const {value = 0} : i64\n    %n = const {value = 8} : i64\n    tile %z, %n {axes = [$i]} (%i : tile<$i>) {\n"
                             "      %v = load %x[%i] : f32[$i]\n      store %x[%i], %v\n      yield\n    }\n" TAIL;
  refused(empty, "pdp-11", HL_EMIT_OBJ, HL_ERR_UNSUPPORTED, "known targets: host, x86-64-v3");
  refused(empty, "host", HL_EMIT_LOOP, HL_ERR_ARG, "LLVM, ASM or OBJ");
  refused("nonsense", "host", HL_EMIT_OBJ, HL_ERR_PARSE, "");
  refused(tile, "host", HL_EMIT_OBJ, HL_ERR_ARG, "loop stage");
  /* a verifier's complaint, not an abort in LLVM */
  static const char big[] = HEAD "  param %y : tensor<f32[N]> out strides [1]\n  grid [1 / 1]\n  body {\n    %b = buffer : buffer<f32[64]>\n" TAIL;
  refused(big, "host", HL_EMIT_OBJ, HL_ERR_INTERNAL, "scratch_bytes");
}

/* ---- threads ------------------------------------------------------------------------------------------ */

static void *compile_many(void *arg) {
  const char *text = arg;
  for (int i = 0; i < 6; i++) {
    hl_diag d = {0};
    hlc_result r;
    if (host_emit(text, i & 1 ? "x86-64-v3" : "host", HL_EMIT_OBJ, &d, &r) != HL_OK) return "failed";
    hl_blob_release(r.bytes);
  }
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  hl_kernel *k = lowered_parse(ctx, "pass/loopnest/softmax_columns.hl"), *l = lowered_loop(ctx, k, "x86-64-v3", NULL);
  hl_blob *text = NULL;
  pthread_t t[4];
  assert_int_equal(hl_kernel_print(l, NULL, &text), HL_OK);
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, compile_many, (void *)hl_blob_data(text)), 0);
  for (int i = 0; i < 4; i++) {
    void *failed = NULL;
    pthread_join(t[i], &failed);
    assert_null(failed);
  }
  hl_blob_release(text);
  hl_kernel_destroy(l);
  hl_kernel_destroy(k);
}

/* ---- memory --------------------------------------------------------------------------------------------- */

static long left; /* allocations until one fails */

static void *failing_alloc(void *user, size_t size, size_t align) {
  (void)user;
  return left-- > 0 ? aligned_alloc(align < 16 ? 16 : align, (size + 63) / 64 * 64) : NULL;
}

static void failing_release(void *user, void *ptr, size_t size) {
  (void)user;
  (void)size;
  free(ptr);
}

static void test_starved(void **state) {
  (void)state;
  const hl_allocator failing = {failing_alloc, failing_release, NULL};
  hl_kernel *k = lowered_parse(ctx, "pass/loopnest/layer_norm.hl"), *l = lowered_loop(ctx, k, "x86-64-v3", NULL);
  hl_blob *text = NULL;
  hl_status s = HL_ERR_MEMORY;
  assert_int_equal(hl_kernel_print(l, NULL, &text), HL_OK);
  for (long n = 0; s != HL_OK; n += n < 50 ? 1 : 7) {
    const hlc_request r = {.text = hli_str(hl_blob_data(text)), .target = "x86-64-v3", .emit = HL_EMIT_OBJ, .alloc = &failing};
    hlc_result out;
    hl_diag d = {0};
    left = n;
    s = hli_codegen_entry()->compile(&r, &d, &out);
    if (s != HL_OK && s != HL_ERR_MEMORY && !strstr(d.message, "out of memory")) fail_msg("allocation %ld: %s", n, d.message);
    hl_blob_release(out.bytes);
  }
  hl_blob_release(text);
  hl_kernel_destroy(l);
  hl_kernel_destroy(k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kernels),  cmocka_unit_test(test_masked_store_stays_inside), cmocka_unit_test(test_streaming),
      cmocka_unit_test(test_streaming_narrow),
      cmocka_unit_test(test_unroll),   cmocka_unit_test(test_refusals),                  cmocka_unit_test(test_threads),
      cmocka_unit_test(test_starved),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
