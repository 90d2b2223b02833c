# summary.awk CTEST-OUTPUT LastTest.log: counts test cases, those that a cmocka
# program reports and else the ctest test as one. Prints what was skipped and
# a last line "N passed, N failed, N skipped".
function count(name) {
    if (status[name] == "skip") { skip++; print "skipped: " name; return }
    if (ok[name] + bad[name] + no[name] == 0) { if (status[name] == "pass") pass++; else fail++; return }
    pass += ok[name]; fail += bad[name]; skip += no[name]
    # A program that crashed or leaked outside of a case is a failure too.
    if (status[name] != "pass" && !bad[name]) fail++
}
FNR == 1 { file++ }
file == 1 && /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
    name = $0; sub(/^[^:]*: /, "", name); result = name
    sub(/ \.*[ *].*$/, "", name)
    sub(/^[^ ]* \.*/, "", result)
    if (!(name in status)) order[++tests] = name
    status[name] = result ~ /^ *Passed/ ? "pass" : result ~ /Skipped/ ? "skip" : "fail"
}
file == 2 && /^[0-9]+\/[0-9]+ Testing: / { name = $0; sub(/^[^:]*: /, "", name); listing = 0 }
file == 2 && /^\[==========\] / { listing = /run\.$/ }
file == 2 && !listing && /^\[       OK \] / { ok[name]++ }
file == 2 && !listing && /^\[  FAILED  \] / { bad[name]++ }
file == 2 && !listing && /^\[  SKIPPED \] / { no[name]++; print "skipped: " name ": " $NF }
END {
    for (i = 1; i <= tests; i++) count(order[i])
    printf "%d passed, %d failed, %d skipped\n", pass, fail, skip
    exit fail > 0 || tests == 0
}
