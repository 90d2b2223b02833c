/* store.h: what outlives a process: tuning results and compiled code, kept in one folder.
 *
 * The folder is HL_CACHE_DIR, else $XDG_CACHE_HOME/hl, else ~/.cache/hl:
 *
 *   records.mdb            LMDB; one checksummed record per key, tuning and code apart
 *   code/<key>.so          large objects; the record holds size and digest
 *   flight/<key>           locked while somebody makes what the key names
 *   sound                  which file of records was found sound, so that it need not be walked again
 *   swept                  its time says when leftovers of killed processes were last removed
 *   records.mdb.damaged-N  set aside: a file that failed the check
 *
 * A store never fails its caller.  hli_store_open says in words why there is none and
 * leaves NULL, which every function takes: an empty store that forgets what is put
 * into it.  Later trouble makes single calls answer "not there" or "not kept"; the first
 * reason goes to the context's log, once per store.
 *
 * Locking is flock on the folder: shared while reading, exclusive while writing or
 * checking, always with a deadline.  LMDB's own locks are off (MDB_NOLOCK), and with them
 * the reader table, its process ids (which mean nothing in another container), the
 * mutexes in shared memory and the rule that one process may open a file only once: two
 * contexts in a process are like two processes, and no registry of open stores is needed.
 * The kernel releases the lock of a process that dies.  A stopped one costs others the
 * deadline, never a hang.
 *
 * LMDB trusts its file.  So the file is checked page by page (check.h) before the first
 * transaction, unless it is known to be unchanged since that was done, and again when it was replaced or cut since.  What remains: a
 * file that is damaged in place by somebody else while it is open.
 *
 * Threads: a store may be used from many.  Fork: a child may go on using it. */
#ifndef HLI_STORE_H
#define HLI_STORE_H

#include "src/base/base.h"

typedef struct hli_store hli_store;

typedef enum hli_store_kind { HLI_STORE_TUNING, HLI_STORE_CODE, HLI_STORE_KINDS } hli_store_kind;

/* What tests replace; NULL members mean the system's own. */
typedef struct hli_store_seams {
  uint64_t (*fs_type)(int fd); /* f_type of statfs */
  uint32_t (*uid)(void);       /* of the process */
} hli_store_seams;

typedef struct hli_store_options {
  uint64_t record_bytes; /* limit; beyond it the oldest records go.  0: 64 MiB */
  uint64_t file_bytes;   /* the same for the objects beside the records.  0: 1 GiB */
  uint32_t wait_ms;      /* deadline for the folder's lock.  0: 5000 */
  bool read_only;        /* never write, even where it is possible */
  const hli_store_seams *seams;
} hli_store_options;

/* Opens the store in `path` (NULL: the default folder, see above), creating it where
 * needed.  A folder that cannot be written gives a store that only reads.  Refused in
 * words: a folder of another user (root's is allowed), one that others may write,
 * one on a network file system, one that cannot be made.  `options` may be NULL. */
hl_status hli_store_open(hl_context *ctx, const char *path, const hli_store_options *options, hl_diag *diag,
                         hli_store **out);
void hli_store_close(hli_store *store);
const char *hli_store_path(const hli_store *store); /* "" for NULL */
bool hli_store_writable(const hli_store *store);

/* A record; the strings lie in `bytes`, which the caller releases. */
typedef struct hli_store_record {
  hl_blob *bytes;
  hl_str provenance; /* JSON: who made it, from what */
  hl_str payload;
  hl_str content; /* hli_store_file_get: of the file */
} hli_store_record;
void hli_store_record_release(hli_store_record *record);

/* Each is true if it found, kept or dropped something.  A put replaces. */
bool hli_store_get(hli_store *store, hli_store_kind kind, hli_digest key, hli_store_record *out);
bool hli_store_put(hli_store *store, hli_store_kind kind, hli_digest key, hl_str provenance, hl_str payload);
bool hli_store_drop(hli_store *store, hli_store_kind kind, hli_digest key);
/* A put survives the process at once; the disk has it some seconds later, when the kernel writes it.  Returns when the
 * disk has everything that was put so far (milliseconds).  hli_store_close does so after tuning records, which have cost
 * more than they weigh; code is only made again. */
bool hli_store_sync(hli_store *store);

/* Objects beside the records; their keys are of kind HLI_STORE_CODE.  The content is checked against size and
 * digest in the record; a file that does not fit is removed together with its record.  hli_store_get on such a
 * key gives the record without the content; hli_store_file_get on one without a file the same. */
bool hli_store_file_get(hli_store *store, hli_digest key, hli_store_record *out);
bool hli_store_file_put(hli_store *store, hli_digest key, hl_str provenance, hl_str payload, hl_str content);
/* Where the object of a key lies, or would lie; false if that is longer than `size`. */
bool hli_store_file_path(const hli_store *store, hli_digest key, char *out, size_t size);

/* Calls `visit` with every record of a kind, in no useful order, until it returns false.
 * `file_bytes` is 0 for a record without a file.  The strings are gone after the call; the
 * store must not be used inside it.  Returns how many were visited. */
typedef bool (*hli_store_visit)(void *user, hli_digest key, hl_str provenance, hl_str payload, uint64_t file_bytes);
uint64_t hli_store_list(hli_store *store, hli_store_kind kind, hli_store_visit visit, void *user);

/* Single flight: of all who want to make what `key` names, one at a time gets past begin.
 * Whoever does looks into the store again, and makes and puts it only if it is
 * still not there.  Waits for at most `wait_ms`; after that, or where no lock can be
 * had, the flight is not `alone` and the caller goes on regardless: work is done twice, never not
 * at all.  Always pair begin with end.  The kernel frees the key of a process that dies. */
typedef struct hli_store_flight {
  int fd; /* < 0: no lock */
  bool alone;
  bool waited; /* somebody else was at it: the store may have it now */
  char name[48];
} hli_store_flight;
void hli_store_single_flight_begin(hli_store *store, hli_store_kind kind, hli_digest key, uint32_t wait_ms,
                                   hli_store_flight *out);
void hli_store_single_flight_end(hli_store *store, hli_store_flight *flight);

#endif
