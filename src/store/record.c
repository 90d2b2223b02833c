/* record.c: what a record looks like, and reading, writing, dropping and evicting them.
 *
 *   tuning, code   key (16 bytes)               -> head, provenance, payload
 *   age            stamp (8 bytes, big-endian)  -> kind, key, cost, file bytes
 *   state          "totals"                     -> next stamp, cost of all, bytes of all files
 *
 * The stamp counts puts, so that `age` lists records oldest first whatever clocks do.  The checksum
 * of a record covers kind, key and all of it: LMDB has none, and without
 * syncing or with a failing disk a sound tree may hold unsound bytes.
 * SPDX-License-Identifier: MIT */
#include "src/store/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define HEAD_MAGIC 0x31524C48u /* "HLR1": a new layout gets a new number and old records are not there */

typedef struct head {
  uint32_t magic, reserved;
  uint64_t stamp, file_bytes;
  uint32_t provenance, payload; /* lengths */
  hli_digest check;
} head;
_Static_assert(sizeof(head) == 48, "the form of records on disk");

typedef struct age {
  uint64_t kind;
  hli_digest key;
  uint64_t cost, file_bytes;
} age;

typedef struct totals {
  uint64_t stamp, cost, file_bytes, reserved;
  hli_digest check;
} totals;

/* One write transaction. */
typedef struct change {
  hli_store *store;
  hli_mdb_txn *txn;
  totals sum;
  uint64_t evicted;
  int code; /* LMDB's; sticky */
} change;

static const hl_str totals_key = {"totals", 6};

static hl_str bytes_of(const void *p, size_t n) {
  return (hl_str){p, n};
}

static hli_mdb_table table_of(hli_store_kind kind) {
  return kind == HLI_STORE_CODE ? HLI_MDB_CODE : HLI_MDB_TUNING;
}

static hl_str age_key(uint64_t stamp, uint8_t out[8]) {
  for (int i = 0; i < 8; i++)
    out[i] = (uint8_t)(stamp >> (56 - 8 * i));
  return bytes_of(out, 8);
}

/* Pages that a record takes, roughly: beyond half a page it has pages of its own. */
static uint64_t cost_of(size_t size) {
  return size > 2000 ? ((uint64_t)size + 4096 + 15) / 4096 * 4096 + 256 : (uint64_t)size * 3 / 2 + 256;
}

static hli_digest check_of(hli_store_kind kind, hli_digest key, const head *h, const char *rest, size_t size) {
  struct {
    uint64_t kind;
    hli_digest key;
    head h;
  } first = {(uint64_t)kind, key, *h};
  first.h.check = (hli_digest){0, 0};
  return hli_digest_bytes(rest, size, hli_digest_bytes(&first, sizeof first, (hli_digest){0, 0}));
}

