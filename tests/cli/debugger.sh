#!/bin/sh
# debugger.sh HL: gdb stops in a kernel by its name and walks out of it, be its code a file of the cache or only in
# memory; perf counts for it by name where it is a file. What is not installed, or not allowed here, is left out.
hl=$1
. "$(dirname -- "$0")/lib.sh"

command -v gdb >/dev/null || exit 77
ASAN_OPTIONS=detect_leaks=0 # not under a debugger
export ASAN_OPTIONS

# stops CACHE LIBRARY: the breakpoint is hit in code that the debugger says is from LIBRARY.
stops() {
    count=$((count + 1))
    HL_CACHE_DIR=$1 timeout 120 gdb -nx -q -batch -ex 'set breakpoint pending on' -ex 'break softmax.program' -ex run -ex bt \
        --args "$hl" run softmax --device cpu --shape M=64,N=1000 </dev/null >"$tmp/gdb" 2>&1
    grep -q 'ptrace: Operation not permitted\|Could not trace the inferior' "$tmp/gdb" && exit 77
    grep -Eq "^#0 .* softmax\[?\.?program\]? \(\) from $2" "$tmp/gdb" && grep -Eq "^#1 .* softmax \(\) from $2" "$tmp/gdb" && return
    echo "gdb, HL_CACHE_DIR=$1: no stop in softmax.program, called by softmax, from $2:"
    tail -5 "$tmp/gdb"
    bad=$((bad + 1))
}

stops "$tmp/cache" "$tmp/cache/code/"
stops "$tmp/cache" "$tmp/cache/code/" # compiled by another process
stops /proc/none '/proc/[0-9]+/fd/|.*memfd:'

if perf record -o "$tmp/none" true >/dev/null 2>&1; then
    count=$((count + 1))
    for try in 1 2 3 4; do # some milliseconds of a kernel are few samples
        HL_CACHE_DIR=$tmp/cache perf record -F 5000 -o "$tmp/perf" "$hl" run softmax --device cpu --shape M=4096,N=4096 >/dev/null 2>&1
        perf report -i "$tmp/perf" --sort symbol 2>/dev/null </dev/null | grep -q 'softmax\.program' && break
        [ $try = 4 ] && { echo "perf report has no softmax.program"; bad=$((bad + 1)); }
    done
fi
finish
