/* verify_op.c: one op: its counts, ids and attributes, its stage, its types by inference, and what it
 * does to parameters.  SPDX-License-Identifier: MIT */
#include "src/ir/verify.h"

static const char *text_of(const hl_kernel *k, hli_op op) { return hli_op_facts((hli_opcode)hli_op_get(k, op)->code)->text; }

/* ---- structure: everything inference relies on ------------------------------------------------ */

static bool operands_ok(hli_verifier *v, hli_op op) {
  const hl_kernel *k = v->k;
  const hli_op_info *facts = hli_op_facts((hli_opcode)hli_op_get(k, op)->code);
  uint32_t n = hli_operand_count(k, op), most = facts->in_max == HLI_VAR ? HLI_MAX_OPERANDS : facts->in_max;
  if (n < facts->in_min || n > most) {
    hli_complain(v, op, "%s takes %u%s operands, not %u", facts->text, facts->in_min,
                 most > facts->in_min ? " or more" : "", n);
    return false;
  }
  for (uint32_t i = 0; i < n; i++)
    if (!hli_operand(k, op, i) || hli_operand(k, op, i) >= k->values.len) {
      hli_complain(v, op, "operand %u of %s is missing", i + 1, facts->text);
      return false;
    }
  return true;
}

static bool is_fold(const hl_kernel *k, hli_op op) {
  return hli_op_facts((hli_opcode)hli_op_get(k, op)->code)->family == HLI_FAM_FOLD;
}

/* How many values an op with a region carries; `first` is the operand where they begin. */
static bool carried(const hl_kernel *k, hli_op op, uint32_t *first, uint32_t *count) {
  *first = hli_region_form_of(k, op).operands;
  *count = is_fold(k, op) ? *first : hli_operand_count(k, op) - *first;
  const bool region = hli_op_facts((hli_opcode)hli_op_get(k, op)->code)->regions != 0;
  return (*first || !region) && *first <= hli_operand_count(k, op);
}

static bool results_ok(hli_verifier *v, hli_op op) {
  const hl_kernel *k = v->k;
  const hli_op_data *o = hli_op_get(k, op);
  const hli_op_info *facts = hli_op_facts((hli_opcode)o->code);
  uint32_t want = facts->results, first, count;
  if (want == HLI_VAR) {
    if (!carried(k, op, &first, &count)) {
      hli_complain(v, op, "%s has too few operands for its axes", facts->text);
      return false;
    }
    want = count;
  }
  if (o->result_count != want) {
    hli_complain(v, op, "%s has %u result%s, not %u", facts->text, want, want == 1 ? "" : "s", o->result_count);
    return false;
  }
  for (uint32_t i = 0; i < want; i++)
    if (!o->results || o->results + i >= k->values.len || k->values.data[o->results + i].def != op) {
      hli_complain(v, op, "result %u of %s is not its own", i + 1, facts->text);
      return false;
    }
  return true;
}

static bool attr_in_range(const hl_kernel *k, char kind, int64_t x) {
  switch (kind) {
  case 'a':
  case 'A': return x > 0 && x < k->axes.len && k->axes.data[x].kind != HLI_AXIS_CONST;
  case 'b': return x == 0 || x == 1;
  case 'd': return x > HL_DTYPE_NONE && x < HL_DTYPE_COUNT;
  case 'r': return x >= 0 && x < HL_REDUCE_COUNT;
  case 'x': return x == 't' || x == 's' || x == ':' || x == 'v' || x == 'g';
  case 'm': return x >= 0 && x < HL_ATOMIC_COUNT;
  case 'n': return x >= 0 && x < HL_ORDER_COUNT;
  case 'p': return x >= 0 && x < HL_PRECISION_COUNT;
  case 'u': return x >= 0 && x < k->tunables.len;
  case 'y': return x > 0 && x < k->layouts.len && k->layouts.data[x].kind == 0;
  default: return true;
  }
}

