# Checks strip.awk's #include lines against rooms.txt.
function expand(s,    name) {
    while (match(s, /[{][a-z]+[}]/)) {
        name = substr(s, RSTART + 1, RLENGTH - 2)
        if (!(name in class)) { print "rooms.txt:1: unknown class " name; exit }
        s = substr(s, 1, RSTART - 1) class[name] substr(s, RSTART + RLENGTH)
    }
    return s
}
BEGIN {
    while ((getline row < rules) > 0) {
        if (row ~ /^[ \t]*(#|$)/) continue
        n = split(row, f, /[ \t]+/)
        if (f[1] == "define") class[f[2]] = f[3]
        else if (f[1] == "room") { path[++rooms] = f[2]; allowed[rooms] = "^" expand(f[3]) "$" }
        else if (f[1] == "once") once[++onces] = f[2]
        else if (f[1] == "within") { home[++homes] = f[2]; guest[homes] = f[3] }
    }
}
{
    p = index($0, ":"); file = substr($0, 1, p - 1); rest = substr($0, p + 1)
    q = index(rest, ":"); where = file ":" substr(rest, 1, q - 1); text = substr(rest, q + 1)
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", text); sub(/[ \t]*$/, "", text)
    for (i = 1; i <= rooms; i++) if (file ~ path[i]) break
    if (i > rooms) { print where ": file is in no known room"; next }
    if (text !~ allowed[i] && !(text ~ /^"[^\/]*[.]def"$/)) print where ": may not include " text
    for (i = 1; i <= onces; i++) if (text ~ once[i]) {
        if (i in owner && owner[i] != file) print where ": " text " belongs to " owner[i] " alone"
        else owner[i] = file
    }
    for (i = 1; i <= homes; i++) if (text ~ guest[i] && file !~ home[i])
        print where ": " text " is private to " home[i]
}
