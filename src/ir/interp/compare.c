/* compare.c: the tolerance of compare.h.  SPDX-License-Identifier: MIT */
#include "src/ir/interp/compare.h"
#include "src/ir/ir.h"
#include <float.h>
#include <math.h>
#include <stdio.h>

static bool is_float(hl_dtype dtype) {
  return hli_dtype_kind(dtype) == 'f';
}

static double eps_of(hl_dtype dtype) {
  return ldexp(1, -hli_float_format_of(dtype).mantissa);
}

/* The smallest number above 0. */
static double least_of(hl_dtype dtype) {
  const hli_float_format f = hli_float_format_of(dtype);
  return ldexp(1, (f.special == HLI_FLOAT_SCALE ? 0 : 1) - f.bias - f.mantissa);
}

static double largest_of(hl_dtype dtype) {
  const hli_float_format f = hli_float_format_of(dtype);
  return hli_float_widen(f, hli_float_largest(f));
}

/* ---- reading tensors ---- */

static hli_scalar read_at(const hl_tensor *t, const int64_t *index) {
  int64_t at = 0, step = 1;
  for (int32_t d = t->ndim; d-- > 0; step *= t->shape[d])
    at += index[d] * (t->strides ? t->strides[d] : step);
  const hl_dtype dtype = hl_dtype_from_dl(t->dtype);
  const size_t size = hl_dtype_size(dtype);
  const unsigned char *p = (const unsigned char *)t->data + t->byte_offset + at * (int64_t)size;
  uint64_t bits = 0;
  uint8_t b8;
  uint16_t b16;
  uint32_t b32;
  switch (size) {
  case 1:
    memcpy(&b8, p, 1);
    bits = b8;
    break;
  case 2:
    memcpy(&b16, p, 2);
    bits = b16;
    break;
  case 4:
    memcpy(&b32, p, 4);
    bits = b32;
    break;
  default:
    memcpy(&bits, p, 8);
  }
  return hli_scalar_from_bits(dtype, bits);
}

static double number_of(const hl_tensor *t, const int64_t *index) {
  const hl_dtype dtype = hl_dtype_from_dl(t->dtype);
  const hli_scalar s = read_at(t, index);
  const char kind = hli_dtype_kind(dtype);
  return kind == 'f' ? s.f : kind == 'u' ? (double)s.u : (double)s.i;
}

static bool next(int64_t *index, const hl_tensor *t) {
  for (int32_t d = t->ndim; d-- > 0;) {
    if (++index[d] < t->shape[d])
      return true;
    index[d] = 0;
  }
  return false;
}

static hl_status check_tensors(const hl_tensor *got, const hl_tensor *want, hl_diag *diag, const char *what,
                               int64_t *count) {
  if (!got || !want)
    return hli_fail(diag, HL_ERR_ARG, "compare: a tensor is NULL");
  const hl_dtype g = hl_dtype_from_dl(got->dtype), w = hl_dtype_from_dl(want->dtype);
  *count = 1;
  if (got->ndim < 0 || got->ndim > HL_MAX_RANK || got->ndim != want->ndim)
    return hli_fail(diag, HL_ERR_ARG, "compare: the result has rank %d, %s %d", (int)got->ndim, what, (int)want->ndim);
  for (int32_t d = 0; d < got->ndim; d++) {
    if (got->shape[d] != want->shape[d])
      return hli_fail(diag, HL_ERR_ARG, "compare: dimension %d has size %lld, in %s %lld", (int)d,
                      (long long)got->shape[d], what, (long long)want->shape[d]);
    *count *= got->shape[d];
  }
  if (g == HL_DTYPE_NONE || (w != g && w != HL_F64))
    return hli_fail(diag, HL_ERR_ARG, "compare: the result is %s, %s %s: give %s or f64", hl_dtype_text(g), what,
                    hl_dtype_text(w), hl_dtype_text(g));
  if (*count && (!got->data || !want->data))
    return hli_fail(diag, HL_ERR_ARG, "compare: a tensor's data is NULL");
  return HL_OK;
}

/* ---- the formula ---- */

typedef struct judge {
  hl_dtype dtype;
  bool discrete;
  double relative, absolute; /* allowed = relative * |want| + absolute */
  double largest;
  const hl_tensor *margin;
  double boundary;
} judge;

static double root_mean_square(const hl_tensor *t, int64_t count) {
  int64_t index[HL_MAX_RANK] = {0}, finite = 0;
  long double sum = 0;
  if (!count)
    return 0;
  do {
    const double x = number_of(t, index);
    if (!isfinite(x))
      continue;
    sum += (long double)x * x;
    finite++;
  } while (next(index, t));
  return finite ? (double)sqrtl(sum / finite) : 0;
}

