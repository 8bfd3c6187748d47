#!/usr/bin/env bash
# run.sh: kernels that travel with a built program: the bits of prebuilt ones at every level of the
# processor, found without a compiler and with more data than there was, and nothing lost when there
# is no compiler at the build. Everything happens in a scratch directory.
set -u
here=$(cd "$(dirname "$0")" && pwd)
lg=$(realpath "${LG:-$here/../../build/lg}")
bin=$(dirname "$lg")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_CACHE_HOME=$scratch/cache TMPDIR=$scratch/tmp
mkdir -p "$XDG_CACHE_HOME" "$TMPDIR"
cd "$scratch" || exit 2
passed=0 failed=0

# check NAME COMMAND...: counts whether the command succeeds
check() {
    local name=$1
    shift
    if "$@" >said 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $name"
        head -n 5 said | sed 's/^/    /'
    fi
}
rows() { # rows N: that many, after a head
    awk -v n="$1" 'BEGIN { print "a,b,c,label"; for (i = 0; i < n; i++)
        printf "%.3f,%.3f,%.3f,%d\n", sin(i), cos(3*i), sin(7*i + 1), (sin(i)*cos(3*i) > 0) }' >points.csv
}
none=$scratch/none # a PATH without a compiler
mkdir -p "$none"
alone=("$(command -v env)" -i "PATH=$none" "XDG_CACHE_HOME=$scratch/unused")
build() { timeout 120 "$lg" build points.lg "$@" >built 2>&1 </dev/null; }
params() { # params COMMAND...: the parameters that its run leaves, as a sum; what it says is in `out`
    rm -rf runs
    timeout 60 "$@" --quiet >out 2>&1 </dev/null || { cat out >&2; echo failed; }
    md5sum <"$(ls runs/fit/*.safetensors | tail -n 1)"
}
all_compiled() { grep -qE 'compiled: ([1-9][0-9]*) of \1 loops' "$1"; }
none_compiled() { grep -qE 'compiled: 0 of [1-9][0-9]* loops' "$1"; }

cp "$here/points.lg" .
rows 192
check 'a build' build -o points
check 'says what it compiled' grep -qE '^compiled: [1-9][0-9]* kernels of [1-9][0-9]* plans' built
check 'and leaves nothing behind' test -z "$(ls "$TMPDIR")"
rm -rf "$XDG_CACHE_HOME"
check 'a second build' build -o again
check 'has the same bytes' cmp points again
build --no-compile -o plain
check 'without them it is smaller' test "$(stat -c %s plain)" -lt "$(stat -c %s points)"

# ---- the same bits at every level ----
for level in baseline avx2 avx512; do
    for threads in 1 2; do
        want=$(params env LG_ISA=$level "$lg" run points.lg --jit=off --threads $threads)
        got=$(params "${alone[@]}" LG_ISA=$level ./points --profile --threads $threads)
        check "$level on $threads threads: the same" test "$want" = "$got"
        if [ $level = baseline ]; then # short runs are not compiled for old processors
            check "$level on $threads threads: prebuilt" none_compiled out
        else
            check "$level on $threads threads: compiled" all_compiled out
        fi
    done
    got=$(params "${alone[@]}" LG_ISA=$level ./points --profile --jit=off)
    check "$level: the same without" test "$want" = "$got"
    check "$level: none with --jit=off" test -z "$(grep 'compiled: [1-9]' out)"
done
check 'the cache is not used where it runs' test ! -e unused

# a long run is, for every processor
build -o hot --with rounds=4000000
check 'a long run is compiled for all' grep -q 'for x86-64, AVX2, AVX-512' built
want=$(params env LG_ISA=baseline "$lg" run points.lg --jit=off)
got=$(params "${alone[@]}" LG_ISA=baseline ./hot --profile --rounds 4)
check 'a long run, baseline: the same' test "$want" = "$got"
check 'a long run, baseline: compiled' grep -qE 'compiled: [1-9]' out

