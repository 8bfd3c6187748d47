#!/usr/bin/env bash
# Programs of this folder and of tests/host carry `# expect: TEXT` behind (or below) the line that
# prints it; a first line `# args: ...` gives the command line, `# status: N` the exit status, and
# each `# stderr: TEXT` a text that must occur among the diagnostics. Printed lines must be the
# expected ones, in order. Each program runs in an empty directory of its own; `# library: x.c` puts
# libx.so there, compiled from parts/x.c.
set -u
cd "$(dirname "$0")/../.."
root=$PWD
lg=$(realpath "${LG:-build/lg}")
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for f in tests/lang/*.lg tests/host/*.lg; do
    [ -e "$f" ] || continue
    args=$(sed -n 's/^# args: //p' "$f" | head -n 1)
    want_status=$(sed -n 's/^# status: //p' "$f" | head -n 1)
    sed -n 's/.*# expect: \{0,1\}//p' "$f" >"$scratch/want"
    rm -rf "$scratch/dir" && mkdir "$scratch/dir"
    library=$(sed -n 's/^# library: //p' "$f" | head -n 1)
    [ -z "$library" ] || "${CC:-cc}" -shared -fPIC -o "$scratch/dir/lib${library%.c}.so" \
        "$(dirname "$f")/parts/$library"
    # shellcheck disable=SC2086
    (cd "$scratch/dir" && timeout 120 "$lg" run "$root/$f" $args) \
        >"$scratch/got" 2>"$scratch/err" </dev/null
    status=$?
    said=yes
    while IFS= read -r text; do
        grep -qF -- "$text" "$scratch/err" || { said=no && echo "not on stderr: $text"; }
    done < <(sed -n 's/^# stderr: //p' "$f")
    if [ "$status" -eq "${want_status:-0}" ] && [ $said = yes ] &&
        diff "$scratch/want" "$scratch/got" >"$scratch/diff"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $f (exit status $status)"
        head -n 8 "$scratch/diff" 2>/dev/null
        head -n 6 "$scratch/err"
    fi
done

# Warnings of values outside the branch that guards them: at the lines that say so, and at no others.
grep -n '# warned$' tests/lang/parts/guards.lg | cut -d: -f1 >"$scratch/want"
timeout 120 "$lg" check tests/lang/parts/guards.lg 2>&1 >"$scratch/out" |
    sed -n '/^warning\[W0501\]/{n;s/.*guards.lg:\([0-9]*\):.*/\1/p}' | sort -n >"$scratch/got"
if diff "$scratch/want" "$scratch/got" >"$scratch/diff"; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "FAILED warnings of guards.lg, by line"
    cat "$scratch/diff"
fi
for f in stdlib/*.lg examples/*.lg; do # nothing there is warned of
    if timeout 120 "$lg" check --quiet "$f" 2>&1 | grep -A1 W0501; then
        failed=$((failed + 1))
        echo "FAILED $f: warned without a reason"
    else
        passed=$((passed + 1))
    fi
done

# made NAME WANT: the program on stdin, too large to be kept, prints or reports WANT.
made() {
    cat >"$scratch/made.lg"
    (ulimit -v "${limit:-unlimited}" && exec timeout 120 "$lg" run "$scratch/made.lg") \
        >"$scratch/got" 2>&1 </dev/null
    local status=$?
    if [ $status -lt 2 ] && grep -qF -- "$2" "$scratch/got"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $1 (exit status $status)"
        head -n 3 "$scratch/got" | cut -c 1-200
    fi
}
times() { printf -- "$1%.0s" $(seq "$2"); } # times TEXT N
made "a sum of 3000 terms" '[6000, 6000]' <<<"fn f(x: float[N]) -> float[N] = $(times 'x*2 + ' 2999) x*2
print grad(fn (v) = sum(f(v)), at=[1.0, 2.0])"
made "a sum of 20000 terms" 'error[E0106]' <<<"let x = $(times '1 + ' 20000) 1"
made "3000 stages" '[0.5]' <<<"print [0.5] $(times '|> neg ' 3000)"
made "3000 parentheses" 'error[E0106]: brackets' <<<"let x = $(times '(' 3000)1$(times ')' 3000)"
made "3000 signs" 'error[E0106]' <<<"let x = $(times '- ' 3000) 1"
made "10000 lines" '10001' < <(echo 'let x0 = 1.0'
    seq 10000 | awk '{ print "let x" $1 " = x" $1 - 1 " + 1.0" }'; echo 'print x10000')
made "10000 lines, last first" 'error[E0328]' < <(seq 10000 -1 1 |
    awk '{ print "let x" $1 " = x" $1 - 1 " + 1.0" }'; echo 'let x0 = 1.0')
made "a list of 10000" '50005000' < <(echo "print sum([$(seq -s , 10000)])")
# The graph of a derivative of nested branches grows with their number, not with its square.
nested() { # nested N: lines of that graph
    e='x*x'
    for k in $(seq 1 "$1"); do e="if x > $k.0 then exp(sin($e)*x) else $k.0 + x"; done
    cat >"$scratch/made.lg" <<<"fn f(x: float) -> float = $e
train t { param w: float = 0.5; loss = f(w); optimizer = sgd(0.1); max_steps = 1 }"
    "$lg" run --dump=graph "$scratch/made.lg" 2>/dev/null | wc -l
}
n8=$(nested 8) n16=$(nested 16) n32=$(nested 32)
if [ "$n8" -gt 100 ] && [ $((n32 - n16)) -lt $((5 * (n16 - n8) / 2)) ]; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "FAILED derivatives of 8, 16 and 32 nested branches have $n8, $n16 and $n32 nodes"
fi
# Nested branches: their derivative computes nothing dear again, however deep they are.
e='x*x'
for k in $(seq 0 11); do e="if x > $k.0 then exp(sin($e)*x) else $k.0 + x"; done
cat >"$scratch/made.lg" <<<"fn f(x: float) -> float = $e
train t { param w: float = 0.5; loss = f(w); optimizer = sgd(0.1); max_steps = 1 }"
"$lg" run --dump=graph "$scratch/made.lg" >"$scratch/got" 2>&1
dear=$(grep -c ' = exp(' "$scratch/got")
if [ "$dear" -eq 12 ]; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "FAILED the derivative of 12 nested branches has $dear exp"
fi
# Rows that rounds make and leave behind are let go: 2 GB of them pass through 1.2 GB. (The address
# sanitizer wants all of the address space.)
grep -q __asan_init "$lg" || limit=1200000
made "rows of a long loop" 'rows 15000' <<'END'
data d from rows(x=rand normal([20000, 50])) { field x: float[50] = x }
for i in 0..400 {
  let {x} = take(d, 15000)
  let kept = rows_of(d |> filter(fn (row, index) = index >= 10000))
  require count(x[:, 0] == 7.0) == 0 and count(kept.x[:, 0] == 7.0) == 0, "no"
}
let last = take(d, 15000)
print "rows {shape(last.x)[0]}"
END
unset limit
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
