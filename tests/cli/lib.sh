# lib.sh: what the tests of the commands share.  Sourced with $hl, $bench or both set.
set -u
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0
count=0
HL_CACHE_DIR=$tmp/cache # the user's own is left alone
export HL_CACHE_DIR

# expect CODE WORDS COMMAND...: the command ends with CODE, and what it prints on either stream has a line that
# matches the extended regular expression WORDS.
expect() {
    want=$1 words=$2
    shift 2
    count=$((count + 1))
    "$@" >"$tmp/out" 2>&1 </dev/null
    code=$?
    if [ "$code" != "$want" ]; then
        echo "$*: exit code $code, not $want:"
        head -n 20 "$tmp/out"
        bad=$((bad + 1))
    elif ! grep -Eq -- "$words" "$tmp/out"; then
        echo "$*: no line matches '$words':"
        head -n 20 "$tmp/out"
        bad=$((bad + 1))
    fi
}

finish() {
    echo "$count commands, $bad wrong"
    [ "$count" -gt 0 ] && [ "$bad" = 0 ]
    exit $?
}
