/* base.h: allocation, arenas, vectors, string buffers, hashing and diagnostics
 * for every room.  No mutable globals, no I/O.
 *
 * Lifetimes: the context owns devices and loaded code; a kernel owns the vectors of
 * its IR; scratch arenas live for one pass or one call. */
#ifndef HLI_BASE_H
#define HLI_BASE_H

#include <stdarg.h>
#include <string.h>
#include "hl/base.h"
#include "hl/ops.h"

#define HLI_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HLI_MIN(a, b) ((a) < (b) ? (a) : (b))
#define HLI_MAX(a, b) ((a) > (b) ? (a) : (b))

/* ---- allocation: every allocation of the library goes through these -------- */

/* NULL `a` or an allocator with NULL functions means malloc/free. */
void *hli_alloc(const hl_allocator *a, size_t size, size_t align); /* not zeroed */
void *hli_calloc(const hl_allocator *a, size_t count, size_t size); /* zeroed, overflow-checked, align 16 */
void *hli_grow(const hl_allocator *a, void *old, size_t old_size, size_t new_size); /* align 16; old kept on failure */
void hli_release(const hl_allocator *a, void *ptr, size_t size);

/* ---- vectors: HLI_VEC(T) v = {0}; grow by push, index with v.data[i] --------
 * `push` and `reserve` evaluate to false when out of memory. */
#define HLI_VEC(T) struct { T *data; uint32_t len, cap; }
#define hli_vec_push(a, v, x) \
  (hli_vec_reserve((a), (v), (v)->len + 1u) ? ((v)->data[(v)->len++] = (x), true) : false)
#define hli_vec_reserve(a, v, n) \
  hli_vec_reserve_raw((a), (void **)&(v)->data, &(v)->cap, (n), sizeof(*(v)->data))
#define hli_vec_free(a, v) \
  (hli_release((a), (v)->data, (size_t)(v)->cap * sizeof(*(v)->data)), (v)->data = NULL, (v)->len = (v)->cap = 0)
bool hli_vec_reserve_raw(const hl_allocator *a, void **data, uint32_t *cap, uint32_t need, size_t elem);

/* ---- arena: bump allocation, freed at once --------------------------------- */
typedef struct hli_arena {
  const hl_allocator *alloc;
  struct hli_arena_page *head;
  bool failed; /* sticky: some allocation returned NULL */
} hli_arena;
void hli_arena_init(hli_arena *arena, const hl_allocator *alloc);
void *hli_arena_alloc(hli_arena *arena, size_t size); /* zeroed, align 16; NULL when out of memory */
char *hli_arena_strdup(hli_arena *arena, hl_str s);   /* NUL-terminated copy */
void hli_arena_free(hli_arena *arena);
#define hli_arena_new(arena, T) ((T *)hli_arena_alloc((arena), sizeof(T)))
#define hli_arena_array(arena, T, n) ((T *)hli_arena_alloc((arena), sizeof(T) * (size_t)(n)))

