#!/bin/sh
# The library neither prints nor ends the process nor touches its signals.
set -eu
. "$(dirname -- "$0")/lib.sh"
cd "$1"
list=$(files include src runtime codegen tuner | grep -v '^src/cli/')
printf '%s\n' "$list" | code | awk '
    {
        p = index($0, ":"); rest = substr($0, p + 1); q = index(rest, ":")
        text = " " substr(rest, q + 1) " "
        if (text ~ /^ [ \t]*#[ \t]*include/) {
            if (text ~ /<(assert|setjmp)\.h>/) print substr($0, 1, p + q) " includes a forbidden header"
            next
        }
        while (match(text, /[^A-Za-z_0-9.>](printf|vprintf|fprintf|vfprintf|puts|fputs|putchar|perror|abort|exit|_exit|_Exit|quick_exit|atexit|assert|signal|sigaction|setlocale|setenv|putenv|srand|rand|strtok|system|alloca)[ \t]*\(/)) {
            word = substr(text, RSTART + 1, RLENGTH - 1)
            print substr($0, 1, p + q) " calls " word ")"
            text = substr(text, RSTART + RLENGTH)
        }
        if (text ~ /[^A-Za-z_0-9](stdout|stderr|stdin|errno_t|_Thread_local|__thread)[^A-Za-z_0-9]/)
            print substr($0, 1, p + q) " uses a standard stream or a thread-local"
    }' | verdict "words" "$(printf '%s\n' "$list" | wc -l)"