# ---- other sizes ----
# Whatever the length of the file was at the build and is at the run, kernels are compiled ones: of
# whole batches, of the short one at the end of an epoch, of the parts of an evaluation and of its rest.
for at_build in 192 3; do
    rows $at_build
    build -o sized
    for n in 19200 199 1999 61; do
        rows $n
        want=$(params "$lg" run points.lg --jit=off)
        got=$(params "${alone[@]}" ./sized --profile)
        check "$at_build rows at the build, then $n: the same" test "$want" = "$got"
        check "$at_build rows at the build, then $n: all compiled" all_compiled out
    done
    rows 17 # a batch of one item has other kernels, which are left to prebuilt ones
    want=$(params "$lg" run points.lg --jit=off)
    got=$(params "${alone[@]}" ./sized --profile)
    check "$at_build rows at the build, then 17: the same" test "$want" = "$got"
    check "$at_build rows at the build, then 17: whole batches are compiled" grep -qE 'compiled: [1-9]' out
done
cp "$here/whole.lg" .
rows 300
check 'a batch of all rows' "$lg" build whole.lg -o whole
check 'what comes after its run is foreseen' test -z "$(grep 'not all' said)"
for n in 300 1000 5000; do
    rows $n
    for threads in 1 2; do
        want=$(params "$lg" run whole.lg --jit=off --threads $threads)
        got=$(params "${alone[@]}" ./whole --profile --threads $threads)
        check "all of $n rows, $threads threads: the same" test "$want" = "$got"
        check "all of $n rows, $threads threads: all compiled" all_compiled out
    done
done
mv points.csv away.csv
printf 'a,b,label\n1,2,0\n' >points.csv
check 'a file with a column less' test "$("${alone[@]}" ./whole 2>&1 | grep -c 'E0[0-9]*')" -ge 1
mv away.csv points.csv
rows 192
want=$(params "$lg" run points.lg --jit=off --hidden 7)
got=$(params "${alone[@]}" ./points --profile --hidden 7)
check 'another argument: the same' test "$want" = "$got"
got=$(params "${alone[@]}" ./points --lr 0.5 --profile)
check 'another rate: still compiled' grep -qE 'compiled: [1-9]' out
build -o seven --with hidden=7
got=$(params "${alone[@]}" ./seven --profile)
check '--with compiles its instance' all_compiled out
check 'which has the same bits' test "$want" = "$got"
got=$(params "${alone[@]}" ./seven --profile --hidden 12)
check 'beside that of the defaults' all_compiled out

# ---- without shared libraries ----
if [ -x "$bin/lg-program-static" ]; then
    check '--static' build --static -o fixed
    want=$(params "$lg" run points.lg --jit=off)
    got=$(params "${alone[@]}" ./fixed --profile)
    check '--static: the same' test "$want" = "$got"
    check '--static: compiled' all_compiled out
fi

# ---- nothing but the executable, its libraries and the data ----
if unshare -r "$(command -v chroot)" / true 2>/dev/null; then
    mkdir -p root
    cp points points.csv root
    ldd points | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "root$(dirname "$library")" && cp -L "$library" "root$library"
    done
    timeout 60 env -i unshare -r "$(command -v chroot)" root /points --quiet --profile >out 2>&1
    check 'an empty root: runs' test $? -eq 0
    check 'an empty root: compiled' all_compiled out
    rm -rf runs
    timeout 60 "$lg" run points.lg --jit=off --quiet >/dev/null 2>&1
    check 'an empty root: the same' diff -r runs root/runs
else
    echo 'SKIPPED: an empty root, which this system does not allow'
fi

# ---- places that cannot be written to ----
want=$(params "$lg" run points.lg --jit=off)
unwritable() { # unwritable NAME COMMAND...: builds all the same, with the same bytes
    local name=$1
    shift
    rm -f poor
    check "$name: built" "$@" "$lg" build points.lg -o poor
    check "$name: the same bytes" cmp points poor
}
unwritable 'no home' env -u XDG_CACHE_HOME -u HOME
unwritable 'a cache that cannot be made' env XDG_CACHE_HOME=/proc/nowhere
unwritable 'a cache that is no path' env XDG_CACHE_HOME=here HOME=there
mounted() { # mounted OPTIONS COMMAND...: with a small file system at ./disk
    local options=$1
    shift
    unshare -rm "$(command -v bash)" -c 'mount -t tmpfs -o "$0" none disk || exit 9; mkdir disk/lossgraph; [ "${0%,ro}" = "$0" ] || mount -o remount,ro none disk; exec "$@"' "$options" "$@"
}
mkdir -p disk
if mounted size=64k true 2>/dev/null; then
    unwritable 'a cache that is read-only' mounted size=1m,ro env XDG_CACHE_HOME="$scratch/disk"
    unwritable 'a cache on a full disk' mounted size=8k env XDG_CACHE_HOME="$scratch/disk"
    mounted size=64k "$lg" build points.lg -o disk/poor >built 2>&1
    check 'an executable on a full disk: refused' test $? -eq 1
    check 'an executable on a full disk: why' grep -q 'error\[E0610\].*No space left' built
    mounted size=24k "$(command -v bash)" -c 'cp points.csv disk && cd disk && ../points --quiet' >out 2>&1
    check 'a save on a full disk: fails' test $? -eq 1
    check 'a save on a full disk: why' grep -q 'error\[E0610\].*a save needs .* bytes and .* are free' out
    mounted size=8k env TMPDIR="$scratch/disk" XDG_CACHE_HOME="$scratch/no-cache" "$lg" build points.lg -o poor >built 2>&1
    check 'no room for temporary files: built' test $? -eq 0
    check 'no room for temporary files: why' grep -q 'not compiled: .*room' built