/* ---- string buffer: sticky failure, always NUL-terminated ------------------- */
typedef struct hli_strbuf {
  const hl_allocator *alloc;
  char *data;
  size_t len, cap;
  bool failed;
} hli_strbuf;
void hli_sb_init(hli_strbuf *sb, const hl_allocator *alloc);
void hli_sb_free(hli_strbuf *sb);
void hli_sb_put(hli_strbuf *sb, const char *bytes, size_t len);
void hli_sb_puts(hli_strbuf *sb, const char *text);
void hli_sb_printf(hli_strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Hands the bytes over as a blob and resets the buffer; NULL when out of memory, and the bytes are gone too. */
hl_blob *hli_sb_to_blob(hli_strbuf *sb);
hl_blob *hli_blob_create(const hl_allocator *alloc, const void *data, size_t size);
/* `size` bytes for the caller to write at *bytes before the blob is handed on; NULL when out of memory. */
hl_blob *hli_blob_reserve(const hl_allocator *alloc, size_t size, char **bytes);

/* ---- strings ----------------------------------------------------------------- */
static inline hl_str hli_str(const char *z) { return (hl_str){z, z ? strlen(z) : 0}; }
bool hli_str_eq(hl_str a, hl_str b);
bool hli_str_eqz(hl_str a, const char *z);

/* ---- diagnostics --------------------------------------------------------------
 * Fill `diag` (may be NULL) and return `status`, so that `return hli_fail(...)` works. */
hl_status hli_fail(hl_diag *diag, hl_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
hl_status hli_fail_at(hl_diag *diag, hl_status status, const char *file, uint32_t line,
                      uint32_t column, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
hl_status hli_fail_memory(hl_diag *diag, const char *what); /* HL_ERR_MEMORY, "... while <what>" */

/* ---- 128-bit digest (XXH3-128 of bytes, little-endian text form) ---------------- */
typedef struct hli_digest { uint64_t lo, hi; } hli_digest;
hli_digest hli_digest_bytes(const void *data, size_t len, hli_digest seed);
void hli_digest_text(hli_digest d, char out[33]); /* 32 hex digits + NUL */
bool hli_digest_parse(hl_str text, hli_digest *out); /* false: not 32 hex digits */

/* ---- dtypes (dtype.c) and floating formats (float.c) ----------------------------- */
/* 'b' bool, 'i' signed, 'u' unsigned, 'f' floating, 0 if invalid. */
char hli_dtype_kind(hl_dtype dtype);
bool hli_dtype_is_narrow(hl_dtype dtype); /* a float of 16 bits or fewer: computed in f32 */

typedef enum hli_float_special {
  HLI_FLOAT_IEEE,          /* infinities and NaNs in the last exponent */
  HLI_FLOAT_SATURATING,    /* the same, but too large finite numbers become the largest */
  HLI_FLOAT_FINITE,        /* no infinity, the last code of each sign is NaN; saturates */
  HLI_FLOAT_UNSIGNED_ZERO, /* no infinity, what would be -0 is NaN; saturates */
  HLI_FLOAT_SCALE          /* powers of two, the last code is NaN; no sign, no zero; saturates */
} hli_float_special;
typedef struct hli_float_format {
  uint8_t exponent, mantissa; /* bits */
  int16_t bias;
  uint8_t special; /* hli_float_special */
} hli_float_format;
static inline uint64_t hli_double_bits(double d) {
  uint64_t b;
  memcpy(&b, &d, sizeof b);
  return b;
}
static inline double hli_double_of(uint64_t b) {
  double d;
  memcpy(&d, &b, sizeof d);
  return d;
}
hli_float_format hli_float_format_of(hl_dtype dtype); /* f64's if it is no float */
uint64_t hli_float_largest(hli_float_format f);       /* bits of the largest number */
uint64_t hli_float_nan(hli_float_format f);           /* bits of the canonical NaN */
double hli_float_widen(hli_float_format f, uint64_t bits);
uint64_t hli_float_narrow(hli_float_format f, double d); /* to nearest even; see float.c */

/* ---- integers ------------------------------------------------------------------- */
static inline int64_t hli_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; } /* a >= 0, b > 0 */
static inline bool hli_is_pow2(uint64_t x) { return x && !(x & (x - 1)); }
static inline uint64_t hli_next_pow2(uint64_t x) { /* x <= 2^63 */
  uint64_t p = 1;
  while (p < x) p <<= 1;
  return p;
}
static inline uint32_t hli_log2(uint64_t pow2) { return (uint32_t)__builtin_ctzll(pow2); }

/* ---- a lock that survives fork ------------------------------------------------------
 * In a forked child it may be held by a thread that is not there; the first who comes makes it anew.  What it guards
 * must therefore be sound between any two writes to it. */
typedef struct hli_lock {
  void *mutex;
  _Atomic int32_t pid;
} hli_lock;
bool hli_lock_init(hli_lock *lock, const hl_allocator *alloc);
void hli_lock_free(hli_lock *lock, const hl_allocator *alloc);
void hli_lock_take(hli_lock *lock);
void hli_lock_give(hli_lock *lock);

/* ---- context ---------------------------------------------------------------------
 * Devices register themselves through runtime/; the core sees hooks only. */
struct hl_context {
  hl_allocator alloc;
  hl_log_fn log;
  void *log_user;
  hl_parallel_for_fn parallel_for;
  void *parallel_user;
  int32_t cpu_threads;
  hl_compile_policy policy;
  void *runtime;                       /* owned by runtime/: open devices; freed by runtime_free */
  void (*runtime_free)(hl_context *);
  void *codegen;                       /* owned by plan/: the loaded compiler library */
  void (*codegen_free)(hl_context *);
  void *store;                         /* owned by plan/: the open cache and what its keys are made of */
  void (*store_free)(hl_context *);
  char *cache_dir;                     /* as in the options; NULL: the default folder */
  void *background;                    /* owned by plan/: threads that compile */
  void (*background_free)(hl_context *);
  hli_lock lock;                       /* guards the four slots above */
};
void hli_log(const hl_context *ctx, hl_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void hli_context_lock(hl_context *ctx);
void hli_context_unlock(hl_context *ctx);

/* compare: HL_EQ .. HL_GE of hl/ops.h */
static inline bool hli_sizes_compare(int compare, int64_t a, int64_t b) {
  switch (compare) {
  case HL_EQ: return a == b;
  case HL_NE: return a != b;
  case HL_LT: return a < b;
  case HL_LE: return a <= b;
  case HL_GT: return a > b;
  default: return a >= b;
  }
}

/* ---- sizes that follow from others (size.c) -----------------------------------------
 * An expression is a list of terms in postfix order; plain data. */
typedef enum hli_size_kind { HLI_SIZE_CONST, HLI_SIZE_DIM, HLI_SIZE_SCALAR, HLI_SIZE_BINARY } hli_size_kind;
typedef struct hli_size_term {
  int64_t value; /* the constant; which dimension or parameter; hl_binary_op */
  uint8_t kind;  /* hli_size_kind */
} hli_size_term;
typedef struct hli_size_rule {
  uint32_t dim, first, count; /* dimension `dim` is what terms first .. say */
} hli_size_rule;
#define HLI_SIZE_TERMS 64u /* of an expression */
#define HLI_SIZE_OP_LIST(X)                                                                                            \
  X(ADD, add) X(SUB, sub) X(MUL, mul) X(FLOORDIV, floordiv) X(TRUNCDIV, truncdiv) X(REM, rem) X(MIN, min) X(MAX, max)
const char *hli_size_op_text(int64_t op); /* "add" of HL_ADD; NULL: not an op of sizes */
/* Is it a whole expression, of dimensions 1 .. dims - 1 and parameters 0 .. params - 1? */
bool hli_size_sound(const hli_size_term *t, uint32_t n, uint32_t dims, uint32_t params);
typedef struct hli_size_env {
  const int64_t *dims;    /* -1: unknown */
  const int64_t *scalars; /* by parameter */
  uint64_t known;         /* bit p: scalars[p] */
} hli_size_env;
typedef enum hli_size_state {
  HLI_SIZE_OK, HLI_SIZE_UNKNOWN, HLI_SIZE_BY_ZERO, HLI_SIZE_NEGATIVE, HLI_SIZE_TOO_LARGE, HLI_SIZE_DIFFERS
} hli_size_state;
hli_size_state hli_size_eval(const hli_size_term *t, uint32_t n, const hli_size_env *env, int64_t *out);
const char *hli_size_trouble(hli_size_state s); /* "divides by 0" */
/* Fills in the dimensions that rules give (dims is env->dims) and compares those that are known; rules use dimensions of
 * earlier ones.  Where it is not OK, `which` rule, and what it wants. */
hli_size_state hli_sizes_follow(const hli_size_rule *rules, uint32_t count, const hli_size_term *terms,
                                const hli_size_env *env, int64_t *dims, uint32_t *which, int64_t *want);
/* Writes add(N, 1): calls put with a leaf, or with text. */
typedef void (*hli_size_put)(void *ctx, const hli_size_term *leaf, const char *text);
void hli_size_write(const hli_size_term *t, uint32_t n, hli_size_put put, void *ctx);

/* ---- structs that know their size ---------------------------------------------------------------
 * Public options and infos begin with their size, so that a program and a library of different ages understand
 * each other (struct.c).  Taking: `to` holds its INIT values and keeps those of members that the caller's version does
 * not have.  Giving: the caller's version is filled, its size stays.  False: the caller did not set the size. */
bool hli_struct_take(void *to, size_t size, const void *given);
bool hli_struct_give(void *to, const void *full, size_t size);

#endif
