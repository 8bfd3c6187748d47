#!/usr/bin/env bash
# run.sh [--accept] [NAME ...]: `lg check` on every program here, each with one mistake; its report
# must be the .err file beside it, byte for byte. --accept writes what is reported now.
set -u
lg=${LG:-$(cd "$(dirname "$0")/../.." && pwd)/build/lg}
case $lg in /*) ;; *) lg=$PWD/$lg ;; esac
cd "$(dirname "$0")" || exit 2
accept=false
[ "${1:-}" = --accept ] && accept=true && shift
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
    report=$(timeout 20 "$lg" check "$name.lg" 2>&1 >/dev/null </dev/null)
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
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
