/* concatenate.c: two matrices side by side. */
#include "examples/plain.h"
#include <string.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "concatenate", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), p = hl_dim_named(b, "P"), t = hl_dim_named(b, "T");
  const hl_value x = hl_param_tensor(b, "x", dtype, (hl_dim[]){m, n}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", dtype, (hl_dim[]){m, p}, 2, HL_IN);
  const hl_value z = hl_param_tensor(b, "out", dtype, (hl_dim[]){m, t}, 2, HL_OUT);
  hl_dim_set_size(b, t, hl_add(b, hl_size(b, x, 1), hl_size(b, y, 1)));
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, x, 0)}, 1, &i);
  const hl_value left = hl_slice_dim(b, hl_const_i(b, 0), n, 1), right = hl_slice_dim(b, hl_size(b, x, 1), p, 1);
  hl_store(b, z, (hl_value[]){i, left}, 2, hl_load(b, x, (hl_value[]){i, HL_ALL}, 2));
  hl_store(b, z, (hl_value[]){i, right}, 2, hl_load(b, y, (hl_value[]){i, HL_ALL}, 2));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t n = a[0].shape[1], p = a[1].shape[1];
  for (int64_t i = 0; i < a[0].shape[0]; i++)
    for (int64_t j = 0; j < n + p; j++)
      a[2].data[i * (n + p) + j] = j < n ? a[0].data[i * n + j] : a[1].data[i * p + j - n];
}

#define LOOP(NAME, T, W, FROM, TO)                                                                                     \
  static void NAME(void *const *args, const int64_t *size) {                                                           \
    const size_t n = (size_t)size[1], p = (size_t)size[2];                                                             \
    for (size_t i = 0; i < (size_t)size[0]; i++) {                                                                     \
      memcpy((T *)args[2] + i * (n + p), (const T *)args[0] + i * n, n * sizeof(T));                                   \
      memcpy((T *)args[2] + i * (n + p) + n, (const T *)args[1] + i * p, p * sizeof(T));                               \
    }                                                                                                                  \
  }
HL_PLAIN_FLOATS(LOOP, plain)
static const hl_example_plain plains[] = {HL_PLAIN_ROWS(plain), {HL_DTYPE_NONE, NULL}};

static double bytes(const int64_t *size, uint32_t element) {
  return 2.0 * (double)size[0] * (double)size[3] * element;
}
static double flops(const int64_t *size) {
  return (double)size[0] * (double)size[3]; /* elements */
}

static const hl_example_shape odd[] = {{{1, 1, 1, 2}}, {{7, 100, 3, 103}}, {{33, 65, 130, 195}}, {{0}}};

const hl_example hl_example_concatenate = {.number = 7,
                                           .name = "concatenate",
                                           .summary = "two matrices side by side",
                                           .dims = {"M", "N", "P", "T"},
                                           .dtypes = example_floats,
                                           .build = build,
                                           .reference = reference,
                                           .bench = {{4096, 1024, 2048, 3072}},
                                           .odd = odd,
                                           .bytes = bytes,
                                           .flops = flops,
                                           .reduction = example_single,
                                           .plains = plains};
