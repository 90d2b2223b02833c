/* internal.h: the store from inside.  SPDX-License-Identifier: MIT */
#ifndef HLI_STORE_INTERNAL_H
#define HLI_STORE_INTERNAL_H

#include "src/store/folder.h"
#include "src/store/mdb.h"
#include <pthread.h>
#include <stdatomic.h>

struct hli_store {
  hl_context *ctx;
  hli_store_options options;
  hli_folder folder;
  pthread_mutex_t lock; /* guards what follows, outside of the folder's lock */
  _Atomic int32_t pid;  /* the process that it works in; see own_process */
  _Atomic bool told;
  hl_diag *opening;             /* while it is being opened: where trouble goes instead of the log */
  _Atomic bool off;             /* given up; `told` has the reason */
  hli_mdb *mdb;                 /* NULL: not open yet, or nothing there to read */
  uint64_t device, inode, size; /* of the file behind mdb */
  bool swept;
  bool unsynced;                /* tuning records were put that the disk may not have */
  _Atomic uint32_t serial;      /* names of files written aside */
};

/* Takes both locks and has the records open and checked.  False, with nothing held: work without.
 * store->mdb may be NULL when only reading. */
bool hli_store_enter(hli_store *store, bool write);
void hli_store_leave(hli_store *store);

/* The first reason goes to the log, the rest is silence. */
void hli_store_trouble(hli_store *store, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* stamp.c, under the folder's lock: is the file open at `fd` unchanged since it was last found sound?  Remember that it
 * was just now. */
bool hli_stamp_fits(const hli_store *store, int fd);
void hli_stamp_write(const hli_store *store, int fd);

/* sweep.c: inside, for writing: removes what ended processes left. */
void hli_store_sweep(hli_store *store);

/* Something failed that should not have: the next use checks the file again. */
void hli_store_suspect(hli_store *store);

/* record.c: `aside` is a file in the code folder that becomes the key's own with the
 * record, NULL: none.  drop: only the record with this stamp, 0: any. */
typedef struct hli_record_put {
  hli_store_kind kind;
  hli_digest key;
  hl_str provenance, payload;
  uint64_t file_bytes;
  const char *aside;
} hli_record_put;
typedef struct hli_record_info {
  uint64_t stamp, file_bytes;
} hli_record_info;
bool hli_record_get(hli_store *store, hli_store_kind kind, hli_digest key, hli_store_record *out,
                    hli_record_info *info);
bool hli_record_put_new(hli_store *store, const hli_record_put *put);
bool hli_record_drop(hli_store *store, hli_store_kind kind, hli_digest key, uint64_t stamp);

/* file.c: names below the folder; out holds HLI_FILE_NAME bytes. */
#define HLI_FILE_NAME 96
void hli_file_name(hli_digest key, char *out);
void hli_file_remove(hli_store *store, hli_digest key);
/* What follows the file's digest in a record's payload. */
hl_str hli_file_payload(hl_str payload);

#endif
