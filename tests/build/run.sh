#!/usr/bin/env bash
# Executables of `lg build`: they do what `lg run` does, to the bit, without the sources, and refuse
# to run when they are not whole. Everything happens in a scratch directory.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
lg=$(realpath "${LG:-$root/build/lg}")
bin=$(dirname "$lg")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0
ok() { passed=$((passed + 1)); }
fail() { # fail TEXT [FILE to show]
    failed=$((failed + 1))
    echo "FAILED $1"
    [ $# -gt 1 ] && head -n 12 "$2" | sed 's/^/    /'
}
# expect STATUS TEXT COMMAND...: the exit status, and a text somewhere in what is printed
expect() {
    local status=$1 text=$2 got
    shift 2
    timeout 120 "$@" >"$scratch/out" 2>&1 </dev/null
    got=$?
    if [ "$got" -eq "$status" ] && { [ -z "$text" ] || grep -qF -e "$text" "$scratch/out"; }; then
        ok
    else
        fail "$* (exit status $got, wanted $status and \`$text\`)" "$scratch/out"
    fi
}
same() { cmp -s "$1" "$2" && ok || fail "$3: $1 and $2 differ"; }
# Without what differs from run to run: times, and lines of progress, which come by the clock.
settled() { sed -E -e '/ [0-9]+\/[0-9]+  [0-9]+:/d' -e 's/[0-9.]+ (s|ms)\b/T/g' "$1"; }
alone=("$(command -v env)" -i PATH= ${ASAN_OPTIONS+"ASAN_OPTIONS=$ASAN_OPTIONS"}) # calls with an empty environment

# ---- every program: run, and built from a copy of the sources that is gone when it runs ----

args_of() { # short settings where an example has a long way to go
    case $1 in
    gpt) echo --width 32 --nheads 2 --window 32 --depth 1 --steps 40 ;;
    *) sed -n 's/^# args: //p' "$2" | head -n 1 ;;
    esac
}
compare() { # compare FOLDER PROGRAM THREADS; compiled kernels are looked at in tests/native
    local folder=$1 program=$2 threads=$3 name args status want build
    name=$(basename "$program" .lg)
    # shellcheck disable=SC2046
    args=$(args_of "$name" "$root/$folder/$program")
    rm -rf "$scratch/a" "$scratch/b" "$scratch/src"
    cp -rL "$root/$folder" "$scratch/src"
    rm -rf "$scratch/src/runs"
    mkdir "$scratch/a" "$scratch/b"
    for d in data files; do
        [ -d "$scratch/src/$d" ] && cp -r "$scratch/src/$d" "$scratch/a" && cp -r "$scratch/src/$d" "$scratch/b"
    done
    # shellcheck disable=SC2086
    (cd "$scratch/a" && timeout 120 "$lg" run ../src/"$program" --threads "$threads" $args) \
        >"$scratch/a.out" 2>"$scratch/a.err" </dev/null
    want=$?
    (cd "$scratch/a" && timeout 60 "$lg" build ../src/"$program" --no-compile -o "$scratch/exe") >"$scratch/build.out" 2>&1
    build=$?
    rm -rf "$scratch/src"
    if [ "$build" -ne 0 ]; then # only for what `lg run` refuses with the same words
        settled "$scratch/a.err" | cmp -s - "$scratch/build.out" && [ "$want" -ne 0 ] && ok ||
            fail "$folder/$program is not built" "$scratch/build.out"
        return
    fi
    # shellcheck disable=SC2086
    (cd "$scratch/b" && "${alone[@]}" "$scratch/exe" --threads "$threads" $args) \
        >"$scratch/b.out" 2>"$scratch/b.err" </dev/null
    status=$?
    if [ "$status" -ne "$want" ]; then
        fail "$folder/$program: exit status $status, run has $want" "$scratch/b.err"
    elif ! diff <(settled "$scratch/a.out") <(settled "$scratch/b.out") >"$scratch/diff"; then
        fail "$folder/$program: other output with $threads threads" "$scratch/diff"
    elif ! diff <(settled "$scratch/a.err") <(settled "$scratch/b.err") >"$scratch/diff"; then
        fail "$folder/$program: other messages with $threads threads" "$scratch/diff"
    elif ! diff -r "$scratch/a" "$scratch/b" >"$scratch/diff"; then
        fail "$folder/$program: other files with $threads threads" "$scratch/diff"
    else
        ok
    fi
}
for threads in 1 2; do
    for program in "$root"/examples/*.lg; do
        compare examples "$(basename "$program")" $threads
    done
done
for program in "$root"/tests/lang/*.lg; do
    compare tests/lang "$(basename "$program")" 1
done
for program in "$root"/tests/host/*.lg; do
    compare tests/host "$(basename "$program")" 2
done
compare tests/driver/program main.lg 1 # imports, of files and of the library

# ---- one program in detail ----

cd "$scratch" || exit 2
mkdir work && cp -r "$root/examples/data" work/data && cp "$root/examples/digits.lg" .
expect 0 '' "$lg" build digits.lg --no-compile -o digits
expect 0 '' "$lg" build digits.lg --no-compile
[ -x digits ] && ok || fail "the executable cannot be executed"
mkdir other && cp digits.lg other/
(cd other && "$lg" build digits.lg --no-compile -o again)
same digits other/again "the same bytes from another directory"
grep -qa "$scratch" digits && fail "a path of the building machine is in the executable" || ok
if [ -f "$bin/lg-program.map" ]; then
    grep -q 'liblg_host.a' "$bin/lg-program.map" && ok || fail "the map is not that of lg-program"
    grep -q 'liblg_front.a\|liblg_driver.a' "$bin/lg-program.map" && fail "lg-program holds the parser" || ok
fi
cd work || exit 2
expect 0 'digits_mlp: 690 steps' "${alone[@]}" ../digits
expect 0 'says ' "${alone[@]}" ../digits predict --row 3
expect 0 '--hidden i64 in 1..4097' "${alone[@]}" ../digits --help
expect 0 'usage: digits predict' "${alone[@]}" ../digits predict --help
expect 0 '--resume DIR' "${alone[@]}" ../digits -h
expect 2 'did you mean --hidden?' "${alone[@]}" ../digits --hiden 64
expect 2 'did you mean `predict`' "${alone[@]}" ../digits predit
expect 2 'one argument too many' "${alone[@]}" ../digits predict 3
expect 2 '1..4097' "${alone[@]}" ../digits --hidden 0
expect 2 '--threads wants a number' "${alone[@]}" ../digits --threads no
expect 2 '--seed of `digits` wants N' "${alone[@]}" ../digits --seed
expect 1 'could not be written' bash -c 'env -i ../digits --help >/dev/full'
expect 1 'E0601' "${alone[@]}" ../digits --quiet --resume nowhere

# data and saves beside the executable
mkdir "$scratch/far" "$scratch/beside"
cp -r data runs ../digits "$scratch/beside"
cd "$scratch/far" || exit 2
expect 0 'says ' "${alone[@]}" ../beside/digits predict --row 3
ln -s ../beside/digits link
expect 0 'says ' "${alone[@]}" ./link predict --row 3

# going on: a save of one way, continued by the other
cd "$scratch/work" || exit 2
resume() { # resume NAME FIRST... -- SECOND...
    local name=$1 first=()
    shift
    while [ "$1" != -- ]; do first+=("$1") && shift; done
    shift
    rm -rf runs
    "${first[@]}" --quiet >/dev/null 2>&1
    cp runs/digits/step-00000690.safetensors "$scratch/whole"
    rm runs/digits/step-00000[46]*.safetensors
    expect 0 '690 steps' "$@" --quiet --resume runs/digits
    same "$scratch/whole" runs/digits/step-00000690.safetensors "$name"
}
resume "run, then built" "$lg" run ../digits.lg -- "${alone[@]}" ../digits
resume "built, then run" "${alone[@]}" ../digits -- "$lg" run ../digits.lg

# ---- settings of a build ----

cd "$scratch" || exit 2
params() { # params EXE-OR-COMMAND...: where its run left the parameters
    (cd work && rm -rf runs && "$@" --quiet --threads 1 >/dev/null 2>&1 && cat runs/digits/step-00000690.safetensors)
}
expect 0 '' "$lg" build digits.lg -o narrow --with hidden=16 --no-compile
params ../narrow >built && params "$lg" run ../digits.lg --hidden 16 >run
same run built "--with is the default"
params ../narrow --hidden=24 >built && params "$lg" run ../digits.lg --hidden 24 >run
same run built "the command line goes before --with"
expect 0 'says ' bash -c 'cd work && ../narrow >/dev/null 2>&1; ../narrow predict --row 2'
expect 0 '' "$lg" build digits.lg -o row --with row=5 --no-compile # an argument of one entry
expect 0 '690 steps' bash -c 'cd work && ../row'
expect 0 '' "$lg" build digits.lg -o double --float f64 --no-compile
params ../double >built && params "$lg" run ../digits.lg --float f64 >run
same run built "--float"
expect 1 'did you mean `hidden`' "$lg" build digits.lg -o no --with hiden=3
expect 1 '1..4097' "$lg" build digits.lg -o no --with hidden=0
expect 1 'wants an integer' "$lg" build digits.lg -o no --with hidden=wide
expect 2 'wants NAME=VALUE' "$lg" build digits.lg -o no --with hidden
expect 2 'twice' "$lg" build digits.lg -o no --with hidden=3 --with=hidden=4
expect 2 'f32 or f64' "$lg" build digits.lg -o no --float f16
expect 2 'did you mean --with' "$lg" build digits.lg --wiht a=1
expect 2 'wants a file' "$lg" build
expect 2 'one argument too many' "$lg" build digits.lg other/digits.lg
expect 1 'E0601' "$lg" build missing.lg -o no
expect 1 'names a source' "$lg" build digits.lg -o digits.lg
expect 1 'nowhere/no' "$lg" build digits.lg -o nowhere/no
cp digits.lg plain
expect 2 'name it with -o' "$lg" build plain
expect 0 '' bash -c "\"$lg\" build - --no-compile -o piped <digits.lg"
expect 0 '--hidden' ./piped --help
printf 'print "{nothing}"\n' >wrong.lg
cp digits wrong
expect 1 'error[' "$lg" build wrong.lg
same digits wrong "a refused program leaves the old executable"
[ -e no ] && fail "a refused build wrote its executable" || ok
expect 1 'E0722' env LG_PROGRAM=/nowhere/lg-program "$lg" build digits.lg -o no
expect 1 'not the lg-program' env LG_PROGRAM="$lg" "$lg" build digits.lg -o no
expect 1 'holds a program already' env LG_PROGRAM="$scratch/digits" "$lg" build digits.lg -o no
expect 0 '' env LG_PROGRAM="$bin/lg-program" "$lg" build digits.lg -o named --no-compile
same digits named "LG_PROGRAM names the executable"
expect 1 'carries no program' "$bin/lg-program"

# ---- executables that are not whole ----

size=$(stat -c %s digits) bare=$(stat -c %s "$bin/lg-program")
damaged() { # damaged WHAT: ./hurt must say so and do nothing
    chmod +x hurt
    timeout 20 ./hurt >out 2>&1 </dev/null
    local status=$?
    [ $status -eq 1 ] && grep -q 'E0721' out && ok || fail "$1: exit status $status" out
}
for cut in 1 16 31 32 33 500 $((size - bare)); do
    head -c $((size - cut)) digits >hurt
    damaged "cut short by $cut"
done
{ cat digits && printf x; } >hurt
damaged "a byte more"
for at in $(seq "$bare" 97 $((size - 1))) $(seq $((size - 32)) $((size - 1))); do
    cp digits hurt
    byte=$(dd if=digits bs=1 skip="$at" count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
    # shellcheck disable=SC2059
    printf "\\x$(printf %x $((byte ^ 16)))" | dd of=hurt bs=1 seek="$at" conv=notrunc 2>/dev/null
    damaged "byte $at changed"
done

# ---- without shared libraries ----

if [ -x "$bin/lg-program-static" ]; then
    expect 0 '' "$lg" build --static digits.lg -o fixed --no-compile
    expect 1 '' bash -c 'ldd ./fixed | grep -q "=>"'
    params ../fixed >built && params "$lg" run ../digits.lg >run
    same run built "--static"
    printf 'let {values} = eigh([[2.0, 1.0], [1.0, 3.0]])\nprint "{values[1]:.4f} {det([[2.0, 1.0], [1.0, 3.0]]):.3f}"\n' >eigh.lg
    expect 0 '' "$lg" build --static eigh.lg
    expect 0 '3.6180 5.000' "${alone[@]}" ./eigh
    printf 'fn f(x: f64) -> f64 = cos(x)\nfn sin2(x: f64) -> f64 from "libm.so.6"\nprint "{f(0.0)}"\n' >foreign.lg
    expect 1 'E0723' "$lg" build --static foreign.lg
    if [ "$(id -u)" -eq 0 ] && chroot / true 2>/dev/null; then # a root with nothing else in it
        mkdir -p empty/data && cp fixed empty/digits && cp work/data/digits.csv empty/data
        expect 0 '690 steps' env -i "$(command -v chroot)" empty /digits
        expect 0 'says ' env -i "$(command -v chroot)" empty /digits predict
    fi
else
    expect 1 'E0722' "$lg" build --static digits.lg -o fixed --no-compile
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
