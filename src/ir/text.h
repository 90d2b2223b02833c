/* text.h: what the printer and the parser of kernels share: limits, a symbol table and the form of numbers. */
#ifndef HLI_TEXT_H
#define HLI_TEXT_H

#include "src/ir/ir.h"

#define HLI_TEXT_VERSION 1

/* Limits of the parser.  They bound its time and memory, not what a kernel may sensibly say. */
#define HLI_TEXT_BYTES (8u << 20)
#define HLI_TEXT_NAME 128                  /* bytes of a name */
#define HLI_TEXT_OPS 100000u
#define HLI_TEXT_TYPES 2048u
#define HLI_TEXT_DIMS 1024u
#define HLI_TEXT_AXES 4096u
#define HLI_TEXT_LAYOUTS 4096u
#define HLI_TEXT_PARAMS 32u                /* may_alias is a mask of 32 bits */
#define HLI_TEXT_SIZE ((int64_t)1 << 48)   /* of a dimension, a stride, an axis */
#define HLI_TEXT_CONST ((int64_t)1 << 31)  /* of a constant axis */
#define HLI_TEXT_ALIGN 4096u

/* ---- symbols: from names to numbers ------------------------------------------------ */

typedef struct hli_symbol {
  hl_str name;     /* borrowed; NULL = empty slot */
  uint32_t value;
  uint32_t next;   /* for the user of the table */
} hli_symbol;

typedef struct hli_symbols {
  const hl_allocator *alloc;
  hli_symbol *slots;
  uint32_t cap, len;
} hli_symbols;

hli_symbol *hli_symbols_find(const hli_symbols *s, hl_str name); /* NULL: not there */
/* The name must not be there yet.  NULL when out of memory.  Symbols move when others are added. */
hli_symbol *hli_symbols_add(hli_symbols *s, hl_str name, uint32_t value);
void hli_symbols_free(hli_symbols *s);

/* ---- numbers ---------------------------------------------------------------------------- */

/* A double exactly: 0x1.8p+3, -0x0p+0, inf, -inf, nan. */
void hli_print_double(double x, hli_strbuf *out);
/* A constant of a dtype from its raw bits: as above, decimal integers, true, false; a NaN other than the
 * canonical one as nan(0x7fc00001). */
void hli_print_constant(hl_dtype dtype, uint64_t bits, hli_strbuf *out);

/* The reverse.  They return NULL, or words that say what is wrong. */
const char *hli_read_i64(hl_str text, int64_t *out);
const char *hli_read_double(hl_str text, double *out, bool *exact); /* exact: hexadecimal, or a small integer */
const char *hli_read_constant(hl_dtype dtype, hl_str text, uint64_t *bits);

/* ---- words -------------------------------------------------------------------------------- */

bool hli_is_name(const char *s); /* letters, digits and _, not beginning with a digit, not too long */
const char *hli_stage_text(uint8_t stage); /* tile, loop, lane */
const char *hli_dist_text(hl_dist dist);   /* normal, uniform, integer, constant */
hl_arg_spec hli_default_spec(hl_dtype dtype);
bool hli_spec_equal(const hl_arg_spec *a, const hl_arg_spec *b);

/* Is this attribute shown in brackets or by words behind the operands, not in braces? */
bool hli_attr_is_inline(hli_opcode code, uint32_t i);
/* Position of the attribute of that kind or name; -1 = none. */
int hli_attr_by_kind(hli_opcode code, char kind);
int hli_attr_by_name(hli_opcode code, hl_str name);

/* The op's region if it is the op's own, else 0: with malformed links a walk over regions would not end. */
static inline hli_block hli_own_region(const hl_kernel *k, hli_op op) {
  hli_block region = k->ops.data[op].region;
  return region && region < k->blocks.len && k->blocks.data[region].parent == op ? region : 0;
}

/* ---- printing with names ---------------------------------------------------------------------- */

/* The names of a kernel's values as the text form has them. */
typedef struct hli_naming {
  hli_arena arena;
  const char **of; /* by value id; NULL: not reachable */
  uint32_t count;
} hli_naming;
bool hli_naming_init(hli_naming *n, const hl_kernel *k); /* false: out of memory */
void hli_naming_free(hli_naming *n);
/* One op without region and line end. */
void hli_print_op_named(const hl_kernel *k, const hli_naming *n, hli_op op, hli_strbuf *out);
/* Called behind every line of an op with its indentation; for the verifier's listing. */
typedef void (*hli_remark_fn)(void *ctx, hli_op op, uint32_t indent, hli_strbuf *out);
void hli_print_remarked(const hl_kernel *k, hli_strbuf *out, hli_remark_fn remark, void *ctx);
void hli_print_layout(const hli_layout *l, hli_strbuf *out);

#endif
