# common.sh: counting, and looking at what a program printed. Sourced by the suites that run the
# examples; it moves to a scratch directory that goes away at the end.
passed=0 failed=0 last=
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

ok() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    echo "FAILED $*"
}
runs() { # runs STATUS WHAT COMMAND...: the output is in out and err
    local want=$1 status
    last="$(basename "${name:-}") $2"
    shift 2
    (ulimit -v 8000000; exec timeout "${LIMIT:-60}" "$@") >out 2>err </dev/null
    status=$?
    if [ "$status" -eq "$want" ]; then
        ok
    else
        fail "$last: exit status $status, not $want"
        tail -n 4 out err | sed 's/^/    /'
    fi
}
says() { grep -q -e "$1" out && ok || fail "$last: no line like \`$1\` in: $(head -n 3 out)"; }
complains() { grep -q -e "$1" err && ok || fail "$last: no line like \`$1\` in: $(head -n 3 err)"; }
number() { sed -n "s/.*$1.*/\1/p; s/$1.*/\1/p" out | head -n 1; }
have() { [ -s "$2" ] && ok || fail "$1: no $2"; }
compare() { awk -v a="${2:-x}" -v b="$3" "BEGIN { exit !(a + 0 == a && a $4 b) }" && ok || fail "$1 is ${2:-nothing}, not $4 $3"; }
at_least() { compare "$1" "$2" "$3" ">="; }
at_most() { compare "$1" "$2" "$3" "<="; }
summary() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