static bool attrs_ok(hli_verifier *v, hli_op op) {
  const hl_kernel *k = v->k;
  hli_attr_info info;
  for (uint32_t i = 0; i < HLI_MAX_ATTRS; i++) {
    uint32_t len = hli_attr_len(k, op, i);
    bool known = hli_attr_spec((hli_opcode)hli_op_get(k, op)->code, i, &info);
    if (!known && !len)
      continue;
    bool list = known && strchr("lAx", info.kind);
    if (!known || len > HL_MAX_RANK || (!list && len != 1 && !(info.optional && len == 0))) {
      hli_complain(v, op, "%s: attribute %u has %u values", text_of(k, op), i + 1, len);
      return false;
    }
    for (uint32_t j = 0; j < len; j++)
      if (!attr_in_range(k, info.kind, hli_attr(k, op, i, j))) {
        hli_complain(v, op, "%s: attribute %.*s has the impossible value %lld", text_of(k, op), (int)info.name.len,
                     info.name.ptr, (long long)hli_attr(k, op, i, j));
        return false;
      }
  }
  return true;
}

/* ---- types ---------------------------------------------------------------------------------------- */

static bool types_ok(hli_verifier *v, hli_op op) {
  const hli_op_data o = *hli_op_get(v->k, op);
  hli_value operands[HLI_MAX_OPERANDS] = {0};
  hli_type types[HLI_MAX_OPERANDS] = {0};
  int64_t ints[HLI_MAX_ATTRS * HL_MAX_RANK] = {0};
  hli_op_desc d = {.code = (hli_opcode)o.code,
                   .operands = operands,
                   .operand_count = o.operands.len,
                   .results = types,
                   .result_count = o.result_count,
                   .attrs = ints};
  uint32_t n = 0;
  for (uint32_t i = 0; i < o.operands.len; i++)
    operands[i] = hli_operand(v->k, op, i);
  for (uint32_t i = 0; i < o.result_count; i++)
    types[i] = v->k->values.data[o.results + i].type;
  for (uint32_t i = 0; i < HLI_MAX_ATTRS; i++)
    for (d.attr_len[i] = 0; d.attr_len[i] < o.attrs[i].len; d.attr_len[i]++)
      ints[n++] = hli_attr(v->k, op, i, d.attr_len[i]);
  hl_diag inner = {0};
  if (hli_infer(v->k, &d, types, &inner) != HL_OK) {
    hli_complain(v, op, "%s", inner.message);
    return false;
  }
  for (uint32_t i = 0; i < o.result_count; i++) {
    hli_type declared = v->k->values.data[o.results + i].type;
    if (types[i] != declared)
      hli_complain(v, op, "%s is declared as %s, but it is %s", hli_verify_name(v, o.results + i),
                   hli_verify_type(v, declared), hli_verify_type(v, types[i]));
  }
  return true;
}

/* ---- regions ------------------------------------------------------------------------------------------ */

/* A fold's region: values so far, then the next ones, and nothing but pointwise ops on scalars. */
static void check_combine(hli_verifier *v, hli_op op) {
  const hl_kernel *k = v->k;
  const hli_block region = hli_op_get(k, op)->region;
  const uint32_t n = hli_fold_parts(k, op);
  if (k->blocks.data[region].args.len != 2 * n) {
    hli_complain(v, op, "the region has %u arguments, it needs %u: the values combined so far, then the next ones",
                 k->blocks.data[region].args.len, 2 * n);
    return;
  }
  for (uint32_t i = 0; i < 2 * n; i++) {
    hli_value arg = hli_block_arg(k, region, i);
    hli_type want = k->values.data[hli_operand(k, op, n + i % n)].type;
    if (k->values.data[arg].type != want)
      hli_complain(v, op, "the region's argument %s : %s stands for elements of %s", hli_verify_name(v, arg),
                   hli_verify_type(v, k->values.data[arg].type), hli_verify_type(v, want));
  }
  for (hli_op o = hli_first(k, region); o; o = hli_next(k, o)) {
    const hli_op_info *facts = hli_op_facts((hli_opcode)hli_op_get(k, o)->code);
    const uint8_t f = facts->family;
    const bool pointwise = f == HLI_FAM_UNARY || f == HLI_FAM_BINARY || f == HLI_FAM_TERNARY || f == HLI_FAM_CAST;
    if (!pointwise && f != HLI_FAM_CONST && !(facts->effects & HLI_EFF_TERM))
      hli_complain(v, o, "%s cannot stand in the region of a %s: it combines scalars by pointwise operations only",
                   facts->text, text_of(k, op));
    else if (pointwise && hli_op_get(k, o)->result_count && hli_result(k, o, 0) < k->values.len && /* its own turn comes */
             hli_type_of(k, hli_result(k, o, 0))->rank)
      hli_complain(v, o, "a tile value in the region of a %s: it combines scalars", text_of(k, op));
  }
}