else
    echo 'SKIPPED: full and read-only disks, which this system does not allow'
fi
(ulimit -f 500 && exec "$lg" build points.lg -o poor) >built 2>&1
check 'a limit of file sizes: refused' test $? -eq 1
check 'a limit of file sizes: why' grep -q 'File too large' built
check 'a limit of file sizes: nothing is left' test -z "$(ls | grep poor.)"
(ulimit -v 3000000 && "${alone[@]}" ./points --hidden 900000000 --quiet) >out 2>&1
check 'more than the memory: fails' test $? -eq 1
check 'more than the memory: why' grep -qE 'E043[78]|out of memory' out

# ---- compilers that are not there or do not work ----
want=$(params "$lg" run points.lg --jit=off)
broken() { # broken NAME WHY ENV...: a build under that environment works and says why
    local name=$1 why=$2
    shift 2
    rm -rf "$XDG_CACHE_HOME" poor
    env "$@" "$lg" build points.lg -o poor >built 2>&1 </dev/null
    check "$name: built" test $? -eq 0
    check "$name: says so" grep -q "not compiled: .*$why" built
    got=$(params "${alone[@]}" ./poor --profile)
    check "$name: the same" test "$want" = "$got"
    check "$name: on prebuilt kernels" none_compiled out
    check "$name: leaves nothing" test -z "$(ls "$TMPDIR")"
}
printf '#!/bin/sh\nwhile [ $# -gt 0 ]; do [ "$1" = -o ] && echo nonsense >"$2"; shift; done\n' >nonsense
printf '#!/bin/sh\nexit 0\n' >nothing
printf '#!/bin/sh\nkill -9 $$\n' >dies
printf '#!/bin/sh\nexec sleep 61\n' >hangs
chmod +x nonsense nothing dies hangs
broken 'no compiler' 'no C compiler' -u CC "PATH=$none"
broken 'a compiler that fails' 'the C compiler failed' CC=/bin/false
broken 'a compiler that CC only names' 'CC names' CC=/nowhere/cc
broken 'a compiler that dies' 'ended by signal 9' "CC=$scratch/dies"
broken 'a compiler that hangs' 'gave nothing within 1 s' "CC=$scratch/hangs" LG_CC_SECONDS=1
check 'a compiler that hangs is stopped' test -z "$(pgrep -f '^sleep 61')"
rm -rf "$XDG_CACHE_HOME"
CC=$scratch/hangs "$lg" build points.lg -o stopped >built 2>&1 &
build_pid=$!
for ((i = 0; i < 100; i++)); do
    pgrep -f "$scratch/hangs|^sleep 61" >/dev/null && break
    sleep 0.1
