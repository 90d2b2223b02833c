#!/bin/sh
# hl.sh HL: the commands of hl: what they print, what they answer to mistakes, and their exit codes.
hl=$1
. "$(dirname -- "$0")/lib.sh"

expect 0 '^usage: hl' "$hl" --help
expect 2 '^usage: hl' "$hl"
expect 0 '^hl 0\.' "$hl" --version
expect 2 "no command 'lits'; did you mean 'list'" "$hl" lits
for command in list show space compile opt run info cache; do
    expect 0 "^usage: hl $command" "$hl" $command --help
    expect 2 'no option --nosuch' "$hl" $command --nosuch
done

# list, show, space, info
expect 0 '^ *10  softmax ' "$hl" list
expect 2 'takes no operand' "$hl" list softmax
expect 0 'kernel @softmax' "$hl" show softmax
expect 0 'bf16\[M, N\]' "$hl" show --dtype bf16 softmax
expect 2 "no dtype 'bf61'; did you mean 'bf16'" "$hl" show --dtype bf61 softmax
expect 2 'softmax is not written for i32; it is for f32' "$hl" show --dtype i32 softmax
expect 2 "no kernel 'sofmax'; did you mean 'softmax'" "$hl" show sofmax
expect 2 'wants a kernel' "$hl" show
expect 2 'one too many' "$hl" show softmax sum
expect 0 '"knob":"block_sizes"' "$hl" space softmax
expect 0 '"knob":"num_warps"' "$hl" space --target nvptx:sm_90a softmax
expect 0 '^  cpu ' "$hl" info
expect 0 '^  LLVM +22' "$hl" info
expect 0 'passes tunables, specialize, .*loopnest' "$hl" info
expect 0 '^  nvptx:sm_90a .*registers a thread' "$hl" info

# what cannot be written is an error
if [ -w /dev/full ]; then
    full() { "$@" >/dev/full; }
    for command in list info "show softmax" "space softmax" --help "list --help" --version "compile --emit tile softmax"; do
        expect 1 'cannot write the standard output: No space' full "$hl" $command
    done
fi

# files
"$hl" show softmax >"$tmp/k.hl"
expect 0 'kernel @softmax' "$hl" show "$tmp/k.hl"
"$hl" show "$tmp/k.hl" | cmp - "$tmp/k.hl" || bad=$((bad + 1))
expect 1 'cannot open' "$hl" show "$tmp/none.hl"
sed 's/reduce/reduec/' "$tmp/k.hl" >"$tmp/bad.hl"
expect 1 "^$tmp/bad.hl:[0-9]+:[0-9]+: .*reduec" "$hl" show "$tmp/bad.hl"
expect 2 'says its dtypes itself' "$hl" show --dtype bf16 "$tmp/k.hl"

# compile, opt
for emit in tile loop llvm asm; do
    expect 0 . "$hl" compile --emit $emit --shape M=33,N=65 softmax
done
expect 0 '^\.target sm_90a' "$hl" compile --target nvptx:sm_90a --emit asm --shape M=33,N=65 softmax
expect 0 'hl 1 lane' "$hl" compile --target nvptx:sm_80 --emit lane --shape M=33,N=65 softmax
"$hl" compile --emit obj -o "$tmp/k.so" --shape M=33,N=65 softmax && [ -s "$tmp/k.so" ] || { echo "compile --emit obj wrote nothing"; bad=$((bad + 1)); }
expect 1 'has no stage lane' "$hl" compile --emit lane softmax
expect 2 "did you mean 'asm'" "$hl" compile --emit ams softmax
expect 1 'AMD GPUs \(HIP\) are not built in yet' "$hl" compile --target hip:gfx942 softmax
expect 1 'AMD GPUs \(HIP\) are not built in yet' "$hl" compile --target amdgpu:gfx1100 softmax
expect 2 'known targets: host' "$hl" compile --target riscv softmax
expect 2 "no pass 'nosuch'; there are tunables, specialize, .*loopnest" "$hl" compile --stop-after nosuch --emit loop softmax
expect 2 "no pass 'mask'; there are" "$hl" compile --stop-after mask --emit loop softmax
expect 2 "no pass 'rol'; did you mean 'roll'" "$hl" opt --passes specialize,rol,tile softmax
expect 2 "no pass ''; " "$hl" opt --passes specialize, softmax
expect 0 'grid \[' "$hl" opt --passes tile,specialize softmax
expect 2 "no dimension 'K'; " "$hl" compile --shape K=3 softmax
expect 2 'wants sizes like' "$hl" compile --shape M softmax
expect 2 'wants sizes like' "$hl" compile --shape M=-4 softmax
expect 2 'no knob .blocks.; knobs are' "$hl" compile --config '{"blocks":[1]}' softmax
expect 2 'cannot be 33; legal values are' "$hl" compile --config '{"block_sizes":[33]}' softmax
expect 2 'wants default, random:SEED' "$hl" compile --config fast softmax
expect 2 'random:SEED' "$hl" compile --config random:x softmax
expect 1 'could not be read' "$hl" compile --config @"$tmp/none.json" softmax
expect 2 'no knob' "$hl" run --shape M=3,N=5 --config '{"blocks":[1]}' softmax
expect 2 "seed '1x': wants a number" "$hl" run --seed 1x softmax
expect 0 'hl 1 tile' "$hl" opt --passes specialize,roll softmax
expect 0 'grid \[' "$hl" opt --passes tile softmax
expect 0 'after specialize' "$hl" opt --print-all --passes tile softmax
expect 0 'hl 1 lane' "$hl" opt --target nvptx:sm_90a --shape M=33,N=65 softmax

