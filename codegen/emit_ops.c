/* emit_ops.c: ops that every family emits alike: constants, pointwise families, casts, a scalar spread
 * over a vector, sizes, the program id, `for` with its carried values. */
#include "codegen/emit.h"

LLVMBasicBlockRef hlc_new_block(hlc_emit *e, const char *name) {
  return LLVMAppendBasicBlockInContext(e->ctx, e->fn, name);
}

/* ---- values ------------------------------------------------------------------------------ */

static void emit_const(hlc_emit *e, hli_op op) {
  hli_value v = hli_result(e->k, op, 0);
  hlc_bind1(e, v, hlc_bits(e, hli_dtype_of(e->k, v), (uint64_t)hli_attr(e->k, op, 0, 0)));
}

static LLVMValueRef bitcast(hlc_emit *e, LLVMValueRef x, hl_dtype to) {
  return LLVMBuildBitCast(e->b, x, hlc_like(hlc_scalar_type(e, to), x), "");
}

static void emit_pointwise_op(hlc_emit *e, hli_op op) {
  const hl_kernel *k = e->k;
  hli_opcode code = (hli_opcode)k->ops.data[op].code;
  hli_value result = hli_result(k, op, 0);
  uint32_t n = hli_operand_count(k, op);
  hlc_regs in[3] = {{0}};
  for (uint32_t i = 0; i < n && i < 3; i++)
    in[i] = hlc_get(e, hli_operand(k, op, i));
  LLVMValueRef *out = hlc_new_regs(e, in[0].n);
  if (hlc_failed(e)) return;
  /* `where` is typed by its choices, everything else by its first operand. */
  hl_dtype dtype = hli_dtype_of(k, hli_operand(k, op, code == HLI_OP_WHERE ? 1 : 0));
  for (uint32_t r = 0; r < in[0].n; r++) {
    LLVMValueRef args[3] = {in[0].r[r], n > 1 ? in[1].r[r] : NULL, n > 2 ? in[2].r[r] : NULL};
    out[r] = code == HLI_OP_CAST ? hlc_cast(e, args[0], dtype, hli_dtype_of(k, result))
             : code == HLI_OP_BITCAST ? bitcast(e, args[0], hli_dtype_of(k, result)) : hlc_pointwise(e, code, dtype, args);
  }
  e->values[result] = (hlc_regs){out, in[0].n};
}

/* Scalar to anything: every register is a splat of it. */
static void emit_splat(hlc_emit *e, hli_op op) {
  hli_value v = hli_result(e->k, op, 0), source = hli_operand(e->k, op, 0);
  if (hli_type_of(e->k, source)->rank != 0) {
    hlc_fail(e, HL_ERR_INTERNAL, "only scalars are broadcast at this stage");
    return;
  }
  uint32_t n = 1;
  LLVMTypeRef t = e->family->register_type(e, e->k->values.data[v].type, &n);
  uint32_t lanes = LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetVectorSize(t) : 1;
  LLVMValueRef x = hlc_get1(e, source), r = hlc_splat(e, x, lanes);
  if (lanes == 1 && LLVMGetTypeKind(t) == LLVMVectorTypeKind) /* a vector of one lane */
    r = LLVMBuildInsertElement(e->b, LLVMGetPoison(LLVMVectorType(LLVMTypeOf(x), 1)), x, hlc_i32(e, 0), "");
  LLVMValueRef *regs = hlc_new_regs(e, n);
  for (uint32_t i = 0; regs && i < n; i++)
    regs[i] = r;
  e->values[v] = (hlc_regs){regs, n};
}

static void emit_size(hlc_emit *e, hli_op op) {
  LLVMValueRef size = hlc_size(e, hli_operand(e->k, op, 0), (uint32_t)hli_attr(e->k, op, 0, 0));
  hlc_bind1(e, hli_result(e->k, op, 0), size);
}

