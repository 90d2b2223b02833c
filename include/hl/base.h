/* libhl: tile kernels from C.  SPDX-License-Identifier: MIT
 *
 * base.h: what every other public header builds on: strings, status codes,
 * diagnostics, data types, tensors and the context.
 *
 * Conventions of the whole API
 *   - A function that can fail returns hl_status; the out parameter comes last
 *     (before it, an optional hl_diag *) and is left NULL/0 on failure.
 *   - hl_<noun>_create / hl_<noun>_destroy are pairs; destroy(NULL) is a no-op.
 *   - The library never aborts, exits, prints or installs signal handlers.
 *   - Thread rules: contexts, devices and plans may be used from many threads;
 *     builders and configurations belong to one thread at a time.
 * What holds for all functions
 *   - Errors: hl_status and words in hl_diag, which may be NULL.  HL_ERR_MEMORY is possible wherever something is made.
 *   - Threads: any thread may call them; objects of other threads as said above.
 *   - Memory: pointers that come in are borrowed for the call unless a comment says longer; what _create, an out
 *     parameter or hl_blob gives out is the caller's to destroy.
 *   - Since: 0.1, all of them.
 */
#ifndef HL_BASE_H
#define HL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define HL_API __attribute__((visibility("default")))
#else
#define HL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define HL_VERSION_MAJOR 0
#define HL_VERSION_MINOR 1
#define HL_VERSION_PATCH 0
#define HL_MAX_RANK 8   /* of a tensor and of a tile value */

/* ---- strings ------------------------------------------------------------ */

/* A borrowed run of bytes, not necessarily NUL-terminated. */
typedef struct hl_str {
  const char *ptr;
  size_t len;
} hl_str;

/* ---- status ------------------------------------------------------------- */

#define HL_STATUS_LIST(X)                                                              \
  X(HL_OK, 0, "ok")                                                                    \
  X(HL_ERR_ARG, 1, "invalid argument")           /* misuse of a C function */          \
  X(HL_ERR_MEMORY, 2, "out of memory")                                                 \
  X(HL_ERR_BUILD, 3, "invalid kernel")           /* builder or verifier complaint */   \
  X(HL_ERR_PARSE, 4, "malformed text")                                                 \
  X(HL_ERR_CONFIG, 5, "invalid configuration")                                         \
  X(HL_ERR_LIMIT, 6, "limit exceeded")           /* of the target or of the library */ \
  X(HL_ERR_UNSUPPORTED, 7, "not supported")                                            \
  X(HL_ERR_COMPILE, 8, "compilation failed")                                           \
  X(HL_ERR_GUARD, 9, "arguments do not fit the plan")                                  \
  X(HL_ERR_NO_DRIVER, 10, "no driver")                                                 \
  X(HL_ERR_NO_DEVICE, 11, "no device")                                                 \
  X(HL_ERR_DRIVER, 12, "driver error")                                                 \
  X(HL_ERR_IO, 13, "input or output failed")                                           \
  X(HL_ERR_BUSY, 14, "busy")                     /* e.g. the stream is capturing */    \
  X(HL_ERR_FORBIDDEN, 15, "forbidden by policy")                                       \
  X(HL_ERR_INTERNAL, 16, "internal error")       /* a defect of libhl: report it */

typedef enum hl_status {
#define HL_STATUS_ENUM(name, value, text) name = value,
  HL_STATUS_LIST(HL_STATUS_ENUM)
#undef HL_STATUS_ENUM
} hl_status;

/* A short constant text for a status; never NULL. */
HL_API const char *hl_status_text(hl_status status);

/* ---- diagnostics -------------------------------------------------------- */

#define HL_DIAG_TEXT 1024

/* Details of one failure, owned by the caller.  Functions write it only on
 * failure.  `message` names the thing, the values and the way out and is always
 * NUL-terminated; `file` is the user's source or text file, "" if unknown. */
