#!/bin/sh
# bench.sh HL-BENCH: hl-bench on small shapes: table, files, mistakes, exit codes, and that wrong results are seen.
bench=$1
. "$(dirname -- "$0")/lib.sh"

expect 0 '^usage: hl-bench' "$bench" --help
expect 0 '^hl-bench 0\.' "$bench" --version
expect 2 'did you mean --filter' "$bench" --fliter x
expect 2 "'lanch'; did you mean 'launch'" "$bench" lanch
expect 2 "'compre'; did you mean 'compare'" "$bench" compre
expect 2 "filter '\('" "$bench" --filter '('
expect 2 'wants a number from 1 to' "$bench" --pairs 0
expect 2 'wants a value' "$bench" --json
expect 2 'no kernel matches' "$bench" --filter nosuch
expect 2 "no chosen kernel has a dimension 'Q'; they have N" "$bench" --filter '^vector_add$' --shape N=64,Q=3
expect 2 'wants default, random:SEED' "$bench" --config fast
expect 2 "no knob .blocks.; knobs are" "$bench" --filter '^vector_add$' --config '{"blocks":[1]}'
expect 2 'exclude each other' "$bench" --cold --hot
expect 2 'wants a number from 0 to' "$bench" --max-noise x
expect 2 'hl-bench check: takes no --csv' "$bench" check --csv "$tmp/x"
expect 2 'hl-bench launch: takes no --shape' "$bench" launch --shape N=3
expect 2 'hl-bench: takes no --configs' "$bench" --configs 3
expect 2 "no device 'interp'" "$bench" --device interp
expect 1 'cannot write .*/none/x' "$bench" check --json "$tmp/none/x"
expect 1 'cannot write .*/none/x' "$bench" launch --json "$tmp/none/x"
expect 1 'HIP' "$bench" --device hip

# What cannot be written is found before anything is measured.
for option in json csv html; do
    expect 1 "^hl-bench: --$option: cannot write $tmp/none/x: No such file" "$bench" --$option "$tmp/none/x"
done
grep -q '^kernel ' "$tmp/out" && { echo "a table was begun although the file cannot be written"; bad=$((bad + 1)); }

quick="--pairs 3 --min-time 0.0005 --threads 1"
expect 0 '^vector_add +N=4099 +f32 .* [0-9]+% +ok .*plain C [0-9.]+x .*copy [0-9.]+x .*triad [0-9.]+x' "$bench" $quick --filter '^vector_add$' --shape N=4099
expect 0 '^softmax +M=33 N=65 +bf16 .* ok .*copy [0-9.]+x' "$bench" $quick --filter softmax --shape M=33,N=65 --dtype bf16
expect 0 '^matmul .* ok .*copy [0-9.]+x' "$bench" $quick --filter '^matmul$' --shape M=65,K=33,N=70 --json "$tmp/b.json" --csv "$tmp/b.csv" --html "$tmp/b.html"
for key in '"libhl"' '"command"' '"cpu"' '"cpu_features"' '"llvm"' '"seconds"' '"speed_of_hl"' '"verdict": "ok"' '"pairs": 3' '"ended_by": "rounds"' '"noise"' '"frobenius_error"'; do
    grep -q -- "$key" "$tmp/b.json" || { echo "b.json has no $key"; bad=$((bad + 1)); }
done
grep -q '^"matmul","M=65 K=33 N=70","f32",1,".*","ok","hl",[0-9.e-]*,' "$tmp/b.csv" || { echo "b.csv has no row of hl"; bad=$((bad + 1)); }
awk -F'"' '!/^kernel,/ && NF < 10 { exit 1 }' "$tmp/b.csv" || { echo "b.csv has a row that is too short"; bad=$((bad + 1)); }
grep -q '</html>' "$tmp/b.html" || { echo "b.html has no end"; bad=$((bad + 1)); }
grep -Eq 'https?:|<script|<link|url\(' "$tmp/b.html" && { echo "b.html refers to something outside"; bad=$((bad + 1)); }
if command -v python3 >/dev/null; then
    python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$tmp/b.json" || { echo "b.json is no JSON"; bad=$((bad + 1)); }
    python3 - "$tmp/b.html" "$tmp/b.csv" <<'END' || bad=$((bad + 1))
