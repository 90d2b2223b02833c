#!/bin/sh
# Every test file asserts something, or feeds an oracle of tests/fuzz that does.
set -eu
. "$(dirname -- "$0")/lib.sh"
cd "$1"
list=$(files tests | grep -E '/(test|fuzz)_[^/]*\.(c|cpp)$' || true)
if [ -n "$list" ]; then
    printf '%s\n' "$list" | code | awk '
        { p = index($0, ":"); file = substr($0, 1, p - 1); text = " " substr($0, p + 1)
          seen[file] += 0 }
        text ~ /[^A-Za-z_0-9]((assert|check|expect|require|ASSERT|CHECK|EXPECT|REQUIRE)(_[A-Za-z_0-9]*)?|fail|fail_msg|fuzz_(parse|round_trip|check))[ \t]*\(/ { seen[file]++ }
        END { for (file in seen) if (!seen[file]) print file ":1: test file without an assertion" }'
fi | verdict "asserts" "$(printf '%s' "$list" | grep -c . || true)"