static bool decode(hli_store_kind kind, hli_digest key, hl_str data, head *h) {
  if (data.len < sizeof *h)
    return false;
  memcpy(h, data.ptr, sizeof *h);
  const size_t size = data.len - sizeof *h;
  if (h->magic != HEAD_MAGIC || (uint64_t)h->provenance + h->payload != size)
    return false;
  const hli_digest c = check_of(kind, key, h, data.ptr + sizeof *h, size);
  return c.lo == h->check.lo && c.hi == h->check.hi;
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool copy_out(hli_store *store, const head *h, hl_str data, hli_store_record *out) {
  out->bytes = hli_blob_create(&store->ctx->alloc, data.ptr + sizeof *h, data.len - sizeof *h);
  if (!out->bytes)
    return false;
  const char *p = hl_blob_data(out->bytes);
  out->provenance = (hl_str){p, h->provenance};
  out->payload = (hl_str){p + h->provenance, h->payload};
  return true;
}

bool hli_record_get(hli_store *store, hli_store_kind kind, hli_digest key, hli_store_record *out,
                    hli_record_info *info) {
  hli_mdb_txn *txn;
  hl_str data = {NULL, 0};
  head h;
  *out = (hli_store_record){0};
  if (!hli_store_enter(store, false))
    return false;
  bool found = false;
  if (store->mdb) {
    int code = hli_mdb_begin(store->mdb, false, &txn);
    if (!code)
      code = hli_mdb_get(store->mdb, txn, table_of(kind), bytes_of(&key, sizeof key), &data);
    if (code) {
      hli_store_trouble(store, "reading failed: %s", hli_mdb_text(code));
      hli_store_suspect(store);
    } else if (data.ptr && !decode(kind, key, data, &h))
      hli_store_trouble(store, "a record does not fit its checksum and is ignored");
    else if (data.ptr)
      found = copy_out(store, &h, data, out);
    hli_mdb_abort(txn);
  }
  hli_store_leave(store);
  if (found)
    *info = (hli_record_info){h.stamp, h.file_bytes};
  return found;
}

bool hli_store_get(hli_store *store, hli_store_kind kind, hli_digest key, hli_store_record *out) {
  hli_record_info info;
  if (!hli_record_get(store, kind, key, out, &info))
    return false;
  if (info.file_bytes)
    out->payload = hli_file_payload(out->payload);
  return true;
}

void hli_store_record_release(hli_store_record *record) {
  hl_blob_release(record->bytes);
  *record = (hli_store_record){0};
}

typedef struct listing {
  hli_store_kind kind;
  hli_store_visit visit;
  void *user;
  uint64_t count;
} listing;

static bool list_one(void *user, hl_str key, hl_str data) {
  listing *l = user;
  hli_digest k;
  head h;
  if (key.len != sizeof k)
    return true;
  memcpy(&k, key.ptr, sizeof k);
  if (!decode(l->kind, k, data, &h))
    return true;
  const char *p = data.ptr + sizeof h;
  const hl_str payload = {p + h.provenance, h.payload};
  l->count++;
  return l->visit(l->user, k, (hl_str){p, h.provenance}, h.file_bytes ? hli_file_payload(payload) : payload,
                  h.file_bytes);
}

uint64_t hli_store_list(hli_store *store, hli_store_kind kind, hli_store_visit visit, void *user) {
  listing l = {.kind = kind, .visit = visit, .user = user};
  hli_mdb_txn *txn;
  if (!hli_store_enter(store, false))
    return 0;
  if (store->mdb && !hli_mdb_begin(store->mdb, false, &txn)) {
    (void)hli_mdb_each(store->mdb, txn, table_of(kind), list_one, &l);
    hli_mdb_abort(txn);
  }
  hli_store_leave(store);
  return l.count;
}

/* ---- totals -------------------------------------------------------------------------------- */

static hli_digest totals_check(const totals *t) {
  return hli_digest_bytes(t, offsetof(totals, check), (hli_digest){HEAD_MAGIC, 0});
}

static bool add_age(void *user, hl_str key, hl_str data) {
  totals *t = user;
  uint64_t stamp = 0;
  age a;
  if (key.len != 8 || data.len != sizeof a)
    return true;
  for (int i = 0; i < 8; i++)
    stamp = stamp << 8 | (uint8_t)key.ptr[i];
  memcpy(&a, data.ptr, sizeof a);
  t->stamp = HLI_MAX(t->stamp, stamp);
  t->cost += a.cost;
  t->file_bytes += a.file_bytes;
  return true;
}

/* A new store has none; unsound ones are counted again. */
static void load_totals(change *c) {
  hl_str data;
  c->code = hli_mdb_get(c->store->mdb, c->txn, HLI_MDB_STATE, totals_key, &data);
  if (c->code)
    return;
  if (data.ptr && data.len == sizeof c->sum) {
    memcpy(&c->sum, data.ptr, sizeof c->sum);
    const hli_digest d = totals_check(&c->sum);
    if (d.lo == c->sum.check.lo && d.hi == c->sum.check.hi)
      return;
  }
  c->sum = (totals){0};
  c->code = hli_mdb_each(c->store->mdb, c->txn, HLI_MDB_AGE, add_age, &c->sum);
}

static void save_totals(change *c) {
  c->sum.check = totals_check(&c->sum);
  if (!c->code)
    c->code = hli_mdb_put(c->store->mdb, c->txn, HLI_MDB_STATE, totals_key, bytes_of(&c->sum, sizeof c->sum));
}

static bool change_begin(hli_store *store, change *c) {
  *c = (change){.store = store};
  c->code = hli_mdb_begin(store->mdb, true, &c->txn);
  if (!c->code)
    load_totals(c);
  return !c->code;
}

static int change_end(change *c) {
  save_totals(c);
  if (!c->code)
    c->code = hli_mdb_commit(c->txn);
  else
    hli_mdb_abort(c->txn);
  c->txn = NULL;
  if (!c->code && c->evicted)
    hli_log(c->store->ctx, HL_LOG_INFO, "cache %s: full, the %llu oldest records were removed", c->store->folder.path,
            (unsigned long long)c->evicted);
  return c->code;
}

/* ---- removing ---------------------------------------------------------------------------------- */

static uint64_t minus(uint64_t a, uint64_t b) {
  return a > b ? a - b : 0;
}

/* Removes the age entry of `stamp` and, if it is still this one, its record and file.  A file goes before the commit:
 * a record without a file is found out, a file without a record never. */
static void remove_stamp(change *c, uint64_t stamp) {
  uint8_t raw[8];
  hl_str data;
  age a;
  head h;
  const hl_str at = age_key(stamp, raw);
  hli_mdb *m = c->store->mdb;
  c->code = hli_mdb_get(m, c->txn, HLI_MDB_AGE, at, &data);
  if (c->code || !data.ptr)
    return;
  const bool sound = data.len == sizeof a;
  if (sound)
    memcpy(&a, data.ptr, sizeof a);
  c->code = hli_mdb_del(m, c->txn, HLI_MDB_AGE, at);
  if (c->code || !sound || a.kind >= HLI_STORE_KINDS)
    return;
  c->sum.cost = minus(c->sum.cost, a.cost);
  c->sum.file_bytes = minus(c->sum.file_bytes, a.file_bytes);
  const hl_str key = bytes_of(&a.key, sizeof a.key);
  c->code = hli_mdb_get(m, c->txn, (hli_mdb_table)a.kind, key, &data);
  if (c->code || !data.ptr || data.len < sizeof h)
    return;
  memcpy(&h, data.ptr, sizeof h);
  if (h.stamp != stamp)
    return;
  if (a.file_bytes)
    hli_file_remove(c->store, a.key);
  c->code = hli_mdb_del(m, c->txn, (hli_mdb_table)a.kind, key);
}

static void evict_to(change *c, uint64_t cost, uint64_t file_bytes) {
  while (!c->code && (c->sum.cost > cost || c->sum.file_bytes > file_bytes)) {
    hl_str key, data;
    uint64_t stamp = 0;
    c->code = hli_mdb_first(c->store->mdb, c->txn, HLI_MDB_AGE, &key, &data);
    if (c->code)
      return;
    if (!key.ptr || key.len != 8) {
      c->sum.cost = c->sum.file_bytes = 0; /* there is nothing: the sums were wrong */
      return;
    }
    for (int i = 0; i < 8; i++)
      stamp = stamp << 8 | (uint8_t)key.ptr[i];
    remove_stamp(c, stamp);
    c->evicted++;
  }
}

/* Room for one more; an eighth at a time, so that not every later put evicts. */
static void make_room(change *c, uint64_t cost, uint64_t file_bytes) {
  const hli_store_options *o = &c->store->options;
  if (c->sum.cost + cost > o->record_bytes || c->sum.file_bytes + file_bytes > o->file_bytes)
    evict_to(c, minus(o->record_bytes - o->record_bytes / 8, cost),
             minus(o->file_bytes - o->file_bytes / 8, file_bytes));
}

/* Removes what is there under a key.  An unsound record may name a wrong stamp: then its age entry stays
 * until its turn comes. */
static bool remove_key(change *c, hli_store_kind kind, hli_digest key, uint64_t only) {
  hl_str data;
  head h = {0};
  const hl_str k = bytes_of(&key, sizeof key);
  c->code = hli_mdb_get(c->store->mdb, c->txn, table_of(kind), k, &data);
  if (c->code || !data.ptr)
    return false;
  const bool sound = decode(kind, key, data, &h);
  if (only && (!sound || h.stamp != only))
    return false;
  if (sound)
    remove_stamp(c, h.stamp);
  if (!c->code)
    c->code = hli_mdb_del(c->store->mdb, c->txn, table_of(kind), k);
  return !c->code;
}

bool hli_record_drop(hli_store *store, hli_store_kind kind, hli_digest key, uint64_t stamp) {
  change c;
  if (!hli_store_enter(store, true))
    return false;
  bool dropped = change_begin(store, &c) && remove_key(&c, kind, key, stamp);
  if (change_end(&c)) {
    hli_store_trouble(store, "dropping a record failed: %s", hli_mdb_text(c.code));
    dropped = false;
  }
  hli_store_leave(store);
  return dropped;
}

bool hli_store_drop(hli_store *store, hli_store_kind kind, hli_digest key) {
  return hli_record_drop(store, kind, key, 0);
}

/* ---- writing -------------------------------------------------------------------------------------- */

static char *encode(const hli_store *store, const hli_record_put *p, size_t *size) {
  *size = sizeof(head) + p->provenance.len + p->payload.len;
  char *data = hli_alloc(&store->ctx->alloc, *size, 16);
  if (!data)
    return NULL;
  if (p->provenance.len)
    memcpy(data + sizeof(head), p->provenance.ptr, p->provenance.len);
  if (p->payload.len)
    memcpy(data + sizeof(head) + p->provenance.len, p->payload.ptr, p->payload.len);
  return data;
}

static void write_record(change *c, const hli_record_put *p, char *data, size_t size) {
  uint8_t raw[8];
  hli_mdb *m = c->store->mdb;
  const uint64_t cost = cost_of(size);
  (void)remove_key(c, p->kind, p->key, 0);
  if (!c->code)
    make_room(c, cost, p->file_bytes);
  head h = {.magic = HEAD_MAGIC,
            .stamp = ++c->sum.stamp,
            .file_bytes = p->file_bytes,
            .provenance = (uint32_t)p->provenance.len,
            .payload = (uint32_t)p->payload.len};
  h.check = check_of(p->kind, p->key, &h, data + sizeof h, size - sizeof h);
  memcpy(data, &h, sizeof h);
  const age a = {(uint64_t)p->kind, p->key, cost, p->file_bytes};
  if (!c->code)
    c->code = hli_mdb_put(m, c->txn, table_of(p->kind), bytes_of(&p->key, sizeof p->key), bytes_of(data, size));
  if (!c->code)
    c->code = hli_mdb_put(m, c->txn, HLI_MDB_AGE, age_key(h.stamp, raw), bytes_of(&a, sizeof a));
  c->sum.cost += cost;
  c->sum.file_bytes += p->file_bytes;
  char name[HLI_FILE_NAME];
  hli_file_name(p->key, name);
  if (!c->code && p->aside && renameat(c->store->folder.fd, p->aside, c->store->folder.fd, name) != 0)
    c->code = errno;
}

static int write_once(hli_store *store, const hli_record_put *p, char *data, size_t size) {
  change c;
  if (change_begin(store, &c))
    write_record(&c, p, data, size);
  return change_end(&c);
}

static void halve(hli_store *store) {
  change c;
  if (change_begin(store, &c))
    evict_to(&c, c.sum.cost / 2, UINT64_MAX);
  (void)change_end(&c);
}

bool hli_record_put_new(hli_store *store, const hli_record_put *p) {
  size_t size;
  if (!store)
    return false;
  const uint64_t limit = HLI_MIN(store->options.record_bytes / 4, UINT64_C(1) << 30);
  if (p->provenance.len > limit || p->payload.len > limit || p->file_bytes > store->options.file_bytes / 4) {
    hli_store_trouble(store, "a record of %zu bytes and a file of %llu are too large to be kept",
                      p->provenance.len + p->payload.len, (unsigned long long)p->file_bytes);
    return false;
  }
  char *data = encode(store, p, &size);
  if (!data || !hli_store_enter(store, true)) {
    hli_release(&store->ctx->alloc, data, size);
    return false;
  }
  hli_store_sweep(store);
  int code = write_once(store, p, data, size);
  if (hli_mdb_is_full(code)) { /* cost_of was too low, or the free pages lie badly */
    halve(store);
    code = write_once(store, p, data, size);
  }
  store->unsynced |= !code && p->kind == HLI_STORE_TUNING;
  if (code) {
    hli_store_trouble(store, "writing failed: %s", hli_mdb_text(code));
    hli_store_suspect(store);
  }
  hli_store_leave(store);
  hli_release(&store->ctx->alloc, data, size);
  return code == 0;
}

bool hli_store_sync(hli_store *store) {
  if (!hli_store_enter(store, true))
    return false;
  const int code = hli_mdb_sync(store->mdb);
  if (code)
    hli_store_trouble(store, "writing to the disk failed: %s", hli_mdb_text(code));
  else
    store->unsynced = false;
  hli_store_leave(store);
  return code == 0;
}

bool hli_store_put(hli_store *store, hli_store_kind kind, hli_digest key, hl_str provenance, hl_str payload) {
  return hli_record_put_new(store,
                            &(hli_record_put){.kind = kind, .key = key, .provenance = provenance, .payload = payload});
}
