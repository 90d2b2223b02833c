# Gives "FILE:LINE:code" for each line with comments, string contents and
# character constants blanked, so that the gates look at code only. The path
# of an #include stays.
function strip(s,    out, c, d, i, n) {
    if (!incomment && s ~ /^[ \t]*#[ \t]*include/) { sub(/[ \t]*\/[*\/].*$/, "", s); return s }
    out = ""; n = length(s); i = 1
    while (i <= n) {
        c = substr(s, i, 1); d = substr(s, i, 2)
        if (incomment) {
            if (d == "*/") { incomment = 0; i += 2; out = out " " } else i++
        } else if (d == "/*") { incomment = 1; i += 2 }
        else if (d == "//") break
        else if (c == "\"" || c == "'") {
            i++
            while (i <= n && substr(s, i, 1) != c) i += substr(s, i, 1) == "\\" ? 2 : 1
            i++
            out = out c c
        } else { out = out c; i++ }
    }
    return out
}
FNR == 1 { incomment = 0 }
{
    # Most lines need no walk.
    if (incomment || $0 ~ /["'\/]/) $0 = strip($0)
    print FILENAME ":" FNR ":" $0
}
