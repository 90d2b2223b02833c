/* libhl: cache.h: what outlives a process: compiled kernels, and configurations that tuning has found.
 * SPDX-License-Identifier: MIT
 *
 * hl_plan_create looks here before it compiles and puts here what it has compiled; nobody needs to call anything for
 * that.  These functions look at the cache, empty it, and carry configurations from one machine to another.
 *
 * The folder is hl_context_options.cache_dir.  Trouble with it (no space, another user's, a network file system,
 * damage) never fails a plan or a launch; the context works without, and says why once in its log.  The functions here
 * fail with HL_ERR_IO and the same words where there is no cache.
 *
 * Any thread may call them.
 *
 * Errors: HL_ERR_IO where there is no cache, HL_ERR_ARG for a key that names no record or several, HL_ERR_PARSE.
 * Threads: any.
 * Memory: strings of an entry belong to the list; lists and blobs are the caller's.
 * Since: 0.1. */
#ifndef HL_CACHE_H
#define HL_CACHE_H

#include "hl/config.h"
#include "hl/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hl_cache_kind {
  HL_CACHE_TUNING, /* a configuration: for a kernel, a class of sizes and a kind of device */
  HL_CACHE_CODE    /* machine code: for exact sizes, a configuration, one build of libhl and one processor */
} hl_cache_kind;

typedef struct hl_cache_info {
  size_t size;       /* sizeof(hl_cache_info), set by the caller */
  char path[1024];   /* the folder */
  bool writable;
  uint64_t tuning;   /* records of each kind */
  uint64_t code;
  uint64_t bytes;    /* of all records and files */
} hl_cache_info;
/* Fills *info, whose size the caller has set; opens the cache if nothing did yet. */
HL_API hl_status hl_cache_get_info(hl_context *ctx, hl_diag *diag, hl_cache_info *info);

/* ---- looking ------------------------------------------------------------------------- */

#define HL_CACHE_KEY 33 /* 32 hexadecimal digits and a NUL */

/* One record.  The strings belong to the list; those that a record does not have are "". */
typedef struct hl_cache_entry {
  size_t size; /* sizeof(hl_cache_entry), set by the caller */
  hl_cache_kind kind;
  char key[HL_CACHE_KEY];
  hl_str kernel;     /* its name */
  hl_str shape;      /* "M=100 N=1000" */
  hl_str config;     /* JSON */
  hl_str target;     /* "host" */
  hl_str device;     /* "AMD EPYC ..." */
  hl_str provenance; /* all that is known about it, as JSON */
  int64_t made;      /* seconds since 1970; 0: unknown */
  uint64_t bytes;    /* of record and file */
} hl_cache_entry;

/* What was there at the moment of the call, newest first.  Owned by the caller. */
typedef struct hl_cache_list hl_cache_list;
/* Reads what is there, newest first; HL_ERR_IO where there is no cache. */
HL_API hl_status hl_cache_list_create(hl_context *ctx, hl_diag *diag, hl_cache_list **out);
/* How many entries the list has. */
HL_API uint32_t hl_cache_list_count(const hl_cache_list *list);
/* HL_ERR_ARG past the end, or without out->size. */
HL_API hl_status hl_cache_list_entry(const hl_cache_list *list, uint32_t index, hl_cache_entry *out);
HL_API void hl_cache_list_destroy(hl_cache_list *list);

/* One record as JSON, over several lines.  `key`: its digits, or as many of the first as no other record has. */
HL_API hl_status hl_cache_show(hl_context *ctx, const char *key, hl_diag *diag, hl_blob **out);

/* ---- removing ------------------------------------------------------------------------- */

/* Removes one record and its file; `key` as above.  Loaded kernels go on working. */
HL_API hl_status hl_cache_drop(hl_context *ctx, const char *key, hl_diag *diag);
/* Removes all of a kind; *dropped (may be NULL) is how many that were. */
HL_API hl_status hl_cache_clear(hl_context *ctx, hl_cache_kind kind, hl_diag *diag, uint64_t *dropped);

/* ---- carrying ---------------------------------------------------------------------------- */

/* All configurations as JSON; with `code` also the machine code, which only the same build of libhl on the same kind
 * of machine will ever use. */
HL_API hl_status hl_cache_export(hl_context *ctx, bool code, hl_diag *diag, hl_blob **out);
/* Puts what such a text holds, replacing records with the same keys.  Machine code in it is ignored unless `code` is
 * true: it will be run, so say that only of a text that you trust like a program.  HL_ERR_PARSE names the place;
 * nothing was imported then.  *count (may be NULL): records that were put. */
HL_API hl_status hl_cache_import(hl_context *ctx, hl_str json, bool code, hl_diag *diag, uint64_t *count);

/* Remembers a configuration for a kernel at such sizes on such a device: plans without a configuration of their own
 * use it from then on.  `measured`: a JSON object that is kept with it ({"ms":0.12}), or {NULL, 0}. */
HL_API hl_status hl_cache_put_config(hl_device *dev, const hl_kernel *k, const hl_shape_binding *shape, uint32_t n,
                                     const hl_config *config, hl_str measured, hl_diag *diag);

/* Returns when the disk has everything that was put so far, which takes milliseconds.  Nothing needs it to be found
 * again by this or another process; only a crash of the system itself can lose or damage what the disk does not have
 * yet (the kernel writes it within seconds).  hl_context_destroy does the same after configurations were put.
 * HL_ERR_IO where there is no cache, or none that can be written. */
HL_API hl_status hl_cache_sync(hl_context *ctx, hl_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