static void region_args(hli_verifier *v, hli_op op) {
  const hl_kernel *k = v->k;
  const hli_op_data *o = hli_op_get(k, op);
  const hli_block_data *b = &k->blocks.data[o->region];
  uint32_t first, count, own = hli_region_form_of(k, op).args;
  if (!carried(k, op, &first, &count))
    return;
  if (b->args.len != own + count) {
    hli_complain(v, op, "the region has %u arguments, it needs %u: %s, then the %u carried values", b->args.len,
                 own + count, o->code == HLI_OP_TILE ? "one per tile" : own ? "the index" : "no own", count);
    return;
  }
  for (uint32_t i = 0; i < b->args.len; i++) {
    hli_value arg = hli_block_arg(k, o->region, i);
    const hli_type_data *t = hli_type_of(k, arg);
    bool ok;
    if (i >= own)
      ok = k->values.data[arg].type == k->values.data[hli_operand(k, op, first + i - own)].type;
    else if (o->code == HLI_OP_TILE)
      ok = t->kind == HLI_TYPE_TILE && t->dims[0] == (hli_axis)hli_attr(k, op, 0, i);
    else
      ok = t->kind == HLI_TYPE_VALUE && t->rank == 0 && t->dtype == HL_I64;
    if (!ok)
      hli_complain(v, op, "the region's argument %s : %s does not have the type of what it stands for",
                   hli_verify_name(v, arg), hli_verify_type(v, k->values.data[arg].type));
  }
}

static bool region_ok(hli_verifier *v, hli_op op) {
  const hli_op_data *o = hli_op_get(v->k, op);
  bool wants = hli_op_facts((hli_opcode)o->code)->regions != 0;
  if (wants ? !hli_own_region(v->k, op) : o->region != 0) {
    hli_complain(v, op, wants ? "%s has no region" : "%s cannot have a region", text_of(v->k, op));
    return false;
  }
  for (uint32_t i = 0; wants && i < v->k->blocks.data[o->region].args.len; i++) {
    hli_value arg = hli_block_arg(v->k, o->region, i);
    if (!arg || arg >= v->k->values.len || v->k->values.data[arg].owner != o->region) {
      hli_complain(v, op, "argument %u of the region is not its own", i + 1);
      return false;
    }
  }
  return true;
}

static void check_yield(hli_verifier *v, hli_op op) {
  const hl_kernel *k = v->k;
  uint32_t first, count;
  hli_op parent = k->blocks.data[hli_op_get(k, op)->block].parent;
  if (!parent || !carried(k, parent, &first, &count))
    return;
  const uint32_t own = hli_region_form_of(k, parent).yields;
  if (hli_operand_count(k, op) != own + count) {
    hli_complain(v, op, "yield gives %u values, the %s %u%s", hli_operand_count(k, op),
                 is_fold(k, parent) ? "region combines" : "loop carries", count,
                 own ? " and wants its next condition before them" : "");
    return;
  }
  if (own && k->values.data[hli_operand(k, op, 0)].type != k->values.data[hli_operand(k, parent, 0)].type)
    hli_complain(v, op, "the next condition is %s: it must be a bool scalar",
                 hli_verify_type(v, k->values.data[hli_operand(k, op, 0)].type));
  for (uint32_t i = 0; i < count; i++) {
    hli_type want = k->values.data[hli_operand(k, parent, first + i)].type;
    hli_type have = k->values.data[hli_operand(k, op, own + i)].type;
    if (want != have && is_fold(k, parent))
      hli_complain(v, op, "value %u is %s, but the region yields %s for it: they must agree", i + 1,
                   hli_verify_type(v, want), hli_verify_type(v, have));
    else if (want != have)
      hli_complain(v, op, "carried value %u begins as %s, but the loop yields %s: they must agree", i + 1,
                   hli_verify_type(v, want), hli_verify_type(v, have));
  }
}

