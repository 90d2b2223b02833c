#!/bin/sh
# cookbook.sh SOURCE BUILD CC FLAGS: every recipe of docs/cookbook.md that has C code compiles, against libhl as it is
# installed, with the shared lines in front, runs, and prints what the text below it says (a line may end in "..."); the
# files that recipes name exist.
source=$1 build=$2 cc=$3 flags=${4:-}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
set -eu
page=$source/docs/cookbook.md
cmake --install "$build" --prefix "$tmp/prefix" --component development >"$tmp/log" 2>&1 &&
    cmake --install "$build" --prefix "$tmp/prefix" --component runtime >>"$tmp/log" 2>&1 &&
    cmake --install "$build" --prefix "$tmp/prefix" --component compiler >>"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
PKG_CONFIG_PATH=$(dirname "$(find "$tmp/prefix" -name hl.pc)")
export PKG_CONFIG_PATH
LD_LIBRARY_PATH=$(pkg-config --variable=libdir hl)
HL_CACHE_DIR=$tmp/cache
export LD_LIBRARY_PATH HL_CACHE_DIR

# recipeN.c and recipeN.want
awk -v to="$tmp" '
    /^## [0-9]+\./ { n = $2 + 0 }
    /^```c prelude$/ { out = to "/prelude.h"; next }
    /^```c$/ { out = to "/recipe" n ".c"; next }
    /^```text$/ { out = to "/recipe" n ".want"; next }
    /^```/ { out = ""; next }
    out != "" { print > out }' "$page"
bad=0
recipes=0
n=0
while [ $n -lt 11 ]; do
    n=$((n + 1))
    grep -q "^## $n\. " "$page" || { echo "recipe $n is missing"; bad=1; }
    [ -f "$tmp/recipe$n.c" ] || continue
    recipes=$((recipes + 1))
    cat "$tmp/prelude.h" "$tmp/recipe$n.c" >"$tmp/all.c"
    if ! $cc $flags -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-function -o "$tmp/recipe$n" "$tmp/all.c" \
        $(pkg-config --cflags --libs hl) -lm 2>"$tmp/log"; then
        echo "recipe $n does not compile:"
        head -n 20 "$tmp/log"
        bad=1
    elif ! "$tmp/recipe$n" >"$tmp/got" 2>"$tmp/log"; then
        echo "recipe $n fails:"
        cat "$tmp/log"
        bad=1
    elif ! awk -v want="$tmp/recipe$n.want" '
        { sub(/[ \t]+$/, "") }
        (getline line <want) <= 0 { exit 1 }
        { sub(/[ \t]+$/, "", line) }
        line ~ /\.\.\.$/ { line = substr(line, 1, length(line) - 3); $0 = substr($0, 1, length(line)) }
        $0 != line { exit 1 }
        END { if ((getline line <want) > 0) exit 1 }' "$tmp/got"; then
        diff -u "$tmp/recipe$n.want" "$tmp/got" || true
        echo "recipe $n prints something else than the page says"
        bad=1
    fi
done
for file in $(grep -o '`[a-z]*/[a-z_/]*\.\(c\|h\|def\)`' "$page" | tr -d '`' | sort -u); do
    [ -e "$source/$file" ] || { echo "cookbook.md names $file, which does not exist"; bad=1; }
done
[ $recipes -ge 8 ] || { echo "only $recipes recipes with code"; bad=1; }
[ $bad = 0 ] && echo "cookbook: ok, $recipes recipes"
exit $bad