done
kill "$build_pid"
wait "$build_pid" 2>/dev/null
check 'a build that is stopped: by the signal' test $? -eq 143
check 'a build that is stopped: no executable' test ! -e stopped
check 'a build that is stopped: leaves no files' test -z "$(ls "$TMPDIR")"
check 'a build that is stopped: nor a compiler' test -z "$(pgrep -f '^sleep 61')"
broken 'a compiler that makes nothing' '' "CC=$scratch/nothing"
broken 'a compiler that makes nonsense' 'no code of this machine' "CC=$scratch/nonsense"
rm -rf "$XDG_CACHE_HOME" && touch "$XDG_CACHE_HOME"
check 'no place for a cache' build -o again
check 'the same bytes all the same' cmp points again
rm -f "$XDG_CACHE_HOME"
mv points.csv away.csv
check 'no data at the build' build -o again
check 'which says so' grep -q 'not all is compiled' built
mv away.csv points.csv
check 'and runs when it is there' test "$want" = "$(params "${alone[@]}" ./again)"
# ---- C of its plans ----
check 'C of its plans' build --emit=c -o text
for f in text/*.c; do
    check "$f compiles by itself" cc -O2 -w -ffp-contract=off -fwrapv -fno-strict-aliasing \
        -fno-math-errno -fno-trapping-math $(sed -n 's/^.*-fno-trapping-math\(.*\) \\$/\1/p' "$f") \
        -fPIC -shared "$f" -o plan.so -lm
done
check 'there are kernels for any size' grep -q 'lgo_[0-9a-f]*(const lg_code_env' text/kernels1.c
check 'the step is one function' grep -q lgs_0 text/plan1*.c
check 'another text is refused' test "$("$lg" build points.lg --emit=rust 2>&1 | grep -c 'wants c')" = 1

# ---- a library for C ----
data() { # the tensors of a save, without what is said about it
    local file=$1
    tail -c +$((9 + $(od -An -t u8 -N 8 "$file"))) "$file" | md5sum
}
sed -e 's/shuffle(seed=2) |> //' -e 's/rounds: i64 = 4/rounds: i64 = 1/' "$here/points.lg" >points.lg
export LG_ARCHIVE=${LG_ARCHIVE:-$bin/liblossgraph.a}
check '--lib' build --lib -o libpoints.so --predict 'x |> l1 |> tanh |> l2'
check 'its header is C' cc -std=c99 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c points.h
check 'it shows its own functions alone' test -z "$(nm -D --defined-only libpoints.so | grep -v ' T points_')"
check 'a C program with it' cc -std=c99 -Wall -Wextra -Werror "$here/program/driver.c" -I. -L. -lpoints -lm -o driver
check 'trains, predicts, saves and loads' "${alone[@]}" LD_LIBRARY_PATH=. ./driver
check 'a C program that finds no memory' cc -std=c99 -Wall -Wextra -Werror "$here/program/memory.c" -I. -L. -lpoints -lm -o memory
case ${ASAN_OPTIONS+with} in
with) ;; # the sanitizer wants more address space than there is
*) check 'is told so and goes on' "${alone[@]}" LD_LIBRARY_PATH=. "$(command -v timeout)" 100 ./memory ;;
esac
rm -rf runs saved
"${alone[@]}" LD_LIBRARY_PATH=. ./driver >losses 2>&1
"$lg" run points.lg --quiet --jit=off --log run.log >/dev/null 2>&1
check 'a save of each' test -s "$(ls saved/*.safetensors)" -a -s "$(ls runs/fit/*.safetensors)"
check 'the same parameters as lg run' test "$(data saved/*.safetensors)" = "$(data runs/fit/*.safetensors)"
refused() { # refused NAME TEXT OPTION...: a build that says so
    local name=$1 text=$2
    shift 2
    "$lg" build points.lg "$@" >built 2>&1
    check "$name: status" test $? -ne 0
    check "$name: why" grep -qF -e "$text" built
}
refused 'a name that is none in C' 'NAME is a name in C' --lib -o lib3d.so
refused 'no name' '--lib wants -o libNAME.so' --lib
refused 'a prediction of nothing' 'nowhere' --lib -o libp.so --predict 'nowhere(x)'
refused 'a prediction without a batch' 'a value for each item' --lib -o libp.so --predict 'l1.w'
sed 's/^  epochs = rounds/  phase a { epochs = 1 }\n  phase b { epochs = 1 }/' points.lg >phased.lg
sed 's/^  data = /  data other = points |> batch(16)\n  data = /' points.lg >joined.lg
cat points.lg >twice.lg && printf 'train again {\n  part l = Linear(3, 2)\n  data = points |> batch(16)\n  loss = cross_entropy(l(x), y)\n  optimizer = sgd(0.1)\n  epochs = 1\n}\n' >>twice.lg
for p in 'phased a train with phases' 'joined one source of data' 'twice one train, and here are 2'; do
    "$lg" build "${p%% *}.lg" --lib -o libp.so >built 2>&1
    check "${p%% *}: status" test $? -ne 0
    check "${p%% *}: why" grep -qF -e "${p#* }" built
    check "${p%% *}: no library" test ! -e libp.so
done
refused '--predict alone' '--predict is of --lib' --predict 'l1(x)'
CC=/bin/false refused 'a library without a compiler' 'the C compiler failed' --lib -o libp.so --predict 'l1(x)'
LG_ARCHIVE=/nowhere/a refused 'a library without the archive' 'C compiler failed' --lib -o libp.so --predict 'l1(x)'
check 'leaves nothing' test -z "$(ls "$TMPDIR")"

# ---- a trace ----
"$lg" run points.lg --quiet --trace trace.json >/dev/null 2>&1
check 'a trace' test -s trace.json
if command -v python3 >/dev/null; then
    check 'is JSON with an event a kernel' python3 -c '
import json
events = [e for e in json.load(open("trace.json"))["traceEvents"] if e["ph"] == "X"]
assert len(events) > 50 and all(e["dur"] >= 0 and e["ts"] >= 0 and e["name"] for e in events)
assert any("points.lg" in e["args"].get("source", "") for e in events)'
fi
check 'a trace nowhere is refused' test "$("$lg" run points.lg --trace /nowhere/t 2>&1 | grep -c E0610)" = 1

# ---- a picture of a plan ----
"$lg" run points.lg --quiet --jit=off --dump=dot >expected.dot 2>/dev/null
check 'a picture: steps that read each other' grep -qE '^  s[0-9]+ -> s[0-9]+;' expected.dot
check 'a picture: what is expected' grep -q 'us expected' expected.dot
"$lg" run points.lg --quiet --jit=off --profile --dump=dot >measured.dot 2>/dev/null
check 'a profile: what was measured' grep -qE 'label=".*us.n' measured.dot
"$lg" run points.lg --quiet --jit=off --profile >/dev/null 2>out
check 'a profile: what every kernel does and reaches' grep -qE '^ *[0-9.]+% +[0-9.]+ +[0-9]+ +[0-9.]+ +[0-9.]+[kMG]? +[0-9.]+[kMG]? +[0-9.]+ +[0-9.]+ +[0-9]+%  .*:[0-9]+$' out
check 'a profile: of what the machine can' grep -qE '^roof: [0-9]+ GFLOP/s, and of memory [0-9]+ GB/s' out
check 'a profile: of every step' test -z "$(grep 'us expected' measured.dot)"
command -v dot >/dev/null && check 'it can be drawn' sh -c "sed -n '/^digraph/,/^}/p' expected.dot | dot -Tsvg"

# ---- more threads than cores ----
want=$(params "$lg" run points.lg --jit=off --threads 1)
check 'more threads than cores: the same' test "$want" = "$(params timeout 20 "$lg" run points.lg --jit=off --threads 512)"

# ---- a busy machine: threads that wait for each other are not worth it, one does the work ----
rows 8000
cp "$here/whole.lg" .
cores=$(nproc)
busy=()
for ((i = 0; i < 3*cores; i++)); do
    (while :; do :; done) &
    busy+=($!)
done
TIMEFORMAT=%U
want=$(params "$lg" run whole.lg --jit=off --threads 1 --rounds 300)
one=$( (time timeout 100 "$lg" run whole.lg --jit=off --threads 1 --rounds 300 --quiet >/dev/null 2>&1) 2>&1)
fell_back() { # in one of a few attempts: which process gets a core is up to the system
    local try
    for try in 1 2 3 4; do
        more=$( (time timeout 100 "$lg" run whole.lg --jit=off --threads "$cores" --rounds 300 --quiet --profile >/dev/null 2>out) 2>&1)
        grep -q '^one thread did [0-9]* of [0-9]* runs that more could do' out && return 0
    done
    return 1
}
if [ "$cores" -gt 1 ]; then
    check 'a busy machine: one thread does the work' fell_back
    check 'a busy machine: no work is wasted' awk -v a="$one" -v b="$more" 'BEGIN { exit !(b < 2*a + 0.2) }'
    check 'a busy machine: the same' test "$want" = "$(params "$lg" run whole.lg --jit=off --threads "$cores" --rounds 300)"
fi
kill "${busy[@]}"
wait 2>/dev/null
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
