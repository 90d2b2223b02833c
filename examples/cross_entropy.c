/* cross_entropy.c: for every row of logits, the logarithm of the sum of their exponentials minus the logit of the row's
 * label.  A label outside the row picks nothing. */
#include "examples/example.h"
#include <math.h>

static hl_status build(hl_context *ctx, hl_dtype dtype, hl_diag *diag, hl_kernel **out) {
  hl_builder *b;
  hl_status s = hl_builder_create(ctx, "cross_entropy", diag, &b);
  if (s != HL_OK)
    return s;
  const hl_dim dims[] = {hl_dim_named(b, "M"), hl_dim_named(b, "N")};
  const hl_dtype work = dtype == HL_F64 ? HL_F64 : HL_F32;
  const hl_value logits = hl_param_tensor(b, "logits", dtype, dims, 2, HL_IN);
  const hl_value labels = hl_param_tensor(b, "labels", HL_I32, dims, 1, HL_IN);
  const hl_value losses = hl_param_tensor(b, "out", work, dims, 1, HL_OUT);
  hl_param_set_spec(b, labels, (hl_arg_spec){HL_DIST_INTEGER, 0, 63, false});
  hl_value i;
  hl_tile_begin(b, (hl_value[]){hl_size(b, logits, 0)}, 1, &i);
  const hl_value v = hl_cast(b, hl_load(b, logits, (hl_value[]){i, HL_ALL}, 2), work);
  const hl_value label = hl_unsqueeze(b, hl_load(b, labels, &i, 1), 1);
  const hl_value is_label = hl_eq(b, hl_cast(b, hl_positions(b, v, 1), HL_I32), label);
  const hl_value picked = hl_reduce_sum(b, hl_where(b, is_label, v, hl_const_f(b, 0)), 1, false);
  hl_store(b, losses, &i, 1, hl_sub(b, hl_logsumexp(b, v, (int32_t[]){1}, 1, false), picked));
  hl_tile_end(b, NULL, NULL);
  return hl_builder_finish(b, diag, out);
}

static void reference(const hl_example_tensor *a, uint32_t count) {
  (void)count;
  const int64_t n = a[0].shape[1];
  for (int64_t i = 0; i < a[0].shape[0]; i++) {
    const double *x = a[0].data + i * n, label = a[1].data[i];
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++)
      top = fmax(top, x[j]);
    for (int64_t j = 0; j < n; j++)
      sum += exp(x[j] - top);
    a[2].data[i] = top + log(sum) - (label < (double)n ? x[(int64_t)label] : 0);
  }
}

static void plain(void *const *args, const int64_t *size) {
  const int64_t n = size[1];
  for (int64_t i = 0; i < size[0]; i++) {
    const float *x = (const float *)args[0] + i * n;
    const int32_t label = ((const int32_t *)args[1])[i];
    float top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++)
      top = x[j] > top ? x[j] : top;
    for (int64_t j = 0; j < n; j++)
      sum += expf(x[j] - top);
    ((float *)args[2])[i] = top + logf(sum) - (label < n ? x[label] : 0);
  }
}

static double bytes(const int64_t *size, uint32_t element) {
  return (double)size[0] * (double)size[1] * element + 8.0 * (double)size[0];
}
static double flops(const int64_t *size) {
  return 4.0 * (double)size[0] * (double)size[1];
}

const hl_example hl_example_cross_entropy = {.number = 15,
                                             .name = "cross_entropy",
                                             .summary = "cross entropy of each row of logits with its label",
                                             .dims = {"M", "N"},
                                             .dtypes = example_floats,
                                             .build = build,
                                             .reference = reference,
                                             .bench = {{4096, 8192}},
                                             .odd = example_few_rows,
                                             .bytes = bytes,
                                             .flops = flops,
                                             .reduction = example_row,
                                             .plain = plain};
