#!/bin/sh
# headers.sh INCLUDE-FOLDER CC CXX: each public header compiles alone, and
# twice, as C11, C17 and C++17.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0
count=0
for path in "$1"/hl/*.h; do
    header=${path#"$1"/}
    printf '#include <%s>\n#include <%s>\nextern int hl_header_test;\n' "$header" "$header" >"$tmp/t.c"
    cp "$tmp/t.c" "$tmp/t.cpp"
    for std in c11 c17; do
        "$2" -std=$std -pedantic-errors -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror \
            -fsyntax-only -I"$1" "$tmp/t.c" || { echo "$header: not $std"; bad=1; }
    done
    "$3" -std=c++17 -pedantic-errors -Wall -Wextra -Wshadow -Werror \
        -fsyntax-only -I"$1" "$tmp/t.cpp" || { echo "$header: not c++17"; bad=1; }
    count=$((count + 1))
done
[ $bad = 0 ] && echo "headers: ok, $count headers"
exit $bad