/* ---- stages -------------------------------------------------------------------------------------------------- */

static void check_stage(hli_verifier *v, hli_op op) {
  const hl_kernel *k = v->k;
  hli_opcode code = (hli_opcode)hli_op_get(k, op)->code;
  const hli_op_info *facts = hli_op_facts(code);
  int kinds = hli_attr_by_kind(code, 'x');
  if (!(facts->stages & k->stage))
    hli_complain(v, op, "%s is not an operation of stage %s", facts->text, hli_stage_text(k->stage));
  else if ((code == HLI_OP_TILE || code == HLI_OP_IF) && k->scheduled)
    hli_complain(v, op, "a scheduled kernel (one with a grid) has no %s",
                 code == HLI_OP_TILE ? "tile loops" : "if: it is a for of one trip");
  else if (code == HLI_OP_PROGRAM_ID && !k->scheduled)
    hli_complain(v, op, "program_id needs a scheduled kernel (one with a grid)");
  for (uint32_t d = 0; kinds >= 0 && d < hli_attr_len(k, op, (uint32_t)kinds); d++) {
    int64_t kind = hli_attr(k, op, (uint32_t)kinds, d);
    if (kind == ':' && (k->stage != HLI_STAGE_TILE || k->scheduled))
      hli_complain(v, op, "index %u: whole dimensions (:) stand only in unscheduled tile kernels", d);
    if (kind == 'v' && k->stage != HLI_STAGE_LOOP)
      hli_complain(v, op, "index %u: runs of elements (%%i:) stand only at stage loop", d);
    if (kind == 't' && k->stage == HLI_STAGE_LOOP)
      hli_complain(v, op, "index %u: there are no tiles at stage loop", d);
    if (kind == 'g' && (code == HLI_OP_ASYNC_COPY || code == HLI_OP_PREFETCH))
      hli_complain(v, op, "index %u: %s takes no integer tiles", d, facts->text);
    for (uint32_t e = 0; kind == 'g' && k->stage != HLI_STAGE_TILE && e < hli_attr_len(k, op, (uint32_t)kinds); e++)
      if (hli_attr(k, op, (uint32_t)kinds, e) != 'g' && hli_attr(k, op, (uint32_t)kinds, e) != 's')
        hli_complain(v, op, "index %u: beside integer tiles there are only scalars at stage %s", e,
                     hli_stage_text(k->stage));
  }
}

/* ---- parameters, single ops ------------------------------------------------------------------------------------- */

static void check_param_access(hli_verifier *v, hli_op op) {
  const hl_kernel *k = v->k;
  hli_value base = hli_operand(k, op, 0);
  const uint16_t code = hli_op_get(k, op)->code;
  bool writes = code == HLI_OP_STORE;
  for (uint32_t i = 0; i < k->params.len; i++) {
    const hli_param *p = &k->params.data[i];
    if (p->value != base)
      continue;
    if (code == HLI_OP_ATOMIC) {
      if (!p->is_output || !p->is_input)
        hli_complain(v, op, "parameter %s must be inout: an atomic reads what is there and writes it", hli_verify_name(v, base));
      continue;
    }
    if (writes && !p->is_output)
      hli_complain(v, op, "parameter %s is not writable: declare it out or inout", hli_verify_name(v, base));
    if (!writes && !p->is_input && code != HLI_OP_PREFETCH)
      hli_complain(v, op, "parameter %s is not readable: declare it in or inout", hli_verify_name(v, base));
  }
}

