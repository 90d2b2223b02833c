#!/bin/sh
# No function is longer than 100 lines and no file longer than 1000.
set -eu
. "$(dirname -- "$0")/lib.sh"
cd "$1"
list=$(files include src codegen runtime tuner bindings examples tests)
{
    printf '%s\n' "$list" | xargs wc -l /dev/null | awk '
        $2 != "total" && $1 > 1000 { print $2 ":1: file has " $1 " lines, 1000 are allowed" }'
    printf '%s\n' "$list" | grep -v '\.def$' | code | awk -f "$here/functions.awk" -v limit=100
} | verdict "size" "$(printf '%s\n' "$list" | wc -l)"
