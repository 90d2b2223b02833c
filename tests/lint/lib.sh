# Shared by the gates. Each takes the root of a tree as its first argument,
# prints what is wrong as FILE:LINE: text, and exits 1 if anything is.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)

# files ROOT-RELATIVE-FOLDER...: the C files below, of folders that exist.
files() {
    for folder in "$@"; do
        if [ -d "$folder" ]; then
            find "$folder" -type f \( -name '*.c' -o -name '*.h' -o -name '*.def' -o -name '*.cpp' \)
        fi
    done | LC_ALL=C sort
}

# code FILES-ON-STDIN: their code without comments and strings.
code() {
    xargs awk -f "$here/strip.awk" /dev/null
}

# verdict WHAT COUNT: reads findings from stdin, prints them and says how it went.
verdict() {
    found=$(cat)
    if [ -n "$found" ]; then
        printf '%s\n' "$found"
        printf '%s: %s finding(s)\n' "$1" "$(printf '%s\n' "$found" | wc -l)"
        exit 1
    fi
    printf '%s: ok, %s files\n' "$1" "$2"
}
