/* test_values.c: rules of the language about values, each in every place (places.h), bit by bit.
 *
 * ctest-timeout: 900
 *
 * SPDX-License-Identifier: MIT */
#include "tests/exec/places.h"

#include <math.h>

#include "src/ir/ir.h"

static hl_builder *begin(hl_context *ctx, const char *name) {
  hl_diag d = {0};
  hl_builder *b = NULL;
  if (hl_builder_create(ctx, name, &d, &b) != HL_OK)
    fail_msg("%s", d.message);
  return b;
}

static hl_kernel *finish(hl_builder *b) {
  hl_diag d = {0};
  hl_kernel *k = NULL;
  if (hl_builder_finish(b, &d, &k) != HL_OK)
    fail_msg("%s:%u: %s", d.file, d.line, d.message);
  return k;
}

/* ---- y[i] = f(x[i]...), for f of one or two operands ---- */

typedef struct pointwise {
  hl_dtype in[3], out;
  uint32_t operands;
  hl_value (*of)(hl_builder *b, const hl_value *v, const void *user);
  const void *user;
} pointwise;

static hl_kernel *build_pointwise(hl_context *ctx, const void *user) {
  static const char *const names[] = {"x", "w", "z"};
  const pointwise *p = user;
  hl_builder *b = begin(ctx, "pointwise");
  const hl_dim n = hl_dim_named(b, "N");
  hl_value in[3], v[3], i;
  for (uint32_t j = 0; j < p->operands; j++)
    in[j] = hl_param_tensor(b, names[j], p->in[j], &n, 1, HL_IN);
  const hl_value y = hl_param_tensor(b, "y", p->out, &n, 1, HL_OUT);
  hl_tile_begin(b, (hl_value[]){hl_size(b, in[0], 0)}, 1, &i);
  for (uint32_t j = 0; j < p->operands; j++)
    v[j] = hl_load(b, in[j], &i, 1);
  hl_store(b, y, &i, 1, p->of(b, v, p->user));
  hl_tile_end(b, NULL, NULL);
  return finish(b);
}

static void check_pointwise(const char *what, const pointwise *p, const void *const *in, const void *want, int64_t n) {
  places_arg args[4];
  for (uint32_t j = 0; j < p->operands; j++)
    args[j] = (places_arg){.dtype = p->in[j], .rank = 1, .shape = {n}, .data = in[j]};
  args[p->operands] = (places_arg){.dtype = p->out, .rank = 1, .shape = {n}, .want = want};
  places_check(what, build_pointwise, p, args, p->operands + 1, &(places_options){.configs = 2});
}

/* ---- casts of 8-bit floats ---- */

static hl_value cast_to(hl_builder *b, const hl_value *v, const void *user) {
  return hl_cast(b, v[0], *(const hl_dtype *)user);
}

static const hl_dtype tiny[] = {HL_F8E4M3, HL_F8E5M2, HL_F8E4M3FNUZ, HL_F8E5M2FNUZ, HL_F8E8M0};
static const hl_dtype wide[] = {HL_F32, HL_F16, HL_BF16, HL_F64, HL_I32};

/* All codes to `to` and back; for floats also what lies between two neighbours. */
static void check_f8(hl_dtype dtype, hl_dtype to) {
  enum { N = 777 };
  static uint8_t code[N];
  static double wide_in[N], wide_out[N]; /* room for any dtype */
  const hli_float_format f = hli_float_format_of(dtype);
  const uint32_t size = hl_dtype_size(to);
  for (uint32_t i = 0; i < N; i++) {
    code[i] = (uint8_t)i;
    const hli_scalar s = {.f = hli_float_widen(f, code[i])};
    const uint64_t out = hli_scalar_to_bits(to, hli_scalar_eval(HLI_OP_CAST, dtype, to, &s, true));
    memcpy((char *)wide_out + (size_t)i * size, &out, size);
  }
  check_pointwise("from 8 bits", &(pointwise){{dtype}, to, 1, cast_to, &to}, (const void *[]){code}, wide_out, N);
  for (uint32_t i = 0; i < N; i++) {
    hli_scalar s = {.f = hli_float_widen(f, (uint8_t)i)};
    if (i >= 256)
      s.f = (s.f + hli_float_widen(f, (uint8_t)(i + 1))) / 2;
    if (i >= 512)
      s.f *= 1 + 0x1p-9;
    if (to == HL_I32)
      s.i = (int64_t)i - 400;
    const uint64_t in = hli_scalar_to_bits(to, s);
    const hli_scalar rounded = hli_scalar_from_bits(to, in);
    memcpy((char *)wide_in + (size_t)i * size, &in, size);
    code[i] = (uint8_t)hli_float_narrow(f, to == HL_I32 ? (double)rounded.i : rounded.f);
  }
  check_pointwise("to 8 bits", &(pointwise){{to}, dtype, 1, cast_to, &dtype}, (const void *[]){wide_in}, code, N);
}

static void test_f8(void **state) {
  (void)state;
  for (size_t i = 0; i < HLI_COUNT(tiny); i++)
    for (size_t j = 0; j < HLI_COUNT(wide); j++)
      if (j == 0 || (i + j) % 2 == 0) /* the unit tests look at all pairs */
        check_f8(tiny[i], wide[j]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_f8)};
  return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
