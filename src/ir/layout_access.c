/* layout_access.c: what is known about indices and addresses: divisors of scalars, tiles that lie wholly
 * inside, and how many neighbours one memory instruction may move. */
#include "src/ir/layout_access.h"
#include "src/ir/layout_ops.h"

#define LARGE     (INT64_C(1) << 40) /* divisors are not followed beyond this */
#define MAX_DEPTH 24

static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    const int64_t t = a % b;
    a = b;
    b = t;
  }
  return a;
}

static int64_t multiple(const hl_kernel *k, hli_value v, uint32_t depth);

/* A region argument: the induction variable of `for` moves by its step; other arguments are unknown. */
static int64_t multiple_of_argument(const hl_kernel *k, hli_value v, uint32_t depth) {
  const hli_value_data *d = &k->values.data[v];
  const hli_op loop = d->owner ? k->blocks.data[d->owner].parent : 0;
  if (!loop || k->ops.data[loop].code != HLI_OP_FOR || d->index != 0)
    return 1;
  return gcd(multiple(k, hli_operand(k, loop, 0), depth), multiple(k, hli_operand(k, loop, 2), depth));
}

static int64_t multiple_of_size(const hl_kernel *k, hli_op op) {
  const hli_type_data *t = hli_type_of(k, hli_operand(k, op, 0));
  const hli_dim_data *dim = &k->dims.data[t->dims[hli_attr(k, op, 0, 0)]];
  return dim->value >= 0 ? dim->value : HLI_MAX(dim->multiple, 1);
}

static int64_t multiple_of_tile_end(const hl_kernel *k, hli_value tile, uint32_t depth) {
  const hli_op range = k->values.data[tile].def;
  if (!range || k->ops.data[range].code != HLI_OP_RANGE)
    return 1;
  const int64_t begin = multiple(k, hli_operand(k, range, 0), depth),
                end = multiple(k, hli_operand(k, range, 1), depth);
  return gcd(gcd(begin, end), hli_axis_lanes(k, (hli_axis)hli_attr(k, range, 0, 0)));
}

static int64_t multiple(const hl_kernel *k, hli_value v, uint32_t depth) {
  const hli_op op = k->values.data[v].def;
  if (depth == 0)
    return 1;
  depth--;
  if (!op)
    return multiple_of_argument(k, v, depth);
  const hli_opcode code = (hli_opcode)k->ops.data[op].code;
  switch (code) {
  case HLI_OP_CONST: {
    const int64_t c = hli_attr(k, op, 0, 0);
    return c == INT64_MIN ? LARGE : c < 0 ? -c : c;
  }
  case HLI_OP_MUL: {
    const int64_t a = multiple(k, hli_operand(k, op, 0), depth), b = multiple(k, hli_operand(k, op, 1), depth);
    return a == 0 || b == 0 ? 0 : a > LARGE / b ? a : a * b;
  }
  case HLI_OP_ADD:
  case HLI_OP_SUB:
  case HLI_OP_MIN:
  case HLI_OP_MAX:
    return gcd(multiple(k, hli_operand(k, op, 0), depth), multiple(k, hli_operand(k, op, 1), depth));
  case HLI_OP_WHERE:
    return gcd(multiple(k, hli_operand(k, op, 1), depth), multiple(k, hli_operand(k, op, 2), depth));
  case HLI_OP_NEG:
    return multiple(k, hli_operand(k, op, 0), depth);
  case HLI_OP_SIZE:
    return multiple_of_size(k, op);
  case HLI_OP_TILE_BEGIN: {
    const hli_op range = k->values.data[hli_operand(k, op, 0)].def;
    return range && k->ops.data[range].code == HLI_OP_RANGE ? multiple(k, hli_operand(k, range, 0), depth) : 1;
  }
  case HLI_OP_TILE_END:
    return multiple_of_tile_end(k, hli_operand(k, op, 0), depth);
  default:
    return 1;
  }
}

int64_t hli_known_multiple(const hl_kernel *k, hli_value v) {
  return multiple(k, v, MAX_DEPTH);
}

static bool divides(int64_t divisor, int64_t multiple_known) {
  return multiple_known == 0 || multiple_known % divisor == 0;
}

/* The body, or what stands around grid tiles in it: the loop of a persistent kernel, the branch of one of several
 * grids. */
static bool in_root(const hl_kernel *k, hli_block b) {
  while (b != k->body) {
    const hli_op loop = k->blocks.data[b].parent;
    if (!hli_is_branch(k, loop) &&
        (k->ops.data[loop].code != HLI_OP_FOR || !hli_depends_on_program(k, hli_operand(k, loop, 0))))
      return false;
    b = k->ops.data[loop].block;
  }
  return true;
}

/* Is begin < end for certain?  Grid tiles and induction variables exist only below their end; of others the
 * constants must say so. */
static bool begins_inside(const hl_kernel *k, hli_value begin, hli_value end) {
  hli_scalar b, e;
  if (hli_const_value(k, begin, &b))
    return hli_const_value(k, end, &e) && b.i < e.i;
  const hli_value_data *d = &k->values.data[begin];
  if (!d->def && d->owner) {
    const hli_op loop = k->blocks.data[d->owner].parent;
    return loop && k->ops.data[loop].code == HLI_OP_FOR && d->index == 0 && hli_operand(k, loop, 1) == end;
  }
  return d->def && in_root(k, k->ops.data[d->def].block) && hli_depends_on_program(k, begin);
}

