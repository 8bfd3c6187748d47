#!/usr/bin/env bash
# run.sh [--accept] [NAME ...]: `lg check` on every program here, each with one mistake; its report
# must be the .err file beside it, byte for byte. --accept writes what is reported now. A program
# whose fault shows only when it runs begins with the line `# lg: run ...`, its command. Without NAMEs
# every code of diag.def is also looked for, and none is emitted without a row: it has a page, is emitted somewhere, and is reported by
# some .err file here or in the list `elsewhere`, which says where it is tested.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
lg=${LG:-$(cd "$(dirname "$0")/../.." && pwd)/build/lg}
case $lg in /*) ;; *) lg=$PWD/$lg ;; esac
cd "$(dirname "$0")" || exit 2
accept=false all=false
[ "${1:-}" = --accept ] && accept=true && shift
[ $# -eq 0 ] && all=true
[ $# -eq 0 ] && set -- '*'
programs=()
for name in "$@"; do
    for program in ${name%.lg}.lg; do # a name may be a pattern of this directory
        [ -f "$program" ] && programs+=("$program")
    done
done
passed=0 failed=0
for program in "${programs[@]}"; do
    name=${program%.lg}
    command=$(sed -n '1s/^# lg: //p' "$program")
    report=$(timeout 20 "$lg" ${command:-check "$program"} 2>&1 >/dev/null </dev/null)
    status=$?
    if [ "$status" -ne 1 ] && [ "$status" -ne 2 ]; then
        failed=$((failed + 1))
        printf 'FAILED %s: exit status %d\n' "$name" "$status"
        continue
    fi
    if $accept; then
        printf '%s\n' "$report" >"$name.err"
    elif [ ! -f "$name.err" ] || [ "$report" != "$(cat "$name.err")" ]; then
        failed=$((failed + 1))
        printf 'FAILED %s\n' "$name"
        diff <(cat "$name.err" 2>/dev/null) <(printf '%s\n' "$report") | sed 's/^/    /'
        continue
    fi
    passed=$((passed + 1))
done
# Calls of the library that are refused: a line is an expression and, behind #, a text of the report.
if $all && ! $accept && [ -f calls.txt ]; then
    one=$(mktemp --suffix=.lg)
    while IFS= read -r line; do
        printf 'print %s\n' "${line%  # *}" >"$one"
        report=$(timeout 20 "$lg" run "$one" 2>&1 </dev/null)
        status=$?
        if { [ $status -eq 1 ] || [ $status -eq 2 ]; } && grep -qF -- "${line##*  # }" <<<"$report"; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            printf 'FAILED %s: exit status %d\n%s\n' "$line" "$status" "$(head -n 4 <<<"$report")"
        fi
    done <calls.txt
    rm -f "$one"
fi
# Every code: a page, a place that emits it, a test.
if $all && ! $accept; then
    known=$(cat ./*.err elsewhere | grep -o '\[[EWR][0-9]*\]\|^[EWR][0-9]*' | tr -d '[]' | sort -u)
    emitted=$(grep -rhoE '"[EWR][0-9]{4}"' "$root"/runtime "$root"/ops "$root"/compiler --include='*.c' \
        --include='*.h' --include='*.y' --include='*.l' | tr -d '"' | sort -u)
    for code in $(sed -n 's/^D(\([EWR][0-9]*\),.*/\1/p' "$root/runtime/diag.def"); do
        problem=
        grep -qx "$code" <<<"$emitted" || problem="nothing emits it"
        grep -qx "$code" <<<"$known" || problem="no .err file reports it"
        "$lg" explain "$code" >/dev/null 2>&1 || problem="lg explain does not know it"
        if [ -n "$problem" ]; then
            failed=$((failed + 1))
            printf 'FAILED %s: %s\n' "$code" "$problem"
        else
            passed=$((passed + 1))
        fi
    done
    for code in $emitted; do
        grep -q "^D($code," "$root/runtime/diag.def" && passed=$((passed + 1)) && continue
        failed=$((failed + 1))
        printf 'FAILED %s: emitted, and not in diag.def\n' "$code"
    done
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
