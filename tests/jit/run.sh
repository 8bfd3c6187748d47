#!/usr/bin/env bash
# run.sh: compiled runs: the same output, log and saved parameters as interpreted ones, on one
# thread and on two; the cache of what was compiled; compilers that are missing or do not work.
set -u
cd "$(dirname "$0")/../.." || exit 2
root=$PWD
lg=$(realpath "${LG:-build/lg}")
timeout=$(command -v timeout)
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_CACHE_HOME=$scratch/cache TMPDIR=$scratch/tmp
mkdir -p "$XDG_CACHE_HOME" "$TMPDIR"

# check NAME COMMAND...: counts whether the command succeeds
check() {
    local name=$1
    shift
    if "$@" >"$scratch/said" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $name"
        head -n 5 "$scratch/said" | sed 's/^/    /'
    fi
}

# run DIR PROGRAM OPTIONS...: in an empty directory; what it prints, logs and saves is left there
run() {
    local dir=$1 program=$2
    shift 2
    rm -rf "$dir" && mkdir -p "$dir"
    (cd "$dir" && "$timeout" 100 "$lg" run "$program" --quiet --log "$dir/log" "$@" \
        >"$dir/out" 2>"$dir/err" </dev/null)
    echo $? >"$dir/status"
    [ -e "$dir/log" ] && sed -i 's/"seconds": *[-+.e0-9]*//' "$dir/log"
    # run times are no results
    sed -i -e '/[Ss]econds/d' -e 's/ steps, [0-9.]* s,/ steps,/' "$dir/out"
    sed -i '/not compiled/d' "$dir/err"
}

# same NAME PROGRAM OPTIONS...: off and on, one thread and two
same() {
    local name=$1 program=$2 threads
    shift 2
    for threads in 1 2; do
        run "$scratch/off" "$program" "$@" --threads $threads --jit=off
        run "$scratch/on" "$program" "$@" --threads $threads --jit=on
        check "$name on $threads threads" diff -r "$scratch/off" "$scratch/on"
        [ $threads -eq 1 ] && rm -rf "$scratch/one" && mv "$scratch/off" "$scratch/one"
    done
    check "$name on two threads as on one" diff -r "$scratch/one" "$scratch/off"
}