typedef struct hl_diag {
  hl_status status;
  int32_t vendor_code; /* the driver's own code if the failure came from a driver, else 0 */
  uint32_t line;       /* 1-based; 0 if unknown */
  uint32_t column;     /* 1-based; 0 if unknown */
  char file[256];
  char message[HL_DIAG_TEXT];
} hl_diag;

/* "file:line:column: message" with as much of the place as is known, cut to `size` and NUL-terminated.  Returns the
 * length of the whole. */
HL_API size_t hl_diag_text(const hl_diag *diag, char *out, size_t size);

/* ---- data types --------------------------------------------------------- */

/* name, text, bits, kind (b bool, i signed, u unsigned, f float), DLPack code */
#define HL_DTYPE_LIST(X)         \
  X(HL_BOOL, "bool", 8, 'b', 6)  \
  X(HL_I8, "i8", 8, 'i', 0)      \
  X(HL_I16, "i16", 16, 'i', 0)   \
  X(HL_I32, "i32", 32, 'i', 0)   \
  X(HL_I64, "i64", 64, 'i', 0)   \
  X(HL_U8, "u8", 8, 'u', 1)      \
  X(HL_U16, "u16", 16, 'u', 1)   \
  X(HL_U32, "u32", 32, 'u', 1)   \
  X(HL_U64, "u64", 64, 'u', 1)   \
  X(HL_F16, "f16", 16, 'f', 2)   \
  X(HL_BF16, "bf16", 16, 'f', 4) \
  X(HL_F32, "f32", 32, 'f', 2)   \
  X(HL_F64, "f64", 64, 'f', 2)   \
  X(HL_F8E4M3, "f8e4m3", 8, 'f', 10)         /* no infinity; +-448 */       \
  X(HL_F8E5M2, "f8e5m2", 8, 'f', 12)         /* as IEEE; +-57344 */         \
  X(HL_F8E4M3FNUZ, "f8e4m3fnuz", 8, 'f', 11) /* AMD's forms: no infinity */ \
  X(HL_F8E5M2FNUZ, "f8e5m2fnuz", 8, 'f', 13) /* and no -0 */                \
  X(HL_F8E8M0, "f8e8m0", 8, 'f', 14)         /* powers of two: scales */

typedef enum hl_dtype {
  HL_DTYPE_NONE = 0,
#define HL_DTYPE_ENUM(name, text, bits, kind, dl) name,
  HL_DTYPE_LIST(HL_DTYPE_ENUM)
#undef HL_DTYPE_ENUM
  HL_DTYPE_COUNT
} hl_dtype;

HL_API const char *hl_dtype_text(hl_dtype dtype);  /* "f32"; "none" if invalid */
HL_API uint32_t hl_dtype_size(hl_dtype dtype);     /* bytes of one element; 0 if invalid */
HL_API hl_dtype hl_dtype_parse(hl_str text);       /* HL_DTYPE_NONE if unknown */

/* ---- tensors: DLPack's memory layout -------------------------------------
 * hl_tensor is layout-compatible with DLTensor (DLPack 1.0), so a pointer to a
 * PyTorch, JAX, CuPy or NumPy tensor's DLTensor can be passed after a cast.
 * Shape and strides are in elements; strides == NULL means row-major.  The
 * arrays are borrowed for the duration of the call. */
typedef enum hl_device_type {
  HL_DEVICE_CPU = 1,
  HL_DEVICE_CUDA = 2,
  HL_DEVICE_HIP = 10,
  HL_DEVICE_NULL = 12 /* DLPack's "ext_dev": the null driver */
} hl_device_type;

typedef struct hl_device_id {
  int32_t type; /* hl_device_type */
  int32_t index;
} hl_device_id;

typedef struct hl_dl_dtype {
  uint8_t code; /* DLPack type code */
  uint8_t bits;
  uint16_t lanes;
} hl_dl_dtype;

typedef struct hl_tensor {
  void *data;
  hl_device_id device;
  int32_t ndim;
  hl_dl_dtype dtype;
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
} hl_tensor;

