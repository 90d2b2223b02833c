/* builder.c: the public builder: its life, sticky errors, parameters and sizes; loops are in builder_loops.c.
 * Everything goes through hli_infer, so the complaints are the verifier's own, with the
 * caller's file and line. */
#include "src/ir/builder.h"
#include "src/ir/text.h"

/* ---- errors ---- */

hl_value hli_builder_complain(hl_builder *b, const char *fmt, ...) {
  if (!b || b->diag.status != HL_OK)
    return HL_POISON;
  char text[HL_DIAG_TEXT / 2];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  hli_fail_at(&b->diag, HL_ERR_BUILD, b->at.file, b->at.line, 0, "kernel %s: %s", b->k->name, text);
  return HL_POISON;
}

hl_value hli_builder_no_memory(hl_builder *b) {
  if (b->diag.status == HL_OK)
    hli_fail_memory(&b->diag, "building a kernel");
  return HL_POISON;
}

bool hli_builder_ok(hl_builder *b, hl_value v) {
  if (!b || b->diag.status != HL_OK)
    return false;
  if (v == HL_POISON) { /* nothing failed before, so it was never given a value */
    hli_builder_complain(b, "an operand is HL_POISON although no call failed: an uninitialised hl_value?");
    return false;
  }
  if (v < b->k->values.len)
    return true;
  hli_builder_complain(b, "value %u does not belong to this builder", v);
  return false;
}

bool hli_builder_is_value(hl_builder *b, hl_value v, const char *what) {
  char words[HLI_TYPE_WORDS];
  if (!hli_builder_ok(b, v))
    return false;
  const hli_type_data *t = hli_type_of(b->k, v);
  if (t->kind == HLI_TYPE_VALUE)
    return true;
  hli_builder_complain(b, "%s: %s is not a value; load the tensor or take the tile's index", what,
                       hli_type_words(b->k, b->k->values.data[v].type, words));
  return false;
}

hl_value hli_builder_op(hl_builder *b, hli_op_desc *d, hli_type given) {
  hli_type result = given;
  hl_diag diag = {0};
  d->results = &result;
  d->result_count = hli_op_facts(d->code)->results == 1;
  if (hli_infer(b->k, d, &result, &diag) != HL_OK)
    return hli_builder_complain(b, "%s", diag.message);
  if (b->k->ops.len > HLI_TEXT_OPS)
    return hli_builder_complain(b, "more than %u operations: make a loop that your program unrolls a tile loop",
                                HLI_TEXT_OPS);
  hli_op op = hli_op_create(&b->at, d);
  if (!op)
    return hli_builder_no_memory(b);
  return d->result_count ? hli_result(b->k, op, 0) : HL_POISON;
}

/* ---- life ---- */

hl_status hl_builder_create(hl_context *ctx, const char *kernel_name, hl_diag *diag, hl_builder **out) {
  if (out)
    *out = NULL;
  if (!ctx || !out || !kernel_name || !kernel_name[0] || strlen(kernel_name) > 40)
    return hli_fail(diag, HL_ERR_ARG,
                    "hl_builder_create: wants a context, a name of 1 to 40 characters and an out parameter");
  for (const char *p = kernel_name; *p; p++)
    if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' ||
          (p > kernel_name && *p >= '0' && *p <= '9')))
      return hli_fail(diag, HL_ERR_ARG, "hl_builder_create: the name '%s' must be a C identifier", kernel_name);
  hl_builder *b = hli_calloc(&ctx->alloc, 1, sizeof *b);
  if (!b)
    return hli_fail_memory(diag, "creating a builder");
  b->ctx = ctx;
  b->alloc = &ctx->alloc;
  b->k = hli_kernel_create(b->alloc, hli_str(kernel_name), HLI_STAGE_TILE);
  if (!b->k) {
    hl_builder_destroy(b);
    return hli_fail_memory(diag, "creating a kernel");
  }
  b->at = (hli_cursor){.k = b->k, .block = b->k->body, .file = ""};
  *out = b;
  return HL_OK;
}

void hl_builder_destroy(hl_builder *b) {
  if (!b)
    return;
  hl_kernel_destroy(b->k);
  hli_vec_free(b->alloc, &b->loops);
  hli_vec_free(b->alloc, &b->literals);
  hli_release(b->alloc, b, sizeof *b);
}

