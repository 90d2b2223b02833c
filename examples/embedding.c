/* embedding.c: rows of a table, picked by their numbers.  Negative numbers count from the end; rows that do not exist
 * are 0. */
#include "examples/example.h"
#include <string.h>

enum { IDS = 4096 }; /* the numbers lie in -IDS .. IDS - 1 */

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "embedding", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim m = hl_dim_named(b, "M"), n = hl_dim_named(b, "N"), v = hl_dim_named(b, "V");
  const hl_value ids = hl_param_tensor(b, "ids", HL_I32, &m, 1, HL_IN);
  const hl_value w = hl_param_tensor(b, "w", dtype, (hl_dim[]){v, n}, 2, HL_IN);
  const hl_value y = hl_param_tensor(b, "out", dtype, (hl_dim[]){m, n}, 2, HL_OUT);
  hl_param_set_spec(b, ids, (hl_arg_spec){HL_DIST_INTEGER, -IDS, IDS - 1, false});
  hl_value t[2];
  hl_tile_begin(b, (hl_value[]){hl_size(b, ids, 0), hl_size(b, w, 1)}, 2, t);
  hl_store(b, y, t, 2, hl_load(b, w, (hl_value[]){hl_load(b, ids, t, 1), t[1]}, 2));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static int64_t row_of(int64_t id, int64_t rows) {
  id += id < 0 ? rows : 0;
  return id < 0 || id >= rows ? -1 : id;
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t n = a[1].shape[1];
  for (int64_t i = 0; i < a[0].shape[0]; i++) {
    const int64_t row = row_of((int64_t)a[0].data[i], a[1].shape[0]);
    for (int64_t j = 0; j < n; j++)
      a[2].data[i * n + j] = row < 0 ? 0 : a[1].data[row * n + j];
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1];
  for (int64_t i = 0; i < size[0]; i++) {
    const int64_t row = row_of(((const int32_t *)args[0])[i], size[2]);
    float *y = (float *)args[2] + i * n;
    if (row < 0)
      memset(y, 0, (size_t)n * sizeof *y);
    else
      memcpy(y, (const float *)args[1] + row * n, (size_t)n * sizeof *y);
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return (double)size[0] * (4.0 + 2.0 * (double)size[1] * element);
}
static double flops(const int64_t *size) {
  return (double)size[0] * (double)size[1]; /* elements */
}

static const hl_example_shape odd[] = {{{1, 1, 4096}}, {{13, 37, 4096}}, {{100, 130, 3000}}, {{0}}};

const hl_example hl_example_embedding = {.number = 8,
                                         .name = "embedding",
                                         .summary = "rows of a table by number",
                                         .dims = {"M", "N", "V"},
                                         .dtypes = example_floats,
                                         .build = build,
                                         .reference = reference,
                                         .bench = {{16384, 1024, 4096}},
                                         .odd = odd,
                                         .bytes = bytes,
                                         .flops = flops,
                                         .reduction = example_single,
                                         .plain = plain};
