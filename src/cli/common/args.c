/* args.c: arguments of a launch, from filling to judging. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/common/args.h"
#include "src/cli/common/words.h"

enum { MARGIN = 256, MARGIN_BYTE = 0x5c }; /* bytes around a buffer; keeps the alignment of its start */

static hl_status fail(hl_diag *diag, hl_status s, const char *words) {
  if (diag) {
    *diag = (hl_diag){.status = s};
    snprintf(diag->message, sizeof diag->message, "%s", words);
  }
  return s;
}

bool cli_arg_is_output(const cli_arg *a) {
  return a->info.is_tensor && a->info.access & HL_OUT;
}

/* ---- creation ---- */

static int64_t size_of_dim(const hl_param_info *p, uint32_t d, const cli_shape *s) {
  char name[64];
  if (!p->dim_name[d].len || p->dim_name[d].len >= sizeof name)
    return p->dim_value[d];
  memcpy(name, p->dim_name[d].ptr, p->dim_name[d].len);
  name[p->dim_name[d].len] = 0;
  const int64_t size = cli_shape_get(s, name);
  return size >= 0 ? size : p->dim_value[d];
}

static hl_status create_one(cli_arg *a, const cli_shape *s, hl_diag *diag) {
  a->count = 1;
  for (uint32_t d = 0; d < a->info.rank; d++) {
    a->shape[d] = size_of_dim(&a->info, d, s);
    if (a->shape[d] < 0)
      return fail(diag, HL_ERR_ARG, "a dimension of the kernel has no size: give --shape NAME=SIZE");
    if (__builtin_mul_overflow(a->count, (size_t)a->shape[d], &a->count) || a->count > (size_t)1 << 46)
      return fail(diag, HL_ERR_LIMIT, "a tensor of this shape is larger than any memory");
  }
  a->bytes = a->count * hl_dtype_size(a->info.dtype);
  a->data = cli_alloc(a->bytes + 8, 1);
  a->host = (hl_tensor){.data = a->data,
                        .device = {HL_DEVICE_CPU, 0},
                        .ndim = (int32_t)a->info.rank,
                        .dtype = hl_dtype_to_dl(a->info.dtype),
                        .shape = a->shape};
  a->device = a->host;
  return HL_OK;
}

hl_status cli_args_create(const hl_kernel *k, const cli_shape *s, hl_diag *diag, cli_args *out) {
  *out = (cli_args){.count = hl_kernel_param_count(k)};
  out->arg = cli_alloc(out->count, sizeof *out->arg);
  out->host = cli_alloc(out->count, sizeof *out->host);
  out->device = cli_alloc(out->count, sizeof *out->device);
  for (uint32_t i = 0; i < out->count; i++) {
    cli_arg *a = &out->arg[i];
    a->info.size = sizeof a->info;
    hl_status st = hl_kernel_param(k, i, &a->info);
    if (st == HL_OK)
      st = create_one(a, s, diag);
    if (st != HL_OK) {
      cli_args_free(out);
      return st;
    }
    if (a->info.is_tensor) {
      out->host[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &a->host};
      out->device[i] = (hl_arg){.kind = HL_ARG_TENSOR, .as.tensor = &a->device};
    }
  }
  return HL_OK;
}

void cli_args_free(cli_args *a) {
  for (uint32_t i = 0; i < a->count; i++) {
    free(a->arg[i].data);
    free(a->arg[i].want);
    free(a->arg[i].scale);
    hl_buffer_destroy(a->arg[i].buffer);
  }
  free(a->arg);
  free(a->host);
  free(a->device);
  *a = (cli_args){0};
}

/* ---- filling ---- */

void cli_args_poison(cli_args *a) {
  for (uint32_t i = 0; i < a->count; i++)
    if (cli_arg_is_output(&a->arg[i]) && !(a->arg[i].info.access & HL_IN))
      memset(a->arg[i].data, cli_is_float(a->arg[i].info.dtype) ? 0xff : 0xa5, a->arg[i].bytes);
}

static void set_scalar(cli_args *a, uint32_t i) {
  double x;
  cli_to_double(a->arg[i].info.dtype, a->arg[i].data, &x, 1);
  if (cli_is_float(a->arg[i].info.dtype))
    a->host[i] = (hl_arg){.kind = HL_ARG_F64, .as.f64 = x};
  else
    a->host[i] = (hl_arg){.kind = HL_ARG_I64, .as.i64 = (int64_t)x};
  a->device[i] = a->host[i];
}

void cli_args_fill(cli_args *a, uint64_t seed) {
  for (uint32_t i = 0; i < a->count; i++) {
    cli_arg *x = &a->arg[i];
    if (!x->info.is_tensor || x->info.access & HL_IN)
      cli_random_fill(&x->info.spec, x->info.dtype, seed + 7919u * i, x->data, x->count);
    if (!x->info.is_tensor)
      set_scalar(a, i);
  }
  cli_args_poison(a);
}

/* ---- device ---- */

static hl_status place(cli_arg *a, hl_device *dev, hl_diag *diag) {
  hl_device_info info = {.size = sizeof info};
  hl_status s = a->buffer ? HL_OK : hl_buffer_create(dev, a->bytes + 2 * MARGIN, diag, &a->buffer);
  if (s == HL_OK)
    s = hl_device_get_info(dev, &info);
  if (s != HL_OK)
    return s;
  a->device.device = info.id;
  a->device.data = (char *)hl_buffer_data(a->buffer) + MARGIN;
  s = hl_buffer_fill(a->buffer, MARGIN_BYTE, NULL, diag);
  return s == HL_OK && a->bytes ? hl_buffer_write(a->buffer, MARGIN, a->data, a->bytes, NULL, diag) : s;
}

