#!/bin/sh
# globals.sh OBJECT-LIST ALLOWED: the objects named in the list hold no
# writable data, but for the two exceptions in ALLOWED.
set -eu
allowed=$(grep -v '^#' "$2" | grep . || true)
if [ "$(printf '%s\n' "$allowed" | grep -c . || true)" -gt 2 ]; then
    echo "$2: more than the two documented exceptions"
    exit 1
fi
bad=$(grep . "$1" | while read -r object; do
    objdump -t "$object" | awk -v object="${object##*/}" -v allowed="$allowed" '
        BEGIN { n = split(allowed, a, "\n"); for (i = 1; i <= n; i++) ok[a[i]] = 1 }
        !/[ \t](\.data|\.bss|\.tdata|\.tbss|\*COM\*)/ || /[ \t]\.data\.rel\.ro/ { next }
        { name = $NF; sub(/\.[0-9]+$/, "", name) }
        name ~ /^(\.|__odr_asan|DW\.ref\.|_ZN4llvm|_ZStL8__ioinit)/ || name in ok { next }
        { print object ": writable global " name }'
done)
if [ -n "$bad" ]; then
    printf '%s\n' "$bad"
    exit 1
fi
echo "globals: ok, $(grep -c . "$1") objects"