hl_status hl_builder_finish(hl_builder *b, hl_diag *diag, hl_kernel **out) {
  if (out)
    *out = NULL;
  if (!b || !out) {
    hl_builder_destroy(b);
    return hli_fail(diag, HL_ERR_ARG, "hl_builder_finish: wants a builder and an out parameter");
  }
  if (b->loops.len && b->diag.status == HL_OK) {
    const hli_op_data *loop = hli_op_get(b->k, b->loops.data[b->loops.len - 1].op);
    hli_fail_at(&b->diag, HL_ERR_BUILD, loop->file, loop->line, 0,
                "kernel %s: %u %s%s never closed; call %s before hl_builder_finish", b->k->name, b->loops.len,
                loop->code == HLI_OP_TILE ? "tile loop" : hli_op_facts((hli_opcode)loop->code)->text,
                b->loops.len > 1 ? "s are" : " is", hli_builder_closer((hli_opcode)loop->code));
  }
  if (b->k->failed)
    hli_fail_memory(&b->diag, "building a kernel"); /* whatever was complained about follows from it */
  if (b->diag.status == HL_OK)
    hli_verify(b->k, &b->diag, NULL);
  if (b->diag.status == HL_OK && !hli_kernel_writes(b->k))
    hli_builder_complain(b, "it stores nothing, so it computes nothing; end with hl_store into an output parameter");
  const hl_status status = b->diag.status;
  if (status == HL_OK) {
    *out = b->k;
    b->k = NULL;
  } else if (diag) {
    *diag = b->diag;
  }
  hl_builder_destroy(b);
  return status;
}

hl_builder *hl_builder_at(hl_builder *b, const char *file, uint32_t line) {
  if (!b)
    return b;
  if (file && (!b->at.file[0] || strcmp(b->at.file, file) != 0))
    b->at.file = hli_intern(b->k, hli_str(file));
  b->at.line = line;
  return b;
}

/* ---- dimensions and parameters ---- */

static hli_dim_data *dim_of(hl_builder *b, hl_dim d) {
  return b && d && d < b->k->dims.len ? &b->k->dims.data[d] : NULL;
}

