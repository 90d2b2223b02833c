#!/bin/sh
# runtime.sh LIBHL-RT LIBHL-RT.A CC SOURCE SANITIZED: libhl-rt is small and needs little: at most 1 MB stripped, and of
# libraries only libc's and libffi; the archive has no names of others' programs: all begin with hl. A build with sanitizers says nothing about size: its sources are compiled anew without.
set -eu
library=$1 archive=$2 cc=$3 source=$4
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ -n "${5:-}" ]; then
    "$cc" -std=c11 -D_GNU_SOURCE= -DHL_BUILD=1 -O2 -fPIC -fvisibility=hidden -shared -I"$source" -I"$source/include" \
        -Wl,--as-needed -Wl,--no-undefined -Wl,--version-script="$source/cmake/hl-rt.map" -o "$tmp/rt.so" \
        "$source"/src/base/*.c "$source"/runtime/*.c -lffi -lpthread -ldl -lm
    library=$tmp/rt.so
fi
strip -o "$tmp/stripped.so" "$library"
size=$(wc -c <"$tmp/stripped.so")
[ "$size" -le 1000000 ] || { echo "libhl-rt is $size bytes, stripped; 1000000 are allowed"; exit 1; }
others=$(readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -Ev '^(libc|libm|libdl|libpthread|libffi|ld-linux-[a-z0-9-]*)\.so\.' || true)
[ -z "$others" ] || { echo "libhl-rt needs $others"; exit 1; }
foreign=$(nm -g --defined-only "$archive" 2>/dev/null | awk 'NF == 3 { print $3 }' | grep -v -e '^hl' -e '^__odr_asan' | head -n 5 || true)
[ -z "$foreign" ] || { echo "$archive has global names that do not begin with hl:" $foreign; exit 1; }
echo "runtime: ok, $size bytes"
