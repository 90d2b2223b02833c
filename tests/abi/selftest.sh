#!/bin/sh
# selftest.sh CC CXX: each gate must be able to fail.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cc=$1
cxx=$2
bad=0

passes() { if ! sh "$@" >"$tmp/out" 2>&1; then echo "clean input fails: $*"; cat "$tmp/out"; bad=1; fi; }
# fails NEEDLE SCRIPT ARGUMENT...
fails() {
    needle=$1
    shift
    if sh "$@" >"$tmp/out" 2>&1; then echo "not found: $needle"; bad=1
    elif ! grep -q "$needle" "$tmp/out"; then echo "wrong reason, not $needle:"; cat "$tmp/out"; bad=1
    else echo "found: $needle"; fi
}
# plant NAME: compiles stdin to an object and a library.
plant() {
    cat >"$tmp/$1.c"
    "$cc" -fPIC -c -o "$tmp/$1.o" "$tmp/$1.c"
    "$cc" -shared -o "$tmp/$1.so" "$tmp/$1.o"
    echo "$tmp/$1.o" >"$tmp/$1.objects"
}

plant clean <<'END'
static const char *const names[] = {"a", "b"};
const char *hl_name(int i);
const char *hl_name(int i) { return names[i]; }
END
echo 'hl_name' >"$tmp/list"
: >"$tmp/allow"
passes "$here/symbols.sh" "$tmp/clean.so" "$tmp/list"
passes "$here/globals.sh" "$tmp/clean.objects" "$tmp/allow"

plant more <<'END'
int hl_name(void);
int hl_name(void) { return 1; }
int hl_extra(void);
int hl_extra(void) { return 1; }
END
fails '^+hl_extra' "$here/symbols.sh" "$tmp/more.so" "$tmp/list"
printf 'hl_gone\nhl_name\n' >"$tmp/list2"
fails '^-hl_gone' "$here/symbols.sh" "$tmp/clean.so" "$tmp/list2"
HL_BLESS=1 sh "$here/symbols.sh" "$tmp/more.so" "$tmp/blessed" >/dev/null
passes "$here/symbols.sh" "$tmp/more.so" "$tmp/blessed"

mkdir -p "$tmp/include/hl"
cat >"$tmp/include/hl/a.h" <<'END'
#ifndef A_H
#define A_H
#define HL_API
/* HL_API int hl_comment(void); */
HL_API const char *hl_name(
    int i);
#endif
END
passes "$here/declared.sh" "$tmp/clean.so" "$tmp/include"
passes "$here/headers.sh" "$tmp/include" "$cc" "$cxx"
fails 'hl_extra: exported, not declared' "$here/declared.sh" "$tmp/more.so" "$tmp/include"
echo 'HL_API int hl_gone(void);' >>"$tmp/include/hl/a.h"
fails 'hl_gone: declared, not exported' "$here/declared.sh" "$tmp/clean.so" "$tmp/include"

echo 'void hl_f(uint32_t x);' >"$tmp/include/hl/a.h"
fails 'hl/a.h: not c11' "$here/headers.sh" "$tmp/include" "$cc" "$cxx"
echo 'int hl_f(int class);' >"$tmp/include/hl/a.h"
fails 'hl/a.h: not c++17' "$here/headers.sh" "$tmp/include" "$cc" "$cxx"

n=0
for text in 'static int count; int hl_f(void); int hl_f(void) { return count++; }' \
    'int hl_f(void); int hl_f(void) { static int count = 3; return count++; }' \
    'static _Thread_local int count = 1; int hl_f(void); int hl_f(void) { return count++; }' \
    'const char *count = "x"; int hl_f(void); int hl_f(void) { return *count++; }'; do
    n=$((n + 1))
    echo "$text" | plant "global$n"
    fails "global$n.o: writable global count" "$here/globals.sh" "$tmp/global$n.objects" "$tmp/allow"
done
echo 'count' >"$tmp/allow"
passes "$here/globals.sh" "$tmp/global1.objects" "$tmp/allow"
printf 'a\nb\nc\n' >"$tmp/allow"
fails 'more than the two' "$here/globals.sh" "$tmp/clean.objects" "$tmp/allow"
exit $bad