static bool is_name(const char *s) {
  if (!s || !((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_'))
    return false;
  for (; *s; s++)
    if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_' || (*s >= '0' && *s <= '9')))
      return false;
  return true;
}

hl_dim hl_dim_named(hl_builder *b, const char *name) {
  if (!b)
    return 0;
  if (is_name(name) && strlen(name) <= 40)
    return hli_dim_named(b->k, hli_str(name));
  hli_builder_complain(b, "the dimension name '%s' must be an identifier of at most 40 characters",
                       name ? name : "(null)");
  return 0;
}

hl_dim hl_dim_static(hl_builder *b, int64_t size) {
  if (!b)
    return 0;
  if (size >= 0 && size < ((int64_t)1 << 48))
    return hli_dim_const(b->k, size);
  hli_builder_complain(b, "a dimension of size %lld is out of range (0 to 2^48)", (long long)size);
  return 0;
}

void hl_dim_set_dynamic(hl_builder *b, hl_dim dim) {
  hli_dim_data *d = dim_of(b, dim);
  if (d && d->kind == HLI_DIM_STATIC)
    hli_builder_complain(b, "hl_dim_set_dynamic: dimension %s is specialised (hl_specialize)", d->name);
  else if (d && d->name[0])
    d->kind = HLI_DIM_DYNAMIC;
  else
    hli_builder_complain(b, "hl_dim_set_dynamic: wants a named dimension");
}

void hl_dim_set_multiple_of(hl_builder *b, hl_dim dim, int64_t n) {
  hli_dim_data *d = dim_of(b, dim);
  if (d && n >= 1 && n < ((int64_t)1 << 32))
    d->multiple = n;
  else
    hli_builder_complain(b, "hl_dim_set_multiple_of: wants a dimension and a multiple of at least 1, not %lld",
                         (long long)n);
}

void hl_dim_set_example(hl_builder *b, hl_dim dim, int64_t size) {
  hli_dim_data *d = dim_of(b, dim);
  if (d && size >= 0)
    d->example = size;
  else
    hli_builder_complain(b, "hl_dim_set_example: wants a dimension and a size, not %lld", (long long)size);
}

void(hl_require)(hl_builder *b, hl_dim a, hl_binary_op cmp, hl_dim c) {
  if (!b || b->diag.status != HL_OK)
    return;
  if (!dim_of(b, a) || !dim_of(b, c) || !hli_compare_text((uint8_t)cmp))
    hli_builder_complain(b, "hl_require: wants two dimensions of this builder and a comparison, HL_EQ to HL_GE");
  else if (b->k->requires_.len >= HLI_TEXT_PARAMS)
    hli_builder_complain(b, "hl_require: more than %u requirements", HLI_TEXT_PARAMS);
  else if (!hli_vec_push(b->alloc, &b->k->requires_, ((hli_require){a, c, (uint8_t)cmp})))
    hli_builder_no_memory(b);
}

void(hl_allow)(hl_builder *b, uint32_t what) {
  if (!b || b->diag.status != HL_OK)
    return;
  if (what & ~HLI_ALLOW_ALL)
    hli_builder_complain(b, "hl_allow: %#x names nothing that can be allowed; use HL_ALLOW_*", what);
  else
    b->k->allow |= (uint8_t)what;
}

static hl_value add_param(hl_builder *b, const char *name, const hli_type_data *type, hl_access access) {
  hl_kernel *k = b->k;
  if (!is_name(name) || strlen(name) > 40)
    return hli_builder_complain(b, "the parameter name '%s' must be an identifier of at most 40 characters",
                                name ? name : "(null)");
  for (uint32_t i = 0; i < k->params.len; i++)
    if (!strcmp(k->values.data[k->params.data[i].value].name, name))
      return hli_builder_complain(b, "there already is a parameter %s", name);
  if (k->params.len >= 32)
    return hli_builder_complain(b, "more than 32 parameters");
  hli_value_data v = {.type = hli_type_intern(k, type), .name = hli_intern(k, hli_str(name)), .index = k->params.len};
  hli_param p = {.is_input = (access & HL_IN) != 0, .is_output = (access & HL_OUT) != 0};
  p.spec = hli_dtype_kind((hl_dtype)type->dtype) == 'f'
               ? (hl_arg_spec){HL_DIST_NORMAL, 0, 1, false}
               : (hl_arg_spec){HL_DIST_INTEGER, 0, type->dtype == HL_BOOL ? 1 : 7, false};
  for (uint32_t i = 0; i < HL_MAX_RANK; i++)
    p.strides[i] = -1;
  if (!hli_vec_push(b->alloc, &k->values, v))
    return hli_builder_no_memory(b);
  p.value = k->values.len - 1;
  if (!hli_vec_push(b->alloc, &k->params, p))
    return hli_builder_no_memory(b);
  return p.value;
}

hl_value(hl_param_tensor)(hl_builder *b, const char *name, hl_dtype dtype, const hl_dim *dims, uint32_t rank,
                          hl_access access) {
  if (!b || b->diag.status != HL_OK)
    return HL_POISON;
  if (!hli_dtype_kind(dtype))
    return hli_builder_complain(b, "parameter %s: unknown dtype %d", name ? name : "", (int)dtype);
  if (!dims && rank)
    return hli_builder_complain(b, "parameter %s: dims is NULL; rank %u wants as many dimensions", name ? name : "",
                                rank);
  if (rank < 1 || rank > HL_MAX_RANK)
    return hli_builder_complain(b, "parameter %s: rank %u is out of range (1 to %d)", name ? name : "", rank,
                                HL_MAX_RANK);
  if (access < HL_IN || access > HL_INOUT)
    return hli_builder_complain(b, "parameter %s: access must be HL_IN, HL_OUT or HL_INOUT", name ? name : "");
  hli_type_data t = {.kind = HLI_TYPE_TENSOR, .dtype = (uint8_t)dtype, .rank = (uint8_t)rank};
  for (uint32_t i = 0; i < rank; i++) {
    if (!dim_of(b, dims[i]))
      return hli_builder_complain(b, "parameter %s: dimension %u is not a dimension of this builder", name ? name : "",
                                  i);
    t.dims[i] = dims[i];
  }
  return add_param(b, name, &t, access);
}

hl_value(hl_param_scalar)(hl_builder *b, const char *name, hl_dtype dtype) {
  if (!b || b->diag.status != HL_OK)
    return HL_POISON;
  if (!hli_dtype_kind(dtype))
    return hli_builder_complain(b, "parameter %s: unknown dtype %d", name ? name : "", (int)dtype);
  return add_param(b, name, &(hli_type_data){.kind = HLI_TYPE_VALUE, .dtype = (uint8_t)dtype}, HL_IN);
}

static hli_param *param_of(hl_builder *b, hl_value v) {
  for (uint32_t i = 0; i < b->k->params.len; i++)
    if (b->k->params.data[i].value == v)
      return &b->k->params.data[i];
  hli_builder_complain(b, "value %u is not a parameter", v);
  return NULL;
}

void hl_param_set_spec(hl_builder *b, hl_value param, hl_arg_spec spec) {
  if (!hli_builder_ok(b, param))
    return;
  hli_param *p = param_of(b, param);
  if (p && (unsigned)spec.dist <= HL_DIST_CONSTANT)
    p->spec = spec;
  else
    hli_builder_complain(b, "hl_param_set_spec: unknown distribution %d", (int)spec.dist);
}

/* The bits of a value that the dtype has exactly; NaN is one of every float. */
static bool exact_bits(hl_dtype dtype, double value, uint64_t *bits) {
  const char kind = hli_dtype_kind(dtype);
  if (kind == 'f') {
    *bits = hli_scalar_to_bits(dtype, (hli_scalar){.f = value});
    const double back = hli_scalar_from_bits(dtype, *bits).f;
    return value == back || (value != value && back != back);
  }
  if (value != (double)(int64_t)HLI_MAX(-0x1p62, HLI_MIN(value, 0x1p62)))
    return false;
  *bits = hli_scalar_to_bits(dtype, (hli_scalar){.i = (int64_t)value});
  return hli_scalar_from_bits(dtype, *bits).i == (int64_t)value;
}

void(hl_param_set_initial)(hl_builder *b, hl_value param, double value) {
  if (!b || !hli_builder_ok(b, param))
    return;
  hli_param *p = param_of(b, param);
  if (!p)
    return;
  const hli_type_data *t = hli_type_of(b->k, param);
  const char *name = b->k->values.data[param].name;
  if (t->kind != HLI_TYPE_TENSOR || !p->is_output)
    hli_builder_complain(b, "hl_param_set_initial: %s is no tensor that is written (HL_OUT or HL_INOUT)", name);
  else if (!exact_bits((hl_dtype)t->dtype, value, &p->initial))
    hli_builder_complain(b, "hl_param_set_initial: %s has no number %g for %s", hl_dtype_text((hl_dtype)t->dtype), value,
                         name);
  else
    p->has_initial = true;
}

void hl_param_set_may_alias(hl_builder *b, hl_value p, hl_value q) {
  if (!hli_builder_ok(b, p) || !hli_builder_ok(b, q))
    return;
  hli_param *x = param_of(b, p), *y = param_of(b, q);
  if (!x || !y || x == y)
    return;
  x->may_alias |= 1u << (y - b->k->params.data);
  y->may_alias |= 1u << (x - b->k->params.data);
}

/* What stands behind the value becomes constant: the dimension of a size, a stride, a scalar. */
hl_value(hl_specialize)(hl_builder *b, hl_value v) {
  if (!b || !hli_builder_ok(b, v))
    return HL_POISON;
  hl_kernel *k = b->k;
  const hli_value_data *x = &k->values.data[v];
  const hli_type_data *t = hli_type_of(k, v);
  const uint16_t code = x->def ? k->ops.data[x->def].code : HLI_OP_NONE;
  if (code == HLI_OP_SIZE || code == HLI_OP_STRIDE) {
    const hli_value tensor = hli_operand(k, x->def, 0);
    const uint32_t d = (uint32_t)hli_attr(k, x->def, 0, 0);
    hli_dim_data *dim = &k->dims.data[hli_type_of(k, tensor)->dims[d]];
    if (code == HLI_OP_STRIDE)
      k->params.data[k->values.data[tensor].index].fixed_strides |= 1u << d;
    else if (dim->name[0])
      dim->kind = HLI_DIM_STATIC;
    return v;
  }
  if (x->def || x->owner || t->kind != HLI_TYPE_VALUE)
    return hli_builder_complain(b, "hl_specialize: wants what hl_size or hl_stride gives, or a scalar parameter");
  k->params.data[x->index].is_constexpr = true;
  return v;
}
