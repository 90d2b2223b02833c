/* interp_util.c: see the header. */
#include "interp_util.h"
#include <stdlib.h>
#include <string.h>

void box_init(box *b, hl_dtype dtype, uint32_t rank, const int64_t *shape, const int64_t *strides) {
  int64_t step = 1, last = 0;
  memset(b, 0, sizeof *b);
  for (uint32_t d = rank; d-- > 0;) {
    b->shape[d] = shape[d];
    b->strides[d] = strides ? strides[d] : step;
    last += HLI_MAX(shape[d] - 1, 0) * b->strides[d];
    step *= shape[d];
  }
  b->bytes = (size_t)(last + 1) * hl_dtype_size(dtype);
  b->t = (hl_tensor){.data = malloc(b->bytes),
                     .device = {HL_DEVICE_CPU, 0},
                     .ndim = (int32_t)rank,
                     .dtype = hl_dtype_to_dl(dtype),
                     .shape = b->shape,
                     .strides = b->strides};
  assert_non_null(b->t.data);
  memset(b->t.data, 0x5a, b->bytes); /* no kernel may rely on zeros */
}

void box_free(box *b) {
  free(b->t.data);
}

static unsigned char *at(const box *b, int64_t i, int64_t j) {
  const hl_dtype dtype = hl_dtype_from_dl(b->t.dtype);
  int64_t where = b->t.ndim > 0 ? i * b->strides[0] : 0;
  if (b->t.ndim > 1)
    where += j * b->strides[1];
  return (unsigned char *)b->t.data + where * (int64_t)hl_dtype_size(dtype);
}

double box_get(const box *b, int64_t i, int64_t j) {
  const hl_dtype dtype = hl_dtype_from_dl(b->t.dtype);
  uint64_t bits = 0;
  memcpy(&bits, at(b, i, j), hl_dtype_size(dtype)); /* little-endian hosts */
  const hli_scalar s = hli_scalar_from_bits(dtype, bits);
  return hli_dtype_kind(dtype) == 'f' ? s.f : (double)s.i;
}

void box_set(box *b, int64_t i, int64_t j, double x) {
  const hl_dtype dtype = hl_dtype_from_dl(b->t.dtype);
  hli_scalar s = {.f = x};
  if (hli_dtype_kind(dtype) != 'f')
    s.i = (int64_t)x;
  const uint64_t bits = hli_scalar_to_bits(dtype, s);
  memcpy(at(b, i, j), &bits, hl_dtype_size(dtype));
}

void box_fill(box *b, uint64_t seed) {
  const bool is_float = hli_dtype_kind(hl_dtype_from_dl(b->t.dtype)) == 'f';
  uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
  const int64_t rows = b->t.ndim > 0 ? b->shape[0] : 1, columns = b->t.ndim > 1 ? b->shape[1] : 1;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      x = x * 6364136223846793005u + 1442695040888963407u;
      box_set(b, i, j, is_float ? (double)(int64_t)(x >> 40) / 4194304.0 - 2.0 : (double)(x >> 61));
    }
}

hl_arg arg_of(const box *b) {
  return (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &b->t};
}

hl_status run_text(const char *text, const hl_arg *args, size_t count, const hli_interp_options *options,
                   hl_diag *diag) {
  const hli_interp_options usual = {.race_check = true, .program_check = true};
  hl_kernel *k = NULL;
  memset(diag, 0, sizeof *diag);
  if (hli_parse(NULL, hli_str(text), "test.hl", diag, &k) != HL_OK)
    fail_msg("line %u: %s", diag->line, diag->message);
  const hl_status s = hli_interp_run(k, NULL, args, count, options ? options : &usual, diag);
  hl_kernel_destroy(k);
  return s;
}

void run_ok(const char *text, const hl_arg *args, size_t count, const hli_interp_options *options) {
  hl_diag diag;
  if (run_text(text, args, count, options, &diag) != HL_OK)
    fail_msg("%s: %s", hl_status_text(diag.status), diag.message);
}

void run_fails(const char *text, const hl_arg *args, size_t count, const hli_interp_options *options, hl_status status,
               const char *words) {
  hl_diag diag;
  const hl_status s = run_text(text, args, count, options, &diag);
  if (s == HL_OK)
    fail_msg("ran, but should fail with: %s", words);
  if (s != status || diag.status != status || !strstr(diag.message, words))
    fail_msg("expected '%s', got: %s: %s", words, hl_status_text(s), diag.message);
}

void expect_close(const box *got, const box *want, int64_t n) {
  hl_diag diag;
  hli_comparison c;
  const hli_tolerance t = {.n = n};
  char text[512];
  if (hli_compare(&got->t, &want->t, &t, &diag, &c) != HL_OK)
    fail_msg("%s", diag.message);
  hli_comparison_text(&c, text, sizeof text);
  if (!c.pass)
    fail_msg("%s", text);
}
