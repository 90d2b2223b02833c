#!/bin/sh
# two_llvms.sh LIBHL LIBHL-RT LIBHL-CODEGEN CC SOURCE FLAGS: libhl lives beside another LLVM in one process. What could
# make them meet is looked for in the symbols; then every libLLVM of this system, of another version or the same, is
# opened with global symbols before and after libhl's.
set -eu
hl=$1 rt=$2 codegen=$3 cc=$4 source=$5 flags=${6:-}
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for library in "$hl" "$rt"; do
    if nm -D "$library" | grep -E ' (LLVM|_ZN4llvm|_ZN3lld)'; then echo "$library has symbols of LLVM"; exit 1; fi
    if readelf -d "$library" | grep 'NEEDED.*libLLVM'; then echo "$library needs LLVM"; exit 1; fi
done
exported=$(nm -D --defined-only --format=posix "$codegen" | awk '$2 != "A" { sub(/@.*/, "", $1); print $1 }')
[ "$exported" = hli_codegen_entry ] || { echo "$codegen exports more than hli_codegen_entry: $exported"; exit 1; }
"$cc" $flags -std=c11 -I"$source/include" -o "$tmp/two" "$here/two_llvms.c" "$hl" -ldl -Wl,-rpath,"$(dirname "$hl")"
count=0
for other in $(ls /usr/lib/*/libLLVM*.so.* /usr/lib/libLLVM*.so.* /usr/lib/llvm-*/lib/libLLVM*.so.* 2>/dev/null |
    xargs -r -n 1 readlink -f | sort -u); do
    for order in first last; do
        "$tmp/two" "$other" $order || { echo "$other, $order: exit code $?"; exit 1; }
        count=$((count + 1))
    done
done
[ $count -gt 0 ] || { echo "no libLLVM*.so here: only symbols were looked at"; exit 77; }
echo "two_llvms: ok, $count runs"