static void emit_stride(hlc_emit *e, hli_op op) {
  hlc_bind1(e, hli_result(e->k, op, 0), hlc_stride(e, hli_operand(e->k, op, 0), (uint32_t)hli_attr(e->k, op, 0, 0)));
}

static void emit_program_id(hlc_emit *e, hli_op op) { hlc_bind1(e, hli_result(e->k, op, 0), e->program_id); }

/* ---- for ------------------------------------------------------------------------------------- */

/* Carried values of one loop, flattened to registers. */
typedef struct carried {
  uint32_t values, total;
  LLVMValueRef *now; /* current registers, in order */
} carried;

static void read_carried(hlc_emit *e, hli_op owner, uint32_t first, uint32_t count, carried *c) {
  *c = (carried){.values = count};
  for (uint32_t i = 0; i < count; i++)
    c->total += hlc_get(e, hli_operand(e->k, owner, first + i)).n;
  c->now = hlc_new_regs(e, c->total);
  for (uint32_t i = 0, at = 0; c->now && i < count; i++) {
    hlc_regs r = hlc_get(e, hli_operand(e->k, owner, first + i));
    for (uint32_t j = 0; j < r.n; j++)
      c->now[at++] = r.r[j];
  }
}

/* Binds IR values first.. to the flattened registers; `like` are the loop's operands, for the counts. */
static void bind_carried(hlc_emit *e, hli_op op, const hli_value *ids, const carried *c) {
  for (uint32_t i = 0, at = 0; i < c->values; i++) {
    uint32_t n = hlc_get(e, hli_operand(e->k, op, hli_region_form_of(e->k, op).operands + i)).n;
    hlc_bind(e, ids[i], c->now + at, n);
    at += n;
  }
}

/* Emits the region once at `iv`; c->now goes in and comes out. */
static void emit_copy(hlc_emit *e, hli_op op, LLVMValueRef iv, carried *c) {
  const hl_kernel *k = e->k;
  hli_block body = k->ops.data[op].region;
  hli_value ids[HLI_MAX_OPERANDS];
  hlc_bind1(e, hli_block_arg(k, body, 0), iv);
  for (uint32_t i = 0; i < c->values; i++)
    ids[i] = hli_block_arg(k, body, 1 + i);
  bind_carried(e, op, ids, c);
  hlc_emit_block(e, body);
  if (hlc_failed(e)) return;
  read_carried(e, k->blocks.data[body].last, 0, c->values, c);
}

typedef struct loop {
  LLVMValueRef begin, end, step; /* runs while iv + (copies - 1) * step < end */
  uint32_t copies;
} loop;

/* Is the first iteration known to run? */
static bool surely_entered(const loop *l) {
  return LLVMIsAConstantInt(l->begin) && LLVMIsAConstantInt(l->end) &&
         LLVMConstIntGetSExtValue(l->begin) < LLVMConstIntGetSExtValue(l->end);
}