static void check_access(hli_verifier *v, hli_op op) {
  const hl_kernel *k = v->k;
  hli_opcode code = (hli_opcode)hli_op_get(k, op)->code;
  int flags = hli_attr_by_name(code, hli_str("flags")), check = hli_attr_by_name(code, hli_str("check"));
  int cache = hli_attr_by_name(code, hli_str("cache"));
  uint32_t rank = hli_attr_len(k, op, 0), used = 1;
  int64_t f = flags < 0 ? 0 : hli_attr_or(k, op, (uint32_t)flags, 0, 0);
  int64_t c = cache < 0 ? 0 : hli_attr_or(k, op, (uint32_t)cache, 0, 0);
  for (uint32_t d = 0; d < rank; d++)
    used += hli_attr(k, op, 0, d) != ':';
  if (code == HLI_OP_ATOMIC)
    used += hli_attr(k, op, HLI_ATTR_ATOMIC, 0) == HL_ATOMIC_CAS ? 2 : 1;
  used += (uint32_t)(code == HLI_OP_STORE) + 2 * (uint32_t)(code == HLI_OP_ASYNC_COPY);
  used += (uint32_t)(f & 1) + (uint32_t)(f >> 1 & 1);
  const bool writes = code == HLI_OP_STORE || code == HLI_OP_ATOMIC;
  if (f < 0 || f > 3 || (writes && f > 1))
    hli_complain(v, op, "%s takes %s", text_of(k, op), writes ? "a mask, no other" : "a mask and other");
  if (used != hli_operand_count(k, op))
    hli_complain(v, op, "%s takes %u operands for these indices, not %u", text_of(k, op), used, hli_operand_count(k, op));
  if (check >= 0 && hli_attr_len(k, op, (uint32_t)check) && hli_attr_len(k, op, (uint32_t)check) != rank)
    hli_complain(v, op, "check has %u entries for %u dimensions", hli_attr_len(k, op, (uint32_t)check), rank);
  for (uint32_t d = 0; check >= 0 && d < hli_attr_len(k, op, (uint32_t)check); d++)
    if (hli_attr(k, op, (uint32_t)check, d) == HLI_CHECK_RUNS_ON ? k->stage != HLI_STAGE_LOOP || hli_attr(k, op, 0, d) != 'v'
                                                                 : hli_attr(k, op, (uint32_t)check, d) < 0 || hli_attr(k, op, (uint32_t)check, d) > 2)
      hli_complain(v, op, "check[%u] is %lld: it is 0, 1 or 2", d, (long long)hli_attr(k, op, (uint32_t)check, d));
  if (c < 0 || c > 3)
    hli_complain(v, op, "cache is %lld: 0 none, 1 streaming, 2 read-only, 3 to be kept", (long long)c);
}

/* A constant, looked up only while everything so far is sound: the walk goes back through other ops. */
static bool constant(const hli_verifier *v, hli_op op, uint32_t operand, hli_scalar *out) {
  return v->complaints.len == 0 && hli_const_value(v->k, hli_operand(v->k, op, operand), out);
}

static void check_tile(hli_verifier *v, hli_op op) {
  const hl_kernel *k = v->k;
  uint32_t n = hli_attr_len(k, op, 0);
  for (uint32_t i = 0; i < n; i++) {
    hli_axis a = (hli_axis)hli_attr(k, op, 0, i);
    const char *name = k->axes.data[a].name;
    if (k->axes.data[a].kind != HLI_AXIS_TILE)
      hli_complain(v, op, "axis $%s is a whole dimension: a tile loop needs an axis declared 'tile'", name);
    for (uint32_t j = 0; j < i; j++)
      if (hli_attr(k, op, 0, j) == a)
        hli_complain(v, op, "axis $%s stands twice in one tile loop", name);
    for (uint32_t l = 0; l < v->depth; l++)
      for (uint32_t j = 0; hli_op_get(k, v->loops[l])->code == HLI_OP_TILE && j < hli_attr_len(k, v->loops[l], 0); j++)
        if (hli_attr(k, v->loops[l], 0, j) == a)
          hli_complain(v, op, "axis $%s already belongs to an enclosing tile loop: declare another", name);
    hli_scalar begin, end;
    if (constant(v, op, i, &begin) && constant(v, op, n + i, &end) && begin.i > end.i)
      hli_complain(v, op, "the range of axis $%s is inverted: %lld .. %lld", name, (long long)begin.i,
                   (long long)end.i);
  }
}

