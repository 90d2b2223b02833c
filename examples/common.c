/* common.c: dtypes, shapes that divide by nothing, and lengths of reductions that many kernels of the ladder share. */
#include "examples/example.h"

const hl_dtype example_floats[] = {HL_F32, HL_BF16, HL_F16, HL_F64, HL_DTYPE_NONE};
const hl_dtype example_f32_and_halves[] = {HL_F32, HL_BF16, HL_F16, HL_DTYPE_NONE};

const hl_example_shape example_vectors[] = {{{1}}, {{7}}, {{1000}}, {{4099}}, {{0}}};
const hl_example_shape example_planes[] = {{{1, 1}}, {{7, 1000}}, {{33, 65}}, {{130, 515}}, {{0}}};
const hl_example_shape example_rows[] = {{{1, 1}}, {{7, 1000}}, {{33, 65}}, {{65, 2051}}, {{0}}};
const hl_example_shape example_few_rows[] = {{{1, 1}}, {{7, 1000}}, {{33, 65}}, {{5, 2051}}, {{0}}};

int64_t example_single(const int64_t *size) {
  (void)size;
  return 1;
}

int64_t example_row(const int64_t *size) {
  return size[1];
}