/* One loop with its test at the bottom.  Returns where iv stands behind it. */
static LLVMValueRef emit_rolled(hlc_emit *e, hli_op op, const loop *l, carried *c) {
  LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b), body = hlc_new_block(e, "loop"), after = hlc_new_block(e, "done");
  LLVMValueRef *in = hlc_new_regs(e, c->total + 1), *first = c->now;
  if (!in) return l->begin;
  if (surely_entered(l)) LLVMBuildBr(e->b, body);
  else LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, l->begin, l->end, ""), body, after);
  bool guarded = !surely_entered(l);
  LLVMPositionBuilderAtEnd(e->b, body);
  LLVMValueRef iv = LLVMBuildPhi(e->b, e->t_i64, "iv");
  for (uint32_t i = 0; i < c->total; i++)
    in[i] = LLVMBuildPhi(e->b, LLVMTypeOf(first[i]), "");
  carried inner = {c->values, c->total, in};
  LLVMValueRef at = iv;
  for (uint32_t u = 0; u < l->copies && !hlc_failed(e); u++) {
    emit_copy(e, op, at, &inner);
    at = LLVMBuildNSWAdd(e->b, at, l->step, "");
  }
  LLVMBasicBlockRef latch = LLVMGetInsertBlock(e->b);
  LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, at, l->end, ""), body, after);
  LLVMAddIncoming(iv, (LLVMValueRef[]){l->begin, at}, (LLVMBasicBlockRef[]){before, latch}, 2);
  for (uint32_t i = 0; i < c->total && !hlc_failed(e); i++)
    LLVMAddIncoming(in[i], (LLVMValueRef[]){first[i], inner.now[i]}, (LLVMBasicBlockRef[]){before, latch}, 2);
  LLVMPositionBuilderAtEnd(e->b, after);
  if (hlc_failed(e)) return l->begin;
  if (!guarded) {
    c->now = inner.now;
    return at;
  }
  LLVMValueRef *out = hlc_new_regs(e, c->total), stop = LLVMBuildPhi(e->b, e->t_i64, "");
  LLVMBasicBlockRef from[2] = {before, latch};
  LLVMAddIncoming(stop, (LLVMValueRef[]){l->begin, at}, from, 2);
  for (uint32_t i = 0; out && i < c->total; i++) {
    out[i] = LLVMBuildPhi(e->b, LLVMTypeOf(first[i]), "");
    LLVMAddIncoming(out[i], (LLVMValueRef[]){first[i], inner.now[i]}, from, 2);
  }
  c->now = out;
  return stop;
}

/* Trips of a loop with constant bounds, -1 unknown. */
static int64_t known_trips(const loop *l) {
  if (!LLVMIsAConstantInt(l->begin) || !LLVMIsAConstantInt(l->end) || !LLVMIsAConstantInt(l->step)) return -1;
  int64_t b = LLVMConstIntGetSExtValue(l->begin), n = LLVMConstIntGetSExtValue(l->end), s = LLVMConstIntGetSExtValue(l->step);
  return b >= n || s <= 0 ? 0 : hli_ceil_div(n - b, s);
}

static void emit_for(hlc_emit *e, hli_op op) {
  const hl_kernel *k = e->k;
  loop l = {hlc_get1(e, hli_operand(k, op, 0)), hlc_get1(e, hli_operand(k, op, 1)), hlc_get1(e, hli_operand(k, op, 2)), 1};
  carried c;
  read_carried(e, op, 3, hli_operand_count(k, op) - 3, &c);
  if (hlc_failed(e)) return;
  int64_t unroll = hli_attr_or(k, op, 0, 0, 0), trips = known_trips(&l);
  if (trips == 1 || (trips > 0 && trips <= unroll)) {
    for (int64_t t = 0; t < trips; t++) {
      emit_copy(e, op, l.begin, &c);
      l.begin = LLVMBuildAdd(e->b, l.begin, l.step, "");
    }
  } else if (trips != 0) {
    if (unroll > 1) { /* groups of `unroll` iterations, then what is left */
      LLVMValueRef span = LLVMBuildMul(e->b, l.step, hlc_i64(e, unroll - 1), "");
      loop groups = {l.begin, LLVMBuildSub(e->b, l.end, span, ""), l.step, (uint32_t)unroll};
      l.begin = emit_rolled(e, op, &groups, &c);
    }
    if (!hlc_failed(e) && !(unroll > 1 && trips > 0 && trips % unroll == 0)) emit_rolled(e, op, &l, &c);
  }
  if (hlc_failed(e)) return;
  hli_value ids[HLI_MAX_OPERANDS];
  for (uint32_t i = 0; i < c.values; i++)
    ids[i] = hli_result(k, op, i);
  bind_carried(e, op, ids, &c);
}

