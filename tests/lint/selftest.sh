#!/bin/sh
# Each gate must be able to fail: plants one violation after the other.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0

# try NAME GATE PATH: reads a file from stdin into an otherwise clean tree.
try() {
    rm -rf "$tmp/t"
    mkdir -p "$tmp/t/src/base" "$tmp/t/include/hl" "$tmp/t/tests/unit"
    printf '#include <stdint.h>\nint hl_x(void);\n' >"$tmp/t/include/hl/base.h"
    cat >"$tmp/t/src/base/a.c" <<'END'
#include "hl/base.h"
/* printf("in a comment"); */
static const char *const text = "abort() { in a string";
int hl_x(void) {
    return text[0]; // exit(1)
}
END
    printf 'int main(void) {\n    assert_true(1);\n}\n' >"$tmp/t/tests/unit/test_a.c"
    if ! sh "$here/$2" "$tmp/t" >"$tmp/out" 2>&1; then
        echo "$1: the clean tree fails"; cat "$tmp/out"; bad=1
    fi
    mkdir -p "$tmp/t/$(dirname "$3")"
    cat >"$tmp/t/$3"
    if sh "$here/$2" "$tmp/t" >"$tmp/out" 2>&1; then
        echo "$1: not found"; bad=1
    elif ! grep -q "^$3:" "$tmp/out"; then
        echo "$1: failed for another reason"; cat "$tmp/out"; bad=1
    else
        echo "$1: found"
    fi
}

lines() { i=0; while [ $i -lt "$1" ]; do echo "$2"; i=$((i + 1)); done; }

{ echo 'static int f(int a)'; echo '{'; lines 98 '    a += 1; /* } */'; echo '}'; } |
    try 'long function' size.sh src/base/long.c
{ echo 'extern "C" {'; echo 'int f(int a) {'; lines 98 '    if (a) { a += 1; }'; echo '    return a;'
  echo '}'; echo '}'; } | try 'long C++ function' size.sh codegen/long.cpp
lines 1001 '/* */' | try 'long file' size.sh src/base/long.c
lines 1001 'X(1)' | try 'long table' size.sh src/ir/ops.def
echo '#include "src/ir/ir.h"' | try 'base includes ir' includes.sh src/base/b.c
echo '#include "runtime/device.h"' | try 'ir includes runtime' includes.sh src/ir/b.c
echo '#include "src/ir/ir.h"' | try 'runtime includes ir' includes.sh runtime/b.c
echo '#include <llvm-c/Core.h>' | try 'llvm outside codegen' includes.sh src/pass/b.c
echo '#include "codegen/emit.h"' | try 'plan includes codegen' includes.sh src/plan/b.c
echo '# include <stdio.h>' | try 'public header includes stdio' includes.sh include/hl/b.h
echo '#include "src/base/base.h"' | try 'example includes internals' includes.sh examples/b.c
echo '#include "src/base/base.h"' | try 'program includes internals' includes.sh src/cli/hl/b.c
echo '#include <ffi.h>' | try 'ffi outside runtime' includes.sh src/plan/b.c
echo '#include "runtime/cuda_abi.h"' | try 'driver types elsewhere' includes.sh runtime/b.c
{ echo '/* b.h: Errors: Threads: Memory: Since: */'; echo '/* ---- a heading ---- */'; echo 'HL_API int hl_f(int a,'; echo '                int b);'; } |
    try 'function without words' docs.sh include/hl/b.h
{ echo '/* b.h: Errors: Threads: Memory: */'; echo '/* Words. */'; echo 'HL_API int hl_f(int a);'; } |
    try 'header without since' docs.sh include/hl/b.h
echo 'int f(void);' | try 'test without assertion' asserts.sh tests/unit/test_b.c
echo 'void f(void) { printf("x"); }' | try 'printf' words.sh src/base/b.c
echo 'void f(void) { if (1) abort (); }' | try 'abort' words.sh runtime/b.c
echo 'void f(int x) { assert(x); }' | try 'assert' words.sh codegen/b.c
echo '#include <assert.h>' | try 'assert.h' words.sh src/ir/b.c
echo 'static _Thread_local int last;' | try 'thread-local' words.sh src/ir/b.c

# Two owners of a header that one file may include.
mkdir -p "$tmp/u/runtime"
echo '#include <ffi.h>' | tee "$tmp/u/runtime/a.c" >"$tmp/u/runtime/b.c"
if sh "$here/includes.sh" "$tmp/u" >"$tmp/out"; then echo 'second ffi.h: not found'; bad=1; fi
grep -q '^runtime/b.c:1: <ffi.h> belongs to runtime/a.c' "$tmp/out" || { cat "$tmp/out"; bad=1; }

# The summary counts cmocka's cases, whole tests, crashes and skips.
cat >"$tmp/output" <<'END'
 1/6 Test  #1: unit.one .........................***Failed    0.00 sec
 2/6 Test  #2: exec.two .........................***Skipped   0.00 sec
 3/6 Test #13: a.name-that-is-as-long-as-it-can-be   Passed    0.00 sec
 4/6 Test  #4: unit.four ........................***Exception: SegFault  0.00 sec
 5/6 Test  #5: unit.five ........................***Timeout   1.00 sec
 6/6 Test  #6: unit.six .........................   Passed    0.10 sec
END
cat >"$tmp/log" <<'END'
1/6 Testing: unit.one
[==========] Running 3 test(s).
[       OK ] a
[  SKIPPED ] b
[  FAILED  ] c
[==========] 3 test(s) run.
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] b
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] c
4/6 Testing: unit.four
[==========] Running 3 test(s).
[       OK ] a
6/6 Testing: unit.six
[==========] Running 2 test(s).
[       OK ] a
[       OK ] b
[==========] 2 test(s) run.
[  PASSED  ] 2 test(s).
END
if awk -f "$here/summary.awk" "$tmp/output" "$tmp/log" >"$tmp/out"; then echo 'summary: failures pass'; bad=1; fi
printf 'skipped: unit.one: b\nskipped: exec.two\n5 passed, 3 failed, 2 skipped\n' | diff - "$tmp/out" || bad=1
exit $bad
