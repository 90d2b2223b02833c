/* folder.h: the folder a store lives in, and the few things that are done to its files.
 * All paths but the folder's own are relative to its descriptor, so that the folder that
 * was examined is the one that is used.  SPDX-License-Identifier: MIT */
#ifndef HLI_STORE_FOLDER_H
#define HLI_STORE_FOLDER_H

#include "src/store/store.h"

#define HLI_STORE_PATH  1024
#define HLI_STORE_DATA  "records.mdb"
#define HLI_STORE_CODE_ "code"
#define HLI_STORE_WAIT_ "flight"

typedef struct hli_folder {
  int fd;
  bool writable;
  char path[HLI_STORE_PATH];
} hli_folder;

hl_status hli_folder_open(const char *path, const hli_store_options *options, hl_diag *diag, hli_folder *out);
void hli_folder_close(hli_folder *f);

/* The folder's lock, waiting at most `wait_ms`; false if it stays taken. */
bool hli_folder_lock(const hli_folder *f, bool exclusive, uint32_t wait_ms);
void hli_folder_unlock(const hli_folder *f);

/* Waits for flock on any descriptor.  *waited: it was taken at first. */
bool hli_flock_wait(int fd, int how, uint32_t wait_ms, bool *waited);

/* NULL if a file of the folder may be trusted (regular, ours or root's, not writable by others), else why not. */
const char *hli_file_distrust(int fd, const hli_store_options *options);

/* Moves the records aside; `name` gets the new name. */
bool hli_folder_set_aside(const hli_folder *f, char *name, size_t size);

#endif