# run
expect 0 '^ok: ' "$hl" run --check --shape M=33,N=65 softmax
expect 0 '^ok: ' "$hl" run --check --shape M=33,N=65 --dtype bf16 --config random:3 softmax
expect 0 '^ok: ' "$hl" run --check --device interp softmax
expect 0 '^ok: ' "$hl" run --check --device interp --target nvptx:sm_90a --shape M=5,N=33 softmax
expect 0 '^ok: ' "$hl" run --check --shape M=7,N=65 "$tmp/k.hl"
"$hl" show matmul | sed 's/^  dim .*/& = 150/' >"$tmp/product.hl" # sizes without names: 150 terms in a sum
expect 0 '^ok: ' "$hl" run --check "$tmp/product.hl"
expect 0 '^not checked' "$hl" run --check --device null --shape M=7,N=65 softmax
expect 2 'how large is M\? give --shape M=SIZE' "$hl" run "$tmp/k.hl"
expect 1 'HIP' "$hl" run --device hip softmax
expect 2 "no device 'gpuu'; did you mean 'cpu'" "$hl" run --device gpuu softmax
expect 2 "no device 'accelerator'; there are cpu, .* interp" "$hl" run --device accelerator softmax
expect 2 "no device 'cuad'; did you mean 'cuda'" "$hl" run --device cuad softmax
expect 2 "no device 'cuda:x'; " "$hl" run --device cuda:x softmax
expect 2 'its own target' "$hl" run --target host softmax

# cache
cache() { "$hl" cache "$@"; }
HL_CACHE_DIR=$tmp/store
expect 0 'store: 0 configurations, 0 compiled kernels' cache list
expect 0 '^ok: ' "$hl" run --check --shape M=7,N=65 softmax
expect 0 'store: 0 configurations, 1 compiled kernels' cache list
expect 0 '^[0-9a-f]{12}  code .* softmax  M=7 N=65  ' cache list
expect 0 'store: 0 configurations, 1 compiled kernels' "$hl" info
key=$("$hl" cache list | awk '$2 == "code" { print $1 }')
expect 0 '"softmax"' cache show "$key"
expect 0 '"softmax"' cache show "$(echo "$key" | cut -c1-6)"
expect 1 . cache show 0123456789abcdef0123456789abcdef
expect 2 'wants one KEY' cache show
expect 0 '"softmax"' cache export --code
cache export --code -o "$tmp/export.json" || { echo "cache export -o failed"; bad=$((bad + 1)); }
expect 0 '^imported 0; .*--code' cache import --dir "$tmp/other" "$tmp/export.json"
expect 0 '^imported 1' cache import --dir "$tmp/other" --code "$tmp/export.json"
expect 0 'other: 0 configurations, 1 compiled kernels' cache list --dir "$tmp/other"
expect 1 . cache import "$tmp/k.hl"
expect 1 'cannot open' cache import "$tmp/none.json"
expect 2 'wants either keys, or one of' cache drop
expect 2 'wants either keys, or one of' cache drop --all --code
expect 0 '^dropped 1' cache drop "$key"
expect 1 . cache drop "$key"
expect 0 'store: 0 configurations, 0 compiled kernels' cache list
expect 0 '^dropped 1' cache drop --all --dir "$tmp/other"
expect 2 'takes no --code' cache list --code
expect 2 "no action 'lits'; did you mean 'list'" cache lits
expect 2 'wants list, show, drop' cache
expect 1 . cache list --dir "$tmp/k.hl/x"
HL_CACHE_DIR=$tmp/cache

finish
