/* facts.c: the op table of ops.def as data, and small look-ups in it. */
#include "src/ir/ir.h"

#define TLN   (HLI_STAGE_TILE | HLI_STAGE_LOOP | HLI_STAGE_LANE)
#define TL    (HLI_STAGE_TILE | HLI_STAGE_LOOP)
#define TN    (HLI_STAGE_TILE | HLI_STAGE_LANE)
#define T     HLI_STAGE_TILE
#define L     HLI_STAGE_LOOP
#define N     HLI_STAGE_LANE
#define PURE  HLI_EFF_PURE
#define READ  HLI_EFF_READ
#define WRITE HLI_EFF_WRITE
#define SYNC  HLI_EFF_SYNC
#define TERM  HLI_EFF_TERM
#define COMM  HLI_ALG_COMM
#define ASSOC HLI_ALG_ASSOC
#define IDEMP HLI_ALG_IDEMP

static const hli_op_info facts[HLI_OP_COUNT] = {
    [HLI_OP_NONE] = {"<none>", 0, 0, 0, 0, 0, HLI_RULE_NOTHING, 0, 0, 0, 0, 0, ""},
#define HLI_OP(E, text, fam, imin, imax, res, reg, attrs, rule, eff, alg, stages, id, cost)                            \
  [HLI_OP_##                                                                                                           \
      E] = {text, HLI_FAM_##fam, imin, imax, res, reg, HLI_RULE_##rule, eff, alg, stages, HLI_ID_##id, cost, attrs},
#include "src/ir/ops.def"
#undef HLI_OP
};

const hli_op_info *hli_op_facts(hli_opcode code) {
  return &facts[(unsigned)code < HLI_OP_COUNT ? code : HLI_OP_NONE];
}

hli_opcode hli_op_by_text(hl_str text) {
  for (uint32_t i = 1; i < HLI_OP_COUNT; i++)
    if (hli_str_eqz(text, facts[i].text))
      return (hli_opcode)i;
  return HLI_OP_NONE;
}

bool hli_attr_spec(hli_opcode code, uint32_t i, hli_attr_info *out) {
  const char *p = hli_op_facts(code)->attrs;
  while (*p) {
    const char *colon = strchr(p, ':');
    if (i-- == 0) {
      *out = (hli_attr_info){{p, (size_t)(colon - p)}, colon[1], colon[2] == '?'};
      return true;
    }
    p = strchr(colon, ' ');
    if (!p)
      return false;
    p++;
  }
  return false;
}

static const struct {
  const char *text;
  hli_opcode combine;
} reduces[HL_REDUCE_COUNT] = {
    [HL_REDUCE_SUM] = {"sum", HLI_OP_ADD}, [HL_REDUCE_PROD] = {"prod", HLI_OP_MUL},
    [HL_REDUCE_MAX] = {"max", HLI_OP_MAX}, [HL_REDUCE_MIN] = {"min", HLI_OP_MIN},
    [HL_REDUCE_ANY] = {"any", HLI_OP_OR},  [HL_REDUCE_ALL] = {"all", HLI_OP_AND},
};

hli_opcode hli_reduce_combine(hl_reduce_op op) {
  return (unsigned)op < HL_REDUCE_COUNT ? reduces[op].combine : HLI_OP_NONE;
}

const char *hli_allow_text(uint32_t bit) {
  switch (bit) {
  case HL_ALLOW_CONTRACT:
    return "contract";
  case HL_ALLOW_FLUSH:
    return "flush";
  case HL_ALLOW_APPROX_DIV:
    return "approx_div";
  case HL_ALLOW_TF32:
    return "tf32";
  default:
    return NULL;
  }
}

const char *hli_compare_text(uint8_t compare) {
  static const char *const text[] = {"==", "!=", "<", "<=", ">", ">="};
  return compare >= HL_EQ && compare <= HL_GE ? text[compare - HL_EQ] : NULL;
}

const char *hli_reduce_text(hl_reduce_op op) {
  return (unsigned)op < HL_REDUCE_COUNT ? reduces[op].text : "none";
}

/* ---- atomics ---- */

static const struct {
  const char *text;
  hli_opcode combine;
} atomics[HL_ATOMIC_COUNT] = {
    [HL_ATOMIC_ADD] = {"add", HLI_OP_ADD},    [HL_ATOMIC_AND] = {"and", HLI_OP_AND},
    [HL_ATOMIC_OR] = {"or", HLI_OP_OR},       [HL_ATOMIC_XOR] = {"xor", HLI_OP_XOR},
    [HL_ATOMIC_XCHG] = {"xchg", HLI_OP_NONE}, [HL_ATOMIC_MAX] = {"max", HLI_OP_MAX},
    [HL_ATOMIC_MIN] = {"min", HLI_OP_MIN},    [HL_ATOMIC_CAS] = {"cas", HLI_OP_NONE},
};

hli_opcode hli_atomic_combine(hl_atomic_op op) {
  return (unsigned)op < HL_ATOMIC_COUNT ? atomics[op].combine : HLI_OP_NONE;
}

const char *hli_atomic_text(hl_atomic_op op) {
  return (unsigned)op < HL_ATOMIC_COUNT ? atomics[op].text : "none";
}

const char *hli_order_text(hl_memory_order order) {
  static const char *const texts[HL_ORDER_COUNT] = {"relaxed", "acquire", "release", "acq_rel"};
  return (unsigned)order < HL_ORDER_COUNT ? texts[order] : "none";
}

const char *hli_precision_text(hl_precision precision) {
  static const char *const texts[HL_PRECISION_COUNT] = {"ieee", "tf32", "tf32x3"};
  return (unsigned)precision < HL_PRECISION_COUNT ? texts[precision] : "none";
}

const char *hli_atomic_refusal(hl_atomic_op op, hl_dtype dtype) {
  const char kind = hli_dtype_kind(dtype);
  const uint32_t size = hl_dtype_size(dtype);
  if ((kind == 'i' || kind == 'u') && size >= 4)
    return NULL;
  if (kind != 'f' || size < 2)
    return "atomics work on i32, u32, i64, u64, f16, bf16, f32 and f64";
  if (op == HL_ATOMIC_AND || op == HL_ATOMIC_OR || op == HL_ATOMIC_XOR)
    return "and, or and xor work on integers";
  return NULL;
}
