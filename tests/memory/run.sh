#!/usr/bin/env bash
# run.sh: what a train is said to take is what it takes; with less it computes values again and gives
# the same bits, or is refused before its first step.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
lg=${LG:-$root/build/lg}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0
check() { # check NAME STATUS
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $1"
        tail -n 5 "$tmp/err"
    fi
}
run() { # run FILE OPTION...: stdout to out, stderr to err
    (cd "$tmp" && timeout 300 "$lg" run "$@" --profile >out 2>err)
}
# The figures of "memory of NAME: 1.8 MB predicted, 1.9 MB measured", in bytes.
figure() { # figure predicted|measured
    sed -n 's/^memory of [^:]*: \([0-9.]*\) \([kMG]*\)B predicted, \([0-9.]*\) \([kMG]*\)B measured$/\1 \2 \3 \4/p' "$tmp/err" |
        awk -v which="$1" 'BEGIN { f["k"] = 1e3; f["M"] = 1e6; f["G"] = 1e9 }
            { printf "%d\n", which == "predicted" ? $1 * f[$2] : $3 * f[$4] }' | head -n 1
}
# A process has a few MB that are no train's: pages of code, tables of the heap.
near() { # near PREDICTED MEASURED
    awk -v p="$1" -v m="$2" 'BEGIN { d = p > m ? p - m : m - p; exit !(p > 0 && d <= m / 10 + 5e6) }'
}

measurable() { [ -w /proc/self/clear_refs ] && grep -q VmHWM /proc/self/status; }

if measurable; then
    for f in bench/mlp_mnist bench/resnet8 bench/adamw_25m bench/softmax_ce bench/lenet \
        examples/digits examples/qat examples/own tests/memory/streamed tests/memory/deep tests/memory/gpt tests/memory/loop; do
        run "$root/$f.lg"
        near "$(figure predicted)" "$(figure measured)"
        check "$f: $(figure predicted) bytes predicted, $(figure measured) measured" $?
    done
fi

for f in deep gpt loop; do
    run "$here/$f.lg"
    cp "$tmp/out" "$tmp/plain"
    all=$(figure predicted)
    for part in 60 40; do
        most=$((all * part / 100))
        run "$here/$f.lg" --mem "$most" --jit "$([ $part = 40 ] && echo off || echo auto)"
        check "$f runs with $part % of its memory" $?
        cmp -s "$tmp/out" "$tmp/plain"
        check "$f gives the same bits with $part %" $?
        grep -q '^rematerialised [0-9]* values: [0-9.]* [kMG]*B saved, +[0-9]* % FLOPs$' "$tmp/err"
        check "$f says what it costs with $part %" $?
        if measurable; then
            [ "$(figure measured)" -le $((most + 5000000)) ]
            check "$f stays within $most bytes: $(figure measured)" $?
        fi
    done
    run "$here/$f.lg" --mem 2M
    [ $? -ne 0 ] && grep -q 'E0438.*: a step takes at least [0-9.]* MB, more than the limit of 2.1 MB' "$tmp/err"
    check "$f is refused with 2 MB" $?
    least=$(sed -n 's/.*a step takes at least \([0-9.]*\) MB, more.*/\1/p' "$tmp/err")
    [ ! -s "$tmp/out" ]
    check "$f is refused before its first step" $?
    run "$here/$f.lg" --mem "$(awk -v l="$least" 'BEGIN { printf "%d", l * 1.2e6 }')"
    check "$f runs with little more than the least" $?
done
# What rounds of host code make is gone after them: by the count of the program itself, a thousand more
# runs, expressions and inner loops take a few bytes each.
kept() { # kept ROUNDS: kB of the elaboration and of constants
    run "$here/rounds.lg" --quiet --rounds "$1"
    sed -n 's/^elaboration: \([0-9]*\) kB, constants: \([0-9]*\) kB$/\1 \2/p' "$tmp/err" |
        awk '{ print $1 + $2 }'
}
few=$(kept 500) many=$(kept 1500)
[ -n "$few" ] && [ "$few" -gt 0 ] && [ $((many - few)) -lt 300 ]
check "1000 more rounds of a host loop take ${few} to ${many} kB" $?

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
