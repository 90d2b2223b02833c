#!/bin/sh
# consumer.sh BUILD-FOLDER CC CXX FLAGS: what cmake --install puts down is whole and in the right place, and a project
# that knows nothing else of libhl builds with it and runs: from C11 and C++17, through CMake and through pkg-config.
set -eu
build=$1 cc=$2 cxx=$3 flags=${4:-}
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
quietly() { "$@" >"$tmp/log" 2>&1 || { echo "$*:"; cat "$tmp/log"; exit 1; }; }
die() { echo "$*"; exit 1; }
# says WORDS COMMAND...: it prints the words and ends well.
says() {
    words=$1
    shift
    said=$("$@") || die "$*: failed: $said"
    case $said in
    "$words"*) echo "${1##*/}: $said" ;;
    *) die "$*: not '$words' but '$said'" ;;
    esac
}

# A staged installation, as a packager makes it: everything below DESTDIR, and no file knows of DESTDIR.
DESTDIR=$tmp/stage quietly cmake --install "$build" --prefix /usr/local
[ "$(ls "$tmp/stage")" = usr ] || die "files outside /usr/local: $(ls "$tmp/stage")"
root=$tmp/stage/usr/local
pc=$(dirname "$(find "$root" -name hl.pc)")
lib=$(dirname "$pc")
for file in include/hl/hl.h bin/hl bin/hl-bench share/man/man1/hl.1 share/man/man1/hl-bench.1; do
    [ -s "$root/$file" ] || die "not installed: $file"
done
for file in libhl.so libhl.so.0 libhl-rt.so libhl-rt.so.0 libhl-rt.a libhl-codegen.so cmake/hl/hl-config.cmake \
    pkgconfig/hl.pc pkgconfig/hl-rt.pc; do
    [ -s "$lib/$file" ] || die "not installed: $file"
done
for name in hl hl-rt; do
    readelf -d "$lib/lib$name.so" | grep -q "SONAME.*\[lib$name\.so\.0\]" || die "lib$name.so: no SONAME lib$name.so.0"
    grep -q '^prefix=/usr/local$' "$pc/$name.pc" || die "$name.pc: not for /usr/local"
done
grep -rlF "$tmp" "$root" | head -n 3 | grep . && die "these files know of DESTDIR"
for file in "$root"/bin/* "$lib"/*.so; do # an empty entry would be the current folder
    path=$(readelf -d "$file" | sed -n 's/.*R.*PATH.*\[\(.*\)\].*/\1/p')
    case $path in
    :* | *: | *::*) die "$file: an empty entry in the library path '$path'" ;;
    esac
done

# Parts.
quietly cmake --install "$build" --prefix "$tmp/runtime" --component runtime
[ -z "$(find "$tmp/runtime" -type f | grep -v 'libhl\(-rt\)\?\.so\.0\.')" ] || die "runtime holds more than libraries: $(find "$tmp/runtime" -type f)"
[ "$(find "$tmp/runtime" -type f | wc -l)" = 2 ] || die "runtime does not hold two libraries"
quietly cmake --install "$build" --prefix "$tmp/compiler" --component compiler
[ "$(find "$tmp/compiler" -type f -name 'libhl-codegen.so' | wc -l)" = 1 ] || die "compiler holds no libhl-codegen.so"
quietly cmake --install "$build" --prefix "$tmp/tools" --component tools
[ -x "$tmp/tools/bin/hl" ] && [ ! -d "$tmp/tools/include" ] || die "tools does not hold the programs alone"

# CMake, against the staged tree.
quietly cmake -G Ninja -S "$here/consumer" -B "$tmp/build" -DCMAKE_PREFIX_PATH="$root" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags"
quietly cmake --build "$tmp/build"
says 'twice, by libhl 0.1.0+' "$tmp/build/kernel_c"
says 'twice, by libhl 0.1.0+' "$tmp/build/kernel_cpp"
says 'text, by libhl 0.1.0+' "$tmp/build/launch"
says 'text, by libhl 0.1.0+' "$tmp/build/launch_static"
ldd "$tmp/build/launch_static" | grep libhl && die "launch_static is not static"

# pkg-config, against a plain prefix.
quietly cmake --install "$build" --prefix "$tmp/prefix"
PKG_CONFIG_PATH=$(dirname "$(find "$tmp/prefix" -name hl.pc)")
export PKG_CONFIG_PATH
LD_LIBRARY_PATH=$(pkg-config --variable=libdir hl)
export LD_LIBRARY_PATH
quietly $cc $flags -std=c11 -pedantic -Wall -Wextra -Werror -o "$tmp/c" "$here/consumer/kernel.c" $(pkg-config --cflags --libs hl)
quietly $cxx $flags -std=c++17 -pedantic -Wall -Wextra -Werror -o "$tmp/cpp" "$here/consumer/kernel.cpp" $(pkg-config --cflags --libs hl)
quietly $cc $flags -std=c11 -o "$tmp/rt" "$here/consumer/launch.c" $(pkg-config --cflags --libs hl-rt)
quietly $cc $flags -std=c11 -o "$tmp/static" "$here/consumer/launch.c" $(pkg-config --cflags hl-rt) \
    "$LD_LIBRARY_PATH/libhl-rt.a" $(pkg-config --static --libs-only-l hl-rt | sed 's/-lhl-rt//')
says 'twice, by libhl 0.1.0+' "$tmp/c"
says 'twice, by libhl 0.1.0+' "$tmp/cpp"
says 'text, by libhl 0.1.0+' "$tmp/rt"
says 'text, by libhl 0.1.0+' "$tmp/static"
unset LD_LIBRARY_PATH
says 'hl 0.1.0+' "$tmp/prefix/bin/hl" --version
says 'hl 0.1.0+' "$root/bin/hl" --version