hl_status cli_args_send(cli_args *a, hl_device *dev, hl_diag *diag) {
  for (uint32_t i = 0; i < a->count; i++) {
    const hl_status s = a->arg[i].info.is_tensor ? place(&a->arg[i], dev, diag) : HL_OK;
    if (s != HL_OK)
      return s;
  }
  return hl_device_synchronize(dev, diag);
}

static bool margins_clean(const unsigned char *p, size_t bytes) {
  for (size_t i = 0; i < MARGIN; i++)
    if (p[i] != MARGIN_BYTE || p[MARGIN + bytes + i] != MARGIN_BYTE)
      return false;
  return true;
}

static hl_status fetch(cli_arg *a, hl_device *dev, hl_diag *diag) {
  const size_t all = a->bytes + 2 * MARGIN;
  unsigned char *copy = cli_alloc(all, 1);
  hl_status s = hl_buffer_read(a->buffer, 0, copy, all, NULL, diag);
  if (s == HL_OK)
    s = hl_device_synchronize(dev, diag);
  if (s == HL_OK && !margins_clean(copy, a->bytes))
    s = fail(diag, HL_ERR_INTERNAL, "the kernel wrote beside a tensor");
  if (s == HL_OK && cli_arg_is_output(a))
    memcpy(a->data, copy + MARGIN, a->bytes);
  else if (s == HL_OK && memcmp(a->data, copy + MARGIN, a->bytes) != 0)
    s = fail(diag, HL_ERR_INTERNAL, "the kernel changed an input");
  free(copy);
  return s;
}

hl_status cli_args_fetch(cli_args *a, hl_device *dev, hl_diag *diag) {
  for (uint32_t i = 0; i < a->count; i++) {
    const hl_status s = a->arg[i].buffer ? fetch(&a->arg[i], dev, diag) : HL_OK;
    if (s != HL_OK)
      return s;
  }
  return HL_OK;
}

/* ---- references ---- */

hl_status cli_args_interpret(cli_args *a, hl_context *ctx, const hl_kernel *k, hl_diag *diag) {
  hl_interp_options o = HL_INTERP_OPTIONS_INIT;
  o.mode = HL_INTERP_EXACT;
  const hl_status s = hl_interpret(ctx, k, a->host, a->count, &o, diag);
  for (uint32_t i = 0; s == HL_OK && i < a->count; i++) {
    cli_arg *x = &a->arg[i];
    if (!cli_arg_is_output(x))
      continue;
    if (!x->want)
      x->want = cli_alloc(x->count, sizeof(double));
    cli_to_double(x->info.dtype, x->data, x->want, x->count);
  }
  return s;
}

/* By name and size: constants have no names. */
static bool same_dim(const cli_arg *x, uint32_t d, const cli_arg *y, uint32_t e) {
  const hl_str a = x->info.dim_name[d], b = y->info.dim_name[e];
  return x->shape[d] == y->shape[e] && a.len == b.len && (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Has no tensor before this one the dimension as often as this one up to d?  A square matrix has one twice. */
static bool is_new(const cli_args *a, uint32_t i, uint32_t d) {
  uint32_t here = 0;
  for (uint32_t e = 0; e <= d; e++)
    here += same_dim(&a->arg[i], d, &a->arg[i], e);
  for (uint32_t j = 0; j < i; j++) {
    uint32_t before = 0;
    for (uint32_t e = 0; a->arg[j].info.is_tensor && e < a->arg[j].info.rank; e++)
      before += same_dim(&a->arg[i], d, &a->arg[j], e);
    if (before >= here)
      return false;
  }
  return true;
}

int64_t cli_args_terms(const cli_args *a) {
  double all = 1, least = INFINITY;
  for (uint32_t i = 0; i < a->count; i++)
    for (uint32_t d = 0; a->arg[i].info.is_tensor && d < a->arg[i].info.rank; d++)
      if (is_new(a, i, d))
        all *= (double)a->arg[i].shape[d];
  for (uint32_t i = 0; i < a->count; i++)
    if (cli_arg_is_output(&a->arg[i]) && (double)a->arg[i].count < least)
      least = (double)a->arg[i].count;
  return least > 0 && isfinite(least) && all > least ? (int64_t)(all / least) : 1;
}

/* ---- judging ---- */

static void describe(const cli_arg *a, const cli_judgement *j, cli_verdict *out) {
  char at[160] = "";
  size_t rest = j->first, used = 0;
  int64_t index[HL_MAX_RANK] = {0};
  for (uint32_t d = a->info.rank; d-- > 0; rest /= (size_t)a->shape[d])
    index[d] = (int64_t)(rest % (size_t)a->shape[d]);
  for (uint32_t d = 0; d < a->info.rank; d++)
    used += (size_t)snprintf(at + used, sizeof at - used, "%s%lld", d ? ", " : "", (long long)index[d]);
  snprintf(out->words, sizeof out->words,
           "%zu of %zu elements of %.*s are wrong; the first at [%s]: got %.9g, want %.9g (allowed error %.3g)",
           j->wrong, j->count, (int)a->info.name.len, a->info.name.ptr, at, j->got, j->want, j->allowed);
}

void cli_args_judge(const cli_args *a, int64_t terms, cli_verdict *out) {
  *out = (cli_verdict){.right = true};
  for (uint32_t i = 0; i < a->count; i++) {
    const cli_arg *x = &a->arg[i];
    cli_judgement j;
    if (!cli_arg_is_output(x) || !x->want)
      continue;
    cli_judge(x->info.dtype, terms, x->data, x->want, x->scale, x->count, &j);
    out->worst = fmax(out->worst, j.worst);
    out->frobenius = fmax(out->frobenius, j.frobenius);
    if (!j.right && out->right)
      describe(x, &j, out);
    out->right = out->right && j.right;
  }
}