static void check_for(hli_verifier *v, hli_op op) {
  const hl_kernel *k = v->k;
  hli_scalar step;
  if (constant(v, op, 2, &step) && step.i < 1)
    hli_complain(v, op, "the step %lld of the loop is not positive", (long long)step.i);
  int64_t unroll = hli_attr_or(k, op, 0, 0, 0);
  if (unroll < 0 || unroll > 1024)
    hli_complain(v, op, "unroll is %lld: it lies between 0 and 1024", (long long)unroll);
}

static void check_numbers(hli_verifier *v, hli_op op) {
  const hl_kernel *k = v->k;
  switch (hli_op_get(k, op)->code) {
  case HLI_OP_SHARED:
    if (hli_attr(k, op, 0, 0) < 1 || hli_attr(k, op, 0, 0) > 64)
      hli_complain(v, op, "slots is %lld: it lies between 1 and 64", (long long)hli_attr(k, op, 0, 0));
    if (hli_attr_or(k, op, 1, 0, 0) < 0 || hli_attr_or(k, op, 1, 0, 0) > INT32_MAX)
      hli_complain(v, op, "offset is %lld: it lies between 0 and 2^31 - 1", (long long)hli_attr_or(k, op, 1, 0, 0));
    break;
  case HLI_OP_ASYNC_WAIT:
    if (hli_attr(k, op, 0, 0) < 0 || hli_attr(k, op, 0, 0) > 64)
      hli_complain(v, op, "pending is %lld: it lies between 0 and 64", (long long)hli_attr(k, op, 0, 0));
    break;
  case HLI_OP_RANGE:
    if (k->scheduled && k->stage != HLI_STAGE_LOOP) {
      const hli_axis_data *a = &k->axes.data[hli_attr(k, op, 0, 0)];
      if (a->kind == HLI_AXIS_TILE && !a->block)
        hli_complain(v, op, "axis $%s has no block: in a scheduled kernel every tile axis has one", a->name);
    }
    break;
  default: break;
  }
}

/* perm of shared_load is read by inference as far as the value's rank. */
static bool perm_ok(hli_verifier *v, hli_op op) {
  const hl_kernel *k = v->k;
  if (hli_op_get(k, op)->code != HLI_OP_SHARED_LOAD)
    return true;
  uint32_t n = hli_attr_len(k, op, 0), seen = 0, rank = hli_type_of(k, hli_operand(k, op, 0))->rank;
  bool ok = n == 0 || (n == rank && n == hli_type_of(k, hli_result(k, op, 0))->rank);
  for (uint32_t i = 0; i < n && ok; i++) {
    int64_t d = hli_attr(k, op, 0, i);
    ok = d >= 0 && d < rank && !(seen >> d & 1);
    if (ok)
      seen |= 1u << d;
  }
  if (!ok)
    hli_complain(v, op, "perm is not a permutation of the buffer's %u dimensions", rank);
  return ok;
}

bool hli_verify_op(hli_verifier *v, hli_op op) {
  hli_opcode code = (hli_opcode)hli_op_get(v->k, op)->code;
  const hli_op_info *facts = hli_op_facts(code);
  if (code == HLI_OP_NONE || code >= HLI_OP_COUNT) {
    hli_complain(v, op, "an op has the impossible code %u", (unsigned)code);
    return false;
  }
  if (!operands_ok(v, op) || !attrs_ok(v, op) || !results_ok(v, op) || !region_ok(v, op) || !perm_ok(v, op))
    return false;
  check_stage(v, op);
  if (!types_ok(v, op))
    return true;
  if (hli_attr_by_kind(code, 'x') >= 0) {
    check_access(v, op);
    check_param_access(v, op);
  }
  if (code == HLI_OP_TILE)
    check_tile(v, op);
  if (code == HLI_OP_FOR)
    check_for(v, op);
  if (facts->family == HLI_FAM_FOLD)
    check_combine(v, op);
  else if (facts->regions)
    region_args(v, op);
  if (code == HLI_OP_YIELD)
    check_yield(v, op);
  check_numbers(v, op);
  return true;
}
