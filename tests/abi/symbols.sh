#!/bin/sh
# symbols.sh LIBRARY LIST: the library exports what LIST says, no more and no
# less. HL_BLESS=1 rewrites LIST.
set -eu
library=$1
list=$2
exported=$(nm -D --defined-only --format=posix "$library" | awk '$2 != "A" { sub(/@.*/, "", $1); print $1 }' |
    LC_ALL=C sort -u)
if [ "${HL_BLESS:-0}" = 1 ]; then
    printf '%s\n' "$exported" | grep . >"$list" || : >"$list"
fi
[ -f "$list" ] || { echo "no list $list; HL_BLESS=1 writes it"; exit 1; }
if ! printf '%s\n' "$exported" | grep . | diff -u "$list" - >"${TMPDIR:-/tmp}/symbols.$$"; then
    cat "${TMPDIR:-/tmp}/symbols.$$"
    rm -f "${TMPDIR:-/tmp}/symbols.$$"
    echo "$library exports other symbols than $list; if that is meant, run with HL_BLESS=1"
    exit 1
fi
rm -f "${TMPDIR:-/tmp}/symbols.$$"
echo "symbols: ok, $(grep -c . "$list" || true) exported"
