#!/bin/sh
# declared.sh LIBRARY INCLUDE-FOLDER: what the public headers mark HL_API is
# what the library exports.
set -eu
lint=$(CDPATH= cd -- "$(dirname -- "$0")/../lint" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
find "$2" -name '*.h' | xargs awk -f "$lint/strip.awk" /dev/null | sed 's/^[^:]*:[0-9]*://' |
    grep -v '^[[:space:]]*#' | tr '\n' ' ' | tr ';' '\n' | sed -n 's/.*HL_API \([^(]*\)(.*/\1/p' |
    sed 's/[^A-Za-z_0-9]*$//; s/.*[^A-Za-z_0-9]//' | LC_ALL=C sort -u >"$tmp/declared"
nm -D --defined-only --format=posix "$1" | awk '$2 == "T" { sub(/@.*/, "", $1); print $1 }' |
    LC_ALL=C sort -u >"$tmp/exported"
LC_ALL=C comm -23 "$tmp/declared" "$tmp/exported" | sed 's/$/: declared, not exported/' >"$tmp/bad"
LC_ALL=C comm -13 "$tmp/declared" "$tmp/exported" | sed 's/$/: exported, not declared HL_API/' >>"$tmp/bad"
if [ -s "$tmp/bad" ]; then
    cat "$tmp/bad"
    exit 1
fi
echo "declared: ok, $(wc -l <"$tmp/declared") functions"