for program in tests/jit/*.lg; do
    same "$program" "$root/$program"
done
for program in tests/host/{evals,loops,micro,nonfinite,train,training}.lg tests/lang/layers-together.lg; do
    args=$(sed -n 's/^# args: //p' "$program" | head -n 1)
    # shellcheck disable=SC2086
    same "$program" "$root/$program" $args
done
for example in corridor digits own hessian qat; do
    same "$example" "$root/examples/$example.lg"
done
same gpt "$root/examples/gpt.lg" --width 32 --nheads 2 --window 32 --depth 1 --steps 30
check 'something was compiled' test -n "$(ls "$XDG_CACHE_HOME/lossgraph")"

# ---- the cache ----
small=$root/tests/jit/layers.lg
cache=$XDG_CACHE_HOME/lossgraph
files() { find "$cache" -name '*.so' | wc -l; }
compiled() { ! grep -q 'not compiled' "$1"; }
once() { "$timeout" 100 "$lg" run "$small" --quiet --jit=on >"$scratch/out" 2>"$scratch/err" </dev/null; }

rm -rf "$cache"
check 'a first run' once
want=$(cat "$scratch/out")
check 'is kept' test "$(files)" -gt 0
check 'for nobody else' test "$(stat -c %a "$cache")" = 700
check 'and leaves nothing behind' test -z "$(ls "$TMPDIR")"
mkdir -p "$scratch/nothing" && ln -sf "$(command -v cc)" "$scratch/nothing/cc"
(PATH=$scratch/nothing:$PATH once && compiled "$scratch/err")
check 'is found again though no other tool is there' test $? -eq 0
for file in "$cache"/*.so; do truncate -s 3000 "$file"; done
check 'with a damaged cache' once
check 'the same' test "$(cat "$scratch/out")" = "$want"
check 'compiled afresh' compiled "$scratch/err"
for file in "$cache"/*.so; do printf 'x' | dd of="$file" bs=1 seek=2000 conv=notrunc 2>/dev/null; done
check 'with a byte changed' once
check 'the same, too' test "$(cat "$scratch/out")" = "$want"
rm -rf "$cache" && touch "$cache"
check 'with no place for the cache' once
check 'compiled all the same' compiled "$scratch/err"
rm -f "$cache"
mkdir -p "$cache"
for n in 1 2 3 4 5 6 7; do
    head -c 12000000 /dev/zero >"$cache/old$n.so"
    touch -d '2001-01-01' "$cache/old$n.so"
done
check 'with a cache that is full' once
check 'which is kept small' test "$(du -sm "$cache" | cut -f 1)" -lt 70

# ---- compilers ----
rm -rf "$cache"
broken() { # broken NAME SCRIPT: a directory in which cc is that script
    rm -rf "${scratch:?}/bin" && mkdir "$scratch/bin"
    printf '#!/bin/sh\n%s\n' "$2" >"$scratch/bin/cc"
    chmod +x "$scratch/bin/cc"
    PATH=$scratch/bin:/usr/bin:/bin once
    check "with a compiler that $1" test $? -eq 0
    check "that $1: the same" test "$(cat "$scratch/out")" = "$want"
    check "that $1: says why" grep -q 'not compiled: ' "$scratch/err"
    check "that $1: leaves nothing" test -z "$(ls "$TMPDIR")$(ls "$cache" 2>/dev/null)"
}
broken 'fails' 'echo no such luck >&2; exit 1'
check 'in its own words' grep -q 'no such luck' "$scratch/err"
broken 'makes nothing' 'exit 0'
broken 'makes nonsense' 'while [ $# -gt 0 ]; do [ "$1" = -o ] && echo nonsense >"$2"; shift; done'
broken 'dies' 'kill -9 $$'
export LG_CC_SECONDS=1
broken 'hangs' 'exec sleep 60'
unset LG_CC_SECONDS
mkdir -p "$scratch/empty"
PATH=$scratch/empty once
check 'without a compiler' test $? -eq 0
check 'the same without' test "$(cat "$scratch/out")" = "$want"
check 'and says so' grep -q 'no C compiler' "$scratch/err"
PATH=$scratch/empty "$timeout" 100 "$lg" run "$small" --quiet >"$scratch/out" 2>"$scratch/err" </dev/null
check 'but not when nobody asked' test ! -s "$scratch/err"

# ---- runs that are ended while a compiler works, and what others left ----
rm -rf "$cache"
printf '#!/bin/sh\nexec sleep 62\n' >"$scratch/slow"
chmod +x "$scratch/slow"
ended() { # ended SIGNAL STATUS: a run that waits for its compiler ends by that signal
    CC=$scratch/slow "$lg" run "$small" --quiet --jit=on >/dev/null 2>&1 </dev/null &
    local run_pid=$! k
    for ((k = 0; k < 100; k++)); do
        pgrep -f '^sleep 62' >/dev/null && break
        sleep 0.1
    done
    check "SIG$1 while compiling: there are files" test -n "$(ls "$TMPDIR")"
    kill -s "$1" "$run_pid"
    wait "$run_pid" 2>/dev/null
    check "SIG$1 while compiling: ends" test $? -eq "$2"
    for ((k = 0; k < 50; k++)); do
        pgrep -f '^sleep 62' >/dev/null || break
        sleep 0.1
    done
}
gone() {
    check "$1: leaves no files" test -z "$(ls "$TMPDIR")"
    check "$1: nor a compiler" test -z "$(pgrep -f '^sleep 62')"
}
ended HUP 129 && gone 'SIGHUP'
ended TERM 1 && gone 'SIGTERM'
ended INT 1 && gone 'SIGINT'
ended KILL 137
pkill -f '^sleep 62' # nobody was there to do it
left=$(ls "$TMPDIR")
PATH=/usr/bin:/bin once
check 'a run that was killed: its files are not touched at once' test -e "$TMPDIR/$left/lock"
cd "$TMPDIR" || exit 2
mkdir lossgraph-alive1 lossgraph-noLock lossgraph-forgot lossgraph-notes
touch lossgraph-{alive1,forgot,notes}/{lock,0.c} lossgraph-noLock/0.c
flock lossgraph-alive1/lock sleep 63 &
holder=$!
rm lossgraph-forgot/lock
touch -d '2 minutes ago' "$left" lossgraph-alive1 lossgraph-noLock
touch -d '2 days ago' lossgraph-forgot lossgraph-notes
cd "$root" || exit 2
sleep 0.2
rm -rf "$cache"
PATH=/usr/bin:/bin once
check 'but at the next use' test ! -e "$TMPDIR/$left"
check 'the files of a process that lives stay' test -e "$TMPDIR/lossgraph-alive1/0.c"
check 'those that nobody owns stay a day' test -e "$TMPDIR/lossgraph-noLock/0.c"
check 'and not longer' test ! -e "$TMPDIR/lossgraph-forgot"
check 'what is called otherwise stays' test -e "$TMPDIR/lossgraph-notes/0.c"
kill "$holder"
pkill -f '^sleep 63'
rm -rf "${TMPDIR:?}"/*

# ---- the options ----
rm -rf "$cache"
"$timeout" 100 "$lg" run "$small" --quiet >/dev/null 2>&1 </dev/null
check 'a short run compiles nothing' test ! -e "$cache"
"$timeout" 100 "$lg" run "$small" --quiet --jit=off >/dev/null 2>&1 </dev/null
check 'nor does one with --jit=off' test ! -e "$cache"
"$lg" run "$small" --jit=maybe 2>"$scratch/err"
check 'another word is refused' grep -q 'off, auto or on' "$scratch/err"
"$lg" check "$small" --dump=c >"$scratch/text.c"
check 'C can be read' grep -q 'lgk_0' "$scratch/text.c"
check 'and needs no header' test -z "$(grep '^ *# *include' "$scratch/text.c")"
check 'with steps in a row as one function' grep -q 'lgs_0' "$scratch/text.c"

# ---- the updates of many parameters ----
"$lg" check "$root/tests/jit/updates.lg" --dump=c >"$scratch/text.c" 2>&1
check 'share functions' test "$(grep -c '^    lgt_' "$scratch/text.c")" -gt \
    "$(grep -c '^static void lgt_' "$scratch/text.c")"
"$lg" check "$root/tests/jit/updates.lg" --dump=plan >"$scratch/text" 2>&1
check 'and meetings' test -n "$(sed -n 's/.*together \([0-9][0-9]*\):.*/\1/p' "$scratch/text" |
    awk '$1 >= 10')"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
