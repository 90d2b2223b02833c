#!/bin/sh
# man.sh HL HL-BENCH MAN-FOLDER: the manual pages are well formed and have every option that --help prints.
hl=$1 bench=$2 man=$3
. "$(dirname -- "$0")/lib.sh"

# has PAGE COMMAND...: every --option of the command's help is in the page.
has() {
    page=$man/$1
    shift
    "$@" --help >"$tmp/help" 2>&1
    grep -o -- '--[a-z][a-z-]*' "$tmp/help" | sort -u >"$tmp/options"
    [ -s "$tmp/options" ] || { echo "$*: no options in its help"; bad=$((bad + 1)); }
    while read -r option; do
        count=$((count + 1))
        grep -Eq -- "Fl -${option#--}( |\$)" "$page" || { echo "$page lacks $option of $*"; bad=$((bad + 1)); }
    done <"$tmp/options"
}

for command in list show space compile opt run info cache; do
    has hl.1 "$hl" $command
    grep -q "^\.Cm $command\$" "$man/hl.1" || { echo "hl.1 lacks the command $command"; bad=$((bad + 1)); }
done
has hl-bench.1 "$bench"
has hl-bench.1 "$bench" compare
for page in hl.1 hl-bench.1; do
    if command -v mandoc >/dev/null; then
        mandoc -T lint -W warning "$man/$page" >"$tmp/lint" || { cat "$tmp/lint"; bad=$((bad + 1)); }
    fi
    if command -v groff >/dev/null; then
        groff -mdoc -ww -T ascii -P -cbou "$man/$page" >"$tmp/page" 2>"$tmp/lint"
        [ ! -s "$tmp/lint" ] && grep -q 'DESCRIPTION' "$tmp/page" || { cat "$tmp/lint"; bad=$((bad + 1)); }
    fi
done
finish