import csv, html.parser, sys
class Nesting(html.parser.HTMLParser):
    open = []
    def handle_starttag(self, tag, attrs):
        if tag not in ("meta",): self.open.append(tag)
    def handle_startendtag(self, tag, attrs): pass
    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"b.html: </{tag}> does not close what is open"
page = Nesting()
page.feed(open(sys.argv[1], encoding="utf-8").read())
assert not page.open, f"b.html: not closed: {page.open}"
rows = list(csv.reader(open(sys.argv[2])))
assert len({len(r) for r in rows}) == 1 and len(rows) > 2, "b.csv: rows of different lengths"
END
fi
expect 0 'same|too noisy|slower|faster' "$bench" compare "$tmp/b.json" "$tmp/b.json"

# A quiet pipe: no progress lines when the standard error is no terminal.
"$bench" $quick --filter '^vector_add$' --shape N=64 >"$tmp/o" 2>"$tmp/e" </dev/null
grep -v OpenBLAS "$tmp/e" | grep -q . && { echo "something on stderr:"; cat "$tmp/e"; bad=$((bad + 1)); }

# Rounds end by time, and by noise where any noise will do; cold buffers rotate.
expect 0 '"ended_by": "time"' "$bench" $quick --pairs 100000 --max-noise 0 --max-time 0.05 --filter '^vector_add$' --shape N=64 --json -
expect 0 '"ended_by": "noise"' "$bench" $quick --pairs 1000 --max-noise 100 --filter '^vector_add$' --shape N=64 --json -
expect 0 '"buffer_sets": 1,' "$bench" $quick --hot --filter '^vector_add$' --shape N=4096 --json -
expect 0 '"buffer_sets": [0-9]{2,}' "$bench" $quick --cold --filter '^vector_add$' --shape N=4096 --json -
if [ -w /dev/full ]; then
    expect 1 'cannot write' "$bench" $quick --filter '^vector_add$' --shape N=64 --json /dev/full
    expect 1 'cannot write' "$bench" $quick --filter '^vector_add$' --shape N=64 --html /dev/full
fi

expect 0 'hl_prepared_launch +[0-9]+' "$bench" launch --pairs 3
expect 0 '1 kernels one after another: [0-9]+ ms' "$bench" compile --pairs 2 --filter '^sum$' --json "$tmp/d.json"
grep -q '"passes_seconds"' "$tmp/d.json" || { echo "d.json has no results"; bad=$((bad + 1)); }
expect 0 '1 kernels, 3 times: .* files 0, mappings 0$' "$bench" growth --pairs 3 --filter '^sum$' --json "$tmp/g.json"
expect 2 'takes no --device' "$bench" growth --device cpu
expect 0 'sum .* [0-9]+$' "$bench" compile --pairs 1 --filter '^sum$' --target nvptx:sm_90a
expect 2 'known targets' "$bench" compile --pairs 1 --target riscv
expect 0 '^plan, found +[0-9.]+' "$bench" cache --pairs 2
expect 0 '^sum +f32 +filled .*plan [0-9.]+' "$bench" coldstart --pairs 1 --filter '^sum$'
expect 0 '^cpu: 0*[1-9][0-9]* right, 0 wrong, 0 errors, 0 hung' "$bench" check --filter 'vector_add' --dtype f32 --configs 1 --jobs 2 --json "$tmp/c.json"
grep -q '"right"' "$tmp/c.json" || { echo "c.json has no results"; bad=$((bad + 1)); }

# The watchdogs: a step that takes too long ends the program, or the child that runs the case.
expect 1 'matmul f32: no end after .* giving up' "$bench" --filter '^matmul$' --shape M=3000,K=3000,N=3000 --timeout 0.2
expect 1 'no answer for|0 right, 0 wrong, 0 errors, [1-9][0-9]* hung' "$bench" check --filter '^matmul$' --dtype f32 --timeout 0.001
finish
