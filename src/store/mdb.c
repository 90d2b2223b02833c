/* mdb.c: the only file that sees lmdb.h.
 *
 * MDB_NOLOCK: the store's own lock keeps writers alone, see store.h.  Not MDB_WRITEMAP: a
 * stray write of the program must not reach the file through the map.
 * SPDX-License-Identifier: MIT */
#include "src/store/mdb.h"
#include <errno.h>
#include <lmdb.h>

struct hli_mdb {
  MDB_env *env;
  bool have[HLI_MDB_TABLES]; /* a file that is only read may lack some */
  MDB_dbi table[HLI_MDB_TABLES];
};

static const char *const table_names[HLI_MDB_TABLES] = {"tuning", "code", "age", "state"};

const char *hli_mdb_text(int code) {
  return mdb_strerror(code);
}

bool hli_mdb_is_full(int code) {
  return code == MDB_MAP_FULL;
}

static MDB_txn *native(hli_mdb_txn *txn) {
  return (MDB_txn *)txn;
}

static MDB_val to_val(hl_str s) {
  return (MDB_val){.mv_size = s.len, .mv_data = (void *)(uintptr_t)s.ptr}; /* LMDB does not write there */
}

static hl_str from_val(MDB_val v) {
  return (hl_str){v.mv_data, v.mv_size};
}

static int open_tables(hli_mdb *m, bool create) {
  MDB_txn *txn;
  int code = mdb_txn_begin(m->env, NULL, create ? 0 : MDB_RDONLY, &txn);
  if (code)
    return code;
  for (uint32_t i = 0; i < HLI_MDB_TABLES && !code; i++) {
    code = mdb_dbi_open(txn, table_names[i], create ? MDB_CREATE : 0, &m->table[i]);
    m->have[i] = code == 0;
    if (code == MDB_NOTFOUND)
      code = 0;
  }
  if (!code)
    return mdb_txn_commit(txn); /* aborted, the handles would be lost */
  mdb_txn_abort(txn);
  return code;
}

int hli_mdb_open(const char *path, size_t map_bytes, bool read_only, hli_mdb **out) {
  *out = NULL;
  hli_mdb *m = hli_calloc(NULL, 1, sizeof *m);
  if (!m)
    return ENOMEM;
  const unsigned flags = MDB_NOSUBDIR | MDB_NOLOCK | MDB_NORDAHEAD | MDB_NOSYNC | (read_only ? MDB_RDONLY : 0u);
  int code = mdb_env_create(&m->env);
  if (!code)
    code = mdb_env_set_mapsize(m->env, map_bytes);
  if (!code)
    code = mdb_env_set_maxdbs(m->env, HLI_MDB_TABLES);
  if (!code)
    code = mdb_env_open(m->env, path, flags, 0600);
  if (!code)
    code = open_tables(m, false);
  for (uint32_t i = 0; i < HLI_MDB_TABLES && !code && !read_only; i++)
    if (!m->have[i]) {
      code = open_tables(m, true);
      break;
    }
  if (code)
    hli_mdb_close(m);
  else
    *out = m;
  return code;
}

void hli_mdb_close(hli_mdb *m) {
  if (!m)
    return;
  if (m->env)
    mdb_env_close(m->env);
  hli_release(NULL, m, sizeof *m);
}

int hli_mdb_fd(const hli_mdb *m) {
  mdb_filehandle_t fd;
  return mdb_env_get_fd(m->env, &fd) ? -1 : fd;
}

int hli_mdb_begin(hli_mdb *m, bool write, hli_mdb_txn **out) {
  MDB_txn *txn = NULL;
  const unsigned flags = write ? 0 : MDB_RDONLY;
  int code = mdb_txn_begin(m->env, NULL, flags, &txn);
  if (code == MDB_MAP_RESIZED) { /* a process with a larger limit was here */
    code = mdb_env_set_mapsize(m->env, 0);
    if (!code)
      code = mdb_txn_begin(m->env, NULL, flags, &txn);
  }
  *out = code ? NULL : (hli_mdb_txn *)txn;
  return code;
}

int hli_mdb_commit(hli_mdb_txn *txn) {
  return mdb_txn_commit(native(txn));
}

int hli_mdb_sync(hli_mdb *m) {
  return mdb_env_sync(m->env, 1);
}

void hli_mdb_abort(hli_mdb_txn *txn) {
  if (txn)
    mdb_txn_abort(native(txn));
}

int hli_mdb_get(hli_mdb *m, hli_mdb_txn *txn, hli_mdb_table table, hl_str key, hl_str *data) {
  MDB_val k = to_val(key), v;
  *data = (hl_str){NULL, 0};
  int code = m->have[table] ? mdb_get(native(txn), m->table[table], &k, &v) : MDB_NOTFOUND;
  if (!code)
    *data = from_val(v);
  return code == MDB_NOTFOUND ? 0 : code;
}

int hli_mdb_put(hli_mdb *m, hli_mdb_txn *txn, hli_mdb_table table, hl_str key, hl_str data) {
  MDB_val k = to_val(key), v = to_val(data);
  return mdb_put(native(txn), m->table[table], &k, &v, 0);
}

int hli_mdb_del(hli_mdb *m, hli_mdb_txn *txn, hli_mdb_table table, hl_str key) {
  MDB_val k = to_val(key);
  int code = mdb_del(native(txn), m->table[table], &k, NULL);
  return code == MDB_NOTFOUND ? 0 : code;
}

int hli_mdb_first(hli_mdb *m, hli_mdb_txn *txn, hli_mdb_table table, hl_str *key, hl_str *data) {
  MDB_cursor *cursor;
  MDB_val k, v;
  *key = *data = (hl_str){NULL, 0};
  if (!m->have[table])
    return 0;
  int code = mdb_cursor_open(native(txn), m->table[table], &cursor);
  if (code)
    return code;
  code = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
  if (!code)
    *key = from_val(k), *data = from_val(v);
  mdb_cursor_close(cursor);
  return code == MDB_NOTFOUND ? 0 : code;
}

int hli_mdb_each(hli_mdb *m, hli_mdb_txn *txn, hli_mdb_table table, hli_mdb_visit visit, void *user) {
  MDB_cursor *cursor;
  MDB_val k, v;
  if (!m->have[table])
    return 0;
  int code = mdb_cursor_open(native(txn), m->table[table], &cursor);
  if (code)
    return code;
  while (!(code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) && visit(user, from_val(k), from_val(v))) {
  }
  mdb_cursor_close(cursor);
  return code == MDB_NOTFOUND ? 0 : code;
}