static judge make_judge(const hl_tensor *got, const hl_tensor *want, const hli_tolerance *t, int64_t count) {
  judge j = {.dtype = hl_dtype_from_dl(got->dtype), .margin = t->margin, .boundary = t->boundary};
  j.discrete = !is_float(j.dtype);
  if (j.discrete)
    return j;
  const bool tiny = hl_dtype_size(j.dtype) == 1; /* judged by what is rounded to it, which f32 arithmetic made */
  const hl_dtype acc = t->acc != HL_DTYPE_NONE ? t->acc : j.dtype == HL_F64 ? HL_F64 : HL_F32;
  const double steps = t->steps > 0 ? t->steps : j.dtype == HL_F64 ? 32 : j.dtype == HL_F32 || tiny ? 8 : 2;
  const double slack = t->slack > 0 ? t->slack : 2;
  const double magnitude = t->magnitude > 0 ? t->magnitude : root_mean_square(want, count);
  j.relative = steps * eps_of(tiny ? HL_F32 : j.dtype);
  j.absolute = slack * eps_of(acc) * sqrt((double)HLI_MAX(t->n, 1)) * magnitude + least_of(tiny ? HL_F32 : j.dtype);
  j.largest = largest_of(j.dtype);
  return j;
}

/* Between what the ends of the allowed interval round to. */
static bool tiny_right(const judge *j, double got, double want, double *error, double *allowed) {
  const hli_float_format f = hli_float_format_of(j->dtype);
  const double low = hli_float_widen(f, hli_float_narrow(f, want - *allowed));
  const double high = hli_float_widen(f, hli_float_narrow(f, want + *allowed));
  *error = got < low ? low - got : got > high ? got - high : 0;
  *allowed = 0;
  return *error == 0;
}

/* Error and allowance of one element; true if it is right. */
static bool right(const judge *j, const hl_tensor *got, const hl_tensor *want, const int64_t *index, double *error,
                  double *allowed) {
  const double g = number_of(got, index), w = number_of(want, index);
  *error = 0;
  *allowed = j->relative * fabs(w) + j->absolute;
  if (j->discrete) { /* the numbers may not fit a double: compare the integers */
    const bool equal =
        hl_dtype_from_dl(want->dtype) == HL_F64 ? g == w : read_at(got, index).u == read_at(want, index).u;
    *error = equal ? 0 : fabs(g - w);
    return equal || (j->margin && number_of(j->margin, index) <= j->boundary);
  }
  if (isnan(w) || isnan(g))
    return isnan(w) && isnan(g);
  if (hl_dtype_size(j->dtype) == 1)
    return tiny_right(j, g, w, error, allowed);
  if (isinf(w))
    return g == w;
  if (isinf(g))
    return fabs(w) + *allowed >= j->largest && (g > 0) == (w > 0);
  *error = fabs(g - w);
  return *error <= *allowed;
}

hl_status hli_compare(const hl_tensor *got, const hl_tensor *want, const hli_tolerance *tolerance, hl_diag *diag,
                      hli_comparison *out) {
  const hli_tolerance none = {0};
  const hli_tolerance *t = tolerance ? tolerance : &none;
  *out = (hli_comparison){0};
  hl_status s = check_tensors(got, want, diag, "the reference", &out->count);
  if (!s && t->margin)
    s = check_tensors(got, t->margin, diag, "the margin", &out->count);
  if (s)
    return s;
  const judge j = make_judge(got, want, t, out->count);
  int64_t index[HL_MAX_RANK] = {0};
  long double error_sum = 0, want_sum = 0;
  out->rank = (uint32_t)got->ndim;
  for (int64_t i = 0; i < out->count; i++, (void)next(index, got)) {
    double error, allowed;
    const bool ok = right(&j, got, want, index, &error, &allowed);
    const double w = number_of(want, index);
    if (isfinite(w))
      want_sum += (long double)w * w;
    error_sum += (long double)error * error;
    out->max_error = fmax(out->max_error, error);
    if (allowed > 0)
      out->worst = fmax(out->worst, error / allowed);
    if (!ok && out->wrong++ == 0) {
      memcpy(out->first, index, sizeof index);
      out->got = number_of(got, index);
      out->want = w;
      out->allowed = j.discrete ? 0 : allowed;
    }
  }
  out->frobenius = error_sum > 0 ? (double)sqrtl(error_sum / want_sum) : 0;
  out->pass = out->wrong == 0;
  return HL_OK;
}

void hli_comparison_text(const hli_comparison *c, char *buffer, size_t size) {
  char at[256] = "[";
  size_t used = 1;
  for (uint32_t d = 0; d < c->rank && used < sizeof at - 32; d++)
    used += (size_t)snprintf(at + used, sizeof at - used, "%s%lld", d ? ", " : "", (long long)c->first[d]);
  snprintf(at + used, sizeof at - used, "]");
  if (c->pass)
    snprintf(buffer, size,
             "all %lld elements agree; largest error %.3g (%.2g of what is allowed), relative Frobenius error %.3g",
             (long long)c->count, c->max_error, c->worst, c->frobenius);
  else
    snprintf(buffer, size,
             "%lld of %lld elements differ; the first at %s: got %.9g, want %.9g (allowed error %.3g); largest error "
             "%.3g, relative Frobenius error %.3g",
             (long long)c->wrong, (long long)c->count, at, c->got, c->want, c->allowed, c->max_error, c->frobenius);
}
