#!/bin/sh
# bench.sh HL-BENCH: hl-bench on small shapes: table, JSON, mistakes, exit codes, and that wrong results are seen.
bench=$1
. "$(dirname -- "$0")/lib.sh"

expect 0 '^usage: hl-bench' "$bench" --help
expect 2 'did you mean --filter' "$bench" --fliter x
expect 2 "'lanch'; did you mean 'launch'" "$bench" lanch
expect 2 "filter '\('" "$bench" --filter '('
expect 2 'wants a number from 1 to' "$bench" --pairs 0
expect 2 'wants a value' "$bench" --json
expect 2 'no kernel matches' "$bench" --filter nosuch
expect 1 'HIP' "$bench" --device hip
quick="--pairs 3 --min-time 0.0005 --threads 1"
expect 0 '^vector_add +N=4099 +f32 .* ok .*plain C [0-9.]+x .*triad [0-9.]+x' "$bench" $quick --filter '^vector_add$' --shape N=4099
expect 0 '^softmax +M=33 N=65 +bf16 .* ok ' "$bench" $quick --filter softmax --shape M=33,N=65 --dtype bf16
expect 0 '^matmul .* ok ' "$bench" $quick --filter matmul --shape M=65,K=33,N=70 --json "$tmp/b.json"
for key in '"libhl"' '"command"' '"cpu"' '"seconds"' '"speed_of_hl"' '"verdict": "ok"' '"pairs": 3' '"frobenius_error"'; do
    grep -q -- "$key" "$tmp/b.json" || { echo "b.json has no $key"; bad=$((bad + 1)); }
done
if command -v python3 >/dev/null; then
    python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$tmp/b.json" || { echo "b.json is no JSON"; bad=$((bad + 1)); }
fi
expect 0 'hl_prepared_launch +[0-9]+' "$bench" launch --pairs 3
expect 0 '^cpu: 0*[1-9][0-9]* right, 0 wrong, 0 errors, 0 hung' "$bench" check --filter 'vector_add' --dtype f32 --configs 1 --json "$tmp/c.json"
grep -q '"right"' "$tmp/c.json" || { echo "c.json has no results"; bad=$((bad + 1)); }

# The watchdogs: a step that takes too long ends the program, or the child that runs the case.
expect 1 'matmul f32: no end after .* giving up' "$bench" --filter matmul --shape M=3000,K=3000,N=3000 --timeout 0.2
expect 1 'no answer for|0 right, 0 wrong, 0 errors, [1-9][0-9]* hung' "$bench" check --filter matmul --dtype f32 --timeout 0.001
finish
