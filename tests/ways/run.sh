#!/usr/bin/env bash
# run.sh: one program, three ways. Every example is interpreted, compiled while it runs, and built with
# its kernels compiled, on one thread, two and four: the final parameters of each, what it logs and
# what it prints are the same bytes. run.sh [NAME ...] looks at some of them, as in `run.sh qat`.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
lg=$(realpath "${LG:-$root/build/lg}")
. "$root/tests/examples/common.sh"
export XDG_CACHE_HOME=$scratch/cache TMPDIR=$scratch/tmp
mkdir "$XDG_CACHE_HOME" "$TMPDIR" none
alone=("$(command -v env)" -i "PATH=$scratch/none" "XDG_CACHE_HOME=$scratch/none") # no compiler, no cache

args_of() { # short settings where an example has a long way to go
    [ "$1" = gpt ] && echo --width 32 --nheads 2 --window 32 --depth 1 --steps 30
}
# The program with a save at the end of each train that has none, so that its parameters can be seen.
saved() { # saved FILE
    awk '/^train / { name = $2; sub(/[({].*/, "", name); body = ""; has = 0 }
        name != "" { if ($0 ~ /^  save /) has = 1
            if ($0 ~ /^}/) { if (!has) print "  save \"runs/" name "\" every 1000000 steps"; name = "" } }
        { print }' "$1"
}
# way NAME DIR COMMAND...: what is printed, logged and saved is left in DIR, without times
way() {
    local name=$1 dir=$2 status
    shift 2
    rm -rf "$dir" && mkdir "$dir" && ln -s "$root/examples/data" "$dir/data"
    # shellcheck disable=SC2046
    (cd "$dir" && timeout 100 "$@" --quiet --profile --log log $(args_of "$name") >out 2>../profile </dev/null)
    status=$?
    grep -E '^(error|runtime)' profile
    rm -f "$dir/data"
    sed -i 's/"seconds": *[-+.e0-9]*//' "$dir/log"
    sed -i -e '/[Ss]econds/d' -e 's/ steps, [0-9.]* s,/ steps,/' "$dir/out"
    [ $status -le 1 ] && [ -n "$(ls "$dir"/runs/*/*.safetensors)" ] && ok ||
        fail "$name: $* ends with $status and leaves $(ls "$dir")"
}
same() { diff -r "$1" "$2" >diff.out && ok || fail "$3: $(head -n 3 diff.out)"; }
compiled() { grep -qE '^compiled: [1-9]' profile && ok || fail "$1: nothing of it was compiled"; }

[ $# -eq 0 ] && set -- "$root"/examples/*.lg
for f in "$@"; do
    name=$(basename "$f" .lg)
    saved "$root/examples/$name.lg" >"$name.lg"
    mkdir -p at && ln -sfn "$root/examples/data" at/data
    # shellcheck disable=SC2046
    (cd at && timeout 200 "$lg" build "../$name.lg" -o "../$name" $(args_of "$name" |
        sed 's/--\([a-z]*\) \([0-9]*\)/--with \1=\2/g')) >built 2>&1 && ok || fail "$name is not built: $(head -n 3 built)"
    way "$name" off "$lg" run "../$name.lg" --jit=off --threads 1
    for threads in 1 2 4; do
        [ $threads -gt 1 ] && way "$name" more "$lg" run "../$name.lg" --jit=off --threads $threads && same off more "$name on $threads threads"
        way "$name" on "$lg" run "../$name.lg" --jit=on --threads $threads
        same off on "$name compiled in the run, $threads threads"
        compiled "$name --jit=on"
        way "$name" alone "${alone[@]}" "../$name" --threads $threads
        same off alone "$name built, $threads threads"
        compiled "$name built"
    done
done
[ -z "$(ls none)" ] && ok || fail "a built program uses the cache"
summary
