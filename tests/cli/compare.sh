#!/bin/sh
# compare.sh HL-BENCH: hl-bench compare on made-up files: verdicts and exit codes.
bench=$1
. "$(dirname -- "$0")/lib.sh"

# file NAME ROW...: a row is KERNEL:MEDIAN:LOW:HIGH[:VERDICT[:SPEED-OVER-COPY]], intervals of +-10 % around the speed.
file() {
    out=$tmp/$1
    shift
    printf '{"environment": {"cpu": "made up"}, "results": [' >"$out"
    comma=
    for row; do
        echo "$row" | awk -F: -v comma="$comma" '{
            printf "%s{\"kernel\": \"%s\", \"shape\": \"N=4\", \"dtype\": \"f32\", \"threads\": 1, \"verdict\": \"%s\"",
                comma, $1, $5 == "" ? "ok" : $5
            if ($2 != "") printf ", \"seconds\": {\"median\": %s, \"low\": %s, \"high\": %s}", $2, $3, $4
            if ($6 != "") printf ", \"references\": [{\"name\": \"copy\", \"speed_of_hl\": {\"median\": %s, \"low\": %s, \"high\": %s}}]", $6, 0.9 * $6, 1.1 * $6
            printf "}\n" }' >>"$out"
        comma=,
    done
    echo ']}' >>"$out"
}

compare() { "$bench" compare "$@"; }
file old add:1.00:0.99:1.01 sum:2.00:1.98:2.02
file same add:1.005:0.995:1.015 sum:1.99:1.97:2.00
file slow add:1.10:1.09:1.11 sum:2.00:1.99:2.01
file fast add:0.50:0.49:0.51 sum:2.00:1.99:2.01
file noisy add:1.04:0.90:1.30 sum:2.00:1.99:2.01
file both add:1.04:0.90:1.30 sum:3.00:2.99:3.01
file wrong add::::wrong sum:2.00:1.98:2.02
file less sum:2.00:1.98:2.02
file other mul:1:1:1

expect 0 '^usage: hl-bench compare' compare --help
expect 0 '0 slower, 0 faster, 0 too noisy' compare "$tmp/old" "$tmp/same"
expect 0 '0 slower, 0 faster, 0 too noisy' compare --fail-on slower "$tmp/old" "$tmp/same"
expect 0 '0 slower, 0 faster, 0 too noisy' compare --fail-on slower "$tmp/old" "$tmp/old"
expect 1 '^add N=4 f32, 1 thread +1.100 \[1.079, 1.121\]  slower' compare --fail-on slower "$tmp/old" "$tmp/slow"
expect 0 '1 slower' compare "$tmp/old" "$tmp/slow"
expect 0 '0 slower, 0 faster' compare --fail-on slower --tolerance 15 "$tmp/old" "$tmp/slow"
expect 0 '1 faster' compare --fail-on slower "$tmp/old" "$tmp/fast"
expect 3 'too noisy to say' compare --fail-on slower "$tmp/old" "$tmp/noisy"
expect 0 'too noisy to say' compare "$tmp/old" "$tmp/noisy"
expect 1 '1 slower, 0 faster, 1 too noisy' compare --fail-on slower "$tmp/old" "$tmp/both"
expect 1 'no longer right: wrong' compare --fail-on slower "$tmp/old" "$tmp/wrong"
expect 0 'no figures to compare' compare --fail-on slower "$tmp/wrong" "$tmp/old"
expect 0 '^add .*only in' compare --fail-on slower "$tmp/old" "$tmp/less"
expect 0 '^add .*only in' compare --fail-on slower "$tmp/less" "$tmp/old"
expect 2 'nothing in common' compare "$tmp/old" "$tmp/other"

# speeds relative to a reference: the machine was half as fast, libhl was not slower
file old_copy add:1.00:0.99:1.01:ok:1.5
file new_copy add:2.00:1.98:2.02:ok:1.5
file bad_copy add:2.00:1.98:2.02:ok:0.5
expect 1 slower compare --fail-on slower "$tmp/old_copy" "$tmp/new_copy"
expect 0 '1.000 \[0.818, 1.222\]  same' compare --fail-on slower --tolerance 25 --relative-to copy "$tmp/old_copy" "$tmp/new_copy"
expect 3 'too noisy' compare --fail-on slower --relative-to copy "$tmp/old_copy" "$tmp/new_copy"
expect 1 slower compare --fail-on slower --relative-to copy "$tmp/old_copy" "$tmp/bad_copy"
expect 2 'nothing in common' compare --relative-to OpenBLAS "$tmp/old_copy" "$tmp/new_copy"

# mistakes
expect 2 'wants two files' compare "$tmp/old"
expect 2 'there is only slower' compare --fail-on faster "$tmp/old" "$tmp/same"
expect 2 'wants per cent' compare --tolerance x "$tmp/old" "$tmp/same"
expect 2 'cannot open' compare "$tmp/old" "$tmp/none"
echo '{' >"$tmp/broken"
expect 2 'broken:[0-9]+:[0-9]+: no JSON' compare "$tmp/old" "$tmp/broken"
echo '{"a": 1}' >"$tmp/foreign"
expect 2 'is not of hl-bench' compare "$tmp/foreign" "$tmp/old"
echo '{"results": [{"kernel": "add", "shape": "N=4", "dtype": "f32", "threads": 1, "seconds": {"median": "x"}}]}' >"$tmp/odd"
expect 2 'nothing in common' compare "$tmp/odd" "$tmp/old"
sed 's/made up/another/' "$tmp/old" >"$tmp/elsewhere"
expect 0 "the cpu differs \('made up', 'another'\)" compare "$tmp/old" "$tmp/elsewhere"
finish