bool hli_depends_on_program(const hl_kernel *k, hli_value v) {
  const hli_op op = k->values.data[v].def;
  if (!op) { /* the index of a persistent kernel's loop */
    const hli_value_data *d = &k->values.data[v];
    const hli_op loop = d->owner ? k->blocks.data[d->owner].parent : 0;
    return loop && d->index == 0 && k->ops.data[loop].code == HLI_OP_FOR && k->ops.data[loop].block == k->body &&
           hli_depends_on_program(k, hli_operand(k, loop, 0));
  }
  if (k->ops.data[op].code == HLI_OP_PROGRAM_ID)
    return true;
  for (uint32_t i = 0; i < hli_operand_count(k, op); i++)
    if (hli_depends_on_program(k, hli_operand(k, op, i)))
      return true;
  return false;
}

hli_value hli_range_around(const hl_kernel *k, hli_axis axis, hli_block where) {
  for (hli_block b = where; b;) {
    for (hli_op op = hli_first(k, b); op; op = hli_next(k, op))
      if (k->ops.data[op].code == HLI_OP_RANGE && hli_attr(k, op, 0, 0) == (int64_t)axis)
        return hli_result(k, op, 0);
    const hli_op parent = k->blocks.data[b].parent;
    b = parent ? k->ops.data[parent].block : 0;
  }
  return 0;
}

bool hli_range_inside(const hl_kernel *k, hli_value tile) {
  const hli_op op = k->values.data[tile].def;
  if (!op || k->ops.data[op].code != HLI_OP_RANGE)
    return false;
  const int64_t block = hli_axis_lanes(k, (hli_axis)hli_attr(k, op, 0, 0));
  const hli_value begin = hli_operand(k, op, 0), end = hli_operand(k, op, 1);
  hli_scalar b, e;
  if (block <= 0)
    return false;
  if (hli_const_value(k, begin, &b) && hli_const_value(k, end, &e))
    return e.i - b.i >= block;
  return divides(block, gcd(hli_known_multiple(k, begin), hli_known_multiple(k, end))) && begins_inside(k, begin, end);
}

/* ---- addresses ------------------------------------------------------------------------ */

static uint32_t largest_pow2(int64_t multiple_known, uint32_t limit) {
  uint32_t n = 1;
  while (n < limit && divides(2 * (int64_t)n, multiple_known))
    n *= 2;
  return n;
}

static const hli_param *param_of(const hl_kernel *k, hli_value base) {
  for (uint32_t i = 0; i < k->params.len; i++)
    if (k->params.data[i].value == base)
      return &k->params.data[i];
  return NULL;
}

int hli_access_unit_dim(const hl_kernel *k, const hli_access *a) {
  const hli_param *p = param_of(k, a->base);
  for (uint32_t d = a->rank; p && d-- > 0;)
    if (p->strides[d] == 1 && a->value_dim[d] >= 0)
      return (int)d;
  return -1;
}

/* What the index of a dimension is a multiple of, apart from its lanes. */
static int64_t index_multiple(const hl_kernel *k, const hli_access *a, uint32_t d) {
  if (a->kind[d] == 't') {
    const hli_op range = k->values.data[a->index[d]].def;
    return range && k->ops.data[range].code == HLI_OP_RANGE ? hli_known_multiple(k, hli_operand(k, range, 0)) : 1;
  }
  if (a->kind[d] != 's')
    return 0;
  const hli_dim_data *dim = &k->dims.data[hli_type_of(k, a->base)->dims[d]];
  /* A negative index counts from the end. */
  return gcd(hli_known_multiple(k, a->index[d]), dim->value >= 0 ? dim->value : HLI_MAX(dim->multiple, 1));
}

uint32_t hli_access_vector(const hl_kernel *k, const hli_access *a, uint32_t limit_bytes) {
  const hli_param *p = param_of(k, a->base);
  const int unit = hli_access_unit_dim(k, a);
  const uint32_t size = hl_dtype_size((hl_dtype)hli_type_of(k, a->base)->dtype);
  if (!p || unit < 0 || size == 0 || size > limit_bytes)
    return 1;
  uint32_t n = largest_pow2(HLI_MAX(p->align, size), limit_bytes) / size;
  for (uint32_t d = 0; d < a->rank && n > 1; d++) {
    const int64_t index = index_multiple(k, a, d);
    if ((int)d == unit) {
      n = largest_pow2(index, n);
      continue;
    }
    /* Lanes move this index one by one, so the stride alone must do; a scalar index helps. */
    const int64_t stride = p->strides[d] < 0 ? 1 : p->strides[d];
    const bool moves = a->kind[d] != 's' && hli_axis_lanes(k, hli_type_of(k, a->index[d])->dims[0]) > 1;
    n = largest_pow2(moves ? stride : index == 0 ? 0 : stride * HLI_MIN(index, LARGE), n);
  }
  return n;
}
