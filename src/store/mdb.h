/* mdb.h: the little of LMDB that the store uses.  Results are 0 or LMDB's own codes, which
 * hli_mdb_text turns into words.  SPDX-License-Identifier: MIT */
#ifndef HLI_STORE_MDB_H
#define HLI_STORE_MDB_H

#include "src/base/base.h"

typedef struct hli_mdb hli_mdb;
typedef struct hli_mdb_txn hli_mdb_txn; /* MDB_txn */

/* tuning and code come first: they are numbered as hli_store_kind is. */
typedef enum hli_mdb_table { HLI_MDB_TUNING, HLI_MDB_CODE, HLI_MDB_AGE, HLI_MDB_STATE, HLI_MDB_TABLES } hli_mdb_table;

/* Opens the file at `path`.  The caller holds the folder's lock: exclusive unless read_only. */
int hli_mdb_open(const char *path, size_t map_bytes, bool read_only, hli_mdb **out);
void hli_mdb_close(hli_mdb *m);
int hli_mdb_fd(const hli_mdb *m);
const char *hli_mdb_text(int code);
bool hli_mdb_is_full(int code);

int hli_mdb_begin(hli_mdb *m, bool write, hli_mdb_txn **out);
int hli_mdb_commit(hli_mdb_txn *txn);
int hli_mdb_sync(hli_mdb *m); /* until the disk has everything committed so far; a commit does not wait for that */
void hli_mdb_abort(hli_mdb_txn *txn); /* NULL: nothing */

/* Found bytes lie in the map: they are gone with the transaction.  *data is NULL if there is no such key. */
int hli_mdb_get(hli_mdb *m, hli_mdb_txn *txn, hli_mdb_table table, hl_str key, hl_str *data);
int hli_mdb_put(hli_mdb *m, hli_mdb_txn *txn, hli_mdb_table table, hl_str key, hl_str data);
int hli_mdb_del(hli_mdb *m, hli_mdb_txn *txn, hli_mdb_table table, hl_str key); /* of none: 0 */
/* The record with the smallest key; key->ptr is NULL if there is none. */
int hli_mdb_first(hli_mdb *m, hli_mdb_txn *txn, hli_mdb_table table, hl_str *key, hl_str *data);
typedef bool (*hli_mdb_visit)(void *user, hl_str key, hl_str data);
int hli_mdb_each(hli_mdb *m, hli_mdb_txn *txn, hli_mdb_table table, hli_mdb_visit visit, void *user);

#endif