/* DLPack's description of a dtype, with one lane; all 0 for HL_DTYPE_NONE. */
HL_API hl_dl_dtype hl_dtype_to_dl(hl_dtype dtype);
HL_API hl_dtype hl_dtype_from_dl(hl_dl_dtype dl); /* HL_DTYPE_NONE if unknown */

/* ---- context ------------------------------------------------------------- */

/* Allocation hooks.  `size` is in bytes; alloc returns memory aligned to `align`
 * (a power of two <= 64) or NULL; release gets what alloc returned.  Both may be
 * called from any thread. */
typedef struct hl_allocator {
  void *(*alloc)(void *user, size_t size, size_t align);
  void (*release)(void *user, void *ptr, size_t size);
  void *user;
} hl_allocator;

typedef enum hl_log_level { HL_LOG_ERROR, HL_LOG_WARN, HL_LOG_INFO, HL_LOG_DEBUG } hl_log_level;
typedef void (*hl_log_fn)(void *user, hl_log_level level, hl_str text);

/* Runs job(job_user, begin, end) over disjoint pieces that together cover
 * [0, count) and returns when all are done: plug a host's own job system in.  Pieces
 * should be multiples of `grain`.  With this hook libhl starts no thread: a CPU launch
 * runs in the launching thread, through the hook, before it returns.  The hook must not
 * wait for a stream that the launch is on. */
typedef void (*hl_job_fn)(void *job_user, int64_t begin, int64_t end);
typedef void (*hl_parallel_for_fn)(void *user, int64_t count, int64_t grain, hl_job_fn job,
                                   void *job_user);

/* What happens when a plan needs the compiler, because its kernel is not in the cache: nothing special;
 * a line in the log; HL_ERR_FORBIDDEN.  hl_compile is treated alike. */
typedef enum hl_compile_policy { HL_COMPILE_ALLOW, HL_COMPILE_WARN, HL_COMPILE_FORBID } hl_compile_policy;

typedef struct hl_context_options {
  size_t size;                     /* sizeof(hl_context_options) */
  hl_allocator allocator;          /* all NULL: malloc/free */
  hl_log_fn log;                   /* NULL: silent */
  void *log_user;
  hl_parallel_for_fn parallel_for; /* NULL: libhl's own pool */
  void *parallel_user;
  int32_t cpu_threads;             /* of the pool; 0: as many as the affinity mask allows */
  hl_compile_policy compile_policy;
  const char *cache_dir;           /* folder of the cache (cache.h), copied.  NULL: HL_CACHE_DIR, else
                                    * $XDG_CACHE_HOME/hl, else ~/.cache/hl.  "": no cache */
} hl_context_options;
#define HL_CONTEXT_OPTIONS_INIT {sizeof(hl_context_options), {0, 0, 0}, 0, 0, 0, 0, 0, HL_COMPILE_ALLOW, 0}

/* Everything else hangs off a context.  It must outlive what was made from it.
 * Creating one touches no device and starts no thread. */
typedef struct hl_context hl_context;

HL_API hl_status hl_context_create(const hl_context_options *options, /* NULL: defaults */
                                   hl_diag *diag, hl_context **out);
HL_API void hl_context_destroy(hl_context *ctx);

/* "0.1.0+<build id>": the string that ties libhl and its compiler library. */
HL_API const char *hl_version(void);
/* "22.1.0": the LLVM that libhl was built for. */
HL_API const char *hl_llvm_version(void);

/* A block of bytes owned by the library's caller: release with hl_blob_release. */
typedef struct hl_blob hl_blob;
HL_API const void *hl_blob_data(const hl_blob *blob); /* also NUL-terminated after the last byte */
HL_API size_t hl_blob_size(const hl_blob *blob);      /* bytes, without that NUL */
HL_API void hl_blob_release(hl_blob *blob);

#ifdef __cplusplus
}
#endif
#endif