/* Emits the region of a `while` once; c->now goes in and comes out.  Returns the next condition. */
static LLVMValueRef emit_while_body(hlc_emit *e, hli_op op, carried *c) {
  const hl_kernel *k = e->k;
  const hli_block body = k->ops.data[op].region;
  const hli_op yield = k->blocks.data[body].last;
  hli_value ids[HLI_MAX_OPERANDS];
  for (uint32_t i = 0; i < c->values; i++)
    ids[i] = hli_block_arg(k, body, i);
  bind_carried(e, op, ids, c);
  hlc_emit_block(e, body);
  if (hlc_failed(e)) return NULL;
  read_carried(e, yield, 1, c->values, c);
  return hlc_get1(e, hli_operand(k, yield, 0));
}

/* The test stands before the loop and at its bottom. */
static void emit_while(hlc_emit *e, hli_op op) {
  const hl_kernel *k = e->k;
  carried c;
  read_carried(e, op, 1, hli_operand_count(k, op) - 1, &c);
  LLVMValueRef cond = hlc_get1(e, hli_operand(k, op, 0));
  LLVMValueRef *in = hlc_new_regs(e, c.total + 1), *out = hlc_new_regs(e, c.total + 1), *first = c.now;
  if (hlc_failed(e) || !in || !out) return;
  LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b), body = hlc_new_block(e, "while"), after = hlc_new_block(e, "done");
  LLVMBuildCondBr(e->b, cond, body, after);
  LLVMPositionBuilderAtEnd(e->b, body);
  for (uint32_t i = 0; i < c.total; i++)
    in[i] = LLVMBuildPhi(e->b, LLVMTypeOf(first[i]), "");
  carried inner = {c.values, c.total, in};
  cond = emit_while_body(e, op, &inner);
  if (hlc_failed(e)) return;
  LLVMBasicBlockRef from[2] = {before, LLVMGetInsertBlock(e->b)};
  LLVMBuildCondBr(e->b, cond, body, after);
  LLVMPositionBuilderAtEnd(e->b, after);
  for (uint32_t i = 0; i < c.total; i++) {
    LLVMValueRef values[2] = {first[i], inner.now[i]};
    LLVMAddIncoming(in[i], values, from, 2);
    out[i] = LLVMBuildPhi(e->b, LLVMTypeOf(first[i]), "");
    LLVMAddIncoming(out[i], values, from, 2);
  }
  c.now = out;
  hli_value ids[HLI_MAX_OPERANDS];
  for (uint32_t i = 0; i < c.values; i++)
    ids[i] = hli_result(k, op, i);
  bind_carried(e, op, ids, &c);
}

const hlc_op_fn hlc_generic_ops[HLI_OP_COUNT] = {
    [HLI_OP_CAST] = emit_pointwise_op,
    [HLI_OP_BITCAST] = emit_pointwise_op,
    [HLI_OP_CONST] = emit_const,
    [HLI_OP_BROADCAST] = emit_splat,
    [HLI_OP_SIZE] = emit_size,
    [HLI_OP_STRIDE] = emit_stride,
    [HLI_OP_PROGRAM_ID] = emit_program_id,
    [HLI_OP_FOR] = emit_for,
    [HLI_OP_WHILE] = emit_while,
};

static hlc_op_fn emitter_of(const hlc_emit *e, hli_opcode code) {
  if (e->family->ops && e->family->ops[code]) return e->family->ops[code];
  uint8_t family = hli_op_facts(code)->family;
  if (family == HLI_FAM_UNARY || family == HLI_FAM_BINARY || family == HLI_FAM_TERNARY) return emit_pointwise_op;
  return hlc_generic_ops[code];
}

void hlc_emit_block(hlc_emit *e, hli_block block) {
  for (hli_op op = hli_first(e->k, block); op && !hlc_failed(e); op = hli_next(e->k, op)) {
    hli_opcode code = (hli_opcode)e->k->ops.data[op].code;
    if (code == HLI_OP_YIELD) return; /* its operands are read by whoever owns the region */
    hlc_op_fn fn = emitter_of(e, code);
    if (fn) fn(e, op);
    else hlc_fail(e, HL_ERR_INTERNAL, "no emitter for op %s", hli_op_facts(code)->text);
  }
}
