#!/bin/sh
# readme.sh SOURCE BUILD CC FLAGS: the C program in README.md compiles, against libhl as it is installed and
# through pkg-config, and prints what the README says.
source=$1 build=$2 cc=$3 flags=${4:-}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
set -eu
awk '/^```c$/ { on = 1; next } /^```/ { on = 0 } on' "$source/README.md" >"$tmp/softmax.c"
grep -q hl_tile_begin "$tmp/softmax.c" || { echo "README.md has no kernel"; exit 1; }
lines=$(awk '/^static hl_kernel \*softmax/ { on = 1 } on { n++ } on && /^}/ { print n; exit }' "$source/README.md")
[ "$lines" -le 15 ] || { echo "the README's softmax has $lines lines, not 15"; exit 1; }
cmake --install "$build" --prefix "$tmp/prefix" >"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
PKG_CONFIG_PATH=$(dirname "$(find "$tmp/prefix" -name hl.pc)")
export PKG_CONFIG_PATH
$cc $flags -std=c11 -Wall -Werror -o "$tmp/softmax" "$tmp/softmax.c" $(pkg-config --cflags --libs hl) -lm
LD_LIBRARY_PATH=$(pkg-config --variable=libdir hl) "$tmp/softmax" | tee "$tmp/out"
want=$(awk '/^```text$/ { on = 1; next } /^```/ { on = 0 } on' "$source/README.md" | head -n 1)
[ "$(cat "$tmp/out")" = "$want" ] || { echo "README.md says '$want'"; exit 1; }
