/* dtype.c: facts about data types, all from HL_DTYPE_LIST.  SPDX-License-Identifier: MIT */
#include "src/base/base.h"

typedef struct dtype_row {
  const char *text;
  uint8_t bits;
  uint8_t dl_code;
  char kind;
} dtype_row;

static const dtype_row rows[HL_DTYPE_COUNT] = {{"none", 0, 0, 0},
#define DTYPE_ROW(name, text, bits, kind, dl) {text, bits, dl, kind},
                                               HL_DTYPE_LIST(DTYPE_ROW)
#undef DTYPE_ROW
};

static const dtype_row *row_of(hl_dtype dtype) {
  return &rows[(unsigned)dtype < HL_DTYPE_COUNT ? dtype : HL_DTYPE_NONE];
}

const char *hl_dtype_text(hl_dtype dtype) {
  return row_of(dtype)->text;
}

uint32_t hl_dtype_size(hl_dtype dtype) {
  return row_of(dtype)->bits / 8u;
}

char hli_dtype_kind(hl_dtype dtype) {
  return row_of(dtype)->kind;
}

bool hli_dtype_is_narrow(hl_dtype dtype) {
  return row_of(dtype)->kind == 'f' && row_of(dtype)->bits <= 16;
}

hl_dtype hl_dtype_parse(hl_str text) {
  for (int i = 1; i < HL_DTYPE_COUNT; i++)
    if (hli_str_eqz(text, rows[i].text))
      return (hl_dtype)i;
  return HL_DTYPE_NONE;
}

hl_dl_dtype hl_dtype_to_dl(hl_dtype dtype) {
  const dtype_row *row = row_of(dtype);
  return (hl_dl_dtype){row->dl_code, row->bits, row->bits ? 1 : 0};
}

hl_dtype hl_dtype_from_dl(hl_dl_dtype dl) {
  if (dl.lanes != 1)
    return HL_DTYPE_NONE;
  for (int i = 1; i < HL_DTYPE_COUNT; i++)
    if (rows[i].dl_code == dl.code && rows[i].bits == dl.bits)
      return (hl_dtype)i;
  return HL_DTYPE_NONE;
}
