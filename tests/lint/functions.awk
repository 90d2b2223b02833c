# Reads strip.awk's lines and reports functions longer than limit. A function
# is a brace at file level that follows a closing parenthesis; it is counted
# from the first line of its declaration to its closing brace.
function reset() { depth = 0; head = ""; start = 0; infunction = 0; skipped = 0; macro = 0; hold = 0 }
function open_brace() {
    if (depth == 0) {
        if (head ~ /(^|[ \t])extern[ \t]*""[ \t]*$/ || head ~ /(^|[ \t])namespace([ \t][A-Za-z_0-9:]*)?[ \t]*$/) {
            skipped++; head = ""; start = 0; return
        }
        infunction = head ~ /\)[ \t]*$/ || head ~ /\)[ \t]*(const|noexcept|override)[ \t]*$/
        first = start
    }
    depth++
}
function close_brace() {
    if (depth == 0) { if (skipped > 0) skipped--; head = ""; start = 0; return }
    if (--depth == 0) {
        if (infunction && line - first + 1 > limit)
            print file ":" first ": function has " line - first + 1 " lines, " limit " are allowed"
        if (infunction) { head = ""; start = 0 }
        infunction = 0
    }
}
{
    p = index($0, ":"); newfile = substr($0, 1, p - 1); rest = substr($0, p + 1)
    q = index(rest, ":"); line = substr(rest, 1, q - 1) + 0; text = substr(rest, q + 1)
    if (newfile != file) { file = newfile; reset() }
    if (macro || text ~ /^[ \t]*#/) {
        # Of the branches of a conditional only the first counts.
        if (text ~ /^[ \t]*#[ \t]*if/) { if (hold) hold++ }
        else if (text ~ /^[ \t]*#[ \t]*el/) { if (!hold) hold = 1 }
        else if (text ~ /^[ \t]*#[ \t]*endif/) { if (hold) hold-- }
        macro = text ~ /\\[ \t]*$/
        next
    }
    if (hold) next
    if (text !~ /[{};]/) {
        if (depth == 0 && text ~ /[^ \t]/) { if (head == "") start = line; head = head " " text }
        next
    }
    n = length(text)
    for (i = 1; i <= n; i++) {
        c = substr(text, i, 1)
        if (c == "{") open_brace()
        else if (c == "}") close_brace()
        else if (depth == 0) {
            if (c == ";") { head = ""; start = 0 }
            else if (head != "" || c !~ /[ \t]/) { if (head == "") start = line; head = head c }
        }
    }
}
