#!/bin/sh
# Who may include whom: rooms.txt says it, the first matching line decides.
set -eu
. "$(dirname -- "$0")/lib.sh"
cd "$1"
list=$(files include src codegen runtime tuner examples)
printf '%s\n' "$list" | code | grep -E ':[0-9]+:[ 	]*#[ 	]*include' |
    awk -f "$here/includes.awk" -v rules="${2:-$here/rooms.txt}" |
    verdict "includes" "$(printf '%s\n' "$list" | wc -l)"
