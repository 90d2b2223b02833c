#!/bin/sh
# cold.sh PROGRAM LIBHL FOLDER: a kernel compiled by one process runs in the next without a compiler; where there is no
# compiler, or a damaged one, the words say which.
set -eu
tmp=$(mktemp -d "$3/cold-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
HL_CACHE_DIR=$tmp/cache
export HL_CACHE_DIR
"$1" fill
"$1" use
"$1" use

# says WORDS: a compilation with the libraries of $tmp/lib fails in these words.
says() {
    out=$(LD_LIBRARY_PATH="$tmp/lib" HL_CACHE_DIR="$tmp/other" "$1" fill 2>&1) && { echo "compiled without a compiler"; exit 1; }
    case $out in
    *"$2"*) ;;
    *) echo "'$out' does not say '$2'"; exit 1 ;;
    esac
}
mkdir "$tmp/lib"
cp "$2" "$tmp/lib/libhl.so.0"
says "$1" "there is no $tmp/lib/libhl-codegen.so"
echo damaged >"$tmp/lib/libhl-codegen.so"
says "$1" "$tmp/lib/libhl-codegen.so is there but cannot be loaded"
