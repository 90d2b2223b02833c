/* builder_packed.c: two integers of 4 bits in a byte, made of loads of bytes and shifts.  The number at the even
 * position is the low half.
 *
 *   load_int4 x[i, q]    ->    %v = load x[i, q >> 1];  where(q & 1, %v >> 4, (%v << 4) >> 4) */
#include "src/ir/builder.h"

/* The bytes as i8 or u8, whose shifts to the right fill in the sign or zeros. */
static hl_value as_bytes(hl_builder *b, hl_value v, bool is_signed, const char *what) {
  if (!hli_builder_is_value(b, v, what))
    return HL_POISON;
  const hl_dtype d = hli_dtype_of(b->k, v);
  if (d != HL_I8 && d != HL_U8)
    return hli_builder_complain(b, "%s: two integers of 4 bits lie in an i8 or u8, not in %s", what, hl_dtype_text(d));
  return hli_builder_cast(b, v, is_signed ? HL_I8 : HL_U8);
}

static void halves(hl_builder *b, hl_value bytes, hl_value out[2]) {
  const hl_value four = (hl_const_i)(b, 4);
  out[0] = (hl_binary)(b, HL_SHR, (hl_binary)(b, HL_SHL, bytes, four), four);
  out[1] = (hl_binary)(b, HL_SHR, bytes, four);
}

void(hl_unpack_int4)(hl_builder *b, hl_value bytes, bool is_signed, hl_value out[2]) {
  out[0] = out[1] = HL_POISON;
  const hl_value v = b ? as_bytes(b, bytes, is_signed, "unpack_int4") : HL_POISON;
  if (v)
    halves(b, v, out);
}

hl_value(hl_pack_int4)(hl_builder *b, hl_value low, hl_value high) {
  const hl_value in[2] = {low, high};
  hl_value half[2];
  for (uint32_t i = 0; i < 2; i++) {
    if (!b || !hli_builder_is_value(b, in[i], "pack_int4"))
      return HL_POISON;
    const hl_dtype d = hli_dtype_of(b->k, in[i]);
    if (!strchr("iu", hli_dtype_kind(d)))
      return hli_builder_complain(b, "pack_int4: operand %u is %s: it must be of integers", i + 1, hl_dtype_text(d));
    half[i] = hli_builder_cast(b, in[i], HL_U8);
  }
  half[0] = (hl_binary)(b, HL_AND, half[0], (hl_const_i)(b, 15));
  half[1] = (hl_binary)(b, HL_SHL, half[1], (hl_const_i)(b, 4));
  return (hl_binary)(b, HL_OR, half[0], half[1]);
}

hl_value(hl_load_int4)(hl_builder *b, hl_value tensor, const hl_value *index, uint32_t n, bool is_signed) {
  hl_value at[2 * HL_MAX_RANK], out[2];
  if (!b || !hli_builder_ok(b, tensor))
    return HL_POISON;
  if (!index || n < 1 || n > HLI_COUNT(at) || index[n - 1] == HL_ALL || index[n - 1] == HL_NEW)
    return hli_builder_complain(b, "load_int4: the last index counts integers: give a tile, an integer scalar or tile "
                                   "value, or hl_arange");
  for (uint32_t i = 0; i < n; i++)
    at[i] = index[i];
  hl_value position = at[n - 1];
  if (!hli_builder_ok(b, position))
    return HL_POISON;
  if (hli_type_of(b->k, position)->kind == HLI_TYPE_TILE)
    position = (hl_tile_index)(b, position);
  at[n - 1] = (hl_binary)(b, HL_SHR, position, (hl_const_i)(b, 1));
  const hl_value odd = (hl_binary)(b, HL_NE, (hl_binary)(b, HL_AND, position, (hl_const_i)(b, 1)), (hl_const_i)(b, 0));
  const hl_value loaded = odd ? (hl_load)(b, tensor, at, n) : HL_POISON;
  const hl_value bytes = loaded ? as_bytes(b, loaded, is_signed, "load_int4") : HL_POISON;
  if (!bytes)
    return HL_POISON;
  halves(b, bytes, out);
  return (hl_where)(b, odd, out[1], out[0]);
}
