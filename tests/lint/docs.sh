#!/bin/sh
# docs.sh SOURCE: every exported function has words. Each HL_API declaration has a comment of its own, directly above it or
# behind it; definitions of one line may stand between; what destroys an object, or ends what a begin has
# words for, needs none. What holds for all functions of a header, its opening comment
# says: "Errors:", "Threads:", "Memory:" (who owns what) and "Since:".
set -eu
cd "$1"
bad=$(for header in include/hl/*.h; do
    awk -v header="$header" '
        # the opening comment
        FNR == 1 { opening = 1 }
        opening { head = head "\n" $0; if (/\*\//) opening = 0 }
        /HL_API/ && !/#define/ { pending = $0; line = FNR; had = above; functions++ }
        pending != "" && /\/\*/ { had = 1 }
        pending != "" && /;/ {
            name = pending
            sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
            if (!had && name !~ /_(destroy|close|release|else|end)$/)
                print header ":" line ": " name ": no comment says what it does"
            pending = ""
        }
        # does a comment end directly above the next line?  A heading is none.
        above && (/^#define / || /^typedef .*;$/) { next }
        { code = $0; sub(/\/\*.*/, "", code); above = /\*\/[[:space:]]*$/ && (!/\/\*/ || code !~ /[^[:space:]]/) && !/---- / }
        END {
            if (functions)
                for (i = split("Errors: Threads: Memory: Since:", want, " "); i > 0; i--)
                    if (index(head, want[i]) == 0) print header ": the opening comment has no \"" want[i] "\""
        }' "$header"
done)
if [ -n "$bad" ]; then
    printf '%s\n' "$bad"
    exit 1
fi
echo "docs: ok, $(cat include/hl/*.h | grep -c '^HL_API') functions"
