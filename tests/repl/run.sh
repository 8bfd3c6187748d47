#!/usr/bin/env bash
# run.sh [--accept] [NAME ...]: transcripts of the prompt. NAME.in is typed through a pipe with
# --keep-going; what is printed, reports included, must be NAME.out byte for byte. --accept writes
# what is printed now. Without NAMEs also: exit statuses, saved sessions, and every derivative of
# grad.txt, which is typed back and compared with grad().
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
lg=${LG:-$root/build/lg}
case $lg in /*) ;; *) lg=$PWD/$lg ;; esac
here=$root/tests/repl
accept=false all=false
[ "${1:-}" = --accept ] && accept=true && shift
[ $# -eq 0 ] && all=true
[ $# -eq 0 ] && set -- '*'
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_STATE_HOME=$scratch XDG_CACHE_HOME=$scratch
type_in() { # type_in FILE OPTION...: what the prompt prints
    (cd "$scratch" && timeout 60 "$lg" --quiet "${@:2}" <"$1" 2>&1)
}
result() { # result NAME WANTED GOT
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED %s\n' "$1"
        diff <(printf '%s\n' "$2") <(printf '%s\n' "$3") | head -n 20 | sed 's/^/    /'
    fi
}
for name in "$@"; do
    for file in "$here"/${name%.in}.in; do
        [ -f "$file" ] || continue
        cp "$here"/*.lg "$scratch" 2>/dev/null
        out=$(type_in "$file" --keep-going)
        $accept && printf '%s\n' "$out" >"${file%.in}.out"
        result "$(basename "$file")" "$(cat "${file%.in}.out" 2>/dev/null)" "$out"
    done
done
if $all && ! $accept; then
    # The last 100 inputs can be taken back; what older ones replaced is let go.
    { seq 105 | sed 's/.*/let x = &/'; yes :undo | head -n 100; printf 'x\n:undo\n'; } >"$scratch/undo.in"
    result "undo is bounded" "$(printf 'integer: 5\nerror[E0713]: there is nothing to undo')" \
        "$(type_in "$scratch/undo.in" --keep-going | grep -A1 '^integer')"
    status() { # status WANTED TEXT OPTION...
        printf '%b' "$2" >"$scratch/one"
        type_in "$scratch/one" "${@:3}" >"$scratch/said"
        local got=$?
        result "exit status of: $2" "$1" "$got"
    }
    status 0 ''
    status 0 '1 + 1\n'
    status 1 'nobody\nprint "not reached"\n'
    result 'nothing runs after an error' '' "$(grep reached "$scratch/said")"
    status 1 'nobody\nprint "reached"\n' --keep-going
    result 'with --keep-going it does' 'reached' "$(grep reached "$scratch/said")"
    status 1 'fn f(x) {\n'
    status 1 ':nothing\n'
    status 0 ':quit\nnobody\n'
    status 1 'accept 1 > 2, "claim"\n'
    status 0 'accept 2 > 1, "claim"\n'
    status 0 'fn f(x: float) -> float = x^3\ncheck gradcheck(f)\n'
    status 1 'check 1 > 2\n'
    status 1 'x\0y\n' && status 1 '\xff\xfe\n'
    head -c 1000000 /dev/zero | tr '\0' '(' >"$scratch/long" && echo >>"$scratch/long"
    type_in "$scratch/long" >/dev/null
    result 'a line of a megabyte of brackets' 1 $?
    { printf '"' && head -c 1000000 /dev/zero | tr '\0' 'a' && printf '"\n'; } >"$scratch/long"
    type_in "$scratch/long" >/dev/null
    result 'a line of a megabyte of text' 0 $?
    says() { # says TEXT LINES: a report or result that is not the same on every machine
        printf '%b' "$2" >"$scratch/one"
        local out
        out=$(type_in "$scratch/one" --keep-going)
        result "$2 says $1" yes "$([[ $out == *"$1"* ]] && echo yes || echo "$out")"
    }
    says E0437 'zeros([1000000, 1000000])\n'
    says E0437 'let n = rand normal([1])\n:time zeros([1000000, 1000000]) + n[0]\n'
    says 'integer: 3' 'zeros([1000000, 1000000])\n1 + 2\n'
    says 'input 0 is x' 'let x = rand normal([3, 4])\n:plan tanh(x)\n'
    says 'kernels for' 'let x = rand normal([3, 4])\n:plan tanh(x)\n'
    says 'the median of' 'let x = rand normal([3, 4])\n:time tanh(x)\n'
    says 'of that time' 'let x = rand normal([3, 4])\n:time x + x\n'
    # Derivatives as text: typed back, they are what grad() gives. A line: E wrt X
    while IFS= read -r line; do
        case $line in '' | '#'*) continue ;; esac
        e=${line% wrt *} x=${line##* wrt }
        printf '%s\n:grad %s\n' "$(cat "$here/grad.lg")" "$line" >"$scratch/one"
        if ! text=$(type_in "$scratch/one"); then
            result ":grad $line" formulas "$text"
            continue
        fi
        { cat "$here/grad.lg" && printf '%s\n' "$text" &&
            printf 'let wanted = grad(fn (%s) = %s, at=%s)\n' "$x" "$e" "$x" &&
            printf 'print (max(abs(d_%s - wanted)) <= 1e-5*(1 + max(abs(wanted)))) and max(abs(wanted)) > 0\n' "$x"
        } >"$scratch/one"
        result ":grad $line, typed back" true "$(type_in "$scratch/one")"
    done <"$here/grad.txt"
    # A saved session makes the same values in a new one, and with `lg run`.
    for file in "$here"/save*.txt; do
        [ -f "$file" ] || continue
        printf '%s\n:save state.lg\n' "$(cat "$file")" >"$scratch/one"
        type_in "$scratch/one" >/dev/null
        values=$(sed -n 's/^# shown: //p' "$file")
        printf '%s\n%s\n' "$(cat "$file")" "$values" >"$scratch/one"
        first=$(type_in "$scratch/one" | grep -v '^note: ')
        printf ':load state.lg\n%s\n' "$values" >"$scratch/one"
        result "$(basename "$file"), loaded again" "$first" "$(type_in "$scratch/one")"
    done
    # What does not fit into memory is refused, and nothing is lost.
    printf 'let a = [1.0, 2.0]\nlet big = rand normal([20000, 20000])\na\n' >"$scratch/one"
    said=$(ulimit -v 1500000 && type_in "$scratch/one" --keep-going)
    result 'out of memory' 'E0437 [1, 2]' "$(printf '%s\n' "$said" | sed -n 's/^error\[\(E0437\)\].*/\1/p; /^\[1, 2\]$/p' | paste -sd' ')"
    printf 'let a = 3\nfn twice(x: f64[N]) -> f64[N] from "libnosuchlibrary.so"\ntwice([1.0])\na\n' >"$scratch/one"
    said=$(type_in "$scratch/one" --keep-going --allow-foreign)
    result 'a foreign function that fails' 'R0601 integer: 3' "$(printf '%s\n' "$said" | sed -n 's/^runtime\[\(R0601\)\].*/\1/p; /^integer/p' | paste -sd' ')"
    # Data of a loaded file are found from where the session is saved.
    mkdir -p "$scratch/far/data" "$scratch/near"
    printf 'a,b\n1,2\n3,4\n' >"$scratch/far/data/t.csv"
    printf 'data t from csv("data/t.csv") { field x: float = a; field y: float = b }\n' >"$scratch/far/t.lg"
    printf ':load far/t.lg\n:save near/state.lg\n' >"$scratch/one"
    type_in "$scratch/one" >/dev/null
    printf ':load near/state.lg\nrows_of(t).y\n' >"$scratch/one"
    result 'data beside a loaded file' 'f32[N = 2]: [2, 4]' "$(type_in "$scratch/one")"
    # Arrays that nobody names are let go between the pieces: 60 of 8 MB fit in 400 MB.
    for _ in {1..60}; do echo 'rand normal([2000000])'; done >"$scratch/one"
    echo '"end"' >>"$scratch/one"
    said=$(ulimit -v 400000 && timeout 100 "$lg" --threads 1 <"$scratch/one" 2>&1 | tail -n 1)
    result 'a long session' 'str: "end"' "$said"
    # The tour is what the prompt prints, and stands in README.md between its marks.
    said=$(grep -v '^lg> \|^\.\.\. ' "$here/tour")
    sed -n 's/^lg> //p; s/^\.\.\. //p' "$here/tour" >"$scratch/one"
    result 'the tour' "$said" "$(type_in "$scratch/one" --keep-going)"
    if grep -q '^<!-- tour -->$' "$root/README.md"; then
        block=$(sed -n '/^<!-- tour -->$/,/^<!-- end of tour -->$/p' "$root/README.md" | grep -v '^<!--\|^```')
        result 'the tour in README.md' "$(cat "$here/tour")" "$block"
    fi
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
